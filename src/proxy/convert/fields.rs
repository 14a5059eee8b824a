//! Reads a JSON object field by field and knows what was not read: how nothing gets lost unseen. Knows no format.

use serde_json::{Map, Number, Value};

use super::neutral::Located;
use super::{Result, Unsupported};

/// An object some fields of which have been taken out.
pub(super) struct Fields {
    at: String,
    map: Map<String, Value>,
}

impl Fields {
    /// Returns the fields of a value that is at a path, which is empty for the whole body.
    pub(super) fn new(value: Value, at: impl Into<String>) -> Result<Self> {
        let at = at.into();
        match value {
            Value::Object(map) => Ok(Self { at, map }),
            other => Err(wrong(if at.is_empty() { "body" } else { &at }, "an object", &other)),
        }
    }

    /// Returns where the object is.
    pub(super) fn at(&self) -> &str {
        &self.at
    }

    /// Returns the path of a field.
    pub(super) fn path(&self, key: &str) -> String {
        if self.at.is_empty() { key.to_owned() } else { format!("{}.{key}", self.at) }
    }

    /// Returns an error about a field.
    pub(super) fn refuse(&self, key: &str, why: impl Into<String>) -> Unsupported {
        Unsupported::new(self.path(key), why)
    }

    /// Takes a field that is there and not null.
    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        self.map.remove(key).filter(|value| !value.is_null())
    }

    /// Takes a string.
    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong(&self.path(key), "a string", &other)),
        }
    }

    /// Takes a number as it is.
    pub(super) fn number(&mut self, key: &str) -> Result<Option<Number>> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(Some(number)),
            Some(other) => Err(wrong(&self.path(key), "a number", &other)),
        }
    }

    /// Takes a count: a whole number that is not negative, 0 when absent.
    pub(super) fn count(&mut self, key: &str) -> Result<u64> {
        match self.number(key)? {
            None => Ok(0),
            Some(number) => number.as_u64().ok_or_else(|| self.refuse(key, "expected a whole number, 0 or more")),
        }
    }

    /// Takes a boolean.
    pub(super) fn flag(&mut self, key: &str) -> Result<Option<bool>> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(other) => Err(wrong(&self.path(key), "a boolean", &other)),
        }
    }

    /// Takes an object.
    pub(super) fn object(&mut self, key: &str) -> Result<Option<Fields>> {
        let path = self.path(key);
        self.take(key).map(|value| Fields::new(value, path)).transpose()
    }

    /// Takes the elements of an array, none when absent.
    pub(super) fn list(&mut self, key: &str) -> Result<Vec<Located<Value>>> {
        let path = self.path(key);
        self.take(key).map_or(Ok(Vec::new()), |value| elements(value, &path))
    }

    /// Takes a field that must be there.
    pub(super) fn need(&mut self, key: &str) -> Result<Value> {
        self.take(key).ok_or_else(|| self.refuse(key, "is missing"))
    }

    /// Takes a string that must be there.
    pub(super) fn need_text(&mut self, key: &str) -> Result<String> {
        self.text(key)?.ok_or_else(|| self.refuse(key, "is missing"))
    }

    /// Takes an object that must be there.
    pub(super) fn need_object(&mut self, key: &str) -> Result<Fields> {
        self.object(key)?.ok_or_else(|| self.refuse(key, "is missing"))
    }

    /// Takes the elements of an array that must be there.
    pub(super) fn need_list(&mut self, key: &str) -> Result<Vec<Located<Value>>> {
        let path = self.path(key);
        elements(self.need(key)?, &path)
    }

    /// Drops fields that mean nothing in another format.
    pub(super) fn drop(&mut self, keys: &[&str]) {
        for key in keys {
            self.map.remove(*key);
        }
    }

    /// Drops a field that says what its API does anyway.
    pub(super) fn drop_default(&mut self, key: &str, default: &Value) -> Result<()> {
        match self.take(key) {
            None => Ok(()),
            Some(value) if is_same(&value, default) => Ok(()),
            Some(_) => Err(self.refuse(key, format!("the other format cannot say anything but {default}"))),
        }
    }

    /// Refuses the first field nobody took, unless it is empty.
    pub(super) fn finish(self) -> Result<()> {
        match self.map.iter().find(|(_, value)| !is_empty(value)) {
            None => Ok(()),
            Some((key, _)) => Err(self.refuse(key, "has no counterpart in the other format")),
        }
    }
}

/// Returns the elements of an array with their paths.
pub(super) fn elements(value: Value, at: &str) -> Result<Vec<Located<Value>>> {
    match value {
        Value::Array(list) => Ok(list
            .into_iter()
            .enumerate()
            .map(|(index, value)| Located { at: format!("{at}[{index}]"), value })
            .collect()),
        other => Err(wrong(at, "an array", &other)),
    }
}

/// Returns the error of a value of a wrong type.
pub(super) fn wrong(at: &str, expected: &str, found: &Value) -> Unsupported {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    Unsupported::new(at, format!("expected {expected}, found {found}"))
}

/// Returns an object of fields, which `json!` would copy.
pub(super) fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// Adds a field that is there.
pub(super) fn put(map: &mut Map<String, Value>, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        map.insert(key.to_owned(), value.into());
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// `0` and `0.0` are the same setting and different [`Number`]s.
fn is_same(value: &Value, default: &Value) -> bool {
    value == default || value.as_f64().is_some_and(|number| default.as_f64() == Some(number))
}
