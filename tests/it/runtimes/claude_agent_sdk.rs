//! The real Claude Agent SDK with the runner of its driver: on a network of its own, hardened by `claw up`, and behind the proxy.

use std::path::Path;

use serde_json::{Value, json};

use super::{
    CONTRACT_BEGIN, CONTRACT_END, KEY, SKILL, behind_the_proxy, cannot, comes_as, compiled, health, is_asked, library,
    read, record, shows_no_secret, stopped_in_a_turn, up, write,
};
use crate::engine::{Pod, docker};
use crate::{Folder, root};

/// The image that claw builds.
const IMAGE: &str = "claw/claude-agent-sdk";

/// Moves the places that a unit's configuration names below a folder, and lays out there what would be mounted.
fn moved(folder: &Path, unit: &Path) {
    let to = folder.display();
    let text = std::fs::read_to_string(unit.join("claw/agent.json")).expect("the configuration");
    let text =
        text.replace("\"/run/secrets/", &format!("\"{to}/secrets/")).replace("\"/agent", &format!("\"{to}/agent"));
    std::fs::write(folder.join("agent.json"), text).expect("written");
    let skills = folder.join("agent/.claude/skills");
    std::fs::create_dir_all(skills.parent().expect("a parent")).expect("a folder");
    std::os::unix::fs::symlink(unit.join("claw/skills"), skills).expect("linked");
    std::fs::copy(unit.join("claw/AGENTS.md"), folder.join("agent/CLAUDE.md")).expect("copied");
    std::fs::create_dir_all(folder.join("secrets")).expect("a folder");
    std::fs::write(folder.join("secrets/DEMO_KEY"), KEY).expect("written");
    std::fs::create_dir_all(folder.join("home")).expect("a folder");
}

/// The requests that a provider recorded and in which the user says something. The letter of an agent has its schedules'
/// messages too: what the program adds of its own accord is not the user's.
fn holding(record: &str, text: &str) -> Vec<Value> {
    let requests = record.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let is_said = |request: &Value| {
        let body: Value = serde_json::from_str(request["body"].as_str().unwrap_or("")).unwrap_or_default();
        let messages = body["messages"].as_array().into_iter().flatten().filter(|message| message["role"] == "user");
        let blocks = messages.flat_map(|message| match &message["content"] {
            Value::Array(blocks) => blocks.iter().map(|block| block["text"].clone()).collect(),
            text => vec![text.clone()],
        });
        let mut texts = blocks.filter_map(|block| block.as_str().map(ToOwned::to_owned));
        texts.any(|said| said.contains(text) && !said.starts_with("<system-reminder>"))
    };
    requests.filter(is_said).collect()
}

/// Judges the first request of the turn: endpoint, bearer, model, contract and skill.
fn reached(record: &str, bearer: &str, model: &str) {
    let turns = holding(record, "hello keeper");
    let turn = turns.first().expect("a request of the turn");
    assert_eq!((&turn["method"], &turn["path"]), (&"POST".into(), &"/v1/messages".into()));
    assert_eq!(turn["authorization"], bearer);
    let body = turn["body"].as_str().expect("a body");
    for marker in [CONTRACT_BEGIN, CONTRACT_END, SKILL] {
        assert!(body.contains(marker), "{marker} did not reach the provider");
    }
    let body: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!((&body["model"], &body["stream"]), (&model.into(), &true.into()));
    // Nothing is asked of a model that the pod does not name.
    for request in record.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")) {
        let body: Value = serde_json::from_str(request["body"].as_str().expect("a body")).expect("JSON");
        assert_eq!((&request["path"], &body["model"]), (&"/v1/messages".into(), &model.into()), "{request}");
    }
}

/// Runs a script beside a provider and the runner, where there is no network but loopback, and returns the folder.
fn alone(name: &str, models: &str, script: &str) -> Folder {
    let folder = Folder::new(name);
    let put = |file: &str, text: &str| {
        let text = text.replace("models: {primary: demo/echo-1}", models);
        folder.write(file, &text);
    };
    let provider = "'http://127.0.0.1:8701/v1', format: anthropic, key: '${DEMO_KEY}'";
    write(&put, IMAGE, provider, "[{schedule: '* * * * *', name: pulse, message: tick of the clock}]", "[]");
    library(&|name, text| _ = folder.write(name, text));
    let unit = compiled(&folder);
    moved(&folder.0, &unit);
    let around = "set -e\n\
        ip link set lo up\n\
        runner() { node \"$UNIT/claw/runner.mjs\" \"$@\"; }\n\
        \"$CLAW\" reference provider --listen 127.0.0.1:8701 --record requests & provider=$!\n\
        node \"$UNIT/claw/runner.mjs\" serve >runner.log 2>&1 & runner=$!\n\
        trap 'kill $provider $runner 2>/dev/null; wait' EXIT\n\
        tries=0\n\
        until \"$CLAW\" shim probe http://127.0.0.1:8710/health >ready.json 2>/dev/null; do\n\
            tries=$((tries + 1)); [ $tries -lt 300 ] || { tail -n 30 runner.log >&2; exit 1; }; sleep 0.2\n\
        done\n";
    let runtimes = root().join(".runtimes/claude-agent-sdk");
    let place = |name: &str| folder.0.join(name).display().to_string();
    let env = [
        ("HOME", place("home")),
        ("CLAW_AGENT", place("agent.json")),
        ("CLAUDE_AGENT_SDK", runtimes.join("sdk").display().to_string()),
        ("ANTHROPIC_BASE_URL", "http://127.0.0.1:9".to_owned()),
    ];
    let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let run = super::alone(&folder, &unit, &runtimes.join("bin"), &format!("{around}{script}"), &env);
    let log = std::fs::read_to_string(folder.0.join("runner.log")).unwrap_or_default();
    assert_eq!(run, Ok(()), "{log}");
    assert!(!log.contains(KEY), "{log}");
    folder
}

#[test]
fn the_claude_agent_sdk_takes_turns_where_there_is_no_network_but_its_own() {
    if !is_asked() {
        return;
    }
    // It would write what is to be read into the places that it works in.
    let evil = "mkdir -p agent/state/work/.claude\n\
        echo marker-of-another-contract | tee agent/state/work/CLAUDE.md agent/state/work/AGENTS.md >agent/state/CLAUDE.md\n\
        echo '{\"hooks\":{\"UserPromptSubmit\":[{\"hooks\":[{\"type\":\"command\",\"command\":\"touch hooked\"}]}]}}' \
            >agent/state/work/.claude/settings.json\n";
    let script = "runner ask claw '/hello keeper, look at @agent.json' >answer.txt\n\
        runner ask claw 'and then?' >then.txt\n\
        runner ask other 'call Bash {\"command\":\"env; echo marker-of-a-command\",\"description\":\"x\"}' >command.txt\n\
        runner ask other 'call Write {\"file_path\":\"'$PWD'/agent/state/work/note\",\"content\":\"kept\"}' >write.txt\n\
        runner reading >reading.json\n\
        sleep 61\n\
        \"$CLAW\" shim probe http://127.0.0.1:8710/health >health.json\n\
        (runner ask slow 'think 3' >slow.txt) & slow=$!\n\
        sleep 2; runner drain >drain.json; wait $slow\n\
        if runner ask claw late >late.txt 2>&1; then exit 1; fi\n\
        kill $runner; wait $runner; trap 'kill $provider; wait' EXIT\n";
    let folder = alone("claude-loopback", "models: {primary: demo/echo-1}", &format!("{evil}{script}"));
    reached(&read(&folder, "requests"), &format!("Bearer {KEY}"), "echo-1");
    let answer = read(&folder, "answer.txt");
    assert_eq!(answer.trim(), "I am The keeper. Turn 1: /hello keeper, look at @agent.json");
    assert_eq!(read(&folder, "then.txt").trim(), "I am The keeper. Turn 2: and then?");
    let requests = read(&folder, "requests");
    assert!(!requests.contains("marker-of-another-contract"));
    assert!(!folder.0.join("agent/state/work/hooked").exists());
    // A command sees what the pod gives it, and no key of the model.
    let command = read(&folder, "command.txt");
    assert!(command.contains("marker-of-a-command") && !command.contains(KEY), "{command}");
    assert!(!command.contains("127.0.0.1:9"), "{command}");
    assert_eq!(read(&folder, "agent/state/work/note"), "kept");
    let reading: Value = serde_json::from_str(&read(&folder, "reading.json")).expect("JSON");
    assert_eq!(reading["endpoints"], json!(["http://127.0.0.1:8701"]));
    assert_eq!((&reading["models"], &reading["warnings"]), (&json!(["echo-1"]), &json!([])));
    assert_eq!(reading["configuration"]["program"]["skills"], json!(["house"]));
    assert!(!reading.to_string().contains(KEY));
    // The schedule fired, in a session of its own each time.
    let fired = holding(&requests, "tick of the clock");
    assert!(!fired.is_empty() && fired.iter().all(|each| !each["body"].to_string().contains("and then?")));
    let health = health("claude-agent-sdk", read(&folder, "health.json"));
    assert_eq!(health.status.name(), "healthy");
    assert!(health.detail.starts_with("model echo-1, next schedule "), "{}", health.detail);
    // What was begun is done, and nothing new is taken.
    assert!(read(&folder, "slow.txt").starts_with("I am The keeper."));
    assert_eq!(read(&folder, "drain.json").trim(), "{\"ok\":true}");
    assert!(read(&folder, "late.txt").contains("takes nothing new"));
}

#[test]
fn the_claude_agent_sdk_goes_on_to_its_fallback() {
    if !is_asked() {
        return;
    }
    let models = "models: {primary: demo/overloaded, fallback: demo/echo-1}";
    let folder = alone("claude-fallback", models, "runner ask claw 'hello keeper' >answer.txt\n");
    assert!(read(&folder, "answer.txt").starts_with("I am The keeper."));
    let requests = read(&folder, "requests");
    assert!(requests.contains("\\\"model\\\":\\\"overloaded\\\"") && requests.contains("\\\"model\\\":\\\"echo-1\\\""));
}

#[test]
fn the_claude_agent_sdk_asks_the_models_of_its_slots() {
    if !is_asked() {
        return;
    }
    let models = "models: {primary: demo/echo-1, fast: demo/echo-2, subagent: demo/echo-3}";
    let tool = "{\"description\":\"x\",\"prompt\":\"a task for another\",\"subagent_type\":\"general-purpose\"}";
    let script = format!("runner ask claw 'call Agent {tool}' >answer.txt\n");
    let folder = alone("claude-slots", models, &script);
    assert!(read(&folder, "answer.txt").starts_with("The tool said: "), "{}", read(&folder, "answer.txt"));
    let requests = read(&folder, "requests");
    let models: std::collections::BTreeSet<String> = holding(&requests, "a task for another")
        .iter()
        .map(|request| serde_json::from_str::<Value>(request["body"].as_str().expect("a body")).expect("JSON"))
        .map(|body| body["model"].as_str().unwrap_or("").to_owned())
        .collect();
    assert!(models.contains("echo-1") && models.contains("echo-3"), "{models:?}");
}

/// Writes the pod, its agent with a line of `x-claw` more.
fn put(pod: &Pod, provider: &str, invoke: &str, surfaces: &str, more: &str) {
    let keep = |name: &str, text: &str| {
        let text = text.replace("      models: {", &format!("{more}      models: {{"));
        pod.write(name, &text);
    };
    write(&keep, IMAGE, provider, invoke, surfaces);
    library(&|name, text| _ = pod.write(name, text));
}

#[test]
fn the_claude_agent_sdk_runs_hardened_by_claw_up() {
    if !is_asked() {
        return;
    }
    let pod = Pod::new("claude");
    crate::engine::surfaces::busybox();
    let provider = "'http://provider:8701/v1', format: anthropic";
    let invoke = "[{schedule: '* * * * *', name: pulse, message: tick of the clock}]";
    put(&pod, provider, invoke, "['service://library']", "");
    up(&pod);
    answers(&pod);
    held(&pod);
    fires(&pod);
    drained(&pod);
    // Nobody else was asked for: its gate has denied nothing.
    let denied = |pod: &Pod| pod.ok(&["audit", "keeper", "--type", "egress_denied", "--json"]);
    assert_eq!(denied(&pod), "");
    // That it would be seen is seen: a web page is asked for, and not had.
    let fetch = "call WebFetch {\"url\":\"https://example.com/\",\"prompt\":\"x\"}";
    let answer = pod.ok(&["ask", "keeper", "--session", "web", fetch]);
    assert!(answer.starts_with("The tool said: "), "{answer}");
    let hosts = denied(&pod);
    let hosts = hosts.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["host"].clone());
    let hosts: std::collections::BTreeSet<String> = hosts.map(|host| host.to_string()).collect();
    assert_eq!(hosts, ["\"example.com\"".to_owned()].into());
    // The other name of the runtime is the same, and says so.
    put(&pod, provider, "[]", "[]", "      type: nanoclaw\n");
    let said = up(&pod);
    assert!(said.contains("`nanoclaw` is the runtime `claude-agent-sdk` here"), "{said}");
    assert!(pod.ok(&["ask", "keeper", "hello keeper"]).starts_with("I am The keeper."));
    pod.ok(&["down", "-v", "--rmi", "local"]);
    pod.leaves_nothing();
}

/// It is well, a turn reaches the provider with all it was given, and a tool of a service of the pod is called.
fn answers(pod: &Pod) {
    let health = pod.ok(&["health"]);
    assert!(health.contains("healthy") && health.contains("model echo-1"), "{health}");
    let answer = pod.ok(&["ask", "keeper", "--", "-hello keeper"]);
    assert_eq!(answer.trim(), "I am The keeper. Turn 1: -hello keeper");
    let answer =
        pod.ok(&["ask", "keeper", "--session", "books", "call mcp__library__find_book {\"title\":\"Invisible\"}"]);
    assert!(answer.starts_with("The tool said: ") && answer.contains("Italo Calvino"), "{answer}");
    // A server that wants no key is asked with none of ours.
    let record = record(pod);
    reached(&record, "Bearer none", "echo-1");
    assert!(record.contains("Look books up in the library"));
    let diagnosed = pod.ok(&["diagnose", "keeper", "--json"]);
    assert!(diagnosed.contains("\"http://provider:8701\"") && diagnosed.contains("connected"), "{diagnosed}");
}

/// It is held as planned, cannot write its contract, and nothing shows its secrets.
fn held(pod: &Pod) {
    pod.ok(&["verify"]);
    let scripts = [
        "echo x >> /agent/CLAUDE.md",
        "rm /agent/CLAUDE.md",
        "mv /agent/.claude /agent/state/away",
        "mv /agent/.claude /agent/.clyde",
        "echo x > /agent/.claude/settings.json",
        "echo x > /agent/.claude/skills/house/SKILL.md",
        "echo x >> /claw/agent.json",
        "echo x >> /claw/runner.mjs",
        "echo x > /etc/x",
    ];
    cannot(pod, &scripts);
    // The same by a tool of its own, which runs programs all the same.
    let tool = "call Bash {\"command\":\"id -u; echo x > /agent/CLAUDE.md || echo refused; echo kept > note && cat note\",\"description\":\"x\"}";
    let answer = pod.ok(&["ask", "keeper", "--session", "hands", tool]);
    for text in ["10001", "Read-only file system", "refused", "kept"] {
        assert!(answer.contains(text), "{answer}");
    }
    shows_no_secret(pod);
    assert!(!pod.ok(&["logs", "keeper"]).contains("marker-of-a-token"));
}

/// Its schedule fires within a minute or two.
fn fires(pod: &Pod) {
    comes_as(pod, "tick of the clock", 130, |record| !holding(record, "tick of the clock").is_empty());
}

/// It ends the turn it is in before it is stopped, takes nothing new then, and remembers what was said.
fn drained(pod: &Pod) {
    let answer = stopped_in_a_turn(pod, |record| !holding(record, "think 20").is_empty());
    assert!(answer.stdout.starts_with("I am The keeper. Turn 2: "), "{answer:?}");
    pod.ok(&["start", "keeper"]);
    up(pod);
    assert_eq!(pod.ok(&["ask", "keeper", "and then?"]).trim(), "I am The keeper. Turn 3: and then?");
}

#[test]
fn the_claude_agent_sdk_behind_the_proxy_holds_no_key_and_is_answered() {
    if !is_asked() {
        return;
    }
    let pod = Pod::new("claude-proxied");
    crate::engine::surfaces::busybox();
    for format in ["anthropic", "openai"] {
        let provider = format!("'http://provider:8701/v1', format: {format}, key: '${{DEMO_KEY}}'");
        put(&pod, &provider, "[]", "[]", "      cllama: passthrough\n");
        up(&pod);
        let answer = pod.ok(&["ask", "keeper", "hello keeper"]);
        assert!(answer.starts_with("I am "), "{format}: {answer}");
        let record = record(&pod);
        let turns = holding(&record, "hello keeper");
        let path = if format == "anthropic" { "/v1/messages" } else { "/v1/chat/completions" };
        let turn = turns.iter().find(|turn| turn["path"] == path).expect("a request of the turn");
        // The key is the proxy's, and so is the name that the provider knows the model by.
        assert!(turn["authorization"].as_str().is_some_and(|key| key.ends_with(KEY)), "{format}");
        let body = turn["body"].as_str().expect("a body");
        assert!(body.contains("\"model\":\"echo-1\""), "{format}");
        for marker in [CONTRACT_BEGIN, CONTRACT_END, SKILL] {
            assert!(body.contains(marker), "{format}: {marker} did not reach the provider");
        }
    }
    behind_the_proxy(&pod, "/claw/agent.json");
    let reading = docker(&["exec", &pod.container("keeper"), "node", "/claw/runner.mjs", "reading"]);
    let reading: Value = serde_json::from_str(&reading).expect("JSON");
    let env = &reading["configuration"]["options"]["env"];
    assert_eq!(reading["endpoints"], json!(["http://cllama-passthrough:8080"]));
    for name in ["ANTHROPIC_DEFAULT_HAIKU_MODEL", "ANTHROPIC_DEFAULT_SONNET_MODEL", "ANTHROPIC_SMALL_FAST_MODEL"] {
        assert_eq!(env[name], "demo/echo-1", "{name}");
    }
    pod.ok(&["down", "-v", "--rmi", "local"]);
    pod.leaves_nothing();
}
