//! Channels: each platform hermes speaks on. Tokens and rules are variables; a list is always written, so nobody is heard
//! who is not named.

use std::collections::{BTreeMap, BTreeSet};

use claw_types::agent::{AgentUnit, ChannelPolicy, DirectPolicy, EnvValue, GuildPolicy, Hears};
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::doc::Doc;
use claw_types::id::EnvName;
use claw_types::platform::Platform;
use claw_types::roster::Identity;

use crate::common::people::{self, Account, Bots, Heard, Voices, named, only, open};

/// The platforms of this driver.
pub(super) const PLATFORMS: &[&str] = &["discord", "matrix", "slack", "telegram"];

static VOICES: Voices = Voices { platforms: PLATFORMS, linked: &[], also: &[], named: &[("matrix", "`@name:server`")] };

/// Platforms of hermes that a variable alone would switch on: they are switched off where the pod gives it no account there.
const SWITCHED: &[&str] = &[
    "dingtalk",
    "discord",
    "email",
    "feishu",
    "homeassistant",
    "line",
    "matrix",
    "mattermost",
    "qqbot",
    "signal",
    "slack",
    "sms",
    "telegram",
    "wecom",
    "wecom_callback",
    "weixin",
    "whatsapp",
    "whatsapp_cloud",
    "yuanbao",
];

/// What a list holds where it must be closed: an empty one is no list to hermes. It is nobody's id.
const NOBODY: &str = "0";

/// The ids of people who may write directly.
fn direct(policy: &ChannelPolicy) -> BTreeSet<&str> {
    people::direct(policy).iter().map(String::as_str).collect()
}

/// The guilds in which everyone is heard.
fn everyone(policy: &ChannelPolicy) -> impl Iterator<Item = &str> {
    open(policy).filter(|(_, guild)| guild.hears == Hears::Everyone).map(|(id, _)| id.as_str())
}

/// The places of guilds: the channels of one where it names any, else itself where its id is one of a place.
fn places<'p>(platform: Platform, guilds: impl Iterator<Item = (&'p String, &'p GuildPolicy)>) -> BTreeSet<&'p str> {
    let has_rooms = platform.name() != "telegram";
    let is_place = matches!(platform.name(), "matrix" | "telegram");
    let ids = guilds.flat_map(|(id, guild)| {
        let channels = guild.channels.iter().map(|channel| channel.id.as_str()).filter(|_| has_rooms);
        let channels: Vec<&str> = channels.collect();
        if channels.is_empty() && is_place { vec![id.as_str()] } else { channels }
    });
    ids.collect()
}

/// Records rules that hermes cannot keep.
pub(super) fn check(unit: &AgentUnit, diag: &mut Diagnostics) {
    people::deaf(unit, &VOICES, diag);
    for account in people::spoken(unit, &VOICES) {
        let Account { platform, policy, .. } = &account;
        people::judge("hermes", unit, &account, &heard(&account), diag);
        let has_role = everyone(policy).next().is_some() && policy.direct != DirectPolicy::Open;
        if platform.name() == "discord" && has_role {
            let message =
                format!("hermes hears everyone of a guild of `{platform}` by a role, which needs a privilege");
            let warning = Diagnostic::warning(Code::RuntimeCannot, unit.origin, message);
            diag.push(warning.help("switch `Server Members Intent` on for its application, or name `users`"));
        }
        let bots = if platform.name() == "matrix" { Bots::Listed } else { Bots::Any };
        people::bots("hermes", unit, &account, bots, diag);
    }
}

/// Returns whom it hears: people by one list, and places by another. Telegram alone has a list of its own for groups, and whoever
/// may write directly is heard in these too.
fn heard(account: &Account<'_>) -> Heard {
    let Account { platform, policy, .. } = account;
    let mut heard = Heard::kept(policy);
    heard.people = format!("`hermes` has one list of people for groups and direct messages of `{platform}`");
    heard.places = format!("`hermes` knows no guilds on `{platform}`, only channels, and a guild names none");
    let mut listed = direct(policy);
    if platform.name() != "telegram" {
        listed.extend(named(open(policy)));
        if policy.direct != DirectPolicy::Open {
            heard.direct = only(listed.iter().copied());
        }
    }
    let all = if policy.direct == DirectPolicy::Open {
        Hears::Everyone
    } else {
        only(listed.into_iter().chain(named(open(policy))).collect::<BTreeSet<_>>())
    };
    // Guilds on discord and groups on telegram can let everyone in who is in them, and nowhere else.
    let has_everyone = matches!(platform.name(), "discord" | "telegram");
    let freely = places(*platform, open(policy).filter(|(_, guild)| !guild.require_mention));
    for (id, own) in &mut heard.guilds {
        let is_closed = own.hears == Hears::Nobody;
        if has_bare(*platform, policy) {
            own.channels.clear();
        } else if is_closed {
            continue;
        }
        if own.hears != Hears::Everyone || !has_everyone {
            own.hears = all.clone();
        }
        let is_free = places(*platform, std::iter::once((id, &*own))).iter().any(|room| freely.contains(room));
        own.require_mention = must_mention(*platform, policy) && !is_free;
        if platform.name() == "telegram" {
            own.channels.clear();
        }
    }
    if has_bare(*platform, policy) {
        heard.elsewhere = all;
    }
    heard
}

/// Returns whether a guild is known by no place: then it is heard in each channel that it is let into.
fn has_bare(platform: Platform, policy: &ChannelPolicy) -> bool {
    open(policy).any(|guild| places(platform, std::iter::once(guild)).is_empty())
}

/// Returns whether a message must mention the agent where no list of places says otherwise.
fn must_mention(platform: Platform, policy: &ChannelPolicy) -> bool {
    let inside = places(platform, open(policy));
    let freely = places(platform, open(policy).filter(|(_, guild)| !guild.require_mention));
    freely.len() != inside.len() || open(policy).all(|(_, guild)| guild.require_mention)
}

/// Bots are heard where they mention the agent, and only in a pod that has others or by name.
fn hears_bots(policy: &ChannelPolicy) -> bool {
    !policy.peers.is_empty()
}

/// Returns `platforms`: those it has no account on are off, whatever variables there are.
pub(super) fn platforms(unit: &AgentUnit) -> Doc {
    let mut platforms: BTreeMap<String, Doc> = BTreeMap::new();
    for name in SWITCHED {
        platforms.insert((*name).to_owned(), Doc::map([("enabled", Doc::Bool(false))]));
    }
    for Account { platform, identity, policy } in people::spoken(unit, &VOICES) {
        let behavior = if matches!(policy.direct, DirectPolicy::Pairing(_)) { "pair" } else { "ignore" };
        let mut extra = vec![("unauthorized_dm_behavior", Doc::str(behavior))];
        let mut keys = vec![("enabled", Doc::Bool(true))];
        if platform.name() == "matrix" {
            extra.extend(matrix(identity));
            // It goes by another name there; hermes puts the variable's value in.
            keys.push(("token", Doc::Str(platform.tokens().iter().map(|token| format!("${{{token}}}")).collect())));
        }
        keys.push(("extra", Doc::map(extra)));
        platforms.insert(platform.name().to_owned(), Doc::map(keys));
    }
    Doc::Map(platforms)
}

/// Returns whether a variable is one that says who is heard and when: its environment counts, whatever its configuration says.
pub(super) fn is_rule(name: &str) -> bool {
    let of = |platform: &&str| name.starts_with(&format!("{}_", platform.to_ascii_uppercase()));
    let is_placed = name.starts_with("GATEWAY_") || VOICES.platforms.iter().any(of);
    is_placed && ["ALLOW", "AUTO_THREAD", "FREE_RESPONSE", "GUEST", "MENTION"].iter().any(|word| name.contains(word))
}

/// Returns the variables of all platforms it speaks on, and those that close the rest.
pub(super) fn environment(unit: &AgentUnit) -> BTreeMap<EnvName, EnvValue> {
    let mut texts = vec![("GATEWAY_ALLOW_ALL_USERS".to_owned(), "false".to_owned())];
    texts.push(("GATEWAY_ALLOWED_USERS".to_owned(), NOBODY.to_owned()));
    for account in people::spoken(unit, &VOICES) {
        texts.extend(rules(&account));
        match account.platform.name() {
            "discord" => texts.extend(discord(account.policy)),
            "slack" => texts.extend(patterns("SLACK", account.identity)),
            "telegram" => texts.extend(telegram(&account)),
            _ => {}
        }
    }
    let parsed = texts.into_iter().map(|(name, text)| Some((EnvName::parse(&name).ok()?, EnvValue::Literal(text))));
    parsed.flatten().collect()
}

type Texts = Vec<(String, String)>;

fn list(ids: &BTreeSet<&str>) -> String {
    if ids.is_empty() { NOBODY.to_owned() } else { ids.iter().copied().collect::<Vec<_>>().join(",") }
}

/// What all platforms have: people, places, mentions, bots.
fn rules(account: &Account<'_>) -> Texts {
    let Account { platform, policy, .. } = account;
    let upper = platform.name().to_ascii_uppercase();
    let (rooms, free) = match platform.name() {
        "matrix" => ("ALLOWED_ROOMS", "FREE_RESPONSE_ROOMS"),
        "telegram" => ("ALLOWED_CHATS", "FREE_RESPONSE_CHATS"),
        _ => ("ALLOWED_CHANNELS", "FREE_RESPONSE_CHANNELS"),
    };
    let mut people = direct(policy);
    if platform.name() != "telegram" {
        people.extend(named(open(policy)));
    }
    if policy.direct == DirectPolicy::Open {
        people = ["*"].into();
    }
    let inside = places(*platform, open(policy));
    let freely = places(*platform, open(policy).filter(|(_, guild)| !guild.require_mention));
    let must_mention = must_mention(*platform, policy);
    let bots = if hears_bots(policy) { "mentions" } else { "none" };
    let mut texts = vec![
        ("ALLOWED_USERS", list(&people)),
        ("ALLOW_ALL_USERS", "false".to_owned()),
        ("REQUIRE_MENTION", must_mention.to_string()),
    ];
    // A guild that names no channels is open in each of them; where no guild is open, no channel is.
    if !has_bare(*platform, policy) {
        texts.push((rooms, list(&inside)));
    }
    if must_mention && !freely.is_empty() {
        texts.push((free, list(&freely)));
    }
    match platform.name() {
        "matrix" => texts.extend([
            ("AUTO_THREAD", "false".to_owned()),
            // In a thread it has spoken in, it would hear all that follows.
            ("THREAD_REQUIRE_MENTION", must_mention.to_string()),
        ]),
        _ => texts.push(("ALLOW_BOTS", bots.to_owned())),
    }
    if platform.name() == "slack" {
        // In a thread it has spoken in, it would hear all that follows.
        texts.push(("STRICT_MENTION", must_mention.to_string()));
    }
    texts.into_iter().map(|(name, text)| (format!("{upper}_{name}"), text)).collect()
}

fn own(texts: &[(&str, String)]) -> Texts {
    texts.iter().map(|(name, text)| ((*name).to_owned(), text.clone())).collect()
}

fn discord(policy: &ChannelPolicy) -> Texts {
    let must_mention = open(policy).any(|(_, guild)| guild.require_mention);
    let mut texts = own(&[
        // An answer to a bot does not call it: two of them stop where neither writes the other's name.
        ("DISCORD_ALLOW_MENTION_REPLIED_USER", "false".to_owned()),
        ("DISCORD_AUTO_THREAD", "false".to_owned()),
        ("DISCORD_BOTS_REQUIRE_INLINE_MENTION", "true".to_owned()),
        ("DISCORD_THREAD_REQUIRE_MENTION", must_mention.to_string()),
    ]);
    // The role that everyone of a guild has is called by the guild's id; it counts in that guild alone, and not for direct messages.
    let roles: BTreeSet<&str> = everyone(policy).collect();
    if !roles.is_empty() && policy.direct != DirectPolicy::Open {
        texts.extend(own(&[("DISCORD_ALLOWED_ROLES", list(&roles))]));
    }
    texts
}

/// Its home server is the one its id names, over https.
fn matrix(identity: &Identity) -> Vec<(&'static str, Doc)> {
    let id = identity.id.as_deref();
    let server = id.and_then(|id| id.split_once(':')).map(|(_, server)| format!("https://{server}"));
    let mut keys = Vec::new();
    keys.extend(id.map(|id| ("user_id", Doc::str(id))));
    keys.extend(server.map(|server| ("homeserver", Doc::Str(server))));
    keys
}

/// A group is what other platforms call a guild; what a pod calls its channels are topics, which have no rules here.
fn telegram(account: &Account<'_>) -> Texts {
    let policy = account.policy;
    let chats: BTreeSet<&str> = everyone(policy).collect();
    let mut texts = own(&[
        ("TELEGRAM_GROUP_ALLOWED_CHATS", list(&chats)),
        ("TELEGRAM_GROUP_ALLOWED_USERS", list(&named(open(policy)))),
        ("TELEGRAM_GUEST_MODE", "false".to_owned()),
        // It would look for addresses of its own, past the name the gate lets through.
        ("HERMES_TELEGRAM_DISABLE_FALLBACK_IPS", "1".to_owned()),
    ]);
    texts.extend(patterns("TELEGRAM", account.identity));
    texts
}

/// Returns the expression by which a text mentions the agent, as a list in JSON: python's, without regard to case.
fn patterns(platform: &str, identity: &Identity) -> Texts {
    let Some(name) = identity.username.as_deref().filter(|name| !name.is_empty()) else { return Texts::new() };
    let list = claw_types::doc::json_string(&pattern(name));
    vec![(format!("{platform}_MENTION_PATTERNS"), format!("[{list}]"))]
}

/// A name as a word of its own.
fn pattern(name: &str) -> String {
    let mut escaped = String::new();
    for each in name.chars() {
        if each.is_ascii() && !each.is_ascii_alphanumeric() && each != '_' && each != '-' {
            escaped.push('\\');
        }
        escaped.push(each);
    }
    format!(r"(?<!\w)@?{escaped}(?!\w)")
}
