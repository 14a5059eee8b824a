//! `claw snapshot`: what a worker has become, as an image.

use claw_engine::docker::Seen;
use claw_engine::worker::{is_worker, snapshot};
use serde_json::json;

use super::worker;
use crate::args::{Global, SnapshotArgs};
use crate::exit::{CommandError, Exit};
use crate::session::{self, Session};
use crate::ui::Ui;

pub(crate) fn run(global: &Global, args: &SnapshotArgs, ui: &Ui) -> Result<Exit, CommandError> {
    session::with(global, "snapshot", ui, async |session| {
        let seen = subject(&session, &args.agent).await?;
        let pod = session.plan.pod.as_str();
        let tag = args.tag.clone().unwrap_or_else(|| format!("{pod}-{}:snapshot", seen.service()));
        let mode = if is_worker(&seen) { "worker" } else { "agent" };
        let comment = format!("claw snapshot: the {mode} of {} in {pod}", seen.service());
        let docker = session.docker().await?;
        let id = snapshot(&seen, &tag, &comment, docker).await?;
        let text = format!("kept {tag} {id}: the {mode} of {}", seen.service());
        let data = json!({ "pod": pod, "agent": seen.service(), "mode": mode, "image": tag, "id": id });
        session.result("snapshot", &text, data);
        Ok(Exit::Done)
    })
}

/// Returns the container that is kept: the worker's, else the agent's, whose own file system must be one that it may write to.
async fn subject(session: &Session<'_>, agent: &str) -> Result<Seen, CommandError> {
    let agents = session.agents(&[agent.to_owned()])?;
    if let Some(seen) = worker::find(session, agent).await? {
        return Ok(seen);
    }
    let [first] = agents.as_slice() else {
        return Err(CommandError::Usage(format!("`{agent}` is several: name one of `{}`", agents.join("`, `"))));
    };
    let seen = session.container(first, 1).await?;
    let service = session.plan.project.services.get(first);
    if service.is_none_or(|service| service.read_only == Some(true)) {
        let why = format!(
            "`{agent}` has no worker, and cannot write to its own file system, so that it has become nothing else than its \
             image: `claw up --mode worker {agent}` makes a worker"
        );
        return Err(CommandError::Usage(why));
    }
    // What comes from a variable or from the pod file is put into the container's own file system.
    let is_inside = |source: &str, objects: &std::collections::BTreeMap<String, claw_compose::model::FileObject>| {
        objects.get(source).is_some_and(|object| object.environment.is_some() || object.content.is_some())
    };
    let project = &session.plan.project;
    let holds = |service: &claw_compose::model::Service| {
        service.secrets.iter().any(|mount| is_inside(&mount.source, &project.secrets))
            || service.configs.iter().any(|mount| is_inside(&mount.source, &project.configs))
    };
    if service.is_some_and(holds) {
        let why = format!("`{agent}` has secrets or configs in its own file system: an image of it would have them");
        return Err(CommandError::Usage(why));
    }
    Ok(seen)
}
