//! The plan with every variable filled in: what containers are made from and compared by. It is never written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use claw_compiler::plan::Plan;
use claw_compiler::plan::steps::{CONTENTS, FILES, Hashes};
use claw_compose::hash::{self, Level};
use claw_compose::load::environment;
use claw_compose::model::Service;
use claw_compose::template::{Lookup, Template};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::apply::{ApplyError, Site};
use crate::container::Scope;
use crate::project::{self, Kept};

/// The variable that says which docker compose shares a pod with claw: `2.40`, which is the default, or `2.26`.
pub const COMPOSE_LEVEL: &str = "CLAW_COMPOSE_LEVEL";

/// Returns the plan with the values of `environment:` and `env_file:` in it.
///
/// # Errors
/// Where an env file is missing or a required variable has no value.
pub fn live(plan: &Plan, site: &Site<'_>) -> Result<Plan, ApplyError> {
    let mut live = plan.clone();
    for (name, service) in &mut live.project.services {
        let files = project::of_service(name, service, site.root, site.environment)?;
        templates(name, service, site)?;
        environment::resolve(service, files, site.environment);
        let files = service.label_file.clone();
        project::label(name, service, site.root)?;
        // Their names are a part of docker compose's hash.
        service.label_file = files;
    }
    Ok(live)
}

fn templates(name: &str, service: &mut Service, site: &Site<'_>) -> Result<(), ApplyError> {
    let hooks = service.post_start.iter_mut().chain(&mut service.pre_stop);
    let variables = hooks.flat_map(|hook| hook.environment.values_mut()).chain(service.environment.values_mut());
    for template in variables.filter_map(|value| value.0.as_mut()) {
        let value = template.resolve(site.environment, &mut |_| {}).map_err(|required| {
            ApplyError::Unusable(format!("`{name}` needs the variable `{}`: {}", required.name, required.message))
        })?;
        *template = Template::literal(value);
    }
    Ok(())
}

/// Names containers by their ids where a service names another one's.
fn by_id(service: &mut Service, ids: &BTreeMap<String, String>) {
    for mode in [&mut service.network_mode, &mut service.ipc, &mut service.pid].into_iter().flatten() {
        if let Some(id) = mode.strip_prefix("service:").and_then(|name| ids.get(name)) {
            *mode = format!("container:{id}");
        }
    }
    for from in &mut service.volumes_from {
        // The mode behind the name is left out.
        let mut parts = from.split(':');
        let named = match (parts.next(), parts.next()) {
            (Some("container"), Some(container)) => Some(container.to_owned()),
            (Some(service), _) => ids.get(service).cloned(),
            (None, _) => None,
        };
        if let Some(named) = named {
            *from = named;
        }
    }
}

/// Adds digests of what a service's secrets and configs hold. What is not there, or is no file, has none: it is told when the
/// service starts. What claw writes itself has a seal, and is written after this.
fn contents(
    service: &Service,
    live: &Plan,
    site: &Site<'_>,
    fields: &mut BTreeMap<String, String>,
) -> Result<(), ApplyError> {
    let scope = Scope::new(live, site);
    let own = site.root.join(".claw").join(live.pod.as_str());
    let secrets = service.secrets.iter().map(|mount| ("secret", mount, &live.project.secrets));
    let configs = service.configs.iter().map(|mount| ("config", mount, &live.project.configs));
    for (kind, mount, objects) in secrets.chain(configs) {
        let Some(object) = objects.get(&mount.source) else { continue };
        let path = object.file.as_deref().map(|path| PathBuf::from(scope.path(path)));
        if path.as_ref().is_some_and(|path| path.starts_with(&own)) {
            continue;
        }
        let digest = match (path, &object.environment, &object.content) {
            (Some(path), _, _) if path.is_file() => {
                let Ok(bytes) = std::fs::read(&path) else { continue };
                site.vault.digest(&Zeroizing::new(bytes))?
            }
            (None, Some(variable), _) => match site.environment.get(variable) {
                Some(value) => site.vault.digest(value.as_bytes())?,
                None => continue,
            },
            (None, None, Some(content)) => site.vault.digest(content.as_bytes())?,
            _ => continue,
        };
        fields.insert(format!("{CONTENTS}{kind} {}", mount.source), digest);
    }
    Ok(())
}

/// Returns what docker compose's `config-hash` of everything in a live plan is on this host.
///
/// # Errors
/// Where a file cannot be read, or `CLAW_COMPOSE_LEVEL` is none.
///
/// What shares a namespace or the volumes of another service is hashed with the id of that one's container: `ids` has the first of
/// each service that is there (observed with 2.26.1 and 2.40.3, in the label alone).
pub(crate) fn hashes(live: &Plan, site: &Site<'_>, ids: &BTreeMap<String, String>) -> Result<Hashes, ApplyError> {
    let levels = match site.environment.plain(COMPOSE_LEVEL) {
        None | Some("" | "2.40") => [Level::V2_40, Level::V2_26],
        Some("2.26") => [Level::V2_26, Level::V2_40],
        Some(other) => {
            let why = format!("`{COMPOSE_LEVEL}` is `{other}`: it is `2.40` or `2.26`");
            return Err(ApplyError::Unusable(why));
        }
    };
    let mut project = live.project.clone();
    project::resolve(&mut project, site.root, live.pod.as_str(), site.environment, Kept::LabelFiles)?;
    project.services.values_mut().for_each(|service| by_id(service, ids));
    let services = project.services.iter();
    let mut all = BTreeMap::new();
    for (key, each) in services.clone() {
        let mut fields = hash::fields(each);
        let unit = live.belongings.iter().find(|(unit, _)| unit.as_str() == key).map(|(_, unit)| unit);
        for (path, file) in unit.iter().flat_map(|unit| unit.files.iter()) {
            let digest = Sha256::digest(file.content.masked());
            let digest: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
            fields.insert(format!("{FILES}{path}"), digest);
        }
        contents(each, live, site, &mut fields)?;
        all.insert(key.clone(), fields);
    }
    Ok(Hashes {
        fields: all,
        services: services.map(|(key, each)| (key.clone(), levels.map(|level| hash::service(each, level)))).collect(),
        networks: project.networks.iter().map(|(key, network)| (key.clone(), hash::network(network))).collect(),
        volumes: project.volumes.iter().map(|(key, volume)| (key.clone(), hash::volume(volume))).collect(),
    })
}
