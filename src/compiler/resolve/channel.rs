//! Whom an agent hears: the rules of its channel surfaces over what its accounts declare. Without either nobody is heard.

use std::collections::{BTreeMap, BTreeSet};

use claw_compose::model::Service;
use claw_types::agent::{ChannelPolicy, DirectPolicy, GuildPolicy, Hears};
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::id::SecretName;
use claw_types::platform::{PLATFORMS, Platform};
use claw_types::roster::{Guild, Identity};
use claw_types::span::Span;

use super::{Row, SecretSource, Shared};
use crate::facts::{Facts, Need, TokenPlace};
use crate::pod::{AgentBlock, ChannelRules, DirectRules, GuildRules, Text};

/// The rules of a channel surface, and where they stand.
pub(crate) struct Rules<'r> {
    pub(crate) rules: &'r ChannelRules,
    pub(crate) at: Span,
}

/// Where a service's token of a platform is.
enum Token {
    /// In the pod file itself.
    Written(String),
    /// With the engine.
    At(TokenPlace),
}

/// Returns where a service's token of a platform is, as far as its environment tells.
fn token(
    service: &Service,
    platform: Platform,
    sources: &BTreeMap<SecretName, SecretSource>,
    facts: &Facts,
) -> Option<Token> {
    let name = platform.tokens().first()?;
    if let Some(value) = service.environment.get(*name) {
        let variable = match &value.0 {
            None => (*name).to_owned(),
            Some(template) => match (template.as_literal(), template.as_variable()) {
                (Some(text), _) => return Some(Token::Written(text.to_owned())),
                (None, Some(variable)) => variable.name.clone(),
                (None, None) => return None,
            },
        };
        let source = SecretName::parse(&variable).ok().and_then(|name| sources.get(&name));
        return Some(Token::At(match source {
            None => TokenPlace::Variable(variable),
            Some(SecretSource::Env(variable)) => TokenPlace::Variable(variable.to_string()),
            Some(SecretSource::File(path)) => TokenPlace::File(path.clone()),
            Some(SecretSource::Command(_)) => return None,
        }));
    }
    let files = service.env_file.iter().rev().map(|file| &file.path);
    let holds = |path: &&String| {
        let variables = facts.env_files.get(*path).and_then(Option::as_ref);
        variables.is_some_and(|variables| variables.contains_key(*name))
    };
    files.into_iter().find(holds).map(|path| Token::At(TokenPlace::EnvFile(path.clone(), (*name).to_owned())))
}

/// Returns what must be known to tell whose the tokens of a service are.
pub(crate) fn needs(service: &Service, sources: &BTreeMap<SecretName, SecretSource>, facts: &Facts) -> BTreeSet<Need> {
    let platforms = PLATFORMS.iter().filter_map(|facts| Platform::parse(facts.name));
    let tokens = platforms.filter(|platform| platform.tells_account()).filter_map(|platform| {
        match token(service, platform, sources, facts)? {
            Token::At(place) => Some(Need::Account(platform, place)),
            Token::Written(_) => None,
        }
    });
    tokens.collect()
}

/// Returns the services whose bots a service's channels hear by name.
pub(crate) fn named(block: &AgentBlock) -> impl Iterator<Item = &str> {
    let rules = block.surfaces.iter().filter_map(|surface| surface.rules.as_ref());
    rules.flat_map(|rules| &rules.allow_from_services.0).map(|name| name.value.as_str())
}

/// Returns the id of the account that a service's token of a platform belongs to, where that can be told.
pub(crate) fn account(
    service: &Service,
    platform: Platform,
    sources: &BTreeMap<SecretName, SecretSource>,
    facts: &Facts,
) -> Option<String> {
    match token(service, platform, sources, facts)? {
        Token::Written(text) => platform.account(&text),
        Token::At(place) => facts.accounts.get(&(platform, place)).cloned().flatten(),
    }
}

/// Returns whom an agent hears, for each platform it has an account or a channel surface on.
pub(crate) fn policies(
    row: &Row<'_>,
    rules: &BTreeMap<Platform, Rules<'_>>,
    shared: &Shared<'_>,
    facts: &Facts,
    diag: &mut Diagnostics,
) -> BTreeMap<Platform, ChannelPolicy> {
    let none = BTreeMap::new();
    let identities = shared.roster.identities.get(&row.service).unwrap_or(&none);
    let platforms: BTreeSet<Platform> = identities.keys().chain(rules.keys()).copied().collect();
    let unnamed = Identity { id: None, username: None, guilds: Vec::new() };
    let policy = |platform: &Platform| {
        let hearing = Hearing {
            service: row.service.as_str(),
            platform: *platform,
            identity: identities.get(platform).unwrap_or(&unnamed),
            peers: peers(row, *platform, shared),
            at: rules.get(platform).map_or(row.at, |rules| rules.at),
        };
        (*platform, hearing.policy(rules.get(platform).map(|rules| rules.rules), shared, facts, diag))
    };
    platforms.iter().map(policy).collect()
}

/// The ids of the other accounts of the pod on a platform.
fn peers(row: &Row<'_>, platform: Platform, shared: &Shared<'_>) -> Vec<String> {
    let own = shared.roster.identities.get(&row.service).and_then(|own| own.get(&platform)?.id.clone());
    let others = shared.roster.peers(&row.service).filter_map(|(_, identities)| identities.get(&platform)?.id.clone());
    let others: BTreeSet<String> = others.filter(|id| Some(id) != own.as_ref()).collect();
    others.into_iter().collect()
}

/// One platform of one agent, while its rules are read.
struct Hearing<'h> {
    service: &'h str,
    platform: Platform,
    identity: &'h Identity,
    peers: Vec<String>,
    at: Span,
}

impl Hearing<'_> {
    fn policy(
        &self,
        rules: Option<&ChannelRules>,
        shared: &Shared<'_>,
        facts: &Facts,
        diag: &mut Diagnostics,
    ) -> ChannelPolicy {
        let mut also = Vec::new();
        if let Some(rules) = rules {
            if rules.allow_from_handles == Some(true) {
                also.extend(self.peers.iter().cloned());
            }
            also.extend(self.bots(rules, shared, facts, diag));
        }
        let none = GuildRules::default();
        let declared = self.identity.guilds.iter().map(|guild| guild.id.as_str());
        let ruled = rules.into_iter().flat_map(|rules| rules.guilds.keys().map(String::as_str));
        let ids: BTreeSet<&str> = declared.chain(ruled).collect();
        let at = rules.and_then(|rules| rules.origin.span).unwrap_or(self.at);
        let is_id = |id: &&str| super::identity::checked(id, at, diag).is_some();
        let ids: Vec<&str> = ids.into_iter().filter(is_id).collect();
        let guilds = ids.into_iter().map(|id| {
            let own = rules.and_then(|rules| rules.guilds.get(id)).unwrap_or(&none);
            (id.to_owned(), self.guild(id, own, &also, diag))
        });
        ChannelPolicy {
            guilds: guilds.collect(),
            direct: rules
                .and_then(|rules| rules.dm.as_ref())
                .map_or(DirectPolicy::Disabled, |dm| self.direct(dm, diag)),
            peers: self.peers.clone(),
        }
    }

    /// The accounts of services that are named for their bots.
    fn bots(&self, rules: &ChannelRules, shared: &Shared<'_>, facts: &Facts, diag: &mut Diagnostics) -> Vec<String> {
        let mut ids = Vec::new();
        for each in &rules.allow_from_services.0 {
            let name = each.value.as_str();
            let Some(service) = shared.project.services.get(name) else {
                let error = Diagnostic::error(Code::UnknownService, each.span, format!("no service named `{name}`"));
                let error = error.help("name a service of this file");
                diag.push(error.suggest(name, shared.everyone.iter().copied()));
                continue;
            };
            let declared = shared.roster.identities.iter().find(|(service, _)| service.as_str() == name);
            let declared = declared.and_then(|(_, identities)| identities.get(&self.platform)?.id.clone());
            let found = declared.or_else(|| account(service, self.platform, shared.sources, facts));
            if found.is_none() {
                let platform = self.platform;
                let message = format!("nothing tells the id of the bot of `{name}` on `{platform}`");
                let warning = Diagnostic::warning(Code::Discouraged, each.span, message);
                let token = platform.tokens().first().copied().unwrap_or("its token");
                diag.push(if platform.tells_account() {
                    warning
                        .help(format!("give `{name}` its `{token}`, or add the bot's id to the `users` of the guild"))
                } else {
                    warning.help("add the bot's id to the `users` of the guild")
                });
            }
            ids.extend(found);
        }
        ids
    }

    fn guild(&self, id: &str, rules: &GuildRules, also: &[String], diag: &mut Diagnostics) -> GuildPolicy {
        let known = self.identity.guilds.iter().find(|guild| guild.id == id);
        let channels = known.map(|guild| guild.channels.clone()).unwrap_or_default();
        let mut users = self.listed(&rules.users, "policy: open", rules.origin.of("users", self.at), diag);
        users.extend(also.iter().cloned());
        let at = rules.origin.of("policy", self.at);
        self.odd(id, rules, known, diag);
        let hears = match rules.policy.as_deref() {
            Some("open") => Hears::Everyone,
            Some("disabled") => Hears::Nobody,
            Some("allowlist") => self.only(users),
            None if !users.is_empty() => self.only(users),
            None if !channels.is_empty() => Hears::Everyone,
            None => Hears::Nobody,
            Some(other) => {
                let words = ["allowlist", "open", "disabled"];
                let error = Diagnostic::error(Code::BadValue, at, format!("`{other}` is not a policy of a guild"));
                // A word that says who may speak is not guessed.
                let error = error.help(format!("write `{}`", words.join("`, `"))).suggest(other, words);
                diag.push(error.by_hand());
                return GuildPolicy::default();
            }
        };
        if hears == Hears::Nobody && rules.policy.as_deref() != Some("disabled") {
            let message = format!(
                "`{}` hears nobody in the guild `{id}` of `{}`: no channel is named, and no user",
                self.service, self.platform
            );
            let place = rules.origin.span.unwrap_or(self.at);
            let warning = Diagnostic::warning(Code::Discouraged, place, message);
            diag.push(warning.help("name its channels in `handles`, or its `users` in the channel surface"));
        }
        GuildPolicy { hears, require_mention: rules.require_mention.unwrap_or(true), channels }
    }

    /// Returns ids of people as they are listed. A word that runtimes take for everyone is none: that has a policy.
    fn listed(&self, texts: &[Text], everyone: &str, at: Span, diag: &mut Diagnostics) -> Vec<String> {
        let mut ids = Vec::new();
        for text in texts {
            if text.0 == "*" {
                let error = Diagnostic::error(Code::BadValue, at, "`*` is no id: a list names people");
                diag.push(error.help(format!("write `{everyone}`, if everyone is meant")));
                continue;
            }
            ids.extend(super::identity::checked(&text.0, at, diag));
        }
        ids
    }

    /// Records rules that do less or more than they seem to.
    fn odd(&self, id: &str, rules: &GuildRules, known: Option<&Guild>, diag: &mut Diagnostics) {
        let place = rules.origin.span.unwrap_or(self.at);
        if known.is_none() {
            let message = format!("`{}` has rules for the guild `{id}`, which is not in its `handles`", self.service);
            let warning = Diagnostic::warning(Code::Discouraged, place, message);
            let known = self.identity.guilds.iter().map(|guild| guild.id.as_str());
            diag.push(warning.help("name it there too, with the channels it may speak in").suggest(id, known));
        }
        if matches!(rules.policy.as_deref(), Some("open" | "disabled")) && !rules.users.is_empty() {
            let message = format!("the `users` of the guild `{id}` mean nothing beside its policy");
            let warning = Diagnostic::warning(Code::Discouraged, rules.origin.of("users", place), message);
            diag.push(warning.help("take them out, or write `policy: allowlist`"));
        }
    }

    /// A list of users has the agent's peers in it: bots of one pod may address each other.
    fn only(&self, users: Vec<String>) -> Hears {
        let all: BTreeSet<String> = users.into_iter().chain(self.peers.iter().cloned()).collect();
        if all.is_empty() { Hears::Nobody } else { Hears::Only(all.into_iter().collect()) }
    }

    fn direct(&self, rules: &DirectRules, diag: &mut Diagnostics) -> DirectPolicy {
        let at = rules.origin.of("policy", self.at);
        let allowed = self.listed(&rules.allow_from, "policy: open", rules.origin.of("allow_from", self.at), diag);
        let allowed: Vec<String> = allowed.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        let policy = match rules.policy.as_deref() {
            Some("disabled") => DirectPolicy::Disabled,
            Some("open") => {
                let message = format!("everyone may write to `{}` directly on `{}`", self.service, self.platform);
                let warning = Diagnostic::warning(Code::Discouraged, at, message);
                diag.push(
                    warning.help("name who may in `allow_from`, or let an operator decide with `policy: pairing`"),
                );
                DirectPolicy::Open
            }
            Some("allowlist") => DirectPolicy::Only(allowed),
            Some("pairing") => DirectPolicy::Pairing(allowed),
            None if !allowed.is_empty() => DirectPolicy::Only(allowed),
            None => DirectPolicy::Pairing(allowed),
            Some(other) => {
                let words = ["pairing", "allowlist", "open", "disabled"];
                let error = Diagnostic::error(Code::BadValue, at, format!("`{other}` is not a policy"));
                let error = error.help(format!("write `{}`", words.join("`, `"))).suggest(other, words);
                diag.push(error.by_hand());
                DirectPolicy::Disabled
            }
        };
        if rules.enabled == Some(false) {
            return DirectPolicy::Disabled;
        }
        match policy {
            DirectPolicy::Only(ids) if ids.is_empty() => {
                let message = format!("nobody may write to it directly on `{}`", self.platform);
                let warning = Diagnostic::warning(Code::Discouraged, at, message);
                diag.push(warning.help("name who may in `allow_from`, or write `policy: disabled`"));
                DirectPolicy::Disabled
            }
            policy => policy,
        }
    }
}
