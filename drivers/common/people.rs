//! Accounts that an agent speaks with, and the one rule of who is heard there.
//!
//! The rule: in a group that the pod names, and directly, a runtime hears nobody whom the pod does not let be heard there. Where it
//! would, that is an error, whose help is the line of the pod that says it openly. Where it hears fewer people, or needs a mention
//! that the pod does not ask for, that is a warning. A group that the pod does not name is one that the account should not be in:
//! whom the pod lets be heard elsewhere may be heard there, and that is a warning; anybody else is an error.
//!
//! A driver says whom its runtime hears ([`Heard`]), and [`judge`] compares that with the pod.

use std::collections::{BTreeMap, BTreeSet};

use claw_types::agent::{AgentUnit, ChannelPolicy, DirectPolicy, GuildPolicy, Hears, Surface};
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::platform::Platform;
use claw_types::roster::Identity;

/// What a runtime needs to speak on its platforms.
pub(crate) struct Voices {
    /// The platforms it speaks on.
    pub(crate) platforms: &'static [&'static str],
    /// Those of them that a device is linked to by hand: they have no token.
    pub(crate) linked: &'static [&'static str],
    /// Variables that it needs on a platform beside the tokens.
    pub(crate) also: &'static [(&'static str, &'static str)],
    /// Platforms where it logs in with the account's id, and what that is.
    pub(crate) named: &'static [(&'static str, &'static str)],
}

impl Voices {
    /// Returns the variables whose secrets a platform needs.
    fn tokens(&self, platform: Platform) -> Vec<&'static str> {
        if self.linked.contains(&platform.name()) {
            return Vec::new();
        }
        platform.tokens().iter().copied().chain(self.also(platform)).collect()
    }

    fn also(&self, platform: Platform) -> impl Iterator<Item = &'static str> {
        self.also.iter().filter(move |(name, _)| *name == platform.name()).map(|(_, token)| *token)
    }

    /// Returns what the id of an account is, where it is needed and missing.
    fn misses_id(&self, platform: Platform, identity: &Identity) -> Option<&'static str> {
        let (_, what) = self.named.iter().find(|(name, _)| *name == platform.name())?;
        identity.id.is_none().then_some(*what)
    }

    fn has(&self, platform: Platform) -> bool {
        self.platforms.contains(&platform.name())
    }
}

/// An account that an agent speaks with: it has every token of the platform.
pub(crate) struct Account<'u> {
    pub(crate) platform: Platform,
    pub(crate) identity: &'u Identity,
    pub(crate) policy: &'u ChannelPolicy,
}

fn is_told(unit: &AgentUnit, token: &str) -> bool {
    unit.env.keys().any(|name| name.as_ref() == token)
}

/// Returns the accounts that an agent speaks with, of the platforms that its runtime has.
pub(crate) fn spoken<'u>(unit: &'u AgentUnit, voices: &'static Voices) -> impl Iterator<Item = Account<'u>> {
    unit.channels.iter().filter_map(|(platform, policy)| {
        let identity = unit.identities.get(platform).filter(|_| voices.has(*platform))?;
        let has_tokens = voices.tokens(*platform).iter().all(|token| is_told(unit, token));
        let speaks = has_tokens && voices.misses_id(*platform, identity).is_none();
        speaks.then_some(Account { platform: *platform, identity, policy })
    })
}

/// Records accounts that do not speak: without an id that is needed, without a further secret, or not there at all. That one of
/// every runtime's tokens is missing is told where that is known.
pub(crate) fn deaf(unit: &AgentUnit, voices: &Voices, diag: &mut Diagnostics) {
    let mut warn = |message: String, help: String| {
        diag.push(Diagnostic::warning(Code::RuntimeCannot, unit.origin, message).help(help));
    };
    for (platform, identity) in unit.identities.iter().filter(|(platform, _)| voices.has(**platform)) {
        if let Some(what) = voices.misses_id(*platform, identity) {
            let message = format!("`{}` has an account on `{platform}` without an id", unit.service);
            warn(message, format!("write its id, {what}, into its `handles`; until then it is deaf there"));
        }
        if let Some(token) = voices.also(*platform).find(|token| !is_told(unit, token)) {
            let message = format!("`{}` has an account on `{platform}` and no `{token}`", unit.service);
            warn(message, format!("add `{token}: ${{{token}}}` to its `environment:`; until then it is deaf there"));
        }
    }
    for surface in &unit.surfaces {
        let Surface::Channel { platform } = surface else { continue };
        if voices.has(*platform) && !unit.identities.contains_key(platform) {
            let message = format!("`{}` has the surface `channel://{platform}` and no account there", unit.service);
            warn(message, format!("add `{platform}` to its `handles`, or `HANDLE {platform}` to its Clawfile"));
        }
    }
}

/// Returns the guilds in which anybody is heard: one that is not named is closed.
pub(crate) fn open(policy: &ChannelPolicy) -> impl Iterator<Item = (&String, &GuildPolicy)> {
    policy.guilds.iter().filter(|(_, guild)| guild.hears != Hears::Nobody)
}

/// Returns the ids of people that guilds name.
pub(crate) fn named<'p>(guilds: impl Iterator<Item = (&'p String, &'p GuildPolicy)>) -> BTreeSet<&'p str> {
    let lists = guilds.filter_map(|(_, guild)| match &guild.hears {
        Hears::Only(ids) => Some(ids),
        Hears::Everyone | Hears::Nobody => None,
    });
    lists.flatten().map(String::as_str).collect()
}

/// Returns the ids of people who may write directly.
pub(crate) fn direct(policy: &ChannelPolicy) -> &[String] {
    match &policy.direct {
        DirectPolicy::Pairing(ids) | DirectPolicy::Only(ids) => ids,
        DirectPolicy::Disabled | DirectPolicy::Open => &[],
    }
}

/// Returns the places that a runtime knows groups by: the channels of a guild where it names any, else the guild itself.
pub(crate) fn rooms<'p>(
    guilds: impl Iterator<Item = (&'p String, &'p GuildPolicy)>,
) -> impl Iterator<Item = (&'p str, &'p GuildPolicy)> {
    guilds.flat_map(|(id, guild)| {
        let named: Vec<&str> = guild.channels.iter().map(|channel| channel.id.as_str()).collect();
        let ids = if named.is_empty() { vec![id.as_str()] } else { named };
        ids.into_iter().map(move |id| (id, guild))
    })
}

/// Returns whether a message in a group must mention the agent: in every group, where the pod says so of one. A message that
/// mentions the agent is never one too many.
pub(crate) fn must_mention(policy: &ChannelPolicy) -> bool {
    open(policy).next().is_none() || open(policy).any(|(_, guild)| guild.require_mention)
}

/// Returns the ids of everybody whom the pod names on a platform, in order, each once.
pub(crate) fn everybody(policy: &ChannelPolicy) -> Vec<String> {
    let mut all = Vec::new();
    let groups = policy.guilds.values().filter_map(|guild| match &guild.hears {
        Hears::Only(ids) => Some(ids.as_slice()),
        Hears::Everyone | Hears::Nobody => None,
    });
    for id in groups.flatten().chain(direct(policy)) {
        if !all.contains(id) {
            all.push(id.clone());
        }
    }
    all
}

/// Whom a runtime hears on a platform, as its driver sets it up.
pub(crate) struct Heard {
    /// In each guild that the pod names: who, where, and whether without a mention. Without channels it is heard in all of them.
    pub(crate) guilds: BTreeMap<String, GuildPolicy>,
    /// Directly.
    pub(crate) direct: Hears,
    /// In groups that the pod does not name.
    pub(crate) elsewhere: Hears,
    /// It lets people in later who write directly, by an operator's word.
    pub(crate) is_pairing: bool,
    /// Why it hears other people than the pod says.
    pub(crate) people: String,
    /// Why it hears in other places, or with another rule of mentions.
    pub(crate) places: String,
    /// What to write so that more people are heard, or nobody who is not named.
    pub(crate) instead: String,
}

impl Heard {
    /// Returns what the pod says, kept.
    pub(crate) fn kept(policy: &ChannelPolicy) -> Self {
        Self {
            guilds: policy.guilds.clone(),
            direct: directly(policy),
            elsewhere: Hears::Nobody,
            is_pairing: true,
            people: String::new(),
            places: String::new(),
            instead: "name its `users`".to_owned(),
        }
    }

    /// Returns what comes of one list of people for a whole platform, without any places.
    pub(crate) fn one_list(runtime: &str, platform: Platform, policy: &ChannelPolicy, list: &Hears) -> Self {
        let guild = GuildPolicy { hears: list.clone(), require_mention: must_mention(policy), channels: Vec::new() };
        Self {
            guilds: policy.guilds.keys().map(|id| (id.clone(), guild.clone())).collect(),
            direct: list.clone(),
            elsewhere: list.clone(),
            is_pairing: false,
            people: format!("`{runtime}` has one list of people for all of `{platform}`"),
            places: format!("`{runtime}` knows no groups of `{platform}`, and no channels"),
            instead: "name the people: `users` in its `guilds`, `allow_from` below `dm`".to_owned(),
        }
    }
}

/// Returns who is heard by a runtime that takes an empty list for everyone.
pub(crate) fn or_everyone(list: Hears) -> Hears {
    if list == Hears::Nobody { Hears::Everyone } else { list }
}

/// Returns the list that stands for these people; nobody where there are none.
pub(crate) fn only<'i>(ids: impl IntoIterator<Item = &'i str>) -> Hears {
    let ids: Vec<String> = ids.into_iter().map(ToOwned::to_owned).collect();
    if ids.is_empty() { Hears::Nobody } else { Hears::Only(ids) }
}

/// Returns who may write directly, as the pod says.
pub(crate) fn directly(policy: &ChannelPolicy) -> Hears {
    match policy.direct {
        DirectPolicy::Open => Hears::Everyone,
        _ => only(direct(policy).iter().map(String::as_str)),
    }
}

/// Returns who of some people is not among others, but for these.
fn beyond(some: &Hears, others: &Hears, but: &[String]) -> Hears {
    match (some, others) {
        (Hears::Nobody, _) | (_, Hears::Everyone) => Hears::Nobody,
        (Hears::Everyone, _) => Hears::Everyone,
        (Hears::Only(ids), others) => {
            let is_other = |id: &str| matches!(others, Hears::Only(ids) if ids.iter().any(|other| other == id));
            only(ids.iter().map(String::as_str).filter(|id| !is_other(id) && !but.iter().any(|each| each == id)))
        }
    }
}

/// Returns people as a message names them.
fn who(people: &Hears) -> String {
    match people {
        Hears::Nobody => "nobody".to_owned(),
        Hears::Everyone => "everyone".to_owned(),
        Hears::Only(ids) => match ids.as_slice() {
            [first, second, third, rest @ ..] if !rest.is_empty() => {
                format!("`{first}`, `{second}`, `{third}` and {} more", rest.len())
            }
            ids => format!("`{}`", ids.join("`, `")),
        },
    }
}

/// Returns people as a list of the pod.
fn list(people: &Hears, but: &[String]) -> String {
    let Hears::Only(ids) = people else { return "[\"<id>\"]".to_owned() };
    let ids: Vec<&str> = ids.iter().filter(|id| !but.contains(id)).map(String::as_str).collect();
    format!("[\"{}\"]", ids.join("\", \""))
}

/// What is recorded of one account.
struct Findings<'f> {
    runtime: &'f str,
    unit: &'f AgentUnit,
    diag: &'f mut Diagnostics,
}

impl Findings<'_> {
    fn wider(&mut self, message: &str, help: String) {
        let message = format!("`{}` would {message}", self.runtime);
        self.diag.push(Diagnostic::error(Code::RuntimeCannot, self.unit.origin, message).help(help));
    }

    fn narrower(&mut self, message: &str, help: String) {
        let message = format!("`{}` {message}", self.runtime);
        self.diag.push(Diagnostic::warning(Code::RuntimeCannot, self.unit.origin, message).help(help));
    }
}

/// Records where a runtime hears other people than the pod lets be heard: more are an error, fewer a warning.
pub(crate) fn judge(runtime: &str, unit: &AgentUnit, account: &Account<'_>, heard: &Heard, diag: &mut Diagnostics) {
    let mut found = Findings { runtime, unit, diag };
    // Who is heard though nobody named him is heard everywhere: the rest says the same again.
    if elsewhere(&mut found, account, heard) {
        return;
    }
    let none = GuildPolicy::default();
    for (id, said) in &account.policy.guilds {
        let own = heard.guilds.get(id).unwrap_or(&none);
        in_guild(&mut found, account, id, (said, own), heard);
    }
    written(&mut found, account, heard);
}

/// Compares one guild: what the pod says of it, and what the runtime does.
fn in_guild(
    found: &mut Findings<'_>,
    account: &Account<'_>,
    id: &str,
    (said, own): (&GuildPolicy, &GuildPolicy),
    heard: &Heard,
) {
    let Account { platform, policy, .. } = account;
    let place = format!("in `{id}` of `{platform}`");
    match beyond(&own.hears, &said.hears, &[]) {
        Hears::Nobody => {}
        more => {
            let rule = match (&more, &said.hears) {
                (Hears::Everyone, _) => "policy: open".to_owned(),
                (_, Hears::Nobody) => format!("policy: allowlist, users: {}", list(&own.hears, &policy.peers)),
                _ => format!("users: {}", list(&own.hears, &policy.peers)),
            };
            let message = format!("hear {} {place}, and the pod does not let them be heard there", who(&more));
            found.wider(&message, format!("{}: write `{rule}` for that guild, if it is meant", heard.people));
        }
    }
    let help = || format!("{}: {}", heard.people, heard.instead);
    match beyond(&said.hears, &own.hears, &[]) {
        Hears::Nobody => {}
        Hears::Everyone => {
            let message = format!("hears {} {place}, and the pod lets everyone be heard there", who(&own.hears));
            found.narrower(&message, help());
        }
        fewer => {
            let message = format!("does not hear {} {place}, and the pod lets them be heard there", who(&fewer));
            found.narrower(&message, help());
        }
    }
    if said.hears != Hears::Nobody && own.hears != Hears::Nobody {
        in_channels(found, *platform, id, (said, own), heard);
    }
}

/// Compares the channels of one guild, and whether a message must mention the agent there.
fn in_channels(
    found: &mut Findings<'_>,
    platform: Platform,
    id: &str,
    (said, own): (&GuildPolicy, &GuildPolicy),
    heard: &Heard,
) {
    if !said.channels.is_empty() && own.channels.is_empty() {
        if platform.name() == "telegram" {
            // What is called channels there are topics, or chats that schedules answer to.
            let help = "no rules are made of topics there: its `channels` are what schedules answer to, and no more";
            found.narrower(&format!("hears in every topic of `{id}` of `{platform}`"), help.to_owned());
        } else {
            let message = format!("hear in every channel of `{id}` of `{platform}`, and the pod names which");
            let help = format!("{}: take its `channels` out of `handles`, if all of them are meant", heard.places);
            found.wider(&message, help);
        }
    }
    match (said.require_mention, own.require_mention) {
        (true, false) => {
            let message = format!(
                "read every message in `{id}` of `{platform}`, and the pod lets it read those that mention the agent"
            );
            let help = format!("{}: write `require_mention: false` for that guild, if it is meant", heard.places);
            found.wider(&message, help);
        }
        (false, true) => {
            let message = format!(
                "reads only messages that mention the agent in `{id}` of `{platform}`, and the pod lets it read all"
            );
            found.narrower(&message, format!("{}: mention it there", heard.places));
        }
        _ => {}
    }
}

/// Compares who is heard directly. A bot does not write to another one directly.
fn written(found: &mut Findings<'_>, account: &Account<'_>, heard: &Heard) {
    let Account { platform, policy, .. } = account;
    let said = directly(policy);
    match beyond(&heard.direct, &said, &policy.peers) {
        Hears::Nobody => {}
        more => {
            let rule = match (&more, &policy.direct) {
                (Hears::Everyone, _) => "policy: open".to_owned(),
                (_, DirectPolicy::Disabled) => {
                    format!("policy: allowlist, allow_from: {}", list(&heard.direct, &policy.peers))
                }
                _ => format!("allow_from: {}", list(&heard.direct, &policy.peers)),
            };
            let message =
                format!("hear {} directly on `{platform}`, and the pod does not let them write directly", who(&more));
            found.wider(&message, format!("{}: write `{rule}` below `dm`, if it is meant", heard.people));
        }
    }
    match beyond(&said, &heard.direct, &[]) {
        Hears::Nobody => {}
        Hears::Everyone => {
            let message =
                format!("hears {} directly on `{platform}`, and the pod lets everyone write", who(&heard.direct));
            found.narrower(&message, format!("{}: {}", heard.people, heard.instead));
        }
        fewer => {
            let message =
                format!("does not hear {} directly on `{platform}`, and the pod lets them write", who(&fewer));
            found.narrower(&message, format!("{}: {}", heard.people, heard.instead));
        }
    }
    if matches!(policy.direct, DirectPolicy::Pairing(_)) && !heard.is_pairing {
        let help = "who may write directly stands in the pod: `dm: {policy: allowlist, allow_from: [\"<id>\"]}`";
        found.narrower(&format!("lets nobody in later on `{platform}`"), help.to_owned());
    }
}

/// Compares who is heard in groups that the pod does not name with everybody whom it names anywhere, and returns whether there are
/// more.
fn elsewhere(found: &mut Findings<'_>, account: &Account<'_>, heard: &Heard) -> bool {
    let Account { platform, policy, .. } = account;
    // Who may write directly can speak to it anyway; everyone of a guild is not everyone.
    let anywhere = match policy.direct {
        DirectPolicy::Open => Hears::Everyone,
        _ => only(everybody(policy).iter().map(String::as_str)),
    };
    match (beyond(&heard.elsewhere, &anywhere, &policy.peers), &heard.elsewhere) {
        (Hears::Nobody, Hears::Nobody) => false,
        (Hears::Nobody, them) => {
            let them = beyond(them, &Hears::Nobody, &policy.peers);
            let message = format!("hears {} in any group of `{platform}` that its account is in", who(&them));
            found.narrower(&message, format!("{}: let nobody else put it into groups", heard.places));
            false
        }
        (more, _) => {
            let message = format!("hear {} in any group of `{platform}` that its account is in", who(&more));
            found.wider(&message, format!("{}: {}", heard.people, heard.instead));
            true
        }
    }
}

/// What a runtime does with messages of other bots.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bots {
    /// It reads none.
    Deaf,
    /// It hears those on its list of people, like people.
    Listed,
    /// It hears any bot that mentions it, whoever is on its list.
    Any,
}

/// Records what cannot be held of other bots: a pod wants its own heard, and no talk of two without an end.
pub(crate) fn bots(runtime: &str, unit: &AgentUnit, account: &Account<'_>, bots: Bots, diag: &mut Diagnostics) {
    let Account { platform, policy, .. } = account;
    if policy.peers.is_empty() {
        return;
    }
    let brake = "put a proxy before it: its `brakes` end such a conversation";
    let (message, help) = match bots {
        Bots::Deaf => {
            let message = format!("`{runtime}` hears no other bot on `{platform}`");
            (message, "let the agents of the pod meet in another way, such as a service".to_owned())
        }
        Bots::Listed if !hears_bots(policy) => return,
        Bots::Listed if must_mention(policy) => {
            (format!("nothing in `{runtime}` ends bots of `{platform}` that mention each other"), brake.to_owned())
        }
        Bots::Listed => {
            let message = format!("nothing in `{runtime}` ends bots of `{platform}` that answer each other");
            (message, format!("write `require_mention: true`, and {brake}"))
        }
        Bots::Any => {
            let message = format!("`{runtime}` hears any bot of `{platform}` that mentions it where it is heard");
            (message, format!("let no other bots in there than the pod's, and {brake}"))
        }
    };
    diag.push(Diagnostic::warning(Code::RuntimeCannot, unit.origin, message).help(help));
}

/// Returns whether a bot of the pod is on the list.
pub(crate) fn hears_bots(policy: &ChannelPolicy) -> bool {
    let named = named(open(policy));
    policy.peers.iter().any(|peer| named.contains(peer.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guild(hears: Hears, require_mention: bool) -> (String, GuildPolicy) {
        ("1".to_owned(), GuildPolicy { hears, require_mention, channels: Vec::new() })
    }

    #[test]
    fn one_list_holds_everybody_named_once_and_the_strictest_rule() {
        let mut policy = ChannelPolicy::default();
        assert_eq!((everybody(&policy).len(), must_mention(&policy)), (0, true));
        policy.guilds.extend([guild(only(["7", "8"]), false)]);
        policy.direct = DirectPolicy::Only(vec!["8".to_owned(), "9".to_owned()]);
        assert_eq!((everybody(&policy), must_mention(&policy)), (["7", "8", "9"].map(str::to_owned).to_vec(), false));
    }

    #[test]
    fn who_is_beyond_a_list_is_named_and_nobody_else() {
        let everyone = Hears::Everyone;
        assert_eq!(beyond(&only(["7", "8", "9"]), &only(["8"]), &["9".to_owned()]), only(["7"]));
        assert_eq!(beyond(&only(["7"]), &everyone, &[]), Hears::Nobody);
        assert_eq!(beyond(&everyone, &only(["7"]), &[]), everyone);
        assert_eq!(beyond(&everyone, &everyone, &[]), Hears::Nobody);
        assert_eq!(beyond(&only(["7"]), &Hears::Nobody, &[]), only(["7"]));
        assert_eq!(who(&only(["1", "2", "3", "4", "5"])), "`1`, `2`, `3` and 2 more");
    }
}
