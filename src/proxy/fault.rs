//! What a caller is told when a call does not go through, in the words of the format it speaks.

use claw_types::provider::WireFormat;
use serde_json::{Map, Value, json};

/// A call that is answered by the proxy itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The status.
    pub(crate) status: u16,
    /// The word for programs.
    pub(crate) kind: &'static str,
    /// The sentence for people and models.
    pub(crate) message: String,
    /// The field of the request that is at fault.
    pub(crate) field: Option<String>,
    /// Milliseconds after which it is worth another try.
    pub(crate) retry_after_ms: Option<u64>,
    /// Further members of the body, beside `error`.
    pub(crate) more: Map<String, Value>,
}

impl Fault {
    /// Returns a fault.
    pub(crate) fn new(status: u16, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into(), field: None, retry_after_ms: None, more: Map::new() }
    }

    /// Names the field that is at fault.
    #[must_use]
    pub(crate) fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Says when another try is worth it, in milliseconds from now.
    #[must_use]
    pub(crate) fn retry_after(mut self, ms: u64) -> Self {
        self.retry_after_ms = Some(ms);
        self
    }

    /// Adds a member beside `error`.
    #[must_use]
    pub(crate) fn with(mut self, key: &str, value: Value) -> Self {
        self.more.insert(key.to_owned(), value);
        self
    }

    /// Returns the header `retry-after`: whole seconds, at least one.
    pub(crate) fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after_ms.map(|ms| ms.div_ceil(1000).max(1))
    }

    fn value(&self, format: WireFormat) -> Map<String, Value> {
        let mut body = self.more.clone();
        let mut error = Map::new();
        error.insert("message".to_owned(), json!(self.message));
        match format {
            WireFormat::Anthropic => {
                body.insert("type".to_owned(), json!("error"));
                error.insert("type".to_owned(), json!(self.anthropic_type()));
                error.insert("code".to_owned(), json!(self.kind));
                error.extend(self.field.iter().map(|field| ("param".to_owned(), json!(field))));
            }
            WireFormat::OpenAi | WireFormat::Responses => {
                error.insert("type".to_owned(), json!(self.kind));
                error.insert("code".to_owned(), json!(self.kind));
                error.insert("param".to_owned(), json!(self.field));
            }
        }
        body.insert("error".to_owned(), Value::Object(error));
        body
    }

    /// The types that Anthropic's clients know.
    fn anthropic_type(&self) -> &'static str {
        match self.status {
            400 | 405 | 409 | 422 => "invalid_request_error",
            401 => "authentication_error",
            402 => "billing_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            503 | 529 => "overloaded_error",
            504 => "timeout_error",
            _ => "api_error",
        }
    }

    /// Returns the body of the answer.
    pub(crate) fn body(&self, format: WireFormat) -> Vec<u8> {
        Value::Object(self.value(format)).to_string().into_bytes()
    }

    /// Returns the event that ends a stream.
    pub(crate) fn event(&self, format: WireFormat) -> Vec<u8> {
        let text = match format {
            WireFormat::OpenAi => format!("data: {}\n\n", Value::Object(self.value(format))),
            WireFormat::Anthropic => format!("event: error\ndata: {}\n\n", Value::Object(self.value(format))),
            WireFormat::Responses => {
                let data = json!({"type": "error", "code": self.kind, "message": self.message, "param": self.field, "sequence_number": 0});
                format!("event: error\ndata: {data}\n\n")
            }
        };
        text.into_bytes()
    }
}
