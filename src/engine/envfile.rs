//! Env files: read in one way, whoever asks. A line that cannot be read is an error by line, and shows no value.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

use claw_compose::load::dotenv::{self, Variables};
use claw_compose::template::Lookup;
use claw_types::diag::Diagnostics;
use claw_types::span::SourceMap;

use crate::files::{FileError, Found, read_text};
use crate::gather::display;

/// How an env file is read.
pub struct Reading<'r> {
    /// Values that win over the file's own where one uses another.
    pub lookup: &'r dyn Lookup,
    /// Variables of files before this one.
    pub earlier: &'r Variables,
    /// Values are taken as they stand.
    pub is_raw: bool,
}

/// Returns the variables of an env file, nothing where there is no file.
///
/// # Errors
/// Where it cannot be read, or one of its lines cannot.
pub fn read(path: &Path, reading: &Reading<'_>) -> Result<Option<Variables>, FileError> {
    let invalid = |why: String| FileError {
        what: "read the env file",
        path: path.to_owned(),
        source: io::Error::new(io::ErrorKind::InvalidInput, why),
    };
    let text = match read_text(path)? {
        Found::Text(text) => text,
        Found::Missing | Found::Outside => return Ok(None),
        Found::NotText => return Err(invalid("it is not UTF-8 text, or longer than 16 MiB".to_owned())),
        Found::NotRegular => stream(path)?,
    };
    let mut sources = SourceMap::new();
    let file = sources.add(display(path), text);
    let Some(source) = sources.get(file) else { return Ok(None) };
    let mut diag = Diagnostics::new();
    let variables = dotenv::parse_after(source, reading.lookup, reading.earlier, reading.is_raw, &mut diag);
    // A line that cannot be read would be a variable less.
    if let Some(bad) = diag.iter().next() {
        return Err(invalid(format!("line {}: {}", sources.position(bad.primary).line, bad.message)));
    }
    // A name alone that nobody sets is left out.
    let valued = variables.into_iter().filter_map(|(name, value)| {
        let value = value.or_else(|| reading.lookup.get(&name).map(ToOwned::to_owned))?;
        Some((name, Some(value)))
    });
    Ok(Some(valued.collect()))
}

/// Returns what a pipe or a device gives, such as `/dev/null`: whoever names one means it.
///
/// # Errors
/// Where it is a directory, or gives what is no text.
pub(crate) fn stream(path: &Path) -> Result<String, FileError> {
    let failed = |source| FileError { what: "read the env file", path: path.to_owned(), source };
    if path.is_dir() {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "it is a directory")));
    }
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(LIMIT).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

/// The most bytes of an env file that is no file.
const LIMIT: u64 = 16 * 1024 * 1024;

/// Returns the variables of an env file that stands alone.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_alone(path: &Path, lookup: &dyn Lookup) -> Result<Option<Variables>, FileError> {
    read(path, &Reading { lookup, earlier: &BTreeMap::new(), is_raw: false })
}

/// Returns the variables of an env file of an included file. A directory of the name `.env` is none, as in docker compose, for
/// that is where one is looked for unasked.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_included(path: &Path, lookup: &dyn Lookup) -> Result<Option<Variables>, FileError> {
    if path.ends_with(".env") && path.is_dir() { Ok(None) } else { read_alone(path, lookup) }
}
