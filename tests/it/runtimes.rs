//! The real runtimes, driven by what claw writes: `make test-runtimes`. Slow, so that other runs skip them and say so.

mod claude_agent_sdk;
mod everyone;
mod hermes;
mod nanobot;
mod openclaw;
mod zeroclaw;

use serde_json::Value;

use crate::engine::{Pod, docker};
use crate::{claw_with, root};

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
    let began = std::time::Instant::now();
    while !record(pod).lines().any(|line| messages(line).contains(text)) {
        assert!(began.elapsed().as_secs() < seconds, "`{text}` never reaches the model");
        std::thread::sleep(std::time::Duration::from_secs(1));
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
