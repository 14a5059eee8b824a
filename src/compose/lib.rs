//! Compose text to a typed model and back. Knows nothing of agents: `x-…` keys are kept as trees for whoever reads them.
//!
//! Pure: files and variables come in as values. The passes and their order are in `docs/compose.md`.
#![deny(clippy::disallowed_methods, clippy::disallowed_types, clippy::iter_over_hash_type)]

pub mod hash;
pub mod load;
pub mod model;
pub mod print;
pub mod shape;
pub mod template;
pub mod trail;
pub mod units;
pub mod value;
pub mod write;
pub mod yaml;
