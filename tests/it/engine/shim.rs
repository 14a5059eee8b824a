//! The shim as the first process: it becomes the program, so that signals, exit codes and orphans are the program's own matter.

use super::{Pod, docker, shell, sleeps};

/// An agent with one secret that runs `command`, a YAML list; returns its container.
fn agent(pod: &Pod, init: &str, command: &str) -> String {
    shell(pod);
    pod.write("AGENTS.md", "# A\n").write(".env", "BOT_TOKEN=canary-7f3a\n").write(
        "claw-pod.yml",
        &format!(
            "services:\n  bot:\n    build: box\n    init: {init}\n    restart: 'no'\n    command: {command}\n    environment:\n      \
             BOT_TOKEN: ${{BOT_TOKEN}}\n    x-claw: {{type: generic, agent: AGENTS.md}}\n"
        ),
    );
    let up = pod.run(&["up", "-d"]);
    assert!(!format!("{up:?}").contains("canary"), "{up:?}");
    assert!(!pod.left(&["ps", "-a"]).is_empty(), "{up:?}");
    pod.container("bot")
}

fn wait(container: &str) -> String {
    docker(&["wait", container])
}

#[test]
fn a_request_to_stop_reaches_the_program_and_its_exit_code_comes_back() {
    for init in ["true", "false"] {
        let pod = Pod::new(&format!("stop-{init}"));
        let script = "[sh, -c, 'trap \"exit 7\" TERM; echo ready; while :; do sleep 0.1; done']";
        let container = agent(&pod, init, script);
        while !docker(&["logs", &container]).contains("ready") {
            std::thread::yield_now();
        }
        docker(&["stop", "-t", "30", &container]);
        assert_eq!(wait(&container), "7", "init: {init}");
    }
}

#[test]
fn an_exit_code_and_a_death_by_signal_are_the_containers() {
    for (name, init, command, code) in [
        ("code", "false", "[sh, -c, 'exit 42']", "42"),
        ("code-init", "true", "[sh, -c, 'exit 42']", "42"),
        // Without init the program is process 1, which a signal without a handler does not end.
        ("death", "true", "[sh, -c, 'kill -KILL $$$$']", "137"),
        ("death-term", "true", "[sh, -c, 'kill -TERM $$$$']", "143"),
    ] {
        let pod = Pod::new(name);
        let container = agent(&pod, init, command);
        assert_eq!(wait(&container), code, "{name}");
    }
}

#[test]
fn a_program_that_cannot_be_run_is_named_with_the_code_of_a_shell() {
    for (name, command, code, message) in [
        (
            "absent",
            "[no-such-program]",
            "127",
            "error: cannot run `no-such-program`: No such file or directory (os error 2)",
        ),
        ("inert", "[/etc/hosts]", "126", "error: cannot run `/etc/hosts`: Permission denied (os error 13)"),
    ] {
        let pod = Pod::new(name);
        shell(&pod);
        let container = agent(&pod, "false", command);
        assert_eq!(wait(&container), code, "{name}");
        let output = std::process::Command::new("docker").args(["logs", &container]).output().expect("docker runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(said.lines().next(), Some(message), "{name}: {said}");
        assert!(!said.contains("canary"));
    }
}

#[test]
fn orphans_are_reaped_by_init_and_the_program_itself_is_the_first_process_without_one() {
    // The inner shells end before their children, which then are the first process's.
    let script = "[sh, -c, 'for i in 1 2 3 4 5; do sh -c \"sleep 0.1 &\"; done; sleep 1; echo ready; exec sleep 1000']";
    let pod = Pod::new("orphans");
    let container = agent(&pod, "true", script);
    while !docker(&["logs", &container]).contains("ready") {
        std::thread::yield_now();
    }
    let list = docker(&["exec", &container, "sh", "-c", "cat /proc/[0-9]*/stat 2>/dev/null; true"]);
    assert!(!list.contains(") Z "), "{list}");
    assert_eq!(docker(&["exec", &container, "cat", "/proc/1/comm"]), "docker-init");

    let pod = Pod::new("first");
    let container = agent(&pod, "false", "[sleep, '1000']");
    sleeps(&container);
    assert_eq!(docker(&["exec", &container, "cat", "/proc/1/comm"]), "sleep");
    // What Rust's own start ignores is not inherited.
    let ignored = docker(&["exec", &container, "sh", "-c", "grep SigIgn /proc/1/status"]);
    let ignored = u64::from_str_radix(ignored.split_whitespace().last().expect("a mask"), 16).expect("a number");
    assert_eq!(ignored & (1 << 12), 0, "SIGPIPE");
    let environment = docker(&["exec", &container, "sh", "-c", "cat /proc/1/environ"]);
    assert!(environment.split('\0').any(|line| line == "BOT_TOKEN=canary-7f3a"));
    docker(&["kill", &container]);
}

#[test]
fn a_secret_whose_file_is_gone_is_named_without_a_value() {
    let claw = env!("CARGO_BIN_EXE_claw");
    let folder = crate::Folder::new("shim");
    let run = |words: &[&str]| {
        let mut command = std::process::Command::new(claw);
        command.args(["shim", "exec"]).args(words).env_clear().current_dir(&folder.0);
        let output = command.output().expect("claw runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, _, said) = run(&["A_KEY=gone", "--", "/bin/true"]);
    let expected = "error: the secret `A_KEY` cannot be read from `gone`: No such file or directory (os error 2)\n";
    assert_eq!((code, said.as_str()), (Some(1), expected));
    folder.write("nul", "canary\0");
    let (code, _, said) = run(&["A_KEY=nul", "--", "/bin/true"]);
    let expected = "error: the secret `A_KEY` in `nul` holds a NUL byte, which no variable can hold\n";
    assert_eq!((code, said.as_str()), (Some(1), expected));
    folder.write("held", "a\n");
    let (code, environment, _) = run(&["A_KEY=held", "--", "/usr/bin/env", "-0"]);
    assert_eq!((code, environment.as_str()), (Some(0), "A_KEY=a\n\0"), "the whole environment");
}
