//! A text as it is searched: folded, so that a word is one word however it is written, with the way back to the text itself.

use crate::{Finding, Rule};

/// A text and its folded form: lower case, without invisible characters, look-alikes of Latin letters made Latin.
pub(crate) struct Page<'t> {
    pub(crate) raw: &'t str,
    pub(crate) folded: String,
    /// The byte in `raw` of each byte of `folded`, and of its end.
    at: Vec<u32>,
    /// Blocks of code between fences, in `folded`.
    fences: Vec<(usize, usize)>,
}

impl<'t> Page<'t> {
    pub(crate) fn new(raw: &'t str) -> Self {
        let mut folded = String::with_capacity(raw.len());
        let mut at = Vec::with_capacity(raw.len() + 1);
        for (offset, character) in raw.char_indices() {
            let Some(character) = fold(character) else { continue };
            let offset = u32::try_from(offset).unwrap_or(u32::MAX);
            folded.push(character);
            at.extend(std::iter::repeat_n(offset, character.len_utf8()));
        }
        at.push(u32::try_from(raw.len()).unwrap_or(u32::MAX));
        let fences = fences(&folded);
        Self { raw, folded, at, fences }
    }

    /// Returns a finding at a range of the folded text.
    pub(crate) fn finding(&self, rule: Rule, (start, end): (usize, usize), why: impl Into<String>) -> Finding {
        let place = |offset: usize| self.at.get(offset).map_or(self.raw.len(), |at| *at as usize);
        let start = place(start);
        let end = place(end).max(start);
        Finding { start, end, rule, why: why.into() }
    }

    /// Returns the folded text of a range, cut to where characters end.
    pub(crate) fn slice(&self, start: usize, end: usize) -> &str {
        let (start, end) = (self.floor(start), self.floor(end));
        self.folded.get(start..end.max(start)).unwrap_or("")
    }

    fn floor(&self, offset: usize) -> usize {
        let mut offset = offset.min(self.folded.len());
        while !self.folded.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }

    /// Returns where a part stands in the folded text. Whether it does at all is quicker to tell, and most do not.
    pub(crate) fn places<'p>(&'p self, part: &'p str) -> impl Iterator<Item = usize> + 'p {
        let text = if self.folded.contains(part) { self.folded.as_str() } else { "" };
        text.match_indices(part).map(|(at, _)| at)
    }

    pub(crate) fn is_code(&self, offset: usize) -> bool {
        let index = self.fences.partition_point(|(_, end)| *end <= offset);
        self.fences.get(index).is_some_and(|(start, _)| *start <= offset)
    }

    pub(crate) fn fences(&self) -> &[(usize, usize)] {
        &self.fences
    }

    /// Returns what a reader has read of the sentence when it comes to a place, with the line that leads a list before it.
    pub(crate) fn lead(&self, offset: usize) -> String {
        let before = self.slice(offset.saturating_sub(800), offset);
        let paragraph = before.rfind("\n\n").map_or(before, |at| &before[at + 2..]);
        let paragraph = paragraph.rfind("\n#").map_or(paragraph, |at| &paragraph[at..]);
        let line = paragraph.rfind('\n').map_or(paragraph, |at| &paragraph[at + 1..]);
        let is_item = line.trim_start().starts_with(['-', '*', '+']) || line.trim_start().starts_with(char::is_numeric);
        let own = if is_item { line } else { paragraph };
        let ends = [". ", ".\n", "! ", "? "].into_iter().filter_map(|end| Some(rfind_end(own, end)? + end.len())).max();
        let sentence = &own[ends.unwrap_or(0)..];
        let mut lead = String::new();
        if is_item {
            let above = &before[..before.len() - line.len()];
            let above = above.rfind("\n#").map_or(above, |at| &above[at..]);
            if let Some(line) = above.lines().rev().find(|line| line.trim_end().ends_with(':')) {
                lead.push_str(line);
                lead.push(' ');
            }
        }
        lead.push_str(sentence);
        lead
    }
}

/// Returns the last end of a sentence that is not an abbreviation.
fn rfind_end(text: &str, end: &str) -> Option<usize> {
    let mut text = text;
    while let Some(at) = text.rfind(end) {
        if !["e.g", "i.e", "cf", "etc"].iter().any(|short| text[..at].ends_with(short)) {
            return Some(at);
        }
        text = &text[..at];
    }
    None
}

fn fences(folded: &str) -> Vec<(usize, usize)> {
    let (mut found, mut open, mut offset) = (Vec::new(), None, 0);
    for line in folded.split_inclusive('\n') {
        let trimmed = line.trim_start();
        if trimmed.starts_with("```") || trimmed.starts_with("~~~") {
            match open.take() {
                Some(start) => found.push((start, offset)),
                None => open = Some(offset + line.len()),
            }
        }
        offset += line.len();
    }
    found.extend(open.map(|start| (start, offset)));
    found
}

/// Returns whether a character is drawn as nothing.
pub(crate) fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}')
}

/// Returns a character as it is compared: nothing for those nobody sees.
fn fold(character: char) -> Option<char> {
    if character.is_ascii() {
        return Some(character.to_ascii_lowercase());
    }
    if is_invisible(character) {
        return None;
    }
    Some(match character {
        // Full-width forms are ASCII, moved.
        '\u{ff01}'..='\u{ff5e}' => {
            char::from_u32(u32::from(character) - 0xfee0).unwrap_or(character).to_ascii_lowercase()
        }
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => ' ',
        '‘' | '’' | 'ʼ' => '\'',
        '“' | '”' => '"',
        'а' | 'А' | 'α' | 'Α' => 'a',
        'в' | 'В' | 'Β' | 'Ь' | 'ь' => 'b',
        'с' | 'С' | 'ϲ' => 'c',
        'ԁ' => 'd',
        'е' | 'Е' | 'Ε' | 'ё' => 'e',
        'һ' | 'н' | 'Н' | 'Η' => 'h',
        'і' | 'І' | 'ι' | 'Ι' | 'ı' => 'i',
        'ј' | 'Ј' => 'j',
        'к' | 'К' | 'κ' | 'Κ' => 'k',
        'ӏ' | 'Ӏ' => 'l',
        'М' | 'м' | 'Μ' => 'm',
        'Ν' | 'ո' => 'n',
        'о' | 'О' | 'ο' | 'Ο' | 'օ' => 'o',
        'р' | 'Р' | 'ρ' | 'Ρ' => 'p',
        'ԛ' => 'q',
        'ѕ' | 'Ѕ' => 's',
        'Т' | 'т' | 'Τ' | 'τ' => 't',
        'υ' => 'u',
        'ν' => 'v',
        'ԝ' => 'w',
        'х' | 'Х' | 'χ' | 'Χ' => 'x',
        'у' | 'У' | 'Υ' => 'y',
        'Ζ' => 'z',
        other => other,
    })
}
