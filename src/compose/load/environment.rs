//! Variables of services from where they are not written: the project's environment, env files, files of labels.

use super::dotenv;
use crate::model::{Service, Variables};
use crate::shape::Maybe;
use crate::template::{Lookup, Template};

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
