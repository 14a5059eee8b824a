//! The pod's governance proxies: which there are, which follow each other, over which providers they go and with whose keys.

use std::collections::{BTreeMap, BTreeSet};

use claw_types::agent::{Budget, Inference, ToolScope, Upstream};
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::id::{EnvName, ProviderName, ProxyType, ServiceName, UnitId};
use claw_types::image::ImageRef;
use claw_types::path::PodPath;
use claw_types::provider::{self, WireFormat};
use claw_types::secret::{MASTER_TOKEN, SecretRef};
use claw_types::span::{Span, Spanned};

use super::{Agent, Shared, inference, limits, secret};
use crate::facts::{Context, Facts, FileFact, Need};
use crate::pod::{AgentBlock, PodBlock};

/// The type that claw has itself.
pub(crate) const BUILT_IN: &str = "passthrough";

/// The variable of the host's port for operators.
pub(crate) const UI_PORT: &str = "CLLAMA_UI_PORT";

/// A governance proxy of the pod.
#[derive(Clone, Debug)]
pub struct ProxySpec {
    /// Its image, where it is not claw's own.
    pub image: Option<ImageRef>,
    /// The one that follows it; the last has the keys.
    pub next: Option<ProxyType>,
    /// The agents that go through it.
    pub agents: BTreeSet<ServiceName>,
    /// The providers it goes over.
    pub gateways: BTreeMap<ProviderName, Gateway>,
    /// Where it is named first.
    pub origin: Span,
}

/// A provider as a proxy reaches it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Base URL without trailing slash.
    pub base_url: String,
    /// What it speaks.
    pub format: WireFormat,
    /// Its keys by the names they go by, in the order they are tried.
    pub keys: Vec<(String, SecretRef)>,
    /// The service of this pod it is, if it is one.
    pub service: Option<ServiceName>,
}

/// What an agent brings to its proxies.
#[derive(Clone, Debug)]
pub(crate) struct Proxied {
    pub(crate) image: Option<Spanned<String>>,
    pub(crate) gateways: BTreeMap<ProviderName, Gateway>,
    pub(crate) at: Span,
}

/// What holds for the pod as a whole.
#[derive(Clone, Debug, Default)]
pub struct Governance {
    /// Limits of the pod's spending.
    pub budgets: Vec<Budget>,
    /// The table of prices in place of claw's own.
    pub prices: Option<String>,
    /// The service that judges.
    pub policy: Option<PolicyService>,
    /// Calls pass where the ledger cannot be written.
    pub allows_unwritten: bool,
    /// The service that may look at the operators' side.
    pub master: Option<String>,
    /// The port of the host for operators; the engine's choice where none is named.
    pub ui_port: Option<u16>,
}

/// A service that judges what agents ask and are answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyService {
    /// Where it is.
    pub url: String,
    /// Its token.
    pub key: Option<SecretRef>,
    /// How long it may take, in milliseconds.
    pub timeout_ms: u64,
    /// Calls pass where it does not answer.
    pub is_open: bool,
    /// The service of this pod it is, if it is one.
    pub service: Option<ServiceName>,
}

/// Returns what must be known for the pod's proxies.
pub(crate) fn needs(block: &PodBlock) -> BTreeSet<Need> {
    let prices = block.prices.as_deref().and_then(|path| PodPath::parse(path).ok()).map(Need::File);
    prices.into_iter().collect()
}

/// A key of `cllama-env`.
pub(crate) struct ProxyKey {
    /// The variable that holds the value.
    pub(crate) variable: String,
    pub(crate) is_set: bool,
    pub(crate) at: Span,
}

/// Returns the keys of a provider that an agent's proxies have, the first its own, then those of its pool.
pub(crate) fn keys_of(
    name: &str,
    keys: &BTreeMap<String, ProxyKey>,
    shared: &Shared<'_>,
    facts: &Facts,
    diag: &mut Diagnostics,
) -> Vec<(String, SecretRef)> {
    let mut found = Vec::new();
    let Some(own) = provider::known(name).and_then(|known| known.key) else { return found };
    let mut pool: Vec<(&String, &ProxyKey)> = keys.iter().filter(|(key, _)| provider::is_of_pool(key, own)).collect();
    pool.sort_by_key(|(key, _)| (key.len(), (*key).clone()));
    for (key, each) in pool.into_iter().filter(|(_, each)| each.is_set) {
        let reference = secret::reference(&each.variable, shared.sources, each.at, facts, diag);
        found.extend(reference.map(|reference| (key.clone(), reference)));
    }
    // One that stands in the environment of claw itself serves, as it does for an agent without a proxy.
    if found.is_empty() && facts.set.get(own).copied().unwrap_or(false) {
        found.extend(EnvName::parse(own).ok().map(|name| (own.to_owned(), SecretRef::Env(name))));
    }
    found
}

/// Returns a provider as a proxy reaches it.
pub(crate) fn gateway(upstream: Upstream, keys: Vec<(String, SecretRef)>) -> Gateway {
    let own = upstream.key.map(|key| (key.file_name(), key));
    let keys = if keys.is_empty() { own.into_iter().collect() } else { keys };
    Gateway { base_url: upstream.base_url, format: upstream.format, keys, service: upstream.service }
}

/// Returns the proxies of a pod's agents.
pub(crate) fn proxies(agents: &BTreeMap<ServiceName, Agent>, diag: &mut Diagnostics) -> BTreeMap<ProxyType, ProxySpec> {
    let mut proxies: BTreeMap<ProxyType, ProxySpec> = BTreeMap::new();
    for (service, agent) in agents {
        let (Inference::Proxied { chain, .. }, Some(proxied)) = (&agent.unit.inference, &agent.proxied) else {
            continue;
        };
        for (index, kind) in chain.iter().enumerate() {
            let next = chain.get(index + 1).cloned();
            let is_twice = chain.iter().skip(index + 1).any(|other| other == kind);
            let spec = proxies.entry(kind.clone()).or_insert_with(|| ProxySpec {
                image: None,
                next: next.clone(),
                agents: BTreeSet::new(),
                gateways: BTreeMap::new(),
                origin: proxied.at,
            });
            if spec.next != next || is_twice {
                let after =
                    |next: &Option<ProxyType>| next.as_ref().map_or("nothing".to_owned(), |next| format!("`{next}`"));
                let message = match is_twice {
                    true => format!("the proxy `{kind}` stands twice in the chain of `{service}`"),
                    false => {
                        format!("after the proxy `{kind}` comes {} here, and {} there", after(&next), after(&spec.next))
                    }
                };
                let error = Diagnostic::error(Code::ConflictingKeys, proxied.at, message);
                diag.push(
                    error
                        .note_at(spec.origin, "there")
                        .help("a proxy is one service of the pod: let every chain go on alike"),
                );
            }
            spec.agents.insert(service.clone());
            if next.is_none() {
                for (name, gateway) in &proxied.gateways {
                    add(spec, name, gateway);
                }
            }
            if kind.as_str() != BUILT_IN {
                image(kind, spec, proxied, diag);
            }
        }
        if let Some(image) = proxied.image.as_ref().filter(|_| chain.iter().all(|kind| kind.as_str() == BUILT_IN)) {
            let message = format!("`{BUILT_IN}` is claw's own, and runs from no other image");
            let error = Diagnostic::error(Code::BadValue, image.span, message);
            diag.push(error.help("take `image` out, or give the proxy a type of its own"));
        }
    }
    proxies
}

/// Keys are collected from all agents of the pod, each once.
fn add(spec: &mut ProxySpec, name: &ProviderName, gateway: &Gateway) {
    let known = spec.gateways.entry(name.clone()).or_insert_with(|| Gateway { keys: Vec::new(), ..gateway.clone() });
    for (id, key) in &gateway.keys {
        if known.keys.iter().any(|(_, other)| other == key) {
            continue;
        }
        let is_taken = |id: &str| known.keys.iter().any(|(other, _)| other == id);
        let mut free = id.clone();
        let mut number = 1;
        while is_taken(&free) {
            number += 1;
            free = format!("{id}_{number}");
        }
        known.keys.push((free, key.clone()));
    }
}

fn image(kind: &ProxyType, spec: &mut ProxySpec, proxied: &Proxied, diag: &mut Diagnostics) {
    match (&proxied.image, &spec.image) {
        (Some(image), None) => spec.image = Some(ImageRef::new(image.value.as_str())),
        (Some(image), Some(known)) if image.value != known.as_str() => {
            let message = format!("the proxy `{kind}` has the image `{}` here, and `{known}` there", image.value);
            let error = Diagnostic::error(Code::ConflictingKeys, image.span, message);
            diag.push(error.note_at(spec.origin, "there").help("a proxy is one service of the pod: name one image"));
        }
        (Some(_), Some(_)) => {}
        (None, Some(_)) => {}
        (None, None) => {
            let error = Diagnostic::error(Code::UnknownProxy, proxied.at, format!("claw has no proxy `{kind}`"));
            let help =
                format!("write `{BUILT_IN}`, or name an image of your own: `cllama: {{type: {kind}, image: …}}`");
            diag.push(error.help(help).suggest(kind.as_str(), [BUILT_IN]));
        }
    }
}

/// Returns which tools an agent's models are told of.
pub(crate) fn tools(block: &AgentBlock) -> Option<ToolScope> {
    let tools = block.tools.as_ref()?;
    let names = |texts: &crate::pod::Texts| texts.0.iter().map(|text| text.value.clone()).collect();
    Some(ToolScope { allow: tools.allow.as_ref().map(names), deny: names(&tools.deny) })
}

/// Returns what holds for the pod as a whole.
pub(crate) fn governance(
    shared: &Shared<'_>,
    has_proxies: bool,
    at: Span,
    facts: &Facts,
    cx: &Context<'_>,
    diag: &mut Diagnostics,
) -> Governance {
    let block = shared.block;
    let place = |key: &str| block.origin.of(key, at);
    for key in ["pod-budget", "prices", "policy", "ledger-failure"].iter().filter(|key| block.origin.fields.has(key)) {
        if !has_proxies {
            let message = format!("`{key}` is for the pod's proxy, and no agent has one");
            let warning = Diagnostic::warning(Code::Discouraged, place(key), message);
            diag.push(warning.help("add `cllama: passthrough` to the agents"));
        }
    }
    let allows_unwritten = match block.ledger_failure.as_deref() {
        None | Some("deny") => false,
        Some("allow") => true,
        Some(other) => {
            let error =
                Diagnostic::error(Code::BadValue, place("ledger-failure"), format!("`{other}` is no way to fail"));
            diag.push(error.help("write `deny` or `allow`"));
            false
        }
    };
    let ui_port = facts.variables.get(UI_PORT).and_then(Option::as_deref).filter(|text| !text.is_empty());
    let ui_port = ui_port.and_then(|text| {
        let port = text.parse::<u16>().ok();
        if port.is_none() {
            let error = Diagnostic::error(Code::BadValue, at, format!("`{UI_PORT}` is `{text}`, which is no port"));
            diag.push(error.help("set it to a number from 1 to 65535, or to nothing: the engine then chooses one"));
        }
        port.filter(|port| *port > 0)
    });
    Governance {
        budgets: limits::pod_budgets(block, at, diag),
        prices: prices(block, at, facts, cx, diag),
        policy: policy(shared, at, facts, diag),
        allows_unwritten,
        master: block.master.clone(),
        ui_port,
    }
}

fn prices(block: &PodBlock, at: Span, facts: &Facts, cx: &Context<'_>, diag: &mut Diagnostics) -> Option<String> {
    let written = block.prices.as_deref()?;
    let at = block.origin.of("prices", at);
    let found = PodPath::parse(written).ok().and_then(|path| facts.files.get(&path));
    let text = match found {
        Some(FileFact::Text(id)) => cx.sources.get(*id).map(|source| source.text.clone()),
        _ => None,
    };
    let is_table = |text: &String| {
        let parsed: Option<serde_json::Value> = serde_json::from_str(text).ok();
        let is_row =
            |row: &serde_json::Value| row["provider"].is_string() && row["model"].is_string() && are_counts(row);
        parsed.is_some_and(|table| {
            let rows = table["models"].as_array().is_some_and(|rows| rows.iter().all(is_row));
            table["schema"] == "claw.prices.v1"
                && table["source"].is_string()
                && table["as_of"].as_str().is_some_and(is_day)
                && rows
        })
    };
    let Some(text) = text.filter(is_table) else {
        let message = format!("`{written}` is no table of prices inside the pod's directory");
        let error = Diagnostic::error(Code::UnusableFile, at, message);
        diag.push(error.help("`claw cllama prices` prints the one claw has: change what is to be changed"));
        return None;
    };
    Some(text)
}

/// Returns whether every number of a row is a whole one: prices are pico-dollars.
fn are_counts(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Number(number) => number.is_u64(),
        serde_json::Value::Array(items) => items.iter().all(are_counts),
        serde_json::Value::Object(entries) => entries.values().all(are_counts),
        _ => true,
    }
}

/// Returns whether a text is a day, such as 2026-11-20.
fn is_day(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts.as_slice() else { return false };
    let number = |text: &str, length: usize| text.parse::<u32>().ok().filter(|_| text.len() == length);
    let (Some(year), Some(month), Some(day)) = (number(year, 4), number(month, 2), number(day, 2)) else {
        return false;
    };
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1..=days).contains(&day)
}

fn policy(shared: &Shared<'_>, at: Span, facts: &Facts, diag: &mut Diagnostics) -> Option<PolicyService> {
    let block = shared.block.policy.as_ref()?;
    let at = block.origin.place(at);
    let url = block.url.as_deref().map(|url| url.trim_end_matches('/')).filter(|url| inference::is_url(url));
    let Some(url) = url else {
        let error =
            Diagnostic::error(Code::BadValue, block.origin.of("url", at), "the policy service has no usable `url`");
        diag.push(error.help("write an address such as `http://policy:9000`"));
        return None;
    };
    let key = block.key.as_ref().and_then(|key| match inference::key_of(&key.0) {
        Some((variable, _)) => secret::reference(&variable, shared.sources, block.origin.of("key", at), facts, diag),
        None => {
            let error = Diagnostic::error(
                Code::SecretInEnvironment,
                block.origin.of("key", at),
                "the policy service's key must be a variable",
            );
            diag.push(error.help("write `key: ${NAME}` and put the value into `.env`").masked());
            None
        }
    });
    let timeout_ms = block.timeout_ms.unwrap_or(1000);
    let is_time = (1..=60_000).contains(&timeout_ms);
    if !is_time {
        let error = Diagnostic::error(
            Code::BadValue,
            block.origin.of("timeout-ms", at),
            format!("`{timeout_ms}` ms is no time to wait"),
        );
        diag.push(error.help("write 1 to 60000"));
    }
    let is_open = match block.failure.as_deref() {
        None | Some("closed") => false,
        Some("open") => true,
        Some(other) => {
            let error = Diagnostic::error(
                Code::BadValue,
                block.origin.of("failure", at),
                format!("`{other}` is no way to fail"),
            );
            diag.push(error.help("write `closed` or `open`"));
            false
        }
    };
    let service = inference::service_of(url, shared);
    Some(PolicyService {
        url: url.to_owned(),
        key,
        timeout_ms: u64::try_from(timeout_ms).unwrap_or(1000),
        is_open,
        service,
    })
}

/// Gives an agent that is the pod's master what it needs to look at the operators' side.
pub(crate) fn master(
    agents: &mut BTreeMap<ServiceName, Agent>,
    proxies: &BTreeMap<ProxyType, ProxySpec>,
    block: &PodBlock,
) {
    let Some(agent) = block.master.as_deref().and_then(|master| ServiceName::parse(master).ok()) else { return };
    let Some(agent) = agents.get_mut(&agent) else { return };
    for (name, value) in master_variables(proxies) {
        if let Ok(name) = EnvName::parse(name) {
            agent.unit.env.insert(name, value);
        }
    }
}

/// Returns the variables of a pod's master.
pub(crate) fn master_variables(
    proxies: &BTreeMap<ProxyType, ProxySpec>,
) -> Vec<(&'static str, claw_types::agent::EnvValue)> {
    use claw_types::agent::EnvValue;
    let own = proxies.iter().find(|(_, spec)| spec.image.is_none()).map(|(kind, _)| service_name(kind));
    let (Some(service), Ok(token)) = (own, EnvName::parse(MASTER_TOKEN)) else { return Vec::new() };
    let Ok(unit) = UnitId::parse(&service) else { return Vec::new() };
    vec![
        ("CLLAMA_OPS_URL", EnvValue::Literal(format!("http://{service}:8081"))),
        (MASTER_TOKEN, EnvValue::Secret(SecretRef::Minted(unit, token))),
    ]
}

/// Returns the compose service of a proxy.
pub(crate) fn service_name(kind: &ProxyType) -> String {
    format!("cllama-{kind}")
}
