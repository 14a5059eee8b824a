//! Runs that are cut off anywhere: calls of the engine that fail before, while or after they are carried out, `kill -9`, an engine that
//! restarts. The next run converges, and nothing is left over. `make faults` runs 200 of them, CI a few.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use super::{Pod, docker, shell};
use crate::root;

/// What happens to a call that changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The engine refuses it, and does nothing.
    Before,
    /// The connection breaks when it is sent: the engine may carry it out or not.
    During,
    /// The engine carries it out, and nobody hears of it.
    After,
    /// Claw is killed when it is sent.
    Kill,
    /// Claw is killed when it sends this, and the engine hears of it just before the next run asks for something of its kind. Only what
    /// asks for this is counted.
    Late(&'static str),
}

/// Numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        // xorshift64 (Marsaglia, 2003).
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

/// An engine behind a socket of its own, at which one call goes wrong.
#[derive(Clone)]
struct Proxy {
    socket: PathBuf,
    /// How many calls that change something go well before one does not; below zero all do.
    left: Arc<AtomicI64>,
    fault: Arc<Mutex<Fault>>,
    /// The claw to kill.
    victim: Arc<Mutex<Option<u32>>>,
    /// The call that the engine has yet to hear of.
    late: Arc<Mutex<Option<Call>>>,
}

/// A call of the engine: its head, and its body where it was read.
struct Call {
    head: String,
    body: Vec<u8>,
}

impl Call {
    /// What is asked for: the method and the path.
    fn line(&self) -> &str {
        self.head.lines().next().unwrap_or("")
    }

    fn length(&self) -> usize {
        let rows = self.head.lines().filter_map(|row| row.split_once(": "));
        let mut length = rows.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        length.next().map_or(0, |(_, length)| length.parse().expect("a length"))
    }
}

impl Proxy {
    fn start(folder: &Path) -> Self {
        let socket = folder.join("engine.sock");
        let listener = UnixListener::bind(&socket).expect("a socket");
        let proxy = Self {
            socket,
            left: Arc::new(AtomicI64::new(-1)),
            fault: Arc::new(Mutex::new(Fault::Before)),
            victim: Arc::default(),
            late: Arc::default(),
        };
        let shared = proxy.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let proxy = shared.clone();
                std::thread::spawn(move || proxy.serve(client));
            }
        });
        proxy
    }

    /// Hands one call on, or has it go wrong.
    fn serve(&self, mut client: UnixStream) -> Option<()> {
        let call = Call { head: head(&mut client)?, body: Vec::new() };
        let fault = self.fault_of(&call);
        if fault == Some(Fault::Before) {
            let body = r#"{"message":"injected"}"#;
            let length = body.len();
            let _ = write!(
                client,
                "HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            return Some(());
        }
        if let Some(Fault::Late(_)) = fault {
            let mut body = vec![0; call.length()];
            client.read_exact(&mut body).ok()?;
            *self.late.lock().expect("held by nobody") = Some(Call { body, ..call });
            self.kill();
            return Some(());
        }
        self.carry_out_late(call.line());
        let mut engine = UnixStream::connect(super::socket()).ok()?;
        engine.write_all(alone(&call.head).as_bytes()).ok()?;
        if fault == Some(Fault::Kill) {
            self.kill();
        }
        let (mut up, mut from) = (engine.try_clone().ok()?, client.try_clone().ok()?);
        if fault == Some(Fault::During) {
            // What was sent of the body goes on; the answer does not come.
            std::thread::sleep(std::time::Duration::from_millis(5));
            return Some(());
        }
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut up);
            let _ = up.shutdown(std::net::Shutdown::Write);
        });
        if fault == Some(Fault::After) {
            let mut answer = Vec::new();
            let _ = engine.read_to_end(&mut answer);
            let _ = client.shutdown(std::net::Shutdown::Both);
            return Some(());
        }
        let _ = std::io::copy(&mut engine, &mut client);
        let _ = client.shutdown(std::net::Shutdown::Both);
        Some(())
    }

    /// Returns what is to happen to a call. Waiting changes nothing, and neither does looking.
    fn fault_of(&self, call: &Call) -> Option<Fault> {
        let fault = *self.fault.lock().expect("held by nobody");
        let line = call.line();
        let counts = match fault {
            Fault::Late(what) => line.contains(what),
            _ => !line.starts_with("GET ") && !line.starts_with("HEAD ") && !line.contains("/wait"),
        };
        (counts && self.left.fetch_sub(1, Ordering::SeqCst) == 0).then_some(fault)
    }

    fn kill(&self) {
        if let Some(id) = *self.victim.lock().expect("held by nobody") {
            let _ = Command::new("kill").args(["-9", &id.to_string()]).status();
        }
    }

    /// Has the engine carry out what it has yet to hear of, where it is now asked for the same.
    fn carry_out_late(&self, line: &str) {
        // What the killed run itself still had on its way is of the same kind.
        if let Fault::Late(_) = *self.fault.lock().expect("held by nobody") {
            return;
        }
        let mut late = self.late.lock().expect("held by nobody");
        let Some(call) = late.take_if(|call| call.line() == line) else { return };
        let mut engine = UnixStream::connect(super::socket()).expect("an engine");
        engine.write_all(alone(&call.head).as_bytes()).expect("sent");
        engine.write_all(&call.body).expect("sent");
        let mut answer = String::new();
        engine.read_to_string(&mut answer).expect("text");
        assert!(answer.starts_with("HTTP/1.1 201"), "{line}: {answer}");
    }
}

/// Reads the head of a call.
fn head(client: &mut UnixStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    Some(String::from_utf8_lossy(&head).into_owned())
}

/// Returns the head of the only call of its connection, so that each is seen; a connection that becomes another one stays as it is.
fn alone(head: &str) -> String {
    match head.to_ascii_lowercase().contains("upgrade:") {
        true => head.to_owned(),
        false => head.replacen("\r\n", "\r\nConnection: close\r\n", 1),
    }
}

/// What the pod file says, as far as it changes.
#[derive(Clone, Debug)]
struct Shape {
    web: u64,
    database: u64,
    agent: u64,
    network: u64,
    secret: u64,
    count: u64,
    has_extra: bool,
}

impl Shape {
    fn change(&mut self, random: &mut Random) {
        for _ in 0..=random.next(2) {
            match random.next(7) {
                0 => self.web += 1,
                1 => self.database += 1,
                2 => self.agent += 1,
                3 => self.network = 1 - self.network,
                4 => self.secret += 1,
                5 => self.count = 1 + random.next(3),
                _ => self.has_extra = !self.has_extra,
            }
        }
    }

    fn write(&self, pod: &Pod) {
        let base = format!("image: {}-box, command: [sleep, '1000'], stop_signal: SIGKILL", pod.name);
        let extra = if self.has_extra { format!("  extra: {{{base}}}\n") } else { String::new() };
        let text = format!(
            "services:\n\
             \x20 db: {{{base}, environment: {{V: '{}'}}, volumes: ['data:/data', /unnamed], healthcheck: {{test: [CMD, 'true'], interval: 200ms}}}}\n\
             \x20 web: {{{base}, environment: {{V: '{}'}}, depends_on: {{db: {{condition: service_healthy}}}}, secrets: [key], scale: {}}}\n\
             \x20 job: {{image: {}-box, command: ['true'], depends_on: [web]}}\n\
             \x20 bot: {{{base}, environment: {{A_TOKEN: '${{A_TOKEN}}', V: '{}'}}, volumes: ['notes:/notes'], x-claw: {{type: generic, agent: AGENTS.md}}}}\n\
             {extra}\
             secrets: {{key: {{file: ./key}}}}\n\
             volumes: {{data: , notes: }}\n\
             networks: {{default: {{driver_opts: {{com.docker.network.bridge.enable_icc: '{}'}}}}}}\n",
            self.database,
            self.web,
            self.count,
            pod.name,
            self.agent,
            self.network == 0,
        );
        pod.write("claw-pod.yml", &text).write("key", &format!("secret {}\n", self.secret));
        pod.write(".env", &format!("A_TOKEN=canary-{}\n", self.secret)).write("AGENTS.md", "# Bot\n");
    }

    fn containers(&self, pod: &Pod) -> BTreeSet<String> {
        let mut services = ["bot-1", "db-1", "egress-1", "job-1"].map(str::to_owned).to_vec();
        services.extend((1..=self.count).map(|number| format!("web-{number}")));
        services.extend(self.has_extra.then(|| "extra-1".to_owned()));
        services.into_iter().map(|name| format!("{}-{name}", pod.name)).collect()
    }
}

/// Everything that carries the pod's label, and its volumes without a name.
fn names(pod: &Pod) -> BTreeSet<String> {
    let filter = format!("label=com.docker.compose.project={}", pod.name);
    docker(&["ps", "-a", "--filter", &filter, "--format", "{{.Names}}"]).lines().map(ToOwned::to_owned).collect()
}

fn unnamed(pod: &Pod) -> BTreeSet<String> {
    let format = "{{range .Mounts}}{{if eq .Type \"volume\"}}{{.Name}} {{end}}{{end}}";
    let ids = pod.left(&["ps", "-a"]);
    let found = ids.iter().map(|id| docker(&["inspect", "-f", format, id]));
    let words: Vec<String> =
        found.flat_map(|line| line.split_whitespace().map(ToOwned::to_owned).collect::<Vec<_>>()).collect();
    words.into_iter().filter(|name| name.len() == 64).collect()
}

/// Runs claw through the proxy, with a fault waiting for it. Returns how it ended.
fn faulted(pod: &Pod, proxy: &Proxy, arguments: &[&str], fault: Fault, after: u64) -> String {
    *proxy.fault.lock().expect("held by nobody") = fault;
    let mut child = pod
        .command(arguments)
        .env("DOCKER_HOST", format!("unix://{}", proxy.socket.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("claw runs");
    *proxy.victim.lock().expect("held by nobody") = Some(child.id());
    proxy.left.store(i64::try_from(after).expect("small"), Ordering::SeqCst);
    // One that waits for ever is a finding, not a test that does.
    let id = child.id();
    let (sender, ended) = std::sync::mpsc::channel::<()>();
    std::thread::spawn(move || {
        if ended.recv_timeout(std::time::Duration::from_secs(120)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            let _ = Command::new("kill").args(["-9", &id.to_string()]).status();
        }
    });
    let mut said = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
    let ended = child.wait().expect("ended");
    drop(sender);
    proxy.left.store(-1, Ordering::SeqCst);
    format!("{ended}: {said}")
}

/// One cycle: change, fault, converge. Everything is as the file says, and nothing else is there.
fn cycle(pod: &Pod, proxy: &Proxy, shape: &mut Shape, random: &mut Random, seen: &mut BTreeSet<String>) {
    shape.change(random);
    shape.write(pod);
    let fault = [Fault::Before, Fault::During, Fault::After, Fault::Kill][random.next(4) as usize];
    let after = random.next(24);
    let arguments: &[&str] = if random.next(3) == 0 { &["up", "-d", "--rollback"] } else { &["up", "-d"] };
    let ended = faulted(pod, proxy, arguments, fault, after);
    seen.extend(unnamed(pod));
    let what = || format!("{fault:?} after {after} calls of {arguments:?}, {shape:?}: {ended}");
    let run = pod.run(&["up", "-d"]);
    assert_eq!(run.code, Some(0), "{}\n{run:?}", what());
    assert_eq!(pod.ok(&["plan"]), "nothing to do\n", "{}", what());
    assert_eq!(names(pod), shape.containers(pod), "{}", what());
    assert_eq!(pod.left(&["network", "ls"]).len(), 2, "{}", what());
    assert_eq!(pod.left(&["volume", "ls"]).len(), 2, "{}", what());
    let units = pod.folder.0.join(".claw").join(&pod.name).join("units/bot");
    assert_eq!(std::fs::read_dir(&units).expect("files").count(), 1, "{}", what());
    seen.extend(unnamed(pod));
    // What it may write to is its own, whoever was cut off on the way to that.
    docker(&["exec", &pod.container("bot"), "sh", "-c", "echo x > /notes/x"]);
}

/// Takes the pod away with a fault on the way: what is left goes with the next `down`.
fn removed(pod: &Pod, proxy: &Proxy, random: &mut Random, seen: &BTreeSet<String>) {
    let fault = [Fault::Before, Fault::During, Fault::After, Fault::Kill][random.next(4) as usize];
    let ended = faulted(pod, proxy, &["down", "-v"], fault, random.next(12));
    let run = pod.run(&["down", "-v"]);
    assert_eq!(run.code, Some(0), "{fault:?}: {ended}\n{run:?}");
    pod.leaves_nothing();
    let volumes = docker(&["volume", "ls", "-q"]);
    let left: Vec<&str> = volumes.lines().filter(|name| seen.contains(*name)).collect();
    assert!(left.is_empty(), "{fault:?}: {ended}: volumes without a name are left: {left:?}");
}

/// Restarts the engine as its service manager would. Killed outright while it makes networks, 20.10 does not read its own list of them
/// again (a panic of libnetwork's), which nobody but an operator can mend.
fn restart_engine() {
    let _ = Command::new("pkill").args(["-15", "-x", "dockerd"]).status();
    let answers = || Command::new("docker").arg("version").output().is_ok_and(|output| output.status.success());
    while answers() {
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    std::thread::sleep(std::time::Duration::from_secs(1));
    let status = Command::new("sh").args(["scripts/engine.sh", "ensure"]).current_dir(root()).status();
    assert!(status.expect("a shell").success(), "the engine comes back");
}

#[test]
fn every_run_that_is_cut_off_converges_with_the_next_and_leaves_nothing() {
    let asked = std::env::var("CLAW_TEST_FAULTS").ok();
    let cycles: u64 = asked.as_deref().map_or(12, |cycles| cycles.parse().expect("a number of cycles"));
    let seed = std::env::var("CLAW_TEST_SEED").map_or(0x2545_F491_4F6C_DD1D, |seed| seed.parse().expect("a seed"));
    let mut random = Random(seed);
    let pod = Pod::new("faults");
    shell(&pod);
    super::build(&pod, &format!("{}-box", pod.name));
    let proxy = Proxy::start(&pod.folder.0);
    let mut shape = Shape { web: 0, database: 0, agent: 0, network: 0, secret: 0, count: 1, has_extra: false };
    let mut seen = BTreeSet::new();
    for index in 1..=cycles {
        cycle(&pod, &proxy, &mut shape, &mut random, &mut seen);
        if index % 6 == 0 {
            removed(&pod, &proxy, &mut random, &seen);
            seen.clear();
        }
        // Nobody else may need the engine then, and it must be the one that the project's own script starts.
        if asked.is_some() && index % 20 == 0 && std::env::var_os("DOCKER_HOST").is_none() {
            let ended = faulted(&pod, &proxy, &["up", "-d"], Fault::During, 0);
            restart_engine();
            let run = pod.run(&["up", "-d", "--wait"]);
            assert_eq!(run.code, Some(0), "after a restart of the engine; before it {ended}\n{run:?}");
            assert_eq!(names(&pod), shape.containers(&pod));
        }
    }
    removed(&pod, &proxy, &mut random, &seen);
}

#[test]
fn what_the_engine_makes_late_for_a_killed_run_gives_way() {
    let pod = Pod::new("late");
    shell(&pod);
    super::build(&pod, &format!("{}-box", pod.name));
    let proxy = Proxy::start(&pod.folder.0);
    pod.write("AGENTS.md", "# Bot\n");
    let agent = "command: [sleep, '1000'], stop_signal: SIGKILL, volumes: ['notes:/notes', /unnamed]";
    let claw = "x-claw: {type: generic, agent: AGENTS.md, allow: [anonymous-volumes]}";
    let write = |value: u32| {
        let environment = format!("environment: {{V: '{value}'}}");
        let bot = format!("{{image: {}-box, {agent}, {environment}, {claw}}}", pod.name);
        pod.write("claw-pod.yml", &format!("services: {{bot: {bot}}}\nvolumes: {{notes: }}\n"));
    };
    let all: BTreeSet<String> = ["bot-1", "egress-1"].map(|name| format!("{}-{name}", pod.name)).into();
    let late = |what: &'static str| {
        let ended = faulted(&pod, &proxy, &["up", "-d"], Fault::Late(what), 0);
        assert!(ended.starts_with("signal: 9"), "{what}: {ended}");
        let ended = faulted(&pod, &proxy, &["up", "-d"], Fault::Before, 1 << 40);
        assert!(ended.starts_with("exit status: 0"), "{what}: {ended}");
        assert!(proxy.late.lock().expect("held by nobody").is_none(), "{what} is never asked for again: {ended}");
        assert_eq!(pod.ok(&["plan"]), "nothing to do\n", "{what}");
        assert_eq!(names(&pod), all, "{what}");
        docker(&["exec", &pod.container("bot"), "sh", "-c", "echo x > /notes/x"]);
    };
    write(1);
    for what in ["/networks/create", "/volumes/create", "-egress-1&", "-own&", "-bot-1&"] {
        late(what);
        let unnamed = unnamed(&pod);
        if what == "-bot-1&" {
            // What a container has in a volume without a name is handed over to the one that takes its place.
            docker(&["exec", "-u", "0", &pod.container("bot"), "sh", "-c", "echo kept > /unnamed/x"]);
            write(2);
            late(what);
            assert_eq!(docker(&["exec", &pod.container("bot"), "cat", "/unnamed/x"]), "kept");
        }
        pod.ok(&["down", "-v"]);
        pod.leaves_nothing();
        let volumes = docker(&["volume", "ls", "-q"]);
        assert!(!volumes.lines().any(|name| unnamed.contains(name)), "{what}: {volumes}");
    }
}
