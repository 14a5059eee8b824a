//! What goes on for as long as it is watched: logs, events, health; and containers for one command.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::services::{job, pod, sleeper};
use super::{Pod, SIZE, docker, signal};

/// A claw that goes on, and what it prints.
struct Watched {
    child: Child,
    lines: Receiver<String>,
}

impl Watched {
    fn start(pod: &Pod, arguments: &[&str]) -> Self {
        let mut child = pod.command(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("claw runs");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines }
    }

    /// Returns once it tells of what happens to a container that runs: it listens from then on.
    fn hears(&self, container: &str) {
        let began = Instant::now();
        loop {
            // A signal that does nothing to the program happens to its container all the same.
            docker(&["kill", "-s", "WINCH", container]);
            if self.lines.recv_timeout(Duration::from_millis(200)).is_ok() {
                return;
            }
            assert!(began.elapsed().as_secs() < 30, "it does not listen");
        }
    }

    /// Returns the first line that holds a text, within half a minute.
    fn line(&self, text: &str) -> String {
        let mut seen = Vec::new();
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(30));
            let line = line.map_err(|_| format!("`{text}` never came; {seen:#?}")).expect("a line");
            if line.contains(text) {
                return line;
            }
            seen.push(line);
        }
    }

    fn end(mut self) -> Vec<String> {
        signal(&self.child, "INT");
        assert_eq!(self.child.wait().expect("ended").code(), Some(130));
        self.lines.iter().collect()
    }
}

#[test]
fn logs_are_followed_over_restarts_and_of_what_comes_later() {
    let ticking = "for i in 1 2 3; do echo $$(hostname)-$$i; sleep 0.1; done; printf the-end; exec sleep 1000";
    let script = |name: &str| job(name, ticking, &format!("    stop_signal: SIGKILL\n    hostname: {name}\n"));
    let pod = pod("following", &format!("{}{}", script("long-name"), script("b")));
    pod.ok(&["up", "-d", "b"]);
    let watched = Watched::start(&pod, &["logs", "-f"]);
    assert_eq!(watched.line("b-3"), "b         | b-3", "as wide as the pod's widest name");
    pod.ok(&["up", "-d"]);
    watched.line("long-name | long-name-1");
    watched.line("long-name | long-name-3");
    pod.ok(&["restart", "b"]);
    // What begins after a line without an end is a line of its own.
    assert_eq!(watched.line("b-1"), "b         | b-1");
    watched.line("b         | b-3");
    // The last line needs no end; nothing comes twice.
    pod.ok(&["stop"]);
    let mut child = watched.child;
    assert_eq!(child.wait().expect("ended").code(), Some(0), "nothing runs any more");
    let rest: Vec<String> = watched.lines.iter().collect();
    assert!(rest.iter().any(|line| line == "b         | the-end"), "{rest:?}");
    assert!(!rest.iter().any(|line| line.contains("b-1")), "{rest:?}");
    let plain = pod.ok(&["logs", "--no-log-prefix", "-n", "2", "b"]);
    assert!(plain.lines().all(|line| !line.contains('|')) && plain.lines().count() == 2, "{plain}");
    assert_eq!(pod.ok(&["logs", "--until", "2026-01-01T00:00:00Z"]), "");
    assert_eq!(pod.run(&["logs", "--since", "yesterday"]).code, Some(2));
    pod.ok(&["down", "-v"]);
}

#[test]
fn names_have_colours_on_a_terminal_alone() {
    let pod = pod("coloured", &job("web", "echo hello", ""));
    pod.ok(&["up", "-d"]);
    // What it prints is there once it has ended.
    pod.ok(&["wait", "web"]);
    let claw = |more: &str| {
        let line = format!("{} -p {} logs {more}", env!("CARGO_BIN_EXE_claw"), pod.name);
        let output = Command::new("script")
            .args(["-qec", &line, "/dev/null"])
            .current_dir(&pod.folder.0)
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .stdin(Stdio::null())
            .output()
            .expect("script runs");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert_eq!(claw(""), "\u{1b}[36mweb |\u{1b}[0m hello");
    assert_eq!(claw("--no-color"), "web | hello");
    assert_eq!(pod.ok(&["logs"]), "web | hello\n");
    pod.ok(&["down", "-v"]);
}

#[test]
fn what_happens_is_told_as_it_happens() {
    let pod = pod("events", &format!("{}{}", sleeper("web", ""), sleeper("db", "")));
    let (web, db) = (pod.container("web"), pod.container("db"));
    pod.ok(&["up", "-d", "db"]);
    let watched = Watched::start(&pod, &["events"]);
    let json = Watched::start(&pod, &["events", "--json", "db"]);
    // Both listen before anything happens.
    watched.hears(&db);
    json.hears(&db);
    docker(&["rm", "-f", &db]);
    pod.ok(&["up", "-d"]);
    let line = watched.line(&format!("container start {web}"));
    assert!(line.contains(&format!("image={}-box", pod.name)), "{line}");
    pod.ok(&["exec", "-T", "web", "true"]);
    pod.ok(&["stop", "db"]);
    watched.line(&format!("container die {db}"));
    let rest = watched.end();
    assert!(rest.iter().all(|line| !line.contains("exec_")), "{rest:?}");
    let event = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("JSON");
    for action in ["create", "start", "die"] {
        let told = event(&json.line(&format!("\"action\":\"{action}\"")));
        assert_eq!((&told["service"], &told["type"]), (&"db".into(), &"container".into()), "{told}");
    }
    json.end();
    // The engine keeps the last 256 events of all containers: where much goes on, one may be gone before it is asked for.
    let is_death = |event: &serde_json::Value| event["action"] == "die";
    let mut told: Vec<serde_json::Value> = Vec::new();
    for _ in 0..5 {
        let began = now();
        pod.ok(&["start", "db"]);
        pod.ok(&["stop", "db"]);
        // A second that has not ended is no moment to end at.
        std::thread::sleep(Duration::from_millis(1100));
        let text = pod.ok(&["events", "--json", "--since", &began, "--until", "0s", "db"]);
        told = text.lines().map(event).collect();
        if told.iter().any(is_death) {
            break;
        }
    }
    assert!(told.iter().any(is_death), "{told:?}");
    assert!(told.iter().all(|event| event["service"] == "db" && event["type"] == "container"), "{told:?}");
    assert_eq!(told[0]["details"]["image"], format!("{}-box", pod.name));
    pod.ok(&["down", "-v"]);
}

/// Now, in seconds of Unix time.
fn now() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("later");
    now.as_secs().to_string()
}

#[test]
fn each_change_of_health_is_told() {
    let pod = Pod::of("quickstart", "watched");
    pod.ok(&["up", "-d", "--wait"]);
    let watched = Watched::start(&pod, &["health", "--watch"]);
    assert!(watched.line("writer").contains("writer  healthy    model "));
    pod.ok(&["stop", "writer"]);
    watched.line("writer  stopped");
    pod.ok(&["start", "writer"]);
    watched.line("writer  healthy");
    watched.end();
    let told: serde_json::Value = serde_json::from_str(&pod.ok(&["health", "--json"])).expect("JSON");
    assert!(told["data"]["agents"][0]["said"].is_object(), "the runtime's own words: {told}");
    pod.ok(&["down", "-v"]);
    pod.leaves_nothing();
}

#[test]
fn a_command_has_a_container_of_its_own() {
    let web = sleeper(
        "web",
        "    depends_on: [db]\n    ports: [\"127.0.0.1::80\"]\n    environment: {A: own, B: own}\n    volumes: [data:/data]\n    user: \"0\"\n",
    );
    let pod = pod("run", &format!("{web}{}volumes: {{data: }}\n", sleeper("db", "")));
    let call = [
        "run",
        "--rm",
        "-T",
        "-e",
        "B=given",
        "-w",
        "/bin",
        "-u",
        "7",
        "web",
        "sh",
        "-c",
        "cat; echo $A $B $(pwd) $(id -u); exit 7",
    ];
    let mut child = pod
        .command(&call)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("claw runs");
    child.stdin.take().expect("piped").write_all(b"in\n").expect("written");
    let output = child.wait_with_output().expect("ended");
    assert_eq!(
        (output.status.code(), String::from_utf8_lossy(&output.stdout).as_ref()),
        (Some(7), "in\nown given /bin 7\n")
    );
    // What it needs was started; the service itself was not, and nothing of the command is left.
    let names = docker(&[
        "ps",
        "-a",
        "--format",
        "{{.Names}}",
        "--filter",
        &format!("label=com.docker.compose.project={}", pod.name),
    ]);
    assert_eq!(names, pod.container("db"));
    pod.ok(&["up", "-d"]);
    let before = pod.id("web");
    // Beside the service, with its volume, without its ports and its name.
    pod.ok(&["run", "--rm", "-T", "web", "sh", "-c", "echo kept > /data/note"]);
    assert_eq!(docker(&["exec", &pod.container("web"), "cat", "/data/note"]), "kept");
    let name = pod.ok(&["run", "-d", "--name", &format!("{}-mine", pod.name), "web", "sleep", "1000"]);
    assert_eq!(name, format!("{}-mine\n", pod.name));
    let found = docker(&["exec", &pod.container("db"), "nslookup", "web"]);
    assert_eq!(found.matches("Address").count(), 2, "the server and one container: {found}");
    assert_eq!(
        docker(&[
            "inspect",
            "-f",
            "{{.HostConfig.RestartPolicy.MaximumRetryCount}} {{.NetworkSettings.Ports}}",
            name.trim()
        ]),
        "0 map[]"
    );
    assert_eq!(pod.ok(&["up", "-d"]), "nothing to do\n");
    assert_eq!(pod.id("web"), before);
    // At a terminal the command has one.
    let line =
        format!("stty rows 33 cols 77; {} -p {} run --rm web sh -c '{SIZE}'", env!("CARGO_BIN_EXE_claw"), pod.name);
    let output = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .current_dir(&pod.folder.0)
        .stdin(Stdio::null())
        .output();
    let said = String::from_utf8_lossy(&output.expect("script runs").stdout).into_owned();
    assert!(said.contains("33 77"), "{said:?}");
    let entry = pod.ok(&["run", "--rm", "-T", "--no-deps", "--entrypoint", "sh -c 'echo \"entered  it\"'", "web"]);
    assert_eq!(entry, "entered  it\n");
    pod.ok(&["down", "-v"]);
    pod.leaves_nothing();
}
