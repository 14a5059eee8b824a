//! Scenarios on a real engine, from nothing to nothing. `make tools` installs and starts one.

mod agents;
mod cis;
mod commands;
mod converge;
mod deep;
mod diagnose;
mod eject;
mod escape;
mod faults;
mod identity;
mod images;
pub(crate) mod json;
mod kept;
mod leaks;
mod left;
mod lockfile;
mod manuals;
mod owners;
pub(crate) mod peers;
mod personas;
mod podman;
mod proxied;
mod remote;
mod rogue;
mod secrets;
mod services;
mod shim;
mod streams;
pub(crate) mod surfaces;
mod values;
mod worker;

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use crate::{Folder, Run, claw, files, root};

/// A pod in a folder of its own, with a project name of its own, that is gone at the end.
pub(crate) struct Pod {
    pub(crate) folder: Folder,
    pub(crate) name: String,
}

impl Pod {
    /// A copy of an example.
    fn of(example: &str, name: &str) -> Self {
        let pod = Self::new(name);
        for (path, mut text) in files(&root().join("examples").join(example)) {
            let is_recipe = path.rsplit('/').next().is_some_and(|name| matches!(name, "Clawfile" | "Dockerfile"));
            if is_recipe {
                // So that what is made by it is found again once another image has its name.
                text.push_str(&format!("LABEL test=\"{}\"\n", pod.name));
            }
            if !path.starts_with("expected/") {
                pod.folder.write(&path, &text);
            }
        }
        pod
    }

    /// An empty folder.
    pub(crate) fn new(name: &str) -> Self {
        static NAMES: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
        let name = format!("claw-{name}-{}", std::process::id());
        let is_new = NAMES.lock().expect("nobody panicked").insert(name.clone());
        // Tests run side by side in one process: two pods of one name would take each other away.
        assert!(is_new, "another test has a pod `{name}`");
        Self { folder: Folder::new(&name), name }
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> &Self {
        self.folder.write(name, text);
        self
    }

    /// Claw on the pod, where a run is more than its output.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_claw"));
        command.args([&["-p", &self.name], arguments].concat()).current_dir(&self.folder.0);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        claw(&self.folder.0, &[&["-p", &self.name], arguments].concat())
    }

    /// Runs claw and expects it to succeed.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let run = self.run(arguments);
        assert_eq!(run.code, Some(0), "claw {arguments:?}: {}\n{}", run.stdout, run.stderr);
        run.stdout
    }

    /// The label of what a test makes beside its pod, by which it goes with the pod: claw knows nothing of it.
    fn mark(&self) -> String {
        format!("test={}", self.name)
    }

    /// What the engine has with the project's label, seen by docker's own client.
    fn left(&self, kind: &[&str]) -> Vec<String> {
        let filter = format!("label=com.docker.compose.project={}", self.name);
        let text = docker(&[kind, &["-q", "--filter", &filter]].concat());
        text.lines().map(ToOwned::to_owned).collect()
    }

    pub(crate) fn leaves_nothing(&self) {
        for kind in [&["ps", "-a"][..], &["network", "ls"], &["volume", "ls"]] {
            assert_eq!(self.left(kind), Vec::<String>::new(), "{kind:?}");
        }
        assert!(!self.folder.0.join(".claw").join(&self.name).exists());
    }

    /// The name of a service's container.
    pub(crate) fn container(&self, service: &str) -> String {
        format!("{}-{service}-1", self.name)
    }

    pub(crate) fn id(&self, service: &str) -> String {
        docker(&["inspect", "-f", "{{.Id}}", &self.container(service)])
    }

    /// Starts claw and returns once a line of its progress begins with `until`.
    fn start_until(&self, arguments: &[&str], until: &str) -> std::process::Child {
        let mut child =
            self.command(arguments).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("claw runs");
        let stderr = child.stderr.take().expect("piped");
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(stderr));
        assert!(lines.any(|line| line.expect("text").starts_with(until)), "{until} is never told");
        // What claw says afterwards has to go somewhere.
        std::thread::spawn(move || lines.for_each(drop));
        child
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        let _ = self.run(&["down", "-v", "--rmi", "local"]);
        left::sweep(&self.name);
    }
}

pub(crate) fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().expect("the docker client runs");
    assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}

/// Builds the image of a pod's folder `box` with docker's own client. Without the cache: a layer another test's image
/// has in common goes with that image, also while this build stands on it.
pub(crate) fn build(pod: &Pod, tag: &str) {
    docker(&["build", "-q", "--no-cache", "-t", tag, &pod.folder.0.join("box").display().to_string()]);
}

/// The engine's socket.
fn socket() -> String {
    let named = std::env::var("DOCKER_HOST").ok().and_then(|host| Some(host.strip_prefix("unix://")?.to_owned()));
    named.unwrap_or_else(|| "/var/run/docker.sock".to_owned())
}

/// The engine's major version.
fn engine() -> u32 {
    let version = docker(&["version", "-f", "{{.Server.Version}}"]);
    version.split('.').next().and_then(|number| number.parse().ok()).expect("a version")
}

/// Writes a folder from which an image with a shell can be built, without a registry: `box/`.
fn shell(pod: &Pod) {
    let busybox = std::path::Path::new("/bin/busybox");
    assert!(busybox.is_file(), "`make tools` installs busybox-static, which the tests make images from");
    // An image of its own, down to its first layer: one test takes its image away while another one's is made.
    let dockerfile = format!(
        "FROM scratch\nCOPY busybox name /bin/\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\nCMD [\"/bin/sh\"]\nLABEL test={}\n",
        pod.name
    );
    pod.write("box/Dockerfile", &dockerfile).write("box/name", &pod.name);
    std::fs::copy(busybox, pod.folder.0.join("box/busybox")).expect("copied");
}

/// A script that says the size of its terminal. It waits, for 9 seconds at most, until that is 33 by 77: a size comes a moment after
/// the command has begun.
const SIZE: &str =
    "n=0; until [ \"$(stty size)\" = \"33 77\" ] || [ $n = 90 ]; do n=$((n+1)); sleep 0.1; done; stty size";

/// Waits until a program `sleep` runs in a container: for a moment after the start it is the shim yet, or the shell before it.
fn sleeps(container: &str) {
    let script = "n=0; until pidof sleep >/dev/null; do n=$((n+1)); [ $n -lt 600 ] || exit 1; sleep 0.05; done";
    docker(&["exec", container, "sh", "-c", script]);
}

/// Sends a signal to a process.
fn signal(child: &std::process::Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
}
