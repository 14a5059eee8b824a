//! Lowering: line-preserving, so that a builder's error at line 12 is line 12 of the Clawfile.

use super::{Clawfile, directive};

/// Returns the Dockerfile of a Clawfile.
pub(crate) fn lower(clawfile: &Clawfile) -> String {
    let text = &clawfile.text;
    if clawfile.is_plain() {
        return text.clone();
    }
    let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut out = String::with_capacity(text.len() + 1024);
    let mut at = 0;
    for instruction in &clawfile.instructions {
        if !directive::is_directive(instruction.keyword()) {
            continue;
        }
        let (start, end) = instruction.range;
        out.push_str(&text[at..start]);
        for line in text[start..end].split_inclusive('\n') {
            // A continuation inside a comment is none: the escape character at its end is left out.
            let body = line.trim_end_matches(['\n', '\r']);
            let shown = body.trim_end().trim_end_matches(clawfile.escape).trim();
            let mark = if shown.is_empty() || shown.starts_with('#') { "" } else { "# claw: " };
            out.push_str(mark);
            out.push_str(if shown.is_empty() { "#" } else { shown });
            out.push_str(&line[body.len()..]);
        }
        at = end;
    }
    out.push_str(&text[at..]);
    if !out.ends_with('\n') {
        out.push_str(line_end);
    }
    // One instruction: the classic builder makes a container and a layer for each.
    let labels: Vec<String> =
        clawfile.labels().iter().map(|(key, value)| format!("{key}={}", quoted(value, clawfile.escape))).collect();
    out.push_str(&format!("LABEL {}{line_end}", labels.join(&format!(" {}{line_end}      ", clawfile.escape))));
    out
}

/// Returns a value in double quotes; nothing in it is expanded.
fn quoted(value: &str, escape: char) -> String {
    let mut out = String::from("\"");
    for character in value.chars() {
        match character {
            '"' | '$' => out.extend([escape, character]),
            character if character == escape => out.extend([escape, escape]),
            character => out.push(character),
        }
    }
    out.push('"');
    out
}
