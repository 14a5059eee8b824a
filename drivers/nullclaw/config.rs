//! `config.json`: what the unit says in nullclaw's words. It ignores keys that it does not know, so every key is of a table.

use claw_types::agent::{AgentUnit, Inference, ModelRef};
use claw_types::doc::Doc;

use super::{PORT, channels};
use crate::common::{table::Takes, unit};

/// What `CONFIGURE` sets.
pub(super) const SETTINGS: &[(&str, Takes)] = &[
    ("agent.compact_context", Takes::Flag),
    ("agent.max_history_messages", Takes::Whole(1, 100_000)),
    ("agent.max_tool_iterations", Takes::Whole(1, 10_000)),
    ("agent.message_timeout_secs", Takes::Whole(0, 86_400)),
    ("agent.parallel_tools", Takes::Flag),
    ("agent.token_limit", Takes::Whole(1_000, 10_000_000)),
    ("autonomy.allowed_commands", Takes::Texts),
    ("autonomy.block_high_risk_commands", Takes::Flag),
    ("autonomy.level", Takes::Word(&["read_only", "supervised", "full"])),
    ("autonomy.max_actions_per_hour", Takes::Whole(1, 1_000_000)),
    ("autonomy.require_approval_for_medium_risk", Takes::Flag),
    ("default_temperature", Takes::Number(0.0, 2.0)),
    ("heartbeat.enabled", Takes::Flag),
    ("heartbeat.interval_minutes", Takes::Whole(5, 100_000)),
    ("reliability.provider_retries", Takes::Whole(0, 100)),
    ("tools.shell_timeout_secs", Takes::Whole(1, 86_400)),
];

/// Returns the whole configuration, without what `CONFIGURE` sets.
pub(super) fn config(unit: &AgentUnit) -> Doc {
    let (provider, entry) = provider(unit);
    let name = |model: &ModelRef| match &unit.inference {
        Inference::Proxied { .. } => model.to_string(),
        Inference::Direct { .. } => model.model.clone(),
    };
    let primary = unit::of_slot(unit, "primary").next().map(name).unwrap_or_default();
    let fallbacks: Vec<String> = unit::of_slot(unit, "fallback").map(name).collect();
    let mut config = vec![
        (
            "agents",
            Doc::map([(
                "defaults",
                Doc::map([("model", Doc::map([("primary", Doc::Str(format!("{provider}/{primary}")))]))]),
            )]),
        ),
        // The container is what holds it; nobody sits beside it to be asked.
        ("autonomy", Doc::map([("level", Doc::str("full")), ("workspace_only", Doc::Bool(true))])),
        ("channels", channels::channels(unit)),
        (
            "gateway",
            Doc::map([
                ("host", Doc::str("127.0.0.1")),
                ("port", Doc::int(i64::from(PORT))),
                ("require_pairing", Doc::Bool(true)),
            ]),
        ),
        ("heartbeat", Doc::map([("enabled", Doc::Bool(false))])),
        ("models", Doc::map([("providers", Doc::map([(provider, entry)]))])),
    ];
    if !fallbacks.is_empty() {
        // `fallback_providers` would be other providers with the same model.
        let chain = Doc::map([("fallbacks", Doc::strs(fallbacks)), ("model", Doc::Str(primary))]);
        config.push(("reliability", Doc::map([("model_fallbacks", Doc::List(vec![chain]))])));
    }
    Doc::map(config)
}

/// Returns the one provider. Its name is a private one: nullclaw reads `base_url` of names it does not know, and of some that it knows it
/// does not.
fn provider(unit: &AgentUnit) -> (String, Doc) {
    let (name, base, key) = match &unit.inference {
        Inference::Proxied { endpoint, token, .. } => (unit::PROXY.to_owned(), endpoint.clone(), Some(token)),
        Inference::Direct { upstreams } => {
            let primary = unit::of_slot(unit, "primary").next().map(|model| &model.provider);
            let upstream = primary.and_then(|name| Some((name, upstreams.get(name)?)));
            match upstream {
                Some((name, upstream)) => (format!("claw-{name}"), upstream.base_url.clone(), upstream.key.as_ref()),
                None => (unit::PROXY.to_owned(), String::new(), None),
            }
        }
    };
    let key = key.map_or_else(|| Doc::str("none"), |key| Doc::Secret(key.clone()));
    (name, Doc::map([("api_key", key), ("base_url", Doc::Str(base))]))
}
