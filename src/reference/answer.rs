//! A model's answer as it is put together, whichever wire format it comes in.

use serde_json::{Value, json};

/// The most bytes of an answer: text, tool calls, and an answer's body where it is no stream.
pub(crate) const ANSWER_LIMIT: usize = 4 << 20;

/// The most tool calls in one answer.
const CALL_LIMIT: usize = 64;

/// Text and tool calls so far.
#[derive(Default)]
pub(crate) struct Answer {
    content: String,
    calls: Vec<Call>,
    size: usize,
    /// The stream said that this is all.
    pub(crate) is_done: bool,
}

#[derive(Default)]
struct Call {
    id: String,
    name: String,
    arguments: String,
}

impl Answer {
    pub(crate) fn add_text(&mut self, text: &str) -> Result<(), String> {
        self.grow(text.len())?;
        self.content.push_str(text);
        Ok(())
    }

    /// Begins a tool call after the others and returns its number.
    pub(crate) fn begin_call(&mut self) -> Result<usize, String> {
        if self.calls.len() == CALL_LIMIT {
            return Err(format!("asked for more than {CALL_LIMIT} tools at once"));
        }
        self.calls.push(Call::default());
        Ok(self.calls.len() - 1)
    }

    /// Adds to a tool call that was begun: streams bring its parts in pieces.
    pub(crate) fn add_to_call(&mut self, call: usize, id: &str, name: &str, arguments: &str) -> Result<(), String> {
        self.grow(id.len() + name.len() + arguments.len())?;
        let call =
            self.calls.get_mut(call).ok_or_else(|| "went on with a tool call that it had not begun".to_owned())?;
        call.id.push_str(id);
        call.name.push_str(name);
        call.arguments.push_str(arguments);
        Ok(())
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.len()
    }

    fn grow(&mut self, by: usize) -> Result<(), String> {
        self.size += by;
        if self.size > ANSWER_LIMIT { Err("answered more than 4 MiB".to_owned()) } else { Ok(()) }
    }

    /// Returns it as a message of a chat completion, the form the agent's turns have inside.
    pub(crate) fn into_message(self) -> Value {
        let mut message = json!({"role": "assistant", "content": self.content});
        let calls = self.calls.into_iter().map(|call| {
            let arguments = if call.arguments.is_empty() { "{}".to_owned() } else { call.arguments };
            let function = json!({"name": call.name, "arguments": arguments});
            json!({"id": call.id, "type": "function", "function": function})
        });
        let calls: Vec<Value> = calls.collect();
        if !calls.is_empty() {
            message["tool_calls"] = Value::Array(calls);
        }
        message
    }
}
