//! nullclaw, the agent written in Zig.
//!
//! Everything here was read in its source (2026.2.26) and not run. Its configuration is one JSON file in its home, which holds tokens:
//! it takes them from nowhere else.

use claw_types::agent::{AgentUnit, Inference};
use claw_types::diag::{Code, Diagnostic, Diagnostics, Reported};
use claw_types::driver::{
    Door, Driver, DriverFacts, FileMount, Health, HealthStatus, Lowered, Probe, ProbeKind, ProbeOutput, SecretDelivery,
    SkillLayout, StateVolume,
};
use claw_types::files::FileTree;
use claw_types::provider::WireFormat;
use claw_types::standing::{Standing, Standings, Versions};

use crate::common::{answer, table, unit};

mod channels;
mod config;

/// The driver.
pub(crate) struct Nullclaw;

static FACTS: DriverFacts = DriverFacts {
    name: "nullclaw",
    aliases: &[],
    summary: "the small agent written in Zig",
    source: "the source of nullclaw 2026.2.26 (github.com/nullclaw/nullclaw), read",
    versions: Versions { from: "2026.2.26", to: "2026.2.26" },
    standing: Standings {
        configuration: Standing::Read,
        contract: Standing::Read,
        fallbacks: Standing::Read,
        proxy: Standing::Read,
        channels: Standing::Read,
        // It keeps its jobs in memory, writes their file over, and knows no time zone: a job could be put there once, and not changed.
        schedules: Standing::No,
        skills: Standing::Read,
        // It starts servers as programs of its own; one that is a service it does not reach.
        mcp: Standing::No,
        settings: Standing::Read,
        health: Standing::Read,
        door: Standing::Read,
        drain: Standing::No,
        hardened: Standing::Read,
    },
    user: (65534, 65534),
    home: HOME,
    skill_layout: SkillLayout::Directory,
    slots: &["primary", "fallback"],
    base: None,
    formats: &[WireFormat::OpenAi],
    platforms: channels::PLATFORMS,
    linked: &[],
    egress: &[],
    secrets: SecretDelivery::Files,
    memory_mib: 256,
    stop_grace_seconds: 15,
    start_seconds: 30,
    probe: ProbeKind::Http,
    probe_seconds: 10,
};

const HOME: &str = "/var/lib/nullclaw";

/// Where its configuration is, and what it remembers beside its workspace.
const STATE: &str = "/var/lib/nullclaw/.nullclaw";

/// Where it works; its contract and its skills are mounted into it.
const WORKSPACE: &str = "/var/lib/nullclaw/workspace";

/// The port of its gateway, on the container's loopback.
const PORT: u16 = 3000;

impl Driver for Nullclaw {
    fn facts(&self) -> &'static DriverFacts {
        &FACTS
    }

    fn check(&self, unit: &AgentUnit, diag: &mut Diagnostics) {
        unit::primary(unit, diag);
        unit::overrides(FACTS.name, |name| name.starts_with("NULLCLAW_"), unit, diag);
        table::check(FACTS.name, config::SETTINGS, unit, diag);
        channels::check(unit, diag);
        let mut refuse = |message: String, help: &str| {
            diag.push(Diagnostic::error(Code::RuntimeCannot, unit.origin, message).help(help));
        };
        if let Inference::Direct { upstreams } = &unit.inference {
            for (name, upstream) in upstreams.iter().filter(|(_, upstream)| !FACTS.formats.contains(&upstream.format)) {
                let message =
                    format!("the runtime `nullclaw` does not speak `{}` to `{name}` here", upstream.format.name());
                refuse(message, "use a provider that speaks `openai`, or the pod's proxy, which speaks for it");
            }
            let primary = unit::of_slot(unit, "primary").next().map(|model| &model.provider);
            for model in unit::of_slot(unit, "fallback").filter(|model| Some(&model.provider) != primary) {
                let message = format!("nullclaw asks the provider of the primary model for `{model}` too");
                refuse(message, "take a fallback of the same provider, or `cllama`: a proxy has all of them");
            }
        }
    }

    fn lower(&self, unit: &AgentUnit, diag: &mut Diagnostics) -> Result<Lowered, Reported> {
        let mark = diag.mark();
        let mut files = FileTree::new();
        let mut config = config::config(unit);
        table::apply(&unit.settings, &mut config);
        unit::add(&mut files, "claw/nullclaw/config.json", config.to_json(), unit, diag);
        let skills = (!unit.skills.is_empty()).then_some(("claw/skills", format!("{WORKSPACE}/skills")));
        let places = [
            ("claw/nullclaw/config.json", format!("{STATE}/config.json")),
            ("claw/AGENTS.md", format!("{WORKSPACE}/AGENTS.md")),
        ];
        let mut mounts = Vec::new();
        for (source, target) in places.into_iter().chain(skills) {
            mounts.push(FileMount {
                source: unit::source(source, unit, diag)?,
                target: unit::path(&target, unit, diag)?,
            });
        }
        let gateway = ["nullclaw", "gateway", "--host", "127.0.0.1", "--port", "3000"];
        let lowered = Lowered {
            files,
            mounts,
            env: unit::texts(&[("HOME", HOME), ("NULLCLAW_WORKSPACE", WORKSPACE)]),
            program: Some(unit::program(&gateway)),
            // Its tools reach nothing outside of the workspace.
            persona: Some(unit::path(&format!("{WORKSPACE}/persona"), unit, diag)?),
            state: vec![
                StateVolume { key: "state", target: unit::path(STATE, unit, diag)? },
                StateVolume { key: "workspace", target: unit::path(WORKSPACE, unit, diag)? },
            ],
            probe: Probe::Http { port: PORT, path: "/ready" },
            door: Some(Door { command: unit::program(&["nullclaw", "agent", "-m"]), session: None }),
            ..Lowered::default()
        };
        diag.finish(mark, lowered)
    }

    fn read_health(&self, output: &ProbeOutput) -> Health {
        let said = |status, detail: String| Health { status, detail };
        let answer = answer::answer(&output.stdout);
        match (output.exit_code, answer.as_ref().and_then(|answer| answer["status"].as_str())) {
            (0, Some("ready")) => said(HealthStatus::Healthy, "ready".to_owned()),
            (_, Some("not_ready")) => {
                let checks = answer.iter().flat_map(|answer| answer["checks"].as_array().into_iter().flatten());
                let failing =
                    checks.filter(|check| check["healthy"] == false).filter_map(|check| check["name"].as_str());
                let failing: Vec<String> = failing.map(answer::short).collect();
                match failing.is_empty() {
                    true => said(HealthStatus::Starting, "not ready yet".to_owned()),
                    false => said(HealthStatus::Unhealthy, format!("not ready: {}", failing.join(", "))),
                }
            }
            (code, _) => said(HealthStatus::Unhealthy, format!("its gateway does not answer (exit {code})")),
        }
    }
}
