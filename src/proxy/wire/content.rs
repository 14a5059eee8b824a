//! What the content of a request may take before anybody has counted it: rather too much, for it is reserved.

use memchr::memmem::find;

/// What an image is taken for, in tokens.
const IMAGE: u64 = 2_000;

/// What a file or a page elsewhere is taken for, in tokens.
const ELSEWHERE: u64 = 20_000;

/// Text in base64 that is longer is an image or a file.
const BLOB: usize = 2_048;

/// What a request asks to be kept in the provider's cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// Nothing.
    None,
    /// Something, for minutes.
    Minutes,
    /// Something, for an hour.
    Hour,
}

/// Returns what a request asks to be kept.
pub fn cache(body: &[u8]) -> Cache {
    if find(body, b"\"cache_control\"").is_none() {
        return Cache::None;
    }
    if find(body, b"\"1h\"").is_some() { Cache::Hour } else { Cache::Minutes }
}

/// Bytes of an image or a file for which a token is reserved: images take fewer, and text that only looks like one takes more.
const BLOB_BYTES: u64 = 16;

/// Returns the tokens that a request is taken for: three bytes a token, images and files by their length, and what lies elsewhere
/// by guess. Looks at each byte a fixed number of times, whatever it holds.
pub fn tokens(body: &[u8]) -> u64 {
    let (mut hidden, mut blobs) = (0_u64, 0_u64);
    let (mut links, mut pictures, mut elsewhere) = (0_u64, 0_u64, 0_u64);
    let mut behind = 0;
    for at in memchr::memchr_iter(b'"', body) {
        if at < behind {
            continue;
        }
        let text = &body[at..];
        let begins = |words: &[&str]| words.iter().any(|word| text.starts_with(word.as_bytes()));
        links += u64::from(begins(&["\"http://", "\"https://"]));
        pictures += u64::from(begins(&["\"image_url\"", "\"image\""]));
        elsewhere += u64::from(begins(&["\"file_id\"", "\"file_url\"", "\"document\"", "\"container\""]));
        let length = blob(text).unwrap_or(0);
        if length > BLOB {
            behind = at + length;
            hidden += length as u64;
            blobs = blobs.saturating_add((length as u64 / BLOB_BYTES).max(IMAGE));
        }
    }
    let text = (body.len() as u64).saturating_sub(hidden).div_ceil(3);
    text.saturating_add(blobs)
        .saturating_add(links.min(pictures).saturating_mul(IMAGE))
        .saturating_add(elsewhere.saturating_mul(ELSEWHERE))
}

/// Returns the length of the string that bytes begin with, from quote to quote, where all of it is base64, or a `data:` URL of it.
fn blob(text: &[u8]) -> Option<usize> {
    let rest = text.strip_prefix(b"\"")?;
    let mut start = 1;
    if rest.starts_with(b"data:") {
        let head = rest.get(..128).unwrap_or(rest);
        start += find(head, b";base64,")? + 8;
    }
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_');
    let length = text.get(start..)?.iter().position(|byte| !is_base64(byte))?;
    (text.get(start + length) == Some(&b'"')).then_some(start + length + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_reserved_by_its_length_and_text_by_its_own() {
        let image = format!("{{\"url\":\"data:image/png;base64,{}\"}}", "iVBO".repeat(100_000));
        assert!((24_000..26_000).contains(&tokens(image.as_bytes())), "{}", tokens(image.as_bytes()));
        let small = format!("{{\"data\": \"{}\"}}", "iVBO".repeat(1_000));
        assert!((2_000..2_100).contains(&tokens(small.as_bytes())));
        // What is called so and is text is text, and what stands twice is no less.
        for text in [";base64, so it is said. ", "\\\"data\\\":\\\"x;base64,y z "] {
            let long = format!("{{\"content\":\"{}\"}}", text.repeat(10_000));
            assert_eq!(tokens(long.as_bytes()), (long.len() as u64).div_ceil(3));
        }
    }

    #[test]
    fn marks_without_an_end_cost_no_time() {
        let began = std::time::Instant::now();
        for mark in [";base64,", "\"data:;base64,", "\"data:"] {
            let long = mark.repeat((8 << 20) / mark.len());
            assert!(tokens(long.as_bytes()) > 1_000_000);
        }
        // A scan that began anew at each of them would take minutes.
        assert!(began.elapsed().as_secs() < 30);
    }
}
