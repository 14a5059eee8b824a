//! `CONFIGURE hermes config set PATH VALUE`: judged by the package's own defaults, and by what is claw's to decide.

use std::sync::LazyLock;

use crate::common::schema::Schema;
use crate::common::settings::Rules;

/// Keys and types of hermes-agent 0.19.0's `DEFAULT_CONFIG`, by `reduce_schema.py` beside it.
static SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema::parse(include_str!("schema.json")));

const MODELS: &str = "write `MODEL <slot> <provider>/<model>`";
const CONTRACT: &str = "the contract and the skills of an agent reach it whole";
const PEOPLE: &str = "who may speak to an agent stands in the pod: the surface of the channel";
const WAY_IN: &str = "it is a way in that nothing declares";
const HELD: &str = "the container is what holds it";
const OUTSIDE: &str = "an agent asks nobody outside by itself";

/// What is claw's to decide, and how a pod says it: with everything below it, and every map that holds it.
const OWNED: &[(&str, &str)] = &[
    ("approvals", HELD),
    ("auxiliary", MODELS),
    ("bedrock", MODELS),
    ("command_allowlist", HELD),
    ("context_file_max_chars", CONTRACT),
    ("credential_pool_strategies", MODELS),
    ("cron", "write `INVOKE`, or `invoke:` in the pod"),
    ("curator", OUTSIDE),
    ("dashboard", WAY_IN),
    ("delegation.api_key", MODELS),
    ("delegation.api_mode", MODELS),
    ("delegation.base_url", MODELS),
    ("delegation.model", "write `MODEL delegation <provider>/<model>`"),
    ("delegation.provider", "write `MODEL delegation <provider>/<model>`"),
    ("discord.allowed_channels", PEOPLE),
    ("discord.bots_require_inline_mention", PEOPLE),
    ("discord.dm_role_auth_guild", PEOPLE),
    ("discord.free_response_channels", PEOPLE),
    ("discord.require_mention", PEOPLE),
    ("discord.server_actions", WAY_IN),
    ("discord.thread_require_mention", PEOPLE),
    ("fallback_providers", "write `MODEL fallback <provider>/<model>`"),
    ("gateway", WAY_IN),
    ("hooks", WAY_IN),
    ("kanban", OUTSIDE),
    ("lsp", OUTSIDE),
    ("matrix", PEOPLE),
    ("mcp", "write a surface `service://NAME` to a service with `claw.mcp`"),
    ("moa", MODELS),
    ("model_catalog", OUTSIDE),
    ("onboarding", OUTSIDE),
    ("openrouter", MODELS),
    ("prefill_messages_file", CONTRACT),
    ("providers", "write `MODEL <slot> <provider>/<model>`, and `x-claw.providers` for servers of one's own"),
    ("quick_commands", WAY_IN),
    ("secrets", "write `x-claw.secrets` in the pod"),
    ("security", HELD),
    ("skills.external_dirs", "write `SKILL <file>`, or `skills:` in the pod"),
    ("skills.inline_shell", HELD),
    ("skills.inline_shell_timeout", HELD),
    ("slack.allowed_channels", PEOPLE),
    ("slack.free_response_channels", PEOPLE),
    ("slack.require_mention", PEOPLE),
    ("telegram.allowed_chats", PEOPLE),
    ("telegram.extra", PEOPLE),
    ("terminal.backend", HELD),
    ("terminal.cwd", "its directory is `/var/lib/hermes/workspace`"),
    ("timezone", "write `environment: {TZ: …}` in the pod"),
    ("updates", "the image is its version"),
    ("vertex", MODELS),
];

/// What can be set, with everything below it but what is claw's. A version of hermes may bring keys that open something:
/// what is not here is closed.
const OPEN: &[&str] = &[
    "agent",
    "checkpoints",
    "code_execution",
    "compression",
    "context.engine",
    "delegation",
    "discord.channel_prompts",
    "discord.history_backfill",
    "discord.history_backfill_limit",
    "discord.max_attachment_bytes",
    "discord.missed_message_backfill",
    "discord.reactions",
    "display",
    "file_read_max_chars",
    "goals",
    "human_delay",
    "logging",
    "max_concurrent_sessions",
    "max_live_sessions",
    "mcp_discovery_timeout",
    "memory.memory_char_limit",
    "memory.memory_enabled",
    "memory.user_char_limit",
    "memory.user_profile_enabled",
    "memory.write_approval",
    "model.context_length",
    "personalities",
    "platform_hints",
    "privacy",
    "prompt_caching",
    "sessions",
    "skills.guard_agent_created",
    "skills.template_vars",
    "skills.write_approval",
    "slack.channel_prompts",
    "streaming",
    "stt.enabled",
    "telegram.channel_prompts",
    "telegram.reactions",
    "terminal.daemon_term_grace_seconds",
    "terminal.persistent_shell",
    "terminal.timeout",
    "tool_loop_guardrails",
    "tool_output",
    "tools",
    "toolsets",
];

/// Maps that claw writes keys into: setting one as a whole would take them away.
const WRITTEN: &[&str] = &["delegation", "model", "skills", "terminal"];

/// What `CONFIGURE` can set of hermes.
pub(super) fn rules() -> Rules<'static> {
    Rules {
        runtime: "hermes",
        schema: &SCHEMA,
        listed: "`hermes config show`",
        owned: OWNED,
        owns: |_| None,
        open: OPEN,
        written: WRITTEN,
        example: "agent.max_turns",
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
    fn settings_are_judged_by_the_defaults_and_by_what_is_claws() {
        for (path, value) in [
            ("agent.max_turns", Doc::int(30)),
            ("agent.disabled_toolsets", Doc::strs(["browser"])),
            ("memory.memory_enabled", Doc::Bool(false)),
            ("model.context_length", Doc::int(128_000)),
            ("discord.reactions", Doc::Bool(false)),
        ] {
            assert_eq!(judged(path, value), "", "{path}");
        }
        assert_eq!(judged("agent.max_turn", Doc::int(1)), "hermes has no key `max_turn` below `agent`");
        assert_eq!(judged("nothing", Doc::Null), "hermes has no key `nothing`");
        assert_eq!(judged("agent.max_turns", Doc::str("many")), "`agent.max_turns` does not fit hermes's schema");
        for path in [
            "model",
            "terminal",
            "terminal.backend",
            "terminal.docker_volumes",
            "skills.external_dirs",
            "security.allow_lazy_installs",
            "discord.allowed_channels",
            "slack.require_mention",
            "auxiliary.vision.base_url",
            "delegation.base_url",
            "cron.provider",
            "gateway.api_server",
            "approvals.mode",
            "updates.refresh_cua_driver",
            "browser.cdp_url",
        ] {
            let said = judged(path, Doc::str("x"));
            assert_eq!(said, format!("`{path}` is claw's to decide"));
        }
    }
}
