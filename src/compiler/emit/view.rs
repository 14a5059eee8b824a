//! What templates see: values of an agent as they are shown, built here and nowhere else.
//!
//! A view borrows the agent's own texts; the template's escape keeps each on its line. Choices are made here, so that templates
//! have nothing but `each` and `if`.

use claw_compose::units::Cpus;
use claw_types::agent::{
    AgentUnit, Budget, ChannelPolicy, DirectPolicy, Hears, Inference, ModelPolicy, ModelRef, Skill, Surface,
};
use claw_types::doc::{json_string, line};
use claw_types::driver::SkillLayout;
use claw_types::id::{ServiceName, SkillName};
use claw_types::persona::PERSONA_VARIABLE;
use claw_types::platform::Platform;
use claw_types::roster::{Guild, Identity};
use serde::Serialize;

use super::markdown::{Peers, skill_path};
use crate::plan::Hardening;

/// Of CLAWDAPUS.md.
#[derive(Serialize)]
pub(super) struct Letter<'u> {
    pod: &'u str,
    service: &'u str,
    agent: &'u str,
    replica: Option<Replica>,
    runtime: &'u str,
    timezone: Option<&'u str>,
    persona: Option<Persona<'u>>,
    surfaces: Surfaces<'u>,
    proxy: Option<Proxy<'u>>,
    models: Vec<Slot<'u>>,
    other_models: Option<&'static str>,
    limits: Limits,
    handles: Vec<Account<'u>>,
    rules: Vec<Rules<'u>>,
    /// Lines that were written once for the whole pod.
    peers: String,
    schedules: Vec<Schedule<'u>>,
    sections: Vec<Document<'u>>,
    references: Vec<Reference<'u>>,
    skills: Vec<Row<'u>>,
}

#[derive(Serialize)]
struct Replica {
    number: u32,
    of: u32,
}

#[derive(Serialize)]
struct Persona<'u> {
    name: &'u str,
    directory: Option<&'u str>,
}

#[derive(Default, Serialize)]
struct Surfaces<'u> {
    volumes: Vec<Volume<'u>>,
    hosts: Vec<Host<'u>>,
    services: Vec<Service<'u>>,
    channels: Vec<Channel>,
}

#[derive(Serialize)]
struct Volume<'u> {
    name: &'u str,
    access: &'static str,
    mount: &'u str,
}

#[derive(Serialize)]
struct Host<'u> {
    path: &'u str,
    access: &'static str,
}

#[derive(Serialize)]
struct Service<'u> {
    name: &'u str,
    ports: &'u [u16],
    mcp: Option<&'u str>,
    skill: Option<String>,
}

#[derive(Serialize)]
struct Channel {
    platform: &'static str,
    skill: Option<String>,
}

#[derive(Serialize)]
struct Proxy<'u> {
    endpoint: &'u str,
    chain: Vec<&'u str>,
}

#[derive(Serialize)]
struct Slot<'u> {
    slot: &'u str,
    names: Vec<String>,
}

#[derive(Serialize)]
struct Limits {
    memory: Option<String>,
    cpus: Option<String>,
    processes: Option<String>,
    budgets: Vec<Spending>,
    brakes: Option<Brakes>,
}

#[derive(Serialize)]
struct Spending {
    limit: String,
    window: &'static str,
    effect: &'static str,
}

#[derive(Serialize)]
struct Brakes {
    repeat: Option<u32>,
    idle: Option<u32>,
    effect: &'static str,
}

/// An account on a platform: one's own, or a peer's.
#[derive(Serialize)]
pub(crate) struct Account<'u> {
    service: &'u str,
    platform: &'static str,
    username: Option<&'u str>,
    id: Option<&'u str>,
    mention: Option<String>,
    skill: Option<String>,
    guilds: Vec<Place<'u>>,
}

#[derive(Serialize)]
struct Place<'u> {
    id: &'u str,
    name: Option<&'u str>,
    channels: Vec<Room<'u>>,
}

#[derive(Serialize)]
struct Room<'u> {
    id: &'u str,
    name: Option<&'u str>,
}

/// Who is heard on a platform.
#[derive(Serialize)]
pub(crate) struct Rules<'u> {
    platform: &'static str,
    guilds: Vec<GuildRules<'u>>,
    direct: &'static str,
    direct_users: String,
    peers: String,
}

#[derive(Serialize)]
struct GuildRules<'u> {
    platform: &'static str,
    id: &'u str,
    name: Option<&'u str>,
    heard: &'static str,
    users: String,
    needs_mention: bool,
}

#[derive(Serialize)]
struct Schedule<'u> {
    id: &'u str,
    cron: &'u str,
    platform: Option<&'static str>,
    channel: Option<&'u str>,
    message: &'u str,
}

#[derive(Serialize)]
struct Document<'u> {
    id: &'u str,
    mode: &'static str,
    origin: &'u str,
    description: Option<&'u str>,
}

#[derive(Serialize)]
struct Reference<'u> {
    id: &'u str,
    skill: &'u str,
    path: String,
    description: Option<&'u str>,
}

#[derive(Serialize)]
struct Row<'u> {
    name: &'u str,
    origin: &'static str,
    path: String,
    description: &'u str,
}

/// Of the contract in force.
#[derive(Serialize)]
pub(super) struct Contract<'u> {
    pub(super) sections: Vec<Section<'u>>,
}

#[derive(Serialize)]
pub(super) struct Section<'u> {
    pub(super) id: &'u str,
    pub(super) mode: &'static str,
    /// Safe: no line of it is a mark.
    pub(super) text: String,
}

/// Of a SKILL.md.
#[derive(Serialize)]
pub(super) struct Manual<'u> {
    name: &'u str,
    /// Safe: a string of JSON.
    description: String,
    keys: Vec<Key>,
    body: &'u str,
}

#[derive(Serialize)]
struct Key {
    /// Safe: a word, or a string of JSON.
    key: String,
    /// Safe: JSON on one line.
    value: String,
}

/// Of the manual of a service that claw writes.
#[derive(Serialize)]
pub(crate) struct ServiceManual<'u> {
    pub(crate) service: &'u str,
    pub(crate) ports: &'u [u16],
    pub(crate) mcp: Option<&'u str>,
    /// The skill of its operations, and that of its tools.
    pub(crate) operations: Option<String>,
    pub(crate) tools: Option<String>,
}

/// Of the manual of a platform.
#[derive(Serialize)]
pub(crate) struct PlatformManual<'u> {
    pub(crate) platform: &'static str,
    pub(crate) account: Option<Account<'u>>,
    pub(crate) rules: Option<Rules<'u>>,
}

/// Returns the name of the skill that tells of a service.
pub(crate) fn service_skill(service: &ServiceName) -> Option<SkillName> {
    skill_name("surface", service.as_str())
}

/// Returns the name of the skill of a service's operations.
pub(crate) fn api_skill(service: &ServiceName) -> Option<SkillName> {
    skill_name("api", service.as_str())
}

/// Returns the name of the skill of a service's MCP tools.
pub(crate) fn tools_skill(service: &ServiceName) -> Option<SkillName> {
    skill_name("tools", service.as_str())
}

/// Returns the name of the skill that tells of a platform.
pub(crate) fn platform_skill(platform: Platform) -> Option<SkillName> {
    skill_name("surface", platform.name())
}

/// Returns the name of the skill that tells an agent who it is on a platform.
pub(crate) fn account_skill(platform: Platform) -> Option<SkillName> {
    skill_name("handle", platform.name())
}

/// Names of services may be longer than those of skills, and have other characters.
fn skill_name(kind: &str, name: &str) -> Option<SkillName> {
    let text: String = format!("{kind}-{name}").chars().take(SkillName::LIMIT).collect();
    SkillName::of(&text).ok()
}

/// Returns the view of the letter.
pub(super) fn letter<'u>(unit: &'u AgentUnit, hardening: &Hardening, layout: SkillLayout, peers: &Peers) -> Letter<'u> {
    let is_many = unit.replica.of > 1;
    let path = |name: &SkillName| container_path(name, layout);
    let handles = unit.identities.iter().map(|(platform, identity)| Account {
        skill: account_skill(*platform).map(|name| container_path(&name, layout)),
        ..account(&unit.service, *platform, identity)
    });
    let sections = unit.contract.sections.iter().map(|section| Document {
        id: &section.id,
        mode: section.mode.name(),
        origin: &section.origin,
        description: section.description.as_deref(),
    });
    let references = unit.contract.references.iter().map(|reference| Reference {
        id: &reference.id,
        skill: reference.skill.as_str(),
        path: path(&reference.skill),
        description: reference.description.as_deref(),
    });
    let skills = unit.skills.iter().map(|(name, skill)| Row {
        name: name.as_str(),
        origin: skill.origin.name(),
        path: path(name),
        description: &skill.description,
    });
    let proxy = match &unit.inference {
        Inference::Proxied { endpoint, chain, .. } => {
            Some(Proxy { endpoint, chain: chain.iter().map(|proxy| proxy.as_str()).collect() })
        }
        Inference::Direct { .. } => None,
    };
    let other_models = match (unit.model_policy, &proxy) {
        (ModelPolicy::Refuse, _) => Some("is refused"),
        (ModelPolicy::Clamp, Some(_)) => Some("becomes the primary one"),
        (ModelPolicy::Clamp, None) => None,
    };
    Letter {
        pod: unit.pod.as_str(),
        service: unit.service.as_str(),
        agent: unit.id.as_str(),
        replica: is_many.then_some(Replica { number: unit.replica.index + 1, of: unit.replica.of }),
        runtime: unit.runtime.as_str(),
        timezone: unit.timezone.as_deref(),
        persona: persona(unit),
        surfaces: surfaces(unit, layout),
        proxy,
        models: models(unit),
        other_models,
        limits: limits(unit, hardening),
        handles: handles.collect(),
        rules: unit.channels.iter().map(|(platform, each)| rules(*platform, each, &unit.identities)).collect(),
        peers: peers.of(&unit.service),
        schedules: schedules(unit),
        sections: sections.collect(),
        references: references.collect(),
        skills: skills.collect(),
    }
}

/// Returns where a skill lies in the container.
fn container_path(name: &SkillName, layout: SkillLayout) -> String {
    format!("/{}", skill_path(name, layout))
}

fn persona(unit: &AgentUnit) -> Option<Persona<'_>> {
    let directory = unit.env.get(PERSONA_VARIABLE).and_then(|value| match value {
        claw_types::agent::EnvValue::Literal(text) => Some(text.as_str()),
        claw_types::agent::EnvValue::Template { value, .. } => Some(value.as_str()),
        claw_types::agent::EnvValue::Secret(_) => None,
    });
    Some(Persona { name: &unit.persona.as_ref()?.name, directory })
}

fn surfaces(unit: &AgentUnit, layout: SkillLayout) -> Surfaces<'_> {
    let path = |name: Option<SkillName>| name.map(|name| container_path(&name, layout));
    let mut surfaces = Surfaces::default();
    for surface in &unit.surfaces {
        match surface {
            Surface::Volume { name, access, mount } => {
                surfaces.volumes.push(Volume { name: name.as_str(), access: access.name(), mount: mount.as_str() });
            }
            Surface::Host { path, access } => {
                surfaces.hosts.push(Host { path: path.as_str(), access: access.name() });
            }
            Surface::Service { service, ports, mcp } => {
                let (name, skill) = (service.as_str(), path(service_skill(service)));
                surfaces.services.push(Service { name, ports, mcp: mcp.as_deref(), skill });
            }
            Surface::Channel { platform } => {
                let skill = path(platform_skill(*platform));
                surfaces.channels.push(Channel { platform: platform.name(), skill });
            }
            // The gate says which hosts are open: they change while an agent runs, and its letter does not.
            Surface::Egress { .. } => {}
        }
    }
    surfaces
}

/// The primary model comes first.
fn models(unit: &AgentUnit) -> Vec<Slot<'_>> {
    let names = |models: &[ModelRef]| models.iter().map(ToString::to_string).collect();
    let slots = unit.models.iter().map(|(slot, models)| Slot { slot: slot.as_str(), names: names(models) });
    let mut slots: Vec<_> = slots.collect();
    slots.sort_by_key(|slot| slot.slot != "primary");
    slots
}

fn limits(unit: &AgentUnit, hardening: &Hardening) -> Limits {
    let brakes = unit.brakes.as_ref().map(|brakes| Brakes {
        repeat: brakes.repeat,
        idle: brakes.idle,
        effect: if brakes.is_stop { "you are stopped" } else { "the operator is warned" },
    });
    Limits {
        memory: Some(hardening.memory).filter(|bytes| *bytes > 0).map(size),
        cpus: Some(hardening.cpus).filter(|cpus| *cpus > 0).map(|cpus| Cpus(cpus).to_string()),
        processes: Some(hardening.pids).filter(|pids| *pids > 0).map(|pids| pids.to_string()),
        budgets: unit.budgets.iter().map(spending).collect(),
        brakes,
    }
}

fn size(bytes: i64) -> String {
    let units = [(1 << 20, "MiB"), (1 << 10, "KiB")];
    let whole = units.iter().find(|(unit, _)| bytes % unit == 0);
    whole.map_or(format!("{bytes} bytes"), |(unit, name)| format!("{} {name}", bytes / unit))
}

fn spending(budget: &Budget) -> Spending {
    let limits = [
        budget.usd.as_ref().map(|usd| format!("{usd} USD")),
        budget.tokens.map(|tokens| format!("{tokens} tokens")),
        budget.requests.map(|requests| format!("{requests} requests")),
    ];
    let limit = limits.into_iter().flatten().collect::<Vec<_>>().join(", ");
    Spending { limit, window: budget.window.name(), effect: budget.action.effect() }
}

/// Returns the view of an account, with where it is a member.
pub(crate) fn account<'u>(service: &'u ServiceName, platform: Platform, identity: &'u Identity) -> Account<'u> {
    let room = |channel: &'u claw_types::roster::Channel| Room { id: &channel.id, name: channel.name.as_deref() };
    let place = |guild: &'u Guild| Place {
        id: &guild.id,
        name: guild.name.as_deref(),
        channels: guild.channels.iter().map(room).collect(),
    };
    let guilds = identity.guilds.iter().map(place).collect();
    Account { guilds, ..peer(service, platform, identity) }
}

/// Returns the view of somebody else's account.
pub(super) fn peer<'u>(service: &'u ServiceName, platform: Platform, identity: &'u Identity) -> Account<'u> {
    Account {
        service: service.as_str(),
        platform: platform.name(),
        username: identity.username.as_deref().map(|name| name.trim_start_matches('@')),
        id: identity.id.as_deref(),
        mention: platform.mention(identity.id.as_deref(), identity.username.as_deref()),
        skill: None,
        guilds: Vec::new(),
    }
}

/// Returns the view of a platform's rules; guilds are called as the account's are.
pub(crate) fn rules<'u>(
    platform: Platform,
    policy: &'u ChannelPolicy,
    identities: &'u std::collections::BTreeMap<Platform, Identity>,
) -> Rules<'u> {
    let known = identities.get(&platform).map_or(&[][..], |identity| &identity.guilds);
    let guilds = policy.guilds.iter().map(|(id, guild)| {
        let (heard, users) = match &guild.hears {
            Hears::Nobody => ("nobody", &[][..]),
            Hears::Everyone => ("everyone", &[][..]),
            Hears::Only(users) => ("users", users.as_slice()),
        };
        let name = known.iter().find(|known| known.id == *id).and_then(|known| known.name.as_deref());
        GuildRules {
            platform: platform.name(),
            id,
            name,
            heard,
            users: ids(users),
            needs_mention: guild.require_mention,
        }
    });
    let (direct, direct_users) = match &policy.direct {
        DirectPolicy::Disabled => ("from nobody", &[][..]),
        DirectPolicy::Open => ("from everyone", &[][..]),
        DirectPolicy::Only(users) => ("from users", users.as_slice()),
        DirectPolicy::Pairing(users) if users.is_empty() => ("from whoever your operator lets in", &[][..]),
        DirectPolicy::Pairing(users) => ("from whoever your operator lets in, and", users.as_slice()),
    };
    let (direct_users, peers) = (ids(direct_users), ids(&policy.peers));
    Rules { platform: platform.name(), guilds: guilds.collect(), direct, direct_users, peers }
}

/// Returns ids as a list in a line, each a piece of it.
fn ids(ids: &[String]) -> String {
    ids.iter().map(|id| format!(" `{}`", line(id))).collect::<Vec<_>>().join(",")
}

fn schedules(unit: &AgentUnit) -> Vec<Schedule<'_>> {
    let rows = unit.schedules.iter().map(|schedule| Schedule {
        id: &schedule.id,
        cron: &schedule.cron,
        platform: schedule.target.as_ref().map(|target| target.platform.name()),
        channel: schedule.target.as_ref().map(|target| target.channel.as_str()),
        message: &schedule.message,
    });
    rows.collect()
}

/// Returns the view of a SKILL.md.
pub(super) fn manual<'u>(name: &'u SkillName, skill: &'u Skill) -> Manual<'u> {
    let is_word = |key: &str| {
        key.starts_with(|first: char| first.is_ascii_alphabetic())
            && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let keys = skill.keys.iter().map(|(key, value)| Key {
        key: if is_word(key) { key.clone() } else { json_string(key) },
        value: value.to_json_line().masked(),
    });
    let description = json_string(&line(&skill.description));
    Manual { name: name.as_str(), description, keys: keys.collect(), body: skill.body.trim() }
}
