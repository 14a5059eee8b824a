//! The agent's two tools: reading a skill, and HTTP towards the services it was given.

use serde_json::{Value, json};

use crate::manifest::Manifest;
use crate::read_body;

/// The most characters of a tool's result.
const LIMIT: usize = 16_000;

/// Returns the tools as chat completions describe them.
pub(crate) fn described() -> Value {
    let function = |name: &str, description: &str, parameters: Value| json!({"type": "function", "function": {"name": name, "description": description, "parameters": parameters}});
    json!([
        function(
            "read_skill",
            "Returns the text of one of your skills.",
            json!({"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}),
        ),
        function(
            "http",
            "Sends an HTTP request to a service of your pod.",
            json!({"type": "object", "properties": {"method": {"type": "string"}, "url": {"type": "string"}, "body": {"type": "string"}}, "required": ["url"]}),
        ),
    ])
}

/// Runs a tool; what goes wrong is its result, for the model to read.
pub(crate) async fn run(name: &str, arguments: &Value, manifest: &Manifest, client: &reqwest::Client) -> String {
    let text = |key: &str| arguments[key].as_str().unwrap_or("");
    let result = match name {
        "read_skill" => read_skill(text("name"), manifest),
        "http" => http(text("method"), text("url"), text("body"), manifest, client).await,
        other => Err(format!("there is no tool `{other}`")),
    };
    result.unwrap_or_else(|why| format!("error: {why}")).chars().take(LIMIT).collect()
}

fn read_skill(name: &str, manifest: &Manifest) -> Result<String, String> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || name.starts_with('.') || !name.bytes().all(is_name) {
        return Err(format!("`{name}` is not a skill"));
    }
    let folder = std::path::Path::new(&manifest.skills);
    let candidates = [folder.join(name).join("SKILL.md"), folder.join(format!("{name}.md"))];
    let found = candidates.iter().find_map(|path| std::fs::read_to_string(path).ok());
    found.ok_or_else(|| format!("there is no skill `{name}`"))
}

async fn http(
    method: &str,
    url: &str,
    body: &str,
    manifest: &Manifest,
    client: &reqwest::Client,
) -> Result<String, String> {
    let url = reqwest::Url::parse(url).map_err(|error| error.to_string())?;
    let host = url.host_str().unwrap_or("");
    let port = url.port_or_known_default().unwrap_or(0);
    let service = manifest.services.iter().find(|service| service.name == host);
    let is_open = service.is_some_and(|service| service.ports.is_empty() || service.ports.contains(&port));
    if !is_open || url.scheme() != "http" {
        return Err(format!("`{host}:{port}` is not one of your services"));
    }
    let method = if method.is_empty() { "GET" } else { method };
    let method = reqwest::Method::from_bytes(method.to_uppercase().as_bytes()).map_err(|error| error.to_string())?;
    let mut response =
        client.request(method, url).body(body.to_owned()).send().await.map_err(|error| error.to_string())?;
    let status = response.status();
    // As many bytes as the characters that are kept can have.
    let (body, _) = read_body(&mut response, 4 * LIMIT).await.map_err(|error| error.to_string())?;
    Ok(format!("{status}\n{}", String::from_utf8_lossy(&body)))
}
