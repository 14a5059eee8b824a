//! Containers: made, started, stopped, looked at.

use std::collections::BTreeMap;
use std::io::Read;

use bollard::models::{ContainerCreateBody, ContainerInspectResponse, ContainerSummary};
use bollard::query_parameters as query;
use claw_types::image::compose;
use futures_util::StreamExt;
use serde_json::Value;

use super::{Docker, EngineError, failed, is_missing, labelled, of_project, read};

/// How a container is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The engine's word: `created`, `running`, `restarting`, `exited`, …
    pub status: String,
    /// It runs.
    pub is_running: bool,
    /// It runs again after a failure, or is about to.
    pub is_restarting: bool,
    /// Its exit code, where it does not run.
    pub exit_code: i64,
    /// What its health check says, where it has one: `starting`, `healthy`, `unhealthy`.
    pub health: Option<String>,
    /// What the last run of its health check printed.
    pub health_output: Option<String>,
    /// The kernel killed it for its memory.
    pub is_oom_killed: bool,
    /// How often it was restarted.
    pub restarts: i64,
    /// When it was started, RFC 3339.
    pub started_at: String,
}

/// A container as the engine describes it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// How it is.
    pub state: State,
    /// The whole answer of the engine's "inspect" call.
    pub inspected: Value,
}

impl Seen {
    /// Returns a label's value; empty where it has none.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    /// Returns the compose service it belongs to.
    pub fn service(&self) -> &str {
        self.label(compose::SERVICE)
    }

    /// Returns whether it is a helper rather than a container of a service.
    pub fn is_oneoff(&self) -> bool {
        self.label(compose::ONEOFF) == "True"
    }
}

fn seen(found: ContainerInspectResponse) -> Seen {
    let state = found.state.clone().unwrap_or_default();
    let health = state.health.unwrap_or_default();
    let status = health.status.map(|status| status.to_string()).filter(|word| !matches!(word.as_str(), "" | "none"));
    let output = health.log.unwrap_or_default().pop().and_then(|run| run.output);
    let labels = found.config.as_ref().and_then(|config| config.labels.clone()).unwrap_or_default();
    Seen {
        id: found.id.clone().unwrap_or_default(),
        name: found.name.clone().unwrap_or_default().trim_start_matches('/').to_owned(),
        labels: labels.into_iter().collect(),
        state: State {
            status: state.status.map(|status| status.to_string()).unwrap_or_default(),
            // A paused one is running to the engine, and does nothing.
            is_running: state.running.unwrap_or(false)
                && !state.restarting.unwrap_or(false)
                && !state.paused.unwrap_or(false),
            is_restarting: state.restarting.unwrap_or(false),
            exit_code: state.exit_code.unwrap_or(0),
            health: status,
            health_output: output,
            is_oom_killed: state.oom_killed.unwrap_or(false),
            restarts: found.restart_count.unwrap_or(0),
            started_at: state.started_at.unwrap_or_default(),
        },
        inspected: serde_json::to_value(found).unwrap_or_default(),
    }
}

/// How often a container is looked at again that is about to be something else.
const PATIENCE: usize = 100;

/// How many bytes of an archive are sent at a time.
const PIECE: usize = 1 << 16;

/// How many containers are looked into at a time.
const AT_ONCE: usize = 8;

/// What a list tells of a container.
fn listed(found: ContainerSummary) -> Seen {
    let status = found.state.map(|state| state.to_string()).unwrap_or_default();
    // `Up 5 minutes (healthy)`, `Exited (3) 2 hours ago`.
    let told = found.status.clone().unwrap_or_default();
    let word = told.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map_or("", |(word, _)| word);
    let health = match word {
        "healthy" | "unhealthy" => Some(word.to_owned()),
        "health: starting" => Some("starting".to_owned()),
        _ => None,
    };
    let name = found.names.iter().flatten().next().map_or("", |name| name.trim_start_matches('/')).to_owned();
    let networks = found.network_settings.and_then(|settings| settings.networks);
    Seen {
        id: found.id.unwrap_or_default(),
        name,
        labels: found.labels.unwrap_or_default().into_iter().collect(),
        state: State {
            is_running: status == "running",
            is_restarting: status == "restarting",
            exit_code: word.parse().unwrap_or(0),
            health,
            status,
            ..State::default()
        },
        inspected: serde_json::json!({ "Mounts": found.mounts, "NetworkSettings": { "Networks": networks } }),
    }
}

/// What is at a path of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inside {
    /// A regular file's bytes.
    File(Vec<u8>),
    /// A regular file longer than was asked for.
    TooLong,
    /// A directory, a link, a device.
    NotRegular,
}

/// Returns what the first entry of an archive is.
fn inside(archive: &[u8], limit: usize) -> Inside {
    let mut archive = tar::Archive::new(archive);
    let entry = archive.entries().ok().and_then(|mut entries| entries.next()?.ok());
    let Some(entry) = entry.filter(|entry| entry.header().entry_type().is_file()) else { return Inside::NotRegular };
    if entry.size() > limit as u64 {
        return Inside::TooLong;
    }
    let mut bytes = Vec::new();
    match entry.take(limit as u64).read_to_end(&mut bytes) {
        Ok(_) => Inside::File(bytes),
        Err(_) => Inside::NotRegular,
    }
}

impl Docker {
    /// Returns the containers of a project, helpers too, whatever their state, by service and number.
    ///
    /// # Errors
    /// Where the engine does not answer.
    pub async fn containers(&self, project: &str) -> Result<Vec<Seen>, EngineError> {
        self.overview(project, &|_| true).await
    }

    /// The same, looked into where `inspects` holds for a container's labels; of the others what a list tells: labels, state,
    /// mounts and networks.
    ///
    /// # Errors
    /// Where the engine does not answer.
    pub async fn overview(
        &self,
        project: &str,
        inspects: &dyn Fn(&BTreeMap<String, String>) -> bool,
    ) -> Result<Vec<Seen>, EngineError> {
        let filters = labelled(&[of_project(project)]);
        let options = query::ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let found = self.api.list_containers(Some(options)).await.map_err(failed("list the containers of", project))?;
        let (inspected, listed): (Vec<Seen>, Vec<Seen>) =
            found.into_iter().map(listed).partition(|each| inspects(&each.labels));
        let looks = inspected.iter().map(|each| self.container(&each.id));
        let looks: Vec<_> = futures_util::stream::iter(looks).buffered(AT_ONCE).collect().await;
        let mut containers = listed;
        for look in looks {
            containers.extend(look?);
        }
        let number = |each: &Seen| each.label(compose::NUMBER).parse::<u32>().unwrap_or(0);
        containers.sort_by_key(|each| (each.service().to_owned(), number(each), each.name.clone()));
        Ok(containers)
    }

    /// Returns a container by name or id; nothing where there is none.
    ///
    /// # Errors
    /// Where the engine does not answer.
    pub async fn container(&self, container: &str) -> Result<Option<Seen>, EngineError> {
        for _ in 0..PATIENCE {
            match self.api.inspect_container(container, None).await {
                Ok(found) => return Ok(Some(seen(found))),
                Err(error) if is_missing(&error) => return Ok(None),
                // Podman has a word of its own between running and exited (4.3.1).
                Err(error) if error.to_string().contains("unknown variant `stopped`") => {
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
                Err(error) => return Err(failed("inspect the container", container)(error)),
            }
        }
        Err(EngineError {
            call: "inspect the container",
            resource: container.to_owned(),
            reason: "it is between running and exited for too long".to_owned(),
            status: None,
        })
    }

    /// Makes a container from the body of the engine's call and returns its id.
    ///
    /// # Errors
    /// Where the engine refuses.
    pub async fn create_container(
        &self,
        name: &str,
        platform: Option<&str>,
        body: Value,
    ) -> Result<String, EngineError> {
        let body: ContainerCreateBody = read("create the container", name, body)?;
        let mut options = query::CreateContainerOptionsBuilder::default().name(name);
        if let Some(platform) = platform {
            options = options.platform(platform);
        }
        let made = self.api.create_container(Some(options.build()), body).await;
        made.map(|made| made.id).map_err(failed("create the container", name))
    }

    /// Attaches a container to one more network.
    ///
    /// # Errors
    /// Where the engine refuses.
    pub async fn attach(&self, network: &str, container: &str, endpoint: Value) -> Result<(), EngineError> {
        let body = serde_json::json!({ "Container": container, "EndpointConfig": endpoint });
        let request: bollard::models::NetworkConnectRequest = read("attach a container to the network", network, body)?;
        let attached = self.api.connect_network(network, request).await;
        attached.map_err(failed("attach a container to the network", network))
    }

    /// Puts one file into a container, with its directories.
    ///
    /// # Errors
    /// Where the engine refuses.
    pub async fn put(&self, container: &str, path: &str, content: &[u8], mode: u32) -> Result<(), EngineError> {
        let refused = |source: std::io::Error| EngineError {
            call: "put a file into",
            resource: container.to_owned(),
            reason: source.to_string(),
            status: None,
        };
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(mode);
        header.set_mtime(0);
        let mut archive = tar::Builder::new(Vec::new());
        archive.append_data(&mut header, path.trim_start_matches('/'), content).map_err(refused)?;
        let archive = archive.into_inner().map_err(refused)?;
        self.upload("put a file into", container, "/", archive).await
    }

    /// Returns the file at a path of a container, running or not; nothing where there is none.
    ///
    /// # Errors
    /// Where the engine refuses.
    pub async fn get(&self, container: &str, path: &str, limit: usize) -> Result<Option<Inside>, EngineError> {
        // A file's header, its content filled up, and what may stand before it.
        let archive = match self.download("read a file of", container, path, limit + 16 * 1024).await {
            Err(error) if error.status == Some(404) => return Ok(None),
            other => other?,
        };
        Ok(Some(inside(&archive, limit)))
    }

    /// Hands an archive of what is at a path of a container to `take`, piece by piece: its first entry is the path's last part.
    ///
    /// # Errors
    /// Where nothing is there, the engine refuses, or `take` does.
    pub async fn archive_to(
        &self,
        container: &str,
        path: &str,
        take: &mut dyn FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<(), EngineError> {
        let options = query::DownloadFromContainerOptionsBuilder::default().path(path).build();
        let mut stream = std::pin::pin!(self.api.download_from_container(container, Some(options)));
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(failed("copy from", container))?;
            take(&chunk).map_err(|error| failed("copy from", container)(error.into()))?;
        }
        Ok(())
    }

    /// Unpacks an archive that is read piece by piece in a directory of a container: owners are those of the archive.
    ///
    /// # Errors
    /// Where the archive cannot be read, or the engine refuses.
    pub async fn unpack_from(
        &self,
        container: &str,
        directory: &str,
        archive: impl Read + Send + 'static,
    ) -> Result<(), EngineError> {
        let pieces = futures_util::stream::unfold(archive, |mut archive| async move {
            let mut piece = vec![0; PIECE];
            match archive.read(&mut piece) {
                Ok(0) => None,
                Ok(count) => {
                    piece.truncate(count);
                    Some((Ok(piece.into()), archive))
                }
                Err(error) => Some((Err(error), archive)),
            }
        });
        let options = query::UploadToContainerOptionsBuilder::default().path(directory).build();
        let sent = self.api.upload_to_container(container, Some(options), bollard::body_try_stream(pieces)).await;
        sent.map_err(failed("copy to", container))
    }

    /// Returns an archive of a path, or its begin where it is longer than `most`.
    async fn download(
        &self,
        call: &'static str,
        container: &str,
        path: &str,
        most: usize,
    ) -> Result<Vec<u8>, EngineError> {
        let options = query::DownloadFromContainerOptionsBuilder::default().path(path).build();
        let mut stream = std::pin::pin!(self.api.download_from_container(container, Some(options)));
        let mut archive = Vec::new();
        while let Some(chunk) = stream.next().await {
            archive.extend_from_slice(&chunk.map_err(failed(call, container))?);
            if archive.len() > most {
                break;
            }
        }
        Ok(archive)
    }

    /// Unpacks an archive in a directory of a container.
    ///
    /// # Errors
    /// Where the directory is not there or cannot be written, or the engine refuses.
    pub async fn unpack(&self, container: &str, directory: &str, archive: Vec<u8>) -> Result<(), EngineError> {
        self.upload("copy to", container, directory, archive).await
    }

    async fn upload(
        &self,
        call: &'static str,
        container: &str,
        directory: &str,
        archive: Vec<u8>,
    ) -> Result<(), EngineError> {
        let options = query::UploadToContainerOptionsBuilder::default().path(directory).build();
        let sent = self.api.upload_to_container(container, Some(options), bollard::body_full(archive.into())).await;
        sent.map_err(failed(call, container))
    }

    /// Returns whether a directory is at a path of a container; nothing where nothing is.
    ///
    /// # Errors
    /// Where the engine does not answer.
    pub async fn is_directory(&self, container: &str, path: &str) -> Result<Option<bool>, EngineError> {
        /// The bit of a mode, in the words of Go, that says so.
        const DIRECTORY: u64 = 1 << 31;
        let options = query::ContainerArchiveInfoOptionsBuilder::default().path(path).build();
        match self.api.get_container_archive_info(container, Some(options)).await {
            Ok(found) => Ok(Some(u64::from(found.file_mode) & DIRECTORY != 0)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(failed("look into", container)(error)),
        }
    }

    /// Gives a container another name.
    ///
    /// # Errors
    /// Where the engine refuses: the name is taken, or the container is gone.
    pub async fn rename(&self, container: &str, name: &str) -> Result<(), EngineError> {
        let options = query::RenameContainerOptionsBuilder::default().name(name).build();
        self.api.rename_container(container, options).await.map_err(failed("rename the container", container))
    }

    /// Starts a container; one that is paused goes on. Returns whether it was.
    ///
    /// # Errors
    /// Where the engine refuses.
    pub async fn start(&self, container: &str) -> Result<bool, EngineError> {
        let started = self.api.start_container(container, None).await.map_err(failed("start the container", container));
        match started {
            Err(error) if error.reason.contains("paused container") => self.unpause(container).await.map(|()| true),
            other => other.map(|()| false),
        }
    }

    /// Holds every process of a container still.
    ///
    /// # Errors
    /// Where the engine refuses.
    pub async fn pause(&self, container: &str) -> Result<(), EngineError> {
        self.api.pause_container(container).await.map_err(failed("pause the container", container))
    }

    /// Lets a paused container go on.
    ///
    /// # Errors
    /// Where the engine refuses.
    pub async fn unpause(&self, container: &str) -> Result<(), EngineError> {
        self.api.unpause_container(container).await.map_err(failed("let go on the container", container))
    }

    /// Returns the exit code of a container once it has ended.
    ///
    /// # Errors
    /// Where the engine does not answer, or the container is taken away.
    pub async fn wait(&self, container: &str) -> Result<i64, EngineError> {
        let mut ended = std::pin::pin!(self.api.wait_container(container, None));
        match ended.next().await {
            Some(Ok(ended)) => Ok(ended.status_code),
            // The library takes a code of its own for a failure.
            Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => Ok(code),
            Some(Err(error)) => Err(failed("wait for the container", container)(error)),
            None => Ok(0),
        }
    }

    /// Returns the processes of a container: titles, then a row for each.
    ///
    /// # Errors
    /// Where the engine refuses: the container must run.
    pub async fn processes(&self, container: &str) -> Result<Vec<Vec<String>>, EngineError> {
        let found =
            self.api.top_processes(container, None).await.map_err(failed("list the processes of", container))?;
        let titles = found.titles.unwrap_or_default();
        Ok(std::iter::once(titles).chain(found.processes.unwrap_or_default()).collect())
    }

    /// Stops a container, with its own grace in seconds unless another is given; one that is gone is stopped.
    ///
    /// # Errors
    /// Where the engine refuses.
    pub async fn stop(&self, container: &str, grace: Option<i32>) -> Result<(), EngineError> {
        let options = grace.map(|grace| query::StopContainerOptionsBuilder::default().t(grace).build());
        match self.api.stop_container(container, options).await {
            Err(error) if !is_missing(&error) => Err(failed("stop the container", container)(error)),
            _ => Ok(()),
        }
    }

    /// Sends a signal to a container; one that does not run gets none.
    ///
    /// # Errors
    /// Where the engine refuses.
    pub async fn signal(&self, container: &str, signal: &str) -> Result<(), EngineError> {
        let options = query::KillContainerOptionsBuilder::default().signal(signal).build();
        match self.api.kill_container(container, Some(options)).await {
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 404 | 409, .. }) => Ok(()),
            other => other.map_err(failed("send a signal to", container)),
        }
    }

    /// Takes a container away, running or not, and with `volumes` its anonymous volumes; one that is gone is none.
    ///
    /// # Errors
    /// Where the engine refuses.
    pub async fn remove_container(&self, container: &str, volumes: bool) -> Result<(), EngineError> {
        let options = query::RemoveContainerOptionsBuilder::default().force(true).v(volumes).build();
        match self.api.remove_container(container, Some(options)).await {
            Err(error) if !is_missing(&error) => Err(failed("remove the container", container)(error)),
            _ => Ok(()),
        }
    }
}
