//! What docker compose 2.40 was seen to take, refuse and print, to the letter: each row was run through the real program.

use std::collections::BTreeMap;

use claw_compose::load::dotenv;
use claw_compose::{print, write};
use claw_types::diag::Diagnostics;
use claw_types::span::SourceMap;
use serde_json::{Value, json};

/// Returns the service `a` as it is printed; nothing where the file is refused.
fn service(text: &str) -> Option<Value> {
    let loaded = crate::load(text, &[], &[]).0?;
    let printed = write::json(&print::json(&loaded.project));
    let printed: Value = serde_json::from_str(&printed).expect("JSON");
    Some(printed["services"]["a"].clone())
}

const TOP: &str = "networks: {n: }\nvolumes: {vol: }\n";

#[test]
fn what_is_taken_becomes_what_compose_prints() {
    for (line, pointer, printed) in [
        ("environment: {V: 1000000.0}", "/environment/V", json!("1e+06")),
        ("environment: {V: 999999.5}", "/environment/V", json!("999999.5")),
        ("environment: {V: 1e-5}", "/environment/V", json!("1e-05")),
        ("environment: {V: 12345678901234567890}", "/environment/V", json!("12345678901234567890")),
        ("environment: {V: .inf}", "/environment/V", json!("+Inf")),
        ("environment: {V: 0x10}", "/environment/V", json!("16")),
        ("mem_limit: 010", "/mem_limit", json!("8")),
        ("mem_limit: +1g", "/mem_limit", json!("1073741824")),
        ("cpus: 0x10", "/cpus", json!(16)),
        ("cpu_shares: 1.5", "/cpu_shares", json!(1)),
        ("scale: 5.0", "/scale", json!(5)),
        ("ports: [{target: 80, published: 0x10}]", "/ports/0/published", json!("16")),
        ("devices: [{source: /a, target: /b}]", "/devices/0", json!({"source": "/a", "target": "/b"})),
        ("volumes: ['./x:/a:ro,rw']", "/volumes/0/read_only", Value::Null),
        ("volumes: ['./x:/a:rw,ro']", "/volumes/0/read_only", json!(true)),
        ("volumes: ['vol:/a:z']", "/volumes/0/bind", json!({"selinux": "z"})),
        ("uts: 'service:b'", "/depends_on/b/condition", json!("service_started")),
        ("profiles: ['']", "/image", json!("x")),
        ("logging: {driver: ''}", "/logging/driver", Value::Null),
        ("deploy: ", "/image", json!("x")),
    ] {
        let text = format!("services:\n  a:\n    image: x\n    {line}\n  b: {{image: x}}\n{TOP}");
        let found = service(&text).unwrap_or_else(|| panic!("{line}: {:?}", crate::load(&text, &[], &[]).1));
        assert_eq!(found.pointer(pointer).unwrap_or(&Value::Null), &printed, "{line}: {found}");
    }
}

#[test]
fn what_compose_refuses_is_refused() {
    for line in [
        "environment:",
        "ports:",
        "tty:",
        "depends_on:",
        "healthcheck: {test: }",
        "deploy: {replicas: }",
        "volumes: [{type: bind, source: /x, target: /y, bind: }]",
        "scale: -1",
        "healthcheck: {test: x, retries: -1}",
        "oom_score_adj: 1001",
        "cpu_percent: 101",
        "mem_limit: -1g",
        "mem_limit: ' 1g'",
        "memswap_limit: '-1'",
        "mem_reservation: 1.5",
        "deploy: {resources: {limits: {memory: 64}}}",
        "stop_grace_period: 90",
        "group_add: [1.5]",
        "depends_on: [b, b]",
        "networks: [n, n]",
        "devices: [{source: /a}]",
        "devices: ['/a:/b:x:y']",
        "labels: [1]",
        "storage_opt: [a=b]",
        "logging: {options: {a: true}}",
        "ports: ['::1:80:80']",
        "ports: [{target: 80, host_ip: foo}]",
        "build: {context: ., dockerfile: x, dockerfile_inline: FROM a}",
        "tmpfs: [/y]\n    volumes: ['vol:/y']",
        "pids_limit: 5\n    deploy: {resources: {limits: {cpus: '1'}}}",
        "deploy: {update_config: {order: foo}}",
        "develop: {watch: [{path: ., action: foo}]}",
        "develop: {watch: [{path: ., action: sync}]}",
    ] {
        let text = format!("services:\n  a:\n    image: x\n    {line}\n  b: {{image: x}}\n{TOP}");
        assert!(service(&text).is_none(), "{line}");
    }
    for text in [
        "services: {a: {image: x}}\nvolumes: {é: }\n",
        "services: {a: {image: x}}\nconfigs: {k: {file: ./x, driver: y}}\n",
        "services: {a: {image: x}}\n---\n",
        "x-a: &a {image: x}\nservices:\n  a:\n    <<: *a\n    <<: *a\n",
    ] {
        assert!(service(text).is_none(), "{text}");
    }
}

/// What a line of an env file sets; nothing where it is refused.
fn line(text: &str, is_raw: bool) -> Option<BTreeMap<String, Option<String>>> {
    let mut sources = SourceMap::new();
    let file = sources.add("e.env", text);
    let lookup = BTreeMap::from([("HOME".to_owned(), "/h".to_owned())]);
    let mut diag = Diagnostics::new();
    let found = dotenv::parse(sources.get(file).expect("added"), &lookup, is_raw, &mut diag);
    (!diag.has_errors()).then_some(found)
}

#[test]
fn env_files_are_read_as_compose_reads_them() {
    let one = |value: &str| Some(BTreeMap::from([("A".to_owned(), Some(value.to_owned()))]));
    for (text, value) in [
        ("A='\\''", one("'")),
        ("A=#", one("#")),
        ("A= #x", one("#x")),
        ("A=x #y", one("x")),
        ("A=x#y", one("x#y")),
        ("A=\"\\a\\b\\f\\v\"", one("\u{7}\u{8}\u{c}\u{b}")),
        ("A=\"\\0101\"", one("A")),
        ("A=\u{a0}x", one("x")),
        ("export\tA=1", one("1")),
        ("A: y", one("y")),
        ("A=\"q\" # c", one("q")),
        ("A=$HOME", one("/h")),
        ("A='$HOME'", one("$HOME")),
        ("A=\"a\" \"b\"", None),
        ("A='a''b'", None),
        ("A+=1", None),
        ("A/B=1", None),
        ("\"A\"=1", None),
        ("A#c=1", None),
        ("A B=1", None),
        ("A='x", None),
    ] {
        assert_eq!(line(text, false), value, "{text}");
    }
    let two = line("A=\"x\" B=2\n", false).expect("two statements");
    assert_eq!((two["A"].as_deref(), two["B"].as_deref()), (Some("x"), Some("2")));
    for (text, value) in
        [("A=\"x\" #c", one("\"x\" #c")), (" A=1", one("1")), ("A = 1", None), ("export A=1", None), ("=1", None)]
    {
        assert_eq!(line(text, true), value, "raw {text}");
    }
    assert_eq!(line("A:b=c", true).expect("one")["A:b"].as_deref(), Some("c"));
}
