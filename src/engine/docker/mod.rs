//! The Docker engine, through its API: the calls the rest needs, each error naming the call and the resource.
//!
//! One file per kind of resource. This folder alone names the API's library.

use std::collections::HashMap;

use bollard::Docker as Api;

mod container;
mod endpoint;
mod exec;
mod image;
mod resource;
mod stream;

pub use container::{Inside, Seen, State};
pub use exec::{ExecCall, Input};
pub use image::{BuildCall, Builder};
pub use resource::Labelled;
pub(crate) use stream::unique;
pub use stream::{Changes, Event, LogLine, LogOptions, token};

/// Why a call failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the engine could not {call} `{resource}`: {reason}")]
pub struct EngineError {
    /// What was asked for.
    pub call: &'static str,
    /// Of what.
    pub resource: String,
    /// What the engine said.
    pub reason: String,
    /// The HTTP status, where the engine answered.
    pub status: Option<u16>,
}

/// An engine that answers.
pub struct Docker {
    api: Api,
    address: String,
    named_by: &'static str,
}

/// What an engine is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineFacts {
    /// Where it is.
    pub address: String,
    /// What named that place.
    pub named_by: String,
    /// Its version.
    pub version: String,
    /// It is Podman's service of Docker's API.
    pub is_podman: bool,
    /// The version of its API.
    pub api: String,
    /// Its operating system.
    pub os: String,
    /// Its architecture, in Docker's words.
    pub architecture: String,
    /// Its kernel.
    pub kernel: String,
    /// How it stores layers.
    pub storage: String,
    /// `1` or `2`.
    pub cgroups: String,
    /// Who manages cgroups.
    pub cgroup_driver: String,
    /// What isolates containers: `seccomp`, `apparmor`, `userns`, `rootless`.
    pub security: Vec<String>,
    /// OCI runtimes by name.
    pub runtimes: Vec<String>,
    /// Whether memory can be limited.
    pub has_memory_limit: bool,
    /// Whether swap can be limited.
    pub has_swap_limit: bool,
    /// Whether the number of processes can be limited.
    pub has_pids_limit: bool,
    /// Whether CPUs can be limited.
    pub has_cpu_limit: bool,
    /// What it warns of by itself.
    pub warnings: Vec<String>,
}

impl EngineFacts {
    /// Returns what of an agent's walls this engine does not hold.
    pub fn unenforced(&self) -> Vec<&'static str> {
        let is_open = !self.security.iter().any(|each| each == "seccomp");
        let rows = [
            (!self.has_memory_limit, "limits of memory"),
            (!self.has_pids_limit, "limits of processes"),
            (!self.has_cpu_limit, "limits of CPUs"),
            (is_open, "filters of system calls (seccomp)"),
            // Podman 4.3.1 leaves the host's address on every network, and says nothing.
            (self.is_podman, "ports of the host shut from inside"),
        ];
        rows.into_iter().filter(|(is_missing, _)| *is_missing).map(|(_, what)| what).collect()
    }

    /// Returns the first number of the version: 20 for 20.10.24.
    pub fn major(&self) -> u32 {
        self.version.split('.').next().and_then(|number| number.parse().ok()).unwrap_or(0)
    }
}

pub(crate) fn failed(call: &'static str, resource: &str) -> impl FnOnce(bollard::errors::Error) -> EngineError {
    let resource = resource.to_owned();
    move |source| {
        let (reason, status) = match source {
            bollard::errors::Error::DockerResponseServerError { status_code, message } => (message, Some(status_code)),
            other => (other.to_string(), None),
        };
        EngineError { call, resource, reason, status }
    }
}

fn is_missing(error: &bollard::errors::Error) -> bool {
    matches!(error, bollard::errors::Error::DockerResponseServerError { status_code: 404, .. })
}

/// Returns a filter on labels.
fn labelled(labels: &[String]) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), labels.to_vec())])
}

/// Returns the label that binds a resource to a project.
fn of_project(project: &str) -> String {
    format!("{}={project}", claw_types::image::compose::PROJECT)
}

/// Returns a request of the API from its JSON.
fn read<T: serde::de::DeserializeOwned>(
    call: &'static str,
    resource: &str,
    body: serde_json::Value,
) -> Result<T, EngineError> {
    serde_json::from_value(body).map_err(|source| failed(call, resource)(bollard::errors::Error::from(source)))
}

fn is_podman(version: &bollard::models::SystemVersion) -> bool {
    let components = version.components.iter().flatten();
    components.clone().any(|component| component.name.to_lowercase().contains("podman"))
}

/// The longest the engine may take to begin its answer; a stop waits for the container's own grace.
const TIMEOUT_SECONDS: u64 = 3600;

impl Docker {
    /// Connects to the engine and agrees on a version of the API.
    ///
    /// # Errors
    /// Where no engine answers.
    pub async fn connect() -> Result<Self, EngineError> {
        let unreachable = |resource: &str, reason: String| EngineError {
            call: "be reached at",
            resource: resource.to_owned(),
            reason,
            status: None,
        };
        let (address, named_by) = endpoint::endpoint().map_err(|reason| unreachable("docker's contexts", reason))?;
        let version = bollard::API_DEFAULT_VERSION;
        let api = match address.split_once("://") {
            Some(("unix", path)) => Api::connect_with_unix(path, TIMEOUT_SECONDS, version),
            Some(("tcp" | "http", _)) => Api::connect_with_http(&address, TIMEOUT_SECONDS, version),
            _ => return Err(unreachable(&address, "claw speaks to `unix://` and `tcp://`".to_owned())),
        };
        let api = api.map_err(|error| unreachable(&address, error.to_string()))?;
        let api = api.negotiate_version().await.map_err(|error| unreachable(&address, error.to_string()))?;
        Ok(Self { api, address, named_by })
    }

    /// Returns what the engine is.
    ///
    /// # Errors
    /// Where the engine does not answer.
    pub async fn facts(&self) -> Result<EngineFacts, EngineError> {
        let version = self.api.version().await.map_err(failed("tell its version at", &self.address))?;
        let info = self.api.info().await.map_err(failed("describe itself at", &self.address))?;
        let security = info.security_options.unwrap_or_default();
        let name = |option: &String| {
            let name = option.split(',').find_map(|part| part.strip_prefix("name="));
            name.unwrap_or(option).to_owned()
        };
        let mut runtimes: Vec<String> = info.runtimes.unwrap_or_default().into_keys().collect();
        runtimes.sort_unstable();
        Ok(EngineFacts {
            address: self.address.clone(),
            named_by: self.named_by.to_owned(),
            is_podman: is_podman(&version),
            version: version.version.unwrap_or_default(),
            api: version.api_version.unwrap_or_default(),
            os: version.os.unwrap_or_default(),
            architecture: version.arch.unwrap_or_default(),
            kernel: version.kernel_version.unwrap_or_default(),
            storage: info.driver.unwrap_or_default(),
            cgroups: info.cgroup_version.map(|version| version.to_string()).unwrap_or_default(),
            cgroup_driver: info.cgroup_driver.map(|driver| driver.to_string()).unwrap_or_default(),
            security: security.iter().map(name).collect(),
            runtimes,
            has_memory_limit: info.memory_limit.unwrap_or(false),
            has_swap_limit: info.swap_limit.unwrap_or(false),
            has_pids_limit: info.pids_limit.unwrap_or(false),
            has_cpu_limit: info.cpu_cfs_quota.unwrap_or(false),
            warnings: info.warnings.unwrap_or_default(),
        })
    }

    /// Returns whether the engine is Podman's service of Docker's API.
    ///
    /// # Errors
    /// Where the engine does not answer.
    pub async fn is_podman(&self) -> Result<bool, EngineError> {
        let version = self.api.version().await.map_err(failed("tell its version at", &self.address))?;
        Ok(is_podman(&version))
    }

    /// Returns whether the engine runs without root, so that users inside have other numbers outside.
    ///
    /// # Errors
    /// Where the engine does not answer.
    pub async fn is_rootless(&self) -> Result<bool, EngineError> {
        let info = self.api.info().await.map_err(failed("describe itself at", &self.address))?;
        Ok(info.security_options.iter().flatten().any(|option| option.contains("rootless")))
    }

    /// Returns whether the engine is on another machine, as far as its address tells.
    pub fn is_remote(&self) -> bool {
        let Some((scheme, rest)) = self.address.split_once("://") else { return false };
        let host = rest.split('/').next().unwrap_or(rest);
        let host = host.rsplit_once(':').map_or(host, |(host, _)| host).trim_matches(['[', ']']);
        let is_loopback = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        scheme != "unix" && !is_loopback
    }

    /// Returns where the engine is.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns operating system and architecture of the engine, and its major version.
    ///
    /// # Errors
    /// Where the engine does not answer.
    pub async fn platform(&self) -> Result<(String, String, u32), EngineError> {
        let version = self.api.version().await.map_err(failed("tell its version at", &self.address))?;
        let major = version.version.as_deref().and_then(|text| text.split('.').next()?.parse().ok()).unwrap_or(0);
        Ok((version.os.unwrap_or_default(), version.arch.unwrap_or_default(), major))
    }
}
