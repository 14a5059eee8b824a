//! One candidate is asked: key after key, once more after a failure of the provider's, and never again once a byte of an
//! answer has come.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use claw_types::provider::WireFormat;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Response};
use serde_json::Value;

use crate::account::End;
use crate::app::App;
use crate::calendar::now;
use crate::call::Call;
use crate::convert;
use crate::door::Door;
use crate::fault::Fault;
use crate::hook;
use crate::live::Live;
use crate::manifest::{Auth, Provider};
use crate::policy::upstream_format;
use crate::pool::{Outcome, Unready, wait_ms};
use crate::relay::{Mode, Outgoing, Relay};
use crate::room::For;
use crate::upstream::{FIRST_BYTE, copy_back, request};
use crate::wire::request::{limit_key, quoted, read};
use crate::wire::shape::{VALUES, has_too_many_values};

/// The most bytes of an answer that is no stream.
const ANSWER: usize = 24 << 20;

/// The most bytes of an error that are read.
const ERROR: usize = 1 << 20;

/// The kind of a fault, on its way, where the provider had taken the request.
const TAKEN: &str = "taken";

/// How an attempt ended.
pub(crate) enum Attempt {
    /// The caller has an answer.
    Answered(Response<Outgoing>),
    /// The next candidate may be asked; else this is the answer.
    Next(Fault),
    /// The same, after a call that is settled: the same candidate may be asked once more.
    Lost(Fault),
    /// No other candidate would answer otherwise.
    Failed(Fault),
}

/// Sets a header whose value is a text; one that no header can carry is left out.
pub(crate) fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// Returns the answer that tells a fault.
pub(crate) fn fault_response(fault: &Fault, format: WireFormat) -> Response<Outgoing> {
    let mut response = Response::new(Outgoing::from(fault.body(format)));
    *response.status_mut() = hyper::StatusCode::from_u16(fault.status).unwrap_or(hyper::StatusCode::BAD_GATEWAY);
    set(response.headers_mut(), "content-type", "application/json");
    if let Some(seconds) = fault.retry_after_seconds() {
        set(response.headers_mut(), "retry-after", &seconds.to_string());
    }
    response
}

/// What is sent, and how.
struct Outbound {
    url: String,
    format: WireFormat,
    auth: Auth,
    body: Bytes,
    /// The event with the usage was not asked for by the caller.
    hides: bool,
}

/// Asks a candidate.
pub(crate) async fn attempt(app: &Rc<App>, call: &Call, live: &Rc<RefCell<Live>>, attempts: &mut u32) -> Attempt {
    let target = live.borrow().target.clone();
    let provider = app.manifest.providers.get(&target.provider);
    let outbound = match outbound(app, call, &target, provider) {
        Ok(outbound) => outbound,
        Err(fault) => return Attempt::Next(fault),
    };
    if app.manifest.next.is_some() {
        *attempts += 1;
        live.borrow_mut().attempts = *attempts;
        return hand_on(app, call, live, &outbound).await;
    }
    // What a provider says of counting says nothing of answering.
    let known_as =
        if call.door.generates() { target.model.clone() } else { format!("{} ({})", target.model, call.door.path()) };
    let mut tried = Vec::new();
    let mut is_second = false;
    let mut last = None;
    loop {
        let picked = app
            .pools
            .borrow()
            .get(&target.provider)
            .map_or(Ok(0), |pool| pool.pick(&known_as, &call.agent, now(), &tried));
        let index = match picked {
            Ok(index) => index,
            Err(unready) => {
                let is_own = app.is_own(&target.provider);
                return Attempt::Next(last.unwrap_or_else(|| unready_fault(&target.provider, unready, is_own)));
            }
        };
        *attempts += 1;
        live.borrow_mut().attempts = *attempts;
        let used = app.key(&target.provider, index);
        let outcome = once(app, call, live, &outbound, &target.provider, index).await;
        // What is said of a key that was replaced meanwhile says nothing of the new one.
        let same = |key: Option<&Rc<_>>| match (key, used.as_ref()) {
            (Some(now), Some(then)) => Rc::ptr_eq(now, then),
            (now, then) => now.is_none() && then.is_none(),
        };
        let is_current = same(app.key(&target.provider, index).as_ref());
        let (outcome, fault) = match outcome {
            Ok(response) => {
                if is_current {
                    learn(app, &target.provider, index, &known_as, &call.agent, &Outcome::Good);
                }
                return reply(app, call, live, &outbound, response).await;
            }
            Err(failed) => failed,
        };
        if is_current {
            learn(app, &target.provider, index, &known_as, &call.agent, &outcome);
        }
        if fault.kind == TAKEN {
            // The provider has the request and may charge it: this call is settled, and another one has its own reservation.
            app.settle(live, End::Lost);
            return Attempt::Lost(lost(fault));
        }
        match &outcome {
            Outcome::Status { status: 401 | 402 | 403 | 429, .. } => tried.push(index),
            Outcome::Status { status, .. } if *status < 500 => return Attempt::Failed(fault),
            Outcome::Status { .. } | Outcome::Lost | Outcome::Good => {
                if is_second {
                    return Attempt::Next(fault);
                }
                is_second = true;
                tokio::time::sleep(jitter(&call.id)).await;
            }
        }
        last = Some(fault);
    }
}

/// Asks the next proxy of the chain, which judges and tries on its own: what it says is the answer, whatever it says.
async fn hand_on(app: &Rc<App>, call: &Call, live: &Rc<RefCell<Live>>, outbound: &Outbound) -> Attempt {
    let response = match once(app, call, live, outbound, "the next proxy", 0).await {
        Ok(response) => response,
        // There is one next proxy: no other candidate finds another.
        Err((_, fault)) if fault.kind == TAKEN => {
            app.settle(live, End::Lost);
            return Attempt::Failed(lost(fault));
        }
        Err((_, fault)) => return Attempt::Failed(fault),
    };
    if response.status().is_success() {
        return reply(app, call, live, outbound, response).await;
    }
    let (parts, body) = response.into_parts();
    let read = tokio::time::timeout(Duration::from_secs(10), Limited::new(body, ERROR).collect()).await;
    let body = read.ok().and_then(Result::ok).map(http_body_util::Collected::to_bytes).unwrap_or_default();
    app.release(live);
    crate::call::told(app, call, parts.status.as_u16());
    let mut answer = Response::new(Outgoing::Whole(http_body_util::Full::new(body)));
    *answer.status_mut() = parts.status;
    copy_back(&parts.headers, answer.headers_mut());
    Attempt::Answered(answer)
}

/// Returns what the caller is told of a call that was taken and not answered.
fn lost(fault: Fault) -> Fault {
    let kind = if fault.status == 504 { "provider_timeout" } else { "provider_unreachable" };
    Fault { kind, ..fault }
}

/// Returns a wait between 50 and 250 milliseconds, other calls another one.
fn jitter(id: &str) -> Duration {
    let sum: u64 = id.bytes().fold(7, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    Duration::from_millis(50 + sum % 200)
}

fn learn(app: &App, provider: &str, index: usize, model: &str, agent: &str, outcome: &Outcome) {
    let changed =
        app.pools.borrow_mut().get_mut(provider).and_then(|pool| pool.learn(index, model, agent, outcome, now()));
    if let Some(changed) = changed {
        app.key_changed(provider, Some(agent), &changed);
    }
}

fn unready_fault(provider: &str, unready: Unready, is_own: bool) -> Fault {
    match unready {
        Unready::Until(at) => {
            let message = format!("every key of `{provider}` rests for this model: try again later");
            Fault::new(429, "provider_cooldown", message).retry_after(at.saturating_sub(now()))
        }
        Unready::Never if is_own => {
            let message = format!("`{provider}` does not answer: it is looked after every few seconds");
            Fault::new(503, "provider_absent", message).retry_after(5_000)
        }
        Unready::Never => {
            let message = format!("no key of `{provider}` can be used: its operator must look at `/keys`");
            Fault::new(502, "no_usable_key", message)
        }
    }
}

fn outbound(
    app: &App,
    call: &Call,
    target: &crate::policy::Candidate,
    provider: Option<&Provider>,
) -> Result<Outbound, Fault> {
    let door = call.door;
    let spoken = door.format();
    if let Some(next) = &app.manifest.next {
        let body = edited(call, spoken, &target.provider, &target.name());
        let url = format!("{next}{}", door.upstream_path(spoken));
        return Ok(Outbound { url, format: spoken, auth: Auth::None, body, hides: false });
    }
    let Some(provider) = provider else {
        return Err(Fault::new(502, "no_provider", format!("the proxy has no provider `{}`", target.provider)));
    };
    let format = upstream_format(&target.provider, provider.format, spoken);
    if door == Door::CountTokens && format != WireFormat::Anthropic {
        let message = format!("`{}` does not count tokens before a call", target.provider);
        return Err(Fault::new(400, "unsupported_conversion", message).field("model"));
    }
    if door == Door::Embeddings && format == WireFormat::Anthropic {
        let message = format!("`{}` has no embeddings", target.provider);
        return Err(Fault::new(400, "unsupported_conversion", message).field("model"));
    }
    let url = format!("{}{}", provider.base_url, door.upstream_path(format));
    let mut hides = false;
    let body = if format == spoken || !door.generates() {
        hides = spoken == WireFormat::OpenAi && call.request.is_stream && !call.request.wants_usage && door.generates();
        edited(call, format, &target.provider, &target.model)
    } else {
        translated(call, format, &target.model, &target.provider)?
    };
    Ok(Outbound { url, format, auth: provider.auth, body, hides })
}

/// Returns the body with the model as the provider calls it, and what the proxy must add.
fn edited(call: &Call, format: WireFormat, provider: &str, model: &str) -> Bytes {
    let mut edits = vec![("model", quoted(model))];
    if format == WireFormat::OpenAi && call.request.is_stream && !call.request.wants_usage && call.door.generates() {
        let options = call.request.value(&call.body, "stream_options").filter(|written| *written != b"null");
        let options =
            match options.and_then(|written| serde_json::from_slice::<serde_json::Map<String, Value>>(written).ok()) {
                Some(mut options) => {
                    options.insert("include_usage".to_owned(), Value::Bool(true));
                    Value::Object(options).to_string()
                }
                None => "{\"include_usage\":true}".to_owned(),
            };
        edits.push(("stream_options", options));
    }
    if let Some(limit) = call.limit {
        edits.push((limit_key(format, provider), limit.to_string()));
    }
    Bytes::from(call.request.edited(&call.body, &edits))
}

fn translated(call: &Call, format: WireFormat, model: &str, provider: &str) -> Result<Bytes, Fault> {
    let unsupported = |field: String, why: String| {
        Fault::new(400, "unsupported_conversion", format!("`{field}` cannot be said to `{provider}`: {why}"))
            .field(field)
    };
    // The model first: what another one calls differently depends on it.
    let body = call.request.edited(&call.body, &[("model", quoted(model))]);
    let body = convert::request(call.door.format(), format, &body).map_err(|why| unsupported(why.field, why.why))?;
    let request = read(&body).map_err(|bad| unsupported(bad.field.unwrap_or_default(), bad.why))?;
    let mut edits = Vec::new();
    if let Some(limit) = call.limit {
        edits.push((limit_key(format, provider), limit.to_string()));
    }
    Ok(Bytes::from(request.edited(&body, &edits)))
}

/// Sends the request once. A failure comes with what it says of the key, and with what the caller would be told.
async fn once(
    app: &App,
    call: &Call,
    live: &RefCell<Live>,
    outbound: &Outbound,
    provider: &str,
    index: usize,
) -> Result<Response<Incoming>, (Outcome, Fault)> {
    let key = app.key(provider, index).filter(|_| app.manifest.next.is_none());
    let is_anthropic = outbound.format == WireFormat::Anthropic;
    let made =
        request(&outbound.url, &call.headers, outbound.auth, key.as_deref(), is_anthropic, outbound.body.clone());
    let mut made = made.map_err(|why| {
        (Outcome::Status { status: 400, code: String::new(), wait_ms: None }, Fault::new(502, "bad_provider", why))
    })?;
    if app.manifest.next.is_some() {
        // The next proxy of the chain knows the agent by the same token.
        for name in ["authorization", "x-api-key", "x-goog-api-key", "x-claw-task"] {
            if let Some(value) = call.headers.get(name) {
                made.headers_mut().insert(HeaderName::from_static(name), value.clone());
            }
        }
    }
    let sent = tokio::time::timeout(FIRST_BYTE, app.client.request(made)).await;
    let response = match sent {
        Ok(Ok(response)) => response,
        Ok(Err(error)) if error.is_connect() => {
            let message = format!("`{provider}` cannot be reached");
            return Err((Outcome::Lost, Fault::new(502, "provider_unreachable", message).retry_after(2_000)));
        }
        Ok(Err(_)) => {
            let message = format!("`{provider}` broke off before it answered");
            return Err((Outcome::Lost, Fault::new(502, TAKEN, message).retry_after(2_000)));
        }
        Err(_) => {
            let fault = Fault::new(504, TAKEN, format!("`{provider}` did not answer in {} s", FIRST_BYTE.as_secs()));
            return Err((Outcome::Lost, fault));
        }
    };
    live.borrow_mut().first_byte.get_or_insert_with(std::time::Instant::now);
    if response.status().is_success() || app.manifest.next.is_some() {
        return Ok(response);
    }
    Err(refused(app, call, live, outbound, provider, response).await)
}

/// Reads why a provider refuses.
async fn refused(
    app: &App,
    call: &Call,
    live: &RefCell<Live>,
    outbound: &Outbound,
    provider: &str,
    response: Response<Incoming>,
) -> (Outcome, Fault) {
    live.borrow_mut().first_byte = None;
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let wait = wait_ms(|name| headers.get(name)?.to_str().ok().map(ToOwned::to_owned), now());
    let read = tokio::time::timeout(Duration::from_secs(10), Limited::new(response.into_body(), ERROR).collect()).await;
    let body = read.ok().and_then(Result::ok).map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let said: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let error = said.get("error").unwrap_or(&said);
    let text = |key: &str| error.get(key).and_then(Value::as_str);
    let is_plain = |each: &char| each.is_ascii_alphanumeric() || matches!(each, '_' | '-' | '.');
    let code: String = text("code").or_else(|| text("type")).unwrap_or("").chars().filter(is_plain).take(64).collect();
    let message = text("message").or_else(|| error.as_str()).unwrap_or("no reason was given");
    let message: String = message.chars().filter(|each| !each.is_control()).take(1000).collect();
    let message = app.masked(&message);
    let outcome = Outcome::Status { status, code: code.clone(), wait_ms: wait };
    // A key that is refused is not the agent's, and nothing it says of the key is the agent's business.
    let fault = match status {
        401 | 402 => Fault::new(502, "provider_key", format!("`{provider}` refuses the pod's key")),
        400..=499 => Fault::new(status, "provider_error", format!("`{provider}`: {message}")),
        _ => Fault::new(if status >= 500 { status } else { 502 }, "provider_error", format!("`{provider}`: {message}")),
    };
    let fault = fault.with("provider", serde_json::json!({"status": status, "code": code}));
    let fault = match (status, wait) {
        (429 | 503 | 529, wait) => fault.retry_after(wait.unwrap_or(30_000)),
        _ => fault,
    };
    let is_same = outbound.format == call.door.format();
    let fault = if is_same && matches!(status, 400 | 404 | 413 | 422) { verbatim(fault, &said) } else { fault };
    (outcome, fault)
}

/// The provider's own words about the caller's request, member by member.
fn verbatim(mut fault: Fault, said: &Value) -> Fault {
    if let Some(param) = said.get("error").and_then(|error| error.get("param")).and_then(Value::as_str) {
        fault.field = Some(param.to_owned());
    }
    fault
}

/// Hands a provider's answer on.
async fn reply(
    app: &Rc<App>,
    call: &Call,
    live: &Rc<RefCell<Live>>,
    outbound: &Outbound,
    response: Response<Incoming>,
) -> Attempt {
    let (parts, body) = response.into_parts();
    let kind =
        parts.headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or("").to_ascii_lowercase();
    let is_stream = live.borrow().is_stream;
    let encoding = parts.headers.get("content-encoding").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let is_packed = encoding.as_deref().is_some_and(|encoding| !matches!(encoding.trim(), "" | "identity"));
    if is_stream && is_packed {
        let kind = format!("a stream packed as {}", encoding.as_deref().unwrap_or_default());
        return Attempt::Answered(wrong_type(app, call, live, body, &kind).await);
    }
    let wanted = if is_stream { "text/event-stream" } else { "json" };
    if !kind.is_empty() && !kind.contains(wanted) {
        return Attempt::Answered(wrong_type(app, call, live, body, &kind).await);
    }
    let mut headers = HeaderMap::new();
    copy_back(&parts.headers, &mut headers);
    {
        let live = live.borrow();
        set(&mut headers, "x-claw-request-id", &live.id);
        set(&mut headers, "x-claw-model", &live.target.model);
        set(&mut headers, "x-claw-provider", &live.target.provider);
        set(&mut headers, "x-claw-attempts", &live.attempts.to_string());
    }
    if is_stream {
        return Attempt::Answered(stream(app, call, live, outbound, headers, body).await);
    }
    Attempt::Answered(whole(app, call, live, outbound, headers, (body, encoding)).await)
}

/// The answer is of another kind than was asked for: nobody can read it, and what it cost is not known.
async fn wrong_type(
    app: &Rc<App>,
    call: &Call,
    live: &Rc<RefCell<Live>>,
    body: Incoming,
    kind: &str,
) -> Response<Outgoing> {
    let read = tokio::time::timeout(Duration::from_secs(30), Limited::new(body, ERROR).collect()).await;
    let bytes = read.ok().and_then(Result::ok).map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let is_json = kind.contains("json");
    {
        let mut live = live.borrow_mut();
        live.is_stream = false;
        live.status = 502;
        live.meter.whole(&bytes);
        live.meter.seen.is_whole = false;
        let error = live.meter.seen.error.take().unwrap_or_else(|| format!("the provider answered with `{kind}`"));
        live.meter.seen.error = Some(error);
    }
    let said = live.borrow().meter.seen.error.clone().unwrap_or_default();
    app.settle(live, End::ErrorEvent);
    let message = if is_json { format!("the provider answered a stream with: {said}") } else { said };
    fault_response(&Fault::new(502, "bad_answer", message), call.door.format())
}

async fn stream(
    app: &Rc<App>,
    call: &Call,
    live: &Rc<RefCell<Live>>,
    outbound: &Outbound,
    headers: HeaderMap,
    body: Incoming,
) -> Response<Outgoing> {
    let spoken = call.door.format();
    let mode = match (outbound.format == spoken, outbound.hides) {
        (true, false) => Mode::Plain,
        (true, true) => Mode::Hiding,
        (false, _) => Mode::Translated(Box::new(convert::Stream::new(outbound.format, spoken))),
    };
    let has_trailer = call.headers.get("x-claw-trailer").is_some_and(|value| value.as_bytes() == b"1");
    let relay = Relay::new(Rc::clone(app), Rc::clone(live), body, mode, spoken, has_trailer);
    let outgoing = if hook::judges_answers(app) {
        hook::gate_stream(app, call, relay).await
    } else {
        Outgoing::Relay(Box::new(relay))
    };
    let mut response = Response::new(outgoing);
    *response.headers_mut() = headers;
    set(response.headers_mut(), "content-type", "text/event-stream");
    set(response.headers_mut(), "cache-control", "no-cache");
    response
}

async fn whole(
    app: &Rc<App>,
    call: &Call,
    live: &Rc<RefCell<Live>>,
    outbound: &Outbound,
    headers: HeaderMap,
    (body, encoding): (Incoming, Option<String>),
) -> Response<Outgoing> {
    let spoken = call.door.format();
    let bytes = match read_answer(call, body).await {
        Ok(bytes) => bytes,
        Err((end, fault)) => {
            live.borrow_mut().is_unread = true;
            live.borrow_mut().status = fault.status;
            live.borrow_mut().meter.seen.error = Some(fault.message.clone());
            app.settle(live, end);
            return fault_response(&fault, spoken);
        }
    };
    let unpacked = decoded(bytes, encoding.as_deref());
    live.borrow_mut().is_unread = unpacked.is_none();
    let bytes = unpacked.unwrap_or_default();
    live.borrow_mut().meter.whole(&bytes);
    let error = live.borrow().meter.seen.error.clone();
    if let Some(error) = error {
        live.borrow_mut().status = 502;
        app.settle(live, End::ErrorEvent);
        return fault_response(
            &Fault::new(502, "provider_error", format!("the provider answered with an error: {error}")),
            spoken,
        );
    }
    let is_same = outbound.format == spoken || !call.door.generates();
    // Nothing is built of it where nobody has to look into it.
    if (!is_same || hook::judges_answers(app)) && has_too_many_values(&bytes) {
        app.settle(live, End::Complete);
        let fault = Fault::new(502, "bad_answer", format!("the answer holds more than {VALUES} values"));
        return fault_response(&fault, spoken);
    }
    let translated = if is_same { Ok(bytes) } else { convert::reply(outbound.format, spoken, &bytes).map(Bytes::from) };
    app.settle(live, End::Complete);
    let bytes = match translated {
        Ok(bytes) => bytes,
        Err(why) => {
            let message = format!("the answer cannot be said in this format: `{}` {}", why.field, why.why);
            return fault_response(&Fault::new(502, "unsupported_conversion", message), spoken);
        }
    };
    let bytes = match hook::gate_answer(app, call, bytes).await {
        Ok(bytes) => bytes,
        Err(fault) => return fault_response(&fault, spoken),
    };
    // A caller that reads slowly holds its place.
    let bytes = match call.place.take() {
        Some(place) => place.kept(bytes),
        None => bytes,
    };
    let mut response = Response::new(Outgoing::Whole(http_body_util::Full::new(bytes)));
    *response.headers_mut() = headers;
    let cost = live.borrow().settled.map(|(cost, _)| cost).unwrap_or_default();
    set(response.headers_mut(), "x-claw-cost-usd", &cost.to_string());
    if let Some(left) = remaining(app, &call.agent) {
        set(response.headers_mut(), "x-claw-budget-remaining-usd", &left);
    }
    response
}

/// Reads an answer that is no stream.
async fn read_answer(call: &Call, mut body: Incoming) -> Result<Bytes, (End, Fault)> {
    let cut = || Fault::new(502, "answer_truncated", "the provider broke off before its answer was whole");
    let read = async {
        let mut out = Vec::new();
        while let Some(frame) = body.frame().await {
            let bytes = frame.map_err(|_| (End::UpstreamReset, cut()))?.into_data().unwrap_or_default();
            if out.len() + bytes.len() > ANSWER {
                let message = format!("the provider's answer is longer than {} MiB", ANSWER >> 20);
                return Err((End::UpstreamReset, Fault::new(502, "bad_answer", message)));
            }
            if let Some(place) = call.place.borrow_mut().as_mut() {
                let taken = place.take(bytes.len(), For::Answer);
                taken.map_err(|full| (End::UpstreamReset, Fault::new(502, "bad_answer", full.message)))?;
            }
            out.extend_from_slice(&bytes);
        }
        Ok(Bytes::from(out))
    };
    tokio::time::timeout(FIRST_BYTE, read).await.unwrap_or_else(|_| Err((End::Timeout, cut())))
}

/// Returns the least that is left of an agent's budgets of money.
fn remaining(app: &App, agent: &str) -> Option<String> {
    let row = app.agent(agent)?;
    let limits = crate::limits::limits(app, row, agent);
    let mut ledger = app.ledger.borrow_mut();
    let account = ledger.book.account(agent);
    let left = limits.iter().filter_map(|limit| account.standing(limit, now()).usd_left);
    left.min().map(|left| left.to_string())
}

/// Returns the bytes of an answer that a provider has packed though nobody asked it to; nothing where it cannot be unpacked.
fn decoded(bytes: Bytes, encoding: Option<&str>) -> Option<Bytes> {
    use std::io::Read;
    let mut out = Vec::new();
    match encoding.map(str::trim) {
        None | Some("identity" | "") => return Some(bytes),
        Some("gzip" | "x-gzip") => {
            let mut reader = flate2::read::GzDecoder::new(bytes.as_ref()).take(ANSWER as u64);
            reader.read_to_end(&mut out).ok()?;
        }
        Some("deflate") => {
            let mut reader = flate2::read::ZlibDecoder::new(bytes.as_ref()).take(ANSWER as u64);
            reader.read_to_end(&mut out).ok()?;
        }
        Some(_) => return None,
    }
    Some(Bytes::from(out))
}
