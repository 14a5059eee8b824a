//! `claw check`: every diagnostic, nothing written.

use claw_types::diag::{Code, Severity};

use crate::args::Global;
use crate::exit::{CommandError, Exit};
use crate::input;
use crate::ui::Ui;

pub(crate) fn run(global: &Global, strict: bool, ui: &Ui) -> Result<Exit, CommandError> {
    let mut input = input::read(global)?;
    let plan = input.plan(global)?;
    let count = |severity: Severity| input.diagnostics.iter().filter(|each| each.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let agents = plan.as_ref().map_or(0, |plan| plan.units.len());
    let text = match (errors, warnings) {
        (0, 0) => format!("{agents} agents, nothing to say"),
        _ => format!("{agents} agents, {errors} errors, {warnings} warnings"),
    };
    let data = serde_json::json!({ "agents": agents, "errors": errors, "warnings": warnings });
    ui.result("check", &text, data, &input.diagnostics, &input.sources);
    let is_audit = |code: Code| matches!(code, Code::PrivilegedSurface | Code::RiskyService | Code::OpenEgress);
    let mut of_compiler =
        input.diagnostics.iter().filter(|each| each.severity == Severity::Error && !is_audit(each.code));
    Ok(match (of_compiler.next(), errors, warnings) {
        (Some(_), _, _) => Exit::Wrong,
        (None, 0, 0) => Exit::Done,
        (None, 0, _) if !strict => Exit::Done,
        _ => Exit::Finding,
    })
}
