//! `claw cp`: files into a container and out of one.

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
    let archive = session.docker().await?.archive(id, path).await?;
    let target = Path::new(target);
    let failed = |source| claw_engine::files::FileError { what: "write", path: target.to_owned(), source };
    let mut archive = tar::Archive::new(archive.as_slice());
    if target.is_dir() {
        // It keeps to the directory, whatever the names in the archive are.
        return Ok(archive.unpack(target).map_err(failed)?);
    }
    let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let scratch = parent.join(format!(".claw-cp-{}", std::process::id()));
    std::fs::create_dir(&scratch).map_err(failed)?;
    let moved = archive.unpack(&scratch).and_then(|()| {
        let first = std::fs::read_dir(&scratch)?.next().transpose()?;
        first.map_or(Ok(()), |first| std::fs::rename(first.path(), target))
    });
    let removed = std::fs::remove_dir_all(&scratch);
    Ok(moved.and(removed).map_err(failed)?)
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
    let mut archive = tar::Builder::new(Vec::new());
    // A link is copied as one: what it leads to may be another's.
    archive.follow_symlinks(false);
    let added = match source.is_dir() {
        true => archive.append_dir_all(&name, source),
        false => archive.append_path_with_name(source, &name),
    };
    let archive = added.and_then(|()| archive.into_inner()).map_err(failed)?;
    Ok(docker.unpack(id, directory, archive).await?)
}
