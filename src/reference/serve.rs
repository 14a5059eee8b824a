//! The agent's HTTP door, and the process around it. Errors are JSON, whoever finds them.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::ReferenceError;
use crate::agent::Agent;
use crate::clock::{Clock, SystemClock};
use crate::manifest::{Manifest, read};
use crate::memory::is_conversation;
use crate::schedule::{Board, Scheduler};

/// The most bytes of a request to the door.
const BODY_LIMIT: usize = 1 << 20;

/// An agent that can be run.
pub struct Ready<C> {
    /// Its HTTP door: `POST /message`, `GET /health`, `POST /drain`.
    pub door: Router,
    /// What fires its schedules while it runs.
    pub scheduler: Scheduler<C>,
}

struct Door {
    agent: Arc<Agent>,
    board: Arc<Board>,
}

type Answer = (StatusCode, Json<Value>);

/// Runs the agent until it is told to stop.
///
/// # Errors
/// Where it cannot start.
pub async fn serve(path: &str) -> Result<(), ReferenceError> {
    let manifest = read(path)?;
    let listener = listen(&manifest.listen).await?;
    let Ready { door, scheduler } = ready(manifest, SystemClock)?;
    let firing = tokio::spawn(scheduler.run());
    let served = run(listener, door).await;
    // A turn that is cut off here is neither remembered nor logged: its schedule counts as not fired.
    firing.abort();
    served
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

/// Returns the agent of a configuration.
///
/// # Errors
/// Where contract, state, a schedule or the time zone cannot be used.
pub fn ready<C: Clock>(manifest: Manifest, clock: C) -> Result<Ready<C>, ReferenceError> {
    let agent = Arc::new(Agent::new(manifest)?);
    let scheduler = Scheduler::new(Arc::clone(&agent), clock)?;
    let state = Arc::new(Door { agent, board: scheduler.board() });
    let door = Router::new()
        .route("/message", post(message))
        .route("/health", get(health))
        .route("/drain", post(drain))
        .method_not_allowed_fallback(|| async {
            failed(StatusCode::METHOD_NOT_ALLOWED, "the route has no such method")
        })
        .fallback(|| async { failed(StatusCode::NOT_FOUND, "there is no such route") })
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(state);
    Ok(Ready { door, scheduler })
}

async fn health(State(door): State<Arc<Door>>) -> Json<Value> {
    let agent = &door.agent;
    Json(json!({
        "status": if agent.is_draining() { "draining" } else { "healthy" },
        "runtime": "reference",
        "version": env!("CARGO_PKG_VERSION"),
        "agent": agent.manifest.agent,
        "model": agent.manifest.models.first().map(|model| model.model.clone()),
        "conversations": agent.memory.count(),
        "last_error": agent.last_error(),
        "schedules": door.board.described(),
    }))
}

async fn message(State(door): State<Arc<Door>>, body: Result<Json<Value>, JsonRejection>) -> Answer {
    let (conversation, text) = match body.map_err(|why| rejected(&why)).and_then(|Json(body)| read_message(&body)) {
        Ok(asked) => asked,
        Err(answer) => return answer,
    };
    match door.agent.say(&conversation, &text).await {
        Ok(turn) => {
            let (reply, model, steps) = (turn.reply, turn.model, turn.steps);
            (
                StatusCode::OK,
                Json(json!({"reply": reply, "conversation": conversation, "model": model, "steps": steps})),
            )
        }
        Err(error @ ReferenceError::Draining) => failed(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
        Err(error) => failed(StatusCode::BAD_GATEWAY, &error.to_string()),
    }
}

/// Answers once nothing is under way and nothing new is taken.
async fn drain(State(door): State<Arc<Door>>) -> Json<Value> {
    door.agent.drain().await;
    Json(json!({"status": "drained"}))
}

/// Returns a message's conversation and text.
fn read_message(body: &Value) -> Result<(String, String), Answer> {
    let wrong = |why: &str| failed(StatusCode::BAD_REQUEST, why);
    let Some(fields) = body.as_object() else {
        return Err(wrong("a message is an object with `text`"));
    };
    let text = match fields.get("text") {
        None => return Err(wrong("`text` is missing")),
        Some(Value::String(text)) if text.is_empty() => return Err(wrong("`text` is empty")),
        Some(Value::String(text)) => text.clone(),
        Some(_) => return Err(wrong("`text` is no string")),
    };
    let conversation = match fields.get("conversation") {
        None | Some(Value::Null) => "main".to_owned(),
        Some(Value::String(name)) if is_conversation(name) => name.clone(),
        Some(_) => return Err(wrong("a conversation is named by at most 64 letters, digits, `-`, `_`")),
    };
    Ok((conversation, text))
}

fn rejected(why: &JsonRejection) -> Answer {
    match why.status() {
        status @ StatusCode::PAYLOAD_TOO_LARGE => failed(status, "a message has at most 1 MiB"),
        status @ StatusCode::UNSUPPORTED_MEDIA_TYPE => failed(status, "a message is `application/json`"),
        _ => failed(StatusCode::BAD_REQUEST, "the message is no JSON"),
    }
}

fn failed(status: StatusCode, why: &str) -> Answer {
    (status, Json(json!({"error": why})))
}
