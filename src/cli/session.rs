//! What the commands that speak to the engine share: the compiled pod, the engine, and an end on Ctrl-C.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::Path;
use std::time::Duration;

use claw_compiler::plan::Plan;
use claw_compose::model::{Project, Service};
use claw_engine::apply::{PATIENCE, Site};
use claw_engine::docker::{Docker, EngineError, Seen};
use claw_engine::interrupt::Interrupt;
use claw_engine::lock::{Lock, lock};
use claw_engine::vault::{Cache, Vault};
use claw_types::diag::Diagnostics;
use claw_types::driver::Driver;
use claw_types::files::FileTree;
use claw_types::id::PodName;
use claw_types::image::compose;
use serde_json::Value;

use crate::args::Global;
use crate::exit::{CommandError, Exit};
use crate::input::{self, Input};
use crate::ui::Ui;

/// Runs a command's work to its end, or to Ctrl-C or a request to stop.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, CommandError>>) -> Result<T, CommandError> {
    run(&Interrupt::new(), work)
}

/// Steps that are being carried out are asked to end first; a second Ctrl-C does not wait for them.
pub(crate) fn run<T>(
    interrupt: &Interrupt,
    work: impl Future<Output = Result<T, CommandError>>,
) -> Result<T, CommandError> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CommandError::Start)?;
    runtime.block_on(async {
        let mut stop = signal(SignalKind::terminate()).map_err(CommandError::Start)?;
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = tokio::signal::ctrl_c() => {}
                _ = stop.recv() => {}
            }
            if !interrupt.ask() {
                return Err(CommandError::Interrupted);
            }
        }
    })
}

/// Refuses a project that another checkout of the same name started; a command that `can_adopt` says how it is taken over.
pub(crate) fn refuse_elsewhere(project: &str, elsewhere: Option<&str>, can_adopt: bool) -> Result<(), CommandError> {
    let Some(directory) = elsewhere else { return Ok(()) };
    let other = if can_adopt { "take it over with `--adopt`" } else { "go there" };
    let message =
        format!("`{project}` was started from `{directory}`: give this pod another name with `-p`, or {other}");
    Err(CommandError::Usage(message))
}

/// A compiled pod.
pub(crate) struct Session<'u> {
    pub(crate) input: Input,
    pub(crate) plan: Plan,
    pub(crate) ui: &'u Ui,
    pub(crate) interrupt: &'u Interrupt,
    /// Secrets this command has read: each is read once.
    pub(crate) secrets: Cache,
    /// Seconds a container is given to finish, instead of its own.
    pub(crate) grace: Option<i32>,
    /// The longest a service is waited for.
    pub(crate) patience: Duration,
}

impl<'u> Session<'u> {
    fn new(input: Input, plan: Plan, ui: &'u Ui, interrupt: &'u Interrupt) -> Self {
        Self { input, plan, ui, interrupt, secrets: Cache::default(), grace: None, patience: PATIENCE }
    }

    /// Compiles the pod; nothing after its diagnostics were printed as the result of `command`.
    async fn open(
        mut input: Input,
        command: &str,
        ui: &'u Ui,
        interrupt: &'u Interrupt,
    ) -> Result<Option<Self>, CommandError> {
        let Some(plan) = input.plan().await? else {
            ui.result(command, "", Value::Null, &input.diagnostics, &input.sources);
            return Ok(None);
        };
        Ok(Some(Self::new(input, plan, ui, interrupt)))
    }

    /// Returns what the engine has of a pod whose file cannot be used: its services by their containers, and nothing else.
    async fn seen(name: &str, ui: &'u Ui, interrupt: &'u Interrupt) -> Result<Self, CommandError> {
        let mut input = input::nameless(name)?;
        let pod = PodName::parse(name).map_err(|bad| CommandError::Usage(bad.to_string()))?;
        let mut services: BTreeMap<String, Service> = BTreeMap::new();
        for container in input.engine.docker().await?.containers(name).await? {
            let service = services.entry(container.service().to_owned()).or_default();
            let number = container.label(compose::NUMBER).parse().unwrap_or(1);
            service.scale = service.scale.max(Some(number));
            // What claw keeps of it is there.
            let root = Path::new(container.label(compose::WORKING_DIR));
            if root.is_dir() {
                input.root = root.to_owned();
            }
        }
        let plan = Plan {
            pod,
            project: Project { services, ..Project::default() },
            units: BTreeMap::new(),
            proxies: BTreeMap::new(),
            gate: None,
            belongings: BTreeMap::new(),
            files: FileTree::new(),
            builds: BTreeMap::new(),
            bases: BTreeMap::new(),
            needs_infra: false,
            needs_shim: false,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            disabled: BTreeSet::new(),
            unknown: Vec::new(),
            workers: BTreeMap::new(),
            sources: BTreeMap::new(),
            env_files: BTreeSet::new(),
        };
        Ok(Self::new(input, plan, ui, interrupt))
    }

    /// Returns the engine.
    pub(crate) async fn docker(&self) -> Result<&Docker, EngineError> {
        self.input.engine.docker().await
    }

    /// Returns where the values of a plan's secrets come from.
    pub(crate) fn vault<'s>(&'s self, plan: &'s Plan) -> Vault<'s> {
        Vault::new(&self.input.root, plan, &self.input.environment, &self.secrets)
    }

    /// Does `work` with what applying needs to know.
    pub(crate) async fn with_site<T>(&self, plan: &Plan, work: impl AsyncFnOnce(&Site<'_>) -> T) -> T {
        let vault = self.vault(plan);
        let site = Site {
            root: &self.input.root,
            environment: &self.input.environment,
            vault: &vault,
            version: env!("CARGO_PKG_VERSION"),
            env_files: &self.input.env_files,
            progress: &|line| self.ui.progress(line),
            interrupt: self.interrupt,
            grace: self.grace,
            patience: self.patience,
        };
        work(&site).await
    }

    /// Prints a result without diagnostics: they were told when the pod was compiled.
    pub(crate) fn result(&self, command: &str, text: &str, data: Value) {
        self.ui.result(command, text, data, &Diagnostics::new(), &self.input.sources);
    }

    /// Returns the compose services that names mean: of an agent's service each of its replicas.
    pub(crate) fn services(&self, names: &[String]) -> Result<Vec<String>, CommandError> {
        let mut wanted = Vec::new();
        for name in names {
            let found = self.plan.compose_services(name);
            if found.is_empty() {
                return Err(self.no_service(name));
            }
            wanted.extend(found);
        }
        Ok(wanted)
    }

    /// Locks the pod for a command; one that was never brought up from here has no state to lock, and gets none.
    pub(crate) fn lock(&self, command: &str) -> Result<Option<Lock>, CommandError> {
        let has_state = self.input.root.join(".claw").join(self.plan.pod.as_str()).is_dir();
        Ok(has_state.then(|| lock(&self.input.root, self.plan.pod.as_str(), command)).transpose()?)
    }

    /// Refuses a directory that would become a part of an image of the pod: secrets are written there.
    pub(crate) fn refuse_inside(&self, folder: &Path) -> Result<(), CommandError> {
        let service = claw_engine::image::context_around(&self.plan, &self.input.root, folder);
        service.map_or(Ok(()), |service| {
            let shown = folder.display();
            Err(CommandError::Usage(format!(
                "`{shown}` lies in what the image of `{service}` is built from, and would get into it with its secrets: name a directory elsewhere"
            )))
        })
    }

    /// Refuses a project that another checkout of the same name started.
    pub(crate) async fn refuse_elsewhere(&self) -> Result<(), CommandError> {
        let found = self.docker().await?.containers(self.plan.pod.as_str()).await?;
        let elsewhere = found.iter().find_map(|seen| claw_engine::observe::elsewhere(seen, &self.input.root));
        refuse_elsewhere(self.plan.pod.as_str(), elsewhere.as_deref(), false)
    }

    /// Returns the containers of the pod, helpers left out; those of some services where any are named.
    pub(crate) async fn containers(&self, services: &[String]) -> Result<Vec<Seen>, CommandError> {
        let wanted = self.services(services)?;
        let mut containers = self.docker().await?.containers(self.plan.pod.as_str()).await?;
        let is_wanted = |seen: &Seen| wanted.is_empty() || wanted.iter().any(|name| name == seen.service());
        containers.retain(|seen| !seen.is_oneoff() && is_wanted(seen));
        Ok(containers)
    }

    /// Returns one container of a service.
    pub(crate) async fn container(&self, service: &str, index: u32) -> Result<Seen, CommandError> {
        let number = index.to_string();
        let found = self.containers(&[service.to_owned()]).await?;
        let found = found.into_iter().find(|seen| seen.label(compose::NUMBER) == number);
        found.ok_or_else(|| {
            CommandError::Usage(format!("`{service}` has no container {index}: `claw ps` shows what there is"))
        })
    }

    /// Returns the error of a name that no service has.
    pub(crate) fn no_service(&self, name: &str) -> CommandError {
        let known = self.plan.project.services.keys().map(String::as_str);
        let near = claw_types::diag::nearest(name, known).map(|near| format!("; did you mean `{near}`?"));
        let file = name.ends_with(".yml") || name.ends_with(".yaml");
        let hint = near.unwrap_or_else(|| match file {
            true => format!("; a pod file is named before the command: `claw -f {name} …`"),
            false => String::new(),
        });
        CommandError::Usage(format!("there is no service `{name}`{hint}"))
    }

    /// Returns the driver of an agent.
    pub(crate) fn driver(&self, agent: &str) -> Option<&'static dyn Driver> {
        let unit = self.plan.units.values().find(|unit| unit.unit.id.as_str() == agent)?;
        claw_drivers::find(unit.unit.runtime.as_str())
    }

    /// Returns the ids of the agents some names mean, all where none is named; a service with replicas means each.
    pub(crate) fn agents(&self, names: &[String]) -> Result<Vec<String>, CommandError> {
        let all: Vec<String> = self.plan.units.keys().map(ToString::to_string).collect();
        if names.is_empty() {
            return Ok(all);
        }
        let mut found = Vec::new();
        for name in names {
            let own: Vec<String> = self.plan.compose_services(name).into_iter().filter(|id| all.contains(id)).collect();
            if own.is_empty() {
                let there = match all.is_empty() {
                    true => "the pod has none".to_owned(),
                    false => format!("there are `{}`", all.join("`, `")),
                };
                return Err(CommandError::Usage(format!("there is no agent `{name}`; {there}")));
            }
            found.extend(own);
        }
        Ok(found)
    }
}

/// Commands that tell what the compiler found, though it is no error.
const TELLING: &[&str] = &["build", "plan", "up"];

/// Commands that look at containers, or stop them: with `-p` they need no file, and one that is broken does not hide what runs.
const LOOKING: &[&str] =
    &["audit", "cp", "events", "exec", "images", "logs", "port", "ps", "recipe", "stop", "top", "wait"];

/// Runs a command on a compiled pod.
pub(crate) fn with<F>(global: &Global, command: &str, ui: &Ui, work: F) -> Result<Exit, CommandError>
where
    F: for<'u> AsyncFnOnce(Session<'u>) -> Result<Exit, CommandError>,
{
    let name = global.project_name.as_deref().filter(|_| LOOKING.contains(&command));
    let read = || match LOOKING.contains(&command) {
        // What was locked does not matter to what runs.
        true => input::read_softening(global, &[]),
        false => input::read(global),
    };
    let Some(name) = name else { return with_input(read()?, command, ui, work) };
    let interrupt = Interrupt::new();
    run(&interrupt, async {
        // A file that can be used tells more: models, what depends on what, what is not there.
        let read = match read() {
            Ok(mut input) => input.plan().await.ok().flatten().map(|plan| (input, plan)),
            Err(_) => None,
        };
        match read {
            Some((input, plan)) => work(Session::new(input, plan, ui, &interrupt)).await,
            None => work(Session::seen(name, ui, &interrupt).await?).await,
        }
    })
}

/// The same with a pod file that was read already.
pub(crate) fn with_input<F>(input: Input, command: &str, ui: &Ui, work: F) -> Result<Exit, CommandError>
where
    F: for<'u> AsyncFnOnce(Session<'u>) -> Result<Exit, CommandError>,
{
    let interrupt = Interrupt::new();
    run(&interrupt, async {
        match Session::open(input, command, ui, &interrupt).await? {
            Some(session) => {
                // Who asks how it goes is not told again what could be better: `check`, `plan` and `up` say that.
                if TELLING.contains(&command) {
                    ui.diagnostics(&session.input.diagnostics, &session.input.sources);
                }
                work(session).await
            }
            None => Ok(Exit::Wrong),
        }
    })
}
