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

/// Returns the name of a tool: a function's, or the type of one that the provider has built in.
fn name(tool: &Value) -> Option<&str> {
    let function = tool.get("function").and_then(|function| function.get("name"));
    function.or_else(|| tool.get("name")).or_else(|| tool.get("type")).and_then(Value::as_str)
}

/// Returns the request without the tools that a scope does not allow; nothing where all pass. Every other byte stays.
///
/// # Errors
/// Where `tools` is no list of tools.
pub(crate) fn scoped(body: &[u8], request: &Request, scope: &Tools) -> Result<Option<Scoped>, Bad> {
    let Some(written) = request.value(body, "tools").filter(|written| *written != b"null") else { return Ok(None) };
    let wrong = || Bad { field: Some("tools".to_owned()), why: "`tools` must be a list of named tools".to_owned() };
    let list: Vec<&RawValue> = serde_json::from_slice(written).map_err(|_| wrong())?;
    let mut kept = Vec::new();
    let mut removed = Vec::new();
    for raw in list {
        let tool: Value = serde_json::from_str(raw.get()).map_err(|_| wrong())?;
        let name = name(&tool).ok_or_else(wrong)?;
        if scope.allows(name) { kept.push(raw.get()) } else { removed.push(name.to_owned()) }
    }
    if removed.is_empty() {
        return Ok(None);
    }
    // No provider takes an empty list, or a choice among none.
    let body = if kept.is_empty() {
        request.without(body, &["tools", "tool_choice", "parallel_tool_calls"])
    } else {
        request.edited(body, &[("tools", format!("[{}]", kept.join(",")))])
    };
    Ok(Some(Scoped { body, removed }))
}
