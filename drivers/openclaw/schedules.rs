//! Schedules: openclaw keeps them in its own state, so they are declared to it once it runs, by keys of claw's.

use claw_types::agent::{AgentUnit, Target};
use claw_types::doc::Doc;

/// Declares the jobs of a file to the gateway, and removes those of claw's that are in it no more.
pub(super) const SCRIPT: &str = include_str!("schedules.mjs");

/// Returns the jobs as the script reads them.
pub(super) fn jobs(unit: &AgentUnit) -> Doc {
    let owner = format!("claw:{}:{}:", unit.pod, unit.id);
    let jobs = unit.schedules.iter().map(|schedule| {
        let target = schedule.target.as_ref();
        Doc::map([
            ("channel", target.map_or(Doc::Null, |target| Doc::str(target.platform.name()))),
            ("cron", Doc::str(&schedule.cron)),
            ("key", Doc::Str(format!("{owner}{}", schedule.id))),
            ("message", Doc::str(&schedule.message)),
            ("name", Doc::str(&schedule.id)),
            ("to", target.map_or(Doc::Null, |target| Doc::Str(address(target)))),
            ("tz", Doc::Str(unit.timezone.clone().unwrap_or_else(|| "UTC".to_owned()))),
        ])
    });
    Doc::map([("jobs", Doc::List(jobs.collect())), ("owner", Doc::str(&owner))])
}

/// Returns a channel as openclaw addresses it: some platforms have people and channels under one kind of id.
fn address(target: &Target) -> String {
    match target.platform.name() {
        "discord" | "slack" => format!("channel:{}", target.channel),
        _ => target.channel.clone(),
    }
}
