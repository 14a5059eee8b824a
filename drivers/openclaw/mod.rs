//! openclaw, the personal agent with chat channels.
//!
//! Its configuration is one JSON file, `/claw/openclaw.json`, which it cannot change; its memory is a volume. Everything
//! here was seen in openclaw 2026.9.6 from npm: `make test-runtimes` has that program judge what this driver writes.

use claw_types::agent::{AgentUnit, EnvValue};
use claw_types::diag::{Diagnostics, Reported};
use claw_types::doc::Content;
use claw_types::driver::{
    AfterStart, BaseImage, Door, Drain, Driver, DriverFacts, FileMount, Health, Lowered, Probe, ProbeKind, ProbeOutput,
    SecretDelivery, SkillLayout, StateVolume,
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
pub(crate) struct Openclaw;

static FACTS: DriverFacts = DriverFacts {
    name: "openclaw",
    aliases: &[],
    summary: "the personal agent with chat channels",
    source: "openclaw 2026.9.6 from npm, run",
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
        repository: "claw/openclaw",
        version: VERSION,
        dockerfile: include_str!("Dockerfile"),
        entrypoint: &["openclaw"],
        command: &["gateway", "run"],
        former: &["openclaw"],
    }),
    formats: &[WireFormat::OpenAi, WireFormat::Anthropic, WireFormat::Responses],
    platforms: channels::PLATFORMS,
    linked: &["whatsapp"],
    egress: &[],
    secrets: SecretDelivery::Files,
    memory_mib: 2048,
    stop_grace_seconds: 30,
    start_seconds: 300,
    probe: ProbeKind::Http,
    probe_seconds: 10,
};

/// The version these facts are of.
const VERSION: &str = "2026.9.6";

/// Where it keeps what it remembers.
const STATE: &str = "/var/lib/openclaw";

/// Where it works; its contract is mounted into it.
const WORKSPACE: &str = "/var/lib/openclaw/workspace";

/// The directory of its persona there: it reads nothing outside of where it works.
const PERSONA: &str = "persona";

const HOME: &str = "/home/claw";

/// Its configuration.
const CONFIG: &str = "/claw/openclaw.json";

/// The port of its gateway, on the container's loopback.
const PORT: u16 = 18789;

/// Refuses new work and waits for what was begun (`openclaw gateway suspend`, 2026.9.6); its own deadline is before claw's.
const DRAIN: [&str; 5] = ["openclaw", "gateway", "suspend", "--wait", "100"];

/// The token of its gateway, which claw makes.
const GATEWAY_TOKEN: &str = "OPENCLAW_GATEWAY_TOKEN";

impl Driver for Openclaw {
    fn facts(&self) -> &'static DriverFacts {
        &FACTS
    }

    fn check(&self, unit: &AgentUnit, diag: &mut Diagnostics) {
        unit::primary(unit, diag);
        channels::check(unit, diag);
        cron::check(FACTS.name, cron::Knows::Marks, Some([60, 24, 31, 12, 7]), unit, diag);
        settings::rules().check(unit, diag);
    }

    fn lower(&self, unit: &AgentUnit, diag: &mut Diagnostics) -> Result<Lowered, Reported> {
        let mark = diag.mark();
        let mut files = FileTree::new();
        let mut add =
            |path: &str, content: Content, diag: &mut Diagnostics| unit::add(&mut files, path, content, unit, diag);
        let mut config = config::config(unit);
        settings::rules().apply(unit, &mut config, diag);
        add("claw/openclaw.json", config.to_json(), diag);
        add("claw/schedules.json", schedules::jobs(unit).to_json(), diag);
        add("claw/schedules.mjs", Content::text(schedules::SCRIPT), diag);
        add("claw/reading.mjs", Content::text(include_str!("reading.mjs")), diag);
        let path = |text: &str, diag: &mut Diagnostics| unit::path(text, unit, diag);
        let contract = unit::source("claw/AGENTS.md", unit, diag)?;
        let lowered = Lowered {
            mounts: vec![FileMount { source: contract, target: path(&format!("{WORKSPACE}/AGENTS.md"), diag)? }],
            persona: unit.persona.as_ref().map(|_| path(&format!("{WORKSPACE}/{PERSONA}"), diag)).transpose()?,
            env: environment(),
            secrets: gateway_token(unit).into_iter().collect(),
            // Mounts lie in the workspace, so it is one itself: a directory could be moved away with what is mounted in it.
            state: vec![
                StateVolume { key: "state", target: path(STATE, diag)? },
                StateVolume { key: "workspace", target: path(WORKSPACE, diag)? },
            ],
            needs: claw_types::driver::RuntimeNeeds { writable: vec![path(HOME, diag)?], exec_tmp: false },
            probe: Probe::Http { port: PORT, path: "/readyz" },
            detail: Some(unit::program(&["openclaw", "health", "--json", "--timeout", "5000"])),
            reading: Some(unit::program(&["node", "/claw/reading.mjs"])),
            door: Some(Door { command: door(), session: Some(5) }),
            after_start: vec![AfterStart {
                what: "schedules",
                has_content: !unit.schedules.is_empty(),
                command: unit::program(&["node", "/claw/schedules.mjs", "/claw/schedules.json"]),
                seconds: 300,
            }],
            drain: Some(Drain { command: unit::program(&DRAIN), seconds: 120 }),
            files,
            ..Lowered::default()
        };
        diag.finish(mark, lowered)
    }

    fn read_health(&self, output: &ProbeOutput) -> Health {
        health::read(output)
    }
}

/// What asks it: one turn of its main agent, the answer as text.
fn door() -> Vec<String> {
    unit::program(&["openclaw", "agent", "--agent", "main", "--session-key", "agent:main:claw", "--message"])
}

/// Returns the token of its gateway.
fn gateway_token(unit: &AgentUnit) -> Option<SecretRef> {
    EnvName::parse(GATEWAY_TOKEN).ok().map(|name| SecretRef::Minted(unit.id.clone(), name))
}

/// What it is told beside its configuration: where things are, and to leave the outside alone.
fn environment() -> std::collections::BTreeMap<EnvName, EnvValue> {
    let texts = [
        ("DO_NOT_TRACK", "1"),
        ("HOME", HOME),
        ("OPENCLAW_CONFIG_PATH", CONFIG),
        ("OPENCLAW_CONFIG_READONLY", "1"),
        ("OPENCLAW_DISABLE_BONJOUR", "1"),
        ("OPENCLAW_NO_AUTO_UPDATE", "1"),
        ("OPENCLAW_OFFLINE", "1"),
        ("OPENCLAW_STATE_DIR", STATE),
    ];
    unit::texts(&texts)
}
