//! The command line as users see it: exit codes, whole messages, what is written and what is not.

use crate::{Folder, claw, claw_with, files};

const CONTRACT: (&str, &str) = ("AGENTS.md", "# Contract\n");

#[test]
fn a_mistake_is_shown_with_its_place_and_what_to_do() {
    let folder = Folder::new("mistake");
    folder.write("AGENTS.md", CONTRACT.1).write(
        "claw-pod.yml",
        "services:\n  bot:\n    image: x\n    x-claw:\n      type: generic\n      agent: AGENTS.md\n      surfaces:\n        - service://trading-apy\n  trading-api:\n    image: y\n",
    );
    let run = claw(&folder.0, &["check"]);
    assert_eq!(run.code, Some(2));
    assert_eq!(
        run.stderr,
        "error[unknown-service]: no service named `trading-apy`\n --> claw-pod.yml:8:11\n  |\n8 |         - service://trading-apy\n  |           ^^^^^^^^^^^^^^^^^^^^^ this surface\n  |\n  = help: did you mean `trading-api`?\n\n"
    );
    assert!(!folder.0.join("compose.generated.yml").exists());
}

#[test]
fn a_literal_secret_is_refused_and_never_shown() {
    let folder = Folder::new("secret");
    folder.write("AGENTS.md", CONTRACT.1).write(
        "claw-pod.yml",
        "services:\n  bot:\n    image: x\n    environment:\n      BOT_TOKEN: canary-7f3a\n    x-claw:\n      type: generic\n      agent: AGENTS.md\n",
    );
    for arguments in [&["check"][..], &["check", "--json"], &["compile"]] {
        let run = claw(&folder.0, arguments);
        assert_eq!(run.code, Some(2), "{run:?}");
        assert!(!format!("{run:?}").contains("canary"), "{run:?}");
        assert!(format!("{run:?}").contains("secret-in-environment"), "{run:?}");
    }
}

#[test]
fn a_secret_of_the_environment_is_a_name_in_everything_that_is_written() {
    let folder = Folder::new("lifted");
    folder.write("AGENTS.md", CONTRACT.1).write(".env", "BOT_TOKEN=canary-7f3a\nREGION=eu\n").write(
        "claw-pod.yml",
        "services:\n  bot:\n    image: x\n    entrypoint: [/bin/bot]\n    environment:\n      BOT_TOKEN: ${BOT_TOKEN}\n      REGION: ${REGION}\n    x-claw:\n      type: generic\n      agent: AGENTS.md\n",
    );
    let run = claw(&folder.0, &["compile", "-o", "out", "--json"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let written = files(&folder.0.join("out"));
    assert!(!format!("{written:?}{run:?}").contains("canary"));
    let compose = &written["compose.generated.yml"];
    assert!(compose.contains("REGION: \"${REGION}\""), "{compose}");
    assert!(compose.contains("source: \"bot-BOT_TOKEN\""), "{compose}");
    assert!(!compose.contains("\n      BOT_TOKEN:"), "{compose}");
}

#[test]
fn ports_of_an_agent_are_bound_to_this_host_and_its_privileges_are_refused() {
    let folder = Folder::new("hardened");
    let pod = |allow: &str| {
        format!(
            "services:\n  bot:\n    image: x\n    ports: [\"8080:80\"]\n    privileged: true\n    x-claw:\n      type: generic\n      agent: AGENTS.md\n{allow}"
        )
    };
    folder.write("AGENTS.md", CONTRACT.1).write("claw-pod.yml", &pod(""));
    let run = claw(&folder.0, &["check"]);
    assert_eq!(run.code, Some(3), "{run:?}");
    assert!(run.stderr.contains("error[privileged-surface]"), "{run:?}");
    folder.write("claw-pod.yml", &pod("      allow: [privileged]\n"));
    assert_eq!(claw(&folder.0, &["compile", "-o", "out"]).code, Some(0));
    let compose = std::fs::read_to_string(folder.0.join("out/compose.generated.yml")).expect("written");
    for line in [
        "host_ip: \"127.0.0.1\"",
        "read_only: true",
        "- \"ALL\"",
        "- \"no-new-privileges:true\"",
        "pids_limit: 512",
        "user: \"65532:65532\"",
    ] {
        assert!(compose.contains(line), "{line} is not in\n{compose}");
    }
}

#[test]
fn every_way_a_text_for_an_agent_can_be_missing_stops_the_compile() {
    let folder = Folder::new("texts");
    folder.write("pod/A.md", "# A\n").write("pod/folder/x", "").write("out.md", "# Out\n").write("pod/empty.md", "");
    folder.write("pod/blank.md", " \r\n\t").write("pod/bom.md", "\u{feff}\n").write("pod/sub/in.md", "# In\n");
    let pod = folder.0.join("pod");
    std::fs::write(pod.join("bytes.md"), b"# \xff\xfe\n").expect("written");
    for (target, link) in [("../out.md", "link.md"), ("nowhere", "dangling.md"), ("..", "up"), ("sub", "alias")] {
        std::os::unix::fs::symlink(target, pod.join(link)).expect("a link");
    }
    let fifo = std::process::Command::new("mkfifo").arg(pod.join("fifo.md")).status();
    assert!(fifo.expect("mkfifo runs").success());
    let compile = |keys: &str| {
        let text = format!("services:\n  bot:\n    image: x\n    x-claw: {{type: generic, {keys}}}\n");
        folder.write("pod/claw-pod.yml", &text);
        claw(&pod, &["compile"])
    };
    let kinds = [
        ("contract", "agent: FILE"),
        ("include", "agent: A.md, include: [{id: x, file: FILE, mode: enforce}]"),
        ("include", "agent: A.md, include: [{id: x, file: FILE, mode: reference}]"),
        ("skill", "agent: A.md, skills: [FILE]"),
    ];
    for (file, code, why) in [
        ("nowhere.md", "missing-file", "does not exist"),
        ("dangling.md", "missing-file", "does not exist"),
        ("empty.md", "unusable-file", "is empty"),
        ("blank.md", "unusable-file", "is empty"),
        ("bom.md", "unusable-file", "is empty"),
        ("folder", "unusable-file", "is not a regular file"),
        ("fifo.md", "unusable-file", "is not a regular file"),
        ("bytes.md", "unusable-file", "is not UTF-8 text"),
        ("link.md", "unusable-file", "leads out of the pod's directory"),
        ("up/out.md", "unusable-file", "leads out of the pod's directory"),
        ("../out.md", "unusable-file", "leaves the directory it is relative to"),
    ] {
        for (what, keys) in &kinds {
            let run = compile(&keys.replace("FILE", file));
            assert_eq!(run.code, Some(2), "{what} {file}: {run:?}");
            let message = format!("error[{code}]: the {what} `{file}` {why}");
            assert!(run.stderr.contains(&message), "{what} {file}: {run:?}");
            assert!(!pod.join(".claw").exists() && !pod.join("compose.generated.yml").exists(), "{what} {file}");
        }
    }
    for (what, keys) in &kinds {
        let run = compile(&keys.replace("FILE", "alias/in.md"));
        assert_eq!(run.code, Some(0), "{what}: a link inside the pod's directory is none of that: {run:?}");
    }
}

#[test]
fn usage_mistakes_exit_with_two_and_say_what_is_near() {
    let folder = Folder::new("usage");
    let run = claw(&folder.0, &["chekc"]);
    assert_eq!(
        (run.code, run.stderr.as_str()),
        (Some(2), "error: there is no command `chekc`; did you mean `check`?\n")
    );
    let run = claw(&folder.0, &["check"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.starts_with("error: there is no pod file here"), "{run:?}");
    let run = claw(&folder.0, &["attest"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.starts_with("error: claw does not carry out `attest` yet"), "{run:?}");
    let run = claw(&folder.0, &["explain", "unset-variable"]);
    assert_eq!(run.code, Some(0));
    assert!(run.stdout.starts_with("unset-variable\n\n"), "{run:?}");
}

#[test]
fn emitted_dockerfiles_keep_every_line_of_a_plain_one() {
    let folder = Folder::new("emit");
    let text = "# syntax=docker/dockerfile:1\r\nFROM scratch\r\nRUN <<EOF\r\nCLAW_TYPE x\r\nEOF\r\n";
    folder.write("Dockerfile", text);
    let run = claw(&folder.0, &["build", "--emit", "-f", "Dockerfile"]);
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (Some(0), text, ""));
}

#[test]
fn what_needs_no_engine_works_without_one() {
    let folder = Folder::new("engineless");
    for (path, text) in files(&crate::root().join("examples/quickstart")) {
        if !path.starts_with("expected/") {
            folder.write(&path, &text);
        }
    }
    let run = |arguments: &[&str]| crate::claw_with(&folder.0, arguments, &[("DOCKER_HOST", "unix:///nowhere.sock")]);
    for arguments in [&["check"][..], &["compile", "-o", "out"], &["config"], &["build", "--emit"]] {
        let run = run(arguments);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{arguments:?}: {run:?}");
    }
    let plan = run(&["plan", "--exit-code"]);
    assert_eq!(plan.code, Some(3), "{plan:?}");
    assert_eq!(plan.stderr, "no engine answers: this is what `up` does on one that has nothing of the pod\n");
    assert!(plan.stdout.starts_with("pack image claw/infra: the engine does not have it\n"), "{plan:?}");
    let up = run(&["up", "-d"]);
    assert_eq!(up.code, Some(1), "{up:?}");
    assert!(up.stderr.starts_with("error: the engine could not be reached at `unix:///nowhere.sock`: "), "{up:?}");
    assert!(up.stderr.contains("help: start it, or name another with `DOCKER_HOST`"), "{up:?}");
    folder.write("claw-pod.yml", "services: {bot: {image: elsewhere}, x: {image: y, x-claw: {mcp: /m}}}\n");
    let check = run(&["check"]);
    assert_eq!(check.code, Some(0), "{check:?}");
    assert!(check.stderr.contains("warning[needs-engine]: no engine answers, so nobody looked into"), "{check:?}");
    assert_eq!(run(&["plan"]).code, Some(1), "whether these are agents is for the engine to say");
    assert_eq!(run(&["doctor"]).code, Some(1));
}

#[test]
fn a_reader_that_stops_reading_is_no_failure() {
    let folder = Folder::new("closed");
    let services: String = (0..3000).map(|index| format!("  s{index}: {{image: x}}\n")).collect();
    folder.write("compose.yaml", &format!("services:\n{services}"));
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_claw"))
        .arg("config")
        .current_dir(&folder.0)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("claw runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn a_broken_env_file_never_shows_what_is_in_it() {
    for (number, text) in ["A_KEY=\"canary-7f3a\n", "A_KEY=${canary-7f3a\n", "canary 7f3a\n"].iter().enumerate() {
        let folder = Folder::new(&format!("dotenv-{number}"));
        folder.write(".env", text).write("compose.yaml", "services: {a: {image: x}}\n");
        for arguments in [&["check"][..], &["config"], &["check", "--json"]] {
            let run = claw(&folder.0, arguments);
            assert_eq!(run.code, Some(2), "{text}: {run:?}");
            assert!(!format!("{run:?}").contains("canary"), "{text}: {run:?}");
            assert!(format!("{run:?}").contains("dotenv-syntax") && format!("{run:?}").contains(".env"), "{run:?}");
        }
    }
}

#[test]
fn a_secret_that_stands_twice_is_not_shown() {
    let folder = Folder::new("twice");
    folder.write("compose.yaml", "services: {a: {image: x, environment: {A_KEY: canary-1, A_KEY: canary-2}}}\n");
    let run = claw(&folder.0, &["check"]);
    assert!(run.stderr.contains("duplicate-key") && !format!("{run:?}").contains("canary"), "{run:?}");
}

#[test]
fn compat_turns_refusals_for_agents_into_warnings() {
    let folder = Folder::new("compat");
    folder.write("AGENTS.md", CONTRACT.1).write(
        "claw-pod.yml",
        "services:\n  bot:\n    image: claw/infra\n    privileged: true\n    environment: {A: \"${NOPE}\"}\n    x-claw: {type: generic, agent: AGENTS.md}\n",
    );
    assert_eq!(claw(&folder.0, &["check"]).code, Some(2));
    let run = claw(&folder.0, &["--compat", "check"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "1 agent, 0 errors, 2 warnings\n"), "{run:?}");
    let run = claw(&folder.0, &["compile", "-o", "out", "--compat"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let compose = std::fs::read_to_string(folder.0.join("out/compose.generated.yml")).expect("written");
    assert!(compose.contains("privileged: true"), "{compose}");
}

#[test]
fn a_value_of_the_generated_file_is_traced_to_who_wrote_it() {
    let example = crate::root().join("examples/quickstart");
    let origin = |path: &str| {
        let run = claw(&example, &["explain", path]);
        assert_eq!(run.code, Some(0), "{run:?}");
        run.stdout
    };
    assert_eq!(
        origin("services.writer.read_only"),
        "services.writer.read_only: true\nfrom claw: how an agent of the runtime `reference` is run (docs/hardening.md)\n"
    );
    assert_eq!(origin("services.provider.expose.0"), "services.provider.expose.0: \"8701\"\nfrom claw-pod.yml:18:14\n");
    assert_eq!(
        origin("services.writer.build.context"),
        "services.writer.build.context: \".\"\nfrom claw-pod.yml:9:12\n"
    );
    let run = claw(&example, &["explain", "services.writer.nope"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(2), "error: the generated file has no `services.writer.nope`\n"));
}

#[test]
fn claws_directory_is_no_link_to_somewhere_else() {
    let folder = Folder::new("linked");
    folder.write("elsewhere/x", "").write("pod/AGENTS.md", CONTRACT.1);
    folder
        .write("pod/claw-pod.yml", "services: {bot: {image: claw/infra, x-claw: {type: generic, agent: AGENTS.md}}}\n");
    std::os::unix::fs::symlink("../elsewhere", folder.0.join("pod/.claw")).expect("a link");
    let run = claw(&folder.0.join("pod"), &["compile"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains(".claw`: it is a link"), "{run:?}");
    assert_eq!(files(&folder.0.join("elsewhere")).len(), 1);
}

#[test]
fn a_dockerfile_that_is_not_claws_is_not_overwritten() {
    let folder = Folder::new("mine");
    folder
        .write("Clawfile", "FROM claw/infra\nCLAW_TYPE reference\nAGENT a.md\n")
        .write("Dockerfile.generated", "mine\n");
    let run = claw(&folder.0, &["build", "-t", "claw-never-built"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("Dockerfile.generated`: it is not claw's"), "{run:?}");
    assert_eq!(files(&folder.0)["Dockerfile.generated"], "mine\n");
}

/// The id inside a token comes out of it; the token does not.
#[test]
fn a_token_tells_whose_it_is_and_nothing_else() {
    let folder = Folder::new("accounts");
    // base64url of 300000000000000003, and of 400000000000000004.
    let ticker = "MzAwMDAwMDAwMDAwMDAwMDAz.canary-ticker.x";
    let other = "NDAwMDAwMDAwMDAwMDAwMDA0.canary-other.x";
    folder
        .write("AGENTS.md", CONTRACT.1)
        .write(".env", &format!("TICKER={ticker}\nOTHER_TOKEN={other}\nWRONG_TOKEN={other}\n"))
        .write("held/token", ticker)
        .write("more.env", &format!("DISCORD_BOT_TOKEN={other}\n"))
        .write(
            "claw-pod.yml",
            "x-claw: {secrets: {held: {file: held/token}}}\n\
             services:\n\
             \x20 risk:\n    image: x\n    x-claw:\n      type: generic\n      agent: AGENTS.md\n\
             \x20     handles: {discord: {id: \"1\", guilds: [{id: \"9\", channels: [{id: \"10\"}]}]}}\n\
             \x20     surfaces:\n        - channel://discord: {guilds: {\"9\": {users: [\"7\"]}}, allow_from_services: [ticker, filed, named, silent]}\n\
             \x20 told:\n    image: x\n    entrypoint: [/bot]\n    environment: {DISCORD_BOT_TOKEN: \"${OTHER_TOKEN}\"}\n    x-claw: {type: generic, agent: AGENTS.md, handles: {discord: {username: told}}}\n\
             \x20 wrong:\n    image: x\n    entrypoint: [/bot]\n    environment: {DISCORD_BOT_TOKEN: \"${WRONG_TOKEN}\"}\n    x-claw: {type: generic, agent: AGENTS.md, handles: {discord: {id: \"5\"}}}\n\
             \x20 ticker: {image: y, environment: {DISCORD_BOT_TOKEN: \"${TICKER}\"}}\n\
             \x20 filed: {image: y, env_file: [more.env]}\n\
             \x20 named: {image: y, environment: {DISCORD_BOT_TOKEN: \"${held}\"}}\n\
             \x20 silent: {image: y}\n",
        );
    let run = claw_with(&folder.0, &["compile"], &[("DOCKER_HOST", "unix:///nowhere.sock")]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let made = files(&folder.0);
    let letter = made.iter().find(|(path, _)| path.contains("units/risk") && path.ends_with("CLAWDAPUS.md"));
    let letter = letter.expect("a letter").1;
    let users = "users `300000000000000003`, `400000000000000004`, `5`, `7` may speak to you";
    assert!(letter.contains(users), "{letter}");
    // An account without an id is the one its token belongs to; one with another is told.
    assert!(letter.contains("told on discord: @told, id `400000000000000004`"), "{letter}");
    assert!(run.stderr.contains("`5` is not the account on `discord` that its token belongs to"), "{}", run.stderr);
    assert!(run.stderr.contains("nothing tells the id of the bot of `silent` on `discord`"), "{}", run.stderr);
    let inputs = [".env", "held/token", "more.env"];
    for (path, text) in made.iter().filter(|(path, _)| !inputs.contains(&path.as_str())) {
        assert!(!text.contains("canary"), "{path}");
    }
    assert!(!run.stderr.contains("canary") && !run.stdout.contains("canary"));
}

#[test]
fn what_an_agent_takes_from_other_files_is_judged_as_its_own() {
    let folder = Folder::new("several");
    folder.write("AGENTS.md", "# A\n").write(".env", "BOT_TOKEN=canary-token\n");
    folder.write(
        "claw-pod.yml",
        "services:\n  bot:\n    extends: {file: base/base.yml, service: base}\n    x-claw: {type: generic, agent: AGENTS.md}\n",
    );
    folder.write("base/base.yml", "services:\n  base:\n    image: x:1\n    hostname: h${NOBODY}\n");
    let run = claw(&folder.0, &["check"]);
    assert!(run.stderr.contains("error[unset-variable]") && run.stderr.contains("base/base.yml:4:"), "{run:?}");
    folder
        .write("base/base.yml", "services:\n  base:\n    image: x:1\n    hostname: ${BOT_TOKEN}\n    labels: {a: b}\n");
    let run = claw(&folder.0, &["check"]);
    assert!(run.stderr.contains("error[secret-in-environment]"), "{run:?}");
    assert!(!format!("{run:?}").contains("canary-token"), "{run:?}");
    // A later file takes it back.
    folder
        .write("claw-pod.override.yml", "services:\n  bot: {hostname: h, labels: !reset null, x-claw: {skills: []}}\n");
    let run = claw(&folder.0, &["check"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let run = claw(&folder.0, &["config"]);
    assert!(run.stdout.contains("hostname: \"h\"") && !run.stdout.contains("labels"), "{run:?}");
}

#[test]
fn a_secret_of_an_included_files_env_file_is_found_and_two_that_differ_are_an_error() {
    let folder = Folder::new("included");
    let bot = |name: &str| {
        format!(
            "services:\n  {name}:\n    image: x:1\n    entrypoint: [/b]\n    environment: {{OWN_TOKEN: '${{OWN_TOKEN}}'}}\n    x-claw: {{type: \
             generic, agent: AGENTS.md}}\n"
        )
    };
    folder.write("AGENTS.md", "# A\n").write("claw-pod.yml", "include: [a/compose.yml]\n");
    folder
        .write("a/compose.yml", &bot("one"))
        .write("a/.env", "OWN_TOKEN=canary-one\n")
        .write("b/compose.yml", &bot("two"));
    let run = claw(&folder.0, &["check"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let run = claw(&folder.0, &["secrets", "list"]);
    assert!(run.stdout.contains("a/.env") && !run.stdout.contains("canary"), "{run:?}");
    folder.write("claw-pod.yml", "include: [a/compose.yml, b/compose.yml]\n").write("b/.env/x", "");
    assert_eq!(claw(&folder.0, &["config", "-q"]).code, Some(0), "a directory of that name is no env file");
    std::fs::remove_dir_all(folder.0.join("b/.env")).expect("removed");
    folder.write("b/.env", "OWN_TOKEN=canary-two\n");
    let run = claw(&folder.0, &["check"]);
    assert_ne!(run.code, Some(0), "{run:?}");
    assert!(run.stderr.contains("it sets `OWN_TOKEN` otherwise than `a/.env` does"), "{run:?}");
    assert!(!format!("{run:?}").contains("canary"), "{run:?}");
    folder.write(".env", "OWN_TOKEN=canary-three\n");
    assert_eq!(claw(&folder.0, &["check"]).code, Some(0), "the pod's own stands above both");
}

#[test]
fn a_compose_file_without_agents_is_told_how_agents_would_be_held() {
    let folder = Folder::new("advice");
    folder.write(
        "compose.yml",
        "services:\n  web: {image: nginx, ports: ['80:80', '127.0.0.1:81:81'], restart: always, links: [db]}\n  db:\n    image: 'x:1'\n    \
         user: '5:5'\n    network_mode: none\n    x-claw: {harden: true}\n",
    );
    let run = claw(&folder.0, &["check"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let said: Vec<&str> = run.stderr.lines().filter(|line| line.starts_with("warning[")).collect();
    let held = "cap_drop`, `cpus`, `init`, `logging`, `mem_limit`, `memswap_limit`, `networks`, `pids_limit`, `read_only`, \
                `security_opt`, `stop_grace_period`, `tmpfs`, `ulimits`, `user`";
    assert_eq!(
        said,
        [
            &format!("warning[unhardened]: as an agent, `web` would be held by `{held}"),
            "warning[risky-service]: the image `nginx` of `web` moves: it names no version (CIS 5.28)",
            "warning[risky-service]: the port `80` of `web` is open on every address of the host (CIS 5.14)",
        ]
    );
    assert!(run.stderr.contains("as an agent it would need `allow: [links, restart]` beside"), "{run:?}");
    assert_eq!(claw(&folder.0, &["check", "--strict"]).code, Some(3));
    // Beside an agent the others are there on purpose.
    folder.write("A.md", "# A\n");
    let agent = "  bot: {image: 'b:1', entrypoint: [/b], x-claw: {type: generic, agent: A.md}}\n";
    let services = std::fs::read_to_string(folder.0.join("compose.yml")).expect("read");
    folder.write("compose.yml", &format!("{services}{agent}"));
    let run = claw(&folder.0, &["check"]);
    assert!(!run.stderr.contains("unhardened") && !run.stderr.contains("5.28"), "{run:?}");
}

#[test]
fn config_lists_what_it_is_asked_for() {
    let folder = Folder::new("lists");
    folder.write(
        "compose.yml",
        "name: n\nservices:\n  a: {image: 'i:${V:-1}', depends_on: [b], volumes: ['vv:/v']}\n  b: {build: .}\n  c: {image: k, \
         profiles: [p]}\nvolumes: {vv: {}}\n",
    );
    let lines = |args: &[&str]| claw(&folder.0, &[&["config"], args].concat()).stdout;
    assert_eq!(lines(&["-q"]), "");
    assert_eq!(lines(&["--services"]), "a\nb\n");
    assert_eq!(lines(&["--images"]), "i:1\nn-b\n");
    assert_eq!((lines(&["--volumes"]), lines(&["--networks"])), ("vv\n".to_owned(), "default\n".to_owned()));
    assert_eq!(lines(&["--profiles"]), "p\n");
    assert!(lines(&["--variables"]).contains("V     false     1"), "{}", lines(&["--variables"]));
    folder
        .write("more.yml", "include: [in.yml]\nservices: {z: {image: 'z:${Z?}'}}\n")
        .write("in.yml", "services: {i: {image: 'i:${IN-7}'}}\n");
    let more = claw(&folder.0, &["-f", "more.yml", "config", "--variables"]).stdout;
    assert!(more.contains("IN    false     7") && more.contains("Z     true"), "{more}");
    assert_eq!(lines(&["--hash", "a"]).split(' ').next(), Some("a"));
    assert_eq!(lines(&["--services", "b"]), "b\n");
    assert_eq!(claw(&folder.0, &["config", "x"]).code, Some(2));
}
