//! Lines of commands as a shell reads them: continued lines joined, quotes and backslashes taken out of words.

use std::borrow::Cow;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Word,
    /// `|`.
    Pipe,
    /// `$(` or `<(`.
    Substitution,
    /// `(` alone.
    Open,
    /// `)`.
    Close,
    /// A backtick: a substitution, or the border of code in a sentence.
    Tick,
    /// `<`.
    Input,
    /// `>`.
    Output,
    /// `;`, `&`, `&&` or `||`.
    End,
}

/// A token and where it is in the folded text.
#[derive(Clone, Debug)]
pub(crate) struct Token<'t> {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) word: Cow<'t, str>,
}

impl Token<'_> {
    /// Returns the name of a program without its directory, its ending and what a sentence puts behind it.
    pub(crate) fn program(&self) -> &str {
        if self.kind != Kind::Word {
            return "";
        }
        let word = self.word.trim_end_matches(['.', ',', ':', ';', '!', '?']);
        let name = word.rsplit(['/', '\\']).next().unwrap_or(word);
        name.strip_suffix(".exe").unwrap_or(name)
    }
}

/// How long a line may be that is joined of several.
const LONGEST: usize = 8192;

/// Calls back with the tokens of each line that may hold a command.
pub(crate) fn each_line(text: &str, mut visit: impl FnMut(&[Token<'_>])) {
    let mut tokens = Vec::new();
    let mut start = 0;
    while start < text.len() {
        let mut end = line_end(text, start);
        while end < text.len() && end - start < LONGEST && goes_on(&text[start..end], &text[end..line_end(text, end)]) {
            end = line_end(text, end);
        }
        let line = &text[start..end];
        let may_be = |byte: u8| matches!(byte, b'|' | b'`' | b'$' | b'<' | b'&' | b';' | b'@' | b'~' | b'/' | b'(');
        if line.bytes().any(may_be) {
            tokens.clear();
            split(line, start, &mut tokens);
            visit(&tokens);
        }
        start = end;
    }
}

fn line_end(text: &str, start: usize) -> usize {
    text[start..].find('\n').map_or(text.len(), |at| start + at + 1)
}

/// Returns whether a line goes on in the next: by a backslash, or a pipe at the end of the one or the start of the other.
fn goes_on(line: &str, next: &str) -> bool {
    let (line, next) = (line.trim_end(), next.trim());
    let is_row = |line: &str| line.trim_start().starts_with('|') && line.ends_with('|');
    if is_row(line) || is_row(next) {
        return false;
    }
    line.ends_with(['\\', '|']) || line.ends_with("&&") || next.starts_with('|') || next.starts_with("&&")
}

/// Splits a line; `base` is where it starts in the text.
fn split<'t>(line: &'t str, base: usize, tokens: &mut Vec<Token<'t>>) {
    let bytes = line.as_bytes();
    let mut word = Builder { line, base, start: None, changed: None };
    let mut at = 0;
    while at < bytes.len() {
        let rest = &line[at..];
        let next = bytes.get(at + 1).copied();
        let (kind, length) = match bytes[at] {
            b'\\' if matches!(next, Some(b'\n' | b'\r')) => {
                word.drop_part(at);
                at += rest.find('\n').map_or(rest.len(), |newline| newline + 1);
                continue;
            }
            b'\\' | b'\'' | b'"' | b'^' => {
                word.drop_part(at);
                at += 1;
                continue;
            }
            b'$' if rest.starts_with("${ifs}") || rest.starts_with("$ifs") => {
                word.finish(at, tokens);
                at += if rest.starts_with("${") { 6 } else { 4 };
                continue;
            }
            b'$' if matches!(next, Some(b'@' | b'*')) => {
                word.drop_part(at);
                at += 2;
                continue;
            }
            byte if byte.is_ascii_whitespace() => {
                word.finish(at, tokens);
                at += 1;
                continue;
            }
            b'|' if next == Some(b'|') => (Kind::End, 2),
            b'|' if next == Some(b'&') => (Kind::Pipe, 2),
            b'|' => (Kind::Pipe, 1),
            b'&' if next == Some(b'&') => (Kind::End, 2),
            b'&' if next.is_none_or(|next| next.is_ascii_whitespace()) => (Kind::End, 1),
            b';' => (Kind::End, 1),
            b'$' | b'<' if next == Some(b'(') => (Kind::Substitution, 2),
            b'(' => (Kind::Open, 1),
            b')' => (Kind::Close, 1),
            b'`' => (Kind::Tick, 1),
            b'<' => (Kind::Input, 1),
            b'>' => (Kind::Output, 1),
            _ => {
                let character = rest.chars().next().map_or(1, char::len_utf8);
                word.push(at, character);
                at += character;
                continue;
            }
        };
        word.finish(at, tokens);
        tokens.push(Token { kind, start: base + at, end: base + at + length, word: Cow::Borrowed("") });
        at += length;
    }
    word.finish(bytes.len(), tokens);
}

/// A word in the making: a slice of the line until something is taken out of it.
struct Builder<'t> {
    line: &'t str,
    base: usize,
    start: Option<usize>,
    changed: Option<String>,
}

impl<'t> Builder<'t> {
    fn push(&mut self, at: usize, length: usize) {
        self.start.get_or_insert(at);
        if let Some(changed) = &mut self.changed {
            changed.push_str(&self.line[at..at + length]);
        }
    }

    /// Leaves out what is at a place.
    fn drop_part(&mut self, at: usize) {
        let start = *self.start.get_or_insert(at);
        if self.changed.is_none() {
            self.changed = Some(self.line[start..at].to_owned());
        }
    }

    fn finish(&mut self, at: usize, tokens: &mut Vec<Token<'t>>) {
        let changed = self.changed.take();
        let Some(start) = self.start.take() else { return };
        let word = changed.map_or_else(|| Cow::Borrowed(&self.line[start..at]), Cow::Owned);
        if !word.is_empty() {
            tokens.push(Token { kind: Kind::Word, start: self.base + start, end: self.base + at, word });
        }
    }
}
