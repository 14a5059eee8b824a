//! Gather: answers what the compiler needs to know, from the host.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use claw_compiler::facts::{BuildFact, Facts, FileFact, Need};
use claw_compose::load::dotenv;
use claw_types::diag::Diagnostics;
use claw_types::path::PodPath;
use claw_types::span::SourceMap;

use crate::files::{FileError, Found, read_inside, read_text};

/// The variables a run starts from: the process's own over those of `.env`. They stay in this crate.
pub struct Environment {
    values: BTreeMap<String, String>,
}

impl Environment {
    /// Returns the process's environment over the variables of env files.
    ///
    /// # Errors
    /// Where an env file cannot be read; a missing `.env` is none.
    pub fn read(
        root: &Path,
        env_files: &[PathBuf],
        sources: &mut SourceMap,
        diag: &mut Diagnostics,
    ) -> Result<Self, FileError> {
        let process: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let mut values = BTreeMap::new();
        let default = [root.join(".env")];
        let files = if env_files.is_empty() { &default[..] } else { env_files };
        for path in files {
            match read_text(path)? {
                Found::Text(text) => {
                    let file = sources.add(display(path), text);
                    let Some(source) = sources.get(file) else { continue };
                    let lookup = process.clone();
                    for (name, value) in dotenv::parse(source, &lookup, false, diag) {
                        values.extend(value.map(|value| (name, value)));
                    }
                }
                _ if env_files.is_empty() => {}
                _ => {
                    let source = std::io::Error::new(std::io::ErrorKind::NotFound, "it is no readable file");
                    return Err(FileError { what: "read the env file", path: path.clone(), source });
                }
            }
        }
        values.extend(process);
        Ok(Self { values })
    }

    /// Returns the value of a variable that is no secret by its position.
    pub fn plain(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Returns whether a variable is set and not empty.
    pub fn is_set(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|value| !value.is_empty())
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

/// Answers needs from the host's files and environment; images are absent.
///
/// # Errors
/// Where a file is there and cannot be read.
pub fn answer(
    needs: BTreeSet<Need>,
    root: &Path,
    environment: &Environment,
    facts: &mut Facts,
    sources: &mut SourceMap,
) -> Result<(), FileError> {
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
            Need::File(path) => {
                let fact = file(root, &path, sources)?;
                facts.files.insert(path, fact);
            }
            Need::BuildFile { context, dockerfile } => {
                let fact = build_file(root, &context, dockerfile.as_deref(), sources)?;
                facts.builds.insert((context, dockerfile), fact);
            }
            Need::Image(image) => {
                facts.images.insert(image, None);
            }
        }
    }
    Ok(())
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
