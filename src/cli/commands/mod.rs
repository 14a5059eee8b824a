//! One file a command, or a few that are alike: arguments, calls, messages.

use crate::args::{Arguments, Command, Format};
use crate::exit::{CommandError, Exit};
use crate::session;
use crate::ui::Ui;

mod ask;
mod build;
mod check;
mod compile;
mod config;
mod doctor;
mod down;
mod explain;
mod health;
mod inspect;
mod logs;
mod plan;
mod ps;
mod reference;
mod secrets;
mod up;
mod verify;

/// Runs the command that was asked for.
pub(crate) fn run(arguments: &Arguments, ui: &Ui) -> Result<Exit, CommandError> {
    let global = &arguments.global;
    if global.format == Format::Sarif {
        return Err(CommandError::NotYet("--format sarif".to_owned()));
    }
    match &arguments.command {
        Command::Build(args) => build::run(global, args, ui),
        Command::Check { strict } => check::run(global, *strict, ui),
        Command::Compile { locked: true, .. } => Err(CommandError::NotYet("compile --locked".to_owned())),
        Command::Compile { output, .. } => compile::run(global, output.as_deref(), ui),
        Command::Config(args) => config::run(global, args, ui),
        Command::Explain { subject } => explain::run(global, subject, ui),
        Command::Up(args) => up::run(global, args, ui),
        Command::Plan { exit_code, services } => plan::run(global, *exit_code, services, ui),
        Command::Down(args) => down::run(global, args, ui),
        Command::Ps { quiet, services } => ps::run(global, *quiet, services, ui),
        Command::Logs(args) => logs::run(global, args, ui),
        Command::Health { agents } => {
            session::with(global, "health", ui, async |session| health::run(&session, agents).await)
        }
        Command::Verify => session::with(global, "verify", ui, async |session| verify::run(&session).await),
        Command::Ask { agent, text } => {
            session::with(global, "ask", ui, async |session| ask::run(&session, agent, text).await)
        }
        Command::Inspect { agent } => {
            session::with(global, "inspect", ui, async |session| inspect::run(&session, agent).await)
        }
        Command::Secrets { command } => secrets::run(global, command, ui),
        Command::Doctor => doctor::run(global, ui),
        Command::Version => {
            let version = env!("CARGO_PKG_VERSION");
            let data = serde_json::json!({ "version": version, "compose": claw_types::image::compose::LEVEL });
            let (none, sources) = (claw_types::diag::Diagnostics::new(), claw_types::span::SourceMap::new());
            ui.result("version", &format!("claw {version}"), data, &none, &sources);
            Ok(Exit::Done)
        }
        Command::Shim { command } => reference::shim(command, ui),
        Command::Reference { command } => reference::run(command, ui),
        Command::Other(words) => Err(unknown(words.first().map_or("", String::as_str))),
    }
}

/// Commands that later versions carry out.
const PLANNED: &[&str] = &[
    "agent", "attest", "audit", "backup", "bake", "board", "cllama", "cp", "demo", "dev", "egress", "eject", "events",
    "exec", "init", "lock", "lsp", "persona", "recipe", "restart", "restore", "run", "schema", "service", "start",
    "stop", "top", "update", "wait",
];

/// Commands that are there.
const KNOWN: &[&str] = &[
    "ask",
    "build",
    "check",
    "compile",
    "config",
    "doctor",
    "down",
    "explain",
    "health",
    "inspect",
    "logs",
    "plan",
    "ps",
    "reference",
    "secrets",
    "up",
    "verify",
    "version",
];

fn unknown(word: &str) -> CommandError {
    if PLANNED.contains(&word) {
        return CommandError::NotYet(word.to_owned());
    }
    let near = claw_types::diag::nearest(word, KNOWN.iter().chain(PLANNED).copied());
    let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    CommandError::Usage(format!("there is no command `{word}`{hint}"))
}
