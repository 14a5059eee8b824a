//! Chat completions: one request to a model, JSON or a stream of events, and its answer.

use serde_json::{Value, json};

use crate::ReferenceError;
use crate::manifest::{Model, Settings};

/// Returns the assistant's message of the first model that answers, and that model's name; reasons of the others are kept.
pub(crate) async fn complete(
    models: &[Model],
    settings: &Settings,
    messages: &[Value],
    tools: &Value,
    client: &reqwest::Client,
) -> Result<(Value, String), ReferenceError> {
    let mut reasons = Vec::new();
    for model in models.iter().filter(|model| matches!(model.slot.as_str(), "primary" | "fallback")) {
        match one(model, settings, messages, tools, client).await {
            Ok(message) => return Ok((message, model.model.clone())),
            Err(why) => reasons.push(format!("{}: {why}", model.model)),
        }
    }
    Err(ReferenceError::Model(if reasons.is_empty() { "none is declared".to_owned() } else { reasons.join("; ") }))
}

async fn one(
    model: &Model,
    settings: &Settings,
    messages: &[Value],
    tools: &Value,
    client: &reqwest::Client,
) -> Result<Value, String> {
    if model.format != "openai" {
        return Err(format!("the wire format `{}` is not spoken yet", model.format));
    }
    let mut body = json!({"model": model.model, "messages": messages, "tools": tools, "stream": settings.stream});
    if let Some(temperature) = settings.temperature {
        body["temperature"] = json!(temperature);
    }
    let mut request = client.post(format!("{}/chat/completions", model.base_url)).json(&body);
    if let Some(path) = &model.key_file {
        // Read for every request, so that a key that was changed counts at once. Never part of a message.
        let key = std::fs::read_to_string(path).map_err(|error| format!("its key cannot be read: {}", error.kind()))?;
        request = request.bearer_auth(key.trim_end());
    }
    let response = request.send().await.map_err(|error| without_url(&error))?;
    let status = response.status();
    let text = response.text().await.map_err(|error| without_url(&error))?;
    if !status.is_success() {
        return Err(format!("answered {status}"));
    }
    if settings.stream { from_stream(&text) } else { from_json(&text) }
}

fn without_url(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "did not answer in time".to_owned();
    }
    if error.is_connect() { "cannot be reached".to_owned() } else { "broke off its answer".to_owned() }
}

fn from_json(text: &str) -> Result<Value, String> {
    let document: Value =
        serde_json::from_str(text).map_err(|_| "answered with something that is no JSON".to_owned())?;
    let message = document["choices"][0]["message"].clone();
    if message.is_object() { Ok(message) } else { Err("answered without a message".to_owned()) }
}

/// Returns the message that a stream of deltas adds up to.
fn from_stream(text: &str) -> Result<Value, String> {
    let mut content = String::new();
    let mut calls: Vec<Value> = Vec::new();
    let mut is_done = false;
    for data in text.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim) {
        if data == "[DONE]" {
            is_done = true;
            break;
        }
        let event: Value = serde_json::from_str(data).map_err(|_| "sent an event that is no JSON".to_owned())?;
        let delta = &event["choices"][0]["delta"];
        content.push_str(delta["content"].as_str().unwrap_or(""));
        for part in delta["tool_calls"].as_array().into_iter().flatten() {
            let index = part["index"].as_u64().and_then(|index| usize::try_from(index).ok()).unwrap_or(0).min(64);
            while calls.len() <= index {
                calls.push(json!({"type": "function", "id": "", "function": {"name": "", "arguments": ""}}));
            }
            let append = |target: &mut Value, more: &Value| {
                let joined = format!("{}{}", target.as_str().unwrap_or(""), more.as_str().unwrap_or(""));
                *target = Value::String(joined);
            };
            append(&mut calls[index]["id"], &part["id"]);
            append(&mut calls[index]["function"]["name"], &part["function"]["name"]);
            append(&mut calls[index]["function"]["arguments"], &part["function"]["arguments"]);
        }
    }
    if !is_done {
        return Err("broke off its stream".to_owned());
    }
    let mut message = json!({"role": "assistant", "content": content});
    if !calls.is_empty() {
        message["tool_calls"] = Value::Array(calls);
    }
    Ok(message)
}
