//! `claw check`: every diagnostic; nothing is written, unless what is certain is to be changed.

use std::path::Path;

use claw_compiler::plan::advise;
use claw_engine::files::{Rewrite, rewrite};
use claw_types::diag::{Code, Severity};
use claw_types::span::{SourceMap, Span};
use serde_json::{Value, json};

use crate::args::{CheckArgs, Global};
use crate::exit::{CommandError, Exit};
use crate::fix::{self, Edit, FixedFile};
use crate::input::{self, Input};
use crate::session::block_on;
use crate::ui::Ui;
use crate::{diff, sarif};

pub(crate) fn run(global: &Global, args: &CheckArgs, ui: &Ui) -> Result<Exit, CommandError> {
    if args.fix && global.file.iter().any(|file| file == Path::new("-")) {
        return Err(CommandError::Usage("`--fix` changes files, and standard input is none".to_owned()));
    }
    let mut checked = check(global)?;
    let fixes = if args.fix { fix::all(&checked.input.diagnostics, &checked.input.sources) } else { Vec::new() };
    let fixed = told(&fixes, &checked.input.sources);
    let diff = (args.dry_run && !fixes.is_empty()).then(|| differences(&fixes, &checked.input.sources));
    if !args.dry_run && !fixes.is_empty() {
        write(&fixes, &checked.input)?;
        checked = check(global)?;
    }
    let summary = checked.summary();
    let mut lines: Vec<String> = fixed.iter().map(|(line, _)| line.clone()).collect();
    lines.push(summary);
    let text = diff.as_ref().map_or_else(|| lines.join("\n"), |diff| diff.trim_end_matches('\n').to_owned());
    let mut data = json!({ "agents": checked.agents, "errors": checked.errors, "warnings": checked.warnings });
    data["fixed"] = fixed.into_iter().map(|(_, place)| place).collect();
    data["diff"] = diff.clone().into();
    let input = &checked.input;
    if ui.is_sarif() {
        ui.bare(&sarif::document(&input.diagnostics, &input.sources));
    } else {
        ui.result("check", &text, data, &input.diagnostics, &input.sources);
    }
    Ok(if diff.is_some() { Exit::Finding } else { checked.exit(args.strict) })
}

/// What a check found.
struct Checked {
    input: Input,
    agents: Option<usize>,
    errors: usize,
    warnings: usize,
    notes: usize,
}

fn check(global: &Global) -> Result<Checked, CommandError> {
    let mut input = input::read(global)?;
    let plan = block_on(input.plan())?;
    if let (Some(plan), Some((_, file))) = (&plan, input.files.first()) {
        advise(plan, Span::start_of(*file), &mut input.diagnostics);
    }
    let count = |severity: Severity| input.diagnostics.iter().filter(|each| each.severity == severity).count();
    let (errors, warnings, notes) = (count(Severity::Error), count(Severity::Warning), count(Severity::Note));
    Ok(Checked { input, agents: plan.map(|plan| plan.units.len()), errors, warnings, notes })
}

impl Checked {
    fn summary(&self) -> String {
        let named =
            |count: usize, what: &str| if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") };
        let mut parts: Vec<String> = self.agents.map(|agents| named(agents, "agent")).into_iter().collect();
        match (self.errors, self.warnings, self.notes) {
            (0, 0, 0) => parts.push("nothing to say".to_owned()),
            (0, 0, notes) => parts.push(named(notes, "note")),
            (errors, warnings, _) => parts.extend([named(errors, "error"), named(warnings, "warning")]),
        }
        parts.join(", ")
    }

    fn exit(&self, is_strict: bool) -> Exit {
        use Code::{Allowed, OpenEgress, PrivilegedSurface, RiskyService, SuspiciousText, Unhardened};
        let audited = [PrivilegedSurface, Allowed, RiskyService, Unhardened, OpenEgress, SuspiciousText];
        let is_audit = |code: Code| audited.contains(&code);
        let mut errors = self.input.diagnostics.iter().filter(|each| each.severity == Severity::Error);
        match (errors.any(|each| !is_audit(each.code)), self.errors, self.warnings) {
            (true, _, _) => Exit::Wrong,
            (false, 0, 0) => Exit::Done,
            (false, 0, _) if !is_strict => Exit::Done,
            _ => Exit::Finding,
        }
    }
}

/// Returns each change as a line for people, and as a place for programs.
fn told(fixes: &[FixedFile], sources: &SourceMap) -> Vec<(String, Value)> {
    let one = |edit: &Edit| {
        let name = sources.get(edit.file).map_or("", |source| source.name.as_str());
        let line = sources.position(edit.span()).line;
        let old = sources.text(edit.span()).trim();
        let what = match edit.text.as_str() {
            "" => format!("`{old}` taken out"),
            new => format!("`{old}` is now `{new}`"),
        };
        (format!("{name}:{line}: {what}"), json!({ "path": name, "line": line, "from": old, "to": edit.text }))
    };
    fixes.iter().flat_map(|file| &file.edits).map(one).collect()
}

fn differences(fixes: &[FixedFile], sources: &SourceMap) -> String {
    let sourced = fixes.iter().filter_map(|fixed| Some((sources.get(fixed.file)?, fixed)));
    sourced.map(|(source, fixed)| diff::unified(&source.name, &source.text, &fixed.edits)).collect()
}

fn write(fixes: &[FixedFile], input: &Input) -> Result<(), CommandError> {
    let sourced = fixes.iter().filter_map(|fixed| Some((input.sources.get(fixed.file)?, fixed)));
    let all: Vec<Rewrite<'_>> = sourced
        .map(|(source, fixed)| Rewrite { path: source.name.as_str().into(), old: &source.text, new: &fixed.text })
        .collect();
    Ok(rewrite(&input.root, &all)?)
}
