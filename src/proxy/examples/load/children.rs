//! The processes that a benchmark starts: pinned, in groups of their own, and gone when the benchmark is.
//!
//! Cleaning up is the work of a janitor: this program once more, in a process group that Ctrl-C does not reach, reading
//! from a pipe the groups that live. The pipe ends when the benchmark ends, in whatever way; then the janitor kills the
//! groups that are left and removes the directory. There is no other path, so none can be forgotten.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How the name of a benchmark's directory begins: the janitor removes no other.
pub(crate) const DIRECTORY_PREFIX: &str = "cllama-load-";
/// The time between two looks at whether a server is ready.
const POLL: Duration = Duration::from_micros(500);

/// Kills what was started when it is dropped, or when this process ends without dropping it.
pub(crate) struct Janitor {
    process: Child,
    pipe: Option<ChildStdin>,
}

impl Janitor {
    /// Starts a janitor for a directory.
    pub(crate) fn start(directory: &Path) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
        let mut command = Command::new(program);
        command.arg("janitor").arg("--dir").arg(directory).process_group(0).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut process = command.spawn().map_err(|error| format!("cannot start the janitor: {error}"))?;
        let pipe = process.stdin.take();
        Ok(Self { process, pipe })
    }

    /// Tells the janitor that a group lives (`+`) or is gone (`-`).
    fn tell(&mut self, sign: char, group: u32) -> Result<(), String> {
        let pipe = self.pipe.as_mut().ok_or("the janitor has no pipe")?;
        writeln!(pipe, "{sign}{group}").map_err(|error| format!("the janitor is gone: {error}"))
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        self.pipe = None;
        let _ = self.process.wait();
    }
}

/// Is the janitor: waits for the end of stdin, then kills what is left and removes the directory.
pub(crate) fn keep_clean(directory: &Path) -> Result<(), String> {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    if !name.starts_with(DIRECTORY_PREFIX) {
        return Err(format!("`{}` is no directory of a benchmark", directory.display()));
    }
    let mut alive = Vec::new();
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        match (line.strip_prefix('+'), line.strip_prefix('-')) {
            (Some(group), _) => alive.push(group.to_owned()),
            (_, Some(group)) => alive.retain(|other| other != group),
            _ => {}
        }
    }
    for group in &alive {
        kill(group);
    }
    for _ in 0..50 {
        match fs::remove_dir_all(directory) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            // A process that dies may still have written.
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
    Err(format!("cannot remove `{}`", directory.display()))
}

/// Kills a process group.
fn kill(group: &str) {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("kill -KILL -{group}")).stdout(Stdio::null()).stderr(Stdio::null());
    // It fails where the group has ended by itself, which is as good.
    let _ = command.status();
}

/// A process with its group.
pub(crate) struct Server {
    process: Child,
    /// The process group, which only this process and its children are in.
    pub group: u32,
    /// The time from the start to the first right answer.
    pub ready_ms: f64,
    log: std::path::PathBuf,
}

/// Starts a command in a group of its own, on one core if `core` names one; its output goes to `log`.
pub(crate) fn start(
    janitor: &mut Janitor,
    command: &[String],
    core: Option<u32>,
    log: &Path,
) -> Result<Server, String> {
    let pin = core.map(|core| ["taskset".to_owned(), "-c".to_owned(), core.to_string()]);
    let words: Vec<&String> = pin.iter().flatten().chain(command).collect();
    let failed = |error: io::Error| format!("cannot start `{}`: {error}", command.join(" "));
    let output = File::create(log).map_err(failed)?;
    let errors = output.try_clone().map_err(failed)?;
    let mut process = Command::new(words[0]);
    process.args(&words[1..]).process_group(0).stdin(Stdio::null()).stdout(output).stderr(errors);
    let process = process.spawn().map_err(failed)?;
    let group = process.id();
    janitor.tell('+', group)?;
    Ok(Server { process, group, ready_ms: 0.0, log: log.to_owned() })
}

impl Server {
    /// Waits until a request is answered with 200 and notes the time since `start`.
    pub(crate) fn wait(
        &mut self,
        address: &str,
        request: &[u8],
        start: Instant,
        limit: Duration,
    ) -> Result<(), String> {
        let address: SocketAddr = address.parse().map_err(|error| format!("`{address}` is no address: {error}"))?;
        while !is_answered(address, request) {
            let has_ended = self.process.try_wait().map_err(|error| error.to_string())?.is_some();
            if has_ended || start.elapsed() > limit {
                let problem = if has_ended { "has ended" } else { "is not ready in time" };
                return Err(format!("the server at {address} {problem}; its last words:\n{}", self.last_words()));
            }
            thread::sleep(POLL);
        }
        self.ready_ms = start.elapsed().as_secs_f64() * 1e3;
        Ok(())
    }

    /// Waits for the first line of the output that begins with `prefix` and returns the rest of it.
    pub(crate) fn announced(&self, prefix: &str) -> Result<String, String> {
        for _ in 0..10_000 {
            let log = File::open(&self.log).map_err(|error| error.to_string())?;
            let line = BufReader::new(log).lines().map_while(Result::ok).next().unwrap_or_default();
            if let Some(rest) = line.strip_prefix(prefix) {
                return Ok(rest.to_owned());
            }
            thread::sleep(POLL);
        }
        Err(format!("a server has not said where it listens:\n{}", self.last_words()))
    }

    /// Kills the process with its children.
    pub(crate) fn stop(mut self, janitor: &mut Janitor) -> Result<(), String> {
        kill(&self.group.to_string());
        self.process.wait().map_err(|error| error.to_string())?;
        janitor.tell('-', self.group)
    }

    /// Returns the end of the output.
    fn last_words(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&text[text.len().saturating_sub(2000)..]).into_owned()
    }
}

/// Returns whether a request is answered with 200.
fn is_answered(address: SocketAddr, request: &[u8]) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let mut answer = [0; 12];
    stream.set_read_timeout(Some(Duration::from_secs(5))).is_ok()
        && stream.write_all(request).is_ok()
        && stream.read_exact(&mut answer).is_ok()
        && answer.ends_with(b" 200")
}

/// Returns a free port of the loopback interface, below the ports that the kernel gives to clients: a client that asks for
/// such a port before its server listens could be connected to itself.
pub(crate) fn free_port(taken: &mut u16) -> Result<u16, String> {
    let first = *taken;
    for port in first..first.saturating_add(1000) {
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            *taken = port + 1;
            return Ok(port);
        }
    }
    Err("no port is free".into())
}

/// Pins this process to a core; says whether that worked.
pub(crate) fn pin_self(core: u32) -> bool {
    let mut command = Command::new("taskset");
    command.args(["-a", "-p", "-c", &core.to_string(), &std::process::id().to_string()]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
