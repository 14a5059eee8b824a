//! Scenarios on a real engine, from nothing to nothing. `make engine` installs and starts one.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::{Folder, Run, claw, files, root};

/// A copy of an example, and a project of its own that is gone at the end.
struct Pod {
    folder: Folder,
    name: String,
}

impl Pod {
    fn new(example: &str, name: &str) -> Self {
        let name = format!("claw-{name}-{}", std::process::id());
        let folder = Folder::new(&name);
        for (path, text) in files(&root().join("examples").join(example)) {
            if !path.starts_with("expected/") {
                folder.write(&path, &text);
            }
        }
        Self { folder, name }
    }

    fn run(&self, arguments: &[&str]) -> Run {
        claw(&self.folder.0, &[&["-p", &self.name], arguments].concat())
    }

    /// Runs claw and expects it to succeed.
    fn ok(&self, arguments: &[&str]) -> String {
        let run = self.run(arguments);
        assert_eq!(run.code, Some(0), "claw {arguments:?}: {}\n{}", run.stdout, run.stderr);
        run.stdout
    }

    /// What the engine has with the project's label, seen by docker's own client.
    fn left(&self, kind: &[&str]) -> Vec<String> {
        let filter = format!("label=com.docker.compose.project={}", self.name);
        let text = docker(&[kind, &["-q", "--filter", &filter]].concat());
        text.lines().map(ToOwned::to_owned).collect()
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        let _ = self.run(&["down", "-v"]);
        let _ = Command::new("docker").args(["rmi", "-f", &format!("{}-writer", self.name)]).output();
    }
}

fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().expect("the docker client runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}

#[test]
fn the_quickstart_runs_remembers_converges_and_leaves_nothing() {
    let pod = Pod::new("quickstart", "spine");
    pod.ok(&["up", "-d", "--wait"]);
    assert!(pod.ok(&["ps"]).lines().any(|line| line.starts_with("writer") && line.contains("(healthy)")));
    assert!(pod.ok(&["health"]).starts_with("writer           healthy"));
    assert_eq!(pod.ok(&["ask", "writer", "hello"]), "I am Writer. Turn 1: hello\n");

    let provider = docker(&["inspect", "-f", "{{.Id}}", &format!("{}-provider-1", pod.name)]);
    assert_eq!(pod.ok(&["up", "-d"]), "nothing to do\n");
    assert_eq!(pod.run(&["plan", "--exit-code"]).code, Some(0));

    pod.folder.write("AGENTS.md", "# Editor\n\nNew rules.\n");
    let plan = pod.run(&["plan", "--exit-code"]);
    assert_eq!(plan.code, Some(3));
    assert_eq!(
        plan.stdout,
        "remove container writer: its configuration changed\ncreate container writer: its configuration changed\n\
         start container writer: it is new\n"
    );
    pod.ok(&["up", "-d", "--wait"]);
    assert_eq!(pod.ok(&["ask", "writer", "again"]), "I am Editor. Turn 2: again\n", "memory outlives its container");
    assert_eq!(docker(&["inspect", "-f", "{{.Id}}", &format!("{}-provider-1", pod.name)]), provider);

    pod.ok(&["down", "-v"]);
    for kind in [&["ps", "-a"][..], &["network", "ls"], &["volume", "ls"]] {
        assert_eq!(pod.left(kind), Vec::<String>::new(), "{kind:?}");
    }
    assert!(!pod.folder.0.join(".claw").join(&pod.name).exists());
}

#[test]
fn an_agent_is_held_as_the_plan_says_and_cannot_reach_out() {
    let pod = Pod::new("multi-claw", "held");
    pod.ok(&["up", "-d", "--wait"]);
    let container = format!("{}-reviewer-1", pod.name);
    let format = "{{.Config.User}}|{{.HostConfig.ReadonlyRootfs}}|{{.HostConfig.CapDrop}}|{{.HostConfig.SecurityOpt}}|\
                  {{.HostConfig.PidsLimit}}|{{.HostConfig.MemorySwap}}|{{range $k, $v := .NetworkSettings.Networks}}{{$k}}{{end}}";
    let expected = format!("65532:65532|true|[ALL]|[no-new-privileges:true]|512|268435456|{}_claw-internal", pod.name);
    assert_eq!(docker(&["inspect", "-f", format, &container]), expected);
    let mounts = docker(&["inspect", "-f", "{{range .Mounts}}{{.Destination}} {{.RW}};{{end}}", &container]);
    let mut mounts: Vec<&str> = mounts.trim_end_matches(';').split(';').collect();
    mounts.sort_unstable();
    assert_eq!(mounts, ["/claw false", "/mnt/drafts false", "/var/lib/claw true"]);

    let reply = pod.ok(&["ask", "reviewer", "fetch http://archive:8702/health"]);
    assert_eq!(reply, "The tool said: 200 OK\nok\n\n");
    let reply = pod.ok(&["ask", "reviewer", "fetch http://provider:8701/health"]);
    assert_eq!(reply, "The tool said: error: `provider:8701` is not one of your services\n");
    for author in ["author-0", "author-1"] {
        assert_eq!(pod.ok(&["ask", author, "hi"]), "I am Author. Turn 1: hi\n", "replicas have memories of their own");
    }
    let volume = format!("type=volume,src={}_drafts,dst=/volume,volume-nocopy", pod.name);
    let sandbox = ["run", "--rm", "--network", "none", "--user", "0", "--cap-drop", "ALL", "--mount", &volume];
    let owner = docker(&[&sandbox[..], &["claw/infra", "shim", "own", "1:1", "/volume"]].concat());
    assert_eq!(owner, "", "the volume is not root's any more, so nothing is changed");
}

#[test]
fn an_up_that_was_killed_is_continued_by_the_next() {
    let pod = Pod::new("quickstart", "killed");
    let mut child = Command::new(env!("CARGO_BIN_EXE_claw"))
        .args(["-p", &pod.name, "up", "-d"])
        .current_dir(&pod.folder.0)
        .stderr(Stdio::piped())
        .spawn()
        .expect("claw runs");
    let lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().expect("piped")));
    for line in lines {
        if line.expect("text").starts_with("create container") {
            break;
        }
    }
    child.kill().expect("killed");
    child.wait().expect("gone");
    pod.ok(&["up", "-d", "--wait"]);
    assert_eq!(pod.ok(&["up", "-d"]), "nothing to do\n");
    pod.ok(&["down", "-v"]);
    assert_eq!(pod.left(&["ps", "-a"]), Vec::<String>::new());
}

#[test]
fn what_up_cannot_do_safely_it_refuses_by_name() {
    let folder = Folder::new("refused");
    let pod = |extra: &str| {
        format!(
            "x-claw: {{pod: refused, providers: {{demo: {{base_url: \"http://p:1\"}}}}}}\nservices:\n  bot:\n    image: claw/infra\n    {extra}\n    x-claw: {{type: reference, agent: AGENTS.md, models: {{primary: demo/x}}, CLLAMA}}\n"
        )
    };
    folder.write("AGENTS.md", "# Contract\n").write(".env", "BOT_TOKEN=canary-7f3a\n");
    folder.write("claw-pod.yml", &pod("environment: {BOT_TOKEN: \"${BOT_TOKEN}\"}").replace(", CLLAMA", ""));
    let run = claw(Path::new(&folder.0), &["up", "-d"]);
    assert_eq!((run.code, run.stderr.contains("`bot` has secrets (`BOT_TOKEN`)")), (Some(1), true), "{run:?}");
    assert!(!format!("{run:?}").contains("canary"));
    folder.write("claw-pod.yml", &pod("init: true").replace("CLLAMA", "cllama: passthrough"));
    assert_eq!(claw(Path::new(&folder.0), &["compile", "-o", "out"]).code, Some(0), "a proxied pod compiles");
    let run = claw(Path::new(&folder.0), &["up", "-d"]);
    assert_eq!((run.code, run.stderr.contains("CLLAMA")), (Some(2), true), "{run:?}");
}
