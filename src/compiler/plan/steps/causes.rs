//! Causes: why a container is made anew, down to the field that changed.

use std::collections::{BTreeMap, BTreeSet};

use claw_compose::model::Service;

use super::containers::{is_on, makes, stale};
use super::{Container, FORECAST, List, Mode, Observed, order};
use crate::plan::Plan;

/// Why a container is not what its service says; nothing where it is.
fn difference(
    name: &str,
    service: &Service,
    container: &Container,
    plan: &Plan,
    observed: &Observed,
) -> Option<String> {
    let image = service.image.as_ref().and_then(|image| observed.images.get(image));
    let unit = plan.belongings.iter().find(|(id, _)| id.as_str() == name);
    let seal = unit.and_then(|(id, _)| observed.seals.get(id));
    if let Some(directory) = &container.elsewhere {
        return Some(format!("it was started from `{directory}`"));
    }
    if !observed.hashes.services.get(name).is_some_and(|hashes| hashes.contains(&container.hash)) {
        return Some(changes(container.fields.as_ref(), observed.hashes.fields.get(name)));
    }
    if image.is_some_and(|image| image.id != container.image) {
        return Some("image id changed".to_owned());
    }
    if let Some(changed) = contents(container.fields.as_ref(), observed.hashes.fields.get(name)) {
        return Some(changed);
    }
    if seal.is_some() && seal != container.seal.as_ref() {
        return Some("a secret of it changed".to_owned());
    }
    if unit.is_some_and(|(id, own)| !own.is_live && observed.altered.contains(id)) {
        return Some("its files were changed on this host".to_owned());
    }
    if !container.drift.is_empty() {
        return Some(format!("it runs otherwise than planned: {}", container.drift.join(", ")));
    }
    None
}

/// The most changes that a cause names.
const NAMED: usize = 4;

/// Returns what changed between what a container was made of and what it would be made of, in words.
fn changes(before: Option<&BTreeMap<String, String>>, after: Option<&BTreeMap<String, String>>) -> String {
    let (Some(before), Some(after)) = (before, after) else { return "its configuration changed".to_owned() };
    let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differs = |path: &&&String| before.get(**path) != after.get(**path);
    let changed: Vec<&String> = paths.iter().filter(differs).copied().collect();
    // Mounts of generated files lie in a directory named by their digest.
    let has_files = changed.iter().any(|path| path.starts_with(FILES));
    let told = changed.iter().filter(|path| !has_files || path.as_str() != "volumes");
    let mut words: Vec<String> = told
        .map(|path| {
            let verb = match (before.contains_key(*path), after.contains_key(*path)) {
                (false, _) => "added",
                (_, false) => "removed",
                _ => "changed",
            };
            format!("{} {verb}", subject(path))
        })
        .collect();
    let more = words.len().saturating_sub(NAMED);
    words.truncate(NAMED);
    match (words.is_empty(), more) {
        (true, _) => "its configuration changed".to_owned(),
        (_, 0) => words.join(", "),
        (_, more) => format!("{}, {more} more", words.join(", ")),
    }
}

/// Returns which of the secrets and configs that a container was started with hold something else now. What it carries no digest of
/// was not asked when it was made.
fn contents(before: Option<&BTreeMap<String, String>>, after: Option<&BTreeMap<String, String>>) -> Option<String> {
    let (before, after) = (before?, after?);
    let changed = before.iter().filter(|(path, digest)| after.get(*path).is_some_and(|now| now != *digest));
    let names: Vec<String> = changed.filter_map(|(path, _)| Some(format!("{} changed", content(path)?))).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// Where the digests of generated files stand among the fields.
pub const FILES: &str = "files.";

/// Where the digests of what secrets and configs hold stand among the fields: `contents.secret NAME`.
pub const CONTENTS: &str = "contents.";

/// Returns what a path of the fields says the content of; nothing where it is another path.
fn content(path: &str) -> Option<String> {
    let (kind, name) = path.strip_prefix(CONTENTS)?.split_once(' ')?;
    Some(format!("what the {kind} `{name}` holds"))
}

/// Returns what a path of the fields is called.
fn subject(path: &str) -> String {
    let Some(file) = path.strip_prefix(FILES) else { return content(path).unwrap_or_else(|| path.to_owned()) };
    let skill = file.split_once("skills/").map(|(_, skill)| skill.split(['/', '.']).next().unwrap_or(skill));
    match (file, skill) {
        ("claw/AGENTS.md", _) => "contract".to_owned(),
        ("claw/CLAWDAPUS.md", _) => "CLAWDAPUS.md".to_owned(),
        (_, Some(skill)) if !skill.is_empty() => format!("skill {skill}"),
        (file, _) => format!("file {file}"),
    }
}

/// Returns the services whose first container a service has a namespace or the volumes of.
pub fn shared(service: &Service) -> impl Iterator<Item = &str> {
    let modes = [&service.network_mode, &service.pid, &service.ipc].into_iter().flatten();
    let modes = modes.filter_map(|mode| mode.strip_prefix("service:"));
    let volumes = service.volumes_from.iter().filter(|from| !from.starts_with("container:"));
    modes.chain(volumes.filter_map(|from| from.split(':').next()))
}

/// Why containers must be made anew, by service and number: what differs, and what shares a namespace with what differs.
pub(super) fn causes(plan: &Plan, observed: &Observed, mode: &Mode, list: &List) -> BTreeMap<(String, u32), String> {
    let is_new_image = |service: &Service| list.steps.iter().any(|step| makes(&step.action, service, plan));
    let stale = stale(plan, observed, mode);
    let mut causes = BTreeMap::new();
    for name in order(plan).iter().filter(|name| mode.has(name)) {
        let Some(service) = plan.project.services.get(name) else { continue };
        let mut shared = shared(service);
        let shared = shared.find(|target| causes.contains_key(&((*target).to_owned(), 1)));
        for container in observed.of(name) {
            let network = stale.keys().find(|key| is_on(service, key));
            let difference = difference(name, service, container, plan, observed)
                .or_else(|| network.map(|key| format!("its network `{key}` is made anew")))
                .or_else(|| {
                    shared.map(|target| format!("it shares a namespace or volumes with `{target}`, which is made anew"))
                })
                .or_else(|| is_new_image(service).then(|| FORECAST.to_owned()))
                .or_else(|| mode.recreates(name).then(|| "`--force-recreate` asks for it".to_owned()));
            if let Some(cause) = difference {
                causes.insert((name.clone(), container.number), cause);
            }
        }
    }
    causes
}
