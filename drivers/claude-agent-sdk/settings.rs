//! `CONFIGURE claude-agent-sdk config set KEY VALUE`: a few settings, judged here; the runner judges them again.

use claw_types::agent::{AgentUnit, Setting};
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::doc::Doc;

/// What a setting takes.
enum Kind {
    /// A list of tools; of MCP servers too, where it is so.
    Tools(bool),
    /// A whole number between two, both among them.
    Whole(i64, i64),
    /// True or false.
    Flag,
    /// One of these words.
    Word(&'static [&'static str]),
    /// `adaptive`, `disabled`, or a number of tokens.
    Thinking,
}

/// Every setting there is. `allowed_tools` takes the place of the default, which is all but two: `NotebookEdit`, and `WebSearch`,
/// which lets the provider look around in the agent's stead.
const SETTINGS: &[(&str, Kind)] = &[
    ("allowed_tools", Kind::Tools(false)),
    ("disallowed_tools", Kind::Tools(true)),
    ("effort", Kind::Word(&["low", "medium", "high", "xhigh", "max"])),
    ("max_output_tokens", Kind::Whole(256, 128_000)),
    ("max_parallel", Kind::Whole(1, 8)),
    ("max_turns", Kind::Whole(1, 1000)),
    ("memory", Kind::Flag),
    ("thinking", Kind::Thinking),
    ("turn_seconds", Kind::Whole(10, 3600)),
];

/// The SDK's built-in tools that make sense where nobody sits beside the agent.
const TOOLS: &[&str] =
    &["Agent", "Bash", "Edit", "Glob", "Grep", "NotebookEdit", "Read", "Skill", "WebFetch", "WebSearch", "Write"];

/// What people know from settings of Claude Code and options of the SDK, and how a pod says it.
const OWNED: &[(&str, &str)] = &[
    ("additionalDirectories", "write a surface `volume://NAME` or `host://PATH`"),
    ("allowedTools", "set `allowed_tools`"),
    ("apiKeyHelper", "provider keys are secrets: `environment:` or `cllama-env`"),
    ("agents", "write what they are to do into the contract or into a skill"),
    ("disallowedTools", "set `disallowed_tools`"),
    ("env", "write `environment:` in the pod"),
    ("fallbackModel", "write `MODEL fallback <provider>/<model>`"),
    ("hooks", "they are programs that nothing declares"),
    ("maxTurns", "set `max_turns`"),
    ("mcpServers", "write a surface `service://NAME` to a service with `claw.mcp`"),
    ("model", "write `MODEL primary <provider>/<model>`"),
    ("permissionMode", "nobody sits beside it to be asked: what `allowed_tools` names is allowed, and nothing else"),
    ("permissions", "set `allowed_tools` and `disallowed_tools`"),
    ("plugins", "what is installed is the image's"),
    ("sandbox", "the container is what holds it"),
    ("settingSources", "its settings are claw's to decide"),
    ("skills", "write `SKILL <file>`, or `skills:` in the pod"),
    ("systemPrompt", "write it into the contract: `AGENT <file>`"),
];

/// Records settings that there are not, or that do not take what they are given.
pub(super) fn check(unit: &AgentUnit, diag: &mut Diagnostics) {
    for setting in &unit.settings {
        if let Some(error) = refused(setting) {
            diag.push(error);
        }
    }
}

fn refused(setting: &Setting) -> Option<Diagnostic> {
    let path = setting.path.value.as_str();
    let error = |message: String| Diagnostic::error(Code::BadSetting, setting.path.span, message);
    let Some((_, kind)) = SETTINGS.iter().find(|(name, _)| *name == path) else {
        let top = path.split('.').next().unwrap_or(path);
        let owned = OWNED.iter().find(|(own, _)| *own == top);
        // What was written may be a secret all the same.
        return Some(match owned {
            Some((_, why)) => error(format!("`{path}` is claw's to decide")).help(*why).masked(),
            None => {
                let names = || SETTINGS.iter().map(|(name, _)| *name);
                let help = format!("it has `{}`", names().collect::<Vec<_>>().join("`, `"));
                let message = format!("the runtime `claude-agent-sdk` has no setting `{path}`");
                error(message).help(help).suggest(path, names()).masked()
            }
        });
    };
    let expected = misfit(kind, &setting.value)?;
    Some(error(format!("`{path}` cannot be that")).help(format!("it takes {expected}")))
}

/// Returns what a setting takes, where a value is none.
fn misfit(kind: &Kind, value: &Doc) -> Option<String> {
    let whole = |least: i64, most: i64| match value {
        Doc::Number(number) => number.parse::<i64>().is_ok_and(|number| (least..=most).contains(&number)),
        _ => false,
    };
    let is_word = |words: &[&str]| matches!(value, Doc::Str(text) if words.contains(&text.as_str()));
    let (fits, expected) = match kind {
        Kind::Tools(takes_servers) => {
            let is_tool = |item: &Doc| matches!(item, Doc::Str(text) if is_tool(text, *takes_servers));
            let more = if *takes_servers { ", and `mcp__<service>__<tool>`" } else { "" };
            let limited = "each with `(…)` behind it where it is limited, such as `Bash(git *)`";
            let expected = format!("a list of `{}`{more}, {limited}", TOOLS.join("`, `"));
            (matches!(value, Doc::List(items) if items.iter().all(is_tool)), expected)
        }
        Kind::Whole(least, most) => (whole(*least, *most), format!("a whole number from {least} to {most}")),
        Kind::Flag => (matches!(value, Doc::Bool(_)), "`true` or `false`".to_owned()),
        Kind::Word(words) => (is_word(words), format!("one of `{}`", words.join("`, `"))),
        Kind::Thinking => (
            is_word(&["adaptive", "disabled"]) || whole(1024, 128_000),
            "`adaptive`, `disabled`, or a budget of 1024 to 128000 tokens".to_owned(),
        ),
    };
    (!fits).then_some(expected)
}

/// Returns whether a text names a tool, perhaps with a limit: `Bash(git *)`.
fn is_tool(text: &str, takes_servers: bool) -> bool {
    let (name, limit) = match text.split_once('(') {
        Some((name, rest)) => (name, rest.strip_suffix(')')),
        None => (text, Some("x")),
    };
    let is_limit =
        limit.is_some_and(|limit| (1..=500).contains(&limit.chars().count()) && !limit.contains(['(', ')', '\n', ',']));
    let is_word = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'*'))
    };
    let is_server = || {
        let rest = name.strip_prefix("mcp__").filter(|rest| is_word(rest) && !text.contains('('));
        rest.is_some_and(|rest| !rest.split_once("__").map_or(rest, |(server, _)| server).contains('*'))
    };
    is_limit && (TOOLS.contains(&name) || (takes_servers && is_server()))
}

/// Returns the settings that are set, the later of two of one name.
pub(super) fn settings(unit: &AgentUnit) -> Doc {
    let settings = unit.settings.iter().map(|setting| (setting.path.value.clone(), setting.value.clone()));
    Doc::Map(settings.collect())
}

#[cfg(test)]
mod tests {
    use claw_types::span::{FileId, Span, Spanned};

    use super::*;

    fn judged(path: &str, value: Doc) -> String {
        let path = Spanned::new(path.to_owned(), Span::start_of(FileId(0)));
        refused(&Setting { path, value }).map_or_else(String::new, |error| error.message)
    }

    #[test]
    fn settings_are_judged_by_the_table() {
        let tools = |names: &[&str]| Doc::strs(names.iter().copied());
        for (path, value) in [
            ("allowed_tools", tools(&["Read", "Bash(git log *)"])),
            ("disallowed_tools", tools(&["WebFetch", "mcp__library__find", "mcp__library"])),
            ("effort", Doc::str("low")),
            ("max_turns", Doc::int(5)),
            ("memory", Doc::Bool(true)),
            ("thinking", Doc::int(4096)),
            ("thinking", Doc::str("disabled")),
        ] {
            assert_eq!(judged(path, value.clone()), "", "{path} {value:?}");
        }
        for (path, value) in [
            ("allowed_tools", tools(&["Reed"])),
            ("allowed_tools", tools(&["mcp__library__find"])),
            ("allowed_tools", tools(&["Bash(a),Write"])),
            ("allowed_tools", Doc::str("Read")),
            ("disallowed_tools", tools(&["mcp__*"])),
            ("effort", Doc::str("much")),
            ("max_turns", Doc::int(0)),
            ("max_turns", Doc::Number("1.5".into())),
            ("memory", Doc::str("yes")),
            ("thinking", Doc::int(10)),
        ] {
            assert_eq!(judged(path, value.clone()), format!("`{path}` cannot be that"), "{value:?}");
        }
        assert_eq!(judged("permissions.allow", Doc::Null), "`permissions.allow` is claw's to decide");
        assert_eq!(judged("max_turn", Doc::int(5)), "the runtime `claude-agent-sdk` has no setting `max_turn`");
    }
}
