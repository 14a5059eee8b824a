//! Schedules that zeroclaw would not keep, told when the pod is compiled: one that it cannot read, or that never comes, takes all
//! those after it along when it starts, and only its log says so. What it reads otherwise than the pod means would come at
//! another time.

use claw_types::agent::{AgentUnit, Schedule};
use claw_types::diag::{Code, Diagnostic, Diagnostics};

use crate::common::cron;

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// The most days of each month.
const DAYS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// Records schedules that it does not keep as they are meant.
pub(super) fn check(unit: &AgentUnit, diag: &mut Diagnostics) {
    // It would read `?`, which says no more than `*`.
    cron::check(super::FACTS.name, cron::Knows::Names, unit, diag);
    for schedule in &unit.schedules {
        if let Some((message, help)) = problem(schedule) {
            let message = format!("`zeroclaw` {message} in the schedule `{}`", schedule.id);
            diag.push(Diagnostic::error(Code::RuntimeCannot, unit.origin, message).help(help));
        }
    }
}

/// Returns what zeroclaw does otherwise, and what helps.
fn problem(schedule: &Schedule) -> Option<(String, &'static str)> {
    let fields: Vec<&str> = schedule.cron.split_whitespace().collect();
    let [_, _, day, month, weekday] = fields.as_slice() else { return None };
    if *day != "*" && *weekday != "*" {
        let message = "wants both the day of the month and the day of the week, where a pod means either,";
        return Some((message.to_owned(), "write two schedules, each with `*` in one of the two fields"));
    }
    if let Some(mixed) = [month, weekday].into_iter().find(|field| is_mixed(field)) {
        let message = format!("counts days from 1 beside names, and cannot read `{mixed}` as it is meant");
        return Some((message, "write all of the field with names, or all with numbers"));
    }
    // The first day of a field is the one that a month has soonest.
    let first = values(day, 31, |text| text.parse().ok()).into_iter().min()?;
    let number = |text: &str| {
        let at = MONTHS.iter().position(|name| text.eq_ignore_ascii_case(name)).and_then(|at| u32::try_from(at).ok());
        at.map(|at| at + 1).or_else(|| text.parse().ok())
    };
    let has_day = |month: u32| DAYS.get(month.wrapping_sub(1) as usize).is_some_and(|days| first <= *days);
    let never = !values(month, 12, number).into_iter().any(has_day);
    never.then(|| (format!("finds no day `{day}` of the month in `{month}`"), "write a day that the month has"))
}

/// Returns whether a field has names and numbers, beside steps.
fn is_mixed(field: &str) -> bool {
    let parts = || field.split(',').flat_map(|item| item.split('/').next().unwrap_or_default().split('-'));
    let begins = |is_so: fn(&char) -> bool| parts().any(|part| part.chars().next().as_ref().is_some_and(is_so));
    begins(char::is_ascii_alphabetic) && begins(char::is_ascii_digit)
}

/// Returns the first value of each item of a field, and for a range each, without regard to steps; nothing of what is not read.
fn values(field: &str, most: u32, number: impl Fn(&str) -> Option<u32>) -> Vec<u32> {
    let each = |item: &str| {
        let base = item.split('/').next().unwrap_or_default();
        let (first, last) = match base.split_once('-') {
            _ if base == "*" => (1, most),
            Some((first, last)) => (number(first)?, number(last)?.min(most)),
            None => (number(base)?, number(base)?),
        };
        Some(first..=last)
    };
    field.split(',').filter_map(each).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(cron: &str) -> Option<String> {
        let schedule = Schedule { id: "x".into(), cron: cron.to_owned(), message: "y".into(), target: None };
        problem(&schedule).map(|(message, _)| message)
    }

    #[test]
    fn what_would_come_at_another_time_or_never_is_found() {
        for good in
            ["* * * * *", "0 9 1-7 */2 *", "0 9 * * MON-FRI/2", "0 0 29 2 *", "0 0 31 feb,mar *", "0 0 30-31 1-2 *"]
        {
            assert_eq!(said(good), None, "{good}");
        }
        for (bad, why) in [
            ("0 9 1 * 1", "either"),
            ("0 9 * * mon,3", "mon,3"),
            ("0 9 * * 1-fri", "1-fri"),
            ("0 9 * jan-3 *", "jan-3"),
            ("0 0 31 2 *", "finds no day `31`"),
            ("0 0 31 feb,4 *", "feb,4"),
            ("0 0 30,31 FEB *", "finds no day"),
        ] {
            assert!(said(bad).is_some_and(|said| said.contains(why)), "{bad}: {:?}", said(bad));
        }
    }
}
