//! The process: both listeners, the routes of the agents' side, and an orderly end.

use std::cell::RefCell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::sync::mpsc::unbounded_channel;

use crate::account::End;
use crate::app::App;
use crate::audit::Audit;
use crate::calendar::now;
use crate::call::Arrived;
use crate::door::Door;
use crate::fault::Fault;
use crate::manifest::Manifest;
use crate::relay::{Outgoing, drain};
use crate::room::{For, Place};
use crate::{Options, ProxyError, admin, call, dispatch, state};

/// The most bytes of a request's body.
const BODY: usize = 32 << 20;

/// The most bytes of a request's head.
const HEAD: usize = 64 << 10;

/// How long a head, and then each part of a body, may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long calls that are under way may take after the proxy was told to stop. Its container is given longer.
const GRACE: Duration = Duration::from_secs(25);

/// Runs the proxy until it is told to stop.
///
/// # Errors
/// Where it cannot start.
pub async fn serve(options: &Options) -> Result<(), ProxyError> {
    let text = std::fs::read_to_string(&options.manifest)
        .map_err(|source| ProxyError::File { path: options.manifest.clone(), source })?;
    let manifest = Manifest::parse(&text)?;
    let audit = Audit::new(&manifest.pod, &manifest.kind, std::io::stdout())?;
    let (drains, mut drained) = unbounded_channel();
    let app = Rc::new(App::new(manifest, options, audit, drains)?);
    let agents = listen(&options.listen).await?;
    let operators = listen(&options.admin).await?;
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            let drainer = Rc::clone(&app);
            tokio::task::spawn_local(async move {
                while let Some(each) = drained.recv().await {
                    tokio::task::spawn_local(drain(Rc::clone(&drainer), each));
                }
            });
            tokio::task::spawn_local(watch(Rc::clone(&app)));
            for provider in app.manifest.providers.keys().filter(|provider| app.is_own(provider)) {
                tokio::task::spawn_local(look_after(Rc::clone(&app), provider.clone()));
            }
            let more = json!({"detail": format!("agents on {}, operators on {}", options.listen, options.admin)});
            app.audit.event("started", now(), None, crate::app::map(more));
            tokio::select! {
                () = accept(agents, &app, Side::Agents) => {}
                () = accept(operators, &app, Side::Operators) => {}
                stopped = stopped() => stopped?,
            }
            stop(&app).await;
            Ok(())
        })
        .await
}

async fn listen(address: &str) -> Result<TcpListener, ProxyError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| ProxyError::Listen { address: address.to_owned(), source })
}

async fn stopped() -> Result<(), ProxyError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Lets calls come to their end, settles those that do not, and writes everything down.
async fn stop(app: &Rc<App>) {
    app.is_stopping.set(true);
    app.audit.event("stopping", now(), None, crate::app::map(json!({"in_flight": app.live.borrow().len()})));
    let done = async {
        while !app.live.borrow().is_empty() {
            app.changed.notified().await;
        }
    };
    let _ = tokio::time::timeout(GRACE, done).await;
    // Answers that were settled are still on their way to their callers.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let left: Vec<_> = app.live.borrow().values().cloned().collect();
    for live in left {
        app.settle(&live, End::Shutdown);
    }
    if let Err(error) = app.ledger.borrow_mut().flush() {
        app.alarm(format!("the ledger cannot be written: {error}"));
    }
    app.audit.event("stopped", now(), None, serde_json::Map::new());
    app.audit.flush();
}

/// Writes down what the disk did not take before.
async fn watch(app: Rc<App>) {
    let mut every = tokio::time::interval(Duration::from_secs(2));
    loop {
        every.tick().await;
        let waiting = app.ledger.borrow().waiting();
        if waiting > 0 && app.ledger.borrow_mut().catch_up().is_ok() {
            app.alarm(format!(
                "the ledger can be written again: {waiting} ends of calls were kept and are written now"
            ));
        }
        let calls: Vec<_> = app.live.borrow().values().cloned().collect();
        for live in calls.iter().filter(|live| live.borrow().is_stalled(Instant::now())) {
            app.settle(live, End::ClientAbort);
            live.borrow().hang_up.notify_one();
        }
        if app.audit.dropped() > 0 {
            app.alarm("lines of the audit were dropped: nobody takes them".to_owned());
        }
    }
}

/// How often a server of one's own is looked after, and how long it may take to answer.
const LOOK: Duration = Duration::from_secs(5);
const LOOK_PATIENCE: Duration = Duration::from_secs(2);

/// Asks a server of one's own for its models now and then: one that is not there is passed over before a call waits for it.
async fn look_after(app: Rc<App>, name: String) {
    let Some(provider) = app.manifest.providers.get(&name) else { return };
    let mut every = tokio::time::interval(LOOK);
    loop {
        every.tick().await;
        let asked = Request::get(format!("{}/models", provider.base_url)).body(http_body_util::Full::new(Bytes::new()));
        let Ok(asked) = asked else { return };
        let answered = tokio::time::timeout(LOOK_PATIENCE, app.client.request(asked)).await;
        // Whatever it answers, it is there.
        let is_there = matches!(answered, Ok(Ok(_)));
        let changed = app.pools.borrow_mut().get_mut(&name).and_then(|pool| pool.watched(is_there, now()));
        if let Some(changed) = changed {
            app.key_changed(&name, None, &changed);
        }
    }
}

/// Who is on the other side of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Agents,
    Operators,
}

/// The most connections to a side at once, and from one address: nobody takes them all.
const CONNECTIONS: usize = 4096;
const CONNECTIONS_OF_ONE: usize = 1024;

async fn accept(listener: TcpListener, app: &Rc<App>, side: Side) {
    let open: Rc<RefCell<HashMap<IpAddr, usize>>> = Rc::default();
    loop {
        let Ok((stream, from)) = listener.accept().await else {
            // Out of file descriptors: others will close.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let from = from.ip();
        let (all, own) = {
            let open = open.borrow();
            (open.values().sum::<usize>(), open.get(&from).copied().unwrap_or(0))
        };
        if all >= CONNECTIONS || own >= CONNECTIONS_OF_ONE {
            drop(stream);
            continue;
        }
        *open.borrow_mut().entry(from).or_default() += 1;
        let (app, open) = (Rc::clone(app), Rc::clone(&open));
        tokio::task::spawn_local(async move {
            connection(stream, app, side).await;
            let mut open = open.borrow_mut();
            let left = open.get(&from).map_or(0, |count| count.saturating_sub(1));
            if left == 0 {
                open.remove(&from);
            } else {
                open.insert(from, left);
            }
        });
    }
}

async fn connection(stream: TcpStream, app: Rc<App>, side: Side) {
    let _ = stream.set_nodelay(true);
    let hang_up = Rc::new(Notify::new());
    let hung_up = Rc::clone(&hang_up);
    let serve = service_fn(move |request| {
        let (app, hang_up) = (Rc::clone(&app), Rc::clone(&hang_up));
        async move {
            Ok::<_, Infallible>(match side {
                Side::Agents => agents(app, request, hang_up).await,
                Side::Operators => admin::answer(app, request).await,
            })
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(HEAD);
    // A caller that breaks off has nobody to be told, and one that stopped reading cannot be.
    tokio::select! {
        _ = builder.serve_connection(TokioIo::new(stream), serve) => {}
        () = hung_up.notified() => {}
    }
}

/// Routes of the agents' side, with their method.
const ROUTES: &[(&str, &str)] = &[
    ("/v1/chat/completions", "POST"),
    ("/v1/messages", "POST"),
    ("/v1/messages/count_tokens", "POST"),
    ("/v1/responses", "POST"),
    ("/v1/embeddings", "POST"),
    ("/v1/models", "GET"),
    ("/v1/usage", "GET"),
    ("/health", "GET"),
    ("/ready", "GET"),
];

async fn agents(app: Rc<App>, request: Request<Incoming>, hang_up: Rc<Notify>) -> Response<Outgoing> {
    if head_bytes(&request) > HEAD {
        let fault = Fault::new(431, "head_too_large", format!("a request's head has at most {} KiB", HEAD >> 10));
        return dispatch::fault_response(&fault, claw_types::provider::WireFormat::OpenAi);
    }
    let path = request.uri().path();
    let door = Door::of(path);
    let format = door.map_or(claw_types::provider::WireFormat::OpenAi, Door::format);
    let one_model = path.strip_prefix("/v1/models/").map(|name| name.replace("%2F", "/").replace("%2f", "/"));
    let method = match (ROUTES.iter().find(|(route, _)| *route == path), &one_model) {
        (Some((_, method)), _) => *method,
        (None, Some(_)) => "GET",
        (None, None) => {
            let routes: Vec<&str> = ROUTES.iter().map(|(route, _)| *route).collect();
            let fault = Fault::new(404, "not_found", "there is no such route").with("routes", json!(routes));
            return dispatch::fault_response(&fault, format);
        }
    };
    let is_head = method == "GET" && request.method() == Method::HEAD;
    if request.method().as_str() != method && !is_head {
        let mut response = dispatch::fault_response(
            &Fault::new(405, "method_not_allowed", format!("this route takes {method}")),
            format,
        );
        let allow = if method == "GET" { "GET, HEAD" } else { method };
        dispatch::set(response.headers_mut(), "allow", allow);
        return response;
    }
    match path {
        "/health" => return json_response(&json!({"ok": true, "status": "healthy"})),
        "/ready" => return state::ready(&app),
        _ => {}
    }
    let Some(agent) = app.callers.identify(request.headers()).map(ToOwned::to_owned) else {
        let fault = Fault::new(
            401,
            "unauthorized",
            "the token is missing or wrong: it is `<agent-id>:<secret>`, as claw gave it to the agent",
        );
        return dispatch::fault_response(&fault, format);
    };
    let Some(door) = door else {
        let is_anthropic = request.headers().contains_key("anthropic-version");
        return match path {
            "/v1/usage" => state::usage(&app, &agent),
            _ => state::models(&app, &agent, one_model.as_deref(), is_anthropic),
        };
    };
    let (parts, body) = request.into_parts();
    let mut place = match app.room.enter(&agent) {
        Ok(place) => place,
        Err(fault) => return call::refuse(&app, door, &agent, &app.next_id(), &fault),
    };
    let body = match read_body(body, Some(&mut place)).await {
        Ok(body) => body,
        Err(fault) => return call::refuse(&app, door, &agent, &app.next_id(), &fault),
    };
    let arrived = Arrived { door, agent, headers: parts.headers, body, place, hang_up };
    let called = tokio::task::spawn_local(call::answer(app, arrived));
    called.await.unwrap_or_else(|_| {
        dispatch::fault_response(&Fault::new(500, "internal_error", "the proxy failed on this call"), format)
    })
}

/// Returns how long a head is; the library lets some more through than it is told.
fn head_bytes(request: &Request<Incoming>) -> usize {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    request.headers().iter().fold(target, |sum, (name, value)| sum + name.as_str().len() + value.len() + 4)
}

/// Reads a body, and refuses one that is too long before it is read, or for which its agent has no place.
pub(crate) async fn read_body(body: Incoming, mut place: Option<&mut Place>) -> Result<Bytes, Fault> {
    let too_long = || Fault::new(413, "request_too_large", format!("a request has at most {} MiB", BODY >> 20));
    if body.size_hint().lower() > BODY as u64 {
        return Err(too_long());
    }
    let read = async {
        let mut body = Limited::new(body, BODY);
        let mut out = Vec::new();
        while let Some(frame) = body.frame().await {
            let bytes = match frame {
                Ok(frame) => frame.into_data().unwrap_or_default(),
                Err(error) if error.is::<LengthLimitError>() => return Err(too_long()),
                Err(_) => return Err(Fault::new(400, "invalid_request", "the body broke off")),
            };
            if let Some(place) = place.as_deref_mut() {
                place.take(bytes.len(), For::Request)?;
            }
            out.extend_from_slice(&bytes);
        }
        Ok(Bytes::from(out))
    };
    let late = || Fault::new(408, "request_timeout", "the body did not come in time");
    tokio::time::timeout(PATIENCE * 4, read).await.unwrap_or_else(|_| Err(late()))
}

/// Returns an answer of JSON.
pub(crate) fn json_response(value: &serde_json::Value) -> Response<Outgoing> {
    let mut response = Response::new(Outgoing::from(value.to_string().into_bytes()));
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    response.headers_mut().insert("cache-control", HeaderValue::from_static("no-store"));
    response
}
