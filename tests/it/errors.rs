//! Error cases: `testdata/errors/*.yml` and `*.clawfile`. A comment `#~ error[code] 3-9` above a line expects that finding in
//! the next line that is no such comment, at these columns: first and last, from 1. Every finding must be expected.

use std::collections::BTreeSet;

use crate::{Folder, claw, root};

type Finding = (usize, String, usize);

/// Returns the expectations of a text: line, `severity[code]`, column.
fn expectations(text: &str) -> BTreeSet<Finding> {
    let mut expected = BTreeSet::new();
    let mut waiting = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if let Some(rest) = line.trim_start().strip_prefix("#~ ") {
            let (kind, column) = rest.split_once(' ').expect("a kind and columns");
            waiting.push((
                kind.to_owned(),
                column.split('-').next().and_then(|column| column.parse().ok()).expect("a column"),
            ));
            continue;
        }
        expected.extend(waiting.drain(..).map(|(kind, column)| (index + 1, kind, column)));
    }
    expected
}

/// Returns the findings of a run with `--json`, and where each is.
fn findings(stdout: &str, file: &str) -> BTreeSet<Finding> {
    let document: serde_json::Value = serde_json::from_str(stdout).expect("JSON");
    let all = document["diagnostics"].as_array().expect("diagnostics").iter();
    all.map(|each| {
        assert!(each["place"]["path"].as_str().expect("a path").ends_with(file), "{each}");
        let number = |key: &str| usize::try_from(each["place"][key].as_u64().expect("a number")).expect("small");
        (
            number("line"),
            format!("{}[{}]", each["severity"].as_str().unwrap_or(""), each["code"].as_str().unwrap_or("")),
            number("column"),
        )
    })
    .collect()
}

#[test]
fn every_case_has_the_findings_it_expects_and_no_others() {
    let mut count = 0;
    for (name, text) in crate::files(&root().join("testdata/errors")) {
        let folder = Folder::new("errors");
        folder.write("AGENTS.md", "# Contract\n").write("empty.md", "\n");
        let run = if name.ends_with(".clawfile") {
            folder.write("Clawfile", &text);
            claw(&folder.0, &["build", "--json"])
        } else if name.ends_with(".yml") {
            folder.write("claw-pod.yml", &text);
            claw(&folder.0, &["check", "--json"])
        } else {
            continue;
        };
        count += 1;
        let file = if name.ends_with(".yml") { "claw-pod.yml" } else { "Clawfile" };
        let (found, expected) = (findings(&run.stdout, file), expectations(&text));
        let (extra, lacking): (Vec<_>, Vec<_>) =
            (found.difference(&expected).collect(), expected.difference(&found).collect());
        assert!(extra.is_empty() && lacking.is_empty(), "{name}: found {extra:?}, expected {lacking:?}");
        let has_error = text.contains("#~ error");
        assert_eq!(matches!(run.code, Some(2 | 3)), has_error, "{name}: {run:?}");
        assert!(!folder.0.join("Dockerfile.generated").exists() || !has_error, "{name} wrote something");
    }
    assert!(count > 5, "{count} cases");
}
