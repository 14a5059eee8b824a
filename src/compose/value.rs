//! The neutral value between a typed model and its text: one description of the model for YAML, JSON and the hash.

use std::borrow::Cow;

use crate::template::Template;

/// A key: one of the schema, or a name of the user's own.
pub type Key = Cow<'static, str>;

/// A value to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A number, as it is written.
    Number(String),
    /// Text.
    Str(String),
    /// Text with variables.
    Template(Template),
    /// A list.
    List(Vec<Value>),
    /// A mapping, in the order it is written.
    Map(Vec<(Key, Value)>),
}

impl Value {
    /// Returns the value of a key, where this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Value::Map(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }
}
