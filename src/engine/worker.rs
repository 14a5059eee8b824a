//! Workers: unhardened siblings of agents, in which people and `ACT` lines try out what an image is to have. A worker has its agent's
//! image and nothing else of it: no variable, no secret, no mount, no network of the pod's. `docs/adr/0015-worker-mode.md` says why.

use std::path::Path;

use claw_compiler::plan::Plan;
use claw_compiler::plan::steps::base_context;
use claw_compose::model::{Healthcheck, Mount, Service};
use claw_compose::shape::{Argv, Maybe};
use claw_compose::template::Template;
use claw_types::id::UnitId;
use claw_types::image::{WORKER_LOG, WORKER_TOOLS, WORKER_TRACK, compose, label};
use claw_types::track::MANAGERS;
use serde_json::{Map, Value, json};

use crate::apply::{ApplyError, Site, create};
use crate::container::{Scope, body};
use crate::docker::{Docker, EngineError, Inside, Seen};
use crate::files::{make_directory, make_state, write_bytes};
use crate::{down, pack};

/// The variable that names the engine's network of workers, where the pod's own is not the one: `host`, `bridge`, a name. Only the
/// process sets it: an env file lies in the pod's folder, and whoever wrote that does not choose where a root of a worker is.
const NETWORK: &str = "CLAW_WORKER_NETWORK";

/// The key of the pod's own network of workers.
pub const NETWORK_KEY: &str = "claw-worker";

/// How many `ACT` lines of a worker are done: a number in a file.
const DONE: &str = "/run/claw-worker/acts";

/// The longest log that is read.
const LONGEST: usize = 16 << 20;

/// The path of an image that sets none, as the engine has it.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Returns whether a container is a worker.
pub fn is_worker(seen: &Seen) -> bool {
    seen.label(label::MODE) == "worker"
}

/// Returns the workers of a pod, by agent.
///
/// # Errors
/// Where the engine does not answer.
pub async fn workers(pod: &str, docker: &Docker) -> Result<Vec<Seen>, EngineError> {
    let mut containers = docker.containers(pod).await?;
    containers.retain(is_worker);
    Ok(containers)
}

/// A worker that is there.
#[derive(Clone, Debug)]
pub struct Worker {
    /// Its container.
    pub id: String,
    /// The container's name.
    pub container: String,
    /// It was made just now.
    pub is_new: bool,
}

/// Makes the worker of an agent, or starts the one that is there. With `anew` one that is there goes first, with all that was done
/// in it.
///
/// # Errors
/// Where one is there that was made from something else, or the engine or the host refuses.
pub async fn ensure(
    agent: &UnitId,
    anew: bool,
    plan: &Plan,
    docker: &Docker,
    site: &Site<'_>,
) -> Result<Worker, ApplyError> {
    let container = format!("{}-{agent}-worker", plan.pod);
    let made = Made::of(agent, plan, docker, site).await?;
    if let Some(seen) = docker.container(&container).await? {
        if !is_worker(&seen) || seen.label(compose::PROJECT) != plan.pod.as_str() {
            let why = format!("there is a container `{container}` already, and it is no worker of this pod: rename it");
            return Err(ApplyError::Unusable(why));
        }
        let is_same = seen.label(label::WORKER) == made.digest;
        if is_same && !anew {
            tools(site.root, plan)?;
            if !seen.state.is_running {
                (site.progress)(&format!("start worker {agent}"));
                docker.start(&seen.id).await?;
            }
            return Ok(Worker { id: seen.id, container, is_new: false });
        }
        if !anew {
            return Err(ApplyError::Unusable(format!(
                "the worker of `{agent}` was made from another image, or with other lines: `--force-recreate` makes it \
                 anew without what was done in it; `claw bake`, `claw recipe` and `claw snapshot` keep that"
            )));
        }
        (site.progress)(&format!("remove worker {agent}"));
        docker.remove_container(&seen.id, true).await?;
    }
    (site.progress)(&format!("create worker {agent}"));
    tools(site.root, plan)?;
    network(&made, plan, docker).await?;
    let id = made.create(&container, plan, docker, site).await?;
    Ok(Worker { id, container, is_new: true })
}

/// What a worker is made from.
struct Made {
    agent: String,
    service: Service,
    labels: Map<String, Value>,
    digest: String,
    /// The engine's network, where it is another than the pod's own.
    network: Option<String>,
    user: Option<String>,
}

impl Made {
    async fn of(agent: &UnitId, plan: &Plan, docker: &Docker, site: &Site<'_>) -> Result<Self, ApplyError> {
        let name = agent.as_str();
        let planned = plan.project.services.get(name).cloned().unwrap_or_default();
        let worker = plan.workers.get(agent).cloned().unwrap_or_default();
        let image = planned.image.clone().unwrap_or_default();
        let Some(config) = docker.image_config(&image).await? else {
            let why = format!("needs the image `{image}`, which the engine does not have");
            return Err(ApplyError::NotReady { service: name.to_owned(), why });
        };
        let path = variable(&config, "PATH").unwrap_or_else(|| PATH.to_owned());
        let folders = MANAGERS.iter().filter(|manager| worker.tracked.contains(manager));
        let folders: String = folders.map(|manager| format!("{WORKER_TOOLS}/track/{}:", manager.name())).collect();
        let bind = Mount {
            kind: "bind".to_owned(),
            source: Some(place(site.root, plan).display().to_string()),
            target: WORKER_TOOLS.to_owned(),
            read_only: Some(true),
            ..Mount::default()
        };
        let log = Mount { kind: "volume".to_owned(), target: WORKER_LOG.to_owned(), ..Mount::default() };
        let network = std::env::var(NETWORK).ok().filter(|name| !name.is_empty());
        let own = format!("{}_{NETWORK_KEY}", plan.pod);
        let mut service = Service {
            image: Some(image),
            platform: planned.platform.clone(),
            entrypoint: Some(Argv(vec![format!("{WORKER_TOOLS}/shim"), "shim".to_owned(), "idle".to_owned()])),
            command: Some(Argv(Vec::new())),
            network_mode: Some(network.clone().unwrap_or(own)),
            volumes: vec![bind, log],
            init: Some(true),
            // Its limits are its agent's: what is tried out is to run there.
            mem_limit: planned.mem_limit,
            memswap_limit: planned.memswap_limit,
            pids_limit: planned.pids_limit,
            cpus: planned.cpus,
            cpuset: planned.cpuset.clone(),
            ulimits: planned.ulimits.clone(),
            logging: planned.logging.clone(),
            ..Service::default()
        };
        service.deploy = planned.deploy.clone().map(|mut deploy| {
            deploy.restart_policy = None;
            deploy
        });
        if !config["Healthcheck"].is_null() {
            service.healthcheck = Some(Box::new(Healthcheck { disable: Some(true), ..Healthcheck::default() }));
        }
        let value = Maybe(Some(Template::literal(format!("{folders}{path}"))));
        service.environment.insert("PATH".to_owned(), value);
        // Also where the image has no list of users.
        let user = worker.user.clone().map(|user| if user == "root" { "0".to_owned() } else { user });
        let id = docker.image(service.image.as_deref().unwrap_or("")).await?.and_then(|facts| facts.id);
        let described = json!([id, worker.acts, folders, worker.user, network]).to_string();
        let digest = base_context(&described);
        let rows = [
            (compose::PROJECT, plan.pod.as_str()),
            (compose::SERVICE, name),
            (compose::ONEOFF, "True"),
            (compose::WORKING_DIR, &site.root.display().to_string()),
            (label::SCHEMA, "1"),
            (label::POD, plan.pod.as_str()),
            (label::SERVICE, name),
            (label::ROLE, "worker"),
            (label::MODE, "worker"),
            (label::WORKER, digest.as_str()),
        ];
        let labels = rows.into_iter().map(|(key, value)| (key.to_owned(), json!(value))).collect();
        Ok(Self { agent: name.to_owned(), service, labels, digest, network, user })
    }

    /// Makes the container and starts it. A user that the image does not have is told of, and the image's stays.
    async fn create(
        &self,
        container: &str,
        plan: &Plan,
        docker: &Docker,
        site: &Site<'_>,
    ) -> Result<String, ApplyError> {
        let mut service = self.service.clone();
        service.user.clone_from(&self.user);
        let make = async |service: &Service| {
            let body = body(&self.agent, container, service, &self.labels, &Scope::new(plan, site));
            let id = create(docker, container, service.platform.as_deref(), body, site.interrupt).await?;
            // Whoever works there may add to it.
            docker.put(&id, WORKER_TRACK, b"", 0o666).await?;
            docker.put(&id, DONE, b"0", 0o644).await?;
            Ok::<_, ApplyError>((docker.start(&id).await, id))
        };
        let (started, id) = make(&service).await?;
        let Err(error) = started else { return Ok(id) };
        docker.remove_container(&id, true).await?;
        let Some(user) = self.user.as_ref().filter(|_| is_unknown_user(&error)) else { return Err(error.into()) };
        (site.progress)(&format!(
            "warning: the image of `{}` has no user `{user}` of `PRIVILEGE worker`: its own stays",
            self.agent
        ));
        service.user = None;
        let (started, id) = make(&service).await?;
        started?;
        Ok(id)
    }
}

fn is_unknown_user(error: &EngineError) -> bool {
    error.reason.contains("unable to find user") || error.reason.contains("no matching entries in passwd")
}

/// Returns a variable of an image.
fn variable(config: &Value, name: &str) -> Option<String> {
    let rows = config["Env"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut found = rows.filter_map(|row| row.split_once('=')).filter(|(key, _)| *key == name);
    found.next().map(|(_, value)| value.to_owned())
}

/// The pod's own network of workers has a way out, and none of the pod's services is on it.
async fn network(made: &Made, plan: &Plan, docker: &Docker) -> Result<(), ApplyError> {
    let name = format!("{}_{NETWORK_KEY}", plan.pod);
    if made.network.is_some() || docker.has_network(&name).await? {
        return Ok(());
    }
    let labels = json!({
        compose::PROJECT: plan.pod.as_str(),
        compose::NETWORK: NETWORK_KEY,
        label::SCHEMA: "1",
    });
    docker.create_network(&name, json!({ "Name": name, "Driver": "bridge", "Labels": labels })).await?;
    Ok(())
}

/// Where the tools of workers are on the host.
fn place(root: &Path, plan: &Plan) -> std::path::PathBuf {
    root.join(".claw").join(plan.pod.as_str()).join("bin").join("worker")
}

/// Writes what workers mount: this executable, and a folder for each package manager with the names it stands for.
fn tools(root: &Path, plan: &Plan) -> Result<(), ApplyError> {
    let place = place(root, plan);
    make_state(root)?;
    make_directory(&place, 0o755)?;
    let program = std::fs::read(std::env::current_exe().map_err(ApplyError::Pack)?).map_err(ApplyError::Pack)?;
    if pack::is_dynamic(&program) {
        return Err(ApplyError::Pack(pack::dynamic()));
    }
    let shim = place.join("shim");
    if std::fs::read(&shim).map_or(true, |own| own != program) {
        write_bytes(&shim, &program, 0o555)?;
    }
    for manager in MANAGERS {
        let folder = place.join("track").join(manager.name());
        make_directory(&folder, 0o755)?;
        for name in manager.programs() {
            let link = folder.join(name);
            if link.symlink_metadata().is_err() {
                std::os::unix::fs::symlink("../../shim", &link).map_err(ApplyError::Pack)?;
            }
        }
    }
    Ok(())
}

/// Returns how many `ACT` lines are done in a worker.
///
/// # Errors
/// Where the engine does not answer.
pub async fn done(worker: &str, docker: &Docker) -> Result<usize, EngineError> {
    let found = docker.get(worker, DONE, 32).await?;
    let text = match found {
        Some(Inside::File(bytes)) => String::from_utf8_lossy(&bytes).trim().to_owned(),
        _ => String::new(),
    };
    Ok(text.parse().unwrap_or(0))
}

/// Remembers how many `ACT` lines are done in a worker.
///
/// # Errors
/// Where the engine refuses.
pub async fn record(worker: &str, count: usize, docker: &Docker) -> Result<(), EngineError> {
    docker.put(worker, DONE, count.to_string().as_bytes(), 0o644).await
}

/// Returns the log of a worker's package managers; empty where there is none.
///
/// # Errors
/// Where the engine does not answer, or the log is longer than 16 MiB.
pub async fn log(worker: &str, docker: &Docker) -> Result<String, ApplyError> {
    match docker.get(worker, WORKER_TRACK, LONGEST).await? {
        Some(Inside::File(bytes)) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Some(Inside::TooLong) => {
            Err(ApplyError::Unusable(format!("`{WORKER_TRACK}` of the worker is longer than {LONGEST} bytes")))
        }
        Some(Inside::NotRegular) => {
            Err(ApplyError::Unusable(format!("`{WORKER_TRACK}` of the worker is no regular file any more")))
        }
        None => Ok(String::new()),
    }
}

/// Takes the workers of a pod away, and their network. Returns how many things were removed.
///
/// # Errors
/// Where the engine refuses.
pub async fn remove(pod: &str, docker: &Docker, progress: &dyn Fn(&str)) -> Result<usize, EngineError> {
    let mut removed = 0;
    for seen in workers(pod, docker).await? {
        progress(&format!("remove worker {}", seen.service()));
        docker.remove_container(&seen.id, true).await?;
        removed += 1;
    }
    for network in docker.networks(pod).await?.iter().filter(|network| network.key == NETWORK_KEY) {
        progress(&format!("remove network {}", network.key));
        down::remove_network(&network.id, docker).await?;
        removed += 1;
    }
    Ok(removed)
}

/// Keeps a container's file system as an image: configured as the image it was made from, without what its container has beside
/// that. Returns the image's id.
///
/// # Errors
/// Where the image it was made from is gone, or the engine refuses.
pub async fn snapshot(seen: &Seen, tag: &str, comment: &str, docker: &Docker) -> Result<String, ApplyError> {
    let image = seen.inspected["Image"].as_str().unwrap_or("");
    let Some(own) = docker.image_config(image).await? else {
        return Err(ApplyError::Unusable(format!("the image `{image}` that `{}` was made from is gone", seen.name)));
    };
    let container = &seen.inspected["Config"];
    if takes_command(&own, container) {
        return Err(ApplyError::Unusable(format!(
            "the image of `{}` has no command, so that the engine would keep the container's, and what values it has: give \
             the image one, or make a worker",
            seen.name
        )));
    }
    Ok(docker.commit(&seen.id, tag, comment, kept(&own, container)).await?)
}

/// Returns whether an engine fills the command from the container: it does where the image has neither command nor entrypoint, and
/// there is no command that says none.
fn takes_command(image: &Value, container: &Value) -> bool {
    let has = |config: &Value, key: &str| config[key].as_array().is_some_and(|words| !words.is_empty());
    !has(image, "Cmd") && !has(image, "Entrypoint") && has(container, "Cmd")
}

/// Returns the configuration of a snapshot. The engine adds whatever of the container's is not in it (API 1.41): variables and labels of
/// the container alone are there without a value.
fn kept(image: &Value, container: &Value) -> Value {
    let rows = |config: &Value| -> Vec<String> {
        let rows = config["Env"].as_array().into_iter().flatten();
        rows.filter_map(Value::as_str).map(ToOwned::to_owned).collect()
    };
    let key = |row: &String| row.split('=').next().unwrap_or("").to_owned();
    let mut environment = rows(image);
    let names: std::collections::BTreeSet<String> = environment.iter().map(key).collect();
    environment.extend(rows(container).iter().map(key).filter(|key| !names.contains(key)).map(|key| format!("{key}=")));
    if !names.contains("PATH") {
        environment.retain(|row| !row.starts_with("PATH="));
        environment.push(format!("PATH={PATH}"));
    }
    let mut labels = image["Labels"].as_object().cloned().unwrap_or_default();
    for label in container["Labels"].as_object().into_iter().flat_map(Map::keys) {
        labels.entry(label.clone()).or_insert_with(|| json!(""));
    }
    let user = image["User"].as_str().filter(|user| !user.is_empty()).unwrap_or("0");
    let list = |key: &str| if image[key].is_null() { json!([]) } else { image[key].clone() };
    // Where the image has none, these would be the container's too.
    let healthcheck = match (&image["Healthcheck"], &container["Healthcheck"]) {
        (Value::Null, Value::Null) => Value::Null,
        (Value::Null, _) => json!({ "Test": ["NONE"] }),
        (own, _) => own.clone(),
    };
    let is_set = |config: &Value| config["WorkingDir"].as_str().is_some_and(|place| !place.is_empty());
    let place = if is_set(container) && !is_set(image) { json!("/") } else { image["WorkingDir"].clone() };
    json!({
        "Env": environment,
        "Labels": labels,
        "User": user,
        "Entrypoint": list("Entrypoint"),
        "Cmd": list("Cmd"),
        "WorkingDir": place,
        "Healthcheck": healthcheck,
        "ExposedPorts": image["ExposedPorts"],
        "Volumes": image["Volumes"],
        "StopSignal": image["StopSignal"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_has_the_images_configuration_and_nothing_of_its_containers() {
        let image =
            json!({"Env": ["PATH=/bin", "A=1"], "Labels": {"claw.type": "generic"}, "Cmd": ["run"], "User": ""});
        let container = json!({"Env": ["PATH=/run/claw/track/apt:/bin", "A=2", "TOKEN=s3cret"],
                               "Labels": {"claw.type": "generic", "claw.mode": "worker"}, "User": "node"});
        let kept = kept(&image, &container);
        assert_eq!(kept["Env"], json!(["PATH=/bin", "A=1", "TOKEN="]));
        assert_eq!(kept["Labels"], json!({"claw.type": "generic", "claw.mode": ""}));
        assert_eq!((&kept["User"], &kept["Cmd"], &kept["Entrypoint"]), (&json!("0"), &json!(["run"]), &json!([])));
        assert_eq!((&kept["Healthcheck"], &kept["WorkingDir"]), (&Value::Null, &Value::Null));
        let bare = super::kept(&json!({}), &container);
        assert_eq!(bare["Env"], json!(["A=", "TOKEN=", format!("PATH={PATH}")]));
    }

    #[test]
    fn what_the_engine_would_fill_in_has_no_value_of_a_container() {
        let container = json!({"Cmd": ["run", "marker"], "WorkingDir": "/marker",
                               "Healthcheck": {"Test": ["CMD", "curl", "marker"], "Interval": 5}});
        let kept = super::kept(&json!({"Cmd": ["run"], "WorkingDir": ""}), &container);
        assert_eq!((&kept["Healthcheck"], &kept["WorkingDir"]), (&json!({"Test": ["NONE"]}), &json!("/")));
        assert!(!kept.to_string().contains("marker"), "{kept}");
        let own = json!({"Entrypoint": ["run"], "WorkingDir": "/own", "Healthcheck": {"Test": ["CMD", "own"]}});
        let kept = super::kept(&own, &container);
        assert_eq!((&kept["Healthcheck"], &kept["WorkingDir"]), (&own["Healthcheck"], &own["WorkingDir"]));
        assert!(!takes_command(&own, &container) && !takes_command(&json!({"Cmd": ["run"]}), &container));
        assert!(takes_command(&json!({"Cmd": null, "Entrypoint": []}), &container));
        assert!(!takes_command(&json!({}), &json!({"Cmd": []})), "a worker has none");
    }
}
