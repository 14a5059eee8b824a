//! Bytes both ways between two connections. All connections of the gate share one buffer: one that waits holds none. What comes in
//! bulk goes through a pipe of the kernel's and is never copied here.

use std::cell::{Cell, RefCell};
use std::io::{ErrorKind, Result};
use std::os::fd::OwnedFd;

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

/// Bytes moved at once.
const BUFFER: usize = 64 * 1024;

/// Bytes that all connections together may hold for readers that are slower than their writers.
const HELD: usize = 16 << 20;

/// Reads in a row that fill the buffer and are taken at once, after which a pipe is worth its two files.
const BULK: u32 = 16;

/// Bytes a pipe is asked to hold; the system may give less.
const PIPE: usize = 1 << 20;

/// Pipes that may be open at a time.
const PIPES: usize = 32;

thread_local! {
    static SHARED: RefCell<Vec<u8>> = RefCell::new(vec![0; BUFFER]);
    static LIVE: Cell<usize> = const { Cell::new(0) };
    static OPEN: Cell<usize> = const { Cell::new(0) };
}

/// Counts one more of something until it is dropped.
struct Counted(&'static std::thread::LocalKey<Cell<usize>>);

impl Counted {
    fn new(count: &'static std::thread::LocalKey<Cell<usize>>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

/// Returns how many bytes a connection may hold in one direction.
fn share() -> usize {
    (HELD / 2 / LIVE.get().max(1)).clamp(2048, BUFFER)
}

/// A pipe of the kernel's.
struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    _open: Counted,
}

impl Pipe {
    /// Returns a pipe; nothing where there are enough, or the system gives none.
    fn new() -> Option<Self> {
        let (read, write) =
            (OPEN.get() < PIPES).then(|| pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC).ok())??;
        let _ = fcntl_setpipe_size(&write, PIPE);
        Some(Self { read, write, _open: Counted::new(&OPEN) })
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
    let _live = Counted::new(&LIVE);
    let (near_read, near_write) = near.split();
    let (far_read, far_write) = far.split();
    let out = one_way(near_read, far_write, &moved.out);
    let back = one_way(far_read, near_write, &moved.back);
    tokio::try_join!(out, back).map(|_| ())
}

async fn one_way(from: ReadHalf<'_>, mut to: WriteHalf<'_>, moved: &Cell<u64>) -> Result<()> {
    let mut full = 0;
    loop {
        from.readable().await?;
        if full >= BULK
            && let Some(pipe) = Pipe::new()
        {
            full = 0;
            // Boxed: a connection that never has bulk keeps no room for it.
            Box::pin(bulk(&from, &to, &pipe, moved)).await?;
            continue;
        }
        let left = match SHARED.with_borrow_mut(|buffer| step(&from, &to, &mut buffer[..share()], moved)) {
            Ok(Some((left, is_full))) => {
                full = if is_full { full + 1 } else { 0 };
                left
            }
            Ok(None) => return to.shutdown().await,
            Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        };
        if !left.is_empty() {
            to.write_all(&left).await?;
        }
    }
}

/// Reads once and writes what can be written; returns what is left of it and whether there was a bufferful, and nothing at the end.
fn step(
    from: &ReadHalf<'_>,
    to: &WriteHalf<'_>,
    buffer: &mut [u8],
    moved: &Cell<u64>,
) -> Result<Option<(Vec<u8>, bool)>> {
    let count = from.try_read(buffer)?;
    if count == 0 {
        return Ok(None);
    }
    add(moved, count);
    let read = &buffer[..count];
    let written = match to.try_write(read) {
        Ok(written) => written,
        Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
        Err(error) => return Err(error),
    };
    Ok(Some((read[written..].to_vec(), count == buffer.len())))
}

/// Moves bytes through a pipe until there are none for the moment, or the other side has ended; the pipe is empty then.
async fn bulk(from: &ReadHalf<'_>, to: &WriteHalf<'_>, pipe: &Pipe, moved: &Cell<u64>) -> Result<()> {
    let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
    let (source, target): (&TcpStream, &TcpStream) = (from.as_ref(), to.as_ref());
    loop {
        let into = || splice(source, None, &pipe.write, None, PIPE, flags).map_err(Into::into);
        let mut left = match source.try_io(Interest::READABLE, into) {
            // The end is seen again by whoever reads next.
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        add(moved, left);
        // One that never pauses is not the only one.
        tokio::task::yield_now().await;
        while left > 0 {
            let out = || splice(&pipe.read, None, target, None, left, flags).map_err(Into::into);
            match target.try_io(Interest::WRITABLE, out) {
                Ok(count) => left -= count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => target.writable().await?,
                Err(error) => return Err(error),
            }
        }
    }
}

fn add(moved: &Cell<u64>, count: usize) {
    moved.set(moved.get() + u64::try_from(count).unwrap_or(0));
}
