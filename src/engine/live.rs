//! The plan with every variable filled in: what containers are made from and compared by. It is never written.

use claw_compiler::plan::Plan;
use claw_compose::load::dotenv;
use claw_compose::model::{Service, Variables};
use claw_compose::shape::Maybe;
use claw_compose::template::{Lookup, Template};
use claw_types::diag::Diagnostics;
use claw_types::span::SourceMap;

use crate::apply::{ApplyError, Site};
use crate::files::{Found, read_text};

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
    let mut variables = Variables::new();
    for file in &service.env_file {
        let path = site.root.join(&file.path);
        let Found::Text(text) = read_text(&path)? else {
            if file.required == Some(false) {
                continue;
            }
            return Err(ApplyError::Unusable(format!("`{name}`: there is no env file `{}`", file.path)));
        };
        let mut sources = SourceMap::new();
        let id = sources.add(file.path.as_str(), text);
        let Some(source) = sources.get(id) else { continue };
        let mut diag = Diagnostics::new();
        let is_raw = file.format.as_deref() == Some("raw");
        for (key, value) in dotenv::parse(source, site.environment, is_raw, &mut diag) {
            let value = value.or_else(|| site.environment.get(&key).map(ToOwned::to_owned));
            variables.insert(key, Maybe(value.map(Template::literal)));
        }
        if let Some(bad) = diag.iter().next() {
            let line = sources.position(bad.primary).line;
            return Err(ApplyError::Unusable(format!("`{}`, line {line}: {}", file.path, bad.message)));
        }
    }
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
