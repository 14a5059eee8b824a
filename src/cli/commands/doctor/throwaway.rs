//! The pod that `claw doctor --deep` starts and takes away: a hostile agent, another agent with a friend, and a service
//! without any wall to compare with.
//!
//! It goes when the value goes: at the end, on an error, on Ctrl-C. A panic, which ends a released claw at once, takes it away too.
//! Where nothing can, each of its programs but the gate ends by itself.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use claw_types::image::{INFRA_PROGRAM, INFRA_REPOSITORY};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use serde_json::{Value, json};

use super::attempts::NEIGHBOUR_PORT;
use crate::exit::CommandError;
use crate::ui::Ui;

/// The seconds after which a program of the pod ends by itself.
const LIFE: &str = "900";

/// The longest that a service is waited for, in seconds.
const WAIT: &str = "120";

/// How often claw is run to bring it up.
const RUNS: usize = 3;

/// How often it is looked whether claw has ended.
const TICK: Duration = Duration::from_millis(100);

/// How often at most, once it was asked to.
const TICKS: usize = 600;

/// Where the pod is, and what it takes to take it away.
#[derive(Clone)]
struct Place {
    name: String,
    folder: PathBuf,
    program: PathBuf,
    /// The process that brings it up; none where it is 0.
    up: Arc<AtomicU32>,
}

/// The pod.
pub(super) struct Throwaway<'u> {
    place: Place,
    ui: &'u Ui,
}

impl<'u> Throwaway<'u> {
    /// Writes the pod's folder; `socket` is the engine's.
    pub(super) fn write(mark: &str, socket: Option<&str>, ui: &'u Ui) -> Result<Self, CommandError> {
        let refused = |error: io::Error| CommandError::Deep(format!("a temporary folder: {error}"));
        let name = format!("claw-doctor-{}", std::process::id());
        let folder = std::env::temp_dir().join(&name);
        DirBuilder::new().mode(0o700).create(&folder).map_err(refused)?;
        let program = std::env::current_exe().map_err(refused)?;
        let made = Self { place: Place { name, folder, program, up: Arc::default() }, ui };
        let write = |name: &str, text: &str| std::fs::write(made.place.folder.join(name), text).map_err(refused);
        write("AGENTS.md", "# Mole\n")?;
        write("claw-pod.yml", &format!("{:#}\n", file(mark, socket)))?;
        Ok(made)
    }

    /// Returns the pod's name.
    pub(super) fn name(&self) -> &str {
        &self.place.name
    }

    /// Brings the pod up. Another claw of this version may put its own image under the same name meanwhile: what is not as
    /// planned after one run is after the next.
    pub(super) async fn up(&self) -> Result<(), CommandError> {
        let failed = |reason: String| CommandError::Deep(format!("its pod to come up: {reason}"));
        self.place.take_away_at_panic();
        let mut why = String::new();
        for _ in 0..RUNS {
            match self.run_up().await {
                Ok(None) => return Ok(()),
                Ok(Some(reason)) => why = reason,
                Err(error) => return Err(failed(error.to_string())),
            }
        }
        Err(failed(why))
    }

    /// Runs `claw up`; returns why it failed.
    async fn run_up(&self) -> io::Result<Option<String>> {
        let said = self.place.folder.join("up.log");
        let log = std::fs::File::create(&said)?;
        let mut child = self.place.claw(&["up", "-d", "--wait", "--wait-timeout", WAIT]).stderr(log).spawn()?;
        self.place.up.store(child.id(), Ordering::SeqCst);
        let status = loop {
            match child.try_wait()? {
                None => tokio::time::sleep(TICK).await,
                Some(status) => break status,
            }
        };
        self.place.up.store(0, Ordering::SeqCst);
        if status.success() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&said)?;
        let why = text.lines().rfind(|line| line.starts_with("error")).or(text.lines().last());
        Ok(Some(why.unwrap_or("it said nothing").trim_start_matches("error: ").to_owned()))
    }
}

impl Drop for Throwaway<'_> {
    fn drop(&mut self) {
        self.ui.progress("take the pod away");
        if !self.place.take_away() {
            let name = &self.place.name;
            self.ui.progress(&format!("it is still there: `claw -p {name} down -v` takes it away"));
        }
    }
}

impl Place {
    /// Claw itself on the pod. In a process group of its own: Ctrl-C at a terminal is not meant for it.
    fn claw(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        let file = self.folder.join("claw-pod.yml");
        command.arg("-f").arg(file).args(["-p", &self.name]).args(words).current_dir(&self.folder).process_group(0);
        for (name, _) in std::env::vars_os() {
            let is_about_another = name.to_str().is_some_and(|name| name.starts_with("COMPOSE_"));
            if is_about_another {
                command.env_remove(name);
            }
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Takes the pod away; returns whether it is gone. What is gone may be taken away again.
    fn take_away(&self) -> bool {
        self.end_up();
        if !self.folder.exists() {
            return true;
        }
        let is_down = self.claw(&["down", "-v", "-y", "-t", "0"]).status().is_ok_and(|status| status.success());
        is_down && std::fs::remove_dir_all(&self.folder).is_ok()
    }

    /// Asks the process that brings the pod up to end, and waits for it.
    fn end_up(&self) {
        let number = i32::try_from(self.up.swap(0, Ordering::SeqCst)).unwrap_or(0);
        let Some(up) = Pid::from_raw(number) else { return };
        let _ = kill_process(up, Signal::TERM);
        for _ in 0..TICKS {
            // An error says that somebody else saw it end.
            if !matches!(waitpid(Some(up), WaitOptions::NOHANG), Ok(None)) {
                return;
            }
            std::thread::sleep(TICK);
        }
        let _ = kill_process(up, Signal::KILL);
        let _ = waitpid(Some(up), WaitOptions::empty());
    }

    /// Nothing is dropped where a panic ends the process.
    fn take_away_at_panic(&self) {
        let (place, told) = (self.clone(), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |panic| {
            told(panic);
            place.take_away();
        }));
    }
}

/// The pod's file: JSON is YAML.
fn file(mark: &str, socket: Option<&str>) -> Value {
    let wait = json!(["hostile", "wait", LIFE]);
    let service = |command: Value| {
        let mut service = json!({ "image": INFRA_REPOSITORY, "entrypoint": [INFRA_PROGRAM] });
        service["command"] = command;
        service
    };
    let agent = |command: Value| {
        let mut agent = service(command);
        agent["x-claw"] = json!({ "type": "generic", "agent": "AGENTS.md" });
        agent
    };
    let mut neighbour = agent(json!(["hostile", "listen", NEIGHBOUR_PORT.to_string(), LIFE]));
    neighbour["environment"] = json!({ "MARK": mark });
    neighbour["x-claw"]["surfaces"] = json!(["service://friend"]);
    let mut control = service(wait.clone());
    control["user"] = json!("0:0");
    // What its attempts need, and not `privileged`: an engine that lacks a capability itself can give nobody all of them.
    control["cap_add"] = json!(["SYS_ADMIN", "SYS_PTRACE"]);
    control["security_opt"] = json!(["seccomp=unconfined", "apparmor=unconfined", "label=disable"]);
    control["pid"] = json!("host");
    let bind = |source: &Path, target: &str| json!({ "type": "bind", "source": source, "target": target });
    let mut volumes = vec![bind(Path::new("./AGENTS.md"), "/claw/AGENTS.md")];
    volumes.extend(socket.map(|socket| bind(Path::new(socket), "/var/run/docker.sock")));
    control["volumes"] = json!(volumes);
    json!({ "services": { "mole": agent(wait.clone()), "neighbour": neighbour, "friend": service(wait), "control": control } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_control_is_without_walls() {
        let file = file("m", Some("/run/engine.sock"));
        for (name, service) in file["services"].as_object().expect("services") {
            for key in ["user", "cap_add", "security_opt", "pid", "volumes"] {
                assert_eq!(service.get(key).is_some(), name == "control", "{name}.{key}");
            }
        }
        assert_eq!(file["services"]["control"]["volumes"][1]["source"], "/run/engine.sock");
    }
}
