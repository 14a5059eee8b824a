//! A registry that means harm: it says more than anybody can keep, and wants logins where all can read them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use crate::{Folder, Run, claw_with};

/// What is said on a connection to a request's first line; the head of the request is read.
type Answer = dyn Fn(&str, &mut dyn Write) -> std::io::Result<()> + Send + Sync;

/// One of a test's own. It says what it was asked: first lines, and each `authorization`.
struct Rogue {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
    said: Arc<Mutex<u64>>,
}

/// Counts what is written.
struct Counted<'w>(&'w mut TcpStream, &'w Mutex<u64>);

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.0.write(bytes)?;
        *self.1.lock().expect("nobody panicked") += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

impl Rogue {
    fn start(answer: Box<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (asked, said) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(0)));
        let rogue = Self { port, asked: Arc::clone(&asked), said: Arc::clone(&said) };
        let answer: Arc<Answer> = answer.into();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, asked, said) = (Arc::clone(&answer), Arc::clone(&asked), Arc::clone(&said));
                std::thread::spawn(move || serve(stream, &*answer, &asked, &said));
            }
        });
        rogue
    }

    /// Pulls from it, or pushes to it, as somebody who has a login for it.
    fn claw(&self, folder: &Folder, arguments: &[&str]) -> Run {
        self.claw_beside(folder, arguments, &[])
    }

    /// The same with more in its environment.
    fn claw_beside(&self, folder: &Folder, arguments: &[&str], more: &[(&str, &str)]) -> Run {
        let host = format!("127.0.0.1:{}", self.port);
        // `ann:canary-password`
        let login = format!("{{\"auths\": {{\"{host}\": {{\"auth\": \"YW5uOmNhbmFyeS1wYXNzd29yZA==\"}}}}}}");
        folder.write("docker/config.json", &login).write("own/SOUL.md", "calm\n");
        let config = folder.0.join("docker").display().to_string();
        let name = format!("{host}/acme/bot:1");
        let environment = [&[("DOCKER_CONFIG", config.as_str())], more].concat();
        let run = claw_with(&folder.0, &[&["persona"], arguments, &[&name]].concat(), &environment);
        assert_eq!(run.code, Some(1), "{run:?}");
        assert!(!format!("{run:?}").contains("canary") && !run.stderr.contains("panicked"), "{run:?}");
        run
    }
}

fn serve(mut stream: TcpStream, answer: &Answer, asked: &Mutex<Vec<String>>, said: &Mutex<u64>) {
    let mut lines = BufReader::new(stream.try_clone().expect("a stream")).lines().map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    let mut all = asked.lock().expect("nobody panicked");
    all.push(first.clone());
    all.extend(lines.take_while(|line| !line.is_empty()).filter(|line| line.starts_with("authorization")));
    drop(all);
    let _ = answer(&first, &mut Counted(&mut stream, said));
}

/// Says zeros for ever.
fn endless(out: &mut dyn Write) -> std::io::Result<()> {
    std::io::copy(&mut std::io::repeat(b'0').take(1 << 40), &mut { out }).map(drop)
}

fn plain(out: &mut dyn Write, head: &str, body: &str) -> std::io::Result<()> {
    write!(out, "HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// The most bytes that may have been said before nobody listens: what the host keeps of a connection is some MB.
const MOST: u64 = 32 << 20;

#[test]
fn what_a_registry_says_is_read_no_further_than_it_may_be_long() {
    let folder = Folder::new("rogue-long");
    let open = |head: &'static str, path: &'static str| -> Box<Answer> {
        Box::new(move |first, out| match first.contains(path) {
            true => {
                write!(out, "HTTP/1.1 {head}\r\nConnection: close\r\n\r\n")?;
                endless(out)
            }
            false => plain(out, "200 OK", "{}"),
        })
    };
    let manifest = "has a manifest that is longer than that of a persona";
    for (head, why) in [
        ("200 OK", manifest),
        ("200 OK\r\nContent-Length: 99999999999", manifest),
        ("200 OK\r\nContent-Encoding: gzip", manifest),
        ("500 Broken", "its registry answered 500"),
    ] {
        let rogue = Rogue::start(open(head, "/manifests/"));
        let run = rogue.claw(&folder, &["pull"]);
        assert!(run.stderr.contains(why), "{head}: {run:?}");
        assert!(*rogue.said.lock().expect("nobody panicked") < MOST, "{head}");
    }
    // The place where tokens are had, on this host as it must be.
    let tokens = Rogue::start(open("200 OK", "/token"));
    let port = tokens.port;
    let rogue = Rogue::start(Box::new(move |_, out| {
        let wanted = format!("WWW-Authenticate: Bearer realm=\"http://127.0.0.1:{port}/token\",service=\"x\"");
        plain(out, &format!("401 No\r\n{wanted}"), "{}")
    }));
    let run = rogue.claw(&folder, &["pull"]);
    assert!(run.stderr.contains("gets a token that is longer than one may be"), "{run:?}");
    assert!(*tokens.said.lock().expect("nobody panicked") < MOST);
    let asked = tokens.asked.lock().expect("nobody panicked").join("\n");
    assert!(asked.starts_with("GET /token?scope=repository%3Aacme%2Fbot%3Apull&service=x HTTP/1.1"), "{asked}");
    assert!(asked.contains("authorization: Basic "), "{asked}");
    // Sent on and on.
    let rogue = Rogue::start(Box::new(|first, out| {
        let path = first.split(' ').nth(1).unwrap_or("/");
        plain(out, &format!("307 On\r\nLocation: {path}x"), "")
    }));
    let run = rogue.claw(&folder, &["pull"]);
    assert!(run.stderr.contains("its registry sends on without end"), "{run:?}");
    assert!(rogue.asked.lock().expect("nobody panicked").len() < 20);
}

#[test]
fn a_login_goes_nowhere_in_clear_whatever_the_registry_wants() {
    let folder = Folder::new("rogue-login");
    // An address that is kept for documents: nothing is to be sent to it, wherever it leads.
    let rogue = Rogue::start(Box::new(|_, out| {
        let wanted = "WWW-Authenticate: Bearer realm=\"http://192.0.2.1/token?secret=1\",service=\"x\"";
        plain(out, &format!("401 No\r\n{wanted}"), "{}")
    }));
    let began = std::time::Instant::now();
    for order in [&["pull"][..], &["push", "./own"]] {
        let run = rogue.claw(&folder, order);
        let why = "its registry wants the login in clear, at `http://192.0.2.1/token`";
        assert!(run.stderr.contains(why), "{run:?}");
    }
    assert!(began.elapsed().as_secs() < 20, "somebody was waited for");
    // Where a blob is to be put.
    let rogue = Rogue::start(Box::new(|first, out| match first.split(' ').next() {
        Some("HEAD") => plain(out, "404 No", ""),
        Some("POST") => plain(out, "202 Put\r\nLocation: http://192.0.2.1/upload", ""),
        _ => plain(out, "200 OK\r\nWWW-Authenticate: Basic realm=x", "{}"),
    }));
    let run = rogue.claw(&folder, &["push", "./own"]);
    assert!(run.stderr.contains("its registry wants it in clear, at `http://192.0.2.1/upload`"), "{run:?}");
    // Nor is what is put somewhere sent on in clear, and who is sent on to another registry does not believe what it wants.
    let rogue = Rogue::start(Box::new(|first, out| match first.split(' ').next() {
        Some("HEAD") => plain(out, "404 No", ""),
        Some("POST") => plain(out, "202 Put\r\nLocation: /upload", ""),
        Some("PUT") => plain(out, "307 On\r\nLocation: http://192.0.2.1/upload", ""),
        _ => plain(out, "200 OK", "{}"),
    }));
    let run = rogue.claw(&folder, &["push", "./own"]);
    assert!(run.stderr.contains("its registry sends on to a place without TLS"), "{run:?}");
    let tokens = Rogue::start(Box::new(|_, out| plain(out, "200 OK", "{\"token\": \"x\"}")));
    let realm = format!("http://127.0.0.1:{}/token", tokens.port);
    let stranger = Rogue::start(Box::new(move |_, out| {
        plain(out, &format!("401 No\r\nWWW-Authenticate: Bearer realm=\"{realm}\",service=\"x\""), "{}")
    }));
    let port = stranger.port;
    let rogue = Rogue::start(Box::new(move |first, out| match first.contains("/v2/ ") {
        true => plain(out, &format!("307 On\r\nLocation: http://ann:canary@127.0.0.1:{port}/v2/"), ""),
        false => plain(out, "404 No", ""),
    }));
    let run = rogue.claw(&folder, &["pull"]);
    assert!(run.stderr.contains("its registry answered 404"), "{run:?}");
    assert_eq!(*stranger.asked.lock().expect("nobody panicked"), ["GET /v2/ HTTP/1.1"]);
    assert_eq!(*tokens.asked.lock().expect("nobody panicked"), [""; 0]);
    // What lets somebody in at one place is no other's: a redirect of a blob leads to another host as a rule.
    // Nor is it where that host sends on to itself.
    let other = Rogue::start(Box::new(|first, out| match first.contains("/x ") {
        true => plain(out, "307 On\r\nLocation: /y", ""),
        false => plain(out, "404 No", ""),
    }));
    let port = other.port;
    let rogue = Rogue::start(Box::new(move |first, out| match first.contains("/manifests/") {
        true => plain(out, &format!("307 On\r\nLocation: http://127.0.0.1:{port}/x"), ""),
        false => plain(out, "200 OK\r\nWWW-Authenticate: Basic realm=x", "{}"),
    }));
    let run = rogue.claw(&folder, &["pull"]);
    assert!(run.stderr.contains("its registry answered 404"), "{run:?}");
    assert!(rogue.asked.lock().expect("nobody panicked").iter().any(|line| line.starts_with("authorization: Basic ")));
    assert_eq!(*other.asked.lock().expect("nobody panicked"), ["GET /x HTTP/1.1", "GET /y HTTP/1.1"]);
}

#[test]
fn a_login_goes_on_within_its_registry_and_comes_back_by_nobody_elses_word() {
    let folder = Folder::new("rogue-moved");
    let own = Arc::new(AtomicU16::new(0));
    let port = Arc::clone(&own);
    let other = Rogue::start(Box::new(move |_, out| {
        plain(out, &format!("307 On\r\nLocation: http://127.0.0.1:{}/back", port.load(Ordering::SeqCst)), "")
    }));
    let port = other.port;
    let rogue = Rogue::start(Box::new(move |first, out| match first.split(' ').nth(1) {
        Some("/v2/acme/bot/manifests/1") => plain(out, "307 On\r\nLocation: /moved", ""),
        Some("/moved") => plain(out, &format!("307 On\r\nLocation: http://127.0.0.1:{port}/x"), ""),
        Some("/back") => plain(out, "404 No", ""),
        _ => plain(out, "200 OK\r\nWWW-Authenticate: Basic realm=x", "{}"),
    }));
    own.store(rogue.port, Ordering::SeqCst);
    let run = rogue.claw(&folder, &["pull"]);
    assert!(run.stderr.contains("its registry answered 404"), "{run:?}");
    let asked = rogue.asked.lock().expect("nobody panicked").clone();
    let login = "authorization: Basic YW5uOmNhbmFyeS1wYXNzd29yZA==";
    let manifest = "GET /v2/acme/bot/manifests/1 HTTP/1.1";
    let expected = ["GET /v2/ HTTP/1.1", manifest, login, "GET /moved HTTP/1.1", login, "GET /back HTTP/1.1"];
    assert_eq!(asked, expected);
    assert_eq!(*other.asked.lock().expect("nobody panicked"), ["GET /x HTTP/1.1"]);
}

#[test]
fn what_goes_in_clear_goes_through_no_proxy_and_what_does_not_goes_through_it() {
    let folder = Folder::new("rogue-proxy");
    let proxy = Rogue::start(Box::new(|_, out| plain(out, "502 No", "")));
    let heard = || std::mem::take(&mut *proxy.asked.lock().expect("nobody panicked"));
    let at = format!("http://127.0.0.1:{}", proxy.port);
    let tokens = Rogue::start(Box::new(|_, out| plain(out, "200 OK", "{\"token\": \"canary-token\"}")));
    let realm = format!("http://127.0.0.1:{}/token", tokens.port);
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        let wanted = format!("401 No\r\nWWW-Authenticate: Bearer realm=\"{realm}\",service=\"x\"");
        let rogue = Rogue::start(Box::new(move |first, out| match first.contains("/manifests/") {
            true => plain(out, "404 No", ""),
            false => plain(out, &wanted, "{}"),
        }));
        let run = rogue.claw_beside(&folder, &["pull"], &[(name, &at)]);
        assert!(run.stderr.contains("its registry answered 404"), "{name}: {run:?}");
        assert_eq!(heard(), [""; 0], "{name}");
        let asked = rogue.asked.lock().expect("nobody panicked").join("\n");
        assert!(asked.contains("authorization: Bearer canary-token"), "{name}: {asked}");
        assert!(
            tokens.asked.lock().expect("nobody panicked").iter().any(|line| line.starts_with("authorization: Basic"))
        );
    }
    // One with TLS is reached through it: all that a proxy is told is where to.
    for name in ["HTTPS_PROXY", "ALL_PROXY"] {
        let run = claw_with(&folder.0, &["persona", "pull", "registry.example/acme/bot:1"], &[(name, &at)]);
        assert_eq!(run.code, Some(1), "{name}: {run:?}");
        assert_eq!(heard(), ["CONNECT registry.example:443 HTTP/1.1"], "{name}");
    }
}

#[test]
fn nobody_is_asked_where_the_answer_could_not_be_written() {
    let folder = Folder::new("rogue-there");
    folder.write("there/file", "").write("there.tar", "");
    let rogue = Rogue::start(Box::new(|_, out| plain(out, "404 No", "")));
    for place in ["there", "there.tar"] {
        let run = rogue.claw(&folder, &["pull", "-o", place]);
        assert!(run.stderr.contains(&format!("is not written: `{place}` is there already")), "{run:?}");
    }
    assert_eq!(*rogue.asked.lock().expect("nobody panicked"), [""; 0]);
}
