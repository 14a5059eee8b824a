//! A small agent runtime, and a scripted model provider for it: real enough for demo and tests, nothing from outside.
//!
//! `serve` is the agent, `provider` the model server, `client` what health checks and `claw ask` run inside the
//! container, `mcp` what asks a service for its tools.

mod agent;
mod answer;
mod anthropic;
pub mod client;
pub mod clock;
pub mod manifest;
pub mod mcp;
mod memory;
mod model;
mod openai;
pub mod provider;
mod schedule;
pub mod serve;
mod sse;
mod tools;

/// Why the runtime stopped or could not start.
#[derive(Debug, thiserror::Error)]
pub enum ReferenceError {
    /// A file cannot be read or written.
    #[error("`{path}`: {source}")]
    File {
        /// Which.
        path: String,
        /// What the host said.
        source: std::io::Error,
    },
    /// The configuration is none.
    #[error("`{path}` is not a configuration: {source}")]
    Manifest {
        /// Which.
        path: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on `{address}`: {source}")]
    Listen {
        /// Which.
        address: String,
        /// What the host said.
        source: std::io::Error,
    },
    /// The HTTP client cannot be made.
    #[error("cannot make an HTTP client: {0}")]
    Client(#[from] reqwest::Error),
    /// A schedule cannot be kept.
    #[error("the schedule `{id}` cannot be kept: {why}")]
    Schedule {
        /// Which.
        id: String,
        /// What is wrong with it.
        why: String,
    },
    /// The time zone is none.
    #[error("`{0}` is not a time zone")]
    TimeZone(String),
    /// The agent's door does not answer.
    #[error("no answer from the agent: it {0}")]
    Silent(&'static str),
    /// It is about to be stopped.
    #[error("the agent is about to be stopped and takes nothing new")]
    Draining,
    /// No model answered.
    #[error("no model answered: {0}")]
    Model(String),
    /// The agent answered with an error.
    #[error("{0}")]
    Refused(String),
}

/// Returns an HTTP client that trusts the compiled-in roots and follows no redirect.
pub(crate) fn http(timeout: std::time::Duration) -> Result<reqwest::Client, ReferenceError> {
    let mut roots = rustls::RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let versions = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = versions
        .map_err(|error| ReferenceError::Refused(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let builder = reqwest::Client::builder().use_preconfigured_tls(config).timeout(timeout);
    Ok(builder.redirect(reqwest::redirect::Policy::none()).build()?)
}

/// Returns what went wrong with a request, without its URL, which may hold more than it should.
pub(crate) fn without_url(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        return "did not answer in time";
    }
    if error.is_connect() { "cannot be reached" } else { "broke off its answer" }
}

/// Returns an answer's body up to a number of bytes, and whether that is all of it.
pub(crate) async fn read_body(
    response: &mut reqwest::Response,
    limit: usize,
) -> Result<(Vec<u8>, bool), reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let rest = limit - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(rest)]);
        if chunk.len() > rest {
            return Ok((body, false));
        }
    }
    Ok((body, true))
}

/// Writes a line to the container's log. The one place of this crate that prints.
pub(crate) fn log(line: &str) {
    use std::io::Write;
    // Nobody reads a log that cannot be written: there is no one to tell.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
