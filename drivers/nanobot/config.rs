//! `config.json`: what the unit says in the words of nanobot's models.

use std::collections::BTreeMap;

use claw_types::agent::{AgentUnit, Inference, ModelRef, Surface, Upstream};
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::doc::Doc;
use claw_types::id::ProviderName;
use claw_types::provider::WireFormat;
use claw_types::secret::SecretRef;

use crate::common::unit::{self, PROXY};

use super::{PORT, WORKSPACE, channels};

/// The slots of models it has.
pub(super) const SLOTS: &[&str] = &["primary", "fallback", "dream"];

/// The one name whose provider speaks Anthropic's format.
const ANTHROPIC: &str = "anthropic";

/// Private addresses. Where its services are among them the compiler does not say here; the network is what holds it.
const PRIVATE: [&str; 3] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"];

/// Records models that it cannot have.
pub(super) fn check(unit: &AgentUnit, diag: &mut Diagnostics) {
    unit::primary(unit, diag);
    let Inference::Direct { upstreams } = &unit.inference else { return };
    let mut anthropic = Vec::new();
    for (provider, upstream) in upstreams {
        match upstream.format {
            WireFormat::OpenAi => {}
            WireFormat::Anthropic => anthropic.push(provider.as_str()),
            WireFormat::Responses => {
                let message = format!("nanobot does not speak `responses` to `{provider}`");
                let error = Diagnostic::error(Code::RuntimeCannot, unit.origin, message);
                diag.push(error.help("put a proxy of the pod before it (`cllama: passthrough`): that one speaks it"));
            }
        }
    }
    if anthropic.len() > 1 {
        let message =
            format!("nanobot has one provider of the format `anthropic`, and `{}` are two", anthropic.join("`, `"));
        let error = Diagnostic::error(Code::RuntimeCannot, unit.origin, message);
        diag.push(error.help("put a proxy of the pod before them (`cllama: passthrough`)"));
    }
}

/// Returns the whole configuration, without what `CONFIGURE` sets.
pub(super) fn config(unit: &AgentUnit) -> Doc {
    let off = || Doc::map([("enabled", Doc::Bool(false))]);
    let mut channels = channels::channels(unit);
    // Its page for browsers, which is on where nothing is said: a way in that nothing declares.
    channels.insert("websocket".to_owned(), off());
    let mut config = vec![
        ("agents", Doc::map([("defaults", defaults(unit))])),
        ("channels", Doc::Map(channels)),
        (
            "gateway",
            Doc::map([
                ("heartbeat", off()),
                ("host", Doc::str("127.0.0.1")),
                ("port", Doc::int(i64::from(PORT))),
                // A restart is the engine's.
                ("restartMode", Doc::str("exit")),
            ]),
        ),
        ("providers", Doc::Map(providers(unit))),
        ("tools", tools(unit)),
        ("transcription", off()),
    ];
    let dream = unit::of_slot(unit, "dream").next().map(|dream| [("dream", Doc::map(asked(unit, dream)))]);
    config.extend(dream.map(|presets| ("modelPresets", Doc::map(presets))));
    Doc::map(config)
}

/// Returns how the configuration names the secret of a file below `/run/secrets`.
pub(super) fn variable(file: &str) -> Doc {
    let name: String = file.chars().map(|each| if each.is_ascii_alphanumeric() { each } else { '_' }).collect();
    Doc::Str(format!("${{{name}}}"))
}

/// Returns a model and the name of its provider.
fn asked(unit: &AgentUnit, model: &ModelRef) -> [(&'static str, Doc); 2] {
    let (provider, model) = match &unit.inference {
        Inference::Proxied { .. } => (PROXY.to_owned(), model.to_string()),
        Inference::Direct { upstreams } => {
            let format = upstreams.get(&model.provider).map(|upstream| upstream.format);
            (private(&model.provider, format), model.model.clone())
        }
    };
    [("model", Doc::Str(model)), ("provider", Doc::Str(provider))]
}

fn private(provider: &ProviderName, format: Option<WireFormat>) -> String {
    // A name of one's own is always one of OpenAI's format.
    if format == Some(WireFormat::Anthropic) { ANTHROPIC.to_owned() } else { format!("claw-{provider}") }
}

fn defaults(unit: &AgentUnit) -> Doc {
    let fallbacks = unit::of_slot(unit, "fallback").map(|each| Doc::map(asked(unit, each)));
    let mut dream = vec![("enabled", Doc::Bool(false))];
    dream.extend(unit::of_slot(unit, "dream").next().map(|_| ("modelOverride", Doc::str("dream"))));
    let mut defaults = vec![
        ("dream", Doc::map(dream)),
        ("fallbackModels", Doc::List(fallbacks.collect())),
        // It would ask the model for a summary of every conversation that rests.
        ("idleCompactAfterMinutes", Doc::int(0)),
        ("timezone", Doc::Str(unit.timezone.clone().unwrap_or_else(|| "UTC".to_owned()))),
        ("workspace", Doc::str(WORKSPACE)),
    ];
    defaults.extend(unit::of_slot(unit, "primary").next().into_iter().flat_map(|primary| asked(unit, primary)));
    Doc::map(defaults)
}

/// Returns the providers: the pod's proxy alone, or each that a model is of.
fn providers(unit: &AgentUnit) -> BTreeMap<String, Doc> {
    let provider = |base_url: &str, key: Option<&SecretRef>| {
        // Without a key it asks nobody; a server that wants none takes any.
        let key = key.map_or_else(|| Doc::str("none"), |key| variable(&key.file_name()));
        Doc::map([("apiBase", Doc::str(base_url)), ("apiKey", key)])
    };
    match &unit.inference {
        Inference::Proxied { endpoint, token, .. } => [(PROXY.to_owned(), provider(endpoint, Some(token)))].into(),
        Inference::Direct { upstreams } => {
            let row = |(name, upstream): (&ProviderName, &Upstream)| {
                let base_url = match upstream.format {
                    // It adds `/v1/messages` itself.
                    WireFormat::Anthropic => upstream.base_url.trim_end_matches("/v1"),
                    WireFormat::OpenAi | WireFormat::Responses => &upstream.base_url,
                };
                (private(name, Some(upstream.format)), provider(base_url, upstream.key.as_ref()))
            };
            upstreams.iter().map(row).collect()
        }
    }
}

fn tools(unit: &AgentUnit) -> Doc {
    let mut tools = vec![
        // It would fetch a catalogue of programs, and install them.
        ("cliApps", Doc::map([("enable", Doc::Bool(false))])),
        // It would tell a third party every page that it reads.
        ("web", Doc::map([("fetch", Doc::map([("useJinaReader", Doc::Bool(false))]))])),
    ];
    let server = |url| Doc::map([("type", Doc::str("streamableHttp")), ("url", Doc::str(url))]);
    let servers: BTreeMap<String, Doc> = unit::servers(unit).map(|(service, url)| (service, server(url))).collect();
    if unit.surfaces.iter().any(|surface| matches!(surface, Surface::Service { .. })) {
        // Its tools refuse private addresses, and the services of a pod have no others.
        tools.push(("ssrfWhitelist", Doc::strs(PRIVATE)));
    }
    if !servers.is_empty() {
        tools.push(("mcpServers", Doc::Map(servers)));
    }
    Doc::map(tools)
}
