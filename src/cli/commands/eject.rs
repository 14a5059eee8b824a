//! `claw eject`: the pod as a directory that docker compose alone runs.

use std::path::Path;

use claw_engine::eject::write;
use serde_json::json;

use crate::args::Global;
use crate::exit::{CommandError, Exit};
use crate::session;
use crate::ui::Ui;

pub(crate) fn run(global: &Global, folder: &Path, ui: &Ui) -> Result<Exit, CommandError> {
    session::with(global, "eject", ui, async |session| {
        if let Some(unknown) = session.plan.unknown.first() {
            return Err(CommandError::Usage(unknown.message.clone()));
        }
        session.refuse_inside(folder)?;
        let sealed = session.with_site(&session.plan, async |site| write(&session.plan, folder, site).await).await?;
        let shown = claw_engine::gather::display(folder);
        let mut text = format!("wrote {shown}: `README.md` says how it is run");
        if sealed > 0 {
            text.push_str(&format!("; {sealed} of its files hold secrets"));
        }
        let data = json!({ "pod": session.plan.pod.as_str(), "directory": shown, "sealed": sealed });
        session.result("eject", &text, data);
        Ok(Exit::Done)
    })
}
