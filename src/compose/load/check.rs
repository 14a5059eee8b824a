//! The last pass: references lead somewhere, and dependencies do not go round.

use std::collections::BTreeMap;

use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::span::Span;

use crate::model::{Project, Service};

/// Records what does not fit together.
pub(crate) fn check(project: &Project, file: Span, diag: &mut Diagnostics) {
    for (name, service) in &project.services {
        let at = service.origin.place(file);
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
            || name.is_empty()
        {
            let message = format!("`{}` is not a service name", name.escape_debug());
            diag.push(Diagnostic::error(Code::BadName, at, message).help("use letters, digits, `-`, `_` and `.`"));
        }
        if service.image.is_none() && service.build.is_none() {
            let message = format!("the service `{name}` has neither `image` nor `build`");
            diag.push(Diagnostic::error(Code::MissingKey, at, message).help("add `image: NAME` or `build: .`"));
        }
        references(project, name, service, at, diag);
        for dependency in service.depends_on.iter().filter(|(_, dependency)| {
            !matches!(
                dependency.condition.as_str(),
                "service_started" | "service_healthy" | "service_completed_successfully"
            )
        }) {
            let at = dependency.1.origin.of("condition", at);
            let message = format!("`{}` is not a condition", dependency.1.condition);
            diag.push(
                Diagnostic::error(Code::BadValue, at, message)
                    .help("write `service_started`, `service_healthy` or `service_completed_successfully`"),
            );
        }
    }
    cycles(project, file, diag);
}

fn references(project: &Project, name: &str, service: &Service, at: Span, diag: &mut Diagnostics) {
    let mut missing = |kind: &str, key: &str, at: Span, known: Vec<&str>, help: String| {
        let message = format!("the service `{name}` names the {kind} `{key}`, which is not there");
        diag.push(Diagnostic::error(Code::UndefinedResource, at, message).help(help).suggest(key, known));
    };
    for network in service.networks.keys().filter(|key| *key != "default") {
        if !project.networks.contains_key(network) {
            let at = service.origin.of("networks", at);
            let help = format!("add `{network}:` below the top-level `networks:`");
            missing("network", network, at, project.networks.keys().map(String::as_str).collect(), help);
        }
    }
    for mount in service.volumes.iter().filter(|mount| mount.kind == "volume") {
        if let Some(source) = mount.source.as_ref().filter(|source| !project.volumes.contains_key(*source)) {
            let at = mount.origin.span.unwrap_or(at);
            let help = format!("add `{source}:` below the top-level `volumes:`, or write `./{source}` for a directory");
            missing("volume", source, at, project.volumes.keys().map(String::as_str).collect(), help);
        }
    }
    let objects = [("secret", &service.secrets, &project.secrets), ("config", &service.configs, &project.configs)];
    for (kind, mounts, objects) in objects {
        for mount in mounts.iter().filter(|mount| !objects.contains_key(&mount.source)) {
            let at = mount.origin.span.unwrap_or(at);
            let help = format!("add `{}:` below the top-level `{kind}s:`", mount.source);
            missing(kind, &mount.source, at, objects.keys().map(String::as_str).collect(), help);
        }
    }
    for (target, dependency) in &service.depends_on {
        if !project.services.contains_key(target) {
            let at = dependency.origin.place(at);
            let help = "depends_on names services of this file".to_owned();
            missing("service", target, at, project.services.keys().map(String::as_str).collect(), help);
        }
    }
}

fn cycles(project: &Project, file: Span, diag: &mut Diagnostics) {
    // 1: on the way, 2: done.
    let mut state: BTreeMap<&str, u8> = BTreeMap::new();
    for name in project.services.keys() {
        let mut stack: Vec<(&str, Vec<&str>)> = Vec::new();
        let next = |name: &str| -> Vec<&str> {
            let service = project.services.get(name);
            service.map_or(Vec::new(), |service| service.depends_on.keys().map(String::as_str).collect())
        };
        if state.contains_key(name.as_str()) {
            continue;
        }
        state.insert(name, 1);
        stack.push((name, next(name)));
        while let Some((current, rest)) = stack.last_mut() {
            let current = *current;
            let Some(target) = rest.pop() else {
                state.insert(current, 2);
                stack.pop();
                continue;
            };
            match state.get(target) {
                Some(1) => {
                    let mut way: Vec<&str> = stack.iter().map(|(name, _)| *name).collect();
                    way.drain(..way.iter().position(|name| *name == target).unwrap_or(0));
                    way.push(target);
                    let at = project.services.get(target).map_or(file, |service| service.origin.place(file));
                    let message = format!("services depend on each other: `{}`", way.join("` -> `"));
                    diag.push(Diagnostic::error(Code::DependencyCycle, at, message));
                    return;
                }
                Some(_) => {}
                None if project.services.contains_key(target) => {
                    state.insert(target, 1);
                    stack.push((target, next(target)));
                }
                None => {}
            }
        }
    }
}
