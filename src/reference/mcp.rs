//! Asks an MCP server which tools it has, over streamable HTTP (revision 2025-06-18, older ones answer too): `initialize`, then
//! `tools/list` to its last page. What it answers is not trusted: sizes, pages and time are bounded.

use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::sse::Events;
use crate::{ReferenceError, http, read_body, without_url};

/// The revision that is asked for.
const REVISION: &str = "2025-06-18";
/// How long the whole may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// The most bytes of an answer, and the most pages.
const ANSWER: usize = 1024 * 1024;
const PAGES: usize = 50;

/// Returns what a server says of itself and its tools: `{"protocol", "server", "tools"}`.
///
/// # Errors
/// Where it does not answer in time, or not as a server of MCP does; the message says what it did.
pub async fn tools(url: &str) -> Result<Value, ReferenceError> {
    match tokio::time::timeout(PATIENCE, asked(url)).await {
        Ok(answer) => answer,
        Err(_) => Err(ReferenceError::Refused("the MCP server did not answer in time".to_owned())),
    }
}

async fn asked(url: &str) -> Result<Value, ReferenceError> {
    let mut talk = Talk { client: http(PATIENCE)?, url, headers: HeaderMap::new(), next: 1 };
    let hello = json!({
        "protocolVersion": REVISION,
        "capabilities": {},
        "clientInfo": { "name": "claw", "version": env!("CARGO_PKG_VERSION") },
    });
    let about = talk.call("initialize", hello).await?;
    let protocol = about["protocolVersion"].as_str().unwrap_or(REVISION).to_owned();
    talk.header("mcp-protocol-version", &protocol);
    talk.send(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await?;
    let mut tools: Vec<Value> = Vec::new();
    let mut cursor: Option<String> = None;
    for _ in 0..PAGES {
        let asked = cursor.as_ref().map_or_else(|| json!({}), |cursor| json!({ "cursor": cursor }));
        let mut page = talk.call("tools/list", asked).await?;
        let Some(list) = page.get_mut("tools").and_then(Value::as_array_mut) else {
            return Err(refused("answers `tools/list` without a list of tools"));
        };
        tools.append(list);
        if serde_json::to_string(&tools).map_or(0, |text| text.len()) > ANSWER {
            return Err(refused("has a listing that is too long"));
        }
        match page["nextCursor"].as_str().filter(|next| !next.is_empty()) {
            Some(next) => cursor = Some(next.to_owned()),
            None => return Ok(json!({ "protocol": protocol, "server": about["serverInfo"], "tools": tools })),
        }
    }
    Err(refused("has a listing without an end"))
}

fn refused(what: &str) -> ReferenceError {
    ReferenceError::Refused(format!("the MCP server {what}"))
}

/// A session with a server.
struct Talk<'u> {
    client: reqwest::Client,
    url: &'u str,
    /// What the server wants to see again.
    headers: HeaderMap,
    next: u64,
}

impl Talk<'_> {
    fn header(&mut self, name: &'static str, value: &str) {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
    }

    async fn send(&mut self, message: Value) -> Result<reqwest::Response, ReferenceError> {
        let request = self.client.post(self.url).headers(self.headers.clone());
        let request = request.header(ACCEPT, "application/json, text/event-stream").json(&message);
        let response = request.send().await.map_err(|error| refused(without_url(&error)))?;
        if !response.status().is_success() {
            return Err(refused(&format!("answers {}", response.status())));
        }
        if let Some(session) = response.headers().get("mcp-session-id") {
            self.headers.insert(HeaderName::from_static("mcp-session-id"), session.clone());
        }
        Ok(response)
    }

    async fn call(&mut self, method: &str, params: Value) -> Result<Value, ReferenceError> {
        let id = self.next;
        self.next += 1;
        let message = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let mut response = self.send(message).await?;
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
        let answer = match kind.starts_with("text/event-stream") {
            true => streamed(&mut response, id).await?,
            false => {
                let (body, is_whole) =
                    read_body(&mut response, ANSWER).await.map_err(|error| refused(without_url(&error)))?;
                let body = Some(body).filter(|_| is_whole).ok_or_else(|| refused("answers too much"))?;
                serde_json::from_slice(&body).map_err(|_| refused(&format!("answers `{method}` without JSON")))?
            }
        };
        if let Some(error) = answer.get("error") {
            let said: String = error["message"].as_str().unwrap_or("").chars().take(200).collect();
            return Err(refused(&format!("refuses `{method}`: {}", said.escape_debug())));
        }
        let mut answer = answer;
        Ok(answer.get_mut("result").map(Value::take).unwrap_or_default())
    }
}

/// Reads events until the answer to a message comes; a server may say other things before it.
async fn streamed(response: &mut reqwest::Response, id: u64) -> Result<Value, ReferenceError> {
    let mut events = Events::new(ANSWER);
    let mut read = 0;
    while let Some(chunk) = response.chunk().await.map_err(|error| refused(without_url(&error)))? {
        read += chunk.len();
        if read > 2 * ANSWER {
            return Err(refused("answers too much"));
        }
        for event in events.push(&chunk).map_err(|why| refused(&why))? {
            let Ok(message) = serde_json::from_str::<Value>(&event) else { continue };
            if message["id"] == id && message.get("method").is_none() {
                return Ok(message);
            }
        }
    }
    Err(refused("ended its stream without an answer"))
}
