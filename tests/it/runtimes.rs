//! The real runtimes, driven by what claw writes: `make test-runtimes`. Slow, so that other runs skip them and say so.

mod claude_agent_sdk;
mod everyone;
mod hermes;
mod nanobot;
mod openclaw;
mod zeroclaw;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use claw_types::driver::{Health, ProbeOutput};
use serde_json::Value;

use crate::engine::{Pod, docker};
use crate::{Folder, Run, claw_with, root};

/// Returns whether these tests are asked for.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
pub(crate) fn is_asked() -> bool {
    let is_asked = std::env::var_os("CLAW_TEST_RUNTIMES").is_some();
    if !is_asked {
        println!("skipped: `make test-runtimes` runs the real runtimes");
    }
    is_asked
}

const CONTRACT_BEGIN: &str = "marker-of-the-contract";
const CONTRACT_END: &str = "marker-of-the-end-of-a-long-contract";
const PERSONA: &str = "marker-of-the-persona";
const SKILL: &str = "marker-of-the-skill";
const KEY: &str = "marker-of-the-key";

/// A pod with one agent of an image and a provider that records what reaches it.
fn write(write: &dyn Fn(&str, &str), image: &str, provider: &str, invoke: &str, surfaces: &str) {
    // `provider` is a base URL, with `key` after it where the server wants one.
    // Longer than the 20,000 characters that openclaw reads of a file where nothing else is said.
    let filler = "Every line of this contract is read.\n".repeat(1000);
    write("AGENTS.md", &format!("# The keeper\n\n{CONTRACT_BEGIN}\n\n{filler}\n{CONTRACT_END}\n"));
    write("persona/SOUL.md", &format!("# Soul\n\n{PERSONA}\n"));
    write("persona/AGENTS.md", "another contract\n");
    write("skills/house.md", &format!("---\ndescription: {SKILL}\n---\n\n# House\n"));
    write(".env", &format!("DEMO_KEY={KEY}\nHOUSE_TOKEN=marker-of-a-token\n"));
    write(
        "claw-pod.yml",
        &format!(
            "x-claw: {{providers: {{demo: {{base_url: {provider}}}}}}}\n\
             services:\n\
             \x20 keeper:\n\
             \x20   image: {image}\n\
             \x20   environment: {{HOUSE_TOKEN: '${{HOUSE_TOKEN}}'}}\n\
             \x20   x-claw:\n\
             \x20     agent: AGENTS.md\n\
             \x20     models: {{primary: demo/echo-1}}\n\
             \x20     persona: persona\n\
             \x20     skills: [skills/house.md]\n\
             \x20     invoke: {invoke}\n\
             \x20     surfaces: {surfaces}\n\
             \x20 library: {{build: ./library}}\n\
             \x20 provider:\n\
             \x20   image: claw/infra\n\
             \x20   command: [reference, provider, --listen, '0.0.0.0:8701', --record, /tmp/requests]\n\
             \x20   expose: ['8701']\n"
        ),
    );
}

/// The service of the example `api-surface`: its image brings a manual and an MCP server.
fn library(write: &dyn Fn(&str, &str)) {
    for (path, text) in crate::files(&root().join("examples/api-surface/library")) {
        // It tells each request, so that it can be seen who asks.
        write(&format!("library/{path}"), &text.replace("\"httpd\", \"-f\"", "\"httpd\", \"-f\", \"-vv\""));
    }
}

/// Judges what reached the provider: endpoint, bearer, contract and skill.
fn reached(record: &str, bearer: &str) {
    let requests: Vec<Value> = record.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let turn =
        requests.iter().find(|request| request["body"].as_str().is_some_and(|body| body.contains("hello keeper")));
    let turn = turn.expect("a request of the turn");
    assert_eq!((&turn["method"], &turn["path"]), (&"POST".into(), &"/v1/chat/completions".into()));
    assert_eq!(turn["authorization"], format!("Bearer {bearer}"));
    let body = turn["body"].as_str().expect("a body");
    for marker in [CONTRACT_BEGIN, CONTRACT_END, SKILL] {
        assert!(body.contains(marker), "{marker} did not reach the provider");
    }
    assert!(!body.contains("another contract"), "a persona is no contract");
    let body: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(body["model"], "echo-1");
}

/// Returns what reached the pod's provider so far.
fn record(pod: &Pod) -> String {
    let to = pod.folder.0.join("requests");
    docker(&["cp", &format!("{}:/tmp/requests", pod.container("provider")), &to.display().to_string()]);
    std::fs::read_to_string(to).expect("a record")
}

/// Waits until a text has reached the pod's provider in a message, for so many seconds at most. What a model is told before its
/// messages does not count: the letter in it names each schedule.
fn comes(pod: &Pod, text: &str, seconds: u64) {
    comes_as(pod, text, seconds, |record| record.lines().any(|line| messages(line).contains(text)));
}

/// Waits until what has reached the pod's provider holds something, for so many seconds at most.
fn comes_as(pod: &Pod, what: &str, seconds: u64, is_there: impl Fn(&str) -> bool) {
    let began = Instant::now();
    while !is_there(&record(pod)) {
        assert!(began.elapsed().as_secs() < seconds, "`{what}` never reaches the model");
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Returns the messages of a request on record, without what the model is told before them.
fn messages(line: &str) -> String {
    let request: Value = serde_json::from_str(line).unwrap_or_default();
    let body: Value = serde_json::from_str(request["body"].as_str().unwrap_or_default()).unwrap_or_default();
    let messages = ["messages", "input"].iter().filter_map(|key| body[key].as_array()).flatten();
    let said = messages.filter(|message| !matches!(message["role"].as_str(), Some("system" | "developer")));
    said.map(|message| message["content"].to_string()).collect()
}

/// Compiles the pod in a folder where no engine answers, and returns the directory of its agent's files.
fn compiled(folder: &Folder) -> PathBuf {
    let run = claw_with(&folder.0, &["compile"], &[("DOCKER_HOST", "unix:///nowhere.sock")]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let units = std::fs::read_dir(folder.0.join(".claw")).expect("state").flatten().map(|entry| entry.path());
    let units = units.map(|path| path.join("units/keeper")).find(|path| path.is_dir()).expect("the agent");
    std::fs::read_dir(units).expect("a unit").flatten().next().expect("a unit").path()
}

/// Runs a script in a folder where there is no network but loopback, beside programs of a directory, with `CLAW`, `UNIT` and these
/// variables alone; returns what it said on standard error.
fn alone(folder: &Folder, unit: &Path, bin: &Path, script: &str, env: &[(&str, &str)]) -> Result<(), String> {
    let output = Command::new("unshare")
        .args(["--net", "--", "sh", "-c", script])
        .current_dir(&folder.0)
        .env_clear()
        .env("PATH", format!("{}:/usr/sbin:/sbin:/usr/bin:/bin", bin.display()))
        .env("CLAW", env!("CARGO_BIN_EXE_claw"))
        .env("UNIT", unit)
        .envs(env.iter().copied())
        .output()
        .expect("unshare runs");
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// Returns a file of a folder.
fn read(folder: &Folder, name: &str) -> String {
    std::fs::read_to_string(folder.0.join(name)).unwrap_or_else(|error| unreachable!("{name}: {error}"))
}

/// Returns how a runtime's driver takes what its probe said.
fn health(runtime: &str, stdout: String) -> Health {
    let output = ProbeOutput { exit_code: 0, stdout, stderr: String::new() };
    claw_drivers::find(runtime).expect("a driver").read_health(&output)
}

/// Writes a pod whose agent reaches the library, and whose provider wants no key, with these schedules.
fn put(pod: &Pod, image: &str, invoke: &str) {
    let write_into = |name: &str, text: &str| _ = pod.write(name, text);
    write(&write_into, image, "'http://provider:8701/v1'", invoke, "['service://library']");
}

/// Judges that commands fail inside the agent's container: what must not be written, or moved away.
fn cannot(pod: &Pod, scripts: &[&str]) {
    let container = pod.container("keeper");
    for script in scripts {
        let run = Command::new("docker").args(["exec", &container, "sh", "-c", script]).output().expect("docker runs");
        assert!(!run.status.success(), "{script}");
    }
}

/// Judges that inspecting the agent's container shows none of the pod's secrets.
fn shows_no_secret(pod: &Pod) {
    let inspected = docker(&["inspect", &pod.container("keeper")]);
    for marker in [KEY, "marker-of-a-token"] {
        assert!(!inspected.contains(marker), "{marker} is shown");
    }
}

/// Judges that the proxy has the key and wrote down who asked, and that the agent has neither the key, in its configuration or
/// anywhere else, nor another way.
fn behind_the_proxy(pod: &Pod, configuration: &str) {
    let lines = pod.ok(&["audit", "keeper", "--type", "response", "--json"]);
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.first().map(|line| &line["end"]), Some(&"complete".into()));
    for line in &lines {
        assert_eq!((&line["claw_id"], &line["provider"]), (&"keeper".into(), &"demo".into()));
    }
    let script = format!("cat /proc/[0-9]*/environ /run/secrets/* {configuration} 2>/dev/null; true");
    let held = docker(&["exec", &pod.container("keeper"), "sh", "-c", &script]);
    assert!(!held.contains(KEY) && !docker(&["inspect", &pod.container("keeper")]).contains(KEY));
    let shown = "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}";
    let networks = docker(&["inspect", "-f", shown, &pod.container("keeper")]);
    assert_eq!(networks.trim(), format!("{}_claw-keeper", pod.name));
}

/// Stops the agent in the middle of a turn that `is_begun` sees, and returns what was answered: it ends what it began.
fn stopped_in_a_turn(pod: &Pod, is_begun: impl Fn(&str) -> bool) -> Run {
    let asked = {
        let (name, folder) = (pod.name.clone(), pod.folder.0.clone());
        std::thread::spawn(move || crate::claw(&folder, &["-p", &name, "ask", "keeper", "think 20"]))
    };
    comes_as(pod, "think 20", 60, is_begun);
    let run = pod.run(&["stop", "keeper"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stderr.contains("takes nothing new"), "{run:?}");
    assert!(!run.stderr.contains("drain exited") && !run.stderr.contains("drain: "), "{run:?}");
    asked.join().expect("ended")
}

/// A turn calls the library's MCP tool, by whatever name the runtime gives it, and is told what the library says.
fn calls_the_library(pod: &Pod) {
    let record = record(pod);
    let end = record.find("find_book\\\"").expect("the tool is offered to the model") + "find_book".len();
    let name = record[..end].rsplit('"').next().expect("a name");
    let answer = pod.ok(&["ask", "keeper", &format!("call {name} {{\"title\": \"Cities\"}}")]);
    assert!(answer.contains("Invisible Cities"), "{name}: {answer}");
}

/// Brings the pod up until it is healthy, and returns what was said.
fn up(pod: &Pod) -> String {
    let arguments = ["-p", &pod.name, "up", "-d", "--wait", "--wait-timeout", "600"];
    let run = claw_with(&pod.folder.0, &arguments, &[("CLAW_BUILD_NETWORK", "host")]);
    assert_eq!(run.code, Some(0), "{}\n{}", run.stdout, run.stderr);
    run.stderr
}
