//! Assemble: units, services and files become one compose project. Name collisions are errors.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use claw_compose::model::{BindOptions, FileMount, FileObject, Mount, Project, Service, VolumeOptions};
use claw_compose::shape::{Argv, Maybe};
use claw_compose::template::Template;
use claw_types::agent::{Access, AgentUnit, EnvValue, Inference, Surface};
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::doc::Content;
use claw_types::driver::{DriverFacts, Lowered, Probe, SecretDelivery, SkillLayout};
use claw_types::files::{FileSpec, FileTree};
use claw_types::gate::GATE;
use claw_types::id::{EnvName, UnitId};
use claw_types::image::{INFRA_REPOSITORY, ImageRef, SHIM_PROGRAM, SHIM_PROTOCOL, label};
use claw_types::path::{ContainerPath, PodPath};
use claw_types::persona::{PERSONA_DIRECTORY, PERSONA_VARIABLE, PERSONA_VOLUME};
use claw_types::secret::SecretRef;
use sha2::{Digest, Sha256};

use super::harden::{Hardening, health, hold, plain as plain_hardening};
use super::network::{Layout, attached};
use super::{Belongings, PersonaHome, Plan, PlannedUnit, egress, proxy};
use crate::emit::Broken;
use crate::emit::markdown::{self, Peers};
use crate::facts::Context;
use crate::resolve::Pod;

/// Returns a unit with its documents written, and what belongs to it.
pub(crate) fn planned(
    mut unit: AgentUnit,
    mut lowered: Lowered,
    hardening: Hardening,
    facts: &DriverFacts,
    peers: &Peers,
    diag: &mut Diagnostics,
) -> Option<(PlannedUnit, Belongings)> {
    let home = home(&unit, &lowered);
    if let (Some(home), Ok(name)) = (&home, EnvName::parse(PERSONA_VARIABLE)) {
        unit.env.insert(name, EnvValue::Literal(home.target.to_string()));
    }
    let documents = match documents(&unit, &hardening, facts.skill_layout, peers) {
        Ok(documents) => documents,
        Err(broken) => {
            broken.report(unit.origin, diag);
            return None;
        }
    };
    let secrets = secrets(&unit, &lowered);
    let mut files = std::mem::take(&mut lowered.files);
    let mut add = |path: String, content: Content, diag: &mut Diagnostics| {
        let added = PodPath::parse(&path).ok().map(|path| files.insert(path, FileSpec::managed(content)));
        if !matches!(added, Some(Ok(()))) {
            let message = format!("`{}` has two files at `{path}`", unit.id);
            diag.push(Diagnostic::error(Code::NameCollision, unit.origin, message));
        }
    };
    for (path, text) in documents {
        add(path, Content::text(text), diag);
    }
    for (file, secret) in &secrets {
        add(format!("secrets/{file}"), Content::secret(secret.clone()), diag);
    }
    let digest = digest(&files);
    let directory = PodPath::parse(&format!(".claw/{}/units/{}/{digest}", unit.pod, unit.id)).ok()?;
    // What a user wrote as a variable comes back as one; the rest only where the runtime reads no files.
    let is_lifted = |name: &&String| match facts.secrets {
        SecretDelivery::Environment => EnvName::parse(name).is_ok(),
        SecretDelivery::Files => unit.env.contains_key(name.as_str()),
    };
    let lifted: BTreeSet<String> = secrets.keys().filter(is_lifted).cloned().collect();
    let needs_shim = !lifted.is_empty() || matches!(lowered.probe, Probe::Http { .. });
    let belongings = Belongings { user: unit.user, directory, files, secrets, lifted, needs_shim, is_live: false };
    Some((PlannedUnit { unit, lowered, hardening, home, trace: Arc::default() }, belongings))
}

/// Returns where an agent's persona goes.
fn home(unit: &AgentUnit, lowered: &Lowered) -> Option<PersonaHome> {
    unit.persona.as_ref()?;
    let target = lowered.persona.clone().or_else(|| ContainerPath::parse(PERSONA_DIRECTORY).ok())?;
    Some(PersonaHome { volume: volume_key(unit, PERSONA_VOLUME), target })
}

/// Returns the key of a volume of an agent's own. Replica 0 keeps the name without a number, so that going from one to three loses no
/// memory.
fn volume_key(unit: &AgentUnit, key: &str) -> String {
    let owner = if unit.replica.index == 0 { unit.service.as_str() } else { unit.id.as_str() };
    format!("{owner}-{key}")
}

/// Returns what an agent reads, by path below its directory.
fn documents(
    unit: &AgentUnit,
    hardening: &Hardening,
    layout: SkillLayout,
    peers: &Peers,
) -> Result<Vec<(String, String)>, Broken> {
    let letter = markdown::letter(unit, hardening, layout, peers)?;
    let mut documents = vec![("claw/AGENTS.md".to_owned(), markdown::contract(unit, &letter)?)];
    documents.push(("claw/CLAWDAPUS.md".to_owned(), letter));
    for (name, skill) in &unit.skills {
        documents.push((markdown::skill_path(name, layout), markdown::skill(name, skill)?));
    }
    if unit.skills.is_empty() {
        documents.push(("claw/skills/.keep".to_owned(), "\n".to_owned()));
    }
    Ok(documents)
}

/// Returns an agent's secrets by the names of their files: a variable's own name where `environment:` gives it one, so that
/// it comes back under the name it was written under; else the secret's.
fn secrets(unit: &AgentUnit, lowered: &Lowered) -> BTreeMap<String, SecretRef> {
    let mut secrets = BTreeMap::new();
    match &unit.inference {
        Inference::Direct { upstreams } => {
            let keys = upstreams.values().filter_map(|upstream| upstream.key.clone());
            secrets.extend(keys.map(|key| (key.file_name(), key)));
        }
        Inference::Proxied { token, .. } => {
            secrets.insert(token.file_name(), token.clone());
        }
    }
    secrets.extend(lowered.secrets.iter().map(|secret| (secret.file_name(), secret.clone())));
    for (name, value) in unit.env.iter().chain(&lowered.env) {
        if let EnvValue::Secret(secret) = value {
            secrets.insert(name.to_string(), secret.clone());
        }
    }
    secrets
}

/// A runtime that takes secrets from its environment is started by the shim, which puts them there and becomes it.
fn shim(made: &mut Service, each: &PlannedUnit, own: &Belongings, diag: &mut Diagnostics) {
    let unit = &each.unit;
    if own.needs_shim {
        let source = format!("./.claw/{}/bin/shim-v{}", unit.pod, SHIM_PROTOCOL);
        made.volumes.push(bind(source, SHIM_PROGRAM, true));
    }
    if own.lifted.is_empty() {
        return;
    }
    let image = &unit.image_facts;
    let words = |argv: &Option<Argv>| argv.as_ref().map(|argv| argv.0.clone());
    let is_own = made.entrypoint.is_some();
    let mut program = words(&made.entrypoint).or_else(|| image.entrypoint.clone()).unwrap_or_default();
    // An entrypoint of one's own takes the image's command away, as in docker compose.
    let command = if is_own { None } else { image.command.clone() };
    program.extend(words(&made.command).or(command).unwrap_or_default());
    if program.is_empty() && !image.is_partial {
        let message = format!("`{}` has secrets, and its image names no program to give them to", unit.service);
        diag.push(Diagnostic::error(Code::MissingKey, unit.origin, message).help("write `command:` or `entrypoint:`"));
        return;
    }
    let mut entrypoint = vec![SHIM_PROGRAM.to_owned(), "shim".to_owned(), "exec".to_owned()];
    entrypoint.extend(own.lifted.iter().map(|file| format!("{file}=/run/secrets/{file}")));
    entrypoint.push("--".to_owned());
    made.entrypoint = Some(Argv(entrypoint));
    made.command = Some(Argv(program));
}

fn unknown_program(each: &PlannedUnit) -> Diagnostic {
    let unit = &each.unit;
    let message =
        format!("what `{}` runs is known to its image `{}` alone, which is not here", unit.service, unit.image);
    let error = Diagnostic::error(Code::NeedsEngine, unit.origin, message);
    error.help("build or pull the image first, or write `entrypoint:`: its secrets are put into the environment of that program")
}

/// Returns the digest of files with their holes unfilled: 16 hexadecimal digits.
pub(super) fn digest(files: &FileTree) -> String {
    let mut hash = Sha256::new();
    for (path, file) in files.iter() {
        let masked = file.content.masked();
        hash.update(format!("{path}\0{:o}\0{}\0", file.mode.bits(), masked.len()));
        hash.update(masked);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the plan of planned units and the pod's other services.
pub(crate) fn assemble(
    pod: &Pod,
    planned: Vec<(PlannedUnit, Belongings)>,
    cx: &Context<'_>,
    diag: &mut Diagnostics,
) -> Plan {
    let mut project = Project { name: Some(pod.name.to_string()), ..Project::default() };
    project.networks = pod.project.networks.clone();
    project.volumes = pod.project.volumes.clone();
    project.secrets = pod.project.secrets.clone();
    project.configs = pod.project.configs.clone();
    let (planned, owned): (Vec<PlannedUnit>, Vec<Belongings>) = planned.into_iter().unzip();
    let layout = Layout::of(pod, &planned, diag);
    layout.write(pod, &mut project, diag);
    let mut belongings: BTreeMap<UnitId, Belongings> = BTreeMap::new();
    let mut units = BTreeMap::new();
    let made = proxy::proxies(pod, &planned, &layout, &mut project, cx);
    let gate = egress::gate(pod, &planned, &layout, cx, diag);
    for (name, service) in &pod.project.services {
        let is_agent = pod.agents.keys().any(|agent| agent.as_str() == name);
        namespaces(service, name, pod, diag);
        if !is_agent {
            let mut made = plain(pod, name, service, &layout, cx);
            belongings.extend(proxy::master(pod, &mut made, name, &mut project));
            project.services.insert(name.clone(), made);
        }
    }
    for (each, own) in planned.into_iter().zip(owned) {
        let Some(service) = pod.project.services.get(each.unit.service.as_str()) else { continue };
        let made = agent(pod, (&each, &own), service, (&layout, &mut project), cx, diag);
        project.services.insert(each.unit.id.to_string(), made);
        belongings.insert(each.unit.id.clone(), own);
        units.insert(each.unit.id.clone(), each);
    }
    let mut proxies = BTreeMap::new();
    for each in made {
        project.services.insert(each.id.to_string(), each.service);
        belongings.insert(each.id.clone(), each.belongings);
        proxies.insert(each.id, each.proxy);
    }
    let gate = gate.map(|(id, service, own)| {
        project.services.insert(id.to_string(), service);
        belongings.insert(id.clone(), own);
        id
    });
    let files = files(pod, &belongings, diag);
    let unknown = units.values().filter_map(|unit: &PlannedUnit| {
        let service = project.services.get(unit.unit.id.as_str())?;
        let is_lifted = belongings.get(&unit.unit.id).is_some_and(|own| !own.lifted.is_empty());
        let is_unknown = is_lifted && service.command.as_ref().is_none_or(|command| command.0.is_empty());
        is_unknown.then(|| unknown_program(unit))
    });
    let unknown = unknown.collect();
    let of = |unit: &PlannedUnit| Some((unit.unit.id.clone(), pod.agents.get(&unit.unit.service)?.worker.clone()));
    let workers = units.values().filter_map(of).collect();
    let needs_owner = belongings.values().any(|own| !own.secrets.is_empty());
    let writes = |service: &Service| service.volumes.iter().any(|mount| mount.kind == "volume");
    let needs_owner =
        needs_owner || belongings.keys().any(|unit| project.services.get(unit.as_str()).is_some_and(writes));
    Plan {
        pod: pod.name.clone(),
        bases: bases(&project, pod, cx),
        needs_infra: needs_infra(&project, pod) || needs_owner,
        needs_shim: belongings.values().any(|own| own.needs_shim),
        project,
        units,
        proxies,
        gate,
        belongings,
        files,
        builds: pod.builds.clone(),
        version: cx.version.to_owned(),
        sources: pod.sources.clone(),
        env_files: pod
            .project
            .services
            .values()
            .flat_map(|each| &each.env_file)
            .map(|file| file.path.clone())
            .collect(),
        workers,
        disabled: pod.disabled.clone(),
        unknown,
    }
}

/// Returns whether claw's own image is run, or built upon.
fn needs_infra(project: &Project, pod: &Pod) -> bool {
    let infra = format!("{INFRA_REPOSITORY}:");
    let run = project.services.values().filter_map(|service| service.image.as_deref());
    let bases = pod.builds.values().filter_map(|build| build.base.as_deref());
    run.into_iter().any(|image| image.starts_with(&infra))
        || bases.into_iter().any(|base| ImageRef::new(base).repository() == INFRA_REPOSITORY)
}

/// Returns the files of all units, each below its unit's directory.
fn files(pod: &Pod, belongings: &BTreeMap<UnitId, Belongings>, diag: &mut Diagnostics) -> FileTree {
    let mut files = FileTree::new();
    for own in belongings.values() {
        for (path, file) in own.files.iter() {
            if files.insert(own.directory.join(path), file.clone()).is_err() {
                let message = format!("two units want `{}`", own.directory.join(path));
                diag.push(Diagnostic::error(Code::NameCollision, pod.origin, message));
            }
        }
    }
    files
}

/// Returns the image of a service: claw's own with its version, whatever the file says.
fn image(service: &Service, cx: &Context<'_>) -> Option<String> {
    Some(cx.tagged(&ImageRef::new(service.image.clone()?)).to_string())
}

/// The images of runtimes that a plan's services run or are built from.
fn bases(project: &Project, pod: &Pod, cx: &Context<'_>) -> BTreeMap<String, &'static str> {
    let run = project.services.values().filter_map(|service| service.image.clone());
    let built = pod.builds.values().filter_map(|build| build.base.clone());
    let names: BTreeSet<ImageRef> = run.chain(built).map(|name| cx.tagged(&ImageRef::new(name))).collect();
    let own = cx.bases().map(|(base, _)| (base.name(), base.dockerfile));
    own.filter(|(name, _)| names.contains(&ImageRef::new(name.as_str()))).collect()
}

pub(super) fn labels(service: &mut Service, pod: &Pod, rows: &[(&str, &str)]) {
    let common = [(label::SCHEMA, "1"), (label::POD, pod.name.as_str())];
    for (key, value) in common.iter().chain(rows) {
        service.labels.insert((*key).to_owned(), (*value).to_owned());
    }
}

/// A service that is no agent runs as written, with labels, identities, and a place where agents find it.
fn plain(pod: &Pod, name: &str, service: &Service, layout: &Layout, cx: &Context<'_>) -> Service {
    let mut made = service.clone();
    made.extensions.clear();
    made.image = image(service, cx);
    build(&mut made, pod, name);
    dependencies(&mut made, pod);
    labels(&mut made, pod, &[(label::SERVICE, name)]);
    for (key, value) in &pod.broadcast {
        made.environment.entry(key.clone()).or_insert_with(|| Maybe(Some(Template::literal(value.as_str()))));
    }
    let asks =
        service.extensions.get("x-claw").and_then(|block| block.get("harden")).and_then(|harden| harden.scalar());
    if asks.is_some_and(|scalar| scalar.text == "true") {
        let hardening = plain_hardening(&made);
        hold(&mut made, &hardening);
    }
    let mut reached = layout.on(name).peekable();
    if reached.peek().is_some() && made.network_mode.is_none() {
        if made.networks.is_empty() {
            made.networks.insert("default".to_owned(), Maybe(None));
        }
        made.networks.extend(reached.map(|key| (key.to_owned(), Maybe(None))));
    }
    made
}

fn build(made: &mut Service, pod: &Pod, name: &str) {
    let (Some(build), Some(planned)) = (made.build.as_mut(), pod.builds.get(name)) else { return };
    made.image = Some(planned.image.to_string());
    // What is built here is nowhere to be pulled from, unless somebody says so.
    made.pull_policy.get_or_insert_with(|| "missing".to_owned());
    let file = planned.generated.as_ref().map_or(&planned.dockerfile, |(generated, _)| generated);
    build.dockerfile = Some(file.clone());
    build.context = Some(planned.context.clone());
}

/// A name that stands for one container cannot mean an agent of which there are several.
fn namespaces(made: &Service, name: &str, pod: &Pod, diag: &mut Diagnostics) {
    let several = |target: &str| pod.agents.iter().any(|(name, agent)| name.as_str() == target && agent.count > 1);
    let modes = [("network_mode", &made.network_mode), ("pid", &made.pid), ("ipc", &made.ipc)];
    let modes = modes.iter().filter_map(|(key, mode)| Some((*key, mode.as_deref()?.strip_prefix("service:")?)));
    let first = |text: &'_ String| text.split(':').next().unwrap_or("").to_owned();
    let links = made.links.iter().map(|link| ("links", first(link)));
    let volumes = made.volumes_from.iter().map(|volume| ("volumes_from", first(volume)));
    let named = modes.map(|(key, target)| (key, target.to_owned())).chain(links).chain(volumes);
    for (key, target) in named.filter(|(_, target)| several(target)) {
        let at = made.origin.of(key, pod.origin);
        let message = format!("`{name}` names `{target}` in `{key}`, and there are several of it");
        let error = Diagnostic::error(Code::ConflictingKeys, at, message);
        diag.push(error.help(format!("take `{key}` away, or let `count` of `{target}` be 1")));
    }
}

/// `depends_on` an agent means all its replicas.
fn dependencies(made: &mut Service, pod: &Pod) {
    let written = std::mem::take(&mut made.depends_on);
    for (target, dependency) in written {
        let count = pod.agents.iter().find(|(name, _)| name.as_str() == target).map_or(1, |(_, agent)| agent.count);
        if count == 1 {
            made.depends_on.insert(target, dependency);
            continue;
        }
        for index in 0..count {
            made.depends_on.insert(format!("{target}-{index}"), dependency.clone());
        }
    }
}

fn agent(
    pod: &Pod,
    (each, own): (&PlannedUnit, &Belongings),
    service: &Service,
    (layout, project): (&Layout, &mut Project),
    cx: &Context<'_>,
    diag: &mut Diagnostics,
) -> Service {
    let (unit, hardening) = (&each.unit, &each.hardening);
    let mut made = service.clone();
    made.extensions.clear();
    made.image = image(service, cx);
    build(&mut made, pod, unit.service.as_str());
    if unit.replica.index > 0 {
        made.build = None;
    }
    dependencies(&mut made, pod);
    made.environment = environment(pod, each);
    made.env_file.clear();
    if let Some(program) = &each.lowered.program {
        made.entrypoint = Some(Argv(program.clone()));
        made.command = Some(Argv(Vec::new()));
    }
    networks(&mut made, unit, layout);
    egress::tell(&mut made, unit, layout);
    if layout.gate(&unit.id).is_some() {
        made.depends_on.insert(GATE.to_owned(), proxy::started());
    }
    if let Inference::Proxied { chain, .. } = &unit.inference {
        let first = chain.first().map(crate::resolve::proxy::service_name);
        made.depends_on.extend(first.map(|first| (first, proxy::healthy())));
    }
    mounts(&mut made, (each, own), project, diag);
    targets(&made, unit, diag);
    hold(&mut made, hardening);
    health(&mut made, &each.lowered.probe, hardening);
    shim(&mut made, each, own, diag);
    let ordinal = unit.replica.index.to_string();
    let allow = pod.agents.get(&unit.service).map(|agent| agent.allow.iter().cloned().collect::<Vec<_>>().join(","));
    let mut rows = vec![
        (label::SERVICE, unit.service.as_str()),
        (label::AGENT, unit.id.as_str()),
        (label::ORDINAL, ordinal.as_str()),
        (label::ROLE, "agent"),
        (label::TYPE, unit.runtime.as_str()),
    ];
    rows.extend(allow.as_deref().filter(|words| !words.is_empty()).map(|words| (label::ALLOW, words)));
    labels(&mut made, pod, &rows);
    made
}

/// Precedence: identities, then `environment:`, then the driver. Secrets are not in it.
fn environment(pod: &Pod, each: &PlannedUnit) -> claw_compose::model::Variables {
    let unit = &each.unit;
    let mut texts: BTreeMap<String, Template> =
        pod.broadcast.iter().map(|(key, value)| (key.clone(), Template::literal(value.as_str()))).collect();
    for (key, value) in unit.env.iter().chain(&each.lowered.env) {
        let template = match value {
            EnvValue::Literal(text) => Template::literal(text.as_str()),
            EnvValue::Template { written, .. } => Template::parse(written).unwrap_or_default(),
            EnvValue::Secret(_) => continue,
        };
        texts.insert(key.to_string(), template);
    }
    let fixed = [
        ("CLAW_MANAGED", "true"),
        ("CLAW_POD", unit.pod.as_str()),
        ("CLAW_SERVICE", unit.service.as_str()),
        ("CLAW_AGENT_ID", unit.id.as_str()),
    ];
    texts.extend(fixed.map(|(key, value)| (key.to_owned(), Template::literal(value))));
    if let Some(timezone) = &unit.timezone {
        texts.entry("TZ".to_owned()).or_insert_with(|| Template::literal(timezone.as_str()));
    }
    texts.into_iter().map(|(key, template)| (key, Maybe(Some(template)))).collect()
}

fn networks(made: &mut Service, unit: &AgentUnit, layout: &Layout) {
    // The audit lets no mode pass that nobody allowed; with one there are no networks beside it.
    if made.network_mode.is_some() {
        made.networks.clear();
        return;
    }
    // The gate is heard in its place.
    made.ports.clear();
    let aliases = if unit.replica.of > 1 { vec![unit.service.to_string()] } else { Vec::new() };
    if !made.networks.keys().any(|network| network != "default") {
        made.networks.clear();
    }
    made.networks.extend(layout.on(unit.id.as_str()).map(|key| (key.to_owned(), attached(&aliases, None))));
    // A name that nobody knows is given up after a second instead of ten.
    if made.dns_opt.is_empty() {
        made.dns_opt = vec!["timeout:1".to_owned(), "attempts:1".to_owned()];
    }
}

/// Two mounts at one place hide each other, and one at claw's places would hide what the agent must see.
fn targets(made: &Service, unit: &AgentUnit, diag: &mut Diagnostics) {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mounts = made.volumes.iter().map(|mount| (mount.target.as_str(), mount.origin.span));
    let tmpfs = made.tmpfs.iter().map(|line| (line.split(':').next().unwrap_or(line), None));
    let configs = made.configs.iter().filter_map(|config| Some((config.target.as_deref()?, config.origin.span)));
    for (target, place) in mounts.chain(tmpfs).chain(configs) {
        let target = target.trim_end_matches('/');
        let is_ours = |place: &str| target.strip_prefix(place).is_some_and(|rest| rest.starts_with('/'));
        let hides = is_ours("/claw") || target == "/run/secrets" || is_ours("/run/secrets") || target == "/run/claw";
        if !seen.insert(target) || hides {
            let at = place.unwrap_or(unit.origin);
            let message = format!("`{}` has two mounts at `{target}`", unit.service);
            let message =
                if hides { format!("`{}` mounts `{target}`, which is claw's", unit.service) } else { message };
            let error = Diagnostic::error(Code::NameCollision, at, message);
            diag.push(error.help("mount it somewhere else, such as `/data`"));
        }
    }
}

pub(super) fn bind(source: String, target: &str, is_read_only: bool) -> Mount {
    Mount {
        kind: "bind".to_owned(),
        source: Some(source),
        target: target.to_owned(),
        read_only: is_read_only.then_some(true),
        bind: Some(Box::new(BindOptions { create_host_path: Some(false), ..BindOptions::default() })),
        ..Mount::default()
    }
}

pub(super) fn volume(source: &str, target: &str, is_read_only: bool) -> Mount {
    Mount {
        kind: "volume".to_owned(),
        source: Some(source.to_owned()),
        target: target.to_owned(),
        read_only: is_read_only.then_some(true),
        ..Mount::default()
    }
}

fn mounts(made: &mut Service, (each, own): (&PlannedUnit, &Belongings), project: &mut Project, diag: &mut Diagnostics) {
    let unit = &each.unit;
    made.volumes.push(bind(format!("./{}/claw", own.directory), "/claw", true));
    for mount in &each.lowered.mounts {
        made.volumes.push(bind(format!("./{}/{}", own.directory, mount.source), mount.target.as_str(), true));
    }
    for surface in &unit.surfaces {
        match surface {
            Surface::Volume { name, access, mount } => {
                project.volumes.entry(name.to_string()).or_default();
                made.volumes.push(volume(name.as_str(), mount.as_str(), *access == Access::ReadOnly));
            }
            Surface::Host { path, access } => {
                made.volumes.push(bind(path.to_string(), path.as_str(), *access == Access::ReadOnly));
            }
            Surface::Service { .. } | Surface::Channel { .. } | Surface::Egress { .. } => {}
        }
    }
    for state in &each.lowered.state {
        let key = volume_key(unit, state.key);
        if project.volumes.insert(key.clone(), claw_compose::model::Volume::default()).is_some() {
            taken("volume", &key, unit, diag);
        }
        made.volumes.push(volume(&key, state.target.as_str(), false));
    }
    if let Some(home) = &each.home {
        if project.volumes.insert(home.volume.clone(), claw_compose::model::Volume::default()).is_some() {
            taken("volume", &home.volume, unit, diag);
        }
        // What the image has there is no part of it.
        let options = VolumeOptions { nocopy: Some(true), ..VolumeOptions::default() };
        let mount = volume(&home.volume, home.target.as_str(), false);
        made.volumes.push(Mount { volume: Some(Box::new(options)), ..mount });
    }
    declared(made, each, project, diag);
    for file in own.secrets.keys() {
        let key = format!("{}-{file}", unit.id);
        let path = format!("./{}/secrets/{file}", own.directory);
        let is_ours = made.secrets.iter().all(|own| own.target.as_deref().unwrap_or(&own.source) != file);
        let object = FileObject { file: Some(path), ..FileObject::default() };
        if project.secrets.insert(key.clone(), object).is_some() || !is_ours {
            taken("secret", file, unit, diag);
        }
        made.secrets.push(FileMount { source: key, target: Some(file.clone()), ..FileMount::default() });
    }
}

/// Volumes that the image declares get a name where nothing else is mounted there: the engine's own would be theirs whom the image
/// says, and in no backup.
fn declared(made: &mut Service, each: &PlannedUnit, project: &mut Project, diag: &mut Diagnostics) {
    let unit = &each.unit;
    let name = if unit.replica.index == 0 { unit.service.as_str() } else { unit.id.as_str() };
    for path in unit.image_facts.volumes.iter().map(|path| path.trim_end_matches('/')) {
        let is_at = |place: &str| place.trim_end_matches('/') == path;
        let tmpfs = made.tmpfs.iter().chain(&each.hardening.tmpfs);
        let mut mounted = made.volumes.iter().map(|mount| mount.target.as_str());
        let is_ours = ["/claw", "/run/secrets"].iter().any(|place| Path::new(path).starts_with(place));
        let is_taken = is_ours
            || mounted.any(is_at)
            || tmpfs.into_iter().any(|line| is_at(line.split(':').next().unwrap_or(line)));
        if is_taken || !path.starts_with('/') {
            continue;
        }
        let slug: String = path.chars().map(|each| if each.is_ascii_alphanumeric() { each } else { '-' }).collect();
        let key = format!("{name}-image{slug}");
        if project.volumes.insert(key.clone(), claw_compose::model::Volume::default()).is_some() {
            taken("volume", &key, unit, diag);
        }
        made.volumes.push(volume(&key, path, false));
    }
}

fn taken(kind: &str, name: &str, unit: &AgentUnit, diag: &mut Diagnostics) {
    let message = format!("the {kind} `{name}` of `{}` is claw's, and the pod file has one of that name", unit.service);
    diag.push(Diagnostic::error(Code::NameCollision, unit.origin, message).help("give yours another name"));
}
