//! The plan with every variable filled in: what containers are made from and compared by. It is never written.

use claw_compiler::plan::Plan;
use claw_compose::model::{Service, Variables};
use claw_compose::shape::Maybe;
use claw_compose::template::{Lookup, Template};

use crate::apply::{ApplyError, Site};
use crate::project;

/// Returns the plan with the values of `environment:` and `env_file:` in it.
///
/// # Errors
/// Where an env file is missing or a required variable has no value.
pub fn live(plan: &Plan, site: &Site<'_>) -> Result<Plan, ApplyError> {
    let mut live = plan.clone();
    for (name, service) in &mut live.project.services {
        let environment = environment(name, service, site)?;
        service.environment = environment;
        service.env_file.clear();
    }
    Ok(live)
}

/// `environment:` over the files, later files over earlier ones.
fn environment(name: &str, service: &Service, site: &Site<'_>) -> Result<Variables, ApplyError> {
    let files = project::of_service(name, service, site.root, site.environment)?;
    let mut variables: Variables =
        files.into_iter().map(|(key, value)| (key, Maybe(value.map(Template::literal)))).collect();
    for (key, value) in &service.environment {
        let value = match &value.0 {
            Some(template) => Some(template.resolve(site.environment, &mut |_| {}).map_err(|required| {
                ApplyError::Unusable(format!("`{name}` needs the variable `{}`: {}", required.name, required.message))
            })?),
            None => site.environment.get(key).map(ToOwned::to_owned),
        };
        variables.insert(key.clone(), Maybe(value.map(Template::literal)));
    }
    Ok(variables)
}
