//! What a runtime does not do, and the runtimes that do; and whether claw's driver of it was ever run.

use claw_types::agent::{AgentUnit, Surface};
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::driver::{Driver, DriverFacts};
use claw_types::standing::{Standing, Standings};

use super::Row;
use crate::facts::Context;

/// Returns the names of the runtimes of which something is true, as text: `` `a`, `b` and `c` ``; nothing where there are none.
pub(crate) fn able(cx: &Context<'_>, is_able: impl Fn(&DriverFacts) -> bool) -> Option<String> {
    let names: Vec<&str> =
        cx.drivers.iter().map(|driver| driver.facts()).filter(|facts| is_able(facts)).map(|facts| facts.name).collect();
    let (last, others) = names.split_last()?;
    Some(match others {
        [] => format!("`{last}`"),
        others => format!("`{}` and `{last}`", others.join("`, `")),
    })
}

/// Records what the pod wants of an agent and its runtime does not do.
pub(crate) fn check(row: &Row<'_>, unit: &AgentUnit, cx: &Context<'_>, diag: &mut Diagnostics) {
    let facts = row.driver.facts();
    let who = |of: fn(&Standings) -> Standing| {
        able(cx, |facts| of(&facts.standing).is_there()).map(|names| format!("; it works with {names}"))
    };
    if !unit.schedules.is_empty() && !facts.standing.schedules.is_there() {
        let message = format!("`{}` has schedules, and the runtime `{}` runs none", unit.service, facts.name);
        let warning = Diagnostic::warning(Code::RuntimeCannot, row.place("invoke"), message);
        let who = who(|standing| standing.schedules).unwrap_or_default();
        diag.push(warning.help(format!("the schedules stand in CLAWDAPUS.md, and nothing fires them{who}")));
    }
    for setting in unit.settings.iter().filter(|_| !facts.standing.settings.is_there()) {
        let message = format!("the runtime `{}` has no configuration to set", facts.name);
        let error = Diagnostic::error(Code::RuntimeCannot, setting.path.span, message);
        let who = who(|standing| standing.settings).unwrap_or_default();
        diag.push(error.help(format!("pass it through `environment:`, where the image reads one{who}")));
    }
    let has_server = unit.surfaces.iter().any(|surface| matches!(surface, Surface::Service { mcp: Some(_), .. }));
    if has_server && !facts.standing.mcp.is_there() {
        let message =
            format!("a service of `{}` is an MCP server, and the runtime `{}` calls none", unit.service, facts.name);
        let warning = Diagnostic::warning(Code::RuntimeCannot, row.place("surfaces"), message);
        let who = who(|standing| standing.mcp).unwrap_or_default();
        diag.push(warning.help(format!("it reaches the service by its ports all the same{who}")));
    }
    if !unit.skills.is_empty() && !facts.standing.skills.is_there() {
        let message = format!("`{}` has skills, and the runtime `{}` reads none", unit.service, facts.name);
        let warning = Diagnostic::warning(Code::RuntimeCannot, row.place("skills"), message);
        let who = who(|standing| standing.skills).unwrap_or_default();
        diag.push(warning.help(format!("they lie in `/claw/skills`, and its letter names them{who}")));
    }
}

/// Records a runtime under another name, a version the driver was not made for, and a driver that was never run.
pub(crate) fn tried(row: &Row<'_>, diag: &mut Diagnostics) {
    let facts = row.driver.facts();
    let at = row.runtime.span;
    if let Some(alias) = facts.aliases.iter().find(|alias| alias.name == row.runtime.value.name) {
        let message = format!("`{}` is the runtime `{}` here", alias.name, facts.name);
        diag.push(Diagnostic::warning(Code::Discouraged, at, message).help(alias.note));
    }
    match row.runtime.value.version.as_deref().map(|version| (version, facts.versions.contain(version))) {
        Some((version, Some(false))) => {
            let message =
                format!("the driver of `{}` was made for {}, and this is {version}", facts.name, facts.versions);
            let warning = Diagnostic::warning(Code::UntestedRuntime, at, message);
            diag.push(
                warning.help("look at what it reads with `claw diagnose`, or take a version that the driver knows"),
            );
        }
        Some((version, None)) => {
            let error = Diagnostic::error(Code::BadValue, at, format!("`{version}` is no version of numbers"));
            diag.push(error.help(format!("write `{}@{}`, or the name alone", facts.name, facts.versions.to)));
        }
        _ => {}
    }
    if facts.standing.configuration == Standing::Read {
        let message = format!("the driver of `{}` was written from its source and never run with it", facts.name);
        let warning = Diagnostic::warning(Code::UntestedRuntime, at, message);
        diag.push(warning.note(format!("facts from {}", facts.source)).help(
            "look at the generated configuration before you trust it; `docs/drivers.md` says how each thing is known",
        ));
    }
}

/// What `CLAW_TYPE`, or `type`, names.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// The runtime, perhaps by another of its names.
    pub(crate) name: String,
    /// The version, where one is named.
    pub(crate) version: Option<String>,
}

/// Returns the driver of a name.
pub(crate) fn driver(cx: &Context<'_>, name: &str) -> Option<&'static dyn Driver> {
    let mut drivers = cx.drivers.iter().copied();
    drivers.find(|driver| driver.facts().is_called(name))
}
