//! `claw plan`: what `up` would do, and why. Without an engine, what it would do on one that has nothing.

use claw_compiler::plan::steps::{Observed, steps};
use serde_json::json;

use super::up;
use crate::args::{Choice, Global};
use crate::exit::{CommandError, Exit};
use crate::session;
use crate::ui::Ui;

pub(crate) fn run(
    global: &Global,
    exit_code: bool,
    (services, choice): (&[String], &Choice),
    ui: &Ui,
) -> Result<Exit, CommandError> {
    session::with(global, "plan", ui, async |session| {
        let mode = up::mode(&session, services, choice)?;
        let has_engine = session.docker().await.is_ok();
        let todo = match has_engine {
            true => {
                let (observed, todo) = up::look(&session, &mode).await?;
                up::kept(&session, &observed, &mode);
                todo
            }
            false if session.input.facts.images.is_empty() => {
                ui.progress("no engine answers: this is what `up` does on one that has nothing of the pod");
                let observed =
                    Observed { unwritten: session.plan.belongings.keys().cloned().collect(), ..Observed::default() };
                steps(&session.plan, &observed, &mode)
            }
            // Images must be looked at, and nobody can.
            false => return Err(session.docker().await.err().map_or(CommandError::NoPodFile, CommandError::Engine)),
        };
        let lines: Vec<String> = todo.iter().map(ToString::to_string).collect();
        let text = if lines.is_empty() { "nothing to do".to_owned() } else { lines.join("\n") };
        let data = json!({
            "pod": session.plan.pod.as_str(),
            "engine": has_engine,
            "steps": todo.iter().map(up::as_json).collect::<Vec<_>>(),
        });
        ui.result("plan", &text, data, &session.input.diagnostics_for(ui), &session.input.sources);
        Ok(if exit_code && !todo.is_empty() { Exit::Finding } else { Exit::Done })
    })
}
