//! A runtime that is not: the least a driver can be. `tests/it/added.rs` adds it to a copy of the project.

use claw_types::agent::AgentUnit;
use claw_types::diag::{Diagnostics, Reported};
use claw_types::driver::{
    Driver, DriverFacts, Health, HealthStatus, Lowered, Probe, ProbeKind, ProbeOutput, SecretDelivery, SkillLayout,
};

/// The driver.
pub(crate) struct Echo;

static FACTS: DriverFacts = DriverFacts {
    name: "echo",
    summary: "says what it is told",
    source: "a fixture",
    user: (65532, 65532),
    home: "/tmp",
    skill_layout: SkillLayout::Flat,
    slots: &[],
    base: None,
    formats: &[],
    has_schedules: false,
    platforms: &[],
    linked: &[],
    egress: &[],
    secrets: SecretDelivery::Environment,
    memory_mib: 64,
    stop_grace_seconds: 5,
    start_seconds: 5,
    has_door: false,
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
