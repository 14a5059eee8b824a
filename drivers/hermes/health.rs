//! Health: what the API server's `/health` says, and in more detail `/health/detailed`.

use claw_types::driver::{Health, HealthStatus, ProbeOutput};
use serde_json::Value;

use crate::common::answer::{answer_with, short};

/// Returns how the runtime is: `{"status": …}` of the probe, or with `gateway_state` and `platforms` of the detail.
pub(super) fn read(output: &ProbeOutput) -> Health {
    let Some(answer) = answer_with(&output.stdout, |answer| answer["status"].is_string()) else {
        let detail = format!("its API server does not answer (exit {})", output.exit_code);
        return Health { status: HealthStatus::Unhealthy, detail };
    };
    if answer["gateway_state"].is_string() {
        return detailed(&answer);
    }
    let is_well = answer["status"] == "ok" && answer["platform"] == "hermes-agent" && output.exit_code == 0;
    let version = answer["version"].as_str().map(|version| format!(", hermes-agent {}", short(version)));
    let (status, word) =
        if is_well { (HealthStatus::Healthy, "ready") } else { (HealthStatus::Unhealthy, "not ready") };
    Health { status, detail: format!("{word}{}", version.unwrap_or_default()) }
}

fn detailed(answer: &Value) -> Health {
    let state = answer["gateway_state"].as_str().unwrap_or("unknown");
    let mut status = match state {
        "running" => HealthStatus::Healthy,
        "starting" => HealthStatus::Starting,
        _ => HealthStatus::Unhealthy,
    };
    let mut parts = Vec::new();
    if state != "running" {
        parts.push(format!("its gateway is {}", short(state)));
    }
    for (name, platform) in answer["platforms"].as_object().into_iter().flatten() {
        let state = platform["state"].as_str().unwrap_or("unknown");
        // Its own API server is the one that answers.
        if name == "api_server" && state == "connected" {
            continue;
        }
        if state != "connected" {
            status = HealthStatus::Unhealthy;
        }
        let error = platform["error_message"].as_str().map(|error| format!(" ({})", short(error)));
        parts.push(format!("{} {}{}", short(name), short(state), error.unwrap_or_default()));
    }
    let checks = answer["readiness"]["checks"].as_object().into_iter().flatten();
    // The check of the gateway says what the platforms say.
    for (name, check) in checks.filter(|(name, _)| *name != "gateway") {
        let state = check["status"].as_str().unwrap_or("unknown");
        if state != "ok" {
            status = HealthStatus::Unhealthy;
            parts.push(format!("{} {}", short(name), short(state)));
        }
    }
    if parts.is_empty() {
        parts.push("ready, no channels".to_owned());
    }
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
    fn what_the_api_server_says_is_read() {
        use HealthStatus::{Healthy, Starting, Unhealthy};
        let ready = r#"{"status":"ok","platform":"hermes-agent","version":"0.19.0"}"#;
        assert_eq!(of(0, ready), (Healthy, "ready, hermes-agent 0.19.0".to_owned()));
        assert_eq!(of(1, "{\"status\":\"ok\",\"platform\":\"hermes-agent\"}").0, Unhealthy);
        assert_eq!(of(0, "{\"status\":\"ok\"}").0, Unhealthy);
        assert_eq!(of(1, "").0, Unhealthy);
        let detail = |platforms: &str, state: &str| {
            format!(
                r#"{{"status":"ok","gateway_state":"{state}","platforms":{platforms},"readiness":{{"checks":{{"model":{{"status":"ok"}}}}}}}}"#
            )
        };
        let own = r#"{"api_server":{"state":"connected"}}"#;
        assert_eq!(of(0, &detail(own, "running")), (Healthy, "ready, no channels".to_owned()));
        assert_eq!(of(0, &detail(own, "starting")), (Starting, "its gateway is starting".to_owned()));
        assert_eq!(of(0, &detail(own, "draining")).0, Unhealthy);
        let discord = r#"{"discord":{"state":"retrying","error_message":"no route"},"slack":{"state":"connected"}}"#;
        let said = "discord retrying (no route); slack connected";
        assert_eq!(of(0, &detail(discord, "running")), (Unhealthy, said.to_owned()));
        let ill =
            r#"{"status":"degraded","gateway_state":"running","readiness":{"checks":{"state_db":{"status":"error"}}}}"#;
        assert_eq!(of(0, ill), (Unhealthy, "state_db error".to_owned()));
    }
}
