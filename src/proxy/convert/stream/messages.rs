//! Streams of messages.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::fields::{Fields, object};
use super::super::neutral::{Delta, Head, Seal, Stop, Usage};
use super::super::reply::messages::{UsageParts, read_stop, write_stop, write_usage};
use super::super::reply::read_head;
use super::super::{Result, Unsupported};
use super::{emit, read_error};

/// Reads events.
#[derive(Default)]
pub(super) struct Reader {
    usage: UsageParts,
    /// The open calls by their index: what to say when they end without arguments.
    calls: BTreeMap<u64, Option<String>>,
}

impl Reader {
    pub(super) fn read(&mut self, name: &str, event: Value, deltas: &mut Vec<Delta>) -> Result<()> {
        let mut event = Fields::new(event, "")?;
        let kind = event.text("type")?.unwrap_or_else(|| name.to_owned());
        match kind.as_str() {
            "message_start" => {
                let mut message = event.need_object("message")?;
                deltas.push(Delta::Start(read_head(&mut message, "created")?));
                self.read_usage(&mut message, deltas)?;
            }
            "content_block_start" => self.read_block(&mut event, deltas)?,
            "content_block_delta" => self.read_delta(&mut event, deltas)?,
            "content_block_stop" => {
                let key = event.count("index")?;
                if let Some(Some(text)) = self.calls.remove(&key) {
                    deltas.push(Delta::Arguments { key, text });
                }
                deltas.push(Delta::Break);
            }
            "message_delta" => {
                if let Some(mut delta) = event.object("delta")? {
                    deltas.extend(read_stop(&mut delta)?.map(Delta::Stop));
                }
                self.read_usage(&mut event, deltas)?;
            }
            "message_stop" => deltas.push(Delta::Done),
            "ping" => deltas.push(Delta::Ping),
            "error" => deltas.push(read_error(&event.take("error").unwrap_or_default())),
            // The API announces that there will be others, to be passed over.
            _ => {}
        }
        Ok(())
    }

    fn read_usage(&mut self, fields: &mut Fields, deltas: &mut Vec<Delta>) -> Result<()> {
        if let Some(usage) = fields.object("usage")? {
            self.usage.read(usage)?;
            deltas.push(Delta::Usage(self.usage.total()));
        }
        Ok(())
    }

    fn read_block(&mut self, event: &mut Fields, deltas: &mut Vec<Delta>) -> Result<()> {
        let key = event.count("index")?;
        let mut block = event.need_object("content_block")?;
        match block.need_text("type")?.as_str() {
            "text" => deltas.extend(block.text("text")?.filter(|text| !text.is_empty()).map(Delta::Text)),
            "thinking" => {
                deltas.extend(block.text("thinking")?.filter(|text| !text.is_empty()).map(Delta::Reasoning));
                let signature = block.text("signature")?.filter(|text| !text.is_empty());
                deltas.extend(signature.map(|signature| Delta::Seal(Seal::Signature(signature))));
            }
            "redacted_thinking" => deltas.push(Delta::Seal(Seal::Redacted(block.need_text("data")?))),
            "tool_use" => {
                let input = block.take("input").unwrap_or_else(|| json!({}));
                self.calls.insert(key, Some(input.to_string()));
                deltas.push(Delta::Call { key, id: block.need_text("id")?, name: block.need_text("name")? });
            }
            other => return Err(block.refuse("type", format!("`{other}` has no counterpart"))),
        }
        Ok(())
    }

    fn read_delta(&mut self, event: &mut Fields, deltas: &mut Vec<Delta>) -> Result<()> {
        let key = event.count("index")?;
        let mut delta = event.need_object("delta")?;
        let kind = delta.need_text("type")?;
        let field = match kind.as_str() {
            "text_delta" => "text",
            "thinking_delta" => "thinking",
            "signature_delta" => "signature",
            "input_json_delta" => "partial_json",
            // Where a text comes from, which the other formats do not tell either.
            "citations_delta" => return Ok(()),
            other => return Err(delta.refuse("type", format!("`{other}` has no counterpart"))),
        };
        let text = delta.need_text(field)?;
        if text.is_empty() {
            return Ok(());
        }
        deltas.push(match field {
            "text" => Delta::Text(text),
            "thinking" => Delta::Reasoning(text),
            "signature" => Delta::Seal(Seal::Signature(text)),
            _ => {
                if let Some(rest) = self.calls.get_mut(&key) {
                    *rest = None;
                }
                Delta::Arguments { key, text }
            }
        });
        Ok(())
    }
}

fn text_delta(text: String) -> Value {
    object([("type", "text_delta".into()), ("text", text.into())])
}

/// A block that has begun.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    Text,
    Thinking,
    Call(u64),
}

/// Writes events.
#[derive(Default)]
pub(super) struct Writer {
    open: Option<Block>,
    /// Blocks begun so far; the open one is the last.
    count: u64,
    has_refused: bool,
}

impl Writer {
    pub(super) fn start(&mut self, head: &Head, usage: Option<Usage>, out: &mut Vec<u8>) {
        let message = json!({
            "id": head.id,
            "type": "message",
            "role": "assistant",
            "model": head.model,
            "content": [],
            "stop_reason": null,
            "stop_sequence": null,
            "usage": write_usage(usage),
        });
        emit("message_start", &json!({"type": "message_start", "message": message}), out);
    }

    pub(super) fn write(&mut self, delta: Delta, out: &mut Vec<u8>) -> Result<()> {
        let (block, delta) = match delta {
            Delta::Text(text) => (Block::Text, text_delta(text)),
            Delta::Refusal(text) => {
                self.has_refused = true;
                (Block::Text, text_delta(text))
            }
            Delta::Reasoning(text) => (Block::Thinking, json!({"type": "thinking_delta", "thinking": text})),
            Delta::Seal(Seal::Signature(signature)) => {
                (Block::Thinking, json!({"type": "signature_delta", "signature": signature}))
            }
            Delta::Seal(Seal::Redacted(data)) => {
                self.begin(Block::Thinking, &json!({"type": "redacted_thinking", "data": data}), out);
                self.close(out);
                return Ok(());
            }
            Delta::Call { key, id, name } => {
                let block = json!({"type": "tool_use", "id": id, "name": name, "input": {}});
                self.begin(Block::Call(key), &block, out);
                return Ok(());
            }
            Delta::Arguments { key, text } => {
                if self.open != Some(Block::Call(key)) {
                    return Err(Unsupported::new("arguments", "messages has one call after the other"));
                }
                let delta = object([("type", "input_json_delta".into()), ("partial_json", text.into())]);
                (Block::Call(key), delta)
            }
            Delta::Break => {
                self.close(out);
                return Ok(());
            }
            Delta::Ping => {
                emit("ping", &json!({"type": "ping"}), out);
                return Ok(());
            }
            Delta::Start(_) | Delta::Usage(_) | Delta::Stop(_) | Delta::Error { .. } | Delta::Done => return Ok(()),
        };
        if self.open != Some(block) {
            let empty = match block {
                Block::Thinking => json!({"type": "thinking", "thinking": "", "signature": ""}),
                Block::Text | Block::Call(_) => json!({"type": "text", "text": ""}),
            };
            self.begin(block, &empty, out);
        }
        let index = self.count - 1;
        let event = object([("type", "content_block_delta".into()), ("index", index.into()), ("delta", delta)]);
        emit("content_block_delta", &event, out);
        Ok(())
    }

    pub(super) fn end(&mut self, stop: Stop, usage: Option<Usage>, out: &mut Vec<u8>) {
        self.close(out);
        let stop = write_stop(if self.has_refused { Stop::Filter } else { stop });
        let delta = json!({"stop_reason": stop, "stop_sequence": null});
        let event = json!({"type": "message_delta", "delta": delta, "usage": write_usage(usage)});
        emit("message_delta", &event, out);
        emit("message_stop", &json!({"type": "message_stop"}), out);
    }

    fn begin(&mut self, block: Block, content: &Value, out: &mut Vec<u8>) {
        self.close(out);
        let event = json!({"type": "content_block_start", "index": self.count, "content_block": content});
        emit("content_block_start", &event, out);
        self.open = Some(block);
        self.count += 1;
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.open.take().is_some() {
            let event = json!({"type": "content_block_stop", "index": self.count - 1});
            emit("content_block_stop", &event, out);
        }
    }
}
