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
    let text = source.text.as_str();
    let mut at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    if is_raw {
        raw(source, at, &mut variables, diag);
        return variables;
    }
    loop {
        let rest = text[at..].trim_start();
        at = text.len() - rest.len();
        if rest.is_empty() {
            return variables;
        }
        if rest.starts_with('#') {
            at = line_end(text, at);
            continue;
        }
        let name_at = exported(text, at);
        let (name, separator) = match name(&text[name_at..]) {
            Ok(found) => found,
            Err(help) => {
                let end = line_end(text, at);
                diag.push(no_variable(Span::new(source.id, name_at, end), help));
                at = end;
                continue;
            }
        };
        let Some(separator) = separator else {
            variables.insert(name.to_owned(), None);
            at = line_end(text, name_at);
            continue;
        };
        let chain = Chain { first: lookup, then: &variables, last: earlier };
        match value(text, name_at + separator + 1, &chain) {
            Ok((value, next)) => {
                variables.insert(name.to_owned(), Some(value));
                at = next;
            }
            Err((fault, next)) => {
                let span = Span::new(source.id, name_at, name_at + name.len());
                let message = format!("the value of `{name}` {}", fault.why());
                diag.push(Diagnostic::error(Code::DotenvSyntax, span, message).help(fault.help()).masked());
                at = next;
            }
        }
    }
}

/// Lines `NAME=value` without quotes and variables; a name that stands alone is taken from the environment.
fn raw(source: &Source, from: usize, variables: &mut Variables, diag: &mut Diagnostics) {
    let mut at = from;
    for line in source.text[from..].split_inclusive('\n') {
        let text = line.trim_end_matches(['\n', '\r']);
        let here = Span::new(source.id, at, at + text.len());
        at += line.len();
        if text.trim().is_empty() || text.trim_start().starts_with('#') {
            continue;
        }
        let text = text.trim_start();
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        if name.is_empty() || name.contains(char::is_whitespace) {
            diag.push(no_variable(here, "write NAME=value without spaces before `=`: the file is read as it stands"));
            continue;
        }
        variables.insert(name.to_owned(), value.map(ToOwned::to_owned));
    }
}

fn no_variable(at: Span, help: &str) -> Diagnostic {
    Diagnostic::error(Code::DotenvSyntax, at, "this is not a variable").help(help).masked()
}

/// Returns where a name starts: behind `export`, where that is there.
fn exported(text: &str, at: usize) -> usize {
    let rest = &text[at..];
    match rest.strip_prefix("export") {
        Some(after) if after.starts_with(char::is_whitespace) => text.len() - after.trim_start().len(),
        _ => at,
    }
}

/// Returns the name that a statement starts with, and where the sign behind it is; nothing for one that stands alone.
fn name(text: &str) -> Result<(&str, Option<usize>), &'static str> {
    let is_part = |each: char| each.is_alphanumeric() || matches!(each, '_' | '.' | '-' | '[' | ']');
    let stop = text.char_indices().find(|(_, each)| *each == '\n' || !(is_part(*each) || each.is_whitespace()));
    let (end, separator) = match stop {
        Some((at, '=' | ':')) => (at, Some(at)),
        Some((at, '\n')) => (at, None),
        None => (text.len(), None),
        Some(_) => return Err("write NAME=value; a name has letters, digits and `_.-[]`"),
    };
    let name = text[..end].trim_end();
    if name.contains(char::is_whitespace) {
        Err("write NAME=value; a name holds no space")
    } else {
        Ok((name, separator))
    }
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

/// Returns the value that starts at `from`, and where the next statement starts; the same place with the fault, because the
/// lines of a value that cannot be read are no variables. An open quote takes the rest of the text.
fn value(text: &str, from: usize, lookup: &dyn Lookup) -> Result<(String, usize), (Fault, usize)> {
    let line = line_end(text, from);
    // Blanks of any kind, but for the end of the line.
    let from = from + (text[from..line].len() - text[from..line].trim_start().len());
    let rest = &text[from..];
    let open = (Fault::OpenQuote, text.len());
    // What stands behind the quote is the next statement.
    let after = |close: usize| from + close + 2;
    if let Some(inner) = rest.strip_prefix('\'') {
        let close = closing(inner, b'\'').ok_or(open)?;
        return Ok((inner[..close].replace("\\'", "'"), after(close)));
    }
    if let Some(inner) = rest.strip_prefix('"') {
        let close = closing(inner, b'"').ok_or(open)?;
        let value = expand(&unescape(&inner[..close]), lookup).map_err(|fault| (fault, after(close)))?;
        return Ok((value, after(close)));
    }
    let line = line_end(text, from);
    let written = text[from.min(line)..line].trim_end_matches('\r');
    let cut = written.find(" #").unwrap_or(written.len());
    let value = expand(written[..cut].trim_end(), lookup).map_err(|fault| (fault, line))?;
    Ok((value, line))
}

fn closing(text: &str, quote: u8) -> Option<usize> {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            _ if byte == quote => return Some(at),
            _ => {}
        }
    }
    None
}

/// Resolves `\a`, `\b`, `\f`, `\n`, `\r`, `\t`, `\v`, `\"` and `\\`; `\$` becomes `$$`, which expansion leaves as `$`.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            out.push(character);
            continue;
        }
        match characters.next() {
            Some('a') => out.push('\u{7}'),
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('v') => out.push('\u{b}'),
            Some('0') => {
                let digits: String = characters.clone().take(3).take_while(char::is_ascii_digit).collect();
                characters.by_ref().nth(digits.len().wrapping_sub(1)).filter(|_| !digits.is_empty());
                match u8::from_str_radix(&digits, 8).ok().filter(|_| digits.len() == 3) {
                    Some(byte) => out.push(char::from(byte)),
                    None => out.extend(['\\'].into_iter().chain(digits.chars())),
                }
            }
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
