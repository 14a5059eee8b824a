//! What claw tells the proxy: who may call, with which models, over which providers, within which limits. Written by claw's
//! compiler, read once at the start; nothing in it is secret.

use std::collections::BTreeMap;

use claw_types::provider::WireFormat;
use serde::{Deserialize, Deserializer};

use crate::money::Money;

/// The manifest's version.
pub const VERSION: u32 = 1;

/// The whole.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Its version.
    pub v: u32,
    /// The pod.
    pub pod: String,
    /// The type of this proxy.
    #[serde(rename = "type")]
    pub kind: String,
    /// Agents by id.
    pub agents: BTreeMap<String, Agent>,
    /// Providers by name.
    pub providers: BTreeMap<String, Provider>,
    /// Limits of the pod as a whole.
    #[serde(default)]
    pub pod_budgets: Vec<Limit>,
    /// Where the next proxy of the chain is: its base URL. It has the keys then.
    #[serde(default)]
    pub next: Option<String>,
    /// A table of prices in place of the one that comes with claw: a file.
    #[serde(default)]
    pub prices: Option<String>,
    /// The service that judges requests and answers.
    #[serde(default)]
    pub policy: Option<Policy>,
    /// What is done where the ledger cannot be written.
    #[serde(default)]
    pub ledger_failure: LedgerFailure,
}

/// What is done where the ledger cannot be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LedgerFailure {
    /// Calls are refused.
    #[default]
    Deny,
    /// Calls pass, with an alarm.
    Allow,
}

/// An agent.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// Its service.
    pub service: String,
    /// SHA-256 of its bearer token, in hexadecimal digits.
    pub token: String,
    /// Models by slot, `<provider>/<model>`.
    pub models: BTreeMap<String, Vec<String>>,
    /// What becomes of a model that no slot names.
    #[serde(default)]
    pub policy: ModelPolicy,
    /// Its limits.
    #[serde(default)]
    pub budgets: Vec<Limit>,
    /// When it is stopped going round in circles.
    #[serde(default)]
    pub brakes: Option<Brakes>,
    /// Which of its tools the model is told of.
    #[serde(default)]
    pub tools: Option<Tools>,
    /// Its contract, for the policy service.
    #[serde(default)]
    pub contract: Vec<Section>,
}

/// What becomes of a model that no slot names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelPolicy {
    /// The primary model is taken.
    #[default]
    Clamp,
    /// The call is refused.
    Refuse,
}

/// A limit of spending.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Dollars.
    #[serde(default, deserialize_with = "dollars")]
    pub usd: Option<Money>,
    /// Tokens, in and out.
    #[serde(default)]
    pub tokens: Option<u64>,
    /// Requests.
    #[serde(default)]
    pub requests: Option<u64>,
    /// The window.
    pub window: Window,
    /// What happens at the limit.
    pub action: Action,
}

fn dollars<'d, D: Deserializer<'d>>(deserializer: D) -> Result<Option<Money>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let money = Money::parse(&text);
    money.map(Some).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no amount of dollars")))
}

/// The window of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// The last sixty minutes.
    Hour,
    /// The day, in UTC.
    Day,
    /// The month, in UTC.
    Month,
}

impl Window {
    /// Returns the word.
    pub fn name(self) -> &'static str {
        match self {
            Window::Hour => "hour",
            Window::Day => "day",
            Window::Month => "month",
        }
    }
}

/// What happens at a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Calls are refused.
    HardStop,
    /// One call a minute passes.
    RateLimit,
    /// The fallback models are taken.
    Downgrade,
    /// The operator is told.
    SoftAlert,
}

impl Action {
    /// Returns the word.
    pub fn name(self) -> &'static str {
        match self {
            Action::HardStop => "hard_stop",
            Action::RateLimit => "rate_limit",
            Action::Downgrade => "downgrade",
            Action::SoftAlert => "soft_alert",
        }
    }
}

/// When an agent is stopped going round in circles.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Brakes {
    /// The same request, or the same call of a tool, this often.
    #[serde(default)]
    pub repeat: Option<u32>,
    /// Turns on the same message that call no tool.
    #[serde(default)]
    pub idle: Option<u32>,
    /// Whether it is stopped.
    pub action: BrakeAction,
}

/// What a brake does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BrakeAction {
    /// It tells the operator.
    Warn,
    /// It refuses the call.
    Stop,
}

/// Which tools the model is told of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tools {
    /// These alone, where it is given.
    #[serde(default)]
    pub allow: Option<Vec<String>>,
    /// All but these.
    #[serde(default)]
    pub deny: Vec<String>,
}

impl Tools {
    /// Returns whether a tool passes. A name may end in `*`.
    pub fn allows(&self, name: &str) -> bool {
        let is = |pattern: &String| match pattern.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => pattern == name,
        };
        self.allow.as_ref().is_none_or(|list| list.iter().any(is)) && !self.deny.iter().any(is)
    }
}

/// A section of a contract.
#[derive(Clone, Debug, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// Its id.
    pub id: String,
    /// `contract`, `enforce`, `guide`.
    pub mode: String,
    /// Its text.
    pub text: String,
}

/// A provider.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Base URL without a trailing slash.
    pub base_url: String,
    /// What it speaks.
    #[serde(deserialize_with = "format")]
    pub format: WireFormat,
    /// How it takes its key.
    #[serde(default)]
    pub auth: Auth,
    /// Its keys, in the order they are tried; none for a server that wants none.
    #[serde(default)]
    pub keys: Vec<KeyFile>,
}

fn format<'d, D: Deserializer<'d>>(deserializer: D) -> Result<WireFormat, D::Error> {
    let text = String::deserialize(deserializer)?;
    WireFormat::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no format")))
}

/// How a provider takes its key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Auth {
    /// `authorization: Bearer …`
    #[default]
    Bearer,
    /// `x-api-key: …`
    XApiKey,
    /// Not at all.
    None,
}

/// A key.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFile {
    /// What it is called.
    pub id: String,
    /// The file it is in.
    pub file: String,
}

/// A service that judges.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Where it is.
    pub url: String,
    /// The file with its token.
    #[serde(default)]
    pub token: Option<String>,
    /// How long it may take, in milliseconds.
    #[serde(default = "a_second")]
    pub timeout_ms: u64,
    /// What is done where it does not answer.
    #[serde(default)]
    pub failure: PolicyFailure,
}

fn a_second() -> u64 {
    1000
}

/// What is done where the policy service does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyFailure {
    /// Calls are refused.
    #[default]
    Closed,
    /// Calls pass.
    Open,
}

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadManifest {
    /// It is no JSON of that shape.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// It is of another version.
    #[error("it is of version {0}, and this claw reads version {VERSION}")]
    Version(u32),
    /// A name in it leads nowhere.
    #[error("{0}")]
    Name(String),
}

impl Manifest {
    /// Returns the manifest of a text.
    ///
    /// # Errors
    /// Where it is none.
    pub fn parse(text: &str) -> Result<Self, BadManifest> {
        #[derive(Deserialize)]
        struct Versioned {
            v: u32,
        }
        let versioned: Versioned = serde_json::from_str(text)?;
        if versioned.v != VERSION {
            return Err(BadManifest::Version(versioned.v));
        }
        let manifest: Manifest = serde_json::from_str(text)?;
        for (id, agent) in &manifest.agents {
            let is_digest = agent.token.len() == 64 && agent.token.bytes().all(|byte| byte.is_ascii_hexdigit());
            if !is_digest {
                return Err(BadManifest::Name(format!("the token of `{id}` is no SHA-256")));
            }
            for model in agent.models.values().flatten() {
                if model.split_once('/').is_none_or(|(provider, name)| provider.is_empty() || name.is_empty()) {
                    return Err(BadManifest::Name(format!("`{model}` of `{id}` is no `<provider>/<model>`")));
                }
            }
        }
        Ok(manifest)
    }
}
