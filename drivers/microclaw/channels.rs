//! Channels: places, not people. Whoever can write in a place that is on the list is heard, and an empty list is every place.

use claw_types::agent::{AgentUnit, DirectPolicy, Hears};
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::doc::Doc;

use crate::common::{
    people::{self, Account, Bots, Heard, Voices},
    unit,
};

/// The platforms of this table: those that call out by themselves, and whose settings an id and a token are.
pub(super) const PLATFORMS: &[&str] = &["discord", "feishu", "matrix", "slack", "telegram"];

/// Platforms that have a list of people for direct messages.
const DIRECT: &[&str] = &["matrix", "telegram"];

static VOICES: Voices = Voices {
    platforms: PLATFORMS,
    linked: &[],
    also: &[],
    named: &[("feishu", "the app's id, `cli_…`"), ("matrix", "`@name:server`")],
};

/// Records rules that microclaw cannot keep.
pub(super) fn check(unit: &AgentUnit, diag: &mut Diagnostics) {
    people::deaf(unit, &VOICES, diag);
    for account in people::spoken(unit, &VOICES) {
        let platform = account.platform;
        let is_number = |id: &str| {
            let digits = if platform.name() == "telegram" { id.strip_prefix('-').unwrap_or(id) } else { id };
            (1..=19).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
        };
        if matches!(platform.name(), "discord" | "telegram") && places(&account).iter().any(|id| !is_number(id)) {
            let message =
                format!("a channel of `{}` on `{platform}` is no number, and microclaw wants one", unit.service);
            let error = Diagnostic::error(Code::RuntimeCannot, unit.origin, message);
            diag.push(error.help("write the channel's id, as the platform's developer mode shows it"));
        }
        if platform.name() == "telegram"
            && let Some(id) = people::direct(account.policy).iter().find(|id| id.parse::<i64>().is_err())
        {
            let message = format!("`microclaw` cannot hear `{id}` directly on `{platform}`: it is no number");
            let error = Diagnostic::error(Code::RuntimeCannot, unit.origin, message);
            diag.push(error.help("write the person's id, which is a number, into `allow_from`, and no `@name`"));
        }
        people::judge("microclaw", unit, &account, &heard(&account), diag);
        people::bots("microclaw", unit, &account, Bots::Deaf, diag);
    }
}

/// Returns whom it hears: everyone in each place on its list, and everyone everywhere where the list is empty.
fn heard(account: &Account<'_>) -> Heard {
    let Account { platform, policy, .. } = account;
    let mut heard = Heard::kept(policy);
    heard.people = format!("`microclaw` knows places of `{platform}` and no people in them");
    heard.places = heard.people.clone();
    heard.instead = if platform.name() == "telegram" {
        "name a group as a guild in its `handles`, and let everyone in it be heard: `policy: open`".to_owned()
    } else {
        "name the `channels` of a guild in its `handles`, and let everyone in them be heard: `policy: open`".to_owned()
    };
    heard.is_pairing = false;
    if !DIRECT.contains(&platform.name()) || policy.direct == DirectPolicy::Open {
        // Its list of channels shuts direct messages out; where it has a list of people, this one is never empty.
        heard.direct = Hears::Nobody;
    }
    if places(account).is_empty() {
        heard.elsewhere = Hears::Everyone;
        heard.people = "`microclaw` takes an empty list of places for every place".to_owned();
    }
    for guild in heard.guilds.values_mut().filter(|guild| guild.hears != Hears::Nobody) {
        let is_place =
            platform.name() == "telegram" || !guild.channels.is_empty() || heard.elsewhere == Hears::Everyone;
        guild.hears = if is_place { Hears::Everyone } else { Hears::Nobody };
        // On the others it reads nothing in a group that does not mention it.
        let is_free = matches!(platform.name(), "discord" | "matrix") && !people::must_mention(policy);
        guild.require_mention = !is_free;
        if platform.name() == "telegram" {
            guild.channels.clear();
        }
    }
    heard
}

/// Returns the places where anybody is heard: channels, and on telegram the groups that guilds are.
fn places<'a>(account: &'a Account<'_>) -> Vec<&'a str> {
    let open = people::open(account.policy);
    if account.platform.name() == "telegram" {
        return open.map(|(id, _)| id.as_str()).collect();
    }
    open.flat_map(|(_, guild)| guild.channels.iter().map(|channel| channel.id.as_str())).collect()
}

/// Returns `channels`. The web server is one of them: its health page is what is asked.
pub(super) fn channels(unit: &AgentUnit) -> Doc {
    let web = [("web", Doc::map([("enabled", Doc::Bool(true))]))];
    let spoken = people::spoken(unit, &VOICES).map(|account| (account.platform.name(), keys(unit, &account)));
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
    let is_mention_only = people::must_mention(account.policy);
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
