//! Manuals and descriptions out of images: one file, read without running anything of the image.
//!
//! A container is made of the image, never started, and taken away again. What an image of an id holds never changes, so it
//! is read once for a user: below `$XDG_CACHE_HOME/claw/manuals`, or `~/.cache`; without either it is read each time.

use std::path::PathBuf;

use claw_types::image::{ImageRef, compose, label};
use claw_types::path::ContainerPath;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::docker::{Docker, EngineError, Inside};
use crate::files::{cache, make_private, write_bytes};

/// How often a container that another run takes away is made again.
const TRIES: u32 = 5;

/// The most bytes of a file: those of a description. A manual's own limit is the compiler's to tell.
pub(crate) const LIMIT: usize = claw_compiler::described::LIMIT;

/// Returns what is at a path of an image, named by its id; nothing where there is no such file.
///
/// # Errors
/// Where the engine does not answer.
pub(crate) async fn read(
    docker: &Docker,
    image: &ImageRef,
    path: &ContainerPath,
) -> Result<Option<Inside>, EngineError> {
    let kept = kept(image, path);
    if let Some(bytes) = kept.as_ref().and_then(|kept| std::fs::read(kept).ok()) {
        return Ok(Some(Inside::File(bytes)));
    }
    let found = fresh(docker, image, path).await?;
    if let (Some(kept), Some(Inside::File(bytes))) = (&kept, &found)
        && let Some(folder) = kept.parent()
        && make_private(folder).is_ok()
    {
        // Without the copy it is read again.
        let _ = write_bytes(kept, bytes, 0o600);
    }
    Ok(found)
}

/// Returns where the manual of an image is kept.
fn kept(image: &ImageRef, path: &ContainerPath) -> Option<PathBuf> {
    let digest = Sha256::digest(format!("{image}\0{path}"));
    let name: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Some(cache()?.join("manuals").join(name))
}

async fn fresh(docker: &Docker, image: &ImageRef, path: &ContainerPath) -> Result<Option<Inside>, EngineError> {
    let digest = Sha256::digest(image.as_str());
    let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let name = format!("claw-manual-{name}");
    let body = json!({
        "Image": image.as_str(),
        // Never run: an image without a program can be read too.
        "Entrypoint": ["/"],
        "Cmd": [],
        "NetworkDisabled": true,
        "Labels": { compose::ONEOFF: "True", label::ROLE: "init", label::SCHEMA: "1" },
        "HostConfig": { "NetworkMode": "none" },
    });
    for _ in 0..TRIES {
        let (container, is_shared) = match docker.create_container(&name, None, body.clone()).await {
            Ok(container) => (container, false),
            // Of a run that was cut short, or of one beside this one: the name is the image's id, so it is of that image.
            Err(error) if error.status == Some(409) => (name.clone(), true),
            Err(error) => return Err(error),
        };
        let found = docker.get(&container, path.as_str(), LIMIT).await;
        docker.remove_container(&container, true).await?;
        match found {
            // The engine follows links in the directories above the file; where that fails there is nothing to read.
            Err(error) if error.status == Some(500) => return Ok(Some(Inside::NotRegular)),
            Err(error) => return Err(error),
            // The run beside this one may have taken it away.
            Ok(None) if is_shared => continue,
            Ok(found) => return Ok(found),
        }
    }
    Ok(None)
}
