//! Ways out of an agent's container that need more than any host has, each seen to work without walls first: cloud metadata, names that
//! carry secrets, IPv6, programs that make root, logs without end. The others are those of `claw doctor --deep`. And the ways that are open: by rule, and
//! through the gate to an agent's port.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use super::{Pod, build, docker, shell};
use crate::proxy::schema;

/// Where clouds answer their machines.
const METADATA: &str = "169.254.169.254";

/// Returns the address this machine has in its network.
fn own_address() -> IpAddr {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    socket.connect("192.0.2.1:9").expect("a route");
    socket.local_addr().expect("an address").ip()
}

/// Starts a host that answers every request over HTTP.
fn host(address: SocketAddr) -> u16 {
    let listener = TcpListener::bind(address).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let _ = stream.set_read_timeout(Some(Duration::from_secs(2)));
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi");
        }
    });
    port
}

/// An address more on this machine's loopback, until the value goes.
struct Address(String);

impl Address {
    fn add(address: &str) -> Self {
        let place = format!("{address}/32");
        // A run that was killed has left it there.
        let added = Command::new("ip").args(["address", "replace", &place, "dev", "lo"]).status().expect("ip runs");
        assert!(added.success(), "the test needs root to add {place}");
        Self(place)
    }
}

impl Drop for Address {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["address", "del", &self.0, "dev", "lo"]).status();
    }
}

/// A pod with an agent that tries things, which may reach one host, and another that others may reach from outside.
fn pod(name: &str, more: &str) -> Pod {
    let pod = Pod::new(name);
    pod.write("AGENTS.md", "# Mole\n");
    let text = "x-claw: {}\nservices:\n  mole:\n    image: claw/infra\n    entrypoint: [/bin/claw]\n    command: [hostile, wait, '900']\n    DNS\n    x-claw: {type: generic, agent: AGENTS.md, egress: [EGRESS]}\n  heard:\n    image: claw/infra\n    entrypoint: [/bin/claw]\n    command: [hostile, listen, '7000', '900']\n    ports: ['7000']\n    x-claw: {type: generic, agent: AGENTS.md}\n";
    pod.write("claw-pod.yml", &text.replace("    DNS\n", "").replace("EGRESS", more));
    pod
}

/// What an attempt in a container said: whether it came through, and how.
fn tried(arguments: &[&str]) -> (bool, String) {
    let output = Command::new("docker").args(arguments).output().expect("the docker client runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let line: Value = serde_json::from_str(said.trim()).unwrap_or(Value::Null);
    let why = format!("{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(line["succeeded"].is_boolean(), "{arguments:?}: {why}");
    (line["succeeded"] == true, why)
}

/// An attempt of the agent.
fn mole(pod: &Pod, attempt: &[&str]) -> (bool, String) {
    tried(&[&["exec", &pod.container("mole"), "/bin/claw", "hostile"], attempt].concat())
}

/// The same without walls: `options` are those of `docker run`.
fn control(options: &[&str], attempt: &[&str]) -> (bool, String) {
    let image = format!("claw/infra:{}", env!("CARGO_PKG_VERSION"));
    let run = [&["run", "--rm"], options, &["--entrypoint", "/bin/claw", &image, "hostile"], attempt].concat();
    tried(&run)
}

#[test]
fn cloud_metadata_is_shut_by_address_and_through_the_gate() {
    let _address = Address::add(METADATA);
    let metadata: IpAddr = METADATA.parse().expect("an address");
    host(SocketAddr::new(metadata, 80));
    let pod = pod("metadata", "open");
    pod.ok(&["up", "-d", "--wait"]);
    let place = format!("{METADATA}:80");
    assert!(control(&[], &["http", &place]).0, "without walls it answers");
    assert!(!mole(&pod, &["http", &place]).0);
    let (came, why) = mole(&pod, &["tunnel", "egress:3128", &place]);
    assert!(!came && why.contains("403"), "{why}");
    let lines = pod.ok(&["audit", "mole", "--type", "egress_denied", "--json"]);
    assert!(lines.contains("\"reason\":\"shut-address\""), "{lines}");
}

#[test]
fn no_name_carries_anything_out() {
    let own = own_address();
    let Ok(server) = UdpSocket::bind(SocketAddr::new(own, 53)) else { panic!("port 53 of {own} must be free") };
    let asked: Arc<Mutex<Vec<u8>>> = Arc::default();
    let heard = Arc::clone(&asked);
    std::thread::spawn(move || {
        let mut query = [0; 1500];
        while let Ok((count, from)) = server.recv_from(&mut query) {
            heard.lock().expect("nobody panicked").extend_from_slice(&query[..count]);
            // Any answer is one to whoever tunnels.
            let mut answer = [&query[..2], &[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0], &query[12..count]].concat();
            answer.extend_from_slice(&[0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 192, 0, 2, 7]);
            let _ = server.send_to(&answer, from);
        }
    });
    let has = |mark: &str| {
        let bytes = asked.lock().expect("nobody panicked");
        bytes.windows(mark.len()).any(|window| window == mark.as_bytes())
    };
    let pod = pod("names", "a.example.com");
    let text = std::fs::read_to_string(pod.folder.0.join("claw-pod.yml")).expect("the pod");
    pod.ok(&["up", "-d", "--wait"]);
    let server = own.to_string();
    assert!(control(&["--dns", &server], &["dns", "resolver", "c0ntr0l.tunnel.example"]).0);
    assert!(has("c0ntr0l"), "without walls the name arrives");
    assert!(!mole(&pod, &["dns", "resolver", "m0le.tunnel.example"]).0);
    assert!(!mole(&pod, &["dns", &format!("{server}:53"), "direct.tunnel.example"]).0);
    assert!(!has("m0le") && !has("direct"));
    // Not even where its operator names a server: from its network nothing gets there.
    pod.write(
        "claw-pod.yml",
        &text.replace("    x-claw: {type", &format!("    dns: ['{server}']\n    x-claw: {{type")),
    );
    pod.ok(&["up", "-d", "--wait"]);
    assert!(!mole(&pod, &["dns", "resolver", "n4med.tunnel.example"]).0);
    assert!(!has("n4med"));
}

#[test]
fn there_is_no_ipv6_inside() {
    let pod = pod("six", "open");
    pod.ok(&["up", "-d", "--wait"]);
    let network = format!("{}-six", pod.name);
    // Addresses of this run's own: no other one that goes on has them, nor what is left of one that was killed.
    let process = std::process::id();
    let subnet = format!("fd77:c1a3:{:x}:{:x}::/64", process >> 16, process & 0xffff);
    docker(&["network", "create", "--label", &pod.mark(), "--ipv6", "--subnet", &subnet, &network]);
    let there = control(&["--network", &network], &["ipv6"]);
    docker(&["network", "rm", &network]);
    assert!(there.0, "{}", there.1);
    assert!(!mole(&pod, &["ipv6"]).0);
}

#[test]
fn a_rule_opens_one_host_and_new_rules_need_no_restart() {
    let own = own_address();
    let (first, second) = (host(SocketAddr::new(own, 0)), host(SocketAddr::new(own, 0)));
    let rule = |port: u16| format!("'{own}:{port} private'");
    let pod = pod("rules", &rule(first));
    pod.ok(&["up", "-d", "--wait"]);
    let through = |port: u16| mole(&pod, &["tunnel", "egress:3128", &format!("{own}:{port}")]).0;
    assert!(through(first) && !through(second));
    assert!(!mole(&pod, &["tcp", &format!("{own}:{first}")]).0, "by name and through the gate, and not beside it");
    let lines = pod.ok(&["audit", "mole", "--type", "egress_denied", "--json"]);
    let line: Value = serde_json::from_str(lines.lines().next().expect("a line")).expect("JSON");
    assert_eq!((&line["reason"], &line["host"]), (&"other-port".into(), &own.to_string().into()));
    assert_eq!(line["place"], "claw-pod.yml: services.mole.x-claw.surfaces");
    for line in pod.ok(&["audit", "--json"]).lines() {
        schema::check(&serde_json::from_str(line).expect("JSON"));
    }

    let before = (pod.id("mole"), pod.id("egress"));
    let text = std::fs::read_to_string(pod.folder.0.join("claw-pod.yml")).expect("the pod");
    pod.write("claw-pod.yml", &text.replace(&rule(first), &rule(second)));
    assert_eq!(pod.run(&["plan", "--exit-code"]).code, Some(3));
    let plan = pod.ok(&["plan"]);
    assert_eq!(plan, "write files of egress: they are new or changed\n");
    pod.ok(&["up", "-d", "--wait"]);
    assert_eq!((pod.id("mole"), pod.id("egress")), before, "both go on");
    let until = std::time::Instant::now() + Duration::from_secs(10);
    while !through(second) && std::time::Instant::now() < until {
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(through(second) && !through(first));
    assert_eq!(pod.ok(&["audit", "--type", "egress_rules", "--json"]).lines().count(), 2, "read, and read again");
    assert_eq!(pod.ok(&["up", "-d"]), "nothing to do\n");
}

#[test]
fn an_agents_port_is_heard_through_the_gate() {
    let pod = pod("heard", "a.example.com");
    pod.ok(&["up", "-d", "--wait"]);
    assert_eq!(docker(&["port", &pod.container("heard")]), "", "the agent itself publishes nothing");
    let published = docker(&["port", &pod.container("egress")]);
    let place = published.lines().find_map(|line| line.split_once("-> ")).expect("a port").1;
    assert!(place.starts_with("127.0.0.1:"), "{published}");
    // People see it as the agent's.
    assert_eq!(pod.ok(&["port", "heard", "7000"]), format!("{place}\n"));
    let shown = pod.ok(&["ps"]);
    let row = |name: &str| shown.lines().find(|line| line.starts_with(name)).expect("a row").to_owned();
    assert!(row("heard").contains(&format!("{place}->7000/tcp")) && !row("egress").contains("->"), "{shown}");
    let mut stream = TcpStream::connect(place).expect("the gate");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a limit");
    // What the agent answers, as an attempt asks it.
    let word = b"claw: is anybody there?\n";
    stream.write_all(word).expect("sent");
    let mut said = [0; 24];
    stream.read_exact(&mut said).expect("an answer");
    assert_eq!(&said, word);
    // Another agent does not get there that way.
    let gate = format!("{{{{(index .NetworkSettings.Networks \"{}_claw-mole\").IPAddress}}}}", pod.name);
    let gate = docker(&["inspect", "-f", &gate, &pod.container("egress")]);
    assert!(!mole(&pod, &["tcp", &format!("{gate}:20000")]).0);
    pod.ok(&["down", "-v"]);
    pod.leaves_nothing();
}

#[test]
fn a_program_of_roots_makes_no_root_and_logs_end() {
    let pod = Pod::new("setuid");
    shell(&pod);
    pod.write("AGENTS.md", "# Mole\n").write("box/passwd", "root::0:0::/:/bin/sh\nmole:x:1000:1000::/:/bin/sh\n");
    let file = pod.folder.0.join("box/Dockerfile");
    let text = std::fs::read_to_string(&file).expect("a Dockerfile");
    let text = text.replace("CMD", "COPY passwd /etc/passwd\nRUN cp /bin/busybox /bin/busybox-suid && chmod 4755 /bin/busybox-suid\nUSER 1000:1000\nCMD");
    std::fs::write(&file, text).expect("written");
    let tag = format!("{}-box", pod.name);
    build(&pod, &tag);
    let script = "/bin/busybox-suid su root -c 'id -u' 2>&1";
    let free = docker(&["run", "--rm", &tag, "/bin/sh", "-c", script]);
    assert_eq!(free, "0", "without walls it is root");
    // Sixty megabytes to each log.
    let noise =
        "yes 0123456789012345678901234567890123456789012345678901234567890123456789 | head -c 60000000; sleep 600";
    pod.write(
        "claw-pod.yml",
        &format!("services:\n  mole:\n    image: {tag}\n    command: [/bin/sh, -c, \"{noise}\"]\n    x-claw: {{type: generic, agent: AGENTS.md}}\n"),
    );
    pod.ok(&["up", "-d"]);
    let held = Command::new("docker").args(["exec", &pod.container("mole"), "/bin/sh", "-c", script]).output();
    let held = String::from_utf8_lossy(&held.expect("docker runs").stdout).trim().to_owned();
    assert_ne!(held, "0", "a program of root's makes no root");
    let control = format!("{}-loud", pod.name);
    docker(&["run", "-d", "--name", &control, &tag, "/bin/sh", "-c", noise]);
    let size = |container: &str| {
        let path = docker(&["inspect", "-f", "{{.LogPath}}", container]);
        let path = std::path::Path::new(&path);
        let all = std::fs::read_dir(path.parent().expect("a folder")).expect("the engine's files, as root").flatten();
        all.filter(|entry| entry.file_name().to_string_lossy().contains("-json.log"))
            .filter_map(|entry| entry.metadata().ok())
            .map(|found| found.len())
            .sum::<u64>()
    };
    let until = std::time::Instant::now() + Duration::from_secs(90);
    while size(&control) < 60_000_000 && std::time::Instant::now() < until {
        std::thread::sleep(Duration::from_millis(500));
    }
    let (free, held) = (size(&control), size(&pod.container("mole")));
    docker(&["rm", "-f", &control]);
    assert!(free >= 60_000_000, "without a limit all of it is kept: {free}");
    assert!(held < 33_000_000, "three files of ten megabytes: {held}");
}

/// What does not hold by itself: docs/security.md says so, and `claw doctor` whether it does here.
#[test]
fn a_datagram_on_the_link_reaches_the_host_where_it_does_not_filter_paths() {
    let pod = pod("link", "a.example.com");
    pod.ok(&["up", "-d", "--wait"]);
    let server = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    server.set_read_timeout(Some(Duration::from_secs(3))).expect("a limit");
    let port = server.local_addr().expect("an address").port();
    let process = docker(&["inspect", "-f", "{{.State.Pid}}", &pod.container("mole")]);
    // 25 is SO_BINDTODEVICE: no privilege is needed for either option.
    let script = format!(
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.setsockopt(socket.SOL_SOCKET, 25, b'eth0\\0'); \
         s.setsockopt(socket.SOL_SOCKET, socket.SO_DONTROUTE, 1); s.sendto(b'link', ('{}', {port}))",
        own_address()
    );
    let sent = Command::new("nsenter").args(["-t", &process, "-n", "/usr/bin/python3", "-c", &script]).status();
    assert!(sent.expect("nsenter runs").success());
    let arrived = server.recv(&mut [0; 16]).is_ok();
    // The kernel takes the larger one of `all` and of the interface, and a new bridge has that of `default`. Where the host has no
    // address the loose filter, 2, holds as the strict one does.
    let filter = |name: &str| {
        let text = std::fs::read_to_string(format!("/proc/sys/net/ipv4/conf/{name}/rp_filter")).expect("Linux");
        text.trim().parse::<u8>().expect("a number")
    };
    assert_eq!(arrived, filter("all").max(filter("default")) == 0);
    let said = pod.run(&["doctor"]).stdout;
    let row = said.lines().find(|line| line.contains("datagrams to the host")).expect("a row");
    assert_eq!(row.contains("refused"), !arrived, "{row}");
}

#[test]
fn addresses_that_another_network_has_are_told_with_what_moves_the_pod() {
    let pod = pod("clash", "a.example.com");
    pod.ok(&["compile"]);
    let text = std::fs::read_to_string(pod.folder.0.join("compose.generated.yml")).expect("the file");
    let subnet = text.split("  claw-mole:\n    ").nth(1).and_then(|network| network.split("subnet: \"").nth(1));
    let subnet = subnet.and_then(|rest| rest.split('"').next()).expect("a subnet");
    let other = format!("{}-other", pod.name);
    docker(&["network", "create", "--label", &pod.mark(), "--subnet", subnet, &other]);
    let run = pod.run(&["up", "-d"]);
    let file = pod.folder.0.join("claw-pod.yml");
    let moved =
        std::fs::read_to_string(&file).expect("the pod").replace("x-claw: {}", "x-claw: {subnets: 10.97.0.0/16}");
    std::fs::write(&file, moved).expect("written");
    let then = pod.run(&["up", "-d", "--wait"]);
    docker(&["network", "rm", &other]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains(subnet) && run.stderr.contains("x-claw: {subnets: 10.99.0.0/16}"), "{run:?}");
    assert_eq!(then.code, Some(0), "{then:?}");
}
