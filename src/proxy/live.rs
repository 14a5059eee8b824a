//! A call that is under way: everything its end must know.

use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::budget::Amount;
use crate::ledger::book::Pricing;
use crate::money::Money;
use crate::policy::Candidate;
use crate::wire::meter::Meter;

/// Where a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No byte of the answer has come.
    Waiting,
    /// The answer goes by.
    Streaming,
    /// Its caller went away; the rest is read to learn what it cost.
    Draining,
}

impl Phase {
    /// Returns the word.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Phase::Waiting => "waiting",
            Phase::Streaming => "streaming",
            Phase::Draining => "draining",
        }
    }
}

/// A call.
#[derive(Debug)]
pub(crate) struct Live {
    /// Its id.
    pub(crate) id: String,
    /// Who calls.
    pub(crate) agent: String,
    /// The caller's service.
    pub(crate) service: String,
    /// The route.
    pub(crate) path: &'static str,
    /// The model that was asked for.
    pub(crate) wanted: Option<String>,
    /// Where it went.
    pub(crate) target: Candidate,
    /// Whether it puts tokens out.
    pub(crate) generates: bool,
    /// Whether nobody charges it: what a message would take is told for nothing.
    pub(crate) is_free: bool,
    /// Whether it streams.
    pub(crate) is_stream: bool,
    /// When it began.
    pub(crate) began: Instant,
    /// The same, in milliseconds since 1970.
    pub(crate) at: u64,
    /// When the first byte of the answer came.
    pub(crate) first_byte: Option<Instant>,
    /// When its caller last had room for more of the answer.
    pub(crate) asked: Instant,
    /// Where it is.
    pub(crate) phase: Phase,
    /// What is reserved for it.
    pub(crate) reserved: Amount,
    /// What the request is taken for, in tokens.
    pub(crate) input_estimate: u64,
    /// Bytes of the request.
    pub(crate) bytes_in: usize,
    /// How often a provider was asked.
    pub(crate) attempts: u32,
    /// The status the caller gets.
    pub(crate) status: u16,
    /// What was done to it.
    pub(crate) intervention: Option<&'static str>,
    /// The task it is for.
    pub(crate) task: Option<String>,
    /// What goes by.
    pub(crate) meter: Meter,
    /// Whether a part of its answer was never looked at.
    pub(crate) is_unread: bool,
    /// Ends its connection.
    pub(crate) hang_up: Rc<Notify>,
    /// Whether its end is written down.
    pub(crate) is_settled: bool,
    /// What it cost, once it is settled.
    pub(crate) settled: Option<(Money, Pricing)>,
}

/// How long a caller may take nothing of a stream: the provider may be silent for less.
const STALL: Duration = Duration::from_secs(150);

impl Live {
    /// Returns whether its caller stopped reading, and holds what is reserved.
    pub(crate) fn is_stalled(&self, now: Instant) -> bool {
        self.phase == Phase::Streaming && now.duration_since(self.asked) > STALL
    }
}
