//! Down: takes a project away by its labels, whether or not there is a file that describes it.

use std::time::Duration;

use claw_types::image::compose;

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
    let mut removed = 0;
    for seen in in_order(docker.containers(project).await?) {
        progress(&format!("remove container {}", seen.name));
        hook::stop(&seen, options.grace, docker, progress).await?;
        docker.remove_container(&seen.id, options.volumes || seen.is_oneoff()).await?;
        removed += 1;
    }
    for network in docker.networks(project).await? {
        progress(&format!("remove network {}", network.key));
        remove_network(&network.id, docker).await?;
        removed += 1;
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

/// Stops a project's containers and leaves them, dependents first.
///
/// # Errors
/// Where the engine refuses.
pub async fn stop(project: &str, docker: &Docker, progress: &dyn Fn(&str)) -> Result<(), EngineError> {
    for seen in in_order(docker.containers(project).await?).iter().filter(|seen| seen.state.is_running) {
        progress(&format!("stop container {}", seen.name));
        hook::stop(seen, None, docker, progress).await?;
    }
    Ok(())
}

/// Returns containers so that each comes before those it depends on, read from compose's label.
fn in_order(mut open: Vec<Seen>) -> Vec<Seen> {
    let needs = |seen: &Seen| -> Vec<String> {
        let rows = seen.label(compose::DEPENDS_ON).split(',');
        rows.filter_map(|row| row.split(':').next()).filter(|name| !name.is_empty()).map(ToOwned::to_owned).collect()
    };
    let mut ordered = Vec::with_capacity(open.len());
    while !open.is_empty() {
        let needed: Vec<String> = open.iter().flat_map(&needs).collect();
        let next = open.iter().position(|seen| !needed.contains(&seen.service().to_owned())).unwrap_or(0);
        ordered.push(open.remove(next));
    }
    ordered
}

/// The engine lets go of an endpoint a moment after its container: a refusal is asked again a few times (moby#17217).
async fn remove_network(network: &str, docker: &Docker) -> Result<(), EngineError> {
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
