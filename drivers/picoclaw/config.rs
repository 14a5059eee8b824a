//! `config.json`: what the unit says in version 3 of picoclaw's configuration, which knows no other key.

use std::collections::BTreeMap;

use claw_types::agent::{AgentUnit, Inference, ModelRef};
use claw_types::doc::{Content, Doc};
use claw_types::provider::WireFormat;
use claw_types::secret::SecretRef;

use super::{PORT, WORKSPACE, channels};
use crate::common::{table::Takes, unit};

/// The slots of models it has.
pub(super) const SLOTS: &[&str] = &["primary", "fallback", "image"];

/// What `CONFIGURE` sets.
pub(super) const SETTINGS: &[(&str, Takes)] = &[
    ("agents.defaults.context_window", Takes::Whole(1, 10_000_000)),
    ("agents.defaults.max_media_size", Takes::Whole(1, 1 << 30)),
    ("agents.defaults.max_tokens", Takes::Whole(1, 1_000_000)),
    ("agents.defaults.max_tool_iterations", Takes::Whole(1, 1_000)),
    ("agents.defaults.split_on_marker", Takes::Flag),
    ("agents.defaults.steering_mode", Takes::Word(&["one-at-a-time", "all"])),
    ("agents.defaults.summarize_message_threshold", Takes::Whole(1, 100_000)),
    ("agents.defaults.summarize_token_percent", Takes::Whole(1, 100)),
    ("agents.defaults.temperature", Takes::Number(0.0, 2.0)),
    ("gateway.log_level", Takes::Word(&["debug", "info", "warn", "error", "fatal"])),
    ("heartbeat.enabled", Takes::Flag),
    ("heartbeat.interval", Takes::Whole(5, 100_000)),
];

/// Words before the first `/` of a model that its OpenAI client takes for itself and does not send.
const TAKEN: &[&str] = &[
    "deepseek",
    "google",
    "groq",
    "litellm",
    "lmstudio",
    "minimax",
    "mistral",
    "moonshot",
    "nearai",
    "novita",
    "nvidia",
    "ollama",
    "openrouter",
    "siliconflow",
    "venice",
    "vivgrid",
    "zhipu",
];

/// The files beside the configuration that hold a secret each.
#[derive(Default)]
pub(super) struct Secrets {
    pub(super) files: BTreeMap<String, Content>,
}

impl Secrets {
    /// Returns how the configuration names a secret.
    pub(super) fn add(&mut self, secret: SecretRef) -> Doc {
        let name = secret.file_name();
        let reference = Doc::Str(format!("file://{name}"));
        self.files.insert(name, Content::secret(secret));
        reference
    }
}

/// Returns the whole configuration, without what `CONFIGURE` sets.
pub(super) fn config(unit: &AgentUnit, secrets: &mut Secrets) -> Doc {
    let models = models(unit, secrets);
    let mut defaults = vec![
        ("model_name", Doc::str("primary")),
        ("restrict_to_workspace", Doc::Bool(true)),
        ("workspace", Doc::str(WORKSPACE)),
    ];
    let fallbacks: Vec<String> =
        (1..=unit::of_slot(unit, "fallback").count()).map(|at| format!("fallback-{at}")).collect();
    if !fallbacks.is_empty() {
        defaults.push(("model_fallbacks", Doc::strs(fallbacks)));
    }
    if unit::of_slot(unit, "image").next().is_some() {
        defaults.push(("image_model", Doc::str("image")));
    }
    let servers: BTreeMap<String, Doc> = unit::servers(unit)
        .map(|(name, url)| {
            let keys = [("enabled", Doc::Bool(true)), ("type", Doc::str("http")), ("url", Doc::str(url))];
            (name, Doc::map(keys))
        })
        .collect();
    let mut config = vec![
        ("agents", Doc::map([("defaults", Doc::map(defaults))])),
        ("channel_list", Doc::Map(channels::channels(unit, secrets))),
        (
            "gateway",
            Doc::map([
                ("host", Doc::str("127.0.0.1")),
                ("hot_reload", Doc::Bool(false)),
                ("log_level", Doc::str("info")),
                ("port", Doc::int(i64::from(PORT))),
            ]),
        ),
        // A heartbeat would ask the model every half hour by itself.
        ("heartbeat", Doc::map([("enabled", Doc::Bool(false)), ("interval", Doc::int(30))])),
        ("model_list", Doc::List(models)),
        ("version", Doc::int(3)),
    ];
    if !servers.is_empty() {
        let mcp = Doc::map([("enabled", Doc::Bool(true)), ("servers", Doc::Map(servers))]);
        config.push(("tools", Doc::map([("mcp", mcp)])));
    }
    Doc::map(config)
}

/// Returns the list of models: each has a name of its slot, by which the rest of the configuration knows it.
fn models(unit: &AgentUnit, secrets: &mut Secrets) -> Vec<Doc> {
    let named = |slot: &'static str| {
        unit::of_slot(unit, slot).enumerate().map(move |(at, model)| match slot {
            "fallback" => (format!("fallback-{}", at + 1), model),
            _ => (slot.to_owned(), model),
        })
    };
    let all = named("primary").chain(named("fallback")).chain(named("image"));
    all.filter_map(|(name, model)| entry(unit, &name, model, secrets)).collect()
}

fn entry(unit: &AgentUnit, name: &str, model: &ModelRef, secrets: &mut Secrets) -> Option<Doc> {
    let (base, format, key, id) = match &unit.inference {
        Inference::Proxied { endpoint, token, .. } => {
            (endpoint.as_str(), WireFormat::OpenAi, Some(token), model.to_string())
        }
        Inference::Direct { upstreams } => {
            let upstream = upstreams.get(&model.provider)?;
            (upstream.base_url.as_str(), upstream.format, upstream.key.as_ref(), model.model.clone())
        }
    };
    let key = key.map_or_else(|| Doc::str("none"), |key| secrets.add(key.clone()));
    // A provider's name chooses a client here, and no address: that is always `api_base`.
    let provider = if format == WireFormat::Anthropic { "anthropic-messages" } else { "openai" };
    let mut keys = vec![
        ("api_base", Doc::str(base)),
        ("api_keys", Doc::List(vec![key])),
        ("enabled", Doc::Bool(true)),
        ("model", Doc::str(&id)),
        ("model_name", Doc::str(name)),
        ("provider", Doc::str(provider)),
    ];
    let is_taken = id.split_once('/').is_some_and(|(first, _)| TAKEN.contains(&first.to_ascii_lowercase().as_str()));
    if is_taken && format == WireFormat::OpenAi && !base.contains("openrouter.ai") {
        // What is set here is put over the request, after the word was taken off.
        keys.push(("extra_body", Doc::map([("model", Doc::Str(id))])));
    }
    Some(Doc::map(keys))
}
