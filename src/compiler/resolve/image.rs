//! What a service's image says: read from the text it is built from, from its base, or from the engine.

use std::collections::BTreeMap;

use claw_types::diag::{Code, Diagnostic, Diagnostics, Reported};
use claw_types::image::{ImageFacts, ImageRef, label};
use claw_types::span::Span;

use super::{Agentish, Build};
use crate::clawfile::label::{self as labels, Declared};
use crate::clawfile::{Clawfile, Directive, StageFacts};
use crate::facts::{BuildFact, Context, Facts, clawfile_of};

/// Labels that name a file of the image.
const FILES: &[&str] = &[label::SKILL_EMIT, label::OPENAPI, label::MCP_TOOLS];

/// What a service's image says: its directives, and facts of the image.
#[derive(Clone)]
pub(crate) struct FromImage {
    pub(crate) directives: Vec<Declared>,
    pub(crate) facts: ImageFacts,
    pub(crate) build: Option<Build>,
}

/// Returns what the image of a service says.
///
/// # Errors
/// Where it cannot be told from what is here; the reasons are in `diag`.
pub(crate) fn from_image(
    agentish: &Agentish<'_>,
    pod: &str,
    at: Span,
    facts: &Facts,
    cx: &Context<'_>,
    diag: &mut Diagnostics,
) -> Result<FromImage, Reported> {
    let service = agentish.service.cloned().unwrap_or_default();
    if let Some(key) = agentish.build_key() {
        let span = service.origin.of("build", at);
        if let Some(inline) = service.build.as_ref().filter(|build| build.dockerfile_inline.is_some()) {
            let at = inline.origin.of("dockerfile_inline", span);
            let error = Diagnostic::error(Code::NotYet, at, "claw does not build `dockerfile_inline` yet");
            return Err(diag.report(error.help("write it to a file and name that with `dockerfile:`")));
        }
        if let Some(context) = Some(key.0.as_str()).filter(|context| is_remote(context)) {
            let error =
                Diagnostic::error(Code::Unsupported, span, format!("claw does not fetch the context `{context}`"));
            return Err(diag.report(error.help("clone it, and name the directory")));
        }
        let Some(found) = facts.builds.get(&key).and_then(Option::as_ref) else {
            let wanted = key.1.as_deref().unwrap_or("Clawfile` or `Dockerfile");
            let message = format!("there is no `{wanted}` in `{}`", key.0);
            let error = Diagnostic::error(Code::MissingFile, span, message);
            return Err(diag.report(error.help("`build:` names a directory; `dockerfile:` names the file in it")));
        };
        return built(agentish, pod, &key.0, found, span, facts, cx, diag);
    }
    let image = ImageRef::new(service.image.clone().unwrap_or_default());
    let span = service.origin.of("image", at);
    former(&image, span, facts, cx, diag);
    let facts = cx.image(&image, facts).unwrap_or(ImageFacts { is_partial: true, ..ImageFacts::default() });
    let directives = declared(agentish, &facts.labels, image.as_str(), span, diag);
    Ok(FromImage { directives, facts, build: None })
}

/// An image of the first implementation that nobody has here: what replaces it is told.
fn former(image: &ImageRef, at: Span, facts: &Facts, cx: &Context<'_>, diag: &mut Diagnostics) {
    let Some((base, _)) = cx.bases().find(|(base, _)| base.former.contains(&image.repository())) else { return };
    if facts.images.get(image).is_some_and(Option::is_some) {
        return;
    }
    let message = format!("`{image}` was an image of the first implementation, and it is not here");
    let warning = Diagnostic::warning(Code::Discouraged, at, message);
    diag.push(warning.help(format!("`{}` replaces it: claw builds it where a pod needs it", base.repository)));
}

/// What an image says that is built here: what its base says, and the Clawfile's own directives over it.
#[expect(clippy::too_many_arguments, reason = "the build, and the context every stage has")]
fn built(
    agentish: &Agentish<'_>,
    pod: &str,
    context: &str,
    found: &BuildFact,
    span: Span,
    facts: &Facts,
    cx: &Context<'_>,
    diag: &mut Diagnostics,
) -> Result<FromImage, Reported> {
    let service = agentish.service.cloned().unwrap_or_default();
    let clawfile = clawfile_of(found, cx, diag)?;
    let stage = clawfile.last_stage();
    let base = stage.base.clone();
    if let Some(base) = &base {
        former(&ImageRef::new(base.as_str()), span, facts, cx, diag);
    }
    let inherited = base.as_ref().and_then(|base| cx.image(&ImageRef::new(base.as_str()), facts));
    let is_scratch = base.as_deref() == Some("scratch");
    let image = service.image.clone().unwrap_or_else(|| format!("{pod}-{}", agentish.name));
    let generated = if clawfile.is_plain() { None } else { Some((generated_name(&found.name), clawfile.lower())) };
    let mut build = Build {
        context: context.to_owned(),
        written: service.build.as_deref().cloned().unwrap_or_default(),
        ..Build::of(ImageRef::new(image), found.name.clone(), generated, &clawfile)
    };
    if let Some(target) = build.written.target.as_deref().filter(|target| !clawfile.ends_with_stage(target))
        && !clawfile.is_plain()
    {
        let at = build.written.origin.of("target", span);
        let message = format!("`target: {target}` is not the stage that the directives of `{}` describe", found.name);
        let error = Diagnostic::error(Code::ConflictingKeys, at, message);
        return Err(
            diag.report(error.help("directives describe the last stage: take `target` away, or name that stage"))
        );
    }
    let own = clawfile.labels();
    let mut below = inherited.as_ref().map(|base| base.labels.clone()).unwrap_or_default();
    below.extend(stage.labels.clone());
    let from_text = merged(stage, inherited, is_scratch, own.clone());
    // What a file of the image says, the build alone can tell.
    build.is_partial = from_text.is_partial || FILES.iter().any(|label| from_text.labels.contains_key(*label));
    let facts = match facts.built.get(agentish.name).filter(|_| build.is_partial) {
        Some(built) => {
            below = built.labels.clone();
            below.retain(|key, value| own.get(key) != Some(value));
            built.clone()
        }
        None => from_text,
    };
    let directives = over(declared(agentish, &below, base.as_deref().unwrap_or_default(), span, diag), clawfile);
    Ok(FromImage { directives, facts, build: Some(build) })
}

/// What the labels of an image say of an agent; those of other services are nobody's business.
fn declared(
    agentish: &Agentish<'_>,
    labels: &BTreeMap<String, String>,
    image: &str,
    span: Span,
    diag: &mut Diagnostics,
) -> Vec<Declared> {
    if agentish.is_agent { labels::read(labels, image, span, diag) } else { Vec::new() }
}

/// A Clawfile's directives over those of its base: models by slot, handles by platform, invocations added, each other kind
/// replaced as a whole.
fn over(mut below: Vec<Declared>, clawfile: Clawfile) -> Vec<Declared> {
    let replaces = |own: &Directive, base: &Directive| match (own, base) {
        (Directive::Model { slot, .. }, Directive::Model { slot: other, .. }) => slot == other,
        (Directive::Handle(platform), Directive::Handle(other)) => platform == other,
        (Directive::Invoke { .. }, _) => false,
        _ => std::mem::discriminant(own) == std::mem::discriminant(base),
    };
    below.retain(|each| !clawfile.directives.iter().any(|own| replaces(&own.value, &each.value)));
    below.extend(clawfile.directives.into_iter().map(Declared::from));
    below
}

/// A context that the engine would fetch from elsewhere: what was built could not be told from what was written.
fn is_remote(context: &str) -> bool {
    let schemes = ["http://", "https://", "git://", "ssh://", "git@", "github.com/", "oci://"];
    schemes.iter().any(|scheme| context.starts_with(scheme))
}

/// Returns the name of the Dockerfile that a Clawfile becomes.
pub fn generated_name(name: &str) -> String {
    match name.rsplit_once('/') {
        Some((folder, "Clawfile")) => format!("{folder}/Dockerfile.generated"),
        None if name == "Clawfile" => "Dockerfile.generated".to_owned(),
        _ => format!("{name}.generated"),
    }
}

fn merged(
    stage: StageFacts,
    base: Option<ImageFacts>,
    is_scratch: bool,
    directives: BTreeMap<String, String>,
) -> ImageFacts {
    let mut facts = base.unwrap_or(ImageFacts { is_partial: !is_scratch, ..ImageFacts::default() });
    facts.id = None;
    facts.user = stage.user.or(facts.user);
    if stage.entrypoint.is_some() {
        facts.entrypoint = stage.entrypoint;
        facts.command = None;
    }
    facts.command = stage.command.or(facts.command);
    facts.exposed.extend(stage.exposed);
    facts.volumes.extend(stage.volumes);
    facts.volumes.sort();
    facts.volumes.dedup();
    facts.variables.extend(stage.variables);
    facts.has_healthcheck |= stage.has_healthcheck;
    facts.labels.extend(stage.labels);
    facts.labels.extend(directives);
    facts
}
