//! The command line as users see it: exit codes, whole messages, what is written and what is not.

use crate::{Folder, claw, files};

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
fn every_way_a_contract_can_be_missing_stops_the_compile() {
    for (agent, code) in [
        ("nowhere.md", "missing-file"),
        ("empty.md", "unusable-file"),
        ("folder", "unusable-file"),
        ("../out.md", "unusable-file"),
        ("link.md", "unusable-file"),
    ] {
        let folder = Folder::new(&format!("contract-{}", agent.replace(['/', '.'], "")));
        folder.write("pod/empty.md", " \n").write("pod/folder/x", "").write("out.md", "# Out\n");
        std::os::unix::fs::symlink("../out.md", folder.0.join("pod/link.md")).expect("a link");
        folder.write(
            "pod/claw-pod.yml",
            &format!("services:\n  bot:\n    image: x\n    x-claw: {{type: generic, agent: {agent}}}\n"),
        );
        let run = claw(&folder.0.join("pod"), &["compile"]);
        assert_eq!(run.code, Some(2), "{agent}: {run:?}");
        assert!(run.stderr.contains(&format!("error[{code}]")), "{agent}: {run:?}");
        assert!(!folder.0.join("pod/.claw").exists());
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
    let run = claw(&folder.0, &["exec"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.starts_with("error: claw does not carry out `exec` yet"), "{run:?}");
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
