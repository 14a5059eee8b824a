//! Commands that speak to the engine: `up`, `plan`, `down`, `ps`, `logs`, `health`, `ask`.

use std::path::PathBuf;

use claw_compiler::emit::compose::compose;
use claw_compiler::plan::{Plan, steps};
use claw_engine::apply::{Site, apply, container_name, down as take_down, observe, prepare, wait_for};
use claw_engine::docker::Docker;
use claw_engine::files::{write_atomic, write_units};
use claw_types::agent::Inference;
use claw_types::driver::{Driver, Health, HealthStatus, Probe};
use serde_json::json;

use crate::args::Global;
use crate::exit::{CommandError, Exit};
use crate::input::{self, Input};
use crate::ui::Ui;

fn block_on<T>(work: impl Future<Output = Result<T, CommandError>>) -> Result<T, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CommandError::Start)?;
    runtime.block_on(work)
}

/// Returns the pod's input and plan; nothing after its diagnostics were printed.
fn planned(global: &Global, command: &str, ui: &Ui) -> Result<Option<(Input, Plan)>, CommandError> {
    let mut input = input::read(global)?;
    let Some(plan) = input.plan(global)? else {
        ui.result(command, "", serde_json::Value::Null, &input.diagnostics, &input.sources);
        return Ok(None);
    };
    Ok(Some((input, plan)))
}

fn root(input: &Input) -> PathBuf {
    input.root.canonicalize().unwrap_or_else(|_| input.root.clone())
}

/// A proxied agent never falls back to direct: without the proxy it does not start.
fn refuse_proxied(plan: &Plan) -> Result<(), CommandError> {
    let proxied = plan.units.values().find(|unit| matches!(unit.unit.inference, Inference::Proxied { .. }));
    match proxied {
        Some(unit) => Err(CommandError::NotYet(format!("up` of `{}`, which has a `CLLAMA", unit.unit.id))),
        None => Ok(()),
    }
}

pub(crate) fn up(global: &Global, detach: bool, wait: bool, ui: &Ui) -> Result<Exit, CommandError> {
    if !detach && !wait {
        return Err(CommandError::NotYet("up` without `-d".to_owned()));
    }
    let Some((input, plan)) = planned(global, "up", ui)? else { return Ok(Exit::Wrong) };
    ui.diagnostics(&input.diagnostics, &input.sources);
    refuse_proxied(&plan)?;
    let root = root(&input);
    let site = Site {
        root: &root,
        environment: &input.environment,
        version: env!("CARGO_PKG_VERSION"),
        progress: &|line| ui.progress(line),
    };
    block_on(async {
        let docker = Docker::connect().await?;
        prepare(&plan, &docker, &site).await?;
        write_units(&root, &plan.files)?;
        write_atomic(&root.join("compose.generated.yml"), &compose(&plan), 0o644)?;
        let observed = observe(&plan, &docker).await?;
        let todo = steps::steps(&plan, &observed);
        apply(&todo, &plan, &observed, &docker, &site).await?;
        // What runs is read back: nothing may be left to do.
        let left = steps::steps(&plan, &observe(&plan, &docker).await?);
        let text = if todo.is_empty() { "nothing to do".to_owned() } else { format!("{} steps done", todo.len()) };
        for step in &left {
            ui.progress(&format!("not as planned: {step}"));
        }
        let mut exit = if left.is_empty() { Exit::Done } else { Exit::Failed };
        if wait {
            for (name, service) in &plan.project.services {
                let condition = if service.healthcheck.is_some() { "service_healthy" } else { "service_started" };
                if let Err(error) = wait_for(name, condition, &plan, &docker).await {
                    ui.progress(&error.to_string());
                    exit = Exit::Unhealthy;
                }
            }
        }
        let nothing = claw_types::diag::Diagnostics::new();
        let data =
            json!({ "pod": plan.pod.as_str(), "steps": todo.iter().map(ToString::to_string).collect::<Vec<_>>() });
        ui.result("up", &text, data, &nothing, &input.sources);
        Ok(exit)
    })
}

pub(crate) fn plan(global: &Global, exit_code: bool, ui: &Ui) -> Result<Exit, CommandError> {
    let Some((input, plan)) = planned(global, "plan", ui)? else { return Ok(Exit::Wrong) };
    let todo = block_on(async {
        let docker = Docker::connect().await?;
        Ok(steps::steps(&plan, &observe(&plan, &docker).await?))
    })?;
    let lines: Vec<String> = todo.iter().map(ToString::to_string).collect();
    let text = if lines.is_empty() { "nothing to do".to_owned() } else { lines.join("\n") };
    ui.result("plan", &text, json!({ "steps": lines }), &input.diagnostics, &input.sources);
    Ok(if exit_code && !todo.is_empty() { Exit::Finding } else { Exit::Done })
}

pub(crate) fn down(global: &Global, volumes: bool, ui: &Ui) -> Result<Exit, CommandError> {
    // The file is asked for the pod's name only, so that a broken one is no reason to leave containers behind.
    let mut input = input::read(global)?;
    let plan = input.plan(global)?;
    let name = plan.map(|plan| plan.pod.to_string()).or(input.name.clone());
    let name =
        name.ok_or_else(|| CommandError::Usage("the pod file is broken: name the pod with `-p NAME`".to_owned()))?;
    let removed = block_on(async {
        let docker = Docker::connect().await?;
        Ok(take_down(&name, volumes, &docker, &|line| ui.progress(line)).await?)
    })?;
    if volumes {
        let state = root(&input).join(".claw").join(&name);
        claw_engine::files::remove_tree(&state)?;
    }
    let nothing = claw_types::diag::Diagnostics::new();
    ui.result("down", &format!("{removed} removed"), json!({ "removed": removed }), &nothing, &input.sources);
    Ok(Exit::Done)
}

pub(crate) fn ps(global: &Global, ui: &Ui) -> Result<Exit, CommandError> {
    let Some((input, plan)) = planned(global, "ps", ui)? else { return Ok(Exit::Wrong) };
    let rows = block_on(async {
        let docker = Docker::connect().await?;
        let mut rows = Vec::new();
        for each in docker.containers(plan.pod.as_str()).await? {
            let labels = each.labels.clone().unwrap_or_default();
            let label = |key: &str| labels.get(key).cloned().unwrap_or_default();
            let service = label("com.docker.compose.service");
            let unit = plan.units.values().find(|unit| unit.unit.id.as_str() == service);
            let model = unit.and_then(|unit| unit.unit.models.values().flatten().next().map(ToString::to_string));
            rows.push(json!({
                "service": service,
                "runtime": label(claw_types::image::label::TYPE),
                "model": model.unwrap_or_default(),
                "status": each.status.unwrap_or_default(),
            }));
        }
        rows.sort_by_key(|row| row["service"].to_string());
        Ok(rows)
    })?;
    let line = |cells: [&str; 4]| format!("{:<16} {:<12} {:<20} {}", cells[0], cells[1], cells[2], cells[3]);
    let mut text = vec![line(["SERVICE", "RUNTIME", "MODEL", "STATUS"])];
    let cell = |row: &serde_json::Value, key: &str| row[key].as_str().unwrap_or("").to_owned();
    for row in &rows {
        text.push(line([&cell(row, "service"), &cell(row, "runtime"), &cell(row, "model"), &cell(row, "status")]));
    }
    let nothing = claw_types::diag::Diagnostics::new();
    ui.result("ps", &text.join("\n"), json!(rows), &nothing, &input.sources);
    Ok(Exit::Done)
}

pub(crate) fn logs(global: &Global, ui: &Ui) -> Result<Exit, CommandError> {
    let Some((_, plan)) = planned(global, "logs", ui)? else { return Ok(Exit::Wrong) };
    let mut lines = block_on(async {
        let docker = Docker::connect().await?;
        let mut lines = Vec::new();
        for each in docker.containers(plan.pod.as_str()).await? {
            let labels = each.labels.unwrap_or_default();
            let service = labels.get("com.docker.compose.service").cloned().unwrap_or_default();
            let own = docker.logs(&each.id.unwrap_or_default()).await?;
            lines.extend(own.into_iter().map(|(time, text)| (time, service.clone(), text)));
        }
        Ok(lines)
    })?;
    lines.sort();
    for (_, service, text) in lines {
        ui.bare(&format!("{service:<16} | {text}\n"));
    }
    Ok(Exit::Done)
}

fn driver(plan: &Plan, agent: &str) -> Option<&'static dyn Driver> {
    let unit = plan.units.values().find(|unit| unit.unit.id.as_str() == agent)?;
    claw_drivers::find(unit.unit.runtime.as_str())
}

pub(crate) fn health(global: &Global, ui: &Ui) -> Result<Exit, CommandError> {
    let Some((input, plan)) = planned(global, "health", ui)? else { return Ok(Exit::Wrong) };
    let found = block_on(async {
        let docker = Docker::connect().await?;
        let mut found: Vec<(String, Health)> = Vec::new();
        for (id, unit) in &plan.units {
            let stopped = Health { status: HealthStatus::Stopped, detail: "it does not run".to_owned() };
            let container = container_name(id.as_str(), &plan);
            let is_running = docker.state(&container).await.is_ok_and(|state| state.is_running);
            let health = match (&unit.lowered.probe, driver(&plan, id.as_str())) {
                _ if !is_running => stopped,
                (Probe::Exec(command), Some(driver)) => driver.read_health(&docker.exec(&container, command).await?),
                _ => Health { status: HealthStatus::Healthy, detail: "running".to_owned() },
            };
            found.push((id.to_string(), health));
        }
        Ok(found)
    })?;
    let lines: Vec<String> =
        found.iter().map(|(id, health)| format!("{id:<16} {:<10} {}", health.status.name(), health.detail)).collect();
    let data: Vec<_> = found
        .iter()
        .map(|(id, health)| json!({ "agent": id, "status": health.status.name(), "detail": health.detail }))
        .collect();
    let nothing = claw_types::diag::Diagnostics::new();
    ui.result("health", &lines.join("\n"), json!(data), &nothing, &input.sources);
    let is_well = found.iter().all(|(_, health)| health.status == HealthStatus::Healthy);
    Ok(if is_well { Exit::Done } else { Exit::Unhealthy })
}

pub(crate) fn ask(global: &Global, agent: &str, text: &str, ui: &Ui) -> Result<Exit, CommandError> {
    let Some((_, plan)) = planned(global, "ask", ui)? else { return Ok(Exit::Wrong) };
    let Some(unit) = plan.units.values().find(|unit| unit.unit.id.as_str() == agent) else {
        let names: Vec<&str> = plan.units.keys().map(AsRef::as_ref).collect();
        return Err(CommandError::Usage(format!("there is no agent `{agent}`; there are `{}`", names.join("`, `"))));
    };
    let Some(door) = &unit.lowered.door else {
        return Err(CommandError::Usage(format!("the runtime `{}` has no door for messages", unit.unit.runtime)));
    };
    let mut command = door.command.clone();
    command.push(text.to_owned());
    let output = block_on(async {
        let docker = Docker::connect().await?;
        Ok(docker.exec(&container_name(agent, &plan), &command).await?)
    })?;
    if output.exit_code != 0 {
        ui.progress(output.stderr.trim());
        return Ok(Exit::Failed);
    }
    ui.bare(&output.stdout);
    Ok(Exit::Done)
}
