//! Quantities as compose writes them: byte sizes, durations, fractions of a CPU.

/// A size in bytes; -1 where compose means "no limit".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub i64);

impl Bytes {
    /// Returns the size of a text as docker's library reads it: a number, decimals allowed, a space at most, and one of
    /// `b k kb kib m … p`, in any case, binary. A size below zero is none.
    pub fn parse(text: &str) -> Option<Self> {
        let last = text.rfind(|each: char| each.is_ascii_digit() || matches!(each, '.' | ' '))?;
        let unit = text[last + 1..].to_ascii_lowercase();
        let number = if text.as_bytes().get(last) == Some(&b' ') { &text[..last] } else { &text[..=last] };
        let power = match unit.as_str() {
            "" | "b" => 0,
            "k" | "kb" | "kib" => 1,
            "m" | "mb" | "mib" => 2,
            "g" | "gb" | "gib" => 3,
            "t" | "tb" | "tib" => 4,
            "p" | "pb" | "pib" => 5,
            _ => return None,
        };
        let factor = 1024i64.pow(power);
        let value = match number.parse::<i64>() {
            Ok(whole) => whole.checked_mul(factor)?,
            Err(_) => {
                let value = number.parse::<f64>().ok()? * factor as f64;
                if value.is_finite() && value.abs() < 9.0e18 { value as i64 } else { return None }
            }
        };
        (value >= 0).then_some(Bytes(value))
    }
}

/// A duration in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(pub i64);

const UNITS: &[(&str, i64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
    ("w", 604_800_000_000_000),
];

impl Duration {
    /// A number alone says nothing of its unit.
    pub(crate) const IS_TEXT: bool = true;

    /// Returns a duration of whole seconds.
    pub fn seconds(seconds: u32) -> Self {
        Self(i64::from(seconds) * 1_000_000_000)
    }

    /// Returns the duration of a text in Go's syntax, with `d` and `w` as compose 2.40 has them.
    pub fn parse(text: &str) -> Option<Self> {
        let (sign, mut rest) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        if rest == "0" {
            return Some(Self(0));
        }
        if rest.is_empty() {
            return None;
        }
        let mut total: f64 = 0.0;
        while !rest.is_empty() {
            let split = rest.find(|each: char| !(each.is_ascii_digit() || each == '.'))?;
            let number: f64 = rest[..split].parse().ok()?;
            rest = &rest[split..];
            let end = rest.find(|each: char| each.is_ascii_digit() || each == '.').unwrap_or(rest.len());
            let (_, factor) = UNITS.iter().find(|(unit, _)| *unit == &rest[..end])?;
            total += number * *factor as f64;
            rest = &rest[end..];
        }
        if total < 9.0e18 { Some(Self(sign * total.round() as i64)) } else { None }
    }

    /// Returns the duration in whole seconds, rounded down.
    pub fn as_seconds(self) -> i64 {
        self.0 / 1_000_000_000
    }
}

impl std::fmt::Display for Duration {
    /// Writes the duration as Go does: `1m30s`, `1.5s`, `24h0m0s`, `100ms`, `0s`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let total = self.0.unsigned_abs();
        if self.0 < 0 {
            f.write_str("-")?;
        }
        let fraction = |value: u64, unit: u64| {
            let (whole, part) = (value / unit, value % unit);
            let width = unit.ilog10() as usize;
            let text = format!("{whole}.{part:0width$}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        };
        match total {
            0 => f.write_str("0s"),
            1..1_000 => write!(f, "{total}ns"),
            1_000..1_000_000 => write!(f, "{}µs", fraction(total, 1_000)),
            1_000_000..1_000_000_000 => write!(f, "{}ms", fraction(total, 1_000_000)),
            _ => {
                let (minutes, rest) = (total / 60_000_000_000, total % 60_000_000_000);
                let (hours, minutes) = (minutes / 60, minutes % 60);
                if hours > 0 {
                    write!(f, "{hours}h{minutes}m")?;
                } else if minutes > 0 {
                    write!(f, "{minutes}m")?;
                }
                write!(f, "{}s", fraction(rest, 1_000_000_000))
            }
        }
    }
}

/// A number of CPUs, in billionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cpus(pub i64);

impl Cpus {
    /// A number is one.
    pub(crate) const IS_TEXT: bool = false;

    /// Returns the number of CPUs of a text such as `0.5`.
    pub fn parse(text: &str) -> Option<Self> {
        let value: f64 = text.trim().parse().ok()?;
        if value.is_finite() && value.abs() < 1.0e9 { Some(Self((value * 1e9).round() as i64)) } else { None }
    }
}

impl std::fmt::Display for Cpus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0 as f64 / 1e9)
    }
}

/// A number with decimals, as it prints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decimal(pub String);

impl Decimal {
    /// A number is one.
    pub(crate) const IS_TEXT: bool = false;

    /// Returns the number of a text.
    pub fn parse(text: &str) -> Option<Self> {
        let value: f64 = text.trim().parse().ok()?;
        if value.is_finite() { Some(Self(value.to_string())) } else { None }
    }
}

impl std::fmt::Display for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns a number as Go prints it: the shortest digits, with an exponent of two digits below -4 and from 6 on.
pub(crate) fn go_float(value: f64) -> String {
    if !value.is_finite() {
        return if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "+Inf"
        } else {
            "-Inf"
        }
        .to_owned();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return value.to_string();
    }
    format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_binary_whatever_the_unit_is_called() {
        for (text, bytes) in [("64m", 67_108_864), ("1.5g", 1_610_612_736), ("1 kb", 1024), ("+1k", 1024), ("10", 10)] {
            assert_eq!(Bytes::parse(text), Some(Bytes(bytes)), "{text}");
        }
        assert_eq!(Bytes::parse("ten"), None);
        assert_eq!(Bytes::parse("99999999p"), None);
        assert!(["-1", " 1k", "1  k", "1kk", ""].into_iter().all(|text| Bytes::parse(text).is_none()));
    }

    #[test]
    fn durations_print_as_go_prints_them() {
        for (text, printed) in
            [("90s", "1m30s"), ("1d", "24h0m0s"), ("1.5s", "1.5s"), ("100ms", "100ms"), ("0", "0s"), ("-2m", "-2m0s")]
        {
            assert_eq!(Duration::parse(text).map(|each| each.to_string()), Some(printed.to_owned()));
        }
        assert_eq!(Duration::parse("10"), None);
        assert_eq!(Duration::parse(""), None);
    }
}
