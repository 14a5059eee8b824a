//! `claw config`: the pod file as loaded, nothing hardened.

use claw_compose::load::{self, Options};
use claw_compose::shape::Shape;
use claw_compose::{write, yaml};
use claw_types::diag::{Code, Diagnostic};
use claw_types::span::Span;

use crate::args::{Format, Global};
use crate::exit::{CommandError, Exit};
use crate::input;
use crate::ui::Ui;

pub(crate) fn run(global: &Global, ui: &Ui) -> Result<Exit, CommandError> {
    let mut input = input::read(global)?;
    let mut unset = |name: &str, _: &[String], span: Span| {
        let message = format!("the variable `{name}` is not set; it is taken as empty");
        Some(Diagnostic::warning(Code::UnsetVariable, span, message))
    };
    let options = Options { lookup: &input.environment, keep: &|_| false, unset: &mut unset };
    let has_errors = input.diagnostics.has_errors();
    let diagnostics = &mut input.diagnostics;
    let loaded = input.sources.get(input.file).and_then(|source| {
        let tree = yaml::parse(source, diagnostics).ok()?;
        load::load_with(tree, source, options, &input.profiles, &[], diagnostics).ok()
    });
    ui.diagnostics(&input.diagnostics, &input.sources);
    let Some(value) = loaded.filter(|_| !has_errors).and_then(|loaded| loaded.project.encode()) else {
        return Ok(Exit::Wrong);
    };
    ui.bare(&if global.format == Format::Json { write::json(&value) } else { write::yaml(&value) });
    Ok(Exit::Done)
}
