//! What the driver `zeroclaw` writes, judged by the real program where it is there (`scripts/zeroclaw.sh`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use claw_types::agent::{DirectPolicy, Schedule, Setting};
use claw_types::diag::Diagnostics;
use claw_types::doc::Doc;
use claw_types::driver::ProbeOutput;
use claw_types::span::{FileId, Span, Spanned};
use serde_json::Value;

use crate::keys::made;
use crate::{everything, everything_proxied, heard, unit};

const CONFIG: &str = "claw/zeroclaw/config.toml";

/// Returns the real program: the one that `CLAW_ZEROCLAW` names, or that of `scripts/zeroclaw.sh`; nothing, said aloud, where it is
/// not there.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn program() -> Option<PathBuf> {
    let named = std::env::var_os("CLAW_ZEROCLAW").map(PathBuf::from);
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.runtimes/zeroclaw");
    let built = built.join("zeroclaw.done").is_file().then(|| built.join("bin/zeroclaw"));
    let program = named.or(built);
    if program.is_none() {
        println!("skipped: no zeroclaw; `sh scripts/zeroclaw.sh .runtimes/zeroclaw` builds it");
    }
    program
}

/// What the program says of a configuration: whether it takes it to the letter, what it makes of each key, and the same as the driver
/// reads it for `claw diagnose`.
struct Judged {
    verdict: String,
    list: String,
    reading: Value,
}

impl Judged {
    fn texts(&self, key: &str) -> Vec<&str> {
        self.reading[key].as_array().expect("a list").iter().filter_map(Value::as_str).collect()
    }
}

fn judged(program: &Path, name: &str, text: &str) -> Judged {
    let folder = std::env::temp_dir().join(format!("claw-zeroclaw-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("config.toml"), text).expect("written");
    let said = |arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().env("HOME", &folder).env("ZEROCLAW_CONFIG_DIR", &folder);
        let output = command.output().expect("the program runs");
        ProbeOutput {
            exit_code: output.status.code().unwrap_or(-1).into(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    };
    let driver = claw_drivers::find("zeroclaw").expect("a driver");
    let lowered = driver.lower(&unit("zeroclaw", false, 0, 1, false), &mut Diagnostics::new()).expect("lowered");
    let command = lowered.reading.expect("a command");
    let arguments: Vec<&str> = command.iter().skip(1).map(String::as_str).collect();
    let output = said(&arguments);
    let reading = serde_json::from_str(&driver.read_configuration(&output)).expect("a reading");
    let migrated = said(&["config", "migrate", "--json"]);
    let verdict = format!("{}{}", migrated.stdout, migrated.stderr);
    std::fs::remove_dir_all(folder).expect("removed");
    Judged { verdict, list: output.stdout, reading }
}

/// Returns the keys of a configuration that the program does not read as they are written.
fn unread(text: &str, list: &str) -> Vec<String> {
    let read: Vec<(&str, &str)> = list
        .lines()
        .filter_map(|line| line.trim_start_matches(|each: char| !each.is_ascii_alphanumeric()).split_once(" = "))
        .map(|(name, rest)| (name.trim_end(), rest))
        .collect();
    let mut section = String::new();
    let mut unread = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
        } else if let Some((key, value)) = line.split_once(" = ").filter(|_| !section.starts_with('[')) {
            let path = if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") };
            let value = match value {
                "[]" => "<unset>".to_owned(),
                value => serde_json::from_str(value).unwrap_or_else(|_| value.to_owned()),
            };
            // It has another name for one, shows a schedule as a whole, and calls servers by their names.
            let path = path.replace(".delivery.", ".cron_delivery.");
            let is_read = |(name, rest): &(&str, &str)| {
                (*name == path && rest.starts_with(&value)) || (*name == section && rest.contains(line))
            };
            if path != "mcp.servers" && !read.iter().any(is_read) {
                unread.push(line.to_owned());
            }
        }
    }
    unread
}

#[test]
fn the_real_program_takes_every_configuration_and_reads_every_key_as_it_was_meant() {
    let Some(program) = program() else { return };
    let mut set = everything("zeroclaw");
    let setting =
        |path: &str, value: Doc| Setting { path: Spanned::new(path.to_owned(), Span::start_of(FileId(0))), value };
    set.settings = vec![
        setting("providers.models.custom.claw_primary.context_window", Doc::int(128_000)),
        setting("risk_profiles.claw.level", Doc::str("supervised")),
        setting("risk_profiles.claw.allowed_commands", Doc::strs(["ls"])),
        setting("runtime_profiles.claw.max_tool_iterations", Doc::int(9)),
        setting("agents.main.memory.backend", Doc::str("none")),
        setting("skills.prompt_injection_mode", Doc::str("compact")),
        setting("scheduler.max_concurrent", Doc::int(2)),
        setting("heartbeat.interval_minutes", Doc::int(60)),
    ];
    let units = [
        ("direct", unit("zeroclaw", false, 0, 1, false)),
        ("proxied", unit("zeroclaw", true, 0, 1, true)),
        ("everything", everything("zeroclaw")),
        ("everything, proxied", everything_proxied("zeroclaw")),
        ("set", set),
    ];
    for (name, unit) in units {
        // Tokens are variables, and those of chat accounts are asked for.
        let (text, _) = made(&unit, CONFIG);
        let text = text.replace(".main]\nenabled", ".main]\nbot_token = \"x\"\nenabled");
        let text = text.replace(".main]\nchannel_ids", ".main]\nbot_token = \"x\"\nchannel_ids");
        let said = judged(&program, name, &text);
        assert!(said.verdict.contains("\"valid\": true"), "{name}: {}\n{text}", said.verdict);
        assert_eq!(said.texts("warnings"), Vec::<&str>::new(), "{name}\n{text}");
        let addresses = text.lines().filter_map(|line| line.strip_prefix("uri = ")?.strip_prefix('"'));
        let addresses: BTreeSet<&str> = addresses.map(|address| address.trim_end_matches('"')).collect();
        assert!(!addresses.is_empty(), "{name}\n{text}");
        assert_eq!(said.texts("endpoints").into_iter().collect::<BTreeSet<_>>(), addresses, "{name}");
        assert!(said.texts("models").iter().all(|model| text.contains(&format!("\"{model}\""))), "{name}");
        assert!(!said.texts("models").is_empty(), "{name}");
        let written = text.replace("bot_token = \"x\"\n", "");
        assert_eq!(unread(&written, &said.list), Vec::<String>::new(), "{name}");
        let server = said.list.lines().find(|line| line.contains("mcp.servers.db.url"));
        assert_eq!(server.is_some_and(|line| line.contains(" http://db:8080/mcp ")), text.contains("[mcp]"), "{name}");
    }
    // What is wrong is told: a name that leads nowhere, a key that is not known, and a value of another kind.
    let (text, _) = made(&unit("zeroclaw", true, 0, 1, true), CONFIG);
    let dangling = text.replace("model_provider = \"custom.cllama\"", "model_provider = \"custom.other\"");
    let judged_now = judged(&program, "dangling", &dangling);
    let warnings = judged_now.texts("warnings");
    assert!(matches!(warnings[..], [warning] if warning.contains("dangling_reference")), "{warnings:?}");
    let misspelt = text.replace("require_pairing = true", "require_paring = true");
    assert_eq!(unread(&misspelt, &judged(&program, "misspelt", &misspelt).list), ["require_paring = true"]);
    let odd = text.replace("port = 42617", "port = \"any\"");
    let odd = judged(&program, "odd", &odd);
    assert!(odd.verdict.contains("\"valid\": false"));
    assert!(odd.texts("warnings").iter().any(|warning| warning.contains("`gateway`")), "{}", odd.reading);
}

/// When a job of this schedule comes next, as the program itself says; nothing where it takes none.
fn next(program: &Path, home: &Path, cron: &str) -> Option<String> {
    let arguments = ["cron", "add", "--agent", "main", "--tz", "UTC", "--prompt", cron, "hello"];
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("HOME", home).env("ZEROCLAW_CONFIG_DIR", home);
    let output = command.output().expect("the program runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let next = said.lines().find_map(|line| line.trim().strip_prefix("Next  : ").map(ToOwned::to_owned));
    assert_eq!(next.is_some(), output.status.success(), "{cron}: {said}");
    next
}

#[test]
fn schedules_that_it_would_not_keep_are_refused() {
    let refused = |cron: &str| {
        let mut unit = unit("zeroclaw", false, 0, 1, false);
        let (cron, message) = (cron.to_owned(), "hello".to_owned());
        unit.schedules = vec![Schedule { id: "x".into(), cron, message, target: None }];
        heard::is_refused(&heard::told(&unit))
    };
    let good = [
        "*/5 0-6 1,15 jan-mar *",
        "0 9 * * MON-FRI/2",
        "0 9 * * 0,5-7",
        "0 0 29 2 *",
        "0 0 31 1-2 *",
        "*/59 */23 */31 * *",
        "0 0 * */12 */7",
    ];
    // What it does not read, and days that never come.
    let bad = [
        "0 9 L * *",
        "0 9 15W * *",
        "0 9 * * 5#2",
        "0 9 * * 5L",
        "0 9 * * 1-fri",
        "0 9 * jan-3 *",
        "0 0 31 2 *",
        "*/60 * * * *",
        "0 */24 * * *",
        "0 0 */32 * *",
        "0 0 * */13 *",
        "0 0 * * */8",
    ];
    // What it reads as something else: a day that is both, and numbers that count from 1 beside names.
    let other = ["0 9 1 * 1", "0 9 2 * 1", "0 9 * * 3,wed", "0 9 * * 5,fri"];
    assert!(!good.into_iter().any(refused));
    for cron in bad.into_iter().chain(other) {
        assert!(refused(cron), "{cron}");
    }
    let Some(program) = program() else { return };
    let home = std::env::temp_dir().join(format!("claw-zeroclaw-{}-schedules", std::process::id()));
    std::fs::create_dir_all(&home).expect("a folder");
    let (text, _) = made(&unit("zeroclaw", false, 0, 1, false), CONFIG);
    std::fs::write(home.join("config.toml"), text).expect("written");
    let next = |cron: &str| next(&program, &home, cron);
    for cron in good {
        assert!(next(cron).is_some(), "{cron}");
    }
    for cron in bad {
        assert_eq!(next(cron), None, "{cron}");
    }
    // A Monday that is also the first, and one that is also the second: the next Monday is not both.
    for (cron, day) in [("0 9 1 * 1", "-01T"), ("0 9 2 * 1", "-02T")] {
        assert!(next(cron).is_some_and(|next| next.contains(day)), "{cron}: {:?}", next(cron));
    }
    let is_same = |mixed: &str, plain: &str| next(mixed) == next(plain);
    assert!(!is_same("0 9 * * 3,wed", "0 9 * * wed") || !is_same("0 9 * * 5,fri", "0 9 * * fri"));
    std::fs::remove_dir_all(home).expect("removed");
}

/// By itself it wants no mention in a thread of slack. That the key is one it reads is judged above.
#[test]
fn where_a_mention_is_needed_it_is_needed_in_threads() {
    for (name, policy) in heard::policies("slack") {
        let is_needed = !policy.guilds.values().any(|guild| !guild.require_mention);
        let (text, _) = made(&heard::on("zeroclaw", "slack", policy), CONFIG);
        assert!(text.contains(&format!("mention_only = {is_needed}\n")), "{name}: {text}");
        assert!(text.contains(&format!("strict_mention_in_thread = {is_needed}\n")), "{name}: {text}");
    }
}

/// Its list of channels is for every message, and a direct one comes from none of them.
#[test]
fn nobody_is_heard_directly_beside_a_list_of_channels() {
    for platform in ["discord", "slack"] {
        for (name, policy) in heard::policies(platform) {
            let lets_write = policy.direct != DirectPolicy::Disabled;
            let unit = heard::on("zeroclaw", platform, policy);
            let told = heard::told(&unit);
            let (text, _) = made(&unit, CONFIG);
            let has_list = text.lines().any(|line| line.starts_with("channel_ids = [\""));
            let is_deaf =
                told.iter().any(|each| each.message.contains("not hear") && each.message.contains("directly"));
            assert!(heard::is_refused(&told) || is_deaf == (has_list && lets_write), "{platform}: {name}: {told:?}");
        }
    }
}

#[test]
fn no_secret_stands_in_its_configuration() {
    for unit in [everything("zeroclaw"), unit("zeroclaw", true, 0, 1, true)] {
        let (text, _) = made(&unit, CONFIG);
        assert!(!text.contains("<secret") && !text.contains("token"), "{text}");
    }
}

#[test]
fn behind_a_proxy_every_model_is_asked_for_there() {
    let mut unit = everything("zeroclaw");
    unit.inference = crate::unit("zeroclaw", true, 0, 1, false).inference;
    let (text, _) = made(&unit, CONFIG);
    let uris: Vec<&str> = text.lines().filter(|line| line.starts_with("uri = ")).collect();
    assert_eq!(uris, ["uri = \"http://cllama-passthrough:8080/v1\""]);
    assert!(text.contains("fallback_models = [\"demo/small/m2\"]"), "{text}");
}
