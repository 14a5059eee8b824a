//! Interpolation: `$VAR` and `${VAR…}` in a scalar, parsed once, resolved as often as needed.
//!
//! The forms are compose's (observed with docker compose 2.26.1 and 2.40.3): six operators, operands that are templates
//! themselves and are evaluated whether they are used or not, `$$` for `$`, and a `$` before anything that is no name is
//! itself.

use std::fmt;

/// Where values of variables come from.
pub trait Lookup {
    /// Returns the value of a variable, where it is set; an empty value is set.
    fn get(&self, name: &str) -> Option<&str>;
}

impl Lookup for std::collections::BTreeMap<String, String> {
    fn get(&self, name: &str) -> Option<&str> {
        std::collections::BTreeMap::get(self, name).map(String::as_str)
    }
}

/// A scalar with variables in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Template {
    pieces: Vec<Piece>,
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Piece {
    /// Text.
    Literal(String),
    /// A variable.
    Variable(Variable),
}

/// A variable in a template.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// What follows the name.
    pub operator: Option<(Operator, Template)>,
    /// The bytes of the scalar's text it covers, `$` included.
    pub range: (usize, usize),
}

/// What follows a variable's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operator {
    /// `-`, or `:-` where empty counts as unset: a default.
    Default {
        /// With a colon.
        or_empty: bool,
    },
    /// `?`, or `:?`: an error where unset.
    Required {
        /// With a colon.
        or_empty: bool,
    },
    /// `+`, or `:+`: a replacement where set.
    Replace {
        /// With a colon.
        or_empty: bool,
    },
}

impl Operator {
    fn text(self) -> &'static str {
        match self {
            Operator::Default { or_empty: true } => ":-",
            Operator::Default { or_empty: false } => "-",
            Operator::Required { or_empty: true } => ":?",
            Operator::Required { or_empty: false } => "?",
            Operator::Replace { or_empty: true } => ":+",
            Operator::Replace { or_empty: false } => "+",
        }
    }
}

/// A `${…}` that is none; bytes of the scalar's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadTemplate {
    /// First byte of what cannot be read.
    pub start: usize,
    /// One past its last byte.
    pub end: usize,
}

/// Why a template has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Required {
    /// The variable that is not set.
    pub name: String,
    /// What its author says about that; may be empty.
    pub message: String,
}

/// The deepest nesting of operands.
const DEPTH_LIMIT: usize = 50;

impl Template {
    /// Returns the template of a text.
    ///
    /// # Errors
    /// Where a `${` does not begin one of compose's forms.
    pub fn parse(text: &str) -> Result<Self, BadTemplate> {
        parse(text, 0, 0)
    }

    /// Returns a template without variables; `$` in the text is itself.
    pub fn literal(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { pieces: if text.is_empty() { Vec::new() } else { vec![Piece::Literal(text)] } }
    }

    /// Returns the parts in order.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Returns the text, where the template has no variable.
    pub fn as_literal(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [] => Some(""),
            [Piece::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// Returns the variable, where the template is one and nothing else.
    pub fn as_variable(&self) -> Option<&Variable> {
        match self.pieces.as_slice() {
            [Piece::Variable(variable)] => Some(variable),
            _ => None,
        }
    }

    /// Returns the value; calls `unset` for each variable that is not set and has no operator.
    ///
    /// # Errors
    /// Where a required variable is not set.
    pub fn resolve(&self, lookup: &dyn Lookup, unset: &mut dyn FnMut(&Variable)) -> Result<String, Required> {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => out.push_str(text),
                Piece::Variable(variable) => out.push_str(&variable.resolve(lookup, unset)?),
            }
        }
        Ok(out)
    }

    /// Returns the template with the values of the variables that `value` knows; the others stay variables.
    pub fn substitute(&self, value: &dyn Fn(&str) -> Option<String>) -> Template {
        let mut pieces = Vec::new();
        for piece in &self.pieces {
            let Piece::Variable(variable) = piece else {
                pieces.push(piece.clone());
                continue;
            };
            let operand = variable.operator.as_ref().map(|(operator, operand)| (*operator, operand.substitute(value)));
            let Some(known) = value(&variable.name) else {
                pieces.push(Piece::Variable(Variable { operator: operand, ..variable.clone() }));
                continue;
            };
            let is_set = |or_empty: bool| !(or_empty && known.is_empty());
            match operand {
                Some((Operator::Default { or_empty }, operand)) if !is_set(or_empty) => pieces.extend(operand.pieces),
                Some((Operator::Replace { or_empty }, operand)) => {
                    pieces.extend(if is_set(or_empty) { operand.pieces } else { Vec::new() });
                }
                _ => pieces.push(Piece::Literal(known)),
            }
        }
        Template { pieces }
    }

    /// Calls `visit` for each variable, those in operands included.
    pub fn visit(&self, visit: &mut dyn FnMut(&Variable)) {
        for piece in &self.pieces {
            if let Piece::Variable(variable) = piece {
                visit(variable);
                if let Some((_, operand)) = &variable.operator {
                    operand.visit(visit);
                }
            }
        }
    }
}

impl Variable {
    fn resolve(&self, lookup: &dyn Lookup, unset: &mut dyn FnMut(&Variable)) -> Result<String, Required> {
        let value = lookup.get(&self.name);
        let Some((operator, operand)) = &self.operator else {
            if value.is_none() {
                unset(self);
            }
            return Ok(value.unwrap_or_default().to_owned());
        };
        let operand = operand.resolve(lookup, unset)?;
        let set = |or_empty: bool| value.filter(|value| !(or_empty && value.is_empty()));
        match *operator {
            Operator::Default { or_empty } => Ok(set(or_empty).map_or(operand, ToOwned::to_owned)),
            Operator::Required { or_empty } => set(or_empty)
                .map(ToOwned::to_owned)
                .ok_or_else(|| Required { name: self.name.clone(), message: operand }),
            Operator::Replace { or_empty } => Ok(set(or_empty).map(|_| operand).unwrap_or_default()),
        }
    }
}

impl fmt::Display for Template {
    /// Writes the template as a compose file has it: `$` in text doubled.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => f.write_str(&text.replace('$', "$$"))?,
                Piece::Variable(Variable { name, operator: None, .. }) => write!(f, "${{{name}}}")?,
                Piece::Variable(Variable { name, operator: Some((operator, operand)), .. }) => {
                    write!(f, "${{{name}{}{operand}}}", operator.text())?;
                }
            }
        }
        Ok(())
    }
}

fn parse(text: &str, base: usize, depth: usize) -> Result<Template, BadTemplate> {
    let mut template = Template::default();
    let mut literal = String::new();
    let mut at = 0;
    while let Some(dollar) = text[at..].find('$').map(|found| at + found) {
        literal.push_str(&text[at..dollar]);
        let rest = &text[dollar + 1..];
        let (variable, end) = if rest.starts_with('$') {
            literal.push('$');
            at = dollar + 2;
            continue;
        } else if let Some(inner) = rest.strip_prefix('{') {
            let bad = |length: usize| BadTemplate { start: base + dollar, end: base + dollar + length };
            let close = closing(inner).ok_or_else(|| bad(text.len() - dollar))?;
            if depth > DEPTH_LIMIT {
                return Err(bad(close + 3));
            }
            let inner = &inner[..close];
            let name = name_of(inner).ok_or_else(|| bad(close + 3))?;
            let operand_base = base + dollar + 2;
            let operator = operator_of(&inner[name.len()..], operand_base + name.len(), depth)?;
            let operator = operator.ok_or_else(|| bad(close + 3))?;
            let end = dollar + close + 3;
            let range = (base + dollar, base + end);
            (Variable { name: name.to_owned(), operator, range }, end)
        } else if let Some(name) = name_of(rest) {
            let end = dollar + 1 + name.len();
            let range = (base + dollar, base + end);
            (Variable { name: name.to_owned(), operator: None, range }, end)
        } else {
            literal.push('$');
            at = dollar + 1;
            continue;
        };
        if !literal.is_empty() {
            template.pieces.push(Piece::Literal(std::mem::take(&mut literal)));
        }
        template.pieces.push(Piece::Variable(variable));
        at = end;
    }
    literal.push_str(&text[at..]);
    if !literal.is_empty() {
        template.pieces.push(Piece::Literal(literal));
    }
    Ok(template)
}

/// Returns where the brace that closes this text's `{` stands, inner pairs skipped.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 0 => return Some(at),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn name_of(text: &str) -> Option<&str> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let length = text.bytes().take_while(|byte| is_name(*byte)).count();
    let starts = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if starts { Some(&text[..length]) } else { None }
}

type Operated = Option<(Operator, Template)>;

/// Returns what follows a name inside braces; nothing where it is no operator.
fn operator_of(text: &str, base: usize, depth: usize) -> Result<Option<Operated>, BadTemplate> {
    if text.is_empty() {
        return Ok(Some(None));
    }
    let (or_empty, rest) = match text.strip_prefix(':') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let operator = match rest.bytes().next() {
        Some(b'-') => Operator::Default { or_empty },
        Some(b'?') => Operator::Required { or_empty },
        Some(b'+') => Operator::Replace { or_empty },
        _ => return Ok(None),
    };
    let operand = parse(&rest[1..], base + (text.len() - rest.len()) + 1, depth + 1)?;
    Ok(Some(Some((operator, operand))))
}
