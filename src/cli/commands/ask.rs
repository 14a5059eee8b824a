//! `claw ask`: one message through a runtime's own door, and its answer.

use std::io::Read;

use serde_json::json;

use crate::exit::{CommandError, Exit};
use crate::session::Session;

/// The longest message: the engine passes it as an argument.
const LIMIT: usize = 100_000;

pub(crate) async fn run(
    session: &Session<'_>,
    agent: &str,
    name: Option<&str>,
    text: &str,
) -> Result<Exit, CommandError> {
    let agents = session.agents(&[agent.to_owned()])?;
    let [id] = agents.as_slice() else {
        return Err(CommandError::Usage(format!("`{agent}` has several replicas: `{}`", agents.join("`, `"))));
    };
    let Some(unit) = session.plan.units.values().find(|unit| unit.unit.id.as_str() == id) else {
        return Err(session.no_service(id));
    };
    let Some(door) = &unit.lowered.door else {
        return Err(CommandError::Usage(format!("the runtime `{}` has no door for messages", unit.unit.runtime)));
    };
    let command = match name {
        None => door.command.clone(),
        Some(name) if !is_conversation(name) => {
            return Err(CommandError::Usage(
                "a conversation is named by at most 64 letters, digits, `-`, `_`, `:`".to_owned(),
            ));
        }
        Some(name) => door.into(name).ok_or_else(|| {
            CommandError::Usage(format!("the runtime `{}` has one conversation for `claw ask`", unit.unit.runtime))
        })?,
    };
    let text = if text == "-" { from_input()? } else { text.to_owned() };
    if text.trim().is_empty() || text.len() > LIMIT || text.contains('\0') {
        return Err(CommandError::Usage(format!("a message has 1 to {LIMIT} bytes of text")));
    }
    let containers = session.containers(std::slice::from_ref(id)).await?;
    let Some(seen) = containers.iter().find(|seen| seen.state.is_running) else {
        return Err(CommandError::Usage(format!("`{id}` does not run: start it with `claw up -d`")));
    };
    let output = claw_engine::health::ask(&seen.id, &command, &text, session.docker().await?).await?;
    if output.exit_code != 0 {
        session.ui.progress(output.stderr.trim_end());
        return Ok(Exit::Failed);
    }
    match session.ui.is_json() {
        true => session.result("ask", "", json!({ "agent": id, "reply": output.stdout.trim_end_matches('\n') })),
        false => session.ui.bare(&output.stdout),
    }
    Ok(Exit::Done)
}

/// Returns whether a conversation may be called so: it becomes a word of a command, and perhaps a file.
fn is_conversation(name: &str) -> bool {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':');
    (1..=64).contains(&name.len()) && !name.starts_with('-') && name.bytes().all(is_fine)
}

fn from_input() -> Result<String, CommandError> {
    let mut text = String::new();
    let read = std::io::stdin().take(LIMIT as u64 + 1).read_to_string(&mut text);
    read.map_err(|_| CommandError::Usage("standard input is not UTF-8 text".to_owned()))?;
    Ok(text)
}
