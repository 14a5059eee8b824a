//! `claw skillmap`: what an agent reads and may use, and where each line of it comes from. Needs what compiling needs, and no more.

use claw_compiler::emit::markdown::skill_path;
use claw_compiler::plan::PlannedUnit;
use claw_compiler::resolve::{Origin, Uses};
use claw_types::agent::{SectionMode, Surface};
use claw_types::driver::SkillLayout;
use claw_types::span::{SourceMap, Span};
use serde_json::{Value, json};

use crate::exit::{CommandError, Exit};
use crate::session::Session;

/// How wide a line is, and where its last column begins.
const WIDTH: usize = 100;
const LAST: usize = 50;
/// How many operations and tools of a service people are shown.
const SHOWN: usize = 40;

pub(crate) fn run(session: &Session<'_>, agents: &[String]) -> Result<Exit, CommandError> {
    let wanted = session.agents(agents)?;
    let mut described: Vec<Value> = Vec::new();
    let mut text = String::new();
    for unit in session.plan.units.values().filter(|unit| wanted.iter().any(|id| id == unit.unit.id.as_str())) {
        // Replicas of an agent differ in their names alone.
        if let Some(first) = described.iter_mut().find(|each| each["service"] == unit.unit.service.as_str()) {
            if let Some(names) = first["agents"].as_array_mut() {
                names.push(json!(unit.unit.id.as_str()));
            }
            continue;
        }
        let layout = session.driver(unit.unit.id.as_str()).map(|driver| driver.facts().skill_layout);
        let map = Map { unit, layout: layout.unwrap_or(SkillLayout::Directory), sources: &session.input.sources };
        described.push(map.data());
        text.push_str(&map.text());
    }
    let data = json!({ "pod": session.plan.pod.as_str(), "agents": described });
    session.result("skillmap", text.trim_end(), data);
    Ok(Exit::Done)
}

/// One agent.
struct Map<'m> {
    unit: &'m PlannedUnit,
    layout: SkillLayout,
    sources: &'m SourceMap,
}

impl Map<'_> {
    /// Returns where something stands: `claw-pod.yml:12`.
    fn place(&self, at: Span) -> String {
        let Some(source) = self.sources.get(at.file) else { return String::new() };
        // A part of the lock has a name of its own, and no lines that anybody sees.
        match source.name.split_once(": ") {
            Some((file, _)) => file.to_owned(),
            None => format!("{}:{}", source.name, self.sources.position(at).line),
        }
    }

    fn source(&self, from: &Origin) -> Value {
        json!({ "by": from.by, "at": self.place(from.at), "file": from.file })
    }

    /// Returns a source as people read it: the file that says it, then what names that.
    fn shown(&self, from: &Origin) -> Vec<String> {
        let place = self.place(from.at);
        let named = if from.by == place { place } else { format!("{}, {place}", from.by) };
        match &from.file {
            Some(file) if *file != from.by => vec![file.clone(), named],
            _ => vec![named],
        }
    }

    fn data(&self) -> Value {
        let unit = &self.unit.unit;
        let trace = &self.unit.trace;
        let sections = unit.contract.sections.iter().zip(&trace.sections).map(|(section, from)| {
            json!({ "id": section.id, "mode": section.mode.name(), "bytes": section.text.len(), "path": "/claw/AGENTS.md", "source": self.source(from) })
        });
        let skills = unit.skills.iter().map(|(name, skill)| {
            let found = trace.skills.get(name).map_or(&[][..], Vec::as_slice);
            let (last, before) = found.split_last().map_or((None, &[][..]), |(last, before)| (Some(last), before));
            let replaced = before.iter().map(
                |each| json!({ "origin": each.origin.name(), "bytes": each.bytes, "source": self.source(&each.from) }),
            );
            json!({
                "name": name.as_str(),
                "origin": skill.origin.name(),
                "description": skill.description,
                "bytes": skill.body.len(),
                "path": format!("/{}", skill_path(name, self.layout)),
                "source": last.map(|found| self.source(&found.from)),
                "replaces": replaced.collect::<Vec<_>>(),
            })
        });
        let surfaces = unit.surfaces.iter().zip(&trace.surfaces).map(|(surface, from)| {
            let mut data = about(surface, trace.services.get(target(surface)));
            data["source"] = self.source(from);
            data
        });
        let models = unit.models.iter().map(|(slot, models)| {
            let names: Vec<String> = models.iter().map(ToString::to_string).collect();
            json!({ "slot": slot.as_str(), "models": names, "source": trace.models.get(slot.as_str()).map(|from| self.source(from)) })
        });
        let schedules = unit.schedules.iter().zip(&trace.schedules).map(|(schedule, from)| {
            json!({ "id": schedule.id, "schedule": schedule.cron, "message": schedule.message, "source": self.source(from) })
        });
        json!({
            "service": unit.service.as_str(),
            "agents": [unit.id.as_str()],
            "runtime": unit.runtime.as_str(),
            "at": self.place(unit.origin),
            "sections": sections.collect::<Vec<_>>(),
            "skills": skills.collect::<Vec<_>>(),
            "surfaces": surfaces.collect::<Vec<_>>(),
            "models": models.collect::<Vec<_>>(),
            "schedules": schedules.collect::<Vec<_>>(),
        })
    }

    fn text(&self) -> String {
        let unit = &self.unit.unit;
        let trace = &self.unit.trace;
        let of = if unit.replica.of > 1 { format!(", {} replicas", unit.replica.of) } else { String::new() };
        let mut page = format!("{} ({}{of}), {}\n", unit.service, unit.runtime, self.place(unit.origin));
        line(&mut page, "\nCONTRACT", "MODE", "BYTES", &["FROM".to_owned()]);
        for (section, from) in unit.contract.sections.iter().zip(&trace.sections) {
            let bytes = section.text.len().to_string();
            let from = match section.mode {
                // What a manual comes from stands at its skill.
                SectionMode::Manual => vec![format!("skill {}", section.id)],
                _ => self.shown(from),
            };
            line(&mut page, &section.id, section.mode.name(), &bytes, &from);
        }
        let layout = skill_path_pattern(self.layout);
        line(&mut page, "\nSKILL", "ORIGIN", "BYTES", &[format!("FROM ({layout})")]);
        for (name, skill) in &unit.skills {
            let found = trace.skills.get(name).map_or(&[][..], Vec::as_slice);
            let from = found.last().map(|found| self.shown(&found.from)).unwrap_or_default();
            line(&mut page, name.as_str(), skill.origin.name(), &skill.body.len().to_string(), &from);
            for before in found.iter().rev().skip(1) {
                line(
                    &mut page,
                    "  replaces",
                    before.origin.name(),
                    &before.bytes.to_string(),
                    &self.shown(&before.from),
                );
            }
        }
        if unit.skills.is_empty() {
            page.push_str("none\n");
        }
        line(&mut page, "\nSURFACE", "ACCESS", "", &["FROM".to_owned()]);
        for (surface, from) in unit.surfaces.iter().zip(&trace.surfaces) {
            line(&mut page, &uri(surface), access(surface), "", &self.shown(from));
            push_uses(&mut page, surface, trace.services.get(target(surface)));
        }
        if unit.surfaces.is_empty() {
            page.push_str("none\n");
        }
        if !unit.models.is_empty() {
            line(&mut page, "\nMODEL", "", "", &["FROM".to_owned()]);
        }
        for (slot, models) in &unit.models {
            let names: Vec<String> = models.iter().map(ToString::to_string).collect();
            let from = trace.models.get(slot.as_str()).map(|from| self.shown(from)).unwrap_or_default();
            line(&mut page, &format!("{slot}: {}", names.join(", ")), "", "", &from);
        }
        if !unit.schedules.is_empty() {
            line(&mut page, "\nSCHEDULE", "", "", &["FROM".to_owned()]);
        }
        for (schedule, from) in unit.schedules.iter().zip(&trace.schedules) {
            line(&mut page, &format!("{}: {}", schedule.id, schedule.cron), "", "", &self.shown(from));
        }
        page.push('\n');
        page
    }
}

fn skill_path_pattern(layout: SkillLayout) -> &'static str {
    match layout {
        SkillLayout::Flat => "at /claw/skills/NAME.md",
        SkillLayout::Directory => "at /claw/skills/NAME/SKILL.md",
    }
}

/// Adds a line of four columns, none of whose lines is longer than [`WIDTH`]: what is too long goes on below.
fn line(page: &mut String, name: &str, kind: &str, size: &str, from: &[String]) {
    let (gap, name) = name.strip_prefix('\n').map_or(("", name), |name| ("\n", name));
    page.push_str(gap);
    let mut head = format!("{name:<30} {kind:<10} {size:>6}");
    if name.chars().count() > 30 {
        for part in wrapped(name, WIDTH, 2) {
            page.push_str(&part);
            page.push('\n');
        }
        head = format!("{:<30} {kind:<10} {size:>6}", "");
    }
    let mut parts: Vec<String> = Vec::new();
    for each in from {
        match parts.last_mut() {
            Some(last) if last.chars().count() + each.chars().count() + 2 <= WIDTH - LAST => {
                last.push_str(", ");
                last.push_str(each);
            }
            _ => parts.extend(wrapped(each, WIDTH - LAST, 0)),
        }
    }
    let mut parts = parts.into_iter();
    page.push_str(format!("{head}  {}", parts.next().unwrap_or_default()).trim_end());
    page.push('\n');
    for part in parts {
        page.push_str(&format!("{:LAST$}{part}\n", ""));
    }
}

/// Returns a text in pieces of at most `width` characters, those after the first indented.
fn wrapped(text: &str, width: usize, indent: usize) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut rest: Vec<char> = text.chars().collect();
    while !rest.is_empty() {
        let blank = if parts.is_empty() { 0 } else { indent };
        let most = width - blank;
        let at = match rest.len() > most {
            true => {
                rest[..most].iter().rposition(|each| *each == ' ').filter(|at| *at > most / 2).map_or(most, |at| at + 1)
            }
            false => rest.len(),
        };
        let part: String = rest.drain(..at).collect();
        parts.push(format!("{}{}", " ".repeat(blank), part.trim_end()));
    }
    parts
}

fn push_uses(page: &mut String, surface: &Surface, uses: Option<&Uses>) {
    let Surface::Service { service, ports, mcp } = surface else { return };
    let mut push = |text: String| {
        for part in wrapped(&text, WIDTH - 2, 2) {
            page.push_str(&format!("  {part}\n"));
        }
    };
    if !ports.is_empty() {
        let at: Vec<String> = ports.iter().map(|port| format!("http://{service}:{port}")).collect();
        push(at.join(", "));
    }
    let (operations, tools) = uses.map_or((&[][..], &[][..]), |uses| (&uses.operations[..], &uses.tools[..]));
    let said = |text: &str| if text.is_empty() { String::new() } else { format!(": {text}") };
    for each in operations.iter().take(SHOWN) {
        push(format!("{} {}{}", each.method, each.path, said(&each.summary)));
    }
    if operations.len() > SHOWN {
        push(format!("… {} operations more: `--json` has them all", operations.len() - SHOWN));
    }
    if let Some(mcp) = mcp {
        let count =
            if uses.is_none_or(|uses| uses.listing.is_none()) { "; which tools it has is not recorded" } else { "" };
        push(format!("MCP at {mcp}{count}"));
    }
    for each in tools.iter().take(SHOWN) {
        push(format!("tool {}{}", each.name, said(&each.summary)));
    }
    if tools.len() > SHOWN {
        push(format!("… {} tools more: `--json` has them all", tools.len() - SHOWN));
    }
}

fn target(surface: &Surface) -> &str {
    match surface {
        Surface::Service { service, .. } => service.as_str(),
        _ => "",
    }
}

fn access(surface: &Surface) -> &'static str {
    match surface {
        Surface::Volume { access, .. } | Surface::Host { access, .. } => access.name(),
        Surface::Service { .. } | Surface::Channel { .. } | Surface::Egress { .. } => "",
    }
}

fn uri(surface: &Surface) -> String {
    match surface {
        Surface::Volume { name, .. } => format!("volume://{name}"),
        Surface::Host { path, .. } => format!("host://{path}"),
        Surface::Service { service, .. } => format!("service://{service}"),
        Surface::Channel { platform } => format!("channel://{}", platform.name()),
        Surface::Egress { host, port, .. } => match port {
            Some(port) => format!("egress://{host}:{port}"),
            None => format!("egress://{host}"),
        },
    }
}

/// Returns what a surface is for programs, without its source: every kind has every key.
fn about(surface: &Surface, uses: Option<&Uses>) -> Value {
    let mount = match surface {
        Surface::Volume { mount, .. } => Some(mount.as_str()),
        Surface::Host { path, .. } => Some(path.as_str()),
        Surface::Service { .. } | Surface::Channel { .. } | Surface::Egress { .. } => None,
    };
    let (ports, mcp) = match surface {
        Surface::Service { ports, mcp, .. } => (ports.as_slice(), mcp.as_deref()),
        _ => (&[][..], None),
    };
    let uses = uses.cloned().unwrap_or_default();
    let operations = uses
        .operations
        .iter()
        .map(|each| json!({ "method": each.method, "path": each.path, "name": each.id, "summary": each.summary }));
    let tools = uses.tools.iter().map(|each| json!({ "name": each.name, "summary": each.summary }));
    json!({
        "uri": uri(surface),
        "access": Some(access(surface)).filter(|access| !access.is_empty()),
        "mount": mount,
        "ports": ports,
        "mcp": mcp,
        "operations": operations.collect::<Vec<_>>(),
        "tools": tools.collect::<Vec<_>>(),
    })
}
