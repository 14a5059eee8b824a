//! `claw explain`: a diagnostic's paragraph of `docs/diagnostics.md`, or where a value of the generated file comes from.

use claw_compose::shape::Shape;
use claw_compose::value::Value;
use claw_compose::yaml::{self, Kind, Node};
use claw_types::diag::{Code, Diagnostics, nearest};
use serde_json::json;

use crate::args::Global;
use crate::exit::{CommandError, Exit};
use crate::session::{self, Session};
use crate::ui::Ui;

const PAGE: &str = include_str!("../../../docs/diagnostics.md");

/// Returns the paragraph of a diagnostic.
pub(crate) fn paragraph(code: &str) -> Option<&'static str> {
    let (_, rest) = PAGE.split_once(&format!("\n## {code}\n"))?;
    Some(rest.split("\n## ").next().unwrap_or(rest).trim())
}

pub(crate) fn run(global: &Global, subject: &str, ui: &Ui) -> Result<Exit, CommandError> {
    if subject.contains('.') {
        return session::with(global, "explain", ui, async |session| place(&session, subject));
    }
    let Some(paragraph) = paragraph(subject) else {
        let near = nearest(subject, Code::ALL.iter().map(|code| code.name()));
        let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        return Err(CommandError::Usage(format!("there is no diagnostic `{subject}`{hint}")));
    };
    let (none, sources) = (Diagnostics::new(), claw_types::span::SourceMap::new());
    let data = json!({ "code": subject, "text": paragraph });
    ui.result("explain", &format!("{subject}\n\n{paragraph}"), data, &none, &sources);
    Ok(Exit::Done)
}

/// A value of the generated file, and who said so: the pod file at a place, or claw.
fn place(session: &Session<'_>, path: &str) -> Result<Exit, CommandError> {
    let keys: Vec<&str> = path.split('.').collect();
    let made = session.plan.project.encode().unwrap_or(Value::Null);
    let Some(value) = keys.iter().try_fold(&made, |value, key| step(value, key)) else {
        return Err(CommandError::Usage(format!("the generated file has no `{path}`")));
    };
    let files = session.input.files.iter().rev().filter_map(|(_, file)| session.input.sources.get(*file));
    let trees: Vec<Node> = files.filter_map(|source| yaml::parse(source, &mut Diagnostics::new()).ok()).collect();
    let shown = claw_compose::write::json(value);
    // A replica is written as its service.
    let unit = session.plan.units.values().find(|unit| keys.get(1) == Some(&unit.unit.id.as_str()));
    let mut own = keys.clone();
    if let (Some(unit), Some(key)) = (unit, own.get_mut(1)) {
        *key = unit.unit.service.as_str();
    }
    // The last file that has it is the one that counts.
    let node = trees.iter().find_map(|tree| written_at(tree, &own));
    let origin = match node {
        Some(node) => {
            let at = session.input.sources.position(node.span);
            let file = session.input.sources.get(node.span.file).map_or("", |source| source.name.as_str());
            format!("{file}:{}:{}", at.line, at.column)
        }
        None => match unit {
            Some(unit) => {
                format!("claw: how an agent of the runtime `{}` is run (docs/hardening.md)", unit.unit.runtime)
            }
            None => "claw: what every pod gets (docs/pod.md)".to_owned(),
        },
    };
    let data = json!({ "path": path, "value": serde_json::from_str::<serde_json::Value>(&shown).unwrap_or_default(), "origin": origin });
    session.result("explain", &format!("{path}: {}\nfrom {origin}", shown.trim_end()), data);
    Ok(Exit::Done)
}

/// Returns the node that a path's value was read from: the last one on the way, because a short syntax stands for all below it.
fn written_at<'t>(tree: &'t Node, path: &[&str]) -> Option<&'t Node> {
    let mut node = tree;
    for (depth, key) in path.iter().enumerate() {
        let next = match &node.kind {
            Kind::Map(_) => node.get(key),
            Kind::Seq(items) => key.parse::<usize>().ok().and_then(|index| items.get(index)),
            Kind::Scalar(_) => None,
        };
        node = match next {
            Some(next) => next,
            // Below a key of a service or of another resource; above that there is nothing it could stand for.
            None if depth > 2 && !matches!(node.kind, Kind::Map(_)) => return Some(node),
            None => return None,
        };
    }
    Some(node)
}

fn step<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    match value {
        Value::Map(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, value)| value),
        Value::List(items) => items.get(key.parse::<usize>().ok()?),
        _ => None,
    }
}
