//! Steps that make something: images, networks, volumes, containers.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;

use claw_compiler::plan::Plan;
use claw_compiler::plan::steps::{Hashes, Image, Mode, Observed, base_context, shared};
use claw_compose::model::Service;
use claw_types::image::{compose, label};
use serde_json::{Map, Value, json};

use super::unnamed::Kept;
use super::{ApplyError, Run, Site};
use crate::container::{body, depends_on, endpoints, newer};
use crate::docker::{BuildCall, Docker, EngineError, Seen};
use crate::image::{Building, Making, base, builder, never};
use crate::interrupt::Interrupt;
use crate::live::hashes;
use crate::{hook, pack};

/// The variable that names the network of the steps that build claw's own images, as `docker build --network` does.
const BUILD_NETWORK: &str = "CLAW_BUILD_NETWORK";

/// Packs claw's own image where the engine does not have it.
///
/// # Errors
/// Where the executable cannot be packed, or the engine refuses.
pub(crate) async fn ensure_infra(plan: &Plan, docker: &Docker, site: &Site<'_>) -> Result<(), ApplyError> {
    if docker.image(&plan.infra()).await?.is_some() {
        return Ok(());
    }
    let (observed, mode) = (Observed::default(), Mode::default());
    Run::new(plan, (&observed, &mode), docker, site).pack_infra().await
}

/// Makes a volume of a plan as `up` does.
///
/// # Errors
/// Where the engine refuses.
pub(crate) async fn make_volume(key: &str, plan: &Plan, docker: &Docker, site: &Site<'_>) -> Result<(), ApplyError> {
    let observed = Observed { hashes: hashes(plan, site, &BTreeMap::new())?, ..Observed::default() };
    let mode = Mode::default();
    Run::new(plan, (&observed, &mode), docker, site).volume(key).await
}

impl Run<'_> {
    pub(super) async fn pack_infra(&self) -> Result<(), ApplyError> {
        let (os, architecture, _) = self.docker.platform().await?;
        let own = pack::architecture();
        if os != "linux" || architecture != own {
            let message = format!(
                "the engine runs {os}/{architecture}, and this claw is linux/{own}: use a claw of that platform"
            );
            return Err(ApplyError::Unusable(message));
        }
        let packed = pack::pack(self.site.version)?;
        self.docker.load(&self.plan.infra(), packed.archive).await?;
        Ok(())
    }

    pub(super) async fn build(&self, service: &str) -> Result<(), ApplyError> {
        let Some(build) = self.plan.builds.get(service) else { return Ok(()) };
        if let Some((name, text)) = &build.generated {
            crate::files::write_dockerfile(&self.site.root.join(&build.context).join(name), text)?;
        }
        let base = base(build, self.docker).await?;
        let never = never(self.plan, self.site.root, self.site.env_files, service);
        let building = Building::open(build, self.site.root, &never, base.as_deref(), self.site.environment)?;
        let (_, _, engine) = self.docker.platform().await?;
        let progress = |line: &str| (self.site.progress)(&format!("  {line}"));
        let making =
            Making { docker: self.docker, builder: builder(self.site.environment), engine, progress: &progress };
        Ok(building.run(&making).await?)
    }

    /// Builds the image of a runtime from claw's own Dockerfile; its context is that file alone.
    pub(super) async fn base(&self, name: &str) -> Result<(), ApplyError> {
        let Some(dockerfile) = self.plan.bases.get(name) else { return Ok(()) };
        let mut context = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_size(dockerfile.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        let packed = context.append_data(&mut header, "Dockerfile", dockerfile.as_bytes());
        let archive = packed.and_then(|()| context.into_inner()).map_err(ApplyError::Pack)?;
        let repository = name.rsplit_once(':').map_or(name, |(repository, _)| repository);
        let call = BuildCall {
            tags: vec![name.to_owned(), format!("{repository}:latest")],
            dockerfile: "Dockerfile".to_owned(),
            labels: [(label::SCHEMA.to_owned(), "1".to_owned()), (label::CONTEXT.to_owned(), base_context(dockerfile))]
                .into(),
            network: self.site.environment.plain(BUILD_NETWORK).map(ToOwned::to_owned),
            ..BuildCall::default()
        };
        let progress = |line: &str| (self.site.progress)(&format!("  {line}"));
        Ok(self.docker.build(&call, builder(self.site.environment), archive, &progress).await?)
    }

    /// Labels that docker compose finds a resource by, over the user's own.
    fn project_labels(&self, kind: &str, key: &str, hash: Option<&String>, own: &BTreeMap<String, String>) -> Value {
        let mut labels = json!(own);
        labels[compose::HASH] = json!(hash);
        labels[compose::PROJECT] = json!(self.scope.project);
        labels[kind] = json!(key);
        labels[compose::VERSION] = json!(compose::LEVEL);
        labels[label::SCHEMA] = json!("1");
        labels
    }

    pub(super) async fn network(&self, key: &str) -> Result<(), ApplyError> {
        let network = self.plan.project.networks.get(key).cloned().unwrap_or_default();
        let name = self.scope.network(key);
        // An engine takes a second network of one name, and then neither can be told from the other.
        if self.docker.has_network(&name).await? {
            // Another run made it since it was looked for.
            if self.docker.networks(self.scope.project).await?.iter().any(|own| own.name == name) {
                return Ok(());
            }
            let why = format!(
                "there is a network `{name}` already, and it is not this pod's: remove it, rename yours, or declare it `external: true`"
            );
            return Err(ApplyError::Unusable(why));
        }
        if network.enable_ipv4 == Some(false) {
            let (_, _, engine) = self.docker.platform().await?;
            if engine < 28 {
                let line = format!(
                    "  network {key}: `enable_ipv4` needs Docker Engine 28, and this is {engine}: it is left out"
                );
                (self.site.progress)(&line);
            }
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
            "EnableIPv4": network.enable_ipv4,
            "EnableIPv6": network.enable_ipv6.unwrap_or(false),
            "Options": network.driver_opts,
            "IPAM": { "Driver": ipam.driver, "Config": pools, "Options": ipam.options },
            "Labels": self.project_labels(compose::NETWORK, key, self.observed.hashes.networks.get(key), &network.labels),
        });
        let id = match self.docker.create_network(&name, body.clone()).await {
            Err(error) if is_exhausted(&error) => return Err(self.exhausted(&name).await?),
            Err(error) if is_overlap(&error) => match self.again(&name, &body).await? {
                Some(id) => id,
                None => return Ok(()),
            },
            other => other?,
        };
        // A run that was killed may have asked for it too, and the engine may have made it meanwhile: one is enough.
        let twins = self.docker.networks(self.scope.project).await?;
        if twins.iter().any(|twin| twin.name == name && twin.id != id) {
            self.docker.remove_network(&id).await?;
        }
        Ok(())
    }

    /// Makes a network whose addresses another one has: it may be this one, as a run that was killed asked for it, or as one that was taken
    /// away is still on its way. Returns its id; nothing where it is there by then.
    async fn again(&self, name: &str, body: &Value) -> Result<Option<String>, ApplyError> {
        for _ in 0..SETTLING {
            tokio::time::sleep(PAUSE).await;
            if self.docker.networks(self.scope.project).await?.iter().any(|own| own.name == name) {
                return Ok(None);
            }
            match self.docker.create_network(name, body.clone()).await {
                Err(error) if is_overlap(&error) => {}
                made => return Ok(Some(made?)),
            }
        }
        let subnet = body["IPAM"]["Config"][0]["Subnet"].as_str().unwrap_or("");
        Err(ApplyError::Unusable(format!(
            "another network has some of the addresses `{subnet}` of `{name}`: write other ones for this pod, such as \
             `x-claw: {{subnets: 10.99.0.0/16}}`"
        )))
    }

    /// The engine has a few dozen ranges of addresses, one for each network: those that nobody uses are named.
    async fn exhausted(&self, name: &str) -> Result<ApplyError, EngineError> {
        let stale = self.docker.idle_networks().await?;
        let stale = match stale.is_empty() {
            true => {
                "every network of a project has containers; give this one `ipam` with a `subnet` of its own".to_owned()
            }
            false => format!("nothing runs in `{}`: `docker network rm` frees theirs", stale.join("`, `")),
        };
        Ok(ApplyError::Unusable(format!("the engine has no addresses left for the network `{name}`; {stale}")))
    }

    pub(super) async fn volume(&self, key: &str) -> Result<(), ApplyError> {
        let volume = self.plan.project.volumes.get(key).cloned().unwrap_or_default();
        let name = self.scope.volume(key);
        if self.docker.volume_labels(&name).await?.is_some() {
            let line = format!("  volume {name} is there already and not this pod's: it is used, and never removed");
            (self.site.progress)(&line);
            return Ok(());
        }
        let mut options = json!(volume.driver_opts);
        // A bind through a volume names a directory of the host: relative to the pod, as compose takes it.
        if volume.driver_opts.get("o").is_some_and(|o| o.split(',').any(|flag| flag == "bind"))
            && let Some(device) = volume.driver_opts.get("device").filter(|device| !device.starts_with('/'))
        {
            options["device"] = json!(self.scope.path(device));
        }
        let mut labels =
            self.project_labels(compose::VOLUME, key, self.observed.hashes.volumes.get(key), &volume.labels);
        // What the engine calls the time of its making changes with what is done to it (26.1).
        labels[label::MADE] = json!(crate::docker::unique());
        let body = json!({
            "Name": name,
            "Driver": volume.driver.clone().unwrap_or_else(|| "local".to_owned()),
            "DriverOpts": options,
            "Labels": labels,
        });
        Ok(self.docker.create_volume(&name, body).await?)
    }

    pub(super) async fn container(&self, name: &str, number: u32, kept: &RefCell<Kept>) -> Result<(), ApplyError> {
        let Some(service) = self.plan.project.services.get(name) else { return Ok(()) };
        let image = self.image(name, service)?;
        let container = self.scope.container(name, number);
        let hashes = self.hashes_of(service).await?;
        let labels = self.container_labels(name, number, service, (&image.id, &hashes));
        let mut body = body(name, &container, service, &labels, &self.scope);
        let taken = |target: &str| service.volumes.iter().any(|mount| mount.target == target);
        let volumes = kept.borrow().of(name, number);
        let again = volumes.iter().filter(|(target, _)| !taken(target) || is_anonymous(service, target));
        let again = again.map(|(target, volume)| json!({ "Type": "volume", "Source": volume, "Target": target }));
        if let Value::Array(mounts) = &mut body["HostConfig"]["Mounts"] {
            let again: Vec<Value> = again.collect();
            mounts.retain(|mount| !again.iter().any(|other| other["Target"] == mount["Target"]));
            mounts.extend(again);
        }
        self.known(name, service).await?;
        let id = create(self.docker, &container, service.platform.as_deref(), body, self.site.interrupt).await?;
        for (network, endpoint) in endpoints(name, &container, service, &self.scope).into_iter().skip(1) {
            self.docker.attach(&network, &id, endpoint).await?;
        }
        self.taken_over(name, number, kept)
    }

    /// Returns the image of a service.
    pub(super) fn image(&self, name: &str, service: &Service) -> Result<&Image, ApplyError> {
        let image = service.image.as_deref().unwrap_or("");
        self.observed.images.get(image).ok_or_else(|| {
            let why = format!("needs the image `{image}`, which the engine does not have");
            ApplyError::NotReady { service: name.to_owned(), why }
        })
    }

    /// Refuses what this engine would drop in silence, and tells of what does no harm.
    pub(super) async fn known(&self, name: &str, service: &Service) -> Result<(), ApplyError> {
        let newer = newer(service);
        if newer.is_empty() {
            return Ok(());
        }
        let (_, _, engine) = self.docker.platform().await?;
        for each in newer.iter().filter(|each| engine < each.release) {
            let why = format!("`{name}`: `{}` needs Docker Engine {}, and this is {engine}", each.key, each.release);
            if each.is_needed {
                return Err(ApplyError::Unusable(why));
            }
            (self.site.progress)(&format!("  {why}: it is left out"));
        }
        Ok(())
    }

    /// Returns what a new container of a service is hashed by. The containers whose ids are a part of it may have been made since
    /// things were looked at.
    async fn hashes_of(&self, service: &Service) -> Result<Cow<'_, Hashes>, ApplyError> {
        let mut ids = BTreeMap::new();
        for target in shared(service) {
            if let Some(seen) = self.docker.container(&self.scope.container(target, 1)).await? {
                ids.insert(target.to_owned(), seen.id);
            }
        }
        if ids.is_empty() {
            return Ok(Cow::Borrowed(&self.observed.hashes));
        }
        Ok(Cow::Owned(hashes(self.plan, self.site, &ids)?))
    }

    pub(super) fn container_labels(
        &self,
        name: &str,
        number: u32,
        service: &Service,
        (image, hashes): (&str, &Hashes),
    ) -> Map<String, Value> {
        let mut labels: Map<String, Value> =
            service.labels.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
        let unit = self.plan.units.iter().find(|(unit, _)| unit.as_str() == name);
        if let Some((_, seal)) = self.observed.seals.iter().find(|(id, _)| id.as_str() == name) {
            labels.insert(label::SEAL.to_owned(), json!(seal));
        }
        let fields = hashes.fields.get(name);
        if let Some(fields) = fields.and_then(|fields| serde_json::to_string(fields).ok()) {
            labels.insert(label::FIELDS.to_owned(), json!(fields));
        }
        labels.insert(
            label::PRE_STOP.to_owned(),
            json!(hook::label_of(service, unit.and_then(|(_, unit)| unit.lowered.drain.as_ref()))),
        );
        let file = self.site.root.join("compose.generated.yml").display().to_string();
        let rows = [
            (compose::HASH, hashes.services.get(name).map(|[first, _]| first.clone()).unwrap_or_default()),
            (compose::NUMBER, number.to_string()),
            (compose::DEPENDS_ON, depends_on(service)),
            (compose::IMAGE, image.to_owned()),
            (compose::ONEOFF, "False".to_owned()),
            (compose::PROJECT, self.plan.pod.to_string()),
            (compose::CONFIG_FILES, file),
            (compose::WORKING_DIR, self.site.root.display().to_string()),
            (compose::SERVICE, name.to_owned()),
            (compose::VERSION, compose::LEVEL.to_owned()),
        ];
        labels.extend(rows.map(|(key, value)| (key.to_owned(), json!(value))));
        if !self.site.env_files.is_empty() {
            let files: Vec<String> = self.site.env_files.iter().map(|file| file.display().to_string()).collect();
            labels.insert("com.docker.compose.project.environment_file".to_owned(), json!(files.join(",")));
        }
        labels
    }
}

/// How often, and how long after each other, a network is tried again whose addresses are taken.
const SETTLING: u32 = 30;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// How often a container is tried again whose name is taken by one that is still being made: what an image has at the place of a volume
/// is copied meanwhile.
const MAKING: u32 = 300;

/// Makes a container and returns its id. A run that was killed may have asked for the same one too, and the engine makes it all the
/// same, maybe after things were looked at: that one gives way.
pub(crate) async fn create(
    docker: &Docker,
    container: &str,
    platform: Option<&str>,
    body: Value,
    interrupt: &Interrupt,
) -> Result<String, ApplyError> {
    let mut tries = 0;
    loop {
        let taken = match docker.create_container(container, platform, body.clone()).await {
            Err(error) if is_taken(&error) && tries < MAKING => error,
            made => return Ok(made?),
        };
        match docker.container(container).await? {
            Some(seen) if is_late(&seen, container, &body["Labels"]) => {
                docker.remove_container(&seen.id, true).await?;
            }
            Some(_) => return Err(taken.into()),
            None if interrupt.is_asked() => return Err(ApplyError::Interrupted),
            // It has the name already, and is not made yet.
            None => tokio::time::sleep(PAUSE).await,
        }
        tries += 1;
    }
}

fn is_taken(error: &EngineError) -> bool {
    error.status == Some(409) && error.reason.contains("already in use")
}

/// Returns whether a container is the one that is being made, as another run of claw's asked for it in this directory and left it: never
/// started, or a helper. Others of that name are somebody's. Who makes one here has the pod's lock, so that run is no more.
fn is_late(seen: &Seen, name: &str, labels: &Value) -> bool {
    let of_one = [compose::PROJECT, compose::SERVICE, compose::NUMBER, compose::ONEOFF, compose::WORKING_DIR];
    let is_same = |key: &str| seen.label(key) == labels[key].as_str().unwrap_or("");
    let is_new = seen.state.status == "created";
    let is_left = match (seen.is_oneoff(), seen.label(label::ROLE)) {
        (true, "init") => true,
        (true, "worker") => is_new,
        (true, _) => false,
        // Docker compose's have no such label.
        (false, _) => is_new && seen.labels.contains_key(label::PRE_STOP),
    };
    is_left && seen.name == name && of_one.into_iter().all(is_same)
}

fn is_overlap(error: &EngineError) -> bool {
    error.reason.contains("Pool overlaps") || error.reason.contains("overlapping IPv4")
}

fn is_exhausted(error: &EngineError) -> bool {
    error.reason.contains("non-overlapping IPv4 address pool") || error.reason.contains("predefined address pools")
}

fn is_anonymous(service: &Service, target: &str) -> bool {
    service.volumes.iter().any(|mount| mount.target == target && mount.kind == "volume" && mount.source.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::State;

    /// A container that claw made and never started, as `change` says.
    fn seen(change: impl FnOnce(&mut Seen)) -> Seen {
        let labels = [
            (compose::PROJECT, "desk"),
            (compose::SERVICE, "web"),
            (compose::NUMBER, "1"),
            (compose::ONEOFF, "False"),
            (compose::WORKING_DIR, "/srv/desk"),
            (label::PRE_STOP, "[]"),
        ];
        let mut seen = Seen {
            id: "1".to_owned(),
            name: "desk-web-1".to_owned(),
            labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            state: State { status: "created".to_owned(), ..State::default() },
            inspected: Value::Null,
        };
        change(&mut seen);
        seen
    }

    #[test]
    fn what_a_killed_run_left_gives_way_and_nothing_else() {
        let wanted = json!(seen(|_| ()).labels);
        let is_late = |seen: &Seen| super::is_late(seen, "desk-web-1", &wanted);
        assert!(is_late(&seen(|_| ())));
        let set = |key: &str, value: &str| seen(|seen| drop(seen.labels.insert(key.to_owned(), value.to_owned())));
        for (key, value) in [
            (compose::PROJECT, "other"),
            (compose::SERVICE, "db"),
            (compose::NUMBER, "2"),
            (compose::ONEOFF, "True"),
            (compose::WORKING_DIR, "/home/desk"),
        ] {
            assert!(!is_late(&set(key, value)), "{key}");
        }
        // Docker compose's twin, one that runs, and one whose id begins so.
        assert!(!is_late(&seen(|seen| drop(seen.labels.remove(label::PRE_STOP)))));
        assert!(!is_late(&seen(|seen| seen.state.status = "running".to_owned())));
        assert!(!is_late(&seen(|seen| seen.name = "other".to_owned())));
        // A helper goes in any state, and a person's command in none.
        let oneoff = |role: &str| {
            let labels = [(compose::PROJECT, "desk"), (compose::ONEOFF, "True"), (label::ROLE, role)];
            seen(|seen| {
                seen.state.status = "running".to_owned();
                seen.labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
            })
        };
        let wanted = json!(oneoff("init").labels);
        assert!(super::is_late(&oneoff("init"), "desk-web-1", &wanted));
        for role in ["", "worker"] {
            assert!(!super::is_late(&oneoff(role), "desk-web-1", &wanted), "{role}");
        }
        let worker = |state: &str| {
            let mut seen = oneoff("worker");
            seen.state.status = state.to_owned();
            super::is_late(&seen, "desk-web-1", &wanted)
        };
        assert!(worker("created") && !worker("exited"));
    }
}
