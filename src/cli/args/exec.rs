//! Arguments of commands that run inside containers: `exec` and `run`.

use clap::Args;

use super::Mode;

/// How a command runs inside a container.
#[derive(Args, Debug)]
pub(crate) struct Inside {
    /// No terminal, whatever standard input is
    #[arg(short = 'T', long = "no-tty")]
    pub(crate) no_tty: bool,
    /// Accepted as docker does: a terminal and standard input are there where they are here
    #[arg(short, long, hide = true)]
    interactive: bool,
    #[arg(short, long, hide = true)]
    tty: bool,
    /// As whom [default: the container's user]
    #[arg(short, long)]
    pub(crate) user: Option<String>,
    /// Where [default: the container's directory]
    #[arg(short, long, value_name = "DIR")]
    pub(crate) workdir: Option<String>,
    /// Variables of the command; without a value, as they are here
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
}

impl Inside {
    /// Returns the variables that are given; one that has no value and is not set here is left out.
    pub(crate) fn environment(&self) -> impl Iterator<Item = (String, String)> {
        self.env.iter().filter_map(|text| match text.split_once('=') {
            Some((name, value)) => Some((name.to_owned(), value.to_owned())),
            None => Some((text.clone(), std::env::var(text).ok()?)),
        })
    }
}

#[derive(Args, Debug)]
pub(crate) struct ExecArgs {
    #[command(flatten)]
    pub(crate) inside: Inside,
    /// With all privileges
    #[arg(long)]
    pub(crate) privileged: bool,
    /// Which container of the service
    #[arg(long, default_value_t = 1)]
    pub(crate) index: u32,
    /// `worker`: in the agent's worker
    #[arg(long, value_enum, value_name = "MODE", default_value = "agent", hide_default_value = true)]
    pub(crate) mode: Mode,
    /// The service
    pub(crate) service: String,
    /// The command
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) command: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    /// Return at once and print the container's name
    #[arg(short, long, conflicts_with = "remove")]
    pub(crate) detach: bool,
    /// Remove the container afterwards
    #[arg(long = "rm")]
    pub(crate) remove: bool,
    #[command(flatten)]
    pub(crate) inside: Inside,
    /// Run this instead of the service's entrypoint
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) entrypoint: Option<String>,
    /// The container's name
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Publish the service's ports
    #[arg(long)]
    pub(crate) service_ports: bool,
    /// Build its image before
    #[arg(long)]
    pub(crate) build: bool,
    /// Leave what the service depends on
    #[arg(long)]
    pub(crate) no_deps: bool,
    /// The service
    pub(crate) service: String,
    /// The command [default: the service's own]
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) command: Vec<String>,
}
