//! A compose service as the body of the engine's "create container" call (API 1.41; docker compose 2.40.3 sends the same).

use std::path::Path;

use claw_compiler::plan::Plan;
use claw_compose::model::{Attachment, Mount, Project, Service};
use claw_compose::template::Lookup;
use claw_types::image::label;
use claw_types::path::ContainerPath;
use serde_json::{Map, Value, json};

use crate::apply::Site;

mod resources;
#[cfg(test)]
mod tests;

/// The option of an endpoint that names its interface in the container.
const INTERFACE_NAME: &str = "com.docker.network.endpoint.ifname";

/// Where names and paths of a body come from.
pub struct Scope<'s> {
    /// The compose project.
    pub project: &'s str,
    /// The whole file.
    pub file: &'s Project,
    /// The directory that relative paths start from; absolute.
    pub root: &'s Path,
    /// Values of variables.
    pub lookup: &'s dyn Lookup,
}

impl<'s> Scope<'s> {
    pub(crate) fn new(plan: &'s Plan, site: &Site<'s>) -> Self {
        Self { project: plan.pod.as_str(), file: &plan.project, root: site.root, lookup: site.environment }
    }

    /// Returns a network's name on the engine.
    pub fn network(&self, key: &str) -> String {
        let network = self.file.networks.get(key);
        let own = network.and_then(|network| network.name.clone());
        let is_external = network.is_some_and(|network| network.external == Some(true));
        own.unwrap_or_else(|| if is_external { key.to_owned() } else { format!("{}_{key}", self.project) })
    }

    /// Returns a volume's name on the engine.
    pub fn volume(&self, key: &str) -> String {
        let volume = self.file.volumes.get(key);
        let own = volume.and_then(|volume| volume.name.clone());
        let is_external = volume.is_some_and(|volume| volume.external == Some(true));
        own.unwrap_or_else(|| if is_external { key.to_owned() } else { format!("{}_{key}", self.project) })
    }

    /// Returns the name of a service's first container.
    pub fn container(&self, service: &str, number: u32) -> String {
        let own = self.file.services.get(service).and_then(|service| service.container_name.clone());
        own.unwrap_or_else(|| format!("{}-{service}-{number}", self.project))
    }

    /// Returns a path of the host: absolute, `~` being the user's home.
    pub fn path(&self, path: &str) -> String {
        let home = || self.lookup.get("HOME").filter(|home| !home.is_empty());
        if let (Some(rest), Some(home)) =
            (path.strip_prefix('~').filter(|rest| rest.is_empty() || rest.starts_with('/')), home())
        {
            return format!("{home}{rest}");
        }
        let path = path.strip_prefix("./").unwrap_or(path);
        let joined = if path == "." { self.root.to_owned() } else { self.root.join(path) };
        joined.display().to_string()
    }

    /// A namespace of another service is that of its first container.
    fn namespace(&self, mode: &str) -> String {
        match mode.strip_prefix("service:") {
            Some(service) => format!("container:{}", self.container(service, 1)),
            None => mode.to_owned(),
        }
    }
}

/// Returns the body of the "create container" call. The key `claw.networks` is for comparing; the engine's client drops it.
pub fn body(name: &str, container: &str, service: &Service, labels: &Map<String, Value>, scope: &Scope<'_>) -> Value {
    let mut endpoints = endpoints(name, container, service, scope).into_iter();
    let first = endpoints.next().map(|(network, settings)| json!({ network: settings }));
    let beside: Map<String, Value> = endpoints.collect();
    let published =
        service.ports.iter().map(|port| format!("{}/{}", port.target, port.protocol.as_deref().unwrap_or("tcp")));
    let exposed =
        service.expose.iter().map(|port| if port.contains('/') { port.clone() } else { format!("{port}/tcp") });
    let mut body = json!({
        "Image": service.image,
        "Env": environment(service, scope),
        "Labels": labels,
        "AttachStdout": true,
        "AttachStderr": true,
        "ExposedPorts": exposed.chain(published).map(|port| (port, json!({}))).collect::<Map<_, _>>(),
        "Healthcheck": healthcheck(service),
        "HostConfig": host_config(service, scope),
        "NetworkingConfig": { "EndpointsConfig": first },
        "claw.networks": beside,
    });
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            body[key] = value;
        }
    };
    set("Entrypoint", service.entrypoint.as_ref().map(|argv| json!(argv.0)));
    set("Cmd", service.command.as_ref().map(|argv| json!(argv.0)));
    set("User", service.user.as_ref().map(|user| json!(user)));
    set("WorkingDir", service.working_dir.as_ref().map(|path| json!(path)));
    set("Hostname", service.hostname.as_ref().map(|name| json!(name)));
    set("Domainname", service.domainname.as_ref().map(|name| json!(name)));
    set("StopSignal", service.stop_signal.as_ref().map(|signal| json!(signal)));
    set("StopTimeout", service.stop_grace_period.map(|grace| json!(grace.as_seconds())));
    set("Tty", service.tty.map(Value::Bool));
    set("OpenStdin", service.stdin_open.map(Value::Bool));
    // The engine's own default may be to share it.
    if service.ipc.is_none() && labels.contains_key(label::ROLE) {
        body["HostConfig"]["IpcMode"] = json!("private");
    }
    body
}

/// A key without a value that nobody sets is sent bare: the engine then takes the image's variable away.
fn environment(service: &Service, scope: &Scope<'_>) -> Vec<String> {
    let line = |(key, value): (&String, &claw_compose::shape::Maybe<claw_compose::template::Template>)| {
        let value = match &value.0 {
            Some(template) => Some(template.resolve(scope.lookup, &mut |_| {}).unwrap_or_default()),
            None => scope.lookup.get(key).map(ToOwned::to_owned),
        };
        value.map_or_else(|| key.clone(), |value| format!("{key}={value}"))
    };
    service.environment.iter().map(line).collect()
}

fn healthcheck(service: &Service) -> Value {
    let Some(check) = &service.healthcheck else { return Value::Null };
    if check.disable == Some(true) {
        return json!({ "Test": ["NONE"] });
    }
    let nanoseconds = |duration: Option<claw_compose::units::Duration>| duration.map(|duration| duration.0);
    json!({
        "Test": check.test,
        "Interval": nanoseconds(check.interval),
        "Timeout": nanoseconds(check.timeout),
        "StartPeriod": nanoseconds(check.start_period),
        "StartInterval": nanoseconds(check.start_interval),
        "Retries": check.retries,
    })
}

/// A key that engines before a release drop in silence.
pub(crate) struct Newer {
    /// The key.
    pub key: &'static str,
    /// The first release of the engine that knows it.
    pub release: u32,
    /// Without it the container is another one than the file says.
    pub is_needed: bool,
}

/// Returns the keys of a service that not every engine knows.
pub(crate) fn newer(service: &Service) -> Vec<Newer> {
    let any = |has: fn(&Attachment) -> bool| service.networks.values().filter_map(|each| each.0.as_deref()).any(has);
    let has_mac = service.mac_address.is_some() || any(|network| network.mac_address.is_some());
    let has_interval = service.healthcheck.as_ref().is_some_and(|check| check.start_interval.is_some());
    let is_part = |mount: &Mount| mount.volume.as_ref().is_some_and(|volume| volume.subpath.is_some());
    let recursive = |mount: &Mount| mount.bind.as_ref().and_then(|bind| bind.recursive.clone());
    let is_read = |mount: &Mount| matches!(recursive(mount).as_deref(), Some("writable" | "readonly"));
    let rows = [
        ("annotations", 24, false, !service.annotations.is_empty()),
        ("healthcheck.start_interval", 25, true, has_interval),
        ("mac_address", 25, true, has_mac),
        ("volumes.bind.recursive", 25, true, service.volumes.iter().any(is_read)),
        ("volumes.volume.subpath", 26, true, service.volumes.iter().any(is_part)),
        ("networks.gw_priority", 28, true, any(|network| network.gw_priority.is_some_and(|priority| priority != 0))),
        ("networks.interface_name", 28, true, any(|network| network.interface_name.is_some())),
    ];
    let used = rows.into_iter().filter(|(_, _, _, is_used)| *is_used);
    used.map(|(key, release, is_needed, _)| Newer { key, release, is_needed }).collect()
}

/// Returns the networks of a service by priority and name: name on the engine, settings.
pub fn endpoints(name: &str, container: &str, service: &Service, scope: &Scope<'_>) -> Vec<(String, Value)> {
    if service.network_mode.is_some() {
        return Vec::new();
    }
    let attachment = |key: &str| service.networks.get(key).and_then(|attachment| attachment.0.as_deref());
    let mut keys: Vec<&str> = service.networks.keys().map(String::as_str).collect();
    if keys.is_empty() {
        keys.push("default");
    }
    keys.sort_by_key(|key| (-attachment(key).and_then(|attachment| attachment.priority).unwrap_or(0), *key));
    let links = links(service, scope);
    let settings = |key: &str, is_first: bool| {
        let none = Attachment::default();
        let own = attachment(key).unwrap_or(&none);
        let aliases = [container, name].into_iter().map(ToOwned::to_owned).chain(own.aliases.iter().cloned());
        let mut settings = json!({ "Aliases": aliases.collect::<Vec<_>>(), "Links": links });
        if own.ipv4_address.is_some() || own.ipv6_address.is_some() || !own.link_local_ips.is_empty() {
            settings["IPAMConfig"] = json!({
                "IPv4Address": own.ipv4_address,
                "IPv6Address": own.ipv6_address,
                "LinkLocalIPs": own.link_local_ips,
            });
        }
        // The service's own address is that of the network it is connected to first.
        let first = if is_first { service.mac_address.as_ref() } else { None };
        if let Some(address) = own.mac_address.as_ref().or(first) {
            settings["MacAddress"] = json!(address);
        }
        if let Some(priority) = own.gw_priority {
            settings["GwPriority"] = json!(priority);
        }
        let mut options = own.driver_opts.clone();
        if let Some(name) = &own.interface_name {
            options.insert(INTERFACE_NAME.to_owned(), name.clone());
        }
        if !options.is_empty() {
            settings["DriverOpts"] = json!(options);
        }
        settings
    };
    keys.iter().enumerate().map(|(index, key)| (scope.network(key), settings(key, index == 0))).collect()
}

/// `service:alias` becomes `container:alias`.
fn links(service: &Service, scope: &Scope<'_>) -> Vec<String> {
    let split = |link: &str| {
        let (name, alias) = link.split_once(':').unwrap_or((link, link));
        (name.to_owned(), alias.to_owned())
    };
    let own = service.links.iter().map(|link| {
        let (name, alias) = split(link);
        format!("{}:{alias}", scope.container(&name, 1))
    });
    let others = service.external_links.iter().map(|link| {
        let (name, alias) = split(link);
        format!("{name}:{alias}")
    });
    own.chain(others).collect()
}

/// `deploy.restart_policy` wins over `restart`; its delay and window mean nothing to one engine.
fn restart_policy(service: &Service) -> Value {
    let deploy = service.deploy.as_ref().and_then(|deploy| deploy.restart_policy.as_ref());
    if let Some(policy) = deploy {
        let name = match policy.condition.as_deref() {
            Some("any") => "always",
            Some("on-failure") => "on-failure",
            Some("none") => "no",
            _ => "",
        };
        return json!({ "Name": name, "MaximumRetryCount": policy.max_attempts.unwrap_or(0) });
    }
    let written = service.restart.as_deref().unwrap_or("");
    let (name, count) = written.split_once(':').unwrap_or((written, "0"));
    json!({ "Name": name, "MaximumRetryCount": count.parse::<i64>().unwrap_or(0) })
}

fn host_config(service: &Service, scope: &Scope<'_>) -> Value {
    let network = match &service.network_mode {
        Some(mode) => Some(scope.namespace(mode)),
        None => endpoints("", "", service, scope).into_iter().next().map(|(name, _)| name),
    };
    let namespace = |mode: &Option<String>| mode.as_deref().map(|mode| scope.namespace(mode)).unwrap_or_default();
    let (binds, mounts) = volumes(service, scope);
    let (security, is_masked) = security_options(service, scope);
    let logging = service.logging.as_ref();
    let logging = logging.map(|own| json!({ "Type": own.driver.clone().unwrap_or_default(), "Config": own.options }));
    let mut config = json!({
        "NetworkMode": network,
        "RestartPolicy": restart_policy(service),
        "PortBindings": port_bindings(service),
        "Binds": binds,
        "Mounts": mounts,
        "Tmpfs": tmpfs(service),
        "CapAdd": service.cap_add,
        "CapDrop": service.cap_drop,
        "SecurityOpt": security,
        "ReadonlyRootfs": service.read_only.unwrap_or(false),
        "Privileged": service.privileged.unwrap_or(false),
        "Init": service.init,
        "Dns": service.dns,
        "DnsOptions": service.dns_opt,
        "DnsSearch": service.dns_search,
        "ExtraHosts": service.extra_hosts.iter().map(|line| line.replacen('=', ":", 1)).collect::<Vec<_>>(),
        "GroupAdd": service.group_add,
        "LogConfig": logging,
        "Sysctls": service.sysctls,
        "PidMode": namespace(&service.pid),
        "IpcMode": namespace(&service.ipc),
        "UTSMode": service.uts.clone().unwrap_or_default(),
        "UsernsMode": service.userns_mode.clone().unwrap_or_default(),
        "CgroupnsMode": service.cgroup,
        "Runtime": service.runtime,
        "StorageOpt": service.storage_opt,
        "VolumesFrom": volumes_from(service, scope),
        "Links": links(service, scope),
    });
    if let Value::Object(config) = &mut config {
        config.extend(resources::resources(service));
    }
    if !service.annotations.is_empty() {
        config["Annotations"] = json!(service.annotations);
    }
    if !is_masked {
        config["MaskedPaths"] = json!([]);
        config["ReadonlyPaths"] = json!([]);
    }
    config
}

fn tmpfs(service: &Service) -> Map<String, Value> {
    let split = |text: &String| match text.split_once(':') {
        Some((path, options)) => (path.to_owned(), json!(options)),
        None => (text.clone(), json!("")),
    };
    service.tmpfs.iter().map(split).collect()
}

fn volumes_from(service: &Service, scope: &Scope<'_>) -> Vec<String> {
    let one = |text: &String| match text.strip_prefix("container:") {
        Some(container) => container.to_owned(),
        None => {
            let (name, mode) = text.split_once(':').map_or((text.as_str(), None), |(name, mode)| (name, Some(mode)));
            let container = scope.container(name, 1);
            mode.map_or_else(|| container.clone(), |mode| format!("{container}:{mode}"))
        }
    };
    service.volumes_from.iter().map(one).collect()
}

fn port_bindings(service: &Service) -> Map<String, Value> {
    let mut ports: Map<String, Value> = Map::new();
    for port in &service.ports {
        let key = format!("{}/{}", port.target, port.protocol.as_deref().unwrap_or("tcp"));
        let binding = json!({ "HostIp": port.host_ip.clone().unwrap_or_default(), "HostPort": port.published.clone().unwrap_or_default() });
        if let Value::Array(list) = ports.entry(key).or_insert_with(|| json!([])) {
            list.push(binding);
        }
    }
    ports
}

/// Returns the file of a security option that is a seccomp profile.
pub(crate) fn seccomp(option: &str) -> Option<&str> {
    let (key, profile) = option.split_once(['=', ':'])?;
    (key == "seccomp" && !matches!(profile, "unconfined" | "builtin" | "")).then_some(profile)
}

/// A seccomp profile is sent whole, read from the pod's directory; `systempaths=unconfined` is no option of the engine but
/// two empty lists.
fn security_options(service: &Service, scope: &Scope<'_>) -> (Vec<String>, bool) {
    let mut is_masked = true;
    let mut options = Vec::new();
    for option in &service.security_opt {
        let (key, value) = option.split_once(['=', ':']).unwrap_or((option, ""));
        match (key, value) {
            ("systempaths", "unconfined") => is_masked = false,
            _ if seccomp(option).is_some() => {
                let profile = seccomp(option).unwrap_or_default();
                let text = std::fs::read_to_string(scope.path(profile)).unwrap_or_default();
                let compact = serde_json::from_str::<Value>(&text).map(|profile| profile.to_string());
                options.push(format!("seccomp={}", compact.unwrap_or(text)));
            }
            _ => options.push(option.clone()),
        }
    }
    (options, is_masked)
}

/// Returns mounts as the engine's two forms: binds of the host that may be made, and everything else.
fn volumes(service: &Service, scope: &Scope<'_>) -> (Vec<String>, Vec<Value>) {
    let (mut binds, mut mounts) = (Vec::new(), Vec::new());
    for mount in &service.volumes {
        let options = mount.bind.as_ref();
        let may_be_made = options.is_none_or(|options| {
            // Only the other form of a mount says how inner mounts are taken along.
            options.create_host_path != Some(false) && options.recursive.is_none()
        });
        let has_label = options.is_some_and(|options| options.selinux.is_some());
        if mount.kind == "bind" && (may_be_made || has_label) {
            let source = scope.path(mount.source.as_deref().unwrap_or("."));
            let mut flags = vec![if mount.read_only == Some(true) { "ro" } else { "rw" }];
            flags.extend(options.and_then(|options| options.selinux.as_deref()));
            flags.extend(options.and_then(|options| options.propagation.as_deref()));
            binds.push(format!("{source}:{}:{}", mount.target, flags.join(",")));
        } else {
            mounts.push(mount_of(mount, scope));
        }
    }
    mounts.extend(file_mounts(service, scope));
    (binds, mounts)
}

fn mount_of(mount: &Mount, scope: &Scope<'_>) -> Value {
    let mut made = json!({ "Type": mount.kind, "Target": mount.target, "ReadOnly": mount.read_only.unwrap_or(false) });
    match (mount.kind.as_str(), &mount.source) {
        ("volume", Some(key)) => made["Source"] = json!(scope.volume(key)),
        ("bind", Some(path)) => made["Source"] = json!(scope.path(path)),
        _ => {}
    }
    if let Some(consistency) = &mount.consistency {
        made["Consistency"] = json!(consistency);
    }
    let bind = mount.bind.as_ref();
    if let Some(propagation) = bind.and_then(|bind| bind.propagation.as_ref()) {
        made["BindOptions"]["Propagation"] = json!(propagation);
    }
    match bind.and_then(|bind| bind.recursive.as_deref()) {
        Some("disabled") => made["BindOptions"]["NonRecursive"] = json!(true),
        Some("writable") => made["BindOptions"]["ReadOnlyNonRecursive"] = json!(true),
        Some("readonly") => made["BindOptions"]["ReadOnlyForceRecursive"] = json!(true),
        _ => {}
    }
    if let Some(volume) = &mount.volume {
        made["VolumeOptions"] = json!({ "NoCopy": volume.nocopy.unwrap_or(false), "Labels": volume.labels });
        if let Some(subpath) = &volume.subpath {
            made["VolumeOptions"]["Subpath"] = json!(subpath);
        }
    }
    if let Some(tmpfs) = &mount.tmpfs {
        made["TmpfsOptions"] = json!({ "SizeBytes": tmpfs.size.map(|bytes| bytes.0), "Mode": tmpfs.mode });
    }
    made
}

/// Secrets and configs that are files of the host are read-only mounts.
fn file_mounts<'s>(service: &'s Service, scope: &'s Scope<'_>) -> impl Iterator<Item = Value> + 's {
    let secrets = service.secrets.iter().map(|mount| (mount, &scope.file.secrets, true));
    let configs = service.configs.iter().map(|mount| (mount, &scope.file.configs, false));
    secrets.chain(configs).filter_map(|(mount, objects, is_secret)| {
        let file = objects.get(&mount.source)?.file.as_ref()?;
        let target = file_target(mount, is_secret);
        Some(json!({ "Type": "bind", "Source": scope.path(file), "Target": target, "ReadOnly": true }))
    })
}

/// Returns where a secret or config is in a container.
pub(crate) fn file_target(mount: &claw_compose::model::FileMount, is_secret: bool) -> String {
    let target = mount.target.as_deref().unwrap_or(&mount.source);
    match (ContainerPath::parse(target).is_ok(), is_secret) {
        (true, _) => target.to_owned(),
        (false, true) => format!("/run/secrets/{target}"),
        (false, false) => format!("/{target}"),
    }
}

/// Returns the label that says what a service depends on, as compose writes it, sorted.
pub fn depends_on(service: &Service) -> String {
    let each = service
        .depends_on
        .iter()
        .map(|(name, dependency)| format!("{name}:{}:{}", dependency.condition, dependency.restart.unwrap_or(false)));
    each.collect::<Vec<_>>().join(",")
}
