//! What is tried, from where, and against what: the rows of `claw doctor --deep`.

use std::net::{IpAddr, SocketAddr};

use claw_egress::PROXY_PORT;
use claw_hostile::echo::NAME;

/// The port at which the other agent listens.
pub(super) const NEIGHBOUR_PORT: u16 = 7000;

/// A container of the pod, by its service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum From {
    /// Without walls.
    Control,
    /// Without walls but those of the other agent's network.
    Friend,
}

/// One thing to try.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) name: &'static str,
    pub(super) from: From,
    /// What is tried without walls.
    pub(super) control: Vec<String>,
    /// What the agent tries.
    pub(super) agent: Vec<String>,
}

/// What there is to be reached.
#[derive(Clone, Debug)]
pub(super) struct Targets {
    /// This host, as others see it.
    pub(super) host: IpAddr,
    /// Ports of this host: TCP, UDP, names.
    pub(super) ports: [u16; 3],
    /// This host, on the pod's default network.
    pub(super) gateway: String,
    /// Where this host would be on the agent's network.
    pub(super) own_gateway: String,
    /// The other agent.
    pub(super) neighbour: String,
    /// The gate, on the other agent's network.
    pub(super) neighbour_gate: String,
    /// What stands in the other agent's environment.
    pub(super) mark: String,
}

/// Where clouds answer their machines.
const METADATA: &str = "169.254.169.254:80";

/// Addresses and names outside, which have been what they are for long.
const OUTSIDE: (&str, &str, &str) = ("1.1.1.1:443", "example.com:443", "example.com");

/// More than an agent may have of tasks, and of mebibytes in `/tmp` (docs/hardening.md).
const TOO_MANY: (&str, &str) = ("600", "96");

/// Returns everything that is tried, in this order.
pub(super) fn attempts(targets: &Targets) -> Vec<Attempt> {
    [host(targets), neighbour(targets), outside(), inside(targets)].concat()
}

/// The same from both.
fn same(name: &'static str, from: From, words: &[&str]) -> Attempt {
    differing(name, from, words, words)
}

fn differing(name: &'static str, from: From, control: &[&str], agent: &[&str]) -> Attempt {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    Attempt { name, from, control: owned(control), agent: owned(agent) }
}

/// The agent's own gate.
fn gate() -> String {
    format!("egress:{PROXY_PORT}")
}

fn host(targets: &Targets) -> Vec<Attempt> {
    let [tcp, udp, names] = targets.ports.map(|port| SocketAddr::new(targets.host, port).to_string());
    let gateway = format!("{}:{}", targets.gateway, targets.ports[0]);
    let own = format!("{}:{}", targets.own_gateway, targets.ports[0]);
    let control = From::Control;
    vec![
        same("host-tcp", control, &["tcp", &tcp]),
        same("host-udp", control, &["udp", &udp]),
        same("host-ping", control, &["icmp", &targets.host.to_string()]),
        same("host-name-server", control, &["dns", &names, NAME]),
        same("host-by-another-network", control, &["tcp", &gateway]),
        differing("host-by-its-own-network", control, &["tcp", &gateway], &["tcp", &own]),
        differing("host-through-gate", control, &["tcp", &tcp], &["tunnel", &gate(), &tcp]),
    ]
}

fn neighbour(targets: &Targets) -> Vec<Attempt> {
    let port = format!("{}:{NEIGHBOUR_PORT}", targets.neighbour);
    let other = format!("{}:{PROXY_PORT}", targets.neighbour_gate);
    let friend = From::Friend;
    vec![
        same("agent-tcp", friend, &["tcp", &port]),
        same("agent-udp", friend, &["udp", &port]),
        same("agent-ping", friend, &["icmp", &targets.neighbour]),
        same("agent-name", friend, &["dns", "resolver", "neighbour"]),
        differing("agent-through-gate", friend, &["tcp", &port], &["tunnel", &gate(), &port]),
        same("gate-of-another-agent", friend, &["http", &other]),
    ]
}

fn outside() -> Vec<Attempt> {
    let (address, host, name) = OUTSIDE;
    let control = From::Control;
    vec![
        same("cloud-metadata", control, &["http", METADATA]),
        differing("cloud-metadata-through-gate", control, &["http", METADATA], &["tunnel", &gate(), METADATA]),
        same("outside-address", control, &["https", address]),
        differing("outside-through-gate", control, &["https", address], &["tunnel", &gate(), address]),
        differing("outside-name-through-gate", control, &["https", host], &["tunnel", &gate(), host]),
        same("outside-name", control, &["dns", "resolver", name]),
        same("ipv6", control, &["ipv6"]),
    ]
}

fn inside(targets: &Targets) -> Vec<Attempt> {
    let control = From::Control;
    let (tasks, mebibytes) = TOO_MANY;
    vec![
        same("engine-socket", control, &["socket", "/var/run/docker.sock"]),
        same("contract", control, &["write", "/claw/AGENTS.md"]),
        same("root-file-system", control, &["write", "/var/lib/claw/hostile"]),
        same("environment-of-another-agent", control, &["environ", &targets.mark]),
        same("mount", control, &["mount"]),
        same("root", control, &["root"]),
        same("user-namespace", control, &["userns"]),
        same("processes", control, &["processes", tasks]),
        same("full-disk", control, &["fill", "/tmp/hostile", mebibytes]),
    ]
}
