//! The arguments of an instruction, as BuildKit's parser has them in its tree.

use super::words::{flags, pair_words};

/// An instruction taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// The keyword as written.
    pub keyword: String,
    /// Flags with their leading dashes.
    pub flags: Vec<String>,
    /// Arguments.
    pub args: Vec<String>,
    /// The arguments were a JSON array.
    pub is_json: bool,
    /// The instruction under `ONBUILD`.
    pub child: Option<Box<Node>>,
}

/// Why an instruction cannot be taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadNode {
    /// A JSON array that holds something that is no string.
    NotStrings,
    /// `ENV name` without a value.
    NoValue,
    /// A pair without `=` after one with it.
    NoEquals,
}

impl BadNode {
    pub(crate) fn message(self, keyword: &str) -> String {
        match self {
            BadNode::NotStrings => "a JSON array of arguments may hold strings only".to_owned(),
            BadNode::NoValue => format!("`{keyword}` must have two arguments"),
            BadNode::NoEquals => format!("every pair of `{keyword}` must be `name=value`"),
        }
    }
}

/// How the arguments of an instruction are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grammar {
    Json,
    JsonList,
    Pairs,
    Names,
    Words,
    Text,
    Health,
    Trigger,
    Unknown,
}

fn grammar(keyword: &str) -> Grammar {
    match keyword.to_ascii_uppercase().as_str() {
        "CMD" | "ENTRYPOINT" | "RUN" | "SHELL" => Grammar::Json,
        "ADD" | "COPY" | "VOLUME" => Grammar::JsonList,
        "ENV" | "LABEL" => Grammar::Pairs,
        "ARG" => Grammar::Names,
        "EXPOSE" | "FROM" => Grammar::Words,
        "MAINTAINER" | "STOPSIGNAL" | "USER" | "WORKDIR" => Grammar::Text,
        "HEALTHCHECK" => Grammar::Health,
        "ONBUILD" => Grammar::Trigger,
        _ => Grammar::Unknown,
    }
}

/// Every Docker instruction.
pub(crate) const INSTRUCTIONS: &[&str] = &[
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// Returns whether a keyword is Docker's.
pub(crate) fn is_instruction(keyword: &str) -> bool {
    grammar(keyword) != Grammar::Unknown
}

/// Returns whether `<<` in an instruction opens a heredoc.
pub(crate) fn takes_heredocs(text: &str, escape: char) -> bool {
    let Ok(node) = parse(text, escape) else { return false };
    let node = node.child.as_deref().unwrap_or(&node);
    matches!(node.keyword.to_ascii_uppercase().as_str(), "RUN" | "COPY" | "ADD") && !node.is_json
}

/// Returns an instruction taken apart.
///
/// # Errors
/// Where its arguments cannot be read.
pub(crate) fn parse(text: &str, escape: char) -> Result<Node, BadNode> {
    let text = text.trim();
    let keyword = text.split(char::is_whitespace).next().unwrap_or("");
    let rest = text[keyword.len()..].trim();
    let (flags, args) = flags(rest, escape);
    let args = args.trim();
    let mut node = Node { keyword: keyword.to_owned(), flags, ..Node::default() };
    match grammar(keyword) {
        Grammar::Unknown => node.args = vec![String::new()],
        Grammar::Json => maybe_json(args, &mut node, |args| vec![args.to_owned()])?,
        Grammar::JsonList => maybe_json(args, &mut node, words)?,
        Grammar::Words => node.args = words(args),
        Grammar::Names => node.args = pair_words(args, escape),
        Grammar::Text => node.args = if args.is_empty() { Vec::new() } else { vec![args.to_owned()] },
        Grammar::Pairs => node.args = pairs(args, escape)?,
        Grammar::Health => {
            let kind = args.split(char::is_whitespace).next().unwrap_or("");
            let rest = args[kind.len()..].trim();
            maybe_json(rest, &mut node, |args| vec![args.to_owned()])?;
            if !kind.is_empty() {
                node.args.insert(0, kind.to_owned());
            }
        }
        Grammar::Trigger if !args.is_empty() => {
            // Nested triggers would nest further; two levels say all that is needed to refuse them.
            let inner = args.split(char::is_whitespace).next().unwrap_or("");
            let child = if inner.eq_ignore_ascii_case("ONBUILD") {
                Node { keyword: inner.to_owned(), ..Node::default() }
            } else {
                parse(args, escape)?
            };
            node.child = Some(Box::new(child));
        }
        Grammar::Trigger => {}
    }
    Ok(node)
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(ToOwned::to_owned).collect()
}

fn maybe_json(args: &str, node: &mut Node, other: impl Fn(&str) -> Vec<String>) -> Result<(), BadNode> {
    if args.is_empty() {
        return Ok(());
    }
    if args.starts_with('[')
        && let Ok(serde_json::Value::Array(items)) = serde_json::from_str(args)
    {
        node.is_json = true;
        for item in items {
            match item {
                serde_json::Value::String(text) => node.args.push(text),
                _ => return Err(BadNode::NotStrings),
            }
        }
        return Ok(());
    }
    node.args = other(args);
    Ok(())
}

fn pairs(text: &str, escape: char) -> Result<Vec<String>, BadNode> {
    let words = pair_words(text, escape);
    let Some(first) = words.first() else { return Ok(Vec::new()) };
    if !first.contains('=') {
        let name = text.split(char::is_whitespace).next().unwrap_or("");
        let value = text[name.len()..].trim_start();
        if value.is_empty() {
            return Err(BadNode::NoValue);
        }
        return Ok(vec![name.to_owned(), value.to_owned(), String::new()]);
    }
    let mut args = Vec::new();
    for word in words {
        let (name, value) = word.split_once('=').ok_or(BadNode::NoEquals)?;
        args.extend([name.to_owned(), value.to_owned(), "=".to_owned()]);
    }
    Ok(args)
}
