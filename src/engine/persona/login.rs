//! Who logs in to a registry: what docker's configuration file says, as `docker login` left it there. Nothing of it is printed.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::io::AsyncWriteExt;

/// How long a helper that keeps passwords may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The name that docker's own registry has in the file.
const HUB: &str = "https://index.docker.io/v1/";

/// How somebody logs in.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(super) enum Login {
    /// Nobody does.
    Nobody,
    /// With a name and a password.
    Basic(String, String),
    /// With a token that the registry gave before.
    Bearer(String),
    /// With a token of an identity, which a token server takes for one that lets somebody in.
    Identity(String),
}

/// The name that a helper gives what is a token of an identity and no password.
const IDENTITY: &str = "<token>";

/// Returns how to log in to a registry; nobody where the file does not say.
pub(super) async fn login(registry: &str) -> Login {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = set("DOCKER_CONFIG").or_else(|| Some(set("HOME")?.join(".docker")));
    let config = folder.and_then(|folder| config(&folder));
    let Some(config) = config else { return Login::Nobody };
    let name = if matches!(registry, "docker.io" | "index.docker.io") { HUB } else { registry };
    let helper = config["credHelpers"][name].as_str().or(config["credsStore"].as_str());
    let found = match helper.filter(|helper| !helper.is_empty()) {
        Some(helper) => ask(helper, name).await,
        None => None,
    };
    found.or_else(|| stored(&config, name)).unwrap_or(Login::Nobody)
}

fn config(folder: &Path) -> Option<Value> {
    serde_json::from_str(&std::fs::read_to_string(folder.join("config.json")).ok()?).ok()
}

/// Returns what the file itself says of a registry.
fn stored(config: &Value, name: &str) -> Option<Login> {
    let bare = |key: &str| {
        let key = key.trim_start_matches("https://").trim_start_matches("http://");
        key.split('/').next().unwrap_or(key).to_owned()
    };
    let all = config["auths"].as_object()?;
    let entry =
        all.get(name).or_else(|| all.iter().find(|(key, _)| bare(key) == bare(name)).map(|(_, entry)| entry))?;
    if let Some(token) = entry["registrytoken"].as_str().filter(|token| !token.is_empty()) {
        return Some(Login::Bearer(token.to_owned()));
    }
    if let Some(token) = entry["identitytoken"].as_str().filter(|token| !token.is_empty()) {
        return Some(Login::Identity(token.to_owned()));
    }
    let text = String::from_utf8(STANDARD.decode(entry["auth"].as_str()?).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some(Login::Basic(user.to_owned(), password.trim_end_matches('\0').to_owned()))
}

/// Asks a helper of docker's for what it keeps of a registry.
async fn ask(helper: &str, name: &str) -> Option<Login> {
    // The file is its owner's own, and still no reason to run what lies somewhere else.
    if !helper.chars().all(|each| each.is_ascii_alphanumeric() || matches!(each, '-' | '_' | '.')) {
        return None;
    }
    let mut command = tokio::process::Command::new(format!("docker-credential-{helper}"));
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().ok()?;
    let mut input = child.stdin.take()?;
    input.write_all(name.as_bytes()).await.ok()?;
    drop(input);
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.ok()?.ok()?;
    let answer: Value = serde_json::from_slice(&output.stdout).ok().filter(|_| output.status.success())?;
    let text = |key: &str| answer[key].as_str().map(ToOwned::to_owned);
    match (text("Username")?, text("Secret")?) {
        (user, token) if user == IDENTITY => Some(token).filter(|token| !token.is_empty()).map(Login::Identity),
        (user, secret) => Some(Login::Basic(user, secret)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_registry_is_found_by_its_name_however_it_is_written() {
        let config = json!({ "auths": {
            "https://index.docker.io/v1/": { "auth": STANDARD.encode("hub:one") },
            "127.0.0.1:5000": { "auth": STANDARD.encode("ann:a:b") },
            "https://ghcr.io": { "registrytoken": "two" },
            "empty.example": {},
            "azure.example": { "auth": STANDARD.encode("0000:"), "identitytoken": "three" },
        } });
        let basic = |user: &str, password: &str| Some(Login::Basic(user.to_owned(), password.to_owned()));
        assert_eq!(stored(&config, HUB), basic("hub", "one"));
        assert_eq!(stored(&config, "127.0.0.1:5000"), basic("ann", "a:b"));
        assert_eq!(stored(&config, "ghcr.io"), Some(Login::Bearer("two".to_owned())));
        assert_eq!(stored(&config, "azure.example"), Some(Login::Identity("three".to_owned())));
        assert_eq!(stored(&config, "empty.example"), None);
        assert_eq!(stored(&config, "other.example"), None);
    }
}
