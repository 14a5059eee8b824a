//! Every way in which providers say, split and hide what a call used, with what it costs to the digit.
//!
//! gpt-4o: 200 × 2.50 + 800 × 1.25 + 100 × 10 dollars a million = 0.0025. claude-haiku-4-5: 100 × 1 + 200 × 1.25 + 700 × 0.10 +
//! 100 × 5 dollars a million = 0.00092.

use serde_json::{Value, json};

use super::{Act, Answer, Gateway, Provider, agent, answer, completion, json_answer, manifest, stream, torn};

const USAGE: &str = r#""usage":{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100,"prompt_tokens_details":{"cached_tokens":800}}"#;

fn chunk(delta: &str, finish: &str, more: &str) -> String {
    format!(
        r#"{{"id":"c","object":"chat.completion.chunk","choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]{more}}}"#
    )
}

/// A stream of chat chunks in five parts, with `nl` at the end of lines and `data` before each.
fn chat_stream(data: &str, nl: &str, usage: Usage) -> Vec<String> {
    let on_each = if matches!(usage, Usage::NullOnEach) { r#","usage":null"# } else { "" };
    let line = |text: &str| format!("{data}{text}{nl}{nl}");
    let mut parts = vec![line(&chunk(r#"{"role":"assistant","content":"he"}"#, "null", on_each))];
    let growing = r#","usage":{"prompt_tokens":1000,"completion_tokens":50,"total_tokens":1050,"prompt_tokens_details":{"cached_tokens":800}}"#;
    parts.push(line(&chunk(
        r#"{"content":"llo"}"#,
        "null",
        if matches!(usage, Usage::Growing) { growing } else { on_each },
    )));
    let on_last = format!(",{USAGE}");
    let last = match usage {
        Usage::OnLast | Usage::Growing => on_last.as_str(),
        _ => on_each,
    };
    parts.push(line(&chunk("{}", r#""stop""#, last)));
    if matches!(usage, Usage::Own | Usage::NullOnEach) {
        parts.push(line(&format!(r#"{{"id":"c","object":"chat.completion.chunk","choices":[],{USAGE}}}"#)));
    }
    parts.push(line("[DONE]"));
    parts
}

#[derive(Clone, Copy)]
enum Usage {
    Own,
    OnLast,
    NullOnEach,
    Growing,
    Never,
}

fn parts(parts: &[String]) -> Vec<Act> {
    stream(&parts.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Anthropic's stream; the final usage stands in the delta.
fn anthropic_stream(data: &str, nl: &str, delta: &str) -> Vec<String> {
    let event = |name: &str, text: &str| {
        format!("event:{}{name}{nl}{data}{text}{nl}{nl}", if data.ends_with(' ') { " " } else { "" })
    };
    let usage =
        r#"{"input_tokens":100,"cache_creation_input_tokens":200,"cache_read_input_tokens":700,"output_tokens":1}"#;
    vec![
        event(
            "message_start",
            &format!(
                r#"{{"type":"message_start","message":{{"id":"m","type":"message","role":"assistant","content":[],"model":"claude-haiku-4-5","stop_reason":null,"stop_sequence":null,"usage":{usage}}}}}"#
            ),
        ),
        event("ping", r#"{"type":"ping"}"#),
        event(
            "content_block_start",
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        ),
        event(
            "content_block_delta",
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hello"}}"#,
        ),
        event("content_block_stop", r#"{"type":"content_block_stop","index":0}"#),
        event(
            "message_delta",
            &format!(
                r#"{{"type":"message_delta","delta":{{"stop_reason":"end_turn","stop_sequence":null}},"usage":{delta}}}"#
            ),
        ),
        event("message_stop", r#"{"type":"message_stop"}"#),
    ]
}

fn message(usage: &Value) -> Value {
    json!({
        "id": "m", "type": "message", "role": "assistant", "model": "claude-haiku-4-5", "content": [{"type": "text", "text": "hi"}],
        "stop_reason": "end_turn", "stop_sequence": null, "usage": usage,
    })
}

fn haiku() -> Value {
    json!({"input_tokens": 100, "cache_creation_input_tokens": 200, "cache_read_input_tokens": 700, "output_tokens": 100})
}

/// One shape: what the caller asks, what the provider answers, and what must be written down.
struct Shape {
    name: &'static str,
    path: &'static str,
    body: Value,
    acts: Vec<Act>,
    cost: &'static str,
    pricing: &'static str,
    end: &'static str,
    /// What the caller sees must hold.
    sees: fn(&Answer) -> bool,
}

fn chat(stream: bool, more: Value) -> Value {
    let mut body =
        json!({"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "hello"}], "stream": stream});
    for (key, value) in more.as_object().expect("an object") {
        body[key] = value.clone();
    }
    body
}

fn asks() -> Value {
    chat(true, json!({"stream_options": {"include_usage": true}}))
}

fn claude(stream: bool) -> Value {
    json!({"model": "anthropic/claude-haiku-4-5", "max_tokens": 100, "messages": [{"role": "user", "content": "hello"}], "stream": stream})
}

fn ok(answer: &Answer) -> bool {
    answer.status == 200
}

fn hidden(answer: &Answer) -> bool {
    answer.status == 200 && !answer.text().contains("prompt_tokens") && answer.text().matches("[DONE]").count() == 1
}

fn shown(answer: &Answer) -> bool {
    answer.status == 200 && answer.text().contains("prompt_tokens") && answer.text().matches("[DONE]").count() == 1
}

fn ends_in_error(answer: &Answer) -> bool {
    answer.status == 200
        && answer
            .text()
            .trim_end()
            .lines()
            .last()
            .is_some_and(|line| line.starts_with("data: {") && line.contains("\"error\""))
}

fn bad_gateway(answer: &Answer) -> bool {
    answer.status == 502 && answer.json()["error"]["message"].is_string()
}

/// A call in the chat format that costs 0.0025.
fn of_chat(name: &'static str, body: Value, acts: Vec<Act>, sees: fn(&Answer) -> bool) -> Shape {
    let (cost, pricing, end) = ("0.0025", "exact", "complete");
    Shape { name, path: "/v1/chat/completions", body, acts, cost, pricing, end, sees }
}

/// One whose answer is JSON.
fn of_json(name: &'static str, body: &Value) -> Shape {
    of_chat(name, chat(false, json!({})), json_answer(body), ok)
}

/// A completion with another usage.
fn with(usage: Value) -> Value {
    let mut body = completion();
    body["usage"] = usage;
    body
}

/// A text in so many parts of one length.
fn split(text: &str, count: usize) -> Vec<String> {
    let size = text.len().div_ceil(count);
    text.as_bytes().chunks(size).map(|part| String::from_utf8_lossy(part).into_owned()).collect()
}

fn streams() -> Vec<Shape> {
    let joined = chat_stream("data: ", "\n", Usage::Own).concat();
    let lines = joined.replace(r#""choices":[],"#, "\"choices\":[],\ndata: ");
    let asked = |name, acts: &[String]| of_chat(name, asks(), parts(acts), shown);
    vec![
        asked("SSE, the caller asks for usage", &chat_stream("data: ", "\n", Usage::Own)),
        of_chat(
            "SSE, the caller does not ask",
            chat(true, json!({})),
            parts(&chat_stream("data: ", "\n", Usage::Own)),
            hidden,
        ),
        asked("usage on a chunk with choices", &chat_stream("data: ", "\n", Usage::OnLast)),
        asked("data: without a space", &chat_stream("data:", "\n", Usage::Own)),
        asked("CRLF", &chat_stream("data: ", "\r\n", Usage::Own)),
        of_chat("CR alone", asks(), parts(&chat_stream("data: ", "\r", Usage::Own)), ok),
        asked("usage split across segments", &split(&joined, 37)),
        of_chat("usage split, hidden", chat(true, json!({})), parts(&split(&joined, 37)), hidden),
        asked("usage: null on each chunk", &chat_stream("data: ", "\n", Usage::NullOnEach)),
        asked("usage that grows", &chat_stream("data: ", "\n", Usage::Growing)),
        asked("a byte order mark", &[format!("\u{feff}{joined}")]),
        asked("comments and retry", &[format!(": hello\nretry: 100\n\n{joined}")]),
        asked("several data lines", &[lines]),
    ]
}

fn bodies() -> Vec<Shape> {
    let whole = completion().to_string();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", whole.len());
    let slowly = split(&whole, 9).into_iter().flat_map(|part| [Act::Wait(2), Act::Bytes(part.into())]);
    let until_closed = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{whole}");
    let twice = whole.replacen("\"usage\"", "\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1},\"usage\"", 1);
    let plain = |name, acts| of_chat(name, chat(false, json!({})), acts, ok);
    let mut flex = completion();
    flex["service_tier"] = json!("flex");
    let details = json!({"cached_tokens": 800});
    vec![
        of_json("JSON, cached tokens", &completion()),
        plain("a JSON body split in segments", std::iter::once(Act::Bytes(head.into())).chain(slowly).collect()),
        plain("a body that ends with the connection", vec![Act::Bytes(until_closed.into()), Act::Close]),
        plain("two usage objects: the last counts", answer(200, "application/json", "", twice.as_bytes())),
        plain("garbage behind the body", answer(200, "application/json", "", format!("{whole}\n\nEOF").as_bytes())),
        plain("a packed body", answer(200, "application/json", "content-encoding: gzip\r\n", &gzip(&whole))),
        // gpt-5: 1.25 in, 0.125 cached, 10 out; flex is half of each: 200 × 0.625 + 800 × 0.0625 + 100 × 5.
        of_chat("service tier flex", chat(false, json!({"model": "openai/gpt-5"})), json_answer(&flex), ok)
            .priced("0.000675"),
        of_json(
            "reasoning is a part of the output",
            &with(json!({
                "prompt_tokens": 1000, "completion_tokens": 100, "prompt_tokens_details": details,
                "completion_tokens_details": {"reasoning_tokens": 60},
            })),
        ),
        of_json(
            "counts of responses' names",
            &with(json!({"input_tokens": 1000, "output_tokens": 100, "input_tokens_details": details})),
        ),
        of_json(
            "DeepSeek's name for cached",
            &with(json!({
                "prompt_tokens": 1000, "completion_tokens": 100, "prompt_cache_hit_tokens": 800,
                "prompt_cache_miss_tokens": 200,
            })),
        ),
    ]
}

/// What nobody can price to the digit is estimated, and says why.
fn doubtful() -> Vec<Shape> {
    let joined = chat_stream("data: ", "\n", Usage::Own).concat();
    let third = &joined[..joined.len() / 3];
    let estimated = |shape: Shape, end| Shape { pricing: "estimated", cost: "", end, ..shape };
    let failed = |name, body, acts| estimated(of_chat(name, body, acts, bad_gateway), "error_event");
    let plain = || chat(false, json!({}));
    vec![
        estimated(of_json("JSON without usage", &with(Value::Null)), "complete"),
        estimated(
            of_chat("a stream without usage", asks(), parts(&chat_stream("data: ", "\n", Usage::Never)), ok),
            "complete",
        ),
        estimated(
            of_json("counts as text", &with(json!({"prompt_tokens": "1000", "completion_tokens": "100"}))),
            "complete",
        ),
        estimated(
            of_json("a count below nothing", &with(json!({"prompt_tokens": -5, "completion_tokens": 100}))),
            "complete",
        ),
        estimated(of_chat("reset in the middle", asks(), torn(&[third]), ends_in_error), "upstream_reset"),
        estimated(of_chat("an end without an end", asks(), stream(&[third]), ends_in_error), "upstream_reset"),
        failed(
            "200 with an error",
            plain(),
            json_answer(&json!({"error": {"message": "overloaded", "type": "server_error"}})),
        ),
        failed("a page of HTML", plain(), answer(200, "text/html", "", b"<h1>hello</h1>")),
        failed(
            "JSON where a stream was asked for",
            asks(),
            json_answer(&json!({"error": {"message": "no streams today"}})),
        ),
    ]
}

impl Shape {
    fn priced(self, cost: &'static str) -> Self {
        Self { cost, ..self }
    }
}

fn gzip(text: &str) -> Vec<u8> {
    use std::io::Write;
    let mut child = std::process::Command::new("gzip")
        .arg("-c")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("gzip runs");
    child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("written");
    child.wait_with_output().expect("ended").stdout
}

/// A call in Anthropic's format that costs 0.00092.
fn of_claude(name: &'static str, stream: bool, acts: Vec<Act>) -> Shape {
    let (cost, pricing, end) = ("0.00092", "exact", "complete");
    Shape { name, path: "/v1/messages", body: claude(stream), acts, cost, pricing, end, sees: ok }
}

fn anthropics() -> Vec<Shape> {
    let larger = r#"{"input_tokens":1015,"cache_creation_input_tokens":200,"cache_read_input_tokens":700,"output_tokens":200,"server_tool_use":{"web_search_requests":0}}"#;
    let last = r#"{"output_tokens":100}"#;
    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    let some: Vec<String> = anthropic_stream("data: ", "\n", last).into_iter().take(4).collect();
    let failing: Vec<String> = some.iter().cloned().chain([error.to_owned()]).collect();
    let cut = torn(&some.iter().map(String::as_str).collect::<Vec<_>>());
    let mut hour = haiku();
    hour["cache_creation"] = json!({"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 200});
    let estimated = |shape: Shape, end, sees| Shape { pricing: "estimated", cost: "", end, sees, ..shape };
    let dated = json!({"model": "anthropic/claude-haiku-4-5-20251001", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]});
    vec![
        of_claude("Anthropic JSON, cache read and written", false, json_answer(&message(&haiku()))),
        of_claude("Anthropic SSE, the same", true, parts(&anthropic_stream("data: ", "\n", last))),
        // 1015 × 1 + 200 × 1.25 + 700 × 0.10 + 200 × 5.
        of_claude("Anthropic SSE, the final usage is larger", true, parts(&anthropic_stream("data: ", "\n", larger)))
            .priced("0.002335"),
        of_claude("Anthropic CRLF", true, parts(&anthropic_stream("data: ", "\r\n", last))),
        of_claude("Anthropic without spaces", true, parts(&anthropic_stream("data:", "\n", last))),
        // Written for an hour: 200 × 2.
        of_claude("Anthropic, a cache of an hour", false, json_answer(&message(&hour))).priced("0.00107"),
        estimated(of_claude("Anthropic error event", true, parts(&failing)), "error_event", |answer| {
            answer.text().contains("event: error")
        }),
        estimated(of_claude("Anthropic reset", true, cut), "upstream_reset", |answer| {
            answer.text().contains("event: error\ndata: {")
        }),
        Shape { body: dated, ..of_claude("a dated name", false, json_answer(&message(&haiku()))) },
    ]
}

fn responses() -> Vec<Shape> {
    let whole = json!({
        "id": "r", "object": "response", "status": "completed", "model": "gpt-4o",
        "output": [{"type": "message", "id": "m", "status": "completed", "role": "assistant", "content": [{"type": "output_text", "text": "hi", "annotations": []}]}],
        "usage": {"input_tokens": 1000, "input_tokens_details": {"cached_tokens": 800}, "output_tokens": 100, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 1100},
    });
    let begun = json!({"type": "response.created", "sequence_number": 0, "response": {"id": "r", "status": "in_progress", "usage": null}});
    let delta = json!({"type": "response.output_text.delta", "sequence_number": 1, "item_id": "m", "output_index": 0, "content_index": 0, "delta": "hi"});
    let done = json!({"type": "response.completed", "sequence_number": 2, "response": whole});
    let events: Vec<String> = [begun, delta, done]
        .iter()
        .map(|data| format!("event: {}\ndata: {data}\n\n", data["type"].as_str().expect("a type")))
        .collect();
    let ask = |stream: bool| json!({"model": "openai/gpt-4o", "input": "hello", "stream": stream});
    let of = |name, stream: bool, acts| Shape {
        path: "/v1/responses",
        body: ask(stream),
        ..of_chat(name, Value::Null, acts, ok)
    };
    vec![of("Responses JSON", false, json_answer(&whole)), of("Responses SSE", true, parts(&events))]
}

fn others() -> Vec<Shape> {
    let of = |name, model: &str, body: Value, cost| {
        of_chat(name, chat(false, json!({"model": model})), json_answer(&body), ok).priced(cost)
    };
    let embedded = json!({"object": "list", "data": [], "usage": {"prompt_tokens": 1000, "total_tokens": 1000}});
    let embeds = json!({"model": "openai/text-embedding-3-small", "input": "hello"});
    let reported = with(json!({"prompt_tokens": 10, "completion_tokens": 5, "cost": 0.0123}));
    let thought = with(json!({"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1200}));
    vec![
        Shape { path: "/v1/embeddings", ..of_chat("Embeddings", embeds, json_answer(&embedded), ok) }.priced("0.00002"),
        of("OpenRouter says the price", "openrouter/some/model", reported, "0.0123"),
        Shape { pricing: "unpriced", ..of("a model without a price", "openai/nobody-knows", completion(), "0.00") },
        of("a server of one's own", "local/qwen", completion(), "0.00"),
        // gemini-2.5-flash: 0.30 in, 2.50 out; 100 of thought stand in the total alone.
        of("Gemini counts thoughts in the total", "gemini/gemini-2.5-flash", thought, "0.0008"),
    ]
}

#[test]
fn every_shape_costs_what_the_provider_charges() {
    let models = [
        "openai/gpt-4o",
        "openai/gpt-5",
        "anthropic/claude-haiku-4-5",
        "anthropic/claude-haiku-4-5-20251001",
        "openrouter/some/model",
        "openai/nobody-knows",
        "local/qwen",
        "gemini/gemini-2.5-flash",
        "openai/text-embedding-3-small",
    ];
    let shapes = [streams(), bodies(), doubtful(), anthropics(), responses(), others()];
    let shapes: Vec<Shape> = shapes.into_iter().flatten().collect();
    assert!(shapes.len() >= 30, "{}", shapes.len());
    let scripts: std::sync::Mutex<std::collections::VecDeque<Vec<Act>>> = std::sync::Mutex::default();
    let scripts = std::sync::Arc::new(scripts);
    let queue = std::sync::Arc::clone(&scripts);
    let provider = Provider::new(move |_| queue.lock().expect("no panic").pop_front().unwrap_or_default());
    let gateway =
        Gateway::new("shapes", &manifest(&provider, agent(json!({"primary": [models[0]], "more": models}), json!({}))));
    let mut wrong = Vec::new();
    for (index, shape) in shapes.into_iter().enumerate() {
        scripts.lock().expect("no panic").push_back(shape.acts);
        let answer = gateway.call(shape.path, &shape.body);
        let lines = gateway.audit("response", index + 1);
        let line = &lines[index];
        let cost = line["cost"]["amount"].as_str().unwrap_or("");
        let is_cost =
            if shape.cost.is_empty() { cost != "0.00" && line["cost"]["why"].is_string() } else { cost == shape.cost };
        let is_right =
            is_cost && line["cost"]["status"] == shape.pricing && line["end"] == shape.end && (shape.sees)(&answer);
        if !is_right {
            wrong.push(format!(
                "{}: {} {} {} ({}), and the caller saw {} {}",
                shape.name,
                cost,
                line["cost"]["status"],
                line["end"],
                line["cost"]["why"],
                answer.status,
                answer.text()
            ));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    let state = gateway.state();
    assert_eq!(state["totals"]["requests"], 48, "every call counts, priced or not: {}", state["totals"]);
}

#[test]
fn a_caller_that_goes_away_is_charged_what_the_provider_charges() {
    let provider = Provider::new(|_| {
        let parts = chat_stream("data: ", "\n", Usage::Own);
        let mut acts = stream(&parts.iter().map(String::as_str).collect::<Vec<_>>());
        acts.insert(2, Act::Wait(3000));
        acts
    });
    let gateway = Gateway::new("aborts", &manifest(&provider, agent(json!({"primary": ["openai/gpt-4o"]}), json!({}))));
    let bytes = super::request_bytes(
        "POST",
        "/v1/chat/completions",
        &[("authorization", "Bearer bot:secret")],
        asks().to_string().as_bytes(),
    );
    let mut client = std::net::TcpStream::connect(("127.0.0.1", gateway.port)).expect("connected");
    std::io::Write::write_all(&mut client, &bytes).expect("sent");
    let mut some = [0; 64];
    assert!(std::io::Read::read(&mut client, &mut some).expect("read") > 0);
    drop(client);
    let line = &gateway.audit("response", 1)[0];
    assert_eq!(
        (line["cost"]["amount"].as_str(), line["cost"]["status"].as_str(), line["end"].as_str()),
        (Some("0.0025"), Some("exact"), Some("client_abort")),
        "{line}"
    );
}
