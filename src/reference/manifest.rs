//! The agent's configuration: `/claw/reference.json`, as the driver `reference` writes it. Unknown keys are errors.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::ReferenceError;

/// What the agent is told.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// 1.
    pub schema: u32,
    /// The pod.
    pub pod: String,
    /// The service.
    pub service: String,
    /// The agent's id.
    pub agent: String,
    /// Address and port it listens on.
    pub listen: String,
    /// The contract's path.
    pub contract: String,
    /// The path of CLAWDAPUS.md.
    pub letter: String,
    /// The directory of skills.
    pub skills: String,
    /// The directory it remembers in.
    pub state: String,
    /// Models, the primary first, then fallbacks.
    pub models: Vec<Model>,
    /// Services its `http` tool may reach.
    pub services: Vec<Service>,
    /// When it is told something without being asked.
    pub schedules: Vec<Schedule>,
    /// IANA name of the time zone its schedules are in; UTC where there is none.
    pub timezone: Option<String>,
    /// Settings of `CONFIGURE`.
    pub settings: Settings,
}

/// A model and how it is reached.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Its slot.
    pub slot: String,
    /// Its name at the provider.
    pub model: String,
    /// Base URL without trailing slash.
    pub base_url: String,
    /// `openai` or `anthropic`; others are refused at the first message.
    pub format: String,
    /// The file with its key.
    pub key_file: Option<String>,
}

/// A service the agent may reach.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Its host name.
    pub name: String,
    /// Its ports; any where none is declared.
    pub ports: Vec<u16>,
}

/// A message at a time.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Unique in the agent; its conversation is `schedule-<id>`.
    pub id: String,
    /// Five cron fields.
    pub schedule: String,
    /// What the agent is told.
    pub message: String,
    /// `platform:channel` the answer is for. It is written down with the answer: this runtime speaks on no platform.
    pub to: Option<String>,
}

/// Settings of `CONFIGURE reference config set`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Answers are streamed from the provider.
    pub stream: bool,
    /// Tool rounds in one turn.
    pub max_steps: u32,
    /// Messages of a conversation that are sent along.
    pub history: usize,
    /// Sampling temperature.
    pub temperature: Option<f64>,
    /// Text at the end of the system prompt.
    pub system_note: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { stream: true, max_steps: 8, history: 20, temperature: None, system_note: None }
    }
}

/// Reads the configuration.
///
/// # Errors
/// Where the file cannot be read or is no configuration.
pub fn read(path: &str) -> Result<Manifest, ReferenceError> {
    let text = read_file(path)?;
    serde_json::from_str(&text).map_err(|source| ReferenceError::Manifest { path: path.to_owned(), source })
}

/// Returns the configuration as the agent reads it, every default in it: one line of JSON, without secrets, as drivers promise it.
///
/// # Errors
/// Where the file cannot be read or is no configuration.
pub fn reading(path: &str) -> Result<String, ReferenceError> {
    let manifest = read(path)?;
    let endpoints: BTreeSet<&str> = manifest.models.iter().map(|model| model.base_url.as_str()).collect();
    let models: Vec<&str> = manifest.models.iter().map(|model| model.model.as_str()).collect();
    // A key that is not known is an error: there are none to tell of.
    let none: [&str; 0] = [];
    let reading =
        json!({"endpoints": endpoints, "models": models, "ignored": none, "warnings": none, "configuration": manifest});
    Ok(reading.to_string())
}

pub(crate) fn read_file(path: &str) -> Result<String, ReferenceError> {
    std::fs::read_to_string(path).map_err(|source| ReferenceError::File { path: path.to_owned(), source })
}
