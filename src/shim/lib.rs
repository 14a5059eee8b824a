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

/// Puts the contents of files into the environment of a program and becomes it: same process, so signals and exit code
/// are the program's own.
///
/// # Errors
/// Where a file cannot be read, a value cannot be a variable's, or the program cannot be started.
pub fn exec(variables: &[(String, String)], program: &[String]) -> io::Result<Infallible> {
    let (name, arguments) = program.split_first().ok_or_else(|| io::Error::other("there is no program to run"))?;
    let mut command = Command::new(name);
    command.args(arguments);
    for (variable, path) in variables {
        let mut value =
            std::fs::read(path).map_err(|error| io::Error::new(error.kind(), format!("`{path}`: {error}")))?;
        if value.contains(&0) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("`{path}` holds a NUL byte")));
        }
        // A file's last line break is the file's, not the value's.
        if value.last() == Some(&b'\n') {
            value.pop();
        }
        command.env(variable, std::ffi::OsString::from_vec(value));
    }
    let error = command.exec();
    Err(io::Error::new(error.kind(), format!("cannot run `{name}`: {error}")))
}
