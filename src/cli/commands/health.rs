//! `claw health`: how the agents are, asked inside their containers.

use claw_engine::health::health;
use claw_types::driver::HealthStatus;
use serde_json::json;

use crate::exit::{CommandError, Exit};
use crate::session::Session;
use crate::table::{row, table};

pub(crate) async fn run(session: &Session<'_>, agents: &[String]) -> Result<Exit, CommandError> {
    let docker = session.docker().await?;
    let wanted = session.agents(agents)?;
    let containers = session.containers(&wanted).await?;
    let asked = wanted.iter().filter_map(|id| {
        let unit = session.plan.units.values().find(|unit| unit.unit.id.as_str() == id)?;
        let seen = containers.iter().find(|seen| seen.service() == id);
        Some(async move { (id, health(unit, seen, session.driver(id), docker).await) })
    });
    let answered = futures_util::future::join_all(asked).await;
    let mut lines = vec![row(["AGENT", "HEALTH", "DETAIL"])];
    let mut data = Vec::new();
    let mut is_well = true;
    for (id, health) in answered {
        let health = health?;
        is_well &= health.status == HealthStatus::Healthy;
        lines.push(row([id.as_str(), health.status.name(), &health.detail]));
        data.push(json!({ "agent": id, "status": health.status.name(), "detail": health.detail }));
    }
    let text = if data.is_empty() { "the pod has no agents".to_owned() } else { table(&lines) };
    session.result("health", &text, json!({ "pod": session.plan.pod.as_str(), "agents": data }));
    Ok(if is_well { Exit::Done } else { Exit::Unhealthy })
}
