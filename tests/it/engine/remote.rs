//! An engine at an address that is not this machine's own: what it cannot see is refused before anything is made.

use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;

use super::{Pod, docker};
use crate::claw_with;

/// Hands every connection of an address on to the engine's socket.
fn forward(listener: TcpListener) {
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || both_ways(client));
        }
    });
}

fn both_ways(mut client: TcpStream) -> Option<()> {
    let mut engine = UnixStream::connect(super::socket()).ok()?;
    let (mut from, mut to) = (client.try_clone().ok()?, engine.try_clone().ok()?);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
    let _ = std::io::copy(&mut engine, &mut client);
    let _ = client.shutdown(std::net::Shutdown::Both);
    Some(())
}

#[test]
fn an_engine_elsewhere_does_not_have_the_files_of_this_machine() {
    let pod = Pod::of("quickstart", "remote");
    // An address of this machine that is not the loopback: the gateway of the engine's own bridge.
    let gateway = docker(&["network", "inspect", "bridge", "-f", "{{(index .IPAM.Config 0).Gateway}}"]);
    let listener = TcpListener::bind(format!("{gateway}:0")).expect("the gateway is an address of this machine");
    let address = format!("tcp://{}", listener.local_addr().expect("bound"));
    forward(listener);
    let claw = |arguments: &[&str], more: &[(&str, &str)]| {
        let variables = [&[("DOCKER_HOST", address.as_str())], more].concat();
        claw_with(&pod.folder.0, &[&["-p", &pod.name], arguments].concat(), &variables)
    };
    let run = claw(&["up", "-d"], &[]);
    assert_eq!(run.code, Some(1), "{run:?}");
    let why = format!(
        "the engine at `{address}` is on another machine, which does not have the files of this one that `egress`, `writer` mounts"
    );
    assert!(run.stderr.contains(&why), "{run:?}");
    assert_eq!(pod.left(&["ps", "-a"]), Vec::<String>::new(), "no container was made");
    // Looking needs no files.
    assert_eq!(claw(&["ps"], &[]).code, Some(0));
    // Both see the same files here, which somebody must say.
    let shared = [("CLAW_ENGINE_SHARES_FILES", "1")];
    let run = claw(&["up", "-d", "--wait"], &shared);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(claw(&["ask", "writer", "hello"], &shared).stdout, "I am Writer. Turn 1: hello\n");
    assert_eq!(claw(&["down", "-v"], &[]).code, Some(0));
    pod.leaves_nothing();
}
