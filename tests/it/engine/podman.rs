//! Podman's service of Docker's API, where it is installed: an agent is held there as planned, and everything converges.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::Pod;
use crate::claw_with;

/// A service of the test's own; gone at the end.
struct Service {
    child: Child,
    address: String,
    folder: std::path::PathBuf,
}

impl Service {
    /// Starts it, in a folder of its own; nothing where there is no podman, or nobody who may run it.
    #[expect(clippy::print_stdout, reason = "a skipped test says so")]
    fn start() -> Option<Self> {
        let is_root =
            std::fs::metadata("/proc/self").is_ok_and(|found| std::os::unix::fs::MetadataExt::uid(&found) == 0);
        if !is_root || Command::new("podman").arg("--version").output().is_err() {
            println!("skipped: podman is not installed, or this user may not run it; `make tools` installs it");
            return None;
        }
        // Limits that hold on a machine whose own are lower than podman asks for; a runtime that takes every kind of cgroups.
        let limits = "[containers]\ndefault_ulimits = [\"nofile=8192:8192\", \"nproc=4096:4096\"]\n[engine]\nruntime = \"runc\"\n";
        // It takes no path of more than 50 characters for what runs.
        let folder = std::env::temp_dir().join(format!("claw-podman-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("containers.conf"), limits).expect("written");
        let at = |name: &str| folder.join(name).display().to_string();
        let address = format!("unix://{}", at("podman.sock"));
        let child = Command::new("podman")
            .args(["--root", &at("root"), "--runroot", &at("run"), "--storage-driver", "vfs"])
            .args(["system", "service", "-t", "0", &address])
            .env("CONTAINERS_CONF", at("containers.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("podman runs");
        let service = Self { child, address, folder: folder.clone() };
        let began = std::time::Instant::now();
        while std::os::unix::net::UnixStream::connect(at("podman.sock")).is_err() {
            assert!(began.elapsed().as_secs() < 30, "podman does not answer");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        Some(service)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let at = |name: &str| self.folder.join(name).display().to_string();
        // What runs still would go on without it, with its folders mounted.
        let _ = Command::new("podman")
            .args(["--root", &at("root"), "--runroot", &at("run"), "--storage-driver", "vfs", "rm", "-af", "-t", "0"])
            .env("CONTAINERS_CONF", at("containers.conf"))
            .output();
        let _ = self.child.kill();
        let _ = self.child.wait();
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let below = mounts
            .lines()
            .filter_map(|line| line.split(' ').nth(1))
            .filter(|at| Path::new(at).starts_with(&self.folder));
        for mount in below.collect::<Vec<_>>().into_iter().rev() {
            let _ = Command::new("umount").args(["-l", mount]).output();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn an_agent_is_held_as_planned_on_podman() {
    let pod = Pod::of("quickstart", "podman");
    let Some(service) = Service::start() else { return };
    let text = std::fs::read_to_string(pod.folder.0.join("claw-pod.yml")).expect("the pod file");
    // It would limit processes to more than a small machine has.
    pod.write(
        "claw-pod.yml",
        &text
            .replace("    build: .\n", "    build: .\n    ulimits: {nproc: 4096}\n")
            .replace("    image: claw/infra\n", "    image: claw/infra\n    ulimits: {nproc: 4096}\n"),
    );
    let claw = |arguments: &[&str]| {
        let run =
            claw_with(&pod.folder.0, &[&["-p", &pod.name], arguments].concat(), &[("DOCKER_HOST", &service.address)]);
        assert_eq!(run.code, Some(0), "{arguments:?}: {run:?}");
        run.stdout
    };
    assert!(claw(&["doctor"]).contains("Podman 4") || claw(&["doctor"]).contains("Podman 5"));
    // It leaves the host on agents' networks: that must be wanted.
    let run = claw_with(&pod.folder.0, &["-p", &pod.name, "up", "-d"], &[("DOCKER_HOST", &service.address)]);
    assert!(run.code != Some(0) && run.stderr.contains("ports of the host shut from inside"), "{run:?}");
    claw(&["up", "-d", "--compat"]);
    assert_eq!(claw(&["verify"]), "3 services run as planned\n");
    assert_eq!(claw(&["plan"]), "nothing to do\n");
    let health = claw(&["health"]);
    assert!(health.contains("writer  healthy"), "{health}");
    assert_eq!(claw(&["exec", "-T", "writer", "/bin/claw", "version"]).split(' ').next(), Some("claw"));
    // A change is a change there too.
    pod.write("AGENTS.md", "# Editor\n");
    assert!(claw(&["plan"]).contains("contract changed"));
    claw(&["up", "-d", "--compat"]);
    claw(&["down", "-v", "--rmi", "local"]);
    assert!(!pod.folder.0.join(".claw").join(&pod.name).exists());
}
