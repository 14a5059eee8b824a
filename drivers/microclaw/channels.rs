//! Channels: places, not people. Whoever can write in a place that is on the list is heard, and an empty list is every place.

use claw_types::agent::{AgentUnit, DirectPolicy, Hears};
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::doc::Doc;

use crate::common::{
    people::{self, Account},
    unit,
};

/// The platforms of this table: those that call out by themselves, and whose settings an id and a token are.
pub(super) const PLATFORMS: &[&str] = &["discord", "feishu", "matrix", "slack", "telegram"];

/// Platforms that have a list of people for direct messages.
const DIRECT: &[&str] = &["matrix", "telegram"];

/// Platforms whose account's id is part of what it logs in with.
const NAMED: &[&str] = &["feishu", "matrix"];

/// Records rules that microclaw cannot keep.
pub(super) fn check(unit: &AgentUnit, diag: &mut Diagnostics) {
    for account in people::spoken(unit, PLATFORMS) {
        check_account(unit, &account, diag);
    }
}

fn check_account(unit: &AgentUnit, account: &Account<'_>, diag: &mut Diagnostics) {
    let Account { platform, policy, identity } = account;
    let mut refuse = |message: String, help: String| {
        diag.push(Diagnostic::error(Code::RuntimeCannot, unit.origin, message).help(help));
    };
    let open: Vec<_> = policy.guilds.values().filter(|guild| guild.hears != Hears::Nobody).collect();
    if places(account).is_empty() {
        let message = format!(
            "`{}` has no place on `{platform}` where it is heard, and microclaw takes an empty list for every place",
            unit.service
        );
        let help =
            "name a guild of its `handles` with its `channels`, and who is heard there: the surface of the channel";
        refuse(message, help.to_owned());
    } else if platform.name() != "telegram" && open.iter().any(|guild| guild.channels.is_empty()) {
        let message =
            format!("microclaw knows the channels of `{platform}`, and a guild of `{}` names none", unit.service);
        refuse(message, "name the `channels` of each of its `guilds`".to_owned());
    }
    let is_number = |id: &str| {
        let digits = if platform.name() == "telegram" { id.strip_prefix('-').unwrap_or(id) } else { id };
        (1..=19).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    if matches!(platform.name(), "discord" | "telegram") && places(account).iter().any(|id| !is_number(id)) {
        let message = format!("a channel of `{}` on `{platform}` is no number, and microclaw wants one", unit.service);
        refuse(message, "write the channel's id, as the platform's developer mode shows it".to_owned());
    }
    if NAMED.contains(&platform.name()) && identity.id.is_none() {
        let message = format!("`{}` has no id on `{platform}`, and microclaw logs in with it", unit.service);
        refuse(message, format!("write it into its `handles`: `{platform}: {{id: \"<id>\"}}`"));
    }
    if policy.direct == DirectPolicy::Open && DIRECT.contains(&platform.name()) {
        let message = format!("`{}` is open to everybody who writes to it directly on `{platform}`", unit.service);
        refuse(
            message,
            "claw writes a list for microclaw there: `dm: {policy: allowlist, allow_from: [\"<id>\"]}`".to_owned(),
        );
    }
    let mut warn = |message: String, help: &str| {
        diag.push(Diagnostic::warning(Code::RuntimeCannot, unit.origin, message).help(help));
    };
    if open.iter().any(|guild| matches!(guild.hears, Hears::Only(_))) {
        let message = format!("everybody in the channels of `{platform}` is heard by `{}`", unit.service);
        warn(
            message,
            "microclaw has no list of people for groups: let only those into the channels who may speak to it",
        );
    }
    if !policy.peers.is_empty() {
        let message = format!("`{}` hears no other bot on `{platform}`", unit.service);
        warn(
            message,
            "microclaw ignores every message of a bot: let agents of the pod meet in another way, such as a service",
        );
    }
    if matches!(policy.direct, DirectPolicy::Only(_) | DirectPolicy::Pairing(_)) && !DIRECT.contains(&platform.name()) {
        let message = format!("`{}` is not heard directly on `{platform}`", unit.service);
        warn(
            message,
            "microclaw has no list of people for direct messages there, so its list of channels shuts them out",
        );
    }
}

/// Returns the places where anybody is heard: channels, and on telegram the groups that guilds are.
fn places<'a>(account: &'a Account<'_>) -> Vec<&'a str> {
    let open = account.policy.guilds.iter().filter(|(_, guild)| guild.hears != Hears::Nobody);
    if account.platform.name() == "telegram" {
        return open.map(|(id, _)| id.as_str()).collect();
    }
    open.flat_map(|(_, guild)| guild.channels.iter().map(|channel| channel.id.as_str())).collect()
}

/// Returns `channels`. The web server is one of them: its health page is what is asked.
pub(super) fn channels(unit: &AgentUnit) -> Doc {
    let web = [("web", Doc::map([("enabled", Doc::Bool(true))]))];
    let spoken = people::spoken(unit, PLATFORMS).map(|account| (account.platform.name(), keys(unit, &account)));
    Doc::map(web.into_iter().chain(spoken))
}

fn keys(unit: &AgentUnit, account: &Account<'_>) -> Doc {
    let token = |at: usize| {
        let name = account.platform.tokens().get(at).copied().unwrap_or_default();
        unit::secret(unit, name).map_or(Doc::Null, Doc::Secret)
    };
    let id = || account.identity.id.as_deref().map_or(Doc::Null, Doc::str);
    let texts = || Doc::strs(places(account));
    let numbers = || {
        let places = places(account).into_iter().filter(|id| id.parse::<i128>().is_ok());
        Doc::List(places.map(|id| Doc::Number(id.to_owned())).collect())
    };
    // The lists of all guilds are one, so the strictest rule of them holds in each.
    let is_mention_only = people::people(account.policy).is_mention_only;
    let mut keys = vec![("enabled", Doc::Bool(true))];
    let name = account.identity.username.as_deref().map(|name| ("bot_username", Doc::str(name)));
    match account.platform.name() {
        "discord" => {
            keys.extend([
                ("allowed_channels", numbers()),
                ("bot_token", token(0)),
                ("no_mention", Doc::Bool(!is_mention_only)),
            ]);
            keys.extend(name);
        }
        "feishu" => keys.extend([
            ("allowed_chats", texts()),
            ("app_id", id()),
            ("app_secret", token(0)),
            ("connection_mode", Doc::str("websocket")),
        ]),
        "matrix" => {
            let server = account.identity.id.as_deref().and_then(|id| id.split_once(':'));
            keys.extend([
                ("access_token", token(0)),
                ("allowed_room_ids", texts()),
                ("allowed_user_ids", direct(account, "@nobody:invalid", |id| Doc::str(id))),
                ("bot_user_id", id()),
                ("homeserver_url", server.map_or(Doc::Null, |(_, server)| Doc::Str(format!("https://{server}")))),
                ("mention_required", Doc::Bool(is_mention_only)),
            ]);
        }
        "slack" => {
            keys.extend([("allowed_channels", texts()), ("app_token", token(1)), ("bot_token", token(0))]);
            keys.extend(name);
        }
        _ => {
            keys.extend([
                ("allowed_groups", numbers()),
                ("allowed_user_ids", direct(account, "0", |id| Doc::Number(id.to_owned()))),
                ("bot_token", token(0)),
            ]);
            keys.extend(name);
        }
    }
    Doc::map(keys)
}

/// Returns who may write directly; where nobody may, an id that nobody has, since an empty list would be everyone.
fn direct(account: &Account<'_>, nobody: &str, shown: impl Fn(&str) -> Doc) -> Doc {
    let ids: &[String] = match &account.policy.direct {
        DirectPolicy::Only(ids) | DirectPolicy::Pairing(ids) => ids,
        DirectPolicy::Disabled | DirectPolicy::Open => &[],
    };
    let is_fit = |id: &&String| nobody != "0" || id.parse::<i64>().is_ok();
    let mut shown_ids: Vec<Doc> = ids.iter().filter(is_fit).map(|id| shown(id)).collect();
    if shown_ids.is_empty() {
        shown_ids.push(shown(nobody));
    }
    Doc::List(shown_ids)
}
