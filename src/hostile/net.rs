//! Ways out, and ways to others: each counts once something came back.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::unix::net::UnixStream;

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, ipproto};

use crate::echo::WORD;
use crate::{PATIENCE, reason};

/// The word for the first name server of `/etc/resolv.conf`.
const RESOLVER: &str = "resolver";

fn nothing(what: &str) -> io::Error {
    io::Error::other(what.to_owned())
}

fn resolve(address: &str) -> io::Result<SocketAddr> {
    let found = address.to_socket_addrs().map_err(|error| nothing(&format!("no address for `{address}`: {error}")))?;
    let found: Vec<_> = found.collect();
    let four = found.iter().find(|each| each.is_ipv4()).or(found.first());
    four.copied().ok_or_else(|| nothing(&format!("no address for `{address}`")))
}

/// Sends something over TCP and returns the first bytes that come back.
fn converse(address: &str, said: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&resolve(address)?, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(said)?;
    let mut answer = vec![0; 512];
    let size = stream.read(&mut answer).map_err(|error| nothing(&format!("connected, but {}", reason(&error))))?;
    if size == 0 {
        return Err(nothing("connected, and closed without an answer"));
    }
    answer.truncate(size);
    Ok(answer)
}

/// Reaches a server that gives back what it is told.
pub(crate) fn tcp(address: &str) -> io::Result<String> {
    converse(address, WORD).map(|_| format!("`{address}` answers"))
}

/// Returns the first line of an answer in HTTP.
fn status(answer: &[u8]) -> io::Result<String> {
    let text = String::from_utf8_lossy(answer);
    let line = text.lines().next().unwrap_or("").trim().to_owned();
    if line.starts_with("HTTP/") { Ok(line) } else { Err(nothing("what answers speaks no HTTP")) }
}

/// Reaches a server that speaks HTTP, whatever it says.
pub(crate) fn http(address: &str) -> io::Result<String> {
    let request = format!("GET / HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let line = status(&converse(address, request.as_bytes())?)?;
    Ok(format!("`{address}` answers {line}"))
}

/// Reaches a server that speaks TLS, whatever it says.
pub(crate) fn https(address: &str) -> io::Result<String> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    converse(address, &client_hello(host)).map(|answer| format!("`{address}` answers {} bytes", answer.len()))
}

/// Returns a field with its length before it, in two bytes.
fn sized(field: &[u8]) -> Vec<u8> {
    let size = u16::try_from(field.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&size[..], field].concat()
}

/// Returns the first message of TLS 1.2, with the host's name.
fn client_hello(host: &str) -> Vec<u8> {
    let extension = |kind: u8, body: &[u8]| [&[0, kind][..], &sized(body)].concat();
    let mut extensions = Vec::new();
    if host.parse::<std::net::IpAddr>().is_err() {
        extensions.extend(extension(0, &sized(&[&[0][..], &sized(host.as_bytes())].concat())));
    }
    // The groups x25519 and secp256r1, points as they are, RSA and ECDSA with SHA-256.
    extensions.extend(extension(10, &sized(&[0, 29, 0, 23])));
    extensions.extend(extension(11, &[1, 0]));
    extensions.extend(extension(13, &sized(&[4, 3, 4, 1, 8, 4])));
    let suites = sized(&[0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x30, 0, 0x9c, 0, 0x2f]);
    let body = [&[3, 3][..], &[0x5a; 32], &[0], &suites, &[1, 0], &sized(&extensions)].concat();
    let message = [&[1, 0][..], &sized(&body)].concat();
    [&[22, 3, 1][..], &sized(&message)].concat()
}

/// Sends a datagram and returns what comes back.
fn exchange(address: &str, said: &[u8]) -> io::Result<Vec<u8>> {
    let address = resolve(address)?;
    let own: SocketAddr = if address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(own)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.connect(address)?;
    socket.send(said)?;
    let mut answer = vec![0; 512];
    let size = socket.recv(&mut answer).map_err(|error| nothing(&format!("sent, but {}", reason(&error))))?;
    answer.truncate(size);
    Ok(answer)
}

/// Reaches a server that gives datagrams back.
pub(crate) fn udp(address: &str) -> io::Result<String> {
    exchange(address, WORD).map(|_| format!("`{address}` answers"))
}

/// Returns a question for the IPv4 address of a name.
pub(crate) fn question(name: &str) -> Vec<u8> {
    let mut question = vec![0x4c, 0x57, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for part in name.split('.') {
        question.push(u8::try_from(part.len()).unwrap_or(0));
        question.extend(part.bytes());
    }
    question.extend([0, 0, 1, 0, 1]);
    question
}

/// Asks a name server for a name and gets an address.
pub(crate) fn dns(server: &str, name: &str) -> io::Result<String> {
    let server = match server {
        RESOLVER => {
            let text = std::fs::read_to_string("/etc/resolv.conf")?;
            let first = text.lines().find_map(|line| line.strip_prefix("nameserver ")).map(str::trim);
            format!("{}:53", first.ok_or_else(|| nothing("there is no name server"))?)
        }
        server => server.to_owned(),
    };
    let answer = exchange(&server, &question(name))?;
    match answer[..] {
        [0x4c, 0x57, _, flags, _, _, high, low, ..] if flags & 15 == 0 && (high, low) != (0, 0) => {
            Ok(format!("`{name}` has an address"))
        }
        [0x4c, 0x57, _, flags, ..] if flags & 15 == 3 => Err(nothing(&format!("`{name}` does not exist"))),
        [0x4c, 0x57, _, flags, ..] => Err(nothing(&format!("no address for `{name}` (code {})", flags & 15))),
        _ => Err(nothing("what answers is no name server")),
    }
}

/// Pings an address.
pub(crate) fn icmp(address: &str) -> io::Result<String> {
    let target = resolve(&format!("{address}:0"))?;
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, Some(ipproto::ICMP))?;
    set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
    rustix::net::connect(&socket, &target)?;
    // An echo request; the kernel fills in its checksum and whose it is.
    rustix::net::send(&socket, &[8, 0, 0, 0, 0, 0, 0, 1, b'c', b'l', b'a', b'w'], SendFlags::empty())?;
    let mut answer = [0; 64];
    rustix::net::recv(&socket, &mut answer[..], RecvFlags::empty())?;
    if answer[0] == 0 { Ok(format!("`{address}` answers")) } else { Err(nothing("it is no answer to a ping")) }
}

/// Finds an IPv6 address of this container beside its loopback's.
pub(crate) fn ipv6() -> io::Result<String> {
    let text = match std::fs::read_to_string("/proc/net/if_inet6") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(nothing("no IPv6")),
        read => read?,
    };
    let own = text.lines().find(|line| !line.ends_with(" lo"));
    own.map(|line| format!("`{}`", line.trim())).ok_or_else(|| nothing("no IPv6 address but the loopback's"))
}

/// Has a proxy connect to a host.
pub(crate) fn tunnel(gate: &str, target: &str) -> io::Result<String> {
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
    let line = status(&converse(gate, request.as_bytes())?)?;
    if line.split(' ').nth(1) == Some("200") {
        return Ok(format!("the gate connects to `{target}`"));
    }
    Err(nothing(&format!("the gate says {line}")))
}

/// Connects to a socket of the file system.
pub(crate) fn socket(path: &str) -> io::Result<String> {
    UnixStream::connect(path).map(|_| format!("connected to `{path}`"))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::echo;

    fn local<T>(bound: io::Result<T>, address: impl Fn(&T) -> io::Result<SocketAddr>) -> (T, String) {
        let bound = bound.expect("a port");
        let address = address(&bound).expect("an address").to_string();
        (bound, address)
    }

    #[test]
    fn what_answers_is_reached_and_what_does_not_is_not() {
        let (listener, address) = local(TcpListener::bind("127.0.0.1:0"), TcpListener::local_addr);
        echo::tcp(listener);
        assert_eq!(tcp(&address).expect("an answer"), format!("`{address}` answers"));
        assert!(http(&address).is_err(), "whoever says something else gets no answer");
        let (socket, address) = local(UdpSocket::bind("127.0.0.1:0"), UdpSocket::local_addr);
        echo::udp(socket);
        assert!(udp(&address).is_ok());
        let (closed, address) = local(TcpListener::bind("127.0.0.1:0"), TcpListener::local_addr);
        drop(closed);
        assert!(tcp(&address).is_err());
    }

    #[test]
    fn a_name_has_an_address_where_the_server_says_one() {
        let (socket, address) = local(UdpSocket::bind("127.0.0.1:0"), UdpSocket::local_addr);
        echo::names(socket);
        assert_eq!(dns(&address, echo::NAME).expect("an answer"), format!("`{}` has an address", echo::NAME));
    }

    #[test]
    fn a_proxy_that_refuses_is_no_way_out() {
        for (said, is_open) in [("HTTP/1.1 200 OK\r\n\r\n", true), ("HTTP/1.1 403 Forbidden\r\n\r\n", false)] {
            let (listener, address) = local(TcpListener::bind("127.0.0.1:0"), TcpListener::local_addr);
            std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().expect("a client");
                let mut request = [0; 512];
                let size = stream.read(&mut request).expect("a request");
                assert!(request[..size].starts_with(b"CONNECT example.com:443 HTTP/1.1\r\n"));
                stream.write_all(said.as_bytes()).expect("sent");
            });
            assert_eq!(tunnel(&address, "example.com:443").is_ok(), is_open, "{said}");
        }
    }

    #[test]
    fn the_first_message_of_tls_has_the_lengths_it_says() {
        let hello = client_hello("example.com");
        assert_eq!(usize::from(u16::from_be_bytes([hello[3], hello[4]])), hello.len() - 5);
        assert_eq!(usize::from(u16::from_be_bytes([hello[7], hello[8]])), hello.len() - 9);
        assert!(hello.windows(11).any(|window| window == b"example.com"));
    }
}
