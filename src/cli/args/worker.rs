//! Arguments of worker mode.

use clap::{Args, ValueEnum};

/// Which container of an agent is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// The agent itself.
    #[default]
    Agent,
    /// Its unhardened sibling.
    Worker,
}

#[derive(Args, Debug)]
pub(crate) struct BakeArgs {
    /// Write without a question
    #[arg(short, long, conflicts_with = "dry_run")]
    pub(crate) yes: bool,
    /// Print the change as a diff; nothing is written
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// The agent
    pub(crate) agent: String,
}

#[derive(Args, Debug)]
pub(crate) struct SnapshotArgs {
    /// Name of the image [default: POD-AGENT:snapshot]
    #[arg(short, long, value_name = "TAG")]
    pub(crate) tag: Option<String>,
    /// The agent
    pub(crate) agent: String,
}
