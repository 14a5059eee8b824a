//! The documents an agent reads: its effective contract, CLAWDAPUS.md and its skills.
//!
//! Deterministic: sections in the order of the contract, everything else in the order of its name. Text from files and
//! images is put between marks and cannot close them: a line of it that looks like a mark is indented.

use std::fmt::Write;

use claw_types::agent::{AgentUnit, Inference, Skill, Surface};
use claw_types::driver::SkillLayout;
use claw_types::id::SkillName;
use claw_types::roster::Identity;

/// Returns the effective contract: every section, then CLAWDAPUS.md, each between its marks.
pub fn contract(unit: &AgentUnit) -> String {
    let mut out = String::new();
    for section in &unit.contract.sections {
        marked(&mut out, &section.id, section.mode.name(), &section.text);
    }
    marked(&mut out, "CLAWDAPUS.md", "guide", &letter(unit));
    out
}

fn marked(out: &mut String, id: &str, mode: &str, text: &str) {
    let _ = writeln!(out, "--- BEGIN: {id} ({mode}) ---");
    for line in text.lines() {
        let is_mark = line.trim_start().starts_with("--- BEGIN:") || line.trim_start().starts_with("--- END:");
        let _ = writeln!(out, "{}{line}", if is_mark { "    " } else { "" });
    }
    let _ = writeln!(out, "--- END: {id} ({mode}) ---\n");
}

/// Returns CLAWDAPUS.md: the infrastructure's letter to the agent.
pub fn letter(unit: &AgentUnit) -> String {
    let mut out = String::from("# CLAWDAPUS.md\n\nWhat this container is, what it may use, and who else is here.\n");
    identity(&mut out, unit);
    surfaces(&mut out, unit);
    models(&mut out, unit);
    accounts(&mut out, unit);
    schedules(&mut out, unit);
    documents(&mut out, unit);
    skills(&mut out, unit);
    out
}

fn heading(out: &mut String, title: &str) {
    let _ = writeln!(out, "\n## {title}\n");
}

fn identity(out: &mut String, unit: &AgentUnit) {
    heading(out, "Identity");
    let _ = writeln!(out, "- Pod: {}", unit.pod);
    let _ = writeln!(out, "- Service: {}", unit.service);
    let _ = writeln!(out, "- Agent: {}", unit.id);
    if unit.replica.of > 1 {
        let _ = writeln!(out, "- Replica: {} of {}", unit.replica.index + 1, unit.replica.of);
    }
    let _ = writeln!(out, "- Runtime: {}", unit.runtime);
    if let Some(timezone) = &unit.timezone {
        let _ = writeln!(out, "- Time zone: {timezone}");
    }
}

fn surfaces(out: &mut String, unit: &AgentUnit) {
    heading(out, "Surfaces");
    if unit.surfaces.is_empty() {
        out.push_str("None.\n");
    }
    for surface in &unit.surfaces {
        let _ = match surface {
            Surface::Volume { name, access, mount } => {
                writeln!(out, "- Volume `{name}`: {}, at `{mount}`", access.name())
            }
            Surface::Host { path, access } => {
                writeln!(out, "- Host path `{path}`: {}, at the same path", access.name())
            }
            Surface::Service { service, ports, mcp } => {
                let ports = ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                let ports = if ports.is_empty() { "ports not declared".to_owned() } else { format!("ports {ports}") };
                let mcp = mcp.as_ref().map(|path| format!(", MCP at `{path}`")).unwrap_or_default();
                writeln!(out, "- Service `{service}`: host name `{service}`, {ports}{mcp}; skill `surface-{service}`")
            }
            Surface::Channel { platform } => writeln!(out, "- Channel: {platform}; skill `surface-{platform}`"),
            Surface::Egress { host, port } => {
                let port = port.map(|port| format!(":{port}")).unwrap_or_default();
                writeln!(out, "- Egress: `{host}{port}`")
            }
        };
    }
}

fn models(out: &mut String, unit: &AgentUnit) {
    if unit.models.is_empty() && unit.budgets.is_empty() {
        return;
    }
    heading(out, "Models");
    if let Inference::Proxied { endpoint, .. } = &unit.inference {
        let _ = writeln!(out, "All requests go through the pod's LLM proxy at `{endpoint}`.\n");
    }
    for (slot, models) in &unit.models {
        let names = models.iter().map(|model| format!("`{model}`")).collect::<Vec<_>>().join(", ");
        let _ = writeln!(out, "- {slot}: {names}");
    }
    for budget in &unit.budgets {
        let limits = [
            budget.usd.as_ref().map(|usd| format!("{usd} USD")),
            budget.tokens.map(|tokens| format!("{tokens} tokens")),
            budget.requests.map(|requests| format!("{requests} requests")),
        ];
        let limits = limits.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let _ = writeln!(out, "- Budget: {limits} per {:?}", budget.window);
    }
}

fn accounts(out: &mut String, unit: &AgentUnit) {
    if !unit.identities.is_empty() {
        heading(out, "Handles");
        for (platform, identity) in &unit.identities {
            let _ = writeln!(out, "- {platform}: {}", account(identity));
            for guild in &identity.guilds {
                let name = guild.name.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
                let _ = writeln!(out, "  - Guild `{}`{name}", guild.id);
                for channel in &guild.channels {
                    let name = channel.name.as_deref().map(|name| format!(" (#{name})")).unwrap_or_default();
                    let _ = writeln!(out, "    - Channel `{}`{name}", channel.id);
                }
            }
        }
    }
    let peers: Vec<_> = unit.roster.peers(&unit.service).collect();
    if peers.is_empty() {
        return;
    }
    heading(out, "Peers");
    for (service, identities) in peers {
        for (platform, identity) in identities {
            let _ = writeln!(out, "- {service} on {platform}: {}", account(identity));
        }
    }
}

fn account(identity: &Identity) -> String {
    let name = identity.username.as_deref().map(|name| format!("@{name}"));
    let id = identity.id.as_deref().map(|id| format!("id `{id}`"));
    let parts: Vec<_> = [name, id].into_iter().flatten().collect();
    if parts.is_empty() { "no id declared".to_owned() } else { parts.join(", ") }
}

fn schedules(out: &mut String, unit: &AgentUnit) {
    if unit.schedules.is_empty() {
        return;
    }
    heading(out, "Schedules");
    for schedule in &unit.schedules {
        let target = schedule.target.as_ref().map(|target| format!(" (to {}:{})", target.platform, target.channel));
        let _ = writeln!(out, "- `{}`{}: {}", schedule.cron, target.unwrap_or_default(), schedule.message);
    }
}

fn documents(out: &mut String, unit: &AgentUnit) {
    heading(out, "Documents");
    out.push_str("- `/claw/AGENTS.md`: the contract in force, read-only\n- `/claw/CLAWDAPUS.md`: this letter\n");
    for section in &unit.contract.sections {
        let description = section.description.as_deref().map(|text| format!(": {text}")).unwrap_or_default();
        let _ = writeln!(out, "- {} ({}) from `{}`{description}", section.id, section.mode.name(), section.origin);
    }
    for reference in &unit.contract.references {
        let description = reference.description.as_deref().map(|text| format!(": {text}")).unwrap_or_default();
        let _ = writeln!(out, "- {} (reference), skill `{}`{description}", reference.id, reference.skill);
    }
}

fn skills(out: &mut String, unit: &AgentUnit) {
    heading(out, "Skills");
    if unit.skills.is_empty() {
        out.push_str("None.\n");
    }
    for (name, skill) in &unit.skills {
        let _ = writeln!(out, "- `{name}` ({}): {}", skill.origin.name(), skill.description);
    }
}

/// Returns a skill as a SKILL.md: front matter with name and description, then its text.
pub fn skill(name: &SkillName, skill: &Skill) -> String {
    let quoted = claw_types::doc::json_string(&skill.description);
    format!("---\nname: {name}\ndescription: {quoted}\n---\n\n{}\n", skill.body.trim())
}

/// Returns where a skill lies below `/claw/skills` in a layout.
pub fn skill_path(name: &SkillName, layout: SkillLayout) -> String {
    match layout {
        SkillLayout::Flat => format!("claw/skills/{name}.md"),
        SkillLayout::Directory => format!("claw/skills/{name}/SKILL.md"),
    }
}
