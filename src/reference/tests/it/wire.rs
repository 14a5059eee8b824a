//! What models send: both wire formats against the scripted provider, and streams cut and dressed in every way.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{Running, agent, client};

/// An agent whose models are asked in the Anthropic format.
async fn anthropic(name: &str, stream: bool) -> Running {
    agent(name, |document| {
        document["settings"] = json!({"stream": stream, "history": 3});
        document["models"][0]["format"] = json!("anthropic");
        document["models"][1] = Value::Null;
        document["models"].as_array_mut().expect("models").pop();
    })
    .await
}

#[tokio::test]
async fn anthropic_messages_converse_and_use_tools_streamed_or_not() {
    for stream in [true, false] {
        let agent = anthropic(&format!("anthropic-{stream}"), stream).await;
        let ask = async |text: &str| client::ask(&agent.address, "main", text).await.expect("a reply");
        assert_eq!(ask("hello ü").await, "I am Writer. Turn 1: hello ü");
        assert_eq!(ask("use skill review").await, "The tool said: look twice\n");
        // Three messages are sent along: the first of them is an answer, which the API takes no conversation to begin with.
        assert_eq!(ask("again").await, "I am Writer. Turn 2: again");
        let outside = ask("fetch http://127.0.0.1:1/x").await;
        assert_eq!(outside, "The tool said: error: `127.0.0.1:1` is not one of your services");
    }
}

/// A model server that sends one answer as it stands, each piece a chunk of its own, and returns the request.
async fn server(head: &'static str, pieces: Vec<Vec<u8>>, ends: bool) -> (String, tokio::task::JoinHandle<String>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let task = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.expect("a client");
        socket.set_nodelay(true).expect("no delay");
        let mut request = Vec::new();
        while !is_whole(&request) {
            assert!(socket.read_buf(&mut request).await.expect("a request") > 0);
        }
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {head}\r\ntransfer-encoding: chunked\r\n\r\n");
        let mut gone = socket.write_all(head.as_bytes()).await.is_err();
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
            chunk.extend_from_slice(piece);
            chunk.extend_from_slice(b"\r\n");
            gone = gone || socket.write_all(&chunk).await.is_err();
        }
        if ends && !gone {
            let _ = socket.write_all(b"0\r\n\r\n").await;
        } else {
            // The answer has no end: only a client that stops by itself gets out of it.
            while socket.read_buf(&mut Vec::with_capacity(64)).await.is_ok_and(|count| count > 0) {}
        }
        String::from_utf8(request).expect("text")
    });
    (address, task)
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0_usize)
}

/// Asks an agent whose one model is the server.
async fn ask(name: &str, address: &str, format: &str, stream: bool) -> Result<String, String> {
    let agent = agent(name, |document| {
        document["settings"]["stream"] = json!(stream);
        let folder = document["contract"].as_str().expect("a path").trim_end_matches("AGENTS.md").to_owned();
        std::fs::write(format!("{folder}key"), "k-1\n").expect("a key");
        document["models"] = json!([{
            "slot": "primary", "model": "m", "base_url": format!("http://{address}"), "format": format,
            "key_file": format!("{folder}key"),
        }]);
    })
    .await;
    client::ask(&agent.address, "main", "hi").await.map_err(|error| error.to_string())
}

fn bytewise(text: &str) -> Vec<Vec<u8>> {
    text.bytes().map(|byte| vec![byte]).collect()
}

const EVENTS: &str = "text/event-stream; charset=utf-8";

const DRESSED: &str = ": ping\r\n\r\nevent: x\r\ndata: {\"choices\":\r\ndata: [{\"delta\":{\"content\":\"gr\u{fc}\u{df}\"}}]}\
                       \r\n\r\n: ping\n\ndata:{\"choices\":[{\"delta\":{\"content\":\" \u{1f419}\"}}]}\n\ndata: {\"choices\":[]}\
                       \n\ndata: [DONE]\n\ndata: not JSON\n\n";

#[tokio::test]
async fn a_stream_is_read_byte_by_byte_and_no_further_than_its_end() {
    let (address, served) = server(EVENTS, bytewise(DRESSED), false).await;
    assert_eq!(ask("bytes", &address, "openai", true).await, Ok("grüß 🐙".to_owned()));
    let request = served.await.expect("served");
    assert!(request.starts_with("POST /chat/completions HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("authorization: Bearer k-1\r\n"), "{request}");
}

#[tokio::test]
async fn an_anthropic_stream_is_read_byte_by_byte_and_passes_over_what_it_does_not_know() {
    let events = [
        json!({"type": "message_start", "message": {"content": []}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "ping"}),
        json!({"type": "new_kind"}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "grüß"}}),
        json!({"type": "message_stop"}),
    ];
    let text: String = events.iter().map(|event| format!("event: x\r\ndata: {event}\r\n\r\n")).collect();
    let (address, served) = server(EVENTS, bytewise(&text), false).await;
    assert_eq!(ask("anthropic-bytes", &address, "anthropic", true).await, Ok("grüß".to_owned()));
    let request = served.await.expect("served");
    assert!(request.starts_with("POST /messages HTTP/1.1\r\n"), "{request}");
    let (head, body) = request.split_once("\r\n\r\n").expect("a body");
    assert!(head.contains("x-api-key: k-1") && head.contains("anthropic-version: 2023-06-01"), "{head}");
    assert!(!head.contains("authorization"), "{head}");
    let body: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(body["messages"], json!([{"role": "user", "content": [{"type": "text", "text": "hi"}]}]));
    assert_eq!(body["tools"][0]["input_schema"]["required"], json!(["name"]));
    assert!(body["system"].as_str().expect("a prompt").starts_with("# Writer\n"));
}

#[tokio::test]
async fn a_whole_answer_to_a_request_for_a_stream_is_taken() {
    let body = json!({"choices": [{"message": {"role": "assistant", "content": "whole"}}]}).to_string();
    let (address, _served) = server("application/json", vec![body.into_bytes()], true).await;
    assert_eq!(ask("whole", &address, "openai", true).await, Ok("whole".to_owned()));
}

#[tokio::test]
async fn broken_answers_are_refused_with_what_is_wrong() {
    let delta = "data: {\"choices\":[{\"delta\":{\"content\":\"half\"}}]}\n\n";
    let orphan = "data: {\"type\":\"content_block_delta\",\"delta\":{\"partial_json\":\"{\"}}\n\n";
    let far = "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":7}]}}]}\n\n";
    for (index, (format, text, why)) in [
        ("openai", delta, "broke off its stream"),
        ("openai", "data: {\n\n", "sent an event that is no JSON"),
        ("openai", far, "went on with a tool call that it had not begun"),
        ("openai", "data: {\"error\":{\"message\":\"k-1\"}}\n\n", "broke off its stream with an error"),
        (
            "anthropic",
            "data: {\"type\":\"error\",\"error\":{\"type\":\"x\"}}\n\n",
            "broke off its stream with an error",
        ),
        ("anthropic", orphan, "went on with a tool call that it had not begun"),
        ("anthropic", "data: {\"type\":\"message_start\"}\n\n", "broke off its stream"),
    ]
    .into_iter()
    .enumerate()
    {
        let (address, _served) = server(EVENTS, vec![text.as_bytes().to_vec()], true).await;
        let answer = ask(&format!("broken-{index}"), &address, format, true).await;
        assert_eq!(answer, Err(format!("no model answered: m: {why}")), "{text}");
    }
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let delta = format!("data: {}\n\n", json!({"choices": [{"delta": {"content": "x".repeat(1 << 20)}}]}));
    let (address, _served) = server(EVENTS, vec![delta.into_bytes(); 5], false).await;
    let answer = ask("endless", &address, "openai", true).await;
    assert_eq!(answer, Err("no model answered: m: answered more than 4 MiB".to_owned()));
    let (address, _served) = server(EVENTS, vec![vec![b'x'; 1 << 20]; 5], false).await;
    let answer = ask("line", &address, "openai", true).await;
    assert_eq!(answer, Err("no model answered: m: sent an event that is too large".to_owned()));
    let (address, _served) = server("application/json", vec![vec![b' '; 1 << 20]; 5], false).await;
    let answer = ask("body", &address, "openai", false).await;
    assert_eq!(answer, Err("no model answered: m: answered more than 4 MiB".to_owned()));
}

#[tokio::test]
async fn another_wire_format_is_refused() {
    let answer = ask("responses", "127.0.0.1:1", "responses", true).await;
    assert_eq!(answer, Err("no model answered: m: the wire format `responses` is not spoken".to_owned()));
}
