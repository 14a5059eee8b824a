//! `CONFIGURE openclaw config set PATH VALUE`: judged by openclaw's own schema, and by what is claw's to decide.

use std::sync::LazyLock;

use crate::common::schema::Schema;
use crate::common::settings::Rules;

/// Keys, types and bounds of `openclaw config schema` (2026.9.6 with its channel plugins), by `reduce_schema.py` beside it.
static SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema::parse(include_str!("schema.json")));

/// What is claw's to decide, and how a pod says it: with everything below it, and every map that holds it.
const OWNED: &[(&str, &str)] = &[
    ("accessGroups", PEOPLE),
    ("acp", WAY_IN),
    ("agents.defaults.bootstrapMaxChars", CONTRACT),
    ("agents.defaults.bootstrapTotalMaxChars", CONTRACT),
    ("agents.defaults.compaction.model", "write `MODEL <slot> <provider>/<model>`"),
    ("agents.defaults.contextInjection", CONTRACT),
    ("agents.defaults.contextLimits", CONTRACT),
    ("agents.defaults.cwd", "its directory is `/var/lib/openclaw/workspace`"),
    ("agents.defaults.decisionModel", "write `MODEL decision <provider>/<model>`"),
    ("agents.defaults.embeddedAgent", "write `MODEL <slot> <provider>/<model>`"),
    ("agents.defaults.heartbeat.model", "a heartbeat uses the primary model"),
    ("agents.defaults.imageModel", "write `MODEL image <provider>/<model>`"),
    ("agents.defaults.mediaModels", "write `MODEL <slot> <provider>/<model>`"),
    ("agents.defaults.model", "write `MODEL primary <provider>/<model>` and `MODEL fallback …`"),
    ("agents.defaults.modelPolicy", "write `model-policy` in the pod"),
    ("agents.defaults.models", "write `MODEL <slot> <provider>/<model>`"),
    ("agents.defaults.pdfModel", "write `MODEL pdf <provider>/<model>`"),
    ("agents.defaults.repoRoot", "its directory is `/var/lib/openclaw/workspace`"),
    ("agents.defaults.sandbox", "the container is what holds it"),
    ("agents.defaults.skills", CONTRACT),
    ("agents.defaults.skipBootstrap", CONTRACT),
    ("agents.defaults.skipOptionalBootstrapFiles", CONTRACT),
    ("agents.defaults.startupContext", CONTRACT),
    ("agents.defaults.subagents.model", "subagents use the primary model"),
    ("agents.defaults.utilityModel", "write `MODEL utility <provider>/<model>`"),
    ("agents.defaults.voiceModel", "write `MODEL voice <provider>/<model>`"),
    ("agents.defaults.workspace", "its directory is `/var/lib/openclaw/workspace`"),
    ("agents.entries", "the agent is called by its service, and mentioned by its `handles`"),
    ("approvals", PEOPLE),
    ("auth", "provider keys are secrets: `environment:` or `cllama-env`"),
    ("bindings", "an agent answers on the accounts of its `handles`"),
    ("broadcast", "an agent answers on the accounts of its `handles`"),
    ("cloudWorkers", WAY_IN),
    ("commands.allowFrom", PEOPLE),
    ("commands.ownerAllowFrom", PEOPLE),
    ("cron", "write `INVOKE`, or `invoke:` in the pod"),
    ("desktop", WAY_IN),
    ("diagnostics.otel", "an agent tells nobody"),
    ("discovery", "an agent is not announced"),
    ("env", "write `environment:` in the pod"),
    ("gateway", "its gateway listens on the container's loopback alone, with a token of claw's"),
    ("hooks", WAY_IN),
    ("messages.groupChat", PEOPLE),
    ("messages.inbound", PEOPLE),
    ("mcp", "write a surface `service://NAME` to a service with `claw.mcp`"),
    ("memory.search", "memory is searched with the agent's own models"),
    ("models", "write `MODEL <slot> <provider>/<model>`, and `x-claw.providers` for servers of one's own"),
    ("nodeHost", WAY_IN),
    ("plugins", "what is installed is the image's, and channels follow `handles`"),
    ("proxy", "write `CLLAMA`, or `egress`"),
    ("secrets", "write `x-claw.secrets` in the pod"),
    ("session", "each person has a session of their own on each platform"),
    ("skills", "write `SKILL <file>`, or `skills:` in the pod"),
    ("surfaces", WAY_IN),
    ("telemetry", "an agent tells nobody"),
    ("update", "the image is its version"),
];

const CONTRACT: &str = "the contract and the skills of an agent reach it whole";
const PEOPLE: &str = "who may speak to an agent stands in the pod: the surface of the channel";
const WAY_IN: &str = "it is a way in that nothing declares";

/// What of a channel is a matter of taste. Everything else of it is tokens, people and ways in.
const CHANNEL_SETTINGS: &[&str] = &[
    "ackReaction",
    "ackReactionScope",
    "actions",
    "activity",
    "activityType",
    "autoPresence",
    "dmHistoryLimit",
    "encryption",
    "errorPolicy",
    "heartbeatVisibility",
    "historyLimit",
    "joinIntro",
    "linkPreview",
    "markdown",
    "maxLinesPerMessage",
    "mediaMaxMb",
    "reactionLevel",
    "reactionNotifications",
    "renderMode",
    "replyInThread",
    "replyToMode",
    "responsePrefix",
    "richMessages",
    "sendReadReceipts",
    "silentErrorReplies",
    "status",
    "streaming",
    "suppressEmbeds",
    "textChunkLimit",
    "thread",
    "threadReplies",
    "typingIndicator",
    "typingReaction",
    "unfurlLinks",
    "unfurlMedia",
];

/// What can be set, with everything below it but what is claw's. A version of openclaw may bring keys that open something:
/// what is not here is closed.
const OPEN: &[&str] = &[
    "agents.defaults.blockStreamingBreak",
    "agents.defaults.blockStreamingChunk",
    "agents.defaults.blockStreamingCoalesce",
    "agents.defaults.blockStreamingDefault",
    "agents.defaults.compaction",
    "agents.defaults.contextPruning",
    "agents.defaults.fastModeDefault",
    "agents.defaults.heartbeat",
    "agents.defaults.humanDelay",
    "agents.defaults.imageMaxDimensionPx",
    "agents.defaults.imageQuality",
    "agents.defaults.maxConcurrent",
    "agents.defaults.mediaMaxMb",
    "agents.defaults.params",
    "agents.defaults.pdfMaxMb",
    "agents.defaults.pdfMaxPages",
    "agents.defaults.reasoningDefault",
    "agents.defaults.silentReply",
    "agents.defaults.thinkingDefault",
    "agents.defaults.timeoutSeconds",
    "agents.defaults.toolProgressDetail",
    "agents.defaults.typingIntervalSeconds",
    "agents.defaults.typingMode",
    "agents.defaults.verboseDefault",
    "attachments",
    "channels",
    "logging.consoleLevel",
    "logging.consoleStyle",
    "logging.level",
    "memory.citations",
    "messages.ackReaction",
    "messages.ackReactionScope",
    "messages.queue",
    "messages.responsePrefix",
    "messages.responseUsage",
    "messages.statusReactions",
    "messages.usageTemplate",
    "messages.visibleReplies",
    "tools.allow",
    "tools.deny",
    "tools.fs.workspaceOnly",
    "tools.loopDetection",
    "tools.profile",
    "ui",
];

/// Maps that claw writes keys into: setting one as a whole would take them away.
const WRITTEN: &[&str] = &["agents", "agents.defaults", "channels", "tools", "tools.exec"];

/// Returns why a path of a channel is claw's to decide.
fn channel(path: &str) -> Option<&'static str> {
    let mut parts = path.split('.');
    if parts.next() != Some("channels") {
        return None;
    }
    let (_, key) = (parts.next(), parts.next());
    let is_taste = key.is_some_and(|key| CHANNEL_SETTINGS.contains(&key));
    (!is_taste)
        .then_some("tokens, people and groups stand in the pod: `environment:`, `handles`, the surface of the channel")
}

/// Returns what can be set.
pub(super) fn rules() -> Rules<'static> {
    Rules {
        runtime: "openclaw",
        schema: &SCHEMA,
        listed: "`openclaw config schema`",
        owned: OWNED,
        owns: channel,
        open: OPEN,
        written: WRITTEN,
        example: "agents.defaults.timeoutSeconds",
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
    fn settings_are_judged_by_the_schema_and_by_what_is_claws() {
        assert_eq!(judged("agents.defaults.heartbeat.every", Doc::str("30m")), "");
        assert_eq!(judged("agents.defaults.timeoutSeconds", Doc::int(600)), "");
        assert_eq!(judged("channels.discord.historyLimit", Doc::int(20)), "");
        assert_eq!(
            judged("agents.defaults.hartbeat", Doc::str("x")),
            "openclaw has no key `hartbeat` below `agents.defaults`"
        );
        assert_eq!(judged("nothing", Doc::Null), "openclaw has no key `nothing`");
        let misfit = "`agents.defaults.timeoutSeconds` does not fit openclaw's schema";
        assert_eq!(judged("agents.defaults.timeoutSeconds", Doc::str("soon")), misfit);
        let misfit = "`agents.defaults.heartbeat.evry` does not fit openclaw's schema";
        assert_eq!(judged("agents.defaults.heartbeat", Doc::map([("evry", Doc::str("1m"))])), misfit);
        let own = [
            "gateway.bind",
            "gateway",
            "models.providers.x.apiKey",
            "channels.discord.token",
            "channels.slack",
            "channels.discord.guilds",
            "channels.discord.allowBots",
            "channels.telegram.apiRoot",
            "channels.modelByChannel.discord",
            "commands.ownerAllowFrom",
            "agents.defaults.heartbeat.model",
            "agents.defaults.bootstrapMaxChars",
            "agents.defaults.contextInjection",
            "channels.matrix.homeserver",
            "messages.groupChat.mentionPatterns",
            "session.dmScope",
            "skills.entries.x.apiKey",
            "agents.defaults",
            "agents.defaults.subagents.model",
            "browser.enabled",
            "commands.bash",
            "tools.elevated",
            "tools.exec.security",
            "tools.media.models",
            "tts.providers",
            "worktreeRoot",
        ];
        for path in own {
            let said = judged(path, Doc::str("x"));
            assert!(said.ends_with("is claw's to decide"), "{path}: {said}");
        }
        let told = |path: &str| format!("`{path}` would put a secret into the image and into a file that all can read");
        let path = "tools.web.search";
        assert_eq!(judged(path, Doc::map([("apiKey", Doc::str("x"))])), told(path));
        assert_eq!(judged("tools.web.search.apiKey", Doc::str("x")), told("tools.web.search.apiKey"));
        // A map is judged by what is in it.
        let heartbeat = |key| Doc::map([(key, Doc::str("x"))]);
        assert_eq!(judged("agents.defaults.heartbeat", heartbeat("every")), "");
        let said = "`agents.defaults.heartbeat` is claw's to decide";
        assert_eq!(judged("agents.defaults.heartbeat", heartbeat("model")), said);
    }
}
