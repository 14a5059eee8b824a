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
    last: &'c Variables,
}

impl Lookup for Chain<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        let of = |variables: &'_ Variables| variables.get(name).is_some_and(Option::is_some);
        let variables = if of(self.then) { self.then } else { self.last };
        self.first.get(name).or_else(|| variables.get(name).and_then(Option::as_deref))
    }
}

/// Returns the variables of a file; a value may use variables of `lookup`, then those set above it.
///
/// Lines that cannot be read are recorded and left out. Any line may hold a secret: messages never quote a value, and every
/// diagnostic is masked.
pub fn parse(source: &Source, lookup: &dyn Lookup, is_raw: bool, diag: &mut Diagnostics) -> Variables {
    parse_after(source, lookup, &Variables::new(), is_raw, diag)
}

/// The same for a file that comes after others: a value may use their variables too, below those set above it.
pub fn parse_after(
    source: &Source,
    lookup: &dyn Lookup,
    earlier: &Variables,
    is_raw: bool,
    diag: &mut Diagnostics,
) -> Variables {
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
        let chain = Chain { first: lookup, then: &variables, last: earlier };
        match value(&source.text, value_at, &chain) {
            Ok((value, next)) => {
                variables.insert(name.to_owned(), Some(value));
                at = next;
            }
            Err((fault, next)) => {
                let span = here(name_start, name_start + name.len());
                let message = format!("the value of `{name}` {}", fault.why());
                diag.push(Diagnostic::error(Code::DotenvSyntax, span, message).help(fault.help()).masked());
                at = next;
            }
        }
    }
    variables
}

/// Why a value cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    OpenQuote,
    BadTemplate,
    Required,
}

impl Fault {
    fn why(self) -> &'static str {
        match self {
            Fault::OpenQuote => "has a quote that is not closed",
            Fault::BadTemplate => "has a `${` that is no variable",
            Fault::Required => "needs a variable that is not set",
        }
    }

    fn help(self) -> &'static str {
        match self {
            Fault::OpenQuote => "close the quote, or put the value into the other kind of quotes",
            Fault::BadTemplate => "write `${NAME}`, or put a value with a `$` of its own into single quotes",
            Fault::Required => "set the variable in the environment or above this line",
        }
    }
}

fn line_end(text: &str, from: usize) -> usize {
    text[from..].find('\n').map_or(text.len(), |found| from + found)
}

/// Returns the value that starts at `from`, and where the line after it starts; the same place with the fault, because the
/// lines of a value that cannot be read are no variables. An open quote takes the rest of the text.
fn value(text: &str, from: usize, lookup: &dyn Lookup) -> Result<(String, usize), (Fault, usize)> {
    let rest = &text[from..];
    let skipped = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    let rest = &rest[skipped..];
    let from = from + skipped;
    let open = (Fault::OpenQuote, text.len());
    let after = |close: usize| line_end(text, from + close + 2) + 1;
    if let Some(inner) = rest.strip_prefix('\'') {
        let close = inner.find('\'').ok_or(open)?;
        return Ok((inner[..close].to_owned(), after(close)));
    }
    if let Some(inner) = rest.strip_prefix('"') {
        let close = closing(inner).ok_or(open)?;
        let value = expand(&unescape(&inner[..close]), lookup).map_err(|fault| (fault, after(close)))?;
        return Ok((value, after(close)));
    }
    let end = line_end(text, from);
    let line = text[from..end].trim_end_matches('\r');
    let cut = if line.starts_with('#') { 0 } else { line.find(" #").unwrap_or(line.len()) };
    let value = expand(line[..cut].trim_end(), lookup).map_err(|fault| (fault, end + 1))?;
    Ok((value, end + 1))
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

fn expand(text: &str, lookup: &dyn Lookup) -> Result<String, Fault> {
    let template = Template::parse(text).map_err(|_| Fault::BadTemplate)?;
    template.resolve(lookup, &mut |_| {}).map_err(|_| Fault::Required)
}

#[cfg(test)]
mod tests {
    use super::*;
    use claw_types::span::SourceMap;

    fn read(text: &str) -> (Variables, Diagnostics) {
        let mut sources = SourceMap::new();
        let file = sources.add(".env", text);
        let mut diag = Diagnostics::new();
        let none: BTreeMap<String, String> = BTreeMap::new();
        let variables = parse(sources.get(file).expect("added"), &none, false, &mut diag);
        (variables, diag)
    }

    #[test]
    fn no_diagnostic_shows_a_value() {
        for text in [
            "A=\"canary\n",
            "A='canary\nB=\"canary\nC canary\n",
            "A=${canary\n",
            "A=\"${1}\ncanary=${1}\ncanary b\"\n",
            "A=\"${1canary}\"\n",
            "A=${B:?canary}\n",
            "canary is no name\n",
            "=canary\n",
            "A canary=1\n",
        ] {
            let (_, diag) = read(text);
            assert!(diag.has_errors(), "{text}");
            for each in diag.iter() {
                assert!(each.is_masked && each.help.is_some(), "{text}: {each:?}");
                assert!(each.notes.is_empty() && !format!("{each:?}").contains("canary"), "{text}: {each:?}");
            }
        }
    }

    #[test]
    fn an_open_quote_takes_the_rest_of_the_file() {
        let (variables, diag) = read("A=1\nB=\"x\nC=2\nD e=3\n");
        assert_eq!(variables, Variables::from([("A".to_owned(), Some("1".to_owned()))]));
        assert_eq!(diag.iter().count(), 1);
    }
}
