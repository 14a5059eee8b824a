//! Observe: what engine and host have of a pod. Nothing is changed and nothing is decided here.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use claw_compiler::plan::steps::{Container, Image, Network, Observed};
use claw_compiler::plan::{Belongings, Plan};
use claw_types::image::{compose, label};

use crate::apply::{ApplyError, Site, is_aside};
use crate::container::{Scope, body};
use crate::docker::{Docker, Seen};
use crate::image::{Building, never};
use crate::live::hashes;
use crate::{pack, verify};

/// Returns what the engine and the host have of a pod.
///
/// # Errors
/// Where the engine does not answer, a build context cannot be read, or a secret has no value.
pub async fn observe(plan: &Plan, docker: &Docker, site: &Site<'_>) -> Result<Observed, ApplyError> {
    let project = plan.pod.as_str();
    let is_own = |labels: &BTreeMap<String, String>| {
        labels.get(label::ROLE).is_some_and(|role| role == "proxy" || role == claw_types::gate::GATE)
    };
    let is_agent = |labels: &BTreeMap<String, String>| labels.contains_key(label::AGENT) || is_own(labels);
    let mut containers = docker.overview(project, &is_agent).await?;
    containers.retain(|seen| !seen.is_oneoff());
    let first = containers.iter().rev().map(|seen| (seen.service().to_owned(), seen.id.clone()));
    let mut observed = Observed { hashes: hashes(plan, site, &first.collect())?, ..Observed::default() };
    let networks = docker.networks(project).await?.into_iter();
    observed.networks.extend(networks.map(|seen| (seen.key, Network { id: seen.id, hash: seen.hash })));
    let owned = crate::state::owned(site.root, project);
    let volumes = docker.volumes(project).await?;
    let seeded = crate::persona::seeded(site.root, project, &volumes);
    for (id, unit) in &plan.units {
        let (Some(home), Some(persona)) = (&unit.home, &unit.unit.persona) else { continue };
        let is_there = volumes.iter().any(|volume| volume.key == home.volume);
        match seeded.get(&home.volume) {
            Some(Some(digest)) if *digest != persona.digest => {
                drop(observed.reseeded.insert(id.clone(), digest.clone()))
            }
            None if is_there => drop(observed.unseeded.insert(id.clone())),
            _ => {}
        }
    }
    for volume in volumes {
        if plan.owner_of(&volume.key).is_some() && owned.get(&volume.key) != Some(&volume.made) {
            observed.unowned_volumes.insert(volume.key.clone());
        }
        let wanted = observed.hashes.volumes.get(&volume.key);
        if wanted.is_some() && volume.hash.is_some() && volume.hash.as_ref() != wanted {
            observed.changed_volumes.insert(volume.key.clone());
        }
        observed.volumes.insert(volume.key);
    }
    images(plan, docker, site, &mut observed).await?;
    site.vault.fetch(plan).await?;
    for (id, own) in &plan.belongings {
        if let Some(seal) = site.vault.seal(id, own)? {
            observed.seals.insert(id.clone(), seal);
        }
    }
    files(plan, site, false, &mut observed);
    // Whom a file is for has another number on the host there.
    if !observed.unowned.is_empty() && docker.is_rootless().await? {
        observed.unowned.clear();
        files(plan, site, true, &mut observed);
    }
    let told = crate::state::told(site.root, project);
    let told = plan.units.keys().filter_map(|unit| Some((unit.clone(), told.get(unit.as_str())?.clone())));
    observed.told.extend(told);
    // Agents alone are compared setting by setting.
    let is_podman = containers.iter().any(|seen| is_agent(&seen.labels)) && docker.is_podman().await?;
    for seen in &containers {
        let container = container(seen, is_podman, plan, site);
        observed.containers.entry(seen.service().to_owned()).or_default().push(container);
    }
    Ok(observed)
}

/// Returns the directory a container was started from, where it is another checkout's: one that is there, and not this one.
pub fn elsewhere(seen: &Seen, root: &Path) -> Option<String> {
    let directory = seen.labels.get(compose::WORKING_DIR)?;
    let theirs = Path::new(directory).canonicalize().ok()?;
    let is_own = root.canonicalize().is_ok_and(|own| own == theirs);
    (!is_own).then(|| directory.clone())
}

async fn images(plan: &Plan, docker: &Docker, site: &Site<'_>, observed: &mut Observed) -> Result<(), ApplyError> {
    let mut names: BTreeSet<String> =
        plan.project.services.values().filter_map(|service| service.image.clone()).collect();
    names.extend(plan.builds.values().map(|build| build.image.to_string()));
    names.extend(plan.bases.keys().cloned());
    if plan.needs_infra {
        names.insert(plan.infra());
        observed.infra = Some(pack::id(site)?);
    }
    for name in names {
        if let Some(facts) = docker.image(&name).await? {
            let image = Image { id: facts.id.unwrap_or_default(), context: facts.labels.get(label::CONTEXT).cloned() };
            observed.images.insert(name, image);
        }
    }
    for (service, build) in &plan.builds {
        let base = match build.base.as_deref() {
            // What claw will pack, whatever is there now.
            Some(base) if is_infra(base) => observed.infra.clone(),
            Some(base) if base != "scratch" => docker.image(base).await?.and_then(|facts| facts.id),
            _ => None,
        };
        let never = never(plan, site.root, site.env_files, service);
        let building = Building::open(build, site.root, &never, base.as_deref(), site.environment)?;
        observed.contexts.insert(service.clone(), building.digest().to_owned());
    }
    Ok(())
}

/// Returns whether an image is claw's own.
pub(crate) fn is_infra(image: &str) -> bool {
    claw_types::image::ImageRef::new(image).repository() == claw_types::image::INFRA_REPOSITORY
}

/// Sealed files count as written where their content has the seal last recorded, and as owned where their user has them; on a rootless
/// engine, where somebody else than whoever runs claw has them.
fn files(plan: &Plan, site: &Site<'_>, is_rootless: bool, observed: &mut Observed) {
    let recorded = crate::state::seals(site.root, plan.pod.as_str());
    // Whoever runs claw owns the pod's state.
    let own = site.root.join(".claw").metadata().map(|found| found.uid()).unwrap_or_default();
    for (id, unit) in &plan.belongings {
        let directory = site.root.join(unit.directory.as_str());
        let mut is_written = directory.is_dir();
        if is_written && is_altered(&directory, unit) {
            is_written = false;
            observed.altered.insert(id.clone());
        }
        let mut is_owned = true;
        for (path, file) in unit.sealed() {
            let found = directory.join(path.as_str()).symlink_metadata();
            is_written &= found.is_ok() && file.content.is_sealed();
            let is_handed = |uid: u32| if is_rootless { uid != own } else { uid == unit.user.uid };
            is_owned &= found.is_ok_and(|found| is_handed(found.uid()));
        }
        is_written &= observed.seals.get(id).is_none_or(|seal| recorded.get(id.as_str()) == Some(seal));
        if unit.needs_shim {
            is_written &= shim(site.root, plan).is_file();
        }
        if !is_written {
            observed.unwritten.insert(id.clone());
        }
        if observed.seals.contains_key(id) && (!is_owned || !is_written) {
            observed.unowned.insert(id.clone());
        }
    }
}

/// Returns whether a directory has not the files of an agent that hold no secret.
fn is_altered(directory: &Path, unit: &Belongings) -> bool {
    let own = unit.files.iter().filter(|(_, file)| !file.content.is_sealed());
    let mut own = own.map(|(path, file)| (directory.join(path.as_str()), file.content.masked()));
    own.any(|(path, text)| std::fs::read(path).map_or(true, |found| found != text.as_bytes()))
}

/// Returns where the shim of a project is on the host.
pub(crate) fn shim(root: &Path, plan: &Plan) -> std::path::PathBuf {
    let name = format!("shim-v{}", claw_types::image::SHIM_PROTOCOL);
    root.join(".claw").join(plan.pod.as_str()).join("bin").join(name)
}

fn container(seen: &Seen, is_podman: bool, plan: &Plan, site: &Site<'_>) -> Container {
    let name = seen.service();
    // What claw holds itself is compared setting by setting.
    let is_held = plan.holds(name);
    let drift = match plan.project.services.get(name) {
        Some(service) => {
            let scope = Scope::new(plan, site);
            let labels = service.labels.iter().filter(|(key, _)| key.starts_with("claw."));
            let labels = labels.map(|(key, value)| (key.clone(), serde_json::json!(value))).collect();
            let planned = body(name, &seen.name, service, &labels, &scope);
            match is_podman && is_held {
                true => verify::drift(&planned, &verify::podman::translated(&planned, &seen.inspected), true),
                false => verify::drift(&planned, &seen.inspected, is_held),
            }
        }
        None => Vec::new(),
    };
    // A container without a seal was made by another tool from the generated file: what was recorded last counts.
    let recorded = || crate::state::seals(site.root, plan.pod.as_str()).get(name).cloned();
    Container {
        id: seen.id.clone(),
        name: seen.name.clone(),
        number: seen.label(compose::NUMBER).parse().unwrap_or(1),
        hash: seen.label(compose::HASH).to_owned(),
        fields: serde_json::from_str(seen.label(label::FIELDS)).ok(),
        image: seen.label(compose::IMAGE).to_owned(),
        seal: seen.labels.get(label::SEAL).cloned().or_else(recorded),
        elsewhere: elsewhere(seen, site.root),
        is_claws: seen.labels.contains_key(label::SCHEMA),
        is_aside: is_aside(seen),
        is_running: seen.state.is_running || seen.state.is_restarting,
        is_completed: seen.state.status == "exited" && seen.state.exit_code == 0,
        drift,
    }
}
