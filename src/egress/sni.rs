//! The name in the first message of a TLS connection (RFC 8446 §4.1.2, RFC 6066 §3), read without touching anything else.

/// What the first bytes of a connection say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hello {
    /// More bytes are needed.
    Partial,
    /// It is TLS for this name.
    Name(String),
    /// It is TLS that names nobody.
    Nameless,
    /// It is not TLS.
    Other,
}

/// A record of this type holds a handshake.
const HANDSHAKE: u8 = 22;

/// A handshake message of this type opens it.
const CLIENT_HELLO: u8 = 1;

/// The most bytes a first message may have.
pub const LIMIT: usize = 16 * 1024;

/// A reader that goes forward only.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// Returns a number of one to three bytes.
    fn number(&mut self, length: usize) -> Option<usize> {
        Some(self.take(length)?.iter().fold(0, |value, byte| value << 8 | usize::from(*byte)))
    }

    /// Returns what follows behind its own length.
    fn sized(&mut self, length: usize) -> Option<Reader<'a>> {
        let size = self.number(length)?;
        self.take(size).map(Reader)
    }
}

/// Returns what the first bytes of a connection say.
pub fn hello(bytes: &[u8]) -> Hello {
    let mut reader = Reader(bytes);
    let mut message = Vec::new();
    loop {
        match reader.0 {
            [] => break,
            [HANDSHAKE] | [HANDSHAKE, 3] => break,
            [HANDSHAKE, 3, ..] => {}
            _ if message.is_empty() => return Hello::Other,
            _ => return Hello::Nameless,
        }
        if reader.take(3).is_none() {
            break;
        }
        let Some(length) = reader.number(2) else { break };
        if length == 0 {
            return Hello::Other;
        }
        // A message may be spread over records, and what is there of one may be enough.
        let part = reader.0.get(..length).unwrap_or(reader.0);
        message.extend_from_slice(part);
        if let Some(said) = client_hello(&message) {
            return said;
        }
        if reader.take(length).is_none() {
            break;
        }
    }
    if bytes.len() >= LIMIT { Hello::Nameless } else { Hello::Partial }
}

/// Returns what a whole first message says; nothing where more of it is to come.
fn client_hello(message: &[u8]) -> Option<Hello> {
    if message.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
        return Some(Hello::Other);
    }
    let mut reader = Reader(message);
    reader.take(1)?;
    let body = reader.sized(3)?;
    Some(name(body).map_or(Hello::Nameless, Hello::Name))
}

/// Returns the one host name of a first message. Two names are no name: the other side could read the other one.
fn name(mut body: Reader<'_>) -> Option<String> {
    body.take(2 + 32)?;
    body.sized(1)?;
    body.sized(2)?;
    body.sized(1)?;
    let mut extensions = body.sized(2)?;
    let mut found = None;
    while !extensions.0.is_empty() {
        let kind = extensions.number(2)?;
        let mut content = extensions.sized(2)?;
        if kind != 0 {
            continue;
        }
        let mut names = content.sized(2)?;
        if names.number(1)? != 0 {
            return None;
        }
        let name = names.sized(2)?;
        if !names.0.is_empty() || found.is_some() {
            return None;
        }
        found = Some(std::str::from_utf8(name.0).ok()?.to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A first message with these names, in records of at most `cut` bytes.
    fn message(names: &[&str], cut: usize) -> Vec<u8> {
        let sized = |bytes: &[u8], length: usize| {
            let mut out = bytes.len().to_be_bytes()[8 - length..].to_vec();
            out.extend_from_slice(bytes);
            out
        };
        let mut extensions = vec![0, 43, 0, 3, 2, 3, 4];
        for name in names {
            let entry = [vec![0], sized(name.as_bytes(), 2)].concat();
            extensions.extend([vec![0, 0], sized(&sized(&entry, 2), 2)].concat());
        }
        let body = [vec![3, 3], vec![7; 32], sized(&[], 1), sized(&[19, 1], 2), sized(&[0], 1), sized(&extensions, 2)];
        let handshake = [vec![1], sized(&body.concat(), 3)].concat();
        handshake.chunks(cut).flat_map(|part| [vec![22, 3, 1], sized(part, 2)].concat()).collect()
    }

    #[test]
    fn the_name_is_found_however_it_is_cut() {
        for cut in [1, 5, 40, 100, 4096] {
            let bytes = message(&["api.example.com"], cut);
            assert_eq!(hello(&bytes), Hello::Name("api.example.com".to_owned()), "{cut}");
            for length in 0..bytes.len() {
                let said = hello(&bytes[..length]);
                assert!(matches!(said, Hello::Partial), "{cut} {length} {said:?}");
            }
        }
    }

    #[test]
    fn no_name_two_names_and_other_protocols_are_told_apart() {
        assert_eq!(hello(&message(&[], 4096)), Hello::Nameless);
        assert_eq!(hello(&message(&["a.example", "b.example"], 4096)), Hello::Nameless);
        for other in ["GET / HTTP/1.1\r\n", "SSH-2.0-x\r\n", "\u{0}", "\u{16}\u{1}"] {
            assert_eq!(hello(other.as_bytes()), Hello::Other, "{other:?}");
        }
        assert_eq!(hello(&[22, 3, 1, 0, 4, 2, 0, 0, 0]), Hello::Other, "a server's message");
        assert_eq!(hello(&[22, 3, 1, 0, 0]), Hello::Other, "an empty record");
        let mut endless = message(&["a.example"], 1);
        endless.truncate(60);
        assert_eq!(hello(&endless), Hello::Partial);
        assert_eq!(hello(&[&[22, 3, 1, 255, 255, 1, 1, 0, 0][..], &[0; LIMIT]].concat()), Hello::Nameless);
    }

    proptest::proptest! {
        #[test]
        fn anything_at_all_is_answered(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..600)) {
            let _ = hello(&bytes);
            let mut tls = vec![22, 3, 1, 2, 0, 1];
            tls.extend(&bytes);
            let _ = hello(&tls);
        }
    }
}
