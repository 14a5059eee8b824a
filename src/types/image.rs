//! Images: how they are named, what is known of them, and the `claw.*` labels, written and read through one table.

use std::collections::BTreeMap;
use std::fmt;

/// The name an image is referred to by; kept as written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageRef(String);

impl ImageRef {
    /// Returns the reference of a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the reference as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the reference without tag and digest.
    pub fn repository(&self) -> &str {
        let bare = self.0.split('@').next().unwrap_or(&self.0);
        match bare.rfind(':') {
            Some(colon) if !bare[colon..].contains('/') => &bare[..colon],
            _ => bare,
        }
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is known of an image, from an engine or from the text it is built from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageFacts {
    /// The image's id, `sha256:…`, where an engine has it.
    pub id: Option<String>,
    /// All labels.
    pub labels: BTreeMap<String, String>,
    /// The user processes run as, as written.
    pub user: Option<String>,
    /// The entrypoint.
    pub entrypoint: Option<Vec<String>>,
    /// The command.
    pub command: Option<Vec<String>>,
    /// Exposed ports, `8080/tcp`.
    pub exposed: Vec<String>,
    /// The paths of anonymous volumes.
    pub volumes: Vec<String>,
    /// Names of the variables its environment sets; their values are never looked at.
    pub variables: Vec<String>,
    /// Whether it has a health check.
    pub has_healthcheck: bool,
    /// Something the image inherits could not be seen yet: a base that is not here.
    pub is_partial: bool,
}

/// The repository of the image that claw packs from its own executable.
pub const INFRA_REPOSITORY: &str = "claw/infra";

/// Where claw's executable is in that image.
pub const INFRA_PROGRAM: &str = "/bin/claw";

/// The version of what the shim is told and does. The shim that containers mount is replaced only where this changes, so
/// that an upgrade of claw alone recreates no agent.
pub const SHIM_PROTOCOL: u32 = 3;

/// Where the shim is in a container that has it.
pub const SHIM_PROGRAM: &str = "/run/claw/shim";

/// What the shim is mounted as in a worker, with a folder for each package manager that it stands for.
pub const WORKER_TOOLS: &str = "/run/claw";

/// Where a worker keeps the log of its package managers, and how far its `ACT` lines came: a volume of its own.
pub const WORKER_LOG: &str = "/run/claw-worker";

/// The file of the log, a line a change.
pub const WORKER_TRACK: &str = "/run/claw-worker/track.jsonl";

/// Labels on images, written by `claw build` and read from any image.
pub mod label {
    /// The runtime.
    pub const TYPE: &str = "claw.type";
    /// Path of a service's manual inside its image.
    pub const SKILL_EMIT: &str = "claw.skill.emit";
    /// Path of a service's MCP endpoint.
    pub const MCP: &str = "claw.mcp";
    /// Path of a service's OpenAPI description inside its image.
    pub const OPENAPI: &str = "claw.openapi";
    /// Path of a listing of its MCP tools inside its image.
    pub const MCP_TOOLS: &str = "claw.mcp.tools";

    /// Labels on containers, networks and volumes.
    pub const SCHEMA: &str = "claw.schema";
    /// The pod.
    pub const POD: &str = "claw.pod";
    /// The service as the pod file names it.
    pub const SERVICE: &str = "claw.service";
    /// The agent's id.
    pub const AGENT: &str = "claw.agent";
    /// The replica's index.
    pub const ORDINAL: &str = "claw.ordinal";
    /// What the container is for: `agent`, `proxy`, `egress`, `init`, `hub`, `worker`.
    pub const ROLE: &str = "claw.role";
    /// Of a container that is not the agent itself: `worker`.
    pub const MODE: &str = "claw.mode";
    /// Of a worker: a digest of what it was made from.
    pub const WORKER: &str = "claw.worker";
    /// What of the privileged surface an agent was allowed, divided by commas; absent where it is nothing.
    pub const ALLOW: &str = "claw.allow";
    /// Of the gate: where it listens for which port of which agent, `20000=writer:8080`, divided by commas.
    pub const INBOUND: &str = "claw.inbound";
    /// Set at create: an HMAC over the filled content of a unit's sealed files.
    pub const SEAL: &str = "claw.seal";
    /// What is run inside a container before it is stopped, where its compose file says so.
    pub const PRE_STOP: &str = "claw.pre-stop";
    /// Of what a container was made, by path: short digests, so that a plan can say what changed.
    pub const FIELDS: &str = "claw.fields";
    /// Which volume of a name it is: another one each time it is made.
    pub const MADE: &str = "claw.made";
    /// On built images: the digest of what they were built from.
    pub const CONTEXT: &str = "claw.context";

    /// Labels of containers that say whose they are and what is done to them: no file of the user's sets one.
    pub const RESERVED: &[&str] =
        &[SCHEMA, POD, SERVICE, AGENT, ORDINAL, ROLE, MODE, WORKER, ALLOW, INBOUND, SEAL, PRE_STOP, FIELDS, MADE];
}

/// Docker compose's labels (observed with 2.40.3), through which each tool finds what the other made.
pub mod compose {
    /// The project.
    pub const PROJECT: &str = "com.docker.compose.project";
    /// The service.
    pub const SERVICE: &str = "com.docker.compose.service";
    /// Which container of the service, from 1.
    pub const NUMBER: &str = "com.docker.compose.container-number";
    /// The hash of the service a container was made from.
    pub const HASH: &str = "com.docker.compose.config-hash";
    /// `True` for a container that is no service.
    pub const ONEOFF: &str = "com.docker.compose.oneoff";
    /// The id of the image a container was made from.
    pub const IMAGE: &str = "com.docker.compose.image";
    /// What a service depends on.
    pub const DEPENDS_ON: &str = "com.docker.compose.depends_on";
    /// The files of the project.
    pub const CONFIG_FILES: &str = "com.docker.compose.project.config_files";
    /// The directory of the project.
    pub const WORKING_DIR: &str = "com.docker.compose.project.working_dir";
    /// A network's key.
    pub const NETWORK: &str = "com.docker.compose.network";
    /// A volume's key.
    pub const VOLUME: &str = "com.docker.compose.volume";
    /// The version of the tool.
    pub const VERSION: &str = "com.docker.compose.version";
    /// The version of docker compose whose behaviour claw has.
    pub const LEVEL: &str = "2.40.3";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repository_leaves_registry_ports_alone() {
        assert_eq!(ImageRef::new("host:5000/a/b:1@sha256:0").repository(), "host:5000/a/b");
        assert_eq!(ImageRef::new("claw/infra").repository(), "claw/infra");
    }
}
