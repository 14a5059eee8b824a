//! `.dockerignore`: which files of a build context stay at home. The rules are moby's `patternmatcher` (0.6): the last
//! pattern that matches a path, or a directory above it, decides.

/// The patterns of a `.dockerignore`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ignore {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    pattern: Vec<u8>,
    takes_back: bool,
}

/// A pattern that is none, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadPattern(pub(crate) String);

impl Ignore {
    /// Returns the patterns of a text.
    pub(crate) fn parse(text: &str) -> Result<Self, BadPattern> {
        let mut rules = Vec::new();
        for line in text.trim_start_matches('\u{feff}').lines().filter(|line| !line.starts_with('#')) {
            let line = line.trim();
            let (pattern, takes_back) = line.strip_prefix('!').map_or((line, false), |rest| (rest.trim(), true));
            if line.is_empty() {
                continue;
            }
            let pattern = clean(pattern);
            if pattern.is_empty() || !is_pattern(pattern.as_bytes()) {
                return Err(BadPattern(line.to_owned()));
            }
            rules.push(Rule { pattern: pattern.into_bytes(), takes_back });
        }
        Ok(Self { rules })
    }

    /// Returns whether a path, relative with `/` between its parts, stays at home.
    pub(crate) fn has(&self, path: &str) -> bool {
        let ends: Vec<usize> = path.match_indices('/').map(|(at, _)| at).collect();
        let mut is_ignored = false;
        for rule in &self.rules {
            // A rule that would say what is said already need not be compared.
            if rule.takes_back != is_ignored {
                continue;
            }
            let mut parents = ends.iter().map(|end| &path[..*end]);
            let is_match = matches(&rule.pattern, path.as_bytes())
                || parents.any(|parent| matches(&rule.pattern, parent.as_bytes()));
            if is_match {
                is_ignored = !rule.takes_back;
            }
        }
        is_ignored
    }
}

/// Returns a pattern with `.`, `..` and double slashes resolved, without the slash at its front.
fn clean(pattern: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in pattern.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    if parts.is_empty() && !pattern.is_empty() { ".".to_owned() } else { parts.join("/") }
}

/// Returns whether brackets are closed and escapes escape something.
fn is_pattern(pattern: &[u8]) -> bool {
    match pattern {
        [] => true,
        [b'\\', rest @ ..] => !rest.is_empty() && is_pattern(&rest[1..]),
        [b'[', rest @ ..] => class(rest).is_some_and(|(_, after)| is_pattern(after)),
        [_, rest @ ..] => is_pattern(rest),
    }
}

/// A character class: whether it is negated, its ranges.
type Class = (bool, Vec<(u8, u8)>);

/// Returns the class after a `[`, and what follows it.
fn class(text: &[u8]) -> Option<(Class, &[u8])> {
    let (is_negated, mut rest) = match text {
        [b'^', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut ranges = Vec::new();
    let one = |text: &[u8]| match text {
        [b'\\', byte, ..] => Some((*byte, 2)),
        [byte, ..] => Some((*byte, 1)),
        [] => None,
    };
    loop {
        if let [b']', after @ ..] = rest
            && !ranges.is_empty()
        {
            return Some(((is_negated, ranges), after));
        }
        let (low, size) = one(rest)?;
        rest = &rest[size..];
        let mut high = low;
        if let [b'-', after @ ..] = rest
            && after.first().is_some_and(|byte| *byte != b']')
        {
            let (end, size) = one(after)?;
            (high, rest) = (end, &after[size..]);
        }
        ranges.push((low, high));
    }
}

/// Returns whether a whole name matches: `*` within a part, `**` over parts, `?` one character, `[a-z]` one of them.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match pattern {
        [] => name.is_empty(),
        [b'*', b'*'] => true,
        [b'*', b'*', b'/', rest @ ..] => {
            matches(rest, name) || (0..name.len()).any(|at| name[at] == b'/' && matches(rest, &name[at + 1..]))
        }
        [b'*', b'*', rest @ ..] => (0..=name.len()).any(|at| matches(rest, &name[at..])),
        [b'*', rest @ ..] => {
            let end = name.iter().position(|byte| *byte == b'/').unwrap_or(name.len());
            (0..=end).any(|at| matches(rest, &name[at..]))
        }
        [b'?', rest @ ..] => {
            let width = std::str::from_utf8(name).ok().and_then(|name| name.chars().next()).map_or(1, char::len_utf8);
            name.first().is_some_and(|byte| *byte != b'/') && matches(rest, &name[width.min(name.len())..])
        }
        [b'[', rest @ ..] => match (class(rest), name) {
            (Some(((is_negated, ranges), after)), [byte, others @ ..]) if *byte != b'/' => {
                let is_in = ranges.iter().any(|(low, high)| low <= byte && byte <= high);
                is_in != is_negated && matches(after, others)
            }
            _ => false,
        },
        [b'\\', byte, rest @ ..] | [byte, rest @ ..] => name.first() == Some(byte) && matches(rest, &name[1..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ignored(text: &str, names: &[&str]) -> Vec<bool> {
        let ignore = Ignore::parse(text).expect("patterns");
        names.iter().map(|name| ignore.has(name)).collect()
    }

    #[test]
    fn the_last_pattern_that_matches_decides() {
        let text = "# comment\n*.log\n/build\n!build/keep.txt\n**/cache\ndocs/*.md\n";
        let names = ["a.log", "build", "build/x", "cache", "a/b/cache/c", "docs/a.md"];
        assert_eq!(ignored(text, &names), [true; 6]);
        assert_eq!(ignored(text, &["a/b.log", "build/keep.txt", "cached", "docs/x/a.md", "src"]), [false; 5]);
    }

    #[test]
    fn classes_escapes_and_cleaned_paths_are_as_in_moby() {
        assert_eq!(ignored("file[0-9].txt", &["file1.txt", "filea.txt", "file/.txt"]), [true, false, false]);
        assert_eq!(ignored("[^a]b", &["cb", "ab"]), [true, false]);
        assert_eq!(ignored("\\*.md", &["*.md", "a.md"]), [true, false]);
        assert_eq!(ignored("./a/../b//c/", &["b/c", "b/c/d", "a"]), [true, true, false]);
        assert_eq!(ignored("**", &["x", "a/b"]), [true, true]);
        assert_eq!(ignored("a/**", &["a", "a/b", "b"]), [false, true, false]);
        assert_eq!(ignored("**/*.go\n!main.go", &["x/y.go", "main.go", "x/main.go"]), [true, false, true]);
        assert_eq!(ignored("*\n!src", &["x", "src", "src/a/b"]), [true, false, false]);
        assert_eq!(ignored("\u{feff}# c\r\n \r\n a \r\n#", &["a", "#"]), [true, false]);
        assert_eq!(ignored("?", &["\u{e9}", "/", "ab"]), [true, false, false]);
        assert_eq!(Ignore::parse("a[").map(|_| ()), Err(BadPattern("a[".to_owned())));
        assert_eq!(Ignore::parse("!").map(|_| ()), Err(BadPattern("!".to_owned())));
    }
}
