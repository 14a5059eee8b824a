//! What the driver `hermes` writes, judged by the real program where it is installed (`make runtimes`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use claw_types::agent::{AgentUnit, ChannelPolicy, DirectPolicy, EnvValue, GuildPolicy, Hears, Inference, Setting};
use claw_types::diag::Diagnostics;
use claw_types::doc::Doc;
use claw_types::driver::Lowered;
use claw_types::platform::Platform;
use claw_types::roster::Channel;
use claw_types::span::{FileId, Span, Spanned};
use serde_json::{Value, json};

use crate::{everything, everything_proxied, heard, unit};

/// Returns the python that has the real program in it; nothing, said aloud, where it is not installed.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn python() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.runtimes/hermes");
    let folder = folder.canonicalize().ok().filter(|folder| folder.join("hermes.done").is_file());
    if folder.is_none() {
        println!("skipped: no hermes; `make runtimes` installs it");
    }
    Some(folder?.join("venv/bin/python"))
}

fn lowered(unit: &AgentUnit) -> (Lowered, Diagnostics) {
    let driver = claw_drivers::find("hermes").expect("a driver");
    let mut diag = Diagnostics::new();
    driver.check(unit, &mut diag);
    let lowered = driver.lower(unit, &mut diag).expect("lowered");
    (lowered, diag)
}

/// A place where hermes finds what was made for a unit, gone with it.
struct Home {
    folder: PathBuf,
    env: BTreeMap<String, String>,
}

impl Home {
    fn new(unit: &AgentUnit) -> Self {
        let (lowered, diag) = lowered(unit);
        assert!(!diag.has_errors(), "{diag:?}");
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("claw-hermes-{}-{number}", std::process::id()));
        let write = |path: &Path, text: &str| {
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, text).expect("written");
        };
        for (path, file) in lowered.files.iter() {
            write(&folder.join(path.as_str()), &file.content.masked().replace("/claw/skills", "/nowhere"));
        }
        let within = |text: &str| {
            text.replace("/claw/", &format!("{}/claw/", folder.display()))
                .replace("/var/lib/hermes", &folder.join("state").display().to_string())
                .replace("/home/claw", &folder.join("home").display().to_string())
        };
        std::fs::create_dir_all(folder.join("state/workspace")).expect("a folder");
        std::fs::create_dir_all(folder.join("home")).expect("a folder");
        for mount in lowered.mounts.iter().filter(|mount| !mount.source.as_str().ends_with("AGENTS.md")) {
            std::fs::copy(folder.join(mount.source.as_str()), within(mount.target.as_str())).expect("copied");
        }
        let mut env: BTreeMap<String, String> = BTreeMap::new();
        for name in unit.env.keys() {
            env.insert(name.to_string(), format!("secret-of-{name}"));
        }
        let keys = match &unit.inference {
            Inference::Proxied { token, .. } => vec![token.file_name()],
            Inference::Direct { upstreams } => {
                upstreams.values().filter_map(|upstream| upstream.key.as_ref()).map(|key| key.file_name()).collect()
            }
        };
        for name in keys.into_iter().chain(lowered.secrets.iter().map(|secret| secret.file_name())) {
            env.insert(name.clone(), format!("secret-of-{name}-0123456789abcdef"));
        }
        for (name, value) in &lowered.env {
            let text = match value {
                EnvValue::Literal(text) => within(text),
                _ => format!("secret-of-{name}"),
            };
            env.insert(name.to_string(), text);
        }
        Self { folder, env }
    }

    /// Runs python where hermes runs, with no way out.
    fn run(&self, python: &Path, arguments: &[&str]) -> String {
        let output = Command::new("unshare")
            .args(["--net", "--"])
            .arg(python)
            .args(arguments)
            .current_dir(self.folder.join("state/workspace"))
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .envs(&self.env)
            .output()
            .expect("python runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        assert!(!String::from_utf8_lossy(&output.stdout).contains("secret-of-"), "a secret is shown");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn script(&self) -> String {
        self.folder.join("claw/runtime.py").display().to_string()
    }

    fn reading(&self, python: &Path) -> Value {
        serde_json::from_str(&self.run(python, &[&self.script(), "reading"])).expect("JSON")
    }

    /// Changes the configuration, at both places where it is read.
    fn change(&self, change: impl Fn(&mut Value)) {
        let path = self.folder.join("claw/hermes/config.yaml");
        let text = std::fs::read_to_string(&path).expect("a file");
        let mut config: Value = serde_json::from_str(&text).expect("JSON");
        change(&mut config);
        for path in [path, self.folder.join("state/config.yaml")] {
            std::fs::write(path, config.to_string()).expect("written");
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Rules at the ends of what can be said: everyone and nobody, with channels and without.
fn open_and_closed() -> AgentUnit {
    let mut unit = everything("hermes");
    for (platform, policy) in &mut unit.channels {
        let channels = vec![Channel { id: "77".into(), name: None }];
        let guild = |hears, require_mention| GuildPolicy { hears, require_mention, channels: channels.clone() };
        let is_one_list = matches!(platform.name(), "matrix" | "slack");
        let heard = if is_one_list { Hears::Only(vec!["7".into()]) } else { Hears::Everyone };
        let guilds = [("9".to_owned(), guild(heard, false)), ("10".to_owned(), guild(Hears::Nobody, true))];
        let direct = match platform.name() {
            "telegram" => DirectPolicy::Pairing(vec![]),
            _ if is_one_list => DirectPolicy::Only(vec!["7".into()]),
            _ => DirectPolicy::Disabled,
        };
        *policy = ChannelPolicy { guilds: guilds.into(), direct, peers: Vec::new() };
    }
    unit
}

fn configured() -> AgentUnit {
    let mut unit = unit("hermes", true, 0, 1, true);
    let settings = [
        ("agent.max_turns", Doc::int(30)),
        ("model.context_length", Doc::int(128_000)),
        ("toolsets", Doc::strs(["hermes-cli"])),
    ];
    let at = Span::start_of(FileId(0));
    unit.settings =
        settings.map(|(path, value)| Setting { path: Spanned::new(path.to_owned(), at), value }).into_iter().collect();
    unit
}

/// What is done to a configuration.
type Change = fn(&mut Value);

/// The platforms that are on.
fn on(reading: &Value) -> Vec<String> {
    let platforms = reading["configuration"]["gateway"]["platforms"].as_object().expect("platforms");
    platforms.iter().filter(|(_, each)| each["enabled"] == json!(true)).map(|(name, _)| name.clone()).collect()
}

#[test]
fn the_real_program_reads_every_configuration_as_it_was_meant() {
    let Some(python) = python() else { return };
    let (proxy, provider) = ("http://cllama-passthrough:8080/v1", "http://p:1/v1");
    let all = ["api_server", "discord", "matrix", "slack", "telegram"];
    let cases = [
        ("direct", unit("hermes", false, 0, 1, false), provider, &all[..1], json!(["m"])),
        ("proxied", unit("hermes", true, 2, 3, true), proxy, &all[..1], json!(["demo/m"])),
        ("everything", everything("hermes"), provider, &all[..], json!(["m", "small/m2"])),
        ("everything, proxied", everything_proxied("hermes"), proxy, &all[..], json!(["demo/m", "demo/small/m2"])),
        ("open and closed", open_and_closed(), provider, &all[..], json!(["m", "small/m2"])),
        ("configured", configured(), proxy, &all[..1], json!(["demo/m"])),
    ];
    for (name, unit, endpoint, platforms, models) in cases {
        let reading = Home::new(&unit).reading(&python);
        assert_eq!(reading["ignored"], json!([]), "{name}");
        assert_eq!(reading["warnings"], json!([]), "{name}");
        assert_eq!(reading["endpoints"], json!([endpoint]), "{name}");
        assert_eq!(reading["models"], models, "{name}");
        let mut found = on(&reading);
        found.sort();
        assert_eq!(found, platforms, "{name}");
    }
}

/// Returns the configurations that the examples compile to.
fn goldens() -> Vec<(PathBuf, Value)> {
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")];
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).expect("a folder").flatten().map(|entry| entry.path()));
        } else if path.ends_with("hermes/config.yaml") {
            let text = std::fs::read_to_string(&path).expect("a file");
            found.push((path, serde_json::from_str(&text).expect("JSON")));
        }
    }
    found
}

#[test]
fn the_real_program_takes_what_the_examples_compile_to() {
    let Some(python) = python() else { return };
    for (path, config) in goldens() {
        let home = Home::new(&unit("hermes", true, 0, 1, true));
        home.change(|own| *own = config.clone());
        let reading = home.reading(&python);
        assert_eq!((&reading["ignored"], &reading["warnings"]), (&json!([]), &json!([])), "{}", path.display());
        assert_ne!(reading["endpoints"], json!([]), "{}", path.display());
    }
}

#[test]
fn what_was_wrong_once_stays_wrong() {
    let Some(python) = python() else { return };
    let home = Home::new(&unit("hermes", true, 0, 1, true));
    let good = home.reading(&python);
    assert_eq!((&good["ignored"], &good["warnings"]), (&json!([]), &json!([])));
    let cases: [(&str, Change); 4] = [
        ("warnings", |config| config["custom_providers"] = json!({ "cllama": { "base_url": "http://x/v1" } })),
        ("warnings", |config| config["fallback_model"] = json!("openai/gpt-4o")),
        ("ignored", |config| config["discord"]["require_mentions"] = json!(true)),
        ("ignored", |config| config["modl"] = json!({})),
    ];
    for (index, (place, change)) in cases.into_iter().enumerate() {
        let home = Home::new(&unit("hermes", true, 0, 1, true));
        home.change(change);
        assert_ne!(home.reading(&python)[place], json!([]), "case {index} passes");
    }
}

/// Has the persona put in place, and tells what hermes' own code reads for a prompt.
const SOUL: &str = "import sys\n\
    sys.path.insert(0, sys.argv[1])\n\
    import runtime\n\
    runtime.persona()\n\
    from agent.prompt_builder import load_soul_md\n\
    print(load_soul_md())\n";

#[test]
fn the_real_program_reads_its_persona_and_what_the_agent_made_of_its_own_stays() {
    let Some(python) = python() else { return };
    let mut home = Home::new(&unit("hermes", true, 0, 1, true));
    let (persona, own) = (home.folder.join("persona"), home.folder.join("state/SOUL.md"));
    let claw = home.folder.join("claw").display().to_string();
    let read = |home: &Home| home.run(&python, &["-c", SOUL, &claw]);
    let write = |path: &Path, text: &str| std::fs::write(path, text).expect("written");
    let without = read(&home);
    assert!(own.is_file() && !without.contains("marker"), "it makes its own: {without}");
    std::fs::create_dir_all(&persona).expect("a folder");
    home.env.insert("CLAW_PERSONA_DIR".to_owned(), persona.display().to_string());
    assert_eq!(read(&home), without, "a persona without that file");
    write(&persona.join("SOUL.md"), "marker-of-the-soul\n");
    assert_eq!(read(&home), "marker-of-the-soul\n");
    // What it writes there is the persona's.
    write(&own, "marker-that-grew\n");
    assert_eq!(std::fs::read_to_string(persona.join("SOUL.md")).expect("read"), "marker-that-grew\n");
    assert_eq!(read(&home), "marker-that-grew\n");
    // Without a persona it is as if there never was one, also where the volume is gone with it.
    home.env.remove("CLAW_PERSONA_DIR");
    std::fs::rename(&persona, home.folder.join("away")).expect("moved");
    assert_eq!(read(&home), without);
    assert!(!own.is_symlink());
    write(&own, "of its own\n");
    std::fs::rename(home.folder.join("away"), &persona).expect("moved");
    home.env.insert("CLAW_PERSONA_DIR".to_owned(), persona.display().to_string());
    assert_eq!(read(&home), "of its own\n");
}

#[test]
fn a_server_that_was_emptied_is_told() {
    let Some(python) = python() else { return };
    let read = |change: Change| {
        let home = Home::new(&unit("hermes", true, 0, 1, true));
        home.change(change);
        let mut read = home.reading(&python);
        (read["endpoints"].take(), read["warnings"].take())
    };
    // One of its own that has lost its server is none, which hermes says; it is not left out in silence.
    let (endpoints, warnings) = read(|config| config["custom_providers"][0]["base_url"] = json!(""));
    assert_eq!(endpoints, json!([]));
    assert!(warnings.to_string().contains("custom:cllama"), "{warnings}");
    // A provider that it knows is asked where hermes says.
    let (endpoints, _) = read(|config| config["model"] = json!({"default": "m", "provider": "custom"}));
    let endpoints = endpoints.as_array().expect("a list").clone();
    assert!(endpoints.contains(&json!("https://openrouter.ai/api/v1")), "{endpoints:?}");
    // One that a task names without a provider is one more.
    let (endpoints, _) = read(|config| {
        config["auxiliary"]["vision"] = json!({"provider": "", "model": "m", "base_url": "http://elsewhere:1/v1"});
    });
    assert!(endpoints.to_string().contains("http://elsewhere:1/v1"), "{endpoints}");
}

/// Asks hermes' own code who is heard: the gateway's rule, and the adapters' before it.
const HEARD: &str = r#"
import json, sys, types
from gateway.config import Platform, load_gateway_config
from gateway.authz_mixin import GatewayAuthorizationMixin
from gateway.session import SessionSource
config = load_gateway_config()
runner = type("Runner", (GatewayAuthorizationMixin,), {})()
runner.config, runner.adapters, runner.pairing_store = config, {}, None
from plugins.platforms.discord.adapter import DiscordAdapter
import os
ids = lambda name: {each.strip() for each in os.environ.get(name, "").split(",") if each.strip()}
discord = object.__new__(DiscordAdapter)
discord._allowed_user_ids = ids("DISCORD_ALLOWED_USERS")
discord._allowed_role_ids = {int(each) for each in ids("DISCORD_ALLOWED_ROLES")}
discord._client = None
discord._is_pairing_approved_user = lambda user: False
def member(user, guild):
    role = types.SimpleNamespace(id=int(guild))
    return types.SimpleNamespace(id=int(user), roles=[role], guild=types.SimpleNamespace(id=int(guild)))
def heard(platform, kind, chat, user, guild):
    is_dm = kind == "dm"
    source = SessionSource(platform=Platform(platform), chat_id=chat, chat_type=kind, user_id=user)
    if platform == "discord":
        author = None if is_dm else member(user, guild)
        room = None if is_dm else types.SimpleNamespace(id=int(guild), get_member=lambda _: None)
        if not discord._is_allowed_user(user, author, guild=room, is_dm=is_dm, channel_ids=None if is_dm else {chat}):
            return False
        source.role_authorized = bool(discord._allowed_role_ids)
    return runner._is_user_authorized(source)
def judged(env, cases):
    global discord
    rules = ("ALLOW", "REQUIRE", "FREE", "GROUP")
    for name in [name for name in os.environ if any(rule in name for rule in rules)]:
        del os.environ[name]
    os.environ.update(env)
    discord._allowed_user_ids = ids("DISCORD_ALLOWED_USERS")
    discord._allowed_role_ids = {int(each) for each in ids("DISCORD_ALLOWED_ROLES")}
    return [heard(*case) for case in cases]
print(json.dumps([judged(*each) for each in json.loads(sys.argv[1])]))
"#;

/// Returns the variables that hold the rules of a unit.
fn rules(unit: &AgentUnit) -> BTreeMap<String, String> {
    let literals = lowered(unit).0.env.into_iter().filter_map(|(name, value)| match value {
        EnvValue::Literal(text) => Some((name.to_string(), text)),
        _ => None,
    });
    literals.filter(|(name, _)| !name.starts_with("HERMES")).collect()
}

#[test]
fn the_real_program_hears_nobody_whom_a_pod_that_compiles_does_not_let() {
    let Some(python) = python() else { return };
    let names = heard::policies("discord");
    let platforms = ["discord", "matrix", "slack", "telegram"];
    let units: Vec<AgentUnit> = (0..names.len()).map(|index| heard::on_each("hermes", &platforms, index)).collect();
    // Which channels are read is judged before, and not asked here: so of places that are open, and directly.
    let questions = |unit: &AgentUnit| {
        let mut all = Vec::new();
        for (platform, policy) in &unit.channels {
            let (people, guilds) = heard::asked(platform.name());
            for person in people {
                for [guild, channel] in &guilds {
                    if policy.guilds.get(*guild).is_some_and(|guild| guild.hears != Hears::Nobody) {
                        let place = if platform.name() == "telegram" { guild } else { channel };
                        let case = json!([platform.name(), "group", place, person, guild]);
                        all.push((case, heard::lets(policy, Some(guild), person)));
                    }
                }
                let case = json!([platform.name(), "dm", person, person, "0"]);
                all.push((case, heard::lets(policy, None, person)));
            }
        }
        all
    };
    let asked = units.iter().map(|unit| {
        let cases = questions(unit).into_iter().map(|(case, _)| case);
        json!([rules(unit), cases.collect::<Vec<_>>()])
    });
    let asked = Value::from(asked.collect::<Vec<_>>()).to_string();
    let said = Home::new(&everything("hermes")).run(&python, &["-c", HEARD, &asked]);
    let said: Vec<Vec<bool>> = serde_json::from_str(said.trim()).expect("JSON");
    let mut count = 0;
    for ((unit, (name, _)), said) in units.iter().zip(&names).zip(said) {
        for ((case, may), is_heard) in questions(unit).into_iter().zip(said) {
            assert!(may || !is_heard, "{name}: {case} is heard");
            count += usize::from(is_heard);
        }
    }
    assert!(count > 20, "hardly anybody is heard: {count}");
}

#[test]
fn the_real_program_hears_whom_the_pod_names_and_nobody_else() {
    let Some(python) = python() else { return };
    // Platform, kind of chat, chat, user, guild; and whether they are heard.
    let closed = [
        (json!(["discord", "group", "77", "5", "9"]), true),
        (json!(["discord", "group", "77", "5", "10"]), false),
        (json!(["discord", "dm", "5", "5", "0"]), false),
        (json!(["telegram", "group", "9", "5", ""]), true),
        (json!(["telegram", "group", "10", "5", ""]), false),
        (json!(["telegram", "dm", "5", "5", ""]), false),
        (json!(["slack", "group", "77", "7", ""]), true),
        (json!(["slack", "group", "77", "5", ""]), false),
        (json!(["slack", "dm", "5", "5", ""]), false),
        (json!(["matrix", "group", "77", "7", ""]), true),
        (json!(["matrix", "group", "77", "5", ""]), false),
    ];
    let named = [
        (json!(["discord", "group", "1465489501551067137", "167037070349434880", "1465489501551067136"]), true),
        (json!(["discord", "group", "1465489501551067137", "5", "1465489501551067136"]), false),
        (json!(["discord", "dm", "5", "5", "0"]), false),
        (json!(["telegram", "group", "-1001234567890", "167037070", ""]), true),
        (json!(["telegram", "group", "-1001234567890", "5", ""]), false),
        (json!(["telegram", "dm", "5", "5", ""]), false),
        (json!(["slack", "dm", "5", "U0123456789", ""]), true),
        (json!(["matrix", "dm", "5", "@alice:example.org", ""]), true),
        (json!(["matrix", "dm", "5", "@mallory:example.org", ""]), false),
    ];
    for (unit, cases) in [(open_and_closed(), &closed[..]), (everything("hermes"), &named[..])] {
        let asked = Value::from(cases.iter().map(|(case, _)| case.clone()).collect::<Vec<_>>());
        let asked = json!([[rules(&unit), asked]]).to_string();
        let said = Home::new(&unit).run(&python, &["-c", HEARD, &asked]);
        let mut said: Vec<Vec<bool>> = serde_json::from_str(said.trim()).expect("JSON");
        for ((case, is_heard), said) in cases.iter().zip(said.remove(0)) {
            assert_eq!(said, *is_heard, "{case}");
        }
    }
}

/// Asks the adapters' own code whether a message in a thread that hermes has spoken in needs a mention.
const THREADS: &str = r#"
import json, types
from plugins.platforms.discord.adapter import DiscordAdapter
from plugins.platforms.matrix.adapter import MatrixAdapter
from plugins.platforms.slack.adapter import SlackAdapter
config = types.SimpleNamespace(extra={})
def made(kind):
    adapter = object.__new__(kind)
    adapter.config = config
    return adapter
print(json.dumps([
    made(DiscordAdapter)._discord_thread_require_mention(),
    MatrixAdapter._parse_thread_require_mention(config),
    made(SlackAdapter)._slack_strict_mention(),
]))
"#;

#[test]
fn the_real_program_wants_a_mention_in_threads_where_the_pod_does() {
    let Some(python) = python() else { return };
    let names = heard::policies("discord");
    for (name, is_needed) in [("one list, a channel", true), ("a channel, no mention", false)] {
        let index = names.iter().position(|(own, _)| *own == name).expect("a policy");
        let unit = heard::on_each("hermes", &["discord", "matrix", "slack"], index);
        let said = Home::new(&unit).run(&python, &["-c", THREADS]);
        let said: Value = serde_json::from_str(said.trim()).expect("JSON");
        assert_eq!(said, json!([is_needed, is_needed, is_needed]), "{name}");
    }
}

/// Reads the expressions by the adapters' own code, which drops one that is invalid without an error.
const MENTIONS: &str = r#"
import json, sys, types
from gateway.config import Platform, load_gateway_config
from plugins.platforms.slack.adapter import SlackAdapter
from plugins.platforms.telegram.adapter import TelegramAdapter
said = []
for kind in (SlackAdapter, TelegramAdapter):
    adapter = object.__new__(kind)
    adapter.config = types.SimpleNamespace(extra={})
    adapter.platform = Platform.SLACK if kind is SlackAdapter else Platform.TELEGRAM
    patterns = adapter._slack_mention_patterns() if kind is SlackAdapter else adapter._compile_mention_patterns()
    said.append([any(each.search(text) for each in patterns) for text in json.loads(sys.argv[1])])
print(json.dumps(said))
"#;

#[test]
fn the_real_program_hears_its_name_and_no_other() {
    let Some(python) = python() else { return };
    let mut unit = everything("hermes");
    for (username, said, other) in [
        ("tiverton", "hey @Tiverton, look", "hey tivertons"),
        ("tiver.ton", "tiver.ton?", "tiverxton?"),
        ("(a) *b*", "so, (a) *b* then", "so, a b then"),
    ] {
        for identity in unit.identities.values_mut() {
            identity.username = Some(username.into());
        }
        let texts = json!([said, other]).to_string();
        let heard = Home::new(&unit).run(&python, &["-c", MENTIONS, &texts]);
        let heard: Value = serde_json::from_str(heard.trim()).expect("JSON");
        assert_eq!(heard, json!([[true, false], [true, false]]), "{username}");
    }
}

#[test]
fn the_real_scheduler_keeps_claws_jobs_and_those_of_others() {
    let Some(python) = python() else { return };
    let home = Home::new(&everything("hermes"));
    let jobs = home.folder.join("claw/schedules.json").display().to_string();
    let tell = || home.run(&python, &[&home.script(), "schedules", &jobs]).trim().to_owned();
    let by_hand = "from cron.jobs import create_job; create_job('x', '0 1 * * *', name='by-hand')";
    home.run(&python, &["-c", by_hand]);
    // The workspace of the container is another one here.
    let own = std::fs::read_to_string(&jobs).expect("a file");
    let own = own.replace("/var/lib/hermes", &home.folder.join("state").display().to_string());
    std::fs::write(&jobs, &own).expect("written");
    assert_eq!(tell(), r#"{"ok":true,"created":5,"updated":0,"unchanged":0,"removed":0}"#);
    assert_eq!(tell(), r#"{"ok":true,"created":0,"updated":0,"unchanged":5,"removed":0}"#);
    std::fs::write(&jobs, own.replace("Look at the market", "Look away").replace("*/5 * * * *", "*/7 * * * *"))
        .expect("written");
    assert_eq!(tell(), r#"{"ok":true,"created":0,"updated":5,"unchanged":0,"removed":0}"#);
    let kept = std::fs::read_to_string(home.folder.join("state/cron/jobs.json")).expect("a file");
    let kept: Value = serde_json::from_str(&kept).expect("JSON");
    let row = |job: &Value| format!("{} {} {}", job["name"], job["schedule"]["expr"], job["deliver"]).replace('"', "");
    let mut rows: Vec<String> = kept["jobs"].as_array().expect("jobs").iter().map(row).collect();
    rows.sort();
    let expected = [
        "by-hand 0 1 * * * local",
        "morning-discord 0 9 * * 1-5 discord:1465489501551067137",
        "morning-matrix 0 9 * * 1-5 matrix:!room:example.org",
        "morning-slack 0 9 * * 1-5 slack:C0123456789",
        "morning-telegram 0 9 * * 1-5 telegram:-1001234567891",
        "pulse */7 * * * * local",
    ];
    assert_eq!(rows, expected);
    let owner = everything("hermes");
    std::fs::write(&jobs, json!({ "jobs": [], "owner": format!("claw:{}:{}:", owner.pod, owner.id) }).to_string())
        .expect("written");
    assert_eq!(tell(), r#"{"ok":true,"created":0,"updated":0,"unchanged":0,"removed":5}"#);
}

/// What hermes cannot keep is told: an error where it would open what is closed, else a warning.
#[test]
fn rules_that_it_cannot_keep_are_told() {
    let judged = |name: &str, policy: ChannelPolicy| {
        let mut unit = everything("hermes");
        let platform = Platform::parse(name).expect("a platform");
        unit.channels.insert(platform, policy);
        let driver = claw_drivers::find("hermes").expect("a driver");
        let mut diag = Diagnostics::new();
        driver.check(&unit, &mut diag);
        let mine = format!("`{name}`");
        let told = diag.iter().filter(|each| each.message.contains(&mine));
        let mut told: Vec<String> = told.map(|each| format!("{:?} {}", each.severity, each.message)).collect();
        told.sort();
        told
    };
    let guild = |hears: Hears, channels: &[&str]| {
        let channels = channels.iter().map(|id| Channel { id: (*id).to_owned(), name: None }).collect();
        GuildPolicy { hears, require_mention: true, channels }
    };
    let policy = |guilds: Vec<(&str, GuildPolicy)>, direct: DirectPolicy| ChannelPolicy {
        guilds: guilds.into_iter().map(|(id, guild)| (id.to_owned(), guild)).collect(),
        direct,
        peers: Vec::new(),
    };
    let only = |ids: &[&str]| Hears::Only(ids.iter().map(|id| (*id).to_owned()).collect());
    let named = DirectPolicy::Only(vec!["1".into()]);
    assert_eq!(judged("slack", policy(vec![("9", guild(only(&["1"]), &["c"]))], named.clone())), [""; 0]);
    assert_eq!(judged("slack", policy(vec![], DirectPolicy::Disabled)), [""; 0]);
    let everyone = || vec![("9", guild(Hears::Everyone, &["c"]))];
    let closed = DirectPolicy::Disabled;
    for (name, guilds, direct, said) in [
        ("slack", everyone(), closed.clone(), "Warning `hermes` hears nobody in `9`"),
        (
            "slack",
            vec![("9", guild(only(&["1"]), &["c"]))],
            DirectPolicy::Open,
            "Error `hermes` would hear everyone in",
        ),
        ("slack", vec![("9", guild(only(&["2"]), &["c"]))], named.clone(), "Error `hermes` would hear `2` directly"),
        ("slack", vec![("9", guild(only(&["1"]), &["c"]))], closed.clone(), "Error `hermes` would hear `1` directly"),
        ("discord", everyone(), closed, "Warning hermes hears everyone"),
        ("discord", vec![("9", guild(only(&["1"]), &[]))], named.clone(), "Warning `hermes` hears `1` in any group"),
        (
            "discord",
            vec![("9", guild(only(&["1"]), &[])), ("8", guild(only(&["1"]), &["c"]))],
            named.clone(),
            "Error `hermes` would hear in every channel of `8`",
        ),
    ] {
        let told = judged(name, policy(guilds, direct));
        assert!(told.iter().any(|each| each.starts_with(said)), "{said}: {told:?}");
    }
}
