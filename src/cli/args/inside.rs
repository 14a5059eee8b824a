//! Arguments of what runs inside containers.

use clap::Subcommand;

/// What runs inside containers on claw's behalf.
#[derive(Debug, Subcommand)]
pub(crate) enum Shim {
    /// Make new volumes and sealed files belong to agents
    Own {
        /// `UID:GID=PATH`
        #[arg(required = true)]
        owners: Vec<String>,
    },
    /// Take away what is in a directory, and leave the directory
    Empty {
        /// The directory
        directory: std::path::PathBuf,
    },
    /// Ask a health page of this container
    Probe {
        /// `http://127.0.0.1:PORT/PATH`
        url: String,
    },
    /// Say something to a chat of this container over a WebSocket, and print the answer
    Chat {
        /// `http://127.0.0.1:PORT/PATH` without the name of the conversation
        url: String,
        /// The file of the token
        token: std::path::PathBuf,
        /// The conversation, the end of the address
        conversation: String,
        /// What is said
        text: String,
    },
    /// Ask an MCP server which tools it has
    Tools {
        /// `http://SERVICE:PORT/PATH`
        url: String,
    },
    /// Do nothing until the container is stopped
    Idle,
    /// Run a package manager of a worker, and write down what it changes
    Track {
        /// The program's name: `apt-get`, `pip`, `npm`, …
        program: String,
        /// Its arguments
        #[arg(last = true)]
        words: Vec<std::ffi::OsString>,
    },
    /// Put secrets into the environment of a program and become it
    Exec {
        /// `VARIABLE=PATH` of each secret
        variables: Vec<String>,
        /// The program and its arguments
        #[arg(last = true, required = true)]
        program: Vec<String>,
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
        /// Append each request to a file, keys and all: for tests
        #[arg(long, value_name = "FILE")]
        record: Option<String>,
    },
    /// Print the health of the agent in this container
    Health,
    /// Print the configuration as the agent in this container reads it
    Reading {
        /// Its configuration
        #[arg(default_value = "/claw/reference.json")]
        manifest: String,
    },
    /// Have the agent in this container take nothing new, and wait until it has done what it had begun
    Drain,
    /// Send a message to the agent in this container
    Ask {
        /// The conversation it is part of
        #[arg(long, default_value = "main")]
        conversation: String,
        /// The message
        text: String,
    },
}
