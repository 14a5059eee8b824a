//! `claw config`: the project as docker compose 2.40 prints it, nothing hardened.

use std::collections::{BTreeMap, BTreeSet};

use claw_compose::hash::{self, Level};
use claw_compose::load::{self, Options, Stop};
use claw_compose::model::Project;
use claw_compose::{print, write};
use claw_engine::project::{Disk, DiskFiles, Kept, resolve};
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::span::Source;

use crate::args::{ConfigArgs, Format, Global};
use crate::exit::{CommandError, Exit};
use crate::input::{self, Input};
use crate::ui::Ui;

pub(crate) fn run(global: &Global, args: &ConfigArgs, ui: &Ui) -> Result<Exit, CommandError> {
    let mut input = input::read(global)?;
    if args.environment {
        let lines: Vec<String> = input.environment.lines().collect();
        ui.bare(&lines.iter().map(|line| format!("{line}\n")).collect::<String>());
        return Ok(Exit::Done);
    }
    if args.variables {
        return variables(&mut input, global, ui);
    }
    let has_errors = input.diagnostics.has_errors();
    let loaded = load(&mut input, args)?;
    // Standard output is compose's form, which has no place for them.
    ui.findings(&input.diagnostics, &input.sources);
    let Some(mut project) = loaded.filter(|_| !has_errors) else { return Ok(Exit::Wrong) };
    let hashed = args.hash.iter().flat_map(|names| names.split(',')).filter(|name| *name != "*");
    for name in args.services.iter().map(String::as_str).chain(hashed) {
        if !project.services.contains_key(name) {
            return Err(CommandError::Usage(format!("there is no service `{name}`")));
        }
    }
    if !args.services.is_empty() {
        load::profile::select(&mut project, &args.services);
    }
    if !args.quiet {
        ui.bare(&text(&project, args, global.format));
    }
    // The process ends here: nothing is gained by giving a thousand services back piece by piece.
    std::mem::forget(project);
    Ok(Exit::Done)
}

fn text(project: &Project, args: &ConfigArgs, format: Format) -> String {
    let lines = |lines: BTreeSet<String>| lines.into_iter().map(|line| format!("{line}\n")).collect::<String>();
    let keys = |keys: Vec<&String>| lines(keys.into_iter().cloned().collect());
    if let Some(names) = &args.hash {
        let wanted: Vec<&str> = names.split(',').collect();
        let services = project.services.iter().filter(|(name, _)| names == "*" || wanted.contains(&name.as_str()));
        return lines(
            services.map(|(name, service)| format!("{name} {}", hash::service(service, Level::V2_40))).collect(),
        );
    }
    if args.list_services {
        return keys(project.services.keys().collect());
    }
    if args.volumes {
        return keys(project.volumes.keys().collect());
    }
    if args.networks {
        return keys(project.networks.keys().collect());
    }
    if args.images {
        let name = project.name.clone().unwrap_or_default();
        let image = |(key, service): (&String, &claw_compose::model::Service)| {
            service.image.clone().unwrap_or_else(|| format!("{name}-{key}"))
        };
        return lines(project.services.iter().map(image).collect());
    }
    if args.profiles {
        let profiles = project.services.values().flat_map(|service| service.profiles.iter().cloned());
        return lines(profiles.collect());
    }
    match format {
        Format::Json => write::json(&print::json(project)),
        _ => write::yaml(&print::yaml(project)),
    }
}

/// Loads the project, every profile where profiles themselves are asked for; nothing where diagnostics say why not.
fn load(input: &mut Input, args: &ConfigArgs) -> Result<Option<Project>, CommandError> {
    let mut disk = Disk::default();
    let all = ["*".to_owned()];
    loop {
        let mut diagnostics = input.diagnostics.clone();
        let files = disk.files(&input.sources);
        let spec = input.spec();
        let options = options(input, &files, &spec.directory);
        let mains = mains(input);
        let profiles = if args.profiles { &all[..] } else { &input.profiles };
        let found = load::merge(&mains, &options, &mut diagnostics).and_then(|merged| {
            for unset in &merged.unset {
                let message = format!("the variable `{}` is not set; it is taken as empty", unset.name);
                diagnostics.push(Diagnostic::warning(Code::UnsetVariable, unset.span, message));
            }
            let name = merged.name.clone();
            let loaded = load::decode(merged, &options, profiles, &args.services, &mut diagnostics)?;
            Ok((name, loaded))
        });
        match found {
            Ok((name, loaded)) => {
                input.diagnostics = diagnostics;
                let mut project = loaded.project;
                let kept = if args.hash.is_some() { Kept::EnvFiles } else { Kept::Nothing };
                resolve(&mut project, &input.root, &name, &input.environment, kept)?;
                return Ok(Some(project));
            }
            Err(Stop::Reported(_) | Stop::Broken(..)) => {
                input.diagnostics = diagnostics;
                return Ok(None);
            }
            Err(Stop::Wanted(wants)) => disk.read(wants, &input.root, &input.environment, &mut input.sources)?,
        }
    }
}

fn options<'o>(input: &'o Input, files: &'o DiskFiles<'o>, directory: &'o str) -> Options<'o> {
    Options {
        lookup: &input.environment,
        keep: &|_, _| false,
        files,
        name: input.name.as_deref(),
        directory,
        judges: false,
    }
}

fn mains(input: &Input) -> Vec<(&str, &Source)> {
    input.files.iter().filter_map(|(path, file)| Some((path.as_str(), input.sources.get(*file)?))).collect()
}

/// Prints the variables that the files name, those they include and extend too, with their defaults, as a table.
fn variables(input: &mut Input, global: &Global, ui: &Ui) -> Result<Exit, CommandError> {
    let mut disk = Disk::default();
    loop {
        let spec = input.spec();
        let files = disk.files(&input.sources);
        // A variable without value may be an error of loading, and is what is asked for here.
        let merged = load::merge(&mains(input), &options(input, &files, &spec.directory), &mut Diagnostics::new());
        let Err(Stop::Wanted(wants)) = merged else { break };
        disk.read(wants, &input.root, &input.environment, &mut input.sources)?;
    }
    let mut found: BTreeMap<String, print::Variable> = BTreeMap::new();
    let mut diagnostics = input.diagnostics.clone();
    for source in mains(input).into_iter().map(|(_, source)| source).chain(disk.texts(&input.sources)) {
        for tree in claw_compose::yaml::documents(source, &mut diagnostics).unwrap_or_default() {
            print::variables(&tree, &mut found);
        }
    }
    ui.findings(&diagnostics, &input.sources);
    ui.bare(&if global.format == Format::Json {
        print::variables_json(&found)
    } else {
        print::variables_table(&found)
    });
    Ok(if diagnostics.has_errors() { Exit::Wrong } else { Exit::Done })
}
