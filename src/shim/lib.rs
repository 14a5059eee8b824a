//! What claw's executable does inside containers for other programs: it hands new volumes and sealed files to their
//! agents, puts secrets into the environment of a program and becomes that program, asks a program's own health page, says
//! something to its chat (`chat.rs`), and writes down what package managers of a worker change (`track.rs`).
//!
//! Versioned by `claw_types::image::SHIM_PROTOCOL`: what a container was told at its making is understood as long as the
//! version stays.

mod chat;
mod track;

pub use chat::{Answer, chat};
pub use track::{called_as, track};

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Makes a path belong to a user: a directory where it is still root's, with nothing below it touched, and a file always. One that
/// ends with `/` is a directory that nobody else has anything in: whoever it belongs to, all of it is handed over, once.
///
/// # Errors
/// Where a path is neither, or its owner cannot be changed; the message names it.
pub fn own(owner: (u32, u32), path: &Path) -> io::Result<bool> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("`{}`: {error}", path.display()));
    let metadata = path.symlink_metadata().map_err(named)?;
    let has_owner = (metadata.uid(), metadata.gid()) == owner;
    let is_whole = path.as_os_str().as_encoded_bytes().ends_with(b"/");
    let is_taken = metadata.is_dir() && metadata.uid() != 0 && !is_whole;
    if has_owner || is_taken {
        return Ok(false);
    }
    if !metadata.is_dir() && !metadata.is_file() {
        return Err(named(io::Error::new(io::ErrorKind::InvalidInput, "it is neither a directory nor a file")));
    }
    match is_whole && metadata.is_dir() {
        true => hand_over(owner, path)?,
        false => lchown(path, Some(owner.0), Some(owner.1)).map_err(named)?,
    }
    Ok(true)
}

/// Hands a directory over with all that is in it, itself last: a run that ended early is gone on with.
fn hand_over(owner: (u32, u32), directory: &Path) -> io::Result<()> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("`{}`: {error}", directory.display()));
    // Root may change owners here, and nothing more: it looks into what is its own.
    lchown(directory, Some(0), Some(0)).map_err(named)?;
    for entry in std::fs::read_dir(directory).map_err(named)? {
        let path = entry.map_err(named)?.path();
        match path.symlink_metadata().map_err(named)?.is_dir() {
            true => hand_over(owner, &path)?,
            false => lchown(&path, Some(owner.0), Some(owner.1)).map_err(named)?,
        }
    }
    lchown(directory, Some(owner.0), Some(owner.1)).map_err(named)
}

/// Takes away what is in a directory; the directory stays. Nothing is followed out of it. What is the caller's own goes whatever its
/// modes are and however deep it lies. Nobody else may write there meanwhile.
///
/// # Errors
/// Where something cannot be taken away; the message names the first of these. All else is gone then.
pub fn empty(directory: &Path) -> io::Result<()> {
    let named = |path: &Path, error: io::Error| io::Error::new(error.kind(), format!("`{}`: {error}", path.display()));
    let mut kept = BTreeMap::new();
    let mut number = 0_u64;
    shut_no_more(directory);
    // What lies deep is brought up first: a path may be longer than the system takes one, and no stack is deep enough.
    loop {
        let all = entries(directory).map_err(|error| named(directory, error))?;
        let left: Vec<_> = all.into_iter().filter(|(path, _)| !kept.contains_key(path)).collect();
        if left.is_empty() {
            return kept.into_values().next().map_or(Ok(()), Err);
        }
        for (path, is_directory) in left {
            let removed = match is_directory {
                true => flatten(&path, directory, &mut number),
                false => std::fs::remove_file(&path).map_err(|error| named(&path, error)),
            };
            if let Err(error) = removed {
                kept.insert(path, error);
            }
        }
    }
}

/// Takes a directory away; the directories in it come to lie in `top`.
fn flatten(directory: &Path, top: &Path, number: &mut u64) -> io::Result<()> {
    let named = |path: &Path, error: io::Error| io::Error::new(error.kind(), format!("`{}`: {error}", path.display()));
    let mut first = None;
    shut_no_more(directory);
    for (path, is_directory) in entries(directory).map_err(|error| named(directory, error))? {
        let gone = match is_directory {
            true => {
                // One that moves is written to: what is above it changes.
                shut_no_more(&path);
                let mut place = top.to_owned();
                while place == top || place.symlink_metadata().is_ok() {
                    *number += 1;
                    place = top.join(format!(".{number}"));
                }
                // One that is another's cannot be moved, and can be taken away where it holds nothing.
                std::fs::rename(&path, place).or_else(|_| std::fs::remove_dir(&path))
            }
            false => std::fs::remove_file(&path),
        };
        if let Err(error) = gone {
            first.get_or_insert(named(&path, error));
        }
    }
    first.map_or_else(|| std::fs::remove_dir(directory).map_err(|error| named(directory, error)), Err)
}

/// Lets the owner of a directory do all with it. Whoever else asks is told when it is looked into.
fn shut_no_more(directory: &Path) {
    if let Ok(found) = directory.symlink_metadata()
        && found.is_dir()
        && found.mode() & 0o700 != 0o700
    {
        let mode = found.mode() & 0o7777 | 0o700;
        let _ = std::fs::set_permissions(directory, std::fs::Permissions::from_mode(mode));
    }
}

/// Returns what is in a directory, and whether each is one itself.
fn entries(directory: &Path) -> io::Result<Vec<(PathBuf, bool)>> {
    let entries = std::fs::read_dir(directory)?.map(|entry| {
        let entry = entry?;
        Ok((entry.path(), entry.file_type()?.is_dir()))
    });
    entries.collect()
}

/// Why a program was not started.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// A secret's file cannot be read.
    #[error("the secret `{variable}` cannot be read from `{path}`: {source}")]
    Unread {
        /// The variable it goes to.
        variable: String,
        /// Its file.
        path: String,
        /// What the host said.
        source: io::Error,
    },
    /// No variable can hold it.
    #[error("the secret `{variable}` in `{path}` holds a NUL byte, which no variable can hold")]
    Nul {
        /// The variable it goes to.
        variable: String,
        /// Its file.
        path: String,
    },
    /// The host does not start the program.
    #[error("cannot run `{program}`: {source}")]
    Program {
        /// The program as it was named.
        program: String,
        /// What the host said.
        source: io::Error,
    },
}

impl ExecError {
    /// Returns the exit code that shells and docker give this: 127 for a program that is not there, 126 for one that cannot
    /// be run, 1 for everything before.
    pub fn code(&self) -> u8 {
        match self {
            ExecError::Unread { .. } | ExecError::Nul { .. } => 1,
            ExecError::Program { source, .. } if source.kind() == io::ErrorKind::NotFound => 127,
            ExecError::Program { .. } => 126,
        }
    }
}

/// Puts the contents of files, byte for byte, into the environment of a program and becomes it: same process, so signals and
/// exit code are the program's own. Nothing else of the environment is changed.
///
/// # Errors
/// Where a file cannot be read, a value cannot be a variable's, or the program cannot be started.
pub fn exec(variables: &[(String, String)], program: &[String]) -> Result<Infallible, ExecError> {
    let (name, arguments) = program.split_first().map_or(("", &[][..]), |(name, rest)| (name.as_str(), rest));
    let mut command = Command::new(name);
    command.args(arguments);
    for (variable, path) in variables {
        let value = std::fs::read(path).map_err(|source| ExecError::Unread {
            variable: variable.clone(),
            path: path.clone(),
            source,
        })?;
        if value.contains(&0) {
            return Err(ExecError::Nul { variable: variable.clone(), path: path.clone() });
        }
        command.env(variable, std::ffi::OsString::from_vec(value));
    }
    let source = command.exec();
    Err(ExecError::Program { program: name.to_owned(), source })
}

/// Does nothing until its container is stopped: what a worker runs while nobody works in it.
pub fn idle() -> ! {
    loop {
        std::thread::park();
    }
}

/// How long a health page may take.
const PATIENCE: Duration = Duration::from_secs(4);

/// The most bytes of a health page.
const PAGE: usize = 64 * 1024;

/// Asks a page of a server on the container's own loopback, `http://127.0.0.1:PORT/PATH`; returns whether its status is a
/// success, and what it says.
///
/// # Errors
/// Where the address is another, nobody answers in time, or the answer is no HTTP.
pub fn probe(url: &str) -> io::Result<(bool, String)> {
    let bad = |what: &str| bad(url, what);
    let (mut stream, port, path) = connect(url)?;
    // HTTP/1.0: the answer ends with the connection and is not sent in pieces.
    let request = format!("GET /{path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nAccept: application/json\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let (mut answer, mut part, began) = (Vec::new(), [0; 4096], Instant::now());
    while answer.len() < PAGE {
        let rest = PATIENCE.checked_sub(began.elapsed()).filter(|rest| !rest.is_zero());
        stream.set_read_timeout(Some(rest.ok_or_else(|| bad("it does not end"))?))?;
        match stream.read(&mut part)? {
            0 => break,
            size => answer.extend_from_slice(&part[..size]),
        }
    }
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| bad("what answers speaks no HTTP"))?;
    let status = head.split_ascii_whitespace().nth(1).and_then(|status| status.parse::<u16>().ok());
    let status = status.ok_or_else(|| bad("its answer has no status"))?;
    Ok(((200..300).contains(&status), body.to_owned()))
}

/// Returns an error about an address.
fn bad(url: &str, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("`{url}`: {what}"))
}

/// Connects to the server of `http://127.0.0.1:PORT/PATH`; returns the port, and the path without its first `/`.
fn connect(url: &str) -> io::Result<(TcpStream, u16, &str)> {
    let rest = url.strip_prefix("http://127.0.0.1:").ok_or_else(|| bad(url, "it is no page of this container"))?;
    let (port, path) = rest.split_once('/').ok_or_else(|| bad(url, "it has no path"))?;
    let port: u16 = port.parse().map_err(|_| bad(url, "it has no port"))?;
    let stream = TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok((stream, port, path))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn answering(answer: &'static str) -> String {
        let server = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = server.local_addr().expect("an address").port();
        std::thread::spawn(move || {
            let (mut stream, _) = server.accept().expect("a client");
            let mut request = [0; 1024];
            let size = stream.read(&mut request).expect("a request");
            assert!(request[..size].starts_with(b"GET /ready HTTP/1.0\r\n"));
            stream.write_all(answer.as_bytes()).expect("sent");
        });
        format!("http://127.0.0.1:{port}/ready")
    }

    #[test]
    fn a_probe_tells_success_from_failure_and_what_was_said() {
        let url = answering("HTTP/1.1 200 OK\r\nX: y\r\n\r\n{\"ready\":true}");
        assert_eq!(probe(&url).expect("an answer"), (true, "{\"ready\":true}".to_owned()));
        let url = answering("HTTP/1.1 503 Service Unavailable\r\n\r\nnot yet");
        assert_eq!(probe(&url).expect("an answer"), (false, "not yet".to_owned()));
        assert!(probe(&answering("hello")).is_err());
        for bad in ["http://example.com:1/", "http://127.0.0.1:x/", "http://127.0.0.1:1", "https://127.0.0.1:1/"] {
            assert!(probe(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_directory_is_emptied_and_nothing_beside_it() {
        let root = std::env::temp_dir().join(format!("claw-shim-empty-{}", std::process::id()));
        let own = root.join("own");
        std::fs::create_dir_all(own.join("a/b")).expect("made");
        std::fs::create_dir_all(root.join("other")).expect("made");
        std::fs::write(own.join("a/file"), "x").expect("written");
        std::fs::write(root.join("other/file"), "x").expect("written");
        std::os::unix::fs::symlink(root.join("other"), own.join("link")).expect("linked");
        // Deeper than a path reaches: one that is as long as may be, moved to the end of another.
        let deep = ["d"; 1900].join("/");
        for name in ["deep", "deeper"] {
            std::fs::create_dir_all(own.join(name).join(&deep)).expect("made");
        }
        std::fs::rename(own.join("deeper"), own.join("deep").join(&deep).join("d")).expect("moved");
        // As its owner can shut it; root looks into all.
        for shut in ["a/b", "a"] {
            std::fs::set_permissions(own.join(shut), std::fs::Permissions::from_mode(0o000)).expect("shut");
        }
        empty(&own).expect("emptied");
        assert_eq!(std::fs::read_dir(&own).expect("there").count(), 0);
        assert!(root.join("other/file").is_file());
        std::fs::remove_dir_all(&root).expect("removed");
    }

    #[test]
    fn a_directory_that_nobody_else_writes_to_is_handed_over_with_all_that_is_in_it() {
        if std::fs::metadata("/proc/self").is_ok_and(|found| found.uid() != 0) {
            return;
        }
        let root = std::env::temp_dir().join(format!("claw-shim-own-{}", std::process::id()));
        let inner = root.join("inner");
        std::fs::create_dir_all(&inner).expect("made");
        std::fs::write(inner.join("file"), "x").expect("written");
        std::os::unix::fs::symlink("/", root.join("link")).expect("linked");
        for path in [&root, &inner] {
            lchown(path, Some(2000), Some(2000)).expect("another's");
        }
        let owners = || {
            let paths = [root.clone(), inner.clone(), inner.join("file"), root.join("link"), "/".into()];
            paths.map(|path| path.symlink_metadata().expect("there").uid())
        };
        assert!(!own((1000, 1000), &root).expect("looked at"), "another's stays another's");
        assert_eq!(owners(), [2000, 2000, 0, 0, 0]);
        let whole = format!("{}/", root.display());
        assert!(own((1000, 1000), Path::new(&whole)).expect("handed over"));
        assert_eq!(owners(), [1000, 1000, 1000, 1000, 0]);
        assert!(!own((1000, 1000), Path::new(&whole)).expect("looked at"), "once");
        std::fs::remove_dir_all(&root).expect("removed");
    }
}
