//! The whole measurement: the mock, the gateway, perhaps a peer; rounds of the same load against each in turn.
//!
//! The first figure is the gateway's CPU time per request: other work on the host changes it little. Added latency is the
//! difference to a direct request in the same round. Each case has a gateway of its own, so that memory is the case's.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::children::{self, Janitor, Server};
use crate::client::{self, Endpoint, Load};
use crate::report::{Report, Row, Spread, Target};
use crate::sample::{self, Memory};

/// The bearer token of the gateway's only agent.
const TOKEN: &str = "bench:secret";
/// Its SHA-256, which is what the manifest holds.
const TOKEN_DIGEST: &str = "9e3e944f245673a7f13fcb18d44b3d13608bbcf838077571696daf6a54930391";
/// The CPU time of a gateway over all rounds of a case: ticks of 10 ms are 0.5 % of it.
const CPU_SECONDS: f64 = 2.0;

/// One load and its targets.
struct Case {
    title: &'static str,
    load: Load,
    cpu: Target,
    added: Target,
    first_byte: Target,
    resident: Target,
}

/// A load without targets.
const fn plain(title: &'static str, size: usize, chunks: u64, gap_ms: u64, connections: usize) -> Case {
    let load = Load { size, chunks, gap_ms, connections, requests: 0 };
    Case { title, load, cpu: Target::None, added: Target::None, first_byte: Target::None, resident: Target::None }
}

/// A small request, one at a time; also the load of the ledger's growth.
const SMALL: Case =
    Case { cpu: Target::Median(0.05), added: Target::Median(0.08), ..plain("JSON 1 KB, c=1", 1024, 0, 0, 1) };

/// The cases, in the order of the report.
///
/// The time to the first byte has its target where the events have gaps: without gaps the client, which shares a core with
/// the mock, sees an event that came through the gateway only when the mock has written the whole stream.
const CASES: [Case; 6] = [
    SMALL,
    Case { cpu: Target::Median(0.12), ..plain("stream of 32, c=1", 1024, 32, 0, 1) },
    Case { first_byte: Target::Median(0.08), ..plain("stream of 32, 1 ms gaps, c=1", 1024, 32, 1, 1) },
    Case { cpu: Target::Median(0.6), ..plain("JSON 256 KB, c=1", 262_144, 0, 0, 1) },
    Case { cpu: Target::Median(0.05), ..plain("JSON 1 KB, c=64", 1024, 0, 0, 64) },
    Case { resident: Target::Greatest(24.0), ..plain("streams of 512, 20 ms gaps, c=64", 1024, 512, 20, 64) },
];

/// A gateway that the user has configured.
pub(crate) struct Peer {
    /// Its command line for `sh`, unless it already runs.
    pub command: Option<String>,
    /// Where it answers.
    pub endpoint: Endpoint,
}

/// What the user asks for.
pub(crate) struct Settings {
    /// The claw to measure.
    pub claw: String,
    /// Rounds of each case, at least.
    pub rounds: usize,
    /// Whether figures may be rough.
    pub is_quick: bool,
    /// Whether the gateway has core 0 and the rest core 1; where nothing is said, if the host can.
    pub pin: Option<bool>,
    /// Where the mock listens.
    pub mock: String,
    /// Rows of the full ledger.
    pub rows: u64,
    /// Only cases whose title has this.
    pub only: String,
    /// One more gateway.
    pub peer: Option<Peer>,
}

/// A benchmark at work.
struct Bench {
    settings: Settings,
    directory: PathBuf,
    janitor: Janitor,
    core: Option<u32>,
    mock: String,
    next_port: u16,
    gateways: usize,
    starts: Vec<(f64, Memory)>,
    report: Report,
}

/// One of those that a case is run against.
struct Subject {
    name: &'static str,
    endpoint: Endpoint,
    server: Option<Server>,
    requests: usize,
    rounds: Vec<Round>,
    peak: Memory,
}

/// What one round has shown of one subject.
struct Round {
    requests: usize,
    cpu_seconds: f64,
    p50_ms: f64,
    p99_ms: f64,
    first_byte_ms: f64,
    first_byte_p99_ms: f64,
    rps: f64,
    resident_mib: f64,
}

/// Takes a figure out of a round.
type Pick = fn(&Round) -> f64;

impl Round {
    /// Returns the CPU time of a request.
    fn cpu_ms(&self) -> f64 {
        self.cpu_seconds * 1e3 / self.requests.max(1) as f64
    }
}

/// Measures and returns what was found.
pub(crate) async fn run(settings: Settings) -> Result<Report, String> {
    let directory = std::env::temp_dir().join(format!("{}{}", children::DIRECTORY_PREFIX, std::process::id()));
    let mut janitor = Janitor::start(&directory)?;
    fs::create_dir_all(&directory).map_err(|error| format!("cannot make `{}`: {error}", directory.display()))?;
    let mut report = Report { environment: sample::environment(), ..Report::default() };
    let can_pin = || thread::available_parallelism().is_ok_and(|count| count.get() >= 2) && children::pin_self(1);
    let core = (settings.pin.unwrap_or(true) && can_pin()).then_some(0);
    match (settings.pin, core) {
        (Some(true), None) => return Err("`--pin` needs two cores and `taskset`".into()),
        (_, None) => report.notes.push("nothing is pinned to a core".into()),
        (_, Some(_)) => report.notes.push("the gateway is pinned to core 0, mock and client to core 1".into()),
    }
    let version = Command::new(&settings.claw).arg("--version").output();
    let version = version.map_err(|error| format!("cannot run `{}`: {error}", settings.claw))?;
    report.environment["version"] = String::from_utf8_lossy(&version.stdout).trim().into();

    let this = std::env::current_exe().map_err(|error| error.to_string())?.display().to_string();
    let command = [this, "mock".into(), "--listen".into(), settings.mock.clone()];
    let mock_server = children::start(&mut janitor, &command, core.map(|_| 1), &directory.join("mock.log"))?;
    let mock = mock_server.announced("listening ")?;
    let next_port = 20_000 + (std::process::id() % 10_000) as u16;
    let mut bench =
        Bench { settings, directory, janitor, core, mock, next_port, gateways: 0, starts: Vec::new(), report };
    let only = bench.settings.only.clone();
    for case in CASES.iter().filter(|case| case.title.contains(&only)) {
        let mut subjects = vec![direct(&bench)?, gateway(&mut bench, "gateway", None, None)?];
        subjects.extend(peer(&mut bench)?);
        measure(&mut bench, case, &mut subjects).await;
        describe(&mut bench, case.title, case, &subjects);
        stop(&mut bench, subjects)?;
    }
    if "ledger".contains(&only) {
        measure_ledger(&mut bench).await?;
    }
    describe_starts(&mut bench);
    mock_server.stop(&mut bench.janitor)?;
    Ok(bench.report)
}

/// Returns the mock itself as a subject.
fn direct(bench: &Bench) -> Result<Subject, String> {
    let endpoint = Endpoint::new(&format!("http://{}", bench.mock), "mock-key", "gpt-4o", &[])?;
    Ok(Subject { name: "direct", endpoint, server: None, requests: 0, rounds: Vec::new(), peak: Memory::default() })
}

/// Starts a gateway; with `budget`, its agent has one, and with `ledger` it goes on with that ledger.
fn gateway(
    bench: &mut Bench,
    name: &'static str,
    budget: Option<Value>,
    ledger: Option<PathBuf>,
) -> Result<Subject, String> {
    let failed = |error: std::io::Error| format!("cannot write below `{}`: {error}", bench.directory.display());
    let is_plain = budget.is_none();
    bench.gateways += 1;
    let home = bench.directory.join(format!("gateway-{}", bench.gateways));
    let ledger = ledger.unwrap_or_else(|| home.join("ledger"));
    let (key, manifest) = (home.join("key"), home.join("manifest.json"));
    fs::create_dir_all(&home).map_err(failed)?;
    fs::create_dir_all(&ledger).map_err(failed)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&key).map_err(failed)?;
    file.write_all(b"mock-key").map_err(failed)?;
    let text = json!({
        "v": 1, "pod": "bench", "type": "passthrough",
        "agents": {"bench": {
            "service": "bench", "token": TOKEN_DIGEST, "models": {"primary": ["openai/gpt-4o"]}, "policy": "clamp",
            "budgets": budget.into_iter().collect::<Vec<_>>(), "brakes": null,
        }},
        "providers": {"openai": {
            "base_url": format!("http://{}/v1", bench.mock), "format": "openai", "auth": "bearer",
            "keys": [{"id": "OPENAI_API_KEY", "file": key}],
        }},
        "pod_budgets": [],
    });
    fs::write(&manifest, text.to_string()).map_err(failed)?;

    let listen = format!("127.0.0.1:{}", children::free_port(&mut bench.next_port)?);
    let admin = format!("127.0.0.1:{}", children::free_port(&mut bench.next_port)?);
    let mut command: Vec<String> = [&bench.settings.claw, "cllama", "serve", "--listen", &listen, "--admin", &admin]
        .into_iter()
        .map(str::to_owned)
        .collect();
    for (option, path) in [("--manifest", &manifest), ("--ledger", &ledger)] {
        command.extend([option.to_owned(), path.display().to_string()]);
    }
    let start = Instant::now();
    let mut server = children::start(&mut bench.janitor, &command, bench.core, &home.join("log"))?;
    let request = format!("GET /ready HTTP/1.1\r\nhost: {listen}\r\nconnection: close\r\n\r\n");
    server.wait(&listen, request.as_bytes(), start, Duration::from_secs(60))?;
    thread::sleep(Duration::from_millis(300));
    let idle = sample::memory(&sample::group(server.group).0);
    // Gateways with a budget may have a ledger to read: only those without, all alike, count for the start.
    if is_plain {
        bench.starts.push((server.ready_ms, idle));
    }
    let endpoint = Endpoint::new(&format!("http://{listen}"), TOKEN, "openai/gpt-4o", &[])?;
    Ok(Subject { name, endpoint, server: Some(server), requests: 0, rounds: Vec::new(), peak: idle })
}

/// Returns the peer as a subject, started if it has a command.
fn peer(bench: &mut Bench) -> Result<Option<Subject>, String> {
    let Some(peer) = &bench.settings.peer else { return Ok(None) };
    let endpoint = peer.endpoint.clone();
    let mut server = None;
    if let Some(command) = &peer.command {
        let command = ["sh".to_owned(), "-c".to_owned(), command.clone()];
        let start = Instant::now();
        let mut started = children::start(&mut bench.janitor, &command, bench.core, &bench.directory.join("peer.log"))?;
        let request = client::request(&endpoint, &SMALL.load);
        started.wait(&endpoint.address, &request, start, Duration::from_secs(120))?;
        server = Some(started);
    }
    Ok(Some(Subject { name: "peer", endpoint, server, requests: 0, rounds: Vec::new(), peak: Memory::default() }))
}

/// Stops what a case has started.
fn stop(bench: &mut Bench, subjects: Vec<Subject>) -> Result<(), String> {
    subjects.into_iter().filter_map(|subject| subject.server).try_for_each(|server| server.stop(&mut bench.janitor))
}

/// Runs the rounds of a case.
async fn measure(bench: &mut Bench, case: &Case, subjects: &mut [Subject]) {
    let (rounds, is_quick) = (bench.settings.rounds, bench.settings.is_quick);
    let goal = if is_quick { 0.2 } else { CPU_SECONDS };
    let mut load = case.load;
    if is_quick {
        load.chunks = load.chunks.min(128);
    }
    let is_timed = load.gap_ms > 0;
    let mut most = 0;
    for subject in &mut *subjects {
        // A stream with gaps takes as long as it takes: few of them in a round, whatever CPU time that is.
        let found = if is_timed {
            Some(load.connections.max(64))
        } else {
            calibrate(bench, case.title, subject, &load, goal).await
        };
        let Some(requests) = found else {
            bench.report.notes.push(format!("{}: `{}` has no right answer: skipped", case.title, subject.name));
            return;
        };
        most = most.max(requests);
        subject.requests = requests;
    }
    // The direct rounds have no CPU time to reach.
    subjects[0].requests = most;
    let least_cpu = |subjects: &[Subject]| {
        let measured = subjects.iter().filter(|subject| subject.server.is_some());
        measured.map(|subject| subject.rounds.iter().map(|round| round.cpu_seconds).sum()).fold(f64::MAX, f64::min)
    };
    let mut done = 0;
    while done < rounds || (!is_quick && !is_timed && least_cpu(subjects) < goal && done < 2 * rounds) {
        for turn in 0..subjects.len() {
            let subject = (turn + done) % subjects.len();
            let round = take(bench, case.title, &mut subjects[subject], &load).await;
            subjects[subject].rounds.push(round);
        }
        done += 1;
    }
    let cpu = least_cpu(subjects);
    if cpu < goal {
        bench.report.notes.push(format!("{}: the CPU figure rests on {cpu:.2} s only", case.title));
    }
}

/// Finds how many requests a round needs for its share of the CPU time; `None` if no answer is right.
async fn calibrate(bench: &mut Bench, title: &str, subject: &mut Subject, load: &Load, goal: f64) -> Option<usize> {
    let share = goal * 1.1 / bench.settings.rounds as f64;
    subject.requests = load.connections.max(16);
    loop {
        let start = Instant::now();
        let round = take(bench, title, subject, load).await;
        let seconds = start.elapsed().as_secs_f64();
        let spent = if subject.server.is_some() { round.cpu_seconds } else { seconds };
        if round.requests == 0 {
            return None;
        }
        if spent > share / 3.0 || seconds > 5.0 {
            // No round is to take more than about a minute.
            let wanted = (share / spent.max(0.01)).min(60.0 / seconds) * round.requests as f64;
            return Some((wanted as usize).max(load.connections).next_multiple_of(load.connections));
        }
        subject.requests *= 2;
    }
}

/// Runs one round against one subject, watching its memory.
async fn take(bench: &mut Bench, title: &str, subject: &mut Subject, load: &Load) -> Round {
    let group = subject.server.as_ref().map(|server| server.group);
    let usage = || group.map(sample::group).unwrap_or_default();
    let (pids, before) = usage();
    let load = Load { requests: subject.requests, ..*load };
    let mut resident = 0;
    let watch = async {
        loop {
            resident = resident.max(sample::memory(&pids).resident);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let outcome = tokio::select! {
        outcome = client::run(&subject.endpoint, &load) => outcome,
        never = watch => never,
    };
    let (pids, after) = usage();
    subject.peak = sample::memory(&pids);
    for (error, count) in &outcome.errors {
        *bench.report.errors.entry(format!("{title}: {}: {error}", subject.name)).or_default() += count;
    }
    Round {
        requests: outcome.requests,
        cpu_seconds: after - before,
        p50_ms: outcome.latency.quantile(0.5) / 1e3,
        p99_ms: outcome.latency.quantile(0.99) / 1e3,
        first_byte_ms: outcome.first_byte.quantile(0.5) / 1e3,
        first_byte_p99_ms: outcome.first_byte.quantile(0.99) / 1e3,
        rps: outcome.requests as f64 / outcome.seconds.max(1e-9),
        resident_mib: resident as f64 / 1024.0,
    }
}

/// Reports the figures of a case: `subjects` are direct, gateway and perhaps peer.
fn describe(bench: &mut Bench, title: &str, case: &Case, subjects: &[Subject]) {
    if subjects.iter().any(|subject| subject.rounds.is_empty()) {
        return;
    }
    let (direct, gateway, peer) = (&subjects[0], &subjects[1], subjects.get(2));
    let all = |subject: &Subject, pick: Pick| Spread::of(subject.rounds.iter().map(pick));
    let used = |subject: &Subject, pick: Pick| subject.server.as_ref().and_then(|_| all(subject, pick));
    let added = |subject: &Subject, pick: Pick| {
        Spread::of(subject.rounds.iter().zip(&direct.rounds).map(|(one, other)| pick(one) - pick(other)))
    };
    let mut push = |figure, direct, gateway, peer, target| {
        bench.report.rows.push(Row { case: title.to_owned(), figure, direct, gateway, peer, target });
    };
    let used_by_both = |pick| (used(gateway, pick), peer.and_then(|peer| used(peer, pick)));
    let (cpu, peer_cpu) = used_by_both(Round::cpu_ms);
    push("CPU ms/request", None, cpu, peer_cpu, case.cpu);
    let latencies: [(_, Pick, _); 3] = [
        ("added p50 ms", |round| round.p50_ms, case.added),
        ("added p99 ms", |round| round.p99_ms, Target::None),
        ("added TTFB ms", |round| round.first_byte_ms, case.first_byte),
    ];
    // A whole answer comes in one piece: its first byte says nothing that its end does not.
    let count = if case.load.chunks > 0 { 3 } else { 2 };
    for (figure, pick, target) in latencies.into_iter().take(count) {
        push(figure, all(direct, pick), added(gateway, pick), peer.and_then(|peer| added(peer, pick)), target);
    }
    if case.load.connections > 1 && case.load.gap_ms == 0 {
        let rps = |round: &Round| round.rps;
        push("requests/s", all(direct, rps), all(gateway, rps), peer.and_then(|peer| all(peer, rps)), Target::None);
    }
    let (resident, peer_resident) = used_by_both(|round| round.resident_mib);
    push("RSS MiB", None, resident, peer_resident, case.resident);
    let peak = |subject: &Subject| Spread::of([subject.peak.peak as f64 / 1024.0]);
    push("peak RSS MiB", None, peak(gateway), peer.filter(|peer| peer.server.is_some()).and_then(peak), Target::None);
    for subject in subjects {
        let rounds = subject.rounds.iter().map(|round| {
            json!({"requests": round.requests, "cpu_seconds": round.cpu_seconds, "p50_ms": round.p50_ms,
                "p99_ms": round.p99_ms, "first_byte_ms": round.first_byte_ms,
                "first_byte_p99_ms": round.first_byte_p99_ms, "rps": round.rps,
                "resident_mib": round.resident_mib})
        });
        let rounds: Vec<Value> = rounds.collect();
        bench.report.rounds.push(json!({"case": title, "subject": subject.name, "rounds": rounds}));
    }
}

/// Measures whether a request costs more when the ledger is long.
async fn measure_ledger(bench: &mut Bench) -> Result<(), String> {
    let (ledger, rows) = (bench.directory.join("full-ledger"), bench.settings.rows);
    fs::create_dir_all(&ledger).map_err(|error| format!("cannot make `{}`: {error}", ledger.display()))?;
    let mut fill = Command::new(&bench.settings.claw);
    fill.args(["cllama", "ledger-fill", "--rows", &rows.to_string(), "--ledger"]).arg(&ledger).stdin(Stdio::null());
    let filled = fill.output().map_err(|error| format!("cannot run `{}`: {error}", bench.settings.claw))?;
    if !filled.status.success() {
        let text = String::from_utf8_lossy(&filled.stderr);
        let line = text.lines().next().unwrap_or_default();
        bench.report.notes.push(format!("the ledger's growth is skipped: `cllama ledger-fill` has failed: {line}"));
        return Ok(());
    }
    let budget = json!({"usd": "1000000", "window": "day", "action": "hard_stop"});
    let empty = gateway(bench, "gateway, empty ledger", Some(budget.clone()), None)?;
    let full = gateway(bench, "gateway, full ledger", Some(budget), Some(ledger))?;
    let ready = [&empty, &full].map(|subject| subject.server.as_ref().map(|server| server.ready_ms));
    let idle = [empty.peak, full.peak];
    let mut subjects = vec![direct(bench)?, empty, full];
    measure(bench, &SMALL, &mut subjects).await;
    let ratio = Spread::of(subjects[2].rounds.iter().zip(&subjects[1].rounds).map(|(one, other)| {
        // A round without CPU time has failed, and is named as an error.
        one.cpu_ms() / other.cpu_ms().max(1e-6)
    }));
    let titles = ["budget, empty ledger".to_owned(), format!("budget, {rows} rows")];
    let titles = titles.map(|title| format!("{}, {title}", SMALL.title));
    for (index, title) in titles.iter().enumerate() {
        if index == 1 {
            subjects.swap(1, 2);
        }
        describe(bench, title, &SMALL, &subjects[..2]);
        let figures = [("ready ms", ready[index]), ("idle RSS MiB", Some(idle[index].resident as f64 / 1024.0))];
        for (figure, value) in figures {
            let gateway = Spread::of(value);
            let row = Row { case: title.clone(), figure, direct: None, gateway, peer: None, target: Target::None };
            bench.report.rows.push(row);
        }
    }
    let case = titles[1].clone();
    // CPU figures are good to about ten per cent: what is within them is the same.
    let target = Target::Median(1.1);
    bench.report.rows.push(Row { case, figure: "CPU full/empty", direct: None, gateway: ratio, peer: None, target });
    stop(bench, subjects)
}

/// Reports the starts of all gateways without a budget.
fn describe_starts(bench: &mut Bench) {
    let ready = Spread::of(bench.starts.iter().map(|(ready, _)| *ready));
    let idle = Spread::of(bench.starts.iter().map(|(_, idle)| idle.resident as f64 / 1024.0));
    if bench.starts.is_empty() {
        return;
    }
    for (figure, gateway, limit) in [("ready ms", ready, 20.0), ("idle RSS MiB", idle, 8.0)] {
        let (case, target) = ("start".to_owned(), Target::Median(limit));
        bench.report.rows.push(Row { case, figure, direct: None, gateway, peer: None, target });
    }
}
