//! `claw check`: every diagnostic, nothing written.

use claw_compiler::plan::advise;
use claw_types::diag::{Code, Severity};
use claw_types::span::Span;

use crate::args::Global;
use crate::exit::{CommandError, Exit};
use crate::input;
use crate::session::block_on;
use crate::ui::Ui;

pub(crate) fn run(global: &Global, strict: bool, ui: &Ui) -> Result<Exit, CommandError> {
    let mut input = input::read(global)?;
    let plan = block_on(input.plan())?;
    if let (Some(plan), Some((_, file))) = (&plan, input.files.first()) {
        advise(plan, Span::start_of(*file), &mut input.diagnostics);
    }
    let count = |severity: Severity| input.diagnostics.iter().filter(|each| each.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let agents = plan.as_ref().map(|plan| plan.units.len());
    let named = |count: usize, what: &str| if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") };
    let mut parts: Vec<String> = agents.map(|agents| named(agents, "agent")).into_iter().collect();
    match (errors, warnings) {
        (0, 0) => parts.push("nothing to say".to_owned()),
        _ => parts.extend([named(errors, "error"), named(warnings, "warning")]),
    }
    let data = serde_json::json!({ "agents": agents, "errors": errors, "warnings": warnings });
    ui.result("check", &parts.join(", "), data, &input.diagnostics, &input.sources);
    let is_audit = |code: Code| {
        let audited =
            [Code::PrivilegedSurface, Code::RiskyService, Code::Unhardened, Code::OpenEgress, Code::SuspiciousText];
        audited.contains(&code)
    };
    let mut of_compiler =
        input.diagnostics.iter().filter(|each| each.severity == Severity::Error && !is_audit(each.code));
    Ok(match (of_compiler.next(), errors, warnings) {
        (Some(_), _, _) => Exit::Wrong,
        (None, 0, 0) => Exit::Done,
        (None, 0, _) if !strict => Exit::Done,
        _ => Exit::Finding,
    })
}
