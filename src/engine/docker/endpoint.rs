//! Where the engine is: `DOCKER_HOST`, then docker's contexts, then the default socket. The order is docker's (28.2).

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// The socket of an engine that nobody names.
const DEFAULT: &str = "unix:///var/run/docker.sock";

/// Returns the address of the engine, and what named it.
///
/// # Errors
/// Where a context is named that docker does not have.
pub(crate) fn endpoint() -> Result<(String, &'static str), String> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(host) = set("DOCKER_HOST") {
        return Ok((host, "DOCKER_HOST"));
    }
    let folder = set("DOCKER_CONFIG").map(PathBuf::from).or_else(|| Some(PathBuf::from(set("HOME")?).join(".docker")));
    let (context, named_by) = match set("DOCKER_CONTEXT") {
        Some(context) => (Some(context), "DOCKER_CONTEXT"),
        None => (folder.as_deref().and_then(current_context), "docker context"),
    };
    let Some(context) = context.filter(|name| name != "default") else { return Ok((DEFAULT.to_owned(), "default")) };
    let host = folder.as_deref().and_then(|folder| host_of(folder, &context));
    host.map(|host| (host, named_by)).ok_or_else(|| format!("there is no docker context `{context}`"))
}

fn json(path: &Path) -> Option<serde_json::Value> {
    serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()
}

fn current_context(folder: &Path) -> Option<String> {
    json(&folder.join("config.json"))?["currentContext"].as_str().filter(|name| !name.is_empty()).map(ToOwned::to_owned)
}

/// A context lies in a folder named by the digest of its name.
fn host_of(folder: &Path, context: &str) -> Option<String> {
    let digest: String = Sha256::digest(context).iter().map(|byte| format!("{byte:02x}")).collect();
    let meta = json(&folder.join("contexts/meta").join(digest).join("meta.json"))?;
    meta["Endpoints"]["docker"]["Host"].as_str().map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_found_by_the_digest_of_its_name() {
        let folder = std::env::temp_dir().join(format!("claw-context-{}", std::process::id()));
        let digest: String = Sha256::digest("remote").iter().map(|byte| format!("{byte:02x}")).collect();
        let meta = folder.join("contexts/meta").join(&digest);
        std::fs::create_dir_all(&meta).expect("a folder");
        let text = r#"{"Name":"remote","Endpoints":{"docker":{"Host":"unix:///run/other.sock"}}}"#;
        std::fs::write(meta.join("meta.json"), text).expect("written");
        std::fs::write(folder.join("config.json"), r#"{"currentContext":"remote"}"#).expect("written");
        assert_eq!(current_context(&folder).as_deref(), Some("remote"));
        assert_eq!(host_of(&folder, "remote").as_deref(), Some("unix:///run/other.sock"));
        assert_eq!(host_of(&folder, "else"), None);
        std::fs::remove_dir_all(folder).expect("removed");
    }
}
