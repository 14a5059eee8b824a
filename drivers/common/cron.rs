//! Schedules that a runtime's own parser would refuse, told when the pod is compiled.

use claw_types::agent::AgentUnit;
use claw_types::diag::{Code, Diagnostic, Diagnostics};

/// What a parser knows beside numbers, `*`, lists, ranges and steps.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Knows {
    /// Nothing.
    Numbers,
    /// Names of months and days.
    Names,
    /// Names, the last day of a month (`L`), the working day next to one (`15W`), and one such day of a month (`5#2`, `5L`).
    Marks,
}

/// The greatest step that a parser takes in each field, minutes first; nothing where it takes any.
pub(crate) type Steps = Option<[u32; 5]>;

/// Records schedules that the runtime cannot read, and those whose day never comes: it refuses them too.
pub(crate) fn check(runtime: &str, knows: Knows, steps: Steps, unit: &AgentUnit, diag: &mut Diagnostics) {
    for schedule in &unit.schedules {
        let fields: Vec<&str> = schedule.cron.split_whitespace().collect();
        let word = fields.iter().enumerate().find_map(|(index, field)| unread(field, index, knows));
        let (message, help) = if let Some(word) = word {
            let message = format!("`{runtime}` cannot read `{word}` in the schedule `{}`", schedule.id);
            let help = match knows {
                _ if word == "?" => "any day is `*`",
                Knows::Marks => {
                    "`L` and `15W` are days of the month, `5L` and `5#2` days of the week, and any day is `*`"
                }
                _ => "write it with numbers: days of the week count from 0, which is Sunday",
            };
            (message, help)
        } else if let Some(word) =
            fields.iter().zip(steps.into_iter().flatten()).find_map(|(field, most)| far(field, most))
        {
            let message = format!("`{runtime}` takes no step as wide as `{word}` in the schedule `{}`", schedule.id);
            (message, "write the one value that it comes to: `0` for `*/60`")
        } else if never(&fields) {
            let message = format!("the schedule `{}` names a day that none of its months has", schedule.id);
            (message, "name a month that is as long, or another day: the last one of April is 30")
        } else {
            continue;
        };
        diag.push(Diagnostic::error(Code::RuntimeCannot, unit.origin, message).help(help));
    }
}

/// The index of the days of a month among the fields, and that of the days of a week.
const MONTH_DAYS: usize = 2;
const WEEK_DAYS: usize = 4;

fn is_number(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_name(part: &str) -> bool {
    part.len() == 3 && part.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// Returns the part of a field that is not read.
fn unread(field: &str, index: usize, knows: Knows) -> Option<&str> {
    let is_known =
        |part: &&str| part.is_empty() || *part == "*" || is_number(part) || is_name(part) && knows != Knows::Numbers;
    let items = field.split(',').filter(|item| knows != Knows::Marks || !is_mark(item, index));
    items.flat_map(|item| item.split(['-', '/'])).find(|part| !is_known(part))
}

/// Returns the item of a field whose step is greater than that.
fn far(field: &str, most: u32) -> Option<&str> {
    let is_far = |step: &str| is_number(step) && !step.parse::<u32>().is_ok_and(|step| step <= most);
    field.split(',').find(|item| item.split_once('/').is_some_and(|(_, step)| is_far(step)))
}

/// Returns whether it is a day by one of the marks.
fn is_mark(item: &str, index: usize) -> bool {
    let is_day = |day: &str| is_number(day) || is_name(day);
    match index {
        MONTH_DAYS => item == "L" || item.strip_suffix('W').is_some_and(is_number),
        WEEK_DAYS => {
            item.strip_suffix('L').is_some_and(is_day)
                || item.split_once('#').is_some_and(|(day, count)| is_day(day) && is_number(count))
        }
        _ => false,
    }
}

/// The names of months, and the days of each.
const MONTHS: [(&str, u32); 12] = [
    ("jan", 31),
    ("feb", 29),
    ("mar", 31),
    ("apr", 30),
    ("may", 31),
    ("jun", 30),
    ("jul", 31),
    ("aug", 31),
    ("sep", 30),
    ("oct", 31),
    ("nov", 30),
    ("dec", 31),
];

/// Returns whether the day never comes: each of its days of a month is beyond the end of each of its months, and it names no day of
/// the week.
fn never(fields: &[&str]) -> bool {
    let [_, _, days, months, "*" | "?"] = fields else { return false };
    let first = |item: &str| {
        let end = item.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(item.len());
        item.get(..end).and_then(|digits| digits.parse::<u32>().ok()).unwrap_or(1)
    };
    let least = days.split(',').map(first).min().unwrap_or(1);
    let longest = months.split(',').map(longest).max().unwrap_or(31);
    least > longest
}

/// Returns how many days the longest month of an item has.
fn longest(item: &str) -> u32 {
    let (range, step) = item.split_once('/').unwrap_or((item, "1"));
    let month = |name: &str| {
        let at = MONTHS.iter().position(|(own, _)| own.eq_ignore_ascii_case(name)).map(|at| at + 1);
        at.or_else(|| name.parse().ok())
    };
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (Some(first), Some(last), Ok(step)) = (month(first), month(last), step.parse::<usize>()) else { return 31 };
    let own = (first..=last).step_by(step.max(1)).filter_map(|month| MONTHS.get(month.checked_sub(1)?));
    own.map(|(_, days)| *days).max().unwrap_or(31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_parser_does_not_know_is_found() {
        for field in ["*", "*/5", "1-5", "0,30", "9"] {
            assert_eq!(unread(field, 2, Knows::Numbers), None, "{field}");
        }
        assert_eq!(unread("MON-FRI", 4, Knows::Names), None);
        assert_eq!(unread("MON-FRI", 4, Knows::Numbers), Some("MON"));
        for field in ["L", "LW", "5L", "15W", "5#2", "?"] {
            assert!(unread(field, 4, Knows::Names).is_some(), "{field}");
        }
    }

    #[test]
    fn a_step_beyond_its_field_is_found() {
        assert_eq!(
            [far("*/59", 59), far("1-5,*/60", 59), far("*/4294967296", 59)],
            [None, Some("*/60"), Some("*/4294967296")]
        );
    }

    #[test]
    fn a_day_that_never_comes_is_found() {
        let is_never = |days, months, week| never(&["0", "9", days, months, week]);
        for (days, months) in [("31", "2"), ("30W", "FEB"), ("31", "4,6"), ("31", "4-6/2"), ("30-31", "2")] {
            assert!(is_never(days, months, "*"), "{days} {months}");
        }
        for (days, months) in [("29", "2"), ("31", "*"), ("1,31", "2"), ("L", "2"), ("31", "4-6"), ("*/31", "2")] {
            assert!(!is_never(days, months, "*"), "{days} {months}");
        }
        assert!(!is_never("31", "2", "1"));
    }
}
