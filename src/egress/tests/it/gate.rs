//! What passes the gate and what does not, and what is said of it.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use serde_json::{Value, json};

use crate::world::{World, host, open, own_address, read_head, talk};

fn rule(host: &str, port: u16) -> Value {
    json!({"host": host, "port": port, "private": true, "why": format!("egress://{host}:{port}"), "place": "claw-pod.yml:5"})
}

fn connect(host: &str, port: u16) -> Vec<u8> {
    format!("CONNECT {host}:{port} HTTP/1.1\r\nhost: {host}\r\n\r\n").into_bytes()
}

/// The first message of a TLS connection to a host.
fn hello(host: &str) -> Vec<u8> {
    let sized = |bytes: &[u8], length: usize| [&bytes.len().to_be_bytes()[8 - length..], bytes].concat();
    let entry = [vec![0], sized(host.as_bytes(), 2)].concat();
    let extension = [vec![0, 0], sized(&sized(&entry, 2), 2)].concat();
    let body = [vec![3, 3], vec![7; 32], vec![0], vec![0, 2, 19, 1], vec![1, 0], sized(&extension, 2)].concat();
    [vec![22, 3, 1], sized(&[vec![1], sized(&body, 3)].concat(), 2)].concat()
}

/// The JSON of an answer that says no.
fn body(answer: &[u8]) -> Value {
    let text = String::from_utf8_lossy(answer);
    serde_json::from_str(text.split("\r\n\r\n").nth(1).expect("a body")).expect("JSON")
}

/// The code of the gate's answer to a question for a name, and the address in it.
fn ask(gate: IpAddr, name: &str) -> (u8, Option<IpAddr>) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(2))).expect("a limit");
    let mut query = vec![9, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).expect("short"));
        query.extend_from_slice(label.as_bytes());
    }
    query.extend_from_slice(&[0, 0, 1, 0, 1]);
    socket.send_to(&query, SocketAddr::new(gate, 53)).expect("sent");
    let mut said = [0; 512];
    let count = socket.recv(&mut said).expect("an answer");
    let address: Option<[u8; 4]> = (said[7] == 1).then(|| said[count - 4..count].try_into().expect("four bytes"));
    (said[3] & 15, address.map(IpAddr::from))
}

#[test]
fn a_tunnel_opens_to_an_allowed_host_alone() {
    let port = host();
    let own = own_address().to_string();
    let world =
        World::new(json!([rule("api.example.com", port)]), &[("api.example.com", &own), ("evil.example", &own)]);
    let mut tunnel = open(world.a, 3128, &[connect("API.example.com", port), b"early".to_vec()].concat());
    assert_eq!(read_head(&mut tunnel), "HTTP/1.1 200 Connection established\r\n\r\n");
    let mut said = [0; 5];
    tunnel.read_exact(&mut said).expect("what came with the head");
    assert_eq!(&said, b"EARLY");
    tunnel.write_all(b"later").expect("sent");
    tunnel.read_exact(&mut said).expect("an answer");
    assert_eq!(&said, b"LATER");
    drop(tunnel);
    let passed = world.wait("was written", || world.said("egress").pop());
    assert_eq!((&passed["host"], &passed["via"]), (&json!("api.example.com"), &json!("connect")));
    assert_eq!((&passed["bytes_out"], &passed["bytes_in"]), (&json!(10), &json!(10)));

    let refused = talk(world.a, 3128, &connect("evil.example", port));
    assert!(refused.starts_with(b"HTTP/1.1 403 Forbidden\r\n"), "{}", String::from_utf8_lossy(&refused));
    let said = body(&refused);
    assert_eq!(said["error"]["type"], "egress_denied");
    assert_eq!(said["error"]["place"], "claw-pod.yml:3");
    let message = said["error"]["message"].as_str().expect("a message");
    assert!(message.contains(&format!("can add `egress://evil.example:{port}` to `surfaces` of `a`")), "{message}");
    let line = world.denied("not-allowed");
    assert_eq!(
        (&line["claw_id"], &line["host"], &line["via"]),
        (&json!("a"), &json!("evil.example"), &json!("connect"))
    );

    let open = talk(world.a, 3128, b"GET / HTTP/1.1\r\nhost: egress:3128\r\n\r\n");
    assert!(open.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", String::from_utf8_lossy(&open));
    let open = body(&open);
    assert_eq!((&open["agent"], &open["every_public_host"]), (&json!("a"), &json!(false)));
    assert_eq!((&open["hosts"][0]["host"], &open["hosts"][0]["port"]), (&json!("api.example.com"), &json!(port)));
    let open = body(&talk(world.b, 3128, b"GET / HTTP/1.0\r\nhost: egress\r\n\r\n"));
    assert_eq!((&open["every_public_host"], &open["hosts"]), (&json!(true), &json!([])), "each agent's own");

    let other = body(&talk(world.a, 3128, &connect("api.example.com", 1)));
    assert_eq!(
        (&other["error"]["code"], &other["error"]["rule"]),
        (&json!("other-port"), &json!(format!("egress://api.example.com:{port}")))
    );
}

#[test]
fn a_client_that_knows_no_proxy_is_served_by_the_name_in_its_first_message() {
    let port = host();
    let own = own_address().to_string();
    let rules = json!([rule("a.example", port), rule("b.example", port)]);
    let world = World::new(rules, &[("a.example", &own), ("b.example", &own), ("c.example", &own)]);
    // Two hosts have this port: the name inside decides.
    let first = hello("b.example");
    let mut stream = open(world.a, port, &first[..20]);
    std::thread::sleep(Duration::from_millis(30));
    stream.write_all(&first[20..]).expect("sent");
    let mut said = vec![0; first.len()];
    stream.read_exact(&mut said).expect("an answer");
    assert_eq!(said, first.to_ascii_uppercase(), "every byte of it, once");
    assert_eq!(talk(world.a, port, &hello("c.example")), [21, 3, 3, 0, 2, 2, 49], "an alert: access denied");
    assert_eq!(world.denied("not-allowed")["via"], "tls");
    // Without a name nobody is meant.
    assert!(talk(world.a, port, b"\0\0\0\0").starts_with(b"HTTP/1.1 400"));
    world.denied("no-name");
    let get = talk(world.a, port, b"GET /x HTTP/1.0\r\nhost: a.example\r\n\r\n");
    assert!(
        get.starts_with(b"GET /X HTTP/1.0\r\nHOST: A.EXAMPLE\r\nCONNECTION: CLOSE\r\n"),
        "{}",
        String::from_utf8_lossy(&get)
    );
    assert!(talk(world.a, 80, b"GET / HTTP/1.1\r\nhost: a.example\r\n\r\n").starts_with(b"HTTP/1.1 403"));
}

#[test]
fn a_tunnel_to_one_host_is_none_to_another_at_its_address() {
    // The port of TLS, at an address of this machine that nobody else listens at.
    let listener = std::net::TcpListener::bind(SocketAddr::new(own_address(), 443)).expect("port 443 is free");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut bytes = [0; 4096];
            let count = stream.read(&mut bytes).expect("words");
            stream.write_all(&bytes[..count]).expect("sent");
        }
    });
    let own = own_address().to_string();
    let world = World::new(json!([rule("a.example", 443), rule("b.example", 443)]), &[("a.example", &own)]);
    let inside = |first: &[u8]| {
        let mut tunnel = open(world.a, 3128, &connect("a.example", 443));
        assert!(read_head(&mut tunnel).starts_with("HTTP/1.1 200"));
        tunnel.write_all(first).expect("sent");
        let mut said = Vec::new();
        let _ = tunnel.read_to_end(&mut said);
        said
    };
    assert_eq!(inside(&hello("a.example")), hello("a.example"));
    assert_eq!(inside(&hello("b.example")), hello("b.example"), "another that the agent may reach");
    assert_eq!(inside(b"SSH-2.0-x\r\n"), b"SSH-2.0-x\r\n", "what is no TLS passes");
    assert_eq!(inside(&hello("evil.example")), [21, 3, 3, 0, 2, 2, 49]);
    assert_eq!(world.denied("not-allowed")["host"], "evil.example");
    // Not even in one piece with the head.
    let mut tunnel = open(world.a, 3128, &[connect("a.example", 443), hello("evil.example")].concat());
    assert!(read_head(&mut tunnel).starts_with("HTTP/1.1 200"));
    let mut said = Vec::new();
    let _ = tunnel.read_to_end(&mut said);
    assert_eq!(said, [21, 3, 3, 0, 2, 2, 49]);
}

#[test]
fn a_port_with_one_host_is_a_way_to_it_whoever_speaks_first() {
    let listener = std::net::TcpListener::bind(SocketAddr::new(own_address(), 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            stream.expect("a connection").write_all(b"220 ready\r\n").expect("sent");
        }
    });
    let world = World::new(json!([rule("db.example", port)]), &[("db.example", &own_address().to_string())]);
    assert_eq!(talk(world.a, port, b""), b"220 ready\r\n");
    assert_eq!(world.wait("was written", || world.said("egress").pop())["via"], "tcp");
    // Another agent is not even heard there.
    assert!(std::net::TcpStream::connect(SocketAddr::new(world.b, port)).is_err());
}

#[test]
fn a_name_that_leads_inside_is_shut_whatever_it_said_before() {
    let port = host();
    let own = own_address().to_string();
    let names = [
        ("private.example", own.as_str()),
        ("loop.example", "127.0.0.1"),
        ("meta.example", "169.254.169.254"),
        ("meta6.example", "fd00:ec2::254"),
        ("mapped.example", "::ffff:169.254.169.254"),
        ("inside.example", "127.91.9.9"),
        // The second answer of a name that is bound again.
        ("rebound.example", "169.254.169.254"),
        ("rebound.example", &own),
    ];
    let open_rules: Vec<Value> = names.iter().map(|(name, _)| rule(name, port)).collect();
    let mut closed = rule("closed.example", port);
    closed["private"] = json!(false);
    let all: Vec<Value> =
        open_rules.into_iter().chain([closed, rule("127.0.0.1", port), rule("169.254.169.254", 80)]).collect();
    let names: Vec<(&str, &str)> = names.into_iter().chain([("closed.example", own.as_str())]).collect();
    let world = World::new(json!(all), &names);
    let code = |gate, host: &str, port| {
        let said = talk(gate, 3128, &connect(host, port));
        if said.starts_with(b"HTTP/1.1 200") { json!("open") } else { body(&said)["error"]["code"].clone() }
    };
    for shut in ["loop.example", "meta.example", "meta6.example", "mapped.example", "inside.example", "127.0.0.1"] {
        assert_eq!(code(world.a, shut, port), "shut-address", "{shut}");
    }
    assert_eq!(code(world.a, "169.254.169.254", 80), "shut-address");
    assert_eq!(code(world.a, "closed.example", port), "private-address");
    // An agent that may go everywhere may not go inside.
    for (host, reason) in
        [("private.example", "private-address"), ("loop.example", "shut-address"), ("10.1.2.3", "private-address")]
    {
        assert_eq!(code(world.b, host, port), reason, "{host}");
    }
    let mut tunnel = open(world.a, 3128, &connect("rebound.example", port));
    assert!(read_head(&mut tunnel).starts_with("HTTP/1.1 200"), "the address that may be reached is");
}

#[test]
fn names_that_no_rule_has_do_not_exist() {
    let world = World::new(json!([rule("*.example.com", 443)]), &[]);
    assert_eq!(ask(world.a, "api.example.com"), (0, Some(world.a)));
    assert_eq!(ask(world.a, "c2VjcmV0.evil.example"), (3, None));
    assert_eq!(ask(world.b, "anything.example"), (0, Some(world.b)));
    let line = world.denied("not-allowed");
    assert_eq!((&line["host"], &line["via"]), (&json!("c2VjcmV0.evil.example"), &json!("dns")));
    // Over TCP too, one question after the other.
    let mut query = vec![0, 29, 1, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    query.extend_from_slice(b"\x03api\x07example\x00\x00\x01\x00\x01");
    let length = u8::try_from(query.len() - 2).expect("short");
    query[1] = length;
    let said = talk(world.a, 53, &[query.clone(), query].concat());
    assert_eq!(said.len(), 2 * (2 + usize::from(length)), "{said:?}");
    assert_eq!(said[5] & 15, 3);
}

#[test]
fn new_rules_hold_at_once_and_end_what_they_no_longer_allow() {
    let port = host();
    let own = own_address().to_string();
    let world = World::new(json!([rule("a.example", port)]), &[("a.example", &own), ("b.example", &own)]);
    let mut kept = open(world.a, 3128, &connect("a.example", port));
    read_head(&mut kept);
    assert!(talk(world.a, 3128, &connect("b.example", port)).starts_with(b"HTTP/1.1 403"));
    world.write(json!([rule("a.example", port), rule("b.example", port), rule("c.example", 7001)]));
    world.wait("loaded them", || (world.said("egress_rules").len() == 2).then_some(()));
    let mut new = open(world.a, 3128, &connect("b.example", port));
    assert!(read_head(&mut new).starts_with("HTTP/1.1 200"));
    assert!(std::net::TcpStream::connect(SocketAddr::new(world.a, 7001)).is_ok(), "a new port is heard");
    kept.write_all(b"still").expect("sent");
    let mut said = [0; 5];
    kept.read_exact(&mut said).expect("it was allowed before and after");

    world.write(json!([rule("a.example", port)]));
    assert_eq!(new.read(&mut said).unwrap_or(0), 0, "what is no longer allowed ends");
    assert_eq!(world.wait("was written", || world.said("egress_closed").pop())["host"], "b.example");
    kept.write_all(b"still").expect("sent");
    kept.read_exact(&mut said).expect("what is still allowed goes on");
    assert!(std::net::TcpStream::connect(SocketAddr::new(world.a, 7001)).is_err(), "an old port is not");

    // Rules that are none change nothing.
    world.write(json!({"no": "rules"}));
    let line =
        world.wait("refused them", || world.said("egress_rules").into_iter().find(|line| line["detail"] == "refused"));
    assert!(line["error"].as_str().expect("why").contains("invalid type"), "{line}");
    kept.write_all(b"still").expect("sent");
    kept.read_exact(&mut said).expect("the old ones hold");
}

#[test]
fn the_way_in_is_for_those_outside() {
    let world = World::new(json!([]), &[]);
    // No agent listens there: the connection ends, and is not taken for an agent's.
    assert_eq!(talk(world.outside, 20000, b"hello"), b"");
    assert!(std::net::TcpStream::connect(SocketAddr::new(world.a, 20000)).is_err());
    let ready = talk(world.outside, 3129, b"GET /ready HTTP/1.0\r\n\r\n");
    assert!(ready.starts_with(b"HTTP/1.1 200") && ready.ends_with(b"ready\n"));
}

#[test]
fn one_that_says_nothing_or_too_much_is_let_go_and_lines_are_bounded() {
    let world = World::new(json!([]), &[]);
    let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(20_000));
    assert!(talk(world.a, 3128, long.as_bytes()).starts_with(b"HTTP/1.1 400"));
    for _ in 0..300 {
        ask(world.a, "flood.example");
    }
    let count = world.said("egress_denied").len();
    assert!((100..130).contains(&count), "{count} lines of 300");
    // The other agent's lines are its own.
    let before = world.said("egress_denied").len();
    assert_eq!(talk(world.b, 443, b"nothing\r\n\r\n").len().min(1), 1);
    assert_eq!(world.said("egress_denied").len(), before + 1);
}

#[test]
fn what_comes_in_bulk_arrives_whole() {
    let listener = std::net::TcpListener::bind(SocketAddr::new(own_address(), 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let receiver = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let (mut bytes, mut all) = (vec![0; 70_000], Vec::new());
        while let Ok(count @ 1..) = stream.read(&mut bytes) {
            all.extend_from_slice(&bytes[..count]);
            // Now and then it is slower than its writer.
            if all.len() % 13 == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        stream.write_all(b"done").expect("sent");
        all
    });
    let world = World::new(json!([rule("a.example", port)]), &[("a.example", &own_address().to_string())]);
    let sent: Vec<u8> = (0..64_u32 << 20).map(|index| u8::try_from(index * 31 % 251).expect("small")).collect();
    let mut stream = open(world.a, port, &sent);
    stream.shutdown(std::net::Shutdown::Write).expect("the end");
    let mut said = Vec::new();
    stream.read_to_end(&mut said).expect("an answer");
    assert_eq!(said, b"done", "the end of one way is not the end of the other");
    assert!(receiver.join().expect("received") == sent, "every byte, in order");
    let passed = world.wait("was written", || world.said("egress").pop());
    assert_eq!((&passed["bytes_out"], &passed["bytes_in"]), (&json!(64 << 20), &json!(4)));
}

/// Opens a connection from an address of one's own.
fn from(source: &str, to: SocketAddr) -> std::io::Result<std::net::TcpStream> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(source.parse().expect("an address"), 0))?;
        socket.connect(to).await?.into_std()
    })?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    Ok(stream)
}

#[test]
fn whose_a_connection_is_says_where_it_comes_from_and_not_where_it_goes_alone() {
    let port = host();
    let own = own_address().to_string();
    let world = World::new(json!([rule("a.example", port)]), &[("a.example", &own)]);
    let gate = SocketAddr::new(world.a, 3128);
    let said = |source: &str| {
        let mut stream = from(source, gate).expect("the gate takes it");
        stream.write_all(&connect("a.example", port)).expect("sent");
        read_head(&mut stream)
    };
    assert!(said("127.0.0.1").starts_with("HTTP/1.1 200"), "from the agent's network");
    assert_eq!(said("127.91.200.9"), "", "from another's");
    assert_eq!(world.said("egress_denied"), Vec::<Value>::new(), "and in nobody's name");
    // Names too, and the way in.
    let socket = UdpSocket::bind("127.91.200.9:0").expect("a socket");
    socket.set_read_timeout(Some(Duration::from_millis(300))).expect("a limit");
    let query = [&[9, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1][..], b"a\x07example\0\0\x01\0\x01"].concat();
    socket.send_to(&query, SocketAddr::new(world.a, 53)).expect("sent");
    assert!(socket.recv(&mut [0; 512]).is_err(), "no answer");
    let mut inward = from("127.91.200.9", SocketAddr::new(world.outside, 20000)).expect("it is taken");
    assert_eq!(inward.read(&mut [0; 8]).unwrap_or(0), 0, "an agent is not outside");
}

#[test]
fn one_agent_has_its_share_of_what_is_held() {
    let world = World::new(json!([]), &[]);
    // Each says nothing for as long as it may; half of all that may is one agent's.
    let held: Vec<std::net::TcpStream> = (0..512).map(|_| open(world.a, 3128, b"GET")).collect();
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(talk(world.a, 3128, b"GET"), b"");
    assert_eq!(world.denied("too-many-connections")["claw_id"], "a");
    assert!(
        talk(world.b, 3128, b"GET / HTTP/1.0\r\nhost: x\r\n\r\n").starts_with(b"HTTP/1.1 200"),
        "another has its own"
    );
    drop(held);
    // A question over TCP that would take much room is none.
    assert_eq!(talk(world.a, 53, &[0xff, 0xff, 0, 0]), b"");
}
