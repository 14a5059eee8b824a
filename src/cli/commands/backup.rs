//! `claw backup` and `restore`: what agents remember, and what claw keeps of the project.

use std::path::Path;

use claw_engine::backup::{Backup, backup, replaced, restore};
use claw_engine::live::live;
use claw_engine::lock::lock;
use serde_json::json;

use crate::args::Global;
use crate::exit::{CommandError, Exit};
use crate::session;
use crate::ui::Ui;

pub(crate) fn save(global: &Global, folder: &Path, ui: &Ui) -> Result<Exit, CommandError> {
    session::with(global, "backup", ui, async |session| {
        session.refuse_inside(folder)?;
        let _lock = lock(&session.input.root, session.plan.pod.as_str(), "backup")?;
        session.refuse_elsewhere().await?;
        let docker = session.docker().await?;
        let made =
            session.with_site(&session.plan, async |site| backup(&session.plan, folder, docker, site).await).await?;
        let bytes: u64 = made.volumes.values().map(|part| part.bytes).sum();
        let shown = claw_engine::gather::display(folder);
        let text =
            format!("wrote {shown}: {} volumes, {bytes} bytes, and the state with its secrets", made.volumes.len());
        let data = json!({ "pod": made.pod, "directory": shown, "volumes": made.volumes.keys().collect::<Vec<_>>(), "bytes": bytes });
        session.result("backup", &text, data);
        Ok(Exit::Done)
    })
}

pub(crate) fn put_back(global: &Global, folder: &Path, is_agreed: bool, ui: &Ui) -> Result<Exit, CommandError> {
    session::with(global, "restore", ui, async |session| {
        let made = Backup::open(folder)?;
        let _lock = lock(&session.input.root, session.plan.pod.as_str(), "restore")?;
        session.refuse_elsewhere().await?;
        let docker = session.docker().await?;
        session
            .with_site(&session.plan, async |site| {
                let live = live(&session.plan, site)?;
                let there = replaced(&made, &live, docker, site).await?;
                if !there.is_empty() && !is_agreed {
                    let question = format!("Replace what `{}` holds now?", there.join("`, `"));
                    if !ui.has_person() {
                        let message = format!("`{}` is there: `-y` replaces what it holds", there.join("`, `"));
                        return Err(CommandError::Usage(message));
                    }
                    if !ui.confirms(&question).await {
                        return Err(CommandError::Usage("nothing was restored".to_owned()));
                    }
                }
                Ok(restore((&made, folder), &there, &live, docker, site).await?)
            })
            .await?;
        let text = format!("restored {} volumes of {}: `claw up` starts the pod", made.volumes.len(), made.time);
        let data = json!({ "pod": made.pod, "time": made.time, "volumes": made.volumes.keys().collect::<Vec<_>>() });
        session.result("restore", &text, data);
        Ok(Exit::Done)
    })
}
