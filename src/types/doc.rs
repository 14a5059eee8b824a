//! Structured documents and text with holes: how generated files are described before a secret is known.
//!
//! Runtime configuration is built as [`Doc`] and written by one writer per format, so that escaping, order and secrets are
//! solved once. [`Content`] is what a file will hold: text, and holes that the engine fills.

use std::collections::{BTreeMap, BTreeSet};

use crate::secret::SecretRef;

/// A structured document: JSON's model plus secrets by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doc {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A number as it is to be written.
    Number(String),
    /// Text.
    Str(String),
    /// A secret's value, as a string.
    Secret(SecretRef),
    /// A list.
    List(Vec<Doc>),
    /// A mapping, written in key order.
    Map(BTreeMap<String, Doc>),
}

impl Doc {
    /// Returns a mapping of these entries.
    pub fn map<K: Into<String>>(entries: impl IntoIterator<Item = (K, Doc)>) -> Doc {
        Doc::Map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }

    /// Returns text.
    pub fn str(text: impl Into<String>) -> Doc {
        Doc::Str(text.into())
    }

    /// Returns a list of texts.
    pub fn strs<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Doc {
        Doc::List(texts.into_iter().map(|text| Doc::Str(text.into())).collect())
    }

    /// Returns a whole number.
    pub fn int(number: i64) -> Doc {
        Doc::Number(number.to_string())
    }

    /// Sets the value at a dotted path, making mappings on the way; the part before a scalar is replaced.
    ///
    /// # Errors
    /// Where a part of the path is empty.
    pub fn set_path(&mut self, path: &str, value: Doc) -> Result<(), EmptyPart> {
        let mut here = self;
        for part in path.split('.') {
            if part.is_empty() {
                return Err(EmptyPart);
            }
            if !matches!(here, Doc::Map(_)) {
                *here = Doc::Map(BTreeMap::new());
            }
            let Doc::Map(entries) = here else { return Err(EmptyPart) };
            here = entries.entry(part.to_owned()).or_insert(Doc::Null);
        }
        *here = value;
        Ok(())
    }

    /// Returns the document as JSON: sorted keys, two spaces, a final newline.
    pub fn to_json(&self) -> Content {
        let mut content = Content::default();
        self.write_json(&mut content, 0);
        content.push_text("\n");
        content
    }

    /// Returns the document as JSON on one line, without a final newline.
    pub fn to_json_line(&self) -> Content {
        let mut content = Content::default();
        self.write_json_line(&mut content);
        content
    }

    fn write_json(&self, out: &mut Content, depth: usize) {
        let indent = |out: &mut Content, depth: usize| out.push_text(&format!("\n{}", "  ".repeat(depth)));
        match self {
            Doc::List(items) if !items.is_empty() => {
                out.push_text("[");
                for (index, item) in items.iter().enumerate() {
                    out.push_text(if index == 0 { "" } else { "," });
                    indent(out, depth + 1);
                    item.write_json(out, depth + 1);
                }
                indent(out, depth);
                out.push_text("]");
            }
            Doc::Map(entries) if !entries.is_empty() => {
                out.push_text("{");
                for (index, (key, value)) in entries.iter().enumerate() {
                    out.push_text(if index == 0 { "" } else { "," });
                    indent(out, depth + 1);
                    out.push_text(&format!("{}: ", json_string(key)));
                    value.write_json(out, depth + 1);
                }
                indent(out, depth);
                out.push_text("}");
            }
            other => other.write_json_line(out),
        }
    }

    fn write_json_line(&self, out: &mut Content) {
        match self {
            Doc::Null => out.push_text("null"),
            Doc::Bool(value) => out.push_text(if *value { "true" } else { "false" }),
            Doc::Number(number) => out.push_text(number),
            Doc::Str(text) => out.push_text(&json_string(text)),
            Doc::Secret(secret) => {
                out.push_text("\"");
                out.push_secret(secret.clone(), Escape::Json);
                out.push_text("\"");
            }
            Doc::List(items) => {
                out.push_text("[");
                for (index, item) in items.iter().enumerate() {
                    out.push_text(if index == 0 { "" } else { "," });
                    item.write_json_line(out);
                }
                out.push_text("]");
            }
            Doc::Map(entries) => {
                out.push_text("{");
                for (index, (key, value)) in entries.iter().enumerate() {
                    out.push_text(if index == 0 { "" } else { "," });
                    out.push_text(&format!("{}:", json_string(key)));
                    value.write_json_line(out);
                }
                out.push_text("}");
            }
        }
    }
}

/// A path into a document has an empty part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmptyPart;

/// Returns a text as a JSON string, quotes included.
pub fn json_string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    push_json(text, &mut out);
    out
}

/// Adds a text as a JSON string, quotes included.
pub fn push_json(text: &str, out: &mut String) {
    out.push('"');
    escape_json(text, out);
    out.push('"');
}

/// Returns user text as a piece of one line of Markdown: no line break, no backtick, no mark of a section, no heading, and
/// no character that hides others or turns them around.
pub fn line(text: &str) -> String {
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'`';
    let is_spaced = text.starts_with(' ') || text.ends_with(' ') || text.contains("  ");
    if text.bytes().all(is_plain) && !is_spaced && !text.starts_with('#') && !text.contains("--- ") {
        return text.to_owned();
    }
    let text: String = text.chars().filter(|character| !is_hidden(*character)).collect();
    let mut out = String::with_capacity(text.len());
    for word in text.split(|character: char| is_break(character) || character.is_whitespace() || character.is_control())
    {
        if !word.is_empty() {
            out.push_str(if out.is_empty() { "" } else { " " });
            out.push_str(&word.replace('`', "'"));
        }
    }
    for mark in ["--- BEGIN", "--- END"] {
        out = out.replace(mark, &format!("\\{mark}"));
    }
    if out.starts_with('#') {
        out.insert(0, '\\');
    }
    out
}

/// Returns a text of several lines as an agent reads it: lines end in `\n` whatever ended them, other control characters,
/// byte order marks and Unicode's tags are gone.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\r' if characters.peek() == Some(&'\n') => {}
            '\t' => out.push('\t'),
            '\u{feff}' | '\u{e0000}'..='\u{e007f}' => {}
            character if is_break(character) => out.push('\n'),
            character if character.is_control() => {}
            character => out.push(character),
        }
    }
    out
}

/// Returns whether a character shows nothing: it may stand inside a word and nobody sees it.
pub fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}'
    ) || character.is_control()
}

/// Invisible characters that no name and no sentence needs; joiners make words of Persian and pictures of families.
fn is_hidden(character: char) -> bool {
    let is_joiner = matches!(character, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}');
    is_invisible(character) && !is_joiner && !character.is_control()
}

/// Returns a text from elsewhere as a terminal may show it: without what moves a cursor, hides other characters or turns them
/// around. Tabs and ends of lines stay.
pub fn visible(text: &str) -> String {
    let is_shown = |each: char| matches!(each, '\t' | '\n') || !(each.is_control() || is_hidden(each));
    text.chars().filter(|each| is_shown(*each)).collect()
}

/// Returns whether some reader takes a character for the end of a line.
pub fn is_break(character: char) -> bool {
    matches!(character, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn escape_json(text: &str, out: &mut String) {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\') {
        return out.push_str(text);
    }
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{0}'..='\u{1f}' | '\u{7f}' => out.push_str(&format!("\\u{:04x}", character as u32)),
            character => out.push(character),
        }
    }
}

/// How a secret is written into the text around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Escape {
    /// As it is.
    Raw,
    /// Inside a JSON or double-quoted YAML string.
    Json,
    /// Inside a double-quoted value of a dotenv file.
    Dotenv,
}

impl Escape {
    /// Returns `text` as it is written in this place.
    pub fn apply(self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        match self {
            Escape::Raw => out.push_str(text),
            Escape::Json => escape_json(text, &mut out),
            Escape::Dotenv => {
                for character in text.chars() {
                    match character {
                        '"' | '\\' | '$' => out.extend(['\\', character]),
                        '\n' => out.push_str("\\n"),
                        character => out.push(character),
                    }
                }
            }
        }
        out
    }
}

/// A piece of a file's content.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Segment {
    /// Known text.
    Text(String),
    /// A place for a secret.
    Hole {
        /// Whose value goes here.
        secret: SecretRef,
        /// How it is written.
        escape: Escape,
    },
}

/// What a file holds: text with holes for secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Content {
    segments: Vec<Segment>,
}

impl Content {
    /// Returns content that is all text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { segments: vec![Segment::Text(text.into())] }
    }

    /// Returns content that is one secret and nothing else.
    pub fn secret(secret: SecretRef) -> Self {
        Self { segments: vec![Segment::Hole { secret, escape: Escape::Raw }] }
    }

    /// Appends text.
    pub fn push_text(&mut self, more: &str) {
        match self.segments.last_mut() {
            Some(Segment::Text(text)) => text.push_str(more),
            _ if more.is_empty() => {}
            _ => self.segments.push(Segment::Text(more.to_owned())),
        }
    }

    /// Appends a hole.
    pub fn push_secret(&mut self, secret: SecretRef, escape: Escape) {
        self.segments.push(Segment::Hole { secret, escape });
    }

    /// Returns the pieces in order.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Returns whether a secret is needed to write it.
    pub fn is_sealed(&self) -> bool {
        self.segments.iter().any(|segment| matches!(segment, Segment::Hole { .. }))
    }

    /// Returns the secrets it needs.
    pub fn secrets(&self) -> BTreeSet<&SecretRef> {
        self.segments
            .iter()
            .filter_map(|segment| match segment {
                Segment::Hole { secret, .. } => Some(secret),
                Segment::Text(_) => None,
            })
            .collect()
    }

    /// Returns the text, each hole shown as `<secret …>`; this is what digests, plans and snapshots see.
    pub fn masked(&self) -> String {
        self.segments
            .iter()
            .map(|segment| match segment {
                Segment::Text(text) => text.clone(),
                Segment::Hole { secret, .. } => format!("<{secret}>"),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::EnvName;

    #[test]
    fn json_is_sorted_and_keeps_secrets_as_holes() {
        let token = SecretRef::Env(EnvName::parse("BOT_TOKEN").expect("a name"));
        let doc = Doc::map([("b", Doc::List(vec![Doc::int(1), Doc::Null])), ("a", Doc::Secret(token))]);
        assert_eq!(
            doc.to_json().masked(),
            "{\n  \"a\": \"<secret env BOT_TOKEN>\",\n  \"b\": [\n    1,\n    null\n  ]\n}\n"
        );
        assert_eq!(doc.to_json().secrets().len(), 1);
    }

    #[test]
    fn user_text_is_a_piece_of_a_line() {
        assert_eq!(line("a\n# b\u{2028}`c`\t d "), "a # b 'c' d");
        assert_eq!(line("# x --- BEGIN: y ---"), "\\# x \\--- BEGIN: y ---");
    }

    #[test]
    fn text_of_many_lines_has_one_kind_of_line_and_no_control_character() {
        assert_eq!(plain("\u{feff}a\r\nb\rc\u{2028}d\0\u{7}\te\u{85}f\u{e0041}\u{1b}"), "a\nb\nc\nd\te\nf");
        assert_eq!(line("a\u{202e}b\u{200b}c\u{feff}d\u{200d}e"), "abcd\u{200d}e");
    }

    #[test]
    fn set_path_makes_what_is_missing() {
        let mut doc = Doc::Null;
        assert_eq!(doc.set_path("a.b", Doc::Bool(true)), Ok(()));
        assert_eq!(doc.to_json_line().masked(), "{\"a\":{\"b\":true}}");
        assert_eq!(doc.set_path("a..b", Doc::Null), Err(EmptyPart));
    }
}
