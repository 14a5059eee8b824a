//! Apply: carries steps out, as many at a time as their order allows. Each is a call of the engine or a write on the host; none
//! of them is decided here.
//!
//! `make.rs` has what makes images, networks, volumes and containers, `start.rs` what waits and starts, `replace.rs` what puts
//! back, `unnamed.rs` what keeps volumes without a name, `oneoff.rs` containers for one command.

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::time::Duration;

use claw_compiler::plan::Plan;
use claw_compiler::plan::steps::{Action, Mode, Observed, Step};
use claw_compose::model::{Mount, Service};
use claw_types::agent::Surface;
use claw_types::id::UnitId;
use claw_types::image::{compose, label};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::json;

use self::unnamed::Kept;
use crate::container::{Scope, body, seccomp};
use crate::context::ContextError;
use crate::docker::{Docker, EngineError};
use crate::files::{FileError, write_bytes, write_live, write_units};
use crate::gather::Environment;
use crate::image::BuildError;
use crate::interrupt::Interrupt;
use crate::project::ProjectError;
use crate::vault::{Vault, VaultError};
use crate::{down, observe, pack, persona, state};

mod make;
mod oneoff;
mod replace;
mod start;
mod unnamed;

pub(crate) use make::{create, ensure_infra, make_volume};
pub use oneoff::{OneOff, make_oneoff};
pub(crate) use replace::is_aside;
use start::Earlies;
pub use start::{PATIENCE, STANDING, wait_for};

/// Why a pod could not be brought up.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The engine refused.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The host refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// An env file cannot be read.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// An image could not be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A build context could not be read.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// A secret has no value.
    #[error(transparent)]
    Vault(VaultError),
    /// Claw's own image could not be packed.
    #[error("cannot pack claw's own image: {0}")]
    Pack(std::io::Error),
    /// A service did not become what others wait for.
    #[error("`{service}` {why}")]
    NotReady {
        /// The service.
        service: String,
        /// What it is instead.
        why: String,
    },
    /// A service failed, and what it replaced could not be put back.
    #[error("{failure}; and what it replaced could not be put back: {error}")]
    NotBack {
        /// What failed first.
        failure: Box<ApplyError>,
        /// What failed then.
        error: EngineError,
    },
    /// The run was asked to end.
    #[error("interrupted")]
    Interrupted,
    /// Something of the host or the engine does not fit the plan.
    #[error("{0}")]
    Unusable(String),
}

impl From<VaultError> for ApplyError {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Interrupted => ApplyError::Interrupted,
            error => ApplyError::Vault(error),
        }
    }
}

/// What applying needs to know beside the plan.
pub struct Site<'s> {
    /// The pod's directory, absolute.
    pub root: &'s Path,
    /// The variables.
    pub environment: &'s Environment,
    /// The secrets.
    pub vault: &'s Vault<'s>,
    /// Claw's version.
    pub version: &'s str,
    /// Env files that the command line named, for docker compose to find.
    pub env_files: &'s [std::path::PathBuf],
    /// Where progress goes, line by line.
    pub progress: &'s dyn Fn(&str),
    /// Whether the run was asked to end.
    pub interrupt: &'s Interrupt,
    /// Seconds a container is given to finish, instead of its own.
    pub grace: Option<i32>,
    /// The longest a service is waited for.
    pub patience: Duration,
}

/// Carries steps out. `done` is told of each step that is.
///
/// # Errors
/// Where the engine or the host refuses; what was done before stays, and the next run goes on from there.
pub async fn apply(
    steps: &[Step],
    plan: &Plan,
    (observed, mode): (&Observed, &Mode),
    docker: &Docker,
    site: &Site<'_>,
    done: &mut usize,
) -> Result<(), ApplyError> {
    let run = Run::new(plan, (observed, mode), docker, site);
    site.interrupt.set_busy(true);
    let result = run.carry_out(steps, done).await;
    site.interrupt.set_busy(false);
    result?;
    Ok(state::record_seals(site.root, plan.pod.as_str(), observed)?)
}

fn is_removal(step: &Step) -> bool {
    matches!(step.action, Action::RemoveContainer(..) | Action::SetAside(..))
}

/// The variable that says that an engine elsewhere sees the files of this machine.
pub const SHARES_FILES: &str = "CLAW_ENGINE_SHARES_FILES";

/// What every step needs to know.
struct Run<'r> {
    plan: &'r Plan,
    observed: &'r Observed,
    mode: &'r Mode,
    docker: &'r Docker,
    site: &'r Site<'r>,
    scope: Scope<'r>,
    early: Earlies,
}

/// The most steps at a time: more start no sooner, for the engine starts one container after the other.
const WIDTH: usize = 16;

impl<'r> Run<'r> {
    fn new(plan: &'r Plan, (observed, mode): (&'r Observed, &'r Mode), docker: &'r Docker, site: &'r Site<'r>) -> Self {
        Self { plan, observed, mode, docker, site, scope: Scope::new(plan, site), early: Earlies::default() }
    }

    /// Carries steps out as soon as those before them are done. Where one fails, no other is begun, and those under way end.
    async fn carry_out(&self, steps: &[Step], done: &mut usize) -> Result<(), ApplyError> {
        self.leftovers().await?;
        self.externals().await?;
        self.sources()?;
        let kept = &RefCell::new(self.kept());
        let mut open: VecDeque<&Step> = steps.iter().collect();
        let mut undone: BTreeSet<u32> = steps.iter().map(|step| step.id).collect();
        let mut removals = 0;
        let mut failure = None;
        let mut under_way = FuturesUnordered::new();
        loop {
            let is_ending = failure.is_some() || self.site.interrupt.is_asked();
            while !is_ending && under_way.len() < WIDTH {
                let is_free = |step: &&Step| !is_removal(step) || removals < down::WIDTH;
                let is_ready = |step: &&Step| is_free(step) && step.after.iter().all(|id| !undone.contains(id));
                let Some(place) = open.iter().position(is_ready) else { break };
                let Some(step) = open.remove(place) else { break };
                removals += usize::from(is_removal(step));
                (self.site.progress)(&step.to_string());
                under_way.push(async move { (step, self.step(step, kept).await) });
            }
            let Some((step, result)) = under_way.next().await else { break };
            removals -= usize::from(is_removal(step));
            match result {
                Ok(()) => {
                    undone.remove(&step.id);
                    *done += 1;
                }
                // What was asked to end is no cause of what failed before.
                Err(error) => drop(failure.get_or_insert(error)),
            }
        }
        if failure.is_none() && open.is_empty() {
            return Ok(());
        }
        let failure = failure.unwrap_or(ApplyError::Interrupted);
        let open = open.iter().map(|step| step.id).collect();
        match self.put_back(steps, &undone, &open).await {
            Ok(()) => Err(failure),
            Err(error) => Err(ApplyError::NotBack { failure: Box::new(failure), error }),
        }
    }

    async fn step(&self, step: &Step, kept: &RefCell<Kept>) -> Result<(), ApplyError> {
        let work = self.one(&step.action, kept);
        match step.action {
            // These take long, and what is left of them when they are dropped does no harm.
            Action::Base(_)
            | Action::Pull(_)
            | Action::Build(_)
            | Action::Start(..)
            | Action::Settle(..)
            | Action::Tell(..) => {
                tokio::select! {
                    result = work => result,
                    () = self.site.interrupt.asked() => Err(ApplyError::Interrupted),
                }
            }
            _ => work.await,
        }
    }

    async fn one(&self, action: &Action, kept: &RefCell<Kept>) -> Result<(), ApplyError> {
        match action {
            Action::Pack => self.pack_infra().await,
            Action::Pull(image) => {
                let user = self.plan.project.services.values().find(|service| service.image.as_ref() == Some(image));
                let platform = user.and_then(|service| service.platform.as_deref());
                let progress = |line: &str| (self.site.progress)(&format!("  {line}"));
                Ok(self.docker.pull(image, platform, &progress).await?)
            }
            Action::Base(name) => self.base(name).await,
            Action::Build(service) => self.build(service).await,
            Action::Write(unit) => self.write(unit),
            Action::RemoveNetwork(_, id) => Ok(down::remove_network(id, self.docker).await?),
            Action::CreateNetwork(key) => self.network(key).await,
            Action::CreateVolume(key) => self.volume(key).await,
            Action::Own(volumes, units) => self.own(volumes, units).await,
            Action::Seed(unit) => match self.plan.units.get(unit) {
                Some(planned) => persona::seed(planned, self.plan, self.docker, self.site).await,
                None => Ok(()),
            },
            Action::Stop(_, _, id) => self.stop(id).await,
            Action::RemoveContainer(service, _, id) => {
                self.keep(service, id, kept).await?;
                self.stop(id).await?;
                self.remove(service, id, kept).await
            }
            Action::SetAside(service, _, id) => {
                self.keep(service, id, kept).await?;
                self.set_aside(id).await
            }
            Action::CreateContainer(name, number) => self.container(name, *number, kept).await,
            Action::Start(name, number) => self.start(name, *number).await,
            Action::Settle(name, number) => self.settle(name, *number).await,
            Action::Tell(unit, what) => self.tell(unit, what).await,
        }
    }

    /// What a file declares `external` must be there before anything is made.
    async fn externals(&self) -> Result<(), ApplyError> {
        let missing = |kind: &str, name: &str| {
            ApplyError::Unusable(format!("the {kind} `{name}` is declared `external` and is not there: make it first"))
        };
        for (key, network) in &self.plan.project.networks {
            let name = self.scope.network(key);
            let is_used = self.plan.project.services.values().any(|service| service.networks.contains_key(key));
            if network.external == Some(true) && is_used && !self.docker.has_network(&name).await? {
                return Err(missing("network", &name));
            }
        }
        for (key, volume) in &self.plan.project.volumes {
            let name = self.scope.volume(key);
            if volume.external == Some(true) && self.docker.volume_labels(&name).await?.is_none() {
                return Err(missing("volume", &name));
            }
        }
        Ok(())
    }

    /// An engine on another machine does not have what services take of this one.
    fn elsewhere(&self) -> Result<(), ApplyError> {
        let is_said = self.site.environment.plain(SHARES_FILES).is_some_and(|value| value == "1");
        if !self.docker.is_remote() || is_said {
            return Ok(());
        }
        let project = &self.plan.project;
        let takes = |service: &Service| {
            let files = service.secrets.iter().filter_map(|mount| project.secrets.get(&mount.source));
            let mut files = files.chain(service.configs.iter().filter_map(|mount| project.configs.get(&mount.source)));
            service.volumes.iter().any(|mount| mount.kind == "bind") || files.any(|object| object.file.is_some())
        };
        let takers: Vec<&str> =
            project.services.iter().filter(|(_, service)| takes(service)).map(|(name, _)| name.as_str()).collect();
        if takers.is_empty() {
            return Ok(());
        }
        Err(ApplyError::Unusable(format!(
            "the engine at `{}` is on another machine, which does not have the files of this one that `{}` mounts: run claw there, or set `{SHARES_FILES}=1` where both see the same files at the same paths",
            self.docker.address(),
            takers.join("`, `")
        )))
    }

    /// What services take of the host must be there before anything is made: mounts that the engine would not make, and files of
    /// secrets and configs. All that is missing is told at once.
    fn sources(&self) -> Result<(), ApplyError> {
        self.elsewhere()?;
        let mut missing = Vec::new();
        let mut told = BTreeSet::new();
        for planned in self.plan.units.values() {
            for surface in &planned.unit.surfaces {
                let Surface::Host { path, .. } = surface else { continue };
                if !Path::new(path.as_str()).exists() {
                    let name = &planned.unit.service;
                    told.insert(path.as_str());
                    missing.push(format!("`{name}` has the surface `host://{path}`"));
                }
            }
        }
        let written = self.site.root.join(".claw").join(self.scope.project).display().to_string();
        for (name, service) in &self.plan.project.services {
            let is_kept = |mount: &&Mount| mount.bind.as_ref().is_some_and(|bind| bind.create_host_path == Some(false));
            let mounts = service.volumes.iter().filter(|mount| mount.kind == "bind").filter(is_kept);
            let mounts = mounts.filter_map(|mount| mount.source.as_deref()).map(|path| ("mounts", path));
            let secrets = service.secrets.iter().filter_map(|mount| self.plan.project.secrets.get(&mount.source));
            let configs = service.configs.iter().filter_map(|mount| self.plan.project.configs.get(&mount.source));
            for profile in service.security_opt.iter().filter_map(|option| seccomp(option)) {
                let text = std::fs::read_to_string(self.scope.path(profile));
                match text.map(|text| serde_json::from_str::<serde_json::Value>(&text)) {
                    Err(_) => missing.push(format!("`{name}` needs `{profile}`")),
                    Ok(Err(error)) => {
                        let why = format!("`{name}`: `{profile}` is no seccomp profile: {error}");
                        return Err(ApplyError::Unusable(why));
                    }
                    Ok(Ok(_)) => {}
                }
            }
            let files = secrets.chain(configs).filter_map(|object| object.file.as_deref()).map(|path| ("needs", path));
            for (verb, path) in mounts.chain(files) {
                let place = self.scope.path(path);
                // What claw writes itself is not there yet.
                let is_told = place.starts_with(&written) || told.contains(path);
                if !is_told && !Path::new(&place).exists() {
                    missing.push(format!("`{name}` {verb} `{path}`"));
                }
            }
        }
        missing.sort();
        missing.dedup();
        match missing.as_slice() {
            [] => Ok(()),
            [one] => Err(ApplyError::Unusable(format!("{one}, which is not on this host: make it first"))),
            all => {
                Err(ApplyError::Unusable(format!("{}: none of them is on this host: make them first", all.join(", "))))
            }
        }
    }

    /// Helpers of a run that was interrupted.
    async fn leftovers(&self) -> Result<(), EngineError> {
        for seen in self.docker.containers(self.plan.pod.as_str()).await? {
            if seen.is_oneoff() && (seen.label(label::ROLE) == "init" || crate::listing::is_left(&seen)) {
                self.docker.remove_container(&seen.id, true).await?;
            }
        }
        Ok(())
    }

    /// Writes an agent's files: those without secrets once, those with secrets anew, and the shim where it is needed.
    fn write(&self, unit: &UnitId) -> Result<(), ApplyError> {
        let Some(planned) = self.plan.belongings.get(unit) else { return Ok(()) };
        let mut own = claw_types::files::FileTree::new();
        for (path, file) in self.plan.files.iter().filter(|(path, _)| planned.directory.is_above(path)) {
            // A path is there once in the plan's tree, so it is once in a part of it.
            let _ = own.insert(path.clone(), file.clone());
        }
        match planned.is_live {
            true => write_live(self.site.root, &own)?,
            false => drop(write_units(self.site.root, &own)?),
        }
        if self.observed.seals.contains_key(unit) {
            for (path, file) in own.iter().filter(|(_, file)| file.content.is_sealed()) {
                let filled = self.site.vault.filled(&file.content)?;
                filled.with(|bytes| write_bytes(&self.site.root.join(path.as_str()), bytes, file.mode.bits()))?;
            }
        }
        if planned.needs_shim {
            self.shim()?;
        }
        Ok(())
    }

    fn shim(&self) -> Result<(), ApplyError> {
        let place = observe::shim(self.site.root, self.plan);
        if place.is_file() {
            return Ok(());
        }
        let program = std::fs::read(std::env::current_exe().map_err(ApplyError::Pack)?).map_err(ApplyError::Pack)?;
        if pack::is_dynamic(&program) {
            return Err(ApplyError::Pack(pack::dynamic()));
        }
        crate::files::make_private(place.parent().unwrap_or(self.site.root))?;
        write_bytes(&place, &program, 0o555)?;
        Ok(())
    }

    /// New volumes are root's and new secrets the user's: one container without network hands them over.
    async fn own(&self, volumes: &BTreeSet<String>, units: &BTreeSet<UnitId>) -> Result<(), ApplyError> {
        let name = format!("{}-own", self.scope.project);
        let rows = [
            (compose::PROJECT, self.scope.project),
            (compose::ONEOFF, "True"),
            (label::ROLE, "init"),
            (label::SCHEMA, "1"),
        ];
        let labels = rows.map(|(key, value)| (key.to_owned(), json!(value))).into_iter().collect();
        let body = body(&name, &name, &self.plan.owning(volumes, units), &labels, &self.scope);
        let mut changes = self.docker.changes(self.scope.project);
        let helper = create(self.docker, &name, None, body, self.site.interrupt).await?;
        self.docker.start(&helper).await?;
        let state = loop {
            match self.docker.container(&helper).await? {
                Some(seen) if seen.state.status == "exited" => break seen.state,
                Some(_) => changes.next().await,
                None => return Err(ApplyError::Unusable(format!("the helper `{name}` was removed while it worked"))),
            }
        };
        if state.exit_code != 0 {
            let lines = crate::logs::last(self.docker, &helper).await;
            self.docker.remove_container(&helper, true).await?;
            return Err(ApplyError::Unusable(format!("the owner of volumes and secrets could not be set: {lines}")));
        }
        self.docker.remove_container(&helper, true).await?;
        let there = self.docker.volumes(self.scope.project).await?.into_iter();
        let handed = there.filter(|volume| volumes.contains(&volume.key)).map(|volume| (volume.key, volume.made));
        Ok(state::record_owned(self.site.root, self.scope.project, handed)?)
    }
}
