//! Health and messages: asked inside the container, so that no port need be published.

use std::time::Duration;

use claw_compiler::plan::PlannedUnit;
use claw_types::driver::{Driver, Health, HealthStatus, ProbeOutput};
use serde_json::Value;

use crate::docker::{Docker, EngineError, Seen};

/// The longest a probe may take.
const PROBE: Duration = Duration::from_secs(10);

/// The longest a runtime may take to tell more than its probe does.
const DETAIL: Duration = Duration::from_secs(30);

/// The longest an answer may take.
const ANSWER: Duration = Duration::from_secs(600);

/// How an agent is, and what its runtime said of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// How it is.
    pub health: Health,
    /// The runtime's own answer where that is JSON.
    pub said: Option<Value>,
}

impl Answer {
    fn new(status: HealthStatus, detail: &str) -> Self {
        Self { health: Health { status, detail: detail.to_owned() }, said: None }
    }

    fn of(output: &ProbeOutput, driver: &dyn Driver) -> Self {
        Self { health: driver.read_health(output), said: serde_json::from_str(output.stdout.trim()).ok() }
    }
}

/// Returns how an agent is: by its driver's probe where it has one, else by the engine's word.
///
/// # Errors
/// Where the engine does not answer.
pub async fn health(
    unit: &PlannedUnit,
    seen: Option<&Seen>,
    driver: Option<&'static dyn Driver>,
    docker: &Docker,
) -> Result<Answer, EngineError> {
    let plain = Answer::new;
    let Some(seen) = seen else { return Ok(plain(HealthStatus::Stopped, "there is no container")) };
    let state = &seen.state;
    if state.is_restarting {
        let detail = format!("restarts after exit {}, {} times so far", state.exit_code, state.restarts);
        return Ok(plain(HealthStatus::Unhealthy, &detail));
    }
    if !state.is_running {
        let detail = match (state.status.as_str(), state.is_oom_killed) {
            ("created", _) => "was never started".to_owned(),
            ("paused", _) => "is paused, as `docker pause` does it".to_owned(),
            (_, true) => "was killed for its memory".to_owned(),
            (_, false) => format!("exited with {}", state.exit_code),
        };
        return Ok(plain(HealthStatus::Stopped, &detail));
    }
    if let (Some(command), Some(driver)) = (unit.lowered.probe.command(), driver) {
        return Ok(match docker.exec(&seen.id, &command, PROBE).await {
            Ok(output) => match starting(Answer::of(&output, driver), seen) {
                answer if answer.health.status == HealthStatus::Healthy => {
                    detailed(answer, unit, seen, driver, docker).await?
                }
                answer => answer,
            },
            // The engine answers, the probe does not: that is the agent's state, not a failure of the call. So is a container that
            // went away, or that somebody paused.
            Err(error) if matches!(error.status, None | Some(404 | 409)) => {
                plain(HealthStatus::Unhealthy, &error.reason)
            }
            Err(error) => return Err(error),
        });
    }
    Ok(match state.health.as_deref() {
        Some("starting") => plain(HealthStatus::Starting, "its health check has not answered yet"),
        Some("unhealthy") => {
            let said = state.health_output.as_deref().unwrap_or("").trim();
            plain(HealthStatus::Unhealthy, said.lines().next_back().unwrap_or("its health check fails"))
        }
        Some("healthy") => plain(HealthStatus::Healthy, "its health check succeeds"),
        _ => plain(HealthStatus::Healthy, "it runs; it has no health check"),
    })
}

/// What a runtime that answers its probe says of itself beyond that, where it has a command for it.
async fn detailed(
    answer: Answer,
    unit: &PlannedUnit,
    seen: &Seen,
    driver: &'static dyn Driver,
    docker: &Docker,
) -> Result<Answer, EngineError> {
    let Some(command) = &unit.lowered.detail else { return Ok(answer) };
    match docker.exec(&seen.id, command, DETAIL).await {
        // The image has no such program: what the probe said counts.
        Ok(output) if matches!(output.exit_code, 126 | 127) => Ok(answer),
        Ok(output) => Ok(Answer::of(&output, driver)),
        Err(error) if error.status.is_none() => Ok(answer),
        Err(error) => Err(error),
    }
}

/// What fails within its start period is still starting, in the engine's eyes too.
fn starting(mut answer: Answer, seen: &Seen) -> Answer {
    if (answer.health.status, seen.state.health.as_deref()) == (HealthStatus::Unhealthy, Some("starting")) {
        answer.health.status = HealthStatus::Starting;
    }
    answer
}

/// Sends a message through a runtime's door and returns what came back.
///
/// # Errors
/// Where the engine refuses, or no answer comes in time.
pub async fn ask(container: &str, door: &[String], text: &str, docker: &Docker) -> Result<ProbeOutput, EngineError> {
    let mut command = door.to_vec();
    command.push(text.to_owned());
    docker.exec(container, &command, ANSWER).await
}
