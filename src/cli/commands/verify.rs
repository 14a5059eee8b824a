//! `claw verify`: whether what runs is what the pod file says. `up` ends with it, and holds back agents that are not.

use claw_compiler::plan::steps::{Mode, Observed, Step, networks};
use serde_json::{Value, json};

use super::{manuals, up};
use crate::exit::{CommandError, Exit};
use crate::session::Session;

/// Something that is not as planned.
pub(crate) struct Finding {
    /// The compose service, or the network.
    pub(crate) subject: String,
    /// What is wrong with it.
    pub(crate) what: String,
    /// The container that must not run on like this: an agent that is held otherwise than planned.
    pub(crate) container: Option<String>,
}

pub(crate) async fn run(session: &Session<'_>) -> Result<Exit, CommandError> {
    let mut findings = findings(session, &Mode::default()).await?;
    findings.extend(manuals::changed(session).await?);
    let lines: Vec<String> = findings.iter().map(|each| format!("{}: {}", each.subject, each.what)).collect();
    let text = match lines.is_empty() {
        true => format!("{} services run as planned", session.plan.project.services.len()),
        false => lines.join("\n"),
    };
    let data = json!({
        "pod": session.plan.pod.as_str(),
        "findings": findings.iter().map(as_json).collect::<Vec<_>>(),
    });
    session.result("verify", &text, data);
    Ok(if findings.is_empty() { Exit::Done } else { Exit::Finding })
}

/// Returns what is not as planned: the engine is asked anew, nothing is taken from what was done.
pub(crate) async fn findings(session: &Session<'_>, mode: &Mode) -> Result<Vec<Finding>, CommandError> {
    let (observed, left) = up::look(session, mode).await?;
    judged(session, mode, &observed, &left).await
}

/// Returns what is not as planned in what was just observed; `left` is what would still have to be done.
pub(crate) async fn judged(
    session: &Session<'_>,
    mode: &Mode,
    observed: &Observed,
    left: &[Step],
) -> Result<Vec<Finding>, CommandError> {
    let docker = session.docker().await?;
    let plan = &session.plan;
    let mut findings = Vec::new();
    // An agent that was changed under us, or did not take what it was given, is not left running.
    for (service, containers) in &observed.containers {
        let is_agent = plan.holds(service);
        for container in containers.iter().filter(|container| !container.drift.is_empty() && mode.has(service)) {
            findings.push(Finding {
                subject: service.clone(),
                what: format!("differs from the plan: {}", container.drift.join(", ")),
                container: is_agent.then(|| container.id.clone()),
            });
        }
    }
    let told = |subject: &str, findings: &[Finding]| findings.iter().any(|each| each.subject == subject);
    // Whether an image should be built anew is the plan's question: what runs is compared with the image that is there.
    let forecast: Vec<&str> =
        left.iter().filter(|step| step.is_forecast()).filter_map(|step| step.action.service()).collect();
    let is_known = |step: &&Step| step.action.service().is_none_or(|service| !forecast.contains(&service));
    for step in left.iter().filter(|step| !step.action.is_image()).filter(is_known) {
        let subject = step.action.service().map_or_else(|| step.action.resource(), ToOwned::to_owned);
        if !told(&subject, &findings) {
            findings.push(Finding { subject, what: format!("left to do: {step}"), container: None });
        }
    }
    for (name, service) in plan.project.services.iter().filter(|(name, _)| mode.has(name)) {
        let seen = observed.containers.get(name).map_or(0, Vec::len);
        if seen < mode.containers_of(name, service) as usize && !told(name, &findings) {
            findings.push(Finding { subject: name.clone(), what: "has no container".to_owned(), container: None });
        }
    }
    let internal = |key: &str| plan.project.networks.get(key).is_some_and(|network| network.internal == Some(true));
    let planned = networks(plan, mode);
    for network in docker.networks(plan.pod.as_str()).await? {
        if planned.contains(&network.key) && internal(&network.key) && !network.is_internal {
            findings.push(Finding {
                subject: network.key,
                what: "has a way out, and is planned without one".to_owned(),
                container: None,
            });
        }
    }
    Ok(findings)
}

/// Stops agents that are held otherwise than planned: closed rather than open.
pub(crate) async fn hold(session: &Session<'_>, findings: &[Finding]) -> Result<(), CommandError> {
    let docker = session.docker().await?;
    for finding in findings {
        session.ui.progress(&format!("not as planned: {}: {}", finding.subject, finding.what));
        if let Some(container) = &finding.container {
            session.ui.progress(&format!(
                "stop container {}: agents, their proxies and their gate run as planned or not at all",
                finding.subject
            ));
            docker.stop(container, Some(5)).await?;
        }
    }
    Ok(())
}

/// Returns a finding for programs.
pub(crate) fn as_json(finding: &Finding) -> Value {
    json!({ "subject": finding.subject, "finding": finding.what })
}
