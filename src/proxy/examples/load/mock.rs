//! The mock provider: answers chat completions and messages, whole or as a stream, at the least cost.
//!
//! Every answer is made once, at the start. Of a request it looks at the path and at three fields: `stream`, `x_chunks`
//! (events of text, 32 unless told) and `x_gap_ms` (time between them). The usage is always 1000 tokens of prompt, 800 of
//! them cached, and 100 of completion.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::http::{self, Framing, Inbox};

/// The text of a whole answer.
pub(crate) const REPLY: &str = "The benchmark has one answer and it is this one, some hundred tokens long if a provider \
    were to count it. It says nothing, and says it at about the length of a short reply to a short question, so that the \
    cost of handing it on is the cost of handing on a reply like the ones that agents get most often: a sentence or three.";
/// The text of one event, as it stands in JSON.
pub(crate) const WORD: &str = " word";
/// The prompt tokens of every answer.
pub(crate) const PROMPT_TOKENS: u64 = 1000;
/// The longest request body.
const MAX_BODY: usize = 1024 * 1024;
/// Fields outside the messages are looked for in this many bytes at either end of a body.
const EDGE: usize = 1024;

/// An answer as events.
struct Stream {
    /// The head and all up to the first event of text, with it.
    opening: Vec<u8>,
    /// An event of text.
    word: Vec<u8>,
    /// What follows the text, one write each.
    closing: [Vec<u8>; 2],
}

/// The two answers of a path.
struct Answer {
    whole: Vec<u8>,
    stream: Stream,
}

/// All answers.
struct Answers {
    chat: Answer,
    messages: Answer,
}

/// Listens, says where on stdout, and answers until the process is killed.
pub(crate) async fn serve(listen: &str) -> Result<(), String> {
    let listener = TcpListener::bind(listen).await.map_err(|error| format!("cannot listen on `{listen}`: {error}"))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    writeln!(std::io::stdout(), "listening {address}").map_err(|error| error.to_string())?;
    let answers = Arc::new(Answers { chat: chat(), messages: messages() });
    loop {
        let (stream, _) = listener.accept().await.map_err(|error| format!("accept: {error}"))?;
        let answers = Arc::clone(&answers);
        tokio::spawn(async move {
            // A client that goes away is its own affair: it reports what it missed.
            let _ = converse(stream, &answers).await;
        });
    }
}

/// Answers the requests of one connection.
async fn converse(mut stream: TcpStream, answers: &Answers) -> Result<(), String> {
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let (mut inbox, mut body) = (Inbox::default(), Vec::new());
    while let Some(head) = http::read_head(&mut stream, &mut inbox).await? {
        let line = inbox.pending();
        let answer = if line.starts_with(b"POST /v1/chat/completions ") {
            Some(&answers.chat)
        } else if line.starts_with(b"POST /v1/messages ") {
            Some(&answers.messages)
        } else {
            None
        };
        inbox.consume(head.length);
        let framing = if matches!(head.framing, Framing::Absent) { Framing::Sized(0) } else { head.framing };
        if let Err(problem) = http::read_body(&mut stream, &mut inbox, framing, MAX_BODY, &mut body).await {
            let refusal =
                whole("400 Bad Request", &json!({"error": {"type": "invalid_request_error", "message": problem}}));
            return write(&mut stream, &refusal).await;
        }
        match answer {
            Some(answer) if is_streamed(&body) => {
                let chunks = field(&body, b"x_chunks").unwrap_or(32).max(1);
                let gap = Duration::from_millis(field(&body, b"x_gap_ms").unwrap_or(0));
                send_stream(&mut stream, &answer.stream, chunks, gap).await?;
            }
            Some(answer) => write(&mut stream, &answer.whole).await?,
            None => write(&mut stream, &whole("404 Not Found", &json!({"error": {"type": "not_found_error"}}))).await?,
        }
        if head.closes {
            break;
        }
    }
    Ok(())
}

/// Sends an answer as events, one write each.
async fn send_stream(to: &mut TcpStream, stream: &Stream, chunks: u64, gap: Duration) -> Result<(), String> {
    let mut due = Instant::now();
    write(to, &stream.opening).await?;
    for _ in 1..chunks {
        if !gap.is_zero() {
            due += gap;
            tokio::time::sleep_until(due).await;
        }
        write(to, &stream.word).await?;
    }
    for event in &stream.closing {
        write(to, event).await?;
    }
    Ok(())
}

/// Writes all of `bytes`.
async fn write(to: &mut TcpStream, bytes: &[u8]) -> Result<(), String> {
    to.write_all(bytes).await.map_err(|error| format!("write: {error}"))
}

/// Returns what follows the last `name` near the ends of a body.
fn after<'body>(body: &'body [u8], name: &[u8]) -> Option<&'body [u8]> {
    let tail = &body[body.len().saturating_sub(EDGE)..];
    let head = &body[..body.len().min(EDGE)];
    [tail, head].into_iter().find_map(|edge| http::find_last(edge, name).map(|at| &edge[at + name.len()..]))
}

/// Returns whether a body asks for a stream.
fn is_streamed(body: &[u8]) -> bool {
    let value = after(body, b"\"stream\"").unwrap_or_default().trim_ascii_start();
    value.strip_prefix(b":").is_some_and(|value| value.trim_ascii_start().starts_with(b"true"))
}

/// Returns the number of a field, which may also stand in the text of a message as `name=number`: a gateway that passes
/// on known fields only can be measured too.
fn field(body: &[u8], name: &[u8]) -> Option<u64> {
    let value = after(body, name)?;
    let start = value.iter().take(4).position(u8::is_ascii_digit)?;
    let digits = value[start..].iter().take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |number: u64, digit| number.saturating_mul(10).saturating_add(u64::from(digit - b'0'))))
}

/// Returns an answer with a length.
fn whole(status: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    [head, body].concat().into_bytes()
}

/// Returns an event as one chunk.
fn event(name: Option<&str>, body: &str) -> Vec<u8> {
    let name = name.map(|name| format!("event: {name}\n")).unwrap_or_default();
    let text = format!("{name}data: {body}\n\n");
    format!("{:x}\r\n{text}\r\n", text.len()).into_bytes()
}

/// Returns the head of a stream.
fn stream_head() -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".to_vec()
}

/// Makes the answers of `/v1/chat/completions`.
fn chat() -> Answer {
    let usage = json!({"prompt_tokens": PROMPT_TOKENS, "completion_tokens": 100, "total_tokens": PROMPT_TOKENS + 100,
        "prompt_tokens_details": {"cached_tokens": 800}});
    let made = |object: &str, choices: Value, usage: &Value| {
        json!({"id": "chatcmpl-bench", "object": object, "created": 1_700_000_000, "model": "gpt-4o-2024-08-06",
            "choices": choices, "usage": usage})
    };
    let piece = |choices: Value, usage: &Value| event(None, &made("chat.completion.chunk", choices, usage).to_string());
    let message = json!({"role": "assistant", "content": REPLY});
    let complete = json!([{"index": 0, "message": message, "finish_reason": "stop"}]);
    let word = piece(json!([{"index": 0, "delta": {"content": WORD}, "finish_reason": null}]), &Value::Null);
    let finish = piece(json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]), &Value::Null);
    let closing =
        [[finish, piece(json!([]), &usage)].concat(), [event(None, "[DONE]"), b"0\r\n\r\n".to_vec()].concat()];
    Answer {
        whole: whole("200 OK", &made("chat.completion", complete, &usage)),
        stream: Stream { opening: [stream_head(), word.clone()].concat(), word, closing },
    }
}

/// Makes the answers of `/v1/messages`.
fn messages() -> Answer {
    let usage = json!({"input_tokens": PROMPT_TOKENS - 800, "cache_read_input_tokens": 800,
        "cache_creation_input_tokens": 0, "output_tokens": 100});
    let message = |content: Value, stop: Value| {
        json!({"id": "msg_bench", "type": "message", "role": "assistant", "model": "claude-haiku-4-5",
            "content": content, "stop_reason": stop, "stop_sequence": null, "usage": usage})
    };
    let named = |body: Value| event(body["type"].as_str(), &body.to_string());
    let start = named(json!({"type": "message_start", "message": message(json!([]), Value::Null)}));
    let open = named(json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}));
    let delta = json!({"type": "text_delta", "text": WORD});
    let word = named(json!({"type": "content_block_delta", "index": 0, "delta": delta}));
    let close = named(json!({"type": "content_block_stop", "index": 0}));
    let stop = json!({"stop_reason": "end_turn", "stop_sequence": null});
    let total = named(json!({"type": "message_delta", "delta": stop, "usage": {"output_tokens": 100}}));
    let closing = [[close, total].concat(), [named(json!({"type": "message_stop"})), b"0\r\n\r\n".to_vec()].concat()];
    Answer {
        whole: whole("200 OK", &message(json!([{"type": "text", "text": REPLY}]), json!("end_turn"))),
        stream: Stream { opening: [stream_head(), start, open, word.clone()].concat(), word, closing },
    }
}
