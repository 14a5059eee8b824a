//! Sealed reasoning in chat, which has no field for it: `reasoning_details`, as OpenRouter defines it. A caller that sends
//! back what it got keeps the seal, which messages demands between a call and its output.
//!
//! Only on the caller's side: a chat upstream is not sent it, as others than OpenRouter refuse unknown fields.
//! Source: openrouter.ai/docs, reasoning tokens, "Preserving reasoning".

use serde_json::{Value, json};

use super::Result;
use super::fields::Fields;
use super::neutral::{Located, Reasoning, Seal};

/// Takes the details of a message.
pub(super) fn read(message: &mut Fields) -> Result<Vec<Located<Reasoning>>> {
    let mut all = Vec::new();
    for detail in message.list("reasoning_details")? {
        let at = detail.at.clone();
        let mut detail = Fields::new(detail.value, detail.at)?;
        detail.drop(&["id", "format", "index"]);
        let value = match detail.need_text("type")?.as_str() {
            "reasoning.text" => Reasoning {
                text: detail.text("text")?.unwrap_or_default(),
                seal: detail.text("signature")?.filter(|signature| !signature.is_empty()).map(Seal::Signature),
            },
            "reasoning.summary" => Reasoning { text: detail.need_text("summary")?, seal: None },
            "reasoning.encrypted" => {
                Reasoning { text: String::new(), seal: Some(Seal::Redacted(detail.need_text("data")?)) }
            }
            other => return Err(detail.refuse("type", format!("`{other}` has no counterpart"))),
        };
        detail.finish()?;
        all.push(Located { at, value });
    }
    Ok(all)
}

/// Returns the detail that tells a seal and the text it belongs to.
pub(super) fn write(text: &str, seal: &Seal, index: usize) -> Value {
    match seal {
        Seal::Signature(signature) => {
            json!({"type": "reasoning.text", "text": text, "signature": signature, "index": index})
        }
        Seal::Redacted(data) => json!({"type": "reasoning.encrypted", "data": data, "index": index}),
    }
}
