//! Health: what the gateway's `/readyz` says, and in more detail `openclaw health --json`.

use claw_types::driver::{Health, HealthStatus, ProbeOutput};
use serde_json::Value;

use crate::common::answer::{answer_with, short};

/// Returns how the runtime is: `{"ready": …}` of the probe, or `{"ok": …, "channels": …}` of the detail.
pub(super) fn read(output: &ProbeOutput) -> Health {
    let is_answer =
        |value: &Value| value["ready"].is_boolean() || value["ok"].is_boolean() || value["error"].is_object();
    let Some(answer) = answer_with(&output.stdout, is_answer) else {
        let detail = format!("its gateway does not answer (exit {})", output.exit_code);
        return Health { status: HealthStatus::Unhealthy, detail };
    };
    if answer["ready"].is_boolean() {
        return ready(&answer, output.exit_code);
    }
    if answer["ok"] == Value::Bool(true) && output.exit_code == 0 {
        return detailed(&answer);
    }
    let error = &answer["error"];
    let code = error["details"]["code"].as_str().or(error["type"].as_str()).or(error["kind"].as_str());
    let detail = format!("its gateway refuses: {}", short(code.unwrap_or("no reason given")));
    Health { status: HealthStatus::Unhealthy, detail }
}

fn ready(answer: &Value, exit_code: i64) -> Health {
    let failing = names(answer["failing"].as_array().into_iter().flatten().filter_map(Value::as_str));
    if answer["ready"] == Value::Bool(true) && exit_code == 0 {
        return Health { status: HealthStatus::Healthy, detail: "ready".to_owned() };
    }
    let starting = failing.is_empty() || failing.contains("startup");
    let status = if starting { HealthStatus::Starting } else { HealthStatus::Unhealthy };
    let detail = if failing.is_empty() { "not ready yet".to_owned() } else { format!("not ready: {failing}") };
    Health { status, detail }
}

fn names<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.map(short).collect::<Vec<_>>().join(", ")
}

fn detailed(answer: &Value) -> Health {
    let mut parts = Vec::new();
    let mut is_well = true;
    for (name, channel) in answer["channels"].as_object().into_iter().flatten() {
        let is_connected = channel["connected"].as_bool().unwrap_or(true) && channel["running"] != Value::Bool(false);
        is_well &= is_connected;
        let state = channel["lifecycle"].as_str().unwrap_or("not connected");
        let error = channel["lastError"].as_str().map(|error| format!(" ({})", short(error))).unwrap_or_default();
        parts.push(match is_connected {
            true => format!("{} connected", short(name)),
            false => format!("{} {}{error}", short(name), short(state)),
        });
    }
    let failed = names(
        answer["plugins"]["errors"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|each| each.as_str().or_else(|| each["id"].as_str()).or_else(|| each["pluginId"].as_str())),
    );
    if !failed.is_empty() {
        is_well = false;
        parts.push(format!("plugins that failed: {failed}"));
    }
    if answer["modelRuntime"]["degraded"] == Value::Bool(true) {
        parts.push("its model runtime is degraded".to_owned());
    }
    if answer["eventLoop"]["degraded"] == Value::Bool(true) {
        parts.push("it is overloaded".to_owned());
    }
    if parts.is_empty() {
        parts.push("ready, no channels".to_owned());
    }
    let status = if is_well { HealthStatus::Healthy } else { HealthStatus::Unhealthy };
    Health { status, detail: parts.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(exit_code: i64, stdout: &str) -> (HealthStatus, String) {
        let health = read(&ProbeOutput { exit_code, stdout: stdout.to_owned(), stderr: String::new() });
        (health.status, health.detail)
    }

    #[test]
    fn what_the_gateway_says_is_read() {
        use HealthStatus::{Healthy, Starting, Unhealthy};
        assert_eq!(of(0, "{\"ready\":true,\"failing\":[]}"), (Healthy, "ready".to_owned()));
        assert_eq!(of(1, "{\"ready\":false,\"failing\":[]}"), (Starting, "not ready yet".to_owned()));
        assert_eq!(of(1, "{\"ready\":false,\"failing\":[\"discord\"]}"), (Unhealthy, "not ready: discord".to_owned()));
        assert_eq!(of(1, "").0, Unhealthy);
        let well = r#"{"ok":true,"channels":{"discord":{"running":true,"connected":true}}}"#;
        assert_eq!(of(0, well), (Healthy, "discord connected".to_owned()));
        let ill = r#"{"ok":true,"channels":{"discord":{"running":true,"connected":false,"lifecycle":"recovering","lastError":"closed"}}}"#;
        assert_eq!(of(0, ill), (Unhealthy, "discord recovering (closed)".to_owned()));
        let refused =
            r#"{"ok":false,"error":{"type":"gateway_request_error","details":{"code":"AUTH_TOKEN_MISMATCH"}}}"#;
        assert_eq!(of(1, refused), (Unhealthy, "its gateway refuses: AUTH_TOKEN_MISMATCH".to_owned()));
        assert_eq!(of(0, "warning {\n{\"ok\":true}\n").0, Healthy);
    }
}
