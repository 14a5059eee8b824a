//! Commands on containers that run: exec, cp, stop, start, restart, wait, top, images, port.

use std::io::Write;
use std::process::{Command, Stdio};

use super::{Pod, SIZE, docker, shell};

fn pod(name: &str, services: &str) -> Pod {
    let pod = Pod::new(name);
    shell(&pod);
    let services = services.replace("BOX", &format!("image: {}-box, build: box, stop_signal: SIGKILL", pod.name));
    pod.write("compose.yaml", &format!("services:\n{services}"));
    pod.ok(&["up", "-d"]);
    pod
}

/// Runs claw with a text on standard input.
fn fed(pod: &Pod, arguments: &[&str], text: &str) -> (Option<i32>, String, String) {
    let mut child = pod
        .command(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("claw runs");
    child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("ended");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_command_is_run_inside_with_what_it_is_given() {
    let pod = pod("exec", "  web: {BOX, command: [sleep, '1000'], environment: {A: own}}\n");
    let script = "cat; echo $A $B $(pwd) >&2; id -u; exit 7";
    let call = ["exec", "-T", "-e", "B=given", "-w", "/bin", "-u", "5", "web", "sh", "-c", script];
    assert_eq!(fed(&pod, &call, "in\n"), (Some(7), "in\n5\n".to_owned(), "own given /bin\n".to_owned()));
    let run = pod.run(&["exec", "-T", "web", "nope"]);
    assert_ne!(run.code, Some(0), "{run:?}");
    let run = pod.run(&["exec", "wbe", "true"]);
    assert!(run.code == Some(2) && run.stderr.contains("did you mean `web`?"), "{run:?}");
    // At a terminal the command has one, of the same size.
    let claw = format!("stty rows 33 cols 77; {} -p {}", env!("CARGO_BIN_EXE_claw"), pod.name);
    let output = Command::new("script")
        .args(["-qec", &format!("{claw} exec web sh -c '{SIZE}'"), "/dev/null"])
        .current_dir(&pod.folder.0)
        .stdin(Stdio::null())
        .output()
        .expect("script runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("33 77"), "{said:?}");
    pod.ok(&["down", "-v"]);
}

#[test]
fn files_go_in_and_out() {
    let pod = pod("cp", "  web: {BOX, command: [sleep, '1000']}\n");
    pod.write("in/a.txt", "one").write("in/b/c.txt", "two").write("there/.keep", "");
    pod.ok(&["cp", "in", "web:/copied"]);
    pod.ok(&["cp", "in/a.txt", "web:/bin"]);
    assert_eq!(docker(&["exec", &pod.container("web"), "cat", "/copied/b/c.txt", "/bin/a.txt"]), "twoone");
    // What is in a directory, and a link as a link.
    pod.write("more/d.txt", "three");
    std::os::unix::fs::symlink("/nowhere", pod.folder.0.join("more/link")).expect("a link");
    pod.ok(&["cp", "more/.", "web:/copied"]);
    let found = docker(&["exec", &pod.container("web"), "sh", "-c", "cat /copied/d.txt; readlink /copied/link"]);
    assert_eq!(found, "three/nowhere");
    docker(&["exec", &pod.container("web"), "rm", "/copied/link"]);
    pod.ok(&["cp", "web:/copied", "there"]);
    pod.ok(&["cp", "web:/copied/a.txt", "renamed.txt"]);
    let read = |name: &str| std::fs::read_to_string(pod.folder.0.join(name)).expect(name);
    assert_eq!((read("there/copied/b/c.txt"), read("renamed.txt")), ("two".to_owned(), "one".to_owned()));
    let run = pod.run(&["cp", "web:/none", "x"]);
    assert!(run.code == Some(1) && run.stderr.contains("could not copy from"), "{run:?}");
    assert_eq!(pod.run(&["cp", "a", "b"]).code, Some(2));
    // What is longer than any buffer on the way goes through, and is not waited for where nobody takes it.
    let big = "0123456789abcdef".repeat(1 << 19);
    pod.write("big", &big);
    pod.ok(&["cp", "big", "web:/copied"]);
    pod.ok(&["cp", "web:/copied/big", "back"]);
    assert!(read("back") == big);
    let run = pod.run(&["cp", "big", "web:/none/of/it"]);
    assert!(run.code == Some(1) && run.stderr.contains("could not copy to"), "{run:?}");
    pod.ok(&["down", "-v"]);
}

#[test]
fn containers_are_stopped_started_and_told_of() {
    let services = "  web: {BOX, command: [sleep, '1000'], ports: ['127.0.0.1::80'], depends_on: {db: {condition: service_started, \
                    restart: true}}}\n  db: {BOX, command: [sleep, '1000']}\n  job: {BOX, command: [sh, -c, 'sleep 5; exit 3']}\n";
    let pod = pod("lifecycle", services);
    let (web, db) = (pod.id("web"), pod.id("db"));
    let started = |name: &str| docker(&["inspect", "-f", "{{.State.StartedAt}}", &pod.container(name)]);
    assert!(pod.ok(&["port", "web", "80"]).starts_with("127.0.0.1:"));
    assert_eq!(pod.run(&["port", "web", "81"]).code, Some(2));
    let top = pod.ok(&["top", "web"]);
    assert!(top.starts_with("SERVICE  UID") && top.contains("sleep 1000"), "{top}");
    assert!(pod.ok(&["images", "db"]).contains(&format!("db       {}-box", pod.name)));
    let run = pod.run(&["wait", "job"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(3), "job 3\n"), "{run:?}");
    assert_eq!(pod.ok(&["stop"]), "2 stopped\n");
    assert_eq!(pod.ok(&["stop"]), "nothing ran\n");
    assert_eq!(pod.ok(&["start", "web", "db"]), "2 started\n");
    assert_eq!(pod.ok(&["start", "web", "db"]), "everything runs\n");
    let (before_web, before_db) = (started("web"), started("db"));
    assert!(before_db < before_web, "what is needed starts first");
    assert_eq!(pod.ok(&["restart", "db"]), "2 started\n", "with who asks for it");
    assert!(started("db") > before_db && started("web") > before_web);
    assert_eq!((pod.id("web"), pod.id("db")), (web, db), "they are the same containers");
    pod.ok(&["down", "-v"]);
    assert_eq!(pod.run(&["start"]).code, Some(2), "nothing is there");
}
