//! `claw reference`: what containers of the runtime `reference` run.

use claw_reference::{client, provider, serve};

use crate::args::Reference;
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
