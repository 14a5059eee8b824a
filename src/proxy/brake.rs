//! Brakes: an agent that asks the same again and again, or burns tokens on a heartbeat, is told so before it costs more.
//! Pure: it sees requests and answers, and says when enough is enough.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hasher};

use serde_json::Value;

use crate::manifest::Brakes;

/// How many requests are looked back at: two that take turns are a circle too.
const WINDOW: usize = 32;

/// What an agent did last.
#[derive(Clone, Debug, Default)]
pub struct Trail {
    /// The last requests.
    requests: VecDeque<u64>,
    message: u64,
    /// Turns on the last message that called no tool.
    idle: u32,
}

/// What a request is about: what brakes compare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    request: u64,
    message: u64,
    /// How often the same call of a tool stands at the end of the conversation.
    calls: u32,
    /// The last message is a tool's answer: the agent is at work.
    is_at_work: bool,
}

/// Why a call is braked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Braked {
    /// The same request this often.
    Request(u32),
    /// The same call of a tool this often.
    Tool(u32),
    /// This many turns on the same message without a call of a tool.
    Idle(u32),
}

impl Braked {
    /// Returns what an agent is told.
    pub fn message(self) -> String {
        match self {
            Braked::Request(count) => format!(
                "stopped: this request came {count} times lately, unchanged. Asking again will not help: do something else, or report that you are stuck"
            ),
            Braked::Tool(count) => format!(
                "stopped: the same tool was called with the same arguments {count} times in a row. Its answer will not change: try another way, or report that you are stuck"
            ),
            Braked::Idle(count) => format!(
                "stopped: {count} turns on the same message did nothing but answer. If it is a heartbeat, make it rarer; it is let through again once something else is asked"
            ),
        }
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

/// Returns a text without its digits: a heartbeat may carry the time.
fn hash_of_words(text: &str) -> u64 {
    let words: String = text.chars().filter(|each| !each.is_ascii_digit()).collect();
    hash(words.trim().as_bytes())
}

/// Returns what the messages of a request are about. `body` is the request, `messages` its conversation.
pub fn trace(body: &[u8], messages: &[u8]) -> Trace {
    let mut trace = Trace { request: hash(body), ..Trace::default() };
    let items = match serde_json::from_slice(messages) {
        Ok(Value::Array(items)) => items,
        Ok(Value::String(text)) => {
            trace.message = hash_of_words(&text);
            return trace;
        }
        Ok(_) | Err(_) => return trace,
    };
    trace.is_at_work = items.last().is_some_and(is_result);
    let user =
        items.iter().rev().find(|item| item.get("role").and_then(Value::as_str) == Some("user") && !is_result(item));
    trace.message = user.and_then(|item| item.get("content")).map_or(0, |content| hash_of_words(&content.to_string()));
    let mut last: Option<String> = None;
    for called in items.iter().rev().filter_map(calls) {
        match &last {
            None => last = Some(called),
            Some(known) if *known == called => {}
            Some(_) => break,
        }
        trace.calls += 1;
    }
    trace
}

/// Returns whether a message is the answer of a tool.
fn is_result(item: &Value) -> bool {
    let is = |key: &str, word: &str| item.get(key).and_then(Value::as_str) == Some(word);
    let has_part = || {
        let parts = item.get("content").and_then(Value::as_array);
        parts.is_some_and(|parts| {
            parts.iter().any(|part| part.get("type").and_then(Value::as_str) == Some("tool_result"))
        })
    };
    is("role", "tool") || is("type", "function_call_output") || has_part()
}

/// Returns what a message calls, names and arguments, without the ids of the calls; nothing where it calls nothing.
fn calls(item: &Value) -> Option<String> {
    let one = |name: Option<&Value>, input: Option<&Value>| Some(format!("{}\0{}", name?.as_str()?, input?));
    if item.get("type").and_then(Value::as_str) == Some("function_call") {
        return one(item.get("name"), item.get("arguments"));
    }
    let chat = item.get("tool_calls").and_then(Value::as_array).into_iter().flatten();
    let chat = chat.filter_map(|call| one(call.get("function")?.get("name"), call.get("function")?.get("arguments")));
    let parts = item.get("content").and_then(Value::as_array).into_iter().flatten();
    let parts = parts.filter(|part| part.get("type").and_then(Value::as_str) == Some("tool_use"));
    let parts = parts.filter_map(|part| one(part.get("name"), part.get("input")));
    let all: Vec<String> = chat.chain(parts).collect();
    if all.is_empty() { None } else { Some(all.join("\0\0")) }
}

impl Trail {
    /// Takes a request in. Returns why it is braked, where it is. Another request lets the agent go on at once.
    pub fn request(&mut self, trace: &Trace, brakes: &Brakes) -> Option<Braked> {
        self.requests.push_back(trace.request);
        if self.requests.len() > WINDOW {
            self.requests.pop_front();
        }
        let repeats = self.requests.iter().filter(|each| **each == trace.request).count();
        let repeats = u32::try_from(repeats).unwrap_or(u32::MAX);
        if trace.message != self.message || trace.is_at_work {
            self.idle = 0;
        }
        self.message = trace.message;
        let most = brakes.repeat.unwrap_or(u32::MAX);
        if repeats > most {
            return Some(Braked::Request(repeats));
        }
        if trace.calls > most {
            return Some(Braked::Tool(trace.calls));
        }
        brakes.idle.filter(|most| self.idle >= *most).map(|_| Braked::Idle(self.idle))
    }

    /// The last request came to nothing: that it comes again is no circle.
    pub fn nothing(&mut self) {
        self.requests.pop_back();
    }

    /// Takes an answer in.
    pub fn answer(&mut self, calls_tool: bool) {
        self.idle = if calls_tool { 0 } else { self.idle.saturating_add(1) };
    }
}
