//! Tokens of identities: a real registry that wants a token of its token server, which is the test's, and docker itself beside claw.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::images::Registry;
use super::{Pod, build, docker, shell};
use crate::claw_with;

/// Makes a key with its certificate, and a token that lets somebody into one repository.
const MAKE: &str = r#"set -e
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -subj /CN=test -days 2 2>/dev/null
url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
now=$(date +%s)
chain=$(openssl x509 -in cert.pem -outform DER | openssl base64 -A)
head=$(printf '{"typ":"JWT","alg":"RS256","x5c":["%s"]}' "$chain" | url)
access='[{"type":"repository","name":"acme/bot","actions":["pull","push"]}]'
claims=$(printf '{"iss":"test","sub":"ann","aud":"test","exp":%s,"nbf":%s,"iat":%s,"jti":"1","access":%s}' \
  $((now + 3600)) $((now - 60)) "$now" "$access" | url)
sign=$(printf %s "$head.$claims" | openssl dgst -sha256 -sign key.pem | url)
printf %s "$head.$claims.$sign"
"#;

/// What a caller of the token server said: the first line, and the form.
type Asked = (String, BTreeMap<String, String>);

/// A token server that knows one identity.
struct Tokens {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    /// Whether it sends its callers on to itself, as it would send them to anybody.
    sends_on: Arc<AtomicBool>,
}

impl Tokens {
    fn start(token: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let tokens = Self { port, asked: Arc::default(), sends_on: Arc::default() };
        let (asked, sends_on, token) = (Arc::clone(&tokens.asked), Arc::clone(&tokens.sends_on), token.to_owned());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (asked, token, sends_on) = (Arc::clone(&asked), token.clone(), sends_on.load(Ordering::SeqCst));
                std::thread::spawn(move || serve(stream, &token, &asked, sends_on));
            }
        });
        tokens
    }

    /// Returns what it was asked since the last time.
    fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().expect("nobody panicked"))
    }
}

fn serve(mut stream: TcpStream, token: &str, asked: &Mutex<Vec<Asked>>, sends_on: bool) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().expect("a length");
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = String::from_utf8(body).expect("text");
    let form: BTreeMap<String, String> = body
        .split('&')
        .filter_map(|row| row.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.replace("%3A", ":").replace("%2F", "/").replace("%2C", ",")))
        .collect();
    let is_known = form.get("refresh_token").is_some_and(|own| own == "canary-identity");
    asked.lock().expect("nobody panicked").push((first.trim().to_owned(), form));
    let (head, body) = match (sends_on, is_known) {
        (true, _) => ("307 On\r\nLocation: /token".to_owned(), String::new()),
        (false, true) => ("200 OK".to_owned(), format!("{{\"access_token\": \"{token}\"}}")),
        // It says again what it was told.
        (false, false) => ("401 No".to_owned(), body),
    };
    write!(stream, "HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn a_token_of_an_identity_is_given_for_one_that_lets_in_as_docker_gives_it() {
    let pod = Pod::new("identity");
    shell(&pod);
    pod.write("own/SOUL.md", "calm\n").write("make.sh", MAKE);
    let made = Command::new("sh").arg("make.sh").current_dir(&pod.folder.0).output().expect("a shell");
    assert!(made.status.success(), "{made:?}");
    let tokens = Tokens::start(&String::from_utf8(made.stdout).expect("text"));
    let registry = Registry::configured(&|_| {
        let (port, cert) = (tokens.port, pod.folder.0.join("cert.pem").display().to_string());
        let realm = format!("'http://127.0.0.1:{port}/token'");
        format!("auth: {{token: {{realm: {realm}, service: test, issuer: test, rootcertbundle: '{cert}'}}}}\n")
    });
    let host = format!("127.0.0.1:{}", registry.port);
    let logs_in = |token: &str| {
        // `ann:`, as `docker login` writes it beside such a token.
        let entry = format!("{{\"auth\": \"YW5uOg==\", \"identitytoken\": \"{token}\"}}");
        pod.write("docker/config.json", &format!("{{\"auths\": {{\"{host}\": {entry}}}}}"));
    };
    let config = pod.folder.0.join("docker").display().to_string();
    let name = format!("{host}/acme/bot:1");
    let claw = |arguments: &[&str]| {
        let run =
            claw_with(&pod.folder.0, &[&["persona"], arguments, &[&name]].concat(), &[("DOCKER_CONFIG", &config)]);
        assert!(!format!("{run:?}").contains("canary"), "{run:?}");
        run
    };
    // What docker's own client says with such a token, and what claw does.
    logs_in("canary-identity");
    let image = format!("{host}/acme/bot:image");
    build(&pod, &image);
    docker(&["--config", &config, "push", "-q", &image]);
    let theirs = tokens.asked();
    let run = claw(&["push", "./own"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let ours = tokens.asked();
    let alike = |asked: &[Asked]| {
        let (first, mut form) = asked.first().expect("it was asked").clone();
        assert_eq!(form.remove("scope").map(|scope| scope.starts_with("repository:acme/bot:pu")), Some(true));
        let client = form.remove("client_id");
        (first, form, client.is_some())
    };
    assert_eq!(alike(&ours), alike(&theirs));
    // What goes in clear goes to this host alone, and through no proxy: nobody listens at this one.
    let nobody = format!("http://127.0.0.1:{}", crate::proxy::free_port());
    let proxies = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"].map(|each| (each, nobody.as_str()));
    let environment = [&[("DOCKER_CONFIG", config.as_str())], &proxies[..]].concat();
    let run = claw_with(&pod.folder.0, &["persona", "pull", &name], &environment);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(tokens.asked()[0].1["scope"], "repository:acme/bot:pull");
    // It is sent on to nobody, and one that is not known is refused without a word of it.
    tokens.sends_on.store(true, Ordering::SeqCst);
    let run = claw(&["pull"]);
    assert!(run.code == Some(1) && run.stderr.contains("its token server answered 307"), "{run:?}");
    assert_eq!(tokens.asked().len(), 1);
    tokens.sends_on.store(false, Ordering::SeqCst);
    logs_in("canary-of-nobody");
    let run = claw(&["pull"]);
    assert!(run.code == Some(1) && run.stderr.contains("its token server answered 401"), "{run:?}");
    assert!(run.stderr.contains("`docker login` gets another"), "{run:?}");
}
