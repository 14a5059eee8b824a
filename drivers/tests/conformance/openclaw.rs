//! What the driver `openclaw` writes, judged by the real program where it is installed (`make runtimes`).

use std::path::{Path, PathBuf};
use std::process::Command;

use claw_types::agent::{AgentUnit, ChannelPolicy, DirectPolicy, GuildPolicy, Hears, Inference, Setting, Upstream};
use claw_types::diag::Diagnostics;
use claw_types::doc::Doc;
use claw_types::id::{EnvName, ProviderName};
use claw_types::platform::Platform;
use claw_types::provider::WireFormat;
use claw_types::roster::Channel;
use claw_types::secret::SecretRef;
use claw_types::span::{FileId, Span, Spanned};
use serde_json::{Value, json};

use crate::{everything, everything_proxied, heard, unit};

/// Returns where the real programs are installed; nothing, said aloud, where they are not.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn runtimes() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.runtimes/openclaw");
    let folder = folder.canonicalize().ok().filter(|folder| folder.join("openclaw.done").is_file());
    if folder.is_none() {
        println!("skipped: no openclaw; `make runtimes` installs it");
    }
    folder
}

fn config(unit: &AgentUnit) -> Value {
    let driver = claw_drivers::find("openclaw").expect("a driver");
    let mut diag = Diagnostics::new();
    driver.check(unit, &mut diag);
    let lowered = driver.lower(unit, &mut diag).expect("lowered");
    assert!(!diag.has_errors(), "{diag:?}");
    let file = lowered.files.iter().find(|(path, _)| path.as_str() == "claw/openclaw.json").expect("a file");
    serde_json::from_str(&file.1.content.masked()).expect("JSON")
}

/// Returns the validator's verdict, its issues and its warnings.
fn judged(folder: &Path, config: &Value) -> (bool, Vec<String>) {
    let place = tempfile(config);
    let output = Command::new(folder.join("bin/openclaw"))
        .args(["config", "validate", "--json"])
        .env("OPENCLAW_CONFIG_PATH", &place)
        .env("OPENCLAW_STATE_DIR", folder.join("state"))
        .env("HOME", folder.join("home"))
        .output()
        .expect("openclaw runs");
    let answer: Value = serde_json::from_slice(&output.stdout).expect("the validator's verdict");
    std::fs::remove_file(place).expect("removed");
    // A plugin that is not installed here is told, and its settings are judged all the same.
    let is_absent = |each: &Value| {
        let name = each["path"].as_str().and_then(|path| path.strip_prefix("plugins.entries."));
        let is_told = each["message"].as_str().is_some_and(|text| text.starts_with("plugin not installed: "));
        is_told && name.is_some_and(|name| !folder.join("state").join(format!(".plugin-{name}")).exists())
    };
    let texts = ["issues", "warnings"].into_iter().flat_map(|key| answer[key].as_array().cloned().unwrap_or_default());
    let texts = texts.filter(|each| !is_absent(each));
    (answer["valid"] == json!(true), texts.map(|each| each.to_string()).collect())
}

fn tempfile(config: &Value) -> PathBuf {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let place = std::env::temp_dir().join(format!("claw-openclaw-{}-{number}.json", std::process::id()));
    std::fs::write(&place, config.to_string()).expect("written");
    place
}

/// Every form of rules that a channel can have.
fn open_and_closed() -> AgentUnit {
    let mut unit = everything("openclaw");
    let directs =
        [DirectPolicy::Open, DirectPolicy::Disabled, DirectPolicy::Pairing(vec!["1".into()]), DirectPolicy::default()];
    for (index, (platform, policy)) in unit.channels.iter_mut().enumerate() {
        // A workspace of slack that names no channels would open the closed one too.
        let is_named = platform.name() == "slack";
        let channels = if is_named { vec![Channel { id: "C9".to_owned(), name: None }] } else { Vec::new() };
        let guild = |hears| GuildPolicy { hears, require_mention: false, channels: channels.clone() };
        let guilds = [("9".to_owned(), guild(Hears::Everyone)), ("10".to_owned(), guild(Hears::Nobody))];
        *policy = ChannelPolicy { guilds: guilds.into(), direct: directs[index % 4].clone(), peers: Vec::new() };
    }
    unit
}

fn configured() -> AgentUnit {
    let mut unit = unit("openclaw", true, 0, 1, true);
    let settings = [
        ("agents.defaults.heartbeat.every", Doc::str("30m")),
        ("agents.defaults.timeoutSeconds", Doc::int(600)),
        ("tools.deny", Doc::strs(["browser"])),
    ];
    let at = Span::start_of(FileId(0));
    unit.settings =
        settings.map(|(path, value)| Setting { path: Spanned::new(path.to_owned(), at), value }).into_iter().collect();
    unit
}

#[test]
fn the_real_program_takes_every_configuration_without_an_error_or_a_warning() {
    let Some(folder) = runtimes() else { return };
    let cases = [
        ("direct", unit("openclaw", false, 0, 1, false)),
        ("proxied", unit("openclaw", true, 2, 3, true)),
        ("everything", everything("openclaw")),
        ("everything, proxied", everything_proxied("openclaw")),
        ("open and closed", open_and_closed()),
        ("configured", configured()),
    ];
    for (name, unit) in cases {
        let config = config(&unit);
        assert_eq!(judged(&folder, &config), (true, Vec::new()), "{name}: {config:#}");
    }
}

/// Returns the configurations that the examples compile to.
fn goldens() -> Vec<(PathBuf, Value)> {
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")];
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).expect("a folder").flatten().map(|entry| entry.path()));
        } else if path.ends_with("openclaw.json") {
            let text = std::fs::read_to_string(&path).expect("a file");
            found.push((path, serde_json::from_str(&text).expect("JSON")));
        }
    }
    found
}

#[test]
fn the_real_program_takes_what_the_examples_compile_to() {
    let goldens = goldens();
    assert!(!goldens.is_empty());
    let Some(folder) = runtimes() else { return };
    for (path, config) in goldens {
        assert_eq!(judged(&folder, &config), (true, Vec::new()), "{}", path.display());
    }
}

#[test]
fn what_was_wrong_once_stays_wrong() {
    let Some(folder) = runtimes() else { return };
    let good = config(&everything("openclaw"));
    let with = |path: &str, value: Value| {
        let mut bad = good.clone();
        *bad.pointer_mut(path.rsplit_once('/').expect("a parent").0).expect("a place") = {
            let (parent, key) = path.rsplit_once('/').expect("a parent");
            let mut place = good.pointer(parent).expect("a place").clone();
            place[key] = value;
            place
        };
        bad
    };
    let cases = [
        with("/channels/telegram/token", json!("x")),
        with("/channels/slack/token", json!("x")),
        with("/agents/defaults/model/summarizer", json!("a/b")),
        with("/agents/list", json!([{ "id": "main" }])),
        with("/gateway/bind", json!("0.0.0.0")),
        with("/agents/defaults/hartbeat", json!({})),
    ];
    for (index, case) in cases.iter().enumerate() {
        let (is_valid, texts) = judged(&folder, case);
        assert!(!is_valid && !texts.is_empty(), "case {index} passes");
    }
}

/// Returns the endpoints and the warnings that `reading` tells of a configuration; `first` is searched for programs first.
fn read(folder: &Path, config: &Value, first: &Path) -> (Value, Value) {
    let place = tempfile(config);
    let output = Command::new(folder.join("bin/node"))
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("openclaw/reading.mjs"))
        .env("PATH", format!("{}:{}:/usr/bin:/bin", first.display(), folder.join("bin").display()))
        .env("OPENCLAW_CONFIG_PATH", &place)
        .env("OPENCLAW_STATE_DIR", folder.join("state"))
        .env("HOME", folder.join("home"))
        .output()
        .expect("node runs");
    std::fs::remove_file(place).expect("removed");
    assert!(output.status.success(), "{output:?}");
    let mut told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    (told["endpoints"].take(), told["warnings"].take())
}

#[test]
fn a_server_that_was_emptied_and_a_validator_that_broke_are_told() {
    let Some(folder) = runtimes() else { return };
    let good = config(&unit("openclaw", false, 0, 1, false));
    let nowhere = Path::new("/nowhere");
    assert_eq!(read(&folder, &good, nowhere), (json!(["http://p:1/v1"]), json!([])));
    // A provider of one's own needs a server, and openclaw refuses the file.
    let mut bad = good.clone();
    bad["models"]["providers"]["claw-demo"]["baseUrl"] = json!("");
    let (endpoints, warnings) = read(&folder, &bad, nowhere);
    assert_eq!(endpoints, json!([]));
    assert!(warnings.to_string().contains("must declare baseUrl"), "{warnings}");
    // One that it knows needs none: nothing is wrong with the file, and its maker is asked.
    let mut provider = good["models"]["providers"]["claw-demo"].clone();
    provider.as_object_mut().expect("a mapping").remove("baseUrl");
    bad["models"]["providers"] = json!({ "openai": provider });
    bad["agents"]["defaults"]["model"] = json!({ "primary": "openai/m" });
    assert_eq!(read(&folder, &bad, nowhere), (json!(["default of openai"]), json!([])));

    // The program itself, whose validator alone breaks.
    let place = std::env::temp_dir().join(format!("claw-openclaw-broken-{}", std::process::id()));
    std::fs::create_dir_all(&place).expect("a folder");
    let program = format!(
        "#!/bin/sh\nif [ \"$2\" = validate ]; then echo \"panic: no memory\" >&2; exit 70; fi\nexec {}/bin/openclaw \"$@\"\n",
        folder.display()
    );
    std::fs::write(place.join("openclaw"), program).expect("written");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(place.join("openclaw"), mode).expect("a program");
    let told = read(&folder, &good, &place);
    std::fs::remove_dir_all(&place).expect("removed");
    let broken = "its validator gave no verdict: exit 70: panic: no memory";
    assert_eq!(told, (json!(["http://p:1/v1"]), json!([broken])));
}

/// The expressions are read by the program's own code, which drops one that is invalid without an error.
#[test]
fn the_real_program_hears_its_name_and_no_other() {
    let Some(folder) = runtimes() else { return };
    let mut unit = everything("openclaw");
    let mut cases = Vec::new();
    let mut expected = Vec::new();
    for (username, said, other) in [
        ("tiverton", "hey @Tiverton, look", "hey tivertons"),
        ("tiver.ton", "tiver.ton?", "tiverxton?"),
        ("bot-1_x", "@bot-1_x go", "bot-1_xy go"),
        ("Zo\u{e9}", "zo\u{e9}, please", "zo"),
        ("(a) *b*", "so, (a) *b* then", "so, a b then"),
    ] {
        for identity in unit.identities.values_mut() {
            identity.username = Some(username.into());
        }
        let config = config(&unit);
        let patterns = &config["agents"]["entries"]["main"]["groupChat"]["mentionPatterns"];
        let count = patterns.as_array().map_or(0, Vec::len);
        for (text, is_heard) in
            [(said, true), (other, false), ("<@!123456789012345678> go", true), ("<@U0999999999>", true)]
        {
            cases.push(json!([config, text]));
            expected.push(json!([text, count, is_heard]));
        }
    }
    let script = "const [dir, cases] = process.argv.slice(1);\
        const m = await import(dir + '/dist/plugin-sdk/channel-inbound.js');\
        const judged = ([config, text]) => {\
            const all = m.buildMentionRegexes(config, 'main');\
            return [text, all.length, m.matchesMentionPatterns(text, all)];\
        };\
        console.log(JSON.stringify(JSON.parse(cases).map(judged)));";
    let output = Command::new(folder.join("bin/node"))
        .args(["--input-type=module", "-e", script])
        .arg(folder.join("openclaw/node_modules/openclaw"))
        .arg(Value::from(cases).to_string())
        .output()
        .expect("node runs");
    let answer: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| unreachable!("{error}: {output:?}"));
    assert_eq!(answer, Value::from(expected));
}

/// Returns what a script prints, which has the directory of the real program's code as `dir` and `given` as JSON.
fn run(folder: &Path, script: &str, given: &Value) -> Value {
    let begin = "const [dir, text] = process.argv.slice(1); const given = JSON.parse(text);";
    let output = Command::new(folder.join("bin/node"))
        .args(["--input-type=module", "-e", &format!("{begin}{script}")])
        .arg(folder.join("openclaw/node_modules/openclaw"))
        .arg(given.to_string())
        .output()
        .expect("node runs");
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Slack alone of its platforms takes what is said in a thread for a mention.
#[test]
fn a_thread_that_the_agent_is_in_needs_a_mention_too() {
    let script = "const all = await import(dir + '/dist/plugin-sdk/channel-ingress-runtime.js');\
        const gate = await import(dir + '/dist/plugin-sdk/channel-inbound.js');\
        const read = (cfg) => ['reply_to_bot', 'bot_thread_participant'].map((kind) => {\
            const implicitMentions = all.resolveChannelImplicitMentions({ cfg, channel: 'slack' });\
            const facts = { canDetectMention: true, wasMentioned: false, implicitMentionKinds: [kind] };\
            const policy = { isGroup: true, requireMention: true, implicitMentions };\
            return !gate.resolveInboundMentionDecision({ facts, policy }).shouldSkip;\
        });\
        console.log(JSON.stringify(given.map(read)));";
    let with = |require_mention| {
        let mut unit = everything("openclaw");
        for policy in unit.channels.values_mut() {
            policy.guilds.values_mut().for_each(|guild| guild.require_mention = require_mention);
        }
        config(&unit)
    };
    let [must, free] = [with(true), with(false)];
    let off = json!({ "replyToBot": false, "threadParticipation": false });
    assert_eq!(must["channels"]["slack"]["implicitMentions"], off);
    assert_eq!(free["channels"]["slack"].get("implicitMentions"), None);
    let Some(folder) = runtimes() else { return };
    // What nothing is said of is read: the real program's own default.
    assert_eq!(run(&folder, script, &json!([must, {}])), json!([[false, false], [true, true]]));
    assert_eq!(judged(&folder, &must), (true, Vec::new()));
}

#[test]
fn nobody_is_heard_who_is_not_named() {
    let mut unit = everything("openclaw");
    for policy in unit.channels.values_mut() {
        *policy = ChannelPolicy::default();
    }
    let config = config(&unit);
    for (platform, channel) in
        config["channels"].as_object().expect("channels").iter().filter(|(name, _)| *name != "defaults")
    {
        assert!(Platform::parse(platform).is_some());
        assert_eq!(channel["groupPolicy"], "disabled", "{platform}");
        let direct = channel.get("dmPolicy").or_else(|| channel["dm"].get("policy"));
        assert_eq!(direct, Some(&json!("disabled")), "{platform}");
        for key in ["guilds", "groups", "channels"] {
            assert!(
                channel.get(key).is_none_or(|open| open.as_object().is_some_and(serde_json::Map::is_empty)),
                "{platform}"
            );
        }
        assert!(
            channel.get("allowFrom").is_none() && channel.get("groupAllowFrom").is_none_or(|all| all == &json!([]))
        );
    }
}

/// Returns the unit with one platform, where these guilds have these rules and channels; a bot of the pod is there or not.
fn with_guilds(platform: &str, guilds: &[(&str, Hears, &[&str])], peers: &[&str]) -> AgentUnit {
    let guild = |(id, hears, channels): &(&str, Hears, &[&str])| {
        let channels = channels.iter().map(|id| Channel { id: (*id).to_owned(), name: None }).collect();
        ((*id).to_owned(), GuildPolicy { hears: hears.clone(), require_mention: true, channels })
    };
    let peers = peers.iter().map(|id| (*id).to_owned()).collect();
    let guilds = guilds.iter().map(guild).collect();
    heard::on("openclaw", platform, ChannelPolicy { guilds, direct: DirectPolicy::Disabled, peers })
}

#[test]
fn a_workspace_without_channels_opens_every_workspace_of_slack() {
    let only = |id: &str| Hears::Only(vec![id.to_owned()]);
    let told = |guilds: &[(&str, Hears, &[&str])]| {
        let all = heard::told(&with_guilds("slack", guilds, &[]));
        all.iter().map(|each| (heard::is_refused(std::slice::from_ref(each)), each.message.clone())).collect::<Vec<_>>()
    };
    // A closed one, and one with channels of its own, are open with it.
    let closed = told(&[("T1", only("U1"), &[]), ("T2", Hears::Nobody, &[])]);
    let elsewhere = (false, "`openclaw` hears `U1` in any group of `slack` that its account is in".to_owned());
    let wider = "`openclaw` would hear `U1` in `T2` of `slack`, and the pod does not let them be heard there";
    assert_eq!(closed, [elsewhere.clone(), (true, wider.to_owned())]);
    let named = told(&[("T1", only("U1"), &["C1"]), ("T2", only("U1"), &[])]);
    let wider = "`openclaw` would hear in every channel of `T1` of `slack`, and the pod names which";
    assert_eq!(named, [elsewhere, (true, wider.to_owned())]);
    let open = told(&[("T1", Hears::Everyone, &[])]);
    assert_eq!(open, [(false, "`openclaw` hears everyone in any group of `slack` that its account is in".to_owned())]);
    let both = told(&[("T1", Hears::Everyone, &[]), ("T2", Hears::Everyone, &["C2"])]);
    assert!(both.iter().any(|(is_refused, _)| *is_refused), "{both:?}");
    // Where each names its channels nothing else is open.
    let exact = [("T1", Hears::Everyone, &["C1"][..]), ("T2", only("U1"), &["C2"])];
    assert_eq!(told(&exact), []);
    let Some(folder) = runtimes() else { return };
    // The plugin's own rules, of a channel that is named and of one that is not.
    let script = "const fs = await import('node:fs');\
        const under = dir + '/../../../state/npm/projects';\
        const name = fs.readdirSync(under).find((each) => each.startsWith('openclaw-slack-'));\
        const code = `${under}/${name}/node_modules/@openclaw/slack/dist/.setup`;\
        const file = fs.readdirSync(code).find((each) => each.startsWith('policy-'));\
        const rules = Object.values(await import(`${code}/${file}`)).find((each) => each.name === 'resolveSlackChannelConfig');\
        const ask = (channels) => ['C1', 'C7'].map((channelId) => {\
            const rule = rules({ channelId, channels, teamId: 'T2', allowUnscoped: true });\
            return rule.allowed && (rule.users ?? ['*']);\
        });\
        console.log(JSON.stringify(given.map(ask)));";
    let star = [("T1", only("U1"), &[][..])];
    let channels = |guilds: &[(&str, Hears, &[&str])]| {
        config(&with_guilds("slack", guilds, &[]))["channels"]["slack"]["channels"].take()
    };
    assert_eq!(
        run(&folder, script, &json!([channels(&exact), channels(&star)])),
        json!([[["*"], false], [["u1"], ["u1"]]])
    );
}

#[test]
fn other_bots_are_heard_where_a_list_may_name_them_and_nowhere_else() {
    let only = || Hears::Only(vec!["1".to_owned()]);
    let written = |platform: &str, guilds: &[(&str, Hears, &[&str])], peers: &[&str]| {
        config(&with_guilds(platform, guilds, peers))["channels"][platform].take()
    };
    let mixed: [(&str, Hears, &[&str]); 2] = [("8", only(), &["81"]), ("9", Hears::Everyone, &["91"])];
    assert_eq!(written("discord", &mixed, &[])["allowBots"], false);
    assert_eq!(written("discord", &mixed[..1], &[])["allowBots"], "mentions");
    for (platform, key) in [("slack", "channels"), ("matrix", "groups")] {
        let own = written(platform, &mixed, &[]);
        let each = [&own["allowBots"], &own[key]["81"]["allowBots"], &own[key]["91"]["allowBots"]];
        assert_eq!(each, [&json!(false), &json!("mentions"), &json!(false)], "{platform}");
    }
    // A pod with other bots that opens a group to everyone is told what comes of it.
    for platform in ["discord", "feishu", "matrix", "slack"] {
        let told = heard::told(&with_guilds(platform, &mixed, &["1"]));
        let any = format!("`openclaw` hears any bot of `{platform}` that mentions it where it is heard");
        assert_eq!(told.iter().map(|each| each.message.clone()).collect::<Vec<_>>(), [any]);
    }
    assert_eq!(heard::told(&with_guilds("discord", &mixed[..1], &["1"])).len(), 0);
    assert_eq!(heard::told(&with_guilds("matrix", &mixed[..1], &["1"])).len(), 1);
    assert_eq!(heard::told(&with_guilds("telegram", &[("8", only(), &[])], &["1"])).len(), 1);
}

/// Secrets whose names differ in capital letters alone, or that begin or end as names of openclaw's providers do not.
#[test]
fn every_secret_has_a_provider_of_its_own() {
    let mut unit = unit("openclaw", false, 0, 1, false);
    let upstream = |name: &str| Upstream {
        base_url: "http://p:1/v1".to_owned(),
        format: WireFormat::OpenAi,
        key: Some(SecretRef::Env(EnvName::parse(name).expect("a name"))),
        service: None,
    };
    let long = "K".repeat(80);
    let names = ["Demo_Key", "DEMO_KEY", "demo_key", "DEMO_KEY_2", "_KEY", &long];
    let row = |(index, name): (usize, &&str)| {
        (ProviderName::parse(&format!("p{index}")).expect("a provider"), upstream(name))
    };
    unit.inference = Inference::Direct { upstreams: names.iter().enumerate().map(row).collect() };
    let config = config(&unit);
    for (index, name) in names.iter().enumerate() {
        let provider = &config["models"]["providers"][format!("claw-p{index}")]["apiKey"]["provider"];
        let provider = provider.as_str().expect("a provider");
        assert_eq!(config["secrets"]["providers"][provider]["path"], format!("/run/secrets/{name}"));
    }
    let Some(folder) = runtimes() else { return };
    assert_eq!(judged(&folder, &config), (true, Vec::new()), "{config:#}");
}

#[test]
fn two_guilds_cannot_differ_in_one_group() {
    let mut unit = everything("openclaw");
    let driver = claw_drivers::find("openclaw").expect("a driver");
    for policy in unit.channels.values_mut() {
        let guild = |require_mention| GuildPolicy { hears: Hears::Everyone, require_mention, channels: Vec::new() };
        policy.guilds = [("9".to_owned(), guild(true)), ("10".to_owned(), guild(false))].into();
    }
    let mut diag = Diagnostics::new();
    driver.check(&unit, &mut diag);
    let found = diag.iter().map(|each| each.message.clone()).filter(|text| text.contains("differ"));
    let found: Vec<String> = found.collect();
    assert_eq!(found, ["openclaw has one rule for `*` of `slack`, and two guilds differ in it"]);
}

#[test]
fn lists_that_a_platform_cannot_keep_apart_are_refused() {
    let mut unit = everything("openclaw");
    let driver = claw_drivers::find("openclaw").expect("a driver");
    for policy in unit.channels.values_mut() {
        let guild = |hears| GuildPolicy { hears, require_mention: true, channels: Vec::new() };
        let guilds =
            [("9".to_owned(), guild(Hears::Everyone)), ("10".to_owned(), guild(Hears::Only(vec!["1".into()])))];
        policy.guilds = guilds.into();
    }
    let mut diag = Diagnostics::new();
    driver.check(&unit, &mut diag);
    let found = diag.iter().map(|each| each.message.clone()).filter(|text| text.contains("differ"));
    let found: Vec<String> = found.collect();
    let refused = |name| format!("openclaw has one list of people for all groups of `{name}`, and these differ");
    let slack = "openclaw has one rule for `*` of `slack`, and two guilds differ in it".to_owned();
    assert_eq!(found, [refused("line"), slack, refused("whatsapp")]);
}
