//! The vault: secrets' values. Read when they are needed, written into files that only their agent can read, and kept
//! nowhere else.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use claw_compiler::plan::{Belongings, Plan};
use claw_compiler::resolve::SecretSource;
use claw_types::doc::{Content, Segment};
use claw_types::id::{SecretName, UnitId};
use claw_types::path::PodPath;
use claw_types::secret::SecretRef;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::command::{self, Failure};
use crate::envfile;
use crate::files::{FileError, make_private, read_bytes, write_bytes};
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

/// Why a secret has no value, or none that fits.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// Nobody set it.
    #[error("the {0} has no value: set it in the environment or in `.env`")]
    Missing(String),
    /// Its file is not there, or empty.
    #[error("the {secret} has no value: write it to `{file}`")]
    NoFile {
        /// Which secret.
        secret: String,
        /// The file as written.
        file: String,
    },
    /// Its command failed. What it printed is not repeated.
    #[error("the command of the {secret} failed: {reason}; what it printed is not shown, so run it yourself to see")]
    Command {
        /// Which secret.
        secret: String,
        /// How it ended.
        reason: String,
    },
    /// Ctrl-C while its command ran.
    #[error("interrupted")]
    Interrupted,
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The value is no text, and the place it goes to takes text.
    #[error("the {0} is not UTF-8 text")]
    NotText(String),
    /// The value cannot be a variable's.
    #[error("`{unit}` takes the {secret} from its variable `{variable}`, and {why}: {AS_FILE}")]
    NoVariable {
        /// The agent.
        unit: UnitId,
        /// Which secret.
        secret: String,
        /// The variable.
        variable: String,
        /// Why it cannot.
        why: &'static str,
    },
    /// The host has no random numbers.
    #[error("the host gives no random numbers: {0}")]
    Random(String),
}

impl VaultError {
    /// Returns whether a user's input is at fault, and not the host.
    pub fn is_wrong_input(&self) -> bool {
        match self {
            VaultError::Missing(_)
            | VaultError::NoFile { .. }
            | VaultError::NotText(_)
            | VaultError::NoVariable { .. } => true,
            VaultError::Command { .. } | VaultError::Interrupted | VaultError::File(_) | VaultError::Random(_) => false,
        }
    }
}

/// What to do with a value that no variable can hold.
const AS_FILE: &str = "let the program read it from `/run/secrets`, as a `secrets:` entry of the service with `file:`";

/// The longest `NAME=value` that Linux hands to a program, its end mark with it.
const LONGEST: usize = 128 * 1024;

/// The values that one run of claw has read. No file is read twice, so that what is compared is what is written; no command
/// is run twice.
#[derive(Default)]
pub struct Cache(RefCell<BTreeMap<SecretRef, Rc<SecretValue>>>);

impl Cache {
    /// Forgets, and with that wipes, every value.
    pub fn clear(&self) {
        self.0.borrow_mut().clear();
    }

    fn get(&self, secret: &SecretRef) -> Option<Rc<SecretValue>> {
        self.0.borrow().get(secret).cloned()
    }

    fn keep(&self, secret: &SecretRef, value: SecretValue) -> Rc<SecretValue> {
        let value = Rc::new(value);
        self.0.borrow_mut().insert(secret.clone(), Rc::clone(&value));
        value
    }
}

/// Where a secret's value comes from, and whether there is one. It tells nothing of the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The kind of source.
    pub source: Source,
    /// The variable, the file or the program.
    pub place: Option<String>,
    /// Whether there is a value; nothing where only running a command would tell.
    pub is_set: Option<bool>,
}

/// The kinds of sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The environment of claw itself.
    Environment,
    /// `.env`, or what `--env-file` names instead.
    DotEnv,
    /// A file.
    File,
    /// A command.
    Command,
    /// An env file of a service.
    EnvFile,
    /// Claw itself.
    Minted,
    /// None that claw knows.
    Unknown,
}

impl Source {
    /// Returns the source as it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Source::Environment => "environment",
            Source::DotEnv => ".env",
            Source::File => "file",
            Source::Command => "command",
            Source::EnvFile => "env file",
            Source::Minted => "minted",
            Source::Unknown => "unknown",
        }
    }
}

/// Where secrets' values come from, for one project.
pub struct Vault<'v> {
    root: PathBuf,
    project: String,
    state: PathBuf,
    environment: &'v Environment,
    sources: &'v BTreeMap<SecretName, SecretSource>,
    cache: &'v Cache,
}

/// The most bytes of a secret.
const LIMIT: u64 = 1024 * 1024;

impl<'v> Vault<'v> {
    /// Returns the vault of a plan's project, below the pod's directory.
    pub fn new(root: &Path, plan: &'v Plan, environment: &'v Environment, cache: &'v Cache) -> Self {
        let state = root.join(".claw").join(plan.pod.as_str()).join("state");
        let project = plan.pod.to_string();
        Self { root: root.to_owned(), project, state, environment, sources: &plan.sources, cache }
    }

    /// Returns the project's name.
    pub(crate) fn project(&self) -> &str {
        &self.project
    }

    /// Runs the commands of a plan's secrets that were not run yet, one after the other: the only step that takes long.
    ///
    /// # Errors
    /// Where one fails, or Ctrl-C ends it.
    pub async fn fetch(&self, plan: &Plan) -> Result<(), VaultError> {
        let wanted: BTreeSet<&SecretRef> = plan.belongings.values().flat_map(uses).map(|(_, secret)| secret).collect();
        for secret in wanted {
            let SecretRef::Named(name) = secret else { continue };
            let Some(SecretSource::Command(words)) = self.sources.get(name) else { continue };
            if self.cache.get(secret).is_some() {
                continue;
            }
            let failed = |reason: String| VaultError::Command { secret: secret.to_string(), reason };
            let printed = command::output(words, &self.root, LIMIT, command::PATIENCE).await;
            let mut printed = printed.map_err(|failure| match failure {
                Failure::Reason(reason) => failed(reason),
                Failure::Interrupted => VaultError::Interrupted,
            })?;
            trim(&mut printed);
            if printed.is_empty() {
                return Err(failed("it printed nothing".to_owned()));
            }
            self.cache.keep(secret, SecretValue(printed));
        }
        Ok(())
    }

    /// Returns a secret's value. Tokens of claw's own are made once and kept; commands were run by [`Vault::fetch`].
    fn value(&self, secret: &SecretRef) -> Result<Rc<SecretValue>, VaultError> {
        if let Some(known) = self.cache.get(secret) {
            return Ok(known);
        }
        let missing = || VaultError::Missing(secret.to_string());
        let value = match secret {
            SecretRef::Env(name) => self.variable(name.as_str()).ok_or_else(missing),
            SecretRef::EnvFile(file, name) => self.in_env_file(file, name.as_str())?.ok_or_else(missing),
            SecretRef::ProxyToken(unit) => self.token(secret).map(|token| {
                // The proxy finds the agent by the name before the colon.
                token.with(|token| SecretValue::new([unit.as_str().as_bytes(), b":", token].concat()))
            }),
            SecretRef::TokenDigest(unit) => {
                let token = self.value(&SecretRef::ProxyToken(unit.clone()))?;
                let digest = token.with(|token| Sha256::digest(token));
                Ok(SecretValue::new(digest.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()))
            }
            SecretRef::Minted(..) => self.token(secret),
            SecretRef::Named(name) => match self.sources.get(name) {
                Some(SecretSource::Env(variable)) => self.variable(variable.as_str()).ok_or_else(missing),
                Some(SecretSource::File(path)) => self.in_file(&secret.to_string(), path),
                Some(SecretSource::Command(_)) | None => Err(missing()),
            },
        }?;
        Ok(self.cache.keep(secret, value))
    }

    fn variable(&self, name: &str) -> Option<SecretValue> {
        self.environment.secret(name).map(|value| SecretValue::new(value.to_vec()))
    }

    fn in_file(&self, secret: &str, path: &str) -> Result<SecretValue, VaultError> {
        let mut bytes = Zeroizing::new(read_bytes(&self.root.join(path), LIMIT)?.unwrap_or_default());
        trim(&mut bytes);
        if bytes.is_empty() {
            return Err(VaultError::NoFile { secret: secret.to_owned(), file: path.to_owned() });
        }
        Ok(SecretValue(bytes))
    }

    fn in_env_file(&self, file: &str, name: &str) -> Result<Option<SecretValue>, VaultError> {
        let variables = envfile::read_alone(&self.root.join(file), self.environment)?;
        let found = variables.and_then(|mut variables| variables.remove(name));
        let found = found.flatten().filter(|value| !value.is_empty());
        Ok(found.map(|value| SecretValue::new(value.into_bytes())))
    }

    /// A token is 30 random bytes in hexadecimal digits, kept in a file of its own.
    fn token(&self, secret: &SecretRef) -> Result<SecretValue, VaultError> {
        match token_path(secret) {
            Some(path) => self.kept(&self.state.join(path)),
            None => Err(VaultError::Missing(secret.to_string())),
        }
    }

    /// Returns a token of claw's own, for an operator who asks for it.
    ///
    /// # Errors
    /// Where it is none of claw's own, or the host refuses.
    pub fn shown(&self, secret: &SecretRef) -> Result<Zeroizing<String>, VaultError> {
        match token_path(secret) {
            Some(_) => {
                Ok(Zeroizing::new(self.value(secret)?.with(|token| String::from_utf8_lossy(token).into_owned())))
            }
            None => Err(VaultError::Missing(secret.to_string())),
        }
    }

    /// Makes a token of claw's own anew; returns whether it is one.
    ///
    /// # Errors
    /// Where the host refuses.
    pub fn rotate(&self, secret: &SecretRef) -> Result<bool, VaultError> {
        let Some(path) = token_path(secret) else { return Ok(false) };
        self.mint(&self.state.join(path))?;
        Ok(true)
    }

    /// Returns where a secret's value comes from and whether there is one. No command is run.
    pub fn standing(&self, secret: &SecretRef) -> Standing {
        let of = |source: Source, place: Option<&str>, is_set: Option<bool>| Standing {
            source,
            place: place.map(ToOwned::to_owned),
            is_set,
        };
        let of_variable = |name: &str| {
            let is_set = Some(self.environment.is_set(name));
            match self.environment.file_of(name) {
                Some(file) => of(Source::DotEnv, Some(file), is_set),
                None => of(Source::Environment, Some(name), is_set),
            }
        };
        match secret {
            SecretRef::Env(name) => of_variable(name.as_str()),
            SecretRef::EnvFile(file, name) => {
                let found = self.in_env_file(file, name.as_str()).ok().flatten();
                of(Source::EnvFile, Some(file), Some(found.is_some()))
            }
            SecretRef::ProxyToken(_) | SecretRef::Minted(..) => {
                let path = token_path(secret).map(|path| self.state.join(path));
                of(Source::Minted, None, Some(path.is_some_and(|path| path.is_file())))
            }
            SecretRef::TokenDigest(_) => of(Source::Unknown, None, Some(false)),
            SecretRef::Named(name) => match self.sources.get(name) {
                Some(SecretSource::Env(variable)) => of_variable(variable.as_str()),
                Some(SecretSource::File(path)) => of(Source::File, Some(path), Some(self.in_file("", path).is_ok())),
                Some(SecretSource::Command(words)) => of(Source::Command, words.first().map(String::as_str), None),
                None => of(Source::Unknown, None, Some(false)),
            },
        }
    }

    fn kept(&self, path: &Path) -> Result<SecretValue, VaultError> {
        match read_bytes(path, LIMIT)?.filter(|bytes| !bytes.is_empty()) {
            Some(bytes) => Ok(SecretValue::new(bytes)),
            None => self.mint(path),
        }
    }

    fn mint(&self, path: &Path) -> Result<SecretValue, VaultError> {
        // Not 32 bytes: 64 digits are what a SHA-256 looks like, and a runtime that takes tokens and their digests alike
        // would take a token for a digest.
        let mut random = Zeroizing::new([0_u8; 30]);
        getrandom::fill(random.as_mut_slice()).map_err(|error| VaultError::Random(error.to_string()))?;
        let text: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        if let Some(folder) = path.parent() {
            make_private(folder)?;
        }
        write_bytes(path, text.as_bytes(), 0o600)?;
        Ok(SecretValue::new(text.into_bytes()))
    }

    /// What no variable can hold is refused before anything is made.
    fn fits(&self, unit: &UnitId, own: &Belongings) -> Result<(), VaultError> {
        for (variable, secret) in own.variables() {
            let why = self.value(secret)?.with(|bytes| match bytes {
                bytes if bytes.contains(&0) => Some("it holds a NUL byte, which no variable can"),
                bytes if variable.len() + bytes.len() + 2 > LONGEST => Some("it is longer than the 128 KiB of one"),
                _ => None,
            });
            if let Some(why) = why {
                let (secret, variable) = (secret.to_string(), variable.to_owned());
                return Err(VaultError::NoVariable { unit: unit.clone(), secret, variable, why });
            }
        }
        Ok(())
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
    pub fn seal(&self, unit: &UnitId, own: &Belongings) -> Result<Option<String>, VaultError> {
        self.fits(unit, own)?;
        if own.sealed().next().is_none() {
            return Ok(None);
        }
        let mut mac = self.keyed()?;
        for (path, file) in own.sealed() {
            mac.update(path.as_str().as_bytes());
            mac.update(&[0]);
            self.filled(&file.content)?.with(|bytes| {
                mac.update(&(bytes.len() as u64).to_be_bytes());
                mac.update(bytes);
            });
        }
        Ok(Some(mac.finalize().into_bytes().iter().take(16).map(|byte| format!("{byte:02x}")).collect()))
    }

    /// Returns a short keyed digest of what a file of a service holds: it changes with the bytes and tells nothing about them.
    ///
    /// # Errors
    /// Where the key cannot be kept.
    pub(crate) fn digest(&self, bytes: &[u8]) -> Result<String, VaultError> {
        let mut mac = self.keyed()?;
        mac.update(bytes);
        Ok(mac.finalize().into_bytes().iter().take(6).map(|byte| format!("{byte:02x}")).collect())
    }

    fn keyed(&self) -> Result<Hmac<Sha256>, VaultError> {
        let key = self.kept(&self.state.join("seal-key"))?;
        key.with(Hmac::<Sha256>::new_from_slice).map_err(|error| VaultError::Random(error.to_string()))
    }
}

/// Returns where a token of claw's own is kept, below the project's state; nothing for every other secret.
fn token_path(secret: &SecretRef) -> Option<PathBuf> {
    let tokens = Path::new("tokens");
    match secret {
        SecretRef::ProxyToken(unit) => Some(tokens.join(unit.as_str())),
        // No agent's id starts with `@`, so that no agent's token lies where another's folder is.
        SecretRef::Minted(unit, name) => Some(tokens.join(format!("@{unit}")).join(name.as_str())),
        SecretRef::TokenDigest(_) | SecretRef::Named(_) | SecretRef::Env(_) | SecretRef::EnvFile(..) => None,
    }
}

/// Returns what an agent's files take of secrets: the file below its directory, and whose value.
pub fn uses(own: &Belongings) -> impl Iterator<Item = (&PodPath, &SecretRef)> {
    own.sealed().flat_map(|(path, file)| file.content.secrets().into_iter().map(move |secret| (path, secret)))
}

/// A value's last line break is its editor's; those before it are the value's own.
fn trim(bytes: &mut Vec<u8>) {
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
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
        let trimmed = |text: &[u8]| {
            let mut bytes = text.to_vec();
            trim(&mut bytes);
            bytes
        };
        assert_eq!(trimmed(b"a\nb\r\n"), b"a\nb");
        assert_eq!(trimmed(b"a\n\n"), b"a\n");
        assert_eq!(trimmed(b" a\r"), b" a\r");
        assert_eq!(trimmed(b"\n"), b"");
    }
}
