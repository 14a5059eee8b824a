//! What claw asks a proxy that runs, from inside its container: the operators' side with the token that is there.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::ProxyError;
use crate::secret::SecretValue;

/// The most bytes of an answer.
const ANSWER: u64 = 16 << 20;

/// Asks the operators' side for a path, and returns the body of the answer.
///
/// # Errors
/// Where nobody answers, or with another status than 200.
pub fn get(address: &str, path: &str, token: &Path) -> Result<String, ProxyError> {
    let token = SecretValue::read(token).map_err(|source| ProxyError::File { path: token.to_owned(), source })?;
    let silent = |error: std::io::Error| ProxyError::Silent(format!("does not answer: {error}"));
    let mut stream = TcpStream::connect(address).map_err(silent)?;
    for limit in [TcpStream::set_read_timeout, TcpStream::set_write_timeout] {
        limit(&stream, Some(Duration::from_secs(10))).map_err(silent)?;
    }
    // HTTP/1.0, so that the answer ends with the connection.
    let head = format!("GET {path} HTTP/1.0\r\nhost: {address}\r\nauthorization: Bearer ");
    let request = token.with(|token| Zeroizing::new([head.as_bytes(), token, b"\r\n\r\n"].concat()));
    stream.write_all(&request).map_err(silent)?;
    let mut answer = Vec::new();
    stream.take(ANSWER).read_to_end(&mut answer).map_err(silent)?;
    let text = String::from_utf8_lossy(&answer);
    let (head, body) =
        text.split_once("\r\n\r\n").ok_or_else(|| ProxyError::Silent("answered with something else".to_owned()))?;
    let status = head.split(' ').nth(1).unwrap_or("nothing");
    if status == "200" { Ok(body.to_owned()) } else { Err(ProxyError::Silent(format!("answered {status}"))) }
}
