//! What agents may do: models, tools, circles, and what a policy service says.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::{Act, Gateway, Got, Provider, agent, answer, completion, json_answer, manifest, question, stream};

#[test]
fn a_model_in_no_slot_is_clamped_or_refused_and_that_is_written_down() {
    let provider = Provider::new(|_| json_answer(&completion()));
    let models = json!({"primary": ["openai/gpt-4o"], "vision": ["openai/gpt-4o-mini"]});
    let gateway = Gateway::new("clamp", &manifest(&provider, agent(models.clone(), json!({}))));
    for (asked, got) in [
        ("openai/gpt-5", "gpt-4o"),
        ("gpt-4o-mini", "gpt-4o-mini"),
        ("vision", "gpt-4o-mini"),
        ("openai/gpt-4o", "gpt-4o"),
    ] {
        assert_eq!(gateway.chat(&question(asked)).status, 200);
        assert_eq!(provider.seen().last().expect("one").json()["model"], got, "{asked}");
    }
    assert_eq!(gateway.chat(&json!({"messages": []})).status, 200, "no model is the primary one");
    let clamped = gateway.audit("intervention", 1);
    assert_eq!((clamped.len(), clamped[0]["intervention"].as_str()), (1, Some("model_clamped")));
    assert_eq!(gateway.audit("response", 1)[0]["intervention"], "model_clamped");
    let gateway = Gateway::new("refuse", &manifest(&provider, agent(models, json!({"policy": "refuse"}))));
    let refused = gateway.chat(&question("openai/gpt-5"));
    assert_eq!(
        (refused.status, refused.json()["allowed"].clone()),
        (403, json!(["openai/gpt-4o", "openai/gpt-4o-mini"]))
    );
    assert_eq!(gateway.audit("intervention", 1)[0]["intervention"], "model_refused");
}

#[test]
fn tools_that_an_agent_may_not_use_are_taken_out() {
    let provider = Provider::new(|_| json_answer(&completion()));
    let scope = json!({"tools": {"deny": ["shell", "web_*"]}});
    let gateway = Gateway::new("tools", &manifest(&provider, agent(json!({"primary": ["openai/gpt-4o"]}), scope)));
    let tool = |name: &str| json!({"type": "function", "function": {"name": name, "parameters": {}}});
    let mut ask = question("openai/gpt-4o");
    ask["tools"] = json!([tool("read"), tool("shell"), tool("web_fetch")]);
    ask["tool_choice"] = json!("auto");
    assert_eq!(gateway.chat(&ask).status, 200);
    let got = provider.seen().last().expect("one").json();
    assert_eq!((got["tools"].clone(), got["tool_choice"].clone()), (json!([tool("read")]), json!("auto")));
    ask["tools"] = json!([tool("shell")]);
    assert_eq!(gateway.chat(&ask).status, 200);
    let got = provider.seen().last().expect("one").json();
    assert!(got.get("tools").is_none() && got.get("tool_choice").is_none(), "no provider takes an empty list: {got}");
    let found = gateway.audit("intervention", 2);
    assert!(found[0]["detail"].as_str().expect("text").ends_with("shell, web_fetch"), "{found:?}");
}

#[test]
fn an_agent_in_a_circle_is_stopped_after_n_turns_and_goes_on_with_something_else() {
    let provider = Provider::new(|_| json_answer(&completion()));
    let brakes = json!({"brakes": {"repeat": 3, "idle": 4, "action": "stop"}});
    let gateway = Gateway::new("brakes", &manifest(&provider, agent(json!({"primary": ["openai/gpt-4o"]}), brakes)));
    let status: Vec<u16> = (0..5).map(|_| gateway.chat(&question("openai/gpt-4o")).status).collect();
    assert_eq!(status, [200, 200, 200, 429, 429], "the same request");
    let stopped = gateway.chat(&question("openai/gpt-4o"));
    assert_eq!(stopped.json()["error"]["code"], "brake_engaged");
    assert!(stopped.json()["error"]["message"].as_str().expect("text").contains("do something else"));
    let turn = |count: usize, call: &dyn Fn(usize) -> Value| {
        let mut messages = vec![json!({"role": "user", "content": "find it"})];
        for number in 0..count {
            messages.push(json!({"role": "assistant", "content": null, "tool_calls": [{"id": format!("t{number}"), "type": "function", "function": call(number)}]}));
            messages.push(json!({"role": "tool", "tool_call_id": format!("t{number}"), "content": "nothing"}));
        }
        json!({"model": "openai/gpt-4o", "messages": messages})
    };
    let same = |_: usize| json!({"name": "search", "arguments": "{\"q\":\"x\"}"});
    let other = |number: usize| json!({"name": "search", "arguments": format!("{{\"q\":\"{number}\"}}")});
    let status: Vec<u16> = (0..6).map(|count| gateway.chat(&turn(count, &same)).status).collect();
    assert_eq!(status, [200, 200, 200, 200, 429, 429], "the same call of a tool, in a conversation that grows");
    let status: Vec<u16> = (0..12).map(|count| gateway.chat(&turn(count, &other)).status).collect();
    assert_eq!(status, [200; 12], "an agent at work is not stopped");
    let beat = |number: usize| {
        let history: Vec<Value> = (0..number)
            .flat_map(|each| {
                [
                    json!({"role": "user", "content": format!("heartbeat at 12:0{each}")}),
                    json!({"role": "assistant", "content": "ok"}),
                ]
            })
            .collect();
        let last = json!({"role": "user", "content": format!("heartbeat at 12:0{number}")});
        let messages = [history, vec![last]].concat();
        json!({"model": "openai/gpt-4o", "messages": messages})
    };
    let status: Vec<u16> = (0..6).map(|number| gateway.chat(&beat(number)).status).collect();
    assert_eq!(status, [200, 200, 200, 200, 429, 429], "an idle heartbeat");
    assert_eq!(
        gateway
            .chat(&json!({"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "good morning"}]}))
            .status,
        200
    );
}

#[test]
fn a_brake_that_only_warns_lets_the_call_pass() {
    let provider = Provider::new(|_| json_answer(&completion()));
    let brakes = json!({"brakes": {"repeat": 1, "idle": null, "action": "warn"}});
    let gateway = Gateway::new("warn", &manifest(&provider, agent(json!({"primary": ["openai/gpt-4o"]}), brakes)));
    let status: Vec<u16> = (0..3).map(|_| gateway.chat(&question("openai/gpt-4o")).status).collect();
    assert_eq!((status, gateway.audit("intervention", 2).len()), (vec![200, 200, 200], 2));
}

/// A policy service whose verdicts are set from outside.
fn judge(verdicts: Arc<Mutex<std::collections::BTreeMap<String, Value>>>) -> Provider {
    Provider::new(move |got: &Got| {
        let stage = got.path.rsplit('/').next().expect("a stage").to_owned();
        match verdicts.lock().expect("no panic").get(&stage) {
            Some(Value::String(text)) if text == "hang" => vec![Act::Wait(9000)],
            Some(verdict) => json_answer(verdict),
            None => json_answer(&json!({"verdict": "allow", "score": 0.93})),
        }
    })
}

#[test]
fn a_policy_service_judges_both_ways_and_what_it_does_not_answer_is_closed() {
    let said = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let provider =
        Provider::new(
            move |got| if got.json()["stream"] == true { stream(&[said]) } else { json_answer(&completion()) },
        );
    let verdicts: Arc<Mutex<std::collections::BTreeMap<String, Value>>> = Arc::default();
    let policy = judge(Arc::clone(&verdicts));
    let set = |stage: &str, verdict: Value| drop(verdicts.lock().expect("no panic").insert(stage.to_owned(), verdict));
    let contract = json!({"contract": [{"id": "rules", "mode": "enforce", "text": "Never say no."}]});
    let mut text = manifest(&provider, agent(json!({"primary": ["openai/gpt-4o"]}), contract));
    text["policy"] = json!({"url": format!("http://127.0.0.1:{}", policy.port), "timeout_ms": 3000});
    let gateway = Gateway::new("judged", &text);
    let ask = question("openai/gpt-4o");
    assert_eq!(gateway.chat(&ask).status, 200);
    let asked = policy.seen();
    let stages: Vec<&str> = asked.iter().map(|got| got.path.as_str()).collect();
    assert!(
        stages.starts_with(&["/policy/gate-request", "/policy/decorate"]) && stages.contains(&"/policy/gate-response"),
        "{stages:?}"
    );
    assert_eq!(asked[0].json()["contract"][0]["text"], "Never say no.");
    let began = std::time::Instant::now();
    while gateway.state()["agents"][0]["score"] != json!(0.93) {
        assert!(began.elapsed().as_secs() < 5, "the score is kept: {}", gateway.state()["agents"][0]);
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    set("gate-request", json!({"verdict": "deny", "reason": "not on a Sunday"}));
    let denied = gateway.chat(&ask);
    assert_eq!(
        (denied.status, denied.json()["error"]["message"].as_str()),
        (403, Some("the pod's policy refuses this: not on a Sunday"))
    );
    set(
        "gate-request",
        json!({"verdict": "amend", "request": {"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "amended"}]}}),
    );
    assert_eq!(gateway.chat(&ask).status, 200);
    assert_eq!(provider.seen().last().expect("one").json()["messages"][0]["content"], "amended");
    set("gate-request", json!({"verdict": "allow"}));
    set("gate-response", json!({"verdict": "deny", "reason": "too much was said"}));
    assert_eq!(gateway.chat(&ask).status, 403);
    let streamed = gateway.chat(&json!({"model": "openai/gpt-4o", "messages": [], "stream": true}));
    assert!(
        !streamed.text().contains("\"hi\"") && streamed.text().contains("too much was said"),
        "{}",
        streamed.text()
    );
    set("gate-response", json!({"verdict": "amend", "response": {"choices": []}}));
    assert_eq!(gateway.chat(&ask).json(), json!({"choices": []}));
    set("gate-response", json!({"verdict": "allow"}));
    let streamed = gateway.chat(&json!({"model": "openai/gpt-4o", "messages": [], "stream": true}));
    assert!(streamed.text().contains("\"hi\""), "{}", streamed.text());
    for silence in [json!("hang"), json!({"verdict": "perhaps"})] {
        set("gate-request", silence);
        let closed = gateway.chat(&ask);
        assert_eq!((closed.status, closed.json()["error"]["code"].as_str()), (503, Some("policy_unavailable")));
    }
    text["policy"]["failure"] = json!("open");
    let gateway = Gateway::new("judged-open", &text);
    assert_eq!(gateway.chat(&ask).status, 200);
    assert_eq!(gateway.audit("intervention", 1)[0]["intervention"], "policy");
}

#[test]
fn a_chain_hands_the_call_on_with_the_agents_own_token() {
    let provider = Provider::new(|_| json_answer(&completion()));
    let agents = agent(json!({"primary": ["openai/gpt-4o"]}), json!({}));
    let last = Gateway::new("last", &manifest(&provider, agents.clone()));
    let mut text = manifest(&provider, agents);
    text["providers"] = json!({});
    text["next"] = json!(format!("http://127.0.0.1:{}/v1", last.port));
    let first = Gateway::new("first", &text);
    let answer = first.chat(&question("openai/gpt-4o"));
    assert_eq!(
        (answer.status, answer.json()["usage"]["prompt_tokens"].as_u64()),
        (200, Some(1000)),
        "{}",
        answer.text()
    );
    assert_eq!(provider.seen()[0].json()["model"], "gpt-4o");
    for gateway in [&first, &last] {
        assert_eq!(gateway.audit("response", 1)[0]["cost"]["amount"], "0.0025");
    }
}

#[test]
fn fallbacks_are_asked_in_order_and_only_before_the_first_byte() {
    let is_torn = Arc::new(AtomicBool::new(false));
    let torn = Arc::clone(&is_torn);
    let provider = Provider::new(move |got| {
        if got.path == "/v1/messages" {
            return json_answer(
                &json!({"id": "m", "type": "message", "role": "assistant", "model": "c", "content": [{"type": "text", "text": "second"}], "stop_reason": "end_turn", "stop_sequence": null, "usage": {"input_tokens": 1, "output_tokens": 1}}),
            );
        }
        if torn.load(Ordering::SeqCst) {
            return super::torn(&[
                "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"half\"},\"finish_reason\":null}]}\n\n",
            ]);
        }
        answer(500, "application/json", "", b"{\"error\":{\"message\":\"broken\"}}")
    });
    let models = json!({"primary": ["openai/gpt-4o"], "fallback": ["anthropic/claude-haiku-4-5"]});
    let gateway = Gateway::new("fallback", &manifest(&provider, agent(models, json!({}))));
    let answered = gateway.chat(&question("openai/gpt-4o"));
    assert_eq!(
        (answered.status, answered.header("x-claw-provider"), answered.header("x-claw-attempts")),
        (200, "anthropic", "3"),
        "{}",
        answered.text()
    );
    assert_eq!(gateway.audit("failover", 1)[0]["from"], "openai/gpt-4o");
    is_torn.store(true, Ordering::SeqCst);
    let count = provider.seen().len();
    let streamed = gateway.chat(&json!({"model": "openai/gpt-4o", "messages": [], "stream": true}));
    assert!(streamed.text().contains("half") && streamed.text().contains("stream_truncated"), "{}", streamed.text());
    assert_eq!(provider.seen().len(), count + 1, "nothing is asked again once a byte has come");
}

#[test]
fn a_chain_is_asked_once_and_what_it_refuses_is_the_answer() {
    let provider = Provider::new(|_| json_answer(&completion()));
    let spent = json!({"budgets": [{"requests": 1, "window": "day", "action": "hard_stop"}]});
    let last = Gateway::new("chain-last", &manifest(&provider, agent(json!({"primary": ["openai/gpt-4o"]}), spent)));
    let mut text = manifest(
        &provider,
        agent(json!({"primary": ["openai/gpt-4o"], "fallback": ["anthropic/claude-haiku-4-5"]}), json!({})),
    );
    text["providers"] = json!({});
    text["next"] = json!(format!("http://127.0.0.1:{}/v1", last.port));
    let first = Gateway::new("chain-first", &text);
    assert_eq!(first.chat(&question("openai/gpt-4o")).status, 200);
    let refused = first.chat(&question("openai/gpt-4o"));
    assert_eq!((refused.status, refused.json()["error"]["code"].as_str()), (429, Some("budget_exceeded")));
    assert!(!refused.header("retry-after").is_empty());
    assert_eq!((last.audit("error", 1).len(), first.audit("error", 1)[0]["kind"].as_str()), (1, Some("chain_refused")));
    drop(last);
    let alone = first.chat(&question("openai/gpt-4o"));
    assert_eq!((alone.status, alone.json()["error"]["code"].as_str()), (502, Some("provider_unreachable")));
}

#[test]
fn a_name_without_its_provider_is_the_primary_ones_and_a_count_is_nobodys_else() {
    let provider = Provider::new(|got| match got.path.as_str() {
        "/v1/messages/count_tokens" => json_answer(&json!({"input_tokens": 7})),
        "/v1/embeddings" => answer(500, "application/json", "", b"{}"),
        _ => json_answer(&completion()),
    });
    let models = json!({"primary": ["openai/gpt-4o"], "fallback": ["openrouter/gpt-4o", "anthropic/claude-haiku-4-5"]});
    let budgets = json!({"budgets": [{"usd": "0.01", "requests": 2, "window": "day", "action": "hard_stop"}]});
    let gateway = Gateway::new("bare", &manifest(&provider, agent(models, budgets)));
    let mut ask = question("gpt-4o");
    ask["max_tokens"] = json!(10);
    assert_eq!(gateway.chat(&ask).header("x-claw-provider"), "openai");
    for _ in 0..5 {
        let counted =
            gateway.call("/v1/messages/count_tokens", &json!({"model": "anthropic/claude-haiku-4-5", "messages": []}));
        assert_eq!((counted.status, counted.json()), (200, json!({"input_tokens": 7})), "counting is free");
    }
    let state = gateway.state();
    assert_eq!(
        (&state["totals"]["cost_usd"], &state["agents"][0]["budgets"][0]["spent_requests"]),
        (&json!("0.0025"), &json!(1))
    );
    let before = provider.seen().len();
    assert_eq!(gateway.call("/v1/embeddings", &json!({"model": "openai/gpt-4o", "input": "x"})).status, 500);
    assert_eq!(provider.seen().len(), before + 2, "tried twice, and no other model is asked");
}

#[test]
fn a_server_of_ones_own_that_is_not_there_is_passed_over() {
    let provider = Provider::new(|_| json_answer(&completion()));
    let mut text =
        manifest(&provider, agent(json!({"primary": ["local/qwen"], "fallback": ["openai/gpt-4o"]}), json!({})));
    let port = super::free_port();
    text["providers"]["local"]["base_url"] = json!(format!("http://127.0.0.1:{port}/v1"));
    let gateway = Gateway::new("absent", &text);
    let standing = || {
        let keys = gateway.operator("GET", "/keys", b"").json();
        keys["keys"].as_array().expect("keys").iter().find(|row| row["provider"] == "local").expect("one")["state"]
            .clone()
    };
    let until = |state: &str| {
        let began = std::time::Instant::now();
        while standing() != state {
            assert!(began.elapsed().as_secs() < 15, "{}", standing());
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    };
    until("absent");
    let answered = gateway.chat(&question("local/qwen"));
    assert_eq!(
        (answered.header("x-claw-provider"), answered.header("x-claw-attempts")),
        ("openai", "1"),
        "nobody waited for it"
    );
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).expect("the port");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            super::serve(stream, &|_: &Got| json_answer(&completion()), &Mutex::default());
        }
    });
    until("ready");
    assert_eq!(gateway.chat(&question("local/qwen")).header("x-claw-provider"), "local");
}

#[test]
fn junk_between_does_not_loosen_a_brake_and_a_failure_is_no_repeat() {
    let is_broken = Arc::new(AtomicBool::new(false));
    let broken = Arc::clone(&is_broken);
    let provider = Provider::new(move |_| match broken.load(Ordering::SeqCst) {
        true => answer(418, "application/json", "", b"{\"error\":{\"message\":\"no\"}}"),
        false => json_answer(&completion()),
    });
    let brakes = json!({"brakes": {"repeat": 2, "action": "stop"}});
    let gateway = Gateway::new("junk", &manifest(&provider, agent(json!({"primary": ["openai/gpt-4o"]}), brakes)));
    let mut status = Vec::new();
    for _ in 0..3 {
        status.push(gateway.chat(&question("openai/gpt-4o")).status);
        assert_eq!(gateway.send("POST", "/v1/chat/completions", &[("x-api-key", "bot:secret")], b"{junk").status, 400);
    }
    assert_eq!(status, [200, 200, 429]);
    is_broken.store(true, Ordering::SeqCst);
    let other = json!({"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "other"}]});
    let status: Vec<u16> = (0..4).map(|_| gateway.chat(&other).status).collect();
    assert_eq!(status, [418; 4], "what failed is asked again with good reason");
}
