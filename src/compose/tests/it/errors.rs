//! The error cases of `testdata/errors` that loading alone decides; the whole of them is run through the binary.

use std::collections::BTreeSet;

type Finding = (usize, usize, String);

const FILES: &[&str] =
    &["compose.yml", "duplicate.yml", "profiles.yml", "services.yml", "space.yml", "syntax.yml", "tab.yml"];

/// Returns what the comments `#~ error[code] 3-9` expect of the lines below them: line, column, `severity[code]`.
fn expectations(text: &str) -> BTreeSet<Finding> {
    let mut expected = BTreeSet::new();
    let mut waiting = Vec::new();
    for (index, line) in text.lines().enumerate() {
        match line.trim_start().strip_prefix("#~ ").and_then(|rest| rest.split_once(' ')) {
            Some((kind, columns)) => {
                let column = columns.split('-').next().and_then(|column| column.parse().ok()).expect("a column");
                waiting.push((column, kind.to_owned()));
            }
            None => expected.extend(waiting.drain(..).map(|(column, kind)| (index + 1, column, kind))),
        }
    }
    expected
}

#[test]
fn every_case_has_the_findings_it_expects_and_no_others() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/errors");
    for name in FILES {
        let text = std::fs::read_to_string(folder.join(name)).expect("a case");
        let found: BTreeSet<Finding> = crate::places(&text)
            .into_iter()
            .map(|(at, kind)| {
                let line = text[..at].rfind('\n').map_or(0, |found| found + 1);
                (text[..at].matches('\n').count() + 1, at - line + 1, kind)
            })
            .collect();
        assert_eq!(found, expectations(&text), "{name}: found, expected");
    }
}
