//! Personas: found where the pod names them, kept by their digest, copied into volumes, read back from there, and put into registries.
//!
//! `files.rs` has the files and their one archive, `artifact.rs` what an artifact is, `layout.rs` and `registry.rs` where one lies, `reference.rs` how it is
//! called there, `wire.rs` how a registry is spoken to, `login.rs` who asks for it, `volume.rs` what agents made of theirs.

use std::io;
use std::path::{Path, PathBuf};

use claw_compiler::facts::{KnownPersona, LockedPersona, PersonaFact};
use claw_types::persona::{Persona, PersonaSource};
use claw_types::span::SourceMap;

use crate::files::{cache, make_private, write_bytes};

mod artifact;
mod files;
mod layout;
mod login;
mod reference;
mod registry;
mod volume;
mod wire;

pub use files::{Files, digest, free};
pub(crate) use volume::{moved, packed_of, seed, unusable};
pub use volume::{reset, seeded, snapshot};

/// Why a persona cannot be used: how a message goes on after its name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PersonaError(String);

impl PersonaError {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }

    fn host(path: &Path, error: &io::Error) -> Self {
        Self(format!("cannot be read or written: `{}`: {error}", path.display()))
    }
}

/// Returns what became of a persona that a pod names, and adds its texts to the sources. One that the lock has is the one it was, from the
/// registry or from where it was kept; where neither has it, what the lock says is all there is.
pub(crate) async fn find(name: &str, root: &Path, pin: Option<&LockedPersona>, sources: &mut SourceMap) -> PersonaFact {
    let found = match PersonaSource::parse(name) {
        Ok(PersonaSource::Path(path)) => Files::read(root, &path).map(|files| files.map(|files| (files, None))),
        Ok(PersonaSource::Layout(path)) => layout::read(root, &path).map(|files| files.map(|files| (files, None))),
        Ok(PersonaSource::Registry(reference)) => match (fetch(&reference, pin).await, pin) {
            (Ok((files, digest)), _) => Ok(Some((files, Some(digest)))),
            // A pod whose persona was copied long ago needs no registry.
            (Err(Unfetched::Away(_) | Unfetched::Refused(_)), Some(pin)) => {
                return PersonaFact::Known(KnownPersona::locked(pin));
            }
            (Err(Unfetched::Away(error) | Unfetched::Refused(error) | Unfetched::Other(error)), _) => Err(error),
        },
        Err(bad) => Err(PersonaError::new(bad.to_string())),
    };
    match found {
        Ok(None) => PersonaFact::Missing,
        Err(PersonaError(why)) => PersonaFact::Unusable(why),
        Ok(Some((files, artifact))) => {
            let texts = files.texts().map(|(path, text)| sources.add(format!("{name}/{path}"), text)).collect();
            let archive = files.archive();
            let digest = digest(archive.bytes());
            PersonaFact::Known(KnownPersona { digest, artifact, archive: Some(archive), texts })
        }
    }
}

/// Why an artifact was not fetched.
enum Unfetched {
    /// The registry does not give it now.
    Away(PersonaError),
    /// The registry lets nobody in who shows what was shown.
    Refused(PersonaError),
    /// What it gave is not what was asked for, or no persona.
    Other(PersonaError),
}

impl From<PersonaError> for Unfetched {
    fn from(error: PersonaError) -> Self {
        Self::Other(error)
    }
}

impl From<Unfetched> for PersonaError {
    fn from(error: Unfetched) -> Self {
        match error {
            Unfetched::Away(error) | Unfetched::Refused(error) | Unfetched::Other(error) => error,
        }
    }
}

/// Fetches an artifact, or takes it from where it was kept; what the lock says of it must hold.
async fn fetch(reference: &str, pin: Option<&LockedPersona>) -> Result<(Files, String), Unfetched> {
    if let Some(pin) = pin
        && let Some(files) = kept(&pin.content)
    {
        return Ok((files, pin.digest.clone()));
    }
    let wanted = pin.map(|pin| pin.digest.as_str());
    let (files, digest) = registry::pull(reference, wanted, false).await?;
    let content = keep(&files);
    match pin.filter(|pin| pin.content != content) {
        Some(pin) => {
            let why = format!("was changed: its files are {content}, and `claw.lock` says {}", pin.content);
            Err(Unfetched::Other(PersonaError::new(why)))
        }
        None => Ok((files, digest)),
    }
}

/// Returns where archives are kept by their digests: what a digest names never changes, so it is fetched once for a user.
fn place(digest: &str) -> Option<PathBuf> {
    Some(cache()?.join("personas").join(reference::hex_of(digest)?))
}

fn kept(content: &str) -> Option<Files> {
    let bytes = std::fs::read(place(content)?).ok().filter(|bytes| digest(bytes) == content)?;
    Files::unpack(bytes.as_slice(), "", false).ok()
}

/// Keeps the archive of files; without it they are fetched again. Returns its digest.
fn keep(files: &Files) -> String {
    let archive = files.archive();
    let digest = digest(archive.bytes());
    if let Some(place) = place(&digest)
        && let Some(folder) = place.parent()
        && make_private(folder).is_ok()
    {
        let _ = write_bytes(&place, archive.bytes(), 0o600);
    }
    digest
}

/// Returns the files of a persona of a plan, fetched where nobody had to look at them before.
///
/// # Errors
/// Where no registry gives them, or what it gives is not what the lock says.
pub(crate) async fn obtain(persona: &Persona) -> Result<Files, PersonaError> {
    if let Some(archive) = &persona.archive {
        return Files::unpack(archive.bytes(), "", false);
    }
    let Some(artifact) = &persona.artifact else { return Err(PersonaError::new("is not here")) };
    let pin = LockedPersona { digest: artifact.digest.clone(), content: persona.digest.clone() };
    let (files, _) = fetch(&artifact.reference, Some(&pin)).await?;
    looked_through(files)
}

/// Refuses what nobody sees in texts of an artifact, as compiling does: it was not there to be looked through then.
fn looked_through(files: Files) -> Result<Files, PersonaError> {
    if let Some((path, _)) = files.texts().find(|(_, text)| claw_compiler::plan::has_unseen(text)) {
        return Err(PersonaError::new(format!("holds characters that nobody sees: `{path}`")));
    }
    Ok(files)
}

/// What was fetched or put somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The digest of the artifact's manifest.
    pub digest: String,
    /// The digest of the archive of its files.
    pub content: String,
}

/// Fetches a persona: from a registry, or of an OCI layout of a directory.
///
/// # Errors
/// Where there is none, or the registry refuses.
pub async fn pull(name: &str, root: &Path, is_plain: bool) -> Result<(Files, Moved), PersonaError> {
    let (files, digest) = match PersonaSource::parse(name).map_err(|bad| PersonaError::new(bad.to_string()))? {
        PersonaSource::Registry(reference) => registry::pull(&reference, None, is_plain).await?,
        PersonaSource::Layout(path) => {
            let files = layout::read(root, &path)?.ok_or_else(|| PersonaError::new("does not exist"))?;
            let digest = digest(&artifact::Artifact::of(&files)?.manifest);
            (files, digest)
        }
        PersonaSource::Path(_) => return Err(PersonaError::new("is a path, and nothing to pull")),
    };
    let content = keep(&files);
    Ok((files, Moved { digest, content }))
}

/// Puts files as an artifact into a registry, or as an OCI layout into a directory.
///
/// # Errors
/// Where the registry or the host refuses.
pub async fn push(files: &Files, name: &str, root: &Path, is_plain: bool) -> Result<Moved, PersonaError> {
    let artifact = artifact::Artifact::of(files)?;
    let digest = match PersonaSource::parse(name).map_err(|bad| PersonaError::new(bad.to_string()))? {
        PersonaSource::Registry(reference) => registry::push(&reference, &artifact, is_plain).await?,
        PersonaSource::Layout(path) => layout::write(&root.join(path.as_str()), &artifact)?,
        PersonaSource::Path(_) => {
            return Err(PersonaError::new("is no name of an artifact: write `host/name:tag`, or `file://` and a path"));
        }
    };
    Ok(Moved { digest, content: files::digest(files.archive().bytes()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_fetched_late_is_looked_through_too() {
        let files = |text: &str| {
            let root = std::env::temp_dir().join(format!("claw-persona-late-{}", std::process::id()));
            std::fs::create_dir_all(&root).expect("made");
            std::fs::write(root.join("SOUL.md"), text).expect("written");
            let files = Files::read_at(&root).expect("read");
            std::fs::remove_dir_all(root).expect("removed");
            files
        };
        assert!(looked_through(files("calm\n")).is_ok());
        let why = looked_through(files("a\u{200b}b\n")).expect_err("refused").to_string();
        assert_eq!(why, "holds characters that nobody sees: `SOUL.md`");
    }

    #[test]
    fn nothing_is_kept_under_what_is_no_digest() {
        for wrong in ["sha256:", "sha256:aa", &format!("sha256:{}", "A1".repeat(32)), "sha256:../../x"] {
            assert_eq!(place(wrong), None, "{wrong}");
        }
    }
}
