//! `claw compile`: the hardened compose file and every generated file.

use std::path::Path;

use claw_compiler::emit::compose::compose;
use claw_engine::files::{write_atomic, write_units};

use crate::args::Global;
use crate::exit::{CommandError, Exit};
use crate::input;
use crate::ui::Ui;

pub(crate) fn run(global: &Global, output: Option<&Path>, ui: &Ui) -> Result<Exit, CommandError> {
    let mut input = input::read(global)?;
    let Some(plan) = input.plan(global)? else {
        ui.result("compile", "", serde_json::Value::Null, &input.diagnostics, &input.sources);
        return Ok(Exit::Wrong);
    };
    let folder = output.unwrap_or(&input.root);
    for build in plan.builds.values() {
        if let Some((name, text)) = &build.generated {
            write_atomic(&input.root.join(&build.context).join(name), text, 0o644)?;
        }
    }
    let files = write_units(folder, &plan.files)?;
    let target = folder.join("compose.generated.yml");
    write_atomic(&target, &compose(&plan), 0o644)?;
    let text = format!("wrote {} and {files} files for {} agents", target.display(), plan.units.len());
    let units: Vec<&str> = plan.units.keys().map(AsRef::as_ref).collect();
    let data = serde_json::json!({ "compose": target, "files": files, "agents": units });
    ui.result("compile", &text, data, &input.diagnostics, &input.sources);
    Ok(Exit::Done)
}
