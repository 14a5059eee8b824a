//! The grammar of `.env` and `env_file`, as compose reads it (observed with 2.26.1 and 2.40.3).

use std::collections::BTreeMap;

use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::span::{Source, Span};

use crate::template::{Lookup, Template};

/// What a file sets: a value, or nothing where the name stands alone and is taken from the environment.
pub type Variables = BTreeMap<String, Option<String>>;

struct Chain<'c> {
    first: &'c dyn Lookup,
    then: &'c Variables,
}

impl Lookup for Chain<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.first.get(name).or_else(|| self.then.get(name).and_then(Option::as_deref))
    }
}

/// Returns the variables of a file; a value may use variables of `lookup`, then those set above it.
///
/// Lines that cannot be read are recorded and left out. Messages never quote a value.
pub fn parse(source: &Source, lookup: &dyn Lookup, is_raw: bool, diag: &mut Diagnostics) -> Variables {
    let mut variables = Variables::new();
    let text = source.text.strip_prefix('\u{feff}').unwrap_or(&source.text);
    let mut at = source.text.len() - text.len();
    while at < source.text.len() {
        let end = line_end(&source.text, at);
        let line = source.text[at..end].trim_end_matches('\r');
        let here = |from: usize, to: usize| Span::new(source.id, from, to);
        let trimmed = line.trim_start();
        let start = at + (line.len() - trimmed.len());
        if trimmed.is_empty() || trimmed.starts_with('#') {
            at = end + 1;
            continue;
        }
        let bare = trimmed.strip_prefix("export ").map_or(trimmed, str::trim_start);
        let name_start = start + (trimmed.len() - bare.len());
        let separator = bare.find(['=', ':']);
        let name = separator.map_or(bare, |found| &bare[..found]).trim_end();
        if name.is_empty() || name.contains(char::is_whitespace) {
            diag.push(
                Diagnostic::error(Code::DotenvSyntax, here(name_start, at + line.len()), "this is not a variable")
                    .help("write NAME=value; a name holds no space")
                    .masked(),
            );
            at = end + 1;
            continue;
        }
        let Some(separator) = separator else {
            variables.insert(name.to_owned(), None);
            at = end + 1;
            continue;
        };
        let value_at = name_start + separator + 1;
        if is_raw {
            variables.insert(name.to_owned(), Some(source.text[value_at..at + line.len()].to_owned()));
            at = end + 1;
            continue;
        }
        let chain = Chain { first: lookup, then: &variables };
        match value(&source.text, value_at, &chain) {
            Ok((value, next)) => {
                variables.insert(name.to_owned(), Some(value));
                at = next;
            }
            Err(why) => {
                let span = here(name_start, name_start + name.len());
                let message = format!("the value of `{name}` {why}");
                diag.push(Diagnostic::error(Code::DotenvSyntax, span, message));
                at = end + 1;
            }
        }
    }
    variables
}

fn line_end(text: &str, from: usize) -> usize {
    text[from..].find('\n').map_or(text.len(), |found| from + found)
}

/// Returns the value that starts at `from`, and where the next line starts.
fn value(text: &str, from: usize, lookup: &dyn Lookup) -> Result<(String, usize), &'static str> {
    let rest = &text[from..];
    let skipped = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    let rest = &rest[skipped..];
    let from = from + skipped;
    if let Some(inner) = rest.strip_prefix('\'') {
        let close = inner.find('\'').ok_or("has a quote that is not closed")?;
        return Ok((inner[..close].to_owned(), line_end(text, from + close + 2) + 1));
    }
    if let Some(inner) = rest.strip_prefix('"') {
        let close = closing(inner).ok_or("has a quote that is not closed")?;
        let value = expand(&unescape(&inner[..close]), lookup)?;
        return Ok((value, line_end(text, from + close + 2) + 1));
    }
    let end = line_end(text, from);
    let line = text[from..end].trim_end_matches('\r');
    let cut = if line.starts_with('#') { 0 } else { line.find(" #").unwrap_or(line.len()) };
    Ok((expand(line[..cut].trim_end(), lookup)?, end + 1))
}

fn closing(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return Some(at),
            _ => {}
        }
    }
    None
}

/// Resolves `\n`, `\t`, `\r`, `\"` and `\\`; `\$` becomes `$$`, which expansion leaves as `$`.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            out.push(character);
            continue;
        }
        match characters.next() {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('$') => out.push_str("$$"),
            Some(other @ ('"' | '\\')) => out.push(other),
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    out
}

fn expand(text: &str, lookup: &dyn Lookup) -> Result<String, &'static str> {
    let template = Template::parse(text).map_err(|_| "has a `${` that is no variable")?;
    template.resolve(lookup, &mut |_| {}).map_err(|_| "needs a variable that is not set")
}
