//! Schedules: what the runner's own reader of them refuses, said before anything is made.

use claw_types::agent::AgentUnit;
use claw_types::diag::{Code, Diagnostic, Diagnostics};

/// Records schedules that the runner cannot have, and answers that reach nobody.
pub(super) fn check(unit: &AgentUnit, diag: &mut Diagnostics) {
    for schedule in &unit.schedules {
        let id = &schedule.id;
        if !is_id(id) {
            let message = format!("the runtime `claude-agent-sdk` cannot have a schedule called `{id}`");
            let error = Diagnostic::error(Code::RuntimeCannot, unit.origin, message);
            diag.push(
                error.help("call it by at most 55 letters, digits, `-` and `_`: its conversation is called by it"),
            );
        }
        if let Some(item) = unreadable(&schedule.cron) {
            let message =
                format!("the runtime `claude-agent-sdk` cannot read `{item}` of the schedule `{}`", schedule.cron);
            let error = Diagnostic::error(Code::RuntimeCannot, unit.origin, message);
            diag.push(error.help("`L`, `LW` and `15W` are days of the month, `5L` and `5#2` of the week, each by itself, and `*` stands alone"));
        }
        if let Some(target) = &schedule.target {
            let message =
                format!("the schedule `{id}` answers to `{}`, where this runtime does not speak", target.platform);
            let warning = Diagnostic::warning(Code::RuntimeCannot, unit.origin, message);
            diag.push(
                warning.help("its answers stand in `/agent/state/schedules.jsonl` of the agent, and nowhere else"),
            );
        }
    }
}

/// Returns whether `schedule-<id>` is the name of a conversation.
fn is_id(id: &str) -> bool {
    (1..=55).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Returns the first item of a schedule that means nothing, of one that the language takes: its check lets `L` and `W` stand
/// where no reader knows a meaning.
pub(super) fn unreadable(cron: &str) -> Option<&str> {
    let fields = cron.split_whitespace().enumerate();
    let mut items = fields.flat_map(|(index, field)| field.split(',').map(move |item| (index, field, item)));
    items.find(|(index, field, item)| !is_readable(*index, field, item)).map(|(_, _, item)| item)
}

fn is_readable(index: usize, field: &str, item: &str) -> bool {
    let is_plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let (base, step) = item.split_once('/').map_or((item, None), |(base, step)| (base, Some(step)));
    if matches!(base, "*" | "?") {
        return step.is_some() || field == item;
    }
    let is_marked =
        index == 2 && base.ends_with(['L', 'W']) || index == 4 && base.ends_with(['L', 'W']) || base.contains('#');
    if !is_marked {
        return true;
    }
    let is_single = step.is_none() && !base.contains('-');
    match index {
        2 => is_single && (matches!(base, "L" | "LW") || base.strip_suffix('W').is_some_and(is_number)),
        4 => {
            is_single
                && base.strip_suffix('L').or_else(|| base.split_once('#').map(|(day, _)| day)).is_some_and(is_plain)
        }
        _ => false,
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::unreadable;

    #[test]
    fn marks_stand_where_they_mean_something() {
        for good in
            ["* * * * *", "*/5 0-6 1,15 jan-mar mon", "0 9 L * 5#2", "0 0 ? * 7", "0 0 LW,15W * 5L", "0 0 * jul */2"]
        {
            assert_eq!(unreadable(good), None, "{good}");
        }
        for (bad, item) in [
            ("* * * * L", "L"),
            ("* * * * 5W", "5W"),
            ("* * L/2 * *", "L/2"),
            ("* * 15L * *", "15L"),
            ("* * 15LW * *", "15LW"),
            ("* *,5 * * *", "*"),
            ("* * * * 1-5L", "1-5L"),
        ] {
            assert_eq!(unreadable(bad), Some(item), "{bad}");
        }
    }
}
