//! Measures the LLM proxy against a mock provider: `load bench --claw target/release/claw`.
//!
//! ```text
//! load mock  --listen 127.0.0.1:0
//! load relay --listen 127.0.0.1:P --upstream 127.0.0.1:P
//! load drive --url http://127.0.0.1:P --token T --model openai/gpt-4o [--size 1024] [--stream 0] [--gap-ms 0]
//!            [--connections 1] [--requests 1000] [--header 'name: value']…
//! load bench --claw PATH [--rounds 5] [--quick] [--json FILE] [--pin | --no-pin] [--only TITLE] [--rows 1000000]
//!            [--mock 127.0.0.1:P] [--peer-url URL [--peer-cmd CMD] [--peer-token T] [--peer-model M] [--peer-header H]…]
//! ```
//!
//! Exits with 0 when all answers were right, whether targets are met or not, with 1 when one was wrong, and with 2 when
//! nothing could be measured. Not a test: its figures depend on the host.

mod bench;
mod children;
mod client;
mod http;
mod mock;
mod relay;
mod report;
mod sample;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use serde_json::Value;

/// Options that have no value.
const FLAGS: [&str; 3] = ["quick", "pin", "no-pin"];

/// The options of a command line, taken out one by one.
struct Options(BTreeMap<String, Vec<String>>);

impl Options {
    /// Parses `--name value` and flags.
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options: BTreeMap<String, Vec<String>> = BTreeMap::new();
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").ok_or_else(|| format!("`{word}` is no option"))?;
            let value = if FLAGS.contains(&name) { Some(String::new()) } else { words.next() };
            let value = value.ok_or_else(|| format!("`{word}` needs a value"))?;
            options.entry(name.to_owned()).or_default().push(value);
        }
        Ok(Self(options))
    }

    /// Takes all values of an option.
    fn all(&mut self, name: &str) -> Vec<String> {
        self.0.remove(name).unwrap_or_default()
    }

    /// Takes the last value of an option.
    fn text(&mut self, name: &str) -> Option<String> {
        self.all(name).pop()
    }

    /// Takes an option that must be there.
    fn needed(&mut self, name: &str) -> Result<String, String> {
        self.text(name).ok_or_else(|| format!("`--{name}` is missing"))
    }

    /// Takes a number.
    fn number(&mut self, name: &str, default: u64) -> Result<u64, String> {
        let Some(text) = self.text(name) else { return Ok(default) };
        text.parse().map_err(|_| format!("`--{name} {text}` is no number"))
    }

    /// Refuses what is left.
    fn finish(self) -> Result<(), String> {
        self.0.keys().next().map_or(Ok(()), |name| Err(format!("`--{name}` is unknown")))
    }
}

/// Runs a command and returns whether all answers were right.
async fn run(command: &str, mut options: Options) -> Result<bool, String> {
    match command {
        "mock" => {
            let listen = options.needed("listen")?;
            options.finish()?;
            mock::serve(&listen).await?;
            Ok(true)
        }
        "relay" => {
            let (listen, upstream) = (options.needed("listen")?, options.needed("upstream")?);
            options.finish()?;
            relay::serve(&listen, &upstream).await?;
            Ok(true)
        }
        "drive" => drive(options).await,
        "bench" => measure(options).await,
        "janitor" => {
            let directory = options.needed("dir")?;
            options.finish()?;
            children::keep_clean(Path::new(&directory))?;
            Ok(true)
        }
        _ => Err(format!("`{command}` is no command: there are `mock`, `relay`, `drive` and `bench`")),
    }
}

/// Runs a load once.
async fn drive(mut options: Options) -> Result<bool, String> {
    let (url, token, model) = (options.needed("url")?, options.needed("token")?, options.needed("model")?);
    let endpoint = client::Endpoint::new(&url, &token, &model, &options.all("header"))?;
    let load = client::Load {
        size: options.number("size", 1024)? as usize,
        chunks: options.number("stream", 0)?,
        gap_ms: options.number("gap-ms", 0)?,
        connections: options.number("connections", 1)?.max(1) as usize,
        requests: options.number("requests", 1000)? as usize,
    };
    options.finish()?;
    let outcome = client::run(&endpoint, &load).await;
    print(&pretty(&outcome.report())?)?;
    Ok(outcome.errors.is_empty())
}

/// Runs the whole measurement.
async fn measure(mut options: Options) -> Result<bool, String> {
    let is_quick = !options.all("quick").is_empty();
    let pin = match (options.all("pin").is_empty(), options.all("no-pin").is_empty()) {
        (false, false) => return Err("`--pin` and `--no-pin` exclude each other".into()),
        (false, true) => Some(true),
        (true, false) => Some(false),
        (true, true) => None,
    };
    let headers = options.all("peer-header");
    let (command, token, model) = (options.text("peer-cmd"), options.text("peer-token"), options.text("peer-model"));
    let peer = match options.text("peer-url") {
        Some(url) => {
            let (token, model) = (token.unwrap_or_default(), model.unwrap_or_else(|| "openai/gpt-4o".into()));
            Some(bench::Peer { command, endpoint: client::Endpoint::new(&url, &token, &model, &headers)? })
        }
        None if command.is_some() => return Err("`--peer-cmd` needs `--peer-url`".into()),
        None => None,
    };
    let mock = options.text("mock");
    if peer.is_some() && mock.is_none() {
        return Err("a peer needs `--mock`: the address that it is configured to ask".into());
    }
    let json = options.text("json");
    let settings = bench::Settings {
        claw: options.needed("claw")?,
        rounds: options.number("rounds", if is_quick { 2 } else { 5 })?.max(1) as usize,
        is_quick,
        pin,
        mock: mock.unwrap_or_else(|| "127.0.0.1:0".into()),
        rows: options.number("rows", 1_000_000)?,
        only: options.text("only").unwrap_or_default(),
        peer,
    };
    options.finish()?;
    let report = bench::run(settings).await?;
    print(&report.to_string())?;
    if let Some(path) = json {
        std::fs::write(&path, pretty(&report.json())?).map_err(|error| format!("cannot write `{path}`: {error}"))?;
    }
    Ok(report.errors.is_empty())
}

/// Returns JSON for people.
fn pretty(value: &Value) -> Result<String, String> {
    serde_json::to_string_pretty(value).map(|text| text + "\n").map_err(|error| error.to_string())
}

/// Writes to stdout.
fn print(text: &str) -> Result<(), String> {
    std::io::stdout().write_all(text.as_bytes()).map_err(|error| format!("stdout: {error}"))
}

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = runtime
        .map_err(|error| error.to_string())
        .and_then(|runtime| Options::parse(words).and_then(|options| runtime.block_on(run(&command, options))));
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Nothing is left to tell it to if stderr is closed.
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::from(2)
        }
    }
}
