//! Server-sent events, read as their bytes arrive: <https://html.spec.whatwg.org/multipage/server-sent-events.html>.
//!
//! Only `data` is kept: both wire formats repeat an event's name inside it.

/// The start of a stream, the end of which has not arrived.
pub(crate) struct Events {
    limit: usize,
    /// The line so far, as bytes: a chunk may end inside a character.
    line: Vec<u8>,
    /// The data lines of the event so far.
    data: Option<String>,
    /// The last byte was a carriage return, so that a line feed after it ends no line of its own.
    is_after_return: bool,
    is_first_line: bool,
}

impl Events {
    /// Begins a stream, no event of which may have more bytes than the limit.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, line: Vec::new(), data: None, is_after_return: false, is_first_line: true }
    }

    /// Takes more bytes and returns the data of the events that they complete.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Vec<String>, String> {
        let mut events = Vec::new();
        for byte in bytes {
            let was_return = std::mem::replace(&mut self.is_after_return, *byte == b'\r');
            match byte {
                b'\n' if was_return => {}
                b'\n' | b'\r' => events.extend(self.end_line()?),
                _ => self.line.push(*byte),
            }
            if self.line.len() + self.data.as_ref().map_or(0, String::len) > self.limit {
                return Err("sent an event that is too large".to_owned());
            }
        }
        Ok(events)
    }

    /// Ends a line; an empty one ends the event.
    fn end_line(&mut self) -> Result<Option<String>, String> {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8(line).map_err(|_| "sent an event that is no UTF-8".to_owned())?;
        let is_first = std::mem::take(&mut self.is_first_line);
        let line = if is_first { line.strip_prefix('\u{feff}').unwrap_or(&line) } else { &line };
        if line.is_empty() {
            return Ok(self.data.take());
        }
        // A line that starts with a colon is a comment: its field has no name.
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        if field == "data" {
            let value = value.strip_prefix(' ').unwrap_or(value);
            match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::Events;

    const STREAM: &str = "\u{feff}: ping\r\nevent: x\r\ndata: {\"a\":\r\ndata:  \"ü\"}\r\n\r\nid: 7\ndata:second\n\n\n: ping\n\
                          data\rretry: 1\r\rdata: unfinished\n";

    #[test]
    fn events_are_the_same_wherever_the_chunks_are_cut() {
        let whole = Events::new(100).push(STREAM.as_bytes()).expect("events");
        assert_eq!(whole, ["{\"a\":\n \"ü\"}", "second", ""]);
        for cut in 0..STREAM.len() {
            let (first, second) = STREAM.as_bytes().split_at(cut);
            let mut events = Events::new(100);
            let mut found = events.push(first).expect("events");
            found.extend(events.push(second).expect("events"));
            assert_eq!(found, whole, "cut at {cut}");
        }
    }

    #[test]
    fn an_event_larger_than_the_limit_is_an_error_before_it_ends() {
        let mut events = Events::new(8);
        assert_eq!(events.push(b"data: 1\n\n").expect("an event"), ["1"]);
        assert!(events.push(b"data: 12").is_ok());
        assert_eq!(events.push(b"3"), Err("sent an event that is too large".to_owned()));
        let mut lines = Events::new(8);
        assert!(lines.push(b"data:12\ndata:34\ndata:56\ndata:78\n").is_err());
    }

    #[test]
    fn bytes_that_are_no_text_are_an_error() {
        assert!(Events::new(100).push(b"data: \xff\n").is_err());
    }
}
