//! hermes, the agent that learns, with chat channels and a scheduler of its own.
//!
//! Its configuration is one file, which it reads at two places and can write at neither: as its own, and as an
//! administrator's. Everything here was seen in hermes-agent 0.19.0 from PyPI: `make test-runtimes` has that program judge
//! what this driver writes.

use std::collections::BTreeMap;

use claw_types::agent::{AgentUnit, EnvValue};
use claw_types::diag::{Diagnostics, Reported};
use claw_types::doc::Content;
use claw_types::driver::{
    AfterStart, BaseImage, Door, Drain, Driver, DriverFacts, FileMount, Health, Lowered, Probe, ProbeKind, ProbeOutput,
    RuntimeNeeds, SecretDelivery, SkillLayout, StateVolume,
};
use claw_types::files::FileTree;
use claw_types::id::EnvName;
use claw_types::provider::WireFormat;
use claw_types::secret::SecretRef;
use claw_types::standing::{Standing, Standings, Versions};

use crate::common::{cron, unit};

mod channels;
mod config;
mod health;
mod schedules;
mod settings;

/// The driver.
pub(crate) struct Hermes;

static FACTS: DriverFacts = DriverFacts {
    name: "hermes",
    aliases: &[],
    summary: "the agent that learns, with chat channels",
    source: "hermes-agent 0.19.0 from PyPI, run",
    versions: Versions { from: VERSION, to: VERSION },
    standing: Standings {
        configuration: Standing::Ran,
        contract: Standing::Ran,
        fallbacks: Standing::Ran,
        proxy: Standing::Ran,
        channels: Standing::Read,
        schedules: Standing::Ran,
        skills: Standing::Ran,
        mcp: Standing::Ran,
        settings: Standing::Ran,
        health: Standing::Ran,
        door: Standing::Ran,
        drain: Standing::Ran,
        hardened: Standing::Ran,
    },
    user: (10001, 10001),
    home: HOME,
    skill_layout: SkillLayout::Directory,
    slots: config::SLOTS,
    base: Some(BaseImage {
        repository: "claw/hermes",
        version: VERSION,
        dockerfile: include_str!("Dockerfile"),
        entrypoint: &["hermes"],
        command: &["gateway", "run"],
        former: &[],
    }),
    formats: &[WireFormat::OpenAi, WireFormat::Anthropic, WireFormat::Responses],
    platforms: channels::PLATFORMS,
    linked: &[],
    egress: &[],
    secrets: SecretDelivery::Environment,
    memory_mib: 1024,
    stop_grace_seconds: 30,
    start_seconds: 120,
    probe: ProbeKind::Http,
    probe_seconds: 10,
};

/// The version these facts are of.
const VERSION: &str = "0.19.0";

/// Where it keeps what it remembers.
const STATE: &str = "/var/lib/hermes";

/// Where it works; its contract is mounted into it.
const WORKSPACE: &str = "/var/lib/hermes/workspace";

const HOME: &str = "/home/claw";

/// The directory of an administrator's configuration, which wins over its own.
const MANAGED: &str = "/claw/hermes";

/// The port of its API server, on the container's loopback.
const PORT: u16 = 8642;

/// The key of its API server, which claw makes.
const API_KEY: &str = "API_SERVER_KEY";

/// What claw asks of it inside the container.
const SCRIPT: &str = include_str!("runtime.py");

/// A file of claw's, and every place where hermes reads it.
const PLACES: &[(&str, &str)] = &[
    ("claw/hermes/config.yaml", "config.yaml"),
    // An own `.env` would win over the container's variables; this one is empty.
    ("claw/hermes/empty", ".env"),
    ("claw/AGENTS.md", "workspace/AGENTS.md"),
    // It reads this one instead where there is anything in it, and could write it.
    ("claw/hermes/empty", "workspace/.hermes.md"),
];

impl Driver for Hermes {
    fn facts(&self) -> &'static DriverFacts {
        &FACTS
    }

    fn check(&self, unit: &AgentUnit, diag: &mut Diagnostics) {
        unit::primary(unit, diag);
        unit::overrides(FACTS.name, channels::is_rule, unit, diag);
        channels::check(unit, diag);
        cron::check(FACTS.name, cron::Knows::Numbers, None, unit, diag);
        settings::rules().check(unit, diag);
    }

    fn lower(&self, unit: &AgentUnit, diag: &mut Diagnostics) -> Result<Lowered, Reported> {
        let mark = diag.mark();
        let mut files = FileTree::new();
        let mut add =
            |path: &str, content: Content, diag: &mut Diagnostics| unit::add(&mut files, path, content, unit, diag);
        let mut config = config::config(unit);
        settings::rules().apply(unit, &mut config, diag);
        add("claw/hermes/config.yaml", config.to_json(), diag);
        add("claw/hermes/empty", Content::text("\n"), diag);
        add("claw/runtime.py", Content::text(SCRIPT), diag);
        add("claw/schedules.json", schedules::jobs(unit).to_json(), diag);
        let path = |text: &str, diag: &mut Diagnostics| unit::path(text, unit, diag);
        let mut mounts = Vec::new();
        for (source, target) in PLACES {
            let source = unit::source(source, unit, diag)?;
            mounts.push(FileMount { source, target: path(&format!("{STATE}/{target}"), diag)? });
        }
        let mut env = environment();
        env.extend(channels::environment(unit));
        let lowered = Lowered {
            mounts,
            env,
            program: Some(script(&["serve"])),
            secrets: api_key(unit).into_iter().collect(),
            // Mounts lie in the workspace, so it is one itself: a directory could be moved away with what is mounted in it.
            state: vec![
                StateVolume { key: "state", target: path(STATE, diag)? },
                StateVolume { key: "workspace", target: path(WORKSPACE, diag)? },
            ],
            needs: RuntimeNeeds { writable: vec![path(HOME, diag)?], exec_tmp: false },
            probe: Probe::Http { port: PORT, path: "/health" },
            detail: Some(script(&["health"])),
            reading: Some(script(&["reading"])),
            door: Some(Door { command: script(&["ask", "claw"]), session: Some(3) }),
            after_start: told(unit),
            drain: Some(Drain { command: script(&["drain", "100"]), seconds: 120 }),
            files,
            ..Lowered::default()
        };
        diag.finish(mark, lowered)
    }

    fn read_health(&self, output: &ProbeOutput) -> Health {
        health::read(output)
    }
}

/// Returns a command of the script, by the python that has hermes in it.
fn script(words: &[&str]) -> Vec<String> {
    ["python3", "/claw/runtime.py"].iter().chain(words).map(|word| (*word).to_owned()).collect()
}

/// What it is told once it runs.
fn told(unit: &AgentUnit) -> Vec<AfterStart> {
    let schedules = AfterStart {
        what: "schedules",
        has_content: !unit.schedules.is_empty(),
        command: script(&["schedules", "/claw/schedules.json"]),
        seconds: 120,
    };
    // A conversation would keep the contract that it began with.
    let command = script(&["contract", "/claw/AGENTS.md"]);
    vec![AfterStart { what: "contract", has_content: true, command, seconds: 60 }, schedules]
}

/// Returns the key of its API server.
fn api_key(unit: &AgentUnit) -> Option<SecretRef> {
    EnvName::parse(API_KEY).ok().map(|name| SecretRef::Minted(unit.id.clone(), name))
}

/// What it is told beside its configuration: where things are, and to leave the outside alone.
fn environment() -> BTreeMap<EnvName, EnvValue> {
    let texts = [
        ("API_SERVER_ENABLED", "true".to_owned()),
        ("API_SERVER_HOST", "127.0.0.1".to_owned()),
        ("API_SERVER_PORT", PORT.to_string()),
        ("HERMES_DISABLE_LAZY_INSTALLS", "1".to_owned()),
        ("HERMES_HOME", STATE.to_owned()),
        ("HERMES_MANAGED_DIR", MANAGED.to_owned()),
        ("HOME", HOME.to_owned()),
        ("PYTHONDONTWRITEBYTECODE", "1".to_owned()),
        ("TIRITH_ENABLED", "false".to_owned()),
    ];
    let named = texts
        .into_iter()
        .filter_map(|(name, value)| EnvName::parse(name).ok().map(|name| (name, EnvValue::Literal(value))));
    named.collect()
}
