//! The shape of a body, before anything is built of it: how deep it is nested, and how many values it holds. A value in memory
//! takes many times what its text takes, so a body that is small can still be too much.

/// How deep a body may be nested.
pub const DEPTH: usize = 128;

/// The most values of a body of which a tree is built: that is some 64 MiB at worst.
pub const VALUES: usize = 200_000;

/// Returns whether lists and objects of a body are nested deeper than [`DEPTH`]. What is no JSON is told by its parser.
pub fn is_too_deep(body: &[u8]) -> bool {
    if memchr::memchr2_iter(b'[', b'{', body).take(DEPTH + 1).count() <= DEPTH {
        return false;
    }
    let mut depth = 0_usize;
    outside_strings(body).any(|byte| {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > DEPTH
    })
}

/// Returns whether a body holds more than [`VALUES`] values.
pub fn has_too_many_values(body: &[u8]) -> bool {
    if memchr::memchr3_iter(b'[', b'{', b',', body).take(VALUES + 1).count() <= VALUES {
        return false;
    }
    outside_strings(body).filter(|byte| matches!(byte, b'[' | b'{' | b',')).take(VALUES + 1).count() > VALUES
}

/// Returns the bytes of a body that stand in no string.
fn outside_strings(body: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let byte = *body.get(at)?;
        at += 1;
        if byte == b'"' {
            // To the quote that ends the string: one behind an odd number of backslashes does not.
            while let Some(length) = body.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
                at += length + 1;
                if body[at - 1] == b'"' {
                    break;
                }
                at += 1;
            }
        }
        Some(byte)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_and_commas_in_strings_are_none() {
        let text = format!("{{\"a\\\"b\\\\\":\"{}\"}}", "[,{".repeat(VALUES));
        assert!(!is_too_deep(text.as_bytes()) && !has_too_many_values(text.as_bytes()));
        // A string that has no end ends with the body.
        assert!(!is_too_deep(b"[\"[[[["));
    }

    #[test]
    fn limits_hold_to_the_value() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(!is_too_deep(nested(DEPTH).as_bytes()) && is_too_deep(nested(DEPTH + 1).as_bytes()));
        let flat = |count: usize| format!("[{}]", vec!["0"; count].join(","));
        assert!(!has_too_many_values(flat(VALUES).as_bytes()) && has_too_many_values(flat(VALUES + 1).as_bytes()));
    }
}
