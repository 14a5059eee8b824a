//! Finds and reads what a command works on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use claw_compiler::facts::{Context, Facts, Need, PodSpec, missing};
use claw_compiler::lockfile::{Lockfile, NAME};
use claw_compiler::plan::Plan;
use claw_engine::apply::ApplyError;
use claw_engine::files::{Found, read_text};
use claw_engine::gather::{Engine, Environment, answer, display};
use claw_engine::image::{Host, context_of, current};
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::image::ImageRef;
use claw_types::span::{FileId, SourceMap, Span};

use crate::args::Global;
use crate::discover;
use crate::exit::CommandError;
use crate::ui::Ui;

/// Errors that `--compat` turns into warnings.
const SOFTENED: &[Code] = &[Code::PrivilegedSurface, Code::UnsetVariable];

/// What was read, and what was found to be wrong with it.
pub(crate) struct Input {
    pub(crate) sources: SourceMap,
    pub(crate) diagnostics: Diagnostics,
    /// The pod's directory, absolute.
    pub(crate) root: PathBuf,
    /// The pod's files: their paths from its directory, and their texts.
    pub(crate) files: Vec<(String, FileId)>,
    pub(crate) environment: Environment,
    pub(crate) name: Option<String>,
    pub(crate) profiles: Vec<String>,
    pub(crate) env_files: Vec<PathBuf>,
    pub(crate) engine: Engine,
    /// What the compiler was told so far.
    pub(crate) facts: Facts,
    /// `claw.lock`, where it counts: its file, and what it says.
    pub(crate) lock: Option<(FileId, Lockfile)>,
    /// Nothing is known of images but what the lock says.
    is_locked: bool,
    softened: Vec<Code>,
}

/// Reads a text file that must be there; `-` is standard input.
pub(crate) fn source(path: &Path, sources: &mut SourceMap) -> Result<FileId, CommandError> {
    let shown = || path.display().to_string();
    if path == Path::new("-") {
        let text = std::io::read_to_string(std::io::stdin().lock());
        let text = text.map_err(|_| CommandError::NoFile("standard input".to_owned(), "is not UTF-8 text"))?;
        return Ok(sources.add("-", text));
    }
    match read_text(path)? {
        Found::Text(text) => Ok(sources.add(display(path), text)),
        Found::NotText => Err(CommandError::NoFile(shown(), "is not UTF-8 text, or longer than 16 MiB")),
        Found::NotRegular => Err(CommandError::NoFile(shown(), "is no regular file")),
        Found::Missing | Found::Outside => Err(CommandError::NoFile(shown(), "does not exist")),
    }
}

/// Returns the input of a pod that is known by its name alone.
pub(crate) fn nameless(name: &str) -> Result<Input, CommandError> {
    let mut sources = SourceMap::new();
    let mut diagnostics = Diagnostics::new();
    let environment = Environment::read(&[], &[], &mut sources, &mut diagnostics)?;
    Ok(Input {
        sources,
        diagnostics,
        root: discover::absolute(Path::new("."))?,
        files: Vec::new(),
        name: Some(name.to_owned()),
        profiles: Vec::new(),
        env_files: Vec::new(),
        environment,
        engine: Engine::new(),
        facts: Facts::default(),
        lock: None,
        is_locked: false,
        softened: Vec::new(),
    })
}

/// Reads the pod's files, the environment, and `claw.lock` where it is there.
pub(crate) fn read(global: &Global) -> Result<Input, CommandError> {
    let mut input = read_softening(global, &[])?;
    input.lock = input.lockfile()?;
    input.is_locked = global.locked;
    match &input.lock {
        Some((_, lock)) => {
            input.facts.pins = lock.pins();
            lock.tell(global.locked, &mut input.facts, &mut input.sources);
        }
        None if global.locked && !input.diagnostics.has_errors() => {
            return Err(CommandError::Usage(format!("there is no `{NAME}` here: `claw update` writes it")));
        }
        None => {}
    }
    Ok(input)
}

/// The same for a command to which some errors are none: they become warnings.
pub(crate) fn read_softening(global: &Global, codes: &[Code]) -> Result<Input, CommandError> {
    let found = discover::files(global)?;
    let compat = if global.compat { SOFTENED } else { &[] };
    let softened = [compat, codes].concat();
    let mut sources = SourceMap::new();
    let mut diagnostics = Diagnostics::softening(&softened);
    let first = found.files.first().ok_or(CommandError::NoPodFile)?;
    let parent = first.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let root = discover::absolute(global.project_directory.as_deref().unwrap_or(parent))?;
    if !root.is_dir() {
        return Err(CommandError::NoFile(root.display().to_string(), "does not exist"));
    }
    let files = found.files.iter().map(|path| Ok((discover::inside(path, &root)?, source(path, &mut sources)?)));
    let files = files.collect::<Result<Vec<_>, CommandError>>()?;
    if let Some(warning) = found.warning {
        let at = Span::start_of(files.first().map_or(FileId(0), |(_, file)| *file));
        let warning = Diagnostic::warning(Code::Discouraged, at, warning);
        diagnostics.push(warning.help("name the one you mean with `-f`, or take the other away"));
    }
    let here = discover::absolute(Path::new("."))?;
    // What the working directory sets stands above what the project's does, unless the command line says where the project is.
    let is_placed = global.project_directory.is_some() || !global.file.is_empty() || here == root;
    let directories = if is_placed { vec![root.as_path()] } else { vec![here.as_path(), root.as_path()] };
    let directories = if discover::has_default_env() { directories } else { Vec::new() };
    let environment = Environment::read(&directories, &found.env_files, &mut sources, &mut diagnostics)?;
    let set = |name: &str| environment.plain(name).filter(|value| !value.is_empty());
    let name = global.project_name.clone().filter(|name| !name.is_empty());
    let name = name.or_else(|| set("COMPOSE_PROJECT_NAME").map(ToOwned::to_owned));
    if let Some(name) = &name
        && claw_compose::load::normal_name(name).as_deref() != Some(name)
    {
        let rule = "lower-case letters, digits, `-` and `_`, starting with a letter or digit";
        return Err(CommandError::Usage(format!("`{name}` is not a project name: use {rule}")));
    }
    let profiles = match global.profile.as_slice() {
        [] => set("COMPOSE_PROFILES").map(|list| list.split(',').map(|name| name.trim().to_owned()).collect()),
        given => Some(given.to_vec()),
    };
    Ok(Input {
        sources,
        diagnostics,
        root,
        files,
        name,
        profiles: profiles.unwrap_or_default(),
        env_files: found.env_files,
        environment,
        engine: Engine::new(),
        facts: Facts::default(),
        lock: None,
        is_locked: false,
        softened,
    })
}

impl Input {
    /// Returns the plan of the pod; nothing where diagnostics say why not. Asks for what is not known yet.
    pub(crate) async fn plan(&mut self) -> Result<Option<Plan>, CommandError> {
        let spec = self.spec();
        let read = self.diagnostics.clone();
        let mut plan = self.compile(&spec).await?;
        if let Some(seen) = &plan
            && self.learn(seen).await?
        {
            self.diagnostics = read;
            plan = self.compile(&spec).await?;
        }
        self.without_engine(&spec);
        if let Some(plan) = &plan {
            self.drift(plan)?;
        }
        Ok(plan.filter(|_| !self.diagnostics.has_errors()))
    }

    /// Reads `claw.lock`; nothing where there is none, or none that can be read, which is said.
    pub(crate) fn lockfile(&mut self) -> Result<Option<(FileId, Lockfile)>, CommandError> {
        let Some(file) = self.lock_text()? else { return Ok(None) };
        let Some(source) = self.sources.get(file) else { return Ok(None) };
        Ok(Lockfile::parse(source, &mut self.diagnostics).map(|lock| (file, lock)))
    }

    /// Reads `claw.lock`, whose listings of tools may have been edited, to ask for them anew; nothing where there is none. One that
    /// cannot be read otherwise is an error: all else in it stays as it is.
    pub(crate) fn edited_lockfile(&mut self) -> Result<Option<(FileId, Lockfile)>, CommandError> {
        let Some(file) = self.lock_text()? else { return Ok(None) };
        match self.sources.get(file).and_then(Lockfile::parse_edited) {
            Some(lock) => Ok(Some((file, lock))),
            None => Err(CommandError::Usage(format!(
                "`{NAME}` cannot be read, so what it says of images cannot be kept: `claw update` writes it anew"
            ))),
        }
    }

    fn lock_text(&mut self) -> Result<Option<FileId>, CommandError> {
        let path = self.root.join(NAME);
        match read_text(&path)? {
            Found::Text(text) => Ok(Some(self.sources.add(display(&path), text))),
            Found::Missing => Ok(None),
            Found::NotText | Found::NotRegular | Found::Outside => {
                Err(CommandError::NoFile(display(&path), "is no text file"))
            }
        }
    }

    /// Tells where the lock is not of this pod: an error where nothing else counts.
    fn drift(&mut self, plan: &Plan) -> Result<(), CommandError> {
        let Some((file, lock)) = &self.lock else { return Ok(()) };
        let contexts = self.contexts(plan, lock.builds.keys().map(String::as_str))?;
        let drift = lock.drift(plan, &self.facts, &contexts, &context(&self.sources));
        if !drift.is_empty() {
            let (at, message) = (Span::start_of(*file), format!("`{NAME}` is not of this pod: {}", drift.join("; ")));
            let diagnostic = match self.is_locked {
                true => Diagnostic::error(Code::LockDrift, at, message),
                false => Diagnostic::warning(Code::LockDrift, at, message),
            };
            self.diagnostics.push(diagnostic.help("`claw update` moves it to what is there now"));
        }
        Ok(())
    }

    /// Returns the digests of what the images of some services are built from.
    pub(crate) fn contexts<'i>(
        &self,
        plan: &Plan,
        services: impl Iterator<Item = &'i str>,
    ) -> Result<BTreeMap<String, String>, CommandError> {
        let host = Host { root: &self.root, env_files: &self.env_files, lookup: &self.environment };
        let mut contexts = BTreeMap::new();
        for service in services {
            let context = context_of(plan, service, &host).map_err(ApplyError::from)?;
            contexts.extend(context.map(|context| (service.to_owned(), context)));
        }
        Ok(contexts)
    }

    /// Returns whether refusals for agents are warnings.
    pub(crate) fn is_compat(&self) -> bool {
        SOFTENED.iter().all(|code| self.softened.contains(code))
    }

    /// Asks the engine for an image that nobody had to ask for.
    pub(crate) async fn know(&mut self, image: &str) -> Result<(), CommandError> {
        let image = ImageRef::new(image);
        if !self.facts.images.contains_key(&image) {
            let needs = [Need::Image(image)].into();
            answer(needs, &self.root, &mut self.environment, &self.engine, &mut self.facts, &mut self.sources).await?;
        }
        Ok(())
    }

    /// Returns what the compiler is told beside facts.
    pub(crate) fn context(&self) -> Context<'_> {
        context(&self.sources)
    }

    /// Returns what the pod is made of.
    pub(crate) fn spec(&self) -> PodSpec {
        let directory = self.root.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        PodSpec { files: self.files.clone(), name: self.name.clone(), directory, profiles: self.profiles.clone() }
    }

    async fn compile(&mut self, spec: &PodSpec) -> Result<Option<Plan>, CommandError> {
        loop {
            let needs = missing(spec, &self.facts, &context(&self.sources));
            if needs.is_empty() {
                break;
            }
            let needs = match self.is_locked {
                true => self.facts.without_engine(needs),
                false => needs,
            };
            answer(needs, &self.root, &mut self.environment, &self.engine, &mut self.facts, &mut self.sources).await?;
        }
        Ok(claw_compiler::compile(spec, &self.facts, &context(&self.sources), &mut self.diagnostics).ok())
    }

    /// Looks at images whose texts do not tell all, where they were built from what is here. Returns whether that is news.
    async fn learn(&mut self, plan: &Plan) -> Result<bool, CommandError> {
        let mut is_new = false;
        for (service, _) in plan.builds.iter().filter(|(_, build)| build.is_partial && !self.is_locked) {
            let Ok(docker) = self.engine.docker().await else { return Ok(is_new) };
            let host = Host { root: &self.root, env_files: &self.env_files, lookup: &self.environment };
            let found = current(plan, service, &host, docker).await;
            if let Some(facts) = found.map_err(ApplyError::from)?
                && self.facts.built.get(service) != Some(&facts)
            {
                self.facts.built.insert(service.clone(), facts);
                is_new = true;
            }
        }
        Ok(is_new)
    }

    /// Returns the findings for a result that carries them: programs get them there, people have read them already.
    pub(crate) fn diagnostics_for(&self, ui: &Ui) -> Diagnostics {
        if ui.is_json() { self.diagnostics.clone() } else { Diagnostics::new() }
    }

    /// Forgets what was found, so that a second compile says it anew.
    pub(crate) fn forget_findings(&mut self) {
        self.diagnostics = Diagnostics::softening(&self.softened);
    }

    /// An image may make its service an agent: where nobody could look, that is told.
    fn without_engine(&mut self, spec: &PodSpec) {
        let Some(failure) = self.engine.failure() else { return };
        let unseen: Vec<&str> =
            self.facts.images.iter().filter(|(_, facts)| facts.is_none()).map(|(image, _)| image.as_str()).collect();
        if unseen.is_empty() || !spec.has_agents(&self.facts, &context(&self.sources)) {
            return;
        }
        let message = format!("no engine answers, so nobody looked into `{}`", unseen.join("`, `"));
        let warning = Diagnostic::warning(Code::NeedsEngine, spec.origin(), message);
        self.diagnostics.push(
            warning.note(failure.to_string()).help(
                "start the engine, or say what the images are: `x-claw: {type: RUNTIME}` makes a service an agent",
            ),
        );
    }
}

fn context(sources: &SourceMap) -> Context<'_> {
    Context { sources, drivers: claw_drivers::ALL, version: env!("CARGO_PKG_VERSION") }
}
