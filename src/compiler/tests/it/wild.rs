//! Pods in the wild: what they do that a strict reader would refuse, and what becomes of it.

use crate::world::{World, text};

const BOT: &str = "image: x, x-claw: {type: generic, agent: A.md";

fn warned(pod: &str, expected: &str) {
    let (plan, found) = World::default().compile(pod);
    assert!(plan.is_some(), "{pod}: {found:?}");
    assert!(found.iter().any(|each| each == expected), "{expected}: {found:?}");
}

#[test]
fn agents_with_one_account_or_one_token_are_named() {
    let handle = "handles: {discord: {id: 1, guilds: [{id: 2, channels: [{id: 3}]}]}}";
    warned(
        &format!("services: {{a: {{{BOT}, {handle}}}}}, b: {{{BOT}, {handle}}}}}}}\n"),
        "discouraged: `a` and `b` are one account on `discord`",
    );
    let token = "environment: {DISCORD_BOT_TOKEN: '${DISCORD_BOT_TOKEN}'}, entrypoint: [/bot]";
    warned(
        &format!("services: {{a: {{{token}, {BOT}}}}}, b: {{{token}, {BOT}}}}}}}\n"),
        "discouraged: `a` and `b` have one `DISCORD_BOT_TOKEN`",
    );
    let other = "environment: {DISCORD_BOT_TOKEN: '${OTHER_TOKEN}'}, entrypoint: [/bot]";
    let pod = format!("services: {{a: {{{token}, {BOT}}}}}, b: {{{other}, {BOT}}}}}}}\n");
    let (_, found) = World::default().compile(&pod);
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn a_guild_in_which_nobody_is_heard_is_named() {
    let guild = |rest: &str| {
        format!("services: {{a: {{{BOT}, handles: {{discord: {{id: 1, guilds: [{{id: 2{rest}}}]}}}}}}}}}}\n")
    };
    warned(&guild(""), "discouraged: `a` hears nobody in the guild `2` of `discord`: no channel is named, and no user");
    for heard in [
        guild(", channels: [{id: 3}]"),
        guild("").replace("handles:", "surfaces: [{'channel://discord': {guilds: {'2': {users: [7]}}}}], handles:"),
        guild("").replace("handles:", "surfaces: [{'channel://discord': {allow_from_handles: true}}], handles:"),
    ] {
        let (_, found) = World::default().compile(&heard);
        assert!(!found.iter().any(|each| each.contains("hears nobody")), "{heard}: {found:?}");
    }
}

#[test]
fn a_key_of_the_proxy_must_be_set_only_where_a_model_needs_it() {
    let pod = |model: &str| {
        format!(
            "services: {{a: {{{BOT}, cllama: passthrough, cllama-env: {{OPENAI_API_KEY: '${{OPENAI_API_KEY}}', GROQ_API_KEY: '${{GROQ_API_KEY}}'}}, models: {{primary: {model}}}}}}}}}\n"
        )
    };
    let world = World { unset: &["GROQ_API_KEY"], ..World::default() };
    let (plan, found) = world.compile(&pod("openai/gpt-5"));
    assert!(plan.is_some(), "{found:?}");
    let (plan, found) = world.compile(&pod("groq/llama"));
    assert!(plan.is_none());
    assert_eq!(found, ["missing-secret: `groq` needs `GROQ_API_KEY`, which is not set"]);
    let (plan, found) = world.compile(&pod("house/large"));
    assert!(plan.is_some(), "a proxy may have names of its own");
    assert!(
        found.contains(&"unknown-provider: there is no provider `house`, unless the proxy has one".to_owned()),
        "{found:?}"
    );
}

#[test]
fn a_variable_that_the_example_file_lacks_is_named_with_its_place() {
    let world = World { unset: &["CHANNEL", "DATABASE_URL"], ..World::default() };
    for pod in [
        format!("services: {{a: {{{BOT}, handles: {{discord: '${{CHANNEL}}'}}}}}}}}\n"),
        format!("services: {{a: {{environment: {{C: '${{CHANNEL}}'}}, {BOT}}}}}}}\n"),
        format!("services: {{a: {{hostname: '${{CHANNEL}}', {BOT}}}}}}}\n"),
    ] {
        let (plan, found) = world.compile(&pod);
        assert!(plan.is_none(), "{pod}");
        assert!(found.contains(&"unset-variable: the variable `CHANNEL` is not set".to_owned()), "{pod}: {found:?}");
    }
    let (plan, found) = world.compile("services: {web: {image: x, environment: {C: '${CHANNEL}'}}}\n");
    assert!(plan.is_some());
    assert_eq!(found, ["unset-variable: the variable `CHANNEL` is not set; it is taken as empty"]);
}

#[test]
fn secrets_in_services_that_are_no_agents_are_a_warning_and_they_run() {
    let (plan, found) = World::default().compile(
        "services: {db: {image: x, environment: {DB_PASSWORD: plain, EMPTY_TOKEN: '', API_KEY: '${API_KEY}'}}}\n",
    );
    let text = text(&plan.expect("planned"));
    assert_eq!(found, ["secret-in-environment: `DB_PASSWORD` holds a secret as plain text"]);
    assert!(text.contains("DB_PASSWORD: \"plain\"") && text.contains("API_KEY: \"${API_KEY}\""), "{text}");
}

#[test]
fn an_agent_runs_as_the_images_user_unless_that_is_root() {
    for (user, expected) in [
        (None, "65532:65532"),
        (Some(""), "65532:65532"),
        (Some("1000"), "1000:1000"),
        (Some("1000:50"), "1000:50"),
        (Some("root"), "65532:65532"),
        (Some("0"), "65532:65532"),
        (Some("0:0"), "65532:65532"),
        (Some("root:root"), "65532:65532"),
        (Some("node"), "65532:65532"),
    ] {
        let world = World { user, ..World::default() };
        let (plan, found) = world.compile(&format!("services: {{a: {{{BOT}}}}}}}\n"));
        let text = text(&plan.expect("planned"));
        assert!(text.contains(&format!("user: \"{expected}\"")), "{user:?}: {found:?}\n{text}");
        assert_eq!(
            found.iter().any(|each| each.starts_with("discouraged: the user")),
            user == Some("node"),
            "{found:?}"
        );
    }
    let world = World { user: Some("1000"), ..World::default() };
    let (plan, _) = world.compile(&format!("services: {{a: {{user: '5:6', {BOT}}}}}}}\n"));
    assert!(text(&plan.expect("planned")).contains("user: \"5:6\""));
}

#[test]
fn an_account_without_token_is_a_warning_where_the_runtime_could_speak() {
    // No runtime that is here today speaks on a platform: the account is told to the others, and that is all.
    let (plan, found) = World::default().compile(&format!("services: {{a: {{{BOT}, handles: {{slack: U1}}}}}}}}\n"));
    assert!(plan.is_some());
    assert_eq!(found, ["runtime-cannot: the runtime `generic` does not speak on `slack`"]);
}
