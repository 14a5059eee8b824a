//! A listing of MCP tools, as `tools/list` answers it, as text for an agent.

use claw_types::doc::line;

use super::schema::Schemas;
use super::text::{code, prose, quoted};
use super::tree::Tree;

/// The most tools of a listing that are shown, and the most bytes of the text.
const TOOLS: usize = 500;
const PAGE: usize = 128 * 1024;
/// What in its schema says that a tool takes arguments.
const ARGUMENTS: &[&str] = &["properties", "allOf", "anyOf", "oneOf", "$ref", "additionalProperties"];
/// Hints that a tool may give of itself, and how they are said.
const HINTS: &[(&str, bool, &str)] = &[
    ("readOnlyHint", true, "only reads"),
    ("destructiveHint", true, "may destroy"),
    ("destructiveHint", false, "destroys nothing"),
    ("idempotentHint", true, "may be repeated"),
    ("openWorldHint", true, "reaches outside"),
    ("openWorldHint", false, "stays inside"),
];

/// A tool by its name, with what is said of it in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// One line; empty where nothing is said.
    pub summary: String,
}

/// What a listing became.
pub(super) struct Listing {
    pub(super) tools: Vec<Tool>,
    /// The text below the heading.
    pub(super) text: String,
}

/// Returns the tools of a document: a list of them, or an answer that holds one as `tools` or as `result.tools`.
pub(crate) fn tools(tree: &Tree) -> Result<&[Tree], String> {
    let list = match tree {
        Tree::List(_) => Some(tree),
        _ => tree.get("tools").or_else(|| tree.get("result")?.get("tools")),
    };
    let list = list.filter(|list| matches!(list, Tree::List(_)));
    let list = list.ok_or_else(|| "is no listing of tools: it has no list `tools`".to_owned())?.items();
    for (index, tool) in list.iter().enumerate() {
        let name = tool.text_of("name").filter(|name| line(name) == *name && name.len() <= 128);
        if name.is_none() {
            return Err(format!("is no listing of tools: tool {} has no usable `name`", index + 1));
        }
    }
    if list.len() > TOOLS {
        return Err(format!("lists {} tools, and {TOOLS} is the most", list.len()));
    }
    Ok(list)
}

/// Returns the text of a listing.
pub(super) fn listing(tree: &Tree) -> Result<Listing, String> {
    let list = tools(tree)?;
    let found = list.iter().map(|tool| Tool {
        name: tool.text_of("name").unwrap_or_default().to_owned(),
        summary: said(tool).map(|said| prose(said, 120)).unwrap_or_default(),
    });
    let mut text = String::new();
    let mut shown = 0;
    for tool in list {
        if text.len() > PAGE {
            break;
        }
        push_tool(tool, &mut text);
        shown += 1;
    }
    if shown < list.len() {
        text.push_str(&format!("{} tools more are not shown.\n", list.len() - shown));
    }
    Ok(Listing { tools: found.collect(), text })
}

fn said(tool: &Tree) -> Option<&str> {
    tool.text_of("description").or_else(|| tool.text_of("title"))
}

fn push_tool(tool: &Tree, text: &mut String) {
    text.push_str(&format!("## {}\n\n", code(tool.text_of("name").unwrap_or_default(), 128)));
    text.push_str(&quoted(said(tool), 2000));
    push_arguments(tool, text);
    if let Some(schema) = tool.get("outputSchema") {
        text.push_str(&format!("Gives {}.\n\n", Schemas::inline(schema).shape(schema)));
    }
    let annotations = tool.get("annotations");
    let holds = |key: &str, value: bool| annotations.and_then(|all| all.get(key)) == Some(&Tree::Bool(value));
    let hints = HINTS.iter().filter(|(key, value, _)| holds(key, *value));
    let hints: Vec<&str> = hints.map(|(_, _, word)| *word).collect();
    if !hints.is_empty() {
        text.push_str(&format!("It says of itself: {}.\n\n", hints.join(", ")));
    }
}

fn push_arguments(tool: &Tree, text: &mut String) {
    let Some(schema) = tool.get("inputSchema") else { return };
    let schemas = Schemas::inline(schema);
    match schemas.properties(schema, "") {
        Some(lines) => text.push_str(&format!("Arguments:\n\n{lines}\n")),
        None if ARGUMENTS.iter().all(|key| schema.get(key).is_none_or(|own| *own == Tree::Map(Vec::new()))) => {
            text.push_str("It takes no arguments.\n\n");
        }
        None => text.push_str(&format!("Arguments: {}\n\n", schemas.shape(schema))),
    }
}
