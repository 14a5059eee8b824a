//! `config.toml`: what the unit says in version 3 of zeroclaw's configuration. Secrets are variables, named after their keys.

use std::collections::BTreeMap;

use claw_types::agent::{AgentUnit, EnvValue, Inference, ModelRef};
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::doc::Doc;
use claw_types::id::EnvName;
use claw_types::provider::WireFormat;
use claw_types::secret::SecretRef;

use super::{PORT, channels};
use crate::common::{table::Takes, unit};

/// The slots of models it has.
pub(super) const SLOTS: &[&str] = &["primary", "fallback", "classifier", "summary"];

/// Slots beside the first two, and the key of the agent that each is.
const OTHERS: &[(&str, &str)] = &[("classifier", "classifier_provider"), ("summary", "summary_provider")];

/// The bundle that holds the agent's skills, and the one that holds its MCP servers.
pub(super) const BUNDLE: &str = "claw";

/// Tokens that a model reads at once; where it is not told, zeroclaw takes 32,000.
const CONTEXT: Takes = Takes::Whole(1_000, 10_000_000);

/// Where its tools do not go: what it says itself, and where secrets are.
const FORBIDDEN: [&str; 19] = [
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/home",
    "/lib",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/sys",
    "/tmp",
    "/usr",
    "/var",
    "~/.aws",
    "~/.config",
    "~/.gnupg",
    "~/.ssh",
];

/// What `CONFIGURE` sets.
pub(super) const SETTINGS: &[(&str, Takes)] = &[
    ("agents.main.memory.backend", Takes::Word(&["sqlite", "markdown", "none"])),
    ("heartbeat.enabled", Takes::Flag),
    ("heartbeat.interval_minutes", Takes::Whole(5, 100_000)),
    ("providers.models.anthropic.claw_primary.context_window", CONTEXT),
    ("providers.models.custom.claw_primary.context_window", CONTEXT),
    ("providers.models.custom.claw_primary.native_tools", Takes::Flag),
    ("providers.models.custom.cllama.context_window", CONTEXT),
    ("providers.models.custom.cllama.native_tools", Takes::Flag),
    ("risk_profiles.claw.allowed_commands", Takes::Texts),
    ("risk_profiles.claw.allowed_tools", Takes::Texts),
    ("risk_profiles.claw.block_high_risk_commands", Takes::Flag),
    ("risk_profiles.claw.excluded_tools", Takes::Texts),
    ("risk_profiles.claw.level", Takes::Word(&["readonly", "supervised", "full"])),
    ("runtime_profiles.claw.max_actions_per_hour", Takes::Whole(1, 1_000_000)),
    ("runtime_profiles.claw.max_history_messages", Takes::Whole(1, 100_000)),
    ("runtime_profiles.claw.max_tool_iterations", Takes::Whole(1, 1_000)),
    ("runtime_profiles.claw.parallel_tools", Takes::Flag),
    ("runtime_profiles.claw.shell_timeout_secs", Takes::Whole(1, 86_400)),
    ("scheduler.catch_up_on_startup", Takes::Flag),
    ("scheduler.max_concurrent", Takes::Whole(1, 1_000)),
    ("skills.prompt_injection_mode", Takes::Word(&["full", "compact"])),
];

/// Returns the provider of the primary model, as a path of the configuration.
pub(super) fn provider(unit: &AgentUnit) -> Option<&'static str> {
    let primary = unit::of_slot(unit, "primary").next()?;
    match &unit.inference {
        Inference::Proxied { .. } => Some("providers.models.custom.cllama."),
        Inference::Direct { upstreams } => match upstreams.get(&primary.provider)?.format {
            WireFormat::Anthropic => Some("providers.models.anthropic.claw_primary."),
            WireFormat::OpenAi | WireFormat::Responses => Some("providers.models.custom.claw_primary."),
        },
    }
}

/// Variables of the runtime.
pub(super) type Env = BTreeMap<EnvName, EnvValue>;

/// Adds the variable that sets a key to a secret: `ZEROCLAW_`, then its path with `__` between the parts.
pub(super) fn variable(env: &mut Env, path: &[&str], secret: SecretRef) {
    if let Ok(name) = EnvName::parse(&format!("ZEROCLAW_{}", path.join("__"))) {
        env.insert(name, EnvValue::Secret(secret));
    }
}

/// Returns the whole configuration, without what `CONFIGURE` sets.
pub(super) fn config(unit: &AgentUnit, env: &mut Env) -> Doc {
    let off = || Doc::map([("enabled", Doc::Bool(false))]);
    let on = Doc::Bool(true);
    let models = models(unit, env);
    let (spoken, groups) = channels::channels(unit, env);
    let (jobs, servers) = (jobs(unit), servers(unit));
    let mut agent = vec![
        ("channels", Doc::strs(spoken.keys().map(|name| format!("{name}.{}", channels::ALIAS)))),
        ("cron_jobs", Doc::strs(jobs.keys())),
        ("enabled", on.clone()),
        ("risk_profile", Doc::str(BUNDLE)),
        ("runtime_profile", Doc::str(BUNDLE)),
    ];
    agent.extend(models.roles.iter().map(|(key, model)| (*key, Doc::str(model))));
    let mut config = vec![
        (
            "gateway",
            Doc::map([
                ("allow_public_bind", Doc::Bool(false)),
                ("check_updates", Doc::Bool(false)),
                ("host", Doc::str("127.0.0.1")),
                ("port", Doc::int(i64::from(PORT))),
                ("require_pairing", on.clone()),
            ]),
        ),
        ("heartbeat", off()),
        // Its default wants a provider of embeddings beside words, and warns at each start that there is none.
        ("memory", Doc::map([("search_mode", Doc::str("bm25"))])),
        ("providers", Doc::map([("models", models.providers)])),
        // The container is what holds it; nobody sits beside it to be asked.
        (
            "risk_profiles",
            Doc::map([(
                BUNDLE,
                Doc::map([
                    ("forbidden_paths", Doc::strs(FORBIDDEN)),
                    ("level", Doc::str("full")),
                    ("workspace_only", on.clone()),
                ]),
            )]),
        ),
        ("runtime_profiles", Doc::map([(BUNDLE, Doc::map([("agentic", on.clone())]))])),
        ("schema_version", Doc::int(3)),
        // What its own migration would add: the tools that a new file of its own leaves out.
        ("tools", Doc::map([("optional", Doc::strs(["*"]))])),
    ];
    if !unit.skills.is_empty() {
        agent.push(("skill_bundles", Doc::strs([BUNDLE])));
        config.push(("skill_bundles", Doc::map([(BUNDLE, Doc::map::<String>([]))])));
    }
    if !servers.is_empty() {
        agent.push(("mcp_bundles", Doc::strs([BUNDLE])));
        let names = Doc::strs(unit::servers(unit).map(|(name, _)| name));
        config.push(("mcp_bundles", Doc::map([(BUNDLE, Doc::map([("servers", names)]))])));
        config.push(("mcp", Doc::map([("enabled", on), ("servers", Doc::List(servers))])));
    }
    let spoken = spoken.into_iter().map(|(name, keys)| (name, Doc::map([(channels::ALIAS, keys)]))).collect();
    for (key, entries) in [("channels", spoken), ("cron", jobs), ("peer_groups", groups)] {
        if !entries.is_empty() {
            config.push((key, Doc::Map(entries)));
        }
    }
    config.push(("agents", Doc::map([("main", Doc::map(agent))])));
    Doc::map(config)
}

/// The providers, and which of them does what for the agent.
struct Models {
    providers: Doc,
    roles: Vec<(&'static str, String)>,
}

/// Returns a provider for each model, with an address and a key of its own: nothing else of zeroclaw claims either.
fn models(unit: &AgentUnit, env: &mut Env) -> Models {
    let mut families: BTreeMap<String, BTreeMap<String, Doc>> = BTreeMap::new();
    let mut add = |alias: &str, model: &ModelRef, more: Vec<(&'static str, Doc)>| {
        let (base, format, key, id) = match &unit.inference {
            Inference::Proxied { endpoint, token, .. } => {
                (endpoint.clone(), WireFormat::OpenAi, Some(token), model.to_string())
            }
            Inference::Direct { upstreams } => {
                let upstream = upstreams.get(&model.provider)?;
                (upstream.base_url.clone(), upstream.format, upstream.key.as_ref(), model.model.clone())
            }
        };
        let (family, base) = match format {
            // It adds `/v1/messages` itself.
            WireFormat::Anthropic => ("anthropic", base.trim_end_matches("/v1").to_owned()),
            WireFormat::OpenAi | WireFormat::Responses => ("custom", base),
        };
        if let Some(key) = key {
            variable(env, &["providers", "models", family, alias, "api_key"], key.clone());
        }
        // Else it describes its tools in its prompt and reads calls out of text, where no proxy sees either.
        let native = (family == "custom").then_some(("native_tools", Doc::Bool(true)));
        let keys = [("model", Doc::Str(id)), ("uri", Doc::Str(base))].into_iter().chain(native).chain(more);
        families.entry(family.to_owned()).or_default().insert(alias.to_owned(), Doc::map(keys));
        Some(format!("{family}.{alias}"))
    };
    let mut roles = Vec::new();
    let fallbacks: Vec<&ModelRef> = unit::of_slot(unit, "fallback").collect();
    let more = match &unit.inference {
        // One address serves them all, so a fallback is only another name.
        Inference::Proxied { .. } if !fallbacks.is_empty() => {
            vec![("fallback_models", Doc::strs(fallbacks.iter().map(ToString::to_string)))]
        }
        Inference::Direct { .. } if !fallbacks.is_empty() => {
            let names = fallbacks.iter().enumerate();
            let names = names.filter_map(|(at, model)| add(&format!("claw_fallback_{}", at + 1), model, Vec::new()));
            vec![("fallback", Doc::strs(names.collect::<Vec<_>>()))]
        }
        _ => Vec::new(),
    };
    let alias = if matches!(unit.inference, Inference::Proxied { .. }) { unit::PROXY } else { "claw_primary" };
    if let Some(name) = unit::of_slot(unit, "primary").next().and_then(|model| add(alias, model, more)) {
        roles.push(("model_provider", name));
    }
    for (slot, key) in OTHERS {
        let named = unit::of_slot(unit, slot).next().and_then(|model| add(&format!("claw_{slot}"), model, Vec::new()));
        roles.extend(named.map(|name| (*key, name)));
    }
    let providers = families.into_iter().map(|(family, aliases)| (family, Doc::Map(aliases))).collect();
    Models { providers: Doc::Map(providers), roles }
}

/// Returns the jobs by their names: what is not in the configuration any more is taken out of its database when it starts.
fn jobs(unit: &AgentUnit) -> BTreeMap<String, Doc> {
    let zone = unit.timezone.clone().unwrap_or_else(|| "UTC".to_owned());
    let jobs = unit.schedules.iter().map(|schedule| {
        let when = Doc::map([("expr", Doc::str(&schedule.cron)), ("kind", Doc::str("cron")), ("tz", Doc::str(&zone))]);
        let mut keys = vec![
            ("enabled", Doc::Bool(true)),
            ("job_type", Doc::str("agent")),
            ("name", Doc::str(&schedule.id)),
            ("prompt", Doc::str(&schedule.message)),
            ("schedule", when),
        ];
        let target = schedule.target.as_ref().filter(|target| channels::PLATFORMS.contains(&target.platform.name()));
        keys.extend(target.map(|target| {
            let delivery = Doc::map([
                ("channel", Doc::Str(format!("{}.{}", target.platform, channels::ALIAS))),
                ("mode", Doc::str("announce")),
                ("to", Doc::str(&target.channel)),
            ]);
            ("delivery", delivery)
        }));
        (alias(&schedule.id), Doc::map(keys))
    });
    jobs.collect()
}

/// Records schedules whose names become one: the later would take the place of the earlier.
pub(super) fn check(unit: &AgentUnit, diag: &mut Diagnostics) {
    let mut names: BTreeMap<String, &str> = BTreeMap::new();
    for schedule in &unit.schedules {
        if let Some(other) = names.insert(alias(&schedule.id), &schedule.id) {
            let message = format!("the schedules `{other}` and `{}` are one name in zeroclaw", schedule.id);
            let error = Diagnostic::error(Code::NameCollision, unit.origin, message);
            diag.push(error.help("rename one of the two: it knows letters in lower case, digits and `_`"));
        }
    }
}

/// Returns a name as an alias may be: lower case, digits and `_`.
fn alias(name: &str) -> String {
    let each = |each: char| if each.is_ascii_alphanumeric() { each.to_ascii_lowercase() } else { '_' };
    name.chars().map(each).collect()
}

fn servers(unit: &AgentUnit) -> Vec<Doc> {
    let server = |(name, url): (String, &str)| {
        Doc::map([("name", Doc::Str(name)), ("transport", Doc::str("http")), ("url", Doc::str(url))])
    };
    unit::servers(unit).map(server).collect()
}
