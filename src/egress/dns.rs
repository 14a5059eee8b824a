//! Names, answered (RFC 1035): those an agent may reach lead to the gate itself, all others do not exist. Nothing is asked of anybody,
//! so that nothing can be told in a name.

use std::net::Ipv4Addr;

/// Seconds an answer may be kept: rules change.
const TTL: u32 = 5;

/// Bytes of a header.
const HEADER: usize = 12;

/// Types of records.
const A: u16 = 1;
const AAAA: u16 = 28;
const ANY: u16 = 255;

/// Codes of answers.
const DONE: u8 = 0;
const MALFORMED: u8 = 1;
const NO_SUCH_NAME: u8 = 3;
const NOT_HERE: u8 = 4;

/// An answer, and the name it was about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The message.
    pub message: Vec<u8>,
    /// The name, where one was asked for that does not exist.
    pub denied: Option<String>,
}

/// Returns the answer to a question; nothing where it is none that could be answered.
pub fn answer(query: &[u8], knows: impl Fn(&str) -> bool, address: Ipv4Addr) -> Option<Answer> {
    let header = query.get(..HEADER)?;
    // An answer is not answered: two servers would talk forever.
    if header[2] & 0x80 != 0 {
        return None;
    }
    let bare = |code: u8| Answer { message: message(query, &[], code, None), denied: None };
    if header[2] & 0x78 != 0 {
        return Some(bare(NOT_HERE));
    }
    if u16::from_be_bytes([header[4], header[5]]) != 1 {
        return Some(bare(MALFORMED));
    }
    let Some((name, length)) = name(&query[HEADER..]) else { return Some(bare(MALFORMED)) };
    let Some(question) = query.get(HEADER..HEADER + length + 4) else { return Some(bare(MALFORMED)) };
    let kind = u16::from_be_bytes([question[length], question[length + 1]]);
    let is_internet = question[length + 2..] == [0, 1];
    let host = crate::rules::host(&name);
    let is_known = is_internet && host.as_deref().is_some_and(knows);
    if !is_known {
        // Both families are asked for at once: one line is enough.
        let denied = Some(name).filter(|_| kind != AAAA);
        return Some(Answer { message: message(query, question, NO_SUCH_NAME, None), denied });
    }
    // A name without an address of this kind exists all the same.
    let given = matches!(kind, A | ANY).then_some(address);
    Some(Answer { message: message(query, question, DONE, given), denied: None })
}

/// Returns a name, and how many bytes it takes. A question needs no pointers, and has none.
fn name(bytes: &[u8]) -> Option<(String, usize)> {
    let mut name = String::new();
    let mut at = 0;
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1;
        if length == 0 {
            return Some((name, at));
        }
        if length > 63 || at + length > 254 {
            return None;
        }
        if !name.is_empty() {
            name.push('.');
        }
        for byte in bytes.get(at..at + length)? {
            // What is no letter of a name stays visible in a line of the audit, and is no host.
            name.push(if byte.is_ascii_graphic() && *byte != b'.' { char::from(*byte) } else { '?' });
        }
        at += length;
    }
}

fn message(query: &[u8], question: &[u8], code: u8, address: Option<Ipv4Addr>) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER + question.len() + 16);
    out.extend_from_slice(&query[..2]);
    // An answer, authoritative; recursion as it was wanted, and had.
    out.extend_from_slice(&[0x84 | (query[2] & 0x79), 0x80 | code]);
    let questions = u8::from(!question.is_empty());
    out.extend_from_slice(&[0, questions, 0, u8::from(address.is_some()), 0, 0, 0, 0]);
    out.extend_from_slice(question);
    if let Some(address) = address {
        out.extend_from_slice(&[0xc0, 0x0c, 0, 1, 0, 1]);
        out.extend_from_slice(&TTL.to_be_bytes());
        out.extend_from_slice(&[0, 4]);
        out.extend_from_slice(&address.octets());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATE: Ipv4Addr = Ipv4Addr::new(10, 200, 0, 14);

    fn query(name: &str, kind: u16) -> Vec<u8> {
        let mut out = vec![7, 8, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            out.push(u8::try_from(label.len()).expect("short"));
            out.extend_from_slice(label.as_bytes());
        }
        out.push(0);
        out.extend_from_slice(&kind.to_be_bytes());
        out.extend_from_slice(&[0, 1]);
        out
    }

    fn ask(name: &str, kind: u16) -> Answer {
        answer(&query(name, kind), |name| name == "api.example.com", GATE).expect("an answer")
    }

    #[test]
    fn a_known_name_leads_to_the_gate_and_another_does_not_exist() {
        let known = ask("API.example.com", A);
        assert_eq!(known.message[..12], [7, 8, 0x85, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
        assert!(known.message.ends_with(&[0, 0, 0, 5, 0, 4, 10, 200, 0, 14]));
        assert_eq!(known.denied, None);
        let other = ask("secret.evil.example", A);
        assert_eq!((other.message[3] & 15, other.message[7]), (3, 0));
        assert_eq!(other.denied.as_deref(), Some("secret.evil.example"));
        assert_eq!(ask("secret.evil.example", AAAA).denied, None);
        for kind in [AAAA, 16, 65] {
            let said = ask("api.example.com", kind);
            assert_eq!((said.message[3] & 15, said.message[7], said.denied), (0, 0, None), "{kind}");
        }
    }

    #[test]
    fn what_is_no_question_is_answered_so_or_not_at_all() {
        let knows = |_: &str| true;
        assert_eq!(answer(&[], knows, GATE), None);
        assert_eq!(answer(&[0; 11], knows, GATE), None);
        let mut reply = query("a.b", A);
        reply[2] |= 0x80;
        assert_eq!(answer(&reply, knows, GATE), None);
        let code = |query: &[u8]| answer(query, knows, GATE).expect("an answer").message[3] & 15;
        let mut update = query("a.b", A);
        update[2] |= 0x28;
        assert_eq!(code(&update), 4);
        let mut two = query("a.b", A);
        two[5] = 2;
        assert_eq!(code(&two), 1);
        assert_eq!(code(&query("a.b", A)[..17]), 1);
        let mut pointer = query("a.b", A);
        pointer[12] = 0xc0;
        assert_eq!(code(&pointer), 1);
        // A dot inside a label is not the dot between two.
        assert_eq!(ask_label(b"api.example"), Some("api?example.com".to_owned()));
    }

    fn ask_label(label: &[u8]) -> Option<String> {
        let mut out = query("x.com", A)[..12].to_vec();
        out.push(u8::try_from(label.len()).expect("short"));
        out.extend_from_slice(label);
        out.extend_from_slice(b"\x03com\0\0\x01\0\x01");
        answer(&out, |name| name == "api.example.com", GATE).expect("an answer").denied
    }

    proptest::proptest! {
        #[test]
        fn anything_at_all_is_answered(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..80)) {
            let _ = answer(&bytes, |_| true, GATE);
        }
    }
}
