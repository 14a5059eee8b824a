//! Files of the host: inputs read behind a guard, generated trees written whole or not at all.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use claw_types::files::{FileSpec, FileTree};
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

/// Returns where what can be fetched again is kept for a user: below `$XDG_CACHE_HOME`, or `~/.cache`; nothing without either.
pub(crate) fn cache() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?;
    Some(cache.join("claw"))
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

/// Reads a file of at most `limit` bytes; nothing where there is none.
///
/// # Errors
/// Where the host refuses, or the file is longer.
pub(crate) fn read_bytes(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, FileError> {
    // Opening a pipe waits for somebody who writes into it.
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        let source = io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file");
        return Err(failed("read", path)(source));
    }
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("open", path)(error)),
    };
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(failed("read", path))?;
    if bytes.len() as u64 > limit {
        return Err(failed("read", path)(io::Error::other(format!("it is longer than {limit} bytes"))));
    }
    Ok(Some(bytes))
}

/// Writes a text in one step: whoever reads sees the old text or the new one. The same text is not written again.
///
/// # Errors
/// Where the host refuses.
pub fn write_atomic(path: &Path, text: &str, mode: u32) -> Result<(), FileError> {
    if fs::read(path).is_ok_and(|old| old == text.as_bytes()) {
        return Ok(());
    }
    write_bytes(path, text.as_bytes(), mode)
}

/// Writes bytes in one step.
///
/// # Errors
/// Where the host refuses.
pub(crate) fn write_bytes(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let temporary = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    let written = write_new(&temporary, bytes, mode)
        .and_then(|file| file.sync_all().map_err(failed("flush", path)))
        .and_then(|()| fs::rename(&temporary, path).map_err(failed("replace", path)));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<fs::File, FileError> {
    // A run that was killed may have left one that nobody may write to.
    let _ = fs::remove_file(path);
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed("create", path))?;
    file.write_all(bytes).map_err(failed("write", path))?;
    file.set_permissions(fs::Permissions::from_mode(mode)).map_err(failed("set the mode of", path))?;
    Ok(file)
}

/// A text of a file, and the one that is to stand there.
pub struct Rewrite<'r> {
    /// The file.
    pub path: PathBuf,
    /// What must stand there now.
    pub old: &'r str,
    /// What is to stand there.
    pub new: &'r str,
}

/// Puts new texts where people's own files are, below a root: all are looked at and written beside their places before the first
/// is put there. Modes and owners stay; a link inside the root stays one.
///
/// # Errors
/// Where a file lies outside of the root, may not be written or is not what it was, or the host refuses.
pub fn rewrite(root: &Path, all: &[Rewrite<'_>]) -> Result<(), FileError> {
    let places = all.iter().map(|each| place(root, each)).collect::<Result<Vec<_>, _>>()?;
    let mut made = Vec::new();
    let result = all.iter().zip(&places).try_for_each(|(each, (real, metadata))| {
        let name = real.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let temporary = real.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
        made.push(temporary.clone());
        let file = write_new(&temporary, each.new.as_bytes(), metadata.mode() & 0o7777)?;
        let own = file.metadata().map_err(failed("look at", &temporary))?;
        if (own.uid(), own.gid()) != (metadata.uid(), metadata.gid()) {
            std::os::unix::fs::fchown(&file, Some(metadata.uid()), Some(metadata.gid()))
                .map_err(failed("keep the owner of", real))?;
        }
        file.sync_all().map_err(failed("flush", real))
    });
    let result = result.and_then(|()| {
        let mut moves = made.iter().zip(&places);
        moves.try_for_each(|(temporary, (real, _))| fs::rename(temporary, real).map_err(failed("replace", real)))
    });
    for temporary in &made {
        let _ = fs::remove_file(temporary);
    }
    result
}

/// Returns where a file really is, and what the host says of it.
fn place(root: &Path, each: &Rewrite<'_>) -> Result<(PathBuf, fs::Metadata), FileError> {
    let refuse = |kind, why: &str| Err(failed("change", &each.path)(io::Error::new(kind, why)));
    let real = each.path.canonicalize().map_err(failed("find", &each.path))?;
    let root = root.canonicalize().map_err(failed("find", root))?;
    if !real.starts_with(&root) {
        return refuse(io::ErrorKind::InvalidInput, "it is not in the pod's directory");
    }
    let metadata = fs::metadata(&real).map_err(failed("look at", &real))?;
    // Whoever may write to the directory could replace a file that is read-only all the same.
    let is_writable = || fs::OpenOptions::new().append(true).open(&real).is_ok();
    if metadata.permissions().readonly() || !is_writable() {
        return refuse(io::ErrorKind::PermissionDenied, "it is read-only");
    }
    if fs::read(&real).map_err(failed("read", &real))? != each.old.as_bytes() {
        return refuse(io::ErrorKind::Other, "it changed meanwhile");
    }
    Ok((real, metadata))
}

/// Makes a directory and those above it.
///
/// # Errors
/// Where the host refuses.
pub fn make_directory(path: &Path, mode: u32) -> Result<(), FileError> {
    fs::DirBuilder::new().recursive(true).mode(mode).create(path).map_err(failed("create", path))
}

/// Makes a directory that nobody else may look into.
pub(crate) fn make_private(path: &Path) -> Result<(), FileError> {
    make_directory(path, 0o700)
}

/// Makes `.claw` beside the pod file: nobody else's business, and nothing for a repository.
///
/// # Errors
/// Where the host refuses.
pub fn make_state(root: &Path) -> Result<(), FileError> {
    let state = root.join(".claw");
    refuse_link(&state)?;
    make_private(&state)?;
    let ignore = state.join(".gitignore");
    if ignore.exists() { Ok(()) } else { write_atomic(&ignore, "*\n", 0o644) }
}

/// Returns the directory of a unit that a generated file lies in: `.claw/<pod>/units/<unit>/<digest>`.
fn unit_directory(path: &PodPath) -> String {
    path.as_str().split('/').take(5).collect::<Vec<_>>().join("/")
}

/// Returns whether a unit's directory holds what its files say.
fn is_whole(place: &Path, directory: &str, files: &[(&PodPath, &FileSpec)]) -> bool {
    let own = files.iter().filter_map(|(path, file)| {
        Some((path.as_str().strip_prefix(directory)?.strip_prefix('/')?, file)).filter(|_| !file.content.is_sealed())
    });
    let mut own = own.peekable();
    place.is_dir()
        && own
            .all(|(below, file)| fs::read(place.join(below)).is_ok_and(|text| text == file.content.masked().as_bytes()))
}

/// Writes the files of a tree that hold no secret and are not there yet. A directory named by its digest is never changed:
/// it is made beside its place and moved there whole. Returns how many files were written.
///
/// Nothing is flushed to the disk: what a power cut tore is not what its digest says, and is written again.
///
/// # Errors
/// Where the host refuses; what was moved to its place before is complete.
pub fn write_units(root: &Path, files: &FileTree) -> Result<usize, FileError> {
    make_state(root)?;
    let mut written = 0;
    let mut directories: BTreeMap<String, Vec<(&PodPath, &FileSpec)>> = BTreeMap::new();
    for (path, file) in files.iter() {
        directories.entry(unit_directory(path)).or_default().push((path, file));
    }
    for (directory, files) in directories {
        let place = root.join(&directory);
        if is_whole(&place, &directory, &files) {
            continue;
        }
        remove_tree(&place)?;
        make_directory(place.parent().unwrap_or(root), 0o755)?;
        let temporary = place.with_extension(format!("{}.tmp", std::process::id()));
        make_directory(&temporary, 0o755)?;
        for (path, file) in files {
            let Some(below) = path.as_str().strip_prefix(&format!("{directory}/")) else { continue };
            let target = temporary.join(below);
            make_directory(target.parent().unwrap_or(&temporary), 0o755)?;
            if file.content.is_sealed() {
                continue;
            }
            write_new(&target, file.content.masked().as_bytes(), file.mode.bits())?;
            written += 1;
        }
        fs::rename(&temporary, &place).map_err(failed("move into place", &place))?;
    }
    Ok(written)
}

/// Writes files of a tree that somebody reads while they are changed: each is replaced whole, and the directories stay those that
/// are mounted.
///
/// # Errors
/// Where the host refuses.
pub(crate) fn write_live(root: &Path, files: &FileTree) -> Result<(), FileError> {
    make_state(root)?;
    for (path, file) in files.iter() {
        let place = root.join(path.as_str());
        make_directory(place.parent().unwrap_or(root), 0o755)?;
        write_atomic(&place, &file.content.masked(), file.mode.bits())?;
    }
    Ok(())
}

/// Removes directories of units that a plan no longer names, and what interrupted runs left beside them.
///
/// # Errors
/// Where the host refuses.
pub fn remove_stale_units(root: &Path, pod: &str, files: &FileTree) -> Result<(), FileError> {
    let wanted: std::collections::BTreeSet<PathBuf> =
        files.iter().map(|(path, _)| root.join(unit_directory(path))).collect();
    let list = |path: &Path| -> Vec<PathBuf> {
        fs::read_dir(path).map(|all| all.flatten().map(|entry| entry.path()).collect()).unwrap_or_default()
    };
    for unit in list(&root.join(".claw").join(pod).join("units")) {
        for directory in list(&unit) {
            if !wanted.contains(&directory) {
                remove_tree(&directory)?;
            }
        }
        // Gone with its last directory; kept where something is left.
        let _ = fs::remove_dir(&unit);
    }
    Ok(())
}

/// Removes what claw keeps of a project below the pod's directory; nothing is followed out of it.
///
/// # Errors
/// Where `.claw` is a link, or the host refuses.
pub fn remove_state(root: &Path, pod: &str) -> Result<(), FileError> {
    let state = root.join(".claw");
    refuse_link(&state)?;
    let own = state.join(pod);
    refuse_link(&own)?;
    remove_tree(&own)
}

/// Returns what is in a directory, by its names: of several things that are wrong with it the same one is told each time.
pub(crate) fn entries(directory: &Path) -> io::Result<Vec<fs::DirEntry>> {
    let mut entries = fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    Ok(entries)
}

/// A link would let whoever wrote the pod's directory choose where secrets are put and what is removed.
pub(crate) fn refuse_link(path: &Path) -> Result<(), FileError> {
    if path.symlink_metadata().is_ok_and(|found| found.is_symlink()) {
        let source =
            io::Error::new(io::ErrorKind::InvalidInput, "it is a link; claw keeps its files beside the pod file");
        return Err(failed("use", path)(source));
    }
    Ok(())
}

/// Writes a generated Dockerfile; one that claw did not make is left alone.
///
/// # Errors
/// Where a file of that name is not claw's, or the host refuses.
pub fn write_dockerfile(path: &Path, text: &str) -> Result<(), FileError> {
    if fs::read_to_string(path).is_ok_and(|old| !old.contains("# claw: ")) {
        let source = io::Error::new(io::ErrorKind::InvalidInput, "it is not claw's: rename it, or the Clawfile");
        return Err(failed("overwrite", path)(source));
    }
    write_atomic(path, text, 0o644)
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
