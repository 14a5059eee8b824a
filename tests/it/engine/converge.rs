//! What `up` is asked for beside what differs, and what it puts back.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use super::services::{compose, job, pod, sleeper};
use super::{Pod, docker};
use crate::proxy::free_port;

/// What is set of a container, with docker's own client.
fn of(container: &str, field: &str) -> String {
    docker(&["inspect", "-f", &format!("{{{{.{field}}}}}"), container])
}

fn count(pod: &Pod, service: &str) -> usize {
    let filter = format!("label=com.docker.compose.service={service}");
    let project = format!("label=com.docker.compose.project={}", pod.name);
    docker(&["ps", "-q", "--filter", &filter, "--filter", &project]).lines().count()
}

#[test]
fn what_is_asked_for_is_done_though_nothing_differs() {
    let web = sleeper("web", "    depends_on: [db]\n");
    let pod = pod("asked", &format!("{web}{}", sleeper("db", "")));
    // Without what it depends on.
    pod.ok(&["up", "-d", "--no-deps", "web"]);
    assert_eq!(count(&pod, "db"), 0);
    pod.ok(&["up", "-d"]);
    let before = [pod.id("web"), pod.id("db")];
    // Those that are named, not what they depend on.
    assert!(
        pod.ok(&["plan", "--force-recreate", "web"]).contains("create container web: `--force-recreate` asks for it\n")
    );
    pod.ok(&["up", "-d", "--force-recreate", "web"]);
    assert_ne!(pod.id("web"), before[0]);
    assert_eq!(pod.id("db"), before[1]);
    // As many as are asked for, until the next run.
    pod.ok(&["up", "-d", "--scale", "db=3"]);
    assert_eq!(count(&pod, "db"), 3);
    pod.ok(&["up", "-d", "--scale", "db=2"]);
    assert_eq!((count(&pod, "db"), pod.id("db")), (2, before[1].clone()));
    pod.ok(&["up", "-d"]);
    assert_eq!((count(&pod, "db"), pod.id("db")), (1, before[1].clone()));
    let run = pod.run(&["up", "-d", "--scale", "nope=2"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("there is no service `nope`"), "{run:?}");
    // A build that changes nothing makes no container anew.
    let before = pod.id("web");
    let run = pod.run(&["up", "-d", "--build"]);
    assert!(run.code == Some(0) && run.stderr.contains("build image of db: `--build` asks for it"), "{run:?}");
    assert_eq!(pod.id("web"), before);
    docker(&["rmi", "-f", &format!("{}-box", pod.name)]);
    let run = pod.run(&["up", "-d", "--no-build", "--force-recreate"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("which the engine does not have"), "{run:?}");
    pod.ok(&["down", "-v"]);
}

#[test]
fn what_secrets_and_configs_hold_counts() {
    let web = sleeper("web", "    secrets: [key]\n    configs: [settings]\n");
    let services = format!("{web}{}", sleeper("db", ""));
    let more = "secrets: {key: {file: ./key}}\nconfigs: {settings: {content: \"a\"}}\n";
    let pod = pod("contents", &format!("{services}{more}"));
    pod.write("key", "first secret");
    pod.ok(&["up", "-d"]);
    assert_eq!(pod.ok(&["plan"]), "nothing to do\n");
    let (web, db) = (pod.id("web"), pod.id("db"));
    pod.write("key", "second secret");
    let shown = pod.ok(&["plan"]);
    assert!(
        shown.starts_with(&format!("remove container {}: what the secret `key` holds changed\n", pod.container("web"))),
        "{shown}"
    );
    pod.ok(&["up", "-d"]);
    assert_ne!(pod.id("web"), web);
    assert_eq!(pod.id("db"), db);
    assert_eq!(docker(&["exec", &pod.container("web"), "cat", "/run/secrets/key"]), "second secret");
    compose(&pod, &format!("{services}{}", more.replace("\"a\"", "\"b\"")));
    assert!(pod.ok(&["plan"]).contains("what the config `settings` holds changed"));
    let labels = docker(&["inspect", "-f", "{{json .Config.Labels}}", &pod.container("web")]);
    assert!(labels.contains("contents.secret key") && !labels.contains("second secret"), "{labels}");
    pod.ok(&["down", "-v"]);
}

#[test]
fn a_replacement_that_fails_gives_way_to_what_was_there() {
    let check = "    healthcheck: {test: [CMD, test, -f, /ready], interval: 200ms, retries: 3}\n    volumes: [/kept]\n    stop_signal: SIGKILL\n";
    let good = job("web", "touch /ready; exec sleep 1000", check);
    let other = |more: &str| job("other", "exec sleep 1000", &format!("    stop_signal: SIGKILL\n{more}"));
    let pod = pod("rollback", &format!("{good}{}", other("")));
    pod.ok(&["up", "-d", "--wait"]);
    docker(&["exec", &pod.container("web"), "sh", "-c", "echo remembered > /kept/note"]);
    let (web, sibling) = (pod.id("web"), pod.id("other"));
    // One that never becomes healthy, beside one that would: both are as before.
    compose(&pod, &format!("{}{}", job("web", "exec sleep 2000", check), other("    environment: {A: b}\n")));
    let shown = pod.ok(&["plan", "--rollback"]);
    assert!(shown.contains(&format!("set aside container {}: command changed\n", pod.container("web"))), "{shown}");
    assert!(shown.contains("wait for container web: it replaces another\n"), "{shown}");
    let run = pod.run(&["up", "-d", "--rollback"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("error: `web` is unhealthy"), "{run:?}");
    assert!(run.stderr.contains(&format!("put back container {}", pod.container("web"))), "{run:?}");
    assert_eq!((pod.id("web"), pod.id("other")), (web.clone(), sibling.clone()));
    assert_eq!(of(&web, "State.Running"), "true");
    assert_eq!(docker(&["exec", &web, "cat", "/kept/note"]), "remembered");
    assert_eq!(pod.left(&["ps", "-a"]).len(), 2, "nothing else is left");
    // One that dies at once.
    compose(&pod, &format!("{}{}", job("web", "exit 3", "    volumes: [/kept]\n"), other("")));
    let run = pod.run(&["up", "-d", "--rollback"]);
    assert!(run.stderr.contains("`web` does not go on running: it exited with 3"), "{run:?}");
    assert_eq!((pod.id("web"), of(&web, "State.Running")), (web.clone(), "true".to_owned()));
    // One that works takes its place, with what the volume holds.
    compose(&pod, &format!("{}{}", job("web", "touch /ready; exec sleep 2000", check), other("")));
    pod.ok(&["up", "-d", "--rollback"]);
    assert_ne!(pod.id("web"), web);
    assert_eq!(docker(&["exec", &pod.container("web"), "cat", "/kept/note"]), "remembered");
    assert_eq!(pod.ok(&["up", "-d"]), "nothing to do\n");
    pod.ok(&["down", "-v"]);
    pod.leaves_nothing();
}

#[test]
fn what_a_killed_run_set_aside_goes_with_the_next() {
    let slow =
        "    healthcheck: {test: [CMD, test, -f, /ready], interval: 200ms, retries: 200}\n    stop_signal: SIGKILL\n";
    let pod = pod("aside", &job("web", "touch /ready; exec sleep 1000", slow));
    pod.ok(&["up", "-d", "--wait"]);
    compose(&pod, &job("web", "sleep 4; touch /ready; exec sleep 1000", slow));
    let mut child = pod.start_until(&["up", "-d", "--rollback"], "wait for container web");
    child.kill().expect("killed");
    child.wait().expect("ended");
    let aside = format!("{}.aside", pod.container("web"));
    assert_eq!(of(&aside, "State.Running"), "false");
    let shown = pod.ok(&["plan"]);
    assert_eq!(shown, format!("remove container {aside}: a run that did not end had set it aside\n"));
    pod.ok(&["up", "-d"]);
    assert_eq!(pod.left(&["ps", "-a"]).len(), 1);
    pod.ok(&["down", "-v"]);
    pod.leaves_nothing();
}

#[test]
fn all_that_was_replaced_comes_back_whatever_took_its_place() {
    let ports = format!("    ports: [\"127.0.0.1:{}:80\"]\n", free_port());
    let check = |test: &str| {
        format!("    healthcheck: {{test: [CMD, '{test}'], interval: 200ms, retries: 2}}\n    stop_signal: SIGKILL\n")
    };
    let db = |test: &str| job("db", "exec sleep 1000", &check(test));
    let needs = "    depends_on: {db: {condition: service_healthy, restart: true}}\n";
    let web = sleeper("web", needs);
    let pod = pod("moved", &format!("{}{}{}{web}", sleeper("a", &ports), sleeper("b", ""), db("true")));
    pod.ok(&["up", "-d", "--wait"]);
    let before = ["a", "b", "db", "web"].map(|service| pod.id(service));
    // The port moves from one to the other, and what `web` restarts with never becomes healthy.
    compose(&pod, &format!("{}{}{}{web}", sleeper("a", ""), sleeper("b", &ports), db("false")));
    let run = pod.run(&["up", "-d", "--rollback"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert_eq!(["a", "b", "db", "web"].map(|service| pod.id(service)), before);
    for id in &before {
        assert_eq!(of(id, "State.Running"), "true");
    }
    assert_eq!(pod.left(&["ps", "-a"]).len(), 4);
    // One that dies again and again is not ready.
    compose(
        &pod,
        &format!("{}{}{}{web}", job("a", "sleep 1; exit 4", "    restart: always\n"), sleeper("b", ""), db("true")),
    );
    let run = pod.run(&["up", "-d", "--rollback"]);
    assert!(run.code == Some(1) && run.stderr.contains("`a` does not go on running"), "{run:?}");
    assert_eq!(pod.id("a"), before[0]);
    pod.ok(&["down", "-v"]);
    pod.leaves_nothing();
}

#[test]
fn what_ends_badly_is_not_what_is_waited_for() {
    // It ends when it is told to: one that has ended when `up` looks is a finding, and one that runs is what is waited for.
    let bad = |end: &str| job("bad", &format!("while [ ! -e {end} ]; do sleep 0.1; done; exit 3"), "");
    let pod = pod("badly", &format!("{}{}", job("good", "exit 0", ""), bad("/end")));
    let run = pod.run(&["up", "-d"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    docker(&["exec", &pod.container("bad"), "touch", "/end"]);
    assert_eq!(pod.run(&["wait", "bad"]).code, Some(3));
    let run = pod.run(&["up", "--wait", "--force-recreate", "good"]);
    assert_eq!(run.code, Some(0), "a job that ended well is what it was to be: {run:?}");
    // Another one is waited for first, and is ready once this one has ended.
    let check =
        "    healthcheck: {test: [CMD, test, -f, /ready], interval: 200ms, retries: 1000}\n    stop_signal: SIGKILL\n";
    compose(&pod, &format!("{}{}", job("a", "exec sleep 1000", check), bad("/over")));
    let mut command = pod.command(&["up", "--wait"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("claw runs");
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok);
    assert!(lines.any(|line| line == "wait for a"), "it is never waited for");
    docker(&["exec", &pod.container("bad"), "touch", "/over"]);
    docker(&["wait", &pod.container("bad")]);
    docker(&["exec", &pod.container("a"), "touch", "/ready"]);
    let said: Vec<String> = lines.collect();
    assert_eq!(child.wait().expect("ended").code(), Some(4), "{said:#?}");
    assert!(said.iter().any(|line| line.contains("not ready: `bad` exited with 3")), "{said:#?}");
    docker(&["rm", "-f", &pod.container("a")]);
    // A file that cannot be used does not hide what runs.
    compose(&pod, "  broken: [\n");
    let shown = pod.ok(&["ps"]);
    assert!(shown.contains("bad ") && shown.contains("exited (3)"), "{shown}");
    assert_eq!(pod.ok(&["ps", "--services", "--status", "exited"]), "bad\n");
    pod.ok(&["logs", "bad"]);
    // Nor is one needed, and nothing is left where there is none.
    let empty = crate::Folder::new("nothing-here");
    let run = crate::claw(&empty.0, &["-p", &pod.name, "stop"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "nothing ran\n"), "{run:?}");
    assert!(!empty.0.join(".claw").exists());
    let run = pod.run(&["ps", "nope"]);
    assert!(run.code == Some(2) && run.stderr.contains("there is no service `nope`"), "{run:?}");
    pod.ok(&["down", "-v"]);
}

#[test]
fn a_name_that_somebody_else_has_is_left_to_them() {
    let pod = pod("name-taken", &sleeper("web", ""));
    let name = pod.container("web");
    let image = format!("{}-box", pod.name);
    pod.ok(&["build"]);
    // One that claw knows nothing of, never started, and one of its own that does a person's work.
    let made = |order: &str| match order {
        "create" => docker(&["create", "--name", &name, "--label", &pod.mark(), &image, "sleep", "1000"]),
        _ => pod.ok(&["run", "-d", "--name", &name, "web", "sleep", "1000"]),
    };
    for order in ["create", "run"] {
        made(order);
        let id = pod.id("web");
        let run = pod.run(&["up", "-d"]);
        assert!(run.code == Some(1) && run.stderr.contains("is already in use by container"), "{order}: {run:?}");
        assert_eq!(pod.id("web"), id, "{order}");
        docker(&["rm", "-f", &name]);
    }
    // Nor do two services of one run take it from each other.
    compose(&pod, &format!("{}{}", sleeper("a", &format!("    container_name: {name}\n")), sleeper("web", "")));
    let run = pod.run(&["up", "-d"]);
    assert!(run.code == Some(1) && run.stderr.contains("is already in use by container"), "{run:?}");
    pod.ok(&["down", "-v"]);
    pod.leaves_nothing();
}
