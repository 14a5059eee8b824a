//! The only crate that touches the host: reads inputs, answers needs, writes files.

pub mod files;
pub mod gather;
