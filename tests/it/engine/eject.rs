//! A pod that was written out, run by the real docker compose alone.

use std::process::Command;

use super::peers::peer;
use super::{Pod, docker, shell, sleeps};

/// A value with everything in it that quoting can get wrong.
const AWKWARD: &str = "it's \"so\" $HOME \\ #x";

fn pod() -> Pod {
    let pod = Pod::new("eject");
    shell(&pod);
    let services = "x-claw: {secrets: {PASSPHRASE: {file: phrase.txt}}}\n\
        services:\n\
        \x20 bot:\n\
        \x20   build: box\n\
        \x20   command: [sh, -c, 'echo ran > /notes/file; exec sleep 1000']\n\
        \x20   environment: {PHRASE: '${PASSPHRASE}', REGION: '${REGION}'}\n\
        \x20   volumes: ['notes:/notes']\n\
        \x20   x-claw: {type: generic, agent: AGENTS.md}\n\
        \x20 web:\n\
        \x20   image: claw-test-box\n\
        \x20   command: [sleep, '1000']\n\
        \x20   stop_signal: SIGKILL\n\
        \x20   environment: {VALUE: '${VALUE}', MORE: '${MORE:-none}'}\n\
        \x20   env_file: [web.env]\n\
        \x20   volumes: ['./data:/data:ro']\n\
        \x20   secrets: [key]\n\
        \x20   depends_on: [bot]\n\
        secrets: {key: {file: ./key}}\n\
        volumes: {notes: }\n";
    pod.write("claw-pod.yml", &services.replace("claw-test-box", &format!("{}-bot", pod.name)));
    let escaped = AWKWARD.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$");
    pod.write(".env", &format!("REGION=eu\nVALUE=\"{escaped}\"\nUNUSED=canary-unused\n"));
    pod.write("AGENTS.md", "# Bot\n").write("phrase.txt", "canary-phrase\n").write("key", "canary-key\n");
    pod.write("web.env", "FROM_FILE=yes\n").write("data/x", "of the host\n");
    pod
}

#[test]
fn a_pod_that_was_written_out_runs_without_claw() {
    let pod = pod();
    let folder = pod.folder.0.join("out");
    let run = pod.run(&["eject", "out"]);
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (Some(0), "wrote out: `README.md` says how it is run; 1 of its files hold secrets\n"),
        "{run:?}"
    );
    let run = pod.run(&["eject", "out"]);
    assert!(run.code == Some(2) && run.stderr.contains("it is not empty"), "{run:?}");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect(name);
    let (compose, readme, variables) = (read("compose.yml"), read("README.md"), read(".env"));
    // Secrets are where the README says, and nowhere else.
    for text in [&compose, &readme, &variables] {
        assert!(!text.contains("canary"), "{text}");
    }
    let sealed = readme.lines().find_map(|line| line.strip_prefix("- `files/")?.split_once("`: ")).expect("a secret");
    assert_eq!(sealed.1, "secret PASSPHRASE");
    assert_eq!(read(&format!("files/{}", sealed.0)), "canary-phrase");
    let outside = pod.folder.0.canonicalize().expect("there").join("web.env").display().to_string();
    assert!(readme.contains(&format!("- `{outside}`\n")), "{readme}");
    let commands: Vec<&str> =
        readme.split_once("```sh\n").expect("commands").1.split_once("```").expect("an end").0.lines().collect();
    assert_eq!(commands, ["docker load -i claw-infra.tar", "docker compose up -d --build"]);
    for release in ["2.40", "2.26"] {
        let Some(peer) = peer(release) else { return };
        let shell = |line: &str| {
            let line = line.replace("docker compose", &peer.display().to_string());
            // None of the variables is set but by the directory itself.
            let output = Command::new("sh").args(["-c", &line]).current_dir(&folder).output().expect("a shell");
            assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        };
        commands.iter().for_each(|line| shell(line));
        sleeps(&pod.container("bot"));
        let bot = docker(&[
            "exec",
            &pod.container("bot"),
            "sh",
            "-c",
            "cat /proc/$(pidof sleep)/environ; ls -ln /notes; cat /notes/file",
        ]);
        assert!(bot.contains("PHRASE=canary-phrase") && bot.contains("REGION=eu"), "{bot}");
        assert!(bot.contains("65532") && bot.ends_with("ran"), "the volume is the agent's: {bot}");
        let web = docker(&["exec", &pod.container("web"), "sh", "-c", "env; cat /run/secrets/key /data/x"]);
        assert!(
            web.contains(&format!("VALUE={AWKWARD}\n")) && web.contains("MORE=none") && web.contains("FROM_FILE=yes"),
            "{web}"
        );
        assert!(web.ends_with("canary-key\nof the host"), "{web}");
        assert_eq!(docker(&["inspect", "-f", "{{.HostConfig.ReadonlyRootfs}}", &pod.container("bot")]), "true");
        // Twice changes nothing, and leaves nothing.
        shell("docker compose up -d");
        shell("docker compose down -v");
        assert_eq!(pod.left(&["ps", "-a"]), Vec::<String>::new());
    }
}

#[test]
fn replicas_behind_a_proxy_run_without_claw_too() {
    let Some(peer) = peer("2.40") else { return };
    let pod = Pod::of("governed", "eject-proxy");
    pod.write(".env", "HOUSE_KEY=canary-key\n");
    // Beside the pod: its own directory is what its image is built from.
    let out = crate::Folder::new("eject-proxy-out");
    let folder = &out.0;
    pod.ok(&["eject", &folder.display().to_string()]);
    assert!(!std::fs::read_to_string(folder.join("compose.yml")).expect("the file").contains("canary"));
    for line in ["docker load -i claw-infra.tar", &format!("{} up -d --build --wait", peer.display())] {
        let run =
            Command::new("sh").args(["-c", line]).env("COMPOSE_PROJECT_NAME", &pod.name).current_dir(folder).output();
        let run = run.expect("a shell");
        assert!(run.status.success(), "{line}: {}", String::from_utf8_lossy(&run.stderr));
    }
    for agent in ["clerk-0", "clerk-1"] {
        let said = docker(&["exec", &pod.container(agent), "/bin/claw", "reference", "ask", "hello"]);
        assert!(said.ends_with("Turn 1: hello"), "{said}");
    }
    let costs = docker(&["exec", &pod.container("cllama-passthrough"), "/bin/claw", "cllama", "costs"]);
    assert_eq!(costs.matches("\"requests\":1").count(), 2, "{costs}");
}
