//! The little of HTTP/1.1 that both ends of the benchmark share: heads, body lengths, chunked bodies.
//!
//! Not a general parser: it reads what the proxy, the provider and this benchmark write, and refuses the rest.

use std::time::Instant;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// The longest head that is read.
const MAX_HEAD: usize = 64 * 1024;

/// How the end of a body is found.
#[derive(Clone, Copy)]
pub(crate) enum Framing {
    /// Nothing is said: no body in a request, up to the close in a response.
    Absent,
    /// `content-length`.
    Sized(usize),
    /// `transfer-encoding: chunked`.
    Chunked,
}

/// What a head says about the message that follows it.
pub(crate) struct Head {
    /// The bytes of the head with its empty line.
    pub length: usize,
    /// The end of the body.
    pub framing: Framing,
    /// Whether the sender closes the connection after the message.
    pub closes: bool,
}

/// Bytes that were read from a connection and not used yet.
#[derive(Default)]
pub(crate) struct Inbox {
    bytes: Vec<u8>,
    used: usize,
}

impl Inbox {
    /// Returns the unused bytes.
    pub(crate) fn pending(&self) -> &[u8] {
        &self.bytes[self.used..]
    }

    /// Marks the first `count` unused bytes as used.
    pub(crate) fn consume(&mut self, count: usize) {
        self.used += count;
        if self.used == self.bytes.len() {
            self.bytes.clear();
            self.used = 0;
        }
    }

    /// Reads once; 0 is the end of the connection.
    async fn fill(&mut self, stream: &mut TcpStream) -> Result<usize, String> {
        self.bytes.drain(..self.used);
        self.used = 0;
        self.bytes.reserve(16 * 1024);
        stream.read_buf(&mut self.bytes).await.map_err(|error| format!("read: {error}"))
    }
}

/// Returns whether `bytes` has `needle`, and where it is last; made for needles whose first byte is rare.
pub(crate) fn find_last(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    let last = bytes.len().checked_sub(needle.len())?;
    (0..=last).rev().find(|&at| bytes[at] == needle[0] && bytes[at..].starts_with(needle))
}

/// Waits for a whole head; `None` is a connection that ended before one began. The head stays in the inbox.
pub(crate) async fn read_head(stream: &mut TcpStream, inbox: &mut Inbox) -> Result<Option<Head>, String> {
    loop {
        if let Some(head) = parse_head(inbox.pending())? {
            return Ok(Some(head));
        }
        if inbox.pending().len() > MAX_HEAD {
            return Err("the head is too long".into());
        }
        if inbox.fill(stream).await? == 0 {
            let is_clean = inbox.pending().is_empty();
            return if is_clean { Ok(None) } else { Err("the connection ended in a head".into()) };
        }
    }
}

/// Parses a head, if it is complete.
fn parse_head(bytes: &[u8]) -> Result<Option<Head>, String> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let mut head = Head { length: end + 4, framing: Framing::Absent, closes: false };
    for line in bytes[..end].split(|&byte| byte == b'\n').skip(1) {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else {
            return Err("a header has no colon".into());
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") && !matches!(head.framing, Framing::Chunked) {
            head.framing = Framing::Sized(number(value, 10).ok_or("`content-length` is no number")?);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") && value.eq_ignore_ascii_case(b"chunked") {
            head.framing = Framing::Chunked;
        } else if name.eq_ignore_ascii_case(b"connection") {
            head.closes = value.eq_ignore_ascii_case(b"close");
        }
    }
    Ok(Some(head))
}

/// Reads a number of nothing but digits.
fn number(text: &[u8], radix: u32) -> Option<usize> {
    let text = str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_alphanumeric()))?;
    usize::from_str_radix(text, radix).ok()
}

/// Reads a body of at most `limit` bytes into `body` and returns when its first bytes were there.
pub(crate) async fn read_body(
    stream: &mut TcpStream,
    inbox: &mut Inbox,
    framing: Framing,
    limit: usize,
    body: &mut Vec<u8>,
) -> Result<Instant, String> {
    body.clear();
    let mut first = None;
    let (mut chunked, wanted) = match framing {
        Framing::Sized(length) => (None, length),
        Framing::Chunked => (Some(Chunked::default()), usize::MAX),
        Framing::Absent => (None, usize::MAX),
    };
    if matches!(framing, Framing::Sized(length) if length > limit) {
        return Err("the body is too long".into());
    }
    loop {
        match &mut chunked {
            Some(chunked) => {
                let used = chunked.decode(inbox.pending(), body)?;
                inbox.consume(used);
            }
            None => {
                let count = inbox.pending().len().min(wanted - body.len());
                body.extend_from_slice(&inbox.pending()[..count]);
                inbox.consume(count);
            }
        }
        if !body.is_empty() {
            first.get_or_insert_with(Instant::now);
        }
        if body.len() == wanted || chunked.as_ref().is_some_and(|chunked| matches!(chunked.part, Part::End)) {
            return Ok(first.unwrap_or_else(Instant::now));
        }
        if body.len() > limit {
            return Err("the body is too long".into());
        }
        let count = if let Framing::Sized(length) = framing {
            // Straight into the body: a large request is not copied twice.
            let left = length - body.len();
            body.reserve(left);
            stream.take(left as u64).read_buf(body).await.map_err(|error| format!("read: {error}"))?
        } else {
            inbox.fill(stream).await?
        };
        match (count, framing) {
            (0, Framing::Absent) => return Ok(first.unwrap_or_else(Instant::now)),
            (0, Framing::Sized(_) | Framing::Chunked) => return Err("the connection ended in a body".into()),
            _ => {}
        }
    }
}

/// The part of a chunked body that comes next.
#[derive(Default)]
enum Part {
    #[default]
    Size,
    Bytes(usize),
    LineEnd,
    Trailer,
    End,
}

/// Takes a chunked body apart.
#[derive(Default)]
struct Chunked {
    part: Part,
}

impl Chunked {
    /// Appends what `input` holds of the body and returns how many bytes of `input` are used up.
    fn decode(&mut self, input: &[u8], body: &mut Vec<u8>) -> Result<usize, String> {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            if let Part::Bytes(left) = self.part {
                let count = left.min(rest.len());
                body.extend_from_slice(&rest[..count]);
                used += count;
                if count < left {
                    self.part = Part::Bytes(left - count);
                    return Ok(used);
                }
                self.part = Part::LineEnd;
                continue;
            }
            if matches!(self.part, Part::End) {
                return Ok(used);
            }
            let Some(end) = rest.iter().position(|&byte| byte == b'\n') else { return Ok(used) };
            let line = rest[..end].trim_ascii();
            used += end + 1;
            self.part = match self.part {
                Part::Size => {
                    let size = line.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
                    match number(size, 16).ok_or("a chunk has no size")? {
                        0 => Part::Trailer,
                        size => Part::Bytes(size),
                    }
                }
                Part::LineEnd if line.is_empty() => Part::Size,
                Part::LineEnd => return Err("a chunk is longer than its size".into()),
                Part::Trailer if line.is_empty() => Part::End,
                Part::Trailer | Part::Bytes(_) | Part::End => Part::Trailer,
            };
        }
    }
}
