//! A normal project as docker compose prints it. JSON and YAML differ there in what they leave out, and so they do here.

use std::collections::BTreeMap;

use claw_types::doc::json_string;

use crate::model::{Project, Service};
use crate::shape::Shape;
use crate::template::{Operator, Template};
use crate::value::{Key, Value};
use crate::yaml::{Kind, Node};

/// Returns a project as `docker compose config` prints it as YAML; keys that start with `x-` stay where they are.
pub fn yaml(project: &Project) -> Value {
    let mut value = project.encode().unwrap_or(Value::Null);
    at(&mut value, "networks", &mut |networks| {
        each(networks, &mut |network| {
            if let Value::Map(keys) = network {
                keys.retain(|(key, value)| key != "ipam" || *value != Value::Map(Vec::new()));
            }
        });
    });
    at(&mut value, "services", &mut |services| each(services, &mut limits));
    if let Value::Map(sections) = &mut value
        && !sections.iter().any(|(key, _)| key == "services")
    {
        sections.push(("services".into(), Value::Map(Vec::new())));
    }
    value
}

/// Returns a project as `docker compose config --format json` prints it: of keys that start with `x-` only those at the
/// top, and no models.
pub fn json(project: &Project) -> Value {
    let services =
        project.services.iter().map(|(name, service)| (name.clone().into(), self::service(service))).collect();
    let rest = Project {
        name: project.name.clone(),
        networks: project.networks.clone(),
        volumes: project.volumes.clone(),
        secrets: project.secrets.clone(),
        configs: project.configs.clone(),
        extensions: project.extensions.clone(),
        ..Project::default()
    };
    let Value::Map(mut sections) = rest.encode().unwrap_or(Value::Null) else { return Value::Null };
    for (_, section) in sections.iter_mut().filter(|(key, _)| !key.starts_with("x-")) {
        each(section, &mut plain);
    }
    sections.push(("services".into(), Value::Map(services)));
    Value::Map(sections)
}

/// Returns a service as compose's JSON has it, its keys in compose's order: what is printed, and what is hashed.
pub(crate) fn service(service: &Service) -> Value {
    let mut value = service.encode().unwrap_or(Value::Null);
    plain(&mut value);
    limits(&mut value);
    let Value::Map(keys) = &mut value else { return value };
    for name in ["command", "entrypoint"] {
        present(keys, name, Service::KEYS, Value::Null);
    }
    for (key, value) in keys {
        match key.as_ref() {
            "blkio_config" => blkio(value),
            "deploy" => deploy(value),
            "develop" => at(value, "watch", &mut |rules| items(rules, &mut watch)),
            "env_file" => items(value, &mut env_file),
            _ => {}
        }
    }
    value
}

/// Keys of mappings whose keys are names.
const NAMES: &[&str] = &[
    "additional_contexts",
    "annotations",
    "args",
    "aux_addresses",
    "depends_on",
    "driver_opts",
    "environment",
    "labels",
    "models",
    "networks",
    "options",
    "storage_opt",
    "sysctls",
    "ulimits",
];

/// Takes out what JSON does not have.
fn plain(value: &mut Value) {
    match value {
        Value::Map(entries) => {
            entries.retain(|(key, _)| !key.starts_with("x-"));
            for (key, value) in entries {
                // Names of the user's own may start with anything.
                if NAMES.contains(&key.as_ref()) {
                    each(value, &mut plain);
                } else {
                    plain(value);
                }
            }
        }
        Value::List(items) => items.iter_mut().for_each(plain),
        _ => {}
    }
}

fn at(value: &mut Value, key: &str, change: &mut dyn FnMut(&mut Value)) {
    if let Value::Map(entries) = value
        && let Some((_, found)) = entries.iter_mut().find(|(name, _)| name == key)
    {
        change(found);
    }
}

fn each(value: &mut Value, change: &mut dyn FnMut(&mut Value)) {
    if let Value::Map(entries) = value {
        entries.iter_mut().for_each(|(_, value)| change(value));
    }
}

fn items(value: &mut Value, change: &mut dyn FnMut(&mut Value)) {
    if let Value::List(items) = value {
        items.iter_mut().for_each(change);
    }
}

/// A limit of zero is printed as nothing.
fn limits(service: &mut Value) {
    let is_zero = |value: &Value| matches!(value, Value::Number(number) if number == "0");
    let mut zeros = |limits: &mut Value| {
        each(limits, &mut |limit| match limit {
            Value::Map(sides) => sides.retain(|(_, side)| !is_zero(side)),
            limit if is_zero(limit) => *limit = Value::Map(Vec::new()),
            _ => {}
        });
    };
    at(service, "ulimits", &mut zeros);
    at(service, "build", &mut |build| at(build, "ulimits", &mut zeros));
}

/// These have no names of their own in compose's JSON.
fn blkio(value: &mut Value) {
    each(value, &mut |devices| {
        items(devices, &mut |device| {
            if let Value::Map(entries) = device {
                for (key, _) in entries {
                    *key = match key.as_ref() {
                        "path" => "Path".into(),
                        "rate" => "Rate".into(),
                        "weight" => "Weight".into(),
                        _ => std::mem::take(key),
                    };
                }
            }
        });
    });
}

/// Adds a key that is absent, at its place in the order of the schema, which the other keys have.
fn present(keys: &mut Vec<(Key, Value)>, name: &'static str, order: &[&str], value: Value) {
    let mut next = 0;
    for known in order.iter().take_while(|known| **known != name) {
        next += usize::from(keys.get(next).is_some_and(|(key, _)| key == known));
    }
    if keys.get(next).is_none_or(|(key, _)| key != name) {
        keys.insert(next, (Key::Borrowed(name), value));
    }
}

fn deploy(value: &mut Value) {
    let Value::Map(keys) = value else { return };
    for name in ["resources", "placement"] {
        present(keys, name, crate::model::Deploy::KEYS, Value::Map(Vec::new()));
    }
}

/// A command to run is there even where none is.
fn watch(rule: &mut Value) {
    let Value::Map(keys) = rule else { return };
    if !keys.iter().any(|(key, _)| key == "exec") {
        keys.push(("exec".into(), Value::Map(vec![("command".into(), Value::Null)])));
    }
    let order = ["path", "action", "target", "exec", "include", "ignore", "initial_sync"];
    keys.sort_by_key(|(key, _)| order.iter().position(|known| known == key));
}

/// A file that must be there is its path alone.
fn env_file(file: &mut Value) {
    let Value::Map(keys) = &*file else { return };
    let is_plain = keys.iter().all(|(key, value)| key == "path" || (key == "required" && *value == Value::Bool(true)));
    if is_plain && let Some(path) = file.get("path").cloned() {
        *file = path;
    }
}

/// What the files say of a variable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variable {
    /// An error where it is not set.
    pub is_required: bool,
    /// Its default.
    pub default: String,
    /// What stands in its place where it is set.
    pub alternate: String,
}

/// Adds the variables that a tree names.
pub fn variables(tree: &Node, found: &mut BTreeMap<String, Variable>) {
    match &tree.kind {
        Kind::Map(entries) => entries.iter().for_each(|entry| variables(&entry.value, found)),
        Kind::Seq(items) => items.iter().for_each(|item| variables(item, found)),
        Kind::Scalar(scalar) => {
            let Ok(template) = Template::parse(&scalar.text) else { return };
            template.visit(&mut |variable| {
                let entry = found.entry(variable.name.clone()).or_default();
                let Some((operator, operand)) = &variable.operator else { return };
                let text = operand.as_literal().map_or_else(|| operand.to_string(), ToOwned::to_owned);
                match operator {
                    Operator::Default { .. } => entry.default = text,
                    Operator::Required { .. } => entry.is_required = true,
                    Operator::Replace { .. } => entry.alternate = text,
                }
            });
        }
    }
}

/// Returns variables as a table.
pub fn variables_table(found: &BTreeMap<String, Variable>) -> String {
    let head = ["NAME", "REQUIRED", "DEFAULT VALUE", "ALTERNATE VALUE"].map(ToOwned::to_owned);
    let row = |(name, variable): (&String, &Variable)| {
        [name.clone(), variable.is_required.to_string(), variable.default.clone(), variable.alternate.clone()]
    };
    let rows: Vec<[String; 4]> = std::iter::once(head).chain(found.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2)];
    let mut out = String::new();
    for [name, required, default, alternate] in &rows {
        let [first, second, third] = widths;
        let line = format!("{name:first$}  {required:second$}  {default:third$}  {alternate}");
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// Returns variables as JSON, in the form docker compose has for them.
pub fn variables_json(found: &BTreeMap<String, Variable>) -> String {
    let entry = |(name, variable): (&String, &Variable)| {
        format!(
            "  {}: {{\n    \"Name\": {},\n    \"DefaultValue\": {},\n    \"PresenceValue\": {},\n    \"Required\": {}\n  }}",
            json_string(name),
            json_string(name),
            json_string(&variable.default),
            json_string(&variable.alternate),
            variable.is_required
        )
    };
    let entries: Vec<String> = found.iter().map(entry).collect();
    if entries.is_empty() { "{}\n".to_owned() } else { format!("{{\n{}\n}}\n", entries.join(",\n")) }
}
