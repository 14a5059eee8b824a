//! What a call cost, and how well that is known. Pure.

use crate::budget::Amount;
use crate::ledger::book::Pricing;
use crate::money::Money;
use crate::price::Prices;
use crate::wire::meter::Seen;
use crate::wire::usage::Usage;

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The answer is whole.
    Complete,
    /// The caller went away; what came after it was read to the end, or not.
    ClientAbort,
    /// The provider broke off.
    UpstreamReset,
    /// The provider answered with an error.
    ErrorEvent,
    /// The provider was silent for too long.
    Timeout,
    /// The proxy was told to stop.
    Shutdown,
    /// The provider took the call and never answered.
    Lost,
}

impl End {
    /// Returns the word.
    pub(crate) fn name(self) -> &'static str {
        match self {
            End::Complete => "complete",
            End::ClientAbort => "client_abort",
            End::UpstreamReset => "upstream_reset",
            End::ErrorEvent => "error_event",
            End::Timeout => "timeout",
            End::Shutdown => "shutdown",
            End::Lost => "lost",
        }
    }
}

/// What a call cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Priced {
    /// What it used.
    pub(crate) usage: Usage,
    /// What that costs.
    pub(crate) cost: Money,
    /// How well that is known.
    pub(crate) pricing: Pricing,
    /// Why it is not known better.
    pub(crate) why: Option<String>,
}

/// What a call went to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'t> {
    /// The provider.
    pub(crate) provider: &'t str,
    /// The model.
    pub(crate) model: &'t str,
    /// A server of one's own that wants no key: its answers cost nothing.
    pub(crate) is_own: bool,
    /// Nobody charges it.
    pub(crate) is_free: bool,
    /// What the request is taken for where nobody counted, in tokens.
    pub(crate) input: u64,
}

/// Returns the tokens that bytes of JSON are taken for.
pub(crate) fn tokens(bytes: u64) -> u64 {
    bytes.div_ceil(4)
}

/// Returns what a call cost: what the provider says, else its counts by the table, else what went by.
pub(crate) fn price(prices: &Prices, target: Target<'_>, seen: &Seen, end: End, is_stream: bool) -> Priced {
    if target.is_free {
        let why = Some("nobody charges for counting".to_owned());
        return Priced { usage: Usage::default(), cost: Money::ZERO, pricing: Pricing::Exact, why };
    }
    let is_whole = seen.is_whole && seen.error.is_none() && matches!(end, End::Complete | End::ClientAbort);
    let report = &seen.report;
    let (usage, doubt) = match (&seen.unusable, seen.has_usage, is_whole) {
        (None, true, true) if seen.has_final => (report.usage, None),
        (None, true, true) => {
            (at_least(report.usage, seen, is_stream), Some("the usage was said at the beginning alone".to_owned()))
        }
        (None, true, false) => {
            (at_least(report.usage, seen, is_stream), Some(format!("the answer is not whole: {}", end.name())))
        }
        (Some(why), _, _) => (guess(target, seen, is_stream), Some(why.clone())),
        (None, false, _) => (guess(target, seen, is_stream), Some("the provider said no usage".to_owned())),
    };
    if target.is_own {
        return Priced {
            usage,
            cost: Money::ZERO,
            pricing: Pricing::Exact,
            why: Some("a server of one's own".to_owned()),
        };
    }
    let doubt = doubt.or_else(|| report.unknown.map(ToOwned::to_owned));
    if let (Some(cost), true, None) = (report.cost, is_whole, report.unknown) {
        return Priced { usage, cost, pricing: Pricing::Exact, why: None };
    }
    let Some(row) = prices.row(target.provider, target.model) else {
        let why = format!("no price for `{}/{}`", target.provider, target.model);
        return Priced { usage, cost: report.cost.unwrap_or_default(), pricing: Pricing::Unpriced, why: Some(why) };
    };
    let cost = row.cost(&usage, report.tier.as_deref());
    let why = doubt.or_else(|| row.lacks(&usage).map(ToOwned::to_owned));
    let pricing = if why.is_some() { Pricing::Estimated } else { Pricing::Exact };
    Priced { usage, cost, pricing, why }
}

/// What a caller left behind and nobody read costs what was reserved for it, where that is more: it could not be bounded otherwise.
pub(crate) fn at_reservation(priced: Priced, reserved: Amount) -> Priced {
    let usage =
        Usage { output: priced.usage.output.max(reserved.tokens.saturating_sub(priced.usage.input())), ..priced.usage };
    let why = Some("the end of it was not seen: what was reserved is taken".to_owned());
    let pricing = if priced.pricing == Pricing::Unpriced { Pricing::Unpriced } else { Pricing::Estimated };
    Priced { usage, cost: priced.cost.max(reserved.usd), pricing, why }
}

/// Every event of a stream carries a token at least; a whole answer is JSON.
fn output(seen: &Seen, is_stream: bool) -> u64 {
    if is_stream { seen.events } else { tokens(seen.bytes) }
}

fn guess(target: Target<'_>, seen: &Seen, is_stream: bool) -> Usage {
    Usage { input_uncached: target.input, output: output(seen, is_stream), ..Usage::default() }
}

fn at_least(usage: Usage, seen: &Seen, is_stream: bool) -> Usage {
    Usage { output: usage.output.max(output(seen, is_stream)), ..usage }
}
