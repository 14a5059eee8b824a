//! What drivers of runtimes that cannot be run here write, judged by tables of the keys those runtimes know.

use claw_types::agent::{AgentUnit, ChannelPolicy, DirectPolicy, GuildPolicy, Hears, ModelRef};
use claw_types::diag::{Diagnostics, Severity};
use claw_types::id::{ModelSlot, ProviderName};
use claw_types::platform::Platform;
use serde_json::Value;

use crate::{everything, unit};

/// Returns a file that a driver writes, its secrets as holes, and what was said of the unit.
pub(crate) fn made(unit: &AgentUnit, path: &str) -> (String, Vec<String>) {
    let driver = claw_drivers::find(unit.runtime.as_str()).expect("a driver");
    let mut diag = Diagnostics::new();
    driver.check(unit, &mut diag);
    let lowered = driver.lower(unit, &mut diag).expect("lowered");
    let file = lowered.files.iter().find(|(own, _)| own.as_str() == path).expect("a file");
    let said = diag.iter().map(|each| format!("{:?}: {}", each.severity, each.message)).collect();
    (file.1.content.masked(), said)
}

/// Returns the dotted paths of all values in a document; `*` stands for a place in a list.
fn paths(value: &Value, at: &str, found: &mut Vec<String>) {
    let below = |key: &str| if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") };
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            entries.iter().for_each(|(key, value)| paths(value, &below(key), found));
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            items.iter().for_each(|value| paths(value, &below("*"), found));
        }
        _ => found.push(at.to_owned()),
    }
}

/// Returns whether a path is one of a table's; `*` stands for any part.
fn is_known(path: &str, table: &[&str]) -> bool {
    table.iter().any(|known| {
        let (mut parts, mut known) = (path.split('.'), known.split('.'));
        loop {
            match (parts.next(), known.next()) {
                (None, None) => return true,
                (Some(part), Some(own)) if own == "*" || own == part => {}
                _ => return false,
            }
        }
    })
}

/// Every key that a unit with everything makes a driver write is in the table.
fn knows(runtime: &str, path: &str, table: &[&str]) {
    for unit in [unit(runtime, false, 0, 1, false), unit(runtime, true, 0, 1, true), everything(runtime)] {
        let config: Value = serde_json::from_str(&made(&unit, path).0).expect("JSON");
        let mut found = Vec::new();
        paths(&config, "", &mut found);
        for each in found {
            assert!(is_known(&each, table), "{runtime} does not know `{each}`");
        }
    }
}

/// Gives a unit of a runtime one guild of discord with these rules.
fn heard(runtime: &str, hears: Hears, direct: DirectPolicy) -> AgentUnit {
    let mut unit = everything(runtime);
    let discord = Platform::parse("discord").expect("a platform");
    unit.channels.retain(|platform, _| *platform == discord);
    let guild = GuildPolicy { hears, require_mention: true, channels: Vec::new() };
    let policy = ChannelPolicy { guilds: [("1".to_owned(), guild)].into(), direct, peers: Vec::new() };
    unit.channels.insert(discord, policy);
    unit
}

fn errors(unit: &AgentUnit) -> Vec<String> {
    let driver = claw_drivers::find(unit.runtime.as_str()).expect("a driver");
    let mut diag = Diagnostics::new();
    driver.check(unit, &mut diag);
    diag.iter().filter(|each| each.severity == Severity::Error).map(|each| each.message.clone()).collect()
}

/// Runtimes that take an empty list for everyone are given no account without one.
#[test]
fn nobody_is_never_everyone() {
    for runtime in ["picoclaw"] {
        let only = |ids: &[&str]| Hears::Only(ids.iter().map(|id| (*id).to_owned()).collect());
        let said = |hears, direct| errors(&heard(runtime, hears, direct));
        assert_eq!(said(only(&["7"]), DirectPolicy::Disabled), Vec::<String>::new(), "{runtime}");
        assert_eq!(said(Hears::Nobody, DirectPolicy::Disabled).len(), 1, "{runtime}");
        assert_eq!(said(Hears::Everyone, DirectPolicy::Disabled).len(), 1, "{runtime}");
        assert_eq!(said(only(&["7"]), DirectPolicy::Open).len(), 1, "{runtime}");
        assert_eq!(said(only(&["7"]), DirectPolicy::Only(vec!["8".to_owned()])).len(), 1, "{runtime}");
    }
}

/// The keys of version 3 (`pkg/config`), with those of each platform's `settings`; another one stops the start.
const PICOCLAW: &[&str] = &[
    "agents.defaults.image_model",
    "agents.defaults.model_fallbacks",
    "agents.defaults.model_name",
    "agents.defaults.restrict_to_workspace",
    "agents.defaults.workspace",
    "channel_list",
    "channel_list.*.allow_from",
    "channel_list.*.enabled",
    "channel_list.*.group_trigger.mention_only",
    "channel_list.*.type",
    "channel_list.dingtalk.settings.client_id",
    "channel_list.dingtalk.settings.client_secret",
    "channel_list.discord.settings.token",
    "channel_list.feishu.settings.app_id",
    "channel_list.feishu.settings.app_secret",
    "channel_list.matrix.settings.access_token",
    "channel_list.matrix.settings.homeserver",
    "channel_list.matrix.settings.join_on_invite",
    "channel_list.matrix.settings.user_id",
    "channel_list.qq.settings.app_id",
    "channel_list.qq.settings.app_secret",
    "channel_list.slack.settings.app_token",
    "channel_list.slack.settings.bot_token",
    "channel_list.telegram.settings.token",
    "channel_list.wecom.settings.bot_id",
    "channel_list.wecom.settings.secret",
    "gateway.host",
    "gateway.hot_reload",
    "gateway.log_level",
    "gateway.port",
    "heartbeat.enabled",
    "heartbeat.interval",
    "model_list.*.api_base",
    "model_list.*.api_keys",
    "model_list.*.enabled",
    "model_list.*.extra_body.model",
    "model_list.*.model",
    "model_list.*.model_name",
    "model_list.*.provider",
    "tools.mcp.enabled",
    "tools.mcp.servers.*.enabled",
    "tools.mcp.servers.*.type",
    "tools.mcp.servers.*.url",
    "version",
];

#[test]
fn picoclaw_knows_every_key() {
    knows("picoclaw", "claw/picoclaw/config.json", PICOCLAW);
}

#[test]
fn picoclaw_asks_for_the_model_that_was_written() {
    let mut unit = unit("picoclaw", true, 0, 1, false);
    let model = |provider: &str| ModelRef {
        provider: ProviderName::parse(provider).expect("a provider"),
        model: "a/b".to_owned(),
    };
    unit.models.insert(ModelSlot::parse("primary").expect("a slot"), vec![model("openrouter")]);
    unit.models.insert(ModelSlot::parse("fallback").expect("a slot"), vec![model("other")]);
    let config: Value = serde_json::from_str(&made(&unit, "claw/picoclaw/config.json").0).expect("JSON");
    // Its client takes `openrouter/` off, and puts `extra_body` over what is left.
    assert_eq!(config["model_list"][0]["extra_body"]["model"], "openrouter/a/b");
    assert_eq!(config["model_list"][1]["model"], "other/a/b");
    assert!(config["model_list"][1]["extra_body"].is_null());
    assert_eq!(config["agents"]["defaults"]["model_fallbacks"][0], config["model_list"][1]["model_name"]);
}
