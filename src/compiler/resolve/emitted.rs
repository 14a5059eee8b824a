//! Files that services bring along: read out of the image that a label names a path in.
//!
//! The image is somebody else's: its label and its text are refused where they are no path and no text.

use std::collections::BTreeSet;

use claw_compose::model::Service;
use claw_types::agent::Surface;
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::id::SkillName;
use claw_types::image::{ImageFacts, ImageRef, label};
use claw_types::path::ContainerPath;
use claw_types::span::{FileId, Span};

use super::agentish::Agentish;
use super::image::FromImage;
use super::manual::{MANUAL_LIMIT, manual};
use super::trace::{Origin, Skills};
use super::{Build, Row, Shared};
use crate::described::LIMIT;
use crate::facts::{Context, Facts, ManualFact, Need};

/// Where a service's image says its manual is.
pub(crate) enum Emitted {
    /// In the image of this id, at this path.
    At(ImageRef, ContainerPath),
    /// In an image that is not built yet, or changed since.
    AfterBuild,
}

/// A kind of file that an image brings along.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    /// The label that names its path.
    pub(crate) label: &'static str,
    /// The key of `x-claw` that names a file of the pod in its place; none where nothing does.
    pub(crate) key: &'static str,
    /// What it is.
    pub(crate) what: &'static str,
    /// What holds where it is not there.
    pub(crate) instead: &'static str,
}

/// The manual.
pub(crate) const MANUAL: Kind =
    Kind { label: label::SKILL_EMIT, key: "", what: "manual", instead: "its ports stand for it" };

/// Returns where a file of an image is; nothing where it brings none along.
///
/// # Errors
/// Where the label is no path of a container.
fn emitted(
    image: &ImageFacts,
    kind: &Kind,
    build: Option<&Build>,
    is_current: bool,
) -> Result<Option<Emitted>, String> {
    let Some(text) = image.labels.get(kind.label) else { return Ok(None) };
    let path = ContainerPath::parse(text).map_err(|bad| bad.to_string())?;
    if build.is_some() && !is_current {
        return Ok(Some(Emitted::AfterBuild));
    }
    Ok(image.id.as_deref().map(|id| Emitted::At(ImageRef::new(id), path)))
}

/// Returns the file of an image that must be read.
pub(crate) fn need(emitted: Result<Option<Emitted>, String>) -> Option<Need> {
    match emitted {
        Ok(Some(Emitted::At(image, path))) => Some(Need::Manual(image, path)),
        Ok(Some(Emitted::AfterBuild) | None) | Err(_) => None,
    }
}

/// Returns where a pod file names the image of a service.
pub(crate) fn place(service: &Service, fallback: Span) -> Span {
    let key = if service.build.is_some() { "build" } else { "image" };
    service.origin.of(key, fallback)
}

/// Puts the manuals of the services an agent may use over the stubs that claw writes.
pub(crate) fn manuals(
    row: &Row<'_>,
    surfaces: &[Surface],
    shared: &Shared<'_>,
    facts: &Facts,
    cx: &Context<'_>,
    skills: &mut Skills,
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
        let at = shared.project.services.get(service).map_or(row.at, |target| place(target, row.at));
        let Some((file, inside)) = text(service, image, &MANUAL, at, facts, cx, diag) else { continue };
        let text = cx.sources.get(file).map_or("", |source| source.text.as_str());
        let Ok(name) = SkillName::parse(&format!("surface-{service}")) else { continue };
        match manual(text, &name) {
            Ok(skill) => {
                let by = format!("label {}", MANUAL.label);
                skills.put(name, skill, Origin { by, at, file: Some(inside) });
            }
            Err(bad) => refused(service, &MANUAL, bad.to_string(), at, diag),
        }
    }
}

/// What is known of a service's image: its facts, and whether they are of the image as it is built now.
pub(crate) struct Image {
    pub(crate) name: String,
    pub(crate) facts: ImageFacts,
    pub(crate) build: Option<Build>,
}

impl Image {
    /// Returns what is known of a service's image.
    pub(crate) fn of(service: &Agentish<'_>, found: FromImage) -> Self {
        let written = service.service.and_then(|service| service.image.clone());
        let name = found.build.as_ref().map(|build| build.image.to_string()).or(written).unwrap_or_default();
        Self { name, facts: found.facts, build: found.build }
    }

    /// Returns where a file of it is.
    pub(crate) fn emitted(&self, service: &str, kind: &Kind, facts: &Facts) -> Result<Option<Emitted>, String> {
        emitted(&self.facts, kind, self.build.as_ref(), facts.built.contains_key(service))
    }
}

fn refused(service: &str, kind: &Kind, why: String, at: Span, diag: &mut Diagnostics) {
    let error = Diagnostic::error(Code::UnusableFile, at, format!("the {} of `{service}` {why}", kind.what));
    let error = error.note(format!("the label `{}` of its image names it", kind.label));
    let limit = if kind.key.is_empty() { MANUAL_LIMIT } else { LIMIT } / 1024;
    diag.push(
        error.help(format!("a {} is a text file of at most {limit} KiB at an absolute path of the image", kind.what)),
    );
}

/// Returns a file that an image brings along, and what it is called: `IMAGE:PATH`.
pub(crate) fn text(
    service: &str,
    image: &Image,
    kind: &Kind,
    at: Span,
    facts: &Facts,
    cx: &Context<'_>,
    diag: &mut Diagnostics,
) -> Option<(FileId, String)> {
    let refused = |why: String, diag: &mut Diagnostics| refused(service, kind, why, at, diag);
    let (id, path) = match image.emitted(service, kind, facts) {
        Ok(None) => return None,
        Ok(Some(Emitted::At(image, path))) => (image, path),
        Ok(Some(Emitted::AfterBuild)) => {
            let Kind { what, instead, .. } = kind;
            let message = format!("the {what} of `{service}` is known after build: until then {instead}");
            let warning = Diagnostic::warning(Code::NeedsEngine, at, message);
            diag.push(warning.help("`claw up` builds first and reads it then; so does `claw build` before this"));
            return None;
        }
        Err(why) => {
            refused(format!("has no usable place: {why}"), diag);
            return None;
        }
    };
    match facts.manuals.get(&(id, path.clone())) {
        Some(ManualFact::Text(file)) => cx.sources.get(*file).map(|_| (*file, format!("{}:{path}", image.name))),
        Some(ManualFact::Missing) | None => {
            let message = format!("`{service}` has no {} at `{path}`; {}", kind.what, kind.instead);
            let warning = Diagnostic::warning(Code::MissingFile, at, message);
            let warning = warning.note(format!("the label `{}` of its image names it", kind.label));
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
            refused(format!("at `{path}` is longer than {} KiB", LIMIT / 1024), diag);
            None
        }
    }
}
