//! A persona as an OCI image layout in the pod's directory: a directory, or a tar of one.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use claw_types::path::PodPath;
use serde::Deserialize;
use serde_json::json;

use super::PersonaError;
use super::artifact::{Artifact, Blob, EMPTY_BYTES, MANIFEST, MOST_MANIFEST, TYPE, files_of, layer_of};
use super::files::{Files, MOST_ARCHIVE, digest, inside, whole};
use super::reference::hex_of;
use crate::files::read_bytes;

/// The file that says what a layout is.
const MARK: &str = "oci-layout";

/// The most entries of a tar that are looked at.
const MOST_ENTRIES: usize = 1000;

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Blob>,
}

/// The blobs of a layout, wherever they lie.
enum Layout<'l> {
    Directory(&'l Path),
    Tar(BTreeMap<String, Vec<u8>>),
}

impl Layout<'_> {
    fn get(&self, path: &str, most: usize) -> Result<Vec<u8>, PersonaError> {
        let found = match self {
            Layout::Tar(files) => files.get(path).filter(|bytes| bytes.len() <= most).cloned(),
            Layout::Directory(root) => {
                let place = root.join(path);
                // A link could name any file of this host.
                if place.canonicalize().is_ok_and(|real| !real.starts_with(root)) {
                    return Err(PersonaError::new(format!("has a link that leads out of it: `{path}`")));
                }
                read_bytes(&place, most as u64)
                    .map_err(|error| PersonaError::new(format!("cannot be read: {error}")))?
            }
        };
        found.ok_or_else(|| PersonaError::new(format!("has no `{path}`")))
    }

    fn blob(&self, blob: &Blob, most: usize) -> Result<Vec<u8>, PersonaError> {
        let hex = hex_of(&blob.digest);
        let hex = hex.ok_or_else(|| PersonaError::new("names a blob by something that is no SHA-256"))?;
        self.get(&format!("blobs/sha256/{hex}"), most)
    }
}

/// Reads a layout below a root; nothing where there is none.
pub(super) fn read(root: &Path, path: &PodPath) -> Result<Option<Files>, PersonaError> {
    let Some(real) = inside(root, path)? else { return Ok(None) };
    let layout = if real.is_dir() { Layout::Directory(&real) } else { Layout::Tar(tar(&real)?) };
    layout.get(MARK, MOST_MANIFEST).map_err(|_| PersonaError::new(format!("is no OCI layout: it has no `{MARK}`")))?;
    let index = layout.get("index.json", MOST_MANIFEST)?;
    let index: Index =
        serde_json::from_slice(&index).map_err(|error| PersonaError::new(format!("has no index: {error}")))?;
    let [entry] = index.manifests.as_slice() else {
        return Err(PersonaError::new(format!("has {} manifests, and a persona is one", index.manifests.len())));
    };
    let manifest = layout.blob(entry, MOST_MANIFEST)?;
    let found = digest(&manifest);
    if found != entry.digest {
        return Err(PersonaError::new(format!(
            "was changed: its manifest is {found}, and its index says {}",
            entry.digest
        )));
    }
    let layer = layer_of(&manifest)?;
    files_of(&layout.blob(&layer, MOST_ARCHIVE)?, &layer).map(Some)
}

/// Reads a tar of a layout into memory.
fn tar(path: &Path) -> Result<BTreeMap<String, Vec<u8>>, PersonaError> {
    let broken = |error: io::Error| PersonaError::new(format!("is no OCI layout: {error}"));
    let bytes = read_bytes(path, (MOST_ARCHIVE * 2) as u64).map_err(|error| PersonaError::new(error.to_string()))?;
    let mut files = BTreeMap::new();
    let mut archive = tar::Archive::new(bytes.as_deref().unwrap_or_default());
    for entry in archive.entries().map_err(broken)?.take(MOST_ENTRIES) {
        let mut entry = entry.map_err(broken)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).trim_start_matches("./").to_owned();
        let mut content = Vec::new();
        (&mut entry).take(MOST_ARCHIVE as u64).read_to_end(&mut content).map_err(broken)?;
        files.insert(name, content);
    }
    Ok(files)
}

/// Writes an artifact as a layout into a directory that is not there yet. Returns the digest of its manifest.
pub(super) fn write(folder: &Path, artifact: &Artifact) -> Result<String, PersonaError> {
    whole(folder, |folder| write_into(folder, artifact))
}

fn write_into(folder: &Path, artifact: &Artifact) -> Result<String, PersonaError> {
    let failed = |error: io::Error| PersonaError::host(folder, &error);
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs).map_err(failed)?;
    let named = digest(&artifact.manifest);
    let size = artifact.manifest.len();
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{ "mediaType": MANIFEST, "digest": named, "size": size, "artifactType": TYPE }],
    });
    let mark = json!({ "imageLayoutVersion": "1.0.0" });
    for bytes in [artifact.manifest.as_slice(), &artifact.layer, EMPTY_BYTES] {
        let digest = digest(bytes);
        fs::write(blobs.join(digest.trim_start_matches("sha256:")), bytes).map_err(failed)?;
    }
    fs::write(folder.join("index.json"), index.to_string()).map_err(failed)?;
    fs::write(folder.join(MARK), mark.to_string()).map_err(failed)?;
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_comes_back_as_directory_and_as_tar_and_is_refused_once_it_is_changed() {
        let root = std::env::temp_dir().join(format!("claw-persona-layout-{}", std::process::id()));
        fs::create_dir_all(root.join("p")).expect("made");
        fs::write(root.join("p/SOUL.md"), "calm\n").expect("written");
        let path = |text: &str| PodPath::parse(text).expect("a path");
        let files = Files::read(&root, &path("p")).expect("read").expect("there");
        let artifact = Artifact::of(&files).expect("packed");
        let named = write(&root.join("dist"), &artifact).expect("written");
        assert_eq!(named, digest(&Artifact::of(&files).expect("packed").manifest), "the same files, the same digest");
        assert_eq!(read(&root, &path("dist")).expect("read"), Some(files.clone()));
        let mut tar = tar::Builder::new(fs::File::create(root.join("dist.tar")).expect("made"));
        tar.append_dir_all(".", root.join("dist")).expect("packed");
        tar.into_inner().expect("written");
        assert_eq!(read(&root, &path("dist.tar")).expect("read"), Some(files));
        let refused = |name: &str| read(&root, &path(name)).expect_err("refused").to_string();
        assert_eq!(refused("p"), "is no OCI layout: it has no `oci-layout`");
        let layer = artifact.read.layers[0].digest.trim_start_matches("sha256:").to_owned();
        let mut bytes = artifact.layer.clone();
        *bytes.last_mut().expect("a byte") ^= 1;
        fs::write(root.join("dist/blobs/sha256").join(layer), bytes).expect("written");
        assert!(refused("dist").starts_with("was changed: its layer is sha256:"), "{}", refused("dist"));
        fs::remove_dir_all(root).expect("removed");
    }
}
