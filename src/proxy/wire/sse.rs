//! Server-sent events out of any cut of bytes: LF, CRLF or CR, with or without a space, comments, several `data:` lines, a
//! byte order mark. What is longer than the limit is passed over, and told.

use memchr::memchr2;

/// The longest event that is read.
const LIMIT: usize = 1 << 20;

/// Events, one after the other.
#[derive(Debug, Default)]
pub struct Events {
    /// The bytes of a line that has not ended.
    line: Vec<u8>,
    name: String,
    data: Vec<u8>,
    has_data: bool,
    /// The last byte was a CR: an LF that follows belongs to it.
    is_after_cr: bool,
    is_begun: bool,
    /// The event is longer than the limit: its data are not kept.
    is_too_long: bool,
    /// Whether any event was too long to be read.
    pub has_skipped: bool,
}

/// An event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'e> {
    /// The name of its `event:` line; empty without one.
    pub name: &'e str,
    /// Its data, lines joined by LF.
    pub data: &'e [u8],
}

impl Events {
    /// Takes bytes, and tells each event that they end, with the place behind it in these bytes.
    pub fn push(&mut self, bytes: &[u8], mut tell: impl FnMut(Event<'_>, usize)) {
        let mut at = 0;
        if self.is_after_cr && bytes.first() == Some(&b'\n') {
            at = 1;
        }
        if !bytes.is_empty() {
            self.is_after_cr = false;
        }
        while let Some(length) = memchr2(b'\n', b'\r', &bytes[at..]) {
            let end = at + length;
            let is_cr = bytes[end] == b'\r';
            let next = if is_cr && bytes.get(end + 1) == Some(&b'\n') { end + 2 } else { end + 1 };
            self.is_after_cr = is_cr && next == bytes.len() && bytes.get(end + 1).is_none();
            if self.line.is_empty() {
                self.end_line(&bytes[at..end], next, &mut tell);
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(&bytes[at..end]);
                self.end_line(&line, next, &mut tell);
                line.clear();
                self.line = line;
            }
            at = next;
        }
        if self.line.len() + bytes.len() - at <= LIMIT {
            self.line.extend_from_slice(&bytes[at..]);
        } else {
            self.is_too_long = true;
        }
    }

    /// The stream ended: an event that no empty line ended is told all the same, as some servers leave that out.
    pub fn end(&mut self, mut tell: impl FnMut(Event<'_>, usize)) {
        if !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            self.end_line(&line, 0, &mut tell);
        }
        self.end_line(b"", 0, &mut tell);
    }

    fn end_line(&mut self, line: &[u8], behind: usize, tell: &mut impl FnMut(Event<'_>, usize)) {
        let line = if self.is_begun { line } else { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) };
        self.is_begun = true;
        if line.is_empty() {
            if self.is_too_long {
                self.has_skipped = true;
            } else if self.has_data {
                tell(Event { name: &self.name, data: &self.data }, behind);
            }
            self.name.clear();
            self.data.clear();
            self.has_data = false;
            self.is_too_long = false;
            return;
        }
        let colon = memchr::memchr(b':', line).unwrap_or(line.len());
        let (field, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or(b"");
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" if self.data.len() + value.len() > LIMIT => self.is_too_long = true,
            b"data" => {
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.has_data = true;
                self.data.extend_from_slice(value);
            }
            b"event" => {
                self.name.clear();
                self.name.push_str(&String::from_utf8_lossy(value));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(chunks: &[&[u8]]) -> Vec<(String, String)> {
        let mut events = Events::default();
        let mut seen = Vec::new();
        let mut keep = |event: Event<'_>, _: usize| {
            seen.push((event.name.to_owned(), String::from_utf8_lossy(event.data).into_owned()));
        };
        for chunk in chunks {
            events.push(chunk, &mut keep);
        }
        events.end(&mut keep);
        seen
    }

    #[test]
    fn every_way_to_write_and_to_cut_them_is_the_same() {
        let wanted = vec![(String::new(), "a\nb".to_owned()), ("x".to_owned(), "{}".to_owned())];
        for end in ["\n", "\r\n", "\r"] {
            let text =
                format!("\u{feff}: note{end}retry: 5{end}data: a{end}data:b{end}{end}event: x{end}data:{{}}{end}{end}");
            let bytes = text.as_bytes();
            assert_eq!(read(&[bytes]), wanted, "{end:?}");
            for cut in 1..bytes.len() {
                assert_eq!(read(&[&bytes[..cut], &bytes[cut..]]), wanted, "{end:?} cut at {cut}");
            }
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(read(&single), wanted, "{end:?}");
        }
    }

    #[test]
    fn an_event_without_an_end_is_told_at_the_end() {
        assert_eq!(read(&[b"data: last"]), vec![(String::new(), "last".to_owned())]);
    }

    #[test]
    fn an_event_beyond_the_limit_is_passed_over_and_the_next_one_read() {
        let mut events = Events::default();
        let mut seen = 0;
        let long = vec![b'x'; LIMIT];
        events.push(b"data: ", |_, _| seen += 1);
        for _ in 0..3 {
            events.push(&long, |_, _| seen += 1);
        }
        events.push(b"\n\ndata: y\n\n", |event, _| seen += event.data.len());
        assert_eq!((seen, events.has_skipped, events.line.capacity() <= 2 * LIMIT), (1, true, true));
    }
}
