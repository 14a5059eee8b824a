//! Anthropic messages, translated from and to the form of chat completions that the agent's turns have inside.
//!
//! Source: <https://docs.anthropic.com/en/api/messages> and its page on streaming, version 2023-06-01.

use serde_json::{Map, Value, json};

use crate::answer::Answer;
use crate::manifest::{Model, Settings};

/// The value of the header `anthropic-version`.
pub(crate) const VERSION: &str = "2023-06-01";

/// The API wants a limit in every request; this one holds for all models.
const MAX_TOKENS: u32 = 4096;

/// Returns a request.
pub(crate) fn request(model: &Model, settings: &Settings, messages: &[Value], tools: &Value) -> Value {
    let tools: Vec<Value> = tools.as_array().into_iter().flatten().map(tool).collect();
    let mut body = json!({
        "model": model.model,
        "max_tokens": MAX_TOKENS,
        "messages": translated(messages),
        "tools": tools,
        "stream": settings.stream,
    });
    let system = messages.iter().filter(|message| message["role"] == "system");
    let system: Vec<&str> = system.filter_map(|message| message["content"].as_str()).collect();
    if !system.is_empty() {
        body["system"] = system.join("\n").into();
    }
    if let Some(temperature) = settings.temperature {
        body["temperature"] = json!(temperature);
    }
    body
}

fn tool(tool: &Value) -> Value {
    let function = &tool["function"];
    json!({"name": function["name"], "description": function["description"], "input_schema": function["parameters"]})
}

/// Returns the conversation in the API's own rules: it begins with the user, roles alternate, no text is empty, and all
/// results of one answer's tools are in the one message after it.
fn translated(messages: &[Value]) -> Vec<Value> {
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in messages {
        let (role, blocks) = match message["role"].as_str() {
            Some("user") => ("user", text_block(message)),
            Some("assistant") => ("assistant", assistant_blocks(message)),
            Some("tool") => ("user", vec![result_block(message)]),
            _ => continue,
        };
        match turns.last_mut() {
            _ if blocks.is_empty() => {}
            // The messages sent along are cut at a number, which may leave an answer without its question.
            None if role == "assistant" => {}
            Some((last, earlier)) if *last == role => earlier.extend(blocks),
            _ => turns.push((role, blocks)),
        }
    }
    turns.into_iter().map(|(role, content)| json!({"role": role, "content": content})).collect()
}

fn text_block(message: &Value) -> Vec<Value> {
    let text = message["content"].as_str().filter(|text| !text.trim().is_empty());
    text.map(|text| json!({"type": "text", "text": text})).into_iter().collect()
}

fn assistant_blocks(message: &Value) -> Vec<Value> {
    let mut blocks = text_block(message);
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        let function = &call["function"];
        let arguments = function["arguments"].as_str().and_then(|text| serde_json::from_str(text).ok());
        // Arguments that are no object were told to the model as the tool's error; the API takes objects only.
        let input: Map<String, Value> = arguments.unwrap_or_default();
        blocks.push(json!({"type": "tool_use", "id": call["id"], "name": function["name"], "input": input}));
    }
    blocks
}

fn result_block(message: &Value) -> Value {
    json!({"type": "tool_result", "tool_use_id": message["tool_call_id"], "content": message["content"]})
}

/// Returns the answer in a message.
pub(crate) fn read(document: &Value) -> Result<Answer, String> {
    let Some(blocks) = document["content"].as_array() else {
        return Err("answered without a message".to_owned());
    };
    let mut answer = Answer::default();
    for block in blocks {
        if begin(&mut answer, block)? && block["input"].is_object() {
            answer.add_to_call(answer.calls() - 1, "", "", &block["input"].to_string())?;
        }
    }
    Ok(answer)
}

/// Adds an event of a stream to the answer.
pub(crate) fn read_event(answer: &mut Answer, data: &str) -> Result<(), String> {
    let event: Value = serde_json::from_str(data).map_err(|_| "sent an event that is no JSON".to_owned())?;
    match event["type"].as_str().unwrap_or("") {
        "content_block_start" => begin(answer, &event["content_block"]).map(|_| ()),
        "content_block_delta" => {
            let delta = &event["delta"];
            answer.add_text(delta["text"].as_str().unwrap_or(""))?;
            match (delta["partial_json"].as_str(), answer.calls().checked_sub(1)) {
                // Blocks come one after the other, so that a part belongs to the last call.
                (Some(part), Some(last)) => answer.add_to_call(last, "", "", part),
                (Some(_), None) => Err("went on with a tool call that it had not begun".to_owned()),
                (None, _) => Ok(()),
            }
        }
        "message_stop" => {
            answer.is_done = true;
            Ok(())
        }
        // Its text is left out: providers quote what they were sent, keys among it.
        "error" => Err("broke off its stream with an error".to_owned()),
        // `ping`, `message_start`, `message_delta`, `content_block_stop`, and, says the API, whatever may be added.
        _ => Ok(()),
    }
}

/// Begins a block and returns whether it is a tool call. Blocks of other kinds, such as thinking, are passed over.
fn begin(answer: &mut Answer, block: &Value) -> Result<bool, String> {
    let text = |key: &str| block[key].as_str().unwrap_or("");
    match text("type") {
        "text" => answer.add_text(text("text")).map(|()| false),
        "tool_use" => {
            let call = answer.begin_call()?;
            answer.add_to_call(call, text("id"), text("name"), "").map(|()| true)
        }
        _ => Ok(false),
    }
}
