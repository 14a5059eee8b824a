//! Replies of messages.

use serde_json::{Value, json};

use super::super::Result;
use super::super::fields::Fields;
use super::super::neutral::{Call, Output, Reasoning, Reply, Seal, Stop, Usage};
use super::super::request::messages::write_call;
use super::{read_head, refuse_error};

/// Reads a reply.
pub(crate) fn read(body: Value) -> Result<Reply> {
    let mut fields = Fields::new(body, "")?;
    refuse_error(&mut fields)?;
    let head = read_head(&mut fields, "created")?;
    let stop = read_stop(&mut fields)?.unwrap_or(Stop::End);
    let mut usage = None;
    if let Some(counts) = fields.object("usage")? {
        let mut parts = UsageParts::default();
        parts.read(counts)?;
        usage = Some(parts.total());
    }
    let mut outputs = Vec::new();
    for block in fields.need_list("content")? {
        let mut block = Fields::new(block.value, block.at)?;
        outputs.push(match block.need_text("type")?.as_str() {
            "text" => Output::Text(block.need_text("text")?),
            "tool_use" => Output::Call(Call {
                id: block.need_text("id")?,
                name: block.need_text("name")?,
                arguments: block.need("input")?.to_string(),
            }),
            "thinking" => Output::Reasoning(Reasoning {
                text: block.need_text("thinking")?,
                seal: block.text("signature")?.filter(|signature| !signature.is_empty()).map(Seal::Signature),
            }),
            "redacted_thinking" => Output::Reasoning(Reasoning {
                text: String::new(),
                seal: Some(Seal::Redacted(block.need_text("data")?)),
            }),
            other => return Err(block.refuse("type", format!("`{other}` has no counterpart"))),
        });
    }
    Ok(Reply { head, outputs, stop, usage })
}

/// Takes the reason why a reply ended.
pub(in super::super) fn read_stop(fields: &mut Fields) -> Result<Option<Stop>> {
    let reason = fields.text("stop_reason")?;
    Ok(Some(match reason.as_deref() {
        None => return Ok(None),
        Some("end_turn" | "stop_sequence") => Stop::End,
        Some("max_tokens" | "model_context_window_exceeded") => Stop::Length,
        Some("tool_use") => Stop::Call,
        Some("refusal") => Stop::Filter,
        Some(other) => return Err(fields.refuse("stop_reason", format!("`{other}` has no counterpart"))),
    }))
}

/// Returns the word for why a reply ended.
pub(in super::super) fn write_stop(stop: Stop) -> &'static str {
    match stop {
        Stop::End => "end_turn",
        Stop::Length => "max_tokens",
        Stop::Call => "tool_use",
        Stop::Filter => "refusal",
    }
}

/// A usage as messages counts it: three disjoint kinds of input. A stream tells it twice, the second time some of it.
#[derive(Default)]
pub(in super::super) struct UsageParts {
    uncached: u64,
    cache_read: u64,
    cache_write: u64,
    output: u64,
}

impl UsageParts {
    /// Takes the counts that are there; they are totals so far.
    pub(in super::super) fn read(&mut self, mut fields: Fields) -> Result<()> {
        for (key, count) in [
            ("input_tokens", &mut self.uncached),
            ("cache_read_input_tokens", &mut self.cache_read),
            ("cache_creation_input_tokens", &mut self.cache_write),
            ("output_tokens", &mut self.output),
        ] {
            *count = fields.count(key)?.max(*count);
        }
        Ok(())
    }

    /// Returns the usage.
    pub(in super::super) fn total(&self) -> Usage {
        Usage {
            input: self.uncached.saturating_add(self.cache_read).saturating_add(self.cache_write),
            cache_read: self.cache_read,
            cache_write: self.cache_write,
            output: self.output,
            reasoning: 0,
        }
    }
}

/// Writes a usage, which messages must have.
pub(in super::super) fn write_usage(usage: Option<Usage>) -> Value {
    let usage = usage.unwrap_or_default();
    json!({
        "input_tokens": usage.input.saturating_sub(usage.cache_read).saturating_sub(usage.cache_write),
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cache_read,
        "output_tokens": usage.output,
    })
}

/// Writes a reply. Fails where the model wrote arguments that are not an object.
pub(crate) fn write(reply: Reply) -> Result<Value> {
    let mut content = Vec::new();
    let mut stop = reply.stop;
    for (index, output) in reply.outputs.into_iter().enumerate() {
        content.push(match output {
            Output::Text(text) => json!({"type": "text", "text": text}),
            Output::Refusal(text) => {
                stop = Stop::Filter;
                json!({"type": "text", "text": text})
            }
            Output::Call(call) => write_call(call, &format!("calls[{index}]"))?,
            Output::Reasoning(Reasoning { seal: Some(Seal::Redacted(data)), .. }) => {
                json!({"type": "redacted_thinking", "data": data})
            }
            Output::Reasoning(Reasoning { text, seal }) => {
                let signature = seal.map(Seal::into_content).unwrap_or_default();
                json!({"type": "thinking", "thinking": text, "signature": signature})
            }
        });
    }
    Ok(json!({
        "id": reply.head.id,
        "type": "message",
        "role": "assistant",
        "model": reply.head.model,
        "content": content,
        "stop_reason": write_stop(stop),
        "stop_sequence": null,
        "usage": write_usage(reply.usage),
    }))
}
