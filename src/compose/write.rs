//! The writers: canonical YAML and JSON of a [`Value`].
//!
//! YAML quotes every string, so no reader of YAML 1.1 can take one for a boolean, an octal or a time, and doubles `$`,
//! because compose interpolates the file again. Keys keep the order they have in the value.

use std::borrow::Cow;

use claw_types::doc::push_json;

use crate::value::{Key, Value};

/// Returns a value as YAML, with a final newline; `$` is doubled outside templates.
pub fn yaml(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Map(entries) if !entries.is_empty() => yaml_map(entries, 0, &mut out),
        other => {
            yaml_inline(other, &mut out);
            out.push('\n');
        }
    }
    out
}

fn indent(depth: usize, out: &mut String) {
    for _ in 0..depth {
        out.push_str("  ");
    }
}

fn yaml_map(entries: &[(Key, Value)], depth: usize, out: &mut String) {
    for (key, value) in entries {
        indent(depth, out);
        yaml_key(key, out);
        out.push(':');
        yaml_below(value, depth, out);
    }
}

fn yaml_below(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Map(entries) if !entries.is_empty() => {
            out.push('\n');
            yaml_map(entries, depth + 1, out);
        }
        Value::List(items) if !items.is_empty() => {
            out.push('\n');
            for item in items {
                indent(depth + 1, out);
                yaml_item(item, depth + 1, out);
            }
        }
        other => {
            out.push(' ');
            yaml_inline(other, out);
            out.push('\n');
        }
    }
}

fn yaml_item(item: &Value, depth: usize, out: &mut String) {
    out.push('-');
    match item {
        Value::Map(entries) if !entries.is_empty() => {
            for (index, (key, value)) in entries.iter().enumerate() {
                if index == 0 {
                    out.push(' ');
                } else {
                    indent(depth + 1, out);
                }
                yaml_key(key, out);
                out.push(':');
                yaml_below(value, depth + 1, out);
            }
        }
        Value::List(items) if !items.is_empty() => {
            out.push('\n');
            for item in items {
                indent(depth + 1, out);
                yaml_item(item, depth + 1, out);
            }
        }
        other => {
            out.push(' ');
            yaml_inline(other, out);
            out.push('\n');
        }
    }
}

/// Writes a key: plain where no reader can misread it, quoted elsewhere.
fn yaml_key(key: &str, out: &mut String) {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/');
    let is_plain = key.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && key.bytes().all(is_word)
        && !matches!(
            key.to_ascii_lowercase().as_str(),
            "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null"
        );
    if is_plain {
        out.push_str(key);
    } else {
        yaml_string(key, out);
    }
}

fn yaml_inline(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => out.push_str(number),
        Value::Str(text) => yaml_string(&doubled(text), out),
        Value::Template(template) => yaml_string(&template.to_string(), out),
        Value::List(_) => out.push_str("[]"),
        Value::Map(_) => out.push_str("{}"),
    }
}

/// A `$` is doubled, because compose interpolates the file again.
fn doubled(text: &str) -> Cow<'_, str> {
    if text.contains('$') { Cow::Owned(text.replace('$', "$$")) } else { Cow::Borrowed(text) }
}

fn yaml_string(text: &str, out: &mut String) {
    out.push('"');
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\') {
        out.push_str(text);
        return out.push('"');
    }
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' => {
                out.push_str(&format!("\\u{:04X}", character as u32));
            }
            character => out.push(character),
        }
    }
    out.push('"');
}

/// Returns a value as JSON: sorted keys, two spaces, a final newline; `$` is doubled, as docker compose does.
pub fn json(value: &Value) -> String {
    let mut out = String::new();
    json_value(value, 0, &mut out);
    out.push('\n');
    out
}

fn json_value(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => out.push_str(number),
        Value::Str(text) => push_json(&doubled(text), out),
        Value::Template(template) => push_json(&template.to_string(), out),
        Value::List(items) if items.is_empty() => out.push_str("[]"),
        Value::Map(entries) if entries.is_empty() => out.push_str("{}"),
        Value::List(items) => {
            out.push_str("[\n");
            for (index, item) in items.iter().enumerate() {
                indent(depth + 1, out);
                json_value(item, depth + 1, out);
                out.push_str(if index + 1 < items.len() { ",\n" } else { "\n" });
            }
            indent(depth, out);
            out.push(']');
        }
        Value::Map(entries) => {
            let mut sorted: Vec<_> = entries.iter().collect();
            sorted.sort_by(|left, right| left.0.cmp(&right.0));
            out.push_str("{\n");
            for (index, (key, value)) in sorted.iter().enumerate() {
                indent(depth + 1, out);
                push_json(key, out);
                out.push_str(": ");
                json_value(value, depth + 1, out);
                out.push_str(if index + 1 < sorted.len() { ",\n" } else { "\n" });
            }
            indent(depth, out);
            out.push('}');
        }
    }
}
