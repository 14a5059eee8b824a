//! Running: listeners where the rules want some, and the rules read again when their file changes.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::{AbortHandle, LocalSet, spawn_local};
use tokio::time::{sleep, timeout};

use crate::audit::Audit;
use crate::gate::Gate;
use crate::rules::Rules;
use crate::{GateError, Options, PROXY_PORT};

/// How often the file of the rules is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Where names are asked for.
const NAMES: u16 = 53;

/// The longest a question for a name may be.
const QUESTION: usize = 1232;

/// Connections that wait to be taken.
const BACKLOG: u32 = 4096;

/// Runs a gate until it is told to stop.
///
/// # Errors
/// Where its rules are none, or a port cannot be had.
pub async fn serve(options: &Options, out: Box<dyn io::Write>) -> Result<(), GateError> {
    let room = take_files();
    // Before the rules are read: what changes meanwhile is read again.
    let stamp = stamp(&options.rules);
    let (sender, receiver) = watch::channel(Arc::new(read(&options.rules)?));
    let gate = Rc::new(Gate::new(receiver, Audit::new(out), options.resolver.clone(), room));
    LocalSet::new().run_until(run(options, gate, sender, stamp)).await
}

/// Takes as many open files as the system gives, and returns how many connections that is: each is two, and some are the gate's own.
fn take_files() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Fewer connections are held where it is refused.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let files = getrlimit(Resource::Nofile).current.and_then(|files| usize::try_from(files).ok()).unwrap_or(1 << 20);
    // Listeners of a hundred agents, pipes, and what the process has for itself.
    (files / 2).saturating_sub(files / 32 + 96)
}

async fn run(
    options: &Options,
    gate: Rc<Gate>,
    sender: watch::Sender<Arc<Rules>>,
    mut stamp: Stamp,
) -> Result<(), GateError> {
    let mut open = Open::default();
    open.follow(&gate, options.listen)?;
    open.is_whole = true;
    let ready = listen(options.ready.parse().map_err(|_| wrong_address(&options.ready))?)?;
    spawn_local(say_ready(ready));
    gate.audit.line(
        "egress_rules",
        &gate.now().pod,
        None,
        json!({ "detail": "loaded", "agents": gate.now().agents.len() }),
    );
    let mut ends = (end(SignalKind::terminate())?, end(SignalKind::interrupt())?);
    loop {
        tokio::select! {
            () = sleep(LOOK) => {}
            _ = ends.0.recv() => return Ok(()),
            _ = ends.1.recv() => return Ok(()),
        }
        gate.audit.sum_up(&gate.now().pod);
        let seen = self::stamp(&options.rules);
        if seen == stamp {
            // What could not be had at first may be had by now.
            if !open.is_whole {
                open.is_whole = open.follow(&gate, options.listen).is_ok();
            }
            continue;
        }
        stamp = seen;
        let pod = gate.now().pod.clone();
        match read(&options.rules) {
            Ok(rules) => {
                let agents = rules.agents.len();
                sender.send_replace(Arc::new(rules));
                let followed = open.follow(&gate, options.listen);
                open.is_whole = followed.is_ok();
                let more = match followed {
                    Ok(()) => json!({ "detail": "loaded", "agents": agents }),
                    Err(error) => json!({ "detail": "loaded in part", "agents": agents, "error": error.to_string() }),
                };
                gate.audit.line("egress_rules", &pod, None, more);
            }
            // The old ones hold.
            Err(error) => {
                gate.audit.line("egress_rules", &pod, None, json!({ "detail": "refused", "error": error.to_string() }));
            }
        }
    }
}

fn end(kind: SignalKind) -> Result<tokio::signal::unix::Signal, GateError> {
    signal(kind).map_err(|source| GateError::Listen { address: "a signal".to_owned(), source })
}

fn wrong_address(text: &str) -> GateError {
    GateError::Listen { address: text.to_owned(), source: io::ErrorKind::InvalidInput.into() }
}

fn read(path: &Path) -> Result<Rules, GateError> {
    let text = std::fs::read_to_string(path).map_err(|source| GateError::File { path: path.to_owned(), source })?;
    Rules::parse(&text).map_err(|why| GateError::Rules { path: path.to_owned(), why })
}

/// File, time and length.
type Stamp = Option<(u64, Option<SystemTime>, u64)>;

/// What tells one state of a file from another: it is replaced whole, so that it is another file each time.
fn stamp(path: &Path) -> Stamp {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.ino(), metadata.modified().ok(), metadata.len()))
}

/// What listens.
#[derive(Default)]
struct Open {
    ports: BTreeMap<SocketAddr, AbortHandle>,
    names: BTreeMap<Ipv4Addr, AbortHandle>,
    /// Everything that was wanted is heard.
    is_whole: bool,
}

impl Open {
    /// Listens where the rules want it, and nowhere else.
    fn follow(&mut self, gate: &Rc<Gate>, address: IpAddr) -> Result<(), GateError> {
        let rules = gate.now();
        let mut ports: BTreeSet<SocketAddr> =
            rules.inbound.keys().map(|port| SocketAddr::new(address, *port)).collect();
        // An agent meets the gate at its own ports, and at no other's.
        for agent in rules.agents.values() {
            let own = agent.ports().chain([PROXY_PORT, NAMES]);
            ports.extend(own.map(|port| SocketAddr::new(IpAddr::V4(agent.address), port)));
        }
        self.ports.retain(|place, task| keep(ports.contains(place), task));
        self.names.retain(|address, task| keep(rules.agents.contains_key(address), task));
        let mut failed = None;
        for place in ports {
            if let Entry::Vacant(free) = self.ports.entry(place) {
                match listen(place) {
                    Ok(listener) => {
                        free.insert(spawn_local(accept(Rc::clone(gate), listener, place.port())).abort_handle());
                    }
                    // The others are heard all the same.
                    Err(error) => failed = Some(error),
                }
            }
        }
        for address in rules.agents.keys() {
            if let Entry::Vacant(free) = self.names.entry(*address) {
                match udp(SocketAddr::new(IpAddr::V4(*address), NAMES)) {
                    Ok(socket) => {
                        free.insert(spawn_local(answer(Rc::clone(gate), socket, *address)).abort_handle());
                    }
                    Err(error) => failed = Some(error),
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

fn keep(is_wanted: bool, task: &AbortHandle) -> bool {
    if !is_wanted {
        task.abort();
    }
    is_wanted
}

fn listen(address: SocketAddr) -> Result<TcpListener, GateError> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let listener = socket.and_then(|socket| {
        socket.set_reuseaddr(true)?;
        // What is taken from the listener has this too: a side that is gone is noticed.
        socket.set_keepalive(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    });
    listener.map_err(|source| GateError::Listen { address: address.to_string(), source })
}

fn udp(address: SocketAddr) -> Result<UdpSocket, GateError> {
    let socket = std::net::UdpSocket::bind(address).and_then(|socket| {
        socket.set_nonblocking(true)?;
        UdpSocket::from_std(socket)
    });
    socket.map_err(|source| GateError::Listen { address: format!("{address}/udp"), source })
}

async fn accept(gate: Rc<Gate>, listener: TcpListener, port: u16) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Too many open files: some will be closed.
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let gate = Rc::clone(&gate);
        match port {
            NAMES => spawn_local(names(gate, stream)),
            _ => spawn_local(gate.handle(stream, port)),
        };
    }
}

/// Answers questions for names over UDP.
async fn answer(gate: Rc<Gate>, socket: UdpSocket, local: Ipv4Addr) {
    let mut query = [0; QUESTION];
    loop {
        match socket.recv_from(&mut query).await {
            Ok((length, from)) => {
                if let Some(said) = gate.name(&query[..length], IpAddr::V4(local), from.ip()) {
                    // Whoever does not get it asks again.
                    let _ = socket.send_to(&said, from).await;
                }
            }
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Answers questions for names over TCP, each behind its length.
async fn names(gate: Rc<Gate>, mut stream: TcpStream) {
    let (Ok(local), Ok(peer)) = (stream.local_addr(), stream.peer_addr()) else { return };
    let patience = Duration::from_secs(10);
    let rules = gate.now();
    let Some(agent) = rules.agent_of(local.ip(), peer.ip()) else { return };
    let Some(_held) = gate.hold(&agent.id, rules.agents.len()) else { return };
    while let Ok(Ok(length)) = timeout(patience, stream.read_u16()).await {
        if usize::from(length) > QUESTION {
            return;
        }
        let mut query = vec![0; usize::from(length)];
        if !matches!(timeout(patience, stream.read_exact(&mut query)).await, Ok(Ok(_))) {
            return;
        }
        let Some(said) = gate.name(&query, local.ip(), peer.ip()) else { return };
        let Ok(length) = u16::try_from(said.len()) else { return };
        let message = [&length.to_be_bytes()[..], &said].concat();
        if !matches!(timeout(patience, stream.write_all(&message)).await, Ok(Ok(()))) {
            return;
        }
    }
}

/// Says to the container's own probe that the gate is ready.
async fn say_ready(listener: TcpListener) {
    loop {
        let Ok((mut stream, _)) = listener.accept().await else {
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        let mut head = [0; 1024];
        let _ = timeout(Duration::from_secs(1), stream.read(&mut head)).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\nready\n").await;
    }
}
