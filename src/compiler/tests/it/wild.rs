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
    warned(
        &format!("services: {{a: {{{BOT}, count: 2, {handle}}}}}}}\n"),
        "discouraged: the 2 replicas of `a` are one account on `discord`",
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
    assert_eq!(
        found,
        [
            "secret-in-environment: `DB_PASSWORD` holds a secret as plain text",
            "secret-in-environment: `API_KEY` puts a secret into the environment, which `docker inspect` shows"
        ]
    );
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
fn a_user_named_for_the_runtime_is_taken_by_number() {
    for (spec, expected, is_told) in [
        ("1234", "1234:1234", false),
        ("1234:5", "1234:5", false),
        ("1000", "1000:1000", false),
        ("claw-user", "1000:1000", true),
        ("root", "1000:1000", true),
        ("0:0", "1000:1000", true),
    ] {
        let labels = [("claw.type", "generic"), ("claw.agent.file", "A.md"), ("claw.privilege.runtime", spec)];
        let world = World { user: Some("1000"), labels: &labels, ..World::default() };
        let (plan, found) = world.compile("services: {a: {image: x}}\n");
        assert!(text(&plan.expect("planned")).contains(&format!("user: \"{expected}\"")), "{spec}: {found:?}");
        let message = format!("discouraged: `PRIVILEGE runtime {spec}` decides nothing: the image's own user stays");
        assert_eq!(found, if is_told { vec![message] } else { Vec::new() });
        let (plan, found) = world.compile("services: {a: {image: x, user: '7:7'}}\n");
        assert!(text(&plan.expect("planned")).contains("user: \"7:7\""), "the pod wins: {found:?}");
    }
}

#[test]
fn an_account_without_token_is_a_warning_where_the_runtime_could_speak() {
    let agent = "image: x, x-claw: {type: openclaw, agent: AGENTS.md, models: {primary: anthropic/m}";
    let (plan, found) = World::default().compile(&format!("services: {{a: {{{agent}, handles: {{slack: U1}}}}}}}}\n"));
    assert!(plan.is_some());
    assert!(
        found.contains(&"discouraged: `a` has an account on `slack` and no `SLACK_BOT_TOKEN`".to_owned()),
        "{found:?}"
    );
    let config = plan.and_then(|plan| {
        let file = plan.files.iter().find(|(path, _)| path.as_str().ends_with("/openclaw.json"))?;
        Some(file.1.content.masked())
    });
    assert!(config.is_some_and(|config| !config.contains("slack")), "an account without a token is no channel");
    // A runtime that does not speak there: the account is told to the others, and that is all.
    let (plan, found) = World::default().compile(&format!("services: {{a: {{{BOT}, handles: {{slack: U1}}}}}}}}\n"));
    assert!(plan.is_some());
    assert_eq!(found, ["runtime-cannot: the runtime `generic` does not speak on `slack`"]);
}

#[test]
fn a_foreign_image_is_an_agent_of_the_runtime_its_type_says() {
    let (plan, found) = World::default().compile(
        "services: {a: {image: ghcr.io/acme/openclaw, x-claw: {type: openclaw, agent: AGENTS.md, models: {primary: anthropic/m}}}}\n",
    );
    let plan = plan.unwrap_or_else(|| panic!("{found:?}"));
    let service = &plan.project.services["a"];
    assert_eq!(service.image.as_deref(), Some("ghcr.io/acme/openclaw"));
    // It runs what the image runs, and no image of claw's is built for it.
    assert!(service.entrypoint.is_none() && service.command.is_none() && plan.bases.is_empty());
    assert_eq!(service.user.as_deref(), Some("10001:10001"));
    assert!(service.environment.contains_key("OPENCLAW_CONFIG_PATH"));
}

#[test]
fn the_base_images_of_the_first_implementation_are_told_what_replaces_them() {
    let world = World {
        clawfile: Some("FROM openclaw:latest\nCLAW_TYPE openclaw\nAGENT AGENTS.md\nMODEL primary anthropic/m\n"),
        ..World::default()
    };
    let (_, found) = world.compile("services: {a: {build: ., command: [x]}}\n");
    let told = "discouraged: `openclaw:latest` was an image of the first implementation, and it is not here";
    assert!(found.contains(&told.to_owned()), "{found:?}");
    let world = World {
        clawfile: Some("FROM claw/openclaw\nCLAW_TYPE openclaw\nAGENT AGENTS.md\nMODEL primary anthropic/m\n"),
        ..World::default()
    };
    let (plan, found) = world.compile("services: {a: {build: .}}\n");
    let plan = plan.unwrap_or_else(|| panic!("{found:?}"));
    assert_eq!(plan.bases.keys().collect::<Vec<_>>(), ["claw/openclaw:2026.9.6"]);
    assert!(!found.iter().any(|each| each.contains("first implementation")), "{found:?}");
}

#[test]
fn an_image_of_a_runtime_is_built_where_it_is_absent_or_somebody_elses() {
    use claw_compiler::plan::steps::{Image, Mode, Observed, base_context, steps};
    let (plan, found) = World::default()
        .compile("services: {a: {image: claw/openclaw, x-claw: {agent: AGENTS.md, models: {primary: anthropic/m}}}}\n");
    let plan = plan.unwrap_or_else(|| panic!("{found:?}"));
    let name = "claw/openclaw:2026.9.6".to_owned();
    let first = |context: Option<Option<String>>| {
        let image = context.map(|context| (name.clone(), Image { id: "sha256:1".to_owned(), context }));
        let observed = Observed { images: image.into_iter().collect(), ..Observed::default() };
        let list = steps(&plan, &observed, &Mode::default());
        list.into_iter().map(|step| step.to_string()).find(|step| step.starts_with("build base"))
    };
    let told = |why: &str| Some(format!("build base image {name}: {why}"));
    assert_eq!(first(None), told("the engine does not have it"));
    assert_eq!(first(Some(None)), told("it was not built from claw's own Dockerfile"));
    assert_eq!(first(Some(Some("another".to_owned()))), told("it was not built from claw's own Dockerfile"));
    assert_eq!(first(Some(Some(base_context(plan.bases[&name])))), None);
}

#[test]
fn a_slot_that_the_runtime_does_not_have_is_shown_where_it_is_named() {
    let pod = "services:\n  a:\n    image: x\n    x-claw:\n      type: openclaw\n      agent: AGENTS.md\n      models:\n        primary: anthropic/m\n        vison: anthropic/v\n";
    let (plan, found) = World::default().diagnose(pod);
    assert!(plan.is_none());
    let slot = found.iter().find(|each| each.message == "the runtime `openclaw` has no model slot `vison`");
    let at = slot.map(|each| &pod[each.primary.start as usize..each.primary.end as usize]);
    assert_eq!(at, Some("anthropic/v"));
}

#[test]
fn what_stands_twice_and_what_is_open_to_everyone_is_told() {
    let handle =
        "handles: {discord: {id: 1, guilds: [{id: 2, channels: [{id: 3, name: a}, {id: 3, name: b}]}, {id: 2}]}}";
    let (plan, found) = World::default().compile(&format!("services: {{a: {{{BOT}, {handle}}}}}}}\n"));
    assert!(plan.is_none());
    for what in ["guild `2`", "channel `3`"] {
        assert!(found.contains(&format!("name-collision: the {what} of `discord` stands twice")), "{found:?}");
    }
    let surface = "handles: {slack: U1}, surfaces: [{'channel://slack': {dm: {policy: open}}}]";
    let (plan, found) = World::default().compile(&format!("services: {{a: {{{BOT}, {surface}}}}}}}\n"));
    assert!(plan.is_some());
    assert!(found.contains(&"discouraged: everyone may write to `a` directly on `slack`".to_owned()), "{found:?}");
}
