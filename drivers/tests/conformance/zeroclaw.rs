//! What the driver `zeroclaw` writes, judged by zeroclaw's own configuration crate where `CLAW_ZEROCLAW` names a program that asks it.

use std::process::Command;

use claw_types::agent::Setting;
use claw_types::doc::Doc;
use claw_types::span::{FileId, Span, Spanned};

use crate::keys::made;
use crate::{everything, everything_proxied, unit};

const CONFIG: &str = "claw/zeroclaw/config.toml";

/// Returns the program that parses and validates a file with `zeroclaw-config` 0.8.7; nothing, said aloud, where none is named.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn validator() -> Option<std::ffi::OsString> {
    let program = std::env::var_os("CLAW_ZEROCLAW");
    if program.is_none() {
        println!("skipped: `CLAW_ZEROCLAW` names no validator");
    }
    program
}

/// Returns what the validator says of a configuration.
fn judged(program: &std::ffi::OsStr, name: &str, text: &str) -> String {
    let file = std::env::temp_dir().join(format!("claw-zeroclaw-{}-{name}.toml", std::process::id()));
    std::fs::write(&file, text).expect("written");
    let output = Command::new(program).arg(&file).output().expect("the validator runs");
    std::fs::remove_file(file).expect("removed");
    format!("{}{}", String::from_utf8_lossy(&output.stdout), if output.status.success() { "" } else { "refused" })
}

#[test]
fn its_own_crate_takes_every_configuration() {
    let Some(program) = validator() else { return };
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
        // Tokens are variables, which the validator does not read.
        let (text, _) = made(&unit, CONFIG);
        let text = text.replace(".main]\nenabled", ".main]\nbot_token = \"x\"\nenabled");
        let text = text.replace(".main]\nchannel_ids", ".main]\nbot_token = \"x\"\nchannel_ids");
        let text = text.replace(".main]\nallow_bot", ".main]\nbot_token = \"x\"\nallow_bot");
        let said = judged(&program, name, &text);
        assert!(said.contains("parse: OK") && said.contains("validate: OK"), "{name}: {said}\n{text}");
        assert!(said.contains("unknown_keys: []") && !said.contains("refused"), "{name}: {said}");
    }
    let (text, _) = made(&unit("zeroclaw", true, 0, 1, true), CONFIG);
    let dangling = text.replace("model_provider = \"custom.cllama\"", "model_provider = \"custom.other\"");
    assert!(judged(&program, "dangling", &dangling).contains("ERR"), "the validator takes anything");
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
