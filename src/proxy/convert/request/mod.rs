//! Requests: a reader and a writer per format.

pub(super) mod chat;
pub(super) mod messages;
pub(super) mod responses;

use serde_json::{Map, Value, json};

use super::fields::Fields;
use super::neutral::{Choice, Located, Part, Request};
use super::{Result, Unsupported};

/// Fields of the same name and meaning in chat and responses.
const OPENAI: [&str; 5] =
    ["metadata", "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "service_tier"];

/// What a schema is called where its format does not name it.
const SCHEMA_NAME: &str = "response";

/// Takes the fields chat and responses share.
fn read_openai(fields: &mut Fields, request: &mut Request) -> Result<()> {
    request.model = fields.need_text("model")?;
    request.parallel = fields.flag("parallel_tool_calls")?;
    read_sampling(fields, request)?;
    request.user = fields.text("user")?;
    for key in OPENAI {
        let value = fields.take(key).filter(|value| *value != json!({}) && *value != json!("auto"));
        request.openai.extend(value.map(|value| Located { at: fields.path(key), value }));
    }
    Ok(())
}

/// Takes the fields all formats share.
fn read_sampling(fields: &mut Fields, request: &mut Request) -> Result<()> {
    let at = fields.path("temperature");
    request.temperature = fields.number("temperature")?.map(|value| Located { at, value });
    request.top_p = fields.number("top_p")?;
    request.stream = fields.flag("stream")?.unwrap_or(false);
    Ok(())
}

/// Reads the `tool_choice` words of chat and responses.
fn read_choice(word: &str, at: &str) -> Result<Choice> {
    match word {
        "auto" => Ok(Choice::Auto),
        "none" => Ok(Choice::None),
        "required" => Ok(Choice::Required),
        other => Err(Unsupported::new(at, format!("unknown choice `{other}`"))),
    }
}

/// Writes the fields chat and responses share.
fn write_openai(body: &mut Map<String, Value>, fields: Vec<Located<Value>>) {
    for field in fields {
        body.insert(field.at, field.value);
    }
}

/// Returns the only text of parts that are just that, or the parts.
fn only_text(mut parts: Vec<Located<Part>>) -> Result<String, Vec<Located<Part>>> {
    match parts.pop() {
        Some(Located { value: Part::Text(text), .. }) if parts.is_empty() => Ok(text),
        Some(part) => {
            parts.push(part);
            Err(parts)
        }
        None => Ok(String::new()),
    }
}

/// Puts the failure of a tool into its text, for formats that have no flag for it.
fn mark_failed(parts: &mut Vec<Located<Part>>) {
    let first =
        parts.iter_mut().find_map(|part| if let Part::Text(text) = &mut part.value { Some(text) } else { None });
    match first {
        Some(text) if text.trim_start().get(..5).is_some_and(|start| start.eq_ignore_ascii_case("error")) => {}
        Some(text) => text.insert_str(0, "Error: "),
        None => parts.insert(0, Located { at: String::new(), value: Part::Text("Error".to_owned()) }),
    }
}
