//! The course of a call: read, judged, reserved, sent, answered. It runs on its own, so that a caller who goes away leaves
//! no call without an end.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use hyper::{HeaderMap, Response};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::app::App;
use crate::budget::{Amount, Exceeded};
use crate::calendar::{now, time_text};
use crate::dispatch::{self, Attempt};
use crate::door::Door;
use crate::fault::Fault;
use crate::hook;
use crate::ledger::book::{POD, Reserved};
use crate::limits::{Verdict, judge};
use crate::live::{Live, Phase};
use crate::manifest::{Action, Agent, LedgerFailure};
use crate::policy::{Candidate, choose, upstream_format};
use crate::relay::Outgoing;
use crate::room::{CALLS, Place};
use crate::tools;
use crate::wire::meter::Meter;
use crate::wire::request::{Bad, Request, read};
use crate::wire::shape::{VALUES, has_too_many_values};
use crate::{account, brake};

/// The longest id of a task.
const TASK: usize = 128;

/// A call as it came, with what was found out about it.
pub(crate) struct Call {
    /// Its id.
    pub(crate) id: String,
    /// The route.
    pub(crate) door: Door,
    /// Who calls.
    pub(crate) agent: String,
    /// Its headers.
    pub(crate) headers: HeaderMap,
    /// Its body, as it goes on.
    pub(crate) body: Bytes,
    /// What the body asks for.
    pub(crate) request: Request,
    /// When it began.
    pub(crate) began: Instant,
    /// The task it is for.
    pub(crate) task: Option<String>,
    /// What was done to it.
    pub(crate) intervention: Option<&'static str>,
    /// What to add to the body where nothing limits the output: so many tokens.
    pub(crate) limit: Option<u64>,
    /// How many attempts a provider took and never answered.
    pub(crate) lost: u32,
    /// What it holds in memory.
    pub(crate) place: RefCell<Option<Place>>,
    /// Ends its connection.
    pub(crate) hang_up: Rc<Notify>,
}

/// A call whose body was read.
pub(crate) struct Arrived {
    /// The route.
    pub(crate) door: Door,
    /// Who calls.
    pub(crate) agent: String,
    /// Its headers.
    pub(crate) headers: HeaderMap,
    /// Its body.
    pub(crate) body: Bytes,
    /// What it holds in memory.
    pub(crate) place: Place,
    /// Ends its connection.
    pub(crate) hang_up: Rc<Notify>,
}

/// What is known of a call from its beginning.
struct Arrival {
    began: Instant,
    id: String,
    /// Whether brakes have counted it.
    is_traced: Cell<bool>,
}

/// Answers a call.
pub(crate) async fn answer(app: Rc<App>, arrived: Arrived) -> Response<Outgoing> {
    let (door, agent) = (arrived.door, arrived.agent.clone());
    let began = Instant::now();
    let id = app.next_id();
    let arrival = Arrival { began, id: id.clone(), is_traced: Cell::new(false) };
    match course(&app, arrived, &arrival).await {
        Ok(mut response) => {
            if !response.headers().contains_key("x-claw-request-id") {
                dispatch::set(response.headers_mut(), "x-claw-request-id", &id);
            }
            response
        }
        Err(fault) => {
            // A call that came to nothing is asked again with good reason.
            if fault.kind != "brake_engaged"
                && arrival.is_traced.get()
                && let Some(trail) = app.trails.borrow_mut().get_mut(&agent)
            {
                trail.nothing();
            }
            refuse(&app, door, &agent, &id, &fault)
        }
    }
}

/// Writes down that the next proxy of the chain refused a call; it says itself why.
pub(crate) fn told(app: &App, call: &Call, status: u16) {
    let error = "the next proxy refuses it";
    let more = json!({
        "request_id": call.id, "path": call.door.path(), "status_code": status, "error": error, "kind": "chain_refused", "field": null,
    });
    app.audit.event("error", now(), Some(&call.agent), crate::app::map(more));
    app.metrics.borrow_mut().denied(&call.agent, "chain_refused");
    if let Some(trail) = app.trails.borrow_mut().get_mut(&call.agent) {
        trail.nothing();
    }
    app.touch();
}

/// Returns the answer of a call that did not go through, and writes it down.
pub(crate) fn refuse(app: &App, door: Door, agent: &str, id: &str, fault: &Fault) -> Response<Outgoing> {
    let more = json!({
        "request_id": id,
        "path": door.path(),
        "status_code": fault.status,
        "error": fault.message,
        "kind": fault.kind,
        "field": fault.field,
    });
    app.audit.event("error", now(), Some(agent), crate::app::map(more));
    app.metrics.borrow_mut().denied(agent, fault.kind);
    app.touch();
    let mut response = dispatch::fault_response(fault, door.format());
    dispatch::set(response.headers_mut(), "x-claw-request-id", id);
    response
}

async fn course(app: &Rc<App>, arrived: Arrived, arrival: &Arrival) -> Result<Response<Outgoing>, Fault> {
    let Arrived { door, agent: agent_id, headers, body, place, hang_up } = arrived;
    if app.is_stopping.get() {
        return Err(Fault::new(503, "stopping", "the proxy is about to stop").retry_after(5_000));
    }
    let Some(agent) = app.agent(&agent_id) else {
        return Err(Fault::new(401, "unauthorized", "no such agent"));
    };
    if app.in_flight(&agent_id) >= CALLS {
        let message = format!("{CALLS} calls of this agent are under way: wait for one to end");
        return Err(Fault::new(429, "too_many_calls", message).retry_after(1_000));
    }
    let request = read(&body).map_err(bad)?;
    if door != Door::Embeddings && has_too_many_values(&body) {
        let message = format!("the body holds more than {VALUES} values");
        return Err(Fault::new(413, "request_too_large", message));
    }
    if let Some(field) = background(&request, &body) {
        let message = format!("`{field}` is answered later and elsewhere: the proxy could not say what it costs");
        return Err(Fault::new(400, "unsupported_request", message).field(field));
    }
    let task = task(&headers)?;
    let mut call = Call {
        id: arrival.id.clone(),
        door,
        agent: agent_id.clone(),
        headers,
        body,
        request,
        began: arrival.began,
        task,
        intervention: None,
        limit: None,
        lost: 0,
        place: RefCell::new(Some(place)),
        hang_up,
    };
    braked(app, agent, &mut call, &arrival.is_traced)?;
    let candidates = candidates(app, agent, &mut call)?;
    scope_tools(app, agent, &mut call)?;
    hook::gate_request(app, agent, &mut call).await?;
    // What was amended may have brought tools along.
    scope_tools(app, agent, &mut call)?;
    send(app, agent, &mut call, candidates).await
}

/// Returns the member that has a call answered later, where one is set.
fn background(request: &Request, body: &[u8]) -> Option<&'static str> {
    request.value(body, "background").filter(|value| *value == b"true").map(|_| "background")
}

fn bad(bad: Bad) -> Fault {
    let fault = Fault::new(400, "invalid_request", bad.why);
    match bad.field {
        Some(field) => fault.field(field),
        None => fault,
    }
}

fn task(headers: &HeaderMap) -> Result<Option<String>, Fault> {
    let Some(value) = headers.get("x-claw-task") else { return Ok(None) };
    let text = value.to_str().ok().filter(|text| !text.is_empty() && text.len() <= TASK);
    let wrong = || Fault::new(400, "invalid_request", format!("`x-claw-task` is at most {TASK} printable characters"));
    text.map(|text| Some(text.to_owned())).ok_or_else(|| wrong().field("x-claw-task"))
}

/// Returns the part of a body that is the conversation.
fn conversation(call: &Call) -> &[u8] {
    let part = ["messages", "input", "prompt"].iter().find_map(|key| call.request.value(&call.body, key));
    part.unwrap_or(b"[]")
}

fn braked(app: &App, agent: &Agent, call: &mut Call, is_traced: &Cell<bool>) -> Result<(), Fault> {
    let Some(brakes) = agent.brakes.filter(|_| call.door.generates()) else { return Ok(()) };
    let trace = brake::trace(&call.body, conversation(call));
    is_traced.set(true);
    let braked = {
        let mut trails = app.trails.borrow_mut();
        trails.entry(call.agent.clone()).or_default().request(&trace, &brakes)
    };
    let Some(braked) = braked else { return Ok(()) };
    let message = braked.message();
    app.intervene(&call.agent, "brake", &message, &call.id);
    call.intervention = Some("brake");
    match brakes.action {
        crate::manifest::BrakeAction::Warn => Ok(()),
        crate::manifest::BrakeAction::Stop => Err(Fault::new(429, "brake_engaged", message).retry_after(60_000)),
    }
}

fn candidates(app: &App, agent: &Agent, call: &mut Call) -> Result<Vec<Candidate>, Fault> {
    let wanted = call.request.model.as_deref();
    let choice = choose(agent, wanted).map_err(|refused| {
        let asked = wanted.unwrap_or("none");
        let message = format!("the model `{asked}` is not one of this agent's: {}", refused.allowed.join(", "));
        app.intervene(&call.agent, "model_refused", &message, &call.id);
        Fault::new(403, "model_not_allowed", message).field("model").with("allowed", json!(refused.allowed))
    })?;
    if choice.is_clamped {
        let first = choice.candidates.first().map(Candidate::name).unwrap_or_default();
        let message = format!("`{}` is in no slot: `{first}` is taken", wanted.unwrap_or("none"));
        app.intervene(&call.agent, "model_clamped", &message, &call.id);
        call.intervention = Some("model_clamped");
    }
    // What one model counts or embeds is nothing to another.
    let most = if call.door.generates() { usize::MAX } else { 1 };
    let known: Vec<Candidate> = choice.candidates.into_iter().filter(|each| app.knows(each)).take(most).collect();
    if known.is_empty() {
        return Err(Fault::new(
            502,
            "no_provider",
            "the proxy has no provider for this model: see `cllama-env` and `providers` of the pod",
        ));
    }
    Ok(known)
}

fn scope_tools(app: &App, agent: &Agent, call: &mut Call) -> Result<(), Fault> {
    let Some(scope) = agent.tools.as_ref().filter(|_| call.door != Door::Embeddings) else { return Ok(()) };
    let Some(scoped) = tools::scoped(&call.body, &call.request, scope).map_err(bad)? else { return Ok(()) };
    let message = format!("tools that this agent may not use were taken out: {}", scoped.removed.join(", "));
    app.intervene(&call.agent, "tool_removed", &message, &call.id);
    call.intervention = Some("tool_removed");
    call.request = read(&scoped.body).map_err(bad)?;
    call.body = Bytes::from(scoped.body);
    Ok(())
}

/// Asks one candidate after the other, each with its own reservation, until one answers.
async fn send(
    app: &Rc<App>,
    agent: &Agent,
    call: &mut Call,
    mut candidates: Vec<Candidate>,
) -> Result<Response<Outgoing>, Fault> {
    let mut last: Option<Fault> = None;
    let mut attempts = 0;
    let (mut is_downgraded, mut is_lost) = (false, false);
    while !candidates.is_empty() {
        let target = candidates.remove(0);
        if target.provider == "openrouter" && call.request.has("models") {
            let message = "which models are asked is the pod's to say: `models` names others";
            return Err(Fault::new(403, "model_not_allowed", message).field("models"));
        }
        let amount = match judge(app, agent, call, &target, is_downgraded) {
            Verdict::Goes(amount) => amount,
            Verdict::Unpriced(fault) => {
                last = Some(fault);
                continue;
            }
            Verdict::Never(fault) => return Err(fault),
            Verdict::Downgrade(over) if !is_downgraded && call.door.generates() => {
                is_downgraded = true;
                let others = crate::policy::fallbacks(agent).into_iter().filter(|each| app.knows(each));
                candidates = others.collect();
                last = Some(exceeded(app, agent, &over));
                let Some(to) = candidates.first().map(Candidate::name) else { continue };
                if to == target.name() {
                    continue;
                }
                app.intervene(
                    &call.agent,
                    "budget",
                    &format!("the budget is used up: `{to}` instead of `{}`", target.name()),
                    &call.id,
                );
                call.intervention = Some("budget");
                continue;
            }
            Verdict::Downgrade(over) | Verdict::Refused(over) => {
                let fault = exceeded(app, agent, &over);
                app.intervene(&call.agent, "budget", &fault.message, &call.id);
                return Err(fault);
            }
        };
        let live = register(app, agent, call, target, amount)?;
        match dispatch::attempt(app, call, &live, &mut attempts).await {
            Attempt::Answered(response) => return Ok(response),
            Attempt::Lost(fault) => {
                if !std::mem::replace(&mut is_lost, true) {
                    candidates.insert(0, live.borrow().target.clone());
                }
                call.lost += 1;
                last = Some(fault);
            }
            Attempt::Next(fault) => {
                app.release(&live);
                if !candidates.is_empty() {
                    let more =
                        json!({"request_id": call.id, "from": live.borrow().target.name(), "error": fault.message});
                    app.audit.event("failover", now(), Some(&call.agent), crate::app::map(more));
                }
                // What is worth another try says more than what is not.
                last = Some(match last {
                    Some(known) if known.retry_after_ms.is_some() && fault.retry_after_ms.is_none() => known,
                    _ => fault,
                });
            }
            Attempt::Failed(fault) => {
                app.release(&live);
                return Err(fault);
            }
        }
    }
    Err(last.unwrap_or_else(|| Fault::new(502, "no_provider", "no provider is left to ask")))
}

/// Writes down that a call goes out.
fn register(
    app: &App,
    agent: &Agent,
    call: &Call,
    target: Candidate,
    amount: Amount,
) -> Result<Rc<std::cell::RefCell<Live>>, Fault> {
    let at = now();
    // A call that was lost on the way stands in the ledger under its own id, and what came after it under one of its own.
    let id = if call.lost == 0 { call.id.clone() } else { format!("{}.{}", call.id, call.lost) };
    let reserved = Reserved {
        id: id.clone(),
        at,
        agent: call.agent.clone(),
        provider: target.provider.clone(),
        model: target.model.clone(),
        amount,
        task: call.task.clone(),
    };
    let written = app.ledger.borrow_mut().reserve(&reserved);
    if let Err(error) = written {
        app.alarm(format!("the ledger cannot be written: {error}"));
        let may_go = app.manifest.ledger_failure == LedgerFailure::Allow && app.ledger.borrow().has_room();
        if !may_go {
            let message =
                "the proxy cannot write down what calls cost, so it lets none through: its disk is full or refuses";
            return Err(Fault::new(503, "ledger_unavailable", message).retry_after(30_000));
        }
        app.ledger.borrow_mut().reserve_unwritten(&reserved);
    }
    let own = app.manifest.providers.get(&target.provider).map_or(call.door.format(), |provider| provider.format);
    let format = if app.manifest.next.is_some() {
        call.door.format()
    } else {
        upstream_format(&target.provider, own, call.door.format())
    };
    Ok(app.register(Live {
        id,
        agent: call.agent.clone(),
        service: agent.service.clone(),
        path: call.door.path(),
        wanted: call.request.model.clone(),
        meter: Meter::new(format, &target.provider),
        target,
        generates: call.door.generates(),
        is_free: call.door == Door::CountTokens,
        is_stream: call.request.is_stream && call.door.generates(),
        began: call.began,
        at,
        first_byte: None,
        asked: call.began,
        phase: Phase::Waiting,
        reserved: amount,
        input_estimate: account::tokens(call.body.len() as u64),
        bytes_in: call.body.len(),
        attempts: 0,
        status: 200,
        intervention: call.intervention,
        task: call.task.clone(),
        is_unread: false,
        hang_up: Rc::clone(&call.hang_up),
        is_settled: false,
        settled: None,
    }))
}

/// Returns what an agent is told whose budget is used up.
fn exceeded(app: &App, agent: &Agent, over: &(String, Exceeded)) -> Fault {
    let (account, over) = over;
    let at = now();
    let limits = crate::limits::limits(app, agent, account);
    let Some(limit) = limits.get(over.limit) else {
        return Fault::new(429, "budget_exceeded", "the budget is used up");
    };
    let standing = app.ledger.borrow_mut().book.account(account).standing(limit, at);
    let whose = if account == POD { "the pod's" } else { "this agent's" };
    let message = format!(
        "{whose} budget by the {} is used up: {} at the limit; enough is free again at {}",
        limit.window.name(),
        if over.action == Action::RateLimit { "one call a minute passes" } else { "calls are refused" },
        time_text(over.frees_at)
    );
    let budget = json!({
        "scope": if account == POD { "pod" } else { "agent" },
        "window": limit.window.name(),
        "action": limit.action.name(),
        "limit": limit.usd.map(|usd| usd.to_string()),
        "spent": standing.spent.usd.to_string(),
        "reserved": standing.reserved.usd.to_string(),
        "remaining": standing.usd_left.map(|left| left.to_string()),
        "limit_tokens": limit.tokens,
        "spent_tokens": standing.spent.tokens,
        "limit_requests": limit.requests,
        "spent_requests": standing.spent.requests,
        "resets_at": time_text(over.frees_at),
    });
    let wait = if over.action == Action::RateLimit { 60_000 } else { over.frees_at.saturating_sub(at) };
    let fault = Fault::new(429, "budget_exceeded", message).retry_after(wait);
    fault.with("budget", budget).with("retry_at", Value::from(over.frees_at))
}
