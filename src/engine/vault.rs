//! The vault: secrets' values. Read when they are needed, written into files that only their agent can read, and kept
//! nowhere else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use claw_compiler::plan::{Plan, PlannedUnit};
use claw_compiler::resolve::SecretSource;
use claw_compose::load::dotenv;
use claw_types::diag::Diagnostics;
use claw_types::doc::{Content, Segment};
use claw_types::id::SecretName;
use claw_types::secret::SecretRef;
use claw_types::span::SourceMap;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::files::{FileError, Found, make_private, read_bytes, read_text, write_bytes};
use crate::gather::Environment;

/// A secret's value: it can be looked at, and neither printed, compared, copied nor stored. It is wiped when it goes.
pub struct SecretValue(Zeroizing<Vec<u8>>);

impl SecretValue {
    fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Lets `look` see the bytes.
    pub fn with<T>(&self, look: impl FnOnce(&[u8]) -> T) -> T {
        look(&self.0)
    }
}

/// Why a secret has no value.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// Nobody set it.
    #[error("the {0} has no value: set it in the environment or in `.env`")]
    Missing(String),
    /// Its command failed. What it printed is not repeated.
    #[error("the command of the {secret} failed: {reason}")]
    Command {
        /// Which secret.
        secret: String,
        /// How it ended.
        reason: String,
    },
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The value is no text, and the place it goes to takes text.
    #[error("the {0} is not UTF-8 text")]
    NotText(String),
    /// The host has no random numbers.
    #[error("the host gives no random numbers: {0}")]
    Random(String),
}

/// Where secrets' values come from, for one project.
pub struct Vault<'v> {
    root: PathBuf,
    project: String,
    state: PathBuf,
    environment: &'v Environment,
    sources: &'v BTreeMap<SecretName, SecretSource>,
}

/// The most bytes of a secret.
const LIMIT: u64 = 1024 * 1024;

impl<'v> Vault<'v> {
    /// Returns the vault of a plan's project, below the pod's directory.
    pub fn new(root: &Path, plan: &'v Plan, environment: &'v Environment) -> Self {
        let state = root.join(".claw").join(plan.pod.as_str()).join("state");
        Self { root: root.to_owned(), project: plan.pod.to_string(), state, environment, sources: &plan.sources }
    }

    /// Returns the project's name.
    pub(crate) fn project(&self) -> &str {
        &self.project
    }

    /// Returns a secret's value. Tokens of claw's own are made once and kept.
    ///
    /// # Errors
    /// Where it has none.
    pub fn value(&self, secret: &SecretRef) -> Result<SecretValue, VaultError> {
        let missing = || VaultError::Missing(secret.to_string());
        match secret {
            SecretRef::Env(name) => self.variable(name.as_str()).ok_or_else(missing),
            SecretRef::EnvFile(file, name) => self.in_env_file(file, name.as_str())?.ok_or_else(missing),
            SecretRef::ProxyToken(_) | SecretRef::Minted(..) => self.token(secret),
            SecretRef::ProviderKey(_) => Err(missing()),
            SecretRef::Named(name) => match self.sources.get(name) {
                Some(SecretSource::Env(variable)) => self.variable(variable.as_str()).ok_or_else(missing),
                Some(SecretSource::File(path)) => {
                    let bytes = read_bytes(&self.root.join(path), LIMIT)?.ok_or_else(missing)?;
                    Ok(SecretValue::new(trimmed(bytes)))
                }
                Some(SecretSource::Command(words)) => self.of_command(&secret.to_string(), words),
                None => Err(missing()),
            },
        }
    }

    fn variable(&self, name: &str) -> Option<SecretValue> {
        let value = self.environment.plain(name).filter(|value| !value.is_empty())?;
        Some(SecretValue::new(value.as_bytes().to_vec()))
    }

    fn in_env_file(&self, file: &str, name: &str) -> Result<Option<SecretValue>, VaultError> {
        let Found::Text(text) = read_text(&self.root.join(file))? else { return Ok(None) };
        let mut sources = SourceMap::new();
        let id = sources.add(file, text);
        let Some(source) = sources.get(id) else { return Ok(None) };
        let mut variables = dotenv::parse(source, self.environment, false, &mut Diagnostics::new());
        let found =
            variables.remove(name).map(|value| value.or_else(|| self.environment.plain(name).map(ToOwned::to_owned)));
        Ok(found.flatten().map(|value| SecretValue::new(value.into_bytes())))
    }

    /// Runs a secret's command in the pod's directory; its standard output is the value, its standard error is the user's.
    fn of_command(&self, secret: &str, words: &[String]) -> Result<SecretValue, VaultError> {
        let failed = |reason: String| VaultError::Command { secret: secret.to_owned(), reason };
        let (program, arguments) = words.split_first().ok_or_else(|| failed("it is empty".to_owned()))?;
        let output = Command::new(program)
            .args(arguments)
            .current_dir(&self.root)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| failed(format!("cannot run `{program}`: {error}")))?;
        if !output.status.success() {
            return Err(failed(output.status.to_string()));
        }
        let value = trimmed(output.stdout);
        if value.is_empty() { Err(failed("it printed nothing".to_owned())) } else { Ok(SecretValue::new(value)) }
    }

    /// A token is 32 random bytes in hexadecimal digits, kept in a file of its own.
    fn token(&self, secret: &SecretRef) -> Result<SecretValue, VaultError> {
        match token_path(secret) {
            Some(path) => self.kept(&self.state.join(path)),
            None => Err(VaultError::Missing(secret.to_string())),
        }
    }

    fn kept(&self, path: &Path) -> Result<SecretValue, VaultError> {
        if let Some(bytes) = read_bytes(path, LIMIT)?.filter(|bytes| !bytes.is_empty()) {
            return Ok(SecretValue::new(bytes));
        }
        let mut random = Zeroizing::new([0_u8; 32]);
        getrandom::fill(random.as_mut_slice()).map_err(|error| VaultError::Random(error.to_string()))?;
        let text: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        if let Some(folder) = path.parent() {
            make_private(folder)?;
        }
        write_bytes(path, text.as_bytes(), 0o600)?;
        Ok(SecretValue::new(text.into_bytes()))
    }

    /// Returns a content with its holes filled.
    ///
    /// # Errors
    /// Where a secret has no value, or none that fits its place.
    pub fn filled(&self, content: &Content) -> Result<SecretValue, VaultError> {
        let mut out = Zeroizing::new(Vec::new());
        for segment in content.segments() {
            match segment {
                Segment::Text(text) => out.extend_from_slice(text.as_bytes()),
                Segment::Hole { secret, escape: claw_types::doc::Escape::Raw } => {
                    self.value(secret)?.with(|bytes| out.extend_from_slice(bytes));
                }
                Segment::Hole { secret, escape } => {
                    let escaped = self
                        .value(secret)?
                        .with(|bytes| std::str::from_utf8(bytes).map(|text| Zeroizing::new(escape.apply(text))));
                    let escaped = escaped.map_err(|_| VaultError::NotText(secret.to_string()))?;
                    out.extend_from_slice(escaped.as_bytes());
                }
            }
        }
        Ok(SecretValue(out))
    }

    /// Returns the seal of an agent: a keyed digest of what its sealed files hold; nothing where it has none.
    ///
    /// It changes with the secrets and tells nothing about them: its key never leaves the project's state.
    ///
    /// # Errors
    /// Where a secret has no value.
    pub fn seal(&self, unit: &PlannedUnit) -> Result<Option<String>, VaultError> {
        let sealed = || unit.lowered.files.iter().filter(|(_, file)| file.content.is_sealed());
        if sealed().next().is_none() {
            return Ok(None);
        }
        let key = self.kept(&self.state.join("seal-key"))?;
        let mac = key.with(Hmac::<Sha256>::new_from_slice);
        let mut mac = mac.map_err(|error| VaultError::Random(error.to_string()))?;
        for (path, file) in sealed() {
            mac.update(path.as_str().as_bytes());
            mac.update(&[0]);
            self.filled(&file.content)?.with(|bytes| {
                mac.update(&(bytes.len() as u64).to_be_bytes());
                mac.update(bytes);
            });
        }
        Ok(Some(mac.finalize().into_bytes().iter().take(16).map(|byte| format!("{byte:02x}")).collect()))
    }
}

/// Returns where a token of claw's own is kept, below the project's state; nothing for every other secret.
fn token_path(secret: &SecretRef) -> Option<PathBuf> {
    let tokens = Path::new("tokens");
    match secret {
        SecretRef::ProxyToken(unit) => Some(tokens.join(unit.as_str())),
        // No agent's id starts with `@`, so that no agent's token lies where another's folder is.
        SecretRef::Minted(unit, name) => Some(tokens.join(format!("@{unit}")).join(name.as_str())),
        SecretRef::Named(_) | SecretRef::Env(_) | SecretRef::EnvFile(..) | SecretRef::ProviderKey(_) => None,
    }
}

/// A value's last line break is its editor's.
fn trimmed(mut bytes: Vec<u8>) -> Vec<u8> {
    while matches!(bytes.last(), Some(b'\n' | b'\r')) {
        bytes.pop();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    static_assertions::assert_not_impl_any!(SecretValue: std::fmt::Debug, std::fmt::Display, Clone, PartialEq, serde::Serialize);

    #[test]
    fn every_token_is_kept_in_a_file_of_its_own() {
        let unit = |id| claw_types::id::UnitId::parse(id).expect("an id");
        let name = claw_types::id::EnvName::parse("GATEWAY_TOKEN").expect("a name");
        let paths: Vec<_> = [
            SecretRef::ProxyToken(unit("bot")),
            SecretRef::Minted(unit("bot"), name.clone()),
            SecretRef::Minted(unit("bot-1"), name.clone()),
            SecretRef::Env(name),
        ]
        .iter()
        .map(|secret| token_path(secret).map(|path| path.display().to_string()))
        .collect();
        let kept = |path: &str| Some(path.to_owned());
        let expected =
            [kept("tokens/bot"), kept("tokens/@bot/GATEWAY_TOKEN"), kept("tokens/@bot-1/GATEWAY_TOKEN"), None];
        assert_eq!(paths, expected);
    }

    #[test]
    fn a_value_ends_before_its_last_line_break() {
        assert_eq!(trimmed(b"a\nb\r\n\n".to_vec()), b"a\nb");
    }
}
