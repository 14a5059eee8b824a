//! Gather: answers what the compiler needs to know, from the host.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use claw_compiler::facts::{
    BuildFact, EnvFileFact, Facts, FileFact, HostFact, HostOwner, ManualFact, Need, TokenPlace,
};
use claw_compose::load::dotenv;
use claw_types::diag::Diagnostics;
use claw_types::path::PodPath;
use claw_types::platform::Platform;
use claw_types::span::SourceMap;

use tokio::sync::OnceCell;

use crate::docker::{Docker, EngineError, Inside};
use crate::envfile;
use crate::files::{FileError, Found, read_inside, read_text};
use crate::{manual, persona};

/// Why a need has no answer.
#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    /// A file is there and cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The engine answered with an error.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// The variables a run starts from: the process's own over those of `.env`. They stay in this crate.
pub struct Environment {
    values: BTreeMap<String, String>,
    /// Variables of the process that are no text: secrets may be.
    bytes: BTreeMap<String, Vec<u8>>,
    /// The file of each variable that the process does not set.
    files: BTreeMap<String, String>,
    /// Secrets that only env files of included files set, each with its file: below everything else.
    included: BTreeMap<String, (String, String)>,
}

impl Environment {
    /// Returns the process's environment over the variables of env files: those named, else `.env` in each of these
    /// directories, the first winning.
    ///
    /// # Errors
    /// Where an env file cannot be read; a missing `.env` is none.
    pub fn read(
        directories: &[&Path],
        env_files: &[PathBuf],
        sources: &mut SourceMap,
        diag: &mut Diagnostics,
    ) -> Result<Self, FileError> {
        let mut process = BTreeMap::new();
        let mut bytes = BTreeMap::new();
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else { continue };
            match value.into_string() {
                Ok(text) => drop(process.insert(name, text)),
                Err(value) => drop(bytes.insert(name, value.into_vec())),
            }
        }
        let mut values = BTreeMap::new();
        let mut places = BTreeMap::new();
        // Later files win, so the first directory comes last.
        let default: Vec<PathBuf> = directories.iter().rev().map(|directory| directory.join(".env")).collect();
        let files = if env_files.is_empty() { &default[..] } else { env_files };
        for path in files {
            let refused = |why: &str| {
                let source = std::io::Error::new(std::io::ErrorKind::InvalidInput, why);
                FileError { what: "read the env file", path: path.clone(), source }
            };
            let text = match read_text(path)? {
                Found::Text(text) => text,
                Found::Missing | Found::NotRegular if env_files.is_empty() => continue,
                Found::NotRegular => envfile::stream(path)?,
                Found::NotText => return Err(refused("it is not UTF-8 text")),
                Found::Missing | Found::Outside => return Err(refused("there is no such file")),
            };
            let file = sources.add(display(path), text);
            let Some(source) = sources.get(file) else { continue };
            let earlier = values.iter().map(|(name, value): (&String, &String)| (name.clone(), Some(value.clone())));
            for (name, value) in dotenv::parse_after(source, &process, &earlier.collect(), false, diag) {
                let Some(value) = value else { continue };
                places.insert(name.clone(), display(path));
                values.insert(name, value);
            }
        }
        values.extend(process.clone());
        // What the process sets wins over a file, text or not.
        values.retain(|name, _| !bytes.contains_key(name));
        places.retain(|name, _| !process.contains_key(name) && !bytes.contains_key(name));
        Ok(Self { values, bytes, files: places, included: BTreeMap::new() })
    }

    /// Adds the secrets of an included file's env file: the compiler knows them by name alone, so their values are looked for
    /// here. Returns the names that have a value now and had none.
    ///
    /// # Errors
    /// Where another included file sets one of them to something else: which is meant cannot be said by its name.
    fn include(&mut self, path: &Path, variables: &dotenv::Variables) -> Result<Vec<String>, FileError> {
        let mut fresh = Vec::new();
        let file = display(path);
        let secrets = variables.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        for (name, value) in secrets.filter(|(name, value)| is_sealed(name, value)) {
            match self.included.get(name) {
                _ if self.values.contains_key(name) || self.bytes.contains_key(name) => {}
                Some((known, other)) if known != value && *other != file => {
                    let why = format!("it sets `{name}` otherwise than `{other}` does: set it in the pod's `.env`");
                    let source = std::io::Error::new(std::io::ErrorKind::InvalidInput, why);
                    return Err(FileError { what: "read the env file", path: path.to_owned(), source });
                }
                _ => {
                    self.included.insert(name.clone(), (value.clone(), file.clone()));
                    fresh.push(name.clone());
                }
            }
        }
        Ok(fresh)
    }

    /// Returns the bytes of a variable that is set and not empty.
    pub(crate) fn secret(&self, name: &str) -> Option<&[u8]> {
        let text = self.plain(name).map(str::as_bytes);
        text.or_else(|| self.bytes.get(name).map(Vec::as_slice)).filter(|value| !value.is_empty())
    }

    /// Returns the file that sets a variable; nothing where the process does, or nobody.
    pub fn file_of(&self, name: &str) -> Option<&str> {
        let included = || self.included.get(name).map(|(_, file)| file);
        self.files.get(name).or_else(included).map(String::as_str)
    }

    /// Returns the value of a variable that is no secret by its position.
    pub fn plain(&self, name: &str) -> Option<&str> {
        let own = || self.included.get(name).filter(|_| !self.bytes.contains_key(name)).map(|(value, _)| value);
        self.values.get(name).or_else(own).map(String::as_str)
    }

    /// Returns every variable as a line `NAME=value`, sorted. Secrets are among them: for the user's own eyes.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.values.iter().map(|(name, value)| format!("{name}={value}"))
    }

    /// Returns whether a variable is set and not empty.
    pub fn is_set(&self, name: &str) -> bool {
        self.secret(name).is_some()
    }
}

impl claw_compose::template::Lookup for Environment {
    fn get(&self, name: &str) -> Option<&str> {
        self.plain(name)
    }
}

/// Returns a path as messages show it: relative to the working directory where that is shorter.
pub fn display(path: &Path) -> String {
    let current = std::env::current_dir().unwrap_or_default();
    let relative = path.strip_prefix(&current).unwrap_or(path);
    relative.strip_prefix(".").unwrap_or(relative).display().to_string()
}

/// The engine, asked for when it is first needed: a pod whose images need no look is compiled without one.
#[derive(Default)]
pub struct Engine {
    found: OnceCell<Result<Docker, EngineError>>,
}

impl Engine {
    /// Returns an engine that nobody asked for yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the engine.
    ///
    /// # Errors
    /// Where none answers; it is asked once.
    pub async fn docker(&self) -> Result<&Docker, EngineError> {
        self.found.get_or_init(Docker::connect).await.as_ref().map_err(Clone::clone)
    }

    /// Returns why there is no engine, where it was asked for.
    pub fn failure(&self) -> Option<&EngineError> {
        self.found.get().and_then(|found| found.as_ref().err())
    }
}

/// Answers needs from the host's files and environment, and from the engine; an image is absent where the engine is.
///
/// # Errors
/// Where a file is there and cannot be read, or the engine answers with an error.
pub async fn answer(
    needs: BTreeSet<Need>,
    root: &Path,
    environment: &mut Environment,
    engine: &Engine,
    facts: &mut Facts,
    sources: &mut SourceMap,
) -> Result<(), GatherError> {
    for need in needs {
        match need {
            Need::Variable(name) => {
                let value = environment.plain(&name).map(ToOwned::to_owned);
                facts.variables.insert(name, value);
            }
            Need::IsSet(name) => {
                let is_set = environment.is_set(&name);
                facts.set.insert(name, is_set);
            }
            Need::HasSecretFile(path) => {
                let found = std::fs::metadata(root.join(&path));
                let is_there = found.is_ok_and(|found| found.is_file() && found.len() > 0);
                facts.secret_files.insert(path, is_there);
            }
            Need::ComposeFile(path) => {
                let fact = named_file(&root.join(&path), sources)?;
                facts.compose_files.insert(path, fact);
            }
            Need::EnvFile(path) => {
                let path_of = root.join(&path);
                let variables = envfile::read_included(&path_of, environment)?;
                for name in variables.iter().map(|found| environment.include(&path_of, found)) {
                    facts.set.extend(name?.into_iter().map(|name| (name, true)));
                }
                facts.env_files.insert(path, variables.map(env_file));
            }
            Need::Persona(name) => {
                let fact = persona::find(&name, root, facts.persona_pins.get(&name), sources).await;
                facts.personas.insert(name, fact);
            }
            Need::File(path) => {
                let fact = file(root, &path, sources)?;
                facts.files.insert(path, fact);
            }
            Need::BuildFile { context, dockerfile } => {
                let fact = build_file(root, &context, dockerfile.as_deref(), sources)?;
                facts.builds.insert((context, dockerfile), fact);
            }
            Need::Image(image) => {
                let fact = match engine.docker().await {
                    Ok(docker) => docker.image(image.as_str()).await?,
                    Err(_) => None,
                };
                facts.images.insert(image, fact);
            }
            Need::Manual(image, path) => {
                let found = match engine.docker().await {
                    Ok(docker) => manual::read(docker, &image, &path).await?,
                    Err(_) => None,
                };
                let fact = match found {
                    None => ManualFact::Missing,
                    Some(Inside::NotRegular) => ManualFact::NotRegular,
                    Some(Inside::TooLong) => ManualFact::TooLong,
                    Some(Inside::File(bytes)) => match String::from_utf8(bytes) {
                        Ok(text) => ManualFact::Text(sources.add(format!("{image}:{path}"), text)),
                        Err(_) => ManualFact::NotText,
                    },
                };
                facts.manuals.insert((image, path), fact);
            }
            Need::HostPath(path) => {
                let place = host_place(&path, root, environment);
                facts.host_paths.insert(path.clone(), host_path(&place, root));
                if let Ok(found) = std::fs::metadata(&place) {
                    let owner = HostOwner { uid: found.uid(), gid: found.gid(), mode: found.mode() };
                    facts.host_owners.insert(path, owner);
                }
            }
            Need::Account(platform, place) => {
                let fact = account(platform, &place, root, environment)?;
                facts.accounts.insert((platform, place), fact);
            }
        }
    }
    Ok(())
}

/// A value whose name makes it secret stays here: the compiler is told that it is there, and no more.
fn env_file(variables: dotenv::Variables) -> EnvFileFact {
    let valued = variables.into_iter().filter_map(|(name, value)| Some((name, value?)));
    valued
        .map(|(name, value)| {
            let is_sealed = is_sealed(&name, &value);
            (name, if is_sealed { None } else { Some(value) })
        })
        .collect()
}

/// Whether a variable is a secret. Nothing is none: the variable is there and empty, as in docker compose.
fn is_sealed(name: &str, value: &str) -> bool {
    claw_types::secret::is_secret_name(name) && !value.is_empty()
}

/// Returns the place of the host that a path means; `~` is the user's home.
fn host_place(path: &str, root: &Path, environment: &Environment) -> PathBuf {
    let home = path.strip_prefix('~').filter(|rest| rest.is_empty() || rest.starts_with('/'));
    match (home, environment.plain("HOME")) {
        (Some(rest), Some(home)) => PathBuf::from(format!("{home}{rest}")),
        _ => root.join(path),
    }
}

/// Returns where a place of the host leads, every link followed.
fn host_path(whole: &Path, root: &Path) -> HostFact {
    match (whole.canonicalize(), root.canonicalize()) {
        (Ok(real), Ok(root)) if real.starts_with(&root) && real != root => HostFact::Inside,
        (Ok(real), _) => HostFact::At(real.display().to_string()),
        (Err(_), _) => HostFact::Missing,
    }
}

/// Returns the account a token belongs to. The token goes no further than this function.
fn account(
    platform: Platform,
    place: &TokenPlace,
    root: &Path,
    environment: &Environment,
) -> Result<Option<String>, FileError> {
    Ok(match place {
        TokenPlace::Variable(name) => environment.plain(name).and_then(|token| platform.account(token.trim())),
        TokenPlace::File(path) => match read_text(&root.join(path))? {
            Found::Text(token) => platform.account(token.trim()),
            _ => None,
        },
        TokenPlace::EnvFile(path, name) => {
            let variables = envfile::read_alone(&root.join(path), environment)?.unwrap_or_default();
            let token = variables.get(name).cloned().flatten();
            token.and_then(|token| platform.account(token.trim()))
        }
    })
}

fn file(root: &Path, path: &PodPath, sources: &mut SourceMap) -> Result<FileFact, FileError> {
    Ok(match read_inside(root, path)? {
        Found::Text(text) => FileFact::Text(sources.add(display(&root.join(path.as_str())), text)),
        Found::Missing => FileFact::Missing,
        Found::NotRegular => FileFact::NotRegular,
        Found::NotText => FileFact::NotText,
        Found::Outside => FileFact::Outside,
    })
}

/// A compose file may name another one anywhere on the host, as in docker compose.
pub(crate) fn named_file(path: &Path, sources: &mut SourceMap) -> Result<FileFact, FileError> {
    Ok(match read_text(path)? {
        Found::Text(text) => FileFact::Text(sources.add(display(path), text)),
        Found::Missing | Found::Outside => FileFact::Missing,
        Found::NotRegular => FileFact::NotRegular,
        Found::NotText => FileFact::NotText,
    })
}

fn build_file(
    root: &Path,
    context: &str,
    dockerfile: Option<&str>,
    sources: &mut SourceMap,
) -> Result<Option<BuildFact>, FileError> {
    let candidates = dockerfile.map_or(vec!["Clawfile", "Dockerfile"], |name| vec![name]);
    for name in candidates {
        let path = root.join(context).join(name);
        if let Found::Text(text) = read_text(&path)? {
            let file = sources.add(display(&path), text);
            return Ok(Some(BuildFact { name: name.to_owned(), file }));
        }
    }
    Ok(None)
}
