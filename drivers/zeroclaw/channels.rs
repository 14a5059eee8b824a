//! Channels: an account is a channel of the alias `main`, and who is heard there is a group of peers. An empty group is nobody.

use std::collections::BTreeMap;

use claw_types::agent::{AgentUnit, Hears};
use claw_types::diag::Diagnostics;
use claw_types::doc::Doc;

use super::config::{self, Env};
use crate::common::{
    people::{self, Account, Bots, Heard, Voices},
    unit,
};

/// The platforms of this table: those that its image is built with.
pub(super) const PLATFORMS: &[&str] = &["discord", "slack", "telegram"];

static VOICES: Voices = Voices { platforms: PLATFORMS, linked: &[], also: &[], named: &[] };

/// The name of the one account on each platform.
pub(super) const ALIAS: &str = "main";

/// Records rules that zeroclaw cannot keep.
pub(super) fn check(unit: &AgentUnit, diag: &mut Diagnostics) {
    people::deaf(unit, &VOICES, diag);
    for account in people::spoken(unit, &VOICES) {
        people::judge("zeroclaw", unit, &account, &heard(&account), diag);
        let bots = if account.platform.name() == "telegram" { Bots::Deaf } else { Bots::Listed };
        people::bots("zeroclaw", unit, &account, bots, diag);
    }
}

/// Returns whom it hears: one list of people for a platform, in the guilds of discord and the channels of slack that are named.
fn heard(account: &Account<'_>) -> Heard {
    let Account { platform, policy, .. } = account;
    let list = people::only(people::everybody(policy).iter().map(String::as_str));
    let mut heard = Heard::one_list("zeroclaw", *platform, policy, &list);
    let is_named = has_channels(account) && people::open(policy).next().is_some();
    if platform.name() != "telegram" {
        heard.places = format!("`zeroclaw` hears in every channel of `{platform}` where one guild names none");
    }
    if platform.name() == "discord" {
        heard.elsewhere = Hears::Nobody;
    }
    if platform.name() == "slack" && is_named {
        heard.elsewhere = Hears::Nobody;
    }
    if platform.name() != "telegram" && is_named {
        // Its list of channels is for every message, and a direct one comes from none of them.
        heard.direct = Hears::Nobody;
        heard.people.push_str(", and hears nobody directly where channels are named");
        heard.instead =
            "name the people: `users` in its `guilds`; where they write directly, take the `channels` out of \
                         `handles`"
                .to_owned();
    }
    for (id, own) in &mut heard.guilds {
        let Some(said) = policy.guilds.get(id) else { continue };
        if is_named && platform.name() != "telegram" {
            own.channels.clone_from(&said.channels);
        }
        // Only guilds and channels of those that are open are on its lists.
        if said.hears == Hears::Nobody && heard.elsewhere == Hears::Nobody {
            own.hears = Hears::Nobody;
        }
    }
    heard
}

/// Returns whether each guild in which anybody is heard names channels. One without is open in all of them, and the list is of all
/// guilds.
fn has_channels(account: &Account<'_>) -> bool {
    people::open(account.policy).all(|(_, guild)| !guild.channels.is_empty())
}

type Entries = BTreeMap<String, Doc>;

/// Returns the channels by platform, and `peer_groups`.
pub(super) fn channels(unit: &AgentUnit, env: &mut Env) -> (Entries, Entries) {
    let (mut channels, mut groups) = (Entries::new(), Entries::new());
    for account in people::spoken(unit, &VOICES) {
        let name = account.platform.name();
        let keys = ["bot_token", "app_token"];
        for (token, key) in account.platform.tokens().iter().zip(keys) {
            if let Some(secret) = unit::secret(unit, token) {
                config::variable(env, &["channels", name, ALIAS, key], secret);
            }
        }
        let mut keys =
            vec![("enabled", Doc::Bool(true)), ("mention_only", Doc::Bool(people::must_mention(account.policy)))];
        keys.extend(places(&account));
        channels.insert(name.to_owned(), Doc::map(keys));
        let group = Doc::map([
            ("agents", Doc::strs(["main"])),
            ("channel", Doc::Str(format!("{name}.{ALIAS}"))),
            ("external_peers", Doc::strs(people::everybody(account.policy))),
        ]);
        groups.insert(name.to_owned(), group);
    }
    (channels, groups)
}

/// Returns where an account listens, and whether to bots.
fn places(account: &Account<'_>) -> Vec<(&'static str, Doc)> {
    let open = || people::open(account.policy);
    let ids = open().flat_map(|(_, guild)| guild.channels.iter().map(|channel| channel.id.as_str()));
    let ids = Doc::strs(if has_channels(account) { ids.collect() } else { Vec::new() });
    let bots = Doc::Bool(people::hears_bots(account.policy));
    match account.platform.name() {
        // An empty list of guilds would be every guild; a guild of that id there is not.
        "discord" if open().next().is_none() => vec![("guild_ids", Doc::strs(["0"])), ("listen_to_bots", bots)],
        "discord" => vec![
            ("channel_ids", ids),
            ("guild_ids", Doc::strs(open().map(|(id, _)| id.as_str()))),
            ("listen_to_bots", bots),
        ],
        "slack" => vec![
            ("allow_bot_messages", bots),
            ("channel_ids", ids),
            // Else no answer in a thread needs a mention.
            ("strict_mention_in_thread", Doc::Bool(people::must_mention(account.policy))),
        ],
        _ => Vec::new(),
    }
}
