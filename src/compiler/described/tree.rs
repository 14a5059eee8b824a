//! A JSON or YAML document of somebody else's as one kind of tree, keys in the order written, within bounds.

use std::fmt;

use claw_compose::yaml::{self, Kind, Node, Resolved};
use claw_types::diag::Diagnostics;
use claw_types::doc::{json_string, line};
use claw_types::span::{Source, Span};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// The most bytes of a description.
pub(crate) const LIMIT: usize = 1024 * 1024;
/// The most values in one: aliases of YAML may make many of few bytes.
const NODES: usize = 200_000;
/// The most parts of a path that is followed, and the most references one after the other.
const STEPS: usize = 16;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tree {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A number as it is written.
    Number(String),
    /// Text; its place where the document is YAML.
    Text(String, Option<Span>),
    /// A list.
    List(Vec<Tree>),
    /// A mapping.
    Map(Vec<(String, Tree)>),
}

impl Tree {
    /// Returns the tree of a text. The error goes on after the document's name: "is empty".
    pub(crate) fn parse(source: &Source) -> Result<Self, String> {
        if source.text.len() > LIMIT {
            return Err(format!("is longer than {} KiB", LIMIT / 1024));
        }
        let text = source.text.trim_start_matches('\u{feff}').trim_start();
        if text.is_empty() {
            return Err("is empty".to_owned());
        }
        // YAML reads JSON too, but for escapes of characters in two halves.
        if text.starts_with(['{', '['])
            && let Ok(tree) = serde_json::from_str::<Tree>(text)
        {
            return if tree.count() > NODES { Err(too_many()) } else { Ok(tree) };
        }
        let mut diag = Diagnostics::new();
        let Ok(node) = yaml::parse_foreign(source, &mut diag) else {
            let first = diag.iter().next().map_or_else(String::new, |first| first.message.clone());
            return Err(format!("cannot be read: {}", line(&first)));
        };
        if node.count() > NODES {
            return Err(too_many());
        }
        Ok(Self::of(&node))
    }

    fn of(node: &Node) -> Self {
        match &node.kind {
            Kind::Seq(items) => Tree::List(items.iter().map(Tree::of).collect()),
            Kind::Map(entries) => {
                Tree::Map(entries.iter().map(|entry| (entry.key.clone(), Tree::of(&entry.value))).collect())
            }
            Kind::Scalar(scalar) => match scalar.resolve() {
                Resolved::Null => Tree::Null,
                Resolved::Bool(value) => Tree::Bool(value),
                Resolved::Int(number) => Tree::Number(number.to_string()),
                Resolved::Float(text) => Tree::Number(text.to_owned()),
                Resolved::Timestamp(text) | Resolved::Str(text) => Tree::Text(text.to_owned(), Some(node.span)),
            },
        }
    }

    /// Returns the value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&Tree> {
        self.entries().iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Returns the text of a key, where it is text that says something.
    pub(crate) fn text_of(&self, key: &str) -> Option<&str> {
        self.get(key)?.text().filter(|text| !text.trim().is_empty())
    }

    /// Returns whether a key is set to true.
    pub(crate) fn is_set(&self, key: &str) -> bool {
        self.get(key) == Some(&Tree::Bool(true))
    }

    /// Returns the entries of a mapping; none of anything else.
    pub(crate) fn entries(&self) -> &[(String, Tree)] {
        match self {
            Tree::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Returns the items of a list; none of anything else.
    pub(crate) fn items(&self) -> &[Tree] {
        match self {
            Tree::List(items) => items,
            _ => &[],
        }
    }

    /// Returns the text, where it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Tree::Text(text, _) => Some(text),
            _ => None,
        }
    }

    /// Returns a scalar as it is written.
    pub(crate) fn scalar(&self) -> Option<String> {
        match self {
            Tree::Text(text, _) | Tree::Number(text) => Some(text.clone()),
            Tree::Bool(value) => Some(value.to_string()),
            Tree::Null => Some("null".to_owned()),
            Tree::List(_) | Tree::Map(_) => None,
        }
    }

    /// Returns what a value refers to inside its document, or the value itself where it refers to nothing; nothing where
    /// it leads nowhere, to another document, or round in circles.
    pub(crate) fn resolved<'t>(&'t self, root: &'t Tree) -> Option<&'t Tree> {
        let mut here = self;
        for _ in 0..STEPS {
            match here.text_of("$ref") {
                Some(reference) => here = root.at(reference)?,
                None => return Some(here),
            }
        }
        None
    }

    /// Returns what is at a reference `#/a/b`.
    pub(crate) fn at(&self, reference: &str) -> Option<&Tree> {
        let path = reference.strip_prefix("#/")?;
        let mut here = self;
        for part in path.split('/').take(STEPS) {
            let part = decoded(part);
            here = match here {
                Tree::List(items) => items.get(part.parse::<usize>().ok()?)?,
                other => other.get(&part)?,
            };
        }
        (path.split('/').count() <= STEPS).then_some(here)
    }

    /// Returns the value as JSON on one line, as long as it is no longer than `limit` bytes: what is more is cut.
    pub(crate) fn json(&self, limit: usize) -> String {
        let mut out = String::new();
        self.push_json(&mut out, limit);
        if out.len() > limit {
            let end = (0..=limit).rev().find(|at| out.is_char_boundary(*at)).unwrap_or(0);
            out.truncate(end);
            out.push('…');
        }
        out
    }

    fn push_json(&self, out: &mut String, limit: usize) {
        if out.len() > limit {
            return;
        }
        match self {
            Tree::Null => out.push_str("null"),
            Tree::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Tree::Number(number) => out.push_str(number),
            Tree::Text(text, _) => out.push_str(&json_string(text)),
            Tree::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index == 0 { "[" } else { "," });
                    item.push_json(out, limit);
                }
                out.push_str(if items.is_empty() { "[]" } else { "]" });
            }
            Tree::Map(entries) => {
                for (index, (key, value)) in entries.iter().enumerate() {
                    out.push_str(if index == 0 { "{" } else { "," });
                    out.push_str(&json_string(key));
                    out.push(':');
                    value.push_json(out, limit);
                }
                out.push_str(if entries.is_empty() { "{}" } else { "}" });
            }
        }
    }

    fn count(&self) -> usize {
        match self {
            Tree::List(items) => 1 + items.iter().map(Tree::count).sum::<usize>(),
            Tree::Map(entries) => 1 + entries.iter().map(|(_, value)| value.count()).sum::<usize>(),
            _ => 1,
        }
    }

    /// Hands over every text and every key of the document, each with its place where that is known.
    pub(crate) fn texts<'t>(&'t self, found: &mut Vec<(&'t str, Option<Span>)>) {
        match self {
            Tree::Text(text, at) => found.push((text, *at)),
            Tree::List(items) => items.iter().for_each(|item| item.texts(found)),
            Tree::Map(entries) => {
                for (key, value) in entries {
                    found.push((key, None));
                    value.texts(found);
                }
            }
            Tree::Null | Tree::Bool(_) | Tree::Number(_) => {}
        }
    }
}

fn too_many() -> String {
    format!("holds more than {NODES} values")
}

/// A part of a JSON pointer in a URI: `~1`, `~0` and `%20`.
fn decoded(part: &str) -> String {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).replace("~1", "/").replace("~0", "~")
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Number(value.to_string()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Number(value.to_string()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Number(value.to_string()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Text(value.to_owned(), None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry::<String, Tree>()? {
            entries.push(entry);
        }
        Ok(Tree::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use claw_types::span::SourceMap;

    use super::*;

    fn parse(text: &str) -> Result<Tree, String> {
        let mut sources = SourceMap::new();
        let file = sources.add("x", text);
        Tree::parse(sources.get(file).expect("a source"))
    }

    #[test]
    fn json_and_yaml_are_one_tree_in_the_order_written() {
        let json = parse(r#"{"b": [1, 2.5, "x"], "a": {"c": null, "d": true}}"#).expect("json");
        let yaml = parse("b: [1, 2.5, x]\na: {c: null, d: true}\n").expect("yaml");
        assert_eq!(json.json(100), r#"{"b":[1,2.5,"x"],"a":{"c":null,"d":true}}"#);
        assert_eq!(yaml.json(100), json.json(100));
        assert_eq!(parse("{\"a\": \"\\ud83d\\ude00\"}").expect("json").text_of("a"), Some("\u{1f600}"));
        assert_eq!(json.json(10), "{\"b\":[1,2.…");
    }

    #[test]
    fn references_are_followed_inside_the_document_and_never_in_circles() {
        let tree = parse("a: {$ref: '#/b/c~1d/0'}\nb: {c/d: [{x: 1}]}\nl: {$ref: '#/m'}\nm: {$ref: '#/l'}\n");
        let tree = tree.expect("yaml");
        let to = |key: &str| tree.get(key).and_then(|value| value.resolved(&tree));
        assert_eq!(to("a").map(|found| found.json(50)), Some("{\"x\":1}".to_owned()));
        assert_eq!(to("l"), None);
        for nowhere in ["other.yml#/a", "#/z", "#", "#/b/c~1d/9", "%", "#/%zz"] {
            assert_eq!(tree.at(nowhere), None, "{nowhere}");
        }
    }

    #[test]
    fn what_is_too_much_is_refused() {
        assert_eq!(parse(" \n"), Err("is empty".to_owned()));
        assert_eq!(parse(&"a".repeat(LIMIT + 1)), Err("is longer than 1024 KiB".to_owned()));
        assert_eq!(parse(&format!("[{}1]", "1,".repeat(NODES))), Err("holds more than 200000 values".to_owned()));
        assert!(parse(&"[".repeat(5000)).is_err());
        assert!(parse("a: [").is_err_and(|why| why.starts_with("cannot be read: ")));
    }
}
