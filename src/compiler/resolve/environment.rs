//! An agent's environment: what is text stays text, what is secret becomes a name.

use std::collections::BTreeMap;

use claw_compose::model::Service;
use claw_compose::template::{Lookup, Operator, Template};
use claw_compose::yaml::Node;
use claw_types::agent::EnvValue;
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::id::{EnvName, SecretName};
use claw_types::secret::{SecretRef, is_secret_name};
use claw_types::span::Span;

use super::agentish::Agentish;
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
    let tree = row.agentish.tree.and_then(|tree| tree.get("environment"));
    for (key, value) in &service.environment {
        let at = place(tree, key, at);
        let Ok(name) = EnvName::parse(key) else {
            let error =
                Diagnostic::error(Code::BadName, at, format!("`{}` is not a variable name", key.escape_debug()));
            diag.push(error.help("use letters, digits and `_`, not starting with a digit"));
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

/// Returns where the value of a variable stands, else its key.
fn place(tree: Option<&Node>, key: &str, at: Span) -> Span {
    let entry = tree.and_then(|tree| tree.entry(key));
    entry.map_or(at, |entry| if entry.value.is_null() { entry.key_span } else { entry.value.span })
}

/// Values that are not needed to know whether there is one: a secret that is set counts as some text.
struct IsSet<'f>(&'f Facts);

impl Lookup for IsSet<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).or_else(|| self.0.set.get(name).filter(|is_set| **is_set).map(|_| "secret"))
    }
}

/// Records what is wrong with the variables of a service that is no agent: what docker compose would refuse, and a warning
/// where it would take nothing for a value.
pub(crate) fn plain(agentish: &Agentish<'_>, at: Span, facts: &Facts, diag: &mut Diagnostics) {
    let tree = agentish.tree.and_then(|tree| tree.get("environment"));
    for (key, value) in agentish.service.iter().flat_map(|service| &service.environment) {
        let Some(template) = &value.0 else { continue };
        let at = place(tree, key, at);
        if is_secret_name(key) && template.as_literal().is_some_and(|text| !text.is_empty()) {
            let message = format!("`{key}` holds a secret as plain text");
            let warning = Diagnostic::warning(Code::SecretInEnvironment, at, message);
            diag.push(warning.help(format!("write `{key}: ${{{key}}}` and put the value into `.env`")).masked());
        }
        let mut has_secret = is_secret_name(key) && template.as_literal().is_none();
        template.visit(&mut |variable| has_secret |= is_secret_name(&variable.name));
        if has_secret {
            let message = format!("`{key}` puts a secret into the environment, which `docker inspect` shows");
            let warning = Diagnostic::warning(Code::SecretInEnvironment, at, message);
            diag.push(warning.help("it runs; where the program can read a file, use `secrets:` instead").masked());
        }
        let mut missing = Vec::new();
        let value = template.resolve(&IsSet(facts), &mut |variable| missing.push(variable.name.clone()));
        for name in missing {
            let message = format!("the variable `{name}` is not set; it is taken as empty");
            let warning = Diagnostic::warning(Code::UnsetVariable, at, message);
            diag.push(
                warning
                    .help(format!("set it in the environment or in `.env`, or give a default: `${{{name}:-value}}`")),
            );
        }
        if let Err(absent) = value {
            diag.push(required(&absent.name, &absent.message, at));
        }
    }
}

fn required(name: &str, message: &str, at: Span) -> Diagnostic {
    let why = if message.is_empty() { String::new() } else { format!(": {message}") };
    let error = Diagnostic::error(Code::RequiredVariable, at, format!("required variable `{name}` is not set{why}"));
    error.help(format!("set `{name}` in the environment or in `.env`"))
}

/// Returns the variables of `env_file:`, later files over earlier ones; what a name makes secret stays with the engine.
fn from_files(service: &Service, at: Span, facts: &Facts, diag: &mut Diagnostics) -> BTreeMap<EnvName, EnvValue> {
    let mut env = BTreeMap::new();
    for file in &service.env_file {
        let at = file.origin.span.unwrap_or(at);
        if file.format.as_deref() == Some("raw") {
            let message =
                format!("the env file `{}` of an agent has `format: raw`, which claw does not read", file.path);
            let error = Diagnostic::error(Code::BadValue, at, message);
            diag.push(error.help("take `format:` away and put values with quotes, `$` or ` #` into single quotes"));
            continue;
        }
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
                let error = Diagnostic::error(Code::BadName, at, message);
                diag.push(error.help("use letters, digits and `_`, not starting with a digit"));
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
        if !secret::is_set(key, sources, facts) {
            return None;
        }
        return secret::reference(key, sources, at, facts, diag).map(EnvValue::Secret);
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
        if is_secret(key, sources) && !text.is_empty() {
            let error =
                Diagnostic::error(Code::SecretInEnvironment, at, format!("`{key}` holds a secret as plain text"));
            diag.push(error.help(format!("write `{key}: ${{{key}}}` and put the value into `.env`")).masked());
            return None;
        }
        return Some(EnvValue::Literal(text.to_owned()));
    }
    let mut has_secret = is_secret(key, sources);
    template.visit(&mut |variable| has_secret |= is_secret(&variable.name, sources));
    if has_secret {
        return whole(key, template, sources, at, facts, diag);
    }
    let mut missing = Vec::new();
    let value = template.resolve(facts, &mut |variable| missing.push(variable.name.clone()));
    for name in missing {
        let error = Diagnostic::error(Code::UnsetVariable, at, format!("the variable `{name}` is not set"));
        let help = format!("set it in the environment or in `.env`, or give a default: `${{{name}:-value}}`");
        diag.push(error.help(format!("{help}; `--compat` takes it as empty")));
    }
    match value {
        Ok(value) => Some(EnvValue::Template { written: template.to_string(), value }),
        Err(absent) => {
            diag.push(required(&absent.name, &absent.message, at));
            None
        }
    }
}

/// A secret is one variable and nothing else: what delivers it puts whole values, not parts of texts. Its default may be
/// nothing, or another variable.
fn whole(
    key: &str,
    template: &Template,
    sources: &Sources,
    at: Span,
    facts: &Facts,
    diag: &mut Diagnostics,
) -> Option<EnvValue> {
    let mixed = |diag: &mut Diagnostics| {
        let error = Diagnostic::error(Code::SecretInEnvironment, at, format!("`{key}` mixes a secret with text"));
        diag.push(error.help("give the secret a variable of its own: `NAME: ${NAME}`").masked());
        None
    };
    let Some(variable) = template.as_variable() else { return mixed(diag) };
    let is_set = secret::is_set(&variable.name, sources, facts);
    match &variable.operator {
        None => {}
        Some((Operator::Required { .. }, message)) if !is_set => {
            diag.push(required(&variable.name, message.as_literal().unwrap_or_default(), at).masked());
            return None;
        }
        Some((Operator::Required { .. }, _)) => {}
        Some((Operator::Default { .. }, default)) => match default.as_literal() {
            Some("") if !is_set => return None,
            Some("") => {}
            Some(_) => {
                let message = format!("`{key}` has a default, which is a secret as plain text");
                let error = Diagnostic::error(Code::SecretInEnvironment, at, message);
                let name = &variable.name;
                diag.push(
                    error.help(format!("write `{key}: ${{{name}}}`, or `${{{name}:-}}` if it may be absent")).masked(),
                );
                return None;
            }
            None if !is_set => return whole(key, default, sources, at, facts, diag),
            None => {}
        },
        Some((Operator::Replace { .. }, _)) => return mixed(diag),
    }
    secret::reference(&variable.name, sources, at, facts, diag).map(EnvValue::Secret)
}
