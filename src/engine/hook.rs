//! Hooks: commands that a compose file has run inside a container, after its start (`post_start`) and before its stop
//! (`pre_stop`); before the latter an agent's runtime is drained. What is run before a stop stands in a label, so that a stop without the
//! file runs it too.

use std::time::Duration;

use claw_compose::model::{self, Service};
use claw_types::driver::Drain;
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
    /// The longest it may take, in seconds, where it drains a runtime.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    drains_within: Option<u32>,
}

impl Hook {
    fn drain(drain: &Drain) -> Self {
        Self {
            command: drain.command.clone(),
            user: None,
            privileged: false,
            working_dir: None,
            environment: Vec::new(),
            drains_within: Some(drain.seconds),
        }
    }

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
            drains_within: None,
        }
    }

    /// Returns what it is called.
    fn name(&self) -> &'static str {
        if self.drains_within.is_some() { "drain" } else { "hook of `pre_stop`" }
    }

    /// Runs it within a time; returns why it failed, where it did.
    async fn run(&self, container: &str, patience: Duration, docker: &Docker) -> Result<Option<String>, EngineError> {
        let call = ExecCall {
            command: &self.command,
            user: self.user.as_deref(),
            is_privileged: self.privileged,
            directory: self.working_dir.as_deref(),
            environment: &self.environment,
        };
        let output = docker.exec_call(container, &call, patience).await?;
        if output.exit_code == 0 {
            return Ok(None);
        }
        let said = output.stderr.trim().lines().next_back().or(output.stdout.trim().lines().next_back());
        Ok(Some(format!("exited with {}: {}", output.exit_code, said.unwrap_or("it said nothing"))))
    }
}

/// Returns what the label `claw.pre-stop` of a service's container says: how its runtime is drained, then its `pre_stop`.
///
/// The label is always written: a container has those of its image where it says nothing itself.
pub(crate) fn label_of(service: &Service, drain: Option<&Drain>) -> String {
    let drain = drain.map(Hook::drain).into_iter();
    let hooks: Vec<Hook> = drain.chain(service.pre_stop.iter().map(Hook::of)).collect();
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
        if let Some(why) = hook.run(container, PATIENCE, docker).await? {
            return Ok(Some(format!("hook of `post_start` {why}")));
        }
    }
    Ok(None)
}

/// Stops a container with its own grace in seconds unless another is given, after its runtime was drained and its `pre_stop` has run;
/// with no grace at all nothing is drained. What fails is told and keeps nothing from being stopped.
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
    let grace_given = grace.map(|grace| u32::try_from(grace).unwrap_or(0));
    hooks.retain(|hook| hook.drains_within.is_none() || grace_given != Some(0));
    for hook in hooks.iter().filter(|_| seen.state.is_running) {
        let patience = match hook.drains_within {
            Some(seconds) => Duration::from_secs(u64::from(grace_given.unwrap_or(seconds).min(seconds))),
            None => PATIENCE,
        };
        if hook.drains_within.is_some() {
            progress(&format!("  {}: it takes nothing new and ends what it began", seen.name));
        }
        match hook.run(&seen.id, patience, docker).await {
            Ok(None) => {}
            Ok(Some(why)) => progress(&format!("  {}: {} {why}", seen.name, hook.name())),
            Err(error) => progress(&format!("  {}: {}: {}", seen.name, hook.name(), error.reason)),
        }
    }
    docker.stop(&seen.id, grace).await
}
