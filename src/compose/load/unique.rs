//! The pass that lets the last of several entries for one thing stand, in the place of the first.

use std::collections::BTreeMap;

use super::mounts;
use crate::yaml::{Kind, Node};

/// Returns what an entry of a list is about; nothing where it is like no other.
type Index = fn(&Node) -> Option<String>;

/// Lists of a service.
const SERVICE: &[(&str, Index)] = &[
    ("annotations", key),
    ("cap_add", key),
    ("cap_drop", key),
    ("configs", config),
    ("devices", device),
    ("dns", key),
    ("dns_opt", key),
    ("dns_search", key),
    ("env_file", file),
    ("environment", key),
    ("expose", text),
    ("labels", key),
    ("links", key),
    ("ports", port),
    ("profiles", key),
    ("secrets", secret),
    ("sysctls", key),
    ("tmpfs", key),
    ("volumes", volume),
];

const BUILD: &[(&str, Index)] =
    &[("additional_contexts", key), ("args", key), ("labels", key), ("platform", key), ("tags", key)];

const ATTACHMENT: &[(&str, Index)] = &[("aliases", key), ("link_local_ips", key)];

/// Lets the last entry for each thing stand.
pub(crate) fn unique(root: &mut Node) {
    let Kind::Map(sections) = &mut root.kind else { return };
    for section in sections {
        let Kind::Map(entries) = &mut section.value.kind else { continue };
        for each in entries {
            match section.key.as_str() {
                "services" => service(&mut each.value),
                "networks" | "volumes" => lists(&mut each.value, &[("labels", key)]),
                _ => {}
            }
        }
    }
}

fn service(node: &mut Node) {
    lists(node, SERVICE);
    let Kind::Map(entries) = &mut node.kind else { return };
    for entry in entries {
        match (entry.key.as_str(), &mut entry.value.kind) {
            ("build", Kind::Map(_)) => lists(&mut entry.value, BUILD),
            ("deploy", Kind::Map(_)) => lists(&mut entry.value, &[("labels", key)]),
            ("networks", Kind::Map(networks)) => {
                networks.iter_mut().for_each(|network| lists(&mut network.value, ATTACHMENT));
            }
            _ => {}
        }
    }
}

fn lists(node: &mut Node, table: &[(&str, Index)]) {
    let Kind::Map(entries) = &mut node.kind else { return };
    for entry in entries {
        if let Some((_, index)) = table.iter().find(|(name, _)| *name == entry.key)
            && let Kind::Seq(items) = &mut entry.value.kind
        {
            last_of_each(items, *index);
        }
    }
}

fn last_of_each(items: &mut Vec<Node>, index: Index) {
    if items.len() < 2 {
        return;
    }
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut kept: Vec<Node> = Vec::with_capacity(items.len());
    for item in std::mem::take(items) {
        match index(&item) {
            Some(about) => match places.get(&about).and_then(|place| kept.get_mut(*place)) {
                Some(earlier) => *earlier = item,
                None => {
                    places.insert(about, kept.len());
                    kept.push(item);
                }
            },
            None => kept.push(item),
        }
    }
    *items = kept;
}

fn text(node: &Node) -> Option<String> {
    node.scalar().map(|scalar| scalar.text.clone())
}

fn field(node: &Node, name: &str) -> Option<String> {
    node.get(name).filter(|value| !value.is_null()).and_then(text)
}

/// What stands before the first `=`.
fn key(node: &Node) -> Option<String> {
    let text = &node.scalar()?.text;
    Some(text.split_once('=').map_or(text.as_str(), |(key, _)| key).to_owned())
}

fn file(node: &Node) -> Option<String> {
    text(node).or_else(|| field(node, "path"))
}

fn device(node: &Node) -> Option<String> {
    match node.scalar() {
        Some(scalar) => scalar.text.split(':').nth(1).or(Some(scalar.text.as_str())).map(ToOwned::to_owned),
        None => field(node, "target"),
    }
}

fn in_container(node: &Node, directory: &str) -> Option<String> {
    match node.scalar() {
        Some(scalar) => Some(format!("{directory}/{}", scalar.text)),
        None => field(node, "target").or_else(|| Some(format!("{directory}/{}", field(node, "source")?))),
    }
}

fn secret(node: &Node) -> Option<String> {
    in_container(node, "/run/secrets")
}

fn config(node: &Node) -> Option<String> {
    in_container(node, "")
}

fn volume(node: &Node) -> Option<String> {
    match node.scalar() {
        Some(scalar) => mounts::target(&scalar.text),
        None => field(node, "target"),
    }
}

fn port(node: &Node) -> Option<String> {
    match node.scalar() {
        Some(scalar) => Some(scalar.text.clone()),
        None => {
            let or = |name: &str, default: &str| field(node, name).unwrap_or_else(|| default.to_owned());
            let target = field(node, "target")?;
            let (ip, published) = (or("host_ip", "0.0.0.0"), or("published", ""));
            Some(format!("{ip}:{published}:{target}/{}", or("protocol", "tcp")))
        }
    }
}
