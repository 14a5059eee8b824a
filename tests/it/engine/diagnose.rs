//! `claw diagnose`: what a runtime reads, what went wrong, and what `up` would change.

use serde_json::Value;

use super::{Pod, docker};

#[test]
fn what_an_agent_reads_and_what_would_change_is_told() {
    let pod = Pod::of("quickstart", "diagnose");
    pod.ok(&["up", "-d", "--wait"]);
    let told = pod.ok(&["diagnose"]);
    for line in
        ["findings      none", "health        healthy: model echo-1", "models        echo-1", "would change  nothing"]
    {
        assert!(told.contains(line), "{told}");
    }
    assert!(told.contains("asks          http://provider:8701/v1"), "{told}");
    // Two conversations of one agent know nothing of each other.
    assert_eq!(pod.ok(&["ask", "--session", "night", "writer", "one"]), "I am Writer. Turn 1: one\n");
    assert_eq!(pod.ok(&["ask", "writer", "one"]), "I am Writer. Turn 1: one\n");
    assert_eq!(pod.ok(&["ask", "--session", "night", "writer", "two"]), "I am Writer. Turn 2: two\n");
    assert_eq!(pod.run(&["ask", "--session", "--x", "writer", "two"]).code, Some(2));

    // What it was refused, and a file that changed, are findings.
    pod.ok(&["ask", "writer", "fetch http://outside.example/"]);
    let text = std::fs::read_to_string(pod.folder.0.join("claw-pod.yml")).expect("the pod file");
    let zone = "timezone: Europe/Berlin";
    assert!(text.contains(zone));
    pod.write("claw-pod.yml", &text.replace(zone, &format!("{zone}\n      models: {{primary: demo/echo-2}}")));
    let run = pod.run(&["diagnose", "writer", "--json"]);
    assert_eq!(run.code, Some(3), "{run:?}");
    let said: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let agent = &said["data"]["agents"][0];
    assert_eq!(agent["reading"]["models"][0], "echo-1");
    let files = agent["changes"]["files"].to_string();
    assert!(files.contains(r#"claw/reference.json: models: [{"#) && files.contains("echo-2"), "{files}");
    let steps = agent["changes"]["steps"].to_string();
    assert!(steps.contains("create-container"), "{steps}");
    // One that answers nothing is told of all the same.
    docker(&["pause", &pod.container("writer")]);
    let held = pod.run(&["diagnose"]);
    docker(&["unpause", &pod.container("writer")]);
    assert_eq!(held.code, Some(3), "{held:?}");
    assert!(held.stdout.contains("it is stopped: is paused") && held.stdout.contains("would change"), "{held:?}");
    pod.ok(&["stop", "writer"]);
    let stopped = pod.run(&["diagnose"]);
    assert!(stopped.stdout.contains("it is stopped: exited with 0"), "{stopped:?}");
    pod.ok(&["down", "-v"]);
    pod.leaves_nothing();
}
