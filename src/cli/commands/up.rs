//! `claw up`: converge, verify, and with a terminal's patience follow what happens.

use std::time::Duration;

use claw_compiler::plan::steps::{Action, Builds, Mode, Observed, Pull, Step, steps};
use claw_engine::apply::{STANDING, apply, wait_for};
use claw_engine::docker::{LogOptions, Seen};
use claw_engine::files::{remove_stale_units, write_atomic};
use claw_engine::live::live;
use claw_engine::lock::lock;
use claw_engine::observe::observe;
use serde_json::{Value, json};

use super::audit;
use super::logs::Style;
use super::{verify, worker};
use crate::args::{self, Choice, Global, UpArgs};
use crate::exit::{CommandError, Exit};
use crate::session::{self, Session};
use crate::ui::Ui;

pub(crate) fn run(global: &Global, args: &UpArgs, ui: &Ui) -> Result<Exit, CommandError> {
    // The first implementation named the pod file here.
    if let ([file], []) = (args.services.as_slice(), global.file.as_slice())
        && (file.ends_with(".yml") || file.ends_with(".yaml"))
    {
        let global = Global { file: vec![file.into()], ..global.clone() };
        let args = UpArgs { services: Vec::new(), ..args.clone() };
        return run(&global, &args, ui);
    }
    if args.mode == args::Mode::Worker {
        return worker::up(global, args, ui);
    }
    session::with(global, "up", ui, async |mut session| {
        session.grace = args.timeout;
        session.patience = Duration::from_secs(args.wait_timeout);
        let wanted =
            Wanted { command: "up", services: &args.services, choice: &args.choice, adopts: args.adopt, spared: None };
        let done = converge(&mut session, &wanted).await?;
        // Where nothing was done, what was just seen is the proof.
        let findings = match done.seen.as_ref().filter(|_| done.steps.is_empty()) {
            Some(observed) => verify::judged(&session, &done.mode, observed, &[]).await?,
            None => verify::findings(&session, &done.mode).await?,
        };
        let is_as_planned = findings.is_empty();
        if is_as_planned {
            remove_stale_units(&session.input.root, session.plan.pod.as_str(), &session.plan.files)?;
        } else {
            verify::hold(&session, &findings).await?;
        }
        let is_ready = !is_as_planned || !args.wait || wait(&session, &done.mode).await?;
        let operators = operators(&session).await?;
        let text = match done.steps.len() {
            0 => "nothing to do".to_owned(),
            1 => "1 step done".to_owned(),
            count => format!("{count} steps done"),
        };
        let data = json!({
            "pod": session.plan.pod.as_str(),
            "steps": done.steps.iter().map(as_json).collect::<Vec<_>>(),
            "findings": findings.iter().map(verify::as_json).collect::<Vec<_>>(),
            "operators": operators.iter().map(|(service, address)| json!({"service": service, "url": address})).collect::<Vec<_>>(),
        });
        session.result("up", &text, data);
        if let Some((service, address)) = operators.first().filter(|_| is_as_planned) {
            session
                .ui
                .progress(&format!("{service}: operators at {address} (`claw cllama url` prints it with its token)"));
        }
        match (is_as_planned, is_ready) {
            (false, _) => Ok(Exit::Failed),
            (true, false) => Ok(Exit::Unhealthy),
            (true, true) if args.detach || args.wait => Ok(Exit::Done),
            (true, true) => follow(&session, &done.mode).await,
        }
    })
}

/// Returns where the operators' sides of the pod's proxies are on this host.
async fn operators(session: &Session<'_>) -> Result<Vec<(String, String)>, CommandError> {
    if session.plan.proxies.is_empty() {
        return Ok(Vec::new());
    }
    let proxies = audit::proxies(session).await?;
    Ok(proxies.iter().filter_map(|seen| Some((seen.service().to_owned(), audit::address(seen)?))).collect())
}

/// What is wanted of a pod.
pub(crate) struct Wanted<'w> {
    /// The command that wants it.
    pub(crate) command: &'w str,
    /// Services; all where none is named.
    pub(crate) services: &'w [String],
    pub(crate) choice: &'w Choice,
    /// What another directory started is taken over.
    pub(crate) adopts: bool,
    /// A service whose containers are left alone: everything they need is made.
    pub(crate) spared: Option<&'w str>,
}

/// What was carried out.
pub(crate) struct Done {
    steps: Vec<Step>,
    pub(crate) mode: Mode,
    /// What was there before the last steps.
    seen: Option<Observed>,
}

/// Carries out what `plan` shows: images first, then, with what they tell, the rest.
pub(crate) async fn converge(session: &mut Session<'_>, wanted: &Wanted<'_>) -> Result<Done, CommandError> {
    let _lock = lock(&session.input.root, session.plan.pod.as_str(), wanted.command)?;
    let Imaged { mut done, mode, observed, todo } = images(session, wanted).await?;
    let compose = claw_compiler::emit::compose::compose(&session.plan);
    write_atomic(&session.input.root.join("compose.generated.yml"), &compose, 0o644)?;
    kept(session, &observed, &mode);
    // What was just made is there; a pull policy of `always` would pull once more.
    let is_spared = |step: &Step| step.action.is_of_container() && step.action.service() == wanted.spared;
    let is_left = |step: &Step| !step.action.is_image() && (wanted.spared.is_none() || !is_spared(step));
    let rest: Vec<Step> = todo.into_iter().filter(is_left).collect();
    carry_out(session, (&observed, &mode), &rest).await?;
    done.extend(rest);
    Ok(Done { steps: done, mode: mode.carried_out(), seen: Some(observed) })
}

/// What is known once the images are there.
pub(crate) struct Imaged {
    /// The steps that made them.
    done: Vec<Step>,
    mode: Mode,
    observed: Observed,
    /// The steps that are left, and those of images once more.
    todo: Vec<Step>,
}

/// Makes the images of a plan, and compiles it again with what they tell.
pub(crate) async fn images(session: &mut Session<'_>, wanted: &Wanted<'_>) -> Result<Imaged, CommandError> {
    if let Some(backup) = claw_engine::state::restoring(&session.input.root, session.plan.pod.as_str()) {
        let message = format!(
            "a restore of `{backup}` did not end: `claw restore -y {backup}` does it again, `claw down -v` gives it up"
        );
        return Err(CommandError::Usage(message));
    }
    let mut mode = mode(session, wanted.services, wanted.choice)?;
    let (mut observed, mut todo) = look(session, &mode).await?;
    if !wanted.adopts {
        session::refuse_elsewhere(session.plan.pod.as_str(), observed.elsewhere(), true)?;
    }
    refuse_others(session, &observed)?;
    let images: Vec<Step> = todo.iter().filter(|step| step.action.is_image()).cloned().collect();
    refuse_weak(session, &todo).await?;
    carry_out(session, (&observed, &mode), &images).await?;
    if learn(session, &images).await? {
        mode = Mode { has_images: true, ..self::mode(session, wanted.services, wanted.choice)? };
        (observed, todo) = look(session, &mode).await?;
        refuse_others(session, &observed)?;
        refuse_weak(session, &todo).await?;
    }
    if let Some(unknown) = session.plan.unknown.first() {
        return Err(CommandError::Usage(unknown.message.clone()));
    }
    Ok(Imaged { done: images, mode, observed, todo })
}

/// Refuses to start agents on an engine that does not hold what holds them; with `--compat` it is told.
async fn refuse_weak(session: &Session<'_>, todo: &[Step]) -> Result<(), CommandError> {
    let is_agent = |step: &&Step| {
        let service = step.action.service().unwrap_or("");
        matches!(step.action, Action::Start(..)) && session.plan.units.keys().any(|unit| unit.as_str() == service)
    };
    if !todo.iter().any(|step| is_agent(&step)) {
        return Ok(());
    }
    let facts = session.docker().await?.facts().await?;
    let unenforced = facts.unenforced();
    if unenforced.is_empty() {
        return Ok(());
    }
    let message = format!("the engine at `{}` has no {}", facts.address, unenforced.join(", no "));
    if session.input.is_compat() {
        session.ui.progress(&format!("warning: {message}: agents run without"));
        return Ok(());
    }
    Err(CommandError::Usage(format!(
        "{message}: agents would run without; `--compat` lets them, `claw doctor` tells more"
    )))
}

/// Refuses images that are not those of `claw.lock`. What came from a registry is asked for by its digest.
fn refuse_others(session: &Session<'_>, observed: &Observed) -> Result<(), CommandError> {
    let Some((_, lock)) = &session.input.lock else { return Ok(()) };
    for (name, locked) in &lock.images {
        let seen = observed.images.get(name).map(|image| &image.id);
        if let (Some(seen), Some(id)) = (seen, &locked.id)
            && seen != id
        {
            let message = format!(
                "the image `{name}` is {seen} here, and {id} in `claw.lock`: `claw update` takes the one that is here"
            );
            return Err(CommandError::Usage(message));
        }
    }
    Ok(())
}

/// Returns how steps are chosen.
pub(crate) fn mode(session: &Session<'_>, services: &[String], choice: &Choice) -> Result<Mode, CommandError> {
    let plan = &session.plan;
    let mode = Mode::of(services, !choice.no_deps, plan).map_err(|name| session.no_service(&name))?;
    for (name, count) in &choice.scale {
        let service = plan.project.services.get(name);
        if plan.units.values().any(|unit| unit.unit.service.as_str() == name || unit.unit.id.as_str() == name) {
            let why = format!("`{name}` is an agent: the pod file says how many there are (`x-claw.count`)");
            return Err(CommandError::Usage(why));
        }
        let service = service.ok_or_else(|| session.no_service(name))?;
        if service.container_name.is_some() && *count > 1 {
            return Err(CommandError::Usage(format!("`{name}` has a `container_name`, so there is one of it at most")));
        }
    }
    let pull = choice.pull.as_deref().map(|when| match when {
        "always" => Pull::Always,
        "never" => Pull::Never,
        _ => Pull::Missing,
    });
    let builds = match (choice.build, choice.no_build) {
        (true, _) => Builds::Always,
        (false, true) => Builds::Never,
        (false, false) => Builds::Needed,
    };
    Ok(Mode {
        removes_orphans: choice.remove_orphans,
        builds,
        pull,
        recreates: choice.force_recreate,
        scale: choice.scale.iter().cloned().collect(),
        is_reversible: choice.rollback,
        ..mode
    })
}

/// Returns what is there, and what must be done.
pub(crate) async fn look(session: &Session<'_>, mode: &Mode) -> Result<(Observed, Vec<Step>), CommandError> {
    let docker = session.docker().await?;
    let found = session
        .with_site(&session.plan, async |site| {
            let live = live(&session.plan, site)?;
            let observed = observe(&live, docker, site).await?;
            let todo = steps(&live, &observed, mode);
            Ok::<_, claw_engine::apply::ApplyError>((observed, todo))
        })
        .await;
    Ok(found?)
}

async fn carry_out(
    session: &Session<'_>,
    (observed, mode): (&Observed, &Mode),
    todo: &[Step],
) -> Result<(), CommandError> {
    if todo.is_empty() {
        return Ok(());
    }
    let docker = session.docker().await?;
    let mut done = 0;
    let result = session
        .with_site(&session.plan, async |site| {
            let live = live(&session.plan, site)?;
            apply(todo, &live, (observed, mode), docker, site, &mut done).await
        })
        .await;
    result.map_err(|source| CommandError::halfway(done, todo.len(), source))
}

/// Compiles again with what images tell that were just made. Returns whether any were.
async fn learn(session: &mut Session<'_>, made: &[Step]) -> Result<bool, CommandError> {
    for step in made {
        let image = match &step.action {
            Action::Pull(image) => Some(claw_types::image::ImageRef::new(image.as_str())),
            // Another service may use what this one builds.
            Action::Build(service) => session.plan.builds.get(service).map(|build| build.image.clone()),
            _ => None,
        };
        image.map(|image| session.input.facts.images.remove(&image));
    }
    if made.is_empty() {
        return Ok(false);
    }
    session.input.forget_findings();
    let plan = session.input.plan().await?;
    let Some(plan) = plan else {
        session.ui.diagnostics(&session.input.diagnostics, &session.input.sources);
        return Err(CommandError::Usage("the images are not what the pod file takes them for".to_owned()));
    };
    session.plan = plan;
    Ok(true)
}

/// Tells of what is left as it is though the file says otherwise.
pub(crate) fn kept(session: &Session<'_>, observed: &Observed, mode: &Mode) {
    for key in &observed.changed_volumes {
        session.ui.progress(&format!(
            "kept: the volume `{key}` is not as the file says; what it holds would be lost with it: `docker volume rm` makes room for a new one"
        ));
    }
    for (agent, copied) in observed.reseeded.iter().filter(|(agent, _)| mode.has(agent.as_str())) {
        session.ui.progress(&format!(
            "kept: `{agent}` has made its own of the persona {copied}, and the pod names another one now: `claw persona pull --reset {agent}` begins anew with it"
        ));
    }
    if mode.removes_orphans || mode.selected.is_some() {
        return;
    }
    for (service, containers) in &observed.containers {
        let is_kept =
            !session.plan.project.services.contains_key(service) && containers.iter().any(|each| !each.is_claws);
        if is_kept {
            session.ui.progress(&format!(
                "kept: `{service}` is no service of the pod and not claw's; `--remove-orphans` removes it"
            ));
        }
    }
}

/// Waits until every service is healthy, runs, or has done its work; tells of those that are not.
async fn wait(session: &Session<'_>, mode: &Mode) -> Result<bool, CommandError> {
    let docker = session.docker().await?;
    let mut is_ready = true;
    for (name, service) in session.plan.project.services.iter().filter(|(name, _)| mode.has(name)) {
        let is_checked = service.healthcheck.as_ref().is_some_and(|check| check.disable != Some(true));
        let condition = if is_checked { "service_healthy" } else { STANDING };
        session.ui.progress(&format!("wait for {name}"));
        let count = mode.containers_of(name, service);
        let waited = wait_for(name, count, condition, &session.plan, docker, session.patience).await;
        if let Err(error) = waited {
            session.ui.progress(&format!("not ready: {error}"));
            is_ready = false;
        }
    }
    Ok(is_ready)
}

/// Follows the logs until Ctrl-C, then stops the pod.
async fn follow(session: &Session<'_>, mode: &Mode) -> Result<Exit, CommandError> {
    session.interrupt.set_busy(true);
    session.secrets.clear();
    session.ui.progress("following the logs; Ctrl-C stops the pod");
    let docker = session.docker().await?;
    let mut containers = session.containers(&[]).await?;
    let is_attached = |name: &str| session.plan.project.services.get(name).is_none_or(|own| own.attach != Some(false));
    containers.retain(|seen| mode.has(seen.service()) && is_attached(seen.service()));
    let options = LogOptions { is_following: true, ..LogOptions::default() };
    let style = Style { has_times: false, has_source: true, is_coloured: session.ui.has_colour() };
    let mut print = super::logs::printer(session, &style, &containers);
    let is_wanted = |service: &str, _: &str| mode.has(service) && is_attached(service);
    let pod = session.plan.pod.as_str();
    tokio::select! {
        followed = claw_engine::logs::follow((pod, &containers), &is_wanted, &options, docker, &mut print) => {
            followed?;
            return Ok(Exit::Done);
        }
        () = session.interrupt.asked() => {}
    }
    session.ui.progress("stopping; Ctrl-C again leaves the rest running");
    let mut containers = docker.containers(session.plan.pod.as_str()).await?;
    // What was named, or all: as docker compose does.
    let is_named = |seen: &Seen| mode.named.as_ref().is_none_or(|named| named.contains(seen.service()));
    containers.retain(|seen| !seen.is_oneoff() && is_named(seen));
    claw_engine::down::stop(containers, session.grace, docker, &|line| session.ui.progress(line)).await?;
    Ok(Exit::Interrupted)
}

/// Returns a step for programs.
pub(crate) fn as_json(step: &Step) -> Value {
    json!({
        "id": step.id,
        "action": step.action.name(),
        "resource": step.action.resource(),
        "cause": step.cause,
        "after": step.after,
    })
}
