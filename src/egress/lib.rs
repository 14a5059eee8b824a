//! The gate of a pod: the only way out that its agents have.
//!
//! It stands on every agent's own network and knows by the address it was reached at whose network that is. A connection names
//! its host in one of four ways — `CONNECT`, a request to a proxy, the name inside TLS's first message, or a port that one
//! rule of the agent has — and is judged by that agent's rules, resolved here, and refused where the address is not the
//! outside's. What is inside TLS is not looked at. Names that no rule allows do not exist.

pub mod address;
mod audit;
pub mod dns;
mod gate;
pub mod head;
mod relay;
pub mod rules;
mod serve;
pub mod sni;

use std::path::PathBuf;

pub use gate::Resolver;
pub use serve::serve;

pub use claw_types::gate::{PROXY_PORT, READY};

/// What a gate is told.
#[derive(Debug)]
pub struct Options {
    /// The file of its rules; read again when it changes.
    pub rules: PathBuf,
    /// Where it listens for those outside, at the ports that lead to agents: `0.0.0.0`.
    pub listen: std::net::IpAddr,
    /// Where it says that it is ready.
    pub ready: String,
    /// How names are resolved.
    pub resolver: Resolver,
}

/// Why a gate does not run.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// The rules cannot be read.
    #[error("the rules in `{path}` cannot be read: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the host said.
        source: std::io::Error,
    },
    /// The rules are none.
    #[error("the rules in `{path}` are wrong: {why}")]
    Rules {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A port cannot be had.
    #[error("cannot listen at `{address}`: {source}")]
    Listen {
        /// The address.
        address: String,
        /// What the host said.
        source: std::io::Error,
    },
}
