//! Bytes both ways between two connections. All connections of the gate share one buffer: one that waits holds none.

use std::cell::{Cell, RefCell};
use std::io::{ErrorKind, Result};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

/// Bytes moved at once.
const BUFFER: usize = 256 * 1024;

/// Bytes that all connections together may hold for readers that are slower than their writers.
const HELD: usize = 16 << 20;

thread_local! {
    static SHARED: RefCell<Vec<u8>> = RefCell::new(vec![0; BUFFER]);
    static LIVE: Cell<usize> = const { Cell::new(0) };
}

/// One connection more, until it is dropped.
struct Live;

impl Live {
    fn new() -> Self {
        LIVE.with(|live| live.set(live.get() + 1));
        Self
    }

    /// Returns how many bytes a connection may hold in one direction.
    fn share() -> usize {
        (HELD / 2 / LIVE.with(Cell::get).max(1)).clamp(2048, BUFFER)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        LIVE.with(|live| live.set(live.get().saturating_sub(1)));
    }
}

/// Bytes that went out and came back.
#[derive(Debug, Default)]
pub(crate) struct Moved {
    pub(crate) out: Cell<u64>,
    pub(crate) back: Cell<u64>,
}

/// Moves bytes until both sides have ended, or one has failed.
pub(crate) async fn relay(near: &mut TcpStream, far: &mut TcpStream, moved: &Moved) -> Result<()> {
    let _live = Live::new();
    let (near_read, near_write) = near.split();
    let (far_read, far_write) = far.split();
    let out = one_way(near_read, far_write, &moved.out);
    let back = one_way(far_read, near_write, &moved.back);
    tokio::try_join!(out, back).map(|_| ())
}

async fn one_way(from: ReadHalf<'_>, mut to: WriteHalf<'_>, moved: &Cell<u64>) -> Result<()> {
    loop {
        from.readable().await?;
        let left = match SHARED.with_borrow_mut(|buffer| step(&from, &to, &mut buffer[..Live::share()], moved)) {
            Ok(Some(left)) => left,
            Ok(None) => return to.shutdown().await,
            Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        };
        if !left.is_empty() {
            to.write_all(&left).await?;
        }
    }
}

/// Reads once and writes what can be written; returns what is left of it, and nothing at the end.
fn step(from: &ReadHalf<'_>, to: &WriteHalf<'_>, buffer: &mut [u8], moved: &Cell<u64>) -> Result<Option<Vec<u8>>> {
    let count = from.try_read(buffer)?;
    if count == 0 {
        return Ok(None);
    }
    moved.set(moved.get() + u64::try_from(count).unwrap_or(0));
    let read = &buffer[..count];
    let written = match to.try_write(read) {
        Ok(written) => written,
        Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
        Err(error) => return Err(error),
    };
    Ok(Some(read[written..].to_vec()))
}
