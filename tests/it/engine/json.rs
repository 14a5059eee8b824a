//! What `--json` prints has the form that `docs/json.md` says.

use serde_json::Value;

use super::Pod;
use crate::{Folder, claw, root};

/// Returns the form of a command's data: the first block below its heading.
fn form(command: &str) -> Value {
    let page = std::fs::read_to_string(root().join("docs/json.md")).expect("the page");
    let rest = page.split_once(&format!("\n## {command}\n")).expect("a heading").1;
    let block = rest.split_once("```json\n").expect("a block").1.split_once("\n```").expect("its end").0;
    serde_json::from_str(block).expect("JSON")
}

/// Returns where a value is not of its form.
fn differs(form: &Value, value: &Value, path: &str) -> Option<String> {
    match (form, value) {
        (Value::String(types), value) => {
            let own = match value {
                Value::Null => "null",
                Value::Bool(_) => "boolean",
                Value::Number(_) => "number",
                Value::String(_) => "string",
                Value::Array(_) => "list",
                Value::Object(_) => "object",
            };
            (!types.split('|').any(|each| each == own)).then(|| format!("{path} is {own}, not {types}"))
        }
        (Value::Array(forms), Value::Array(items)) => {
            items.iter().find_map(|item| differs(&forms[0], item, &format!("{path}[]")))
        }
        (Value::Object(forms), Value::Object(entries)) => {
            let (own, found): (Vec<_>, Vec<_>) = (forms.keys().collect(), entries.keys().collect());
            if own != found {
                return Some(format!("{path} has {found:?}, not {own:?}"));
            }
            forms.iter().find_map(|(key, form)| differs(form, &entries[key], &format!("{path}.{key}")))
        }
        _ => Some(format!("{path} is {value}")),
    }
}

/// Checks a document against the page.
pub(crate) fn check(command: &str, stdout: &str) {
    let document: Value = serde_json::from_str(stdout).expect("a JSON document");
    assert_eq!(document["schema"], format!("claw.{command}.v1"));
    assert_eq!(differs(&form(command), &document["data"], command), None);
    let page = std::fs::read_to_string(root().join("docs/json.md")).expect("the page");
    let block =
        page.split_once("Diagnostics:\n\n```json\n").expect("a block").1.split_once("\n```").expect("its end").0;
    let diagnostic: Value = serde_json::from_str(block).expect("JSON");
    for each in document["diagnostics"].as_array().expect("a list") {
        assert_eq!(differs(&diagnostic, each, "diagnostic"), None);
    }
}

#[test]
fn every_document_has_the_form_its_page_says() {
    let pod = Pod::of("quickstart", "json");
    let (plain, saved) = (format!("../{}-plain", pod.name), format!("../{}-saved", pod.name));
    for arguments in [
        &["check"][..],
        &["compile", "-o", "out"],
        &["update"],
        &["eject", &plain],
        &["plan"],
        &["build"],
        &["up", "-d", "--wait"],
        &["plan"],
        &["ps"],
        &["skillmap"],
        &["health"],
        &["verify"],
        &["run", "-d", "writer"],
        &["ask", "writer", "hi"],
        &["diagnose"],
        &["doctor"],
        &["version"],
        &["explain", "bad-name"],
        &["backup", &saved],
        &["down", "-v"],
        &["restore", &saved],
    ] {
        check(arguments[0], &pod.ok(&[arguments, &["--json"]].concat()));
    }
    for folder in [plain, saved] {
        std::fs::remove_dir_all(pod.folder.0.join(folder)).expect("gone");
    }
    pod.write("claw-pod.yml", "services: {a: {image: x, x-claw: {type: nope}, ports: [z]}}\n");
    let run = pod.run(&["check", "--json"]);
    assert_eq!(run.code, Some(2));
    check("check", &run.stdout);
    let empty = Folder::new("json-error");
    check("error", &claw(&empty.0, &["ps", "--json"]).stdout);
}
