//! `claw exec`: a command in a container, at a terminal or not.

use std::io::{IsTerminal, Read, Write};

use claw_engine::docker::{ExecCall, Input};
use rustix::termios;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::args::{ExecArgs, Global};
use crate::exit::{CommandError, Exit};
use crate::session;
use crate::ui::Ui;

pub(crate) fn run(global: &Global, args: &ExecArgs, ui: &Ui) -> Result<Exit, CommandError> {
    session::with(global, "exec", ui, async |session| {
        let seen = session.container(&args.service, args.index).await?;
        if !seen.state.is_running {
            let message = format!("`{}` does not run: `claw ps` shows what does", args.service);
            return Err(CommandError::Usage(message));
        }
        let has_terminal = !args.no_tty && std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
        let call = ExecCall {
            command: &args.command,
            user: args.user.as_deref(),
            is_privileged: args.privileged,
            directory: args.workdir.as_deref(),
            environment: &args.env,
        };
        let raw = if has_terminal { Some(Raw::set().map_err(CommandError::Start)?) } else { None };
        let input = input(has_terminal)?;
        let docker = session.docker().await?;
        let mut print = |is_error: bool, bytes: &[u8]| {
            // A reader that stopped reading is no failure of the command's.
            let _ = match is_error {
                true => std::io::stderr().write_all(bytes),
                false => std::io::stdout().write_all(bytes).and_then(|()| std::io::stdout().flush()),
            };
        };
        let code = docker.exec_live(&seen.id, &call, has_terminal, input, &mut print).await;
        drop(raw);
        match code? {
            0 => Ok(Exit::Done),
            code => Ok(Exit::Program(u8::try_from(code).unwrap_or(1))),
        }
    })
}

/// Returns what a person types, and the size of the terminal when it changes.
fn input(has_terminal: bool) -> Result<UnboundedReceiver<Input>, CommandError> {
    let (sender, receiver) = unbounded_channel();
    if has_terminal {
        let sizes = sender.clone();
        let mut changed = signal(SignalKind::window_change()).map_err(CommandError::Start)?;
        send_size(&sizes);
        tokio::spawn(async move {
            while changed.recv().await.is_some() {
                send_size(&sizes);
            }
        });
    }
    // Reading blocks, and nothing waits for it once the command has ended.
    std::thread::spawn(move || {
        let mut bytes = [0; 8192];
        loop {
            match std::io::stdin().read(&mut bytes) {
                Ok(0) | Err(_) => return sender.send(Input::End),
                Ok(count) => sender.send(Input::Bytes(bytes[..count].to_vec()))?,
            }
        }
    });
    Ok(receiver)
}

fn send_size(sizes: &UnboundedSender<Input>) {
    if let Ok(size) = termios::tcgetwinsize(std::io::stdout()) {
        // Nobody listens once the command has ended.
        let _ = sizes.send(Input::Size(size.ws_row, size.ws_col));
    }
}

/// The terminal as the command wants it: each key goes through. It is as it was when this value goes.
struct Raw {
    before: termios::Termios,
}

impl Raw {
    fn set() -> std::io::Result<Self> {
        let before = termios::tcgetattr(std::io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        termios::tcsetattr(std::io::stdin(), termios::OptionalActions::Now, &raw)?;
        Ok(Self { before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // What cannot be restored cannot be told either: the terminal is the only place to tell it.
        let _ = termios::tcsetattr(std::io::stdin(), termios::OptionalActions::Now, &self.before);
    }
}
