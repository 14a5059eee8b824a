//! Builds: what an image is made from, whether it is made already, and the call that makes it.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use claw_compiler::plan::Plan;
use claw_compiler::resolve::Build;
use claw_compose::template::Lookup;
use claw_types::image::{ImageFacts, label};

use crate::context::{Context, ContextError};

pub use crate::context::Never;
use crate::docker::{BuildCall, Builder, Docker, EngineError};

/// Why an image cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Its context cannot be sent.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// The engine refused.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The engine's builder cannot do what the file needs.
    #[error(
        "`{image}` needs {feature} (line {line} of `{file}`), which the {builder} builder of Docker Engine {engine} does not have: {help}"
    )]
    Feature {
        /// What is built.
        image: String,
        /// What is needed.
        feature: &'static str,
        /// Where.
        line: usize,
        /// Of which file.
        file: String,
        /// Which builder.
        builder: &'static str,
        /// The engine's major version.
        engine: u32,
        /// What to do.
        help: String,
    },
}

/// The first major version of Docker Engine whose built-in BuildKit frontend has a feature; 0 where none has it.
/// Sources: Dockerfile reference (frontend of each feature) and the BuildKit each engine embeds; 20.10 tried.
const FEATURES: &[(&str, u32)] = &[
    ("ADD --checksum", 25),
    ("ADD --keep-git-dir", 25),
    ("COPY --chmod", 20),
    ("COPY --exclude", 0),
    ("COPY --link", 23),
    ("COPY --parents", 0),
    ("HEALTHCHECK --start-interval", 25),
    ("RUN --mount", 20),
    ("RUN --network", 23),
    ("RUN --security", 0),
    ("heredocs", 23),
];

/// Returns the builder to ask: BuildKit, unless `DOCKER_BUILDKIT=0` says otherwise, as docker's own client does.
pub fn builder(lookup: &dyn Lookup) -> Builder {
    match lookup.get("DOCKER_BUILDKIT") {
        Some("0" | "false") => Builder::Classic,
        _ => Builder::BuildKit,
    }
}

/// Refuses what the builder of an engine cannot do, before anything is sent.
///
/// # Errors
/// Where the file uses a feature the builder lacks.
pub(crate) fn check(build: &Build, builder: Builder, engine: u32) -> Result<(), BuildError> {
    if build.has_frontend && builder == Builder::BuildKit {
        return Ok(());
    }
    for (feature, line) in &build.features {
        let since = FEATURES.iter().find(|(name, _)| name == feature).map_or(0, |(_, since)| *since);
        if builder == Builder::BuildKit && since != 0 && engine >= since {
            continue;
        }
        let help = match (builder, since) {
            (Builder::Classic, since) if since != 0 && engine >= since => "take `DOCKER_BUILDKIT=0` away".to_owned(),
            (_, 0) => "begin the file with `# syntax=docker/dockerfile:1`".to_owned(),
            (_, since) => {
                format!("Engine {since} has it, or begin the file with `# syntax=docker/dockerfile:1`")
            }
        };
        return Err(BuildError::Feature {
            image: build.image.to_string(),
            feature,
            line: *line,
            file: build.dockerfile.clone(),
            builder: builder.name(),
            engine,
            help,
        });
    }
    Ok(())
}

/// An image to be, with everything it is made from.
pub struct Building<'b> {
    build: &'b Build,
    context: Context,
    dockerfile: String,
    digest: String,
    args: HashMap<String, String>,
}

impl<'b> Building<'b> {
    /// Reads what a build is made from; `base` is the id of the image it starts from, where the engine has it.
    ///
    /// # Errors
    /// Where the context cannot be read.
    pub fn open(
        build: &'b Build,
        root: &Path,
        never: &Never,
        base: Option<&str>,
        lookup: &dyn Lookup,
    ) -> Result<Self, ContextError> {
        let folder = root.join(&build.context);
        let folder = folder
            .canonicalize()
            .map_err(|source| ContextError::Read { path: folder.display().to_string(), source })?;
        let (name, text) = match &build.generated {
            Some((name, text)) => (name.clone(), Some(text.clone())),
            None => (build.dockerfile.clone(), None),
        };
        // A Dockerfile outside its context is sent under a name of its own.
        let is_outside = name.starts_with('/') || name.split('/').any(|part| part == "..");
        let (name, text) = match (is_outside, text) {
            (true, None) => {
                let path = folder.join(&name);
                let text = std::fs::read_to_string(&path)
                    .map_err(|source| ContextError::Read { path: path.display().to_string(), source })?;
                (OUTSIDE.to_owned(), Some(text))
            }
            (true, text) => (OUTSIDE.to_owned(), text),
            (false, text) => (name, text),
        };
        let context = Context::open(&folder, &name, text.as_deref(), never)?;
        let args = arguments(build, lookup);
        let mut sorted: Vec<_> = args.iter().collect();
        sorted.sort();
        let written = &build.written;
        let seed =
            format!("{base:?} {name} {sorted:?} {:?} {:?} {:?}", written.target, written.labels, written.platforms);
        // The Dockerfile shapes the image, whatever it reads.
        let reads = build.reads.clone().map(|reads| reads.into_iter().chain([name.clone()]).collect::<Vec<_>>());
        let digest = context.digest(&seed, reads.as_deref())?;
        Ok(Self { build, context, dockerfile: name, digest, args })
    }

    /// Returns the digest of everything the image is made from.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Returns the name of the Dockerfile in the archive.
    pub(crate) fn dockerfile(&self) -> &str {
        &self.dockerfile
    }

    /// Returns the context as an archive.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub(crate) fn archive(&self) -> Result<Vec<u8>, ContextError> {
        self.context.archive()
    }

    /// Builds the image.
    ///
    /// # Errors
    /// Where the builder cannot do what the file needs, or a step fails.
    pub async fn run(&self, making: &Making<'_>) -> Result<(), BuildError> {
        check(self.build, making.builder, making.engine)?;
        let written = &self.build.written;
        let mut labels: HashMap<String, String> =
            written.labels.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        labels.insert(label::CONTEXT.to_owned(), self.digest.clone());
        let mut tags = vec![self.build.image.to_string()];
        tags.extend(written.tags.iter().cloned());
        let hosts: Vec<String> = written.extra_hosts.iter().map(|line| line.replacen('=', ":", 1)).collect();
        let call = BuildCall {
            tags,
            dockerfile: self.dockerfile.clone(),
            args: self.args.clone(),
            labels,
            target: written.target.clone(),
            network: written.network.clone(),
            extra_hosts: Some(hosts.join(",")),
            cache_from: written.cache_from.clone(),
            no_cache: written.no_cache == Some(true),
            pull: written.pull == Some(true),
            platform: written.platforms.first().cloned(),
            shm_size: written.shm_size.map(|size| size.0),
        };
        Ok(making.docker.build(&call, making.builder, self.context.archive()?, making.progress).await?)
    }
}

/// Who builds.
pub struct Making<'m> {
    /// The engine.
    pub docker: &'m Docker,
    /// Which of its builders.
    pub builder: Builder,
    /// Its major version.
    pub engine: u32,
    /// Where progress goes, line by line.
    pub progress: &'m dyn Fn(&str),
}

/// Returns the id of the image a build starts from, where the engine has it.
///
/// # Errors
/// Where the engine does not answer.
pub async fn base(build: &Build, docker: &Docker) -> Result<Option<String>, EngineError> {
    match build.base.as_deref() {
        Some(base) if base != "scratch" => Ok(docker.image(base).await?.and_then(|facts| facts.id)),
        _ => Ok(None),
    }
}

/// Where what is built lies.
pub struct Host<'h> {
    /// The pod's directory.
    pub root: &'h Path,
    /// Env files that the command line names.
    pub env_files: &'h [PathBuf],
    /// The variables.
    pub lookup: &'h dyn Lookup,
}

/// Returns what the engine knows of a service's image, where it was built from what is here now.
///
/// # Errors
/// Where the engine does not answer, or the context cannot be read.
pub async fn current(
    plan: &Plan,
    service: &str,
    host: &Host<'_>,
    docker: &Docker,
) -> Result<Option<ImageFacts>, BuildError> {
    let Some(build) = plan.builds.get(service) else { return Ok(None) };
    let Some(facts) = docker.image(build.image.as_str()).await? else { return Ok(None) };
    let base = base(build, docker).await?;
    let never = never(plan, host.root, host.env_files, service);
    let building = Building::open(build, host.root, &never, base.as_deref(), host.lookup)?;
    let is_current = facts.labels.get(label::CONTEXT).is_some_and(|context| context == building.digest());
    Ok(is_current.then_some(facts))
}

/// Returns the digest of what a service's image is built from, whatever its base is; nothing where it builds none.
///
/// # Errors
/// Where the context cannot be read.
pub fn context_of(plan: &Plan, service: &str, host: &Host<'_>) -> Result<Option<String>, BuildError> {
    let Some(build) = plan.builds.get(service) else { return Ok(None) };
    let never = never(plan, host.root, host.env_files, service);
    let building = Building::open(build, host.root, &never, None, host.lookup)?;
    Ok(Some(building.digest().to_owned()))
}

/// The name of a Dockerfile that lies outside its context.
const OUTSIDE: &str = ".Dockerfile.claw";

fn arguments(build: &Build, lookup: &dyn Lookup) -> HashMap<String, String> {
    let mut arguments = HashMap::new();
    for (name, value) in &build.written.args {
        let value = match &value.0 {
            Some(template) => template.resolve(lookup, &mut |_| {}).ok(),
            None => lookup.get(name).map(ToOwned::to_owned),
        };
        arguments.extend(value.map(|value| (name.clone(), value)));
    }
    arguments
}

/// Returns what the context of one Clawfile may not hold.
pub fn never_of(is_agent: bool) -> Never {
    let mut never = Never::default();
    never.names.insert(".claw".to_owned());
    if is_agent {
        never.names.insert(".env".to_owned());
    }
    never
}

/// Returns what no context of a plan may hold: claw's own files, and for agents `.env`, the files of secrets and env files:
/// those of the pod, and those that the command line named.
pub fn never(plan: &Plan, root: &Path, env_files: &[PathBuf], service: &str) -> Never {
    let is_agent = plan.units.values().any(|unit| unit.unit.service.as_str() == service);
    let mut never = never_of(is_agent);
    for build in plan.builds.values() {
        if let Some((name, _)) = &build.generated {
            never.paths.insert(real(&root.join(&build.context).join(name)));
        }
    }
    never.paths.insert(real(&root.join("compose.generated.yml")));
    if is_agent {
        let declared = plan.project.secrets.values().filter_map(|secret| secret.file.clone());
        let named = plan.sources.values().filter_map(|source| match source {
            claw_compiler::resolve::SecretSource::File(path) => Some(path.clone()),
            _ => None,
        });
        let files = declared.chain(named).chain(plan.env_files.iter().cloned());
        let files = files.map(|path| root.join(path)).chain(env_files.iter().cloned());
        // What a link leads to holds the values, the link only its place.
        never.paths.extend(files.flat_map(|path| [real(&path), path.canonicalize().unwrap_or(path)]));
    }
    never
}

/// Returns the service into whose build context a directory would go that holds secrets; nothing where it lies in none.
pub fn context_around(plan: &Plan, root: &Path, folder: &Path) -> Option<String> {
    let folder = real(&std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned()));
    let is_inside = |context: &str| root.join(context).canonicalize().is_ok_and(|context| folder.starts_with(context));
    plan.builds.iter().find(|(_, build)| is_inside(&build.context)).map(|(service, _)| service.clone())
}

/// Returns a path with the links of its directory followed, so that it compares with what a walk finds.
fn real(path: &Path) -> PathBuf {
    let parent = path.parent().and_then(|parent| parent.canonicalize().ok());
    match (parent, path.file_name()) {
        (Some(parent), Some(name)) => parent.join(name),
        _ => path.to_owned(),
    }
}

/// Returns the names of features that BuildKit of an engine has built in, for `doctor`.
pub fn built_in(engine: u32) -> BTreeSet<&'static str> {
    FEATURES.iter().filter(|(_, since)| *since != 0 && engine >= *since).map(|(name, _)| *name).collect()
}
