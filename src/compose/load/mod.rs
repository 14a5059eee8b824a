//! Loading: from a tree to a typed project, in named passes. `docs/compose.md` has their order and the reason for it.
//!
//! Passes of several files (`merge`, `extends`, `include`, `!reset`) take their place before `interpolate`; until they are
//! there, what needs them is refused by name.

use std::collections::BTreeMap;

use claw_types::diag::{Code, Diagnostic, Diagnostics, Reported};
use claw_types::span::{Source, Span};

pub(crate) mod canonical;
mod check;
mod conflicts;
pub mod dotenv;
mod effect;
pub(crate) mod interpolate;
mod mounts;
mod objects;
mod order;
mod ports;
pub mod profile;
mod words;

pub use interpolate::{VariableUse, variables};
pub use mounts::is_home;

use crate::model::{NOT_YET, Project, Service};
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
pub const PASSES: &[&str] = &["parse", "refuse", "interpolate", "canonical", "decode", "profiles", "imply", "check"];

/// A loaded file.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The typed model.
    pub project: Project,
    /// The tree after interpolation, short syntaxes written out: for keys that start with `x-`.
    pub tree: Node,
    /// Services that no profile and no name asked for: they are no part of the project, and no orphans either.
    pub disabled: BTreeMap<String, Service>,
}

/// Returns the typed project of a tree, no profile active.
///
/// # Errors
/// Where the tree is no compose file; all reasons are in `diag`.
pub fn load(tree: Node, source: &Source, options: Options<'_>, diag: &mut Diagnostics) -> Result<Loaded, Reported> {
    load_with(tree, source, options, &[], &[], diag)
}

/// Returns the typed project of a tree: the services of no profile, of the profiles in `profiles`, and those in `named`
/// with the rest of their profiles. [`profile::profiles`] has the rules.
///
/// # Errors
/// Where the tree is no compose file; all reasons are in `diag`.
pub fn load_with(
    mut tree: Node,
    source: &Source,
    options: Options<'_>,
    profiles: &[String],
    named: &[String],
    diag: &mut Diagnostics,
) -> Result<Loaded, Reported> {
    let mark = diag.mark();
    if !matches!(tree.kind, Kind::Map(_)) {
        let message = format!("a compose file must be a mapping, and this is {}", tree.type_name());
        return Err(diag.report(Diagnostic::error(Code::WrongType, tree.span, message).help(EMPTY_HELP)));
    }
    if tree.entries().is_empty() {
        let message = "the compose file is empty";
        return Err(diag.report(Diagnostic::error(Code::MissingKey, tree.span, message).help(EMPTY_HELP)));
    }
    if let Some(services) = tree.entry("services").filter(|entry| entry.value.is_null()) {
        let message = "`services` must be a mapping, and is nothing";
        diag.push(Diagnostic::error(Code::WrongType, services.key_span, message).help("add a service, or take it out"));
    }
    refuse(&tree, diag);
    diag.finish(mark, ())?;
    let mut pass =
        interpolate::Interpolation { source, lookup: options.lookup, keep: options.keep, unset: options.unset };
    pass.run(&mut tree, &mut Vec::new(), diag);
    diag.finish(mark, ())?;
    let mut tree = canonical::canonical(tree, diag);
    let project = Project::decode(&tree, &mut Decoder::new(diag, options.keep));
    let mut project = project.unwrap_or_default();
    let disabled = profile::profiles(&mut project, profiles, named);
    if let Kind::Map(sections) = &mut tree.kind {
        for section in sections.iter_mut().filter(|section| section.key == "services") {
            if let Kind::Map(services) = &mut section.value.kind {
                services.retain(|service| !disabled.contains_key(&service.key));
            }
        }
    }
    order::implicit(&mut project);
    check::check(&project, &disabled, Span::start_of(source.id), diag);
    effect::check(&project, Span::start_of(source.id), diag);
    diag.finish(mark, Loaded { project, tree, disabled })
}

const EMPTY_HELP: &str = "begin with `services:`, and a service with `image:` or `build:` below it";

/// Refuses by name what no pass does yet.
fn refuse(root: &Node, diag: &mut Diagnostics) {
    refuse_tag(root, diag);
    for section in root.entries() {
        if !section.key.starts_with("x-") {
            refuse_tags(&section.value, diag);
        }
        if NOT_YET.contains(&section.key.as_str()) {
            diag.push(not_yet(&section.key, section.key_span));
        }
        for service in section.value.entries().iter().filter(|_| section.key == "services") {
            for key in service.value.entries().iter().filter(|key| NOT_YET.contains(&key.key.as_str())) {
                diag.push(not_yet(&key.key, key.key_span));
            }
        }
    }
}

fn refuse_tags(node: &Node, diag: &mut Diagnostics) {
    refuse_tag(node, diag);
    node.items().iter().for_each(|item| refuse_tags(item, diag));
    node.entries().iter().for_each(|entry| refuse_tags(&entry.value, diag));
}

fn refuse_tag(node: &Node, diag: &mut Diagnostics) {
    if let Some(tag) = node.tag.as_deref().filter(|tag| matches!(*tag, "reset" | "override")) {
        let message = format!("`!{tag}` needs several files, which claw does not merge yet");
        let help = if tag == "reset" { "take the key out" } else { "take the tag out" };
        diag.push(Diagnostic::error(Code::NotYet, node.span, message).help(help));
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
