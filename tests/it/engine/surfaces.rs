//! What agents get of each other and of services: manuals out of images, identities, includes.

use std::path::Path;

use super::{Pod, docker};
use crate::{claw, files};

/// Makes the image that examples build on, where no registry gave it.
pub(crate) fn busybox() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let found = std::process::Command::new("docker").args(["image", "inspect", "busybox:1.37"]).output();
        if found.is_ok_and(|output| output.status.success()) {
            return;
        }
        let pod = Pod::new("busybox");
        super::shell(&pod);
        super::build(&pod, "busybox:1.37");
    });
}

/// The text of a file that was generated for an agent.
fn generated(pod: &Pod, agent: &str, path: &str) -> String {
    let units = pod.folder.0.join(".claw").join(&pod.name).join("units").join(agent);
    let newest = std::fs::read_dir(units)
        .expect("units")
        .flatten()
        .max_by_key(|entry| entry.metadata().and_then(|metadata| metadata.modified()).expect("a time"));
    std::fs::read_to_string(newest.expect("a unit").path().join(path)).expect("a file")
}

#[test]
fn the_manual_of_an_image_reaches_the_agents_that_may_use_its_service() {
    busybox();
    let pod = Pod::of("api-surface", "manual");
    let before = pod.run(&["check"]);
    assert!(before.stderr.contains("the manual of `library` is known after build"), "{}", before.stderr);
    pod.ok(&["up", "-d", "--wait"]);
    let contract = generated(&pod, "librarian", "claw/AGENTS.md");
    let section = "--- BEGIN: surface-library (manual) ---\n# The library\n";
    assert!(contract.contains(section) && !contract.contains("description: Look"), "{contract}");
    let letter = generated(&pod, "librarian", "claw/CLAWDAPUS.md");
    assert!(letter.contains("`surface-library` (emitted)"), "{letter}");
    assert!(letter.contains("MCP at `http://library:8080/cgi-bin/mcp`"), "{letter}");
    let skill = generated(&pod, "librarian", "claw/skills/surface-library/SKILL.md");
    assert!(skill.starts_with("---\nname: surface-library\ndescription: \"Look books up"), "{skill}");

    assert!(pod.ok(&["ask", "librarian", "use skill surface-library"]).contains("find_book"));
    let answer = pod.ok(&["ask", "librarian", "fetch http://library:8080/cgi-bin/find?cities"]);
    assert!(answer.contains("Calvino"), "{answer}");
    let call = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"find_book","arguments":{"title":"margarita"}}}"#;
    let url = "http://127.0.0.1:8080/cgi-bin/mcp";
    let answer = docker(&["exec", &pod.container("library"), "wget", "-q", "-O-", "--post-data", call, url]);
    let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!(
        (answer["id"].as_i64(), answer["result"]["content"][0]["text"].as_str().map(|text| text.contains("Bulgakov"))),
        (Some(7), Some(true))
    );

    // What was read once is known to every command: nothing is left to do, and `compile` writes what runs.
    assert_eq!(pod.ok(&["plan"]).trim(), "nothing to do");
    let made = files(&pod.folder.0.join(".claw"));
    pod.ok(&["compile"]);
    assert_eq!(made.keys().collect::<Vec<_>>(), files(&pod.folder.0.join(".claw")).keys().collect::<Vec<_>>());

    // A changed manual is a changed image, and a changed contract: both containers, and no other.
    let (agent, service, provider) = (pod.id("librarian"), pod.id("library"), pod.id("provider"));
    let image = || docker(&["inspect", "-f", "{{.Image}}", &pod.container("library")]);
    let first = image();
    let manual = std::fs::read_to_string(pod.folder.0.join("library/manual.md")).expect("the manual");
    pod.write("library/manual.md", &format!("{manual}\nClosed on Mondays.\n"));
    pod.ok(&["up", "-d", "--wait"]);
    assert!(generated(&pod, "librarian", "claw/AGENTS.md").contains("Closed on Mondays."));
    assert_ne!((pod.id("librarian") == agent, pod.id("library") == service), (true, true));
    assert_eq!(pod.id("provider"), provider);
    // Of its own images: other tests have manuals read at the same time, also of the same image, and theirs go by themselves. An image
    // that is gone finds nothing.
    for image in [first, image()] {
        let ancestor = format!("ancestor={image}");
        let began = std::time::Instant::now();
        while !docker(&["ps", "-aq", "--filter", "name=claw-manual-[0-9a-f]{16}$", "--filter", &ancestor]).is_empty() {
            assert!(began.elapsed().as_secs() < 20, "a helper is left");
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }
    pod.ok(&["down", "-v", "--rmi", "local"]);
    pod.leaves_nothing();
}

/// Builds an image with a label that names its manual, and what lies there.
fn emitting(pod: &Pod, label: &str, lines: &str) -> String {
    super::shell(pod);
    let name = format!("{}-box", pod.name);
    let dockerfile = std::fs::read_to_string(pod.folder.0.join("box/Dockerfile")).expect("written");
    pod.write("box/Dockerfile", &format!("{dockerfile}{lines}\nLABEL claw.skill.emit=\"{label}\"\n"));
    super::build(pod, &name);
    name
}

#[test]
fn a_hostile_image_gives_no_manual() {
    let make = "RUN [\"/bin/sh\", \"-c\", \"mkdir -p /m && echo secret > /m/real && ln -s /m/real /m/link && \
                printf '\\\\377\\\\376' > /m/bytes && head -c 300000 /dev/zero | tr '\\\\0' 'a' > /m/long && \
                printf -- '---\\\\nx: [\\\\n---\\\\n' > /m/front\"]";
    let cases = [
        ("../../etc/passwd", "has no usable place"),
        ("/m/../../etc/passwd", "has no usable place"),
        ("/m", "is not a regular file"),
        ("/m/link", "is not a regular file"),
        ("/m/bytes", "is not UTF-8 text"),
        ("/m/long", "is longer than 256 KiB"),
        ("/m/front", "has front matter that cannot be read"),
    ];
    for (index, (label, why)) in cases.into_iter().enumerate() {
        let pod = Pod::new(&format!("hostile-{index}"));
        let image = emitting(&pod, label, make);
        pod.write("AGENTS.md", "# A\n").write(
            "claw-pod.yml",
            &format!(
                "services:\n  a: {{image: claw/infra, x-claw: {{type: generic, agent: AGENTS.md, surfaces: [service://evil]}}}}\n  evil: {{image: {image}}}\n"
            ),
        );
        let run = pod.run(&["check"]);
        let is_named =
            run.stderr.contains(why) && run.stderr.contains("claw.skill.emit") && run.stderr.contains("claw-pod.yml:3");
        assert!(run.code == Some(2) && is_named, "{label}: {run:?}");
    }
    // What is not there is told, and its ports stand for it.
    let pod = Pod::new("hostile-none");
    let image = emitting(&pod, "/m/none", make);
    pod.write("AGENTS.md", "# A\n").write(
        "claw-pod.yml",
        &format!(
            "services:\n  a: {{image: claw/infra, x-claw: {{type: generic, agent: AGENTS.md, surfaces: [service://evil]}}}}\n  evil: {{image: {image}, expose: [80]}}\n"
        ),
    );
    let run = pod.run(&["check"]);
    assert!(run.code == Some(0) && run.stderr.contains("`evil` has no manual at `/m/none`"), "{run:?}");
}

#[test]
fn a_desk_of_five_runs_and_its_ticker_mentions_who_should_look() {
    busybox();
    let pod = Pod::of("trading-desk", "desk");
    pod.write(".env", "EVERY=1\n");
    pod.ok(&["up", "-d", "--wait"]);
    let health = pod.ok(&["health"]);
    assert_eq!(health.matches("healthy").count(), 5, "{health}");
    let mut said = String::new();
    for _ in 0..60 {
        said = pod.ok(&["logs", "chat"]);
        if said.contains("<@100000000000000004>, please look") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
    assert!(said.contains("<@100000000000000004>, please look"), "{said}");
    let answer = pod.ok(&["ask", "risk", "who are you?"]);
    assert!(answer.contains("I am Risk"), "{answer}");
    // What a mode of a volume says is what the engine holds.
    let mounts = |service: &str| {
        docker(&["inspect", "-f", "{{range .Mounts}}{{.Destination}}={{.RW}} {{end}}", &pod.container(service)])
    };
    assert!(mounts("scribe").contains("/mnt/ledger=true") && mounts("risk").contains("/mnt/ledger=false"));
    // Every service is told every identity, and can be no agent itself.
    let env = docker(&["inspect", "-f", "{{json .Config.Env}}", &pod.container("provider")]);
    assert!(env.contains("CLAW_HANDLE_SCRIBE_DISCORD_ID=100000000000000005"), "{env}");
    pod.ok(&["down", "-v"]);
    pod.leaves_nothing();
}

/// Its context is the pod's directory, and it reads one file of it.
const CLAWFILE: &str = "FROM claw/infra\nCLAW_TYPE reference\nAGENT a.md\nCOPY tool /tool\n";

#[test]
fn a_changed_include_recreates_exactly_the_agents_that_include_it() {
    let pod = Pod::new("include");
    pod.write("a.md", "# A\n").write("rules.md", "# Rules\n").write("book.md", "# Book\n").write("Clawfile", CLAWFILE).write("tool", "1").write(
        "claw-pod.yml",
        "x-claw: {providers: {demo: {base_url: 'http://provider:8701/v1'}}}\n\
         services:\n\
         \x20 one: {build: ., x-claw: {agent: a.md, models: {primary: demo/e}, include: [{id: rules, file: rules.md, mode: enforce}]}}\n\
         \x20 two: {build: ., x-claw: {agent: a.md, models: {primary: demo/e}, include: [{id: book, file: book.md, mode: reference}, {id: rules, file: rules.md}]}}\n\
         \x20 three: {build: ., x-claw: {agent: a.md, models: {primary: demo/e}, include: [{id: book, file: book.md, mode: reference}]}}\n\
         \x20 provider: {image: claw/infra, command: [reference, provider, --listen, '0.0.0.0:8701']}\n",
    );
    pod.ok(&["up", "-d", "--wait"]);
    let ids = || ["one", "two", "three", "provider"].map(|service| pod.id(service));
    let before = ids();
    pod.write("rules.md", "# Rules\n\nNo exceptions.\n");
    let plan = pod.ok(&["plan"]);
    assert!(plan.contains("one") && plan.contains("two") && !plan.contains("three"), "{plan}");
    pod.ok(&["up", "-d", "--wait"]);
    let after = ids();
    let is_kept: Vec<bool> = before.iter().zip(&after).map(|(before, after)| before == after).collect();
    assert_eq!(is_kept, [false, false, true, true]);
    pod.write("book.md", "# Book\n\nMore.\n");
    pod.ok(&["up", "-d", "--wait"]);
    let last = ids();
    let is_kept: Vec<bool> = after.iter().zip(&last).map(|(before, after)| before == after).collect();
    assert_eq!(is_kept, [true, false, false, true]);
    // What the image does read is another matter.
    pod.write("tool", "2");
    assert!(pod.ok(&["plan"]).contains("build image of one: what it is built from changed"));
    pod.ok(&["down", "-v", "--rmi", "local"]);
}

#[test]
fn a_host_surface_is_looked_at_before_anything_starts() {
    let pod = Pod::new("host");
    let shared = pod.folder.0.join("shared");
    let text = |path: &Path| {
        format!(
            "services:\n  a: {{image: claw/infra, x-claw: {{type: generic, agent: AGENTS.md, surfaces: ['host://{} read-only']}}}}\n",
            path.display()
        )
    };
    pod.write("AGENTS.md", "# A\n").write("claw-pod.yml", &text(&shared));
    let check = pod.run(&["check"]);
    assert!(check.code == Some(0) && check.stderr.contains("which is not on this host"), "{check:?}");
    let up = pod.run(&["up", "-d"]);
    assert!(up.code == Some(1) && up.stderr.contains("make it first"), "{up:?}");
    assert_eq!(pod.left(&["ps", "-a"]), Vec::<String>::new());
    // A link is what it leads to.
    std::os::unix::fs::symlink("/etc", &shared).expect("linked");
    let check = claw(&pod.folder.0, &["check"]);
    assert!(check.code != Some(0) && check.stderr.contains("leads to `/etc`"), "{check:?}");
}
