//! Errors, as a body and as an event of a stream. Knows nothing of status codes.

use claw_types::provider::WireFormat;
use serde_json::{Map, Value, json};

use super::bytes;

/// How much of an error that is not JSON is passed on.
const EXCERPT: usize = 2000;

/// What an error says.
struct Fault {
    kind: String,
    code: Value,
    param: Value,
    message: String,
}

/// Returns the error body of a format.
pub fn error_body(format: WireFormat, kind: &str, message: &str) -> Vec<u8> {
    let fault = Fault { kind: kind.to_owned(), code: json!(kind), param: Value::Null, message: message.to_owned() };
    bytes(&body(format, fault))
}

/// Returns an SSE event that tells an error in a format, with the blank line that ends it.
pub fn error_event(format: WireFormat, kind: &str, message: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write_event(format, kind, message, 0, &mut out);
    out
}

/// Returns an upstream's error body, of whatever shape, as the caller's format has it.
pub fn error_reply(from: WireFormat, to: WireFormat, error: &[u8]) -> Vec<u8> {
    let mut fault = read(error);
    // The word that the other format does not have is kept where it has room for it.
    if from == WireFormat::Anthropic && fault.code.is_null() && !fault.kind.is_empty() {
        fault.code = json!(fault.kind);
    }
    fault.kind = kind(from, to, &fault.kind, fault.code.as_str());
    bytes(&body(to, fault))
}

/// Appends an error event; `sequence` is its number where the format counts events.
pub(super) fn write_event(format: WireFormat, kind: &str, message: &str, sequence: u64, out: &mut Vec<u8>) {
    let (name, data) = match format {
        WireFormat::OpenAi | WireFormat::Anthropic => {
            let name = if format == WireFormat::Anthropic { "error" } else { "" };
            (name, error_body(format, kind, message))
        }
        WireFormat::Responses => {
            let data = json!({
                "type": "error", "code": kind, "message": message, "param": null, "sequence_number": sequence,
            });
            ("error", bytes(&data))
        }
    };
    if !name.is_empty() {
        out.extend_from_slice(format!("event: {name}\n").as_bytes());
    }
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(&data);
    out.extend_from_slice(b"\n\n");
}

/// Returns the kind of an error in the words of another format; one that is nobody's word stays.
pub(super) fn kind(from: WireFormat, to: WireFormat, kind: &str, code: Option<&str>) -> String {
    let is_messages = |format| format == WireFormat::Anthropic;
    let kind = match (is_messages(from), is_messages(to)) {
        (true, false) => match kind {
            "" | "api_error" | "overloaded_error" | "timeout_error" => "server_error",
            "billing_error" => "insufficient_quota",
            "request_too_large" | "not_found_error" => "invalid_request_error",
            other => other,
        },
        (false, true) => match (kind, code) {
            ("insufficient_quota", _) | (_, Some("insufficient_quota")) => "billing_error",
            (_, Some("rate_limit_exceeded")) => "rate_limit_error",
            ("rate_limit_exceeded" | "tokens" | "requests", _) => "rate_limit_error",
            (_, Some("invalid_api_key")) => "authentication_error",
            (_, Some("model_not_found")) => "not_found_error",
            ("" | "server_error" | "internal_server_error", _) => "api_error",
            (other, _) => other,
        },
        (true, true) | (false, false) => kind,
    };
    if kind.is_empty() { "server_error".to_owned() } else { kind.to_owned() }
}

fn body(format: WireFormat, fault: Fault) -> Value {
    match format {
        WireFormat::OpenAi | WireFormat::Responses => json!({"error": {
            "message": fault.message, "type": fault.kind, "param": fault.param, "code": fault.code,
        }}),
        WireFormat::Anthropic => json!({"type": "error", "error": {"type": fault.kind, "message": fault.message}}),
    }
}

fn read(error: &[u8]) -> Fault {
    let fault = |message: &str| Fault {
        kind: String::new(),
        code: Value::Null,
        param: Value::Null,
        message: if message.is_empty() { "the upstream gave no reason".to_owned() } else { message.to_owned() },
    };
    let value = match serde_json::from_slice::<Value>(error) {
        // Gemini's compatible API wraps its error in an array.
        Ok(Value::Array(mut list)) if !list.is_empty() => list.swap_remove(0),
        Ok(value) => value,
        Err(_) => {
            let text = String::from_utf8_lossy(error);
            return fault(&text.trim().chars().take(EXCERPT).collect::<String>());
        }
    };
    let fields = match &value {
        Value::Object(fields) => fields,
        Value::String(text) => return fault(text),
        other => return fault(&other.to_string()),
    };
    match fields.get("error") {
        Some(Value::Object(inner)) => read_object(inner, fault),
        Some(Value::String(text)) if !fields.contains_key("message") => fault(text),
        _ => read_object(fields, fault),
    }
}

/// Reads the object with the message, in which servers agree on little else.
fn read_object(fields: &Map<String, Value>, fault: impl Fn(&str) -> Fault) -> Fault {
    let text = |key: &str| fields.get(key).and_then(Value::as_str).map(str::to_owned);
    let message = text("message")
        .or_else(|| text("detail"))
        .unwrap_or_else(|| if fields.is_empty() { String::new() } else { Value::Object(fields.clone()).to_string() });
    Fault {
        kind: text("type").or_else(|| text("status")).filter(|kind| kind != "error").unwrap_or_default(),
        code: fields.get("code").cloned().unwrap_or_default(),
        param: fields.get("param").cloned().unwrap_or_default(),
        ..fault(&message)
    }
}
