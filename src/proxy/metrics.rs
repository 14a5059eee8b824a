//! Counters for Prometheus, under the names of OpenTelemetry's GenAI conventions. As many rows as agents times models.

use std::collections::BTreeMap;
use std::fmt::Write;

/// Upper bounds of durations, in seconds.
const BOUNDS: &[f64] = &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];

/// A histogram of durations.
#[derive(Clone, Debug, Default)]
struct Durations {
    buckets: Vec<u64>,
    sum_us: u64,
    count: u64,
}

impl Durations {
    fn add(&mut self, us: u64) {
        self.buckets.resize(BOUNDS.len(), 0);
        let seconds = std::time::Duration::from_micros(us).as_secs_f64();
        for (bucket, bound) in self.buckets.iter_mut().zip(BOUNDS) {
            *bucket += u64::from(seconds <= *bound);
        }
        self.sum_us = self.sum_us.saturating_add(us);
        self.count += 1;
    }
}

/// What a row is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Labels {
    /// The agent.
    pub(crate) agent: String,
    /// The provider.
    pub(crate) provider: String,
    /// The model.
    pub(crate) model: String,
}

/// What happened since the process began.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    durations: BTreeMap<Labels, Durations>,
    first_bytes: BTreeMap<Labels, Durations>,
    per_token: BTreeMap<Labels, Durations>,
    ends: BTreeMap<(String, &'static str), u64>,
    denied: BTreeMap<(String, &'static str), u64>,
}

/// A call that has ended, as it is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// From its arrival to its end, in microseconds.
    pub(crate) us: u64,
    /// From its arrival to the first byte of its answer.
    pub(crate) first_byte_us: Option<u64>,
    /// Tokens it put out.
    pub(crate) output: u64,
    /// How it ended.
    pub(crate) end: &'static str,
}

impl Metrics {
    /// Counts a call that has ended.
    pub(crate) fn call(&mut self, labels: Labels, call: Call) {
        *self.ends.entry((labels.agent.clone(), call.end)).or_default() += 1;
        if let Some(first) = call.first_byte_us {
            self.first_bytes.entry(labels.clone()).or_default().add(first);
            if call.output > 1 {
                self.per_token
                    .entry(labels.clone())
                    .or_default()
                    .add(call.us.saturating_sub(first) / (call.output - 1));
            }
        }
        self.durations.entry(labels).or_default().add(call.us);
    }

    /// Counts a call that was refused here.
    pub(crate) fn denied(&mut self, agent: &str, kind: &'static str) {
        *self.denied.entry((agent.to_owned(), kind)).or_default() += 1;
    }

    /// Returns how often an agent was refused.
    pub(crate) fn denials(&self, agent: &str) -> u64 {
        self.denied.iter().filter(|((known, _), _)| known == agent).map(|(_, count)| count).sum()
    }

    /// Adds everything in the text format of Prometheus.
    pub(crate) fn write(&self, out: &mut String) {
        for (name, help, rows) in [
            ("gen_ai_server_request_duration_seconds", "From a call's arrival to its end.", &self.durations),
            (
                "gen_ai_server_time_to_first_token_seconds",
                "From a call's arrival to the first byte of its answer.",
                &self.first_bytes,
            ),
            (
                "gen_ai_server_time_per_output_token_seconds",
                "Between the first byte and the end, by token.",
                &self.per_token,
            ),
        ] {
            head(out, name, help, "histogram");
            for (labels, durations) in rows {
                histogram(out, name, labels, durations);
            }
        }
        head(out, "claw_stream_end_total", "Calls by how they ended.", "counter");
        for ((agent, end), count) in &self.ends {
            let _ = writeln!(out, "claw_stream_end_total{{agent={},end=\"{end}\"}} {count}", quoted(agent));
        }
        head(out, "claw_denied_total", "Calls that were refused here, by reason.", "counter");
        for ((agent, kind), count) in &self.denied {
            let _ = writeln!(out, "claw_denied_total{{agent={},reason=\"{kind}\"}} {count}", quoted(agent));
        }
    }
}

/// Adds the lines above a metric.
pub(crate) fn head(out: &mut String, name: &str, help: &str, kind: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

/// Returns a label's value.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// Returns the labels of a call.
pub(crate) fn labelled(labels: &Labels) -> String {
    format!(
        "gen_ai_agent_name={},gen_ai_provider_name={},gen_ai_request_model={}",
        quoted(&labels.agent),
        quoted(&labels.provider),
        quoted(&labels.model)
    )
}

fn histogram(out: &mut String, name: &str, labels: &Labels, durations: &Durations) {
    let labels = labelled(labels);
    for (bound, count) in BOUNDS.iter().zip(&durations.buckets) {
        let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {count}");
    }
    let count = durations.count;
    let _ = writeln!(out, "{name}_bucket{{{labels},le=\"+Inf\"}} {count}");
    let sum = std::time::Duration::from_micros(durations.sum_us).as_secs_f64();
    let _ = writeln!(out, "{name}_sum{{{labels}}} {sum}\n{name}_count{{{labels}}} {count}");
}
