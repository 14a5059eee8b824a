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
}

/// Records schedules that the runtime cannot read.
pub(crate) fn check(runtime: &str, knows: Knows, unit: &AgentUnit, diag: &mut Diagnostics) {
    for schedule in &unit.schedules {
        if let Some(word) = schedule.cron.split_whitespace().find_map(|field| unread(field, knows)) {
            let message = format!("`{runtime}` cannot read `{word}` in the schedule `{}`", schedule.id);
            let error = Diagnostic::error(Code::RuntimeCannot, unit.origin, message);
            diag.push(error.help("write it with numbers: days of the week count from 0, which is Sunday"));
        }
    }
}

/// Returns the part of a field that is not read.
fn unread(field: &str, knows: Knows) -> Option<&str> {
    let is_known = |part: &&str| {
        let is_number = part.is_empty() || *part == "*" || part.bytes().all(|byte| byte.is_ascii_digit());
        let is_name = part.len() == 3 && part.bytes().all(|byte| byte.is_ascii_alphabetic());
        is_number || is_name && knows == Knows::Names
    };
    field.split([',', '-', '/']).find(|part| !is_known(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_parser_does_not_know_is_found() {
        for field in ["*", "*/5", "1-5", "0,30", "9"] {
            assert_eq!(unread(field, Knows::Numbers), None, "{field}");
        }
        assert_eq!(unread("MON-FRI", Knows::Names), None);
        assert_eq!(unread("MON-FRI", Knows::Numbers), Some("MON"));
        for field in ["L", "LW", "5L", "15W", "5#2", "?"] {
            assert!(unread(field, Knows::Names).is_some(), "{field}");
        }
    }
}
