//! `claw config` against the shared corpus of compose files: verdict, canonical value and hash of docker compose 2.40.3.
//! Skipped where the corpus does not lie beside the project; the cases of the project's own are in the crate of compose.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::Folder;

/// Passed and total of a group, for each of the three.
#[derive(Default)]
struct Score {
    verdict: (usize, usize),
    value: (usize, usize),
    hash: (usize, usize),
    /// What is printed, loaded again, is the same.
    again: (usize, usize),
}

fn count(score: &mut (usize, usize), is_right: bool) {
    score.0 += usize::from(is_right);
    score.1 += 1;
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("a folder").flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect("copied");
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Runs `claw config` on a case.
fn config(case: &Value, folder: &Path, more: &[&str]) -> Output {
    let args: Vec<&str> = case["args"].as_array().expect("arguments").iter().map(text).collect();
    claw(case, &folder.join(text(&case["cwd"])), &[&args[..], &["config"], more].concat())
}

/// Runs claw with the variables of a case; what does not end is killed.
fn claw(case: &Value, folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new("timeout");
    command.arg("20").arg(env!("CARGO_BIN_EXE_claw")).args(arguments).current_dir(folder);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", "/home/user");
    for (name, value) in case["env"].as_object().into_iter().flatten() {
        command.env(name, text(value));
    }
    command.stdin(std::process::Stdio::null()).output().expect("claw runs")
}

/// Returns what claw prints of what it printed, loaded as a file of its own.
fn again(case: &Value, folder: &Path) -> String {
    let printed = config(case, folder, &[]);
    std::fs::write(folder.join("again.yml"), printed.stdout).expect("written");
    // A variable that has no value must get none from a file the case does not read.
    std::fs::write(folder.join("again.env"), "").expect("written");
    let files = ["-f", "again.yml", "--env-file", "again.env"];
    let output = claw(case, folder, &[&files[..], &["--profile", "*", "config", "--format", "json"]].concat());
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn hashes(output: &Output) -> BTreeMap<String, String> {
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    lines
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, hash)| (name.to_owned(), hash.to_owned()))
        .collect()
}

#[test]
fn corpus_of_compose_files_has_composes_verdict_value_and_hash() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = root.join("../shared/corpora/compose");
    let Ok(manifest) = std::fs::read_to_string(corpus.join("manifest.json")) else {
        println!("skipped: no corpora");
        return;
    };
    let manifest: Value = serde_json::from_str(&manifest).expect("JSON");
    let refused = std::fs::read_to_string(root.join("testdata/compose/refused.txt")).expect("the list");
    let refused: Vec<&str> = refused.lines().filter_map(|line| line.split('#').next()).map(str::trim).collect();
    let mut scores: BTreeMap<&str, Score> = BTreeMap::new();
    let mut wrong = Vec::new();
    for case in manifest["cases"].as_array().expect("cases") {
        let id = text(&case["id"]);
        let group = id.split('/').next().unwrap_or_default();
        if refused.iter().any(|line| *line == id || line.strip_suffix("/*") == Some(group)) {
            continue;
        }
        let verdict = &case["verdict"]["2.40.3"];
        let score = scores.entry(group).or_default();
        let folder = Folder::new("conformance");
        let parent = folder.0.canonicalize().expect("there");
        let place = parent.join("case");
        if let Some(tree) = case["tree_overlay"].as_str() {
            copy(&corpus.join(tree), &place);
        }
        copy(&corpus.join(text(&case["input"])), &place);
        let output = config(case, &place, &["--format", "json"]);
        let is_valid = output.status.success();
        if verdict["rc"] == 124 {
            // Docker compose does not end on it.
            count(&mut score.verdict, output.status.code() != Some(124));
            continue;
        }
        count(&mut score.verdict, is_valid == (verdict["rc"] == 0));
        if is_valid != (verdict["rc"] == 0) {
            wrong.push(format!("verdict {id}: {}", String::from_utf8_lossy(&output.stderr)));
            continue;
        }
        let Some(expected) = verdict["json"].as_str().filter(|_| is_valid && case["stable"] != false) else { continue };
        let printed = String::from_utf8(output.stdout).expect("UTF-8");
        // In compose too a dependency that need not be there is printed without what it names, and no limit as a text that
        // is none: both are errors when they are read.
        let is_open = printed.contains("_limit\": \"-1\"");
        let again = if is_open || id == "docker-compose-e2e/dependencies__deps-not-required.yaml" {
            printed.clone()
        } else {
            again(case, &place)
        };
        count(&mut score.again, again == printed);
        if again != printed {
            wrong.push(format!("again {id}"));
        }
        let printed = printed.replace(&place.display().to_string(), "@CASEDIR@");
        let printed: Value =
            serde_json::from_str(&printed.replace(&parent.display().to_string(), "@CASEPARENT@")).expect("JSON");
        let expected = std::fs::read_to_string(corpus.join(expected)).expect("expected");
        let is_equal = printed == serde_json::from_str::<Value>(&expected).expect("JSON");
        count(&mut score.value, is_equal);
        if !is_equal {
            wrong.push(format!("value {id}"));
        }
        // Compose hashes the names of env files here, and does not where it makes containers: nothing to compare with.
        let is_comparable = !names_env_files(&place.join(text(&case["cwd"])));
        if let Some(wanted) = verdict["config_hash"].as_object().filter(|_| is_comparable) {
            let found = hashes(&config(case, &place, &["--hash", "*"]));
            for (service, hash) in wanted {
                let is_equal = found.get(service).map(String::as_str) == hash.as_str();
                count(&mut score.hash, is_equal);
                if !is_equal {
                    wrong.push(format!("hash {id} {service}"));
                }
            }
        }
    }
    println!("{:24} {:>12} {:>12} {:>12} {:>12}", "group", "verdict", "value", "hash", "again");
    let show = |(passed, total): (usize, usize)| format!("{passed}/{total}");
    for (group, score) in &scores {
        println!(
            "{group:24} {:>12} {:>12} {:>12} {:>12}",
            show(score.verdict),
            show(score.value),
            show(score.hash),
            show(score.again)
        );
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Returns whether any compose file of a folder names env files, or includes one from below it that does.
fn names_env_files(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let is_yaml = |path: &std::path::PathBuf| path.extension().is_some_and(|end| end == "yml" || end == "yaml");
    let texts = files.into_iter().filter(is_yaml).filter_map(|path| std::fs::read_to_string(path).ok());
    let texts: Vec<String> = texts.collect();
    let is_there = |word: &str| texts.iter().any(|text| text.contains(word));
    is_there("env_file") || (is_there("include:") && folders.iter().any(|folder| names_env_files(folder)))
}
