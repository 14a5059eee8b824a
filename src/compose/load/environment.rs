//! Variables of services from where they are not written: the project's environment, env files, files of labels.

use super::dotenv;
use super::files::Scope;
use crate::model::{Service, Variables};
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

/// Puts the variables of env files below what a service says itself, and gives variables without value that of `lookup`.
pub fn resolve(service: &mut Service, files: dotenv::Variables, lookup: &dyn Lookup) {
    let mut variables: Variables =
        files.into_iter().map(|(name, value)| (name, Maybe(value.map(Template::literal)))).collect();
    for (name, value) in std::mem::take(&mut service.environment) {
        let value = value.0.or_else(|| lookup.get(&name).map(Template::literal));
        variables.insert(name, Maybe(value));
    }
    service.environment = variables;
    service.env_file.clear();
}
