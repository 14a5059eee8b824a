//! Changes that diagnostics are certain of, as edits of texts. A change stands only where the text is what the diagnostic takes it
//! for and the file, read again, differs in that one value: a variable, an alias or an anchor that others share makes it none.

use std::collections::BTreeMap;

use claw_compose::yaml::{self, Kind, Node};
use claw_types::diag::{Change, Diagnostic, Diagnostics};
use claw_types::span::{FileId, Source, SourceMap, Span};

/// A range of a text, and what is to stand there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Edit {
    pub(crate) file: FileId,
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) text: String,
}

impl Edit {
    /// Returns the range.
    pub(crate) fn span(&self) -> Span {
        Span::new(self.file, self.start, self.end)
    }

    /// Returns the empty range behind it.
    pub(crate) fn end(&self) -> Span {
        Span::new(self.file, self.end, self.end)
    }
}

/// A file with its edits, in the order of their places, and the text they make.
pub(crate) struct FixedFile {
    pub(crate) file: FileId,
    pub(crate) edits: Vec<Edit>,
    pub(crate) text: String,
}

/// Returns the edit of a diagnostic, where it has one that can be made.
pub(crate) fn edit(diagnostic: &Diagnostic, sources: &SourceMap) -> Option<Edit> {
    let (edit, source) = range(diagnostic, sources)?;
    is_sound(source, std::slice::from_ref(&edit)).then_some(edit)
}

/// Returns all edits that can be made together, by file. Lines that hold what must not be shown are left to people.
pub(crate) fn all(diagnostics: &Diagnostics, sources: &SourceMap) -> Vec<FixedFile> {
    let mut found: BTreeMap<FileId, Vec<Edit>> = BTreeMap::new();
    let hidden = hidden(diagnostics, sources);
    for diagnostic in diagnostics.sorted() {
        if let Some(edit) = edit(diagnostic, sources) {
            found.entry(edit.file).or_default().push(edit);
        }
    }
    let mut files = Vec::new();
    for (file, mut wanted) in found {
        let Some(source) = sources.get(file) else { continue };
        wanted.sort();
        wanted.dedup();
        let mut edits: Vec<Edit> = Vec::new();
        for edit in wanted {
            let is_hidden = lines(&source.text, &edit).any(|line| hidden.contains(&(file, line)));
            let overlaps = edits.last().is_some_and(|last| edit.start < last.end);
            edits.push(edit);
            if is_hidden || overlaps || !is_sound(source, &edits) {
                edits.pop();
            }
        }
        if !edits.is_empty() {
            let text = applied(&source.text, &edits);
            files.push(FixedFile { file, edits, text });
        }
    }
    files
}

/// Returns the lines, from 0, whose text must not be shown.
fn hidden(diagnostics: &Diagnostics, sources: &SourceMap) -> Vec<(FileId, usize)> {
    let masked = diagnostics.iter().filter(|each| each.is_masked).map(|each| each.primary);
    let of = |span: Span| {
        let first = sources.position(span).line - 1;
        let more = sources.text(span).matches('\n').count();
        (first..=first + more).map(move |line| (span.file, line))
    };
    masked.flat_map(of).collect()
}

/// Returns the lines, from 0, that an edit touches.
pub(crate) fn lines(text: &str, edit: &Edit) -> std::ops::RangeInclusive<usize> {
    let line = |offset: usize| text[..offset].bytes().filter(|byte| *byte == b'\n').count();
    // A range that ends behind a newline does not touch what comes then.
    let end = if edit.end > edit.start { edit.end - 1 } else { edit.end };
    let end = (edit.start..=end).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(edit.start);
    line(edit.start)..=line(end)
}

/// Returns the text with edits made, which are in the order of their places.
fn applied(text: &str, edits: &[Edit]) -> String {
    let mut made = text.to_owned();
    for edit in edits.iter().rev() {
        made.replace_range(edit.start..edit.end, &edit.text);
    }
    made
}

/// Finds what a diagnostic wants to change in the text.
fn range<'s>(diagnostic: &Diagnostic, sources: &'s SourceMap) -> Option<(Edit, &'s Source)> {
    let fix = diagnostic.fix.as_ref().filter(|_| !diagnostic.is_masked)?;
    let source = sources.get(fix.span.file).filter(|source| source.name != "-")?;
    let (from, to) = (fix.span.start as usize, fix.span.end as usize);
    let text = source.text.get(from..to)?;
    let edit = |start, end, text: &str| Edit { file: fix.span.file, start, end, text: text.to_owned() };
    let found = match &fix.change {
        Change::Word { from: old, to: new } => {
            let start = from + word(text, old)?;
            edit(start, start + old.len(), new)
        }
        Change::Line => {
            let start = source.text[..from].rfind('\n').map_or(0, |at| at + 1);
            let end = source.text[to..].find('\n').map_or(source.text.len(), |at| to + at + 1);
            let line = &source.text[start..end];
            // Nothing else may stand there: another item, or a comment.
            let quotes = ['"', '\''];
            let before = line[..from - start].trim().trim_end_matches(quotes).trim_end();
            let behind = line[to - start..].trim().trim_start_matches(quotes);
            let is_alone = matches!(before, "-") || before.strip_suffix(':').is_some_and(is_key);
            if !is_alone || !behind.is_empty() || text.contains('\n') {
                return None;
            }
            edit(start, end, "")
        }
    };
    Some((found, source))
}

fn is_key(text: &str) -> bool {
    text.chars().all(|each| each.is_alphanumeric() || matches!(each, '-' | '_'))
}

/// Returns where a word stands that stands once.
fn word(text: &str, word: &str) -> Option<usize> {
    let is_part = |each: char| each.is_alphanumeric() || matches!(each, '-' | '_');
    let is_whole = |at: &usize| {
        let (before, behind) = (text[..*at].chars().next_back(), text[*at + word.len()..].chars().next());
        let joins = |edge: Option<char>, beside: Option<char>| edge.is_some_and(is_part) && beside.is_some_and(is_part);
        !joins(word.chars().next(), before) && !joins(word.chars().next_back(), behind)
    };
    let mut places = text.match_indices(word).map(|(at, _)| at).filter(is_whole);
    places.next().filter(|_| !word.is_empty() && places.next().is_none())
}

/// Returns whether the text with edits differs in as many values as there are edits, and in nothing else.
fn is_sound(source: &Source, edits: &[Edit]) -> bool {
    if !source.name.ends_with(".yml") && !source.name.ends_with(".yaml") {
        // A Clawfile: within a line, a word is a word.
        let within = |edit: &Edit| !edit.text.is_empty() && !source.text[edit.start..edit.end].contains('\n');
        return !source.name.ends_with(".env") && edits.iter().all(within);
    }
    let made = Source { text: applied(&source.text, edits), ..source.clone() };
    let tree = |source: &Source| {
        let mut diagnostics = Diagnostics::new();
        yaml::parse(source, &mut diagnostics).ok().filter(|_| !diagnostics.has_errors())
    };
    match (tree(source), tree(&made)) {
        (Some(old), Some(new)) => differences(&old, &new) == edits.len(),
        _ => false,
    }
}

/// More than there can be edits.
const MANY: usize = 1 << 32;

/// Returns how many keys and values differ, or are gone.
fn differences(old: &Node, new: &Node) -> usize {
    match (&old.kind, &new.kind) {
        _ if old.tag != new.tag => MANY,
        (Kind::Scalar(old), Kind::Scalar(new)) => usize::from(old != new),
        (Kind::Seq(old), Kind::Seq(new)) if old.len() == new.len() => {
            old.iter().zip(new).map(|(old, new)| differences(old, new)).sum()
        }
        (Kind::Map(old), Kind::Map(new)) if old.len() == new.len() => {
            let pairs = old.iter().zip(new);
            pairs.map(|(old, new)| usize::from(old.key != new.key) + differences(&old.value, &new.value)).sum()
        }
        (Kind::Seq(old), Kind::Seq(new)) => gone(old, new),
        (Kind::Map(old), Kind::Map(new)) => gone(old, new),
        _ => MANY,
    }
}

/// Returns how many items are gone, where those that stay are as they were.
fn gone<T: PartialEq>(old: &[T], new: &[T]) -> usize {
    let mut rest = old.iter();
    let is_part = new.iter().all(|each| rest.any(|old| old == each));
    if is_part { old.len() - new.len() } else { MANY }
}

#[cfg(test)]
mod tests {
    use super::*;
    use claw_types::diag::Code;

    fn fixed(text: &str, at: &str, from: &str, to: &str) -> Option<String> {
        let mut sources = SourceMap::new();
        let file = sources.add("claw-pod.yml", text);
        let start = text.find(at).expect("there");
        let span = Span::new(file, start, start + at.len());
        let mut diagnostics = Diagnostics::new();
        diagnostics.push(match to {
            "" => Diagnostic::warning(Code::Discouraged, span, "x").fix_line(span),
            _ => Diagnostic::warning(Code::Discouraged, span, "x").fix(span, from, to),
        });
        all(&diagnostics, &sources).pop().map(|file| file.text)
    }

    #[test]
    fn a_word_is_changed_where_it_stands_once_and_nothing_else_is() {
        let change = |text: &str, at: &str| fixed(text, at, "web", "www");
        assert_eq!(
            change("a: 'service://web'\r\nb: web # ü\r\n", "'service://web'"),
            Some("a: 'service://www'\r\nb: web # ü\r\n".to_owned())
        );
        assert_eq!(change("a: web-web\n", "web-web"), None, "no word of its own");
        assert_eq!(change("a: [web, web]\n", "[web, web]"), None, "two of them");
        assert_eq!(change("a: ${web}\n", "a"), None, "not there");
        assert_eq!(change("a: x # web\n", "x # web"), None, "a comment");
        assert_eq!(change("a: &x web\nb: *x\n", "web"), None, "others share it");
        assert_eq!(change("web: 1\nwww: 2\n", "web"), None, "the key is there already");
    }

    #[test]
    fn a_line_goes_where_it_is_one_item_or_one_key() {
        let line = |text: &str, at: &str| fixed(text, at, "", "");
        assert_eq!(line("a:\r\n  - x\r\n  - y\r\n", "y"), Some("a:\r\n  - x\r\n".to_owned()));
        assert_eq!(line("version: '3'\na: 1\n", "'3'"), Some("a: 1\n".to_owned()));
        assert_eq!(line("a: [x, y]\n", "y"), None);
        assert_eq!(line("a:\n  - x\n  - y # why\n", "y"), None);
        assert_eq!(line("a:\n  - x: 1\n    y: 2\n  - z\n", "x"), None);
        assert_eq!(line("a:\n  - |\n    y\n  - x\n", "y"), None);
    }
}
