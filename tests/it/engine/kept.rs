//! What outlives a pod: backups, and units that bring it up with the machine.

use std::process::Command;

use super::{Pod, docker};
use crate::claw_with;

/// A directory beside the pod's; gone at the end.
struct Saved(String, std::path::PathBuf);

impl Saved {
    fn new(pod: &Pod) -> Self {
        let name = format!("../{}-saved", pod.name);
        let path = pod.folder.0.join(&name);
        Self(name, path)
    }
}

impl Drop for Saved {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.1);
    }
}

#[test]
fn a_restore_touches_nothing_that_is_not_the_pods() {
    let pod = Pod::of("quickstart", "backup-foreign");
    let saved = Saved::new(&pod);
    let foreign = format!("{}-foreign", pod.name);
    docker(&["volume", "create", "--label", &pod.mark(), &foreign]);
    let text = std::fs::read_to_string(pod.folder.0.join("claw-pod.yml")).expect("the pod file");
    let text = text.replace("    build: .\n", "    build: .\n    volumes: ['ext:/ext']\n");
    pod.write("claw-pod.yml", &format!("{text}volumes: {{ext: {{external: true, name: {foreign}}}}}\n"));
    pod.ok(&["up", "-d"]);
    // Another container of the name that a helper might have.
    pod.ok(&["run", "-d", "--name", &format!("{}-backup", pod.name), "writer"]);
    pod.ok(&["backup", &saved.0]);
    assert!(!docker(&["ps", "-aq", "--filter", &format!("name=^{}-backup$", pod.name)]).is_empty());
    pod.ok(&["down"]);
    pod.ok(&["restore", "-y", &saved.0]);
    pod.ok(&["down", "-v"]);
    docker(&["volume", "inspect", &foreign]);
    docker(&["volume", "rm", &foreign]);
    // One that ended early keeps everything down until it is whole.
    pod.ok(&["restore", &saved.0]);
    let state = pod.folder.0.join(".claw").join(&pod.name).join("state");
    std::fs::write(state.join("restoring"), format!("{}\n", saved.0)).expect("written");
    let run = pod.run(&["up", "-d"]);
    assert!(run.code == Some(2) && run.stderr.contains("a restore of `"), "{run:?}");
    pod.ok(&["down", "-v"]);
    pod.leaves_nothing();
}

#[test]
fn what_an_agent_remembers_comes_back_from_a_backup() {
    let pod = Pod::of("quickstart", "backup");
    let saved = Saved::new(&pod);
    let saved = saved.0.as_str();
    let run = pod.run(&["backup", "inside"]);
    assert!(run.code == Some(2) && run.stderr.contains("lies in what the image of `writer` is built from"), "{run:?}");
    pod.ok(&["up", "-d", "--wait"]);
    assert_eq!(pod.ok(&["ask", "writer", "one"]), "I am Writer. Turn 1: one\n");
    let said = pod.ok(&["backup", saved]);
    assert!(said.contains("-saved: 2 volumes, "), "{said}");
    assert_eq!(docker(&["inspect", "-f", "{{.State.Status}}", &pod.container("writer")]), "running", "it goes on");
    assert_eq!(pod.run(&["backup", saved]).code, Some(2), "nothing is written over");
    pod.ok(&["ask", "writer", "two"]);
    let run = pod.run(&["restore", saved]);
    assert!(run.code == Some(1) && run.stderr.contains("`claw down` takes them away first"), "{run:?}");
    pod.ok(&["down"]);
    // What is there is not replaced without a word.
    let run = pod.run(&["restore", saved]);
    assert!(run.code == Some(2) && run.stderr.contains("`-y` replaces what it holds"), "{run:?}");
    assert!(pod.ok(&["restore", "-y", saved]).starts_with("restored 2 volumes of "));
    pod.ok(&["up", "-d", "--wait"]);
    assert_eq!(pod.ok(&["ask", "writer", "again"]), "I am Writer. Turn 2: again\n", "the second turn is gone");
    // After everything was lost.
    pod.ok(&["down", "-v"]);
    pod.leaves_nothing();
    pod.ok(&["restore", saved]);
    pod.ok(&["up", "-d", "--wait"]);
    assert_eq!(pod.ok(&["ask", "writer", "again"]), "I am Writer. Turn 2: again\n");
    pod.ok(&["down", "-v"]);
    pod.leaves_nothing();
    // A bit that fell over is found before anything is touched.
    let part = pod.folder.0.join(saved).join("volumes/writer-state.tar");
    let mut bytes = std::fs::read(&part).expect("a part");
    bytes[600] ^= 1;
    std::fs::write(&part, bytes).expect("written");
    let run = pod.run(&["restore", saved]);
    assert!(run.code == Some(1) && run.stderr.contains("`volumes/writer-state.tar` is not what it was"), "{run:?}");
    pod.leaves_nothing();
}

#[test]
fn a_backup_keeps_tokens_and_is_its_owners_alone() {
    use std::os::unix::fs::MetadataExt;
    let pod = Pod::of("quickstart", "backup-state");
    let saved = Saved::new(&pod);
    let saved = saved.0.as_str();
    pod.ok(&["up", "-d"]);
    let state = pod.folder.0.join(".claw").join(&pod.name).join("state");
    std::fs::create_dir_all(state.join("tokens/@writer")).expect("a folder");
    std::fs::write(state.join("tokens/@writer/T"), "canary").expect("a token");
    pod.ok(&["backup", saved]);
    for name in ["", "volumes", "state.tar", "backup.json", "volumes/writer-state.tar"] {
        let mode = std::fs::metadata(pod.folder.0.join(saved).join(name)).expect(name).mode();
        assert_eq!(mode & 0o077, 0, "{name} is for its owner alone");
    }
    pod.ok(&["down", "-v"]);
    pod.ok(&["restore", saved]);
    assert_eq!(std::fs::read_to_string(state.join("tokens/@writer/T")).expect("back"), "canary");
    // A run that was killed while agents were held still leaves them so; the next `up` lets them go on.
    pod.ok(&["up", "-d", "--wait"]);
    docker(&["pause", &pod.container("writer")]);
    assert_eq!(pod.ok(&["plan"]), "start container writer: it does not run\n");
    pod.ok(&["up", "-d", "--wait"]);
    assert_eq!(docker(&["inspect", "-f", "{{.State.Status}}", &pod.container("writer")]), "running");
    pod.ok(&["down", "-v"]);
    pod.leaves_nothing();
}

#[test]
fn a_unit_brings_the_pod_up_from_anywhere() {
    let pod = Pod::of("quickstart", "unit %d");
    let _left = super::left::Left(format!("claw-unit-{}", std::process::id()));
    pod.write(".env", "A=b\n");
    let config = pod.folder.0.canonicalize().expect("there").join("config");
    let claw = |arguments: &[&str]| {
        let name = format!("claw-unit-{}", std::process::id());
        claw_with(
            &pod.folder.0,
            &[&["-p", &name], arguments].concat(),
            &[("XDG_CONFIG_HOME", &config.display().to_string())],
        )
    };
    let run = claw(&["service", "install", "--print"]);
    assert!(run.code == Some(0) && run.stdout.contains("\nWantedBy=default.target\n"), "{run:?}");
    assert!(!config.exists(), "nothing is written");
    let run = claw(&["service", "install"]);
    if run.stderr.contains("`systemctl` cannot be run") {
        return;
    }
    assert_eq!(run.code, Some(0), "{run:?}");
    let name = format!("claw-claw-unit-{}.service", std::process::id());
    let path = config.join("systemd/user").join(&name);
    let text = std::fs::read_to_string(&path).expect("the unit");
    assert!(config.join("systemd/user/default.target.wants").join(&name).exists(), "it is enabled");
    // systemd takes it; where it cannot look, it says why.
    let verified =
        Command::new("systemd-analyze").args(["--user", "verify"]).arg(&path).env("XDG_RUNTIME_DIR", &config).output();
    if let Ok(verified) = verified {
        let said = String::from_utf8_lossy(&verified.stderr).into_owned();
        assert!(!said.contains(&name), "{said}");
    }
    // What it runs, as it runs it: without this shell's variables, from another directory. A shell reads these lines alike.
    let line = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)).expect(key);
        let line = line.replace("%%", "%").replace("$$", "$");
        let set = text.lines().filter_map(|line| line.strip_prefix("Environment="));
        let set: Vec<&str> = ["-i", "PATH=/usr/bin:/bin"].into_iter().chain(set).collect();
        let output = Command::new("env").args(set).args(["sh", "-c", &line]).current_dir("/").output();
        let output = output.expect("a shell");
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let state =
        || docker(&["inspect", "-f", "{{.State.Status}}", &format!("claw-unit-{}-writer-1", std::process::id())]);
    line("ExecStart=");
    assert_eq!(state(), "running");
    line("ExecStop=");
    assert_eq!(state(), "exited");
    let run = claw(&["service", "uninstall"]);
    assert!(run.code == Some(0) && run.stdout.contains("the pod goes on as it is"), "{run:?}");
    assert!(!path.exists());
    assert!(claw(&["service", "uninstall"]).stdout.starts_with("there is no "));
    claw(&["down", "-v", "--rmi", "local"]);
}
