//! The figures of a benchmark: medians with their spread, next to the targets, as a table and as JSON.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

/// A median with the least and the greatest value.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    pub median: f64,
    pub least: f64,
    pub greatest: f64,
}

impl Spread {
    /// Returns the spread of values, unless there are none.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (least, greatest) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) };
        Some(Self { median, least, greatest })
    }

    /// Returns the spread as JSON.
    fn json(self) -> Value {
        json!({"median": self.median, "least": self.least, "greatest": self.greatest})
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = if self.greatest.abs() >= 1000.0 {
            0
        } else if self.greatest.abs() >= 10.0 {
            1
        } else {
            3
        };
        let Self { median, least, greatest } = self;
        write!(formatter, "{median:.digits$} [{least:.digits$}..{greatest:.digits$}]")
    }
}

/// Which value of a spread a target is for.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    /// There is none: the figure is for information.
    None,
    /// The median is to be at most this.
    Median(f64),
    /// Every value is to be at most this.
    Greatest(f64),
}

/// One figure of one case.
pub(crate) struct Row {
    pub case: String,
    pub figure: &'static str,
    pub direct: Option<Spread>,
    pub gateway: Option<Spread>,
    pub peer: Option<Spread>,
    pub target: Target,
}

impl Row {
    /// Returns the target and whether it is met, if there is one and a figure for it.
    fn verdict(&self) -> Option<(f64, bool)> {
        match (self.target, self.gateway) {
            (Target::None, _) | (_, None) => None,
            (Target::Median(limit), Some(gateway)) => Some((limit, gateway.median <= limit)),
            (Target::Greatest(limit), Some(gateway)) => Some((limit, gateway.greatest <= limit)),
        }
    }
}

/// All that a benchmark has found.
#[derive(Default)]
pub(crate) struct Report {
    /// The host and the versions.
    pub environment: Value,
    /// The figures.
    pub rows: Vec<Row>,
    /// The rounds behind the figures.
    pub rounds: Vec<Value>,
    /// What a reader should know besides.
    pub notes: Vec<String>,
    /// Wrong answers, by what is wrong.
    pub errors: BTreeMap<String, usize>,
}

impl Report {
    /// Returns the report as JSON.
    pub(crate) fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let verdict = row.verdict();
            json!({"case": row.case, "figure": row.figure, "direct": row.direct.map(Spread::json),
                "gateway": row.gateway.map(Spread::json), "peer": row.peer.map(Spread::json),
                "target": verdict.map(|(limit, _)| limit), "is_met": verdict.map(|(_, is_met)| is_met)})
        });
        json!({"v": 1, "environment": self.environment, "figures": rows.collect::<Vec<_>>(), "rounds": self.rounds,
            "notes": self.notes, "errors": self.errors})
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.environment)?;
        writeln!(
            formatter,
            "median [least..greatest] of the rounds; `added` is the difference to direct, which is shown whole\n"
        )?;
        let has_peer = self.rows.iter().any(|row| row.peer.is_some());
        let peer = |text: String| if has_peer { format!("{text:<26}") } else { String::new() };
        let titles = ("case", "figure", "direct", "gateway", "target", peer("peer".into()));
        let (case, figure, direct, gateway, target, peer_title) = titles;
        writeln!(formatter, "{case:<38} {figure:<16} {direct:<24} {gateway:<26} {peer_title}{target:<8} verdict")?;
        let mut last = "";
        for row in &self.rows {
            let shown = |spread: Option<Spread>| spread.map_or_else(|| "-".to_owned(), |spread| spread.to_string());
            let case = if row.case == last { "" } else { &row.case };
            last = &row.case;
            let (target, verdict) = match row.verdict() {
                Some((limit, is_met)) => (format!("<={limit}"), if is_met { "met" } else { "missed" }),
                None => ("-".to_owned(), ""),
            };
            let (direct, gateway, peer) = (shown(row.direct), shown(row.gateway), peer(shown(row.peer)));
            let line = format!("{case:<38} {:<16} {direct:<24} {gateway:<26} {peer}{target:<8} {verdict}", row.figure);
            writeln!(formatter, "{}", line.trim_end())?;
        }
        for note in &self.notes {
            writeln!(formatter, "note: {note}")?;
        }
        for (error, count) in &self.errors {
            writeln!(formatter, "error: {count} times: {error}")?;
        }
        Ok(())
    }
}
