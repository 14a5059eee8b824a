//! The Claude Agent SDK in one hardened container, run by a small program of claw's own.
//!
//! The SDK is a library and has no server, no schedules and no health of its own: `runner.mjs` beside this file is all
//! three. It is shipped with the unit, so that a new claw brings a new runner and the image stays. Everything here was
//! seen in version 0.3.328 from npm: `make test-runtimes` has that program judge what this driver writes.

use claw_types::agent::{AgentUnit, EnvValue};
use claw_types::diag::{Code, Diagnostic, Diagnostics, Reported};
use claw_types::doc::Content;
use claw_types::driver::{
    BaseImage, Door, Drain, Driver, DriverFacts, FileMount, Health, Lowered, Probe, ProbeKind, ProbeOutput,
    RuntimeNeeds, SecretDelivery, SkillLayout, StateVolume,
};
use claw_types::files::FileTree;
use claw_types::id::EnvName;
use claw_types::path::{ContainerPath, PodPath};
use claw_types::provider::WireFormat;
use claw_types::standing::{Alias, Standing, Standings, Versions};

use crate::common::unit;

mod config;
mod health;
mod schedules;
mod settings;

/// The driver.
pub(crate) struct ClaudeAgentSdk;

static FACTS: DriverFacts = DriverFacts {
    name: "claude-agent-sdk",
    aliases: &[Alias {
        name: "nanoclaw",
        note: "nanoclaw starts containers of its own through the engine's socket, which an agent never gets; \
               what it runs in them is the Claude Agent SDK, and that runs here by itself",
    }],
    summary: "the Claude Agent SDK with a small runner of claw's",
    source: "@anthropic-ai/claude-agent-sdk 0.3.328 from npm, run",
    versions: Versions { from: VERSION, to: VERSION },
    standing: Standings {
        configuration: Standing::Ran,
        contract: Standing::Ran,
        fallbacks: Standing::Ran,
        proxy: Standing::Ran,
        channels: Standing::No,
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
        repository: "claw/claude-agent-sdk",
        version: VERSION,
        dockerfile: include_str!("Dockerfile"),
        entrypoint: &["node"],
        command: &["/claw/runner.mjs", "serve"],
        former: &["nanoclaw-orchestrator"],
    }),
    formats: &[WireFormat::Anthropic],
    platforms: &[],
    linked: &[],
    egress: &[],
    secrets: SecretDelivery::Files,
    memory_mib: 2048,
    stop_grace_seconds: 15,
    start_seconds: 60,
    probe: ProbeKind::Http,
    probe_seconds: 5,
};

/// The version these facts are of.
const VERSION: &str = "0.3.328";

/// What the agent cannot write: its contract and its skills.
const ROOT: &str = "/agent";

/// Where it keeps what it remembers, and works.
const STATE: &str = "/agent/state";

const WORK: &str = "/agent/state/work";

const HOME: &str = "/home/claw";

/// The port of the runner, on the container's loopback.
const PORT: u16 = 8710;

/// The conversation of `claw ask` where none is named.
const SESSION: &str = "claw";

impl Driver for ClaudeAgentSdk {
    fn facts(&self) -> &'static DriverFacts {
        &FACTS
    }

    fn check(&self, unit: &AgentUnit, diag: &mut Diagnostics) {
        config::check(unit, diag);
        schedules::check(unit, diag);
        settings::check(unit, diag);
    }

    fn lower(&self, unit: &AgentUnit, diag: &mut Diagnostics) -> Result<Lowered, Reported> {
        let mark = diag.mark();
        let mut files = FileTree::new();
        let mut add =
            |path: &str, content: Content, diag: &mut Diagnostics| unit::add(&mut files, path, content, unit, diag);
        add("claw/agent.json", config::config(unit).to_json(), diag);
        add("claw/runner.mjs", Content::text(include_str!("runner.mjs")), diag);
        let bad =
            |why: String, diag: &mut Diagnostics| diag.report(Diagnostic::error(Code::NameCollision, unit.origin, why));
        let path =
            |text: &str, diag: &mut Diagnostics| ContainerPath::parse(text).map_err(|why| bad(why.to_string(), diag));
        let mount = |source: &str, target: String, diag: &mut Diagnostics| -> Result<FileMount, Reported> {
            let source = PodPath::parse(source).map_err(|why| bad(why.to_string(), diag))?;
            Ok(FileMount { source, target: path(&target, diag)? })
        };
        let lowered = Lowered {
            mounts: vec![
                mount("claw/AGENTS.md", format!("{ROOT}/CLAUDE.md"), diag)?,
                mount("claw/skills", format!("{ROOT}/.claude/skills"), diag)?,
            ],
            env: [("HOME", HOME)]
                .into_iter()
                .filter_map(|(name, value)| {
                    EnvName::parse(name).ok().map(|name| (name, EnvValue::Literal(value.to_owned())))
                })
                .collect(),
            program: Some(runner(&["serve"])),
            state: vec![StateVolume { key: "state", target: path(STATE, diag)? }],
            needs: RuntimeNeeds { writable: vec![path(HOME, diag)?], exec_tmp: false },
            probe: Probe::Http { port: PORT, path: "/health" },
            reading: Some(runner(&["reading"])),
            door: Some(Door { command: runner(&["ask", SESSION]), session: Some(3) }),
            drain: Some(Drain { command: runner(&["drain"]), seconds: 120 }),
            files,
            ..Lowered::default()
        };
        diag.finish(mark, lowered)
    }

    fn read_health(&self, output: &ProbeOutput) -> Health {
        health::read(output)
    }
}

/// Returns a command of the runner.
fn runner(words: &[&str]) -> Vec<String> {
    ["node", "/claw/runner.mjs"].iter().chain(words).map(|word| (*word).to_owned()).collect()
}
