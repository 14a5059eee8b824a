//! The agent: its prompt, its turns, and its HTTP door.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::manifest::{Manifest, read, read_file};
use crate::memory::{Memory, is_conversation};
use crate::{ReferenceError, http, model, tools};

struct Agent {
    manifest: Manifest,
    prompt: String,
    memory: Memory,
    client: reqwest::Client,
    /// One turn at a time: a conversation's order is its meaning.
    turn: Mutex<Option<String>>,
}

/// Runs the agent until it is told to stop.
///
/// # Errors
/// Where it cannot start.
pub async fn serve(path: &str) -> Result<(), ReferenceError> {
    let manifest = read(path)?;
    let listener = listen(&manifest.listen).await?;
    let router = router(manifest)?;
    run(listener, router).await
}

/// Returns a listener.
///
/// # Errors
/// Where the address is taken or none.
pub async fn listen(address: &str) -> Result<tokio::net::TcpListener, ReferenceError> {
    let bound = tokio::net::TcpListener::bind(address).await;
    bound.map_err(|source| ReferenceError::Listen { address: address.to_owned(), source })
}

pub(crate) async fn run(listener: tokio::net::TcpListener, router: Router) -> Result<(), ReferenceError> {
    let address = listener.local_addr().map(|address| address.to_string()).unwrap_or_default();
    let served = axum::serve(listener, router).with_graceful_shutdown(stopped()).await;
    served.map_err(|source| ReferenceError::Listen { address, source })
}

async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Returns the agent's HTTP door: `POST /message`, `GET /health`.
///
/// # Errors
/// Where contract or state cannot be used.
pub fn router(manifest: Manifest) -> Result<Router, ReferenceError> {
    let prompt = prompt(&manifest)?;
    let memory = Memory::open(&manifest.state)?;
    let client = http(Duration::from_secs(120))?;
    let agent = Arc::new(Agent { manifest, prompt, memory, client, turn: Mutex::new(None) });
    Ok(Router::new().route("/message", post(message)).route("/health", get(health)).with_state(agent))
}

/// The contract, the letter, and the index of skills.
fn prompt(manifest: &Manifest) -> Result<String, ReferenceError> {
    let mut prompt = read_file(&manifest.contract)?;
    if !prompt.contains("--- BEGIN: CLAWDAPUS.md") {
        prompt.push_str(&read_file(&manifest.letter)?);
    }
    prompt.push_str("\nRead a skill with the tool `read_skill` before you use what it describes.\n");
    prompt.extend(manifest.settings.system_note.as_deref());
    Ok(prompt)
}

async fn health(State(agent): State<Arc<Agent>>) -> Json<Value> {
    let last_error = agent.turn.try_lock().ok().and_then(|turn| turn.clone());
    Json(json!({
        "status": "healthy",
        "runtime": "reference",
        "version": env!("CARGO_PKG_VERSION"),
        "agent": agent.manifest.agent,
        "model": agent.manifest.models.first().map(|model| model.model.clone()),
        "conversations": agent.memory.count(),
        "last_error": last_error,
    }))
}

async fn message(State(agent): State<Arc<Agent>>, Json(body): Json<Value>) -> (StatusCode, Json<Value>) {
    let conversation = body["conversation"].as_str().unwrap_or("main");
    let Some(text) = body["text"].as_str().filter(|text| !text.is_empty()) else {
        return (StatusCode::BAD_REQUEST, Json(json!({"error": "`text` is missing"})));
    };
    if !is_conversation(conversation) {
        return (
            StatusCode::BAD_REQUEST,
            Json(json!({"error": "a conversation is named by letters, digits, `-`, `_`"})),
        );
    }
    let mut last_error = agent.turn.lock().await;
    match turn(&agent, conversation, text).await {
        Ok(answer) => {
            *last_error = None;
            (StatusCode::OK, Json(answer))
        }
        Err(error) => {
            *last_error = Some(error.to_string());
            (StatusCode::BAD_GATEWAY, Json(json!({"error": error.to_string()})))
        }
    }
}

/// One turn: the model answers, its tools run, until it has nothing more to ask for. Only a finished turn is remembered.
async fn turn(agent: &Agent, conversation: &str, text: &str) -> Result<Value, ReferenceError> {
    let settings = &agent.manifest.settings;
    let said = json!({"role": "user", "content": text});
    let earlier = agent.memory.read(conversation);
    let skipped = earlier.len().saturating_sub(settings.history);
    let mut messages = vec![json!({"role": "system", "content": agent.prompt})];
    messages.extend_from_slice(&earlier[skipped..]);
    messages.push(said.clone());
    let tools = tools::described();
    for step in 1..=settings.max_steps.max(1) {
        let (answer, model) =
            model::complete(&agent.manifest.models, settings, &messages, &tools, &agent.client).await?;
        let calls = answer["tool_calls"].as_array().cloned().unwrap_or_default();
        if calls.is_empty() {
            let reply = answer["content"].as_str().unwrap_or("").to_owned();
            agent.memory.append(conversation, &[said, json!({"role": "assistant", "content": reply})])?;
            return Ok(json!({"reply": reply, "conversation": conversation, "model": model, "steps": step}));
        }
        messages.push(answer);
        for call in calls {
            let arguments = call["function"]["arguments"].as_str().unwrap_or("{}");
            let arguments = serde_json::from_str(arguments).unwrap_or(Value::Null);
            let name = call["function"]["name"].as_str().unwrap_or("");
            let result = tools::run(name, &arguments, &agent.manifest, &agent.client).await;
            messages.push(json!({"role": "tool", "tool_call_id": call["id"], "content": result}));
        }
    }
    Err(ReferenceError::Model(format!("no answer after {} steps", settings.max_steps)))
}
