//! Networks: each agent has one of its own, with the gate and what it may reach. Who shares none with it does not exist for it.
//!
//! `docs/adr/0013-networks-and-the-gate.md` has the layouts that were measured. Addresses are taken from a hash of pod and name, so
//! that an agent more moves no other agent's.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use claw_compose::model::{Attachment, Ipam, IpamPool, Network, Project};
use claw_compose::shape::Maybe;
use claw_types::agent::Inference;
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::id::UnitId;
use sha2::{Digest, Sha256};

use super::PlannedUnit;
use super::steps::containers_of;
use crate::resolve::Pod;
use crate::resolve::proxy::service_name;

/// The network of claw's own services, and of those of the pod that they reach.
pub(super) const INTERNAL: &str = "claw-internal";

/// What the names of all networks of claw's begin with.
const PREFIX: &str = "claw-";

/// Addresses of a network that is no larger than it must be: sixteen.
const SLOT: u32 = 16;

/// Where networks are, unless the pod says otherwise: a million addresses that the engine's own pools leave alone.
const POOL: Pool = Pool { base: 0x0ad0_0000, length: 12 };

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pool {
    base: u32,
    length: u32,
}

impl Pool {
    /// Returns the pool of a text such as `10.99.0.0/16`: private, and with room for sixteen networks at least.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (base, length) = text.split_once('/')?;
        let (base, length) = (base.parse::<Ipv4Addr>().ok()?, length.parse::<u32>().ok()?);
        let is_whole = (8..=24).contains(&length) && u32::from(base).trailing_zeros() >= 32 - length;
        (is_whole && base.is_private()).then_some(Self { base: u32::from(base), length })
    }

    fn slots(self) -> u32 {
        (1 << (32 - self.length)) / SLOT
    }

    /// Returns the pool as text.
    pub(super) fn text(self) -> String {
        format!("{}/{}", Ipv4Addr::from(self.base), self.length)
    }
}

/// The networks of a pod's agents.
pub(super) struct Layout {
    pub(super) pool: Pool,
    /// Networks by key, with the compose services on each, beside the gate.
    networks: BTreeMap<String, BTreeSet<String>>,
    /// The agents' own networks: the gate is on them, at the address.
    gates: BTreeMap<UnitId, (String, Ipv4Addr)>,
    made: BTreeMap<String, Network>,
}

impl Layout {
    /// Returns the layout of a pod's networks.
    pub(super) fn of(pod: &Pod, planned: &[PlannedUnit], diag: &mut Diagnostics) -> Self {
        let mut layout = Self {
            pool: pod.subnets.unwrap_or(POOL),
            networks: BTreeMap::new(),
            gates: BTreeMap::new(),
            made: BTreeMap::new(),
        };
        for each in planned.iter().filter(|each| is_networked(each, pod)) {
            layout.agent(each, planned, pod, diag);
        }
        layout.infrastructure(pod);
        layout.place(pod, diag);
        layout
    }

    /// An agent's own network, and one for each other agent that it reaches.
    fn agent(&mut self, each: &PlannedUnit, planned: &[PlannedUnit], pod: &Pod, diag: &mut Diagnostics) {
        let (unit, id) = (&each.unit, each.unit.id.to_string());
        let own = own_key(&each.unit.id);
        let mut members = BTreeSet::from([id.clone()]);
        if let Inference::Proxied { chain, .. } = &unit.inference {
            members.extend(chain.first().map(service_name));
        }
        if pod.governance.master.as_deref() == Some(unit.service.as_str()) {
            members.extend(pod.proxies.keys().map(service_name));
        }
        for target in &unit.reach.services {
            let others: Vec<&PlannedUnit> = planned.iter().filter(|other| other.unit.service == *target).collect();
            if others.is_empty() {
                members.insert(target.to_string());
                unreachable(target.as_str(), each, pod, diag);
            }
            // With its own network an agent would give another agent all that is on it.
            for other in others {
                let (first, second) =
                    if other.unit.id < unit.id { (&other.unit.id, &unit.id) } else { (&unit.id, &other.unit.id) };
                let pair = BTreeSet::from([first.to_string(), second.to_string()]);
                self.add(format!("{PREFIX}{first}-{second}"), pair, each, diag);
            }
        }
        self.add(own.clone(), members, each, diag);
        self.gates.insert(unit.id.clone(), (own, Ipv4Addr::UNSPECIFIED));
    }

    fn add(&mut self, key: String, members: BTreeSet<String>, each: &PlannedUnit, diag: &mut Diagnostics) {
        let before = self.networks.get(&key);
        if before.is_some_and(|before| *before != members) || key == INTERNAL {
            let message = format!("two networks of `{}` would be called `{key}`", each.unit.service);
            diag.push(
                Diagnostic::error(Code::NameCollision, each.unit.origin, message).help("rename one of the agents"),
            );
        }
        self.networks.insert(key, members);
    }

    /// Where claw's own services meet what they reach.
    fn infrastructure(&mut self, pod: &Pod) {
        let upstream = pod.proxies.values().flat_map(|spec| spec.gateways.values());
        let upstream = upstream.filter_map(|gateway| gateway.service.as_ref().map(ToString::to_string));
        let policy = pod.governance.policy.as_ref().and_then(|policy| policy.service.as_ref().map(ToString::to_string));
        let is_agent = |name: &String| pod.agents.keys().any(|agent| agent.as_str() == name);
        let master = pod.governance.master.clone().filter(|name| !is_agent(name));
        let reached: BTreeSet<String> = upstream.chain(policy).chain(master).collect();
        let chained = pod.proxies.values().any(|spec| spec.next.is_some());
        if !pod.proxies.is_empty() && (chained || !reached.is_empty()) {
            let own = pod.proxies.keys().map(service_name);
            self.networks.insert(INTERNAL.to_owned(), own.chain(reached).collect());
        }
    }

    /// Gives each network its addresses.
    fn place(&mut self, pod: &Pod, diag: &mut Diagnostics) {
        let mut taken = BTreeSet::new();
        let gated: BTreeMap<String, UnitId> =
            self.gates.iter().map(|(id, (key, _))| (key.clone(), id.clone())).collect();
        for (key, members) in &self.networks {
            let counts = members.iter().map(|name| pod.project.services.get(name).map_or(1, containers_of).max(1));
            let count = counts.fold(0, u32::saturating_add);
            let size = size(count);
            let Some(base) = free(self.pool, &format!("{}/{key}", pod.name), size, &mut taken) else {
                let message =
                    format!("the addresses of `{}` are too few for the networks of this pod", self.pool.text());
                let error = Diagnostic::error(Code::BadValue, pod.origin, message);
                diag.push(
                    error.help("write a larger range in `subnets` of the pod's `x-claw`, such as `10.99.0.0/16`"),
                );
                return;
            };
            let gate = Ipv4Addr::from(base + size - 2);
            if let Some(id) = gated.get(key) {
                self.gates.insert(id.clone(), (key.clone(), gate));
            }
            self.made.insert(key.clone(), network(base, size));
        }
    }

    /// Writes the networks into the project.
    pub(super) fn write(&self, pod: &Pod, project: &mut Project, diag: &mut Diagnostics) {
        for (key, network) in &self.made {
            if project.networks.insert(key.clone(), network.clone()).is_some() {
                let message = format!("the network `{key}` is claw's");
                diag.push(Diagnostic::error(Code::ReservedName, pod.origin, message).help("give yours another name"));
            }
        }
    }

    /// Returns the networks that a compose service is on.
    pub(super) fn on(&self, service: &str) -> impl Iterator<Item = &str> {
        self.networks.iter().filter(move |(_, members)| members.contains(service)).map(|(key, _)| key.as_str())
    }

    /// Returns the gate's place on an agent's own network: its key, and the address.
    pub(super) fn gate(&self, unit: &UnitId) -> Option<(&str, Ipv4Addr)> {
        self.gates.get(unit).map(|(key, address)| (key.as_str(), *address))
    }

    /// Returns the addresses of a network.
    pub(super) fn subnet(&self, key: &str) -> &str {
        let ipam = self.made.get(key).and_then(|network| network.ipam.as_ref());
        ipam.and_then(|ipam| ipam.config.first()?.subnet.as_deref()).unwrap_or("")
    }

    /// Returns whether there is an agent that a gate could serve.
    pub(super) fn has_gate(&self) -> bool {
        !self.gates.is_empty()
    }

    /// Returns the gate's places: one on each agent's network.
    pub(super) fn gates(&self) -> impl Iterator<Item = (&UnitId, &str, Ipv4Addr)> {
        self.gates.iter().map(|(id, (key, address))| (id, key.as_str(), *address))
    }

    /// Returns the compose services on an agent's networks, beside itself.
    pub(super) fn beside(&self, unit: &UnitId) -> BTreeSet<&str> {
        let own = self.on(unit.as_str()).filter_map(|key| self.networks.get(key));
        own.flatten().map(String::as_str).filter(|name| *name != unit.as_str()).collect()
    }
}

/// Tells of a service that is on no network of its own, so that no agent finds it.
fn unreachable(target: &str, each: &PlannedUnit, pod: &Pod, diag: &mut Diagnostics) {
    let Some(mode) = pod.project.services.get(target).and_then(|service| service.network_mode.as_deref()) else {
        return;
    };
    let message = format!("`{}` cannot reach `{target}`, which has `network_mode: {mode}`", each.unit.service);
    let warning = Diagnostic::warning(Code::BadSurface, each.unit.origin, message);
    diag.push(
        warning
            .help("take `network_mode` away; what listens on the host is `egress://host.docker.internal:PORT private`"),
    );
}

/// Returns whether an agent is on networks at all: the audit lets no mode pass that nobody allowed.
fn is_networked(each: &PlannedUnit, pod: &Pod) -> bool {
    let service = pod.project.services.get(each.unit.service.as_str());
    service.is_none_or(|service| service.network_mode.is_none())
}

/// Returns the key of an agent's own network.
fn own_key(id: &UnitId) -> String {
    format!("{PREFIX}{id}")
}

/// Returns how many addresses a network has: the lower half for containers, but for its own and the bridge's; the last but one is the gate's.
fn size(containers: u32) -> u32 {
    let mut size = SLOT;
    // No pool is as large as the largest of these.
    while size / 2 - 2 < containers && size < 1 << 28 {
        size *= 2;
    }
    size
}

/// Returns the first free place for a network from where its name puts it.
fn free(pool: Pool, name: &str, size: u32, taken: &mut BTreeSet<u32>) -> Option<u32> {
    let (slots, width) = (pool.slots(), size / SLOT);
    let digest = Sha256::digest(name);
    let hash = digest.iter().take(4).fold(0_u32, |value, byte| value << 8 | u32::from(*byte));
    let places = slots / width;
    let first = hash.checked_rem(places)?;
    let slot = (0..places).map(|step| (first + step) % places * width).find(|slot| {
        let mut own = *slot..slot + width;
        own.all(|each| !taken.contains(&each))
    })?;
    taken.extend(slot..slot + width);
    Some(pool.base + slot * SLOT)
}

/// A network without a way out, on which the host has no address: not even its own ports can be reached.
fn network(base: u32, size: u32) -> Network {
    let options = [
        ("com.docker.network.bridge.inhibit_ipv4", "true"),
        // The same in the words of Engine 28; earlier ones do not know it and leave it alone.
        ("com.docker.network.bridge.gateway_mode_ipv4", "isolated"),
    ];
    let length = 32 - size.trailing_zeros();
    let pool = IpamPool {
        subnet: Some(format!("{}/{length}", Ipv4Addr::from(base))),
        // The gate's address is in the other half: no container is given it while the gate is made anew.
        ip_range: Some(format!("{}/{}", Ipv4Addr::from(base), length + 1)),
        ..IpamPool::default()
    };
    Network {
        internal: Some(true),
        driver_opts: options.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        ipam: Some(Ipam { config: vec![pool], ..Ipam::default() }),
        ..Network::default()
    }
}

/// Returns how a service is on a network: by these further names, at this address.
pub(super) fn attached(aliases: &[String], address: Option<Ipv4Addr>) -> Maybe<Box<Attachment>> {
    if aliases.is_empty() && address.is_none() {
        return Maybe(None);
    }
    let ipv4_address = address.map(|address| address.to_string());
    Maybe(Some(Box::new(Attachment { aliases: aliases.to_vec(), ipv4_address, ..Attachment::default() })))
}
