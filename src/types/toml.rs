//! Documents as TOML: sorted keys, values before tables, lists on one line. What is nothing is left out, as TOML has no word for it.

use std::collections::BTreeMap;

use crate::doc::{Content, Doc, Escape, json_string};

/// Returns a mapping as a TOML document; nothing where a document is no mapping.
pub fn to_toml(doc: &Doc) -> Option<Content> {
    let Doc::Map(entries) = doc else { return None };
    let mut out = Content::default();
    table(entries, "", &mut out);
    Some(out)
}

/// Writes a table: its own values, then the tables in it.
fn table(entries: &BTreeMap<String, Doc>, path: &str, out: &mut Content) {
    let is_table = |value: &Doc| matches!(value, Doc::Map(_));
    let plain = || entries.iter().filter(|(_, value)| !is_table(value) && **value != Doc::Null);
    let has_tables = entries.values().any(is_table);
    if !path.is_empty() && (plain().next().is_some() || !has_tables) {
        out.push_text(&format!("\n[{path}]\n"));
    }
    for (name, value) in plain() {
        out.push_text(&format!("{} = ", key(name)));
        inline(value, out);
        out.push_text("\n");
    }
    for (name, value) in entries {
        if let Doc::Map(below) = value {
            let name = key(name);
            let path = if path.is_empty() { name } else { format!("{path}.{name}") };
            table(below, &path, out);
        }
    }
}

/// Writes a value on one line. A string of JSON is one of TOML: both know the same escapes.
fn inline(value: &Doc, out: &mut Content) {
    match value {
        // Inside a list nothing has no place; an empty text is the nearest.
        Doc::Null => out.push_text("\"\""),
        Doc::Bool(value) => out.push_text(if *value { "true" } else { "false" }),
        Doc::Number(number) => out.push_text(number),
        Doc::Str(text) => out.push_text(&json_string(text)),
        Doc::Secret(secret) => {
            out.push_text("\"");
            out.push_secret(secret.clone(), Escape::Json);
            out.push_text("\"");
        }
        Doc::List(items) => {
            out.push_text("[");
            for (index, item) in items.iter().enumerate() {
                out.push_text(if index == 0 { "" } else { ", " });
                inline(item, out);
            }
            out.push_text("]");
        }
        Doc::Map(entries) => {
            out.push_text("{");
            let entries = entries.iter().filter(|(_, value)| **value != Doc::Null);
            for (index, (name, value)) in entries.enumerate() {
                out.push_text(if index == 0 { " " } else { ", " });
                out.push_text(&format!("{} = ", key(name)));
                inline(value, out);
            }
            out.push_text(" }");
        }
    }
}

/// Returns a key: bare where it may be.
fn key(name: &str) -> String {
    let is_bare =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if is_bare { name.to_owned() } else { json_string(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_values_then_tables_in_order() {
        let doc = Doc::map([
            ("b", Doc::map([("x.y", Doc::str("a\n\"b\"")), ("gone", Doc::Null)])),
            ("a", Doc::map([("deep", Doc::map([("list", Doc::List(vec![Doc::map([("n", Doc::int(1))])]))]))])),
            ("z", Doc::Bool(true)),
            ("empty", Doc::map::<String>([])),
        ]);
        let text = to_toml(&doc).expect("a document").masked();
        assert_eq!(text, "z = true\n\n[a.deep]\nlist = [{ n = 1 }]\n\n[b]\n\"x.y\" = \"a\\n\\\"b\\\"\"\n\n[empty]\n");
        assert_eq!(to_toml(&Doc::Null), None);
    }
}
