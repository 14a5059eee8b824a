//! A gate in a thread of its own, and hosts behind it.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use claw_egress::{Options, Resolver, serve};
use serde_json::{Value, json};

/// Lines of an audit.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("nobody panicked").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A gate with two agents: `a` with rules, `b` that is open.
pub(crate) struct World {
    pub(crate) a: IpAddr,
    pub(crate) b: IpAddr,
    /// Where those outside come in.
    pub(crate) outside: IpAddr,
    rules: PathBuf,
    lines: Lines,
}

static NEXT: AtomicU8 = AtomicU8::new(1);

/// Returns the address this machine has in its network: private in nearly all of them.
pub(crate) fn own_address() -> IpAddr {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    socket.connect("192.0.2.1:9").expect("a route");
    socket.local_addr().expect("an address").ip()
}

/// Starts a host that answers each connection with what it read first, upper-case; returns its port.
pub(crate) fn host() -> u16 {
    let listener = TcpListener::bind(SocketAddr::new(own_address(), 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            std::thread::spawn(move || {
                let mut bytes = [0; 65536];
                while let Ok(count @ 1..) = stream.read(&mut bytes) {
                    let said = bytes[..count].to_ascii_uppercase();
                    if stream.write_all(&said).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.rules.parent().map(std::fs::remove_dir_all);
    }
}

impl World {
    /// Starts a gate. `rules` are those of `a`, names are resolved by `names`.
    pub(crate) fn new(rules: Value, names: &[(&str, &str)]) -> Self {
        let index = NEXT.fetch_add(1, Ordering::Relaxed);
        let address = |last: u8| IpAddr::from([127, 91, index, last]);
        let folder = std::env::temp_dir().join(format!("claw-gate-{}-{index}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let world = Self {
            a: address(2),
            b: address(3),
            outside: address(4),
            rules: folder.join("rules.json"),
            lines: Lines::default(),
        };
        world.write(rules);
        let mut table: HashMap<String, Vec<IpAddr>> = HashMap::new();
        for (name, address) in names {
            table.entry((*name).to_owned()).or_default().push(address.parse().expect("an address"));
        }
        let options = Options {
            rules: world.rules.clone(),
            listen: world.outside,
            ready: format!("{}:3129", world.outside),
            resolver: Resolver::Table(table),
        };
        let out = world.lines.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(serve(&options, Box::new(out))).expect("the gate runs");
        });
        world.wait("is ready", || world.said("egress_rules").first().map(|_| ()));
        world
    }

    /// Writes new rules of `a`.
    pub(crate) fn write(&self, rules: Value) {
        let text = json!({
            "v": 1, "pod": "test", "shut": ["127.91.0.0/16"],
            "inbound": [{"listen": 20000, "agent": "127.91.255.1", "port": 7}],
            "agents": {
                "a": {"service": "a", "address": self.a, "network": "127.0.0.0/28", "place": "claw-pod.yml:3", "rules": rules},
                "b": {"service": "b", "address": self.b, "network": "127.0.0.0/28", "open": true, "place": "claw-pod.yml:9", "rules": []},
            },
        });
        let new = self.rules.with_extension("new");
        std::fs::write(&new, text.to_string()).expect("the rules");
        std::fs::rename(&new, &self.rules).expect("the rules");
    }

    /// Returns the events of a type so far.
    pub(crate) fn said(&self, kind: &str) -> Vec<Value> {
        let bytes = self.lines.0.lock().expect("nobody panicked").clone();
        let lines = String::from_utf8(bytes).expect("text");
        let events = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        events.filter(|event| event["type"] == kind).collect()
    }

    /// Waits until something is there.
    pub(crate) fn wait<T>(&self, what: &str, look: impl Fn() -> Option<T>) -> T {
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(Instant::now() < until, "it never {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Returns the denials of a reason, once there is one.
    pub(crate) fn denied(&self, reason: &str) -> Value {
        self.wait(&format!("said {reason}"), || {
            self.said("egress_denied").into_iter().find(|event| event["reason"] == reason)
        })
    }
}

/// Sends bytes to the gate and returns all that comes back until it ends, or for a while.
pub(crate) fn talk(gate: IpAddr, port: u16, bytes: &[u8]) -> Vec<u8> {
    let mut stream = open(gate, port, bytes);
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    said
}

/// Opens a connection and sends bytes.
pub(crate) fn open(gate: IpAddr, port: u16, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(SocketAddr::new(gate, port)).expect("the gate");
    stream.set_read_timeout(Some(Duration::from_secs(2))).expect("a limit");
    stream.write_all(bytes).expect("sent");
    stream
}

/// Reads until an end of a head.
pub(crate) fn read_head(stream: &mut TcpStream) -> String {
    let mut said = Vec::new();
    let mut byte = [0];
    while !said.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
        said.push(byte[0]);
    }
    String::from_utf8(said).expect("text")
}
