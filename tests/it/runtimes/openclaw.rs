//! The real openclaw: on a network of its own, hardened by `claw up`, and behind the proxy.

use std::path::Path;

use serde_json::Value;

use super::{
    KEY, PERSONA, alone, behind_the_proxy, cannot, comes, compiled, health, is_asked, library, put, reached, read,
    record, shows_no_secret, stopped_in_a_turn, up, write,
};
use crate::engine::{Pod, docker};
use crate::{Folder, root};

/// The image that claw builds.
const IMAGE: &str = "claw/openclaw";

/// Copies the files of a unit, and moves the places its configuration names below a folder.
fn moved(folder: &Path, unit: &Path) {
    let to = folder.display();
    let text = std::fs::read_to_string(unit.join("claw/openclaw.json")).expect("the configuration");
    let text = text
        .replace("/run/secrets/", &format!("{to}/secrets/"))
        .replace("/claw/skills", &format!("{}/claw/skills", unit.display()))
        .replace("/var/lib/openclaw", &format!("{to}/state"));
    std::fs::write(folder.join("openclaw.json"), &text).expect("written");
    std::fs::create_dir_all(folder.join("state/workspace")).expect("a folder");
    std::fs::create_dir_all(folder.join("home")).expect("a folder");
    std::fs::copy(unit.join("claw/AGENTS.md"), folder.join("state/workspace/AGENTS.md")).expect("copied");
    // What `up` copies into a volume.
    std::fs::create_dir_all(folder.join("state/workspace/persona")).expect("a folder");
    for (path, text) in crate::files(&folder.join("persona")) {
        std::fs::write(folder.join("state/workspace/persona").join(path), text).expect("written");
    }
    let config: Value = serde_json::from_str(&text).expect("JSON");
    for provider in config["secrets"]["providers"].as_object().expect("secrets").values() {
        let path = Path::new(provider["path"].as_str().expect("a path"));
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        let value = if path.ends_with("DEMO_KEY") { KEY } else { "a-token-of-the-gateway-0123456789" };
        std::fs::write(path, value).expect("written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o400);
        std::fs::set_permissions(path, mode).expect("private");
    }
}

#[test]
fn openclaw_takes_a_turn_where_there_is_no_network_but_its_own() {
    if !is_asked() {
        return;
    }
    let folder = Folder::new("openclaw-loopback");
    write(
        &|name, text| _ = folder.write(name, text),
        IMAGE,
        "'http://127.0.0.1:8701/v1', key: '${DEMO_KEY}'",
        "[{schedule: '0 9 * * *', name: morning, message: Good morning}]",
        "[]",
    );
    library(&|name, text| _ = folder.write(name, text));
    let unit = compiled(&folder);
    moved(&folder.0, &unit);
    let script = "set -e\n\
        ip link set lo up\n\
        \"$CLAW\" reference provider --listen 127.0.0.1:8701 --record requests & provider=$!\n\
        openclaw gateway run >gateway.log 2>&1 & gateway=$!\n\
        trap 'kill $provider $gateway 2>/dev/null; wait' EXIT\n\
        tries=0\n\
        until \"$CLAW\" shim probe http://127.0.0.1:18789/readyz >ready.json 2>/dev/null; do\n\
            tries=$((tries + 1)); [ $tries -lt 600 ] || { tail -n 30 gateway.log >&2; exit 1; }; sleep 0.5\n\
        done\n\
        openclaw health --json --timeout 20000 >health.json\n\
        node \"$UNIT/claw/schedules.mjs\" \"$UNIT/claw/schedules.json\" >schedules.json\n\
        openclaw agent --agent main --session-key agent:main:claw --message 'hello keeper' >answer.txt\n";
    let bin = root().join(".runtimes/openclaw/bin");
    let place = |name: &str| folder.0.join(name).display().to_string();
    let env = [
        ("HOME", place("home")),
        ("OPENCLAW_CONFIG_PATH", place("openclaw.json")),
        ("OPENCLAW_CONFIG_READONLY", "1".to_owned()),
        ("OPENCLAW_STATE_DIR", place("state")),
        ("OPENCLAW_NO_AUTO_UPDATE", "1".to_owned()),
        ("OPENCLAW_OFFLINE", "1".to_owned()),
        ("OPENCLAW_DISABLE_BONJOUR", "1".to_owned()),
        ("DO_NOT_TRACK", "1".to_owned()),
    ];
    let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(alone(&folder, &unit, &bin, script, &env), Ok(()));
    let read = |name: &str| read(&folder, name);
    let health = |name: &str| health("openclaw", read(name));
    assert_eq!(health("ready.json").status.name(), "healthy", "{}", read("ready.json"));
    assert_eq!(health("health.json").status.name(), "healthy", "{}", read("health.json"));
    assert_eq!(
        read("schedules.json").trim(),
        "{\"ok\":true,\"created\":1,\"updated\":0,\"unchanged\":0,\"removed\":0}"
    );
    // The scripted model says who its first words say it is.
    assert!(read("answer.txt").starts_with("I am "), "{}", read("answer.txt"));
    reached(&read("requests"), KEY);
    assert!(read("requests").contains(PERSONA));
}

/// The names of the jobs that openclaw has by claw's keys or by hand.
fn jobs(pod: &Pod) -> Vec<String> {
    let list = docker(&["exec", &pod.container("keeper"), "openclaw", "cron", "list", "--all", "--json"]);
    let list: Value = serde_json::from_str(&list).expect("JSON");
    let own = |job: &&Value| job["declarationKey"].is_string() || job["name"] == "by-hand";
    let name = |job: &Value| {
        format!("{}: {}", job["name"].as_str().unwrap_or(""), job["payload"]["message"].as_str().unwrap_or(""))
    };
    let mut names: Vec<String> = list["jobs"].as_array().expect("jobs").iter().filter(own).map(name).collect();
    names.retain(|name| !name.starts_with("heartbeat") && !name.starts_with("skill-"));
    names.sort();
    names
}

#[test]
fn openclaw_runs_hardened_by_claw_up() {
    if !is_asked() {
        return;
    }
    let pod = Pod::new("openclaw");
    crate::engine::surfaces::busybox();
    library(&|name, text| _ = pod.write(name, text));
    put(
        &pod,
        IMAGE,
        "[{schedule: '0 9 * * *', name: morning, message: Good morning}, {schedule: '0 18 * * *', name: evening, message: Good night}]",
    );
    up(&pod);
    answers(&pod);
    held(&pod);
    schedules(&pod);
    drained(&pod);
    foreign(&pod);
    // A new token of its gateway is a new container, of this agent alone.
    let (agent, provider) = (pod.id("keeper"), pod.id("provider"));
    pod.ok(&["secrets", "rotate", "keeper"]);
    up(&pod);
    assert_ne!(pod.id("keeper"), agent);
    assert_eq!(pod.id("provider"), provider);
    assert!(pod.ok(&["ask", "keeper", "hello keeper"]).starts_with("I am "));
    pod.ok(&["down", "-v", "--rmi", "local"]);
    pod.leaves_nothing();
}

/// It is well, and a turn reaches the provider with all it was given.
fn answers(pod: &Pod) {
    let health = pod.ok(&["health"]);
    assert!(health.contains("healthy") && health.contains("ready, no channels"), "{health}");
    let answer = pod.ok(&["ask", "keeper", "--", "-hello keeper"]);
    assert!(answer.starts_with("I am "), "{answer}");
    let record = record(pod);
    // A server that wants no key is asked with none of ours.
    reached(&record, "none");
    // Its services are there too: the manual in the contract, and the MCP server, which openclaw asked for its tools.
    assert!(record.contains("Look books up in the library"));
    let asked = pod.ok(&["logs", "library"]);
    assert!(asked.contains("url:/cgi-bin/mcp"), "{asked}");
    calls_the_library(pod, &record);
    let told = pod.ok(&["diagnose"]);
    assert!(told.contains("findings      none") && told.contains("http://provider:8701/v1"), "{told}");
}

/// Tools of MCP servers are not among those that openclaw offers: its model searches for them, and calls them by what it finds.
fn calls_the_library(pod: &Pod, record: &str) {
    assert!(
        record.contains("tool_search") && !record.contains("find_book\\\""),
        "it offers them itself now: use `super::`"
    );
    let found = pod.ok(&["ask", "keeper", "call tool_search {\"query\": \"find book\"}"]);
    assert!(found.contains("find_book"), "no tool of the library: {found}");
    let end = found.find("find_book").expect("it is there") + "find_book".len();
    let name = found[..end].rsplit(['"', '\\', ':']).next().expect("a name");
    let call = format!("call tool_call {{\"id\": \"{name}\", \"args\": {{\"title\": \"Cities\"}}}}");
    let answer = pod.ok(&["ask", "keeper", &call]);
    assert!(answer.contains("Invisible Cities"), "{found}\n{name}: {answer}");
}

/// It is held as planned, cannot write its contract, and nothing shows its secrets.
fn held(pod: &Pod) {
    pod.ok(&["verify"]);
    let container = pod.container("keeper");
    let contract = "/var/lib/openclaw/workspace/AGENTS.md";
    cannot(
        pod,
        &[
            &format!("echo x >> {contract}"),
            &format!("rm {contract}"),
            "mv /var/lib/openclaw/workspace /var/lib/openclaw/away",
            "echo x > /etc/x",
            "echo x >> /claw/openclaw.json",
        ],
    );
    // What is the agent's own it may change.
    docker(&["exec", &container, "sh", "-c", "echo more >> /var/lib/openclaw/workspace/persona/SOUL.md"]);
    shows_no_secret(pod);
    let script = "cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -m 1 ^HOUSE_TOKEN=";
    assert_eq!(docker(&["exec", &container, "sh", "-c", script]), "HOUSE_TOKEN=marker-of-a-token");
}

/// It ends the turn it is in before it is stopped, and then takes nothing new.
fn drained(pod: &Pod) {
    let answer = stopped_in_a_turn(pod, |record| record.contains("think 20"));
    assert!(answer.stdout.starts_with("I am "), "{answer:?}");
    pod.ok(&["start", "keeper"]);
    up(pod);
}

/// An image of openclaw that claw did not make is an agent by its `type`.
fn foreign(pod: &Pod) {
    let name = format!("{}-foreign:1", pod.name);
    docker(&["tag", "claw/openclaw", &name]);
    let path = pod.folder.0.join("claw-pod.yml");
    let text = std::fs::read_to_string(&path).expect("the pod file");
    let text = text.replace("image: claw/openclaw", &format!("image: {name}"));
    pod.write("claw-pod.yml", &text.replace("    x-claw:\n", "    x-claw:\n      type: openclaw\n"));
    up(pod);
    assert!(pod.ok(&["ask", "keeper", "hello keeper"]).starts_with("I am "));
    put(pod, IMAGE, "[]");
    up(pod);
    docker(&["rmi", &name]);
}

/// Schedules follow the pod file; what was made by hand stays.
fn schedules(pod: &Pod) {
    let by_hand = "openclaw cron add --cron '0 1 * * *' --name by-hand --agent main --session isolated --message x \
                   --no-deliver --json";
    docker(&["exec", &pod.container("keeper"), "sh", "-c", by_hand]);
    assert_eq!(jobs(pod), ["by-hand: x", "evening: Good night", "morning: Good morning"]);
    assert_eq!(pod.ok(&["plan"]).trim(), "nothing to do");
    put(pod, IMAGE, "[{schedule: '0 9 * * *', name: morning, message: Good day}]");
    assert!(up(pod).contains("tell keeper its schedules"));
    assert_eq!(jobs(pod), ["by-hand: x", "morning: Good day"]);
    put(pod, IMAGE, "[{schedule: '* * * * *', name: pulse, message: marker-of-the-pulse}]");
    up(pod);
    comes(pod, "marker-of-the-pulse", 180);
    put(pod, IMAGE, "[]");
    up(pod);
    assert_eq!(jobs(pod), ["by-hand: x"]);
}

#[test]
fn openclaw_goes_on_to_its_fallback() {
    if !is_asked() {
        return;
    }
    let pod = Pod::new("openclaw-fallback");
    crate::engine::surfaces::busybox();
    library(&|name, text| _ = pod.write(name, text));
    // Nobody listens where the first model would be.
    let keep = |name: &str, text: &str| {
        let text = text.replace("providers: {demo:", "providers: {gone: {base_url: 'http://provider:9/v1'}, demo:");
        pod.write(name, &text.replace("{primary: demo/echo-1}", "{primary: gone/x, fallback: demo/echo-1}"));
    };
    write(&keep, IMAGE, "'http://provider:8701/v1'", "[]", "[]");
    up(&pod);
    let answer = pod.ok(&["ask", "keeper", "hello keeper"]);
    assert!(answer.starts_with("I am "), "{answer}");
    pod.ok(&["down", "-v", "--rmi", "local"]);
    pod.leaves_nothing();
}

#[test]
fn openclaw_behind_the_proxy_holds_no_key_and_is_answered() {
    if !is_asked() {
        return;
    }
    let pod = Pod::new("openclaw-proxied");
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
    behind_the_proxy(&pod, "/claw/openclaw.json");
    pod.ok(&["down", "-v", "--rmi", "local"]);
    pod.leaves_nothing();
}
