//! The meter of a call: it sees the provider's bytes go by and reads from them what was used, whether the answer is whole,
//! and whether it is an error.

use std::sync::LazyLock;

use claw_types::provider::WireFormat;
use memchr::memmem::Finder;

use super::members::Members;
use super::sse::{Event, Events};
use super::usage::{Report, take};

/// What was seen of a call's answer.
#[derive(Debug)]
pub struct Meter {
    format: WireFormat,
    provider: String,
    events: Events,
    /// What a hidden event may be: bytes that are not forwarded before it is whole.
    held: Vec<u8>,
    /// What the answer says.
    pub seen: Seen,
}

/// What an answer says.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Usage, price and tier.
    pub report: Report,
    /// Whether any usage was said.
    pub has_usage: bool,
    /// Why the usage that was said cannot be used.
    pub unusable: Option<String>,
    /// Events of a stream.
    pub events: u64,
    /// Bytes of the answer's data.
    pub bytes: u64,
    /// Whether the answer came to its end in the way of its format.
    pub is_whole: bool,
    /// What the error says, where the answer is one.
    pub error: Option<String>,
    /// Whether it calls a tool.
    pub calls_tool: bool,
    /// Whether the usage was said at the end, where a format says it twice.
    pub has_final: bool,
}

/// Words that are looked for in every event; what looks for them is made once.
struct Words {
    usage: Finder<'static>,
    error: Finder<'static>,
    finish: Finder<'static>,
    kind: Finder<'static>,
    tools: [Finder<'static>; 3],
}

static WORDS: LazyLock<Words> = LazyLock::new(|| Words {
    usage: Finder::new("\"usage\""),
    error: Finder::new("\"error\""),
    finish: Finder::new("\"finish_reason\""),
    kind: Finder::new("\"type\""),
    tools: ["\"tool_calls\"", "\"tool_use\"", "\"function_call\""].map(Finder::new),
});

/// Returns whether a member of bytes begins with a text, spaces apart.
fn has(bytes: &[u8], key: &Finder<'_>, text: &str) -> bool {
    let Some(at) = key.find(bytes) else { return false };
    let rest = &bytes[at + key.needle().len()..];
    let skipped = rest.iter().position(|byte| !matches!(byte, b' ' | b':')).unwrap_or(rest.len());
    rest[skipped..].starts_with(text.as_bytes())
}

impl Meter {
    /// Returns the meter of an answer that a provider gives in a format.
    pub fn new(format: WireFormat, provider: &str) -> Self {
        Self {
            format,
            provider: provider.to_owned(),
            events: Events::default(),
            held: Vec::new(),
            seen: Seen::default(),
        }
    }

    /// Sees bytes of a stream go by.
    pub fn stream(&mut self, bytes: &[u8]) {
        self.each(bytes, |_, _, _| {});
    }

    /// Sees bytes of a stream, and tells each event that they end.
    pub fn each(&mut self, bytes: &[u8], mut tell: impl FnMut(Event<'_>, usize, bool)) {
        let Self { format, provider, events, seen, .. } = self;
        events.push(bytes, |event, behind| {
            let is_usage = note(seen, *format, provider, event);
            tell(event, behind, is_usage);
        });
    }

    /// Sees bytes of a stream, and returns them without the event that only says the usage: the caller did not ask for it.
    pub fn hiding(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.held.len() + bytes.len());
        let mut held = std::mem::take(&mut self.held);
        let mut from = 0;
        self.each(bytes, |_, behind, is_usage| {
            if !is_usage {
                out.extend_from_slice(&held);
                out.extend_from_slice(&bytes[from..behind]);
            }
            held.clear();
            from = behind;
        });
        held.extend_from_slice(&bytes[from..]);
        // Comments and what is no usage for sure are not kept waiting.
        if held.len() > 64 * 1024 || memchr::memmem::find(&held, b"data").is_none() && held.ends_with(b"\n") {
            out.append(&mut held);
        }
        self.held = held;
        out
    }

    /// The stream ended: what is left is seen. Returns bytes that were held back and are to be sent.
    pub fn end(&mut self) -> Vec<u8> {
        let Self { format, provider, events, seen, .. } = self;
        let mut is_hidden = false;
        events.end(|event, _| is_hidden |= note(seen, *format, provider, event));
        if events.has_skipped && !seen.has_usage {
            seen.unusable = Some("an event of the stream is too long to be read".to_owned());
        }
        if is_hidden { Vec::new() } else { std::mem::take(&mut self.held) }
    }

    /// Sees a whole answer that is no stream.
    pub fn whole(&mut self, body: &[u8]) {
        let seen = &mut self.seen;
        seen.bytes = body.len() as u64;
        let Some(members) = Members::first(body) else {
            seen.error = Some("the answer is no JSON object".to_owned());
            return;
        };
        seen.is_whole = true;
        seen.error = error_of(&members);
        seen.calls_tool = has_tool_call(body);
        if let Some(usage) = members.get("usage") {
            note_usage(seen, self.format, &self.provider, usage);
        }
        note_tier(seen, &members);
        seen.has_final = true;
        if self.format == WireFormat::Responses {
            seen.report.usage.search_calls += searches(body);
        }
    }
}

/// Returns how often an answer in the responses format searched.
fn searches(bytes: &[u8]) -> u64 {
    memchr::memmem::find_iter(bytes, b"\"web_search_call\"").count() as u64
}

fn has_tool_call(bytes: &[u8]) -> bool {
    let has_some = |word: &Finder<'_>| {
        let Some(at) = word.find(bytes) else { return false };
        let rest = bytes[at + word.needle().len()..].trim_ascii_start();
        let value = rest.strip_prefix(b":").unwrap_or(rest).trim_ascii_start();
        // Some servers always name the list.
        let inside = value.strip_prefix(b"[").map(<[u8]>::trim_ascii_start);
        !value.starts_with(b"null") && !inside.is_some_and(|inside| inside.starts_with(b"]"))
    };
    WORDS.tools.iter().any(has_some)
}

/// Returns what an error member says: its message, or itself.
fn error_of(members: &Members<'_>) -> Option<String> {
    // Some servers always have the member, and nothing in it.
    let error = members.get("error").filter(|error| !matches!(*error, "\"\"" | "{}" | "false"))?;
    let message =
        Members::first(error.as_bytes()).and_then(|inner| serde_json::from_str::<String>(inner.get("message")?).ok());
    let text = message.unwrap_or_else(|| error.to_owned());
    Some(text.chars().filter(|each| !each.is_control()).take(300).collect())
}

fn note_usage(seen: &mut Seen, format: WireFormat, provider: &str, usage: &str) {
    let Ok(serde_json::Value::Object(usage)) = serde_json::from_str(usage) else {
        seen.unusable = Some("the usage is no object".to_owned());
        return;
    };
    match take(&mut seen.report, format, provider, &usage) {
        Ok(()) => seen.has_usage = true,
        Err(why) => seen.unusable = Some(why.0),
    }
}

/// Some providers say beside the usage which of their prices holds.
fn note_tier(seen: &mut Seen, members: &Members<'_>) {
    if let Some(tier) = members.get("service_tier").and_then(|tier| serde_json::from_str(tier).ok()) {
        seen.report.tier = Some(tier);
    }
}

/// Takes an event in. Returns whether it says the usage and nothing else.
fn note(seen: &mut Seen, format: WireFormat, provider: &str, event: Event<'_>) -> bool {
    let data = event.data;
    let words = &*WORDS;
    seen.events += 1;
    seen.bytes += data.len() as u64;
    seen.is_whole = seen.is_whole
        || match format {
            WireFormat::OpenAi => data == b"[DONE]" || has(data, &words.finish, "\""),
            WireFormat::Anthropic => event.name == "message_stop" || has(data, &words.kind, "\"message_stop\""),
            WireFormat::Responses => {
                let is_end =
                    |text: &str| text.starts_with("response.completed") || text.starts_with("response.incomplete");
                is_end(event.name)
                    || has(data, &words.kind, "\"response.completed\"")
                    || has(data, &words.kind, "\"response.incomplete\"")
            }
        };
    seen.calls_tool = seen.calls_tool || has_tool_call(data);
    let is_error = event.name == "error" || words.error.find(data).is_some();
    let has_usage = words.usage.find(data).is_some() && !has(data, &words.usage, "null");
    if !is_error && !has_usage {
        return false;
    }
    let Some(members) = Members::first(data) else { return false };
    let nested = |key: &str| members.get(key).and_then(|inner| Members::first(inner.as_bytes()));
    let (message, response) = (nested("message"), nested("response"));
    if is_error {
        let error = error_of(&members).or_else(|| response.as_ref().and_then(error_of));
        let error =
            error.or_else(|| (event.name == "error").then(|| "the provider ended the stream with an error".to_owned()));
        seen.error = error.or(seen.error.take());
    }
    let inner = message.as_ref().and_then(|inner| inner.get("usage"));
    let usage = members.get("usage").or(inner).or_else(|| response.as_ref().and_then(|inner| inner.get("usage")));
    let Some(usage) = usage else { return false };
    note_usage(seen, format, provider, usage);
    seen.has_final |= message.is_none();
    if format == WireFormat::Responses {
        // The last event repeats the whole answer.
        seen.report.usage.search_calls = searches(data);
    }
    note_tier(seen, &members);
    if let Some(response) = &response {
        note_tier(seen, response);
    }
    format == WireFormat::OpenAi && members.get("choices").is_some_and(|choices| choices.trim() == "[]")
}
