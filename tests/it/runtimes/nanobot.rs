//! The real nanobot: on a network of its own, hardened by `claw up`, and behind the proxy.

use std::process::Command;

use serde_json::Value;

use super::{KEY, calls_the_library, comes, is_asked, library, reached, record, up, write};
use crate::engine::{Pod, docker};
use crate::{Folder, claw_with, root};

/// The image that claw builds.
const IMAGE: &str = "claw/nanobot";

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
    until grep -q 'Say the hour' requests; do\n\
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
    let run = claw_with(&folder.0, &["compile"], &[("DOCKER_HOST", "unix:///nowhere.sock")]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let units = std::fs::read_dir(folder.0.join(".claw")).expect("state").flatten().map(|entry| entry.path());
    let units = units.map(|path| path.join("units/keeper")).find(|path| path.is_dir()).expect("the agent");
    let unit = std::fs::read_dir(units).expect("a unit").flatten().next().expect("a unit").path();
    let state = folder.0.join("state");
    std::fs::create_dir_all(state.join("workspace")).expect("a folder");
    let text = std::fs::read_to_string(unit.join("claw/nanobot.json")).expect("the configuration");
    let text = text.replace("/var/lib/nanobot", &state.display().to_string());
    std::fs::write(state.join("config.json"), text).expect("written");
    std::fs::copy(unit.join("claw/AGENTS.md"), state.join("workspace/AGENTS.md")).expect("copied");
    std::os::unix::fs::symlink(unit.join("claw/skills"), state.join("workspace/skills")).expect("linked");
    folder.write("secrets/DEMO_KEY", KEY);
    let output = Command::new("unshare")
        .args(["--net", "--", "sh", "-c", SCRIPT])
        .current_dir(&folder.0)
        .env_clear()
        .env("PATH", format!("{}:/usr/sbin:/sbin:/usr/bin:/bin", root().join(".runtimes/nanobot/bin").display()))
        .env("CLAW", env!("CARGO_BIN_EXE_claw"))
        .env("UNIT", &unit)
        .env("HOME", &folder.0)
        .env("CLAW_SECRETS_DIR", folder.0.join("secrets"))
        .env("CLAW_PERSONA_DIR", folder.0.join("persona"))
        .output()
        .expect("unshare runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read = |name: &str| std::fs::read_to_string(folder.0.join(name)).expect("a file");
    for (file, detail) in [("ready.json", "ready"), ("health.json", "ready; 1 schedule, the next at 20")] {
        let probe = claw_types::driver::ProbeOutput { exit_code: 0, stdout: read(file), stderr: String::new() };
        let health = claw_drivers::find("nanobot").expect("a driver").read_health(&probe);
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
    let answered = answered.join("\n");
    reached(&answered, KEY);
    assert!(answered.contains(super::PERSONA), "its soul is not that of its persona");
}

/// Brings up the pod whose provider wants no key.
fn put(pod: &Pod, invoke: &str) {
    let write_into = |name: &str, text: &str| _ = pod.write(name, text);
    write(&write_into, IMAGE, "'http://provider:8701/v1'", invoke, "['service://library']");
}

#[test]
fn nanobot_runs_hardened_by_claw_up() {
    if !is_asked() {
        return;
    }
    let pod = Pod::new("nanobot");
    crate::engine::surfaces::busybox();
    library(&|name, text| _ = pod.write(name, text));
    put(&pod, &format!("[{PULSE}, {{schedule: '0 18 * * *', name: evening, message: Good night}}]"));
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
    let container = pod.container("keeper");
    for script in [
        "echo x >> /var/lib/nanobot/workspace/AGENTS.md",
        "rm /var/lib/nanobot/workspace/AGENTS.md",
        "mv /var/lib/nanobot/workspace /var/lib/nanobot/away",
        "mv /var/lib/nanobot/workspace/skills /var/lib/nanobot/workspace/away",
        "echo x >> /var/lib/nanobot/config.json",
        "mv /var/lib/nanobot/config.json /var/lib/nanobot/x",
        "echo x > /var/lib/nanobot/workspace/skills/x",
        "echo x > /etc/x",
    ] {
        let run = Command::new("docker").args(["exec", &container, "sh", "-c", script]).output().expect("docker runs");
        assert!(!run.status.success(), "{script}");
    }
    let inspected = docker(&["inspect", &container]);
    assert!(!inspected.contains(KEY) && !inspected.contains("marker-of-a-token"));
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
    put(pod, "[{schedule: '* * * * *', name: pulse, message: Say the minute}]");
    assert!(up(pod).contains("tell keeper its schedules"));
    assert_eq!(jobs(pod), ["by-hand: x", "pulse: Say the minute"]);
    // The gateway that runs has taken it over.
    comes(pod, "Say the minute", 120);
    put(pod, "[]");
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
    // The proxy has the key, and says who asked; the agent has neither the key nor another way.
    let lines = pod.ok(&["audit", "keeper", "--type", "response", "--json"]);
    let line: Value = serde_json::from_str(lines.lines().next().expect("a line")).expect("JSON");
    assert_eq!(
        (&line["claw_id"], &line["provider"], &line["end"]),
        (&"keeper".into(), &"demo".into(), &"complete".into())
    );
    let said = pod.ok(&["diagnose", "keeper"]);
    assert!(said.contains("http://cllama-passthrough:8080/v1"), "{said}");
    let script = "cat /proc/[0-9]*/environ /run/secrets/* /var/lib/nanobot/config.json 2>/dev/null";
    let held = docker(&["exec", &pod.container("keeper"), "sh", "-c", script]);
    assert!(!held.contains(KEY) && !docker(&["inspect", &pod.container("keeper")]).contains(KEY));
    let shown = "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}";
    let networks = docker(&["inspect", "-f", shown, &pod.container("keeper")]);
    assert_eq!(networks.trim(), format!("{}_claw-keeper", pod.name));
    pod.ok(&["down", "-v", "--rmi", "local"]);
    pod.leaves_nothing();
}
