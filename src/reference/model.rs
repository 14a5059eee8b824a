//! Asking a model: the chain of fallbacks, one request in the model's wire format, and its answer, whole or as a stream.

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde_json::Value;

use crate::answer::{ANSWER_LIMIT, Answer};
use crate::manifest::{Model, Settings};
use crate::sse::Events;
use crate::{ReferenceError, anthropic, openai, read_body, without_url};

#[derive(Clone, Copy)]
enum Wire {
    OpenAi,
    Anthropic,
}

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
            Ok(answer) => return Ok((answer.into_message(), model.model.clone())),
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
) -> Result<Answer, String> {
    let wire = match model.format.as_str() {
        "openai" => Wire::OpenAi,
        "anthropic" => Wire::Anthropic,
        other => return Err(format!("the wire format `{other}` is not spoken")),
    };
    let (path, body) = match wire {
        Wire::OpenAi => ("chat/completions", openai::request(model, settings, messages, tools)),
        Wire::Anthropic => ("messages", anthropic::request(model, settings, messages, tools)),
    };
    let mut request = client.post(format!("{}/{path}", model.base_url)).json(&body);
    if let Some((name, value)) = key(model, wire)? {
        request = request.header(name, value);
    }
    if matches!(wire, Wire::Anthropic) {
        request = request.header("anthropic-version", anthropic::VERSION);
    }
    let response = request.send().await.map_err(|error| without_url(&error).to_owned())?;
    let status = response.status();
    if !status.is_success() {
        return Err(format!("answered {status}"));
    }
    // Some servers answer with a whole document although they were asked for a stream.
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
    if settings.stream && !kind.starts_with("application/json") {
        streamed(response, wire).await
    } else {
        whole(response, wire).await
    }
}

/// Returns the header with the model's key.
fn key(model: &Model, wire: Wire) -> Result<Option<(&'static str, HeaderValue)>, String> {
    let Some(path) = &model.key_file else { return Ok(None) };
    // Read for every request, so that a key that was changed counts at once. Never part of a message.
    let key = std::fs::read_to_string(path).map_err(|error| format!("its key cannot be read: {}", error.kind()))?;
    let (name, value) = match wire {
        Wire::OpenAi => ("authorization", format!("Bearer {}", key.trim_end())),
        Wire::Anthropic => ("x-api-key", key.trim_end().to_owned()),
    };
    let mut value = HeaderValue::try_from(value).map_err(|_| "its key does not fit into a header".to_owned())?;
    value.set_sensitive(true);
    Ok(Some((name, value)))
}

async fn whole(mut response: reqwest::Response, wire: Wire) -> Result<Answer, String> {
    let (body, is_all) =
        read_body(&mut response, ANSWER_LIMIT).await.map_err(|error| without_url(&error).to_owned())?;
    if !is_all {
        return Err("answered more than 4 MiB".to_owned());
    }
    let document = serde_json::from_slice(&body).map_err(|_| "answered with something that is no JSON".to_owned())?;
    match wire {
        Wire::OpenAi => openai::read(&document),
        Wire::Anthropic => anthropic::read(&document),
    }
}

/// Returns the answer that a stream of events adds up to. What comes after its end is not waited for.
async fn streamed(mut response: reqwest::Response, wire: Wire) -> Result<Answer, String> {
    let mut events = Events::new(ANSWER_LIMIT);
    let mut answer = Answer::default();
    while let Some(chunk) = response.chunk().await.map_err(|error| without_url(&error).to_owned())? {
        for data in events.push(&chunk)? {
            match wire {
                Wire::OpenAi => openai::read_event(&mut answer, &data)?,
                Wire::Anthropic => anthropic::read_event(&mut answer, &data)?,
            }
            if answer.is_done {
                return Ok(answer);
            }
        }
    }
    Err("broke off its stream".to_owned())
}
