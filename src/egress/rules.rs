//! What each agent may reach, in a form that is asked once a connection: a thousand hosts cost what one does.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};

use serde::Deserialize;

use crate::address::Block;

/// The file, as claw writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    v: u32,
    pod: String,
    #[serde(default)]
    shut: Vec<String>,
    agents: BTreeMap<String, AgentFile>,
    #[serde(default)]
    inbound: Vec<Inbound>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AgentFile {
    service: String,
    address: Ipv4Addr,
    network: String,
    #[serde(default)]
    open: bool,
    place: String,
    rules: Vec<Rule>,
}

/// One host that an agent may reach.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The host, `*.` before a domain for every name below it, or an address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether the host may be in a private network.
    #[serde(default)]
    pub private: bool,
    /// What says so: `egress://api.example.com`.
    pub why: String,
    /// Where it says so: `claw-pod.yml: services.writer.x-claw.surfaces`.
    pub place: String,
}

/// A port that leads from outside to an agent.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Inbound {
    /// Where the gate listens.
    pub listen: u16,
    /// The agent's id, which is its name on its network.
    pub agent: String,
    /// The port it listens on.
    pub port: u16,
}

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No rule of the agent allows the host at this port.
    NotAllowed,
    /// The host is allowed, at another port.
    OtherPort,
    /// What came names no host.
    NoName,
    /// The host leads to an address that no rule can open.
    ShutAddress,
    /// The host leads into a private network, and its rule does not say `private`.
    PrivateAddress,
    /// The agent holds as many connections as it may.
    TooMany,
}

impl Reason {
    /// Returns the word of the audit.
    pub fn name(self) -> &'static str {
        match self {
            Reason::NotAllowed => "not-allowed",
            Reason::OtherPort => "other-port",
            Reason::NoName => "no-name",
            Reason::ShutAddress => "shut-address",
            Reason::PrivateAddress => "private-address",
            Reason::TooMany => "too-many-connections",
        }
    }
}

/// What lets a connection pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass<'a> {
    /// The rule; none for an agent that may go everywhere.
    pub rule: Option<&'a Rule>,
    /// Whether the host may be in a private network.
    pub is_private: bool,
}

/// What one agent may reach.
#[derive(Debug)]
pub struct Agent {
    /// Its id.
    pub id: String,
    /// The service of the pod file it is.
    pub service: String,
    /// Where that stands.
    pub place: String,
    /// The gate's address on its network.
    pub address: Ipv4Addr,
    /// The agent's network.
    network: Block,
    /// It may go to every public host.
    pub is_open: bool,
    rules: Vec<Rule>,
    /// Positions in `rules`, by host and port; a wildcard without its `*.`.
    exact: HashMap<(String, u16), usize>,
    below: HashMap<(String, u16), usize>,
    names: HashMap<String, usize>,
    domains: HashMap<String, usize>,
    /// The one rule of a port; none where there are several or it is a wildcard.
    ports: BTreeMap<u16, Option<usize>>,
}

impl Agent {
    fn new(id: String, file: AgentFile) -> Result<Self, String> {
        let network = Block::parse(&file.network).ok_or_else(|| format!("`{}` is no network", file.network))?;
        let mut agent = Self {
            network,
            id,
            service: file.service,
            place: file.place,
            address: file.address,
            is_open: file.open,
            rules: file.rules,
            exact: HashMap::new(),
            below: HashMap::new(),
            names: HashMap::new(),
            domains: HashMap::new(),
            ports: BTreeMap::new(),
        };
        for (index, rule) in agent.rules.iter_mut().enumerate() {
            let (domain, is_below) = match rule.host.strip_prefix("*.") {
                Some(domain) => (domain, true),
                None => (rule.host.as_str(), false),
            };
            let domain = host(domain).ok_or_else(|| format!("`{}` is no host", rule.host))?;
            let (exact, names) = match is_below {
                true => (&mut agent.below, &mut agent.domains),
                false => (&mut agent.exact, &mut agent.names),
            };
            exact.insert((domain.clone(), rule.port), index);
            names.entry(domain.clone()).or_insert(index);
            let sole = (!is_below).then_some(index);
            agent.ports.entry(rule.port).and_modify(|one| *one = None).or_insert(sole);
            rule.host = if is_below { format!("*.{domain}") } else { domain };
        }
        Ok(agent)
    }

    /// Returns what lets a connection pass, or why it is refused.
    ///
    /// # Errors
    /// Where no rule allows it.
    pub fn judge(&self, host: &str, port: u16) -> Result<Pass<'_>, Reason> {
        if let Some(rule) = self.find(host, port) {
            return Ok(Pass { rule: Some(rule), is_private: rule.private });
        }
        match self.is_open {
            true => Ok(Pass { rule: None, is_private: false }),
            false if self.knows(host) => Err(Reason::OtherPort),
            false => Err(Reason::NotAllowed),
        }
    }

    fn find(&self, host: &str, port: u16) -> Option<&Rule> {
        // The tables own their keys: one text is made for all lookups of a name.
        let mut key = (host.to_owned(), port);
        let mut index = self.exact.get(&key);
        while index.is_none() {
            let dot = key.0.find('.')?;
            key.0.drain(..=dot);
            index = self.below.get(&key);
        }
        index.and_then(|index| self.rules.get(*index))
    }

    /// Returns whether a name exists for the agent, at whatever port.
    pub fn knows(&self, host: &str) -> bool {
        let parents = host.match_indices('.').map(|(dot, _)| &host[dot + 1..]);
        self.is_open || self.names.contains_key(host) || parents.into_iter().any(|each| self.domains.contains_key(each))
    }

    /// Returns the host of the only rule of a port: whoever comes there can mean no other.
    pub fn sole(&self, port: u16) -> Option<&str> {
        let index = self.ports.get(&port).copied().flatten().filter(|_| !self.is_open)?;
        self.rules.get(index).map(|rule| rule.host.as_str())
    }

    /// Returns the ports at which the agent is heard, beside those of the gate's own services.
    pub fn ports(&self) -> impl Iterator<Item = u16> {
        self.ports.keys().copied().chain([80, 443])
    }

    /// Returns what is open to the agent, as it may read it.
    pub fn list(&self) -> serde_json::Value {
        let rule = |rule: &Rule| serde_json::json!({ "host": rule.host, "port": rule.port, "why": rule.why, "place": rule.place });
        let rules: Vec<_> = self.rules.iter().map(rule).collect();
        serde_json::json!({ "agent": self.id, "every_public_host": self.is_open, "hosts": rules })
    }

    /// Returns the rule of a name, at whatever port: for messages.
    pub fn rule_of(&self, host: &str) -> Option<&Rule> {
        self.names.get(host).and_then(|index| self.rules.get(*index))
    }
}

/// Everything a gate knows.
#[derive(Debug)]
pub struct Rules {
    /// The pod.
    pub pod: String,
    /// The agents, by the gate's address on their networks.
    pub agents: HashMap<Ipv4Addr, Agent>,
    /// Ports that lead to agents.
    pub inbound: BTreeMap<u16, Inbound>,
    shut: Vec<Block>,
}

impl Rules {
    /// Returns the rules of a text.
    ///
    /// # Errors
    /// In words, where the text is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: File = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if file.v != 1 {
            return Err(format!("version {} is not known: 1 is", file.v));
        }
        let mut agents = HashMap::new();
        for (id, agent) in file.agents {
            let agent = Agent::new(id, agent)?;
            if let Some(other) = agents.insert(agent.address, agent) {
                return Err(format!("two agents are at {}", other.address));
            }
        }
        let block = |text: &String| Block::parse(text).ok_or_else(|| format!("`{text}` is no block of addresses"));
        Ok(Self {
            pod: file.pod,
            agents,
            inbound: file.inbound.into_iter().map(|each| (each.listen, each)).collect(),
            shut: file.shut.iter().map(block).collect::<Result<_, _>>()?,
        })
    }

    /// Returns the agent whose connection it is: that of the gate's address it came to, where it came from that agent's own network. A
    /// machine may take what is for any of its addresses at each of its interfaces.
    pub fn agent_of(&self, local: IpAddr, peer: IpAddr) -> Option<&Agent> {
        let address = match local {
            IpAddr::V4(address) => address,
            IpAddr::V6(address) => address.to_ipv4_mapped()?,
        };
        self.agents.get(&address).filter(|agent| agent.network.holds(peer))
    }

    /// Returns whether an address is the gate's on an agent's network.
    pub fn is_gate(&self, address: IpAddr) -> bool {
        matches!(address, IpAddr::V4(address) if self.agents.contains_key(&address))
    }

    /// Returns an agent by its id.
    pub fn agent(&self, id: &str) -> Option<&Agent> {
        self.agents.values().find(|agent| agent.id == id)
    }

    /// Returns whether an address is on one of the agents' networks.
    pub fn is_inside(&self, address: IpAddr) -> bool {
        self.shut.iter().any(|block| block.holds(address))
    }
}

/// Returns a host's name as it is compared: lower-case, without a dot at its end. Nothing where it is neither a name nor an address.
pub fn host(text: &str) -> Option<String> {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    if let Ok(address) = name.parse::<IpAddr>() {
        return Some(address.to_string());
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    // Digits at the end are an address in some reading: `127.1`, `0x7f.1`.
    let last = name.rsplit('.').next().unwrap_or("");
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x");
    (name.len() <= 253 && !is_number && name.split('.').all(is_label)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        let text = r#"{"v": 1, "pod": "desk", "shut": ["10.200.0.0/22"], "inbound": [{"listen": 20000, "agent": "a", "port": 8080}], "agents": {
            "a": {"service": "a", "address": "10.200.0.14", "network": "10.200.0.0/28", "place": "pod.yml:3", "rules": [
                {"host": "API.github.com", "port": 443, "why": "w", "place": "p"},
                {"host": "*.discord.gg", "port": 443, "why": "w", "place": "p"},
                {"host": "db.example.com", "port": 5432, "private": true, "why": "w", "place": "p"},
                {"host": "x.example.com", "port": 7000, "why": "w", "place": "p"},
                {"host": "y.example.com", "port": 7000, "why": "w", "place": "p"}]},
            "b": {"service": "b", "address": "10.200.0.30", "network": "10.200.0.16/28", "open": true, "place": "pod.yml:9", "rules": []}}}"#;
        Rules::parse(text).expect("rules")
    }

    #[test]
    fn an_agent_passes_by_its_own_rules_alone() {
        let rules = rules();
        let of = |local: &str, peer: &str| {
            let address = |text: &str| text.parse().expect("an address");
            rules.agent_of(address(local), address(peer))
        };
        let a = of("10.200.0.14", "10.200.0.2").expect("a");
        let b = of("::ffff:10.200.0.30", "10.200.0.18").expect("b");
        assert!(of("10.200.0.30", "10.200.0.2").is_none(), "what comes from another network is not that agent's");
        assert!(of("10.200.0.15", "10.200.0.2").is_none());
        assert!(a.judge("api.github.com", 443).expect("a rule").rule.is_some());
        assert_eq!(a.judge("api.github.com", 80), Err(Reason::OtherPort));
        assert_eq!(a.judge("github.com", 443), Err(Reason::NotAllowed));
        assert_eq!(a.judge("xapi.github.com", 443), Err(Reason::NotAllowed));
        assert_eq!(a.judge("api.github.com.evil.example", 443), Err(Reason::NotAllowed));
        assert!(a.judge("gateway.discord.gg", 443).is_ok() && a.judge("a.b.discord.gg", 443).is_ok());
        assert_eq!(a.judge("discord.gg", 443), Err(Reason::NotAllowed));
        assert_eq!(a.judge("evildiscord.gg", 443), Err(Reason::NotAllowed));
        assert!(a.judge("db.example.com", 5432).expect("a rule").is_private);
        assert!(b.judge("anything.example", 9).expect("open").rule.is_none());
        assert!(!b.judge("anything.example", 9).expect("open").is_private);
    }

    #[test]
    fn names_exist_at_any_port_and_a_port_of_one_rule_means_its_host() {
        let rules = rules();
        let a = rules.agent("a").expect("a");
        assert!(a.knows("db.example.com") && a.knows("x.discord.gg"));
        assert!(!a.knows("discord.gg") && !a.knows("example.com"));
        assert_eq!(a.sole(5432), Some("db.example.com"));
        assert_eq!((a.sole(7000), a.sole(443), a.sole(1)), (None, None, None));
        assert_eq!(rules.agent("b").expect("b").sole(5432), None);
        assert_eq!(a.ports().collect::<Vec<_>>(), [443, 5432, 7000, 80, 443]);
        assert!(rules.is_inside("10.200.3.9".parse().expect("an address")));
    }

    #[test]
    fn a_host_has_one_form() {
        assert_eq!(host("API.Example.com.").as_deref(), Some("api.example.com"));
        assert_eq!(host("_srv.a-b.c").as_deref(), Some("_srv.a-b.c"));
        assert_eq!(host("2001:DB8::1").as_deref(), Some("2001:db8::1"));
        let long = "x".repeat(64);
        for bad in ["", ".", "a..b", "a b", "a/b", "u@a", "127.1", "0x7f.1", "2130706433", "a.0x1", "é.example", &long]
        {
            assert_eq!(host(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_no_rules_is_said() {
        for (text, wanted) in [
            ("{", "EOF"),
            (r#"{"v": 2, "pod": "x", "agents": {}}"#, "version 2"),
            (r#"{"v": 1, "pod": "x", "agents": {}, "more": 1}"#, "unknown field"),
            (r#"{"v": 1, "pod": "x", "agents": {}, "shut": ["x"]}"#, "no block"),
        ] {
            assert!(Rules::parse(text).expect_err("wrong").contains(wanted), "{text}");
        }
        let two = r#"{"v": 1, "pod": "x", "agents": {"a": {"service": "a", "address": "10.0.0.1", "network": "10.0.0.0/28", "place": "", "rules": []},
            "b": {"service": "b", "address": "10.0.0.1", "network": "10.0.0.0/28", "place": "", "rules": []}}}"#;
        assert!(Rules::parse(two).expect_err("wrong").contains("two agents"));
    }
}
