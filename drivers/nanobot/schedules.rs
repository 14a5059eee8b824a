//! Schedules: nanobot keeps them in its own state, so they are declared to it before it starts and while it runs, by ids of claw's.

use claw_types::agent::{AgentUnit, Schedule, Target};
use claw_types::doc::Doc;

/// Returns the jobs as `claw_nanobot.py` reads them.
pub(super) fn jobs(unit: &AgentUnit) -> Doc {
    let owner = format!("claw:{}:{}:", unit.pod, unit.id);
    let jobs = unit.schedules.iter().map(|schedule| {
        let (channel, to) = place(schedule);
        Doc::map([
            ("channel", Doc::str(channel)),
            ("cron", Doc::str(&schedule.cron)),
            ("id", Doc::Str(format!("{owner}{}", schedule.id))),
            ("message", Doc::str(&schedule.message)),
            ("name", Doc::str(&schedule.id)),
            ("session", Doc::Str(format!("{channel}:{to}"))),
            ("to", Doc::Str(to)),
            ("tz", Doc::Str(unit.timezone.clone().unwrap_or_else(|| "UTC".to_owned()))),
        ])
    });
    Doc::map([("jobs", Doc::List(jobs.collect())), ("owner", Doc::str(&owner))])
}

/// Returns the channel and the chat that a schedule belongs to. A job without one never runs: one that answers nowhere has a
/// conversation of its own in the terminal's channel, which no gateway has.
fn place(schedule: &Schedule) -> (&'static str, String) {
    match &schedule.target {
        Some(target) => (target.platform.name(), address(target)),
        None => ("cli", format!("schedule-{}", schedule.id)),
    }
}

/// Returns a channel as nanobot addresses it.
fn address(target: &Target) -> String {
    match target.platform.name() {
        "dingtalk" => format!("group:{}", target.channel),
        _ => target.channel.clone(),
    }
}
