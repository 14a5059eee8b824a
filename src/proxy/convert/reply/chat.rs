//! Replies of chat completions.

use serde_json::{Map, Value, json};

use super::super::details;
use super::super::fields::{Fields, put};
use super::super::neutral::{Call, Output, Reasoning, Reply, Stop, Usage};
use super::super::{Result, Unsupported};
use super::{read_head, refuse_error};

/// Reads a reply.
pub(crate) fn read(body: Value) -> Result<Reply> {
    let mut fields = Fields::new(body, "")?;
    refuse_error(&mut fields)?;
    let head = read_head(&mut fields, "created")?;
    let usage = fields.object("usage")?.map(read_usage).transpose()?;
    let mut choices = fields.need_list("choices")?;
    if let Some(second) = choices.get(1) {
        return Err(Unsupported::new(second.at.as_str(), "only chat has more than one answer"));
    }
    let Some(choice) = choices.pop() else { return Err(fields.refuse("choices", "is empty")) };
    let mut choice = Fields::new(choice.value, choice.at)?;
    let stop = read_stop(&mut choice)?.unwrap_or(Stop::End);
    let mut message = choice.need_object("message")?;
    let mut outputs = Vec::new();
    if let Some(text) = read_reasoning(&mut message)? {
        outputs.push(Output::Reasoning(Reasoning { text, seal: None }));
    }
    let texts = [message.text("content")?.map(Output::Text), message.text("refusal")?.map(Output::Refusal)];
    outputs.extend(texts.into_iter().flatten().filter(|output| match output {
        Output::Text(text) | Output::Refusal(text) => !text.is_empty(),
        Output::Call(_) | Output::Reasoning(_) => true,
    }));
    for call in message.list("tool_calls")? {
        let mut call = Fields::new(call.value, call.at)?;
        let id = call.need_text("id")?;
        let mut function = call.need_object("function")?;
        let (name, arguments) = (function.need_text("name")?, function.text("arguments")?.unwrap_or_default());
        outputs.push(Output::Call(Call { id, name, arguments }));
    }
    let has_calls = outputs.iter().any(|output| matches!(output, Output::Call(_)));
    // Some servers say `stop` after a call.
    let stop = if has_calls && stop == Stop::End { Stop::Call } else { stop };
    Ok(Reply { head, outputs, stop, usage })
}

/// Takes the reasoning of a message or a delta, in either of the two words servers have for it.
pub(in super::super) fn read_reasoning(message: &mut Fields) -> Result<Option<String>> {
    let text = match message.text("reasoning_content")? {
        None => message.text("reasoning")?,
        text => text,
    };
    Ok(text.filter(|text| !text.is_empty()))
}

/// Takes the reason why a choice ended.
pub(in super::super) fn read_stop(choice: &mut Fields) -> Result<Option<Stop>> {
    let reason = choice.text("finish_reason")?;
    Ok(Some(match reason.as_deref() {
        None => return Ok(None),
        Some("stop") => Stop::End,
        // `model_length` is Mistral's.
        Some("length" | "model_length") => Stop::Length,
        Some("tool_calls" | "function_call") => Stop::Call,
        Some("content_filter") => Stop::Filter,
        Some(other) => return Err(choice.refuse("finish_reason", format!("unknown reason `{other}`"))),
    }))
}

/// Returns the word for why a reply ended.
pub(in super::super) fn write_stop(stop: Stop) -> &'static str {
    match stop {
        Stop::End => "stop",
        Stop::Length => "length",
        Stop::Call => "tool_calls",
        Stop::Filter => "content_filter",
    }
}

/// Reads a usage.
pub(in super::super) fn read_usage(mut fields: Fields) -> Result<Usage> {
    let mut usage =
        Usage { input: fields.count("prompt_tokens")?, output: fields.count("completion_tokens")?, ..Usage::default() };
    if let Some(mut details) = fields.object("prompt_tokens_details")? {
        usage.cache_read = details.count("cached_tokens")?;
        // OpenRouter's.
        usage.cache_write = details.count("cache_write_tokens")?;
    }
    if let Some(mut details) = fields.object("completion_tokens_details")? {
        usage.reasoning = details.count("reasoning_tokens")?;
    }
    Ok(usage)
}

/// Writes a usage.
pub(in super::super) fn write_usage(usage: Usage) -> Value {
    let mut details = Map::new();
    put(&mut details, "cached_tokens", Some(usage.cache_read));
    put(&mut details, "cache_write_tokens", Some(usage.cache_write).filter(|count| *count > 0));
    json!({
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input.saturating_add(usage.output),
        "prompt_tokens_details": details,
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    })
}

/// Writes a reply. What has a place of its own in a message loses its place among the others.
pub(crate) fn write(reply: Reply) -> Value {
    let mut content: Option<String> = None;
    let mut refusal: Option<String> = None;
    let mut reasoning: Vec<String> = Vec::new();
    let mut details = Vec::new();
    let mut calls = Vec::new();
    for output in reply.outputs {
        match output {
            Output::Text(text) => content.get_or_insert_default().push_str(&text),
            Output::Refusal(text) => refusal.get_or_insert_default().push_str(&text),
            Output::Reasoning(each) => {
                details.extend(each.seal.map(|seal| details::write(&each.text, &seal, details.len())));
                reasoning.extend(Some(each.text).filter(|text| !text.is_empty()));
            }
            Output::Call(call) => calls.push(json!({
                "id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments},
            })),
        }
    }
    let mut message = Map::new();
    put(&mut message, "role", Some("assistant"));
    put(&mut message, "content", Some(content.map_or(Value::Null, Value::String)));
    put(&mut message, "refusal", Some(refusal.map_or(Value::Null, Value::String)));
    put(&mut message, "reasoning_content", Some(reasoning.join("\n\n")).filter(|text| !text.is_empty()));
    put(&mut message, "reasoning_details", Some(details).filter(|details| !details.is_empty()));
    put(&mut message, "tool_calls", Some(calls).filter(|calls| !calls.is_empty()));
    let mut body = Map::new();
    put(&mut body, "id", Some(reply.head.id));
    put(&mut body, "object", Some("chat.completion"));
    put(&mut body, "created", Some(reply.head.created));
    put(&mut body, "model", Some(reply.head.model));
    let stop = write_stop(reply.stop);
    let choice = json!({"index": 0, "message": message, "logprobs": null, "finish_reason": stop});
    put(&mut body, "choices", Some(json!([choice])));
    put(&mut body, "usage", reply.usage.map(write_usage));
    Value::Object(body)
}
