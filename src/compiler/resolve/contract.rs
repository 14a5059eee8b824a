//! An agent's contract and its operator's skills: files of the pod, each usable or an error. No contract, no start.

use std::collections::{BTreeMap, BTreeSet};

use claw_types::agent::{Contract, Reference, Section, SectionMode, Skill, SkillOrigin};
use claw_types::diag::{Code, Diagnostic, Diagnostics, Reported};
use claw_types::id::SkillName;
use claw_types::path::PodPath;
use claw_types::span::{Span, Spanned};

use super::Row;
use crate::clawfile::Directive;
use crate::facts::{Context, Facts, FileFact, Need};
use crate::pod::AgentBlock;

/// Returns the files a service's contract and skills need.
pub(crate) fn needs(block: &AgentBlock, directives: &[Spanned<Directive>]) -> BTreeSet<Need> {
    let from_image = directives.iter().filter_map(|each| match &each.value {
        Directive::Agent(file) if block.agent.is_none() => Some(file.as_str()),
        Directive::Skill(file) => Some(file.as_str()),
        _ => None,
    });
    let includes = block.include.iter().filter_map(|include| include.file.as_deref());
    let own = block.agent.as_deref().into_iter().chain(block.skills.iter().map(String::as_str)).chain(includes);
    own.chain(from_image).filter_map(|file| PodPath::parse(file).ok()).map(Need::File).collect()
}

/// Returns the text of a file of the pod.
fn text(
    file: &str,
    what: &str,
    at: Span,
    facts: &Facts,
    cx: &Context<'_>,
    diag: &mut Diagnostics,
) -> Result<String, Reported> {
    let mut unusable = |code: Code, why: &str| {
        let help = "the file must be a text file inside the pod's directory";
        Err(diag.report(Diagnostic::error(code, at, format!("the {what} `{file}` {why}")).help(help)))
    };
    let path = match PodPath::parse(file) {
        Ok(path) => path,
        Err(bad) => return unusable(Code::UnusableFile, &bad.to_string()),
    };
    match facts.files.get(&path) {
        Some(FileFact::Text(id)) => {
            let text = cx.sources.get(*id).map_or("", |source| source.text.as_str());
            if text.trim().is_empty() { unusable(Code::UnusableFile, "is empty") } else { Ok(text.to_owned()) }
        }
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
        Directive::Agent(file) => Some((file.clone(), each.span)),
        _ => None,
    });
    let own = row.block.agent.clone().map(|file| (file, row.block.origin.of("agent", row.at)));
    let Some((file, at)) = own.or(declared) else {
        let error = Diagnostic::error(Code::MissingContract, row.at, format!("`{}` has no contract", row.service));
        return Err(diag.report(error.help("add `AGENT <file>` to its Clawfile, or `agent: <file>` to its `x-claw`")));
    };
    let mut contract = Contract::default();
    if let Ok(text) = text(&file, "contract", at, facts, cx, diag) {
        let section = Section { id: file.clone(), mode: SectionMode::Contract, description: None, origin: file, text };
        contract.sections.push(section);
    }
    let mut ids = BTreeSet::new();
    for include in &row.block.include {
        let at = include.origin.span.unwrap_or(row.at);
        let (Some(id), Some(file)) = (&include.id, &include.file) else {
            diag.push(Diagnostic::error(Code::MissingKey, at, "an include needs `id` and `file`"));
            continue;
        };
        if SkillName::parse(&format!("include-{id}")).is_err() {
            let error = Diagnostic::error(Code::BadName, at, format!("`{id}` is not an id"));
            diag.push(error.help("use letters, digits, `-`, `_` and `.`"));
        }
        if !ids.insert(id.clone()) {
            diag.push(Diagnostic::error(Code::NameCollision, at, format!("two includes are called `{id}`")));
        }
        let mode = match include.mode.as_deref() {
            Some("enforce") => Some(SectionMode::Enforce),
            Some("guide") | None => Some(SectionMode::Guide),
            Some("reference") => None,
            Some(other) => {
                let error = Diagnostic::error(
                    Code::BadValue,
                    include.origin.of("mode", at),
                    format!("`{other}` is not a mode"),
                );
                diag.push(error.help("write `enforce`, `guide` or `reference`"));
                continue;
            }
        };
        let Ok(text) = text(file, "include", include.origin.of("file", at), facts, cx, diag) else { continue };
        match mode {
            Some(mode) => contract.sections.push(Section {
                id: id.clone(),
                mode,
                description: include.description.clone(),
                origin: file.clone(),
                text,
            }),
            None => {
                contract.references.extend(SkillName::parse(&format!("include-{id}")).ok().map(|skill| Reference {
                    id: id.clone(),
                    description: include.description.clone(),
                    skill,
                }))
            }
        }
    }
    diag.finish(mark, contract)
}

/// Adds the skills that are files: the image's, then the pod's, then `reference` includes.
pub(crate) fn skills(
    row: &Row<'_>,
    facts: &Facts,
    cx: &Context<'_>,
    skills: &mut BTreeMap<SkillName, Skill>,
    diag: &mut Diagnostics,
) {
    let image = row.directives().filter_map(|each| match &each.value {
        Directive::Skill(file) => Some((file.clone(), each.span, SkillOrigin::Image)),
        _ => None,
    });
    let at = row.block.origin.of("skills", row.at);
    let pod = row.block.skills.iter().map(|file| (file.clone(), at, SkillOrigin::Pod));
    let mut layer: BTreeMap<(SkillOrigin, String), String> = BTreeMap::new();
    for (file, at, origin) in image.chain(pod) {
        let Ok(text) = text(&file, "skill", at, facts, cx, diag) else { continue };
        let stem = stem(&file);
        let Ok(name) = SkillName::parse(&stem) else {
            diag.push(Diagnostic::error(Code::BadName, at, format!("`{stem}` is not a name for a skill")));
            continue;
        };
        if let Some(first) = layer.insert((origin, stem.clone()), file.clone()) {
            let message = format!("`{first}` and `{file}` are both the skill `{stem}`");
            diag.push(Diagnostic::error(Code::NameCollision, at, message).help("rename one of the files"));
        }
        let (description, body) = front_matter(&text);
        let description = description.unwrap_or_else(|| format!("Skill {stem}."));
        skills.insert(name, Skill { description, body, origin });
    }
    for include in row.block.include.iter().filter(|include| include.mode.as_deref() == Some("reference")) {
        let (Some(id), Some(file)) = (&include.id, &include.file) else { continue };
        let at = include.origin.span.unwrap_or(row.at);
        let Ok(body) = text(file, "include", at, facts, cx, diag) else { continue };
        let Ok(name) = SkillName::parse(&format!("include-{id}")) else { continue };
        let description = include.description.clone().unwrap_or_else(|| format!("Reference {id}."));
        skills.insert(name, Skill { description, body, origin: SkillOrigin::Pod });
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

/// Returns the description in a skill's front matter, and its text without front matter.
fn front_matter(text: &str) -> (Option<String>, String) {
    let Some(rest) = text.trim_start_matches('\u{feff}').strip_prefix("---\n") else { return (None, text.to_owned()) };
    let Some((head, body)) = rest.split_once("\n---") else { return (None, text.to_owned()) };
    let body = body.split_once('\n').map_or("", |(_, body)| body);
    let line = head.lines().find_map(|line| line.strip_prefix("description:"));
    let description = line.map(|line| line.trim().trim_matches(['"', '\'']).to_owned()).filter(|line| !line.is_empty());
    (description, body.to_owned())
}
