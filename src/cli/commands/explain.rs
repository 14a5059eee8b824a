//! `claw explain`: a diagnostic's paragraph of `docs/diagnostics.md`.

use claw_types::diag::{Code, nearest};

use crate::exit::{CommandError, Exit};
use crate::ui::Ui;

const PAGE: &str = include_str!("../../../docs/diagnostics.md");

pub(crate) fn run(code: &str, ui: &Ui) -> Result<Exit, CommandError> {
    let heading = format!("\n## {code}\n");
    let Some((_, rest)) = PAGE.split_once(&heading) else {
        let near = nearest(code, Code::ALL.iter().map(|code| code.name()));
        let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        return Err(CommandError::Usage(format!("there is no diagnostic `{code}`{hint}")));
    };
    let paragraph = rest.split("\n## ").next().unwrap_or(rest).trim();
    ui.bare(&format!("{code}\n\n{paragraph}\n"));
    Ok(Exit::Done)
}
