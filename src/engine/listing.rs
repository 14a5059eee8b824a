//! Which tools a service's MCP server has: asked while it runs, from a container of claw's own image that stands in the service's
//! place in the network, and is gone after the answer.
//!
//! It shares the service's network namespace, so no network of the pod gets a member more, and what it asks goes nowhere else than
//! an agent's question does: to the service's name and port.

use claw_types::image::{INFRA_PROGRAM, compose, label};
use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::docker::{Docker, EngineError, LogOptions, Seen};
use crate::interrupt::Interrupt;

/// The most bytes of an answer.
const LIMIT: usize = 2 * 1024 * 1024;

/// The role of what asks. Whoever asks holds no lock of the pod, so another run that brings the pod up takes it for nobody's only once it
/// cannot be at work any more: see `is_left`.
pub(crate) const ROLE: &str = "ask";

/// The longest that one which asks is somebody's after it was made.
const PATIENCE: chrono::TimeDelta = chrono::TimeDelta::minutes(10);

/// Returns whether a container that asked is nobody's any more: it has ended, and whoever made it would have taken it away.
pub(crate) fn is_left(seen: &Seen) -> bool {
    let made = seen.inspected["Created"].as_str().and_then(|time| chrono::DateTime::parse_from_rfc3339(time).ok());
    let is_old = made.is_none_or(|made| chrono::Utc::now().signed_duration_since(made) > PATIENCE);
    seen.label(label::ROLE) == ROLE && !seen.state.is_running && is_old
}

/// Returns what the server at `url` says of itself and its tools, asked beside the running container `service` of a project;
/// the inner error is the server's: it did not answer, or not as one does. Where the run is asked to end, the answer is not waited for.
///
/// # Errors
/// Where the engine refuses.
pub async fn ask(
    docker: &Docker,
    (project, infra): (&str, &str),
    service: &str,
    url: &str,
    interrupt: &Interrupt,
) -> Result<Result<Value, String>, EngineError> {
    let name = format!("{project}-tools-{}", crate::docker::unique());
    let body = json!({
        "Image": infra,
        "Entrypoint": [INFRA_PROGRAM],
        "Cmd": ["shim", "tools", url],
        "User": "65532:65532",
        "Labels": { compose::PROJECT: project, compose::ONEOFF: "True", label::ROLE: ROLE, label::SCHEMA: "1" },
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
    interrupt.set_busy(true);
    let asked = async {
        let container = docker.create_container(&name, None, body).await?;
        let answer = tokio::select! {
            answer = answered(docker, &container) => answer,
            () = interrupt.asked() => Ok(Err("the question was broken off".to_owned())),
        };
        docker.remove_container(&container, true).await?;
        answer
    };
    let answer = asked.await;
    interrupt.set_busy(false);
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
