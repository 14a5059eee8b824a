//! Harden: how an agent's container is held. A value, decided once, read by the emitters and by the audit.
//!
//! Rows of the table in `docs/hardening.md`, with the rule of the CIS Docker Benchmark 1.6 that asks for each.

use claw_types::agent::AgentUnit;
use claw_types::driver::{DriverFacts, Lowered};

/// How a container is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hardening {
    /// `uid:gid`, never root (4.1).
    pub user: String,
    /// Temporary file systems, `path:options` (5.13).
    pub tmpfs: Vec<String>,
    /// Bytes of memory; swap is not added (5.11).
    pub memory: i64,
    /// Most processes and threads (5.29).
    pub pids: i64,
    /// CPUs, in billionths (5.12).
    pub cpus: i64,
    /// Seconds to finish at a stop.
    pub stop_grace_seconds: u32,
    /// Seconds until failures of the probe count.
    pub start_seconds: u32,
    /// Restarts before it stays down (5.15).
    pub restarts: u32,
}

/// Returns how the container of a unit is held.
pub fn harden(unit: &AgentUnit, lowered: &Lowered, facts: &DriverFacts) -> Hardening {
    let memory = i64::try_from(facts.memory_mib).unwrap_or(1024) * 1024 * 1024;
    // Pages of a tmpfs count as memory: a quarter at most.
    let size = (facts.memory_mib / 4).clamp(16, 64);
    let exec = if lowered.needs.exec_tmp { "exec" } else { "noexec" };
    let owner = format!("uid={},gid={}", unit.user.uid, unit.user.gid);
    let mut tmpfs = vec![format!("/tmp:rw,{exec},nosuid,nodev,size={size}m,mode=1777")];
    for path in lowered.needs.writable.iter().filter(|path| path.as_str() != "/tmp") {
        tmpfs.push(format!("{path}:rw,noexec,nosuid,nodev,size={size}m,mode=0700,{owner}"));
    }
    Hardening {
        user: format!("{}:{}", unit.user.uid, unit.user.gid),
        tmpfs,
        memory,
        pids: 512,
        cpus: 2_000_000_000,
        stop_grace_seconds: facts.stop_grace_seconds,
        start_seconds: facts.start_seconds,
        restarts: 5,
    }
}
