//! nanobot, the small personal assistant with many chat channels.
//!
//! Its configuration is one JSON file in the directory of its state, which it cannot change. Everything here was seen in
//! nanobot-ai 0.3.5 from PyPI: `make test-runtimes` has that program judge what this driver writes.

use claw_types::agent::{AgentUnit, EnvValue};
use claw_types::diag::{Diagnostics, Reported};
use claw_types::doc::Content;
use claw_types::driver::{
    AfterStart, BaseImage, Door, Driver, DriverFacts, FileMount, Health, Lowered, Probe, ProbeKind, ProbeOutput,
    RuntimeNeeds, SecretDelivery, SkillLayout, StateVolume,
};
use claw_types::files::FileTree;
use claw_types::id::EnvName;
use claw_types::provider::WireFormat;
use claw_types::standing::{Standing, Standings, Versions};

use crate::common::{cron, unit};

mod channels;
mod config;
mod health;
mod schedules;
mod settings;

/// The driver.
pub(crate) struct Nanobot;

static FACTS: DriverFacts = DriverFacts {
    name: "nanobot",
    aliases: &[],
    summary: "the small personal assistant with many chat channels",
    source: "nanobot-ai 0.3.5 from PyPI, run",
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
        drain: Standing::No,
        hardened: Standing::Ran,
    },
    user: (10001, 10001),
    home: HOME,
    skill_layout: SkillLayout::Directory,
    slots: config::SLOTS,
    base: Some(BaseImage {
        repository: "claw/nanobot",
        version: VERSION,
        dockerfile: include_str!("Dockerfile"),
        entrypoint: &["nanobot"],
        command: &["gateway", "--config", CONFIG, "--foreground"],
        former: &["nanobot"],
    }),
    formats: &[WireFormat::OpenAi, WireFormat::Anthropic],
    platforms: channels::PLATFORMS,
    linked: &["whatsapp"],
    egress: &[],
    secrets: SecretDelivery::Files,
    memory_mib: 512,
    stop_grace_seconds: 30,
    start_seconds: 120,
    probe: ProbeKind::Http,
    probe_seconds: 10,
};

/// The version these facts are of.
const VERSION: &str = "0.3.5";

/// Where it keeps what it remembers. Everything hangs off the directory of its configuration.
const STATE: &str = "/var/lib/nanobot";

/// Where it works; its contract and its skills are mounted into it.
const WORKSPACE: &str = "/var/lib/nanobot/workspace";

/// Its configuration.
const CONFIG: &str = "/var/lib/nanobot/config.json";

const HOME: &str = "/home/claw";

/// What begins it, declares its schedules, asks it and looks at it.
const PROGRAM: &str = "/claw/claw_nanobot.py";

/// Its schedules, as that program reads them.
const SCHEDULES: &str = "/claw/schedules.json";

/// The port of its gateway's health, on the container's loopback.
const PORT: u16 = 18790;

impl Driver for Nanobot {
    fn facts(&self) -> &'static DriverFacts {
        &FACTS
    }

    fn check(&self, unit: &AgentUnit, diag: &mut Diagnostics) {
        config::check(unit, diag);
        channels::check(unit, diag);
        cron::check(FACTS.name, cron::Knows::Names, None, unit, diag);
        settings::rules().check(unit, diag);
    }

    fn lower(&self, unit: &AgentUnit, diag: &mut Diagnostics) -> Result<Lowered, Reported> {
        let mark = diag.mark();
        let mut files = FileTree::new();
        let mut add =
            |path: &str, content: Content, diag: &mut Diagnostics| unit::add(&mut files, path, content, unit, diag);
        let mut config = config::config(unit);
        settings::rules().apply(unit, &mut config, diag);
        add("claw/nanobot.json", config.to_json(), diag);
        add("claw/schedules.json", schedules::jobs(unit).to_json(), diag);
        add("claw/claw_nanobot.py", Content::text(include_str!("claw_nanobot.py")), diag);
        let path = |text: &str, diag: &mut Diagnostics| unit::path(text, unit, diag);
        let mount = |source: &str, target: &str, diag: &mut Diagnostics| {
            let source = unit::source(source, unit, diag)?;
            Ok(FileMount { source, target: path(target, diag)? })
        };
        let lowered = Lowered {
            mounts: vec![
                mount("claw/nanobot.json", CONFIG, diag)?,
                mount("claw/AGENTS.md", &format!("{WORKSPACE}/AGENTS.md"), diag)?,
                mount("claw/skills", &format!("{WORKSPACE}/skills"), diag)?,
            ],
            env: environment(),
            program: Some(program("serve", &[SCHEDULES])),
            persona: Some(path(&format!("{WORKSPACE}/persona"), diag)?),
            // Mounts lie in the workspace, so it is one itself: a directory could be moved away with what is mounted in it.
            state: vec![
                StateVolume { key: "state", target: path(STATE, diag)? },
                StateVolume { key: "workspace", target: path(WORKSPACE, diag)? },
            ],
            needs: RuntimeNeeds { writable: vec![path(HOME, diag)?], exec_tmp: false },
            probe: Probe::Http { port: PORT, path: "/health" },
            detail: Some(program("health", &[])),
            reading: Some(program("reading", &[])),
            door: Some(Door { command: program("ask", &["main"]), session: Some(4) }),
            after_start: vec![AfterStart {
                what: "schedules",
                has_content: !unit.schedules.is_empty(),
                command: program("schedules", &[SCHEDULES]),
                seconds: 60,
            }],
            files,
            ..Lowered::default()
        };
        diag.finish(mark, lowered)
    }

    fn read_health(&self, output: &ProbeOutput) -> Health {
        health::read(output)
    }
}

/// Returns a command of claw's own program in the container.
fn program(command: &str, more: &[&str]) -> Vec<String> {
    let words = ["python3", PROGRAM, command, CONFIG].into_iter().chain(more.iter().copied());
    words.map(ToOwned::to_owned).collect()
}

/// What it is told beside its configuration.
fn environment() -> std::collections::BTreeMap<EnvName, EnvValue> {
    let texts = [("HOME", HOME), ("PYTHONDONTWRITEBYTECODE", "1"), ("PYTHONUNBUFFERED", "1")];
    unit::texts(&texts)
}
