//! picoclaw, the small agent of Sipeed, written in Go.
//!
//! Everything here was read in its source (0.2.9, configuration version 3) and not run: no registry that was reached has it.
//! Its configuration is one JSON file, `/claw/picoclaw/config.json`, which it need not write as long as its version is 3.

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
pub(crate) struct Picoclaw;

static FACTS: DriverFacts = DriverFacts {
    name: "picoclaw",
    aliases: &[],
    summary: "the small agent of Sipeed",
    source: "the source of picoclaw 0.2.9 (github.com/sipeed/picoclaw, June 2026), read",
    versions: Versions { from: "0.2.9", to: "0.2.9" },
    standing: Standings {
        configuration: Standing::Read,
        contract: Standing::Read,
        fallbacks: Standing::Read,
        proxy: Standing::Read,
        channels: Standing::Read,
        // Its scheduler keeps all jobs in memory and writes the file over: what is put there from outside is lost.
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
    stop_grace_seconds: 20,
    start_seconds: 60,
    probe: ProbeKind::Http,
    probe_seconds: 10,
};

/// Where it keeps what it remembers.
const STATE: &str = "/var/lib/picoclaw";

/// Where it works; its contract is mounted into it.
const WORKSPACE: &str = "/var/lib/picoclaw/workspace";

/// The directory of its configuration: `file://NAME` in it is a file beside it, and nothing outside it.
const CONFIG: &str = "claw/picoclaw";

/// The port of its gateway, on the container's loopback.
const PORT: u16 = 18790;

impl Driver for Picoclaw {
    fn facts(&self) -> &'static DriverFacts {
        &FACTS
    }

    fn check(&self, unit: &AgentUnit, diag: &mut Diagnostics) {
        unit::primary(unit, diag);
        unit::overrides(FACTS.name, |name| name.starts_with("PICOCLAW_"), unit, diag);
        table::check(FACTS.name, config::SETTINGS, unit, diag);
        channels::check(unit, diag);
        if let Inference::Direct { upstreams } = &unit.inference {
            for (name, upstream) in upstreams {
                if !FACTS.formats.contains(&upstream.format) {
                    let message =
                        format!("the runtime `picoclaw` does not speak `{}` to `{name}`", upstream.format.name());
                    let error = Diagnostic::error(Code::RuntimeCannot, unit.origin, message);
                    diag.push(error.help("use a provider that speaks `openai` or `anthropic`, or the pod's proxy"));
                }
            }
        }
    }

    fn lower(&self, unit: &AgentUnit, diag: &mut Diagnostics) -> Result<Lowered, Reported> {
        let mark = diag.mark();
        let mut files = FileTree::new();
        let mut secrets = config::Secrets::default();
        let mut config = config::config(unit, &mut secrets);
        table::apply(&unit.settings, &mut config);
        unit::add(&mut files, &format!("{CONFIG}/config.json"), config.to_json(), unit, diag);
        for (name, content) in secrets.files {
            unit::add(&mut files, &format!("{CONFIG}/{name}"), content, unit, diag);
        }
        let contract = unit::source("claw/AGENTS.md", unit, diag)?;
        let env = [
            ("HOME", STATE),
            ("PICOCLAW_BUILTIN_SKILLS", "/claw/skills"),
            ("PICOCLAW_CONFIG", "/claw/picoclaw/config.json"),
            ("PICOCLAW_HOME", STATE),
        ];
        let lowered = Lowered {
            files,
            mounts: vec![FileMount {
                source: contract,
                target: unit::path(&format!("{WORKSPACE}/AGENT.md"), unit, diag)?,
            }],
            env: unit::texts(&env),
            program: Some(unit::program(&["picoclaw", "gateway"])),
            // Its tools reach nothing outside of the workspace.
            persona: Some(unit::path(&format!("{WORKSPACE}/persona"), unit, diag)?),
            // The contract is mounted into the workspace, so that is a volume of its own: the way to a mount belongs to root.
            state: vec![
                StateVolume { key: "state", target: unit::path(STATE, unit, diag)? },
                StateVolume { key: "workspace", target: unit::path(WORKSPACE, unit, diag)? },
            ],
            probe: Probe::Http { port: PORT, path: "/ready" },
            door: Some(Door {
                command: unit::program(&["picoclaw", "agent", "--session", "cli:claw", "--message"]),
                session: Some(3),
            }),
            ..Lowered::default()
        };
        diag.finish(mark, lowered)
    }

    fn read_health(&self, output: &ProbeOutput) -> Health {
        let said = |status, detail: String| Health { status, detail };
        let Some(answer) = answer::answer(&output.stdout) else {
            return said(HealthStatus::Unhealthy, format!("its gateway does not answer (exit {})", output.exit_code));
        };
        match (output.exit_code, answer["status"].as_str()) {
            (0, Some("ready")) => said(HealthStatus::Healthy, "ready".to_owned()),
            (_, Some("not ready")) => {
                let checks = answer["checks"].as_object().into_iter().flatten();
                let failing = checks.filter(|(_, check)| check["status"].as_str().is_some_and(|status| status != "ok"));
                let failing: Vec<String> = failing.map(|(name, _)| answer::short(name)).collect();
                let status = if failing.is_empty() { HealthStatus::Starting } else { HealthStatus::Unhealthy };
                let detail = if failing.is_empty() {
                    "not ready yet".to_owned()
                } else {
                    format!("not ready: {}", failing.join(", "))
                };
                said(status, detail)
            }
            _ => said(HealthStatus::Unhealthy, "its gateway answers something else".to_owned()),
        }
    }
}
