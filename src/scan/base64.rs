//! Base64 in a text, and what it says.

/// The shortest run that is looked at: thirty bytes, a short sentence.
const SHORTEST: usize = 40;
/// As much of a run as is decoded.
const LONGEST: usize = 4096;

/// Returns the runs that decode to text, each with where it is.
pub(crate) fn texts(raw: &str) -> Vec<((usize, usize), String)> {
    let bytes = raw.as_bytes();
    let (mut found, mut start) = (Vec::new(), 0);
    while start < bytes.len() {
        if value(bytes[start]).is_none() {
            start += 1;
            continue;
        }
        let length = bytes[start..].iter().take_while(|byte| value(**byte).is_some()).count();
        if length >= SHORTEST
            && let Some(text) = text(&bytes[start..start + length.min(LONGEST)])
        {
            found.push(((start, start + length), text));
        }
        start += length;
    }
    found
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

/// Returns what a run says, where nearly all of it is text with spaces.
fn text(run: &[u8]) -> Option<String> {
    let (mut bits, mut count, mut out) = (0_u32, 0, Vec::with_capacity(run.len()));
    for byte in run {
        bits = (bits << 6) | value(*byte)?;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push(u8::try_from((bits >> count) & 0xff).unwrap_or(0));
        }
    }
    let printable = out.iter().filter(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\t')).count();
    let spaces = out.iter().filter(|byte| **byte == b' ').count();
    let is_text =
        printable * 20 >= out.len() * 19 && (spaces > 2 || run.len() > 55 && spaces == 0 && printable == out.len());
    is_text.then(|| String::from_utf8_lossy(&out).into_owned())
}
