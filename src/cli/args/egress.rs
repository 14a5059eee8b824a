//! Arguments of the gate.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// The gate.
#[derive(Debug, Subcommand)]
pub(crate) enum Egress {
    /// Run the gate of a pod: what its container does
    #[command(after_help = "Example: claw egress serve --rules egress.json")]
    Serve(GateArgs),
}

/// What the gate of a pod is told.
#[derive(Args, Debug)]
pub(crate) struct GateArgs {
    /// What each agent may reach; read again when it changes
    #[arg(long, value_name = "FILE", default_value = "/claw/egress.json")]
    pub(crate) rules: PathBuf,
    /// Where those outside are heard who come to agents' published ports
    #[arg(long, default_value = "0.0.0.0")]
    pub(crate) listen: std::net::IpAddr,
    /// Where it says that it is ready
    #[arg(long, default_value = claw_egress::READY)]
    pub(crate) ready: String,
}
