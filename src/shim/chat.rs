//! One message to a chat that a runtime serves over a WebSocket on the container's own loopback, and its answer.
//!
//! Messages are JSON objects with a `type`: `message` with its `content` is sent; `done` with its `full_response` ends a turn, and
//! so do `error` and `aborted`. An `approval_request` is denied: nobody sits here to be asked. What else comes in between tells how
//! the turn goes on, and is passed over.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{bad, connect};

/// How long a turn may take.
const TURN: Duration = Duration::from_secs(1800);

/// The most bytes of one frame, and of one message.
const LIMIT: u64 = 16 * 1024 * 1024;

/// The most bytes of the head of an answer.
const HEAD: usize = 16 * 1024;

/// What kind a frame is.
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// What a turn came to.
#[derive(Debug)]
pub struct Answer {
    /// The agent's words.
    pub text: String,
    /// The tools that the runtime asked leave for, and got none: a line each.
    pub denied: Vec<String>,
}

/// Says a text to the chat at `http://127.0.0.1:PORT/PATH`, with the token of a file, and returns the answer.
///
/// # Errors
/// Where the address is another, the token cannot be read, nobody answers within half an hour, or the turn fails: the message is
/// what the runtime says.
pub fn chat(url: &str, token: &Path, text: &str) -> io::Result<Answer> {
    chat_until(Instant::now() + TURN, url, token, text)
}

fn chat_until(end: Instant, url: &str, token: &Path, text: &str) -> io::Result<Answer> {
    let token = std::fs::read_to_string(token)
        .map_err(|error| io::Error::new(error.kind(), format!("`{}`: {error}", token.display())))?;
    let (stream, port, path) = connect(url)?;
    let mut socket = Socket { stream, url, end };
    let is_word = |byte: u8| byte.is_ascii_graphic();
    if !path.bytes().chain(token.trim().bytes()).all(is_word) {
        return Err(bad(url, "its path or its token is no word"));
    }
    // The key of the handshake is a nonce against caches on the way, and there are none on a loopback.
    let request = format!(
        "GET /{path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: Y2xhdydzIHNoaW0sIDE2IQ==\r\nAuthorization: Bearer {}\r\n\r\n",
        token.trim()
    );
    socket.stream.write_all(request.as_bytes())?;
    socket.handshake()?;
    socket.send(TEXT, json!({ "type": "message", "content": text }).to_string().as_bytes())?;
    let mut denied = Vec::new();
    loop {
        let message = socket.message()?;
        let Ok(message) = serde_json::from_slice::<Value>(&message) else { continue };
        match message["type"].as_str() {
            Some("done") => {
                // Whether it hears that this is all makes no difference any more.
                _ = socket.send(CLOSE, &1000_u16.to_be_bytes());
                let text = message["full_response"].as_str().unwrap_or_default().to_owned();
                return Ok(Answer { text, denied });
            }
            Some("error") => {
                return Err(io::Error::other(message["message"].as_str().unwrap_or("the turn failed").to_owned()));
            }
            Some("aborted") => return Err(io::Error::other("the turn was interrupted")),
            Some("approval_request") => denied.push(socket.deny(&message)?),
            _ => {}
        }
    }
}

/// A WebSocket of a client, as far as this needs one (RFC 6455).
struct Socket<'a> {
    stream: TcpStream,
    url: &'a str,
    end: Instant,
}

impl Socket<'_> {
    /// Denies what asks for leave, and returns what it was: without an answer the turn would wait for one.
    fn deny(&mut self, asked: &Value) -> io::Result<String> {
        let id = asked["request_id"].as_str().unwrap_or_default();
        let answer = json!({ "type": "approval_response", "request_id": id, "decision": "deny" });
        self.send(TEXT, answer.to_string().as_bytes())?;
        let tool = asked["tool"].as_str().unwrap_or("a tool");
        Ok(tool.chars().filter(|each| !each.is_control()).take(100).collect())
    }

    /// Reads the head of the answer, and nothing after it.
    fn handshake(&mut self) -> io::Result<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() >= HEAD {
                return Err(bad(self.url, "the head of its answer does not end"));
            }
            head.extend(self.exactly(1)?);
        }
        let head = String::from_utf8_lossy(&head);
        let status = head.split_ascii_whitespace().nth(1).unwrap_or("no status");
        if status == "101" { Ok(()) } else { Err(bad(self.url, &format!("it takes no messages: {status}"))) }
    }

    /// Sends one frame.
    fn send(&mut self, kind: u8, payload: &[u8]) -> io::Result<()> {
        const FINAL: u8 = 0x80;
        const MASKED: u8 = 0x80;
        let mut frame = vec![FINAL | kind];
        match payload.len() {
            length @ 0..=125 => frame.push(MASKED | length as u8),
            length @ 126..=65_535 => {
                frame.push(MASKED | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            length => {
                frame.push(MASKED | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        // A client has to mask what it sends, for the sake of proxies on the way: a mask of zeros changes nothing.
        frame.extend([0; 4]);
        frame.extend(payload);
        self.stream.write_all(&frame)
    }

    /// Returns the next whole message; answers pings on the way.
    fn message(&mut self) -> io::Result<Vec<u8>> {
        let mut message = Vec::new();
        loop {
            let (is_final, kind, payload) = self.frame()?;
            match kind {
                PING => self.send(PONG, &payload)?,
                CLOSE => {
                    let why = String::from_utf8_lossy(payload.get(2..).unwrap_or_default()).into_owned();
                    return Err(io::Error::other(format!("the chat was closed: {why}")));
                }
                CONTINUATION | TEXT => {
                    message.extend(payload);
                    if message.len() as u64 > LIMIT {
                        return Err(bad(self.url, "its message does not end"));
                    }
                    if is_final {
                        return Ok(message);
                    }
                }
                _ => {}
            }
        }
    }

    /// Returns the next frame: whether it is the last of its message, its kind and what is in it.
    fn frame(&mut self) -> io::Result<(bool, u8, Vec<u8>)> {
        let head = self.exactly(2)?;
        let (first, second) = (head[0], head[1]);
        let length = match second & 0x7f {
            126 => u64::from(u16::from_be_bytes(self.exactly(2)?.try_into().unwrap_or_default())),
            127 => u64::from_be_bytes(self.exactly(8)?.try_into().unwrap_or_default()),
            length => u64::from(length),
        };
        if length > LIMIT || second & 0x80 != 0 {
            return Err(bad(self.url, "what answers speaks no WebSocket"));
        }
        Ok((first & 0x80 != 0, first & 0x0f, self.exactly(length as usize)?))
    }

    /// Reads so many bytes, before the end of the turn.
    fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let mut read = 0;
        while read < length {
            let late = || bad(self.url, "the turn does not end");
            let rest = self.end.checked_duration_since(Instant::now()).filter(|rest| !rest.is_zero());
            self.stream.set_read_timeout(Some(rest.ok_or_else(late)?))?;
            match self.stream.read(&mut bytes[read..]) {
                Ok(0) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the chat ended before its answer")),
                Ok(size) => read += size,
                // Either is what a read says whose time is over.
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    return Err(late());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A frame as a server sends it.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match payload.len() {
            length @ 0..=125 => frame.push(length as u8),
            length => {
                frame.push(126);
                frame.extend((length as u16).to_be_bytes());
            }
        }
        frame.extend(payload);
        frame
    }

    /// Says `text` to a server that answers with a head and frames; returns what comes back, and what the server was sent.
    fn said(text: &str, status: &'static str, frames: Vec<u8>) -> (io::Result<Answer>, Vec<u8>) {
        let server = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = server.local_addr().expect("an address").port();
        let told = std::thread::spawn(move || {
            let (mut stream, _) = server.accept().expect("a client");
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).expect("a request");
                request.extend(byte);
            }
            stream.write_all(format!("HTTP/1.1 {status}\r\nX: y\r\n\r\n").as_bytes()).expect("sent");
            stream.write_all(&frames).expect("sent");
            stream.shutdown(std::net::Shutdown::Write).expect("shut");
            _ = stream.read_to_end(&mut request);
            request
        });
        let file = std::env::temp_dir().join(format!("claw-shim-chat-{}-{port}", std::process::id()));
        std::fs::write(&file, "secret\n").expect("written");
        let answer = chat(&format!("http://127.0.0.1:{port}/ws?session=one"), &file, text);
        std::fs::remove_file(&file).expect("removed");
        (answer, told.join().expect("told"))
    }

    #[test]
    fn a_message_is_sent_and_the_end_of_the_turn_is_its_answer() {
        let long = "long ".repeat(100);
        let done = format!("{{\"type\":\"done\",\"full_response\":\"{long}\"}}");
        let (begin, end) = done.as_bytes().split_at(20);
        let frames = [
            frame(0x81, b"{\"type\":\"session_start\"}"),
            frame(0x89, b"still?"),
            frame(0x01, begin),
            frame(0x89, b"there"),
            frame(0x80, end),
        ];
        let (answer, sent) = said("-hello \"you\"", "101 Switching Protocols", frames.concat());
        assert_eq!(answer.expect("an answer").text, long);
        let sent = String::from_utf8_lossy(&sent).into_owned();
        assert!(
            sent.starts_with("GET /ws?session=one HTTP/1.1\r\n") && sent.contains("Authorization: Bearer secret\r\n")
        );
        assert!(sent.contains(r#"{"content":"-hello \"you\"","type":"message"}"#), "{sent}");
        assert!(sent.contains("still?") && sent.contains("there"), "pings are answered");
    }

    #[test]
    fn what_asks_for_leave_is_denied_and_told() {
        let frames = [
            frame(0x81, br#"{"type":"approval_request","request_id":"r-1","tool":"sh\u001bell"}"#),
            frame(0x81, br#"{"type":"done","full_response":"I may not"}"#),
        ];
        let (answer, sent) = said("x", "101 x", frames.concat());
        let answer = answer.expect("an answer");
        assert_eq!((answer.text.as_str(), answer.denied), ("I may not", vec!["shell".to_owned()]));
        let sent = String::from_utf8_lossy(&sent).into_owned();
        assert!(sent.contains(r#"{"decision":"deny","request_id":"r-1","type":"approval_response"}"#), "{sent}");
    }

    #[test]
    fn a_turn_that_does_not_end_is_said_to_be_one() {
        let server = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/ws", server.local_addr().expect("an address"));
        let end = Instant::now() + Duration::from_millis(50);
        // It listens, and says nothing.
        let said = chat_until(end, &url, Path::new("/dev/null"), "x").expect_err("no answer").to_string();
        assert!(said.ends_with("the turn does not end"), "{said}");
    }

    #[test]
    fn what_goes_wrong_is_said() {
        let of = |status, frames| said("x", status, frames).0.expect_err("no answer").to_string();
        let up = "101 Switching Protocols";
        assert!(of("401 Unauthorized", Vec::new()).contains("401"));
        assert_eq!(of(up, frame(0x81, b"{\"type\":\"error\",\"message\":\"no model\"}")), "no model");
        assert!(of(up, frame(0x88, b"\x03\xf3bad day")).contains("bad day"));
        assert!(of(up, frame(0x81, b"{\"type\":\"chunk\"}")).contains("ended"));
        assert!(of(up, vec![0x81, 0xff]).contains("ended"));
        assert!(of(up, [vec![0x81, 127], u64::MAX.to_be_bytes().to_vec()].concat()).contains("no WebSocket"));
        assert!(chat("http://127.0.0.1:1/x", Path::new("/nowhere"), "x").is_err());
    }

    #[test]
    fn long_messages_are_framed_by_their_length() {
        for length in [100, 1000, 70_000] {
            let frames = frame(0x81, b"{\"type\":\"done\",\"full_response\":\"ok\"}");
            let (answer, sent) = said(&"a".repeat(length), "101 x", frames);
            assert_eq!(answer.expect("an answer").text, "ok");
            let text = String::from_utf8_lossy(&sent);
            assert!(text.contains(&"a".repeat(length)));
        }
    }
}
