//! Replies of responses.

use serde_json::{Value, json};

use super::super::Result;
use super::super::fields::Fields;
use super::super::neutral::{Call, Head, Output, Reply, Stop, Usage};
use super::super::request::responses::{read_reasoning, write_reasoning};
use super::{read_head, refuse_error};

/// Reads a reply.
pub(crate) fn read(body: Value) -> Result<Reply> {
    let mut fields = Fields::new(body, "")?;
    refuse_error(&mut fields)?;
    let head = read_head(&mut fields, "created_at")?;
    let usage = fields.object("usage")?.map(read_usage).transpose()?;
    let stop = read_stop(&mut fields)?;
    let mut outputs = Vec::new();
    for item in fields.need_list("output")? {
        let mut item = Fields::new(item.value, item.at)?;
        match item.need_text("type")?.as_str() {
            "message" => {
                for part in item.list("content")? {
                    let mut part = Fields::new(part.value, part.at)?;
                    outputs.push(match part.need_text("type")?.as_str() {
                        "output_text" => Output::Text(part.need_text("text")?),
                        "refusal" => Output::Refusal(part.need_text("refusal")?),
                        other => return Err(part.refuse("type", format!("`{other}` has no counterpart"))),
                    });
                }
            }
            "function_call" => outputs.push(Output::Call(Call {
                id: item.need_text("call_id")?,
                name: item.need_text("name")?,
                arguments: item.need_text("arguments")?,
            })),
            "reasoning" => {
                let reasoning = read_reasoning(&mut item)?;
                if !reasoning.text.is_empty() || reasoning.seal.is_some() {
                    outputs.push(Output::Reasoning(reasoning));
                }
            }
            other => return Err(item.refuse("type", format!("`{other}` has no counterpart"))),
        }
    }
    let has_calls = outputs.iter().any(|output| matches!(output, Output::Call(_)));
    let stop = if has_calls && stop == Stop::End { Stop::Call } else { stop };
    Ok(Reply { head, outputs, stop, usage })
}

/// Takes the reason why a response ended.
pub(in super::super) fn read_stop(fields: &mut Fields) -> Result<Stop> {
    match fields.text("status")?.as_deref() {
        None | Some("completed") => Ok(Stop::End),
        Some("incomplete") => {
            let reason = fields.object("incomplete_details")?.map(|mut details| details.text("reason")).transpose()?;
            match reason.flatten().as_deref() {
                Some("content_filter") => Ok(Stop::Filter),
                None | Some(_) => Ok(Stop::Length),
            }
        }
        Some(other) => Err(fields.refuse("status", format!("`{other}` is not the end of an answer"))),
    }
}

/// Reads a usage.
pub(in super::super) fn read_usage(mut fields: Fields) -> Result<Usage> {
    let mut usage =
        Usage { input: fields.count("input_tokens")?, output: fields.count("output_tokens")?, ..Usage::default() };
    if let Some(mut details) = fields.object("input_tokens_details")? {
        usage.cache_read = details.count("cached_tokens")?;
        usage.cache_write = details.count("cache_write_tokens")?;
    }
    if let Some(mut details) = fields.object("output_tokens_details")? {
        usage.reasoning = details.count("reasoning_tokens")?;
    }
    Ok(usage)
}

fn write_usage(usage: Usage) -> Value {
    let mut details = json!({"cached_tokens": usage.cache_read});
    if usage.cache_write > 0 {
        details["cache_write_tokens"] = json!(usage.cache_write);
    }
    json!({
        "input_tokens": usage.input,
        "input_tokens_details": details,
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input.saturating_add(usage.output),
    })
}

/// Returns the id of an item, derived from that of its reply.
pub(in super::super) fn item_id(prefix: &str, reply: &str, index: usize) -> String {
    format!("{prefix}_{reply}_{index}")
}

/// Writes a message item with one part.
pub(in super::super) fn message_item(id: &str, part: Value) -> Value {
    json!({"type": "message", "id": id, "status": "completed", "role": "assistant", "content": [part]})
}

/// Writes a part of a message.
pub(in super::super) fn text_part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

/// Writes a call item.
pub(in super::super) fn call_item(id: &str, call: &Call, status: &str) -> Value {
    json!({
        "type": "function_call", "id": id, "status": status,
        "call_id": call.id, "name": call.name, "arguments": call.arguments,
    })
}

/// Writes the response object; `stop` is none while it goes on. Settings of the request are not known here: those that
/// clients demand have their defaults.
pub(in super::super) fn response(head: &Head, output: Vec<Value>, stop: Option<Stop>, usage: Option<Usage>) -> Value {
    let (status, reason) = match stop {
        None => ("in_progress", Value::Null),
        Some(Stop::End | Stop::Call) => ("completed", Value::Null),
        Some(Stop::Length) => ("incomplete", json!({"reason": "max_output_tokens"})),
        Some(Stop::Filter) => ("incomplete", json!({"reason": "content_filter"})),
    };
    json!({
        "id": head.id,
        "object": "response",
        "created_at": head.created,
        "status": status,
        "error": null,
        "incomplete_details": reason,
        "instructions": null,
        "metadata": {},
        "model": head.model,
        "output": output,
        "parallel_tool_calls": true,
        "previous_response_id": null,
        "store": false,
        "tool_choice": "auto",
        "tools": [],
        "usage": usage.map_or(Value::Null, write_usage),
    })
}

/// Writes a reply.
pub(crate) fn write(reply: Reply) -> Value {
    let mut items = Vec::new();
    for (index, output) in reply.outputs.into_iter().enumerate() {
        let id = |prefix| item_id(prefix, &reply.head.id, index);
        items.push(match output {
            Output::Text(text) => message_item(&id("msg"), text_part(&text)),
            Output::Refusal(text) => message_item(&id("msg"), json!({"type": "refusal", "refusal": text})),
            Output::Call(mut call) => {
                if call.arguments.is_empty() {
                    "{}".clone_into(&mut call.arguments);
                }
                call_item(&id("fc"), &call, "completed")
            }
            Output::Reasoning(reasoning) => {
                let mut item = write_reasoning(reasoning);
                item["id"] = json!(id("rs"));
                item
            }
        });
    }
    response(&reply.head, items, Some(reply.stop), reply.usage)
}
