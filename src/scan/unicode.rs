//! Characters that nobody sees: those that carry text, cut words, or turn the order of what is shown. Spared is what scripts
//! and emoji need.

use std::iter::Peekable;
use std::str::CharIndices;

use crate::page::is_invisible;
use crate::{Finding, Rule};

/// How many soft hyphens a text may have: typesetting uses a few, words cut to pieces need many.
const SOFT_HYPHENS: usize = 2;

/// Returns the runs of hidden characters.
pub(crate) fn find(text: &str) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    let mut hyphens = Vec::new();
    let mut before = None;
    let mut line = Line::default();
    let mut characters = text.char_indices().peekable();
    while let Some((offset, character)) = characters.next() {
        if character.is_ascii() {
            before = Some(character);
            continue;
        }
        if character == '\u{1f3f4}' && is_flag(&mut characters) {
            before = Some(character);
            continue;
        }
        let after = characters.peek().map(|(_, next)| *next);
        if character == '\u{ad}' {
            hyphens.push(offset);
        } else if let Some(why) = judge(offset, character, (before, after), line.is_mixed(text, offset)) {
            let end = offset + character.len_utf8();
            match found.last_mut() {
                // A word cut to pieces, or a line turned and turned back, is one finding.
                Some(last) if offset - last.end <= 64 => last.end = end,
                _ => found.push(Finding { start: offset, end, rule: Rule::HiddenUnicode, why: why.to_owned() }),
            }
        }
        // A joiner and its like stand between characters; what is before it is still before the next.
        if !matches!(character, '\u{fe0e}' | '\u{fe0f}') {
            before = Some(character);
        }
    }
    if hyphens.len() > SOFT_HYPHENS
        && let (Some(first), Some(last)) = (hyphens.first(), hyphens.last())
    {
        let why = "soft hyphens cut words, so that a search does not find them".to_owned();
        found.push(Finding { start: *first, end: *last + 2, rule: Rule::HiddenUnicode, why });
    }
    found
}

/// The line that is read, and whether it has letters that are read from the right.
#[derive(Default)]
struct Line {
    end: usize,
    is_mixed: bool,
}

impl Line {
    fn is_mixed(&mut self, text: &str, offset: usize) -> bool {
        if offset >= self.end {
            let start = text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
            self.end = text[offset..].find('\n').map_or(text.len(), |length| offset + length);
            self.is_mixed = text[start..self.end].chars().any(is_right_to_left);
        }
        self.is_mixed
    }
}

/// Takes the tags of a flag such as that of Scotland: up to six, and the one that ends them.
fn is_flag(characters: &mut Peekable<CharIndices<'_>>) -> bool {
    let mut ahead = characters.clone();
    let mut count = 0;
    while let Some((_, '\u{e0030}'..='\u{e0039}' | '\u{e0061}'..='\u{e007a}')) = ahead.peek() {
        ahead.next();
        count += 1;
    }
    let is_flag = (3..=6).contains(&count) && ahead.next().is_some_and(|(_, end)| end == '\u{e007f}');
    if is_flag {
        *characters = ahead;
    }
    is_flag
}

/// Returns what is wrong with a character between two others; `is_mixed` where its line has letters that are read from the right.
fn judge(
    offset: usize,
    character: char,
    (before, after): (Option<char>, Option<char>),
    is_mixed: bool,
) -> Option<&'static str> {
    let between = |holds: fn(char) -> bool| before.is_some_and(holds) && after.is_some_and(holds);
    let beside = |holds: fn(char) -> bool| before.is_some_and(holds) || after.is_some_and(holds);
    match character {
        '\u{e0000}'..='\u{e007f}' => Some("tag characters: a text that models read and people do not see"),
        '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' => {
            let is_choice = before.is_some_and(|before| !is_selector(before) && takes_selector(before, character));
            (!is_choice).then_some("variation selectors that select nothing: they can carry a text")
        }
        '\u{202d}' | '\u{202e}' => Some("characters that turn the order of what is shown"),
        '\u{202a}'..='\u{202c}' | '\u{2066}'..='\u{2069}' => {
            (!is_mixed).then_some("characters that turn the order of what is shown")
        }
        '\u{200b}' if beside(breaks_lines) => None,
        '\u{200e}' | '\u{200f}' | '\u{61c}' => None,
        '\u{200d}' => {
            let is_join = between(is_pictograph) || between(joins_letters);
            (!is_join).then_some("joiners that join nothing")
        }
        '\u{200c}' => (!beside(joins_letters)).then_some("non-joiners where no script has them"),
        '\u{feff}' => (offset != 0).then_some("a byte order mark that is not at the start"),
        '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10fffd}' => {
            Some("private characters: what they mean, no reader can know")
        }
        '\u{180b}'..='\u{180f}' => (!before.is_some_and(is_mongolian)).then_some("invisible characters"),
        '\u{115f}' | '\u{1160}' => (!after.is_some_and(is_jamo) && !before.is_some_and(is_jamo)).then_some("fillers"),
        other if is_invisible(other) => Some("invisible characters: they cut words, or carry a text"),
        _ => None,
    }
}

fn is_selector(character: char) -> bool {
    matches!(character, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

/// Emoji and a few signs have the selectors 15 and 16; Han characters and symbols of mathematics have others.
fn takes_selector(before: char, selector: char) -> bool {
    match selector {
        '\u{fe0e}' | '\u{fe0f}' => is_pictograph(before) || before.is_ascii_digit() || matches!(before, '#' | '*'),
        '\u{e0100}'..='\u{e01ef}' => is_han(before),
        _ => {
            is_han(before)
                || is_mongolian(before)
                || matches!(before, '\u{2200}'..='\u{22ff}' | '\u{1000}'..='\u{109f}')
        }
    }
}

fn is_han(character: char) -> bool {
    matches!(character, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

fn is_mongolian(character: char) -> bool {
    matches!(character, '\u{1800}'..='\u{18af}')
}

fn is_jamo(character: char) -> bool {
    matches!(character, '\u{1100}'..='\u{115e}' | '\u{1161}'..='\u{11ff}')
}

/// Pictures and signs that emoji are made of; the selector of a sign before it is passed over.
fn is_pictograph(character: char) -> bool {
    matches!(character,
        '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{20e3}' | '\u{2122}' | '\u{2139}' | '\u{2190}'..='\u{21ff}'
        | '\u{2300}'..='\u{27bf}' | '\u{2900}'..='\u{297f}' | '\u{2b00}'..='\u{2bff}' | '\u{3030}' | '\u{303d}'
        | '\u{3297}' | '\u{3299}' | '\u{1f000}'..='\u{1faff}')
}

fn is_right_to_left(character: char) -> bool {
    matches!(character, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}' | '\u{10800}'..='\u{10fff}')
}

/// Scripts without spaces, whose lines may break where a mark says so.
fn breaks_lines(character: char) -> bool {
    matches!(character, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}')
}

/// Scripts whose letters join, or are kept from it: Arabic and its like, those of India and its neighbours.
fn joins_letters(character: char) -> bool {
    matches!(character,
        '\u{600}'..='\u{8ff}' | '\u{900}'..='\u{dff}' | '\u{e00}'..='\u{109f}' | '\u{1700}'..='\u{18af}'
        | '\u{1a00}'..='\u{1cff}' | '\u{a800}'..='\u{abff}' | '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}'
        | '\u{11000}'..='\u{11fff}')
}
