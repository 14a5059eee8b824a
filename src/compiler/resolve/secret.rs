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

/// Returns the secret that a variable means, and records where it has no value. `is_optional` where the text has a
/// default of its own: then a secret without a value is none.
pub(crate) fn reference(
    variable: &str,
    sources: &BTreeMap<SecretName, SecretSource>,
    is_optional: bool,
    at: Span,
    facts: &Facts,
    diag: &mut Diagnostics,
) -> Option<SecretRef> {
    let declared = SecretName::parse(variable).ok().and_then(|name| sources.get_key_value(&name));
    let is_set = match declared.map(|(_, source)| source) {
        Some(SecretSource::Env(name)) => facts.set.get(name.as_str()).copied().unwrap_or(false),
        Some(SecretSource::File(path)) => facts.secret_files.get(path).copied().unwrap_or(false),
        Some(SecretSource::Command(_)) => true,
        None => facts.set.get(variable).copied().unwrap_or(false),
    };
    if !is_set && is_optional {
        return None;
    }
    if !is_set {
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
