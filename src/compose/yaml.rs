//! YAML text to a tree in which every node knows its place. The only module that names the YAML parser.
//!
//! Anchors, aliases and merge keys are resolved here, so nothing after this file knows of them. A key that stands twice is
//! an error, with both places. Aliases are copies, counted against a budget, so a "billion laughs" file ends at once.

mod fault;

use std::borrow::Cow;
use std::collections::BTreeMap;

use claw_types::diag::{Code, Diagnostic, Diagnostics, Reported};
use claw_types::span::{Source, Span};
use granit_parser::{Event, Parser, ScalarStyle, Tag};

/// The most nodes that aliases and merges may copy.
const EXPANSION_BUDGET: usize = 1_000_000;
/// The deepest nesting a file may have.
const DEPTH_LIMIT: usize = 100;

/// A node of the tree. Two nodes are equal where their values are, wherever they stand.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it holds.
    pub kind: Kind,
    /// Where it was written; for an alias, where the alias stands.
    pub span: Span,
    /// Its tag without the leading `!`, such as `reset`.
    pub tag: Option<String>,
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.tag == other.tag
    }
}

impl Eq for Node {}

/// What a node holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A scalar.
    Scalar(Scalar),
    /// A sequence.
    Seq(Vec<Node>),
    /// A mapping, in the order written.
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub key_span: Span,
    /// Its value.
    pub value: Node,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.value == other.value
    }
}

impl Eq for Entry {}

/// A scalar: its text, and whether quotes or a block make it a string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// The text, escapes resolved.
    pub text: String,
    /// It has neither quotes nor a block indicator, so it may be a number, a boolean or null.
    pub is_plain: bool,
}

/// What a scalar is by the rules of go-yaml, which compose follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolved<'t> {
    /// Nothing.
    Null,
    /// A boolean; YAML 1.1's other words (`yes`, `off`) are text that a boolean may be read from.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A number that is no integer, as written.
    Float(&'t str),
    /// A date or a time, as written.
    Timestamp(&'t str),
    /// Text.
    Str(&'t str),
}

impl Scalar {
    /// Returns whether the scalar is text and nothing else.
    pub fn is_text(&self) -> bool {
        matches!(self.resolve(), Resolved::Str(_))
    }

    /// Returns what the scalar is.
    pub fn resolve(&self) -> Resolved<'_> {
        if !self.is_plain {
            return Resolved::Str(&self.text);
        }
        let text = self.text.as_str();
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Resolved::Null,
            "true" | "True" | "TRUE" => return Resolved::Bool(true),
            "false" | "False" | "FALSE" => return Resolved::Bool(false),
            ".inf" | ".Inf" | "-.inf" | ".nan" | ".NaN" => return Resolved::Float(text),
            _ => {}
        }
        if !text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '-' | '+' | '.')) {
            return Resolved::Str(text);
        }
        integer(text).map_or_else(|| number_or_text(text), Resolved::Int)
    }
}

fn integer(text: &str) -> Option<i64> {
    let plain = text.replace('_', "");
    let (sign, digits) = match plain.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let parse = |digits: &str, radix| {
        let is_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if is_digits { i64::from_str_radix(digits, radix).ok() } else { None }
    };
    let value = if let Some(hex) = digits.strip_prefix("0x") {
        parse(hex, 16)
    } else if let Some(octal) = digits.strip_prefix("0o") {
        parse(octal, 8)
    } else if let Some(binary) = digits.strip_prefix("0b") {
        parse(binary, 2)
    } else if digits.len() > 1 && digits.starts_with('0') {
        parse(&digits[1..], 8)
    } else {
        parse(digits, 10)
    };
    value.map(|value| sign * value)
}

fn number_or_text(text: &str) -> Resolved<'_> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E'))
        && text.bytes().any(|byte| byte.is_ascii_digit())
        && text.parse::<f64>().is_ok();
    if is_number {
        return Resolved::Float(text);
    }
    let digits = |range: std::ops::Range<usize>| {
        text.get(range).is_some_and(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let is_date =
        digits(0..4) && text.get(4..5) == Some("-") && digits(5..7) && text.get(7..8) == Some("-") && digits(8..10);
    if is_date { Resolved::Timestamp(text) } else { Resolved::Str(text) }
}

impl Node {
    /// Returns a node that is text, at a place.
    pub fn text(text: impl Into<String>, span: Span) -> Self {
        Self { kind: Kind::Scalar(Scalar { text: text.into(), is_plain: false }), span, tag: None }
    }

    /// Returns a node that is nothing, at a place.
    pub fn null(span: Span) -> Self {
        Self { kind: Kind::Scalar(Scalar { text: String::new(), is_plain: true }), span, tag: None }
    }

    /// Returns a mapping at a place.
    pub fn map(entries: Vec<Entry>, span: Span) -> Self {
        Self { kind: Kind::Map(entries), span, tag: None }
    }

    /// Returns the value of a key, where this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// Returns a key with its value, where this is a mapping that has it.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// Returns the entries of a mapping; none for anything else.
    pub fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Map(entries) => entries,
            Kind::Scalar(_) | Kind::Seq(_) => &[],
        }
    }

    /// Returns the items of a sequence; none for anything else.
    pub fn items(&self) -> &[Node] {
        match &self.kind {
            Kind::Seq(items) => items,
            Kind::Scalar(_) | Kind::Map(_) => &[],
        }
    }

    /// Returns the scalar, where this is one.
    pub fn scalar(&self) -> Option<&Scalar> {
        match &self.kind {
            Kind::Scalar(scalar) => Some(scalar),
            Kind::Seq(_) | Kind::Map(_) => None,
        }
    }

    /// Returns whether this is nothing.
    pub fn is_null(&self) -> bool {
        self.scalar().is_some_and(|scalar| scalar.resolve() == Resolved::Null)
    }

    /// Returns how many nodes this is, with what it holds.
    pub fn count(&self) -> usize {
        match &self.kind {
            Kind::Scalar(_) => 1,
            Kind::Seq(items) => 1 + items.iter().map(Node::count).sum::<usize>(),
            Kind::Map(entries) => 1 + entries.iter().map(|entry| entry.value.count()).sum::<usize>(),
        }
    }

    /// Returns whether two nodes mean the same: the order of keys and the kind of quotes do not count.
    pub fn means(&self, other: &Node) -> bool {
        match (&self.kind, &other.kind) {
            (Kind::Scalar(left), Kind::Scalar(right)) => left.resolve() == right.resolve(),
            (Kind::Seq(left), Kind::Seq(right)) => {
                left.len() == right.len() && left.iter().zip(right).all(|(left, right)| left.means(right))
            }
            (Kind::Map(left), Kind::Map(right)) => {
                left.len() == right.len()
                    && left.iter().all(|entry| other.get(&entry.key).is_some_and(|value| entry.value.means(value)))
            }
            _ => false,
        }
    }

    /// Returns the word for what this is, for messages.
    pub fn type_name(&self) -> &'static str {
        match &self.kind {
            Kind::Seq(_) => "a list",
            Kind::Map(_) => "a mapping",
            Kind::Scalar(scalar) => match scalar.resolve() {
                Resolved::Null => "nothing",
                Resolved::Bool(_) => "a boolean",
                Resolved::Int(_) => "an integer",
                Resolved::Float(_) => "a number",
                Resolved::Timestamp(_) => "a date",
                Resolved::Str(_) => "a string",
            },
        }
    }
}

/// Returns the documents of a text; a text that says nothing has none.
///
/// # Errors
/// Where the text is not YAML, repeats a key, or expands beyond the budget.
pub fn documents(source: &Source, diag: &mut Diagnostics) -> Result<Vec<Node>, Reported> {
    built(source, false, diag)
}

/// Returns the first document of a text that compose has no part in: there a key may be a number, `200:` as OpenAPI has it.
///
/// # Errors
/// Where the text is not YAML, repeats a key, or expands beyond the budget.
pub fn parse_foreign(source: &Source, diag: &mut Diagnostics) -> Result<Node, Reported> {
    let documents = built(source, true, diag)?;
    Ok(documents.into_iter().next().unwrap_or_else(|| Node::map(Vec::new(), Span::start_of(source.id))))
}

fn built(source: &Source, is_foreign: bool, diag: &mut Diagnostics) -> Result<Vec<Node>, Reported> {
    let text = source.text.strip_prefix('\u{feff}').unwrap_or(&source.text);
    let mut builder = Builder {
        source,
        offset: source.text.len() - text.len(),
        anchors: BTreeMap::new(),
        nodes: 0,
        expanded: 0,
        mark: diag.mark(),
        is_foreign,
    };
    let mut parser = Parser::new_from_str(text);
    let mut documents = Vec::new();
    loop {
        match builder.next(&mut parser, diag)? {
            Some((Event::StreamEnd, _)) | None => break,
            Some((Event::DocumentStart(..), _)) => {
                builder.anchors.clear();
                documents.push(builder.node(&mut parser, diag, 0)?);
            }
            Some(_) => {}
        }
    }
    // A file may say nothing; one of several documents may not.
    if documents.len() == 1 {
        documents.retain(|document| !document.is_null());
    }
    diag.finish(builder.mark, documents)
}

/// Returns the first document of a text; an empty text is an empty mapping.
///
/// # Errors
/// Where the text is not YAML, repeats a key, or expands beyond the budget.
pub fn parse(source: &Source, diag: &mut Diagnostics) -> Result<Node, Reported> {
    let documents = documents(source, diag)?;
    Ok(documents.into_iter().next().unwrap_or_else(|| Node::map(Vec::new(), Span::start_of(source.id))))
}

type Events<'t> = Parser<'t, granit_parser::StrInput<'t>>;

struct Builder<'s> {
    source: &'s Source,
    offset: usize,
    anchors: BTreeMap<usize, (Node, usize)>,
    /// Nodes so far, copies too.
    nodes: usize,
    /// Of these, copies.
    expanded: usize,
    mark: claw_types::diag::Mark,
    /// A key may be any scalar.
    is_foreign: bool,
}

impl Builder<'_> {
    fn next<'t>(
        &mut self,
        parser: &mut Events<'t>,
        diag: &mut Diagnostics,
    ) -> Result<Option<(Event<'t>, Span)>, Reported> {
        match parser.next_event() {
            None => Ok(None),
            Some(Ok((event, span))) => Ok(Some((event, self.span(&span)))),
            Some(Err(error)) => {
                let at = self.at(error.marker());
                let (cause, help, at) = fault::explain(error.kind(), &self.source.text, at);
                let span = Span::new(self.source.id, at, at);
                let message = format!("this is not YAML: {cause}");
                Err(diag.report(Diagnostic::error(Code::YamlSyntax, span, message).help(help)))
            }
        }
    }

    fn at(&self, marker: &granit_parser::Marker) -> usize {
        let mut at = (marker.byte_offset().unwrap_or(marker.index()) + self.offset).min(self.source.text.len());
        while !self.source.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }

    fn span(&self, span: &granit_parser::Span) -> Span {
        Span::new(self.source.id, self.at(&span.start), self.at(&span.end))
    }

    /// Counts a node that is written; a text has no more of them than bytes, so their number needs no limit.
    fn descend(&mut self, depth: usize, span: Span, diag: &mut Diagnostics) -> Result<(), Reported> {
        self.nodes += 1;
        if depth > DEPTH_LIMIT {
            let message = format!("nested deeper than {DEPTH_LIMIT} levels");
            let help = "write it flatter; no key of a compose file is that deep";
            return Err(diag.report(Diagnostic::error(Code::YamlBudget, span, message).help(help)));
        }
        Ok(())
    }

    /// Counts the nodes that an alias or a merge copies.
    fn expand(&mut self, nodes: usize, span: Span, diag: &mut Diagnostics) -> Result<(), Reported> {
        self.nodes += nodes;
        self.expanded += nodes;
        if self.expanded > EXPANSION_BUDGET {
            let message = format!("aliases expand to more than {EXPANSION_BUDGET} nodes");
            let help = "aliases that hold aliases multiply; write the values out";
            return Err(diag.report(Diagnostic::error(Code::YamlBudget, span, message).help(help)));
        }
        Ok(())
    }

    fn node(&mut self, parser: &mut Events<'_>, diag: &mut Diagnostics, depth: usize) -> Result<Node, Reported> {
        match self.next(parser, diag)? {
            Some((event, span)) => self.node_of(event, span, parser, diag, depth),
            None => Ok(Node::null(Span::start_of(self.source.id))),
        }
    }

    fn node_of(
        &mut self,
        event: Event<'_>,
        span: Span,
        parser: &mut Events<'_>,
        diag: &mut Diagnostics,
        depth: usize,
    ) -> Result<Node, Reported> {
        let before = self.nodes;
        self.descend(depth, span, diag)?;
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag_name(tag);
                let is_string = tag.as_deref() == Some("!str");
                let scalar = Scalar { text: text.into_owned(), is_plain: style == ScalarStyle::Plain && !is_string };
                (Node { kind: Kind::Scalar(scalar), span, tag }, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => (self.sequence(span, tag_name(tag), parser, diag, depth)?, anchor),
            Event::MappingStart(_, anchor, tag) => (self.mapping(span, tag_name(tag), parser, diag, depth)?, anchor),
            Event::Alias(id) => return self.alias(id, span, diag, depth),
            _ => (Node::null(span), 0),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), self.nodes - before));
        }
        Ok(node)
    }

    fn alias(&mut self, id: usize, span: Span, diag: &mut Diagnostics, depth: usize) -> Result<Node, Reported> {
        let Some((node, size)) = self.anchors.get(&id) else {
            return Err(diag.report(
                Diagnostic::error(Code::YamlSyntax, span, "this alias is inside its own anchor")
                    .help("write the value out"),
            ));
        };
        let (size, mut node) = (*size, node.clone());
        self.descend(depth, span, diag)?;
        self.expand(size, span, diag)?;
        node.span = span;
        Ok(node)
    }

    fn sequence(
        &mut self,
        span: Span,
        tag: Option<String>,
        parser: &mut Events<'_>,
        diag: &mut Diagnostics,
        depth: usize,
    ) -> Result<Node, Reported> {
        let mut items = Vec::new();
        let mut whole = span;
        loop {
            match self.next(parser, diag)? {
                Some((Event::SequenceEnd, _)) | None => break,
                Some((event, span)) => {
                    let item = self.node_of(event, span, parser, diag, depth + 1)?;
                    whole = whole.to(item.span);
                    items.push(item);
                }
            }
        }
        Ok(Node { kind: Kind::Seq(items), span: whole, tag })
    }

    fn mapping(
        &mut self,
        span: Span,
        tag: Option<String>,
        parser: &mut Events<'_>,
        diag: &mut Diagnostics,
        depth: usize,
    ) -> Result<Node, Reported> {
        let mut entries = Keyed::default();
        let mut merges = Vec::new();
        let mut whole = span;
        loop {
            let (event, at) = match self.next(parser, diag)? {
                Some((Event::MappingEnd, _)) | None => break,
                Some(next) => next,
            };
            let key = self.node_of(event, at, parser, diag, depth + 1)?;
            let value = self.node(parser, diag, depth + 1)?;
            whole = whole.to(key.span).to(value.span);
            let scalar = match key.kind {
                Kind::Scalar(scalar) if scalar.is_text() || self.is_foreign => scalar,
                _ => {
                    let message = format!("a key must be a string, and this is {}", key.type_name());
                    let help = "put the key in quotes, if it is meant";
                    diag.report(Diagnostic::error(Code::YamlSyntax, key.span, message).help(help));
                    continue;
                }
            };
            if scalar.text == "<<" && scalar.is_plain {
                if !merges.is_empty() {
                    let error = Diagnostic::error(Code::DuplicateKey, key.span, "the key `<<` stands twice");
                    diag.report(error.help("write `<<: [*first, *second]`"));
                }
                merges.push(value);
                continue;
            }
            if let Some(first) = entries.get(&scalar.text) {
                let message = format!("the key `{}` stands twice", scalar.text);
                let error = Diagnostic::error(Code::DuplicateKey, key.span, message);
                let error = error.note_at(first.key_span, "it stands here first").help("take one of them out");
                // The lines of both hold their values.
                let is_secret = claw_types::secret::is_secret_name(&scalar.text);
                diag.report(if is_secret { error.masked() } else { error });
                continue;
            }
            entries.push(Entry { key: scalar.text, key_span: key.span, value });
        }
        for merge in merges {
            merge_into(&mut entries, merge, diag);
        }
        Ok(Node { kind: Kind::Map(entries.list), span: whole, tag })
    }
}

/// The entries of a mapping while it is read.
#[derive(Default)]
struct Keyed {
    list: Vec<Entry>,
    /// Places by key, once a mapping is too long to be searched.
    places: BTreeMap<String, usize>,
}

/// The longest mapping that is searched from its begin.
const SHORT: usize = 24;

impl Keyed {
    fn get(&self, key: &str) -> Option<&Entry> {
        match self.list.len() {
            0..=SHORT => self.list.iter().find(|entry| entry.key == key),
            _ => self.places.get(key).and_then(|place| self.list.get(*place)),
        }
    }

    fn push(&mut self, entry: Entry) {
        if self.list.len() == SHORT {
            self.places = self.list.iter().enumerate().map(|(place, entry)| (entry.key.clone(), place)).collect();
        }
        if self.list.len() >= SHORT {
            self.places.insert(entry.key.clone(), self.list.len());
        }
        self.list.push(entry);
    }
}

/// Adds the entries of a `<<` that are not there yet; of several mappings the first wins.
fn merge_into(entries: &mut Keyed, merge: Node, diag: &mut Diagnostics) {
    let span = merge.span;
    match merge.kind {
        Kind::Map(more) => {
            for entry in more {
                if entries.get(&entry.key).is_none() {
                    entries.push(entry);
                }
            }
        }
        Kind::Seq(items) if items.iter().all(|item| matches!(item.kind, Kind::Map(_))) => {
            for item in items {
                merge_into(entries, item, diag);
            }
        }
        Kind::Seq(_) | Kind::Scalar(_) => {
            diag.report(
                Diagnostic::error(Code::YamlSyntax, span, "`<<` needs a mapping or a list of mappings")
                    .help("write `<<: *name`, where `&name` stands at a mapping"),
            );
        }
    }
}

fn tag_name(tag: Option<Cow<'_, Tag>>) -> Option<String> {
    tag.map(|tag| if tag.is_yaml_core_schema() { format!("!{}", tag.suffix()) } else { tag.suffix().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use claw_types::span::SourceMap;

    fn tree(text: &str) -> (Option<Node>, Diagnostics) {
        let mut sources = SourceMap::new();
        let file = sources.add("f", text);
        let mut diag = Diagnostics::new();
        let node = parse(sources.get(file).expect("added"), &mut diag).ok();
        (node, diag)
    }

    #[test]
    fn scalars_resolve_as_go_yaml_does() {
        for (text, resolved) in [
            ("0440", Resolved::Int(0o440)),
            ("22:22", Resolved::Str("22:22")),
            ("yes", Resolved::Str("yes")),
            ("1.5", Resolved::Float("1.5")),
            ("2001-01-01", Resolved::Timestamp("2001-01-01")),
            ("1_000", Resolved::Int(1000)),
            ("-", Resolved::Str("-")),
        ] {
            assert_eq!(Scalar { text: text.to_owned(), is_plain: true }.resolve(), resolved);
        }
    }

    #[test]
    fn merge_keys_lose_against_the_mapping_and_the_first_of_several_wins() {
        let (node, diag) = tree("a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc:\n  <<: [*a, *b]\n  x: 3\n");
        assert!(!diag.has_errors());
        let node = node.expect("valid");
        let c = node.get("c").expect("c");
        let value = |key: &str| c.get(key).and_then(Node::scalar).map(|scalar| scalar.text.clone());
        assert_eq!((value("x"), value("y"), value("z")), (Some("3".into()), Some("1".into()), Some("2".into())));
    }

    #[test]
    fn duplicate_keys_are_errors_at_both_places() {
        let (_, diag) = tree("a: 1\nb: 2\na: 3\n");
        let only: Vec<_> = diag.iter().collect();
        assert_eq!(only.len(), 1);
        assert_eq!((only[0].code, only[0].primary.start), (Code::DuplicateKey, 10));
        assert_eq!(only[0].notes.len(), 1);
    }

    #[test]
    fn alias_bombs_and_deep_nesting_end() {
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for level in 1..12 {
            let inner = vec![format!("*a{}", level - 1); 10].join(",");
            bomb.push_str(&format!("a{level}: &a{level} [{inner}]\n"));
        }
        assert!(tree(&bomb).1.iter().any(|each| each.code == Code::YamlBudget));
        assert!(tree(&"[".repeat(5000)).1.has_errors());
    }

    #[test]
    fn byte_order_mark_and_crlf_keep_spans_right() {
        let text = "\u{feff}a: b\r\nc: d\r\n";
        let (node, _) = tree(text);
        let node = node.expect("valid");
        let span = node.get("c").expect("c").span;
        assert_eq!(&text[span.start as usize..span.end as usize], "d");
    }
}
