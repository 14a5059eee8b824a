//! How a type of the model is read from a node and turned into a value; `shape!` derives both from one list of fields.
//!
//! A field that the schema knows has a place in a struct, or the file is refused by name: nothing is dropped in silence.

use std::collections::BTreeMap;

use claw_types::diag::{Code, Diagnostic, Diagnostics, nearest};
use claw_types::span::Span;

use crate::template::Template;
use crate::trail::Trail;
use crate::units::{Bytes, Cpus, Decimal, Duration};
use crate::value::{Key, Value};
use crate::yaml::{Kind, Node, Resolved};

/// A type of the model.
pub trait Shape: Sized {
    /// Returns the value of a node; nothing after recording why not.
    fn decode(node: &Node, cx: &mut Decoder<'_>) -> Option<Self>;

    /// Returns the value to write; nothing where the field is absent.
    fn encode(&self) -> Option<Value>;

    /// Remembers where the key stands that this is the value of.
    fn set_key(&mut self, _key: Span) {}
}

/// Keys that open a container, or hand something into it: a near word is not changed into one of them.
const OPENING: &[&str] = &[
    "allow",
    "cap_add",
    "credential_spec",
    "device_cgroup_rules",
    "devices",
    "egress",
    "external_links",
    "gpus",
    "group_add",
    "privileged",
    "security_opt",
    "sysctls",
    "use_api_socket",
    "volumes_from",
];

/// What decoding needs to know and to say.
pub struct Decoder<'d> {
    diag: &'d mut Diagnostics,
    path: Trail,
    keep: &'d dyn Fn(&[String], Span) -> bool,
    takes_nothing: bool,
}

impl<'d> Decoder<'d> {
    /// Returns a decoder; scalars at paths that `keep` holds for are templates still.
    pub fn new(diag: &'d mut Diagnostics, keep: &'d dyn Fn(&[String], Span) -> bool) -> Self {
        Self { diag, path: Trail::default(), keep, takes_nothing: false }
    }

    /// Returns the result of `f` one step deeper in the path.
    pub fn at<T>(&mut self, key: &str, f: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(key);
        let result = f(self);
        self.path.pop();
        result
    }

    /// The same for an item of a list.
    pub fn at_index<T>(&mut self, index: usize, f: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push_index(index);
        let result = f(self);
        self.path.pop();
        result
    }

    /// Records that a node is of the wrong type.
    pub fn wrong_type(&mut self, node: &Node, wanted: &str) {
        let message = format!("`{}` must be {wanted}, and is {}", self.path.keys().join("."), node.type_name());
        let help = match (wanted, &node.kind) {
            ("a mapping", _) => "write `key: value`, a line for each",
            ("a list", _) => "write `- item`, a line for each, or `[item, item]`",
            ("a boolean", _) => "write `true` or `false`",
            ("an integer", _) => "write a whole number",
            (_, Kind::Scalar(_)) => "put the value in quotes, if it is meant",
            (_, Kind::Seq(_) | Kind::Map(_)) => "write one value behind the key",
        };
        self.diag.push(Diagnostic::error(Code::WrongType, node.span, message).help(help));
    }

    /// Records that a value is not allowed.
    pub fn bad_value(&mut self, node: &Node, why: &str, help: &str) {
        let message = format!("`{}` {why}", self.path.keys().join("."));
        self.diag.push(Diagnostic::error(Code::BadValue, node.span, message).help(help));
    }

    /// Records a finding.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.diag.push(diagnostic);
    }

    /// Records a key without value, where one is needed.
    pub fn nothing(&mut self, node: &Node, key: &str, at: Span) {
        // Docker compose takes these for absent.
        if self.takes_nothing || matches!(key, "deploy" | "develop") {
            return;
        }
        let place = if node.span.start == node.span.end { at } else { node.span };
        let error = Diagnostic::error(Code::WrongType, place, format!("`{}` is nothing", self.path.keys().join(".")));
        self.diag.push(error.help("give it a value, or take the key out"));
    }

    /// Returns the decoder, to which a key without value is an absent one.
    pub fn taking_nothing(mut self) -> Self {
        self.takes_nothing = true;
        self
    }

    /// Returns the path of the node being decoded.
    pub fn path(&self) -> String {
        self.path.keys().join(".")
    }

    fn unknown_key(&mut self, key: &str, span: Span, known: &[&str]) {
        let place = if self.path.keys().is_empty() {
            "a compose file".to_owned()
        } else {
            format!("`{}`", self.path.keys().join("."))
        };
        let error = Diagnostic::error(Code::UnknownKey, span, format!("{place} has no key `{key}`"));
        let error = error.help("take it out; keys that start with `x-` are free");
        let error = error.suggest(key, known.iter().copied());
        let opens = nearest(key, known.iter().copied()).is_some_and(|near| OPENING.contains(&near));
        self.diag.push(if opens { error.by_hand() } else { error });
    }
}

/// The keys that are written, each with the place of its value. There are few, so they are searched from the begin.
#[derive(Clone, Debug, Default)]
pub struct Fields(Vec<(&'static str, Span)>);

impl Fields {
    /// Returns whether a key is written.
    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Returns where the value of a key stands.
    pub fn get(&self, key: &str) -> Option<Span> {
        self.iter().find(|(written, _)| *written == key).map(|(_, span)| span)
    }

    /// Returns all in the order written.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, Span)> + '_ {
        self.0.iter().copied()
    }

    /// Adds a key.
    pub fn add(&mut self, key: &'static str, span: Span) {
        self.0.push((key, span));
    }
}

/// Where a struct of the model was written. Two origins are always equal, so models compare by value.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The whole of it; nothing where claw made it.
    pub span: Option<Span>,
    /// The key it is the value of, in a mapping of names.
    pub key: Option<Span>,
    /// The value of each key written.
    pub fields: Fields,
}

impl PartialEq for Origin {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Origin {}

impl Origin {
    /// Returns where a key's value stands, else where the whole does, else `fallback`.
    pub fn of(&self, key: &str, fallback: Span) -> Span {
        self.fields.get(key).unwrap_or(self.place(fallback))
    }

    /// Returns where the key stands that this is the value of, else where the whole does, else `fallback`.
    pub fn place(&self, fallback: Span) -> Span {
        self.key.or(self.span).unwrap_or(fallback)
    }
}

/// Returns the entries of a mapping; nothing after recording that the node is none.
pub fn open<'n>(node: &'n Node, cx: &mut Decoder<'_>) -> Option<&'n [crate::yaml::Entry]> {
    match &node.kind {
        Kind::Map(entries) => Some(entries),
        _ if node.is_null() => Some(&[]),
        _ => {
            cx.wrong_type(node, "a mapping");
            None
        }
    }
}

/// Records a key that the schema does not know.
pub fn unknown(key: &str, span: Span, known: &[&str], cx: &mut Decoder<'_>) {
    cx.unknown_key(key, span, known);
}

/// Declares structs of a model, each field with its type and its key, and derives [`Shape`] for them.
#[macro_export]
macro_rules! shape {
    ($($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty = $key:literal,)* })+) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
            /// Keys that start with `x-`, as written.
            pub extensions: std::collections::BTreeMap<String, $crate::yaml::Node>,
            /// Where it was written.
            pub origin: $crate::shape::Origin,
        }

        impl $name {
            /// The keys of the schema.
            pub const KEYS: &'static [&'static str] = &[$($key),*];
        }

        impl $crate::shape::Shape for $name {
            fn decode(node: &$crate::yaml::Node, cx: &mut $crate::shape::Decoder<'_>) -> Option<Self> {
                let entries = $crate::shape::open(node, cx)?;
                let mut made = Self::default();
                made.origin.span = Some(node.span);
                for entry in entries {
                    match entry.key.as_str() {
                        $($key => {
                            if entry.value.is_null() && !$crate::shape::keeps_null($key) {
                                cx.at($key, |cx| cx.nothing(&entry.value, $key, entry.key_span));
                                continue;
                            }
                            made.origin.fields.add($key, entry.value.span);
                            if let Some(value) = cx.at($key, |cx| $crate::shape::Shape::decode(&entry.value, cx)) {
                                made.$field = value;
                            }
                        })*
                        key if key.starts_with("x-") => {
                            made.extensions.insert(key.to_owned(), entry.value.clone());
                        }
                        key => $crate::shape::unknown(key, entry.key_span, Self::KEYS, cx),
                    }
                }
                Some(made)
            }

            fn encode(&self) -> Option<$crate::value::Value> {
                let mut entries = Vec::new();
                $(if let Some(value) = $crate::shape::Shape::encode(&self.$field) {
                    entries.push(($crate::value::Key::Borrowed($key), value));
                })*
                for (key, node) in &self.extensions {
                    entries.push((key.clone().into(), $crate::shape::tree(node)));
                }
                Some($crate::value::Value::Map(entries))
            }

            fn set_key(&mut self, key: claw_types::span::Span) {
                self.origin.key = Some(key);
            }
        }
    )+};
}

/// Returns whether nothing is a value of this key, rather than its absence.
pub fn keeps_null(key: &str) -> bool {
    matches!(key, "command" | "entrypoint")
}

/// Returns an untyped node as a value.
pub fn tree(node: &Node) -> Value {
    match &node.kind {
        Kind::Seq(items) => Value::List(items.iter().map(tree).collect()),
        Kind::Map(entries) => {
            let mut entries: Vec<(Key, Value)> =
                entries.iter().map(|entry| (entry.key.clone().into(), tree(&entry.value))).collect();
            entries.sort_by(|left, right| left.0.cmp(&right.0));
            Value::Map(entries)
        }
        Kind::Scalar(scalar) => match scalar.resolve() {
            Resolved::Null => Value::Null,
            Resolved::Bool(value) => Value::Bool(value),
            Resolved::Int(value) => Value::Number(value.to_string()),
            Resolved::Float(text) => match text.parse::<f64>() {
                Ok(value) if value.is_finite() => Value::Number(value.to_string()),
                _ => Value::Str(text.to_owned()),
            },
            // A date alone is its first moment.
            Resolved::Timestamp(text) if text.len() == 10 => Value::Str(format!("{text}T00:00:00Z")),
            Resolved::Timestamp(text) | Resolved::Str(text) => Value::Str(text.to_owned()),
        },
    }
}

/// A part that claw keeps as it is: it can print it, and does nothing with it.
impl Shape for Value {
    fn decode(node: &Node, _: &mut Decoder<'_>) -> Option<Self> {
        Some(tree(node))
    }

    fn encode(&self) -> Option<Value> {
        Some(self.clone())
    }
}

impl Shape for String {
    fn decode(node: &Node, cx: &mut Decoder<'_>) -> Option<Self> {
        match node.scalar().map(crate::yaml::Scalar::resolve) {
            Some(Resolved::Str(text)) => Some(text.to_owned()),
            _ => {
                cx.wrong_type(node, "a string");
                None
            }
        }
    }

    fn encode(&self) -> Option<Value> {
        Some(Value::Str(self.clone()))
    }
}

impl Shape for bool {
    fn decode(node: &Node, cx: &mut Decoder<'_>) -> Option<Self> {
        let scalar = node.scalar();
        match scalar.map(crate::yaml::Scalar::resolve) {
            Some(Resolved::Bool(value)) => return Some(value),
            Some(Resolved::Str(text)) => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "y" => return Some(true),
                "false" | "no" | "off" | "n" => return Some(false),
                _ => cx.wrong_type(node, "a boolean"),
            },
            _ => cx.wrong_type(node, "a boolean"),
        }
        None
    }

    fn encode(&self) -> Option<Value> {
        Some(Value::Bool(*self))
    }
}

/// Numbers that the schema lets have decimals, which are then cut off.
const CUT: &[&str] = &["cpu_period", "cpu_quota", "cpu_shares", "pids_limit", "priority", "retries"];

impl Shape for i64 {
    fn decode(node: &Node, cx: &mut Decoder<'_>) -> Option<Self> {
        let scalar = node.scalar();
        match scalar.map(crate::yaml::Scalar::resolve) {
            Some(Resolved::Int(value)) => return Some(value),
            Some(Resolved::Float(text)) if !cx.path.keys().iter().any(|key| key == "ulimits") => {
                let value = text.parse::<f64>().unwrap_or(f64::NAN);
                let is_cut = cx.path.keys().last().is_some_and(|key| CUT.contains(&key.as_str()));
                if value.abs() < 9.0e18 && (value.fract() == 0.0 || is_cut) {
                    return Some(value as i64);
                }
                cx.wrong_type(node, "an integer");
            }
            Some(Resolved::Str(text)) => {
                if let Ok(value) = text.parse() {
                    return Some(value);
                }
                cx.wrong_type(node, "an integer");
            }
            _ => cx.wrong_type(node, "an integer"),
        }
        None
    }

    fn encode(&self) -> Option<Value> {
        Some(Value::Number(self.to_string()))
    }
}

/// A scalar that may be text or a number, as text: an integer in decimal digits, whatever its notation.
fn number<'n>(node: &'n Node, wanted: &str, cx: &mut Decoder<'_>) -> Option<std::borrow::Cow<'n, str>> {
    match node.scalar().map(crate::yaml::Scalar::resolve) {
        Some(Resolved::Int(value)) => Some(value.to_string().into()),
        _ => loose(node, wanted, cx).map(Into::into),
    }
}

/// A scalar that may be text or a number, kept as text.
fn loose<'n>(node: &'n Node, wanted: &str, cx: &mut Decoder<'_>) -> Option<&'n str> {
    match node.scalar().map(|scalar| (scalar.resolve(), scalar)) {
        Some((Resolved::Int(_) | Resolved::Float(_) | Resolved::Str(_), scalar)) => Some(scalar.text.as_str()),
        _ => {
            cx.wrong_type(node, wanted);
            None
        }
    }
}

macro_rules! quantity {
    ($($type:ty, $wanted:literal, $help:literal, $encode:expr;)+) => {$(
        impl Shape for $type {
            fn decode(node: &Node, cx: &mut Decoder<'_>) -> Option<Self> {
                let text = number(node, $wanted, cx)?;
                if <$type>::IS_TEXT && !matches!(node.scalar().map(crate::yaml::Scalar::resolve), Some(Resolved::Str(_))) {
                    cx.bad_value(node, &format!("is not {}: `{text}`", $wanted), $help);
                    return None;
                }
                let value = <$type>::parse(&text);
                if value.is_none() {
                    cx.bad_value(node, &format!("is not {}: `{text}`", $wanted), $help);
                }
                value
            }

            fn encode(&self) -> Option<Value> {
                let encode: fn(&$type) -> Value = $encode;
                Some(encode(self))
            }
        }
    )+};
}

quantity! {
    Duration, "a duration", "write numbers and units, such as `1m30s`", |duration| Value::Str(duration.to_string());
    Decimal, "a number", "write a number, such as `0.5`", |number| Value::Number(number.to_string());
    Cpus, "a number of CPUs", "write a number, such as `0.5`", |cpus| Value::Number(cpus.to_string());
}

impl Shape for Bytes {
    fn decode(node: &Node, cx: &mut Decoder<'_>) -> Option<Self> {
        let text = loose(node, "a size", cx)?;
        let value = match node.scalar().map(crate::yaml::Scalar::resolve) {
            Some(Resolved::Int(bytes)) => Some(Bytes(bytes)),
            // Compose takes a number with decimals for none.
            Some(Resolved::Float(text)) => {
                let is_whole = text.parse::<f64>().is_ok_and(|value| value.fract() == 0.0);
                let is_strict = cx
                    .path
                    .keys()
                    .last()
                    .is_some_and(|key| matches!(key.as_str(), "mem_reservation" | "mem_swappiness"));
                (is_whole || !is_strict).then_some(Bytes(0))
            }
            _ => Bytes::parse(text),
        };
        if value.is_none() {
            cx.bad_value(node, &format!("is not a size: `{text}`"), "write a number and a unit, such as `64m`");
        }
        value
    }

    fn encode(&self) -> Option<Value> {
        Some(Value::Str(self.0.to_string()))
    }
}

impl<T: Shape> Shape for Option<T> {
    fn decode(node: &Node, cx: &mut Decoder<'_>) -> Option<Self> {
        if node.is_null() {
            return Some(None);
        }
        T::decode(node, cx).map(Some)
    }

    /// An empty text is its absence, as it is to Go.
    fn encode(&self) -> Option<Value> {
        self.as_ref().and_then(T::encode).filter(|value| !matches!(value, Value::Str(text) if text.is_empty()))
    }
}

/// What few services have lies apart, so that a service stays small.
impl<T: Shape> Shape for Box<T> {
    fn decode(node: &Node, cx: &mut Decoder<'_>) -> Option<Self> {
        T::decode(node, cx).map(Self::new)
    }

    fn encode(&self) -> Option<Value> {
        T::encode(self)
    }

    fn set_key(&mut self, key: Span) {
        T::set_key(self, key);
    }
}

impl<T: Shape> Shape for Vec<T> {
    fn decode(node: &Node, cx: &mut Decoder<'_>) -> Option<Self> {
        let Kind::Seq(items) = &node.kind else {
            cx.wrong_type(node, "a list");
            return None;
        };
        let decode = |(index, item): (usize, &Node)| cx.at_index(index, |cx| T::decode(item, cx));
        Some(items.iter().enumerate().filter_map(decode).collect())
    }

    fn encode(&self) -> Option<Value> {
        if self.is_empty() { None } else { Some(Value::List(self.iter().filter_map(T::encode).collect())) }
    }
}

impl<T: Shape> Shape for BTreeMap<String, T> {
    fn decode(node: &Node, cx: &mut Decoder<'_>) -> Option<Self> {
        let entries = open(node, cx)?;
        let mut made = BTreeMap::new();
        for entry in entries {
            if let Some(mut value) = cx.at(&entry.key, |cx| T::decode(&entry.value, cx)) {
                value.set_key(entry.key_span);
                made.insert(entry.key.clone(), value);
            }
        }
        Some(made)
    }

    fn encode(&self) -> Option<Value> {
        if self.is_empty() {
            return None;
        }
        Some(Value::Map(
            self.iter().map(|(key, value)| (key.clone().into(), value.encode().unwrap_or(Value::Null))).collect(),
        ))
    }
}

/// A value of a mapping that may be nothing, such as a variable without `=`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Maybe<T>(pub Option<T>);

impl<T: Shape> Shape for Maybe<T> {
    fn decode(node: &Node, cx: &mut Decoder<'_>) -> Option<Self> {
        Option::<T>::decode(node, cx).map(Self)
    }

    fn encode(&self) -> Option<Value> {
        Some(self.0.as_ref().and_then(T::encode).unwrap_or(Value::Null))
    }

    fn set_key(&mut self, key: Span) {
        self.0.iter_mut().for_each(|value| value.set_key(key));
    }
}

/// A list whose emptiness is not its absence, such as `command: []`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Argv(pub Vec<String>);

impl Shape for Argv {
    fn decode(node: &Node, cx: &mut Decoder<'_>) -> Option<Self> {
        Vec::decode(node, cx).map(Self)
    }

    fn encode(&self) -> Option<Value> {
        Some(Value::List(self.0.iter().map(|each| Value::Str(each.clone())).collect()))
    }
}

impl Shape for Template {
    fn decode(node: &Node, cx: &mut Decoder<'_>) -> Option<Self> {
        let text = loose(node, "a string or a number", cx)?;
        if !(cx.keep)(cx.path.keys(), node.span) {
            return Some(Template::literal(text));
        }
        match Template::parse(text) {
            Ok(template) => Some(template),
            Err(_) => {
                crate::load::interpolate::bad_template(node, text, cx);
                None
            }
        }
    }

    fn encode(&self) -> Option<Value> {
        Some(match self.as_literal() {
            Some(text) => Value::Str(text.to_owned()),
            None => Value::Template(self.clone()),
        })
    }
}
