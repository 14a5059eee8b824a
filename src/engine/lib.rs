//! The only crate that touches the host and the Docker engine: reads inputs, answers needs, writes files, carries out steps.

pub mod apply;
pub mod container;
mod context;
pub mod docker;
pub mod files;
pub mod gather;
pub mod pack;
