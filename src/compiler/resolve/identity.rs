//! Who everybody is: the roster, the variables that tell it to every service, and where schedules answer.

use std::collections::BTreeMap;

use claw_compose::shape::Origin;
use claw_types::agent::{Schedule, Target};
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::doc::{Doc, is_break, is_invisible};
use claw_types::id::SecretName;
use claw_types::platform::{self, Platform};
use claw_types::roster::{Channel, Guild, Identity, Roster};
use claw_types::span::Span;

use super::{Row, SecretSource, Shared, channel};
use crate::clawfile::{Directive, schedule};
use crate::facts::Facts;
use crate::pod::{Handle, HandleBlock, PodBlock, Text};

/// Returns every identity of the pod; an id that is not written is the one its token tells.
pub(crate) fn roster(
    rows: &[Row<'_>],
    block: &PodBlock,
    sources: &BTreeMap<SecretName, SecretSource>,
    facts: &Facts,
    at: Span,
    diag: &mut Diagnostics,
) -> Roster {
    let defaults = by_platform(&block.handles_defaults, block.origin.of("handles-defaults", at), diag);
    // Defaults that nobody uses are judged too.
    for (platform, handle) in &defaults {
        identity(*platform, None, Some(handle), at, diag);
    }
    let mut roster = Roster::default();
    for row in rows {
        let mut identities: BTreeMap<Platform, Identity> = BTreeMap::new();
        for each in row.directives() {
            if let Directive::Handle(platform) = &each.value {
                identities.insert(*platform, identity(*platform, None, defaults.get(platform).copied(), at, diag));
            }
        }
        let at = row.block.origin.of("handles", row.at);
        for (platform, handle) in by_platform(&row.block.handles, at, diag) {
            identities.insert(platform, identity(platform, Some(handle), defaults.get(&platform).copied(), at, diag));
        }
        for (platform, identity) in &mut identities {
            let told = row.agentish.service.and_then(|service| channel::account(service, *platform, sources, facts));
            match (&identity.id, told) {
                (None, told) => identity.id = told,
                (Some(id), Some(told)) if *id != told => {
                    let at = super::check::place(row, *platform);
                    let message = format!("`{id}` is not the account on `{platform}` that its token belongs to");
                    let warning = Diagnostic::warning(Code::Discouraged, at, message);
                    diag.push(warning.help(format!("write `{told}`, or give it the token of `{id}`")));
                }
                (Some(_), _) => {}
            }
        }
        roster.identities.insert(row.service.clone(), identities);
    }
    roster
}

fn by_platform<'h>(
    handles: &'h BTreeMap<String, Handle>,
    at: Span,
    diag: &mut Diagnostics,
) -> BTreeMap<Platform, &'h HandleBlock> {
    let mut found: BTreeMap<Platform, &HandleBlock> = BTreeMap::new();
    for (name, handle) in handles {
        let at = handle.0.origin.place(at);
        let Some(platform) = Platform::parse(name) else {
            let error = Diagnostic::error(Code::UnknownPlatform, at, format!("there is no platform `{name}`"));
            let error = error.help(platform::help());
            diag.push(error.suggest(&name.to_ascii_lowercase(), platform::names()));
            continue;
        };
        if let Some(first) = found.insert(platform, &handle.0) {
            let error = Diagnostic::error(Code::NameCollision, at, format!("the platform `{platform}` stands twice"));
            let error = error.note_at(first.origin.place(at), "it stands here too");
            diag.push(error.help("keep one of the two; names of platforms are the same in any case"));
        }
    }
    found
}

/// An account, the pod's defaults of its platform under it: guilds merge by id, channels of a guild too.
fn identity(
    platform: Platform,
    own: Option<&HandleBlock>,
    default: Option<&HandleBlock>,
    at: Span,
    diag: &mut Diagnostics,
) -> Identity {
    let id = own
        .and_then(|own| own.id.as_ref().map(|id| (id, own)))
        .or_else(|| default.and_then(|d| Some((d.id.as_ref()?, d))));
    let id = id.and_then(|(id, block)| checked(&id.0, block.origin.of("id", at), diag));
    let named = |handle: &HandleBlock| Some((handle.username.clone()?, handle.origin.of("username", at)));
    let username = own.and_then(named).or_else(|| default.and_then(named));
    let username = username.and_then(|(name, at)| on_a_line(name, at, diag));
    own.into_iter().for_each(|own| twice(own, platform, at, diag));
    let mut guilds: Vec<Guild> = Vec::new();
    for block in default.into_iter().chain(own).flat_map(|handle| &handle.guilds) {
        let at = block.origin.span.unwrap_or(at);
        let Some(id) = needed(block.id.as_ref(), &block.origin, "guild", platform, at, diag) else { continue };
        let index = guilds.iter().position(|guild| guild.id == id).unwrap_or_else(|| {
            guilds.push(Guild { id, name: None, channels: Vec::new() });
            guilds.len() - 1
        });
        let guild = &mut guilds[index];
        guild.name = block.name.clone().or(guild.name.take());
        for channel in &block.channels {
            let at = channel.origin.span.unwrap_or(at);
            let Some(id) = needed(channel.id.as_ref(), &channel.origin, "channel", platform, at, diag) else {
                continue;
            };
            match guild.channels.iter_mut().find(|known| known.id == id) {
                Some(known) => known.name = channel.name.clone().or(known.name.take()),
                None => guild.channels.push(Channel { id, name: channel.name.clone() }),
            }
        }
    }
    Identity { id, username, guilds }
}

/// Records guilds, and channels of a guild, that stand twice in one list.
fn twice(handle: &HandleBlock, platform: Platform, at: Span, diag: &mut Diagnostics) {
    let mut judge = |what: &str, ids: Vec<(Option<&Text>, &Origin)>| {
        let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
        for (id, origin) in ids {
            let Some(id) = id else { continue };
            let place = origin.of("id", at);
            if let Some(first) = seen.insert(&id.0, place) {
                let message = format!("the {what} `{}` of `{platform}` stands twice", id.0);
                let error = Diagnostic::error(Code::NameCollision, place, message);
                diag.push(error.note_at(first, "it stands here too").help("keep one of the two"));
            }
        }
    };
    judge("guild", handle.guilds.iter().map(|guild| (guild.id.as_ref(), &guild.origin)).collect());
    for guild in &handle.guilds {
        judge("channel", guild.channels.iter().map(|channel| (channel.id.as_ref(), &channel.origin)).collect());
    }
}

fn needed(
    id: Option<&Text>,
    origin: &Origin,
    what: &str,
    platform: Platform,
    at: Span,
    diag: &mut Diagnostics,
) -> Option<String> {
    let Some(id) = id else {
        let error = Diagnostic::error(Code::MissingKey, at, format!("a {what} of `{platform}` needs `id`"));
        diag.push(error.help(format!("add the id that `{platform}` gives it: `id: \"1234\"`")));
        return None;
    };
    checked(&id.0, origin.of("id", at), diag)
}

/// A name is told to every service as it is written.
fn on_a_line(name: String, at: Span, diag: &mut Diagnostics) -> Option<String> {
    if !name.trim().is_empty() && !name.contains(|each: char| is_break(each) || each.is_control() || is_invisible(each))
    {
        return Some(name);
    }
    let error = Diagnostic::error(Code::BadValue, at, format!("`{}` is not a user name", name.escape_debug()));
    diag.push(error.help("write it on one line, without invisible characters"));
    None
}

/// Returns an id of a platform. A word that runtimes take for each there is, is none.
pub(crate) fn checked(id: &str, at: Span, diag: &mut Diagnostics) -> Option<String> {
    if !id.is_empty()
        && id != "*"
        && !id.contains(|each: char| each.is_whitespace() || each.is_control() || each == ',')
    {
        return Some(id.to_owned());
    }
    let error = Diagnostic::error(Code::BadValue, at, format!("`{id}` is not an id"));
    diag.push(error.help("an id is one word without comma, as the platform gives it"));
    None
}

/// Returns a service's name as it stands in the names of variables.
pub(crate) fn variable_part(service: &str) -> String {
    service.to_ascii_uppercase().replace(['-', '.'], "_")
}

/// Returns the `CLAW_HANDLE_*` variables of every service.
pub(crate) fn broadcast(roster: &Roster) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    for (service, identities) in &roster.identities {
        let name = variable_part(service.as_str());
        for (platform, identity) in identities {
            let prefix = format!("CLAW_HANDLE_{name}_{}", platform.name().to_ascii_uppercase());
            let mut add = |suffix: &str, value: String| {
                variables.insert(format!("{prefix}_{suffix}"), value);
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

/// Returns the schedules: the image's, then the pod's, each with a deterministic id. An empty list takes the image's away.
pub(crate) fn schedules(row: &Row<'_>, shared: &Shared<'_>, diag: &mut Diagnostics) -> Vec<Schedule> {
    let mut schedules: Vec<Schedule> = Vec::new();
    let is_cleared = row.sets("invoke") && row.block.invoke.is_empty();
    for each in row.directives().filter(|_| !is_cleared) {
        if let Directive::Invoke { schedule, message } = &each.value {
            let id = format!("image-{}", schedules.len());
            schedules.push(Schedule { id, cron: schedule.clone(), message: message.clone(), target: None });
        }
    }
    for (index, block) in row.block.invoke.iter().enumerate() {
        let at = block.origin.span.unwrap_or(row.at);
        let (Some(cron), Some(message)) = (&block.schedule, &block.message) else {
            let error = Diagnostic::error(Code::MissingKey, at, "an invocation needs `schedule` and `message`");
            diag.push(error.help("write `- {schedule: \"0 9 * * *\", message: \"what to do\"}`"));
            continue;
        };
        if let Err(why) = schedule::check(cron) {
            let at = block.origin.of("schedule", at);
            let error = Diagnostic::error(Code::BadSchedule, at, format!("`{cron}` is not a schedule: {why}"));
            diag.push(error.help("the fields are minute, hour, day of month, month, day of week"));
        }
        let message = message.trim();
        if message.is_empty() || message.contains(|each: char| is_break(each) || each.is_control()) {
            let what = if message.is_empty() { "is empty" } else { "has more than one line" };
            let at = block.origin.of("message", at);
            let error = Diagnostic::error(Code::BadValue, at, format!("the message of an invocation {what}"));
            diag.push(error.help("write what the agent is told, on one line"));
        }
        let id = block.name.clone().unwrap_or_else(|| format!("pod-{index}"));
        let at_name = block.origin.of("name", at);
        if SecretName::parse(&id).is_err() {
            let error = Diagnostic::error(Code::BadName, at_name, format!("`{id}` is not a name for a schedule"));
            diag.push(error.help("use letters, digits, `-`, `_` and `.`"));
        }
        if schedules.iter().any(|other| other.id == id) {
            let error = Diagnostic::error(Code::NameCollision, at_name, format!("two schedules are called `{id}`"));
            diag.push(error.help("rename one of them"));
        }
        let target = block.to.as_ref().and_then(|to| target(&to.0, row, shared, block.origin.of("to", at), diag));
        schedules.push(Schedule { id, cron: cron.clone(), message: message.to_owned(), target });
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
    if let Some(platform) = wanted.filter(|platform| !identities.contains_key(platform)) {
        let message = format!("`{}` has no account on `{platform}`", row.service);
        let error = Diagnostic::error(Code::BadValue, at, message);
        diag.push(error.help(format!("add `{platform}` to its `handles`, or answer elsewhere")));
        return None;
    }
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
        let name = checked(name, at, diag)?;
        return Some(Target { platform, channel: name });
    }
    if found.len() != 1 {
        let what = if found.is_empty() { "is no channel of this agent" } else { "is more than one channel" };
        let error = Diagnostic::error(Code::BadValue, at, format!("`{text}` {what}"));
        let channels = identities.values().flat_map(|identity| &identity.guilds).flat_map(|guild| &guild.channels);
        let known: Vec<&str> = channels.map(|channel| channel.name.as_deref().unwrap_or(&channel.id)).collect();
        let help = match known.as_slice() {
            [] => "name its channels in `handles`, or write `platform:channel`".to_owned(),
            known => format!("write `platform:channel`, or one of `{}`", known.join("`, `")),
        };
        let platform = text.split_once(':').map(|(platform, _)| platform);
        let error = error.help(help);
        diag.push(match platform {
            Some(platform) => error.suggest(&platform.to_ascii_lowercase(), platform::names()),
            None => error.suggest(name, known),
        });
        return None;
    }
    found.pop()
}
