//! Every directive: its forms, its errors, and what it does to an agent.

use std::collections::BTreeMap;

use claw_compiler::clawfile;
use claw_types::diag::Diagnostics;
use claw_types::span::SourceMap;

use crate::world::{World, file, text};

/// Returns the labels of a Clawfile with more in it, where it is one, and the findings.
fn parse(more: &str) -> (Option<BTreeMap<String, String>>, Vec<String>) {
    let text = format!("FROM scratch\nCLAW_TYPE reference\n{more}\n");
    let mut sources = SourceMap::new();
    let file = sources.add("Clawfile", text);
    let mut diag = Diagnostics::new();
    let parsed = clawfile::parse(sources.get(file).expect("added"), &["reference", "generic"], &mut diag);
    let found = diag.sorted().into_iter().map(|each| format!("{}: {}", each.code.name(), each.message)).collect();
    (parsed.ok().map(|clawfile| clawfile.labels()), found)
}

#[test]
fn every_form_becomes_its_label() {
    for (line, key, value) in [
        ("agent AGENTS.md", "claw.agent.file", "AGENTS.md"),
        ("Agent\tAGENTS.md  ", "claw.agent.file", "AGENTS.md"),
        ("AGENT \\\n  AGENTS.md", "claw.agent.file", "AGENTS.md"),
        ("PERSONA personas/a", "claw.persona.default", "personas/a"),
        ("PERSONA ghcr.io/acme/a:1", "claw.persona.default", "ghcr.io/acme/a:1"),
        ("MODEL primary a/b", "claw.model.primary", "a/b"),
        ("MODEL primary a/b/c:d", "claw.model.primary", "a/b/c:d"),
        ("MODEL vision_2 a/b", "claw.model.vision_2", "a/b"),
        ("MODEL fallback a/b\nMODEL fallback c/d", "claw.model.fallback.1", "c/d"),
        ("CLLAMA passthrough\nCLLAMA policy", "claw.cllama.1", "policy"),
        ("HANDLE Discord", "claw.handle.discord", "true"),
        ("HANDLE wecom_app", "claw.handle.wecom_app", "true"),
        ("SURFACE volume://ab", "claw.surface.0", "volume://ab"),
        ("SURFACE volume://ab ro", "claw.surface.0", "volume://ab read-only"),
        ("SURFACE volume://ab rw", "claw.surface.0", "volume://ab read-write"),
        ("SURFACE host:///srv/a", "claw.surface.0", "host:///srv/a"),
        ("SURFACE host:///srv/a read-write", "claw.surface.0", "host:///srv/a read-write"),
        ("SURFACE service://web", "claw.surface.0", "service://web"),
        ("SURFACE channel://Slack", "claw.surface.0", "channel://slack"),
        ("SURFACE egress://api.example.com:443", "claw.surface.0", "egress://api.example.com:443"),
        ("SURFACE egress://*.example.com", "claw.surface.0", "egress://*.example.com"),
        ("SKILL a.md\nSKILL b.md", "claw.skill.1", "b.md"),
        ("INVOKE 0 9 * * mon-fri say $HOME # all", "claw.invoke.0", "0 9 * * mon-fri\tsay $HOME # all"),
        ("INVOKE  0   9 * * *   hi", "claw.invoke.0", "0 9 * * *\thi"),
        ("PRIVILEGE worker root", "claw.privilege.worker", "root"),
        ("PRIVILEGE runtime claw-user", "claw.privilege.runtime", "claw-user"),
        ("CONFIGURE reference config set a.b 4", "claw.configure.0", "reference config set a.b 4"),
        (
            "CONFIGURE reference config set a {\"b\": \"# c\"}",
            "claw.configure.0",
            "reference config set a {\"b\": \"# c\"}",
        ),
        ("TRACK apt npm", "claw.track.1", "npm"),
        ("ACT echo \"a\" # b", "claw.act.0", "echo \"a\" # b"),
    ] {
        let (labels, found) = parse(line);
        let labels = labels.unwrap_or_else(|| panic!("{line}: {found:?}"));
        assert_eq!(labels.get(key).map(String::as_str), Some(value), "{line}: {labels:?}");
        assert_eq!(found, Vec::<String>::new(), "{line}");
    }
}

#[test]
fn every_wrong_form_is_refused() {
    for (line, expected) in [
        ("AGENT", "directive-syntax: `AGENT` is written `AGENT <file>`"),
        ("AGENT a b", "directive-syntax"),
        ("PERSONA", "directive-syntax"),
        ("PERSONA a b", "directive-syntax"),
        ("MODEL", "directive-syntax"),
        ("MODEL primary", "directive-syntax"),
        ("MODEL primary a/b c/d", "directive-syntax"),
        ("MODEL Primary a/b", "bad-name: `Primary` is not a model slot"),
        ("MODEL primary gpt", "bad-model: `gpt` is not a model"),
        ("MODEL primary /gpt", "bad-model"),
        ("MODEL primary a/", "bad-model"),
        ("MODEL primary a/b\u{7}", "bad-model"),
        ("CLLAMA", "directive-syntax"),
        ("CLLAMA a b", "directive-syntax"),
        ("CLLAMA Big", "bad-name: `Big` is not a proxy type"),
        ("HANDLE", "directive-syntax"),
        ("HANDLE discrod", "unknown-platform: there is no platform `discrod`"),
        ("HANDLE discord slack", "directive-syntax"),
        ("SURFACE", "directive-syntax"),
        ("SURFACE volume", "bad-surface: `volume` is not a surface"),
        ("SURFACE volumes://ab", "bad-surface: there is no surface `volumes://`"),
        ("SURFACE volume://", "bad-surface"),
        ("SURFACE volume://ab rx", "bad-surface: `rx` is not an access mode"),
        ("SURFACE volume://ab ro rw", "bad-surface"),
        ("SURFACE host://srv", "bad-surface"),
        ("SURFACE host:///", "bad-surface"),
        ("SURFACE service://web ro", "bad-surface: a surface `service://` has no access mode"),
        ("SURFACE channel://discrod", "unknown-platform"),
        ("SURFACE egress://a:0", "bad-surface"),
        ("SKILL", "directive-syntax"),
        ("SKILL a.md b.md", "directive-syntax"),
        ("INVOKE", "directive-syntax"),
        ("INVOKE 0 9 * * *", "directive-syntax"),
        ("INVOKE 0 9 * * 8 hi", "bad-schedule: `0 9 * * 8` is not a schedule: `8` as day of week"),
        ("INVOKE @daily say hi to all of them", "bad-schedule"),
        ("PRIVILEGE", "directive-syntax"),
        ("PRIVILEGE worker", "directive-syntax"),
        ("PRIVILEGE wroker root", "bad-value: `PRIVILEGE` has no mode `wroker`"),
        ("CONFIGURE", "directive-syntax"),
        ("CONFIGURE reference set a b", "directive-syntax"),
        ("CONFIGURE reference config set a", "directive-syntax"),
        ("CONFIGURE referense config set a b", "unknown-runtime: there is no runtime `referense`"),
        ("CONFIGURE generic config set a b", "bad-setting"),
        ("TRACK", "directive-syntax"),
        ("TRACK brew", "bad-value: claw does not track `brew`"),
        ("ACT", "directive-syntax"),
        ("CLAW_TYPE generic", "duplicate-directive: `CLAW_TYPE` stands twice"),
        ("AGENT a\nagent b", "duplicate-directive: `AGENT` stands twice"),
        ("PERSONA a\nPERSONA a", "duplicate-directive: `PERSONA` stands twice"),
        ("MODEL x a/b\nMODEL x c/d", "duplicate-directive: `MODEL x` stands twice"),
        ("HANDLE slack\nHANDLE SLACK", "duplicate-directive: `HANDLE slack` stands twice"),
        ("PRIVILEGE worker a\nPRIVILEGE worker b", "duplicate-directive: `PRIVILEGE worker` stands twice"),
        ("ONBUILD AGENT a", "misplaced-directive"),
        ("MODLE primary a/b", "unknown-instruction: unknown instruction `MODLE`"),
        ("CLAW_TYP x", "unknown-instruction: unknown instruction `CLAW_TYP`"),
    ] {
        let (labels, found) = parse(line);
        assert!(labels.is_none() && found.iter().any(|each| each.starts_with(expected)), "{line}: {found:?}");
    }
    for line in [
        "AGENT a",
        "PERSONA a",
        "MODEL x a/b",
        "CLLAMA a",
        "HANDLE slack",
        "SURFACE volume://ab",
        "SKILL a",
        "TRACK apt",
        "PRIVILEGE worker a",
        "CONFIGURE reference config set a b",
    ] {
        let (labels, found) = parse(&format!("{line} # mine"));
        assert!(labels.is_none() && found[0].contains("takes no comment on its line"), "{line}: {found:?}");
    }
    let (labels, found) = parse("PRIVILEGE docker-socket true");
    assert!(labels.is_some(), "{found:?}");
    assert_eq!(found, ["no-effect: `PRIVILEGE docker-socket true` has no effect: no agent gets the engine's socket"]);
}

#[test]
fn every_directive_does_something_to_the_agent() {
    let clawfile = "FROM claw/infra\nCLAW_TYPE reference\nAGENT contract.md\nPERSONA personas/a\nMODEL primary demo/a\nMODEL fallback demo/b\nHANDLE discord\nSURFACE volume://drafts ro\nSURFACE service://web\nSKILL skills/review.md\nINVOKE 0 9 * * * good morning\nCONFIGURE reference config set history 4\n";
    let world = World {
        clawfile: Some(clawfile),
        files: &[("contract.md", "the contract"), ("skills/review.md", "the skill")],
        ..World::default()
    };
    let pod = "x-claw: {providers: {demo: {base_url: 'http://web:1'}}, handles-defaults: {discord: {guilds: [{id: 1, channels: [{id: 2}]}]}}}\nservices:\n  bot: {build: .}\n  web: {image: y, expose: ['80']}\n";
    let (plan, found) = world.compile(pod);
    let plan = plan.unwrap_or_else(|| panic!("{found:?}"));
    let compose = text(&plan);
    for line in [
        "claw.type: \"reference\"",
        "target: \"/mnt/drafts\"",
        "CLAW_HANDLE_BOT_DISCORD_GUILDS: \"1\"",
        "dockerfile: \"Dockerfile.generated\"",
    ] {
        assert!(compose.contains(line), "{line}\n{compose}");
    }
    assert!(file(&plan, "claw/AGENTS.md").contains("the contract"));
    let letter = file(&plan, "claw/CLAWDAPUS.md");
    for line in [
        "Persona: `personas/a`",
        "primary: `demo/a`",
        "fallback: `demo/b`",
        "Volume `drafts`: read-only",
        "Service `web`: host name `web`, ports 80",
        "`review` (operator)",
        "`0 9 * * *`: good morning",
        "Guild `1`",
    ] {
        assert!(letter.contains(line), "{line}\n{letter}");
    }
    let config = file(&plan, "reference.json");
    for piece in ["\"history\": 4", "good morning"] {
        assert!(config.contains(piece), "{piece}\n{config}");
    }
}

#[test]
fn a_base_with_directives_lies_below_a_clawfile() {
    let labels = [
        ("claw.type", "generic"),
        ("claw.agent.file", "base.md"),
        ("claw.model.primary", "demo/base"),
        ("claw.model.vision", "demo/base"),
        ("claw.surface.0", "volume://base"),
        ("claw.skill.0", "base.md"),
        ("claw.invoke.0", "0 1 * * *\tbase"),
    ];
    let clawfile =
        "FROM acme/base\nCLAW_TYPE generic\nMODEL primary demo/own\nSURFACE volume://own\nINVOKE 0 2 * * * own\n";
    let world = World { labels: &labels, clawfile: Some(clawfile), ..World::default() };
    let pod = "x-claw: {providers: {demo: {base_url: 'http://p:1'}}}\nservices: {bot: {build: .}}\n";
    let (plan, found) = world.compile(pod);
    let unit = plan.unwrap_or_else(|| panic!("{found:?}")).units.into_values().next().expect("an agent").unit;
    let models: Vec<String> = unit.models.iter().map(|(slot, list)| format!("{slot}={}", list[0])).collect();
    assert_eq!(models, ["primary=demo/own", "vision=demo/base"]);
    assert_eq!(unit.contract.sections[0].origin, "base.md");
    assert_eq!(unit.surfaces.len(), 1, "surfaces are replaced as a whole: {:?}", unit.surfaces);
    assert!(unit.skills.contains_key("base"));
    assert_eq!(unit.schedules.iter().map(|each| each.message.as_str()).collect::<Vec<_>>(), ["base", "own"]);
    let world =
        World { clawfile: Some("FROM a AS first\nFROM b\nCLAW_TYPE generic\nAGENT a.md\n"), ..World::default() };
    let (plan, found) = world.compile("services: {bot: {build: {context: ., target: first}}}\n");
    assert!(plan.is_none() && found[0].starts_with("conflicting-keys: `target: first`"), "{found:?}");
}
