//! cllama: the governance proxy between the agents of a pod and their model providers.
//!
//! A call is identified, read, judged, reserved, sent, answered and settled, in this order. It knows its manifest and nothing
//! of pods, YAML or Docker. `wire`, `budget`, `brake`, `pool`, `price`, `policy`, `account` and `convert` are pure.

mod account;
mod admin;
mod app;
mod audit;
mod auth;
pub mod brake;
pub mod budget;
mod calendar;
mod call;
pub mod client;
pub mod convert;
mod dispatch;
mod door;
mod fault;
mod hook;
pub mod ledger;
mod limits;
mod live;
pub mod manifest;
mod metrics;
pub mod money;
mod policy;
mod pool;
pub mod price;
mod relay;
mod room;
mod secret;
mod serve;
mod state;
mod tools;
mod upstream;
pub mod wire;

use std::path::PathBuf;

pub use serve::serve;

/// Where the proxy listens, and what it reads.
#[derive(Clone, Debug)]
pub struct Options {
    /// The manifest.
    pub manifest: PathBuf,
    /// The agents' side.
    pub listen: String,
    /// The operators' side.
    pub admin: String,
    /// The ledger's directory.
    pub ledger: PathBuf,
    /// The file with the operators' token.
    pub ui_token: Option<PathBuf>,
    /// The file with the token of the pod's master.
    pub master_token: Option<PathBuf>,
}

/// Why the proxy stopped or could not start.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// A file cannot be read.
    #[error("`{path}`: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the host said.
        source: std::io::Error,
    },
    /// The manifest cannot be used.
    #[error("the manifest: {0}")]
    Manifest(#[from] manifest::BadManifest),
    /// The table of prices cannot be used.
    #[error("the table of prices: {0}")]
    Prices(#[from] price::BadPrices),
    /// The ledger cannot be used.
    #[error("the ledger: {0}")]
    Ledger(#[from] ledger::LedgerError),
    /// The address cannot be listened on.
    #[error("cannot listen on `{address}`: {source}")]
    Listen {
        /// Which.
        address: String,
        /// What the host said.
        source: std::io::Error,
    },
    /// TLS cannot be set up.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The host refuses a thread or a signal.
    #[error("{0}")]
    Host(#[from] std::io::Error),
    /// The proxy that runs does not answer, or refuses.
    #[error("the proxy {0}")]
    Silent(String),
}
