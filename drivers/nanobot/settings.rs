//! `CONFIGURE nanobot config set PATH VALUE`: judged by nanobot's own models, and by what is claw's to decide.

use std::sync::LazyLock;

use crate::common::schema::Schema;
use crate::common::settings::Rules;

/// Keys, types and bounds of nanobot's models (0.3.5), by `reduce_schema.py` beside it.
static SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema::parse(include_str!("schema.json")));

const PEOPLE: &str = "who may speak to an agent stands in the pod: the surface of the channel";
const MODEL: &str = "write `MODEL <slot> <provider>/<model>`";
const WAY_IN: &str = "it is a way in that nothing declares";

/// What is claw's to decide, and how a pod says it: with everything below it, and every map that holds it.
const OWNED: &[(&str, &str)] = &[
    ("agents.defaults.disabledSkills", "the skills of an agent reach it whole"),
    ("agents.defaults.dream.modelOverride", "write `MODEL dream <provider>/<model>`"),
    ("agents.defaults.fallbackModels", "write `MODEL fallback <provider>/<model>`"),
    ("agents.defaults.model", MODEL),
    ("agents.defaults.modelPreset", MODEL),
    ("agents.defaults.provider", MODEL),
    ("agents.defaults.timezone", "write `timezone:` in the pod"),
    ("agents.defaults.timezoneMode", "write `timezone:` in the pod"),
    ("agents.defaults.unifiedSession", "each person has a session of their own on each platform"),
    ("agents.defaults.workspace", "its directory is `/var/lib/nanobot/workspace`"),
    ("api", WAY_IN),
    ("channels.websocket", WAY_IN),
    ("gateway.host", "its gateway listens on the container's loopback alone"),
    ("gateway.port", "its gateway listens on the container's loopback alone"),
    ("gateway.restartMode", "a restart is the engine's"),
    ("modelPresets", MODEL),
    ("providers", "write `MODEL <slot> <provider>/<model>`, and `x-claw.providers` for servers of one's own"),
    ("tools.cliApps", "what is installed is the image's"),
    ("tools.exec.sandbox", "the container is what holds it"),
    ("tools.mcpServers", "write a surface `service://NAME` to a service with `claw.mcp`"),
    ("tools.ssrfWhitelist", "write a surface `service://NAME`, or `egress`"),
    ("transcription", "it needs a provider and a key of its own"),
];

/// What of a channel is a matter of taste. Everything else of it is tokens, people and ways in.
const CHANNEL_SETTINGS: &[&str] = &[
    "ackMessage",
    "contextMessageBudget",
    "doneEmoji",
    "groupUserIsolation",
    "includeThreadContext",
    "inlineKeyboards",
    "maxMediaBytes",
    "msgFormat",
    "reactEmoji",
    "readReceiptEmoji",
    "replyInThread",
    "replyToMessage",
    "richMessages",
    "sendProgress",
    "sendToolHints",
    "streamEditInterval",
    "streaming",
    "threadContextLimit",
    "toolHintPrefix",
    "topicIsolation",
    "welcomeMessage",
    "workingEmoji",
    "workingEmojiDelay",
];

/// What can be set, with everything below it but what is claw's.
const OPEN: &[&str] = &[
    "agents.defaults.botIcon",
    "agents.defaults.botName",
    "agents.defaults.contextWindowTokens",
    "agents.defaults.dream",
    "agents.defaults.idleCompactAfterMinutes",
    "agents.defaults.idleCompactCheckIntervalSeconds",
    "agents.defaults.maxConcurrentSubagents",
    "agents.defaults.maxTokens",
    "agents.defaults.maxToolIterations",
    "agents.defaults.maxToolResultChars",
    "agents.defaults.providerRetryMode",
    "agents.defaults.reasoningEffort",
    "agents.defaults.temperature",
    "agents.defaults.toolHintMaxLength",
    "channels",
    "gateway.heartbeat",
    "tools.exec.denyPatterns",
    "tools.exec.enable",
    "tools.exec.timeout",
    "tools.file.enable",
    "tools.maxSessionMessagesPerMinute",
    "tools.restrictToWorkspace",
    "tools.web.enable",
    "tools.web.search.maxResults",
    "tools.web.search.timeout",
];

/// Maps that claw writes keys into: setting one as a whole would take them away.
const WRITTEN: &[&str] = &[
    "agents",
    "agents.defaults",
    "agents.defaults.dream",
    "channels",
    "gateway",
    "tools",
    "tools.web",
    "tools.web.fetch",
];

/// What of all channels is a matter of taste.
const ALL_CHANNELS: &[&str] = &["sendMaxRetries", "sendProgress", "sendToolHints", "showReasoning"];

/// Returns why a path of a channel is claw's to decide.
fn channel(path: &str) -> Option<&'static str> {
    let rest = path.strip_prefix("channels.")?;
    let is_taste = match rest.split_once('.') {
        None => ALL_CHANNELS.contains(&rest),
        Some((_, key)) => CHANNEL_SETTINGS.contains(&key),
    };
    (!is_taste).then_some(PEOPLE)
}

/// Returns what can be set.
pub(super) fn rules() -> Rules<'static> {
    Rules {
        runtime: "nanobot",
        schema: &SCHEMA,
        listed: "`nanobot/config/schema.py`",
        owned: OWNED,
        owns: channel,
        open: OPEN,
        written: WRITTEN,
        example: "agents.defaults.maxTokens",
    }
}

#[cfg(test)]
mod tests {
    use claw_types::agent::Setting;
    use claw_types::doc::Doc;
    use claw_types::span::{FileId, Span, Spanned};

    use super::*;

    fn judged(path: &str, value: Doc) -> String {
        let path = Spanned::new(path.to_owned(), Span::start_of(FileId(0)));
        rules().refused(&Setting { path, value }).map_or_else(String::new, |error| error.message)
    }

    #[test]
    fn settings_are_judged_by_the_models_and_by_what_is_claws() {
        for (path, value) in [
            ("agents.defaults.maxTokens", Doc::int(4096)),
            ("agents.defaults.dream.enabled", Doc::Bool(true)),
            ("agents.defaults.idleCompactAfterMinutes", Doc::int(15)),
            ("gateway.heartbeat.enabled", Doc::Bool(true)),
            ("channels.sendProgress", Doc::Bool(false)),
            ("channels.discord.streaming", Doc::Bool(false)),
            ("tools.exec.enable", Doc::Bool(false)),
        ] {
            assert_eq!(judged(path, value), "", "{path}");
        }
        assert_eq!(
            judged("agents.defaults.maxTokens", Doc::str("many")),
            "`agents.defaults.maxTokens` does not fit nanobot's schema"
        );
        assert_eq!(
            judged("agents.defaults.max_tokens", Doc::int(1)),
            "nanobot has no key `max_tokens` below `agents.defaults`"
        );
        assert_eq!(
            judged("channels.discord.guildId", Doc::str("1")),
            "nanobot has no key `guildId` below `channels.discord`"
        );
        for path in [
            "agents.defaults.model",
            "agents.defaults",
            "agents.defaults.dream",
            "api.host",
            "channels.discord.allowFrom",
            "channels.discord.token",
            "channels.slack",
            "channels.telegram.webhookUrl",
            "channels.websocket.enabled",
            "gateway.host",
            "providers.openai.apiBase",
            "tools.exec.allowedEnvKeys",
            "tools.my",
            "tools.ssrfWhitelist",
            "tools.web.search.apiKey",
            "transcription.enabled",
        ] {
            let said = judged(path, Doc::str("x"));
            assert!(said.ends_with("is claw's to decide") || said.contains("would put a secret"), "{path}: {said}");
        }
    }
}
