//! Schedules that zeroclaw would not keep, told when the pod is compiled: one that it cannot read, or that never comes, takes all
//! those after it along when it starts, and only its log says so. What it reads otherwise than the pod means would come at
//! another time.

use claw_types::agent::{AgentUnit, Schedule};
use claw_types::diag::{Code, Diagnostic, Diagnostics};

use crate::common::cron;

/// Records schedules that it does not keep as they are meant.
pub(super) fn check(unit: &AgentUnit, diag: &mut Diagnostics) {
    // It would read `?`, which says no more than `*`.
    cron::check(super::FACTS.name, cron::Knows::Names, Some([59, 23, 31, 12, 7]), unit, diag);
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
    let is_any = |field: &str| matches!(field, "*" | "?");
    if !is_any(day) && !is_any(weekday) {
        let message = "wants both the day of the month and the day of the week, where a pod means either,";
        return Some((message.to_owned(), "write two schedules, each with `*` in one of the two fields"));
    }
    let mixed = [month, weekday].into_iter().find(|field| is_mixed(field))?;
    let message = format!("counts days from 1 beside names, and cannot read `{mixed}` as it is meant");
    Some((message, "write all of the field with names, or all with numbers"))
}

/// Returns whether a field has names and numbers, beside steps.
fn is_mixed(field: &str) -> bool {
    let parts = || field.split(',').flat_map(|item| item.split('/').next().unwrap_or_default().split('-'));
    let begins = |is_so: fn(&char) -> bool| parts().any(|part| part.chars().next().as_ref().is_some_and(is_so));
    begins(char::is_ascii_alphabetic) && begins(char::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(cron: &str) -> Option<String> {
        let schedule = Schedule { id: "x".into(), cron: cron.to_owned(), message: "y".into(), target: None };
        problem(&schedule).map(|(message, _)| message)
    }

    #[test]
    fn what_would_come_at_another_time_is_found() {
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
        ] {
            assert!(said(bad).is_some_and(|said| said.contains(why)), "{bad}: {:?}", said(bad));
        }
    }
}
