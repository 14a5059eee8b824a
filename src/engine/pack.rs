//! The infra image: claw's own executable in an image `FROM scratch`, the same bytes from the same executable.

use std::io;
use std::os::unix::fs::MetadataExt;

use claw_types::image::{INFRA_PROGRAM, INFRA_REPOSITORY};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::apply::{ApplyError, Site};
use crate::docker::Docker;
use crate::state;

/// Directories of the image: path, mode, owner.
const FOLDERS: &[(&str, u32, u64)] = &[
    ("bin/", 0o755, 0),
    ("claw/", 0o755, 0),
    ("etc/", 0o755, 0),
    ("mnt/", 0o755, 0),
    ("own/", 0o755, 0),
    ("run/", 0o755, 0),
    ("run/secrets/", 0o755, 0),
    ("tmp/", 0o1777, 0),
    ("var/", 0o755, 0),
    ("var/lib/", 0o755, 0),
    ("var/lib/claw/", 0o700, 65532),
];

/// An image ready to be loaded.
pub struct Packed {
    /// The id the engine will give it.
    pub id: String,
    /// The archive of `docker load`.
    pub archive: Vec<u8>,
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn header(path: &str, size: u64, mode: u32, owner: u64, is_folder: bool) -> io::Result<tar::Header> {
    let mut header = tar::Header::new_ustar();
    header.set_path(path)?;
    header.set_size(size);
    header.set_mode(mode);
    header.set_uid(owner);
    header.set_gid(owner);
    header.set_mtime(0);
    header.set_entry_type(if is_folder { tar::EntryType::Directory } else { tar::EntryType::Regular });
    header.set_cksum();
    Ok(header)
}

/// Returns the architecture of this executable, in Docker's words.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Why an executable with a loader cannot be packed.
pub(crate) fn dynamic() -> io::Error {
    io::Error::other("this claw is linked dynamically and cannot run in an empty image: build it with +crt-static")
}

/// Returns the image of this executable.
///
/// # Errors
/// Where the executable cannot be read, or needs a loader that an empty image does not have.
pub fn pack(version: &str) -> Result<Packed, ApplyError> {
    let program = std::env::current_exe().map_err(ApplyError::Pack)?;
    let bytes = std::fs::read(program).map_err(ApplyError::Pack)?;
    if is_dynamic(&bytes) {
        return Err(ApplyError::Pack(dynamic()));
    }
    image(&bytes, version).map_err(ApplyError::Pack)
}

/// Returns whether this executable needs no loader, so that it can be packed.
pub fn is_static() -> bool {
    std::env::current_exe().and_then(std::fs::read).is_ok_and(|bytes| !is_dynamic(&bytes))
}

/// Packs claw's own image where a build starts from it and the engine does not have it as this claw packs it.
///
/// # Errors
/// Where it cannot be packed or loaded.
pub async fn ensure(
    build: &claw_compiler::resolve::Build,
    version: &str,
    docker: &Docker,
    progress: &dyn Fn(&str),
) -> Result<(), ApplyError> {
    if !build.base.as_deref().is_some_and(crate::observe::is_infra) {
        return Ok(());
    }
    let name = format!("{INFRA_REPOSITORY}:{version}");
    let packed = pack(version)?;
    if docker.image(&name).await?.and_then(|facts| facts.id).as_ref() != Some(&packed.id) {
        progress(&format!("pack image {name}"));
        docker.load(&name, packed.archive).await?;
    }
    Ok(())
}

/// Returns the id of the image this executable is packed into. Working it out means reading the whole executable, so it is
/// remembered for as long as the executable does not change.
///
/// # Errors
/// Where the executable cannot be read or packed.
pub(crate) fn id(site: &Site<'_>) -> Result<String, ApplyError> {
    let metadata = std::env::current_exe().and_then(std::fs::metadata).map_err(ApplyError::Pack)?;
    let project = site.vault.project();
    let program = format!("{}-{}.{}-{}", metadata.len(), metadata.mtime(), metadata.mtime_nsec(), metadata.ino());
    if let Some(id) = state::packed(site.root, project, &program) {
        return Ok(id);
    }
    let packed = pack(site.version)?;
    state::record_packed(site.root, project, &program, &packed.id);
    Ok(packed.id)
}

fn image(bytes: &[u8], version: &str) -> io::Result<Packed> {
    let mut layer = tar::Builder::new(Vec::new());
    for (path, mode, owner) in FOLDERS {
        layer.append(&header(path, 0, *mode, *owner, true)?, io::empty())?;
    }
    let passwd: &[u8] = b"root:x:0:0:root:/:/sbin/nologin\nclaw:x:65532:65532:claw:/var/lib/claw:/sbin/nologin\n";
    let group: &[u8] = b"root:x:0:\nclaw:x:65532:\n";
    let program = INFRA_PROGRAM.trim_start_matches('/');
    for (path, mode, content) in [(program, 0o755, bytes), ("etc/group", 0o644, group), ("etc/passwd", 0o644, passwd)] {
        layer.append(&header(path, content.len() as u64, mode, 0, false)?, content)?;
    }
    let layer = layer.into_inner()?;
    let config = json!({
        "architecture": architecture(),
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {
            "User": "65532:65532",
            "Entrypoint": [INFRA_PROGRAM],
            "WorkingDir": "/",
            "Env": ["PATH=/bin", "HOME=/var/lib/claw"],
            "Labels": { "claw.schema": "1" },
        },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{}", hex(&layer))] },
        "history": [{ "created": "1970-01-01T00:00:00Z", "created_by": "claw" }],
    })
    .to_string();
    let id = hex(config.as_bytes());
    let tags = [format!("{INFRA_REPOSITORY}:{version}"), format!("{INFRA_REPOSITORY}:latest")];
    let manifest = json!([{ "Config": format!("{id}.json"), "RepoTags": tags, "Layers": ["layer.tar"] }]).to_string();
    let mut archive = tar::Builder::new(Vec::new());
    for (path, content) in [
        (format!("{id}.json"), config.as_bytes()),
        ("layer.tar".to_owned(), &layer),
        ("manifest.json".to_owned(), manifest.as_bytes()),
    ] {
        archive.append(&header(&path, content.len() as u64, 0o644, 0, false)?, content)?;
    }
    Ok(Packed { id: format!("sha256:{id}"), archive: archive.into_inner()? })
}

/// Returns whether a 64-bit ELF file asks for a loader (`PT_INTERP`).
pub(crate) fn is_dynamic(bytes: &[u8]) -> bool {
    let number = |at: usize, size: usize| -> usize {
        bytes.get(at..at + size).map_or(0, |raw| raw.iter().rev().fold(0, |sum, byte| (sum << 8) | usize::from(*byte)))
    };
    if bytes.get(..5) != Some(b"\x7fELF\x02") {
        return false;
    }
    let (table, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    (0..count).any(|index| number(table + index * size, 4) == 3)
}
