//! A model provider without a model: answers chat completions by rule, so that demo and tests need nothing from outside.
//!
//! It says who the system prompt says it is, how many turns it was shown, and what was asked. `use skill NAME` and
//! `fetch URL` in a message make it call the tools.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::ReferenceError;
use crate::serve::{listen, run};

/// Runs the provider until it is told to stop.
///
/// # Errors
/// Where it cannot listen.
pub async fn provider(address: &str) -> Result<(), ReferenceError> {
    run(listen(address).await?, router()).await
}

/// Returns the provider: `POST /v1/chat/completions`, `GET /v1/models`, `GET /health`.
pub fn router() -> Router {
    Router::new()
        .route("/v1/chat/completions", post(completions))
        .route(
            "/v1/models",
            get(|| async { Json(json!({"object": "list", "data": [{"id": "echo-1", "object": "model"}]})) }),
        )
        .route("/health", get(|| async { "ok\n" }))
}

async fn completions(Json(request): Json<Value>) -> Response {
    let Some(messages) = request["messages"].as_array().filter(|messages| !messages.is_empty()) else {
        return (StatusCode::BAD_REQUEST, Json(json!({"error": {"message": "`messages` is missing"}}))).into_response();
    };
    if request["model"] == "broken" {
        return (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({"error": {"message": "broken"}}))).into_response();
    }
    let message = answer(messages);
    let finish = if message["tool_calls"].is_array() { "tool_calls" } else { "stop" };
    if request["stream"] == true {
        return ([(CONTENT_TYPE, "text/event-stream")], stream(&request["model"], &message, finish)).into_response();
    }
    let usage = json!({"prompt_tokens": messages.len(), "completion_tokens": 1, "total_tokens": messages.len() + 1});
    let choice = json!({"index": 0, "message": message, "finish_reason": finish});
    Json(json!({"id": "echo", "object": "chat.completion", "model": request["model"], "choices": [choice], "usage": usage}))
        .into_response()
}

fn answer(messages: &[Value]) -> Value {
    let text = |message: &Value| message["content"].as_str().unwrap_or("").to_owned();
    let last = messages.last().map(text).unwrap_or_default();
    if messages.last().is_some_and(|message| message["role"] == "tool") {
        return json!({"role": "assistant", "content": format!("The tool said: {last}")});
    }
    let call = |name: &str, arguments: Value| {
        let function = json!({"name": name, "arguments": arguments.to_string()});
        json!({"role": "assistant", "content": "", "tool_calls": [{"id": "call-1", "type": "function", "function": function}]})
    };
    let after = |words: &str| last.split_once(words).and_then(|(_, rest)| rest.split_whitespace().next());
    if let Some(name) = after("use skill ") {
        return call("read_skill", json!({"name": name}));
    }
    if let Some(url) = after("fetch ") {
        return call("http", json!({"url": url}));
    }
    let system = messages.iter().find(|message| message["role"] == "system").map(text).unwrap_or_default();
    let name = system.lines().find_map(|line| line.strip_prefix("# ")).unwrap_or("nobody").to_owned();
    let turns = messages.iter().filter(|message| message["role"] == "user").count();
    json!({"role": "assistant", "content": format!("I am {name}. Turn {turns}: {last}")})
}

/// The message in two halves, as providers stream it.
fn stream(model: &Value, message: &Value, finish: &str) -> String {
    let event = |delta: Value, finish: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        format!(
            "data: {}\n\n",
            json!({"id": "echo", "object": "chat.completion.chunk", "model": model, "choices": [choice]})
        )
    };
    let mut out = event(json!({"role": "assistant"}), Value::Null);
    if let Some(call) = message["tool_calls"].get(0) {
        let mut call = call.clone();
        call["index"] = json!(0);
        out.push_str(&event(json!({"tool_calls": [call]}), Value::Null));
    }
    let content = message["content"].as_str().unwrap_or("");
    let middle = (0..=content.len() / 2).rev().find(|at| content.is_char_boundary(*at)).unwrap_or(0);
    for half in [&content[..middle], &content[middle..]] {
        out.push_str(&event(json!({"content": half}), Value::Null));
    }
    out.push_str(&event(json!({}), json!(finish)));
    out.push_str("data: [DONE]\n\n");
    out
}
