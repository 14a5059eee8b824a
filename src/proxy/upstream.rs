//! The way to providers: one client, with its connections kept; which headers go out and which come back.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Request, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client as Pooled;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioTimer;

use crate::manifest::Auth;
use crate::secret::SecretValue;

/// Runs a connection beside the calls that use it, on their own queue: an answer reaches its call without a turn of the driver.
#[derive(Clone, Copy, Debug)]
struct Beside;

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for Beside {
    fn execute(&self, connection: F) {
        tokio::task::spawn_local(connection);
    }
}

/// The client.
pub(crate) type Client = Pooled<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// How long the first byte of an answer may take.
pub(crate) const FIRST_BYTE: Duration = Duration::from_secs(300);

/// How long a stream may be silent.
pub(crate) const IDLE: Duration = Duration::from_secs(120);

/// Returns the client: it trusts the compiled-in roots and follows no redirect.
///
/// # Errors
/// Where TLS cannot be set up.
pub(crate) fn client() -> Result<Client, rustls::Error> {
    let mut roots = rustls::RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_connect_timeout(Some(CONNECT));
    http.set_nodelay(true);
    http.set_keepalive(Some(Duration::from_secs(60)));
    let https = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1();
    let mut builder = Pooled::builder(Beside);
    builder.pool_timer(TokioTimer::new()).pool_idle_timeout(Duration::from_secs(20)).pool_max_idle_per_host(64);
    Ok(builder.build(https.wrap_connector(http)))
}

/// Headers of a caller that a provider sees: everything else stays here.
const OUT: &[&str] = &["accept", "anthropic-beta", "anthropic-version", "idempotency-key", "traceparent", "user-agent"];

/// Headers of a provider that a caller sees.
const BACK: &[&str] =
    &["cache-control", "content-type", "request-id", "retry-after", "retry-after-ms", "x-request-id", "x-should-retry"];

/// Returns the request to a provider.
///
/// # Errors
/// Where the URL or the key is none that HTTP can carry.
pub(crate) fn request(
    url: &str,
    headers: &HeaderMap,
    auth: Auth,
    key: Option<&SecretValue>,
    is_anthropic: bool,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, &'static str> {
    let uri: Uri = url.parse().map_err(|_| "the provider's URL is none")?;
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = hyper::Method::POST;
    *request.uri_mut() = uri;
    let out = request.headers_mut();
    for name in OUT {
        for value in headers.get_all(*name) {
            out.append(HeaderName::from_static(name), value.clone());
        }
    }
    out.insert("content-type", HeaderValue::from_static("application/json"));
    out.insert("accept-encoding", HeaderValue::from_static("identity"));
    if is_anthropic && !out.contains_key("anthropic-version") {
        out.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
    }
    let Some(key) = key else { return Ok(request) };
    let (name, prefix): (&'static str, &[u8]) = match auth {
        Auth::Bearer => ("authorization", b"Bearer "),
        Auth::XApiKey => ("x-api-key", b""),
        Auth::None => return Ok(request),
    };
    let value = key.with(|bytes| HeaderValue::from_bytes(&zeroize::Zeroizing::new([prefix, bytes].concat())));
    let mut value = value.map_err(|_| "the provider's key holds a byte that no header can carry")?;
    value.set_sensitive(true);
    out.insert(name, value);
    Ok(request)
}

/// Copies the headers of an answer that a caller sees.
pub(crate) fn copy_back(from: &HeaderMap, to: &mut HeaderMap) {
    for name in BACK {
        if let Some(value) = from.get(*name) {
            to.insert(HeaderName::from_static(name), value.clone());
        }
    }
}
