//! The audit: one JSON line an event on standard output. An agent that makes more of them than anybody reads is summed up.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

/// The version of a line.
const VERSION: u32 = 1;

/// Lines an agent may make at once.
const BURST: f64 = 100.0;

/// Lines a second it may make for long.
const RATE: f64 = 5.0;

/// How often lines that were not written are told of.
const SUMMARY: Duration = Duration::from_secs(10);

/// What an agent has left.
struct Allowance {
    left: f64,
    at: Instant,
    /// Lines not written since the last summary.
    dropped: u64,
    told: Instant,
}

/// Where lines go.
pub(crate) struct Audit {
    out: RefCell<Box<dyn Write>>,
    agents: RefCell<HashMap<(String, bool), Allowance>>,
}

impl Audit {
    pub(crate) fn new(out: Box<dyn Write>) -> Self {
        Self { out: RefCell::new(out), agents: RefCell::new(HashMap::new()) }
    }

    /// Writes an event about an agent, or counts it.
    pub(crate) fn event(&self, kind: &str, pod: &str, agent: &str, more: Value) {
        let now = Instant::now();
        let mut agents = self.agents.borrow_mut();
        let fresh = || Allowance { left: BURST, at: now, dropped: 0, told: now };
        // Refusals, which cost nothing, do not hide what was let through.
        let own = agents.entry((agent.to_owned(), kind == "egress_denied")).or_insert_with(fresh);
        own.left = (own.left + now.duration_since(own.at).as_secs_f64() * RATE).min(BURST);
        own.at = now;
        if own.left < 1.0 {
            own.dropped += 1;
        } else {
            own.left -= 1.0;
            self.line(kind, pod, Some(agent), more);
        }
    }

    /// Tells how many events were not written, of each agent of which there are some, where it is time.
    pub(crate) fn sum_up(&self, pod: &str) {
        let now = Instant::now();
        for ((agent, _), own) in self.agents.borrow_mut().iter_mut() {
            if own.dropped > 0 && now.duration_since(own.told) >= SUMMARY {
                let more =
                    json!({ "count": own.dropped, "detail": format!("{} events were not written", own.dropped) });
                self.line("egress_summary", pod, Some(agent), more);
                (own.dropped, own.told) = (0, now);
            }
        }
    }

    /// Writes an event, whosever it is.
    pub(crate) fn line(&self, kind: &str, pod: &str, agent: Option<&str>, more: Value) {
        let mut line = Map::new();
        line.insert("v".to_owned(), VERSION.into());
        let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        line.insert("ts".to_owned(), now.into());
        line.insert("type".to_owned(), kind.into());
        line.insert("pod".to_owned(), pod.into());
        line.insert("proxy".to_owned(), claw_types::gate::GATE.into());
        line.insert("claw_id".to_owned(), agent.into());
        line.insert("intervention".to_owned(), Value::Null);
        if let Value::Object(more) = more {
            line.extend(more);
        }
        let mut out = self.out.borrow_mut();
        // A log that cannot be written has nobody to tell.
        let _ = writeln!(out, "{}", Value::Object(line)).and_then(|()| out.flush());
    }
}
