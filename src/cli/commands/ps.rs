//! `claw ps`: what runs.

use std::collections::BTreeMap;

use claw_engine::docker::Seen;
use claw_engine::worker;
use claw_types::image::{compose, label};
use serde_json::{Value, json};

use super::audit;
use crate::args::Global;
use crate::exit::{CommandError, Exit};
use crate::published::{gate, published};
use crate::session::{self, Session};
use crate::table::{row, table};
use crate::ui::Ui;

pub(crate) fn run(
    global: &Global,
    (ids, names): (bool, bool),
    status: Option<&str>,
    services: &[String],
    ui: &Ui,
) -> Result<Exit, CommandError> {
    session::with(global, "ps", ui, async |session| {
        let mut containers = session.containers(services).await?;
        containers.retain(|seen| status.is_none_or(|status| seen.state.status == status));
        if names {
            let services: std::collections::BTreeSet<&str> = containers.iter().map(Seen::service).collect();
            services.iter().for_each(|service| ui.bare(&format!("{service}\n")));
            return Ok(Exit::Done);
        }
        if ids {
            containers.iter().for_each(|seen| ui.bare(&format!("{}\n", seen.id)));
            return Ok(Exit::Done);
        }
        let workers = workers(&session, services, status).await?;
        let scores = scores(&session).await?;
        let all = session.containers(&[]).await?;
        let described = |seen| described(seen, gate(&all), &session, &scores);
        let rows: Vec<Value> = containers.iter().chain(&workers).map(described).collect();
        let has_scores = !scores.is_empty();
        let mut lines = vec![row(["SERVICE", "RUNTIME", "MODEL", "PROXY", "STATE", "HEALTH", "PORTS"])];
        lines[0].extend(has_scores.then(|| "SCORE".to_owned()));
        for each in &rows {
            let cell = |key: &str| each[key].as_str().unwrap_or("").to_owned();
            let list = |key: &str| {
                let items = each[key].as_array().into_iter().flatten().filter_map(Value::as_str);
                items.collect::<Vec<_>>().join(", ")
            };
            let mut line = vec![
                match each["number"].as_u64() {
                    _ if each["mode"] == "worker" => format!("{} (worker)", cell("service")),
                    None | Some(1) => cell("service"),
                    Some(number) => format!("{}-{number}", cell("service")),
                },
                cell("runtime"),
                cell("model"),
                list("proxy"),
                cell("state"),
                cell("health"),
                list("ports"),
            ];
            line.extend(
                has_scores.then(|| each["score"].as_f64().map_or(String::new(), |score| format!("{score:.2}"))),
            );
            lines.push(line);
        }
        session.result("ps", &table(&lines), json!({ "pod": session.plan.pod.as_str(), "containers": rows }));
        Ok(Exit::Done)
    })
}

/// Returns the workers beside the agents, where they are asked for.
async fn workers(session: &Session<'_>, services: &[String], status: Option<&str>) -> Result<Vec<Seen>, CommandError> {
    let wanted = session.services(services)?;
    let mut workers = worker::workers(session.plan.pod.as_str(), session.docker().await?).await?;
    let is_wanted = |seen: &Seen| wanted.is_empty() || wanted.iter().any(|name| name == seen.service());
    workers.retain(|seen| is_wanted(seen) && status.is_none_or(|status| seen.state.status == status));
    Ok(workers)
}

/// Returns the scores that a policy service gave agents, where the pod has one.
async fn scores(session: &Session<'_>) -> Result<BTreeMap<String, f64>, CommandError> {
    if !session.plan.proxies.values().any(|proxy| proxy.is_judged && proxy.is_own) {
        return Ok(BTreeMap::new());
    }
    let containers = session.containers(&[]).await?;
    let judges = |seen: &&Seen| {
        let proxy = session.plan.proxies.iter().find(|(id, _)| id.as_str() == seen.service());
        seen.state.is_running && proxy.is_some_and(|(_, proxy)| proxy.is_judged && proxy.is_own)
    };
    let Some(proxy) = containers.iter().find(judges) else { return Ok(BTreeMap::new()) };
    let said = audit::asked(session, proxy, "agent").await?.unwrap_or_default();
    let rows = said["rows"].as_array().into_iter().flatten();
    Ok(rows.filter_map(|row| Some((row["agent"].as_str()?.to_owned(), row["score"].as_f64()?))).collect())
}

/// Returns a container with what the plan knows of its service.
fn described(seen: &Seen, gate: Option<&Seen>, session: &Session<'_>, scores: &BTreeMap<String, f64>) -> Value {
    let service = seen.service();
    let unit = session.plan.units.values().find(|unit| unit.unit.id.as_str() == service).map(|unit| &unit.unit);
    let primary = unit.and_then(|unit| {
        let slot = unit.models.iter().find(|(slot, _)| slot.as_str() == "primary").or(unit.models.iter().next());
        slot.and_then(|(_, models)| models.first()).map(ToString::to_string)
    });
    let proxy: Vec<String> = match unit.map(|unit| &unit.inference) {
        Some(claw_types::agent::Inference::Proxied { chain, .. }) => chain.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    };
    let state = match (seen.state.is_restarting, seen.state.status.as_str()) {
        (true, _) => format!("restarting ({} so far)", seen.state.restarts),
        (false, "exited") => format!("exited ({})", seen.state.exit_code),
        (false, status) => status.to_owned(),
    };
    json!({
        "service": service,
        "agent": unit.map(|unit| unit.id.as_str()),
        "mode": if worker::is_worker(seen) { "worker" } else { "agent" },
        "name": seen.name,
        "id": seen.id,
        "number": seen.label(compose::NUMBER).parse::<u32>().unwrap_or(1),
        "image": seen.inspected["Config"]["Image"],
        "runtime": seen.label(label::TYPE),
        "model": primary.unwrap_or_default(),
        "proxy": proxy,
        "state": state,
        "health": seen.state.health.clone().unwrap_or_default(),
        "exit_code": seen.state.exit_code,
        "started_at": seen.state.started_at,
        "ports": ports(seen, gate),
        "score": scores.get(service),
    })
}

/// Returns published ports, `address:port->port/protocol`.
fn ports(seen: &Seen, gate: Option<&Seen>) -> Vec<String> {
    let all = published(seen, gate).into_iter();
    let mut ports: Vec<String> = all.map(|port| format!("{}->{}", port.address, port.inside)).collect();
    ports.sort_unstable();
    ports
}
