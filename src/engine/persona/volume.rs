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
        return anew(planned, &volume, &files, plan, docker, site).await;
    }
    fill(planned, &volume, &files, row.is_none(), plan, docker, site).await
}

/// Copies a persona into a volume; into one of which nothing is known only where it holds nothing.
async fn fill(
    planned: &PlannedUnit,
    volume: &Labelled,
    files: &Files,
    is_unknown: bool,
    plan: &Plan,
    docker: &Docker,
    site: &Site<'_>,
) -> Result<(), ApplyError> {
    let (key, project) = (volume.key.as_str(), plan.pod.as_str());
    let digest = planned.unit.persona.as_ref().map_or(OTHER, |persona| persona.digest.as_str());
    let helper = helper(&[key], false, plan, docker, site).await?;
    let filled = async {
        if is_unknown && !is_empty(&helper, key, docker).await? {
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
        Ok::<_, ApplyError>(digest)
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
    // What is made and held still here is taken away and let go, also where somebody asks the run to end.
    site.interrupt.set_busy(true);
    let archive = taken(planned, key, plan, docker, site).await;
    site.interrupt.set_busy(false);
    let failed =
        |error: PersonaError| ApplyError::Unusable(format!("what `{}` has for a persona {error}", planned.unit.id));
    let archive = archive?.ok_or_else(|| failed(super::files::too_big()))?;
    Files::unpack(archive.as_slice(), key, true).map_err(failed)
}

/// Returns what the volume of an agent's persona holds as an archive, read while the agent is held still; nothing where it is too long.
async fn taken(
    planned: &PlannedUnit,
    key: &str,
    plan: &Plan,
    docker: &Docker,
    site: &Site<'_>,
) -> Result<Option<Vec<u8>>, ApplyError> {
    let helper = helper(&[key], true, plan, docker, site).await?;
    let mut held = Vec::new();
    let work = async {
        for seen in live(planned, plan, docker).await? {
            if let Some(hold) = hold(&seen.id, docker, site).await? {
                held.push((seen.id, hold));
            }
        }
        tokio::select! {
            archive = read(&helper, key, MOST_ARCHIVE, docker) => archive,
            () = site.interrupt.asked() => Err(ApplyError::Interrupted),
        }
    };
    let archive = work.await;
    let mut let_go = Ok(());
    for (id, hold) in held {
        let went = match hold {
            Hold::Paused => docker.unpause(&id).await,
            Hold::Stopped => docker.start(&id).await.map(drop),
        };
        match went {
            // Somebody took it away or let it go meanwhile.
            Err(error) if matches!(error.status, Some(404 | 409)) => {}
            other => let_go = let_go.and(other),
        }
    }
    docker.remove_container(&helper, false).await?;
    let_go?;
    archive
}

/// How a container was made to keep still.
enum Hold {
    Paused,
    Stopped,
}

/// How often a container is looked at anew that became something else meanwhile.
const TRIES: usize = 5;

/// Makes a container keep still; nothing is to be done with one that is paused or has ended. One that is restarted again and again
/// cannot be paused between, so it is stopped.
async fn hold(id: &str, docker: &Docker, site: &Site<'_>) -> Result<Option<Hold>, ApplyError> {
    let mut refused = None;
    for _ in 0..TRIES {
        let Some(seen) = docker.container(id).await? else { return Ok(None) };
        if seen.state.is_restarting {
            hook::stop(&seen, site.grace, docker, site.progress).await?;
            return Ok(Some(Hold::Stopped));
        }
        if !seen.state.is_running {
            return Ok(None);
        }
        match docker.pause(id).await {
            Ok(()) => return Ok(Some(Hold::Paused)),
            Err(error) => refused = Some(error),
        }
    }
    refused.map_or(Ok(None), |error| Err(error.into()))
}

/// Takes away what an agent has made of its persona, and copies the pod's into its place. One that runs is stopped before and started after;
/// one that is paused is so again. Returns whether there was a volume to do that in.
///
/// # Errors
/// Where the persona is nowhere, or the engine or the host refuses; then the agent may be stopped and the volume empty, which the message
/// says, and the next `claw up` goes on.
pub async fn reset(planned: &PlannedUnit, plan: &Plan, docker: &Docker, site: &Site<'_>) -> Result<bool, ApplyError> {
    home(planned)?;
    let Some(persona) = &planned.unit.persona else { return Ok(false) };
    // What cannot be had is no reason to take away what is there.
    let files = obtain(persona).await.map_err(|error| unusable(planned, &error))?;
    let Some(volume) = volume_of(planned, plan, docker).await? else { return Ok(false) };
    ensure_infra(plan, docker, site).await?;
    // What is begun here is ended, also where somebody asks the run to end: else the agent would be left stopped.
    site.interrupt.set_busy(true);
    let done = anew(planned, &volume, &files, plan, docker, site).await;
    site.interrupt.set_busy(false);
    done.map(|()| true)
}

/// Empties a volume and fills it, with the agent stopped meanwhile.
async fn anew(
    planned: &PlannedUnit,
    volume: &Labelled,
    files: &Files,
    plan: &Plan,
    docker: &Docker,
    site: &Site<'_>,
) -> Result<(), ApplyError> {
    let live = live(planned, plan, docker).await?;
    // Written down first: whatever ends this run, the next one goes on from there.
    state::record_seeded(site.root, plan.pod.as_str(), &volume.key, (&volume.made, EMPTYING))?;
    let work = async {
        for seen in &live {
            hook::stop(seen, site.grace, docker, site.progress).await?;
        }
        empty(planned, volume, plan, docker, site).await?;
        fill(planned, volume, files, false, plan, docker, site).await
    };
    if let Err(error) = work.await {
        let stopped = if live.is_empty() { "" } else { " and the agent is stopped" };
        let id = &planned.unit.id;
        (site.progress)(&format!("  the persona of {id} is not whole{stopped}: `claw up` goes on from there"));
        return Err(error);
    }
    for seen in &live {
        match docker.start(&seen.id).await {
            // Another step has taken it away, and one that makes it anew starts it.
            Err(error) if matches!(error.status, Some(404 | 409)) => continue,
            other => drop(other?),
        }
        if is_paused(seen) {
            docker.pause(&seen.id).await?;
        }
    }
    Ok(())
}

fn is_paused(seen: &Seen) -> bool {
    seen.state.status == "paused"
}

/// Returns the containers of an agent that run, are about to again, or are paused.
async fn live(planned: &PlannedUnit, plan: &Plan, docker: &Docker) -> Result<Vec<Seen>, ApplyError> {
    let mut all = of(planned, plan, docker).await?;
    all.retain(|seen| seen.state.is_running || seen.state.is_restarting || is_paused(seen));
    Ok(all)
}

/// Returns the containers of an agent.
async fn of(planned: &PlannedUnit, plan: &Plan, docker: &Docker) -> Result<Vec<Seen>, ApplyError> {
    let mut all = docker.containers(plan.pod.as_str()).await?;
    all.retain(|seen| !seen.is_oneoff() && seen.service() == planned.unit.id.as_str());
    Ok(all)
}

/// Empties the volume of an agent's persona, as the agent's own user.
async fn empty(
    planned: &PlannedUnit,
    volume: &Labelled,
    plan: &Plan,
    docker: &Docker,
    site: &Site<'_>,
) -> Result<(), ApplyError> {
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
    if ended? == 0 {
        return Ok(());
    }
    // The helper's place of it, in the agent's words.
    let said = said.replace("/own/0", home(planned)?.target.as_str());
    let names: Vec<String> = of(planned, plan, docker).await?.into_iter().map(|seen| seen.name).collect();
    let containers = if names.is_empty() { String::new() } else { format!("docker rm -f {} && ", names.join(" ")) };
    Err(ApplyError::Unusable(format!(
        "the persona of `{}` could not be taken away: {said}. What is not the agent's own goes with its volume: `{containers}docker volume rm {}`, then `claw up` makes both anew",
        planned.unit.id, volume.name
    )))
}
