//! Budgets: nothing passes a cap by more than what was reserved, whoever asks at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::{Act, Gateway, Provider, agent, completion, json_answer, manifest, question, send};

fn budget(more: Value) -> Value {
    let mut budget = json!({"window": "day", "action": "hard_stop"});
    for (key, value) in more.as_object().expect("an object") {
        budget[key] = value.clone();
    }
    json!({"budgets": [budget]})
}

fn bounded(model: &str) -> Value {
    let mut ask = question(model);
    ask["max_tokens"] = json!(100);
    ask
}

#[test]
fn two_hundred_and_fifty_six_at_once_do_not_pass_a_cap() {
    let open = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (now, peak) = (Arc::clone(&open), Arc::clone(&most));
    let provider = Provider::new(move |_| {
        let count = now.fetch_add(1, Ordering::SeqCst) + 1;
        peak.fetch_max(count, Ordering::SeqCst);
        std::thread::sleep(std::time::Duration::from_millis(100));
        now.fetch_sub(1, Ordering::SeqCst);
        json_answer(&completion())
    });
    // A call reserves some hundredths of a cent and costs 0.0025: ten of them are 0.025.
    let gateway = Gateway::new(
        "race",
        &manifest(&provider, agent(json!({"primary": ["openai/gpt-4o"]}), budget(json!({"usd": "0.025"})))),
    );
    let port = gateway.port;
    let threads: Vec<_> = (0..256)
        .map(|_| {
            std::thread::spawn(move || {
                let mut ask = bounded("openai/gpt-4o");
                // What it is reserved for is what it costs: 1000 tokens in.
                ask["messages"][0]["content"] = json!("x ".repeat(1450));
                send(port, "POST", "/v1/chat/completions", &[("x-api-key", "bot:secret")], ask.to_string().as_bytes())
            })
        })
        .collect();
    let answers: Vec<_> = threads.into_iter().map(|thread| thread.join().expect("answered")).collect();
    let passed = answers.iter().filter(|answer| answer.status == 200).count();
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 429).collect();
    assert_eq!(passed + refused.len(), 256);
    assert!((5..=10).contains(&passed), "{passed}");
    let said = refused[0].json();
    assert_eq!((&said["error"]["code"], &said["budget"]["limit"]), (&json!("budget_exceeded"), &json!("0.025")));
    assert!(refused[0].header("retry-after").parse::<u64>().expect("seconds") > 0);
    let state = gateway.state();
    let spent: f64 = state["totals"]["cost_usd"].as_str().expect("money").parse().expect("a number");
    assert!(spent <= 0.025, "{spent}");
    assert_eq!(state["agents"][0]["budgets"][0]["reserved_usd"], "0.00");
}

#[test]
fn what_cannot_fit_or_cannot_be_bounded_is_told_at_once() {
    let provider = Provider::new(|_| json_answer(&completion()));
    let gateway = Gateway::new(
        "fit",
        &manifest(&provider, agent(json!({"primary": ["openai/gpt-4o"]}), budget(json!({"usd": "0.01"})))),
    );
    let refused = |more: Value| {
        let mut ask = bounded("openai/gpt-4o");
        for (key, value) in more.as_object().expect("an object") {
            ask[key] = value.clone();
        }
        let answer = gateway.chat(&ask);
        assert!(answer.header("retry-after").is_empty(), "waiting does not help");
        (answer.status, answer.json()["error"]["code"].as_str().unwrap_or_default().to_owned())
    };
    let never = (400, "call_exceeds_budget".to_owned());
    // 100 tokens out are a tenth of a cent: ten answers are a whole budget, and so are three images.
    assert_eq!(refused(json!({"n": 10})), never);
    assert_eq!(refused(json!({"max_tokens": 1000})), never);
    // The higher one of several limits counts, whichever the provider takes.
    assert_eq!(refused(json!({"max_completion_tokens": 1000})), never);
    let image = json!({"type": "image_url", "image_url": {"url": "https://example.invalid/a.png"}});
    assert_eq!(refused(json!({"messages": [{"role": "user", "content": [image, image, image]}]})), never);
    assert_eq!(refused(json!({"service_tier": "priority", "max_tokens": 900})), never);
    for field in ["previous_response_id", "conversation"] {
        assert_eq!(refused(json!({field: "resp_1"})), (400, "unbounded_request".to_owned()));
    }
    assert!(provider.seen().is_empty());
    assert_eq!(gateway.chat(&bounded("openai/gpt-4o")).status, 200);
}

#[test]
fn a_call_that_a_provider_took_and_lost_is_paid_and_asked_once_more() {
    let tries = AtomicUsize::new(0);
    let provider = Provider::new(move |_| match tries.fetch_add(1, Ordering::SeqCst) {
        0 => vec![Act::Close],
        _ => json_answer(&completion()),
    });
    let gateway = Gateway::new(
        "lost",
        &manifest(&provider, agent(json!({"primary": ["openai/gpt-4o"]}), budget(json!({"usd": "5"})))),
    );
    let answer = gateway.chat(&bounded("openai/gpt-4o"));
    assert_eq!((answer.status, provider.seen().len()), (200, 2), "{}", answer.text());
    let lines = gateway.audit("response", 2);
    let end = |at: usize| lines[at]["end"].as_str().expect("an end").to_owned();
    assert_eq!((end(0).as_str(), end(1).as_str()), ("lost", "complete"));
    assert_eq!(lines[0]["cost_usd"], lines[0]["reserved_usd"], "it may have been charged as a whole");
    assert_eq!(lines[0]["cost"]["status"], "estimated");
    assert_eq!(lines[1]["request_id"], format!("{}.1", lines[0]["request_id"].as_str().expect("an id")));
}

#[test]
fn an_answer_that_nobody_can_read_is_paid_at_what_was_reserved() {
    let mut long = completion();
    long["choices"][0]["message"]["content"] = json!("y".repeat(25 << 20));
    let provider = Provider::new(move |_| json_answer(&long));
    let gateway = Gateway::new(
        "unread",
        &manifest(&provider, agent(json!({"primary": ["openai/gpt-4o"]}), budget(json!({"usd": "5"})))),
    );
    let answer = gateway.chat(&bounded("openai/gpt-4o"));
    assert_eq!((answer.status, answer.json()["error"]["code"].as_str()), (502, Some("bad_answer")));
    let line = gateway.audit("response", 1).remove(0);
    assert_eq!(line["cost_usd"], line["reserved_usd"], "{line}");
    assert_eq!(gateway.state()["agents"][0]["budgets"][0]["reserved_usd"], "0.00");
}

#[test]
fn a_request_without_a_limit_is_given_one_where_a_budget_is_hard() {
    let provider = Provider::new(|_| json_answer(&completion()));
    let gateway = Gateway::new(
        "limit",
        &manifest(&provider, agent(json!({"primary": ["openai/gpt-4o"]}), budget(json!({"usd": "5"})))),
    );
    assert_eq!(gateway.chat(&question("openai/gpt-4o")).status, 200);
    assert_eq!(provider.seen()[0].json()["max_completion_tokens"], 8192);
    assert_eq!(gateway.chat(&bounded("openai/gpt-4o")).status, 200);
    assert!(provider.seen()[1].json().get("max_completion_tokens").is_none());
    let soft = json!({"budgets": [{"usd": "0.001", "window": "day", "action": "soft_alert"}]});
    let gateway = Gateway::new("soft", &manifest(&provider, agent(json!({"primary": ["openai/gpt-4o"]}), soft)));
    assert_eq!((0..3).map(|_| gateway.chat(&question("openai/gpt-4o")).status).collect::<Vec<_>>(), [200; 3]);
    assert!(provider.seen()[2].json().get("max_completion_tokens").is_none());
    gateway.alarm("soft limit");
}

#[test]
fn tokens_and_requests_are_limits_too() {
    let provider = Provider::new(|_| json_answer(&completion()));
    for (name, limit, passed) in [("requests", json!({"requests": 2}), 2), ("tokens", json!({"tokens": 2500}), 3)] {
        let gateway =
            Gateway::new(name, &manifest(&provider, agent(json!({"primary": ["openai/gpt-4o"]}), budget(limit))));
        let status: Vec<u16> = (0..4).map(|_| gateway.chat(&bounded("openai/gpt-4o")).status).collect();
        assert_eq!(status.iter().filter(|status| **status == 200).count(), passed, "{name}: {status:?}");
        assert_eq!(status.last(), Some(&429));
    }
}

#[test]
fn a_budget_that_is_used_up_takes_the_cheaper_model_or_slows_down() {
    let provider = Provider::new(|_| json_answer(&completion()));
    let models = json!({"primary": ["openai/gpt-4o"], "fallback": ["local/qwen"]});
    let down = json!({"budgets": [{"usd": "0.003", "window": "day", "action": "downgrade"}]});
    let gateway = Gateway::new("downgrade", &manifest(&provider, agent(models.clone(), down)));
    let seen: Vec<String> =
        (0..3).map(|_| gateway.chat(&bounded("openai/gpt-4o")).header("x-claw-model").to_owned()).collect();
    assert_eq!(seen, ["gpt-4o", "qwen", "qwen"]);
    assert_eq!(gateway.audit("intervention", 2)[0]["intervention"], "budget");
    let slow = json!({"budgets": [{"requests": 2, "window": "hour", "action": "rate_limit"}]});
    let gateway = Gateway::new("pace", &manifest(&provider, agent(models, slow)));
    let answers: Vec<_> = (0..5).map(|_| gateway.chat(&bounded("openai/gpt-4o"))).collect();
    assert_eq!(
        answers.iter().map(|answer| answer.status).collect::<Vec<_>>(),
        [200, 200, 200, 429, 429],
        "one a minute"
    );
    let wait: u64 = answers[4].header("retry-after").parse().expect("seconds");
    assert!((50..=60).contains(&wait), "{wait}");
}

#[test]
fn the_pods_budget_is_everybodys_and_money_needs_a_price() {
    let provider = Provider::new(|_| json_answer(&completion()));
    let mut text =
        manifest(&provider, agent(json!({"primary": ["openai/gpt-4o"], "odd": ["openai/nobody-knows"]}), json!({})));
    text["pod_budgets"] = json!([{"usd": "0.003", "window": "month", "action": "hard_stop"}]);
    let gateway = Gateway::new("pod-budget", &text);
    let unpriced = gateway.chat(&bounded("openai/nobody-knows"));
    assert_eq!((unpriced.status, unpriced.json()["error"]["code"].as_str()), (429, Some("unpriced_model")));
    assert_eq!(gateway.chat(&bounded("openai/gpt-4o")).status, 200);
    let other = send(
        gateway.port,
        "POST",
        "/v1/chat/completions",
        &[("x-api-key", "other:secret")],
        bounded("openai/gpt-4o").to_string().as_bytes(),
    );
    assert_eq!((other.status, other.json()["budget"]["scope"].as_str()), (429, Some("pod")), "{}", other.text());
    // An operator may raise it, and the ledger keeps that.
    let raised = gateway.operator("POST", "/budgets", br#"{"agent":"","window":"month","usd":"1.00"}"#);
    assert_eq!(raised.status, 200, "{}", raised.text());
    let gateway = gateway.killed(&text);
    assert_eq!(gateway.chat(&bounded("openai/gpt-4o")).status, 200);
    assert_eq!(gateway.state()["agents"][0]["budgets"][0]["limit_usd"], "1.00");
}

#[test]
fn a_stream_is_reserved_for_as_long_as_it_runs() {
    let provider = Provider::new(|_| {
        let mut acts = super::stream(&[
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},\"finish_reason\":null}]}\n\n",
            "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
            "data: [DONE]\n\n",
        ]);
        acts.insert(2, Act::Wait(3000));
        acts
    });
    let gateway = Gateway::new(
        "reserved",
        &manifest(&provider, agent(json!({"primary": ["openai/gpt-4o"]}), budget(json!({"usd": "0.0015"})))),
    );
    let port = gateway.port;
    let mut ask = bounded("openai/gpt-4o");
    ask["stream"] = json!(true);
    let body = ask.to_string();
    let first = std::thread::spawn(move || {
        send(port, "POST", "/v1/chat/completions", &[("x-api-key", "bot:secret")], body.as_bytes())
    });
    gateway.streams();
    let live = gateway.state();
    assert_eq!(
        (live["live"][0]["phase"].as_str(), live["agents"][0]["in_flight"].as_u64()),
        (Some("streaming"), Some(1))
    );
    assert_ne!(live["agents"][0]["budgets"][0]["reserved_usd"], "0.00");
    assert_eq!(gateway.chat(&ask).status, 429, "the other half is reserved");
    assert_eq!(first.join().expect("answered").status, 200);
    assert_eq!(gateway.chat(&ask).status, 200, "what was not used is free again");
}

#[test]
fn limits_of_rate_pass_a_call_together_and_the_cheaper_model_may_be_asked_for_by_name() {
    let provider = Provider::new(|got| match got.json()["model"] == "gpt-4o" {
        true => super::answer(500, "application/json", "", b"{}"),
        false => json_answer(&completion()),
    });
    let models = json!({"primary": ["openai/gpt-4o"], "fallback": ["openai/gpt-4o-mini"]});
    let row = |window: &str| json!({"requests": 0, "window": window, "action": "rate_limit"});
    let slow = json!({"budgets": [row("hour"), row("day")]});
    let gateway = Gateway::new("paces", &manifest(&provider, agent(models.clone(), slow)));
    let status: Vec<u16> = (0..2).map(|_| gateway.chat(&bounded("openai/gpt-4o")).status).collect();
    assert_eq!(status, [200, 429], "the first passes with its fallback");
    let down = json!({"budgets": [{"requests": 0, "window": "day", "action": "downgrade"}]});
    let gateway = Gateway::new("named-down", &manifest(&provider, agent(models, down)));
    for name in ["openai/gpt-4o", "openai/gpt-4o-mini", "fallback"] {
        let answered = gateway.chat(&bounded(name));
        assert_eq!((answered.status, answered.header("x-claw-model")), (200, "gpt-4o-mini"), "{name}");
    }
}
