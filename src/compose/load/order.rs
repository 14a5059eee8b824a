//! Dependencies that other keys imply, and the search for those that go round.

use std::collections::{BTreeMap, BTreeSet};

use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::span::Span;

use crate::model::{Dependency, Project, Service};
use crate::shape::Origin;

/// A service that a key other than `depends_on` names.
pub(crate) struct Need<'s> {
    pub(crate) key: &'static str,
    pub(crate) target: &'s str,
    /// The one is restarted with the other.
    pub(crate) restarts: bool,
}

/// Returns the services that a service needs by keys other than `depends_on`.
pub(crate) fn needs(service: &Service) -> impl Iterator<Item = Need<'_>> {
    let first = |text: &'_ str| text.split(':').next().map_or(0, str::len);
    let links =
        service.links.iter().map(move |link| Need { key: "links", target: &link[..first(link)], restarts: true });
    let modes =
        [("network_mode", &service.network_mode), ("pid", &service.pid), ("ipc", &service.ipc), ("uts", &service.uts)];
    let modes = modes.into_iter().filter_map(|(key, mode)| {
        let target = mode.as_deref()?.strip_prefix("service:")?;
        Some(Need { key, target, restarts: true })
    });
    let volumes = service.volumes_from.iter().filter(|text| !text.starts_with("container:"));
    let volumes = volumes.map(move |text| Need { key: "volumes_from", target: &text[..first(text)], restarts: false });
    links.chain(modes).chain(volumes)
}

/// Adds to `depends_on` what other keys imply, where the user did not write it, as docker compose does.
pub(crate) fn implicit(project: &mut Project) {
    let names: BTreeSet<String> = project.services.keys().cloned().collect();
    for service in project.services.values_mut() {
        let mut implied: BTreeMap<String, Dependency> = BTreeMap::new();
        for need in needs(service).filter(|need| names.contains(need.target)) {
            let span = service.origin.fields.get(need.key);
            implied.entry(need.target.to_owned()).or_insert_with(|| Dependency {
                condition: "service_started".to_owned(),
                restart: need.restarts.then_some(true),
                required: Some(true),
                origin: Origin { span, ..Origin::default() },
                ..Dependency::default()
            });
        }
        for (target, dependency) in implied {
            service.depends_on.entry(target).or_insert(dependency);
        }
    }
}

/// Records the first way round that the dependencies have.
pub(crate) fn cycles(project: &Project, file: Span, diag: &mut Diagnostics) {
    // 1: on the way, 2: done.
    let mut state: BTreeMap<&str, u8> = BTreeMap::new();
    let next = |name: &str| -> Vec<&str> {
        let service = project.services.get(name);
        service.map_or(Vec::new(), |service| service.depends_on.keys().map(String::as_str).collect())
    };
    for name in project.services.keys() {
        if state.contains_key(name.as_str()) {
            continue;
        }
        state.insert(name, 1);
        let mut stack: Vec<(&str, Vec<&str>)> = vec![(name, next(name))];
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
                    let help =
                        "take one of them away; `links`, `volumes_from` and `service:` modes are dependencies too";
                    diag.push(Diagnostic::error(Code::DependencyCycle, at, message).help(help));
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
