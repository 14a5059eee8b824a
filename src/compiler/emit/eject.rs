//! What `claw eject` writes: the plan as a directory that docker compose alone runs.

use std::collections::{BTreeMap, BTreeSet};

use claw_compose::model::{Build, Dependency, FileObject, Project};
use claw_types::id::UnitId;
use claw_types::path::PodPath;
use serde::Serialize;

use super::compose::yaml;
use super::template::{Broken, Template, render};
use crate::plan::Plan;

/// The service that hands volumes and secrets to agents.
const OWN: &str = "claw-own";

/// Where an agent's files lie.
const FILES: &str = "files";

/// Where what images are built from lies.
const BUILD: &str = "build";

/// The archive of claw's own image.
pub const INFRA: &str = "claw-infra.tar";

/// Returns where the archive of an agent's persona goes.
pub fn persona(unit: &UnitId) -> String {
    format!("personas/{unit}.tar")
}

/// A directory that docker compose runs; the shell adds files, variables and archives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ejected {
    /// Its compose file.
    pub compose: String,
    /// What a person reads first.
    pub readme: String,
    /// Whether the archive of claw's own image belongs to it.
    pub needs_infra: bool,
    /// Where each service's build context goes.
    pub contexts: BTreeMap<String, String>,
    /// Where the Dockerfile of each runtime's image goes, by the name of the image.
    pub bases: BTreeMap<String, String>,
}

/// Returns where a generated file goes: its path in the pod's directory, below the ejected one.
pub fn place(plan: &Plan, path: &PodPath) -> String {
    moved(plan, path.as_str())
}

/// Returns where the shim goes.
pub fn shim(plan: &Plan) -> String {
    moved(plan, &format!(".claw/{}/bin/shim-v{}", plan.pod, claw_types::image::SHIM_PROTOCOL))
}

/// Returns a path of claw's own directory in the ejected one.
fn moved(plan: &Plan, path: &str) -> String {
    let own = format!(".claw/{}/", plan.pod);
    path.strip_prefix(&own).map_or_else(|| path.to_owned(), |rest| format!("{FILES}/{rest}"))
}

/// Returns the directory. `whole` makes a path of the host absolute; `dockerfiles` has the name of each build's Dockerfile in its context.
///
/// # Errors
/// Where the template of the README is broken.
pub fn eject(
    plan: &Plan,
    whole: &dyn Fn(&str) -> String,
    dockerfiles: &BTreeMap<String, String>,
) -> Result<Ejected, Broken> {
    let mut project = plan.project.clone();
    let volumes: BTreeSet<String> =
        plan.project.volumes.keys().filter(|key| plan.owner_of(key).is_some()).cloned().collect();
    let units = plan.sealed_units();
    owned(plan, &volumes, &units, &mut project);
    let mut outside = BTreeSet::new();
    paths(plan, whole, &mut project, &mut outside);
    let mut contexts = BTreeMap::new();
    for (name, build) in &plan.builds {
        let context = format!("{BUILD}/{name}");
        // Of an agent's replicas the first is built; the others run what it is built into.
        let built = plan.compose_services(name).into_iter().find(|key| project.services[key].build.is_some());
        if let Some(service) = built.and_then(|key| project.services.get_mut(&key)) {
            let written = Build {
                context: Some(format!("./{context}")),
                dockerfile_inline: None,
                dockerfile: dockerfiles.get(name).cloned(),
                ..build.written.clone()
            };
            service.build = Some(Box::new(written));
        }
        contexts.insert(name.clone(), context);
    }
    let folder = |name: &str| {
        let bare = name.rsplit_once('/').map_or(name, |(_, bare)| bare);
        format!("{BUILD}/base-{}", bare.split(':').next().unwrap_or(bare))
    };
    let bases: BTreeMap<String, String> = plan.bases.keys().map(|name| (name.clone(), folder(name))).collect();
    let needs_infra = plan.needs_infra || project.services.contains_key(OWN);
    let readme = render(Template::EjectReadme, &Readme::of(plan, &bases, &outside, needs_infra))?;
    Ok(Ejected { compose: yaml(&project), readme, needs_infra, contexts, bases })
}

/// Adds the service that hands things over, and has those wait for it that need it.
fn owned(plan: &Plan, volumes: &BTreeSet<String>, units: &BTreeSet<UnitId>, project: &mut Project) {
    if volumes.is_empty() && units.is_empty() {
        return;
    }
    let waits = |name: &str, service: &claw_compose::model::Service| {
        let mut mounts = service.volumes.iter().filter(|mount| mount.kind == "volume");
        units.iter().any(|unit| unit.as_str() == name)
            || mounts.any(|mount| mount.source.as_ref().is_some_and(|key| volumes.contains(key)))
    };
    for (name, service) in &mut project.services {
        if waits(name, service) {
            let dependency =
                Dependency { condition: "service_completed_successfully".to_owned(), ..Dependency::default() };
            service.depends_on.insert(OWN.to_owned(), dependency);
        }
    }
    project.services.insert(OWN.to_owned(), plan.owning(volumes, units));
}

/// Moves claw's own paths, and makes those of the host whole.
fn paths(plan: &Plan, whole: &dyn Fn(&str) -> String, project: &mut Project, outside: &mut BTreeSet<String>) {
    let own = format!("./.claw/{}/", plan.pod);
    let mut path = |path: &mut String| match path.starts_with(&own) {
        true => *path = format!("./{}", moved(plan, &path[2..])),
        false => {
            *path = whole(path);
            outside.insert(path.clone());
        }
    };
    for service in project.services.values_mut() {
        let mounts = service.volumes.iter_mut().filter(|mount| mount.kind == "bind");
        mounts.filter_map(|mount| mount.source.as_mut()).for_each(&mut path);
        service.env_file.iter_mut().for_each(|file| path(&mut file.path));
        service.label_file.iter_mut().for_each(&mut path);
        for option in &mut service.security_opt {
            let profile =
                option.split_once(['=', ':']).filter(|(key, _)| *key == "seccomp").map(|(_, profile)| profile);
            if let Some(profile) = profile.filter(|profile| !matches!(*profile, "unconfined" | "builtin" | "")) {
                let mut profile = profile.to_owned();
                path(&mut profile);
                *option = format!("seccomp={profile}");
            }
        }
    }
    let files = |object: &mut FileObject| object.file.as_mut().map(&mut path).unwrap_or_default();
    project.secrets.values_mut().chain(project.configs.values_mut()).for_each(files);
    for volume in project.volumes.values_mut() {
        let is_bind = volume.driver_opts.get("o").is_some_and(|o| o.split(',').any(|flag| flag == "bind"));
        if let Some(device) = volume.driver_opts.get_mut("device").filter(|_| is_bind) {
            *device = whole(device);
            outside.insert(device.clone());
        }
    }
}

/// What a README tells of.
#[derive(Serialize)]
struct Readme<'r> {
    pod: &'r str,
    infra: Option<&'static str>,
    bases: Vec<Base<'r>>,
    secrets: Vec<Secrets>,
    outside: &'r BTreeSet<String>,
    told: Vec<Told<'r>>,
    personas: Vec<Seed<'r>>,
}

#[derive(Serialize)]
struct Seed<'r> {
    agent: &'r str,
    file: String,
    target: &'r str,
}

#[derive(Serialize)]
struct Base<'r> {
    name: &'r str,
    latest: String,
    folder: &'r str,
}

#[derive(Serialize)]
struct Secrets {
    path: String,
    names: String,
}

#[derive(Serialize)]
struct Told<'r> {
    what: &'r str,
    agent: &'r str,
    command: String,
}

impl<'r> Readme<'r> {
    fn of(
        plan: &'r Plan,
        bases: &'r BTreeMap<String, String>,
        outside: &'r BTreeSet<String>,
        needs_infra: bool,
    ) -> Self {
        let bases = bases.iter().map(|(name, folder)| {
            let repository = name.rsplit_once(':').map_or(name.as_str(), |(repository, _)| repository);
            Base { name, latest: format!("{repository}:latest"), folder }
        });
        let secrets = plan.belongings.values().flat_map(|own| {
            own.sealed().map(|(path, file)| {
                let names: Vec<String> = file.content.secrets().into_iter().map(ToString::to_string).collect();
                Secrets { path: moved(plan, &format!("{}/{path}", own.directory)), names: names.join(", ") }
            })
        });
        let told = plan.units.values().flat_map(|planned| {
            let after = planned.lowered.after_start.iter().filter(|each| each.has_content);
            let agent = planned.unit.id.as_str();
            after.map(move |each| Told { what: each.what, agent, command: each.command.join(" ") })
        });
        let personas = plan.units.values().filter_map(|planned| {
            let (id, home) = (&planned.unit.id, planned.home.as_ref()?);
            Some(Seed { agent: id.as_str(), file: persona(id), target: home.target.as_str() })
        });
        Self {
            pod: plan.pod.as_str(),
            infra: needs_infra.then_some(INFRA),
            bases: bases.collect(),
            secrets: secrets.collect(),
            outside,
            told: told.collect(),
            personas: personas.collect(),
        }
    }
}
