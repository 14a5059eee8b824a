//! A model provider without a model: answers chat completions and Anthropic messages by rule, so that demo and tests need
//! nothing from outside.
//!
//! It says who the system prompt says it is, how many turns it was shown, and what was asked. `use skill NAME` and
//! `fetch URL` in a message make it call the tools, `call NAME {…}` makes it call any tool; `think SECONDS` makes it answer so
//! much later, a minute at most. Messages that follow each other without an answer between are one turn.
//! The model `broken` fails, `overloaded` says that it has too much to do.

use std::io::Write;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
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
pub async fn provider(address: &str, record: Option<&str>) -> Result<(), ReferenceError> {
    let router = match record {
        Some(path) => recording(router(), path)?,
        None => router(),
    };
    run(listen(address).await?, router).await
}

/// Writes each request into a file before it is answered, a JSON object a line: `method`, `path`, `authorization` (or the
/// key's other header), `body`. What is recorded holds keys: it is for tests.
fn recording(router: Router, path: &str) -> Result<Router, ReferenceError> {
    let failed = |source| ReferenceError::File { path: path.to_owned(), source };
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path).map_err(failed)?;
    let file = Arc::new(Mutex::new(file));
    Ok(router.layer(middleware::from_fn(move |request: Request, next: Next| {
        let file = Arc::clone(&file);
        async move {
            let (head, body) = request.into_parts();
            let Ok(body) = axum::body::to_bytes(body, RECORD_LIMIT).await else {
                return StatusCode::PAYLOAD_TOO_LARGE.into_response();
            };
            let header =
                |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
            let line = json!({
                "method": head.method.as_str(),
                "path": head.uri.path(),
                "authorization": header("authorization").or_else(|| header("x-api-key")),
                "body": String::from_utf8_lossy(&body),
            });
            if let Ok(mut file) = file.lock() {
                // A line that cannot be written is missed by whoever reads it.
                let _ = writeln!(file, "{line}");
            }
            next.run(Request::from_parts(head, Body::from(body))).await
        }
    })))
}

/// The most bytes of a request that is recorded.
const RECORD_LIMIT: usize = 32 * 1024 * 1024;

/// Returns the provider: `POST /v1/chat/completions`, `POST /v1/messages`, `GET /v1/models`, `GET /health`.
pub fn router() -> Router {
    Router::new()
        .route("/v1/chat/completions", post(completions))
        .route("/v1/messages", post(messages))
        .route(
            "/v1/models",
            get(|| async { Json(json!({"object": "list", "data": [{"id": "echo-1", "object": "model"}]})) }),
        )
        .route("/health", get(|| async { "ok\n" }))
        .layer(DefaultBodyLimit::max(RECORD_LIMIT))
}

async fn completions(Json(request): Json<Value>) -> Response {
    let Some(messages) = request["messages"].as_array().filter(|messages| !messages.is_empty()) else {
        return (StatusCode::BAD_REQUEST, Json(json!({"error": {"message": "`messages` is missing"}}))).into_response();
    };
    if request["model"] == "broken" {
        return (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({"error": {"message": "broken"}}))).into_response();
    }
    think(messages).await;
    let message = answer(messages);
    let finish = if message["tool_calls"].is_array() { "tool_calls" } else { "stop" };
    let usage = json!({"prompt_tokens": messages.len(), "completion_tokens": 1, "total_tokens": messages.len() + 1});
    if request["stream"] == true {
        let usage = Some(&usage).filter(|_| request["stream_options"]["include_usage"] == true);
        let text = stream(&request["model"], &message, finish, usage);
        return ([(CONTENT_TYPE, "text/event-stream")], text).into_response();
    }
    let choice = json!({"index": 0, "message": message, "finish_reason": finish});
    Json(json!({"id": "echo", "object": "chat.completion", "model": request["model"], "choices": [choice], "usage": usage}))
        .into_response()
}

fn text(message: &Value) -> String {
    match message["content"].as_array() {
        Some(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n"),
        None => message["content"].as_str().unwrap_or("").to_owned(),
    }
}

/// Returns where what was asked begins: a runtime may add messages of its own to the user's.
fn begins(messages: &[Value]) -> usize {
    messages.iter().rposition(|message| message["role"] != "user").map_or(0, |at| at + 1)
}

/// Returns what was asked since the last answer.
fn asked(messages: &[Value]) -> String {
    messages[begins(messages)..].iter().map(text).collect::<Vec<_>>().join("\n")
}

/// Takes the time that a message asks for.
async fn think(messages: &[Value]) {
    let last = asked(messages);
    let seconds = last.split_once("think ").and_then(|(_, rest)| rest.split_whitespace().next()?.parse::<u64>().ok());
    if let Some(seconds) = seconds {
        tokio::time::sleep(std::time::Duration::from_secs(seconds.min(60))).await;
    }
}

/// Returns the tool that a message wants called, and with what: `call NAME {…}`.
fn called(text: &str) -> Option<(&str, Value)> {
    let (name, rest) = text.split_once("call ")?.1.split_once(' ')?;
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
    values.next()?.ok().filter(Value::is_object).map(|arguments| (name, arguments))
}

fn answer(messages: &[Value]) -> Value {
    if let Some(message) = messages[..begins(messages)].last().filter(|message| message["role"] == "tool") {
        return json!({"role": "assistant", "content": format!("The tool said: {}", text(message))});
    }
    let last = asked(messages);
    let call = |name: &str, arguments: Value| {
        let function = json!({"name": name, "arguments": arguments.to_string()});
        json!({"role": "assistant", "content": "", "tool_calls": [{"id": "call-1", "type": "function", "function": function}]})
    };
    let after = |words: &str| last.split_once(words).and_then(|(_, rest)| rest.split_whitespace().next());
    if let Some((name, arguments)) = called(&last) {
        return call(name, arguments);
    }
    if let Some(name) = after("use skill ") {
        return call("read_skill", json!({"name": name}));
    }
    if let Some(url) = after("fetch ") {
        return call("http", json!({"url": url}));
    }
    let system = messages.iter().find(|message| message["role"] == "system").map(text).unwrap_or_default();
    let name = system.lines().find_map(|line| line.strip_prefix("# ")).unwrap_or("nobody").to_owned();
    let turns = messages.chunk_by(|a, b| a["role"] == b["role"]).filter(|run| run[0]["role"] == "user").count();
    json!({"role": "assistant", "content": format!("I am {name}. Turn {turns}: {last}")})
}

/// The message in two halves, as providers stream it, and the usage where it is asked for.
fn stream(model: &Value, message: &Value, finish: &str, usage: Option<&Value>) -> String {
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
    for half in halves(message["content"].as_str().unwrap_or("")) {
        out.push_str(&event(json!({"content": half}), Value::Null));
    }
    out.push_str(&event(json!({}), json!(finish)));
    if let Some(usage) = usage {
        let last =
            json!({"id": "echo", "object": "chat.completion.chunk", "model": model, "choices": [], "usage": usage});
        out.push_str(&format!("data: {last}\n\n"));
    }
    out.push_str("data: [DONE]\n\n");
    out
}

fn halves(text: &str) -> [&str; 2] {
    let middle = (0..=text.len() / 2).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    [&text[..middle], &text[middle..]]
}

/// Answers an Anthropic message, and is as strict as the real API about what a client forgets first.
async fn messages(headers: HeaderMap, Json(request): Json<Value>) -> Response {
    let wrong = |status: StatusCode, kind: &str, text: &str| {
        let error = json!({"type": "error", "error": {"type": kind, "message": text}});
        (status, Json(error)).into_response()
    };
    let invalid = |text: &str| wrong(StatusCode::BAD_REQUEST, "invalid_request_error", text);
    if !headers.contains_key("anthropic-version") {
        return invalid("`anthropic-version` is missing");
    }
    if !request["max_tokens"].is_u64() {
        return invalid("`max_tokens` is missing");
    }
    let turns = request["messages"].as_array().map_or(&[][..], Vec::as_slice);
    if turns.first().is_none_or(|first| first["role"] != "user") {
        return invalid("the first message is not the user's");
    }
    if request["model"] == "broken" {
        return wrong(StatusCode::INTERNAL_SERVER_ERROR, "api_error", "broken");
    }
    if request["model"] == "overloaded" {
        let status = StatusCode::from_u16(529).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        return wrong(status, "overloaded_error", "overloaded");
    }
    let (reminders, turns) = said(turns);
    let system = [reminders, text(&json!({"content": request["system"]}))].join("\n");
    let mut asked = vec![json!({"role": "system", "content": system})];
    asked.extend(turns.iter().map(from_anthropic));
    think(&asked).await;
    let message = answer(&asked);
    let text = message["content"].as_str().unwrap_or("");
    let call = message["tool_calls"].get(0).map(|call| {
        let arguments = call["function"]["arguments"].as_str().unwrap_or("{}").to_owned();
        (json!({"type": "tool_use", "id": call["id"], "name": call["function"]["name"], "input": {}}), arguments)
    });
    let stop = if call.is_some() { "tool_use" } else { "end_turn" };
    let mut whole = json!({
        "id": "echo", "type": "message", "role": "assistant", "model": request["model"], "content": [],
        "stop_reason": stop, "stop_sequence": null, "usage": {"input_tokens": turns.len(), "output_tokens": 1},
    });
    if request["stream"] == true {
        return ([(CONTENT_TYPE, "text/event-stream")], anthropic_stream(whole, text, call)).into_response();
    }
    whole["content"] = match call {
        Some((mut block, arguments)) => {
            block["input"] = serde_json::from_str(&arguments).unwrap_or(Value::Null);
            json!([block])
        }
        None => json!([{"type": "text", "text": text}]),
    };
    Json(whole).into_response()
}

/// Returns what a client adds to a conversation of its own accord, and the conversation without that: messages of the system,
/// and blocks of the user's that say they are reminders of the system.
fn said(turns: &[Value]) -> (String, Vec<Value>) {
    let mut reminders = Vec::new();
    let mut rest = Vec::new();
    for turn in turns {
        if turn["role"] == "system" {
            reminders.push(text(turn));
            continue;
        }
        let mut turn = turn.clone();
        if let Some(blocks) = turn["content"].as_array_mut() {
            blocks.retain(|block| {
                let reminder = block["text"].as_str().filter(|text| text.starts_with("<system-reminder>"));
                reminders.extend(reminder.map(ToOwned::to_owned));
                reminder.is_none()
            });
        }
        rest.push(turn);
    }
    (reminders.join("\n"), rest)
}

/// A message as a chat completion has it: its text, or a tool's result.
fn from_anthropic(message: &Value) -> Value {
    let Some(blocks) = message["content"].as_array() else { return message.clone() };
    if let Some(result) = blocks.iter().find(|block| block["type"] == "tool_result") {
        return json!({"role": "tool", "content": result["content"]});
    }
    let text: Vec<&str> = blocks.iter().filter_map(|block| block["text"].as_str()).collect();
    json!({"role": message["role"], "content": text.join("\n")})
}

/// The message as the API streams it: with named events, a ping, and text and arguments in halves.
fn anthropic_stream(mut whole: Value, text: &str, call: Option<(Value, String)>) -> String {
    let stop = whole["stop_reason"].take();
    let mut events = vec![json!({"type": "message_start", "message": whole}), json!({"type": "ping"})];
    let (block, kind, key, content) = match &call {
        Some((block, arguments)) => (block.clone(), "input_json_delta", "partial_json", arguments.as_str()),
        None => (json!({"type": "text", "text": ""}), "text_delta", "text", text),
    };
    events.push(json!({"type": "content_block_start", "index": 0, "content_block": block}));
    for half in halves(content) {
        events.push(json!({"type": "content_block_delta", "index": 0, "delta": {"type": kind, key: half}}));
    }
    events.push(json!({"type": "content_block_stop", "index": 0}));
    events.push(json!({"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {"output_tokens": 1}}));
    events.push(json!({"type": "message_stop"}));
    let line = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or("message"));
    events.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_runtime_adds_after_the_message_of_the_user_is_of_the_same_turn() {
        let user = |text: &str| json!({"role": "user", "content": text});
        let spoken = [user("hello"), json!({"role": "assistant", "content": "I am nobody."})];
        let turn = [&spoken[..], &[user("call find {\"title\": \"x\"}"), user("nothing else runs")]].concat();
        assert_eq!(answer(&turn)["tool_calls"][0]["function"]["name"], "find");
        let told = [&turn[..], &[json!({"role": "tool", "content": "found"}), user("nothing else runs")]].concat();
        assert_eq!(answer(&told)["content"], "The tool said: found");
        let asked = [&spoken[..], &[user("who?"), user("nothing else runs")]].concat();
        assert_eq!(answer(&asked)["content"], "I am nobody. Turn 2: who?\nnothing else runs");
    }
}
