//! What comes in pieces: events, logs.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bollard::container::LogOutput;
use bollard::models::EventMessage;
use bollard::query_parameters as query;
use chrono::{DateTime, SecondsFormat};
use futures_util::{Stream, StreamExt};
use sha2::Digest;

use super::{Docker, EngineError, failed, of_project};

/// What happens to the containers of a project, from the moment it was asked for.
pub struct Changes<'d> {
    events: Pin<Box<dyn Stream<Item = Result<EventMessage, bollard::errors::Error>> + 'd>>,
}

/// The longest a change is waited for before the state is looked at again: an event may get lost with its connection.
const LOOK_AGAIN: Duration = Duration::from_secs(15);

impl Changes<'_> {
    /// Returns once something happened.
    pub async fn next(&mut self) {
        if let Ok(None | Some(Err(_))) = tokio::time::timeout(LOOK_AGAIN, self.events.next()).await {
            // The stream ended or broke: looking again too soon would be a busy loop.
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

/// Returns a name that no other run gives, nor this one again.
pub(crate) fn unique() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    format!("claw-{}-{now}", std::process::id())
}

/// Returns twelve hexadecimal digits that no other run gives, nor this one again.
pub fn token() -> String {
    sha2::Sha256::digest(unique()).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// A line of a container's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When it was printed, RFC 3339 with nanoseconds: sorts as text.
    pub time: String,
    /// It came on standard error.
    pub is_error: bool,
    /// The line without its end.
    pub text: String,
}

/// Which lines are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Go on with new lines.
    pub is_following: bool,
    /// This many of the last lines; all where absent.
    pub tail: Option<u64>,
    /// Seconds of Unix time; nothing before it.
    pub since: Option<i32>,
    /// Seconds of Unix time; nothing after it.
    pub until: Option<i32>,
}

/// Something that happened to what has a project's label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, RFC 3339 with nanoseconds.
    pub time: String,
    /// To what: `container`, `network`, `volume`, `image`.
    pub kind: String,
    /// The engine's word, such as `start` or `health_status: healthy`.
    pub action: String,
    /// Its id.
    pub id: String,
    /// What the engine says of it, its labels among that.
    pub attributes: BTreeMap<String, String>,
}

impl Event {
    fn of(message: EventMessage) -> Self {
        let actor = message.actor.unwrap_or_default();
        let nanoseconds = message.time_nano.unwrap_or_else(|| message.time.unwrap_or(0).saturating_mul(1_000_000_000));
        Self {
            time: DateTime::from_timestamp_nanos(nanoseconds).to_rfc3339_opts(SecondsFormat::Nanos, true),
            kind: message.typ.map(|kind| kind.to_string()).unwrap_or_default(),
            action: message.action.unwrap_or_default(),
            id: actor.id.unwrap_or_default(),
            attributes: actor.attributes.unwrap_or_default().into_iter().collect(),
        }
    }

    /// Returns a label of what it happened to; empty where it has none.
    pub fn label(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

impl Docker {
    /// Returns what happens to the containers of a project from now on.
    pub fn changes(&self, project: &str) -> Changes<'_> {
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let filters = std::collections::HashMap::from([
            ("label".to_owned(), vec![of_project(project)]),
            ("type".to_owned(), words(&["container"])),
            ("event".to_owned(), words(&["start", "die", "health_status", "destroy", "stop"])),
        ]);
        // The call goes out with the first poll; naming its begin makes what happens until then part of the answer.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let options = query::EventsOptionsBuilder::default().since(&now.to_string()).filters(&filters).build();
        Changes { events: Box::pin(self.api.events(Some(options))) }
    }

    /// Returns what happens to everything that has a project's label, from a point of Unix time in seconds or from now on; with
    /// `until` it ends there.
    ///
    /// # Errors
    /// Each item fails where the engine does not answer any more.
    pub fn events(
        &self,
        project: &str,
        since: Option<i64>,
        until: Option<i64>,
    ) -> impl Stream<Item = Result<Event, EngineError>> + use<> {
        let filters = std::collections::HashMap::from([("label".to_owned(), vec![of_project(project)])]);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // What happens until the call has gone out is a part of the answer: to the nanosecond, so that nothing before it is.
        let now = format!("{}.{:09}", now.as_secs(), now.subsec_nanos());
        let since = since.map_or(now, |since| since.to_string());
        let mut options = query::EventsOptionsBuilder::default().since(&since).filters(&filters);
        if let Some(until) = until {
            options = options.until(&until.to_string());
        }
        let project = project.to_owned();
        self.api
            .events(Some(options.build()))
            .map(move |event| event.map(Event::of).map_err(failed("tell what happens to", &project)))
    }

    /// Returns what a container printed, line by line in the engine's order; the last line needs no end.
    ///
    /// # Errors
    /// Each item fails where the engine refuses, for example because the logging driver cannot be read.
    pub fn logs(
        &self,
        container: &str,
        options: &LogOptions,
    ) -> impl Stream<Item = Result<LogLine, EngineError>> + use<> {
        let container = container.to_owned();
        let mut asked = query::LogsOptionsBuilder::default()
            .stdout(true)
            .stderr(true)
            .timestamps(true)
            .follow(options.is_following)
            .tail(&options.tail.map_or("all".to_owned(), |lines| lines.to_string()));
        if let Some(since) = options.since {
            asked = asked.since(since);
        }
        if let Some(until) = options.until {
            asked = asked.until(until);
        }
        let pieces = self.api.logs(&container, Some(asked.build()));
        let ended = futures_util::stream::once(async { None });
        let pieces = pieces.map(Some).chain(ended);
        pieces
            .scan(Lines::default(), move |lines, piece| {
                let out = match piece {
                    Some(Ok(piece)) => lines.take(piece).into_iter().map(Ok).collect(),
                    Some(Err(error)) => vec![Err(failed("read the log of", &container)(error))],
                    None => lines.rest().into_iter().map(Ok).collect(),
                };
                futures_util::future::ready(Some(futures_util::stream::iter(out)))
            })
            .flatten()
    }
}

/// Pieces of output become lines: a long line comes in several pieces, each with a time of its own.
#[derive(Default)]
struct Lines {
    open: [String; 2],
}

/// The engine cuts lines of this many bytes. A shorter piece without an end is the last line of a run.
const CUT: usize = 16 * 1024;

impl Lines {
    fn take(&mut self, piece: LogOutput) -> Vec<LogLine> {
        let is_error = matches!(piece, LogOutput::StdErr { .. });
        // Where a terminal prints, pieces are what came at a time.
        let is_terminal = matches!(piece, LogOutput::Console { .. });
        let bytes = piece.into_bytes();
        let text = String::from_utf8_lossy(&bytes);
        let open = &mut self.open[usize::from(is_error)];
        // What follows a cut begins with a time again, which is no part of the line.
        let (size, more) = match text.split_once(' ') {
            Some((time, rest)) if is_time(time) => {
                (bytes.len() - time.len() - 1, if open.is_empty() { &text } else { rest })
            }
            _ => (bytes.len(), text.as_ref()),
        };
        open.push_str(more);
        let mut lines = Vec::new();
        while let Some(end) = open.find('\n') {
            let rest = open.split_off(end + 1);
            let line = std::mem::replace(open, rest);
            lines.extend(line_of(line.trim_end_matches(['\n', '\r']), is_error));
        }
        if !is_terminal && size < CUT && !open.is_empty() {
            lines.extend(line_of(&std::mem::take(open), is_error));
        }
        lines
    }

    fn rest(&mut self) -> Vec<LogLine> {
        let rest = [(0, false), (1, true)].map(|(at, is_error)| line_of(&std::mem::take(&mut self.open[at]), is_error));
        rest.into_iter().flatten().collect()
    }
}

fn is_time(text: &str) -> bool {
    text.len() >= 20 && text.as_bytes().get(10) == Some(&b'T') && text.ends_with('Z')
}

fn line_of(line: &str, is_error: bool) -> Option<LogLine> {
    let (time, text) = line.split_once(' ').unwrap_or((line, ""));
    if time.is_empty() {
        return None;
    }
    Some(LogLine { time: time.to_owned(), is_error, text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(text: &str) -> LogOutput {
        LogOutput::StdOut { message: text.to_owned().into() }
    }

    #[test]
    fn a_line_in_pieces_is_one_line_and_the_last_needs_no_end() {
        let mut lines = Lines::default();
        let time = "2026-01-01T00:00:00.000000001Z";
        let line = |text: &str| LogLine { time: time.to_owned(), is_error: false, text: text.to_owned() };
        let long = "x".repeat(CUT);
        assert_eq!(lines.take(piece(&format!("{time} {long}"))), []);
        assert_eq!(lines.take(piece(&format!("{time} cd\n"))), [line(&format!("{long}cd"))]);
        // The end of one run, and the begin of the next.
        assert_eq!(lines.take(piece(&format!("{time} no end"))), [line("no end")]);
        assert_eq!(lines.take(piece(&format!("{time} first\n"))), [line("first")]);
        assert_eq!(lines.take(piece(&format!("{time} {long}"))), []);
        assert_eq!(lines.rest(), [line(&long)]);
        assert_eq!(lines.rest(), []);
    }
}
