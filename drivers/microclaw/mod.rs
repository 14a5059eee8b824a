//! microclaw, an agent for chat groups written in Rust.
//!
//! Everything here was read in its source (0.5.0); a build of it was run once with a configuration of the same keys, not with what
//! this driver writes. Its configuration is YAML, which holds its tokens: it takes them from nowhere else.

use claw_types::agent::{AgentUnit, Inference};
use claw_types::diag::{Code, Diagnostic, Diagnostics, Reported};
use claw_types::doc::Doc;
use claw_types::driver::{
    Door, Driver, DriverFacts, FileMount, Health, HealthStatus, Lowered, Probe, ProbeKind, ProbeOutput, SecretDelivery,
    SkillLayout, StateVolume,
};
use claw_types::files::FileTree;
use claw_types::id::EnvName;
use claw_types::provider::WireFormat;
use claw_types::secret::SecretRef;
use claw_types::standing::{Standing, Standings, Versions};

use crate::common::{answer, table, unit};

mod channels;
mod config;

/// The driver.
pub(crate) struct Microclaw;

static FACTS: DriverFacts = DriverFacts {
    name: "microclaw",
    aliases: &[],
    summary: "an agent for chat groups, written in Rust",
    source: "the source of microclaw 0.5.0 (github.com/microclaw/microclaw, August 2026), read",
    versions: Versions { from: "0.5.0", to: "0.5.0" },
    standing: Standings {
        configuration: Standing::Read,
        contract: Standing::Read,
        fallbacks: Standing::Read,
        proxy: Standing::Read,
        channels: Standing::Read,
        // Its tasks are rows of its database, made by the agent's own tools: there is no file and no command for them.
        schedules: Standing::No,
        skills: Standing::Read,
        mcp: Standing::Read,
        settings: Standing::Read,
        health: Standing::Read,
        door: Standing::Read,
        drain: Standing::No,
        hardened: Standing::Read,
    },
    user: (10001, 10001),
    home: STATE,
    skill_layout: SkillLayout::Directory,
    slots: config::SLOTS,
    base: None,
    formats: &[WireFormat::OpenAi, WireFormat::Anthropic],
    platforms: channels::PLATFORMS,
    linked: &[],
    egress: &[],
    secrets: SecretDelivery::Files,
    memory_mib: 512,
    // It has no handler for the signal: it is gone at once.
    stop_grace_seconds: 5,
    start_seconds: 30,
    probe: ProbeKind::Http,
    probe_seconds: 10,
};

/// Where it keeps what it remembers.
const STATE: &str = "/var/lib/microclaw";

/// Where its skills are; it writes its own beside them.
const SKILLS: &str = "/var/lib/microclaw/skills";

/// The port of its web server, on the container's loopback.
const PORT: u16 = 10961;

/// The token of its web server, which claw makes: without one the password would be one that everybody knows.
const WEB_TOKEN: &str = "MICROCLAW_WEB_TOKEN";

impl Driver for Microclaw {
    fn facts(&self) -> &'static DriverFacts {
        &FACTS
    }

    fn check(&self, unit: &AgentUnit, diag: &mut Diagnostics) {
        unit::primary(unit, diag);
        unit::overrides(FACTS.name, |name| name.starts_with("MICROCLAW_"), unit, diag);
        table::check(FACTS.name, config::SETTINGS, unit, diag);
        channels::check(unit, diag);
        let mut refuse = |message: String, help: &str| {
            diag.push(Diagnostic::error(Code::RuntimeCannot, unit.origin, message).help(help));
        };
        if unit::of_slot(unit, "fallback").count() > 1 {
            let message = format!("`{}` has several models in `fallback`, and microclaw takes one", unit.service);
            refuse(message, "leave one; a proxy of the pod can have more");
        }
        if let Inference::Direct { upstreams } = &unit.inference {
            for (name, upstream) in upstreams.iter().filter(|(_, upstream)| !FACTS.formats.contains(&upstream.format)) {
                let message =
                    format!("the runtime `microclaw` does not speak `{}` to `{name}`", upstream.format.name());
                refuse(message, "use a provider that speaks `openai` or `anthropic`, or the pod's proxy");
            }
            let primary = unit::of_slot(unit, "primary").next().map(|model| &model.provider);
            for model in unit.models.values().flatten().filter(|model| Some(&model.provider) != primary) {
                let message = format!("microclaw asks the provider of the primary model for `{model}` too");
                refuse(message, "take a model of the same provider, or `cllama`: a proxy has all of them");
            }
        }
    }

    fn lower(&self, unit: &AgentUnit, diag: &mut Diagnostics) -> Result<Lowered, Reported> {
        let mark = diag.mark();
        let mut files = FileTree::new();
        let mut config = config::config(unit, web_token(unit));
        table::apply(&unit.settings, &mut config);
        // JSON is YAML, and needs no other writer.
        unit::add(&mut files, "claw/microclaw/config.yaml", config.to_json(), unit, diag);
        let mut places = Vec::new();
        let servers = config::servers(unit);
        if servers != Doc::Null {
            unit::add(&mut files, "claw/microclaw/mcp.json", servers.to_json(), unit, diag);
            places.push(("claw/microclaw/mcp.json".to_owned(), format!("{STATE}/mcp.json")));
        }
        places.extend(unit.skills.keys().map(|name| (format!("claw/skills/{name}"), format!("{SKILLS}/{name}"))));
        let mut mounts = Vec::new();
        for (source, target) in places {
            let (source, target) = (unit::source(&source, unit, diag)?, unit::path(&target, unit, diag)?);
            mounts.push(FileMount { source, target });
        }
        let lowered = Lowered {
            files,
            mounts,
            env: unit::texts(&[("HOME", STATE), ("MICROCLAW_CONFIG", "/claw/microclaw/config.yaml")]),
            program: Some(unit::program(&["microclaw", "start"])),
            state: vec![
                StateVolume { key: "skills", target: unit::path(SKILLS, unit, diag)? },
                StateVolume { key: "state", target: unit::path(STATE, unit, diag)? },
            ],
            probe: Probe::Http { port: PORT, path: "/health" },
            door: Some(Door { command: unit::program(&["microclaw", "run", "--json", "-p"]), session: None }),
            ..Lowered::default()
        };
        diag.finish(mark, lowered)
    }

    fn read_health(&self, output: &ProbeOutput) -> Health {
        let answer = answer::answer(&output.stdout);
        let is_ok = answer.as_ref().and_then(|answer| answer["ok"].as_bool());
        let (status, detail) = match (output.exit_code, is_ok) {
            (0, Some(true)) => (HealthStatus::Healthy, "ready; it does not tell of its channels".to_owned()),
            (_, Some(false)) => (HealthStatus::Unhealthy, "its web server says that it is not well".to_owned()),
            (code, _) => (HealthStatus::Unhealthy, format!("its web server does not answer (exit {code})")),
        };
        Health { status, detail }
    }
}

fn web_token(unit: &AgentUnit) -> Option<SecretRef> {
    EnvName::parse(WEB_TOKEN).ok().map(|name| SecretRef::Minted(unit.id.clone(), name))
}
