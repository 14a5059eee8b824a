//! What a hostile agent would try, tried for real: ways out, ways to others, ways up, ways to use the machine up.
//!
//! `claw doctor --deep` runs each attempt in a container without walls and in an agent's, and compares. An attempt undoes what it
//! did. Nothing here judges: that an attempt succeeds is a fact, and whose fault it is the caller knows.

pub mod echo;
mod host;
mod net;

use std::io;
use std::time::Duration;

use serde_json::{Value, json};

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// It did what it set out to do.
    pub succeeded: bool,
    /// What was reached, or what stood in the way.
    pub detail: String,
}

impl Tried {
    /// Returns the line that `claw hostile` prints.
    pub fn line(&self, attempt: &str) -> Value {
        json!({ "attempt": attempt, "succeeded": self.succeeded, "detail": self.detail })
    }
}

impl From<io::Result<String>> for Tried {
    fn from(result: io::Result<String>) -> Self {
        match result {
            Ok(detail) => Self { succeeded: true, detail },
            Err(error) => Self { succeeded: false, detail: reason(&error) },
        }
    }
}

/// Returns what an error says; an answer that does not come in time is an error that speaks of resources.
fn reason(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::WouldBlock { "no answer".to_owned() } else { error.to_string() }
}

/// Why nothing was tried.
#[derive(Debug, thiserror::Error)]
pub enum HostileError {
    /// There is no such attempt, or it needs other words.
    #[error("there is no attempt `{0}`")]
    Unknown(String),
    /// A port cannot be listened at.
    #[error("cannot listen: {0}")]
    Listen(#[source] io::Error),
}

/// The longest that an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// Makes an attempt; nothing for `listen` and `wait`, which make none.
///
/// # Errors
/// Where there is no such attempt, or a port cannot be listened at.
pub fn attempt(words: &[String]) -> Result<Option<Tried>, HostileError> {
    let split: Vec<&str> = words.iter().map(String::as_str).collect();
    let unknown = || HostileError::Unknown(words.join(" "));
    let number = |text: &str| text.parse::<usize>().map_err(|_| unknown());
    let tried = match split[..] {
        ["tcp", address] => net::tcp(address),
        ["http", address] => net::http(address),
        ["https", address] => net::https(address),
        ["udp", address] => net::udp(address),
        ["dns", server, name] => net::dns(server, name),
        ["icmp", address] => net::icmp(address),
        ["ipv6"] => net::ipv6(),
        ["ipv6", address] => net::tcp(address),
        ["tunnel", gate, target] => net::tunnel(gate, target),
        ["socket", path] => net::socket(path),
        ["write", path] => host::write(path.as_ref()),
        ["mount"] => host::mount(),
        ["root"] => host::root(),
        ["userns"] => host::user_namespace(),
        ["processes", count] => host::processes(number(count)?),
        ["fill", path, mebibytes] => host::fill(path.as_ref(), number(mebibytes)?),
        ["environ", mark] => host::environment(mark),
        ["listen", port, seconds] => {
            let port = port.parse().map_err(|_| unknown())?;
            echo::listen(port).map_err(HostileError::Listen)?;
            std::thread::sleep(Duration::from_secs(number(seconds)? as u64));
            return Ok(None);
        }
        ["wait", seconds] => {
            std::thread::sleep(Duration::from_secs(number(seconds)? as u64));
            return Ok(None);
        }
        _ => return Err(unknown()),
    };
    Ok(Some(tried.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_attempt_is_refused() {
        for words in [&["fly"][..], &["tcp"], &["processes", "many"], &[]] {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            assert!(attempt(&words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn an_attempt_is_one_line() {
        let tried = Tried { succeeded: true, detail: "x".to_owned() };
        assert_eq!(tried.line("tcp").to_string(), r#"{"attempt":"tcp","detail":"x","succeeded":true}"#);
    }
}
