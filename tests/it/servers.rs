//! Real MCP servers, asked for their tools: `make test-runtimes`. Other runs skip them.

use std::process::Command;

use serde_json::Value;

use crate::runtimes::is_asked;
use crate::{Folder, claw_with};

/// A reference server of the protocol's authors, which answers in streams and sessions.
const EVERYTHING: &str = "@modelcontextprotocol/server-everything@2026.8.31";

#[test]
fn a_real_mcp_server_says_which_tools_it_has() {
    if !is_asked() {
        return;
    }
    let folder = Folder::new("mcp-everything");
    let install = Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--ignore-scripts", EVERYTHING])
        .current_dir(&folder.0)
        .output()
        .expect("npm runs");
    assert!(install.status.success(), "{}", String::from_utf8_lossy(&install.stderr));
    // Loopback and nothing else.
    let script = "ip link set lo up; PORT=3001 node node_modules/@modelcontextprotocol/server-everything/dist/index.js streamableHttp >log 2>&1 & \
                  for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do sleep 1; \"$0\" shim tools http://127.0.0.1:3001/mcp >answer && break; done; kill %1";
    let words = ["--net", "bash", "-c", script, env!("CARGO_BIN_EXE_claw")];
    let output = Command::new("unshare").args(words).current_dir(&folder.0).output().expect("unshare runs");
    let answer = std::fs::read_to_string(folder.0.join("answer")).unwrap_or_default();
    let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{output:?}"));
    let tools = answer["tools"].as_array().expect("tools");
    assert!(tools.iter().any(|tool| tool["name"] == "echo") && tools.len() > 5, "{answer:#}");
    // What it says is a listing as it stands.
    folder.write("AGENTS.md", "# A\n").write(
        "claw-pod.yml",
        "services:\n  every: {image: x, expose: ['3001'], x-claw: {mcp: /mcp, mcp-tools: answer}}\n  \
         bot: {image: claw/infra, x-claw: {type: generic, agent: AGENTS.md, surfaces: ['service://every']}}\n",
    );
    let nowhere = [("DOCKER_HOST", "unix:///nowhere.sock")];
    let run = claw_with(&folder.0, &["compile", "-o", "out"], &nowhere);
    assert_eq!(run.code, Some(0), "{run:?}");
    let made = crate::files(&folder.0.join("out"));
    let skill = made.iter().find(|(path, _)| path.ends_with("tools-every/SKILL.md")).expect("a skill").1;
    assert!(skill.contains("## `echo`\n\n> Echoes back the input"), "{skill}");
    assert_eq!(skill.matches("\n## ").count(), tools.len());
}
