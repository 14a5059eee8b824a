//! Files of the host: inputs read behind a guard, generated trees written whole or not at all.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use claw_types::files::FileTree;
use claw_types::path::PodPath;

/// Why a file operation failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} `{}`: {source}", path.display())]
pub struct FileError {
    /// What was tried.
    pub what: &'static str,
    /// On what.
    pub path: PathBuf,
    /// What the host said.
    pub source: io::Error,
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError { what, path, source }
}

/// The most bytes of a text file that are read.
const LIMIT: u64 = 16 * 1024 * 1024;

/// What a guarded read found.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// Text.
    Text(String),
    /// Nothing at this path.
    Missing,
    /// Something that is no regular file.
    NotRegular,
    /// Bytes that are not UTF-8, or too many of them.
    NotText,
    /// A path that leads out of its root.
    Outside,
}

/// Reads a text file below a root; links may not lead out of it.
///
/// # Errors
/// Where the host refuses to read what is there.
pub fn read_inside(root: &Path, path: &PodPath) -> Result<Found, FileError> {
    let whole = root.join(path.as_str());
    let (Ok(real), Ok(real_root)) = (whole.canonicalize(), root.canonicalize()) else { return Ok(Found::Missing) };
    if !real.starts_with(&real_root) {
        return Ok(Found::Outside);
    }
    read_text(&real)
}

/// Reads a text file.
///
/// # Errors
/// Where the host refuses to read what is there.
pub fn read_text(path: &Path) -> Result<Found, FileError> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Found::Missing);
        }
        Err(error) => return Err(failed("look at", path)(error)),
    };
    if !metadata.is_file() {
        return Ok(Found::NotRegular);
    }
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(failed("open", path))?;
    file.take(LIMIT + 1).read_to_end(&mut bytes).map_err(failed("read", path))?;
    if bytes.len() as u64 > LIMIT {
        return Ok(Found::NotText);
    }
    Ok(String::from_utf8(bytes).map_or(Found::NotText, Found::Text))
}

/// Writes a file in one step: whoever reads sees the old text or the new one.
///
/// # Errors
/// Where the host refuses.
pub fn write_atomic(path: &Path, text: &str, mode: u32) -> Result<(), FileError> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let temporary = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    let written =
        write_new(&temporary, text, mode).and_then(|()| fs::rename(&temporary, path).map_err(failed("replace", path)));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), FileError> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(failed("create", path))?;
    file.write_all(text.as_bytes()).map_err(failed("write", path))?;
    file.set_permissions(fs::Permissions::from_mode(mode)).map_err(failed("set the mode of", path))?;
    file.sync_all().map_err(failed("flush", path))
}

fn make_directory(path: &Path, mode: u32) -> Result<(), FileError> {
    fs::DirBuilder::new().recursive(true).mode(mode).create(path).map_err(failed("create", path))
}

/// Makes `.claw` beside the pod file: nobody else's business, and nothing for a repository.
///
/// # Errors
/// Where the host refuses.
pub fn make_state(root: &Path) -> Result<(), FileError> {
    let state = root.join(".claw");
    make_directory(&state, 0o700)?;
    let ignore = state.join(".gitignore");
    if ignore.exists() { Ok(()) } else { write_atomic(&ignore, "*\n", 0o644) }
}

/// Writes the files of a tree that hold no secret and are not there yet. A directory named by its digest is never changed:
/// it is made beside its place and moved there whole.
///
/// # Errors
/// Where the host refuses; what was moved to its place before is complete.
pub fn write_units(root: &Path, files: &FileTree) -> Result<usize, FileError> {
    make_state(root)?;
    let mut written = 0;
    // A unit's directory: `.claw/<pod>/units/<unit>/<digest>`.
    let mut directories: Vec<String> = Vec::new();
    for (path, _) in files.iter() {
        let parts: Vec<&str> = path.as_str().split('/').take(5).collect();
        let directory = parts.join("/");
        if directories.last() != Some(&directory) {
            directories.push(directory);
        }
    }
    for directory in directories {
        let place = root.join(&directory);
        if place.exists() {
            continue;
        }
        let parent = place.parent().unwrap_or(root);
        make_directory(parent, 0o755)?;
        let temporary = place.with_extension(format!("{}.tmp", std::process::id()));
        make_directory(&temporary, 0o755)?;
        for (path, file) in files.iter() {
            let Some(below) = path.as_str().strip_prefix(&format!("{directory}/")) else { continue };
            if file.content.is_sealed() {
                continue;
            }
            let target = temporary.join(below);
            make_directory(target.parent().unwrap_or(&temporary), 0o755)?;
            write_new(&target, &file.content.masked(), file.mode.bits())?;
            written += 1;
        }
        fs::rename(&temporary, &place).map_err(failed("move into place", &place))?;
    }
    Ok(written)
}

/// Removes a tree; one that is not there is removed already.
///
/// # Errors
/// Where the host refuses.
pub fn remove_tree(path: &Path) -> Result<(), FileError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}
