//! The operators' side: a page, and what it is made of. Nothing without a token; changes take the operators' own.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming};
use hyper::header::HeaderValue;
use hyper::{HeaderMap, Request, Response};
use serde_json::{Value, json};

use crate::app::App;
use crate::auth::token;
use crate::calendar::now;
use crate::dispatch::{fault_response, set};
use crate::fault::Fault;
use crate::ledger::book::{Entry, Override};
use crate::money::Money;
use crate::relay::Outgoing;
use crate::serve::{json_response, read_body};
use crate::state;

const FORMAT: claw_types::provider::WireFormat = claw_types::provider::WireFormat::OpenAi;

/// The page.
const PAGE: &str = include_str!("page.html");

/// Routes, with the methods they take.
const ROUTES: &[(&str, &str)] = &[
    ("/", "GET"),
    ("/health", "GET"),
    ("/state", "GET"),
    ("/events", "GET"),
    ("/costs/api", "GET"),
    ("/metrics", "GET"),
    ("/keys", "GET, POST"),
    ("/budgets", "GET, POST"),
    ("/reload", "POST"),
];

/// What a token lets its bearer do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Operator,
    Read,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Role::Operator => "operator",
            Role::Read => "read",
        }
    }
}

fn role(app: &App, headers: &HeaderMap) -> Option<Role> {
    let given = token(headers)?;
    let is = |token: &Option<crate::secret::SecretValue>| token.as_ref().is_some_and(|token| token.is(given));
    // Both are looked at, whatever the first says.
    let (is_operator, is_master) = (is(&app.ui_token), is(&app.master_token));
    if is_operator {
        Some(Role::Operator)
    } else if is_master {
        Some(Role::Read)
    } else {
        None
    }
}

/// Answers a request of an operator.
pub(crate) async fn answer(app: Rc<App>, request: Request<Incoming>) -> Response<Outgoing> {
    let path = request.uri().path().to_owned();
    let Some((_, methods)) = ROUTES.iter().find(|(route, _)| *route == path) else {
        let routes: Vec<&str> = ROUTES.iter().map(|(route, _)| *route).collect();
        return fault_response(
            &Fault::new(404, "not_found", "there is no such route").with("routes", json!(routes)),
            FORMAT,
        );
    };
    let method = request.method().as_str().to_owned();
    if !methods.split(", ").any(|each| each == method) {
        let mut response =
            fault_response(&Fault::new(405, "method_not_allowed", format!("this route takes {methods}")), FORMAT);
        set(response.headers_mut(), "allow", methods);
        return response;
    }
    if path == "/" {
        return page();
    }
    if path == "/health" {
        return json_response(&json!({"ok": true}));
    }
    let Some(role) = role(&app, request.headers()) else {
        let mut response =
            fault_response(&Fault::new(401, "unauthorized", "the operators' token is missing or wrong"), FORMAT);
        set(response.headers_mut(), "www-authenticate", "Bearer");
        return response;
    };
    if method == "POST" {
        return change(&app, &path, role, request).await.unwrap_or_else(|fault| fault_response(&fault, FORMAT));
    }
    let query = request.uri().query().unwrap_or("").to_owned();
    match path.as_str() {
        "/events" => events(app, role),
        "/costs/api" => costs(&app, &query),
        "/metrics" => {
            let mut response = Response::new(Outgoing::from(state::prometheus(&app).into_bytes()));
            set(response.headers_mut(), "content-type", "text/plain; version=0.0.4; charset=utf-8");
            response
        }
        "/keys" => json_response(&json!({"schema": "claw.cllama.keys.v1", "keys": state::keys(&app, now())})),
        "/budgets" => {
            let rows = app
                .manifest
                .agents
                .iter()
                .map(|(id, row)| json!({"agent": id, "budgets": state::budgets(&app, row, id)}));
            json_response(&json!({"schema": "claw.cllama.budgets.v1", "agents": rows.collect::<Vec<_>>()}))
        }
        _ => json_response(&state::state(&app, role.name())),
    }
}

fn costs(app: &App, query: &str) -> Response<Outgoing> {
    let by = query.split('&').find_map(|pair| pair.strip_prefix("by="));
    if by.is_some_and(|by| !matches!(by, "agent" | "model" | "day")) {
        return fault_response(
            &Fault::new(400, "invalid_request", "`by` is `agent`, `model` or `day`").field("by"),
            FORMAT,
        );
    }
    json_response(&state::costs(app, by))
}

/// Carries out a change. A page of another origin cannot ask for one, whatever token a browser may have.
async fn change(
    app: &Rc<App>,
    path: &str,
    role: Role,
    request: Request<Incoming>,
) -> Result<Response<Outgoing>, Fault> {
    if role != Role::Operator {
        return Err(Fault::new(403, "forbidden", "this token may look and not change"));
    }
    let headers = request.headers();
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let origin = text("origin").and_then(|origin| origin.split("://").nth(1)).map(ToOwned::to_owned);
    let is_foreign = origin.is_some_and(|origin| text("host") != Some(origin.as_str()));
    if is_foreign || text("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return Err(Fault::new(403, "forbidden", "a page of another origin may not change anything"));
    }
    let is_json = text("content-type").is_some_and(|kind| kind.starts_with("application/json"));
    let body = read_body(request.into_body(), None).await?;
    if path == "/reload" {
        let done = app.reload().map_err(|error| Fault::new(500, "reload_failed", error.to_string()))?;
        return Ok(json_response(&json!({"ok": true, "detail": done})));
    }
    let wrong = |field: &str, why: &str| Fault::new(400, "invalid_request", why).field(field);
    if !is_json {
        return Err(Fault::new(415, "unsupported_media_type", "a change is `application/json`"));
    }
    let body: Value =
        serde_json::from_slice(&body).map_err(|_| Fault::new(400, "invalid_request", "the body is no JSON"))?;
    let member = |name: &str| body.get(name).and_then(Value::as_str);
    if path == "/keys" {
        let (Some(provider), Some(key)) = (member("provider"), member("key")) else {
            return Err(wrong("key", "a change of a key names `provider`, `key` and `state`"));
        };
        let is_on = match member("state") {
            Some("ready") => true,
            Some("disabled") => false,
            _ => return Err(wrong("state", "`state` is `ready` or `disabled`")),
        };
        let changed = app.pools.borrow_mut().get_mut(provider).and_then(|pool| pool.set(key, is_on, now()));
        let Some(changed) = changed else { return Err(Fault::new(404, "not_found", "there is no such key")) };
        app.key_changed(provider, None, &changed);
        return Ok(json_response(&json!({"ok": true, "state": changed.to})));
    }
    set_budget(app, &body, &wrong)
}

fn set_budget(app: &App, body: &Value, wrong: &dyn Fn(&str, &str) -> Fault) -> Result<Response<Outgoing>, Fault> {
    let member = |name: &str| body.get(name).and_then(Value::as_str);
    // The pod as a whole goes by no name.
    let agent = member("agent").unwrap_or("");
    let row = app.agent(agent);
    let own = if agent.is_empty() { Some(&app.manifest.pod_budgets) } else { row.map(|row| &row.budgets) };
    let Some(own) = own else { return Err(wrong("agent", "there is no such agent")) };
    let window =
        member("window").filter(|window| own.iter().any(|limit| limit.window.name() == *window && limit.usd.is_some()));
    let Some(window) = window else {
        return Err(wrong("window", "no budget of money of this window is in the pod file"));
    };
    let usd = match body.get("usd") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => match Money::parse(text) {
            Some(usd) => Some(usd),
            None => return Err(wrong("usd", "`usd` is an amount such as \"1.50\"")),
        },
        Some(_) => return Err(wrong("usd", "`usd` is an amount such as \"1.50\"")),
    };
    let limit = Override { agent: agent.to_owned(), window: window.to_owned(), usd, at: now() };
    let noted = app.ledger.borrow_mut().note(&Entry::Limit(limit));
    noted.map_err(|error| Fault::new(503, "ledger_unavailable", error.to_string()))?;
    let detail = match usd {
        Some(usd) => format!("the budget by the {window} is {usd} now"),
        None => format!("the budget by the {window} is the pod file's again"),
    };
    let at = now();
    app.audit.event(
        "budget_changed",
        at,
        (!agent.is_empty()).then_some(agent),
        crate::app::map(json!({"detail": detail})),
    );
    app.touch();
    Ok(json_response(&json!({"ok": true, "detail": detail})))
}

fn page() -> Response<Outgoing> {
    let mut response = Response::new(Outgoing::from(PAGE.as_bytes().to_vec()));
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("text/html; charset=utf-8"));
    set(headers, "content-security-policy", &policy());
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert("referrer-policy", HeaderValue::from_static("no-referrer"));
    headers.insert("x-frame-options", HeaderValue::from_static("DENY"));
    headers.insert("cache-control", HeaderValue::from_static("no-store"));
    response
}

/// What the page may do: its own script, named by its digest, and this origin.
fn policy() -> String {
    use sha2::{Digest, Sha256};
    let script =
        PAGE.split_once("<script>").and_then(|(_, rest)| rest.split_once("</script>")).map_or("", |(script, _)| script);
    let digest = base64(&Sha256::digest(script.as_bytes()));
    format!(
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// Returns bytes in the alphabet of RFC 4648.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let at = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            let index = usize::try_from(bits >> (18 - 6 * place) & 63).unwrap_or(0);
            out.push(if place <= chunk.len() { char::from(LETTERS[index]) } else { '=' });
        }
    }
    out
}

/// The stream of what an operator's page shows: at once, then each second in which something changed, and now and then
/// whatever happened.
pub(crate) struct Events {
    next: Pin<Box<dyn std::future::Future<Output = Bytes>>>,
    app: Rc<App>,
    role: Role,
}

fn event(app: &App, role: Role) -> Bytes {
    Bytes::from(format!("event: state\ndata: {}\n\n", state::state(app, role.name())))
}

async fn after_change(app: Rc<App>, role: Role) -> Bytes {
    let seen = app.changes.get();
    tokio::time::sleep(Duration::from_secs(1)).await;
    if app.changes.get() == seen {
        let _ = tokio::time::timeout(Duration::from_secs(10), app.changed.notified()).await;
    }
    event(&app, role)
}

fn events(app: Rc<App>, role: Role) -> Response<Outgoing> {
    let first = event(&app, role);
    let next = Box::pin(async move { first });
    let mut response = Response::new(Outgoing::Events(Events { next, app, role }));
    set(response.headers_mut(), "content-type", "text/event-stream");
    set(response.headers_mut(), "cache-control", "no-store");
    response
}

impl Body for Events {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.app.is_stopping.get() {
            return Poll::Ready(None);
        }
        match self.next.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(bytes) => {
                self.next = Box::pin(after_change(Rc::clone(&self.app), self.role));
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
        }
    }
}
