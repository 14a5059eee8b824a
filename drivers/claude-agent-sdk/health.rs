//! Health: what the runner's `/health` says.

use claw_types::driver::{Health, HealthStatus, ProbeOutput};
use serde_json::Value;

use crate::common::answer::answer_with;

/// Returns how the runtime is: `{"status": …, "ready": …}`, and what it does.
pub(super) fn read(output: &ProbeOutput) -> Health {
    let Some(answer) = answer_with(&output.stdout, |answer| answer["ready"].is_boolean()) else {
        let detail = format!("its runner does not answer (exit {})", output.exit_code);
        return Health { status: HealthStatus::Unhealthy, detail };
    };
    if answer["ready"] != Value::Bool(true) {
        return Health { status: HealthStatus::Starting, detail: "not ready yet".to_owned() };
    }
    // One that takes nothing new is deaf, be it because it is about to be stopped.
    let is_well = output.exit_code == 0 && answer["draining"] != Value::Bool(true);
    let status = if is_well { HealthStatus::Healthy } else { HealthStatus::Unhealthy };
    Health { status, detail: detail(&answer) }
}

/// Returns what an answer says in a line.
fn detail(answer: &Value) -> String {
    let mut parts = Vec::new();
    parts.extend(answer["model"].as_str().map(|model| format!("model {model}")));
    parts.extend(answer["draining"].as_bool().filter(|is_so| *is_so).map(|_| "takes nothing new".to_owned()));
    let running: Vec<&str> =
        answer["running"].as_array().into_iter().flatten().filter_map(|each| each["session"].as_str()).collect();
    if !running.is_empty() {
        parts.push(format!("busy with {}", running.join(", ")));
    }
    parts.extend(answer["waiting"].as_u64().filter(|count| *count > 0).map(|count| format!("{count} waiting")));
    let next = answer["schedules"].as_array().into_iter().flatten().filter_map(|each| each["next"].as_str()).min();
    parts.extend(next.map(|next| format!("next schedule {next}")));
    parts.extend(answer["last_error"]["error"].as_str().map(|error| format!("last error: {error}")));
    let line: String = parts.join(", ").split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(400).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(exit_code: i64, stdout: &str) -> (HealthStatus, String) {
        let health = read(&ProbeOutput { exit_code, stdout: stdout.to_owned(), stderr: String::new() });
        (health.status, health.detail)
    }

    #[test]
    fn what_the_runner_says_is_read() {
        use HealthStatus::{Healthy, Starting, Unhealthy};
        let idle = r#"{"status":"healthy","ready":true,"draining":false,"model":"m","running":[],"waiting":0,"last_error":null,"schedules":[]}"#;
        assert_eq!(of(0, &format!("noise\n{idle}\n")), (Healthy, "model m".to_owned()));
        let busy = r#"{"status":"healthy","ready":true,"draining":true,"model":"m","running":[{"session":"claw","seconds":3}],
            "waiting":2,"last_error":{"error":"API Error: 401"},"schedules":[{"id":"a","next":"2026-11-28T17:00:00+00:00"}]}"#
            .replace('\n', " ");
        let said = "model m, takes nothing new, busy with claw, 2 waiting, next schedule 2026-11-28T17:00:00+00:00, \
                    last error: API Error: 401";
        assert_eq!(of(0, &busy), (Unhealthy, said.to_owned()));
        assert_eq!(of(1, "{\"status\":\"starting\",\"ready\":false}\n").0, Starting);
        assert_eq!(of(1, "").0, Unhealthy);
        assert_eq!(of(1, idle).0, Unhealthy);
    }
}
