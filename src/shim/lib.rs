//! What claw's executable does inside containers for other programs: it hands new volumes and sealed files to their
//! agents, and it puts secrets into the environment of a program and becomes that program.
//!
//! Versioned by `claw_types::image::SHIM_PROTOCOL`: what a container was told at its making is understood as long as the
//! version stays.

use std::convert::Infallible;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, lchown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Makes paths belong to a user: a directory where it is still root's, with nothing below it touched, and a file always.
///
/// # Errors
/// Where a path is neither, or its owner cannot be changed; the message names it.
pub fn own(owner: (u32, u32), path: &Path) -> io::Result<bool> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("`{}`: {error}", path.display()));
    let metadata = path.symlink_metadata().map_err(named)?;
    let has_owner = (metadata.uid(), metadata.gid()) == owner;
    let is_taken = metadata.is_dir() && metadata.uid() != 0;
    if has_owner || is_taken {
        return Ok(false);
    }
    if !metadata.is_dir() && !metadata.is_file() {
        return Err(named(io::Error::new(io::ErrorKind::InvalidInput, "it is neither a directory nor a file")));
    }
    lchown(path, Some(owner.0), Some(owner.1)).map_err(named)?;
    Ok(true)
}

/// Why a program was not started.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// A secret's file cannot be read.
    #[error("the secret `{variable}` cannot be read from `{path}`: {source}")]
    Unread {
        /// The variable it goes to.
        variable: String,
        /// Its file.
        path: String,
        /// What the host said.
        source: io::Error,
    },
    /// No variable can hold it.
    #[error("the secret `{variable}` in `{path}` holds a NUL byte, which no variable can hold")]
    Nul {
        /// The variable it goes to.
        variable: String,
        /// Its file.
        path: String,
    },
    /// The host does not start the program.
    #[error("cannot run `{program}`: {source}")]
    Program {
        /// The program as it was named.
        program: String,
        /// What the host said.
        source: io::Error,
    },
}

impl ExecError {
    /// Returns the exit code that shells and docker give this: 127 for a program that is not there, 126 for one that cannot
    /// be run, 1 for everything before.
    pub fn code(&self) -> u8 {
        match self {
            ExecError::Unread { .. } | ExecError::Nul { .. } => 1,
            ExecError::Program { source, .. } if source.kind() == io::ErrorKind::NotFound => 127,
            ExecError::Program { .. } => 126,
        }
    }
}

/// Puts the contents of files, byte for byte, into the environment of a program and becomes it: same process, so signals and
/// exit code are the program's own. Nothing else of the environment is changed.
///
/// # Errors
/// Where a file cannot be read, a value cannot be a variable's, or the program cannot be started.
pub fn exec(variables: &[(String, String)], program: &[String]) -> Result<Infallible, ExecError> {
    let (name, arguments) = program.split_first().map_or(("", &[][..]), |(name, rest)| (name.as_str(), rest));
    let mut command = Command::new(name);
    command.args(arguments);
    for (variable, path) in variables {
        let value = std::fs::read(path).map_err(|source| ExecError::Unread {
            variable: variable.clone(),
            path: path.clone(),
            source,
        })?;
        if value.contains(&0) {
            return Err(ExecError::Nul { variable: variable.clone(), path: path.clone() });
        }
        command.env(variable, std::ffi::OsString::from_vec(value));
    }
    let source = command.exec();
    Err(ExecError::Program { program: name.to_owned(), source })
}
