//! Text in another form: base64, digits, escapes, letters moved by thirteen; and what it says.

/// The shortest run that is looked at: thirty bytes, a short sentence.
const SHORTEST: usize = 40;
/// As much of a run as is decoded.
const LONGEST: usize = 4096;

/// A run, where it is, how it is encoded and what it says.
pub(crate) struct Encoded {
    pub(crate) range: (usize, usize),
    pub(crate) form: &'static str,
    pub(crate) text: String,
}

/// Returns the runs that decode to text.
pub(crate) fn texts(raw: &str) -> Vec<Encoded> {
    let mut found = Vec::new();
    runs(raw, "base64", |byte| value(byte).is_some(), base64, &mut found);
    runs(raw, "digits", |byte| byte.is_ascii_hexdigit() || matches!(byte, b' ' | b'\n'), digits, &mut found);
    if raw.contains("\\u00") || raw.contains("\\x") {
        let is_escape = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b'\\' | b'u' | b'x');
        runs(raw, "escapes", is_escape, |run| escapes(run, b'\\'), &mut found);
    }
    if raw.contains("%20") {
        runs(raw, "escapes", |byte| byte.is_ascii_graphic(), |run| escapes(run, b'%'), &mut found);
    }
    // Orders begin with few words; a text without them moved is not worth moving.
    for word in ["vtaber", "qvfertneq", "sbetrg", "erirny", "lbh zhfg"] {
        let lower = |at: usize| raw.get(at..at + word.len()).is_some_and(|part| part.eq_ignore_ascii_case(word));
        let first = word.as_bytes()[0];
        let places = raw.bytes().enumerate().filter(|(_, byte)| byte.to_ascii_lowercase() == first);
        if let Some((at, _)) = places.into_iter().find(|(at, _)| lower(*at)) {
            let end = raw[at..].find('\n').map_or(raw.len(), |length| at + length);
            found.push(Encoded {
                range: (at, end),
                form: "moved letters",
                text: raw[at..end].chars().map(moved).collect(),
            });
        }
    }
    found
}

fn moved(letter: char) -> char {
    let base = match letter {
        'a'..='z' => b'a',
        'A'..='Z' => b'A',
        other => return other,
    };
    let place = u8::try_from(letter).unwrap_or(base) - base;
    char::from(base + (place + 13) % 26)
}

/// Finds the runs of some bytes that decode to text.
fn runs(
    raw: &str,
    form: &'static str,
    belongs: impl Fn(u8) -> bool,
    decode: impl Fn(&[u8]) -> Option<String>,
    found: &mut Vec<Encoded>,
) {
    let bytes = raw.as_bytes();
    let mut start = 0;
    while start < bytes.len() {
        let length = bytes[start..].iter().take_while(|byte| belongs(**byte)).count();
        if length >= SHORTEST
            && let Some(text) = decode(&bytes[start..start + length.min(LONGEST)])
        {
            found.push(Encoded { range: (start, start + length), form, text });
        }
        start += length.max(1);
    }
}

fn value(byte: u8) -> Option<u32> {
    match byte {
        b'A'..=b'Z' => Some(u32::from(byte - b'A')),
        b'a'..=b'z' => Some(u32::from(byte - b'a') + 26),
        b'0'..=b'9' => Some(u32::from(byte - b'0') + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

fn base64(run: &[u8]) -> Option<String> {
    let (mut bits, mut count, mut out) = (0_u32, 0, Vec::with_capacity(run.len()));
    for byte in run {
        bits = (bits << 6) | value(*byte)?;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push(u8::try_from((bits >> count) & 0xff).unwrap_or(0));
        }
    }
    // Base64 in base64 has no spaces.
    said(&out).or_else(|| {
        let is_inner = run.len() > 55 && out.iter().all(|byte| value(*byte).is_some() || *byte == b'=');
        is_inner.then(|| String::from_utf8_lossy(&out).into_owned())
    })
}

/// Hexadecimal or binary digits, with or without spaces between the bytes.
fn digits(run: &[u8]) -> Option<String> {
    let digits: Vec<u32> = run.iter().filter_map(|byte| char::from(*byte).to_digit(16)).collect();
    let (radix, width) = if digits.iter().all(|digit| *digit < 2) { (2, 8) } else { (16, 2) };
    let byte = |digits: &[u32]| digits.iter().fold(0, |byte, digit| byte * radix + digit);
    let out: Vec<u8> = digits.chunks_exact(width).filter_map(|digits| u8::try_from(byte(digits)).ok()).collect();
    said(&out)
}

/// Bytes behind a mark: `\u0041`, `\x41` or `%41`; what has no mark stands for itself.
fn escapes(run: &[u8], mark: u8) -> Option<String> {
    let (mut out, mut at, mut count) = (Vec::with_capacity(run.len()), 0, 0);
    while at < run.len() {
        let skip = match (run[at], run.get(at + 1)) {
            (b'%', _) if mark == b'%' => 1,
            (b'\\', Some(b'x')) if mark == b'\\' => 2,
            (b'\\', Some(b'u')) if mark == b'\\' && run.get(at + 2..at + 4) == Some(b"00") => 4,
            _ => 0,
        };
        let byte = run
            .get(at + skip..at + skip + 2)
            .and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match byte.filter(|_| skip > 0) {
            Some(byte) => {
                out.push(byte);
                at += skip + 2;
                count += 1;
            }
            None => {
                out.push(run[at]);
                at += 1;
            }
        }
    }
    said(&out).filter(|_| count > 3)
}

/// Returns bytes as text, where nearly all of them are text with spaces.
fn said(out: &[u8]) -> Option<String> {
    let printable = out.iter().filter(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\t')).count();
    let spaces = out.iter().filter(|byte| **byte == b' ').count();
    (printable * 20 >= out.len() * 19 && spaces > 2).then(|| String::from_utf8_lossy(out).into_owned())
}
