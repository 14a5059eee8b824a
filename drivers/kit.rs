//! What several drivers need and no runtime owns: files and variables of a driver, one list of people for a whole platform,
//! and a table of settings.

use std::collections::BTreeMap;

use claw_types::agent::{AgentUnit, ChannelPolicy, DirectPolicy, EnvValue, Hears, ModelRef, Setting, Surface};
use claw_types::diag::{Code, Diagnostic, Diagnostics, Reported};
use claw_types::doc::{Content, Doc};
use claw_types::files::{FileSpec, FileTree};
use claw_types::id::EnvName;
use claw_types::path::{ContainerPath, PodPath};
use claw_types::platform::Platform;
use claw_types::roster::Identity;
use claw_types::secret::SecretRef;

/// The provider's name that stands for the pod's proxy: a private one, so that nothing else of a runtime claims its key.
pub(crate) const PROXY: &str = "cllama";

/// Returns a command of these words.
pub(crate) fn program(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Returns variables of known text.
pub(crate) fn texts(texts: &[(&str, &str)]) -> BTreeMap<EnvName, EnvValue> {
    let named = texts.iter().filter_map(|(name, value)| EnvName::parse(name).ok().map(|name| (name, *value)));
    named.map(|(name, value)| (name, EnvValue::Literal(value.to_owned()))).collect()
}

/// Adds a file below the unit's directory; what is taken already is recorded.
pub(crate) fn add(files: &mut FileTree, path: &str, content: Content, unit: &AgentUnit, diag: &mut Diagnostics) {
    let added = PodPath::parse(path).ok().map(|path| files.insert(path, FileSpec::managed(content)));
    if !matches!(added, Some(Ok(()))) {
        diag.push(taken(path, unit));
    }
}

fn taken(what: &str, unit: &AgentUnit) -> Diagnostic {
    Diagnostic::error(Code::NameCollision, unit.origin, format!("`{what}` is taken")).help("give the file another name")
}

/// Returns a path in a container.
///
/// # Errors
/// Where the text is no path; that is recorded.
pub(crate) fn path(text: &str, unit: &AgentUnit, diag: &mut Diagnostics) -> Result<ContainerPath, Reported> {
    ContainerPath::parse(text).map_err(|_| diag.report(taken(text, unit)))
}

/// Returns a path below the unit's directory.
///
/// # Errors
/// Where the text is no path; that is recorded.
pub(crate) fn source(text: &str, unit: &AgentUnit, diag: &mut Diagnostics) -> Result<PodPath, Reported> {
    PodPath::parse(text).map_err(|_| diag.report(taken(text, unit)))
}

/// Returns the models of a slot, in order.
pub(crate) fn of_slot<'u>(unit: &'u AgentUnit, slot: &str) -> impl Iterator<Item = &'u ModelRef> {
    unit.models.iter().filter(move |(name, _)| name.as_str() == slot).flat_map(|(_, models)| models)
}

/// Records that an agent has no primary model.
pub(crate) fn primary(unit: &AgentUnit, diag: &mut Diagnostics) {
    if of_slot(unit, "primary").next().is_none() {
        let message = format!("`{}` has no model in the slot `primary`", unit.service);
        let error = Diagnostic::error(Code::RuntimeCannot, unit.origin, message);
        let help = "add `MODEL primary <provider>/<model>` to its Clawfile, or `models: {primary: …}` to its `x-claw`";
        diag.push(error.help(help));
    }
}

/// Returns the URLs of the MCP servers that the services of its surfaces are, by service.
pub(crate) fn servers(unit: &AgentUnit) -> impl Iterator<Item = (String, &str)> {
    unit.surfaces.iter().filter_map(|surface| match surface {
        Surface::Service { service, mcp: Some(url), .. } => Some((service.to_string(), url.as_str())),
        _ => None,
    })
}

/// Returns the secret that a variable of the unit's environment is.
pub(crate) fn secret(unit: &AgentUnit, name: &str) -> Option<SecretRef> {
    unit.env.iter().find(|(own, _)| own.as_ref() == name).and_then(|(_, value)| match value {
        EnvValue::Secret(secret) => Some(secret.clone()),
        _ => None,
    })
}

/// An account that an agent speaks with: it has every token of the platform.
pub(crate) struct Account<'u> {
    pub(crate) platform: Platform,
    pub(crate) identity: &'u Identity,
    pub(crate) policy: &'u ChannelPolicy,
}

/// Returns the accounts that an agent speaks with, of the platforms that its runtime has.
pub(crate) fn spoken<'u>(unit: &'u AgentUnit, platforms: &'u [&str]) -> impl Iterator<Item = Account<'u>> {
    unit.channels.iter().filter_map(move |(platform, policy)| {
        let identity = unit.identities.get(platform).filter(|_| platforms.contains(&platform.name()))?;
        let has = |token: &&str| unit.env.keys().any(|name| name.as_ref() == *token);
        let is_told = !platform.tokens().is_empty() && platform.tokens().iter().all(has);
        is_told.then_some(Account { platform: *platform, identity, policy })
    })
}

/// Who is heard on a whole platform by a runtime that has one list of people there.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct People {
    /// Their ids, in order, each once.
    pub(crate) ids: Vec<String>,
    /// Groups are read only where the agent is mentioned.
    pub(crate) is_mention_only: bool,
}

/// Returns who is heard on a platform in all its groups and directly.
pub(crate) fn people(policy: &ChannelPolicy) -> People {
    let mut ids = Vec::new();
    let direct = match &policy.direct {
        DirectPolicy::Only(ids) | DirectPolicy::Pairing(ids) => ids.as_slice(),
        DirectPolicy::Disabled | DirectPolicy::Open => &[],
    };
    let groups = policy.guilds.values().filter_map(|guild| match &guild.hears {
        Hears::Only(ids) => Some(ids.as_slice()),
        Hears::Everyone | Hears::Nobody => None,
    });
    for id in groups.flatten().chain(direct) {
        if !ids.contains(id) {
            ids.push(id.clone());
        }
    }
    let mut open = policy.guilds.values().filter(|guild| guild.hears != Hears::Nobody);
    // A message that mentions the agent is never one too many: the strictest rule of all groups holds in each.
    let is_mention_only = open.clone().next().is_none() || open.any(|guild| guild.require_mention);
    People { ids, is_mention_only }
}

/// What an empty list of people means to a runtime.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Empty {
    /// Everyone is heard.
    Everyone,
    /// Nobody is.
    Nobody,
}

/// Records rules that a runtime with one list of people for a platform cannot keep: lists that differ, everyone, and nobody where
/// an empty list would be everyone. What it does hear beyond the pod's rules is a warning.
pub(crate) fn one_list(runtime: &str, empty: Empty, unit: &AgentUnit, account: &Account<'_>, diag: &mut Diagnostics) {
    let Account { platform, policy, .. } = account;
    let mut refuse = |message: String, help: String| {
        diag.push(Diagnostic::error(Code::RuntimeCannot, unit.origin, message).help(help));
    };
    let open: Vec<&Hears> =
        policy.guilds.values().map(|guild| &guild.hears).filter(|hears| **hears != Hears::Nobody).collect();
    if open.contains(&&Hears::Everyone) || policy.direct == DirectPolicy::Open {
        let message = format!(
            "`{}` hears everyone on `{platform}`, and `{runtime}` would hear them in every group and directly",
            unit.service
        );
        return refuse(message, "name its `users`, and give `dm` a list too: the surface of the channel".to_owned());
    }
    if people(policy).ids.is_empty() && empty == Empty::Everyone {
        let message = format!(
            "`{}` hears nobody on `{platform}`, and `{runtime}` takes an empty list for everyone",
            unit.service
        );
        let help = format!(
            "name who is heard: `surfaces: [{{channel://{platform}: {{guilds: {{\"<id>\": {{policy: allowlist, users: [\"<id>\"]}}}}}}}}]`"
        );
        return refuse(message, help);
    }
    if open.windows(2).any(|pair| pair[0] != pair[1]) {
        let message = format!("`{runtime}` has one list of people for all groups of `{platform}`, and these differ");
        return refuse(message, "name the same `users` for each of its `guilds`".to_owned());
    }
    let directly: &[String] = match &policy.direct {
        DirectPolicy::Only(ids) | DirectPolicy::Pairing(ids) => ids,
        DirectPolicy::Disabled | DirectPolicy::Open => &[],
    };
    let in_groups: &[String] = open.first().map_or(&[], |hears| match hears {
        Hears::Only(ids) => ids,
        Hears::Everyone | Hears::Nobody => &[],
    });
    if !open.is_empty() && directly.iter().any(|id| !in_groups.contains(id)) {
        let message =
            format!("who writes to `{}` directly on `{platform}` would be heard in its groups too", unit.service);
        return refuse(
            message,
            format!("`{runtime}` has one list of people there: name them among the `users` of its `guilds`"),
        );
    }
    let mut warn = |message: String, help: &str| {
        diag.push(Diagnostic::warning(Code::RuntimeCannot, unit.origin, message).help(help));
    };
    // A bot does not write to another one directly.
    if in_groups.iter().any(|id| !directly.contains(id) && !policy.peers.contains(id)) {
        let message =
            format!("who is heard in the groups of `{platform}` can write to `{}` directly too", unit.service);
        warn(message, "its runtime has one list of people there; write the same list below `dm`, if that is meant");
    }
    if matches!(policy.direct, DirectPolicy::Pairing(_)) {
        let message = format!("`{runtime}` lets nobody in later on `{platform}`");
        warn(message, "who may write directly stands in the pod: `dm: {policy: allowlist, allow_from: [\"<id>\"]}`");
    }
}

/// Records that bots of the pod could answer each other without an end: one is on the list, and no mention is needed.
pub(crate) fn bots(runtime: &str, unit: &AgentUnit, account: &Account<'_>, diag: &mut Diagnostics) {
    let Account { platform, policy, .. } = account;
    if hears_bots(policy) && !people(policy).is_mention_only {
        let message = format!("`{}` answers every message of other bots of the pod on `{platform}`", unit.service);
        let warning = Diagnostic::warning(Code::RuntimeCannot, unit.origin, message);
        let help = format!("`{runtime}` has no brake for bots that answer each other: write `require_mention: true`");
        diag.push(warning.help(help));
    }
}

/// Returns whether a bot of the pod is on the list.
pub(crate) fn hears_bots(policy: &ChannelPolicy) -> bool {
    let heard = people(policy).ids;
    policy.peers.iter().any(|peer| heard.contains(peer))
}

/// What a setting takes.
#[derive(Clone, Copy)]
pub(crate) enum Takes {
    /// `true` or `false`.
    Flag,
    /// A whole number, both ends among them.
    Whole(i64, i64),
    /// A number, both ends among them.
    Number(f64, f64),
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of texts.
    Texts,
}

impl Takes {
    fn fits(self, value: &Doc) -> bool {
        match (self, value) {
            (Takes::Flag, Doc::Bool(_)) => true,
            (Takes::Whole(least, most), Doc::Number(text)) => {
                text.parse().is_ok_and(|number: i64| (least..=most).contains(&number))
            }
            (Takes::Number(least, most), Doc::Number(text)) => {
                text.parse().is_ok_and(|number: f64| (least..=most).contains(&number))
            }
            (Takes::Word(words), Doc::Str(text)) => words.contains(&text.as_str()),
            (Takes::Texts, Doc::List(items)) => items.iter().all(|item| matches!(item, Doc::Str(_))),
            _ => false,
        }
    }

    fn said(self) -> String {
        match self {
            Takes::Flag => "`true` or `false`".to_owned(),
            Takes::Whole(least, most) => format!("a whole number from {least} to {most}"),
            Takes::Number(least, most) => format!("a number from {least} to {most}"),
            Takes::Word(words) => format!("one of `{}`", words.join("`, `")),
            Takes::Texts => "a list of texts".to_owned(),
        }
    }
}

/// Records settings that are not in a runtime's table, or do not fit it. What is not in the table is claw's to decide.
pub(crate) fn settings(runtime: &str, table: &[(&str, Takes)], unit: &AgentUnit, diag: &mut Diagnostics) {
    for setting in &unit.settings {
        let path = setting.path.value.as_str();
        let error = |message: String| Diagnostic::error(Code::BadSetting, setting.path.span, message);
        match table.iter().find(|(name, _)| *name == path) {
            None => {
                let known = table.iter().map(|(name, _)| *name);
                let error = error(format!("`{path}` of `{runtime}` cannot be set"));
                let help = format!(
                    "it is claw's to decide, or unknown; what can be set stands in `drivers/{runtime}/README.md`"
                );
                // What was written may be a secret.
                diag.push(error.help(help).suggest(path, known).masked());
            }
            Some((_, takes)) if !takes.fits(&setting.value) => {
                diag.push(
                    error(format!("`{path}` does not fit `{runtime}`")).help(format!("it takes {}", takes.said())),
                );
            }
            Some(_) => {}
        }
    }
}

/// Puts settings that were checked into a configuration, in the order written.
pub(crate) fn apply(settings: &[Setting], config: &mut Doc) {
    for setting in settings {
        // Every path of a table has parts that are not empty.
        let _ = config.set_path(&setting.path.value, setting.value.clone());
    }
}

/// Returns the last JSON object that begins a line; whatever else was printed is noise.
pub(crate) fn answer(text: &str) -> Option<serde_json::Value> {
    let objects = text.lines().rev().map(str::trim).filter(|line| line.starts_with('{'));
    let mut objects = objects.filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let whole = serde_json::from_str::<serde_json::Value>(text.trim()).ok().filter(serde_json::Value::is_object);
    whole.or_else(|| objects.next())
}

/// One line, and not a long one.
pub(crate) fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(160).collect()
}

#[cfg(test)]
mod tests {
    use claw_types::agent::GuildPolicy;

    use super::*;

    fn guild(hears: Hears, require_mention: bool) -> (String, GuildPolicy) {
        ("1".to_owned(), GuildPolicy { hears, require_mention, channels: Vec::new() })
    }

    #[test]
    fn one_list_holds_everybody_named_once_and_the_strictest_rule() {
        let only = |ids: &[&str]| Hears::Only(ids.iter().map(|id| (*id).to_owned()).collect());
        let mut policy = ChannelPolicy::default();
        assert_eq!(people(&policy), People { ids: Vec::new(), is_mention_only: true });
        policy.guilds.extend([guild(only(&["7", "8"]), false)]);
        policy.direct = DirectPolicy::Only(vec!["8".to_owned(), "9".to_owned()]);
        let ids = ["7", "8", "9"].map(str::to_owned).to_vec();
        assert_eq!(people(&policy), People { ids, is_mention_only: false });
    }

    #[test]
    fn a_setting_fits_what_it_takes() {
        assert!(Takes::Whole(1, 9).fits(&Doc::int(9)) && !Takes::Whole(1, 9).fits(&Doc::int(10)));
        assert!(Takes::Number(0.0, 1.0).fits(&Doc::Number("0.5".into())));
        assert!(Takes::Word(&["a"]).fits(&Doc::str("a")) && !Takes::Word(&["a"]).fits(&Doc::str("b")));
        assert!(!Takes::Flag.fits(&Doc::str("true")) && Takes::Texts.fits(&Doc::strs(["x"])));
    }

    #[test]
    fn an_answer_is_found_in_noise() {
        assert_eq!(answer("x\n{\"a\":1}\nnoise {\n").map(|value| value["a"] == 1), Some(true));
        assert_eq!(answer("fine?"), None);
    }
}
