//! The agent's door and its client, when what is sent or answered is wrong.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{Running, agent, client, start};

/// Sends a request as it stands and returns the status and the body.
pub(crate) async fn raw(address: &str, head: &str, body: &str) -> (u16, String) {
    let mut socket = tokio::net::TcpStream::connect(address).await.expect("a connection");
    let length = body.len();
    let request = format!("{head} HTTP/1.1\r\nhost: agent\r\nconnection: close\r\ncontent-length: {length}\r\n");
    let request = format!("{request}content-type: application/json\r\n\r\n{body}");
    socket.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, body.to_owned())
}

async fn refused(agent: &Running, head: &str, body: &str) -> (u16, String) {
    let (status, body) = raw(&agent.address, head, body).await;
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(body.as_object().expect("an object").len(), 1);
    (status, body["error"].as_str().expect("an error").to_owned())
}

#[tokio::test]
async fn what_is_wrong_with_a_message_is_said_as_json() {
    let agent = agent("door", |_| {}).await;
    let name = "a conversation is named by at most 64 letters, digits, `-`, `_`";
    for (body, why) in [
        ("{\"text\": ", "the message is no JSON"),
        ("", "the message is no JSON"),
        ("[]", "a message is an object with `text`"),
        ("{}", "`text` is missing"),
        ("{\"text\": 5}", "`text` is no string"),
        ("{\"text\": \"\"}", "`text` is empty"),
        ("{\"text\": \"x\", \"conversation\": 5}", name),
        ("{\"text\": \"x\", \"conversation\": \"../x\"}", name),
    ] {
        assert_eq!(refused(&agent, "POST /message", body).await, (400, why.to_owned()), "{body}");
    }
}

#[tokio::test]
async fn unknown_routes_and_methods_are_refused_as_json() {
    let agent = agent("routes", |_| {}).await;
    assert_eq!(refused(&agent, "GET /nothing", "").await, (404, "there is no such route".to_owned()));
    assert_eq!(refused(&agent, "GET /message", "").await, (405, "the route has no such method".to_owned()));
}

#[tokio::test]
async fn a_message_has_at_most_one_mebibyte() {
    let agent = agent("large", |_| {}).await;
    let message = |size: usize| format!("{{\"text\":\"{}\"}}", "x".repeat(size - "{\"text\":\"\"}".len()));
    let (status, _) = raw(&agent.address, "POST /message", &message(1 << 20)).await;
    assert_eq!(status, 200);
    let (status, why) = refused(&agent, "POST /message", &message((1 << 20) + 1)).await;
    assert_eq!((status, why.as_str()), (413, "a message has at most 1 MiB"));
}

#[tokio::test]
async fn the_client_says_what_the_agent_said_or_that_it_said_nothing() {
    let agent = agent("client", |document| document["models"] = Value::Array(Vec::new())).await;
    let said = |error: claw_reference::ReferenceError| error.to_string();
    let error = client::ask(&agent.address, "main", "hi").await.map_err(said);
    assert_eq!(error, Err("no model answered: none is declared".to_owned()));
    let error = client::ask(&agent.address, "main", "").await.map_err(said);
    assert_eq!(error, Err("`text` is empty".to_owned()));
    let other = start(axum::Router::new()).await;
    let error = client::ask(&other, "main", "hi").await.map_err(said);
    assert_eq!(error, Err("the agent answered 404 Not Found without JSON".to_owned()));
    let error = client::ask("127.0.0.1:1", "main", "hi").await.map_err(said);
    assert_eq!(error, Err("no answer from the agent: it cannot be reached".to_owned()));
}

#[tokio::test]
async fn an_agent_that_is_drained_ends_what_it_began_and_takes_nothing_new() {
    let agent = agent("drained", |_| {}).await;
    let ask = |text: &'static str| {
        let address = agent.address.clone();
        tokio::spawn(async move { client::ask(&address, "main", text).await.map_err(|error| error.to_string()) })
    };
    let long = ask("think 5");
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let waiting = ask("after that");
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let began = std::time::Instant::now();
    client::drain(&agent.address).await.expect("drained");
    assert!(began.elapsed() > std::time::Duration::from_secs(1), "it waited");
    assert_eq!(long.await.expect("ended"), Ok("I am Writer. Turn 1: think 5".to_owned()));
    assert_eq!(waiting.await.expect("ended"), Ok("I am Writer. Turn 2: after that".to_owned()));
    let refused = Err("the agent is about to be stopped and takes nothing new".to_owned());
    assert_eq!(ask("now").await.expect("ended"), refused);
    let (health, is_healthy) = client::health(&agent.address).await.expect("an answer");
    assert!(!is_healthy && health.contains("draining"), "{health}");
}
