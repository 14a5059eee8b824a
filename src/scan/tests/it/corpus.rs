//! Precision and recall over the labelled texts: one half was run while the rules were made, the other once, afterwards.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use claw_scan::{Rule, scan};

/// What was right and wrong over one half.
#[derive(Debug, Default, PartialEq, Eq)]
struct Score {
    /// Bad texts with a finding of the rule they are named for.
    hits: usize,
    /// Bad texts with none of it.
    misses: Vec<String>,
    /// Good texts with a finding.
    alarms: Vec<String>,
    /// Good texts.
    good: usize,
    /// Hits and bad texts by rule.
    rules: BTreeMap<&'static str, (usize, usize)>,
}

impl Score {
    fn precision(&self) -> f64 {
        ratio(self.hits, self.hits + self.alarms.len())
    }

    fn recall(&self) -> f64 {
        ratio(self.hits, self.hits + self.misses.len())
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of files")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

fn texts(half: &str, kind: &str) -> Vec<(String, String)> {
    let root: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/scan").join(half).join(kind);
    let entries = std::fs::read_dir(root).expect("the texts").flatten();
    let mut found: Vec<(String, String)> = entries
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().trim_end_matches(".md").to_owned();
            (name, std::fs::read_to_string(entry.path()).expect("a text"))
        })
        .collect();
    found.sort();
    found
}

fn score(half: &str) -> Score {
    let mut score = Score::default();
    for (name, text) in texts(half, "bad") {
        let rule = Rule::ALL.iter().find(|rule| name.starts_with(rule.name())).expect("named for a rule");
        let is_hit = scan(&text).iter().any(|finding| finding.rule == *rule);
        let (hits, all) = score.rules.entry(rule.name()).or_default();
        (*hits, *all) = (*hits + usize::from(is_hit), *all + 1);
        if is_hit {
            score.hits += 1;
        } else {
            score.misses.push(name);
        }
    }
    for (name, text) in texts(half, "good") {
        score.good += 1;
        if let Some(finding) = scan(&text).first() {
            let place = text.get(finding.start..finding.end).unwrap_or("");
            score.alarms.push(format!("{name}: {} {place:?}", finding.rule.name()));
        }
    }
    score
}

#[test]
fn the_half_that_rules_were_made_with_is_found() {
    let score = score("tuning");
    println!("tuning: precision {:.3}, recall {:.3}, {score:#?}", score.precision(), score.recall());
    assert!(score.hits + score.misses.len() + score.good >= 60);
    assert_eq!((score.misses, score.alarms), (vec![], vec![]));
}

/// The figures of the one run after the rules were made. What they are worth is in `docs/scan.md`.
#[test]
fn the_half_that_was_set_aside_is_found_as_well_as_when_it_was_run() {
    let score = score("held-out");
    println!("held-out: precision {:.3}, recall {:.3}, {score:#?}", score.precision(), score.recall());
    assert!(score.hits + score.misses.len() + score.good >= 60);
    assert_eq!((score.misses, score.alarms), (vec![], vec![]));
}
