//! `claw cp`: files into a container and out of one.

use std::io::Write;
use std::path::Path;

use serde_json::json;

use super::worker;
use crate::args::{Global, Mode};
use crate::exit::{CommandError, Exit};
use crate::session::{self, Session};
use crate::ui::Ui;

/// A path here, or in a service's container.
enum Place<'p> {
    Here(&'p str),
    There(&'p str, &'p str),
}

fn place(text: &str) -> Place<'_> {
    match text.split_once(':') {
        // A colon behind a slash belongs to a path.
        Some((service, path)) if !service.is_empty() && !service.contains('/') => Place::There(service, path),
        _ => Place::Here(text),
    }
}

pub(crate) fn run(
    global: &Global,
    (from, to): (&str, &str),
    index: u32,
    mode: Mode,
    ui: &Ui,
) -> Result<Exit, CommandError> {
    session::with(global, "cp", ui, async |session| {
        match (place(from), place(to)) {
            (Place::There(service, path), Place::Here(target)) => {
                let id = worker::meant(&session, service, index, mode).await?.id;
                out(&session, &id, path, target).await?;
            }
            (Place::Here(source), Place::There(service, path)) => {
                let id = worker::meant(&session, service, index, mode).await?.id;
                into(&session, service, &id, source, path).await?;
            }
            _ => return Err(CommandError::Usage("one of the two is `SERVICE:PATH`, the other a path here".to_owned())),
        }
        session.result("cp", &format!("copied {from} to {to}"), json!({ "from": from, "to": to }));
        Ok(Exit::Done)
    })
}

/// As `docker cp`: into a directory that is there, else under the name of the target.
async fn out(session: &Session<'_>, id: &str, path: &str, target: &str) -> Result<(), CommandError> {
    let target = Path::new(target);
    let failed = |source| claw_engine::files::FileError { what: "write", path: target.to_owned(), source };
    if target.is_dir() {
        return unpack(session, id, path, target).await;
    }
    let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let scratch = parent.join(format!(".claw-cp-{}", std::process::id()));
    std::fs::create_dir(&scratch).map_err(failed)?;
    let unpacked = unpack(session, id, path, &scratch).await;
    let moved = unpacked.is_ok().then(|| {
        let first = std::fs::read_dir(&scratch)?.next().transpose()?;
        first.map_or(Ok(()), |first| std::fs::rename(first.path(), target))
    });
    let removed = std::fs::remove_dir_all(&scratch);
    unpacked?;
    Ok(moved.unwrap_or(Ok(())).and(removed).map_err(failed)?)
}

/// Unpacks what is at a path of a container in a directory here, while it comes: no more of it is held than a pipe holds. It keeps to
/// the directory, whatever the names in the archive are.
async fn unpack(session: &Session<'_>, id: &str, path: &str, target: &Path) -> Result<(), CommandError> {
    let docker = session.docker().await?;
    let failed = |source| claw_engine::files::FileError { what: "write", path: target.to_owned(), source };
    let (reader, mut writer) = std::io::pipe().map_err(failed)?;
    let own = target.to_owned();
    let unpacking = std::thread::spawn(move || {
        let mut archive = tar::Archive::new(std::io::BufReader::new(reader));
        archive.unpack(own)?;
        // What fills the archive up after its last entry.
        std::io::copy(&mut archive.into_inner(), &mut std::io::sink()).map(drop)
    });
    let came = docker.archive_to(id, path, &mut |piece| writer.write_all(piece)).await;
    drop(writer);
    let unpacked = unpacking.join().unwrap_or_else(|_| Err(std::io::Error::other("it cannot be unpacked")));
    // What could not be written here is why nothing more was taken.
    match (came, unpacked) {
        (Err(error), Err(_)) if error.status.is_some() => Err(error.into()),
        (_, Err(error)) => Err(failed(error).into()),
        (came, Ok(())) => Ok(came?),
    }
}

async fn into(session: &Session<'_>, service: &str, id: &str, source: &str, path: &str) -> Result<(), CommandError> {
    let docker = session.docker().await?;
    // What is in a directory, rather than the directory.
    let is_content = source == "." || source.ends_with("/.");
    let source = Path::new(source);
    let failed = |error| claw_engine::files::FileError { what: "read", path: source.to_owned(), source: error };
    let own = source.canonicalize().map_err(failed)?;
    let own = own.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let (directory, name) = match docker.is_directory(id, path).await? {
        Some(true) if is_content => (path, ".".to_owned()),
        Some(true) => (path, own),
        _ => match path.trim_end_matches('/').rsplit_once('/') {
            Some(("", name)) => ("/", name.to_owned()),
            Some((directory, name)) => (directory, name.to_owned()),
            None => return Err(CommandError::Usage(format!("`{path}` is not absolute: write `{service}:/path`"))),
        },
    };
    let (reader, writer) = std::io::pipe().map_err(failed)?;
    let from = source.to_owned();
    let packing = std::thread::spawn(move || {
        let mut archive = tar::Builder::new(std::io::BufWriter::new(writer));
        // A link is copied as one: what it leads to may be another's.
        archive.follow_symlinks(false);
        match from.is_dir() {
            true => archive.append_dir_all(&name, &from)?,
            false => archive.append_path_with_name(&from, &name)?,
        }
        archive.into_inner()?.flush()
    });
    let sent = docker.unpack_from(id, directory, reader).await;
    // Where nobody reads any more it is not waited for: it would wait for a reader.
    if sent.is_err() && !packing.is_finished() {
        return Ok(sent?);
    }
    let packed = tokio::task::spawn_blocking(|| packing.join()).await;
    let packed = packed.ok().and_then(Result::ok);
    match packed.unwrap_or_else(|| Err(std::io::Error::other("it cannot be packed"))) {
        // Why nobody reads any more, the engine says.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            session.ui.progress(&format!("what came before it is in `{service}` already"));
            Err(failed(error).into())
        }
        _ => Ok(sent?),
    }
}
