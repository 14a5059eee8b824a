//! `claw.lock`: written from what an engine and a registry have, and enough to compile where there is neither.

use super::images::Registry;
use super::{Pod, docker, shell};
use crate::claw_with;

/// Pushes the pod's folder `box` under a name, saying which release it is.
fn push(pod: &Pod, image: &str, release: &str, labels: &str) {
    let dockerfile = std::fs::read_to_string(pod.folder.0.join("box/Dockerfile")).expect("read");
    let path = format!("{release}.Dockerfile");
    pod.write(&format!("box/{path}"), &format!("{dockerfile}ENV RELEASE={release}\n{labels}"));
    let folder = pod.folder.0.join("box");
    docker(&[
        "build",
        "-q",
        "-t",
        image,
        "-f",
        &folder.join(&path).display().to_string(),
        &folder.display().to_string(),
    ]);
    docker(&["push", "-q", image]);
}

fn read(pod: &Pod, name: &str) -> String {
    std::fs::read_to_string(pod.folder.0.join(name)).expect(name)
}

#[test]
fn a_locked_pod_compiles_to_the_same_bytes_without_an_engine_and_runs_the_same_images() {
    let registry = Registry::start();
    let pod = Pod::new("lockfile");
    shell(&pod);
    let image = format!("127.0.0.1:{}/bot:1", registry.port);
    let local = format!("{}-local", pod.name);
    let agent = "LABEL claw.type=generic\nUSER 1234:1234\n";
    push(&pod, &image, "one", agent);
    docker(&["build", "-q", "-t", &local, &pod.folder.0.join("box").display().to_string()]);
    let text = format!(
        "services:\n  bot: {{image: '{image}', command: [sleep, '1000'], x-claw: {{agent: AGENTS.md}}}}\n  web: {{image: {local}, command: [sleep, '1000'], stop_signal: SIGKILL}}\n"
    );
    pod.write("claw-pod.yml", &text).write("AGENTS.md", "# Bot\n");
    let run = pod.run(&["compile", "--locked"]);
    assert!(run.code == Some(2) && run.stderr.contains("there is no `claw.lock` here"), "{run:?}");
    let said = pod.ok(&["update"]);
    assert!(
        said.contains(&format!("{image}: added, sha256:")) && said.contains(&format!("{local}: added, sha256:")),
        "{said}"
    );
    assert_eq!(pod.ok(&["update"]), "nothing changed\n");
    let lock = read(&pod, "claw.lock");
    // With the engine, and where there is none.
    pod.ok(&["compile"]);
    let compose = read(&pod, "compose.generated.yml");
    let digest = docker(&["inspect", "-f", "{{index .RepoDigests 0}}", &image]);
    let digest = digest.rsplit_once('@').expect("a digest").1;
    assert!(compose.contains(&format!("image: \"{image}@{digest}\"")), "{compose}");
    assert!(compose.contains(&format!("image: \"{local}\"")) && compose.contains("user: \"1234:1234\""), "{compose}");
    let nowhere = |arguments: &[&str]| {
        let arguments = [&["-p", &pod.name], arguments].concat();
        claw_with(&pod.folder.0, &arguments, &[("DOCKER_HOST", "unix:///nowhere.sock")])
    };
    let run = nowhere(&["compile", "--locked", "-o", "elsewhere"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(read(&pod, "elsewhere/compose.generated.yml"), compose);
    assert_eq!(nowhere(&["check", "--locked"]).code, Some(0));
    // The tag moves on; the pod does not until it is told to.
    pod.ok(&["up", "-d"]);
    let release = || docker(&["exec", &pod.container("bot"), "sh", "-c", "echo $RELEASE"]);
    push(&pod, &image, "two", &format!("{agent}LABEL claw.x=y\n"));
    docker(&["rmi", "-f", &image]);
    assert_eq!(pod.ok(&["up", "-d"]), "nothing to do\n");
    pod.ok(&["up", "-d", "--force-recreate"]);
    assert_eq!(release(), "one");
    let web = pod.id("web");
    let said = pod.ok(&["update", "bot"]);
    assert!(said.contains(&format!("{image}: sha256:")) && said.contains(" is now sha256:"), "{said}");
    assert!(said.contains(&format!("{image}: its labels changed")) && !said.contains(&local), "{said}");
    assert!(pod.ok(&["plan"]).contains("image changed"), "to the field");
    pod.ok(&["up", "-d"]);
    assert_eq!((release(), pod.id("web")), ("two".to_owned(), web));
    // An image of this host that is another one now is refused by name.
    docker(&["build", "-q", "-t", &local, "--label", "other=1", &pod.folder.0.join("box").display().to_string()]);
    let run = pod.run(&["up", "-d"]);
    assert!(run.code == Some(2) && run.stderr.contains(&format!("the image `{local}` is sha256:")), "{run:?}");
    // Drift: told, and with `--locked` refused.
    pod.write("claw-pod.yml", &text.replace(&local, "another"));
    let run = pod.run(&["check"]);
    assert!(
        run.code == Some(0)
            && run
                .stderr
                .contains("warning[lock-drift]: `claw.lock` is not of this pod: the image `another` is not in it"),
        "{run:?}"
    );
    let run = nowhere(&["compile", "--locked"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(
        run.stderr.contains("error[lock-drift]")
            && run.stderr.contains(&format!("nothing uses the image `{local}` any more")),
        "{run:?}"
    );
    let newer = lock.replace(&format!("\"claw\": \"{}\"", env!("CARGO_PKG_VERSION")), "\"claw\": \"9.0.0\"");
    pod.write("claw-pod.yml", &text).write("claw.lock", &newer.replace("claw's own conventions", "something older"));
    let run = nowhere(&["compile", "--locked"]);
    assert!(
        run.stderr.contains("claw 9.0.0 wrote it") && run.stderr.contains("the runtime `generic` was something older"),
        "{run:?}"
    );
    docker(&["rmi", "-f", &local]);
}

#[test]
fn what_a_build_brings_is_locked_with_what_it_is_built_from() {
    let pod = Pod::new("locked-build");
    shell(&pod);
    let dockerfile = std::fs::read_to_string(pod.folder.0.join("box/Dockerfile")).expect("read");
    let manual = "RUN echo 'Ask the library.' > /manual.md\nLABEL claw.skill.emit=/manual.md\nEXPOSE 80\n";
    pod.write("box/Dockerfile", &format!("{dockerfile}{manual}")).write("AGENTS.md", "# Bot\n");
    pod.write(
        "claw-pod.yml",
        "services:\n  bot: {image: claw/infra, x-claw: {type: generic, agent: AGENTS.md, surfaces: ['service://library']}}\n  library: {build: box}\n",
    );
    pod.ok(&["build", "library"]);
    pod.ok(&["update"]);
    assert!(read(&pod, "claw.lock").contains("Ask the library."));
    let nowhere = |arguments: &[&str]| {
        let arguments = [&["-p", &pod.name], arguments].concat();
        claw_with(&pod.folder.0, &arguments, &[("DOCKER_HOST", "unix:///nowhere.sock")])
    };
    let run = nowhere(&["compile", "--locked"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let written: String = crate::files(&pod.folder.0.join(".claw")).into_values().collect();
    assert!(written.contains("Ask the library."));
    // What it is built from has changed, so nobody knows what it brings.
    pod.write("box/name", "another");
    let run = nowhere(&["compile", "--locked"]);
    assert!(
        run.code == Some(2) && run.stderr.contains("what the image of `library` is built from has changed"),
        "{run:?}"
    );
}
