//! What a runtime is not known to do, and what it does not do: how that is told.

use claw_types::diag::{Diagnostic, Severity};

use crate::world::World;

/// Returns what is found in a pod of one agent of a runtime, with an account on discord where rules are given.
fn found(runtime: &str, rules: Option<&str>, more: &str) -> Vec<Diagnostic> {
    let channel = rules.map_or(String::new(), |rules| {
        format!(
            "      handles: {{discord: {{id: '1', guilds: [{{id: '900'}}]}}}}\n\
             \x20     surfaces: [{{channel://discord: {rules}}}]\n"
        )
    });
    let text = format!(
        "x-claw: {{providers: {{demo: {{base_url: 'http://p:1'}}}}}}\n\
         services:\n\
         \x20 bot:\n\
         \x20   image: x\n\
         \x20   command: [run]\n\
         \x20   environment: {{DISCORD_BOT_TOKEN: '${{DISCORD_BOT_TOKEN}}'}}\n\
         \x20   x-claw:\n\
         \x20     type: {runtime}\n\
         \x20     agent: A.md\n\
         \x20     models: {{primary: demo/m}}\n\
         {channel}{more}\
         \x20 books: {{image: y, expose: ['80'], labels: {{claw.mcp: /mcp}}}}\n"
    );
    World::default().diagnose(&text).1
}

fn notes(found: &[Diagnostic]) -> Vec<&str> {
    found.iter().filter(|each| each.severity == Severity::Note).map(|each| each.message.as_str()).collect()
}

const ONE_LIST: &str = "{guilds: {'900': {users: ['7']}}, dm: {allow_from: ['7']}}";

#[test]
fn what_an_agent_uses_and_nobody_saw_running_is_one_note() {
    let said = found("openclaw", Some(ONE_LIST), "");
    let unseen = |runtime: &str, what: &str| {
        format!("what `bot` uses of the runtime `{runtime}` was read in its source and not run: {what}")
    };
    assert_eq!(notes(&said), [unseen("openclaw", "`channels`")]);
    // What it does not use is not told, and neither is a part of what is told as a whole.
    assert_eq!(notes(&found("openclaw", None, "")), [""; 0]);
    assert_eq!(notes(&found("picoclaw", Some(ONE_LIST), "")), [""; 0]);
    let mcp = found("generic", None, "      surfaces: [service://books]\n");
    assert_eq!(notes(&mcp), [unseen("generic", "`mcp`")]);
    assert!(mcp.iter().all(|each| each.severity != Severity::Error), "{mcp:?}");
}

#[test]
fn what_a_runtime_would_hear_beyond_the_pod_names_those_that_keep_it() {
    let said = found("picoclaw", Some("{guilds: {'900': {users: ['7']}}}"), "");
    let errors: Vec<(&str, &str)> = said
        .iter()
        .filter(|each| each.severity == Severity::Error)
        .map(|each| (each.message.as_str(), each.help.as_deref().unwrap_or_default()))
        .collect();
    let expected = (
        "`picoclaw` would hear `7` directly on `discord`, and the pod does not let them write directly",
        "`picoclaw` has one list of people for all of `discord`: write `policy: allowlist, allow_from: [\"7\"]` below \
         `dm`, if it is meant; it works with `nanobot` and `openclaw`",
    );
    assert_eq!(errors, [expected]);
    // The line of the help is all that is missing.
    let said =
        found("picoclaw", Some("{guilds: {'900': {users: ['7']}}, dm: {policy: allowlist, allow_from: ['7']}}"), "");
    assert!(said.iter().all(|each| each.severity != Severity::Error), "{said:?}");
}
