//! Apply: carries steps out. Each is a call of the engine or a write on the host; none of them is decided here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use claw_compiler::plan::steps::{Action, Observed, Step, containers_of, service_hash};
use claw_compiler::plan::{Plan, PlannedUnit};
use claw_compose::model::Service;
use claw_types::id::UnitId;
use claw_types::image::{INFRA_PROGRAM, compose, label};
use serde_json::{Map, Value, json};

use crate::container::{Scope, body, depends_on, endpoints, file_target};
use crate::context::ContextError;
use crate::docker::{Docker, EngineError};
use crate::files::{FileError, write_bytes, write_units};
use crate::gather::Environment;
use crate::image::{BuildError, Building, Making, base, builder, never};
use crate::interrupt::Interrupt;
use crate::vault::{Vault, VaultError};
use crate::{observe, pack, state};

/// Why a pod could not be brought up.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The engine refused.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The host refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// An image could not be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A build context could not be read.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// A secret has no value.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Claw's own image could not be packed.
    #[error("cannot pack claw's own image: {0}")]
    Pack(std::io::Error),
    /// A service did not become what others wait for.
    #[error("`{service}` {why}")]
    NotReady {
        /// The service.
        service: String,
        /// What it is instead.
        why: String,
    },
    /// The run was asked to end.
    #[error("interrupted")]
    Interrupted,
    /// Something of the host or the engine does not fit the plan.
    #[error("{0}")]
    Unusable(String),
}

/// What applying needs to know beside the plan.
pub struct Site<'s> {
    /// The pod's directory, absolute.
    pub root: &'s Path,
    /// The variables.
    pub environment: &'s Environment,
    /// The secrets.
    pub vault: &'s Vault<'s>,
    /// Claw's version.
    pub version: &'s str,
    /// Env files that the command line named, for docker compose to find.
    pub env_files: &'s [std::path::PathBuf],
    /// Where progress goes, line by line.
    pub progress: &'s dyn Fn(&str),
    /// Whether the run was asked to end.
    pub interrupt: &'s Interrupt,
}

/// Carries steps out, one after the other. `done` is told of each step that is.
///
/// # Errors
/// Where the engine or the host refuses; what was done before stays, and the next run goes on from there.
pub async fn apply(
    steps: &[Step],
    plan: &Plan,
    observed: &Observed,
    docker: &Docker,
    site: &Site<'_>,
    done: &mut usize,
) -> Result<(), ApplyError> {
    site.interrupt.set_busy(true);
    let result = carry_out(steps, plan, observed, docker, site, done).await;
    site.interrupt.set_busy(false);
    result?;
    Ok(state::record_seals(site.root, plan.pod.as_str(), observed)?)
}

async fn carry_out(
    steps: &[Step],
    plan: &Plan,
    observed: &Observed,
    docker: &Docker,
    site: &Site<'_>,
    done: &mut usize,
) -> Result<(), ApplyError> {
    leftovers(plan, docker).await?;
    externals(plan, docker, &Scope::new(plan, site)).await?;
    let mut kept = Kept::new();
    for step in steps {
        if site.interrupt.is_asked() {
            return Err(ApplyError::Interrupted);
        }
        (site.progress)(&step.to_string());
        if let Action::RemoveContainer(service, _, id) = &step.action {
            keep(service, id, plan, docker, &mut kept).await?;
        }
        let work = carry_out_one(&step.action, plan, observed, docker, site, &kept);
        match step.action {
            // These take long, and what is left of them when they are dropped does no harm.
            Action::Pull(_) | Action::Build(_) | Action::Start(..) => tokio::select! {
                result = work => result?,
                () = site.interrupt.asked() => return Err(ApplyError::Interrupted),
            },
            _ => work.await?,
        }
        *done += 1;
    }
    Ok(())
}

async fn carry_out_one(
    action: &Action,
    plan: &Plan,
    observed: &Observed,
    docker: &Docker,
    site: &Site<'_>,
    kept: &Kept,
) -> Result<(), ApplyError> {
    let scope = Scope::new(plan, site);
    match action {
        Action::Pack => pack_infra(plan, docker, site).await,
        Action::Pull(image) => {
            let user = plan.project.services.values().find(|service| service.image.as_ref() == Some(image));
            let platform = user.and_then(|service| service.platform.as_deref());
            Ok(docker.pull(image, platform, &|line| (site.progress)(&format!("  {line}"))).await?)
        }
        Action::Build(service) => build(service, plan, docker, site).await,
        Action::Write(unit) => write(unit, plan, observed, site),
        Action::CreateNetwork(key) => network(key, plan, docker, &scope).await,
        Action::CreateVolume(key) => volume(key, plan, docker, &scope, site).await,
        Action::Own(volumes, units) => own(volumes, units, plan, docker, &scope).await,
        Action::Stop(_, _, id) => Ok(docker.stop(id, None).await?),
        Action::RemoveContainer(_, _, id) => {
            docker.stop(id, None).await?;
            Ok(docker.remove_container(id, false).await?)
        }
        Action::CreateContainer(name, number) => container(name, *number, plan, observed, docker, site, kept).await,
        Action::Start(name, number) => start(name, *number, plan, docker, site).await,
    }
}

/// Volumes without a name of containers that are made anew: service and number, then target and volume.
type Kept = BTreeMap<(String, u32), Vec<(String, String)>>;

/// What a volume without a name holds outlives its container, as with compose: the new one mounts it again.
async fn keep(service: &str, id: &str, plan: &Plan, docker: &Docker, kept: &mut Kept) -> Result<(), EngineError> {
    if !plan.project.services.contains_key(service) {
        return Ok(());
    }
    let Some(seen) = docker.container(id).await? else { return Ok(()) };
    let mounts = seen.inspected["Mounts"].as_array().into_iter().flatten().filter(|mount| mount["Type"] == "volume");
    let text = |mount: &Value, key: &str| mount[key].as_str().unwrap_or("").to_owned();
    let unnamed = mounts.map(|mount| (text(mount, "Destination"), text(mount, "Name")));
    // The engine gives them names of 64 hexadecimal digits.
    let unnamed = unnamed.filter(|(_, name)| name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let number = seen.label(compose::NUMBER).parse().unwrap_or(1);
    kept.insert((service.to_owned(), number), unnamed.collect());
    Ok(())
}

fn is_anonymous(service: &Service, target: &str) -> bool {
    service.volumes.iter().any(|mount| mount.target == target && mount.kind == "volume" && mount.source.is_none())
}

/// What a file declares `external` must be there before anything is made.
async fn externals(plan: &Plan, docker: &Docker, scope: &Scope<'_>) -> Result<(), ApplyError> {
    let missing = |kind: &str, name: &str| {
        ApplyError::Unusable(format!("the {kind} `{name}` is declared `external` and is not there: make it first"))
    };
    for (key, network) in &plan.project.networks {
        let name = scope.network(key);
        let is_used = plan.project.services.values().any(|service| service.networks.contains_key(key));
        if network.external == Some(true) && is_used && !docker.has_network(&name).await? {
            return Err(missing("network", &name));
        }
    }
    for (key, volume) in &plan.project.volumes {
        let name = scope.volume(key);
        if volume.external == Some(true) && docker.volume_labels(&name).await?.is_none() {
            return Err(missing("volume", &name));
        }
    }
    Ok(())
}

/// Helpers of a run that was interrupted.
async fn leftovers(plan: &Plan, docker: &Docker) -> Result<(), EngineError> {
    for seen in docker.containers(plan.pod.as_str()).await? {
        if seen.is_oneoff() && seen.label(label::ROLE) == "init" {
            docker.remove_container(&seen.id, true).await?;
        }
    }
    Ok(())
}

async fn pack_infra(plan: &Plan, docker: &Docker, site: &Site<'_>) -> Result<(), ApplyError> {
    let (os, architecture, _) = docker.platform().await?;
    let own = pack::architecture();
    if os != "linux" || architecture != own {
        let message =
            format!("the engine runs {os}/{architecture}, and this claw is linux/{own}: use a claw of that platform");
        return Err(ApplyError::Unusable(message));
    }
    let packed = pack::pack(site.version)?;
    docker.load(&plan.infra(), packed.archive).await?;
    Ok(())
}

async fn build(service: &str, plan: &Plan, docker: &Docker, site: &Site<'_>) -> Result<(), ApplyError> {
    let Some(build) = plan.builds.get(service) else { return Ok(()) };
    if let Some((name, text)) = &build.generated {
        crate::files::write_atomic(&site.root.join(&build.context).join(name), text, 0o644)?;
    }
    let base = base(build, docker).await?;
    let never = never(plan, site.root, service);
    let building = Building::open(build, site.root, &never, base.as_deref(), site.environment)?;
    let (_, _, engine) = docker.platform().await?;
    let progress = |line: &str| (site.progress)(&format!("  {line}"));
    let making = Making { docker, builder: builder(site.environment), engine, progress: &progress };
    Ok(building.run(&making).await?)
}

/// Writes an agent's files: those without secrets once, those with secrets anew, and the shim where it is needed.
fn write(unit: &UnitId, plan: &Plan, observed: &Observed, site: &Site<'_>) -> Result<(), ApplyError> {
    let Some(planned) = plan.units.get(unit) else { return Ok(()) };
    let mut own = claw_types::files::FileTree::new();
    for (path, file) in plan.files.iter().filter(|(path, _)| planned.directory.is_above(path)) {
        // A path is there once in the plan's tree, so it is once in a part of it.
        let _ = own.insert(path.clone(), file.clone());
    }
    write_units(site.root, &own)?;
    if observed.seals.contains_key(unit) {
        for (path, file) in own.iter().filter(|(_, file)| file.content.is_sealed()) {
            let filled = site.vault.filled(&file.content)?;
            filled.with(|bytes| write_bytes(&site.root.join(path.as_str()), bytes, file.mode.bits()))?;
        }
    }
    if planned.needs_shim {
        shim(plan, site)?;
    }
    Ok(())
}

fn shim(plan: &Plan, site: &Site<'_>) -> Result<(), ApplyError> {
    let place = observe::shim(site.root, plan);
    if place.is_file() {
        return Ok(());
    }
    let program = std::fs::read(std::env::current_exe().map_err(ApplyError::Pack)?).map_err(ApplyError::Pack)?;
    if pack::is_dynamic(&program) {
        return Err(ApplyError::Pack(pack::dynamic()));
    }
    crate::files::make_private(place.parent().unwrap_or(site.root))?;
    write_bytes(&place, &program, 0o555)?;
    Ok(())
}

/// Labels that docker compose finds a resource by, over the user's own.
fn project_labels(scope: &Scope<'_>, kind: &str, key: &str, own: &BTreeMap<String, String>) -> Value {
    let mut labels = json!(own);
    labels[compose::PROJECT] = json!(scope.project);
    labels[kind] = json!(key);
    labels[compose::VERSION] = json!(compose::LEVEL);
    labels[label::SCHEMA] = json!("1");
    labels
}

async fn network(key: &str, plan: &Plan, docker: &Docker, scope: &Scope<'_>) -> Result<(), ApplyError> {
    let network = plan.project.networks.get(key).cloned().unwrap_or_default();
    let name = scope.network(key);
    // An engine takes a second network of one name, and then neither can be told from the other.
    if docker.has_network(&name).await? {
        let why = format!(
            "there is a network `{name}` already, and it is not this pod's: remove it, rename yours, or declare it `external: true`"
        );
        return Err(ApplyError::Unusable(why));
    }
    let ipam = network.ipam.clone().unwrap_or_default();
    let pools: Vec<Value> = ipam
        .config
        .iter()
        .map(|pool| {
            json!({
                "Subnet": pool.subnet,
                "Gateway": pool.gateway,
                "IPRange": pool.ip_range,
                "AuxiliaryAddresses": pool.aux_addresses,
            })
        })
        .collect();
    let body = json!({
        "Name": name,
        "Driver": network.driver.clone().unwrap_or_else(|| "bridge".to_owned()),
        "Internal": network.internal.unwrap_or(false),
        "Attachable": network.attachable.unwrap_or(false),
        "EnableIPv6": network.enable_ipv6.unwrap_or(false),
        "Options": network.driver_opts,
        "IPAM": { "Driver": ipam.driver, "Config": pools, "Options": ipam.options },
        "Labels": project_labels(scope, compose::NETWORK, key, &network.labels),
    });
    let id = docker.create_network(&name, body).await?;
    // A run that was killed may have asked for it too, and the engine may have made it meanwhile: one is enough.
    let twins = docker.networks(scope.project).await?;
    if twins.iter().any(|twin| twin.name == name && twin.id != id) {
        docker.remove_network(&id).await?;
    }
    Ok(())
}

async fn volume(key: &str, plan: &Plan, docker: &Docker, scope: &Scope<'_>, site: &Site<'_>) -> Result<(), ApplyError> {
    let volume = plan.project.volumes.get(key).cloned().unwrap_or_default();
    let name = scope.volume(key);
    if docker.volume_labels(&name).await?.is_some() {
        let line = format!("  volume {name} is there already and not this pod's: it is used, and never removed");
        (site.progress)(&line);
        return Ok(());
    }
    let mut options = json!(volume.driver_opts);
    // A bind through a volume names a directory of the host: relative to the pod, as compose takes it.
    if volume.driver_opts.get("o").is_some_and(|o| o.split(',').any(|flag| flag == "bind"))
        && let Some(device) = volume.driver_opts.get("device").filter(|device| !device.starts_with('/'))
    {
        options["device"] = json!(scope.path(device));
    }
    let body = json!({
        "Name": name,
        "Driver": volume.driver.clone().unwrap_or_else(|| "local".to_owned()),
        "DriverOpts": options,
        "Labels": project_labels(scope, compose::VOLUME, key, &volume.labels),
    });
    Ok(docker.create_volume(&name, body).await?)
}

/// New volumes are root's and new secrets the user's: one container without network hands them over.
async fn own(
    volumes: &BTreeSet<String>,
    units: &BTreeSet<UnitId>,
    plan: &Plan,
    docker: &Docker,
    scope: &Scope<'_>,
) -> Result<(), ApplyError> {
    let mut mounts = Vec::new();
    let mut arguments = vec!["shim".to_owned(), "own".to_owned()];
    for key in volumes {
        let Some(user) = plan.owner_of(key) else { continue };
        let target = format!("/own/{}", mounts.len());
        arguments.push(format!("{}:{}={target}", user.uid, user.gid));
        // Without NoCopy the engine would give an empty volume the owner of the image's directory again.
        mounts.push(json!({ "Type": "volume", "Source": scope.volume(key), "Target": target, "VolumeOptions": { "NoCopy": true } }));
    }
    for planned in units.iter().filter_map(|unit| plan.units.get(unit)) {
        let target = format!("/own/{}", mounts.len());
        for (path, _) in sealed(planned) {
            arguments.push(format!("{}:{}={target}/{path}", planned.unit.user.uid, planned.unit.user.gid));
        }
        mounts.push(json!({ "Type": "bind", "Source": scope.path(planned.directory.as_str()), "Target": target }));
    }
    let name = format!("{}-own", scope.project);
    let body = json!({
        "Image": plan.infra(),
        "User": "0:0",
        "Entrypoint": [INFRA_PROGRAM],
        "Cmd": arguments,
        "Labels": { compose::PROJECT: scope.project, compose::ONEOFF: "True", label::ROLE: "init", label::SCHEMA: "1" },
        "HostConfig": {
            "NetworkMode": "none",
            "ReadonlyRootfs": true,
            "CapDrop": ["ALL"],
            "CapAdd": ["CHOWN"],
            "SecurityOpt": ["no-new-privileges:true"],
            "Mounts": mounts,
        },
    });
    let mut changes = docker.changes(scope.project);
    let helper = docker.create_container(&name, None, body).await?;
    docker.start(&helper).await?;
    let state = loop {
        match docker.container(&helper).await? {
            Some(seen) if seen.state.status == "exited" => break seen.state,
            Some(_) => changes.next().await,
            None => return Err(ApplyError::Unusable(format!("the helper `{name}` was removed while it worked"))),
        }
    };
    if state.exit_code != 0 {
        let lines = crate::logs::last(docker, &helper).await;
        docker.remove_container(&helper, true).await?;
        return Err(ApplyError::Unusable(format!("the owner of volumes and secrets could not be set: {lines}")));
    }
    Ok(docker.remove_container(&helper, true).await?)
}

fn sealed(unit: &PlannedUnit) -> impl Iterator<Item = (&claw_types::path::PodPath, &claw_types::files::FileSpec)> {
    unit.lowered.files.iter().filter(|(_, file)| file.content.is_sealed())
}

async fn container(
    name: &str,
    number: u32,
    plan: &Plan,
    observed: &Observed,
    docker: &Docker,
    site: &Site<'_>,
    kept: &Kept,
) -> Result<(), ApplyError> {
    let Some(service) = plan.project.services.get(name) else { return Ok(()) };
    let scope = Scope::new(plan, site);
    let image = service.image.clone().unwrap_or_default();
    let Some(image) = observed.images.get(&image) else {
        let why = format!("needs the image `{image}`, which the engine does not have");
        return Err(ApplyError::NotReady { service: name.to_owned(), why });
    };
    let container = scope.container(name, number);
    let labels = container_labels(name, number, service, &image.id, plan, observed, site);
    let mut body = body(name, &container, service, &labels, &scope);
    let taken = |target: &str| service.volumes.iter().any(|mount| mount.target == target);
    let volumes = kept.get(&(name.to_owned(), number)).into_iter().flatten();
    let again = volumes.filter(|(target, _)| !taken(target) || is_anonymous(service, target));
    let again = again.map(|(target, volume)| json!({ "Type": "volume", "Source": volume, "Target": target }));
    if let Value::Array(mounts) = &mut body["HostConfig"]["Mounts"] {
        let again: Vec<Value> = again.collect();
        mounts.retain(|mount| !again.iter().any(|other| other["Target"] == mount["Target"]));
        mounts.extend(again);
    }
    if service.healthcheck.as_ref().is_some_and(|check| check.start_interval.is_some()) {
        let (_, _, engine) = docker.platform().await?;
        if engine < 25 {
            let why = format!("`{name}`: `healthcheck.start_interval` needs Docker Engine 25, and this is {engine}");
            return Err(ApplyError::Unusable(why));
        }
    }
    let id = docker.create_container(&container, service.platform.as_deref(), body).await?;
    for (network, endpoint) in endpoints(name, &container, service, &scope).into_iter().skip(1) {
        docker.attach(&network, &id, endpoint).await?;
    }
    Ok(())
}

fn container_labels(
    name: &str,
    number: u32,
    service: &Service,
    image: &str,
    plan: &Plan,
    observed: &Observed,
    site: &Site<'_>,
) -> Map<String, Value> {
    let mut labels: Map<String, Value> =
        service.labels.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    let seal = plan.units.keys().find(|unit| unit.as_str() == name).and_then(|unit| observed.seals.get(unit));
    if let Some(seal) = seal {
        labels.insert(label::SEAL.to_owned(), json!(seal));
    }
    let file = site.root.join("compose.generated.yml").display().to_string();
    let rows = [
        (compose::HASH, service_hash(service)),
        (compose::NUMBER, number.to_string()),
        (compose::DEPENDS_ON, depends_on(service)),
        (compose::IMAGE, image.to_owned()),
        (compose::ONEOFF, "False".to_owned()),
        (compose::PROJECT, plan.pod.to_string()),
        (compose::CONFIG_FILES, file),
        (compose::WORKING_DIR, site.root.display().to_string()),
        (compose::SERVICE, name.to_owned()),
        (compose::VERSION, compose::LEVEL.to_owned()),
    ];
    labels.extend(rows.map(|(key, value)| (key.to_owned(), json!(value))));
    if !site.env_files.is_empty() {
        let files: Vec<String> = site.env_files.iter().map(|file| file.display().to_string()).collect();
        labels.insert("com.docker.compose.project.environment_file".to_owned(), json!(files.join(",")));
    }
    labels
}

/// The longest a service is waited for by those that depend on it.
const PATIENCE: Duration = Duration::from_secs(300);

async fn start(name: &str, number: u32, plan: &Plan, docker: &Docker, site: &Site<'_>) -> Result<(), ApplyError> {
    let Some(service) = plan.project.services.get(name) else { return Ok(()) };
    for (target, dependency) in &service.depends_on {
        let waited = wait_for(target, &dependency.condition, plan, docker, PATIENCE).await;
        match waited {
            Err(ApplyError::NotReady { service, why }) if dependency.required == Some(false) => {
                (site.progress)(&format!("  `{service}` {why}; `{name}` does not need it"));
            }
            Err(ApplyError::NotReady { service, why }) => {
                return Err(ApplyError::NotReady {
                    service: name.to_owned(),
                    why: format!("waits for `{service}`, which {why}"),
                });
            }
            other => other?,
        }
    }
    let scope = Scope::new(plan, site);
    let container = scope.container(name, number);
    inject(&container, name, service, &scope, docker).await?;
    Ok(docker.start(&container).await?)
}

/// Secrets and configs that are no files of the host are put into the container itself before each start, as compose does.
async fn inject(
    container: &str,
    name: &str,
    service: &Service,
    scope: &Scope<'_>,
    docker: &Docker,
) -> Result<(), ApplyError> {
    let secrets = service.secrets.iter().map(|mount| (mount, &scope.file.secrets, true));
    let configs = service.configs.iter().map(|mount| (mount, &scope.file.configs, false));
    for (mount, objects, is_secret) in secrets.chain(configs) {
        let Some(object) = objects.get(&mount.source) else { continue };
        let content = match (&object.environment, &object.content) {
            (Some(variable), _) => scope.lookup.get(variable).map(ToOwned::to_owned).ok_or_else(|| {
                ApplyError::Unusable(format!("`{name}`: the variable `{variable}` of `{}` is not set", mount.source))
            })?,
            (None, Some(content)) => content.clone(),
            (None, None) => continue,
        };
        if service.read_only == Some(true) {
            let why = format!("`{name}` is read-only, so `{}` must be a `file:`", mount.source);
            return Err(ApplyError::Unusable(why));
        }
        let mode = mount.mode.map_or(0o444, |mode| mode.0);
        docker.put(container, &file_target(mount, is_secret), content.as_bytes(), mode).await?;
    }
    Ok(())
}

/// Waits until every container of a service is what a condition of `depends_on` says, woken by the engine's events.
///
/// # Errors
/// Where one becomes something from which it cannot become that, or takes too long.
pub async fn wait_for(
    service: &str,
    condition: &str,
    plan: &Plan,
    docker: &Docker,
    patience: Duration,
) -> Result<(), ApplyError> {
    let Some(planned) = plan.project.services.get(service) else { return Ok(()) };
    let not_ready = |why: String| ApplyError::NotReady { service: service.to_owned(), why };
    let deadline = tokio::time::Instant::now() + patience;
    let mut changes = docker.changes(plan.pod.as_str());
    loop {
        let mut is_ready = true;
        for number in 1..=containers_of(planned) {
            let own = planned.container_name.clone();
            let container = own.unwrap_or_else(|| format!("{}-{service}-{number}", plan.pod));
            let seen = docker.container(&container).await?.ok_or_else(|| not_ready("was removed".to_owned()))?;
            is_ready &= readiness(condition, &seen.state).map_err(&not_ready)?;
        }
        if is_ready {
            return Ok(());
        }
        if tokio::time::timeout_at(deadline, changes.next()).await.is_err() {
            return Err(not_ready(format!("was not ready within {} seconds", patience.as_secs())));
        }
    }
}

/// Returns whether a container is what a condition says; not yet, or never, and why.
fn readiness(condition: &str, state: &crate::docker::State) -> Result<bool, String> {
    let ended = || match state.is_oom_killed {
        true => "was killed for its memory".to_owned(),
        false => format!("exited with {}", state.exit_code),
    };
    let is_over = matches!(state.status.as_str(), "exited" | "dead");
    match condition {
        "service_completed_successfully" if is_over && state.exit_code == 0 => Ok(true),
        "service_completed_successfully" if is_over => Err(ended()),
        "service_completed_successfully" => Ok(false),
        "service_healthy" if is_over => Err(ended()),
        "service_healthy" if !state.is_running => Ok(false),
        "service_healthy" => match state.health.as_deref() {
            Some("healthy") => Ok(true),
            Some("unhealthy") => {
                let said = state.health_output.as_deref().unwrap_or("").trim();
                Err(format!("is unhealthy: {}", said.lines().next_back().unwrap_or("its health check says nothing")))
            }
            Some(_) => Ok(false),
            None => Err("has no health check to wait for".to_owned()),
        },
        _ => Ok(state.is_running || is_over),
    }
}
