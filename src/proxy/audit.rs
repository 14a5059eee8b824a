//! The audit: one JSON line an event on standard output, written by a thread of its own so that no call waits for it.

use std::cell::RefCell;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use serde_json::{Map, Value};

use crate::calendar::time_text;

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
        let mut text = Value::Object(line).to_string().into_bytes();
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
