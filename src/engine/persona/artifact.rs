//! A persona as an OCI artifact: a manifest of a type of its own, and one layer, a gzipped tar.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use super::PersonaError;
use super::files::{Files, MOST_ARCHIVE, digest};

/// The type of the artifact.
pub(super) const TYPE: &str = "application/vnd.claw.persona.v1";

/// The media type of its layer.
pub(super) const LAYER: &str = "application/vnd.claw.persona.v1.tar+gzip";

/// The media type of its manifest.
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// The media type of a configuration that says nothing.
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// That configuration.
pub(super) const EMPTY_BYTES: &[u8] = b"{}";

/// The most bytes of a manifest.
pub(super) const MOST_MANIFEST: usize = 64 * 1024;

/// What a manifest says of a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Blob {
    pub(super) media_type: String,
    pub(super) digest: String,
    pub(super) size: u64,
}

impl Blob {
    fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self { media_type: media_type.to_owned(), digest: digest(bytes), size: bytes.len() as u64 }
    }
}

/// A manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    schema_version: u32,
    #[serde(default)]
    media_type: String,
    #[serde(default)]
    artifact_type: String,
    pub(super) config: Blob,
    pub(super) layers: Vec<Blob>,
}

/// An artifact: its manifest as bytes, and its layer.
pub(super) struct Artifact {
    pub(super) manifest: Vec<u8>,
    pub(super) layer: Vec<u8>,
    pub(super) read: Manifest,
}

impl Artifact {
    /// Returns the artifact of files. The same files are the same bytes.
    pub(super) fn of(files: &Files) -> Result<Self, PersonaError> {
        let failed = |error: std::io::Error| PersonaError::new(format!("cannot be packed: {error}"));
        let mut layer = GzEncoder::new(Vec::new(), Compression::best());
        layer.write_all(files.archive().bytes()).map_err(failed)?;
        let layer = layer.finish().map_err(failed)?;
        let read = Manifest {
            schema_version: 2,
            media_type: MANIFEST.to_owned(),
            artifact_type: TYPE.to_owned(),
            config: Blob::of(EMPTY, EMPTY_BYTES),
            layers: vec![Blob::of(LAYER, &layer)],
        };
        let manifest = serde_json::to_vec(&read).map_err(|error| failed(error.into()))?;
        Ok(Self { manifest, layer, read })
    }
}

/// Returns the layer that a manifest names.
pub(super) fn layer_of(manifest: &[u8]) -> Result<Blob, PersonaError> {
    let read: Manifest = serde_json::from_slice(manifest)
        .map_err(|error| PersonaError::new(format!("has no manifest of an artifact: {error}")))?;
    if read.artifact_type != TYPE {
        let kind = if read.artifact_type.is_empty() { &read.config.media_type } else { &read.artifact_type };
        return Err(PersonaError::new(format!("is no persona but `{}`", kind.escape_debug())));
    }
    match read.layers.as_slice() {
        [layer] if layer.media_type == LAYER && layer.size <= MOST_ARCHIVE as u64 => Ok(layer.clone()),
        [layer] if layer.media_type == LAYER => Err(PersonaError::new("is larger than a persona may be")),
        _ => Err(PersonaError::new("has not the one layer of a persona")),
    }
}

/// Returns the files of a layer, which must have the digest its manifest names.
pub(super) fn files_of(layer: &[u8], blob: &Blob) -> Result<Files, PersonaError> {
    let found = digest(layer);
    if found != blob.digest {
        return Err(PersonaError::new(format!(
            "was changed: its layer is {found}, and its manifest says {}",
            blob.digest
        )));
    }
    // One byte more than there may be, so that what is longer is no whole archive.
    let files = Files::unpack(GzDecoder::new(layer).take(MOST_ARCHIVE as u64 + 1), "", false)?;
    match files.is_empty() {
        true => Err(PersonaError::new("holds no file")),
        false => Ok(files),
    }
}
