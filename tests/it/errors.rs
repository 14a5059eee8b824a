//! Error cases: `testdata/errors/*.yml` and `*.clawfile`. A comment `#~ error[code] 3-9` above a line expects that finding in
//! the next line that is no such comment, at these columns: first and last, from 1; `#~ error[code] file:1:3` one in another file.
//! Every finding must be expected. `#= name text` writes a file beside it.

use std::collections::BTreeSet;
use std::path::Path;

use crate::{Folder, claw, root};

/// File, line, `severity[code]`, column.
type Finding = (String, usize, String, usize);

/// Returns the expectations of a text that is written to a file.
fn expectations(text: &str, file: &str) -> BTreeSet<Finding> {
    let mut expected = BTreeSet::new();
    let mut waiting = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let Some(rest) = line.trim_start().strip_prefix("#~ ") else {
            expected.extend(waiting.drain(..).map(|(kind, column)| (file.to_owned(), index + 1, kind, column)));
            continue;
        };
        let (kind, place) = rest.split_once(' ').expect("a kind and columns");
        let number = |text: &str| text.split('-').next().and_then(|number| number.parse().ok()).expect("a number");
        match place.split(':').collect::<Vec<_>>().as_slice() {
            [other, line, column] => {
                expected.insert(((*other).to_owned(), number(line), kind.to_owned(), number(column)));
            }
            _ => waiting.push((kind.to_owned(), number(place))),
        }
    }
    expected
}

/// Returns the findings of a run with `--json`, and where each is.
fn findings(stdout: &str, folder: &Path) -> BTreeSet<Finding> {
    let document: serde_json::Value = serde_json::from_str(stdout).expect("JSON");
    let all = document["diagnostics"].as_array().expect("diagnostics").iter();
    all.map(|each| {
        let text = |value: &serde_json::Value| value.as_str().unwrap_or("").to_owned();
        let number = |key: &str| usize::try_from(each["place"][key].as_u64().expect("a number")).expect("small");
        let path = text(&each["place"]["path"]);
        let file = Path::new(&path).strip_prefix(folder).map_or(path.clone(), |file| file.display().to_string());
        let kind = format!("{}[{}]", text(&each["severity"]), text(&each["code"]));
        (file.trim_start_matches("./").to_owned(), number("line"), kind, number("column"))
    })
    .collect()
}

#[test]
fn every_case_has_the_findings_it_expects_and_no_others() {
    let (mut count, mut wrong) = (0, Vec::new());
    for (name, text) in crate::files(&root().join("testdata/errors")) {
        let folder = Folder::new("errors");
        folder.write("AGENTS.md", "# Contract\n").write("empty.md", "\n");
        for (file, text) in text.lines().filter_map(|line| line.strip_prefix("#= ")?.split_once(' ')) {
            folder.write(file, &text.replace("\\n", "\n"));
        }
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
        let (found, expected) = (findings(&run.stdout, &folder.0), expectations(&text, file));
        let (extra, lacking): (Vec<_>, Vec<_>) =
            (found.difference(&expected).collect(), expected.difference(&found).collect());
        if !extra.is_empty() || !lacking.is_empty() {
            wrong.push(format!("{name}: found {extra:#?}, expected {lacking:#?}"));
            continue;
        }
        let has_error = text.contains("#~ error");
        assert_eq!(matches!(run.code, Some(2 | 3)), has_error, "{name}: {run:?}");
        assert!(!folder.0.join("Dockerfile.generated").exists() || !has_error, "{name} wrote something");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 5, "{count} cases");
}
