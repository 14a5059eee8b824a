//! The canary: marker values for every kind of secret, and a search of everything that claw and the engine write or say.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

use super::{Pod, docker, shell, sleeps};
use crate::{Run, claw_with};

/// What every value begins with; the rest tells them apart.
const MARK: &str = "canary-5e1f";

/// Texts by the place they were found in.
#[derive(Default)]
struct Seen(Vec<(String, Vec<u8>)>);

impl Seen {
    fn add(&mut self, place: impl Into<String>, text: impl Into<Vec<u8>>) {
        self.0.push((place.into(), text.into()));
    }

    fn run(&mut self, place: impl Into<String>, run: &Run) {
        self.add(place, format!("{}\n{}", run.stdout, run.stderr));
    }

    /// Returns the places that hold one of the markers, as it is or as base64 hides it.
    fn hits(&self, markers: &[String]) -> Vec<String> {
        let has = |text: &[u8], marker: &str| text.windows(marker.len()).any(|window| window == marker.as_bytes());
        let hit = |text: &[u8]| markers.iter().any(|marker| has(text, marker));
        self.0.iter().filter(|(_, text)| hit(text)).map(|(place, _)| place.clone()).collect()
    }
}

fn pod(name: &str) -> Pod {
    let pod = Pod::new(name);
    shell(&pod);
    // The context of the agent's image is the pod's directory, with `.env` and everything else that holds a value.
    std::fs::copy(pod.folder.0.join("box/busybox"), pod.folder.0.join("busybox")).expect("copied");
    pod.write(
        "Clawfile",
        "FROM scratch\nCLAW_TYPE generic\nAGENT AGENTS.md\nCOPY . /context\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\nENTRYPOINT [\"/bin/sh\", \"-c\", \"echo started; exec sleep 1000\"]\n",
    );
    pod.write("AGENTS.md", "# Bot\n").write("held/phrase.txt", &format!("{MARK}-file\n"));
    pod.write(".env", &format!("BOT_TOKEN={MARK}-dotenv\nDEMO_API_KEY={MARK}-provider\n"));
    pod.write("more.env", &format!("EXTRA_KEY={MARK}-envfile\nPLAIN=p\n"));
    pod.write("claw-pod.yml", &text(""));
    pod
}

/// The pod file; `extra` goes to the end of the agent's environment.
fn text(extra: &str) -> String {
    format!(
        r#"x-claw:
  providers:
    demo: {{base_url: "http://provider:8701/v1", key: "${{DEMO_API_KEY}}"}}
  secrets:
    PASSPHRASE: {{file: held/phrase.txt}}
    MADE: {{command: [sh, -c, "printf '{MARK}%s' -command"]}}
services:
  bot:
    build: .
    stop_signal: SIGKILL
    environment:
      BOT_TOKEN: ${{BOT_TOKEN}}
      SHELL_TOKEN: ${{SHELL_TOKEN}}
      PHRASE: ${{PASSPHRASE}}
      MADE: ${{MADE}}
{extra}    env_file: [more.env]
    x-claw: {{models: {{primary: demo/echo-1}}}}
  provider:
    image: claw/infra
    command: ["reference", "provider", "--listen", "0.0.0.0:8701"]
"#
    )
    // What the command prints stands nowhere in the pod file.
    .replace(&format!("{MARK}%s"), "canary-%s")
    .replace("' -command", "' 5e1f-command")
}

fn run(pod: &Pod, arguments: &[&str], host: &[(&str, &str)]) -> Run {
    let shell = format!("{MARK}-environment");
    let variables = [&[("SHELL_TOKEN", shell.as_str())], host].concat();
    claw_with(&pod.folder.0, &[&["-p", &pod.name], arguments].concat(), &variables)
}

/// What is asked, in both forms.
fn ask(pod: &Pod, seen: &mut Seen, how: &str, commands: &[&[&str]], host: &[(&str, &str)]) {
    for arguments in commands {
        seen.run(format!("{how} {arguments:?}"), &run(pod, arguments, host));
        seen.run(format!("{how} {arguments:?} --json"), &run(pod, &[arguments, &["--json"][..]].concat(), host));
    }
}

const READING: &[&[&str]] = &[
    &["check"],
    &["check", "--strict"],
    &["compile", "-o", "out"],
    &["plan"],
    &["ps"],
    &["logs"],
    &["health"],
    &["verify"],
    &["inspect", "bot"],
    &["ask", "bot", "hi"],
    &["explain", "services.bot.entrypoint"],
    &["explain", "services.bot.environment"],
    &["explain", "missing-secret"],
    &["secrets", "list"],
    &["secrets", "rotate", "BOT_TOKEN"],
    &["doctor"],
    &["build", "bot"],
];

/// What the engine knows, through its own client.
fn engine(pod: &Pod, seen: &mut Seen) {
    let label = format!("label=com.docker.compose.project={}", pod.name);
    let ids = |words: &[&str]| {
        let text = docker(&[words, &["-q", "--filter", &label]].concat());
        text.lines().map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    for id in ids(&["ps", "-a"]) {
        seen.add("docker inspect of a container", docker(&["inspect", &id]));
        let logs = Command::new("docker").args(["logs", &id]).output().expect("docker runs");
        seen.add("docker logs", [logs.stdout, logs.stderr].concat());
    }
    for (kind, id) in ids(&["network", "ls"]).into_iter().map(|id| ("network", id)) {
        seen.add("docker network inspect", docker(&[kind, "inspect", &id]));
    }
    for id in ids(&["volume", "ls"]) {
        seen.add("docker volume inspect", docker(&["volume", "inspect", &id]));
    }
    let image = format!("{}-bot", pod.name);
    seen.add("docker inspect of the image", docker(&["image", "inspect", &image]));
    seen.add("docker history", docker(&["history", "--no-trunc", &image]));
    // The files as the image has them: of a container that is never started, because layers may be packed.
    let never = docker(&["create", &image]);
    let export = Command::new("docker").args(["export", &never]).output().expect("docker runs");
    docker(&["rm", &never]);
    assert!(export.stdout.len() > 100_000, "the image's files");
    seen.add("the files of the image", export.stdout);
}

/// Files of the pod that may hold a value: what the user wrote, sealed files, tokens of claw's own.
fn may_hold(pod: &Pod, path: &str, found: &std::fs::Metadata) -> bool {
    let inputs = [".env", "more.env", "held/phrase.txt", "leak.yml"];
    if inputs.contains(&path) {
        return true;
    }
    let own = format!(".claw/{}/", pod.name);
    let Some(below) = path.strip_prefix(&own) else { return false };
    let mode = found.mode() & 0o777;
    let is_sealed = below.starts_with("units/") && below.contains("/secrets/") && (mode, found.uid()) == (0o400, 65532);
    is_sealed || (below.starts_with("state/tokens/") && mode == 0o600)
}

fn host(pod: &Pod, seen: &mut Seen) {
    let mut open = vec![pod.folder.0.clone()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder").flatten() {
            let found = entry.path().symlink_metadata().expect("there");
            if found.is_dir() {
                open.push(entry.path());
                continue;
            }
            let path = entry.path().strip_prefix(&pod.folder.0).expect("below").display().to_string();
            if found.is_file() && !may_hold(pod, &path, &found) {
                seen.add(format!("the file {path}"), std::fs::read(entry.path()).expect("read"));
            }
        }
    }
}

/// Every value: those of the test, and what claw minted.
fn markers(pod: &Pod) -> Vec<String> {
    let mut markers = vec![MARK.to_owned()];
    let state = pod.folder.0.join(".claw").join(&pod.name).join("state");
    let tokens = if state.is_dir() { crate::files(&state) } else { BTreeMap::new() };
    markers.extend(tokens.into_iter().filter(|(path, _)| path.starts_with("tokens/")).map(|(_, token)| token));
    markers
}

/// The engine's events of a test, from its beginning to its end.
struct Events(std::process::Child);

impl Events {
    fn start() -> Self {
        let events = Command::new("docker").args(["events", "--format", "{{json .}}"]).stdout(Stdio::piped()).spawn();
        Self(events.expect("docker runs"))
    }

    fn end(mut self) -> Vec<u8> {
        self.0.kill().expect("it runs");
        let mut text = Vec::new();
        self.0.stdout.take().expect("piped").read_to_end(&mut text).expect("read");
        let _ = self.0.wait();
        text
    }
}

#[test]
fn no_value_is_in_anything_that_is_written_or_said() {
    let pod = pod("leaks");
    let mut seen = Seen::default();
    let events = Events::start();
    ask(&pod, &mut seen, "before", READING, &[]);
    let up = run(&pod, &["up", "-d"], &[]);
    assert_eq!(up.code, Some(0), "{up:?}");
    seen.run("up", &up);
    sleeps(&pod.container("bot"));
    let delivered = docker(&["exec", &pod.container("bot"), "sh", "-c", "cat /proc/$(pidof sleep)/environ"]);
    for kind in ["dotenv", "environment", "file", "command", "envfile"] {
        assert!(delivered.contains(&format!("{MARK}-{kind}")), "the agent has {kind}");
    }
    ask(&pod, &mut seen, "while", READING, &[]);
    seen.run("up --json", &run(&pod, &["up", "-d", "--json"], &[]));
    engine(&pod, &mut seen);
    host(&pod, &mut seen);
    assert_eq!(seen.hits(&markers(&pod)), Vec::<String>::new());

    // Failing ways: no engine, a secret that is none, a literal, a mixture, a file that is broken, a command that fails.
    let both = [READING, &[&["up", "-d"][..], &["down"]]].concat();
    ask(&pod, &mut seen, "no engine", &both, &[("DOCKER_HOST", "unix:///no/such.sock")]);
    let broken = [
        text(&format!("      LITERAL_TOKEN: {MARK}-literal\n")),
        text("      MIXED_URL: http://x:${BOT_TOKEN}@y\n"),
        text(&format!("      WITH_KEY: ${{BOT_TOKEN:-{MARK}-default}}\n")),
        text("      UNSET_TOKEN: ${UNSET_TOKEN}\n"),
        text("      BAD: ${BOT_TOKEN\n"),
        text("")
            .replace("    stop_signal: SIGKILL\n", "    ports: [\"${BOT_TOKEN}\"]\n    image: \"${SHELL_TOKEN}:x\"\n"),
        text("").replace("services:", "services: ${BOT_TOKEN}"),
        text("").replace("%s'", "%s'; exit 3 #").replace("5e1f-command", "5e1f-command >&2"),
    ];
    for (at, text) in broken.iter().enumerate() {
        pod.write("leak.yml", text);
        let again: Vec<Vec<&str>> = both.iter().map(|words| [&["-f", "leak.yml"], *words].concat()).collect();
        let again: Vec<&[&str]> = again.iter().map(Vec::as_slice).collect();
        // One way of each kind is enough for those that need no engine.
        let few = [again[0], again[2], again[3], again[8], again[13], again[17]];
        ask(&pod, &mut seen, &format!("broken {at}"), &few, &[]);
    }
    std::fs::remove_file(pod.folder.0.join("leak.yml")).expect("removed");
    pod.write("more.env", &format!("EXTRA_KEY=\"{MARK}-open\n{MARK} b\n"));
    ask(&pod, &mut seen, "broken env file", &[&["check"], &["plan"], &["up", "-d"]], &[]);
    pod.write(".env", &format!("BOT_TOKEN=\"{MARK}-open\n"));
    ask(&pod, &mut seen, "broken .env", &[&["check"], &["plan"], &["up", "-d"]], &[]);
    host(&pod, &mut seen);
    ask(&pod, &mut seen, "end", &[&["down"], &["down", "-v", "-y"]], &[]);
    assert_eq!(pod.left(&["ps", "-a"]), Vec::<String>::new(), "a broken file is no reason to leave containers behind");
    seen.add("the engine's events", events.end());
    assert_eq!(seen.hits(&markers(&pod)), Vec::<String>::new());
    assert!(seen.0.len() > 200, "{} places were searched", seen.0.len());
}

#[test]
fn the_search_finds_what_is_planted() {
    let pod = pod("planted");
    let found = |pod: &Pod| {
        let mut seen = Seen::default();
        host(pod, &mut seen);
        seen.hits(&markers(pod))
    };
    assert_eq!(found(&pod), Vec::<String>::new());
    pod.write("compose.generated.yml", &format!("x: {MARK}\n"));
    // A token of claw's own that stands elsewhere, and a sealed file that others may read.
    let own = format!(".claw/{}", pod.name);
    pod.write(&format!("{own}/state/tokens/bot"), "f00dfeed").write(&format!("{own}/bin/x"), "=f00dfeed=");
    pod.write(&format!("{own}/units/bot/1/secrets/BOT_TOKEN"), &format!("{MARK}-x"));
    let mut hits = found(&pod);
    hits.sort();
    let expected =
        ["bin/x", "state/tokens/bot", "units/bot/1/secrets/BOT_TOKEN"].map(|path| format!("the file {own}/{path}"));
    assert_eq!(hits, [&expected[..], &["the file compose.generated.yml".to_owned()]].concat());
    let mut seen = Seen::default();
    seen.run("a run", &Run { code: None, stdout: String::new(), stderr: format!("x{MARK}") });
    assert_eq!(seen.hits(&markers(&pod)), ["a run"]);
}
