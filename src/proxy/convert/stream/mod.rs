//! Streams: a reader of events and a writer of events per format, with [`Delta`]s between them.
//!
//! A stream that is answered in responses holds the whole answer in memory, as the last event of that format repeats it.

mod chat;
mod messages;
mod responses;

use claw_types::provider::WireFormat;
use serde_json::Value;

use super::error::{self, write_event};
use super::neutral::{Delta, Head, Stop, Usage};
use super::{Result, Unsupported, parse, write_json};

/// Turns the upstream's SSE events into the caller's.
pub struct Stream {
    from: WireFormat,
    to: WireFormat,
    reader: Reader,
    writer: Writer,
    state: State,
    has_started: bool,
    stop: Option<Stop>,
    usage: Option<Usage>,
}

/// How far a stream is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// An event could not be translated; the caller has not been told.
    Broken,
    Closed,
}

enum Reader {
    Chat(chat::Reader),
    Messages(messages::Reader),
    Responses(responses::Reader),
}

enum Writer {
    Chat(chat::Writer),
    Messages(messages::Writer),
    Responses(responses::Writer),
}

impl Stream {
    /// Returns a stream of which nothing has been read.
    pub fn new(from: WireFormat, to: WireFormat) -> Self {
        let reader = match from {
            WireFormat::OpenAi => Reader::Chat(chat::Reader::default()),
            WireFormat::Anthropic => Reader::Messages(messages::Reader::default()),
            WireFormat::Responses => Reader::Responses(responses::Reader::default()),
        };
        let writer = match to {
            WireFormat::OpenAi => Writer::Chat(chat::Writer::default()),
            WireFormat::Anthropic => Writer::Messages(messages::Writer::default()),
            WireFormat::Responses => Writer::Responses(responses::Writer::default()),
        };
        Self { from, to, reader, writer, state: State::Open, has_started: false, stop: None, usage: None }
    }

    /// Reads one event: the name of its `event:` line, empty when there is none, and its data, which may be `[DONE]`. Appends
    /// what the caller is to get. After the end, and after an error of the upstream, events are passed over.
    ///
    /// # Errors
    /// Names what the caller's format cannot say. The stream is over then, but for [`Stream::fail`].
    pub fn event(&mut self, name: &str, data: &[u8], out: &mut Vec<u8>) -> Result<(), Unsupported> {
        if self.state != State::Open || data.trim_ascii().is_empty() {
            return Ok(());
        }
        let result = self.step(name, data, out);
        if result.is_err() {
            self.state = State::Broken;
        }
        result
    }

    /// Ends a stream that the upstream ended properly: appends what closes it in the caller's format, once however often it
    /// is called. An upstream that said nothing gave an empty answer.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        if self.state != State::Open {
            return;
        }
        self.state = State::Closed;
        self.start(Head::default(), out);
        let stop = self.stop.unwrap_or(Stop::End);
        match &mut self.writer {
            Writer::Chat(writer) => writer.end(stop, self.usage, out),
            Writer::Messages(writer) => writer.end(stop, self.usage, out),
            Writer::Responses(writer) => writer.end(stop, self.usage, out),
        }
    }

    /// Ends a stream that failed, by appending an error event. Nothing follows it, and nothing is appended after an end.
    pub fn fail(&mut self, kind: &str, message: &str, out: &mut Vec<u8>) {
        if self.state == State::Closed {
            return;
        }
        self.state = State::Closed;
        let sequence = match &self.writer {
            Writer::Responses(writer) => writer.sequence(),
            Writer::Chat(_) | Writer::Messages(_) => 0,
        };
        write_event(self.to, kind, message, sequence, out);
    }

    /// Returns whether the stream has its end: the upstream's own end marker, an error, or a call of [`Stream::end`].
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Returns whether what came so far is a whole answer. Where the connection ends on one, [`Stream::end`] is due, though
    /// the end marker is missing, as it is with some chat servers; anywhere else [`Stream::fail`].
    pub fn is_complete(&self) -> bool {
        self.is_closed() || self.stop.is_some()
    }

    fn step(&mut self, name: &str, data: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let mut deltas = Vec::new();
        if data.trim_ascii() == b"[DONE]" {
            deltas.push(Delta::Done);
        } else {
            let event = parse(data)?;
            match &mut self.reader {
                Reader::Chat(reader) => reader.read(event, &mut deltas),
                Reader::Messages(reader) => reader.read(name, event, &mut deltas),
                Reader::Responses(reader) => reader.read(name, event, &mut deltas),
            }?;
        }
        for delta in deltas {
            self.apply(delta, out)?;
        }
        Ok(())
    }

    fn apply(&mut self, delta: Delta, out: &mut Vec<u8>) -> Result<()> {
        match delta {
            Delta::Start(head) => self.start(head, out),
            Delta::Usage(usage) => self.usage = Some(usage),
            Delta::Stop(stop) => self.stop = Some(stop),
            Delta::Error { kind, message } => {
                let kind = error::kind(self.from, self.to, &kind, None);
                self.fail(&kind, &message, out);
            }
            Delta::Done => self.end(out),
            delta => {
                self.start(Head::default(), out);
                match &mut self.writer {
                    Writer::Chat(writer) => writer.write(delta, out)?,
                    Writer::Messages(writer) => writer.write(delta, out)?,
                    Writer::Responses(writer) => writer.write(delta, out)?,
                }
            }
        }
        Ok(())
    }

    fn start(&mut self, head: Head, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.has_started, true) {
            return;
        }
        match &mut self.writer {
            Writer::Chat(writer) => writer.start(head, out),
            Writer::Messages(writer) => writer.start(&head, self.usage, out),
            Writer::Responses(writer) => writer.start(head, out),
        }
    }
}

/// Appends an event; chat's have no name.
fn emit(name: &str, data: &Value, out: &mut Vec<u8>) {
    if !name.is_empty() {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
    write_json(data, out);
    out.extend_from_slice(b"\n\n");
}

/// A sign of life in a format that has no event for it.
fn emit_comment(out: &mut Vec<u8>) {
    out.extend_from_slice(b": ping\n\n");
}

/// Returns the kind and message of an error.
fn read_error(error: &Value) -> Delta {
    let text = |key: &str| error[key].as_str().map(str::to_owned);
    Delta::Error {
        kind: text("type").filter(|kind| kind != "error").or_else(|| text("code")).unwrap_or_default(),
        message: text("message").or_else(|| error.as_str().map(str::to_owned)).unwrap_or_else(|| error.to_string()),
    }
}
