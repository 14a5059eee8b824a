//! `claw reference`: what containers of the runtime `reference` run.

use claw_reference::{client, provider, serve};

use crate::args::{Reference, Shim};
use crate::exit::{CommandError, Exit};
use crate::ui::Ui;

pub(crate) fn run(command: &Reference, ui: &Ui) -> Result<Exit, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CommandError::Start)?;
    runtime.block_on(async {
        match command {
            Reference::Serve { manifest } => serve::serve(manifest).await?,
            Reference::Provider { listen } => provider::provider(listen).await?,
            Reference::Health => {
                let (text, is_healthy) = client::health(client::LOCAL).await?;
                ui.bare(&format!("{text}\n"));
                return Ok(if is_healthy { Exit::Done } else { Exit::Failed });
            }
            Reference::Ask { text } => ui.bare(&format!("{}\n", client::ask(client::LOCAL, text).await?)),
        }
        Ok(Exit::Done)
    })
}

/// Runs what claw does inside containers for itself.
pub(crate) fn shim(command: &Shim) -> Result<Exit, CommandError> {
    let Shim::Own { owner, path } = command;
    let numbers = owner.split_once(':').and_then(|(uid, gid)| Some((uid.parse().ok()?, gid.parse().ok()?)));
    let owner = numbers.ok_or_else(|| CommandError::Usage(format!("`{owner}` is not UID:GID")))?;
    claw_shim::own(owner, path).map_err(CommandError::Shim)?;
    Ok(Exit::Done)
}
