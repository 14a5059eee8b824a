//! What a driver asks of a unit, and the pieces of what it makes of it: files, paths, variables, commands.

use std::collections::BTreeMap;

use claw_types::agent::{AgentUnit, EnvValue, ModelRef, Surface};
use claw_types::diag::{Code, Diagnostic, Diagnostics, Reported};
use claw_types::doc::Content;
use claw_types::files::{FileSpec, FileTree};
use claw_types::id::EnvName;
use claw_types::path::{ContainerPath, PodPath};
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

/// Records variables of the pod that a runtime takes over what its configuration says: what they set is claw's to decide.
pub(crate) fn overrides(runtime: &str, is_own: impl Fn(&str) -> bool, unit: &AgentUnit, diag: &mut Diagnostics) {
    for name in unit.env.keys().map(AsRef::as_ref).filter(|name| is_own(name)) {
        let message = format!("`{name}` of `{}` would change what claw has `{runtime}` do", unit.service);
        let error = Diagnostic::error(Code::RuntimeCannot, unit.origin, message);
        diag.push(error.help(
            "say it in the pod: `models`, `providers`, `surfaces`, `handles`, `invoke`; or `CONFIGURE` in its Clawfile",
        ));
    }
}
