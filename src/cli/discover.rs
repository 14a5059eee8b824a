//! Which files a project is made of: those named, those of the environment, or those found by their names.

use std::path::{Path, PathBuf};

use claw_compose::load::paths;
use claw_engine::gather::Environment;
use claw_types::diag::Diagnostics;
use claw_types::span::SourceMap;

use crate::args::Global;
use crate::exit::CommandError;

/// Names of a pod file, in the order they are looked for.
const NAMES: &[&str] =
    &["claw-pod.yml", "claw-pod.yaml", "compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];

/// What a project is made of.
pub(crate) struct Discovered {
    /// Its files, each over those before it.
    pub(crate) files: Vec<PathBuf>,
    /// Env files that were named.
    pub(crate) env_files: Vec<PathBuf>,
    /// What is odd about it.
    pub(crate) warning: Option<String>,
}

/// Returns the files of a project: `-f`, else `COMPOSE_FILE`, else by name, here or above.
pub(crate) fn files(global: &Global) -> Result<Discovered, CommandError> {
    let env_files = env_files(global);
    let named = |files| Discovered { files, env_files: env_files.clone(), warning: None };
    if !global.file.is_empty() {
        return Ok(named(global.file.clone()));
    }
    let start = absolute(global.project_directory.as_deref().unwrap_or(Path::new(".")))?;
    let start = start.as_path();
    // What is odd in an env file is told when it is read for the values of the project.
    let (mut sources, mut unused) = (SourceMap::new(), Diagnostics::new());
    let directories = if has_default_env() { &[start][..] } else { &[] };
    let environment = Environment::read(directories, &env_files, &mut sources, &mut unused)?;
    let set = |name: &str| environment.plain(name).filter(|value| !value.is_empty());
    if let Some(list) = set("COMPOSE_FILE") {
        let separator = set("COMPOSE_PATH_SEPARATOR").unwrap_or(":");
        let files = list.split(separator).filter(|file| !file.is_empty());
        return Ok(named(files.map(|file| if file == "-" { PathBuf::from(file) } else { start.join(file) }).collect()));
    }
    find(start).map(|found| Discovered { env_files, ..found })
}

/// Returns whether `.env` is read where no env file is named: `COMPOSE_DISABLE_ENV_FILE` switches it off.
pub(crate) fn has_default_env() -> bool {
    let asked = std::env::var("COMPOSE_DISABLE_ENV_FILE").unwrap_or_default();
    !matches!(asked.to_ascii_lowercase().as_str(), "1" | "t" | "true" | "y" | "yes" | "on")
}

/// Looks for a pod file in a folder and above it, and for what overrides it beside it.
pub(crate) fn find(folder: &Path) -> Result<Discovered, CommandError> {
    let here = absolute(folder)?;
    for folder in here.ancestors() {
        let found: Vec<PathBuf> = NAMES.iter().map(|name| folder.join(name)).filter(|path| path.is_file()).collect();
        let Some(first) = found.first() else { continue };
        let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let warning = (found.len() > 1).then(|| {
            let names: Vec<String> = found.iter().map(|path| name(path)).collect();
            format!("there are several pod files, and `{}` is taken: `{}`", name(first), names.join("`, `"))
        });
        let mut files = vec![first.clone()];
        files.extend(overrides(first).into_iter().find(|path| path.is_file()));
        return Ok(Discovered { files, env_files: Vec::new(), warning });
    }
    Err(CommandError::NoPodFile)
}

/// The names of what overrides a file, the strongest first.
fn overrides(first: &Path) -> Vec<PathBuf> {
    let name = first.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stems: &[&str] = if name.starts_with("claw-pod.") { &["claw-pod"] } else { &["compose", "docker-compose"] };
    let names = stems.iter().flat_map(|stem| ["yml", "yaml"].map(|end| format!("{stem}.override.{end}")));
    names.map(|name| first.with_file_name(name)).collect()
}

fn env_files(global: &Global) -> Vec<PathBuf> {
    if !global.env_file.is_empty() {
        return global.env_file.clone();
    }
    let list = std::env::var("COMPOSE_ENV_FILES").unwrap_or_default();
    list.split(',').filter(|file| !file.is_empty()).map(PathBuf::from).collect()
}

/// Returns a path without links being followed, as the shell names it.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, CommandError> {
    let here = std::env::current_dir().map_err(|_| CommandError::NoFile(".".to_owned(), "does not exist"))?;
    let by_shell = std::env::var_os("PWD").map(PathBuf::from).filter(|shell| {
        shell.is_absolute() && shell.canonicalize().is_ok_and(|real| here.canonicalize().is_ok_and(|here| here == real))
    });
    let whole = by_shell.unwrap_or(here).join(path);
    Ok(PathBuf::from(paths::plain(&whole.to_string_lossy())))
}

/// Returns a path as seen from a directory; absolute where it does not lie in it.
pub(crate) fn inside(path: &Path, root: &Path) -> Result<String, CommandError> {
    if path == Path::new("-") {
        return Ok("-".to_owned());
    }
    let whole = absolute(path)?;
    Ok(whole.strip_prefix(root).unwrap_or(&whole).to_string_lossy().into_owned())
}
