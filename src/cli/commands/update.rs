//! `claw update`: writes `claw.lock`, and says what changed.

use std::collections::BTreeSet;

use claw_compiler::facts::Facts;
use claw_compiler::lockfile::{Found, Lockfile, NAME, endpoints, foreign};
use claw_compiler::plan::Plan;
use claw_engine::docker::Docker;
use claw_engine::files::write_atomic;
use claw_engine::interrupt::Interrupt;
use claw_engine::lock::Lock;
use claw_types::image::ImageRef;
use serde_json::{Value, json};

use super::manuals;
use crate::args::Global;
use crate::exit::{CommandError, Exit};
use crate::input::{self, Input};
use crate::session::{self, block_on};
use crate::ui::Ui;

pub(crate) fn run(global: &Global, services: &[String], is_manuals: bool, ui: &Ui) -> Result<Exit, CommandError> {
    let mut input = input::read_softening(global, &[])?;
    // Whoever enables a profile later has the same images.
    input.profiles = vec!["*".to_owned()];
    // One that cannot be read is written anew.
    let unread = input.diagnostics.clone();
    let before = if is_manuals { input.edited_lockfile()? } else { input.lockfile()? };
    if before.is_none() && !services.is_empty() && !is_manuals {
        return Err(CommandError::Usage(format!(
            "there is no `{NAME}` that could be kept for the others: `claw update` writes it"
        )));
    }
    input.diagnostics = unread;
    let before = before.map(|(_, lock)| lock);
    if is_manuals {
        let interrupt = Interrupt::new();
        return session::run(&interrupt, manuals(&mut input, before, services, ui, &interrupt));
    }
    let before = before.unwrap_or_default();
    block_on(async {
        let Some(plan) = first(&mut input, &before, ui).await? else {
            ui.result("update", "", Value::Null, &input.diagnostics, &input.sources);
            return Ok(Exit::Wrong);
        };
        let asked = asked(&plan, &input, services)?;
        // That may take long, and keeps nobody from stopping an agent meanwhile.
        pull(&asked, &input, ui).await?;
        let _held = hold(&input, &plan)?;
        // What another run wrote before this one held the pod stays as well.
        let unread = input.diagnostics.clone();
        let before = input.lockfile()?.map(|(_, lock)| lock).unwrap_or_default();
        input.diagnostics = unread;
        let kept = before.images.keys().filter(|name| !services.is_empty() && !asked.contains(*name)).cloned();
        let kept: BTreeSet<String> = kept.collect();
        let personas = personas(&plan, &before, services);
        let Some((plan, lock)) = lock(&mut input, &before, (&kept, &personas)).await? else {
            ui.result("update", "", Value::Null, &input.diagnostics, &input.sources);
            return Ok(Exit::Wrong);
        };
        let lacks: Vec<String> = foreign(&plan, &input.facts, &input.context())
            .into_iter()
            .filter(|name| !lock.images.contains_key(name))
            .collect();
        if !lacks.is_empty() {
            let message =
                format!("the engine does not have `{}`: build or pull what is missing first", lacks.join("`, `"));
            return Err(CommandError::Usage(message));
        }
        write_atomic(&input.root.join(NAME), &lock.text(), 0o644)?;
        let changes = lock.changes(&before);
        let text = if changes.is_empty() { "nothing changed".to_owned() } else { changes.join("\n") };
        let data = json!({ "pod": plan.pod.as_str(), "images": lock.images.len(), "personas": lock.personas.len(), "tools": [], "changes": changes });
        ui.result("update", &text, data, &input.diagnostics_for(ui), &input.sources);
        Ok(Exit::Done)
    })
}

/// Locks the pod, where it was ever brought up from here: else no run asks what its servers have.
fn hold(input: &Input, plan: &Plan) -> Result<Option<Lock>, CommandError> {
    let has_state = input.root.join(".claw").join(plan.pod.as_str()).is_dir();
    Ok(has_state.then(|| claw_engine::lock::lock(&input.root, plan.pod.as_str(), "update")).transpose()?)
}

/// Asks MCP servers for their tools and records them; what is known of images stays, or is what is here where there was no lock.
async fn manuals(
    input: &mut Input,
    before: Option<Lockfile>,
    services: &[String],
    ui: &Ui,
    interrupt: &Interrupt,
) -> Result<Exit, CommandError> {
    let old = before.clone().unwrap_or_default();
    let kept = old.images.keys().cloned().collect();
    let personas = old.personas.keys().cloned().collect();
    // What somebody edited is compared with, and never compiled.
    let mut whole = old.clone();
    whole.tools.retain(|_, tools| tools.is_whole());
    let Some((plan, fresh)) = lock(input, &whole, (&kept, &personas)).await? else {
        ui.result("update", "", Value::Null, &input.diagnostics, &input.sources);
        return Ok(Exit::Wrong);
    };
    let docker = input.engine.docker().await?;
    // Where somebody has the pod now, nobody is asked in vain.
    drop(hold(input, &plan)?);
    // A server may take long, and keeps nobody from stopping it meanwhile.
    let found = manuals::ask_all(docker, &plan, services, &|line| ui.progress(line), interrupt).await?;
    // What another run has written meanwhile stays, and none writes until this one has.
    let _held = hold(input, &plan)?;
    let before = input.edited_lockfile()?.map(|(_, lock)| lock);
    let old = before.clone().unwrap_or_default();
    let mut lock = before.unwrap_or(fresh);
    let endpoints = endpoints(&plan);
    lock.tools.retain(|service, _| endpoints.contains_key(service));
    lock.tools.extend(found.iter().cloned());
    write_atomic(&input.root.join(NAME), &lock.text(), 0o644)?;
    let changes = lock.changes(&old);
    let text = if changes.is_empty() { "nothing changed".to_owned() } else { changes.join("\n") };
    let data = json!({
        "pod": plan.pod.as_str(),
        "images": lock.images.len(),
        "personas": lock.personas.len(),
        "tools": manuals::as_json(&found),
        "changes": changes,
    });
    ui.result("update", &text, data, &input.diagnostics_for(ui), &input.sources);
    Ok(Exit::Done)
}

/// Returns the plan with what is known of images now. Where it needs images that are not here, they are pulled first.
async fn first(input: &mut Input, before: &Lockfile, ui: &Ui) -> Result<Option<Plan>, CommandError> {
    before.tell(false, &mut input.facts, &mut input.sources);
    let plan = input.plan().await?;
    let absent = input.facts.images.iter().filter(|(_, facts)| facts.is_none()).map(|(image, _)| image.to_string());
    let absent: BTreeSet<String> = absent.collect();
    if plan.is_some() || absent.is_empty() {
        return Ok(plan);
    }
    for image in &absent {
        // What no registry has may be what the pod builds: the plan says what is missing.
        let _ = pull(&[image.clone()].into(), input, ui).await;
        input.facts.images.remove(&ImageRef::new(image.as_str()));
    }
    input.forget_findings();
    input.plan().await
}

/// Returns the images of services, and those they are built from: all where none is named.
fn asked(plan: &Plan, input: &Input, services: &[String]) -> Result<BTreeSet<String>, CommandError> {
    let all = foreign(plan, &input.facts, &input.context());
    let mut wanted = BTreeSet::new();
    for name in services {
        let found = plan.compose_services(name);
        if found.is_empty() {
            return Err(CommandError::Usage(format!("there is no service `{name}`")));
        }
        for service in found {
            let image = plan.project.services.get(&service).and_then(|service| service.image.clone());
            let base = plan.builds.get(&service).and_then(|build| build.base.clone());
            wanted.extend(image.into_iter().chain(base));
        }
    }
    Ok(if services.is_empty() { all } else { all.intersection(&wanted).cloned().collect() })
}

/// Returns the personas that stay what they are: those of services that are not asked for.
fn personas(plan: &Plan, before: &Lockfile, services: &[String]) -> BTreeSet<String> {
    let asked: BTreeSet<String> = services.iter().flat_map(|name| plan.compose_services(name)).collect();
    let units = plan.units.values().filter(|unit| asked.contains(unit.unit.id.as_str()));
    let moved: BTreeSet<&str> = units.filter_map(|unit| Some(unit.unit.persona.as_ref()?.name.as_str())).collect();
    let kept = before.personas.keys().filter(|name| !services.is_empty() && !moved.contains(name.as_str()));
    kept.cloned().collect()
}

/// Pulls images whose registry may have another one now. What came from no registry is taken as it is.
async fn pull(images: &BTreeSet<String>, input: &Input, ui: &Ui) -> Result<(), CommandError> {
    let docker = input.engine.docker().await?;
    for image in images {
        let is_here = docker.image(image).await?.is_some();
        if !is_here || docker.digest(image).await?.is_some() {
            ui.progress(&format!("pull image {image}"));
            docker.pull(image, None, &|line| ui.progress(&format!("  {line}"))).await?;
        }
    }
    Ok(())
}

/// Compiles the pod with what the engine knows now, and with what the lock said of images that are kept.
async fn lock(
    input: &mut Input,
    before: &Lockfile,
    (kept, personas): (&BTreeSet<String>, &BTreeSet<String>),
) -> Result<Option<(Plan, Lockfile)>, CommandError> {
    let mut old = before.clone();
    old.images.retain(|name, _| kept.contains(name));
    old.personas.retain(|name, _| personas.contains(name));
    input.forget_findings();
    input.facts = Facts::default();
    old.tell(false, &mut input.facts, &mut input.sources);
    let Some(plan) = input.plan().await? else { return Ok(None) };
    // Images of services that nobody had to ask for.
    for name in foreign(&plan, &input.facts, &input.context()) {
        input.know(&name).await?;
    }
    let docker = input.engine.docker().await?;
    let mut found =
        Found { contexts: input.contexts(&plan, plan.builds.keys().map(String::as_str))?, ..Found::default() };
    for name in foreign(&plan, &input.facts, &input.context()) {
        let digest = match before.images.get(&name).filter(|_| kept.contains(&name)) {
            Some(image) => image.digest.clone(),
            None => digest(docker, &name).await?,
        };
        found.digests.extend(digest.map(|digest| (name, digest)));
    }
    let endpoints = endpoints(&plan);
    let kept = before.tools.iter().filter(|(service, _)| endpoints.contains_key(*service));
    found.tools.extend(kept.map(|(service, tools)| (service.clone(), tools.clone())));
    let lock = Lockfile::of(&plan, &input.facts, &found, &input.context());
    Ok(Some((plan, lock)))
}

/// What is named by its digest has that one.
async fn digest(docker: &Docker, name: &str) -> Result<Option<String>, CommandError> {
    match name.rsplit_once('@') {
        Some((_, digest)) => Ok(Some(digest.to_owned())),
        None => Ok(docker.digest(name).await?),
    }
}
