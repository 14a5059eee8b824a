//! Channels: one account on each platform, with one list of people. An empty list would be everyone.

use claw_types::agent::{AgentUnit, DirectPolicy, Hears};
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::doc::Doc;

use crate::common::{
    people::{self, Account, Empty},
    unit,
};

/// The platforms of this table: those that call out by themselves.
pub(super) const PLATFORMS: &[&str] = &["discord", "matrix", "slack", "telegram"];

/// Records rules that nullclaw cannot keep.
pub(super) fn check(unit: &AgentUnit, diag: &mut Diagnostics) {
    for account in people::spoken(unit, PLATFORMS) {
        people::one_list("nullclaw", Empty::Everyone, unit, &account, diag);
        let platform = account.platform;
        if platform.name() == "discord" {
            people::bots("nullclaw", unit, &account, diag);
        }
        let (places, what) = match platform.name() {
            "discord" => (open(&account).count(), "guild"),
            "telegram" => continue,
            _ => (rooms(&account).len(), "channel"),
        };
        if places > 1 || (places == 0 && platform.name() == "matrix") {
            let message =
                format!("nullclaw listens in one {what} of `{platform}`, and `{}` has {places}", unit.service);
            let error = Diagnostic::error(Code::RuntimeCannot, unit.origin, message);
            diag.push(
                error.help(format!(
                    "name one {what} below the `guilds` of its `handles`, or use another runtime for it"
                )),
            );
        }
    }
}

/// The guilds in which anybody is heard.
fn open<'a>(account: &'a Account<'_>) -> impl Iterator<Item = &'a str> {
    let open = account.policy.guilds.iter().filter(|(_, guild)| guild.hears != Hears::Nobody);
    open.map(|(id, _)| id.as_str())
}

/// The channels of those guilds.
fn rooms<'a>(account: &'a Account<'_>) -> Vec<&'a str> {
    let open = account.policy.guilds.values().filter(|guild| guild.hears != Hears::Nobody);
    open.flat_map(|guild| guild.channels.iter().map(|channel| channel.id.as_str())).collect()
}

/// Returns `channels`.
pub(super) fn channels(unit: &AgentUnit) -> Doc {
    let accounts = people::spoken(unit, PLATFORMS).map(|account| {
        let main = Doc::map([("main", keys(unit, &account))]);
        (account.platform.name(), Doc::map([("accounts", main)]))
    });
    Doc::map([("cli", Doc::Bool(false))].into_iter().chain(accounts))
}

fn keys(unit: &AgentUnit, account: &Account<'_>) -> Doc {
    let people = people::people(account.policy);
    let ids = || Doc::strs(people.ids.clone());
    let token = |at: usize| {
        let name = account.platform.tokens().get(at).copied().unwrap_or_default();
        unit::secret(unit, name).map_or(Doc::Null, Doc::Secret)
    };
    let first = |mut found: Vec<&str>| if found.is_empty() { Doc::Null } else { Doc::str(found.remove(0)) };
    let mention = ("require_mention", Doc::Bool(people.is_mention_only));
    let allowlist = || Doc::str("allowlist");
    match account.platform.name() {
        "discord" => Doc::map([
            ("allow_bots", Doc::Bool(people::hears_bots(account.policy))),
            ("allow_from", ids()),
            ("guild_id", first(open(account).collect())),
            mention,
            ("token", token(0)),
        ]),
        "matrix" => {
            let id = account.identity.id.as_deref();
            let server = id.and_then(|id| id.split_once(':')).map(|(_, server)| format!("https://{server}"));
            Doc::map([
                ("access_token", token(0)),
                ("allow_from", ids()),
                ("group_allow_from", ids()),
                ("group_policy", allowlist()),
                ("homeserver", server.map_or(Doc::Null, Doc::Str)),
                ("room_id", first(rooms(account))),
                ("user_id", id.map_or(Doc::Null, Doc::str)),
            ])
        }
        "slack" => {
            let direct = if account.policy.direct == DirectPolicy::Disabled { "deny" } else { "allowlist" };
            Doc::map([
                ("allow_from", ids()),
                ("app_token", token(1)),
                ("bot_token", token(0)),
                ("channel_id", first(rooms(account))),
                ("dm_policy", Doc::str(direct)),
                ("group_policy", allowlist()),
                ("mode", Doc::str("socket")),
            ])
        }
        _ => Doc::map([
            ("allow_from", ids()),
            ("bot_token", token(0)),
            ("group_allow_from", ids()),
            ("group_policy", allowlist()),
            mention,
        ]),
    }
}
