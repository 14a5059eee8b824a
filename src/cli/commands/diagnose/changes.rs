//! What compiling again would change in the files an agent runs with: by key where they are JSON, else by name.

use std::path::{Path, PathBuf};

use claw_compiler::plan::Belongings;
use claw_engine::docker::Seen;
use serde_json::Value;

/// The most keys of one file that are told.
const LIMIT: usize = 40;

/// Returns what differs between the files that a container has and those of the plan, a line each; nothing where the container's
/// files are not on this machine. Files that hold secrets are left out: a change of theirs is a step of the plan.
pub(super) fn changes(own: &Belongings, seen: &Seen) -> Option<Vec<String>> {
    let folder = folder(seen)?;
    let mut lines = Vec::new();
    for (path, file) in own.files.iter().filter(|(_, file)| !file.content.is_sealed()) {
        let wanted = file.content.masked();
        match std::fs::read_to_string(folder.join(path.as_str())) {
            Ok(found) if found == wanted => {}
            Ok(found) => lines.extend(within(path.as_str(), &found, &wanted)),
            Err(_) => lines.push(format!("{path}: comes new")),
        }
    }
    let mut there = Vec::new();
    listed(&folder, &folder, &mut there);
    let is_planned = |path: &String| own.files.iter().any(|(own, _)| own.as_str() == path);
    there.retain(|path| !is_planned(path));
    lines.extend(there.into_iter().map(|path| format!("{path}: goes away")));
    Some(lines)
}

/// The directory of the files that a container was made with: what holds its `/claw`.
fn folder(seen: &Seen) -> Option<PathBuf> {
    let mounts = seen.inspected["Mounts"].as_array()?;
    let mount = mounts.iter().find(|mount| mount["Destination"] == "/claw")?;
    let folder = Path::new(mount["Source"].as_str()?).parent()?;
    folder.is_dir().then(|| folder.to_owned())
}

fn listed(folder: &Path, root: &Path, found: &mut Vec<String>) {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
    entries.sort();
    for path in entries {
        match path.is_dir() {
            true => listed(&path, root, found),
            false => found.extend(path.strip_prefix(root).ok().map(|path| path.to_string_lossy().into_owned())),
        }
    }
}

fn within(path: &str, found: &str, wanted: &str) -> Vec<String> {
    let parsed = |text: &str| serde_json::from_str::<Value>(text).ok();
    let (Some(found), Some(wanted)) = (parsed(found), parsed(wanted)) else {
        return vec![format!("{path}: its text changes")];
    };
    let mut lines = Vec::new();
    keys(&found, &wanted, &mut String::new(), &mut lines);
    let more = lines.len().saturating_sub(LIMIT);
    lines.truncate(LIMIT);
    if more > 0 {
        lines.push(format!("and {more} keys more"));
    }
    lines.into_iter().map(|line| format!("{path}: {line}")).collect()
}

/// Records the keys in which two documents differ, with both values.
fn keys(found: &Value, wanted: &Value, at: &mut String, lines: &mut Vec<String>) {
    let (Some(old), Some(new)) = (found.as_object(), wanted.as_object()) else {
        if found != wanted {
            let at = if at.is_empty() { "the whole" } else { at.as_str() };
            lines.push(format!("{at}: {found} becomes {wanted}"));
        }
        return;
    };
    let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let length = at.len();
        if !at.is_empty() {
            at.push('.');
        }
        at.push_str(name);
        match (old.get(name), new.get(name)) {
            (Some(old), Some(new)) => keys(old, new, at, lines),
            (None, Some(new)) => lines.push(format!("{at}: comes new, {new}")),
            (Some(_), None) => lines.push(format!("{at}: goes away")),
            (None, None) => {}
        }
        at.truncate(length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_told_by_key() {
        let old = r#"{"a": {"b": 1, "c": [1]}, "d": true}"#;
        let new = r#"{"a": {"b": 2, "c": [1]}, "e": "x"}"#;
        assert_eq!(
            within("f.json", old, new),
            ["f.json: a.b: 1 becomes 2", "f.json: d: goes away", "f.json: e: comes new, \"x\""]
        );
        assert_eq!(within("f.md", "a", "b"), ["f.md: its text changes"]);
        let many = |from: usize| {
            format!("{{{}}}", (0..60).map(|n| format!("\"{n}\": {}", n + from)).collect::<Vec<_>>().join(","))
        };
        assert_eq!(within("f", &many(0), &many(1)).last().map(String::as_str), Some("f: and 20 keys more"));
    }
}
