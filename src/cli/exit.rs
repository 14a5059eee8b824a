//! Exit codes, and the errors that choose between them. `docs/cli.md` has the table.

use std::process::ExitCode;

use claw_engine::files::FileError;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done,
    /// An operation failed: disk, engine, network.
    Failed,
    /// What was given is wrong; nothing was written.
    Wrong,
    /// A finding, or a difference.
    Finding,
    /// Running, but not healthy.
    Unhealthy,
}

impl Exit {
    pub(crate) fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Wrong => 2,
            Exit::Finding => 3,
            Exit::Unhealthy => 4,
        })
    }
}

/// Why a command stopped, where no diagnostic says so.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// The host refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// The runtime inside this executable stopped.
    #[error(transparent)]
    Reference(#[from] claw_reference::ReferenceError),
    /// The async runtime cannot start.
    #[error("cannot start: {0}")]
    Start(std::io::Error),
    /// The engine refused.
    #[error(transparent)]
    Engine(#[from] claw_engine::docker::EngineError),
    /// The pod could not be brought up.
    #[error(transparent)]
    Apply(#[from] claw_engine::apply::ApplyError),
    /// The shim could not do what it was told.
    #[error("{0}")]
    Shim(std::io::Error),
    /// There is no pod file.
    #[error("there is no pod file here: no `claw-pod.yml`, `compose.yaml` or `docker-compose.yml`")]
    NoPodFile,
    /// A file named on the command line is not there.
    #[error("`{0}` is not a readable file")]
    NoFile(String),
    /// Arguments that do not fit together.
    #[error("{0}")]
    Usage(String),
    /// The command is not there yet.
    #[error("claw does not carry out `{0}` yet")]
    NotYet(String),
}

impl CommandError {
    pub(crate) fn exit(&self) -> Exit {
        match self {
            CommandError::File(_)
            | CommandError::Reference(_)
            | CommandError::Engine(_)
            | CommandError::Apply(_)
            | CommandError::Shim(_)
            | CommandError::Start(_) => Exit::Failed,
            CommandError::NoPodFile | CommandError::NoFile(_) | CommandError::Usage(_) | CommandError::NotYet(_) => {
                Exit::Wrong
            }
        }
    }

    /// Returns what to do, where it is known.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            CommandError::NoPodFile => Some("name one with `-f FILE`, or go to the directory that has it"),
            CommandError::NotYet(_) => Some("`claw compile` writes a plain compose file that docker compose runs"),
            _ => None,
        }
    }
}
