//! The drivers: one folder per agent runtime, and the list of them.
//!
//! A driver is facts and pure functions. It opens no file and no engine, names no other driver, and writes structured
//! configuration as `Doc`. Adding one is a folder here, its `mod` line and its entry in [`ALL`]; the conformance suite in
//! `tests/` runs over it from then on.
#![deny(clippy::disallowed_methods, clippy::disallowed_types, clippy::iter_over_hash_type)]

use claw_types::driver::Driver;

#[path = "claude-agent-sdk/mod.rs"]
mod claude_agent_sdk;
mod common;
mod generic;
mod hermes;
mod microclaw;
mod nanobot;
mod nullclaw;
mod openclaw;
mod picoclaw;
mod reference;
mod zeroclaw;

/// Every driver, in the order of their names.
pub const ALL: &[&dyn Driver] = &[
    &claude_agent_sdk::ClaudeAgentSdk,
    &generic::Generic,
    &hermes::Hermes,
    &microclaw::Microclaw,
    &nanobot::Nanobot,
    &nullclaw::Nullclaw,
    &openclaw::Openclaw,
    &picoclaw::Picoclaw,
    &reference::Reference,
    &zeroclaw::Zeroclaw,
];

/// Returns the driver of a runtime, by any of its names.
pub fn find(runtime: &str) -> Option<&'static dyn Driver> {
    ALL.iter().copied().find(|driver| driver.facts().is_called(runtime))
}

/// Returns the names that runtimes have, those they take beside their own too, in order.
pub fn names() -> Vec<&'static str> {
    let mut names: Vec<&str> = ALL.iter().flat_map(|driver| driver.facts().names()).collect();
    names.sort_unstable();
    names
}
