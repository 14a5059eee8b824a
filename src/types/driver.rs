//! What a driver is: facts about a runtime, and a pure function from a unit to what that runtime needs.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::agent::{AgentUnit, EnvValue};
use crate::diag::{Diagnostics, Reported};
use crate::files::FileTree;
use crate::id::EnvName;
use crate::image::SHIM_PROGRAM;
use crate::path::{ContainerPath, PodPath};
use crate::provider::WireFormat;
use crate::secret::SecretRef;
use crate::standing::{Alias, Standings, Versions};

/// An adapter to one runtime.
pub trait Driver: Sync {
    /// Returns what is always true of the runtime.
    fn facts(&self) -> &'static DriverFacts;

    /// Records what this runtime cannot do for this unit, before anything is made.
    fn check(&self, unit: &AgentUnit, diag: &mut Diagnostics);

    /// Returns what the runtime needs for this unit.
    ///
    /// # Errors
    /// Where the unit cannot be expressed; the reasons are in `diag`.
    fn lower(&self, unit: &AgentUnit, diag: &mut Diagnostics) -> Result<Lowered, Reported>;

    /// Returns what a probe's output says.
    fn read_health(&self, output: &ProbeOutput) -> Health;

    /// Returns what the command of [`Lowered::reading`] printed, as the JSON object described there. Most print that themselves; for a
    /// runtime with a list of its own the driver says it in that form, or nothing where it cannot read it: such a list may show secrets.
    fn read_configuration<'o>(&self, output: &'o ProbeOutput) -> Cow<'o, str> {
        Cow::Borrowed(&output.stdout)
    }
}

/// What is always true of a runtime. A new field makes every driver decide.
#[derive(Debug)]
pub struct DriverFacts {
    /// The name `CLAW_TYPE` gives.
    pub name: &'static str,
    /// Other names that it takes too.
    pub aliases: &'static [Alias],
    /// One line for tables.
    pub summary: &'static str,
    /// The runtime and version these facts were seen in.
    pub source: &'static str,
    /// The versions that holds for.
    pub versions: Versions,
    /// How each capability is known.
    pub standing: Standings,
    /// The user its processes run as, where the image names none: uid and gid.
    pub user: (u32, u32),
    /// The home directory.
    pub home: &'static str,
    /// How skills lie in their directory.
    pub skill_layout: SkillLayout,
    /// Slots of models it has; empty where it takes any.
    pub slots: &'static [&'static str],
    /// The image of its own that claw builds where a pod needs it and the engine does not have it.
    pub base: Option<BaseImage>,
    /// APIs it can speak to a model provider.
    pub formats: &'static [WireFormat],
    /// Names of platforms it can speak on.
    pub platforms: &'static [&'static str],
    /// Those of them that a device is linked to by hand: they have no token.
    pub linked: &'static [&'static str],
    /// Hosts outside that the runtime itself needs, beside those of its models and platforms: `host` or `host:port`.
    pub egress: &'static [&'static str],
    /// How it can take secrets.
    pub secrets: SecretDelivery,
    /// Memory it is given, in MiB.
    pub memory_mib: u64,
    /// Seconds it is given to finish at a stop.
    pub stop_grace_seconds: u32,
    /// Seconds it may take to become healthy.
    pub start_seconds: u32,
    /// What its health is read from.
    pub probe: ProbeKind,
    /// Seconds between two probes.
    pub probe_seconds: u32,
}

impl DriverFacts {
    /// Returns whether the runtime is called so, by its name or by another that it takes.
    pub fn is_called(&self, name: &str) -> bool {
        self.names().any(|own| own == name)
    }

    /// Returns its name, then the others that it takes.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().map(|alias| alias.name))
    }
}

/// An image that claw builds for a runtime, from a Dockerfile without a context.
#[derive(Debug)]
pub struct BaseImage {
    /// Its name without a tag.
    pub repository: &'static str,
    /// The runtime's version in it: its tag.
    pub version: &'static str,
    /// What it is built from.
    pub dockerfile: &'static str,
    /// Its entrypoint, as the Dockerfile says.
    pub entrypoint: &'static [&'static str],
    /// Its command, as the Dockerfile says.
    pub command: &'static [&'static str],
    /// Names by which the first implementation knew such an image.
    pub former: &'static [&'static str],
}

impl BaseImage {
    /// Returns its name with its tag.
    pub fn name(&self) -> String {
        format!("{}:{}", self.repository, self.version)
    }
}

/// How skills lie in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkillLayout {
    /// `<name>.md`.
    Flat,
    /// `<name>/SKILL.md`.
    Directory,
}

/// How a runtime can take secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretDelivery {
    /// It reads files; nothing else is needed.
    Files,
    /// It reads its environment, so the shim puts them there.
    Environment,
}

/// What a runtime's health is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeKind {
    /// The container runs; its own health check counts, if it has one.
    Running,
    /// A program in the container says so.
    Exec,
    /// A local HTTP endpoint says so.
    Http,
}

/// What a unit's runtime needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lowered {
    /// Files below the unit's directory. `claw/…` is mounted at `/claw`.
    pub files: FileTree,
    /// Further directories of that tree, and where they are mounted, read-only.
    pub mounts: Vec<FileMount>,
    /// Variables; they win over `environment:`.
    pub env: BTreeMap<EnvName, EnvValue>,
    /// Secrets it reads as files, beside the keys of its models and those of `environment:`.
    pub secrets: Vec<SecretRef>,
    /// What is run instead of the image's entrypoint and command.
    pub program: Option<Vec<String>>,
    /// Where its persona is mounted, where the runtime looks for it in one place; else at `/persona`.
    pub persona: Option<ContainerPath>,
    /// Volumes of its own.
    pub state: Vec<StateVolume>,
    /// What must be writable, and for what.
    pub needs: RuntimeNeeds,
    /// How health is asked for.
    pub probe: Probe,
    /// A command that tells more than the probe and takes longer; asked where a person wants to know.
    pub detail: Option<Vec<String>>,
    /// A command that prints the configuration as the runtime reads it. [`Driver::read_configuration`] makes of that one JSON object
    /// without secrets, with `endpoints` (the base URLs of models it would ask), `models` (their names as it would ask for them),
    /// `ignored` (keys it does not know), `warnings` (what it says itself) and `configuration` (the whole).
    pub reading: Option<Vec<String>>,
    /// How a message gets in.
    pub door: Option<Door>,
    /// What is told to the runtime once it runs.
    pub after_start: Vec<AfterStart>,
    /// How it is drained before it is stopped.
    pub drain: Option<Drain>,
}

/// A command inside a container that makes its runtime refuse new work, and ends once what was begun is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drain {
    /// The command.
    pub command: Vec<String>,
    /// The longest it may take, in seconds: then the container is stopped all the same.
    pub seconds: u32,
}

/// A command inside a container that has just become ready; the same again changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AfterStart {
    /// What it sees to, as steps and messages say: `schedules`.
    pub what: &'static str,
    /// Whether there is anything to tell a runtime that was never told.
    pub has_content: bool,
    /// The command.
    pub command: Vec<String>,
    /// The longest it may take, in seconds.
    pub seconds: u32,
}

/// A directory, or one file, of the generated files in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileMount {
    /// Below the unit's directory.
    pub source: PodPath,
    /// In the container.
    pub target: ContainerPath,
}

/// A volume that keeps what a runtime remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateVolume {
    /// Part of the volume's name, e.g. `state`.
    pub key: &'static str,
    /// Where it is mounted.
    pub target: ContainerPath,
}

/// What a runtime needs of its container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuntimeNeeds {
    /// Paths that must be writable but need not last.
    pub writable: Vec<ContainerPath>,
    /// The temporary directory must allow programs to be run from it.
    pub exec_tmp: bool,
}

/// How health is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Probe {
    /// The engine's own word counts.
    #[default]
    Running,
    /// A command inside the container.
    Exec(Vec<String>),
    /// A path of a server that listens on the container's own loopback; claw's shim asks it, so the image needs no client.
    Http {
        /// Its port.
        port: u16,
        /// The path.
        path: &'static str,
    },
}

impl Probe {
    /// Returns the command that asks, inside the container; nothing where the engine's own word counts.
    pub fn command(&self) -> Option<Vec<String>> {
        match self {
            Probe::Running => None,
            Probe::Exec(command) => Some(command.clone()),
            Probe::Http { port, path } => {
                let words = [SHIM_PROGRAM.to_owned(), "shim".to_owned(), "probe".to_owned()];
                Some(words.into_iter().chain([format!("http://127.0.0.1:{port}{path}")]).collect())
            }
        }
    }
}

/// How a message gets in: a command inside the container, with the text as its last argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// The command without the text.
    pub command: Vec<String>,
    /// The place in it of the word that names the conversation, where that may be another one.
    pub session: Option<usize>,
}

impl Door {
    /// Returns the command for a conversation; nothing where the runtime has one only.
    pub fn into(&self, session: &str) -> Option<Vec<String>> {
        let mut command = self.command.clone();
        *command.get_mut(self.session?)? = session.to_owned();
        Some(command)
    }
}

/// What a probe printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProbeOutput {
    /// Its exit code.
    pub exit_code: i64,
    /// Standard output.
    pub stdout: String,
    /// Standard error; noise, mostly.
    pub stderr: String,
}

/// How an agent is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// In one word.
    pub status: HealthStatus,
    /// In one line.
    pub detail: String,
}

/// How an agent is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HealthStatus {
    /// It works.
    Healthy,
    /// It is not ready yet.
    Starting,
    /// It does not work.
    Unhealthy,
    /// It does not run.
    Stopped,
}

impl HealthStatus {
    /// Returns the word users and JSON see.
    pub fn name(self) -> &'static str {
        match self {
            HealthStatus::Healthy => "healthy",
            HealthStatus::Starting => "starting",
            HealthStatus::Unhealthy => "unhealthy",
            HealthStatus::Stopped => "stopped",
        }
    }
}
