//! The policy service: judges requests before they go out and answers before they arrive, and scores calls. Where it does not
//! answer in time, nothing passes, unless the pod says otherwise.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper::header::{HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::app::App;
use crate::call::Call;
use crate::fault::Fault;
use crate::ledger::book::Entry;
use crate::manifest::{Agent, PolicyFailure};
use crate::relay::{Outgoing, Relay};
use crate::wire::request::read;

/// The most bytes of a stream that are held for judgement.
const HELD: usize = 8 << 20;

/// What the service says.
enum Verdict {
    Allow,
    Deny(String),
    Amend(Bytes),
}

/// Returns whether answers are judged: streams are held until they are.
pub(crate) fn judges_answers(app: &App) -> bool {
    app.manifest.policy.is_some()
}

async fn ask(app: &App, stage: &str, body: String) -> Result<Value, String> {
    let Some(policy) = &app.manifest.policy else { return Ok(Value::Null) };
    let url = format!("{}/policy/{stage}", policy.url.trim_end_matches('/'));
    let mut request =
        Request::post(url).body(Full::new(Bytes::from(body))).map_err(|_| "its URL is none".to_owned())?;
    let headers = request.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    if let Some(token) = &app.policy_token {
        let value = token.with(|bytes| HeaderValue::from_bytes(&zeroize::Zeroizing::new([b"Bearer ", bytes].concat())));
        let mut value = value.map_err(|_| "its token is none".to_owned())?;
        value.set_sensitive(true);
        headers.insert(HeaderName::from_static("authorization"), value);
    }
    let asked = async {
        let response = app.client.request(request).await.map_err(|_| "it cannot be reached".to_owned())?;
        let status = response.status();
        let body = Limited::new(response.into_body(), 64 << 20)
            .collect()
            .await
            .map_err(|_| "its answer broke off".to_owned())?;
        if !status.is_success() {
            return Err(format!("it answered {}", status.as_u16()));
        }
        serde_json::from_slice(&body.to_bytes()).map_err(|_| "its answer is no JSON".to_owned())
    };
    let within = Duration::from_millis(policy.timeout_ms);
    tokio::time::timeout(within, asked).await.unwrap_or_else(|_| Err("it did not answer in time".to_owned()))
}

fn verdict(said: &Value, body: &str) -> Result<Verdict, String> {
    let reason =
        said.get("reason").and_then(Value::as_str).unwrap_or("no reason was given").chars().take(1000).collect();
    match said.get("verdict").and_then(Value::as_str) {
        Some("allow") => Ok(Verdict::Allow),
        Some("deny") => Ok(Verdict::Deny(reason)),
        Some("amend") => match said.get(body) {
            Some(amended) if amended.is_object() => Ok(Verdict::Amend(Bytes::from(amended.to_string()))),
            _ => Err(format!("it amends without `{body}`")),
        },
        _ => Err("its verdict is none of allow, deny, amend".to_owned()),
    }
}

fn unanswered(app: &App, call: &Call, why: &str) -> Result<(), Fault> {
    app.alarm(format!("the policy service: {why}"));
    let failure = app.manifest.policy.as_ref().map(|policy| policy.failure).unwrap_or_default();
    match failure {
        PolicyFailure::Open => {
            app.intervene(&call.agent, "policy", &format!("not judged: {why}"), &call.id);
            Ok(())
        }
        PolicyFailure::Closed => {
            let message = format!("the policy service could not judge this call: {why}");
            Err(Fault::new(503, "policy_unavailable", message).retry_after(5_000))
        }
    }
}

fn denied(app: &App, call: &Call, reason: &str) -> Fault {
    app.intervene(&call.agent, "policy", reason, &call.id);
    Fault::new(403, "policy_denied", format!("the pod's policy refuses this: {reason}"))
}

/// Has a request judged, then decorated.
///
/// # Errors
/// Where it is refused, or not judged in time.
pub(crate) async fn gate_request(app: &App, agent: &Agent, call: &mut Call) -> Result<(), Fault> {
    if app.manifest.policy.is_none() || !call.door.generates() {
        return Ok(());
    }
    for stage in ["gate-request", "decorate"] {
        // As text: a tree of it would be held for as long as the service takes.
        let request: Value = serde_json::from_slice(&call.body).unwrap_or_default();
        let body = json!({
            "v": 1, "stage": stage, "request_id": call.id, "agent": call.agent, "pod": app.manifest.pod, "path": call.door.path(),
            "contract": agent.contract, "request": request,
        })
        .to_string();
        drop(request);
        let said = ask(app, stage, body).await.and_then(|said| verdict(&said, "request"));
        match said {
            Ok(Verdict::Allow) => {}
            Ok(Verdict::Deny(reason)) => return Err(denied(app, call, &reason)),
            Ok(Verdict::Amend(amended)) => {
                call.request = read(&amended).map_err(|bad| Fault::new(502, "policy_error", bad.why))?;
                call.body = amended;
                call.intervention = Some("policy");
                app.intervene(&call.agent, "policy", &format!("the request was amended by {stage}"), &call.id);
            }
            Err(why) => unanswered(app, call, &why)?,
        }
    }
    Ok(())
}

/// Has an answer judged. Returns it, or what it is amended to.
///
/// # Errors
/// Where it is refused, or not judged in time.
pub(crate) async fn gate_answer(app: &Rc<App>, call: &Call, bytes: Bytes) -> Result<Bytes, Fault> {
    let Some(agent) = app.agent(&call.agent).filter(|_| app.manifest.policy.is_some() && call.door.generates()) else {
        return Ok(bytes);
    };
    let response: Value = serde_json::from_slice(&bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(&bytes)));
    let body = json!({
        "v": 1, "stage": "gate-response", "request_id": call.id, "agent": call.agent, "pod": app.manifest.pod,
        "contract": agent.contract, "response": response,
    });
    drop(response);
    let text = body.to_string();
    score(app, call, body);
    let said = ask(app, "gate-response", text).await.and_then(|said| verdict(&said, "response"));
    match said {
        Ok(Verdict::Allow) => Ok(bytes),
        Ok(Verdict::Deny(reason)) => Err(denied(app, call, &reason)),
        Ok(Verdict::Amend(amended)) => {
            app.intervene(&call.agent, "policy", "the answer was amended", &call.id);
            Ok(amended)
        }
        Err(why) => unanswered(app, call, &why).map(|()| bytes),
    }
}

/// Holds a stream until it is judged: what was said cannot be taken back.
pub(crate) async fn gate_stream(app: &Rc<App>, call: &Call, relay: Relay) -> Outgoing {
    let format = call.door.format();
    let held = match Limited::new(relay, HELD).collect().await {
        Ok(held) => held.to_bytes(),
        Err(_) => {
            let fault = Fault::new(502, "policy_error", "the answer is too long to be judged");
            return Outgoing::from(fault.event(format));
        }
    };
    match gate_answer(app, call, held.clone()).await {
        // A stream cannot be amended: it goes as it is, or not at all.
        Ok(bytes) if bytes == held => Outgoing::Whole(Full::new(held)),
        Ok(_) => Outgoing::from(Fault::new(502, "policy_error", "a streamed answer cannot be amended").event(format)),
        Err(fault) => Outgoing::from(fault.event(format)),
    }
}

/// Has a call scored, beside everything else: nobody waits for it.
fn score(app: &Rc<App>, call: &Call, mut body: Value) {
    let (app, agent) = (Rc::clone(app), call.agent.clone());
    body["stage"] = json!("score");
    let body = body.to_string();
    tokio::task::spawn_local(async move {
        let Ok(said) = ask(&app, "score", body).await else { return };
        let Some(score) = said.get("score").and_then(Value::as_f64).filter(|score| (0.0..=1.0).contains(score)) else {
            return;
        };
        let thousandths = (1..=1000_u32).filter(|each| f64::from(*each) <= score * 1000.0 + 0.5).max().unwrap_or(0);
        let entry = Entry::Score { agent: agent.clone(), score: thousandths };
        let noted = app.ledger.borrow_mut().note(&entry);
        if noted.is_err() {
            app.ledger.borrow_mut().book.apply(entry);
        }
        app.touch();
    });
}
