//! The governance proxy as a process of its own, between a client on one side and a scripted provider on the other.

mod budgets;
mod chaos;
mod keys;
mod operators;
mod page;
mod policy;
mod requests;
pub(crate) mod schema;
mod shapes;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Folder;

/// Where the digests of `bot:secret` and `other:secret` go.
const BOT: &str = "<digest of bot:secret>";
const OTHER: &str = "<digest of other:secret>";

/// What a provider does with a request.
enum Act {
    /// It sends bytes.
    Bytes(Vec<u8>),
    /// It waits so many milliseconds.
    Wait(u64),
    /// It breaks off.
    Reset,
    /// It closes the connection as if all were said.
    Close,
}

/// A request that a provider got.
#[derive(Clone, Debug)]
struct Got {
    path: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

type Script = dyn Fn(&Got) -> Vec<Act> + Send + Sync;

/// A provider that answers by a script.
struct Provider {
    port: u16,
    seen: Arc<Mutex<Vec<Got>>>,
}

impl Provider {
    fn new(script: impl Fn(&Got) -> Vec<Act> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (script, log): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&seen));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (script, log) = (Arc::clone(&script), Arc::clone(&log));
                std::thread::spawn(move || serve(stream, &*script, &log));
            }
        });
        Self { port, seen }
    }

    fn seen(&self) -> Vec<Got> {
        self.seen.lock().expect("no panic").clone()
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }
}

fn serve(mut stream: TcpStream, script: &Script, log: &Mutex<Vec<Got>>) {
    stream.set_nodelay(true).expect("set");
    while let Some(got) = receive(&mut stream) {
        if got.path == "/v1/models" {
            // The proxy looks after servers of one's own.
            let Act::Bytes(bytes) = json_answer(&json!({"data": []})).remove(0) else { return };
            if stream.write_all(&bytes).is_err() {
                return;
            }
            continue;
        }
        log.lock().expect("no panic").push(got.clone());
        for act in script(&got) {
            match act {
                Act::Bytes(bytes) => {
                    if stream.write_all(&bytes).is_err() {
                        return;
                    }
                }
                Act::Wait(ms) => std::thread::sleep(Duration::from_millis(ms)),
                Act::Close => return,
                Act::Reset => {
                    // Without a last chunk the answer is torn, however the connection ends.
                    let _ = stream.shutdown(std::net::Shutdown::Both);
                    return;
                }
            }
        }
    }
}

fn receive(stream: &mut TcpStream) -> Option<Got> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.lines();
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(Got { path, headers, body })
}

/// A whole answer.
fn answer(status: u16, kind: &str, headers: &str, body: &[u8]) -> Vec<Act> {
    let head =
        format!("HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
    vec![Act::Bytes([head.as_bytes(), body].concat())]
}

fn json_answer(body: &Value) -> Vec<Act> {
    answer(200, "application/json", "", body.to_string().as_bytes())
}

/// A stream, each part in a chunk and a write of its own.
fn stream(parts: &[&str]) -> Vec<Act> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut acts = vec![Act::Bytes(head.into())];
    for part in parts {
        acts.push(Act::Bytes(format!("{:x}\r\n{part}\r\n", part.len()).into()));
    }
    acts.push(Act::Bytes(b"0\r\n\r\n".to_vec()));
    acts
}

/// The same, broken off where its end would be.
fn torn(parts: &[&str]) -> Vec<Act> {
    let mut acts = stream(parts);
    acts.pop();
    acts.extend([Act::Wait(20), Act::Reset]);
    acts
}

/// The proxy, and the folder it lives in.
struct Gateway {
    child: Child,
    port: u16,
    admin: u16,
    folder: Folder,
}

/// An agent of the manifest: `bot` with its models, and what else is said of it.
fn agent(models: Value, more: Value) -> Value {
    let mut agent = json!({"service": "bot", "token": BOT, "models": models});
    for (key, value) in more.as_object().expect("an object") {
        agent[key] = value.clone();
    }
    agent
}

/// The manifest of one agent whose providers are one server.
fn manifest(provider: &Provider, agent: Value) -> Value {
    let row = |format: &str, auth: &str| json!({"base_url": provider.url(), "format": format, "auth": auth, "keys": [{"id": "KEY", "file": "key"}]});
    json!({
        "v": 1, "pod": "desk", "type": "passthrough",
        "agents": {"bot": agent, "other": {"service": "other", "token": OTHER, "models": {"primary": ["openai/gpt-4o", "openai/gpt-4o-mini"]}}},
        "providers": {
            "openai": row("openai", "bearer"), "anthropic": row("anthropic", "x-api-key"), "openrouter": row("openai", "bearer"),
            "gemini": row("openai", "bearer"),
            "local": {"base_url": provider.url(), "format": "openai", "auth": "none", "keys": []},
        },
    })
}

/// A port that nobody has: below those that the kernel gives to connections, for one of them could take it before the proxy does.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = 20_000 + (std::process::id() % 50) as u16 * 200;
    let ports = std::iter::repeat_with(|| start + NEXT.fetch_add(1, Ordering::SeqCst) % 2_000);
    ports.take(2_000).find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a port")
}

impl Gateway {
    fn new(name: &str, manifest: &Value) -> Self {
        let folder = Folder::new(&format!("proxy-{name}"));
        Self::within(folder, manifest, "ledger")
    }

    fn within(folder: Folder, manifest: &Value, ledger: &str) -> Self {
        let text = manifest.to_string().replace(BOT, &digest("bot:secret")).replace(OTHER, &digest("other:secret"));
        folder
            .write("manifest.json", &text)
            .write("key", "provider-key\n")
            .write("ui", "operator\n")
            .write("master", "looker\n");
        let (port, admin) = (free_port(), free_port());
        let log =
            std::fs::OpenOptions::new().create(true).append(true).open(folder.0.join("audit.log")).expect("a log");
        let child = Command::new(env!("CARGO_BIN_EXE_claw"))
            .args([
                "cllama",
                "serve",
                "--manifest",
                "manifest.json",
                "--ledger",
                ledger,
                "--ui-token",
                "ui",
                "--master-token",
                "master",
            ])
            .args(["--listen", &format!("127.0.0.1:{port}"), "--admin", &format!("127.0.0.1:{admin}")])
            .current_dir(&folder.0)
            .stdout(Stdio::from(log))
            .stderr(Stdio::piped())
            .spawn()
            .expect("claw runs");
        let mut gateway = Self { child, port, admin, folder };
        gateway.wait();
        gateway
    }

    fn wait(&mut self) {
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.admin)).is_err() {
            if let Some(status) = self.child.try_wait().expect("asked") {
                let mut said = String::new();
                self.child.stderr.as_mut().expect("piped").read_to_string(&mut said).expect("text");
                assert!(said.is_empty() && status.success(), "the proxy ended with {status}: {said}");
            }
            assert!(began.elapsed() < Duration::from_secs(10), "the proxy does not come up");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills the process as nothing can prepare for, and starts another on the same ledger.
    fn killed(mut self, manifest: &Value) -> Self {
        self.child.kill().expect("killed");
        self.child.wait().expect("gone");
        let folder = std::mem::replace(&mut self.folder, Folder(std::path::PathBuf::from("/nowhere")));
        Self::within(folder, manifest, "ledger")
    }

    fn call(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[("authorization", "Bearer bot:secret")], body.to_string().as_bytes())
    }

    fn chat(&self, body: &Value) -> Answer {
        self.call("/v1/chat/completions", body)
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        send(self.port, method, path, headers, body)
    }

    fn operator(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let headers = [("authorization", "Bearer operator"), ("content-type", "application/json")];
        send(self.admin, method, path, &headers, body)
    }

    /// The bytes of memory it holds.
    fn memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("a process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
        line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") << 10
    }

    fn state(&self) -> Value {
        self.operator("GET", "/state", b"").json()
    }

    /// Waits until a call is under way that has begun to answer.
    fn streams(&self) {
        let began = Instant::now();
        while self.state()["live"][0]["phase"] != "streaming" {
            assert!(began.elapsed() < Duration::from_secs(10), "nothing streams: {}", self.state()["live"]);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until an alarm says this. Others may stand before it: a table of prices that has become old is one.
    fn alarm(&self, text: &str) {
        let began = Instant::now();
        let is_told = |line: &Value| line["text"].as_str().is_some_and(|own| own.contains(text));
        while !self.audit("alarm", 0).iter().any(is_told) {
            assert!(began.elapsed() < Duration::from_secs(10), "no alarm says {text}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Returns the lines of the audit of a type, once there are so many of them.
    fn audit(&self, event: &str, count: usize) -> Vec<Value> {
        let began = Instant::now();
        loop {
            let text = std::fs::read_to_string(self.folder.0.join("audit.log")).expect("the log");
            let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
            lines.iter().for_each(schema::check);
            let found: Vec<Value> = lines.into_iter().filter(|line| line["type"] == event).collect();
            if found.len() >= count {
                return found;
            }
            assert!(began.elapsed() < Duration::from_secs(10), "{event}: {} of {count} lines", found.len());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the SHA-256 of a text, as `sha256sum` says it.
fn digest(text: &str) -> String {
    let mut child = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("sha256sum");
    child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("ended");
    String::from_utf8(output.stdout).expect("text").split(' ').next().expect("a digest").to_owned()
}

/// What a client gets.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("UTF-8")
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

fn request_bytes(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: proxy\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !headers.iter().any(|(name, _)| *name == "content-length") {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    [head.as_bytes(), b"\r\n", body].concat()
}

fn send(port: u16, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("set");
    // A body that is refused before it is read breaks the writing off.
    let _ = stream.write_all(&request_bytes(method, path, headers, body));
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all);
    parse(&all)
}

fn parse(all: &[u8]) -> Answer {
    let end = all.windows(4).position(|window| window == b"\r\n\r\n").expect("an answer has a head");
    let head = String::from_utf8_lossy(&all[..end]).into_owned();
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status");
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let rest = &all[end + 4..];
    let is_chunked = headers.get("transfer-encoding").is_some_and(|value| value == "chunked");
    let body = if is_chunked { unchunked(rest) } else { rest.to_vec() };
    Answer { status, headers, body }
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let length = usize::from_str_radix(&String::from_utf8_lossy(&rest[..end]), 16).expect("a length");
        if length == 0 {
            return body;
        }
        body.extend_from_slice(&rest[end + 2..end + 2 + length]);
        rest = &rest[end + 4 + length..];
    }
    unreachable!("the answer has no last chunk: {}", String::from_utf8_lossy(&body));
}

/// A question in the chat format.
fn question(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "hello"}]})
}

/// An answer of OpenAI's: 1000 tokens in, 800 of them cached, and 100 out.
fn completion() -> Value {
    json!({
        "id": "c-1", "object": "chat.completion", "created": 1, "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100, "prompt_tokens_details": {"cached_tokens": 800}},
    })
}
