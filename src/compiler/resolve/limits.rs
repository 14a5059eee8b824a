//! Limits: of spending, of going round in circles, of models; and the small keys of `x-claw` that have a grammar.

use claw_types::agent::{Brakes, Budget, BudgetAction, ModelPolicy, Window};
use claw_types::diag::{Code, Diagnostic, Diagnostics, nearest};
use claw_types::span::Span;

use super::Row;
use super::inference::Models;
use crate::clawfile::directive;
use crate::pod::{AgentBlock, BudgetBlock, PodBlock};

/// The words of `x-claw.allow`: what of the privileged surface an agent may have.
pub const ALLOW: &[&str] = &[
    "anonymous-volumes",
    "cap_add",
    "cgroup",
    "cgroup_parent",
    "device_cgroup_rules",
    "devices",
    "docker-socket",
    "group_add",
    "hooks",
    "host-paths",
    "ipc",
    "limits",
    "links",
    "logging",
    "network_mode",
    "networks",
    "pid",
    "privileged",
    "propagation",
    "read_only",
    "restart",
    "security_opt",
    "sysctls",
    "tmpfs",
    "userns_mode",
    "uts",
    "volumes_from",
];

/// Records what is wrong with the keys of a service's `x-claw` that have a grammar of their own.
pub(crate) fn words(block: &AgentBlock, at: Span, diag: &mut Diagnostics) {
    for word in block.allow.0.iter().filter(|word| !ALLOW.contains(&word.value.as_str())) {
        let error = Diagnostic::error(Code::BadValue, word.span, format!("`allow` has no word `{}`", word.value));
        let help = format!("there are `{}`", ALLOW.join("`, `"));
        // What opens is not guessed.
        diag.push(error.help(help).suggest(&word.value, ALLOW.iter().copied()).by_hand());
    }
    let hosts = block.egress.iter().flat_map(|egress| &egress.0);
    for host in hosts.filter(|host| host.value != "open") {
        let is_closed = matches!(host.value.as_str(), "closed" | "none" | "off" | "deny");
        let named = directive::way_out(&host.value);
        let why = named.as_ref().and_then(|(name, _, is_private)| directive::shut(name, *is_private));
        if let Some(why) = why.filter(|_| !is_closed) {
            let error = Diagnostic::error(Code::BadValue, host.span, format!("`{}` {why}", host.value));
            diag.push(error.help(directive::SHUT_HELP));
        } else if is_closed || named.is_none() {
            let error = Diagnostic::error(Code::BadValue, host.span, format!("`{}` is no way out", host.value));
            diag.push(error.help(if is_closed {
                "take `egress` out: without it there is none"
            } else {
                "write `open`, or hosts such as `api.example.com:443`, with a port from 1 to 65535"
            }));
        }
    }
    if let Some(timezone) = block.timezone.as_deref().filter(|timezone| !is_timezone(timezone)) {
        let at = block.origin.of("timezone", at);
        let error = Diagnostic::error(Code::BadValue, at, format!("`{timezone}` is not a time zone"));
        let names = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
        diag.push(error.help("write an IANA name, such as `Europe/Berlin` or `UTC`").suggest(timezone, names));
    }
    if let Some(mcp) = block.mcp.as_deref().filter(|mcp| !directive::is_endpoint(mcp)) {
        let at = block.origin.of("mcp", at);
        let error = Diagnostic::error(Code::BadValue, at, format!("`{mcp}` is not the path of an endpoint"));
        diag.push(error.help("write `/path`, or `:port/path`"));
    }
}

/// Returns whether the time zone database has a zone of this name, letter by letter.
fn is_timezone(text: &str) -> bool {
    text.parse::<chrono_tz::Tz>().is_ok_and(|zone| zone.name() == text)
}

fn bad(word: &str, what: &str, words: &str, at: Span, diag: &mut Diagnostics) {
    let error = Diagnostic::error(Code::BadValue, at, format!("`{word}` is not {what}"));
    let list: Vec<&str> = words.split('`').skip(1).step_by(2).collect();
    let near = nearest(word, list).map(|near| format!("did you mean `{near}`?"));
    diag.push(error.help(near.unwrap_or_else(|| format!("write {words}"))));
}

/// Returns what happens to a model that no slot names.
pub(crate) fn model_policy(block: &AgentBlock, at: Span, diag: &mut Diagnostics) -> ModelPolicy {
    match block.model_policy.as_deref() {
        None | Some("clamp") => ModelPolicy::Clamp,
        Some("refuse") => ModelPolicy::Refuse,
        Some(other) => {
            bad(other, "a model policy", "`clamp` or `refuse`", block.origin.of("model-policy", at), diag);
            ModelPolicy::Clamp
        }
    }
}

/// Returns the budgets.
pub(crate) fn budgets(block: &AgentBlock, at: Span, diag: &mut Diagnostics) -> Vec<Budget> {
    let at = block.origin.of("budget", at);
    block.budget.iter().flat_map(|budgets| &budgets.0).map(|each| budget(each, at, diag)).collect()
}

/// Returns the budgets of the pod as a whole.
pub(crate) fn pod_budgets(block: &PodBlock, at: Span, diag: &mut Diagnostics) -> Vec<Budget> {
    let at = block.origin.of("pod-budget", at);
    block.pod_budget.iter().flat_map(|budgets| &budgets.0).map(|each| budget(each, at, diag)).collect()
}

/// Records limits that nobody keeps: without a proxy there is no one to count.
pub(crate) fn kept(row: &Row<'_>, pod: &PodBlock, budgets: &[Budget], models: &Models, diag: &mut Diagnostics) {
    let is_proxied = row.is_proxied();
    for key in ["budget", "brakes", "tools"] {
        if row.sets(key) && !is_proxied {
            let message = format!("`{}` has `{key}` and no proxy, so nobody keeps it", row.service);
            let warning = Diagnostic::warning(Code::Discouraged, row.block.origin.of(key, row.at), message);
            diag.push(warning.help("add `cllama: passthrough`"));
        }
    }
    let has_fallback = models.iter().any(|(slot, list)| slot.as_str() == "fallback" && !list.is_empty());
    let of_pod = pod.pod_budget.iter().flat_map(|budgets| &budgets.0);
    let is_downgraded = budgets.iter().any(|budget| budget.action == BudgetAction::Downgrade)
        || of_pod.into_iter().any(|budget| budget.action.as_deref() == Some("downgrade"));
    if is_proxied && !has_fallback && is_downgraded {
        let message = format!("`{}` has a budget that takes a cheaper model, and no `fallback`", row.service);
        let warning = Diagnostic::warning(Code::Discouraged, row.block.origin.of("budget", row.at), message);
        diag.push(warning.help("name one: `models: {fallback: …}`; without it, requests are refused"));
    }
}

fn budget(each: &BudgetBlock, at: Span, diag: &mut Diagnostics) -> Budget {
    let at = each.origin.span.unwrap_or(at);
    let window = match each.window.as_deref() {
        Some("1h") => Window::Hour,
        Some("day") | None => Window::Day,
        Some("month") => Window::Month,
        Some(other) => {
            bad(other, "a window", "`1h`, `day` or `month`", each.origin.of("window", at), diag);
            Window::Day
        }
    };
    let action = match each.action.as_deref() {
        Some("hard_stop") | None => BudgetAction::HardStop,
        Some("rate_limit") => BudgetAction::RateLimit,
        Some("downgrade") => BudgetAction::Downgrade,
        Some("soft_alert") => BudgetAction::SoftAlert,
        Some(other) => {
            let words = "`hard_stop`, `rate_limit`, `downgrade` or `soft_alert`";
            bad(other, "an action", words, each.origin.of("action", at), diag);
            BudgetAction::HardStop
        }
    };
    let usd = each.usd.as_ref().map(|usd| usd.0.as_str());
    if let Some(usd) = usd.filter(|usd| !is_amount(usd)) {
        let error = Diagnostic::error(Code::BadValue, each.origin.of("usd", at), format!("`{usd}` is not an amount"));
        diag.push(error.help("write US dollars as digits, such as `2.50`"));
    }
    let mut number = |key: &str, value: Option<i64>| {
        let value = value?;
        let number = u64::try_from(value).ok();
        if number.is_none() {
            let error =
                Diagnostic::error(Code::BadValue, each.origin.of(key, at), format!("`{key}` is below 0: {value}"));
            diag.push(error.help("write a whole number from 0"));
        }
        number
    };
    let (tokens, requests) = (number("tokens", each.tokens), number("requests", each.requests));
    if each.usd.is_none() && each.tokens.is_none() && each.requests.is_none() {
        let error = Diagnostic::error(Code::MissingKey, at, "a budget without a limit limits nothing");
        diag.push(error.help("add `usd`, `tokens` or `requests`"));
    }
    Budget { usd: usd.map(ToOwned::to_owned), tokens, requests, window, action }
}

/// An amount of money: digits, and a point with up to six more.
fn is_amount(text: &str) -> bool {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits =
        |text: &str, most| (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    is_digits(whole, 12) && is_digits(part, 6)
}

/// Returns the brakes.
pub(crate) fn brakes(block: &AgentBlock, at: Span, diag: &mut Diagnostics) -> Option<Brakes> {
    let brakes = block.brakes.as_ref()?;
    let at = brakes.origin.span.unwrap_or(at);
    let is_stop = match brakes.action.as_deref() {
        Some("stop") => true,
        Some("warn") | None => false,
        Some(other) => {
            bad(other, "an action", "`warn` or `stop`", brakes.origin.of("action", at), diag);
            false
        }
    };
    let mut number = |key: &str, value: Option<i64>| {
        let value = value?;
        let number = u32::try_from(value).ok().filter(|number| *number > 0);
        if number.is_none() {
            let message = format!("`{key}` goes from 1 to {}, and this is {value}", u32::MAX);
            let error = Diagnostic::error(Code::BadValue, brakes.origin.of(key, at), message);
            diag.push(error.help("write how often is too often, such as `5`"));
        }
        number
    };
    let (repeat, idle) = (number("repeat", brakes.repeat), number("idle", brakes.idle));
    if brakes.repeat.is_none() && brakes.idle.is_none() {
        let error = Diagnostic::error(Code::MissingKey, at, "brakes without a limit stop nothing");
        diag.push(error.help("add `repeat` or `idle`"));
    }
    Some(Brakes { repeat, idle, is_stop })
}
