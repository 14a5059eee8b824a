//! What drivers of runtimes that cannot be run here write, judged by tables of the keys those runtimes know.

use claw_types::agent::{AgentUnit, ChannelPolicy, DirectPolicy, EnvValue, GuildPolicy, Hears, ModelRef};
use claw_types::diag::{Diagnostics, Severity};
use claw_types::id::{EnvName, ModelSlot, ProviderName};
use claw_types::platform::Platform;
use serde_json::Value;

use crate::{everything, everything_proxied, unit};

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
    let all = [everything(runtime), everything_proxied(runtime)];
    for unit in [unit(runtime, false, 0, 1, false), unit(runtime, true, 0, 1, true)].into_iter().chain(all) {
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

/// The keys of 2026.2.26 (`config_types.zig`); another one is ignored in silence.
const NULLCLAW: &[&str] = &[
    "agents.defaults.model.primary",
    "autonomy.level",
    "autonomy.workspace_only",
    "channels.cli",
    "channels.discord.accounts.main.allow_bots",
    "channels.discord.accounts.main.allow_from",
    "channels.discord.accounts.main.guild_id",
    "channels.discord.accounts.main.require_mention",
    "channels.discord.accounts.main.token",
    "channels.matrix.accounts.main.access_token",
    "channels.matrix.accounts.main.allow_from",
    "channels.matrix.accounts.main.group_allow_from",
    "channels.matrix.accounts.main.group_policy",
    "channels.matrix.accounts.main.homeserver",
    "channels.matrix.accounts.main.room_id",
    "channels.matrix.accounts.main.user_id",
    "channels.slack.accounts.main.allow_from",
    "channels.slack.accounts.main.app_token",
    "channels.slack.accounts.main.bot_token",
    "channels.slack.accounts.main.channel_id",
    "channels.slack.accounts.main.dm_policy",
    "channels.slack.accounts.main.group_policy",
    "channels.slack.accounts.main.mode",
    "channels.telegram.accounts.main.allow_from",
    "channels.telegram.accounts.main.bot_token",
    "channels.telegram.accounts.main.group_allow_from",
    "channels.telegram.accounts.main.group_policy",
    "channels.telegram.accounts.main.require_mention",
    "gateway.host",
    "gateway.port",
    "gateway.require_pairing",
    "heartbeat.enabled",
    "models.providers.*.api_key",
    "models.providers.*.base_url",
    "reliability.model_fallbacks.*.fallbacks",
    "reliability.model_fallbacks.*.model",
];

#[test]
fn nullclaw_knows_every_key_and_no_provider_of_a_known_name() {
    knows("nullclaw", "claw/nullclaw/config.json", NULLCLAW);
    for is_proxied in [false, true] {
        let unit = unit("nullclaw", is_proxied, 0, 1, false);
        let config: Value = serde_json::from_str(&made(&unit, "claw/nullclaw/config.json").0).expect("JSON");
        let names: Vec<&String> = config["models"]["providers"].as_object().expect("a map").keys().collect();
        assert!(names == ["cllama"] || names == ["claw-demo"], "{names:?}: the address of a known name is not read");
        assert!(config["reliability"]["fallback_providers"].is_null());
    }
}

/// The keys of 0.5.0 (`microclaw.config.example.yaml`, `src/config.rs`, `src/channels`); another one is warned of at the top, and not
/// below `channels`, where a list that is misspelt would be open.
const MICROCLAW: &[&str] = &[
    "api_key",
    "channels.discord.allowed_channels",
    "channels.discord.bot_token",
    "channels.discord.bot_username",
    "channels.discord.enabled",
    "channels.discord.no_mention",
    "channels.feishu.allowed_chats",
    "channels.feishu.app_id",
    "channels.feishu.app_secret",
    "channels.feishu.connection_mode",
    "channels.feishu.enabled",
    "channels.matrix.access_token",
    "channels.matrix.allowed_room_ids",
    "channels.matrix.allowed_user_ids",
    "channels.matrix.bot_user_id",
    "channels.matrix.enabled",
    "channels.matrix.homeserver_url",
    "channels.matrix.mention_required",
    "channels.slack.allowed_channels",
    "channels.slack.app_token",
    "channels.slack.bot_token",
    "channels.slack.bot_username",
    "channels.slack.enabled",
    "channels.telegram.allowed_groups",
    "channels.telegram.allowed_user_ids",
    "channels.telegram.bot_token",
    "channels.telegram.bot_username",
    "channels.telegram.enabled",
    "channels.web.enabled",
    "context_dir",
    "context_max_chars",
    "data_dir",
    "fallback_model",
    "high_risk_tool_user_confirmation_required",
    "llm_base_url",
    "llm_provider",
    "model",
    "skill_archive_after_days",
    "skills_dir",
    "timezone",
    "web_auth_token",
    "web_enabled",
    "web_host",
    "web_port",
    "working_dir",
    "working_dir_isolation",
];

#[test]
fn microclaw_knows_every_key_and_has_no_password_that_everybody_knows() {
    knows("microclaw", "claw/microclaw/config.yaml", MICROCLAW);
    let config: Value =
        serde_json::from_str(&made(&everything("microclaw"), "claw/microclaw/config.yaml").0).expect("JSON");
    assert_eq!(config["web_auth_token"], "<secret token MICROCLAW_WEB_TOKEN of bot>");
    assert_eq!(config["web_host"], "127.0.0.1");
}

#[test]
fn microclaw_is_given_numbers_for_people_of_telegram() {
    let telegram = Platform::parse("telegram").expect("a platform");
    let with = |people: &[&str]| {
        let mut unit = everything("microclaw");
        let people = people.iter().map(|id| (*id).to_owned()).collect();
        unit.channels.get_mut(&telegram).expect("a policy").direct = DirectPolicy::Only(people);
        errors(&unit)
    };
    assert_eq!(with(&["167037070"]), [""; 0]);
    let told = with(&["167037070", "@alice"]);
    assert!(told.len() == 1 && told[0].contains("cannot hear `@alice` directly"), "{told:?}");
}

#[test]
fn microclaw_is_given_a_list_of_places_or_no_account() {
    let mut unit = heard("microclaw", Hears::Everyone, DirectPolicy::Disabled);
    // A guild without channels would be all of them.
    assert_eq!(errors(&unit).len(), 1);
    let discord = Platform::parse("discord").expect("a platform");
    let policy = unit.channels.get_mut(&discord).expect("a policy");
    for guild in policy.guilds.values_mut() {
        guild.channels.push(claw_types::roster::Channel { id: "77".to_owned(), name: None });
    }
    assert_eq!(errors(&unit), Vec::<String>::new());
    let config: Value = serde_json::from_str(&made(&unit, "claw/microclaw/config.yaml").0).expect("JSON");
    assert_eq!(config["channels"]["discord"]["allowed_channels"], serde_json::json!([77]));
    assert_eq!(config["channels"]["discord"]["no_mention"], false);
}

#[test]
fn variables_that_a_runtime_takes_over_its_configuration_are_refused() {
    for (runtime, name) in [
        ("hermes", "GATEWAY_ALLOW_ALL_USERS"),
        ("hermes", "TELEGRAM_GROUP_ALLOWED_CHATS"),
        ("hermes", "DISCORD_THREAD_REQUIRE_MENTION"),
        ("microclaw", "MICROCLAW_CONFIG"),
        ("nullclaw", "NULLCLAW_PROVIDER"),
        ("picoclaw", "PICOCLAW_CONFIG"),
        ("zeroclaw", "ZEROCLAW_providers__models__custom__cllama__uri"),
    ] {
        let mut unit = everything_proxied(runtime);
        let before = errors(&unit);
        unit.env.insert(EnvName::parse(name).expect("a name"), EnvValue::Literal("x".to_owned()));
        let found: Vec<String> = errors(&unit).into_iter().filter(|each| !before.contains(each)).collect();
        assert_eq!(found, [format!("`{name}` of `bot` would change what claw has `{runtime}` do")]);
    }
    let mut unit = everything_proxied("hermes");
    let before = errors(&unit);
    unit.env.insert(EnvName::parse("DISCORD_HOME_CHANNEL").expect("a name"), EnvValue::Literal("1".to_owned()));
    assert_eq!(errors(&unit), before);
}
