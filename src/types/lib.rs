//! The vocabulary of claw: the words every other crate uses, and nothing that acts.
//!
//! Pure: no file, clock, environment, process or hash order (R3 in `docs/architecture.md`). No secret value has a type here.
#![deny(clippy::disallowed_methods, clippy::disallowed_types, clippy::iter_over_hash_type)]

pub mod diag;
pub mod span;
