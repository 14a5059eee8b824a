//! Sentences as lists of words, and what kind of sentence one is.

use std::borrow::Cow;

/// A word of the folded text.
#[derive(Clone, Debug)]
pub(crate) struct Word<'t> {
    pub(crate) text: Cow<'t, str>,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// The most words a sentence has; a longer one is read in parts.
const LONGEST: usize = 160;

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || byte >= 0x80
        || matches!(byte, b'\'' | b'_' | b'-' | b'.' | b'/' | b'@' | b':' | b'~' | b'$')
}

/// Calls back with the words of each sentence of a folded text.
pub(crate) fn each_sentence<'t>(text: &'t str, mut visit: impl FnMut(&[Word<'t>])) {
    let bytes = text.as_bytes();
    let mut words: Vec<Word<'t>> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        if is_letter(byte) {
            let end = word_end(bytes, at);
            let raw = &text[at..end];
            let trimmed = raw.trim_end_matches(['.', '\'', ':', '-']);
            if trimmed.len() == 1
                && let Some((joined, end)) = spaced(text, at)
            {
                words.push(Word { text: Cow::Owned(joined), start: at, end });
                at = end;
                continue;
            }
            let lead = trimmed.len() - trimmed.trim_start_matches(['\'', '-', '_', '.']).len();
            let (start, stop) = (at + lead, at + trimmed.len());
            if start < stop {
                words.push(Word { text: plain(&text[start..stop]), start, end: stop });
            }
            let is_end = raw.ends_with('.')
                && bytes
                    .get(end)
                    .is_none_or(|next| next.is_ascii_whitespace() || matches!(next, b'"' | b'*' | b'`' | b')'));
            if is_end || words.len() >= LONGEST {
                visit(&words);
                words.clear();
            }
            at = end;
            continue;
        }
        let is_end = match byte {
            b'!' | b'?' | b';' => true,
            b'\n' => {
                let next = text[at + 1..].split('\n').next().unwrap_or("").trim_start();
                next.is_empty()
                    || next.starts_with(['#', '*', '+', '>', '|'])
                    || next.starts_with("- ")
                    || next.starts_with("```")
            }
            _ => false,
        };
        if is_end && !words.is_empty() {
            visit(&words);
            words.clear();
        }
        at += 1;
    }
    if !words.is_empty() {
        visit(&words);
    }
}

fn word_end(bytes: &[u8], at: usize) -> usize {
    at + bytes[at..].iter().take_while(|byte| is_letter(**byte)).count()
}

/// Returns a word that is written with a space after each letter, and its end.
fn spaced(text: &str, at: usize) -> Option<(String, usize)> {
    let bytes = text.as_bytes();
    let (mut joined, mut end) = (String::new(), at);
    while bytes.get(end).is_some_and(u8::is_ascii_alphanumeric)
        && bytes.get(end + 1).is_none_or(|next| !is_letter(*next))
    {
        joined.push(char::from(bytes[end]));
        end += 1;
        let goes_on = bytes.get(end) == Some(&b' ') && bytes.get(end + 1).is_some_and(u8::is_ascii_alphanumeric);
        if !goes_on || joined.len() > 24 {
            break;
        }
        end += 1;
    }
    (joined.len() >= 3).then_some((joined, end))
}

/// Returns a word with digits that stand for letters made letters.
fn plain(word: &str) -> Cow<'_, str> {
    let bytes = word.as_bytes();
    let is_mixed = bytes.iter().any(u8::is_ascii_alphabetic)
        && bytes.iter().any(|byte| matches!(byte, b'0' | b'1' | b'3' | b'4' | b'5' | b'7' | b'@' | b'$'));
    if !is_mixed || word.contains(['/', ':']) || word.starts_with('$') || word.trim_start_matches('@').contains('@') {
        return Cow::Borrowed(word);
    }
    let letter = |character: char| match character {
        '0' => 'o',
        '1' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        other => other,
    };
    Cow::Owned(word.chars().map(letter).collect())
}

/// Returns whether what leads to a command tells a reader not to use it.
pub(crate) fn is_warning(lead: &str) -> bool {
    let told = [
        "instead of",
        "rather than",
        "reject",
        "not trust",
        "before you trust",
        "look for",
        "attack",
        "malicious",
        "suspicious",
        "injection",
        "dangerous",
        "unsafe",
        "red flag",
        "refuse",
        "avoid ",
    ];
    if told.iter().any(|words| lead.contains(words)) {
        return true;
    }
    let acts = [
        "run", "pipe", "piping", "use", "execute", "running", "using", "paste", "copy", "trust", "do", "send", "post",
        "put", "write", "follow", "accept", "install", "upload",
    ];
    ["never ", "do not ", "don't ", "must not ", "should not ", "not to "].iter().any(|negation| {
        lead.match_indices(negation).any(|(at, _)| {
            let mut next = lead[at + negation.len()..].split_whitespace().take(3);
            next.any(|word| acts.contains(&word.trim_matches(|letter: char| !letter.is_alphanumeric())))
        })
    })
}

/// Returns whether what leads to a quoted order speaks of others' orders: it explains, or says what to do about them.
pub(crate) fn is_explained(lead: &str) -> bool {
    [
        "such as",
        "for example",
        "e.g.",
        "may write",
        "may say",
        "attacker",
        "injection",
        "malicious",
        "reject",
        "refuse",
        "treat",
        "contains",
        "says",
        "like ",
        "phrases",
        "signs",
        "suspicious",
        "do not obey",
        "do not follow",
    ]
    .iter()
    .any(|words| lead.contains(words))
}
