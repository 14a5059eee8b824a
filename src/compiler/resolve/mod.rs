//! Resolve: every name bound, every default applied, images and `x-claw` merged by one table of precedence.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use claw_compose::load::{Loaded, Stop};
use claw_compose::model::{Project, Service};
use claw_compose::shape::{Decoder, Shape};
use claw_compose::yaml::{Kind, Node, Resolved, Scalar};
use claw_types::agent::{AgentUnit, Contract, Replica};
use claw_types::diag::{Code, Diagnostic, Diagnostics, Reported};
use claw_types::driver::Driver;
use claw_types::id::{PodName, ProxyType, RuntimeName, SecretName, ServiceName, UnitId};
use claw_types::image::{ImageRef, label};
use claw_types::roster::Roster;
use claw_types::span::{FileId, Span, Spanned};
use claw_types::standing::runtime_and_version;
use claw_types::track::Manager;

use crate::clawfile::directive::WORKER_MODE;
use crate::clawfile::label::Declared;
use crate::clawfile::{Clawfile, Directive};
use crate::facts::{Context, Facts, HostFact, HostOwner, LoadedPod, Need, PodSpec, load_pod};
use crate::plan::Pool;
use crate::pod::{AgentBlock, PodBlock, makes_agent};

pub(crate) mod agentish;
mod capability;
mod channel;
mod check;
mod contract;
mod described;
mod emitted;
mod environment;
mod identity;
mod image;
mod inference;
mod limits;
mod manual;
pub(crate) mod proxy;
mod reach;
mod secret;
mod surface;
mod trace;

pub use image::generated_name;
pub use limits::ALLOW;
pub use manual::{BadManual, MANUAL_LIMIT, manual};
pub use proxy::{Gateway, Governance, PolicyService, ProxySpec};
pub use secret::SecretSource;
pub use trace::{Found, Origin, Trace, Uses};

use agentish::Agentish;
use capability::Wanted;
use emitted::Image;
use image::{FromImage, from_image};
use trace::Skills;

/// A pod with every question answered.
#[derive(Clone, Debug)]
pub struct Pod {
    /// Its name: the compose project.
    pub name: PodName,
    /// The pod file's first byte, where nothing better is to blame.
    pub origin: Span,
    /// Agents by service.
    pub agents: BTreeMap<ServiceName, Agent>,
    /// The whole compose file as loaded.
    pub project: Project,
    /// Variables that every service gets: identities of the pod.
    pub broadcast: BTreeMap<String, String>,
    /// Images that are built, by service.
    pub builds: BTreeMap<String, Build>,
    /// Where the values of named secrets come from.
    pub sources: BTreeMap<SecretName, SecretSource>,
    /// Where the paths of the host lead that agents mount.
    pub host_paths: BTreeMap<String, HostFact>,
    /// Whose those are.
    pub host_owners: BTreeMap<String, HostOwner>,
    /// Services whose profile is not enabled.
    pub disabled: BTreeSet<String>,
    /// Governance proxies.
    pub proxies: BTreeMap<ProxyType, ProxySpec>,
    /// What holds for all that goes through them.
    pub governance: Governance,
    /// Where the addresses of agents' networks are from, where the pod says so.
    pub(crate) subnets: Option<Pool>,
    /// Files that services describe themselves in: agents read what is in them, not as they are written.
    pub(crate) descriptions: BTreeSet<FileId>,
}

/// An agent and how many there are of it.
#[derive(Clone, Debug)]
pub struct Agent {
    /// Its row, as the only replica.
    pub unit: AgentUnit,
    /// How many there are.
    pub count: u32,
    /// Privileged things it may have.
    pub allow: BTreeSet<String>,
    /// What it brings to its proxies.
    pub(crate) proxied: Option<proxy::Proxied>,
    /// Where what it has comes from.
    pub trace: Arc<Trace>,
    /// What worker mode does with it.
    pub worker: Worker,
}

/// What an image says of worker mode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Worker {
    /// Commands, in order.
    pub acts: Vec<String>,
    /// Package managers whose changes are logged.
    pub tracked: BTreeSet<Manager>,
    /// Whom its processes run as; the image's user where it is not said.
    pub user: Option<String>,
}

/// An image to build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// The tag it gets.
    pub image: ImageRef,
    /// The context as written.
    pub context: String,
    /// The build file in it.
    pub dockerfile: String,
    /// The Dockerfile to write beside it, where the build file holds directives: name and text.
    pub generated: Option<(String, String)>,
    /// The paths of the context that it reads; nothing where it may read all.
    pub reads: Option<Vec<String>>,
    /// What the builder must be able to do, with the line that needs it.
    pub features: Vec<(&'static str, usize)>,
    /// Whether the file names a frontend of its own (`# syntax=`): then the builder's built-in one does not matter.
    pub has_frontend: bool,
    /// The image it starts from.
    pub base: Option<String>,
    /// Something of the image can be known after the build alone: its base is not here.
    pub is_partial: bool,
    /// What the pod file says of it: arguments, target, labels, …
    pub written: claw_compose::model::Build,
}

impl Build {
    /// Returns the build of a Clawfile on its own, its context being the directory it is looked at from.
    pub fn of(image: ImageRef, dockerfile: String, generated: Option<(String, String)>, clawfile: &Clawfile) -> Self {
        Self {
            image,
            context: ".".to_owned(),
            dockerfile,
            generated,
            reads: clawfile.reads(),
            features: clawfile.features(),
            has_frontend: clawfile.has_frontend(),
            is_partial: false,
            base: clawfile.last_stage().base,
            written: claw_compose::model::Build::default(),
        }
    }
}

/// Returns what must be known of a service.
pub(crate) fn needs_of(
    agentish: &Agentish<'_>,
    loaded: &Loaded,
    sources: &BTreeMap<SecretName, SecretSource>,
    facts: &Facts,
    cx: &Context<'_>,
) -> BTreeSet<Need> {
    let mut needs = BTreeSet::new();
    let mut unused = Diagnostics::new();
    let Some(service) = agentish.service else { return needs };
    if let Some((context, dockerfile)) = agentish.build_key() {
        needs.insert(Need::BuildFile { context, dockerfile });
    } else if let Some(image) = &service.image {
        let image = ImageRef::new(image.as_str());
        if cx.image(&image, facts).is_none() {
            needs.insert(Need::Image(image));
        }
    }
    let at = Span::start_of(claw_types::span::FileId(0));
    let Ok(image) = from_image(agentish, "pod", at, facts, cx, &mut unused) else { return needs };
    if let Some(base) = image.build.as_ref().and_then(|build| build.base.clone())
        && cx.image(&ImageRef::new(base.as_str()), facts).is_none()
        && base != "scratch"
        && !base.contains('$')
    {
        needs.insert(Need::Image(ImageRef::new(base)));
    }
    if runtime_of(&image, agentish).is_some() {
        let block = agentish.decode(&mut unused);
        let heard = channel::named(&block).filter_map(|name| loaded.project.services.get(name));
        for service in std::iter::once(service).chain(heard) {
            needs.extend(service.env_file.iter().map(|file| Need::EnvFile(file.path.clone())));
            needs.extend(channel::needs(service, sources, facts));
        }
        let binds =
            service.volumes.iter().filter(|mount| mount.kind == "bind").filter_map(|mount| mount.source.clone());
        let hosts = surface::targets("host", &block, &image.directives);
        needs.extend(binds.chain(hosts).map(Need::HostPath));
        for name in surface::targets("service", &block, &image.directives) {
            let target = Agentish::new(loaded, &name, false);
            let Ok(found) = from_image(&target, "pod", at, facts, cx, &mut unused) else { continue };
            let found = Image::of(&target, found);
            needs.extend(emitted::need(found.emitted(&name, &emitted::MANUAL, facts)));
            needs.extend(described::needs(&name, target.service, &found, facts));
        }
        needs.extend(contract::needs(&block, &image.directives));
        needs.extend(inference::needs(&block, &image.directives));
    }
    needs
}

/// Returns the runtime a service runs, where it is an agent.
fn runtime_of(image: &FromImage, agentish: &Agentish<'_>) -> Option<Spanned<String>> {
    let named = agentish.block.as_ref().and_then(|block| block.get("type")).filter(|node| !node.is_null());
    if let Some(node) = named {
        // Something else than text is told when the block is read.
        let text = node.scalar().map(Scalar::resolve);
        return Some(Spanned::new(
            if let Some(Resolved::Str(text)) = text { text.to_owned() } else { String::new() },
            node.span,
        ));
    }
    let declared = image.directives.iter().find_map(|each| match &each.value {
        Directive::ClawType(runtime) => Some(Spanned::new(runtime.clone(), each.span)),
        _ => None,
    });
    let block = agentish.block.as_ref().filter(|block| makes_agent(block));
    declared.or_else(|| block.map(|block| Spanned::new(String::new(), block.span)))
}

/// Returns the pod.
///
/// # Errors
/// Where a name leads nowhere, a file cannot be used, or an agent cannot be expressed; every reason is in `diag`.
pub fn resolve(spec: &PodSpec, facts: &Facts, cx: &Context<'_>, diag: &mut Diagnostics) -> Result<Pod, Reported> {
    let mark = diag.mark();
    let origin = spec.origin();
    let LoadedPod { loaded, agents: known } = load_pod(spec, facts, cx, diag).map_err(|stop| match stop {
        Stop::Reported(reported) | Stop::Broken(_, reported) => reported,
        Stop::Wanted(_) => {
            let error = Diagnostic::error(Code::MissingFile, origin, "a file that the pod names was not looked for");
            diag.report(error.help("this is a fault of claw: please report it"))
        }
    })?;
    let loaded = without_disabled(loaded);
    let block = pod_block(&loaded, diag);
    let name = pod_name(spec, &loaded, &block, origin, diag)?;
    check::pod(&block, &loaded, origin, diag);
    inference::providers(&block, origin, diag);
    let mut builds = BTreeMap::new();
    let mut found = Vec::new();
    for service in loaded.project.services.keys() {
        let agentish = Agentish::new(&loaded, service, known.contains(service));
        let at = agentish.service.map_or(origin, |service| service.origin.place(origin));
        let Ok(image) = from_image(&agentish, name.as_str(), at, facts, cx, diag) else { continue };
        builds.extend(image.build.clone().map(|build| (service.clone(), build)));
        found.push((agentish, at, image));
    }
    let images = found.iter().map(|(agentish, _, image)| (agentish.name, Image::of(agentish, image.clone()))).collect();
    let rows = rows(found, facts, cx, diag);
    let sources = secret::sources(&block, origin, diag);
    let roster = Arc::new(identity::roster(&rows, &block, &sources, facts, origin, diag));
    check::names(&rows, &loaded.project.services, origin, diag);
    check::accounts(&rows, &roster, diag);
    let everyone: BTreeSet<&str> = loaded.project.services.keys().map(String::as_str).collect();
    let shared = Shared {
        name: &name,
        block: &block,
        project: &loaded.project,
        images: &images,
        roster: &roster,
        everyone: &everyone,
        sources: &sources,
        described: BTreeMap::new(),
    };
    let (described, descriptions) = described::all(&rows, &shared, facts, cx, diag);
    let shared = Shared { described, ..shared };
    let mut agents =
        rows.iter().filter_map(|row| Some((row.service.clone(), agent(row, &shared, facts, cx, diag)?))).collect();
    check::tokens(&agents, diag);
    let proxies = proxy::proxies(&agents, diag);
    let subnets = subnets(shared.block, origin, diag);
    let governance = proxy::governance(&shared, !proxies.is_empty(), origin, facts, cx, diag);
    proxy::master(&mut agents, &proxies, &block);
    let broadcast = identity::broadcast(&roster);
    let disabled = loaded.disabled.keys().cloned().collect();
    let (host_paths, host_owners) = (facts.host_paths.clone(), facts.host_owners.clone());
    let project = loaded.project;
    let pod = Pod {
        name,
        origin,
        agents,
        project,
        broadcast,
        builds,
        sources,
        host_paths,
        host_owners,
        disabled,
        proxies,
        governance,
        subnets,
        descriptions,
    };
    diag.finish(mark, pod)
}

/// A dependency that need not be there, on a service that is switched off, is none.
fn without_disabled(mut loaded: Loaded) -> Loaded {
    for service in loaded.project.services.values_mut() {
        service.depends_on.retain(|name, _| !loaded.disabled.contains_key(name));
    }
    loaded
}

/// Returns the services that are agents, and judges what can be judged of the others.
fn rows<'l>(
    found: Vec<(Agentish<'l>, Span, FromImage)>,
    facts: &Facts,
    cx: &Context<'_>,
    diag: &mut Diagnostics,
) -> Vec<Row<'l>> {
    let mut rows = Vec::new();
    for (agentish, at, image) in found {
        let block = agentish.decode(diag);
        limits::words(&block, at, diag);
        let Some(runtime) = runtime_of(&image, &agentish) else {
            environment::plain(&agentish, at, facts, diag);
            continue;
        };
        if let Some((service, driver)) = named(&agentish, &runtime, at, cx, diag) {
            let (name, version) = runtime_and_version(&runtime.value);
            let wanted = Wanted { name: name.to_owned(), version: version.map(str::to_owned) };
            let runtime = Spanned::new(wanted, runtime.span);
            let row = Row { agentish, at, image, block, service, driver, runtime };
            capability::tried(&row, diag);
            rows.push(row);
        }
    }
    rows
}

/// A service that is an agent, before its questions are answered.
pub(crate) struct Row<'l> {
    pub(crate) agentish: Agentish<'l>,
    pub(crate) at: Span,
    image: FromImage,
    pub(crate) block: AgentBlock,
    pub(crate) service: ServiceName,
    pub(crate) driver: &'static dyn Driver,
    pub(crate) runtime: Spanned<Wanted>,
}

impl Row<'_> {
    /// Returns where a key of its `x-claw` stands; its service where it is not there.
    pub(crate) fn place(&self, key: &str) -> Span {
        self.block.origin.of(key, self.at)
    }

    pub(crate) fn directives(&self) -> impl Iterator<Item = &Declared> {
        self.image.directives.iter()
    }

    /// Returns whether it goes through a proxy.
    pub(crate) fn is_proxied(&self) -> bool {
        let is_declared = self.directives().any(|each| matches!(each.value, Directive::Cllama(_)));
        self.block.cllama.as_ref().map_or(is_declared, |proxies| !proxies.types.is_empty())
    }

    /// Returns whether its `x-claw` has a key, be its value an empty list.
    pub(crate) fn sets(&self, key: &str) -> bool {
        self.block.origin.fields.has(key)
    }
}

/// What all agents of a pod share.
pub(crate) struct Shared<'s> {
    pub(crate) name: &'s PodName,
    pub(crate) block: &'s PodBlock,
    pub(crate) project: &'s Project,
    pub(crate) images: &'s BTreeMap<&'s str, Image>,
    pub(crate) roster: &'s Arc<Roster>,
    pub(crate) everyone: &'s BTreeSet<&'s str>,
    pub(crate) sources: &'s BTreeMap<SecretName, SecretSource>,
    /// What services say of themselves to machines.
    pub(crate) described: BTreeMap<&'s str, described::Described>,
}

/// Returns where the values of a pod's named secrets come from, as far as it says so rightly.
pub(crate) fn sources_of(loaded: &Loaded) -> BTreeMap<SecretName, SecretSource> {
    let mut unused = Diagnostics::new();
    let at = Span::start_of(claw_types::span::FileId(0));
    secret::sources(&pod_block(loaded, &mut unused), at, &mut unused)
}

/// Returns what must be known of the pod as a whole.
pub(crate) fn pod_needs(loaded: &Loaded) -> BTreeSet<Need> {
    proxy::needs(&pod_block(loaded, &mut Diagnostics::new()))
}

fn pod_block(loaded: &Loaded, diag: &mut Diagnostics) -> PodBlock {
    let Some(node) = loaded.tree.get("x-claw") else { return PodBlock::default() };
    let mut decoder = Decoder::new(diag, &crate::facts::keeps_at).taking_nothing();
    if let Some(defaults) = agentish::defaults(Some(node)) {
        decoder.at("x-claw", |cx| AgentBlock::decode(&defaults, cx));
    }
    let own = node.entries().iter().filter(|entry| !AgentBlock::KEYS.contains(&entry.key.as_str()));
    let own = Node::map(own.cloned().collect(), node.span);
    let is_map = matches!(node.kind, Kind::Map(_));
    decoder.at("x-claw", |cx| PodBlock::decode(if is_map { &own } else { node }, cx)).unwrap_or_default()
}

fn pod_name(
    spec: &PodSpec,
    loaded: &Loaded,
    block: &PodBlock,
    origin: Span,
    diag: &mut Diagnostics,
) -> Result<PodName, Reported> {
    let normal = claw_compose::load::normal_name;
    let written = loaded.project.name.as_deref().and_then(normal);
    let declared = block.pod.as_deref().and_then(normal);
    if let (Some(pod), None) = (&block.pod, &declared) {
        let at = block.origin.of("pod", origin);
        let error = Diagnostic::error(Code::BadName, at, format!("`{pod}` is not a pod name"));
        return Err(diag.report(error.help("use lower-case letters, digits, `-` and `_`")));
    }
    if let (Some(written), Some(declared)) = (&written, &declared)
        && written != declared
    {
        let at = block.origin.of("pod", origin);
        let error = Diagnostic::error(Code::ConflictingKeys, at, format!("the pod is `{declared}` and `{written}`"));
        let other = loaded.project.origin.of("name", origin);
        return Err(diag.report(error.note_at(other, "`name:` says so here").help("keep one of the two")));
    }
    let name = spec.name.clone().or(declared).or(written).or_else(|| normal(&spec.directory));
    let name = name.unwrap_or_else(|| "pod".to_owned());
    PodName::parse(&name).map_err(|bad| {
        let error = Diagnostic::error(Code::BadName, origin, bad.to_string());
        diag.report(error.help(format!("use {}", bad.grammar)))
    })
}

/// Returns where the pod says that the addresses of agents' networks are from.
fn subnets(block: &PodBlock, origin: Span, diag: &mut Diagnostics) -> Option<Pool> {
    let text = block.subnets.as_deref()?;
    let pool = Pool::parse(text);
    if pool.is_none() {
        let at = block.origin.of("subnets", origin);
        let error = Diagnostic::error(Code::BadValue, at, format!("`{text}` is no private range of addresses"));
        diag.push(error.help("write one of `/8` to `/24` that begins where its length says, such as `10.99.0.0/16`"));
    }
    pool
}

fn named(
    agentish: &Agentish<'_>,
    runtime: &Spanned<String>,
    at: Span,
    cx: &Context<'_>,
    diag: &mut Diagnostics,
) -> Option<(ServiceName, &'static dyn Driver)> {
    let service = ServiceName::parse(agentish.name).ok()?;
    if let Err(bad) = UnitId::parse(agentish.name) {
        let error = Diagnostic::error(Code::BadName, at, bad.to_string());
        diag.push(error.help(format!("use {}", bad.grammar)));
        return None;
    }
    let written = agentish.block.as_ref().and_then(|block| block.get("type")).filter(|node| !node.is_null());
    if written.is_some_and(|node| !matches!(node.scalar().map(Scalar::resolve), Some(Resolved::Str(_)))) {
        return None;
    }
    if runtime.value.is_empty() {
        let message = format!("`{service}` has an `x-claw`, and its image has no `{}`", label::TYPE);
        let error = Diagnostic::error(Code::MissingClawType, runtime.span, message);
        diag.push(error.help("add `type: <runtime>` to its `x-claw`, or build it from a Clawfile with `CLAW_TYPE`"));
        return None;
    }
    let (name, _) = runtime_and_version(&runtime.value);
    let driver = capability::driver(cx, name);
    if driver.is_none() {
        let error = Diagnostic::error(Code::UnknownRuntime, runtime.span, format!("there is no runtime `{name}`"));
        let names = cx.runtimes();
        let help = format!("there are `{}`", names.join("`, `"));
        diag.push(error.help(help).suggest(name, names));
    }
    driver.map(|driver| (service, driver))
}

fn agent(row: &Row<'_>, shared: &Shared<'_>, facts: &Facts, cx: &Context<'_>, diag: &mut Diagnostics) -> Option<Agent> {
    let service = row.agentish.service?;
    let count = count(row, service, diag);
    let image = match &row.image.build {
        Some(build) => build.image.clone(),
        None => ImageRef::new(service.image.clone().unwrap_or_default()),
    };
    let contract: Option<Contract> = contract::contract(row, facts, cx, diag).ok();
    let models = inference::models(row, diag);
    inference::slots(row, &models, cx, diag);
    let inference = inference::inference(row, shared, &models, facts, diag);
    let surfaces = surface::surfaces(row, shared, diag);
    let identities = shared.roster.identities.get(&row.service).cloned().unwrap_or_default();
    let env = environment::environment(row, service, shared, facts, diag);
    let schedules = identity::schedules(row, shared, diag);
    let channels = channel::policies(row, &surfaces.rules, shared, facts, diag);
    let own = manual::generated(&row.service, &surfaces.list, &channels, &identities, shared, row.at, diag);
    let mut skills = Skills::of(own, &surfaces, row);
    described::skills(row, &surfaces.list, shared, &mut skills, diag);
    emitted::manuals(row, &surfaces.list, shared, facts, cx, &mut skills, diag);
    contract::skills(row, facts, cx, &mut skills, diag);
    let persona = contract::persona(row, facts, diag);
    let model_policy = limits::model_policy(&row.block, row.at, diag);
    let budgets = limits::budgets(&row.block, row.at, diag);
    let brakes = limits::brakes(&row.block, row.at, diag);
    limits::kept(row, shared.block, &budgets, &models, diag);
    let settings = inference::settings(row, diag);
    let user = surface::user(row, &row.image.facts, service, diag);
    let (mut contract, (inference, proxied)) = (contract?, inference?);
    contract.sections.extend(contract::manuals(&surfaces.list, &skills.map));
    let trace = Arc::new(trace::trace(row, &contract, &surfaces, &models, &skills, shared));
    let models = models.into_iter().map(|(slot, list)| (slot, list.into_iter().map(|each| each.model).collect()));
    let unit = AgentUnit {
        id: UnitId::parse(row.service.as_str()).ok()?,
        service: row.service.clone(),
        replica: Replica { index: 0, of: 1 },
        pod: shared.name.clone(),
        runtime: RuntimeName::parse(row.driver.facts().name).ok()?,
        image,
        image_facts: row.image.facts.clone(),
        reach: reach::reach(row, &surfaces.list, identities.keys().copied(), &inference),
        contract,
        persona,
        models: models.collect(),
        model_policy,
        budgets,
        brakes,
        tools: proxy::tools(&row.block),
        inference,
        identities,
        channels,
        roster: Arc::clone(shared.roster),
        surfaces: surfaces.list,
        user,
        timezone: row.block.timezone.clone(),
        skills: skills.map,
        schedules,
        settings,
        env,
        origin: row.at,
    };
    capability::check(row, &unit, cx, diag);
    capability::judged(row, &unit, cx, diag);
    capability::read(row, &unit, diag);
    check::voices(row, &unit, cx, diag);
    let allow = row.block.allow.0.iter().map(|word| word.value.clone()).collect();
    let agent = Agent { unit, count, allow, proxied, trace, worker: worker(row) };
    check::replicas(&agent, service, row.at, diag);
    Some(agent)
}

/// Returns what the image of an agent says of worker mode.
fn worker(row: &Row<'_>) -> Worker {
    let mut worker = Worker::default();
    for each in row.directives() {
        match &each.value {
            Directive::Act(command) => worker.acts.push(command.clone()),
            Directive::Track(manager) => worker.tracked.extend(Manager::parse(manager)),
            Directive::Privilege { mode, spec } if mode == WORKER_MODE => worker.user = Some(spec.clone()),
            _ => {}
        }
    }
    worker
}

fn count(row: &Row<'_>, service: &Service, diag: &mut Diagnostics) -> u32 {
    let replicas = service.deploy.as_ref().and_then(|deploy| deploy.replicas);
    if service.scale.is_some() || replicas.is_some() {
        let key = if service.scale.is_some() { "scale" } else { "deploy" };
        let error = Diagnostic::error(
            Code::ConflictingKeys,
            service.origin.of(key, row.at),
            "an agent is not scaled like a service",
        );
        diag.push(error.help("write `count: N` in its `x-claw`: each replica is an agent of its own"));
    }
    let Some(count) = row.block.count else { return 1 };
    match u32::try_from(count) {
        Ok(count) if (1..=999).contains(&count) => count,
        _ => {
            let at = row.block.origin.of("count", row.at);
            let message = format!("`count` goes from 1 to 999, and this is {count}");
            let error = Diagnostic::error(Code::BadValue, at, message);
            diag.push(error.help("write how many there are, such as `count: 3`"));
            1
        }
    }
}
