//! Secrets by name: where their values come from, and whether there is one. The values stay with the engine.

use std::collections::BTreeMap;

use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::id::{EnvName, SecretName};
use claw_types::secret::SecretRef;
use claw_types::span::Span;

use crate::facts::Facts;
use crate::pod::PodBlock;

/// Where a named secret's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// A variable of the environment or of `.env`.
    Env(EnvName),
    /// A file: its path as written.
    File(String),
    /// What a command prints: the command and its arguments.
    Command(Vec<String>),
}

/// Returns the sources of `x-claw.secrets`.
pub(crate) fn sources(block: &PodBlock, at: Span, diag: &mut Diagnostics) -> BTreeMap<SecretName, SecretSource> {
    let mut sources = BTreeMap::new();
    for (name, secret) in &block.secrets {
        let at = secret.origin.place(at);
        let Ok(name) = SecretName::parse(name) else {
            let error = Diagnostic::error(Code::BadName, at, format!("`{}` is not a secret name", name.escape_debug()));
            diag.push(error.help("use letters, digits, `-`, `_` and `.`"));
            continue;
        };
        let command = secret.command.as_ref().map(|words| {
            let words: Vec<String> = words.0.iter().map(|word| word.value.clone()).collect();
            // One text is a command line, split at blanks; a list is taken as it is.
            match words.as_slice() {
                [line] => line.split_whitespace().map(ToOwned::to_owned).collect(),
                _ => words,
            }
        });
        let found = match (&secret.env, &secret.file, command) {
            (Some(env), None, None) => EnvName::parse(env).ok().map(SecretSource::Env),
            (None, Some(file), None) => Some(file.clone()).filter(|file| !file.is_empty()).map(SecretSource::File),
            (None, None, Some(command)) => Some(command).filter(|words| !words.is_empty()).map(SecretSource::Command),
            _ => None,
        };
        match found {
            Some(source) => {
                sources.insert(name, source);
            }
            None => {
                let error = Diagnostic::error(Code::BadValue, at, format!("the secret `{name}` has no one source"));
                diag.push(error.help("write one of `env: NAME`, `file: PATH` and `command: [PROGRAM, ARGUMENT]`"));
            }
        }
    }
    sources
}

fn declared<'s>(
    variable: &str,
    sources: &'s BTreeMap<SecretName, SecretSource>,
) -> Option<(&'s SecretName, &'s SecretSource)> {
    SecretName::parse(variable).ok().and_then(|name| sources.get_key_value(&name))
}

/// Returns whether the secret that a variable means has a value.
pub(crate) fn is_set(variable: &str, sources: &BTreeMap<SecretName, SecretSource>, facts: &Facts) -> bool {
    let known = |name: &str| {
        let is_here = facts.variables.get(name).is_some_and(Option::is_some);
        facts.set.get(name).copied().unwrap_or(is_here)
    };
    match declared(variable, sources).map(|(_, source)| source) {
        Some(SecretSource::Env(name)) => known(name.as_str()),
        Some(SecretSource::File(path)) => facts.secret_files.get(path).copied().unwrap_or(false),
        Some(SecretSource::Command(_)) => true,
        None => known(variable),
    }
}

/// Returns the secret that a variable means, and records where it has no value.
pub(crate) fn reference(
    variable: &str,
    sources: &BTreeMap<SecretName, SecretSource>,
    at: Span,
    facts: &Facts,
    diag: &mut Diagnostics,
) -> Option<SecretRef> {
    let declared = declared(variable, sources);
    if !is_set(variable, sources, facts) {
        let error = Diagnostic::error(Code::MissingSecret, at, format!("the secret `{variable}` is not set"));
        diag.push(match declared.map(|(_, source)| source) {
            Some(SecretSource::File(path)) => error.help(format!("write it to `{path}`")),
            Some(SecretSource::Env(name)) => error.help(format!("set `{name}` in the environment or in `.env`")),
            _ => error.help("set it in the environment or in `.env`"),
        });
    }
    match declared {
        Some((name, _)) => Some(SecretRef::Named(name.clone())),
        None => EnvName::parse(variable).ok().map(SecretRef::Env),
    }
}
