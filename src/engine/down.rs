//! Down: takes a project away by its labels, whether or not there is a file that describes it.

use std::time::Duration;

use claw_types::image::{compose, label};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::docker::{Docker, EngineError, Seen};
use crate::hook;

/// What is taken away beside containers and networks.
#[derive(Clone, Debug, Default)]
pub struct DownOptions {
    /// Volumes too.
    pub volumes: bool,
    /// Seconds a container is given to finish, instead of its own.
    pub grace: Option<i32>,
    /// Images by name.
    pub images: Vec<String>,
    /// The pod's directory, where it has a state of the project: with `volumes`, those without a name that a run kept go too.
    pub root: Option<std::path::PathBuf>,
}

/// Takes a project's containers and networks away: whatever carries its label. Returns how many things were removed.
///
/// # Errors
/// Where the engine refuses; what was removed before is gone, and the next run goes on from there.
pub async fn down(
    project: &str,
    options: &DownOptions,
    docker: &Docker,
    progress: &dyn Fn(&str),
) -> Result<usize, EngineError> {
    let containers = docker.containers(project).await?;
    if options.volumes
        && let Some(root) = &options.root
    {
        // Once their containers are gone nothing else says whose they were.
        remember(&containers, root, project)?;
    }
    let remove = async |seen: &Seen| {
        progress(&format!("remove container {}", seen.name));
        hook::stop(seen, options.grace, docker, progress).await?;
        docker.remove_container(&seen.id, options.volumes || seen.is_oneoff()).await
    };
    in_order(&containers, &remove).await?;
    let mut removed = containers.len();
    if options.volumes {
        // Those without a name that a newer container took over have a name for the engine, and no label.
        let kept = options.root.iter().flat_map(|root| crate::state::unnamed(root, project).into_values());
        for volume in containers.iter().flat_map(unnamed).chain(kept) {
            match docker.remove_volume(&volume).await {
                Err(error) if error.status == Some(409) => {
                    progress(&format!("volume {volume} is used by others: kept"))
                }
                other => other?,
            }
        }
    }
    for network in docker.networks(project).await? {
        progress(&format!("remove network {}", network.key));
        match remove_network(&network.id, docker).await {
            Ok(()) => removed += 1,
            Err(error) if error.reason.contains("active endpoints") => progress(&format!(
                "the engine does not let go of network {} (moby#17217): it is kept, and the next `up` uses it; a restart of the engine frees it",
                network.name
            )),
            Err(error) => return Err(error),
        }
    }
    if options.volumes {
        for volume in docker.volumes(project).await? {
            progress(&format!("remove volume {}", volume.key));
            docker.remove_volume(&volume.name).await?;
            removed += 1;
        }
    }
    for image in &options.images {
        if docker.remove_image(image).await? {
            progress(&format!("remove image {image}"));
            removed += 1;
        }
    }
    Ok(removed)
}

/// Writes down the volumes without a name of containers that are about to go with them.
fn remember(containers: &[Seen], root: &std::path::Path, project: &str) -> Result<(), EngineError> {
    let own = containers.iter().flat_map(unnamed).map(|volume| (format!("down:0:{volume}"), volume));
    let rows: std::collections::BTreeMap<String, String> =
        crate::state::unnamed(root, project).into_iter().chain(own).collect();
    crate::state::record_unnamed(root, project, rows.into_iter()).map_err(|error| EngineError {
        call: "remember the volumes of",
        resource: project.to_owned(),
        reason: error.to_string(),
        status: None,
    })
}

/// Stops containers and leaves them, dependents first, each with `grace` seconds or its own. Returns how many ran.
///
/// # Errors
/// Where the engine refuses.
pub async fn stop(
    mut containers: Vec<Seen>,
    grace: Option<i32>,
    docker: &Docker,
    progress: &dyn Fn(&str),
) -> Result<usize, EngineError> {
    containers.retain(|seen| seen.state.is_running || seen.state.is_restarting || seen.state.status == "paused");
    let stop = async |seen: &Seen| {
        progress(&format!("stop container {}", seen.name));
        hook::stop(seen, grace, docker, progress).await
    };
    in_order(&containers, &stop).await?;
    Ok(containers.len())
}

/// The most containers at a time: an engine that removes many leaves networks it takes for used (moby#17217).
pub(crate) const WIDTH: usize = 8;

/// Works on containers, each after those that depend on it, read from compose's label, and after every agent, which may need it to
/// end what it began; several at a time. The first failure is
/// returned once what is under way has ended; no other is begun.
async fn in_order(
    containers: &[Seen],
    work: &impl AsyncFn(&Seen) -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    let needs = |seen: &Seen, target: &Seen| {
        let mut rows = seen.label(compose::DEPENDS_ON).split(',').filter_map(|row| row.split(':').next());
        let is_agent = |seen: &Seen| seen.labels.contains_key(label::AGENT);
        rows.any(|name| name == target.service()) || is_agent(seen) && !is_agent(target)
    };
    let mut open: Vec<&Seen> = containers.iter().collect();
    let mut busy: Vec<&Seen> = Vec::new();
    let mut under_way = FuturesUnordered::new();
    let mut failure = None;
    loop {
        while failure.is_none() && busy.len() < WIDTH {
            let is_needed = |target: &&Seen| open.iter().chain(&busy).any(|seen| needs(seen, target));
            let free = open.iter().position(|seen| !is_needed(seen));
            // Labels that go round keep nothing from being removed.
            let Some(place) = free.or((busy.is_empty() && !open.is_empty()).then_some(0)) else { break };
            let seen = open.remove(place);
            busy.push(seen);
            under_way.push(async move { (seen, work(seen).await) });
        }
        let Some((seen, result)) = under_way.next().await else { break };
        busy.retain(|each| each.id != seen.id);
        failure = failure.or(result.err());
    }
    failure.map_or(Ok(()), Err)
}

/// Returns the volumes without a name of a container: the engine gives them 64 hexadecimal digits.
pub(crate) fn unnamed(seen: &Seen) -> Vec<String> {
    let mounts = seen.inspected["Mounts"].as_array().into_iter().flatten().filter(|mount| mount["Type"] == "volume");
    let names = mounts.filter_map(|mount| mount["Name"].as_str());
    let is_unnamed = |name: &&str| name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    names.filter(is_unnamed).map(ToOwned::to_owned).collect()
}

/// The engine lets go of an endpoint a moment after its container: a refusal is asked again a few times (moby#17217).
pub(crate) async fn remove_network(network: &str, docker: &Docker) -> Result<(), EngineError> {
    let mut pause = Duration::from_millis(100);
    loop {
        match docker.remove_network(network).await {
            Err(error) if error.reason.contains("active endpoints") && pause < Duration::from_secs(3) => {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            other => return other,
        }
    }
}
