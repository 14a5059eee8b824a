//! Diagnostics as text with a caret, and as JSON.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use claw_types::diag::{Diagnostic, Diagnostics, Severity};
use claw_types::span::{SourceMap, Span};

use crate::fix;

/// Returns a diagnostic as text: code, message, `path:line:column`, the line with a caret, notes, help.
pub(crate) fn text(diagnostic: &Diagnostic, sources: &SourceMap, is_coloured: bool) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let title = level.primary_title(diagnostic.message.as_str()).id(diagnostic.code.name());
    let label = diagnostic.label.as_deref().unwrap_or("");
    let mut group = place(Group::with_title(title), diagnostic.primary, label, diagnostic.is_masked, sources);
    for (span, note) in &diagnostic.notes {
        group = group.element(Level::NOTE.message(note.as_str()));
        if let Some(span) = span {
            group = place(group, *span, "", diagnostic.is_masked, sources);
        }
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    let renderer = if is_coloured { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&[group]).to_string()
}

/// Adds an excerpt, or the place alone where the text may be a secret.
fn place<'g>(group: Group<'g>, span: Span, label: &'g str, is_masked: bool, sources: &'g SourceMap) -> Group<'g> {
    let Some(source) = sources.get(span.file) else { return group };
    if is_masked || source.text.is_empty() {
        let position = sources.position(span);
        return group.element(Origin::path(source.name.as_str()).line(position.line).char_column(position.column));
    }
    let length = source.text.len();
    let (start, end) = boundaries(&source.text, (span.start as usize).min(length), (span.end as usize).min(length));
    // A value of many lines is shown by its first.
    let end = source.text[start..end].find('\n').map_or(end, |newline| start + newline);
    let annotation = AnnotationKind::Primary.span(start..end).label(label);
    group.element(Snippet::source(source.text.as_str()).path(source.name.as_str()).annotation(annotation))
}

fn boundaries(text: &str, start: usize, end: usize) -> (usize, usize) {
    let down = |mut at: usize| {
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    (down(start), down(end).max(down(start)))
}

/// Returns diagnostics as JSON, in the order of their places.
pub(crate) fn json(diagnostics: &Diagnostics, sources: &SourceMap) -> serde_json::Value {
    let place = |span: Span| {
        let position = sources.position(span);
        let path = sources.get(span.file).map_or("", |source| source.name.as_str());
        serde_json::json!({ "path": path, "line": position.line, "column": position.column })
    };
    let each = |diagnostic: &&Diagnostic| {
        let notes: Vec<_> = diagnostic
            .notes
            .iter()
            .map(|(span, note)| serde_json::json!({ "message": note, "place": span.map(place) }))
            .collect();
        serde_json::json!({
            "code": diagnostic.code.name(),
            "severity": diagnostic.severity.name(),
            "message": diagnostic.message,
            "place": place(diagnostic.primary),
            "notes": notes,
            "help": diagnostic.help,
            "fix": fix::edit(diagnostic, sources).map(|edit| {
                let (at, end) = (sources.position(edit.span()), sources.position(edit.end()));
                serde_json::json!({
                    "line": at.line, "column": at.column, "end_line": end.line, "end_column": end.column, "text": edit.text,
                })
            }),
        })
    };
    diagnostics.sorted().iter().map(each).collect()
}
