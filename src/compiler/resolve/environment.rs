//! An agent's environment: what is text stays text, what is secret becomes a name.

use std::collections::BTreeMap;

use claw_compose::model::Service;
use claw_compose::template::Template;
use claw_types::agent::EnvValue;
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::id::EnvName;
use claw_types::secret::{SecretRef, is_secret_name};
use claw_types::span::Span;

use super::Row;
use crate::facts::Facts;

/// Returns the variables of `environment:`.
pub(crate) fn environment(
    row: &Row<'_>,
    service: &Service,
    facts: &Facts,
    diag: &mut Diagnostics,
) -> BTreeMap<EnvName, EnvValue> {
    let at = service.origin.of("environment", row.at);
    if let Some(file) = service.env_file.first() {
        let at = file.origin.span.unwrap_or(at);
        let error = Diagnostic::error(Code::NotYet, at, "`env_file` of an agent is not read yet");
        diag.push(error.help("name the variables in `environment:`, as `NAME: ${NAME}`"));
    }
    let mut env = BTreeMap::new();
    for (key, value) in &service.environment {
        let Ok(name) = EnvName::parse(key) else {
            diag.push(Diagnostic::error(Code::BadName, at, format!("`{}` is not a variable name", key.escape_debug())));
            continue;
        };
        let value = match &value.0 {
            Some(template) => lifted(key, template, at, facts, diag),
            None => inherited(key, &name, facts),
        };
        env.extend(value.map(|value| (name, value)));
    }
    env
}

/// A key without a value takes the value of the variable of that name, where it is set.
fn inherited(key: &str, name: &EnvName, facts: &Facts) -> Option<EnvValue> {
    if is_secret_name(key) {
        return Some(EnvValue::Secret(SecretRef::Env(name.clone())));
    }
    let value = facts.variables.get(key).cloned().flatten()?;
    Some(EnvValue::Template { written: format!("${{{key}}}"), value })
}

fn lifted(key: &str, template: &Template, at: Span, facts: &Facts, diag: &mut Diagnostics) -> Option<EnvValue> {
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
    template.visit(&mut |variable| has_secret |= is_secret_name(&variable.name));
    if has_secret {
        return secret(key, template, at, facts, diag);
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

/// A secret is one variable and nothing else: the shim puts whole values, not parts of texts.
fn secret(key: &str, template: &Template, at: Span, facts: &Facts, diag: &mut Diagnostics) -> Option<EnvValue> {
    let Some(variable) = template.as_variable() else {
        let error = Diagnostic::error(Code::SecretInEnvironment, at, format!("`{key}` mixes a secret with text"));
        diag.push(error.help("give the secret a variable of its own: `NAME: ${NAME}`"));
        return None;
    };
    let name = EnvName::parse(&variable.name).ok()?;
    if !facts.set.get(&variable.name).copied().unwrap_or(false) {
        if variable.operator.is_some() {
            return None;
        }
        let error = Diagnostic::error(Code::MissingSecret, at, format!("the secret `{name}` is not set"));
        diag.push(error.help("set it in the environment or in `.env`"));
    }
    Some(EnvValue::Secret(SecretRef::Env(name)))
}
