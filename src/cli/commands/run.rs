//! `claw run`: a command in a new container of a service.

use std::time::Duration;

use claw_compose::load::words::split;
use claw_engine::apply::{ApplyError, OneOff, make_oneoff};
use claw_engine::live::live;
use claw_engine::observe::observe;
use serde_json::json;

use super::up::{self, Wanted};
use crate::args::{Choice, Global, RunArgs};
use crate::exit::{CommandError, Exit};
use crate::session::{self, Session};
use crate::terminal::{Raw, input, is_at_terminal, print};
use crate::ui::Ui;

pub(crate) fn run(global: &Global, args: &RunArgs, ui: &Ui) -> Result<Exit, CommandError> {
    session::with(global, "run", ui, async |mut session| {
        if !session.plan.project.services.contains_key(&args.service) {
            return Err(session.no_service(&args.service));
        }
        let is_agent = session.plan.units.keys().any(|unit| unit.as_str() == args.service);
        if let Some(user) = args.inside.user.as_ref().filter(|_| is_agent) {
            let why = format!("`{}` is an agent: its user is the plan's, and not `{user}`", args.service);
            return Err(CommandError::Usage(why));
        }
        let choice = Choice { build: args.build, no_deps: args.no_deps, ..Choice::default() };
        let services = [args.service.clone()];
        let wanted =
            Wanted { command: "run", services: &services, choice: &choice, adopts: false, spared: Some(&args.service) };
        let done = up::converge(&mut session, &wanted).await?;
        let order = order(args, &session)?;
        let docker = session.docker().await?;
        let id = session
            .with_site(&session.plan, async |site| {
                let live = live(&session.plan, site)?;
                let observed = observe(&live, docker, site).await?;
                make_oneoff(&order, &live, (&observed, &done.mode), docker, site).await
            })
            .await
            .map_err(|error: ApplyError| CommandError::from(error))?;
        if args.detach {
            docker.start(&id).await?;
            session.result(
                "run",
                &order.container,
                json!({ "pod": session.plan.pod.as_str(), "container": order.container, "id": id }),
            );
            return Ok(Exit::Done);
        }
        let code = attached(&session, &order, &id).await;
        if args.remove {
            docker.remove_container(&id, true).await?;
        }
        match code? {
            0 => Ok(Exit::Done),
            code => Ok(Exit::Program(u8::try_from(code).unwrap_or(1))),
        }
    })
}

fn order(args: &RunArgs, session: &Session<'_>) -> Result<OneOff, CommandError> {
    let entrypoint = args
        .entrypoint
        .as_deref()
        .map(|text| split(text).map_err(|why| CommandError::Usage(format!("`{text}` is no entrypoint: {why}"))));
    let has_terminal = !args.detach && !args.inside.no_tty && is_at_terminal();
    // Two at a time have two names, also where two hosts of processes share an engine.
    let name = format!("{}-{}-run-{}", session.plan.pod, args.service, claw_engine::docker::token());
    Ok(OneOff {
        service: args.service.clone(),
        container: args.name.clone().unwrap_or(name),
        command: args.command.clone(),
        entrypoint: entrypoint.transpose()?,
        user: args.inside.user.clone(),
        directory: args.inside.workdir.clone(),
        environment: args.inside.environment().collect(),
        has_ports: args.service_ports,
        has_terminal,
        has_input: !args.detach,
    })
}

/// How long a command has to end after Ctrl-C.
const GRACE: Duration = Duration::from_secs(10);

/// Runs the container to its end. Ctrl-C goes to the command, which is killed where it does not end.
async fn attached(session: &Session<'_>, order: &OneOff, id: &str) -> Result<i64, CommandError> {
    let docker = session.docker().await?;
    let raw = if order.has_terminal { Some(Raw::set().map_err(CommandError::Start)?) } else { None };
    session.interrupt.set_busy(true);
    let mut print = print;
    let code = {
        let mut work = std::pin::pin!(docker.start_live(id, input(order.has_terminal)?, &mut print));
        tokio::select! {
            code = &mut work => code,
            () = session.interrupt.asked() => {
                docker.signal(id, "SIGINT").await?;
                match tokio::time::timeout(GRACE, &mut work).await {
                    Ok(code) => code,
                    Err(_) => {
                        docker.stop(id, Some(0)).await?;
                        work.await
                    }
                }
            }
        }
    };
    session.interrupt.set_busy(false);
    drop(raw);
    Ok(code?)
}
