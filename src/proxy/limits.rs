//! Whether a call may go, and what is reserved for it: the limits of its agent and of the pod.

use crate::app::App;
use crate::budget::{Amount, Exceeded};
use crate::calendar::now;
use crate::call::Call;
use crate::door::Door;
use crate::fault::Fault;
use crate::ledger::book::POD;
use crate::manifest::{Action, Agent, Limit};
use crate::money::Money;
use crate::policy::Candidate;
use crate::wire::content::{self, Cache};
use crate::wire::usage::Usage;

/// What is reserved of output where neither the caller nor the model says how much there can be, in tokens.
const OUTPUT: u64 = 8_192;

/// How often a call passes at a limit of rate.
const PACE_MS: u64 = 60_000;

/// Whether a call may go.
pub(crate) enum Verdict {
    /// It may, and this is reserved.
    Goes(Amount),
    /// A budget is used up: a cheaper model may go.
    Downgrade((String, Exceeded)),
    /// A budget is used up. Whose, and which.
    Refused((String, Exceeded)),
    /// A budget of money is set, and the model has no price.
    Unpriced(Fault),
    /// It cannot go, now or later.
    Never(Fault),
}

/// Returns the limits of an account: the manifest's, with what operators put in their place.
pub(crate) fn limits(app: &App, agent: &Agent, account: &str) -> Vec<Limit> {
    let own = if account == POD { &app.manifest.pod_budgets } else { &agent.budgets };
    let ledger = app.ledger.borrow();
    let overrides = &ledger.book.overrides;
    if overrides.is_empty() {
        return own.clone();
    }
    let mut limits = own.clone();
    for limit in &mut limits {
        let other = overrides.iter().find(|each| each.agent == account && each.window == limit.window.name());
        if let Some(usd) = other.and_then(|other| other.usd).filter(|_| limit.usd.is_some()) {
            limit.usd = Some(usd);
        }
    }
    limits
}

/// Returns whether a call may go to a candidate. What one call may take at most is reserved; where nothing limits its output
/// and a budget is hard, the request is given a limit, so that it cannot take more.
pub(crate) fn judge(app: &App, agent: &Agent, call: &mut Call, target: &Candidate, is_downgraded: bool) -> Verdict {
    if call.door == Door::CountTokens {
        // What a message would take is told for nothing.
        return Verdict::Goes(Amount::default());
    }
    let at = now();
    let own = limits(app, agent, &call.agent);
    let pod = limits(app, agent, POD);
    if own.is_empty() && pod.is_empty() {
        return Verdict::Goes(size(app, call, target, None).0);
    }
    let is_hard = |limit: &&Limit| matches!(limit.action, Action::HardStop | Action::Downgrade);
    let caps = own.iter().chain(&pod).filter(is_hard).any(|limit| limit.usd.is_some() || limit.tokens.is_some());
    let (amount, is_priced) = size(app, call, target, caps.then_some(OUTPUT));
    let wants_price = own.iter().chain(&pod).filter(is_hard).any(|limit| limit.usd.is_some());
    // In a chain the last one knows what wants no money.
    if wants_price && !is_priced && app.manifest.next.is_none() {
        let message = format!(
            "`{}` has no price, and a budget of money is set: add it to a table of `x-claw.prices`",
            target.name()
        );
        return Verdict::Unpriced(Fault::new(429, "unpriced_model", message).field("model"));
    }
    let unbounded = ["previous_response_id", "conversation"]
        .into_iter()
        .find(|field| caps && call.request.value(&call.body, field).is_some_and(|value| value != b"null"));
    if let Some(field) = unbounded {
        let message = format!(
            "`{field}` brings along what the proxy cannot see, and a hard budget is set: send the conversation itself"
        );
        return Verdict::Never(Fault::new(400, "unbounded_request", message).field(field));
    }
    let alone = own.iter().chain(&pod).filter(is_hard).find(|limit| !limit.fits(amount));
    if let Some(limit) = alone.filter(|limit| limit.action == Action::HardStop) {
        let message = format!(
            "this call alone may take {} tokens and ${}, more than a whole budget by the {}: lower its limit of output, or shorten it",
            amount.tokens,
            amount.usd,
            limit.window.name()
        );
        return Verdict::Never(Fault::new(400, "call_exceeds_budget", message));
    }
    let mut over: Vec<(String, Exceeded)> = Vec::new();
    for (account, limits) in [(call.agent.as_str(), &own), (POD, &pod)] {
        let found = app.ledger.borrow_mut().book.account(account).exceeded(limits, amount, at);
        over.extend(found.into_iter().map(|each| (account.to_owned(), each)));
    }
    let (mut downgrade, mut paced) = (None, None);
    for each in over {
        match each.1.action {
            Action::HardStop => return Verdict::Refused(each),
            // The cheaper model is what happens at this limit: it is not stopped by it.
            Action::Downgrade if is_downgraded => {}
            Action::Downgrade => downgrade = Some(each),
            Action::RateLimit => paced = Some(each),
            Action::SoftAlert => {
                let whose = if each.0 == POD { "the pod" } else { call.agent.as_str() };
                app.alarm(format!("{whose} is beyond its soft limit"));
            }
        }
    }
    if let Some(each) = paced.filter(|_| downgrade.is_none()) {
        let mut last = app.paced.borrow_mut();
        let (next, by) = last.get(&call.agent).map_or((0, ""), |(last, by)| (last + PACE_MS, by.as_str()));
        // A call that passed once passes with its next candidate too.
        if next > at && by != call.id {
            return Verdict::Refused((each.0, Exceeded { frees_at: next, ..each.1 }));
        }
        last.insert(call.agent.clone(), (at, call.id.clone()));
    }
    match downgrade {
        Some(each) => Verdict::Downgrade(each),
        None => Verdict::Goes(amount),
    }
}

/// Returns the most a call may take, and whether its price is known.
fn size(app: &App, call: &mut Call, target: &Candidate, cap: Option<u64>) -> (Amount, bool) {
    let prices = app.prices.borrow();
    let row = prices.row(&target.provider, &target.model);
    let is_own = app.is_own(&target.provider);
    let seen = content::tokens(&call.body);
    let limit = call.request.max_output(call.door.format());
    let output = if call.door.generates() {
        let most = row.and_then(|row| row.max_output).unwrap_or(OUTPUT).min(OUTPUT);
        call.limit = if limit.is_none() { cap.map(|_| most) } else { None };
        limit.unwrap_or(most).saturating_mul(call.request.count.max(1))
    } else {
        0
    };
    // The dearest way the input may be taken: as it is, or into a cache.
    let usage = match content::cache(&call.body) {
        Cache::None => Usage { input_uncached: seen, output, ..Usage::default() },
        Cache::Minutes => Usage { cache_write_5m: seen, output, ..Usage::default() },
        Cache::Hour => Usage { cache_write_1h: seen, output, ..Usage::default() },
    };
    let tier = call.request.tier.as_deref();
    let usd = row.map_or(Money::ZERO, |row| row.cost(&usage, None).max(row.cost(&usage, tier)));
    let usd = if is_own { Money::ZERO } else { usd };
    (Amount { usd, tokens: usage.total(), requests: 1 }, row.is_some() || is_own)
}
