//! One suite over every driver: what each must be true to, whatever it drives.

mod claude_agent_sdk;
mod heard;
mod hermes;
mod keys;
mod nanobot;
mod openclaw;
mod schedules;
mod table;
mod zeroclaw;

use std::collections::BTreeMap;
use std::sync::Arc;

use claw_types::agent::*;
use claw_types::diag::Diagnostics;
use claw_types::driver::{HealthStatus, ProbeKind, ProbeOutput};
use claw_types::id::*;
use claw_types::image::{ImageFacts, ImageRef};
use claw_types::platform::Platform;
use claw_types::provider::WireFormat;
use claw_types::roster::Roster;
use claw_types::roster::{Channel, Guild, Identity};
use claw_types::secret::SecretRef;
use claw_types::span::{FileId, Span};

fn unit(runtime: &str, is_proxied: bool, index: u32, of: u32, has_skill: bool) -> AgentUnit {
    let id = if of == 1 { "bot".to_owned() } else { format!("bot-{index}") };
    let id = UnitId::parse(&id).expect("an id");
    let provider = ProviderName::parse("demo").expect("a provider");
    let key = Some(SecretRef::Env(EnvName::parse("DEMO_API_KEY").expect("a name")));
    // The first format that the runtime speaks: some speak one only.
    let format = claw_drivers::find(runtime).expect("a driver").facts().formats.first().copied();
    let format = format.unwrap_or(WireFormat::OpenAi);
    let upstream = Upstream { base_url: "http://p:1/v1".into(), format, key, service: None };
    let inference = if is_proxied {
        Inference::Proxied {
            chain: vec![ProxyType::parse("passthrough").expect("a type")],
            endpoint: "http://cllama-passthrough:8080/v1".into(),
            token: SecretRef::ProxyToken(id.clone()),
        }
    } else {
        Inference::Direct { upstreams: [(provider.clone(), upstream)].into() }
    };
    let model = ModelRef { provider, model: "m".into() };
    let skill =
        Skill { description: "One.".into(), body: "text".into(), keys: BTreeMap::new(), origin: SkillOrigin::Pod };
    let skills = [(SkillName::parse("one").expect("a name"), skill)];
    AgentUnit {
        id,
        service: ServiceName::parse("bot").expect("a name"),
        replica: Replica { index, of },
        pod: PodName::parse("pod").expect("a name"),
        runtime: RuntimeName::parse(runtime).expect("a name"),
        image: ImageRef::new("image"),
        image_facts: ImageFacts::default(),
        contract: Contract::default(),
        models: [(ModelSlot::parse("primary").expect("a slot"), vec![model])].into(),
        model_policy: ModelPolicy::Clamp,
        budgets: Vec::new(),
        brakes: None,
        tools: None,
        persona: None,
        inference,
        identities: BTreeMap::new(),
        channels: BTreeMap::new(),
        roster: Arc::new(Roster::default()),
        surfaces: Vec::new(),
        reach: Reach::default(),
        user: RuntimeUser { uid: 1000, gid: 1000 },
        timezone: None,
        skills: if has_skill { skills.into() } else { BTreeMap::new() },
        schedules: Vec::new(),
        settings: Vec::new(),
        env: BTreeMap::new(),
        origin: Span::start_of(FileId(0)),
    }
}

/// Ids as platforms write them: an account, a guild, a channel, a user, another bot.
fn ids(platform: &str) -> [&'static str; 5] {
    match platform {
        "discord" => [
            "123456789012345678",
            "1465489501551067136",
            "1465489501551067137",
            "167037070349434880",
            "223456789012345678",
        ],
        "feishu" => ["cli_0123456789abcdef", "t_0", "oc_0123456789", "ou_0123456789", "cli_fedcba9876543210"],
        "line" => [
            "U0",
            "C0123456789abcdef0123456789abcdef",
            "C1123456789abcdef0123456789abcdef",
            "U0123456789abcdef0123456789abcdef",
            "U1",
        ],
        "matrix" => {
            ["@bot:example.org", "!space:example.org", "!room:example.org", "@alice:example.org", "@other:example.org"]
        }
        "slack" => ["U0999999999", "T0123456789", "C0123456789", "U0123456789", "U0888888888"],
        "telegram" => ["110201543", "-1001234567890", "-1001234567891", "167037070", "110201544"],
        "whatsapp" => {
            ["+15551230000", "120363000000000000@g.us", "120363000000000001@g.us", "+15551234567", "+15551230001"]
        }
        _ => ["1", "2", "3", "4", "5"],
    }
}

/// The unit that has everything: an account on every platform its driver speaks on, rules, schedules, a service with MCP.
pub(crate) fn everything(runtime: &str) -> AgentUnit {
    let mut unit = unit(runtime, false, 0, 1, true);
    let facts = claw_drivers::find(runtime).expect("a driver").facts();
    on_every_platform(&mut unit);
    if facts.standing.schedules.is_there() {
        let (cron, message) = ("*/5 * * * *".to_owned(), "Say \"hello\"".to_owned());
        unit.schedules.push(Schedule { id: "pulse".into(), cron, message, target: None });
        unit.timezone = Some("Europe/Berlin".into());
    }
    if facts.slots.is_empty() || facts.slots.contains(&"fallback") {
        let fallback =
            ModelRef { provider: ProviderName::parse("demo").expect("a provider"), model: "small/m2".into() };
        unit.models.insert(ModelSlot::parse("fallback").expect("a slot"), vec![fallback]);
    }
    let service = ServiceName::parse("db").expect("a name");
    unit.surfaces.push(Surface::Service { service, ports: vec![8080], mcp: Some("http://db:8080/mcp".into()) });
    unit
}

/// The same behind a proxy.
pub(crate) fn everything_proxied(runtime: &str) -> AgentUnit {
    AgentUnit { inference: unit(runtime, true, 0, 1, true).inference, ..everything(runtime) }
}

/// Gives a unit an account, its tokens and rules on every platform its runtime speaks on, and something to say there.
fn on_every_platform(unit: &mut AgentUnit) {
    let facts = claw_drivers::find(unit.runtime.as_str()).expect("a driver").facts();
    let env = |name: &str| EnvName::parse(name).expect("a name");
    for name in facts.platforms {
        let platform = Platform::parse(name).expect("a platform");
        let [id, guild, channel, ..] = ids(name);
        let channels = vec![Channel { id: channel.into(), name: Some("floor".into()) }];
        let guilds = vec![Guild { id: guild.into(), name: None, channels: channels.clone() }];
        let identity = Identity { id: Some(id.into()), username: Some("tiver.ton".into()), guilds };
        unit.identities.insert(platform, identity);
        for token in platform.tokens().iter().copied().chain(["LINE_CHANNEL_SECRET"]) {
            unit.env.insert(env(token), EnvValue::Secret(SecretRef::Env(env(token))));
        }
        let policy = heard::kept(unit, platform, &channels);
        unit.channels.insert(platform, policy);
        let target = Some(Target { platform, channel: channel.into() });
        let (cron, message) = ("0 9 * * 1-5".to_owned(), "Look at the market".to_owned());
        if facts.standing.schedules.is_there() {
            unit.schedules.push(Schedule { id: format!("morning-{name}"), cron, message, target });
        }
    }
}

/// Every kind of unit that there is of a runtime: direct or behind a proxy, alone or one of three, with skills or without, on no
/// platform or on every one.
fn kinds(runtime: &str) -> Vec<(String, AgentUnit)> {
    let mut kinds = Vec::new();
    for (is_proxied, has_skill, is_heard) in (0..8).map(|bits| (bits & 1 != 0, bits & 2 != 0, bits & 4 != 0)) {
        for (index, of) in [(0, 1), (0, 3), (2, 3)] {
            let mut unit = unit(runtime, is_proxied, index, of, has_skill);
            if is_heard {
                on_every_platform(&mut unit);
            }
            let case =
                format!("{runtime}: proxied {is_proxied}, skill {has_skill}, platforms {is_heard}, {index} of {of}");
            kinds.push((case, unit));
        }
    }
    kinds
}

#[test]
fn every_driver_lowers_every_kind_of_unit_the_same_way_twice() {
    for driver in claw_drivers::ALL {
        for (case, unit) in kinds(driver.facts().name) {
            let mut diag = Diagnostics::new();
            driver.check(&unit, &mut diag);
            let first = driver.lower(&unit, &mut diag).expect("lowered");
            assert_eq!(first, driver.lower(&unit, &mut diag).expect("lowered again"), "{case}");
            assert!(!diag.has_errors(), "{case}: {diag:?}");
            promises(&case, &unit, &first);
        }
    }
}

/// What holds of everything that a driver makes, whatever its runtime.
fn promises(case: &str, unit: &AgentUnit, lowered: &claw_types::driver::Lowered) {
    let is_proxied = matches!(unit.inference, Inference::Proxied { .. });
    for (path, file) in lowered.files.iter() {
        assert!(!["claw/AGENTS.md", "claw/CLAWDAPUS.md"].contains(&path.as_str()), "{case}: writes the contract");
        assert!(file.mode.bits() & 0o222 == 0, "{case}: {path} can be written");
        let is_private = file.mode.bits() & 0o077 == 0;
        assert!(!file.content.is_sealed() || is_private, "{case}: {path} holds a secret and is not private");
        let text = file.content.masked();
        assert!(!is_proxied || !text.contains("DEMO_API_KEY"), "{case}: a provider key beside a proxy");
        assert!(!is_proxied || !text.contains("http://p:1"), "{case}: a provider's address beside a proxy");
    }
    for value in lowered.env.values() {
        let EnvValue::Secret(secret) = value else { continue };
        assert!(
            !is_proxied
                || matches!(secret, SecretRef::ProxyToken(_) | SecretRef::Minted(..))
                // A token of the agent's own, under a name that its runtime reads.
                || unit.env.values().any(|own| own == value),
            "{case}: {secret} beside a proxy"
        );
    }
    // A directory that the agent may write to can be moved away with what is mounted in it, a contract or its skills: each on the
    // way is a mount itself.
    let volumes: Vec<&str> = lowered.state.iter().map(|state| state.target.as_str()).collect();
    for mount in &lowered.mounts {
        let target = mount.target.as_str();
        let is_below = |volume: &&&str| target.starts_with(&format!("{volume}/"));
        for (end, _) in target.match_indices('/').skip(1) {
            let above = &target[..end];
            let is_inside = volumes.iter().filter(is_below).any(|volume| above.len() >= volume.len());
            assert!(
                !is_inside || volumes.contains(&above),
                "{case}: {above}, on the way to {target}, can be moved away"
            );
        }
    }
    let facts = claw_drivers::find(unit.runtime.as_str()).expect("a driver").facts();
    if is_proxied && facts.standing.proxy.is_there() {
        let mut told: String = lowered.files.iter().map(|(_, file)| file.content.masked()).collect();
        told.extend(lowered.env.values().filter_map(|value| match value {
            EnvValue::Literal(text) => Some(text.as_str()),
            _ => None,
        }));
        assert!(told.contains("http://cllama-passthrough:8080"), "{case}: the proxy is nowhere");
    }
    assert_eq!(lowered.door.is_some(), facts.standing.door.is_there(), "{case}: a door, and what its facts say");
    assert_eq!(lowered.drain.is_some(), facts.standing.drain.is_there(), "{case}: a drain, and what its facts say");
    let session = lowered.door.as_ref().and_then(|door| door.session.map(|at| door.command.get(at).is_some()));
    assert_ne!(session, Some(false), "{case}: its door has no such word");
}

#[test]
fn every_driver_reads_health_from_an_answer_and_from_none() {
    for driver in claw_drivers::ALL {
        let name = driver.facts().name;
        let failed = ProbeOutput { exit_code: 1, stdout: String::new(), stderr: "noise".into() };
        assert_ne!(driver.read_health(&failed).status, HealthStatus::Healthy, "{name}");
        assert!(!driver.read_health(&failed).detail.is_empty(), "{name}");
        if driver.facts().probe == ProbeKind::Exec {
            let noisy = "{\"status\": 1}\nwarning: {\"status\":\"unhealthy\"}\n{\"status\":\"healthy\"}\n";
            let stderr = "{\"status\":\"unhealthy\"}\n".to_owned();
            let answered = ProbeOutput { exit_code: 0, stdout: noisy.into(), stderr };
            assert_eq!(driver.read_health(&answered).status, HealthStatus::Healthy, "{name} loses its answer in noise");
            let silent = ProbeOutput { exit_code: 0, stdout: "fine?".into(), stderr: String::new() };
            assert_ne!(driver.read_health(&silent).status, HealthStatus::Healthy, "{name} takes anything for health");
        }
    }
}

#[test]
fn drivers_are_listed_by_name_and_found_by_it() {
    let names = claw_drivers::names();
    assert!(names.is_sorted_by(|one, next| one < next), "{names:?}");
    assert!(claw_drivers::ALL.is_sorted_by_key(|driver| driver.facts().name));
    assert!(names.iter().all(|name| claw_drivers::find(name).is_some_and(|driver| driver.facts().is_called(name))));
    assert!(claw_drivers::find("nobody").is_none());
}

/// Returns what a driver makes of a unit, as text: files with their secrets as holes, then everything else.
fn shown(lowered: &claw_types::driver::Lowered) -> String {
    let mut text = String::new();
    for (path, file) in lowered.files.iter() {
        text.push_str(&format!("== {path} {:o}\n{}", file.mode.bits(), file.content.masked()));
    }
    for (name, value) in &lowered.env {
        let value = match value {
            EnvValue::Literal(text) => text.clone(),
            EnvValue::Template { written, .. } => written.clone(),
            EnvValue::Secret(secret) => format!("<{secret}>"),
        };
        text.push_str(&format!("env {name}={value}\n"));
    }
    let mounts = lowered.mounts.iter().map(|mount| format!("mount {} at {}\n", mount.source, mount.target));
    text.extend(mounts);
    text.extend(lowered.state.iter().map(|state| format!("state {} at {}\n", state.key, state.target)));
    text.extend(lowered.secrets.iter().map(|secret| format!("reads {secret}\n")));
    text.push_str(&format!("program {:?}\nprobe {:?}\ndoor {:?}\n", lowered.program, lowered.probe, lowered.door));
    text.push_str(&format!("detail {:?}\nafter start {:?}\n", lowered.detail, lowered.after_start));
    text.push_str(&format!("drain {:?}\nreading {:?}\n", lowered.drain, lowered.reading));
    text.push_str(&format!(
        "writable {:?}, programs in temporary files: {}\n",
        lowered.needs.writable, lowered.needs.exec_tmp
    ));
    text
}

fn is_snapping() -> bool {
    std::env::var_os("CLAW_SNAP").is_some()
}

#[test]
fn every_driver_makes_of_its_cases_what_was_read_and_accepted() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for driver in claw_drivers::ALL {
        let name = driver.facts().name;
        let cases = [
            ("direct", unit(name, false, 0, 1, false)),
            ("everything", everything(name)),
            ("everything-proxied", everything_proxied(name)),
            ("proxied-replica-with-skill", unit(name, true, 2, 3, true)),
        ];
        for (case, unit) in cases {
            let made = shown(&driver.lower(&unit, &mut Diagnostics::new()).expect("lowered"));
            let path = folder.join(name).join("cases").join(format!("{case}.txt"));
            if is_snapping() {
                std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
                std::fs::write(&path, &made).expect("written");
            }
            let expected = std::fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(made, expected, "{}: `make snap` after reading why", path.display());
        }
    }
}

#[test]
fn an_image_of_a_runtime_is_what_its_facts_say() {
    for facts in claw_drivers::ALL.iter().map(|driver| driver.facts()) {
        let Some(base) = &facts.base else { continue };
        let last = base.dockerfile.rsplit("\nFROM ").next().expect("a stage");
        let line = |word: &str| last.lines().rev().find_map(|line| line.strip_prefix(word)).unwrap_or("").trim();
        let argv = |text: &str| serde_json::from_str::<Vec<String>>(text).unwrap_or_default();
        assert_eq!(argv(line("ENTRYPOINT ")), base.entrypoint, "{}", facts.name);
        assert_eq!(argv(line("CMD ")), base.command, "{}", facts.name);
        assert_eq!(line("USER "), format!("{}:{}", facts.user.0, facts.user.1), "{}", facts.name);
        assert!(base.dockerfile.contains(base.version), "{}", facts.name);
        assert!(!base.dockerfile.contains("\nVOLUME"), "{}: an anonymous volume", facts.name);
    }
}
