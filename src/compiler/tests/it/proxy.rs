//! What `CLLAMA` becomes: a service, a manifest, keys that nobody else has; and what is refused on the way.

use claw_compiler::plan::Plan;

use crate::world::{World, file, text};

/// An agent behind `cllama`, with what else its `x-claw` says.
fn pod(top: &str, own: &str) -> String {
    format!(
        "x-claw: {{pod: desk{top}}}\nservices:\n  bot: {{image: x, entrypoint: [/bot], x-claw: {{type: generic, agent: A.md, {own}}}}}\n  judge: {{image: y}}\n"
    )
}

/// Variables that are not set: of all providers' keys, those of a test are.
fn world(set: &[&str]) -> World<'static> {
    const ALL: &[&str] = &["OPENAI_API_KEY", "OPENROUTER_API_KEY", "ANTHROPIC_API_KEY"];
    let unset: Vec<&'static str> = ALL.iter().copied().filter(|name| !set.contains(name)).collect();
    World { unset: unset.leak(), ..World::default() }
}

fn compiled(set: &[&str], pod: &str) -> Plan {
    let (plan, found) = world(set).compile(pod);
    assert!(plan.is_some(), "{pod}: {found:?}");
    plan.expect("a plan")
}

fn refused(set: &[&str], pod: &str, message: &str) {
    let (plan, found) = world(set).compile(pod);
    assert!(plan.is_none() && found.iter().any(|each| each == message), "{pod}: {found:?}");
}

fn told(set: &[&str], pod: &str, message: &str) {
    let (plan, found) = world(set).compile(pod);
    assert!(plan.is_some() && found.iter().any(|each| each.contains(message)), "{pod}: {found:?}");
}

/// The manifest of an agent with everything.
const MANIFEST: &str = r#"{
  "agents": {
    "bot": {
      "brakes": {
        "action": "stop",
        "idle": null,
        "repeat": 3
      },
      "budgets": [
        {
          "action": "downgrade",
          "requests": null,
          "tokens": null,
          "usd": "1.5",
          "window": "hour"
        }
      ],
      "models": {
        "fallback": [
          "house/large"
        ],
        "primary": [
          "openai/gpt-5"
        ]
      },
      "policy": "refuse",
      "service": "bot",
      "token": "<digest of secret token bot>",
      "tools": {
        "allow": null,
        "deny": [
          "shell"
        ]
      }
    }
  },
  "ledger_failure": "allow",
  "pod": "desk",
  "pod_budgets": [
    {
      "action": "hard_stop",
      "requests": 9,
      "tokens": null,
      "usd": null,
      "window": "day"
    }
  ],
  "providers": {
    "house": {
      "auth": "x-api-key",
      "base_url": "http://judge:8000/v1",
      "format": "anthropic",
      "keys": [
        {
          "file": "/run/secrets/HOUSE_KEY",
          "id": "HOUSE_KEY"
        }
      ]
    },
    "openai": {
      "auth": "bearer",
      "base_url": "https://api.openai.com/v1",
      "format": "openai",
      "keys": [
        {
          "file": "/run/secrets/OPENAI_API_KEY",
          "id": "OPENAI_API_KEY"
        },
        {
          "file": "/run/secrets/OPENAI_API_KEY_1",
          "id": "OPENAI_API_KEY_1"
        },
        {
          "file": "/run/secrets/OPENAI_API_KEY_2",
          "id": "OPENAI_API_KEY_2"
        }
      ]
    }
  },
  "type": "passthrough",
  "v": 1
}
"#;

#[test]
fn a_manifest_names_agents_by_digest_and_keys_by_file() {
    let own = "cllama: passthrough, cllama-env: {OPENAI_API_KEY: '${OPENAI_API_KEY}', OPENAI_API_KEY_2: '${B}', OPENAI_API_KEY_1: '${A}'}, \
        models: {primary: openai/gpt-5, fallback: [house/large]}, model-policy: refuse, tools: {deny: [shell]}, \
        budget: {usd: 1.5, window: 1h, action: downgrade}, brakes: {repeat: 3, action: stop}";
    let top = ", providers: {house: {base_url: 'http://judge:8000/v1', format: anthropic, key: '${HOUSE_KEY}'}}, pod-budget: {requests: 9}, ledger-failure: allow";
    let plan = compiled(&["OPENAI_API_KEY"], &pod(top, own));
    assert_eq!(file(&plan, "claw/cllama.json"), MANIFEST);
    let bot = &plan.project.services["bot"];
    assert!(bot.depends_on.contains_key("cllama-passthrough"), "no agent starts before its door is there");
    assert_eq!(bot.networks.keys().collect::<Vec<_>>(), ["claw-bot"], "and it has no other");
    let judge = &plan.project.services["judge"];
    assert!(judge.networks.contains_key("claw-internal"), "a provider of the pod is where the proxy finds it");
    let keys: Vec<&String> =
        plan.belongings.iter().filter(|(id, _)| id.as_str() == "bot").flat_map(|(_, own)| own.secrets.keys()).collect();
    assert_eq!(keys, ["CLLAMA_TOKEN"]);
    assert!(!text(&plan).contains("OPENAI_API_KEY="), "{}", text(&plan));
}

#[test]
fn a_chain_is_one_service_a_type_and_only_its_last_has_the_keys() {
    let plan = compiled(
        &["OPENAI_API_KEY"],
        &pod("", "cllama: {type: [passthrough, guard], image: 'acme/guard:1'}, models: {primary: openai/gpt-5}"),
    );
    let own = |name: &str| plan.belongings.iter().find(|(id, _)| id.as_str() == name).expect("a proxy").1;
    let secrets = |name: &str| own(name).secrets.keys().cloned().collect::<Vec<_>>();
    assert_eq!(secrets("cllama-passthrough"), ["CLLAMA_UI_TOKEN"]);
    assert_eq!(secrets("cllama-guard"), ["CLLAMA_UI_TOKEN", "OPENAI_API_KEY"]);
    let manifest = |name: &str| {
        own(name).files.iter().find(|(path, _)| path.as_str() == "claw/cllama.json").expect("one").1.content.masked()
    };
    assert!(manifest("cllama-passthrough").contains("\"next\": \"http://cllama-guard:8080/v1\""));
    assert!(!manifest("cllama-guard").contains("\"next\""));
    let guard = &plan.project.services["cllama-guard"];
    assert_eq!((guard.image.as_deref(), guard.command.is_none()), (Some("acme/guard:1"), true));
    assert!(plan.project.services["cllama-passthrough"].depends_on.contains_key("cllama-guard"));
    assert!(!text(&plan).contains("aliases"), "the alias is that of a pod's only proxy");
}

#[test]
fn what_cannot_be_a_proxy_is_refused() {
    let key = &["OPENAI_API_KEY"][..];
    let model = "models: {primary: openai/gpt-5}";
    refused(key, &pod("", &format!("cllama: guard, {model}")), "unknown-proxy: claw has no proxy `guard`");
    refused(
        key,
        &pod("", &format!("cllama: {{type: passthrough, image: x}}, {model}")),
        "bad-value: `passthrough` is claw's own, and runs from no other image",
    );
    refused(
        key,
        &pod("", &format!("cllama: [passthrough, passthrough], {model}")),
        "conflicting-keys: the proxy `passthrough` stands twice in the chain of `bot`",
    );
    refused(
        &[],
        &pod("", &format!("cllama: passthrough, {model}")),
        "missing-secret: `openai` needs `OPENAI_API_KEY`, which is not set",
    );
    refused(
        key,
        &pod(", prices: A.md", &format!("cllama: passthrough, {model}")),
        "unusable-file: `A.md` is no table of prices inside the pod's directory",
    );
    refused(
        key,
        &pod(", policy: {url: nowhere}", &format!("cllama: passthrough, {model}")),
        "bad-value: the policy service has no usable `url`",
    );
    refused(
        key,
        &pod("", "cllama: passthrough, models: {primary: ollama/qwen3}"),
        "unknown-provider: `ollama` is no service of the pod, and claw does not know where else it is",
    );
}

#[test]
fn an_agent_behind_a_proxy_holds_no_key_under_any_name() {
    let agent = |more: &str| {
        format!(
            "services: {{bot: {{image: x, entrypoint: [/bot], {more}, x-claw: {{type: generic, agent: A.md, cllama: passthrough, models: {{primary: openai/gpt-5}}}}}}}}\n"
        )
    };
    let key = &["OPENAI_API_KEY", "ANTHROPIC_API_KEY"][..];
    for (variable, more) in [
        ("OPENAI_API_KEY", "environment: {OPENAI_API_KEY: '${OPENAI_API_KEY}'}"),
        ("MY_TOKEN", "environment: {MY_TOKEN: '${OPENAI_API_KEY}'}"),
        ("ANTHROPIC_API_KEY", "environment: {ANTHROPIC_API_KEY: '${ANTHROPIC_API_KEY}'}"),
    ] {
        let message = format!(
            "key-in-agent: `bot` goes through a proxy, and its environment holds the provider's key `{variable}`"
        );
        refused(key, &agent(more), &message);
    }
    for path in ["./.env", ".", "./x/../.env", "./.claw/desk"] {
        let message = format!(
            "key-in-agent: `bot` goes through a proxy, and its `volumes` has `{path}`, where the pod's keys are"
        );
        refused(key, &agent(&format!("volumes: ['{path}:/x']")), &message);
    }
    let secrets = format!("{}secrets: {{all: {{file: ./.env}}}}\n", agent("secrets: [all]"));
    refused(
        key,
        &secrets,
        "key-in-agent: `bot` goes through a proxy, and its `secrets` has `./.env`, where the pod's keys are",
    );
    compiled(key, &agent("volumes: ['./work:/work']"));
    let world = World {
        clawfile: Some(
            "FROM scratch\nCLAW_TYPE generic\nAGENT A.md\nCLLAMA passthrough\nMODEL primary openai/gpt-5\nENV OPENAI_API_KEY=x\nENTRYPOINT [\"/bot\"]\n",
        ),
        ..World::default()
    };
    let (plan, found) = world.compile("services: {bot: {build: .}}\n");
    assert!(
        plan.is_none() && found.iter().any(|each| each.contains("its image holds the provider's key `OPENAI_API_KEY`")),
        "{found:?}"
    );
}

#[test]
fn a_provider_that_claw_does_not_know_is_openrouters_where_there_is_a_key_for_that() {
    let own = "cllama: passthrough, models: {primary: acme/large}";
    let plan = compiled(&["OPENROUTER_API_KEY"], &pod("", own));
    assert!(file(&plan, "claw/cllama.json").contains("\"openrouter/acme/large\""));
    let plan = compiled(&[], &pod("", own));
    assert!(file(&plan, "claw/cllama.json").contains("\"acme/large\""));
}

#[test]
fn what_nobody_keeps_is_told() {
    let direct = "models: {primary: openai/gpt-5}, budget: {usd: 1}, brakes: {repeat: 2}, tools: {deny: [x]}";
    let key = &["OPENAI_API_KEY"][..];
    for word in ["budget", "brakes", "tools"] {
        told(key, &pod("", direct), &format!("discouraged: `bot` has `{word}` and no proxy, so nobody keeps it"));
    }
    told(
        key,
        &pod(", pod-budget: {usd: 1}", "models: {primary: openai/gpt-5}"),
        "discouraged: `pod-budget` is for the pod's proxy",
    );
    told(
        key,
        &pod("", "cllama: passthrough, models: {primary: openai/gpt-5}, budget: {usd: 1, action: downgrade}"),
        "discouraged: `bot` has a budget that takes a cheaper model, and no `fallback`",
    );
}

#[test]
fn a_master_may_look_and_nobody_else_has_its_token() {
    let own = "cllama: passthrough, models: {primary: openai/gpt-5}";
    let plan = compiled(&["OPENAI_API_KEY"], &pod(", master: judge", own));
    let judge = &plan.project.services["judge"];
    assert!(judge.environment.contains_key("CLLAMA_OPS_URL") && !judge.environment.contains_key("CLLAMA_MASTER_TOKEN"));
    assert!(judge.secrets.iter().any(|secret| secret.target.as_deref() == Some("CLLAMA_MASTER_TOKEN")));
    assert!(judge.networks.contains_key("claw-internal"));
    let plan = compiled(&["OPENAI_API_KEY"], &pod(", master: bot", own));
    let bot = plan.belongings.iter().find(|(id, _)| id.as_str() == "bot").expect("an agent").1;
    assert_eq!(bot.secrets.keys().collect::<Vec<_>>(), ["CLLAMA_MASTER_TOKEN", "CLLAMA_TOKEN"]);
}
