//! `claw build`: a Clawfile to a Dockerfile.

use std::path::Path;

use claw_compiler::clawfile;
use claw_compiler::resolve::generated_name;
use claw_engine::files::write_atomic;
use claw_types::diag::Diagnostics;
use claw_types::span::SourceMap;

use crate::args::Global;
use crate::exit::{CommandError, Exit};
use crate::input;
use crate::ui::Ui;

pub(crate) fn run(global: &Global, emit: bool, context: Option<&Path>, ui: &Ui) -> Result<Exit, CommandError> {
    let folder = context.unwrap_or(Path::new("."));
    let path = match global.file.as_slice() {
        [] => ["Clawfile", "Dockerfile"].map(|name| folder.join(name)).into_iter().find(|path| path.is_file()),
        [path] => Some(path.clone()),
        _ => return Err(CommandError::Usage("`build` takes one `-f`".to_owned())),
    };
    let path = path.ok_or_else(|| CommandError::NoFile(folder.join("Clawfile").display().to_string()))?;
    let mut sources = SourceMap::new();
    let mut diagnostics = Diagnostics::new();
    let file = input::source(&path, &mut sources)?;
    let parsed = sources.get(file).map(|source| clawfile::parse(source, &claw_drivers::names(), &mut diagnostics));
    let Some(Ok(clawfile)) = parsed else {
        ui.result("build", "", serde_json::Value::Null, &diagnostics, &sources);
        return Ok(Exit::Wrong);
    };
    if emit {
        ui.diagnostics(&diagnostics, &sources);
        ui.bare(&clawfile.lower());
        return Ok(Exit::Done);
    }
    if clawfile.is_plain() {
        let text = format!("{} has no directives: it is a Dockerfile", path.display());
        ui.result("build", &text, serde_json::json!({ "dockerfile": path }), &diagnostics, &sources);
        return Ok(Exit::Done);
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let target = path.with_file_name(generated_name(&name));
    write_atomic(&target, &clawfile.lower(), 0o644)?;
    let text = format!(
        "wrote {}; build it with `docker build -f {} {}`",
        target.display(),
        target.display(),
        folder.display()
    );
    ui.result("build", &text, serde_json::json!({ "dockerfile": target }), &diagnostics, &sources);
    Ok(Exit::Done)
}
