//! Directives as labels, and labels as directives: the one table of the `claw.*` labels of an image.

use std::collections::BTreeMap;

use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::id::{ModelSlot, ProxyType};
use claw_types::image::label;
use claw_types::platform::Platform;
use claw_types::span::{Span, Spanned};

use super::directive::{Directive, is_model, surface};

/// A directive, and the label it was read from, where it does not stand in a Clawfile of this pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// The directive.
    pub value: Directive,
    /// Its place: in the Clawfile, or where the pod file names the image.
    pub span: Span,
    /// The label.
    pub label: Option<String>,
}

impl From<Spanned<Directive>> for Declared {
    fn from(directive: Spanned<Directive>) -> Self {
        Self { value: directive.value, span: directive.span, label: None }
    }
}

/// Returns a finding with a note that names the label it is about, where it is about one.
pub(crate) fn noted(diagnostic: Diagnostic, label: Option<&str>) -> Diagnostic {
    match label {
        Some(label) => diagnostic.note(format!("the image's label `{label}` says so")),
        None => diagnostic,
    }
}

/// Returns the labels of directives. Numbers count from 0 in the order written.
pub fn write<'d>(directives: impl IntoIterator<Item = &'d Directive>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut slots: BTreeMap<&ModelSlot, usize> = BTreeMap::new();
    for directive in directives {
        let mut next = |kind: &'static str| {
            let count = counts.entry(kind).or_default();
            *count += 1;
            format!("claw.{kind}.{}", *count - 1)
        };
        let (key, value) = match directive {
            Directive::ClawType(runtime) => (label::TYPE.to_owned(), runtime.clone()),
            Directive::Agent(file) => ("claw.agent.file".to_owned(), file.clone()),
            Directive::Persona(persona) => ("claw.persona.default".to_owned(), persona.clone()),
            Directive::Model { slot, model } => {
                let count = slots.entry(slot).or_default();
                *count += 1;
                let number = if *count == 1 { String::new() } else { format!(".{}", *count - 1) };
                (format!("claw.model.{slot}{number}"), model.clone())
            }
            Directive::Cllama(kind) => (next("cllama"), kind.to_string()),
            Directive::Handle(platform) => (format!("claw.handle.{platform}"), "true".to_owned()),
            Directive::Surface(surface) => (next("surface"), surface.text()),
            Directive::Skill(file) => (next("skill"), file.clone()),
            Directive::Invoke { schedule, message } => (next("invoke"), format!("{schedule}\t{message}")),
            Directive::Privilege { mode, spec } => (format!("claw.privilege.{mode}"), spec.clone()),
            Directive::Configure { runtime, path, value } => {
                (next("configure"), format!("{runtime} config set {path} {value}"))
            }
            Directive::Track(manager) => (next("track"), manager.clone()),
            Directive::Act(command) => (next("act"), command.clone()),
        };
        labels.insert(key, value);
    }
    labels
}

/// Returns the directives that an image's labels stand for; each at `span`, the place that names the image.
pub fn read(labels: &BTreeMap<String, String>, span: Span, diag: &mut Diagnostics) -> Vec<Declared> {
    let mut found: Vec<((&str, usize), &str, Directive)> = Vec::new();
    for (key, value) in labels {
        let Some(rest) = key.strip_prefix("claw.") else { continue };
        let (kind, name) = rest.split_once('.').unwrap_or((rest, ""));
        if rest == "skill.emit" {
            continue;
        }
        let number = name.parse::<usize>();
        let directive = match (kind, &number) {
            ("type", _) => Some(Directive::ClawType(value.clone())),
            ("agent", _) if name == "file" => Some(Directive::Agent(value.clone())),
            ("persona", _) if name == "default" => Some(Directive::Persona(value.clone())),
            ("model", _) => model(name, value),
            ("handle", _) if !matches!(value.as_str(), "true" | "1") => continue,
            ("handle", _) => Platform::parse(name).map(Directive::Handle),
            ("privilege", _) => Some(Directive::Privilege { mode: name.to_owned(), spec: value.clone() }),
            ("cllama", Ok(_)) => ProxyType::parse(value).ok().map(Directive::Cllama),
            ("surface", Ok(_)) => surface(value, span).ok().map(Directive::Surface),
            ("skill", Ok(_)) => Some(Directive::Skill(value.clone())),
            ("invoke", Ok(_)) => invoke(value),
            ("configure", Ok(_)) => configure(value),
            ("track", Ok(_)) => Some(Directive::Track(value.clone())),
            ("act", Ok(_)) => Some(Directive::Act(value.clone())),
            _ => continue,
        };
        match directive {
            Some(directive) => found.push(((kind, number.unwrap_or(order(name))), key, directive)),
            None => {
                let message = format!("the image's label `{key}` cannot be read");
                let error = Diagnostic::error(Code::BadLabel, span, message);
                let error = error.note(format!("the label `{key}` is `{value}`"));
                diag.push(
                    error.help("build the image again with this claw, or set the label to what its directive takes"),
                );
            }
        }
    }
    found.sort_by(|left, right| left.0.cmp(&right.0));
    found.into_iter().map(|(_, key, value)| Declared { value, span, label: Some(key.to_owned()) }).collect()
}

/// `fallback.2` comes after `fallback` and `fallback.1`.
fn order(name: &str) -> usize {
    name.rsplit_once('.').and_then(|(_, number)| number.parse().ok()).unwrap_or(0)
}

fn model(name: &str, value: &str) -> Option<Directive> {
    let slot = match name.rsplit_once('.') {
        Some((slot, number)) if number.parse::<usize>().is_ok() => slot,
        _ => name,
    };
    let slot = ModelSlot::parse(slot).ok()?;
    if is_model(value) { Some(Directive::Model { slot, model: value.to_owned() }) } else { None }
}

fn invoke(value: &str) -> Option<Directive> {
    let (schedule, message) = value.split_once('\t')?;
    super::schedule::check(schedule).ok()?;
    Some(Directive::Invoke { schedule: schedule.to_owned(), message: message.to_owned() })
}

fn configure(value: &str) -> Option<Directive> {
    let mut words = value.splitn(5, ' ');
    let runtime = words.next()?.to_owned();
    if (words.next()?, words.next()?) != ("config", "set") {
        return None;
    }
    let (path, value) = (words.next()?.to_owned(), words.next()?.to_owned());
    let is_set = !runtime.is_empty() && !path.is_empty() && !value.is_empty();
    is_set.then_some(Directive::Configure { runtime, path, value })
}
