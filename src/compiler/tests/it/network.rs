//! Who is on which network, what the gate is told, and what a pod file cannot have of either.

use std::collections::{BTreeMap, BTreeSet};

use claw_compiler::plan::Plan;

use crate::world::{World, file};

/// An agent with further keys of its `x-claw`.
fn agent(name: &str, more: &str) -> String {
    format!("  {name}: {{image: x, entrypoint: [/a], x-claw: {{type: generic, agent: A.md{more}}}}}\n")
}

fn planned(services: &str) -> Plan {
    let text = format!("services:\n{services}");
    let (plan, found) = World::default().compile(&text);
    assert!(plan.is_some(), "{text}: {found:?}");
    plan.expect("planned")
}

/// What is found in a pod, each by its code and message.
fn found(services: &str) -> Vec<String> {
    World::default().compile(&format!("services:\n{services}")).1
}

/// The services of each of claw's networks.
fn networks(plan: &Plan) -> BTreeMap<&str, Vec<&str>> {
    let mut networks: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, service) in &plan.project.services {
        for key in service.networks.keys().filter(|key| key.starts_with("claw-")) {
            networks.entry(key).or_default().push(name);
        }
    }
    networks
}

/// Whether two services are on a network together.
fn meet(plan: &Plan, one: &str, other: &str) -> bool {
    networks(plan).values().any(|members| members.contains(&one) && members.contains(&other))
}

#[test]
fn who_reaches_whom_follows_from_surfaces_alone() {
    let services = [
        agent("a", ", surfaces: ['service://web', 'service://b']"),
        agent("b", ", surfaces: ['service://db']"),
        agent("c", ", count: 2, surfaces: ['service://web']"),
        "  web: {image: y}\n  db: {image: y, depends_on: [web]}\n  other: {image: y}\n".to_owned(),
    ];
    let plan = planned(&services.concat());
    let all = ["a", "b", "c-0", "c-1", "db", "other", "web"];
    let agents = ["a", "b", "c-0", "c-1"];
    let wanted = [("a", "web"), ("a", "b"), ("b", "db"), ("c-0", "web"), ("c-1", "web")];
    for one in agents {
        for other in all.into_iter().filter(|other| *other != one) {
            let is_wanted = wanted.contains(&(one, other)) || wanted.contains(&(other, one));
            assert_eq!(meet(&plan, one, other), is_wanted, "{one} and {other}: {:?}", networks(&plan));
        }
        assert!(meet(&plan, one, "egress"));
        assert!(!plan.project.services[one].networks.contains_key("default"), "{one} has a way out of its own");
    }
    assert_eq!(networks(&plan)["claw-a-b"], ["a", "b"], "two agents meet where nobody else is");
    assert!(plan.project.services["other"].networks.is_empty(), "what no surface names is left as it is");
    for key in networks(&plan).keys() {
        let network = &plan.project.networks[*key];
        assert_eq!(network.internal, Some(true), "{key}");
        assert_eq!(network.driver_opts["com.docker.network.bridge.inhibit_ipv4"], "true", "{key}");
    }
}

#[test]
fn a_proxy_is_where_its_agents_are_and_where_what_it_uses_is() {
    let proxied = ", cllama: passthrough, models: {primary: house/m}";
    let services = [agent("a", proxied), agent("b", ""), "  house: {image: y, expose: ['80']}\n".to_owned()].concat();
    let text = format!("x-claw: {{providers: {{house: {{base_url: 'http://house:80/v1'}}}}}}\nservices:\n{services}");
    let plan = World::default().compile(&text).0.expect("planned");
    assert!(meet(&plan, "a", "cllama-passthrough") && !meet(&plan, "b", "cllama-passthrough"));
    assert_eq!(networks(&plan)["claw-internal"], ["cllama-passthrough", "house"]);
    assert!(!meet(&plan, "a", "house"), "its provider is the proxy's");
    let rules = file(&plan, "claw/egress.json");
    assert!(!rules.contains("\"host\":"), "who has a proxy needs no provider: {rules}");
}

/// The subnets of all networks, and the gate's address on each.
fn addresses(plan: &Plan) -> BTreeMap<String, (String, Option<String>)> {
    let gate = &plan.project.services["egress"].networks;
    let subnet = |key: &str| {
        let ipam = plan.project.networks.get(key)?.ipam.as_ref()?;
        ipam.config.first()?.subnet.clone()
    };
    let all = plan.project.networks.keys().filter_map(|key| {
        let at = gate.get(key).and_then(|place| place.0.as_ref()?.ipv4_address.clone());
        Some((key.clone(), (subnet(key)?, at)))
    });
    all.collect()
}

#[test]
fn addresses_are_the_same_everywhere_and_move_for_nobody() {
    let few = planned(&[agent("a", ""), agent("b", "")].concat());
    let more = planned(&[agent("a", ""), agent("aa", ", count: 40"), agent("b", "")].concat());
    let (few, more) = (addresses(&few), addresses(&more));
    for (key, place) in &few {
        assert_eq!(more.get(key), Some(place), "an agent more moves nobody");
    }
    let subnets: BTreeSet<&String> = more.values().map(|(subnet, _)| subnet).collect();
    assert_eq!((more.len(), subnets.len()), (42, 42), "no two have the same");
    for (subnet, gate) in more.values() {
        let base: std::net::Ipv4Addr = subnet.strip_suffix("/28").expect("sixteen").parse().expect("an address");
        assert_eq!(u32::from(base) % 16, 0);
        assert_eq!(
            *gate,
            Some(std::net::Ipv4Addr::from(u32::from(base) + 14).to_string()),
            "the last but one is the gate's"
        );
        assert_eq!(u32::from(base) >> 20, 0x0ad, "{subnet} is in 10.208.0.0/12");
    }
    let crowd: Vec<String> = (0..9).map(|index| format!("'service://s{index}'")).collect();
    let services: String = (0..9).map(|index| format!("  s{index}: {{image: y}}\n")).collect();
    let plan = planned(&[agent("a", &format!(", surfaces: [{}]", crowd.join(", "))), services].concat());
    assert!(addresses(&plan)["claw-a"].0.ends_with("/27"), "a network is as large as it must be");
    let text = format!("x-claw: {{subnets: 10.99.0.0/24}}\nservices:\n{}", agent("a", ", count: 16"));
    let plan = World::default().compile(&text).0.expect("planned");
    assert!(addresses(&plan).values().all(|(subnet, _)| subnet.starts_with("10.99.0.")));
    let (none, found) = World::default().compile(&text.replace("count: 16", "count: 17"));
    assert!(none.is_none() && found.iter().any(|each| each.contains("are too few for the networks")), "{found:?}");
    for bad in ["10.99.0.0", "10.99.0.1/16", "8.8.0.0/16", "10.99.0.0/25", "10.0.0.0/7", "x"] {
        let (none, found) = World::default().compile(&text.replace("10.99.0.0/24", bad));
        assert!(none.is_none() && found.iter().any(|each| each.contains("no private range")), "{bad}: {found:?}");
    }
}

#[test]
fn ports_of_agents_are_the_gates() {
    let services = "  a: {image: x, ports: ['8080:80', '0.0.0.0:9000:90'], entrypoint: [/a], x-claw: {type: generic, agent: A.md, count: 1}}\n";
    let plan = planned(services);
    assert!(plan.project.services["a"].ports.is_empty());
    let ports: Vec<(Option<&str>, Option<&str>, u32)> = plan.project.services["egress"]
        .ports
        .iter()
        .map(|port| (port.host_ip.as_deref(), port.published.as_deref(), u32::try_from(port.target).expect("a port")))
        .collect();
    assert_eq!(ports, [(Some("127.0.0.1"), Some("8080"), 20000), (Some("0.0.0.0"), Some("9000"), 20001)]);
    let rules = file(&plan, "claw/egress.json");
    assert!(rules.contains("\"listen\": 20001,\n      \"port\": 90"), "{rules}");
    let udp = found(&services.replace("8080:80", "8080:80/udp"));
    assert!(udp.iter().any(|each| each.contains("publishes a port of `udp`")), "{udp:?}");
}

#[test]
fn an_agent_is_told_of_its_gate_unless_it_says_otherwise() {
    let plan = planned(&[agent("a", ", surfaces: ['service://web']"), "  web: {image: y}\n".to_owned()].concat());
    let a = &plan.project.services["a"];
    let gate = addresses(&plan)["claw-a"].1.clone().expect("an address");
    assert_eq!(a.dns, [gate]);
    let value = |name: &str| a.environment[name].0.as_ref().expect("a value").to_string();
    assert_eq!(
        (value("HTTPS_PROXY"), value("http_proxy")),
        ("http://egress:3128".to_owned(), "http://egress:3128".to_owned())
    );
    assert!(value("NO_PROXY").split(',').any(|name| name == "web"), "what is near is not asked of the gate");
    assert!(a.depends_on.contains_key("egress"));
    let own = "  a: {image: x, dns: ['10.1.1.1'], environment: {HTTPS_PROXY: mine}, entrypoint: [/a], x-claw: {type: generic, agent: A.md}}\n";
    let plan = planned(own);
    let a = &plan.project.services["a"];
    assert_eq!(a.dns.len(), 1, "nobody else could be asked");
    assert_ne!(a.dns, ["10.1.1.1"]);
    assert_eq!(a.environment["HTTPS_PROXY"].0.as_ref().expect("a value").to_string(), "mine");
}

#[test]
fn what_no_gate_can_do_is_said() {
    for (more, wanted) in [
        (", egress: ['*']", "is no way out"),
        (", egress: ['127.0.0.1:80 private']", "is shut to every agent"),
        (", egress: ['169.254.169.254:80 private']", "is shut to every agent"),
        (", egress: ['10.1.2.3:80']", "is in a private network"),
        (", egress: ['localhost:80 private']", "is the gate itself"),
        (", surfaces: ['egress://10.1.2.3:80']", "is in a private network"),
        (", surfaces: ['egress://a.example.com:80 read-only']", "has no access mode"),
        (", egress: ['*.com']", "may reach every host of `*.com`"),
        (", egress: open", "may reach every public host"),
        (", egress: opn", "is no host outside"),
        (", egress: ['db:5432']", "is no host outside"),
        (", egress: ['a.example.com:53']", "the gate answers names at port 53"),
        (", egress: ['a.example.com:3128']", "the gate is a proxy at port 3128"),
        (", egress: ['a.example.com:5432', 'b.example.com:5432']", "are both at port 5432"),
        (", egress: ['a.example.com:80 rw']", "is no way out"),
    ] {
        let said = found(&agent("a", more));
        assert!(said.iter().any(|each| each.contains(wanted)), "{more}: {said:?}");
    }
    let clash = [agent("a", ", surfaces: ['service://b']"), agent("b", ""), agent("a-b", "")].concat();
    let said = found(&clash);
    assert!(said.iter().any(|each| each.contains("would be called `claw-a-b`")), "{said:?}");
    let said = found(&agent("internal", ""));
    assert!(said.iter().any(|each| each.contains("`claw-internal`")), "{said:?}");
    let internal = format!("networks: {{default: {{internal: true}}}}\nservices:\n{}", agent("a", ", egress: open"));
    let said = World::default().compile(&internal).1;
    assert!(said.iter().any(|each| each.contains("default network is internal")), "{said:?}");
    let external = format!("networks: {{default: {{external: true}}}}\nservices:\n{}", agent("a", ""));
    let said = World::default().compile(&external).1;
    assert!(said.iter().any(|each| each.contains("default network is not the pod's own")), "{said:?}");
    let many =
        [agent("a", ", surfaces: ['service://web']"), "  web: {image: y, scale: 3000000000}\n".to_owned()].concat();
    assert!(found(&many).iter().any(|each| each.contains("are too few")), "{:?}", found(&many));
    let ports = "  a: {image: x, ports: ['80'], entrypoint: [/a], x-claw: {type: generic, agent: A.md, egress: ['h.example.com:20000']}}\n";
    assert_eq!(planned(ports).project.services["egress"].ports[0].target, 20001, "a rule's port is not taken");
    let led =
        "  a: {image: x, extra_hosts: ['egress:10.0.0.9'], entrypoint: [/a], x-claw: {type: generic, agent: A.md}}\n";
    assert!(found(led).iter().any(|each| each.contains("gives the name `egress`")), "{:?}", found(led));
    let taken = World::default().compile(&format!("networks: {{claw-a: {{}}}}\nservices:\n{}", agent("a", ""))).1;
    assert!(taken.iter().any(|each| each.contains("the network `claw-a` is claw's")), "{taken:?}");
}
