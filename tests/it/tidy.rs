//! Rules over the text of the project: R5 to R11. Each checker is a function, and is seen to fail once.

use std::collections::BTreeSet;
use std::path::Path;

use crate::root;

/// Returns every file of the project with an ending, by relative path.
fn sources(ending: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for folder in ["src", "drivers", "tests"] {
        let below = crate::files(&root().join(folder));
        let wanted = below.into_iter().filter(|(name, _)| name.ends_with(ending));
        found.extend(wanted.map(|(name, text)| (format!("{folder}/{name}"), text)));
    }
    assert!(found.len() > 10);
    found
}

fn drivers() -> BTreeSet<String> {
    let entries = std::fs::read_dir(root().join("drivers")).expect("drivers").flatten();
    let folders = entries.filter(|entry| entry.path().join("mod.rs").is_file());
    folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// R5: a driver does not name another driver.
fn names_other_driver(path: &str, text: &str, drivers: &BTreeSet<String>) -> Option<String> {
    let own = path.strip_prefix("drivers/")?.split('/').next()?;
    if !drivers.contains(own) {
        return None;
    }
    let other = drivers.iter().filter(|name| *name != own);
    other
        .into_iter()
        .find(|name| {
            let module = name.replace('-', "_");
            text.contains(&format!("crate::{module}")) || text.contains(&format!("super::{module}"))
        })
        .map(|name| format!("{path} names {name}"))
}

#[test]
fn r5_a_driver_names_no_other_driver() {
    let drivers = drivers();
    for (path, text) in sources(".rs") {
        assert_eq!(names_other_driver(&path, &text, &drivers), None);
    }
    assert!(names_other_driver("drivers/generic/mod.rs", "use crate::reference::X;", &drivers).is_some());
}

/// R6: names of platforms are literals in one table and in drivers only.
fn names_platform(path: &str, text: &str) -> Option<String> {
    if path == "src/types/platform.rs"
        || path.starts_with("drivers/")
        || path.starts_with("tests/")
        || path.contains("/tests/")
    {
        return None;
    }
    let known = ["discord", "slack", "telegram", "whatsapp", "matrix", "feishu", "dingtalk", "wecom", "onebot"];
    known.into_iter().find(|name| text.contains(&format!("\"{name}\""))).map(|name| format!("{path} names {name}"))
}

#[test]
fn r6_platforms_are_named_in_one_place() {
    for (path, text) in sources(".rs") {
        assert_eq!(names_platform(&path, &text), None);
    }
    assert!(names_platform("src/compiler/resolve/mod.rs", "let x = \"discord\";").is_some());
}

/// R7: a type for secret values lives where values are handled.
fn holds_secret(path: &str, text: &str) -> bool {
    let allowed = ["src/engine/", "src/proxy/", "src/shim/", "src/reference/", "tests/"];
    text.contains("SecretValue") && !allowed.iter().any(|folder| path.starts_with(folder))
}

#[test]
fn r7_secret_values_stay_in_the_shells() {
    for (path, text) in sources(".rs") {
        assert!(!holds_secret(&path, &text), "{path}");
    }
    assert!(holds_secret("src/compiler/lib.rs", "use x::SecretValue;"));
}

/// R8: one file prints.
fn prints(path: &str, text: &str) -> bool {
    let macros = ["println!(", "eprintln!(", "print!(", "eprint!(", "dbg!("];
    path != "src/cli/ui.rs"
        && !path.starts_with("tests/")
        && !path.contains("/tests/")
        && macros.iter().any(|name| text.contains(name))
}

#[test]
fn r8_printing_is_in_one_file() {
    for (path, text) in sources(".rs") {
        assert!(!prints(&path, &text), "{path}");
    }
    assert!(prints("src/cli/lib.rs", "println!(\"x\")"));
}

/// R9: every code is explained and shown; every driver is listed, described and has cases.
#[test]
fn r9_every_code_has_a_paragraph_and_a_case() {
    let table = std::fs::read_to_string(root().join("src/types/diag.rs")).expect("codes");
    let codes: Vec<&str> = table
        .split("codes! {")
        .nth(1)
        .expect("the table")
        .lines()
        .take_while(|line| !line.starts_with('}'))
        .filter_map(|line| line.trim().strip_suffix("\",")?.split(" = \"").nth(1))
        .collect();
    assert!(codes.len() > 30, "{codes:?}");
    let page = std::fs::read_to_string(root().join("docs/diagnostics.md")).expect("the page");
    let cases: String = crate::files(&root().join("testdata/errors")).into_values().collect();
    let pending = std::fs::read_to_string(root().join("testdata/errors/pending.txt")).expect("pending.txt");
    let pending: BTreeSet<&str> = pending.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    for code in &codes {
        assert!(page.contains(&format!("\n## {code}\n")), "docs/diagnostics.md has no `## {code}`");
        let has_case = cases.contains(&format!("[{code}]"));
        assert_ne!(has_case, pending.contains(code), "`{code}`: a case, or a line in pending.txt, and not both");
    }
    assert!(pending.iter().all(|code| codes.contains(code)));
}

#[test]
fn r9_every_driver_is_listed_and_described() {
    let list = std::fs::read_to_string(root().join("drivers/lib.rs")).expect("the list");
    for name in drivers() {
        assert!(list.contains(&format!("mod {};", name.replace('-', "_"))), "{name} is not listed");
        assert!(root().join("drivers").join(&name).join("README.md").is_file(), "{name} has no README.md");
        assert!(root().join("drivers").join(&name).join("cases").is_dir(), "{name} has no cases");
    }
}

/// R10: every file says what it is for, and none is too long.
fn untidy(path: &str, text: &str) -> Option<String> {
    let lines = text.lines().count();
    if !text.starts_with("//!") {
        return Some(format!("{path} does not start with `//!`"));
    }
    if lines > 800 {
        return Some(format!("{path} has {lines} lines"));
    }
    text.lines().position(|line| line.ends_with(' ')).map(|at| format!("{path}:{} ends in a space", at + 1))
}

#[test]
fn r10_files_are_introduced_and_short() {
    for (path, text) in sources(".rs") {
        assert_eq!(untidy(&path, &text), None);
    }
    assert!(untidy("a.rs", "fn x() {}").is_some());
    assert!(untidy("a.rs", &format!("//! x\n{}", "\n".repeat(800))).is_some());
}

/// R11: every example has a golden.
#[test]
fn r11_every_example_has_its_expected_output() {
    for entry in std::fs::read_dir(root().join("examples")).expect("examples").flatten() {
        assert!(entry.path().join("expected").is_dir(), "{} has no expected/", entry.path().display());
        assert!(Path::new(&entry.path()).join("claw-pod.yml").is_file());
    }
}
