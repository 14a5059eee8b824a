//! Clawfile and claw-pod.yml in, plan out. Pure: what must be read or inspected is asked for and comes in as facts.
#![deny(clippy::disallowed_methods, clippy::disallowed_types, clippy::iter_over_hash_type)]

pub mod clawfile;
pub mod emit;
