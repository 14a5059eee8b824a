//! `claw service`: the pod comes up with the machine.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use claw_engine::apply::SHARES_FILES;
use claw_engine::live::COMPOSE_LEVEL;
use claw_engine::unit::{Unit, Units, name};
use claw_engine::vault::{Source, uses};
use serde_json::json;

use crate::args::{Global, Service, ServiceArgs};
use crate::discover::absolute;
use crate::exit::{CommandError, Exit};
use crate::session::{self, Session};
use crate::ui::Ui;

pub(crate) fn run(global: &Global, command: &Service, ui: &Ui) -> Result<Exit, CommandError> {
    match command {
        Service::Install(args) => {
            session::with(global, "service-install", ui, async |session| install(global, args, &session))
        }
        Service::Uninstall { system } => {
            session::with(global, "service-uninstall", ui, async |session| uninstall(*system, &session))
        }
    }
}

/// Returns where the user's configuration is, or that the machine's is meant.
fn units(is_system: bool, session: &Session<'_>) -> Result<Units, CommandError> {
    if is_system {
        return Ok(Units::new(None));
    }
    let set = |name: &str| session.input.environment.plain(name).filter(|value| !value.is_empty());
    let config =
        set("XDG_CONFIG_HOME").map(PathBuf::from).or_else(|| Some(PathBuf::from(set("HOME")?).join(".config")));
    let config =
        config.ok_or_else(|| CommandError::Usage("`HOME` is not set, so nobody knows whose unit it is".to_owned()))?;
    Ok(Units::new(Some(&config)))
}

fn install(global: &Global, args: &ServiceArgs, session: &Session<'_>) -> Result<Exit, CommandError> {
    let root = &session.input.root;
    let owner = std::fs::metadata(root).map(|found| found.uid()).map_err(CommandError::Start)?;
    let program = std::env::current_exe().map_err(CommandError::Start)?;
    let arguments = arguments(global, session)?;
    let environment = engine(session);
    let unit = Unit {
        pod: session.plan.pod.as_str(),
        root,
        program: &program,
        arguments: &arguments,
        environment: &environment,
        owner: args.system.then_some(owner),
    };
    if args.print {
        session.ui.bare(&unit.text());
        return Ok(Exit::Done);
    }
    let missing = missing(session);
    if !missing.is_empty() {
        session.ui.progress(&format!(
            "`{}` are set in this shell alone, and are not when the machine starts: put them into `.env`",
            missing.join("`, `")
        ));
    }
    let units = units(args.system, session)?;
    let name = name(unit.pod);
    let path = units.path(&name).display().to_string();
    let unknown = units.install(&name, &unit.text())?;
    let mut text = format!("wrote {path}: the pod comes up with the machine");
    if let Some(why) = &unknown {
        text.push_str(&format!("; systemd does not know of it yet: {why}"));
    }
    if !args.system {
        text.push_str("; `loginctl enable-linger` lets it do so before you log in");
    }
    let data = json!({ "pod": unit.pod, "unit": path, "is_known": unknown.is_none(), "missing": missing });
    session.result("service-install", &text, data);
    Ok(Exit::Done)
}

fn uninstall(is_system: bool, session: &Session<'_>) -> Result<Exit, CommandError> {
    let units = units(is_system, session)?;
    let name = name(session.plan.pod.as_str());
    let was_there = units.uninstall(&name)?;
    let path = units.path(&name).display().to_string();
    let text = match was_there {
        true => format!("removed {path}; the pod goes on as it is"),
        false => format!("there is no {path}"),
    };
    let data = json!({ "pod": session.plan.pod.as_str(), "unit": path, "removed": was_there });
    session.result("service-uninstall", &text, data);
    Ok(Exit::Done)
}

/// Returns what claw is to be called with so that it finds the same pod from anywhere.
fn arguments(global: &Global, session: &Session<'_>) -> Result<Vec<String>, CommandError> {
    let mut words = Vec::new();
    let mut add = |option: &str, value: String| words.extend([option.to_owned(), value]);
    // Those that were named, here or by `COMPOSE_FILE`, or found.
    for (file, _) in &session.input.files {
        add("-f", absolute(&session.input.root.join(file))?.display().to_string());
    }
    add("-p", session.plan.pod.to_string());
    add("--project-directory", session.input.root.display().to_string());
    for file in &session.input.env_files {
        add("--env-file", file.display().to_string());
    }
    for profile in &session.input.profiles {
        add("--profile", profile.clone());
    }
    words.extend(global.locked.then(|| "--locked".to_owned()));
    words.extend(global.compat.then(|| "--compat".to_owned()));
    Ok(words)
}

/// Returns the variables that name the engine.
fn engine(session: &Session<'_>) -> Vec<(String, String)> {
    let names = ["DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", COMPOSE_LEVEL, SHARES_FILES];
    let set = names.into_iter().filter_map(|name| Some((name, session.input.environment.plain(name)?)));
    let set = set.filter(|(name, _)| session.input.environment.file_of(name).is_none());
    set.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Returns the variables of the pod that nothing but this shell sets.
fn missing(session: &Session<'_>) -> Vec<String> {
    let vault = session.vault(&session.plan);
    let secrets = session.plan.belongings.values().flat_map(uses).map(|(_, secret)| secret);
    let secrets = secrets.filter_map(|secret| {
        let standing = vault.standing(secret);
        let is_shells = matches!(standing.source, Source::Environment) && standing.is_set == Some(true);
        standing.place.filter(|_| is_shells)
    });
    let plain = session.input.facts.variables.iter().filter(|(name, value)| {
        value.is_some() && session.input.environment.file_of(name).is_none() && !GIVEN.contains(&name.as_str())
    });
    let mut names: Vec<String> = secrets.chain(plain.map(|(name, _)| name.clone())).collect();
    names.sort();
    names.dedup();
    names
}

/// Variables that systemd sets.
const GIVEN: &[&str] = &["HOME", "LANG", "LOGNAME", "PATH", "SHELL", "USER"];
