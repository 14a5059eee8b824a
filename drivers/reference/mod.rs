//! The small agent runtime inside claw's own executable, for demo and tests.
//!
//! Its configuration is one JSON file, `/claw/reference.json`; `claw-reference` reads it with unknown keys as errors, and a
//! test feeds it what this driver writes.

use claw_types::agent::{AgentUnit, Inference, ModelRef, Surface};
use claw_types::diag::{Code, Diagnostic, Diagnostics, Reported};
use claw_types::doc::Doc;
use claw_types::driver::{
    Door, Drain, Driver, DriverFacts, Health, HealthStatus, Lowered, Probe, ProbeKind, ProbeOutput, SecretDelivery,
    SkillLayout, StateVolume,
};
use claw_types::files::{FileSpec, FileTree};
use claw_types::image::INFRA_PROGRAM;
use claw_types::path::{ContainerPath, PodPath};
use claw_types::provider::WireFormat;
use claw_types::secret::SecretRef;
use claw_types::standing::{Standing, Standings, Versions};
use serde_json::Value;

/// The driver.
pub(crate) struct Reference;

static FACTS: DriverFacts = DriverFacts {
    name: "reference",
    aliases: &[],
    summary: "claw's own small runtime, for demo and tests",
    source: "claw-reference in this executable",
    versions: Versions { from: "0", to: "1" },
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
    user: (65532, 65532),
    home: STATE,
    skill_layout: SkillLayout::Directory,
    slots: &[],
    base: None,
    formats: &[WireFormat::OpenAi, WireFormat::Anthropic],
    platforms: &[],
    linked: &[],
    egress: &[],
    secrets: SecretDelivery::Files,
    memory_mib: 256,
    stop_grace_seconds: 15,
    start_seconds: 10,
    probe: ProbeKind::Exec,
    probe_seconds: 5,
};

const STATE: &str = "/var/lib/claw";
const LISTEN: &str = "0.0.0.0:8700";
const MANIFEST: &str = "/claw/reference.json";

/// The keys that `CONFIGURE reference config set` takes.
const SETTINGS: &[&str] = &["stream", "max_steps", "history", "temperature", "system_note"];

impl Driver for Reference {
    fn facts(&self) -> &'static DriverFacts {
        &FACTS
    }

    fn check(&self, unit: &AgentUnit, diag: &mut Diagnostics) {
        for setting in &unit.settings {
            let path = setting.path.value.as_str();
            if !SETTINGS.contains(&path) {
                diag.report(
                    Diagnostic::error(
                        Code::BadSetting,
                        setting.path.span,
                        format!("the runtime `reference` has no setting `{path}`"),
                    )
                    .help(format!("it has `{}`", SETTINGS.join("`, `")))
                    .suggest(path, SETTINGS.iter().copied()),
                );
            }
        }
        for schedule in unit.schedules.iter().filter(|schedule| !is_schedule_id(&schedule.id)) {
            let message = format!("the runtime `reference` cannot have a schedule called `{}`", schedule.id);
            diag.report(
                Diagnostic::error(Code::RuntimeCannot, unit.origin, message)
                    .help("call it by at most 55 letters, digits, `-` and `_`: its conversation becomes a file"),
            );
        }
        if unit.models.is_empty() {
            diag.report(
                Diagnostic::error(Code::RuntimeCannot, unit.origin, format!("`{}` has no model", unit.service))
                    .help("add `MODEL primary <provider>/<model>` to its Clawfile, or `models:` to its x-claw"),
            );
        }
        if let Inference::Direct { upstreams } = &unit.inference {
            for (provider, upstream) in upstreams {
                if !FACTS.formats.contains(&upstream.format) {
                    diag.report(Diagnostic::error(
                        Code::RuntimeCannot,
                        unit.origin,
                        format!("the runtime `reference` does not speak `{}` to `{provider}`", upstream.format.name()),
                    ));
                }
            }
        }
    }

    fn lower(&self, unit: &AgentUnit, diag: &mut Diagnostics) -> Result<Lowered, Reported> {
        let impossible = |diag: &mut Diagnostics, what: &str| {
            diag.report(Diagnostic::error(Code::NameCollision, unit.origin, format!("`{what}` is taken")))
        };
        let mut files = FileTree::new();
        let path = PodPath::parse("claw/reference.json").map_err(|_| impossible(diag, "claw/reference.json"))?;
        files
            .insert(path, FileSpec::managed(manifest(unit).to_json()))
            .map_err(|collision| impossible(diag, collision.0.as_str()))?;
        let state = ContainerPath::parse(STATE).map_err(|_| impossible(diag, STATE))?;
        let program = |command: &str| vec![INFRA_PROGRAM.to_owned(), "reference".to_owned(), command.to_owned()];
        let mut serve = program("serve");
        serve.push(MANIFEST.to_owned());
        let conversation = ["--conversation", "main", "--"].map(str::to_owned);
        let door = [program("ask"), conversation.into()].concat();
        Ok(Lowered {
            files,
            program: Some(serve),
            state: vec![StateVolume { key: "state", target: state }],
            probe: Probe::Exec(program("health")),
            // What follows is text, also where it begins like an option.
            reading: Some(program("reading")),
            door: Some(Door { command: door, session: Some(4) }),
            drain: Some(Drain { command: program("drain"), seconds: 120 }),
            ..Lowered::default()
        })
    }

    fn read_health(&self, output: &ProbeOutput) -> Health {
        // The answer is a line among others: whatever else was printed is noise, and so is standard error.
        let lines = output.stdout.lines().rev().map(str::trim).filter(|line| line.starts_with('{'));
        let mut answers = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let Some(answer) = answers.find(|answer| answer["status"].is_string()) else {
            let detail = format!("its probe exited with {} and gave no answer", output.exit_code);
            return Health { status: HealthStatus::Unhealthy, detail };
        };
        let status = match (output.exit_code, answer["status"].as_str()) {
            (0, Some("healthy")) => HealthStatus::Healthy,
            (_, Some("starting")) => HealthStatus::Starting,
            _ => HealthStatus::Unhealthy,
        };
        Health { status, detail: detail(&answer) }
    }
}

/// Returns what an answer says in a line.
fn detail(answer: &Value) -> String {
    let mut parts = Vec::new();
    parts.extend(answer["model"].as_str().map(|model| format!("model {model}")));
    parts.extend(answer["conversations"].as_u64().map(|count| format!("{count} conversations")));
    let next = answer["schedules"].as_array().into_iter().flatten().filter_map(|each| each["next"].as_str()).min();
    parts.extend(next.map(|next| format!("next schedule {next}")));
    parts.extend(answer["last_error"].as_str().map(|error| format!("last error: {error}")));
    let line: String = parts.join(", ").split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(400).collect()
}

/// Returns whether the runtime takes an id: `schedule-<id>` names a conversation, of at most 64 characters.
fn is_schedule_id(id: &str) -> bool {
    (1..=55).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Returns the runtime's configuration.
fn manifest(unit: &AgentUnit) -> Doc {
    let services = unit.surfaces.iter().filter_map(|surface| match surface {
        Surface::Service { service, ports, .. } => Some(Doc::map([
            ("name", Doc::str(service.as_str())),
            ("ports", Doc::List(ports.iter().map(|port| Doc::int(i64::from(*port))).collect())),
        ])),
        _ => None,
    });
    let schedules = unit.schedules.iter().map(|schedule| {
        let target = schedule.target.as_ref().map(|target| format!("{}:{}", target.platform, target.channel));
        Doc::map([
            ("id", Doc::str(&schedule.id)),
            ("schedule", Doc::str(&schedule.cron)),
            ("message", Doc::str(&schedule.message)),
            ("to", target.map_or(Doc::Null, Doc::Str)),
        ])
    });
    let settings = unit.settings.iter().map(|setting| (setting.path.value.clone(), setting.value.clone()));
    Doc::map([
        ("schema", Doc::int(1)),
        ("pod", Doc::str(unit.pod.as_str())),
        ("service", Doc::str(unit.service.as_str())),
        ("agent", Doc::str(unit.id.as_str())),
        ("listen", Doc::str(LISTEN)),
        ("contract", Doc::str("/claw/AGENTS.md")),
        ("letter", Doc::str("/claw/CLAWDAPUS.md")),
        ("skills", Doc::str("/claw/skills")),
        ("state", Doc::str(STATE)),
        ("models", Doc::List(models(unit))),
        ("services", Doc::List(services.collect())),
        ("schedules", Doc::List(schedules.collect())),
        ("timezone", unit.timezone.clone().map_or(Doc::Null, Doc::Str)),
        ("settings", Doc::Map(settings.collect())),
    ])
}

/// Returns the models, the primary first, then the fallbacks, then the rest by name.
fn models(unit: &AgentUnit) -> Vec<Doc> {
    let rank = |slot: &str| match slot {
        "primary" => 0,
        "fallback" => 1,
        _ => 2,
    };
    let mut slots: Vec<_> = unit.models.iter().collect();
    slots.sort_by_key(|(slot, _)| (rank(slot.as_str()), slot.as_str()));
    let rows = slots.into_iter().flat_map(|(slot, models)| models.iter().map(move |model| (slot, model)));
    rows.map(|(slot, model)| {
        let (base_url, format, key) = endpoint(unit, model);
        Doc::map([
            ("slot", Doc::str(slot.as_str())),
            ("model", Doc::Str(model.model.clone())),
            ("base_url", Doc::Str(base_url)),
            ("format", Doc::str(format.name())),
            ("key_file", key.map_or(Doc::Null, |key| Doc::Str(key.delivered_path()))),
        ])
    })
    .collect()
}

fn endpoint<'a>(unit: &'a AgentUnit, model: &ModelRef) -> (String, WireFormat, Option<&'a SecretRef>) {
    match &unit.inference {
        Inference::Proxied { endpoint, token, .. } => (endpoint.clone(), WireFormat::OpenAi, Some(token)),
        Inference::Direct { upstreams } => match upstreams.get(&model.provider) {
            Some(upstream) => (upstream.base_url.clone(), upstream.format, upstream.key.as_ref()),
            None => (String::new(), WireFormat::OpenAi, None),
        },
    }
}
