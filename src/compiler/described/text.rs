//! Texts of somebody else's as pieces of one line of Markdown: short, without anything that could end a fence, begin a heading
//! or hide.

use claw_types::doc::line;

/// Returns a text as a piece of a line, of at most `limit` characters.
pub(crate) fn prose(text: &str, limit: usize) -> String {
    // Far more is never shown, and folding it would cost.
    let head: String = text.chars().take(limit.saturating_mul(4)).collect();
    let shown = line(&head).replace("<!--", "\\<!--");
    let is_cut = shown.chars().nth(limit).is_some() || head.len() < text.len();
    let short: String = shown.chars().take(limit).collect();
    if is_cut { format!("{}…", short.trim_end()) } else { short }
}

/// Returns a text between backticks.
pub(crate) fn code(text: &str, limit: usize) -> String {
    let shown = prose(text, limit);
    let shown = shown.strip_prefix('\\').filter(|rest| rest.starts_with('#')).unwrap_or(&shown);
    if shown.is_empty() { "` `".to_owned() } else { format!("`{shown}`") }
}

/// Returns a single word as it is, and anything that could be a sentence between backticks.
pub(crate) fn word(text: &str, limit: usize) -> String {
    let is_word = !text.is_empty() && text.len() <= limit && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_word { text.to_owned() } else { code(text, limit) }
}

/// Returns a text as a quotation on a line of its own: what the service says of itself, and nobody else.
pub(crate) fn quoted(text: Option<&str>, limit: usize) -> String {
    let shown = text.map(|text| prose(text, limit)).unwrap_or_default();
    if shown.is_empty() { String::new() } else { format!("> {shown}\n\n") }
}

/// Returns ` (a, b)`, or nothing where there is nothing to say.
pub(crate) fn aside(parts: &[String]) -> String {
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}
