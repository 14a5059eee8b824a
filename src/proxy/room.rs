//! Room for what calls hold in memory: bodies that are read and answers that are kept until they are whole. Each agent has a
//! share, and all together no more than the proxy's container can hold: nobody's calls end anybody else's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::fault::Fault;

/// The most calls of one agent that are read or answered at once.
pub(crate) const CALLS: usize = 256;

/// The most bytes that requests hold: all agents' and one's.
const REQUESTS: (usize, usize) = (64 << 20, 40 << 20);

/// The most bytes that requests and answers hold together: all agents' and one's.
const ALL: (usize, usize) = (96 << 20, 56 << 20);

/// What one agent holds.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    calls: usize,
    bytes: usize,
}

/// What all hold.
#[derive(Debug, Default)]
struct Shares {
    bytes: usize,
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
    bytes: usize,
}

/// What bytes are held for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    /// A request.
    Request,
    /// An answer, which was paid for: there is room for it where there is none for another request.
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
        Ok(Place { room: Arc::clone(self), agent: agent.to_owned(), bytes: 0 })
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
        let (all, own) = if what == For::Request { REQUESTS } else { ALL };
        let mut shares = self.room.shares();
        let held = shares.bytes;
        let share = shares.of.entry(self.agent.clone()).or_default();
        if share.bytes + more > own {
            let message = format!("calls of this agent hold {} MiB: wait for one to end", share.bytes >> 20);
            return Err(Fault::new(429, "too_many_calls", message).retry_after(1_000));
        }
        if held + more > all {
            let message = "calls hold all the memory there is for them: wait for one to end";
            return Err(Fault::new(503, "busy", message).retry_after(1_000));
        }
        share.bytes += more;
        shares.bytes += more;
        self.bytes += more;
        Ok(())
    }

    /// Returns bytes that hold the place of their own length until the last of them has gone out.
    pub(crate) fn kept(mut self, bytes: Bytes) -> Bytes {
        let less = self.bytes.saturating_sub(bytes.len());
        self.give(less);
        Bytes::from_owner(Kept { bytes, _place: self })
    }

    fn give(&mut self, less: usize) {
        let mut shares = self.room.shares();
        shares.bytes = shares.bytes.saturating_sub(less);
        if let Some(share) = shares.of.get_mut(&self.agent) {
            share.bytes = share.bytes.saturating_sub(less);
        }
        self.bytes -= less;
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
        self.give(self.bytes);
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
        greedy.take(16 << 20, For::Answer).expect("an answer");
        greedy.take(1, For::Answer).expect_err("no more");
        let mut other = room.enter("other").expect("a place");
        other.take(8 << 20, For::Request).expect("the rest");
        let fault = other.take(1, For::Request).expect_err("all is taken");
        assert_eq!((fault.status, fault.kind), (503, "busy"));
        drop(greedy);
        other.take(30 << 20, For::Request).expect("free again");
        drop(other);
        assert!(room.shares().bytes == 0 && room.shares().of.is_empty());
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
        assert_eq!((room.shares().bytes, &part[..]), (10, &b"56789"[..]));
        drop(part);
        assert!(room.shares().bytes == 0 && room.shares().of.is_empty());
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
