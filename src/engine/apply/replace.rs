//! Replacing a container so that it can be put back: it is stopped and given another name, and goes once the new one is ready.

use std::collections::BTreeSet;
use std::time::Duration;

use claw_compiler::plan::steps::{Action, Step};

use super::{ApplyError, Run, wait_for};
use crate::docker::{EngineError, Seen};

/// What the name of a container ends with that was set aside.
const ASIDE: &str = ".aside";

/// How long one without a health check must run to count as ready.
const STANDING: Duration = Duration::from_secs(2);

/// Returns whether a container was set aside.
pub(crate) fn is_aside(seen: &Seen) -> bool {
    seen.name.ends_with(ASIDE)
}

impl Run<'_> {
    /// Stops a container and gives it another name.
    pub(super) async fn set_aside(&self, id: &str) -> Result<(), ApplyError> {
        let Some(seen) = self.docker.container(id).await? else { return Ok(()) };
        self.stop(id).await?;
        Ok(self.docker.rename(id, &format!("{}{ASIDE}", seen.name)).await?)
    }

    /// Waits until a container that replaces another is healthy; one without a health check must go on running, or end well.
    pub(super) async fn settle(&self, name: &str, number: u32) -> Result<(), ApplyError> {
        let Some(service) = self.plan.project.services.get(name) else { return Ok(()) };
        let is_checked = service.healthcheck.as_ref().is_some_and(|check| check.disable != Some(true));
        if is_checked {
            let count = self.mode.containers_of(name, service);
            return wait_for(name, count, "service_healthy", self.plan, self.docker, self.site.patience).await;
        }
        tokio::time::sleep(STANDING).await;
        let container = self.scope.container(name, number);
        let seen = self.docker.container(&container).await?;
        let why = match seen {
            None => "was removed".to_owned(),
            Some(seen) if seen.state.restarts > 0 || seen.state.is_restarting => {
                format!("does not go on running: it was restarted {} times", seen.state.restarts)
            }
            Some(seen) if seen.state.is_running => return Ok(()),
            Some(seen) if seen.state.status == "exited" && seen.state.exit_code == 0 => return Ok(()),
            Some(seen) => format!("does not go on running: it exited with {}", seen.state.exit_code),
        };
        Err(ApplyError::NotReady { service: name.to_owned(), why })
    }

    /// Puts back what was set aside, where not everything that replaces something is ready: the run has failed. `undone` has the
    /// steps that were not carried out, `open` those of them that were not begun.
    pub(super) async fn put_back(
        &self,
        steps: &[Step],
        undone: &BTreeSet<u32>,
        open: &BTreeSet<u32>,
    ) -> Result<(), EngineError> {
        let is_ready = |step: &Step| !matches!(step.action, Action::Settle(..)) || !undone.contains(&step.id);
        if steps.iter().all(is_ready) {
            return Ok(());
        }
        let begun = || steps.iter().filter(|step| !open.contains(&step.id));
        let runs = |service: &str, id: &str| {
            let mut before = self.observed.containers.get(service).into_iter().flatten();
            before.any(|before| before.id == *id && before.is_running)
        };
        let mut aside = Vec::new();
        let mut stopped = Vec::new();
        for step in begun() {
            match &step.action {
                Action::SetAside(service, name, id) => {
                    let Some(seen) = self.docker.container(id).await? else { continue };
                    (self.site.progress)(&format!("put back container {name}: what replaces it is not ready"));
                    aside.push((service, name, id, is_aside(&seen)));
                }
                // What was stopped because what it needs was to be replaced.
                Action::Stop(service, _, id) => stopped.push((service, id)),
                _ => {}
            }
        }
        // First all that is new goes: what it took, ports among it, is the old one's. One that fails keeps no other from coming back.
        let mut failure = None;
        for (_, name, ..) in aside.iter().filter(|(.., is_aside)| *is_aside) {
            failure = failure.or(self.docker.remove_container(name, false).await.err());
        }
        for (_, name, id, _) in aside.iter().filter(|(.., is_aside)| *is_aside) {
            failure = failure.or(self.docker.rename(id, name).await.err());
        }
        let back = aside
            .iter()
            .map(|(service, _, id, _)| (service, id))
            .chain(stopped.iter().map(|(service, id)| (service, id)));
        for (_, id) in back.filter(|(service, id)| runs(service, id)) {
            failure = failure.or(self.docker.start(id).await.err());
        }
        failure.map_or(Ok(()), Err)
    }
}
