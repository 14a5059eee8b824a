//! What callers send: who they are, which routes there are, and what becomes of a body.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Gateway, Provider, agent, completion, digest, json_answer, manifest, question, send};

fn gateway(name: &str) -> (Provider, Gateway) {
    let provider = Provider::new(|_| json_answer(&completion()));
    let models = json!({"primary": ["openai/gpt-4o"], "fallback": ["anthropic/claude-haiku-4-5"]});
    let gateway = Gateway::new(name, &manifest(&provider, agent(models, json!({}))));
    (provider, gateway)
}

#[test]
fn a_token_is_an_agent_in_three_headers_and_nobody_else() {
    let (_provider, gateway) = gateway("identity");
    let ask = |headers: &[(&str, &str)]| {
        gateway.send("POST", "/v1/chat/completions", headers, question("openai/gpt-4o").to_string().as_bytes())
    };
    for header in [
        ("authorization", "Bearer bot:secret"),
        ("authorization", "bearer bot:secret"),
        ("x-api-key", "bot:secret"),
        ("x-goog-api-key", "bot:secret"),
    ] {
        assert_eq!(ask(&[header]).status, 200, "{header:?}");
    }
    let wrong = [
        &[("authorization", "Bearer bot:wrong")][..],
        &[("authorization", "Bearer nobody:secret")],
        &[("authorization", "Basic bot:secret")],
        &[("x-api-key", "bot")],
        &[("x-api-key", "")],
        &[("x-api-key", ":")],
        &[],
    ];
    let said: std::collections::BTreeSet<String> = wrong
        .iter()
        .map(|headers| {
            let answer = ask(headers);
            format!("{} {}", answer.status, answer.text())
        })
        .collect();
    assert_eq!(said.len(), 1, "one answer for every way to be wrong: {said:?}");
    assert!(said.first().expect("one").starts_with("401 "), "{said:?}");
    // A digest is no token.
    assert_eq!(ask(&[("x-api-key", &format!("bot:{}", digest("bot:secret")))]).status, 401);
}

#[test]
fn routes_and_methods_are_told() {
    let (_provider, gateway) = gateway("routes");
    let unknown = gateway.send("GET", "/v2/models", &[], b"");
    assert_eq!(unknown.status, 404);
    assert!(unknown.json()["routes"].as_array().expect("routes").contains(&json!("/v1/responses")));
    let wrong = gateway.send("GET", "/v1/messages", &[], b"");
    assert_eq!((wrong.status, wrong.header("allow")), (405, "POST"));
    assert_eq!(wrong.json()["type"], "error", "in the words of the caller's format");
    let wrong = gateway.send("POST", "/v1/models", &[], b"");
    assert_eq!((wrong.status, wrong.header("allow")), (405, "GET, HEAD"));
    assert_eq!(gateway.send("GET", "/health", &[], b"").json()["ok"], true);
    assert_eq!(gateway.send("GET", "/ready", &[], b"").json()["ready"], true);
    assert_eq!(gateway.send("GET", "/v1/models", &[], b"").status, 401);
    let key = ("authorization", "Bearer bot:secret");
    let models = gateway.send("GET", "/v1/models", &[key], b"").json();
    let ids: Vec<&Value> = models["data"].as_array().expect("models").iter().map(|model| &model["id"]).collect();
    assert_eq!(ids, ["openai/gpt-4o", "anthropic/claude-haiku-4-5"], "what this agent may use, and no more");
    let theirs = gateway.send("GET", "/v1/models", &[key, ("anthropic-version", "2023-06-01")], b"").json();
    assert_eq!((&theirs["has_more"], &theirs["data"][0]["type"]), (&json!(false), &json!("model")));
    assert_eq!(gateway.send("GET", "/v1/models/openai/gpt-4o", &[key], b"").json()["object"], "model");
    assert_eq!(gateway.send("GET", "/v1/models/openai%2Fgpt-4o", &[key], b"").json()["object"], "model");
    assert_eq!(gateway.send("GET", "/v1/models/openai/other", &[key], b"").status, 404);
    gateway.chat(&question("openai/gpt-4o"));
    let usage = gateway.send("GET", "/v1/usage", &[key], b"").json();
    assert_eq!((&usage["requests"], &usage["spent_usd"]), (&json!(1), &json!("0.0025")));
}

#[test]
fn every_byte_of_a_request_passes_but_the_model_and_what_must_be_added() {
    let (provider, gateway) = gateway("bytes");
    let body = "{ \"messages\" : [ {\"role\":\"user\", \"content\":\"\\u00e9 \\ud83d\\ude00\"} ],\n  \"model\": \"openai/gpt-4o\",\t\"seed\": 12345678901234567890123, \"temperature\":0.10, \"x_unknown\": {\"b\":1,\"a\":[ ]} }\n";
    let headers = [
        ("authorization", "Bearer bot:secret"),
        ("cookie", "a=b"),
        ("x-forwarded-for", "1.2.3.4"),
        ("openai-organization", "org-1"),
        ("accept-encoding", "br"),
        ("x-stainless-lang", "js"),
        ("traceparent", "00-1"),
        ("user-agent", "sdk/1"),
    ];
    let answer = gateway.send("POST", "/v1/chat/completions", &headers, body.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let got = provider.seen().remove(0);
    assert_eq!(String::from_utf8(got.body).expect("text"), body.replace("openai/gpt-4o", "gpt-4o"));
    // Whose account pays is the pod's to say, not the agent's.
    let names: Vec<&str> = got.headers.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["accept-encoding", "authorization", "content-length", "content-type", "host", "traceparent", "user-agent"]
    );
    assert_eq!(
        (got.headers["authorization"].as_str(), got.headers["accept-encoding"].as_str()),
        ("Bearer provider-key", "identity")
    );
    assert_eq!(answer.header("x-claw-model"), "gpt-4o");
    assert_eq!(
        (answer.header("x-claw-provider"), answer.header("x-claw-attempts"), answer.header("x-claw-cost-usd")),
        ("openai", "1", "0.0025")
    );
    assert!(!answer.header("x-claw-request-id").is_empty());
    // A stream is asked for its usage, whatever else stands in its options.
    let streamed = json!({"model": "openai/gpt-4o", "messages": [], "stream": true, "stream_options": {"other": 1}});
    gateway.chat(&streamed);
    assert_eq!(provider.seen()[1].json()["stream_options"], json!({"other": 1, "include_usage": true}));
}

#[test]
fn what_is_no_request_is_refused_with_its_place() {
    let (provider, gateway) = gateway("bad");
    let ask = |body: &str| {
        gateway.send("POST", "/v1/chat/completions", &[("authorization", "Bearer bot:secret")], body.as_bytes())
    };
    let deep = format!("{{\"model\":\"openai/gpt-4o\",\"messages\":{}{}}}", "[".repeat(200), "]".repeat(200));
    for (body, said) in [
        ("", "line 1, column 0"),
        ("[]", "not a JSON object"),
        ("{\"model\": \"x\",\n \"messages\": [}", "line 2, column"),
        ("{\"model\":\"openai/gpt-4o\",\"messages\":[],\"model\":\"b\"}", "`model` stands twice"),
        ("{\"mod\\u0065l\":\"openai/gpt-4o\",\"messages\":[],\"model\":\"b\"}", "`model` stands twice"),
        ("{\"model\": 5, \"messages\": []}", "`model` must be a string"),
        ("{\"model\":\"openai/gpt-4o\",\"stream\":\"yes\"}", "`stream` must be true or false"),
        ("{\"model\":\"openai/gpt-4o\",\"max_tokens\":-1}", "`max_tokens` must be a whole number"),
        ("{\"model\":\"openai/gpt-4o\",\"stream\":true,\"stream_options\":[]}", "`stream_options` must be an object"),
        ("{\"model\":\"openai/gpt-4o\"} x", "trailing characters"),
        ("{\"Model\":\"openai/gpt-4o\"}", "`Model` is written `model`"),
        ("{\"model\":\"openai/gpt-4o\",\"Max_Tokens\":5}", "`Max_Tokens` is written `max_tokens`"),
        ("{\"model\":\"openai/gpt-4o\",\"n\":1,\"n\":9}", "`n` stands twice"),
        ("{\"model\":\"openai/gpt-4o\",\"background\":true}", "`background` is answered later"),
        (deep.as_str(), "nested deeper than 128"),
    ] {
        let answer = ask(body);
        assert_eq!(answer.status, 400, "{body}");
        let message = answer.json()["error"]["message"].as_str().expect("a message").to_owned();
        assert!(message.contains(said), "{body}: {message}");
    }
    assert_eq!(provider.seen().len(), 0, "none of them went out");
    assert_eq!(gateway.state()["totals"]["requests"], 0);
    let task = gateway.send(
        "POST",
        "/v1/chat/completions",
        &[("authorization", "Bearer bot:secret"), ("x-claw-task", &"x".repeat(129))],
        question("openai/gpt-4o").to_string().as_bytes(),
    );
    assert_eq!(task.status, 400);
    let task = gateway.send(
        "POST",
        "/v1/chat/completions",
        &[("authorization", "Bearer bot:secret"), ("x-claw-task", "ticket-7")],
        question("openai/gpt-4o").to_string().as_bytes(),
    );
    assert_eq!((task.status, gateway.audit("response", 1)[0]["task"].as_str()), (200, Some("ticket-7")));
}

#[test]
fn what_would_take_the_proxys_memory_is_refused() {
    let (provider, gateway) = gateway("memory");
    let many = json!({"model": "openai/gpt-4o", "messages": [], "x": vec![0; 200_001]}).to_string();
    let answer = gateway.send("POST", "/v1/chat/completions", &[("x-api-key", "bot:secret")], many.as_bytes());
    assert_eq!((answer.status, answer.json()["error"]["code"].as_str()), (413, Some("request_too_large")));
    let empty = gateway.memory();
    // Two calls that never send their last byte hold 19 MiB each; another one of 3 MiB finds no place at the same agent's.
    let held: Vec<TcpStream> = (0..2)
        .map(|_| {
            let mut stream = TcpStream::connect(("127.0.0.1", gateway.port)).expect("connected");
            let mut bytes = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-api-key: bot:secret\r\n".to_vec();
            bytes.extend_from_slice(b"content-length: 20000000\r\n\r\n");
            bytes.resize(bytes.len() + (19 << 20), b' ');
            stream.write_all(&bytes).expect("sent");
            stream
        })
        .collect();
    let began = Instant::now();
    while gateway.memory() < empty + (37 << 20) {
        assert!(began.elapsed().as_secs() < 10, "both are read");
        std::thread::sleep(Duration::from_millis(20));
    }
    let large = json!({"model": "openai/gpt-4o", "messages": [], "x": "y".repeat(3 << 20)});
    let full = gateway.chat(&large);
    assert_eq!((full.status, full.json()["error"]["code"].as_str()), (429, Some("too_many_calls")));
    assert_eq!(gateway.chat(&question("openai/gpt-4o")).status, 200, "a small one still does");
    drop(held);
    let began = Instant::now();
    while gateway.chat(&large).status != 200 {
        assert!(began.elapsed().as_secs() < 5, "what is given up is free again");
    }
    assert_eq!(provider.seen().len(), 2);
}

#[test]
fn a_body_that_is_too_long_is_refused_before_it_is_read() {
    let (_provider, gateway) = gateway("long");
    let began = std::time::Instant::now();
    let headers = [("authorization", "Bearer bot:secret"), ("content-length", "33554433")];
    let answer = gateway.send("POST", "/v1/messages", &headers, b"{");
    assert_eq!((answer.status, answer.json()["error"]["type"].as_str()), (413, Some("request_too_large")));
    assert!(began.elapsed().as_secs() < 5, "without waiting for the rest");
    let long = "x".repeat(70 * 1024);
    let head = gateway.send("GET", "/v1/models", &[("x-long", &long)], b"");
    assert_eq!(head.status, 431);
}

#[test]
fn formats_are_translated_where_nothing_is_lost() {
    let provider = Provider::new(|got| match got.path.as_str() {
        "/v1/messages" => json_answer(&json!({
            "id": "m", "type": "message", "role": "assistant", "model": "claude-haiku-4-5", "stop_reason": "tool_use", "stop_sequence": null,
            "content": [{"type": "tool_use", "id": "t", "name": "look", "input": {"at": 1}}], "usage": {"input_tokens": 1000, "output_tokens": 100},
        })),
        _ => json_answer(&completion()),
    });
    let models = json!({"primary": ["openai/gpt-4o"], "fallback": ["anthropic/claude-haiku-4-5"]});
    let gateway = Gateway::new("translated", &manifest(&provider, agent(models, json!({}))));
    let tools = json!([{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]);
    let mut ask = question("anthropic/claude-haiku-4-5");
    ask["tools"] = tools;
    let answer = gateway.chat(&ask);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let call = &answer.json()["choices"][0]["message"]["tool_calls"][0]["function"];
    assert_eq!((&call["name"], &call["arguments"]), (&json!("look"), &json!("{\"at\":1}")));
    let got = provider.seen().remove(0);
    assert_eq!(
        (got.path.as_str(), got.headers["x-api-key"].as_str(), got.headers.contains_key("authorization")),
        ("/v1/messages", "provider-key", false)
    );
    assert_eq!((&got.json()["model"], &got.json()["tools"][0]["name"]), (&json!("claude-haiku-4-5"), &json!("look")));
    assert_eq!(got.headers["anthropic-version"], "2023-06-01");
    // What would be lost is named.
    let mut seeded = question("anthropic/claude-haiku-4-5");
    seeded["seed"] = json!(7);
    let refused = gateway.chat(&seeded);
    assert_eq!(
        (refused.status, refused.json()["error"]["param"].as_str(), refused.json()["error"]["code"].as_str()),
        (400, Some("seed"), Some("unsupported_conversion"))
    );
    // The other way round, and the answer is a message.
    let message = gateway.call(
        "/v1/messages",
        &json!({"model": "openai/gpt-4o", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}),
    );
    assert_eq!(
        (message.status, message.json()["type"].as_str(), message.json()["usage"]["cache_read_input_tokens"].as_u64()),
        (200, Some("message"), Some(800))
    );
    let counted = gateway.call("/v1/messages/count_tokens", &json!({"model": "openai/gpt-4o", "messages": []}));
    assert_eq!((counted.status, counted.json()["error"]["code"].as_str()), (400, Some("unsupported_conversion")));
}

#[test]
fn no_answer_of_any_route_holds_a_key_or_a_digest() {
    let (_provider, gateway) = gateway("canary");
    gateway.chat(&question("openai/gpt-4o"));
    gateway.chat(&question("openai/forbidden"));
    let mut seen = String::new();
    for path in ["/state", "/keys", "/budgets", "/costs/api", "/metrics", "/"] {
        seen.push_str(&gateway.operator("GET", path, b"").text());
    }
    let key = ("authorization", "Bearer bot:secret");
    for path in ["/v1/models", "/v1/usage", "/health", "/ready", "/nowhere"] {
        seen.push_str(&send(gateway.port, "GET", path, &[key], b"").text());
    }
    gateway.audit("response", 1);
    seen.push_str(&std::fs::read_to_string(gateway.folder.0.join("audit.log")).expect("the log"));
    for entry in std::fs::read_dir(gateway.folder.0.join("ledger")).expect("a folder").flatten() {
        seen.push_str(&std::fs::read_to_string(entry.path()).expect("text"));
    }
    for secret in ["provider-key", "bot:secret", &digest("bot:secret"), "operator\n", "looker"] {
        assert!(!seen.contains(secret), "{secret} is shown");
    }
}
