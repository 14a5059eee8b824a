//! From files to one canonical tree: each document of each file goes through the passes and over what came before it.

use std::collections::{BTreeMap, BTreeSet};

use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::span::{Source, Span};

use super::extends::Base;
use super::files::{Scope, Want};
use super::interpolate::{Interpolation, Unset};
use super::{Options, canonical, merge, tags, unique};
use crate::model::Project;
use crate::shape::{Decoder, Shape};
use crate::trail::Trail;
use crate::yaml::{self, Kind, Node};

/// The most nodes that `extends` may copy.
const COPY_BUDGET: usize = 2_000_000;

/// A compose file on its way.
#[derive(Clone, Copy)]
pub(crate) struct Layer<'f> {
    /// Where it lies.
    pub(crate) path: &'f str,
    pub(crate) source: &'f Source,
    /// The directory its relative paths start from, seen from the project's.
    pub(crate) directory: &'f str,
    /// The files that include it, the outermost first.
    pub(crate) includers: &'f [String],
    pub(crate) scope: Scope<'f>,
}

/// What merging knows of all files.
pub(crate) struct Merger<'o> {
    pub(crate) options: &'o Options<'o>,
    /// What must be known for the result to count.
    pub(crate) wanted: BTreeSet<Want>,
    pub(crate) unset: Vec<Unset>,
    /// Files that services were extended from, by path and scope.
    pub(crate) bases: BTreeMap<(String, String), Base>,
    pub(crate) copied: usize,
}

impl<'o> Merger<'o> {
    pub(crate) fn new(options: &'o Options<'o>) -> Self {
        Self { options, wanted: BTreeSet::new(), unset: Vec::new(), bases: BTreeMap::new(), copied: 0 }
    }

    /// Returns what a file says over what was said before.
    pub(crate) fn layer(&mut self, mut said: Node, layer: &Layer<'_>, diag: &mut Diagnostics) -> Node {
        let Ok(documents) = yaml::documents(layer.source, diag) else { return said };
        for mut document in documents {
            if !is_file(&document, diag) {
                continue;
            }
            let cleared = tags::take(&mut document);
            self.interpolate(&mut document, layer, diag);
            self.extends(&mut document, layer, &cleared, diag);
            tags::clear(&mut said, &cleared);
            self.include(&mut document, layer, diag);
            said = if said.entries().is_empty() { document } else { merge::merge(said, document, diag) };
            said = settle(said, diag);
        }
        said
    }

    pub(crate) fn interpolate(&mut self, document: &mut Node, layer: &Layer<'_>, diag: &mut Diagnostics) {
        let mut pass = Interpolation {
            source: layer.source,
            scope: &layer.scope,
            keep: self.options.keep,
            unset: &mut self.unset,
        };
        pass.run(document, &mut Trail::default(), diag);
    }

    /// Counts nodes that are copied; returns whether there may be more.
    pub(crate) fn copy(&mut self, node: &Node, at: Span, diag: &mut Diagnostics) -> bool {
        let was_within = self.copied <= COPY_BUDGET;
        self.copied += node.count();
        if self.copied > COPY_BUDGET && was_within {
            let message = format!("`extends` copies more than {COPY_BUDGET} nodes");
            let help = "services that extend services that extend services multiply; write some of them out";
            diag.push(Diagnostic::error(Code::YamlBudget, at, message).help(help));
        }
        self.copied <= COPY_BUDGET
    }
}

/// Judges a file by the schema alone, as compose does after each file: what a later one takes away was wrong all the same.
pub(crate) fn schema(said: &Node, options: &Options<'_>, diag: &mut Diagnostics) {
    Project::decode(said, &mut Decoder::new(diag, options.keep));
}

/// Returns a tree in which each thing stands once, in its long syntax.
pub(crate) fn settle(mut said: Node, diag: &mut Diagnostics) -> Node {
    unique::unique(&mut said);
    let mut said = canonical::canonical(said, diag);
    // A range of ports is several only now.
    unique::unique(&mut said);
    said
}

fn is_file(document: &Node, diag: &mut Diagnostics) -> bool {
    if !matches!(document.kind, Kind::Map(_)) {
        let message = format!("a compose file must be a mapping, and this is {}", document.type_name());
        diag.push(Diagnostic::error(Code::WrongType, document.span, message).help(super::EMPTY_HELP));
        return false;
    }
    if let Some(services) = document.entry("services").filter(|entry| entry.value.is_null()) {
        let message = "`services` must be a mapping, and is nothing";
        diag.push(Diagnostic::error(Code::WrongType, services.key_span, message).help("add a service, or take it out"));
    }
    true
}
