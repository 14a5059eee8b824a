//! `claw diagnose`: what an agent's runtime makes of its configuration, how it is, what went wrong last, and what `up` would change.

use std::time::Duration;

use claw_compiler::plan::PlannedUnit;
use claw_engine::docker::{Docker, LogOptions, Seen};
use claw_engine::health::health;
use claw_engine::logs::read;
use claw_types::agent::Inference;
use claw_types::doc::visible;
use claw_types::driver::{Driver, DriverFacts, HealthStatus};
use claw_types::gate::GATE;
use claw_types::image::label;
use claw_types::standing::Standing;
use serde_json::{Value, json};

use super::up;
use crate::exit::{CommandError, Exit};
use crate::session::Session;

mod changes;

/// The longest a runtime may take to tell what it read.
const READING: Duration = Duration::from_secs(60);

/// How many of the last lines are looked through, and how many of what is wrong are told.
const LOOKED_AT: u64 = 2000;
const TOLD: usize = 10;

/// Words by which a runtime's line is a complaint.
const COMPLAINTS: &[&str] =
    &["error", "fatal", "panic", "traceback", "exception", "denied", "refused", "eacces", "erofs"];

pub(crate) async fn run(session: &Session<'_>, agents: &[String]) -> Result<Exit, CommandError> {
    let wanted = session.agents(agents)?;
    let containers = session.containers(&[]).await?;
    let (mut texts, mut described, mut count) = (Vec::new(), Vec::new(), 0);
    for planned in session.plan.units.values().filter(|unit| wanted.iter().any(|id| id == unit.unit.id.as_str())) {
        let found = look(session, planned, &containers).await?;
        count += found["findings"].as_array().map_or(0, Vec::len);
        texts.push(as_text(&found));
        described.push(found);
    }
    let text = if texts.is_empty() { "the pod has no agents".to_owned() } else { texts.join("\n") };
    session.result("diagnose", text.trim_end(), json!({ "pod": session.plan.pod.as_str(), "agents": described }));
    Ok(if count == 0 { Exit::Done } else { Exit::Finding })
}

/// Returns everything that is to be told of one agent.
async fn look(session: &Session<'_>, planned: &PlannedUnit, containers: &[Seen]) -> Result<Value, CommandError> {
    let docker = session.docker().await?;
    let id = planned.unit.id.as_str();
    let seen = containers.iter().find(|seen| seen.service() == id);
    let facts = session.driver(id).map(|driver| driver.facts());
    let answer = health(planned, seen, session.driver(id), docker).await?;
    let running = seen.filter(|seen| seen.state.is_running);
    let reading = match (running, &planned.lowered.reading, session.driver(id)) {
        (Some(seen), Some(command), Some(driver)) => Some(reading(docker, &seen.id, command, driver).await),
        _ => None,
    };
    let complaints = complaints(session, id, containers).await?;
    let changes =
        seen.zip(session.plan.belongings.get(&planned.unit.id)).map(|(seen, own)| changes::changes(own, seen));
    let (_, todo) = up::look(session, &up::mode(session, &[], &crate::args::Choice::default())?).await?;
    let is_own = |step: &&claw_compiler::plan::steps::Step| {
        step.action.service() == Some(id) || step.action.resource().split(", ").any(|resource| resource == id)
    };
    let steps: Vec<Value> = todo.iter().filter(is_own).map(up::as_json).collect();
    let mut findings = Vec::new();
    if answer.health.status != HealthStatus::Healthy {
        findings.push(format!("it is {}: {}", answer.health.status.name(), answer.health.detail));
    }
    findings.extend(reading.iter().flat_map(|reading| judged(&planned.unit.inference, reading)));
    if !steps.is_empty() {
        findings.push("what runs is not what the pod file says: `claw up -d` changes it".to_owned());
    }
    Ok(json!({
        "agent": id,
        "runtime": planned.unit.runtime.as_str(),
        "image": planned.unit.image.as_str(),
        "driver": facts.map(driver),
        "health": { "status": answer.health.status.name(), "detail": answer.health.detail, "said": answer.said },
        "reading": reading,
        "errors": complaints,
        "changes": { "files": changes.flatten(), "steps": steps },
        "findings": findings,
    }))
}

fn driver(facts: &DriverFacts) -> Value {
    let unproven = facts.standing.rows().into_iter().filter(|(_, standing)| *standing == Standing::Read);
    json!({
        "source": facts.source,
        "versions": facts.versions.to_string(),
        "read_only_in_source": unproven.map(|(name, _)| name).collect::<Vec<_>>(),
    })
}

/// Returns what a runtime says it has read, or why it says nothing.
async fn reading(docker: &Docker, container: &str, command: &[String], driver: &dyn Driver) -> Value {
    let output = match docker.exec(container, command, READING).await {
        Ok(output) => output,
        // One that hangs, or stopped just now, keeps nothing else from being told.
        Err(error) => return json!({ "failed": error.reason }),
    };
    let told = driver.read_configuration(&output);
    let answer = told.lines().rev().find_map(|line| serde_json::from_str::<Value>(line.trim()).ok());
    let answer = answer.or_else(|| serde_json::from_str(&told).ok()).filter(Value::is_object);
    answer.unwrap_or_else(|| {
        let said = if output.stderr.trim().is_empty() { &*told } else { &output.stderr };
        let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        json!({ "failed": format!("exit {}: {}", output.exit_code, short(last)) })
    })
}

/// Returns what is wrong with what a runtime read.
fn judged(inference: &Inference, reading: &Value) -> Vec<String> {
    let texts =
        |key: &str| -> Vec<&str> { reading[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect() };
    let mut findings = Vec::new();
    if let Some(why) = reading["failed"].as_str() {
        findings.push(format!("its runtime cannot tell what it read: {}", short(why)));
    }
    let (meant, name) = match inference {
        Inference::Proxied { endpoint, .. } => (vec![endpoint.as_str()], "the pod's proxy"),
        Inference::Direct { upstreams } => {
            (upstreams.values().map(|upstream| upstream.base_url.as_str()).collect(), "a provider of its models")
        }
    };
    // Without a provider nothing is known of whom it should ask.
    if !meant.is_empty() {
        if texts("endpoints").is_empty() && reading["failed"].is_null() {
            findings.push(format!("its runtime names no endpoint of models: {name} is not among what it read"));
        }
        let others =
            texts("endpoints").into_iter().filter(|found| meant.iter().all(|each| origin(found) != origin(each)));
        let meant = meant.join(", ");
        findings.extend(others.map(|found| format!("it would ask {} and not {name}, {meant}", short(found))));
    }
    findings.extend(texts("ignored").into_iter().map(|key| format!("its runtime does not know the key `{key}`")));
    findings.extend(texts("warnings").into_iter().map(|text| format!("its runtime warns: {}", short(text))));
    findings
}

/// Returns whom a URL asks: its scheme, host and port. What follows is a matter of the runtime, which may add `/v1` itself.
fn origin(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (scheme, host) = (scheme.to_ascii_lowercase(), rest.split('/').next().unwrap_or("").to_ascii_lowercase());
    let usual = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => "",
    };
    format!("{scheme}://{}", host.strip_suffix(usual).unwrap_or(&host))
}

/// Returns the last lines in which the agent complains, and what the gate and the proxy refused it.
async fn complaints(session: &Session<'_>, id: &str, containers: &[Seen]) -> Result<Vec<String>, CommandError> {
    let own: Vec<Seen> = containers
        .iter()
        .filter(|seen| seen.service() == id || matches!(seen.label(label::ROLE), "proxy" | GATE))
        .cloned()
        .collect();
    let options = LogOptions { tail: Some(LOOKED_AT), ..LogOptions::default() };
    let mut found = Vec::new();
    read(&own, &options, session.docker().await?, &mut |seen, line| {
        let text = line.line.text.trim();
        let is_told = match seen.service() == id {
            true => is_complaint(text),
            false => refusal(text, id),
        };
        if is_told {
            found.push(format!("{} {}: {}", line.line.time.get(..19).unwrap_or(""), line.source, short(text)));
        }
    })
    .await;
    found.drain(..found.len().saturating_sub(TOLD));
    Ok(found)
}

/// Returns whether a line of a runtime's log says that something went wrong.
fn is_complaint(text: &str) -> bool {
    if let Ok(line) = serde_json::from_str::<Value>(text)
        && let Some(level) = line["level"].as_str().or_else(|| line["severity"].as_str())
    {
        return matches!(level.to_ascii_lowercase().as_str(), "error" | "fatal" | "critical" | "panic");
    }
    let lower = text.to_ascii_lowercase();
    COMPLAINTS.iter().any(|word| lower.contains(word))
}

/// Returns whether a line of the gate or a proxy is about something this agent was refused, or that failed.
fn refusal(text: &str, id: &str) -> bool {
    let Ok(line) = serde_json::from_str::<Value>(text) else { return false };
    line["claw_id"] == id
        && matches!(line["type"].as_str(), Some("egress_denied" | "egress_failed" | "error" | "denied"))
}

fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    plain(&line.chars().take(240).collect::<String>())
}

/// Returns a text without what a terminal would obey: it comes from a container.
fn plain(text: &str) -> String {
    visible(text).replace('\n', " ")
}

/// Returns the text for people: what is wrong first.
fn as_text(found: &Value) -> String {
    let text = |value: &Value| plain(value.as_str().unwrap_or(""));
    let list = |value: &Value| -> Vec<String> { value.as_array().into_iter().flatten().map(text).collect() };
    let mut out = format!("{}: {} in {}\n", text(&found["agent"]), text(&found["runtime"]), text(&found["image"]));
    let mut section = |title: &str, lines: Vec<String>, none: &str| {
        let lines = if lines.is_empty() && !none.is_empty() { vec![none.to_owned()] } else { lines };
        for (index, line) in lines.iter().enumerate() {
            out.push_str(&format!("  {:<13} {line}\n", if index == 0 { title } else { "" }));
        }
    };
    section("findings", list(&found["findings"]), "none");
    let driver = &found["driver"];
    let unproven = list(&driver["read_only_in_source"]);
    let unproven =
        if unproven.is_empty() { String::new() } else { format!("; read and not run: {}", unproven.join(", ")) };
    section("driver", vec![format!("from {}{unproven}", text(&driver["source"]))], "");
    section("health", vec![format!("{}: {}", text(&found["health"]["status"]), text(&found["health"]["detail"]))], "");
    let reading = &found["reading"];
    if reading.is_object() {
        section("asks", list(&reading["endpoints"]), "nobody");
        section("models", list(&reading["models"]), "none");
    }
    section("last errors", list(&found["errors"]), "none");
    let mut changes = list(&found["changes"]["files"]);
    let steps = found["changes"]["steps"].as_array().into_iter().flatten();
    changes.extend(
        steps.map(|step| format!("{} {}: {}", text(&step["action"]), text(&step["resource"]), text(&step["cause"]))),
    );
    section("would change", changes, "nothing");
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use claw_types::agent::Upstream;
    use claw_types::id::ProviderName;
    use claw_types::provider::WireFormat;

    use super::*;

    fn direct(urls: &[&str]) -> Inference {
        let upstream =
            |url: &&str| Upstream { base_url: (*url).to_owned(), format: WireFormat::OpenAi, key: None, service: None };
        let names = ["one", "two", "three"].map(|name| ProviderName::parse(name).expect("a name"));
        let upstreams: BTreeMap<_, _> = names.into_iter().zip(urls.iter().map(upstream)).collect();
        Inference::Direct { upstreams }
    }

    #[test]
    fn endpoints_that_nobody_declared_are_told() {
        let found = |inference: &Inference, endpoints: Value| {
            judged(inference, &json!({"endpoints": endpoints, "ignored": [], "warnings": []}))
        };
        let two = direct(&["https://api.one.example/v1", "http://llm:8000/v1"]);
        assert_eq!(found(&two, json!(["https://API.one.example:443", "http://llm:8000/v1/"])), Vec::<String>::new());
        let meant = "and not a provider of its models, https://api.one.example/v1, http://llm:8000/v1";
        for other in ["default of openai", "https://openrouter.ai/api/v1", "http://api.one.example/v1", "http://llm/v1"]
        {
            let told = found(&two, json!(["https://api.one.example", other]));
            assert_eq!(told, [format!("it would ask {other} {meant}")]);
        }
        let told = found(&two, json!([]));
        assert_eq!(
            told,
            ["its runtime names no endpoint of models: a provider of its models is not among what it read"]
        );
        assert_eq!(found(&direct(&[]), json!(["https://openrouter.ai/api/v1"])), Vec::<String>::new());
        let failed = judged(&two, &json!({"failed": "exit 1: x\u{1b}[2J"}));
        assert_eq!(failed, ["its runtime cannot tell what it read: exit 1: x[2J"]);
        let warned =
            judged(&two, &json!({"endpoints": ["http://llm:8000"], "ignored": ["a.b"], "warnings": ["no verdict"]}));
        assert_eq!(warned, ["its runtime does not know the key `a.b`", "its runtime warns: no verdict"]);
    }

    #[test]
    fn complaints_are_told_from_other_lines() {
        for line in
            ["Error: no such file", "Traceback (most recent call last):", r#"{"level":"error","msg":"x"}"#, "EACCES: x"]
        {
            assert!(is_complaint(line), "{line}");
        }
        for line in ["ready", r#"{"level":"info","msg":"no error"}"#, ""] {
            assert!(!is_complaint(line), "{line}");
        }
        assert_eq!(short("a\u{1b}[2Jb\tc\u{202e}"), "a[2Jb c");
        assert!(refusal(r#"{"type":"egress_denied","claw_id":"bot"}"#, "bot"));
        assert!(!refusal(r#"{"type":"egress_denied","claw_id":"bot-2"}"#, "bot"));
        assert!(!refusal(r#"{"type":"response","claw_id":"bot"}"#, "bot"));
    }
}
