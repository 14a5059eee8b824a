//! Schedules: hermes keeps them in its own state and may add some itself, so claw's are told to it once it runs.

use claw_types::agent::{AgentUnit, Target};
use claw_types::doc::Doc;

use super::WORKSPACE;

/// Returns the jobs as the script reads them.
pub(super) fn jobs(unit: &AgentUnit) -> Doc {
    let owner = format!("claw:{}:{}:", unit.pod, unit.id);
    let jobs = unit.schedules.iter().map(|schedule| {
        Doc::map([
            ("cron", Doc::str(&schedule.cron)),
            ("deliver", Doc::Str(schedule.target.as_ref().map_or_else(|| "local".to_owned(), deliver))),
            ("key", Doc::Str(format!("{owner}{}", schedule.id))),
            ("message", Doc::str(&schedule.message)),
            ("name", Doc::str(&schedule.id)),
            ("workdir", Doc::str(WORKSPACE)),
        ])
    });
    Doc::map([("jobs", Doc::List(jobs.collect())), ("owner", Doc::str(&owner))])
}

/// Returns a channel as hermes addresses it.
fn deliver(target: &Target) -> String {
    format!("{}:{}", target.platform.name(), target.channel)
}
