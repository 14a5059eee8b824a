//! Personas: copied once, the agent's from then on, read back, put into a real registry and fetched from it.

use std::process::Command;

use super::images::Registry;
use super::{Pod, build, docker, shell};
use crate::{Run, claw, claw_with, files};

/// A pod of one agent with a shell, and a persona.
fn pod(name: &str, persona: &str) -> Pod {
    let pod = Pod::new(name);
    shell(&pod);
    let image = format!("{}-box", pod.name);
    build(&pod, &image);
    pod.write("AGENTS.md", "# Bot\n\nThe marker is unchanged.\n");
    pod.write("personas/bot/SOUL.md", "calm\n").write("personas/bot/notes/first.md", "one\n");
    pod.write("claw-pod.yml", &text(&image, persona));
    pod
}

fn text(image: &str, persona: &str) -> String {
    format!(
        "services:\n  bot:\n    image: {image}\n    user: \"1234:1235\"\n    command: [sleep, '1000']\n    stop_signal: SIGKILL\n    x-claw: {{type: generic, agent: AGENTS.md, persona: '{persona}'}}\n"
    )
}

impl Pod {
    fn inside(&self, script: &str) -> String {
        docker(&["exec", &self.container("bot"), "sh", "-c", script])
    }

    fn rewrite(&self, persona: &str) {
        self.write("claw-pod.yml", &text(&format!("{}-box", self.name), persona));
    }

    /// Brings it up again where nothing is to be done to the agent, and returns what was said.
    fn settled(&self) -> String {
        let run = self.run(&["up", "-d", "--json"]);
        assert_eq!(run.code, Some(0), "{run:?}");
        let document: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
        let steps = document["data"]["steps"].as_array().expect("steps");
        assert!(steps.iter().all(|step| !step["resource"].to_string().contains("bot")), "{steps:?}");
        run.stderr
    }

    fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let text = self.ok(&[arguments, &["--json"]].concat());
        serde_json::from_str::<serde_json::Value>(&text).expect("JSON")["data"].take()
    }
}

#[test]
fn a_persona_is_copied_once_and_is_the_agents_from_then_on() {
    let pod = pod("persona", "personas/bot");
    let run = pod.ok(&["persona", "pull", "--reset", "-y", "bot"]);
    assert!(
        run.contains("claw has not copied it") && !run.contains("began anew"),
        "no volume, no new beginning: {run}"
    );
    assert_eq!(pod.json(&["persona", "pull", "--reset", "-y", "bot"])["agents"][0]["reset"], false);
    pod.ok(&["up", "-d"]);
    assert_eq!(
        pod.inside("echo $CLAW_PERSONA_DIR; cat /persona/SOUL.md /persona/notes/first.md"),
        "/persona\ncalm\none"
    );
    assert_eq!(
        pod.inside("stat -c '%u:%g %a %n' /persona /persona/SOUL.md /persona/notes"),
        "1234:1235 755 /persona\n1234:1235 644 /persona/SOUL.md\n1234:1235 755 /persona/notes"
    );
    assert!(pod.inside("cat /claw/CLAWDAPUS.md").contains("- Persona: `personas/bot`, at `/persona`: read it first"));
    // It writes there, and reaches nothing else through it.
    pod.inside("echo bold > /persona/SOUL.md; echo new > /persona/notes/own.md; rm /persona/notes/first.md");
    pod.inside("ln -s /claw/AGENTS.md /persona/contract; ! echo changed > /persona/contract 2>/dev/null; ! mv /persona/SOUL.md /claw/ 2>/dev/null");
    assert!(pod.inside("cat /claw/AGENTS.md").contains("The marker is unchanged."));
    pod.settled();
    pod.ok(&["down"]);
    pod.ok(&["up", "-d"]);
    assert_eq!(pod.inside("cat /persona/SOUL.md"), "bold", "a volume outlives its container");
    // The pod's persona moves on: what the agent has made of its own stays, and that is told.
    pod.write("personas/bot/SOUL.md", "loud\n");
    let said = pod.settled();
    assert!(said.contains("kept: `bot` has made its own of the persona sha256:"), "{said}");
    assert_eq!(pod.inside("cat /persona/SOUL.md"), "bold");
    // What is known of it is nowhere else: a volume that holds something is never filled.
    std::fs::remove_dir_all(pod.folder.0.join(".claw")).expect("removed");
    let run = pod.run(&["up", "-d"]);
    assert!(run.stderr.contains("holds something already: it stays the persona of bot"), "{run:?}");
    assert_eq!(pod.inside("cat /persona/SOUL.md"), "bold");
    let run = pod.run(&["persona", "pull", "--reset", "bot"]);
    assert!(run.code == Some(2) && run.stderr.contains("would be lost"), "{run:?}");
    assert!(pod.ok(&["persona", "pull", "--reset", "-y", "bot"]).starts_with("bot: began anew with"));
    assert_eq!(
        pod.inside("cat /persona/SOUL.md; ls /persona /persona/notes"),
        "loud\n/persona:\nSOUL.md\nnotes\n\n/persona/notes:\nfirst.md"
    );
    pod.settled();
    // A reset that ended early goes on by taking away what is left.
    pod.inside("echo bold > /persona/SOUL.md; echo left > /persona/own.md");
    let rows = pod.folder.0.join(".claw").join(&pod.name).join("state/seeded");
    let text = std::fs::read_to_string(&rows).expect("rows");
    let (begun, _) = text.trim_end().rsplit_once(' ').expect("a digest");
    std::fs::write(&rows, format!("{begun} emptying\n")).expect("written");
    pod.ok(&["up", "-d"]);
    assert_eq!(pod.inside("cat /persona/SOUL.md; ls /persona"), "loud\nSOUL.md\nnotes");
    pod.settled();
    let told = pod.ok(&["persona", "pull", "bot", "--json"]);
    super::json::check("persona pull", &told);
    assert!(pod.ok(&["persona", "pull", "bot"]).starts_with("bot: began with `personas/bot`, sha256:"));
    pod.ok(&["down", "-v"]);
    pod.leaves_nothing();
}

#[test]
fn a_snapshot_has_what_the_agent_made_and_comes_back_from_a_backup() {
    let pod = pod("persona-kept", "personas/bot");
    let run = pod.run(&["persona", "snapshot", "bot"]);
    assert!(run.code == Some(1) && run.stderr.contains("has no volume for its persona yet"), "{run:?}");
    pod.ok(&["up", "-d"]);
    pod.inside("echo bold > /persona/SOUL.md; mkdir -p /persona/.git; echo x > /persona/.git/config; ln -s /etc/passwd /persona/link");
    let told = pod.json(&["persona", "snapshot", "bot", "-o", "made"]);
    assert_eq!((told["files"].as_u64(), told["left_out"].as_u64()), (Some(2), Some(2)), "{told}");
    let made = files(&pod.folder.0.join("made"));
    assert_eq!(
        made.into_iter().collect::<Vec<_>>(),
        [("SOUL.md".to_owned(), "bold\n".to_owned()), ("notes/first.md".to_owned(), "one\n".to_owned())]
    );
    super::json::check("persona snapshot", &pod.ok(&["persona", "snapshot", "bot", "--json"]));
    pod.ok(&["persona", "snapshot", "bot", "-o", "again.tar"]);
    let read = |name: &str| std::fs::read(pod.folder.0.join(name)).expect("read");
    assert_eq!(read("bot-persona.tar"), read("again.tar"), "the same files, the same bytes");
    let run = pod.run(&["persona", "snapshot", "bot", "-o", "again.tar"]);
    assert_eq!(run.code, Some(1), "nothing is written over: {run:?}");
    assert_eq!(docker(&["inspect", "-f", "{{.State.Paused}}", &pod.container("bot")]), "false");
    // Without claw it is copied by docker's own client, as the README of an ejected pod says.
    let plain = format!("../{}-plain", pod.name);
    pod.ok(&["eject", &plain]);
    let plain = pod.folder.0.join(plain);
    let readme = std::fs::read_to_string(plain.join("README.md")).expect("read");
    assert!(readme.contains("docker compose ps -aq bot):/persona\" < personas/bot.tar"), "{readme}");
    let copy = format!("docker cp - {}:/persona < personas/bot.tar", pod.container("bot"));
    let copied = Command::new("sh").args(["-c", &copy]).current_dir(&plain).output().expect("sh runs");
    assert!(copied.status.success(), "{copied:?}");
    assert_eq!(
        pod.inside("stat -c %u:%g /persona/SOUL.md; cat /persona/SOUL.md; echo bold > /persona/SOUL.md"),
        "1234:1235\ncalm"
    );
    std::fs::remove_dir_all(plain).expect("removed");
    // What came back is not filled anew.
    let saved = format!("../{}-saved", pod.name);
    pod.ok(&["backup", &saved]);
    pod.ok(&["down", "-v"]);
    pod.ok(&["restore", "-y", &saved]);
    std::fs::remove_dir_all(pod.folder.0.join(&saved)).expect("removed");
    let run = pod.run(&["up", "-d"]);
    assert!(run.code == Some(0) && !run.stderr.contains("copy persona"), "{run:?}");
    assert_eq!(pod.inside("cat /persona/SOUL.md"), "bold");
}

#[test]
fn what_is_pushed_is_what_is_pulled_and_the_lock_keeps_it() {
    let registry = Registry::start();
    let pod = pod("persona-pushed", "personas/bot");
    pod.ok(&["up", "-d"]);
    pod.inside("echo bold > /persona/SOUL.md");
    let name = format!("127.0.0.1:{}/acme/bot:1", registry.port);
    let pushed = pod.json(&["persona", "push", "bot", &name]);
    let again = pod.ok(&["persona", "push", "bot", &name, "--json"]);
    super::json::check("persona push", &again);
    let again: serde_json::Value = serde_json::from_str(&again).expect("JSON");
    assert_eq!(again["data"]["digest"], pushed["digest"], "the same twice");
    let pulled = pod.json(&["persona", "pull", &name, "-o", "pulled"]);
    assert_eq!((&pulled["digest"], &pulled["content"]), (&pushed["digest"], &pushed["content"]));
    assert_eq!(std::fs::read_to_string(pod.folder.0.join("pulled/SOUL.md")).expect("read"), "bold\n");
    // A directory becomes the same artifact, in a registry and as a layout.
    assert_eq!(pod.json(&["persona", "push", "./pulled", &name])["digest"], pushed["digest"]);
    assert_eq!(pod.json(&["persona", "push", "./pulled", "file://dist/bot"])["digest"], pushed["digest"]);
    pod.ok(&["down", "-v"]);
    pod.rewrite("file://dist/bot");
    pod.ok(&["up", "-d"]);
    assert_eq!(pod.inside("cat /persona/SOUL.md"), "bold");
    pod.ok(&["down", "-v"]);
    // A registry's is locked, and then needs neither registry nor engine to compile.
    pod.rewrite(&name);
    let said = pod.ok(&["update"]);
    assert!(said.contains(&format!("persona {name}: added, sha256:")), "{said}");
    let lock = std::fs::read_to_string(pod.folder.0.join("claw.lock")).expect("a lock");
    assert!(
        lock.contains(pushed["digest"].as_str().expect("a digest"))
            && lock.contains(pushed["content"].as_str().expect("a digest")),
        "{lock}"
    );
    pod.ok(&["compile"]);
    let written = || std::fs::read_to_string(pod.folder.0.join("compose.generated.yml")).expect("read");
    let compose = written();
    // The tag moves; the pod does not.
    pod.write("pulled/SOUL.md", "loud\n");
    pod.ok(&["persona", "push", "./pulled", &name]);
    pod.ok(&["up", "-d"]);
    assert_eq!(pod.inside("cat /persona/SOUL.md"), "bold");
    let said = pod.ok(&["update", "bot"]);
    assert!(said.contains(&format!("persona {name}: sha256:")) && said.contains(" is now sha256:"), "{said}");
    let said = pod.settled();
    assert!(said.contains("kept: `bot` has made its own"), "{said}");
    drop(registry);
    let run =
        claw_with(&pod.folder.0, &["-p", &pod.name, "compile", "--locked"], &[("DOCKER_HOST", "unix:///nowhere.sock")]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(written(), compose);
    // What was copied needs no registry; what was not cannot be had.
    pod.settled();
    pod.ok(&["down", "-v"]);
    let run = pod.run(&["up", "-d"]);
    assert!(run.code == Some(1) && run.stderr.contains(&format!("the persona `{name}` cannot be fetched")), "{run:?}");
}

#[test]
fn an_agent_cannot_prevent_its_reset_and_what_is_not_its_own_is_told() {
    let pod = pod("persona-shut", "personas/bot");
    pod.ok(&["up", "-d"]);
    let shut = "mkdir -p /persona/x/y /persona/deep; touch /persona/x/f /persona/x/y/f; chmod 000 /persona/x/y /persona/x; \
                cd /persona/deep; i=0; while [ $i -lt 300 ]; do mkdir d; cd d; i=$((i+1)); done; chmod 500 /persona/deep /persona/notes /persona";
    pod.inside(shut);
    pod.ok(&["persona", "pull", "--reset", "-y", "bot"]);
    assert_eq!(pod.inside("cat /persona/SOUL.md; ls -A /persona"), "calm\nSOUL.md\nnotes");
    // Another's, put there by somebody else.
    let volume = docker(&["volume", "ls", "-q", "--filter", &format!("label=com.docker.compose.project={}", pod.name)]);
    let mount = format!("{volume}:/p");
    let image = format!("{}-box", pod.name);
    let script = "mkdir /p/theirs && echo x > /p/theirs/f";
    docker(&["run", "--rm", "--user", "0:0", "-v", &mount, "--entrypoint", "/bin/sh", &image, "-c", script]);
    pod.inside("echo mine > /persona/own.md");
    let run = pod.run(&["persona", "pull", "--reset", "-y", "bot"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    let container = pod.container("bot");
    let way = format!("`docker rm -f {container} && docker volume rm {volume}`, then `claw up` makes both anew");
    assert!(run.stderr.contains("`/persona/theirs") && run.stderr.contains(&way), "{run:?}");
    assert!(
        run.stderr.contains("the persona of bot is not whole and the agent is stopped: `claw up` goes on"),
        "{run:?}"
    );
    assert_eq!(docker(&["inspect", "-f", "{{.State.Status}}", &container]), "exited");
    let run = pod.run(&["up", "-d"]);
    assert!(run.code == Some(1) && run.stderr.contains(&way), "{run:?}");
    docker(&["rm", "-f", &container]);
    docker(&["volume", "rm", &volume]);
    pod.ok(&["up", "-d"]);
    assert_eq!(pod.inside("cat /persona/SOUL.md; ls -A /persona"), "calm\nSOUL.md\nnotes");
    pod.ok(&["down", "-v"]);
    pod.leaves_nothing();
}

#[test]
fn an_agent_that_is_paused_or_restarted_is_held_and_is_then_as_it_was() {
    let pod = pod("persona-held", "personas/bot");
    let image = format!("{}-box", pod.name);
    // One that ends and is started again and again, once it wants to.
    let script = "while [ ! -e /persona/loop ]; do sleep 0.2; done; exit 1";
    let looping = text(&image, "personas/bot")
        .replace("[sleep, '1000']", &format!("[sh, -c, '{script}']\n    restart: always"))
        .replace("{type: generic,", "{type: generic, allow: [restart],");
    pod.write("claw-pod.yml", &looping);
    pod.ok(&["up", "-d"]);
    let container = pod.container("bot");
    let state = |field: &str| docker(&["inspect", "-f", &format!("{{{{.{field}}}}}"), &container]);
    pod.inside("echo bold > /persona/SOUL.md");
    docker(&["pause", &container]);
    let before = state("State.StartedAt");
    pod.ok(&["persona", "snapshot", "bot", "-o", "paused"]);
    assert_eq!((state("State.Status").as_str(), state("State.StartedAt")), ("paused", before.clone()));
    pod.ok(&["persona", "pull", "--reset", "-y", "bot"]);
    assert_eq!(state("State.Status"), "paused");
    assert_ne!(state("State.StartedAt"), before, "it was stopped while its persona was taken away");
    docker(&["unpause", &container]);
    assert_eq!(pod.inside("cat /persona/SOUL.md"), "calm");
    // The engine waits longer each time: seconds, from the sixth on.
    let loops = || {
        for _ in 0..600 {
            let count: u32 = state("RestartCount").parse().expect("a number");
            if count >= 6 && state("State.Status") == "restarting" {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        panic!("it is not restarted");
    };
    pod.inside("touch /persona/loop");
    loops();
    pod.ok(&["persona", "snapshot", "bot", "-o", "looping"]);
    assert!(state("RestartCount").parse::<u32>().expect("a number") < 6, "it was stopped, and started anew");
    loops();
    pod.ok(&["persona", "pull", "--reset", "-y", "bot"]);
    assert_eq!((state("State.Status").as_str(), state("RestartCount").as_str()), ("running", "0"));
    assert_eq!(pod.inside("ls -A /persona"), "SOUL.md\nnotes");
    pod.ok(&["down", "-v"]);
    pod.leaves_nothing();
}

#[test]
fn ctrl_c_ends_a_reset_between_agents_and_leaves_none_of_them_halfway() {
    let pod = pod("persona-cut", "personas/bot");
    let image = format!("{}-box", pod.name);
    // One that takes its time to stop: its shell does not hear what is said.
    let one = text(&image, "personas/bot").replace("SIGKILL", "SIGTERM\n    stop_grace_period: 3s");
    let one = one.replace("[sleep, '1000']", "[sh, -c, 'trap \"\" TERM; while :; do sleep 1; done']");
    let pod_text = one.replace("    x-claw: {", "    x-claw: {count: 2, ");
    pod.write("claw-pod.yml", &pod_text);
    pod.ok(&["up", "-d"]);
    let inside =
        |number: u32, script: &str| docker(&["exec", &format!("{}-bot-{number}-1", pod.name), "sh", "-c", script]);
    for number in [0, 1] {
        inside(number, "echo bold > /persona/SOUL.md");
    }
    let mut command = pod.command(&["persona", "pull", "--reset", "-y", "bot"]);
    let mut child =
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped()).spawn().expect("it runs");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().expect("piped")));
    let first = lines.next().expect("a line").expect("a text");
    assert!(first.contains("copy persona of bot-0"), "{first}");
    // It is being stopped now.
    std::thread::sleep(std::time::Duration::from_secs(1));
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("sent");
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    assert_eq!(child.wait().expect("it ends").code(), Some(130), "{rest:?}");
    assert_eq!(inside(0, "cat /persona/SOUL.md"), "calm", "what was begun was ended: {rest:?}");
    assert_eq!(inside(1, "cat /persona/SOUL.md"), "bold", "and no other was begun: {rest:?}");
    let helpers = docker(&[
        "ps",
        "-aq",
        "--filter",
        &format!("label=com.docker.compose.project={}", pod.name),
        "--filter",
        "label=com.docker.compose.oneoff=True",
    ]);
    assert_eq!(helpers, "");
    pod.ok(&["down", "-v"]);
    pod.leaves_nothing();
}

/// Returns what `claw check` says of a pod whose persona is a layout with this layer.
fn checked(pod: &Pod, name: &str, script: &str) -> Run {
    let script = format!(
        "set -eu; mkdir -p {name}/blobs/sha256; {script}; gzip -n layer.tar; \
         put() {{ sum=$(sha256sum $1 | cut -d' ' -f1); size=$(stat -c %s $1); cp $1 {name}/blobs/sha256/$sum; }}; \
         put layer.tar.gz; layer='{{\"mediaType\":\"application/vnd.claw.persona.v1.tar+gzip\",\"digest\":\"sha256:'$sum'\",\"size\":'$size'}}'; \
         printf '{{}}' > empty; put empty; empty='{{\"mediaType\":\"application/vnd.oci.empty.v1+json\",\"digest\":\"sha256:'$sum'\",\"size\":2}}'; \
         printf '%s' '{{\"schemaVersion\":2,\"artifactType\":\"application/vnd.claw.persona.v1\",\"config\":'$empty',\"layers\":['$layer']}}' > manifest; put manifest; \
         printf '%s' '{{\"manifests\":[{{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"sha256:'$sum'\",\"size\":'$size'}}]}}' > {name}/index.json; \
         printf '%s' '{{\"imageLayoutVersion\":\"1.0.0\"}}' > {name}/oci-layout; rm -f layer.tar.gz"
    );
    let made = Command::new("sh").args(["-c", &script]).current_dir(&pod.folder.0).output().expect("sh runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    pod.rewrite(&format!("file://{name}"));
    pod.run(&["check"])
}

#[test]
fn what_would_lead_out_of_a_persona_is_refused_before_anything_is_made() {
    let pod = Pod::new("persona-refused");
    pod.write("AGENTS.md", "# Bot\n").write("SOUL.md", "calm\n");
    let good = checked(&pod, "good", "tar -cf layer.tar SOUL.md");
    assert_eq!(good.code, Some(0), "{good:?}");
    let rows = [
        (
            "up",
            "tar -P --transform 's,^,../../,' -cf layer.tar SOUL.md",
            "has a path that leads out of it: `../../SOUL.md`",
        ),
        ("absolute", "tar -P --transform 's,^,/etc/,' -cf layer.tar SOUL.md", "has an absolute path: `/etc/SOUL.md`"),
        ("link", "ln -sf /etc/passwd way; tar -cf layer.tar way", "has a link or a device: `way`"),
        ("pipe", "mkfifo way.pipe; tar -cf layer.tar way.pipe", "has a link or a device: `way.pipe`"),
        ("big", "head -c 9000000 /dev/zero > big.md; tar -cf layer.tar big.md", "is larger than 8 MiB"),
        ("env", "echo A=b > .env; tar -cf layer.tar .env; rm .env", "holds `.env`, which no agent should have: `.env`"),
    ];
    for (name, script, why) in rows {
        let run = checked(&pod, name, script);
        assert_eq!(run.code, Some(2), "{name}: {run:?}");
        assert!(run.stdout.contains("unusable-persona") || run.stderr.contains("unusable-persona"), "{name}: {run:?}");
        assert!(format!("{}{}", run.stdout, run.stderr).contains(why), "{name}: {run:?}");
    }
    for (persona, why) in
        [("whole", "is the pod's directory itself"), ("personas", "has a link that leads to no file of it")]
    {
        let _ = std::fs::create_dir(pod.folder.0.join("personas"));
        let _ = std::os::unix::fs::symlink(".", pod.folder.0.join("whole"));
        let _ = std::os::unix::fs::symlink("/etc/passwd", pod.folder.0.join("personas/out.md"));
        pod.rewrite(persona);
        let run = pod.run(&["check"]);
        assert!(run.code == Some(2) && format!("{}{}", run.stdout, run.stderr).contains(why), "{persona}: {run:?}");
    }
}

#[test]
fn a_blob_that_was_changed_is_refused_by_its_digest() {
    let registry = Registry::start();
    let pod = Pod::new("persona-changed");
    pod.write("AGENTS.md", "# Bot\n").write("own/SOUL.md", "calm\n");
    let name = format!("127.0.0.1:{}/acme/bot:1", registry.port);
    pod.ok(&["persona", "push", "./own", &name]);
    let blobs = files(&registry.folder.0.join("data/docker/registry/v2/blobs"));
    // Gzip's first two bytes in a text that lost what is no UTF-8: the layer alone begins so.
    let layer = blobs.iter().find(|(_, text)| text.starts_with('\u{1f}')).expect("a layer").0;
    let place = registry.folder.0.join("data/docker/registry/v2/blobs").join(layer);
    let mut bytes = std::fs::read(&place).expect("read");
    *bytes.last_mut().expect("a byte") ^= 1;
    std::fs::write(&place, bytes).expect("written");
    let run = claw(&pod.folder.0, &["persona", "pull", &name]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains(&format!("the persona `{name}` was changed: its layer is sha256:")), "{run:?}");
    pod.rewrite(&name);
    let run = pod.run(&["check"]);
    assert!(run.code == Some(2) && format!("{}{}", run.stdout, run.stderr).contains("unusable-persona"), "{run:?}");
    // An image is no persona.
    shell(&pod);
    let image = format!("127.0.0.1:{}/acme/image:1", registry.port);
    build(&pod, &image);
    docker(&["push", "-q", &image]);
    docker(&["rmi", "-f", &image]);
    let run = claw(&pod.folder.0, &["persona", "pull", &image]);
    let why = format!("the persona `{image}` has no manifest of an artifact: ");
    assert!(run.code == Some(1) && run.stderr.contains(&why), "{run:?}");
}

#[test]
fn who_logs_in_is_what_dockers_file_says_and_is_never_printed() {
    let registry = Registry::with_password("ann:$2b$05$abcdefghijklmnopqrstuuTvmw3qcMpAvEgQGhbFMhqjD3R/evDDW");
    let pod = Pod::new("persona-login");
    pod.write("own/SOUL.md", "calm\n");
    let host = format!("127.0.0.1:{}", registry.port);
    let name = format!("{host}/acme/bot:1");
    // `ann:canary-password`
    pod.write(
        "docker/config.json",
        &format!("{{\"auths\": {{\"{host}\": {{\"auth\": \"YW5uOmNhbmFyeS1wYXNzd29yZA==\"}}}}}}"),
    );
    let config = pod.folder.0.join("docker").display().to_string();
    let logged = |arguments: &[&str]| claw_with(&pod.folder.0, arguments, &[("DOCKER_CONFIG", &config)]);
    let run = claw(&pod.folder.0, &["persona", "push", "./own", &name]);
    assert_eq!(run.code, Some(1), "{run:?}");
    let run = logged(&["persona", "push", "./own", &name]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let run = logged(&["persona", "pull", &name, "--json"]);
    assert!(run.code == Some(0) && !format!("{run:?}").contains("canary"), "{run:?}");
    // A token of an identity is no password.
    pod.write(
        "docker/config.json",
        &format!("{{\"auths\": {{\"{host}\": {{\"auth\": \"YW5uOg==\", \"identitytoken\": \"canary-token\"}}}}}}"),
    );
    let run = logged(&["persona", "pull", &name]);
    assert!(
        run.code == Some(1) && run.stderr.contains("`docker login -u NAME` a login for a registry that takes names"),
        "{run:?}"
    );
    assert!(!format!("{run:?}").contains("canary"), "{run:?}");
    // A helper of docker's, as `docker login` sets one up.
    let helper = pod.folder.0.join("bin/docker-credential-test");
    pod.write("bin/docker-credential-test", "#!/bin/sh\nread -r name\n[ \"$1\" = get ] || exit 1\nprintf '{\"ServerURL\":\"%s\",\"Username\":\"ann\",\"Secret\":\"canary-password\"}' \"$name\"\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&helper, mode).expect("set");
    pod.write("docker/config.json", "{\"credsStore\": \"test\"}");
    let path = format!(
        "{}:{}",
        helper.parent().map(std::path::Path::display).expect("a folder"),
        std::env::var("PATH").unwrap_or_default()
    );
    let run = claw_with(&pod.folder.0, &["persona", "pull", &name], &[("DOCKER_CONFIG", &config), ("PATH", &path)]);
    assert!(run.code == Some(0) && !format!("{run:?}").contains("canary"), "{run:?}");
}
