//! Harden: how an agent's container is held. A value, decided once; [`hold`] writes it into the compose service.
//!
//! Rows of the table in `docs/hardening.md`, with the rule of the CIS Docker Benchmark 1.6 that asks for each. What a pod file
//! says itself stays; whether an agent may have it is the audit's question.

use std::collections::BTreeMap;

use claw_compose::model::{Healthcheck, Logging, Service, Ulimit};
use claw_compose::shape::Maybe;
use claw_compose::template::Template;
use claw_compose::units::{Bytes, Cpus, Duration};
use claw_types::agent::RuntimeUser;
use claw_types::driver::{DriverFacts, Lowered, Probe};

use super::audit::keeps_privileges;

/// How a container is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hardening {
    /// `uid:gid`, never root (4.1); what the service says where it is no agent.
    pub user: Option<String>,
    /// Temporary file systems, `path:options` (5.13).
    pub tmpfs: Vec<String>,
    /// Variables that point caches at what can be written; whatever else sets them wins.
    pub env: BTreeMap<&'static str, &'static str>,
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
    /// Seconds between two probes.
    pub probe_seconds: u32,
    /// Restarts before it stays down (5.15).
    pub restarts: u32,
}

/// Caches on a root that cannot be written: on the temporary file system.
const CACHES: &[(&str, &str)] = &[
    ("NPM_CONFIG_CACHE", "/tmp/.cache/npm"),
    ("PIP_CACHE_DIR", "/tmp/.cache/pip"),
    ("PYTHONDONTWRITEBYTECODE", "1"),
    ("UV_CACHE_DIR", "/tmp/.cache/uv"),
    ("XDG_CACHE_HOME", "/tmp/.cache"),
];

/// Where programs may be run from that a runtime unpacks: `/tmp` itself stays without.
const EXEC_TMP: &str = "/run/tmp";

/// Returns how the container of an agent is held.
pub fn harden(user: RuntimeUser, service: &Service, lowered: &Lowered, facts: &DriverFacts) -> Hardening {
    let memory = memory(service, facts.memory_mib);
    let owner = format!("uid={},gid={}", user.uid, user.gid);
    let writable = lowered.needs.writable.iter().filter(|path| path.as_str() != "/tmp");
    let count = 1 + writable.clone().count() + usize::from(lowered.needs.exec_tmp);
    let size = tmpfs_mib(memory, count);
    let mut tmpfs = vec![format!("/tmp:rw,noexec,nosuid,nodev,size={size}m,mode=1777")];
    for path in writable {
        tmpfs.push(format!("{path}:rw,noexec,nosuid,nodev,size={size}m,mode=0700,{owner}"));
    }
    let mut env: BTreeMap<_, _> = CACHES.iter().copied().collect();
    if lowered.needs.exec_tmp {
        tmpfs.push(format!("{EXEC_TMP}:rw,exec,nosuid,nodev,size={size}m,mode=1777"));
        env.extend([("TMPDIR", EXEC_TMP), ("npm_config_tmp", EXEC_TMP)]);
    }
    Hardening {
        user: Some(format!("{}:{}", user.uid, user.gid)),
        tmpfs,
        env,
        memory,
        pids: pids(service),
        cpus: cpus(service),
        stop_grace_seconds: facts.stop_grace_seconds,
        start_seconds: facts.start_seconds,
        probe_seconds: facts.probe_seconds,
        restarts: 5,
    }
}

/// Returns how a service that is no agent is held where `x-claw.harden` asks for it: as one, as the user it has.
pub(crate) fn plain(service: &Service) -> Hardening {
    let memory = memory(service, 1024);
    Hardening {
        user: None,
        tmpfs: vec![format!("/tmp:rw,noexec,nosuid,nodev,size={}m,mode=1777", tmpfs_mib(memory, 1))],
        env: BTreeMap::new(),
        memory,
        pids: pids(service),
        cpus: cpus(service),
        stop_grace_seconds: 15,
        start_seconds: 30,
        probe_seconds: 5,
        restarts: 5,
    }
}

/// The memory a service says, else what its runtime is given.
fn memory(service: &Service, default_mib: u64) -> i64 {
    let limits = service.deploy.as_ref().and_then(|deploy| deploy.resources.as_ref()?.limits.as_ref());
    let own = service.mem_limit.or_else(|| limits.and_then(|limits| limits.memory)).map(|bytes| bytes.0);
    own.filter(|bytes| *bytes > 0).unwrap_or_else(|| i64::try_from(default_mib).unwrap_or(1024) * 1024 * 1024)
}

/// The CPUs a service says, else two.
fn cpus(service: &Service) -> i64 {
    let limits = service.deploy.as_ref().and_then(|deploy| deploy.resources.as_ref()?.limits.as_ref());
    let own = service.cpus.or_else(|| limits.and_then(|limits| limits.cpus)).map(|cpus| cpus.0);
    own.or_else(|| shares(service)).unwrap_or(2_000_000_000)
}

/// The CPUs that a service says as a part of each period of the scheduler, in billionths.
fn shares(service: &Service) -> Option<i64> {
    let quota = service.cpu_quota.filter(|quota| *quota > 0)?;
    let period = service.cpu_period.filter(|period| *period > 0).unwrap_or(100_000);
    Some(quota.saturating_mul(1_000_000_000) / period)
}

/// Whether a service says its CPUs in the scheduler's words, beside which the engine takes no others.
pub(crate) fn is_scheduled(service: &Service) -> bool {
    service.cpu_quota.is_some() || service.cpu_period.is_some()
}

/// The processes a service says, else as many as an agent needs.
fn pids(service: &Service) -> i64 {
    let limits = service.deploy.as_ref().and_then(|deploy| deploy.resources.as_ref()?.limits.as_ref());
    let own = service.pids_limit.or_else(|| limits.and_then(|limits| limits.pids));
    own.unwrap_or(512)
}

/// Pages of a tmpfs count as memory: all together are a quarter of it, each at most 64 MiB.
fn tmpfs_mib(memory: i64, count: usize) -> i64 {
    let count = i64::try_from(count).unwrap_or(1).max(1);
    (memory / 4 / count / (1024 * 1024)).clamp(1, 64)
}

/// Writes into a service how it is held; its own words stay where they hold it no less.
pub(crate) fn hold(made: &mut Service, hardening: &Hardening) {
    if let Some(user) = &hardening.user {
        made.user = Some(user.clone());
    }
    made.init.get_or_insert(true);
    made.read_only.get_or_insert(true);
    made.cap_drop = vec!["ALL".to_owned()];
    if !made.security_opt.iter().any(|option| keeps_privileges(option).is_some()) {
        made.security_opt.push("no-new-privileges:true".to_owned());
    }
    for tmpfs in &hardening.tmpfs {
        let path = tmpfs.split(':').next().unwrap_or(tmpfs);
        let is_taken = made.tmpfs.iter().any(|own| own.split(':').next() == Some(path))
            || made.volumes.iter().any(|mount| mount.target == path);
        if !is_taken {
            made.tmpfs.push(tmpfs.clone());
        }
    }
    for (name, value) in &hardening.env {
        made.environment.entry((*name).to_owned()).or_insert_with(|| Maybe(Some(Template::literal(*value))));
    }
    limit(made, hardening);
    if made.deploy.as_ref().is_none_or(|deploy| deploy.restart_policy.is_none()) {
        made.restart.get_or_insert_with(|| format!("on-failure:{}", hardening.restarts));
    }
    made.stop_grace_period.get_or_insert(Duration::seconds(hardening.stop_grace_seconds));
    let logging = made.logging.get_or_insert_with(Box::<Logging>::default);
    let driver = logging.driver.get_or_insert_with(|| "json-file".to_owned());
    if matches!(driver.as_str(), "json-file" | "local") {
        logging.options.entry("max-file".to_owned()).or_insert_with(|| "3".to_owned());
        logging.options.entry("max-size".to_owned()).or_insert_with(|| "10m".to_owned());
    }
}

/// Limits stand where the service has its own: under `deploy`, or at the service.
fn limit(made: &mut Service, hardening: &Hardening) {
    let limits = made.deploy.as_ref().and_then(|deploy| deploy.resources.as_ref()?.limits.as_ref());
    let own = |has: fn(&claw_compose::model::Resource) -> bool| limits.is_some_and(has);
    let (memory, cpus, pids) = (
        own(|limits| limits.memory.is_some()),
        own(|limits| limits.cpus.is_some()),
        own(|limits| limits.pids.is_some()),
    );
    if !memory {
        made.mem_limit.get_or_insert(Bytes(hardening.memory));
    }
    // Without it the engine adds as much swap as there is memory.
    made.memswap_limit.get_or_insert(Bytes(hardening.memory));
    if !cpus && !is_scheduled(made) {
        made.cpus.get_or_insert(Cpus(hardening.cpus));
    }
    if !pids {
        made.pids_limit.get_or_insert(hardening.pids);
    }
    let none = Ulimit { soft: 0, hard: 0, is_single: true };
    made.ulimits.entry("core".to_owned()).or_insert(none);
    let nofile = Ulimit { soft: 4096, hard: 8192, is_single: false };
    made.ulimits.entry("nofile".to_owned()).or_insert(nofile);
}

/// Gives a service the health check its runtime is asked by, where it has none of its own.
pub(crate) fn health(made: &mut Service, probe: &Probe, hardening: &Hardening) {
    let Some(command) = probe.command() else { return };
    let mut test = vec!["CMD".to_owned()];
    test.extend(command);
    let check = Healthcheck {
        test,
        interval: Some(Duration::seconds(hardening.probe_seconds)),
        timeout: Some(Duration::seconds(4)),
        retries: Some(3),
        start_period: Some(Duration::seconds(hardening.start_seconds)),
        ..Healthcheck::default()
    };
    made.healthcheck.get_or_insert_with(|| Box::new(check));
}
