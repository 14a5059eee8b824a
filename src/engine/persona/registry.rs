//! A persona in a registry: fetched and put there by the distribution API. This file and `login.rs` alone name the API's library.

use std::error::Error;
use std::time::Duration;

use futures_util::StreamExt;
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};

use super::artifact::{Artifact, Blob, EMPTY_BYTES, MANIFEST, MOST_MANIFEST, files_of, layer_of};
use super::files::{Files, MOST_ARCHIVE, digest};
use super::login::login;
use super::{PersonaError, Unfetched};

/// How long a registry may take to be reached, and to go on with what it says.
const PATIENCE: Duration = Duration::from_secs(30);

/// Returns a reference in the library's words.
fn parse(reference: &str) -> Result<Reference, PersonaError> {
    Reference::try_from(reference).map_err(|error| PersonaError::new(format!("is no name of an artifact: {error}")))
}

/// Returns whether a registry is on this host's loopback: plain HTTP leads nowhere else from there.
fn is_loopback(registry: &str) -> bool {
    let host = match registry.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => registry.split(':').next().unwrap_or(registry),
    };
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Returns who logs in: nobody where what logs in would be sent in clear to another machine.
async fn auth(registry: &str, is_plain: bool) -> RegistryAuth {
    if may_log_in(registry, is_plain) { login(registry).await } else { RegistryAuth::Anonymous }
}

fn may_log_in(registry: &str, is_plain: bool) -> bool {
    !is_plain || is_loopback(registry)
}

/// Returns a client that speaks TLS, and plain HTTP to a loopback registry alone, or where that is asked for.
fn client(registry: &str, is_plain: bool) -> Result<Client, PersonaError> {
    // Whoever was first in this process chose the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let is_plain = is_plain || is_loopback(registry);
    let config = ClientConfig {
        protocol: if is_plain { ClientProtocol::Http } else { ClientProtocol::Https },
        // An artifact is one manifest: a list of several is none.
        platform_resolver: None,
        read_timeout: Some(PATIENCE),
        connect_timeout: Some(PATIENCE),
        user_agent: concat!("claw/", env!("CARGO_PKG_VERSION")),
        ..ClientConfig::default()
    };
    Client::try_from(config).map_err(|error| failed("be fetched", &error))
}

fn failed(what: &str, error: &dyn Error) -> PersonaError {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = inner.source();
    }
    PersonaError::new(format!("cannot {what}: {}", text.escape_debug()))
}

/// Tells a registry that does not give something from one that gives something else.
fn unfetched(error: &OciDistributionError) -> Unfetched {
    use OciDistributionError as E;
    let why = failed("be fetched", error);
    match error {
        E::RequestError(_)
        | E::IoError(_)
        | E::ServerError { .. }
        | E::RegistryError { .. }
        | E::UnauthorizedError { .. }
        | E::AuthenticationFailure(_)
        | E::ImageManifestNotFoundError(_) => Unfetched::Away(why),
        _ => Unfetched::Other(why),
    }
}

/// Fetches a persona; where a digest is given, the manifest must have it. Returns its files, and the digest of its manifest.
pub(super) async fn pull(reference: &str, wanted: Option<&str>, is_plain: bool) -> Result<(Files, String), Unfetched> {
    let named = parse(reference)?;
    let named = match wanted {
        Some(digest) => named.clone_with_digest(digest.to_owned()),
        None => named,
    };
    let registry = named.resolve_registry().to_owned();
    let client = client(&registry, is_plain)?;
    let auth = auth(&registry, is_plain).await;
    let (manifest, _) =
        client.pull_manifest_raw(&named, &auth, &[MANIFEST]).await.map_err(|error| unfetched(&error))?;
    if manifest.len() > MOST_MANIFEST {
        return Err(PersonaError::new("has a manifest that is longer than that of a persona").into());
    }
    let found = digest(&manifest);
    if let Some(wanted) = wanted.or(named.digest()).filter(|wanted| *wanted != found) {
        let why = format!("was changed: its manifest is {found}, and {wanted} was asked for");
        return Err(PersonaError::new(why).into());
    }
    let layer = layer_of(&manifest)?;
    Ok((files_of(&blob(&client, &named, &layer).await?, &layer)?, found))
}

/// Fetches a blob of the size its manifest says; its digest is looked at by whoever reads it.
async fn blob(client: &Client, named: &Reference, layer: &Blob) -> Result<Vec<u8>, Unfetched> {
    // The digest alone: a manifest may name other places to fetch a layer from, and nobody goes there.
    let stream = client.pull_blob_stream(named, layer.digest.as_str()).await;
    let mut stream = stream.map_err(|error| unfetched(&error))?.stream;
    let most = usize::try_from(layer.size).unwrap_or(MOST_ARCHIVE).min(MOST_ARCHIVE);
    let mut bytes = Vec::new();
    while let Some(piece) = stream.next().await {
        bytes.extend_from_slice(&piece.map_err(|error| failed("be fetched", &error))?);
        if bytes.len() > most {
            return Err(PersonaError::new("was changed: its layer is longer than its manifest says").into());
        }
    }
    Ok(bytes)
}

/// Puts an artifact into a registry. Returns the digest of its manifest.
pub(super) async fn push(reference: &str, artifact: &Artifact, is_plain: bool) -> Result<String, PersonaError> {
    let named = parse(reference)?;
    if named.digest().is_some() {
        return Err(PersonaError::new("is named by a digest: name a tag, the digest is what comes of it"));
    }
    let put = |error: &dyn Error| failed("be pushed", error);
    let registry = named.resolve_registry().to_owned();
    let client = client(&registry, is_plain)?;
    client.store_auth_if_needed(&registry, &auth(&registry, is_plain).await).await;
    let blobs = [(&artifact.layer, &artifact.read.layers[0]), (&EMPTY_BYTES.to_vec(), &artifact.read.config)]
        .map(|(bytes, blob)| (bytes.clone(), blob.digest.clone()));
    for (bytes, digest) in blobs {
        client.push_blob(&named, bytes, &digest).await.map_err(|error| put(&error))?;
    }
    let kind = MANIFEST.parse().map_err(|error| put(&error))?;
    client.push_manifest_raw(&named, artifact.manifest.clone(), kind).await.map_err(|error| put(&error))?;
    Ok(digest(&artifact.manifest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_host_alone() {
        for registry in ["localhost", "localhost:5000", "127.0.0.1:5000", "127.9.9.9", "[::1]:5000"] {
            assert!(is_loopback(registry), "{registry}");
        }
        for registry in ["ghcr.io", "localhost.example:5000", "10.0.0.1:5000", "127.0.0.1.example", "[fd00::1]:5000"] {
            assert!(!is_loopback(registry), "{registry}");
        }
    }

    #[test]
    fn what_is_not_what_was_asked_for_is_not_away() {
        let url = "http://127.0.0.1:1/v2/a".to_owned();
        let away = OciDistributionError::UnauthorizedError { url };
        assert!(matches!(unfetched(&away), Unfetched::Away(_)));
        let digests = ("sha256:aa".to_owned(), "sha256:bb".to_owned());
        let wrong = oci_client::errors::DigestError::VerificationError { expected: digests.0, actual: digests.1 };
        assert!(matches!(unfetched(&OciDistributionError::DigestError(wrong)), Unfetched::Other(_)));
        let broken = OciDistributionError::ManifestParsingError(String::new());
        assert!(matches!(unfetched(&broken), Unfetched::Other(_)));
    }

    #[test]
    fn nobody_logs_in_where_all_could_read_it() {
        assert!(!may_log_in("registry.example:5000", true));
        assert!(may_log_in("registry.example:5000", false) && may_log_in("127.0.0.1:5000", true));
    }
}
