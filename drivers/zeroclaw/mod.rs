//! zeroclaw, the agent written in Rust.
//!
//! Its configuration is one TOML file which it reads from a directory that it writes beside; secrets are variables. Everything
//! here was seen in zeroclaw 0.8.7 from crates.io, or judged by its own configuration crate.

use std::borrow::Cow;

use claw_types::agent::{AgentUnit, EnvValue, Inference};
use claw_types::diag::{Code, Diagnostic, Diagnostics, Reported};
use claw_types::driver::{
    BaseImage, Door, Driver, DriverFacts, FileMount, Health, HealthStatus, Lowered, Probe, ProbeKind, ProbeOutput,
    SecretDelivery, SkillLayout, StateVolume,
};
use claw_types::files::FileTree;
use claw_types::id::EnvName;
use claw_types::image::SHIM_PROGRAM;
use claw_types::provider::WireFormat;
use claw_types::secret::SecretRef;
use claw_types::standing::{Standing, Standings, Versions};
use claw_types::toml::to_toml;

use crate::common::{answer, table, unit};

mod channels;
mod config;
mod reading;
mod schedules;

/// The driver.
pub(crate) struct Zeroclaw;

static FACTS: DriverFacts = DriverFacts {
    name: "zeroclaw",
    aliases: &[],
    summary: "the agent written in Rust, with profiles of risk",
    source: "zeroclaw 0.8.7 from crates.io, run",
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
        // Through the chat of its gateway: `zeroclaw agent` refuses to run beside the daemon, since one process owns the state.
        door: Standing::Ran,
        drain: Standing::No,
        hardened: Standing::Ran,
    },
    user: (10001, 10001),
    home: STATE,
    skill_layout: SkillLayout::Directory,
    slots: config::SLOTS,
    base: Some(BaseImage {
        repository: "claw/zeroclaw",
        version: VERSION,
        dockerfile: include_str!("Dockerfile"),
        entrypoint: &["zeroclaw"],
        command: &["daemon"],
        former: &[],
    }),
    formats: &[WireFormat::OpenAi, WireFormat::Anthropic],
    platforms: channels::PLATFORMS,
    linked: &[],
    egress: &[],
    secrets: SecretDelivery::Environment,
    memory_mib: 512,
    stop_grace_seconds: 20,
    start_seconds: 60,
    probe: ProbeKind::Http,
    probe_seconds: 10,
};

/// The version these facts are of.
const VERSION: &str = "0.8.7";

/// Where its configuration is, and all that it remembers.
const STATE: &str = "/var/lib/zeroclaw";

/// Where its one agent, `main`, works; its contract is mounted into it.
const WORKSPACE: &str = "/var/lib/zeroclaw/agents/main/workspace";

/// The port of its gateway, on the container's loopback.
const PORT: u16 = 42617;

/// The variable of its gateway's token, which claw makes: who has it is a paired client.
const GATEWAY_TOKEN: &str = "ZEROCLAW_gateway__paired_tokens";

/// Its chat, up to the name of the conversation.
const CHAT: &str = "http://127.0.0.1:42617/ws/chat?agent=main&session_id=";

/// The most characters of its contract that it reads.
const CONTRACT_CHARACTERS: usize = 20_000;

impl Driver for Zeroclaw {
    fn facts(&self) -> &'static DriverFacts {
        &FACTS
    }

    fn check(&self, unit: &AgentUnit, diag: &mut Diagnostics) {
        unit::primary(unit, diag);
        unit::overrides(FACTS.name, |name| name.starts_with("ZEROCLAW_"), unit, diag);
        table::check(FACTS.name, config::SETTINGS, unit, diag);
        channels::check(unit, diag);
        config::check(unit, diag);
        schedules::check(unit, diag);
        let own = config::provider(unit).unwrap_or_default();
        for setting in &unit.settings {
            let path = setting.path.value.as_str();
            if path.starts_with("providers.") && !path.starts_with(own) {
                let error = Diagnostic::error(
                    Code::BadSetting,
                    setting.path.span,
                    format!("`{path}` is no provider of this agent"),
                );
                diag.push(error.help(format!("its primary model is below `{}`", own.trim_end_matches('.'))));
            }
        }
        let length: usize = unit.contract.sections.iter().map(|section| section.text.chars().count()).sum();
        if length > CONTRACT_CHARACTERS {
            let message = format!(
                "the contract of `{}` has {length} characters, and zeroclaw reads {CONTRACT_CHARACTERS}",
                unit.service
            );
            let warning = Diagnostic::warning(Code::RuntimeCannot, unit.origin, message);
            diag.push(warning.help("move what is looked up rarely into a skill, or include it as a `reference`"));
        }
        if let Inference::Direct { upstreams } = &unit.inference {
            for (name, upstream) in upstreams {
                if !FACTS.formats.contains(&upstream.format) {
                    let message =
                        format!("the runtime `zeroclaw` does not speak `{}` to `{name}` here", upstream.format.name());
                    let error = Diagnostic::error(Code::RuntimeCannot, unit.origin, message);
                    diag.push(error.help("use a provider that speaks `openai` or `anthropic`, or the pod's proxy"));
                }
            }
        }
    }

    fn lower(&self, unit: &AgentUnit, diag: &mut Diagnostics) -> Result<Lowered, Reported> {
        let mark = diag.mark();
        let mut files = FileTree::new();
        let mut env = unit::texts(&[("HOME", STATE), ("ZEROCLAW_CONFIG_DIR", STATE)]);
        let token = EnvName::parse(GATEWAY_TOKEN).map(|name| (name.clone(), SecretRef::Minted(unit.id.clone(), name)));
        env.extend(token.map(|(name, token)| (name, EnvValue::Secret(token))));
        let mut config = config::config(unit, &mut env);
        table::apply(&unit.settings, &mut config);
        unit::add(&mut files, "claw/zeroclaw/config.toml", to_toml(&config).unwrap_or_default(), unit, diag);
        let mut mounts = Vec::new();
        let skills =
            (!unit.skills.is_empty()).then_some(("claw/skills", format!("{STATE}/shared/skills/{}", config::BUNDLE)));
        let places = [
            ("claw/zeroclaw/config.toml", format!("{STATE}/config.toml")),
            ("claw/AGENTS.md", format!("{WORKSPACE}/AGENTS.md")),
        ];
        for (source, target) in places.into_iter().chain(skills) {
            mounts.push(FileMount {
                source: unit::source(source, unit, diag)?,
                target: unit::path(&target, unit, diag)?,
            });
        }
        let lowered = Lowered {
            files,
            mounts,
            env,
            program: Some(unit::program(&["zeroclaw", "daemon"])),
            // Its tools reach nothing outside of the workspace.
            persona: Some(unit::path(&format!("{WORKSPACE}/persona"), unit, diag)?),
            state: volumes(unit, diag)?,
            probe: Probe::Http { port: PORT, path: "/health" },
            reading: Some(unit::program(reading::COMMAND)),
            door: Some(door()),
            ..Lowered::default()
        };
        diag.finish(mark, lowered)
    }

    fn read_health(&self, output: &ProbeOutput) -> Health {
        let said = |status, detail: String| Health { status, detail };
        let answer = answer::answer(&output.stdout).filter(|answer| answer["runtime"]["components"].is_object());
        let Some(answer) = answer.filter(|_| output.exit_code == 0) else {
            return said(HealthStatus::Unhealthy, format!("its gateway does not answer (exit {})", output.exit_code));
        };
        // `status` is `ok` whatever the parts say, and a part that never began is not there.
        let missing = ["daemon", "gateway"].into_iter().find(|part| answer["runtime"]["components"][part].is_null());
        let (mut well, mut starting, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        for (name, part) in answer["runtime"]["components"].as_object().into_iter().flatten() {
            let error =
                part["last_error"].as_str().map(|error| format!(" ({})", answer::short(error))).unwrap_or_default();
            match part["status"].as_str() {
                Some("ok") if name.starts_with("channel:") => well.push(format!("{} connected", answer::short(name))),
                Some("ok") => {}
                Some("starting") => starting.push(answer::short(name)),
                _ => failed.push(format!("{}{error}", answer::short(name))),
            }
        }
        if let Some(part) = missing.filter(|_| failed.is_empty()) {
            starting.push((*part).to_owned());
        }
        match (failed.is_empty(), starting.is_empty()) {
            (false, _) => said(HealthStatus::Unhealthy, format!("failing: {}", failed.join(", "))),
            (true, false) => said(HealthStatus::Starting, format!("starting: {}", starting.join(", "))),
            (true, true) if well.is_empty() => said(HealthStatus::Healthy, "ready, no channels".to_owned()),
            (true, true) => said(HealthStatus::Healthy, well.join("; ")),
        }
    }

    fn read_configuration<'o>(&self, output: &'o ProbeOutput) -> Cow<'o, str> {
        reading::reading(output).map_or(Cow::Borrowed(""), |reading| Cow::Owned(reading.to_string()))
    }
}

/// Returns its volumes. Mounts lie in the workspace and among the skills, so both are volumes themselves, and so is each directory
/// on the way: one could be moved away with what is mounted below it.
fn volumes(unit: &AgentUnit, diag: &mut Diagnostics) -> Result<Vec<StateVolume>, Reported> {
    let volumes = [
        ("state", ""),
        ("agents", "/agents"),
        ("main", "/agents/main"),
        ("workspace", "/agents/main/workspace"),
        ("shared", "/shared"),
        ("skills", "/shared/skills"),
    ];
    let volume = |(key, path): (&'static str, &str)| {
        Ok(StateVolume { key, target: unit::path(&format!("{STATE}{path}"), unit, diag)? })
    };
    volumes.into_iter().map(volume).collect()
}

/// What asks it: claw's shim, since there is nothing else in every image that speaks to a WebSocket. What follows is text, also
/// where it begins like an option.
fn door() -> Door {
    let token = format!("/run/secrets/{GATEWAY_TOKEN}");
    Door { command: unit::program(&[SHIM_PROGRAM, "shim", "chat", CHAT, &token, "--", "claw"]), session: Some(6) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_parts_say_is_read() {
        let of = |part: &str, status: &str| {
            let stdout = format!(
                r#"{{"status":"ok","runtime":{{"components":{{"daemon":{{"status":"ok"}},"gateway":{{"status":"ok"}},
                "{part}":{{"status":"{status}","last_error":"closed"}}}}}}}}"#
            );
            let health = Zeroclaw.read_health(&ProbeOutput { exit_code: 0, stdout, stderr: String::new() });
            (health.status, health.detail)
        };
        assert_eq!(of("gateway", "ok"), (HealthStatus::Healthy, "ready, no channels".to_owned()));
        assert_eq!(of("channel:discord.main", "ok").1, "channel:discord.main connected");
        assert_eq!(
            of("channel:discord.main", "error"),
            (HealthStatus::Unhealthy, "failing: channel:discord.main (closed)".to_owned())
        );
        assert_eq!(of("scheduler", "starting").0, HealthStatus::Starting);
        let read = |stdout: &str| {
            Zeroclaw.read_health(&ProbeOutput { exit_code: 0, stdout: stdout.to_owned(), stderr: String::new() })
        };
        assert_eq!(read("{\"status\":\"ok\"}").status, HealthStatus::Unhealthy);
        // What is not there yet is not well.
        for (parts, first) in [("{}", "daemon"), (r#"{"daemon":{"status":"ok"}}"#, "gateway")] {
            let health = read(&format!(r#"{{"status":"ok","runtime":{{"components":{parts}}}}}"#));
            assert_eq!(
                (health.status, health.detail),
                (HealthStatus::Starting, format!("starting: {first}")),
                "{parts}"
            );
        }
    }
}
