//! The schema of a configuration: which keys there are, and what each takes.
//!
//! A part of JSON Schema: `$ref` into `$defs`, `anyOf`, `allOf`, `type`, `enum`, `const`, `properties`, `patternProperties`,
//! `additionalProperties`, `items`, bounds of numbers. What it does not know it lets pass: the runtime judges again.

use claw_types::doc::Doc;
use serde_json::Value;

/// A schema.
pub(crate) struct Schema {
    root: Value,
}

/// Why a path leads nowhere.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unknown {
    /// The part of the path that is no key.
    pub(crate) part: String,
    /// What stands before it, dotted; empty at the top.
    pub(crate) below: String,
    /// The keys there are instead, in order.
    pub(crate) known: Vec<String>,
}

impl Schema {
    /// Returns the schema of a text; one that lets everything pass where the text is none.
    pub(crate) fn parse(text: &str) -> Self {
        Self { root: serde_json::from_str(text).unwrap_or(Value::Bool(true)) }
    }

    /// Returns a node, or each of the alternatives it is, with references followed.
    fn alternatives<'s>(&'s self, node: &'s Value) -> Vec<&'s Value> {
        let mut open = vec![node];
        let mut found = Vec::new();
        // A schema that refers to itself without end has no more forms than nodes.
        while let (Some(node), true) = (open.pop(), found.len() < 256) {
            if let Some(name) = node["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/")) {
                open.push(&self.root["$defs"][name]);
            } else if let Some(forms) = node["anyOf"].as_array() {
                open.extend(forms.iter().rev());
            } else {
                found.push(node);
            }
        }
        found
    }

    /// Returns what a path may hold: alternatives of schemas.
    pub(crate) fn at(&self, path: &str) -> Result<Vec<&Value>, Unknown> {
        let mut nodes = self.alternatives(&self.root);
        let mut below: Vec<&str> = Vec::new();
        for part in path.split('.') {
            let children: Vec<&Value> = nodes.iter().filter_map(|node| child(node, part)).collect();
            if children.is_empty() {
                let names = nodes.iter().filter_map(|node| node["properties"].as_object());
                let mut known: Vec<String> = names.flat_map(|names| names.keys().cloned()).collect();
                known.sort();
                known.dedup();
                return Err(Unknown { part: part.to_owned(), below: below.join("."), known });
            }
            nodes = children.into_iter().flat_map(|node| self.alternatives(node)).collect();
            below.push(part);
        }
        Ok(nodes)
    }

    /// Returns why a value fits none of some alternatives: what is expected, and where below the value.
    pub(crate) fn misfit(&self, nodes: &[&Value], value: &Doc) -> Option<(String, String)> {
        let mut nearest: Option<(String, String)> = None;
        for node in nodes {
            let why = self.misfit_one(node, value)?;
            // The form that got furthest is the one that was meant.
            if nearest.as_ref().is_none_or(|(place, _)| why.0.len() > place.len()) {
                nearest = Some(why);
            }
        }
        match nearest {
            Some((place, _)) if place.is_empty() => Some((place, self.expected(nodes))),
            nearest => nearest,
        }
    }

    fn misfit_one(&self, node: &Value, value: &Doc) -> Option<(String, String)> {
        let here = |expected: String| Some((String::new(), expected));
        if node.is_boolean() || !has_type(node, value) {
            return if node == &Value::Bool(true) { None } else { here(self.expected(&[node])) };
        }
        let is_listed = |list: &Vec<Value>| list.iter().any(|each| is_equal(each, value));
        if node["enum"].as_array().is_some_and(|list| !is_listed(list)) {
            return here(self.expected(&[node]));
        }
        if node.get("const").is_some_and(|each| !is_equal(each, value)) || !is_within(node, value) {
            return here(self.expected(&[node]));
        }
        match value {
            Doc::Map(entries) => entries.iter().find_map(|(key, value)| {
                let Some(child) = child(node, key) else { return Some((key.clone(), "no such key".to_owned())) };
                let (place, expected) = self.misfit(&self.alternatives(child), value)?;
                Some((if place.is_empty() { key.clone() } else { format!("{key}.{place}") }, expected))
            }),
            Doc::List(items) => items.iter().enumerate().find_map(|(index, value)| {
                let item = node.get("items").filter(|items| !items.is_array())?;
                let (place, expected) = self.misfit(&self.alternatives(item), value)?;
                Some((if place.is_empty() { index.to_string() } else { format!("{index}.{place}") }, expected))
            }),
            _ => None,
        }
    }

    /// Returns what some alternatives take, in words.
    fn expected(&self, nodes: &[&Value]) -> String {
        let mut words: Vec<String> = Vec::new();
        for node in nodes {
            if let Some(list) = node["enum"].as_array() {
                words.extend(list.iter().map(|each| format!("`{}`", each.to_string().trim_matches('"'))));
            } else if let Some(each) = node.get("const") {
                words.push(format!("`{}`", each.to_string().trim_matches('"')));
            } else {
                let bounds = match (node["minimum"].as_f64(), node["maximum"].as_f64()) {
                    (Some(least), Some(most)) => format!(" from {least} to {most}"),
                    (Some(least), None) => format!(" of at least {least}"),
                    (None, Some(most)) => format!(" of at most {most}"),
                    (None, None) => String::new(),
                };
                let article = |word: &str| match word {
                    "object" => "a map".to_owned(),
                    "array" => "a list".to_owned(),
                    "integer" => format!("an integer{bounds}"),
                    "number" => format!("a number{bounds}"),
                    other => format!("a {other}"),
                };
                match &node["type"] {
                    Value::String(word) => words.push(article(word)),
                    Value::Array(list) => words.extend(list.iter().filter_map(Value::as_str).map(article)),
                    _ => words.push("something else".to_owned()),
                }
            }
        }
        words.dedup();
        words.join(" or ")
    }
}

/// Returns what a key of a map may hold; nothing where there is no such key.
fn child<'s>(node: &'s Value, key: &str) -> Option<&'s Value> {
    static ANYTHING: Value = Value::Bool(true);
    if node.is_boolean() {
        return node.as_bool().filter(|allows| *allows).map(|_| &ANYTHING);
    }
    let is_map = |kind: &Value| match kind {
        Value::String(word) => word == "object",
        Value::Array(list) => list.iter().any(|word| word == "object"),
        _ => true,
    };
    if !is_map(&node["type"]) || node.get("const").is_some() || node.get("enum").is_some() {
        return None;
    }
    if let Some(found) = node["properties"].get(key) {
        return Some(found);
    }
    if let Some(patterns) = node["patternProperties"].as_object() {
        // Which of them a key fits is not told here: any of them may be meant.
        return patterns.values().next();
    }
    match node.get("additionalProperties") {
        Some(Value::Bool(false)) => None,
        Some(found) => Some(found),
        None => Some(&ANYTHING),
    }
}

fn has_type(node: &Value, value: &Doc) -> bool {
    let is = |word: &str| match (word, value) {
        ("null", Doc::Null)
        | ("boolean", Doc::Bool(_))
        | ("number", Doc::Number(_))
        | ("string", Doc::Str(_) | Doc::Secret(_))
        | ("array", Doc::List(_))
        | ("object", Doc::Map(_)) => true,
        ("integer", Doc::Number(number)) => !number.contains(['.', 'e', 'E']),
        _ => false,
    };
    match &node["type"] {
        Value::String(word) => is(word),
        Value::Array(list) => list.iter().filter_map(Value::as_str).any(is),
        _ => true,
    }
}

fn is_equal(each: &Value, value: &Doc) -> bool {
    match (each, value) {
        (Value::Null, Doc::Null) => true,
        (Value::Bool(each), Doc::Bool(value)) => each == value,
        (Value::String(each), Doc::Str(value)) => each == value,
        (Value::Number(each), Doc::Number(value)) => each.to_string() == *value,
        _ => false,
    }
}

fn is_within(node: &Value, value: &Doc) -> bool {
    let Doc::Number(number) = value else { return true };
    let Ok(number) = number.parse::<f64>() else { return true };
    node["minimum"].as_f64().is_none_or(|least| number >= least)
        && node["maximum"].as_f64().is_none_or(|most| number <= most)
        && node["exclusiveMinimum"].as_f64().is_none_or(|least| number > least)
        && node["exclusiveMaximum"].as_f64().is_none_or(|most| number < most)
}
