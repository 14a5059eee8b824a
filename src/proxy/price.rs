//! What a call costs: a table of prices, and the arithmetic.
//!
//! The table is data with a date and a source; `x-claw.prices` puts another in its place without a release.

use std::collections::HashMap;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::calendar::day_number;
use crate::money::Money;
use crate::wire::usage::Usage;

/// The table that comes with this release.
const BUILT_IN: &str = include_str!("prices.json");

/// Days after which a table is called stale.
const STALE_DAYS: u64 = 90;

/// Prices in pico-dollars a token; a search in pico-dollars a call. What is not there is taken from a more general row.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Rates {
    input: Option<u64>,
    output: Option<u64>,
    cache_read: Option<u64>,
    cache_write: Option<u64>,
    cache_write_1h: Option<u64>,
    reasoning: Option<u64>,
    audio_in: Option<u64>,
    audio_out: Option<u64>,
    search: Option<u64>,
}

/// Prices where a request has more input tokens than a number of them.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Tier {
    above: u64,
    #[serde(flatten)]
    rates: Rates,
}

/// Prices with tiers.
#[derive(Clone, Debug, Default, Deserialize)]
struct Priced {
    #[serde(flatten)]
    rates: Rates,
    #[serde(default)]
    tiers: Vec<Tier>,
}

impl Priced {
    /// Returns the prices of the highest tier that a size has passed.
    fn tier(&self, size: u64) -> Option<&Rates> {
        self.tiers.iter().filter(|tier| size > tier.above).max_by_key(|tier| tier.above).map(|tier| &tier.rates)
    }
}

/// The prices of a model.
#[derive(Clone, Debug, Deserialize)]
pub struct Row {
    provider: String,
    model: String,
    #[serde(flatten)]
    base: Priced,
    priority: Option<Priced>,
    flex: Option<Priced>,
    batch: Option<Priced>,
    ultrafast: Option<Priced>,
    /// The most tokens the model puts out.
    pub max_output: Option<u64>,
}

#[derive(Deserialize)]
struct Written {
    schema: String,
    as_of: String,
    source: String,
    models: Vec<Row>,
}

/// A table of prices.
#[derive(Debug)]
pub struct Prices {
    /// The day the prices are of.
    pub as_of: String,
    /// Where they are from.
    pub source: String,
    /// The day and a digest of the table: what a record was priced with.
    pub version: String,
    rows: HashMap<String, HashMap<String, Row>>,
}

/// A file is no table of prices.
#[derive(Debug, thiserror::Error)]
pub enum BadPrices {
    /// It is no JSON of that shape.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// It is of another kind or version.
    #[error("its schema is `{0}`, and this claw reads `claw.prices.v1`")]
    Schema(String),
    /// Its date is none.
    #[error("`as_of` is `{0}`, and must be a day such as 2026-11-20")]
    Day(String),
}

impl Prices {
    /// Returns the table that comes with this release.
    ///
    /// # Errors
    /// Never, as a test shows.
    pub fn built_in() -> Result<Self, BadPrices> {
        Self::parse(BUILT_IN)
    }

    /// Returns the text of the table that comes with this release.
    pub fn built_in_text() -> &'static str {
        BUILT_IN
    }

    /// Returns the table of a file.
    ///
    /// # Errors
    /// Where the text is none.
    pub fn parse(text: &str) -> Result<Self, BadPrices> {
        let written: Written = serde_json::from_str(text)?;
        if written.schema != "claw.prices.v1" {
            return Err(BadPrices::Schema(written.schema));
        }
        if day_number(&written.as_of).is_none() {
            return Err(BadPrices::Day(written.as_of));
        }
        let digest = Sha256::digest(text.as_bytes());
        let digest: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        let mut rows: HashMap<String, HashMap<String, Row>> = HashMap::new();
        for row in written.models {
            rows.entry(row.provider.clone()).or_default().insert(row.model.clone(), row);
        }
        let version = format!("{}+{digest}", written.as_of);
        Ok(Self { as_of: written.as_of, source: written.source, version, rows })
    }

    /// Returns whether prices have surely changed since: the table is older than ninety days.
    pub fn is_stale(&self, now_ms: u64) -> bool {
        let today = now_ms / 86_400_000;
        day_number(&self.as_of).is_none_or(|day| today > day + STALE_DAYS)
    }

    /// Returns the prices of a model: by its name, else by its name without the date at its end, else by the latest of its
    /// dated names. A model that is none of these has no price: nothing is guessed.
    pub fn row(&self, provider: &str, model: &str) -> Option<&Row> {
        let provider = if provider == "google" { "gemini" } else { provider };
        let rows = self.rows.get(provider)?;
        let model = if provider == "gemini" { model.strip_prefix("models/").unwrap_or(model) } else { model };
        let find = |model: &str| {
            rows.get(model).or_else(|| undated(model).and_then(|name| rows.get(name))).or_else(|| {
                let dated = rows.keys().filter(|name| undated(name) == Some(model));
                dated.max().and_then(|name| rows.get(name))
            })
        };
        // OpenRouter sorts what answers by such words; the price is the model's.
        let routed = || model.rsplit_once(':').filter(|(_, word)| !matches!(*word, "free" | "batch"));
        find(model).or_else(|| if provider == "openrouter" { find(routed()?.0) } else { None })
    }
}

/// Returns a model's name without the `-20251001` or `-2025-10-01` at its end; nothing where it has no such end.
fn undated(model: &str) -> Option<&str> {
    let at = |length: usize| {
        model.len().checked_sub(length).and_then(|start| Some((model.get(..start)?, model.get(start..)?)))
    };
    let is_day = |text: &str| text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit());
    let short = at(9).filter(|(_, end)| end.strip_prefix('-').is_some_and(is_day));
    let long = || at(11).filter(|(_, end)| end.strip_prefix('-').is_some_and(|day| day_number(day).is_some()));
    short.or_else(long).map(|(name, _)| name)
}

impl Row {
    /// Returns what a call costs, in pico-dollars, with the prices of its size and of the service tier it was given.
    pub fn cost(&self, usage: &Usage, tier: Option<&str>) -> Money {
        let size = usage.input();
        let service = match tier {
            Some("priority") => self.priority.as_ref(),
            Some("flex") => self.flex.as_ref(),
            Some("batch") => self.batch.as_ref(),
            Some("ultrafast") => self.ultrafast.as_ref(),
            Some(_) | None => None,
        };
        let pick = |of: fn(&Rates) -> Option<u64>| {
            let base = self.base.tier(size).and_then(of).or_else(|| of(&self.base.rates));
            let Some(service) = service else { return base };
            let own = service.tier(size).and_then(of);
            // Where a size has its price and the service says nothing of sizes, it costs no less than the size does.
            let flat = of(&service.rates);
            let sized = self.base.tier(size).and_then(of);
            own.or_else(|| flat.map(|flat| flat.max(sized.unwrap_or(0)))).or(base)
        };
        let input = pick(|rates| rates.input).unwrap_or(0);
        let output = pick(|rates| rates.output).unwrap_or(0);
        let write = pick(|rates| rates.cache_write).unwrap_or(input);
        let audio_in = usage.audio_in.min(usage.input_uncached);
        let audio_out = usage.audio_out.min(usage.output);
        let reasoning = usage.reasoning.min(usage.output - audio_out);
        let rows: [(u64, u64); 9] = [
            (usage.input_uncached - audio_in, input),
            (usage.cache_read, pick(|rates| rates.cache_read).unwrap_or(input)),
            (usage.cache_write_5m, write),
            (usage.cache_write_1h, pick(|rates| rates.cache_write_1h).unwrap_or(write)),
            (usage.output - audio_out - reasoning, output),
            (reasoning, pick(|rates| rates.reasoning).unwrap_or(output)),
            (audio_in, pick(|rates| rates.audio_in).unwrap_or(input)),
            (audio_out, pick(|rates| rates.audio_out).unwrap_or(output)),
            (usage.search_calls, pick(|rates| rates.search).unwrap_or(0)),
        ];
        let sum: u128 = rows.iter().map(|(count, price)| u128::from(*count) * u128::from(*price)).sum();
        Money(u64::try_from(sum).unwrap_or(u64::MAX))
    }

    /// Returns what has no price of its own in a call, where something has not.
    pub fn lacks(&self, usage: &Usage) -> Option<&'static str> {
        let has_search = self.base.rates.search.is_some();
        (usage.search_calls > 0 && !has_search).then_some("searches have no price in the table")
    }
}
