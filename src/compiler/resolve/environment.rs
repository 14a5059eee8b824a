//! An agent's environment: what is text stays text, what is secret becomes a name.

use std::collections::BTreeMap;

use claw_compose::model::Service;
use claw_compose::template::Template;
use claw_types::agent::EnvValue;
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::id::{EnvName, SecretName};
use claw_types::secret::{SecretRef, is_secret_name};
use claw_types::span::Span;

use super::{Row, SecretSource, Shared, secret};
use crate::facts::Facts;

/// Returns the variables of `environment:`.
pub(crate) fn environment(
    row: &Row<'_>,
    service: &Service,
    shared: &Shared<'_>,
    facts: &Facts,
    diag: &mut Diagnostics,
) -> BTreeMap<EnvName, EnvValue> {
    let at = service.origin.of("environment", row.at);
    let mut env = from_files(service, at, facts, diag);
    for (key, value) in &service.environment {
        let Ok(name) = EnvName::parse(key) else {
            diag.push(Diagnostic::error(Code::BadName, at, format!("`{}` is not a variable name", key.escape_debug())));
            continue;
        };
        let value = match &value.0 {
            Some(template) => lifted(key, template, shared.sources, at, facts, diag),
            None => inherited(key, shared.sources, at, facts, diag),
        };
        match value {
            Some(value) => env.insert(name, value),
            // Without a value the variable is unset, whatever a file says of it.
            None => env.remove(&name),
        };
    }
    env
}

/// Returns the variables of `env_file:`, later files over earlier ones; what a name makes secret stays with the engine.
fn from_files(service: &Service, at: Span, facts: &Facts, diag: &mut Diagnostics) -> BTreeMap<EnvName, EnvValue> {
    let mut env = BTreeMap::new();
    for file in &service.env_file {
        let at = file.origin.span.unwrap_or(at);
        let Some(variables) = facts.env_files.get(&file.path).and_then(Option::as_ref) else {
            if file.required != Some(false) {
                let error = Diagnostic::error(Code::MissingFile, at, format!("there is no env file `{}`", file.path));
                diag.push(error.help("paths are relative to the pod's directory; `required: false` makes it optional"));
            }
            continue;
        };
        for (key, value) in variables {
            let Ok(name) = EnvName::parse(key) else {
                let message = format!("`{}` in `{}` is not a variable name", key.escape_debug(), file.path);
                diag.push(Diagnostic::error(Code::BadName, at, message));
                continue;
            };
            let value = match value {
                Some(text) => EnvValue::Literal(text.clone()),
                None => EnvValue::Secret(SecretRef::EnvFile(file.path.clone(), name.clone())),
            };
            env.insert(name, value);
        }
    }
    env
}

type Sources = BTreeMap<SecretName, SecretSource>;

fn is_secret(name: &str, sources: &Sources) -> bool {
    is_secret_name(name) || sources.contains_key(name)
}

/// A key without a value takes the value of the variable of that name, where it is set.
fn inherited(key: &str, sources: &Sources, at: Span, facts: &Facts, diag: &mut Diagnostics) -> Option<EnvValue> {
    if is_secret(key, sources) {
        return secret::reference(key, sources, true, at, facts, diag).map(EnvValue::Secret);
    }
    let value = facts.variables.get(key).cloned().flatten()?;
    Some(EnvValue::Template { written: format!("${{{key}}}"), value })
}

fn lifted(
    key: &str,
    template: &Template,
    sources: &Sources,
    at: Span,
    facts: &Facts,
    diag: &mut Diagnostics,
) -> Option<EnvValue> {
    if let Some(text) = template.as_literal() {
        if is_secret_name(key) && !text.is_empty() {
            let error =
                Diagnostic::error(Code::SecretInEnvironment, at, format!("`{key}` holds a secret as plain text"));
            diag.push(error.help(format!("write `{key}: ${{{key}}}` and put the value into `.env`")).masked());
            return None;
        }
        return Some(EnvValue::Literal(text.to_owned()));
    }
    let mut has_secret = is_secret_name(key);
    template.visit(&mut |variable| has_secret |= is_secret(&variable.name, sources));
    if has_secret {
        return whole(key, template, sources, at, facts, diag);
    }
    let mut missing = Vec::new();
    let value = template.resolve(facts, &mut |variable| missing.push(variable.name.clone()));
    for name in missing {
        let error = Diagnostic::error(Code::UnsetVariable, at, format!("the variable `{name}` is not set"));
        diag.push(
            error.help(format!("set it in the environment or in `.env`, or give a default: `${{{name}:-value}}`")),
        );
    }
    match value {
        Ok(value) => Some(EnvValue::Template { written: template.to_string(), value }),
        Err(required) => {
            let why = if required.message.is_empty() { String::new() } else { format!(": {}", required.message) };
            let message = format!("required variable `{}` is not set{why}", required.name);
            diag.push(Diagnostic::error(Code::RequiredVariable, at, message));
            None
        }
    }
}

/// A secret is one variable and nothing else: what delivers it puts whole values, not parts of texts.
fn whole(
    key: &str,
    template: &Template,
    sources: &Sources,
    at: Span,
    facts: &Facts,
    diag: &mut Diagnostics,
) -> Option<EnvValue> {
    let Some(variable) = template.as_variable() else {
        let error = Diagnostic::error(Code::SecretInEnvironment, at, format!("`{key}` mixes a secret with text"));
        diag.push(error.help("give the secret a variable of its own: `NAME: ${NAME}`"));
        return None;
    };
    let is_optional = variable.operator.is_some();
    secret::reference(&variable.name, sources, is_optional, at, facts, diag).map(EnvValue::Secret)
}
