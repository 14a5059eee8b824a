//! One file a command, or a few that are alike: arguments, calls, messages.

use self::lifecycle::Change;
use crate::args::{Arguments, Command, Format};
use crate::exit::{CommandError, Exit};
use crate::session;
use crate::ui::Ui;

mod ask;
mod audit;
mod backup;
mod bake;
mod build;
mod check;
pub(crate) mod cllama;
mod compile;
mod config;
mod cp;
mod diagnose;
mod doctor;
mod down;
pub(crate) mod egress;
mod eject;
mod events;
mod exec;
pub(crate) mod explain;
mod health;
mod inspect;
mod lifecycle;
mod listing;
mod logs;
mod manuals;
mod persona;
mod plan;
mod ps;
mod reference;
mod run;
mod secrets;
mod service;
mod skillmap;
mod snapshot;
mod up;
mod update;
mod verify;
mod worker;

pub(crate) use reference::tracked;

/// Runs the command that was asked for.
pub(crate) fn run(arguments: &Arguments, ui: &Ui) -> Result<Exit, CommandError> {
    let global = &arguments.global;
    if global.format == Format::Sarif && !matches!(arguments.command, Command::Check(_)) {
        return Err(CommandError::Usage("`--format sarif` is for `claw check`".to_owned()));
    }
    match &arguments.command {
        Command::Build(args) => build::run(global, args, ui),
        Command::Check(args) => check::run(global, args, ui),
        Command::Compile { output } => compile::run(global, output.as_deref(), ui),
        Command::Config(args) => config::run(global, args, ui),
        Command::Eject { folder } => eject::run(global, folder, ui),
        Command::Explain { subject } => explain::run(global, subject, ui),
        Command::Up(args) => up::run(global, args, ui),
        Command::Plan { exit_code, choice, services } => plan::run(global, *exit_code, (services, choice), ui),
        Command::Update { manuals, services } => update::run(global, services, *manuals, ui),
        Command::Backup { folder } => backup::save(global, folder, ui),
        Command::Restore { yes, folder } => backup::put_back(global, folder, *yes, ui),
        Command::Down(args) => down::run(global, args, ui),
        Command::Ps { quiet, names, status, services, .. } => {
            ps::run(global, (*quiet, *names), status.as_deref(), services, ui)
        }
        Command::Logs(args) => watched(logs::run(global, args, ui)),
        Command::Events(args) => watched(events::run(global, args, ui)),
        Command::Health { watch, agents } => watched(health::run(global, *watch, agents, ui)),
        Command::Run(args) => run::run(global, args, ui),
        Command::Exec(args) => exec::run(global, args, ui),
        Command::Recipe { agent } => bake::recipe(global, agent, ui),
        Command::Bake(args) => bake::run(global, args, ui),
        Command::Snapshot(args) => snapshot::run(global, args, ui),
        Command::Cp { index, mode, from, to } => cp::run(global, (from, to), *index, *mode, ui),
        Command::Stop(args) => lifecycle::run(global, Change::Stop, args, ui),
        Command::Start(args) => lifecycle::run(global, Change::Start, args, ui),
        Command::Restart(args) => lifecycle::run(global, Change::Restart, args, ui),
        Command::Wait { services } => lifecycle::wait(global, services, ui),
        Command::Top { services } => listing::top(global, services, ui),
        Command::Images { quiet, services } => listing::images(global, *quiet, services, ui),
        Command::Port { protocol, index, service, port } => {
            listing::port(global, (service, port), (protocol, *index), ui)
        }
        Command::Verify => session::with(global, "verify", ui, async |session| verify::run(&session).await),
        Command::Ask { session: name, agent, text } => {
            session::with(global, "ask", ui, async |session| ask::run(&session, agent, name.as_deref(), text).await)
        }
        Command::Diagnose { agents } => {
            session::with(global, "diagnose", ui, async |session| diagnose::run(&session, agents).await)
        }
        Command::Inspect { agent } => {
            session::with(global, "inspect", ui, async |session| inspect::run(&session, agent).await)
        }
        Command::Skillmap { agents } => {
            session::with(global, "skillmap", ui, async |session| skillmap::run(&session, agents))
        }
        Command::Secrets { command } => secrets::run(global, command, ui),
        Command::Persona { command } => persona::run(global, command, ui),
        Command::Audit(args) => audit::run(global, args, ui),
        Command::Cllama { command } => cllama::run(global, command, ui),
        Command::Egress { command } => egress::run(command),
        Command::Service { command } => service::run(global, command, ui),
        // What was begun is taken away, and nothing stays to be told of.
        Command::Doctor { deep } => watched(doctor::run(*deep, ui)),
        Command::Version => {
            let version = env!("CARGO_PKG_VERSION");
            let data = serde_json::json!({ "version": version, "compose": claw_types::image::compose::LEVEL });
            let (none, sources) = (claw_types::diag::Diagnostics::new(), claw_types::span::SourceMap::new());
            ui.result("version", &format!("claw {version}"), data, &none, &sources);
            Ok(Exit::Done)
        }
        Command::Shim { command } => reference::shim(command, ui),
        Command::Hostile { attempt } => reference::hostile(attempt, ui),
        Command::Reference { command } => reference::run(command, ui),
        Command::Other(words) => Err(unknown(words.first().map_or("", String::as_str))),
    }
}

/// Ctrl-C is how somebody stops watching: that is no failure to be told.
fn watched(ended: Result<Exit, CommandError>) -> Result<Exit, CommandError> {
    match ended {
        Err(CommandError::Interrupted) => Ok(Exit::Interrupted),
        ended => ended,
    }
}

/// Commands that later versions carry out.
const PLANNED: &[&str] = &["agent", "attest", "board", "demo", "dev", "init", "lsp", "schema"];

/// Commands that are there.
const KNOWN: &[&str] = &[
    "ask",
    "backup",
    "bake",
    "build",
    "check",
    "compile",
    "config",
    "cp",
    "diagnose",
    "doctor",
    "down",
    "egress",
    "eject",
    "events",
    "exec",
    "explain",
    "health",
    "images",
    "inspect",
    "logs",
    "persona",
    "plan",
    "port",
    "ps",
    "recipe",
    "reference",
    "restart",
    "restore",
    "run",
    "secrets",
    "service",
    "skillmap",
    "snapshot",
    "start",
    "stop",
    "top",
    "up",
    "update",
    "verify",
    "version",
    "wait",
];

fn unknown(word: &str) -> CommandError {
    if PLANNED.contains(&word) {
        return CommandError::NotYet(word.to_owned());
    }
    let near = claw_types::diag::nearest(word, KNOWN.iter().chain(PLANNED).copied());
    let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    CommandError::Usage(format!("there is no command `{word}`{hint}"))
}
