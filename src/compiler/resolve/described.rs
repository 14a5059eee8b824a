//! What services say of themselves to machines: an OpenAPI description, a listing of MCP tools. Each is a file of the pod, a file
//! of the service's image, or what `claw.lock` recorded of the service while it ran.
//!
//! Each becomes a skill of its own beside the service's manual, for the agents that may use the service.

use std::collections::{BTreeMap, BTreeSet};

use claw_compose::model::Service;
use claw_types::agent::{Skill, SkillOrigin, Surface};
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::id::{ServiceName, SkillName};
use claw_types::image::label;
use claw_types::path::PodPath;
use claw_types::span::{FileId, Source, Span};

use super::emitted::{Image, Kind, text};
use super::trace::{Origin, Skills, Uses};
use super::{Row, Shared, surface};
use crate::described::{self, Listing};
use crate::emit::view;
use crate::facts::{Context, Facts, FileFact, Need};

/// What a service says of itself.
#[derive(Default)]
pub(crate) struct Described {
    api: Option<(Listing, Place)>,
    tools: Option<(Listing, Place)>,
}

/// The key of `x-claw` and the label that name a description, and what messages call it.
const API: Kind =
    Kind { label: label::OPENAPI, key: "openapi", what: "description", instead: "it has no list of operations" };
const TOOLS: Kind =
    Kind { label: label::MCP_TOOLS, key: "mcp-tools", what: "listing of tools", instead: "it has no list of tools" };

/// Returns the file of the pod that a service's `x-claw` names.
fn own<'s>(service: &'s Service, kind: &Kind) -> Option<(&'s str, Span)> {
    let node = service.extensions.get("x-claw")?.get(kind.key).filter(|node| !node.is_null())?;
    Some((node.scalar()?.text.as_str(), node.span))
}

/// Returns the files that must be read of a service that an agent may use.
pub(crate) fn needs(name: &str, service: Option<&Service>, image: &Image, facts: &Facts) -> Vec<Need> {
    let need = |kind: &Kind| match service.and_then(|service| own(service, kind)) {
        Some((file, _)) => PodPath::parse(file).ok().map(Need::File),
        None => super::emitted::need(image.emitted(name, kind, facts)),
    };
    [API, TOOLS].iter().filter_map(need).collect()
}

/// Returns what the services say that agents may use, by service.
pub(crate) fn all<'s>(
    rows: &[Row<'_>],
    shared: &Shared<'s>,
    facts: &Facts,
    cx: &Context<'_>,
    diag: &mut Diagnostics,
) -> (BTreeMap<&'s str, Described>, BTreeSet<FileId>) {
    let reached: BTreeSet<String> = rows
        .iter()
        .flat_map(|row| {
            let directives: Vec<_> = row.directives().cloned().collect();
            surface::targets("service", &row.block, &directives)
        })
        .collect();
    let mut found = BTreeMap::new();
    let mut read = BTreeSet::new();
    for (name, image) in shared.images.iter().filter(|(name, _)| reached.contains(**name)) {
        let Some(service) = shared.project.services.get(*name) else { continue };
        let ports = surface::ports(service, &image.facts);
        let fallback = service.origin.place(Span::start_of(FileId(0)));
        let mut look = |kind: &Kind, read_as: &dyn Fn(&Source) -> Result<Listing, String>, diag: &mut Diagnostics| {
            let place = place(name, service, image, kind, (fallback, facts, cx), diag)?;
            let source = cx.sources.get(place.file)?;
            read.insert(place.file);
            match read_as(source) {
                Ok(listing) => Some((listing, place)),
                Err(why) => {
                    let message = format!("the {} of `{name}` {why}", kind.what);
                    let error = Diagnostic::error(Code::BadDescription, place.origin.at, message);
                    let from = format!("{} names `{}`", place.origin.by, source.name);
                    diag.push(error.note(from).help("`docs/manuals.md` says what claw reads"));
                    None
                }
            }
        };
        let api = look(&API, &|source| described::openapi(source, name, &ports), diag);
        let tools = look(&TOOLS, &|source| described::tools(source, name), diag);
        found.insert(*name, Described { api, tools });
    }
    (found, read)
}

/// A description that is there.
pub(crate) struct Place {
    file: FileId,
    origin: Origin,
}

fn place(
    name: &str,
    service: &Service,
    image: &Image,
    kind: &Kind,
    (fallback, facts, cx): (Span, &Facts, &Context<'_>),
    diag: &mut Diagnostics,
) -> Option<Place> {
    if let Some((file, at)) = own(service, kind) {
        let found = PodPath::parse(file).ok().and_then(|path| facts.files.get(&path));
        let why = match found {
            Some(FileFact::Text(id)) => {
                let origin = Origin { by: format!("x-claw.{}", kind.key), at, file: Some(file.to_owned()) };
                return Some(Place { file: *id, origin });
            }
            Some(FileFact::NotRegular) => "is not a regular file",
            Some(FileFact::NotText) => "is not UTF-8 text",
            Some(FileFact::Outside) => "leads out of the pod's directory",
            Some(FileFact::Missing) => "does not exist",
            None => "is no path inside the pod's directory",
        };
        let code = if matches!(found, Some(FileFact::Missing)) { Code::MissingFile } else { Code::UnusableFile };
        let error = Diagnostic::error(code, at, format!("the {} `{file}` {why}", kind.what));
        diag.push(error.help("name a text file inside the pod's directory"));
        return None;
    }
    if let Some(file) = facts.listings.get(name).filter(|_| kind.key == TOOLS.key) {
        let at = Span::start_of(*file);
        let origin = Origin { by: crate::lockfile::NAME.to_owned(), at, file: Some(crate::lockfile::NAME.to_owned()) };
        return Some(Place { file: *file, origin });
    }
    let at = super::emitted::place(service, fallback);
    let (file, inside) = text(name, image, kind, at, facts, cx, diag)?;
    Some(Place { file, origin: Origin { by: format!("label {}", kind.label), at, file: Some(inside) } })
}

/// Adds the skills of what the services of an agent's surfaces say of themselves.
pub(crate) fn skills(
    row: &Row<'_>,
    surfaces: &[Surface],
    shared: &Shared<'_>,
    skills: &mut Skills,
    diag: &mut Diagnostics,
) {
    for surface in surfaces {
        let Surface::Service { service, mcp, .. } = surface else { continue };
        let Some(found) = shared.described.get(service.as_str()) else { continue };
        let mut add = |name: Option<SkillName>, listing: &Listing, head: &str, origin, from: &Origin| {
            let Some(name) = name else { return };
            let body = format!("# {}\n\n{head}{}", listing.title, listing.body);
            let (description, keys) = (listing.description.clone(), BTreeMap::new());
            let skill = Skill { description, body, keys, origin };
            if skills.put(name.clone(), skill, from.clone()).is_some() {
                let message = format!("two services of `{}` want the skill `{name}`", row.service);
                let error = Diagnostic::error(Code::NameCollision, row.at, message);
                diag.push(error.help("rename one of the services"));
            }
        };
        if let Some((listing, place)) = &found.api {
            add(view::api_skill(service), listing, "", SkillOrigin::OpenApi, &place.origin);
        }
        if let Some((listing, place)) = &found.tools {
            let head = mcp.as_ref().map_or_else(String::new, |endpoint| format!("- MCP endpoint: `{endpoint}`\n\n"));
            add(view::tools_skill(service), listing, &head, SkillOrigin::Mcp, &place.origin);
        }
    }
}

/// Returns the names of the skills of what a service says of itself: of its operations, and of its tools.
pub(crate) fn names(service: &ServiceName, shared: &Shared<'_>) -> (Option<String>, Option<String>) {
    let found = shared.described.get(service.as_str());
    let name = |is_there: bool, name: Option<SkillName>| name.filter(|_| is_there).map(|name| name.to_string());
    (
        name(found.is_some_and(|found| found.api.is_some()), view::api_skill(service)),
        name(found.is_some_and(|found| found.tools.is_some()), view::tools_skill(service)),
    )
}

/// Returns what can be asked and called of the services of an agent's surfaces.
pub(crate) fn uses(surfaces: &[Surface], shared: &Shared<'_>) -> BTreeMap<String, Uses> {
    let services = surfaces.iter().filter_map(|surface| match surface {
        Surface::Service { service, .. } => Some(service.as_str()),
        _ => None,
    });
    let of = |name: &str| {
        let found = shared.described.get(name)?;
        let operations = found.api.as_ref().map(|(listing, _)| listing.operations.clone()).unwrap_or_default();
        let tools = found.tools.as_ref().map(|(listing, _)| listing.tools.clone()).unwrap_or_default();
        let listing = found.tools.as_ref().map(|(_, place)| place.file);
        Some((name.to_owned(), Uses { operations, tools, listing }))
    };
    services.filter_map(of).collect()
}
