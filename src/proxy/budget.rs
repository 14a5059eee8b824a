//! Budgets: what was spent in a window, what is reserved, and what one more call may take. Pure: the time is an argument.
//!
//! An hour slides by the minute; a day and a month are the calendar's, in UTC. Looking costs the same however much was spent.

use serde::{Deserialize, Serialize};

use crate::calendar::{DAY_MS, month_number, next_month};
use crate::manifest::{Action, Limit, Window};
use crate::money::Money;

const MINUTE_MS: u64 = 60_000;
const MINUTES: usize = 60;

/// An amount of each thing a budget counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// Money.
    pub usd: Money,
    /// Tokens, in and out.
    pub tokens: u64,
    /// Requests.
    pub requests: u64,
}

impl Amount {
    /// Returns the sum.
    pub fn plus(self, other: Amount) -> Amount {
        Amount {
            usd: self.usd.plus(other.usd),
            tokens: self.tokens.saturating_add(other.tokens),
            requests: self.requests.saturating_add(other.requests),
        }
    }

    /// Returns the difference, nothing where it would be negative.
    pub fn minus(self, other: Amount) -> Amount {
        Amount {
            usd: self.usd.minus(other.usd),
            tokens: self.tokens.saturating_sub(other.tokens),
            requests: self.requests.saturating_sub(other.requests),
        }
    }
}

/// What was spent, by window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spending {
    /// The minute of the newest bucket, since 1970.
    minute: u64,
    /// The last sixty minutes; the newest stands at `minute % 60`.
    buckets: Vec<Amount>,
    hour: Amount,
    day: (u64, Amount),
    month: (u64, Amount),
}

impl Default for Spending {
    fn default() -> Self {
        let none = Amount::default();
        Self { minute: 0, buckets: vec![none; MINUTES], hour: none, day: (0, none), month: (0, none) }
    }
}

fn slot(minute: u64) -> usize {
    usize::try_from(minute % MINUTES as u64).unwrap_or(0)
}

impl Spending {
    /// Forgets what has left each window. A clock that goes back changes nothing.
    fn advance(&mut self, now: u64) {
        let minute = now / MINUTE_MS;
        if minute > self.minute {
            for each in (self.minute + 1..=minute).take(MINUTES) {
                let old = std::mem::take(&mut self.buckets[slot(each)]);
                self.hour = self.hour.minus(old);
            }
            self.minute = minute;
        }
        let (day, month) = (now / DAY_MS, month_number(now));
        if day > self.day.0 {
            self.day = (day, Amount::default());
        }
        if month > self.month.0 {
            self.month = (month, Amount::default());
        }
    }

    /// Adds what was spent.
    pub fn add(&mut self, amount: Amount, now: u64) {
        self.advance(now);
        let newest = slot(self.minute);
        self.buckets[newest] = self.buckets[newest].plus(amount);
        self.hour = self.hour.plus(amount);
        self.day.1 = self.day.1.plus(amount);
        self.month.1 = self.month.1.plus(amount);
    }

    /// Returns what was spent in a window.
    pub fn of(&mut self, window: Window, now: u64) -> Amount {
        self.advance(now);
        match window {
            Window::Hour => self.hour,
            Window::Day => self.day.1,
            Window::Month => self.month.1,
        }
    }

    /// Returns when a window has forgotten as much as must go for `fits` to hold; an hour forgets minute by minute.
    fn frees_at(&self, window: Window, now: u64, fits: impl Fn(Amount) -> bool) -> u64 {
        match window {
            Window::Day => (now / DAY_MS + 1) * DAY_MS,
            Window::Month => next_month(now),
            Window::Hour => {
                let mut left = self.hour;
                let first = self.minute.saturating_sub(MINUTES as u64 - 1);
                for minute in first..=self.minute {
                    left = left.minus(self.buckets[slot(minute)]);
                    if fits(left) {
                        return (minute + MINUTES as u64) * MINUTE_MS;
                    }
                }
                (self.minute + MINUTES as u64) * MINUTE_MS
            }
        }
    }
}

/// An account: what was spent and what is reserved for calls that are under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// What was spent.
    pub spent: Spending,
    /// What is reserved.
    #[serde(skip)]
    pub reserved: Amount,
}

/// A limit that one more call would pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// What happens.
    pub action: Action,
    /// Which limit: an index into those that were given.
    pub limit: usize,
    /// When enough is free again, in milliseconds since 1970.
    pub frees_at: u64,
}

/// Where a limit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What was spent in its window.
    pub spent: Amount,
    /// What is reserved.
    pub reserved: Amount,
    /// Dollars that are left.
    pub usd_left: Option<Money>,
    /// Tokens that are left.
    pub tokens_left: Option<u64>,
    /// Requests that are left.
    pub requests_left: Option<u64>,
    /// When all of what was spent has left the window.
    pub resets_at: u64,
}

impl Limit {
    /// Returns whether an amount is within the limit.
    pub(crate) fn fits(&self, amount: Amount) -> bool {
        self.usd.is_none_or(|most| amount.usd <= most)
            && self.tokens.is_none_or(|most| amount.tokens <= most)
            && self.requests.is_none_or(|most| amount.requests <= most)
    }
}

impl Account {
    /// Returns the limits that a call of this size would pass.
    pub fn exceeded(&mut self, limits: &[Limit], call: Amount, now: u64) -> Vec<Exceeded> {
        let mut found = Vec::new();
        for (index, limit) in limits.iter().enumerate() {
            let spent = self.spent.of(limit.window, now);
            let wanted = self.reserved.plus(call);
            if !limit.fits(spent.plus(wanted)) {
                let frees_at = self.spent.frees_at(limit.window, now, |left| limit.fits(left.plus(wanted)));
                found.push(Exceeded { action: limit.action, limit: index, frees_at });
            }
        }
        found
    }

    /// Returns where a limit stands.
    pub fn standing(&mut self, limit: &Limit, now: u64) -> Standing {
        let spent = self.spent.of(limit.window, now);
        let all = spent.plus(self.reserved);
        Standing {
            spent,
            reserved: self.reserved,
            usd_left: limit.usd.map(|most| most.minus(all.usd)),
            tokens_left: limit.tokens.map(|most| most.saturating_sub(all.tokens)),
            requests_left: limit.requests.map(|most| most.saturating_sub(all.requests)),
            resets_at: self.spent.frees_at(limit.window, now, |left| left == Amount::default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 20_785 * DAY_MS;

    fn limit(usd: &str, window: Window) -> Limit {
        Limit { usd: Money::parse(usd), tokens: None, requests: None, window, action: Action::HardStop }
    }

    fn spent(usd: &str) -> Amount {
        Amount { usd: Money::parse(usd).unwrap_or_default(), tokens: 10, requests: 1 }
    }

    #[test]
    fn an_hour_slides_and_a_day_is_the_calendars() {
        let mut account = Account::default();
        let limits = [limit("1", Window::Hour), limit("2", Window::Day)];
        account.spent.add(spent("0.6"), NOW);
        account.spent.add(spent("0.4"), NOW + 10 * MINUTE_MS);
        let over = account.exceeded(&limits, spent("0.5"), NOW + 11 * MINUTE_MS);
        assert_eq!(
            over.iter().map(|each| (each.limit, each.frees_at)).collect::<Vec<_>>(),
            [(0, NOW + 60 * MINUTE_MS)]
        );
        assert_eq!(account.exceeded(&limits, spent("0.5"), NOW + 60 * MINUTE_MS), []);
        assert_eq!(account.spent.of(Window::Hour, NOW + 70 * MINUTE_MS), Amount::default());
        account.spent.add(spent("1"), NOW + 80 * MINUTE_MS);
        let over = account.exceeded(&limits, spent("0.01"), NOW + 200 * MINUTE_MS);
        assert_eq!(over.iter().map(|each| (each.limit, each.frees_at)).collect::<Vec<_>>(), [(1, NOW + DAY_MS)]);
        assert_eq!(account.exceeded(&limits, spent("0.01"), NOW + DAY_MS), []);
    }

    #[test]
    fn what_is_reserved_counts_as_spent() {
        let mut account = Account { reserved: spent("0.9"), ..Account::default() };
        let limits = [limit("1", Window::Month)];
        assert_eq!(account.exceeded(&limits, spent("0.2"), NOW).len(), 1);
        assert_eq!(account.exceeded(&limits, spent("0.1"), NOW), []);
        assert_eq!(account.standing(&limits[0], NOW).usd_left, Money::parse("0.1"));
    }

    #[test]
    fn a_clock_that_goes_back_forgives_nothing() {
        let mut account = Account::default();
        account.spent.add(spent("1"), NOW);
        assert_eq!(account.spent.of(Window::Day, NOW - DAY_MS).requests, 1);
        account.spent.add(spent("1"), NOW - DAY_MS);
        assert_eq!(account.spent.of(Window::Hour, NOW).requests, 2);
    }
}
