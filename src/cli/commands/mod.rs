//! One file a command: arguments, calls, messages.

use crate::args::{Arguments, Command};
use crate::exit::{CommandError, Exit};
use crate::ui::Ui;

mod build;
mod check;
mod compile;
mod config;
mod explain;
mod reference;

/// Runs the command that was asked for.
pub(crate) fn run(arguments: &Arguments, ui: &Ui) -> Result<Exit, CommandError> {
    let global = &arguments.global;
    match &arguments.command {
        Command::Build { emit, context } => build::run(global, *emit, context.as_deref(), ui),
        Command::Check { strict } => check::run(global, *strict, ui),
        Command::Compile { output } => compile::run(global, output.as_deref(), ui),
        Command::Config => config::run(global, ui),
        Command::Explain { code } => explain::run(code, ui),
        Command::Version => {
            ui.bare(concat!("claw ", env!("CARGO_PKG_VERSION"), "\n"));
            Ok(Exit::Done)
        }
        Command::Reference { command } => reference::run(command, ui),
        Command::Other(words) => Err(unknown(words.first().map_or("", String::as_str))),
    }
}

/// Commands that later versions carry out.
const PLANNED: &[&str] = &[
    "ask",
    "cllama",
    "doctor",
    "down",
    "egress",
    "exec",
    "health",
    "inspect",
    "logs",
    "plan",
    "ps",
    "reference",
    "restart",
    "run",
    "start",
    "stop",
    "top",
    "up",
    "verify",
    "wait",
];

fn unknown(word: &str) -> CommandError {
    if PLANNED.contains(&word) {
        return CommandError::NotYet(word.to_owned());
    }
    let known = ["build", "check", "compile", "config", "explain", "reference", "version"];
    let near = claw_types::diag::nearest(word, known.into_iter().chain(PLANNED.iter().copied()));
    let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    CommandError::Usage(format!("there is no command `{word}`{hint}"))
}
