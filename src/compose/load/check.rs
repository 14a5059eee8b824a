//! The last pass: references lead somewhere, names are free, and dependencies do not go round. What a service says for
//! itself is looked at in `conflicts`, what stands at the top level in `objects`.

use std::collections::BTreeMap;

use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::span::Span;

use super::{conflicts, is_name_part, objects, order};
use crate::model::{Project, Service};

/// What a service is checked against.
struct Scope<'c> {
    project: &'c Project,
    disabled: &'c BTreeMap<String, Service>,
    name: &'c str,
    at: Span,
}

/// Records what does not fit together.
pub(crate) fn check(project: &Project, disabled: &BTreeMap<String, Service>, file: Span, diag: &mut Diagnostics) {
    for (name, service) in &project.services {
        let scope = Scope { project, disabled, name, at: service.origin.place(file) };
        own_name(name, scope.at, diag);
        scope.resources(service, diag);
        scope.services(service, diag);
        conflicts::service(name, service, scope.at, diag);
    }
    container_names(project, file, diag);
    objects::check(project, file, diag);
    order::cycles(project, file, diag);
}

fn own_name(name: &str, at: Span, diag: &mut Diagnostics) {
    if name.is_empty() || !name.bytes().all(is_name_part) {
        let message = format!("`{}` is not a service name", name.escape_debug());
        diag.push(Diagnostic::error(Code::BadName, at, message).help("use letters, digits, `-`, `_` and `.`"));
    }
}

impl Scope<'_> {
    fn missing<'k>(
        &self,
        (kind, key, at): (&str, &str, Span),
        known: impl IntoIterator<Item = &'k String>,
        help: String,
        diag: &mut Diagnostics,
    ) {
        let message = format!("the service `{}` names the {kind} `{key}`, which is not there", self.name);
        let error = Diagnostic::error(Code::UndefinedResource, at, message).help(help);
        diag.push(error.suggest(key, known.into_iter().map(String::as_str)));
    }

    fn resources(&self, service: &Service, diag: &mut Diagnostics) {
        let project = self.project;
        for network in service.networks.keys().filter(|key| *key != "default") {
            if !project.networks.contains_key(network) {
                let at = service.origin.of("networks", self.at);
                let help = format!("add `{network}:` below the top-level `networks:`");
                self.missing(("network", network, at), project.networks.keys(), help, diag);
            }
        }
        for mount in service.volumes.iter().filter(|mount| mount.kind == "volume") {
            if let Some(source) = mount.source.as_ref().filter(|source| !project.volumes.contains_key(*source)) {
                let at = mount.origin.of("source", self.at);
                let help =
                    format!("add `{source}:` below the top-level `volumes:`, or write `./{source}` for a directory");
                self.missing(("volume", source, at), project.volumes.keys(), help, diag);
            }
        }
        for model in service.models.keys().filter(|key| !project.models.contains_key(*key)) {
            let at = service.origin.of("models", self.at);
            let help = format!("add `{model}:` below the top-level `models:`");
            self.missing(("model", model, at), project.models.keys(), help, diag);
        }
        let objects = [("secret", &service.secrets, &project.secrets), ("config", &service.configs, &project.configs)];
        for (kind, mounts, objects) in objects {
            for mount in mounts.iter().filter(|mount| !objects.contains_key(&mount.source)) {
                let at = mount.origin.of("source", self.at);
                let help = format!("add `{}:` below the top-level `{kind}s:`", mount.source);
                self.missing((kind, &mount.source, at), objects.keys(), help, diag);
            }
        }
    }

    fn services(&self, service: &Service, diag: &mut Diagnostics) {
        for (target, dependency) in &service.depends_on {
            if dependency.required == Some(false) && self.disabled.contains_key(target) {
                continue;
            }
            self.service_exists("depends_on", target, dependency.origin.place(self.at), diag);
            let (condition, at) = (dependency.condition.as_str(), dependency.origin.of("condition", self.at));
            if !matches!(condition, "service_started" | "service_healthy" | "service_completed_successfully") {
                let is_absent = !dependency.origin.fields.has("condition");
                let message = if is_absent {
                    format!("the dependency on `{target}` has no `condition`")
                } else {
                    format!("`{condition}` is not a condition")
                };
                let code = if is_absent { Code::MissingKey } else { Code::BadValue };
                diag.push(
                    Diagnostic::error(code, at, message)
                        .help("write `service_started`, `service_healthy` or `service_completed_successfully`"),
                );
            }
        }
        for need in order::needs(service).filter(|need| !service.depends_on.contains_key(need.target)) {
            self.service_exists(need.key, need.target, service.origin.of(need.key, self.at), diag);
        }
    }

    fn service_exists(&self, key: &str, target: &str, at: Span, diag: &mut Diagnostics) {
        if self.project.services.contains_key(target) {
            return;
        }
        if let Some(disabled) = self.disabled.get(target) {
            let profiles = disabled.profiles.join("`, `");
            let message = format!(
                "the service `{}` names the service `{target}`, which is disabled: its profile `{profiles}` is not active",
                self.name
            );
            let first = disabled.profiles.first().map_or("", String::as_str);
            let help = format!(
                "activate it with `--profile {first}` or `COMPOSE_PROFILES={first}`, or give `{}` the same profile",
                self.name
            );
            diag.push(
                Diagnostic::error(Code::UndefinedResource, at, message)
                    .note_at(disabled.origin.of("profiles", at), "its profiles stand here")
                    .help(help),
            );
            return;
        }
        let help = format!("`{key}` names services of this file");
        self.missing(("service", target, at), self.project.services.keys(), help, diag);
    }
}

fn container_names(project: &Project, file: Span, diag: &mut Diagnostics) {
    let named = project.services.iter().filter_map(|(key, service)| {
        let name = service.container_name.as_deref()?;
        Some((service.origin.of("container_name", file), key.as_str(), name))
    });
    // In the order of the text: the second to take a name is the one that is wrong.
    let mut named: Vec<_> = named.collect();
    named.sort_by_key(|(at, ..)| (at.file, at.start));
    let mut taken: BTreeMap<&str, (&str, Span)> = BTreeMap::new();
    for (at, service, name) in named {
        if let Some((first, there)) = taken.get(name) {
            let message = format!("the services `{first}` and `{service}` have one container name, `{name}`");
            diag.push(
                Diagnostic::error(Code::NameCollision, at, message)
                    .note_at(*there, "it stands here first")
                    .help("give one of them another name, or take `container_name` out"),
            );
            continue;
        }
        taken.insert(name, (service, at));
    }
}
