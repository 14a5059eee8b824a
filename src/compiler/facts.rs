//! What the compiler must be told, and what it was told: needs and facts.
//!
//! The shell asks [`missing`], finds the answers, and asks again until nothing is missing. An answer may be "absent", so the
//! loop ends. Facts are a value: recorded, they replay a compile without the machine it ran on.

use std::collections::{BTreeMap, BTreeSet};

use claw_compose::load::{self, EnvFile, Files, Found, Loaded, Main, Options, Stop, Want};
use claw_compose::yaml::{self, Kind, Node};
use claw_types::diag::{Code, Diagnostic, Diagnostics, Reported};
use claw_types::driver::{BaseImage, DriverFacts};
use claw_types::image::{INFRA_PROGRAM, INFRA_REPOSITORY, ImageFacts, ImageRef, label};
use claw_types::path::{ContainerPath, PodPath};
use claw_types::persona::{Archive, PersonaSource};
use claw_types::platform::Platform;
use claw_types::secret::is_secret_name;
use claw_types::span::{FileId, SourceMap, Span};
use serde::{Deserialize, Serialize};

use crate::clawfile;
use crate::pod::makes_agent;
use crate::resolve::agentish::Agentish;
use crate::resolve::proxy::UI_PORT;

/// What a pod is made of, before anything is looked up.
#[derive(Clone, Debug)]
pub struct PodSpec {
    /// Its files, each over those before it: the path from the pod's directory, and the text.
    pub files: Vec<(String, FileId)>,
    /// The project's name, where the command line or the environment gives one.
    pub name: Option<String>,
    /// The name of the pod's directory.
    pub directory: String,
    /// Profiles that are enabled; `*` for all.
    pub profiles: Vec<String>,
}

impl PodSpec {
    /// Returns the pod of one file, without name and profile.
    pub fn of(path: &str, file: FileId, directory: &str) -> Self {
        let files = vec![(path.to_owned(), file)];
        Self { files, name: None, directory: directory.to_owned(), profiles: Vec::new() }
    }

    /// Returns where messages about the whole pod point: the start of its first file.
    pub fn origin(&self) -> Span {
        Span::start_of(self.files.first().map_or(FileId(0), |(_, file)| *file))
    }

    fn mains<'c>(&'c self, cx: &Context<'c>) -> Vec<Main<'c>> {
        self.files.iter().filter_map(|(path, file)| Some((path.as_str(), cx.sources.get(*file)?))).collect()
    }

    /// Returns the documents of all files known so far: those of the pod, and those they name.
    pub(crate) fn trees(&self, facts: &Facts, cx: &Context<'_>) -> Vec<Node> {
        let own = self.files.iter().map(|(_, file)| *file);
        let named = facts.compose_files.values().filter_map(|fact| match fact {
            FileFact::Text(file) => Some(*file),
            _ => None,
        });
        let mut unused = Diagnostics::new();
        let sources = own.chain(named).filter_map(|file| cx.sources.get(file));
        sources.flat_map(|source| yaml::documents(source, &mut unused).unwrap_or_default()).collect()
    }

    /// Returns whether any file speaks of agents at all: `x-claw` at the top or in a service.
    pub fn has_agents(&self, facts: &Facts, cx: &Context<'_>) -> bool {
        self.trees(facts, cx).iter().any(|tree| {
            let services = tree.get("services").map_or(&[][..], Node::entries);
            tree.get("x-claw").is_some() || services.iter().any(|service| service.value.get("x-claw").is_some())
        })
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
    /// The files of a persona: its name as written.
    Persona(String),
    /// The text of a file inside the pod's directory.
    File(PodPath),
    /// A compose file that another one extends or includes: absolute, or from the pod's directory.
    ComposeFile(String),
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

impl FileFact {
    /// Returns what a loader makes of it.
    pub fn found(self, sources: &SourceMap) -> Found<'_> {
        match self {
            FileFact::Text(file) => sources.get(file).map_or(Found::Missing, Found::Text),
            FileFact::Missing | FileFact::Outside => Found::Missing,
            FileFact::NotRegular => Found::NotRegular,
            FileFact::NotText => Found::NotText,
        }
    }
}

/// What became of a persona.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PersonaFact {
    /// It is there.
    Known(KnownPersona),
    /// There is nothing of its name.
    Missing,
    /// It cannot be used: why, as a message goes on after its name.
    Unusable(String),
}

/// A persona that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownPersona {
    /// The digest of its archive.
    pub digest: String,
    /// The digest of the manifest of the artifact it is, where it is one.
    pub artifact: Option<String>,
    /// Its files; nothing where the lock alone tells of them.
    pub archive: Option<Archive>,
    /// Those of its files that are texts.
    pub texts: Vec<FileId>,
}

impl KnownPersona {
    /// Returns what a lock tells of a persona.
    pub fn locked(pin: &LockedPersona) -> Self {
        Self { digest: pin.content.clone(), artifact: Some(pin.digest.clone()), ..Self::default() }
    }
}

/// What a lock says of a persona.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedPersona {
    /// The digest of the artifact's manifest.
    pub digest: String,
    /// The digest of the archive of its files.
    pub content: String,
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

/// Who a path of the host belongs to, every link followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostOwner {
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// What user, group and others may, and whether it is a directory, as `stat` says it.
    pub mode: u32,
}

impl HostOwner {
    /// Returns whether a user, who is in these groups, may make files there; or write to it, where it is one.
    pub fn lets_write(self, uid: u32, groups: &[u32]) -> bool {
        let is_directory = self.mode & 0o170_000 == 0o040_000;
        let wanted = if is_directory { 0o3 } else { 0o2 };
        let bits = match self.uid == uid {
            true => self.mode >> 6,
            false if groups.contains(&self.gid) => self.mode >> 3,
            false => self.mode,
        };
        bits & wanted == wanted
    }
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
pub type EnvFileFact = EnvFile;

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
    /// Compose files that others name, by path.
    pub compose_files: BTreeMap<String, FileFact>,
    /// Env files by path; nothing where there is none.
    pub env_files: BTreeMap<String, Option<EnvFileFact>>,
    /// Build files by context and name; nothing where there is none.
    pub builds: BTreeMap<(String, Option<String>), Option<BuildFact>>,
    /// Images; nothing where neither engine nor text knows them.
    pub images: BTreeMap<ImageRef, Option<ImageFacts>>,
    /// Manuals by image and path.
    pub manuals: BTreeMap<(ImageRef, ContainerPath), ManualFact>,
    /// Personas by their names as written.
    pub personas: BTreeMap<String, PersonaFact>,
    /// Which artifact each persona is that the lock has, by its name as written.
    pub persona_pins: BTreeMap<String, LockedPersona>,
    /// Listings of MCP tools that `claw.lock` recorded, by service.
    pub listings: BTreeMap<String, FileId>,
    /// Paths of the host as written.
    pub host_paths: BTreeMap<String, HostFact>,
    /// Whose they are, where they are there.
    pub host_owners: BTreeMap<String, HostOwner>,
    /// Accounts of tokens; nothing where the token does not tell.
    pub accounts: BTreeMap<(Platform, TokenPlace), Option<String>>,
    /// Images that were just built, by service: what only a build can tell.
    pub built: BTreeMap<String, ImageFacts>,
    /// Digests of images that services run, by the name the pod gives them: those of the lock.
    pub pins: BTreeMap<String, String>,
}

impl Facts {
    fn has(&self, need: &Need) -> bool {
        match need {
            Need::Variable(name) => self.variables.contains_key(name),
            Need::IsSet(name) => self.set.contains_key(name),
            Need::HasSecretFile(path) => self.secret_files.contains_key(path),
            Need::Persona(name) => self.personas.contains_key(name),
            Need::File(path) => self.files.contains_key(path),
            Need::ComposeFile(path) => self.compose_files.contains_key(path),
            Need::EnvFile(path) => self.env_files.contains_key(path),
            Need::BuildFile { context, dockerfile } => self.builds.contains_key(&(context.clone(), dockerfile.clone())),
            Need::Image(image) => self.images.contains_key(image),
            Need::Manual(image, path) => self.manuals.contains_key(&(image.clone(), path.clone())),
            Need::HostPath(path) => self.host_paths.contains_key(path),
            Need::Account(platform, place) => self.accounts.contains_key(&(*platform, place.clone())),
        }
    }

    /// Answers what only an engine could tell where none is asked: what is not known of images is not there. Returns what is left.
    pub fn without_engine(&mut self, needs: BTreeSet<Need>) -> BTreeSet<Need> {
        let mut left = BTreeSet::new();
        for need in needs {
            match need {
                Need::Image(image) => drop(self.images.insert(image, None)),
                Need::Manual(image, path) => drop(self.manuals.insert((image, path), ManualFact::Missing)),
                Need::Persona(name) if matches!(PersonaSource::parse(&name), Ok(PersonaSource::Registry(_))) => {
                    let fact = match self.persona_pins.get(&name) {
                        Some(pin) => PersonaFact::Known(KnownPersona::locked(pin)),
                        None => PersonaFact::Unusable("is not in `claw.lock`, and nothing else was asked".to_owned()),
                    };
                    self.personas.insert(name, fact);
                }
                other => drop(left.insert(other)),
            }
        }
        left
    }

    /// Answers a need where there is no host: every variable is `v`, every file is `text`, and nobody has any image.
    pub fn suppose(&mut self, need: Need, text: FileId) {
        match need {
            // A port is a number: nobody's is `v`.
            Need::Variable(name) if name == UI_PORT => drop(self.variables.insert(name, None)),
            Need::Variable(name) => drop(self.variables.insert(name, Some("v".to_owned()))),
            Need::IsSet(name) => drop(self.set.insert(name, true)),
            Need::HasSecretFile(path) => drop(self.secret_files.insert(path, true)),
            Need::ComposeFile(path) => drop(self.compose_files.insert(path, FileFact::Missing)),
            Need::EnvFile(path) => drop(self.env_files.insert(path, None)),
            Need::Persona(name) => {
                let texts = vec![text];
                let persona = KnownPersona { digest: "sha256:0".to_owned(), texts, ..KnownPersona::default() };
                self.personas.insert(name, PersonaFact::Known(persona));
            }
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
            | ["x-claw", "policy", "key"]
    )
}

/// The same for a decoder, which knows places too.
pub(crate) fn keeps_at(path: &[String], _: Span) -> bool {
    keeps(path)
}

/// Returns whether a variable's value stays with the engine, seen from where it is used.
fn is_sealed(name: &str, path: &[String], declared: &BTreeSet<String>) -> bool {
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

/// Facts as the loader reads them.
struct Known<'k> {
    facts: &'k Facts,
    sources: &'k SourceMap,
}

impl Files for Known<'_> {
    fn file(&self, path: &str) -> Option<Found<'_>> {
        Some(self.facts.compose_files.get(path)?.found(self.sources))
    }

    fn env_file(&self, path: &str) -> Option<Option<&EnvFile>> {
        self.facts.env_files.get(path).map(Option::as_ref)
    }
}

/// A pod with its values, and what was found out on the way.
pub(crate) struct LoadedPod {
    /// The files as one.
    pub(crate) loaded: Loaded,
    /// Services that are agents, as far as what is known tells.
    pub(crate) agents: BTreeSet<String>,
}

/// Returns the typed project of a pod with the facts known so far.
///
/// Secrets that stand where an agent's text would show them are found in a first look, which puts no secret in; the second
/// one keeps those out and puts the others in.
pub(crate) fn load_pod(
    spec: &PodSpec,
    facts: &Facts,
    cx: &Context<'_>,
    diag: &mut Diagnostics,
) -> Result<LoadedPod, Stop> {
    let mains = spec.mains(cx);
    let known = Known { facts, sources: cx.sources };
    let trees = spec.trees(facts, cx);
    let doubtful = doubtful(&trees);
    let name = spec.name.clone().or_else(|| pod_name(&trees));
    let mut hidden = BTreeSet::new();
    let merge = |keep: &dyn Fn(&[String], Span) -> bool, diag: &mut Diagnostics| {
        let directory = &spec.directory;
        let options = Options { lookup: facts, keep, files: &known, name: name.as_deref(), directory, judges: true };
        load::merge(&mains, &options, diag)
    };
    if !doubtful.is_empty() {
        let places: BTreeSet<Span> = doubtful.iter().map(|each| each.span).collect();
        let looked = merge(&|path, span| keeps(path) || places.contains(&span), &mut Diagnostics::new());
        let (merged, is_whole) = match looked {
            Ok(merged) => (Some(merged), true),
            Err(Stop::Broken(merged, _)) => (Some(*merged), false),
            Err(_) => (None, false),
        };
        if let Some(merged) = merged {
            let agents = agents(&merged.tree, facts, cx);
            let shown = Shown::new(&merged.tree, &agents);
            // What is wrong is not in the tree; the place it was written at still says whose it is.
            let is_written = |path: &[String]| !is_whole && path.get(1).is_some_and(|name| agents.contains(name));
            for each in doubtful.iter().filter(|each| shown.holds(each.span, &each.path) || is_written(&each.path)) {
                let message = format!("`{}` is a secret and would be written in plain text here", each.name);
                let error = Diagnostic::error(Code::SecretInEnvironment, each.span, message);
                let help = "a secret may stand in `environment:`, in `cllama-env`, and as the `key` of a provider, as \
                            `NAME: ${NAME}`";
                diag.push(error.help(help));
                hidden.insert(each.span);
            }
        }
        // Messages about a file that is wrong quote what stands in it: then no secret is put in anywhere.
        if !is_whole {
            hidden.extend(places);
        }
    }
    let keep = |path: &[String], span: Span| keeps(path) || hidden.contains(&span);
    let merged = merge(&keep, diag).map_err(|stop| match stop {
        Stop::Broken(merged, reported) => {
            told(&merged, &agents(&merged.tree, facts, cx), diag);
            Stop::Reported(reported)
        }
        stop => stop,
    })?;
    let agents = agents(&merged.tree, facts, cx);
    told(&merged, &agents, diag);
    let directory = &spec.directory;
    let options = Options { lookup: facts, keep: &keep, files: &known, name: name.as_deref(), directory, judges: true };
    let loaded = load::decode(merged, &options, &spec.profiles, &[], diag)?;
    Ok(LoadedPod { loaded, agents })
}

/// Records the variables that are not set: an error where an agent has their text.
fn told(merged: &load::Merged, agents: &BTreeSet<String>, diag: &mut Diagnostics) {
    if merged.unset.is_empty() {
        return;
    }
    let shown = Shown::new(&merged.tree, agents);
    merged.unset.iter().for_each(|each| unset(each, shown.holds(each.scalar, &each.path), diag));
}

/// The name that `x-claw.pod` gives.
fn pod_name(trees: &[Node]) -> Option<String> {
    let names = trees.iter().filter_map(|tree| tree.get("x-claw")?.get("pod")?.scalar());
    names.filter_map(|name| load::normal_name(&name.text)).next_back()
}

fn unset(each: &load::Unset, is_agents: bool, diag: &mut Diagnostics) {
    let name = &each.name;
    let message = format!("the variable `{name}` is not set");
    let help = format!("set it in the environment or in `.env`, or give a default: `${{{name}:-value}}`");
    diag.push(if is_agents {
        Diagnostic::error(Code::UnsetVariable, each.span, message).help(format!("{help}; `--compat` takes it as empty"))
    } else {
        Diagnostic::warning(Code::UnsetVariable, each.span, format!("{message}; it is taken as empty")).help(help)
    });
}

/// The scalars that made it into agents, wherever they were written.
struct Shown(Vec<Span>);

impl Shown {
    fn new(tree: &Node, agents: &BTreeSet<String>) -> Self {
        let mut spans = Vec::new();
        let services = tree.get("services").map_or(&[][..], Node::entries);
        services
            .iter()
            .filter(|service| agents.contains(&service.key))
            .for_each(|service| scalars(&service.value, &mut spans));
        spans.sort();
        Self(spans)
    }

    /// Returns whether agents have a scalar; what `x-claw` says is theirs in any case.
    fn holds(&self, scalar: Span, path: &[String]) -> bool {
        let is_block =
            path.first().is_some_and(|key| key == "x-claw") || path.get(2).is_some_and(|key| key == "x-claw");
        let overlaps = |each: &Span| each.file == scalar.file && each.start < scalar.end && scalar.start < each.end;
        is_block || self.0.iter().any(overlaps)
    }
}

fn scalars(node: &Node, spans: &mut Vec<Span>) {
    match &node.kind {
        Kind::Scalar(_) => spans.push(node.span),
        Kind::Seq(items) => items.iter().for_each(|item| scalars(item, spans)),
        Kind::Map(entries) => entries.iter().for_each(|entry| scalars(&entry.value, spans)),
    }
}

/// Returns the names of `x-claw.secrets` in all files.
pub(crate) fn declared_secrets(trees: &[Node]) -> BTreeSet<String> {
    let secrets = trees.iter().filter_map(|tree| tree.get("x-claw")?.get("secrets"));
    secrets.flat_map(Node::entries).map(|entry| entry.key.clone()).collect()
}

/// Returns the secret variables that stand where values are put in.
fn doubtful(trees: &[Node]) -> Vec<load::VariableUse> {
    let declared = declared_secrets(trees);
    let mut uses: Vec<_> = trees.iter().flat_map(load::variables).collect();
    uses.retain(|each| (is_secret_name(&each.name) || declared.contains(&each.name)) && !keeps(&each.path));
    uses
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
    let text = |node: Option<&Node>| Some(node?.scalar()?.text.clone());
    let is_typed =
        |image: ImageRef| cx.image(&image, facts).is_some_and(|image| image.labels.contains_key(label::TYPE));
    let Some(build) = service.get("build").filter(|build| !build.is_null()) else {
        return text(service.get("image")).is_some_and(|image| is_typed(ImageRef::new(image)));
    };
    let key = (text(build.get("context")).unwrap_or_else(|| ".".to_owned()), text(build.get("dockerfile")));
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
    /// Returns the names that runtimes have, those they take beside their own too, in order.
    pub fn runtimes(&self) -> Vec<&'static str> {
        let mut names: Vec<&str> = self.drivers.iter().flat_map(|driver| driver.facts().names()).collect();
        names.sort_unstable();
        names
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
    let trees = spec.trees(facts, cx);
    let declared = declared_secrets(&trees);
    for secret in trees.iter().filter_map(|tree| tree.get("x-claw")?.get("secrets")).flat_map(Node::entries) {
        let text = |key: &str| secret.value.get(key).and_then(Node::scalar).map(|scalar| scalar.text.clone());
        needs.extend(text("env").map(Need::IsSet));
        needs.extend(text("file").map(Need::HasSecretFile));
    }
    for each in trees.iter().flat_map(load::variables) {
        let is_sealed = is_sealed(&each.name, &each.path, &declared);
        needs.insert(if is_sealed { Need::IsSet(each.name) } else { Need::Variable(each.name) });
    }
    needs.retain(|need| !facts.has(need));
    if !needs.is_empty() {
        return needs;
    }
    // Diagnostics of this look ahead are dropped: `resolve` makes them again, with everything known.
    let mut unused = Diagnostics::new();
    let LoadedPod { loaded, agents } = match load_pod(spec, facts, cx, &mut unused) {
        Ok(loaded) => loaded,
        Err(Stop::Reported(_) | Stop::Broken(..)) => return needs,
        Err(Stop::Wanted(wants)) => {
            let need = |want| match want {
                Want::File(path) => Need::ComposeFile(path),
                Want::EnvFile(path) => Need::EnvFile(path),
            };
            return wants.into_iter().map(need).collect();
        }
    };
    needs.extend(crate::resolve::pod_needs(&loaded));
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
