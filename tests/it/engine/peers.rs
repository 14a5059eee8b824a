//! A pod that docker compose and claw share: what one started the other takes for its own.

use std::path::PathBuf;
use std::process::Command;

use super::{Pod, docker, shell};
use crate::root;

/// Services with what hashes are made of: paths, variables, both forms of ports, sizes, durations, modes.
const SERVICES: &str = r#"
services:
  bot:
    image: IMAGE
    entrypoint: [sleep]
    command: ["1000"]
    environment: {A: "x${UNSET:-}y", DOLLAR: "$$HOME", NONE: }
    x-claw: {type: generic, agent: AGENTS.md}
  web:
    image: IMAGE
    command: [sleep, "1000"]
    stop_signal: SIGKILL
    depends_on: {db: {condition: service_started}}
    env_file: [web.env]
    label_file: [web.labels]
    environment: {X: "1 < 2 & 3", EMPTY: , P: "${UNSET:-q}"}
    volumes: ["./data:/data", "vol:/v", "./data:/ro:ro", {type: tmpfs, target: /t, tmpfs: {size: 1m}}]
    ports: ["127.0.0.1::80", "82/udp"]
    networks: {front: {aliases: [w], priority: 5}, default: }
    secrets: [one, {source: two, target: /run/two, mode: 0440}]
    configs: [{source: text, target: /text}]
    healthcheck: {test: "true", interval: 1m30s, retries: 2}
    deploy: {resources: {limits: {cpus: '0.5', memory: 64m, pids: 50}}}
    ulimits: {nofile: {soft: 100, hard: 200}, core: 0}
    logging: {driver: json-file, options: {max-size: 10m}}
    extra_hosts: ["a:1.2.3.4"]
    labels: {my.label: "v & w"}
    cap_drop: [ALL]
    mem_limit: 64m
    shm_size: 64m
  db:
    image: IMAGE
    command: sleep 1000
    stop_signal: SIGKILL
    scale: 2
    network_mode: none
  near: {image: IMAGE, command: [sleep, "1000"], stop_signal: SIGKILL, network_mode: "service:web", pid: "service:web", volumes_from: ["plain:ro"]}
  plain: {image: IMAGE, command: [sleep, "1000"], stop_signal: SIGKILL, volumes: ["vol:/v"]}
networks: {front: {driver_opts: {com.docker.network.bridge.enable_icc: "true"}, labels: {a: b}}}
volumes: {vol: {labels: {x: "y"}}}
secrets: {one: {file: ./one}, two: {environment: UNTOLD}}
configs: {text: {content: hello}}
"#;

#[expect(clippy::print_stdout, reason = "a skipped test says so")]
pub(crate) fn peer(release: &str) -> Option<PathBuf> {
    let program = root().join(".peers").join(release).join("usr/libexec/docker/cli-plugins/docker-compose");
    if !program.is_file() {
        println!("skipped: no docker compose {release}; `make peers` gets it");
    }
    Some(program).filter(|program| program.is_file())
}

/// Runs docker compose on what claw generated and returns what it says of each container, sorted.
fn compose(peer: &PathBuf, pod: &Pod, arguments: &[&str]) -> Vec<String> {
    let output = Command::new(peer)
        .args([&["-p", &pod.name, "-f", "compose.generated.yml"], arguments].concat())
        .current_dir(&pod.folder.0)
        .output()
        .expect("docker compose runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {said}");
    let lines = said.lines().filter_map(|line| line.trim().strip_prefix("Container "));
    let mut lines: Vec<String> =
        lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ").replace(&pod.name, "pod")).collect();
    lines.sort();
    lines
}

fn shared(name: &str, release: &str) -> Pod {
    let pod = Pod::new(name);
    shell(&pod);
    let image = format!("{}-box", pod.name);
    super::build(&pod, &image);
    pod.write("claw-pod.yml", &SERVICES.replace("IMAGE", &image)).write("AGENTS.md", "# A\n").write("one", "1\n");
    pod.write("web.env", "W=1\n").write("web.labels", "from.file=yes\n").write("data/x", "");
    pod.write(".env", &format!("UNTOLD=u\nCLAW_COMPOSE_LEVEL={release}\n"));
    pod
}

fn ids(pod: &Pod) -> Vec<String> {
    let mut ids = pod.left(&["ps", "-a", "--no-trunc"]);
    ids.sort();
    ids
}

#[test]
fn what_claw_started_runs_for_docker_compose_and_the_reverse() {
    for release in ["2.40", "2.26"] {
        let Some(peer) = peer(release) else { continue };
        let pod = shared(&format!("peer{}", release.replace('.', "")), release);
        let running = ["bot-1", "db-1", "db-2", "egress-1", "near-1", "plain-1", "web-1"]
            .map(|name| format!("pod-{name} Running"));
        pod.ok(&["up", "-d"]);
        let before = ids(&pod);
        assert_eq!(compose(&peer, &pod, &["up", "-d"]), running, "{release}");
        compose(&peer, &pod, &["down", "-t", "1"]);
        assert_eq!(ids(&pod), Vec::<String>::new(), "docker compose takes away what claw made");
        compose(&peer, &pod, &["up", "-d"]);
        let made = ids(&pod);
        assert!(made.len() == before.len() && made != before);
        assert_eq!(pod.ok(&["up", "-d"]), "nothing to do\n", "{release}");
        assert_eq!(ids(&pod), made);
        // Either release's containers are as good, whatever the level.
        pod.write(".env", "UNTOLD=u\n");
        assert_eq!(pod.ok(&["up", "-d"]), "nothing to do\n", "{release}");
        let label = |name: &str, kind: &str| {
            let format = "{{index .Labels \"com.docker.compose.config-hash\"}}";
            docker(&[kind, "inspect", "-f", format, &format!("{}_{name}", pod.name)])
        };
        if release == "2.40" {
            // Networks and volumes: made by docker compose, then by claw.
            let theirs = (label("front", "network"), label("vol", "volume"));
            pod.ok(&["down", "-v"]);
            pod.ok(&["up", "-d"]);
            assert_eq!((label("front", "network"), label("vol", "volume")), theirs);
        }
        pod.ok(&["down", "-v"]);
        pod.leaves_nothing();
    }
}
