//! Accounts that an agent speaks with, and who is heard by a runtime that has one list of people for a whole platform.

use claw_types::agent::{AgentUnit, ChannelPolicy, DirectPolicy, Hears};
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::platform::Platform;
use claw_types::roster::Identity;

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
}
