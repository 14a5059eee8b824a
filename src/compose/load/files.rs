//! What the loader asks for: files that a compose file names, and values of variables, in their scope.

use std::collections::BTreeMap;

use claw_types::span::Source;

use crate::template::Lookup;

/// What became of a file that a compose file names.
#[derive(Clone, Copy, Debug)]
pub enum Found<'f> {
    /// Its text.
    Text(&'f Source),
    /// It is not there.
    Missing,
    /// It is a directory or something else that is no regular file.
    NotRegular,
    /// Its bytes are not UTF-8, or too many.
    NotText,
}

/// Something the loader must be told; paths are absolute or start at the project's directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Want {
    /// A compose file.
    File(String),
    /// The variables of an env file.
    EnvFile(String),
}

/// The variables of an env file; nothing for one whose value only its reader may know.
pub type EnvFile = BTreeMap<String, Option<String>>;

/// Where files come from. What nobody looked for yet is asked for, and the load is repeated.
pub trait Files {
    /// Returns what became of a compose file; nothing where nobody looked.
    fn file(&self, path: &str) -> Option<Found<'_>>;

    /// Returns what became of an env file: nothing where nobody looked, and nothing inside where it is not there.
    fn env_file(&self, path: &str) -> Option<Option<&EnvFile>>;
}

/// A project of one file that names no other.
#[derive(Clone, Copy, Debug)]
pub struct NoFiles;

impl Files for NoFiles {
    fn file(&self, _: &str) -> Option<Found<'_>> {
        Some(Found::Missing)
    }

    fn env_file(&self, _: &str) -> Option<Option<&EnvFile>> {
        Some(None)
    }
}

/// The variables of a file: those of the whole project, and below them those of the env files of an `include`.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'s> {
    pub(crate) lookup: &'s dyn Lookup,
    /// The project's name, which `COMPOSE_PROJECT_NAME` is.
    pub(crate) project: &'s str,
    pub(crate) own: Option<&'s EnvFile>,
}

impl Scope<'_> {
    /// Returns the value that a variable has in this file alone.
    pub(crate) fn own(&self, name: &str) -> Option<&str> {
        let own = self.own?.get(name)?.as_deref()?;
        if self.lookup.get(name).is_none() { Some(own) } else { None }
    }
}

impl Lookup for Scope<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        if name == "COMPOSE_PROJECT_NAME" {
            return Some(self.project);
        }
        self.lookup.get(name).or_else(|| self.own?.get(name)?.as_deref())
    }
}
