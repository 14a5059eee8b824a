//! Steps: what must be done so that what runs is what was planned, and why. A function of plan and observation.

use std::collections::BTreeSet;
use std::fmt;

use claw_compose::model::Service;
use claw_types::id::UnitId;
use sha2::{Digest, Sha256};

use super::Plan;

mod causes;
mod containers;
mod mode;
mod observed;

pub use causes::{CONTENTS, FILES, shared};
pub use containers::starts;
pub use mode::{Builds, Mode, Pull};
pub use observed::{Container, Hashes, Image, Network, Observed};

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its number, from 1.
    pub id: u32,
    /// What.
    pub action: Action,
    /// Why.
    pub cause: String,
    /// Steps that come first.
    pub after: Vec<u32>,
}

/// What is done; the plan has the details of what is named.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Claw's own image is packed.
    Pack,
    /// An image of a runtime is built from claw's own Dockerfile: its name.
    Base(String),
    /// An image is pulled.
    Pull(String),
    /// An image is built: the service it is for.
    Build(String),
    /// An agent's files are written.
    Write(UnitId),
    /// A network is taken away: its key, its id.
    RemoveNetwork(String, String),
    /// A network is made.
    CreateNetwork(String),
    /// A volume is made.
    CreateVolume(String),
    /// New volumes and sealed files are handed to the agents they are for: volumes, and agents with sealed files.
    Own(BTreeSet<String>, BTreeSet<UnitId>),
    /// A persona is copied into the volume that is the agent's own: of which agent.
    Seed(UnitId),
    /// A container is stopped and stays: service, name, id.
    Stop(String, String, String),
    /// A container is stopped and taken away: service, name, id.
    RemoveContainer(String, String, String),
    /// A container is stopped and given another name, to be put back where the one that replaces it fails: service, name, id.
    SetAside(String, String, String),
    /// A container is made: service, number.
    CreateContainer(String, u32),
    /// A container is started once what it depends on is ready: service, number.
    Start(String, u32),
    /// A container that replaces another must be ready: service, number.
    Settle(String, u32),
    /// A runtime that runs is told something: of which agent, what.
    Tell(UnitId, &'static str),
}

impl Action {
    /// Returns what is done, in the words of `plan --json`.
    pub fn name(&self) -> &'static str {
        match self {
            Action::Pack => "pack",
            Action::Base(_) => "build-base",
            Action::Pull(_) => "pull",
            Action::Build(_) => "build",
            Action::Write(_) => "write",
            Action::RemoveNetwork(..) => "remove-network",
            Action::CreateNetwork(_) => "create-network",
            Action::CreateVolume(_) => "create-volume",
            Action::Own(..) => "own",
            Action::Seed(_) => "seed",
            Action::Stop(..) => "stop",
            Action::RemoveContainer(..) => "remove-container",
            Action::SetAside(..) => "set-aside",
            Action::CreateContainer(..) => "create-container",
            Action::Start(..) => "start",
            Action::Settle(..) => "settle",
            Action::Tell(..) => "tell",
        }
    }

    /// Returns what it is done to.
    pub fn resource(&self) -> String {
        let numbered = |service: &str, number: u32| match number {
            1 => service.to_owned(),
            number => format!("{service}-{number}"),
        };
        match self {
            Action::Pack => claw_types::image::INFRA_REPOSITORY.to_owned(),
            Action::Base(name) | Action::Pull(name) | Action::Build(name) => name.clone(),
            Action::Write(unit) | Action::Seed(unit) | Action::Tell(unit, _) => unit.to_string(),
            Action::RemoveNetwork(key, _) | Action::CreateNetwork(key) | Action::CreateVolume(key) => key.clone(),
            Action::Own(volumes, units) => {
                volumes.iter().cloned().chain(units.iter().map(ToString::to_string)).collect::<Vec<_>>().join(", ")
            }
            Action::Stop(_, name, _) | Action::RemoveContainer(_, name, _) | Action::SetAside(_, name, _) => {
                name.clone()
            }
            Action::CreateContainer(service, number)
            | Action::Start(service, number)
            | Action::Settle(service, number) => numbered(service, *number),
        }
    }

    /// Returns the service it is about, where it is about one.
    pub fn service(&self) -> Option<&str> {
        match self {
            Action::Stop(service, ..)
            | Action::RemoveContainer(service, ..)
            | Action::SetAside(service, ..)
            | Action::CreateContainer(service, _)
            | Action::Start(service, _)
            | Action::Settle(service, _) => Some(service),
            Action::Write(unit) | Action::Seed(unit) | Action::Tell(unit, _) => Some(unit.as_str()),
            _ => None,
        }
    }

    /// Returns whether it is done to a container.
    pub fn is_of_container(&self) -> bool {
        self.service().is_some() && !matches!(self, Action::Write(_) | Action::Seed(_))
    }

    /// Returns whether it makes an image, so that what follows is known only afterwards.
    pub fn is_image(&self) -> bool {
        matches!(self, Action::Pack | Action::Base(_) | Action::Pull(_) | Action::Build(_))
    }
}

/// The cause of what an image that is not made yet may change.
const FORECAST: &str = "known after build: its image is made anew";

impl Step {
    /// Returns whether it is a forecast: an image that is made first may show that it need not be done.
    pub fn is_forecast(&self) -> bool {
        self.cause == FORECAST
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match &self.action {
            Action::Pack => "pack image",
            Action::Base(_) => "build base image",
            Action::Pull(_) => "pull image",
            Action::Build(_) => "build image of",
            Action::Write(_) => "write files of",
            Action::RemoveNetwork(..) => "remove network",
            Action::CreateNetwork(_) => "create network",
            Action::CreateVolume(_) => "create volume",
            Action::Own(..) => "set owner of",
            Action::Seed(_) => "copy persona of",
            Action::Stop(..) => "stop container",
            Action::RemoveContainer(..) => "remove container",
            Action::SetAside(..) => "set aside container",
            Action::CreateContainer(..) => "create container",
            Action::Start(..) => "start container",
            Action::Settle(..) => "wait for container",
            Action::Tell(_, what) => return write!(f, "tell {} its {what}: {}", self.action.resource(), self.cause),
        };
        write!(f, "{verb} {}: {}", self.action.resource(), self.cause)
    }
}

/// Returns what the label `claw.context` of a runtime's image says: the digest of the Dockerfile it is built from.
pub fn base_context(dockerfile: &str) -> String {
    Sha256::digest(dockerfile).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns how many containers a service has.
pub fn containers_of(service: &Service) -> u32 {
    let count = service.scale.or_else(|| service.deploy.as_ref().and_then(|deploy| deploy.replicas)).unwrap_or(1);
    u32::try_from(count).unwrap_or(0)
}

/// Returns the networks a project uses: those its services name, `default` where they name none.
pub fn networks(plan: &Plan, mode: &Mode) -> BTreeSet<String> {
    let services = mode.services(plan).map(|(_, service)| service).filter(|service| service.network_mode.is_none());
    let named = services.flat_map(|service| match service.networks.is_empty() {
        true => vec!["default".to_owned()],
        false => service.networks.keys().cloned().collect(),
    });
    named.collect()
}

/// Returns the volumes a project uses: those its services mount.
pub fn volumes(plan: &Plan, mode: &Mode) -> BTreeSet<String> {
    let mounts = mode.services(plan).flat_map(|(_, service)| &service.volumes);
    mounts.filter(|mount| mount.kind == "volume").filter_map(|mount| mount.source.clone()).collect()
}

/// The steps made so far.
#[derive(Default)]
struct List {
    steps: Vec<Step>,
}

impl List {
    fn add(&mut self, action: Action, cause: impl Into<String>, after: Vec<u32>) -> u32 {
        let id = u32::try_from(self.steps.len()).unwrap_or(u32::MAX).saturating_add(1);
        self.steps.push(Step { id, action, cause: cause.into(), after });
        id
    }

    /// Returns the ids of the steps whose action `which` holds for.
    fn ids(&self, which: impl Fn(&Action) -> bool) -> Vec<u32> {
        self.steps.iter().filter(|step| which(&step.action)).map(|step| step.id).collect()
    }
}

/// Returns the steps from what is there to what is planned, in an order that works.
///
/// Where an image is made first, what follows is a forecast: containers of that image are known after the build.
pub fn steps(plan: &Plan, observed: &Observed, mode: &Mode) -> Vec<Step> {
    let mut list = List::default();
    images(plan, observed, mode, &mut list);
    let units = || plan.belongings.keys().filter(|unit| mode.has(unit.as_str()));
    for unit in units().filter(|unit| observed.unwritten.contains(*unit)) {
        let is_live = plan.belongings.get(unit).is_some_and(|own| own.is_live);
        let is_altered = !is_live && observed.altered.contains(unit);
        let cause = if is_altered { "they were changed on this host" } else { "they are new or changed" };
        list.add(Action::Write(unit.clone()), cause, Vec::new());
    }
    let is_external = |external: Option<bool>| external == Some(true);
    for key in networks(plan, mode).into_iter().filter(|key| !observed.networks.contains_key(key)) {
        if !plan.project.networks.get(&key).is_some_and(|network| is_external(network.external)) {
            list.add(Action::CreateNetwork(key), "it is missing", Vec::new());
        }
    }
    // A run that ended early may have made a volume and not handed it over.
    let used = volumes(plan, mode);
    let mut fresh: BTreeSet<String> = observed.unowned_volumes.intersection(&used).cloned().collect();
    for key in used.into_iter().filter(|key| !observed.volumes.contains(key)) {
        if !plan.project.volumes.get(&key).is_some_and(|volume| is_external(volume.external)) {
            list.add(Action::CreateVolume(key.clone()), "it is missing", Vec::new());
            fresh.insert(key);
        }
    }
    for unit in units().filter_map(|unit| plan.units.get(unit)) {
        let Some(home) = &unit.home else { continue };
        let is_made = fresh.contains(&home.volume) && !observed.volumes.contains(&home.volume);
        if is_made || observed.unseeded.contains(&unit.unit.id) {
            let after = list.ids(|action| {
                matches!(action, Action::CreateVolume(key) if *key == home.volume) || *action == Action::Pack
            });
            list.add(Action::Seed(unit.unit.id.clone()), "its volume is new", after);
        }
    }
    let sealed = units().filter(|unit| observed.unowned.contains(*unit)).cloned().collect();
    containers::containers(plan, observed, mode, (fresh, sealed), &mut list);
    list.steps
}

fn images(plan: &Plan, observed: &Observed, mode: &Mode, list: &mut List) {
    let infra = plan.infra();
    let packed = observed.images.get(&infra).map(|image| &image.id);
    if plan.needs_infra && packed.is_none_or(|id| observed.infra.as_ref() != Some(id)) {
        let cause = if packed.is_none() { "the engine does not have it" } else { "it is of another claw" };
        list.add(Action::Pack, cause, Vec::new());
    }
    for (name, dockerfile) in &plan.bases {
        let cause = match observed.images.get(name) {
            None => "the engine does not have it",
            // An image that merely has that name.
            Some(image) if image.context.as_deref() != Some(base_context(dockerfile).as_str()) => {
                "it was not built from claw's own Dockerfile"
            }
            Some(_) => continue,
        };
        list.add(Action::Base(name.clone()), cause, Vec::new());
    }
    let packs = list.ids(|action| matches!(action, Action::Pack | Action::Base(_)));
    let is_built = |service: &str| {
        let image = plan.builds.get(service).map(|build| build.image.as_str());
        mode.services(plan).any(|(_, service)| service.image.as_deref() == image)
    };
    for (service, build) in plan.builds.iter().filter(|(service, _)| mode.builds != Builds::Never && is_built(service))
    {
        let cause = match observed.images.get(build.image.as_str()) {
            _ if mode.builds == Builds::Always && !mode.has_images => "`--build` asks for it",
            None => "the engine does not have it",
            Some(image) if image.context.is_none() || image.context.as_ref() != observed.contexts.get(service) => {
                "what it is built from changed"
            }
            Some(_) => continue,
        };
        list.add(Action::Build(service.clone()), cause, packs.clone());
    }
    let mut pulled = BTreeSet::new();
    for (name, service) in mode.services(plan) {
        let Some(image) = &service.image else { continue };
        let is_ours = *image == infra
            || plan.bases.contains_key(image)
            || plan.builds.values().any(|build| build.image.as_str() == image);
        let is_wanted = mode.containers_of(name, service) > 0 && !is_ours && pulled.insert(image.clone());
        let is_here = observed.images.contains_key(image);
        let cause = match (mode.pull.unwrap_or(Pull::of(service)), is_here) {
            (Pull::Always, true) if mode.has_images => continue,
            (Pull::Always, _) if mode.pull.is_some() => "`--pull` asks for it",
            (Pull::Always, _) => "its pull policy is `always`",
            (Pull::Missing, false) => "the engine does not have it",
            (Pull::Never, _) | (Pull::Missing, true) => continue,
        };
        if is_wanted && !plan.builds.contains_key(name) {
            list.add(Action::Pull(image.clone()), cause, Vec::new());
        }
    }
}

/// One helper container hands over everything that is new. An engine fills a new volume when a container is made that mounts it, with
/// the owners of the image: it is handed over after that, and before the container starts.
fn own(plan: &Plan, fresh: BTreeSet<String>, units: BTreeSet<UnitId>, list: &mut List) {
    let volumes: BTreeSet<String> = fresh.into_iter().filter(|key| plan.owner_of(key).is_some()).collect();
    if volumes.is_empty() && units.is_empty() {
        return;
    }
    let after = list.ids(|action| match action {
        Action::CreateVolume(key) => volumes.contains(key),
        Action::Write(unit) => units.contains(unit),
        Action::Seed(unit) => {
            let home = plan.units.get(unit).and_then(|unit| unit.home.as_ref());
            home.is_some_and(|home| volumes.contains(&home.volume))
        }
        Action::Pack => true,
        Action::CreateContainer(name, _) => plan.project.services.get(name).is_some_and(|service| {
            volumes.iter().any(|key| mounts(service, key)) || units.iter().any(|unit| unit.as_str() == name)
        }),
        _ => false,
    });
    list.add(Action::Own(volumes, units), "new volumes and secrets belong to root or to you", after);
}

/// Returns whether a service mounts a volume.
fn mounts(service: &Service, volume: &str) -> bool {
    service.volumes.iter().any(|mount| mount.kind == "volume" && mount.source.as_deref() == Some(volume))
}

/// Returns the services, each after those it depends on.
pub fn order(plan: &Plan) -> Vec<String> {
    let services = &plan.project.services;
    let mut ordered: Vec<String> = Vec::with_capacity(services.len());
    let mut placed: BTreeSet<&str> = BTreeSet::new();
    let mut open: Vec<(&str, bool)> = services.keys().rev().map(|name| (name.as_str(), false)).collect();
    // Depth first: a service follows what it depends on. Loading refuses cycles, so each is entered once.
    let mut entered: BTreeSet<&str> = BTreeSet::new();
    while let Some((name, is_left)) = open.pop() {
        if is_left {
            if placed.insert(name) {
                ordered.push(name.to_owned());
            }
            continue;
        }
        if !entered.insert(name) {
            continue;
        }
        open.push((name, true));
        let Some((_, service)) = services.get_key_value(name) else { continue };
        let needed = service.depends_on.keys().rev().filter_map(|target| services.get_key_value(target));
        open.extend(needed.map(|(target, _)| (target.as_str(), false)));
    }
    ordered
}
