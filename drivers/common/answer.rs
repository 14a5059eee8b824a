//! What a probe printed: an answer among noise, and one line of it.

use serde_json::Value;

/// Returns the last JSON object that begins a line; whatever else was printed is noise.
pub(crate) fn answer(text: &str) -> Option<Value> {
    answer_with(text, |_| true)
}

/// Returns the last JSON object that begins a line and is an answer; it may be of many lines.
pub(crate) fn answer_with(text: &str, is_answer: impl Fn(&Value) -> bool) -> Option<Value> {
    let text = text.trim();
    let starts = text.match_indices('{').map(|(at, _)| at).filter(|at| *at == 0 || text[..*at].ends_with('\n'));
    let mut objects = starts.filter_map(|at| {
        let mut values = serde_json::Deserializer::from_str(&text[at..]).into_iter::<Value>();
        values.next().and_then(Result::ok)
    });
    objects.rfind(is_answer)
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
        let many = "x\n{\n  \"a\": [\n    {\"b\": 1}\n  ]\n}\nnoise\n{\"c\":1}\n";
        assert_eq!(answer_with(many, |value| value["a"].is_array()).map(|value| value["a"][0]["b"] == 1), Some(true));
        assert_eq!(answer(many).map(|value| value["c"] == 1), Some(true));
        assert_eq!(answer_with(many, |value| value["d"].is_array()), None);
    }
}
