//! Channels: each platform openclaw speaks on, in its own words. A group that is not named is closed, and so are direct messages.

use std::collections::BTreeMap;

use claw_types::agent::{AgentUnit, ChannelPolicy, DirectPolicy, GuildPolicy, Hears};
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::doc::Doc;
use claw_types::platform::Platform;
use claw_types::roster::Identity;

use super::config::Files;
use crate::common::people::{self, Account, Bots, Heard, Voices, open, rooms};

/// The platforms of this table. Those with a plugin of openclaw's own; wecom's is a third party's and takes no secret by
/// file, and qq's is not on npm.
pub(super) const PLATFORMS: &[&str] = &["discord", "feishu", "line", "matrix", "slack", "telegram", "whatsapp"];

/// A second secret that a platform needs, beside those every runtime needs.
const LINE_SECRET: &str = "LINE_CHANNEL_SECRET";

/// Platforms with one list of people for all their groups.
const ONE_LIST: &[&str] = &["line", "whatsapp"];

static VOICES: Voices =
    Voices { platforms: PLATFORMS, linked: &["whatsapp"], also: &[("line", LINE_SECRET)], named: &[] };

/// Records rules that openclaw cannot keep.
pub(super) fn check(unit: &AgentUnit, diag: &mut Diagnostics) {
    people::deaf(unit, &VOICES, diag);
    for account in people::spoken(unit, &VOICES) {
        let mut heard = Heard::kept(account.policy);
        if account.platform.name() == "telegram" {
            heard.guilds.values_mut().for_each(|guild| guild.channels.clear());
        }
        if account.platform.name() == "slack" {
            everywhere(account.policy, &mut heard);
            if heard.elsewhere == Hears::Everyone && account.policy.guilds.len() == 1 {
                heard.elsewhere = Hears::Nobody;
                shared(unit, diag);
            }
        }
        people::judge("openclaw", unit, &account, &heard, diag);
        if let Some(bots) = unheld(&account) {
            people::bots("openclaw", unit, &account, bots, diag);
        }
        let Account { platform, policy, .. } = account;
        if !matches!(platform.name(), "discord" | "telegram") {
            one_rule(unit, platform, policy, diag);
        }
        let mut hears = open(policy).map(|(_, guild)| &guild.hears);
        let first = hears.next();
        if ONE_LIST.contains(&platform.name()) && hears.any(|hears| Some(hears) != first) {
            let message = format!("openclaw has one list of people for all groups of `{platform}`, and these differ");
            let error = Diagnostic::error(Code::RuntimeCannot, unit.origin, message);
            diag.push(error.help("name the same `users` for each of its `guilds`"));
        }
    }
}

/// Records that everyone of slack's one workspace is everyone of each channel there: some have people of other workspaces in them.
fn shared(unit: &AgentUnit, diag: &mut Diagnostics) {
    let message = "`openclaw` hears everyone in any group of `slack` that its account is in".to_owned();
    let warning = Diagnostic::warning(Code::RuntimeCannot, unit.origin, message);
    diag.push(warning.help("name the workspace's `channels` in `handles`, where it shares some with other workspaces"));
}

/// Says of slack that the rule of a workspace without channels is that of every channel which the configuration does not name, whose
/// ever it is.
fn everywhere(policy: &ChannelPolicy, heard: &mut Heard) {
    let Some((_, star)) = open(policy).find(|(_, guild)| guild.channels.is_empty()) else { return };
    heard.elsewhere = star.hears.clone();
    for guild in heard.guilds.values_mut() {
        if guild.hears == Hears::Nobody {
            *guild = star.clone();
        }
        guild.channels.clear();
        guild.require_mention &= star.require_mention;
    }
    heard.people = "`openclaw` has one rule for all channels of `slack` that are not named".to_owned();
    heard.places.clone_from(&heard.people);
    heard.instead = "name the `channels` of each of its `guilds` in `handles`".to_owned();
}

/// Returns what openclaw does with other bots that it has no rule against.
fn unheld(account: &Account<'_>) -> Option<Bots> {
    let is_open = open(account.policy).any(|(_, guild)| guild.hears == Hears::Everyone);
    match account.platform.name() {
        "line" | "telegram" => Some(Bots::Deaf),
        _ if is_open => Some(Bots::Any),
        // It knows bots from people there by no mark.
        "matrix" | "whatsapp" => Some(Bots::Listed),
        _ => None,
    }
}

/// Records groups that two guilds have different rules for: openclaw knows a group by its id alone, and slack's channels of a
/// workspace that names none as `*`.
fn one_rule(unit: &AgentUnit, platform: Platform, policy: &ChannelPolicy, diag: &mut Diagnostics) {
    let mut rules: BTreeMap<&str, (&Hears, bool)> = BTreeMap::new();
    for (guild_id, guild) in open(policy) {
        let named: Vec<&str> = guild.channels.iter().map(|channel| channel.id.as_str()).collect();
        let unnamed = if platform.name() == "slack" { "*" } else { guild_id.as_str() };
        for id in if named.is_empty() { vec![unnamed] } else { named } {
            let rule = (&guild.hears, guild.require_mention);
            if rules.insert(id, rule).is_some_and(|other| other != rule) {
                let message = format!("openclaw has one rule for `{id}` of `{platform}`, and two guilds differ in it");
                let error = Diagnostic::error(Code::RuntimeCannot, unit.origin, message);
                diag.push(error.help("name the channels of each guild, or give both the same rules"));
            }
        }
    }
}

/// Returns `channels`.
pub(super) fn channels(unit: &AgentUnit, secrets: &mut Files) -> BTreeMap<String, Doc> {
    let mut channels = BTreeMap::new();
    for Account { platform, identity, policy } in people::spoken(unit, &VOICES) {
        let mut token = |index: usize| platform.tokens().get(index).map_or(Doc::Null, |name| secrets.add_file(name));
        let mut keys = match platform.name() {
            "discord" => discord(policy, token(0)),
            "feishu" => feishu(identity, policy, token(0)),
            "line" => line(policy),
            "matrix" => matrix(identity, policy, token(0)),
            "slack" => slack(policy, token(0), token(1)),
            "telegram" => telegram(policy, token(0)),
            "whatsapp" => whatsapp(policy),
            _ => continue,
        };
        keys.push(("enabled", Doc::Bool(true)));
        // Without a group that is open, who may write directly could be heard in any group.
        let is_closed = open(policy).next().is_none();
        keys.push(("groupPolicy", Doc::str(if is_closed { "disabled" } else { "allowlist" })));
        channels.insert(platform.name().to_owned(), Doc::map(keys));
    }
    if !channels.is_empty() {
        let defaults = [("botLoopProtection", loops()), ("groupPolicy", Doc::str("allowlist"))];
        channels.insert("defaults".to_owned(), Doc::map(defaults));
    }
    channels
}

/// Bots that answer each other come to an end: eight messages in a minute, then a minute's rest.
fn loops() -> Doc {
    Doc::map([
        ("cooldownSeconds", Doc::int(60)),
        ("enabled", Doc::Bool(true)),
        ("maxEventsPerWindow", Doc::int(8)),
        ("windowSeconds", Doc::int(60)),
    ])
}

/// Returns `plugins.entries`: each platform is a plugin. The one for memory would ask the model every night by itself.
pub(super) fn plugins(unit: &AgentUnit) -> BTreeMap<String, Doc> {
    let is_on = |is_on| Doc::map([("enabled", Doc::Bool(is_on))]);
    let memory = Doc::map([("config", Doc::map([("dreaming", is_on(false))]))]);
    let platforms = people::spoken(unit, &VOICES).map(|account| (account.platform.name().to_owned(), is_on(true)));
    platforms.chain([("memory-core".to_owned(), memory)]).collect()
}

type Keys = Vec<(&'static str, Doc)>;

/// Direct messages: the policy's word, and who may write.
fn direct(policy: &ChannelPolicy) -> Keys {
    let (word, ids) = match &policy.direct {
        DirectPolicy::Disabled => ("disabled", Vec::new()),
        DirectPolicy::Pairing(ids) => ("pairing", ids.clone()),
        DirectPolicy::Only(ids) => ("allowlist", ids.clone()),
        DirectPolicy::Open => ("open", vec!["*".to_owned()]),
    };
    let mut keys = vec![("dmPolicy", Doc::str(word))];
    if !ids.is_empty() {
        keys.push(("allowFrom", Doc::strs(ids)));
    }
    keys
}

/// Bots are heard where they mention the agent, and only in a pod that has others or where a list of users may name one.
fn bots(policy: &ChannelPolicy, may_name: bool) -> Doc {
    if policy.peers.is_empty() && !may_name { Doc::Bool(false) } else { Doc::str("mentions") }
}

/// Returns the same for a whole account, which would hear any bot in a group that is open to everyone.
fn all_bots(policy: &ChannelPolicy) -> Doc {
    bots(policy, open(policy).next().is_some() && open(policy).all(|(_, guild)| may_name(guild)))
}

/// A list of users may name a bot; ids of bots and of people look the same.
fn may_name(guild: &GuildPolicy) -> bool {
    matches!(guild.hears, Hears::Only(_))
}

fn users(guild: &GuildPolicy) -> Option<Doc> {
    match &guild.hears {
        Hears::Only(ids) => Some(Doc::strs(ids.iter().cloned())),
        Hears::Everyone | Hears::Nobody => None,
    }
}

/// Returns the groups in which anybody is heard, on platforms that have one level of them.
fn groups(policy: &ChannelPolicy) -> impl Iterator<Item = (&str, &GuildPolicy)> {
    rooms(open(policy))
}

fn mention(guild: &GuildPolicy) -> (&'static str, Doc) {
    ("requireMention", Doc::Bool(guild.require_mention))
}

fn on() -> (&'static str, Doc) {
    ("enabled", Doc::Bool(true))
}

fn discord(policy: &ChannelPolicy, token: Doc) -> Keys {
    let guilds = open(policy).map(|(id, guild)| {
        let mut keys = vec![mention(guild)];
        keys.extend(users(guild).map(|users| ("users", users)));
        if !guild.channels.is_empty() {
            let channels = guild.channels.iter().map(|each| (each.id.clone(), Doc::map([on(), mention(guild)])));
            keys.push(("channels", Doc::Map(channels.collect())));
        }
        (id.clone(), Doc::map(keys))
    });
    let mut keys = vec![
        ("allowBots", all_bots(policy)),
        ("botLoopProtection", loops()),
        ("guilds", Doc::Map(guilds.collect())),
        ("token", token),
    ];
    keys.extend(direct(policy));
    keys
}

/// A workspace has no rules of its own in openclaw: its channels have them, `*` where none is named.
fn slack(policy: &ChannelPolicy, bot: Doc, app: Doc) -> Keys {
    let mut channels = BTreeMap::new();
    for (_, guild) in open(policy) {
        let mut keys = vec![("allowBots", bots(policy, may_name(guild))), on(), mention(guild)];
        keys.extend(users(guild).map(|users| ("users", users)));
        let named = guild.channels.iter().map(|channel| channel.id.as_str());
        let named: Vec<&str> = if guild.channels.is_empty() { vec!["*"] } else { named.collect() };
        channels.extend(named.into_iter().map(|id| (id.to_owned(), Doc::map(keys.clone()))));
    }
    let mut keys = vec![
        ("allowBots", all_bots(policy)),
        ("appToken", app),
        ("botLoopProtection", loops()),
        ("botToken", bot),
        ("channels", Doc::Map(channels)),
        ("mode", Doc::str("socket")),
    ];
    if people::must_mention(policy) {
        // Else whatever is said in a thread that the agent began, or has spoken in, counts as mentioning it.
        let kinds = ["replyToBot", "threadParticipation"].map(|kind| (kind, Doc::Bool(false)));
        keys.push(("implicitMentions", Doc::map(kinds)));
    }
    keys.extend(direct(policy));
    keys
}

/// A group is what other platforms call a guild; what a pod calls its channels are topics, which have no rules here.
fn telegram(policy: &ChannelPolicy, token: Doc) -> Keys {
    let groups = open(policy).map(|(id, guild)| {
        let mut keys = vec![on(), mention(guild)];
        match users(guild) {
            Some(users) => keys.push(("allowFrom", users)),
            None => keys.push(("groupPolicy", Doc::str("open"))),
        }
        (id.to_owned(), Doc::map(keys))
    });
    let mut keys = vec![("botToken", token), ("groups", Doc::Map(groups.collect()))];
    keys.extend(direct(policy));
    keys
}

/// Its home server is the one its id names, over https.
fn matrix(identity: &Identity, policy: &ChannelPolicy, token: Doc) -> Keys {
    let rooms = groups(policy).map(|(id, guild)| {
        let mut keys = vec![("allowBots", bots(policy, may_name(guild))), on(), mention(guild)];
        keys.extend(users(guild).map(|users| ("users", users)));
        (id.to_owned(), Doc::map(keys))
    });
    let mut keys = vec![
        ("accessToken", token),
        ("allowBots", all_bots(policy)),
        ("autoJoin", Doc::str("off")),
        ("botLoopProtection", loops()),
        ("groups", Doc::Map(rooms.collect())),
    ];
    let id = identity.id.as_deref();
    keys.extend(id.map(|id| ("userId", Doc::str(id))));
    let server = id.and_then(|id| id.split_once(':')).map(|(_, server)| format!("https://{server}"));
    keys.extend(server.map(|server| ("homeserver", Doc::Str(server))));
    let mut dm = vec![("enabled", Doc::Bool(policy.direct != DirectPolicy::Disabled))];
    dm.extend(direct(policy).into_iter().map(|(key, value)| (if key == "dmPolicy" { "policy" } else { key }, value)));
    keys.push(("dm", Doc::map(dm)));
    keys
}

/// The account's id is the app's (`cli_…`).
fn feishu(identity: &Identity, policy: &ChannelPolicy, secret: Doc) -> Keys {
    let chats = groups(policy).map(|(id, guild)| {
        let mut keys = vec![on(), mention(guild)];
        keys.extend(users(guild).map(|users| ("allowFrom", users)));
        (id.to_owned(), Doc::map(keys))
    });
    let mut keys = vec![
        ("allowBots", Doc::Bool(!policy.peers.is_empty())),
        ("appSecret", secret),
        ("connectionMode", Doc::str("websocket")),
        ("groupAllowFrom", Doc::strs(groups(policy).map(|(id, _)| id))),
        ("groups", Doc::Map(chats.collect())),
        ("requireMention", Doc::Bool(true)),
    ];
    keys.extend(identity.id.as_deref().map(|id| ("appId", Doc::str(id))));
    keys.extend(direct(policy));
    keys
}

/// Returns the list of people for all groups of a platform that has one.
fn people(policy: &ChannelPolicy) -> Doc {
    match open(policy).next().map(|(_, guild)| &guild.hears) {
        Some(Hears::Everyone) => Doc::strs(["*"]),
        Some(Hears::Only(ids)) => Doc::strs(ids.iter().cloned()),
        Some(Hears::Nobody) | None => Doc::List(Vec::new()),
    }
}

/// It takes its secrets as paths of files.
fn line(policy: &ChannelPolicy) -> Keys {
    let groups = groups(policy).map(|(id, guild)| (id.to_owned(), Doc::map([on(), mention(guild)])));
    let mut keys = vec![
        ("groupAllowFrom", people(policy)),
        ("groups", Doc::Map(groups.collect())),
        ("secretFile", Doc::Str(format!("/run/secrets/{LINE_SECRET}"))),
        ("tokenFile", Doc::str("/run/secrets/LINE_BOT_TOKEN")),
    ];
    keys.extend(direct(policy));
    keys
}

fn whatsapp(policy: &ChannelPolicy) -> Keys {
    let groups = groups(policy).map(|(id, guild)| (id.to_owned(), Doc::map([mention(guild)])));
    let mut keys = vec![("groupAllowFrom", people(policy)), ("groups", Doc::Map(groups.collect()))];
    keys.extend(direct(policy));
    keys
}

/// Returns the expressions by which a text mentions the agent: its user names, and its ids as platforms write them.
/// They are read by JavaScript with the flag `i` set already: `(?i)` would make them invalid, and silently dropped.
pub(super) fn mention_patterns(unit: &AgentUnit) -> Vec<String> {
    let mut patterns = Vec::new();
    for (platform, identity) in &unit.identities {
        patterns.extend(identity.username.as_deref().filter(|name| !name.is_empty()).map(named));
        let id = identity.id.as_deref().map(escaped);
        patterns.extend(match (platform.name(), id) {
            ("discord", Some(id)) => Some(format!("<@!?{id}>")),
            ("slack", Some(id)) => Some(format!("<@{id}>")),
            _ => None,
        });
    }
    patterns.sort();
    patterns.dedup();
    patterns
}

/// A name as a word of its own; what is no letter of an expression's has no border there.
fn named(name: &str) -> String {
    let is_word = |each: Option<char>| each.is_some_and(|each| each.is_ascii_alphanumeric() || each == '_');
    let border = |each| if is_word(each) { r"\b" } else { "" };
    format!("{}@?{}{}", border(name.chars().next()), escaped(name), border(name.chars().next_back()))
}

/// Returns a text as an expression that matches it alone.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for each in text.chars() {
        if !each.is_alphanumeric() && each != '_' && each.is_ascii() && each != '-' {
            out.push('\\');
        }
        out.push(each);
    }
    out
}
