//! `claw down`: takes a pod away, with or without a file that describes it.

use std::path::Path;

use claw_engine::down::{DownOptions, down};
use claw_engine::files::remove_state;
use claw_engine::gather::Engine;
use claw_engine::lock::lock;
use claw_engine::observe::elsewhere;
use serde_json::json;

use crate::args::{DownArgs, Global, Mode};
use crate::exit::{CommandError, Exit};
use crate::session::{block_on, refuse_elsewhere};
use crate::ui::Ui;
use crate::{discover, input};

pub(crate) fn run(global: &Global, args: &DownArgs, ui: &Ui) -> Result<Exit, CommandError> {
    block_on(async {
        // The file is asked for the pod's name and its images only: a broken or missing one is no reason to leave
        // containers behind.
        let mut input = match (input::read(global), &global.project_name) {
            (Ok(input), _) => Some(input),
            (Err(_), Some(_)) => None,
            (Err(error), None) => return Err(error),
        };
        let plan = match &mut input {
            // Neither is a secret that has no value, or an env file that cannot be read.
            Some(input) => input.plan().await.unwrap_or(None),
            None => None,
        };
        let named = plan.as_ref().map(|plan| plan.pod.to_string()).or_else(|| global.project_name.clone());
        let named = named.or_else(|| input.as_ref().and_then(|input| input.name.clone()));
        let Some(name) = named else {
            if let Some(input) = &input {
                ui.diagnostics(&input.diagnostics, &input.sources);
            }
            return Err(CommandError::Usage("the pod file is broken: name the pod with `-p NAME`".to_owned()));
        };
        let is_worker = args.mode == Mode::Worker;
        let question = format!("Remove the volumes of `{name}` and what its agents remember?");
        if !is_worker && args.volumes && !args.yes && !ui.confirms(&question).await {
            return Err(CommandError::Usage("nothing was removed".to_owned()));
        }
        let built = plan.iter().flat_map(|plan| &plan.builds);
        let own = built.map(|(service, build)| (format!("{name}-{service}"), build.image.to_string()));
        let local = own.filter(|(default, image)| default == image).map(|(_, image)| image).collect();
        let engine = Engine::new();
        let docker = engine.docker().await?;
        let root = match &input {
            Some(input) => input.root.clone(),
            None => discover::absolute(global.project_directory.as_deref().unwrap_or(Path::new(".")))?,
        };
        // What was never brought up from here has no state to lock, and gets none.
        let has_state = root.join(".claw").join(&name).is_dir();
        let held = if has_state { Some(lock(&root, &name, "down")?) } else { None };
        if input.is_some() && !args.adopt {
            let found = docker.containers(&name).await?;
            let elsewhere = found.iter().find_map(|seen| elsewhere(seen, &root));
            refuse_elsewhere(&name, elsewhere.as_deref(), true)?;
        }
        if is_worker {
            let removed = claw_engine::worker::remove(&name, docker, &|line| ui.progress(line)).await?;
            told(&name, removed, ui);
            return Ok(Exit::Done);
        }
        let options = DownOptions {
            volumes: args.volumes,
            grace: args.timeout,
            images: if args.rmi.is_some() { local } else { Vec::new() },
            root: has_state.then(|| root.clone()),
        };
        let removed = down(&name, &options, docker, &|line| ui.progress(line)).await?;
        if args.volumes && has_state {
            remove_state(&root, &name)?;
        }
        drop(held);
        told(&name, removed, ui);
        Ok(Exit::Done)
    })
}

fn told(name: &str, removed: usize, ui: &Ui) {
    let text = if removed == 0 { format!("there is nothing of `{name}`") } else { format!("{removed} removed") };
    let (none, sources) = (claw_types::diag::Diagnostics::new(), claw_types::span::SourceMap::new());
    ui.result("down", &text, json!({ "pod": name, "removed": removed }), &none, &sources);
}
