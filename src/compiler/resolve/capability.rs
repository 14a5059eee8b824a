//! What a runtime does not do, and the runtimes that do; and whether claw's driver of it was ever run.

use std::collections::{BTreeMap, BTreeSet};

use claw_types::agent::{AgentUnit, Inference, Surface};
use claw_types::diag::{Code, Diagnostic, Diagnostics, Severity};
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

/// Records what the driver says of a unit. Where it refuses what the pod says of channels, the runtimes that keep it are named.
pub(crate) fn judged(row: &Row<'_>, unit: &AgentUnit, cx: &Context<'_>, diag: &mut Diagnostics) {
    let mut said = Diagnostics::new();
    row.driver.check(unit, &mut said);
    let refused = refused(row.driver, unit);
    if !refused.is_empty()
        && let Some(names) = keepers(row, unit, cx)
    {
        said.amend(|each| {
            if refused.contains(&each.message) {
                let help = each.help.take().map(|help| format!("{help}; ")).unwrap_or_default();
                each.help = Some(format!("{help}it works with {names}"));
            }
        });
    }
    diag.extend(said);
}

/// Returns the errors of a driver that come of channels: without them it says the others alone.
fn refused(driver: &dyn Driver, unit: &AgentUnit) -> BTreeSet<String> {
    let errors = |unit: &AgentUnit| {
        let mut said = Diagnostics::new();
        driver.check(unit, &mut said);
        let errors = said.iter().filter(|each| each.severity == Severity::Error);
        errors.map(|each| each.message.clone()).collect::<BTreeSet<String>>()
    };
    let silent = AgentUnit { channels: BTreeMap::new(), ..unit.clone() };
    errors(unit).difference(&errors(&silent)).cloned().collect()
}

/// Returns the names of the runtimes that keep what a pod says of channels: they speak on the same platforms, and refuse nothing.
fn keepers(row: &Row<'_>, unit: &AgentUnit, cx: &Context<'_>) -> Option<String> {
    let own = row.driver.facts().platforms;
    let spoken: Vec<&str> = unit.channels.keys().map(|each| each.name()).filter(|name| own.contains(name)).collect();
    let keeps = |driver: &dyn Driver| {
        spoken.iter().all(|name| driver.facts().platforms.contains(name)) && refused(driver, unit).is_empty()
    };
    let names: BTreeSet<&str> =
        cx.drivers.iter().filter(|driver| keeps(**driver)).map(|driver| driver.facts().name).collect();
    able(cx, |facts| names.contains(facts.name))
}

/// Records what a unit uses of its runtime that was read in the runtime's source and never seen running, where the runtime as a whole
/// was run.
pub(crate) fn read(row: &Row<'_>, unit: &AgentUnit, diag: &mut Diagnostics) {
    let facts = row.driver.facts();
    let standing = facts.standing;
    if standing.configuration == Standing::Read {
        return;
    }
    let has_server = unit.surfaces.iter().any(|surface| matches!(surface, Surface::Service { mcp: Some(_), .. }));
    let speaks = unit.identities.keys().any(|platform| facts.platforms.contains(&platform.name()));
    let used = [
        ("channels", standing.channels, speaks),
        ("fallbacks", standing.fallbacks, unit.models.keys().any(|slot| slot.as_str() == "fallback")),
        ("mcp", standing.mcp, has_server),
        ("proxy", standing.proxy, matches!(unit.inference, Inference::Proxied { .. })),
        ("schedules", standing.schedules, !unit.schedules.is_empty()),
        ("settings", standing.settings, !unit.settings.is_empty()),
        ("skills", standing.skills, !unit.skills.is_empty()),
    ];
    let unseen = used.into_iter().filter(|(_, standing, is_used)| *standing == Standing::Read && *is_used);
    let names: Vec<&str> = unseen.map(|(name, _, _)| name).collect();
    if !names.is_empty() {
        let message = format!(
            "what `{}` uses of the runtime `{}` was read in its source and not run: `{}`",
            unit.service,
            facts.name,
            names.join("`, `")
        );
        let note = Diagnostic::notice(Code::UntestedRuntime, row.runtime.span, message);
        diag.push(note.help(format!("look at what it does there first; `drivers/{}/README.md` says more", facts.name)));
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
