//! The question for tools, against servers that answer in each way the protocol has, and in ways it has not.

use axum::Router;
use axum::extract::Json;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use claw_reference::mcp;
use serde_json::{Value, json};

use crate::start;

/// How a server answers a message.
type Answer = fn(&HeaderMap, &Value) -> Response;

async fn asked(answer: Answer) -> Result<Value, String> {
    let handler = async move |headers: HeaderMap, Json(message): Json<Value>| answer(&headers, &message);
    let address = start(Router::new().route("/mcp", post(handler))).await;
    mcp::tools(&format!("http://{address}/mcp")).await.map_err(|error| error.to_string())
}

fn result(message: &Value, result: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": message["id"], "result": result })
}

fn hello(message: &Value) -> Option<Value> {
    match message["method"].as_str() {
        Some("initialize") => {
            Some(result(message, json!({ "protocolVersion": "2025-03-26", "serverInfo": { "name": "s" } })))
        }
        Some("notifications/initialized") => Some(Value::Null),
        _ => None,
    }
}

/// Answers as events, after a comment and a message that is no answer, in a session of its own.
fn streaming(headers: &HeaderMap, message: &Value) -> Response {
    let has = |name: &str, value: &str| headers.get(name).is_some_and(|found| found == value);
    let is_known = has("mcp-session-id", "s-1") && has("mcp-protocol-version", "2025-03-26");
    if message["method"] != "initialize" && !is_known {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let answer = match hello(message) {
        Some(Value::Null) => return StatusCode::ACCEPTED.into_response(),
        Some(answer) => answer,
        // Two pages.
        None if message["params"]["cursor"] == "more" => result(message, json!({ "tools": [{ "name": "b" }] })),
        None => result(message, json!({ "tools": [{ "name": "a" }], "nextCursor": "more" })),
    };
    let noise = json!({ "jsonrpc": "2.0", "id": message["id"], "method": "ping" });
    let body = format!(": hi\n\nevent: message\ndata: {noise}\n\nevent: message\ndata: {answer}\n\n");
    ([("content-type", "text/event-stream"), ("mcp-session-id", "s-1")], body).into_response()
}

#[tokio::test]
async fn a_stream_with_a_session_and_pages_is_read_to_its_end() {
    let answer = asked(streaming).await.expect("an answer");
    assert_eq!(answer["protocol"], "2025-03-26");
    assert_eq!(answer["tools"], json!([{ "name": "a" }, { "name": "b" }]));
}

#[tokio::test]
async fn what_is_no_server_is_told_by_what_it_does() {
    let cases: [(Answer, &str); 10] = [
        (|_, _| StatusCode::NOT_FOUND.into_response(), "the MCP server answers 404 Not Found"),
        (|_, _| "hello".into_response(), "the MCP server answers `initialize` without JSON"),
        (
            |_, message| Json(json!({ "id": message["id"], "error": { "message": "no\n" } })).into_response(),
            "the MCP server refuses `initialize`: no\\n",
        ),
        (
            |_, message| Json(hello(message).unwrap_or_else(|| result(message, json!({})))).into_response(),
            "the MCP server answers `tools/list` without a list of tools",
        ),
        (
            |_, message| {
                let endless = || result(message, json!({ "tools": [], "nextCursor": "x" }));
                Json(hello(message).unwrap_or_else(endless)).into_response()
            },
            "the MCP server has a listing without an end",
        ),
        (|_, _| Json(json!([1])).into_response(), "the MCP server answers `tools/list` without a list of tools"),
        (
            |_, message| Json(hello(message).unwrap_or_else(|| result(message, json!(["a"])))).into_response(),
            "the MCP server answers `tools/list` without a list of tools",
        ),
        (
            |_, message| Json(hello(message).unwrap_or_else(|| result(message, json!("a")))).into_response(),
            "the MCP server answers `tools/list` without a list of tools",
        ),
        (|_, _| "x".repeat(2 << 20).into_response(), "the MCP server answers too much"),
        (
            |_, _| ([("content-type", "text/event-stream")], "data: {}\n\n").into_response(),
            "the MCP server ended its stream without an answer",
        ),
    ];
    for (answer, why) in cases {
        assert_eq!(asked(answer).await, Err(why.to_owned()));
    }
    let nobody = mcp::tools("http://127.0.0.1:1/mcp").await.map_err(|error| error.to_string());
    assert_eq!(nobody, Err("the MCP server cannot be reached".to_owned()));
}
