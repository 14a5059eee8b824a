//! Streams of responses.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::fields::{Fields, object, put};
use super::super::neutral::{Call, Delta, Head, Reasoning, Seal, Stop, Usage};
use super::super::reply::read_head;
use super::super::reply::responses::{call_item, item_id, message_item, read_stop, read_usage, response, text_part};
use super::super::request::responses::write_reasoning;
use super::super::{Result, Unsupported};
use super::{emit, emit_comment, read_error};

/// Reads events.
#[derive(Default)]
pub(super) struct Reader {
    /// The calls by their output index: whether arguments came.
    calls: BTreeMap<u64, bool>,
    /// The text part of which the last delta came: its output and content index.
    text: Option<(u64, u64)>,
}

impl Reader {
    pub(super) fn read(&mut self, name: &str, event: Value, deltas: &mut Vec<Delta>) -> Result<()> {
        let mut event = Fields::new(event, "")?;
        let kind = event.text("type")?.unwrap_or_else(|| name.to_owned());
        match kind.as_str() {
            "response.created" | "response.in_progress" | "response.queued" => {
                let mut response = event.need_object("response")?;
                deltas.push(Delta::Start(read_head(&mut response, "created_at")?));
            }
            "response.output_item.added" => self.read_item(&mut event, deltas)?,
            "response.content_part.added" => deltas.push(Delta::Break),
            "response.output_text.delta" => {
                self.text = Some((event.count("output_index")?, event.count("content_index")?));
                deltas.extend(delta(&mut event)?.map(Delta::Text));
            }
            "response.output_text.done" => {
                let part = Some((event.count("output_index")?, event.count("content_index")?));
                let text = event.text("text")?.filter(|text| !text.is_empty() && self.text != part);
                deltas.extend(text.map(Delta::Text));
            }
            "response.refusal.delta" => deltas.extend(delta(&mut event)?.map(Delta::Refusal)),
            "response.reasoning_summary_part.added" => {
                let is_later = event.count("summary_index")? > 0;
                deltas.extend(is_later.then(|| Delta::Reasoning("\n\n".to_owned())));
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                deltas.extend(delta(&mut event)?.map(Delta::Reasoning));
            }
            "response.function_call_arguments.delta" => {
                let text = delta(&mut event)?;
                self.arguments(&mut event, text, deltas)?;
            }
            "response.function_call_arguments.done" => self.rest(&mut event, "arguments", deltas)?,
            "response.output_item.done" => self.finish_item(&mut event, deltas)?,
            "response.completed" | "response.incomplete" => {
                let mut response = event.need_object("response")?;
                deltas.extend(response.object("usage")?.map(read_usage).transpose()?.map(Delta::Usage));
                deltas.push(Delta::Stop(match read_stop(&mut response)? {
                    Stop::End if !self.calls.is_empty() => Stop::Call,
                    stop => stop,
                }));
                deltas.push(Delta::Done);
            }
            "response.failed" => {
                let mut response = event.need_object("response")?;
                deltas.push(read_error(&response.take("error").unwrap_or_default()));
            }
            "error" => {
                // Some servers nest it as in a body.
                let error = match event.take("error") {
                    Some(error) => error,
                    None => json!({"code": event.text("code")?, "message": event.text("message")?}),
                };
                deltas.push(read_error(&error));
            }
            // Ends of what came in deltas, and events there may be more of.
            _ => {}
        }
        Ok(())
    }

    fn read_item(&mut self, event: &mut Fields, deltas: &mut Vec<Delta>) -> Result<()> {
        let key = event.count("output_index")?;
        let mut item = event.need_object("item")?;
        match item.need_text("type")?.as_str() {
            "message" | "reasoning" => deltas.push(Delta::Break),
            "function_call" => {
                self.calls.insert(key, false);
                deltas.push(Delta::Call { key, id: item.need_text("call_id")?, name: item.need_text("name")? });
            }
            other => return Err(item.refuse("type", format!("`{other}` has no counterpart"))),
        }
        Ok(())
    }

    fn finish_item(&mut self, event: &mut Fields, deltas: &mut Vec<Delta>) -> Result<()> {
        let mut item = event.need_object("item")?;
        match item.need_text("type")?.as_str() {
            "function_call" => {
                let arguments = item.take("arguments");
                let text = arguments.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
                let key = event.count("output_index")?;
                if self.calls.get(&key) == Some(&false) {
                    self.calls.insert(key, true);
                    let text = if text.is_empty() { "{}".to_owned() } else { text };
                    deltas.push(Delta::Arguments { key, text });
                }
            }
            "reasoning" => {
                let seal = item.text("encrypted_content")?.filter(|content| !content.is_empty());
                deltas.extend(seal.map(|content| Delta::Seal(Seal::parse(content))));
            }
            _ => {}
        }
        deltas.push(Delta::Break);
        Ok(())
    }

    fn arguments(&mut self, event: &mut Fields, text: Option<String>, deltas: &mut Vec<Delta>) -> Result<()> {
        let key = event.count("output_index")?;
        if let Some(text) = text {
            self.calls.insert(key, true);
            deltas.push(Delta::Arguments { key, text });
        }
        Ok(())
    }

    /// Some servers send a field whole and no deltas of it.
    fn rest(&mut self, event: &mut Fields, field: &str, deltas: &mut Vec<Delta>) -> Result<()> {
        let text = event.text(field)?.filter(|text| !text.is_empty());
        let key = event.count("output_index")?;
        if self.calls.get(&key) == Some(&false) {
            self.calls.insert(key, text.is_some());
            deltas.extend(text.map(|text| Delta::Arguments { key, text }));
        }
        Ok(())
    }
}

fn delta(event: &mut Fields) -> Result<Option<String>> {
    Ok(Some(event.need_text("delta")?).filter(|text| !text.is_empty()))
}

/// An item that has begun.
enum Open {
    Text(String),
    Refusal(String),
    Reasoning(Reasoning),
    Call { key: u64, call: Call },
}

/// Writes events.
#[derive(Default)]
pub(super) struct Writer {
    head: Head,
    sequence: u64,
    open: Option<Open>,
    /// Items that ended.
    output: Vec<Value>,
}

impl Writer {
    /// Returns the number of the next event.
    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }

    pub(super) fn start(&mut self, head: Head, out: &mut Vec<u8>) {
        self.head = head;
        let response = response(&self.head, Vec::new(), None, None);
        self.emit("response.created", json!({"response": response.clone()}), out);
        self.emit("response.in_progress", json!({"response": response}), out);
    }

    pub(super) fn write(&mut self, delta: Delta, out: &mut Vec<u8>) -> Result<()> {
        match delta {
            Delta::Text(text) => self.text(text, out),
            Delta::Refusal(text) => self.refusal(&text, out),
            Delta::Reasoning(text) => self.reasoning(&text, out),
            Delta::Seal(seal) => {
                if !matches!(&self.open, Some(Open::Reasoning(reasoning)) if reasoning.seal.is_none()) {
                    self.begin(Open::Reasoning(Reasoning { text: String::new(), seal: None }), out);
                }
                if let Some(Open::Reasoning(reasoning)) = &mut self.open {
                    reasoning.seal = Some(seal);
                }
            }
            Delta::Call { key, id, name } => {
                self.begin(Open::Call { key, call: Call { id, name, arguments: String::new() } }, out);
            }
            Delta::Arguments { key, text } => match &mut self.open {
                Some(Open::Call { key: open, call }) if *open == key => {
                    call.arguments.push_str(&text);
                    let event = object([("delta", text.into())]);
                    self.item_event("response.function_call_arguments.delta", event, out);
                }
                _ => return Err(Unsupported::new("arguments", "responses has one call after the other")),
            },
            Delta::Break => self.close(out),
            Delta::Ping => emit_comment(out),
            Delta::Start(_) | Delta::Usage(_) | Delta::Stop(_) | Delta::Error { .. } | Delta::Done => {}
        }
        Ok(())
    }

    pub(super) fn end(&mut self, stop: Stop, usage: Option<Usage>, out: &mut Vec<u8>) {
        self.close(out);
        let name = match stop {
            Stop::End | Stop::Call => "response.completed",
            Stop::Length | Stop::Filter => "response.incomplete",
        };
        let response = response(&self.head, std::mem::take(&mut self.output), Some(stop), usage);
        self.emit(name, json!({"response": response}), out);
    }

    fn text(&mut self, text: String, out: &mut Vec<u8>) {
        if !matches!(self.open, Some(Open::Text(_))) {
            self.begin(Open::Text(String::new()), out);
            self.item_event("response.content_part.added", json!({"content_index": 0, "part": text_part("")}), out);
        }
        if let Some(Open::Text(whole)) = &mut self.open {
            whole.push_str(&text);
        }
        let event =
            object([("content_index", 0.into()), ("delta", text.into()), ("logprobs", Value::Array(Vec::new()))]);
        self.item_event("response.output_text.delta", event, out);
    }

    fn refusal(&mut self, text: &str, out: &mut Vec<u8>) {
        if !matches!(self.open, Some(Open::Refusal(_))) {
            self.begin(Open::Refusal(String::new()), out);
            let part = json!({"type": "refusal", "refusal": ""});
            self.item_event("response.content_part.added", json!({"content_index": 0, "part": part}), out);
        }
        if let Some(Open::Refusal(whole)) = &mut self.open {
            whole.push_str(text);
        }
        self.item_event("response.refusal.delta", json!({"content_index": 0, "delta": text}), out);
    }

    fn reasoning(&mut self, text: &str, out: &mut Vec<u8>) {
        if !matches!(&self.open, Some(Open::Reasoning(reasoning)) if reasoning.seal.is_none()) {
            self.begin(Open::Reasoning(Reasoning { text: String::new(), seal: None }), out);
        }
        let mut is_first = false;
        if let Some(Open::Reasoning(reasoning)) = &mut self.open {
            is_first = reasoning.text.is_empty();
            reasoning.text.push_str(text);
        }
        if is_first {
            let part = json!({"type": "summary_text", "text": ""});
            let event = json!({"summary_index": 0, "part": part});
            self.item_event("response.reasoning_summary_part.added", event, out);
        }
        let event = json!({"summary_index": 0, "delta": text});
        self.item_event("response.reasoning_summary_text.delta", event, out);
    }

    fn begin(&mut self, open: Open, out: &mut Vec<u8>) {
        self.close(out);
        let id = self.id(&open);
        let item = match &open {
            Open::Text(_) | Open::Refusal(_) => {
                json!({"type": "message", "id": id, "status": "in_progress", "role": "assistant", "content": []})
            }
            Open::Reasoning(_) => json!({"type": "reasoning", "id": id, "summary": []}),
            Open::Call { call, .. } => call_item(&id, call, "in_progress"),
        };
        let event = json!({"output_index": self.output.len(), "item": item});
        self.emit("response.output_item.added", event, out);
        self.open = Some(open);
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        let Some(mut open) = self.open.take() else { return };
        let id = self.id(&open);
        if let Open::Call { call, .. } = &mut open
            && call.arguments.is_empty()
        {
            "{}".clone_into(&mut call.arguments);
        }
        let item = match open {
            Open::Text(text) => {
                let part = text_part(&text);
                let event = json!({"content_index": 0, "text": text, "logprobs": []});
                self.close_event("response.output_text.done", &id, event, out);
                let event = json!({"content_index": 0, "part": part.clone()});
                self.close_event("response.content_part.done", &id, event, out);
                message_item(&id, part)
            }
            Open::Refusal(text) => {
                let part = json!({"type": "refusal", "refusal": text});
                let event = json!({"content_index": 0, "refusal": text});
                self.close_event("response.refusal.done", &id, event, out);
                let event = json!({"content_index": 0, "part": part.clone()});
                self.close_event("response.content_part.done", &id, event, out);
                message_item(&id, part)
            }
            Open::Reasoning(reasoning) => {
                if !reasoning.text.is_empty() {
                    let event = json!({"summary_index": 0, "text": reasoning.text});
                    self.close_event("response.reasoning_summary_text.done", &id, event, out);
                    let part = json!({"type": "summary_text", "text": reasoning.text});
                    let event = json!({"summary_index": 0, "part": part});
                    self.close_event("response.reasoning_summary_part.done", &id, event, out);
                }
                let mut item = write_reasoning(reasoning);
                item["id"] = json!(id);
                item
            }
            Open::Call { call, .. } => {
                let event = json!({"name": call.name, "arguments": call.arguments});
                self.close_event("response.function_call_arguments.done", &id, event, out);
                call_item(&id, &call, "completed")
            }
        };
        let event = json!({"output_index": self.output.len(), "item": item.clone()});
        self.emit("response.output_item.done", event, out);
        self.output.push(item);
    }

    fn id(&self, open: &Open) -> String {
        let prefix = match open {
            Open::Text(_) | Open::Refusal(_) => "msg",
            Open::Reasoning(_) => "rs",
            Open::Call { .. } => "fc",
        };
        item_id(prefix, &self.head.id, self.output.len())
    }

    /// Emits an event about the open item.
    fn item_event(&mut self, name: &str, event: Value, out: &mut Vec<u8>) {
        if let Some(open) = &self.open {
            let id = self.id(open);
            self.close_event(name, &id, event, out);
        }
    }

    /// Emits an event about the item of an id, which is the next of the output.
    fn close_event(&mut self, name: &str, id: &str, mut event: Value, out: &mut Vec<u8>) {
        event["item_id"] = id.into();
        event["output_index"] = self.output.len().into();
        self.emit(name, event, out);
    }

    fn emit(&mut self, name: &str, event: Value, out: &mut Vec<u8>) {
        let mut fields = match event {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        put(&mut fields, "type", Some(name));
        put(&mut fields, "sequence_number", Some(self.sequence));
        self.sequence += 1;
        emit(name, &Value::Object(fields), out);
    }
}
