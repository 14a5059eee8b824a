//! The operators' side: who may look, who may change, and what they see.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use super::{Gateway, Provider, agent, completion, json_answer, manifest, question, send};

fn gateway(name: &str) -> (Provider, Gateway) {
    let provider = Provider::new(|_| json_answer(&completion()));
    let budgets = json!({"budgets": [{"usd": "5", "window": "day", "action": "hard_stop"}]});
    let gateway = Gateway::new(name, &manifest(&provider, agent(json!({"primary": ["openai/gpt-4o"]}), budgets)));
    assert_eq!(gateway.chat(&question("openai/gpt-4o")).status, 200);
    (provider, gateway)
}

#[test]
fn nothing_is_told_without_a_token_and_nothing_changed_with_the_masters() {
    let (_provider, gateway) = gateway("operators");
    for path in ["/state", "/events", "/costs/api", "/metrics", "/keys", "/budgets"] {
        for headers in [&[][..], &[("authorization", "Bearer bot:secret")], &[("authorization", "Bearer operato")]] {
            assert_eq!(send(gateway.admin, "GET", path, headers, b"").status, 401, "{path} {headers:?}");
        }
    }
    let master = ("authorization", "Bearer looker");
    assert_eq!(send(gateway.admin, "GET", "/state", &[master], b"").json()["role"], "read");
    assert_eq!(gateway.state()["role"], "operator");
    let json = ("content-type", "application/json");
    let key = br#"{"provider":"openai","key":"KEY","state":"disabled"}"#;
    assert_eq!(send(gateway.admin, "POST", "/keys", &[master, json], key).status, 403);
    assert_eq!(send(gateway.admin, "POST", "/reload", &[master, json], b"{}").status, 403);
    let own = ("authorization", "Bearer operator");
    for (headers, status) in [
        (&[own, json, ("origin", "http://evil.example")][..], 403),
        (&[own, json, ("sec-fetch-site", "cross-site")], 403),
        (&[own, ("content-type", "text/plain")], 415),
        (&[own, json, ("origin", "http://proxy")], 200),
    ] {
        assert_eq!(send(gateway.admin, "POST", "/keys", headers, key).status, status, "{headers:?}");
    }
    for (path, body) in [
        ("/keys", "{}"),
        ("/keys", "[]"),
        ("/keys", "x"),
        ("/budgets", r#"{"agent":"bot","window":"month","usd":"1"}"#),
        ("/budgets", r#"{"agent":"nobody","window":"day","usd":"1"}"#),
        ("/budgets", r#"{"agent":"bot","window":"day","usd":"-1"}"#),
    ] {
        assert_eq!(gateway.operator("POST", path, body.as_bytes()).status, 400, "{path} {body}");
    }
    let wrong = gateway.operator("DELETE", "/keys", b"");
    assert_eq!((wrong.status, wrong.header("allow")), (405, "GET, POST"));
}

#[test]
fn costs_are_told_as_the_first_implementation_told_them_and_by_agent_model_and_day() {
    let (_provider, gateway) = gateway("costs");
    let costs = gateway.operator("GET", "/costs/api", b"").json();
    assert_eq!(
        (&costs["total_cost_usd"], &costs["total_requests"], &costs["unpriced_requests"]),
        (&json!(0.0025), &json!(1), &json!(0))
    );
    let model = &costs["agents"]["bot"]["models"][0];
    assert_eq!(
        (&model["provider"], &model["input_tokens"], &model["cost_usd"], &model["pricing_status"]),
        (&json!("openai"), &json!(1000), &json!(0.0025), &json!("exact"))
    );
    for by in ["agent", "model", "day"] {
        let rows = gateway.operator("GET", &format!("/costs/api?by={by}"), b"").json();
        assert_eq!(
            (rows["rows"].as_array().map(Vec::len), &rows["rows"][0]["cost_usd"]),
            (Some(1), &json!("0.0025")),
            "{by}"
        );
    }
    assert_eq!(gateway.operator("GET", "/costs/api?by=moon", b"").status, 400);
    let metrics = gateway.operator("GET", "/metrics", b"").text();
    for line in [
        "gen_ai_client_token_usage{gen_ai_agent_name=\"bot\",gen_ai_provider_name=\"openai\",gen_ai_request_model=\"gpt-4o\",gen_ai_token_type=\"input\"} 1000",
        "gen_ai_client_cost{gen_ai_agent_name=\"bot\",gen_ai_provider_name=\"openai\",gen_ai_request_model=\"gpt-4o\"} 0.0025",
        "claw_budget_remaining_usd{agent=\"bot\",scope=\"agent\",window=\"day\"} 4.9975",
        "claw_key_state{provider=\"openai\",key=\"KEY\",state=\"ready\"} 1",
        "claw_stream_end_total{agent=\"bot\",end=\"complete\"} 1",
    ] {
        assert!(metrics.lines().any(|each| each == line), "{line} is not in\n{metrics}");
    }
}

#[test]
fn events_come_at_once_and_after_each_change() {
    let (_provider, gateway) = gateway("events");
    let mut stream = TcpStream::connect(("127.0.0.1", gateway.admin)).expect("connected");
    stream.set_read_timeout(Some(std::time::Duration::from_secs(5))).expect("set");
    stream.write_all(b"GET /events HTTP/1.1\r\nhost: proxy\r\nauthorization: Bearer operator\r\n\r\n").expect("sent");
    let mut text = String::new();
    let mut read_until = |wanted: &str| {
        let mut some = [0; 65536];
        while !text.contains(wanted) {
            let count = stream.read(&mut some).expect("in time");
            text.push_str(&String::from_utf8_lossy(&some[..count]));
        }
    };
    read_until("\"requests\":1,");
    gateway.chat(&question("openai/gpt-4o"));
    read_until("\"requests\":2,");
}

#[test]
fn keys_and_prices_are_read_again_and_what_is_wrong_changes_nothing() {
    let provider = Provider::new(|_| json_answer(&completion()));
    let mut text = manifest(&provider, agent(json!({"primary": ["openai/gpt-4o"]}), json!({})));
    text["prices"] = json!("prices.json");
    let folder = crate::Folder::new("proxy-reload");
    let table = |input: u64| {
        json!({"schema": "claw.prices.v1", "as_of": "2020-01-01", "source": "me", "models": [{"provider": "openai", "model": "gpt-4o", "input": input, "output": 0}]}).to_string()
    };
    folder.write("prices.json", &table(1_000_000));
    let gateway = Gateway::within(folder, &text, "ledger");
    assert!(
        gateway.audit("alarm", 1)[0]["text"].as_str().expect("text").contains("2020-01-01"),
        "a stale table is told"
    );
    gateway.chat(&question("openai/gpt-4o"));
    gateway.folder.write("prices.json", &table(2_000_000)).write("key", "new-key\n");
    assert_eq!(gateway.operator("POST", "/reload", b"{}").status, 200);
    gateway.chat(&question("openai/gpt-4o"));
    let costs: Vec<Value> = gateway.audit("response", 2).iter().map(|line| line["cost"]["amount"].clone()).collect();
    assert_eq!(costs, ["0.001", "0.002"]);
    assert_eq!(provider.seen().last().expect("one").headers["authorization"], "Bearer new-key");
    gateway.folder.write("prices.json", "{").write("key", "");
    assert_eq!(gateway.operator("POST", "/reload", b"{}").status, 500);
    gateway.chat(&question("openai/gpt-4o"));
    assert_eq!(gateway.audit("response", 3)[2]["cost"]["amount"], "0.002");
}
