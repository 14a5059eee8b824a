//! A compose service as the body of the engine's "create container" call (facts of API 1.41; compose 2.40 sends the same).

use claw_compose::model::{Mount, Project, Service};
use claw_compose::template::Lookup;
use claw_compose::write;
use serde_json::{Map, Value, json};
use std::path::Path;

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

impl Scope<'_> {
    /// Returns a network's name on the engine.
    pub fn network(&self, key: &str) -> String {
        let own = self.file.networks.get(key).and_then(|network| network.name.clone());
        own.unwrap_or_else(|| format!("{}_{key}", self.project))
    }

    /// Returns a volume's name on the engine.
    pub fn volume(&self, key: &str) -> String {
        let own = self.file.volumes.get(key).and_then(|volume| volume.name.clone());
        own.unwrap_or_else(|| format!("{}_{key}", self.project))
    }

    fn path(&self, path: &str) -> String {
        let path = path.strip_prefix("./").unwrap_or(path);
        self.root.join(path).display().to_string()
    }
}

/// Returns the body of the "create container" call.
pub fn body(name: &str, container: &str, service: &Service, labels: &Map<String, Value>, scope: &Scope<'_>) -> Value {
    let mut env: Vec<String> = Vec::new();
    for (key, value) in &service.environment {
        match &value.0 {
            Some(template) => {
                env.push(format!("{key}={}", template.resolve(scope.lookup, &mut |_| {}).unwrap_or_default()))
            }
            None => env.extend(scope.lookup.get(key).map(|value| format!("{key}={value}"))),
        }
    }
    let exposed =
        service.expose.iter().map(|port| if port.contains('/') { port.clone() } else { format!("{port}/tcp") });
    let published =
        service.ports.iter().map(|port| format!("{}/{}", port.target, port.protocol.as_deref().unwrap_or("tcp")));
    let mut body = json!({
        "Image": service.image,
        "Env": env,
        "Labels": labels,
        "ExposedPorts": exposed.chain(published).map(|port| (port, json!({}))).collect::<Map<_, _>>(),
        "Healthcheck": healthcheck(service),
        "HostConfig": host_config(service, scope),
        "NetworkingConfig": { "EndpointsConfig": endpoint(name, container, service, scope).map(|(_, network, value)| json!({ network: value })) },
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
    body
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
        "Retries": check.retries,
    })
}

/// Returns the networks of a service by priority and name: key, name on the engine, settings.
pub fn endpoints(name: &str, container: &str, service: &Service, scope: &Scope<'_>) -> Vec<(String, String, Value)> {
    if service.network_mode.is_some() {
        return Vec::new();
    }
    let settings = |key: &str| {
        let attachment = service.networks.get(key).and_then(|attachment| attachment.0.as_ref());
        let mut aliases = vec![container.to_owned(), name.to_owned()];
        aliases.extend(attachment.iter().flat_map(|attachment| attachment.aliases.iter().cloned()));
        let address = attachment.and_then(|attachment| attachment.ipv4_address.clone());
        let ipam = address.map(|address| json!({ "IPv4Address": address }));
        json!({ "Aliases": aliases, "IPAMConfig": ipam })
    };
    let priority = |key: &str| {
        let attachment = service.networks.get(key).and_then(|attachment| attachment.0.as_ref());
        -attachment.and_then(|attachment| attachment.priority).unwrap_or(0)
    };
    let mut keys: Vec<String> = service.networks.keys().cloned().collect();
    if keys.is_empty() {
        keys.push("default".to_owned());
    }
    keys.sort_by_key(|key| (priority(key), key.clone()));
    keys.into_iter().map(|key| (key.clone(), scope.network(&key), settings(&key))).collect()
}

fn endpoint(name: &str, container: &str, service: &Service, scope: &Scope<'_>) -> Option<(String, String, Value)> {
    endpoints(name, container, service, scope).into_iter().next()
}

fn host_config(service: &Service, scope: &Scope<'_>) -> Value {
    let limits = service.deploy.as_ref().and_then(|deploy| deploy.resources.as_ref()?.limits.as_ref());
    let memory = service.mem_limit.or_else(|| limits.and_then(|limits| limits.memory)).map(|bytes| bytes.0);
    let cpus = service.cpus.or_else(|| limits.and_then(|limits| limits.cpus)).map(|cpus| cpus.0);
    let pids = service.pids_limit.or_else(|| limits.and_then(|limits| limits.pids));
    let tmpfs: Map<String, Value> = service
        .tmpfs
        .iter()
        .map(|text| {
            text.split_once(':').map_or((text.clone(), json!("")), |(path, options)| (path.to_owned(), json!(options)))
        })
        .collect();
    let ulimits: Vec<Value> = service
        .ulimits
        .iter()
        .map(|(name, limit)| json!({ "Name": name, "Soft": limit.soft, "Hard": limit.hard }))
        .collect();
    let mut ports: Map<String, Value> = Map::new();
    for port in &service.ports {
        let key = format!("{}/{}", port.target, port.protocol.as_deref().unwrap_or("tcp"));
        let binding = json!({ "HostIp": port.host_ip, "HostPort": port.published });
        match ports.entry(key).or_insert_with(|| json!([])) {
            Value::Array(list) => list.push(binding),
            _ => continue,
        }
    }
    let (restart, retries) = match service.restart.as_deref().unwrap_or("no").split_once(':') {
        Some((name, count)) => (name.to_owned(), count.parse().unwrap_or(0)),
        None => (service.restart.clone().unwrap_or_else(|| "no".to_owned()), 0),
    };
    let logging = service.logging.as_ref().map(|logging| json!({ "Type": logging.driver, "Config": logging.options }));
    let network = match (&service.network_mode, endpoint("", "", service, scope)) {
        (Some(mode), _) => Some(mode.clone()),
        (None, endpoint) => endpoint.map(|(_, name, _)| name),
    };
    json!({
        "NetworkMode": network,
        "RestartPolicy": { "Name": restart, "MaximumRetryCount": retries },
        "PortBindings": ports,
        "Mounts": service.volumes.iter().map(|mount| mount_of(mount, scope)).chain(secrets(service, scope)).collect::<Vec<_>>(),
        "Tmpfs": tmpfs,
        "Memory": memory,
        "MemorySwap": service.memswap_limit.map(|bytes| bytes.0),
        "NanoCpus": cpus,
        "PidsLimit": pids,
        "Ulimits": ulimits,
        "CapAdd": service.cap_add,
        "CapDrop": service.cap_drop,
        "SecurityOpt": service.security_opt,
        "ReadonlyRootfs": service.read_only.unwrap_or(false),
        "Privileged": service.privileged.unwrap_or(false),
        "Init": service.init,
        "Dns": service.dns,
        "DnsOptions": service.dns_opt,
        "DnsSearch": service.dns_search,
        "ExtraHosts": service.extra_hosts.iter().map(|line| line.replacen('=', ":", 1)).collect::<Vec<_>>(),
        "GroupAdd": service.group_add,
        "LogConfig": logging,
        "ShmSize": service.shm_size.map(|bytes| bytes.0),
        "Sysctls": service.sysctls,
        "PidMode": service.pid.clone().unwrap_or_default(),
        "IpcMode": service.ipc,
        "UTSMode": service.uts.clone().unwrap_or_default(),
        "UsernsMode": service.userns_mode.clone().unwrap_or_default(),
        "Runtime": service.runtime,
        "CgroupParent": service.cgroup_parent.clone().unwrap_or_default(),
        "OomScoreAdj": service.oom_score_adj,
    })
}

fn mount_of(mount: &Mount, scope: &Scope<'_>) -> Value {
    let source = match (mount.kind.as_str(), &mount.source) {
        ("volume", Some(key)) => Some(scope.volume(key)),
        ("bind", Some(path)) => Some(scope.path(path)),
        _ => None,
    };
    let mut made = json!({ "Type": mount.kind, "Target": mount.target, "ReadOnly": mount.read_only.unwrap_or(false) });
    if let Some(source) = source {
        made["Source"] = json!(source);
    }
    if let Some(tmpfs) = &mount.tmpfs {
        made["TmpfsOptions"] = json!({ "SizeBytes": tmpfs.size.map(|bytes| bytes.0), "Mode": tmpfs.mode });
    }
    made
}

fn secrets<'s>(service: &'s Service, scope: &'s Scope<'_>) -> impl Iterator<Item = Value> + 's {
    service.secrets.iter().filter_map(|secret| {
        let file = scope.file.secrets.get(&secret.source)?.file.as_ref()?;
        let target = secret.target.as_deref().unwrap_or(&secret.source);
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/run/secrets/{target}") };
        Some(json!({ "Type": "bind", "Source": scope.path(file), "Target": target, "ReadOnly": true }))
    })
}

/// Returns the label that says what a service depends on, as compose writes it, sorted.
pub fn depends_on(service: &Service) -> String {
    let each = service
        .depends_on
        .iter()
        .map(|(name, dependency)| format!("{name}:{}:{}", dependency.condition, dependency.restart.unwrap_or(false)));
    each.collect::<Vec<_>>().join(",")
}

/// Returns a value as compact text, for messages.
pub fn shown(service: &Service) -> String {
    use claw_compose::shape::Shape;
    service.encode().map(|value| write::json(&value)).unwrap_or_default()
}
