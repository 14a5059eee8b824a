//! Channels: each platform nanobot speaks on, in its own words. Where it cannot keep a rule it hears fewer people, and that is told.
//!
//! Most of its channels have one list of people for every place they write in, and no list of places. `*` lets everyone in, so it
//! is written only where the pod lets everyone in everywhere.

use std::collections::{BTreeMap, BTreeSet};

use claw_types::agent::{AgentUnit, ChannelPolicy, DirectPolicy, GuildPolicy, Hears, Surface};
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::doc::Doc;
use claw_types::platform::Platform;
use claw_types::roster::Identity;

use super::config::variable;

/// The platforms of this table: those of nanobot's channels that claw knows and that need no server of one's own.
pub(super) const PLATFORMS: &[&str] =
    &["dingtalk", "discord", "feishu", "matrix", "qq", "slack", "telegram", "wecom", "whatsapp"];

/// Platforms where the account's id is part of its credentials, and what it is there.
const APP_ID: &[(&str, &str)] = &[
    ("dingtalk", "the app's key"),
    ("feishu", "the app's id, `cli_…`"),
    ("matrix", "`@name:server`"),
    ("qq", "the app's id"),
    ("wecom", "the bot's id"),
];

/// Platforms on which it can tell places apart.
const PLACES: &[&str] = &["discord", "matrix", "slack"];

/// Platforms whose messages by bots it reads. On the others it drops them, or the platform does.
const BOTS: &[&str] = &["discord", "matrix", "slack"];

/// One account of an agent that speaks, and whom it hears there.
struct Account<'u> {
    platform: Platform,
    identity: &'u Identity,
    policy: &'u ChannelPolicy,
}

/// Returns the accounts that speak: a platform nanobot has, the tokens, and the id where it needs one.
fn spoken(unit: &AgentUnit) -> impl Iterator<Item = Account<'_>> {
    let has = |token: &&str| unit.env.keys().any(|name| name.as_ref() == *token);
    unit.channels.iter().filter_map(move |(platform, policy)| {
        let identity = unit.identities.get(platform).filter(|identity| needs_id(*platform, identity).is_none())?;
        let has_tokens = platform.name() == "whatsapp" || platform.tokens().iter().all(has);
        let speaks = PLATFORMS.contains(&platform.name()) && has_tokens;
        speaks.then_some(Account { platform: *platform, identity, policy })
    })
}

/// Returns what the id of an account is, where nanobot needs it and it is missing.
fn needs_id(platform: Platform, identity: &Identity) -> Option<&'static str> {
    let (_, what) = APP_ID.iter().find(|(name, _)| *name == platform.name())?;
    identity.id.is_none().then_some(*what)
}

/// The guilds in which anybody is heard.
fn open(policy: &ChannelPolicy) -> impl Iterator<Item = (&String, &GuildPolicy)> {
    policy.guilds.iter().filter(|(_, guild)| guild.hears != Hears::Nobody)
}

/// Returns the ids of the channels that guilds name.
fn places<'p>(guilds: impl Iterator<Item = (&'p String, &'p GuildPolicy)>) -> BTreeSet<&'p str> {
    guilds.flat_map(|(_, guild)| &guild.channels).map(|channel| channel.id.as_str()).collect()
}

/// The people who may write directly.
fn directly(policy: &ChannelPolicy) -> &[String] {
    match &policy.direct {
        DirectPolicy::Pairing(ids) | DirectPolicy::Only(ids) => ids,
        DirectPolicy::Disabled | DirectPolicy::Open => &[],
    }
}

/// The people whom guilds name.
fn named<'p>(guilds: impl Iterator<Item = (&'p String, &'p GuildPolicy)>) -> BTreeSet<&'p str> {
    let lists = guilds.filter_map(|(_, guild)| match &guild.hears {
        Hears::Only(ids) => Some(ids),
        Hears::Everyone | Hears::Nobody => None,
    });
    lists.flatten().map(String::as_str).collect()
}

/// Returns the one list of people: `*` where the pod lets everyone in everywhere, else those whom it names anywhere.
fn people(policy: &ChannelPolicy) -> BTreeSet<&str> {
    let all = policy.direct == DirectPolicy::Open && open(policy).all(|(_, guild)| guild.hears == Hears::Everyone);
    if all {
        return BTreeSet::from(["*"]);
    }
    named(open(policy)).into_iter().chain(directly(policy).iter().map(String::as_str)).collect()
}

/// Returns whether a message in a group must mention the agent: everywhere, where the pod says so of one place.
fn must_mention(policy: &ChannelPolicy) -> bool {
    open(policy).next().is_none() || open(policy).any(|(_, guild)| guild.require_mention)
}

/// Records rules that nanobot cannot keep.
pub(super) fn check(unit: &AgentUnit, diag: &mut Diagnostics) {
    let mut warn = |message: String, help: String| {
        diag.push(Diagnostic::warning(Code::RuntimeCannot, unit.origin, message).help(help));
    };
    for (platform, identity) in unit.identities.iter().filter(|(platform, _)| PLATFORMS.contains(&platform.name())) {
        if let Some(what) = needs_id(*platform, identity) {
            let message = format!("`{}` has an account on `{platform}` without an id", unit.service);
            warn(message, format!("write its id, {what}, into its `handles`; until then it is deaf there"));
        }
    }
    for Account { platform, policy, .. } in spoken(unit) {
        for (message, help) in limits(platform, policy) {
            warn(message, help.to_owned());
        }
    }
    let surfaces = unit.surfaces.iter().filter_map(|surface| match surface {
        Surface::Channel { platform } => Some(platform),
        _ => None,
    });
    for platform in surfaces.filter(|platform| PLATFORMS.contains(&platform.name())) {
        if !unit.identities.contains_key(platform) {
            let message = format!("`{}` has the surface `channel://{platform}` and no account there", unit.service);
            warn(message, format!("add `{platform}` to its `handles`, or `HANDLE {platform}` to its Clawfile"));
        }
    }
    for Account { platform, policy, .. } in spoken(unit) {
        opens(unit, platform, policy, diag);
    }
}

/// Records direct messages that are open to everyone where that would open groups that are not.
fn opens(unit: &AgentUnit, platform: Platform, policy: &ChannelPolicy, diag: &mut Diagnostics) {
    let is_narrower = policy.guilds.values().any(|guild| guild.hears != Hears::Everyone);
    let has_unnamed = !PLACES.contains(&platform.name());
    if policy.direct == DirectPolicy::Open && (is_narrower || has_unnamed && policy.guilds.is_empty()) {
        let message = format!(
            "everyone may write to `{}` directly on `{platform}`, and nanobot would hear them in every group too",
            unit.service
        );
        let error = Diagnostic::error(Code::RuntimeCannot, unit.origin, message);
        diag.push(error.help("name who may: `dm: {policy: allowlist, allow_from: [\"<id>\"]}`"));
    }
}

/// Returns what nanobot makes of a policy where that is not what the policy says, and what helps.
fn limits(platform: Platform, policy: &ChannelPolicy) -> Vec<(String, &'static str)> {
    let mut found = Vec::new();
    let has_places = PLACES.contains(&platform.name());
    let is_named = |guild: &GuildPolicy| !guild.channels.is_empty();
    let everyone = |guild: &GuildPolicy| guild.hears == Hears::Everyone;
    match platform.name() {
        "discord" => {
            if open(policy).any(|(_, guild)| !is_named(guild)) {
                let message =
                    "nanobot knows channels of `discord` and no guilds: one without channels is closed".to_owned();
                found.push((message, "name the channels of each guild"));
            }
            if open(policy).any(|(_, guild)| is_named(guild)) && policy.direct != DirectPolicy::Disabled {
                let message = "nanobot hears no direct messages on `discord` where channels are named".to_owned();
                found.push((message, "write `dm: disabled`, or name no guilds"));
            }
        }
        "slack" => {
            if open(policy).any(|(_, guild)| !everyone(guild)) {
                let message =
                    "nanobot knows no people in channels of `slack`: a workspace that names some is closed".to_owned();
                found
                    .push((message, "let everyone in its channels be heard (`policy: open`), and choose the channels"));
            }
            if open(policy).any(|(_, guild)| everyone(guild) && !is_named(guild)) {
                let message =
                    "nanobot knows channels of `slack` and no workspaces: one without channels is closed".to_owned();
                found.push((message, "name the channels of each workspace"));
            }
        }
        // It lets whole groups in by their ids.
        "whatsapp" => {}
        _ => {
            if open(policy).any(|(_, guild)| everyone(guild)) && !people(policy).contains("*") {
                let message = format!(
                    "nanobot cannot hear everyone in a group of `{platform}` without hearing everyone anywhere"
                );
                found.push((message, "name `users`; until then only people who are named elsewhere are heard there"));
            }
        }
    }
    let lists: BTreeSet<BTreeSet<&str>> = open(policy).map(|guild| named(std::iter::once(guild))).collect();
    let is_direct = directly(policy).iter().map(String::as_str).collect::<BTreeSet<_>>();
    let is_one = lists.len() <= 1 && (platform.name() == "discord" || lists.iter().all(|list| *list == is_direct));
    if platform.name() != "slack" && !is_one {
        let message =
            format!("nanobot has one list of people for all of `{platform}`: who is named once is heard in each place");
        found.push((message, "name the same people everywhere, if that matters"));
    }
    if !has_places && open(policy).next().is_some() {
        let message =
            format!("nanobot knows no groups of `{platform}`: whom it hears it hears in every group it is added to");
        found.push((message, "let nobody else add its account to groups"));
    }
    if !policy.peers.is_empty() {
        found.push(if BOTS.contains(&platform.name()) {
            let message = format!("nothing in nanobot ends bots of `{platform}` that answer each other");
            (message, "keep `require_mention`, and put a proxy before it: `brakes` ends such a conversation")
        } else {
            let message = format!("nanobot hears no other bots on `{platform}`");
            (message, "let the agents of the pod talk on `discord`, `matrix` or `slack`")
        });
    }
    found
}

type Keys = Vec<(&'static str, Doc)>;

/// Returns `channels`.
pub(super) fn channels(unit: &AgentUnit) -> BTreeMap<String, Doc> {
    let mut channels = BTreeMap::new();
    for Account { platform, identity, policy } in spoken(unit) {
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
            keys.push(("allowFrom", Doc::strs(people(policy))));
        }
        keys.push(("enabled", Doc::Bool(true)));
        channels.insert(platform.name().to_owned(), Doc::map(keys));
    }
    channels
}

/// A list of channels shuts direct messages out, whoever writes them; an empty one lets every channel in.
fn discord(policy: &ChannelPolicy, token: Doc) -> Keys {
    let known = || open(policy).filter(|(_, guild)| !guild.channels.is_empty());
    let mut places = places(known());
    let people = if places.is_empty() {
        match policy.direct {
            DirectPolicy::Open => BTreeSet::from(["*"]),
            _ => directly(policy).iter().map(String::as_str).collect(),
        }
    } else if known().all(|(_, guild)| guild.hears == Hears::Everyone) {
        BTreeSet::from(["*"])
    } else {
        named(known())
    };
    if places.is_empty() && policy.direct == DirectPolicy::Disabled {
        // No channel has this id: it hears nobody, and answers nobody with a code for pairing.
        places.insert("0");
    }
    let group = if must_mention(policy) { "mention" } else { "open" };
    vec![
        ("allowChannels", Doc::strs(places)),
        ("allowFrom", Doc::strs(people)),
        ("groupPolicy", Doc::str(group)),
        ("token", token),
    ]
}

/// Channels have no people; direct messages have a list of their own.
fn slack(policy: &ChannelPolicy, bot: Doc, app: Doc) -> Keys {
    let known = open(policy).filter(|(_, guild)| guild.hears == Hears::Everyone);
    let dm = [
        ("allowFrom", Doc::strs(directly(policy).iter().cloned())),
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
    let rooms = open(policy).flat_map(|(guild_id, guild)| {
        let named: Vec<&str> = guild.channels.iter().map(|channel| channel.id.as_str()).collect();
        if named.is_empty() { vec![guild_id.as_str()] } else { named }
    });
    let asks = if open(policy).next().is_some() && must_mention(policy) { "mention" } else { "allowlist" };
    let server = id.split_once(':').map_or("", |(_, server)| server);
    vec![
        ("accessToken", token),
        // Without one it does not begin; it stands for nothing where messages are not encrypted.
        ("deviceId", Doc::str("claw")),
        ("e2eeEnabled", Doc::Bool(false)),
        ("groupAllowFrom", Doc::strs(rooms)),
        ("groupPolicy", Doc::str(asks)),
        ("homeserver", Doc::Str(format!("https://{server}"))),
        ("userId", Doc::str(id)),
    ]
}

/// People are numbers without a sign, and a group that is named lets in everyone in it.
fn whatsapp(policy: &ChannelPolicy) -> Doc {
    let groups = open(policy).filter(|(_, guild)| guild.hears == Hears::Everyone).flat_map(|(id, guild)| {
        let named: Vec<&str> = guild.channels.iter().map(|channel| channel.id.as_str()).collect();
        if named.is_empty() { vec![id.as_str()] } else { named }
    });
    let named = named(open(policy)).into_iter().chain(directly(policy).iter().map(String::as_str));
    let everyone = (policy.direct == DirectPolicy::Open).then_some("*");
    let all: BTreeSet<String> =
        groups.chain(named).chain(everyone).map(|each| each.trim_start_matches('+').to_owned()).collect();
    Doc::strs(all)
}
