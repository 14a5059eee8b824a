//! Lines of a Dockerfile as BuildKit joins them: parser directives, continuations, comments inside them, heredocs.
//!
//! Lossless: the ranges of [`Lexed::instructions`] and the gaps between them are the whole text. Rules as in BuildKit's
//! `frontend/dockerfile/parser` (read at 73ed6825): a comment or blank line inside a continuation is skipped, an escape
//! character before the line's end continues it unless it is escaped itself, a heredoc lasts to its delimiter.

use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::span::{Source, Span};

use super::words::{raw_words, unquoted};

/// A file's instructions, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lexed {
    pub(crate) escape: char,
    pub(crate) instructions: Vec<Instruction>,
}

/// One instruction or directive, its continuations joined.
#[derive(Clone, Debug)]
pub struct Instruction {
    /// The line it starts on, from 1.
    pub start_line: usize,
    /// The line it ends on, heredocs included.
    pub end_line: usize,
    /// Its bytes in the text, from the start of its first line to the end of its last, line break excluded.
    pub range: (usize, usize),
    /// Its text with continuations joined and outer space trimmed.
    pub text: String,
    /// Its heredocs.
    pub heredocs: Vec<Heredoc>,
    /// Where pieces of `text` come from: offset in `text`, offset in the source.
    map: Vec<(usize, usize)>,
}

/// A heredoc of an instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heredoc {
    /// The delimiter without quotes.
    pub name: String,
    /// The lines up to the delimiter, as written.
    pub content: String,
    /// Variables in it are expanded.
    pub expand: bool,
    /// Leading tabs are dropped.
    pub chomp: bool,
    /// The file descriptor before `<<`.
    pub fd: u32,
}

impl Instruction {
    /// Returns the first word: what to do.
    pub fn keyword(&self) -> &str {
        self.text.split(char::is_whitespace).next().unwrap_or("")
    }

    /// Returns the text after the first word, outer space trimmed.
    pub fn rest(&self) -> &str {
        self.text[self.keyword().len()..].trim()
    }

    /// Returns the place of a range of `text`.
    pub fn span(&self, source: &Source, start: usize, end: usize) -> Span {
        let at = |offset: usize| {
            let piece = self.map.iter().rev().find(|(joined, _)| *joined <= offset);
            piece.map_or(self.range.0, |(joined, written)| written + (offset - joined))
        };
        let last = if end > start { at(end - 1) + 1 } else { at(start) };
        Span::new(source.id, at(start), last.max(at(start)))
    }

    /// Returns the place of the first word.
    pub fn keyword_span(&self, source: &Source) -> Span {
        self.span(source, 0, self.keyword().len())
    }

    /// Returns the place of everything after the first word.
    pub fn rest_span(&self, source: &Source) -> Span {
        let start = self.text.len() - self.text[self.keyword().len()..].trim_start().len();
        self.span(source, start.min(self.text.len()), self.text.trim_end().len())
    }
}

/// Lines of a text: offset of the start, offset of the end without `\n`, offset of the next line.
fn lines(text: &str) -> Vec<(usize, usize, usize)> {
    let mut lines = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let end = text[at..].find('\n').map_or(text.len(), |found| at + found);
        let next = (end + 1).min(text.len()).max(end);
        lines.push((at, end, next));
        at = if end == text.len() { text.len() } else { end + 1 };
    }
    lines
}

struct Lexer<'s> {
    source: &'s Source,
    lines: Vec<(usize, usize, usize)>,
    escape: char,
}

/// Returns the instructions of a text.
pub(crate) fn lex(source: &Source, diag: &mut Diagnostics) -> Lexed {
    let mut lexer = Lexer { source, lines: lines(&source.text), escape: '\\' };
    let mut at = lexer.directives(diag);
    let mut instructions = Vec::new();
    while at < lexer.lines.len() {
        at = lexer.instruction(at, &mut instructions, diag);
    }
    if instructions.is_empty() {
        let message = "a file with no instructions";
        let help = "begin with `FROM image`";
        diag.push(Diagnostic::error(Code::DockerfileSyntax, Span::start_of(source.id), message).help(help));
    }
    Lexed { escape: lexer.escape, instructions }
}

impl Lexer<'_> {
    fn line(&self, index: usize) -> &str {
        let (start, end, _) = self.lines[index];
        let line = self.source.text[start..end].trim_end_matches('\r');
        if index == 0 { line.strip_prefix('\u{feff}').unwrap_or(line) } else { line }
    }

    /// Where the text of a line begins, a byte order mark skipped.
    fn start(&self, index: usize) -> usize {
        let (start, end, _) = self.lines[index];
        let line = &self.source.text[start..end];
        if index == 0 && line.starts_with('\u{feff}') { start + 3 } else { start }
    }

    /// Reads `# syntax=`, `# escape=` and `# check=` from the top; returns where they end.
    fn directives(&mut self, diag: &mut Diagnostics) -> usize {
        let mut seen: Vec<String> = Vec::new();
        for index in 0..self.lines.len() {
            let line = self.line(index).trim_start();
            let Some((name, value)) = line.strip_prefix('#').and_then(|rest| rest.split_once('=')) else {
                return index;
            };
            let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().to_owned());
            let is_name = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if !is_name || value.is_empty() {
                return index;
            }
            if !matches!(name.as_str(), "syntax" | "escape" | "check") {
                continue;
            }
            let span = Span::new(self.source.id, self.start(index), self.lines[index].1);
            if seen.contains(&name) {
                let message = format!("the parser directive `{name}` stands twice");
                diag.push(Diagnostic::error(Code::DockerfileSyntax, span, message));
            }
            if name == "escape" {
                match value.as_str() {
                    "\\" => self.escape = '\\',
                    "`" => self.escape = '`',
                    _ => {
                        let message = format!("`{value}` is not an escape character");
                        let help = "write `# escape=\\` or `# escape=`` followed by a backtick";
                        diag.push(Diagnostic::error(Code::DockerfileSyntax, span, message).help(help));
                    }
                }
            }
            seen.push(name);
        }
        self.lines.len()
    }

    /// Returns a line without the escape character that continues it, and whether it is continued.
    fn continued<'t>(&self, line: &'t str) -> (&'t str, bool) {
        let trimmed = line.trim_end_matches([' ', '\t']);
        let Some(before) = trimmed.strip_suffix(self.escape) else { return (line, false) };
        if before.ends_with(self.escape) { (line, false) } else { (before, true) }
    }

    /// Reads the instruction that starts at or after line `index`; returns the line after it.
    fn instruction(&self, index: usize, out: &mut Vec<Instruction>, diag: &mut Diagnostics) -> usize {
        let first = self.line(index);
        let stripped = first.trim_start();
        let (line, mut is_open) = self.continued(stripped);
        if stripped.starts_with('#') || (line.is_empty() && !is_open) {
            return index + 1;
        }
        let mut text = line.to_owned();
        let mut map = vec![(0, self.start(index) + (first.len() - stripped.len()))];
        let mut at = index + 1;
        while is_open && at < self.lines.len() {
            let line = self.line(at);
            if line.trim_start().starts_with('#') || line.trim().is_empty() {
                at += 1;
                continue;
            }
            let (line, more) = self.continued(line);
            map.push((text.len(), self.start(at)));
            text.push_str(line);
            is_open = more;
            at += 1;
        }
        let trimmed = text.trim_start();
        let skipped = text.len() - trimmed.len();
        for (joined, written) in &mut map {
            let moved = skipped.saturating_sub(*joined);
            *joined = joined.saturating_sub(skipped);
            *written += moved;
        }
        let text = trimmed.trim_end().to_owned();
        if text.is_empty() {
            return at;
        }
        let range = (self.lines[index].0, self.end(at));
        let mut instruction =
            Instruction { start_line: index + 1, end_line: at, range, text, heredocs: Vec::new(), map };
        if super::ast::takes_heredocs(&instruction.text, self.escape) {
            at = self.heredocs(at, &mut instruction, diag);
        }
        out.push(instruction);
        at
    }

    /// The end of the line before `at`, its line break excluded.
    fn end(&self, at: usize) -> usize {
        let (start, end, _) = self.lines[at - 1];
        start + self.source.text[start..end].trim_end_matches('\r').len()
    }

    fn heredocs(&self, mut at: usize, instruction: &mut Instruction, diag: &mut Diagnostics) -> usize {
        for mut heredoc in raw_words(&instruction.text).iter().filter_map(|word| heredoc_of(word)) {
            let mut is_closed = false;
            while at < self.lines.len() {
                let (start, _, next) = self.lines[at];
                let line = self.line(at);
                at += 1;
                let candidate = if heredoc.chomp { line.trim_start_matches('\t') } else { line };
                if candidate == heredoc.name {
                    is_closed = true;
                    break;
                }
                heredoc.content.push_str(&self.source.text[start..next]);
            }
            if !is_closed {
                let message = format!("the heredoc `{}` is not closed", heredoc.name);
                let span = instruction.span(self.source, 0, instruction.text.len());
                let help = format!("end it with a line that holds `{}` alone", heredoc.name);
                diag.push(Diagnostic::error(Code::DockerfileSyntax, span, message).help(help));
            }
            instruction.heredocs.push(heredoc);
        }
        instruction.end_line = at;
        instruction.range.1 = self.end(at);
        at
    }
}

/// Returns the heredoc a word opens: `[fd]<<[-]delimiter`.
fn heredoc_of(word: &str) -> Option<Heredoc> {
    let (fd, rest) = word.split_once("<<")?;
    if !fd.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (chomp, rest) = match rest.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    if rest.is_empty() || rest.contains('<') || raw_words(rest).len() != 1 {
        return None;
    }
    let name = unquoted(rest);
    let expand = name == rest;
    let fd = if fd.is_empty() { 0 } else { fd.parse().ok()? };
    Some(Heredoc { name, content: String::new(), expand, chomp, fd })
}
