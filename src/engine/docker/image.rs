//! Images: looked at, loaded, pulled, built.

use std::collections::HashMap;

use bollard::models::BuildInfoAux;
use bollard::query_parameters as query;
use claw_types::image::{ImageFacts, ImageRef};
use futures_util::StreamExt;
use serde_json::Value;

use super::{Docker, EngineError, failed, is_missing, read};

/// Which of the engine's two builders is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Builder {
    /// The old one: a container for each step.
    Classic,
    /// BuildKit.
    BuildKit,
}

impl Builder {
    /// Returns the name people know it by.
    pub fn name(self) -> &'static str {
        match self {
            Builder::Classic => "classic",
            Builder::BuildKit => "buildkit",
        }
    }
}

/// A build as the engine is asked for it.
#[derive(Clone, Debug, Default)]
pub struct BuildCall {
    /// Tags of the image; the first names the build in messages.
    pub tags: Vec<String>,
    /// The Dockerfile's path in the context.
    pub dockerfile: String,
    /// Build arguments.
    pub args: HashMap<String, String>,
    /// Labels of the image.
    pub labels: HashMap<String, String>,
    /// Stage to stop at.
    pub target: Option<String>,
    /// Network of `RUN`.
    pub network: Option<String>,
    /// Lines of `/etc/hosts`, `host:address`, by comma.
    pub extra_hosts: Option<String>,
    /// Images whose layers may be used.
    pub cache_from: Vec<String>,
    /// Nothing cached is used.
    pub no_cache: bool,
    /// Base images are pulled first.
    pub pull: bool,
    /// The platform to build for.
    pub platform: Option<String>,
    /// Bytes of `/dev/shm`.
    pub shm_size: Option<i64>,
}

impl Docker {
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
        let sorted = |mut list: Vec<String>| {
            list.sort_unstable();
            list
        };
        Ok(Some(ImageFacts {
            id: found.id,
            labels: config.labels.unwrap_or_default().into_iter().collect(),
            user: config.user.filter(|user| !user.is_empty()),
            entrypoint: config.entrypoint.filter(|list| !list.is_empty()),
            command: config.cmd.filter(|list| !list.is_empty()),
            exposed: sorted(config.exposed_ports.unwrap_or_default()),
            volumes: sorted(config.volumes.unwrap_or_default()),
            variables: sorted(
                config
                    .env
                    .unwrap_or_default()
                    .iter()
                    .filter_map(|pair| Some(pair.split_once('=')?.0.to_owned()))
                    .collect(),
            ),
            has_healthcheck: config.healthcheck.is_some(),
            is_partial: false,
        }))
    }

    /// Returns the configuration of an image as the engine has it; nothing where it has none of that name.
    ///
    /// # Errors
    /// Where the engine does not answer.
    pub async fn image_config(&self, name: &str) -> Result<Option<Value>, EngineError> {
        match self.api.inspect_image(name).await {
            Ok(found) => Ok(Some(serde_json::to_value(found.config).unwrap_or_default())),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(failed("inspect the image", name)(error)),
        }
    }

    /// Keeps the file system of a container as an image, without its volumes and mounts, and returns the image's id. The container
    /// stands still meanwhile. What `config` does not say is as the container has it.
    ///
    /// # Errors
    /// Where the engine refuses.
    pub async fn commit(
        &self,
        container: &str,
        tag: &str,
        comment: &str,
        config: Value,
    ) -> Result<String, EngineError> {
        let (repository, version) = parts(tag);
        let options = query::CommitContainerOptionsBuilder::default()
            .container(container)
            .repo(repository)
            .tag(version)
            .comment(comment)
            .pause(true)
            .build();
        let config: bollard::models::ContainerConfig = read("keep the container", container, config)?;
        let made = self.api.commit_container(options, config).await;
        made.map(|made| made.id).map_err(failed("keep the container", container))
    }

    /// Returns the digest that an image has in the registry it came from; nothing where it came from none.
    ///
    /// # Errors
    /// Where the engine does not answer.
    pub async fn digest(&self, name: &str) -> Result<Option<String>, EngineError> {
        let found = match self.api.inspect_image(name).await {
            Ok(found) => found,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(failed("inspect the image", name)(error)),
        };
        // `python` is `python@sha256:…` there, and `docker.io/library/python` nowhere.
        let wanted = ImageRef::new(name.trim_start_matches("docker.io/").trim_start_matches("library/"));
        let digests = found.repo_digests.unwrap_or_default();
        let mut own = digests.iter().filter_map(|each| each.rsplit_once('@'));
        Ok(own.find(|(repository, _)| *repository == wanted.repository()).map(|(_, digest)| digest.to_owned()))
    }

    /// Loads an archive of `docker save`'s form.
    ///
    /// # Errors
    /// Where the engine refuses it.
    pub async fn load(&self, name: &str, archive: Vec<u8>) -> Result<(), EngineError> {
        let options = query::ImportImageOptionsBuilder::default().build();
        let mut stream = std::pin::pin!(self.api.import_image(options, bollard::body_full(archive.into()), None));
        while let Some(line) = stream.next().await {
            let line = line.map_err(failed("load the image", name))?;
            if let Some(error) = line.error_detail.and_then(|error| error.message) {
                return Err(refused("load the image", name, error));
            }
        }
        Ok(())
    }

    /// Pulls an image from its registry.
    ///
    /// # Errors
    /// Where the registry or the engine refuses.
    pub async fn pull(&self, name: &str, platform: Option<&str>, progress: &dyn Fn(&str)) -> Result<(), EngineError> {
        let mut options = query::CreateImageOptionsBuilder::default().from_image(name);
        // Without a tag the engine would pull every tag of the repository.
        let is_named = name.contains('@') || name.rsplit('/').next().is_some_and(|last| last.contains(':'));
        if !is_named {
            options = options.tag("latest");
        }
        if let Some(platform) = platform {
            options = options.platform(platform);
        }
        let mut stream = std::pin::pin!(self.api.create_image(Some(options.build()), None, None));
        let mut last = String::new();
        while let Some(line) = stream.next().await {
            let line = line.map_err(failed("pull the image", name))?;
            if let Some(error) = line.error_detail.and_then(|error| error.message) {
                return Err(refused("pull the image", name, error));
            }
            // One line for each thing that happens, none for each percent of it.
            let text = [line.id, line.status].into_iter().flatten().collect::<Vec<_>>().join(" ");
            if text != last && line.progress_detail.is_none_or(|detail| detail.total.is_none()) {
                progress(&text);
                last = text;
            }
        }
        Ok(())
    }

    /// Removes an image's name, and the image where it was the last; one that is gone is none.
    ///
    /// # Errors
    /// Where a container still needs it.
    pub async fn remove_image(&self, name: &str) -> Result<bool, EngineError> {
        match self.api.remove_image(name, None::<query::RemoveImageOptions>, None).await {
            Ok(_) => Ok(true),
            Err(error) if is_missing(&error) => Ok(false),
            Err(error) => Err(failed("remove the image", name)(error)),
        }
    }

    /// Builds an image from the archive of its context; `progress` gets what the builder says, line by line.
    ///
    /// # Errors
    /// Where a step fails; the builder's own words are the reason.
    pub async fn build(
        &self,
        call: &BuildCall,
        builder: Builder,
        context: Vec<u8>,
        progress: &dyn Fn(&str),
    ) -> Result<(), EngineError> {
        let name = call.tags.first().map_or("", String::as_str);
        let mut options = query::BuildImageOptionsBuilder::default()
            .dockerfile(&call.dockerfile)
            .t(name)
            .rm(true)
            .forcerm(true)
            .nocache(call.no_cache)
            .buildargs(&call.args)
            .labels(&call.labels);
        if call.pull {
            options = options.pull("1");
        }
        if !call.cache_from.is_empty() {
            options = options.cachefrom(&call.cache_from);
        }
        let text = |value: &Option<String>| value.clone().filter(|text| !text.is_empty());
        if let Some(target) = text(&call.target) {
            options = options.target(&target);
        }
        if let Some(network) = text(&call.network) {
            options = options.networkmode(&network);
        }
        if let Some(hosts) = text(&call.extra_hosts) {
            options = options.extrahosts(&hosts);
        }
        if let Some(platform) = text(&call.platform) {
            options = options.platform(&platform);
        }
        if let Some(size) = call.shm_size.and_then(|size| i32::try_from(size).ok()) {
            options = options.shmsize(size);
        }
        if builder == Builder::BuildKit {
            let session = super::unique();
            options = options.version(query::BuilderVersion::BuilderBuildKit).session(&session);
        }
        let body = Some(bollard::body_full(context.into()));
        let mut stream = std::pin::pin!(self.api.build_image(options.build(), None, body));
        let mut told = Told::default();
        while let Some(line) = stream.next().await {
            let line = line.map_err(failed("build", name))?;
            if let Some(error) = line.error_detail.and_then(|error| error.message) {
                return Err(refused("build", name, told.reason(&error)));
            }
            for text in line.stream.iter().flat_map(|text| text.lines()).map(str::trim_end) {
                if !text.trim().is_empty() {
                    progress(text);
                }
            }
            if let Some(BuildInfoAux::BuildKit(status)) = line.aux {
                told.tell(&status, progress);
            }
        }
        for tag in call.tags.iter().skip(1) {
            self.tag(name, tag).await?;
        }
        Ok(())
    }

    async fn tag(&self, image: &str, tag: &str) -> Result<(), EngineError> {
        let (repository, version) = parts(tag);
        let options = query::TagImageOptionsBuilder::default().repo(repository).tag(version).build();
        self.api.tag_image(image, Some(options)).await.map_err(failed("tag the image", tag))
    }
}

/// Returns the repository and the tag of a name.
fn parts(name: &str) -> (&str, &str) {
    match name.rsplit_once(':') {
        Some((repository, version)) if !version.contains('/') => (repository, version),
        _ => (name, "latest"),
    }
}

fn refused(call: &'static str, resource: &str, reason: impl Into<String>) -> EngineError {
    EngineError { call, resource: resource.to_owned(), reason: reason.into(), status: None }
}

/// What BuildKit said so far: each step is told once when it begins and once when it ends.
#[derive(Default)]
struct Told {
    seen: std::collections::BTreeSet<(String, &'static str)>,
    last_lines: Vec<String>,
}

impl Told {
    fn tell(&mut self, status: &bollard::moby::buildkit::v1::StatusResponse, progress: &dyn Fn(&str)) {
        for vertex in &status.vertexes {
            if vertex.name.starts_with("[internal]") {
                continue;
            }
            let word = match (vertex.completed.is_some(), vertex.cached, vertex.error.is_empty()) {
                (_, true, _) => "cached",
                (true, _, true) => "done",
                (true, _, false) => "failed",
                (false, _, _) if vertex.started.is_some() => "begins",
                _ => continue,
            };
            if self.seen.insert((vertex.digest.clone(), word)) && word != "done" {
                let note = if word == "begins" { String::new() } else { format!(" ({word})") };
                progress(&format!("{}{note}", vertex.name));
            }
        }
        for log in &status.logs {
            for line in String::from_utf8_lossy(&log.msg).lines().map(str::trim_end).filter(|line| !line.is_empty()) {
                progress(&format!("  {line}"));
                self.last_lines.push(line.to_owned());
            }
        }
    }

    /// The engine's reason says which process failed, the last lines say why.
    fn reason(&self, error: &str) -> String {
        let from = self.last_lines.len().saturating_sub(5);
        let lines = self.last_lines[from..].join("\n  ");
        if lines.is_empty() { error.to_owned() } else { format!("{error}\n  {lines}") }
    }
}
