//! `config.yaml`: what the unit says in microclaw's words. Keys that it does not know are only warned of, and fall back to defaults.

use claw_types::agent::{AgentUnit, Inference, ModelRef};
use claw_types::doc::Doc;
use claw_types::provider::WireFormat;
use claw_types::secret::SecretRef;

use super::{PORT, SKILLS, STATE, channels};
use crate::common::{table::Takes, unit};

/// The slots of models it has: all are of one provider.
pub(super) const SLOTS: &[&str] = &["primary", "fallback", "compaction", "reflector", "title", "vision"];

/// The slots below `aux_models`, by the same names.
const OTHERS: &[&str] = &["compaction", "reflector", "title", "vision"];

/// The most characters of the contract and the letter that are read: more than they can have.
const CONTRACT_CHARACTERS: i64 = 64 * 1024 * 1024;

/// What `CONFIGURE` sets.
pub(super) const SETTINGS: &[(&str, Takes)] = &[
    ("compact_keep_recent", Takes::Whole(1, 100_000)),
    ("context_pressure_compact_pct", Takes::Whole(0, 100)),
    ("enable_mid_turn_injection", Takes::Flag),
    ("high_risk_tool_user_confirmation_required", Takes::Flag),
    ("max_document_size_mb", Takes::Whole(1, 10_000)),
    ("max_history_messages", Takes::Whole(1, 100_000)),
    ("max_session_messages", Takes::Whole(1, 100_000)),
    ("max_tokens", Takes::Whole(1, 1_000_000)),
    ("max_tool_iterations", Takes::Whole(1, 10_000)),
    ("memory_token_budget", Takes::Whole(0, 1_000_000)),
    ("model_context_window", Takes::Whole(1_000, 10_000_000)),
    ("output_guardrail.mode", Takes::Word(&["off", "redact", "block"])),
    ("user_message_language", Takes::Word(&["en", "zh", "bilingual"])),
    ("working_dir_isolation", Takes::Word(&["chat", "shared"])),
];

/// Returns the whole configuration, without what `CONFIGURE` sets.
pub(super) fn config(unit: &AgentUnit, web_token: Option<SecretRef>) -> Doc {
    let name = |model: &ModelRef| match &unit.inference {
        Inference::Proxied { .. } => Doc::Str(model.to_string()),
        Inference::Direct { .. } => Doc::Str(model.model.clone()),
    };
    let first = |slot: &str| unit::of_slot(unit, slot).next().map(name);
    let (base, format, key) = match &unit.inference {
        Inference::Proxied { endpoint, token, .. } => (endpoint.as_str(), WireFormat::OpenAi, Some(token)),
        Inference::Direct { upstreams } => {
            let primary = unit::of_slot(unit, "primary").next();
            match primary.and_then(|model| upstreams.get(&model.provider)) {
                Some(upstream) => (upstream.base_url.as_str(), upstream.format, upstream.key.as_ref()),
                None => ("", WireFormat::OpenAi, None),
            }
        }
    };
    // The name chooses a client; the address is always ours.
    let provider = if format == WireFormat::Anthropic { "anthropic" } else { "openai" };
    let key = key.map_or_else(|| Doc::str("none"), |key| Doc::Secret(key.clone()));
    let mut config = vec![
        ("api_key", key),
        ("channels", channels::channels(unit)),
        // It reads every text there: the contract and the letter.
        ("context_dir", Doc::str("/claw")),
        ("context_max_chars", Doc::int(CONTRACT_CHARACTERS)),
        ("data_dir", Doc::str(STATE)),
        // The container is what holds it; nobody sits beside it to be asked.
        ("high_risk_tool_user_confirmation_required", Doc::Bool(false)),
        ("llm_base_url", Doc::str(base)),
        ("llm_provider", Doc::str(provider)),
        ("model", first("primary").unwrap_or(Doc::Null)),
        // Skills that nobody used for a month would be moved away.
        ("skill_archive_after_days", Doc::int(0)),
        ("skills_dir", Doc::str(SKILLS)),
        ("timezone", Doc::str(unit.timezone.as_deref().unwrap_or("UTC"))),
        ("web_auth_token", web_token.map_or(Doc::Null, Doc::Secret)),
        ("web_enabled", Doc::Bool(true)),
        ("web_host", Doc::str("127.0.0.1")),
        ("web_port", Doc::int(i64::from(PORT))),
        ("working_dir", Doc::Str(format!("{STATE}/working_dir"))),
        ("working_dir_isolation", Doc::str("chat")),
    ];
    config.extend(first("fallback").map(|model| ("fallback_model", model)));
    let others: Vec<(&str, Doc)> = OTHERS.iter().filter_map(|slot| Some((*slot, first(slot)?))).collect();
    if !others.is_empty() {
        config.push(("aux_models", Doc::map(others)));
    }
    Doc::map(config)
}

/// Returns `mcp.json`; nothing where there is no server.
pub(super) fn servers(unit: &AgentUnit) -> Doc {
    let servers: Vec<(String, Doc)> = unit::servers(unit)
        .map(|(name, url)| (name, Doc::map([("endpoint", Doc::str(url)), ("transport", Doc::str("streamable_http"))])))
        .collect();
    if servers.is_empty() { Doc::Null } else { Doc::map([("mcpServers", Doc::map(servers))]) }
}
