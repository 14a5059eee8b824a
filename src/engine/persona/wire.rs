//! The API of registries, as much of it as a persona needs. What a registry says is read no further than it may be long, and
//! what logs in goes in clear to this host alone, wherever the registry sends its caller.

use std::error::Error;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, WWW_AUTHENTICATE,
};
use reqwest::redirect::Policy;
use reqwest::{Method, Response, StatusCode, Url};

use super::login::Login;
use super::reference::Named;
use super::{PersonaError, Unfetched};

/// How long a registry may take to be reached, and to go on with what it says.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long any one of its answers may take as a whole.
const WHOLE: Duration = Duration::from_secs(300);

/// The most bytes of what says who may come in, and of what a registry says of an error.
const MOST_TOKEN: usize = 64 * 1024;
const MOST_ERROR: usize = 4 * 1024;

/// How often a registry may send its caller on.
const MOST_REDIRECTS: usize = 5;

/// What is to be done in a registry.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Pull,
    Push,
}

/// A repository of a registry, and who asks.
pub(super) struct Repository {
    clients: Clients,
    base: Url,
    authorization: Option<HeaderValue>,
}

/// What speaks. Neither is sent on by itself.
struct Clients {
    /// Speaks TLS; a proxy of HTTPS passes on what it cannot read.
    tls: reqwest::Client,
    /// Speaks in clear, to whom it is for and to no proxy.
    plain: reqwest::Client,
}

/// A request.
struct Call<'c> {
    method: Method,
    at: Url,
    headers: HeaderMap,
    body: &'c [u8],
    /// What lets somebody in, where the request begins.
    login: Option<HeaderValue>,
}

impl<'c> Call<'c> {
    fn new(method: Method, at: Url, login: Option<HeaderValue>) -> Self {
        Self { method, at, headers: HeaderMap::new(), body: &[], login }
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    fn carrying(mut self, body: &'c [u8]) -> Self {
        self.body = body;
        self
    }
}

impl Clients {
    fn new() -> Result<Self, PersonaError> {
        Ok(Self { tls: client(false)?, plain: client(true)? })
    }

    /// Asks one place, which may answer that another is to be asked.
    async fn ask(&self, call: &Call<'_>, at: &Url, login: Option<&HeaderValue>) -> Result<Response, Unfetched> {
        let client = if at.scheme() == "https" { &self.tls } else { &self.plain };
        let mut at = at.clone();
        // Whoever names a place does not say as whom it is asked. One without a host has neither, and is refused below.
        let _ = at.set_username("").and_then(|()| at.set_password(None));
        let request = client.request(call.method.clone(), at).headers(call.headers.clone()).body(call.body.to_vec());
        let request = match login {
            Some(login) => request.header(AUTHORIZATION, login.clone()),
            None => request,
        };
        // What is sent takes its time, within the whole.
        let patience = if call.body.is_empty() { PATIENCE } else { WHOLE };
        let answer = tokio::time::timeout(patience, request.send()).await.map_err(|_| silent())?;
        answer.map_err(|error| Unfetched::Away(failed(&error)))
    }

    /// Asks, and goes on where it is sent to: not for ever, from TLS to no place without, and with what it carries to no other place in
    /// clear. A login is for whom it was meant: it is shown to nobody else, and not again by somebody else's word.
    async fn follow(&self, call: &Call<'_>) -> Result<Response, Unfetched> {
        let (mut at, mut login) = (call.at.clone(), call.login.as_ref());
        for _ in 0..=MOST_REDIRECTS {
            let answer = self.ask(call, &at, login).await?;
            let Some(next) = sent_on(&answer, &call.method) else { return Ok(answer) };
            let is_other = next.origin() != at.origin();
            let is_clear = next.scheme() != "https";
            if is_clear && (at.scheme() == "https" || is_other && !call.body.is_empty()) {
                return Err(astray("to a place without TLS"));
            }
            login = login.filter(|_| !is_other);
            at = next;
        }
        Err(astray("without end"))
    }
}

/// Returns where an answer sends its caller on with the same request.
fn sent_on(answer: &Response, method: &Method) -> Option<Url> {
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    let sends = match answer.status() {
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER => is_read,
        _ => false,
    };
    let place = answer.headers().get(LOCATION).filter(|_| sends)?;
    answer.url().join(std::str::from_utf8(place.as_bytes()).ok()?).ok()
}

fn silent() -> Unfetched {
    Unfetched::Away(PersonaError::new("cannot be fetched or pushed: its registry did not answer in time"))
}

fn astray(how: &str) -> Unfetched {
    Unfetched::Away(PersonaError::new(format!("cannot be fetched or pushed: its registry sends on {how}")))
}

impl Repository {
    /// Goes to a registry and logs in as it wants it.
    pub(super) async fn enter(
        named: &Named,
        login: &Login,
        is_plain: bool,
        purpose: Purpose,
    ) -> Result<Self, Unfetched> {
        let clients = Clients::new()?;
        let scheme = if is_plain || is_loopback(&named.registry) { "http" } else { "https" };
        let root = url(&format!("{scheme}://{}/v2/", named.registry))?;
        let base = url(&format!("{root}{}/", named.repository))?;
        let mut repository = Self { clients, base, authorization: None };
        repository.authorization = match login {
            Login::Bearer(token) => Some(header(&format!("Bearer {token}"))?),
            _ => repository.admitted(&root, named, login, purpose).await?,
        };
        Ok(repository)
    }

    /// Asks the registry how it lets somebody in, and does that.
    async fn admitted(
        &self,
        root: &Url,
        named: &Named,
        login: &Login,
        purpose: Purpose,
    ) -> Result<Option<HeaderValue>, Unfetched> {
        let answer = self.clients.follow(&Call::new(Method::GET, root.clone(), None)).await?;
        // Who is sent on hears somebody else, who says nothing of this registry.
        let own = challenge(answer.headers()).filter(|_| answer.url().origin() == root.origin());
        let Some(challenge) = own else {
            return match login {
                Login::Basic(..) if wants_basic(answer.headers()) => Ok(basic(login)?),
                _ => Ok(None),
            };
        };
        let realm = url(&challenge.realm)?;
        if !may_ask(&realm, root, login) {
            let why = format!("cannot be asked for: its registry wants the login in clear, at `{}`", shown(&realm));
            return Err(PersonaError::new(why).into());
        }
        let actions = match purpose {
            Purpose::Pull => "pull",
            Purpose::Push => "pull,push",
        };
        let scope = format!("repository:{}:{actions}", named.repository);
        let mut rows = vec![("scope", scope.as_str())];
        rows.extend(challenge.service.as_deref().map(|service| ("service", service)));
        let answer = self.exchange(realm, rows, login).await?;
        let answer = match login {
            Login::Nobody => fine(answer).await?,
            _ if answer.status().is_success() => answer,
            // Without its text: it was told the login, and may say it again. A grant that is worth nothing is a bad request to some.
            _ => {
                let status = answer.status();
                let error = PersonaError::new(format!("is not to be had: its token server answered {status}"));
                return Err(match status {
                    StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                        Unfetched::Refused(error)
                    }
                    _ => Unfetched::Away(error),
                });
            }
        };
        let bytes = read(answer, MOST_TOKEN, "gets a token that is longer than one may be").await?;
        let read: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let token = read["token"].as_str().or(read["access_token"].as_str()).filter(|token| !token.is_empty());
        let token = token.ok_or_else(|| PersonaError::new("cannot be asked for: its registry gave no token"))?;
        Ok(Some(header(&format!("Bearer {token}"))?))
    }

    /// Gives a login for a token. A name with its password goes as it does everywhere; a token of an identity is the body of a request that
    /// is sent on to nobody else.
    async fn exchange(&self, realm: Url, rows: Vec<(&str, &str)>, login: &Login) -> Result<Response, Unfetched> {
        let mut asked = realm.clone();
        let Login::Identity(token) = login else {
            asked.query_pairs_mut().extend_pairs(rows);
            return self.clients.follow(&Call::new(Method::GET, asked, basic(login)?)).await;
        };
        let more = [("grant_type", "refresh_token"), ("client_id", "claw"), ("refresh_token", token.as_str())];
        asked.set_query(None);
        asked.query_pairs_mut().extend_pairs(rows).extend_pairs(more);
        let form = asked.query().unwrap_or_default();
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        let call = Call::new(Method::POST, realm.clone(), None).with(CONTENT_TYPE, kind).carrying(form.as_bytes());
        self.clients.ask(&call, &realm, None).await
    }

    /// Returns a request; only to the registry itself goes what lets somebody in.
    fn call(&self, method: Method, at: Url) -> Call<'static> {
        let is_own = at.origin() == self.base.origin();
        Call::new(method, at, self.authorization.clone().filter(|_| is_own))
    }

    fn at(&self, path: &str) -> Result<Url, PersonaError> {
        url(&format!("{}{path}", self.base))
    }

    /// Fetches what is below a path; more bytes than `most` are an error, `long` says which.
    pub(super) async fn get(&self, path: &str, kind: &str, most: usize, long: &str) -> Result<Vec<u8>, Unfetched> {
        let call = self.call(Method::GET, self.at(path)?).with(ACCEPT, header(kind)?);
        read(fine(self.clients.follow(&call).await?).await?, most, long).await
    }

    /// Puts a blob there, if it is not.
    pub(super) async fn put_blob(&self, bytes: &[u8], digest: &str) -> Result<(), Unfetched> {
        let call = self.call(Method::HEAD, self.at(&format!("blobs/{digest}"))?);
        let found = self.clients.follow(&call).await?;
        if found.status() == StatusCode::OK {
            return Ok(());
        }
        // Some want to be told that nothing comes.
        let nothing = HeaderValue::from_static("0");
        let call = self.call(Method::POST, self.at("blobs/uploads/")?).with(CONTENT_LENGTH, nothing);
        let begun = fine(self.clients.follow(&call).await?).await?;
        let place = begun.headers().get(LOCATION).and_then(|place| place.to_str().ok());
        let place = place.and_then(|place| begun.url().join(place).ok());
        let mut place =
            place.ok_or_else(|| PersonaError::new("cannot be pushed: its registry names no place for it"))?;
        if place.scheme() != "https" && place.origin() != self.base.origin() {
            let why = format!("cannot be pushed: its registry wants it in clear, at `{}`", shown(&place));
            return Err(PersonaError::new(why).into());
        }
        place.query_pairs_mut().append_pair("digest", digest);
        let kind = HeaderValue::from_static("application/octet-stream");
        let call = self.call(Method::PUT, place).with(CONTENT_TYPE, kind).carrying(bytes);
        fine(self.clients.follow(&call).await?).await.map(drop)
    }

    /// Puts a manifest there, under a tag.
    pub(super) async fn put_manifest(&self, bytes: &[u8], kind: &str, tag: &str) -> Result<(), Unfetched> {
        let call = self.call(Method::PUT, self.at(&format!("manifests/{tag}"))?);
        let call = call.with(CONTENT_TYPE, header(kind)?).carrying(bytes);
        fine(self.clients.follow(&call).await?).await.map(drop)
    }
}

/// Returns whether a registry is on this host's loopback: plain HTTP leads nowhere else from there.
pub(super) fn is_loopback(registry: &str) -> bool {
    let host = match registry.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => registry.split(':').next().unwrap_or(registry),
    };
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Returns whether a token may be asked for at a place that the registry at `root` names: in clear only where the registry
/// itself is spoken to in clear, and then a login goes no further than this host.
fn may_ask(realm: &Url, root: &Url, login: &Login) -> bool {
    let is_here = realm.host_str().is_some_and(is_loopback);
    match realm.scheme() {
        "https" => true,
        "http" => root.scheme() == "http" && (is_here || *login == Login::Nobody),
        _ => false,
    }
}

/// Returns a client. What `is_plain` goes through no proxy, whatever the environment names: it could read logins that are for this host
/// alone.
fn client(is_plain: bool) -> Result<reqwest::Client, PersonaError> {
    // Whoever was first in this process chose the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder()
        .user_agent(concat!("claw/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(PATIENCE)
        .timeout(WHOLE)
        .redirect(Policy::none());
    let builder = if is_plain { builder.no_proxy() } else { builder };
    builder.build().map_err(|error| failed(&error))
}

/// How a registry wants to be shown who asks.
#[derive(Debug, PartialEq, Eq)]
struct Challenge {
    realm: String,
    service: Option<String>,
}

/// Returns the places where a registry lets its tokens be had; nothing where it has none.
fn challenge(headers: &HeaderMap) -> Option<Challenge> {
    let said = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    said.filter_map(|text| {
        let (kind, rest) = text.trim().split_once(' ')?;
        let rest = kind.eq_ignore_ascii_case("bearer").then_some(rest)?;
        Some(Challenge { realm: parameter(rest, "realm")?, service: parameter(rest, "service") })
    })
    .next()
}

fn wants_basic(headers: &HeaderMap) -> bool {
    let said = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    said.map(str::trim_start).any(|text| text.get(..5).is_some_and(|kind| kind.eq_ignore_ascii_case("basic")))
}

/// Returns a name with its password as a header.
fn basic(login: &Login) -> Result<Option<HeaderValue>, PersonaError> {
    let Login::Basic(user, password) = login else { return Ok(None) };
    header(&format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))).map(Some)
}

/// Returns the value of `name="value"` in a list of these, divided by commas.
fn parameter(list: &str, name: &str) -> Option<String> {
    let mut rest = list.trim();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=')?;
        let (value, after) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_at(after.find(',').unwrap_or(after.len())),
        };
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(value.trim().to_owned());
        }
        rest = after.trim_start().trim_start_matches(',').trim_start();
    }
    None
}

/// Returns an answer that is none of an error.
async fn fine(answer: Response) -> Result<Response, Unfetched> {
    if answer.status().is_success() {
        return Ok(answer);
    }
    let status = answer.status();
    let said = some(answer, MOST_ERROR).await;
    let said = String::from_utf8_lossy(&said).split_whitespace().collect::<Vec<_>>().join(" ");
    let said: String = said.chars().take(200).collect();
    let more = if said.is_empty() { String::new() } else { format!(": {}", said.escape_debug()) };
    let error = PersonaError::new(format!("is not to be had: its registry answered {status}{more}"));
    Err(match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Unfetched::Refused(error),
        _ => Unfetched::Away(error),
    })
}

/// Returns the next bytes of an answer.
async fn next(answer: &mut Response) -> Result<Option<Vec<u8>>, Unfetched> {
    let piece = tokio::time::timeout(PATIENCE, answer.chunk()).await.map_err(|_| silent())?;
    Ok(piece.map_err(|error| Unfetched::Away(failed(&error)))?.map(Vec::from))
}

/// Returns the first bytes of an answer, whatever its length.
async fn some(mut answer: Response, most: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Ok(Some(piece)) = next(&mut answer).await {
        bytes.extend_from_slice(&piece);
        if bytes.len() >= most {
            bytes.truncate(most);
            break;
        }
    }
    bytes
}

/// Returns an answer, whole. One that says it is longer is not even begun.
async fn read(mut answer: Response, most: usize, long: &str) -> Result<Vec<u8>, Unfetched> {
    if answer.content_length().is_some_and(|length| length > most as u64) {
        return Err(PersonaError::new(long).into());
    }
    let mut bytes = Vec::new();
    while let Some(piece) = next(&mut answer).await? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > most {
            return Err(PersonaError::new(long).into());
        }
    }
    Ok(bytes)
}

fn url(text: &str) -> Result<Url, PersonaError> {
    Url::parse(text)
        .map_err(|error| PersonaError::new(format!("cannot be asked for: {error}: `{}`", text.escape_debug())))
}

/// Returns where a URL leads, without what else it holds.
fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or(""), url.path()).escape_debug().to_string()
}

fn header(text: &str) -> Result<HeaderValue, PersonaError> {
    let mut value =
        HeaderValue::from_str(text).map_err(|_| PersonaError::new("cannot be asked for: its token is no text"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Returns what went wrong with all its causes, without the URL of a request: it may hold more than it should.
fn failed(error: &reqwest::Error) -> PersonaError {
    let mut text = match (error.is_connect(), error.is_timeout()) {
        (_, true) => "its registry did not answer in time",
        (true, _) => "its registry cannot be reached",
        _ => "its registry broke off",
    }
    .to_owned();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = inner.source();
    }
    PersonaError::new(format!("cannot be fetched or pushed: {}", text.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_host_alone() {
        for registry in ["localhost", "localhost:5000", "127.0.0.1:5000", "127.9.9.9", "[::1]:5000"] {
            assert!(is_loopback(registry), "{registry}");
        }
        for registry in ["ghcr.io", "localhost.example:5000", "10.0.0.1:5000", "127.0.0.1.example", "[fd00::1]:5000"] {
            assert!(!is_loopback(registry), "{registry}");
        }
    }

    #[test]
    fn no_login_goes_where_all_could_read_it() {
        let may = |realm: &str, root: &str, login: &Login| {
            may_ask(&Url::parse(realm).expect("a URL"), &Url::parse(root).expect("a URL"), login)
        };
        let logins = [Login::Basic("ann".to_owned(), "a".to_owned()), Login::Identity("i".to_owned())];
        for (realm, root, has_login, expected) in [
            ("https://auth.example/token", "https://registry.example/v2/", true, true),
            ("https://auth.example/token", "http://127.0.0.1:5000/v2/", true, true),
            ("http://auth.example/token", "https://registry.example/v2/", true, false),
            // Nor without a login: what lets in comes back in clear.
            ("http://auth.example/token", "https://registry.example/v2/", false, false),
            ("http://127.0.0.1:5001/token", "https://registry.example/v2/", true, false),
            ("http://127.0.0.1:5001/token", "http://127.0.0.1:5000/v2/", true, true),
            ("http://[::1]:5001/token", "http://127.0.0.1:5000/v2/", true, true),
            ("http://auth.example/token", "http://127.0.0.1:5000/v2/", true, false),
            ("http://127.0.0.1@auth.example/token", "http://127.0.0.1:5000/v2/", true, false),
            ("http://auth.example/token", "http://registry.example:5000/v2/", false, true),
            ("ftp://127.0.0.1/token", "http://127.0.0.1:5000/v2/", false, false),
            ("file:///etc/passwd", "http://127.0.0.1:5000/v2/", false, false),
        ] {
            let nobody = [Login::Nobody];
            for login in if has_login { &logins[..] } else { &nobody } {
                assert_eq!(may(realm, root, login), expected, "{realm} of {root}");
            }
        }
    }

    #[test]
    fn what_a_registry_wants_is_read() {
        let headers = |rows: &[&str]| {
            let rows = rows.iter().map(|row| (WWW_AUTHENTICATE, HeaderValue::from_str(row).expect("a header")));
            rows.fold(HeaderMap::new(), |mut all, (name, value)| {
                all.append(name, value);
                all
            })
        };
        let found = |realm: &str, service: Option<&str>| {
            Some(Challenge { realm: realm.to_owned(), service: service.map(ToOwned::to_owned) })
        };
        let usual = headers(&[r#"Bearer realm="https://a.example/t?x=1,2",service="r.example",scope="a:b:c""#]);
        assert_eq!(challenge(&usual), found("https://a.example/t?x=1,2", Some("r.example")));
        let two = headers(&["Basic realm=\"r\"", "bearer service=s, realm=\"https://a.example\""]);
        assert_eq!(challenge(&two), found("https://a.example", Some("s")));
        assert!(wants_basic(&two) && wants_basic(&headers(&["basic realm=x"])) && !wants_basic(&usual));
        for wrong in ["Bearer", "Bearer realm", "Bearer realm=\"open", "Bearer service=\"s\"", "Digest realm=\"x\""] {
            assert_eq!(challenge(&headers(&[wrong])), None, "{wrong}");
        }
    }
}
