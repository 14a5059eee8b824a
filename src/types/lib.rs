//! The vocabulary of claw: the words every other crate uses, and nothing that acts.
//!
//! Pure: no file, clock, environment, process or hash order (R3 in `docs/architecture.md`). No secret value has a type here.
#![deny(clippy::disallowed_methods, clippy::disallowed_types, clippy::iter_over_hash_type)]

pub mod agent;
pub mod diag;
pub mod doc;
pub mod driver;
pub mod files;
pub mod gate;
pub mod id;
pub mod image;
pub mod path;
pub mod persona;
pub mod platform;
pub mod provider;
pub mod roster;
pub mod secret;
pub mod span;
pub mod standing;
pub mod toml;
pub mod track;
