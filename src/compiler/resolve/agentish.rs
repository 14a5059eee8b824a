//! A service while it is not yet decided whether it is an agent: its `x-claw`, with the pod's defaults under it.

use claw_compose::load::Loaded;
use claw_compose::model::Service;
use claw_compose::shape::{Decoder, Shape};
use claw_compose::yaml::{Entry, Kind, Node};
use claw_types::diag::Diagnostics;

use crate::pod::AgentBlock;

/// A service while it is not yet decided whether it is an agent.
pub(crate) struct Agentish<'l> {
    pub(crate) name: &'l str,
    pub(crate) service: Option<&'l Service>,
    /// Its own text, short syntaxes written out.
    pub(crate) tree: Option<&'l Node>,
    /// Its `x-claw`, the pod's defaults merged under it.
    pub(crate) block: Option<Node>,
    /// It is an agent, as far as what is known tells.
    pub(crate) is_agent: bool,
}

impl<'l> Agentish<'l> {
    pub(crate) fn new(loaded: &'l Loaded, name: &'l str, is_agent: bool) -> Self {
        let tree = loaded.tree.get("services").and_then(|all| all.get(name));
        let own = tree.and_then(|service| service.get("x-claw"));
        let defaults = defaults(loaded.tree.get("x-claw").filter(|_| is_agent));
        let block = match (own, defaults) {
            (Some(own), Some(defaults)) => Some(merged(own, &defaults)),
            (own, defaults) => own.cloned().or(defaults),
        };
        Self { name, service: loaded.project.services.get(name), tree, block, is_agent }
    }

    /// Returns the context and the build file of its build.
    pub(crate) fn build_key(&self) -> Option<(String, Option<String>)> {
        let build = self.service?.build.as_ref()?;
        Some((build.context.clone().unwrap_or_else(|| ".".to_owned()), build.dockerfile.clone()))
    }

    /// Returns its `x-claw` as types. What is wrong with the pod's defaults is said once, where they stand.
    pub(crate) fn decode(&self, diag: &mut Diagnostics) -> AgentBlock {
        let read = |node: &Node, diag: &mut Diagnostics| {
            let mut decoder = Decoder::new(diag, &crate::facts::keeps_at).taking_nothing();
            let at = |cx: &mut Decoder<'_>| cx.at("x-claw", |cx| AgentBlock::decode(node, cx));
            decoder.at("services", |cx| cx.at(self.name, at))
        };
        if let Some(own) = self.tree.and_then(|tree| tree.get("x-claw")) {
            read(own, diag);
        }
        self.block.as_ref().and_then(|block| read(block, &mut Diagnostics::new())).unwrap_or_default()
    }
}

/// Returns the defaults for services in the `x-claw` at the top; nothing where there are none.
pub(crate) fn defaults(top: Option<&Node>) -> Option<Node> {
    let top = top?;
    let is_default = |entry: &&Entry| AgentBlock::KEYS.contains(&entry.key.as_str());
    let entries: Vec<Entry> = top.entries().iter().filter(is_default).cloned().collect();
    if entries.is_empty() { None } else { Some(Node::map(entries, top.span)) }
}

/// Returns a service's block over the defaults: models by slot, handles by platform, variables by name, invocations added;
/// every other key as a whole.
fn merged(own: &Node, defaults: &Node) -> Node {
    let Kind::Map(_) = own.kind else { return if own.is_null() { defaults.clone() } else { own.clone() } };
    let mut entries: Vec<Entry> = own.entries().to_vec();
    for default in defaults.entries() {
        let Some(mine) = entries.iter_mut().find(|mine| mine.key == default.key) else {
            entries.push(default.clone());
            continue;
        };
        if mine.value.is_null() {
            mine.value = default.value.clone();
            continue;
        }
        match (default.key.as_str(), &mut mine.value.kind, &default.value.kind) {
            ("models" | "handles" | "cllama-env", Kind::Map(mine), Kind::Map(below)) => {
                let is_mine = |key: &str| mine.iter().any(|entry| entry.key.eq_ignore_ascii_case(key));
                let below: Vec<Entry> = below.iter().filter(|entry| !is_mine(&entry.key)).cloned().collect();
                mine.extend(below);
            }
            // An empty list takes everything away that was below it.
            ("invoke", Kind::Seq(mine), Kind::Seq(below)) if !mine.is_empty() => {
                mine.splice(0..0, below.iter().cloned());
            }
            _ => {}
        }
    }
    Node::map(entries, own.span)
}
