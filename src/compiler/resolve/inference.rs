//! Which models an agent may use, and how it reaches them.

use std::collections::{BTreeMap, BTreeSet};

use claw_compose::template::{Operator, Template, Variable};
use claw_types::agent::{Inference, ModelRef, Setting, Upstream};
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::doc::Doc;
use claw_types::id::{EnvName, ModelSlot, ProviderName, ProxyType, ServiceName, UnitId};
use claw_types::provider::{self, WireFormat};
use claw_types::secret::SecretRef;
use claw_types::span::{Span, Spanned};

use super::capability::able;
use super::proxy::{self, Gateway, Proxied, ProxyKey};
use super::{Row, Shared, secret};
use crate::clawfile::Directive;
use crate::clawfile::label::{Declared, noted};
use crate::facts::{Context, Facts, Need};
use crate::pod::{AgentBlock, PodBlock, ProviderBlock};

/// A model as it is named: where, and by which label of an image.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) model: ModelRef,
    pub(crate) at: Span,
    pub(crate) label: Option<String>,
}

/// The models by slot.
pub(crate) type Models = BTreeMap<ModelSlot, Vec<Wanted>>;

/// Returns the provider keys that may be needed: whether they are set.
pub(crate) fn needs(block: &AgentBlock, directives: &[Declared]) -> BTreeSet<Need> {
    let declared = directives.iter().filter_map(|each| match &each.value {
        Directive::Model { model, .. } => Some(model.as_str()),
        _ => None,
    });
    let own = block.models.values().flat_map(|texts| texts.0.iter().map(|text| text.value.as_str()));
    let names = declared.chain(own).filter_map(|model| model.split('/').next());
    let known = names.filter_map(|name| provider::known(name)?.key);
    let mut needs: BTreeSet<Need> = known.map(|key| Need::IsSet(key.to_owned())).collect();
    let is_declared = directives.iter().any(|each| matches!(each.value, Directive::Cllama(_)));
    if block.cllama.as_ref().map_or(is_declared, |proxies| !proxies.types.is_empty()) {
        needs.insert(Need::IsSet("OPENROUTER_API_KEY".to_owned()));
        needs.insert(Need::Variable(proxy::UI_PORT.to_owned()));
    }
    needs
}

fn model_ref(text: &str) -> Option<ModelRef> {
    let (provider, model) = text.split_once('/')?;
    let provider = ProviderName::parse(provider).ok()?;
    if model.is_empty() || model.contains(|each: char| each.is_whitespace() || each.is_control()) {
        return None;
    }
    Some(ModelRef { provider, model: model.to_owned() })
}

/// Returns the models by slot: the pod's slots over the image's.
pub(crate) fn models(row: &Row<'_>, diag: &mut Diagnostics) -> Models {
    let mut models = Models::new();
    for each in row.directives() {
        if let Directive::Model { slot, model } = &each.value {
            let wanted = model_ref(model).map(|model| Wanted { model, at: each.span, label: each.label.clone() });
            models.entry(slot.clone()).or_default().extend(wanted);
        }
    }
    let at = row.block.origin.of("models", row.at);
    for (name, texts) in &row.block.models {
        let at = texts.0.first().map_or(at, |text| text.span);
        let slot = match ModelSlot::parse(name) {
            Ok(slot) => slot,
            Err(bad) => {
                let error = Diagnostic::error(Code::BadName, at, bad.to_string());
                diag.push(error.help(format!("use {}", bad.grammar)));
                continue;
            }
        };
        let mut list = Vec::new();
        for text in &texts.0 {
            match model_ref(&text.value) {
                Some(model) => list.push(Wanted { model, at: text.span, label: None }),
                None => diag.push(
                    Diagnostic::error(Code::BadModel, text.span, format!("`{}` is not a model", text.value))
                        .help("write `provider/model`, such as `anthropic/claude-sonnet-4`"),
                ),
            }
        }
        if let Some(second) = list.get(1).filter(|_| slot.as_str() != "fallback") {
            let error = Diagnostic::error(Code::BadValue, second.at, format!("the slot `{slot}` takes one model"));
            diag.push(error.help("put the others into the slot `fallback`"));
        }
        models.insert(slot, list);
    }
    models
}

/// Records slots that the runtime does not have, where they are named.
pub(crate) fn slots(row: &Row<'_>, models: &Models, cx: &Context<'_>, diag: &mut Diagnostics) {
    let facts = row.driver.facts();
    for (slot, wanted) in
        models.iter().filter(|(slot, _)| !facts.slots.is_empty() && !facts.slots.contains(&slot.as_str()))
    {
        let (at, label) = wanted.first().map_or((row.at, None), |wanted| (wanted.at, wanted.label.as_deref()));
        let message = format!("the runtime `{}` has no model slot `{slot}`", facts.name);
        let error = Diagnostic::error(Code::RuntimeCannot, at, message);
        let others = able(cx, |other| other.slots.contains(&slot.as_str()));
        let others = others.map(|names| format!("; {names} have `{slot}`")).unwrap_or_default();
        let help = format!("it has `{}`{others}", facts.slots.join("`, `"));
        diag.push(noted(error.help(help).suggest(slot.as_str(), facts.slots.iter().copied()), label));
    }
}

/// Returns how the agent reaches its models.
pub(crate) fn inference(
    row: &Row<'_>,
    shared: &Shared<'_>,
    models: &Models,
    facts: &Facts,
    diag: &mut Diagnostics,
) -> Option<(Inference, Option<Proxied>)> {
    let chain = chain(row, diag);
    let keys = proxy_keys(row, shared, facts, diag);
    if let Some(first) = chain.first() {
        let gateways = gateways(models, &keys, shared, facts, diag);
        let at = row.block.origin.of("cllama", row.at);
        let image = row.block.cllama.as_ref().and_then(|proxies| proxies.image.clone());
        let endpoint = format!("http://{}:8080/v1", proxy::service_name(first));
        let token = SecretRef::ProxyToken(UnitId::parse(row.service.as_str()).ok()?);
        return Some((Inference::Proxied { chain, endpoint, token }, Some(Proxied { image, gateways, at })));
    }
    let mut upstreams = BTreeMap::new();
    for wanted in models.values().flatten() {
        if upstreams.contains_key(&wanted.model.provider) {
            continue;
        }
        if let Some(upstream) = upstream(wanted, shared, facts, diag) {
            upstreams.insert(wanted.model.provider.clone(), upstream);
        }
    }
    Some((Inference::Direct { upstreams }, None))
}

fn chain(row: &Row<'_>, diag: &mut Diagnostics) -> Vec<ProxyType> {
    if let Some(proxies) = &row.block.cllama {
        let mut chain = Vec::new();
        for each in &proxies.types {
            match ProxyType::parse(&each.value) {
                Ok(kind) => chain.push(kind),
                Err(bad) => {
                    let error = Diagnostic::error(Code::BadName, each.span, bad.to_string());
                    diag.push(error.help(format!("use {}", bad.grammar)));
                }
            }
        }
        return chain;
    }
    let declared = row.directives().filter_map(|each| match &each.value {
        Directive::Cllama(kind) => Some(kind.clone()),
        _ => None,
    });
    declared.collect()
}

/// Returns the variables of `cllama-env`, each with whether it has a value. Their values are secret by position.
fn proxy_keys(row: &Row<'_>, shared: &Shared<'_>, facts: &Facts, diag: &mut Diagnostics) -> BTreeMap<String, ProxyKey> {
    let mut keys = BTreeMap::new();
    let tree = row.agentish.block.as_ref().and_then(|block| block.get("cllama-env"));
    for (key, value) in &row.block.cllama_env {
        let entry = tree.and_then(|tree| tree.entry(key));
        let at = entry.map_or(row.at, |entry| if entry.value.is_null() { entry.key_span } else { entry.value.span });
        if let Err(bad) = EnvName::parse(key) {
            let error = Diagnostic::error(Code::BadName, at, bad.to_string()).masked();
            diag.push(error.help(format!("use {}", bad.grammar)));
        }
        let name = match value.0.as_ref().map(|template| (template.as_variable(), template)) {
            None => key,
            Some((Some(variable), _)) if !has_text(variable) => &variable.name,
            Some((None, template)) if template.as_literal() == Some("") => key,
            Some(_) => {
                let error =
                    Diagnostic::error(Code::SecretInEnvironment, at, format!("`{key}` of `cllama-env` is plain text"));
                diag.push(error.help(format!("write `{key}: ${{{key}}}` and put the value into `.env`")).masked());
                continue;
            }
        };
        let is_set = secret::is_set(name, shared.sources, facts);
        keys.insert(key.clone(), ProxyKey { variable: name.clone(), is_set, at });
    }
    keys
}

/// Returns whether what follows a variable's name holds text that would be the secret.
fn has_text(variable: &Variable) -> bool {
    match &variable.operator {
        Some((Operator::Default { .. } | Operator::Replace { .. }, operand)) => operand.as_literal() != Some(""),
        Some((Operator::Required { .. }, _)) | None => false,
    }
}

/// Returns the providers that an agent's proxies reach for its models. A provider that claw does not know is OpenRouter's, where
/// the pod has a key for that; else the proxy may have one of that name.
fn gateways(
    models: &Models,
    keys: &BTreeMap<String, ProxyKey>,
    shared: &Shared<'_>,
    facts: &Facts,
    diag: &mut Diagnostics,
) -> BTreeMap<ProviderName, Gateway> {
    let mut gateways = BTreeMap::new();
    for wanted in models.values().flatten() {
        let name = &wanted.model.provider;
        if gateways.contains_key(name) {
            continue;
        }
        let is_declared = shared.block.providers.contains_key(name.as_str());
        let known = provider::known(name.as_str());
        if known.is_none() && !is_declared {
            let message = format!("there is no provider `{name}`, unless the proxy has one");
            let warning = Diagnostic::warning(Code::UnknownProvider, wanted.at, message);
            diag.push(noted(unknown_provider(warning, name, shared), wanted.label.as_deref()));
            bridge(&mut gateways, keys, shared, facts, diag);
            continue;
        }
        let found = proxy::keys_of(name.as_str(), keys, shared, facts, diag);
        let own = known.and_then(|known| known.key);
        if !is_declared
            && found.is_empty()
            && let Some(own) = own
        {
            let message = format!("`{name}` needs `{own}`, which is not set");
            let error = Diagnostic::error(Code::MissingSecret, wanted.at, message);
            diag.push(noted(error.help("set it in the environment or in `.env`"), wanted.label.as_deref()));
            continue;
        }
        // What is missing was said above; a declared provider says the rest.
        let mut said = Diagnostics::new();
        let upstream =
            upstream(wanted, shared, facts, if is_declared || own.is_none() { &mut *diag } else { &mut said });
        gateways.extend(upstream.map(|upstream| (name.clone(), proxy::gateway(upstream, found))));
    }
    gateways
}

fn bridge(
    gateways: &mut BTreeMap<ProviderName, Gateway>,
    keys: &BTreeMap<String, ProxyKey>,
    shared: &Shared<'_>,
    facts: &Facts,
    diag: &mut Diagnostics,
) {
    let found = proxy::keys_of("openrouter", keys, shared, facts, diag);
    let (Some(known), Ok(name)) = (provider::known("openrouter"), ProviderName::parse("openrouter")) else { return };
    if !found.is_empty() {
        let base_url = known.base_url.to_owned();
        gateways.entry(name).or_insert(Gateway { base_url, format: known.format, keys: found, service: None });
    }
}

fn unknown_provider(finding: Diagnostic, name: &ProviderName, shared: &Shared<'_>) -> Diagnostic {
    let names = provider::PROVIDERS.iter().map(|facts| facts.name);
    let own = shared.block.providers.keys().map(String::as_str);
    let help = format!("declare it: `x-claw: {{providers: {{{name}: {{base_url: …}}}}}}`");
    finding.help(help).suggest(name.as_str(), names.chain(own))
}

fn upstream(wanted: &Wanted, shared: &Shared<'_>, facts: &Facts, diag: &mut Diagnostics) -> Option<Upstream> {
    let (name, at, label) = (&wanted.model.provider, wanted.at, wanted.label.as_deref());
    let known = provider::known(name.as_str());
    let Some(block) = shared.block.providers.get(name.as_str()) else {
        let Some(known) = known else {
            let error = Diagnostic::error(Code::UnknownProvider, at, format!("there is no provider `{name}`"));
            diag.push(noted(unknown_provider(error, name, shared), label));
            return None;
        };
        if let Some(key) = known.key.filter(|key| !facts.set.get(*key).copied().unwrap_or(false)) {
            let error = Diagnostic::error(Code::MissingSecret, at, format!("`{name}` needs `{key}`, which is not set"));
            diag.push(noted(error.help("set it in the environment or in `.env`"), label));
        }
        let service = service_of(known.base_url, shared);
        if known.key.is_none() && service.is_none() {
            let message = format!("`{name}` is no service of the pod, and claw does not know where else it is");
            let error = Diagnostic::error(Code::UnknownProvider, at, message);
            let help =
                format!("add a service `{name}`, or declare it: `x-claw: {{providers: {{{name}: {{base_url: …}}}}}}`");
            diag.push(noted(error.help(help), label));
        }
        let key = known.key.and_then(|key| EnvName::parse(key).ok()).map(SecretRef::Env);
        return Some(Upstream { base_url: known.base_url.to_owned(), format: known.format, key, service });
    };
    // What is wrong with a declared provider is said by `providers`, whether it is used or not.
    let mut unused = Diagnostics::new();
    let provider = declared(name.as_str(), block, at, &mut unused)?;
    let key = block.key.as_ref().and_then(|key| {
        let (variable, is_optional) = key_of(&key.0)?;
        if is_optional && !secret::is_set(&variable, shared.sources, facts) {
            return None;
        }
        secret::reference(&variable, shared.sources, block.origin.of("key", at), facts, diag)
    });
    let service = service_of(&provider.base_url, shared);
    Some(Upstream { base_url: provider.base_url, format: provider.format, key, service })
}

/// Returns the service of the pod that a URL leads to, if it leads to one.
pub(crate) fn service_of(url: &str, shared: &Shared<'_>) -> Option<ServiceName> {
    let host = host(url).split(':').next().unwrap_or("");
    if shared.everyone.contains(host) { ServiceName::parse(host).ok() } else { None }
}

/// Returns whether a text is the address of a server.
pub(crate) fn is_url(url: &str) -> bool {
    let is_web = url.starts_with("http://") || url.starts_with("https://");
    let authority = host(url);
    let (name, port) = authority.rsplit_once(':').unwrap_or((authority, "80"));
    let is_host = !name.is_empty() && (name.starts_with('[') || !name.contains([':', '[', ']']));
    is_web && is_host && port.trim_end_matches(']').len() <= 39 && !url.contains(char::is_whitespace)
}

/// A provider of `x-claw.providers` whose keys are right.
struct Provider {
    base_url: String,
    format: WireFormat,
}

/// Records what is wrong with the providers of the pod, used or not.
pub(crate) fn providers(block: &PodBlock, at: Span, diag: &mut Diagnostics) {
    for (name, provider) in &block.providers {
        let at = provider.origin.place(at);
        if let Err(bad) = ProviderName::parse(name) {
            let error = Diagnostic::error(Code::BadName, at, bad.to_string());
            diag.push(error.help(format!("use {}", bad.grammar)));
        }
        declared(name, provider, at, diag);
        if let Some(key) = provider.key.as_ref().filter(|key| key_of(&key.0).is_none()) {
            let is_empty = key.0.is_empty();
            let error = Diagnostic::error(
                if is_empty { Code::BadValue } else { Code::SecretInEnvironment },
                provider.origin.of("key", at),
                "a provider's key must be a variable",
            );
            diag.push(error.help("write `key: ${NAME}` and put the value into `.env`").masked());
        }
    }
}

/// Returns the variable of a provider's key, and whether it may be absent; nothing where it is text.
pub(crate) fn key_of(text: &str) -> Option<(String, bool)> {
    let template = Template::parse(text).ok()?;
    let variable = template.as_variable().filter(|variable| !has_text(variable))?;
    Some((variable.name.clone(), matches!(&variable.operator, Some((Operator::Default { .. }, _)))))
}

fn host(url: &str) -> &str {
    url.split("://").nth(1).and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or("")
}

fn declared(name: &str, block: &ProviderBlock, at: Span, diag: &mut Diagnostics) -> Option<Provider> {
    let known = provider::known(name);
    let format = match block.format.as_deref() {
        None => known.map_or(WireFormat::OpenAi, |known| known.format),
        Some(word) => WireFormat::parse(word).unwrap_or_else(|| {
            let error =
                Diagnostic::error(Code::BadValue, block.origin.of("format", at), format!("`{word}` is not a format"));
            diag.push(error.help("write `openai`, `anthropic` or `responses`"));
            WireFormat::OpenAi
        }),
    };
    let written = block.base_url.clone().or_else(|| known.map(|known| known.base_url.to_owned()));
    let at_url = block.origin.of("base_url", at);
    if written.as_deref().is_some_and(|url| host(url).contains('@')) {
        let message = format!("the `base_url` of `{name}` holds a user name or a password");
        let error = Diagnostic::error(Code::SecretInEnvironment, at_url, message);
        diag.push(error.help("take it out, and write `key: ${NAME}`").masked());
        return None;
    }
    let Some(base_url) = written.filter(|url| is_url(url)) else {
        let (code, what) = match &block.base_url {
            Some(_) => (Code::BadValue, "no usable"),
            None => (Code::MissingKey, "no"),
        };
        let error = Diagnostic::error(code, at_url, format!("`{name}` has {what} `base_url`"));
        diag.push(error.help("write an address such as `http://ollama:11434/v1`"));
        return None;
    };
    Some(Provider { base_url: base_url.trim_end_matches('/').to_owned(), format })
}

/// Returns the settings of `CONFIGURE`, in order.
pub(crate) fn settings(row: &Row<'_>, diag: &mut Diagnostics) -> Vec<Setting> {
    let mut settings = Vec::new();
    for each in row.directives() {
        let Directive::Configure { runtime, path, value } = &each.value else { continue };
        if !row.driver.facts().is_called(runtime) {
            let own = row.driver.facts().name;
            let message = format!("this configures `{runtime}`, and the agent's runtime is `{own}`");
            let error = Diagnostic::error(Code::BadSetting, each.span, message);
            let help = format!("write `CONFIGURE {own} config set {path} …`, or take it out");
            diag.push(noted(error.help(help), each.label.as_deref()));
            continue;
        }
        let value = serde_json::from_str(value).map_or_else(|_| Doc::str(value.as_str()), doc_of);
        settings.push(Setting { path: Spanned::new(path.clone(), each.span), value });
    }
    settings
}

fn doc_of(value: serde_json::Value) -> Doc {
    match value {
        serde_json::Value::Null => Doc::Null,
        serde_json::Value::Bool(value) => Doc::Bool(value),
        serde_json::Value::Number(number) => Doc::Number(number.to_string()),
        serde_json::Value::String(text) => Doc::Str(text),
        serde_json::Value::Array(items) => Doc::List(items.into_iter().map(doc_of).collect()),
        serde_json::Value::Object(entries) => Doc::map(entries.into_iter().map(|(key, value)| (key, doc_of(value)))),
    }
}
