//! Every runtime in one pod: all of them compile, and those that can be had here run side by side behind one proxy.

use std::collections::BTreeSet;

use claw_compose::yaml::{self, Node};
use claw_types::diag::Diagnostics;
use claw_types::span::SourceMap;
use serde_json::Value;

use super::{is_asked, record, up};
use crate::engine::Pod;
use crate::{Folder, claw_with, files};

/// Those that can be had here and answer `claw ask`; zeroclaw where its image is built, which takes longer than a test should.
fn here() -> Vec<&'static str> {
    let mut here = vec!["claude-agent-sdk", "hermes", "nanobot", "openclaw", "reference"];
    here.extend(super::zeroclaw::is_here().then_some("zeroclaw"));
    here
}

/// Returns a pod with an agent of each runtime, called like it; all ask their models through the pod's proxy.
fn pod_of(runtimes: &[&str]) -> String {
    let mut text = "x-claw: {providers: {demo: {base_url: 'http://provider:8701/v1'}}}\nservices:\n".to_owned();
    for runtime in runtimes {
        let base = claw_drivers::find(runtime).and_then(|driver| driver.facts().base.as_ref());
        let image = match (base, *runtime) {
            (Some(base), _) => base.repository.to_owned(),
            (None, "reference") => "claw/infra".to_owned(),
            // What an image runs that nobody has here is said.
            (None, other) => format!("my/{other}:1\n    entrypoint: [/bin/agent]"),
        };
        text.push_str(&format!(
            "  {runtime}:\n    image: {image}\n    x-claw: {{type: {runtime}, agent: AGENTS.md, cllama: passthrough, \
             models: {{primary: demo/echo-1}}}}\n"
        ));
    }
    text.push_str(
        "  provider:\n    image: claw/infra\n    command: [reference, provider, --listen, '0.0.0.0:8701', --record, \
         /tmp/requests]\n    expose: ['8701']\n",
    );
    text
}

/// How an agent calls the pod's proxy.
const PROXY: &str = "cllama-passthrough:8080";

/// Runtimes whose files hold the proxy's token, and so are not written here: that they name the proxy is judged by the drivers' suite.
const SEALED: &[&str] = &["microclaw", "nullclaw"];

/// Returns `services` of a compose file.
fn services(compose: &str) -> Node {
    let mut sources = SourceMap::default();
    let file = sources.add("compose.yml", compose.to_owned());
    let tree = yaml::parse(sources.get(file).expect("a source"), &mut Diagnostics::new()).expect("YAML");
    tree.get("services").expect("services").clone()
}

/// Returns whether the environment of one service names the proxy.
fn names_the_proxy(services: &Node, name: &str) -> bool {
    let environment = services.get(name).expect("a service").get("environment");
    let values = environment.into_iter().flat_map(|environment| environment.entries());
    values.filter_map(|entry| entry.value.scalar()).any(|scalar| scalar.text.contains(PROXY))
}

#[test]
fn a_pod_of_every_runtime_compiles_and_each_knows_the_proxy_alone() {
    let folder = Folder::new("everyone");
    let names: Vec<&str> = claw_drivers::ALL.iter().map(|driver| driver.facts().name).collect();
    folder.write("AGENTS.md", "# Everyone\n");
    folder.write("claw-pod.yml", &pod_of(&names));
    let run = claw_with(&folder.0, &["compile", "-o", "out"], &[("DOCKER_HOST", "unix:///nowhere.sock")]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let made = files(&folder.0.join("out"));
    let compose = &made.iter().find(|(path, _)| path.starts_with("compose")).expect("a compose file").1;
    let services = services(compose);
    assert!(!names_the_proxy(&services, "provider"), "what names the proxy is not told apart");
    let mut sealed = Vec::new();
    for name in names {
        let own: Vec<&str> = made
            .iter()
            .filter(|(path, _)| path.contains(&format!("/units/{name}/")) && !path.contains("/skills/"))
            .filter(|(path, _)| !path.ends_with(".md"))
            .map(|(_, text)| text.as_str())
            .collect();
        // What is sealed is not written.
        let is_named = own.iter().any(|text| text.contains(PROXY)) || names_the_proxy(&services, name);
        sealed.extend((!is_named).then_some(name));
        assert!(own.iter().all(|text| !text.contains("provider:8701")), "{name} knows the provider");
    }
    assert_eq!(sealed, SEALED);
}

#[test]
fn every_runtime_that_is_here_runs_in_one_pod_and_answers() {
    if !is_asked() {
        return;
    }
    let here = here();
    let pod = Pod::new("everyone");
    pod.write("AGENTS.md", "# Everyone\n\nmarker-of-everyone\n");
    pod.write("claw-pod.yml", &pod_of(&here));
    up(&pod);
    pod.ok(&["verify"]);
    pod.ok(&["health"]);
    for name in &here {
        let answer = pod.ok(&["ask", name, &format!("hello from {name}")]);
        // The scripted model says what it was told last; whom it takes itself for depends on what a runtime says before the contract.
        assert!(answer.contains("I am "), "{name}: {answer}");
    }
    let record = record(&pod);
    let requests: Vec<Value> = record.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    for name in &here {
        let text = format!("hello from {name}");
        let is_turn = |each: &&Value| each["body"].as_str().is_some_and(|body| body.contains(&text));
        let turn = requests.iter().find(is_turn).expect("a turn");
        assert!(turn["body"].as_str().is_some_and(|body| body.contains("marker-of-everyone")), "{name}");
    }
    // The proxy wrote down each of them, and so nobody went past it.
    let lines = pod.ok(&["audit", "--type", "response", "--json"]);
    let heard = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let heard: BTreeSet<String> = heard.filter_map(|line| Some(line["claw_id"].as_str()?.to_owned())).collect();
    assert_eq!(heard, here.iter().map(|name| (*name).to_owned()).collect());
    let told = pod.run(&["diagnose", "--json"]);
    let told: Value = serde_json::from_str(&told.stdout).expect("JSON");
    for agent in told["data"]["agents"].as_array().expect("agents") {
        let findings = agent["findings"].as_array().expect("findings");
        assert!(findings.is_empty(), "{}: {findings:?}", agent["agent"]);
    }
    pod.ok(&["down", "-v", "--rmi", "local"]);
    pod.leaves_nothing();
}
