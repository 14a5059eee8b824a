//! Directives as labels, and labels as directives: the one table of the `claw.*` labels of an image.

use std::collections::BTreeMap;

use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::doc::is_break;
use claw_types::id::{ModelSlot, ProxyType};
use claw_types::image::label;
use claw_types::platform::Platform;
use claw_types::span::{Span, Spanned};

use super::directive::{Directive, MANAGERS, MODES, is_endpoint, is_model, surface};

/// The longest value of a label, in bytes, and the most labels of claw's in an image: no Clawfile that people write needs more.
const VALUE_LIMIT: usize = 64 * 1024;
const LABEL_LIMIT: usize = 1000;

/// Kinds of labels that are numbered from 0.
const NUMBERED: &[&str] = &["cllama", "surface", "skill", "invoke", "configure", "track", "act"];

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
        // What an image says cannot be changed in a file of the pod.
        Some(label) => diagnostic.by_hand().note(format!("the image's label `{label}` says so")),
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
///
/// Whoever made the image wrote them: a label that no directive could have become is an error.
pub fn read(labels: &BTreeMap<String, String>, image: &str, span: Span, diag: &mut Diagnostics) -> Vec<Declared> {
    let mut found: Vec<((&str, usize), &str, Directive)> = Vec::new();
    let count = labels.keys().filter(|key| key.starts_with("claw.")).count();
    if count > LABEL_LIMIT {
        let message = format!("the image `{image}` has {count} labels `claw.*`, and claw reads {LABEL_LIMIT}");
        diag.push(Diagnostic::error(Code::BadLabel, span, message).help("take another image"));
        return Vec::new();
    }
    for (key, value) in labels {
        let Some(rest) = key.strip_prefix("claw.") else { continue };
        let (kind, name) = rest.split_once('.').unwrap_or((rest, ""));
        let number = number(name);
        let directive = match (kind, number) {
            _ if !is_text(value) => None,
            ("skill", _) if name == "emit" => continue,
            ("mcp", _) if rest == kind && is_endpoint(value) => continue,
            ("mcp", _) if rest == kind => None,
            ("mcp", _) if name == "tools" => continue,
            ("openapi", _) if rest == kind => continue,
            ("type", _) => Some(Directive::ClawType(value.clone())),
            ("agent", _) if name == "file" => Some(Directive::Agent(value.clone())),
            ("persona", _) if name == "default" => Some(Directive::Persona(value.clone())),
            ("model", _) => model(name, value),
            ("handle", _) if !matches!(value.as_str(), "true" | "1") => continue,
            ("handle", _) => Platform::parse(name).map(Directive::Handle),
            ("privilege", _) if !MODES.contains(&name) => None,
            ("privilege", _) => Some(Directive::Privilege { mode: name.to_owned(), spec: value.clone() }),
            ("cllama", Some(_)) => ProxyType::parse(value).ok().map(Directive::Cllama),
            ("surface", Some(_)) => surface(value, span).ok().map(Directive::Surface),
            ("skill", Some(_)) => Some(Directive::Skill(value.clone())),
            ("invoke", Some(_)) => invoke(value),
            ("configure", Some(_)) => configure(value),
            ("track", Some(_)) if !MANAGERS.contains(&value.as_str()) => None,
            ("track", Some(_)) => Some(Directive::Track(value.clone())),
            ("act", Some(_)) => Some(Directive::Act(value.clone())),
            // Not `01`, `+1`, `٣`: two such labels would be one number.
            _ if NUMBERED.contains(&kind) && name.contains(char::is_numeric) => None,
            _ => continue,
        };
        match directive {
            Some(directive) => found.push(((kind, number.unwrap_or(order(name))), key, directive)),
            None => {
                let message = format!("the label `{key}` of the image `{image}` cannot be read");
                let error = Diagnostic::error(Code::BadLabel, span, message);
                let error = error.note(format!("the label is `{value}`"));
                diag.push(
                    error.help("build the image again with this claw, or set the label to what its directive takes"),
                );
            }
        }
    }
    found.sort_by(|left, right| left.0.cmp(&right.0));
    found.into_iter().map(|(_, key, value)| Declared { value, span, label: Some(key.to_owned()) }).collect()
}

/// Returns whether a value is what a line of a Clawfile can hold: no control characters, none that turn the direction of text.
fn is_text(value: &str) -> bool {
    let turns = |each: char| matches!(each, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let is_bad = |each: char| (each.is_control() && each != '\t') || is_break(each) || turns(each);
    value.len() <= VALUE_LIMIT && !value.contains(is_bad)
}

/// Returns a number as claw writes it: digits, none of them superfluous.
fn number(name: &str) -> Option<usize> {
    name.parse::<usize>().ok().filter(|number| number.to_string() == name)
}

/// `fallback.2` comes after `fallback` and `fallback.1`.
fn order(name: &str) -> usize {
    name.rsplit_once('.').and_then(|(_, number)| number.parse().ok()).unwrap_or(0)
}

fn model(name: &str, value: &str) -> Option<Directive> {
    let slot = match name.rsplit_once('.') {
        Some(("fallback", count)) if number(count).is_some_and(|count| count > 0) => "fallback",
        _ => name,
    };
    let slot = ModelSlot::parse(slot).ok()?;
    if is_model(value) { Some(Directive::Model { slot, model: value.to_owned() }) } else { None }
}

fn invoke(value: &str) -> Option<Directive> {
    let (schedule, message) = value.split_once('\t')?;
    super::schedule::check(schedule).ok()?;
    let message = Some(message.trim()).filter(|message| !message.is_empty())?;
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
