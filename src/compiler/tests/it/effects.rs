//! What the keys of a pod file do to an agent and to the other services, and what a misspelt word is answered with.

use claw_compiler::plan::Plan;
use claw_types::agent::{AgentUnit, BudgetAction, EgressRule, ModelPolicy, Window};
use claw_types::platform::Platform;

use crate::world::{World, file, text};

fn pod(more: &str) -> String {
    format!(
        "services:\n  bot:\n    image: x\n    entrypoint: [/bot]\n    x-claw: {{type: generic, agent: A.md, {more}}}\n  web: {{image: y, expose: ['80']}}\n"
    )
}

fn planned(pod: &str) -> Plan {
    let (plan, found) = World::default().compile(pod);
    assert!(plan.is_some(), "{pod}: {found:?}");
    plan.expect("planned")
}

fn unit(more: &str) -> AgentUnit {
    planned(&pod(more)).units.into_values().next().expect("an agent").unit
}

#[test]
fn a_misspelt_word_is_answered_with_the_nearest() {
    for (more, near) in [
        ("modles: {}", "models"),
        ("surface: []", "surfaces"),
        ("modelpolicy: clamp", "model-policy"),
        ("handles: {discrod: 1}", "discord"),
        ("handles: {discord: {usrname: x}}", "username"),
        ("surfaces: [volumes://ab]", "volume"),
        ("surfaces: [service://wbe]", "web"),
        ("surfaces: [channel://telegrm]", "telegram"),
        ("surfaces: [{'channel://discord': {allow_from_services: [wbe]}}]", "web"),
        ("models: {primary: antropic/claude}", "anthropic"),
        ("allow: [priviledged]", "privileged"),
        ("model-policy: clmap", "clamp"),
        ("budget: {usd: 1, window: dya}", "day"),
        ("budget: {usd: 1, action: hardstop}", "hard_stop"),
        ("brakes: {idle: 1, action: wran}", "warn"),
    ] {
        let (_, found) = World::default().diagnose(&pod(more));
        let help = format!("did you mean `{near}`?");
        assert!(found.iter().any(|each| each.help.as_deref() == Some(help.as_str())), "{more}: {found:#?}");
    }
    for (pod, near) in [
        ("services: {bot: {image: x, x-claw: {type: genric, agent: A.md}}}\n", "generic"),
        ("x-claw: {master: wbe}\nservices: {web: {image: x}}\n", "web"),
        ("x-claw: {provider: {}}\nservices: {web: {image: x}}\n", "providers"),
    ] {
        let (_, found) = World::default().diagnose(pod);
        let help = format!("did you mean `{near}`?");
        assert!(found.iter().any(|each| each.help.as_deref() == Some(help.as_str())), "{pod}: {found:#?}");
    }
}

#[test]
fn an_unset_variable_names_the_way_to_run_all_the_same() {
    let world = World { unset: &["CHANNEL"], ..World::default() };
    for pod in [
        "services: {bot: {image: '${CHANNEL}', x-claw: {type: generic, agent: A.md}}}\n",
        "services: {bot: {image: x, environment: {C: '${CHANNEL}'}, x-claw: {type: generic, agent: A.md}}}\n",
    ] {
        let (_, found) = world.diagnose(pod);
        let error = found.iter().find(|each| each.message.contains("CHANNEL")).expect("an error");
        assert!(error.help.as_deref().unwrap_or("").contains("--compat"), "{error:#?}");
    }
}

#[test]
fn every_platform_has_the_variables_of_its_tokens() {
    for name in claw_types::platform::names() {
        let tokens = Platform::parse(name).expect("a platform").tokens();
        assert_eq!(tokens[0], format!("{}_BOT_TOKEN", name.to_ascii_uppercase()));
        assert_eq!(tokens.get(1).copied(), (name == "slack").then_some("SLACK_APP_TOKEN"), "{name}");
        // In `environment:` of an agent it becomes a file, and comes back under its name.
        let pod = format!(
            "services: {{bot: {{image: x, entrypoint: [/bot], environment: {{{0}: '${{{0}}}'}}, x-claw: {{type: generic, agent: A.md}}}}}}\n",
            tokens[0]
        );
        let text = text(&planned(&pod));
        assert!(text.contains(&format!("\"{0}=/run/secrets/{0}\"", tokens[0])), "{text}");
        assert!(!text.contains(&format!("{}: ", tokens[0])), "{text}");
    }
}

#[test]
fn limits_are_taken_as_written() {
    let own = unit(
        "budget: [{usd: 2.50}, {tokens: 9, requests: 8, window: 1h, action: downgrade}, {requests: 1, window: month, action: soft_alert}], brakes: {repeat: 3, idle: 4, action: stop}, model-policy: refuse",
    );
    let budgets: Vec<_> = own.budgets.iter().map(|each| (each.window, each.action)).collect();
    assert_eq!(
        budgets,
        [
            (Window::Day, BudgetAction::HardStop),
            (Window::Hour, BudgetAction::Downgrade),
            (Window::Month, BudgetAction::SoftAlert)
        ]
    );
    assert_eq!(
        (own.budgets[0].usd.as_deref(), own.budgets[1].tokens, own.budgets[1].requests),
        (Some("2.50"), Some(9), Some(8))
    );
    let brakes = own.brakes.expect("brakes");
    assert_eq!((brakes.repeat, brakes.idle, brakes.is_stop), (Some(3), Some(4), true));
    assert_eq!((own.model_policy, unit("count: 1").model_policy), (ModelPolicy::Refuse, ModelPolicy::Clamp));
    assert_eq!(unit("budget: {requests: 1, action: rate_limit}").budgets[0].action, BudgetAction::RateLimit);
}

#[test]
fn ways_out_are_told_apart() {
    let hosts = |lines: &str| {
        let reach = unit(lines).reach;
        let text = |rule: &EgressRule| {
            format!("{}:{}{} {}", rule.host, rule.port, if rule.is_private { " private" } else { "" }, rule.why)
        };
        (reach.egress.iter().map(text).collect::<Vec<_>>(), reach.open_at.is_some())
    };
    let none: [&str; 0] = [];
    assert_eq!(hosts("count: 1"), (none.map(str::to_owned).to_vec(), false));
    assert_eq!(hosts("egress: open"), (Vec::new(), true));
    let both = ["a.example.com:443 egress: a.example.com", "*.b.org:8443 egress: *.b.org:8443"].map(str::to_owned);
    assert_eq!(hosts("egress: [a.example.com, '*.b.org:8443']"), (both.to_vec(), false));
    let one = |text: &str| (vec![text.to_owned()], false);
    assert_eq!(
        hosts("egress: ['10.1.2.3:11434 private']"),
        one("10.1.2.3:11434 private egress: 10.1.2.3:11434 private")
    );
    assert_eq!(hosts("surfaces: ['egress://A.example.com']"), one("a.example.com:443 egress://a.example.com"));
    assert_eq!(
        hosts("surfaces: ['egress://db.lan:5432 private', 'egress://db.lan:5432']"),
        one("db.lan:5432 private egress://db.lan:5432")
    );
    let (slack, _) = hosts("surfaces: ['channel://slack']");
    assert_eq!(slack, ["slack.com:443 platform slack", "*.slack.com:443 platform slack"]);
    assert_eq!(hosts("models: {primary: openai/gpt-5}"), one("api.openai.com:443 provider openai"));
    let services: Vec<String> =
        unit("surfaces: ['service://web']").reach.services.iter().map(ToString::to_string).collect();
    assert_eq!(services, ["web"]);
}

#[test]
fn an_operators_skill_lies_over_the_one_claw_writes() {
    let world = World { files: &[("docs/surface-web.md", "by the operator")], ..World::default() };
    let (plan, found) = world.compile(&pod("surfaces: ['service://web'], skills: docs/surface-web.md"));
    let plan = plan.unwrap_or_else(|| panic!("{found:?}"));
    assert!(file(&plan, "skills/surface-web/SKILL.md").contains("by the operator"));
    let letter = file(&plan, "claw/CLAWDAPUS.md");
    assert!(letter.contains("`surface-web` (operator)"), "{letter}");
    let generated = file(&planned(&pod("surfaces: ['service://web']")), "skills/surface-web/SKILL.md");
    assert!(generated.contains("http://web:80"), "{generated}");
}

#[test]
fn a_contract_has_its_parts_in_order() {
    let world = World {
        files: &[("A.md", "first"), ("e.md", "second"), ("g.md", "third"), ("r.md", "apart")],
        ..World::default()
    };
    let (plan, found) = world.compile(&pod(
        "surfaces: ['service://web'], include: [{id: e, file: e.md, mode: enforce}, {id: g, file: g.md}, {id: r, file: r.md, mode: reference, description: look it up}]",
    ));
    let plan = plan.unwrap_or_else(|| panic!("{found:?}"));
    let contract = file(&plan, "claw/AGENTS.md");
    let marks: Vec<&str> = contract.lines().filter(|line| line.starts_with("--- BEGIN")).collect();
    assert_eq!(
        marks,
        [
            "--- BEGIN: A.md (contract) ---",
            "--- BEGIN: e (enforce) ---",
            "--- BEGIN: g (guide) ---",
            "--- BEGIN: surface-web (manual) ---",
            "--- BEGIN: CLAWDAPUS.md (guide) ---"
        ]
    );
    assert!(!contract.contains("apart") && file(&plan, "skills/include-r/SKILL.md").contains("apart"));
}

#[test]
fn providers_are_declared_or_known_and_their_keys_may_be_absent() {
    let pod = |provider: &str, model: &str| {
        format!(
            "x-claw: {{providers: {{{provider}}}}}\nservices: {{bot: {{image: x, entrypoint: [/bot], x-claw: {{type: generic, agent: A.md, models: {{primary: {model}}}}}}}, llm: {{image: y}}}}\n"
        )
    };
    let world = World { unset: &["KEY", "OPENAI_API_KEY"], ..World::default() };
    for (provider, model, expected) in [
        ("lab: {base_url: 'http://llm:1'}", "lab/a", None),
        ("lab: {base_url: 'http://llm:1', format: responses, key: '${KEY:-}'}", "lab/a", None),
        ("lab: {base_url: 'http://llm:1', key: '${SET}'}", "lab/a", None),
        (
            "lab: {base_url: 'http://llm:1', key: '${KEY}'}",
            "lab/a",
            Some("missing-secret: the secret `KEY` is not set"),
        ),
        ("", "openai/a", Some("missing-secret: `openai` needs `OPENAI_API_KEY`, which is not set")),
        ("openai: {base_url: 'http://llm:1'}", "openai/a", None),
        ("", "lab/a", Some("unknown-provider: there is no provider `lab`")),
    ] {
        let (plan, found) = world.compile(&pod(provider, model));
        assert_eq!(plan.is_some(), expected.is_none(), "{provider}: {found:?}");
        assert!(expected.is_none_or(|expected| found.iter().any(|each| each == expected)), "{provider}: {found:?}");
    }
}

#[test]
fn named_secrets_come_from_where_they_are_declared() {
    let pod = "x-claw: {secrets: {A: {env: FROM_ENV}, B: {file: b.key}, C: {command: pass show c}}}\nservices: {bot: {image: x, entrypoint: [/bot], environment: {A: '${A}', B: '${B}', C: '${C}', D: '${A}'}, x-claw: {type: generic, agent: A.md}}}\n";
    let text = text(&planned(pod));
    for name in ["A", "B", "C", "D"] {
        assert!(text.contains(&format!("\"{name}=/run/secrets/{name}\"")), "{name}\n{text}");
    }
    assert!(!text.contains("FROM_ENV") && !text.contains("b.key") && !text.contains("pass show"), "{text}");
    let world = World { unset: &["FROM_ENV"], ..World::default() };
    let (plan, found) = world.compile(pod);
    assert!(plan.is_none() && found.contains(&"missing-secret: the secret `A` is not set".to_owned()), "{found:?}");
}
