//! A runtime that is not: the least a driver can be. `tests/it/added.rs` adds it to a copy of the project.

use claw_types::agent::AgentUnit;
use claw_types::diag::{Diagnostics, Reported};
use claw_types::driver::{
    Driver, DriverFacts, Health, HealthStatus, Lowered, Probe, ProbeKind, ProbeOutput, SecretDelivery, SkillLayout,
};
use claw_types::provider::WireFormat;
use claw_types::standing::{Standing, Standings, Versions};

/// The driver.
pub(crate) struct Echo;

static FACTS: DriverFacts = DriverFacts {
    name: "echo",
    aliases: &[],
    summary: "says what it is told",
    source: "a fixture",
    versions: Versions { from: "1", to: "1" },
    standing: Standings {
        configuration: Standing::Read,
        contract: Standing::No,
        fallbacks: Standing::No,
        proxy: Standing::No,
        channels: Standing::No,
        schedules: Standing::No,
        skills: Standing::No,
        mcp: Standing::No,
        settings: Standing::No,
        health: Standing::No,
        door: Standing::No,
        drain: Standing::No,
        hardened: Standing::No,
    },
    user: (65532, 65532),
    home: "/tmp",
    skill_layout: SkillLayout::Flat,
    slots: &[],
    base: None,
    formats: &[WireFormat::OpenAi],
    platforms: &[],
    linked: &[],
    egress: &[],
    secrets: SecretDelivery::Environment,
    memory_mib: 64,
    stop_grace_seconds: 5,
    start_seconds: 5,
    probe: ProbeKind::Running,
    probe_seconds: 5,
};

impl Driver for Echo {
    fn facts(&self) -> &'static DriverFacts {
        &FACTS
    }

    fn check(&self, _unit: &AgentUnit, _diag: &mut Diagnostics) {}

    fn lower(&self, _unit: &AgentUnit, _diag: &mut Diagnostics) -> Result<Lowered, Reported> {
        Ok(Lowered { probe: Probe::Running, ..Lowered::default() })
    }

    fn read_health(&self, output: &ProbeOutput) -> Health {
        let status = if output.exit_code == 0 { HealthStatus::Healthy } else { HealthStatus::Unhealthy };
        Health { status, detail: format!("exit {}", output.exit_code) }
    }
}
