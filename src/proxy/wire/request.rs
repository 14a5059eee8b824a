//! A request as bytes with places: what the proxy must know is read, what it must change is edited where it stands, and
//! every other byte passes as it came.

use std::ops::Range;

use claw_types::provider::WireFormat;

use super::members::Members;
use super::shape::{DEPTH, is_too_deep};

/// Why a body is refused: where, and what is wrong there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad {
    /// The field, where one is at fault.
    pub field: Option<String>,
    /// What is wrong.
    pub why: String,
}

impl Bad {
    fn field(field: &str, why: impl Into<String>) -> Self {
        Self { field: Some(field.to_owned()), why: why.into() }
    }
}

/// A request that was read.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The model it asks for, where it names one.
    pub model: Option<String>,
    /// Whether it wants a stream.
    pub is_stream: bool,
    /// What limits its output, by the member's name, in tokens.
    limits: Vec<(&'static str, u64)>,
    /// The service tier it asks for.
    pub tier: Option<String>,
    /// How many answers it wants.
    pub count: u64,
    /// Whether it asks for the usage of a stream; OpenAI's chat format alone.
    pub wants_usage: bool,
    /// Where the values of members stand that may be edited.
    places: Vec<(String, Range<usize>)>,
    /// Where the last member ends, and whether there is one.
    tail: (usize, bool),
}

/// Members whose places are remembered: what the proxy edits or looks into.
const KEPT: &[&str] = &[
    "background",
    "conversation",
    "function_call",
    "functions",
    "input",
    "mcp_servers",
    "messages",
    "model",
    "models",
    "n",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "service_tier",
    "stream",
    "stream_options",
    "tool_choice",
    "tools",
    "web_search_options",
];

/// Members that limit the output, in the order of their weight.
pub const LIMITS: &[&str] = &["max_completion_tokens", "max_output_tokens", "max_tokens"];

/// Returns what a body asks for.
///
/// # Errors
/// Where the body is no JSON object, names one of its fields twice, or gives it another type.
pub fn read(body: &[u8]) -> Result<Request, Bad> {
    if is_too_deep(body) {
        return Err(Bad { field: None, why: format!("the body is nested deeper than {DEPTH}") });
    }
    let parsed: Result<Members<'_>, _> = serde_json::from_slice(body);
    let Members(members) = parsed.map_err(|error| {
        let text = error.to_string();
        let why = text.split(" at line").next().unwrap_or(&text);
        Bad {
            field: None,
            why: format!("the body is not a JSON object: {why} at line {}, column {}", error.line(), error.column()),
        }
    })?;
    let mut request = Request { count: 1, ..Request::default() };
    let end = body.iter().rposition(|byte| *byte == b'}').unwrap_or(0);
    request.tail = (end, !members.is_empty());
    for (key, value) in &members {
        let key = key.as_ref();
        let is_meant = |known: &&&str| known.eq_ignore_ascii_case(key) && **known != key;
        // Some servers take a key however it is written: what is judged must be what they read.
        if let Some(known) = KEPT.iter().chain(LIMITS).find(is_meant) {
            return Err(Bad::field(key, format!("`{key}` is written `{known}`")));
        }
        if KEPT.contains(&key) || LIMITS.contains(&key) {
            if request.places.iter().any(|(known, _)| known == key) {
                return Err(Bad::field(key, format!("`{key}` stands twice")));
            }
            let start = value.get().as_ptr() as usize - body.as_ptr() as usize;
            request.places.push((key.to_owned(), start..start + value.get().len()));
        }
        member(&mut request, key, value.get())?;
    }
    Ok(request)
}

fn member(request: &mut Request, key: &str, value: &str) -> Result<(), Bad> {
    if value == "null" {
        return Ok(());
    }
    let wrong = |what: &str| Bad::field(key, format!("`{key}` must be {what}"));
    match key {
        "model" => {
            let model: String = serde_json::from_str(value).map_err(|_| wrong("a string"))?;
            if model.is_empty() || model.len() > 256 || model.contains(char::is_control) {
                return Err(wrong("a model's name"));
            }
            request.model = Some(model);
        }
        "stream" => request.is_stream = serde_json::from_str(value).map_err(|_| wrong("true or false"))?,
        "service_tier" => request.tier = serde_json::from_str(value).map_err(|_| wrong("a string"))?,
        "n" => request.count = serde_json::from_str(value).map_err(|_| wrong("a whole number"))?,
        "stream_options" => {
            let options: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(value).map_err(|_| wrong("an object"))?;
            request.wants_usage = match options.get("include_usage") {
                None | Some(serde_json::Value::Null) => false,
                Some(serde_json::Value::Bool(is_wanted)) => *is_wanted,
                Some(_) => {
                    return Err(Bad::field("stream_options.include_usage", "`include_usage` must be true or false"));
                }
            };
        }
        _ if LIMITS.contains(&key) => {
            let limit: u64 = serde_json::from_str(value).map_err(|_| wrong("a whole number"))?;
            let name = LIMITS.iter().find(|name| **name == key).copied().unwrap_or_default();
            request.limits.push((name, limit));
        }
        _ => {}
    }
    Ok(())
}

impl Request {
    /// Returns the bytes of a member's value, where it stands in the body.
    pub fn value<'b>(&self, body: &'b [u8], key: &str) -> Option<&'b [u8]> {
        let (_, place) = self.places.iter().find(|(known, _)| known == key)?;
        body.get(place.clone())
    }

    /// Returns the most output it allows in a format, in tokens: what another format calls it limits nothing there.
    pub fn max_output(&self, format: WireFormat) -> Option<u64> {
        let names: &[&str] = match format {
            WireFormat::OpenAi => &["max_completion_tokens", "max_tokens"],
            WireFormat::Anthropic => &["max_tokens"],
            WireFormat::Responses => &["max_output_tokens"],
        };
        self.limits.iter().filter(|(name, _)| names.contains(name)).map(|(_, limit)| *limit).max()
    }

    /// Returns whether the body has a member.
    pub fn has(&self, key: &str) -> bool {
        self.places.iter().any(|(known, _)| known == key)
    }

    /// Returns the body without some of its members. All other bytes stay.
    pub fn without(&self, body: &[u8], keys: &[&str]) -> Vec<u8> {
        let named = |key: &str| keys.contains(&key);
        let mut gone: Vec<Range<usize>> = Vec::new();
        for (_, place) in self.places.iter().filter(|(key, _)| named(key)) {
            // Before a value stand its key in quotes and a colon; no key that is known by name holds a quote.
            let key_end = body[..place.start].iter().rposition(|byte| *byte == b'"').unwrap_or(0);
            let start = body[..key_end].iter().rposition(|byte| *byte == b'"').unwrap_or(0);
            let behind = body[place.end..].iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(0) + place.end;
            let before = body[..start].iter().rposition(|byte| !byte.is_ascii_whitespace()).unwrap_or(0);
            let is_last = body.get(behind) != Some(&b',');
            let is_after_comma = body.get(before) == Some(&b',');
            gone.push(match (is_last, is_after_comma) {
                (false, _) => start..behind + 1,
                (true, true) => before..place.end,
                (true, false) => start..place.end,
            });
        }
        gone.sort_by_key(|place| place.start);
        let mut out = Vec::with_capacity(body.len());
        let mut at = 0;
        for place in gone {
            out.extend_from_slice(&body[at..place.start.max(at)]);
            at = place.end.max(at);
        }
        out.extend_from_slice(&body[at..]);
        // The last member went after the one before it did: its comma is left over.
        match serde_json::from_slice::<serde::de::IgnoredAny>(&out) {
            Ok(_) => out,
            Err(_) => without_trailing_comma(out),
        }
    }

    /// Returns the body with other values of some members; members it does not have are added at its end. All other bytes stay.
    pub fn edited(&self, body: &[u8], edits: &[(&str, String)]) -> Vec<u8> {
        let extra: usize = edits.iter().map(|(key, value)| key.len() + value.len() + 4).sum();
        let mut out = Vec::with_capacity(body.len() + extra);
        let mut there: Vec<(Range<usize>, &str)> = Vec::new();
        let mut added = String::new();
        for (key, value) in edits {
            match self.places.iter().find(|(known, _)| known == key) {
                Some((_, place)) => there.push((place.clone(), value)),
                None => {
                    let comma = if self.tail.1 || !added.is_empty() { "," } else { "" };
                    added.push_str(&format!("{comma}\"{key}\":{value}"));
                }
            }
        }
        there.sort_by_key(|(place, _)| place.start);
        let mut at = 0;
        for (place, value) in there {
            out.extend_from_slice(&body[at..place.start]);
            out.extend_from_slice(value.as_bytes());
            at = place.end;
        }
        out.extend_from_slice(&body[at..self.tail.0]);
        out.extend_from_slice(added.as_bytes());
        out.extend_from_slice(&body[self.tail.0..]);
        out
    }
}

fn without_trailing_comma(mut body: Vec<u8>) -> Vec<u8> {
    let end = body.iter().rposition(|byte| *byte == b'}').unwrap_or(0);
    if let Some(comma) = body[..end].iter().rposition(|byte| !byte.is_ascii_whitespace()).filter(|at| body[*at] == b',')
    {
        body.remove(comma);
    }
    body
}

/// Returns a text as JSON.
pub fn quoted(text: &str) -> String {
    claw_types::doc::json_string(text)
}

/// Returns the member that limits the output in a format, as a provider takes it.
pub fn limit_key(format: WireFormat, provider: &str) -> &'static str {
    match format {
        // OpenAI's reasoning models refuse `max_tokens`; many local servers know nothing else.
        WireFormat::OpenAi if provider == "openai" => "max_completion_tokens",
        WireFormat::OpenAi | WireFormat::Anthropic => "max_tokens",
        WireFormat::Responses => "max_output_tokens",
    }
}
