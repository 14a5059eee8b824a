//! Says a request, a reply, a stream or an error of one LLM wire format in another: chat completions, messages, responses.
//!
//! Not for the common case: where caller and upstream speak the same format, the proxy passes bytes through and never comes
//! here. Pure: no clock, no randomness, no I/O; every id is the upstream's or derived from it.
//!
//! There is one neutral form of each thing (`neutral`), and per format a reader into it and a writer out of it. A request
//! is strict: each field is translated, means nothing (null, empty, or the API's default), or is refused by its path, for an
//! agent must not believe in a setting that was lost. A reply is lenient about its envelope and strict about its content: the
//! tokens are paid for, so only what the agent would have to act on without seeing it is refused.
//!
//! Sources: the public API references of OpenAI (chat completions, responses) and Anthropic (messages), November 2026.

mod details;
mod error;
mod fields;
mod neutral;
mod reply;
mod request;
mod stream;

use std::fmt;

use claw_types::provider::WireFormat;
use serde_json::Value;

use crate::wire::shape::{VALUES, has_too_many_values};

pub use error::{error_body, error_event, error_reply};
pub use stream::Stream;

/// Why something cannot be said in the other format without losing part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// The JSON path of what is in the way, like `messages[2].content[0].type`; `body` when it is not JSON.
    pub field: String,
    /// What is wrong with it.
    pub why: String,
}

impl Unsupported {
    fn new(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self { field: field.into(), why: why.into() }
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.field, self.why)
    }
}

impl std::error::Error for Unsupported {}

type Result<T, E = Unsupported> = std::result::Result<T, E>;

/// Returns a request in another format.
///
/// # Errors
/// Names the first field that the other format cannot say, or that is not what its own format demands.
pub fn request(from: WireFormat, to: WireFormat, body: &[u8]) -> Result<Vec<u8>, Unsupported> {
    let body = parse(body)?;
    let request = match from {
        WireFormat::OpenAi => request::chat::read(body),
        WireFormat::Anthropic => request::messages::read(body),
        WireFormat::Responses => request::responses::read(body),
    }?
    .without_empty();
    let body = match to {
        WireFormat::OpenAi => request::chat::write(request),
        WireFormat::Anthropic => request::messages::write(request),
        WireFormat::Responses => request::responses::write(request),
    }?;
    Ok(bytes(&body))
}

/// Returns a complete JSON reply of the upstream (format `from`) as the caller (format `to`) expects it.
///
/// # Errors
/// Names the content that the caller's format has no place for, or a field of a wrong type.
pub fn reply(from: WireFormat, to: WireFormat, body: &[u8]) -> Result<Vec<u8>, Unsupported> {
    let body = parse(body)?;
    let reply = match from {
        WireFormat::OpenAi => reply::chat::read(body),
        WireFormat::Anthropic => reply::messages::read(body),
        WireFormat::Responses => reply::responses::read(body),
    }?;
    let body = match to {
        WireFormat::OpenAi => reply::chat::write(reply),
        WireFormat::Anthropic => reply::messages::write(reply)?,
        WireFormat::Responses => reply::responses::write(reply),
    };
    Ok(bytes(&body))
}

fn parse(body: &[u8]) -> Result<Value> {
    if has_too_many_values(body) {
        return Err(Unsupported::new("body", format!("holds more than {VALUES} values")));
    }
    serde_json::from_slice(body).map_err(|error| Unsupported::new("body", format!("is not JSON: {error}")))
}

fn bytes(body: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write_json(body, &mut out);
    out
}

/// Appends a value as compact JSON, on one line.
fn write_json(value: &Value, out: &mut Vec<u8>) {
    // Memory takes all it is given and a value has only text keys, so there is no error to tell.
    drop(serde_json::to_writer(out, value));
}
