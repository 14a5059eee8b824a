//! The other end of the agent's door, run inside its container: the health check, and `claw ask`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{ReferenceError, http, without_url};

/// Where the agent listens, seen from inside its container.
pub const LOCAL: &str = "127.0.0.1:8700";

/// Returns the agent's health as one line of JSON, and whether it is healthy.
///
/// # Errors
/// Where it does not answer.
pub async fn health(address: &str) -> Result<(String, bool), ReferenceError> {
    let document = answer(http(Duration::from_secs(4))?.get(format!("http://{address}/health"))).await?;
    let is_healthy = document["status"] == "healthy";
    Ok((document.to_string(), is_healthy))
}

/// Sends a message of a conversation and returns the reply.
///
/// # Errors
/// Where the agent does not answer, or answers with an error: then what it said.
pub async fn ask(address: &str, conversation: &str, text: &str) -> Result<String, ReferenceError> {
    let message = json!({"conversation": conversation, "text": text});
    let request = http(Duration::from_secs(300))?.post(format!("http://{address}/message")).json(&message);
    let document = answer(request).await?;
    match document["reply"].as_str() {
        Some(reply) => Ok(reply.to_owned()),
        None => Err(ReferenceError::Refused(document["error"].as_str().unwrap_or("no reply").to_owned())),
    }
}

/// Returns once the agent has done what it had begun; it takes nothing new from then on.
///
/// # Errors
/// Where it does not answer.
pub async fn drain(address: &str) -> Result<(), ReferenceError> {
    answer(http(Duration::from_secs(300))?.post(format!("http://{address}/drain"))).await.map(drop)
}

async fn answer(request: reqwest::RequestBuilder) -> Result<Value, ReferenceError> {
    let silent = |error: reqwest::Error| ReferenceError::Silent(without_url(&error));
    let response = request.send().await.map_err(silent)?;
    let status = response.status();
    let body = response.bytes().await.map_err(silent)?;
    serde_json::from_slice(&body)
        .map_err(|_| ReferenceError::Refused(format!("the agent answered {status} without JSON")))
}
