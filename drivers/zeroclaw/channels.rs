//! Channels: an account is a channel of the alias `main`, and who is heard there is a group of peers. An empty group is nobody.

use std::collections::BTreeMap;

use claw_types::agent::{AgentUnit, Hears};
use claw_types::diag::Diagnostics;
use claw_types::doc::Doc;

use super::config::{self, Env};
use crate::common::{
    people::{self, Account, Empty},
    unit,
};

/// The platforms of this table: those that its image is built with.
pub(super) const PLATFORMS: &[&str] = &["discord", "slack", "telegram"];

/// The name of the one account on each platform.
pub(super) const ALIAS: &str = "main";

/// Records rules that zeroclaw cannot keep.
pub(super) fn check(unit: &AgentUnit, diag: &mut Diagnostics) {
    for account in people::spoken(unit, PLATFORMS) {
        people::one_list("zeroclaw", Empty::Nobody, unit, &account, diag);
        if account.platform.name() != "telegram" {
            people::bots("zeroclaw", unit, &account, diag);
        }
    }
}

type Entries = BTreeMap<String, Doc>;

/// Returns the channels by platform, and `peer_groups`.
pub(super) fn channels(unit: &AgentUnit, env: &mut Env) -> (Entries, Entries) {
    let (mut channels, mut groups) = (Entries::new(), Entries::new());
    for account in people::spoken(unit, PLATFORMS) {
        let name = account.platform.name();
        let people = people::people(account.policy);
        let keys = ["bot_token", "app_token"];
        for (token, key) in account.platform.tokens().iter().zip(keys) {
            if let Some(secret) = unit::secret(unit, token) {
                config::variable(env, &["channels", name, ALIAS, key], secret);
            }
        }
        let mut keys = vec![("enabled", Doc::Bool(true)), ("mention_only", Doc::Bool(people.is_mention_only))];
        keys.extend(places(&account));
        channels.insert(name.to_owned(), Doc::map(keys));
        let group = Doc::map([
            ("agents", Doc::strs(["main"])),
            ("channel", Doc::Str(format!("{name}.{ALIAS}"))),
            ("external_peers", Doc::strs(people.ids)),
        ]);
        groups.insert(name.to_owned(), group);
    }
    (channels, groups)
}

/// Returns where an account listens, and whether to bots.
fn places(account: &Account<'_>) -> Vec<(&'static str, Doc)> {
    let open = || account.policy.guilds.iter().filter(|(_, guild)| guild.hears != Hears::Nobody);
    // One guild without channels of its own is open in all of them, and the list is of all guilds.
    let is_named = open().all(|(_, guild)| !guild.channels.is_empty());
    let ids = open().flat_map(|(_, guild)| guild.channels.iter().map(|channel| channel.id.as_str()));
    let ids = Doc::strs(if is_named { ids.collect() } else { Vec::new() });
    let bots = Doc::Bool(people::hears_bots(account.policy));
    match account.platform.name() {
        // An empty list of guilds would be every guild; a guild of that id there is not.
        "discord" if open().next().is_none() => vec![("guild_ids", Doc::strs(["0"])), ("listen_to_bots", bots)],
        "discord" => vec![
            ("channel_ids", ids),
            ("guild_ids", Doc::strs(open().map(|(id, _)| id.as_str()))),
            ("listen_to_bots", bots),
        ],
        "slack" => vec![("allow_bot_messages", bots), ("channel_ids", ids)],
        _ => Vec::new(),
    }
}
