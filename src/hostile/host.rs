//! Ways up, and ways to use the machine up. What succeeds is undone.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};

use rustix::mount::{FsOpenFlags, MountFlags, UnmountFlags};

/// A way to do something, by name.
type Way<'w> = (&'static str, &'w dyn Fn() -> io::Result<()>);

/// Tries each way until one succeeds; the error names what stood in each.
fn first(ways: &[Way<'_>]) -> io::Result<String> {
    let mut refusals = Vec::new();
    for (name, way) in ways {
        match way() {
            Ok(()) => return Ok((*name).to_owned()),
            Err(error) => refusals.push(format!("{name}: {error}")),
        }
    }
    Err(io::Error::other(refusals.join("; ")))
}

/// Changes a file: at its end, by putting another in its place, or by one beside it; makes one where there is none.
pub(crate) fn write(path: &Path) -> io::Result<String> {
    if !path.exists() {
        File::create_new(path)?;
        std::fs::remove_file(path)?;
        return Ok("create".to_owned());
    }
    let beside = path.with_extension("hostile");
    let append = || {
        let mut file = OpenOptions::new().append(true).open(path)?;
        let size = file.metadata()?.len();
        file.write_all(b"\n")?;
        file.set_len(size)
    };
    let replace = || {
        let old = std::fs::read(path)?;
        std::fs::write(&beside, old)?;
        std::fs::rename(&beside, path)
    };
    let create = || File::create_new(&beside).map(drop);
    let done = first(&[("append", &append), ("replace", &replace), ("create beside", &create)]);
    // Where it was never made there is nothing to take away.
    let _ = std::fs::remove_file(&beside);
    done
}

/// Mounts a file system, makes the root writable, or asks the kernel for a file system to mount.
pub(crate) fn mount() -> io::Result<String> {
    let tmpfs = || {
        rustix::mount::mount("tmpfs", "/tmp", "tmpfs", MountFlags::empty(), None)?;
        Ok(rustix::mount::unmount("/tmp", UnmountFlags::DETACH)?)
    };
    let remount = || Ok(rustix::mount::mount_remount("/", MountFlags::empty(), c"")?);
    let open = || Ok(rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).map(drop)?);
    first(&[("tmpfs on /tmp", &tmpfs), ("remount /", &remount), ("fsopen", &open)])
}

/// Starts itself as root, or as somebody else.
pub(crate) fn root() -> io::Result<String> {
    let start = |uid: u32| {
        let mut command = Command::new(std::env::current_exe()?);
        let quiet = command.arg("version").stdout(Stdio::null()).stderr(Stdio::null());
        quiet.uid(uid).status().map(drop)
    };
    first(&[("user 0", &|| start(0)), ("user 1", &|| start(1))])
}

/// Makes a user namespace, in which it would be root. The process is in it afterwards.
pub(crate) fn user_namespace() -> io::Result<String> {
    #[expect(deprecated, reason = "it is unsafe where file descriptors are unshared, which this does not ask for")]
    rustix::thread::unshare(rustix::thread::UnshareFlags::NEWUSER)?;
    Ok("in a user namespace of its own".to_owned())
}

/// Has this many tasks at once. Threads, because the kernel counts them as it counts processes, and they end with this one.
pub(crate) fn processes(count: usize) -> io::Result<String> {
    let (sender, receiver) = mpsc::channel::<()>();
    let receiver = Arc::new(Mutex::new(receiver));
    let start = |_| {
        let receiver = Arc::clone(&receiver);
        // Each waits for the one that waits for the end of the channel.
        let wait = move || drop(receiver.lock().map(|receiver| receiver.recv()));
        std::thread::Builder::new().stack_size(STACK).spawn(wait)
    };
    let mut running = Vec::new();
    let refused = (0..count).map(start).find_map(|started| match started {
        Ok(thread) => {
            running.push(thread);
            None
        }
        Err(error) => Some(error),
    });
    let reached = running.len();
    drop(sender);
    for thread in running {
        let _ = thread.join();
    }
    match refused {
        None => Ok(format!("{reached} at once")),
        Some(error) => Err(io::Error::other(format!("{reached}, then: {error}"))),
    }
}

/// What a thread that waits needs.
const STACK: usize = 64 * 1024;

/// Writes this many mebibytes into a file.
pub(crate) fn fill(path: &Path, mebibytes: usize) -> io::Result<String> {
    let mut file = File::create_new(path)?;
    let block = vec![b'x'; 1 << 20];
    let mut written = 0;
    let full = loop {
        if written == mebibytes {
            break None;
        }
        match file.write_all(&block) {
            Ok(()) => written += 1,
            Err(error) => break Some(error),
        }
    };
    std::fs::remove_file(path)?;
    match full {
        None => Ok(format!("{written} MiB")),
        Some(error) => Err(io::Error::other(format!("{written} MiB, then: {error}"))),
    }
}

/// Finds a text in the environment of another process.
pub(crate) fn environment(mark: &str) -> io::Result<String> {
    let own = std::process::id().to_string();
    let (mut others, mut read) = (0, 0);
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == own || !name.bytes().all(|each| each.is_ascii_digit()) {
            continue;
        }
        others += 1;
        let Ok(text) = std::fs::read(entry.path().join("environ")) else { continue };
        read += 1;
        if text.windows(mark.len()).any(|window| window == mark.as_bytes()) {
            return Ok(format!("in process {name}"));
        }
    }
    Err(io::Error::other(format!("in none of {others} processes, {read} of them readable")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("claw-hostile-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    #[test]
    fn a_file_that_can_be_changed_is_as_before_afterwards() {
        let folder = folder("write");
        std::fs::write(folder.join("a.md"), "x").expect("written");
        assert_eq!(write(&folder.join("a.md")).expect("changed"), "append");
        assert_eq!(write(&folder.join("none.md")).expect("changed"), "create");
        let names: Vec<_> =
            std::fs::read_dir(&folder).expect("a folder").flatten().map(|each| each.file_name()).collect();
        assert_eq!(names, ["a.md"]);
        assert_eq!(std::fs::read_to_string(folder.join("a.md")).expect("text"), "x");
        assert!(write(&folder.join("none/a.md")).is_err());
        std::fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn what_was_used_up_is_given_back() {
        let folder = folder("fill");
        assert_eq!(fill(&folder.join("x"), 2).expect("written"), "2 MiB");
        assert!(!folder.join("x").exists());
        assert_eq!(processes(3).expect("started"), "3 at once");
        std::fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn an_environment_without_the_mark_is_told_from_one_with_it() {
        let mark = format!("mark-{}-x", std::process::id());
        assert!(environment(&mark).is_err());
        let mut child = Command::new("sleep").arg("60").env("MARK", &mark).spawn().expect("a process");
        let found = environment(&mark);
        child.kill().and_then(|()| child.wait()).expect("ended");
        assert_eq!(found.expect("found"), format!("in process {}", child.id()));
    }
}
