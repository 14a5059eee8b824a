//! A JSON Schema in a few words: `{id: integer, title: string(1..100 chars), tags?: [string]}`. What it names it calls by name
//! where names are explained elsewhere, else it is shown in place; depth and length are bounded.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::text::{aside, code, prose};
use super::tree::Tree;

/// How deep a schema is shown, and how many properties, values and alternatives of it.
const DEPTH: usize = 6;
const PROPERTIES: usize = 40;
const VALUES: usize = 16;
/// The most characters of one shape, and of a value in it.
pub(crate) const SHAPE: usize = 1200;
const VALUE: usize = 60;

/// Where names of schemas are kept in a document.
const PLACES: &[&str] = &["#/components/schemas/", "#/definitions/", "#/$defs/"];

/// Schemas of one document.
pub(crate) struct Schemas<'t> {
    root: &'t Tree,
    /// Names that were used and are explained elsewhere; nothing where each schema is shown in place.
    used: Option<RefCell<BTreeSet<&'t str>>>,
}

impl<'t> Schemas<'t> {
    /// Returns the schemas of a document that explains its names.
    pub(crate) fn named(root: &'t Tree) -> Self {
        Self { root, used: Some(RefCell::default()) }
    }

    /// Returns those of one that stands alone.
    pub(crate) fn inline(root: &'t Tree) -> Self {
        Self { root, used: None }
    }

    /// Returns the references that were shown as names so far.
    pub(crate) fn used(&self) -> BTreeSet<&'t str> {
        self.used.as_ref().map(|used| used.borrow().clone()).unwrap_or_default()
    }

    /// Returns a schema in a few words, between backticks.
    pub(crate) fn shape(&self, schema: &'t Tree) -> String {
        let mut out = String::new();
        self.push(schema, 0, &mut out);
        code(&out, SHAPE)
    }

    fn push(&self, schema: &'t Tree, depth: usize, out: &mut String) {
        // A schema may be wide at every level: what is longer than is shown need not be made.
        if depth > DEPTH || out.len() > SHAPE * 2 {
            return out.push('…');
        }
        if let Some(reference) = schema.text_of("$ref") {
            return self.referred(schema, reference, depth, out);
        }
        match schema {
            Tree::Bool(true) => return out.push_str("any"),
            Tree::Bool(false) => return out.push_str("nothing"),
            _ => {}
        }
        if let Some(value) = schema.get("const") {
            return out.push_str(&value.json(VALUE));
        }
        let values = schema.get("enum").map_or(&[][..], Tree::items);
        if !values.is_empty() {
            let mut shown: Vec<String> = values.iter().take(VALUES).map(|value| value.json(VALUE)).collect();
            if values.len() > VALUES {
                shown.push(format!("… {} more", values.len() - VALUES));
            }
            return out.push_str(&shown.join(" | "));
        }
        let has_parts =
            ["allOf", "oneOf", "anyOf"].iter().any(|key| !schema.get(key).map_or(&[][..], Tree::items).is_empty());
        let start = out.len();
        if has_parts {
            self.parts(schema, depth, out);
            if schema.get("properties").is_some_and(|own| !own.entries().is_empty()) {
                out.push_str(" & ");
                self.object(schema, depth, out);
            }
        } else {
            self.typed(schema, depth, out);
        }
        if schema.is_set("nullable") && out.len() > start {
            out.push_str(" | null");
        }
    }

    fn referred(&self, schema: &'t Tree, reference: &'t str, depth: usize, out: &mut String) {
        let name = PLACES.iter().find_map(|place| reference.strip_prefix(place)).filter(|name| !name.contains('/'));
        if let (Some(used), Some(name)) = (&self.used, name) {
            if self.root.at(reference).is_none() {
                return out.push_str(&format!("{} (not described)", prose(name, VALUE)));
            }
            used.borrow_mut().insert(reference);
            return out.push_str(&prose(name, VALUE));
        }
        match schema.resolved(self.root) {
            Some(found) => self.push(found, depth + 1, out),
            None => out.push_str(&format!("{} (not described)", prose(reference, VALUE))),
        }
    }

    fn parts(&self, schema: &'t Tree, depth: usize, out: &mut String) {
        let mut is_first = true;
        for (key, between) in [("allOf", " & "), ("oneOf", " | "), ("anyOf", " | ")] {
            let parts = schema.get(key).map_or(&[][..], Tree::items);
            let has_brackets = parts.len() > 1 && (depth > 0 || !is_first);
            if !parts.is_empty() {
                out.push_str(if is_first { "" } else { " & " });
                out.push_str(if has_brackets { "(" } else { "" });
            }
            for (index, part) in parts.iter().take(VALUES).enumerate() {
                out.push_str(if index == 0 { "" } else { between });
                self.push(part, depth + 1, out);
            }
            if parts.len() > VALUES {
                out.push_str(&format!("{between}…"));
            }
            out.push_str(if has_brackets { ")" } else { "" });
            is_first &= parts.is_empty();
        }
    }

    fn typed(&self, schema: &'t Tree, depth: usize, out: &mut String) {
        let kinds: Vec<&str> = match schema.get("type") {
            Some(Tree::Text(kind, _)) => vec![kind],
            Some(Tree::List(kinds)) => kinds.iter().filter_map(Tree::text).take(VALUES).collect(),
            _ if schema.get("properties").is_some() || schema.get("additionalProperties").is_some() => vec!["object"],
            _ if schema.get("items").is_some() || schema.get("prefixItems").is_some() => vec!["array"],
            _ => vec!["any"],
        };
        for (index, kind) in kinds.iter().enumerate() {
            out.push_str(if index == 0 { "" } else { " | " });
            match *kind {
                "object" => self.object(schema, depth, out),
                "array" => self.array(schema, depth, out),
                other => {
                    out.push_str(&prose(other, VALUE));
                    out.push_str(&bounds(schema, other));
                }
            }
        }
    }

    fn object(&self, schema: &'t Tree, depth: usize, out: &mut String) {
        let own = schema.get("properties").map_or(&[][..], Tree::entries);
        let rest = schema.get("additionalProperties").filter(|rest| **rest != Tree::Bool(false));
        if own.is_empty() && rest.is_none_or(|rest| *rest == Tree::Bool(true)) {
            return out.push_str("object");
        }
        let required = required(schema);
        out.push('{');
        for (index, (name, value)) in own.iter().take(PROPERTIES).enumerate() {
            out.push_str(if index == 0 { "" } else { ", " });
            out.push_str(&prose(name, VALUE));
            out.push_str(if required.contains(name.as_str()) { ": " } else { "?: " });
            self.push(value, depth + 1, out);
        }
        if own.len() > PROPERTIES {
            out.push_str(&format!(", … {} more", own.len() - PROPERTIES));
        }
        if let Some(rest) = rest.filter(|rest| **rest != Tree::Bool(true)) {
            out.push_str(if own.is_empty() { "[name]: " } else { ", [name]: " });
            self.push(rest, depth + 1, out);
        }
        out.push('}');
    }

    fn array(&self, schema: &'t Tree, depth: usize, out: &mut String) {
        let first = schema.get("prefixItems").map_or(&[][..], Tree::items);
        out.push('[');
        for (index, item) in first.iter().take(VALUES).enumerate() {
            out.push_str(if index == 0 { "" } else { ", " });
            self.push(item, depth + 1, out);
        }
        match schema.get("items") {
            Some(items) if first.is_empty() => self.push(items, depth + 1, out),
            _ if first.is_empty() => out.push_str("any"),
            _ => {}
        }
        out.push(']');
        out.push_str(&span(schema, ("minItems", "maxItems"), " items"));
    }

    /// Returns a line for each property of an object: its name, shape, what holds for it, and what is said of it. Nothing where the
    /// schema is no plain object.
    pub(crate) fn properties(&self, schema: &'t Tree, indent: &str) -> Option<String> {
        let own = schema.get("properties")?.entries();
        let is_plain = ["allOf", "oneOf", "anyOf"].iter().all(|key| schema.get(key).is_none());
        if own.is_empty() || !is_plain {
            return None;
        }
        let required = required(schema);
        let mut out = String::new();
        for (name, value) in own.iter().take(PROPERTIES) {
            let is_required = required.contains(name.as_str());
            out.push_str(&format!("{indent}- {}{}\n", code(name, VALUE), self.facts(value, is_required, &[])));
        }
        if own.len() > PROPERTIES {
            out.push_str(&format!("{indent}- … {} more\n", own.len() - PROPERTIES));
        }
        Some(out)
    }

    /// Returns what is known of a value: ` (query, `integer(1..100)`, required, default `20`): what is said of it`.
    pub(crate) fn facts(&self, schema: &'t Tree, is_required: bool, before: &[String]) -> String {
        let mut facts = before.to_vec();
        facts.push(self.shape(schema));
        let seen = schema.resolved(self.root).unwrap_or(schema);
        if is_required {
            facts.push("required".to_owned());
        }
        for (key, word) in [("readOnly", "read-only"), ("writeOnly", "write-only"), ("deprecated", "deprecated")] {
            if seen.is_set(key) {
                facts.push(word.to_owned());
            }
        }
        if let Some(default) = seen.get("default") {
            facts.push(format!("default {}", code(&default.json(VALUE), VALUE)));
        }
        let said = schema.text_of("description").or(seen.text_of("description"));
        let said = said.or(schema.text_of("title")).map(|text| prose(text, 300)).filter(|text| !text.is_empty());
        format!("{}{}", aside(&facts), said.map_or_else(String::new, |said| format!(": {said}")))
    }
}

fn required(schema: &Tree) -> BTreeSet<&str> {
    schema.get("required").map_or(&[][..], Tree::items).iter().filter_map(Tree::text).collect()
}

/// Returns `(1..100)`, `(date-time)`, `(1..64 chars, /^a/)`.
fn bounds(schema: &Tree, kind: &str) -> String {
    let mut facts = Vec::new();
    facts.extend(schema.text_of("format").map(|format| prose(format, VALUE)));
    match kind {
        "string" => {
            facts.push(inner(schema, ("minLength", "maxLength"), " chars"));
            facts.extend(schema.text_of("pattern").map(|pattern| format!("/{}/", prose(pattern, VALUE))));
        }
        "integer" | "number" => {
            facts.push(inner(schema, ("minimum", "maximum"), ""));
            // A number since 3.1, before that a word about `minimum`.
            let edge = |key: &str, sign: &str| match schema.get(key) {
                Some(Tree::Number(number)) => Some(format!("{sign}{}", prose(number, VALUE))),
                Some(Tree::Bool(true)) => Some(format!("{sign}edge")),
                _ => None,
            };
            facts.extend(edge("exclusiveMinimum", ">"));
            facts.extend(edge("exclusiveMaximum", "<"));
        }
        _ => {}
    }
    facts.retain(|fact| !fact.is_empty());
    if facts.is_empty() { String::new() } else { format!("({})", facts.join(", ")) }
}

fn inner(schema: &Tree, (least, most): (&str, &str), what: &str) -> String {
    let number = |key: &str| match schema.get(key) {
        Some(Tree::Number(number)) => Some(prose(number, VALUE)),
        _ => None,
    };
    match (number(least), number(most)) {
        (None, None) => String::new(),
        (least, most) => format!("{}..{}{what}", least.unwrap_or_default(), most.unwrap_or_default()),
    }
}

fn span(schema: &Tree, keys: (&str, &str), what: &str) -> String {
    let inner = inner(schema, keys, what);
    if inner.is_empty() { inner } else { format!("({inner})") }
}
