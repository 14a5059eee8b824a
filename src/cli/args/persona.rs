//! Arguments of `claw persona`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What to do with personas.
#[derive(Debug, Subcommand)]
pub(crate) enum Persona {
    /// Write what an agent has made of its persona into a file or a directory
    #[command(after_help = "Example: claw persona snapshot writer -o personas/writer")]
    Snapshot {
        /// The agent
        agent: String,
        /// A tar where it ends in `.tar`, else a directory; not there yet [default: AGENT-persona.tar]
        #[arg(short, long, value_name = "DIR|FILE")]
        output: Option<PathBuf>,
    },
    /// Put what an agent has made of its persona, or a directory, into a registry
    #[command(
        after_help = "Example: claw persona push writer ghcr.io/acme/writer:2\nExample: claw persona push ./personas/writer file://dist/writer"
    )]
    Push {
        /// The agent; or a path, which begins with `.` or has a `/`
        #[arg(value_name = "AGENT|PATH")]
        subject: String,
        /// `host/name:tag`, or `file://DIR` for an OCI layout
        reference: String,
        /// Speak plain HTTP to the registry; nobody logs in then, but on this machine
        #[arg(long)]
        plain_http: bool,
    },
    /// Fetch a persona; or, with --reset, have an agent begin anew with the one the pod names
    #[command(
        after_help = "Example: claw persona pull ghcr.io/acme/writer:2 -o personas/writer\nExample: claw persona pull --reset writer"
    )]
    Pull(PullArgs),
}

#[derive(Args, Debug)]
pub(crate) struct PullArgs {
    /// `host/name:tag`, `file://PATH`, or an agent
    #[arg(value_name = "REF|AGENT")]
    pub(crate) subject: String,
    /// Write its files: a tar where it ends in `.tar`, else a directory; not there yet
    #[arg(short, long, value_name = "DIR|FILE", conflicts_with = "reset")]
    pub(crate) output: Option<PathBuf>,
    /// Copy the pod's persona over what the agent has made of its own, which is lost
    #[arg(long)]
    pub(crate) reset: bool,
    /// Without a question
    #[arg(short, long, requires = "reset")]
    pub(crate) yes: bool,
    /// Speak plain HTTP to the registry; nobody logs in then, but on this machine
    #[arg(long)]
    pub(crate) plain_http: bool,
}
