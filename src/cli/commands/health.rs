//! `claw health`: how the agents are, asked inside their containers.

use std::collections::BTreeMap;
use std::time::Duration;

use claw_engine::health::{Answer, health};
use claw_types::driver::HealthStatus;
use serde_json::{Value, json};

use crate::args::Global;
use crate::exit::{CommandError, Exit};
use crate::session::{self, Session};
use crate::table::{row, table};
use crate::ui::Ui;

pub(crate) fn run(global: &Global, is_watching: bool, agents: &[String], ui: &Ui) -> Result<Exit, CommandError> {
    session::with(global, "health", ui, async |session| match is_watching {
        true => watch(&session, agents).await,
        false => once(&session, agents).await,
    })
}

async fn once(session: &Session<'_>, agents: &[String]) -> Result<Exit, CommandError> {
    let answers = ask(session, agents).await?;
    let mut lines = vec![row(["AGENT", "HEALTH", "DETAIL"])];
    lines.extend(answers.iter().map(|(id, answer)| row([id, answer.health.status.name(), &answer.health.detail])));
    let data: Vec<Value> = answers.iter().map(|(id, answer)| as_json(id, answer)).collect();
    let text = if data.is_empty() { "the pod has no agents".to_owned() } else { table(&lines) };
    session.result("health", &text, json!({ "pod": session.plan.pod.as_str(), "agents": data }));
    let is_well = answers.iter().all(|(_, answer)| answer.health.status == HealthStatus::Healthy);
    Ok(if is_well { Exit::Done } else { Exit::Unhealthy })
}

/// How often agents are asked at least: what a runtime says of itself changes without an event of the engine.
const INTERVAL: Duration = Duration::from_secs(5);

/// Tells how each agent is, and again whenever that has changed.
async fn watch(session: &Session<'_>, agents: &[String]) -> Result<Exit, CommandError> {
    let docker = session.docker().await?;
    let width = session.agents(agents)?.iter().map(|id| id.chars().count()).max().unwrap_or(0);
    let mut changes = docker.changes(session.plan.pod.as_str());
    let mut told: BTreeMap<String, Answer> = BTreeMap::new();
    loop {
        for (id, answer) in ask(session, agents).await? {
            let is_same = told.get(&id).is_some_and(|before| before.health == answer.health);
            if !is_same {
                let time = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
                if session.ui.is_json() {
                    let mut line = as_json(&id, &answer);
                    line["time"] = json!(time);
                    session.ui.json_line(&line);
                } else {
                    let status = answer.health.status.name();
                    session.ui.bare(&format!("{time}  {id:<width$}  {status:<9}  {}\n", answer.health.detail));
                }
                told.insert(id, answer);
            }
        }
        // Either is a reason to ask again.
        let _ = tokio::time::timeout(INTERVAL, changes.next()).await;
    }
}

async fn ask(session: &Session<'_>, agents: &[String]) -> Result<Vec<(String, Answer)>, CommandError> {
    let docker = session.docker().await?;
    let wanted = session.agents(agents)?;
    let containers = session.containers(&wanted).await?;
    let asked = wanted.into_iter().filter_map(|id| {
        let unit = session.plan.units.values().find(|unit| unit.unit.id.as_str() == id)?;
        let seen = containers.iter().find(|seen| seen.service() == id);
        Some(async move {
            let answer = health(unit, seen, session.driver(&id), docker).await;
            answer.map(|answer| (id, answer))
        })
    });
    let answers = futures_util::future::join_all(asked).await;
    Ok(answers.into_iter().collect::<Result<_, _>>()?)
}

fn as_json(id: &str, answer: &Answer) -> Value {
    let health = &answer.health;
    json!({ "agent": id, "status": health.status.name(), "detail": health.detail, "said": answer.said })
}
