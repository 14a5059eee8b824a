//! One run at a time for a pod: a file lock of the system's, which ends with the process that holds it. What the file says is
//! for people; a file that nobody locks means nothing.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use chrono::{SecondsFormat, Utc};

use crate::files::{FileError, make_private, make_state, refuse_link};

/// A pod that is being worked on, for as long as this value lives.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Why a pod could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another run works on it.
    #[error("another claw works on `{project}` here ({owner}): wait until it ends, or end it")]
    Held {
        /// The pod.
        project: String,
        /// Process, command and time.
        owner: String,
    },
    /// The host refuses.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Locks a pod for a command.
///
/// # Errors
/// Where another run holds it, or the host refuses.
pub fn lock(root: &Path, project: &str, command: &str) -> Result<Lock, LockError> {
    make_state(root)?;
    let folder = root.join(".claw").join(project).join("state");
    make_private(&folder)?;
    let path = folder.join("lock");
    refuse_link(&path)?;
    let failed = |source| FileError { what: "lock", path: path.clone(), source };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut file = options.open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut owner = String::new();
            // Whoever holds it may be about to write its name.
            let _ = file.read_to_string(&mut owner);
            let owner =
                if owner.trim().is_empty() { "it has not said which".to_owned() } else { owner.trim().to_owned() };
            return Err(LockError::Held { project: project.to_owned(), owner });
        }
        Err(TryLockError::Error(source)) => return Err(failed(source).into()),
    }
    let now = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
    let text = format!("process {}, `claw {command}`, since {now}\n", std::process::id());
    let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(text.as_bytes()));
    written.map_err(failed)?;
    Ok(Lock { _file: file })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_locked_once_and_a_file_that_nobody_holds_means_nothing() {
        let root = std::env::temp_dir().join(format!("claw-lock-{}", std::process::id()));
        std::fs::create_dir_all(&root).expect("made");
        let held = lock(&root, "pod", "up").expect("free");
        let error = lock(&root, "pod", "down").expect_err("held").to_string();
        let owner = format!("(process {}, `claw up`, since ", std::process::id());
        assert!(error.contains(&owner), "{error}");
        drop(held);
        drop(lock(&root, "pod", "down").expect("free again"));
        std::fs::remove_dir_all(&root).expect("removed");
    }
}
