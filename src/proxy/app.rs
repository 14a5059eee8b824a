//! What the proxy holds while it runs, and the few ways it changes. One thread: no lock is waited for.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio::sync::{Notify, mpsc::UnboundedSender};

use crate::account::{End, Target, at_reservation, price};
use crate::audit::{Audit, Line, Times};
use crate::auth::Callers;
use crate::brake::Trail;
use crate::calendar::now;
use crate::ledger::Ledger;
use crate::ledger::book::{Pricing, Settled};
use crate::live::Live;
use crate::manifest::{Agent, Manifest};
use crate::metrics::{Call, Labels, Metrics};
use crate::policy::Candidate;
use crate::pool::{Changed, Pool};
use crate::price::Prices;
use crate::relay::Drain;
use crate::room::Room;
use crate::secret::SecretValue;
use crate::upstream::Client;
use crate::{Options, ProxyError};

/// How many interventions and alarms are remembered for the operator's page.
const RECENT: usize = 50;

/// How long an alarm is not told again.
const AGAIN_MS: u64 = 60_000;

/// Something that was done to an agent's call.
#[derive(Clone, Debug)]
pub(crate) struct Intervention {
    /// When, in milliseconds since 1970.
    pub(crate) at: u64,
    /// The agent.
    pub(crate) agent: String,
    /// The kind: a word.
    pub(crate) kind: &'static str,
    /// What was done, in a sentence.
    pub(crate) detail: String,
}

/// The proxy.
pub(crate) struct App {
    /// What claw told it.
    pub(crate) manifest: Manifest,
    /// Who may call.
    pub(crate) callers: Callers,
    /// The prices.
    pub(crate) prices: RefCell<Rc<Prices>>,
    /// The ledger.
    pub(crate) ledger: RefCell<Ledger>,
    /// Keys' standing, by provider.
    pub(crate) pools: RefCell<BTreeMap<String, Pool>>,
    /// Keys' values, by provider, in the order of the pool.
    pub(crate) keys: RefCell<HashMap<String, Vec<Rc<SecretValue>>>>,
    /// What agents did last, for the brakes.
    pub(crate) trails: RefCell<HashMap<String, Trail>>,
    /// Calls under way.
    pub(crate) live: RefCell<BTreeMap<String, Rc<RefCell<Live>>>>,
    /// How many of them each agent has.
    pub(crate) in_flight: RefCell<HashMap<String, usize>>,
    /// What they hold in memory.
    pub(crate) room: Arc<Room>,
    /// What was done to calls.
    pub(crate) interventions: RefCell<VecDeque<Intervention>>,
    /// What an operator should know.
    pub(crate) alarms: RefCell<VecDeque<(u64, String)>>,
    /// When an agent beyond a limit of rate was last let through, and with which call.
    pub(crate) paced: RefCell<HashMap<String, (u64, String)>>,
    /// The audit.
    pub(crate) audit: Audit,
    /// The way to providers.
    pub(crate) client: Client,
    /// Counters.
    pub(crate) metrics: RefCell<Metrics>,
    /// When it began, in milliseconds since 1970.
    pub(crate) started_at: u64,
    /// Answers whose callers went away.
    pub(crate) drains: UnboundedSender<Drain>,
    /// How many of them are read to their end.
    pub(crate) draining: Cell<usize>,
    /// Whether it was told to stop.
    pub(crate) is_stopping: Cell<bool>,
    /// Tells of every change.
    pub(crate) changed: Notify,
    /// How many there were.
    pub(crate) changes: Cell<u64>,
    /// The token of operators.
    pub(crate) ui_token: Option<SecretValue>,
    /// The token of the pod's master, who may look.
    pub(crate) master_token: Option<SecretValue>,
    /// The token for the policy service.
    pub(crate) policy_token: Option<SecretValue>,
    number: Cell<u64>,
    prices_file: Option<PathBuf>,
}

fn read_prices(file: Option<&Path>) -> Result<Prices, ProxyError> {
    let Some(path) = file else { return Ok(Prices::built_in()?) };
    let text = std::fs::read_to_string(path).map_err(|source| ProxyError::File { path: path.to_owned(), source })?;
    Ok(Prices::parse(&text)?)
}

fn read_keys(manifest: &Manifest) -> Result<HashMap<String, Vec<Rc<SecretValue>>>, ProxyError> {
    let mut all = HashMap::new();
    for (name, provider) in &manifest.providers {
        let mut keys = Vec::new();
        for key in &provider.keys {
            let path = Path::new(&key.file);
            let value = SecretValue::read(path).map_err(|source| ProxyError::File { path: path.to_owned(), source })?;
            keys.push(Rc::new(value));
        }
        all.insert(name.clone(), keys);
    }
    Ok(all)
}

fn token(path: Option<&Path>) -> Result<Option<SecretValue>, ProxyError> {
    let read =
        |path: &Path| SecretValue::read(path).map_err(|source| ProxyError::File { path: path.to_owned(), source });
    path.map(read).transpose()
}

impl App {
    /// Returns the proxy of a manifest; the ledger is opened, and calls that had no end are settled.
    ///
    /// # Errors
    /// Where a file cannot be read or the ledger cannot be written.
    pub(crate) fn new(
        manifest: Manifest,
        options: &Options,
        audit: Audit,
        drains: UnboundedSender<Drain>,
    ) -> Result<Self, ProxyError> {
        let at = now();
        let prices_file = manifest.prices.as_ref().map(PathBuf::from);
        let prices = read_prices(prices_file.as_deref())?;
        let (ledger, opened) = Ledger::open(&options.ledger, at)?;
        let pool = |provider: &crate::manifest::Provider| {
            let ids = provider.keys.iter().map(|key| key.id.clone());
            let none = provider.keys.is_empty().then(String::new);
            Pool::new(ids.chain(none), at)
        };
        let app = Self {
            callers: Callers::new(&manifest.agents),
            keys: RefCell::new(read_keys(&manifest)?),
            pools: RefCell::new(
                manifest.providers.iter().map(|(name, provider)| (name.clone(), pool(provider))).collect(),
            ),
            prices: RefCell::new(Rc::new(prices)),
            ledger: RefCell::new(ledger),
            trails: RefCell::default(),
            live: RefCell::default(),
            in_flight: RefCell::default(),
            room: Arc::default(),
            interventions: RefCell::default(),
            alarms: RefCell::default(),
            paced: RefCell::default(),
            audit,
            client: crate::upstream::client()?,
            metrics: RefCell::default(),
            started_at: at,
            drains,
            draining: Cell::new(0),
            is_stopping: Cell::new(false),
            changed: Notify::new(),
            changes: Cell::new(0),
            ui_token: token(options.ui_token.as_deref())?,
            master_token: token(options.master_token.as_deref())?,
            policy_token: token(manifest.policy.as_ref().and_then(|policy| policy.token.as_deref()).map(Path::new))?,
            number: Cell::new(0),
            prices_file,
            manifest,
        };
        if opened.damaged > 0 {
            app.alarm(format!("{} bytes of the ledger were no record: they were put aside", opened.damaged));
        }
        for settled in &opened.unsettled {
            app.audit.line(&Line::recovered(&app.manifest, settled, at));
        }
        if app.prices.borrow().is_stale(at) {
            let as_of = app.prices.borrow().as_of.clone();
            app.alarm(format!("the table of prices is of {as_of}: put a newer one in its place with `x-claw.prices`"));
        }
        Ok(app)
    }

    /// Tells whoever watches that something changed.
    pub(crate) fn touch(&self) {
        self.changes.set(self.changes.get() + 1);
        self.changed.notify_waiters();
    }

    /// Returns an id that no other call has.
    pub(crate) fn next_id(&self) -> String {
        let number = self.number.get() + 1;
        self.number.set(number);
        format!("{:x}-{number:x}", self.started_at)
    }

    /// Returns an agent of the manifest.
    pub(crate) fn agent(&self, id: &str) -> Option<&Agent> {
        self.manifest.agents.get(id)
    }

    /// Tells operators something, on their page and in the audit.
    pub(crate) fn alarm(&self, text: String) {
        let at = now();
        let mut alarms = self.alarms.borrow_mut();
        // What goes on is told once a minute.
        if alarms.iter().any(|(when, known)| *known == text && at < when + AGAIN_MS) {
            return;
        }
        self.audit.event("alarm", at, None, map(json!({"text": text})));
        alarms.push_front((at, text));
        alarms.truncate(RECENT);
        drop(alarms);
        self.touch();
    }

    /// Writes down what was done to an agent's call.
    pub(crate) fn intervene(&self, agent: &str, kind: &'static str, detail: &str, request: &str) {
        let at = now();
        let more = json!({"intervention": kind, "detail": detail, "request_id": request});
        self.audit.event("intervention", at, Some(agent), map(more));
        let mut recent = self.interventions.borrow_mut();
        recent.push_front(Intervention { at, agent: agent.to_owned(), kind, detail: detail.to_owned() });
        recent.truncate(RECENT);
        drop(recent);
        self.touch();
    }

    /// Writes down that a key stands elsewhere than before.
    pub(crate) fn key_changed(&self, provider: &str, agent: Option<&str>, changed: &Changed) {
        let more = json!({"provider": provider, "key": changed.key, "from": changed.from, "to": changed.to, "evidence": changed.evidence});
        self.audit.event("provider_pool", now(), agent, map(more));
        self.touch();
    }

    /// Settles a call: prices it, writes it down, and gives back what was reserved. The second time nothing happens.
    pub(crate) fn settle(&self, live: &Rc<RefCell<Live>>, end: End) {
        let mut call = live.borrow_mut();
        if std::mem::replace(&mut call.is_settled, true) {
            return;
        }
        if let Some(error) = call.meter.seen.error.take() {
            call.meter.seen.error = Some(self.masked(&error));
        }
        let at = now();
        let prices = Rc::clone(&self.prices.borrow());
        let target = Target {
            provider: &call.target.provider,
            model: &call.target.model,
            is_own: self.is_own(&call.target.provider),
            is_free: call.is_free,
            input: call.input_estimate,
        };
        let mut priced = price(&prices, target, &call.meter.seen, end, call.is_stream);
        let is_unseen = end == End::Lost || call.is_unread || end == End::ClientAbort && !call.meter.seen.is_whole;
        if is_unseen && !call.is_free {
            priced = at_reservation(priced, call.reserved);
        }
        let settled = Settled {
            id: call.id.clone(),
            at,
            agent: call.agent.clone(),
            provider: call.target.provider.clone(),
            model: call.target.model.clone(),
            usage: priced.usage,
            cost: priced.cost,
            pricing: priced.pricing,
            why: priced.why,
            prices: prices.version.clone(),
            is_counted: !call.is_free,
            task: call.task.clone(),
        };
        let us = u64::try_from(call.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let first_byte_us =
            call.first_byte.map(|first| u64::try_from(first.duration_since(call.began).as_micros()).unwrap_or(0));
        let times = Times { at, us, first_byte_us };
        self.audit.line(&Line::response(&self.manifest, &call, &settled, end, &times));
        let labels = Labels {
            agent: call.agent.clone(),
            provider: call.target.provider.clone(),
            model: call.target.model.clone(),
        };
        let counted = Call { us, first_byte_us, output: settled.usage.output, end: end.name() };
        self.metrics.borrow_mut().call(labels, counted);
        if call.generates
            && end != End::Lost
            && let Some(trail) = self.trails.borrow_mut().get_mut(&call.agent)
        {
            trail.answer(call.meter.seen.calls_tool);
        }
        call.settled = Some((settled.cost, settled.pricing));
        self.leave(&call);
        self.write_settled(settled);
        self.touch();
    }

    /// Gives back what was reserved for a call that no provider took.
    pub(crate) fn release(&self, live: &Rc<RefCell<Live>>) {
        let mut call = live.borrow_mut();
        if std::mem::replace(&mut call.is_settled, true) {
            return;
        }
        self.leave(&call);
        self.write_settled(Settled {
            id: call.id.clone(),
            at: now(),
            agent: call.agent.clone(),
            provider: call.target.provider.clone(),
            model: call.target.model.clone(),
            usage: crate::wire::usage::Usage::default(),
            cost: crate::money::Money::ZERO,
            pricing: Pricing::Exact,
            why: None,
            prices: String::new(),
            is_counted: false,
            task: call.task.clone(),
        });
        self.touch();
    }

    fn write_settled(&self, settled: Settled) {
        let written = self.ledger.borrow_mut().settle(settled);
        if let Err(error) = written {
            self.alarm(format!("the ledger cannot be written: {error}"));
        }
    }

    /// Reads keys and prices again. Returns what was read.
    ///
    /// # Errors
    /// Where a file cannot be read or is wrong; then nothing changes.
    pub(crate) fn reload(&self) -> Result<String, ProxyError> {
        let keys = read_keys(&self.manifest)?;
        let prices = read_prices(self.prices_file.as_deref())?;
        let count: usize = keys.values().map(Vec::len).sum();
        let text = format!("{count} keys and prices of {} were read", prices.as_of);
        self.revive(&keys);
        *self.keys.borrow_mut() = keys;
        *self.prices.borrow_mut() = Rc::new(prices);
        self.audit.event("reload", now(), None, map(json!({"detail": text})));
        Ok(text)
    }

    /// A key whose file holds another value is another key: what was known of the old one is forgotten.
    fn revive(&self, keys: &HashMap<String, Vec<Rc<SecretValue>>>) {
        let old = self.keys.borrow();
        for (provider, row) in &self.manifest.providers {
            for (index, key) in row.keys.iter().enumerate() {
                let value = |all: &HashMap<String, Vec<Rc<SecretValue>>>| all.get(provider)?.get(index).cloned();
                let (Some(old), Some(new)) = (value(&old), value(keys)) else { continue };
                if new.with(|new| old.is(new)) {
                    continue;
                }
                let changed = self.pools.borrow_mut().get_mut(provider).and_then(|pool| pool.renewed(&key.id, now()));
                if let Some(changed) = changed {
                    self.key_changed(provider, None, &changed);
                }
            }
        }
    }

    /// Returns whether a provider is a server of one's own, which wants no key and no money.
    pub(crate) fn is_own(&self, provider: &str) -> bool {
        let row = self.manifest.providers.get(provider);
        self.manifest.next.is_none() && row.is_some_and(|provider| provider.keys.is_empty())
    }

    /// Returns a text of a provider's without the pod's keys, should it repeat one.
    pub(crate) fn masked(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for key in self.keys.borrow().values().flatten() {
            key.with(|key| {
                if let Some(key) = std::str::from_utf8(key).ok().filter(|key| text.contains(*key)) {
                    text = text.replace(key, "…");
                }
            });
        }
        text
    }

    /// Returns a provider's key.
    pub(crate) fn key(&self, provider: &str, index: usize) -> Option<Rc<SecretValue>> {
        self.keys.borrow().get(provider).and_then(|keys| keys.get(index)).cloned()
    }

    /// Registers a call that goes out.
    pub(crate) fn register(&self, call: Live) -> Rc<RefCell<Live>> {
        let id = call.id.clone();
        *self.in_flight.borrow_mut().entry(call.agent.clone()).or_default() += 1;
        let live = Rc::new(RefCell::new(call));
        self.live.borrow_mut().insert(id, Rc::clone(&live));
        self.touch();
        live
    }

    /// Returns how many calls of an agent are under way.
    pub(crate) fn in_flight(&self, agent: &str) -> usize {
        self.in_flight.borrow().get(agent).copied().unwrap_or(0)
    }

    /// A call of an agent is under way no more.
    fn leave(&self, call: &Live) {
        self.live.borrow_mut().remove(&call.id);
        if let Some(count) = self.in_flight.borrow_mut().get_mut(&call.agent) {
            *count = count.saturating_sub(1);
        }
    }

    /// Returns whether a candidate's provider is known here; a chain knows them all.
    pub(crate) fn knows(&self, candidate: &Candidate) -> bool {
        self.manifest.next.is_some() || self.manifest.providers.contains_key(&candidate.provider)
    }
}

/// Returns the members of an object.
pub(crate) fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Returns an amount as a JSON number, written out as it is.
pub(crate) fn dollars(money: crate::money::Money) -> Value {
    serde_json::from_str(&money.to_string()).unwrap_or(Value::Null)
}
