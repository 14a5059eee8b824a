//! What zeroclaw says that it has read: its list of keys, and beside it the warnings of its log.

use claw_types::driver::ProbeOutput;
use serde_json::{Map, Value, json};

use crate::common::answer;

/// Prints each key with its value, and what zeroclaw finds wrong with them. The daemon may run beside it.
pub(super) const COMMAND: &[&str] = &["zeroclaw", "config", "list", "--verbose", "--log-level", "warn"];

/// Where the providers of models are in the list: `<family>.<alias>.<key>` follows.
const PROVIDERS: &str = "providers.models.";

/// The width of the column of names.
const NAMES: usize = 45;

/// Behind a line whose value is a secret. Most are shown as `****`, and the tokens of clients as they are.
const SECRET: char = '🔒';

/// What it says of a file that others than its owner can read. This one holds no secret, and belongs to the pod's operator.
const READABLE: &str = " is world-readable ";

/// Returns what the command printed, in the form of `Lowered::reading`; nothing where it did not come to its list.
pub(super) fn reading(output: &ProbeOutput) -> Option<Value> {
    let keys: Vec<Key<'_>> = output.stdout.lines().filter_map(key).collect();
    if output.exit_code != 0 || !keys.iter().any(|key| key.name == "schema_version") {
        return None;
    }
    let set = |name: &str| keys.iter().find(|key| key.name == name && !key.is_secret).and_then(|key| key.value);
    let (mut endpoints, mut models) = (Vec::new(), Vec::new());
    for provider in providers(&keys) {
        let family = provider.trim_start_matches(PROVIDERS).split('.').next().unwrap_or_default();
        let default = || format!("default of {family}");
        endpoints.push(set(&format!("{provider}.uri")).map_or_else(default, ToOwned::to_owned));
        models.extend(set(&format!("{provider}.model")).map(ToOwned::to_owned));
        let more = set(&format!("{provider}.fallback_models"));
        models.extend(more.and_then(|list| serde_json::from_str::<Vec<String>>(list).ok()).into_iter().flatten());
    }
    let configuration: Map<String, Value> =
        keys.iter().filter_map(|key| Some((key.name.to_owned(), key.shown()?.into()))).collect();
    Some(json!({
        "endpoints": endpoints,
        "models": models,
        // It says nothing of keys that it does not know.
        "ignored": [],
        "warnings": output.stderr.lines().filter_map(warning).collect::<Vec<_>>(),
        "configuration": configuration,
    }))
}

/// A key of the list.
struct Key<'a> {
    name: &'a str,
    /// As it is printed; nothing where it is not set.
    value: Option<&'a str>,
    is_secret: bool,
}

impl<'a> Key<'a> {
    fn shown(&self) -> Option<&'a str> {
        self.value.map(|value| if self.is_secret { "****" } else { value })
    }
}

/// Reads `<sign> <name> = <value> (<type>) <sign>`. A value may have several lines, which have no column of names.
fn key(line: &str) -> Option<Key<'_>> {
    let line = line.trim_start_matches(|each: char| !each.is_ascii_alphanumeric());
    let (name, rest) = line.split_once(" = ").filter(|(name, _)| name.len() >= NAMES)?;
    let name = name.trim_end();
    let is_name = name.chars().all(|each| each.is_ascii_alphanumeric() || matches!(each, '_' | '-' | '.'));
    let (value, kind) = rest.rsplit_once(" (").filter(|_| is_name)?;
    let value = Some(value.trim_end()).filter(|value| *value != "<unset>");
    Some(Key { name, value, is_secret: kind.contains(SECRET) })
}

/// Returns the paths of all providers of models, each once, in the order of the list.
fn providers(keys: &[Key<'_>]) -> Vec<String> {
    let mut providers: Vec<String> = Vec::new();
    for key in keys {
        let mut parts = key.name.strip_prefix(PROVIDERS).into_iter().flat_map(|rest| rest.splitn(3, '.'));
        if let (Some(family), Some(alias), Some(_)) = (parts.next(), parts.next(), parts.next()) {
            let provider = format!("{PROVIDERS}{family}.{alias}");
            if !providers.contains(&provider) {
                providers.push(provider);
            }
        }
    }
    providers
}

/// Returns what a line of its log warns of: its message, and the error that it is about.
fn warning(line: &str) -> Option<String> {
    let line = uncoloured(line);
    if let Some(message) = line.strip_prefix("warning: ") {
        return Some(answer::short(message));
    }
    let (head, message) = line.split_once(" zc_line=")?;
    let message = message.trim_start_matches(|each: char| each.is_ascii_digit()).trim();
    let attributes = head.split_once(" zc_attrs=").map(|(_, attributes)| attributes);
    // What follows the attributes is other fields, so the value is read and the rest left.
    let attributes = attributes
        .and_then(|text| serde_json::Deserializer::from_str(text).into_iter::<Value>().next())
        .and_then(Result::ok)
        .unwrap_or_default();
    // That a secret came by its variable is what is meant to be.
    let is_warning = !message.is_empty() && !message.contains(READABLE) && attributes["env_var"].is_null();
    let what = attributes["error"].as_str().map(|error| format!(": {error}")).unwrap_or_default();
    is_warning.then(|| answer::short(&format!("{message}{what}")))
}

/// Returns a line without the codes that colour it.
fn uncoloured(line: &str) -> String {
    let mut parts = line.split("\u{1b}[");
    let first = parts.next().unwrap_or_default();
    let rest = parts.map(|part| part.split_once('m').map_or(part, |(_, text)| text));
    std::iter::once(first).chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As 0.8.7 prints it: each name fills its column.
    fn list() -> String {
        let rows = [
            ("  ", "schema_version", "3", "(u32)"),
            ("💉 ", "providers.models.custom.cllama.api_key", "****", "(Option<String>) 🔒"),
            ("  ", "providers.models.custom.cllama.uri", "http://proxy:8080/v1", "(Option<String>)"),
            ("  ", "providers.models.custom.cllama.model", "demo/m", "(Option<String>)"),
            ("  ", "providers.models.custom.cllama.fallback_models", "[\"demo/n\", \"demo/o\"]", "(Vec<String>)"),
            ("  ", "providers.models.openai.other.uri", "<unset>", "(Option<String>)"),
            ("  ", "providers.models.openai.other.model", "gpt", "(Option<String>)"),
            ("💉 ", "gateway.paired_tokens", "[\"marker-of-a-token\"]", "(Vec<String>) 🔒"),
            ("  ", "cron.a.prompt", "one (two) = three", "(Option<String>)"),
            (
                "  ",
                "cron.b.prompt",
                "four\nproviders.models.custom.x.uri = http://other (five)\nsix",
                "(Option<String>)",
            ),
        ];
        let rows = rows.map(|(sign, name, value, kind)| format!("{sign}{name:<45} = {value:<20} {kind}\n"));
        format!("Legend: 💉 env-overridden  🔒 secret\n\nCore:\n{}", rows.concat())
    }

    const LOG: &str = "[system] \u{1b}[2mx\u{1b}[0m \u{1b}[33m WARN\u{1b}[0m e: \u{1b}[3mzc_attrs\u{1b}[0m\u{1b}[2m=\u{1b}[0m{\"error\":\"[a] b\"} zc_file=/f zc_line=12 it is wrong\n\
        [system] x  WARN e: zc_attrs={\"env_var\":\"ZEROCLAW_x\",\"path\":\"x\"} zc_file=/f zc_line=102 Secret applied from env override\n\
        [system] x  WARN e: zc_attrs= zc_file=/f zc_line=1 Config file \"/c\" is world-readable (mode 644). Consider restricting\n\
        [system] x  WARN e: zc_attrs={} zc_file=/f zc_line=3 without more\n\
        warning: config section `gateway` in /c is malformed\nnoise\n";

    fn said(stdout: &str, exit_code: i64) -> Option<Value> {
        reading(&ProbeOutput { exit_code, stdout: stdout.to_owned(), stderr: LOG.to_owned() })
    }

    #[test]
    fn the_list_and_the_log_are_read_and_no_secret_is_shown() {
        let said_now = said(&list(), 0).expect("a reading");
        assert_eq!(said_now["endpoints"], json!(["http://proxy:8080/v1", "default of openai"]));
        assert_eq!(said_now["models"], json!(["demo/m", "demo/n", "demo/o", "gpt"]));
        let warnings = ["it is wrong: [a] b", "without more", "config section `gateway` in /c is malformed"];
        assert_eq!(said_now["warnings"], json!(warnings));
        let all = &said_now["configuration"];
        assert_eq!((&all["schema_version"], &all["cron.a.prompt"]), (&json!("3"), &json!("one (two) = three")));
        assert_eq!(
            (&all["gateway.paired_tokens"], &all["providers.models.openai.other.uri"]),
            (&json!("****"), &Value::Null)
        );
        assert!(!said_now.to_string().contains("marker-of-a-token"));
        assert!(said(&list(), 1).is_none() && said("no list", 0).is_none());
    }
}
