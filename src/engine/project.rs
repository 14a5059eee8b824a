//! What a compose project names on this host: files it is made of, env files, files of labels. For commands that print
//! everything as docker compose does; compiling goes through facts, which hold no secret.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use claw_compiler::facts::FileFact;
use claw_compose::load::dotenv::Variables;
use claw_compose::load::environment;
use claw_compose::load::normal::{self, Place};
use claw_compose::load::{EnvFile, Files, Found, Want};
use claw_compose::model::{Project, Service};
use claw_compose::template::Lookup;
use claw_types::image::label::RESERVED;
use claw_types::span::{Source, SourceMap};

use crate::envfile::{self, Reading};
use crate::files::FileError;
use crate::gather::named_file;

/// Files that were read because compose files name them.
#[derive(Default)]
pub struct Disk {
    files: BTreeMap<String, FileFact>,
    env_files: BTreeMap<String, Option<EnvFile>>,
}

/// The same with their texts.
pub struct DiskFiles<'d> {
    disk: &'d Disk,
    sources: &'d SourceMap,
}

impl Disk {
    /// Returns what a loader reads.
    pub fn files<'d>(&'d self, sources: &'d SourceMap) -> DiskFiles<'d> {
        DiskFiles { disk: self, sources }
    }

    /// Returns the texts of the compose files that were read.
    pub fn texts<'d>(&'d self, sources: &'d SourceMap) -> impl Iterator<Item = &'d Source> {
        self.files.values().filter_map(|fact| match fact.found(sources) {
            Found::Text(source) => Some(source),
            Found::Missing | Found::NotRegular | Found::NotText => None,
        })
    }

    /// Reads what a loader wants.
    ///
    /// # Errors
    /// Where a file is there and cannot be read.
    pub fn read(
        &mut self,
        wants: BTreeSet<Want>,
        root: &Path,
        lookup: &dyn Lookup,
        sources: &mut SourceMap,
    ) -> Result<(), FileError> {
        for want in wants {
            match want {
                Want::File(path) => {
                    let fact = named_file(&root.join(&path), sources)?;
                    self.files.insert(path, fact);
                }
                Want::EnvFile(path) => {
                    let variables = envfile::read_included(&root.join(&path), lookup)?;
                    self.env_files.insert(path, variables);
                }
            }
        }
        Ok(())
    }
}

impl Files for DiskFiles<'_> {
    fn file(&self, path: &str) -> Option<Found<'_>> {
        Some(self.disk.files.get(path)?.found(self.sources))
    }

    fn env_file(&self, path: &str) -> Option<Option<&EnvFile>> {
        self.disk.env_files.get(path).map(Option::as_ref)
    }
}

/// Variables, and the project's name as one.
struct Named<'n> {
    lookup: &'n dyn Lookup,
    name: &'n str,
}

impl Lookup for Named<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        if name == "COMPOSE_PROJECT_NAME" { Some(self.name) } else { self.lookup.get(name) }
    }
}

/// What cannot be read of a project.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// A file that is there.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file that is not there.
    #[error("`{service}` names `{path}`, which is not there")]
    Missing {
        /// The service that names it.
        service: String,
        /// Its path.
        path: String,
    },
    /// A label that is claw's.
    #[error("`{path}` sets the label `{label}`, which is claw's: take it out")]
    Reserved {
        /// The file of labels.
        path: String,
        /// The label.
        label: String,
    },
}

/// Returns the variables of a service's env files, the later over the earlier ones.
///
/// # Errors
/// Where one of them cannot be read, or is not there and has to be.
pub(crate) fn of_service(
    name: &str,
    service: &Service,
    root: &Path,
    lookup: &dyn Lookup,
) -> Result<Variables, ProjectError> {
    let mut variables = Variables::new();
    for file in &service.env_file {
        let is_raw = file.format.as_deref() == Some("raw");
        let reading = Reading { lookup, earlier: &variables, is_raw };
        match envfile::read(&root.join(&file.path), &reading)? {
            Some(found) => variables.extend(found),
            None if file.required == Some(false) => {}
            None => return Err(ProjectError::Missing { service: name.to_owned(), path: file.path.clone() }),
        }
    }
    Ok(variables)
}

/// What a service keeps of the names of its files once they are read. Docker compose (2.26, 2.40) has a form for each purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Nothing: what `config` prints.
    Nothing,
    /// Its env files: what `config --hash` is taken over.
    EnvFiles,
    /// Its files of labels: what the hash in a container's label is taken over.
    LabelFiles,
}

/// Writes a project out as docker compose sees it: env files and files of labels are read, names and paths are whole.
/// What it keeps of the files' names says `kept`.
///
/// # Errors
/// Where a file it names cannot be read.
pub fn resolve(
    project: &mut Project,
    root: &Path,
    name: &str,
    lookup: &dyn Lookup,
    kept: Kept,
) -> Result<(), ProjectError> {
    let named = Named { lookup, name };
    let lookup: &dyn Lookup = &named;
    let root_text = root.to_string_lossy();
    let place = Place { root: &root_text, name, lookup };
    normal::normal(project, &place);
    for (name, service) in &mut project.services {
        let variables = of_service(name, service, root, lookup)?;
        let files = service.env_file.clone();
        environment::resolve(service, variables, lookup);
        if kept == Kept::EnvFiles {
            service.env_file = files;
        }
        let files = service.label_file.clone();
        label(name, service, root)?;
        if kept == Kept::LabelFiles {
            service.label_file = files;
        }
    }
    Ok(())
}

/// Puts the labels of a service's files below its own.
///
/// # Errors
/// Where a file cannot be read or is not there, or sets a label of claw's.
pub(crate) fn label(name: &str, service: &mut Service, root: &Path) -> Result<(), ProjectError> {
    let mut labels = BTreeMap::new();
    for path in std::mem::take(&mut service.label_file) {
        let Some(found) = envfile::read_alone(&root.join(&path), &BTreeMap::<String, String>::new())? else {
            return Err(ProjectError::Missing { service: name.to_owned(), path });
        };
        if let Some(label) = found.keys().find(|label| RESERVED.contains(&label.as_str())) {
            return Err(ProjectError::Reserved { path, label: label.clone() });
        }
        labels.extend(found.into_iter().map(|(name, value)| (name, value.unwrap_or_default())));
    }
    labels.append(&mut service.labels);
    service.labels = labels;
    Ok(())
}
