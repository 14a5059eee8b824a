//! What the driver `nanobot` writes, judged by the real program where it is installed (`make runtimes`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use claw_types::agent::{AgentUnit, ChannelPolicy, DirectPolicy, GuildPolicy, Hears, Inference, Setting};
use claw_types::diag::Diagnostics;
use claw_types::doc::Doc;
use claw_types::platform::Platform;
use claw_types::provider::WireFormat;
use claw_types::roster::Channel;
use claw_types::span::{FileId, Span, Spanned};
use serde_json::{Value, json};

use crate::{everything, everything_proxied, heard, unit};

/// Returns the python that has the real program; nothing, said aloud, where it is not installed. `CLAW_NANOBOT` names another place,
/// with another version.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn python() -> Option<PathBuf> {
    let own = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../.runtimes/nanobot");
    let folder = std::env::var_os("CLAW_NANOBOT").map_or_else(own, PathBuf::from);
    let folder = folder.canonicalize().ok().filter(|folder| folder.join("nanobot.done").is_file());
    if folder.is_none() {
        println!("skipped: no nanobot; `make runtimes` installs it");
    }
    Some(folder?.join("bin/python3"))
}

fn program() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("nanobot/claw_nanobot.py")
}

/// Returns a file that the driver writes, and what it warns of.
fn written(unit: &AgentUnit, name: &str) -> (Value, Vec<String>) {
    let driver = claw_drivers::find("nanobot").expect("a driver");
    let mut diag = Diagnostics::new();
    driver.check(unit, &mut diag);
    let lowered = driver.lower(unit, &mut diag).expect("lowered");
    assert!(!diag.has_errors(), "{diag:?}");
    let file = lowered.files.iter().find(|(path, _)| path.as_str() == name).expect("a file");
    let value = serde_json::from_str(&file.1.content.masked()).expect("JSON");
    (value, diag.iter().map(|each| each.message.clone()).collect())
}

fn config(unit: &AgentUnit) -> Value {
    written(unit, "claw/nanobot.json").0
}

/// A folder of one test, gone with it.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let place = std::env::temp_dir().join(format!("claw-nanobot-{}-{number}", std::process::id()));
        std::fs::create_dir_all(place.join("workspace/cron")).expect("a folder");
        Self(place)
    }

    /// Writes a configuration whose workspace is in this folder.
    fn config(&self, config: &Value) -> PathBuf {
        let mut config = config.clone();
        config["agents"]["defaults"]["workspace"] = self.0.join("workspace").display().to_string().into();
        let path = self.0.join("config.json");
        std::fs::write(&path, config.to_string()).expect("written");
        path
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn run(python: &Path, place: &Place, arguments: &[&std::ffi::OsStr]) -> Output {
    Command::new(python).arg("-B").args(arguments).env_clear().env("HOME", &place.0).output().expect("python runs")
}

/// Returns what the real program reads in a configuration, or what it says of it.
fn reading(python: &Path, config: &Value) -> Result<Value, String> {
    let place = Place::new();
    let file = place.config(config);
    let output = run(python, &place, &[program().as_os_str(), "reading".as_ref(), file.as_os_str()]);
    serde_json::from_slice(&output.stdout).map_err(|_| String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Judges that a configuration is read whole, and that nobody but these servers would be asked.
fn fits(python: &Path, name: &str, config: &Value, endpoints: &Value) {
    let read = reading(python, config).expect(name);
    assert_eq!(read["ignored"], json!([]), "{name}");
    assert_eq!(read["warnings"], json!([]), "{name}");
    assert_eq!(&read["endpoints"], endpoints, "{name}");
}

/// Every form of rules that a channel can have.
fn open_and_closed() -> AgentUnit {
    let mut unit = everything("nanobot");
    let directs =
        [DirectPolicy::Open, DirectPolicy::Disabled, DirectPolicy::Pairing(vec!["1".into()]), DirectPolicy::default()];
    for (index, (_, policy)) in unit.channels.iter_mut().enumerate() {
        let guild = |hears| GuildPolicy { hears, require_mention: false, channels: Vec::new() };
        let direct = directs[index % 4].clone();
        let mut guilds: BTreeMap<String, GuildPolicy> = [("9".to_owned(), guild(Hears::Everyone))].into();
        // Where it does not tell groups apart, a closed one beside people who are heard is refused.
        if direct == DirectPolicy::Disabled {
            guilds.insert("10".to_owned(), guild(Hears::Nobody));
        }
        *policy = ChannelPolicy { guilds, direct, peers: Vec::new() };
    }
    unit
}

#[test]
fn direct_messages_that_are_open_do_not_open_a_group() {
    let mut unit = open_and_closed();
    let closed = GuildPolicy { hears: Hears::Nobody, require_mention: true, channels: Vec::new() };
    for policy in unit.channels.values_mut().filter(|policy| policy.direct == DirectPolicy::Open) {
        policy.guilds.insert("10".to_owned(), closed.clone());
    }
    let mut diag = Diagnostics::new();
    claw_drivers::find("nanobot").expect("a driver").check(&unit, &mut diag);
    let refused = diag.iter().filter(|each| each.message.contains("would hear everyone in `10`")).count();
    assert_eq!(refused, unit.channels.values().filter(|policy| policy.direct == DirectPolicy::Open).count());
    assert!(refused > 0);
}

fn configured() -> AgentUnit {
    let mut unit = unit("nanobot", true, 0, 1, true);
    let settings = [
        ("agents.defaults.dream.enabled", Doc::Bool(true)),
        ("agents.defaults.maxTokens", Doc::int(4096)),
        ("channels.discord.streaming", Doc::Bool(false)),
        ("gateway.heartbeat.intervalS", Doc::int(600)),
        ("tools.exec.denyPatterns", Doc::strs(["curl"])),
    ];
    let at = Span::start_of(FileId(0));
    unit.settings =
        settings.map(|(path, value)| Setting { path: Spanned::new(path.to_owned(), at), value }).into_iter().collect();
    unit
}

#[test]
fn the_real_program_reads_every_key_and_asks_the_server_that_is_meant() {
    let Some(python) = python() else { return };
    let (direct, proxy) = (json!(["http://p:1/v1"]), json!(["http://cllama-passthrough:8080/v1"]));
    fits(&python, "direct", &config(&unit("nanobot", false, 0, 1, false)), &direct);
    fits(&python, "everything", &config(&everything("nanobot")), &direct);
    fits(&python, "everything, proxied", &config(&everything_proxied("nanobot")), &proxy);
    fits(&python, "open and closed", &config(&open_and_closed()), &direct);
    fits(&python, "proxied", &config(&unit("nanobot", true, 2, 3, true)), &proxy);
    fits(&python, "configured", &config(&configured()), &proxy);
    let mut anthropic = unit("nanobot", false, 0, 1, false);
    if let Inference::Direct { upstreams } = &mut anthropic.inference {
        upstreams.values_mut().for_each(|upstream| upstream.format = WireFormat::Anthropic);
    }
    fits(&python, "anthropic", &config(&anthropic), &json!(["http://p:1"]));
}

#[test]
fn the_real_program_takes_what_the_examples_compile_to() {
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")];
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).expect("a folder").flatten().map(|entry| entry.path()));
        } else if path.ends_with("nanobot.json") {
            found.push(path);
        }
    }
    assert!(!found.is_empty());
    let Some(python) = python() else { return };
    for path in found {
        let config = serde_json::from_str(&std::fs::read_to_string(&path).expect("a file")).expect("JSON");
        let read = reading(&python, &config).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!((&read["ignored"], &read["warnings"]), (&json!([]), &json!([])), "{}", path.display());
    }
}

#[test]
fn what_was_wrong_once_stays_wrong() {
    let Some(python) = python() else { return };
    let good = config(&unit("nanobot", true, 0, 1, false));
    let with = |change: &dyn Fn(&mut Value)| {
        let mut bad = good.clone();
        change(&mut bad);
        reading(&python, &bad)
    };
    // The server's key has another name: in silence it asks the provider that it knows by the model's name.
    let read = with(&|bad| {
        bad["providers"] = json!({"openrouter": {"base_url": "http://cllama-passthrough:8080/v1", "apiKey": "x"}});
        bad["agents"]["defaults"]["provider"] = "openrouter".into();
    });
    let read = read.expect("read");
    assert_eq!(read["ignored"], json!(["providers.openrouter.base_url"]));
    assert_eq!(read["endpoints"], json!(["https://openrouter.ai/api/v1"]));
    for (channel, key) in [("discord", "guild_id"), ("telegram", "bot_token"), ("slack", "signing_secret")] {
        let read = with(&|bad| bad["channels"][channel] = json!({"enabled": true, key: "1"})).expect("read");
        assert_eq!(read["ignored"], json!([format!("channels.{channel}.{key}")]));
    }
    let read = with(&|bad| bad["channels"]["mastodon"] = json!({"enabled": true})).expect("read");
    assert_eq!(read["ignored"], json!(["channels.mastodon"]));
    let error = with(&|bad| bad["agents"]["defaults"]["fallbackModels"] = json!(["demo/m2"])).expect_err("refused");
    assert!(error.contains("not found in model_presets"), "{error}");
    // Whoever is asked where the configuration names no server is told all the same.
    for (provider, own) in [("openai", "https://api.openai.com/v1"), ("anthropic", "https://api.anthropic.com")] {
        for base in [json!(null), json!("")] {
            let read = with(&|bad| {
                bad["providers"] = json!({provider: {"apiBase": base, "apiKey": "x"}});
                bad["agents"]["defaults"]["provider"] = provider.into();
            });
            assert_eq!(read.expect("read")["endpoints"], json!([own]), "{provider} {base}");
        }
    }
    let read = with(&|bad| bad["providers"]["cllama"]["apiBase"] = "".into()).expect("read");
    assert_eq!(read["endpoints"], json!([]));
    assert!(read["warnings"][0].as_str().is_some_and(|text| text.contains("requires api_base")), "{read}");
    let read = with(&|bad| bad["providers"] = json!({})).expect("read");
    assert!(read["warnings"][0].as_str().is_some_and(|text| text.contains("No provider is configured")), "{read}");
}

/// A script that has the persona put in place, and tells what the program's own code reads for a prompt.
const SOUL: &str = "import sys, pathlib\n\
    sys.path.insert(0, sys.argv[1])\n\
    import claw_nanobot\n\
    from nanobot.agent.context import ContextBuilder\n\
    from nanobot.utils.helpers import sync_workspace_templates\n\
    workspace = pathlib.Path(sys.argv[2])\n\
    claw_nanobot.persona(workspace)\n\
    sync_workspace_templates(workspace, silent=True)\n\
    print(ContextBuilder(workspace)._load_bootstrap_files())\n";

#[test]
fn the_real_program_reads_its_persona_and_what_the_agent_made_of_its_own_stays() {
    let Some(python) = python() else { return };
    let place = Place::new();
    let (workspace, persona) = (place.0.join("workspace"), place.0.join("workspace/persona"));
    let read = |has_persona: bool| {
        let mut command = Command::new(&python);
        command.args(["-B", "-c", SOUL]).arg(program().parent().expect("a folder")).arg(&workspace);
        command.env_clear().env("HOME", &place.0);
        if has_persona {
            command.env("CLAW_PERSONA_DIR", &persona);
        }
        let output = command.output().expect("python runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        (String::from_utf8(output.stdout).expect("text"), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let write = |path: &Path, text: &str| std::fs::write(path, text).expect("written");
    // It makes its own of both; these are nobody's, and give way.
    assert!(!read(false).0.contains("marker"));
    std::fs::create_dir_all(&persona).expect("a folder");
    write(&persona.join("SOUL.md"), "marker-of-the-soul\n");
    write(&persona.join("USER.md"), "marker-of-the-user\n");
    let (prompt, said) = read(true);
    assert!(prompt.contains("marker-of-the-soul") && prompt.contains("marker-of-the-user"), "{prompt}");
    assert!(!said.contains("persona"), "{said}");
    // What it writes there is the persona's, and read the next time.
    write(&workspace.join("SOUL.md"), "marker-that-grew\n");
    assert_eq!(std::fs::read_to_string(persona.join("SOUL.md")).expect("read"), "marker-that-grew\n");
    assert!(read(true).0.contains("marker-that-grew"));
    // Without a persona it is as if there never was one.
    assert!(!read(false).0.contains("marker"));
    assert!(!workspace.join("SOUL.md").is_symlink());
    write(&workspace.join("SOUL.md"), "of its own\n");
    let (prompt, said) = read(true);
    assert!(prompt.contains("of its own") && !prompt.contains("marker-that-grew"), "{prompt}");
    assert!(said.contains("SOUL.md is the agent's own and stays"), "{said}");
}

/// A script that asks the program's own scheduler.
const JOBS: &str = "import sys, json, pathlib\n\
    from nanobot.cron.service import CronService\n\
    from nanobot.cron.session_turns import is_bound_cron_job\n\
    jobs = CronService(pathlib.Path(sys.argv[1]))._require_store().jobs\n\
    print(json.dumps([[j.id, j.name, j.enabled, is_bound_cron_job(j), bool(j.state.next_run_at_ms), j.payload.message] for j in jobs]))\n";

#[test]
fn schedules_are_declared_changed_and_removed_beside_those_of_others() {
    let Some(python) = python() else { return };
    let place = Place::new();
    let mut unit = everything("nanobot");
    let file = place.config(&config(&unit));
    let store = place.0.join("workspace/cron/jobs.json");
    let by_hand = json!({"version": 1, "jobs": [{
        "id": "byhand01", "name": "by-hand", "schedule": {"kind": "every", "everyMs": 60000},
        "payload": {"message": "x", "sessionKey": "cli:x", "originChannel": "cli", "originChatId": "x"},
    }]});
    std::fs::write(&store, by_hand.to_string()).expect("written");
    let declared = |unit: &AgentUnit| {
        let jobs = place.0.join("schedules.json");
        std::fs::write(&jobs, written(unit, "claw/schedules.json").0.to_string()).expect("written");
        let arguments = [program().into_os_string(), "schedules".into(), file.clone().into(), jobs.into()];
        let output = run(&python, &place, &arguments.each_ref().map(AsRef::as_ref));
        let said = serde_json::from_slice::<Value>(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        let output = run(&python, &place, &["-c".as_ref(), JOBS.as_ref(), store.as_os_str()]);
        (said, serde_json::from_slice::<Value>(&output.stdout).unwrap_or_else(|_| panic!("{output:?}")))
    };
    let count = |created: usize, updated: usize, unchanged: usize, removed: usize| json!({"ok": true, "created": created, "updated": updated, "unchanged": unchanged, "removed": removed});
    let all = unit.schedules.len();
    let (said, jobs) = declared(&unit);
    assert_eq!(said, count(all, 0, 0, 0));
    let jobs = jobs.as_array().expect("jobs");
    assert_eq!(jobs.len(), all + 1);
    // Each is bound to a conversation and has a time: else it would never run.
    assert!(
        jobs.iter().filter(|job| job[0] != "byhand01").all(|job| job[2] == true && job[3] == true && job[4] == true)
    );
    assert_eq!(declared(&unit).0, count(0, 0, all, 0));
    unit.schedules.truncate(1);
    unit.schedules[0].message = "Another thing".into();
    let (said, jobs) = declared(&unit);
    assert_eq!(said, count(0, 1, 0, all - 1));
    let names: Vec<&Value> = jobs.as_array().expect("jobs").iter().map(|job| &job[5]).collect();
    assert_eq!(names, ["x", "Another thing"]);
    // One that never comes, which `check` would have refused, keeps no other from its change, and none that is gone.
    let mut document = written(&unit, "claw/schedules.json").0;
    let first = document["jobs"][0].clone();
    let other = |name: &str, cron: &str| {
        let mut job = first.clone();
        job["id"] = format!("{}{name}", document["owner"].as_str().expect("an owner")).into();
        (job["name"], job["cron"], job["message"]) = (name.into(), cron.into(), name.into());
        job
    };
    document["jobs"] = json!([other("never", "0 0 31 2 *"), other("new", "0 1 * * *")]);
    let file_of_jobs = place.0.join("schedules.json");
    std::fs::write(&file_of_jobs, document.to_string()).expect("written");
    let arguments = [program().into_os_string(), "schedules".into(), file.clone().into(), file_of_jobs.into()];
    let output = run(&python, &place, &arguments.each_ref().map(AsRef::as_ref));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("cannot tell when never is next"), "{output:?}");
    let output = run(&python, &place, &["-c".as_ref(), JOBS.as_ref(), store.as_os_str()]);
    let jobs = serde_json::from_slice::<Value>(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    let names: Vec<&Value> = jobs.as_array().expect("jobs").iter().map(|job| &job[5]).collect();
    assert_eq!(names, ["x", "new"]);
    // A store as the first implementation wrote it ends the scheduler.
    std::fs::write(
        &store,
        json!({"version": 1, "jobs": [{"name": "m", "schedule": {"kind": "cron", "expression": "* * * * *"}}]})
            .to_string(),
    )
    .expect("written");
    let output = run(&python, &place, &["-c".as_ref(), JOBS.as_ref(), store.as_os_str()]);
    assert!(!output.status.success());
}

/// A script that has the program's own channels judge who is heard, by a configuration each: `[platform, person, place, is direct]`.
const HEARD: &str = "import sys, json, types\n\
    from nanobot.bus.queue import MessageBus\n\
    from nanobot.channels.discord.runtime import DiscordChannel\n\
    from nanobot.channels.slack.runtime import SlackChannel\n\
    from nanobot.channels.telegram.runtime import TelegramChannel\n\
    kinds = {'discord': DiscordChannel, 'slack': SlackChannel, 'telegram': TelegramChannel}\n\
    def heard(made, name, person, place, direct):\n\
    \x20   channel = made[name]\n\
    \x20   if name == 'slack':\n\
    \x20       kind = 'im' if direct else 'channel'\n\
    \x20       return channel._is_allowed(person, place, kind) and (direct or channel._should_respond_in_channel('app_mention', '', place))\n\
    \x20   if name == 'telegram':\n\
    \x20       return channel.is_allowed(person)\n\
    \x20   me = types.SimpleNamespace(id=1)\n\
    \x20   where = types.SimpleNamespace(id=int(place), parent=None, parent_id=None)\n\
    \x20   message = types.SimpleNamespace(guild=None if direct else me, channel=where, mentions=[me], raw_mentions=[1], reference=None)\n\
    \x20   return channel._should_accept_inbound(message, person, '') and channel.is_allowed(person)\n\
    def judged(config, cases):\n\
    \x20   made = {name: kind(config[name], MessageBus()) for name, kind in kinds.items()}\n\
    \x20   made['discord']._bot_user_id = '1'\n\
    \x20   return [bool(heard(made, *case)) for case in cases]\n\
    print(json.dumps([judged(*each) for each in json.loads(sys.argv[1])]))\n";

/// Returns whom the program's own channels hear, for a configuration and its questions each.
fn judged(python: &Path, asked: &[Value]) -> Vec<Vec<bool>> {
    let place = Place::new();
    let asked = Value::from(asked.to_vec()).to_string();
    let output = run(python, &place, &["-c".as_ref(), HEARD.as_ref(), asked.as_ref()]);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn the_real_channels_hear_nobody_whom_a_pod_that_compiles_does_not_let() {
    let Some(python) = python() else { return };
    let platforms = ["discord", "slack", "telegram"];
    let names = heard::policies("discord");
    let units: Vec<AgentUnit> = (0..names.len()).map(|index| heard::on_each("nanobot", &platforms, index)).collect();
    let questions = || {
        platforms.into_iter().flat_map(|platform| {
            let (people, guilds) = heard::asked(platform);
            people.into_iter().flat_map(move |person| {
                let inside =
                    guilds.clone().into_iter().map(move |[guild, channel]| (platform, person, Some(guild), channel));
                inside.chain([(platform, person, None, "1465489501551067999")])
            })
        })
    };
    let cases = questions().map(|(platform, person, guild, place)| json!([platform, person, place, guild.is_none()]));
    let cases = Value::from(cases.collect::<Vec<_>>());
    let asked: Vec<Value> = units.iter().map(|unit| json!([config(unit)["channels"], cases])).collect();
    let mut count = 0;
    for ((unit, (name, _)), said) in units.iter().zip(&names).zip(judged(&python, &asked)) {
        for ((platform, person, guild, _), is_heard) in questions().zip(said) {
            let platform = Platform::parse(platform).expect("a platform");
            let policy = &unit.channels[&platform];
            // In a guild that the pod does not name, who is named elsewhere may be heard: that is told.
            let is_named = guild.is_none_or(|guild| policy.guilds.contains_key(guild));
            let anywhere = || policy.guilds.keys().any(|guild| heard::lets(policy, Some(guild), person));
            let may = if is_named {
                heard::lets(policy, guild, person)
            } else {
                heard::lets(policy, None, person) || anywhere()
            };
            assert!(may || !is_heard, "{name}: {platform} hears {person} in {guild:?}");
            count += usize::from(is_heard);
        }
    }
    assert!(count > 20, "hardly anybody is heard: {count}");
}

#[test]
fn the_real_channels_hear_whom_the_pod_names() {
    let Some(python) = python() else { return };
    let heard = |unit: &AgentUnit, cases: Value| {
        Value::from(judged(&python, &[json!([config(unit)["channels"], cases])]).remove(0))
    };
    let mut unit = everything("nanobot");
    let cases = json!([
        ["discord", "167037070349434880", "1465489501551067137", false],
        ["discord", "223456789012345678", "1465489501551067137", false],
        ["discord", "999", "1465489501551067137", false],
        ["discord", "167037070349434880", "77", false],
        ["discord", "167037070349434880", "77", true],
        ["slack", "U0123456789", "D0", true],
        ["slack", "U0777777777", "D0", true],
        // Its channels have no people, so one that names some is closed.
        ["slack", "U0123456789", "C0123456789", false],
        ["telegram", "167037070", "", true],
        ["telegram", "167037070|alice", "", true],
        ["telegram", "5|bob", "", true],
    ]);
    let said = heard(&unit, cases.clone());
    assert_eq!(said, json!([true, true, false, false, false, true, false, false, true, true, false]));
    for policy in unit.channels.values_mut() {
        *policy = ChannelPolicy::default();
    }
    assert_eq!(heard(&unit, cases), Value::from(vec![false; 11]));
    let everyone = |id: &str| GuildPolicy {
        hears: Hears::Everyone,
        require_mention: true,
        channels: vec![Channel { id: id.into(), name: None }],
    };
    for (platform, policy) in &mut unit.channels {
        let id = if platform.name() == "slack" { "C0123456789" } else { "1465489501551067137" };
        policy.guilds = [("9".to_owned(), everyone(id))].into();
    }
    let cases = json!([
        ["discord", "5", "1465489501551067137", false],
        ["discord", "5", "77", false],
        ["discord", "5", "77", true],
        ["slack", "U0777777777", "C0123456789", false],
        ["slack", "U0777777777", "C0000000000", false],
        ["slack", "U0777777777", "D0", true],
        // Everyone in a group would be everyone anywhere.
        ["telegram", "5", "", false],
    ]);
    assert_eq!(heard(&unit, cases), json!([true, false, false, true, false, false, false]));
}

#[test]
fn what_it_cannot_keep_apart_is_told() {
    let mut unit = everything("nanobot");
    unit.channels.retain(|platform, _| matches!(platform.name(), "discord" | "feishu" | "slack"));
    unit.identities.retain(|platform, _| matches!(platform.name(), "discord" | "feishu" | "slack"));
    let ends = |name: &str| format!("nothing in `nanobot` ends bots of `{name}` that mention each other");
    let expected = [
        "`nanobot` does not hear `167037070349434880` directly on `discord`, and the pod lets them write".to_owned(),
        ends("discord"),
        "`nanobot` hears `ou_0123456789` in any group of `feishu` that its account is in".to_owned(),
        "`nanobot` hears no other bot on `feishu`".to_owned(),
        "`nanobot` does not hear `U0888888888`, `U0123456789` in `T0123456789` of `slack`, and the pod lets them be heard there".to_owned(),
        ends("slack"),
    ];
    assert_eq!(written(&unit, "claw/nanobot.json").1, expected);
}
