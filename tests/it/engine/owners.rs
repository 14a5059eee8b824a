//! Owners: whoever an image runs as, its agent runs as somebody who is not root and writes wherever it may write. A matrix of the
//! users of images and the kinds of places; nothing is open to everybody, and nobody who hands over stays.

use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::cis::processes;
use super::{Pod, docker, shell};

/// Users of images: how the row is called, the line of its Dockerfile, who its agent runs as.
const USERS: &[(&str, &str, u32)] = &[
    ("none", "", 65532),
    ("root", "USER root\n", 65532),
    ("named", "USER app\n", 65532),
    ("pair", "USER 1000:1000\n", 1000),
    ("single", "USER 1000\n", 1000),
];

/// What every image has: a user with a name, a directory with a file, and a volume, each somebody else's.
const MAKE: &str = "mkdir -m 1777 /tmp; echo app:x:4321:4321::/:/bin/sh > /etc/passwd; mkdir /kept /declared; echo old > /kept/old; \
                    chown -R 2000:2000 /kept; chown 3000:3000 /declared";

/// Where an agent may write: the kinds of places.
fn places(name: &str, host: &str) -> Vec<String> {
    vec![
        "/tmp".to_owned(),
        format!("/mnt/{name}-shelf"),
        "/kept".to_owned(),
        "/declared".to_owned(),
        "/bound".to_owned(),
        host.to_owned(),
    ]
}

/// Writes the images' folder, and directories of the host that are the agents'; returns the pod file.
fn matrix(pod: &Pod) -> String {
    shell(pod);
    let base = std::fs::read_to_string(pod.folder.0.join("box/Dockerfile")).expect("written");
    let (mut services, mut volumes) = (String::new(), String::new());
    for (name, line, uid) in USERS {
        let text = format!("{base}RUN [\"/bin/sh\", \"-c\", \"{MAKE}\"]\nVOLUME /declared\n{line}");
        pod.write(&format!("box/{name}.Dockerfile"), &text);
        let host = pod.folder.0.join(format!("{name}-host"));
        for place in [host.clone(), pod.folder.0.join(format!("{name}-bound"))] {
            std::fs::create_dir(&place).expect("a directory");
            std::os::unix::fs::chown(&place, Some(*uid), Some(*uid)).expect("handed over");
        }
        let host = host.display().to_string();
        let places = places(name, &host).join(" ");
        services.push_str(&format!(
            "  {name}:\n    build: {{context: box, dockerfile: {name}.Dockerfile}}\n    stop_signal: SIGKILL\n    command:\n      - sh\n      - -c\n      - \
             'for place in {places}; do if (echo x > $$place/made) 2>/dev/null; then echo wrote $$place; else echo refused $$place; fi; done; \
             echo ready; exec sleep 100000'\n    volumes: ['{name}-kept:/kept', './{name}-bound:/bound']\n    x-claw:\n      type: generic\n      \
             agent: AGENTS.md\n      surfaces: ['volume://{name}-shelf read-write', 'host://{host} read-write']\n"
        ));
        volumes.push_str(&format!("  {name}-kept:\n"));
    }
    format!("services:\n{services}volumes:\n{volumes}")
}

/// Waits for an agent to have tried everything, and returns what it was refused.
fn refused(container: &str) -> Vec<String> {
    let began = std::time::Instant::now();
    loop {
        let lines = docker(&["logs", container]);
        if lines.contains("ready") {
            return lines.lines().filter_map(|line| line.strip_prefix("refused ")).map(ToOwned::to_owned).collect();
        }
        assert!(began.elapsed().as_secs() < 30, "{container} says nothing: {lines}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// Directories below a folder of the host that everybody may write to.
fn open_to_all(folder: &Path) -> Vec<String> {
    let (mut found, mut left) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(current) = left.pop() {
        for entry in std::fs::read_dir(&current).expect("a folder").flatten() {
            let Ok(metadata) = entry.path().symlink_metadata() else { continue };
            if metadata.is_dir() {
                left.push(entry.path());
            }
            if !metadata.is_symlink() && metadata.permissions().mode() & 0o1002 == 0o002 {
                found.push(entry.path().display().to_string());
            }
        }
    }
    found
}

/// Containers of the pod that have a process of root's.
fn roots(pod: &Pod) -> Vec<String> {
    let all = pod.left(&["ps"]).into_iter();
    all.filter(|id| processes(id).iter().any(super::cis::Process::is_root)).collect()
}

/// Volumes of the pod's containers, those without a name among them.
fn volumes(pod: &Pod) -> BTreeSet<String> {
    let format = "{{range .Mounts}}{{if eq .Type \"volume\"}}{{.Name}} {{end}}{{end}}";
    let ids = pod.left(&["ps", "-a"]);
    let all = ids.iter().map(|id| docker(&["inspect", "-f", format, id]));
    all.flat_map(|names| names.split_whitespace().map(ToOwned::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn an_agent_of_any_image_writes_wherever_it_may_and_is_never_root() {
    let pod = Pod::new("owners");
    let text = matrix(&pod);
    pod.write("AGENTS.md", "# A\n").write("claw-pod.yml", &text);
    pod.ok(&["up", "-d", "--wait"]);
    let mut wrong = Vec::new();
    for (name, _, uid) in USERS {
        let container = pod.container(name);
        for place in refused(&container) {
            wrong.push(format!("{name}: it cannot write to {place}"));
        }
        let found = processes(&container);
        if found.is_empty() || found.iter().any(|process| !process.is_all(*uid)) {
            wrong.push(format!("{name}: a process is not {uid}'s: {found:?}"));
        }
        let host = pod.folder.0.join(format!("{name}-host"));
        for place in places(name, &host.display().to_string()) {
            let owner = std::process::Command::new("docker")
                .args(["exec", &container, "stat", "-c", "%u", &format!("{place}/made")])
                .output()
                .expect("docker runs");
            let owner = String::from_utf8_lossy(&owner.stdout).trim().to_owned();
            if owner != uid.to_string() {
                wrong.push(format!("{name}: {place}/made is `{owner}`'s"));
            }
        }
        let open =
            "find / -type d -perm -0002 ! -perm -1000 -print 2>/dev/null | grep -v -e ^/proc -e ^/sys -e ^/dev; true";
        let open = docker(&["exec", &container, "sh", "-c", open]);
        if !open.is_empty() {
            wrong.push(format!("{name}: open to everybody: {open}"));
        }
        assert_eq!(std::fs::metadata(host.join("made")).map(|made| made.uid()).ok(), Some(*uid), "on the host too");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(open_to_all(&pod.folder.0), Vec::<String>::new());
    assert_eq!(roots(&pod), Vec::<String>::new());
    assert_eq!(pod.ok(&["up", "-d"]), "nothing to do\n");
    let made = volumes(&pod);
    pod.ok(&["down", "-v", "--rmi", "local"]);
    pod.leaves_nothing();
    let there: BTreeSet<String> = docker(&["volume", "ls", "-q"]).lines().map(ToOwned::to_owned).collect();
    assert_eq!(made.intersection(&there).collect::<Vec<_>>(), Vec::<&String>::new(), "volumes without a name go too");
}

#[test]
fn what_a_runtime_keeps_is_its_users_whoever_that_is() {
    let pod = Pod::new("keeper");
    let agent = |user: &str| {
        format!(
            "    image: claw/infra\n{user}    x-claw: {{type: reference, agent: AGENTS.md, models: {{primary: demo/echo-1}}}}\n"
        )
    };
    pod.write("AGENTS.md", "# Keeper\n").write(
        "claw-pod.yml",
        &format!(
            "x-claw: {{providers: {{demo: {{base_url: 'http://provider:8701/v1'}}}}}}\nservices:\n  own:\n{}  other:\n{}  \
             provider: {{image: claw/infra, command: [reference, provider, --listen, '0.0.0.0:8701']}}\n",
            agent(""),
            agent("    user: '1000:1000'\n")
        ),
    );
    pod.ok(&["up", "-d", "--wait"]);
    for (name, uid) in [("own", 65532), ("other", 1000)] {
        assert!(pod.ok(&["ask", name, "hello"]).contains("Turn 1: hello"));
        let found = processes(&pod.container(name));
        assert!(!found.is_empty() && found.iter().all(|process| process.is_all(uid)), "{found:?}");
    }
    pod.ok(&["restart"]);
    pod.ok(&["up", "-d", "--wait"]);
    assert!(pod.ok(&["ask", "other", "again"]).contains("Turn 2: again"), "what it wrote, it reads");
    pod.ok(&["down", "-v"]);
    pod.leaves_nothing();
}

#[test]
fn a_directory_of_the_host_that_an_agent_cannot_write_to_is_told_before_it_starts_with_what_helps() {
    let pod = Pod::new("bound");
    shell(&pod);
    let shared = pod.folder.0.join("shared");
    std::fs::create_dir(&shared).expect("a directory");
    std::os::unix::fs::chown(&shared, Some(0), Some(0)).expect("root's");
    let shared = shared.display().to_string();
    pod.write("AGENTS.md", "# A\n").write(
        "claw-pod.yml",
        &format!(
            "services:\n  a:\n    build: box\n    stop_signal: SIGKILL\n    command: [sh, -c, 'exec sleep 100000']\n    \
             x-claw: {{type: generic, agent: AGENTS.md, surfaces: ['host://{shared} read-write']}}\n"
        ),
    );
    let run = pod.run(&["up", "-d", "--wait"]);
    let told = run.stderr.find("warning[unwritable-path]").expect("it is told");
    assert!(told < run.stderr.find("start container a").expect("it starts"), "{run:?}");
    let help = run.stderr.lines().find_map(|line| line.split_once("(sudo chown ")).expect("what helps").1;
    let words: Vec<&str> = help.split(')').next().expect("a command").split(' ').collect();
    assert_eq!(words, ["65532:65532", &shared]);
    let write = ["exec", &pod.container("a"), "touch", &format!("{shared}/made")];
    assert!(!std::process::Command::new("docker").args(write).output().expect("docker runs").status.success());
    std::os::unix::fs::chown(&shared, Some(65532), Some(65532)).expect("handed over");
    docker(&write);
    let run = pod.run(&["check"]);
    assert!(run.code == Some(0) && !run.stderr.contains("unwritable-path"), "{run:?}");
    pod.ok(&["down", "-v", "--rmi", "local"]);
    pod.leaves_nothing();
}
