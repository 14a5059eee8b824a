//! Scoping of tools: what an agent may not use is taken out of its request, in every format. Pure.

use serde_json::Value;
use serde_json::value::RawValue;

use crate::manifest::Tools;
use crate::wire::request::{Bad, Request};

/// A request without some of its tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scoped {
    /// The body.
    pub(crate) body: Vec<u8>,
    /// Names of what was taken out.
    pub(crate) removed: Vec<String>,
}

/// Returns every name that a tool has: a function's, its own, and the type of one that the provider runs.
fn names(tool: &Value) -> Vec<&str> {
    fn text(value: Option<&Value>) -> Option<&str> {
        value.and_then(Value::as_str)
    }
    let function = text(tool.get("function").and_then(|function| function.get("name")));
    let run_by_provider = text(tool.get("type")).filter(|kind| !matches!(*kind, "function" | "custom" | "url"));
    function.into_iter().chain(text(tool.get("name"))).chain(run_by_provider).collect()
}

/// Members that bring tools along: OpenAI's and Anthropic's lists, the former functions of chat, and servers of tools.
const LISTS: &[&str] = &["tools", "functions", "mcp_servers"];

/// Members that say which tool is to be taken.
const CHOICES: &[&str] = &["tool_choice", "function_call", "parallel_tool_calls"];

/// Returns the request without the tools that a scope does not allow; nothing where all pass. Every other byte stays.
///
/// # Errors
/// Where a list of tools is none.
pub(crate) fn scoped(body: &[u8], request: &Request, scope: &Tools) -> Result<Option<Scoped>, Bad> {
    let mut removed = Vec::new();
    let mut edits = Vec::new();
    let mut gone = Vec::new();
    for list in LISTS.iter().copied() {
        let (kept, out) = split(body, request, list, scope)?;
        if out.is_empty() {
            continue;
        }
        match kept.is_empty() {
            // No provider takes an empty list.
            true => gone.push(list),
            false => edits.push((list, format!("[{}]", kept.join(",")))),
        }
        removed.extend(out);
    }
    if request.has("web_search_options") && !scope.allows("web_search") {
        gone.push("web_search_options");
        removed.push("web_search".to_owned());
    }
    if removed.is_empty() {
        return Ok(None);
    }
    // A choice among none, or of one that is gone, is refused by providers.
    let names_removed = |choice: &str| {
        let text = request.value(body, choice).map(String::from_utf8_lossy).unwrap_or_default().into_owned();
        removed.iter().any(|name| text.contains(&claw_types::doc::json_string(name)))
    };
    let has_none = gone.contains(&"tools") || gone.contains(&"functions");
    gone.extend(CHOICES.iter().copied().filter(|choice| has_none || names_removed(choice)));
    let body = request.edited(body, &edits);
    if gone.is_empty() {
        return Ok(Some(Scoped { body, removed }));
    }
    let request = crate::wire::request::read(&body)?;
    Ok(Some(Scoped { body: request.without(&body, &gone), removed }))
}

/// Returns the tools of a list that pass, as they are written, and the names of those that do not.
fn split<'b>(body: &'b [u8], request: &Request, list: &str, scope: &Tools) -> Result<(Vec<&'b str>, Vec<String>), Bad> {
    let (mut kept, mut removed) = (Vec::new(), Vec::new());
    let Some(written) = request.value(body, list).filter(|written| *written != b"null") else {
        return Ok((kept, removed));
    };
    let wrong = || Bad { field: Some(list.to_owned()), why: format!("`{list}` must be a list of named tools") };
    let tools: Vec<&RawValue> = serde_json::from_slice(written).map_err(|_| wrong())?;
    for raw in tools {
        let tool: Value = serde_json::from_str(raw.get()).map_err(|_| wrong())?;
        let names = names(&tool);
        // Whatever a provider takes for its name must pass.
        match names.iter().find(|name| !scope.allows(name)) {
            Some(name) => removed.push((*name).to_owned()),
            None if names.is_empty() => return Err(wrong()),
            None => kept.push(raw.get()),
        }
    }
    Ok((kept, removed))
}
