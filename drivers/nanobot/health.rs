//! Health: what the gateway's `/health` says, and in more detail what became of its schedules.

use claw_types::driver::{Health, HealthStatus, ProbeOutput};
use serde_json::Value;

use crate::common::answer::{answer_with, short};

/// Returns how the runtime is: `{"status": …, "ready": …}` of the probe, with `schedules` of the detail.
pub(super) fn read(output: &ProbeOutput) -> Health {
    let Some(answer) = answer_with(&output.stdout, |answer| answer["ready"].is_boolean()) else {
        let detail = format!("its gateway does not answer (exit {})", output.exit_code);
        return Health { status: HealthStatus::Unhealthy, detail };
    };
    if answer["ready"] != Value::Bool(true) || output.exit_code != 0 {
        let said = answer["status"].as_str().unwrap_or("no reason given");
        return Health { status: HealthStatus::Unhealthy, detail: format!("not ready: {}", short(said)) };
    }
    let mut parts = vec!["ready".to_owned()];
    if let Some(count) = answer["schedules"].as_u64() {
        let next = answer["next"].as_str().map(|next| format!(", the next at {}", short(next))).unwrap_or_default();
        parts.push(match count {
            0 => "no schedules".to_owned(),
            1 => format!("1 schedule{next}"),
            _ => format!("{count} schedules{next}"),
        });
    }
    for failed in answer["failed"].as_array().into_iter().flatten() {
        let text = |key: &str| short(failed[key].as_str().unwrap_or("?"));
        parts.push(format!("the schedule {} failed: {}", text("name"), text("error")));
    }
    Health { status: HealthStatus::Healthy, detail: parts.join("; ") }
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
        use HealthStatus::{Healthy, Unhealthy};
        let well = r#"{"status": "ok", "process": "alive", "ready": true, "websocket": "disabled"}"#;
        assert_eq!(of(0, well), (Healthy, "ready".to_owned()));
        let ill = r#"{"status": "degraded", "process": "alive", "ready": false, "websocket": "unavailable"}"#;
        assert_eq!(of(1, ill), (Unhealthy, "not ready: degraded".to_owned()));
        assert_eq!(of(1, ""), (Unhealthy, "its gateway does not answer (exit 1)".to_owned()));
        let more = "noise\n{\"ready\": true, \"schedules\": 2, \"next\": \"2026-11-28T17:00:00Z\", \
                    \"failed\": [{\"name\": \"morning\", \"error\": \"no\\nmodel\"}]}\n";
        let said = "ready; 2 schedules, the next at 2026-11-28T17:00:00Z; the schedule morning failed: no model";
        assert_eq!(of(0, more), (Healthy, said.to_owned()));
    }
}
