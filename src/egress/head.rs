//! The head of an HTTP request, as far as a gate must read it: which host is meant, and what is sent on.

/// The most bytes of a head.
pub const LIMIT: usize = 16 * 1024;

/// What the first bytes of a connection say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// More bytes are needed.
    Partial,
    /// `CONNECT host:port`: a tunnel is wanted. What follows the head is the tunnel's.
    Connect {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// Bytes of the head.
        length: usize,
    },
    /// A request for a host: to a proxy, `GET http://host/path`, or straight, with `Host:`.
    Request {
        /// The host.
        host: String,
        /// The port, where one is named.
        port: Option<u16>,
        /// Whether it was made to a proxy.
        is_proxied: bool,
        /// What is sent on in place of the head: for the host itself, and for this one request.
        sent: Vec<u8>,
        /// Bytes of the head.
        length: usize,
    },
    /// It is not HTTP, or not HTTP that names one host.
    Other,
}

/// Headers that are between a caller and its proxy.
const HOP: &[&str] =
    &["connection", "keep-alive", "proxy-authorization", "proxy-connection", "upgrade-insecure-requests"];

/// Returns what the first bytes of a connection say.
pub fn head(bytes: &[u8]) -> Head {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        let is_text =
            bytes.iter().take(8).all(|byte| byte.is_ascii_uppercase() || matches!(byte, b' ' | b'-' | b'/' | b'*'))
                || bytes.iter().take_while(|byte| byte.is_ascii_uppercase()).count() > 1;
        return if is_text && bytes.len() < LIMIT { Head::Partial } else { Head::Other };
    };
    let length = end + 4;
    let Some(text) = std::str::from_utf8(&bytes[..end]).ok().filter(|_| length <= LIMIT) else { return Head::Other };
    // A line end of another kind is one more head to whoever reads it so.
    if text.replace("\r\n", "").contains(['\r', '\n', '\0']) {
        return Head::Other;
    }
    parse(text, length).unwrap_or(Head::Other)
}

fn parse(text: &str, length: usize) -> Option<Head> {
    let mut lines = text.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let is_method = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    if words.next().is_some() || !is_method || !matches!(version, "HTTP/1.1" | "HTTP/1.0") {
        return None;
    }
    if method == "CONNECT" {
        let (host, port) = authority(target)?;
        return Some(Head::Connect { host, port: port?, length });
    }
    let mut hosts = Vec::new();
    let mut sent = Vec::new();
    let mut is_upgrade = false;
    for line in lines {
        let (name, value) = line.split_once(':')?;
        // A space there is read in two ways; a folded line in two more.
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let name = name.to_ascii_lowercase();
        match name.as_str() {
            "host" => hosts.push(value.trim().to_owned()),
            "connection" if value.to_ascii_lowercase().contains("upgrade") => is_upgrade = true,
            hop if HOP.contains(&hop) => {}
            _ => sent.push(format!("{name}: {}\r\n", value.trim())),
        }
    }
    if hosts.len() > 1 {
        return None;
    }
    let proxied = target.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("http://")).map(|_| &target[7..]);
    let (place, path) = match proxied {
        Some(rest) => {
            let slash = rest.find(['/', '?']).unwrap_or(rest.len());
            let path = &rest[slash..];
            (rest[..slash].to_owned(), if path.starts_with('/') { path.to_owned() } else { format!("/{path}") })
        }
        None => (hosts.first()?.clone(), target.to_owned()),
    };
    if !path.starts_with('/') {
        return None;
    }
    let (host, port) = authority(&place)?;
    let connection = if is_upgrade { "upgrade" } else { "close" };
    let head =
        format!("{method} {path} {version}\r\nhost: {place}\r\nconnection: {connection}\r\n{}\r\n", sent.concat());
    Some(Head::Request { host, port, is_proxied: proxied.is_some(), sent: head.into_bytes(), length })
}

/// Returns host and port of `host`, `host:port` or `[v6]:port`.
fn authority(text: &str) -> Option<(String, Option<u16>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        let port = match port.strip_prefix(':') {
            Some(port) => Some(number(port)?),
            None if port.is_empty() => None,
            None => return None,
        };
        return Some((host.parse::<std::net::Ipv6Addr>().ok()?.to_string(), port));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(number(port)?)),
        None => (text, None),
    };
    Some((crate::rules::host(host)?, port))
}

/// Returns a port from its digits, and nothing that other readers could take for another number.
fn number(text: &str) -> Option<u16> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| *port > 0 && is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tunnel_and_a_request_name_their_host() {
        let connect = b"CONNECT API.example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n\x16\x03";
        let wanted = Head::Connect { host: "api.example.com".to_owned(), port: 443, length: connect.len() - 2 };
        assert_eq!(head(connect), wanted);
        let v6 = b"CONNECT [2001:db8::1]:22 HTTP/1.1\r\n\r\n";
        assert_eq!(head(v6), Head::Connect { host: "2001:db8::1".to_owned(), port: 22, length: v6.len() });
        let get = b"GET http://a.example:8080/x?y HTTP/1.1\r\nHost: b.example\r\nProxy-Authorization: secret\r\nAccept: */*\r\n\r\n";
        let Head::Request { host, port, is_proxied, sent, length } = head(get) else { panic!("a request") };
        assert_eq!((host.as_str(), port, is_proxied, length), ("a.example", Some(8080), true, get.len()));
        let sent = String::from_utf8(sent).expect("text");
        assert_eq!(sent, "GET /x?y HTTP/1.1\r\nhost: a.example:8080\r\nconnection: close\r\naccept: */*\r\n\r\n");
        let straight = b"POST /v1 HTTP/1.1\r\nhost: a.example\r\ncontent-length: 3\r\n\r\nabc";
        let Head::Request { host, port, is_proxied, length, .. } = head(straight) else { panic!("a request") };
        assert_eq!((host.as_str(), port, is_proxied, length), ("a.example", None, false, straight.len() - 3));
        let Head::Request { sent, .. } = head(b"GET http://a.example?q HTTP/1.1\r\n\r\n") else { panic!("a request") };
        assert!(sent.starts_with(b"GET /?q HTTP/1.1\r\n"));
        let socket = b"GET / HTTP/1.1\r\nhost: a.example\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n";
        let Head::Request { sent, .. } = head(socket) else { panic!("a request") };
        assert!(String::from_utf8(sent).expect("text").contains("connection: upgrade\r\nupgrade: websocket\r\n"));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for bad in [
            "CONNECT a.example HTTP/1.1\r\n\r\n",
            "CONNECT a.example:0 HTTP/1.1\r\n\r\n",
            "CONNECT a.example:+443 HTTP/1.1\r\n\r\n",
            "CONNECT a.example:443@b:443 HTTP/1.1\r\n\r\n",
            "CONNECT a.example:99999 HTTP/1.1\r\n\r\n",
            "CONNECT [::1 HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
            "GET / HTTP/1.1\r\nhost : a\r\n\r\n",
            "GET / HTTP/1.1\r\nx: y\nhost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\n folded: b\r\n\r\n",
            "GET http://u@a.example/ HTTP/1.1\r\n\r\n",
            "GET ftp://a.example/ HTTP/1.1\r\n\r\n",
            "GET * HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET / HTTP/2\r\nhost: a\r\n\r\n",
            "get / HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET  / HTTP/1.1\r\nhost: a\r\n\r\n",
            "\u{0}\u{1}\u{2}",
            "hello\r\n",
        ] {
            assert_eq!(head(bad.as_bytes()), Head::Other, "{bad:?}");
        }
        for partial in ["", "G", "GET / HT", "CONNECT a:1 HTTP/1.1\r\nhost", "GET / HTTP/1.1\r\nhost: a\r\n"] {
            assert_eq!(head(partial.as_bytes()), Head::Partial, "{partial:?}");
        }
        assert_eq!(head(format!("GET /{}", "x".repeat(LIMIT)).as_bytes()), Head::Other);
    }

    proptest::proptest! {
        #[test]
        fn anything_at_all_is_answered(text in "(CONNECT|GET|P) [ -~]{0,40} HTTP/1.[01]\r\n(\\PC{0,20}\r\n){0,3}\r\n") {
            let _ = head(text.as_bytes());
        }
    }
}
