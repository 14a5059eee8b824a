//! Loading: from a tree to a typed project, in named passes. `docs/compose.md` has their order and the reason for it.
//!
//! Files are values: what a file names is asked for ([`Want`]), and the load is repeated with the answer.

use std::collections::{BTreeMap, BTreeSet};

use claw_types::diag::{Code, Diagnostic, Diagnostics, Reported};
use claw_types::span::{Source, Span};

pub(crate) mod canonical;
mod check;
mod conflicts;
pub mod dotenv;
pub mod environment;
mod extends;
pub mod files;
mod include;
pub(crate) mod interpolate;
mod judge;
mod layer;
mod merge;
mod mounts;
pub mod normal;
mod objects;
mod order;
pub mod paths;
mod ports;
pub mod profile;
mod tags;
mod unique;
pub mod words;

pub use files::{EnvFile, Files, Found, NoFiles, Want};
pub use interpolate::{Unset, VariableUse, variables};
pub use mounts::is_home;

use crate::model::{Project, Service};
use crate::shape::{Decoder, Shape};
use crate::template::{Lookup, Template};
use crate::yaml::{Kind, Node};
use files::Scope;
use layer::{Layer, Merger};

/// How files are loaded.
pub struct Options<'o> {
    /// Values of variables.
    pub lookup: &'o dyn Lookup,
    /// Scalars at these paths and places keep their variables: an environment value stays a template.
    pub keep: &'o dyn Fn(&[String], Span) -> bool,
    /// What the files name.
    pub files: &'o dyn Files,
    /// The project's name, where something stronger than the files gives one.
    pub name: Option<&'o str>,
    /// The name of the project's directory: its name where nobody gives one.
    pub directory: &'o str,
    /// What claw cannot carry out, and what has no effect, is told with what is wrong.
    pub judges: bool,
}

/// A file that is loaded because the user named it or it was found: its path from the project's directory, and its text.
pub type Main<'f> = (&'f str, &'f Source);

/// The passes, in order. `docs/compose.md` has what each does.
pub const PASSES: &[&str] = &[
    "parse",
    "tags",
    "interpolate",
    "extends",
    "include",
    "merge",
    "unique",
    "canonical",
    "decode",
    "profiles",
    "imply",
    "check",
];

/// All files as one, in the long syntax.
#[derive(Clone, Debug)]
pub struct Merged {
    /// The tree.
    pub tree: Node,
    /// The project's name.
    pub name: String,
    /// Variables that were taken as empty.
    pub unset: Vec<Unset>,
    /// Where messages about the whole project point.
    pub origin: Span,
}

/// A loaded project.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The typed model.
    pub project: Project,
    /// The tree after interpolation, short syntaxes written out: for keys that start with `x-`.
    pub tree: Node,
    /// Services that no profile and no name asked for: they are no part of the project, and no orphans either.
    pub disabled: BTreeMap<String, Service>,
}

/// Why files did not become one.
#[derive(Clone, Debug)]
pub enum Stop {
    /// These must be known first; nothing that was found counts.
    Wanted(BTreeSet<Want>),
    /// They cannot be merged; the reasons are recorded. What was made of them says which variables are not set.
    Broken(Box<Merged>, Reported),
    /// They are no compose files; the reasons are recorded.
    Reported(Reported),
}

impl From<Reported> for Stop {
    fn from(reported: Reported) -> Self {
        Stop::Reported(reported)
    }
}

/// Returns what several files say together, each over those before it.
///
/// # Errors
/// Where something must be known first, or the files are wrong; all reasons are in `diag`.
pub fn merge(mains: &[Main<'_>], options: &Options<'_>, diag: &mut Diagnostics) -> Result<Merged, Stop> {
    let mark = diag.mark();
    let origin = Span::start_of(mains.first().map_or(claw_types::span::FileId(0), |(_, source)| source.id));
    let name = project_name(mains, options);
    let mut merger = Merger::new(options);
    let mut tree = Node::map(Vec::new(), origin);
    for (index, (path, source)) in mains.iter().enumerate() {
        let scope = Scope { lookup: options.lookup, project: &name, own: None };
        let layer = Layer { path, source, directory: ".", includers: &[], scope };
        tree = merger.layer(tree, &layer, diag);
        if index + 1 < mains.len() {
            layer::schema(&tree, options, diag);
        }
    }
    if !merger.wanted.is_empty() {
        return Err(Stop::Wanted(merger.wanted));
    }
    if let Err(reported) = diag.finish(mark, ()) {
        // What else is wrong is told too, but for what follows from what was told.
        let told: Vec<Span> = diag.iter().map(|each| each.primary).collect();
        let mut more = Diagnostics::new();
        // What was too much to be read is too much to be judged.
        if diag.iter().all(|each| each.code != Code::YamlBudget) {
            layer::schema(&tree, options, &mut more);
        }
        let is_new = |each: &&Diagnostic| !told.iter().any(|span| span.meets(each.primary));
        more.iter().filter(is_new).cloned().for_each(|each| diag.push(each));
        let merged = Merged { tree, name, unset: merger.unset, origin };
        return Err(Stop::Broken(Box::new(merged), reported));
    }
    if name.is_empty() {
        let error = Diagnostic::error(Code::BadName, origin, "the project has no name");
        let help = "write `name:` with lower-case letters, digits, `-` and `_`, or say `-p NAME`";
        return Err(diag.report(error.help(help)).into());
    }
    if tree.entries().is_empty() {
        let error = Diagnostic::error(Code::MissingKey, tree.span, "the compose file is empty");
        return Err(diag.report(error.help(EMPTY_HELP)).into());
    }
    Ok(Merged { tree, name, unset: merger.unset, origin })
}

/// Returns the name of a project: the one given, else that of the last file that has one, else its directory's.
fn project_name(mains: &[Main<'_>], options: &Options<'_>) -> String {
    if let Some(name) = options.name {
        return name.to_owned();
    }
    let mut unused = Diagnostics::new();
    let mut found = None;
    for (_, source) in mains.iter().filter(|(_, source)| source.text.contains("name")) {
        for document in crate::yaml::documents(source, &mut unused).unwrap_or_default() {
            let Some(scalar) = document.get("name").and_then(Node::scalar) else { continue };
            let name =
                Template::parse(&scalar.text).ok().and_then(|name| name.resolve(options.lookup, &mut |_| {}).ok());
            found = match name.as_deref().filter(|name| !name.is_empty()) {
                // A name of which nothing is left is none, and no other stands for it.
                Some(name) => Some(normal_name(name).unwrap_or_default()),
                None => found,
            };
        }
    }
    found.or_else(|| normal_name(options.directory)).unwrap_or_default()
}

/// Returns the typed project of merged files: the services of no profile, of the profiles in `profiles`, and those in
/// `named` with the rest of their profiles. [`profile::profiles`] has the rules.
///
/// # Errors
/// Where they are no compose file; all reasons are in `diag`.
pub fn decode(
    merged: Merged,
    options: &Options<'_>,
    profiles: &[String],
    named: &[String],
    diag: &mut Diagnostics,
) -> Result<Loaded, Reported> {
    let mark = diag.mark();
    let Merged { mut tree, origin, .. } = merged;
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
    check::check(&project, &disabled, origin, diag);
    if options.judges {
        judge::judge(&project, origin, diag);
    }
    diag.finish(mark, Loaded { project, tree, disabled })
}

/// Returns the typed project of files; [`merge`] and [`decode`] in one.
///
/// # Errors
/// As theirs.
pub fn load(
    mains: &[Main<'_>],
    options: &Options<'_>,
    profiles: &[String],
    diag: &mut Diagnostics,
) -> Result<Loaded, Stop> {
    let merged = merge(mains, options, diag)?;
    Ok(decode(merged, options, profiles, &[], diag)?)
}

const EMPTY_HELP: &str = "begin with `services:`, and a service with `image:` or `build:` below it";

/// Returns whether a byte may be in the name of a service, a container, a volume.
pub(crate) fn is_name_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

/// Returns a project name as compose normalises it; nothing where nothing is left.
pub fn normal_name(text: &str) -> Option<String> {
    let is_kept = |each: &char| each.is_ascii_lowercase() || each.is_ascii_digit() || matches!(each, '-' | '_');
    let lower = text.to_lowercase();
    let kept: String = lower.chars().filter(is_kept).collect();
    let name = kept.trim_start_matches(['-', '_']);
    if name.is_empty() { None } else { Some(name.to_owned()) }
}
