//! The audit: one JSON line an event on standard output, written by a thread of its own so that no call waits for it.

use std::cell::RefCell;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::account::End;
use crate::calendar::time_text;
use crate::ledger::book::Settled;
use crate::live::Live;
use crate::manifest::Manifest;
use crate::money::Money;
use crate::wire::usage::Usage;

/// The version of a line.
pub(crate) const VERSION: u32 = 1;

/// The most bytes that wait to be written: what is beyond them is dropped, and told.
const WAITING: usize = 8 << 20;

/// How long lines are gathered before they are written.
const GATHER: Duration = Duration::from_millis(5);

enum Message {
    Line(Vec<u8>),
    Flush(Sender<()>),
}

/// Where lines go.
pub(crate) struct Audit {
    pod: String,
    kind: String,
    lines: Sender<Message>,
    waiting: Arc<AtomicUsize>,
    dropped: RefCell<u64>,
}

impl Audit {
    /// Returns an audit that writes to `out`.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub(crate) fn new(pod: &str, kind: &str, out: impl Write + Send + 'static) -> std::io::Result<Self> {
        let (lines, received) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let left = Arc::clone(&waiting);
        let thread = std::thread::Builder::new().name("audit".to_owned()).stack_size(64 * 1024);
        thread.spawn(move || write(&received, &left, out))?;
        Ok(Self { pod: pod.to_owned(), kind: kind.to_owned(), lines, waiting, dropped: RefCell::new(0) })
    }

    /// Writes an event: its type, its time in milliseconds since 1970, the agent it is about, and what else it says.
    pub(crate) fn event(&self, event: &str, at: u64, agent: Option<&str>, more: Map<String, Value>) {
        let mut line = Map::new();
        line.insert("v".to_owned(), VERSION.into());
        line.insert("ts".to_owned(), time_text(at).into());
        line.insert("type".to_owned(), event.into());
        line.insert("pod".to_owned(), self.pod.as_str().into());
        line.insert("proxy".to_owned(), self.kind.as_str().into());
        line.insert("claw_id".to_owned(), agent.into());
        line.entry("intervention").or_insert(Value::Null);
        line.extend(more);
        self.line(&line);
    }

    /// Writes a line.
    pub(crate) fn line(&self, line: &impl Serialize) {
        let mut text = Vec::with_capacity(1024);
        // A line holds texts and numbers: writing it cannot fail.
        let _ = serde_json::to_writer(&mut text, line);
        text.push(b'\n');
        if self.waiting.load(Ordering::Relaxed) + text.len() > WAITING {
            *self.dropped.borrow_mut() += 1;
            return;
        }
        self.waiting.fetch_add(text.len(), Ordering::Relaxed);
        // The thread lives as long as the process: there is nobody to tell otherwise.
        let _ = self.lines.send(Message::Line(text));
    }

    /// Returns how many lines were dropped because nobody took them.
    pub(crate) fn dropped(&self) -> u64 {
        *self.dropped.borrow()
    }

    /// Waits until everything is written, for five seconds at most.
    pub(crate) fn flush(&self) {
        let (done, waited) = channel();
        if self.lines.send(Message::Flush(done)).is_ok() {
            let _ = waited.recv_timeout(Duration::from_secs(5));
        }
    }
}

fn write(received: &Receiver<Message>, waiting: &AtomicUsize, mut out: impl Write) {
    let mut bytes = Vec::new();
    while let Ok(first) = received.recv() {
        // Lines come in bursts: one write takes them all.
        if matches!(first, Message::Line(_)) {
            std::thread::sleep(GATHER);
        }
        let mut flushed = Vec::new();
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Line(line) => bytes.extend_from_slice(&line),
                Message::Flush(done) => flushed.push(done),
            }
            next = if bytes.len() < 64 * 1024 { received.try_recv().ok() } else { None };
        }
        // A log that cannot be written has nobody to tell.
        let _ = out.write_all(&bytes).and_then(|()| out.flush());
        waiting.fetch_sub(bytes.len(), Ordering::Relaxed);
        bytes.clear();
        for done in flushed {
            let _ = done.send(());
        }
    }
}

/// When a call ended, and what it took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// When, in milliseconds since 1970.
    pub(crate) at: u64,
    /// From its arrival to its end, in microseconds.
    pub(crate) us: u64,
    /// From its arrival to the first byte of its answer.
    pub(crate) first_byte_us: Option<u64>,
}

/// The line of a call that has ended: as a structure, for it is the one that is written most.
#[derive(Serialize)]
pub(crate) struct Line<'l> {
    v: u32,
    ts: String,
    #[serde(rename = "type")]
    event: &'static str,
    pod: &'l str,
    proxy: &'l str,
    claw_id: &'l str,
    request_id: &'l str,
    provider: &'l str,
    effective_model: &'l str,
    tokens_in: u64,
    tokens_out: u64,
    cached_tokens: u64,
    cache_write_tokens: u64,
    cost_usd: Option<Box<RawValue>>,
    usage: &'l Usage,
    cost: Cost<'l>,
    task: Option<&'l str>,
    #[serde(rename = "gen_ai.provider.name")]
    otel_provider: &'l str,
    #[serde(rename = "gen_ai.request.model")]
    otel_model: &'l str,
    #[serde(rename = "gen_ai.usage.input_tokens")]
    otel_input: u64,
    #[serde(rename = "gen_ai.usage.output_tokens")]
    otel_output: u64,
    intervention: Option<&'l str>,
    #[serde(flatten)]
    call: Option<Course<'l>>,
}

#[derive(Serialize)]
struct Cost<'l> {
    amount: String,
    status: &'static str,
    why: Option<&'l str>,
    price_version: &'l str,
}

/// What is known of a call that this process saw.
#[derive(Serialize)]
struct Course<'l> {
    model: Option<&'l str>,
    service: &'l str,
    path: &'static str,
    status_code: u16,
    latency_ms: u64,
    ttft_ms: Option<u64>,
    stream: bool,
    attempts: u32,
    reserved_usd: Option<Box<RawValue>>,
    bytes_in: usize,
    bytes_out: u64,
    end: &'static str,
    error: Option<&'l str>,
}

/// Returns an amount as a JSON number, digit for digit.
fn number(money: Money) -> Option<Box<RawValue>> {
    RawValue::from_string(money.to_string()).ok()
}

impl<'l> Line<'l> {
    /// Returns the line of a call that this process saw end.
    pub(crate) fn response(
        manifest: &'l Manifest,
        call: &'l Live,
        settled: &'l Settled,
        end: End,
        times: &Times,
    ) -> Self {
        let seen = &call.meter.seen;
        let course = Course {
            model: call.wanted.as_deref(),
            service: &call.service,
            path: call.path,
            status_code: call.status,
            latency_ms: times.us / 1000,
            ttft_ms: times.first_byte_us.map(|us| us / 1000),
            stream: call.is_stream,
            attempts: call.attempts,
            reserved_usd: number(call.reserved.usd),
            bytes_in: call.bytes_in,
            bytes_out: seen.bytes,
            end: end.name(),
            error: seen.error.as_deref(),
        };
        let line = Self::of("response", manifest, settled, times.at);
        Self { intervention: call.intervention, call: Some(course), ..line }
    }

    /// Returns the line of a call that was under way when the process before this one died.
    pub(crate) fn recovered(manifest: &'l Manifest, settled: &'l Settled, at: u64) -> Self {
        Self::of("recovered", manifest, settled, at)
    }

    fn of(event: &'static str, manifest: &'l Manifest, settled: &'l Settled, at: u64) -> Self {
        let usage = &settled.usage;
        Self {
            v: VERSION,
            ts: time_text(at),
            event,
            pod: &manifest.pod,
            proxy: &manifest.kind,
            claw_id: &settled.agent,
            request_id: &settled.id,
            provider: &settled.provider,
            effective_model: &settled.model,
            tokens_in: usage.input(),
            tokens_out: usage.output,
            cached_tokens: usage.cache_read,
            cache_write_tokens: usage.cache_write_5m.saturating_add(usage.cache_write_1h),
            cost_usd: number(settled.cost),
            usage,
            cost: Cost {
                amount: settled.cost.to_string(),
                status: settled.pricing.name(),
                why: settled.why.as_deref(),
                price_version: &settled.prices,
            },
            task: settled.task.as_deref(),
            otel_provider: &settled.provider,
            otel_model: &settled.model,
            otel_input: usage.input(),
            otel_output: usage.output,
            intervention: None,
            call: None,
        }
    }
}
