//! What a fault of YAML is, in words: the parser only gives its kind and its place.

use granit_parser::ErrorKind;

const TAB: (&str, &str) = ("a tab stands where only spaces may", "indent with spaces");

/// Returns what is wrong, what to do and where, for a fault that the parser found at a byte of a text.
pub(super) fn explain(kind: &ErrorKind, text: &str, at: usize) -> (String, &'static str, usize) {
    let start = text[..at].rfind('\n').map_or(0, |found| found + 1);
    let end = text[at..].find('\n').map_or(text.len(), |found| at + found);
    let line = &text[start..end];
    if let Some(tab) = line.find('\t').filter(|tab| line[..*tab].trim().is_empty()) {
        return (TAB.0.to_owned(), TAB.1, start + tab);
    }
    let is_value = matches!(
        kind,
        ErrorKind::MappingValueNotAllowed | ErrorKind::MappingKeyNotAllowed | ErrorKind::InvalidColonPlacement
    );
    if is_value && let Some(found) = elsewhere(&text[..start], &text[..end], line) {
        return found;
    }
    let (cause, help) = here(kind, line);
    (cause, help, at)
}

fn here(kind: &ErrorKind, line: &str) -> (String, &'static str) {
    if is_tab(kind) {
        return (TAB.0.to_owned(), TAB.1);
    }
    if let Some(found) = bracket(kind).or_else(|| quote(kind)).or_else(|| character(kind)) {
        return found;
    }
    let cause = match kind {
        ErrorKind::MappingValueNotAllowed | ErrorKind::MappingKeyNotAllowed | ErrorKind::InvalidColonPlacement => {
            "a `key: value` may not stand here"
        }
        ErrorKind::SimpleKeyExpected
        | ErrorKind::InvalidSimpleKey
        | ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::UnexpectedEndOfPlainScalar
            if lacks_space(line) =>
        {
            return ("a space is missing behind the `:`".to_owned(), "write `key: value`");
        }
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => {
            return ("this is no key: it has no `:`".to_owned(), "write `key: value`, or indent it below its key");
        }
        ErrorKind::InvalidMappingValueWhitespace => {
            return ("a space is missing behind the `:`".to_owned(), "write `key: value`");
        }
        ErrorKind::InvalidBlockEntryWhitespace => {
            return ("a space is missing behind the `-`".to_owned(), "write `- item`");
        }
        ErrorKind::BlockSequenceEntryNotAllowed | ErrorKind::BlockEntryInFlowCollection => {
            return ("a `- item` may not stand here".to_owned(), "begin the list on a line of its own, below its key");
        }
        ErrorKind::ExpectedBlockMappingKey => "this is no key, and a key must follow",
        ErrorKind::ExpectedBlockSequenceEntry => "this is no `- item`, and one must follow",
        ErrorKind::InvalidIndentation | ErrorKind::InvalidFlowScalarIndent | ErrorKind::InvalidBlockScalarIndent => {
            "this line is indented differently from those it belongs to"
        }
        ErrorKind::InvalidBlockScalarHeader | ErrorKind::ZeroBlockScalarIndent => {
            return ("text stands behind a `|` or `>`".to_owned(), "begin the text on the next line, indented");
        }
        ErrorKind::CommentNotSeparated | ErrorKind::CommentInterceptedScalar => {
            return ("a comment stands inside a value".to_owned(), "put the value in quotes, or the comment elsewhere");
        }
        ErrorKind::UnknownAnchor => {
            return (
                "this alias has no anchor".to_owned(),
                "write `&name` at a value above, or the value itself in quotes",
            );
        }
        ErrorKind::RecursionLimitExceeded => {
            return ("it is nested too deeply".to_owned(), "write it flatter; no compose file is that deep");
        }
        ErrorKind::ExpectedDocumentStart | ErrorKind::InvalidDocumentEnd => "the document has ended, and this follows",
        _ if is_tag(kind) => return ("this tag is none".to_owned(), "put a value that begins with `!` in quotes"),
        _ => "this may not stand here",
    };
    (cause.to_owned(), "make the indentation that of the lines around it; quote a value that holds `: ` or ` #`")
}

/// Returns what is wrong with a line that may be right by itself: an open bracket, or the line above it.
fn elsewhere(above: &str, with_line: &str, line: &str) -> Option<(String, &'static str, usize)> {
    if let Some((at, open)) = open_bracket(with_line) {
        return Some((format!("a `{open}` is not closed"), closing(open), at));
    }
    let indent = |line: &str| line.len() - line.trim_start().len();
    let is_text = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let last = above.lines().rev().find(is_text).filter(|last| indent(last) == indent(line))?;
    let at = above.rfind(last)? + indent(last);
    if lacks_space(last) {
        let colon = last.trim_start().find(':').unwrap_or(0);
        return Some(("a space is missing behind this `:`".to_owned(), "write `key: value`", at + colon));
    }
    if !last.contains(':') && !last.trim_start().starts_with('-') {
        return Some(("this line has no `:`".to_owned(), "write `key: value`, or `key:` alone", at));
    }
    None
}

/// Returns the last bracket that a text opens in front of a value and leaves open, and where; quotes and comments are left
/// out.
fn open_bracket(text: &str) -> Option<(usize, char)> {
    let mut open = Vec::new();
    let (mut quote, mut last, mut before, mut is_comment) = (None, '\n', '\n', false);
    for (at, each) in text.char_indices() {
        let begins_value = matches!(last, '\n' | ':' | '-' | ',' | '[' | '{');
        match each {
            '\n' => is_comment = false,
            _ if is_comment => continue,
            '"' | '\'' if quote == Some(each) => quote = None,
            _ if quote.is_some() => {}
            '"' | '\'' if begins_value => quote = Some(each),
            '#' if before.is_whitespace() => is_comment = true,
            '[' | '{' if begins_value => open.push((at, each)),
            ']' | '}' => {
                open.pop();
            }
            _ => {}
        }
        if each != ' ' {
            last = each;
        }
        before = each;
    }
    open.pop()
}

fn is_tab(kind: &ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::TabNotAllowed
            | ErrorKind::TabInBlockIndentation
            | ErrorKind::TabInIndentation
            | ErrorKind::TabAtBlockScalarStart
            | ErrorKind::TabInPlainScalar
    )
}

fn is_tag(kind: &ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::UndeclaredTagHandle
            | ErrorKind::ExpectedTagBang
            | ErrorKind::InvalidTagTerminator
            | ErrorKind::MissingTagUri
            | ErrorKind::UnclosedVerbatimTag
            | ErrorKind::InvalidTagEscape
    )
}

/// Returns whether a line has a `:` that ends a word and is followed by no space.
fn lacks_space(line: &str) -> bool {
    let code = line.split(" #").next().unwrap_or(line).trim();
    let Some((key, value)) = code.split_once(':') else { return false };
    let is_joined = !value.is_empty() && !value.starts_with(char::is_whitespace) && !value.starts_with("//");
    is_joined && !key.is_empty() && !code.contains(": ")
}

fn bracket(kind: &ErrorKind) -> Option<(String, &'static str)> {
    Some(match kind {
        ErrorKind::UnclosedFlowCollection { open } => (format!("the `{open}` is not closed"), closing(*open)),
        ErrorKind::UnexpectedEofFlowSequence => ("a `[` is not closed".to_owned(), closing('[')),
        ErrorKind::UnexpectedEofFlowMapping | ErrorKind::UnexpectedEofImplicitFlowMapping => {
            ("a `{` is not closed".to_owned(), closing('{'))
        }
        ErrorKind::MismatchedFlowCollectionEnd { open, close } => {
            (format!("a `{open}` is closed by `{close}`"), closing(*open))
        }
        ErrorKind::MisplacedFlowCollectionEnd => {
            ("a bracket is closed that was not opened".to_owned(), "take it out, or put the value in quotes")
        }
        ErrorKind::ExpectedFlowMappingSeparator => {
            ("a `,` or a `}` is missing before this".to_owned(), "separate the entries with `,` and close with `}`")
        }
        ErrorKind::ExpectedFlowSequenceSeparator => {
            ("a `,` or a `]` is missing before this".to_owned(), "separate the items with `,` and close with `]`")
        }
        _ => return None,
    })
}

fn closing(open: char) -> &'static str {
    if open == '[' { "close it with `]`" } else { "close it with `}`" }
}

fn quote(kind: &ErrorKind) -> Option<(String, &'static str)> {
    Some(match kind {
        ErrorKind::UnclosedQuotedScalar
        | ErrorKind::DocumentIndicatorInQuotedScalar
        | ErrorKind::InvalidQuotedScalarIndent => {
            ("a quote is not closed".to_owned(), "close it, on the same line if you can")
        }
        ErrorKind::InvalidTrailingSingleQuotedScalar => (
            "text stands behind the closing quote".to_owned(),
            "put the whole value in quotes; a quote inside single quotes is `''`",
        ),
        ErrorKind::InvalidTrailingDoubleQuotedScalar => (
            "text stands behind the closing quote".to_owned(),
            "put the whole value in quotes; a quote inside double quotes is `\\\"`",
        ),
        ErrorKind::UnknownQuotedScalarEscape
        | ErrorKind::InvalidQuotedScalarHexEscape
        | ErrorKind::InvalidUnicodeEscape
        | ErrorKind::InvalidLowSurrogateHexEscape
        | ErrorKind::InvalidLowSurrogate
        | ErrorKind::MissingLowSurrogate
        | ErrorKind::UnpairedLowSurrogate => (
            "this is no escape of double quotes".to_owned(),
            "write `\\\\` for a backslash, or use single quotes, which have no escapes",
        ),
        _ => return None,
    })
}

fn character(kind: &ErrorKind) -> Option<(String, &'static str)> {
    Some(match kind {
        ErrorKind::UnexpectedCharacter { character: '`' } => {
            ("no value begins with a backtick".to_owned(), "put the value in quotes")
        }
        ErrorKind::UnexpectedCharacter { character } => {
            (format!("no value begins with `{}`", character.escape_debug()), "put the value in quotes")
        }
        ErrorKind::MissingAnchorOrAliasName => {
            ("`&` and `*` need a name".to_owned(), "put a value that begins with `&` or `*` in quotes")
        }
        ErrorKind::PlainScalarStartsWithDashFlowIndicator => {
            ("a value begins with `-` and a bracket or comma".to_owned(), "put the value in quotes")
        }
        ErrorKind::DirectiveDisallowed
        | ErrorKind::InvalidDirectiveName
        | ErrorKind::MissingDirectiveName
        | ErrorKind::MissingDocumentEndBeforeDirective => {
            ("a line that begins with `%` is no directive".to_owned(), "put a value that begins with `%` in quotes")
        }
        _ => return None,
    })
}
