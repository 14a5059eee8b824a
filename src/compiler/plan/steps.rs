//! Steps: what must be done so that what runs is what was planned, and why. A function of plan and observation.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use claw_compose::model::Service;
use claw_types::id::UnitId;
use sha2::{Digest, Sha256};

use super::Plan;

/// What an engine and its host were seen to have of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Networks by key.
    pub networks: BTreeSet<String>,
    /// Volumes by key.
    pub volumes: BTreeSet<String>,
    /// Containers by compose service, in the order of their numbers.
    pub containers: BTreeMap<String, Vec<Container>>,
    /// Images by the name the plan gives them, where the engine has them.
    pub images: BTreeMap<String, Image>,
    /// The digest of what each image is built from, by service.
    pub contexts: BTreeMap<String, String>,
    /// The id of claw's own image as this claw packs it.
    pub infra: Option<String>,
    /// The seal each agent with secrets must carry.
    pub seals: BTreeMap<UnitId, String>,
    /// Agents whose files are not all where they must be.
    pub unwritten: BTreeSet<UnitId>,
    /// Agents whose sealed files do not belong to them.
    pub unowned: BTreeSet<UnitId>,
    /// The container of each agent that was last told what is told after a start.
    pub told: BTreeMap<UnitId, String>,
    /// What the label `config-hash` says of what is made on this host.
    pub hashes: Hashes,
}

/// Docker compose's `config-hash` of everything in a project, by key. Paths of the host and values of variables are in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hashes {
    /// Of services, for two releases of docker compose: containers get the first, and either is as good.
    pub services: BTreeMap<String, [String; 2]>,
    /// Of networks.
    pub networks: BTreeMap<String, String>,
    /// Of volumes.
    pub volumes: BTreeMap<String, String>,
}

impl Observed {
    /// Returns the directory of another checkout that containers of this project's name were started from.
    pub fn elsewhere(&self) -> Option<&str> {
        self.containers.values().flatten().find_map(|container| container.elsewhere.as_deref())
    }
}

/// An image that was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Its id.
    pub id: String,
    /// The digest of what it was built from, where claw built it.
    pub context: Option<String>,
}

/// A container that was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Which container of its service, from 1.
    pub number: u32,
    /// The hash of the service it was made from.
    pub hash: String,
    /// The id of the image it was made from.
    pub image: String,
    /// The seal it carries, where it has secrets.
    pub seal: Option<String>,
    /// Whether claw made it.
    pub is_claws: bool,
    /// The directory of another checkout that it was started from.
    pub elsewhere: Option<String>,
    /// Whether it runs.
    pub is_running: bool,
    /// It ended by itself and without an error.
    pub is_completed: bool,
    /// Where it differs from what its service says, by the name of the setting.
    pub drift: Vec<String>,
}

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
    /// A network is made.
    CreateNetwork(String),
    /// A volume is made.
    CreateVolume(String),
    /// New volumes and sealed files are handed to the agents they are for: volumes, and agents with sealed files.
    Own(BTreeSet<String>, BTreeSet<UnitId>),
    /// A container is stopped and stays: service, name, id.
    Stop(String, String, String),
    /// A container is stopped and taken away: service, name, id.
    RemoveContainer(String, String, String),
    /// A container is made: service, number.
    CreateContainer(String, u32),
    /// A container is started once what it depends on is ready: service, number.
    Start(String, u32),
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
            Action::CreateNetwork(_) => "create-network",
            Action::CreateVolume(_) => "create-volume",
            Action::Own(..) => "own",
            Action::Stop(..) => "stop",
            Action::RemoveContainer(..) => "remove-container",
            Action::CreateContainer(..) => "create-container",
            Action::Start(..) => "start",
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
            Action::Write(unit) | Action::Tell(unit, _) => unit.to_string(),
            Action::CreateNetwork(key) | Action::CreateVolume(key) => key.clone(),
            Action::Own(volumes, units) => {
                volumes.iter().cloned().chain(units.iter().map(ToString::to_string)).collect::<Vec<_>>().join(", ")
            }
            Action::Stop(_, name, _) | Action::RemoveContainer(_, name, _) => name.clone(),
            Action::CreateContainer(service, number) | Action::Start(service, number) => numbered(service, *number),
        }
    }

    /// Returns the service it is about, where it is about one.
    pub fn service(&self) -> Option<&str> {
        match self {
            Action::Stop(service, ..)
            | Action::RemoveContainer(service, ..)
            | Action::CreateContainer(service, _)
            | Action::Start(service, _) => Some(service),
            Action::Write(unit) | Action::Tell(unit, _) => Some(unit.as_str()),
            _ => None,
        }
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
            Action::CreateNetwork(_) => "create network",
            Action::CreateVolume(_) => "create volume",
            Action::Own(..) => "set owner of",
            Action::Stop(..) => "stop container",
            Action::RemoveContainer(..) => "remove container",
            Action::CreateContainer(..) => "create container",
            Action::Start(..) => "start container",
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

/// How steps are chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mode {
    /// Compose services that are looked at, with what they depend on; all where absent.
    pub selected: Option<BTreeSet<String>>,
    /// Containers of services that are gone are removed even where another tool made them.
    pub removes_orphans: bool,
}

impl Mode {
    /// Returns the mode of some services: those named and all they depend on; a name may be a compose service, or the
    /// service of the pod file whose replicas are meant.
    ///
    /// # Errors
    /// Where there is no service of a name: that name.
    pub fn of(names: &[String], plan: &Plan) -> Result<Self, String> {
        if names.is_empty() {
            return Ok(Self::default());
        }
        let mut open = Vec::new();
        for name in names {
            let found = plan.compose_services(name);
            if found.is_empty() {
                return Err(name.clone());
            }
            open.extend(found);
        }
        let mut selected = BTreeSet::new();
        while let Some(name) = open.pop() {
            let needed = plan.project.services.get(&name).map(|service| service.depends_on.keys().cloned());
            if selected.insert(name) {
                open.extend(needed.into_iter().flatten());
            }
        }
        Ok(Self { selected: Some(selected), removes_orphans: false })
    }

    /// Returns whether a compose service is looked at.
    pub fn has(&self, service: &str) -> bool {
        self.selected.as_ref().is_none_or(|selected| selected.contains(service))
    }

    /// Returns the services that are looked at.
    fn services<'p>(&'p self, plan: &'p Plan) -> impl Iterator<Item = (&'p String, &'p Service)> {
        plan.project.services.iter().filter(|(name, _)| self.has(name))
    }
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
    let units = || plan.units.keys().filter(|unit| mode.has(unit.as_str()));
    for unit in units().filter(|unit| observed.unwritten.contains(*unit)) {
        list.add(Action::Write(unit.clone()), "they are new or changed", Vec::new());
    }
    let is_external = |external: Option<bool>| external == Some(true);
    for key in networks(plan, mode).into_iter().filter(|key| !observed.networks.contains(key)) {
        if !plan.project.networks.get(&key).is_some_and(|network| is_external(network.external)) {
            list.add(Action::CreateNetwork(key), "it is missing", Vec::new());
        }
    }
    let mut fresh = BTreeSet::new();
    for key in volumes(plan, mode).into_iter().filter(|key| !observed.volumes.contains(key)) {
        if !plan.project.volumes.get(&key).is_some_and(|volume| is_external(volume.external)) {
            list.add(Action::CreateVolume(key.clone()), "it is missing", Vec::new());
            fresh.insert(key);
        }
    }
    let sealed = units().filter(|unit| observed.unowned.contains(*unit)).cloned().collect();
    own(plan, fresh, sealed, &mut list);
    containers(plan, observed, mode, &mut list);
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
    for (service, build) in plan.builds.iter().filter(|(service, _)| is_built(service)) {
        let cause = match observed.images.get(build.image.as_str()) {
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
        let is_wanted = containers_of(service) > 0 && !is_ours && pulled.insert(image.clone());
        let is_here = observed.images.contains_key(image);
        let cause = match (service.pull_policy.as_deref(), is_here) {
            (Some("never" | "build"), _) => continue,
            (Some("always"), _) => "its pull policy is `always`",
            (_, false) => "the engine does not have it",
            (_, true) => continue,
        };
        if is_wanted && !plan.builds.contains_key(name) {
            list.add(Action::Pull(image.clone()), cause, Vec::new());
        }
    }
}

/// One helper container hands over everything that is new.
fn own(plan: &Plan, fresh: BTreeSet<String>, units: BTreeSet<UnitId>, list: &mut List) {
    let volumes: BTreeSet<String> = fresh.into_iter().filter(|key| plan.owner_of(key).is_some()).collect();
    if volumes.is_empty() && units.is_empty() {
        return;
    }
    let after = list.ids(|action| match action {
        Action::CreateVolume(key) => volumes.contains(key),
        Action::Write(unit) => units.contains(unit),
        Action::Pack => true,
        _ => false,
    });
    list.add(Action::Own(volumes, units), "new volumes and secrets belong to root or to you", after);
}

/// Why a container is not what its service says; nothing where it is.
fn difference(
    name: &str,
    service: &Service,
    container: &Container,
    plan: &Plan,
    observed: &Observed,
) -> Option<String> {
    let image = service.image.as_ref().and_then(|image| observed.images.get(image));
    let unit = plan.units.iter().find(|(id, _)| id.as_str() == name);
    let seal = unit.and_then(|(id, _)| observed.seals.get(id));
    if let Some(directory) = &container.elsewhere {
        return Some(format!("it was started from `{directory}`"));
    }
    if !observed.hashes.services.get(name).is_some_and(|hashes| hashes.contains(&container.hash)) {
        return Some("its configuration changed".to_owned());
    }
    if image.is_some_and(|image| image.id != container.image) {
        return Some("its image changed".to_owned());
    }
    if seal.is_some() && seal != container.seal.as_ref() {
        return Some("a secret of it changed".to_owned());
    }
    if !container.drift.is_empty() {
        return Some(format!("it runs otherwise than planned: {}", container.drift.join(", ")));
    }
    None
}

/// Why containers must be made anew, by service and number: what differs, and what shares a namespace with what differs.
fn causes(plan: &Plan, observed: &Observed, mode: &Mode, list: &List) -> BTreeMap<(String, u32), String> {
    let is_new_image = |service: &Service| list.steps.iter().any(|step| makes(&step.action, service, plan));
    let mut causes = BTreeMap::new();
    for name in order(plan).iter().filter(|name| mode.has(name)) {
        let Some(service) = plan.project.services.get(name) else { continue };
        let modes = [&service.network_mode, &service.pid, &service.ipc];
        let mut shared = modes.into_iter().flatten().filter_map(|mode| mode.strip_prefix("service:"));
        let shared = shared.find(|target| causes.contains_key(&((*target).to_owned(), 1)));
        for container in observed.containers.get(name).map_or(&[][..], Vec::as_slice) {
            let difference = difference(name, service, container, plan, observed)
                .or_else(|| shared.map(|target| format!("it shares a namespace with `{target}`, which is made anew")))
                .or_else(|| is_new_image(service).then(|| FORECAST.to_owned()));
            if let Some(cause) = difference {
                causes.insert((name.clone(), container.number), cause);
            }
        }
    }
    causes
}

fn containers(plan: &Plan, observed: &Observed, mode: &Mode, list: &mut List) {
    let causes = causes(plan, observed, mode, list);
    let prepared = list.ids(|action| !action.is_image());
    let mut starts: BTreeMap<(String, u32), String> = BTreeMap::new();
    restarts(plan, observed, mode, &causes, &mut starts, list);
    orphans(plan, observed, mode, list);
    for name in order(plan).iter().filter(|name| mode.has(name)) {
        let Some(service) = plan.project.services.get(name) else { continue };
        let seen = observed.containers.get(name).map_or(&[][..], Vec::as_slice);
        let needed = needed(name, service, plan, list);
        let stopped = list.ids(|action| matches!(action, Action::Stop(of, ..) if asks(plan, of, name)));
        for number in 1..=containers_of(service) {
            let key = (name.clone(), number);
            let container = seen.iter().find(|container| container.number == number);
            let Some(container) = container else {
                list.add(Action::CreateContainer(name.clone(), number), "it is missing", needed.clone());
                starts.insert(key, "it is new".to_owned());
                continue;
            };
            match causes.get(&key) {
                Some(cause) => {
                    let after = [prepared.clone(), stopped.clone()].concat();
                    let gone = remove(name, container, cause, after, list);
                    let after = [needed.clone(), vec![gone]].concat();
                    list.add(Action::CreateContainer(name.clone(), number), cause, after);
                    starts.insert(key, "it is new".to_owned());
                }
                None if container.is_running || (container.is_completed && runs_once(name, service, plan)) => {}
                None => {
                    starts.insert(key, "it does not run".to_owned());
                }
            }
        }
        for extra in seen.iter().filter(|container| container.number > containers_of(service)) {
            remove(name, extra, "the service has fewer containers now", Vec::new(), list);
        }
    }
    start(plan, &starts, list);
    tell(plan, observed, mode, &starts, list);
}

/// Containers of services that are gone.
fn orphans(plan: &Plan, observed: &Observed, mode: &Mode, list: &mut List) {
    let is_orphan = |name: &str| {
        let is_known = plan.project.services.contains_key(name) || plan.disabled.contains(name);
        mode.selected.is_none() && !is_known
    };
    for (service, seen) in observed.containers.iter().filter(|(name, _)| is_orphan(name)) {
        // What another tool made is not claw's to remove: the command line tells of it.
        for container in seen.iter().filter(|container| container.is_claws || mode.removes_orphans) {
            remove(service, container, "the pod has no such service any more", Vec::new(), list);
        }
    }
}

/// Returns whether a service asks to be restarted with another.
fn asks(plan: &Plan, service: &str, target: &str) -> bool {
    let dependency = plan.project.services.get(service).and_then(|service| service.depends_on.get(target));
    dependency.is_some_and(|dependency| dependency.restart == Some(true))
}

/// Returns the steps that come before a container of a service is made: its image, its files, its networks and volumes, the
/// containers of what it depends on, and an orphan that may have its name.
fn needed(name: &str, service: &Service, plan: &Plan, list: &List) -> Vec<u32> {
    let has_network = |key: &str| match service.networks.is_empty() {
        true => key == "default" && service.network_mode.is_none(),
        false => service.networks.contains_key(key),
    };
    let has_volume = |key: &str| {
        let mut mounts = service.volumes.iter().filter(|mount| mount.kind == "volume");
        mounts.any(|mount| mount.source.as_deref() == Some(key))
    };
    list.ids(|action| match action {
        Action::Pack | Action::Base(_) | Action::Pull(_) | Action::Build(_) => makes(action, service, plan),
        Action::Write(unit) => unit.as_str() == name,
        Action::CreateNetwork(key) => has_network(key),
        Action::CreateVolume(key) => has_volume(key),
        Action::Own(volumes, units) => {
            units.iter().any(|unit| unit.as_str() == name) || volumes.iter().any(|key| has_volume(key))
        }
        Action::CreateContainer(made, _) => service.depends_on.contains_key(made),
        Action::RemoveContainer(of, ..) => service.container_name.is_some() && of != name,
        Action::Stop(..) | Action::Start(..) | Action::Tell(..) => false,
    })
}

/// Returns whether a step makes the image that a service runs.
fn makes(action: &Action, service: &Service, plan: &Plan) -> bool {
    match action {
        Action::Pack => service.image.as_deref() == Some(plan.infra().as_str()),
        Action::Build(of) => plan.builds.get(of).map(|build| build.image.as_str()) == service.image.as_deref(),
        Action::Pull(image) | Action::Base(image) => service.image.as_ref() == Some(image),
        _ => false,
    }
}

/// What a runtime is told after its start, told where its container is new or was never told.
fn tell(plan: &Plan, observed: &Observed, mode: &Mode, starts: &BTreeMap<(String, u32), String>, list: &mut List) {
    for (id, unit) in plan.units.iter().filter(|(id, _)| mode.has(id.as_str())) {
        let name = id.as_str().to_owned();
        let told = observed.told.get(id);
        let is_started = starts.contains_key(&(name.clone(), 1));
        let seen = observed.containers.get(&name).and_then(|seen| seen.first());
        let is_told = told.is_some() && !is_started && seen.map(|seen| &seen.id) == told;
        for each in unit.lowered.after_start.iter().filter(|each| each.has_content || told.is_some()) {
            if !is_told && (is_started || seen.is_some_and(|seen| seen.is_running)) {
                let after = list.ids(|action| *action == Action::Start(name.clone(), 1));
                let cause = if is_started { "it starts" } else { "it was not told yet" };
                list.add(Action::Tell(id.clone(), each.what), cause, after);
            }
        }
    }
}

/// `depends_on: {x: {restart: true}}`: who asks for it is stopped before what it needs goes, and started after it is back.
fn restarts(
    plan: &Plan,
    observed: &Observed,
    mode: &Mode,
    causes: &BTreeMap<(String, u32), String>,
    starts: &mut BTreeMap<(String, u32), String>,
    list: &mut List,
) {
    let is_made_anew = |target: &str| causes.keys().any(|(service, _)| service == target);
    for (name, service) in mode.services(plan) {
        let mut asks = service.depends_on.iter().filter(|(_, dependency)| dependency.restart == Some(true));
        let Some((target, _)) = asks.find(|(target, _)| is_made_anew(target)) else { continue };
        for container in observed.containers.get(name).into_iter().flatten() {
            let key = (name.clone(), container.number);
            if container.is_running && !causes.contains_key(&key) {
                let cause = format!("it restarts with `{target}`");
                let action = Action::Stop(name.clone(), container.name.clone(), container.id.clone());
                list.add(action, cause.clone(), Vec::new());
                starts.insert(key, cause);
            }
        }
    }
}

fn remove(service: &str, container: &Container, cause: &str, after: Vec<u32>, list: &mut List) -> u32 {
    let action = Action::RemoveContainer(service.to_owned(), container.name.clone(), container.id.clone());
    list.add(action, cause, after)
}

/// A service that is no agent and is not restarted has done its work when it ended without an error.
fn runs_once(name: &str, service: &Service, plan: &Plan) -> bool {
    let is_agent = plan.units.keys().any(|unit| unit.as_str() == name);
    !is_agent && !matches!(service.restart.as_deref(), Some("always" | "unless-stopped"))
}

fn start(plan: &Plan, starts: &BTreeMap<(String, u32), String>, list: &mut List) {
    for name in order(plan) {
        for ((service, number), cause) in starts.iter().filter(|((service, _), _)| *service == name) {
            let needed = plan.project.services.get(service).map(|service| &service.depends_on);
            let after = list.ids(|action| match action {
                Action::CreateContainer(created, of) => created == service && of == number,
                Action::Start(started, _) => needed.is_some_and(|needed| needed.contains_key(started)),
                Action::Stop(stopped, ..) => stopped == service,
                // Ports and names are free only then.
                Action::RemoveContainer(..) => true,
                _ => false,
            });
            list.add(Action::Start(service.clone(), *number), cause.clone(), after);
        }
    }
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
