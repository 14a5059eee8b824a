//! What claw's executable does inside containers for other programs: so far, handing new volumes to their agents.

use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

/// Makes a directory belong to a user, where it is still root's; what is below it is left alone.
///
/// # Errors
/// Where the path is no directory, or the owner cannot be changed.
pub fn own(owner: (u32, u32), path: &Path) -> io::Result<bool> {
    let metadata = path.symlink_metadata()?;
    if !metadata.is_dir() {
        return Err(io::Error::new(io::ErrorKind::NotADirectory, format!("`{}` is not a directory", path.display())));
    }
    if metadata.uid() != 0 {
        return Ok(false);
    }
    chown(path, Some(owner.0), Some(owner.1))?;
    Ok(true)
}
