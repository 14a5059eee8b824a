//! Measures the gate: what it adds to opening a connection, what is left of the throughput, what it keeps in memory, and what a
//! thousand rules cost. Every figure stands beside the same work done without the gate, in the same run.
//!
//! `gate_load CLAW [--quick] [--json FILE]`: `CLAW` is the executable to measure. The host behind the gate is this process.

use std::error::Error;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The gate's address for the one agent.
const GATE: [u8; 4] = [127, 92, 0, 1];

/// That of another gate, with a thousand rules.
const CROWDED: [u8; 4] = [127, 92, 0, 3];

/// And that of one that holds as many connections as it can.
const HOLDER: [u8; 4] = [127, 92, 0, 5];

/// Ticks of `/proc/<pid>/stat` a second.
const TICKS: f64 = 100.0;

/// What one round is made of.
struct Size {
    connections: u32,
    bytes: u64,
    held: usize,
    rounds: usize,
}

/// The gate as a process.
struct Gate {
    child: Child,
    folder: PathBuf,
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Gate {
    /// Starts a gate at an address that knows `count` hosts, the last of which is this process at `port`.
    fn start(claw: &Path, at: [u8; 4], host: IpAddr, port: u16, count: usize) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("claw-load-{}-{count}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let rule = |host: String, port: u16| json!({"host": host, "port": port, "private": true, "why": "load", "place": "load"});
        let mut rules: Vec<Value> = (1..count).map(|index| rule(format!("host-{index}.example.com"), 443)).collect();
        rules.push(rule(host.to_string(), port));
        let agents = json!({"load": {"service": "load", "address": IpAddr::from(at), "network": "127.0.0.0/8", "place": "load", "rules": rules}});
        let path = folder.join("rules.json");
        fs::write(&path, json!({"v": 1, "pod": "load", "agents": agents}).to_string())?;
        let ready = SocketAddr::from((at, 3129)).to_string();
        let child = Command::new(claw)
            .args(["egress", "serve", "--listen", "127.92.0.2", "--ready", &ready, "--rules"])
            .arg(&path)
            .stdout(Stdio::null())
            .spawn()?;
        let gate = Self { child, folder };
        for _ in 0..200 {
            if TcpStream::connect(&ready).is_ok() {
                return Ok(gate);
            }
            thread::sleep(Duration::from_millis(10));
        }
        Err("the gate is not ready".into())
    }

    /// Returns the seconds of processor time so far.
    fn cpu(&self) -> Result<f64> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields = text.rsplit_once(')').ok_or("no stat")?.1;
        let ticks: f64 = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
        Ok(ticks / TICKS)
    }

    /// Returns resident memory in MiB: all of it, and without the pages of files, which others share.
    fn memory(&self) -> Result<(f64, f64)> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let read = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or_default() / 1024.0
        };
        Ok((read("VmRSS:"), read("RssAnon:")))
    }
}

/// Starts the host: it answers one byte with one byte, and swallows what comes after `S`.
fn host(address: IpAddr) -> Result<u16> {
    let listener = TcpListener::bind(SocketAddr::new(address, 0))?;
    let port = listener.local_addr()?.port();
    let serve = |mut stream: TcpStream| {
        let mut first = [0];
        if stream.read_exact(&mut first).is_err() {
            return;
        }
        if first == *b"S" {
            let mut buffer = vec![0; 256 * 1024];
            while matches!(stream.read(&mut buffer), Ok(1..)) {}
        }
        let _ = stream.write_all(&first);
        // One that is held ends with its other side.
        let _ = stream.read(&mut first);
    };
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = thread::Builder::new().stack_size(64 * 1024).spawn(move || serve(stream));
        }
    });
    Ok(port)
}

/// Opens connections one after the other, a byte there and back each; returns milliseconds each.
fn open(to: SocketAddr, tunnel: Option<SocketAddr>, count: u32) -> Result<f64> {
    let began = Instant::now();
    for _ in 0..count {
        let mut stream = TcpStream::connect(to)?;
        if let Some(host) = tunnel {
            stream.write_all(format!("CONNECT {host} HTTP/1.1\r\n\r\n").as_bytes())?;
            let mut head = [0; 256];
            let count = stream.read(&mut head)?;
            if !head[..count].starts_with(b"HTTP/1.1 200") {
                return Err("the gate refused".into());
            }
        }
        let mut byte = [b'E'];
        stream.write_all(&byte)?;
        stream.read_exact(&mut byte)?;
    }
    Ok(began.elapsed().as_secs_f64() * 1000.0 / f64::from(count))
}

/// Sends bytes through one connection; returns MiB a second.
fn push(to: SocketAddr, bytes: u64) -> Result<f64> {
    let mut stream = TcpStream::connect(to)?;
    stream.write_all(b"S")?;
    let block = vec![0; 256 * 1024];
    let began = Instant::now();
    let mut left = bytes;
    while left > 0 {
        let part = usize::try_from(left.min(block.len() as u64))?;
        stream.write_all(&block[..part])?;
        left -= part as u64;
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut byte = [0];
    stream.read_exact(&mut byte)?;
    Ok(bytes as f64 / (1 << 20) as f64 / began.elapsed().as_secs_f64())
}

/// Holds as many connections as it can, `most` at most; returns how many, and the gate's memory with them.
fn hold(gate: &Gate, to: SocketAddr, most: usize) -> Result<(usize, (f64, f64))> {
    let mut held = Vec::new();
    while held.len() < most {
        let Ok(mut stream) = TcpStream::connect(to) else { break };
        let mut byte = [b'E'];
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let answered = stream.write_all(&byte).and_then(|()| stream.read_exact(&mut byte));
        match answered {
            Ok(()) => held.push(stream),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    Ok((held.len(), gate.memory()?))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn measure(claw: &Path, size: &Size) -> Result<Value> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect("192.0.2.1:9")?;
    let address = socket.local_addr()?.ip();
    let direct = SocketAddr::new(address, host(address)?);
    let through = SocketAddr::from((GATE, direct.port()));
    let proxy = SocketAddr::from((GATE, 3128));
    let gate = Gate::start(claw, GATE, address, direct.port(), 1)?;
    let crowded = Gate::start(claw, CROWDED, address, direct.port(), 1000)?;
    let idle = gate.memory()?;
    open(direct, None, 200)?;
    let mut rows: [Vec<f64>; 6] = Default::default();
    let mut spent = 0.0;
    for _ in 0..size.rounds {
        rows[0].push(open(direct, None, size.connections)?);
        let before = gate.cpu()?;
        rows[1].push(open(through, None, size.connections)?);
        spent += gate.cpu()? - before;
        rows[2].push(open(proxy, Some(direct), size.connections)?);
        rows[5].push(open(SocketAddr::from((CROWDED, direct.port())), None, size.connections)?);
        rows[3].push(push(direct, size.bytes)?);
        rows[4].push(push(through, size.bytes)?);
    }
    drop((gate, crowded));
    // Of a host of its own: what was opened before still has its ports.
    let other = host(address)?;
    let holder = Gate::start(claw, HOLDER, address, other, 1)?;
    let (held, full) = hold(&holder, SocketAddr::from((HOLDER, other)), size.held)?;
    drop(holder);
    let [plain, port, tunnel, free, led, many] = rows.map(median);
    let each = f64::from(size.connections) * size.rounds as f64;
    Ok(json!({
        "open_direct_ms": plain, "open_by_port_ms": port, "open_by_connect_ms": tunnel,
        "added_by_port_ms": port - plain, "added_by_connect_ms": tunnel - plain,
        "gate_cpu_ms_a_connection": spent * 1000.0 / each,
        "throughput_direct_mib_s": free, "throughput_mib_s": led, "throughput_ratio": led / free,
        "idle_mib": idle.0, "idle_anonymous_mib": idle.1,
        "held": held, "held_mib": full.0, "held_anonymous_mib": full.1,
        "open_with_1000_hosts_ms": many, "ratio_of_1000_hosts": many / port,
    }))
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let claw = PathBuf::from(arguments.next().ok_or("usage: gate_load CLAW [--quick] [--json FILE]")?);
    let rest: Vec<String> = arguments.collect();
    let is_quick = rest.iter().any(|word| word == "--quick");
    let size = match is_quick {
        true => Size { connections: 500, bytes: 1 << 30, held: 2000, rounds: 3 },
        // More connections to one place than a machine has ports in a minute would fail by themselves.
        false => Size { connections: 500, bytes: 4 << 30, held: 10_000, rounds: 5 },
    };
    let said = measure(&claw, &size)?;
    for (name, value) in said.as_object().into_iter().flatten() {
        writeln!(std::io::stdout(), "{name:28} {:.4}", value.as_f64().unwrap_or_default())?;
    }
    if let Some(file) = rest.iter().position(|word| word == "--json").and_then(|at| rest.get(at + 1)) {
        fs::write(file, said.to_string())?;
    }
    Ok(())
}
