//! `claw events`: what happens to the pod's containers, networks and volumes.

use claw_engine::docker::Event;
use claw_types::image::{compose, label};
use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::args::{EventsArgs, Global};
use crate::exit::{CommandError, Exit};
use crate::session;
use crate::ui::Ui;

pub(crate) fn run(global: &Global, args: &EventsArgs, ui: &Ui) -> Result<Exit, CommandError> {
    session::with(global, "events", ui, async |session| {
        let wanted = session.services(&args.services)?;
        let docker = session.docker().await?;
        let mut events = std::pin::pin!(docker.events(session.plan.pod.as_str(), args.since, args.until));
        while let Some(event) = events.next().await {
            let event = event?;
            let is_wanted = wanted.is_empty() || wanted.iter().any(|name| name == event.label(compose::SERVICE));
            // Every health check is three of these.
            if is_wanted && !event.action.starts_with("exec_") {
                match ui.is_json() {
                    true => ui.json_line(&as_json(&event)),
                    false => ui.bare(&format!("{}\n", as_text(&event))),
                }
            }
        }
        Ok(Exit::Done)
    })
}

/// What an event says of its resource beside labels.
fn details(event: &Event) -> impl Iterator<Item = (&String, &String)> {
    event.attributes.iter().filter(|(key, _)| !key.contains('.') && key.as_str() != "name")
}

fn as_text(event: &Event) -> String {
    let details: Vec<String> = details(event).map(|(key, value)| format!("{key}={value}")).collect();
    let details = if details.is_empty() { String::new() } else { format!(" ({})", details.join(", ")) };
    let name = event.attributes.get("name").unwrap_or(&event.id);
    format!("{} {} {} {name}{details}", event.time, event.kind, event.action)
}

/// Returns an event for programs: without labels, which `docker inspect` tells.
fn as_json(event: &Event) -> Value {
    let text = |label: &str| Some(event.label(label)).filter(|value| !value.is_empty());
    json!({
        "time": event.time,
        "type": event.kind,
        "action": event.action,
        "id": event.id,
        "name": event.attributes.get("name"),
        "service": text(compose::SERVICE),
        "agent": text(label::AGENT),
        "details": details(event).map(|(key, value)| (key.clone(), json!(value))).collect::<serde_json::Map<_, _>>(),
    })
}
