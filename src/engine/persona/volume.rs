//! What agents made of their personas: volumes of their own, filled once, read for a snapshot, emptied where somebody asks for it.

use std::collections::BTreeMap;
use std::io::{Cursor, Error, ErrorKind};
use std::path::Path;

use claw_compiler::plan::{PersonaHome, Plan, PlannedUnit};
use claw_types::image::{compose, label};
use serde_json::json;

use super::files::{Files, MOST_ARCHIVE};
use super::{PersonaError, obtain};
use crate::apply::{ApplyError, Site, ensure_infra};
use crate::backup::helper;
use crate::container::{Scope, body};
use crate::docker::{Docker, Labelled, Seen};
use crate::hook;
use crate::state;

/// What stands for the digest of a persona that is being copied: a run that ended early goes on from there.
const COPYING: &str = "copying";

/// What stands for it where an agent's own is being taken away: a run that ended early takes away what is left, and copies then.
const EMPTYING: &str = "emptying";

/// What stands for it where the volume held something that claw had not copied.
const OTHER: &str = "-";

/// The most bytes of an archive of an empty directory.
const NOTHING: usize = 4096;

/// Returns the digest of the persona that was copied into each volume, by key: only of volumes that are still the same ones. Nothing stands for
/// what was there before.
pub fn seeded(root: &Path, project: &str, volumes: &[Labelled]) -> BTreeMap<String, Option<String>> {
    let rows = state::seeded(root, project);
    let done = volumes.iter().filter_map(|volume| {
        let (made, digest) = rows.get(&volume.key)?;
        let digest = (digest != OTHER).then(|| digest.clone());
        let is_done = !matches!(digest.as_deref(), Some(COPYING | EMPTYING));
        (*made == volume.made && is_done).then(|| (volume.key.clone(), digest))
    });
    done.collect()
}

/// Remembers that volumes of a backup are others now, and hold what they held.
///
/// # Errors
/// Where the host refuses, or the engine does not answer.
pub(crate) async fn moved(keys: &[&str], plan: &Plan, docker: &Docker, site: &Site<'_>) -> Result<(), ApplyError> {
    let project = plan.pod.as_str();
    let rows = state::seeded(site.root, project);
    for volume in docker.volumes(project).await?.iter().filter(|volume| keys.contains(&volume.key.as_str())) {
        if let Some((_, digest)) = rows.get(&volume.key) {
            state::record_seeded(site.root, project, &volume.key, (&volume.made, digest))?;
        }
    }
    Ok(())
}

/// Returns the error of an agent whose persona cannot be had.
pub(crate) fn unusable(planned: &PlannedUnit, error: &PersonaError) -> ApplyError {
    let name = planned.unit.persona.as_ref().map_or("", |persona| persona.name.as_str());
    ApplyError::Unusable(format!("`{}`: the persona `{name}` {error}", planned.unit.id))
}

/// Returns where an agent's persona goes.
fn home(planned: &PlannedUnit) -> Result<&PersonaHome, ApplyError> {
    let home = planned.home.as_ref();
    home.ok_or_else(|| ApplyError::Unusable(format!("`{}` has no persona", planned.unit.id)))
}

async fn volume_of(planned: &PlannedUnit, plan: &Plan, docker: &Docker) -> Result<Option<Labelled>, ApplyError> {
    let key = &home(planned)?.volume;
    Ok(docker.volumes(plan.pod.as_str()).await?.into_iter().find(|volume| volume.key == *key))
}

/// Copies an agent's persona into its volume, once: a volume that holds something is left as it is.
///
/// # Errors
/// Where the persona is nowhere, or the engine or the host refuses.
pub(crate) async fn seed(
    planned: &PlannedUnit,
    plan: &Plan,
    docker: &Docker,
    site: &Site<'_>,
) -> Result<(), ApplyError> {
    let key = home(planned)?.volume.as_str();
    let Some(persona) = &planned.unit.persona else { return Ok(()) };
    let Some(volume) = volume_of(planned, plan, docker).await? else { return Ok(()) };
    let project = plan.pod.as_str();
    let row = state::seeded(site.root, project).remove(key).filter(|(made, _)| *made == volume.made);
    let begun = row.as_ref().map(|(_, digest)| digest.as_str());
    if begun.is_some_and(|digest| !matches!(digest, COPYING | EMPTYING)) {
        return Ok(());
    }
    let files = obtain(persona).await.map_err(|error| unusable(planned, &error))?;
    if begun == Some(EMPTYING) {
        empty(planned, plan, docker, site).await?;
    }
    let helper = helper(&[key], false, plan, docker, site).await?;
    let filled = async {
        if row.is_none() && !is_empty(&helper, key, docker).await? {
            let line = format!(
                "  volume {} holds something already: it stays the persona of {}",
                volume.name, planned.unit.id
            );
            (site.progress)(&line);
            return Ok(OTHER);
        }
        state::record_seeded(site.root, project, key, (&volume.made, COPYING))?;
        let user = planned.unit.user;
        let archive = Cursor::new(files.packed(key, (user.uid, user.gid)));
        docker.unpack_from(&helper, "/own", archive).await?;
        Ok::<_, ApplyError>(persona.digest.as_str())
    };
    let filled = filled.await;
    docker.remove_container(&helper, false).await?;
    Ok(state::record_seeded(site.root, project, key, (&volume.made, filled?))?)
}

/// Returns the archive of an agent's persona, all of which belongs to the agent.
///
/// # Errors
/// Where the persona is nowhere.
pub(crate) async fn packed_of(planned: &PlannedUnit) -> Result<Vec<u8>, PersonaError> {
    let Some(persona) = &planned.unit.persona else { return Err(PersonaError::new("is not here")) };
    let user = planned.unit.user;
    Ok(obtain(persona).await?.packed("", (user.uid, user.gid)))
}

/// Returns whether there is nothing in a volume that a helper has.
async fn is_empty(helper: &str, key: &str, docker: &Docker) -> Result<bool, ApplyError> {
    let archive = read(helper, key, NOTHING, docker).await?;
    let Some(archive) = archive else { return Ok(false) };
    let broken = |error: Error| ApplyError::Unusable(format!("the volume `{key}` cannot be read: {error}"));
    Ok(tar::Archive::new(archive.as_slice()).entries().map_err(broken)?.count() <= 1)
}

/// Returns what a volume holds as an archive; nothing where that is longer than `most` bytes.
async fn read(helper: &str, key: &str, most: usize, docker: &Docker) -> Result<Option<Vec<u8>>, ApplyError> {
    let mut archive = Vec::new();
    let mut is_whole = true;
    let mut take = |bytes: &[u8]| {
        archive.extend_from_slice(bytes);
        is_whole = archive.len() <= most;
        if is_whole { Ok(()) } else { Err(Error::new(ErrorKind::FileTooLarge, "it is too long")) }
    };
    let result = docker.archive_to(helper, &format!("/own/{key}"), &mut take).await;
    match result {
        Err(_) if !is_whole => Ok(None),
        other => Ok(other.map(|()| Some(archive))?),
    }
}

/// Returns what an agent has made of its persona. One that runs is held still meanwhile. Links and what else is no file are left out.
///
/// # Errors
/// Where it has none yet, what is there is larger than a persona may be, or the engine refuses.
pub async fn snapshot(
    planned: &PlannedUnit,
    plan: &Plan,
    docker: &Docker,
    site: &Site<'_>,
) -> Result<Files, ApplyError> {
    let key = home(planned)?.volume.as_str();
    if volume_of(planned, plan, docker).await?.is_none() {
        let why = format!("`{}` has no volume for its persona yet: `claw up` makes it", planned.unit.id);
        return Err(ApplyError::Unusable(why));
    }
    ensure_infra(plan, docker, site).await?;
    let helper = helper(&[key], true, plan, docker, site).await?;
    let running: Option<Seen> = running(planned, plan, docker).await?;
    site.interrupt.set_busy(true);
    let work = async {
        if let Some(seen) = &running {
            docker.pause(&seen.id).await?;
        }
        let archive = read(&helper, key, MOST_ARCHIVE, docker).await;
        if let Some(seen) = &running {
            docker.unpause(&seen.id).await?;
        }
        archive
    };
    let archive = work.await;
    site.interrupt.set_busy(false);
    docker.remove_container(&helper, false).await?;
    let failed =
        |error: PersonaError| ApplyError::Unusable(format!("what `{}` has for a persona {error}", planned.unit.id));
    let archive = archive?.ok_or_else(|| failed(super::files::too_big()))?;
    Files::unpack(archive.as_slice(), key, true).map_err(failed)
}

/// Returns the container of an agent that runs.
async fn running(planned: &PlannedUnit, plan: &Plan, docker: &Docker) -> Result<Option<Seen>, ApplyError> {
    let all = docker.containers(plan.pod.as_str()).await?;
    let is_it = |seen: &Seen| !seen.is_oneoff() && seen.service() == planned.unit.id.as_str() && seen.state.is_running;
    Ok(all.into_iter().find(is_it))
}

/// Takes away what an agent has made of its persona, and copies the pod's into its place. One that runs is stopped before and started after.
/// Returns whether there was a volume to do that in.
///
/// # Errors
/// Where the persona is nowhere, or the engine or the host refuses; then the volume may be empty, and the next `claw up` fills it.
pub async fn reset(planned: &PlannedUnit, plan: &Plan, docker: &Docker, site: &Site<'_>) -> Result<bool, ApplyError> {
    let key = home(planned)?.volume.as_str();
    let Some(persona) = &planned.unit.persona else { return Ok(false) };
    // What cannot be had is no reason to take away what is there.
    obtain(persona).await.map_err(|error| unusable(planned, &error))?;
    let Some(volume) = volume_of(planned, plan, docker).await? else { return Ok(false) };
    ensure_infra(plan, docker, site).await?;
    let running = running(planned, plan, docker).await?;
    if let Some(seen) = &running {
        hook::stop(seen, site.grace, docker, site.progress).await?;
    }
    state::record_seeded(site.root, plan.pod.as_str(), key, (&volume.made, EMPTYING))?;
    seed(planned, plan, docker, site).await?;
    if let Some(seen) = &running {
        docker.start(&seen.id).await?;
    }
    Ok(true)
}

/// Empties the volume of an agent's persona, as the agent's own user.
async fn empty(planned: &PlannedUnit, plan: &Plan, docker: &Docker, site: &Site<'_>) -> Result<(), ApplyError> {
    let Some(service) = plan.emptying(&planned.unit.id) else { return Ok(()) };
    let scope = Scope::new(plan, site);
    let name = format!("{}-{}", plan.pod, crate::docker::unique());
    let rows =
        [(compose::PROJECT, plan.pod.as_str()), (compose::ONEOFF, "True"), (label::ROLE, "init"), (label::SCHEMA, "1")];
    let labels = rows.map(|(key, value)| (key.to_owned(), json!(value))).into_iter().collect();
    let helper = docker.create_container(&name, None, body(&name, &name, &service, &labels, &scope)).await?;
    let ended = async {
        docker.start(&helper).await?;
        docker.wait(&helper).await
    };
    let ended = ended.await;
    let said = match &ended {
        Ok(0) => String::new(),
        _ => crate::logs::last(docker, &helper).await,
    };
    docker.remove_container(&helper, false).await?;
    match ended? {
        0 => Ok(()),
        _ => Err(ApplyError::Unusable(format!("the persona of `{}` could not be taken away: {said}", planned.unit.id))),
    }
}
