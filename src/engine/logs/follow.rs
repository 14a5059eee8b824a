//! Following logs: what containers print from now on, of those that are started meanwhile too. Lines of several containers arrive as
//! the engine sends them; each waits a moment for earlier ones.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use claw_types::image::compose;
use futures_util::StreamExt;
use futures_util::stream::{LocalBoxStream, SelectAll};
use tokio::time::Instant;

use super::{Line, line_of, read};
use crate::docker::{Docker, EngineError, LogLine, LogOptions, Seen};

/// How long a line waits for earlier ones of other containers.
const WINDOW: Duration = Duration::from_millis(200);

/// Lines that wait, in the order of their time.
#[derive(Default)]
struct Window {
    lines: BTreeMap<(String, u64), Line>,
    arrived: VecDeque<(Instant, (String, u64))>,
    count: u64,
}

impl Window {
    fn add(&mut self, line: Line, now: Instant) {
        self.count += 1;
        let key = (line.line.time.clone(), self.count);
        self.arrived.push_back((now + WINDOW, key.clone()));
        self.lines.insert(key, line);
    }

    /// Returns when the next line has waited long enough.
    fn deadline(&self) -> Option<Instant> {
        self.arrived.front().map(|(deadline, _)| *deadline)
    }

    /// Returns the lines that have waited long enough, and those before them in time.
    fn due(&mut self, now: Instant) -> Vec<Line> {
        let mut last = None;
        while self.deadline().is_some_and(|deadline| deadline <= now) {
            last = last.max(self.arrived.pop_front().map(|(_, key)| key));
        }
        let Some(last) = last else { return Vec::new() };
        let later = self.lines.split_off(&(last.0, last.1 + 1));
        let due = std::mem::replace(&mut self.lines, later);
        self.arrived.retain(|(_, key)| self.lines.contains_key(key));
        due.into_values().collect()
    }

    fn rest(&mut self) -> Vec<Line> {
        self.arrived.clear();
        std::mem::take(&mut self.lines).into_values().collect()
    }
}

/// What comes of the logs that are followed.
enum Piece {
    Line(String, Result<LogLine, EngineError>),
    Ended(String),
}

/// The logs that are followed.
struct Following<'f> {
    docker: &'f Docker,
    pieces: SelectAll<LocalBoxStream<'static, Piece>>,
    /// Containers by id.
    containers: BTreeMap<String, Seen>,
    /// Those whose log is being read.
    open: BTreeSet<String>,
    /// Those that are about to run again.
    due: BTreeSet<String>,
    /// The time of the last line of each.
    last: BTreeMap<String, String>,
    /// Nothing older is read where nothing was read.
    since: Option<i32>,
}

impl Following<'_> {
    /// Begins to read a container's log behind what was read of it; where nothing was, as `options` say.
    fn attach(&mut self, seen: Seen, options: &LogOptions) {
        let last = self.last.get(&seen.id).cloned();
        let since = last.as_ref().and_then(|time| chrono::DateTime::parse_from_rfc3339(time).ok());
        let options = LogOptions {
            is_following: true,
            tail: options.tail.filter(|_| since.is_none()),
            since: since.and_then(|time| i32::try_from(time.timestamp()).ok()).or(options.since),
            until: None,
        };
        let id = seen.id.clone();
        let (of_line, of_end) = (id.clone(), id.clone());
        let is_later = move |line: &Result<LogLine, EngineError>| {
            line.as_ref().map_or(true, |line| last.as_ref().is_none_or(|last| line.time > *last))
        };
        let log = self.docker.logs(&id, &options).filter(move |line| std::future::ready(is_later(line)));
        let log = log.map(move |line| Piece::Line(of_line.clone(), line));
        let end = futures_util::stream::once(std::future::ready(Piece::Ended(of_end)));
        self.pieces.push(log.chain(end).boxed_local());
        self.due.remove(&id);
        self.open.insert(id.clone());
        self.containers.insert(id, seen);
    }

    /// A log has ended: its container may run again by itself, or do so already. Returns what the engine did not send.
    async fn ended(&mut self, id: &str) -> Result<Vec<Line>, EngineError> {
        self.open.remove(id);
        let rest = self.rest(id).await;
        match self.docker.container(id).await? {
            Some(seen) if seen.state.is_running => self.attach(seen, &LogOptions::default()),
            Some(seen) if seen.state.is_restarting => drop(self.due.insert(id.to_owned())),
            _ => drop(self.due.remove(id)),
        }
        Ok(rest)
    }

    /// Returns what a container printed behind the last line that was read: an engine may end the log it sends before the last line
    /// of a container that ended (seen with Docker Engine 20.10).
    async fn rest(&mut self, id: &str) -> Vec<Line> {
        let Some(seen) = self.containers.get(id) else { return Vec::new() };
        let last = self.last.get(id).cloned().unwrap_or_default();
        let since = chrono::DateTime::parse_from_rfc3339(&last).ok();
        let since = since.and_then(|time| i32::try_from(time.timestamp()).ok());
        // One that had printed nothing when it was first looked at may have printed before that time.
        let options = LogOptions { since: since.or(self.since), ..LogOptions::default() };
        let mut lines = Vec::new();
        let mut keep = |_: &Seen, line: Line| {
            if line.line.time > last {
                lines.push(line);
            }
        };
        read(std::slice::from_ref(seen), &options, self.docker, &mut keep).await;
        if let Some(line) = lines.last() {
            self.last.insert(id.to_owned(), line.line.time.clone());
        }
        lines
    }
}

/// Hands what containers printed to `each`, in the order of time, and goes on as it comes: also of containers that are made or
/// started meanwhile for which `is_wanted` says so of their service and number. Returns once none of them runs.
///
/// # Errors
/// Where the engine does not answer any more. A log that cannot be read is told to `each` as a line of its own.
pub async fn follow(
    (project, containers): (&str, &[Seen]),
    is_wanted: &dyn Fn(&str, &str) -> bool,
    options: &LogOptions,
    docker: &Docker,
    each: &mut dyn FnMut(Line),
) -> Result<(), EngineError> {
    let mut events = std::pin::pin!(docker.events(project, None, None));
    let mut last = BTreeMap::new();
    if options.tail != Some(0) {
        let mut keep = |seen: &Seen, line: Line| {
            last.insert(seen.id.clone(), line.line.time.clone());
            each(line);
        };
        read(containers, &LogOptions { is_following: false, ..options.clone() }, docker, &mut keep).await;
    }
    let mut following = Following {
        docker,
        pieces: SelectAll::new(),
        containers: BTreeMap::new(),
        open: BTreeSet::new(),
        due: BTreeSet::new(),
        last,
        since: if options.tail == Some(0) { Some(now()) } else { options.since },
    };
    // What was to be read is read; where nothing was to be, nothing of before is read now.
    let from_now = LogOptions { tail: options.tail.filter(|lines| *lines == 0), ..options.clone() };
    for seen in containers {
        following.attach(seen.clone(), &from_now);
    }
    let mut window = Window::default();
    while !following.open.is_empty() || !following.due.is_empty() {
        let deadline = window.deadline();
        let waited = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            piece = following.pieces.next(), if !following.open.is_empty() => match piece {
                Some(Piece::Line(id, line)) => {
                    let Some(seen) = following.containers.get(&id) else { continue };
                    let line = line_of(seen, line);
                    following.last.insert(id, line.line.time.clone());
                    window.add(line, Instant::now());
                }
                Some(Piece::Ended(id)) => {
                    let rest = following.ended(&id).await?;
                    rest.into_iter().for_each(|line| window.add(line, Instant::now()));
                }
                None => break,
            },
            () = waited => window.due(Instant::now()).into_iter().for_each(&mut *each),
            event = events.next() => {
                let Some(event) = event.transpose()? else { break };
                let is_due = following.due.contains(&event.id);
                match event.action.as_str() {
                    "start" if !following.open.contains(&event.id) && (is_due || is_wanted(event.label(compose::SERVICE), event.label(compose::NUMBER))) => {
                        if let Some(seen) = docker.container(&event.id).await?.filter(|seen| !seen.is_oneoff()) {
                            following.attach(seen, &LogOptions::default());
                        }
                    }
                    "die" | "stop" | "destroy" if is_due => drop(following.ended(&event.id).await?),
                    _ => {}
                }
            }
        }
    }
    window.rest().into_iter().for_each(each);
    Ok(())
}

fn now() -> i32 {
    i32::try_from(chrono::Utc::now().timestamp()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(time: &str) -> Line {
        let line = LogLine { time: time.to_owned(), is_error: false, text: String::new() };
        Line { source: "web".to_owned(), line }
    }

    fn times(lines: Vec<Line>) -> Vec<String> {
        lines.into_iter().map(|line| line.line.time).collect()
    }

    #[test]
    fn a_line_waits_for_earlier_ones_and_no_longer() {
        let start = Instant::now();
        let at = |milliseconds: u64| start + Duration::from_millis(milliseconds);
        let mut window = Window::default();
        window.add(line("2"), at(0));
        window.add(line("4"), at(50));
        window.add(line("1"), at(100));
        window.add(line("2"), at(150));
        assert_eq!(times(window.due(at(199))), Vec::<String>::new());
        assert_eq!(window.deadline(), Some(at(200)));
        assert_eq!(times(window.due(at(200))), ["1", "2"], "the second of one time came later");
        window.add(line("3"), at(210));
        assert_eq!(times(window.due(at(250))), ["2", "3", "4"]);
        assert_eq!(window.deadline(), None);
        window.add(line("5"), at(260));
        assert_eq!(times(window.rest()), ["5"]);
    }
}
