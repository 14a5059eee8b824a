//! What a provider says a call used, in one form: the counts that prices are for.
//!
//! OpenAI's `prompt_tokens` include cached ones, Anthropic's `input_tokens` do not; reasoning is part of the output. Sources:
//! the providers' API references, November 2026; `gemini` through its OpenAI-compatible API leaves thoughts out of
//! `completion_tokens` and counts them in `total_tokens`.

use claw_types::provider::WireFormat;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::money::Money;

/// Counts of one call, in tokens where nothing else is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Input that no cache knew.
    pub input_uncached: u64,
    /// Input read from a cache.
    pub cache_read: u64,
    /// Input written to a cache for five minutes.
    pub cache_write_5m: u64,
    /// Input written to a cache for an hour.
    pub cache_write_1h: u64,
    /// Output, reasoning included.
    pub output: u64,
    /// Reasoning, a part of the output.
    pub reasoning: u64,
    /// Audio in, a part of the uncached input.
    pub audio_in: u64,
    /// Audio out, a part of the output.
    pub audio_out: u64,
    /// Searches the provider made: calls.
    pub search_calls: u64,
}

impl Usage {
    /// Returns everything that went in.
    pub fn input(&self) -> u64 {
        [self.cache_read, self.cache_write_5m, self.cache_write_1h]
            .into_iter()
            .fold(self.input_uncached, u64::saturating_add)
    }

    /// Returns all tokens, in and out.
    pub fn total(&self) -> u64 {
        self.input().saturating_add(self.output)
    }
}

/// What was said of a call so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The counts.
    pub usage: Usage,
    /// The price, where the provider says it.
    pub cost: Option<Money>,
    /// Which of several prices holds: `flex`, `priority`, `batch`.
    pub tier: Option<String>,
    /// Something that costs and that the table does not know.
    pub unknown: Option<&'static str>,
}

/// What is wrong with a provider's counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable(pub String);

fn count(map: &Map<String, Value>, key: &str) -> Result<Option<u64>, Unusable> {
    match map.get(key) {
        None | Some(Value::Null) => Ok(None),
        // Some servers count in floats.
        Some(Value::Number(number))
            if number.as_f64().is_some_and(|float| float >= 0.0 && float.fract() == 0.0 && float < 9e15) =>
        {
            Ok(number.as_u64().or_else(|| format!("{:.0}", number.as_f64().unwrap_or(0.0)).parse().ok()))
        }
        Some(value) => value.as_u64().map(Some).ok_or_else(|| Unusable(format!("`{key}` of the usage is no count"))),
    }
}

fn part<'m>(map: &'m Map<String, Value>, key: &str) -> Option<&'m Map<String, Value>> {
    map.get(key).and_then(Value::as_object)
}

fn part_count(map: &Map<String, Value>, group: &str, key: &str) -> Result<u64, Unusable> {
    part(map, group).map_or(Ok(0), |group| Ok(count(group, key)?.unwrap_or(0)))
}

/// Takes a usage object into what was said before; the last word counts, field by field.
///
/// # Errors
/// Where a count is negative, a string, or none; then nothing is taken.
pub fn take(
    report: &mut Report,
    format: WireFormat,
    provider: &str,
    usage: &Map<String, Value>,
) -> Result<(), Unusable> {
    let taken = match format {
        WireFormat::Anthropic => anthropic(report.usage, usage)?,
        WireFormat::OpenAi | WireFormat::Responses => openai(usage, provider)?,
    };
    report.usage = taken;
    report.unknown = unknown(usage).or(report.unknown);
    if let Some(Value::Number(cost)) = usage.get("cost") {
        report.cost = Money::reported(cost);
    }
    if let Some(Value::String(tier)) = usage.get("service_tier") {
        report.tier = Some(tier.clone());
    }
    Ok(())
}

/// Returns what of a usage has a price of its own that no table of prices has.
fn unknown(usage: &Map<String, Value>) -> Option<&'static str> {
    let is = |key: &str, word: &str| usage.get(key).and_then(Value::as_str) == Some(word);
    if is("speed", "fast") {
        return Some("fast mode has a price of its own");
    }
    if usage
        .get("inference_geo")
        .and_then(Value::as_str)
        .is_some_and(|geo| !matches!(geo, "" | "global" | "not_available"))
    {
        return Some("inference in one region has a price of its own");
    }
    if usage.get("iterations").and_then(Value::as_array).is_some_and(|all| all.len() > 1) {
        return Some("the provider counts several passes, and says one");
    }
    if usage.get("is_byok").and_then(Value::as_bool) == Some(true) {
        return Some("the upstream's own price is not said");
    }
    None
}

/// The message's start and its delta each say a part; `server_tool_use` and more input come with the delta.
fn anthropic(before: Usage, usage: &Map<String, Value>) -> Result<Usage, Unusable> {
    let mut now = before;
    if let Some(input) = count(usage, "input_tokens")? {
        now.input_uncached = input;
    }
    if let Some(read) = count(usage, "cache_read_input_tokens")? {
        now.cache_read = read;
    }
    let written = count(usage, "cache_creation_input_tokens")?;
    if let Some(groups) = part(usage, "cache_creation") {
        now.cache_write_1h = count(groups, "ephemeral_1h_input_tokens")?.unwrap_or(0);
        now.cache_write_5m = count(groups, "ephemeral_5m_input_tokens")?.unwrap_or(0);
    } else if let Some(written) = written {
        now.cache_write_5m = written.saturating_sub(now.cache_write_1h);
    }
    if let Some(output) = count(usage, "output_tokens")? {
        now.output = output;
    }
    if part(usage, "server_tool_use").is_some() {
        now.search_calls = part_count(usage, "server_tool_use", "web_search_requests")?;
    }
    Ok(now)
}

fn openai(usage: &Map<String, Value>, provider: &str) -> Result<Usage, Unusable> {
    let either = |one: &str, other: &str| Ok::<_, Unusable>(count(usage, one)?.or(count(usage, other)?));
    let input = either("prompt_tokens", "input_tokens")?;
    let output = either("completion_tokens", "output_tokens")?;
    if input.is_none() && output.is_none() {
        return Err(Unusable("the usage names neither input nor output".to_owned()));
    }
    let input = input.unwrap_or(0);
    let mut output = output.unwrap_or(0);
    if matches!(provider, "gemini" | "google")
        && let Some(total) = count(usage, "total_tokens")?
    {
        output = output.max(total.saturating_sub(input));
    }
    let cached = part_count(usage, "prompt_tokens_details", "cached_tokens")?
        .max(part_count(usage, "input_tokens_details", "cached_tokens")?)
        .max(count(usage, "prompt_cache_hit_tokens")?.unwrap_or(0));
    let written = part_count(usage, "prompt_tokens_details", "cache_write_tokens")?;
    let reasoning = part_count(usage, "completion_tokens_details", "reasoning_tokens")?.max(part_count(
        usage,
        "output_tokens_details",
        "reasoning_tokens",
    )?);
    Ok(Usage {
        input_uncached: input.saturating_sub(cached).saturating_sub(written),
        cache_read: cached.min(input),
        cache_write_5m: written.min(input),
        cache_write_1h: 0,
        output,
        reasoning: reasoning.min(output),
        audio_in: part_count(usage, "prompt_tokens_details", "audio_tokens")?,
        audio_out: part_count(usage, "completion_tokens_details", "audio_tokens")?,
        search_calls: 0,
    })
}
