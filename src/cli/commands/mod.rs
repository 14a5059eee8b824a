//! One file a command: arguments, calls, messages.

use crate::args::{Arguments, Command};
use crate::exit::{CommandError, Exit};
use crate::ui::Ui;

mod build;
mod check;
mod compile;
mod config;
mod explain;
mod pod;
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
        Command::Up { detach, wait } => pod::up(global, *detach, *wait, ui),
        Command::Plan { exit_code } => pod::plan(global, *exit_code, ui),
        Command::Down { volumes } => pod::down(global, *volumes, ui),
        Command::Ps => pod::ps(global, ui),
        Command::Logs => pod::logs(global, ui),
        Command::Health => pod::health(global, ui),
        Command::Ask { agent, text } => pod::ask(global, agent, text, ui),
        Command::Shim { command } => reference::shim(command),
        Command::Reference { command } => reference::run(command, ui),
        Command::Other(words) => Err(unknown(words.first().map_or("", String::as_str))),
    }
}

/// Commands that later versions carry out.
const PLANNED: &[&str] =
    &["cllama", "doctor", "egress", "exec", "inspect", "restart", "run", "start", "stop", "top", "verify", "wait"];

fn unknown(word: &str) -> CommandError {
    if PLANNED.contains(&word) {
        return CommandError::NotYet(word.to_owned());
    }
    let known = [
        "ask",
        "build",
        "check",
        "compile",
        "config",
        "down",
        "explain",
        "health",
        "logs",
        "plan",
        "ps",
        "reference",
        "up",
        "version",
    ];
    let near = claw_types::diag::nearest(word, known.into_iter().chain(PLANNED.iter().copied()));
    let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    CommandError::Usage(format!("there is no command `{word}`{hint}"))
}
