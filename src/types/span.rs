//! Where a piece of input stands: files, byte ranges in them, and values that remember their place.
//!
//! A [`Span`] is three integers, so every node and every name can afford one. Turning it into line, column or text needs
//! the [`SourceMap`], which the shells own. Nothing here reads files.

use std::collections::BTreeMap;

/// Names one source in a [`SourceMap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileId(pub u32);

/// A byte range of one source; `start <= end`, both in bytes from the start of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The source the range lies in.
    pub file: FileId,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// Returns whether two places have a byte in common, or are the same.
    pub fn meets(self, other: Self) -> bool {
        self == other || (self.file == other.file && self.start < other.end && other.start < self.end)
    }

    /// Returns the range `start..end` of `file`; offsets past 4 GiB saturate.
    pub fn new(file: FileId, start: usize, end: usize) -> Self {
        let clamp = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        Self { file, start: clamp(start), end: clamp(end.max(start)) }
    }

    /// Returns the empty range at the start of `file`: the place of things a whole file is to blame for.
    pub fn start_of(file: FileId) -> Self {
        Self { file, start: 0, end: 0 }
    }

    /// Returns the range from the start of `self` to the end of `other`, both in one file.
    pub fn to(self, other: Span) -> Self {
        Self { file: self.file, start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// A value and the place it was written at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// Returns `value` at `span`.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }

    /// Returns the result of `f` at the same place.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Spanned<U> {
        Spanned { value: f(self.value), span: self.span }
    }
}

/// One input text under the name users know it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its id in the map it came from.
    pub id: FileId,
    /// The path as messages show it, relative to the working directory where that is shorter.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// A line and a column, both from 1; the column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// All sources of one run.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    sources: Vec<Source>,
    by_name: BTreeMap<String, FileId>,
}

impl SourceMap {
    /// Returns a map without sources.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a source and returns its id; the same name with the same text is added once.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> FileId {
        let (name, text) = (name.into(), text.into());
        if let Some(id) = self.by_name.get(&name)
            && self.sources.get(id.0 as usize).is_some_and(|source| source.text == text)
        {
            return *id;
        }
        let id = FileId(u32::try_from(self.sources.len()).unwrap_or(u32::MAX));
        self.by_name.insert(name.clone(), id);
        self.sources.push(Source { id, name, text });
        id
    }

    /// Returns the source called `id`, if this map has it.
    pub fn get(&self, id: FileId) -> Option<&Source> {
        self.sources.get(id.0 as usize)
    }

    /// Returns the sources in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.sources.iter()
    }

    /// Returns the text a span covers; empty where the span does not fit its source.
    pub fn text(&self, span: Span) -> &str {
        self.get(span.file).and_then(|source| source.text.get(span.start as usize..span.end as usize)).unwrap_or("")
    }

    /// Returns line and column of the start of a span.
    pub fn position(&self, span: Span) -> Position {
        let before = self.get(span.file).and_then(|source| source.text.get(..span.start as usize)).unwrap_or("");
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Position {
            line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn position_counts_lines_by_newline_and_columns_by_character() {
        let mut sources = SourceMap::new();
        let file = sources.add("pod.yml", "a: 1\r\nü: x\n");
        assert_eq!(sources.position(Span::new(file, 10, 11)), Position { line: 2, column: 4 });
        assert_eq!(sources.text(Span::new(file, 10, 11)), "x");
    }

    #[test]
    fn one_name_with_one_text_is_one_source() {
        let mut sources = SourceMap::new();
        assert_eq!(sources.add("a", "1"), sources.add("a", "1"));
        assert_ne!(sources.add("a", "1"), sources.add("a", "2"));
    }
}
