//! Channels: one list of people for each platform. An empty list would be everyone, so nobody is spoken to without one.

use std::collections::BTreeMap;

use claw_types::agent::{AgentUnit, Hears};
use claw_types::diag::Diagnostics;
use claw_types::doc::Doc;

use super::config::Secrets;
use crate::common::{
    people::{self, Account, Bots, Heard, Voices},
    unit,
};

/// The platforms of this table: those that call out by themselves, and whose settings an id and a token are. LINE and WeCom's
/// older kinds must be called from outside; OneBot, WhatsApp, MaixCam and Pico need a second program.
pub(super) const PLATFORMS: &[&str] = &["dingtalk", "discord", "feishu", "matrix", "qq", "slack", "telegram", "wecom"];

static VOICES: Voices = Voices {
    platforms: PLATFORMS,
    linked: &[],
    also: &[],
    named: &[
        ("dingtalk", "the app's key"),
        ("feishu", "the app's id, `cli_…`"),
        ("matrix", "`@name:server`"),
        ("qq", "the app's id"),
        ("wecom", "the bot's id"),
    ],
};

/// Records rules that picoclaw cannot keep.
pub(super) fn check(unit: &AgentUnit, diag: &mut Diagnostics) {
    people::deaf(unit, &VOICES, diag);
    for account in people::spoken(unit, &VOICES) {
        people::judge("picoclaw", unit, &account, &heard(&account), diag);
        people::bots("picoclaw", unit, &account, Bots::Listed, diag);
    }
}

/// Returns whom it hears: one list for a platform, in every group and directly. An empty list is everyone.
fn heard(account: &Account<'_>) -> Heard {
    let list = people::only(people::everybody(account.policy).iter().map(String::as_str));
    let list = people::or_everyone(list);
    let mut heard = Heard::one_list("picoclaw", account.platform, account.policy, &list);
    if list == Hears::Everyone {
        heard.people = "`picoclaw` takes an empty list of people for everyone".to_owned();
    }
    heard
}

/// Returns `channel_list`.
pub(super) fn channels(unit: &AgentUnit, secrets: &mut Secrets) -> BTreeMap<String, Doc> {
    let mut channels = BTreeMap::new();
    for account in people::spoken(unit, &VOICES) {
        let trigger = Doc::map([("mention_only", Doc::Bool(people::must_mention(account.policy)))]);
        let keys = [
            ("allow_from", Doc::strs(people::everybody(account.policy))),
            ("enabled", Doc::Bool(true)),
            ("group_trigger", trigger),
            ("settings", settings(unit, &account, secrets)),
            ("type", Doc::str(account.platform.name())),
        ];
        channels.insert(account.platform.name().to_owned(), Doc::map(keys));
    }
    channels
}

/// Returns what a platform is logged in to with.
fn settings(unit: &AgentUnit, account: &Account<'_>, secrets: &mut Secrets) -> Doc {
    let mut token = |at: usize| {
        let name = account.platform.tokens().get(at).copied().unwrap_or_default();
        unit::secret(unit, name).map_or(Doc::Null, |secret| secrets.add(secret))
    };
    let id = || account.identity.id.clone().map_or(Doc::Null, Doc::Str);
    match account.platform.name() {
        "dingtalk" => Doc::map([("client_id", id()), ("client_secret", token(0))]),
        "feishu" | "qq" => Doc::map([("app_id", id()), ("app_secret", token(0))]),
        "matrix" => {
            // Its home server is the one its id names.
            let server = account.identity.id.as_deref().and_then(|id| id.split_once(':'));
            let server = server.map_or(Doc::Null, |(_, server)| Doc::Str(format!("https://{server}")));
            Doc::map([
                ("access_token", token(0)),
                ("homeserver", server),
                ("join_on_invite", Doc::Bool(false)),
                ("user_id", id()),
            ])
        }
        "slack" => Doc::map([("app_token", token(1)), ("bot_token", token(0))]),
        "wecom" => Doc::map([("bot_id", id()), ("secret", token(0))]),
        _ => Doc::map([("token", token(0))]),
    }
}
