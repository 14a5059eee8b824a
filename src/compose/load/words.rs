//! Splits a command as compose does: words and quotes of a shell, nothing expanded, the rest cut at an operator.

/// Returns the words of a command.
///
/// # Errors
/// Where a quote is not closed.
pub fn split(text: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut is_word = false;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\'' => {
                is_word = true;
                loop {
                    match characters.next() {
                        Some('\'') => break,
                        Some(inner) => word.push(inner),
                        None => return Err("has a quote that is not closed"),
                    }
                }
            }
            '"' => {
                is_word = true;
                loop {
                    match characters.next() {
                        Some('"') => break,
                        Some('\\') => match characters.next() {
                            Some(inner) => word.push(inner),
                            None => return Err("ends in a backslash"),
                        },
                        Some(inner) => word.push(inner),
                        None => return Err("has a quote that is not closed"),
                    }
                }
            }
            '\\' => {
                is_word = true;
                word.push(characters.next().ok_or("ends in a backslash")?);
            }
            ' ' | '\t' | '\n' | '\r' => {
                if is_word {
                    words.push(std::mem::take(&mut word));
                    is_word = false;
                }
            }
            ';' | '&' | '|' | '<' | '>' => break,
            character => {
                is_word = true;
                word.push(character);
            }
        }
    }
    if is_word {
        words.push(word);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn words_quotes_and_operators() {
        let words = |text| split(text).expect("closed");
        assert_eq!(words("sh -c 'a \"b\"' \"c d\" e\\ f ''"), ["sh", "-c", "a \"b\"", "c d", "e f", ""]);
        assert_eq!(words("a b | c"), ["a", "b"]);
        assert!(split("a 'b").is_err());
    }
}
