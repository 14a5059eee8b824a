//! Who everybody is: the roster, the variables that tell it to every service, and where schedules answer.

use std::collections::BTreeMap;

use claw_types::agent::{Schedule, Target};
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::doc::Doc;
use claw_types::platform::{self, Platform};
use claw_types::roster::{Channel, Guild, Identity, Roster};
use claw_types::span::Span;

use super::{Row, Shared};
use crate::clawfile::{Directive, schedule};
use crate::pod::{GuildBlock, Handle, PodBlock};

/// Returns every identity of the pod.
pub(crate) fn roster(rows: &[Row<'_>], block: &PodBlock, diag: &mut Diagnostics) -> Roster {
    let mut roster = Roster::default();
    for row in rows {
        let mut identities: BTreeMap<Platform, Identity> = BTreeMap::new();
        for each in row.directives() {
            if let Directive::Handle(platform) = &each.value {
                identities.insert(*platform, identity(None, block.handles_defaults.get(platform.name())));
            }
        }
        let at = row.block.origin.of("handles", row.at);
        for (name, handle) in &row.block.handles {
            let Some(platform) = Platform::parse(name) else {
                let error = Diagnostic::error(Code::UnknownPlatform, at, format!("there is no platform `{name}`"));
                diag.push(error.suggest(&name.to_ascii_lowercase(), platform::names()));
                continue;
            };
            let default = block.handles_defaults.iter().find(|(name, _)| Platform::parse(name) == Some(platform));
            identities.insert(platform, identity(Some(handle), default.map(|(_, handle)| handle)));
        }
        roster.identities.insert(row.service.clone(), identities);
    }
    roster
}

fn identity(own: Option<&Handle>, default: Option<&Handle>) -> Identity {
    let own = own.map(|handle| &handle.0);
    let default = default.map(|handle| &handle.0);
    let id = own.and_then(|own| own.id.clone()).or_else(|| default.and_then(|default| default.id.clone()));
    let username = own.and_then(|own| own.username.clone()).or_else(|| default.and_then(|d| d.username.clone()));
    let guilds = own.map(|own| &own.guilds).filter(|guilds| !guilds.is_empty()).or_else(|| default.map(|d| &d.guilds));
    let guilds = guilds.map_or(Vec::new(), |guilds| guilds.iter().filter_map(guild).collect());
    Identity { id: id.map(|id| id.0), username, guilds }
}

fn guild(block: &GuildBlock) -> Option<Guild> {
    let channels = block
        .channels
        .iter()
        .filter_map(|channel| Some(Channel { id: channel.id.clone()?.0, name: channel.name.clone() }));
    Some(Guild { id: block.id.clone()?.0, name: block.name.clone(), channels: channels.collect() })
}

/// Returns the `CLAW_HANDLE_*` variables of every service.
pub(crate) fn broadcast(roster: &Roster, at: Span, diag: &mut Diagnostics) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    for (service, identities) in &roster.identities {
        let name = service.as_str().to_ascii_uppercase().replace(['-', '.'], "_");
        for (platform, identity) in identities {
            let prefix = format!("CLAW_HANDLE_{name}_{}", platform.name().to_ascii_uppercase());
            let mut add = |suffix: &str, value: String| {
                if variables.insert(format!("{prefix}_{suffix}"), value).is_some() {
                    let message = format!("two services are called `{prefix}_…` in the environment");
                    diag.push(Diagnostic::error(Code::NameCollision, at, message).help("rename one of them"));
                }
            };
            if let Some(id) = &identity.id {
                add("ID", id.clone());
            }
            if let Some(username) = &identity.username {
                add("USERNAME", username.clone());
            }
            let ids: Vec<&str> = identity.guilds.iter().map(|guild| guild.id.as_str()).collect();
            if !ids.is_empty() {
                add("GUILDS", ids.join(","));
            }
            add("JSON", card(identity).to_json_line().masked());
        }
    }
    variables
}

fn card(identity: &Identity) -> Doc {
    let text = |text: &Option<String>| text.clone().map_or(Doc::Null, Doc::Str);
    let channel = |channel: &Channel| Doc::map([("id", Doc::str(&channel.id)), ("name", text(&channel.name))]);
    let guild = |guild: &Guild| {
        let channels = Doc::List(guild.channels.iter().map(channel).collect());
        Doc::map([("id", Doc::str(&guild.id)), ("name", text(&guild.name)), ("channels", channels)])
    };
    let guilds = Doc::List(identity.guilds.iter().map(guild).collect());
    Doc::map([("id", text(&identity.id)), ("username", text(&identity.username)), ("guilds", guilds)])
}

/// Returns the schedules: the image's, then the pod's, each with a deterministic id.
pub(crate) fn schedules(row: &Row<'_>, shared: &Shared<'_>, diag: &mut Diagnostics) -> Vec<Schedule> {
    let mut schedules = Vec::new();
    for each in row.directives() {
        if let Directive::Invoke { schedule, message } = &each.value {
            let id = format!("image-{}", schedules.len());
            schedules.push(Schedule { id, cron: schedule.clone(), message: message.clone(), target: None });
        }
    }
    for (index, block) in row.block.invoke.iter().enumerate() {
        let at = block.origin.span.unwrap_or(row.at);
        let (Some(cron), Some(message)) = (&block.schedule, &block.message) else {
            diag.push(Diagnostic::error(Code::MissingKey, at, "an invocation needs `schedule` and `message`"));
            continue;
        };
        if let Err(why) = schedule::check(cron) {
            let error = Diagnostic::error(
                Code::BadSchedule,
                block.origin.of("schedule", at),
                format!("`{cron}` is not a schedule: {why}"),
            );
            diag.push(error.help("the fields are minute, hour, day of month, month, day of week"));
        }
        let id = block.name.clone().unwrap_or_else(|| format!("pod-{index}"));
        if schedules.iter().any(|other| other.id == id) {
            diag.push(Diagnostic::error(Code::NameCollision, at, format!("two schedules are called `{id}`")));
        }
        let target = block.to.as_ref().and_then(|to| target(&to.0, row, shared, block.origin.of("to", at), diag));
        schedules.push(Schedule { id, cron: cron.clone(), message: message.clone(), target });
    }
    schedules
}

/// A target is a channel's id, its name, or `platform:` before either.
fn target(text: &str, row: &Row<'_>, shared: &Shared<'_>, at: Span, diag: &mut Diagnostics) -> Option<Target> {
    let (wanted, name) = match text.split_once(':').and_then(|(p, rest)| Some((Platform::parse(p)?, rest))) {
        Some((platform, rest)) => (Some(platform), rest),
        None => (None, text),
    };
    let name = name.trim_start_matches('#');
    let identities = shared.roster.identities.get(&row.service)?;
    let mut found = Vec::new();
    for (platform, identity) in
        identities.iter().filter(|(platform, _)| wanted.is_none_or(|wanted| wanted == **platform))
    {
        for channel in identity.guilds.iter().flat_map(|guild| &guild.channels) {
            if channel.id == name || channel.name.as_deref() == Some(name) {
                found.push(Target { platform: *platform, channel: channel.id.clone() });
            }
        }
    }
    if let (Some(platform), true) = (wanted, found.is_empty()) {
        return Some(Target { platform, channel: name.to_owned() });
    }
    if found.len() != 1 {
        let what = if found.is_empty() { "is no channel of this agent" } else { "is more than one channel" };
        let error = Diagnostic::error(Code::BadValue, at, format!("`{text}` {what}"));
        diag.push(error.help("write a channel's id, or `platform:channel`"));
        return None;
    }
    found.pop()
}
