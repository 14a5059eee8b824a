//! Manuals that services bring along: read out of the image that `claw.skill.emit` names a path in.
//!
//! The image is somebody else's: its label and its text are refused where they are no path and no text.

use std::collections::{BTreeMap, BTreeSet};

use claw_types::agent::{Skill, Surface};
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::id::SkillName;
use claw_types::image::{ImageFacts, ImageRef, label};
use claw_types::path::ContainerPath;
use claw_types::span::Span;

use super::manual::manual;
use super::{Build, Row, Shared};
use crate::facts::{Context, Facts, ManualFact, Need};

/// Where a service's image says its manual is.
pub(crate) enum Emitted {
    /// In the image of this id, at this path.
    At(ImageRef, ContainerPath),
    /// In an image that is not built yet, or changed since.
    AfterBuild,
}

/// Returns where a service's manual is; nothing where its image has none.
///
/// # Errors
/// Where the label is no path of a container.
pub(crate) fn emitted(image: &ImageFacts, build: Option<&Build>, is_current: bool) -> Result<Option<Emitted>, String> {
    let Some(text) = image.labels.get(label::SKILL_EMIT) else { return Ok(None) };
    let path = ContainerPath::parse(text).map_err(|bad| bad.to_string())?;
    if build.is_some() && !is_current {
        return Ok(Some(Emitted::AfterBuild));
    }
    Ok(image.id.as_deref().map(|id| Emitted::At(ImageRef::new(id), path)))
}

/// Returns the manual of an image that must be read.
pub(crate) fn need(emitted: Result<Option<Emitted>, String>) -> Option<Need> {
    match emitted {
        Ok(Some(Emitted::At(image, path))) => Some(Need::Manual(image, path)),
        Ok(Some(Emitted::AfterBuild) | None) | Err(_) => None,
    }
}

/// Puts the manuals of the services an agent may use over the stubs that claw writes.
pub(crate) fn manuals(
    row: &Row<'_>,
    surfaces: &[Surface],
    shared: &Shared<'_>,
    facts: &Facts,
    cx: &Context<'_>,
    skills: &mut BTreeMap<SkillName, Skill>,
    diag: &mut Diagnostics,
) {
    let services: BTreeSet<&str> = surfaces
        .iter()
        .filter_map(|surface| match surface {
            Surface::Service { service, .. } => Some(service.as_str()),
            _ => None,
        })
        .collect();
    for service in services {
        let Some(image) = shared.images.get(service) else { continue };
        let at = shared.project.services.get(service).map_or(row.at, |target| {
            let key = if target.build.is_some() { "build" } else { "image" };
            target.origin.of(key, row.at)
        });
        let Some(text) = text(service, image, at, facts, cx, diag) else { continue };
        let Ok(name) = SkillName::parse(&format!("surface-{service}")) else { continue };
        match manual(text, &name) {
            Ok(skill) => drop(skills.insert(name, skill)),
            Err(bad) => refused(service, bad.to_string(), at, diag),
        }
    }
}

/// What is known of a service's image: its facts, and whether they are of the image as it is built now.
pub(crate) struct Image {
    pub(crate) facts: ImageFacts,
    pub(crate) build: Option<Build>,
}

impl Image {
    /// Returns where its manual is.
    pub(crate) fn emitted(&self, service: &str, facts: &Facts) -> Result<Option<Emitted>, String> {
        emitted(&self.facts, self.build.as_ref(), facts.built.contains_key(service))
    }
}

fn refused(service: &str, why: String, at: Span, diag: &mut Diagnostics) {
    let error = Diagnostic::error(Code::UnusableFile, at, format!("the manual of `{service}` {why}"));
    let error = error.note(format!("the label `{}` of its image names it", label::SKILL_EMIT));
    diag.push(error.help("a manual is a text file of at most 256 KiB at an absolute path of the image"));
}

fn text<'t>(
    service: &str,
    image: &Image,
    at: Span,
    facts: &Facts,
    cx: &Context<'t>,
    diag: &mut Diagnostics,
) -> Option<&'t str> {
    let refused = |why: String, diag: &mut Diagnostics| refused(service, why, at, diag);
    let (image, path) = match image.emitted(service, facts) {
        Ok(None) => return None,
        Ok(Some(Emitted::At(image, path))) => (image, path),
        Ok(Some(Emitted::AfterBuild)) => {
            let message = format!("the manual of `{service}` is known after build: until then its ports stand for it");
            let warning = Diagnostic::warning(Code::NeedsEngine, at, message);
            diag.push(warning.help("`claw up` builds first and reads it then; so does `claw build` before this"));
            return None;
        }
        Err(why) => {
            refused(format!("has no usable place: {why}"), diag);
            return None;
        }
    };
    match facts.manuals.get(&(image, path.clone())) {
        Some(ManualFact::Text(file)) => Some(cx.sources.get(*file).map_or("", |source| source.text.as_str())),
        Some(ManualFact::Missing) | None => {
            let message = format!("`{service}` has no manual at `{path}`; its ports stand for it");
            let warning = Diagnostic::warning(Code::MissingFile, at, message);
            let warning = warning.note(format!("the label `{}` of its image names it", label::SKILL_EMIT));
            diag.push(warning.help("put the file into the image, or take the label away"));
            None
        }
        Some(ManualFact::NotRegular) => {
            refused(format!("at `{path}` is not a regular file"), diag);
            None
        }
        Some(ManualFact::NotText) => {
            refused(format!("at `{path}` is not UTF-8 text"), diag);
            None
        }
        Some(ManualFact::TooLong) => {
            refused(format!("at `{path}` is longer than 256 KiB"), diag);
            None
        }
    }
}
