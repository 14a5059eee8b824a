//! Diagnostics as SARIF 2.1.0, for code scanners: <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>.

use std::collections::BTreeMap;

use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::span::{SourceMap, Span};
use serde_json::{Value, json};

use crate::commands::explain::paragraph;
use crate::exit::CommandError;
use crate::fix::{self, Edit};

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// Returns the findings of a check as a document.
pub(crate) fn document(diagnostics: &Diagnostics, sources: &SourceMap) -> String {
    let sorted = diagnostics.sorted();
    let mut rules: BTreeMap<Code, &Diagnostic> = BTreeMap::new();
    for each in &sorted {
        let worst = rules.entry(each.code).or_insert(each);
        if each.severity < worst.severity {
            *worst = each;
        }
    }
    let index = |code: Code| rules.keys().position(|each| *each == code);
    let results = sorted.iter().map(|each| result(each, index(each.code), sources)).collect();
    run(rules.values().map(|each| rule(each)).collect(), results, json!({ "executionSuccessful": true }))
}

/// Returns the document of a check that could not be made.
pub(crate) fn failure(error: &CommandError) -> String {
    let notification = json!({ "level": "error", "message": { "text": error.to_string() } });
    let invocation = json!({ "executionSuccessful": false, "toolExecutionNotifications": [notification] });
    run(Vec::new(), Vec::new(), invocation)
}

fn run(rules: Vec<Value>, results: Vec<Value>, invocation: Value) -> String {
    let driver = json!({
        "name": "claw",
        "version": env!("CARGO_PKG_VERSION"),
        "semanticVersion": env!("CARGO_PKG_VERSION"),
        "rules": rules,
    });
    let run = json!({
        "tool": { "driver": driver },
        "columnKind": "unicodeCodePoints",
        "invocations": [invocation],
        "results": results,
    });
    let document = json!({ "$schema": SCHEMA, "version": "2.1.0", "runs": [run] });
    format!("{document:#}\n")
}

/// A kind of finding: its paragraph of `docs/diagnostics.md`.
fn rule(worst: &Diagnostic) -> Value {
    let text = paragraph(worst.code.name()).unwrap_or_default();
    let sentence = text.split_once(". ").map_or(text.trim_end_matches('.'), |(first, _)| first);
    json!({
        "id": worst.code.name(),
        "shortDescription": { "text": format!("{sentence}.") },
        "fullDescription": { "text": text },
        "help": { "text": text, "markdown": text },
        "defaultConfiguration": { "level": worst.severity.name() },
    })
}

fn result(diagnostic: &Diagnostic, rule: Option<usize>, sources: &SourceMap) -> Value {
    let mut message = diagnostic.message.clone();
    let apart = diagnostic.notes.iter().filter(|(span, _)| span.is_none()).map(|(_, note)| ("note", note));
    for (kind, text) in apart.chain(diagnostic.help.iter().map(|help| ("help", help))) {
        message.push_str(&format!("\n{kind}: {text}"));
    }
    let mut result = json!({
        "ruleId": diagnostic.code.name(),
        "ruleIndex": rule,
        "level": diagnostic.severity.name(),
        "message": { "text": message },
        "locations": location(diagnostic.primary, diagnostic.is_masked, sources).into_iter().collect::<Vec<_>>(),
    });
    let related = diagnostic.notes.iter().filter_map(|(span, note)| {
        let mut location = location((*span)?, diagnostic.is_masked, sources)?;
        location["message"] = json!({ "text": note });
        Some(location)
    });
    let related: Vec<Value> = related.collect();
    if !related.is_empty() {
        result["relatedLocations"] = related.into();
    }
    if let Some(edit) = fix::edit(diagnostic, sources) {
        result["fixes"] = json!([change(&edit, sources)]);
    }
    result
}

fn change(edit: &Edit, sources: &SourceMap) -> Value {
    let mut replacement = json!({ "deletedRegion": region(edit.span(), sources) });
    let text = if edit.text.is_empty() {
        "take the line out".to_owned()
    } else {
        replacement["insertedContent"] = json!({ "text": edit.text });
        format!("write `{}`", edit.text)
    };
    let change = json!({ "artifactLocation": artifact(sources.get(edit.file).map_or("", |source| source.name.as_str())), "replacements": [replacement] });
    json!({ "description": { "text": text }, "artifactChanges": [change] })
}

/// Returns a place; what may be a secret is not quoted.
fn location(span: Span, is_masked: bool, sources: &SourceMap) -> Option<Value> {
    let source = sources.get(span.file)?;
    let mut region = region(span, sources);
    let text = sources.text(span);
    if !is_masked && !text.is_empty() && !text.contains('\n') {
        region["snippet"] = json!({ "text": text });
    }
    Some(json!({ "physicalLocation": { "artifactLocation": artifact(&source.name), "region": region } }))
}

fn region(span: Span, sources: &SourceMap) -> Value {
    let (at, end) = (sources.position(span), sources.position(Span { start: span.end, ..span }));
    json!({ "startLine": at.line, "startColumn": at.column, "endLine": end.line, "endColumn": end.column })
}

/// Returns a path as a reference of URIs: relative ones are relative to the working directory.
fn artifact(name: &str) -> Value {
    let is_free = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/');
    let mut uri = if name.starts_with('/') { "file://".to_owned() } else { String::new() };
    for byte in name.trim_start_matches("./").bytes() {
        if is_free(byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    json!({ "uri": uri })
}
