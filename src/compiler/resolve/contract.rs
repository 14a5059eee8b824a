//! An agent's contract and its operator's skills: files of the pod, each usable or an error. No contract, no start.

use std::collections::{BTreeMap, BTreeSet};

use claw_types::agent::{Contract, Reference, Section, SectionMode, Skill, SkillOrigin, Surface};
use claw_types::diag::{Code, Diagnostic, Diagnostics, Reported};
use claw_types::doc::{line, plain};
use claw_types::id::SkillName;
use claw_types::path::PodPath;
use claw_types::persona::{Artifact, Persona, PersonaSource};
use claw_types::span::{Source, Span};

use super::Row;
use super::manual::{self, FILE_LIMIT, is_empty};
use super::trace::{Origin, Skills};
use crate::clawfile::Directive;
use crate::clawfile::label::{Declared, noted};
use crate::emit::view::service_skill;
use crate::facts::{Context, Facts, FileFact, Need, PersonaFact};
use crate::pod::{AgentBlock, Include};

/// Returns the files a service's contract and skills need.
pub(crate) fn needs(block: &AgentBlock, directives: &[Declared]) -> BTreeSet<Need> {
    let from_image = directives.iter().filter_map(|each| match &each.value {
        Directive::Agent(file) if block.agent.is_none() => Some(file.as_str()),
        Directive::Skill(file) => Some(file.as_str()),
        _ => None,
    });
    let includes = block.include.iter().filter_map(|include| include.file.as_deref());
    let skills = block.skills.0.iter().map(|file| file.value.as_str());
    let own = block.agent.as_deref().into_iter().chain(skills).chain(includes);
    let files = own.chain(from_image).filter_map(|file| PodPath::parse(file).ok()).map(Need::File);
    files.chain(persona_need(block, directives)).collect()
}

/// A file as it is named: its path as written, where, and by which label of an image.
struct Named<'n> {
    file: &'n str,
    what: &'static str,
    at: Span,
    label: Option<&'n str>,
}

impl Named<'_> {
    /// Returns where it comes from; `word` is the key or the directive.
    fn origin(&self, word: &str) -> Origin {
        let by = self.label.map_or_else(|| word.to_owned(), |label| format!("label {label}"));
        Origin { by, at: self.at, file: Some(self.file.to_owned()) }
    }
}

/// Returns a file of the pod that has something to say.
fn source<'c>(
    named: &Named<'_>,
    facts: &Facts,
    cx: &Context<'c>,
    diag: &mut Diagnostics,
) -> Result<&'c Source, Reported> {
    let mut unusable = |code: Code, why: &str| {
        let help = "the file must be a text file inside the pod's directory";
        let error = Diagnostic::error(code, named.at, format!("the {} `{}` {why}", named.what, named.file));
        Err(diag.report(noted(error.help(help), named.label)))
    };
    let path = match PodPath::parse(named.file) {
        Ok(path) => path,
        Err(bad) => return unusable(Code::UnusableFile, &bad.to_string()),
    };
    match facts.files.get(&path) {
        Some(FileFact::Text(id)) => match cx.sources.get(*id) {
            Some(source) if source.text.len() > FILE_LIMIT => {
                unusable(Code::UnusableFile, &format!("is longer than {} KiB", FILE_LIMIT / 1024))
            }
            Some(source) if !is_empty(&source.text) => Ok(source),
            Some(_) | None => unusable(Code::UnusableFile, "is empty"),
        },
        Some(FileFact::NotRegular) => unusable(Code::UnusableFile, "is not a regular file"),
        Some(FileFact::NotText) => unusable(Code::UnusableFile, "is not UTF-8 text"),
        Some(FileFact::Outside) => unusable(Code::UnusableFile, "leads out of the pod's directory"),
        Some(FileFact::Missing) | None => unusable(Code::MissingFile, "does not exist"),
    }
}

/// Returns the contract of an agent: its file, then its includes.
pub(crate) fn contract(
    row: &Row<'_>,
    facts: &Facts,
    cx: &Context<'_>,
    diag: &mut Diagnostics,
) -> Result<Contract, Reported> {
    let mark = diag.mark();
    let declared = row.directives().find_map(|each| match &each.value {
        Directive::Agent(file) => Some(Named { file, what: "contract", at: each.span, label: each.label.as_deref() }),
        _ => None,
    });
    let at = row.block.origin.of("agent", row.at);
    let own = row.block.agent.as_deref().map(|file| Named { file, what: "contract", at, label: None });
    let Some(named) = own.or(declared) else {
        let error = Diagnostic::error(Code::MissingContract, row.at, format!("`{}` has no contract", row.service));
        return Err(diag.report(error.help("add `AGENT <file>` to its Clawfile, or `agent: <file>` to its `x-claw`")));
    };
    let mut contract = Contract::default();
    let file = named.file.to_owned();
    if let Ok(source) = source(&named, facts, cx, diag) {
        let (id, origin, text) = (file.clone(), file.clone(), plain(&source.text));
        contract.sections.push(Section { id, mode: SectionMode::Contract, description: None, origin, text });
    }
    let mut ids = BTreeSet::new();
    for block in &row.block.include {
        if let Some(include) = include(block, &file, &mut ids, row.at, diag) {
            take(&include, block, &mut contract, facts, cx, diag);
        }
    }
    diag.finish(mark, contract)
}

/// An include whose keys are right.
struct Checked<'i> {
    id: &'i str,
    skill: SkillName,
    file: &'i str,
    at: Span,
    /// Nothing for a reference.
    mode: Option<SectionMode>,
}

/// Returns an include with its keys checked; `contract` is the id of the contract itself.
fn include<'i>(
    block: &'i Include,
    contract: &str,
    ids: &mut BTreeSet<String>,
    at: Span,
    diag: &mut Diagnostics,
) -> Option<Checked<'i>> {
    let at = block.origin.span.unwrap_or(at);
    let (Some(id), Some(file)) = (&block.id, &block.file) else {
        let error = Diagnostic::error(Code::MissingKey, at, "an include needs `id` and `file`");
        diag.push(error.help("write `- {id: rules, file: rules.md, mode: enforce}`"));
        return None;
    };
    let at_id = block.origin.of("id", at);
    let skill = match SkillName::of(&format!("include-{id}")) {
        Ok(skill) if !id.is_empty() => skill,
        _ => {
            let error = Diagnostic::error(Code::BadName, at_id, format!("`{}` is not an id", id.escape_debug()));
            diag.push(error.help("use letters, digits, `-`, `_` and `.`, at most 56"));
            return None;
        }
    };
    if ["CLAWDAPUS.md", "AGENTS.md", contract].iter().any(|own| own.eq_ignore_ascii_case(id))
        || id.to_ascii_lowercase().starts_with("surface-")
    {
        let error =
            Diagnostic::error(Code::ReservedName, at_id, format!("the id `{id}` is taken by a section of claw's own"));
        diag.push(error.help("give the include another id"));
    }
    if !ids.insert(id.to_ascii_lowercase()) {
        let error = Diagnostic::error(Code::NameCollision, at_id, format!("two includes are called `{id}`"));
        diag.push(error.help("rename one of them; upper and lower case are the same here"));
    }
    let mode = match block.mode.as_deref() {
        Some("enforce") => Some(SectionMode::Enforce),
        Some("guide") | None => Some(SectionMode::Guide),
        Some("reference") => None,
        Some(other) => {
            let at = block.origin.of("mode", at);
            let error = Diagnostic::error(Code::BadValue, at, format!("`{other}` is not a mode"));
            diag.push(error.help("write `enforce`, `guide` or `reference`"));
            return None;
        }
    };
    Some(Checked { id, skill, file, at: block.origin.of("file", at), mode })
}

fn take(
    include: &Checked<'_>,
    block: &Include,
    contract: &mut Contract,
    facts: &Facts,
    cx: &Context<'_>,
    diag: &mut Diagnostics,
) {
    let named = Named { file: include.file, what: "include", at: include.at, label: None };
    let Ok(source) = source(&named, facts, cx, diag) else { return };
    let text = plain(&source.text);
    let (id, description) = (include.id.to_owned(), block.description.clone());
    match include.mode {
        Some(mode) => {
            contract.sections.push(Section { id, mode, description, origin: include.file.to_owned(), text });
        }
        None => contract.references.push(Reference { id, description, skill: include.skill.clone() }),
    }
}

/// Returns the manuals of an agent's services as sections: they stand after what the operator wrote.
pub(crate) fn manuals(surfaces: &[Surface], skills: &BTreeMap<SkillName, Skill>) -> Vec<Section> {
    let services = surfaces.iter().filter_map(|surface| match surface {
        Surface::Service { service, .. } => service_skill(service),
        Surface::Volume { .. } | Surface::Host { .. } | Surface::Channel { .. } | Surface::Egress { .. } => None,
    });
    let section = |name: SkillName| {
        let skill = skills.get(&name)?;
        let (description, text) = (Some(skill.description.clone()), skill.body.clone());
        let (origin, id) = (format!("skill {name}"), name.to_string());
        Some(Section { id, mode: SectionMode::Manual, description, origin, text })
    };
    services.filter_map(section).collect()
}

/// Returns what must be known of a service's persona.
pub(crate) fn persona_need(block: &AgentBlock, directives: &[Declared]) -> Option<Need> {
    let declared = directives.iter().find_map(|each| match &each.value {
        Directive::Persona(persona) => Some((persona, each.label.as_deref())),
        _ => None,
    });
    let (name, label) = block.persona.as_ref().map(|persona| (persona, None)).or(declared)?;
    let source = PersonaSource::parse(name).ok()?;
    (!is_of_pod(&source) || label.is_none()).then(|| Need::Persona(name.clone()))
}

/// Returns whether a persona is files of the pod. Whoever made an image does not say which of them an agent may read.
fn is_of_pod(source: &PersonaSource) -> bool {
    matches!(source, PersonaSource::Path(_) | PersonaSource::Layout(_))
}

/// Returns where the sections of a contract come from, in its order.
pub(crate) fn origins(row: &Row<'_>, contract: &Contract, skills: &Skills) -> Vec<Origin> {
    let declared = row.directives().find_map(|each| match &each.value {
        Directive::Agent(_) => Some(Origin::declared("AGENT", each)),
        _ => None,
    });
    let pod = |by: &str, at: Span| Origin { by: by.to_owned(), at, file: None };
    let own = row.block.agent.as_ref().map(|_| pod("x-claw.agent", row.block.origin.of("agent", row.at))).or(declared);
    let include = |id: &str| {
        let block = row.block.include.iter().find(|include| include.id.as_deref() == Some(id))?;
        Some(pod("x-claw.include", block.origin.span.unwrap_or(row.at)))
    };
    let manual = |id: &str| skills.found.get(&SkillName::parse(id).ok()?)?.last().map(|found| found.from.clone());
    let origin = |section: &Section| match section.mode {
        SectionMode::Contract => own.clone().map(|own| own.in_file(&section.origin)),
        SectionMode::Manual => manual(&section.id),
        SectionMode::Enforce | SectionMode::Guide => include(&section.id).map(|found| found.in_file(&section.origin)),
    };
    contract.sections.iter().map(|section| origin(section).unwrap_or_else(|| pod("claw", row.at))).collect()
}

/// Returns the persona, as far as it is there.
pub(crate) fn persona(row: &Row<'_>, facts: &Facts, diag: &mut Diagnostics) -> Option<Persona> {
    let declared = row.directives().find_map(|each| match &each.value {
        Directive::Persona(persona) => Some((persona, each.span, each.label.as_deref())),
        _ => None,
    });
    let own = row.block.persona.as_ref().map(|persona| (persona, row.block.origin.of("persona", row.at), None));
    let (name, at, label) = own.or(declared)?;
    let mut unusable = |code: Code, why: &str, help: &str| {
        let error = Diagnostic::error(code, at, format!("the persona `{name}` {why}"));
        diag.push(noted(error.help(help), label));
        None
    };
    let source = match PersonaSource::parse(name) {
        Ok(source) => source,
        Err(bad) => return unusable(Code::UnusableFile, &bad.to_string(), PERSONA_HELP),
    };
    if label.is_some() && is_of_pod(&source) {
        let help = "name it as `persona:` of the agent's `x-claw`, or by `PERSONA` in a Clawfile of the pod";
        return unusable(Code::UnusablePersona, "is files of the pod, and an image names them", help);
    }
    match facts.personas.get(name) {
        Some(PersonaFact::Known(known)) => {
            let artifact = match (source, &known.artifact) {
                (PersonaSource::Registry(reference), Some(digest)) => {
                    Some(Artifact { reference, digest: digest.clone() })
                }
                _ => None,
            };
            let (digest, archive) = (known.digest.clone(), known.archive.clone());
            Some(Persona { name: name.clone(), digest, artifact, archive })
        }
        Some(PersonaFact::Unusable(why)) => {
            let help = match source {
                PersonaSource::Registry(_) => "`claw persona pull` tries again; `claw update` locks what is there",
                PersonaSource::Path(_) | PersonaSource::Layout(_) => PERSONA_HELP,
            };
            unusable(Code::UnusablePersona, why, help)
        }
        Some(PersonaFact::Missing) | None => unusable(Code::MissingFile, "does not exist", PERSONA_HELP),
    }
}

/// What a persona is.
const PERSONA_HELP: &str = "a persona is a file or a directory inside the pod's directory, `file://` an OCI layout there, or an artifact in a registry";

/// Adds the skills that are files: the image's, then the pod's, then `reference` includes.
pub(crate) fn skills(row: &Row<'_>, facts: &Facts, cx: &Context<'_>, skills: &mut Skills, diag: &mut Diagnostics) {
    let is_cleared = row.sets("skills") && row.block.skills.0.is_empty();
    let image = row.directives().filter(|_| !is_cleared).filter_map(|each| match &each.value {
        Directive::Skill(file) => {
            Some((Named { file, what: "skill", at: each.span, label: each.label.as_deref() }, SkillOrigin::Image))
        }
        _ => None,
    });
    let pod = row.block.skills.0.iter();
    let pod =
        pod.map(|file| (Named { file: &file.value, what: "skill", at: file.span, label: None }, SkillOrigin::Pod));
    let mut layer: BTreeMap<(SkillOrigin, String), String> = BTreeMap::new();
    let mut taken = |origin: SkillOrigin, stem: &str, named: &Named<'_>, diag: &mut Diagnostics| {
        // Names that differ in case alone are one file on some file systems.
        if let Some(first) = layer.insert((origin, stem.to_ascii_lowercase()), named.file.to_owned()) {
            let message = format!("`{first}` and `{}` are both the skill `{stem}`", named.file);
            let error = Diagnostic::error(Code::NameCollision, named.at, message).help("rename one of the files");
            diag.push(noted(error, named.label));
        }
    };
    for (named, origin) in image.chain(pod) {
        let Ok(source) = source(&named, facts, cx, diag) else { continue };
        let stem = stem(named.file);
        let Ok(name) = SkillName::of(&stem) else {
            let error = Diagnostic::error(Code::BadName, named.at, format!("`{stem}` is not a name for a skill"));
            let help = "name the file with letters, digits, `-`, `_` and `.`, at most 64";
            diag.push(noted(error.help(help), named.label));
            continue;
        };
        taken(origin, name.as_str(), &named, diag);
        let Ok(skill) = manual::skill(source, &name, origin, diag) else { continue };
        spoken(&skill, &named, diag);
        skills.put(name, skill, named.origin(if origin == SkillOrigin::Pod { "x-claw.skills" } else { "SKILL" }));
    }
    for include in row.block.include.iter().filter(|include| include.mode.as_deref() == Some("reference")) {
        let (Some(id), Some(file)) = (&include.id, &include.file) else { continue };
        let place = include.origin.span.unwrap_or(row.at);
        let named = Named { file, what: "include", at: include.origin.of("file", place), label: None };
        let Ok(source) = source(&named, facts, cx, diag) else { continue };
        let Ok(name) = SkillName::of(&format!("include-{id}")) else { continue };
        taken(SkillOrigin::Pod, name.as_str(), &named, diag);
        let own = line(include.description.as_deref().unwrap_or(""));
        let Ok(own) = manual::checked(own, include.origin.of("description", place), diag) else { continue };
        let Ok(mut skill) = manual::skill(source, &name, SkillOrigin::Pod, diag) else { continue };
        spoken(&skill, &named, diag);
        skill.description = own.unwrap_or(skill.description);
        skills.put(name, skill, named.origin("x-claw.include"));
    }
}

/// A skill that is front matter alone tells an agent nothing.
fn spoken(skill: &Skill, named: &Named<'_>, diag: &mut Diagnostics) {
    if is_empty(&skill.body) {
        let message = format!("the {} `{}` is empty but for its front matter", named.what, named.file);
        let error =
            Diagnostic::error(Code::UnusableFile, named.at, message).help("write its text after the front matter");
        diag.push(noted(error, named.label));
    }
}

/// `skills/review.md` and `skills/review/SKILL.md` are both `review`.
fn stem(file: &str) -> String {
    let mut parts = file.trim_end_matches('/').rsplit('/');
    let last = parts.next().unwrap_or(file);
    if last.eq_ignore_ascii_case("SKILL.md")
        && let Some(folder) = parts.next()
    {
        return folder.to_owned();
    }
    last.rsplit_once('.').map_or(last, |(stem, _)| stem).to_owned()
}
