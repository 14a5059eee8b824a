//! `claw logs`: what the pod's containers printed, in the order of time.

use claw_engine::docker::{LogOptions, Seen};
use claw_engine::logs::{Line, read, source};
use serde_json::json;

use crate::args::{Global, LogsArgs};
use crate::exit::{CommandError, Exit};
use crate::session;
use crate::ui::Ui;

pub(crate) fn run(global: &Global, args: &LogsArgs, ui: &Ui) -> Result<Exit, CommandError> {
    let since = args.since.as_deref().map(since).transpose()?;
    session::with(global, "logs", ui, async |session| {
        let containers = session.containers(&args.services).await?;
        let options = LogOptions { is_following: args.follow, tail: args.tail, since };
        let mut print = printer(ui, args.timestamps, &containers);
        read(&containers, &options, session.docker().await?, &mut print).await?;
        Ok(Exit::Done)
    })
}

/// Returns what prints a line: for people with its source before it, for programs as JSON.
pub(crate) fn printer<'u>(ui: &'u Ui, has_times: bool, containers: &[Seen]) -> impl FnMut(Line) + use<'u> {
    let width = containers.iter().map(|seen| source(seen).chars().count()).max().unwrap_or(0);
    move |line| {
        if ui.is_json() {
            let stream = if line.line.is_error { "stderr" } else { "stdout" };
            return ui.json_line(&json!({
                "time": line.line.time,
                "source": line.source,
                "stream": stream,
                "text": line.line.text,
            }));
        }
        let time = if has_times { format!("{} ", line.line.time) } else { String::new() };
        ui.bare(&format!("{:<width$} | {time}{}\n", line.source, line.line.text));
    }
}

/// Returns a point in time as seconds of Unix time: `90s`, `10m`, `2h`, `1d` ago, or the seconds themselves.
fn since(text: &str) -> Result<i32, CommandError> {
    let wrong = || CommandError::Usage(format!("`{text}` is not a time: write `10m`, `2h`, or Unix time in seconds"));
    let units = [('s', 1), ('m', 60), ('h', 3600), ('d', 86400)];
    let ago = units.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(*unit)?, *seconds)));
    let number = |text: &str| text.parse::<u64>().map_err(|_| wrong());
    let seconds = match ago {
        Some((amount, unit)) => {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            now.as_secs().saturating_sub(number(amount)?.saturating_mul(unit))
        }
        None => number(text)?,
    };
    i32::try_from(seconds).map_err(|_| wrong())
}
