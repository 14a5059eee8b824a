//! Every property of a service: the forms it is written in, what the engine is told for it, and how a wrong value is refused.

use std::collections::BTreeMap;
use std::path::Path;

use claw_compose::load::{self, NoFiles, Options};
use claw_compose::model::Service;
use claw_types::diag::{Diagnostics, Severity};
use claw_types::span::SourceMap;
use serde_json::{Value, json};

use super::{Scope, body, endpoints};

/// The forms of properties and what comes of each; the file says how it is read.
const PROPERTIES: &str = include_str!("../../../testdata/compose/properties.txt");

/// What comes of a property.
enum Effect {
    /// The engine is told: where in the body, what.
    Body(&'static str, Value),
    /// An error that says this.
    Refused(&'static str),
    /// A warning that says this.
    Idle(&'static str),
    /// It is no matter of the body: the file, and a text in it that shows its effect.
    Shown(&'static str, &'static str),
}

/// Returns the rows of the table: property as written, effect.
fn properties() -> impl Iterator<Item = (&'static str, Effect)> {
    let lines = PROPERTIES.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| {
        let (kind, row) = line.split_once(' ').expect("a kind");
        let (form, effect) = row.trim_start().split_once(" -> ").expect("an effect");
        let effect = match kind {
            "body" => {
                let (pointer, value) = effect.split_once(" = ").expect("a value");
                Effect::Body(pointer, serde_json::from_str(value).expect("JSON"))
            }
            "refused" => Effect::Refused(effect),
            "idle" => Effect::Idle(effect),
            _ => {
                let (file, text) = effect.split_once(": ").expect("a text");
                Effect::Shown(file, text)
            }
        };
        (form, effect)
    })
}

struct Loaded {
    project: Option<claw_compose::model::Project>,
    found: Vec<String>,
    /// Where the errors point: the text there.
    places: Vec<String>,
}

fn load(property: &str) -> Loaded {
    let text = format!(
        "services:\n  s:\n    image: i\n    {property}\n  other: {{image: i}}\nnetworks: {{n: }}\nvolumes: {{vol: }}\n\
         secrets: {{f: {{file: ./f}}}}\nconfigs: {{c: {{file: ./c}}}}\n"
    )
    // A property of its own over the image's line.
    .replace(if property.starts_with("image:") { "    image: i\n    " } else { "\0" }, "    ");
    let mut sources = SourceMap::new();
    let file = sources.add("compose.yaml", &text);
    let source = sources.get(file).expect("added");
    let lookup = BTreeMap::from([("HOME".to_owned(), "/home/u".to_owned()), ("SET".to_owned(), "set".to_owned())]);
    let options = Options {
        lookup: &lookup,
        keep: &|path, _| matches!(path, [.., key, _] if key == "environment"),
        files: &NoFiles,
        name: Some("p"),
        directory: "p",
        judges: true,
    };
    let mut diag = Diagnostics::new();
    let loaded = load::load(&[("compose.yaml", source)], &options, &["on".to_owned()], &mut diag);
    let word = |severity: Severity| if severity == Severity::Error { "error" } else { "warning" };
    let found = diag.iter().map(|each| format!("{}: {}", word(each.severity), each.message)).collect();
    let errors = diag.iter().filter(|each| each.severity == Severity::Error);
    let places =
        errors.map(|each| text[each.primary.start as usize..].lines().next().unwrap_or("").to_owned()).collect();
    Loaded { project: loaded.ok().map(|loaded| loaded.project), found, places }
}

/// Returns the body of the container of the service `s`, and what was said of it.
fn told(property: &str) -> (Value, Vec<String>) {
    let Loaded { project, found, .. } = load(property);
    let project = project.unwrap_or_else(|| panic!("{property}: {found:?}"));
    let lookup = BTreeMap::from([("HOME".to_owned(), "/home/u".to_owned()), ("SET".to_owned(), "set".to_owned())]);
    let scope = Scope { project: "p", file: &project, root: Path::new("/pod"), lookup: &lookup };
    let service = &project.services["s"];
    let labels = service.labels.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    let mut body = body("s", "p-s-1", service, &labels, &scope);
    body["networks"] = json!(endpoints("s", "p-s-1", service, &scope));
    (body, found)
}

/// Returns why a form of a property has not the effect it should have; nothing where it has.
fn wrong(property: &str, effect: &Effect) -> Option<String> {
    if let Effect::Refused(said) = effect {
        let Loaded { project, found, .. } = load(property);
        let is_refused = found.iter().any(|each| each.starts_with("error: ") && each.contains(said));
        return (project.is_some() || !is_refused).then(|| format!("{property}: not refused: {found:?}"));
    }
    let (body, found) = told(property);
    match effect {
        Effect::Body(..) | Effect::Shown(..) if !found.is_empty() => Some(format!("{property}: {found:?}")),
        Effect::Body(pointer, wanted) if body.pointer(pointer) != Some(wanted) => {
            Some(format!("{property}: {pointer} is {:?}", body.pointer(pointer)))
        }
        Effect::Idle(said) if !found.iter().any(|each| each.starts_with("warning: ") && each.contains(said)) => {
            Some(format!("{property}: no warning: {found:?}"))
        }
        Effect::Shown(file, text) => {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
            let there = std::fs::read_to_string(root.join(file)).unwrap_or_default().contains(text);
            (!there).then(|| format!("{property}: `{file}` has no `{text}`"))
        }
        _ => None,
    }
}

#[test]
fn every_property_has_its_effect_or_a_refusal_by_name() {
    let failures: Vec<String> = properties().filter_map(|(property, effect)| wrong(property, &effect)).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_property_is_in_the_table_and_refuses_a_wrong_value_at_its_place() {
    let mut failures = Vec::new();
    for key in Service::KEYS {
        let has_row = properties().any(|(form, _)| form.split(':').next() == Some(*key));
        assert!(has_row, "`{key}` has no row");
        let Loaded { project, found, places } = load(&format!("{key}: [[[1]]]"));
        if project.is_some() || places.is_empty() || !places.iter().all(|place| place.contains("[1]")) {
            failures.push(format!("{key}: {found:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
