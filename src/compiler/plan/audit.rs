//! Audit: what an agent may not have unless `x-claw.allow` names it, and what is risky in the other services.
//!
//! It reads the services that were planned, so that what surfaces, drivers and hardening add is judged with the rest.

use std::collections::BTreeMap;

use claw_compose::model::{FileMount, FileObject, Mount, Project, Service};
use claw_types::agent::{EnvValue, Inference, Surface};
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::gate::GATE;
use claw_types::id::ServiceName;
use claw_types::image::label;
use claw_types::provider::is_key_variable;
use claw_types::secret::SecretRef;
use claw_types::span::Span;

use super::Plan;
use super::harden::is_scheduled;
use crate::facts::HostFact;
use crate::resolve::{Agent, Pod, SecretSource};

/// A privileged thing a service has: the word `allow` takes, the compose key, why it matters.
pub(super) struct Privilege {
    pub(super) word: &'static str,
    key: &'static str,
    why: String,
}

/// Directories that belong to the system, with everything below them.
const SYSTEM: &[&str] = &[
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/lib64",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/sys",
    "/usr",
    "/var/lib/containerd",
    "/var/lib/docker",
    "/var/run",
];

/// Sockets through which a container becomes the host.
const SOCKETS: &[&str] = &["docker.sock", "containerd.sock", "podman.sock", "crio.sock", "buildkitd.sock"];

/// Records what is privileged: errors for agents, warnings for the rest.
pub(crate) fn audit(pod: &Pod, plan: &Plan, diag: &mut Diagnostics) {
    for (name, service) in &pod.project.services {
        let at = service.origin.place(pod.origin);
        let agent = ServiceName::parse(name).ok().and_then(|name| pod.agents.get(&name));
        labels(name, service, at, diag);
        if agent.is_some() {
            names(name, service, at, diag);
        }
        match agent {
            Some(agent) => {
                let unit = plan.units.values().find(|unit| unit.unit.service.as_str() == name);
                let planned = unit.and_then(|unit| plan.project.services.get(unit.unit.id.as_str()));
                judge(name, service, planned, agent, pod, diag);
                outside(name, agent, diag);
                keys(name, (service, agent), pod, at, diag);
                absent(name, agent, pod, at, diag);
                unwritable(name, planned.unwrap_or(service), agent, pod, diag);
            }
            None => {
                for privilege in privileges(service, service, &pod.project) {
                    let at = service.origin.of(privilege.key, at);
                    let message = format!("the service `{name}` has `{}`: {}", privilege.word, privilege.why);
                    diag.push(Diagnostic::warning(Code::RiskyService, at, message));
                }
            }
        }
    }
}

/// An agent: as written for what hardening sets itself, as planned for what is added to it.
fn judge(name: &str, written: &Service, planned: Option<&Service>, agent: &Agent, pod: &Pod, diag: &mut Diagnostics) {
    let at = written.origin.place(pod.origin);
    let mut found = privileges(written, planned.unwrap_or(written), &pod.project);
    found.extend(loosened(written));
    found.extend(linked(planned.unwrap_or(written), pod));
    let is_bridge = |driver: &Option<String>| driver.as_deref().is_none_or(|driver| driver == "bridge");
    let is_odd = |network: &claw_compose::model::Network| network.external == Some(true) || !is_bridge(&network.driver);
    let default = pod.project.networks.get("default").is_some_and(is_odd);
    if default && planned.is_some_and(|service| service.network_mode.is_none()) {
        let why = "the pod's default network is not the pod's own, and its gate is there".to_owned();
        found.push(Privilege { word: "networks", key: "networks", why });
    }
    for privilege in &found {
        let at = written.origin.of(privilege.key, at);
        if agent.allow.contains(privilege.word) {
            let message = format!("the agent `{name}` is allowed `{}`: {}", privilege.word, privilege.why);
            diag.push(Diagnostic::warning(Code::Allowed, at, message));
            continue;
        }
        let message = format!("the agent `{name}` has `{}`: {}", privilege.word, privilege.why);
        let help = format!("take it away, or write `allow: [{}]` in its `x-claw`", privilege.word);
        let error = Diagnostic::error(Code::PrivilegedSurface, at, message).help(help);
        // What the service extends may be others' too.
        let is_own = written.origin.span.is_some_and(|own| own.to(at) == own && own.file == at.file);
        diag.push(match tightened(privilege.word, written).filter(|_| is_own) {
            Some((from, to)) => error.fix(at, from, to),
            None => error,
        });
    }
}

/// Returns the value that loosens an agent, and the one that claw itself would write.
fn tightened<'s>(word: &str, service: &'s Service) -> Option<(&'s str, &'static str)> {
    match word {
        "read_only" => Some(("false", "true")),
        "restart" => Some((service.restart.as_deref().filter(|_| service.deploy.is_none())?, "on-failure:5")),
        "security_opt" => {
            let is_open = |option: &&String| keeps_privileges(option) == Some(false);
            let mut open = service.security_opt.iter().filter(is_open);
            let only = open.next()?;
            open.next().is_none().then_some((only.as_str(), "no-new-privileges:true"))
        }
        _ => None,
    }
}

fn labels(name: &str, service: &Service, at: Span, diag: &mut Diagnostics) {
    for label in service.labels.keys().filter(|label| label::RESERVED.contains(&label.as_str())) {
        let at = service.origin.of("labels", at);
        let error =
            Diagnostic::error(Code::ReservedName, at, format!("`{name}` sets the label `{label}`, which is claw's"));
        diag.push(error.help("take it away: claw says itself what is an agent, and of which pod"));
    }
}

/// Names by which an agent finds what is claw's own lead nowhere else.
fn names(name: &str, service: &Service, at: Span, diag: &mut Diagnostics) {
    let host = |entry: &str| entry.split([':', '=']).next().unwrap_or("").trim().to_ascii_lowercase();
    let is_ours = |host: &String| host == GATE || host == "cllama" || host.starts_with("cllama-");
    for host in service.extra_hosts.iter().map(|entry| host(entry)).filter(is_ours) {
        let at = service.origin.of("extra_hosts", at);
        let error = Diagnostic::error(
            Code::ReservedName,
            at,
            format!("`{name}` gives the name `{host}`, which is claw's, to another"),
        );
        diag.push(error.help("take it out of `extra_hosts`"));
    }
}

/// Returns where a secret's value comes from: by whatever name it goes, it is one value.
fn source(secret: &SecretRef, pod: &Pod) -> SecretRef {
    let named = match secret {
        SecretRef::Named(name) => pod.sources.get(name),
        _ => None,
    };
    match named {
        Some(SecretSource::Env(variable)) => SecretRef::Env(variable.clone()),
        _ => secret.clone(),
    }
}

/// Who goes through a proxy holds no key of a provider: with one, the door would be beside the wall.
fn keys(name: &str, (service, agent): (&Service, &Agent), pod: &Pod, at: Span, diag: &mut Diagnostics) {
    if matches!(agent.unit.inference, Inference::Direct { .. }) {
        return;
    }
    let gateways = pod.proxies.values().flat_map(|spec| spec.gateways.values());
    let own: Vec<&str> = gateways.flat_map(|gateway| gateway.keys.iter().map(|(id, _)| id.as_str())).collect();
    let is_key = |name: &str| is_key_variable(name) || own.contains(&name);
    let mut refuse = |variable: &str, place: Span, whose: &str| {
        let message = format!("`{name}` goes through a proxy, and {whose} holds the provider's key `{variable}`");
        let error = Diagnostic::error(Code::KeyInAgent, place, message);
        diag.push(error.help("give it to the proxy: `cllama-env` of its `x-claw`"));
    };
    let place = |key: &str| service.origin.of(key, at);
    let held: Vec<_> =
        pod.proxies.values().flat_map(|spec| spec.gateways.values()).flat_map(|gateway| &gateway.keys).collect();
    for (variable, value) in &agent.unit.env {
        // Under another name it is the same key.
        let is_held = |secret: &SecretRef| held.iter().any(|(_, key)| source(key, pod) == source(secret, pod));
        if is_key(variable.as_str()) || matches!(value, EnvValue::Secret(secret) if is_held(secret)) {
            refuse(variable.as_str(), place("environment"), "its environment");
        }
    }
    for variable in agent.unit.image_facts.variables.iter().filter(|variable| is_key(variable)) {
        refuse(variable, place(if service.build.is_some() { "build" } else { "image" }), "its image");
    }
    for mount in &service.secrets {
        let object = pod.project.secrets.get(&mount.source).and_then(|object| object.environment.as_deref());
        let names = [Some(mount.source.as_str()), mount.target.as_deref(), object];
        if let Some(variable) = names.into_iter().flatten().find(|name| is_key(name)) {
            refuse(variable, place("secrets"), "one of its secrets");
        }
    }
    for mount in &service.configs {
        let object = pod.project.configs.get(&mount.source).and_then(|object| object.environment.as_deref());
        if let Some(variable) = object.filter(|name| is_key(name)) {
            refuse(variable, place("configs"), "one of its configs");
        }
    }
    if held.is_empty() {
        // All its providers are servers of the pod's own, which want no key.
        return;
    }
    for (path, key) in key_files(service, agent, pod) {
        let message = format!("`{name}` goes through a proxy, and its `{key}` has `{path}`, where the pod's keys are");
        let error = Diagnostic::error(Code::KeyInAgent, place(key), message);
        diag.push(error.help("give it a directory of its own, below the pod's"));
    }
}

/// Returns what an agent is given of the pod's directory that holds keys — `.env`, what claw keeps, or all of it — and the key
/// it is written under.
fn key_files<'a>(service: &'a Service, agent: &'a Agent, pod: &'a Pod) -> Vec<(&'a str, &'static str)> {
    let binds = service.volumes.iter().filter(|mount| mount.kind == "bind").filter_map(|mount| mount.source.as_deref());
    let surfaces = agent.unit.surfaces.iter().filter_map(|surface| match surface {
        Surface::Host { path, .. } => Some(path.as_str()),
        _ => None,
    });
    let file =
        |mount: &'a FileMount, known: &'a BTreeMap<String, FileObject>| known.get(&mount.source)?.file.as_deref();
    let secrets = service.secrets.iter().filter_map(|mount| file(mount, &pod.project.secrets));
    let configs = service.configs.iter().filter_map(|mount| file(mount, &pod.project.configs));
    let all = binds.map(|path| (path, "volumes")).chain(surfaces.map(|path| (path, "x-claw")));
    let all = all.chain(secrets.map(|path| (path, "secrets"))).chain(configs.map(|path| (path, "configs")));
    all.filter(|(path, _)| holds_keys(path)).collect()
}

/// Returns whether a path of the pod's directory is `.env`, what claw keeps there, or the whole of it.
fn holds_keys(path: &str) -> bool {
    if path.starts_with(['/', '~']) {
        return false;
    }
    let (parts, is_outside) = parts(path);
    parts.is_empty() || !is_outside && matches!(parts.as_slice(), [".env"] | [".claw", ..])
}

/// What is open to an agent beyond single hosts.
fn outside(name: &str, agent: &Agent, diag: &mut Diagnostics) {
    let reach = &agent.unit.reach;
    if let Some(at) = reach.open_at {
        let message = format!("`{name}` may reach every public host, and send it whatever it knows");
        diag.push(Diagnostic::warning(Code::OpenEgress, at, message).help("name the hosts it needs instead of `open`"));
    }
    for rule in reach.egress.iter().filter(|rule| rule.host.strip_prefix("*.").is_some_and(|rest| !rest.contains('.')))
    {
        let message = format!("`{name}` may reach every host of `{}`", rule.host);
        diag.push(Diagnostic::warning(Code::OpenEgress, rule.at, message).help("name the hosts it needs"));
    }
}

/// A path of the host that is a link, or lies below one, is what it leads to.
fn linked(service: &Service, pod: &Pod) -> Vec<Privilege> {
    let sources =
        service.volumes.iter().filter(|mount| mount.kind == "bind").filter_map(|mount| mount.source.as_deref());
    let led = sources.filter_map(|source| match pod.host_paths.get(source) {
        Some(HostFact::At(real)) if path_privilege(source).is_none() => {
            let (word, _) = path_privilege(real)?;
            Some(Privilege { word, key: "volumes", why: format!("`{source}` leads to `{real}` (CIS 5.6)") })
        }
        _ => None,
    });
    led.collect()
}

/// What agents mount of the host and is not there: `up` refuses it, and it may be there on another host.
fn absent(name: &str, agent: &Agent, pod: &Pod, at: Span, diag: &mut Diagnostics) {
    for surface in &agent.unit.surfaces {
        if let Surface::Host { path, .. } = surface
            && pod.host_paths.get(path.as_str()) == Some(&HostFact::Missing)
        {
            let message = format!("`{name}` has the surface `host://{path}`, which is not on this host");
            let warning = Diagnostic::warning(Code::MissingFile, at, message);
            diag.push(warning.help("make it before `claw up`, which refuses to start without it"));
        }
    }
}

/// What agents mount of the host to write to, and may not: inside they would find out by an error.
fn unwritable(name: &str, service: &Service, agent: &Agent, pod: &Pod, diag: &mut Diagnostics) {
    let user = agent.unit.user;
    let more = service.group_add.iter().filter_map(|group| group.parse().ok());
    let groups: Vec<u32> = std::iter::once(user.gid).chain(more).collect();
    let written = service.volumes.iter().filter(|mount| mount.kind == "bind" && mount.read_only != Some(true));
    for mount in written {
        let Some(path) = mount.source.as_deref() else { continue };
        let Some(owner) = pod.host_owners.get(path).filter(|owner| !owner.lets_write(user.uid, &groups)) else {
            continue;
        };
        let (us, them) = (format!("{}:{}", user.uid, user.gid), format!("{}:{}", owner.uid, owner.gid));
        let mode = owner.mode & 0o7777;
        let message = format!("`{name}` runs as {us} and cannot write to `{path}`, which is {them}'s (mode {mode:o})");
        let at = mount.origin.span.unwrap_or(agent.unit.origin);
        let warning = Diagnostic::warning(Code::UnwritablePath, at, message);
        diag.push(warning.help(format!("hand it over (sudo chown {us} {path}), or mount it read-only")));
    }
}

/// The privileged surface of any service.
pub(super) fn privileges(service: &Service, mounted: &Service, project: &Project) -> Vec<Privilege> {
    let mut found = Vec::new();
    let mut add = |holds: bool, word: &'static str, key: &'static str, why: &str| {
        if holds {
            found.push(Privilege { word, key, why: why.to_owned() });
        }
    };
    let shares =
        |mode: &Option<String>| mode.as_deref().is_some_and(|mode| mode == "host" || mode.starts_with("container:"));
    let holds =
        |mode: &Option<String>| shares(mode) || mode.as_deref().is_some_and(|mode| mode.starts_with("service:"));
    add(service.privileged == Some(true), "privileged", "privileged", "all rights on the host (CIS 5.5)");
    add(!service.cap_add.is_empty(), "cap_add", "cap_add", "rights beyond the default (CIS 5.4)");
    add(holds(&service.pid), "pid", "pid", "processes of others (CIS 5.16)");
    add(holds(&service.ipc), "ipc", "ipc", "memory of others (CIS 5.17)");
    add(shares(&service.uts), "uts", "uts", "the name of the host (CIS 5.21)");
    add(shares(&service.userns_mode), "userns_mode", "userns_mode", "the users of the host (CIS 5.31)");
    add(shares(&service.cgroup), "cgroup", "cgroup", "the cgroups of the host");
    add(service.cgroup_parent.is_some(), "cgroup_parent", "cgroup_parent", "limits of others (CIS 5.25)");
    add(shares(&service.network_mode), "network_mode", "network_mode", "the network of the host (CIS 5.10)");
    let reserved = service.deploy.as_ref().and_then(|deploy| deploy.resources.as_ref()?.reservations.as_ref());
    let asks = service.gpus.is_some() || reserved.is_some_and(|reserved| !reserved.devices.is_empty());
    add(asks, "devices", if service.gpus.is_some() { "gpus" } else { "deploy" }, "devices of the host (CIS 5.18)");
    add(!service.devices.is_empty(), "devices", "devices", "devices of the host (CIS 5.18)");
    add(!service.device_cgroup_rules.is_empty(), "device_cgroup_rules", "device_cgroup_rules", "devices of the host");
    let unconfined = |option: &String| {
        let option = option.replace(' ', "");
        let is_open = ["unconfined", "label=disable", "label:disable"].iter().any(|word| option.contains(word));
        // A profile of one's own may allow anything.
        let profile = option.strip_prefix("seccomp=").or_else(|| option.strip_prefix("seccomp:"));
        is_open || option.starts_with("systempaths") || profile.is_some_and(|profile| profile != "builtin")
    };
    add(service.security_opt.iter().any(unconfined), "security_opt", "security_opt", "no confinement (CIS 5.22)");
    let sysctl = |key: &String| !key.starts_with("net.");
    add(service.sysctls.keys().any(sysctl), "sysctls", "sysctls", "kernel parameters of the host");
    let groups = ["root", "docker", "disk", "sudo", "wheel"];
    let is_strong = |group: &String| group.parse() == Ok(0_u32) || groups.contains(&group.as_str());
    let is_strong = service.group_add.iter().any(is_strong);
    add(is_strong, "group_add", "group_add", "a group that owns what is the system's");
    add(!service.volumes_from.is_empty(), "volumes_from", "volumes_from", "every mount of another container");
    for mount in &mounted.volumes {
        if let Some((word, why)) = mount_privilege(mount, project) {
            found.push(Privilege { word, key: "volumes", why });
        }
    }
    // A secret or config that is a file is a mount too.
    let files = [("secrets", &service.secrets, &project.secrets), ("configs", &service.configs, &project.configs)];
    for (key, mounts, objects) in files {
        let sources = mounts.iter().filter_map(|mount| objects.get(&mount.source)?.file.as_deref());
        found.extend(sources.filter_map(path_privilege).map(|(word, why)| Privilege { word, key, why }));
    }
    found
}

/// What a mount gives beyond its own directory.
fn mount_privilege(mount: &Mount, project: &Project) -> Option<(&'static str, String)> {
    let propagation = mount.bind.as_ref().and_then(|bind| bind.propagation.as_deref());
    if propagation.is_some_and(|word| word.contains("shared")) {
        return Some(("propagation", format!("mounts inside `{}` appear on the host (CIS 5.20)", mount.target)));
    }
    match (mount.kind.as_str(), mount.source.as_deref()) {
        ("bind", Some(path)) => path_privilege(path),
        ("volume", Some(key)) => volume_privilege(&project.volumes.get(key)?.driver_opts),
        _ => None,
    }
}

/// File systems that a volume may be without being a part of the host.
const REMOTE: &[&str] = &["tmpfs", "nfs", "nfs4", "cifs"];

/// A volume of the local driver may be a directory or another file system of the host under another name.
fn volume_privilege(options: &std::collections::BTreeMap<String, String>) -> Option<(&'static str, String)> {
    let kind = options.get("type").map_or("none", String::as_str);
    if REMOTE.contains(&kind) {
        return None;
    }
    if !matches!(kind, "none" | "" | "bind") {
        return Some(("host-paths", format!("a volume of the type `{kind}` is a file system of the host")));
    }
    path_privilege(options.get("device")?)
}

/// What a path of the host gives.
fn path_privilege(source: &str) -> Option<(&'static str, String)> {
    let path = absolute(source)?;
    if SOCKETS.iter().any(|socket| path.ends_with(socket)) {
        return Some(("docker-socket", format!("`{path}` is the engine, and so the host (CIS 5.32)")));
    }
    let is_below = |above: &str| path == above || path.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'));
    let is_home = source.starts_with('~') || path.contains("/.ssh");
    // What lies above the system's directories holds them too.
    let holds = |below: &str| below.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with('/'));
    let is_all = matches!(path.as_str(), "/" | "/home" | "/opt");
    if is_all || is_home || SYSTEM.iter().any(|each| is_below(each) || holds(each)) {
        return Some(("host-paths", format!("`{source}` is the system's or a home's (CIS 5.6)")));
    }
    None
}

/// Returns the parts of a path without `.` and `..`, and whether it leaves where it begins.
fn parts(path: &str) -> (Vec<&str>, bool) {
    let mut parts: Vec<&str> = Vec::new();
    let mut is_outside = false;
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => is_outside |= parts.pop().is_none(),
            part => parts.push(part),
        }
    }
    (parts, is_outside)
}

/// Returns a path of the host without `.` and `..`; a relative one that leaves the pod's directory counts as `/`.
fn absolute(source: &str) -> Option<String> {
    let (parts, is_outside) = parts(source);
    match (source.starts_with('/'), is_outside) {
        (true, _) => Some(format!("/{}", parts.join("/"))),
        // One level up is a shared folder of pods; further up nobody can say what it is.
        (false, true) if source.matches("..").count() > 1 => Some("/".to_owned()),
        (false, _) => Some(source.to_owned()),
    }
}

/// Returns whether an option is the one against new privileges, and whether it is switched on: the engine reads it as a
/// boolean of Go's.
pub(crate) fn keeps_privileges(option: &str) -> Option<bool> {
    let (name, value) = option.split_once([':', '=']).unwrap_or((option, "true"));
    (name.trim() == "no-new-privileges").then_some(matches!(value, "1" | "t" | "T" | "true" | "TRUE" | "True"))
}

/// Returns whether a path is the pod's own directory, one above it, or claw's in it.
fn is_pods_own(source: &str) -> bool {
    let parts: Vec<&str> = source.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    !source.starts_with(['/', '~']) && (parts.iter().all(|part| *part == "..") || parts.contains(&".claw"))
}

/// What an agent loosens of how it is held.
pub(super) fn loosened(service: &Service) -> Vec<Privilege> {
    let mut found = Vec::new();
    let mut add = |holds: bool, word: &'static str, key: &'static str, why: &str| {
        if holds {
            found.push(Privilege { word, key, why: why.to_owned() });
        }
    };
    add(service.read_only == Some(false), "read_only", "read_only", "a root file system it can change (CIS 5.13)");
    let grows = service.security_opt.iter().any(|option| keeps_privileges(option) == Some(false));
    add(grows, "security_opt", "security_opt", "programs that give it more rights (CIS 5.26)");
    for (key, hooks) in [("post_start", &service.post_start), ("pre_stop", &service.pre_stop)] {
        let is_other = hooks.iter().any(|hook| hook.privileged == Some(true) || hook.user.is_some());
        add(is_other, "hooks", key, "commands inside it with more rights than it has");
    }
    let policy = service.deploy.as_ref().and_then(|deploy| deploy.restart_policy.as_ref());
    let endless = match (policy, service.restart.as_deref()) {
        (Some(policy), _) => policy.condition.as_deref() != Some("none") && policy.max_attempts.is_none(),
        (None, Some("always" | "unless-stopped" | "on-failure" | "on-failure:0")) => true,
        (None, _) => false,
    };
    let key = if policy.is_some() { "deploy" } else { "restart" };
    add(endless, "restart", key, "a crash loop that never ends (CIS 5.15)");
    let own = service.networks.keys().any(|network| network != "default");
    add(own, "networks", "networks", "a network of its own with a way out");
    let mode = service
        .network_mode
        .as_deref()
        .is_some_and(|mode| !matches!(mode, "none" | "host") && !mode.starts_with("container:"));
    add(mode, "network_mode", "network_mode", "a network that is not the pod's");
    add(!service.links.is_empty() || !service.external_links.is_empty(), "links", "links", "containers by alias");
    let tmpfs = |line: &String| {
        let options = line.split_once(':').map_or("", |(_, options)| options);
        let names = options.split(',').map(|option| option.split('=').next().unwrap_or("").trim().to_ascii_lowercase());
        names.into_iter().any(|name| matches!(name.as_str(), "exec" | "suid" | "dev"))
    };
    add(service.tmpfs.iter().any(tmpfs), "tmpfs", "tmpfs", "programs it can write itself and run");
    add(!service.group_add.is_empty(), "group_add", "group_add", "what belongs to another group");
    let own = |mount: &Mount| mount.kind == "bind" && mount.source.as_deref().is_some_and(is_pods_own);
    add(
        service.volumes.iter().any(own),
        "host-paths",
        "volumes",
        "the pod's own directory: its contract and its secrets",
    );
    let silent = service.logging.as_ref().is_some_and(|logging| logging.driver.as_deref() == Some("none"));
    add(silent, "logging", "logging", "nobody can read what it printed");
    let limits = service.deploy.as_ref().and_then(|deploy| deploy.resources.as_ref()?.limits.as_ref());
    let memory =
        service.mem_limit.or_else(|| limits.and_then(|limits| limits.memory)).is_some_and(|bytes| bytes.0 <= 0);
    let swap = service.memswap_limit.is_some_and(|bytes| bytes.0 < 0);
    let pids = service.pids_limit.or_else(|| limits.and_then(|limits| limits.pids)).is_some_and(|pids| pids <= 0);
    let cpus = service.cpus.or_else(|| limits.and_then(|limits| limits.cpus)).is_some_and(|cpus| cpus.0 <= 0);
    let cpus = cpus || (is_scheduled(service) && service.cpu_quota.is_none_or(|quota| quota <= 0));
    let core = service.ulimits.get("core").is_some_and(|limit| limit.hard != 0);
    let key = [("mem_limit", memory), ("memswap_limit", swap), ("pids_limit", pids), ("cpus", cpus), ("ulimits", core)];
    if let Some((key, _)) = key.iter().find(|(_, is_open)| *is_open) {
        add(true, "limits", key, "it can use up the host (CIS 5.11, 5.12, 5.29)");
    }
    let kills = service.oom_kill_disable == Some(true) || service.oom_score_adj.is_some_and(|score| score < 0);
    add(kills, "limits", "oom_kill_disable", "the kernel takes memory from others first");
    let anonymous = |mount: &Mount| mount.kind == "volume" && mount.source.is_none();
    add(
        service.volumes.iter().any(anonymous),
        "anonymous-volumes",
        "volumes",
        "a volume without a name is lost when its container is",
    );
    found
}
