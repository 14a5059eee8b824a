//! Resolve: every name bound, every default applied, images and `x-claw` merged by one table of precedence.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use claw_compose::load::Loaded;
use claw_compose::model::{Project, Service};
use claw_compose::shape::{Decoder, Shape};
use claw_compose::yaml::{Entry, Node};
use claw_types::agent::{AgentUnit, Contract, Replica};
use claw_types::diag::{Code, Diagnostic, Diagnostics, Reported};
use claw_types::driver::Driver;
use claw_types::id::{PodName, RuntimeName, SecretName, ServiceName, UnitId};
use claw_types::image::{ImageFacts, ImageRef, label};
use claw_types::roster::Roster;
use claw_types::span::{Span, Spanned};

use crate::clawfile::{Clawfile, Directive, StageFacts, label as labels};
use crate::facts::{Context, Facts, Need, PodSpec, clawfile_of, load_pod};
use crate::pod::{AgentBlock, PodBlock, makes_agent};

mod contract;
mod environment;
mod identity;
mod inference;
mod secret;
mod surface;

pub use secret::SecretSource;

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
    /// Services whose profile is not enabled.
    pub disabled: BTreeSet<String>,
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
            features: clawfile.features(),
            has_frontend: clawfile.has_frontend(),
            is_partial: false,
            base: clawfile.last_stage().base,
            written: claw_compose::model::Build::default(),
        }
    }
}

/// A service while it is not yet decided whether it is an agent.
pub(crate) struct Agentish<'l> {
    pub(crate) name: &'l str,
    pub(crate) service: Option<&'l Service>,
    /// Its `x-claw`, the pod's defaults merged under it.
    pub(crate) block: Option<Node>,
}

impl<'l> Agentish<'l> {
    pub(crate) fn new(loaded: &'l Loaded, name: &'l str) -> Self {
        let own = loaded.tree.get("services").and_then(|all| all.get(name)).and_then(|service| service.get("x-claw"));
        let top = loaded.tree.get("x-claw");
        let block = own.map(|own| {
            let mut entries: Vec<Entry> = own.entries().to_vec();
            for entry in top.map_or(&[][..], Node::entries) {
                let is_default = AgentBlock::KEYS.contains(&entry.key.as_str());
                if is_default && makes_agent(own) && !entries.iter().any(|mine| mine.key == entry.key) {
                    entries.push(entry.clone());
                }
            }
            Node::map(entries, own.span)
        });
        Self { name, service: loaded.project.services.get(name), block }
    }

    fn build_key(&self) -> Option<(String, Option<String>)> {
        let build = self.service?.build.as_ref()?;
        Some((build.context.clone().unwrap_or_else(|| ".".to_owned()), build.dockerfile.clone()))
    }

    fn decode(&self, diag: &mut Diagnostics) -> AgentBlock {
        let Some(block) = &self.block else { return AgentBlock::default() };
        let mut decoder = Decoder::new(diag, &crate::facts::keeps);
        let path = ["services", self.name, "x-claw"];
        decoder
            .at(path[0], |cx| cx.at(path[1], |cx| cx.at(path[2], |cx| AgentBlock::decode(block, cx))))
            .unwrap_or_default()
    }
}

/// What a service's image says: its directives, and facts of the image.
struct FromImage {
    directives: Vec<Spanned<Directive>>,
    facts: ImageFacts,
    build: Option<Build>,
}

/// Returns what must be known of a service.
pub(crate) fn needs_of(agentish: &Agentish<'_>, facts: &Facts, cx: &Context<'_>) -> BTreeSet<Need> {
    let mut needs = BTreeSet::new();
    let mut unused = Diagnostics::new();
    let Some(service) = agentish.service else { return needs };
    if let Some((context, dockerfile)) = agentish.build_key() {
        needs.insert(Need::BuildFile { context, dockerfile });
    } else if let Some(image) = &service.image {
        let image = ImageRef::new(image.as_str());
        if facts.image(&image).is_none() {
            needs.insert(Need::Image(image));
        }
    }
    let at = Span::start_of(claw_types::span::FileId(0));
    let Ok(image) = from_image(agentish, "pod", at, facts, cx, &mut unused) else { return needs };
    if let Some(base) = image.build.as_ref().and_then(|build| build.base.clone())
        && facts.image(&ImageRef::new(base.as_str())).is_none()
        && base != "scratch"
        && !base.contains('$')
    {
        needs.insert(Need::Image(ImageRef::new(base)));
    }
    if runtime_of(&image, agentish).is_some() {
        let block = agentish.decode(&mut unused);
        needs.extend(service.env_file.iter().map(|file| Need::EnvFile(file.path.clone())));
        needs.extend(contract::needs(&block, &image.directives));
        needs.extend(inference::needs(&block, &image.directives));
    }
    needs
}

/// Returns the runtime a service runs, where it is an agent.
fn runtime_of(image: &FromImage, agentish: &Agentish<'_>) -> Option<Spanned<String>> {
    let named = agentish.block.as_ref().and_then(|block| block.get("type"));
    if let Some((node, scalar)) = named.and_then(|node| node.scalar().map(|scalar| (node, scalar))) {
        return Some(Spanned::new(scalar.text.clone(), node.span));
    }
    let declared = image.directives.iter().find_map(|each| match &each.value {
        Directive::ClawType(runtime) => Some(Spanned::new(runtime.clone(), each.span)),
        _ => None,
    });
    let block = agentish.block.as_ref().filter(|block| makes_agent(block));
    declared.or_else(|| block.map(|block| Spanned::new(String::new(), block.span)))
}

fn from_image(
    agentish: &Agentish<'_>,
    pod: &str,
    at: Span,
    facts: &Facts,
    cx: &Context<'_>,
    diag: &mut Diagnostics,
) -> Result<FromImage, Reported> {
    let service = agentish.service.cloned().unwrap_or_default();
    if let Some(key) = agentish.build_key() {
        let span = service.origin.of("build", at);
        if let Some(inline) = service.build.as_ref().filter(|build| build.dockerfile_inline.is_some()) {
            let at = inline.origin.of("dockerfile_inline", span);
            let error = Diagnostic::error(Code::NotYet, at, "claw does not build `dockerfile_inline` yet");
            return Err(diag.report(error.help("write it to a file and name that with `dockerfile:`")));
        }
        if let Some(context) = Some(key.0.as_str()).filter(|context| is_remote(context)) {
            let error =
                Diagnostic::error(Code::Unsupported, span, format!("claw does not fetch the context `{context}`"));
            return Err(diag.report(error.help("clone it, and name the directory")));
        }
        let Some(found) = facts.builds.get(&key).and_then(Option::as_ref) else {
            let wanted = key.1.as_deref().unwrap_or("Clawfile` or `Dockerfile");
            let message = format!("there is no `{wanted}` in `{}`", key.0);
            return Err(diag.report(Diagnostic::error(Code::MissingFile, span, message)));
        };
        let clawfile = clawfile_of(found, cx, diag)?;
        let stage = clawfile.last_stage();
        let base = stage.base.clone();
        let inherited = base.as_ref().and_then(|base| facts.image(&ImageRef::new(base.as_str())));
        let is_scratch = base.as_deref() == Some("scratch");
        let image = service.image.clone().unwrap_or_else(|| format!("{pod}-{}", agentish.name));
        let generated = if clawfile.is_plain() { None } else { Some((generated_name(&found.name), clawfile.lower())) };
        let mut build = Build {
            context: key.0,
            written: service.build.clone().unwrap_or_default(),
            ..Build::of(ImageRef::new(image), found.name.clone(), generated, &clawfile)
        };
        if let Some(target) = build.written.target.as_deref().filter(|target| !clawfile.ends_with_stage(target))
            && !clawfile.is_plain()
        {
            let at = build.written.origin.of("target", span);
            let message =
                format!("`target: {target}` is not the stage that the directives of `{}` describe", found.name);
            let error = Diagnostic::error(Code::ConflictingKeys, at, message);
            return Err(
                diag.report(error.help("directives describe the last stage: take `target` away, or name that stage"))
            );
        }
        let from_text = merged(stage, inherited, is_scratch, clawfile.labels());
        build.is_partial = from_text.is_partial;
        let facts = facts.built.get(agentish.name).cloned().filter(|_| build.is_partial).unwrap_or(from_text);
        let mut directives = labels::read(&facts.labels, span, &mut Diagnostics::new());
        directives.retain(|each| !clawfile.directives.iter().any(|own| same_kind(&own.value, &each.value)));
        directives.extend(clawfile.directives);
        return Ok(FromImage { directives, facts, build: Some(build) });
    }
    let image = ImageRef::new(service.image.clone().unwrap_or_default());
    let span = service.origin.of("image", at);
    let facts = facts.image(&image).unwrap_or(ImageFacts { is_partial: true, ..ImageFacts::default() });
    let directives = labels::read(&facts.labels, span, diag);
    Ok(FromImage { directives, facts, build: None })
}

/// A context that the engine would fetch from elsewhere: what was built could not be told from what was written.
fn is_remote(context: &str) -> bool {
    let schemes = ["http://", "https://", "git://", "ssh://", "git@", "github.com/", "oci://"];
    schemes.iter().any(|scheme| context.starts_with(scheme))
}

/// Returns the name of the Dockerfile that a Clawfile becomes.
pub fn generated_name(name: &str) -> String {
    match name.rsplit_once('/') {
        Some((folder, "Clawfile")) => format!("{folder}/Dockerfile.generated"),
        None if name == "Clawfile" => "Dockerfile.generated".to_owned(),
        _ => format!("{name}.generated"),
    }
}

fn same_kind(left: &Directive, right: &Directive) -> bool {
    std::mem::discriminant(left) == std::mem::discriminant(right)
}

fn merged(
    stage: StageFacts,
    base: Option<ImageFacts>,
    is_scratch: bool,
    directives: BTreeMap<String, String>,
) -> ImageFacts {
    let mut facts = base.unwrap_or(ImageFacts { is_partial: !is_scratch, ..ImageFacts::default() });
    facts.id = None;
    facts.user = stage.user.or(facts.user);
    if stage.entrypoint.is_some() {
        facts.entrypoint = stage.entrypoint;
        facts.command = None;
    }
    facts.command = stage.command.or(facts.command);
    facts.exposed.extend(stage.exposed);
    facts.has_healthcheck |= stage.has_healthcheck;
    facts.labels.extend(stage.labels);
    facts.labels.extend(directives);
    facts
}

/// Returns the pod.
///
/// # Errors
/// Where a name leads nowhere, a file cannot be used, or an agent cannot be expressed; every reason is in `diag`.
pub fn resolve(spec: &PodSpec, facts: &Facts, cx: &Context<'_>, diag: &mut Diagnostics) -> Result<Pod, Reported> {
    let mark = diag.mark();
    let origin = Span::start_of(spec.file);
    let loaded = load_pod(spec, facts, cx, diag)?;
    let block = pod_block(&loaded, diag);
    let name = pod_name(spec, &loaded, &block, origin, diag)?;
    let mut agents = BTreeMap::new();
    let mut builds = BTreeMap::new();
    let mut found = Vec::new();
    for service in loaded.project.services.keys() {
        let agentish = Agentish::new(&loaded, service);
        let at = agentish.service.map_or(origin, |service| service.origin.place(origin));
        let Ok(image) = from_image(&agentish, name.as_str(), at, facts, cx, diag) else { continue };
        builds.extend(image.build.clone().map(|build| (service.clone(), build)));
        found.push((agentish, at, image));
    }
    let mut rows = Vec::new();
    for (agentish, at, image) in found {
        let Some(runtime) = runtime_of(&image, &agentish) else {
            agentish.decode(diag);
            continue;
        };
        let block = agentish.decode(diag);
        if let Some((service, driver)) = named(&agentish, &runtime, cx, diag) {
            rows.push(Row { agentish, at, image, block, service, driver });
        }
    }
    let sources = secret::sources(&block, origin, diag);
    let roster = Arc::new(identity::roster(&rows, &block, diag));
    let everyone: BTreeSet<&str> = loaded.project.services.keys().map(String::as_str).collect();
    for row in &rows {
        let shared = Shared {
            name: &name,
            block: &block,
            project: &loaded.project,
            roster: &roster,
            everyone: &everyone,
            sources: &sources,
        };
        if let Some(agent) = agent(row, &shared, facts, cx, diag) {
            agents.insert(row.service.clone(), agent);
        }
    }
    let broadcast = identity::broadcast(&roster, origin, diag);
    let disabled = loaded.disabled.keys().cloned().collect();
    diag.finish(mark, Pod { name, origin, agents, project: loaded.project, broadcast, builds, sources, disabled })
}

/// A service that is an agent, before its questions are answered.
pub(crate) struct Row<'l> {
    pub(crate) agentish: Agentish<'l>,
    pub(crate) at: Span,
    image: FromImage,
    pub(crate) block: AgentBlock,
    pub(crate) service: ServiceName,
    driver: &'static dyn Driver,
}

impl Row<'_> {
    pub(crate) fn directives(&self) -> impl Iterator<Item = &Spanned<Directive>> {
        self.image.directives.iter()
    }
}

/// What all agents of a pod share.
pub(crate) struct Shared<'s> {
    pub(crate) name: &'s PodName,
    pub(crate) block: &'s PodBlock,
    pub(crate) project: &'s Project,
    pub(crate) roster: &'s Arc<Roster>,
    pub(crate) everyone: &'s BTreeSet<&'s str>,
    pub(crate) sources: &'s BTreeMap<SecretName, SecretSource>,
}

fn pod_block(loaded: &Loaded, diag: &mut Diagnostics) -> PodBlock {
    let Some(node) = loaded.tree.get("x-claw") else { return PodBlock::default() };
    let own = node.entries().iter().filter(|entry| !AgentBlock::KEYS.contains(&entry.key.as_str()));
    let own = Node::map(own.cloned().collect(), node.span);
    let mut decoder = Decoder::new(diag, &crate::facts::keeps);
    decoder.at("x-claw", |cx| PodBlock::decode(&own, cx)).unwrap_or_default()
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

fn named(
    agentish: &Agentish<'_>,
    runtime: &Spanned<String>,
    cx: &Context<'_>,
    diag: &mut Diagnostics,
) -> Option<(ServiceName, &'static dyn Driver)> {
    let service = ServiceName::parse(agentish.name).ok()?;
    if runtime.value.is_empty() {
        let message = format!("`{service}` has an `x-claw`, and its image has no `{}`", label::TYPE);
        let error = Diagnostic::error(Code::MissingClawType, runtime.span, message);
        diag.push(error.help("add `type: <runtime>` to its `x-claw`, or build it from a Clawfile with `CLAW_TYPE`"));
        return None;
    }
    let driver = cx.drivers.iter().copied().find(|driver| driver.facts().name == runtime.value);
    if driver.is_none() {
        let error =
            Diagnostic::error(Code::UnknownRuntime, runtime.span, format!("there is no runtime `{}`", runtime.value));
        let names = cx.runtimes();
        let help = format!("there are `{}`", names.join("`, `"));
        diag.push(error.help(help).suggest(&runtime.value, names));
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
    let inference = inference::inference(row, shared, &models, facts, diag);
    let surfaces = surface::surfaces(row, shared, facts, diag);
    let identities = shared.roster.identities.get(&row.service).cloned().unwrap_or_default();
    let env = environment::environment(row, service, shared, facts, diag);
    let schedules = identity::schedules(row, shared, diag);
    let mut skills = surface::generated_skills(&surfaces.list, &identities);
    contract::skills(row, facts, cx, &mut skills, diag);
    let (contract, inference) = (contract?, inference?);
    let unit = AgentUnit {
        id: UnitId::parse(row.service.as_str()).ok()?,
        service: row.service.clone(),
        replica: Replica { index: 0, of: 1 },
        pod: shared.name.clone(),
        runtime: RuntimeName::parse(row.driver.facts().name).ok()?,
        image,
        image_facts: row.image.facts.clone(),
        reach: surface::reach(&surfaces.list, &inference, service, row.block.egress.as_ref()),
        contract,
        persona: row.block.persona.clone(),
        models,
        model_policy: inference::model_policy(&row.block, row.at, diag),
        budgets: inference::budgets(&row.block, row.at, diag),
        brakes: inference::brakes(&row.block, row.at, diag),
        inference,
        identities,
        channels: surfaces.channels,
        roster: Arc::clone(shared.roster),
        surfaces: surfaces.list,
        user: surface::user(&row.image.facts, service, row.driver.facts().user, row.at, diag),
        timezone: row.block.timezone.clone(),
        skills,
        schedules,
        settings: inference::settings(row, diag),
        env,
        origin: row.at,
    };
    row.driver.check(&unit, diag);
    Some(Agent { unit, count, allow: row.block.allow.iter().cloned().collect() })
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
            diag.push(Diagnostic::error(
                Code::BadValue,
                at,
                format!("`count` goes from 1 to 999, and this is {count}"),
            ));
            1
        }
    }
}
