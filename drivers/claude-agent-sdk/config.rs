//! `agent.json`: what the unit says in the words of the runner, which knows every key of it.

use std::collections::BTreeMap;

use claw_types::agent::{AgentUnit, EnvValue, Inference, ModelRef, Surface};
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::doc::Doc;
use claw_types::persona::PERSONA_DIRECTORY;
use claw_types::provider::WireFormat;
use claw_types::secret::SecretRef;

use crate::common::unit;

use super::{PORT, ROOT, STATE, WORK, settings};

/// The slots of models it has: the model it works with, those it goes on to, the one for what is small and must be fast (a
/// web page in a few words), and the one of the agents it starts itself.
pub(super) const SLOTS: &[&str] = &["primary", "fallback", "fast", "subagent"];

/// Beginnings of variables that the SDK reads its endpoint, its key and its powers from: the runner hands none of them on.
const OWNED: &[&str] = &["ANTHROPIC_", "CLAUDE_", "DISABLE_", "OTEL_"];

/// Records what cannot be said to the SDK: it has one endpoint, which speaks Anthropic's messages.
pub(super) fn check(unit: &AgentUnit, diag: &mut Diagnostics) {
    unit::primary(unit, diag);
    let error = |message: String, help: &str, diag: &mut Diagnostics| {
        diag.push(Diagnostic::error(Code::RuntimeCannot, unit.origin, message).help(help));
    };
    // What its runner takes for the name of a model; the proxy's names have the provider before.
    let is_name = |model: &&ModelRef| {
        let is_word = !model.model.contains(|each: char| each == ',' || each.is_whitespace() || each == '\u{feff}');
        is_word && model.to_string().chars().count() <= 256
    };
    for model in unit.models.values().flatten().filter(|model| !is_name(model)) {
        let help =
            "it takes no `,`, no space and no more than 256 characters: take another name for it at the provider";
        error(format!("the runtime `claude-agent-sdk` cannot name the model `{model}`"), help, diag);
    }
    if let Inference::Direct { upstreams } = &unit.inference {
        if upstreams.len() > 1 {
            let names: Vec<String> = upstreams.keys().map(|name| format!("`{name}`")).collect();
            let message =
                format!("the runtime `claude-agent-sdk` asks one provider, and the models are of {}", names.join(", "));
            error(message, "take models of one provider, or put a proxy between: `cllama: passthrough`", diag);
        }
        for (provider, upstream) in upstreams {
            if upstream.format != WireFormat::Anthropic {
                let format = upstream.format.name();
                let message = format!("the runtime `claude-agent-sdk` does not speak `{format}` to `{provider}`");
                let help = "it speaks `anthropic` alone: take a provider with `format: anthropic`, or put a proxy between: \
                            `cllama: passthrough`";
                error(message, help, diag);
            } else if base(&upstream.base_url).is_none() {
                let message = format!("the runtime `claude-agent-sdk` cannot ask `{}`", upstream.base_url);
                error(message, "it asks `<server>/v1/messages`: end the `base_url` of the provider in `/v1`", diag);
            }
        }
    }
    let is_key = |value: &EnvValue| match (&unit.inference, value) {
        (Inference::Direct { upstreams }, EnvValue::Secret(secret)) => {
            upstreams.values().any(|upstream| upstream.key.as_ref() == Some(secret))
        }
        _ => false,
    };
    let is_owned = |name: &str| OWNED.iter().any(|own| name.starts_with(own));
    for (name, _) in unit.env.iter().filter(|(name, value)| is_owned(name.as_ref()) && !is_key(value)) {
        let message = format!("`{name}` of `{}` does not reach the Claude Agent SDK", unit.service);
        let warning = Diagnostic::warning(Code::RuntimeCannot, unit.origin, message);
        diag.push(warning.help(
            "what it asks, with which key and with which powers stands in the pod: `models`, `providers`, `CONFIGURE`",
        ));
    }
}

/// Returns a base URL as the SDK takes it: it puts `/v1/messages` behind. Nothing where the URL does not end in `/v1`.
fn base(url: &str) -> Option<&str> {
    url.trim_end_matches('/').strip_suffix("/v1")
}

/// Returns the whole configuration.
pub(super) fn config(unit: &AgentUnit) -> Doc {
    let schedules = unit.schedules.iter().map(|schedule| {
        Doc::map([
            ("cron", Doc::str(&schedule.cron)),
            ("id", Doc::str(&schedule.id)),
            ("message", Doc::str(&schedule.message)),
        ])
    });
    Doc::map([
        ("agent", Doc::str(unit.id.as_str())),
        ("directories", Doc::strs(directories(unit))),
        ("endpoint", endpoint(unit)),
        ("mcp_servers", Doc::Map(servers(unit))),
        ("models", models(unit)),
        ("pod", Doc::str(unit.pod.as_str())),
        ("port", Doc::int(i64::from(PORT))),
        ("root", Doc::str(ROOT)),
        ("schedules", Doc::List(schedules.collect())),
        ("schema", Doc::int(1)),
        ("service", Doc::str(unit.service.as_str())),
        ("settings", settings::settings(unit)),
        ("state", Doc::str(STATE)),
        ("timezone", unit.timezone.clone().map_or(Doc::Null, Doc::Str)),
        ("work", Doc::str(WORK)),
    ])
}

/// The places beside its own that it reads, and writes where it may: its letter, its persona, the pod's volumes, paths of the
/// host.
fn directories(unit: &AgentUnit) -> Vec<String> {
    let surfaces = unit.surfaces.iter().filter_map(|surface| match surface {
        Surface::Volume { mount, .. } => Some(mount.to_string()),
        Surface::Host { path, .. } => Some(path.to_string()),
        _ => None,
    });
    let persona = unit.persona.as_ref().map(|_| PERSONA_DIRECTORY.to_owned());
    std::iter::once("/claw".to_owned()).chain(persona).chain(surfaces).collect()
}

fn endpoint(unit: &AgentUnit) -> Doc {
    let (url, key): (&str, Option<&SecretRef>) = match &unit.inference {
        Inference::Proxied { endpoint, token, .. } => (endpoint, Some(token)),
        Inference::Direct { upstreams } => {
            upstreams.values().next().map_or(("", None), |upstream| (&upstream.base_url, upstream.key.as_ref()))
        }
    };
    Doc::map([
        ("base_url", Doc::str(base(url).unwrap_or(url))),
        ("key_file", key.map_or(Doc::Null, |key| Doc::Str(key.delivered_path()))),
    ])
}

fn models(unit: &AgentUnit) -> Doc {
    let name = |model: &ModelRef| match &unit.inference {
        Inference::Proxied { .. } => Doc::Str(model.to_string()),
        Inference::Direct { .. } => Doc::str(&model.model),
    };
    let one = |slot: &str| unit::of_slot(unit, slot).next().map_or(Doc::Null, name);
    Doc::map([
        ("fallback", Doc::List(unit::of_slot(unit, "fallback").map(name).collect())),
        ("fast", one("fast")),
        ("primary", one("primary")),
        ("subagent", one("subagent")),
    ])
}

/// Returns the MCP servers by the names that their tools get: `mcp__<name>__<tool>`.
fn servers(unit: &AgentUnit) -> BTreeMap<String, Doc> {
    let mut servers = BTreeMap::new();
    for surface in &unit.surfaces {
        let Surface::Service { service, mcp: Some(url), .. } = surface else { continue };
        let mut name: String = service
            .as_str()
            .chars()
            .map(|each| if each.is_ascii_alphanumeric() || each == '-' { each } else { '_' })
            .collect();
        while servers.contains_key(&name) {
            name.push('_');
        }
        servers.insert(name, Doc::str(url));
    }
    servers
}
