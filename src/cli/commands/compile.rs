//! `claw compile`: the hardened compose file and every generated file.

use std::path::Path;

use claw_compiler::emit::compose::compose;
use claw_engine::files::{make_directory, write_atomic, write_dockerfile, write_units};

use crate::args::Global;
use crate::exit::{CommandError, Exit};
use crate::input;
use crate::session::block_on;
use crate::ui::Ui;

pub(crate) fn run(global: &Global, output: Option<&Path>, ui: &Ui) -> Result<Exit, CommandError> {
    let mut input = input::read(global)?;
    let plan = block_on(input.plan())?;
    plan.iter().flat_map(|plan| &plan.unknown).for_each(|unknown| input.diagnostics.push(unknown.clone()));
    let Some(plan) = plan.filter(|plan| plan.unknown.is_empty()) else {
        ui.result("compile", "", serde_json::Value::Null, &input.diagnostics, &input.sources);
        return Ok(Exit::Wrong);
    };
    let folder = output.unwrap_or(&input.root);
    make_directory(folder, 0o755)?;
    for build in plan.builds.values() {
        if let Some((name, text)) = &build.generated {
            write_dockerfile(&input.root.join(&build.context).join(name), text)?;
        }
    }
    let files = write_units(folder, &plan.files)?;
    let target = folder.join("compose.generated.yml");
    write_atomic(&target, &compose(&plan), 0o644)?;
    let shown = claw_engine::gather::display(&target);
    let mut text = format!("wrote {shown} and {files} files for {} agents", plan.units.len());
    if output.is_some() {
        let root = claw_engine::gather::display(&input.root);
        let root = if root.is_empty() { ".".to_owned() } else { root };
        text.push_str(&format!("; its paths start from {root}: run it with `--project-directory {root}`"));
    }
    let units: Vec<&str> = plan.units.keys().map(AsRef::as_ref).collect();
    let data = serde_json::json!({ "compose": shown, "files": files, "agents": units });
    ui.result("compile", &text, data, &input.diagnostics, &input.sources);
    Ok(Exit::Done)
}
