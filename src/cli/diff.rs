//! A unified diff of edits that are known. Lines around them are not shown: a secret may stand there that nobody found yet.

use std::fmt::Write;
use std::ops::Range;

use crate::fix::{Edit, lines};

/// Returns the diff of a file, whose edits are in the order of their places.
pub(crate) fn unified(name: &str, text: &str, edits: &[Edit]) -> String {
    let old: Vec<&str> = text.split_inclusive('\n').collect();
    let (old_name, new_name) = match name.starts_with('/') {
        true => (name.to_owned(), name.to_owned()),
        false => (format!("a/{name}"), format!("b/{name}")),
    };
    let mut out = format!("--- {old_name}\n+++ {new_name}\n");
    let (mut added, mut removed) = (0, 0);
    for (range, edits) in blocks(text, edits) {
        let new = made(&old, &range, &edits);
        let new: Vec<&str> = new.split_inclusive('\n').collect();
        // A side without lines is named by the line before it.
        let first = |start: usize, count: usize| if count == 0 { start } else { start + 1 };
        let (start, moved) = (first(range.start, range.len()), first(range.start + added - removed, new.len()));
        let _ = writeln!(out, "@@ -{start},{} +{moved},{} @@", range.len(), new.len());
        old[range.clone()].iter().for_each(|line| put(&mut out, '-', line));
        new.iter().for_each(|line| put(&mut out, '+', line));
        added += new.len();
        removed += range.len();
    }
    out
}

fn put(out: &mut String, mark: char, line: &str) {
    out.push(mark);
    out.push_str(line);
    if !line.ends_with('\n') {
        out.push_str("\n\\ No newline at end of file\n");
    }
}

/// Returns the lines that change, and the edits in them.
fn blocks(text: &str, edits: &[Edit]) -> Vec<(Range<usize>, Vec<Edit>)> {
    let mut blocks: Vec<(Range<usize>, Vec<Edit>)> = Vec::new();
    for edit in edits {
        let touched = lines(text, edit);
        let is_between = edit.start == edit.end && edit.text.ends_with('\n') && is_start(text, edit.start);
        // Whole lines that come between two leave both as they are.
        let range = *touched.start()..*touched.end() + usize::from(!is_between);
        match blocks.last_mut().filter(|(last, _)| range.start <= last.end) {
            Some((last, own)) => {
                last.end = last.end.max(range.end);
                own.push(edit.clone());
            }
            None => blocks.push((range, vec![edit.clone()])),
        }
    }
    blocks
}

/// Returns whether a line begins at an offset, or would.
fn is_start(text: &str, at: usize) -> bool {
    at == 0 || text[..at].ends_with('\n')
}

/// Returns lines with their edits made.
fn made(old: &[&str], range: &Range<usize>, edits: &[Edit]) -> String {
    let begin: usize = old[..range.start].iter().map(|line| line.len()).sum();
    let mut text = old[range.clone()].concat();
    for edit in edits.iter().rev() {
        text.replace_range(edit.start - begin..edit.end - begin, &edit.text);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use claw_types::span::FileId;

    fn edit(text: &str, at: &str, new: &str) -> Edit {
        let start = text.find(at).expect("there");
        Edit { file: FileId(0), start, end: start + at.len(), text: new.to_owned() }
    }

    #[test]
    fn lines_that_change_are_shown_and_no_others() {
        let text = "a: 1\nb: 2\nc: 3\nd: 4\ne: 5";
        let edits = [edit(text, "a: 1\n", ""), edit(text, "3", "x"), edit(text, "5", "y")];
        let shown = "@@ -1,1 +0,0 @@\n-a: 1\n@@ -3,1 +2,1 @@\n-c: 3\n+c: x\n@@ -5,1 +4,1 @@\n-e: 5\n\\ No newline at end of file\n+e: y\n\\ No newline at end of file\n";
        assert_eq!(unified("f", text, &edits), format!("--- a/f\n+++ b/f\n{shown}"));
    }

    #[test]
    fn lines_that_come_between_two_are_added_alone() {
        let text = "a\nb\n";
        let between =
            |at: usize| unified("f", text, &[Edit { file: FileId(0), start: at, end: at, text: "x\ny\n".to_owned() }]);
        assert_eq!(between(2), "--- a/f\n+++ b/f\n@@ -1,0 +2,2 @@\n+x\n+y\n");
        assert_eq!(between(4), "--- a/f\n+++ b/f\n@@ -2,0 +3,2 @@\n+x\n+y\n");
        assert_eq!(between(0), "--- a/f\n+++ b/f\n@@ -0,0 +1,2 @@\n+x\n+y\n");
        let open = [Edit { file: FileId(0), start: 3, end: 3, text: "\nx\n".to_owned() }];
        let shown = "@@ -2,1 +2,2 @@\n-b\n\\ No newline at end of file\n+b\n+x\n";
        assert_eq!(unified("f", "a\nb", &open), format!("--- a/f\n+++ b/f\n{shown}"));
    }

    #[test]
    fn changes_in_one_line_are_one() {
        let text = "a: [x, y]\n";
        let edits = [edit(text, "x", "1"), edit(text, "y", "2")];
        assert_eq!(unified("/f", text, &edits), "--- /f\n+++ /f\n@@ -1,1 +1,1 @@\n-a: [x, y]\n+a: [1, 2]\n");
    }
}
