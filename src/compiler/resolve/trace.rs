//! Where each thing that an agent may use comes from: what names it, and which file says it. Nothing is decided here.

use std::collections::BTreeMap;

use claw_types::agent::{Contract, Skill, SkillOrigin, Surface};
use claw_types::id::SkillName;
use claw_types::span::{FileId, Span};

use super::inference::Models;
use super::surface::Surfaces;
use super::{Row, Shared, contract, described};
use crate::clawfile::Directive;
use crate::clawfile::label::Declared;
use crate::described::{Operation, Tool};
use crate::emit::view;

/// Where something comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// What names it: `x-claw.skills`, `SKILL`, the label `claw.skill.emit`, `claw.lock`.
    pub by: String,
    /// Where that stands; of a label, where the pod file names the image.
    pub at: Span,
    /// The file that says it: a path of the pod, or `IMAGE:PATH`; nothing where claw wrote it.
    pub file: Option<String>,
}

impl Origin {
    /// Returns where something comes from that a directive or a label says; `word` is the directive.
    pub(crate) fn declared(word: &str, each: &Declared) -> Self {
        let by = each.label.as_ref().map_or_else(|| word.to_owned(), |label| format!("label {label}"));
        Self { by, at: each.span, file: None }
    }

    /// Returns the same, said by a file.
    pub(crate) fn in_file(self, file: &str) -> Self {
        Self { file: Some(file.to_owned()), ..self }
    }
}

/// A skill that was found: what it is, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Who wrote it.
    pub origin: SkillOrigin,
    /// The length of its text in bytes.
    pub bytes: usize,
    /// Where it comes from.
    pub from: Origin,
}

/// What is known of a service beside its manual.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// What can be asked over HTTP, where a description says it.
    pub operations: Vec<Operation>,
    /// What can be called over MCP, where a listing says it.
    pub tools: Vec<Tool>,
    /// That listing.
    pub listing: Option<FileId>,
}

/// Where what an agent has comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// Skills by name: the last is in force, it replaces those before it.
    pub skills: BTreeMap<SkillName, Vec<Found>>,
    /// Sections of the contract, in its order.
    pub sections: Vec<Origin>,
    /// Surfaces, in their order.
    pub surfaces: Vec<Origin>,
    /// Services of surfaces, by name.
    pub services: BTreeMap<String, Uses>,
    /// Models, by slot.
    pub models: BTreeMap<String, Origin>,
    /// Schedules, in their order.
    pub schedules: Vec<Origin>,
}

/// The skills of an agent while they are found: a later one replaces an earlier one of its name.
#[derive(Default)]
pub(crate) struct Skills {
    pub(crate) map: BTreeMap<SkillName, Skill>,
    pub(crate) found: BTreeMap<SkillName, Vec<Found>>,
}

impl Skills {
    /// Returns the skills that claw writes itself; each comes from the surface or the account it is about.
    pub(crate) fn of(generated: BTreeMap<SkillName, Skill>, surfaces: &Surfaces<'_>, row: &Row<'_>) -> Self {
        let name = |surface: &Surface| match surface {
            Surface::Service { service, .. } => view::service_skill(service),
            Surface::Channel { platform } => view::platform_skill(*platform),
            Surface::Volume { .. } | Surface::Host { .. } | Surface::Egress { .. } => None,
        };
        let mut skills = Self::default();
        for (skill, found) in generated {
            let about = surfaces.list.iter().position(|surface| name(surface).as_ref() == Some(&skill));
            let handles = || {
                let at = row.block.origin.of("handles", row.at);
                let declared = || row.directives().find(|each| matches!(each.value, Directive::Handle(_)));
                match row.sets("handles") {
                    true => Origin { by: "x-claw.handles".to_owned(), at, file: None },
                    false => declared().map_or(Origin { by: "claw".to_owned(), at, file: None }, |each| {
                        Origin::declared("HANDLE", each)
                    }),
                }
            };
            let from = about.and_then(|index| surfaces.origins.get(index).cloned()).unwrap_or_else(handles);
            skills.put(skill, found, from);
        }
        skills
    }

    /// Adds a skill over what is there. Returns the one of its name that it replaces.
    pub(crate) fn put(&mut self, name: SkillName, skill: Skill, from: Origin) -> Option<Skill> {
        let found = Found { origin: skill.origin, bytes: skill.body.len(), from };
        self.found.entry(name.clone()).or_default().push(found);
        self.map.insert(name, skill)
    }
}

/// Returns where everything of an agent comes from.
pub(crate) fn trace(
    row: &Row<'_>,
    contract: &Contract,
    surfaces: &Surfaces<'_>,
    models: &Models,
    skills: &Skills,
    shared: &Shared<'_>,
) -> Trace {
    let model = |wanted: &super::inference::Wanted| {
        let by = wanted.label.as_ref().map_or_else(|| "MODEL".to_owned(), |label| format!("label {label}"));
        Origin { by, at: wanted.at, file: None }
    };
    let models = models.iter().filter_map(|(slot, list)| {
        let is_pods = row.block.models.contains_key(slot.as_str());
        let origin = model(list.first()?);
        Some((slot.to_string(), if is_pods { Origin { by: "x-claw.models".to_owned(), ..origin } } else { origin }))
    });
    let is_cleared = row.sets("invoke") && row.block.invoke.is_empty();
    let invoked = row.directives().filter(|each| !is_cleared && matches!(each.value, Directive::Invoke { .. }));
    let own = row.block.invoke.iter().map(|block| {
        let at = block.origin.span.unwrap_or(row.at);
        Origin { by: "x-claw.invoke".to_owned(), at, file: None }
    });
    Trace {
        skills: skills.found.clone(),
        sections: contract::origins(row, contract, skills),
        surfaces: surfaces.origins.clone(),
        services: described::uses(&surfaces.list, shared),
        models: models.collect(),
        schedules: invoked.map(|each| Origin::declared("INVOKE", each)).chain(own).collect(),
    }
}
