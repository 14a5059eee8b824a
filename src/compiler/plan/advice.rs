//! Advice on a compose file without agents: how its services would be held if they were some, and what is open now.

use std::collections::BTreeSet;

use claw_compose::model::Service;
use claw_compose::shape::Shape;
use claw_compose::value::Value;
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::image::ImageRef;
use claw_types::span::Span;

use super::Plan;
use super::audit::{loosened, privileges};
use super::harden::{hold, plain};

/// Records, for each service of a plan without agents, what an agent would be held by and what is open. A plan with agents
/// has other services on purpose: nothing is recorded.
pub fn advise(plan: &Plan, file: Span, diag: &mut Diagnostics) {
    if !plan.units.is_empty() {
        return;
    }
    for (name, service) in &plan.project.services {
        let at = service.origin.place(file);
        let keys = held(service);
        if !keys.is_empty() {
            let message = format!("as an agent, `{name}` would be held by `{}`", keys.join("`, `"));
            diag.push(Diagnostic::warning(Code::Unhardened, at, message).help(help(service, plan)));
        }
        for port in service.ports.iter().filter(|port| port.host_ip.as_deref().is_none_or(is_every_address)) {
            let at = port.origin.place(service.origin.of("ports", at));
            let published = port.published.clone().unwrap_or_default();
            let shown = if published.is_empty() { port.target.to_string() } else { published.clone() };
            let message = format!("the port `{shown}` of `{name}` is open on every address of the host (CIS 5.14)");
            let warning = Diagnostic::warning(Code::RiskyService, at, message);
            let target = port.target;
            diag.push(warning.help(format!("write `127.0.0.1:{published}:{target}`, if this host alone needs it")));
        }
        if let Some(image) = service.image.as_ref().filter(|_| service.build.is_none()).filter(|image| moves(image)) {
            let message = format!("the image `{image}` of `{name}` moves: it names no version (CIS 5.28)");
            let warning = Diagnostic::warning(Code::RiskyService, service.origin.of("image", at), message);
            diag.push(warning.help("name a tag that stays, or a digest"));
        }
    }
}

fn is_every_address(address: &str) -> bool {
    matches!(address, "" | "0.0.0.0" | "::")
}

fn moves(image: &str) -> bool {
    let bare = ImageRef::new(image).repository() == image;
    bare || image.ends_with(":latest")
}

/// Returns the keys that hardening would add or change.
fn held(service: &Service) -> Vec<String> {
    let mut made = service.clone();
    hold(&mut made, &plain(service));
    let entries = |service: &Service| match service.encode() {
        Some(Value::Map(entries)) => entries,
        _ => Vec::new(),
    };
    let before = entries(service);
    let changed = entries(&made).into_iter().filter(|entry| !before.contains(entry));
    let mut keys: BTreeSet<String> = changed.map(|(key, _)| key.into_owned()).collect();
    let is_root = |user: &str| matches!(user.split(':').next(), Some("" | "0" | "root") | None);
    if service.user.as_deref().is_none_or(is_root) {
        keys.insert("user".to_owned());
    }
    if service.network_mode.as_deref() != Some("none") {
        keys.insert("networks".to_owned());
    }
    keys.into_iter().collect()
}

fn help(service: &Service, plan: &Plan) -> String {
    let mut words: BTreeSet<&str> = privileges(service, service, &plan.project).iter().map(|each| each.word).collect();
    words.extend(loosened(service).iter().map(|each| each.word));
    let words: Vec<&str> = words.into_iter().collect();
    let harden = "write `x-claw: {harden: true}` to hold it so, but for `user` and `networks`";
    if words.is_empty() {
        return harden.to_owned();
    }
    format!("{harden}; as an agent it would need `allow: [{}]` beside", words.join(", "))
}
