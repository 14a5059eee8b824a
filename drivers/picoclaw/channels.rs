//! Channels: one list of people for each platform. An empty list would be everyone, so nobody is spoken to without one.

use std::collections::BTreeMap;

use claw_types::agent::AgentUnit;
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::doc::Doc;

use super::config::Secrets;
use crate::common::{
    people::{self, Account, Empty},
    unit,
};

/// The platforms of this table: those that call out by themselves, and whose settings an id and a token are. LINE and WeCom's
/// older kinds must be called from outside; OneBot, WhatsApp, MaixCam and Pico need a second program.
pub(super) const PLATFORMS: &[&str] = &["dingtalk", "discord", "feishu", "matrix", "qq", "slack", "telegram", "wecom"];

/// Platforms whose account's id is part of what it logs in with.
const NAMED: &[&str] = &["dingtalk", "feishu", "matrix", "qq", "wecom"];

/// Records rules that picoclaw cannot keep.
pub(super) fn check(unit: &AgentUnit, diag: &mut Diagnostics) {
    for account in people::spoken(unit, PLATFORMS) {
        people::one_list("picoclaw", Empty::Everyone, unit, &account, diag);
        people::bots("picoclaw", unit, &account, diag);
        let platform = account.platform;
        if NAMED.contains(&platform.name()) && account.identity.id.is_none() {
            let message = format!("`{}` has no id on `{platform}`, and picoclaw logs in with it", unit.service);
            let error = Diagnostic::error(Code::RuntimeCannot, unit.origin, message);
            diag.push(error.help(format!("write it into its `handles`: `{platform}: {{id: \"<id>\"}}`")));
        }
    }
}

/// Returns `channel_list`.
pub(super) fn channels(unit: &AgentUnit, secrets: &mut Secrets) -> BTreeMap<String, Doc> {
    let mut channels = BTreeMap::new();
    for account in people::spoken(unit, PLATFORMS) {
        let people = people::people(account.policy);
        let trigger = Doc::map([("mention_only", Doc::Bool(people.is_mention_only))]);
        let keys = [
            ("allow_from", Doc::strs(people.ids)),
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
