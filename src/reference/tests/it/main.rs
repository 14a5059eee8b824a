//! The reference agent against the scripted provider, over real sockets on loopback.

use std::path::PathBuf;

use claw_reference::clock::{Clock, SystemClock};
use claw_reference::manifest::Manifest;
use claw_reference::{ReferenceError, client, provider, serve};
use serde_json::{Value, json};

mod door;
mod driver;
mod mcp;
mod runner;
mod schedules;
mod wire;

struct Running {
    address: String,
    folder: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

async fn start(router: axum::Router) -> String {
    let listener = serve::listen("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// An agent of the scripted provider that has not been started.
struct Prepared {
    document: Value,
    folder: PathBuf,
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if !self.folder.as_os_str().is_empty() {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

async fn prepare(name: &str, change: impl FnOnce(&mut Value)) -> Prepared {
    let provider = start(provider::router()).await;
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(folder.join("skills/review")).expect("a folder");
    std::fs::write(folder.join("AGENTS.md"), "# Writer\n").expect("written");
    std::fs::write(folder.join("CLAWDAPUS.md"), "# Letter\n").expect("written");
    std::fs::write(folder.join("secret.md"), "hidden\n").expect("written");
    std::fs::write(folder.join("skills/review/SKILL.md"), "look twice\n").expect("written");
    let at = |name: &str| folder.join(name).display().to_string();
    let (host, port) = provider.split_once(':').expect("an address");
    let model = |model: &str, slot: &str| json!({"slot": slot, "model": model, "base_url": format!("http://{provider}/v1"), "format": "openai", "key_file": null});
    let mut document = json!({
        "schema": 1, "pod": "p", "service": "writer", "agent": "writer", "listen": "127.0.0.1:0",
        "contract": at("AGENTS.md"), "letter": at("CLAWDAPUS.md"), "skills": at("skills"), "state": at("state"),
        "models": [model("echo-1", "primary"), model("echo-2", "fallback")],
        "services": [{"name": host, "ports": [port.parse::<u16>().expect("a port")]}],
        "schedules": [], "timezone": null, "settings": {},
    });
    change(&mut document);
    Prepared { document, folder }
}

impl Prepared {
    fn ready<C: Clock>(&self, clock: C) -> Result<serve::Ready<C>, ReferenceError> {
        let manifest: Manifest = serde_json::from_value(self.document.clone()).expect("a manifest");
        serve::ready(manifest, clock)
    }

    async fn start<C: Clock>(mut self, clock: C) -> Running {
        let serve::Ready { door, scheduler } = self.ready(clock).expect("an agent");
        let folder = std::mem::take(&mut self.folder);
        tokio::spawn(scheduler.run());
        Running { address: start(door).await, folder }
    }
}

async fn agent(name: &str, change: impl FnOnce(&mut Value)) -> Running {
    prepare(name, change).await.start(SystemClock).await
}

#[tokio::test]
async fn a_conversation_is_remembered_streamed_or_not() {
    for stream in [true, false] {
        let agent = agent(&format!("memory-{stream}"), |document| document["settings"]["stream"] = json!(stream)).await;
        assert_eq!(
            client::ask(&agent.address, "main", "hello ü").await.expect("a reply"),
            "I am Writer. Turn 1: hello ü"
        );
        assert_eq!(client::ask(&agent.address, "main", "again").await.expect("a reply"), "I am Writer. Turn 2: again");
    }
}

#[tokio::test]
async fn memory_survives_a_restart_and_a_torn_line() {
    let first = agent("restart", |_| {}).await;
    client::ask(&first.address, "main", "one").await.expect("a reply");
    let file = first.folder.join("state/conversations/main.jsonl");
    let mut text = std::fs::read_to_string(&file).expect("remembered");
    text.push_str("{\"role\": \"us");
    std::fs::write(&file, text).expect("written");
    let state = first.folder.join("state").display().to_string();
    let second = agent("restart-2", |document| document["state"] = json!(state)).await;
    assert_eq!(client::ask(&second.address, "main", "two").await.expect("a reply"), "I am Writer. Turn 2: two");
    assert_eq!(client::ask(&second.address, "main", "three").await.expect("a reply"), "I am Writer. Turn 3: three");
}

#[tokio::test]
async fn tools_reach_what_was_declared_and_nothing_else() {
    let agent = agent("tools", |_| {}).await;
    assert_eq!(
        client::ask(&agent.address, "main", "use skill review").await.expect("a reply"),
        "The tool said: look twice\n"
    );
    let hostile = client::ask(&agent.address, "main", "use skill ../secret").await.expect("a reply");
    assert_eq!(hostile, "The tool said: error: `../secret` is not a skill");
    let outside = client::ask(&agent.address, "main", "fetch http://127.0.0.1:1/x").await.expect("a reply");
    assert_eq!(outside, "The tool said: error: `127.0.0.1:1` is not one of your services");
}

#[tokio::test]
async fn a_fallback_answers_when_the_primary_does_not() {
    let agent = agent("fallback", |document| document["models"][0]["model"] = json!("broken")).await;
    assert_eq!(client::ask(&agent.address, "main", "hi").await.expect("a reply"), "I am Writer. Turn 1: hi");
    let (text, is_healthy) = client::health(&agent.address).await.expect("health");
    assert!(is_healthy && text.contains("\"conversations\":1"), "{text}");
}

#[tokio::test]
async fn when_no_model_answers_the_reason_is_told_and_nothing_is_remembered() {
    let agent = agent("none", |document| {
        document["models"][0]["model"] = json!("broken");
        document["models"][1]["model"] = json!("broken");
    })
    .await;
    let error = client::ask(&agent.address, "main", "hi").await.expect_err("no answer").to_string();
    assert!(error.contains("broken: answered 500"), "{error}");
    let (text, _) = client::health(&agent.address).await.expect("health");
    assert!(text.contains("\"conversations\":0") && text.contains("last_error\":\"no model answered"), "{text}");
}
