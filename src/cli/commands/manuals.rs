//! What MCP servers of a pod say of their tools: asked, recorded in `claw.lock`, compared with what agents were told.

use claw_compiler::described::{differences, digests, tools};
use claw_compiler::lockfile::{LockedTools, endpoints};
use claw_compiler::plan::Plan;
use claw_engine::docker::Docker;
use claw_engine::interrupt::Interrupt;
use claw_engine::listing;
use claw_types::span::{FileId, Source};
use serde_json::Value;

use super::verify::Finding;
use crate::exit::CommandError;
use crate::session::Session;

/// Returns the tools of a service's MCP server now; nothing where it does not run, the inner error where it does not say.
pub(crate) async fn ask(
    docker: &Docker,
    plan: &Plan,
    service: &str,
    endpoint: &str,
    interrupt: &Interrupt,
) -> Result<Option<Result<LockedTools, String>>, CommandError> {
    let project = plan.pod.as_str();
    let containers = docker.containers(project).await?;
    let runs = containers.iter().find(|seen| !seen.is_oneoff() && seen.service() == service && seen.state.is_running);
    let Some(container) = runs else { return Ok(None) };
    if docker.image(&plan.infra()).await?.is_none() {
        let why = format!("claw's image `{}`, which would ask, is not here: `claw up -d` makes it", plan.infra());
        return Ok(Some(Err(why)));
    }
    let answer = listing::ask(docker, (project, &plan.infra()), &container.id, endpoint, interrupt).await?;
    if interrupt.is_asked() {
        return Err(CommandError::Interrupted);
    }
    Ok(Some(answer.and_then(|mut answer| usable(LockedTools::of(endpoint, answer["tools"].take()), service))))
}

fn usable(found: LockedTools, service: &str) -> Result<LockedTools, String> {
    tools(&source(&found), service).map_err(|why| format!("its answer {why}"))?;
    Ok(found)
}

fn source(listing: &LockedTools) -> Source {
    Source { id: FileId(0), name: String::new(), text: listing.text() }
}

/// Returns the tools of all services that agents use over MCP, or of those that are named.
pub(crate) async fn ask_all(
    docker: &Docker,
    plan: &Plan,
    services: &[String],
    told: &dyn Fn(&str),
    interrupt: &Interrupt,
) -> Result<Vec<(String, LockedTools)>, CommandError> {
    let endpoints = endpoints(plan);
    if let Some(name) = services.iter().find(|name| !endpoints.contains_key(*name)) {
        return Err(CommandError::Usage(format!("no agent uses the MCP server of a service `{name}`")));
    }
    let mut found = Vec::new();
    for (service, endpoint) in &endpoints {
        if !services.is_empty() && !services.contains(service) {
            continue;
        }
        told(&format!("ask {service} for its tools"));
        match ask(docker, plan, service, endpoint, interrupt).await? {
            Some(Ok(tools)) => found.push((service.clone(), tools)),
            Some(Err(why)) => {
                return Err(CommandError::Usage(format!("`{service}` does not say which tools it has: {why}")));
            }
            None => {
                return Err(CommandError::Usage(format!(
                    "`{service}` does not run, so nobody can ask it for its tools: `claw up -d` starts it"
                )));
            }
        }
    }
    Ok(found)
}

/// Returns where MCP servers have other tools now than their agents were told.
pub(crate) async fn changed(session: &Session<'_>) -> Result<Vec<Finding>, CommandError> {
    let mut findings = Vec::new();
    let docker = session.docker().await?;
    for (service, endpoint) in endpoints(&session.plan) {
        let uses = session.plan.units.values().find_map(|unit| unit.trace.services.get(&service));
        let told = uses.and_then(|uses| uses.listing).and_then(|file| session.input.sources.get(file));
        let Some(told) = told else { continue };
        let what = match ask(docker, &session.plan, &service, &endpoint, session.interrupt).await? {
            // That it does not run is told already.
            None => continue,
            Some(Err(why)) => format!("does not say which tools it has: {why}"),
            Some(Ok(now)) => {
                let before = digests(told).unwrap_or_default();
                let now = digests(&source(&now)).unwrap_or_default();
                let lines = differences(&before, &now);
                if lines.is_empty() {
                    continue;
                }
                let by = told.name.split(':').next().unwrap_or_default();
                format!("has other tools than `{by}` says: {}", lines.join("; "))
            }
        };
        findings.push(Finding { subject: service, what, container: None });
    }
    Ok(findings)
}

/// Returns a listing for programs.
pub(crate) fn as_json(found: &[(String, LockedTools)]) -> Value {
    found
        .iter()
        .map(|(service, tools)| {
            serde_json::json!({
                "service": service,
                "endpoint": tools.endpoint,
                "digest": tools.digest,
                "tools": tools.tools.as_array().map_or(0, Vec::len),
            })
        })
        .collect()
}
