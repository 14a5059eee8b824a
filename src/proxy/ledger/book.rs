//! The numbers of the ledger: accounts, totals, calls under way. A function of its entries, in order.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::budget::{Account, Amount};
use crate::calendar::day_text;
use crate::money::Money;
use crate::wire::usage::Usage;

/// Days of which totals by day are kept.
const DAYS: usize = 400;

/// An entry of the ledger.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "k", rename_all = "snake_case")]
pub enum Entry {
    /// A call goes out.
    Reserve(Reserved),
    /// A call has ended.
    Settle(Box<Settled>),
    /// All that was before.
    Summary(Box<Summary>),
    /// An operator changed a limit.
    Limit(Override),
    /// The policy service gave an agent a score.
    Score {
        /// The agent.
        agent: String,
        /// From 0 to 1000.
        score: u32,
    },
}

/// A call that goes out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserved {
    /// The call.
    pub id: String,
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// Who calls.
    pub agent: String,
    /// Which provider.
    pub provider: String,
    /// Which model.
    pub model: String,
    /// What is reserved.
    pub amount: Amount,
    /// The task it is for, as its caller says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
}

/// A call that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// The call.
    pub id: String,
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// Who called.
    pub agent: String,
    /// Which provider answered.
    pub provider: String,
    /// Which model.
    pub model: String,
    /// What it used.
    pub usage: Usage,
    /// What it cost.
    pub cost: Money,
    /// How well that is known.
    pub pricing: Pricing,
    /// Why it is not known better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The table it was priced with.
    pub prices: String,
    /// Whether it counts as a request: it reached a provider.
    pub is_counted: bool,
    /// The task it was for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
}

/// How well a price is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pricing {
    /// From the provider's own numbers.
    Exact,
    /// From what went by.
    Estimated,
    /// Not at all.
    Unpriced,
}

impl Pricing {
    /// Returns the word.
    pub fn name(self) -> &'static str {
        match self {
            Pricing::Exact => "exact",
            Pricing::Estimated => "estimated",
            Pricing::Unpriced => "unpriced",
        }
    }
}

/// An operator's limit in place of the manifest's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// The agent; the pod as a whole where it is empty.
    pub agent: String,
    /// The window.
    pub window: String,
    /// Dollars; the manifest's again where it is none.
    pub usd: Option<Money>,
    /// When, in milliseconds since 1970.
    pub at: u64,
}

/// Sums of calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// Calls.
    pub requests: u64,
    /// Calls whose price is not known.
    pub unpriced: u64,
    /// Calls whose price is an estimate.
    pub estimated: u64,
    /// Tokens in.
    pub input: u64,
    /// Tokens out.
    pub output: u64,
    /// What they cost.
    pub cost: Money,
}

impl Sum {
    fn add(&mut self, settled: &Settled) {
        self.requests += 1;
        self.unpriced += u64::from(settled.pricing == Pricing::Unpriced);
        self.estimated += u64::from(settled.pricing == Pricing::Estimated);
        self.input = self.input.saturating_add(settled.usage.input());
        self.output = self.output.saturating_add(settled.usage.output);
        self.cost = self.cost.plus(settled.cost);
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &Sum) {
        self.requests += other.requests;
        self.unpriced += other.unpriced;
        self.estimated += other.estimated;
        self.input = self.input.saturating_add(other.input);
        self.output = self.output.saturating_add(other.output);
        self.cost = self.cost.plus(other.cost);
    }

    /// Returns how well the sum is known.
    pub fn pricing(&self) -> Pricing {
        match (self.unpriced, self.estimated) {
            (0, 0) => Pricing::Exact,
            (0, _) => Pricing::Estimated,
            (_, _) => Pricing::Unpriced,
        }
    }
}

/// Sums by provider and model, `provider/model`.
pub type ByModel = BTreeMap<String, Sum>;

/// The numbers.
#[derive(Debug, Default)]
pub struct Book {
    /// Accounts by agent; that of the pod as a whole stands under the empty name.
    pub accounts: BTreeMap<String, Account>,
    /// Sums by agent and model.
    pub totals: BTreeMap<String, ByModel>,
    /// Sums by day, agent and model.
    pub days: BTreeMap<String, BTreeMap<String, ByModel>>,
    /// Calls under way.
    pub open: HashMap<String, Reserved>,
    /// Operators' limits.
    pub overrides: Vec<Override>,
    /// Scores by agent, from 0 to 1000.
    pub scores: BTreeMap<String, u32>,
}

/// The numbers as they are written.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Summary {
    accounts: BTreeMap<String, Account>,
    totals: BTreeMap<String, ByModel>,
    days: BTreeMap<String, BTreeMap<String, ByModel>>,
    open: Vec<Reserved>,
    overrides: Vec<Override>,
    scores: BTreeMap<String, u32>,
}

/// The account of the pod as a whole.
pub const POD: &str = "";

impl Book {
    /// Takes an entry in.
    pub fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Reserve(reserved) => self.reserve(reserved),
            Entry::Settle(settled) => self.settle(&settled),
            Entry::Summary(summary) => self.restore(*summary),
            Entry::Limit(limit) => {
                self.overrides.retain(|each| each.agent != limit.agent || each.window != limit.window);
                if limit.usd.is_some() {
                    self.overrides.push(limit);
                }
            }
            Entry::Score { agent, score } => {
                self.scores.insert(agent, score);
            }
        }
    }

    /// Returns an account.
    pub fn account(&mut self, agent: &str) -> &mut Account {
        if !self.accounts.contains_key(agent) {
            self.accounts.insert(agent.to_owned(), Account::default());
        }
        self.accounts.entry(agent.to_owned()).or_default()
    }

    fn reserve(&mut self, reserved: Reserved) {
        for name in [reserved.agent.as_str(), POD] {
            let account = self.account(name);
            account.reserved = account.reserved.plus(reserved.amount);
        }
        self.open.insert(reserved.id.clone(), reserved);
    }

    fn settle(&mut self, settled: &Settled) {
        let reserved = self.open.remove(&settled.id).map(|reserved| reserved.amount).unwrap_or_default();
        let spent =
            Amount { usd: settled.cost, tokens: settled.usage.total(), requests: u64::from(settled.is_counted) };
        for name in [settled.agent.as_str(), POD] {
            let account = self.account(name);
            account.reserved = account.reserved.minus(reserved);
            account.spent.add(spent, settled.at);
        }
        if !settled.is_counted {
            return;
        }
        let model = format!("{}/{}", settled.provider, settled.model);
        self.totals.entry(settled.agent.clone()).or_default().entry(model.clone()).or_default().add(settled);
        let day = self.days.entry(day_text(settled.at)).or_default();
        day.entry(settled.agent.clone()).or_default().entry(model).or_default().add(settled);
        while self.days.len() > DAYS {
            self.days.pop_first();
        }
    }

    /// Returns the ends of calls that have none, at what was reserved for them.
    pub fn unsettled(&self, now: u64) -> Vec<Settled> {
        let mut open: Vec<&Reserved> = self.open.values().collect();
        open.sort_by(|one, other| (one.at, &one.id).cmp(&(other.at, &other.id)));
        let end = |reserved: &Reserved| Settled {
            id: reserved.id.clone(),
            at: now,
            agent: reserved.agent.clone(),
            provider: reserved.provider.clone(),
            model: reserved.model.clone(),
            usage: Usage { output: reserved.amount.tokens, ..Usage::default() },
            cost: reserved.amount.usd,
            pricing: Pricing::Estimated,
            why: Some("the proxy died while the call was under way: what was reserved is taken".to_owned()),
            prices: String::new(),
            is_counted: true,
            task: reserved.task.clone(),
        };
        open.into_iter().map(end).collect()
    }

    /// Returns the numbers as they are written.
    pub fn summary(&self) -> Summary {
        let mut open: Vec<Reserved> = self.open.values().cloned().collect();
        open.sort_by(|one, other| one.id.cmp(&other.id));
        Summary {
            accounts: self.accounts.clone(),
            totals: self.totals.clone(),
            days: self.days.clone(),
            open,
            overrides: self.overrides.clone(),
            scores: self.scores.clone(),
        }
    }

    fn restore(&mut self, summary: Summary) {
        let Summary { accounts, totals, days, open, overrides, scores } = summary;
        *self = Self { accounts, totals, days, open: HashMap::new(), overrides, scores };
        for reserved in open {
            self.reserve(reserved);
        }
    }
}
