//! The Docker engine, through its API: the calls the rest needs, each error naming the call and the resource.

use std::collections::HashMap;

use bollard::Docker as Api;
use bollard::container::LogOutput;
use bollard::exec::StartExecResults;
use bollard::models::{ContainerCreateBody, ContainerSummary, ExecConfig};
use bollard::query_parameters as query;
use claw_types::driver::ProbeOutput;
use claw_types::image::ImageFacts;
use futures_util::{StreamExt, TryStreamExt};
use serde_json::Value;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[error("the engine refused to {call} `{resource}`: {source}")]
pub struct EngineError {
    /// What was asked for.
    pub call: &'static str,
    /// Of what.
    pub resource: String,
    /// What the engine said.
    pub source: bollard::errors::Error,
}

/// An engine that answers.
pub struct Docker {
    api: Api,
}

fn failed(call: &'static str, resource: &str) -> impl FnOnce(bollard::errors::Error) -> EngineError {
    let resource = resource.to_owned();
    move |source| EngineError { call, resource, source }
}

fn is_missing(error: &bollard::errors::Error) -> bool {
    matches!(error, bollard::errors::Error::DockerResponseServerError { status_code: 404, .. })
}

/// Returns a filter on labels.
fn labelled(labels: &[String]) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), labels.to_vec())])
}

impl Docker {
    /// Connects to `DOCKER_HOST` or the default socket and agrees on a version of the API.
    ///
    /// # Errors
    /// Where no engine answers.
    pub async fn connect() -> Result<Self, EngineError> {
        let host = std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty());
        let api = match &host {
            Some(host) => Api::connect_with_host(host),
            None => Api::connect_with_unix_defaults(),
        };
        let name = host.unwrap_or_else(|| "unix:///var/run/docker.sock".to_owned());
        let api = api.map_err(failed("connect to", &name))?;
        let api = api.negotiate_version().await.map_err(failed("connect to", &name))?;
        Ok(Self { api })
    }

    /// Returns operating system and architecture of the engine.
    ///
    /// # Errors
    /// Where the engine does not answer.
    pub async fn platform(&self) -> Result<(String, String), EngineError> {
        let version = self.api.version().await.map_err(failed("tell the version of", "engine"))?;
        Ok((version.os.unwrap_or_default(), version.arch.unwrap_or_default()))
    }

    /// Returns what the engine knows of an image; nothing where it has none of that name.
    ///
    /// # Errors
    /// Where the engine does not answer.
    pub async fn image(&self, name: &str) -> Result<Option<ImageFacts>, EngineError> {
        let found = match self.api.inspect_image(name).await {
            Ok(found) => found,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(failed("inspect the image", name)(error)),
        };
        let config = found.config.unwrap_or_default();
        Ok(Some(ImageFacts {
            id: found.id,
            labels: config.labels.unwrap_or_default().into_iter().collect(),
            user: config.user.filter(|user| !user.is_empty()),
            entrypoint: config.entrypoint,
            command: config.cmd,
            exposed: config.exposed_ports.unwrap_or_default(),
            volumes: config.volumes.unwrap_or_default(),
            has_healthcheck: config.healthcheck.is_some(),
            is_partial: false,
        }))
    }

    /// Loads an archive of `docker save`'s form.
    ///
    /// # Errors
    /// Where the engine refuses it.
    pub async fn load(&self, archive: Vec<u8>) -> Result<(), EngineError> {
        let options = query::ImportImageOptionsBuilder::default().build();
        let stream = self.api.import_image(options, bollard::body_full(archive.into()), None);
        stream.try_collect::<Vec<_>>().await.map(|_| ()).map_err(failed("load the image", "archive"))
    }

    /// Builds an image with the classic builder; `progress` gets its lines.
    ///
    /// # Errors
    /// Where a step fails.
    pub async fn build(
        &self,
        tag: &str,
        dockerfile: &str,
        context: Vec<u8>,
        progress: &dyn Fn(&str),
    ) -> Result<(), EngineError> {
        let options = query::BuildImageOptionsBuilder::default().dockerfile(dockerfile).t(tag).rm(true).build();
        let mut stream = std::pin::pin!(self.api.build_image(options, None, Some(bollard::body_full(context.into()))));
        while let Some(line) = stream.next().await {
            let line = line.map_err(failed("build", tag))?;
            if let Some(text) = line.stream.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
                progress(text);
            }
        }
        Ok(())
    }

    /// Returns the containers of a project, whatever their state.
    ///
    /// # Errors
    /// Where the engine does not answer.
    pub async fn containers(&self, project: &str) -> Result<Vec<ContainerSummary>, EngineError> {
        let filters =
            labelled(&[format!("com.docker.compose.project={project}"), "com.docker.compose.oneoff=False".into()]);
        let options = query::ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        self.api.list_containers(Some(options)).await.map_err(failed("list the containers of", project))
    }

    /// Returns the networks of a project by key, each with its name.
    ///
    /// # Errors
    /// Where the engine does not answer.
    pub async fn networks(&self, project: &str) -> Result<Vec<(String, String)>, EngineError> {
        let filters = labelled(&[format!("com.docker.compose.project={project}")]);
        let options = query::ListNetworksOptionsBuilder::default().filters(&filters).build();
        let found = self.api.list_networks(Some(options)).await.map_err(failed("list the networks of", project))?;
        let key = |labels: &HashMap<String, String>| labels.get("com.docker.compose.network").cloned();
        Ok(found.into_iter().filter_map(|each| Some((key(&each.labels?)?, each.name?))).collect())
    }

    /// Returns the volumes of a project by key, each with its name.
    ///
    /// # Errors
    /// Where the engine does not answer.
    pub async fn volumes(&self, project: &str) -> Result<Vec<(String, String)>, EngineError> {
        let filters = labelled(&[format!("com.docker.compose.project={project}")]);
        let options = query::ListVolumesOptionsBuilder::default().filters(&filters).build();
        let found = self.api.list_volumes(Some(options)).await.map_err(failed("list the volumes of", project))?;
        let each = found.volumes.unwrap_or_default().into_iter();
        Ok(each.filter_map(|each| Some((each.labels.get("com.docker.compose.volume")?.clone(), each.name))).collect())
    }

    /// Makes a network from the body of the engine's call.
    ///
    /// # Errors
    /// Where the engine refuses.
    pub async fn create_network(&self, name: &str, body: Value) -> Result<(), EngineError> {
        let request = read("create the network", name, body)?;
        self.api.create_network(request).await.map(|_| ()).map_err(failed("create the network", name))
    }

    /// Makes a volume from the body of the engine's call.
    ///
    /// # Errors
    /// Where the engine refuses.
    pub async fn create_volume(&self, name: &str, body: Value) -> Result<(), EngineError> {
        let request: bollard::models::VolumeCreateRequest = read("create the volume", name, body)?;
        self.api.create_volume(request).await.map(|_| ()).map_err(failed("create the volume", name))
    }

    /// Makes a container from the body of the engine's call and returns its id.
    ///
    /// # Errors
    /// Where the engine refuses.
    pub async fn create_container(&self, name: &str, body: Value) -> Result<String, EngineError> {
        let body: ContainerCreateBody = read("create the container", name, body)?;
        let options = query::CreateContainerOptionsBuilder::default().name(name).build();
        let made = self.api.create_container(Some(options), body).await;
        made.map(|made| made.id).map_err(failed("create the container", name))
    }

    /// Attaches a container to one more network.
    ///
    /// # Errors
    /// Where the engine refuses.
    pub async fn attach(&self, network: &str, container: &str, endpoint: Value) -> Result<(), EngineError> {
        let body = serde_json::json!({ "Container": container, "EndpointConfig": endpoint });
        let request: bollard::models::NetworkConnectRequest = read("attach to the network", network, body)?;
        self.api.connect_network(network, request).await.map_err(failed("attach to the network", network))
    }

    /// Starts a container.
    ///
    /// # Errors
    /// Where the engine refuses.
    pub async fn start(&self, container: &str) -> Result<(), EngineError> {
        self.api.start_container(container, None).await.map_err(failed("start the container", container))
    }

    /// Stops a container, with the grace it was made with, and takes it away.
    ///
    /// # Errors
    /// Where the engine refuses; a container that is gone is none.
    pub async fn remove_container(&self, container: &str, grace: Option<i32>) -> Result<(), EngineError> {
        let options = grace.map(|grace| query::StopContainerOptionsBuilder::default().t(grace).build());
        match self.api.stop_container(container, options).await {
            Err(error) if !is_missing(&error) => return Err(failed("stop the container", container)(error)),
            _ => {}
        }
        let options = query::RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        match self.api.remove_container(container, Some(options)).await {
            Err(error) if !is_missing(&error) => Err(failed("remove the container", container)(error)),
            _ => Ok(()),
        }
    }

    /// Takes a network away.
    ///
    /// # Errors
    /// Where the engine refuses.
    pub async fn remove_network(&self, name: &str) -> Result<(), EngineError> {
        self.api.remove_network(name).await.map_err(failed("remove the network", name))
    }

    /// Takes a volume away.
    ///
    /// # Errors
    /// Where the engine refuses.
    pub async fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        self.api
            .remove_volume(name, None::<query::RemoveVolumeOptions>)
            .await
            .map_err(failed("remove the volume", name))
    }

    /// Returns a container's state: `running`, `healthy`, `unhealthy`, or `exited` with its code.
    ///
    /// # Errors
    /// Where the engine does not answer.
    pub async fn state(&self, container: &str) -> Result<State, EngineError> {
        let found =
            self.api.inspect_container(container, None).await.map_err(failed("inspect the container", container))?;
        let state = found.state.unwrap_or_default();
        let health = state.health.and_then(|health| health.status).map(|status| status.to_string());
        Ok(State { is_running: state.running.unwrap_or(false), exit_code: state.exit_code.unwrap_or(0), health })
    }

    /// Returns once something happens to a container of a project, or a second has passed.
    pub async fn something(&self, project: &str) {
        let filters = labelled(&[format!("com.docker.compose.project={project}")]);
        let options = query::EventsOptionsBuilder::default().filters(&filters).build();
        let mut events = std::pin::pin!(self.api.events(Some(options)));
        let _ = tokio::time::timeout(std::time::Duration::from_secs(1), events.next()).await;
    }

    /// Runs a command in a container.
    ///
    /// # Errors
    /// Where the engine refuses.
    pub async fn exec(&self, container: &str, command: &[String]) -> Result<ProbeOutput, EngineError> {
        let refused = || failed("run a command in", container);
        let config = ExecConfig {
            cmd: Some(command.to_vec()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..ExecConfig::default()
        };
        let made = self.api.create_exec(container, config).await.map_err(refused())?;
        let started = self.api.start_exec(&made.id, None).await.map_err(refused())?;
        let mut out = ProbeOutput::default();
        if let StartExecResults::Attached { mut output, .. } = started {
            while let Some(piece) = output.next().await {
                match piece.map_err(refused())? {
                    LogOutput::StdErr { message } => out.stderr.push_str(&String::from_utf8_lossy(&message)),
                    other => out.stdout.push_str(&String::from_utf8_lossy(&other.into_bytes())),
                }
            }
        }
        let ended = self.api.inspect_exec(&made.id).await.map_err(refused())?;
        out.exit_code = ended.exit_code.unwrap_or(0);
        Ok(out)
    }

    /// Returns the lines a container printed, each with its time.
    ///
    /// # Errors
    /// Where the engine refuses.
    pub async fn logs(&self, container: &str) -> Result<Vec<(String, String)>, EngineError> {
        let options = query::LogsOptionsBuilder::default().stdout(true).stderr(true).timestamps(true).build();
        let pieces: Vec<LogOutput> = self
            .api
            .logs(container, Some(options))
            .try_collect()
            .await
            .map_err(failed("read the log of", container))?;
        let mut text = String::new();
        for piece in pieces {
            text.push_str(&String::from_utf8_lossy(&piece.into_bytes()));
        }
        let split = |line: &str| line.split_once(' ').map(|(time, rest)| (time.to_owned(), rest.to_owned()));
        Ok(text.lines().filter_map(split).collect())
    }
}

/// How a container is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// It runs.
    pub is_running: bool,
    /// Its exit code, where it does not.
    pub exit_code: i64,
    /// What its health check says, where it has one.
    pub health: Option<String>,
}

/// Returns a request of the API from its JSON.
fn read<T: serde::de::DeserializeOwned>(call: &'static str, resource: &str, body: Value) -> Result<T, EngineError> {
    serde_json::from_value(body).map_err(|source| failed(call, resource)(bollard::errors::Error::from(source)))
}
