//! Worker mode: siblings beside the pod, their lines, and what of them is kept.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::json::check;
use super::{Pod, docker, shell, signal};
use crate::claw;
use crate::runtimes::is_asked;

/// Managers whose packages are lines of files: what a worker's path does with a manager is tested, not managers.
const FAKES: &[(&str, &str)] = &[
    (
        "apt-get",
        "v=$1; shift; touch /db\n\
         for w in \"$@\"; do case $w in -*) ;; *) n=${w%%=*}; grep -v \"^$n\t\" /db >/db.new; \
         [ $v = install ] && printf '%s\\t%s\\t1.2-3\\tinstalled\\n' \"$n\" \"$n\" >>/db.new; mv /db.new /db;; esac; done\n\
         [ $v != fail ]",
    ),
    ("dpkg-query", "cat /db 2>/dev/null"),
    (
        "pip",
        "touch /pips; case $1 in freeze) cat /pips;; install) shift; for w in \"$@\"; do case $w in -*) ;; \
         *) echo \"${w%%=*}==2.0\" >>/pips;; esac; done;; uninstall) grep -v \"^$3=\" /pips >/pips.new; mv /pips.new /pips;; esac",
    ),
    (
        "npm",
        "case $1 in ls) cat /npms 2>/dev/null || echo '{}';; install) \
         echo '{\"dependencies\": {\"left-pad\": {\"version\": \"1.3.0\"}}}' >/npms;; esac",
    ),
];

/// A pod with one agent whose image has a shell, managers, and these lines.
fn pod(name: &str, lines: &str) -> Pod {
    let pod = Pod::new(name);
    shell(&pod);
    let own = std::fs::read_to_string(pod.folder.0.join("box/Dockerfile")).expect("the file");
    let mut copies = String::new();
    for (program, script) in FAKES {
        pod.write(&format!("box/{program}"), &format!("#!/bin/sh\n{script}\n"));
        copies.push_str(&format!("COPY {program} /bin/\n"));
    }
    let modes = "RUN [\"/bin/busybox\", \"chmod\", \"755\", \"/bin/apt-get\", \"/bin/dpkg-query\", \"/bin/pip\", \"/bin/npm\"]\n";
    let clawfile = format!(
        "{own}{copies}{modes}CLAW_TYPE generic\nAGENT AGENTS.md\nPRIVILEGE worker root\n{lines}USER 1000:1000\nCMD [\"sleep\", \"1000\"]\n"
    );
    std::fs::remove_file(pod.folder.0.join("box/Dockerfile")).expect("gone");
    pod.write("box/Clawfile", &clawfile).write("AGENTS.md", "# Rules\n");
    // The pod's own files do not choose the network of a worker.
    pod.write(".env", "DEMO_API_KEY=marker-of-the-key\nCLAW_WORKER_NETWORK=host\n");
    pod.write(
        "claw-pod.yml",
        "services:\n  writer:\n    build: box\n    environment: {DEMO_API_KEY: '${DEMO_API_KEY}', NOTE: own}\n",
    );
    pod
}

fn data(text: &str) -> Value {
    serde_json::from_str::<Value>(text).expect("JSON")["data"].clone()
}

#[test]
fn a_worker_stands_beside_the_pod_and_is_no_part_of_it() {
    let pod = pod("beside", "TRACK apt\nACT echo one; id -u > /who\nACT echo two >&2\n");
    pod.ok(&["up", "-d"]);
    let writer = pod.id("writer");
    let run = pod.run(&["up", "--mode", "worker"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.starts_with("the worker of writer runs"), "{run:?}");
    for line in ["writer: ACT 1 of 2: echo one; id -u > /who", "writer | one", "writer | two"] {
        assert!(run.stderr.lines().any(|each| each == line), "{line}: {}", run.stderr);
    }
    let text = pod.ok(&["ps", "--json"]);
    check("ps", &text);
    let found = data(&text);
    let rows = found["containers"].as_array().expect("a list").iter().map(|each| (&each["service"], &each["mode"]));
    let rows: Vec<_> =
        rows.map(|(service, mode)| format!("{service}{mode}")).filter(|row| row.contains("writer")).collect();
    assert_eq!(rows, ["\"writer\"\"agent\"", "\"writer\"\"worker\""]);
    assert!(pod.ok(&["ps"]).contains("writer (worker)"));
    assert_eq!(pod.ok(&["exec", "-T", "--mode", "worker", "writer", "cat", "/who"]), "0\n");
    assert_eq!(pod.ok(&["exec", "-T", "writer", "id", "-u"]), "1000\n");

    // What it has, and what it has not.
    let worker = format!("{}-writer-worker", pod.name);
    let seen: Value = serde_json::from_str(&docker(&["inspect", &worker])).expect("JSON");
    let (seen, host) = (&seen[0], &seen[0]["HostConfig"]);
    let is_empty = |key: &str| host[key].as_array().is_none_or(Vec::is_empty);
    assert!(host["ReadonlyRootfs"] == false && is_empty("CapDrop") && is_empty("SecurityOpt"), "{host}");
    assert!(host["Memory"].as_i64() > Some(0) && host["PidsLimit"].as_i64() > Some(0), "{host}");
    let networks: Vec<&String> = seen["NetworkSettings"]["Networks"].as_object().expect("a map").keys().collect();
    assert_eq!(networks, [&format!("{}_claw-worker", pod.name)]);
    // The engine keeps them in a map: their order is another one each time.
    let mounts = seen["Mounts"].as_array().expect("a list").iter();
    let mounts: BTreeSet<String> = mounts.map(|each| format!("{} {}", each["Destination"], each["RW"])).collect();
    assert_eq!(mounts, ["\"/run/claw\" false", "\"/run/claw-worker\" true"].map(String::from).into());
    let environment = docker(&["exec", &worker, "env"]);
    assert!(!environment.contains("marker-of-the-key") && !environment.contains("NOTE"), "{environment}");
    assert!(environment.contains("PATH=/run/claw/track/apt:/"), "{environment}");

    // The pod is what it was.
    assert_eq!(pod.ok(&["up", "-d"]), "nothing to do\n");
    assert_eq!(pod.run(&["plan", "--exit-code"]).code, Some(0));
    assert!(pod.ok(&["verify"]).ends_with("run as planned\n"));
    assert_eq!(pod.id("writer"), writer);
    let compose = std::fs::read_to_string(pod.folder.0.join("compose.generated.yml")).expect("the file");
    assert!(!compose.contains("claw-worker") && !compose.contains("mode: worker"), "{compose}");
    assert_eq!(
        pod.ok(&["ps", "-q"])
            .lines()
            .filter(|id| worker == docker(&["inspect", "-f", "{{slice .Name 1}}", id]))
            .count(),
        0
    );

    // Once done, a line is not run again; a worker alone can go.
    let text = pod.ok(&["up", "--mode", "worker", "writer", "--json"]);
    check("up-worker", &text);
    let states = data(&text)["workers"][0]["acts"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|act| act["state"].clone())
        .collect::<Vec<_>>();
    assert_eq!(states, ["before", "before"]);
    // Nor is it taken from another directory, or beside another run.
    let other = Pod::new("beside-other");
    other.write("claw-pod.yml", "services: {x: {image: x}}\n");
    let run = claw(&other.folder.0, &["-p", &pod.name, "down", "--mode", "worker"]);
    assert!(run.code != Some(0) && docker(&["inspect", "-f", "{{.State.Running}}", &worker]) == "true", "{run:?}");
    let lock = pod.folder.0.join(".claw").join(&pod.name).join("state/lock");
    let held = std::fs::File::open(lock).expect("a lock");
    held.lock().expect("free");
    let run = pod.run(&["down", "--mode", "worker"]);
    assert!(run.code != Some(0) && run.stderr.contains("another claw works on"), "{run:?}");
    drop(held);
    assert_eq!(pod.ok(&["down", "--mode", "worker"]), "2 removed\n");
    assert_eq!(pod.id("writer"), writer);
    let run = pod.run(&["exec", "-T", "--mode", "worker", "writer", "true"]);
    assert!(run.code == Some(2) && run.stderr.contains("`writer` has no worker"), "{run:?}");
    pod.ok(&["up", "--mode", "worker"]);
    pod.ok(&["down", "-v"]);
    pod.leaves_nothing();
}

#[test]
fn a_line_that_fails_leaves_the_worker_and_is_gone_on_with() {
    let pod =
        pod("worker-fails", "ACT echo x >> /count\nACT test -f /ready || { printf half; exit 7; }\nACT echo last\n");
    let run = pod.run(&["up", "--mode", "worker", "--json"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("writer | half\n") && run.stderr.contains("ended with 7; the worker stays"), "{run:?}");
    let acts = data(&run.stdout)["workers"][0]["acts"].clone();
    let states: Vec<&Value> = acts.as_array().expect("a list").iter().map(|act| &act["state"]).collect();
    assert_eq!(states, ["done", "failed", "open"]);
    pod.ok(&["exec", "-T", "--mode", "worker", "writer", "touch", "/ready"]);
    let run = pod.run(&["up", "--mode", "worker"]);
    assert!(run.code == Some(0) && run.stderr.contains("writer | last"), "{run:?}");
    assert_eq!(pod.ok(&["exec", "-T", "--mode", "worker", "writer", "cat", "/count"]), "x\n");

    // Another image is another worker, and nothing is lost without a word.
    let clawfile = std::fs::read_to_string(pod.folder.0.join("box/Clawfile")).expect("the file");
    pod.write("box/Clawfile", &clawfile.replace("echo last", "echo more"));
    let run = pod.run(&["up", "--mode", "worker"]);
    assert!(run.code == Some(1) && run.stderr.contains("`--force-recreate` makes it anew"), "{run:?}");
    let run = pod.run(&["up", "--mode", "worker", "--force-recreate"]);
    assert!(run.code == Some(1) && run.stderr.contains("ended with 7"), "{run:?}");
    assert!(pod.run(&["up", "--mode", "worker", "nope"]).stderr.contains("no agent `nope`"));
    pod.ok(&["down", "-v"]);
    pod.leaves_nothing();
}

#[test]
fn a_line_that_runs_holds_the_worker_and_ctrl_c_leaves_nothing_of_it() {
    let pod =
        pod("worker-held", "ACT echo x >> /begun; test -f /ready || { sleep 3000 & sleep 3000; }\nACT echo > /last\n");
    pod.ok(&["up", "-d"]);
    let writer = pod.id("writer");
    let mut first = pod.start_until(&["up", "--mode", "worker"], "writer: ACT 1 of 2");
    let worker = format!("{}-writer-worker", pod.name);
    let sleeping = || {
        let output = Command::new("docker").args(["top", &worker, "-o", "pid,args"]).output().expect("docker runs");
        String::from_utf8_lossy(&output.stdout).matches("sleep 3000").count()
    };
    let began = std::time::Instant::now();
    while sleeping() < 2 {
        assert!(began.elapsed().as_secs() < 60, "the line never runs");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    // Nobody else has the worker, or takes it away, until the line has ended; they are told who has it.
    let holder = format!("(process {}, `claw up`, since ", first.id());
    for order in [
        &["up", "--mode", "worker"][..],
        &["up", "--mode", "worker", "--force-recreate"],
        &["down", "--mode", "worker"],
    ] {
        let run = pod.run(order);
        assert_eq!(run.code, Some(1), "{order:?}: {run:?}");
        assert!(run.stderr.contains("another claw works on") && run.stderr.contains(&holder), "{order:?}: {run:?}");
        assert!(sleeping() >= 2 && first.try_wait().expect("a state").is_none(), "{order:?}");
    }
    // To look is nobody's business but one's own.
    assert_eq!(pod.ok(&["exec", "-T", "--mode", "worker", "writer", "cat", "/begun"]), "x\n");

    signal(&first, "INT");
    let ended = first.wait().expect("ended");
    assert_eq!(ended.code(), Some(130), "{ended:?}");
    let state = docker(&["inspect", "-f", "{{.State.Running}} {{.State.Pid}}", &worker]);
    assert_eq!((state.as_str(), sleeping()), ("false 0", 0));
    assert_eq!(pod.id("writer"), writer);
    assert_eq!(docker(&["inspect", "-f", "{{.State.Running}}", &writer]), "true", "the agent is none of it");

    // The line was not done: it is begun again. What was copied into the stopped worker is there.
    pod.write("ready", "");
    pod.ok(&["cp", "--mode", "worker", "ready", "writer:/ready"]);
    let run = pod.run(&["up", "--mode", "worker"]);
    assert!(run.code == Some(0) && run.stderr.contains("ACT 1 of 2") && run.stderr.contains("ACT 2 of 2"), "{run:?}");
    pod.ok(&["cp", "--mode", "worker", "writer:/begun", "begun"]);
    assert_eq!(std::fs::read_to_string(pod.folder.0.join("begun")).expect("read"), "x\nx\n");
    let run = pod.run(&["cp", "writer:/begun", "none"]);
    assert!(run.code != Some(0), "the agent has none of it: {run:?}");
    assert_eq!(pod.ok(&["down", "--mode", "worker"]), "2 removed\n");
    let run = pod.run(&["cp", "--mode", "worker", "writer:/begun", "none"]);
    assert!(run.code == Some(2) && run.stderr.contains("`writer` has no worker"), "{run:?}");

    // It cleans up after what was broken off, too.
    let mut first = pod.start_until(&["up", "--mode", "worker"], "writer: ACT 1 of 2");
    signal(&first, "INT");
    assert_eq!(first.wait().expect("ended").code(), Some(130));
    assert_eq!(pod.ok(&["down", "--mode", "worker"]), "2 removed\n");
    pod.ok(&["down", "-v"]);
    pod.leaves_nothing();
}

/// Answers a question of claw's at a terminal.
fn answered(pod: &Pod, arguments: &str, answer: &str) -> (Option<i32>, String) {
    use std::io::Write;
    let claw = format!("{} -p {} {arguments}", env!("CARGO_BIN_EXE_claw"), pod.name);
    let mut child = Command::new("script")
        .args(["-qec", &claw, "/dev/null"])
        .current_dir(&pod.folder.0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script runs");
    child.stdin.take().expect("piped").write_all(answer.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("ended");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

const RECIPE: &str = "RUN apt-get update && apt-get install -y --no-install-recommends curl=1.2-3 && rm -rf /var/lib/apt/lists/*\n\
                      RUN pip install --no-cache-dir flask==2.0\n\
                      RUN npm install -g left-pad@1.3.0\n";

#[test]
fn what_is_installed_becomes_lines_of_the_clawfile_by_a_yes() {
    let lines = "TRACK apt pip npm\nACT apt-get update && apt-get install -y curl\nACT npm install -g left-pad\n";
    let pod = pod("worker-bake", lines);
    let exec = |words: &[&str]| pod.run(&[&["exec", "-T", "--mode", "worker", "writer"], words].concat());
    pod.ok(&["up", "--mode", "worker"]);
    assert_eq!(exec(&["pip", "install", "flask", "six"]).code, Some(0));
    assert_eq!(exec(&["pip", "uninstall", "-y", "six"]).code, Some(0));
    assert_eq!(exec(&["apt-get", "fail", "nano"]).code, Some(1));
    // A line that is no package's is left out.
    let forged = r#"{"manager": "apt", "program": "apt", "argv": ["install", "x"], "exit": 0, "flags": [], "packages": [{"name": "x"}], "changes": [{"name": "x", "from": null, "to": "1; id"}]}"#;
    assert_eq!(exec(&["sh", "-c", &format!("echo '{forged}' >> /run/claw-worker/track.jsonl")]).code, Some(0));
    let run = pod.run(&["recipe", "writer"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), RECIPE), "{run:?}");
    assert!(run.stderr.contains("left out: apt `x`: "), "{run:?}");
    check("recipe", &pod.ok(&["recipe", "writer", "--json"]));

    let before = std::fs::read_to_string(pod.folder.0.join("box/Clawfile")).expect("the file");
    let is_as_it_was = || std::fs::read_to_string(pod.folder.0.join("box/Clawfile")).expect("the file") == before;
    let run = pod.run(&["bake", "writer", "--dry-run"]);
    assert_eq!(run.code, Some(3), "{run:?}");
    assert!(run.stdout.contains("+RUN pip install --no-cache-dir flask==2.0\n"), "{run:?}");
    let run = pod.run(&["bake", "writer"]);
    assert!(run.code == Some(2) && run.stderr.contains("nobody is here to say yes"), "{run:?}");
    assert_eq!(answered(&pod, "bake writer", "n\n").0, Some(2));
    assert!(is_as_it_was());
    let (code, shown) = answered(&pod, "bake writer", "y\n");
    assert!(code == Some(0) && shown.contains("+RUN npm install"), "{shown}");
    let baked = std::fs::read_to_string(pod.folder.0.join("box/Clawfile")).expect("the file");
    let mark = "# Installed in worker mode; written by `claw bake`.\n";
    assert_eq!(baked, before.replace("USER 1000:1000\n", &format!("{mark}{RECIPE}USER 1000:1000\n")));
    check("bake", &pod.ok(&["bake", "writer", "-y", "--json"]));
    assert_eq!(pod.ok(&["bake", "writer", "--dry-run"]), "nothing to bake\n");

    // What was written builds, and what was built has it.
    pod.ok(&["up", "-d"]);
    let listed = pod.ok(&["exec", "-T", "writer", "sh", "-c", "cat /db /pips /npms; id -u"]);
    assert_eq!(
        listed,
        "curl\tcurl\t1.2-3\tinstalled\nflask==2.0\n{\"dependencies\": {\"left-pad\": {\"version\": \"1.3.0\"}}}\n1000\n"
    );
    pod.ok(&["down", "-v"]);
    pod.leaves_nothing();
}

#[test]
fn a_snapshot_has_what_the_worker_has_and_nothing_of_claws_own() {
    let pod = pod("worker-kept", "TRACK apt\nACT echo tried > /tried\n");
    let run = pod.run(&["snapshot", "writer"]);
    assert_eq!(run.code, Some(2), "nothing is there: {run:?}");
    pod.ok(&["up", "-d"]);
    let run = pod.run(&["snapshot", "writer"]);
    assert!(run.code == Some(2) && run.stderr.contains("cannot write to its own file system"), "{run:?}");
    pod.ok(&["up", "--mode", "worker"]);
    let tag = format!("{}-writer:tried", pod.name);
    let text = pod.ok(&["snapshot", "writer", "-t", &tag, "--json"]);
    check("snapshot", &text);
    let image: Value = serde_json::from_str(&docker(&["image", "inspect", &tag])).expect("JSON");
    let own: Value =
        serde_json::from_str(&docker(&["image", "inspect", &format!("{}-writer", pod.name)])).expect("JSON");
    let (image, own) = (&image[0], &own[0]);
    assert_eq!(image["Id"], data(&text)["id"]);
    assert_eq!(image["Comment"], format!("claw snapshot: the worker of writer in {}", pod.name));
    for key in ["User", "Env", "Cmd", "Entrypoint", "WorkingDir", "Healthcheck", "Volumes"] {
        // The engine says nothing where it was told of nothing, or `[]`.
        let of =
            |image: &Value| Some(image["Config"][key].clone()).filter(|value| !value.is_null() && *value != json!([]));
        assert_eq!(of(image), of(own), "{key}");
    }
    let labels = image["Config"]["Labels"].as_object().expect("a map").iter().filter(|(_, value)| *value != "");
    let labels: serde_json::Map<String, Value> = labels.map(|(key, value)| (key.clone(), value.clone())).collect();
    assert_eq!(Value::Object(labels), own["Config"]["Labels"], "the image's labels, and no other has a value");
    assert_eq!(docker(&["run", "--rm", &tag, "cat", "/tried"]), "tried");
    assert_eq!(docker(&["run", "--rm", &tag, "sh", "-c", "ls /run/claw /run/claw-worker | grep -v :; id -u"]), "1000");
    // A container of it is nobody's of the pod.
    docker(&["run", "-d", "--name", &format!("{}-other", pod.name), &tag]);
    pod.ok(&["down", "-v"]);
    docker(&["rm", "-f", &format!("{}-other", pod.name)]);
    docker(&["rmi", &tag]);
    pod.leaves_nothing();
}

#[test]
fn a_snapshot_of_an_agent_has_no_value_of_its_check_and_is_of_one() {
    let pod = pod("agent-kept", "");
    let service = "services:\n  writer:\n    build: box\n    read_only: false\n    healthcheck: {test: 'true ${DEMO_NOTE}'}\n    x-claw:\n      allow: [read_only]\n";
    pod.write(".env", "DEMO_NOTE=marker-of-the-note\n").write("claw-pod.yml", service);
    pod.ok(&["up", "-d"]);
    let container = docker(&["inspect", "-f", "{{json .Config}}", &pod.container("writer")]);
    assert!(container.contains("marker-of-the-note"), "{container}");
    let tag = format!("{}-writer:kept", pod.name);
    pod.ok(&["snapshot", "writer", "-t", &tag]);
    // Docker 20.10 keeps the container's configuration beside the image's: `docs/cli.md` says so.
    let image = docker(&["image", "inspect", "-f", "{{json .Config}}", &tag]);
    assert!(!image.contains("marker-of-the-note") && image.contains("NONE"), "{image}");
    docker(&["rmi", &tag]);
    pod.write("claw-pod.yml", &format!("{service}      count: 2\n"));
    pod.ok(&["up", "-d"]);
    let run = pod.run(&["snapshot", "writer"]);
    assert!(run.code == Some(2) && run.stderr.contains("`writer` is several: name one of `"), "{run:?}");
    pod.ok(&["down", "-v"]);
    pod.leaves_nothing();
}

/// The real managers, against the registries that are reached here: `make test-runtimes`.
#[test]
fn the_real_managers_of_images_of_runtimes_are_logged() {
    if !is_asked() {
        return;
    }
    let pod = Pod::new("worker-real");
    let lines = "ACT apt-get update\nACT apt-get install -y --no-install-recommends python3-pip jq libonig5\n\
                 ACT pip install --break-system-packages six==1.16.0 itsdangerous==2.2.0\n\
                 ACT python3 -m pip install --break-system-packages idna==3.10\nACT npm install -g semver@7.6.0 nopt@7.2.1\n";
    let clawfile = format!(
        "FROM node:24-bookworm-slim\nCLAW_TYPE generic\nAGENT AGENTS.md\nTRACK apt pip npm\nPRIVILEGE worker root\n{lines}\
         # The agent.\nUSER 1000:1000\nCMD [\"sleep\", \"1000\"]\n"
    );
    pod.write("Clawfile", &clawfile).write("AGENTS.md", "# Rules\n");
    pod.write("claw-pod.yml", "services: {writer: {build: {context: ., network: host}}}\n");
    pod.ok(&["up", "--mode", "worker"]);
    let exec = |words: &[&str]| pod.ok(&[&["exec", "-T", "--mode", "worker", "writer"], words].concat());
    exec(&["pip", "uninstall", "-y", "--break-system-packages", "itsdangerous"]);
    exec(&["npm", "uninstall", "-g", "nopt"]);
    exec(&["apt-get", "remove", "-y", "jq"]);
    exec(&[
        "python3",
        "-c",
        "import sys; assert sys.executable == '/usr/bin/python3' and sys.prefix == '/usr', sys.executable",
    ]);
    let version = |package: &str| exec(&["dpkg-query", "-W", "-f=${Version}", package]);
    let (pip, onig) = (version("python3-pip"), version("libonig5"));
    let recipe = format!(
        "RUN apt-get update && apt-get install -y --no-install-recommends libonig5={onig} python3-pip={pip} && rm -rf /var/lib/apt/lists/*\n\
         RUN pip install --no-cache-dir --break-system-packages six==1.16.0\n\
         RUN python3 -m pip install --no-cache-dir --break-system-packages idna==3.10\n\
         RUN npm install -g semver@7.6.0\n"
    );
    assert_eq!(pod.ok(&["recipe", "writer"]), recipe);
    pod.ok(&["bake", "-y", "writer"]);
    pod.ok(&["up", "-d"]);
    let script =
        "python3 -c 'import six, idna; print(six.__version__, idna.__version__)'; semver 1.2.3; id -u; ! command -v jq";
    assert_eq!(pod.ok(&["exec", "-T", "writer", "sh", "-c", script]), "1.16.0 3.10\n1.2.3\n1000\n");
    pod.ok(&["down", "-v", "--rmi", "local"]);
}
