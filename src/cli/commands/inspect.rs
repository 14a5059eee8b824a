//! `claw inspect`: everything that was decided about an agent, and what runs of it. Secrets are names.

use claw_compiler::plan::PlannedUnit;
use claw_types::agent::{EnvValue, Inference, Surface};
use serde_json::{Value, json};

use crate::exit::{CommandError, Exit};
use crate::session::Session;

pub(crate) async fn run(session: &Session<'_>, agent: &str) -> Result<Exit, CommandError> {
    let wanted = session.agents(&[agent.to_owned()])?;
    let containers = match session.docker().await {
        Ok(_) => session.containers(&wanted).await?,
        Err(_) => Vec::new(),
    };
    let mut described = Vec::new();
    for unit in session.plan.units.values().filter(|unit| wanted.iter().any(|id| id == unit.unit.id.as_str())) {
        let seen = containers.iter().find(|seen| seen.service() == unit.unit.id.as_str());
        let running = seen.map(|seen| {
            json!({
                "id": seen.id,
                "name": seen.name,
                "state": seen.state.status,
                "health": seen.state.health,
                "image": seen.inspected["Image"],
                "started_at": seen.state.started_at,
            })
        });
        let mut data = planned(unit, session);
        data["container"] = json!(running);
        described.push(data);
    }
    let data = json!({ "pod": session.plan.pod.as_str(), "agents": described });
    // For people too: it is for reading once, not for a table.
    session.result("inspect", &format!("{:#}", data["agents"]), data);
    Ok(Exit::Done)
}

fn planned(planned: &PlannedUnit, session: &Session<'_>) -> Value {
    let unit = &planned.unit;
    let service = session.plan.project.services.get(unit.id.as_str());
    let models: serde_json::Map<String, Value> = unit
        .models
        .iter()
        .map(|(slot, models)| (slot.to_string(), json!(models.iter().map(ToString::to_string).collect::<Vec<_>>())))
        .collect();
    let inference = match &unit.inference {
        Inference::Direct { upstreams } => json!({
            "direct": upstreams.iter().map(|(name, upstream)| (name.to_string(), json!(upstream.base_url))).collect::<serde_json::Map<_, _>>(),
        }),
        Inference::Proxied { chain, endpoint, .. } => json!({
            "proxy": chain.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "endpoint": endpoint,
        }),
    };
    let environment = service.map(|service| service.environment.keys().cloned().collect::<Vec<_>>());
    let own = session.plan.belongings.get(&unit.id);
    let secrets: Vec<String> =
        own.into_iter().flat_map(|own| &own.secrets).map(|(file, secret)| format!("{file}: {secret}")).collect();
    let lifted =
        unit.env.iter().filter(|(_, value)| matches!(value, EnvValue::Secret(_))).map(|(name, _)| name.to_string());
    json!({
        "agent": unit.id.as_str(),
        "service": unit.service.as_str(),
        "replica": { "index": unit.replica.index, "of": unit.replica.of },
        "runtime": unit.runtime.as_str(),
        "image": unit.image.as_str(),
        "contract": unit.contract.sections.iter().map(|section| json!({ "id": section.id, "mode": section.mode.name(), "origin": section.origin })).collect::<Vec<_>>(),
        "persona": unit.persona.as_ref().map(|persona| json!({ "name": persona.name, "content": persona.digest, "artifact": persona.artifact.as_ref().map(|artifact| &artifact.digest), "directory": planned.home.as_ref().map(|home| home.target.as_str()), "volume": planned.home.as_ref().map(|home| &home.volume) })),
        "models": models,
        "inference": inference,
        "surfaces": unit.surfaces.iter().map(surface).collect::<Vec<_>>(),
        "skills": unit.skills.iter().map(|(name, skill)| json!({ "name": name.as_str(), "origin": skill.origin.name() })).collect::<Vec<_>>(),
        "schedules": unit.schedules.iter().map(|each| json!({ "id": each.id, "schedule": each.cron, "message": each.message })).collect::<Vec<_>>(),
        "environment": environment,
        "secrets": secrets,
        "lifted": lifted.collect::<Vec<_>>(),
        "user": planned.hardening.user,
        "networks": service.map(|service| service.networks.keys().cloned().collect::<Vec<_>>()),
        "mounts": service.map(|service| service.volumes.iter().map(|mount| json!({ "type": mount.kind, "source": mount.source, "target": mount.target, "read_only": mount.read_only.unwrap_or(false) })).collect::<Vec<_>>()),
        "limits": { "memory": planned.hardening.memory, "pids": planned.hardening.pids, "cpus": claw_compose::units::Cpus(planned.hardening.cpus).to_string() },
        "files": own.map(|own| own.directory.as_str()),
    })
}

fn surface(surface: &Surface) -> Value {
    match surface {
        Surface::Volume { name, access, mount } => {
            json!({ "kind": "volume", "target": name.as_str(), "access": access.name(), "mount": mount.as_str() })
        }
        Surface::Host { path, access } => json!({ "kind": "host", "target": path.as_str(), "access": access.name() }),
        Surface::Service { service, ports, mcp } => {
            json!({ "kind": "service", "target": service.as_str(), "ports": ports, "mcp": mcp })
        }
        Surface::Channel { platform } => json!({ "kind": "channel", "target": platform.name() }),
        Surface::Egress { host, port, is_private } => {
            json!({ "kind": "egress", "target": host, "port": port, "private": is_private })
        }
    }
}
