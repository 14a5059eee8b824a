//! Arguments, as clap reads them.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Compiles and checks pods of AI agents: one Clawfile, one claw-pod.yml.
#[derive(Debug, Parser)]
#[command(
    name = "claw",
    version,
    disable_help_subcommand = true,
    after_help = "Example: claw check && claw up -d --wait && claw ps"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Args, Debug)]
pub(crate) struct Global {
    /// Pod file [default: claw-pod.yml, claw-pod.yaml, then compose's names]
    #[arg(short, long = "file", value_name = "FILE", global = true)]
    pub(crate) file: Vec<PathBuf>,
    /// Project name
    #[arg(short, long = "project-name", value_name = "NAME", global = true)]
    pub(crate) project_name: Option<String>,
    /// File of variables, instead of .env
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) env_file: Vec<PathBuf>,
    /// Directory that relative paths start from
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) project_directory: Option<PathBuf>,
    /// How results are printed
    #[arg(long, value_enum, default_value = "text", global = true)]
    pub(crate) format: Format,
    /// Short for --format json
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Refusals for agents become warnings
    #[arg(long, global = true)]
    pub(crate) compat: bool,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// Compose's own form; `config` only.
    Yaml,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Compile a Clawfile to a Dockerfile
    Build {
        /// Print the Dockerfile; nothing is written or built
        #[arg(long)]
        emit: bool,
        /// Directory of the Clawfile
        #[arg(value_name = "CONTEXT")]
        context: Option<PathBuf>,
    },
    /// All diagnostics of the compiler and of the audit
    Check {
        /// Warnings are errors
        #[arg(long)]
        strict: bool,
    },
    /// Write the hardened compose file and every generated file
    Compile {
        /// Directory to write to [default: the pod's own]
        #[arg(short, long, value_name = "DIR")]
        output: Option<PathBuf>,
    },
    /// The pod file as loaded: interpolated, in the long syntax
    Config,
    /// What a diagnostic means
    Explain {
        /// Its name, such as `unset-variable`
        code: String,
    },
    /// Converge: build, create and start what differs from the pod file
    Up {
        /// Return once everything is started
        #[arg(short, long)]
        detach: bool,
        /// Return once everything is healthy
        #[arg(long)]
        wait: bool,
    },
    /// What `up` would do, and why
    Plan {
        /// Exit with 3 where there is something to do
        #[arg(long)]
        exit_code: bool,
    },
    /// Remove the pod's containers and networks
    Down {
        /// Volumes and generated files too
        #[arg(short, long)]
        volumes: bool,
    },
    /// What runs
    Ps,
    /// What the pod's containers printed, in the order of time
    Logs,
    /// How the agents are
    Health,
    /// Send one message to an agent and print its answer
    Ask {
        /// The agent
        agent: String,
        /// The message
        text: String,
    },
    /// The version
    Version,
    /// What runs inside containers on claw's behalf
    #[command(hide = true)]
    Shim {
        #[command(subcommand)]
        command: Shim,
    },
    /// The small agent runtime inside this executable
    Reference {
        #[command(subcommand)]
        command: Reference,
    },
    /// Commands of later versions
    #[command(external_subcommand)]
    Other(Vec<String>),
}

/// What runs inside containers on claw's behalf.
#[derive(Debug, Subcommand)]
pub(crate) enum Shim {
    /// Make a new volume belong to an agent
    Own {
        /// User and group: UID:GID
        owner: String,
        /// The volume's directory
        path: PathBuf,
    },
}

/// What runs inside containers of the runtime `reference`.
#[derive(Debug, Subcommand)]
pub(crate) enum Reference {
    /// Run an agent
    Serve {
        /// Its configuration
        #[arg(default_value = "/claw/reference.json")]
        manifest: String,
    },
    /// Run a model provider that answers by rule
    Provider {
        /// Address and port
        #[arg(long, default_value = "127.0.0.1:8701")]
        listen: String,
    },
    /// Print the health of the agent in this container
    Health,
    /// Send a message to the agent in this container
    Ask {
        /// The message
        text: String,
    },
}

/// Returns the arguments of the process.
pub(crate) fn parse() -> Result<Arguments, clap::Error> {
    let mut arguments = Arguments::try_parse()?;
    if arguments.global.json {
        arguments.global.format = Format::Json;
    }
    Ok(arguments)
}
