//! Backups: what agents remember, and what claw keeps of a project, as a directory of archives with their digests.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use chrono::{SecondsFormat, Utc};
use claw_compiler::plan::Plan;
use claw_types::image::{compose, label};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::apply::{ApplyError, Site, ensure_infra, make_volume};
use crate::container::Scope;
use crate::docker::{Docker, EngineError, Seen};
use crate::files::{FileError, entries, make_private, remove_tree, write_bytes};
use crate::{persona, state};

/// The list of a backup's parts.
const LIST: &str = "backup.json";

/// The part that holds what claw keeps of the project.
const STATE: &str = "state.tar";

/// The version of the form.
const VERSION: u32 = 1;

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    version: u32,
    /// The version of claw that made it.
    pub claw: String,
    /// The pod it is of.
    pub pod: String,
    /// When it was made, RFC 3339.
    pub time: String,
    /// Its volumes, by key.
    pub volumes: BTreeMap<String, Part>,
    /// What claw keeps of the project.
    pub state: Part,
}

/// An archive of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Its path in the backup.
    pub file: String,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
}

impl Backup {
    /// Reads a backup and compares each part with its digest.
    ///
    /// # Errors
    /// Where it is none, a part is not what it was, or the host refuses.
    pub fn open(folder: &Path) -> Result<Self, ApplyError> {
        let path = folder.join(LIST);
        let text = fs::read_to_string(&path).map_err(|source| failed("read", &path, source))?;
        let wrong = |why: String| ApplyError::Unusable(format!("`{}` is no backup: {why}", folder.display()));
        let backup: Self = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if backup.version != VERSION {
            return Err(wrong(format!("it has the version {}, and this claw reads {VERSION}", backup.version)));
        }
        for part in backup.volumes.values().chain([&backup.state]) {
            let path = folder.join(&part.file);
            let mut file = File::open(&path).map_err(|source| failed("open", &path, source))?;
            let mut hash = Hash { sink: io::sink(), sha: Sha256::new(), bytes: 0 };
            io::copy(&mut file, &mut hash).map_err(|source| failed("read", &path, source))?;
            if hash.part(&part.file) != *part {
                return Err(wrong(format!("`{}` is not what it was when the backup was made", part.file)));
            }
        }
        Ok(backup)
    }
}

fn failed(what: &'static str, path: &Path, source: io::Error) -> ApplyError {
    ApplyError::File(FileError { what, path: path.to_owned(), source })
}

/// Counts and digests what goes through it.
struct Hash<W> {
    sink: W,
    sha: Sha256,
    bytes: u64,
}

impl<W: Write> Write for Hash<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sink.write_all(bytes)?;
        self.sha.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

impl<W> Hash<W> {
    fn part(self, file: &str) -> Part {
        let sha256 = self.sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Part { file: file.to_owned(), sha256, bytes: self.bytes }
    }
}

/// Writes a backup into a directory that is not there yet. Agents that run are held still meanwhile.
///
/// # Errors
/// Where something is there, or the engine or the host refuses.
pub async fn backup(plan: &Plan, folder: &Path, docker: &Docker, site: &Site<'_>) -> Result<Backup, ApplyError> {
    if folder.exists() {
        let source = io::Error::new(io::ErrorKind::InvalidInput, "it is there already");
        return Err(failed("make", folder, source));
    }
    // What is there under its name is whole.
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let temporary = folder.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    let agents: Vec<Seen> = docker.containers(plan.pod.as_str()).await?;
    let is_agent = |seen: &&Seen| seen.state.is_running && !seen.is_oneoff() && seen.labels.contains_key(label::AGENT);
    let agents: Vec<&Seen> = agents.iter().filter(is_agent).collect();
    ensure_infra(plan, docker, site).await?;
    make_private(&temporary)?;
    site.interrupt.set_busy(true);
    let mut paused = Vec::new();
    let mut written = Ok(());
    for seen in &agents {
        match docker.pause(&seen.id).await {
            Ok(()) => paused.push(seen),
            Err(error) => written = Err(ApplyError::from(error)),
        }
    }
    let written = match written {
        Ok(()) => parts(plan, &temporary, docker, site).await,
        Err(error) => Err(error),
    };
    let mut resumed = Ok(());
    for seen in paused {
        resumed = resumed.and(docker.unpause(&seen.id).await);
    }
    site.interrupt.set_busy(false);
    let written = written.and_then(|backup| {
        resumed?;
        let text = serde_json::to_string_pretty(&backup).unwrap_or_default() + "\n";
        write_bytes(&temporary.join(LIST), text.as_bytes(), 0o600)?;
        fs::rename(&temporary, folder).map_err(|source| failed("move into place", folder, source))?;
        Ok(backup)
    });
    if written.is_err() {
        remove_tree(&temporary)?;
    }
    written
}

async fn parts(plan: &Plan, folder: &Path, docker: &Docker, site: &Site<'_>) -> Result<Backup, ApplyError> {
    let scope = Scope::new(plan, site);
    let mut keys = Vec::new();
    for key in owned(plan) {
        if is_own(&scope.volume(key), plan, docker).await? == Some(true) {
            keys.push(key);
        }
    }
    make_private(&folder.join("volumes"))?;
    let helper = helper(&keys, true, plan, docker, site).await?;
    let work = volumes(&keys, folder, &helper, docker, site);
    let copied = tokio::select! {
        done = work => done,
        () = site.interrupt.asked() => Err(ApplyError::Interrupted),
    };
    docker.remove_container(&helper, false).await?;
    let volumes = copied?;
    let mut hash = open(&folder.join(STATE))?;
    pack_state(&site.root.join(".claw").join(plan.pod.as_str()).join("state"), &mut hash)?;
    Ok(Backup {
        version: VERSION,
        claw: site.version.to_owned(),
        pod: plan.pod.to_string(),
        time: Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
        volumes,
        state: hash.part(STATE),
    })
}

/// Copies what volumes hold into archives.
async fn volumes(
    keys: &[&str],
    folder: &Path,
    helper: &str,
    docker: &Docker,
    site: &Site<'_>,
) -> Result<BTreeMap<String, Part>, ApplyError> {
    let mut parts = BTreeMap::new();
    for key in keys {
        (site.progress)(&format!("copy volume {key}"));
        let file = format!("volumes/{key}.tar");
        let mut hash = open(&folder.join(&file))?;
        docker.archive_to(helper, &format!("/own/{key}"), &mut |bytes| hash.write_all(bytes)).await?;
        parts.insert((*key).to_owned(), hash.part(&file));
    }
    Ok(parts)
}

fn open(path: &Path) -> Result<Hash<File>, ApplyError> {
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let sink = file.map_err(|source| failed("create", path, source))?;
    Ok(Hash { sink, sha: Sha256::new(), bytes: 0 })
}

/// Packs what claw keeps of a project but who works on it.
fn pack_state(folder: &Path, out: &mut dyn Write) -> Result<(), ApplyError> {
    let pack = || -> io::Result<()> {
        let mut archive = tar::Builder::new(out);
        let entries = match entries(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            found => found?,
        };
        for entry in entries.into_iter().filter(|entry| entry.file_name() != "lock" && entry.file_name() != "restoring")
        {
            match entry.file_type()?.is_dir() {
                true => archive.append_dir_all(entry.file_name(), entry.path())?,
                false => archive.append_path_with_name(entry.path(), entry.file_name())?,
            }
        }
        archive.into_inner()?.flush()
    };
    pack().map_err(|source| failed("pack", folder, source))
}

/// Returns the pod's own volumes that agents write to: what is declared `external` is somebody else's to keep.
fn owned(plan: &Plan) -> impl Iterator<Item = &str> {
    let own = plan.project.volumes.iter().filter(|(_, volume)| volume.external != Some(true));
    own.map(|(key, _)| key.as_str()).filter(|key| plan.owner_of(key).is_some())
}

/// Returns whether a volume carries the project's label.
async fn is_own(name: &str, plan: &Plan, docker: &Docker) -> Result<Option<bool>, EngineError> {
    let labels = docker.volume_labels(name).await?;
    Ok(labels.map(|labels| labels.get(compose::PROJECT).map(String::as_str) == Some(plan.pod.as_str())))
}

/// Makes a container that has volumes and is never started: what is in them is read and written through it.
pub(crate) async fn helper(
    keys: &[&str],
    is_read_only: bool,
    plan: &Plan,
    docker: &Docker,
    site: &Site<'_>,
) -> Result<String, EngineError> {
    let scope = Scope::new(plan, site);
    let mounts = keys.iter().map(|key| {
        json!({ "Type": "volume", "Source": scope.volume(key), "Target": format!("/own/{key}"), "ReadOnly": is_read_only,
                "VolumeOptions": { "NoCopy": true } })
    });
    let name = format!("{}-{}", plan.pod, crate::docker::unique());
    let body = json!({
        "Image": plan.infra(),
        "Cmd": ["version"],
        "Labels": { compose::PROJECT: plan.pod.as_str(), compose::ONEOFF: "True", label::ROLE: "init", label::SCHEMA: "1" },
        "HostConfig": { "NetworkMode": "none", "Mounts": mounts.collect::<Vec<_>>() },
    });
    docker.create_container(&name, None, body).await
}

/// Returns the volumes of a backup that are there now: a restore takes them away.
///
/// # Errors
/// Where the backup is of another pod, the pod has containers or lacks a volume of it, or the engine does not answer.
pub async fn replaced(
    backup: &Backup,
    plan: &Plan,
    docker: &Docker,
    site: &Site<'_>,
) -> Result<Vec<String>, ApplyError> {
    if backup.pod != plan.pod.as_str() {
        let why = format!("the backup is of `{}`, and this pod is `{}`: name it with `-p`", backup.pod, plan.pod);
        return Err(ApplyError::Unusable(why));
    }
    let unknown: Vec<&str> =
        backup.volumes.keys().map(String::as_str).filter(|key| !plan.project.volumes.contains_key(*key)).collect();
    if !unknown.is_empty() {
        return Err(ApplyError::Unusable(format!("the pod has no volume `{}` any more", unknown.join("`, `"))));
    }
    let mut containers = docker.containers(plan.pod.as_str()).await?;
    // Helpers of a run that ended early are nobody's.
    for helper in containers
        .extract_if(.., |seen| seen.is_oneoff() && (seen.label(label::ROLE) == "init" || crate::listing::is_left(seen)))
    {
        docker.remove_container(&helper.id, false).await?;
    }
    if !containers.is_empty() {
        let why =
            format!("`{}` has containers, which may use its volumes: `claw down` takes them away first", plan.pod);
        return Err(ApplyError::Unusable(why));
    }
    let scope = Scope::new(plan, site);
    let mut there = Vec::new();
    for key in backup.volumes.keys() {
        let name = scope.volume(key);
        match is_own(&name, plan, docker).await? {
            None => {}
            Some(true) => there.push(name),
            Some(false) => {
                let why = format!("the volume `{name}` is not the pod's: it is not replaced");
                return Err(ApplyError::Unusable(why));
            }
        }
    }
    Ok(there)
}

/// Puts volumes and what claw keeps of the project back as they were; `there` are volumes that are taken away first.
///
/// # Errors
/// Where the engine or the host refuses; what was put back is whole or not there.
pub async fn restore(
    (backup, folder): (&Backup, &Path),
    there: &[String],
    plan: &Plan,
    docker: &Docker,
    site: &Site<'_>,
) -> Result<(), ApplyError> {
    ensure_infra(plan, docker, site).await?;
    // Until it is whole nobody may start what is half there.
    state::begin_restore(site.root, plan.pod.as_str(), &folder.display().to_string())?;
    site.interrupt.set_busy(true);
    let restored = refill((backup, folder), there, plan, docker, site).await;
    site.interrupt.set_busy(false);
    restored?;
    Ok(state::end_restore(site.root, plan.pod.as_str())?)
}

async fn refill(
    (backup, folder): (&Backup, &Path),
    there: &[String],
    plan: &Plan,
    docker: &Docker,
    site: &Site<'_>,
) -> Result<(), ApplyError> {
    for name in there {
        docker.remove_volume(name).await?;
    }
    let keys: Vec<&str> = backup.volumes.keys().map(String::as_str).collect();
    for key in &keys {
        make_volume(key, plan, docker, site).await?;
    }
    let helper = helper(&keys, false, plan, docker, site).await?;
    let filled = fill(backup, folder, &helper, docker, site).await;
    docker.remove_container(&helper, false).await?;
    filled?;
    let own = site.root.join(".claw").join(plan.pod.as_str()).join("state");
    make_private(&own)?;
    let path = folder.join(&backup.state.file);
    let file = File::open(&path).map_err(|source| failed("open", &path, source))?;
    let mut archive = tar::Archive::new(file);
    archive.set_preserve_permissions(true);
    archive.unpack(&own).map_err(|source| failed("unpack into", &own, source))?;
    // What was copied into volumes once is in them, though they are others now.
    persona::moved(&keys, plan, docker, site).await
}

/// Unpacks each archive into its volume.
async fn fill(
    backup: &Backup,
    folder: &Path,
    helper: &str,
    docker: &Docker,
    site: &Site<'_>,
) -> Result<(), ApplyError> {
    for (key, part) in &backup.volumes {
        (site.progress)(&format!("restore volume {key}"));
        let path = folder.join(&part.file);
        let file = File::open(&path).map_err(|source| failed("open", &path, source))?;
        docker.unpack_from(helper, "/own", file).await?;
    }
    Ok(())
}
