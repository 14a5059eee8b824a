//! Words of an instruction, split as BuildKit's shell lexer and its `parseWords` split them.

/// Returns the words of a line, quotes and escapes left in; nothing where a quote is not closed.
pub(crate) fn raw_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\'' => {
                word.push(character);
                loop {
                    match characters.next() {
                        Some(inner) => {
                            word.push(inner);
                            if inner == '\'' {
                                break;
                            }
                        }
                        None => return Vec::new(),
                    }
                }
            }
            '"' => {
                word.push(character);
                loop {
                    match characters.next() {
                        Some('\\') => {
                            word.push('\\');
                            word.extend(characters.next());
                        }
                        Some(inner) => {
                            word.push(inner);
                            if inner == '"' {
                                break;
                            }
                        }
                        None => return Vec::new(),
                    }
                }
            }
            '\\' => {
                word.push(character);
                word.extend(characters.next());
            }
            character if character.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            character => word.push(character),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Returns a word with its quotes and escapes resolved.
pub(crate) fn unquoted(word: &str) -> String {
    let mut out = String::new();
    let mut characters = word.chars();
    let mut quote = None;
    while let Some(character) = characters.next() {
        match (quote, character) {
            (None, '\'' | '"') => quote = Some(character),
            (Some(open), _) if open == character => quote = None,
            (None, '\\') => out.extend(characters.next()),
            (Some('"'), '\\') => match characters.next() {
                Some(inner @ ('"' | '$' | '\\')) => out.push(inner),
                Some(inner) => out.extend(['\\', inner]),
                None => out.push('\\'),
            },
            (_, character) => out.push(character),
        }
    }
    out
}

/// Returns the words of `ENV`, `LABEL` and `ARG`: split at space outside quotes, everything kept as written.
pub(crate) fn pair_words(text: &str, escape: char) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote: Option<char> = None;
    let mut characters = text.trim_start().chars();
    while let Some(character) = characters.next() {
        if character == escape && quote != Some('\'') {
            word.push(character);
            word.extend(characters.next());
            continue;
        }
        match quote {
            Some(open) => {
                word.push(character);
                if character == open {
                    quote = None;
                }
            }
            None if character.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            None => {
                if matches!(character, '\'' | '"') {
                    quote = Some(character);
                }
                word.push(character);
            }
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Splits leading `--flags` off an instruction's arguments; `--` ends them.
pub(crate) fn flags(rest: &str, escape: char) -> (Vec<String>, &str) {
    let mut flags = Vec::new();
    let mut at = 0;
    loop {
        let tail = rest[at..].trim_start();
        at = rest.len() - tail.len();
        if !tail.starts_with("--") {
            return (flags, tail);
        }
        let (flag, length) = flag(tail, escape);
        at += length;
        if flag == "--" {
            return (flags, rest[at..].trim_start());
        }
        flags.push(flag);
    }
}

/// Returns one flag, its quotes resolved, and how many bytes it takes.
fn flag(text: &str, escape: char) -> (String, usize) {
    let mut out = String::new();
    let mut quote: Option<char> = None;
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        if character == escape {
            out.extend(characters.next().map(|(_, next)| next));
            continue;
        }
        match quote {
            Some(open) if character == open => quote = None,
            Some(_) => out.push(character),
            None if character.is_whitespace() => return (out, at),
            None if matches!(character, '\'' | '"') => quote = Some(character),
            None => out.push(character),
        }
    }
    (out, text.len())
}
