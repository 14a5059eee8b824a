//! Streams of chat completions.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::details;
use super::super::fields::{Fields, object};
use super::super::neutral::{Delta, Head, Seal, Stop, Usage};
use super::super::reply::chat::{read_reasoning, read_stop, read_usage, write_stop, write_usage};
use super::super::reply::read_head;
use super::super::{Result, Unsupported};
use super::{emit, emit_comment, read_error};

/// Reads chunks.
#[derive(Default)]
pub(super) struct Reader {
    has_started: bool,
    /// The calls by the upstream's index: their key and id.
    calls: BTreeMap<u64, (u64, String)>,
    /// Keys given so far.
    count: u64,
    /// The index of the last call, for servers that do not repeat it.
    last: u64,
}

impl Reader {
    pub(super) fn read(&mut self, event: Value, deltas: &mut Vec<Delta>) -> Result<()> {
        // Older vLLM tells errors so.
        if event["object"] == "error" {
            deltas.push(read_error(&event));
            return Ok(());
        }
        let mut chunk = Fields::new(event, "")?;
        if let Some(error) = chunk.take("error") {
            deltas.push(read_error(&error));
            return Ok(());
        }
        let mut head = Some(read_head(&mut chunk, "created")?);
        let usage = chunk.object("usage")?.map(read_usage).transpose()?;
        for (position, choice) in chunk.list("choices")?.into_iter().enumerate() {
            let mut choice = Fields::new(choice.value, choice.at)?;
            if choice.count("index")? != 0 || position != 0 {
                return Err(Unsupported::new(choice.at(), "only chat has more than one answer"));
            }
            // Azure sends a chunk without id and choices first.
            if !std::mem::replace(&mut self.has_started, true) {
                deltas.extend(head.take().map(Delta::Start));
            }
            if let Some(delta) = choice.object("delta")? {
                self.read_delta(delta, deltas)?;
            }
            deltas.extend(read_stop(&mut choice)?.map(|stop| match stop {
                Stop::End if self.count > 0 => Delta::Stop(Stop::Call),
                stop => Delta::Stop(stop),
            }));
        }
        deltas.extend(usage.map(Delta::Usage));
        Ok(())
    }

    fn read_delta(&mut self, mut delta: Fields, deltas: &mut Vec<Delta>) -> Result<()> {
        deltas.extend(read_reasoning(&mut delta)?.map(Delta::Reasoning));
        deltas.extend(delta.text("content")?.filter(|text| !text.is_empty()).map(Delta::Text));
        deltas.extend(delta.text("refusal")?.filter(|text| !text.is_empty()).map(Delta::Refusal));
        for call in delta.list("tool_calls")? {
            let mut call = Fields::new(call.value, call.at)?;
            let id = call.text("id")?.filter(|id| !id.is_empty());
            let index = call
                .number("index")?
                .map(|index| index.as_u64().ok_or_else(|| call.refuse("index", "expected a whole number, 0 or more")));
            let (name, arguments) = match call.object("function")? {
                Some(mut function) => (function.text("name")?, function.text("arguments")?),
                None => (None, None),
            };
            let index = match (index.transpose()?, &id) {
                (Some(index), _) => index,
                (None, Some(_)) => self.calls.keys().next_back().map_or(0, |last| last.saturating_add(1)),
                (None, None) => self.last,
            };
            self.last = index;
            let key = match (self.calls.get(&index), id) {
                // Some servers repeat the id; Gemini's gives all calls the index 0.
                (Some((key, known)), id) if id.as_ref().is_none_or(|id| id == known) => *key,
                (_, Some(id)) => {
                    let key = self.count;
                    self.count += 1;
                    self.calls.insert(index, (key, id.clone()));
                    let Some(name) = name else { return Err(call.refuse("function.name", "is missing")) };
                    deltas.push(Delta::Call { key, id, name });
                    key
                }
                (_, None) => return Err(call.refuse("id", "is missing")),
            };
            let arguments = arguments.filter(|text| !text.is_empty());
            deltas.extend(arguments.map(|text| Delta::Arguments { key, text }));
        }
        Ok(())
    }
}

/// Writes chunks.
#[derive(Default)]
pub(super) struct Writer {
    head: Head,
    /// The keys of the calls, in the order of their index.
    calls: Vec<u64>,
    /// Reasoning whose seal has not come.
    reasoning: String,
    /// Seals told so far.
    seals: usize,
}

impl Writer {
    pub(super) fn start(&mut self, head: Head, out: &mut Vec<u8>) {
        self.head = head;
        self.choice(json!({"role": "assistant", "content": ""}), None, out);
    }

    pub(super) fn write(&mut self, delta: Delta, out: &mut Vec<u8>) -> Result<()> {
        let delta = match delta {
            Delta::Text(text) => object([("content", text.into())]),
            Delta::Refusal(text) => object([("refusal", text.into())]),
            Delta::Reasoning(text) => {
                self.reasoning.push_str(&text);
                object([("reasoning_content", text.into())])
            }
            Delta::Seal(seal) => {
                let text = match &seal {
                    Seal::Signature(_) => std::mem::take(&mut self.reasoning),
                    Seal::Redacted(_) => String::new(),
                };
                let detail = details::write(&text, &seal, self.seals);
                self.seals += 1;
                object([("reasoning_details", vec![detail].into())])
            }
            Delta::Break => {
                self.reasoning.clear();
                return Ok(());
            }
            Delta::Call { key, id, name } => {
                let index = self.calls.len();
                self.calls.push(key);
                let function = json!({"name": name, "arguments": ""});
                json!({"tool_calls": [{"index": index, "id": id, "type": "function", "function": function}]})
            }
            Delta::Arguments { key, text } => {
                let index = self.calls.iter().rposition(|each| *each == key);
                let index = index.ok_or_else(|| Unsupported::new("arguments", "belong to no call"))?;
                let function = object([("arguments", text.into())]);
                let call = object([("index", index.into()), ("function", function)]);
                object([("tool_calls", vec![call].into())])
            }
            Delta::Ping => {
                emit_comment(out);
                return Ok(());
            }
            Delta::Start(_) | Delta::Usage(_) | Delta::Stop(_) | Delta::Error { .. } | Delta::Done => return Ok(()),
        };
        self.choice(delta, None, out);
        Ok(())
    }

    pub(super) fn end(&mut self, stop: Stop, usage: Option<Usage>, out: &mut Vec<u8>) {
        self.choice(json!({}), Some(write_stop(stop)), out);
        if let Some(usage) = usage {
            self.chunk(Vec::new(), Some(usage), out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn choice(&self, delta: Value, stop: Option<&str>, out: &mut Vec<u8>) {
        let choice = object([
            ("index", 0.into()),
            ("delta", delta),
            ("logprobs", Value::Null),
            ("finish_reason", stop.map_or(Value::Null, Value::from)),
        ]);
        self.chunk(vec![choice], None, out);
    }

    fn chunk(&self, choices: Vec<Value>, usage: Option<Usage>, out: &mut Vec<u8>) {
        let mut chunk = object([
            ("id", self.head.id.as_str().into()),
            ("object", "chat.completion.chunk".into()),
            ("created", self.head.created.into()),
            ("model", self.head.model.as_str().into()),
            ("choices", choices.into()),
        ]);
        if let Some(usage) = usage {
            chunk["usage"] = write_usage(usage);
        }
        emit("", &chunk, out);
    }
}
