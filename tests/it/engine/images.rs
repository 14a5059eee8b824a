//! Images: built from Clawfiles and Dockerfiles, from what their contexts may hold, by the builder that can.

use super::left::Left;
use super::{Pod, docker, engine, shell};
use crate::proxy::free_port;
use crate::{Folder, claw};

#[test]
fn a_clawfile_becomes_an_image_with_its_labels() {
    let folder = Folder::new("build-one");
    folder
        .write("AGENTS.md", "# A\n")
        .write("Clawfile", "FROM claw/infra\nCLAW_TYPE reference\nAGENT AGENTS.md\nMODEL primary a/b\n");
    let tag = format!("claw-built-{}", std::process::id());
    let _left = Left(tag.clone());
    let run = claw(&folder.0, &["build", "-t", &tag, "--json"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let labels = docker(&[
        "image",
        "inspect",
        "-f",
        "{{index .Config.Labels \"claw.type\"}} {{index .Config.Labels \"claw.model.primary\"}}",
        &tag,
    ]);
    assert_eq!(labels, "reference a/b");
    assert!(folder.0.join("Dockerfile.generated").is_file());
}

#[test]
fn a_context_never_holds_what_is_secret_or_ignored() {
    let pod = Pod::new("context");
    shell(&pod);
    pod.write(
        "box/Clawfile",
        concat!(
            "FROM scratch\n",
            "COPY . /all\n",
            "COPY busybox /bin/busybox\n",
            "CLAW_TYPE generic\n",
            "AGENT AGENTS.md\n",
            "CMD [\"/bin/busybox\", \"find\", \"/all\", \"-type\", \"f\"]\n",
        ),
    );
    pod.write("AGENTS.md", "# A\n").write("box/.dockerignore", "*.log\n!keep.log\nDockerfile\nsub/[ab].txt\n");
    for name in [".env", "sub/.env", ".claw/state/key", "a.log", "keep.log", "sub/a.txt", "sub/c.txt", "token.txt"] {
        pod.write(&format!("box/{name}"), "x");
    }
    pod.write(
        "claw-pod.yml",
        concat!(
            "x-claw: {secrets: {T: {file: box/token.txt}}}\n",
            "services:\n",
            "  bot:\n",
            "    build: box\n",
            "    restart: \"no\"\n",
            "    x-claw: {agent: AGENTS.md}\n",
        ),
    );
    let run = pod.run(&["build"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let found = docker(&["run", "--rm", &format!("{}-bot", pod.name)]);
    let mut found: Vec<&str> = found.lines().collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "/all/.dockerignore",
            "/all/Clawfile",
            "/all/Dockerfile.generated",
            "/all/busybox",
            "/all/keep.log",
            "/all/name",
            "/all/sub/c.txt"
        ]
    );
    let before = docker(&["image", "inspect", "-f", "{{.Id}}", &format!("{}-bot", pod.name)]);
    pod.ok(&["build"]);
    assert_eq!(docker(&["image", "inspect", "-f", "{{.Id}}", &format!("{}-bot", pod.name)]), before);
    pod.ok(&["down", "--rmi", "local"]);
    let left = docker(&["image", "ls", "-q", &format!("{}-bot", pod.name)]);
    assert_eq!(left, "");
}

#[test]
fn what_a_builder_lacks_is_refused_by_name_before_anything_is_sent() {
    let folder = Folder::new("features");
    folder.write("Dockerfile", "FROM scratch\nCOPY <<EOF /x\nhello\nEOF\n").write(".env", "DOCKER_BUILDKIT=0\n");
    let tag = format!("claw-features-{}", std::process::id());
    let _left = Left(tag.clone());
    let run = claw(&folder.0, &["build", "-t", &tag]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(
        run.stderr.contains("needs heredocs (line 2 of `Dockerfile`), which the classic builder of Docker Engine"),
        "{run:?}"
    );
    std::fs::remove_file(folder.0.join(".env")).expect("removed");
    let run = claw(&folder.0, &["build", "-t", &tag]);
    match engine() {
        ..23 => assert!(run.stderr.contains("which the buildkit builder of Docker Engine 20 does not have"), "{run:?}"),
        _ => assert_eq!(run.code, Some(0), "{run:?}"),
    }
}

#[test]
fn both_builders_build_and_a_failing_step_shows_what_it_printed() {
    let pod = Pod::new("builders");
    shell(&pod);
    for (number, buildkit) in ["0", "1"].iter().enumerate() {
        let tag = format!("claw-builder-{number}-{}", std::process::id());
        let _left = Left(tag.clone());
        let path = pod.folder.0.join("box");
        pod.write("box/.env", &format!("DOCKER_BUILDKIT={buildkit}\n"));
        let run = claw(&path, &["build", "-t", &tag, "--no-cache", "."]);
        assert_eq!(run.code, Some(0), "{run:?}");
        let dockerfile = std::fs::read_to_string(path.join("Dockerfile")).expect("read");
        pod.write("box/bad.Dockerfile", &format!("{dockerfile}RUN echo the reason && exit 7\n"));
        let run = claw(&path, &["build", "-t", &tag, "--no-cache", "-f", "bad.Dockerfile"]);
        assert_eq!(run.code, Some(1), "{run:?}");
        assert!(run.stderr.contains("the reason") && run.stderr.contains('7'), "{run:?}");
    }
}

/// A registry of the test's own on this host; gone at the end.
pub(super) struct Registry {
    child: std::process::Child,
    pub(super) port: u16,
    pub(super) folder: Folder,
}

impl Registry {
    pub(super) fn start() -> Self {
        Self::configured(&|_| String::new())
    }

    /// One that lets those in alone whom a line of `htpasswd` names.
    pub(super) fn with_password(line: &str) -> Self {
        Self::configured(&|folder| {
            folder.write("htpasswd", &format!("{line}\n"));
            format!("auth: {{htpasswd: {{realm: test, path: {}}}}}\n", folder.0.join("htpasswd").display())
        })
    }

    /// One whose configuration says how it lets somebody in, in a line that may name files of its folder.
    pub(super) fn configured(auth: &dyn Fn(&Folder) -> String) -> Self {
        let port = free_port();
        // Tests run side by side in one process: each registry has a folder of its own.
        let folder = Folder::new(&format!("registry-{port}"));
        let data = folder.0.join("data").display().to_string();
        let auth = auth(&folder);
        folder.write("config.yml", &format!("version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {data}}}}}\nhttp: {{addr: 127.0.0.1:{port}}}\n{auth}"));
        let child = std::process::Command::new("docker-registry")
            .args(["serve", "config.yml"])
            .current_dir(&folder.0)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("`make tools` installs docker-registry");
        let is_up = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
        let began = std::time::Instant::now();
        while !is_up() {
            assert!(began.elapsed().as_secs() < 20, "the registry does not answer");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        Self { child, port, folder }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // What came from it, or was to go to it, stays on the engine otherwise.
        super::left::sweep(&format!("127.0.0.1:{}/", self.port));
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_missing_image_is_pulled_and_what_it_says_of_itself_counts() {
    let registry = Registry::start();
    let pod = Pod::new("pulled");
    shell(&pod);
    let image = format!("127.0.0.1:{}/bot", registry.port);
    let clawfile = "CLAW_TYPE generic\nAGENT AGENTS.md\nUSER 1234:1234\nCMD [\"sleep\", \"1000\"]\n";
    let dockerfile = std::fs::read_to_string(pod.folder.0.join("box/Dockerfile")).expect("read");
    pod.write("box/Clawfile", &format!("{dockerfile}{clawfile}"))
        .write("AGENTS.md", "# A\n")
        .write(".env", "B_KEY=canary\n");
    let run = claw(&pod.folder.0.join("box"), &["build", "-t", &image]);
    assert_eq!(run.code, Some(0), "{run:?}");
    docker(&["push", "-q", &image]);
    docker(&["rmi", "-f", &image]);
    pod.write(
        "claw-pod.yml",
        &format!("services: {{bot: {{image: \"{image}\", environment: {{B_KEY: \"${{B_KEY}}\"}}}}}}\n"),
    );
    let plan = pod.run(&["plan"]);
    assert!(plan.stdout.starts_with(&format!("pull image {image}: the engine does not have it\n")), "{plan:?}");
    pod.ok(&["up", "-d"]);
    let found = docker(&[
        "inspect",
        "-f",
        "{{.Config.User}} {{index .Config.Labels \"claw.type\"}} {{.HostConfig.ReadonlyRootfs}}",
        &pod.container("bot"),
    ]);
    assert_eq!(found, "1234:1234 generic true", "the image made its service an agent");
    assert_eq!(pod.ok(&["up", "-d"]), "nothing to do\n");
    pod.write("claw-pod.yml", &format!("services: {{bot: {{image: \"{image}-none\"}}}}\n"));
    let run = pod.run(&["up", "-d"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains(&format!("error: the engine could not pull the image `{image}-none`: ")), "{run:?}");
    docker(&["rmi", "-f", &image]);
}

#[test]
fn an_image_that_the_pod_builds_makes_an_agent_of_every_service_that_runs_it() {
    let pod = Pod::new("shared");
    shell(&pod);
    let dockerfile = std::fs::read_to_string(pod.folder.0.join("box/Dockerfile")).expect("read");
    pod.write("box/Clawfile", &format!("{dockerfile}CLAW_TYPE generic\nAGENT AGENTS.md\nCMD [\"sleep\", \"1000\"]\n"));
    let image = format!("{}-box", pod.name);
    pod.write("AGENTS.md", "# A\n").write(
        "claw-pod.yml",
        &format!("services:\n  first: {{build: box, image: {image}}}\n  second: {{image: {image}}}\n"),
    );
    pod.ok(&["up", "-d"]);
    for service in ["first", "second"] {
        let held = docker(&[
            "inspect",
            "-f",
            "{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}}",
            &pod.container(service),
        ]);
        assert_eq!(held, "true [ALL]", "{service}");
    }
    assert_eq!(pod.ok(&["up", "-d"]), "nothing to do\n");
}
