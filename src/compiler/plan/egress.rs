//! The pod's gate: a service of claw's own on every agent's network, the rules it is told, and what agents are told of it.

use std::collections::{BTreeMap, BTreeSet};

use claw_compose::model::{Port, Service, Ulimit};
use claw_compose::shape::{Argv, Maybe};
use claw_compose::template::Template;
use claw_types::agent::{AgentUnit, EgressRule};
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::doc::Doc;
use claw_types::files::{FileSpec, FileTree};
use claw_types::gate::{GATE, PROXY_PORT, READY};
use claw_types::id::{ServiceName, UnitId};
use claw_types::image::{INFRA_PROGRAM, INFRA_REPOSITORY, label};
use claw_types::path::PodPath;

use super::assemble::{bind, labels};
use super::harden::{Hardening, hold};
use super::network::{Layout, attached};
use super::proxy::{USER, check};
use super::{Belongings, PlannedUnit};
use crate::facts::Context;
use crate::resolve::Pod;

/// The first port at which the gate listens for an agent's published ones.
const FIRST_INBOUND: u16 = 20_000;

/// A name by which containers know the host, where the gate is told of it.
const HOST: &str = "host.docker.internal";

/// What an agent's published port becomes.
struct Inbound {
    listen: u16,
    agent: UnitId,
    port: u16,
}

/// Returns the gate: its service, and what belongs to it. Ports of agents are published by it in their place.
pub(super) fn gate(
    pod: &Pod,
    planned: &[PlannedUnit],
    layout: &Layout,
    cx: &Context<'_>,
    diag: &mut Diagnostics,
) -> Option<(UnitId, Service, Belongings)> {
    if !layout.has_gate() {
        return None;
    }
    let id = UnitId::parse(GATE).ok()?;
    let mut made = Service {
        image: Some(format!("{INFRA_REPOSITORY}:{}", cx.version)),
        entrypoint: Some(Argv(vec![INFRA_PROGRAM.to_owned()])),
        command: Some(Argv(vec![GATE.to_owned(), "serve".to_owned()])),
        healthcheck: Some(Box::new(check(INFRA_PROGRAM, &format!("http://{READY}/ready")))),
        restart: Some("unless-stopped".to_owned()),
        ..Service::default()
    };
    let inbound = inbound(pod, planned, &mut made, diag);
    ways(pod, planned, diag);
    let directory = PodPath::parse(&format!(".claw/{}/units/{id}/live", pod.name)).ok()?;
    let mut files = FileTree::new();
    let rules = rules(pod, planned, layout, &inbound, cx).to_json();
    let path = PodPath::parse("claw/egress.json").ok()?;
    let _ = files.insert(path, FileSpec::managed(rules));
    made.volumes.push(bind(format!("./{directory}/claw"), "/claw", true));
    for (name, value) in [("CLAW_MANAGED", "true"), ("CLAW_POD", pod.name.as_str())] {
        made.environment.insert(name.to_owned(), Maybe(Some(Template::literal(value))));
    }
    made.networks.insert("default".to_owned(), Maybe(None));
    for (_, key, address) in layout.gates() {
        made.networks.insert(key.to_owned(), attached(&[], Some(address)));
    }
    let names_host = |unit: &PlannedUnit| unit.unit.reach.egress.iter().any(|rule| rule.host == HOST);
    if planned.iter().any(names_host) {
        made.extra_hosts.push(format!("{HOST}:host-gateway"));
    }
    // A connection is two files: ten thousand of them, which engines on small machines give too.
    made.ulimits.insert("nofile".to_owned(), Ulimit { soft: 20_000, hard: 20_000, is_single: true });
    // It is no root, and names are asked for at port 53: not every engine allows that by itself.
    made.sysctls.insert("net.ipv4.ip_unprivileged_port_start".to_owned(), "0".to_owned());
    // Podman gives a container with limits of its own more processes than a small machine lets it.
    made.ulimits.insert("nproc".to_owned(), Ulimit { soft: 4096, hard: 4096, is_single: true });
    hold(&mut made, &hardening());
    let ways: Vec<String> =
        inbound.iter().map(|each| format!("{}={}:{}", each.listen, each.agent, each.port)).collect();
    let ways = ways.join(",");
    let mut rows = vec![(label::SERVICE, GATE), (label::ROLE, GATE)];
    rows.extend((!ways.is_empty()).then_some((label::INBOUND, ways.as_str())));
    labels(&mut made, pod, &rows);
    let belongings = Belongings {
        user: USER,
        directory,
        files,
        secrets: BTreeMap::new(),
        lifted: BTreeSet::new(),
        needs_shim: false,
        is_live: true,
    };
    Some((id, made, belongings))
}

fn hardening() -> Hardening {
    Hardening {
        user: Some(format!("{}:{}", USER.uid, USER.gid)),
        tmpfs: vec!["/tmp:rw,noexec,nosuid,nodev,size=1m,mode=1777".to_owned()],
        env: BTreeMap::new(),
        memory: 128 * 1024 * 1024,
        pids: 64,
        cpus: 1_000_000_000,
        stop_grace_seconds: 5,
        start_seconds: 10,
        probe_seconds: 5,
        restarts: 5,
    }
}

/// Moves the ports that agents publish to the gate: their own networks lead nowhere, in either direction.
fn inbound(pod: &Pod, planned: &[PlannedUnit], made: &mut Service, diag: &mut Diagnostics) -> Vec<Inbound> {
    let mut inbound = Vec::new();
    // The gate listens there at every address: no agent may be heard at the same port.
    let taken: BTreeSet<u16> = planned.iter().flat_map(|each| &each.unit.reach.egress).map(|rule| rule.port).collect();
    let mut free = (FIRST_INBOUND..=u16::MAX).filter(|port| !taken.contains(port));
    for each in planned {
        let Some(service) = pod.project.services.get(each.unit.service.as_str()) else { continue };
        if service.network_mode.is_some() {
            continue;
        }
        for port in &service.ports {
            let protocol = port.protocol.as_deref().unwrap_or("tcp");
            let at = port.origin.place(service.origin.of("ports", each.unit.origin));
            if protocol != "tcp" {
                let message =
                    format!("`{}` publishes a port of `{protocol}`, which no gate can pass on", each.unit.service);
                let error = Diagnostic::error(Code::BadValue, at, message);
                diag.push(error.help("publish ports of TCP, or let another service of the pod be heard by UDP"));
                continue;
            }
            let (Some(listen), Ok(target)) = (free.next(), u16::try_from(port.target)) else { continue };
            inbound.push(Inbound { listen, agent: each.unit.id.clone(), port: target });
            let host_ip = port.host_ip.clone().filter(|address| !address.is_empty());
            made.ports.push(Port {
                host_ip: Some(host_ip.unwrap_or_else(|| "127.0.0.1".to_owned())),
                target: listen.into(),
                published: port.published.clone(),
                protocol: Some("tcp".to_owned()),
                mode: Some("ingress".to_owned()),
                ..Port::default()
            });
        }
    }
    inbound
}

/// Returns what the gate is told.
fn rules(pod: &Pod, planned: &[PlannedUnit], layout: &Layout, inbound: &[Inbound], cx: &Context<'_>) -> Doc {
    let agents = planned.iter().filter_map(|each| {
        let (key, address) = layout.gate(&each.unit.id)?;
        Some((each.unit.id.to_string(), agent(&each.unit, &address.to_string(), layout.subnet(key), cx)))
    });
    let row = |each: &Inbound| {
        Doc::map([
            ("listen", Doc::int(each.listen.into())),
            ("agent", Doc::str(each.agent.as_str())),
            ("port", Doc::int(each.port.into())),
        ])
    };
    Doc::map([
        ("v", Doc::int(1)),
        ("pod", Doc::str(pod.name.as_str())),
        ("shut", Doc::strs([layout.pool.text().as_str()])),
        ("agents", Doc::map(agents)),
        ("inbound", Doc::List(inbound.iter().map(row).collect())),
    ])
}

fn agent(unit: &AgentUnit, address: &str, network: &str, cx: &Context<'_>) -> Doc {
    let rule = |rule: &EgressRule| {
        Doc::map([
            ("host", Doc::str(rule.host.as_str())),
            ("port", Doc::int(rule.port.into())),
            ("private", Doc::Bool(rule.is_private)),
            ("why", Doc::str(rule.why.as_str())),
            ("place", Doc::str(place(unit, rule.key, cx))),
        ])
    };
    Doc::map([
        ("service", Doc::str(unit.service.as_str())),
        ("address", Doc::str(address)),
        ("network", Doc::str(network)),
        ("open", Doc::Bool(unit.reach.open_at.is_some())),
        ("place", Doc::str(place(unit, "surfaces", cx))),
        ("rules", Doc::List(unit.reach.egress.iter().map(rule).collect())),
    ])
}

/// Returns `claw-pod.yml: services.writer.x-claw.surfaces`: neither directories, which differ from one checkout to another, nor lines,
/// which move with every comment.
fn place(unit: &AgentUnit, key: &str, cx: &Context<'_>) -> String {
    let name = cx.sources.get(unit.origin.file).map_or("", |source| source.name.as_str());
    format!("{}: services.{}.x-claw.{key}", name.rsplit('/').next().unwrap_or(name), unit.service)
}

/// Records rules that cannot work, or not for everybody.
fn ways(pod: &Pod, planned: &[PlannedUnit], diag: &mut Diagnostics) {
    let has_rules = planned.iter().any(|each| !each.unit.reach.egress.is_empty() || each.unit.reach.open_at.is_some());
    if has_rules && pod.project.networks.get("default").is_some_and(|network| network.internal == Some(true)) {
        let message = "the pod's default network is internal, and it is the gate's way out";
        let error = Diagnostic::error(Code::ConflictingKeys, pod.origin, message);
        diag.push(error.help("take `internal` away from `networks.default`: no agent is on it"));
    }
    // Replicas have the same rules.
    for each in planned.iter().filter(|each| each.unit.replica.index == 0) {
        let rules = &each.unit.reach.egress;
        for (index, rule) in rules.iter().enumerate() {
            if matches!(rule.port, 53 | PROXY_PORT) {
                let whose = if rule.port == 53 { "answers names" } else { "is a proxy" };
                let message = format!(
                    "the gate {whose} at port {}: `{}` is reached through the proxy alone",
                    rule.port, rule.host
                );
                diag.push(
                    Diagnostic::warning(Code::BadSurface, rule.at, message).help("use a client that knows of proxies"),
                );
            }
            let mut before = rules.iter().take(index);
            let twin = before.find(|other| other.port == rule.port && !matches!(rule.port, 80 | 443));
            if let Some(twin) = twin {
                let message = format!(
                    "`{}` and `{}` are both at port {}: the gate tells them apart by TLS, HTTP or its proxy, and not where neither is spoken",
                    twin.host, rule.host, rule.port
                );
                diag.push(Diagnostic::warning(Code::BadSurface, rule.at, message));
            }
        }
    }
}

/// Tells an agent of its gate: names are asked of it, and clients that know of proxies go to it by themselves.
pub(super) fn tell(made: &mut Service, unit: &AgentUnit, layout: &Layout) {
    let Some((_, address)) = layout.gate(&unit.id) else { return };
    // Whatever the file says: from its network no other server could be asked.
    made.dns = vec![address.to_string()];
    let proxy = format!("http://{GATE}:{PROXY_PORT}");
    let own = ["localhost", "127.0.0.1", "::1", GATE, unit.id.as_str(), super::proxy::ALIAS];
    let services = unit.reach.services.iter().map(ServiceName::as_str);
    let near: BTreeSet<&str> = own.into_iter().chain(services).chain(layout.beside(&unit.id)).collect();
    let near = near.into_iter().collect::<Vec<_>>().join(",");
    let rows = [
        ("HTTPS_PROXY", proxy.as_str()),
        ("HTTP_PROXY", proxy.as_str()),
        ("NODE_USE_ENV_PROXY", "1"),
        ("NO_PROXY", near.as_str()),
        ("http_proxy", proxy.as_str()),
        ("https_proxy", proxy.as_str()),
        ("no_proxy", near.as_str()),
    ];
    for (name, value) in rows {
        made.environment.entry(name.to_owned()).or_insert_with(|| Maybe(Some(Template::literal(value))));
    }
}
