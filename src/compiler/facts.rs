//! What the compiler must be told, and what it was told: needs and facts.
//!
//! The shell asks [`missing`], finds the answers, and asks again until nothing is missing. An answer may be "absent", so the
//! loop ends. Facts are a value: recorded, they replay a compile without the machine it ran on.

use std::collections::{BTreeMap, BTreeSet};

use claw_compose::load::{self, Loaded, Options};
use claw_compose::template::Template;
use claw_compose::yaml::Node;
use claw_types::diag::{Code, Diagnostic, Diagnostics, Reported};
use claw_types::driver::{BaseImage, DriverFacts};
use claw_types::image::{INFRA_PROGRAM, INFRA_REPOSITORY, ImageFacts, ImageRef, label};
use claw_types::path::{ContainerPath, PodPath};
use claw_types::platform::Platform;
use claw_types::secret::is_secret_name;
use claw_types::span::{FileId, SourceMap, Span};

use crate::clawfile;
use crate::pod::makes_agent;
use crate::resolve::agentish::Agentish;

/// What a pod file says, before anything is looked up.
#[derive(Clone, Debug)]
pub struct PodSpec {
    /// The pod file.
    pub file: FileId,
    /// Its tree.
    pub tree: Node,
    /// The project's name, where the command line or the environment gives one.
    pub name: Option<String>,
    /// The name of the pod's directory.
    pub directory: String,
    /// Profiles that are enabled; `*` for all.
    pub profiles: Vec<String>,
}

impl PodSpec {
    /// Returns whether the file speaks of agents at all: `x-claw` at the top or in a service.
    pub fn has_agents(&self) -> bool {
        let services = self.tree.get("services").map_or(&[][..], Node::entries);
        self.tree.get("x-claw").is_some() || services.iter().any(|service| service.value.get("x-claw").is_some())
    }
}

/// Something the compiler must be told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// The value of a variable.
    Variable(String),
    /// Whether a variable is set; its value is secret by position.
    IsSet(String),
    /// Whether the file of a secret is there; its content is secret.
    HasSecretFile(String),
    /// The text of a file inside the pod's directory.
    File(PodPath),
    /// The variables of an env file, each with its value unless its name makes it secret: the path as written.
    EnvFile(String),
    /// The build file of a context: the one named, or `Clawfile` before `Dockerfile`.
    BuildFile {
        /// The context as written.
        context: String,
        /// The build file as written.
        dockerfile: Option<String>,
    },
    /// What is known of an image.
    Image(ImageRef),
    /// The text of a file inside an image: the manual it brings along.
    Manual(ImageRef, ContainerPath),
    /// Where a path of the host leads that an agent mounts: the path as written.
    HostPath(String),
    /// The id of the account that a platform's token belongs to; the token itself is secret.
    Account(Platform, TokenPlace),
}

/// Where a secret token is whose account is asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TokenPlace {
    /// A variable.
    Variable(String),
    /// A file: its path as written.
    File(String),
    /// A variable of an env file: the file's path as written, and the variable.
    EnvFile(String, String),
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFact {
    /// Its text.
    Text(FileId),
    /// It is not there.
    Missing,
    /// It is a directory or something else that is no regular file.
    NotRegular,
    /// Its bytes are not UTF-8.
    NotText,
    /// It leads out of the pod's directory.
    Outside,
}

/// What became of a manual inside an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManualFact {
    /// Its text.
    Text(FileId),
    /// There is no such file, or nobody could look.
    Missing,
    /// It is a directory, a link or something else that is no regular file.
    NotRegular,
    /// Its bytes are not UTF-8.
    NotText,
    /// It is longer than a manual may be.
    TooLong,
}

/// Where a path of the host leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostFact {
    /// There is nothing, on this host.
    Missing,
    /// Into the pod's directory.
    Inside,
    /// To this absolute path, every link followed.
    At(String),
}

/// A build file that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildFact {
    /// Its name in the context.
    pub name: String,
    /// Its text.
    pub file: FileId,
}

/// What an env file says: a variable and its value, nothing where the value is secret and stays with the engine.
pub type EnvFileFact = BTreeMap<String, Option<String>>;

/// Everything the compiler was told.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Variables: a value, or nothing where unset.
    pub variables: BTreeMap<String, Option<String>>,
    /// Secret variables: whether they are set.
    pub set: BTreeMap<String, bool>,
    /// Files of secrets: whether they are there.
    pub secret_files: BTreeMap<String, bool>,
    /// Files by path.
    pub files: BTreeMap<PodPath, FileFact>,
    /// Env files by path; nothing where there is none.
    pub env_files: BTreeMap<String, Option<EnvFileFact>>,
    /// Build files by context and name; nothing where there is none.
    pub builds: BTreeMap<(String, Option<String>), Option<BuildFact>>,
    /// Images; nothing where neither engine nor text knows them.
    pub images: BTreeMap<ImageRef, Option<ImageFacts>>,
    /// Manuals by image and path.
    pub manuals: BTreeMap<(ImageRef, ContainerPath), ManualFact>,
    /// Paths of the host as written.
    pub host_paths: BTreeMap<String, HostFact>,
    /// Accounts of tokens; nothing where the token does not tell.
    pub accounts: BTreeMap<(Platform, TokenPlace), Option<String>>,
    /// Images that were just built, by service: what only a build can tell.
    pub built: BTreeMap<String, ImageFacts>,
}

impl Facts {
    fn has(&self, need: &Need) -> bool {
        match need {
            Need::Variable(name) => self.variables.contains_key(name),
            Need::IsSet(name) => self.set.contains_key(name),
            Need::HasSecretFile(path) => self.secret_files.contains_key(path),
            Need::File(path) => self.files.contains_key(path),
            Need::EnvFile(path) => self.env_files.contains_key(path),
            Need::BuildFile { context, dockerfile } => self.builds.contains_key(&(context.clone(), dockerfile.clone())),
            Need::Image(image) => self.images.contains_key(image),
            Need::Manual(image, path) => self.manuals.contains_key(&(image.clone(), path.clone())),
            Need::HostPath(path) => self.host_paths.contains_key(path),
            Need::Account(platform, place) => self.accounts.contains_key(&(*platform, place.clone())),
        }
    }

    /// Answers a need where there is no host: every variable is `v`, every file is `text`, and nobody has any image.
    pub fn suppose(&mut self, need: Need, text: FileId) {
        match need {
            Need::Variable(name) => drop(self.variables.insert(name, Some("v".to_owned()))),
            Need::IsSet(name) => drop(self.set.insert(name, true)),
            Need::HasSecretFile(path) => drop(self.secret_files.insert(path, true)),
            Need::EnvFile(path) => drop(self.env_files.insert(path, None)),
            Need::File(path) => drop(self.files.insert(path, FileFact::Text(text))),
            Need::BuildFile { context, dockerfile } => drop(self.builds.insert((context, dockerfile), None)),
            Need::Image(image) => drop(self.images.insert(image, None)),
            Need::Manual(image, path) => drop(self.manuals.insert((image, path), ManualFact::Text(text))),
            Need::HostPath(path) => drop(self.host_paths.insert(path.clone(), HostFact::At(path))),
            Need::Account(platform, place) => drop(self.accounts.insert((platform, place), None)),
        }
    }
}

impl claw_compose::template::Lookup for Facts {
    fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).and_then(|value| value.as_deref())
    }
}

/// Returns whether the scalar at a path keeps its variables: it may hold a secret.
pub(crate) fn keeps(path: &[String]) -> bool {
    let keys: Vec<&str> = path.iter().map(String::as_str).collect();
    matches!(
        keys.as_slice(),
        ["services", _, "environment", ..]
            | ["services", _, "x-claw", "cllama-env", ..]
            | ["x-claw", "cllama-env", ..]
            | ["x-claw", "providers", _, "key"]
    )
}

/// Returns whether a variable's value stays with the engine, seen from where it is used.
fn is_sealed(name: &str, path: &[String], declared: &BTreeSet<&str>) -> bool {
    if !keeps(path) {
        return false;
    }
    if declared.contains(name) {
        return true;
    }
    let is_environment = path.get(2).is_some_and(|key| key == "environment");
    !is_environment
        || is_secret_name(name)
        || path.get(3).is_some_and(|key| is_secret_name(key.split('=').next().unwrap_or(key)))
}

/// A pod file with its values, and what was found out on the way.
pub(crate) struct LoadedPod {
    /// The file.
    pub(crate) loaded: Loaded,
    /// Services that are agents, as far as what is known tells.
    pub(crate) agents: BTreeSet<String>,
}

/// Returns the typed project of a pod file with the facts known so far.
pub(crate) fn load_pod(
    spec: &PodSpec,
    facts: &Facts,
    cx: &Context<'_>,
    diag: &mut Diagnostics,
) -> Result<LoadedPod, Reported> {
    let Some(source) = cx.sources.get(spec.file) else {
        return Err(diag.report(Diagnostic::error(
            Code::MissingFile,
            Span::start_of(spec.file),
            "the pod file is gone",
        )));
    };
    let agents = agents(&spec.tree, facts, cx);
    let is_agents = |path: &[String]| match path.first().map(String::as_str) {
        Some("x-claw") => true,
        Some("services") => path.get(1).is_some_and(|name| agents.contains(name)) || is_block(path),
        _ => false,
    };
    let hidden = hidden(spec, &is_agents, diag);
    let mut unset = |name: &str, path: &[String], span: Span| {
        let message = format!("the variable `{name}` is not set");
        let help = format!("set it in the environment or in `.env`, or give a default: `${{{name}:-value}}`");
        Some(if is_agents(path) {
            Diagnostic::error(Code::UnsetVariable, span, message).help(format!("{help}; `--compat` takes it as empty"))
        } else {
            Diagnostic::warning(Code::UnsetVariable, span, format!("{message}; it is taken as empty")).help(help)
        })
    };
    let keep = |path: &[String]| keeps(path) || hidden.contains(path);
    let options = Options { lookup: facts, keep: &keep, unset: &mut unset };
    let loaded = load::load_with(spec.tree.clone(), source, options, &spec.profiles, &[], diag)?;
    Ok(LoadedPod { loaded, agents })
}

fn is_block(path: &[String]) -> bool {
    path.get(2).is_some_and(|key| key == "x-claw")
}

/// Returns the names of `x-claw.secrets`.
pub(crate) fn declared_secrets(tree: &Node) -> BTreeSet<&str> {
    let secrets = tree.get("x-claw").and_then(|top| top.get("secrets")).map_or(&[][..], Node::entries);
    secrets.iter().map(|entry| entry.key.as_str()).collect()
}

/// Records secrets where an agent's text would show them, and returns the paths of these scalars: their values are not put in.
fn hidden(spec: &PodSpec, is_agents: &dyn Fn(&[String]) -> bool, diag: &mut Diagnostics) -> BTreeSet<Vec<String>> {
    let declared = declared_secrets(&spec.tree);
    let mut paths = BTreeSet::new();
    for each in load::variables(&spec.tree) {
        let is_secret = is_secret_name(&each.name) || declared.contains(each.name.as_str());
        if !is_secret || keeps(&each.path) || !is_agents(&each.path) {
            continue;
        }
        let message = format!("`{}` is a secret and would be written in plain text here", each.name);
        let error = Diagnostic::error(Code::SecretInEnvironment, each.span, message);
        diag.push(error.help(
            "a secret may stand in `environment:`, in `cllama-env`, and as the `key` of a provider, as `NAME: ${NAME}`",
        ));
        paths.insert(each.path);
    }
    paths
}

/// Returns the services that are agents: by their `x-claw`, their Clawfile, or their image's label.
fn agents(tree: &Node, facts: &Facts, cx: &Context<'_>) -> BTreeSet<String> {
    let services = tree.get("services").map_or(&[][..], Node::entries);
    let agents = services.iter().filter(|entry| is_agent(&entry.key, &entry.value, facts, cx));
    agents.map(|entry| entry.key.clone()).collect()
}

fn is_agent(name: &str, service: &Node, facts: &Facts, cx: &Context<'_>) -> bool {
    if service.get("x-claw").is_some_and(makes_agent) {
        return true;
    }
    let text = |node: Option<&Node>| {
        let template = Template::parse(&node?.scalar()?.text).ok()?;
        template.resolve(facts, &mut |_| {}).ok()
    };
    let is_typed =
        |image: ImageRef| cx.image(&image, facts).is_some_and(|image| image.labels.contains_key(label::TYPE));
    let Some(build) = service.get("build").filter(|build| !build.is_null()) else {
        return text(service.get("image")).is_some_and(|image| is_typed(ImageRef::new(image)));
    };
    let key = match build.scalar() {
        Some(_) => (text(Some(build)).unwrap_or_default(), None),
        None => (text(build.get("context")).unwrap_or_else(|| ".".to_owned()), text(build.get("dockerfile"))),
    };
    let Some(found) = facts.builds.get(&key).and_then(Option::as_ref) else { return false };
    // What is wrong with the file is said when it is resolved.
    let Ok(clawfile) = clawfile_of(found, cx, &mut Diagnostics::new()) else { return true };
    let stage = clawfile.last_stage();
    !clawfile.is_plain()
        || stage.labels.contains_key(label::TYPE)
        || stage.base.is_some_and(|base| is_typed(ImageRef::new(base)))
        || facts.built.get(name).is_some_and(|image| image.labels.contains_key(label::TYPE))
}

/// What the stages share: the sources behind the spans, and the drivers.
#[derive(Clone, Copy)]
pub struct Context<'c> {
    /// Every text read so far.
    pub sources: &'c SourceMap,
    /// The drivers, in the order of their names.
    pub drivers: &'c [&'static dyn claw_types::driver::Driver],
    /// Claw's version: the tag of its own image.
    pub version: &'c str,
}

impl Context<'_> {
    /// Returns the names of the runtimes.
    pub fn runtimes(&self) -> Vec<&'static str> {
        self.drivers.iter().map(|driver| driver.facts().name).collect()
    }

    /// Returns the images that claw builds for runtimes.
    pub(crate) fn bases(&self) -> impl Iterator<Item = (&'static BaseImage, &'static DriverFacts)> {
        let facts = self.drivers.iter().map(|driver| driver.facts());
        facts.filter_map(|facts| facts.base.as_ref().map(|base| (base, facts)))
    }

    /// Returns a name of one of claw's own images with the tag it means; other names as they are.
    pub(crate) fn tagged(&self, image: &ImageRef) -> ImageRef {
        if image.as_str() == INFRA_REPOSITORY {
            return ImageRef::new(format!("{INFRA_REPOSITORY}:{}", self.version));
        }
        let own = self.bases().find(|(base, _)| base.repository == image.as_str());
        own.map_or_else(|| image.clone(), |(base, _)| ImageRef::new(base.name()))
    }

    /// Returns what is known of an image; claw's own are always known.
    pub(crate) fn image(&self, image: &ImageRef, facts: &Facts) -> Option<ImageFacts> {
        let argv = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
        if image.repository() == INFRA_REPOSITORY {
            let user = Some("65532:65532".to_owned());
            return Some(ImageFacts { user, entrypoint: argv(&[INFRA_PROGRAM]), ..ImageFacts::default() });
        }
        let tagged = self.tagged(image);
        if let Some((base, driver)) = self.bases().find(|(base, _)| base.name() == tagged.as_str()) {
            return Some(ImageFacts {
                user: Some(format!("{}:{}", driver.user.0, driver.user.1)),
                entrypoint: argv(base.entrypoint),
                command: argv(base.command),
                labels: [(label::TYPE.to_owned(), driver.name.to_owned())].into(),
                ..ImageFacts::default()
            });
        }
        facts.images.get(image).cloned().flatten()
    }
}

/// Returns what must be known before the pod can be resolved; empty when nothing is missing.
pub fn missing(spec: &PodSpec, facts: &Facts, cx: &Context<'_>) -> BTreeSet<Need> {
    let mut needs = BTreeSet::new();
    let secrets = spec.tree.get("x-claw").and_then(|top| top.get("secrets")).map_or(&[][..], Node::entries);
    let declared = declared_secrets(&spec.tree);
    for secret in secrets {
        let text = |key: &str| secret.value.get(key).and_then(Node::scalar).map(|scalar| scalar.text.clone());
        needs.extend(text("env").map(Need::IsSet));
        needs.extend(text("file").map(Need::HasSecretFile));
    }
    for each in load::variables(&spec.tree) {
        let is_sealed = is_sealed(&each.name, &each.path, &declared);
        needs.insert(if is_sealed { Need::IsSet(each.name) } else { Need::Variable(each.name) });
    }
    needs.retain(|need| !facts.has(need));
    if !needs.is_empty() {
        return needs;
    }
    // Diagnostics of this look ahead are dropped: `resolve` makes them again, with everything known.
    let mut unused = Diagnostics::new();
    let Ok(LoadedPod { loaded, agents }) = load_pod(spec, facts, cx, &mut unused) else { return needs };
    let sources = crate::resolve::sources_of(&loaded);
    for name in loaded.project.services.keys() {
        let agentish = Agentish::new(&loaded, name, agents.contains(name));
        needs.extend(crate::resolve::needs_of(&agentish, &loaded, &sources, facts, cx));
    }
    needs.retain(|need| !facts.has(need));
    needs
}

/// Returns a context's Clawfile with the names it must be read by.
pub(crate) fn clawfile_of(
    fact: &BuildFact,
    cx: &Context<'_>,
    diag: &mut Diagnostics,
) -> Result<clawfile::Clawfile, Reported> {
    match cx.sources.get(fact.file) {
        Some(source) => clawfile::parse(source, &cx.runtimes(), diag),
        None => {
            Err(diag.report(Diagnostic::error(Code::MissingFile, Span::start_of(fact.file), "the build file is gone")))
        }
    }
}
