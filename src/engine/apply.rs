//! Observe and apply: what an engine has of a pod, and the steps that make it what was planned. No decision is made here.

use std::path::Path;

use claw_compiler::plan::steps::{Action, Observed, Step, service_hash};
use claw_compiler::plan::{Plan, steps};
use claw_compose::model::Service;
use claw_types::agent::{Access, Surface};
use serde_json::{Map, Value, json};

use crate::container::{Scope, body, depends_on, endpoints};
use crate::docker::{Docker, EngineError};
use crate::files::FileError;
use crate::gather::Environment;
use crate::{context, pack};

/// Why a pod could not be brought up.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The engine refused.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The host refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// Claw's own image could not be packed.
    #[error("cannot pack claw's own image: {0}")]
    Pack(std::io::Error),
    /// A build context could not be read.
    #[error("cannot read the build context `{0}`: {1}")]
    Context(String, std::io::Error),
    /// A service did not become what others wait for.
    #[error("`{service}` {why}")]
    NotReady {
        /// The service.
        service: String,
        /// What it is instead.
        why: String,
    },
    /// Something of the plan needs what claw does not do yet.
    #[error("{0}")]
    NotYet(String),
}

/// What applying needs to know beside the plan.
pub struct Site<'s> {
    /// The pod's directory, absolute.
    pub root: &'s Path,
    /// The variables.
    pub environment: &'s Environment,
    /// Claw's version.
    pub version: &'s str,
    /// Where progress goes, line by line.
    pub progress: &'s dyn Fn(&str),
}

/// Packs claw's image where the plan needs it, and builds what is built. Images that are up to date cost a look.
///
/// # Errors
/// Where the engine refuses, or a context cannot be read.
pub async fn prepare(plan: &Plan, docker: &Docker, site: &Site<'_>) -> Result<(), ApplyError> {
    if let Some(unit) = plan.units.values().find(|unit| !unit.secrets.is_empty()) {
        let names: Vec<String> = unit.secrets.iter().map(|secret| secret.file_name()).collect();
        let names = names.join("`, `");
        return Err(ApplyError::NotYet(format!(
            "`{}` has secrets (`{names}`), which `up` does not deliver yet",
            unit.unit.id
        )));
    }
    if plan.needs_infra || !plan.units.is_empty() {
        infra(docker, site).await?;
    }
    for (service, build) in &plan.builds {
        (site.progress)(&format!("build {}", build.image));
        let folder = site.root.join(&build.context);
        let generated = build.generated.as_ref().map(|(name, text)| (name.as_str(), text.as_str()));
        let archive =
            context::archive(&folder, generated).map_err(|error| ApplyError::Context(service.clone(), error))?;
        let dockerfile = generated.map_or(build.dockerfile.as_str(), |(name, _)| name);
        docker
            .build(build.image.as_str(), dockerfile, archive, &|line| {
                (site.progress)(&format!("build {service}: {line}"))
            })
            .await?;
    }
    Ok(())
}

async fn infra(docker: &Docker, site: &Site<'_>) -> Result<(), ApplyError> {
    let (os, architecture) = docker.platform().await?;
    let own = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    if os != "linux" || architecture != own {
        let message =
            format!("the engine runs {os}/{architecture}, and this claw is linux/{own}: use a claw of that platform");
        return Err(ApplyError::NotYet(message));
    }
    let program = std::env::current_exe().map_err(ApplyError::Pack)?;
    let packed = pack::pack(&program, site.version, own).map_err(ApplyError::Pack)?;
    let name = format!("{}:{}", claw_types::image::INFRA_REPOSITORY, site.version);
    if docker.image(&name).await?.and_then(|image| image.id) == Some(packed.id) {
        return Ok(());
    }
    (site.progress)(&format!("pack {name}"));
    docker.load(packed.archive).await?;
    Ok(())
}

/// Returns what the engine has of the pod.
///
/// # Errors
/// Where the engine does not answer.
pub async fn observe(plan: &Plan, docker: &Docker) -> Result<Observed, EngineError> {
    let project = plan.pod.as_str();
    let mut observed = Observed::default();
    observed.networks.extend(docker.networks(project).await?.into_iter().map(|(key, _)| key));
    observed.volumes.extend(docker.volumes(project).await?.into_iter().map(|(key, _)| key));
    for each in docker.containers(project).await? {
        let labels = each.labels.unwrap_or_default();
        let label = |key: &str| labels.get(&format!("com.docker.compose.{key}")).cloned().unwrap_or_default();
        let container = steps::Container {
            id: each.id.unwrap_or_default(),
            hash: label("config-hash"),
            image: label("image"),
            is_running: each.state.is_some_and(|state| state.to_string() == "running"),
        };
        observed.containers.insert(label("service"), container);
    }
    for image in plan.project.services.values().filter_map(|service| service.image.as_ref()) {
        if let Some(id) = docker.image(image).await?.and_then(|facts| facts.id) {
            observed.images.insert(image.clone(), id);
        }
    }
    Ok(observed)
}

/// Carries steps out, one after the other.
///
/// # Errors
/// Where the engine refuses; what was done before stays, and the next run goes on from there.
pub async fn apply(
    steps: &[Step],
    plan: &Plan,
    observed: &Observed,
    docker: &Docker,
    site: &Site<'_>,
) -> Result<(), ApplyError> {
    let scope = Scope { project: plan.pod.as_str(), file: &plan.project, root: site.root, lookup: site.environment };
    for step in steps {
        (site.progress)(&step.to_string());
        match &step.action {
            Action::CreateNetwork(key) => network(key, plan, docker, &scope).await?,
            Action::CreateVolume(key) => volume(key, plan, docker, &scope, site).await?,
            Action::RemoveContainer(_, id) => docker.remove_container(id, None).await?,
            Action::CreateContainer(name) => container(name, plan, observed, docker, &scope, site).await?,
            Action::Start(name) => {
                wait_for_dependencies(name, plan, docker).await?;
                docker.start(&container_name(name, plan)).await?;
            }
        }
    }
    Ok(())
}

/// Returns the name of a service's container.
pub fn container_name(service: &str, plan: &Plan) -> String {
    let own = plan.project.services.get(service).and_then(|service| service.container_name.clone());
    own.unwrap_or_else(|| format!("{}-{service}-1", plan.pod))
}

fn project_labels(scope: &Scope<'_>, kind: &str, key: &str, own: &std::collections::BTreeMap<String, String>) -> Value {
    let mut labels = json!(own);
    labels["com.docker.compose.project"] = json!(scope.project);
    labels[format!("com.docker.compose.{kind}")] = json!(key);
    labels["com.docker.compose.version"] = json!("2.40.3");
    labels
}

async fn network(key: &str, plan: &Plan, docker: &Docker, scope: &Scope<'_>) -> Result<(), EngineError> {
    let network = plan.project.networks.get(key).cloned().unwrap_or_default();
    if network.external == Some(true) {
        return Ok(());
    }
    let name = scope.network(key);
    let pools: Vec<Value> = network
        .ipam
        .iter()
        .flat_map(|ipam| &ipam.config)
        .map(|pool| json!({ "Subnet": pool.subnet, "Gateway": pool.gateway, "IPRange": pool.ip_range }))
        .collect();
    let ipam = if pools.is_empty() { Value::Null } else { json!({ "Config": pools }) };
    let body = json!({
        "Name": name,
        "Driver": network.driver.clone().unwrap_or_else(|| "bridge".to_owned()),
        "Internal": network.internal.unwrap_or(false),
        "Attachable": network.attachable.unwrap_or(false),
        "EnableIPv6": network.enable_ipv6.unwrap_or(false),
        "Options": network.driver_opts,
        "IPAM": ipam,
        "Labels": project_labels(scope, "network", key, &network.labels),
    });
    docker.create_network(&name, body).await
}

/// A volume that agents write to belongs to them: a new one is root's, so a container without network hands it over once.
async fn volume(
    key: &str,
    plan: &Plan,
    docker: &Docker,
    scope: &Scope<'_>,
    site: &Site<'_>,
) -> Result<(), EngineError> {
    let volume = plan.project.volumes.get(key).cloned().unwrap_or_default();
    if volume.external == Some(true) {
        return Ok(());
    }
    let name = scope.volume(key);
    let labels = project_labels(scope, "volume", key, &volume.labels);
    let body = json!({ "Name": name, "Driver": volume.driver.clone().unwrap_or_else(|| "local".to_owned()), "DriverOpts": volume.driver_opts, "Labels": labels });
    docker.create_volume(&name, body).await?;
    let writes = |surface: &Surface| matches!(surface, Surface::Volume { name, access: Access::ReadWrite, .. } if name.as_str() == key);
    let Some(unit) = plan.units.values().find(|unit| unit.unit.surfaces.iter().any(writes)) else { return Ok(()) };
    let owner = format!("{}:{}", unit.unit.user.uid, unit.unit.user.gid);
    let body = json!({
        "Image": format!("{}:{}", claw_types::image::INFRA_REPOSITORY, site.version),
        "User": "0:0",
        "Cmd": ["shim", "own", owner, "/volume"],
        "Labels": { "com.docker.compose.project": scope.project, "com.docker.compose.oneoff": "True", "claw.role": "init" },
        "HostConfig": {
            "NetworkMode": "none",
            "ReadonlyRootfs": true,
            "CapDrop": ["ALL"],
            "CapAdd": ["CHOWN"],
            "SecurityOpt": ["no-new-privileges:true"],
            // Without NoCopy the engine would give an empty volume the owner of the image's directory again.
            "Mounts": [{ "Type": "volume", "Source": name, "Target": "/volume", "VolumeOptions": { "NoCopy": true } }],
        },
    });
    let helper = docker.create_container(&format!("{}-own-{key}", scope.project), body).await?;
    docker.start(&helper).await?;
    while docker.state(&helper).await?.is_running {
        docker.something(scope.project).await;
    }
    docker.remove_container(&helper, Some(0)).await
}

async fn container(
    name: &str,
    plan: &Plan,
    observed: &Observed,
    docker: &Docker,
    scope: &Scope<'_>,
    site: &Site<'_>,
) -> Result<(), ApplyError> {
    let Some(service) = plan.project.services.get(name) else { return Ok(()) };
    let image = service.image.clone().unwrap_or_default();
    let Some(image_id) = observed.images.get(&image) else {
        return Err(ApplyError::NotReady {
            service: name.to_owned(),
            why: format!("has the image `{image}`, which the engine does not have; claw does not pull images yet"),
        });
    };
    let container = container_name(name, plan);
    let labels = container_labels(name, service, image_id, plan, site);
    let id = docker.create_container(&container, body(name, &container, service, &labels, scope)).await?;
    for (_, network, endpoint) in endpoints(name, &container, service, scope).into_iter().skip(1) {
        docker.attach(&network, &id, endpoint).await?;
    }
    Ok(())
}

fn container_labels(name: &str, service: &Service, image: &str, plan: &Plan, site: &Site<'_>) -> Map<String, Value> {
    let mut labels: Map<String, Value> =
        service.labels.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    let file = site.root.join("compose.generated.yml").display().to_string();
    let rows = [
        ("config-hash", service_hash(service)),
        ("container-number", "1".to_owned()),
        ("depends_on", depends_on(service)),
        ("image", image.to_owned()),
        ("oneoff", "False".to_owned()),
        ("project", plan.pod.to_string()),
        ("project.config_files", file),
        ("project.working_dir", site.root.display().to_string()),
        ("service", name.to_owned()),
        ("version", "2.40.3".to_owned()),
    ];
    labels.extend(rows.map(|(key, value)| (format!("com.docker.compose.{key}"), json!(value))));
    labels
}

/// The longest a service is waited for.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(180);

async fn wait_for_dependencies(name: &str, plan: &Plan, docker: &Docker) -> Result<(), ApplyError> {
    let Some(service) = plan.project.services.get(name) else { return Ok(()) };
    for (target, dependency) in &service.depends_on {
        wait_for(target, &dependency.condition, plan, docker).await?;
    }
    Ok(())
}

/// Waits until a service is what a condition of `depends_on` says, woken by the engine's events.
///
/// # Errors
/// Where it becomes something from which it cannot become that, or takes too long.
pub async fn wait_for(service: &str, condition: &str, plan: &Plan, docker: &Docker) -> Result<(), ApplyError> {
    let container = container_name(service, plan);
    let started = tokio::time::Instant::now();
    let not_ready = |why: String| ApplyError::NotReady { service: service.to_owned(), why };
    loop {
        let state = docker.state(&container).await?;
        match (condition, state.is_running, state.health.as_deref()) {
            ("service_started", _, _) | ("service_healthy", true, Some("healthy")) => return Ok(()),
            ("service_healthy", true, Some("unhealthy")) => return Err(not_ready("is unhealthy".to_owned())),
            ("service_healthy", true, None | Some("none" | "")) => {
                return Err(not_ready("has no health check to wait for".to_owned()));
            }
            ("service_healthy", false, _) => return Err(not_ready(format!("exited with {}", state.exit_code))),
            (_, false, _) if state.exit_code == 0 => return Ok(()),
            (_, false, _) => return Err(not_ready(format!("exited with {}", state.exit_code))),
            _ => {}
        }
        if started.elapsed() > PATIENCE {
            return Err(not_ready(format!("was waited for {} seconds", PATIENCE.as_secs())));
        }
        docker.something(plan.pod.as_str()).await;
    }
}

/// Takes a project's containers and networks away, and with `volumes` its volumes: whatever carries its labels.
///
/// # Errors
/// Where the engine refuses.
pub async fn down(
    project: &str,
    volumes: bool,
    docker: &Docker,
    progress: &dyn Fn(&str),
) -> Result<usize, EngineError> {
    let mut removed = 0;
    let mut containers = docker.containers(project).await?;
    // Dependents first: a service that nothing left depends on goes next.
    while !containers.is_empty() {
        let label = |each: &bollard::models::ContainerSummary, key: &str| {
            each.labels
                .as_ref()
                .and_then(|labels| labels.get(&format!("com.docker.compose.{key}")).cloned())
                .unwrap_or_default()
        };
        let needed: Vec<String> = containers
            .iter()
            .flat_map(|each| {
                label(each, "depends_on")
                    .split(',')
                    .filter_map(|row| row.split(':').next().map(ToOwned::to_owned))
                    .collect::<Vec<_>>()
            })
            .collect();
        let next = containers.iter().position(|each| !needed.contains(&label(each, "service"))).unwrap_or(0);
        let each = containers.swap_remove(next);
        progress(&format!("remove container {}", label(&each, "service")));
        docker.remove_container(&each.id.unwrap_or_default(), None).await?;
        removed += 1;
    }
    for (key, name) in docker.networks(project).await? {
        progress(&format!("remove network {key}"));
        docker.remove_network(&name).await?;
        removed += 1;
    }
    if volumes {
        for (key, name) in docker.volumes(project).await? {
            progress(&format!("remove volume {key}"));
            docker.remove_volume(&name).await?;
            removed += 1;
        }
    }
    Ok(removed)
}
