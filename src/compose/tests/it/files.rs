//! Projects of several files: merging, tags, `extends`, `include`, and the normal form. The files are in memory.

use std::collections::BTreeMap;

use claw_compose::load::normal::{Place, normal};
use claw_compose::load::{EnvFile, Files, Found, Options, Stop, load};
use claw_compose::model::Project;
use claw_compose::{hash, print, write};
use claw_types::diag::Diagnostics;
use claw_types::span::{FileId, SourceMap};

struct Memory {
    sources: SourceMap,
    files: BTreeMap<String, FileId>,
    env_files: BTreeMap<String, EnvFile>,
}

impl Files for Memory {
    fn file(&self, path: &str) -> Option<Found<'_>> {
        Some(self.files.get(path).and_then(|file| self.sources.get(*file)).map_or(Found::Missing, Found::Text))
    }

    fn env_file(&self, path: &str) -> Option<Option<&EnvFile>> {
        Some(self.env_files.get(path))
    }
}

/// Loads the files whose names start with `main`, in their order; `*.env` is `NAME=value`.
fn project(files: &[(&str, &str)]) -> Result<Project, Vec<String>> {
    let mut memory = Memory { sources: SourceMap::new(), files: BTreeMap::new(), env_files: BTreeMap::new() };
    for (path, text) in files {
        if let Some((name, value)) = text.split_once('=').filter(|_| path.ends_with(".env")) {
            memory.env_files.insert((*path).to_owned(), EnvFile::from([(name.to_owned(), Some(value.to_owned()))]));
        } else {
            let file = memory.sources.add(*path, *text);
            memory.files.insert((*path).to_owned(), file);
        }
    }
    let lookup = BTreeMap::from([("SET".to_owned(), "set".to_owned())]);
    let mains: Vec<_> = memory
        .files
        .iter()
        .filter(|(path, _)| path.starts_with("main"))
        .filter_map(|(path, file)| Some((path.as_str(), memory.sources.get(*file)?)))
        .collect();
    let options = Options {
        lookup: &lookup,
        keep: &|_, _| false,
        files: &memory,
        name: Some("case"),
        directory: "case",
        judges: true,
    };
    let mut diag = Diagnostics::new();
    let loaded = load(&mains, &options, &[], &mut diag);
    match loaded {
        Ok(loaded) => {
            let mut project = loaded.project;
            normal(&mut project, &Place { root: "/p", name: "case", lookup: &lookup });
            Ok(project)
        }
        Err(Stop::Reported(_) | Stop::Broken(..)) => {
            Err(diag.iter().map(|each| format!("{}: {}", each.code.name(), each.message)).collect())
        }
        Err(Stop::Wanted(wants)) => Err(vec![format!("{wants:?}")]),
    }
}

fn json(files: &[(&str, &str)]) -> serde_json::Value {
    let project = project(files).expect("valid");
    serde_json::from_str(&write::json(&print::json(&project))).expect("JSON")
}

#[test]
fn a_later_file_goes_over_an_earlier_one_by_the_table() {
    let found = json(&[
        (
            "main1.yml",
            "services: {a: {image: i, command: [a, b], environment: {A: '1', B: '2'}, ports: ['80:80'], volumes: ['/a:/x'], \
             depends_on: [b], logging: {driver: x, options: {a: b}}, labels: [l=1], build: .}, b: {image: j}}\n",
        ),
        (
            "main2.yml",
            "services: {a: {command: [c], environment: [B=3, C], ports: ['80:80', '81:80'], volumes: ['/b:/x'], \
             depends_on: {b: {condition: service_healthy}}, logging: {driver: y}, labels: {m: 2}, build: {target: t}}}\n",
        ),
    ]);
    let a = &found["services"]["a"];
    assert_eq!(a["command"], serde_json::json!(["c"]));
    assert_eq!(a["environment"], serde_json::json!({"A": "1", "B": "3", "C": null}));
    assert_eq!(a["ports"].as_array().expect("ports").len(), 2);
    assert_eq!(a["volumes"][0]["source"], "/b");
    assert_eq!(a["depends_on"]["b"]["condition"], "service_healthy");
    assert_eq!(a["logging"], serde_json::json!({"driver": "y"}));
    assert_eq!(a["labels"], serde_json::json!({"l": "1", "m": "2"}));
    assert_eq!(a["build"], serde_json::json!({"context": "/p", "dockerfile": "Dockerfile", "target": "t"}));
}

#[test]
fn reset_and_override_clear_what_earlier_files_said() {
    let found = json(&[
        ("main1.yml", "services: {a: {image: i, ports: ['80:80'], expose: ['1'], labels: {l: m}}, b: {image: j}}\n"),
        (
            "main2.yml",
            "services: {a: {ports: !override ['81:81'], expose: !reset [], labels: {l: !reset m}}, b: !reset null}\n",
        ),
    ]);
    let a = &found["services"]["a"];
    assert_eq!((a["ports"][0]["published"].as_str(), a["expose"].is_null()), (Some("81"), true));
    assert!(a["labels"].is_null() && found["services"]["b"].is_null(), "{found}");
}

#[test]
fn extends_takes_a_service_of_another_file_with_its_paths_and_of_its_own_base() {
    let found = json(&[
        ("main.yml", "services: {a: {extends: {file: sub/base.yml, service: x}, environment: {B: '2'}}}\n"),
        (
            "sub/base.yml",
            "services: {x: {extends: {file: deep/base.yml, service: z}, build: ., volumes: ['./d:/d']}}\n",
        ),
        ("sub/deep/base.yml", "services: {z: {environment: {A: '${SET}', B: '1'}, volumes: ['./e:/e']}}\n"),
    ]);
    let a = &found["services"]["a"];
    assert_eq!(a["build"]["context"], "/p/sub");
    let sources: Vec<_> =
        a["volumes"].as_array().expect("mounts").iter().map(|mount| mount["source"].clone()).collect();
    assert_eq!(sources, ["/p/sub/deep/e", "/p/sub/d"]);
    assert_eq!(a["environment"], serde_json::json!({"A": "set", "B": "2"}));
}

#[test]
fn what_goes_round_or_leads_nowhere_is_an_error_by_name() {
    let errors = |files: &[(&str, &str)]| project(files).expect_err("wrong").join("\n");
    let own = errors(&[("main.yml", "services: {a: {extends: b, image: i}, b: {extends: a}}\n")]);
    assert!(own.contains("services extend each other: `a` of `main.yml`"), "{own}");
    let files =
        errors(&[("main.yml", "include: [b.yml]\n"), ("b.yml", "include: [main.yml]\nservices: {a: {image: i}}\n")]);
    assert!(files.contains("files include each other: `main.yml` -> `b.yml` -> `main.yml`"), "{files}");
    let none =
        errors(&[("main.yml", "services: {a: {extends: {file: no.yml, service: x}}, c: {extends: aa, image: i}}\n")]);
    assert!(none.contains("`no.yml` is not there") && none.contains("has no service `aa` to extend"), "{none}");
    let remote = errors(&[(
        "main.yml",
        "include: ['https://x/y.git']\nservices: {a: {extends: {file: 'oci://x', service: y}}}\n",
    )]);
    assert_eq!(remote.matches("unsupported").count(), 2, "{remote}");
}

#[test]
fn chains_of_extends_end_in_bounded_memory() {
    let mut text = String::from("services:\n  s0: {image: i, labels: {a: b}}\n");
    for level in 1..2000 {
        text.push_str(&format!("  s{level}: {{extends: s{}}}\n", level - 1));
    }
    assert_eq!(project(&[("main.yml", &text)]).expect("valid").services.len(), 2000);
    let mut text = String::from("services:\n");
    for level in 0..100_000 {
        text.push_str(&format!("  s{level}: {{extends: s{}}}\n", level + 1));
    }
    let found = project(&[("main.yml", &text)]).expect_err("too deep");
    assert!(found.iter().any(|each| each.starts_with("yaml-budget")), "{}", found.len());
}

#[test]
fn an_included_file_has_a_directory_and_variables_of_its_own() {
    let found = json(&[
        ("main.yml", "include: [inc/b.yml]\nservices: {a: {image: 'i:${V:-none}'}}\nx-claw: {pod: case}\n"),
        (
            "inc/b.yml",
            "services: {b: {image: 'j:${V:-none}', build: {}, environment: [V, SET], volumes: ['./x:/x']}}\nx-claw: {pod: other, master: b}\n",
        ),
        ("inc/.env", "V=own"),
    ]);
    let b = &found["services"]["b"];
    assert_eq!((found["services"]["a"]["image"].as_str(), b["image"].as_str()), (Some("i:none"), Some("j:own")));
    assert_eq!(
        (b["build"]["context"].as_str(), b["volumes"][0]["source"].as_str()),
        (Some("/p/inc"), Some("/p/inc/x"))
    );
    // Docker compose asks the project alone for a variable without value.
    assert!(b["environment"]["V"].is_null());
    assert_eq!(found["x-claw"], serde_json::json!({"pod": "case", "master": "b"}));
}

#[test]
fn two_things_of_one_name_must_be_the_same() {
    let files = |image: &str| {
        let text = format!("include: [b.yml]\nservices: {{b: {{image: {image}}}}}\n");
        project(&[("main.yml", text.as_str()), ("b.yml", "services: {b: {image: j}}\n")])
    };
    assert!(files("j").is_ok());
    let found = files("k").expect_err("wrong");
    assert_eq!(found, ["name-collision: `services.b` is in an included file too, and differs"]);
}

#[test]
fn the_hash_does_not_depend_on_how_a_service_is_written() {
    let of = |text: &str| {
        let project = project(&[("main.yml", text)]).expect("valid");
        hash::service(&project.services["a"], hash::Level::V2_40)
    };
    let long = of("services: {a: {image: x, environment: {A: '<b>'}, scale: 2, pull_policy: always}}");
    assert_eq!(of("services: {a: {environment: ['A=<b>'], image: x}}"), long);
    assert_ne!(of("services: {a: {environment: ['A=<c>'], image: x}}"), long);
}

#[test]
fn a_later_file_adds_what_is_new_and_nothing_takes_nothing_back() {
    let found = json(&[
        (
            "main1.yml",
            "services:\n  a:\n    image: x\n    user: u\n    extra_hosts: ['a:1.1.1.1']\n    devices: ['/x:/dev/a']\n    networks: {n: {aliases: [w]}}\n\
             networks: {n: }\n",
        ),
        (
            "main2.yml",
            "services:\n  a:\n    user:\n    extra_hosts: {a: 1.1.1.1, b: 2.2.2.2}\n    devices: ['/y:/dev/a']\n    networks: [n]\n",
        ),
    ]);
    let a = &found["services"]["a"];
    assert_eq!(a["user"], "u");
    assert_eq!(a["extra_hosts"], serde_json::json!(["a=1.1.1.1", "b=2.2.2.2"]));
    assert_eq!(a["devices"].as_array().map(Vec::len), Some(1), "one thing at a place");
    assert_eq!(a["devices"][0]["source"], "/y");
    assert_eq!(a["networks"]["n"]["aliases"][0], "w");
}

#[test]
fn what_a_variable_gave_is_text_until_the_schema_wants_a_number() {
    let a = |line: &str, value: &str| {
        let text = format!("services:\n  a:\n    image: x\n    {line}\n");
        let main: &str = &text.replace("SET", value);
        project(&[("main.yml", main)]).ok().map(|project| write::json(&print::json(&project)))
    };
    let printed = |line: &str, value: &str| a(line, value).expect("taken");
    assert!(printed("environment: {Z: '01067'}", "").contains("\"Z\": \"01067\""));
    assert!(printed("environment:\n      Z: ${NO:-01067}", "").contains("\"Z\": \"01067\""));
    assert!(printed("environment:\n      Z: ${NO-}", "").contains("\"Z\": \"\""));
    assert!(printed("user: ${NO:-1000}", "").contains("\"user\": \"1000\""));
    assert!(printed("pids_limit: ${NO:-010}", "").contains("\"pids_limit\": 10"));
    assert!(a("pids_limit: ${NO:-0x10}", "").is_none());
    assert!(a("tty: ${NO-}", "").is_none());
}

#[test]
fn an_included_pod_gives_no_name() {
    let found = json(&[
        ("main.yml", "include: [inc/b.yml]\nservices: {a: {image: i}}\n"),
        ("inc/b.yml", "services: {b: {image: j}}\nx-claw: {pod: other, master: b}\n"),
    ]);
    assert_eq!(found["x-claw"], serde_json::json!({"master": "b"}));
}
