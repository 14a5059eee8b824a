//! The course of a connection: whose it is, which host it means, whether it may, where that is, and the bytes both ways.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::address::{Place, place};
use crate::audit::Audit;
use crate::head::{self, Head};
use crate::relay::{Moved, relay};
use crate::rules::{Agent, Reason, Rules};
use crate::sni::{self, Hello};
use crate::{PROXY_PORT, dns};

/// How long a connection may take to say what it wants.
const HEAD: Duration = Duration::from_secs(10);

/// How long the other side may take to answer.
const CONNECT: Duration = Duration::from_secs(10);

/// Connections that may be saying what they want at a time: each may hold 16 KiB meanwhile.
const WAITING: usize = 1024;

/// Names that one agent may have looked up at once: each takes one of the gate's threads for as long as a server takes to answer.
const LOOKUPS: usize = 4;

/// Connections that one agent may hold, however few there are.
const MOST: usize = 10_000;

/// How names are resolved.
#[derive(Clone, Debug)]
pub enum Resolver {
    /// As the system does.
    System,
    /// By a table, and not otherwise: for tests of what a hostile name server could answer.
    Table(HashMap<String, Vec<IpAddr>>),
}

/// What all connections share.
pub(crate) struct Gate {
    pub(crate) rules: watch::Receiver<Arc<Rules>>,
    pub(crate) audit: Audit,
    pub(crate) resolver: Resolver,
    held: Counts,
    /// Those that have not said yet what they want.
    waiting: Counts,
    /// Connections that all agents may hold together.
    room: usize,
    lookups: RefCell<HashMap<String, Arc<Semaphore>>>,
}

/// What a connection wants.
struct Wish {
    host: String,
    port: u16,
    /// How it said so: `connect`, `http`, `tls`, `tcp`; or [`LIST`].
    via: &'static str,
    /// What is sent before everything else.
    sent: Vec<u8>,
}

/// Fatal alerts of TLS (RFC 8446 §6): access denied, and an internal error.
const ALERT_DENIED: [u8; 7] = [21, 3, 3, 0, 2, 2, 49];
const ALERT_INTERNAL: [u8; 7] = [21, 3, 3, 0, 2, 2, 80];

/// How a connection says that it wants to know what is open.
const LIST: &str = "list";

/// Why a connection comes to nothing.
enum Fault {
    /// It may not.
    Refused(Reason),
    /// The other side is not there.
    Unreached(io::Error),
}

/// How many there are, by agent.
type Counts = RefCell<HashMap<String, usize>>;

/// A connection counted as its agent's, until it is dropped.
pub(crate) struct Held<'g>(&'g Counts, String);

/// Counts one more of an agent's, where it has not as many as it may.
fn count<'g>(counts: &'g Counts, agent: &str, most: usize) -> Option<Held<'g>> {
    let mut all = counts.borrow_mut();
    let count = all.entry(agent.to_owned()).or_insert(0);
    if *count >= most {
        return None;
    }
    *count += 1;
    Some(Held(counts, agent.to_owned()))
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut held = self.0.borrow_mut();
        if let Some(count) = held.get_mut(&self.1) {
            *count = count.saturating_sub(1);
        }
    }
}

impl Gate {
    pub(crate) fn new(rules: watch::Receiver<Arc<Rules>>, audit: Audit, resolver: Resolver, room: usize) -> Self {
        Self {
            rules,
            audit,
            resolver,
            held: Counts::default(),
            waiting: Counts::default(),
            room,
            lookups: RefCell::default(),
        }
    }

    pub(crate) fn now(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.borrow())
    }

    /// Counts a connection as an agent's: each has an equal share, so that none takes the others' away.
    pub(crate) fn hold(&self, agent: &str, agents: usize) -> Option<Held<'_>> {
        count(&self.held, agent, (self.room / agents.max(1)).clamp(8, MOST))
    }

    /// Counts a connection that has not said yet what it wants: what it says is held until it is whole.
    fn wait(&self, agent: &str, agents: usize) -> Option<Held<'_>> {
        count(&self.waiting, agent, (WAITING / agents.max(1)).max(8))
    }

    /// Sees a connection through that came at a port.
    pub(crate) async fn handle(self: Rc<Self>, stream: TcpStream, port: u16) {
        let (Ok(local), Ok(peer)) = (stream.local_addr(), stream.peer_addr()) else { return };
        let rules = self.now();
        match rules.agent_of(local.ip(), peer.ip()) {
            Some(agent) if rules.inbound.contains_key(&port) => {
                // The way in is for those outside: an agent that comes to it means nobody.
                self.deny(&rules, agent, "", port, "tcp", Reason::NoName);
            }
            // What comes from inside is its own agent's or nobody's.
            None if rules.is_gate(local.ip()) || rules.is_inside(peer.ip()) => {}
            Some(agent) => {
                let id = agent.id.clone();
                match self.hold(&id, rules.agents.len()) {
                    Some(_held) => self.outward(stream, &id, port).await,
                    None => self.deny(&rules, agent, "", port, "tcp", Reason::TooMany),
                }
            }
            None => self.inward(stream, &rules, port).await,
        }
    }

    /// From outside to an agent, at a port that leads to it.
    async fn inward(&self, mut stream: TcpStream, rules: &Rules, port: u16) {
        let Some(inbound) = rules.inbound.get(&port) else { return };
        // Whoever comes takes of the agent's share, and of nobody else's.
        let Some(_held) = self.hold(&inbound.agent, rules.agents.len()) else { return };
        // The agent is on its own network, and nowhere else.
        let found = self.lookup(&inbound.agent, &inbound.agent).await.unwrap_or_default();
        for address in found.into_iter().filter(|address| rules.is_inside(*address)) {
            if let Ok(mut agent) = connect(SocketAddr::new(address, inbound.port)).await {
                let _ = relay(&mut stream, &mut agent, &Moved::default()).await;
                return;
            }
        }
    }

    /// From an agent to the outside.
    async fn outward(&self, mut stream: TcpStream, id: &str, port: u16) {
        let rules = self.now();
        let Some(agent) = rules.agent(id) else { return };
        let Some(waiting) = self.wait(id, rules.agents.len()) else {
            return self.deny(&rules, agent, "", port, "tcp", Reason::TooMany);
        };
        let wished = wish(&mut stream, agent, port).await;
        drop(waiting);
        let wish = match wished {
            Ok(Some(wish)) => wish,
            Ok(None) => {
                self.deny(&rules, agent, "", port, "tcp", Reason::NoName);
                let _ = stream.write_all(&response(400, &explain(agent, "", port, Reason::NoName))).await;
                return;
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                return self.deny(&rules, agent, "", port, "tcp", Reason::NoName);
            }
            Err(_) => return,
        };
        if wish.via == LIST {
            let _ = stream.write_all(&response(200, &agent.list())).await;
            return finish(stream).await;
        }
        let reached = match agent.judge(&wish.host, wish.port) {
            Ok(pass) => self.reach(&rules, agent, &wish, pass.is_private).await,
            Err(reason) => Err(Fault::Refused(reason)),
        };
        let mut far = match reached {
            Ok(far) => far,
            Err(fault) => return self.refuse(stream, &rules, agent, &wish, &fault).await,
        };
        drop(rules);
        self.pass(&mut stream, &mut far, id, wish).await;
    }

    /// Connects to what is wanted: the name is resolved here, and only an address that may be reached is tried.
    async fn reach(&self, rules: &Rules, agent: &Agent, wish: &Wish, is_private: bool) -> Result<TcpStream, Fault> {
        let addresses = self.lookup(&wish.host, &agent.id).await.map_err(Fault::Unreached)?;
        let mut fault = Fault::Unreached(io::ErrorKind::NotFound.into());
        for address in addresses {
            let is_shut = rules.is_inside(address) || place(address) == Place::Shut;
            let is_closed = place(address) == Place::Private && !is_private;
            if is_shut || is_closed {
                let reason = if is_shut { Reason::ShutAddress } else { Reason::PrivateAddress };
                fault = Fault::Refused(reason);
                continue;
            }
            match connect(SocketAddr::new(address, wish.port)).await {
                Ok(far) => return Ok(far),
                Err(error) => fault = Fault::Unreached(error),
            }
        }
        Err(fault)
    }

    /// Looks a name up for an agent: one whose names take long keeps no other agent's waiting.
    async fn lookup(&self, host: &str, agent: &str) -> io::Result<Vec<IpAddr>> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        let turns = Arc::clone(
            self.lookups.borrow_mut().entry(agent.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(LOOKUPS))),
        );
        match &self.resolver {
            Resolver::Table(table) => table.get(host).cloned().ok_or_else(|| io::ErrorKind::NotFound.into()),
            Resolver::System => {
                let host = host.to_owned();
                let until = Instant::now() + CONNECT;
                let turn = timeout(CONNECT, turns.acquire_owned()).await?.map_err(io::Error::other)?;
                // The thread is taken until the answer is there, whether or not anybody waits for it: so is the turn.
                let looking = tokio::task::spawn_local(async move {
                    let _turn = turn;
                    let found = tokio::net::lookup_host((host, 0)).await?;
                    Ok::<Vec<IpAddr>, io::Error>(found.map(|address| address.ip()).collect())
                });
                let left = until.saturating_duration_since(Instant::now());
                let mut found = timeout(left, looking).await?.map_err(io::Error::other)??;
                found.sort_by_key(|address| address.is_ipv6());
                found.dedup();
                Ok(found)
            }
        }
    }

    /// Lets the bytes of a connection pass, until it ends or new rules end it.
    async fn pass(&self, near: &mut TcpStream, far: &mut TcpStream, id: &str, wish: Wish) {
        let (began, moved) = (Instant::now(), Moved::default());
        let Wish { host, port, via, sent } = wish;
        let mut is_cut = false;
        let opened = match via {
            "connect" => near.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await,
            _ => Ok(()),
        };
        // What came with the head of a tunnel is part of its first words.
        let sent = match via == "connect" && port == 443 {
            true => self.first_inside(near, far, id, &host, sent).await,
            false => Some(sent),
        };
        let Some(sent) = sent else { return };
        if opened.is_ok() && far.write_all(&sent).await.is_ok() {
            moved.out.set(u64::try_from(sent.len()).unwrap_or(0));
            drop(sent);
            let mut changes = self.rules.clone();
            let is_private = far.peer_addr().is_ok_and(|far| place(far.ip()) == Place::Private);
            let is_open = |rules: &Arc<Rules>| {
                let pass = rules.agent(id).and_then(|agent| Some(agent.judge(&host, port).ok()?.is_private));
                pass.is_some_and(|may_be_private| may_be_private || !is_private)
            };
            is_cut = tokio::select! {
                _ = relay(near, far, &moved) => false,
                // It fails where nobody changes the rules any more: then the gate ends.
                changed = changes.wait_for(|rules| !is_open(rules)) => changed.is_ok(),
            };
        }
        let kind = if is_cut { "egress_closed" } else { "egress" };
        let more = json!({
            "host": host, "port": port, "via": via,
            "bytes_out": moved.out.get(), "bytes_in": moved.back.get(),
            "latency_ms": u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
        self.audit.event(kind, &self.now().pod, id, more);
    }

    /// Returns the first words inside a tunnel; nothing where they are TLS for a host that the agent may not reach, for one address may
    /// serve many, or are not finished in time. `bytes` has those that are there already.
    async fn first_inside(
        &self,
        near: &mut TcpStream,
        far: &TcpStream,
        id: &str,
        host: &str,
        mut bytes: Vec<u8>,
    ) -> Option<Vec<u8>> {
        if bytes.is_empty() {
            tokio::select! {
                _ = near.readable() => {}
                // The other side speaks first: that is no TLS.
                _ = far.readable() => return Some(bytes),
            }
        }
        let read = async {
            while sni::hello(&bytes) == Hello::Partial && near.read_buf(&mut bytes).await? > 0 {}
            io::Result::Ok(())
        };
        timeout(HEAD, read).await.ok()?.ok()?;
        let Hello::Name(name) = sni::hello(&bytes) else { return Some(bytes) };
        let name = crate::rules::host(&name).unwrap_or_default();
        let rules = self.now();
        let is_other = name != host && host.parse::<IpAddr>().is_err();
        let Some(agent) = rules.agent(id).filter(|agent| is_other && agent.judge(&name, 443).is_err()) else {
            return Some(bytes);
        };
        self.deny(&rules, agent, &name, 443, "tls", Reason::NotAllowed);
        let _ = near.write_all(&ALERT_DENIED).await;
        None
    }

    async fn refuse(&self, mut stream: TcpStream, rules: &Rules, agent: &Agent, wish: &Wish, fault: &Fault) {
        let (status, said) = match fault {
            Fault::Refused(reason) => {
                self.deny(rules, agent, &wish.host, wish.port, wish.via, *reason);
                (403, explain(agent, &wish.host, wish.port, *reason))
            }
            Fault::Unreached(error) => {
                let why = format!("`{}:{}` does not answer: {error}", wish.host, wish.port);
                let more = json!({ "host": wish.host, "port": wish.port, "via": wish.via, "error": error.to_string() });
                self.audit.event("egress_failed", &rules.pod, &agent.id, more);
                let timed_out = error.kind() == io::ErrorKind::TimedOut;
                (if timed_out { 504 } else { 502 }, json!({ "error": { "type": "egress_failed", "message": why } }))
            }
        };
        let answer = match wish.via {
            "tls" if status == 403 => ALERT_DENIED.to_vec(),
            "tls" => ALERT_INTERNAL.to_vec(),
            "tcp" => Vec::new(),
            _ => response(status, &said),
        };
        let _ = stream.write_all(&answer).await;
        let _ = stream.shutdown().await;
        // What is still on its way would reset the answer before it is read.
        let mut rest = [0; 512];
        let _ =
            timeout(Duration::from_secs(1), async { while matches!(stream.read(&mut rest).await, Ok(1..)) {} }).await;
    }

    /// Writes a denial down.
    pub(crate) fn deny(&self, rules: &Rules, agent: &Agent, host: &str, port: u16, via: &str, reason: Reason) {
        let more = json!({
            "host": host, "port": port, "via": via, "reason": reason.name(),
            "rule": agent.rule_of(host).map(|rule| rule.why.as_str()), "place": agent.place,
            "detail": advice(agent, host, port, reason),
        });
        self.audit.event("egress_denied", &rules.pod, &agent.id, more);
    }

    /// Returns the answer to a question for a name, and writes down one that does not exist.
    pub(crate) fn name(&self, query: &[u8], local: IpAddr, peer: IpAddr) -> Option<Vec<u8>> {
        let rules = self.now();
        let agent = rules.agent_of(local, peer)?;
        let said = dns::answer(query, |name| agent.knows(name), agent.address)?;
        if let Some(name) = said.denied {
            self.deny(&rules, agent, &name, 53, "dns", Reason::NotAllowed);
        }
        Some(said.message)
    }
}

/// Reads what a connection wants; nothing where it names no host.
async fn wish(stream: &mut TcpStream, agent: &Agent, port: u16) -> io::Result<Option<Wish>> {
    // Where only one host can be meant, nothing is read: the other side may be the one that speaks first.
    if let Some(host) = agent.sole(port).filter(|_| !matches!(port, 80 | 443 | PROXY_PORT)) {
        return Ok(Some(Wish { host: host.to_owned(), port, via: "tcp", sent: Vec::new() }));
    }
    timeout(HEAD, first_words(stream, port)).await?
}

async fn first_words(stream: &mut TcpStream, port: u16) -> io::Result<Option<Wish>> {
    let mut bytes = Vec::with_capacity(1024);
    loop {
        if bytes.len() >= head::LIMIT.max(sni::LIMIT) || stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
        if port != PROXY_PORT {
            match sni::hello(&bytes) {
                Hello::Partial => continue,
                Hello::Name(name) => {
                    let wish = |host| Wish { host, port, via: "tls", sent: bytes };
                    return Ok(crate::rules::host(&name).map(wish));
                }
                Hello::Nameless => return Ok(None),
                Hello::Other => {}
            }
        }
        match head::head(&bytes) {
            Head::Partial => {}
            Head::Connect { host, port: wanted, length } if port == PROXY_PORT => {
                return Ok(Some(Wish { host, port: wanted, via: "connect", sent: bytes.split_off(length) }));
            }
            Head::Request { host, port: named, is_proxied, mut sent, length } if is_proxied == (port == PROXY_PORT) => {
                let wanted = if is_proxied { named.unwrap_or(80) } else { port };
                sent.extend_from_slice(&bytes[length..]);
                return Ok(Some(Wish { host, port: wanted, via: "http", sent }));
            }
            // A request to the gate itself, which is no proxy's: what is open.
            Head::Request { is_proxied: false, host, .. } if port == PROXY_PORT => {
                return Ok(Some(Wish { host, port, via: LIST, sent: Vec::new() }));
            }
            _ => return Ok(None),
        }
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_keepalive(true)?;
    socket.set_nodelay(true)?;
    timeout(CONNECT, socket.connect(address)).await?
}

/// Ends a connection after an answer: what is still on its way would reset the answer before it is read.
async fn finish(mut stream: TcpStream) {
    let _ = stream.shutdown().await;
    let mut rest = [0; 512];
    let _ = timeout(Duration::from_secs(1), async { while matches!(stream.read(&mut rest).await, Ok(1..)) {} }).await;
}

/// Returns an answer over HTTP, which is the last of its connection.
fn response(status: u16, body: &Value) -> Vec<u8> {
    let reason = match status {
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        502 => "Bad Gateway",
        _ => "Gateway Timeout",
    };
    let body = format!("{body}\n");
    let head =
        format!("HTTP/1.1 {status} {reason}\r\ncontent-type: application/json\r\ncontent-length: {}", body.len());
    format!("{head}\r\nconnection: close\r\n\r\n{body}").into_bytes()
}

fn explain(agent: &Agent, host: &str, port: u16, reason: Reason) -> Value {
    json!({ "error": {
        "type": "egress_denied",
        "code": reason.name(),
        "message": advice(agent, host, port, reason),
        "agent": agent.id, "host": host, "port": port,
        "rule": agent.rule_of(host).map(|rule| rule.why.as_str()),
        "place": agent.rule_of(host).map_or(agent.place.as_str(), |rule| rule.place.as_str()),
    } })
}

/// Returns what is wrong and what can be done about it, for an agent and for its operator alike.
fn advice(agent: &Agent, host: &str, port: u16, reason: Reason) -> String {
    let (service, place) = (&agent.service, &agent.place);
    let entry = if port == 443 || port == 53 { host.to_owned() } else { format!("{host}:{port}") };
    let add = format!("the pod's operator can add `egress://{entry}` to `surfaces` of `{service}` ({place})");
    match reason {
        Reason::NotAllowed => format!("no rule lets `{service}` reach `{host}`: {add}"),
        Reason::OtherPort => format!("`{service}` may reach `{host}`, and not at port {port}: {add}"),
        Reason::NoName => {
            format!("nothing says which host is meant: use a name, and TLS, HTTP, or the proxy at port {PROXY_PORT}")
        }
        Reason::ShutAddress => {
            format!("`{host}` leads to an address that is shut to every agent, whatever the pod says")
        }
        Reason::PrivateAddress => format!(
            "`{host}` leads into a private network: the pod's operator can write `egress://{host}:{port} private` in \
             `surfaces` of `{service}` ({place})"
        ),
        Reason::TooMany => format!("`{service}` holds as many connections as its share of the gate's: close some"),
    }
}
