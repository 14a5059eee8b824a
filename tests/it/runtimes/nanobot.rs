//! The real nanobot: on a network of its own, hardened by `claw up`, and behind the proxy.

use serde_json::Value;

use super::{
    KEY, alone, behind_the_proxy, calls_the_library, cannot, comes, compiled, health, is_asked, library, put, reached,
    read, record, shows_no_secret, up, write,
};
use crate::engine::{Pod, docker};
use crate::{Folder, root};

/// The image that claw builds.
const IMAGE: &str = "claw/nanobot";

/// Returns where the real program is installed; `CLAW_NANOBOT` names another place, with another version.
fn installed() -> std::path::PathBuf {
    std::env::var_os("CLAW_NANOBOT").map_or_else(|| root().join(".runtimes/nanobot"), Into::into)
}

/// A schedule that is due each minute.
const PULSE: &str = "{schedule: '* * * * *', name: pulse, message: Say the hour}";

/// Begins the gateway, asks it, waits for its schedule, and stops it.
const SCRIPT: &str = "set -e\n\
    ip link set lo up\n\
    \"$CLAW\" reference provider --listen 127.0.0.1:8701 --record requests & provider=$!\n\
    run() { command=$1; shift; python3 \"$UNIT/claw/claw_nanobot.py\" \"$command\" state/config.json \"$@\"; }\n\
    run serve \"$UNIT/claw/schedules.json\" >gateway.log 2>&1 & gateway=$!\n\
    trap 'kill $provider $gateway 2>/dev/null; wait' EXIT\n\
    tries=0\n\
    until \"$CLAW\" shim probe http://127.0.0.1:18790/health >ready.json 2>/dev/null; do\n\
        tries=$((tries + 1)); [ $tries -lt 240 ] || { tail -n 30 gateway.log >&2; exit 1; }; sleep 0.5\n\
    done\n\
    run ask main 'hello keeper' >answer.txt\n\
    run ask main 'hello again' >again.txt\n\
    run schedules \"$UNIT/claw/schedules.json\" >schedules.json\n\
    before=$(wc -l <requests)\n\
    until tail -n \"+$((before + 1))\" requests | grep -q 'Say the hour'; do\n\
        tries=$((tries + 1)); [ $tries -lt 480 ] || { tail -n 30 gateway.log >&2; exit 1; }; sleep 0.5\n\
    done\n\
    run health >health.json\n\
    run reading >reading.json\n";

#[test]
fn nanobot_takes_a_turn_where_there_is_no_network_but_its_own() {
    if !is_asked() {
        return;
    }
    let folder = Folder::new("nanobot-loopback");
    let keep = |name: &str, text: &str| {
        // The first model fails: each turn is one of the fallback.
        folder.write(name, &text.replace("{primary: demo/echo-1}", "{primary: demo/broken, fallback: [demo/echo-1]}"));
    };
    write(&keep, IMAGE, "'http://127.0.0.1:8701/v1', key: '${DEMO_KEY}'", &format!("[{PULSE}]"), "[]");
    library(&|name, text| _ = folder.write(name, text));
    let unit = compiled(&folder);
    let state = folder.0.join("state");
    std::fs::create_dir_all(state.join("workspace")).expect("a folder");
    let text = std::fs::read_to_string(unit.join("claw/nanobot.json")).expect("the configuration");
    let text = text.replace("/var/lib/nanobot", &state.display().to_string());
    std::fs::write(state.join("config.json"), text).expect("written");
    std::fs::copy(unit.join("claw/AGENTS.md"), state.join("workspace/AGENTS.md")).expect("copied");
    std::os::unix::fs::symlink(unit.join("claw/skills"), state.join("workspace/skills")).expect("linked");
    folder.write("secrets/DEMO_KEY", KEY);
    let place = |name: &str| folder.0.join(name).display().to_string();
    let env = [("HOME", place("")), ("CLAW_SECRETS_DIR", place("secrets")), ("CLAW_PERSONA_DIR", place("persona"))];
    let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(alone(&folder, &unit, &installed().join("bin"), SCRIPT, &env), Ok(()));
    let read = |name: &str| read(&folder, name);
    for (file, detail) in [("ready.json", "ready"), ("health.json", "ready; 1 schedule, the next at 20")] {
        let health = health("nanobot", read(file));
        assert!(health.status.name() == "healthy" && health.detail.starts_with(detail), "{health:?}");
    }
    // The scripted model says who its first words say it is, and how many turns it was shown.
    assert!(read("answer.txt").starts_with("I am ") && read("answer.txt").contains("Turn 1"), "{}", read("answer.txt"));
    assert!(read("again.txt").contains("Turn 2"), "{}", read("again.txt"));
    // It was declared before the gateway began.
    let unchanged = "{\"ok\":true,\"created\":0,\"updated\":0,\"unchanged\":1,\"removed\":0}";
    assert_eq!(read("schedules.json").trim(), unchanged);
    let said: Value = serde_json::from_str(&read("reading.json")).expect("JSON");
    assert_eq!(said["endpoints"], serde_json::json!(["http://127.0.0.1:8701/v1"]));
    assert!(!read("reading.json").contains(KEY));
    let requests: Vec<Value> = read("requests").lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(requests.iter().all(|each| each["authorization"] == format!("Bearer {KEY}")));
    let is_answered = |line: &&str| {
        let request: Value = serde_json::from_str(line).expect("JSON");
        let body: Value = serde_json::from_str(request["body"].as_str().expect("a body")).expect("JSON");
        body["model"] == "echo-1"
    };
    let text = read("requests");
    let answered: Vec<&str> = text.lines().filter(is_answered).collect();
    assert!(answered.len() < requests.len(), "the first model was never asked");
    // The letter names each schedule: what fired is a message.
    assert!(text.lines().any(|line| super::messages(line).contains("Say the hour")));
    let answered = answered.join("\n");
    reached(&answered, KEY);
    assert!(answered.contains(super::PERSONA), "its soul is not that of its persona");
}

#[test]
fn nanobot_runs_hardened_by_claw_up() {
    if !is_asked() {
        return;
    }
    let pod = Pod::new("nanobot");
    crate::engine::surfaces::busybox();
    library(&|name, text| _ = pod.write(name, text));
    put(&pod, IMAGE, &format!("[{PULSE}, {{schedule: '0 18 * * *', name: evening, message: Good night}}]"));
    up(&pod);
    answers(&pod);
    held(&pod);
    schedules(&pod);
    // What it remembers outlives its container.
    docker(&["rm", "-f", &pod.container("keeper")]);
    up(&pod);
    assert!(pod.ok(&["ask", "keeper", "hello keeper"]).contains("Turn 3"));
    pod.ok(&["down", "-v", "--rmi", "local"]);
    pod.leaves_nothing();
}

/// It is well, and a turn reaches the provider with all it was given.
fn answers(pod: &Pod) {
    let health = pod.ok(&["health"]);
    assert!(health.contains("healthy") && health.contains("ready; 2 schedules"), "{health}");
    let answer = pod.ok(&["ask", "keeper", "--", "-hello keeper"]);
    assert!(answer.starts_with("I am ") && answer.contains("Turn 1"), "{answer}");
    // A server that wants no key is asked with none of ours.
    reached(&record(pod), "none");
    assert!(record(pod).contains("Look books up in the library"));
    assert!(record(pod).contains(super::PERSONA), "its soul is not that of its persona");
    calls_the_library(pod);
    let answer = pod.ok(&["ask", "keeper", "--session", "other", "hello"]);
    assert!(answer.contains("Turn 1"), "{answer}");
    let said = pod.ok(&["diagnose", "keeper"]);
    assert!(said.contains("http://provider:8701/v1"), "{said}");
}

/// It is held as planned, cannot write its contract, its configuration or its skills, and nothing shows its secrets.
fn held(pod: &Pod) {
    pod.ok(&["verify"]);
    let scripts = [
        "echo x >> /var/lib/nanobot/workspace/AGENTS.md",
        "rm /var/lib/nanobot/workspace/AGENTS.md",
        "mv /var/lib/nanobot/workspace /var/lib/nanobot/away",
        "mv /var/lib/nanobot/workspace/skills /var/lib/nanobot/workspace/away",
        "echo x >> /var/lib/nanobot/config.json",
        "mv /var/lib/nanobot/config.json /var/lib/nanobot/x",
        "echo x > /var/lib/nanobot/workspace/skills/x",
        "echo x > /etc/x",
    ];
    cannot(pod, &scripts);
    shows_no_secret(pod);
}

/// The names and texts of the jobs it has.
fn jobs(pod: &Pod) -> Vec<String> {
    let script = "import pathlib; from nanobot.cron.service import CronService; print('\\n'.join(sorted(f'{j.name}: {j.payload.message}' \
                  for j in CronService(pathlib.Path('cron/jobs.json')).list_jobs(include_disabled=True))))";
    let list = docker(&["exec", &pod.container("keeper"), "python3", "-c", script]);
    list.lines().map(ToOwned::to_owned).collect()
}

/// They are run, they follow the pod file, and what was made by hand stays.
fn schedules(pod: &Pod) {
    comes(pod, "Say the hour", 120);
    let by_hand = "import pathlib; from nanobot.cron.service import *; CronService(pathlib.Path('cron/jobs.json')).add_job('by-hand', \
                   CronSchedule(kind='cron', expr='0 1 * * *'), 'x', session_key='cli:x', origin_channel='cli', origin_chat_id='x')";
    docker(&["exec", &pod.container("keeper"), "python3", "-c", by_hand]);
    assert_eq!(jobs(pod), ["by-hand: x", "evening: Good night", "pulse: Say the hour"]);
    assert_eq!(pod.ok(&["plan"]).trim(), "nothing to do");
    put(pod, IMAGE, "[{schedule: '* * * * *', name: pulse, message: Say the minute}]");
    assert!(up(pod).contains("tell keeper its schedules"));
    assert_eq!(jobs(pod), ["by-hand: x", "pulse: Say the minute"]);
    // The gateway that runs has taken it over.
    comes(pod, "Say the minute", 120);
    put(pod, IMAGE, "[]");
    up(pod);
    assert_eq!(jobs(pod), ["by-hand: x"]);
}

#[test]
fn nanobot_behind_the_proxy_holds_no_key_and_is_answered() {
    if !is_asked() {
        return;
    }
    let pod = Pod::new("nanobot-proxied");
    crate::engine::surfaces::busybox();
    let keep = |name: &str, text: &str| {
        let text = text.replace("      models: {", "      cllama: passthrough\n      models: {");
        pod.write(name, &text);
    };
    library(&|name, text| _ = pod.write(name, text));
    write(&keep, IMAGE, "'http://provider:8701/v1', key: '${DEMO_KEY}'", "[]", "[]");
    up(&pod);
    let answer = pod.ok(&["ask", "keeper", "hello keeper"]);
    assert!(answer.starts_with("I am "), "{answer}");
    reached(&record(&pod), KEY);
    behind_the_proxy(&pod, "/var/lib/nanobot/config.json");
    let said = pod.ok(&["diagnose", "keeper"]);
    assert!(said.contains("http://cllama-passthrough:8080/v1"), "{said}");
    pod.ok(&["down", "-v", "--rmi", "local"]);
    pod.leaves_nothing();
}
