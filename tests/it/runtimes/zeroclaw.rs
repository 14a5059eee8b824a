//! The real zeroclaw: on a network of its own, hardened by `claw up`, and behind the proxy.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use super::{
    CONTRACT_BEGIN, CONTRACT_END, KEY, alone, behind_the_proxy, calls_the_library, cannot, comes, compiled, health,
    is_asked, library, messages, reached, read, record, shows_no_secret, up, write,
};
use crate::engine::{Pod, docker};
use crate::{Folder, root};

/// The image that claw builds.
const IMAGE: &str = "claw/zeroclaw";

/// A schedule that is due each minute.
const PULSE: &str = "{schedule: '* * * * *', name: pulse, message: Say the hour}";

/// Returns whether the image is there: to build it takes longer than a test should.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
pub(super) fn is_here() -> bool {
    let seen = Command::new("docker").args(["image", "inspect", IMAGE]).output();
    let is_here = seen.is_ok_and(|output| output.status.success());
    if !is_here {
        println!("skipped: there is no image `{IMAGE}`; `sh scripts/zeroclaw.sh .runtimes/zeroclaw` builds it");
    }
    is_here
}

/// Writes the pod, with a contract that is as long as zeroclaw reads one.
fn pod_of(to: &dyn Fn(&str, &str), provider: &str, invoke: &str, surfaces: &str) {
    write(to, IMAGE, provider, invoke, surfaces);
    let filler = "Every line of this contract is read.\n".repeat(100);
    to("AGENTS.md", &format!("# The keeper\n\n{CONTRACT_BEGIN}\n\n{filler}\n{CONTRACT_END}\n"));
}

/// Begins the daemon, asks it, and stops it.
const SCRIPT: &str = "set -e\n\
    ip link set lo up\n\
    \"$CLAW\" reference provider --listen 127.0.0.1:8701 --record requests & provider=$!\n\
    zeroclaw daemon >daemon.log 2>&1 & daemon=$!\n\
    trap 'kill $provider $daemon 2>/dev/null || :; wait' EXIT\n\
    tries=0\n\
    until \"$CLAW\" shim probe http://127.0.0.1:42617/health >ready.json 2>/dev/null; do\n\
        tries=$((tries + 1)); [ $tries -lt 240 ] || { tail -n 30 daemon.log >&2; exit 1; }; sleep 0.5\n\
    done\n\
    ask() { \"$CLAW\" shim chat \"http://127.0.0.1:42617/ws/chat?agent=main&session_id=\" token -- \"$@\"; }\n\
    ask claw 'hello keeper' >answer.txt\n\
    ask claw 'hello again' >again.txt\n\
    ask other 'hello' >other.txt\n\
    echo wrong >token; if ask claw 'hello stranger' >stranger.txt 2>&1; then exit 1; fi\n\
    kill $daemon; code=0; wait $daemon || code=$?; echo $code >code.txt\n";

/// Returns where the real program is, if it is there.
fn installed() -> Option<PathBuf> {
    Some(root().join(".runtimes/zeroclaw/bin")).filter(|bin| bin.join("zeroclaw").is_file())
}

#[test]
fn zeroclaw_takes_a_turn_where_there_is_no_network_but_its_own() {
    if !is_asked() {
        return;
    }
    let Some(bin) = installed() else {
        println!("skipped: no zeroclaw; `sh scripts/zeroclaw.sh .runtimes/zeroclaw` builds it");
        return;
    };
    let folder = Folder::new("zeroclaw-loopback");
    let keep = |name: &str, text: &str| {
        // The first model fails: each turn is one of the fallback.
        folder.write(name, &text.replace("{primary: demo/echo-1}", "{primary: demo/broken, fallback: [demo/echo-1]}"));
    };
    pod_of(&keep, "'http://127.0.0.1:8701/v1', key: '${DEMO_KEY}'", "[]", "[]");
    library(&|name, text| _ = folder.write(name, text));
    let unit = compiled(&folder);
    let state = folder.0.join("state");
    let workspace = state.join("agents/main/workspace");
    std::fs::create_dir_all(&workspace).expect("a folder");
    std::fs::create_dir_all(state.join("shared/skills")).expect("a folder");
    std::fs::copy(unit.join("claw/zeroclaw/config.toml"), state.join("config.toml")).expect("copied");
    std::fs::copy(unit.join("claw/AGENTS.md"), workspace.join("AGENTS.md")).expect("copied");
    let copied =
        Command::new("cp").arg("-r").arg(unit.join("claw/skills")).arg(state.join("shared/skills/claw")).status();
    assert!(copied.is_ok_and(|status| status.success()));
    folder.write("token", "marker-of-the-gateway");
    let state = state.display().to_string();
    let home = folder.0.display().to_string();
    let env = [
        ("HOME", home.as_str()),
        ("ZEROCLAW_CONFIG_DIR", &state),
        ("ZEROCLAW_gateway__paired_tokens", "marker-of-the-gateway"),
        ("ZEROCLAW_providers__models__custom__claw_primary__api_key", KEY),
        ("ZEROCLAW_providers__models__custom__claw_fallback_1__api_key", KEY),
    ];
    let run = alone(&folder, &unit, &bin, SCRIPT, &env);
    let read = |name: &str| read(&folder, name);
    let log = read("daemon.log");
    assert_eq!(run, Ok(()), "{log}");
    assert_eq!(read("code.txt").trim(), "0", "{log}");
    let health = health("zeroclaw", read("ready.json"));
    assert_eq!((health.status.name(), health.detail.as_str()), ("healthy", "ready, no channels"));
    // The scripted model says how many turns it was shown.
    assert!(read("answer.txt").starts_with("I am ") && read("answer.txt").contains("Turn 1"), "{}", read("answer.txt"));
    assert!(read("again.txt").contains("Turn 2"), "{}", read("again.txt"));
    assert!(read("other.txt").contains("Turn 1"), "{}", read("other.txt"));
    assert!(read("stranger.txt").contains("401") && !read("requests").contains("hello stranger"));
    // A client that is paired already leaves no code to pair with.
    assert!(!log.to_lowercase().contains("pairing code"), "{log}");
    let is_answered = |line: &&str| {
        let request: Value = serde_json::from_str(line).expect("JSON");
        let body: Value = serde_json::from_str(request["body"].as_str().expect("a body")).expect("JSON");
        body["model"] == "echo-1"
    };
    let text = read("requests");
    let answered: Vec<&str> = text.lines().filter(is_answered).collect();
    assert!(answered.len() < text.lines().count(), "the first model was never asked");
    reached(&answered.join("\n"), KEY);
}

#[test]
fn zeroclaw_runs_hardened_by_claw_up() {
    if !is_asked() || !is_here() {
        return;
    }
    let pod = Pod::new("zeroclaw");
    crate::engine::surfaces::busybox();
    let to = |name: &str, text: &str| _ = pod.write(name, text);
    library(&to);
    let put = |invoke: &str| pod_of(&to, "'http://provider:8701/v1'", invoke, "['service://library']");
    put(&format!("[{PULSE}, {{schedule: '0 18 * * *', name: evening, message: Good night}}]"));
    up(&pod);
    answers(&pod);
    held(&pod);
    comes(&pod, "Say the hour", 120);
    assert_eq!(jobs(&pod), ["evening", "pulse"]);
    // What it remembers outlives its container, and what the pod does not say any more is gone with it.
    put("[{schedule: '* * * * *', name: pulse, message: Say the minute}]");
    to("AGENTS.md", "# The keeper\n\nmarker-of-another-contract\n");
    up(&pod);
    assert!(pod.ok(&["ask", "keeper", "hello again"]).contains("Turn 3"));
    // A conversation that goes on is shown the contract of now.
    let record = record(&pod);
    let turn = record.lines().find(|line| messages(line).contains("hello again")).expect("a turn");
    assert!(turn.contains("marker-of-another-contract") && !turn.contains(CONTRACT_END), "{turn}");
    assert_eq!(jobs(&pod), ["pulse"]);
    comes(&pod, "Say the minute", 120);
    pod.ok(&["down", "-v", "--rmi", "local"]);
    pod.leaves_nothing();
}

/// It is well, and a turn reaches the provider with all it was given.
fn answers(pod: &Pod) {
    let health = pod.ok(&["health"]);
    assert!(health.contains("healthy") && health.contains("ready, no channels"), "{health}");
    let answer = pod.ok(&["ask", "keeper", "--", "-hello keeper"]);
    assert!(answer.starts_with("I am ") && answer.contains("Turn 1"), "{answer}");
    // A server that wants no key is asked with none of ours.
    let record = record(pod);
    assert!(!record.contains(KEY), "a key that nobody asked for");
    assert!(record.contains("Look books up in the library"));
    calls_the_library(pod);
    let answer = pod.ok(&["ask", "keeper", "--session", "other", "hello"]);
    assert!(answer.contains("Turn 1"), "{answer}");
    // What it read is what was written, and it warns of nothing.
    let told: Value = serde_json::from_str(&pod.ok(&["diagnose", "keeper", "--json"])).expect("JSON");
    let agent = &told["data"]["agents"][0];
    assert_eq!((&agent["findings"], &agent["reading"]["warnings"]), (&json!([]), &json!([])), "{agent}");
    assert_eq!(agent["reading"]["endpoints"][0], "http://provider:8701/v1");
    assert_eq!(agent["reading"]["configuration"]["memory.search_mode"], "bm25");
}

/// It is held as planned, cannot write its contract, its configuration or its skills, and nothing shows its secrets.
fn held(pod: &Pod) {
    pod.ok(&["verify"]);
    let scripts = [
        "echo x >> /var/lib/zeroclaw/agents/main/workspace/AGENTS.md",
        "rm /var/lib/zeroclaw/agents/main/workspace/AGENTS.md",
        "mv /var/lib/zeroclaw/agents/main/workspace /var/lib/zeroclaw/agents/main/away",
        "mv /var/lib/zeroclaw/agents/main /var/lib/zeroclaw/agents/away",
        "mv /var/lib/zeroclaw/agents /var/lib/zeroclaw/away",
        "mv /var/lib/zeroclaw/shared/skills/claw /var/lib/zeroclaw/shared/skills/away",
        "mv /var/lib/zeroclaw/shared/skills /var/lib/zeroclaw/shared/away",
        "mv /var/lib/zeroclaw/shared /var/lib/zeroclaw/away",
        "echo x >> /var/lib/zeroclaw/config.toml",
        "mv /var/lib/zeroclaw/config.toml /var/lib/zeroclaw/x",
        "echo x > /var/lib/zeroclaw/shared/skills/claw/x",
        "echo x > /etc/x",
    ];
    cannot(pod, &scripts);
    shows_no_secret(pod);
    // Its own tools do not go where secrets are.
    let file = "/run/secrets/ZEROCLAW_gateway__paired_tokens";
    for call in [format!("shell {{\"command\": \"cat {file}\"}}"), format!("file_read {{\"path\": \"{file}\"}}")] {
        let said = pod.ok(&["ask", "keeper", "--session", "thief", &format!("call {call}")]);
        assert!(said.contains("Error"), "{call}: {said}");
    }
}

/// The names of the jobs it has.
fn jobs(pod: &Pod) -> Vec<String> {
    let list = docker(&["exec", &pod.container("keeper"), "zeroclaw", "cron", "list"]);
    let mut names: Vec<String> =
        ["evening", "pulse"].into_iter().filter(|name| list.contains(name)).map(ToOwned::to_owned).collect();
    names.sort();
    names
}

#[test]
fn zeroclaw_behind_the_proxy_holds_no_key_and_is_answered() {
    if !is_asked() || !is_here() {
        return;
    }
    let pod = Pod::new("zeroclaw-proxied");
    crate::engine::surfaces::busybox();
    let keep = |name: &str, text: &str| {
        let text = text.replace("      models: {", "      cllama: passthrough\n      models: {");
        pod.write(name, &text);
    };
    library(&|name, text| _ = pod.write(name, text));
    pod_of(&keep, "'http://provider:8701/v1', key: '${DEMO_KEY}'", &format!("[{PULSE}]"), "['service://library']");
    up(&pod);
    let answer = pod.ok(&["ask", "keeper", "hello keeper"]);
    assert!(answer.starts_with("I am "), "{answer}");
    reached(&record(&pod), KEY);
    calls_the_library(&pod);
    comes(&pod, "Say the hour", 120);
    behind_the_proxy(&pod, "/var/lib/zeroclaw/config.toml");
    pod.ok(&["down", "-v", "--rmi", "local"]);
    pod.leaves_nothing();
}
