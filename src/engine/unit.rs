//! Units of systemd: a pod that comes up with the machine.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::files::{FileError, make_directory, write_atomic};

/// What a unit is made of.
#[derive(Clone, Debug)]
pub struct Unit<'u> {
    /// The pod.
    pub pod: &'u str,
    /// Its directory, absolute.
    pub root: &'u Path,
    /// Claw, absolute.
    pub program: &'u Path,
    /// What claw is called with before the command.
    pub arguments: &'u [String],
    /// Variables it needs that no file sets.
    pub environment: &'u [(String, String)],
    /// Whose it is: the machine's, run as the owner of the directory, or else the user's own.
    pub owner: Option<u32>,
}

/// Returns the name of a pod's unit.
pub fn name(pod: &str) -> String {
    format!("claw-{pod}.service")
}

impl Unit<'_> {
    /// Returns its text.
    pub fn text(&self) -> String {
        let command = |more: &[&str]| {
            let program = self.program.display().to_string();
            let words = [program].into_iter().chain(self.arguments.iter().cloned());
            let words = words.chain(more.iter().map(|word| (*word).to_owned()));
            words.map(|word| quoted(&word)).collect::<Vec<_>>().join(" ")
        };
        let mut lines = vec![
            "[Unit]".to_owned(),
            format!("Description=The pod {} (claw)", self.pod),
            "Wants=network-online.target".to_owned(),
            "After=network-online.target docker.service".to_owned(),
            String::new(),
            "[Service]".to_owned(),
            "Type=oneshot".to_owned(),
            "RemainAfterExit=yes".to_owned(),
            format!("WorkingDirectory={}", self.root.display().to_string().replace('%', "%%")),
        ];
        lines.extend(self.owner.map(|owner| format!("User={owner}")));
        // A dollar sign is one there.
        let set = |(name, value): &(String, String)| {
            format!("Environment={}", quoted(&format!("{name}={value}")).replace("$$", "$"))
        };
        lines.extend(self.environment.iter().map(set));
        lines.extend([
            format!("ExecStart={}", command(&["up", "-d"])),
            format!("ExecStop={}", command(&["stop"])),
            // Images may have to be pulled and built; the engine of a user may come up later than this.
            "TimeoutStartSec=1h".to_owned(),
            "TimeoutStopSec=10min".to_owned(),
            "Restart=on-failure".to_owned(),
            "RestartSec=10".to_owned(),
            String::new(),
            "[Install]".to_owned(),
            format!("WantedBy={}", if self.owner.is_some() { "multi-user.target" } else { "default.target" }),
        ]);
        lines.join("\n") + "\n"
    }
}

/// Returns a word as a command line of systemd has it (systemd.service(5), systemd 252).
fn quoted(word: &str) -> String {
    let escaped = word.replace('%', "%%").replace('$', "$$");
    let is_plain = |each: char| each.is_ascii_alphanumeric() || "-_./:=,@+%$".contains(each);
    if !escaped.is_empty() && escaped.chars().all(is_plain) {
        return escaped;
    }
    format!("\"{}\"", escaped.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// Where units are.
#[derive(Clone, Debug)]
pub struct Units {
    folder: PathBuf,
    is_user: bool,
}

impl Units {
    /// Returns the user's units, below `config`, or the machine's.
    pub fn new(config: Option<&Path>) -> Self {
        match config {
            Some(config) => Self { folder: config.join("systemd/user"), is_user: true },
            None => Self { folder: PathBuf::from("/etc/systemd/system"), is_user: false },
        }
    }

    /// Returns where a unit is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a unit and has systemd start it with the machine. Returns why systemd does not know of it yet, where it does not.
    ///
    /// # Errors
    /// Where the file cannot be written, or systemd cannot enable it.
    pub fn install(&self, name: &str, text: &str) -> Result<Option<String>, FileError> {
        make_directory(&self.folder, 0o755)?;
        write_atomic(&self.path(name), text, 0o644)?;
        let refused = |why: String| FileError { what: "enable", path: self.path(name), source: io::Error::other(why) };
        self.systemctl(&["enable", name]).map_err(refused)?;
        Ok(self.systemctl(&["daemon-reload"]).err())
    }

    /// Takes a unit away; returns whether it was there. Its pod goes on as it is.
    ///
    /// # Errors
    /// Where the host refuses.
    pub fn uninstall(&self, name: &str) -> Result<bool, FileError> {
        let path = self.path(name);
        if !path.exists() {
            return Ok(false);
        }
        let refused = |why: String| FileError { what: "disable", path: path.clone(), source: io::Error::other(why) };
        self.systemctl(&["disable", name]).map_err(refused)?;
        std::fs::remove_file(&path).map_err(|source| FileError { what: "remove", path, source })?;
        // One that runs nowhere knows nothing that it would have to forget.
        let _ = self.systemctl(&["daemon-reload"]);
        Ok(true)
    }

    /// Runs systemctl; returns what it said where it failed.
    fn systemctl(&self, arguments: &[&str]) -> Result<(), String> {
        let scope = if self.is_user { "--user" } else { "--system" };
        let output = Command::new("systemctl").arg(scope).args(arguments).stdin(Stdio::null()).output();
        let output = output.map_err(|error| format!("`systemctl` cannot be run: {error}"))?;
        match output.status.success() {
            true => Ok(()),
            false => {
                let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                Err(if said.is_empty() { format!("`systemctl` ended with {}", output.status) } else { said })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_reach_the_program_as_they_are() {
        for (word, line) in [
            ("up", "up"),
            ("/opt/my claw", "\"/opt/my claw\""),
            ("100%", "100%%"),
            ("$HOME", "$$HOME"),
            ("a\"b\\c", "\"a\\\"b\\\\c\""),
            ("", "\"\""),
            ("it's;", "\"it's;\""),
        ] {
            assert_eq!(quoted(word), line);
        }
    }
}
