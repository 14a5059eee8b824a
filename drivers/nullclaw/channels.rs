//! Channels: one account on each platform, with one list of people. An empty list would be everyone.

use claw_types::agent::{AgentUnit, DirectPolicy, Hears};
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::doc::Doc;

use crate::common::{
    people::{self, Account, Bots, Heard, Voices},
    unit,
};

/// The platforms of this table: those that call out by themselves.
pub(super) const PLATFORMS: &[&str] = &["discord", "matrix", "slack", "telegram"];

static VOICES: Voices = Voices { platforms: PLATFORMS, linked: &[], also: &[], named: &[("matrix", "`@name:server`")] };

/// Records rules that nullclaw cannot keep.
pub(super) fn check(unit: &AgentUnit, diag: &mut Diagnostics) {
    people::deaf(unit, &VOICES, diag);
    for account in people::spoken(unit, &VOICES) {
        let platform = account.platform;
        let count = rooms(&account).len();
        if platform.name() == "matrix" && count != 1 {
            // Without one it would listen in all of them, and which of several is meant is not guessed.
            let message =
                format!("`nullclaw` listens in one channel of `{platform}`, and `{}` has {count}", unit.service);
            let error = Diagnostic::error(Code::RuntimeCannot, unit.origin, message);
            diag.push(error.help("name one below the `channels` of a guild of its `handles`, and who is heard there"));
            continue;
        }
        people::judge("nullclaw", unit, &account, &heard(&account), diag);
        let bots = if platform.name() == "discord" { Bots::Listed } else { Bots::Deaf };
        people::bots("nullclaw", unit, &account, bots, diag);
    }
}

/// Returns whom it hears: on matrix in one room, and nowhere else; else by one list in every group, which it does not tell apart.
/// Its slack hears by a socket, which has no filter for channels, and direct messages there can be off.
fn heard(account: &Account<'_>) -> Heard {
    let Account { platform, policy, .. } = account;
    let list = people::only(people::everybody(policy).iter().map(String::as_str));
    let mut heard = Heard::one_list("nullclaw", *platform, policy, &people::or_everyone(list.clone()));
    if list == Hears::Nobody {
        heard.people = "`nullclaw` takes an empty list of people for everyone".to_owned();
    }
    if matches!(platform.name(), "matrix" | "slack") {
        let what = if platform.name() == "slack" { "neither channels nor mentions" } else { "no mentions" };
        heard.places = format!("`nullclaw` looks at {what} on `{platform}`");
        heard.guilds.values_mut().for_each(|guild| guild.require_mention = false);
    }
    match platform.name() {
        "matrix" => {
            for (id, own) in &mut heard.guilds {
                let said =
                    policy.guilds.get(id).filter(|said| said.hears != Hears::Nobody && !said.channels.is_empty());
                match said {
                    Some(said) => own.channels.clone_from(&said.channels),
                    None => own.hears = Hears::Nobody,
                }
            }
            (heard.direct, heard.elsewhere) = (Hears::Nobody, Hears::Nobody);
            heard.people = "`nullclaw` listens in one room of `matrix`, with one list of people".to_owned();
            heard.instead = "name them among its `users`, and let them speak to it there".to_owned();
        }
        "slack" if policy.direct == DirectPolicy::Disabled => heard.direct = Hears::Nobody,
        _ => {}
    }
    heard
}

/// The channels of guilds in which anybody is heard.
fn rooms<'a>(account: &'a Account<'_>) -> Vec<&'a str> {
    let channels = people::open(account.policy).flat_map(|(_, guild)| &guild.channels);
    channels.map(|channel| channel.id.as_str()).collect()
}

/// The one guild in which anybody is heard.
fn guild<'a>(account: &'a Account<'_>) -> Option<&'a str> {
    let mut open = people::open(account.policy).map(|(id, _)| id.as_str());
    open.next().filter(|_| open.next().is_none())
}

/// Returns `channels`.
pub(super) fn channels(unit: &AgentUnit) -> Doc {
    let accounts = people::spoken(unit, &VOICES).map(|account| {
        let main = Doc::map([("main", keys(unit, &account))]);
        (account.platform.name(), Doc::map([("accounts", main)]))
    });
    Doc::map([("cli", Doc::Bool(false))].into_iter().chain(accounts))
}

fn keys(unit: &AgentUnit, account: &Account<'_>) -> Doc {
    let ids = || Doc::strs(people::everybody(account.policy));
    let token = |at: usize| {
        let name = account.platform.tokens().get(at).copied().unwrap_or_default();
        unit::secret(unit, name).map_or(Doc::Null, Doc::Secret)
    };
    let mention = ("require_mention", Doc::Bool(people::must_mention(account.policy)));
    let allowlist = || Doc::str("allowlist");
    match account.platform.name() {
        "discord" => Doc::map([
            ("allow_bots", Doc::Bool(people::hears_bots(account.policy))),
            ("allow_from", ids()),
            // Nothing in what was read of its code looks at it.
            ("guild_id", guild(account).map_or(Doc::Null, Doc::str)),
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
                ("room_id", rooms(account).first().map_or(Doc::Null, |room| Doc::str(*room))),
                ("user_id", id.map_or(Doc::Null, Doc::str)),
            ])
        }
        "slack" => {
            let direct = if account.policy.direct == DirectPolicy::Disabled { "deny" } else { "allowlist" };
            Doc::map([
                ("allow_from", ids()),
                ("app_token", token(1)),
                ("bot_token", token(0)),
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
