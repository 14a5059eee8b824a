//! `claw cllama`: the governance proxy, and what its operators ask for.

use std::path::{Path, PathBuf};

use claw_proxy::Options;
use claw_types::id::{EnvName, UnitId};
use claw_types::secret::SecretRef;

use crate::args::{Cllama, Global, ServeArgs};
use crate::exit::{CommandError, Exit};
use crate::session;
use crate::ui::Ui;

/// Where the tokens of the operators' side are in the proxy's container.
const UI_TOKEN: &str = "/run/secrets/CLLAMA_UI_TOKEN";
const MASTER_TOKEN: &str = "/run/secrets/CLLAMA_MASTER_TOKEN";

pub(crate) fn run(global: &Global, command: &Cllama, ui: &Ui) -> Result<Exit, CommandError> {
    match command {
        Cllama::Serve(args) => return serve(args),
        Cllama::Url => return session::with(global, "cllama", ui, async |session| url(&session).await),
        Cllama::Prices => ui.bare(claw_proxy::price::Prices::built_in_text()),
        Cllama::Costs { by } => {
            let path = format!("/costs/api?by={by}");
            ui.bare(&claw_proxy::client::get("127.0.0.1:8081", &path, Path::new(UI_TOKEN))?);
        }
        Cllama::LedgerFill { ledger, rows } => {
            claw_proxy::ledger::fill(ledger, *rows).map_err(claw_proxy::ProxyError::Ledger)?;
        }
    }
    Ok(Exit::Done)
}

/// Runs the proxy.
pub(crate) fn serve(args: &ServeArgs) -> Result<Exit, CommandError> {
    let there = |path: &str| Some(PathBuf::from(path)).filter(|path| path.exists());
    let options = Options {
        manifest: args.manifest.clone(),
        listen: args.listen.clone(),
        admin: args.admin.clone(),
        ledger: args.ledger.clone(),
        ui_token: args.ui_token.clone().or_else(|| there(UI_TOKEN)),
        master_token: args.master_token.clone().or_else(|| there(MASTER_TOKEN)),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(CommandError::Start)?.block_on(claw_proxy::serve(&options))?;
    Ok(Exit::Done)
}

/// Prints where the operators' page is, token and all: for a browser, and for nobody's log.
async fn url(session: &session::Session<'_>) -> Result<Exit, CommandError> {
    let proxies = super::audit::proxies(session).await?;
    let found = proxies.iter().find_map(|seen| Some((super::audit::address(seen)?, seen.service().to_owned())));
    let Some((address, service)) = found else {
        let message = "the pod has no proxy with a page: an agent gets one by `CLLAMA passthrough`, then `claw up -d`";
        return Err(CommandError::Usage(message.to_owned()));
    };
    let vault = session.vault(&session.plan);
    let names = (UnitId::parse(&service), EnvName::parse(claw_types::secret::UI_TOKEN));
    let (Ok(unit), Ok(name)) = names else { return Err(session.no_service(&service)) };
    let token = vault.shown(&SecretRef::Minted(unit, name))?;
    session.ui.bare(&format!("{address}#token={}\n", token.as_str()));
    Ok(Exit::Done)
}
