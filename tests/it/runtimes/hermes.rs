//! The real hermes: on a network of its own, hardened by `claw up`, and behind the proxy.

use std::path::Path;

use serde_json::Value;

use super::{
    KEY, alone, behind_the_proxy, calls_the_library, cannot, comes, compiled, health, is_asked, library, put, reached,
    read, record, shows_no_secret, stopped_in_a_turn, up, write,
};
use crate::engine::{Pod, docker};
use crate::{Folder, root};

/// The image that claw builds.
const IMAGE: &str = "claw/hermes";

/// The key of its API server in the test without an engine.
const API_KEY: &str = "a-key-of-the-api-server-0123456789";

/// Copies the files of a unit to where hermes reads them, with the places of the container moved below a folder.
fn moved(folder: &Path, unit: &Path) {
    let to = folder.display();
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("written");
    };
    let read = |name: &str| std::fs::read_to_string(unit.join(name)).expect("a file");
    let config = read("claw/hermes/config.yaml")
        .replace("/claw/skills", &format!("{}/claw/skills", unit.display()))
        .replace("/var/lib/hermes", &format!("{to}/state"));
    for name in ["managed/config.yaml", "state/config.yaml"] {
        write(name, &config);
    }
    write("state/.env", &read("claw/hermes/empty"));
    write("state/workspace/AGENTS.md", &read("claw/AGENTS.md"));
    write("schedules-here.json", &read("claw/schedules.json").replace("/var/lib/hermes", &format!("{to}/state")));
    write("api-key", API_KEY);
    std::fs::create_dir_all(folder.join("home")).expect("a folder");
}

#[test]
fn hermes_takes_a_turn_where_there_is_no_network_but_its_own() {
    if !is_asked() {
        return;
    }
    let folder = Folder::new("hermes-loopback");
    let keep = |name: &str, text: &str| {
        // The first model answers with an error: the turn is the fallback's.
        let models = "models: {primary: demo/broken, fallback: [demo/echo-1]}";
        _ = folder.write(name, &text.replace("models: {primary: demo/echo-1}", models));
    };
    let provider = "'http://127.0.0.1:8701/v1', key: '${DEMO_KEY}'";
    write(&keep, IMAGE, provider, "[{schedule: '0 9 * * *', name: morning, message: Good morning}]", "[]");
    library(&|name, text| _ = folder.write(name, text));
    let unit = compiled(&folder);
    moved(&folder.0, &unit);
    let script = "set -e\n\
        ip link set lo up\n\
        \"$CLAW\" reference provider --listen 127.0.0.1:8701 --record requests & provider=$!\n\
        python \"$UNIT/claw/runtime.py\" serve >gateway.log 2>&1 & gateway=$!\n\
        trap 'kill $provider $gateway 2>/dev/null || true; wait' EXIT\n\
        tries=0\n\
        until \"$CLAW\" shim probe http://127.0.0.1:8642/health >ready.json 2>/dev/null; do\n\
            tries=$((tries + 1)); [ $tries -lt 240 ] || { tail -n 30 gateway.log >&2; exit 1; }; sleep 0.5\n\
        done\n\
        tell() { python \"$UNIT/claw/runtime.py\" \"$@\"; }\n\
        tell health >health.json\n\
        tell schedules schedules-here.json >schedules.json\n\
        tell reading >reading.json\n\
        tell ask claw 'hello keeper' >answer.txt\n\
        tell drain 60\n\
        kill -INT $gateway; code=0; wait $gateway || code=$?; echo $code >code.txt\n";
    let place = |name: &str| folder.0.join(name).display().to_string();
    let env = [
        ("HOME", place("home")),
        ("HERMES_HOME", place("state")),
        ("HERMES_MANAGED_DIR", place("managed")),
        ("HERMES_DISABLE_LAZY_INSTALLS", "1".to_owned()),
        ("TIRITH_ENABLED", "false".to_owned()),
        ("API_SERVER_ENABLED", "true".to_owned()),
        ("API_SERVER_HOST", "127.0.0.1".to_owned()),
        ("API_SERVER_KEY", API_KEY.to_owned()),
        ("CLAW_API_KEY_FILE", place("api-key")),
        ("CLAW_PERSONA_DIR", place("persona")),
        ("DEMO_KEY", KEY.to_owned()),
    ];
    let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let run = alone(&folder, &unit, &root().join(".runtimes/hermes/venv/bin"), script, &env);
    assert_eq!(run, Ok(()));
    let read = |name: &str| read(&folder, name);
    for name in ["ready.json", "health.json"] {
        assert_eq!(health("hermes", read(name)).status.name(), "healthy", "{}", read(name));
    }
    let told = "{\"ok\":true,\"created\":1,\"updated\":0,\"unchanged\":0,\"removed\":0}";
    assert_eq!(read("schedules.json").trim(), told);
    let reading: Value = serde_json::from_str(&read("reading.json")).expect("JSON");
    assert_eq!(reading["endpoints"], serde_json::json!(["http://127.0.0.1:8701/v1"]));
    assert!(!read("reading.json").contains(KEY), "a secret is shown");
    // The scripted model says who its first words say it is.
    assert!(read("answer.txt").starts_with("I am "), "{}", read("answer.txt"));
    // A stop that was meant ends with 0.
    assert_eq!(read("code.txt").trim(), "0");
    let all = read("requests");
    assert!(all.contains("\\\"broken\\\""), "the first model was not asked");
    assert!(all.contains(super::PERSONA), "its soul is not that of its persona");
    // Whatever was asked before the fallback is not the turn.
    let answered: Vec<&str> = all.lines().filter(|line| !line.contains("\\\"broken\\\"")).collect();
    reached(&answered.join("\n"), KEY);
}

/// The names and texts of its jobs.
fn jobs(pod: &Pod) -> Vec<String> {
    let text = docker(&["exec", &pod.container("keeper"), "cat", "/var/lib/hermes/cron/jobs.json"]);
    let list: Value = serde_json::from_str(&text).expect("JSON");
    let name =
        |job: &Value| format!("{}: {}", job["name"].as_str().unwrap_or(""), job["prompt"].as_str().unwrap_or(""));
    let mut names: Vec<String> = list["jobs"].as_array().expect("jobs").iter().map(name).collect();
    names.sort();
    names
}

#[test]
fn hermes_runs_hardened_by_claw_up() {
    if !is_asked() {
        return;
    }
    let pod = Pod::new("hermes");
    crate::engine::surfaces::busybox();
    library(&|name, text| _ = pod.write(name, text));
    put(
        &pod,
        IMAGE,
        "[{schedule: '0 9 * * *', name: morning, message: Good morning}, {schedule: '* * * * *', name: pulse, message: one-beat-of-the-pulse}]",
    );
    up(&pod);
    answers(&pod);
    held(&pod);
    schedules(&pod);
    drained(&pod);
    // A new key of its API server is a new container, of this agent alone.
    let (agent, provider) = (pod.id("keeper"), pod.id("provider"));
    pod.ok(&["secrets", "rotate", "keeper"]);
    up(&pod);
    assert_ne!(pod.id("keeper"), agent);
    assert_eq!(pod.id("provider"), provider);
    contract(&pod);
    pod.ok(&["down", "-v", "--rmi", "local"]);
    pod.leaves_nothing();
}

/// It is well, a turn reaches the provider with all it was given, and a tool of the pod's service is called.
fn answers(pod: &Pod) {
    let health = pod.ok(&["health"]);
    assert!(health.contains("healthy") && health.contains("ready, no channels"), "{health}");
    let answer = pod.ok(&["ask", "keeper", "--", "-hello keeper"]);
    assert!(answer.contains("Turn 1: -hello keeper"), "{answer}");
    // A server that wants no key is asked with none of ours.
    reached(&record(pod), "no-key-required");
    assert!(record(pod).contains("Look books up in the library"));
    calls_the_library(pod);
    let asked = pod.ok(&["logs", "library"]);
    assert!(asked.contains("url:/cgi-bin/mcp"), "{asked}");
    // The conversation lasts, and another one is another.
    assert!(pod.ok(&["ask", "keeper", "again"]).contains("Turn 3: again"));
    assert!(pod.ok(&["ask", "keeper", "--session", "other", "again"]).contains("Turn 1: again"));
}

/// It is held as planned, cannot write its contract or its settings, and nothing shows its secrets.
fn held(pod: &Pod) {
    pod.ok(&["verify"]);
    let scripts = [
        "echo x >> /var/lib/hermes/workspace/AGENTS.md",
        "rm /var/lib/hermes/workspace/AGENTS.md",
        "mv /var/lib/hermes/workspace /var/lib/hermes/away",
        "echo x >> /var/lib/hermes/workspace/.hermes.md",
        "rm /var/lib/hermes/config.yaml",
        "echo GATEWAY_ALLOW_ALL_USERS=true >> /var/lib/hermes/.env",
        "echo x >> /claw/hermes/config.yaml",
        "echo x > /opt/hermes/x",
        "python3 -m pip --version",
    ];
    cannot(pod, &scripts);
    shows_no_secret(pod);
    let container = pod.container("keeper");
    let script = "cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -m 1 ^HOUSE_TOKEN=";
    assert_eq!(docker(&["exec", &container, "sh", "-c", script]), "HOUSE_TOKEN=marker-of-a-token");
    let reading = docker(&["exec", &container, "python3", "/claw/runtime.py", "reading"]);
    let reading: Value = serde_json::from_str(&reading).expect("JSON");
    assert_eq!(reading["endpoints"], serde_json::json!(["http://provider:8701/v1"]));
    assert_eq!((&reading["ignored"], &reading["warnings"]), (&serde_json::json!([]), &serde_json::json!([])));
}

/// Schedules fire, and follow the pod file; what was made by hand stays.
fn schedules(pod: &Pod) {
    let by_hand = "hermes cron create '0 1 * * *' x --name by-hand --deliver local";
    docker(&["exec", &pod.container("keeper"), "sh", "-c", by_hand]);
    assert_eq!(jobs(pod), ["by-hand: x", "morning: Good morning", "pulse: one-beat-of-the-pulse"]);
    assert_eq!(pod.ok(&["plan"]).trim(), "nothing to do");
    comes(pod, "one-beat-of-the-pulse", 180);
    let all = record(pod);
    let beat = all.lines().find(|line| line.contains("one-beat-of-the-pulse")).expect("a request");
    assert!(beat.contains(super::CONTRACT_END), "a scheduled turn is not shown the contract");
    put(pod, IMAGE, "[{schedule: '0 9 * * *', name: morning, message: Good day}]");
    assert!(up(pod).contains("tell keeper its schedules"));
    assert_eq!(jobs(pod), ["by-hand: x", "morning: Good day"]);
    put(pod, IMAGE, "[]");
    up(pod);
    assert_eq!(jobs(pod), ["by-hand: x"]);
}

/// It ends the turn it is in before it is stopped, takes nothing new, and its exit is no accident.
fn drained(pod: &Pod) {
    let answer = stopped_in_a_turn(pod, |record| record.contains("think 20"));
    assert!(answer.stdout.starts_with("I am "), "{answer:?}");
    assert_eq!(docker(&["inspect", "-f", "{{.State.ExitCode}}", &pod.container("keeper")]), "0");
    pod.ok(&["start", "keeper"]);
    up(pod);
    // What it was told not to take is over with the start.
    assert!(pod.ok(&["ask", "keeper", "hello keeper"]).starts_with("I am "));
}

/// A conversation that goes on is shown the contract of now, and the persona as the agent has made it.
fn contract(pod: &Pod) {
    assert!(record(pod).contains(super::PERSONA), "its soul is not that of its persona");
    let soul = "echo marker-of-a-soul-that-grew >> /var/lib/hermes/SOUL.md; tail -n 1 /persona/SOUL.md";
    assert_eq!(docker(&["exec", &pod.container("keeper"), "sh", "-c", soul]), "marker-of-a-soul-that-grew");
    pod.write("AGENTS.md", "# The keeper\n\nmarker-of-the-second-contract\n");
    up(pod);
    assert!(pod.ok(&["ask", "keeper", "what-holds-now"]).starts_with("I am "));
    let all = record(pod);
    let turn = all.lines().find(|line| line.contains("what-holds-now")).expect("a request");
    assert!(turn.contains("marker-of-the-second-contract"), "the first contract is still in force");
    assert!(turn.contains("marker-of-a-soul-that-grew"), "the soul it had first is still in force");
}

#[test]
fn hermes_behind_the_proxy_holds_no_key_and_is_answered() {
    if !is_asked() {
        return;
    }
    let pod = Pod::new("hermes-proxied");
    crate::engine::surfaces::busybox();
    let keep = |name: &str, text: &str| {
        let text = text.replace("      models: {", "      cllama: passthrough\n      models: {");
        pod.write(name, &text);
    };
    library(&|name, text| _ = pod.write(name, text));
    let pulse = "[{schedule: '* * * * *', name: pulse, message: one-beat-of-the-pulse}]";
    write(&keep, IMAGE, "'http://provider:8701/v1', key: '${DEMO_KEY}'", pulse, "[]");
    up(&pod);
    let answer = pod.ok(&["ask", "keeper", "hello keeper"]);
    assert!(answer.starts_with("I am "), "{answer}");
    reached(&record(&pod), KEY);
    // A scheduled turn has the token too.
    comes(&pod, "one-beat-of-the-pulse", 180);
    behind_the_proxy(&pod, "/claw/hermes/config.yaml");
    let reading = docker(&["exec", &pod.container("keeper"), "python3", "/claw/runtime.py", "reading"]);
    let reading: Value = serde_json::from_str(&reading).expect("JSON");
    assert_eq!(reading["endpoints"], serde_json::json!(["http://cllama-passthrough:8080/v1"]));
    // The one host outside that it asks for by itself.
    let lines = pod.ok(&["audit", "keeper", "--json"]);
    let denied = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let mut hosts: Vec<String> = denied
        .filter(|line| line["type"] == "egress_denied")
        .map(|line| line["host"].as_str().unwrap_or("").to_owned())
        .collect();
    hosts.sort();
    hosts.dedup();
    assert_eq!(hosts, ["openrouter.ai"]);
    pod.ok(&["down", "-v", "--rmi", "local"]);
    pod.leaves_nothing();
}
