//! Build contexts: a directory as a byte-stable archive, without what `.dockerignore` names and without claw's own state.

use std::fs;
use std::io;
use std::path::Path;

/// Never sent, whatever `.dockerignore` says.
const NEVER: &[&str] = &[".claw", ".env"];

/// Returns the archive of a context; `generated` is a Dockerfile that replaces or joins its files: name and text.
///
/// # Errors
/// Where a file cannot be read.
pub(crate) fn archive(folder: &Path, generated: Option<(&str, &str)>) -> io::Result<Vec<u8>> {
    let rules = rules(&fs::read_to_string(folder.join(".dockerignore")).unwrap_or_default());
    let mut builder = tar::Builder::new(Vec::new());
    builder.follow_symlinks(false);
    let mut names = Vec::new();
    collect(folder, "", &mut names)?;
    names.sort();
    for name in names {
        let is_dockerfile = name == "Dockerfile" || generated.is_some_and(|(own, _)| own == name);
        if is_ignored(&name, &rules) && !is_dockerfile || generated.is_some_and(|(own, _)| own == name) {
            continue;
        }
        let path = folder.join(&name);
        let metadata = path.symlink_metadata()?;
        let mut header = tar::Header::new_gnu();
        header.set_metadata_in_mode(&metadata, tar::HeaderMode::Deterministic);
        header.set_mtime(0);
        if metadata.is_symlink() {
            builder.append_link(&mut header, &name, fs::read_link(&path)?)?;
        } else if metadata.is_dir() {
            builder.append_data(&mut header, format!("{name}/"), io::empty())?;
        } else {
            builder.append_data(&mut header, &name, fs::File::open(&path)?)?;
        }
    }
    if let Some((name, text)) = generated {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        builder.append_data(&mut header, name, text.as_bytes())?;
    }
    builder.into_inner()
}

fn collect(folder: &Path, below: &str, names: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder.join(below))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let name = if below.is_empty() { name } else { format!("{below}/{name}") };
        if NEVER.contains(&name.as_str()) {
            continue;
        }
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect(folder, &name, names)?;
        }
        if kind.is_dir() || kind.is_file() || kind.is_symlink() {
            names.push(name);
        }
    }
    Ok(())
}

/// Returns the patterns of a `.dockerignore`: the pattern, and whether it takes names back in.
fn rules(text: &str) -> Vec<(String, bool)> {
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (pattern, is_back) = line.strip_prefix('!').map_or((line, false), |rest| (rest.trim(), true));
            (pattern.trim_matches('/').trim_start_matches("./").to_owned(), is_back)
        })
        .collect()
}

/// The last pattern that matches a name, or a directory above it, decides.
fn is_ignored(name: &str, rules: &[(String, bool)]) -> bool {
    let parents = name.match_indices('/').map(|(at, _)| &name[..at]).chain([name]).collect::<Vec<_>>();
    let mut is_ignored = false;
    for (pattern, is_back) in rules {
        if parents.iter().any(|parent| matches(pattern.as_bytes(), parent.as_bytes())) {
            is_ignored = !is_back;
        }
    }
    is_ignored
}

/// Returns whether a name matches a pattern: `*` within a part, `**` over parts, `?` one character.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match pattern {
        [] => name.is_empty(),
        [b'*', b'*', b'/', rest @ ..] => {
            matches(rest, name) || (0..name.len()).any(|at| name[at] == b'/' && matches(rest, &name[at + 1..]))
        }
        [b'*', b'*', rest @ ..] => (0..=name.len()).any(|at| matches(rest, &name[at..])),
        [b'*', rest @ ..] => {
            let end = name.iter().position(|byte| *byte == b'/').unwrap_or(name.len());
            (0..=end).any(|at| matches(rest, &name[at..]))
        }
        [b'?', rest @ ..] => name.first().is_some_and(|byte| *byte != b'/') && matches(rest, &name[1..]),
        [byte, rest @ ..] => name.first() == Some(byte) && matches(rest, &name[1..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_pattern_that_matches_decides() {
        let rules = rules("# comment\n*.log\n/build\n!build/keep.txt\n**/cache\ndocs/*.md\n");
        for name in ["a.log", "build", "build/x", "cache", "a/b/cache/c", "docs/a.md"] {
            assert!(is_ignored(name, &rules), "{name}");
        }
        for name in ["a/b.log", "build/keep.txt", "cached", "docs/x/a.md", "src"] {
            assert!(!is_ignored(name, &rules), "{name}");
        }
    }
}
