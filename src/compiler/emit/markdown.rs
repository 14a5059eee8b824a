//! The documents an agent reads: its effective contract, CLAWDAPUS.md and its skills.
//!
//! Deterministic: sections in the order of the contract, everything else in the order of its name. Text from files and
//! images is put between marks and cannot close them: a line of it that looks like a mark gets a backslash before it, which
//! Markdown does not show. User text inside a line of claw's own (names, messages, descriptions) stays on that line.

use std::fmt::Write;

use claw_types::agent::{AgentUnit, Budget, Inference, ModelPolicy, Skill, Surface};
use claw_types::doc::{is_break, line};
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
    let id = line(id);
    let _ = writeln!(out, "--- BEGIN: {id} ({mode}) ---");
    for line in text.lines() {
        let mut rest = line;
        while let Some(at) = rest.find(is_break) {
            let next = at + rest[at..].chars().next().map_or(1, char::len_utf8);
            unmarked(out, &rest[..next]);
            rest = &rest[next..];
        }
        unmarked(out, rest);
        out.push('\n');
    }
    let _ = writeln!(out, "--- END: {id} ({mode}) ---\n");
}

/// Appends a line of somebody's text, a backslash before it where it could be read as a mark.
fn unmarked(out: &mut String, line: &str) {
    let is_invisible = |each: char| {
        each.is_whitespace() || each.is_control() || matches!(each, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
    };
    let shown = line.trim_start_matches(is_invisible);
    let word = shown.trim_start_matches('-').trim_start().to_ascii_uppercase();
    let is_mark = shown.starts_with("---") && (word.starts_with("BEGIN") || word.starts_with("END"));
    out.push_str(&line[..line.len() - shown.len()]);
    out.push_str(if is_mark { "\\" } else { "" });
    out.push_str(shown);
}

/// Returns CLAWDAPUS.md: the infrastructure's letter to the agent.
pub fn letter(unit: &AgentUnit) -> String {
    let mut out = String::from("# CLAWDAPUS.md\n\nWhat this container is, what it may use, and who else is here.\n");
    identity(&mut out, unit);
    surfaces(&mut out, unit);
    models(&mut out, unit);
    limits(&mut out, unit);
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
        let _ = writeln!(out, "- Time zone: {}", line(timezone));
    }
    if let Some(persona) = &unit.persona {
        let _ = writeln!(out, "- Persona: `{}`", line(persona));
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
                writeln!(out, "- Host path `{}`: {}, at the same path", line(path.as_str()), access.name())
            }
            Surface::Service { service, ports, mcp } => {
                let ports = ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                let ports = if ports.is_empty() { "ports not declared".to_owned() } else { format!("ports {ports}") };
                let mcp = mcp.as_ref().map(|path| format!(", MCP at `{}`", line(path))).unwrap_or_default();
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
    if unit.models.is_empty() {
        return;
    }
    heading(out, "Models");
    if let Inference::Proxied { endpoint, .. } = &unit.inference {
        let _ = writeln!(out, "All requests go through the pod's LLM proxy at `{endpoint}`.\n");
    }
    for (slot, models) in &unit.models {
        let names = models.iter().map(|model| format!("`{}`", line(&model.to_string()))).collect::<Vec<_>>();
        let _ = writeln!(out, "- {slot}: {}", names.join(", "));
    }
    if unit.model_policy == ModelPolicy::Refuse {
        out.push_str("- A model that stands in no slot is refused.\n");
    }
}

fn limits(out: &mut String, unit: &AgentUnit) {
    if unit.budgets.is_empty() && unit.brakes.is_none() {
        return;
    }
    heading(out, "Limits");
    for budget in &unit.budgets {
        let _ = writeln!(out, "- Budget: {}", spending(budget));
    }
    let Some(brakes) = &unit.brakes else { return };
    let action = if brakes.is_stop { "you are stopped" } else { "the operator is warned" };
    if let Some(repeat) = brakes.repeat {
        let _ = writeln!(out, "- Brake: at the same request {repeat} times, {action}");
    }
    if let Some(idle) = brakes.idle {
        let _ = writeln!(out, "- Brake: after {idle} turns without effect, {action}");
    }
}

fn spending(budget: &Budget) -> String {
    let limits = [
        budget.usd.as_ref().map(|usd| format!("{} USD", line(usd))),
        budget.tokens.map(|tokens| format!("{tokens} tokens")),
        budget.requests.map(|requests| format!("{requests} requests")),
    ];
    let limits = limits.into_iter().flatten().collect::<Vec<_>>().join(", ");
    format!("{limits} per {}; then {}", budget.window.name(), budget.action.effect())
}

fn accounts(out: &mut String, unit: &AgentUnit) {
    if !unit.identities.is_empty() {
        heading(out, "Handles");
        for (platform, identity) in &unit.identities {
            let _ = writeln!(out, "- {platform}: {}", account(identity));
            for guild in &identity.guilds {
                let name = guild.name.as_deref().map(|name| format!(" ({})", line(name))).unwrap_or_default();
                let _ = writeln!(out, "  - Guild `{}`{name}", line(&guild.id));
                for channel in &guild.channels {
                    let name = channel.name.as_deref().map(|name| format!(" (#{})", line(name))).unwrap_or_default();
                    let _ = writeln!(out, "    - Channel `{}`{name}", line(&channel.id));
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
    let name = identity.username.as_deref().map(|name| format!("@{}", line(name)));
    let id = identity.id.as_deref().map(|id| format!("id `{}`", line(id)));
    let parts: Vec<_> = [name, id].into_iter().flatten().collect();
    if parts.is_empty() { "no id declared".to_owned() } else { parts.join(", ") }
}

fn schedules(out: &mut String, unit: &AgentUnit) {
    if unit.schedules.is_empty() {
        return;
    }
    heading(out, "Schedules");
    for schedule in &unit.schedules {
        let target =
            schedule.target.as_ref().map(|target| format!(" (to {}:{})", target.platform, line(&target.channel)));
        let (cron, message) = (line(&schedule.cron), line(&schedule.message));
        let _ = writeln!(out, "- `{cron}`{}: {message}", target.unwrap_or_default());
    }
}

fn documents(out: &mut String, unit: &AgentUnit) {
    heading(out, "Documents");
    out.push_str("- `/claw/AGENTS.md`: the contract in force, read-only\n- `/claw/CLAWDAPUS.md`: this letter\n");
    for section in &unit.contract.sections {
        let description = section.description.as_deref().map(|text| format!(": {}", line(text))).unwrap_or_default();
        let (id, origin) = (line(&section.id), line(&section.origin));
        let _ = writeln!(out, "- {id} ({}) from `{origin}`{description}", section.mode.name());
    }
    for reference in &unit.contract.references {
        let description = reference.description.as_deref().map(|text| format!(": {}", line(text))).unwrap_or_default();
        let _ = writeln!(out, "- {} (reference), skill `{}`{description}", line(&reference.id), reference.skill);
    }
}

fn skills(out: &mut String, unit: &AgentUnit) {
    heading(out, "Skills");
    if unit.skills.is_empty() {
        out.push_str("None.\n");
    }
    for (name, skill) in &unit.skills {
        let _ = writeln!(out, "- `{name}` ({}): {}", skill.origin.name(), line(&skill.description));
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
