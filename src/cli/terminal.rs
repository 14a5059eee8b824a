//! The terminal of whoever runs a command in a container: what is typed goes in, what comes out is shown, byte for byte.

use std::io::{IsTerminal, Read, Write};

use claw_engine::docker::Input;
use rustix::termios;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::exit::CommandError;

/// Returns whether somebody sits there.
pub(crate) fn is_at_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Shows what a command printed.
pub(crate) fn print(is_error: bool, bytes: &[u8]) {
    // A reader that stopped reading is no failure of the command's.
    let _ = match is_error {
        true => std::io::stderr().write_all(bytes),
        false => std::io::stdout().write_all(bytes).and_then(|()| std::io::stdout().flush()),
    };
}

/// Returns what a person types, and the size of the terminal when it changes.
pub(crate) fn input(has_terminal: bool) -> Result<UnboundedReceiver<Input>, CommandError> {
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
pub(crate) struct Raw {
    before: termios::Termios,
}

impl Raw {
    /// Sets it.
    pub(crate) fn set() -> std::io::Result<Self> {
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
