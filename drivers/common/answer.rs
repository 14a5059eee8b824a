//! What a probe printed: an answer among noise, and one line of it.

/// Returns the last JSON object that begins a line; whatever else was printed is noise.
pub(crate) fn answer(text: &str) -> Option<serde_json::Value> {
    let objects = text.lines().rev().map(str::trim).filter(|line| line.starts_with('{'));
    let mut objects = objects.filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let whole = serde_json::from_str::<serde_json::Value>(text.trim()).ok().filter(serde_json::Value::is_object);
    whole.or_else(|| objects.next())
}

/// One line, and not a long one.
pub(crate) fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(160).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_found_in_noise() {
        assert_eq!(answer("x\n{\"a\":1}\nnoise {\n").map(|value| value["a"] == 1), Some(true));
        assert_eq!(answer("fine?"), None);
    }
}
