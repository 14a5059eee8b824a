//! `claw recipe` and `claw bake`: what was installed in a worker, as lines of a Clawfile, and those lines in it.

use std::path::PathBuf;

use claw_compiler::clawfile::{self, Clawfile};
use claw_compiler::recipe::{LeftOut, Package, Recipe, recipe as recipe_of};
use claw_engine::files::{Rewrite, rewrite};
use claw_engine::gather::display;
use claw_types::diag::Diagnostics;
use claw_types::span::{FileId, SourceMap};
use serde_json::{Value, json};

use super::worker;
use crate::args::{BakeArgs, Global};
use crate::exit::{CommandError, Exit};
use crate::fix::Edit;
use crate::session::{self, Session};
use crate::ui::Ui;
use crate::{diff, input};

/// Prints the recipe of an agent's worker.
pub(crate) fn recipe(global: &Global, agent: &str, ui: &Ui) -> Result<Exit, CommandError> {
    session::with(global, "recipe", ui, async |session| {
        let made = of_worker(&session, agent).await?;
        tell(&session, agent, &made);
        let data = json!({
            "pod": session.plan.pod.as_str(),
            "agent": agent,
            "lines": made.lines,
            "packages": made.packages.iter().map(package).collect::<Vec<_>>(),
            "left_out": made.left_out.iter().map(left_out).collect::<Vec<_>>(),
        });
        session.result("recipe", &made.lines.join("\n"), data);
        Ok(Exit::Done)
    })
}

/// Writes the recipe of an agent's worker into the agent's Clawfile, where a person says yes.
pub(crate) fn run(global: &Global, args: &BakeArgs, ui: &Ui) -> Result<Exit, CommandError> {
    session::with(global, "bake", ui, async |session| {
        let made = of_worker(&session, &args.agent).await?;
        tell(&session, &args.agent, &made);
        let mut file = File::read(&session, &args.agent)?;
        let edit = file.edit(&session, &made).await?;
        let diff = edit.as_ref().map(|(edit, _)| diff::unified(&file.name, &file.text, std::slice::from_ref(edit)));
        let data = |is_written: bool| {
            json!({
                "pod": session.plan.pod.as_str(),
                "agent": args.agent,
                "path": file.name,
                "lines": made.lines,
                "diff": diff,
                "is_written": is_written,
            })
        };
        let (Some((_, text)), Some(shown)) = (&edit, &diff) else {
            session.result("bake", "nothing to bake", data(false));
            return Ok(Exit::Done);
        };
        if args.dry_run {
            session.result("bake", shown.trim_end_matches('\n'), data(false));
            return Ok(Exit::Finding);
        }
        if !args.yes {
            if !ui.has_person() {
                let why = format!("nobody is here to say yes: `claw bake -y {}` writes, `--dry-run` shows", args.agent);
                return Err(CommandError::Usage(why));
            }
            ui.progress(shown.trim_end_matches('\n'));
            if !ui.confirms(&format!("Write this into `{}`?", file.name)).await {
                return Err(CommandError::Usage("nothing was written".to_owned()));
            }
        }
        rewrite(&session.input.root, &[Rewrite { path: file.path.clone(), old: &file.text, new: text }])?;
        let next = format!("wrote {}: `claw up -d {}` builds and starts it", file.name, args.agent);
        let shown = if args.yes { format!("{}\n{next}", shown.trim_end_matches('\n')) } else { next };
        session.result("bake", &shown, data(true));
        Ok(Exit::Done)
    })
}

/// Returns what the log of an agent's worker comes to.
async fn of_worker(session: &Session<'_>, agent: &str) -> Result<Recipe, CommandError> {
    let seen = worker::of(session, agent).await?;
    let log = claw_engine::worker::log(&seen.id, session.docker().await?).await?;
    Ok(recipe_of(&log))
}

/// Tells of what a recipe lacks.
fn tell(session: &Session<'_>, agent: &str, made: &Recipe) {
    for each in &made.left_out {
        session.ui.progress(&format!("left out: {} `{}`: {}", each.manager.name(), each.name, each.why));
    }
    let known = session.plan.workers.iter().find(|(id, _)| id.as_str() == agent).map(|(_, worker)| worker);
    if known.is_some_and(|worker| worker.tracked.is_empty()) {
        session
            .ui
            .progress(&format!("nothing of `{agent}` is logged: `TRACK apt pip npm` in its Clawfile says what is"));
    } else if made.calls == 0 {
        session.ui.progress("nothing that is logged was installed yet");
    }
}

fn package(each: &Package) -> Value {
    json!({ "manager": each.manager.name(), "name": each.name, "version": each.version })
}

fn left_out(each: &LeftOut) -> Value {
    json!({ "manager": each.manager.name(), "name": each.name, "why": each.why })
}

/// The Clawfile of an agent.
struct File {
    path: PathBuf,
    name: String,
    text: String,
    id: FileId,
    sources: SourceMap,
}

impl File {
    fn read(session: &Session<'_>, agent: &str) -> Result<Self, CommandError> {
        let services = session.plan.compose_services(agent);
        let build = services.iter().find_map(|service| session.plan.builds.get(service));
        // Replicas are built as their service.
        let build = build.or_else(|| {
            let unit =
                session.plan.units.values().find(|unit| services.iter().any(|id| id == unit.unit.id.as_str()))?;
            session.plan.builds.get(unit.unit.service.as_str())
        });
        let Some(build) = build else {
            let why = format!("`{agent}` is built from no file here: there is nothing to write lines into");
            return Err(CommandError::Usage(why));
        };
        let path = session.input.root.join(&build.context).join(&build.dockerfile);
        let mut sources = SourceMap::new();
        let id = input::source(&path, &mut sources)?;
        let text = sources.get(id).map(|source| source.text.clone()).unwrap_or_default();
        Ok(Self { name: display(&path), path, text, id, sources })
    }

    fn parse(&mut self, id: FileId) -> Option<Clawfile> {
        let mut diagnostics = Diagnostics::new();
        clawfile::parse(self.sources.get(id)?, &claw_drivers::names(), &mut diagnostics).ok()
    }

    /// Returns the edit that puts a recipe's lines there, and the text it makes; nothing where they stand there already.
    async fn edit(&mut self, session: &Session<'_>, made: &Recipe) -> Result<Option<(Edit, String)>, CommandError> {
        let broken = || CommandError::Usage("the Clawfile has errors: `claw check` tells them".to_owned());
        let before = self.parse(self.id).ok_or_else(broken)?;
        let inherited = self.inherited(session, &before).await?;
        let Some(insertion) = before.bake(&made.lines, inherited.as_deref()) else { return Ok(None) };
        let mut text = self.text.clone();
        text.insert_str(insertion.at, &insertion.text);
        // What is written is read once more before it is.
        let id = self.sources.add(format!("{} with the recipe", self.name), text.clone());
        let after = self.parse(id).filter(|after| after.labels() == before.labels());
        after.ok_or_else(|| CommandError::Usage(format!("the lines do not fit into `{}`", self.name)))?;
        let edit = Edit { file: self.id, start: insertion.at, end: insertion.at, text: insertion.text };
        Ok(Some((edit, text)))
    }

    /// Returns the user of the image that the last stage starts from; of the image itself, where that is all the engine has.
    async fn inherited(&self, session: &Session<'_>, before: &Clawfile) -> Result<Option<String>, CommandError> {
        let docker = session.docker().await?;
        let stage = before.last_stage();
        if stage.base.as_deref() == Some("scratch") {
            return Ok(Some("root".to_owned()));
        }
        if let Some(base) = stage.base.as_deref()
            && let Some(facts) = docker.image(base).await?
        {
            return Ok(Some(facts.user.unwrap_or_else(|| "root".to_owned())));
        }
        // Where the file has no `USER`, what it builds has its base's.
        if stage.user.is_some() {
            return Ok(None);
        }
        let images = session
            .plan
            .builds
            .values()
            .filter(|build| session.input.root.join(&build.context).join(&build.dockerfile) == self.path);
        for build in images {
            if let Some(facts) = docker.image(build.image.as_str()).await? {
                return Ok(Some(facts.user.unwrap_or_else(|| "root".to_owned())));
            }
        }
        let why = format!("`{}` starts from an image that is not here, and has no `USER`: build it first", self.name);
        Err(CommandError::Usage(why))
    }
}
