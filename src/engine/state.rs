//! What claw remembers of a project between runs: `.claw/<project>/state/`. No secret's value is in it but tokens of
//! claw's own, each in a file only its owner can read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use claw_compiler::plan::steps::Observed;

use crate::files::{FileError, make_private, write_atomic};

fn folder(root: &Path, project: &str) -> PathBuf {
    root.join(".claw").join(project).join("state")
}

/// Returns the lines of a file of names and values.
fn rows(root: &Path, project: &str, file: &str) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(folder(root, project).join(file)).unwrap_or_default();
    let rows = text.lines().filter_map(|line| line.split_once(' '));
    rows.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Writes the lines of a file of names and values.
fn record(
    root: &Path,
    project: &str,
    file: &str,
    rows: impl IntoIterator<Item = (String, String)>,
) -> Result<(), FileError> {
    let text: String = rows.into_iter().map(|(name, value)| format!("{name} {value}\n")).collect();
    make_private(&folder(root, project))?;
    write_atomic(&folder(root, project).join(file), &text, 0o600)
}

/// Returns the seals of the last run, by agent.
pub(crate) fn seals(root: &Path, project: &str) -> BTreeMap<String, String> {
    rows(root, project, "seals")
}

/// Returns the container of each agent that was last told what is told after a start.
pub(crate) fn told(root: &Path, project: &str) -> BTreeMap<String, String> {
    rows(root, project, "told")
}

/// Returns the volumes that were handed to whom they are for, by key: which of its name each is.
pub(crate) fn owned(root: &Path, project: &str) -> BTreeMap<String, String> {
    rows(root, project, "owned")
}

/// Remembers that volumes were handed over: the key of each, and which of its name it is.
///
/// # Errors
/// Where the host refuses.
pub(crate) fn record_owned(
    root: &Path,
    project: &str,
    volumes: impl Iterator<Item = (String, String)>,
) -> Result<(), FileError> {
    let mut rows = owned(root, project);
    rows.extend(volumes);
    record(root, project, "owned", rows)
}

/// Returns what was copied into the volume of each persona, by key: which of its name the volume is, and the digest of the persona.
pub(crate) fn seeded(root: &Path, project: &str) -> BTreeMap<String, (String, String)> {
    let rows = rows(root, project, "seeded").into_iter();
    let rows = rows.filter_map(|(key, value)| {
        Some((key, value.split_once(' ').map(|(made, digest)| (made.to_owned(), digest.to_owned()))?))
    });
    rows.collect()
}

/// Remembers what was copied into the volume of a persona: which of its name it is, and the digest of the persona.
///
/// # Errors
/// Where the host refuses.
pub(crate) fn record_seeded(
    root: &Path,
    project: &str,
    key: &str,
    (made, digest): (&str, &str),
) -> Result<(), FileError> {
    let mut all = rows(root, project, "seeded");
    all.insert(key.to_owned(), format!("{made} {digest}"));
    record(root, project, "seeded", all)
}

/// Returns the volumes without a name that are kept for containers that are not made yet, by service, number and target. A target may
/// hold blanks: what stands behind the last one is the volume.
pub(crate) fn unnamed(root: &Path, project: &str) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(folder(root, project).join("unnamed")).unwrap_or_default();
    let rows = text.lines().filter_map(|line| line.rsplit_once(' '));
    rows.map(|(place, volume)| (place.to_owned(), volume.to_owned())).collect()
}

/// Remembers the volumes without a name that are kept.
///
/// # Errors
/// Where the host refuses.
pub(crate) fn record_unnamed(
    root: &Path,
    project: &str,
    rows: impl Iterator<Item = (String, String)>,
) -> Result<(), FileError> {
    record(root, project, "unnamed", rows)
}

/// Returns the backup whose restore has begun and not ended.
pub fn restoring(root: &Path, project: &str) -> Option<String> {
    std::fs::read_to_string(folder(root, project).join("restoring")).ok().map(|text| text.trim_end().to_owned())
}

/// Remembers that a restore of a backup has begun.
///
/// # Errors
/// Where the host refuses.
pub(crate) fn begin_restore(root: &Path, project: &str, backup: &str) -> Result<(), FileError> {
    make_private(&folder(root, project))?;
    write_atomic(&folder(root, project).join("restoring"), &format!("{backup}\n"), 0o600)
}

/// Remembers that it has ended.
///
/// # Errors
/// Where the host refuses.
pub(crate) fn end_restore(root: &Path, project: &str) -> Result<(), FileError> {
    let path = folder(root, project).join("restoring");
    std::fs::remove_file(&path).map_err(|source| FileError { what: "remove", path, source })
}

/// Remembers that the container of an agent was told.
///
/// # Errors
/// Where the host refuses.
pub(crate) fn record_told(root: &Path, project: &str, unit: &str, container: &str) -> Result<(), FileError> {
    let mut rows = told(root, project);
    rows.insert(unit.to_owned(), container.to_owned());
    record(root, project, "told", rows)
}

/// Remembers the seals of a run.
///
/// # Errors
/// Where the host refuses.
pub(crate) fn record_seals(root: &Path, project: &str, observed: &Observed) -> Result<(), FileError> {
    if observed.seals.is_empty() {
        return Ok(());
    }
    record(root, project, "seals", observed.seals.iter().map(|(unit, seal)| (unit.to_string(), seal.clone())))
}

/// Returns what is remembered of an executable by its size and time of change: the id of the image it is packed into.
pub(crate) fn packed(root: &Path, project: &str, program: &str) -> Option<String> {
    let text = std::fs::read_to_string(folder(root, project).join("infra")).ok()?;
    let (known, id) = text.trim_end().split_once(' ')?;
    (known == program).then(|| id.to_owned())
}

/// Remembers the id of the image an executable is packed into; what cannot be written is worked out again.
pub(crate) fn record_packed(root: &Path, project: &str, program: &str, id: &str) {
    if make_private(&folder(root, project)).is_ok() {
        let _ = write_atomic(&folder(root, project).join("infra"), &format!("{program} {id}\n"), 0o600);
    }
}
