//! The command line: arguments in, messages and an exit code out. Every command is a few calls into the other crates.

use std::process::ExitCode;

mod args;
mod commands;
mod diff;
mod discover;
mod exit;
mod fix;
mod input;
mod published;
mod render;
mod sarif;
mod session;
mod table;
mod terminal;
mod ui;

/// Runs claw with the process's arguments and returns its exit code.
pub fn main() -> ExitCode {
    if let Some(args) = args::alone(std::env::args_os().skip(1)) {
        let done = match args {
            args::Alone::Proxy(args) => commands::cllama::serve(&args),
            args::Alone::Gate(args) => commands::egress::serve(&args),
        };
        return ended(done, &ui::Ui::new(args::Format::Text));
    }
    let mut words = std::env::args_os();
    if let Some(program) = words.next().and_then(|name| claw_shim::called_as(&name)) {
        let done = commands::tracked(&program, &words.collect::<Vec<_>>());
        return ended(done, &ui::Ui::new(args::Format::Text));
    }
    let arguments = match args::parse() {
        Ok(arguments) => arguments,
        Err(error) => return ui::usage(&error),
    };
    let ui = ui::Ui::new(arguments.global.format);
    ended(commands::run(&arguments, &ui), &ui)
}

fn ended(done: Result<exit::Exit, exit::CommandError>, ui: &ui::Ui) -> ExitCode {
    match done {
        Ok(exit) => exit.code(),
        Err(error) => {
            ui.failure(&error);
            error.exit().code()
        }
    }
}
