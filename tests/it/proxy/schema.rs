//! Every line of the audit against its published schema: as much of JSON Schema as that file uses.

use std::sync::LazyLock;

use serde_json::Value;

use crate::root;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let text = std::fs::read_to_string(root().join("docs/schemas/audit.v1.json")).expect("the schema");
    serde_json::from_str(&text).expect("JSON")
});

/// Expects a line to be what the schema says of its type, with no key that it does not know.
pub(crate) fn check(line: &Value) {
    let kind = line["type"].as_str().expect("a type");
    let form = &SCHEMA["$defs"][kind];
    assert!(form.is_object(), "the schema has no `{kind}`");
    let wrong = differs(&SCHEMA, line, "line").or_else(|| differs(form, line, kind));
    assert_eq!(wrong, None, "{line}");
    let unknown: Vec<&String> = line
        .as_object()
        .expect("an object")
        .keys()
        .filter(|key| form["properties"].get(key.as_str()).is_none())
        .collect();
    assert_eq!(unknown, Vec::<&String>::new(), "{line}");
}

/// Returns where a value is not of its form.
fn differs(form: &Value, value: &Value, path: &str) -> Option<String> {
    if let Some(name) = form["$ref"].as_str().and_then(|name| name.strip_prefix("#/$defs/")) {
        return differs(&SCHEMA["$defs"][name], value, path);
    }
    if form.get("const").is_some_and(|only| only != value) {
        return Some(format!("{path} is {value}, not {}", form["const"]));
    }
    if form["enum"].as_array().is_some_and(|all| !all.contains(value)) {
        return Some(format!("{path} is {value}, none of {}", form["enum"]));
    }
    let is = |name: &str| match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        _ => value.is_object(),
    };
    let is_type = match &form["type"] {
        Value::String(name) => is(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(is),
        _ => true,
    };
    if !is_type {
        return Some(format!("{path} is {value}, not {}", form["type"]));
    }
    let entries = value.as_object()?;
    let missing = form["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .find(|key| !entries.contains_key(*key));
    if let Some(key) = missing {
        return Some(format!("{path} lacks `{key}`"));
    }
    let properties = form["properties"].as_object().into_iter().flatten();
    properties.filter_map(|(key, form)| differs(form, entries.get(key)?, &format!("{path}.{key}"))).next()
}
