//! Audit: what an agent may not have unless `x-claw.allow` names it, and what is risky in the other services.

use claw_compose::model::Service;
use claw_types::agent::Inference;
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::id::ServiceName;

use crate::resolve::Pod;

/// A privileged thing a service has: the word `allow` takes, the compose key, why it matters.
struct Privilege {
    word: &'static str,
    key: &'static str,
    why: &'static str,
}

const HOST_PATHS: &[&str] = &["/", "/proc", "/sys", "/etc", "/var/lib/docker", "/var/run", "/run", "/dev", "/boot"];

/// Records what is privileged: errors for agents, warnings for the rest.
pub(crate) fn audit(pod: &Pod, diag: &mut Diagnostics) {
    for (name, service) in &pod.project.services {
        let at = service.origin.place(pod.origin);
        let agent = ServiceName::parse(name).ok().and_then(|name| pod.agents.get(&name));
        for privilege in privileges(service, agent.is_some()) {
            let at = service.origin.of(privilege.key, at);
            match agent {
                Some(agent) if agent.allow.contains(privilege.word) => {}
                Some(_) => {
                    let message = format!("the agent `{name}` has `{}`: {}", privilege.word, privilege.why);
                    let help = format!("take it away, or write `allow: [{}]` in its `x-claw`", privilege.word);
                    diag.push(Diagnostic::error(Code::PrivilegedSurface, at, message).help(help));
                }
                None => {
                    let message = format!("the service `{name}` has `{}`: {}", privilege.word, privilege.why);
                    diag.push(Diagnostic::warning(Code::RiskyService, at, message));
                }
            }
        }
        if let Some(Inference::Proxied { chain, .. }) = agent.map(|agent| &agent.unit.inference) {
            let names = chain.iter().map(ToString::to_string).collect::<Vec<_>>().join("`, `");
            let message = format!("`{name}` has the proxy `{names}`, which claw does not start yet");
            let warning = Diagnostic::warning(Code::NotYet, at, message);
            diag.push(
                warning.help("it compiles; `up` refuses it, and never falls back to calling the provider directly"),
            );
        }
        if let Some(agent) = agent.filter(|agent| !agent.unit.reach.outside.is_empty()) {
            let why = agent.unit.reach.outside.join(", ");
            let message = format!("`{name}` is also on the pod's default network, with a way out: {why}");
            diag.push(Diagnostic::warning(Code::OpenEgress, at, message));
        }
    }
}

fn privileges(service: &Service, is_agent: bool) -> Vec<Privilege> {
    let mut found = Vec::new();
    let mut add = |holds: bool, word: &'static str, key: &'static str, why: &'static str| {
        if holds {
            found.push(Privilege { word, key, why });
        }
    };
    let host =
        |mode: &Option<String>| mode.as_deref().is_some_and(|mode| mode == "host" || mode.starts_with("container:"));
    add(service.privileged == Some(true), "privileged", "privileged", "all rights on the host (CIS 5.5)");
    add(!service.cap_add.is_empty(), "cap_add", "cap_add", "rights beyond the default (CIS 5.4)");
    add(host(&service.pid), "pid", "pid", "the processes of the host (CIS 5.16)");
    add(host(&service.ipc), "ipc", "ipc", "the memory of the host (CIS 5.17)");
    add(host(&service.uts), "uts", "uts", "the name of the host (CIS 5.21)");
    add(host(&service.userns_mode), "userns_mode", "userns_mode", "the users of the host (CIS 5.31)");
    add(host(&service.cgroup), "cgroup", "cgroup", "the cgroups of the host");
    add(host(&service.network_mode), "network_mode", "network_mode", "the network of the host (CIS 5.10)");
    add(!service.devices.is_empty(), "devices", "devices", "devices of the host (CIS 5.18)");
    add(!service.device_cgroup_rules.is_empty(), "device_cgroup_rules", "device_cgroup_rules", "devices of the host");
    let unconfined = |option: &String| option.contains("unconfined") || option.starts_with("systempaths");
    add(service.security_opt.iter().any(unconfined), "security_opt", "security_opt", "no confinement (CIS 5.22)");
    let binds =
        || service.volumes.iter().filter(|mount| mount.kind == "bind").filter_map(|mount| mount.source.as_deref());
    let is_socket = |path: &str| path.ends_with("docker.sock");
    add(binds().any(is_socket), "docker-socket", "volumes", "the engine, and so the host (CIS 5.32)");
    let is_host_path = |path: &str| HOST_PATHS.contains(&path.trim_end_matches('/')) || path == "/";
    add(binds().any(is_host_path), "host-paths", "volumes", "directories of the system (CIS 5.6)");
    let sysctl = |key: &String| !key.starts_with("net.");
    add(service.sysctls.keys().any(sysctl), "sysctls", "sysctls", "kernel parameters of the host");
    if is_agent {
        add(service.read_only == Some(false), "read_only", "read_only", "a root file system it can change (CIS 5.13)");
        let always = service.restart.as_deref() == Some("always");
        add(always, "restart", "restart", "a crash loop that never ends (CIS 5.15)");
        let own = service.networks.keys().any(|network| network != "default");
        add(own, "networks", "networks", "a network of its own with a way out");
        add(!service.links.is_empty() || !service.external_links.is_empty(), "links", "links", "containers by alias");
    }
    found
}
