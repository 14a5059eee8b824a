//! Money: whole pico-dollars, so that sums are exact. One US dollar is 10¹² of them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An amount of US dollars, in pico-dollars; the largest is about 18 million dollars, where sums stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Money(pub u64);

const DOLLAR: u64 = 1_000_000_000_000;

impl Money {
    /// Nothing.
    pub const ZERO: Money = Money(0);

    /// Returns the amount of a decimal number of dollars, such as `5` or `0.25`; at most twelve digits after the point.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || part.len() > 12 || !is_number(whole) || !is_number(part) {
            return None;
        }
        let part: u64 = format!("{part:0<12}").parse().ok()?;
        // What is more than there is room for is the largest amount.
        let whole = whole.parse::<u64>().unwrap_or(u64::MAX);
        Some(Money(whole.saturating_mul(DOLLAR).saturating_add(part)))
    }

    /// Returns the amount that a provider wrote as a JSON number of dollars, rounded up; nothing where it is negative or none.
    pub fn reported(number: &serde_json::Number) -> Option<Self> {
        let text = number.to_string();
        let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((&text, "0"));
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        // Where the point stands in the pico-dollars: digits after it are rounded up.
        let point = i32::try_from(whole.len()).ok()? + exponent.parse::<i32>().ok()?.checked_add(12)?;
        let all: Vec<u8> = whole.bytes().chain(part.bytes()).collect();
        if !all.iter().all(u8::is_ascii_digit) || point > 40 {
            return None;
        }
        let mut amount: u64 = 0;
        for index in 0..point.max(0) {
            let digit = usize::try_from(index).ok().and_then(|index| all.get(index)).map_or(0, |byte| byte - b'0');
            amount = amount.checked_mul(10)?.checked_add(u64::from(digit))?;
        }
        let rest = all.get(usize::try_from(point.max(0)).ok()?..).unwrap_or(&[]);
        let is_more = rest.iter().any(|byte| *byte != b'0');
        amount.checked_add(u64::from(is_more)).map(Money)
    }

    /// Returns the sum, or the largest amount there is.
    pub fn plus(self, other: Money) -> Money {
        Money(self.0.saturating_add(other.0))
    }

    /// Returns the difference, or nothing where it would be negative.
    pub fn minus(self, other: Money) -> Money {
        Money(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = format!("{:012}", self.0 % DOLLAR);
        let part = part.trim_end_matches('0');
        write!(f, "{}.{part:0<2}", self.0 / DOLLAR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_exact_both_ways() {
        for text in ["0.00", "5.00", "0.25", "0.0025", "0.000000000001", "18446744.07"] {
            assert_eq!(Money::parse(text).map(|money| money.to_string()).as_deref(), Some(text));
        }
        assert_eq!(Money::parse("99999999999"), Some(Money(u64::MAX)));
        for bad in ["", ".5", "-1", "1e3", "0.0000000000001"] {
            assert_eq!(Money::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_a_provider_reports_is_taken_as_written_and_rounded_up() {
        let of = |text: &str| serde_json::from_str(text).ok().and_then(|number| Money::reported(&number));
        assert_eq!(of("0.00014"), Some(Money(140_000_000)));
        assert_eq!(of("1.5e-7"), Some(Money(150_000)));
        assert_eq!(of("2"), Some(Money(2 * DOLLAR)));
        assert_eq!(of("1e-13"), Some(Money(1)));
        assert_eq!(of("-0.5"), None);
        assert_eq!(of("1e300"), None);
    }
}
