//! Arguments of the governance proxy and of what it writes down.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// The governance proxy.
#[derive(Debug, Subcommand)]
pub(crate) enum Cllama {
    /// Run the proxy of a pod: what its container does
    #[command(after_help = "Example: claw cllama serve --manifest cllama.json --ledger ./ledger")]
    Serve(ServeArgs),
    /// Print the address of the operators' page with its token in it, for a browser
    #[command(after_help = "Example: xdg-open \"$(claw cllama url)\"")]
    Url,
    /// Print the table of prices that comes with this claw
    #[command(after_help = "Example: claw cllama prices > prices.json")]
    Prices,
    /// Print what the proxy of this container knows of costs
    #[command(hide = true)]
    Costs {
        /// `agent`, `model` or `day`
        #[arg(long, default_value = "agent")]
        by: String,
    },
    /// Fill a ledger with rows: for the benchmark
    #[command(hide = true)]
    LedgerFill {
        /// The directory
        #[arg(long)]
        ledger: PathBuf,
        /// How many
        #[arg(long)]
        rows: u64,
    },
}

/// What the proxy of a pod is told.
#[derive(Args, Debug)]
pub(crate) struct ServeArgs {
    /// What claw tells the proxy
    #[arg(long, value_name = "FILE", default_value = "/claw/cllama.json")]
    pub(crate) manifest: PathBuf,
    /// Where agents are served
    #[arg(long, default_value = "0.0.0.0:8080")]
    pub(crate) listen: String,
    /// Where operators are served
    #[arg(long, default_value = "0.0.0.0:8081")]
    pub(crate) admin: String,
    /// The directory of the ledger
    #[arg(long, value_name = "DIR", default_value = "/var/lib/cllama")]
    pub(crate) ledger: PathBuf,
    /// The file with the operators' token [default: that of the container, where there is one]
    #[arg(long, value_name = "FILE")]
    pub(crate) ui_token: Option<PathBuf>,
    /// The file with the token that may only look
    #[arg(long, value_name = "FILE")]
    pub(crate) master_token: Option<PathBuf>,
}

/// How costs are summed up.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum By {
    /// By agent
    Agent,
    /// By model
    Model,
    /// By day, in UTC
    Day,
}

impl By {
    /// Returns the word.
    pub(crate) fn name(self) -> &'static str {
        match self {
            By::Agent => "agent",
            By::Model => "model",
            By::Day => "day",
        }
    }
}

/// What is read of the audit.
#[derive(Args, Debug)]
pub(crate) struct AuditArgs {
    /// Nothing older: `10m`, `2h`, an RFC 3339 time, or Unix time in seconds
    #[arg(long, value_name = "TIME", value_parser = super::moment)]
    pub(crate) since: Option<i64>,
    /// Only events of these types, divided by commas: response, error, intervention, egress_denied, …
    #[arg(long = "type", value_name = "TYPES", value_delimiter = ',')]
    pub(crate) types: Vec<String>,
    /// What calls cost, instead of events: from the ledger
    #[arg(long)]
    pub(crate) costs: bool,
    /// How costs are summed up
    #[arg(long, value_enum, requires = "costs", default_value_t = By::Agent)]
    pub(crate) by: By,
    /// Agents, or services [default: all]
    pub(crate) services: Vec<String>,
}
