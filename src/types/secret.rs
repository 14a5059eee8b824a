//! Secrets by name. This crate has no type that could hold a secret's value.

use std::fmt;

use crate::id::{EnvName, SecretName, UnitId};

/// Which secret is meant; the engine alone knows its value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretRef {
    /// Declared in `x-claw.secrets`.
    Named(SecretName),
    /// A variable of the environment or of `.env`.
    Env(EnvName),
    /// A variable of an env file of a service: the file as written, and the variable.
    EnvFile(String, EnvName),
    /// The bearer token of an agent for the pod's proxy.
    ProxyToken(UnitId),
    /// The SHA-256 of the bearer token of an agent, by which the pod's proxy knows it.
    TokenDigest(UnitId),
    /// A token claw makes for one agent and keeps, e.g. of a runtime's own gateway: the agent, and the name it goes by.
    Minted(UnitId, EnvName),
}

/// The variable and file of the token that operators of a pod's proxy have.
pub const UI_TOKEN: &str = "CLLAMA_UI_TOKEN";

/// The variable and file of the token with which a pod's master looks at its proxy.
pub const MASTER_TOKEN: &str = "CLLAMA_MASTER_TOKEN";

impl SecretRef {
    /// Returns the name of the file that delivers this secret to a container.
    pub fn file_name(&self) -> String {
        match self {
            SecretRef::Named(name) => name.to_string(),
            SecretRef::Env(name) | SecretRef::EnvFile(_, name) | SecretRef::Minted(_, name) => name.to_string(),
            SecretRef::ProxyToken(_) => "CLLAMA_TOKEN".to_owned(),
            SecretRef::TokenDigest(unit) => format!("digest-{unit}"),
        }
    }

    /// Returns the path of that file in a container.
    pub fn delivered_path(&self) -> String {
        format!("/run/secrets/{}", self.file_name())
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretRef::Named(name) => write!(f, "secret {name}"),
            SecretRef::Env(name) => write!(f, "secret env {name}"),
            SecretRef::EnvFile(file, name) => write!(f, "secret env {name} of {file}"),
            SecretRef::ProxyToken(unit) => write!(f, "secret token {unit}"),
            SecretRef::TokenDigest(unit) => write!(f, "digest of secret token {unit}"),
            SecretRef::Minted(unit, name) => write!(f, "secret token {name} of {unit}"),
        }
    }
}

/// Returns whether a variable of this name holds a secret by every convention of the field.
pub fn is_secret_name(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let ends = ["_TOKEN", "_KEY", "_SECRET", "_PASSWORD", "_PASSWD", "_CREDENTIALS", "_APIKEY"];
    let whole = ["TOKEN", "APIKEY", "SECRET", "PASSWORD", "PASSWD"];
    !upper.ends_with("_PUBLIC_KEY") && (ends.iter().any(|end| upper.ends_with(end)) || whole.contains(&upper.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minted_token_goes_by_its_own_name() {
        let unit = UnitId::parse("bot-1").expect("an id");
        let token = SecretRef::Minted(unit, EnvName::parse("GATEWAY_TOKEN").expect("a name"));
        assert_eq!(token.delivered_path(), "/run/secrets/GATEWAY_TOKEN");
        assert_eq!(token.to_string(), "secret token GATEWAY_TOKEN of bot-1");
    }

    #[test]
    fn secret_names_are_known_by_their_end() {
        assert!(is_secret_name("DISCORD_BOT_TOKEN"));
        assert!(is_secret_name("openai_api_key"));
        assert!(!is_secret_name("KEYBOARD"));
        assert!(!is_secret_name("SIGNING_PUBLIC_KEY"));
        assert!(!is_secret_name("MAX_TOKENS"));
    }
}
