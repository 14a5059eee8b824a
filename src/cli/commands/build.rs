//! `claw build`: images, of a Clawfile or of the pod's services.

use std::path::{Path, PathBuf};

use claw_compiler::clawfile::{self, Clawfile};
use claw_compiler::plan::steps::Mode;
use claw_compiler::resolve::{Build, generated_name};
use claw_engine::apply::ApplyError;
use claw_engine::docker::Docker;
use claw_engine::files::write_dockerfile;
use claw_engine::gather::{Engine, Environment};
use claw_engine::image::{Building, Making, Never, builder, never, never_of};
use claw_types::diag::Diagnostics;
use claw_types::image::ImageRef;
use claw_types::span::SourceMap;
use serde_json::json;

use super::up;
use crate::args::{BuildArgs, Global};
use crate::exit::{CommandError, Exit};
use crate::input;
use crate::session::{self, block_on};
use crate::ui::Ui;

pub(crate) fn run(global: &Global, args: &BuildArgs, ui: &Ui) -> Result<Exit, CommandError> {
    match subject(global, args)? {
        Subject::Clawfile { file, context } => {
            let mut text = Text::read(&file)?;
            let Some(clawfile) = text.parse() else {
                ui.result("build", "", serde_json::Value::Null, &text.diagnostics, &text.sources);
                return Ok(Exit::Wrong);
            };
            ui.diagnostics(&text.diagnostics, &text.sources);
            if args.emit {
                ui.bare(&clawfile.lower());
                return Ok(Exit::Done);
            }
            one(global, args, &file, &context, &clawfile, ui)
        }
        Subject::Pod => pod(global, args, ui),
    }
}

/// What is built.
enum Subject {
    Clawfile { file: PathBuf, context: PathBuf },
    Pod,
}

/// A file or folder that is named is meant; a pod file that is found is meant; else the Clawfile here.
fn subject(global: &Global, args: &BuildArgs) -> Result<Subject, CommandError> {
    let is_pod_file = |path: &PathBuf| path.extension().is_some_and(|end| end == "yml" || end == "yaml");
    let named = match global.file.as_slice() {
        [path] if !is_pod_file(path) => Some(path.clone()),
        [_] | [] => None,
        _ => return Err(CommandError::Usage("`build` takes one `-f`".to_owned())),
    };
    let first = args.subjects.first().map(PathBuf::from);
    let folder = first.clone().filter(|path| path.is_dir());
    let file = first.filter(|path| path.is_file());
    let is_single = args.emit || args.tag.is_some() || named.is_some() || folder.is_some() || file.is_some();
    if !is_single && (!global.file.is_empty() || crate::discover::find(Path::new(".")).is_ok()) {
        return Ok(Subject::Pod);
    }
    if let Some(word) = args.subjects.first().filter(|_| folder.is_none() && file.is_none()) {
        return Err(CommandError::NoFile(word.clone(), "is neither a directory nor a Clawfile"));
    }
    let file = named.or(file);
    let parent = |file: &Path| match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let context = match (&folder, &file) {
        (Some(folder), _) => folder.clone(),
        // Docker takes the working directory; a Clawfile's own directory is what its author meant.
        (None, Some(file)) => parent(file),
        (None, None) => PathBuf::from("."),
    };
    let here = || ["Clawfile", "Dockerfile"].map(|name| context.join(name)).into_iter().find(|path| path.is_file());
    match file.or_else(here) {
        Some(file) => Ok(Subject::Clawfile { file, context }),
        None => Err(CommandError::NoFile(context.join("Clawfile").display().to_string(), "does not exist")),
    }
}

/// A Clawfile's text and what is wrong with it.
struct Text {
    sources: SourceMap,
    diagnostics: Diagnostics,
    file: claw_types::span::FileId,
}

impl Text {
    fn read(path: &Path) -> Result<Self, CommandError> {
        let mut sources = SourceMap::new();
        let file = input::source(path, &mut sources)?;
        Ok(Self { sources, diagnostics: Diagnostics::new(), file })
    }

    fn parse(&mut self) -> Option<Clawfile> {
        clawfile::parse(self.sources.get(self.file)?, &claw_drivers::names(), &mut self.diagnostics).ok()
    }
}

/// Builds one Clawfile: writes the Dockerfile beside it, then the image.
fn one(
    global: &Global,
    args: &BuildArgs,
    file: &Path,
    context: &Path,
    clawfile: &Clawfile,
    ui: &Ui,
) -> Result<Exit, CommandError> {
    let context = context.canonicalize().unwrap_or_else(|_| context.to_owned());
    let file = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    let folder = context.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let tag =
        args.tag.clone().or_else(|| claw_compose::load::normal_name(&folder).map(|name| format!("{name}:latest")));
    let tag = tag.ok_or_else(|| {
        CommandError::Usage("the directory's name is no image's: name the image with `-t`".to_owned())
    })?;
    // In the context by its path there, else by its absolute path.
    let name = file.strip_prefix(&context).unwrap_or(&file).display().to_string();
    let generated = if clawfile.is_plain() { None } else { Some((generated_name(&name), clawfile.lower())) };
    if let Some((name, text)) = &generated {
        write_dockerfile(&context.join(name), text)?;
    }
    let mut build = Build::of(ImageRef::new(tag.as_str()), name, generated.clone(), clawfile);
    build.written.no_cache = args.no_cache.then_some(true);
    block_on(async {
        let mut sources = SourceMap::new();
        let mut diagnostics = Diagnostics::new();
        let environment = Environment::read(&[context.as_path()], &global.env_file, &mut sources, &mut diagnostics)?;
        let engine = Engine::new();
        let docker = engine.docker().await?;
        let made = make(&build, &context, &environment, docker, &never_of(!clawfile.is_plain()), ui).await?;
        let image = json!({ "service": null, "image": tag, "id": made, "is_new": true });
        let data = json!({ "pod": null, "images": [image] });
        ui.result("build", &format!("built {tag} {made}"), data, &diagnostics, &sources);
        Ok(Exit::Done)
    })
}

async fn make(
    build: &Build,
    root: &Path,
    environment: &Environment,
    docker: &Docker,
    never: &Never,
    ui: &Ui,
) -> Result<String, CommandError> {
    let version = env!("CARGO_PKG_VERSION");
    claw_engine::pack::ensure(build, version, docker, &|line| ui.progress(line)).await?;
    let base = claw_engine::image::base(build, docker).await?;
    let building = Building::open(build, root, never, base.as_deref(), environment).map_err(ApplyError::Context)?;
    ui.progress(&format!("build {}", build.image));
    let (_, _, engine) = docker.platform().await?;
    let making =
        Making { docker, builder: builder(environment), engine, progress: &|line| ui.progress(&format!("  {line}")) };
    building.run(&making).await.map_err(ApplyError::Build)?;
    Ok(docker.image(build.image.as_str()).await?.and_then(|facts| facts.id).unwrap_or_default())
}

/// Builds the images of a pod's services, those that are up to date too where the cache is not wanted.
fn pod(global: &Global, args: &BuildArgs, ui: &Ui) -> Result<Exit, CommandError> {
    session::with(global, "build", ui, async |session| {
        for name in &args.subjects {
            if session.plan.compose_services(name).is_empty() {
                return Err(session.no_service(name));
            }
        }
        let is_wanted = |service: &str| args.subjects.is_empty() || args.subjects.iter().any(|name| name == service);
        let docker = session.docker().await?;
        let (observed, _) = up::look(&session, &Mode::default()).await?;
        let mut images = Vec::new();
        let mut lines = Vec::new();
        for (service, build) in session.plan.builds.iter().filter(|(service, _)| is_wanted(service)) {
            let known = observed.images.get(build.image.as_str());
            let is_new = known.is_some_and(|image| {
                image.context.is_some() && image.context.as_ref() == observed.contexts.get(service)
            });
            let mut build = build.clone();
            if args.no_cache {
                build.written.no_cache = Some(true);
            }
            let id = match known.filter(|_| is_new && !args.no_cache) {
                Some(image) => image.id.clone(),
                None => {
                    if let Some((name, text)) = &build.generated {
                        write_dockerfile(&session.input.root.join(&build.context).join(name), text)?;
                    }
                    let root = &session.input.root;
                    let never = never(&session.plan, root, &session.input.env_files, service);
                    make(&build, root, &session.input.environment, docker, &never, ui).await?
                }
            };
            lines.push(format!("{service}: {} {id}", build.image));
            images.push(json!({ "service": service, "image": build.image.as_str(), "id": id, "is_new": !is_new }));
        }
        let text = if lines.is_empty() {
            "nothing is built from a Clawfile or Dockerfile".to_owned()
        } else {
            lines.join("\n")
        };
        session.result("build", &text, json!({ "pod": session.plan.pod.as_str(), "images": images }));
        Ok(Exit::Done)
    })
}
