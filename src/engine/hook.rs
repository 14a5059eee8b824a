//! Hooks: commands that a compose file has run inside a container, after its start (`post_start`) and before its stop
//! (`pre_stop`). The latter stand in a label, so that a stop without the file runs them too.

use std::time::Duration;

use claw_compose::model::{self, Service};
use claw_types::image::label;
use serde::{Deserialize, Serialize};

use crate::docker::{Docker, EngineError, ExecCall, Seen};

/// The longest a hook may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// A hook with every variable filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Hook {
    command: Vec<String>,
    user: Option<String>,
    privileged: bool,
    working_dir: Option<String>,
    environment: Vec<String>,
}

impl Hook {
    fn of(hook: &model::Hook) -> Self {
        let line = |(name, value): (&String, &claw_compose::shape::Maybe<claw_compose::template::Template>)| {
            value
                .0
                .as_ref()
                .map_or_else(|| name.clone(), |value| format!("{name}={}", value.as_literal().unwrap_or("")))
        };
        Self {
            command: hook.command.as_ref().map(|argv| argv.0.clone()).unwrap_or_default(),
            user: hook.user.clone(),
            privileged: hook.privileged == Some(true),
            working_dir: hook.working_dir.clone(),
            environment: hook.environment.iter().map(line).collect(),
        }
    }

    /// Runs it; returns why it failed, where it did.
    async fn run(&self, container: &str, docker: &Docker) -> Result<Option<String>, EngineError> {
        let call = ExecCall {
            command: &self.command,
            user: self.user.as_deref(),
            is_privileged: self.privileged,
            directory: self.working_dir.as_deref(),
            environment: &self.environment,
        };
        let output = docker.exec_call(container, &call, PATIENCE).await?;
        if output.exit_code == 0 {
            return Ok(None);
        }
        let said = output.stderr.trim().lines().next_back().or(output.stdout.trim().lines().next_back());
        Ok(Some(format!("exited with {}: {}", output.exit_code, said.unwrap_or("it said nothing"))))
    }
}

/// Returns what the label `claw.pre-stop` of a service's container says.
///
/// The label is always written: a container has those of its image where it says nothing itself.
pub(crate) fn label_of(service: &Service) -> String {
    let hooks: Vec<Hook> = service.pre_stop.iter().map(Hook::of).collect();
    serde_json::to_string(&hooks).unwrap_or_default()
}

/// Runs a service's `post_start` in its container, one after the other; returns why one failed, where one did.
///
/// # Errors
/// Where the engine refuses.
pub(crate) async fn after_start(
    service: &Service,
    container: &str,
    docker: &Docker,
) -> Result<Option<String>, EngineError> {
    for hook in service.post_start.iter().map(Hook::of) {
        if let Some(why) = hook.run(container, docker).await? {
            return Ok(Some(format!("hook of `post_start` {why}")));
        }
    }
    Ok(None)
}

/// Stops a container with its own grace in seconds unless another is given, after its `pre_stop`. A hook that fails is told
/// and keeps nothing from being stopped.
///
/// # Errors
/// Where the engine refuses to stop it.
pub(crate) async fn stop(
    seen: &Seen,
    grace: Option<i32>,
    docker: &Docker,
    progress: &dyn Fn(&str),
) -> Result<(), EngineError> {
    // What is no list of hooks is of another version of claw.
    let mut hooks: Vec<Hook> = serde_json::from_str(seen.label(label::PRE_STOP)).unwrap_or_default();
    // Whoever made the image has no say in what is run on this host with more rights than the container has.
    if !hooks.is_empty() {
        let image = docker.image(seen.inspected["Image"].as_str().unwrap_or("")).await?;
        let is_own = image.is_some_and(|image| {
            image.labels.get(label::PRE_STOP).map(String::as_str) != Some(seen.label(label::PRE_STOP))
        });
        hooks.retain(|_| is_own);
    }
    for hook in hooks.iter().filter(|_| seen.state.is_running) {
        match hook.run(&seen.id, docker).await {
            Ok(None) => {}
            Ok(Some(why)) => progress(&format!("  {}: hook of `pre_stop` {why}", seen.name)),
            Err(error) => progress(&format!("  {}: hook of `pre_stop`: {}", seen.name, error.reason)),
        }
    }
    docker.stop(&seen.id, grace).await
}
