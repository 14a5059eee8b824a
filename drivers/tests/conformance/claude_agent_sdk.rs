//! What the driver `claude-agent-sdk` writes, judged by its runner and the real SDK where that is installed (`make runtimes`).

use std::path::{Path, PathBuf};
use std::process::Command;

use claw_types::agent::{Access, AgentUnit, EnvValue, Inference, ModelRef, Schedule, Setting, Surface, Target};
use claw_types::diag::{Diagnostics, Severity};
use claw_types::doc::Doc;
use claw_types::id::{EnvName, ModelSlot, ProviderName, ServiceName};
use claw_types::path::ContainerPath;
use claw_types::platform::Platform;
use claw_types::provider::WireFormat;
use claw_types::span::{FileId, Span, Spanned};
use serde_json::{Value, json};

use crate::{everything, everything_proxied, heard, unit};

const NAME: &str = "claude-agent-sdk";

/// Returns where the real program is installed; nothing, said aloud, where it is not.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn runtimes() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.runtimes").join(NAME);
    let folder = folder.canonicalize().ok().filter(|folder| folder.join("sdk.done").is_file());
    if folder.is_none() {
        println!("skipped: no {NAME}; `make runtimes` installs it");
    }
    folder
}

fn config(unit: &AgentUnit) -> Value {
    let driver = claw_drivers::find(NAME).expect("a driver");
    let mut diag = Diagnostics::new();
    driver.check(unit, &mut diag);
    let lowered = driver.lower(unit, &mut diag).expect("lowered");
    assert!(!diag.has_errors(), "{diag:?}");
    let file = lowered.files.iter().find(|(path, _)| path.as_str() == "claw/agent.json").expect("a file");
    serde_json::from_str(&file.1.content.masked()).expect("JSON")
}

/// Returns what the runner and the real program make of a configuration, or why they refuse it.
fn judged(folder: &Path, config: &Value) -> Result<Value, String> {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let place = std::env::temp_dir().join(format!("claw-claude-{}-{number}.json", std::process::id()));
    std::fs::write(&place, config.to_string()).expect("written");
    let output = Command::new(folder.join("bin/node"))
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(NAME).join("runner.mjs"))
        .arg("check")
        .arg(&place)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", std::env::temp_dir())
        .env("CLAUDE_AGENT_SDK", folder.join("sdk"))
        // What the host's own environment says reaches nobody.
        .env("ANTHROPIC_BASE_URL", "http://elsewhere.invalid")
        .env("ANTHROPIC_AUTH_TOKEN", "marker-of-the-host")
        .output()
        .expect("node runs");
    std::fs::remove_file(place).expect("removed");
    let told = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if !output.status.success() {
        return Err(told);
    }
    Ok(serde_json::from_slice(&output.stdout).expect("what it read"))
}

fn at() -> Span {
    Span::start_of(FileId(0))
}

fn set(unit: &mut AgentUnit, path: &str, value: Doc) {
    unit.settings.push(Setting { path: Spanned::new(path.to_owned(), at()), value });
}

fn configured() -> AgentUnit {
    let mut unit = unit(NAME, true, 0, 1, true);
    set(&mut unit, "allowed_tools", Doc::strs(["Read", "Bash(git log *)", "WebSearch"]));
    set(&mut unit, "disallowed_tools", Doc::strs(["mcp__db__drop", "Write"]));
    set(&mut unit, "effort", Doc::str("low"));
    set(&mut unit, "max_output_tokens", Doc::int(4096));
    set(&mut unit, "max_parallel", Doc::int(1));
    set(&mut unit, "max_turns", Doc::int(7));
    set(&mut unit, "memory", Doc::Bool(true));
    set(&mut unit, "thinking", Doc::int(2048));
    set(&mut unit, "turn_seconds", Doc::int(60));
    unit
}

/// Every slot that it has.
fn slotted() -> AgentUnit {
    let mut unit = everything(NAME);
    let provider = ProviderName::parse("demo").expect("a provider");
    for slot in ["fallback", "fast", "subagent"] {
        let model = ModelRef { provider: provider.clone(), model: format!("model-{slot}") };
        let slot = ModelSlot::parse(slot).expect("a slot");
        unit.models.entry(slot).or_default().push(model);
    }
    unit
}

/// Places that a path of a container can be.
fn placed() -> AgentUnit {
    let mut unit = unit(NAME, true, 0, 1, true);
    for path in ["/srv/B\u{fc}ro and 'more'", "/srv/$(x), \"y\""] {
        unit.surfaces
            .push(Surface::Host { path: ContainerPath::parse(path).expect("a path"), access: Access::ReadOnly });
    }
    unit
}

#[test]
fn the_real_program_takes_every_configuration() {
    let cases = [
        ("direct", unit(NAME, false, 0, 1, false)),
        ("proxied", unit(NAME, true, 2, 3, true)),
        ("everything", everything(NAME)),
        ("everything, proxied", everything_proxied(NAME)),
        ("slotted", slotted()),
        ("configured", configured()),
        ("any place", placed()),
    ];
    let cases = cases.map(|(name, unit)| (name, config(&unit)));
    let Some(folder) = runtimes() else { return };
    for (name, config) in cases {
        let made = judged(&folder, &config).unwrap_or_else(|told| panic!("{name}: {told}: {config:#}"));
        // What it reads is what was written, and it starts by it.
        for (key, value) in config.as_object().expect("a mapping") {
            let read = &made["configuration"]["read"][key];
            if key != "settings" {
                assert_eq!(read, value, "{name}: {key}");
            }
        }
        for (key, value) in config["settings"].as_object().expect("settings") {
            assert_eq!(&made["configuration"]["read"]["settings"][key], value, "{name}: {key}");
        }
        // What it tells is what the program is given, which the host's own environment says nothing to.
        assert_eq!(made["endpoints"], json!([made["configuration"]["options"]["env"]["ANTHROPIC_BASE_URL"]]), "{name}");
        assert_eq!(made["endpoints"][0], config["endpoint"]["base_url"], "{name}");
        assert_eq!(made["models"][0], config["models"]["primary"], "{name}");
        assert!(
            made["configuration"]["program"]["agents"].as_array().is_some_and(|agents| !agents.is_empty()),
            "{name}: {made:#}"
        );
        // The secret is not here, which is all that it has to say.
        let warnings = made["warnings"].as_array().expect("a list").iter().filter_map(Value::as_str);
        let warnings: Vec<&str> = warnings.filter(|text| !text.contains("cat: /run/secrets/")).collect();
        assert_eq!((&made["ignored"], warnings), (&json!([]), Vec::new()), "{name}");
        assert!(!made.to_string().contains("marker-of-the-host"), "{name}");
        assert!(!made.to_string().contains("elsewhere.invalid"), "{name}");
    }
}

/// Returns the configurations that the examples compile to.
fn goldens() -> Vec<(PathBuf, Value)> {
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")];
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).expect("a folder").flatten().map(|entry| entry.path()));
        } else if path.ends_with("claw/agent.json") {
            let text = std::fs::read_to_string(&path).expect("a file");
            found.push((path, serde_json::from_str(&text).expect("JSON")));
        }
    }
    found
}

#[test]
fn the_real_program_takes_what_the_examples_compile_to() {
    let goldens = goldens();
    let Some(folder) = runtimes() else { return };
    for (path, config) in goldens {
        judged(&folder, &config).unwrap_or_else(|told| panic!("{}: {told}", path.display()));
    }
}

#[test]
fn what_is_wrong_is_refused_and_said() {
    let good = config(&slotted());
    let Some(folder) = runtimes() else { return };
    let cases: [(&str, Value, &str); 19] = [
        ("/modle", json!("x"), "`modle` is unknown"),
        ("/models/summarizer", json!("a/b"), "`models.summarizer` is unknown"),
        ("/models/primary", json!(null), "`models.primary` is not"),
        ("/endpoint/base_url", json!("http://p:1/v1"), "without `/v1`"),
        // The SDK would ask its maker.
        ("/endpoint/base_url", json!(""), "`endpoint.base_url` is not"),
        ("/endpoint/base_url", json!("file:///etc/passwd"), "`endpoint.base_url` is not"),
        ("/endpoint/key", json!("sk-1"), "`endpoint.key` is unknown"),
        ("/endpoint/key_file", json!("/run/secrets/x'; touch y; '"), "`endpoint.key_file` is not"),
        ("/directories", json!(["srv"]), "`directories[0]` is not an absolute path"),
        ("/directories", json!(["/srv\n"]), "`directories[0]` is not an absolute path"),
        ("/schedules/0/cron", json!("61 * * * *"), "it goes from 0 to 59"),
        ("/schedules/0/cron", json!("* * * * * *"), "five fields"),
        ("/schedules/0/id", json!("a b"), "`schedules[0].id` is not"),
        ("/timezone", json!("Mars/Olympus"), "`timezone` is not"),
        ("/settings/permissionMode", json!("bypassPermissions"), "`settings.permissionMode` is unknown"),
        ("/settings/allowed_tools", json!(["Reed"]), "`settings.allowed_tools[0]` is not"),
        ("/settings/max_turns", json!("many"), "`settings.max_turns` is not"),
        ("/mcp_servers/db", json!("db:8080"), "`mcp_servers.db` is not"),
        ("/schema", json!(2), "`schema` is not"),
    ];
    for (place, value, why) in cases {
        let (parent, key) = place.rsplit_once('/').expect("a parent");
        let mut bad = good.clone();
        bad.pointer_mut(parent).expect("a place")[key] = value;
        let told = judged(&folder, &bad).expect_err(place);
        assert!(told.contains(why), "{place}: {told}");
    }
    let mut less = good.clone();
    less.as_object_mut().expect("a mapping").remove("endpoint");
    assert!(judged(&folder, &less).expect_err("less").contains("`endpoint` is missing"));
}

fn found(unit: &AgentUnit) -> Vec<(Severity, String)> {
    let mut diag = Diagnostics::new();
    claw_drivers::find(NAME).expect("a driver").check(unit, &mut diag);
    diag.iter().map(|each| (each.severity, each.message.clone())).collect()
}

#[test]
fn what_the_sdk_cannot_do_is_said_before_anything_is_made() {
    let with = |change: &dyn Fn(&mut AgentUnit)| {
        let mut unit = everything(NAME);
        change(&mut unit);
        found(&unit)
    };
    let error = |text: &str| vec![(Severity::Error, text.to_owned())];
    let warning = |text: &str| vec![(Severity::Warning, text.to_owned())];
    assert_eq!(with(&|_| ()), []);
    let upstream = |unit: &mut AgentUnit, change: &dyn Fn(&mut claw_types::agent::Upstream)| {
        let Inference::Direct { upstreams } = &mut unit.inference else { return };
        upstreams.values_mut().for_each(change);
    };
    assert_eq!(
        with(&|unit| upstream(unit, &|it| it.format = WireFormat::OpenAi)),
        error("the runtime `claude-agent-sdk` does not speak `openai` to `demo`")
    );
    assert_eq!(
        with(&|unit| upstream(unit, &|it| it.base_url = "http://p:1/api".into())),
        error("the runtime `claude-agent-sdk` cannot ask `http://p:1/api`")
    );
    assert_eq!(
        with(&|unit| {
            let Inference::Direct { upstreams } = &mut unit.inference else { return };
            let other = upstreams.values().next().expect("one").clone();
            upstreams.insert(ProviderName::parse("other").expect("a name"), other);
        }),
        error("the runtime `claude-agent-sdk` asks one provider, and the models are of `demo`, `other`")
    );
    for name in ["a,b", "a b", "a\u{a0}b", &"m".repeat(260)] {
        let rename = |unit: &mut AgentUnit| {
            unit.models.values_mut().flatten().for_each(|model| model.model = name.to_owned());
        };
        let told = with(&rename);
        // A message shows no more than the beginning of a long name.
        let begin: String = name.chars().take(20).collect();
        let message = format!("the runtime `claude-agent-sdk` cannot name the model `demo/{begin}");
        let is_told =
            |(severity, text): &(Severity, String)| *severity == Severity::Error && text.starts_with(&message);
        assert!(!told.is_empty() && told.iter().all(is_told), "{told:?}");
    }
    let mut unit = everything(NAME);
    unit.models.values_mut().flatten().for_each(|model| model.model = "a b".to_owned());
    let told = heard::told(&unit);
    let helps = told.iter().all(|each| each.help.as_deref().is_some_and(|help| help.contains("no space")));
    assert!(helps && !told.is_empty(), "{told:?}");
    assert_eq!(with(&|unit| unit.models.clear()), error("`bot` has no model in the slot `primary`"));
    let schedule = |id: &str, cron: &str| {
        let (id, cron) = (id.to_owned(), cron.to_owned());
        move |unit: &mut AgentUnit| {
            unit.schedules = vec![Schedule { id: id.clone(), cron: cron.clone(), message: "x".into(), target: None }];
        }
    };
    assert_eq!(
        with(&schedule(&"x".repeat(56), "* * * * *")),
        error(&format!("the runtime `claude-agent-sdk` cannot have a schedule called `{}`", "x".repeat(56)))
    );
    assert_eq!(
        with(&schedule("x", "0 0 * * L")),
        error("the runtime `claude-agent-sdk` cannot read `L` of the schedule `0 0 * * L`")
    );
    assert_eq!(
        with(&|unit| {
            let target = Some(Target { platform: Platform::parse("discord").expect("one"), channel: "1".into() });
            unit.schedules[0].target = target;
        }),
        warning("the schedule `pulse` answers to `discord`, where this runtime does not speak")
    );
    assert_eq!(
        with(&|unit| {
            let name = EnvName::parse("ANTHROPIC_BASE_URL").expect("a name");
            unit.env.insert(name, EnvValue::Literal("http://elsewhere".into()));
        }),
        warning("`ANTHROPIC_BASE_URL` of `bot` does not reach the Claude Agent SDK")
    );
}

#[test]
fn servers_are_called_by_names_that_tools_can_have() {
    let mut unit = everything(NAME);
    for name in ["a.b", "a_b"] {
        let service = ServiceName::parse(name).expect("a name");
        unit.surfaces.push(Surface::Service { service, ports: vec![1], mcp: Some(format!("http://{name}:1/mcp")) });
    }
    let servers = json!({"a_b": "http://a.b:1/mcp", "a_b_": "http://a_b:1/mcp", "db": "http://db:8080/mcp"});
    assert_eq!(config(&unit)["mcp_servers"], servers);
}
