//! The load generator: keeps connections busy, checks every answer and takes the times.
//!
//! Times start before the request is written. The first byte is the first byte of the body, not of the head: a gateway
//! gains nothing by an early head. An answer is checked after its time is taken.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::http::{self, Inbox};
use crate::{mock, sample};

/// The longest answer.
const MAX_BODY: usize = 64 * 1024 * 1024;
/// A run in which nothing ends for this long, and the length of a stream, has failed.
const STALL: Duration = Duration::from_secs(30);

/// Who is asked.
#[derive(Clone)]
pub(crate) struct Endpoint {
    /// `host:port`.
    pub address: String,
    /// What stands before `/v1`, or nothing.
    pub prefix: String,
    /// The bearer token.
    pub token: String,
    /// The model.
    pub model: String,
    /// Further headers.
    pub headers: Vec<String>,
}

impl Endpoint {
    /// Parses `http://host:port/prefix`.
    pub(crate) fn new(url: &str, token: &str, model: &str, headers: &[String]) -> Result<Self, String> {
        let rest = url.strip_prefix("http://").ok_or_else(|| format!("`{url}` is no http URL"))?.trim_end_matches('/');
        let (address, prefix) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
        let prefix = prefix.trim_end_matches("/v1").to_owned();
        let (token, model) = (token.to_owned(), model.to_owned());
        Ok(Self { address: address.to_owned(), prefix, token, model, headers: headers.to_vec() })
    }
}

/// What is asked, and how often.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    /// Bytes of a request's body.
    pub size: usize,
    /// Events of text in a stream; 0 asks for a whole answer.
    pub chunks: u64,
    /// Time between two events.
    pub gap_ms: u64,
    /// Connections, each with one request at a time.
    pub connections: usize,
    /// Requests of all connections together.
    pub requests: usize,
}

/// Times in microseconds, sorted.
#[derive(Default)]
pub(crate) struct Times(Vec<f64>);

impl Times {
    /// Returns the time that a share of all times does not exceed; 0 without times.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let rank = (self.0.len() as f64 * share).ceil() as usize;
        self.0.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }
}

/// What a run has shown.
#[derive(Default)]
pub(crate) struct Outcome {
    /// Right answers.
    pub requests: usize,
    /// Time of the whole run.
    pub seconds: f64,
    /// Times up to the end of the answers.
    pub latency: Times,
    /// Times up to the first byte of the answers' bodies.
    pub first_byte: Times,
    /// What the generator itself has used.
    pub cpu_seconds: f64,
    /// Wrong answers, by what is wrong with them.
    pub errors: BTreeMap<String, usize>,
}

impl Outcome {
    /// Returns the outcome as it is reported.
    pub(crate) fn report(&self) -> Value {
        let rounded = |value: f64| (value * 10.0).round() / 10.0;
        let quantile = |times: &Times, share| rounded(times.quantile(share));
        json!({
            "requests": self.requests,
            "seconds": self.seconds,
            "rps": rounded(self.requests as f64 / self.seconds.max(1e-9)),
            "latency_us": {"p50": quantile(&self.latency, 0.5), "p99": quantile(&self.latency, 0.99)},
            "first_byte_us": {"p50": quantile(&self.first_byte, 0.5), "p99": quantile(&self.first_byte, 0.99)},
            "cpu_seconds": self.cpu_seconds,
            "errors": self.errors,
        })
    }
}

/// What one connection has seen: the times to the first byte and to the end, and errors.
#[derive(Default)]
struct Seen {
    times: Vec<(Duration, Duration)>,
    errors: BTreeMap<String, usize>,
}

/// A connection with its buffers.
struct Connection {
    stream: TcpStream,
    inbox: Inbox,
    body: Vec<u8>,
}

impl Connection {
    /// Connects.
    async fn open(address: &str) -> Result<Self, String> {
        let stream = TcpStream::connect(address).await.map_err(|error| format!("connect: {error}"))?;
        stream.set_nodelay(true).map_err(|error| format!("connect: {error}"))?;
        Ok(Self { stream, inbox: Inbox::default(), body: Vec::new() })
    }

    /// Sends one request and reads its answer; says whether the connection can be used again.
    async fn exchange(&mut self, request: &[u8], chunks: u64) -> Result<(Duration, Duration, bool), String> {
        let start = Instant::now();
        self.stream.write_all(request).await.map_err(|error| format!("write: {error}"))?;
        let head = http::read_head(&mut self.stream, &mut self.inbox).await?.ok_or("no answer")?;
        let status = String::from_utf8_lossy(self.inbox.pending().get(9..12).unwrap_or_default()).into_owned();
        self.inbox.consume(head.length);
        let first = http::read_body(&mut self.stream, &mut self.inbox, head.framing, MAX_BODY, &mut self.body).await?;
        let total = start.elapsed();
        if status != "200" {
            let text: String = String::from_utf8_lossy(&self.body).chars().take(200).collect();
            return Err(format!("status {status}: {text}"));
        }
        if chunks == 0 {
            check_whole(&self.body)?
        } else {
            check_stream(&self.body, chunks)?
        }
        let is_open = !head.closes && !matches!(head.framing, http::Framing::Absent);
        Ok((first - start, total, is_open))
    }
}

/// Checks that a whole answer is the mock's.
fn check_whole(body: &[u8]) -> Result<(), String> {
    let answer: Value = serde_json::from_slice(body).map_err(|error| format!("the answer is no JSON: {error}"))?;
    if answer.pointer("/choices/0/message/content").and_then(Value::as_str) != Some(mock::REPLY) {
        return Err("the answer's text is not the provider's".into());
    }
    if answer.pointer("/usage/prompt_tokens").and_then(Value::as_u64) != Some(mock::PROMPT_TOKENS) {
        return Err("the answer's usage is not the provider's".into());
    }
    Ok(())
}

/// Checks that a stream has every event of the mock's and one end.
fn check_stream(body: &[u8], chunks: u64) -> Result<(), String> {
    let word = format!("\"{}\"", mock::WORD);
    let (mut words, mut ends) = (0, 0);
    for line in body.split(|&byte| byte == b'\n') {
        let Some(event) = line.strip_prefix(b"data:") else { continue };
        words += u64::from(http::find_last(event, word.as_bytes()).is_some());
        ends += u32::from(event.trim_ascii() == b"[DONE]");
    }
    match (words == chunks, ends) {
        (true, 1) => Ok(()),
        (true, _) => Err(format!("the stream has {ends} `[DONE]`")),
        (false, _) => Err(format!("the stream has {words} of {chunks} events")),
    }
}

/// Writes the request that `load` sends: `messages` before the other fields, as the SDKs write it, so that a gateway has
/// to read the whole body to find the model.
pub(crate) fn request(endpoint: &Endpoint, load: &Load) -> Vec<u8> {
    const PROSE: &str = "Read the file \"src/main.rs\", then say in a few words what it does.\nDo not change it.\n\t- ";
    let marker = format!(" x_chunks={} x_gap_ms={}", load.chunks, load.gap_ms);
    let written = |messages: &[Value]| {
        json!({"messages": messages, "model": endpoint.model, "stream": load.chunks > 0, "x_chunks": load.chunks,
            "x_gap_ms": load.gap_ms})
        .to_string()
    };
    let mut messages = vec![json!({"role": "system", "content": "You are a careful agent."})];
    while written(&messages).len() + 8192 < load.size {
        let role = if messages.len() % 2 == 1 { "user" } else { "assistant" };
        messages.extend([json!({"role": role, "content": PROSE.repeat(4096 / PROSE.len())})]);
    }
    messages.push(json!({"role": "user", "content": marker}));
    let missing = load.size.saturating_sub(written(&messages).len());
    if let Some(last) = messages.last_mut() {
        let filler: String = "What changed? ".chars().cycle().take(missing).collect();
        last["content"] = Value::String(filler + &marker);
    }
    let body = written(&messages);
    let Endpoint { address, prefix, token, .. } = endpoint;
    let headers: String = endpoint.headers.iter().map(|header| format!("{header}\r\n")).collect();
    format!(
        "POST {prefix}/v1/chat/completions HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\naccept: */*\r\nuser-agent: load/1\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Runs a load against an endpoint.
pub(crate) async fn run(endpoint: &Endpoint, load: &Load) -> Outcome {
    let request: Arc<[u8]> = request(endpoint, load).into();
    let started = Arc::new(AtomicUsize::new(0));
    let mut connections = Vec::new();
    for _ in 0..load.connections {
        match Connection::open(&endpoint.address).await {
            Ok(connection) => connections.push(connection),
            Err(error) => return Outcome { errors: BTreeMap::from([(error, 1)]), ..Outcome::default() },
        }
    }
    let (cpu, start, load) = (sample::own_cpu_seconds(), Instant::now(), *load);
    let tasks = connections.into_iter().map(|connection| {
        let (request, started, address) = (Arc::clone(&request), Arc::clone(&started), endpoint.address.clone());
        tokio::spawn(keep_busy(connection, address, request, started, load))
    });
    let seen = gather(tasks.collect(), &started, STALL + Duration::from_millis(load.chunks * load.gap_ms)).await;
    let (seconds, cpu_seconds) = (start.elapsed().as_secs_f64(), sample::own_cpu_seconds() - cpu);
    let sorted = |pick: fn(&(Duration, Duration)) -> Duration| {
        let mut times: Vec<f64> = seen.times.iter().map(|pair| pick(pair).as_secs_f64() * 1e6).collect();
        times.sort_by(f64::total_cmp);
        Times(times)
    };
    let (first_byte, latency) = (sorted(|pair| pair.0), sorted(|pair| pair.1));
    Outcome { requests: seen.times.len(), seconds, latency, first_byte, cpu_seconds, errors: seen.errors }
}

/// Sends requests over one connection, one after the other, until all connections have sent enough.
async fn keep_busy(
    mut connection: Connection,
    address: String,
    request: Arc<[u8]>,
    started: Arc<AtomicUsize>,
    load: Load,
) -> Seen {
    let mut seen = Seen::default();
    while started.fetch_add(1, Ordering::Relaxed) < load.requests {
        let is_open = match connection.exchange(&request, load.chunks).await {
            Ok((first, total, is_open)) => {
                seen.times.push((first, total));
                is_open
            }
            Err(error) => {
                *seen.errors.entry(error).or_default() += 1;
                false
            }
        };
        if !is_open {
            connection = match Connection::open(&address).await {
                Ok(connection) => connection,
                Err(error) => {
                    *seen.errors.entry(error).or_default() += 1;
                    break;
                }
            };
        }
    }
    seen
}

/// Waits for all connections; gives up on those that are left when no request has begun for too long.
async fn gather(tasks: Vec<JoinHandle<Seen>>, started: &AtomicUsize, stall: Duration) -> Seen {
    let mut patience = stall;
    let mut all = Seen::default();
    let mut begun = 0;
    for mut task in tasks {
        let seen = loop {
            match tokio::time::timeout(patience, &mut task).await {
                Ok(seen) => break seen.map_err(|error| format!("the load generator failed: {error}")),
                Err(_) if started.load(Ordering::Relaxed) != begun => begun = started.load(Ordering::Relaxed),
                Err(_) => {
                    task.abort();
                    patience = Duration::ZERO;
                    break Err(format!("no answer within {} s", stall.as_secs()));
                }
            }
        };
        match seen {
            Ok(seen) => {
                all.times.extend(seen.times);
                for (error, count) in seen.errors {
                    *all.errors.entry(error).or_default() += count;
                }
            }
            Err(error) => *all.errors.entry(error).or_default() += 1,
        }
    }
    all
}
