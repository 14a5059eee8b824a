//! `claw audit`: what the pod's proxies wrote down, and what calls cost.

use std::time::Duration;

use claw_engine::docker::{LogOptions, Seen};
use claw_engine::logs::read;
use claw_types::gate::GATE;
use claw_types::image::{INFRA_PROGRAM, label};
use serde_json::{Value, json};

use crate::args::{AuditArgs, Global};
use crate::exit::{CommandError, Exit};
use crate::session::{self, Session};
use crate::table::{row, table};
use crate::ui::Ui;

/// How long the proxy may take to sum up its costs.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn run(global: &Global, args: &AuditArgs, ui: &Ui) -> Result<Exit, CommandError> {
    session::with(global, "audit", ui, async |session| match args.costs {
        true => costs(&session, args).await,
        false => events(&session, args).await,
    })
}

/// Returns the proxies of a pod.
pub(crate) async fn proxies(session: &Session<'_>) -> Result<Vec<Seen>, CommandError> {
    let mut containers = session.containers(&[]).await?;
    containers.retain(|seen| seen.label(label::ROLE) == "proxy");
    Ok(containers)
}

fn no_proxy() -> CommandError {
    CommandError::Usage(
        "the pod has no proxy that runs: an agent gets one by `CLLAMA passthrough`, then `claw up -d`".to_owned(),
    )
}

async fn events(session: &Session<'_>, args: &AuditArgs) -> Result<Exit, CommandError> {
    let wanted = session.services(&args.services)?;
    let mut writers = session.containers(&[]).await?;
    writers.retain(|seen| matches!(seen.label(label::ROLE), "proxy" | GATE));
    if writers.is_empty() {
        let message = "nothing of the pod writes down what its agents do: it has no agent, or does not run";
        return Err(CommandError::Usage(message.to_owned()));
    }
    let since = args.since.and_then(|moment| i32::try_from(moment).ok());
    let options = LogOptions { since, ..LogOptions::default() };
    let ui = session.ui;
    let show = |event: &Value, line: &str| {
        let text = |key: &str| event[key].as_str().unwrap_or("");
        let is_wanted = wanted.is_empty() || wanted.iter().any(|name| name == text("claw_id"));
        if !is_wanted || !args.types.is_empty() && !args.types.iter().any(|kind| kind == text("type")) {
            return;
        }
        match ui.is_json() {
            // Amounts stand there as the proxy wrote them.
            true => ui.bare(&format!("{line}\n")),
            false => ui.bare(&format!("{}\n", as_text(event))),
        }
    };
    read(&writers, &options, session.docker().await?, &mut |_, line| {
        // What is no event is the runtime's own: `claw logs` shows it.
        if let Ok(event) = serde_json::from_str::<Value>(&line.line.text)
            && event["type"].is_string()
        {
            show(&event, line.line.text.trim_end());
        }
    })
    .await;
    Ok(Exit::Done)
}

/// Returns an event as a line: when, who, what, and what is worth knowing of it.
fn as_text(event: &Value) -> String {
    let text = |key: &str| event[key].as_str().filter(|text| !text.is_empty());
    let number = |key: &str| event[key].as_u64();
    let mut parts = vec![text("ts").unwrap_or("").to_owned(), text("claw_id").unwrap_or("-").to_owned()];
    parts.extend(text("type").map(ToOwned::to_owned));
    if let Some(host) = text("host") {
        parts.push(number("port").map_or(host.to_owned(), |port| format!("{host}:{port}")));
        let moved = number("bytes_out").zip(number("bytes_in"));
        parts.extend(moved.map(|(out, back)| format!("{out} bytes out {back} in")));
    }
    if let (Some(provider), Some(model)) = (text("provider"), text("effective_model")) {
        parts.push(format!("{provider}/{model}"));
    }
    parts.extend(number("status_code").map(|status| status.to_string()));
    if let (Some(input), Some(output)) = (number("tokens_in"), number("tokens_out")) {
        parts.push(format!("{input} in {output} out"));
        let cost = &event["cost"];
        parts.push(format!("${} {}", cost["amount"].as_str().unwrap_or("?"), cost["status"].as_str().unwrap_or("")));
    }
    parts.extend(number("latency_ms").map(|ms| format!("{ms} ms")));
    parts.extend(text("end").filter(|end| *end != "complete").map(ToOwned::to_owned));
    parts.extend(text("intervention").map(|kind| format!("[{kind}]")));
    let more = ["reason", "key", "from", "to", "evidence", "detail", "text", "error"].into_iter().filter_map(text);
    parts.extend(more.map(ToOwned::to_owned));
    parts.join(" ")
}

/// Returns what a proxy that runs knows of costs.
pub(crate) async fn asked(session: &Session<'_>, seen: &Seen, by: &str) -> Result<Option<Value>, CommandError> {
    let command = [INFRA_PROGRAM, "cllama", "costs", "--by", by].map(ToOwned::to_owned);
    let output = session.docker().await?.exec(&seen.id, &command, PATIENCE).await?;
    if output.exit_code != 0 {
        session.ui.progress(output.stderr.trim_end());
        return Ok(None);
    }
    Ok(serde_json::from_str(&output.stdout).ok())
}

async fn costs(session: &Session<'_>, args: &AuditArgs) -> Result<Exit, CommandError> {
    let proxies = proxies(session).await?;
    // Of a chain the last one of claw's own knows what providers charged; without the file every one is asked.
    let plan = &session.plan.proxies;
    let is_own =
        |seen: &&Seen| plan.is_empty() || plan.iter().any(|(id, own)| id.as_str() == seen.service() && own.is_own);
    let running = proxies.iter().filter(|seen| seen.state.is_running).rfind(is_own).ok_or_else(no_proxy)?;
    let by = args.by.name();
    let Some(mut said) = asked(session, running, by).await? else { return Ok(Exit::Failed) };
    let wanted = session.services(&args.services)?;
    if let Some(rows) = said["rows"].as_array_mut()
        && by == "agent"
        && !wanted.is_empty()
    {
        rows.retain(|row| wanted.iter().any(|name| row["agent"] == name.as_str()));
    }
    let mut lines = vec![row([by.to_uppercase().as_str(), "REQUESTS", "UNPRICED", "IN", "OUT", "USD", "PRICING"])];
    for each in said["rows"].as_array().into_iter().flatten() {
        let text = |key: &str| match &each[key] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let keys = [by, "requests", "unpriced_requests", "tokens_in", "tokens_out", "cost_usd", "pricing_status"];
        lines.push(keys.map(text).to_vec());
    }
    if said["prices"]["is_stale"] == true {
        let as_of = said["prices"]["as_of"].as_str().unwrap_or("");
        session
            .ui
            .progress(&format!("the table of prices is of {as_of}: put a newer one in its place with `x-claw.prices`"));
    }
    let data = json!({ "pod": session.plan.pod.as_str(), "by": by, "rows": said["rows"], "prices": said["prices"] });
    session.result("audit", &table(&lines), data);
    Ok(Exit::Done)
}

/// Returns the address of the operators' side of a proxy, as it is published on this host.
pub(crate) fn address(seen: &Seen) -> Option<String> {
    let published = seen.inspected["NetworkSettings"]["Ports"]["8081/tcp"].as_array()?;
    let first = published.first()?;
    let (host, port) = (first["HostIp"].as_str()?, first["HostPort"].as_str()?);
    let host = if host.is_empty() || host == "0.0.0.0" { "127.0.0.1" } else { host };
    Some(format!("http://{host}:{port}/"))
}
