//! What messages may show: no excerpt of a line that holds a secret as text, and where a quoted value came from.
//!
//! Runs once over the findings of a compile, since a finding about one key shows its whole line.

use std::collections::BTreeSet;

use claw_compose::template::{Operator, Template};
use claw_compose::yaml::{Kind, Node};
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::secret::is_secret_name;
use claw_types::span::Span;

use crate::facts::{Context, Facts, PodSpec, declared_secrets, keeps};

/// Masks the findings whose excerpt would show a secret, and names the variables behind the values of the others.
pub(crate) fn amend(spec: &PodSpec, facts: &Facts, cx: &Context<'_>, diag: &mut Diagnostics) {
    if diag.iter().next().is_none() {
        return;
    }
    let trees = spec.trees(facts, cx);
    let mut found = Found { declared: declared_secrets(&trees), secrets: Vec::new(), templates: Vec::new() };
    for tree in &trees {
        found.visit(tree, None, &mut Vec::new());
    }
    diag.amend(|each| {
        let places = || std::iter::once(each.primary).chain(each.notes.iter().filter_map(|(place, _)| *place));
        if places().any(|place| found.shows_secret(place, cx)) {
            each.is_masked = true;
        }
        let is_about_variable = matches!(
            each.code,
            Code::UnsetVariable | Code::RequiredVariable | Code::BadInterpolation | Code::SecretInEnvironment
        );
        if !is_about_variable {
            found.name_variables(each);
        }
    });
}

struct Found {
    declared: BTreeSet<String>,
    /// Scalars that hold a secret as text.
    secrets: Vec<Span>,
    /// Scalars that get values of variables, and these variables.
    templates: Vec<(Span, Vec<String>)>,
}

impl Found {
    fn is_secret(&self, name: &str) -> bool {
        is_secret_name(name) || self.declared.contains(name)
    }

    fn visit(&mut self, node: &Node, key: Option<&str>, path: &mut Vec<String>) {
        match &node.kind {
            Kind::Map(entries) => {
                for entry in entries {
                    path.push(entry.key.clone());
                    self.visit(&entry.value, Some(&entry.key), path);
                    path.pop();
                }
            }
            Kind::Seq(items) => {
                for (index, item) in items.iter().enumerate() {
                    path.push(index.to_string());
                    // `environment: [KEY=value]`, and every other list of that form.
                    let pair = item.scalar().and_then(|scalar| scalar.text.split_once('='));
                    match pair {
                        Some((key, value)) => self.scalar(item.span, Some(key), value, path),
                        None => self.visit(item, None, path),
                    }
                    path.pop();
                }
            }
            Kind::Scalar(scalar) => self.scalar(node.span, key, &scalar.text, path),
        }
    }

    fn scalar(&mut self, span: Span, key: Option<&str>, text: &str, path: &[String]) {
        let Ok(template) = Template::parse(text) else { return self.secrets.push(span) };
        let keys: Vec<&str> = path.iter().map(String::as_str).collect();
        let is_position = matches!(
            keys.as_slice(),
            ["x-claw", "providers", _, "key"]
                | ["x-claw", "policy", "key"]
                | ["x-claw", "cllama-env", ..]
                | ["services", _, "x-claw", "cllama-env", ..]
        );
        let is_secret = is_position || key.is_some_and(|key| self.is_secret(key));
        let (mut names, mut has_default, mut is_mixed) = (Vec::new(), false, false);
        template.visit(&mut |variable| {
            is_mixed |= self.is_secret(&variable.name);
            if let Some((Operator::Default { .. } | Operator::Replace { .. }, operand)) = &variable.operator {
                has_default |= operand.as_literal().is_some_and(|text| !text.is_empty());
            }
            names.push(variable.name.clone());
        });
        let is_text = template.as_literal().is_some_and(|text| !text.is_empty()) || template.pieces().len() > 1;
        if (is_secret && (is_text || has_default)) || (is_mixed && has_default) {
            self.secrets.push(span);
        }
        if !names.is_empty() && !keeps(path) {
            names.sort();
            names.dedup();
            self.templates.push((span, names));
        }
    }

    /// Returns whether the lines of a place hold a secret.
    fn shows_secret(&self, place: Span, cx: &Context<'_>) -> bool {
        if !self.secrets.iter().any(|secret| secret.file == place.file) {
            return false;
        }
        let text = cx.sources.get(place.file).map_or("", |source| source.text.as_str());
        let (start, end) = (place.start as usize, place.end as usize);
        let first = text.get(..start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
        let last = text.get(end..).and_then(|after| after.find('\n')).map_or(text.len(), |at| end + at);
        let overlaps = |secret: &&Span| (secret.start as usize) <= last && (secret.end as usize) >= first;
        self.secrets.iter().filter(|secret| secret.file == place.file).any(|secret| overlaps(&secret))
    }

    fn name_variables(&self, finding: &mut Diagnostic) {
        let place = finding.primary;
        let is_there = |span: Span| {
            span.file == place.file && span.start <= place.start && place.end <= span.end && span.start < span.end
        };
        let Some((_, names)) = self.templates.iter().find(|(span, _)| is_there(*span)) else { return };
        let names = names.join("`, `");
        let word = if names.contains('`') { "variables" } else { "variable" };
        finding.notes.push((None, format!("the text here comes from the {word} `{names}`")));
    }
}
