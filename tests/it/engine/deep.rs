//! `claw doctor --deep`: what holds on this engine is seen to hold, and nothing of it is left.

use super::{docker, json};
use crate::{Folder, claw};

/// What any engine that these tests run on holds. Not here: what needs a way to the outside, or IPv6.
const HELD: &[&str] = &[
    "host-tcp",
    "host-udp",
    "host-ping",
    "host-name-server",
    "host-by-another-network",
    "host-by-its-own-network",
    "host-through-gate",
    "agent-tcp",
    "agent-udp",
    "agent-ping",
    "agent-name",
    "agent-through-gate",
    "gate-of-another-agent",
    "engine-socket",
    "contract",
    "root-file-system",
    "environment-of-another-agent",
    "mount",
    "root",
    "user-namespace",
    "processes",
    "full-disk",
];

#[test]
fn a_hostile_agent_is_held_and_nothing_is_left_of_it() {
    let folder = Folder::new("deep");
    let temporary = folder.0.join("tmp");
    std::fs::create_dir(&temporary).expect("a folder");
    let said = temporary.display().to_string();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_claw"));
    command.args(["doctor", "--deep", "--json"]).current_dir(&folder.0).env("TMPDIR", said);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let child = command.spawn().expect("claw runs");
    let name = format!("claw-doctor-{}", child.id());
    let output = child.wait_with_output().expect("claw ends");
    let stdout = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(0), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    json::check("doctor", &stdout);
    let document: serde_json::Value = serde_json::from_str(&stdout).expect("JSON");
    let attempts = document["data"]["attempts"].as_array().expect("a list");
    let with = |verdict: &str| -> Vec<&str> {
        attempts.iter().filter(|each| each["verdict"] == verdict).filter_map(|each| each["name"].as_str()).collect()
    };
    assert_eq!(with("not-held"), Vec::<&str>::new(), "{attempts:#?}");
    let missing: Vec<_> = HELD.iter().filter(|name| !with("held").contains(name)).collect();
    assert_eq!(missing, Vec::<&&str>::new(), "{attempts:#?}");
    let label = format!("label=com.docker.compose.project={name}");
    for kind in [&["ps", "-aq"][..], &["network", "ls", "-q"], &["volume", "ls", "-q"]] {
        assert_eq!(docker(&[kind, &["--filter", &label]].concat()), "", "{kind:?}");
    }
    assert_eq!(std::fs::read_dir(&temporary).expect("a folder").count(), 0);
}

#[test]
fn without_an_engine_nothing_is_tried() {
    let folder = Folder::new("deep-none");
    let run = crate::claw_with(&folder.0, &["doctor", "--deep"], &[("DOCKER_HOST", "unix:///nowhere.sock")]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.starts_with("error: the engine could not be reached at `unix:///nowhere.sock`"), "{run:?}");
    assert_eq!(claw(&folder.0, &["hostile", "fly"]).code, Some(2));
}
