//! Channels: each platform nanobot speaks on, in its own words. Where it cannot keep a rule it is set to hear fewer people.
//!
//! Most of its channels have one list of people for every place they write in, and no list of places. `*` lets everyone in, so it
//! is written only where the pod lets everyone in everywhere.

use std::collections::{BTreeMap, BTreeSet};

use claw_types::agent::{AgentUnit, ChannelPolicy, DirectPolicy, GuildPolicy, Hears};
use claw_types::diag::Diagnostics;
use claw_types::doc::Doc;
use claw_types::platform::Platform;

use super::config::variable;
use crate::common::people::{self, Account, Bots, Heard, Voices, direct, must_mention, named, only, open, rooms};

/// The platforms of this table: those of nanobot's channels that claw knows and that need no server of one's own.
pub(super) const PLATFORMS: &[&str] =
    &["dingtalk", "discord", "feishu", "matrix", "qq", "slack", "telegram", "wecom", "whatsapp"];

static VOICES: Voices = Voices {
    platforms: PLATFORMS,
    linked: &["whatsapp"],
    also: &[],
    named: &[
        ("dingtalk", "the app's key"),
        ("feishu", "the app's id, `cli_…`"),
        ("matrix", "`@name:server`"),
        ("qq", "the app's id"),
        ("wecom", "the bot's id"),
    ],
};

/// Platforms whose messages by bots it reads. On the others it drops them, or the platform does.
const BOTS: &[&str] = &["discord", "matrix", "slack"];

/// Platforms that tell a bot in a group only what mentions it.
const MENTIONED: &[&str] = &["dingtalk", "qq", "wecom"];

/// Returns the ids of the channels that guilds name.
fn places<'p>(guilds: impl Iterator<Item = (&'p String, &'p GuildPolicy)>) -> BTreeSet<&'p str> {
    guilds.flat_map(|(_, guild)| &guild.channels).map(|channel| channel.id.as_str()).collect()
}

/// Returns the one list of people: `*` where the pod lets everyone in everywhere, else those whom it names anywhere.
fn listed(policy: &ChannelPolicy) -> BTreeSet<&str> {
    let all = policy.direct == DirectPolicy::Open && open(policy).all(|(_, guild)| guild.hears == Hears::Everyone);
    if all {
        return BTreeSet::from(["*"]);
    }
    named(open(policy)).into_iter().chain(direct(policy).iter().map(String::as_str)).collect()
}

/// Returns the guilds of discord that are known there: those that name channels.
fn known(policy: &ChannelPolicy) -> impl Iterator<Item = (&String, &GuildPolicy)> {
    open(policy).filter(|(_, guild)| !guild.channels.is_empty())
}

/// Returns the people of discord's channels where any are named, else those who may write directly.
fn members(policy: &ChannelPolicy) -> BTreeSet<&str> {
    let has_places = known(policy).next().is_some();
    let lets_everyone = known(policy).all(|(_, guild)| guild.hears == Hears::Everyone);
    match (has_places, &policy.direct) {
        (true, _) if lets_everyone => BTreeSet::from(["*"]),
        (false, DirectPolicy::Open) => BTreeSet::from(["*"]),
        (true, _) => named(known(policy)),
        (false, _) => direct(policy).iter().map(String::as_str).collect(),
    }
}

/// Returns people as a list that may hold `*` lets them be heard.
fn heard_by(list: BTreeSet<&str>) -> Hears {
    if list.contains("*") { Hears::Everyone } else { only(list) }
}

/// Records rules that nanobot cannot keep.
pub(super) fn check(unit: &AgentUnit, diag: &mut Diagnostics) {
    people::deaf(unit, &VOICES, diag);
    for account in people::spoken(unit, &VOICES) {
        people::judge("nanobot", unit, &account, &heard(&account), diag);
        let bots = if BOTS.contains(&account.platform.name()) { Bots::Listed } else { Bots::Deaf };
        people::bots("nanobot", unit, &account, bots, diag);
    }
}

/// Returns whom it hears.
fn heard(account: &Account<'_>) -> Heard {
    let Account { platform, policy, .. } = account;
    let mut heard = match platform.name() {
        "discord" => on_discord(*platform, policy),
        "matrix" => on_matrix(*platform, policy),
        "slack" => on_slack(*platform, policy),
        _ => one_list(*platform, policy),
    };
    // Who is not on a list is told a code, which an operator can confirm.
    heard.is_pairing = true;
    heard
}

/// Most platforms: one list of people for every place. Whatsapp takes groups on it too, with everyone in them.
fn one_list(platform: Platform, policy: &ChannelPolicy) -> Heard {
    let list = match platform.name() {
        "whatsapp" if policy.direct == DirectPolicy::Open => Hears::Everyone,
        "whatsapp" => only(
            named(open(policy)).into_iter().chain(direct(policy).iter().map(String::as_str)).collect::<BTreeSet<_>>(),
        ),
        _ => heard_by(listed(policy)),
    };
    let mut heard = Heard::one_list("nanobot", platform, policy, &list);
    if platform.name() == "dingtalk" && policy.direct == DirectPolicy::Disabled {
        heard.direct = Hears::Nobody;
    }
    if MENTIONED.contains(&platform.name()) {
        heard.guilds.values_mut().for_each(|guild| guild.require_mention = true);
    }
    for (id, own) in &mut heard.guilds {
        let said = policy.guilds.get(id).filter(|said| said.hears == Hears::Everyone && platform.name() == "whatsapp");
        if let Some(said) = said {
            own.hears = Hears::Everyone;
            own.channels.clone_from(&said.channels);
        }
    }
    heard
}

/// A list of channels shuts direct messages out; an empty one lets every channel in.
fn on_discord(platform: Platform, policy: &ChannelPolicy) -> Heard {
    let mut heard = Heard::one_list("nanobot", platform, policy, &heard_by(members(policy)));
    heard.places = format!("`nanobot` knows channels of `{platform}` and no guilds");
    heard.instead = "name the `channels` of each guild in its `handles`".to_owned();
    if known(policy).next().is_none() {
        if policy.direct == DirectPolicy::Disabled {
            heard.guilds.values_mut().for_each(|guild| guild.hears = Hears::Nobody);
        }
        heard.people.clone_from(&heard.places);
        return heard;
    }
    heard.people =
        format!("`nanobot` has one list of people for the channels of `{platform}` and hears nothing else then");
    heard.instead.push_str(", and let people speak to it there");
    (heard.direct, heard.elsewhere) = (Hears::Nobody, Hears::Nobody);
    for (id, own) in &mut heard.guilds {
        let said = policy.guilds.get(id).filter(|said| said.hears != Hears::Nobody && !said.channels.is_empty());
        match said {
            Some(said) => own.channels.clone_from(&said.channels),
            None => own.hears = Hears::Nobody,
        }
    }
    heard
}

/// It asks either where a message is or whether it is mentioned, and has one list of people.
fn on_matrix(platform: Platform, policy: &ChannelPolicy) -> Heard {
    let mut heard = Heard::one_list("nanobot", platform, policy, &heard_by(listed(policy)));
    heard.places = format!("`nanobot` looks on `{platform}` either where a message is or whether it is mentioned");
    if !asks_for_mentions(policy) {
        heard.elsewhere = Hears::Nobody;
        for (id, own) in &mut heard.guilds {
            let said = policy.guilds.get(id).filter(|said| said.hears != Hears::Nobody);
            match said {
                Some(said) => own.channels.clone_from(&said.channels),
                None => own.hears = Hears::Nobody,
            }
        }
    }
    heard
}

/// Channels that are named, with everyone in them; direct messages have a list of their own.
fn on_slack(platform: Platform, policy: &ChannelPolicy) -> Heard {
    let mut heard = Heard::kept(policy);
    heard.people = format!("`nanobot` knows channels of `{platform}` and no people in them: one is open, or closed");
    heard.places = heard.people.clone();
    heard.instead = "name its `channels` in `handles`, and let everyone in them be heard: `policy: open`".to_owned();
    for guild in heard.guilds.values_mut() {
        if guild.hears != Hears::Everyone || guild.channels.is_empty() {
            guild.hears = Hears::Nobody;
        }
        guild.require_mention = must_mention(policy);
    }
    heard
}

/// Returns whether matrix is asked for mentions, and not for rooms.
fn asks_for_mentions(policy: &ChannelPolicy) -> bool {
    open(policy).next().is_some() && must_mention(policy)
}

type Keys = Vec<(&'static str, Doc)>;

/// Returns `channels`.
pub(super) fn channels(unit: &AgentUnit) -> BTreeMap<String, Doc> {
    let mut channels = BTreeMap::new();
    for Account { platform, identity, policy } in people::spoken(unit, &VOICES) {
        let token = |index: usize| platform.tokens().get(index).map_or(Doc::Null, |name| variable(name));
        let id = identity.id.as_deref().unwrap_or_default();
        let group = || ("groupPolicy", Doc::str(if must_mention(policy) { "mention" } else { "open" }));
        let mut keys = match platform.name() {
            "dingtalk" => vec![
                ("clientId", Doc::str(id)),
                ("clientSecret", token(0)),
                ("disablePrivateChat", Doc::Bool(policy.direct == DirectPolicy::Disabled)),
            ],
            "discord" => discord(policy, token(0)),
            "feishu" => vec![("appId", Doc::str(id)), ("appSecret", token(0)), group()],
            "matrix" => matrix(id, policy, token(0)),
            "qq" => vec![("appId", Doc::str(id)), ("secret", token(0))],
            "slack" => slack(policy, token(0), token(1)),
            "telegram" => vec![group(), ("mode", Doc::str("polling")), ("token", token(0))],
            "wecom" => vec![("botId", Doc::str(id)), ("secret", token(0))],
            "whatsapp" => vec![("allowFrom", whatsapp(policy)), group()],
            _ => continue,
        };
        if !matches!(platform.name(), "discord" | "slack" | "whatsapp") {
            keys.push(("allowFrom", Doc::strs(listed(policy))));
        }
        keys.push(("enabled", Doc::Bool(true)));
        channels.insert(platform.name().to_owned(), Doc::map(keys));
    }
    channels
}

/// A list of channels shuts direct messages out, whoever writes them; an empty one lets every channel in.
fn discord(policy: &ChannelPolicy, token: Doc) -> Keys {
    let mut places = places(known(policy));
    if places.is_empty() && policy.direct == DirectPolicy::Disabled {
        // No channel has this id: it hears nobody, and answers nobody with a code for pairing.
        places.insert("0");
    }
    let group = if must_mention(policy) { "mention" } else { "open" };
    vec![
        ("allowChannels", Doc::strs(places)),
        ("allowFrom", Doc::strs(members(policy))),
        ("groupPolicy", Doc::str(group)),
        ("token", token),
    ]
}

/// Channels have no people; direct messages have a list of their own.
fn slack(policy: &ChannelPolicy, bot: Doc, app: Doc) -> Keys {
    let known = open(policy).filter(|(_, guild)| guild.hears == Hears::Everyone);
    let dm = [
        ("allowFrom", Doc::strs(direct(policy).iter().cloned())),
        ("enabled", Doc::Bool(policy.direct != DirectPolicy::Disabled)),
        ("policy", Doc::str(if policy.direct == DirectPolicy::Open { "open" } else { "allowlist" })),
    ];
    vec![
        ("appToken", app),
        ("botToken", bot),
        ("dm", Doc::map(dm)),
        ("groupAllowFrom", Doc::strs(places(known))),
        ("groupPolicy", Doc::str("allowlist")),
        ("groupRequireMention", Doc::Bool(must_mention(policy))),
        ("mode", Doc::str("socket")),
    ]
}

/// Its home server is the one its id names, over https. It asks either where a message is or whether it is mentioned.
fn matrix(id: &str, policy: &ChannelPolicy, token: Doc) -> Keys {
    let asks = if asks_for_mentions(policy) { "mention" } else { "allowlist" };
    let server = id.split_once(':').map_or("", |(_, server)| server);
    vec![
        ("accessToken", token),
        // Without one it does not begin; it stands for nothing where messages are not encrypted.
        ("deviceId", Doc::str("claw")),
        ("e2eeEnabled", Doc::Bool(false)),
        ("groupAllowFrom", Doc::strs(rooms(open(policy)).map(|(id, _)| id))),
        ("groupPolicy", Doc::str(asks)),
        ("homeserver", Doc::Str(format!("https://{server}"))),
        ("userId", Doc::str(id)),
    ]
}

/// People are numbers without a sign, and a group that is named lets in everyone in it.
fn whatsapp(policy: &ChannelPolicy) -> Doc {
    let groups = rooms(open(policy).filter(|(_, guild)| guild.hears == Hears::Everyone)).map(|(id, _)| id);
    let named = named(open(policy)).into_iter().chain(direct(policy).iter().map(String::as_str));
    let everyone = (policy.direct == DirectPolicy::Open).then_some("*");
    let all: BTreeSet<String> =
        groups.chain(named).chain(everyone).map(|each| each.trim_start_matches('+').to_owned()).collect();
    Doc::strs(all)
}
