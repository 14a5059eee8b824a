//! `claw.lock`: what was known of images, drivers and builds when somebody last said `claw update`. With it a pod compiles to the same
//! bytes where no engine is, and its images are those that were seen.

use std::collections::{BTreeMap, BTreeSet};

use claw_types::agent::Surface;
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::driver::DriverFacts;
use claw_types::image::{ImageFacts, ImageRef};
use claw_types::path::ContainerPath;
use claw_types::span::{FileId, Source, SourceMap, Span};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::described;
use crate::facts::{Context, Facts, LockedPersona, ManualFact};
use crate::plan::Plan;

/// The name of the file, beside the pod file.
pub const NAME: &str = "claw.lock";

/// The version of its format.
const VERSION: u32 = 1;

/// What the file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lockfile {
    /// The version of its format.
    pub version: u32,
    /// The version of claw that wrote it.
    pub claw: String,
    /// Where the facts of each runtime that is used come from: a program and its version.
    pub runtimes: BTreeMap<String, String>,
    /// Images that the pod names and does not build, by the name it gives them.
    pub images: BTreeMap<String, LockedImage>,
    /// Images that the pod builds and that tell more than what they are built from, by service.
    pub builds: BTreeMap<String, LockedBuild>,
    /// Personas that are artifacts in registries, by the name the pod gives them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub personas: BTreeMap<String, LockedPersona>,
    /// Tools that MCP servers had when they were asked, by service.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tools: BTreeMap<String, LockedTools>,
}

/// The tools of a service's MCP server, as it answered while it ran.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedTools {
    /// Where it was asked.
    pub endpoint: String,
    /// The digest of the listing.
    pub digest: String,
    /// The listing: a list of tools.
    pub tools: serde_json::Value,
}

impl LockedTools {
    /// Returns a listing as it is locked.
    pub fn of(endpoint: &str, tools: serde_json::Value) -> Self {
        let digest = Self::digest_of(&tools);
        Self { endpoint: endpoint.to_owned(), digest, tools }
    }

    /// Returns whether the listing is what its digest says: nobody edited it.
    pub fn is_whole(&self) -> bool {
        Self::digest_of(&self.tools) == self.digest
    }

    fn digest_of(tools: &serde_json::Value) -> String {
        let digest = Sha256::digest(tools.to_string());
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256:{hex}")
    }

    /// Returns the listing as a text.
    pub fn text(&self) -> String {
        serde_json::to_string_pretty(&self.tools).unwrap_or_default() + "\n"
    }

    /// Returns the tools that another listing has otherwise, a line each.
    pub fn differences(&self, now: &Self) -> Vec<String> {
        let digests = |listing: &Self| {
            let source = Source { id: FileId(0), name: String::new(), text: listing.text() };
            described::digests(&source).unwrap_or_default()
        };
        described::differences(&digests(self), &digests(now))
    }
}

/// An image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedImage {
    /// Its digest in the registry it came from; nothing where it came from none.
    pub digest: Option<String>,
    /// Its id; nothing where the digest says which it is, for ids differ by platform.
    pub id: Option<String>,
    /// The user processes run as.
    pub user: Option<String>,
    /// The entrypoint.
    pub entrypoint: Option<Vec<String>>,
    /// The command.
    pub command: Option<Vec<String>>,
    /// Exposed ports.
    #[serde(default)]
    pub exposed: Vec<String>,
    /// The paths of anonymous volumes.
    #[serde(default)]
    pub volumes: Vec<String>,
    /// Names of the variables its environment sets.
    #[serde(default)]
    pub variables: Vec<String>,
    /// Whether it has a health check.
    #[serde(default)]
    pub has_healthcheck: bool,
    /// Its labels `claw.*`.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Texts of manuals, by path.
    #[serde(default)]
    pub manuals: BTreeMap<String, String>,
}

impl LockedImage {
    /// Returns what is locked of an image that an engine has.
    pub fn of(facts: &ImageFacts, digest: Option<String>, manuals: BTreeMap<String, String>) -> Self {
        let labels = facts.labels.iter().filter(|(key, _)| key.starts_with("claw."));
        Self {
            id: facts.id.clone().filter(|_| digest.is_none()),
            digest,
            user: facts.user.clone(),
            entrypoint: facts.entrypoint.clone(),
            command: facts.command.clone(),
            exposed: facts.exposed.clone(),
            volumes: facts.volumes.clone(),
            variables: facts.variables.clone(),
            has_healthcheck: facts.has_healthcheck,
            labels: labels.map(|(key, value)| (key.clone(), value.clone())).collect(),
            manuals,
        }
    }

    /// Returns what is known of it; its id is what its manuals are asked for by.
    fn facts(&self) -> ImageFacts {
        ImageFacts {
            id: self.digest.clone().or(self.id.clone()),
            labels: self.labels.clone(),
            user: self.user.clone(),
            entrypoint: self.entrypoint.clone(),
            command: self.command.clone(),
            exposed: self.exposed.clone(),
            volumes: self.volumes.clone(),
            variables: self.variables.clone(),
            has_healthcheck: self.has_healthcheck,
            is_partial: false,
        }
    }

    /// Returns which image it is, in few characters.
    fn short(&self) -> String {
        let name = self.digest.as_ref().or(self.id.as_ref()).map_or("", String::as_str);
        shortened(name)
    }
}

/// Returns a digest in few characters.
fn shortened(digest: &str) -> String {
    digest.chars().take("sha256:".len() + 12).collect()
}

/// Returns the personas of a plan that are artifacts, by the name the pod gives them.
fn personas(plan: &Plan) -> BTreeMap<String, LockedPersona> {
    let personas = plan.units.values().filter_map(|unit| unit.unit.persona.as_ref());
    let locked = personas.filter_map(|persona| {
        let digest = persona.artifact.as_ref()?.digest.clone();
        Some((persona.name.clone(), LockedPersona { digest, content: persona.digest.clone() }))
    });
    locked.collect()
}

/// An image that the pod builds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedBuild {
    /// The digest of what it was built from.
    pub context: String,
    /// What came of it; its id is the context.
    pub image: LockedImage,
}

/// What a pod is locked by: found out by whoever asks the engine.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Digests of images in their registries, by the name the pod gives them.
    pub digests: BTreeMap<String, String>,
    /// Digests of what images are built from, by service.
    pub contexts: BTreeMap<String, String>,
    /// Tools of MCP servers, by service.
    pub tools: BTreeMap<String, LockedTools>,
}

impl Lockfile {
    /// Returns the lock of a text; nothing where it is none, which is said.
    pub fn parse(source: &Source, diag: &mut Diagnostics) -> Option<Self> {
        let error = match serde_json::from_str::<Self>(&source.text) {
            Ok(lock) if lock.version == VERSION => {
                let Some((service, _)) = lock.tools.iter().find(|(_, tools)| !tools.is_whole()) else {
                    return Some(lock);
                };
                let message = format!("the tools of `{service}` in `{NAME}` are not what their digest says");
                let error = Diagnostic::error(Code::BadLock, Span::start_of(source.id), message);
                diag.push(error.help("`claw update --manuals` asks the service again and shows what changed"));
                return None;
            }
            Ok(lock) => {
                let message = format!("`{NAME}` has the version {}, and this claw reads {VERSION}", lock.version);
                Diagnostic::error(Code::BadLock, Span::start_of(source.id), message)
            }
            Err(error) => {
                let lines = source.text.split_inclusive('\n').take(error.line().saturating_sub(1));
                let offset = lines.map(str::len).sum::<usize>() + error.column().saturating_sub(1);
                let offset = u32::try_from(offset.min(source.text.len())).unwrap_or(0);
                let why = error.to_string();
                let why = why.split(" at line ").next().unwrap_or("").to_owned();
                let at = Span { file: source.id, start: offset, end: offset };
                Diagnostic::error(Code::BadLock, at, format!("`{NAME}` is not what claw writes: {why}"))
            }
        };
        diag.push(error.help("`claw update` writes it anew"));
        None
    }

    /// Returns a lock whose listings of tools may have been edited, for whoever asks for them anew: all else of it counts, and such a
    /// listing is compared with and no more. Nothing where the text is no lock of this version.
    pub fn parse_edited(source: &Source) -> Option<Self> {
        serde_json::from_str::<Self>(&source.text).ok().filter(|lock| lock.version == VERSION)
    }

    /// Returns the lock of a plan: what is known of its images, and what was found out about them.
    pub fn of(plan: &Plan, facts: &Facts, found: &Found, cx: &Context<'_>) -> Self {
        let manuals = |image: &ImageFacts| -> BTreeMap<String, String> {
            let texts = facts.manuals.iter().filter(|((of, _), _)| Some(of.as_str()) == image.id.as_deref());
            let texts = texts.filter_map(|((_, path), fact)| match fact {
                ManualFact::Text(file) => Some((path.to_string(), cx.sources.get(*file)?.text.clone())),
                _ => None,
            });
            texts.collect()
        };
        let images = foreign(plan, facts, cx).into_iter().filter_map(|name| {
            let known = facts.images.get(&ImageRef::new(name.as_str()))?.as_ref()?;
            let locked = LockedImage::of(known, found.digests.get(&name).cloned(), manuals(known));
            Some((name, locked))
        });
        let builds = facts.built.iter().filter_map(|(service, built)| {
            let context = found.contexts.get(service)?.clone();
            let image = LockedImage { id: Some(context.clone()), ..LockedImage::of(built, None, manuals(built)) };
            Some((service.clone(), LockedBuild { context, image }))
        });
        Self {
            version: VERSION,
            claw: cx.version.to_owned(),
            runtimes: runtimes(plan, cx),
            images: images.collect(),
            builds: builds.collect(),
            personas: personas(plan),
            tools: found.tools.clone(),
        }
    }

    /// Returns the text of the file.
    pub fn text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Returns the images that have a digest: what containers are made of.
    pub fn pins(&self) -> BTreeMap<String, String> {
        let pinned = self.images.iter().filter(|(name, _)| !name.contains('@'));
        pinned.filter_map(|(name, image)| Some((name.clone(), image.digest.clone()?))).collect()
    }

    /// Adds what the lock knows of images to what is known; with `has_builds` what came of builds too.
    pub fn tell(&self, has_builds: bool, facts: &mut Facts, sources: &mut SourceMap) {
        facts.persona_pins.clone_from(&self.personas);
        for (name, image) in &self.images {
            facts.images.insert(ImageRef::new(name.as_str()), Some(image.facts()));
        }
        for (service, tools) in &self.tools {
            let file = sources.add(format!("{NAME}: tools of {service}"), tools.text());
            facts.listings.insert(service.clone(), file);
        }
        let built = self.builds.iter().filter(|_| has_builds);
        facts.built.extend(built.clone().map(|(service, build)| (service.clone(), build.image.facts())));
        for image in self.images.values().chain(built.map(|(_, build)| &build.image)) {
            let Some(id) = image.facts().id.map(ImageRef::new) else { continue };
            for (path, text) in &image.manuals {
                let Ok(path) = ContainerPath::parse(path) else { continue };
                let file = sources.add(format!("{id}:{path}"), text.clone());
                facts.manuals.insert((id.clone(), path), ManualFact::Text(file));
            }
        }
    }

    /// Returns where the lock is not of a plan: what it lacks, what it has too much, and what it says otherwise.
    pub fn drift(
        &self,
        plan: &Plan,
        facts: &Facts,
        contexts: &BTreeMap<String, String>,
        cx: &Context<'_>,
    ) -> Vec<String> {
        let mut drift = Vec::new();
        let needed = foreign(plan, facts, cx);
        let lacks = needed.iter().filter(|name| !self.images.contains_key(*name));
        drift.extend(lacks.map(|name| format!("the image `{name}` is not in it")));
        // What a profile leaves out may be what uses it.
        let unused = self.images.keys().filter(|name| plan.disabled.is_empty() && !needed.contains(*name));
        drift.extend(unused.map(|name| format!("nothing uses the image `{name}` any more")));
        let needed = personas(plan);
        let lacks = needed.keys().filter(|name| !self.personas.contains_key(*name));
        drift.extend(lacks.map(|name| format!("the persona `{name}` is not in it")));
        let unused = self.personas.keys().filter(|name| plan.disabled.is_empty() && !needed.contains_key(*name));
        drift.extend(unused.map(|name| format!("nothing uses the persona `{name}` any more")));
        for (service, build) in &self.builds {
            match contexts.get(service) {
                Some(context) if *context == build.context => {}
                Some(_) => drift.push(format!("what the image of `{service}` is built from has changed")),
                None if plan.disabled.contains(service) => {}
                None => drift.push(format!("`{service}` builds no image any more")),
            }
        }
        let endpoints = endpoints(plan);
        for (service, tools) in &self.tools {
            match endpoints.get(service) {
                Some(endpoint) if *endpoint == tools.endpoint => {}
                Some(endpoint) => {
                    drift.push(format!(
                        "the tools of `{service}` were asked at {}, and it is at {endpoint}",
                        tools.endpoint
                    ));
                }
                None if plan.disabled.contains(service) => {}
                None => drift.push(format!("no agent uses the tools of `{service}` any more")),
            }
        }
        for (runtime, source) in &runtimes(plan, cx) {
            match self.runtimes.get(runtime) {
                Some(locked) if locked == source => {}
                Some(locked) => drift.push(format!("the runtime `{runtime}` was {locked}, and is {source}")),
                None => drift.push(format!("the runtime `{runtime}` is not in it")),
            }
        }
        if self.claw != cx.version {
            drift.push(format!("claw {} wrote it, and this is {}", self.claw, cx.version));
        }
        drift
    }

    /// Returns what is other than in an earlier lock, line by line.
    pub fn changes(&self, before: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        let names: BTreeSet<&String> = before.images.keys().chain(self.images.keys()).collect();
        for name in names {
            match (before.images.get(name), self.images.get(name)) {
                (None, Some(now)) => lines.push(format!("{name}: added, {}", now.short())),
                (Some(_), None) => lines.push(format!("{name}: removed")),
                (Some(then), Some(now)) if then.short() != now.short() => {
                    lines.push(format!("{name}: {} is now {}", then.short(), now.short()));
                    lines.extend(fields(then, now).into_iter().map(|field| format!("{name}: {field}")));
                }
                (Some(then), Some(now)) if then != now => {
                    lines.extend(fields(then, now).into_iter().map(|field| format!("{name}: {field}")));
                }
                _ => {}
            }
        }
        let names: BTreeSet<&String> = before.builds.keys().chain(self.builds.keys()).collect();
        for name in names.into_iter().filter(|name| before.builds.get(*name) != self.builds.get(*name)) {
            let verb = match (before.builds.contains_key(name), self.builds.contains_key(name)) {
                (false, _) => "added",
                (_, false) => "removed",
                _ => "built from something else",
            };
            lines.push(format!("image of {name}: {verb}"));
        }
        let names: BTreeSet<&String> = before.personas.keys().chain(self.personas.keys()).collect();
        for name in names {
            let lines_of = match (before.personas.get(name), self.personas.get(name)) {
                (None, Some(now)) => format!("added, {}", shortened(&now.digest)),
                (Some(_), None) => "removed".to_owned(),
                (Some(then), Some(now)) if then != now => {
                    format!("{} is now {}", shortened(&then.digest), shortened(&now.digest))
                }
                _ => continue,
            };
            lines.push(format!("persona {name}: {lines_of}"));
        }
        let names: BTreeSet<&String> = before.tools.keys().chain(self.tools.keys()).collect();
        for name in names {
            match (before.tools.get(name), self.tools.get(name)) {
                (None, Some(now)) => {
                    lines.push(format!("tools of {name}: added, {}", now.tools.as_array().map_or(0, Vec::len)))
                }
                (Some(_), None) => lines.push(format!("tools of {name}: removed")),
                (Some(then), Some(now)) => {
                    lines.extend(then.differences(now).into_iter().map(|line| format!("tools of {name}: {line}")));
                }
                (None, None) => {}
            }
        }
        for (runtime, source) in &self.runtimes {
            match before.runtimes.get(runtime) {
                Some(then) if then == source => {}
                Some(then) => lines.push(format!("runtime {runtime}: {then} is now {source}")),
                None => lines.push(format!("runtime {runtime}: added, {source}")),
            }
        }
        let gone = before.runtimes.keys().filter(|runtime| !self.runtimes.contains_key(*runtime));
        lines.extend(gone.map(|runtime| format!("runtime {runtime}: removed")));
        if self.claw != before.claw && !before.claw.is_empty() {
            lines.push(format!("claw: {} is now {}", before.claw, self.claw));
        }
        lines
    }
}

/// Returns the facts of an image that differ.
fn fields(then: &LockedImage, now: &LockedImage) -> Vec<String> {
    let of = |image: &LockedImage| {
        [
            ("user", format!("{:?}", image.user)),
            ("entrypoint", format!("{:?}", image.entrypoint)),
            ("command", format!("{:?}", image.command)),
            ("exposed ports", format!("{:?}", image.exposed)),
            ("volumes", format!("{:?}", image.volumes)),
            ("variables", format!("{:?}", image.variables)),
            ("health check", format!("{:?}", image.has_healthcheck)),
            ("labels", format!("{:?}", image.labels)),
            ("manuals", format!("{:?}", image.manuals)),
        ]
    };
    let pairs = of(then).into_iter().zip(of(now));
    pairs.filter(|(then, now)| then != now).map(|((name, _), _)| format!("its {name} changed")).collect()
}

/// Returns the images that a pod runs or builds on and neither builds nor has from claw, by the name it gives them.
pub fn foreign(plan: &Plan, facts: &Facts, cx: &Context<'_>) -> BTreeSet<String> {
    let is_own = |name: &str| {
        let image = ImageRef::new(name);
        let tagged = cx.tagged(&image);
        image.repository() == claw_types::image::INFRA_REPOSITORY
            || plan.bases.contains_key(tagged.as_str())
            || plan.builds.values().any(|build| build.image.as_str() == name)
            || name == "scratch"
    };
    let unpinned = |image: &String| match image.rsplit_once('@') {
        Some((name, digest)) if facts.pins.get(name).is_some_and(|pin| pin == digest) => name.to_owned(),
        _ => image.clone(),
    };
    let services = plan.project.services.values().filter_map(|service| service.image.as_ref()).map(unpinned);
    let bases = plan.builds.values().filter_map(|build| build.base.clone());
    services.chain(bases).filter(|name| !is_own(name)).collect()
}

/// Returns where the MCP servers of a pod are that its agents use, by service.
pub fn endpoints(plan: &Plan) -> BTreeMap<String, String> {
    let surfaces = plan.units.values().flat_map(|unit| &unit.unit.surfaces);
    let endpoint = |surface: &Surface| match surface {
        Surface::Service { service, mcp: Some(mcp), .. } => Some((service.to_string(), mcp.clone())),
        _ => None,
    };
    surfaces.filter_map(endpoint).collect()
}

fn runtimes(plan: &Plan, cx: &Context<'_>) -> BTreeMap<String, String> {
    let used: BTreeSet<&str> = plan.units.values().map(|unit| unit.unit.runtime.as_str()).collect();
    let facts = cx.drivers.iter().map(|driver| driver.facts());
    let used = facts.filter(|facts: &&DriverFacts| used.contains(facts.name));
    used.map(|facts| (facts.name.to_owned(), facts.source.to_owned())).collect()
}

/// Has services run the images of a lock.
pub(crate) fn pin(plan: &mut Plan, pins: &BTreeMap<String, String>) {
    for service in plan.project.services.values_mut() {
        if let Some(image) = &mut service.image
            && let Some(digest) = pins.get(image.as_str())
            && !plan.builds.values().any(|build| build.image.as_str() == image)
        {
            *image = format!("{image}@{digest}");
        }
    }
}
