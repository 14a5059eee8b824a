//! `CONFIGURE <runtime> config set PATH VALUE`: judged by the runtime's own schema, and by what is claw's to decide.

use claw_types::agent::{AgentUnit, Setting};
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::doc::Doc;

use super::schema::Schema;

/// What of a runtime's configuration can be set.
pub(crate) struct Rules<'r> {
    /// The runtime's name.
    pub(crate) runtime: &'r str,
    /// Its keys, their types and bounds.
    pub(crate) schema: &'r Schema,
    /// Where its keys are listed, as help says it.
    pub(crate) listed: &'r str,
    /// What is claw's to decide, and how a pod says it: with everything below it, and every map that holds it.
    pub(crate) owned: &'r [(&'r str, &'r str)],
    /// Further paths that are claw's to decide, and how a pod says them.
    pub(crate) owns: fn(&str) -> Option<&'static str>,
    /// What can be set, with everything below it but what is claw's. A version may bring keys that open something: what is
    /// not here is closed.
    pub(crate) open: &'r [&'r str],
    /// Maps that claw writes keys into: setting one as a whole would take them away.
    pub(crate) written: &'r [&'r str],
    /// A path that can be set, as an example.
    pub(crate) example: &'r str,
}

/// Returns whether the last key of a path holds a secret, by the names runtimes give such keys.
fn is_secret(path: &str) -> bool {
    let key = path.rsplit('.').next().unwrap_or(path).to_ascii_lowercase().replace('_', "");
    ["apikey", "token", "secret", "password", "authorization"].iter().any(|end| key.ends_with(end))
}

fn holds_secret(value: &Doc) -> bool {
    match value {
        Doc::Map(entries) => entries.iter().any(|(key, value)| is_secret(key) || holds_secret(value)),
        Doc::List(items) => items.iter().any(holds_secret),
        _ => false,
    }
}

/// Returns whether a value has something at a dotted path.
fn has(value: &Doc, path: &str) -> bool {
    let mut here = value;
    for part in path.split('.') {
        let Doc::Map(entries) = here else { return false };
        let Some(next) = entries.get(part) else { return false };
        here = next;
    }
    true
}

impl Rules<'_> {
    /// Records settings that the runtime does not have, cannot take, or that are claw's to decide.
    pub(crate) fn check(&self, unit: &AgentUnit, diag: &mut Diagnostics) {
        for setting in &unit.settings {
            if let Some(error) = self.refused(setting) {
                diag.push(error);
            }
        }
    }

    /// Puts the settings into a configuration, in the order written.
    pub(crate) fn apply(&self, unit: &AgentUnit, config: &mut Doc, diag: &mut Diagnostics) {
        for setting in &unit.settings {
            if config.set_path(&setting.path.value, setting.value.clone()).is_err() {
                let message = format!("`{}` is no path", setting.path.value);
                let error = Diagnostic::error(Code::BadSetting, setting.path.span, message);
                diag.push(error.help(format!("write keys with `.` between them, such as `{}`", self.example)));
            }
        }
    }

    /// Returns why a setting is claw's to decide.
    fn owned(&self, path: &str, value: &Doc) -> Option<&str> {
        if self.written.contains(&path) {
            return Some("set its keys one by one");
        }
        let is_below =
            |above: &str| path == above || path.strip_prefix(above).is_some_and(|rest| rest.starts_with('.'));
        let holds = |below: &str| {
            let rest = below.strip_prefix(path).and_then(|rest| rest.strip_prefix('.'));
            rest.is_some_and(|rest| has(value, rest))
        };
        let listed = self.owned.iter().find(|(own, _)| is_below(own) || holds(own));
        listed.map(|(_, why)| *why).or_else(|| (self.owns)(path))
    }

    /// Returns what is wrong with a setting.
    pub(crate) fn refused(&self, setting: &Setting) -> Option<Diagnostic> {
        let path = setting.path.value.as_str();
        let name = self.runtime;
        let error = |message: String| Diagnostic::error(Code::BadSetting, setting.path.span, message);
        let nodes = match self.schema.at(path) {
            Ok(nodes) => nodes,
            Err(unknown) => {
                let below =
                    if unknown.below.is_empty() { String::new() } else { format!(" below `{}`", unknown.below) };
                let error = error(format!("{name} has no key `{}`{below}", unknown.part));
                let near = unknown.known.iter().map(String::as_str);
                return Some(if unknown.known.is_empty() {
                    error.help(format!("`{}` takes a plain value", unknown.below))
                } else {
                    error.help(format!("{} lists its keys", self.listed)).suggest(&unknown.part, near)
                });
            }
        };
        if let Some(why) = self.owned(path, &setting.value) {
            // What was written may be a secret all the same.
            return Some(error(format!("`{path}` is claw's to decide")).help(why).masked());
        }
        if is_secret(path) || holds_secret(&setting.value) {
            let error = error(format!("`{path}` would put a secret into the image and into a file that all can read"));
            let help = format!("{name} reads it as a variable: write it into `environment:` of the pod");
            return Some(error.help(help).masked());
        }
        let is_open = |open: &&str| path == *open || path.strip_prefix(open).is_some_and(|rest| rest.starts_with('.'));
        if !self.open.iter().any(is_open) {
            let help = format!(
                "what can be set stands in `drivers/{name}/README.md`: nothing that opens a way in, gives a power or names a server"
            );
            return Some(error(format!("`{path}` is claw's to decide")).help(help).masked());
        }
        let (place, expected) = self.schema.misfit(&nodes, &setting.value)?;
        let whole = if place.is_empty() { path.to_owned() } else { format!("{path}.{place}") };
        Some(error(format!("`{whole}` does not fit {name}'s schema")).help(format!("it takes {expected}")))
    }
}
