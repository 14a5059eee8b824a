//! Worker mode: `claw up --mode worker`, and the worker that other commands mean.

use claw_engine::docker::{Docker, ExecCall, Input, Seen};
use claw_engine::live::live;
use claw_engine::lock::lock;
use claw_engine::worker::{self, Worker};
use claw_types::id::UnitId;
use claw_types::image::label;
use serde_json::{Value, json};

use super::up::{self, Wanted};
use crate::args::{Choice, Global, Mode, UpArgs};
use crate::exit::{CommandError, Exit};
use crate::session::{self, Session};
use crate::ui::Ui;

/// Makes the workers of agents, and runs their `ACT` lines; nothing of the pod is touched.
pub(crate) fn up(global: &Global, args: &UpArgs, ui: &Ui) -> Result<Exit, CommandError> {
    session::with(global, "up", ui, async |mut session| {
        let agents = chosen(&session, &args.services)?;
        // To the last line: another run would go on with the same one, or take the worker away below it.
        let _lock = lock(&session.input.root, session.plan.pod.as_str(), "up")?;
        let mut told = Vec::new();
        let mut is_done = true;
        for agent in &agents {
            let worker = made(&mut session, agent, args).await?;
            let (acts, is_whole) = act(&session, agent, &worker).await?;
            is_done &= is_whole;
            let known = session.plan.workers.get(agent);
            let tracked: Vec<&str> = known.iter().flat_map(|known| &known.tracked).map(|each| each.name()).collect();
            told.push(json!({
                "agent": agent.as_str(),
                "container": worker.container,
                "id": worker.id,
                "is_new": worker.is_new,
                "tracked": tracked,
                "acts": acts,
            }));
            if !is_whole {
                break;
            }
        }
        let hint = agents.first().map_or("AGENT", UnitId::as_str);
        let text = match (is_done, told.len()) {
            (false, _) => String::new(),
            (true, 1) => format!("the worker of {hint} runs: `claw exec --mode worker {hint} sh`"),
            (true, count) => format!("{count} workers run: `claw exec --mode worker {hint} sh`"),
        };
        session.result("up-worker", &text, json!({ "pod": session.plan.pod.as_str(), "workers": told }));
        Ok(if is_done { Exit::Done } else { Exit::Failed })
    })
}

/// Returns the agents that get a worker: those named, else those with `ACT` lines. Replicas have one image, and the first of them the
/// worker.
fn chosen(session: &Session<'_>, names: &[String]) -> Result<Vec<UnitId>, CommandError> {
    let plan = &session.plan;
    let mut chosen = Vec::new();
    if names.is_empty() {
        for (id, unit) in &plan.units {
            let has_acts = plan.workers.get(id).is_some_and(|worker| !worker.acts.is_empty());
            if has_acts && unit.unit.replica.index == 0 {
                chosen.push(id.clone());
            }
        }
        if chosen.is_empty() {
            let why = "no agent of the pod has `ACT` lines: name those that get a worker";
            return Err(CommandError::Usage(why.to_owned()));
        }
        return Ok(chosen);
    }
    for name in names {
        let first = session.agents(std::slice::from_ref(name))?.into_iter().next();
        let found = plan.units.keys().find(|id| Some(id.as_str()) == first.as_deref()).cloned();
        chosen.extend(found.filter(|id| !chosen.contains(id)));
    }
    Ok(chosen)
}

/// Makes the image of an agent where it is not as its Clawfile says, and its worker.
async fn made(session: &mut Session<'_>, agent: &UnitId, args: &UpArgs) -> Result<Worker, CommandError> {
    let choice = Choice {
        build: args.choice.build,
        no_build: args.choice.no_build,
        pull: args.choice.pull.clone(),
        no_deps: true,
        ..Choice::default()
    };
    let services = [agent.to_string()];
    let wanted = Wanted {
        command: "up",
        services: &services,
        choice: &choice,
        adopts: args.adopt,
        spared: Some(agent.as_str()),
    };
    up::images(session, &wanted).await?;
    let docker = session.docker().await?;
    let plan = &session.plan;
    let anew = args.choice.force_recreate;
    let made = session.with_site(plan, async |site| {
        let live = live(plan, site)?;
        worker::ensure(agent, anew, &live, docker, site).await
    });
    Ok(made.await?)
}

/// Runs the `ACT` lines that were not run yet, to the first that fails. Returns how each ended, and whether all are done.
async fn act(session: &Session<'_>, agent: &UnitId, worker: &Worker) -> Result<(Vec<Value>, bool), CommandError> {
    let docker = session.docker().await?;
    let acts = session.plan.workers.get(agent).map(|worker| worker.acts.clone()).unwrap_or_default();
    let before = worker::done(&worker.id, docker).await?;
    let (mut told, mut is_failed) = (Vec::new(), false);
    for (index, command) in acts.iter().enumerate() {
        let row = |state: &str, code: Option<i64>| json!({ "command": command, "state": state, "exit_code": code });
        if index < before || is_failed {
            told.push(row(if is_failed { "open" } else { "before" }, None));
            continue;
        }
        session.ui.progress(&format!("{agent}: ACT {} of {}: {command}", index + 1, acts.len()));
        let code = one(session, (agent, worker), command, docker).await?;
        if code == 0 {
            worker::record(&worker.id, index + 1, docker).await?;
            told.push(row("done", Some(0)));
            continue;
        }
        is_failed = true;
        told.push(row("failed", Some(code)));
        session.ui.progress(&format!(
            "{agent}: `ACT {command}` ended with {code}; the worker stays: `claw exec --mode worker {agent} sh` looks into it, \
             and the same command goes on with this line"
        ));
    }
    Ok((told, !is_failed))
}

/// Runs one line. Ctrl-C stops the worker with it; the worker stays.
async fn one(
    session: &Session<'_>,
    (agent, worker): (&UnitId, &Worker),
    command: &str,
    docker: &Docker,
) -> Result<i64, CommandError> {
    let words = ["/bin/sh", "-c", command].map(ToOwned::to_owned);
    let call = ExecCall { command: &words, ..ExecCall::default() };
    let (sender, input) = tokio::sync::mpsc::unbounded_channel();
    let _ = sender.send(Input::End);
    let mut lines = [Vec::new(), Vec::new()];
    let tell = |line: &[u8]| {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end_matches(['\r', '\n']).rsplit('\r').next().unwrap_or("").to_owned();
        session.ui.progress(&format!("{agent} | {text}"));
    };
    let mut print = |is_error: bool, bytes: &[u8]| {
        whole(&mut lines[usize::from(is_error)], bytes, tell);
    };
    session.interrupt.set_busy(true);
    let ended = tokio::select! {
        code = docker.exec_live(&worker.id, &call, false, input, &mut print) => Some(code),
        () = session.interrupt.asked() => None,
    };
    session.interrupt.set_busy(false);
    lines.iter().filter(|rest| !rest.is_empty()).for_each(|rest| tell(rest));
    match ended {
        Some(code) => Ok(code?),
        None => {
            docker.stop(&worker.id, Some(0)).await?;
            Err(CommandError::Interrupted)
        }
    }
}

/// The most bytes of a line that are waited for.
const LONGEST: usize = 64 << 10;

/// Tells each line that is whole with these bytes, and what is too long to wait for its end; the rest stays open.
fn whole(open: &mut Vec<u8>, bytes: &[u8], tell: impl Fn(&[u8])) {
    for part in bytes.split_inclusive(|byte| *byte == b'\n') {
        open.extend_from_slice(part);
        if part.ends_with(b"\n") || open.len() >= LONGEST {
            tell(open);
            open.clear();
        }
    }
}

/// Returns the container that is meant: one of a service's, or the worker of an agent.
pub(crate) async fn meant(session: &Session<'_>, service: &str, index: u32, mode: Mode) -> Result<Seen, CommandError> {
    match mode {
        Mode::Agent => session.container(service, index).await,
        Mode::Worker => of(session, service).await,
    }
}

/// Returns the worker of an agent.
pub(crate) async fn of(session: &Session<'_>, agent: &str) -> Result<Seen, CommandError> {
    find(session, agent).await?.ok_or_else(|| {
        let known =
            session.plan.project.services.contains_key(agent) || !session.plan.compose_services(agent).is_empty();
        if !known {
            return session.no_service(agent);
        }
        CommandError::Usage(format!("`{agent}` has no worker: `claw up --mode worker {agent}` makes one"))
    })
}

/// Returns the worker of an agent; nothing where it has none. One that another checkout of the same name made is nobody's here.
pub(crate) async fn find(session: &Session<'_>, agent: &str) -> Result<Option<Seen>, CommandError> {
    let workers = worker::workers(session.plan.pod.as_str(), session.docker().await?).await?;
    let names = session.plan.compose_services(agent);
    let is_it = |seen: &Seen| {
        seen.service() == agent
            || seen.label(label::SERVICE) == agent
            || names.iter().any(|name| name == seen.service())
    };
    let found = workers.into_iter().find(is_it);
    let elsewhere = found.as_ref().and_then(|seen| claw_engine::observe::elsewhere(seen, &session.input.root));
    session::refuse_elsewhere(session.plan.pod.as_str(), elsewhere.as_deref(), false)?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn a_line_without_an_end_is_not_kept() {
        let (mut open, told) = (Vec::new(), RefCell::new(Vec::new()));
        let mut take = |bytes: &[u8]| {
            whole(&mut open, bytes, |line| told.borrow_mut().push(line.len()));
            open.len()
        };
        assert_eq!(take(b"one\ntwo\nthr"), 3);
        assert_eq!(take(b"ee\n"), 0);
        for _ in 0..300 {
            assert!(take(&[b'x'; 1 << 10]) < LONGEST);
        }
        assert_eq!(*told.borrow(), [4, 4, 6, LONGEST, LONGEST, LONGEST, LONGEST]);
    }
}
