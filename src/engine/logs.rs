//! Logs of a pod: what its containers printed, merged by time.

use claw_types::image::compose;
use futures_util::StreamExt;
use futures_util::stream::{SelectAll, select_all};

use crate::docker::{Docker, EngineError, LogLine, LogOptions, Seen};

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

/// Hands what containers printed to `each`, in the order of time; with `is_following`, goes on as it comes until all ended.
///
/// # Errors
/// Where no log can be read. A container whose log cannot be read is told to `each` as a line of its own.
pub async fn read(
    containers: &[Seen],
    options: &LogOptions,
    docker: &Docker,
    each: &mut dyn FnMut(Line),
) -> Result<(), EngineError> {
    if !options.is_following {
        let mut lines = Vec::new();
        for seen in containers {
            let mut stream = std::pin::pin!(docker.logs(&seen.id, options));
            while let Some(line) = stream.next().await {
                match line {
                    Ok(line) => lines.push(Line { source: source(seen), line }),
                    Err(error) => lines.push(unreadable(seen, &error)),
                }
            }
        }
        // Times are of one length and end in `Z`, so they sort as text; lines of one time stay in order.
        lines.sort_by(|left, right| left.line.time.cmp(&right.line.time));
        lines.into_iter().for_each(each);
        return Ok(());
    }
    let tagged =
        containers.iter().map(|seen| docker.logs(&seen.id, options).map(move |line| (seen, line)).boxed_local());
    let mut all: SelectAll<_> = select_all(tagged);
    while let Some((seen, line)) = all.next().await {
        each(match line {
            Ok(line) => Line { source: source(seen), line },
            Err(error) => unreadable(seen, &error),
        });
    }
    Ok(())
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
