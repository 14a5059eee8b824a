//! Which tools a service's MCP server has: asked while it runs, from a container of claw's own image that stands in the service's
//! place in the network, and is gone after the answer.
//!
//! It shares the service's network namespace, so no network of the pod gets a member more, and what it asks goes nowhere else than
//! an agent's question does: to the service's name and port.

use claw_types::image::{INFRA_PROGRAM, compose, label};
use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::docker::{Docker, EngineError, LogOptions};

/// The most bytes of an answer.
const LIMIT: usize = 2 * 1024 * 1024;

/// Returns what the server at `url` says of itself and its tools, asked beside the running container `service` of a project;
/// the inner error is the server's: it did not answer, or not as one does.
///
/// # Errors
/// Where the engine refuses.
pub async fn ask(
    docker: &Docker,
    (project, infra): (&str, &str),
    service: &str,
    url: &str,
) -> Result<Result<Value, String>, EngineError> {
    let name = format!("{project}-tools-{}", crate::docker::unique());
    let body = json!({
        "Image": infra,
        "Entrypoint": [INFRA_PROGRAM],
        "Cmd": ["shim", "tools", url],
        "User": "65532:65532",
        "Labels": { compose::PROJECT: project, compose::ONEOFF: "True", label::ROLE: "init", label::SCHEMA: "1" },
        "HostConfig": {
            "NetworkMode": format!("container:{service}"),
            "ReadonlyRootfs": true,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges:true"],
            "Memory": 128 * 1024 * 1024,
            "MemorySwap": 128 * 1024 * 1024,
            "PidsLimit": 64,
            "LogConfig": { "Type": "json-file", "Config": { "max-size": "4m", "max-file": "1" } },
        },
    });
    let container = docker.create_container(&name, None, body).await?;
    let answer = answered(docker, &container).await;
    docker.remove_container(&container, true).await?;
    answer
}

async fn answered(docker: &Docker, container: &str) -> Result<Result<Value, String>, EngineError> {
    docker.start(container).await?;
    let code = docker.wait(container).await?;
    let (mut out, mut said) = (String::new(), String::new());
    let mut lines = std::pin::pin!(docker.logs(container, &LogOptions::default()));
    while let Some(line) = lines.next().await {
        let line = line?;
        if line.is_error {
            said = line.text;
        } else if out.len() <= LIMIT {
            out.push_str(&line.text);
        }
    }
    if code != 0 {
        let said = said.trim_start_matches("error: ");
        return Ok(Err(if said.is_empty() { "the question could not be asked".to_owned() } else { said.to_owned() }));
    }
    Ok(serde_json::from_str(&out).map_err(|_| "its answer cannot be read".to_owned()))
}
