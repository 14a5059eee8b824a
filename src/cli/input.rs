//! Finds and reads what a command works on.

use std::path::{Path, PathBuf};

use claw_compiler::facts::{Context, Facts, PodSpec, missing};
use claw_compiler::plan::Plan;
use claw_compose::yaml;
use claw_engine::files::{Found, read_text};
use claw_engine::gather::{Environment, answer, display};
use claw_types::diag::{Code, Diagnostics};
use claw_types::span::{FileId, SourceMap};

use crate::args::Global;
use crate::exit::CommandError;

/// Names of a pod file, in the order they are looked for.
const NAMES: &[&str] =
    &["claw-pod.yml", "claw-pod.yaml", "compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];

/// What was read, and what was found to be wrong with it.
pub(crate) struct Input {
    pub(crate) sources: SourceMap,
    pub(crate) diagnostics: Diagnostics,
    pub(crate) root: PathBuf,
    pub(crate) file: FileId,
    pub(crate) environment: Environment,
    pub(crate) name: Option<String>,
}

/// Reads a text file that must be there.
pub(crate) fn source(path: &Path, sources: &mut SourceMap) -> Result<FileId, CommandError> {
    match read_text(path)? {
        Found::Text(text) => Ok(sources.add(display(path), text)),
        _ => Err(CommandError::NoFile(path.display().to_string())),
    }
}

/// Reads the pod file and the environment.
pub(crate) fn read(global: &Global) -> Result<Input, CommandError> {
    let path = match global.file.as_slice() {
        [] => find()?,
        [path] => path.clone(),
        _ => return Err(CommandError::NotYet("several -f".to_owned())),
    };
    let mut sources = SourceMap::new();
    let mut diagnostics = Diagnostics::new();
    let file = source(&path, &mut sources)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let root = global.project_directory.clone().unwrap_or_else(|| parent.to_owned());
    let environment = Environment::read(&root, &global.env_file, &mut sources, &mut diagnostics)?;
    let set = global.project_name.clone().or_else(|| environment.plain("COMPOSE_PROJECT_NAME").map(ToOwned::to_owned));
    let name = set.filter(|name| !name.is_empty());
    if let Some(name) = &name
        && claw_compose::load::normal_name(name).as_deref() != Some(name)
    {
        let rule = "lower-case letters, digits, `-` and `_`, starting with a letter or digit";
        return Err(CommandError::Usage(format!("`{name}` is not a project name: use {rule}")));
    }
    Ok(Input { sources, diagnostics, root, file, environment, name })
}

/// Looks for a pod file here and above.
fn find() -> Result<PathBuf, CommandError> {
    if let Some(path) = std::env::var_os("COMPOSE_FILE").filter(|path| !path.is_empty()) {
        return Ok(PathBuf::from(path));
    }
    let here = std::env::current_dir().map_err(|_| CommandError::NoPodFile)?;
    let found =
        here.ancestors().find_map(|folder| NAMES.iter().map(|name| folder.join(name)).find(|path| path.is_file()));
    found.ok_or(CommandError::NoPodFile)
}

impl Input {
    /// Returns the plan of the pod; nothing where diagnostics say why not.
    pub(crate) fn plan(&mut self, global: &Global) -> Result<Option<Plan>, CommandError> {
        let Some(pod) = self.sources.get(self.file).cloned() else { return Err(CommandError::NoPodFile) };
        let Ok(tree) = yaml::parse(&pod, &mut self.diagnostics) else { return Ok(None) };
        let real = self.root.canonicalize().unwrap_or_else(|_| self.root.clone());
        let directory = real.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let spec = PodSpec { file: self.file, tree, name: self.name.clone(), directory };
        let mut facts = Facts::default();
        loop {
            let needs = missing(&spec, &facts, &context(&self.sources));
            if needs.is_empty() {
                break;
            }
            answer(needs, &self.root, &self.environment, &mut facts, &mut self.sources)?;
        }
        let plan = claw_compiler::compile(&spec, &facts, &context(&self.sources), &mut self.diagnostics);
        if global.compat {
            self.diagnostics.soften(|each| matches!(each.code, Code::PrivilegedSurface | Code::UnsetVariable));
        }
        Ok(plan.ok().filter(|_| !self.diagnostics.has_errors()))
    }
}

fn context(sources: &SourceMap) -> Context<'_> {
    Context { sources, drivers: claw_drivers::ALL, version: env!("CARGO_PKG_VERSION") }
}
