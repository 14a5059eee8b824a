//! Variables of services from where they are not written: the project's environment, env files, files of labels.

use std::collections::BTreeMap;

use claw_types::diag::Diagnostics;
use claw_types::span::{Source, Span};

use super::dotenv;
use super::files::Scope;
use crate::model::{FileObject, Project, Service, Variables};
use crate::shape::Maybe;
use crate::template::{Lookup, Template};
use crate::yaml::{Kind, Node};

/// Gives variables without value the value that only an included file's own env files have.
pub(crate) fn inherit(root: &mut Node, scope: &Scope<'_>) {
    let Kind::Map(sections) = &mut root.kind else { return };
    let services = sections.iter_mut().filter(|section| section.key == "services");
    for section in services {
        let Kind::Map(services) = &mut section.value.kind else { continue };
        for service in services {
            let Kind::Map(keys) = &mut service.value.kind else { continue };
            let Some(environment) = keys.iter_mut().find(|key| key.key == "environment") else { continue };
            let Kind::Map(variables) = &mut environment.value.kind else { continue };
            for variable in variables.iter_mut().filter(|variable| variable.value.is_null()) {
                if let Some(value) = scope.own(&variable.key) {
                    variable.value = Node::text(value, variable.key_span);
                }
            }
        }
    }
}

/// An env file or a file of labels that a service names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedFile {
    /// The service.
    pub service: String,
    /// Its path, absolute or from the project's directory.
    pub path: String,
    /// It may be absent.
    pub is_optional: bool,
    /// Its values are taken as they stand.
    pub is_raw: bool,
    /// Where it is named.
    pub span: Option<Span>,
}

/// Returns the env files of a service, in order.
pub fn env_files<'s>(name: &'s str, service: &'s Service) -> impl Iterator<Item = NamedFile> + 's {
    service.env_file.iter().map(move |file| NamedFile {
        service: name.to_owned(),
        path: file.path.clone(),
        is_optional: file.required == Some(false),
        is_raw: file.format.as_deref() == Some("raw"),
        span: file.origin.span,
    })
}

/// Returns the variables of a service's env files, the later over the earlier ones; a value may use variables of `lookup`,
/// then those set above it, in its own file or in an earlier one.
pub fn read_env_files(
    files: &[(NamedFile, &Source)],
    lookup: &dyn Lookup,
    diag: &mut Diagnostics,
) -> BTreeMap<String, Option<String>> {
    let mut variables = BTreeMap::new();
    for (file, source) in files {
        for (name, value) in dotenv::parse_after(source, lookup, &variables, file.is_raw, diag) {
            let value = value.or_else(|| lookup.get(&name).map(ToOwned::to_owned));
            variables.insert(name, value);
        }
    }
    variables
}

/// Puts the variables of env files below what a service says itself, and gives variables without value that of `lookup`.
pub fn resolve(service: &mut Service, files: BTreeMap<String, Option<String>>, lookup: &dyn Lookup) {
    let mut variables: Variables =
        files.into_iter().map(|(name, value)| (name, Maybe(value.map(Template::literal)))).collect();
    for (name, value) in std::mem::take(&mut service.environment) {
        let value = value.0.or_else(|| lookup.get(&name).map(Template::literal));
        variables.insert(name, Maybe(value));
    }
    service.environment = variables;
    service.env_file.clear();
}

/// Gives configs that are variables their content, as docker compose prints it. Secrets stay names.
pub fn contents(project: &mut Project, lookup: &dyn Lookup) {
    for config in project.configs.values_mut() {
        let FileObject { environment, content, .. } = config;
        if let Some(value) = environment.as_deref().and_then(|name| lookup.get(name)) {
            *content = Some(value.to_owned());
        }
    }
}
