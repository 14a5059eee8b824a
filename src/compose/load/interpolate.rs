//! The pass that puts values for variables, before anything is typed.

use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::span::{Source, Span};

use super::files::Scope;
use crate::shape::Decoder;
use crate::template::{BadTemplate, Operator, Template, Variable};
use crate::trail::Trail;
use crate::yaml::{Kind, Node};

/// A variable that a document names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariableUse {
    /// Its name.
    pub name: String,
    /// The keys that lead to the scalar.
    pub path: Vec<String>,
    /// Where the scalar stands.
    pub span: Span,
    /// It has a default, a replacement or a message of its own.
    pub has_operator: bool,
}

/// Returns every variable that a tree names, in the order of the text.
pub fn variables(tree: &Node) -> Vec<VariableUse> {
    let mut uses = Vec::new();
    walk(tree, &mut Trail::default(), &mut |node, text, path| {
        if let Ok(template) = Template::parse(text) {
            template.visit(&mut |variable: &Variable| {
                let is_kept = matches!(&variable.operator, Some((Operator::Required { .. }, _)) | None);
                uses.push(VariableUse {
                    name: variable.name.clone(),
                    path: path.to_vec(),
                    span: node.span,
                    has_operator: !is_kept,
                });
            });
        }
    });
    uses
}

fn walk(node: &Node, path: &mut Trail, visit: &mut dyn FnMut(&Node, &str, &[String])) {
    match &node.kind {
        Kind::Scalar(scalar) if scalar.text.contains('$') => visit(node, &scalar.text, path.keys()),
        Kind::Scalar(_) => {}
        Kind::Seq(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push_index(index);
                walk(item, path, visit);
                path.pop();
            }
        }
        Kind::Map(entries) => {
            for entry in entries {
                path.push(&entry.key);
                walk(&entry.value, path, visit);
                path.pop();
            }
        }
    }
}

/// A variable without value and without default, taken as empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unset {
    /// Its name.
    pub name: String,
    /// The keys that lead to the scalar in its file.
    pub path: Vec<String>,
    /// The scalar.
    pub scalar: Span,
    /// The variable in it.
    pub span: Span,
}

/// What the pass needs.
pub(crate) struct Interpolation<'i> {
    pub(crate) source: &'i Source,
    pub(crate) scope: &'i Scope<'i>,
    /// Scalars at these paths and places keep their variables.
    pub(crate) keep: &'i dyn Fn(&[String], Span) -> bool,
    pub(crate) unset: &'i mut Vec<Unset>,
}

impl Interpolation<'_> {
    /// Puts values into every scalar of the tree.
    pub(crate) fn run(&mut self, node: &mut Node, path: &mut Trail, diag: &mut Diagnostics) {
        match &mut node.kind {
            Kind::Seq(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    path.push_index(index);
                    self.run(item, path, diag);
                    path.pop();
                }
            }
            Kind::Map(entries) => {
                for entry in entries {
                    path.push(&entry.key);
                    self.run(&mut entry.value, path, diag);
                    path.pop();
                }
            }
            Kind::Scalar(scalar) => {
                if !scalar.text.contains('$') {
                    return;
                }
                let value = match (self.keep)(path.keys(), node.span) {
                    true => self.own(&scalar.text),
                    false => self.scalar(&scalar.text, node.span, path.keys(), diag),
                };
                if let Some(text) = value {
                    scalar.text = text;
                    // What came out of a variable is text, and a number or a boolean only where the schema wants one.
                    scalar.is_plain = false;
                }
            }
        }
    }

    /// Returns a scalar that keeps its variables, but for those whose value is this file's alone.
    fn own(&self, text: &str) -> Option<String> {
        self.scope.own?;
        let template = Template::parse(text).ok()?;
        Some(template.substitute(&|name| self.scope.own(name).map(ToOwned::to_owned)).to_string())
    }

    fn scalar(&mut self, text: &str, span: Span, path: &[String], diag: &mut Diagnostics) -> Option<String> {
        let template = match Template::parse(text) {
            Ok(template) => template,
            Err(bad) => {
                let at = inside(self.source, span, text, bad.start, bad.end);
                diag.push(bad_form(text, bad, at));
                return None;
            }
        };
        let mut unset = Vec::new();
        let value = template.resolve(self.scope, &mut |variable| unset.push((variable.name.clone(), variable.range)));
        for (name, range) in unset {
            let at = inside(self.source, span, text, range.0, range.1);
            self.unset.push(Unset { name, path: path.to_vec(), scalar: span, span: at });
        }
        match value {
            Ok(value) => Some(value),
            Err(required) => {
                let why = if required.message.is_empty() { String::new() } else { format!(": {}", required.message) };
                let message = format!("required variable `{}` is not set{why}", required.name);
                let help = format!("set `{}` in the environment or in `.env`", required.name);
                diag.push(Diagnostic::error(Code::RequiredVariable, span, message).help(help));
                None
            }
        }
    }
}

/// Returns the place of a part of a scalar, where the scalar is written as it reads; else of the whole scalar.
fn inside(source: &Source, span: Span, text: &str, start: usize, end: usize) -> Span {
    let written = source.text.get(span.start as usize..span.end as usize).unwrap_or("");
    let quote = usize::from(written.starts_with(['"', '\'']));
    if written.get(quote..).is_some_and(|inner| inner.starts_with(text)) {
        let base = span.start as usize + quote;
        return Span::new(span.file, base + start, base + end);
    }
    span
}

fn bad_form(text: &str, bad: BadTemplate, at: Span) -> Diagnostic {
    let form = text.get(bad.start..bad.end).unwrap_or(text);
    Diagnostic::error(Code::BadInterpolation, at, format!("`{form}` is not a variable"))
        .help("write `${NAME}`, `${NAME:-default}`, `${NAME:?message}` or `${NAME:+value}`; a `$` of its own is `$$`")
}

/// Records that a kept scalar cannot be read.
pub(crate) fn bad_template(node: &Node, text: &str, cx: &mut Decoder<'_>) {
    if let Err(bad) = Template::parse(text) {
        cx.push(bad_form(text, bad, node.span));
    }
}
