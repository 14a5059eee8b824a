//! `config.yaml`: what the unit says in the words of hermes' configuration. JSON text is YAML.

use std::collections::BTreeMap;

use claw_types::agent::{AgentUnit, Inference, ModelRef};
use claw_types::doc::Doc;
use claw_types::provider::WireFormat;
use claw_types::secret::SecretRef;

use crate::common::unit::{self, PROXY};

use super::{WORKSPACE, channels};

/// The slots of models it has.
pub(super) const SLOTS: &[&str] = &["primary", "fallback", "compression", "delegation", "vision", "web_extract"];

/// Its side tasks. Each finds a model by itself where none is named, by any key in the environment: so each is told one.
/// Those that are slots take the model of theirs.
const TASKS: &[&str] = &[
    "approval",
    "background_review",
    "compression",
    "curator",
    "goal_judge",
    "kanban_decomposer",
    "mcp",
    "memory_query_rewrite",
    "monitor",
    "profile_describer",
    "skills_hub",
    "title_generation",
    "triage_specifier",
    "tts_audio_tags",
    "vision",
    "web_extract",
];

/// The most characters of the contract that are read: more than a contract can have.
const CONTRACT_CHARACTERS: i64 = 64 * 1024 * 1024;

/// Returns the whole configuration, without what `CONFIGURE` sets.
pub(super) fn config(unit: &AgentUnit) -> Doc {
    let off = || Doc::map([("enabled", Doc::Bool(false))]);
    let mut config = vec![
        // The container is what holds it; nobody sits beside it to be asked.
        ("approvals", Doc::map([("cron_mode", Doc::str("approve")), ("mode", Doc::str("off"))])),
        ("auxiliary", auxiliary(unit)),
        ("context_file_max_chars", Doc::int(CONTRACT_CHARACTERS)),
        // What would ask the model by itself, or a server outside.
        ("curator", off()),
        ("custom_providers", Doc::List(providers(unit))),
        ("fallback_providers", Doc::List(unit::of_slot(unit, "fallback").map(|each| route(unit, each)).collect())),
        ("kanban", Doc::map([("auto_decompose", Doc::Bool(false)), ("dispatch_in_gateway", Doc::Bool(false))])),
        ("lsp", Doc::map([("install_strategy", Doc::str("off"))])),
        ("model_catalog", off()),
        ("onboarding", Doc::map([("profile_build", Doc::str("off"))])),
        ("platforms", channels::platforms(unit)),
        ("security", Doc::map([("allow_lazy_installs", Doc::Bool(false)), ("tirith_enabled", Doc::Bool(false))])),
        ("skills", Doc::map([("external_dirs", Doc::strs(["/claw/skills"]))])),
        ("terminal", Doc::map([("backend", Doc::str("local")), ("cwd", Doc::str(WORKSPACE))])),
        ("unauthorized_dm_behavior", Doc::str("ignore")),
    ];
    if let Some(primary) = unit::of_slot(unit, "primary").next() {
        let model =
            Doc::map([("default", Doc::Str(name(unit, primary))), ("provider", Doc::Str(provider(unit, primary)))]);
        config.push(("model", model));
    }
    config.extend(unit::of_slot(unit, "delegation").next().map(|model| ("delegation", route(unit, model))));
    let servers = servers(unit);
    if !servers.is_empty() {
        config.push(("mcp_servers", Doc::Map(servers)));
    }
    config.extend(unit.timezone.clone().map(|timezone| ("timezone", Doc::Str(timezone))));
    Doc::map(config)
}

fn auxiliary(unit: &AgentUnit) -> Doc {
    let tasks = TASKS.iter().map(|task| {
        let model = unit::of_slot(unit, task).chain(unit::of_slot(unit, "primary")).next();
        let mut entries = BTreeMap::new();
        if let Some(Doc::Map(route)) = model.map(|model| route(unit, model)) {
            entries = route;
        }
        if *task == "title_generation" {
            // A title for each conversation is a request of its own, and nobody sees it.
            entries.insert("enabled".to_owned(), Doc::Bool(false));
        }
        ((*task).to_owned(), Doc::Map(entries))
    });
    Doc::Map(tasks.collect())
}

/// Returns where a model is and how it is called there.
fn route(unit: &AgentUnit, model: &ModelRef) -> Doc {
    Doc::map([("model", Doc::Str(name(unit, model))), ("provider", Doc::Str(provider(unit, model)))])
}

/// Returns the name of a model on the wire: the proxy is told its provider too.
fn name(unit: &AgentUnit, model: &ModelRef) -> String {
    match unit.inference {
        Inference::Proxied { .. } => model.to_string(),
        Inference::Direct { .. } => model.model.clone(),
    }
}

fn provider(unit: &AgentUnit, model: &ModelRef) -> String {
    match unit.inference {
        Inference::Proxied { .. } => format!("custom:{PROXY}"),
        Inference::Direct { .. } => format!("custom:{}", private(model.provider.as_str())),
    }
}

/// A name that no provider of hermes' own has.
fn private(provider: &str) -> String {
    format!("claw-{provider}")
}

/// Returns the providers: the pod's proxy alone, or each that a model is of.
fn providers(unit: &AgentUnit) -> Vec<Doc> {
    let row = |name: String, base_url: &str, format: WireFormat, key: Option<String>| {
        let mode = match format {
            WireFormat::OpenAi => "chat_completions",
            WireFormat::Anthropic => "anthropic_messages",
            WireFormat::Responses => "codex_responses",
        };
        let keys = [("api_mode", Doc::str(mode)), ("base_url", Doc::str(base_url)), ("name", Doc::Str(name))];
        // Hermes puts the variable's value in. By `key_env` a scheduled job would look for it in `.env` alone, and find none.
        Doc::map(keys.into_iter().chain(key.map(|key| ("api_key", Doc::Str(format!("${{{key}}}"))))))
    };
    match &unit.inference {
        Inference::Proxied { endpoint, token, .. } => {
            vec![row(PROXY.to_owned(), endpoint, WireFormat::OpenAi, Some(token.file_name()))]
        }
        Inference::Direct { upstreams } => {
            let rows = upstreams.iter().map(|(provider, upstream)| {
                let key = upstream.key.as_ref().map(SecretRef::file_name);
                row(private(provider.as_str()), &upstream.base_url, upstream.format, key)
            });
            rows.collect()
        }
    }
}

/// Returns the MCP servers that the services of its surfaces are.
fn servers(unit: &AgentUnit) -> BTreeMap<String, Doc> {
    unit::servers(unit).map(|(service, url)| (service, Doc::map([("url", Doc::str(url))]))).collect()
}
