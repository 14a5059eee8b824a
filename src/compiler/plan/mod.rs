//! The plan: the whole compose file that will run, the files it mounts, and what is checked afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use claw_compose::model::Project;
use claw_types::agent::{AgentUnit, RuntimeUser};
use claw_types::diag::{Code, Diagnostic, Diagnostics, Reported};
use claw_types::driver::Lowered;
use claw_types::files::{FileSpec, FileTree};
use claw_types::id::{PodName, SecretName, UnitId};
use claw_types::image::INFRA_REPOSITORY;
use claw_types::path::{ContainerPath, PodPath};
use claw_types::roster::Roster;
use claw_types::secret::SecretRef;

use crate::emit::markdown::Peers;
use crate::facts::{Context, Facts};
use crate::resolve::{Build, Pod, SecretSource, Trace, Worker};

mod advice;
mod assemble;
mod audit;
mod egress;
mod expand;
mod harden;
mod network;
mod own;
mod proxy;
mod scan;
pub mod steps;

pub use advice::advise;
pub use expand::expand;
pub use harden::{Hardening, harden};
pub(crate) use network::Pool;
pub use proxy::Proxy;
pub use scan::has_unseen;

/// One agent with everything that was decided about it.
#[derive(Clone, Debug)]
pub struct PlannedUnit {
    /// The row.
    pub unit: AgentUnit,
    /// What its runtime needs.
    pub lowered: Lowered,
    /// How its container is held.
    pub hardening: Hardening,
    /// Where its persona goes, where it has one.
    pub home: Option<PersonaHome>,
    /// Where what it has comes from.
    pub trace: Arc<Trace>,
}

/// Where an agent's persona goes: a volume of its own, which it may write to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonaHome {
    /// The volume's key.
    pub volume: String,
    /// Where it is mounted.
    pub target: ContainerPath,
}

/// What claw writes for one container, an agent's or one of its own: files of its own, and secrets that only it may read.
#[derive(Clone, Debug)]
pub struct Belongings {
    /// Who may read what is sealed.
    pub user: RuntimeUser,
    /// The directory of its files, below the pod's directory; the digest of their content is part of it.
    pub directory: PodPath,
    /// Its files, by path below the directory.
    pub files: FileTree,
    /// Its secrets by the names of their files, below `/run/secrets`.
    pub secrets: BTreeMap<String, SecretRef>,
    /// Those of them that the shim puts into its environment.
    pub lifted: BTreeSet<String>,
    /// Whether its container has the shim.
    pub needs_shim: bool,
    /// Whether its container reads its files again when they change: their directory keeps its name, and it is not made anew.
    pub is_live: bool,
}

impl Belongings {
    /// Returns the files that hold secrets.
    pub fn sealed(&self) -> impl Iterator<Item = (&PodPath, &FileSpec)> {
        self.files.iter().filter(|(_, file)| file.content.is_sealed())
    }

    /// Returns the secrets that the shim puts into its environment, by the names of the variables.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &SecretRef)> {
        let all = self.secrets.iter().filter(|(file, _)| self.lifted.contains(*file));
        all.map(|(file, secret)| (file.as_str(), secret))
    }
}

/// What will run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The pod.
    pub pod: PodName,
    /// The compose file: plain, hardened, complete.
    pub project: Project,
    /// The agents.
    pub units: BTreeMap<UnitId, PlannedUnit>,
    /// The pod's proxies, by their compose services.
    pub proxies: BTreeMap<UnitId, Proxy>,
    /// The gate's service, where agents have one.
    pub gate: Option<UnitId>,
    /// What belongs to the containers of agents and proxies.
    pub belongings: BTreeMap<UnitId, Belongings>,
    /// Files to write, by path below the pod's directory.
    pub files: FileTree,
    /// Images to build, by service.
    pub builds: BTreeMap<String, Build>,
    /// Images that claw builds for runtimes, by name: what each is built from.
    pub bases: BTreeMap<String, &'static str>,
    /// Whether claw's own image is needed.
    pub needs_infra: bool,
    /// Whether an agent's container has the shim.
    pub needs_shim: bool,
    /// The tag of claw's own image: its version.
    pub version: String,
    /// What worker mode does with agents.
    pub workers: BTreeMap<UnitId, Worker>,
    /// Services whose profile is not enabled: they are left as they are.
    pub disabled: BTreeSet<String>,
    /// What only an image that is not here could tell: errors of whoever needs it now.
    pub unknown: Vec<Diagnostic>,
    /// Where the values of named secrets come from.
    pub sources: BTreeMap<SecretName, SecretSource>,
    /// Env files of all services, as written: those of agents stand nowhere else in the plan.
    pub env_files: BTreeSet<String>,
}

impl Plan {
    /// Returns the name of claw's own image.
    pub fn infra(&self) -> String {
        format!("{INFRA_REPOSITORY}:{}", self.version)
    }

    /// Returns the compose services a name means: one, or all replicas of an agent; none where there is no such service.
    pub fn compose_services(&self, name: &str) -> Vec<String> {
        if self.project.services.contains_key(name) {
            return vec![name.to_owned()];
        }
        let replicas = self.units.values().filter(|unit| unit.unit.service.as_str() == name);
        replicas.map(|unit| unit.unit.id.to_string()).collect()
    }

    /// Returns whether a compose service is held by claw: an agent, a proxy, or the gate.
    pub fn holds(&self, service: &str) -> bool {
        self.units.keys().chain(self.proxies.keys()).chain(&self.gate).any(|id| id.as_str() == service)
    }

    /// Returns who owns a volume: the user of the first agent that writes to it; nobody where no agent does.
    pub fn owner_of(&self, volume: &str) -> Option<RuntimeUser> {
        let writes = |id: &UnitId| {
            let service = self.project.services.get(id.as_str());
            let mounts = service.map_or(&[][..], |service| &service.volumes);
            mounts.iter().any(|mount| {
                let is_it = mount.kind == "volume" && mount.source.as_deref() == Some(volume);
                is_it && mount.read_only != Some(true)
            })
        };
        self.belongings.iter().find(|(id, _)| writes(id)).map(|(_, own)| own.user)
    }
}

/// Returns the plan of a pod.
///
/// # Errors
/// Where a driver refuses a unit, names collide, or the audit finds what an agent may not have or read.
pub fn plan(pod: &Pod, known: &Facts, cx: &Context<'_>, diag: &mut Diagnostics) -> Result<Plan, Reported> {
    let mark = diag.mark();
    let mut planned = Vec::new();
    let roster = pod.agents.values().next().map(|agent| agent.unit.roster.as_ref());
    let peers = match Peers::new(roster.unwrap_or(&Roster::default())) {
        Ok(peers) => peers,
        Err(broken) => return Err(broken.report(pod.origin, diag)),
    };
    for unit in expand(pod, diag) {
        let driver = cx.drivers.iter().copied().find(|driver| driver.facts().name == unit.runtime.as_str());
        let Some(driver) = driver else {
            let message = format!("there is no runtime `{}`", unit.runtime);
            diag.push(Diagnostic::error(Code::UnknownRuntime, unit.origin, message));
            continue;
        };
        let Ok(lowered) = driver.lower(&unit, diag) else { continue };
        let written = pod.project.services.get(unit.service.as_str()).cloned().unwrap_or_default();
        let hardening = harden(unit.user, &written, &lowered, driver.facts());
        let trace = pod.agents.get(&unit.service).map(|agent| Arc::clone(&agent.trace)).unwrap_or_default();
        let made = assemble::planned(unit, lowered, hardening, driver.facts(), &peers, diag);
        planned.push(made.map(|(unit, own)| (PlannedUnit { trace, ..unit }, own)));
    }
    let plan = assemble::assemble(pod, planned.into_iter().flatten().collect(), cx, diag);
    audit::audit(pod, &plan, diag);
    scan::scan(known, &pod.descriptions, cx, diag);
    diag.finish(mark, plan)
}
