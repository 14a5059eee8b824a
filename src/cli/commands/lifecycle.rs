//! `claw stop`, `start`, `restart`, `wait`: containers as they are, made anew by nobody.

use std::collections::{BTreeMap, BTreeSet};

use claw_compiler::plan::steps::{Mode, Observed, starts};
use claw_engine::apply::apply;
use claw_engine::docker::Seen;
use claw_engine::down::stop;
use claw_types::image::compose;
use serde_json::json;

use crate::args::{Global, LifecycleArgs};
use crate::exit::{CommandError, Exit};
use crate::session::{self, Session};
use crate::ui::Ui;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Stop,
    Start,
    Restart,
}

impl Change {
    fn name(self) -> &'static str {
        match self {
            Change::Stop => "stop",
            Change::Start => "start",
            Change::Restart => "restart",
        }
    }
}

pub(crate) fn run(global: &Global, change: Change, args: &LifecycleArgs, ui: &Ui) -> Result<Exit, CommandError> {
    session::with(global, change.name(), ui, async |session| {
        let _lock = session.lock(change.name())?;
        session.refuse_elsewhere().await?;
        let containers = session.containers(&args.services).await?;
        if containers.is_empty() {
            let message = format!("nothing of `{}` is there: `claw up` makes it", session.plan.pod);
            return Err(CommandError::Usage(message));
        }
        let containers = match change {
            Change::Restart => beside(&session, containers).await?,
            _ => containers,
        };
        let mut done = 0;
        if change != Change::Start {
            let docker = session.docker().await?;
            done = stop(containers.clone(), args.timeout, docker, &|line| ui.progress(line)).await?;
        }
        if change != Change::Stop {
            done = start(&session, &containers, change).await?;
        }
        let words = match (change, done) {
            (Change::Stop, 0) => "nothing ran".to_owned(),
            (_, 0) => "everything runs".to_owned(),
            (Change::Stop, count) => format!("{count} stopped"),
            (_, count) => format!("{count} started"),
        };
        session.result(change.name(), &words, json!({ "pod": session.plan.pod.as_str(), "containers": done }));
        Ok(Exit::Done)
    })
}

/// Returns containers, and those whose services ask to be restarted with them.
async fn beside(session: &Session<'_>, containers: Vec<Seen>) -> Result<Vec<Seen>, CommandError> {
    let mut named: BTreeSet<String> = containers.iter().map(|seen| seen.service().to_owned()).collect();
    let asks = session.plan.project.services.iter().filter(|(_, service)| {
        let mut needed = service.depends_on.iter().filter(|(_, dependency)| dependency.restart == Some(true));
        needed.any(|(target, _)| named.contains(target))
    });
    let asks: Vec<String> = asks.map(|(name, _)| name.clone()).collect();
    named.extend(asks);
    let mut all = session.containers(&[]).await?;
    all.retain(|seen| named.contains(seen.service()));
    Ok(all)
}

/// Starts what does not run, each after what it depends on is what it must be.
async fn start(session: &Session<'_>, containers: &[Seen], change: Change) -> Result<usize, CommandError> {
    // What was just stopped was seen while it ran.
    let was_stopped = change == Change::Restart;
    let runs = |seen: &Seen| seen.state.is_running || seen.state.is_restarting;
    let stopped = containers.iter().filter(|seen| was_stopped || !runs(seen));
    let number = |seen: &Seen| seen.label(compose::NUMBER).parse().unwrap_or(1);
    let which: BTreeMap<(String, u32), String> = stopped
        .filter(|seen| session.plan.project.services.contains_key(seen.service()))
        .map(|seen| ((seen.service().to_owned(), number(seen)), format!("`claw {}` asks for it", change.name())))
        .collect();
    let todo = starts(&session.plan, &which);
    let docker = session.docker().await?;
    let mut done = 0;
    let result = session
        .with_site(&session.plan, async |site| {
            let live = claw_engine::live::live(&session.plan, site)?;
            apply(&todo, &live, (&Observed::default(), &Mode::default()), docker, site, &mut done).await
        })
        .await;
    result.map_err(|source| CommandError::halfway(done, todo.len(), source))?;
    Ok(done)
}

/// Waits until containers of services have ended, prints their exit codes, and ends with that of the first.
pub(crate) fn wait(global: &Global, services: &[String], ui: &Ui) -> Result<Exit, CommandError> {
    session::with(global, "wait", ui, async |session| {
        let docker = session.docker().await?;
        let containers = session.containers(services).await?;
        if containers.is_empty() {
            let message = format!("nothing of `{}` is there: `claw up` makes it", services.join("`, `"));
            return Err(CommandError::Usage(message));
        }
        let mut rows = Vec::new();
        for seen in &containers {
            ui.progress(&format!("wait for {}", seen.name));
            rows.push((seen.service(), docker.wait(&seen.id).await?));
        }
        let text: Vec<String> = rows.iter().map(|(service, code)| format!("{service} {code}")).collect();
        let data: Vec<_> =
            rows.iter().map(|(service, code)| json!({ "service": service, "exit_code": code })).collect();
        session.result("wait", &text.join("\n"), json!({ "pod": session.plan.pod.as_str(), "containers": data }));
        match rows.first() {
            Some((_, code)) if *code != 0 => Ok(Exit::Program(u8::try_from(*code).unwrap_or(1))),
            _ => Ok(Exit::Done),
        }
    })
}
