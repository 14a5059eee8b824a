//! Whose fault a refusal is: a key's, a model's or an agent's.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::{Answer, Gateway, Got, Provider, agent, answer, completion, json_answer, manifest, question, send};

type Rules = Arc<Mutex<BTreeMap<(String, String), (u16, &'static str, &'static str)>>>;

/// A provider that refuses by key and model.
fn strict(rules: &Rules) -> Provider {
    let rules = Arc::clone(rules);
    Provider::new(move |got: &Got| {
        let key = got.headers["authorization"].trim_start_matches("Bearer ").to_owned();
        let model = got.json()["model"].as_str().expect("a model").to_owned();
        match rules.lock().expect("no panic").get(&(key, model)) {
            Some((status, headers, code)) => answer(
                *status,
                "application/json",
                headers,
                json!({"error": {"message": "no", "code": code}}).to_string().as_bytes(),
            ),
            None => json_answer(&completion()),
        }
    })
}

fn pool(name: &str, provider: &Provider) -> Gateway {
    let mut text =
        manifest(provider, agent(json!({"primary": ["openai/gpt-4o"], "small": ["openai/gpt-4o-mini"]}), json!({})));
    text["providers"]["openai"]["keys"] = json!([{"id": "KEY", "file": "key"}, {"id": "KEY_1", "file": "key1"}]);
    let folder = crate::Folder::new(&format!("proxy-{name}"));
    folder.write("key1", "second-key");
    Gateway::within(folder, &text, "ledger")
}

fn other(gateway: &Gateway, model: &str) -> Answer {
    send(
        gateway.port,
        "POST",
        "/v1/chat/completions",
        &[("x-api-key", "other:secret")],
        question(model).to_string().as_bytes(),
    )
}

fn state(gateway: &Gateway, key: &str) -> String {
    let keys = gateway.operator("GET", "/keys", b"").json();
    let row = keys["keys"]
        .as_array()
        .expect("keys")
        .iter()
        .find(|row| row["key"] == key && row["provider"] == "openai")
        .cloned();
    row.expect("a key")["state"].as_str().expect("a state").to_owned()
}

#[test]
fn a_403_for_one_agents_model_leaves_the_key_to_everyone_else() {
    let rules: Rules = Arc::default();
    let provider = strict(&rules);
    let gateway = pool("403", &provider);
    let set =
        |key: &str, model: &str, rule| rules.lock().expect("no panic").insert((key.to_owned(), model.to_owned()), rule);
    set("provider-key", "gpt-4o", (403, "", "model_not_available"));
    set("second-key", "gpt-4o", (403, "", "model_not_available"));
    for _ in 0..5 {
        assert_eq!(gateway.chat(&question("openai/gpt-4o")).status / 100, 4);
    }
    for _ in 0..20 {
        assert_eq!(other(&gateway, "openai/gpt-4o-mini").status, 200, "another agent's model on the same key");
    }
    assert_eq!((state(&gateway, "KEY"), state(&gateway, "KEY_1")), ("ready".to_owned(), "ready".to_owned()));
}

#[test]
fn the_next_key_of_the_pool_serves_and_a_dead_one_needs_two_witnesses_or_the_providers_word() {
    let rules: Rules = Arc::default();
    let provider = strict(&rules);
    let gateway = pool("401", &provider);
    let set =
        |model: &str, rule| rules.lock().expect("no panic").insert(("provider-key".to_owned(), model.to_owned()), rule);
    set("gpt-4o", (401, "", ""));
    set("gpt-4o-mini", (401, "", ""));
    let answered = gateway.chat(&question("openai/gpt-4o"));
    assert_eq!((answered.status, answered.header("x-claw-attempts")), (200, "2"), "{}", answered.text());
    assert_eq!(state(&gateway, "KEY"), "suspect");
    rules.lock().expect("no panic").clear();
    // Operators may switch a key on and off.
    let off = gateway.operator("POST", "/keys", br#"{"provider":"openai","key":"KEY","state":"disabled"}"#);
    assert_eq!((off.status, state(&gateway, "KEY").as_str()), (200, "disabled"));
    gateway.operator("POST", "/keys", br#"{"provider":"openai","key":"KEY","state":"ready"}"#);
    set("gpt-4o", (401, "", "invalid_api_key"));
    assert_eq!(gateway.chat(&question("openai/gpt-4o")).status, 200);
    assert_eq!(state(&gateway, "KEY"), "dead");
    let changes = gateway.audit("provider_pool", 3);
    assert!(changes.iter().all(|line| line["evidence"].is_string()), "{changes:?}");
}

#[test]
fn a_storm_of_429_rests_one_model_as_long_as_it_is_asked_to() {
    let rules: Rules = Arc::default();
    let provider = strict(&rules);
    let gateway = pool("429", &provider);
    for key in ["provider-key", "second-key"] {
        rules
            .lock()
            .expect("no panic")
            .insert((key.to_owned(), "gpt-4o".to_owned()), (429, "retry-after: 5\r\n", "rate_limit_exceeded"));
    }
    let first = gateway.chat(&question("openai/gpt-4o"));
    assert_eq!((first.status, first.header("retry-after")), (429, "5"));
    let asked = provider.seen().len();
    for _ in 0..20 {
        let resting = gateway.chat(&question("openai/gpt-4o"));
        assert_eq!((resting.status, resting.json()["error"]["code"].as_str()), (429, Some("provider_cooldown")));
        assert!(matches!(resting.header("retry-after"), "1" | "2" | "3" | "4" | "5"));
        assert_eq!(other(&gateway, "openai/gpt-4o-mini").status, 200, "other models go on");
    }
    assert_eq!(provider.seen().len(), asked + 20, "nobody is asked while it rests");
    rules.lock().expect("no panic").clear();
    std::thread::sleep(std::time::Duration::from_millis(5100));
    assert_eq!(gateway.chat(&question("openai/gpt-4o")).status, 200);
}

#[test]
fn a_key_without_money_rests_and_is_not_dead() {
    let rules: Rules = Arc::default();
    let provider = strict(&rules);
    let gateway = pool("402", &provider);
    rules
        .lock()
        .expect("no panic")
        .insert(("provider-key".to_owned(), "gpt-4o".to_owned()), (429, "", "insufficient_quota"));
    assert_eq!(gateway.chat(&question("openai/gpt-4o")).header("x-claw-attempts"), "2");
    assert_eq!(state(&gateway, "KEY"), "exhausted");
}

#[test]
fn what_the_caller_did_wrong_is_told_and_asked_nobody_else() {
    let rules: Rules = Arc::default();
    let provider = strict(&rules);
    let gateway = pool("400", &provider);
    for (status, passes) in [(400, 400), (404, 404), (413, 413), (422, 422)] {
        rules.lock().expect("no panic").insert(("provider-key".to_owned(), "gpt-4o".to_owned()), (status, "", "bad"));
        let before = provider.seen().len();
        let refused = gateway.chat(&question("openai/gpt-4o"));
        assert_eq!(
            (refused.status, refused.json()["provider"].clone()),
            (passes, json!({"status": status, "code": "bad"}))
        );
        assert_eq!(provider.seen().len(), before + 1);
    }
    let state: Value = gateway.state();
    assert_eq!(
        (&state["totals"]["cost_usd"], &state["totals"]["requests"]),
        (&json!("0.00"), &json!(0)),
        "what no provider took is given back"
    );
}
