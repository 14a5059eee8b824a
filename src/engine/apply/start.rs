//! Steps that start something, and what they wait for.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use claw_compiler::plan::Plan;
use claw_compose::model::Service;
use claw_types::id::UnitId;

use super::{ApplyError, Run};
use crate::container::file_target;
use crate::docker::{Docker, Seen};
use crate::{hook, state};

/// Not compose's, but what `up --wait` waits for where there is no health check: it runs, or has ended well.
pub const STANDING: &str = "service_standing";

/// The longest a service is waited for, unless another time is given.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// How long the next health check of a container is waited for that was held still.
const REVIVAL: Duration = Duration::from_secs(60);

impl Run<'_> {
    pub(super) async fn start(&self, name: &str, number: u32) -> Result<(), ApplyError> {
        let Some(service) = self.plan.project.services.get(name) else { return Ok(()) };
        self.needs(name, service).await?;
        let container = self.scope.container(name, number);
        self.inject(&container, name, service).await?;
        if self.docker.start(&container).await? {
            return self.revived(&container).await;
        }
        match hook::after_start(service, &container, self.docker).await? {
            Some(why) => Err(ApplyError::NotReady { service: name.to_owned(), why: format!("runs, and its {why}") }),
            None => Ok(()),
        }
    }

    /// A container that was held still is unhealthy to the engine until its next health check: that is waited for, and not judged.
    async fn revived(&self, container: &str) -> Result<(), ApplyError> {
        let mut changes = self.docker.changes(self.scope.project);
        let deadline = tokio::time::Instant::now() + REVIVAL;
        loop {
            let seen = self.docker.container(container).await?;
            let is_open = seen.is_some_and(|seen| seen.state.health.as_deref() == Some("unhealthy"));
            if !is_open || tokio::time::timeout_at(deadline, changes.next()).await.is_err() {
                return Ok(());
            }
        }
    }

    /// Waits until what a service depends on is what it must be.
    pub(super) async fn needs(&self, name: &str, service: &Service) -> Result<(), ApplyError> {
        for (target, dependency) in service.depends_on.iter().filter(|(target, _)| self.mode.has(target)) {
            let needed = self.plan.project.services.get(target);
            let count = needed.map_or(0, |needed| self.mode.containers_of(target, needed));
            let (condition, patience) = (&dependency.condition, self.site.patience);
            let early = (condition == "service_healthy").then_some(&self.early);
            let waited = wait(target, count, condition, early, (self.plan, self.docker), patience).await;
            match waited {
                Err(ApplyError::NotReady { service, why }) if dependency.required == Some(false) => {
                    (self.site.progress)(&format!("  `{service}` {why}; `{name}` does not need it"));
                }
                Err(ApplyError::NotReady { service, why }) => {
                    return Err(ApplyError::NotReady {
                        service: name.to_owned(),
                        why: format!("waits for `{service}`, which {why}"),
                    });
                }
                other => other?,
            }
        }
        Ok(())
    }

    /// Stops a container, with what is to be run in it before; one that is gone is stopped.
    pub(super) async fn stop(&self, id: &str) -> Result<(), ApplyError> {
        match self.docker.container(id).await? {
            Some(seen) => Ok(hook::stop(&seen, self.site.grace, self.docker, self.site.progress).await?),
            None => Ok(()),
        }
    }

    /// Tells a runtime what it keeps in a state of its own, such as schedules, once it runs; and remembers that it was told.
    pub(super) async fn tell(&self, unit: &UnitId, what: &str) -> Result<(), ApplyError> {
        let Some(planned) = self.plan.units.get(unit) else { return Ok(()) };
        let container = self.scope.container(unit.as_str(), 1);
        let not_ready = |why: String| ApplyError::NotReady { service: unit.to_string(), why };
        for each in planned.lowered.after_start.iter().filter(|each| each.what == what) {
            let patience = Duration::from_secs(u64::from(each.seconds));
            let output = self.docker.exec(&container, &each.command, patience).await?;
            if output.exit_code != 0 {
                let said = output.stderr.trim().lines().next_back().unwrap_or("it said nothing").to_owned();
                return Err(not_ready(format!("could not be told its {what}: {said}")));
            }
        }
        let seen = self.docker.container(&container).await?.ok_or_else(|| not_ready("was removed".to_owned()))?;
        Ok(state::record_told(self.site.root, self.scope.project, unit.as_str(), &seen.id)?)
    }

    /// Secrets and configs that are no files of the host are put into the container itself before each start, as compose does.
    pub(super) async fn inject(&self, container: &str, name: &str, service: &Service) -> Result<(), ApplyError> {
        let secrets = service.secrets.iter().map(|mount| (mount, &self.scope.file.secrets, true));
        let configs = service.configs.iter().map(|mount| (mount, &self.scope.file.configs, false));
        for (mount, objects, is_secret) in secrets.chain(configs) {
            let Some(object) = objects.get(&mount.source) else { continue };
            let content = match (&object.environment, &object.content) {
                (Some(variable), _) => self.scope.lookup.get(variable).map(ToOwned::to_owned).ok_or_else(|| {
                    ApplyError::Unusable(format!(
                        "`{name}`: the variable `{variable}` of `{}` is not set",
                        mount.source
                    ))
                })?,
                (None, Some(content)) => content.clone(),
                (None, None) => continue,
            };
            if service.read_only == Some(true) {
                let why = format!("`{name}` is read-only, so `{}` must be a `file:`", mount.source);
                return Err(ApplyError::Unusable(why));
            }
            let mode = mount.mode.map_or(0o444, |mode| mode.0);
            self.docker.put(container, &file_target(mount, is_secret), content.as_bytes(), mode).await?;
        }
        Ok(())
    }
}

/// Waits until each of a service's `count` containers is what a condition of `depends_on` says, woken by the engine's events.
///
/// # Errors
/// Where one becomes something from which it cannot become that, or takes too long.
pub async fn wait_for(
    service: &str,
    count: u32,
    condition: &str,
    plan: &Plan,
    docker: &Docker,
    patience: Duration,
) -> Result<(), ApplyError> {
    wait(service, count, condition, None, (plan, docker), patience).await
}

/// When a health check is run beside the engine's own runs of it. The engine runs it for the first time after its interval, which is
/// half a minute where nothing is said, and only since Engine 25 sooner in a start period. A check that succeeds says the same
/// whoever runs it, so that whoever waits need not wait for the engine.
#[derive(Debug)]
pub(super) struct Early {
    next: tokio::time::Instant,
    pause: Duration,
    /// Containers whose check succeeded.
    well: BTreeSet<String>,
}

/// Those of each service: however many wait for one, it is run once.
pub(super) type Earlies = RefCell<BTreeMap<String, Early>>;

impl Default for Early {
    fn default() -> Self {
        Self { next: tokio::time::Instant::now() + FIRST, pause: FIRST, well: BTreeSet::new() }
    }
}

/// How long after its start a health check is first run.
const FIRST: Duration = Duration::from_millis(100);

/// The longest between two runs.
const SELDOM: Duration = Duration::from_secs(10);

/// Runs the checks of a service's containers where it is time, ever more seldom. Returns whether all of them have succeeded, and when it
/// is time again.
async fn are_healthy(
    service: &str,
    waiting: &[Seen],
    earlies: &Earlies,
    docker: &Docker,
) -> (bool, tokio::time::Instant) {
    let now = tokio::time::Instant::now();
    let is_due = {
        let mut all = earlies.borrow_mut();
        let early = all.entry(service.to_owned()).or_default();
        let is_due = now >= early.next;
        if is_due {
            early.pause = (early.pause * 2).min(SELDOM);
            early.next = now + early.pause;
        }
        is_due
    };
    for seen in waiting.iter().filter(|seen| is_due && seen.state.health.as_deref() == Some("starting")) {
        let command = check(seen);
        let is_open = !earlies.borrow().get(service).is_some_and(|early| early.well.contains(&seen.id));
        // One that cannot be run is the engine's to judge.
        if !command.is_empty()
            && is_open
            && docker.exec(&seen.id, &command, timeout(seen)).await.is_ok_and(|output| output.exit_code == 0)
            && let Some(early) = earlies.borrow_mut().get_mut(service)
        {
            early.well.insert(seen.id.clone());
        }
    }
    let all = earlies.borrow();
    let early = all.get(service);
    let is_well = |seen: &Seen| early.is_some_and(|early| early.well.contains(&seen.id));
    (waiting.iter().all(is_well), early.map_or(now, |early| early.next))
}

/// Returns how long a container's health check may take.
fn timeout(seen: &Seen) -> Duration {
    let nanoseconds = seen.inspected["Config"]["Healthcheck"]["Timeout"].as_u64().filter(|timeout| *timeout > 0);
    nanoseconds.map_or(Duration::from_secs(30), Duration::from_nanos)
}

/// Returns the command of a container's health check; nothing where it has none.
fn check(seen: &Seen) -> Vec<String> {
    let config = &seen.inspected["Config"];
    let words = |value: &serde_json::Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(|word| word.as_str().map(ToOwned::to_owned)).collect()
    };
    let test = words(&config["Healthcheck"]["Test"]);
    match test.split_first() {
        Some((kind, rest)) if kind == "CMD" => rest.to_vec(),
        Some((kind, rest)) if kind == "CMD-SHELL" => {
            let shell = words(&config["Shell"]);
            let shell = if shell.is_empty() { vec!["/bin/sh".to_owned(), "-c".to_owned()] } else { shell };
            shell.into_iter().chain(rest.iter().cloned()).collect()
        }
        _ => Vec::new(),
    }
}

async fn wait(
    service: &str,
    count: u32,
    condition: &str,
    early: Option<&Earlies>,
    (plan, docker): (&Plan, &Docker),
    patience: Duration,
) -> Result<(), ApplyError> {
    let Some(planned) = plan.project.services.get(service) else { return Ok(()) };
    let not_ready = |why: String| ApplyError::NotReady { service: service.to_owned(), why };
    let deadline = tokio::time::Instant::now() + patience;
    let mut changes = docker.changes(plan.pod.as_str());
    loop {
        let mut waiting = Vec::new();
        for number in 1..=count {
            let own = planned.container_name.clone();
            let container = own.unwrap_or_else(|| format!("{}-{service}-{number}", plan.pod));
            let seen = docker.container(&container).await?.ok_or_else(|| not_ready("was removed".to_owned()))?;
            if !readiness(condition, &seen.state).map_err(&not_ready)? {
                waiting.push(seen);
            }
        }
        let (is_ready, next) = match early {
            Some(earlies) => are_healthy(service, &waiting, earlies, docker).await,
            None => (waiting.is_empty(), deadline),
        };
        if is_ready {
            return Ok(());
        }
        if tokio::time::timeout_at(next.min(deadline), changes.next()).await.is_err()
            && tokio::time::Instant::now() >= deadline
        {
            return Err(not_ready(format!("was not ready within {} seconds", patience.as_secs())));
        }
    }
}

/// Returns whether a container is what a condition says; not yet, or never, and why.
fn readiness(condition: &str, state: &crate::docker::State) -> Result<bool, String> {
    let ended = || match state.is_oom_killed {
        true => "was killed for its memory".to_owned(),
        false => format!("exited with {}", state.exit_code),
    };
    let is_over = matches!(state.status.as_str(), "exited" | "dead");
    match condition {
        "service_completed_successfully" if is_over && state.exit_code == 0 => Ok(true),
        "service_completed_successfully" if is_over => Err(ended()),
        "service_completed_successfully" => Ok(false),
        "service_healthy" if is_over => Err(ended()),
        "service_healthy" if !state.is_running => Ok(false),
        "service_healthy" => match state.health.as_deref() {
            Some("healthy") => Ok(true),
            Some("unhealthy") => {
                let said = state.health_output.as_deref().unwrap_or("").trim();
                Err(format!("is unhealthy: {}", said.lines().next_back().unwrap_or("its health check says nothing")))
            }
            Some(_) => Ok(false),
            None => Err("has no health check to wait for".to_owned()),
        },
        STANDING if is_over && state.exit_code != 0 => Err(ended()),
        _ => Ok(state.is_running || is_over),
    }
}
