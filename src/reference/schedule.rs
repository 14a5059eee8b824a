//! Schedules: when the agent is told something without being asked, and the log of what came of it.
//!
//! One half watches the clock and queues what is due, the other half has the turns, so that a long turn does not hide the
//! next firing. What a restart must not lose is in `<state>/schedules.jsonl`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, SubsecRound, TimeDelta, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::agent::Agent;
use crate::clock::Clock;
use crate::memory::{append_lines, is_conversation};
use crate::{ReferenceError, log, manifest};

/// How late a firing may be: what is later is skipped, so that a clock that jumps does not fire everything at once.
const GRACE: TimeDelta = TimeDelta::minutes(1);

/// The longest sleep: a clock that was set, or a host that slept, is noticed after it.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// The most characters of a reply in the log; the conversation has all of it.
const REPLY_LIMIT: usize = 4_000;

/// What fires an agent's schedules.
pub struct Scheduler<C> {
    agent: Arc<Agent>,
    clock: C,
    timetable: Timetable,
    board: Arc<Board>,
    log: PathBuf,
}

impl<C: Clock> Scheduler<C> {
    pub(crate) fn new(agent: Arc<Agent>, clock: C) -> Result<Self, ReferenceError> {
        let log = Path::new(&agent.manifest.state).join("schedules.jsonl");
        let last = last_firings(&log);
        let timetable = Timetable::new(&agent.manifest, &last, clock.now())?;
        let board = Board::new(&timetable, &last);
        Ok(Self { agent, clock, timetable, board: Arc::new(board), log })
    }

    pub(crate) fn board(&self) -> Arc<Board> {
        Arc::clone(&self.board)
    }

    /// Fires the schedules, each at its time, for as long as it is polled; returns at once where there are none.
    pub async fn run(self) {
        let Self { agent, clock, mut timetable, board, log } = self;
        if timetable.rows.is_empty() {
            return;
        }
        let schedules: Vec<_> = timetable.rows.iter().map(|row| row.schedule.clone()).collect();
        let (queue, mut waiting) = mpsc::unbounded_channel();
        let watch = async {
            loop {
                let now = clock.now();
                for due in timetable.due(now) {
                    queue_up(&due, now, &board, &queue);
                }
                board.show_next(&timetable);
                clock.sleep(timetable.wait(now)).await;
            }
        };
        let speak = async {
            while let Some(firing) = waiting.recv().await {
                fire(&agent, &schedules, &firing, &board, &log).await;
            }
        };
        // Neither ends: the first holds the queue's other end.
        tokio::join!(watch, speak);
    }
}

/// Queues a firing, unless it is too late or the one before it is not done.
fn queue_up(due: &Due, now: DateTime<Utc>, board: &Board, queue: &mpsc::UnboundedSender<Due>) {
    let late = now.signed_duration_since(due.at).num_seconds();
    let mut rows = board.lock();
    let Some(row) = rows.get_mut(due.row) else { return };
    if due.is_missed {
        log(&format!("schedule {}: {}: skipped, {late} s too late", row.id, rfc3339(&due.at)));
    } else if row.is_waiting {
        log(&format!("schedule {}: {}: skipped, the one before it is not done", row.id, rfc3339(&due.at)));
    } else {
        // At most one firing a schedule is in the queue, so it needs no bound of its own.
        row.is_waiting = queue.send(*due).is_ok();
    }
}

/// Has the turn of a firing and writes down what came of it.
async fn fire(agent: &Agent, schedules: &[manifest::Schedule], due: &Due, board: &Board, file: &Path) {
    let Some(schedule) = schedules.get(due.row) else { return };
    let at = rfc3339(&due.at);
    if agent.is_draining() {
        // It counts as not fired: whoever runs next fires it.
        return log(&format!("schedule {}: {at}: not fired, the agent is about to be stopped", schedule.id));
    }
    let result = agent.say(&conversation(&schedule.id), &schedule.message).await;
    let status = if result.is_ok() { "answered" } else { "failed" };
    let mut line = json!({"id": schedule.id, "at": at, "status": status, "to": schedule.to});
    match result {
        Ok(turn) => {
            line["reply"] = turn.reply.chars().take(REPLY_LIMIT).collect::<String>().into();
            log(&format!("schedule {}: {at}: answered", schedule.id));
        }
        Err(error) => {
            line["error"] = error.to_string().into();
            log(&format!("schedule {}: {at}: failed: {error}", schedule.id));
        }
    }
    if let Err(error) = append_lines(file, &[line]) {
        log(&format!("schedule {}: {at}: not written down: {error}", schedule.id));
    }
    if let Some(row) = board.lock().get_mut(due.row) {
        row.last = Some(Last { at, status: status.to_owned() });
        row.is_waiting = false;
    }
}

fn conversation(id: &str) -> String {
    format!("schedule-{id}")
}

fn rfc3339(at: &DateTime<Tz>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, false)
}

/// The last firing of a schedule.
#[derive(Clone, Debug)]
struct Last {
    at: String,
    status: String,
}

/// Returns each schedule's last firing. A line that was cut off by a crash is left out; no file is no firing.
fn last_firings(file: &Path) -> BTreeMap<String, Last> {
    let Ok(file) = File::open(file) else { return BTreeMap::new() };
    // Line by line: the file grows for as long as the agent lives.
    let lines = BufReader::new(file).split(b'\n').map_while(Result::ok);
    let documents = lines.filter_map(|line| serde_json::from_slice::<Value>(&line).ok());
    let firings = documents.filter_map(|line| {
        let text = |key: &str| line[key].as_str().map(ToOwned::to_owned);
        Some((text("id")?, Last { at: text("at")?, status: text("status")? }))
    });
    firings.collect()
}

/// What `GET /health` shows of the schedules.
pub(crate) struct Board {
    rows: Mutex<Vec<BoardRow>>,
}

struct BoardRow {
    id: String,
    next: Option<String>,
    last: Option<Last>,
    /// A firing is in the queue, or its turn runs.
    is_waiting: bool,
}

impl Board {
    fn new(timetable: &Timetable, last: &BTreeMap<String, Last>) -> Self {
        let rows = timetable.rows.iter().map(|row| {
            let (id, next) = (row.schedule.id.clone(), row.next.as_ref().map(rfc3339));
            BoardRow { last: last.get(&id).cloned(), id, next, is_waiting: false }
        });
        Self { rows: Mutex::new(rows.collect()) }
    }

    fn show_next(&self, timetable: &Timetable) {
        for (shown, row) in self.lock().iter_mut().zip(&timetable.rows) {
            shown.next = row.next.as_ref().map(rfc3339);
        }
    }

    pub(crate) fn described(&self) -> Vec<Value> {
        let row = |row: &BoardRow| {
            let (at, status) = row.last.as_ref().map(|last| (&last.at, &last.status)).unzip();
            json!({"id": row.id, "next": row.next, "last": at, "last_status": status})
        };
        self.lock().iter().map(row).collect()
    }

    /// A panic in another task leaves the rows whole: each is written field by field, and any mix is a state.
    fn lock(&self) -> MutexGuard<'_, Vec<BoardRow>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When each schedule fires next.
struct Timetable {
    rows: Vec<Row>,
    zone: Tz,
    seen: DateTime<Utc>,
}

struct Row {
    schedule: manifest::Schedule,
    cron: Cron,
    next: Option<DateTime<Tz>>,
}

/// A firing whose time has come.
#[derive(Clone, Copy, Debug)]
struct Due {
    row: usize,
    at: DateTime<Tz>,
    is_missed: bool,
}

impl Timetable {
    fn new(
        manifest: &manifest::Manifest,
        last: &BTreeMap<String, Last>,
        now: DateTime<Utc>,
    ) -> Result<Self, ReferenceError> {
        let zone = zone(manifest.timezone.as_deref())?;
        let mut schedules: Vec<_> = manifest.schedules.iter().collect();
        schedules.sort_by(|left, right| left.id.cmp(&right.id));
        let mut rows: Vec<Row> = Vec::new();
        for schedule in schedules {
            let wrong = |why: String| ReferenceError::Schedule { id: schedule.id.clone(), why };
            if !is_conversation(&conversation(&schedule.id)) {
                return Err(wrong("its id is not made of at most 55 letters, digits, `-`, `_`".to_owned()));
            }
            if rows.last().is_some_and(|row| row.schedule.id == schedule.id) {
                return Err(wrong("there are two of that id".to_owned()));
            }
            let cron = parse(&schedule.schedule).map_err(wrong)?;
            let local = now.with_timezone(&zone);
            if next(&cron, &local, false).is_none() {
                return Err(wrong(format!("`{}` never comes", schedule.schedule)));
            }
            // From the last firing on, so that one that a short restart fell on is still had, and a longer one is told of.
            let since = last.get(&schedule.id).and_then(|last| DateTime::parse_from_rfc3339(&last.at).ok());
            let since = since.map(|at| at.with_timezone(&zone)).filter(|at| *at <= local).unwrap_or(local);
            let next = next(&cron, &since, false);
            rows.push(Row { schedule: schedule.clone(), cron, next });
        }
        Ok(Self { rows, zone, seen: now })
    }

    /// Returns what is due, by time and then by id, and moves each of those schedules on.
    fn due(&mut self, now: DateTime<Utc>) -> Vec<Due> {
        let now = now.trunc_subsecs(0);
        let has_gone_back = self.seen.signed_duration_since(now) > GRACE;
        self.seen = now;
        let local = now.with_timezone(&self.zone);
        let oldest = local.checked_sub_signed(GRACE).unwrap_or(local);
        let mut due = Vec::new();
        for (index, row) in self.rows.iter_mut().enumerate() {
            if has_gone_back {
                // A smaller step back keeps what was planned: nothing fires a second time for the same minute.
                row.next = next(&row.cron, &local, false);
            }
            while let Some(at) = row.next.filter(|at| *at <= local) {
                let is_missed = at < oldest;
                due.push(Due { row: index, at, is_missed });
                row.next = if is_missed { next(&row.cron, &oldest, true) } else { next(&row.cron, &at, false) };
            }
        }
        due.sort_by_key(|due| (due.at, due.row));
        due
    }

    /// Returns how long to sleep.
    fn wait(&self, now: DateTime<Utc>) -> Duration {
        let soonest = self.rows.iter().filter_map(|row| row.next).min();
        let wait = soonest.map(|at| at.signed_duration_since(now).to_std().unwrap_or(Duration::ZERO));
        wait.map_or(LONGEST_SLEEP, |wait| wait.min(LONGEST_SLEEP))
    }
}

fn zone(name: Option<&str>) -> Result<Tz, ReferenceError> {
    let Some(name) = name else { return Ok(Tz::UTC) };
    name.parse().map_err(|_| ReferenceError::TimeZone(name.to_owned()))
}

/// Five fields and nothing else: `@daily` and seconds are no schedules to the compiler either.
fn parse(text: &str) -> Result<Cron, String> {
    if text.split_whitespace().count() != 5 {
        return Err(format!("`{text}` has not five fields"));
    }
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    parser.parse(text).map_err(|error| format!("`{text}`: {error}"))
}

/// Returns the first firing after a time, or at it. A fixed time in the hour that a change of clocks leaves out fires after
/// the change; `None` is a date that never comes, such as the 31st of February.
fn next(cron: &Cron, since: &DateTime<Tz>, is_inclusive: bool) -> Option<DateTime<Tz>> {
    cron.find_next_occurrence(since, is_inclusive).ok()
}
