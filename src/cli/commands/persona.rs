//! `claw persona`: what agents have made of their personas, and personas in registries.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use claw_compiler::plan::PlannedUnit;
use claw_engine::apply::ApplyError;
use claw_engine::gather::display;
use claw_engine::live::live;
use claw_engine::lock::lock;
use claw_engine::persona::{Files, Moved, digest, free, pull, push, reset, seeded, snapshot};
use claw_types::diag::Diagnostics;
use claw_types::persona::PersonaSource;
use claw_types::span::SourceMap;
use serde_json::{Value, json};

use crate::args::{Global, Persona, PullArgs};
use crate::discover;
use crate::exit::{CommandError, Exit};
use crate::session::{self, Session, block_on};
use crate::ui::Ui;

pub(crate) fn run(global: &Global, command: &Persona, ui: &Ui) -> Result<Exit, CommandError> {
    match command {
        Persona::Snapshot { agent, output } => session::with(global, "persona snapshot", ui, async |session| {
            let planned = one(&session, agent)?;
            let id = planned.unit.id.as_str();
            let place = output.clone().unwrap_or_else(|| PathBuf::from(format!("{id}-persona.tar")));
            unused(&place)?;
            let files = taken(&session, planned).await?;
            write(&files, &place)?;
            let mut data = told(&files);
            data["pod"] = json!(session.plan.pod.as_str());
            data["agent"] = json!(id);
            data["path"] = json!(display(&place));
            session.result("persona snapshot", &format!("wrote {}: {}", display(&place), summary(&files)), data);
            Ok(Exit::Done)
        }),
        Persona::Push { subject, reference, plain_http } if subject.starts_with('.') || subject.contains('/') => {
            let files = Files::read_at(Path::new(subject)).map_err(|error| named(subject, error))?;
            let root = discover::absolute(Path::new("."))?;
            block_on(async {
                let moved =
                    push(&files, reference, &root, *plain_http).await.map_err(|error| named(reference, error))?;
                plain(
                    ui,
                    "persona push",
                    &pushed(reference, &files, &moved),
                    moved_data(None, reference, &files, &moved),
                );
                Ok(Exit::Done)
            })
        }
        Persona::Push { subject, reference, plain_http } => {
            session::with(global, "persona push", ui, async |session| {
                let planned = one(&session, subject)?;
                let files = taken(&session, planned).await?;
                let root = &session.input.root;
                let moved =
                    push(&files, reference, root, *plain_http).await.map_err(|error| named(reference, error))?;
                let data = moved_data(Some(planned.unit.id.as_str()), reference, &files, &moved);
                session.result("persona push", &pushed(reference, &files, &moved), data);
                Ok(Exit::Done)
            })
        }
        Persona::Pull(args) => match PersonaSource::parse(&args.subject) {
            Ok(PersonaSource::Path(_)) => of_agents(global, args, ui),
            Ok(_) if args.reset => Err(CommandError::Usage("`--reset` is for an agent".to_owned())),
            Ok(_) => fetch(args, ui),
            Err(bad) => Err(CommandError::Usage(format!("`{}` {bad}", args.subject))),
        },
    }
}

/// Fetches a persona by its name.
fn fetch(args: &PullArgs, ui: &Ui) -> Result<Exit, CommandError> {
    let name = &args.subject;
    let root = discover::absolute(Path::new("."))?;
    if let Some(place) = &args.output {
        unused(place)?;
    }
    block_on(async {
        let (files, moved) = pull(name, &root, args.plain_http).await.map_err(|error| named(name, error))?;
        let mut text = format!("pulled {name}: {}, {}", moved.digest, summary(&files));
        let mut data = moved_data(None, name, &files, &moved);
        if let Some(place) = &args.output {
            write(&files, place)?;
            text = format!("{text}; wrote {}", display(place));
            data["path"] = json!(display(place));
        }
        plain(ui, "persona pull", &text, data);
        Ok(Exit::Done)
    })
}

/// Tells which persona agents began with and which the pod names now; or has them begin anew.
fn of_agents(global: &Global, args: &PullArgs, ui: &Ui) -> Result<Exit, CommandError> {
    if args.output.is_some() {
        return Err(CommandError::Usage(
            "`-o` is for a persona by its name; `claw persona snapshot` writes an agent's".to_owned(),
        ));
    }
    session::with(global, "persona pull", ui, async |session| {
        let wanted = session.agents(std::slice::from_ref(&args.subject))?;
        let units = session.plan.units.values().filter(|unit| wanted.iter().any(|id| id == unit.unit.id.as_str()));
        let units: Vec<&PlannedUnit> = units.filter(|unit| unit.home.is_some()).collect();
        if units.is_empty() {
            return Err(CommandError::Usage(format!(
                "`{}` has no persona: `persona:` of its `x-claw` names one",
                args.subject
            )));
        }
        let anew = match args.reset {
            true => begin_anew(&session, &units, args.yes).await?,
            false => BTreeSet::new(),
        };
        let volumes = session.docker().await?.volumes(session.plan.pod.as_str()).await?;
        let copied = seeded(&session.input.root, session.plan.pod.as_str(), &volumes);
        let (mut lines, mut rows) = (Vec::new(), Vec::new());
        for unit in units {
            let (Some(home), Some(persona)) = (&unit.home, &unit.unit.persona) else { continue };
            let began = copied.get(&home.volume).cloned().flatten();
            let id = unit.unit.id.as_str();
            lines.push(match &began {
                _ if anew.contains(id) => format!("{id}: began anew with `{}`, {}", persona.name, persona.digest),
                Some(began) if *began == persona.digest => format!("{id}: began with `{}`, {began}", persona.name),
                Some(began) => format!(
                    "{id}: began with {began}, and `{}` is {} now: `--reset` copies it over what the agent has made of its own",
                    persona.name, persona.digest
                ),
                None => format!("{id}: `{}` is {}, and claw has not copied it", persona.name, persona.digest),
            });
            rows.push(json!({ "agent": id, "persona": persona.name, "content": persona.digest, "copied": began, "reset": anew.contains(id) }));
        }
        let data = json!({ "pod": session.plan.pod.as_str(), "agents": rows });
        session.result("persona pull", &lines.join("\n"), data);
        Ok(Exit::Done)
    })
}

/// Returns the agents that began anew: one without a volume has nothing to begin anew with.
async fn begin_anew(
    session: &Session<'_>,
    units: &[&PlannedUnit],
    is_agreed: bool,
) -> Result<BTreeSet<String>, CommandError> {
    let names: Vec<&str> = units.iter().map(|unit| unit.unit.id.as_str()).collect();
    let names = names.join("`, `");
    if !is_agreed {
        if !session.ui.has_person() {
            let message = format!(
                "what `{names}` has made of its persona would be lost: `claw persona snapshot` keeps it, `-y` goes on"
            );
            return Err(CommandError::Usage(message));
        }
        if !session.ui.confirms(&format!("Take away what `{names}` has made of its persona?")).await {
            return Err(CommandError::Usage("nothing was changed".to_owned()));
        }
    }
    let _lock = lock(&session.input.root, session.plan.pod.as_str(), "persona")?;
    session.refuse_elsewhere().await?;
    let docker = session.docker().await?;
    let anew = session
        .with_site(&session.plan, async |site| {
            let live = live(&session.plan, site)?;
            let mut anew = BTreeSet::new();
            for unit in units {
                if site.interrupt.is_asked() {
                    return Err(ApplyError::Interrupted);
                }
                (site.progress)(&format!("copy persona of {}: `--reset` asks for it", unit.unit.id));
                if reset(unit, &live, docker, site).await? {
                    anew.insert(unit.unit.id.to_string());
                }
            }
            Ok(anew)
        })
        .await?;
    Ok(anew)
}

/// Returns the one agent of a name that has a persona.
fn one<'s>(session: &'s Session<'_>, agent: &str) -> Result<&'s PlannedUnit, CommandError> {
    let wanted = session.agents(&[agent.to_owned()])?;
    let [id] = wanted.as_slice() else {
        return Err(CommandError::Usage(format!("`{agent}` is several: name one of `{}`", wanted.join("`, `"))));
    };
    let planned = session.plan.units.values().find(|unit| unit.unit.id.as_str() == id);
    planned
        .filter(|planned| planned.home.is_some())
        .ok_or_else(|| CommandError::Usage(format!("`{agent}` has no persona: `persona:` of its `x-claw` names one")))
}

/// Returns what an agent has made of its persona.
async fn taken(session: &Session<'_>, planned: &PlannedUnit) -> Result<Files, CommandError> {
    // Helpers that are made here are nobody's to another run that brings the pod up.
    let _lock = session.lock("persona")?;
    session.refuse_elsewhere().await?;
    let docker = session.docker().await?;
    let files =
        session.with_site(&session.plan, async |site| snapshot(planned, &session.plan, docker, site).await).await?;
    match files.is_empty() {
        true => Err(CommandError::Usage(format!("`{}` has left nothing of its persona", planned.unit.id))),
        false => Ok(files),
    }
}

fn named(name: &str, error: claw_engine::persona::PersonaError) -> CommandError {
    CommandError::Persona(name.to_owned(), error)
}

/// Writes files as a tar or a directory that is not there yet.
fn write(files: &Files, place: &Path) -> Result<(), CommandError> {
    let is_tar = place.extension().is_some_and(|extension| extension == "tar");
    let written = if is_tar { files.write_tar(place) } else { files.write(place) };
    written.map_err(|error| named(&display(place), error))
}

/// Refuses a place where something is, before anybody is asked or held still.
fn unused(place: &Path) -> Result<(), CommandError> {
    free(place).map_err(|error| named(&display(place), error))
}

fn summary(files: &Files) -> String {
    let left = match files.left_out() {
        0 => String::new(),
        1 => "; one thing that is no file of a persona was left out".to_owned(),
        count => format!("; {count} things that are no files of a persona were left out"),
    };
    let count = if files.len() == 1 { "1 file".to_owned() } else { format!("{} files", files.len()) };
    format!("{count}, {} bytes, content {}{left}", files.bytes(), digest(files.archive().bytes()))
}

fn told(files: &Files) -> Value {
    json!({
        "files": files.len(),
        "bytes": files.bytes(),
        "content": digest(files.archive().bytes()),
        "left_out": files.left_out(),
    })
}

fn pushed(reference: &str, files: &Files, moved: &Moved) -> String {
    format!("pushed {reference}: {}, {}", moved.digest, summary(files))
}

fn moved_data(agent: Option<&str>, reference: &str, files: &Files, moved: &Moved) -> Value {
    let mut data = told(files);
    data["agent"] = json!(agent);
    data["reference"] = json!(reference);
    data["digest"] = json!(moved.digest);
    data
}

fn plain(ui: &Ui, command: &str, text: &str, data: Value) {
    ui.result(command, text, data, &Diagnostics::new(), &SourceMap::new());
}
