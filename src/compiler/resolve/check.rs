//! What only the pod as a whole can tell: names that are taken, accounts that are one, services that must exist.

use std::collections::{BTreeMap, BTreeSet};

use claw_compose::load::Loaded;
use claw_compose::model::Service;
use claw_types::agent::{AgentUnit, EnvValue};
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::id::ServiceName;
use claw_types::platform::{self, Platform};
use claw_types::roster::Roster;
use claw_types::secret::SecretRef;
use claw_types::span::Span;

use super::capability::able;
use super::{Agent, Row, identity};
use crate::facts::Context;
use crate::pod::PodBlock;

/// Records what is wrong with the keys at the top of `x-claw`.
pub(crate) fn pod(block: &PodBlock, loaded: &Loaded, at: Span, diag: &mut Diagnostics) {
    let services = &loaded.project.services;
    if let Some(master) = block.master.as_deref()
        && !services.contains_key(master)
        && !loaded.disabled.contains_key(master)
    {
        let at = block.origin.of("master", at);
        let error = Diagnostic::error(Code::UnknownService, at, format!("no service named `{master}`"));
        let error = error.help("name a service of this file");
        diag.push(error.suggest(master, services.keys().map(String::as_str)));
    }
    if block.hub.is_some() {
        let error = Diagnostic::error(Code::NotYet, block.origin.of("hub", at), "`hub` is reserved for a later claw");
        diag.push(error.help("take it out"));
    }
}

/// Records names of services that belong to claw, and agents that become one in the names of variables.
pub(crate) fn names(rows: &[Row<'_>], services: &BTreeMap<String, Service>, at: Span, diag: &mut Diagnostics) {
    if rows.is_empty() {
        return;
    }
    for (name, service) in services {
        if matches!(name.as_str(), "cllama" | "egress" | "hub") || name.starts_with("cllama-") {
            let message = format!("the service `{name}` is called like one of claw's own");
            let error = Diagnostic::error(Code::ReservedName, service.origin.place(at), message);
            diag.push(error.help("give yours another name"));
        }
    }
    let mut taken: BTreeMap<String, (&str, Span)> = BTreeMap::new();
    for row in rows {
        let name = row.service.as_str();
        let variable = identity::variable_part(name);
        if let Some((other, place)) = taken.get(&variable) {
            let message = format!("`{other}` and `{name}` are both `{variable}` in the names of variables");
            let error = Diagnostic::error(Code::NameCollision, row.at, message);
            diag.push(error.note_at(*place, format!("`{other}` stands here")).help("rename one of the two"));
        } else {
            taken.insert(variable, (name, row.at));
        }
    }
}

/// Records accounts that will not do what their author expects: warnings, since such pods run.
pub(crate) fn accounts(rows: &[Row<'_>], roster: &Roster, diag: &mut Diagnostics) {
    let mut owners: BTreeMap<(Platform, &str), &Row<'_>> = BTreeMap::new();
    for row in rows {
        for (platform, identity) in roster.identities.get(&row.service).into_iter().flatten() {
            let at = place(row, *platform);
            if let Some(id) = &identity.id {
                match owners.get(&(*platform, id.as_str())) {
                    Some(other) => {
                        let message =
                            format!("`{}` and `{}` are one account on `{platform}`", other.service, row.service);
                        let warning = Diagnostic::warning(Code::Discouraged, at, message);
                        let warning = warning.note_at(place(other, *platform), "the same id stands here");
                        diag.push(
                            warning.help("give each an account of its own: both answer what one of them is told"),
                        );
                    }
                    None => drop(owners.insert((*platform, id), row)),
                }
            }
        }
    }
}

pub(crate) fn place(row: &Row<'_>, platform: Platform) -> Span {
    let own = row.block.handles.iter().find(|(name, _)| Platform::parse(name) == Some(platform));
    own.map_or(row.at, |(_, handle)| handle.0.origin.place(row.at))
}

/// Records tokens that several agents have: a platform takes them for one.
pub(crate) fn tokens(agents: &BTreeMap<ServiceName, Agent>, diag: &mut Diagnostics) {
    let mut owners: BTreeMap<(&str, &SecretRef), &AgentUnit> = BTreeMap::new();
    for agent in agents.values() {
        for platform in platform::PLATFORMS {
            for token in platform.tokens {
                let Some(EnvValue::Secret(secret)) = agent.unit.env.get(*token) else { continue };
                let Some(other) = owners.insert((token, secret), &agent.unit) else { continue };
                let message = format!("`{}` and `{}` have one `{token}`", other.service, agent.unit.service);
                let warning = Diagnostic::warning(Code::Discouraged, agent.unit.origin, message);
                let warning = warning.note_at(other.origin, format!("`{}` stands here", other.service));
                diag.push(
                    warning.help(format!("give each a token of its own: `{}` takes them for one", platform.name)),
                );
            }
        }
    }
}

/// Records platforms that an agent has an account on and cannot speak on: its runtime does not, or it has no token.
pub(crate) fn voices(row: &Row<'_>, unit: &AgentUnit, cx: &Context<'_>, diag: &mut Diagnostics) {
    let facts = row.driver.facts();
    let names: BTreeSet<&str> = unit.env.keys().map(AsRef::as_ref).collect();
    for platform in unit.identities.keys() {
        let at = place(row, *platform);
        if !facts.platforms.contains(&platform.name()) {
            let message = format!("the runtime `{}` does not speak on `{platform}`", facts.name);
            let warning = Diagnostic::warning(Code::RuntimeCannot, at, message);
            let others = able(cx, |other| other.platforms.contains(&platform.name()));
            let others = others.map(|names| format!("; it is heard by {names}")).unwrap_or_default();
            let help = format!("the account is told to the other services, and nothing else comes of it{others}");
            diag.push(warning.help(help));
            continue;
        }
        let is_linked = facts.linked.contains(&platform.name());
        for token in platform.tokens().iter().filter(|token| !is_linked && !names.contains(*token)) {
            let message = format!("`{}` has an account on `{platform}` and no `{token}`", unit.service);
            let warning = Diagnostic::warning(Code::Discouraged, at, message);
            diag.push(warning.help(format!("add `{token}: ${{{token}}}` to its `environment:`")));
        }
    }
}

/// Records what a service with several replicas may not fix.
pub(crate) fn replicas(agent: &Agent, service: &Service, at: Span, diag: &mut Diagnostics) {
    if agent.count < 2 {
        return;
    }
    for platform in agent.unit.identities.iter().filter(|(_, own)| own.id.is_some()).map(|(platform, _)| platform) {
        let message =
            format!("the {} replicas of `{}` are one account on `{platform}`", agent.count, agent.unit.service);
        let warning = Diagnostic::warning(Code::Discouraged, at, message);
        diag.push(warning.help("write a service for each account: every replica answers what one of them is told"));
    }
    if service.container_name.is_some() {
        let at = service.origin.of("container_name", at);
        let message = format!("`{}` has {} replicas and one `container_name`", agent.unit.service, agent.count);
        let error = Diagnostic::error(Code::ConflictingKeys, at, message);
        diag.push(error.help("take `container_name` out: replicas are called `<project>-<service>-<number>-1`"));
    }
    let is_fixed = |text: &str| !text.is_empty() && text != "0" && !text.contains('-');
    for port in &service.ports {
        let Some(published) = port.published.as_deref().filter(|text| is_fixed(text)) else { continue };
        let at = port.origin.span.unwrap_or(at);
        let message = format!("`{}` has {} replicas and one port {published}", agent.unit.service, agent.count);
        let error = Diagnostic::error(Code::ConflictingKeys, at, message);
        diag.push(error.help("publish the container's port alone, or a range of ports"));
    }
}
