//! Loading: from a tree to a typed project, in named passes. `docs/compose.md` has their order and the reason for it.
//!
//! Passes of several files (`merge`, `extends`, `include`, `!reset`) take their place before `interpolate`; until they are
//! there, what needs them is refused by name.

use claw_types::diag::{Code, Diagnostic, Diagnostics, Reported};
use claw_types::span::{Source, Span};

pub(crate) mod canonical;
mod check;
pub mod dotenv;
pub(crate) mod interpolate;
mod mounts;
mod ports;
mod words;

pub use interpolate::{VariableUse, variables};

use crate::model::{NOT_YET, Project};
use crate::shape::{Decoder, Shape};
use crate::template::Lookup;
use crate::yaml::{Kind, Node};

/// Says what a variable without value and without default is: by its name, its path, its place.
pub type Unset<'u> = dyn FnMut(&str, &[String], Span) -> Option<Diagnostic> + 'u;

/// How a file is loaded.
pub struct Options<'o> {
    /// Values of variables.
    pub lookup: &'o dyn Lookup,
    /// Scalars at these paths keep their variables: an environment value stays a template.
    pub keep: &'o dyn Fn(&[String]) -> bool,
    /// Says what a variable without value and without default is, by name, path and place; nothing for "nothing".
    pub unset: &'o mut Unset<'o>,
}

/// The passes a file goes through, in order.
pub const PASSES: &[&str] = &["parse", "refuse", "interpolate", "canonical", "decode", "check"];

/// A loaded file.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The typed model.
    pub project: Project,
    /// The tree after interpolation, short syntaxes written out: for keys that start with `x-`.
    pub tree: Node,
}

/// Returns the typed project of a tree.
///
/// # Errors
/// Where the tree is no compose file; all reasons are in `diag`.
pub fn load(mut tree: Node, source: &Source, options: Options<'_>, diag: &mut Diagnostics) -> Result<Loaded, Reported> {
    let mark = diag.mark();
    if !matches!(tree.kind, Kind::Map(_)) {
        let message = format!("a compose file must be a mapping, and this is {}", tree.type_name());
        return Err(diag.report(Diagnostic::error(Code::WrongType, tree.span, message)));
    }
    refuse(&mut tree, true, diag);
    diag.finish(mark, ())?;
    let mut pass =
        interpolate::Interpolation { source, lookup: options.lookup, keep: options.keep, unset: options.unset };
    pass.run(&mut tree, &mut Vec::new(), diag);
    diag.finish(mark, ())?;
    let tree = canonical::canonical(tree, diag);
    let project = Project::decode(&tree, &mut Decoder::new(diag, options.keep));
    let project = project.unwrap_or_default();
    check::check(&project, Span::start_of(source.id), diag);
    diag.finish(mark, Loaded { project, tree })
}

/// Refuses by name what no pass does yet.
fn refuse(node: &mut Node, is_top: bool, diag: &mut Diagnostics) {
    if let Some(tag) = node.tag.as_deref().filter(|tag| matches!(*tag, "reset" | "override")) {
        let message = format!("`!{tag}` needs several files, which claw does not merge yet");
        diag.push(Diagnostic::error(Code::NotYet, node.span, message));
    }
    let Kind::Map(sections) = &node.kind else { return };
    for section in sections {
        let is_service = section.key == "services" && is_top;
        if is_top && NOT_YET.contains(&section.key.as_str()) {
            diag.push(not_yet(&section.key, section.key_span));
        }
        for service in section.value.entries().iter().filter(|_| is_service) {
            for key in service.value.entries().iter().filter(|key| NOT_YET.contains(&key.key.as_str())) {
                diag.push(not_yet(&key.key, key.key_span));
            }
        }
    }
}

fn not_yet(key: &str, span: Span) -> Diagnostic {
    Diagnostic::error(Code::NotYet, span, format!("claw does not carry out `{key}` yet"))
        .help("take it out, or write what it stands for")
}

/// Returns a project name as compose normalises it; nothing where nothing is left.
pub fn normal_name(text: &str) -> Option<String> {
    let is_kept = |each: &char| each.is_ascii_lowercase() || each.is_ascii_digit() || matches!(each, '-' | '_');
    let lower = text.to_lowercase();
    let kept: String = lower.chars().filter(is_kept).collect();
    let name = kept.trim_start_matches(['-', '_']);
    if name.is_empty() { None } else { Some(name.to_owned()) }
}
