//! A secret's command: its standard output is the value. What it says beside that is shown to nobody, because it may
//! repeat the value; how it ended is told.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::Command;
use zeroize::Zeroizing;

/// The longest a secret's command may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Why a command gave nothing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// What went wrong, without anything it printed.
    Reason(String),
    /// Ctrl-C.
    Interrupted,
}

/// Runs a command and returns what it printed. Its process is gone when this returns, and when this is
/// dropped; programs that it started and left behind are its own affair.
pub(crate) async fn output(
    words: &[String],
    root: &Path,
    limit: u64,
    patience: Duration,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let failed = |reason: String| Err(Failure::Reason(reason));
    let Some((program, arguments)) = words.split_first() else { return failed("it is empty".to_owned()) };
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return failed(format!("cannot run `{program}`: {error}")),
    };
    let mut printed = Zeroizing::new(Vec::new());
    let stdout = child.stdout.take();
    let work = async {
        if let Some(stdout) = stdout {
            stdout.take(limit + 1).read_to_end(&mut printed).await?;
        }
        if printed.len() as u64 > limit { Ok(None) } else { child.wait().await.map(Some) }
    };
    let status = match tokio::time::timeout(patience, work).await {
        Err(_) => return failed(format!("`{program}` did not end within {} seconds", patience.as_secs())),
        Ok(Err(error)) => return failed(format!("`{program}` cannot be read: {error}")),
        Ok(Ok(None)) => return failed(format!("`{program}` printed more than {limit} bytes")),
        Ok(Ok(Some(status))) => status,
    };
    if status.success() { Ok(printed) } else { Err(ended(program, status).await) }
}

/// A terminal's Ctrl-C reaches the command and claw at once: claw is the one that tells.
async fn ended(program: &str, status: ExitStatus) -> Failure {
    use std::os::unix::process::ExitStatusExt;
    const INTERRUPT: i32 = 2;
    if status.signal() == Some(INTERRUPT) || status.code() == Some(128 + INTERRUPT) {
        return Failure::Interrupted;
    }
    // A command that caught it ends in its own way, a moment before claw has heard.
    tokio::time::sleep(Duration::from_millis(50)).await;
    Failure::Reason(format!("`{program}` ended with {status}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &str, patience: Duration) -> Result<Vec<u8>, Failure> {
        let words = ["sh", "-c", script].map(ToOwned::to_owned);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let output = runtime.block_on(output(&words, Path::new("/"), 64, patience));
        output.map(|printed| printed.to_vec())
    }

    fn reason(text: &str) -> Result<Vec<u8>, Failure> {
        Err(Failure::Reason(text.to_owned()))
    }

    #[test]
    fn a_value_is_what_a_command_prints_and_what_it_says_beside_it_is_not() {
        assert_eq!(run("echo canary >&2; printf 'a b\\n'", PATIENCE), Ok(b"a b\n".to_vec()));
    }

    #[test]
    fn a_command_that_fails_says_how_and_not_what_it_printed() {
        assert_eq!(run("echo canary; exit 3", PATIENCE), reason("`sh` ended with exit status: 3"));
        assert_eq!(run("yes canary", PATIENCE), reason("`sh` printed more than 64 bytes"));
        assert_eq!(run("exit 130", PATIENCE), Err(Failure::Interrupted));
    }

    /// The statuses by themselves: whether a process heeds a signal at all is inherited, and what runs in the background of a
    /// shell heeds no Ctrl-C.
    #[test]
    fn a_command_that_ctrl_c_ended_was_interrupted() {
        use std::os::unix::process::ExitStatusExt;
        let told = |status: i32| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(ended("x", ExitStatus::from_raw(status)))
        };
        assert_eq!(told(2), Failure::Interrupted, "by the signal");
        assert_eq!(told(130 << 8), Failure::Interrupted, "as shells say it");
        assert_eq!(told(15), Failure::Reason("`x` ended with signal: 15 (SIGTERM)".to_owned()));
    }

    #[test]
    fn a_command_has_a_limit_of_time() {
        let began = std::time::Instant::now();
        let late = run("exec sleep 100", Duration::from_millis(50));
        assert_eq!(late, reason("`sh` did not end within 0 seconds"));
        assert!(began.elapsed() < Duration::from_secs(20));
    }
}
