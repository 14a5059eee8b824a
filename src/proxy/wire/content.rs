//! What the content of a request may take before anybody has counted it: rather too much, for it is reserved.

use memchr::memmem::{Finder, find, find_iter};

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

/// Returns the tokens that a request is taken for: three bytes a token, images by the piece, and what lies elsewhere by guess.
pub fn tokens(body: &[u8]) -> u64 {
    let (mut blobs, mut images) = (0, 0_u64);
    for mark in [";base64,", "\"data\":\"", "\"data\": \""] {
        for at in find_iter(body, mark) {
            let start = at + mark.len();
            let length = memchr::memchr(b'"', &body[start..]).unwrap_or(0);
            if length > BLOB {
                blobs += length;
                images += 1;
            }
        }
    }
    let count = |mark: &str| Finder::new(mark).find_iter(body).count() as u64;
    let pictures =
        count("\"http://").saturating_add(count("\"https://")).min(count("\"image_url\"") + count("\"image\""));
    let elsewhere = count("\"file_id\"") + count("\"file_url\"") + count("\"document\"") + count("\"container\"");
    let text = (body.len().saturating_sub(blobs) as u64).div_ceil(3);
    text.saturating_add((images + pictures).saturating_mul(IMAGE)).saturating_add(elsewhere.saturating_mul(ELSEWHERE))
}
