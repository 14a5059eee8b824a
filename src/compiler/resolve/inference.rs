//! Which models an agent may use, and how it reaches them.

use std::collections::{BTreeMap, BTreeSet};

use claw_types::agent::{Brakes, Budget, BudgetAction, Inference, ModelPolicy, ModelRef, Setting, Upstream, Window};
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::doc::Doc;
use claw_types::id::{EnvName, ModelSlot, ProviderName, ProxyType, ServiceName, UnitId};
use claw_types::provider::{self, WireFormat};
use claw_types::secret::SecretRef;
use claw_types::span::{Span, Spanned};

use super::{Row, Shared, secret};
use crate::clawfile::Directive;
use crate::facts::{Facts, Need};
use crate::pod::AgentBlock;

type Models = BTreeMap<ModelSlot, Vec<ModelRef>>;

/// Returns the provider keys that may be needed: whether they are set.
pub(crate) fn needs(block: &AgentBlock, directives: &[Spanned<Directive>]) -> BTreeSet<Need> {
    let declared = directives.iter().filter_map(|each| match &each.value {
        Directive::Model { model, .. } => Some(model.as_str()),
        _ => None,
    });
    let own = block.models.values().flat_map(|texts| texts.0.iter().map(|text| text.value.as_str()));
    let names = declared.chain(own).filter_map(|model| model.split('/').next());
    names.filter_map(provider::known).map(|facts| Need::IsSet(facts.key.to_owned())).collect()
}

fn model_ref(text: &str) -> Option<ModelRef> {
    let (provider, model) = text.split_once('/')?;
    let provider = ProviderName::parse(provider).ok()?;
    if model.is_empty() || model.contains(char::is_whitespace) {
        return None;
    }
    Some(ModelRef { provider, model: model.to_owned() })
}

/// Returns the models by slot: the pod's slots over the image's.
pub(crate) fn models(row: &Row<'_>, diag: &mut Diagnostics) -> Models {
    let mut models = Models::new();
    for each in row.directives() {
        if let Directive::Model { slot, model } = &each.value {
            models.entry(slot.clone()).or_default().extend(model_ref(model));
        }
    }
    for (slot, texts) in &row.block.models {
        let at = row.block.origin.of("models", row.at);
        let Ok(slot) = ModelSlot::parse(slot) else {
            diag.push(Diagnostic::error(Code::BadName, at, format!("`{slot}` is not a model slot")));
            continue;
        };
        let mut list = Vec::new();
        for text in &texts.0 {
            match model_ref(&text.value) {
                Some(model) => list.push(model),
                None => diag.push(
                    Diagnostic::error(Code::BadModel, text.span, format!("`{}` is not a model", text.value))
                        .help("write `provider/model`, such as `anthropic/claude-sonnet-4`"),
                ),
            }
        }
        if list.len() > 1 && slot.as_str() != "fallback" {
            diag.push(Diagnostic::error(Code::BadValue, at, format!("the slot `{slot}` takes one model")));
        }
        models.insert(slot, list);
    }
    models
}

/// Returns how the agent reaches its models.
pub(crate) fn inference(
    row: &Row<'_>,
    shared: &Shared<'_>,
    models: &Models,
    facts: &Facts,
    diag: &mut Diagnostics,
) -> Option<Inference> {
    let chain = chain(row, diag);
    if let Some(first) = chain.first() {
        let endpoint = format!("http://cllama-{first}:8080/v1");
        let token = SecretRef::ProxyToken(UnitId::parse(row.service.as_str()).ok()?);
        return Some(Inference::Proxied { chain, endpoint, token });
    }
    let mut upstreams = BTreeMap::new();
    for model in models.values().flatten() {
        if upstreams.contains_key(&model.provider) {
            continue;
        }
        if let Some(upstream) = upstream(&model.provider, row, shared, facts, diag) {
            upstreams.insert(model.provider.clone(), upstream);
        }
    }
    Some(Inference::Direct { upstreams })
}

fn chain(row: &Row<'_>, diag: &mut Diagnostics) -> Vec<ProxyType> {
    if let Some(proxies) = &row.block.cllama {
        let mut chain = Vec::new();
        for each in &proxies.types {
            match ProxyType::parse(&each.value) {
                Ok(kind) => chain.push(kind),
                Err(bad) => diag.push(Diagnostic::error(Code::BadName, each.span, bad.to_string())),
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

fn upstream(
    name: &ProviderName,
    row: &Row<'_>,
    shared: &Shared<'_>,
    facts: &Facts,
    diag: &mut Diagnostics,
) -> Option<Upstream> {
    let at = row.block.origin.of("models", row.at);
    let known = provider::known(name.as_str());
    let Some(block) = shared.block.providers.get(name.as_str()) else {
        let Some(known) = known else {
            let error = Diagnostic::error(Code::UnknownProvider, at, format!("there is no provider `{name}`"));
            let names = provider::PROVIDERS.iter().map(|facts| facts.name);
            let own = shared.block.providers.keys().map(String::as_str);
            let help = format!("declare it: `x-claw: {{providers: {{{name}: {{base_url: …}}}}}}`");
            diag.push(error.help(help).suggest(name.as_str(), names.chain(own)));
            return None;
        };
        if !facts.set.get(known.key).copied().unwrap_or(false) {
            let error =
                Diagnostic::error(Code::MissingSecret, at, format!("`{name}` needs `{}`, which is not set", known.key));
            diag.push(error.help("set it in the environment or in `.env`"));
        }
        let key = EnvName::parse(known.key).ok().map(SecretRef::Env);
        return Some(Upstream { base_url: known.base_url.to_owned(), format: known.format, key, service: None });
    };
    let at = block.origin.span.unwrap_or(at);
    let base_url = block.base_url.clone().or_else(|| known.map(|known| known.base_url.to_owned()));
    let Some(base_url) = base_url.filter(|url| url.starts_with("http://") || url.starts_with("https://")) else {
        let error = Diagnostic::error(
            Code::BadValue,
            block.origin.of("base_url", at),
            format!("`{name}` has no usable `base_url`"),
        );
        diag.push(error.help("write an address such as `http://ollama:11434/v1`"));
        return None;
    };
    let format = match block.format.as_deref() {
        None => known.map_or(WireFormat::OpenAi, |known| known.format),
        Some(word) => WireFormat::parse(word).unwrap_or_else(|| {
            let error =
                Diagnostic::error(Code::BadValue, block.origin.of("format", at), format!("`{word}` is not a format"));
            diag.push(error.help("write `openai`, `anthropic` or `responses`"));
            WireFormat::OpenAi
        }),
    };
    let key = block.key.as_ref().and_then(|key| key_of(&key.0, shared, block.origin.of("key", at), facts, diag));
    let host = base_url.split("://").nth(1).and_then(|rest| rest.split(['/', ':']).next()).unwrap_or("");
    let service = if shared.everyone.contains(host) { ServiceName::parse(host).ok() } else { None };
    Some(Upstream { base_url: base_url.trim_end_matches('/').to_owned(), format, key, service })
}

fn key_of(text: &str, shared: &Shared<'_>, at: Span, facts: &Facts, diag: &mut Diagnostics) -> Option<SecretRef> {
    let template = claw_compose::template::Template::parse(text).ok();
    let Some(variable) = template.as_ref().and_then(|template| template.as_variable()) else {
        let error = Diagnostic::error(Code::SecretInEnvironment, at, "a provider's key must be a variable");
        diag.push(error.help("write `key: ${NAME}` and put the value into `.env`").masked());
        return None;
    };
    secret::reference(&variable.name, shared.sources, variable.operator.is_some(), at, facts, diag)
}

/// Returns what happens to a model that no slot names.
pub(crate) fn model_policy(block: &AgentBlock, at: Span, diag: &mut Diagnostics) -> ModelPolicy {
    match block.model_policy.as_deref() {
        None | Some("clamp") => ModelPolicy::Clamp,
        Some("refuse") => ModelPolicy::Refuse,
        Some(other) => {
            let at = block.origin.of("model-policy", at);
            let error = Diagnostic::error(Code::BadValue, at, format!("`{other}` is not a model policy"));
            diag.push(error.help("write `clamp` or `refuse`"));
            ModelPolicy::Clamp
        }
    }
}

/// Returns the budgets.
pub(crate) fn budgets(block: &AgentBlock, at: Span, diag: &mut Diagnostics) -> Vec<Budget> {
    let mut budgets = Vec::new();
    for each in block.budget.iter().flat_map(|budgets| &budgets.0) {
        let at = each.origin.span.unwrap_or(at);
        let mut bad = |key: &str, word: &str, words: &str| {
            let error = Diagnostic::error(Code::BadValue, each.origin.of(key, at), format!("`{word}` is not a {key}"));
            diag.push(error.help(format!("write {words}")));
        };
        let window = match each.window.as_deref() {
            Some("1h") => Window::Hour,
            Some("day") | None => Window::Day,
            Some("month") => Window::Month,
            Some(other) => {
                bad("window", other, "`1h`, `day` or `month`");
                Window::Day
            }
        };
        let action = match each.action.as_deref() {
            Some("hard_stop") | None => BudgetAction::HardStop,
            Some("rate_limit") => BudgetAction::RateLimit,
            Some("downgrade") => BudgetAction::Downgrade,
            Some("soft_alert") => BudgetAction::SoftAlert,
            Some(other) => {
                bad("action", other, "`hard_stop`, `rate_limit`, `downgrade` or `soft_alert`");
                BudgetAction::HardStop
            }
        };
        if let Some(usd) = each.usd.as_ref().filter(|usd| !usd.0.parse::<f64>().is_ok_and(|usd| usd >= 0.0)) {
            bad("usd", &usd.0, "an amount such as `2.50`");
        }
        let positive = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok());
        budgets.push(Budget {
            usd: each.usd.as_ref().map(|usd| usd.0.clone()),
            tokens: positive(each.tokens),
            requests: positive(each.requests),
            window,
            action,
        });
    }
    budgets
}

/// Returns the brakes.
pub(crate) fn brakes(block: &AgentBlock, at: Span, diag: &mut Diagnostics) -> Option<Brakes> {
    let brakes = block.brakes.as_ref()?;
    let number = |value: Option<i64>| value.and_then(|value| u32::try_from(value).ok());
    let is_stop = match brakes.action.as_deref() {
        Some("stop") => true,
        Some("warn") | None => false,
        Some(other) => {
            let at = brakes.origin.of("action", at);
            let error = Diagnostic::error(Code::BadValue, at, format!("`{other}` is not an action"));
            diag.push(error.help("write `warn` or `stop`"));
            false
        }
    };
    Some(Brakes { repeat: number(brakes.repeat), idle: number(brakes.idle), is_stop })
}

/// Returns the settings of `CONFIGURE`, in order.
pub(crate) fn settings(row: &Row<'_>, diag: &mut Diagnostics) -> Vec<Setting> {
    let mut settings = Vec::new();
    for each in row.directives() {
        let Directive::Configure { runtime, path, value } = &each.value else { continue };
        if *runtime != row.driver.facts().name {
            let message =
                format!("this configures `{runtime}`, and the agent's runtime is `{}`", row.driver.facts().name);
            diag.push(Diagnostic::error(Code::BadSetting, each.span, message));
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
