//! The dependency rules of `docs/architecture.md`: R1 to R4. Each checker is a function, and is seen to fail once.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use crate::root;

type Edges = BTreeMap<String, BTreeSet<String>>;

fn metadata() -> serde_json::Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked", "--filter-platform=x86_64-unknown-linux-gnu"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Returns the normal dependencies of each package of the workspace.
fn edges(metadata: &serde_json::Value) -> Edges {
    let members: BTreeSet<&str> =
        metadata["workspace_members"].as_array().expect("members").iter().filter_map(|m| m.as_str()).collect();
    let packages = metadata["packages"].as_array().expect("packages").iter();
    let own = packages.filter(|package| members.contains(package["id"].as_str().unwrap_or("")));
    own.map(|package| {
        let dependencies = package["dependencies"].as_array().expect("dependencies").iter();
        let normal = dependencies.filter(|each| each["kind"].is_null());
        (
            package["name"].as_str().expect("name").to_owned(),
            normal.filter_map(|each| Some(each["name"].as_str()?.to_owned())).collect(),
        )
    })
    .collect()
}

/// Returns the table of edges in `docs/architecture.md`: lines of "| `crate` | `a`, `b` |".
fn table(text: &str) -> Edges {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `claw"));
    rows.filter_map(|row| {
        let (name, rest) = row.split_once("` | ")?;
        let names = rest.split('`').skip(1).step_by(2).map(ToOwned::to_owned);
        Some((format!("claw{name}"), names.collect()))
    })
    .collect()
}

fn wrong_edges(edges: &Edges, table: &Edges) -> Vec<String> {
    let inner = |names: &BTreeSet<String>| {
        names.iter().filter(|name| name.starts_with("claw-")).cloned().collect::<BTreeSet<_>>()
    };
    let ours: Edges = edges.iter().map(|(name, names)| (name.clone(), inner(names))).collect();
    let all: BTreeSet<&String> = ours.keys().chain(table.keys()).collect();
    all.into_iter()
        .filter(|name| ours.get(*name) != table.get(*name))
        .map(|name| format!("{name}: {:?}, the table says {:?}", ours.get(name), table.get(name)))
        .collect()
}

#[test]
fn r1_crate_edges_are_those_of_the_table() {
    let text = std::fs::read_to_string(root().join("docs/architecture.md")).expect("the document");
    let table = table(&text);
    assert!(table.len() > 5, "the table is gone");
    assert_eq!(wrong_edges(&edges(&metadata()), &table), Vec::<String>::new());
}

#[test]
fn r1_fails_on_an_edge_too_many() {
    let text = std::fs::read_to_string(root().join("docs/architecture.md")).expect("the document");
    let mut edges = edges(&metadata());
    edges.get_mut("claw-types").expect("types").insert("claw-compose".to_owned());
    assert_eq!(wrong_edges(&edges, &table(&text)).len(), 1);
}

const PURE: &[&str] = &["claw-types", "claw-compose", "claw-scan", "claw-compiler", "claw-drivers"];
const IMPURE: &[&str] = &["tokio", "hyper", "bollard", "reqwest", "axum", "rand", "mio", "socket2"];

/// Returns which impure crates a crate reaches, by the resolved graph.
fn reaches(metadata: &serde_json::Value, name: &str) -> BTreeSet<String> {
    let nodes = metadata["resolve"]["nodes"].as_array().expect("nodes");
    let packages = metadata["packages"].as_array().expect("packages");
    let id_of =
        |name: &str| packages.iter().find(|package| package["name"] == name).map(|package| package["id"].clone());
    let mut open = vec![id_of(name).expect("a package")];
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        if !seen.insert(id.to_string()) {
            continue;
        }
        let node = nodes.iter().find(|node| node["id"] == id).expect("a node");
        for dependency in node["deps"].as_array().expect("deps") {
            let is_normal =
                dependency["dep_kinds"].as_array().expect("kinds").iter().any(|kind| kind["kind"].is_null());
            if is_normal {
                open.push(dependency["pkg"].clone());
            }
        }
    }
    packages
        .iter()
        .filter(|package| seen.contains(&package["id"].to_string()))
        .filter_map(|package| package["name"].as_str())
        .filter(|name| IMPURE.contains(name))
        .map(ToOwned::to_owned)
        .collect()
}

#[test]
fn r2_pure_crates_reach_no_runtime_and_no_network() {
    let metadata = metadata();
    for name in PURE {
        assert_eq!(reaches(&metadata, name), BTreeSet::new(), "{name}");
    }
}

#[test]
fn r3_pure_crates_deny_the_methods_of_the_host() {
    let clippy = std::fs::read_to_string(root().join("clippy.toml")).expect("clippy.toml");
    for banned in [
        "std::fs::read",
        "std::env::var",
        "std::time::SystemTime",
        "std::collections::HashMap",
        "std::process::Command::new",
    ] {
        assert!(clippy.contains(&format!("\"{banned}\"")), "{banned} is not in clippy.toml");
    }
    for file in ["src/types/lib.rs", "src/compose/lib.rs", "src/scan/lib.rs", "src/compiler/lib.rs", "drivers/lib.rs"] {
        let text = std::fs::read_to_string(root().join(file)).expect("a crate");
        assert!(denies(&text), "{file}");
    }
    assert!(!denies("//! A crate.\n#![deny(clippy::disallowed_methods)]\n"));
}

fn denies(text: &str) -> bool {
    text.contains("#![deny(clippy::disallowed_methods, clippy::disallowed_types, clippy::iter_over_hash_type)]")
}

/// Crates that may be named by one crate of the workspace only, read from `deny.toml`.
fn wrappers(text: &str) -> Vec<(String, BTreeSet<String>)> {
    let rows = text.lines().filter(|line| line.contains("wrappers = ["));
    rows.map(|row| {
        let names: Vec<String> = row.split('"').skip(1).step_by(2).map(ToOwned::to_owned).collect();
        (names[0].clone(), names[1..].iter().cloned().collect())
    })
    .collect()
}

fn wrong_wrappers(edges: &Edges, wrappers: &[(String, BTreeSet<String>)]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, allowed) in wrappers {
        for (user, names) in edges {
            if names.contains(name) && !allowed.contains(user) {
                wrong.push(format!("{user} names {name}"));
            }
        }
    }
    wrong
}

#[test]
fn r4_each_library_of_a_boundary_is_named_at_that_boundary() {
    let text = std::fs::read_to_string(root().join("deny.toml")).expect("deny.toml");
    let wrappers = wrappers(&text);
    let mut edges = edges(&metadata());
    assert!(
        wrappers.iter().any(|(name, _)| name == "clap") && wrappers.iter().any(|(name, _)| name == "granit-parser")
    );
    assert_eq!(wrong_wrappers(&edges, &wrappers), Vec::<String>::new());
    edges.get_mut("claw-compiler").expect("compiler").insert("clap".to_owned());
    assert_eq!(wrong_wrappers(&edges, &wrappers), ["claw-compiler names clap"]);
}

#[test]
fn licences_and_sources_are_those_of_deny_toml() {
    let text = std::fs::read_to_string(root().join("deny.toml")).expect("deny.toml");
    let allowed: BTreeSet<&str> = text
        .split("allow = [")
        .nth(1)
        .and_then(|rest| rest.split(']').next())
        .expect("allow")
        .split('"')
        .skip(1)
        .step_by(2)
        .collect();
    for package in metadata()["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("name");
        if package["source"].is_null() {
            continue;
        }
        let source = package["source"].as_str().unwrap_or("");
        assert!(source.starts_with("registry+"), "{name} comes from {source}");
        let licence = package["license"].as_str().unwrap_or("");
        assert!(is_allowed(licence, &allowed), "{name} has the licence `{licence}`");
    }
    assert!(!is_allowed("GPL-3.0", &allowed));
    assert!(!is_allowed("MIT AND GPL-3.0", &allowed));
}

/// Every `AND` part of an expression needs one allowed `OR` choice.
fn is_allowed(licence: &str, allowed: &BTreeSet<&str>) -> bool {
    let flat = licence.replace(['(', ')'], "").replace('/', " OR ");
    flat.split(" AND ").all(|part| part.split(" OR ").any(|choice| allowed.contains(choice.trim())))
}
