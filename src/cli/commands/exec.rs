//! `claw exec`: a command in a container, at a terminal or not.

use claw_engine::docker::ExecCall;

use super::worker;
use crate::args::{ExecArgs, Global};
use crate::exit::{CommandError, Exit};
use crate::session;
use crate::terminal::{Raw, input, is_at_terminal, print};
use crate::ui::Ui;

pub(crate) fn run(global: &Global, args: &ExecArgs, ui: &Ui) -> Result<Exit, CommandError> {
    session::with(global, "exec", ui, async |session| {
        let seen = worker::meant(&session, &args.service, args.index, args.mode).await?;
        if !seen.state.is_running {
            let message = format!("`{}` does not run: `claw ps` shows what does", args.service);
            return Err(CommandError::Usage(message));
        }
        let has_terminal = !args.inside.no_tty && is_at_terminal();
        let environment: Vec<String> =
            args.inside.environment().map(|(name, value)| format!("{name}={value}")).collect();
        let call = ExecCall {
            command: &args.command,
            user: args.inside.user.as_deref(),
            is_privileged: args.privileged,
            directory: args.inside.workdir.as_deref(),
            environment: &environment,
        };
        let raw = if has_terminal { Some(Raw::set().map_err(CommandError::Start)?) } else { None };
        let input = input(has_terminal)?;
        let docker = session.docker().await?;
        let code = docker.exec_live(&seen.id, &call, has_terminal, input, &mut print).await;
        drop(raw);
        match code? {
            0 => Ok(Exit::Done),
            code => Ok(Exit::Program(u8::try_from(code).unwrap_or(1))),
        }
    })
}
