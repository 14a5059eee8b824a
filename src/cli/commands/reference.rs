//! What runs inside containers: `claw reference`, `claw shim` and `claw hostile`.

use claw_reference::{client, manifest as configuration, provider, serve};

use crate::args::{Reference, Shim};
use crate::exit::{CommandError, Exit};
use crate::ui::Ui;

pub(crate) fn run(command: &Reference, ui: &Ui) -> Result<Exit, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CommandError::Start)?;
    runtime.block_on(async {
        match command {
            Reference::Serve { manifest } => serve::serve(manifest).await?,
            Reference::Provider { listen, record } => provider::provider(listen, record.as_deref()).await?,
            Reference::Health => {
                let (text, is_healthy) = client::health(client::LOCAL).await?;
                ui.bare(&format!("{text}\n"));
                return Ok(if is_healthy { Exit::Done } else { Exit::Failed });
            }
            Reference::Reading { manifest } => ui.bare(&format!("{}\n", configuration::reading(manifest)?)),
            Reference::Drain => client::drain(client::LOCAL).await?,
            Reference::Ask { conversation, text } => {
                ui.bare(&format!("{}\n", client::ask(client::LOCAL, conversation, text).await?));
            }
        }
        Ok(Exit::Done)
    })
}

/// Runs what claw does inside containers for other programs.
pub(crate) fn shim(command: &Shim, ui: &Ui) -> Result<Exit, CommandError> {
    match command {
        Shim::Own { owners } => {
            for each in owners {
                let (owner, path) =
                    owner(each).ok_or_else(|| CommandError::Usage(format!("`{each}` is not UID:GID=PATH")))?;
                claw_shim::own(owner, std::path::Path::new(path)).map_err(CommandError::Shim)?;
            }
            Ok(Exit::Done)
        }
        Shim::Empty { directory } => {
            claw_shim::empty(directory).map_err(CommandError::Shim)?;
            Ok(Exit::Done)
        }
        Shim::Probe { url } => {
            let (is_success, said) = claw_shim::probe(url).map_err(CommandError::Shim)?;
            ui.bare(&said);
            Ok(if is_success { Exit::Done } else { Exit::Failed })
        }
        Shim::Chat { url, token, conversation, text } => {
            let answer = claw_shim::chat(&format!("{url}{conversation}"), token, text).map_err(CommandError::Shim)?;
            ui.bare(&format!("{}\n", answer.text));
            // Beside an answer nothing else is shown of what is run there, so this is part of it.
            for tool in &answer.denied {
                ui.bare(&format!("[claw: it asked leave to use `{tool}`, which nobody here can give: denied]\n"));
            }
            Ok(Exit::Done)
        }
        Shim::Tools { url } => {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CommandError::Start)?;
            ui.bare(&format!("{}\n", runtime.block_on(claw_reference::mcp::tools(url))?));
            Ok(Exit::Done)
        }
        Shim::Idle => claw_shim::idle(),
        Shim::Track { program, words } => tracked(program, words),
        Shim::Exec { variables, program } => {
            let split = |each: &String| each.split_once('=').map(|(name, path)| (name.to_owned(), path.to_owned()));
            let variables: Vec<_> = variables.iter().filter_map(split).collect();
            match claw_shim::exec(&variables, program) {
                Err(error) => Err(CommandError::Exec(error)),
            }
        }
    }
}

/// Runs a package manager that a worker's path leads to; its exit code is claw's.
pub(crate) fn tracked(program: &str, words: &[std::ffi::OsString]) -> Result<Exit, CommandError> {
    match claw_shim::track(program, words) {
        Ok(0) => Ok(Exit::Done),
        Ok(code) => Ok(Exit::Program(code)),
        Err(source) => Err(CommandError::Exec(claw_shim::ExecError::Program { program: program.to_owned(), source })),
    }
}

/// Makes an attempt of a hostile agent and tells how it ended; that it succeeds is no failure.
pub(crate) fn hostile(words: &[String], ui: &Ui) -> Result<Exit, CommandError> {
    if let Some(tried) = claw_hostile::attempt(words)? {
        ui.json_line(&tried.line(words.first().map_or("", String::as_str)));
    }
    Ok(Exit::Done)
}

fn owner(text: &str) -> Option<((u32, u32), &str)> {
    let (owner, path) = text.split_once('=')?;
    let (uid, gid) = owner.split_once(':')?;
    Some(((uid.parse().ok()?, gid.parse().ok()?), path))
}
