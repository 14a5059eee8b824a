//! The answer of a stream on its way to the caller: the provider's bytes as they come, seen by the meter. Whatever ends it
//! — the provider, the caller, silence — the call is settled once.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use claw_types::provider::WireFormat;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep};

use crate::account::End;
use crate::app::{App, dollars};
use crate::convert::Stream;
use crate::fault::Fault;
use crate::ledger::book::Pricing;
use crate::live::{Live, Phase};
use crate::money::Money;
use crate::upstream::IDLE;

/// How long an answer is read whose caller went away.
const DRAIN: Duration = Duration::from_secs(60);

/// How many such answers are read at once.
const DRAINS: usize = 32;

/// How the provider's bytes become the caller's.
pub(crate) enum Mode {
    /// They are the same.
    Plain,
    /// The usage event, which the caller did not ask for, is left out.
    Hiding,
    /// They are of another format.
    Translated(Box<Stream>),
}

/// An answer whose caller went away.
pub(crate) struct Drain {
    body: Incoming,
    live: Rc<RefCell<Live>>,
}

struct Inner {
    app: Rc<App>,
    live: Rc<RefCell<Live>>,
    body: Incoming,
    mode: Mode,
    /// What the caller speaks.
    format: WireFormat,
    has_trailer: bool,
    idle: Pin<Box<Sleep>>,
    last: Instant,
}

/// The body of a streamed answer.
pub(crate) struct Relay {
    inner: Option<Inner>,
}

impl Relay {
    /// Returns the body of an answer.
    pub(crate) fn new(
        app: Rc<App>,
        live: Rc<RefCell<Live>>,
        body: Incoming,
        mode: Mode,
        format: WireFormat,
        has_trailer: bool,
    ) -> Self {
        live.borrow_mut().phase = Phase::Streaming;
        live.borrow_mut().asked = std::time::Instant::now();
        let idle = Box::pin(tokio::time::sleep(IDLE));
        Self { inner: Some(Inner { app, live, body, mode, format, has_trailer, idle, last: Instant::now() }) }
    }
}

impl Inner {
    /// Returns what the caller gets of bytes.
    fn pass(&mut self, bytes: Bytes) -> Result<Bytes, Fault> {
        let mut live = self.live.borrow_mut();
        live.first_byte.get_or_insert_with(std::time::Instant::now);
        match &mut self.mode {
            Mode::Plain => {
                live.meter.stream(&bytes);
                Ok(bytes)
            }
            Mode::Hiding => Ok(Bytes::from(live.meter.hiding(&bytes))),
            Mode::Translated(stream) => {
                let mut out = Vec::new();
                let mut failed = None;
                live.meter.each(&bytes, |event, _, _| {
                    if failed.is_none() {
                        failed = stream.event(event.name, event.data, &mut out).err();
                    }
                });
                match failed {
                    None => Ok(Bytes::from(out)),
                    Some(why) => {
                        let message = format!("the answer cannot be said in this format: `{}` {}", why.field, why.why);
                        Err(Fault::new(502, "unsupported_conversion", message))
                    }
                }
            }
        }
    }

    /// Ends the answer: the last bytes the caller gets.
    fn finish(&mut self, end: End, fault: Option<&Fault>) -> Bytes {
        let mut live = self.live.borrow_mut();
        let mut out = Vec::new();
        let held = live.meter.end();
        let seen = &live.meter.seen;
        let is_whole = match &self.mode {
            Mode::Plain | Mode::Hiding => seen.is_whole,
            Mode::Translated(stream) => seen.is_whole && stream.is_complete(),
        };
        let is_torn = end == End::Complete && !is_whole && seen.error.is_none();
        let end = match (end, &seen.error) {
            (End::Complete, Some(_)) => End::ErrorEvent,
            (End::Complete, None) if is_torn => End::UpstreamReset,
            (end, _) => end,
        };
        match &mut self.mode {
            Mode::Plain => {}
            Mode::Hiding => out.extend(held),
            Mode::Translated(stream) if end == End::Complete => stream.end(&mut out),
            Mode::Translated(_) => {}
        }
        let cut = Fault::new(502, "stream_truncated", "the provider broke off before its answer was whole");
        let fault = fault.or((end == End::UpstreamReset).then_some(&cut));
        if let Some(fault) = fault {
            match &mut self.mode {
                Mode::Translated(stream) => stream.fail(fault.kind, &fault.message, &mut out),
                Mode::Plain | Mode::Hiding => {
                    // A line that the provider did not end must not take the event into itself.
                    out.extend_from_slice(b"\n\n");
                    out.extend(fault.event(self.format));
                }
            }
            live.meter.seen.error.get_or_insert_with(|| fault.message.clone());
        }
        drop(live);
        self.app.settle(&self.live, end);
        if self.has_trailer {
            let live = self.live.borrow();
            let (cost, pricing) = live.settled.unwrap_or((Money::ZERO, Pricing::Unpriced));
            let line = serde_json::json!({"cost_usd": dollars(cost), "pricing": pricing.name(), "request_id": live.id});
            out.extend_from_slice(format!(": claw {line}\n\n").as_bytes());
        }
        Bytes::from(out)
    }
}

impl Body for Relay {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        loop {
            let Some(inner) = self.inner.as_mut() else { return Poll::Ready(None) };
            if inner.live.borrow().is_settled {
                // Its caller stopped reading for so long that nothing is told it any more.
                self.inner = None;
                return Poll::Ready(None);
            }
            inner.live.borrow_mut().asked = std::time::Instant::now();
            let (end, fault) = match Pin::new(&mut inner.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    inner.last = Instant::now();
                    let Ok(bytes) = frame.into_data() else { continue };
                    match inner.pass(bytes) {
                        Ok(bytes) if bytes.is_empty() => continue,
                        Ok(bytes) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                        Err(fault) => (End::ErrorEvent, Some(fault)),
                    }
                }
                Poll::Ready(Some(Err(_))) => (End::UpstreamReset, None),
                Poll::Ready(None) => (End::Complete, None),
                Poll::Pending => {
                    if inner.idle.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    if inner.last.elapsed() < IDLE {
                        let next = inner.last + IDLE;
                        inner.idle.as_mut().reset(next);
                        continue;
                    }
                    (End::Timeout, Some(Fault::new(504, "stream_idle", "the provider was silent for too long")))
                }
            };
            let last = inner.finish(end, fault.as_ref());
            self.inner = None;
            if last.is_empty() {
                return Poll::Ready(None);
            }
            return Poll::Ready(Some(Ok(Frame::data(last))));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

impl Drop for Relay {
    /// The caller went away in the middle: the rest is read elsewhere, up to a limit, to learn what it cost.
    fn drop(&mut self) {
        let Some(inner) = self.inner.take() else { return };
        let Inner { app, live, body, .. } = inner;
        if live.borrow().is_settled {
            return;
        }
        if app.draining.get() >= DRAINS || app.is_stopping.get() {
            app.settle(&live, End::ClientAbort);
            return;
        }
        live.borrow_mut().phase = Phase::Draining;
        app.draining.set(app.draining.get() + 1);
        let unsent = app.drains.send(Drain { body, live });
        if let Err(unsent) = unsent {
            app.draining.set(app.draining.get() - 1);
            app.settle(&unsent.0.live, End::ClientAbort);
        }
    }
}

/// Reads an answer to its end that nobody waits for, and settles the call.
pub(crate) async fn drain(app: Rc<App>, drain: Drain) {
    let Drain { mut body, live } = drain;
    let read = async {
        while let Some(Ok(frame)) = body.frame().await {
            if let Ok(bytes) = frame.into_data() {
                live.borrow_mut().meter.stream(&bytes);
            }
        }
        live.borrow_mut().meter.end();
    };
    let _ = tokio::time::timeout(DRAIN, read).await;
    app.draining.set(app.draining.get() - 1);
    app.settle(&live, End::ClientAbort);
}

/// What an answer of the proxy consists of.
pub(crate) enum Outgoing {
    /// Bytes that are there.
    Whole(Full<Bytes>),
    /// A stream.
    Relay(Box<Relay>),
    /// The operator's events.
    Events(crate::admin::Events),
}

impl From<Vec<u8>> for Outgoing {
    fn from(bytes: Vec<u8>) -> Self {
        Outgoing::Whole(Full::new(Bytes::from(bytes)))
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Outgoing::Whole(body) => Pin::new(body).poll_frame(cx),
            Outgoing::Relay(relay) => Pin::new(relay.as_mut()).poll_frame(cx),
            Outgoing::Events(events) => Pin::new(events).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Outgoing::Whole(body) => body.is_end_stream(),
            Outgoing::Relay(relay) => relay.is_end_stream(),
            Outgoing::Events(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Outgoing::Whole(body) => body.size_hint(),
            Outgoing::Relay(_) | Outgoing::Events(_) => SizeHint::default(),
        }
    }
}
