//! Secrets: each reaches its agent and nothing else.

use super::{Pod, docker, shell, sleeps};
use crate::files;

/// A value with everything in it that quoting can get wrong.
const CANARY: &str = "canary-7f3a \"q\" 'p' $HOME \\ #x";

fn pod(name: &str) -> Pod {
    let pod = Pod::new(name);
    shell(&pod);
    pod.write("AGENTS.md", "# Bot\n").write(
        "claw-pod.yml",
        concat!(
            "x-claw:\n",
            "  secrets:\n",
            "    PASSPHRASE: {file: phrase.txt}\n",
            "    MADE: {command: [sh, -c, \"echo canary-made-$((40 + 2))\"]}\n",
            "services:\n",
            "  bot:\n",
            "    build: box\n",
            "    command: [sh, -c, 'echo started; exec sleep 1000']\n",
            "    stop_signal: SIGKILL\n",
            "    environment:\n",
            "      BOT_TOKEN: ${BOT_TOKEN}\n",
            "      PHRASE: ${PASSPHRASE}\n",
            "      MADE: ${MADE}\n",
            "      REGION: ${REGION}\n",
            "    env_file: [more.env]\n",
            "    x-claw: {type: generic, agent: AGENTS.md}\n",
        ),
    );
    pod.write(".env", &format!("BOT_TOKEN='{}'\nREGION=eu\n", CANARY.replace('\'', "'\\''")));
    // Quotes inside single quotes cannot be written in a dotenv file: double quotes with escapes can.
    let escaped = CANARY.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$");
    pod.write(".env", &format!("BOT_TOKEN=\"{escaped}\"\nREGION=eu\n"));
    pod.write("phrase.txt", "canary-phrase\n").write("more.env", "EXTRA_KEY=canary-extra\nPLAIN=p\n");
    pod
}

fn environment(pod: &Pod) -> Vec<String> {
    let container = pod.container("bot");
    sleeps(&container);
    let text = docker(&["exec", &container, "sh", "-c", "cat /proc/$(pidof sleep)/environ"]);
    text.split('\0').filter(|line| !line.is_empty()).map(ToOwned::to_owned).collect()
}

#[test]
fn a_runtime_that_reads_its_environment_gets_its_secrets_there_and_nobody_else_sees_them() {
    let pod = pod("sealed");
    let up = pod.run(&["up", "-d"]);
    assert_eq!(up.code, Some(0), "{up:?}");
    let environment = environment(&pod);
    for line in [
        &format!("BOT_TOKEN={CANARY}"),
        "PHRASE=canary-phrase",
        "MADE=canary-made-42",
        "EXTRA_KEY=canary-extra",
        "PLAIN=p",
        "REGION=eu",
    ] {
        assert!(environment.iter().any(|found| found == line), "{line} is not in {environment:?}");
    }
    let running = docker(&["top", &pod.container("bot"), "-o", "pid,comm"]);
    assert!(!running.lines().any(|line| line.trim().ends_with(" shim")), "the shim became the program: {running}");

    let mut seen = vec![("up", format!("{up:?}"))];
    for arguments in [
        &["ps", "--json"][..],
        &["inspect", "bot"],
        &["plan", "--json"],
        &["health", "--json"],
        &["verify", "--json"],
        &["logs"],
        &["check", "--json"],
        &["explain", "services.bot.command"],
    ] {
        seen.push((arguments[0], format!("{:?}", pod.run(arguments))));
    }
    seen.push(("docker inspect", docker(&["inspect", &pod.container("bot")])));
    seen.push(("docker history", docker(&["history", "--no-trunc", &format!("{}-bot", pod.name)])));
    seen.push(("the compose file", std::fs::read_to_string(pod.folder.0.join("compose.generated.yml")).expect("read")));
    for (what, text) in &seen {
        assert!(!text.contains("canary"), "{what} shows a secret: {text}");
    }
    use std::os::unix::fs::MetadataExt;
    let mut sealed = 0;
    for (path, text) in files(&pod.folder.0.join(".claw")) {
        // Claw's own executable has the word for what it looks for in texts.
        if text.contains("canary") && !path.contains("/bin/") {
            let found = std::fs::metadata(pod.folder.0.join(".claw").join(&path)).expect("there");
            assert!(path.contains("/secrets/"), "{path} holds a secret");
            assert_eq!((found.mode() & 0o777, found.uid()), (0o400, 65532), "{path} is its agent's alone");
            sealed += 1;
        }
    }
    assert_eq!(sealed, 4);
}

#[test]
fn a_changed_secret_makes_exactly_its_agent_anew() {
    let pod = pod("rotated");
    pod.ok(&["up", "-d"]);
    let before = pod.id("bot");
    assert_eq!(pod.ok(&["up", "-d"]), "nothing to do\n");
    pod.write("phrase.txt", "canary-other\n");
    let plan = pod.run(&["plan"]);
    assert!(plan.stdout.contains("create container bot: a secret of it changed"), "{plan:?}");
    pod.ok(&["up", "-d"]);
    assert_ne!(pod.id("bot"), before);
    assert!(environment(&pod).contains(&"PHRASE=canary-other".to_owned()));
    pod.ok(&["down", "-v"]);
    pod.leaves_nothing();
}

/// Two agents share a secret, and each of three has one of its own.
fn three(name: &str) -> Pod {
    let pod = Pod::new(name);
    shell(&pod);
    let agent = |name: &str, variables: &str| {
        format!(
            "  {name}:\n    image: {}-box\n    command: [sleep, '1000']\n    stop_signal: SIGKILL\n    environment: \
             {{OWN_TOKEN: '${{{}_TOKEN}}'{variables}}}\n    x-claw: {{type: generic, agent: AGENTS.md}}\n",
            pod.name,
            name.to_uppercase()
        )
    };
    super::build(&pod, &format!("{}-box", pod.name));
    let shared = ", PASS: '${PASSPHRASE}'";
    let agents = [agent("first", shared), agent("second", shared), agent("third", "")].concat();
    let text = format!("x-claw:\n  secrets:\n    PASSPHRASE: {{file: phrase.txt}}\nservices:\n{agents}");
    pod.write("claw-pod.yml", &text).write("AGENTS.md", "# A\n").write("phrase.txt", "canary-phrase\n");
    pod.write(".env", "FIRST_TOKEN=canary-1\nSECOND_TOKEN=canary-2\nTHIRD_TOKEN=canary-3\n");
    pod
}

#[test]
fn a_changed_secret_makes_its_users_anew_and_nobody_else() {
    let pod = three("shared-secret");
    pod.ok(&["up", "-d"]);
    let ids = || ["first", "second", "third"].map(|agent| pod.id(agent));
    let changed = |before: &[String; 3]| {
        pod.ok(&["up", "-d"]);
        let after = ids();
        let changed: Vec<bool> = before.iter().zip(&after).map(|(before, after)| before != after).collect();
        (changed, after)
    };
    let before = ids();
    let (nobody, before) = changed(&before);
    assert_eq!(nobody, [false, false, false]);
    pod.write("phrase.txt", "canary-other\n");
    let (users, before) = changed(&before);
    assert_eq!(users, [true, true, false], "both that share it");
    pod.write(".env", "FIRST_TOKEN=canary-1\nSECOND_TOKEN=canary-2\nTHIRD_TOKEN=canary-new\n");
    let (users, before) = changed(&before);
    assert_eq!(users, [false, false, true], "the one that has it");
    // The same values in other words are the same secrets.
    pod.write("phrase.txt", "canary-other")
        .write(".env", "THIRD_TOKEN='canary-new'\nSECOND_TOKEN=canary-2\nFIRST_TOKEN=canary-1\n");
    assert_eq!(changed(&before).0, [false, false, false]);
    let seal =
        |agent: &str| docker(&["inspect", "-f", "{{index .Config.Labels \"claw.seal\"}}", &pod.container(agent)]);
    assert!(seal("first") != seal("second") && seal("first").len() == 32, "a seal tells nothing of what is shared");
}

#[test]
fn a_secret_without_a_value_stops_everything_before_it_begins() {
    let pod = pod("unset");
    std::fs::remove_file(pod.folder.0.join("phrase.txt")).expect("removed");
    let run = pod.run(&["up", "-d"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("error[missing-secret]: the secret `PASSPHRASE` is not set"), "{run:?}");
    assert!(run.stderr.contains("write it to `phrase.txt`"), "{run:?}");
    assert_eq!(pod.left(&["network", "ls"]), Vec::<String>::new());
}
