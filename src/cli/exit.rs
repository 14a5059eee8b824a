//! Exit codes, and the errors that choose between them. `docs/cli.md` has the table.

use std::process::ExitCode;

use claw_engine::apply::ApplyError;
use claw_engine::files::FileError;
use claw_engine::gather::GatherError;

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
    /// Interrupted.
    Interrupted,
    /// What a container's program would have ended with, had it started.
    Program(u8),
}

impl Exit {
    pub(crate) fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Wrong => 2,
            Exit::Finding => 3,
            Exit::Unhealthy => 4,
            Exit::Interrupted => 130,
            Exit::Program(code) => code,
        })
    }
}

/// Why a command stopped, where no diagnostic says so.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// The host refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file that the project names cannot be read.
    #[error(transparent)]
    Project(#[from] claw_engine::project::ProjectError),
    /// The runtime inside this executable stopped.
    #[error(transparent)]
    Reference(#[from] claw_reference::ReferenceError),
    /// The proxy inside this executable stopped, or cannot be asked.
    #[error(transparent)]
    Proxy(#[from] claw_proxy::ProxyError),
    /// The gate does not run.
    #[error(transparent)]
    Gate(#[from] claw_egress::GateError),
    /// The async runtime cannot start.
    #[error("cannot start: {0}")]
    Start(std::io::Error),
    /// The engine refused.
    #[error(transparent)]
    Engine(#[from] claw_engine::docker::EngineError),
    /// The pod could not be brought up.
    #[error(transparent)]
    Apply(ApplyError),
    /// Another run works on the pod.
    #[error(transparent)]
    Lock(#[from] claw_engine::lock::LockError),
    /// A secret has no value, or cannot be kept.
    #[error(transparent)]
    Vault(#[from] claw_engine::vault::VaultError),
    /// The pod could not be brought up, after some of it was done.
    #[error("{source} (after {done} of {all} steps)")]
    Halfway {
        /// How many steps were carried out.
        done: usize,
        /// How many there are.
        all: usize,
        /// Why it stopped.
        source: Box<ApplyError>,
    },
    /// The shim could not do what it was told.
    #[error("{0}")]
    Shim(std::io::Error),
    /// A persona cannot be used.
    #[error("the persona `{0}` {1}")]
    Persona(String, claw_engine::persona::PersonaError),
    /// Nothing was tried.
    #[error(transparent)]
    Hostile(#[from] claw_hostile::HostileError),
    /// What this host enforces cannot be found out.
    #[error("`claw doctor --deep` needs {0}")]
    Deep(String),
    /// The shim could not become a program.
    #[error(transparent)]
    Exec(claw_shim::ExecError),
    /// There is no pod file.
    #[error("there is no pod file here: no `claw-pod.yml`, `compose.yaml` or `docker-compose.yml`")]
    NoPodFile,
    /// A file named on the command line is not there, or is no text.
    #[error("`{0}` {1}")]
    NoFile(String, &'static str),
    /// Arguments that do not fit together.
    #[error("{0}")]
    Usage(String),
    /// The command is not there yet.
    #[error("claw does not carry out `{0}` yet")]
    NotYet(String),
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

impl From<GatherError> for CommandError {
    fn from(error: GatherError) -> Self {
        match error {
            GatherError::File(error) => CommandError::File(error),
            GatherError::Engine(error) => CommandError::Engine(error),
        }
    }
}

impl From<ApplyError> for CommandError {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Interrupted => CommandError::Interrupted,
            error => CommandError::Apply(error),
        }
    }
}

impl CommandError {
    /// Returns the error of a run that stopped after some of its steps.
    pub(crate) fn halfway(done: usize, all: usize, source: ApplyError) -> Self {
        match source {
            ApplyError::Interrupted => CommandError::Interrupted,
            source => CommandError::Halfway { done, all, source: Box::new(source) },
        }
    }

    pub(crate) fn exit(&self) -> Exit {
        match self {
            // What a user named and cannot be read is wrong input; what claw writes and cannot is a failure.
            CommandError::Project(_) => Exit::Wrong,
            CommandError::File(error) | CommandError::Apply(ApplyError::File(error))
                if error.source.kind() == std::io::ErrorKind::InvalidInput =>
            {
                Exit::Wrong
            }
            CommandError::Apply(ApplyError::Vault(error)) | CommandError::Vault(error) if error.is_wrong_input() => {
                Exit::Wrong
            }
            CommandError::File(_)
            | CommandError::Lock(_)
            | CommandError::Vault(_)
            | CommandError::Reference(_)
            | CommandError::Proxy(_)
            | CommandError::Gate(_)
            | CommandError::Engine(_)
            | CommandError::Apply(_)
            | CommandError::Halfway { .. }
            | CommandError::Shim(_)
            | CommandError::Persona(..)
            | CommandError::Deep(_)
            | CommandError::Start(_) => Exit::Failed,
            CommandError::Hostile(claw_hostile::HostileError::Listen(_)) => Exit::Failed,
            CommandError::NoPodFile
            | CommandError::NoFile(..)
            | CommandError::Usage(_)
            | CommandError::Hostile(claw_hostile::HostileError::Unknown(_))
            | CommandError::NotYet(_) => Exit::Wrong,
            CommandError::Exec(error) => Exit::Program(error.code()),
            CommandError::Interrupted => Exit::Interrupted,
        }
    }

    /// Returns the kind of error, as `--json` names it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            CommandError::File(_) | CommandError::Project(_) => "file",
            CommandError::Lock(_) => "lock",
            CommandError::Reference(_) => "reference",
            CommandError::Proxy(_) => "proxy",
            CommandError::Gate(_) => "gate",
            CommandError::Engine(_) => "engine",
            CommandError::Apply(_) | CommandError::Halfway { .. } => "apply",
            CommandError::Vault(_) => "secret",
            CommandError::Shim(_) | CommandError::Exec(_) => "shim",
            CommandError::Persona(..) => "persona",
            CommandError::Hostile(_) => "hostile",
            CommandError::Deep(_) => "doctor",
            CommandError::Start(_) => "start",
            CommandError::NoPodFile | CommandError::NoFile(..) => "no-file",
            CommandError::Usage(_) => "usage",
            CommandError::NotYet(_) => "not-yet",
            CommandError::Interrupted => "interrupted",
        }
    }

    /// Returns what to do, where it is known.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        let engine = match self {
            CommandError::Engine(error) => Some(error),
            CommandError::Apply(ApplyError::Engine(error)) => Some(error),
            _ => None,
        };
        match (self, engine) {
            (_, Some(error)) if error.call == "be reached at" => {
                Some("start it, or name another with `DOCKER_HOST`; `claw doctor` tells more")
            }
            (CommandError::NoPodFile, _) => Some("name one with `-f FILE`, or go to the directory that has it"),
            (CommandError::Halfway { .. }, _) => Some("what was done stays; `claw up` goes on from there"),
            (CommandError::NotYet(_), _) => Some("`claw --help` lists what is there"),
            (CommandError::Interrupted, _) => Some("what was done stays; the same command goes on from there"),
            _ => None,
        }
    }
}
