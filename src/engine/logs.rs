//! Logs of a pod: what its containers printed, merged by time. `follow.rs` goes on with what they print from then on.

use claw_types::image::compose;
use futures_util::StreamExt;
use futures_util::stream::LocalBoxStream;

use crate::docker::{Docker, EngineError, LogLine, LogOptions, Seen};

mod follow;

pub use follow::follow;

/// A line and the container it is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The service, with the container's number where there are several.
    pub source: String,
    /// What was printed, and when.
    pub line: LogLine,
}

/// Returns a container's short name: its service, with its number where it is not the first.
pub fn source(seen: &Seen) -> String {
    match seen.label(compose::NUMBER) {
        "" | "1" => seen.service().to_owned(),
        number => format!("{}-{number}", seen.service()),
    }
}

/// Hands what containers printed to `each`, in the order of time. At any moment one line of each container is held.
///
/// A container whose log cannot be read is told to `each` as a line of its own.
pub async fn read(containers: &[Seen], options: &LogOptions, docker: &Docker, each: &mut dyn FnMut(&Seen, Line)) {
    let mut streams: Vec<_> =
        containers.iter().map(|seen| (seen, docker.logs(&seen.id, options).boxed_local())).collect();
    let mut heads: Vec<Option<Line>> = Vec::new();
    for (seen, stream) in &mut streams {
        heads.push(next(seen, stream).await);
    }
    // Times are of one length and end in `Z`, so they sort as text; of lines of one time the first container's comes first.
    let time = |head: &Option<Line>| head.as_ref().map(|line| line.line.time.clone());
    while let Some((_, place)) = heads.iter().enumerate().filter_map(|(at, head)| Some((time(head)?, at))).min() {
        let (seen, stream) = &mut streams[place];
        if let Some(line) = std::mem::replace(&mut heads[place], next(seen, stream).await) {
            each(seen, line);
        }
    }
}

type Log = LocalBoxStream<'static, Result<LogLine, EngineError>>;

async fn next(seen: &Seen, stream: &mut Log) -> Option<Line> {
    Some(line_of(seen, stream.next().await?))
}

fn line_of(seen: &Seen, line: Result<LogLine, EngineError>) -> Line {
    match line {
        Ok(line) => Line { source: source(seen), line },
        Err(error) => unreadable(seen, &error),
    }
}

fn unreadable(seen: &Seen, error: &EngineError) -> Line {
    let text = format!("claw: {error}");
    Line { source: source(seen), line: LogLine { time: String::new(), is_error: true, text } }
}

/// Returns the last lines of a container, for a message.
pub(crate) async fn last(docker: &Docker, container: &str) -> String {
    let options = LogOptions { tail: Some(5), ..LogOptions::default() };
    let lines: Vec<String> =
        docker.logs(container, &options).filter_map(|line| async { line.ok().map(|line| line.text) }).collect().await;
    if lines.is_empty() { "it printed nothing".to_owned() } else { lines.join("; ") }
}
