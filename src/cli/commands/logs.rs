//! `claw logs`: what the pod's containers printed, in the order of time.

use std::collections::BTreeMap;

use claw_engine::docker::{LogOptions, Seen};
use claw_engine::logs::{Line, follow, read, source};
use claw_types::image::compose;
use serde_json::json;

use crate::args::{Global, LogsArgs};
use crate::exit::{CommandError, Exit};
use crate::session::{self, Session};
use crate::ui::Ui;

pub(crate) fn run(global: &Global, args: &LogsArgs, ui: &Ui) -> Result<Exit, CommandError> {
    session::with(global, "logs", ui, async |session| {
        let mut containers = session.containers(&args.services).await?;
        if let Some(index) = args.index {
            containers.retain(|seen| seen.label(compose::NUMBER) == index.to_string());
        }
        let seconds = |moment: Option<i64>| moment.and_then(|moment| i32::try_from(moment).ok());
        let options = LogOptions {
            is_following: args.follow,
            tail: args.tail.0,
            since: seconds(args.since),
            until: seconds(args.until),
        };
        let style = Style {
            has_times: args.timestamps,
            has_source: !args.no_log_prefix,
            is_coloured: ui.has_colour() && !args.no_color,
        };
        let mut print = printer(&session, &style, &containers);
        let docker = session.docker().await?;
        if !args.follow {
            read(&containers, &options, docker, &mut |_, line| print(line)).await;
            return Ok(Exit::Done);
        }
        let wanted = session.services(&args.services)?;
        let index = args.index.map(|index| index.to_string());
        let is_wanted = |service: &str, number: &str| {
            (wanted.is_empty() || wanted.iter().any(|name| name == service))
                && index.as_ref().is_none_or(|index| index == number)
        };
        follow((session.plan.pod.as_str(), &containers), &is_wanted, &options, docker, &mut print).await?;
        Ok(Exit::Done)
    })
}

/// How lines are printed for people.
pub(crate) struct Style {
    /// With the time.
    pub(crate) has_times: bool,
    /// With the source before it.
    pub(crate) has_source: bool,
    /// The source has a colour of its own.
    pub(crate) is_coloured: bool,
}

/// The colours of sources: cyan, yellow, green, magenta, blue, and the bright ones.
const COLOURS: [u8; 10] = [36, 33, 32, 35, 34, 96, 93, 92, 95, 94];

/// Returns what prints a line: for people with its source before it, for programs as JSON. How wide sources are and their
/// colours depend on the pod alone, so that they stay while containers come and go.
pub(crate) fn printer<'u>(session: &Session<'u>, style: &Style, containers: &[Seen]) -> impl FnMut(Line) + use<'u> {
    let ui = session.ui;
    let planned = session.plan.project.services.iter().flat_map(|(name, service)| {
        (1..=claw_compiler::plan::steps::containers_of(service)).map(move |number| match number {
            1 => name.clone(),
            number => format!("{name}-{number}"),
        })
    });
    let mut sources: Vec<String> = containers.iter().map(source).chain(planned).collect();
    sources.sort_unstable();
    sources.dedup();
    let width = sources.iter().map(|source| source.chars().count()).max().unwrap_or(0);
    let colours: BTreeMap<String, u8> = sources.into_iter().zip(COLOURS.into_iter().cycle()).collect();
    let Style { has_times, has_source, is_coloured } = *style;
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
        let before = match (has_source, colours.get(&line.source).filter(|_| is_coloured)) {
            (false, _) => String::new(),
            (true, None) => format!("{:<width$} | ", line.source),
            (true, Some(colour)) => format!("\u{1b}[{colour}m{:<width$} |\u{1b}[0m ", line.source),
        };
        ui.bare(&format!("{before}{time}{}\n", line.line.text));
    }
}
