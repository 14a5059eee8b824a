//! Room for what calls hold in memory: bodies that are read and answers that are kept until they are whole. Each agent has a
//! share, and all together no more than the proxy's container can hold: nobody's calls end anybody else's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::fault::Fault;

/// The most calls of one agent that are read or answered at once.
pub(crate) const CALLS: usize = 256;

/// The most bytes that requests hold: all agents' and one's.
const REQUESTS: (usize, usize) = (56 << 20, 40 << 20);

/// The most bytes that answers hold which are kept until they are whole and until they have gone out: all agents' and one's.
const ANSWERS: (usize, usize) = (96 << 20, 24 << 20);

/// Bytes that are held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Held {
    requests: usize,
    answers: usize,
}

impl Held {
    fn of(&mut self, what: For) -> &mut usize {
        match what {
            For::Request => &mut self.requests,
            For::Answer => &mut self.answers,
        }
    }

    fn give(&mut self, what: For, less: usize) {
        let bytes = self.of(what);
        *bytes = bytes.saturating_sub(less);
    }
}

/// What one agent holds.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    calls: usize,
    held: Held,
}

/// What all hold.
#[derive(Debug, Default)]
struct Shares {
    held: Held,
    of: HashMap<String, Share>,
}

/// The room of a proxy.
#[derive(Debug, Default)]
pub(crate) struct Room(Mutex<Shares>);

/// What a call holds; dropped, it is free again.
#[derive(Debug)]
pub(crate) struct Place {
    room: Arc<Room>,
    agent: String,
    held: Held,
}

/// What bytes are held for. Neither takes room from the other: an answer was paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    /// A request.
    Request,
    /// An answer that is no stream.
    Answer,
}

impl Room {
    /// Returns a place for a call of an agent.
    ///
    /// # Errors
    /// Where the agent has too many calls.
    pub(crate) fn enter(self: &Arc<Self>, agent: &str) -> Result<Place, Fault> {
        let mut shares = self.shares();
        let share = shares.of.entry(agent.to_owned()).or_default();
        if share.calls >= CALLS {
            let message = format!("{CALLS} calls of this agent are under way: wait for one to end");
            return Err(Fault::new(429, "too_many_calls", message).retry_after(1_000));
        }
        share.calls += 1;
        Ok(Place { room: Arc::clone(self), agent: agent.to_owned(), held: Held::default() })
    }

    fn shares(&self) -> MutexGuard<'_, Shares> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Takes more bytes.
    ///
    /// # Errors
    /// Where the agent's share or the whole room is full.
    pub(crate) fn take(&mut self, more: usize, what: For) -> Result<(), Fault> {
        let (all, own) = if what == For::Request { REQUESTS } else { ANSWERS };
        let mut shares = self.room.shares();
        let sum = *shares.held.of(what);
        let share = shares.of.entry(self.agent.clone()).or_default();
        let held = share.held.of(what);
        if *held + more > own {
            let message = format!("calls of this agent hold {} MiB: wait for one to end", *held >> 20);
            return Err(Fault::new(429, "too_many_calls", message).retry_after(1_000));
        }
        if sum + more > all {
            let message = "calls hold all the memory there is for them: wait for one to end";
            return Err(Fault::new(503, "busy", message).retry_after(1_000));
        }
        *held += more;
        *shares.held.of(what) += more;
        *self.held.of(what) += more;
        Ok(())
    }

    /// Returns bytes of an answer that hold a place of their own length until the last of them has gone out.
    pub(crate) fn kept(mut self, bytes: Bytes) -> Bytes {
        self.give(For::Request, self.held.requests);
        self.give(For::Answer, self.held.answers.saturating_sub(bytes.len()));
        Bytes::from_owner(Kept { bytes, _place: self })
    }

    fn give(&mut self, what: For, less: usize) {
        let mut shares = self.room.shares();
        shares.held.give(what, less);
        if let Some(share) = shares.of.get_mut(&self.agent) {
            share.held.give(what, less);
        }
        self.held.give(what, less);
    }
}

/// Bytes with their place.
struct Kept {
    bytes: Bytes,
    _place: Place,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.give(For::Request, self.held.requests);
        self.give(For::Answer, self.held.answers);
        let mut shares = self.room.shares();
        if let Some(share) = shares.of.get_mut(&self.agent) {
            share.calls = share.calls.saturating_sub(1);
            if share.calls == 0 {
                shares.of.remove(&self.agent);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_not_the_room_and_what_is_dropped_is_free() {
        let room = Arc::new(Room::default());
        let mut greedy = room.enter("greedy").expect("a place");
        let mut count = 0;
        while greedy.take(1 << 20, For::Request).is_ok() {
            count += 1;
        }
        assert_eq!(count, 40);
        let fault = greedy.take(1, For::Request).expect_err("full");
        assert_eq!((fault.status, fault.kind), (429, "too_many_calls"));
        // An answer still has room, and so has another agent, until all is taken.
        greedy.take(24 << 20, For::Answer).expect("an answer");
        greedy.take(1, For::Answer).expect_err("no more");
        let mut other = room.enter("other").expect("a place");
        other.take(16 << 20, For::Request).expect("the rest");
        let fault = other.take(1, For::Request).expect_err("all is taken");
        assert_eq!((fault.status, fault.kind), (503, "busy"));
        drop(greedy);
        other.take(24 << 20, For::Request).expect("free again");
        drop(other);
        assert!(room.shares().held == Held::default() && room.shares().of.is_empty());
    }

    #[test]
    fn an_answer_is_held_until_it_has_gone_out() {
        let room = Arc::new(Room::default());
        let mut place = room.enter("bot").expect("a place");
        place.take(1000, For::Request).expect("a request");
        place.take(10, For::Answer).expect("an answer");
        let answer = place.kept(Bytes::from_static(b"0123456789"));
        let part = answer.slice(5..);
        drop(answer);
        assert_eq!((room.shares().held, &part[..]), (Held { requests: 0, answers: 10 }, &b"56789"[..]));
        drop(part);
        assert!(room.shares().held == Held::default() && room.shares().of.is_empty());
    }

    #[test]
    fn calls_of_an_agent_are_counted() {
        let room = Arc::new(Room::default());
        let places: Vec<Place> = (0..CALLS).map(|_| room.enter("bot").expect("a place")).collect();
        assert_eq!(room.enter("bot").expect_err("too many").kind, "too_many_calls");
        assert!(room.enter("other").is_ok());
        drop(places);
        assert!(room.enter("bot").is_ok());
    }
}
