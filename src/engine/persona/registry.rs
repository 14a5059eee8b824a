//! A persona in a registry: fetched and put there.

use super::artifact::{Artifact, EMPTY_BYTES, MANIFEST, MOST_MANIFEST, files_of, layer_of};
use super::files::{Files, MOST_ARCHIVE, digest};
use super::login::{Login, login};
use super::reference::{Named, is_digest};
use super::wire::{Purpose, Repository, is_loopback};
use super::{PersonaError, Unfetched};

/// Returns who logs in: nobody where what logs in would be sent in clear to another machine.
async fn who(registry: &str, is_plain: bool) -> Login {
    if may_log_in(registry, is_plain) { login(registry).await } else { Login::Nobody }
}

fn may_log_in(registry: &str, is_plain: bool) -> bool {
    !is_plain || is_loopback(registry)
}

/// Fetches a persona; where a digest is given, the manifest must have it. Returns its files, and the digest of its manifest.
pub(super) async fn pull(reference: &str, wanted: Option<&str>, is_plain: bool) -> Result<(Files, String), Unfetched> {
    let named = Named::parse(reference)?;
    let wanted = wanted.or(named.digest.as_deref());
    if let Some(wrong) = wanted.filter(|wanted| !is_digest(wanted)) {
        return Err(PersonaError::new(format!("is asked for by what is no digest: `{}`", wrong.escape_debug())).into());
    }
    let login = who(&named.registry, is_plain).await;
    pulled(&named, wanted, &login, is_plain).await.map_err(|error| hinted(error, &login))
}

/// Returns an error that says what to do about a token that lets nobody in.
fn hinted(error: Unfetched, login: &Login) -> Unfetched {
    let hint = "docker's configuration has an identity token for it: `docker login` gets another, and `docker login -u NAME` a login for a registry that takes names with passwords";
    match (error, login) {
        (Unfetched::Refused(error), Login::Identity(_)) => {
            Unfetched::Refused(PersonaError::new(format!("{error}; {hint}")))
        }
        (other, _) => other,
    }
}

async fn pulled(
    named: &Named,
    wanted: Option<&str>,
    login: &Login,
    is_plain: bool,
) -> Result<(Files, String), Unfetched> {
    let repository = Repository::enter(named, login, is_plain, Purpose::Pull).await?;
    let path = format!("manifests/{}", wanted.unwrap_or(&named.tag));
    let long = "has a manifest that is longer than that of a persona";
    let manifest = repository.get(&path, MANIFEST, MOST_MANIFEST, long).await?;
    let found = digest(&manifest);
    if let Some(wanted) = wanted.filter(|wanted| *wanted != found) {
        let why = format!("was changed: its manifest is {found}, and {wanted} was asked for");
        return Err(PersonaError::new(why).into());
    }
    let layer = layer_of(&manifest)?;
    if !is_digest(&layer.digest) {
        return Err(PersonaError::new("has a manifest that names its layer by no digest").into());
    }
    // The digest alone: a manifest may name other places to fetch a layer from, and nobody goes there.
    let most = usize::try_from(layer.size).unwrap_or(MOST_ARCHIVE).min(MOST_ARCHIVE);
    let long = "was changed: its layer is longer than its manifest says";
    let bytes = repository.get(&format!("blobs/{}", layer.digest), "*/*", most, long).await?;
    Ok((files_of(&bytes, &layer)?, found))
}

/// Puts an artifact into a registry. Returns the digest of its manifest.
pub(super) async fn push(reference: &str, artifact: &Artifact, is_plain: bool) -> Result<String, PersonaError> {
    let named = Named::parse(reference)?;
    if named.digest.is_some() {
        return Err(PersonaError::new("is named by a digest: name a tag, the digest is what comes of it"));
    }
    let login = who(&named.registry, is_plain).await;
    pushed(&named, artifact, &login, is_plain).await.map_err(|error| hinted(error, &login).into())
}

async fn pushed(named: &Named, artifact: &Artifact, login: &Login, is_plain: bool) -> Result<String, Unfetched> {
    let repository = Repository::enter(named, login, is_plain, Purpose::Push).await?;
    for (bytes, blob) in [(artifact.layer.as_slice(), &artifact.read.layers[0]), (EMPTY_BYTES, &artifact.read.config)] {
        repository.put_blob(bytes, &blob.digest).await?;
    }
    repository.put_manifest(&artifact.manifest, MANIFEST, &named.tag).await?;
    Ok(digest(&artifact.manifest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_logs_in_where_all_could_read_it() {
        assert!(!may_log_in("registry.example:5000", true));
        assert!(may_log_in("registry.example:5000", false) && may_log_in("127.0.0.1:5000", true));
    }
}
