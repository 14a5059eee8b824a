//! Keys of providers, and what is known of each: which may be used for a model now, and what an answer says about that.
//! Pure: answers and times come in, a choice goes out. A key is never given up for what one agent or one model did.

use std::collections::{BTreeMap, BTreeSet};

use crate::calendar::DAY_MS;

/// How long a key that ran into a limit rests where the provider does not say.
const REST_MS: u64 = 30_000;

/// The longest rest that a provider can ask for.
const LONGEST_MS: u64 = DAY_MS;

/// How long a key whose money is gone rests: then it is tried once more.
const EXHAUSTED_MS: u64 = 15 * 60_000;

/// How long a model rests that a key was forbidden.
const FORBIDDEN_MS: u64 = 60_000;

/// How long a key that may be wrong rests at first.
const SUSPECT_MS: u64 = 5_000;

/// Rests of a model that fails: twice as long each time.
const BREAK_MS: u64 = 2_000;
const LONGEST_BREAK_MS: u64 = 60_000;

/// Failures in a row after which a model rests.
const FAILURES: u32 = 3;

/// Where a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyState {
    /// It can be used.
    Ready,
    /// A provider refused it, for one agent and model so far.
    Suspect,
    /// Its money is gone.
    Exhausted,
    /// It is none, as two agents or models saw, or the provider says.
    Dead,
    /// An operator switched it off.
    Disabled,
    /// A server of one's own that does not answer.
    Absent,
}

impl KeyState {
    /// Returns the word.
    pub(crate) fn name(self) -> &'static str {
        match self {
            KeyState::Ready => "ready",
            KeyState::Suspect => "suspect",
            KeyState::Exhausted => "exhausted",
            KeyState::Dead => "dead",
            KeyState::Disabled => "disabled",
            KeyState::Absent => "absent",
        }
    }
}

/// What is known of a key.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// What it is called.
    pub(crate) id: String,
    /// Where it stands.
    pub(crate) state: KeyState,
    /// Until when it rests, in milliseconds since 1970.
    pub(crate) until: u64,
    /// Since when it stands there.
    pub(crate) since: u64,
    /// Why, in a sentence.
    pub(crate) evidence: String,
    /// Models that rest on this key, for whom, and until when.
    pub(crate) rests: Rests,
    /// Agents it was refused for.
    refused: BTreeSet<String>,
    /// How often it was refused in a row.
    refusals: u32,
}

/// What rests, by model and agent: for the agent that saw the failure, and for all once a second one sees it too. What one agent
/// does takes nothing away from another.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rests(BTreeMap<String, BTreeMap<String, u64>>);

impl Rests {
    /// Returns until when a model rests for an agent.
    fn until(&self, model: &str, agent: &str, now: u64) -> u64 {
        let Some(agents) = self.0.get(model) else { return 0 };
        let mut all: Vec<u64> = agents.values().copied().filter(|until| *until > now).collect();
        all.sort_unstable();
        let own = agents.get(agent).copied().unwrap_or(0);
        // As long as two agents see it, everybody does.
        let shared = all.len().checked_sub(2).and_then(|second| all.get(second)).copied().unwrap_or(0);
        own.max(shared)
    }

    fn rest(&mut self, model: &str, agent: &str, until: u64, now: u64) {
        let agents = self.0.entry(model.to_owned()).or_default();
        agents.retain(|_, until| *until > now);
        agents.insert(agent.to_owned(), until);
    }

    fn wake(&mut self, model: &str, agent: &str) {
        if let Some(agents) = self.0.get_mut(model) {
            agents.remove(agent);
        }
    }

    /// Returns the models that rest for somebody, with the latest end.
    pub(crate) fn models(&self, now: u64) -> impl Iterator<Item = (&String, u64)> {
        let latest = |agents: &BTreeMap<String, u64>| agents.values().copied().max().unwrap_or(0);
        self.0.iter().map(move |(model, agents)| (model, latest(agents))).filter(move |(_, until)| *until > now)
    }
}

/// The keys of a provider.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    /// The keys, in the order they are tried; one without a name where the provider wants none.
    pub(crate) keys: Vec<Key>,
    /// Models that failed, whatever the key.
    pub(crate) broken: Rests,
    /// How often in a row, by model and agent.
    failures: BTreeMap<(String, String), u32>,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A usable answer.
    Good,
    /// A status of the provider's, with its code and with how long it wants to be left alone.
    Status {
        /// The status.
        status: u16,
        /// The `code` or `type` of the error in the body.
        code: String,
        /// How long to wait, in milliseconds.
        wait_ms: Option<u64>,
    },
    /// No answer: the connection or the wait failed.
    Lost,
}

/// A change of a key, for the audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Changed {
    /// The key.
    pub(crate) key: String,
    /// From which state.
    pub(crate) from: &'static str,
    /// To which.
    pub(crate) to: &'static str,
    /// Why.
    pub(crate) evidence: String,
}

/// Why no key can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unready {
    /// One can be used then, in milliseconds since 1970.
    Until(u64),
    /// None, before an operator does something.
    Never,
}

impl Pool {
    /// Returns a pool of keys by their names.
    pub(crate) fn new(ids: impl IntoIterator<Item = String>, now: u64) -> Self {
        let key = |id| Key {
            id,
            state: KeyState::Ready,
            until: 0,
            since: now,
            evidence: String::new(),
            rests: Rests::default(),
            refused: BTreeSet::new(),
            refusals: 0,
        };
        Self { keys: ids.into_iter().map(key).collect(), broken: Rests::default(), failures: BTreeMap::new() }
    }

    /// Returns the index of the first key that an agent may use for a model now.
    ///
    /// # Errors
    /// Where none may: until when.
    pub(crate) fn pick(&self, model: &str, agent: &str, now: u64, tried: &[usize]) -> Result<usize, Unready> {
        let rest = self.broken.until(model, agent, now);
        let mut earliest = Unready::Never;
        for (index, key) in self.keys.iter().enumerate() {
            let free = match key.state {
                KeyState::Dead | KeyState::Disabled | KeyState::Absent => continue,
                // Who was refused once waits; the others do not.
                KeyState::Suspect if !key.refused.contains(agent) => rest.max(key.rests.until(model, agent, now)),
                KeyState::Ready | KeyState::Suspect | KeyState::Exhausted => {
                    key.until.max(rest).max(key.rests.until(model, agent, now))
                }
            };
            if free <= now && !tried.contains(&index) {
                return Ok(index);
            }
            if free > now {
                earliest = match earliest {
                    Unready::Until(known) => Unready::Until(known.min(free)),
                    Unready::Never => Unready::Until(free),
                };
            }
        }
        Err(earliest)
    }

    /// Takes an answer to an agent's call in. Returns the change, where there is one.
    pub(crate) fn learn(
        &mut self,
        index: usize,
        model: &str,
        agent: &str,
        outcome: &Outcome,
        now: u64,
    ) -> Option<Changed> {
        // What an operator decided stands, whatever still comes back.
        let key = self.keys.get_mut(index).filter(|key| key.state != KeyState::Disabled)?;
        let by = |what: &str| format!("{what} for `{model}` by `{agent}`");
        match outcome {
            Outcome::Good => {
                self.broken.wake(model, agent);
                self.failures.remove(&(model.to_owned(), agent.to_owned()));
                key.rests.wake(model, agent);
                key.refused.clear();
                key.refusals = 0;
                key.change(KeyState::Ready, 0, by("an answer"), now)
            }
            Outcome::Status { status: 401, code, .. } => {
                key.refused.insert(agent.to_owned());
                key.refusals = key.refusals.saturating_add(1);
                let is_sure = matches!(code.as_str(), "invalid_api_key" | "account_deactivated");
                if is_sure || key.refused.len() > 1 {
                    return key.change(KeyState::Dead, 0, by(&format!("401 {code}")), now);
                }
                let rest = (SUSPECT_MS << key.refusals.min(6)).min(EXHAUSTED_MS);
                key.change(KeyState::Suspect, now + rest, by("401"), now)
            }
            // OpenRouter says so of a call that is too large for what is left, too.
            Outcome::Status { status: 402, .. } => Some(key.rest(model, agent, (EXHAUSTED_MS, by("402")), now)),
            Outcome::Status { status: 429, code, .. } if code == "insufficient_quota" => {
                key.exhaust(by("429 insufficient_quota"), now)
            }
            Outcome::Status { status: 429, wait_ms, .. } => {
                let rest = wait_ms.unwrap_or(REST_MS).min(LONGEST_MS);
                Some(key.rest(model, agent, (rest, by("429")), now))
            }
            // A model that this key may not use, or something that this agent said: the key is as good as before.
            Outcome::Status { status: 403, .. } => Some(key.rest(model, agent, (FORBIDDEN_MS, by("403")), now)),
            Outcome::Lost => {
                self.fail(model, agent, now);
                None
            }
            Outcome::Status { status, .. } if *status >= 500 => {
                self.fail(model, agent, now);
                None
            }
            Outcome::Status { .. } => None,
        }
    }

    fn fail(&mut self, model: &str, agent: &str, now: u64) {
        let failures = self.failures.entry((model.to_owned(), agent.to_owned())).or_default();
        *failures = failures.saturating_add(1);
        if *failures >= FAILURES {
            let doubled = BREAK_MS << (*failures - FAILURES).min(8);
            self.broken.rest(model, agent, now + doubled.min(LONGEST_BREAK_MS), now);
        }
    }

    /// A server of one's own was looked after. Returns the change, where there is one.
    pub(crate) fn watched(&mut self, is_there: bool, now: u64) -> Option<Changed> {
        let key = self.keys.first_mut()?;
        match (key.state, is_there) {
            (KeyState::Absent, true) => key.change(KeyState::Ready, 0, "it answers".to_owned(), now),
            (KeyState::Ready | KeyState::Suspect | KeyState::Exhausted, false) => {
                key.change(KeyState::Absent, 0, "it does not answer".to_owned(), now)
            }
            _ => None,
        }
    }

    /// A key has another value: what was known of the old one is forgotten, but for what an operator decided.
    pub(crate) fn renewed(&mut self, id: &str, now: u64) -> Option<Changed> {
        let key = self.keys.iter_mut().find(|key| key.id == id && key.state != KeyState::Disabled)?;
        key.rests = Rests::default();
        key.refused.clear();
        key.refusals = 0;
        key.change(KeyState::Ready, 0, "its file has another value".to_owned(), now)
    }

    /// An operator switches a key on or off. Returns the change; nothing where there is no such key.
    pub(crate) fn set(&mut self, id: &str, is_on: bool, now: u64) -> Option<Changed> {
        let key = self.keys.iter_mut().find(|key| key.id == id)?;
        key.rests = Rests::default();
        key.refused.clear();
        key.refusals = 0;
        let state = if is_on { KeyState::Ready } else { KeyState::Disabled };
        let from = key.state.name();
        let evidence = "an operator".to_owned();
        key.change(state, 0, evidence.clone(), now);
        Some(Changed { key: id.to_owned(), from, to: state.name(), evidence })
    }
}

impl Key {
    fn rest(&mut self, model: &str, agent: &str, (rest, evidence): (u64, String), now: u64) -> Changed {
        self.rests.rest(model, agent, now + rest, now);
        self.evidence.clone_from(&evidence);
        Changed { key: self.id.clone(), from: self.state.name(), to: "cooldown", evidence }
    }

    fn exhaust(&mut self, evidence: String, now: u64) -> Option<Changed> {
        self.change(KeyState::Exhausted, now + EXHAUSTED_MS, evidence, now)
    }

    fn change(&mut self, state: KeyState, until: u64, evidence: String, now: u64) -> Option<Changed> {
        self.until = until;
        if self.state == state {
            return None;
        }
        let changed =
            Changed { key: self.id.clone(), from: self.state.name(), to: state.name(), evidence: evidence.clone() };
        (self.state, self.since, self.evidence) = (state, now, evidence);
        Some(changed)
    }

    /// Returns where the key stands, as people are told: resting counts.
    pub(crate) fn standing(&self, now: u64) -> (&'static str, Option<u64>) {
        if self.until > now {
            let name = if self.state == KeyState::Ready { "cooldown" } else { self.state.name() };
            return (name, Some(self.until));
        }
        (self.state.name(), None)
    }
}

/// Returns how long a provider wants to be left alone: `retry-after` in seconds or as a date, else its own reset headers.
pub(crate) fn wait_ms(get: impl Fn(&str) -> Option<String>, now: u64) -> Option<u64> {
    if let Some(text) = get("retry-after-ms").and_then(|text| text.trim().parse::<u64>().ok()) {
        return Some(text);
    }
    if let Some(text) = get("retry-after") {
        let text = text.trim();
        if let Some(ms) = seconds(text) {
            return Some(ms);
        }
        if let Ok(date) = chrono::DateTime::parse_from_rfc2822(text) {
            return Some(u64::try_from(date.timestamp_millis()).unwrap_or(0).saturating_sub(now));
        }
    }
    let resets = [
        "x-ratelimit-reset-requests",
        "x-ratelimit-reset-tokens",
        "anthropic-ratelimit-requests-reset",
        "anthropic-ratelimit-tokens-reset",
    ];
    let waits = resets.iter().filter_map(|name| get(name)).filter_map(|text| {
        let date = chrono::DateTime::parse_from_rfc3339(text.trim()).ok();
        match date {
            Some(date) => Some(u64::try_from(date.timestamp_millis()).unwrap_or(0).saturating_sub(now)),
            None => span(text.trim()),
        }
    });
    waits.max()
}

fn seconds(text: &str) -> Option<u64> {
    let value: f64 = text.parse().ok().filter(|value: &f64| value.is_finite() && *value >= 0.0 && *value < 1e9)?;
    std::time::Duration::try_from_secs_f64(value).ok().and_then(|wait| u64::try_from(wait.as_millis()).ok())
}

/// Returns the milliseconds of `1m30s`, `450ms`, `2h`.
fn span(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut sum: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|each: char| !each.is_ascii_digit() && each != '.')?;
        let unit_end =
            rest[digits..].find(|each: char| each.is_ascii_digit()).map_or(rest.len(), |length| digits + length);
        let factor = match &rest[digits..unit_end] {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => DAY_MS,
            _ => return None,
        };
        let ms = seconds(&rest[..digits])?.checked_mul(factor)? / 1000;
        sum = sum.checked_add(ms)?;
        rest = &rest[unit_end..];
    }
    (!text.is_empty()).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_857_000_000;

    fn status(status: u16, code: &str, wait_ms: Option<u64>) -> Outcome {
        Outcome::Status { status, code: code.to_owned(), wait_ms }
    }

    fn pool() -> Pool {
        Pool::new(["one".to_owned(), "two".to_owned()], NOW)
    }

    #[test]
    fn what_one_agent_does_takes_nothing_from_another_and_what_two_see_is_everybodys() {
        for outcome in [status(403, "", None), status(429, "", Some(60_000))] {
            let mut pool = pool();
            pool.learn(0, "big", "bad", &outcome, NOW);
            pool.learn(0, "big", "bad", &outcome, NOW);
            assert_eq!(pool.pick("big", "bad", NOW, &[]), Ok(1));
            assert_eq!(pool.pick("big", "good", NOW, &[]), Ok(0), "{outcome:?}");
            assert_eq!(pool.pick("small", "bad", NOW, &[]), Ok(0));
            assert_eq!(pool.keys[0].state, KeyState::Ready);
            pool.learn(0, "big", "good", &outcome, NOW);
            assert_eq!(pool.pick("big", "third", NOW, &[]), Ok(1), "{outcome:?}");
        }
        let mut pool = pool();
        for _ in 0..9 {
            pool.learn(0, "big", "bad", &status(500, "", None), NOW);
        }
        assert!(pool.pick("big", "bad", NOW, &[]).is_err());
        assert_eq!(pool.pick("big", "good", NOW, &[]), Ok(0));
    }

    #[test]
    fn a_key_is_dead_when_two_agents_saw_it_or_the_provider_says_so() {
        let mut two = pool();
        for model in ["m", "n", "m"] {
            two.learn(0, model, "a", &status(401, "mismatched_organization", None), NOW);
        }
        assert_eq!(two.keys[0].state, KeyState::Suspect, "one agent is one witness");
        two.learn(0, "m", "b", &status(401, "", None), NOW);
        assert_eq!(two.keys[0].state, KeyState::Dead);
        let mut sure = pool();
        sure.learn(0, "m", "a", &status(401, "invalid_api_key", None), NOW);
        assert_eq!(sure.keys[0].state, KeyState::Dead);
        assert_eq!(sure.set("one", true, NOW).map(|changed| changed.to), Some("ready"));
        assert_eq!(sure.pick("m", "a", NOW, &[]), Ok(0));
        sure.set("one", false, NOW);
        assert_eq!(sure.renewed("one", NOW), None, "what an operator switched off stays off");
    }

    #[test]
    fn a_429_rests_as_long_as_the_provider_asks_and_no_longer_than_a_day() {
        let mut pool = pool();
        for index in 0..2 {
            pool.learn(index, "m", "a", &status(429, "", Some(5_000)), NOW);
        }
        assert_eq!(pool.pick("m", "a", NOW, &[]), Err(Unready::Until(NOW + 5_000)));
        assert_eq!(pool.pick("other", "a", NOW, &[]), Ok(0));
        assert_eq!(pool.pick("m", "a", NOW + 5_000, &[]), Ok(0));
        pool.learn(0, "m", "a", &status(429, "", Some(u64::MAX)), NOW);
        assert_eq!(pool.pick("m", "a", NOW + DAY_MS, &[]), Ok(0));
    }

    #[test]
    fn waits_are_read_in_every_way_they_are_written() {
        let of =
            |name: &'static str, value: &'static str| wait_ms(|asked| (asked == name).then(|| value.to_owned()), NOW);
        assert_eq!(of("retry-after", "7"), Some(7_000));
        assert_eq!(of("retry-after", "0.5"), Some(500));
        assert_eq!(of("retry-after", "Sat, 28 Nov 2026 09:10:30 GMT"), Some(1_795_857_030_000 - NOW));
        assert_eq!(of("retry-after-ms", "250"), Some(250));
        assert_eq!(of("x-ratelimit-reset-tokens", "1m30s"), Some(90_000));
        assert_eq!(of("x-ratelimit-reset-requests", "450ms"), Some(450));
        assert_eq!(of("retry-after", "soon"), None);
    }

    #[test]
    fn a_model_that_fails_rests_and_is_tried_again() {
        let mut pool = pool();
        for _ in 0..3 {
            pool.learn(0, "m", "a", &Outcome::Lost, NOW);
        }
        assert_eq!(pool.pick("m", "a", NOW, &[]), Err(Unready::Until(NOW + 2_000)));
        assert_eq!(pool.pick("m", "a", NOW + 2_000, &[]), Ok(0));
        pool.learn(0, "m", "a", &Outcome::Good, NOW + 2_000);
        assert_eq!(pool.pick("m", "a", NOW + 2_001, &[]), Ok(0));
    }
}
