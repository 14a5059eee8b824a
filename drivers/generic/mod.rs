//! Any image that follows the conventions: files under `/claw`, models and paths in the environment.
//!
//! The driver for runtimes claw has no driver of its own for. It promises little: what is there is in fixed places and
//! fixed variables, and the process is healthy as long as the engine says so.

use std::collections::BTreeMap;

use claw_types::agent::{AgentUnit, EnvValue, Inference};
use claw_types::diag::{Diagnostics, Reported};
use claw_types::driver::{
    Driver, DriverFacts, Health, HealthStatus, Lowered, Probe, ProbeKind, ProbeOutput, SecretDelivery, SkillLayout,
};
use claw_types::id::EnvName;
use claw_types::provider::WireFormat;
use claw_types::standing::{Standing, Standings, Versions};

/// The driver.
pub(crate) struct Generic;

static FACTS: DriverFacts = DriverFacts {
    name: "generic",
    aliases: &[],
    summary: "any image that reads /claw and its environment",
    source: "claw's own conventions",
    versions: Versions { from: "0", to: "1" },
    standing: Standings {
        configuration: Standing::Ran,
        contract: Standing::Ran,
        fallbacks: Standing::Ran,
        proxy: Standing::Ran,
        channels: Standing::No,
        schedules: Standing::No,
        skills: Standing::Ran,
        // Its image finds the address in its letter; whether it calls anything there, nobody but its author knows.
        mcp: Standing::Read,
        settings: Standing::No,
        health: Standing::Ran,
        door: Standing::No,
        drain: Standing::No,
        hardened: Standing::Ran,
    },
    user: (65532, 65532),
    home: "/tmp",
    skill_layout: SkillLayout::Directory,
    slots: &[],
    base: None,
    formats: &[WireFormat::OpenAi, WireFormat::Anthropic, WireFormat::Responses],
    platforms: &[],
    linked: &[],
    egress: &[],
    secrets: SecretDelivery::Environment,
    memory_mib: 1024,
    stop_grace_seconds: 15,
    start_seconds: 30,
    probe: ProbeKind::Running,
    probe_seconds: 5,
};

impl Driver for Generic {
    fn facts(&self) -> &'static DriverFacts {
        &FACTS
    }

    fn check(&self, _unit: &AgentUnit, _diag: &mut Diagnostics) {}

    fn lower(&self, unit: &AgentUnit, _diag: &mut Diagnostics) -> Result<Lowered, Reported> {
        Ok(Lowered { env: environment(unit), probe: Probe::Running, ..Lowered::default() })
    }

    fn read_health(&self, output: &ProbeOutput) -> Health {
        if output.exit_code == 0 {
            return Health { status: HealthStatus::Healthy, detail: "running".to_owned() };
        }
        Health { status: HealthStatus::Unhealthy, detail: format!("probe exited with {}", output.exit_code) }
    }
}

/// Returns the variables of the convention: where the documents are and which models may be used.
fn environment(unit: &AgentUnit) -> BTreeMap<EnvName, EnvValue> {
    let mut texts: Vec<(String, String)> = [
        ("CLAW_CONTRACT", "/claw/AGENTS.md"),
        ("CLAW_LETTER", "/claw/CLAWDAPUS.md"),
        ("CLAW_SKILLS_DIR", "/claw/skills"),
        ("HOME", FACTS.home),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    for (slot, models) in &unit.models {
        let name = format!("CLAW_MODEL_{}", slot.as_str().to_ascii_uppercase().replace('-', "_"));
        texts.push((name, models.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")));
    }
    match &unit.inference {
        Inference::Direct { upstreams } => {
            for (provider, upstream) in upstreams {
                let name = provider.as_str().to_ascii_uppercase().replace('-', "_");
                texts.push((format!("CLAW_PROVIDER_{name}_URL"), upstream.base_url.clone()));
                texts.push((format!("CLAW_PROVIDER_{name}_FORMAT"), upstream.format.name().to_owned()));
            }
        }
        Inference::Proxied { endpoint, .. } => texts.push(("CLAW_PROXY_URL".to_owned(), endpoint.clone())),
    }
    texts
        .into_iter()
        .filter_map(|(name, value)| EnvName::parse(&name).ok().map(|name| (name, EnvValue::Literal(value))))
        .collect()
}
