//! `openclaw.json`: what the unit says in the words of openclaw's schema.

use std::collections::BTreeMap;

use claw_types::agent::{AgentUnit, Inference, ModelRef};
use claw_types::doc::Doc;
use claw_types::provider::WireFormat;
use claw_types::secret::SecretRef;

use crate::common::unit::{self, PROXY};

use super::{PERSONA, PORT, WORKSPACE, channels, gateway_token};

/// The slots of models it has.
pub(super) const SLOTS: &[&str] = &["primary", "fallback", "decision", "image", "pdf", "utility", "voice"];

/// Slots beside the first two, and the key below `agents.defaults` that each is.
const OTHERS: &[(&str, &str)] = &[
    ("decision", "decisionModel"),
    ("image", "imageModel"),
    ("pdf", "pdfModel"),
    ("utility", "utilityModel"),
    ("voice", "voiceModel"),
];

/// The most characters of the contract that are read: more than a contract can have.
const CONTRACT_CHARACTERS: i64 = 64 * 1024 * 1024;

/// Returns the whole configuration, without what `CONFIGURE` sets.
pub(super) fn config(unit: &AgentUnit) -> Doc {
    let off = || Doc::map([("enabled", Doc::Bool(false))]);
    let mut secrets = Files::default();
    let token = gateway_token(unit).map_or(Doc::Null, |token| secrets.add(&token));
    let providers = providers(unit, &mut secrets);
    let channels = channels::channels(unit, &mut secrets);
    let plugins = channels::plugins(unit);
    let mut config = vec![
        ("agents", Doc::map([("defaults", defaults(unit)), ("entries", entries(unit))])),
        ("discovery", Doc::map([("mdns", Doc::map([("mode", Doc::str("off"))]))])),
        (
            "gateway",
            Doc::map([
                ("auth", Doc::map([("mode", Doc::str("token")), ("token", token)])),
                ("bind", Doc::str("loopback")),
                ("controlUi", off()),
                ("mode", Doc::str("local")),
                ("port", Doc::int(i64::from(PORT))),
                ("reload", Doc::map([("mode", Doc::str("off"))])),
                ("terminal", off()),
            ]),
        ),
        (
            "models",
            Doc::map([("catalogRefresh", off()), ("mode", Doc::str("replace")), ("providers", Doc::Map(providers))]),
        ),
        ("session", Doc::map([("dmScope", Doc::str("per-channel-peer"))])),
        (
            "skills",
            Doc::map([
                ("load", Doc::map([("extraDirs", Doc::strs(["/claw/skills"]))])),
                // A weekly review of skills would ask the model by itself.
                ("workshop", Doc::map([("autonomous", Doc::map([("mode", Doc::str("off"))]))])),
            ]),
        ),
        ("telemetry", off()),
        // The container is what holds it; nobody sits beside it to be asked.
        ("tools", Doc::map([("exec", Doc::map([("ask", Doc::str("off")), ("security", Doc::str("full"))]))])),
        ("update", Doc::map([("auto", off()), ("checkOnStart", Doc::Bool(false))])),
    ];
    let mut more = |key: &'static str, entries: BTreeMap<String, Doc>, wrap: fn(Doc) -> Doc| {
        if !entries.is_empty() {
            config.push((key, wrap(Doc::Map(entries))));
        }
    };
    more("hooks", hooks(unit), |hooks| Doc::map([("internal", hooks)]));
    more("channels", channels, |channels| channels);
    more("mcp", servers(unit), |servers| Doc::map([("servers", servers)]));
    more("plugins", plugins, |entries| Doc::map([("entries", entries)]));
    more("secrets", secrets.providers, |providers| Doc::map([("providers", providers)]));
    Doc::map(config)
}

/// Files of a persona that it reads at the start of a session. Its contract is another's to write, so `AGENTS.md` is none of them.
const PERSONA_FILES: [&str; 3] = ["IDENTITY.md", "SOUL.md", "USER.md"];

/// Returns what has it read its persona: by itself it reads such files beside its contract alone.
fn hooks(unit: &AgentUnit) -> BTreeMap<String, Doc> {
    if unit.persona.is_none() {
        return BTreeMap::new();
    }
    let paths = PERSONA_FILES.iter().map(|file| Doc::Str(format!("{PERSONA}/{file}"))).collect();
    let extra = Doc::map([("enabled", Doc::Bool(true)), ("paths", Doc::List(paths))]);
    let entries = Doc::map([("bootstrap-extra-files", extra)]);
    [("enabled".to_owned(), Doc::Bool(true)), ("entries".to_owned(), entries)].into()
}

/// The files that secrets are read from: openclaw's "secret providers", one for each file.
#[derive(Default)]
pub(super) struct Files {
    providers: BTreeMap<String, Doc>,
}

impl Files {
    /// Returns how the configuration names a secret.
    pub(super) fn add(&mut self, secret: &SecretRef) -> Doc {
        self.add_file(&secret.file_name())
    }

    /// Returns how the configuration names the secret of a file below `/run/secrets`.
    pub(super) fn add_file(&mut self, file: &str) -> Doc {
        let provider = Doc::map([
            ("mode", Doc::str("singleValue")),
            ("path", Doc::Str(format!("/run/secrets/{file}"))),
            ("source", Doc::str("file")),
        ]);
        let name = provider_name(file);
        // Names of files tell capital letters apart, and those of providers have none.
        let others = (2..).map(|number: u32| format!("{name}-{number}"));
        let is_free = |name: &String| self.providers.get(name).is_none_or(|own| *own == provider);
        let name = std::iter::once(name.clone()).chain(others).find(is_free).unwrap_or(name);
        self.providers.insert(name.clone(), provider);
        Doc::map([("id", Doc::str("value")), ("provider", Doc::Str(name)), ("source", Doc::str("file"))])
    }
}

/// The most characters of a provider's name are 64; a number may follow.
const NAME_CHARACTERS: usize = 56;

/// Returns a file's name as one of openclaw's for providers: a small letter, then small letters, digits and `-`.
fn provider_name(file: &str) -> String {
    let known = |each: char| if each.is_ascii_alphanumeric() { each.to_ascii_lowercase() } else { '-' };
    let begin = if file.starts_with(|first: char| first.is_ascii_alphabetic()) { "" } else { "file" };
    begin.chars().chain(file.chars().map(known)).take(NAME_CHARACTERS).collect()
}

/// Returns the name a model has in the configuration: its provider's private name, then the model as it is.
fn model(unit: &AgentUnit, model: &ModelRef) -> String {
    match &unit.inference {
        Inference::Proxied { .. } => format!("{PROXY}/{model}"),
        Inference::Direct { .. } => format!("{}/{}", private(model.provider.as_str()), model.model),
    }
}

fn private(provider: &str) -> String {
    format!("claw-{provider}")
}

fn defaults(unit: &AgentUnit) -> Doc {
    let fallbacks: Vec<Doc> = unit::of_slot(unit, "fallback").map(|each| Doc::Str(model(unit, each))).collect();
    let mut main = vec![("fallbacks", Doc::List(fallbacks))];
    main.extend(unit::of_slot(unit, "primary").next().map(|primary| ("primary", Doc::Str(model(unit, primary)))));
    let mut defaults = vec![
        // A contract is read whole: what is longer than the default of 20,000 characters would be cut off in silence.
        ("bootstrapMaxChars", Doc::int(CONTRACT_CHARACTERS)),
        ("bootstrapTotalMaxChars", Doc::int(CONTRACT_CHARACTERS)),
        ("heartbeat", Doc::map([("every", Doc::str("0m"))])),
        ("model", Doc::map(main)),
        ("skipBootstrap", Doc::Bool(true)),
        ("workspace", Doc::str(WORKSPACE)),
    ];
    for (slot, key) in OTHERS {
        defaults.extend(unit::of_slot(unit, slot).next().map(|each| (*key, Doc::Str(model(unit, each)))));
    }
    defaults.extend(unit.timezone.clone().map(|timezone| ("userTimezone", Doc::Str(timezone))));
    Doc::map(defaults)
}

fn entries(unit: &AgentUnit) -> Doc {
    let patterns = channels::mention_patterns(unit);
    let main = Doc::map([
        ("groupChat", Doc::map([("mentionPatterns", Doc::strs(patterns))])),
        ("name", Doc::str(unit.id.as_str())),
    ]);
    Doc::map([("main", main)])
}

/// Returns the providers: the pod's proxy alone, or each that a model is of.
fn providers(unit: &AgentUnit, secrets: &mut Files) -> BTreeMap<String, Doc> {
    let names = |is_of: &dyn Fn(&ModelRef) -> bool, shown: &dyn Fn(&ModelRef) -> String| {
        let mut names: Vec<String> = unit.models.values().flatten().filter(|each| is_of(each)).map(shown).collect();
        names.sort();
        names.dedup();
        Doc::List(names.into_iter().map(|name| Doc::map([("id", Doc::str(&name)), ("name", Doc::Str(name))])).collect())
    };
    match &unit.inference {
        Inference::Proxied { endpoint, token, .. } => {
            let models = names(&|_| true, &ToString::to_string);
            let proxy = provider(WireFormat::OpenAi, endpoint, Some(secrets.add(token)), models);
            [(PROXY.to_owned(), proxy)].into()
        }
        Inference::Direct { upstreams } => {
            let row = |(name, upstream): (&claw_types::id::ProviderName, &claw_types::agent::Upstream)| {
                let models = names(&|each| each.provider == *name, &|each| each.model.clone());
                let key = upstream.key.as_ref().map(|key| secrets.add(key));
                (private(name.as_str()), provider(upstream.format, &upstream.base_url, key, models))
            };
            upstreams.iter().map(row).collect()
        }
    }
}

fn provider(format: WireFormat, base_url: &str, key: Option<Doc>, models: Doc) -> Doc {
    let (api, base_url) = match format {
        WireFormat::OpenAi => ("openai-completions", base_url),
        WireFormat::Responses => ("openai-responses", base_url),
        // It adds `/v1/messages` itself.
        WireFormat::Anthropic => ("anthropic-messages", base_url.trim_end_matches("/v1")),
    };
    let mut provider = vec![("api", Doc::str(api)), ("baseUrl", Doc::str(base_url)), ("models", models)];
    // Without a key openclaw asks nobody; a server that wants none takes any.
    provider.push(("apiKey", key.unwrap_or_else(|| Doc::str("none"))));
    Doc::map(provider)
}

/// Returns the MCP servers that the services of its surfaces are.
fn servers(unit: &AgentUnit) -> BTreeMap<String, Doc> {
    let server = |url| Doc::map([("transport", Doc::str("streamable-http")), ("url", Doc::str(url))]);
    unit::servers(unit).map(|(service, url)| (service, server(url))).collect()
}
