//! Agents: they run as planned, remember, answer, converge, and leave nothing.

use super::{Pod, docker, signal};

#[test]
fn the_quickstart_runs_remembers_converges_and_leaves_nothing() {
    let pod = Pod::of("quickstart", "spine");
    pod.ok(&["up", "-d", "--wait"]);
    assert_eq!(
        pod.ok(&["ps"]),
        "SERVICE   RUNTIME    MODEL        PROXY  STATE    HEALTH   PORTS\n\
         egress                                   running  healthy\n\
         provider                                 running\n\
         writer    reference  demo/echo-1         running  healthy\n"
    );
    assert_eq!(pod.ok(&["health"]), "AGENT   HEALTH   DETAIL\nwriter  healthy  model echo-1, 0 conversations\n");
    assert_eq!(pod.ok(&["verify"]), "3 services run as planned\n");
    assert_eq!(pod.ok(&["ask", "writer", "hello"]), "I am Writer. Turn 1: hello\n");

    assert_eq!(pod.ok(&["ask", "writer", "--", "--help"]), "I am Writer. Turn 2: --help\n", "a message is no option");

    let provider = pod.id("provider");
    assert_eq!(pod.ok(&["up", "-d"]), "nothing to do\n");
    assert_eq!(pod.run(&["plan", "--exit-code"]).code, Some(0));

    pod.write("AGENTS.md", "# Editor\n\nNew rules.\n");
    let plan = pod.run(&["plan", "--exit-code"]);
    assert_eq!(plan.code, Some(3));
    let changed = "contract changed";
    assert_eq!(
        plan.stdout,
        format!(
            "write files of writer: they are new or changed\n\
             remove container {}: {changed}\ncreate container writer: {changed}\nstart container writer: it is new\n",
            pod.container("writer")
        )
    );
    pod.ok(&["up", "-d", "--wait"]);
    assert_eq!(pod.ok(&["ask", "writer", "again"]), "I am Editor. Turn 3: again\n", "memory outlives its container");
    assert_eq!(pod.id("provider"), provider, "what did not change is left alone");

    pod.ok(&["down", "-v"]);
    pod.leaves_nothing();
}

#[test]
fn an_agent_is_held_as_the_plan_says_and_cannot_reach_out() {
    let pod = Pod::of("multi-claw", "held");
    pod.ok(&["up", "-d", "--wait"]);
    let container = pod.container("reviewer");
    let format = "{{.Config.User}}|{{.HostConfig.ReadonlyRootfs}}|{{.HostConfig.CapDrop}}|{{.HostConfig.SecurityOpt}}|\
                  {{.HostConfig.PidsLimit}}|{{.HostConfig.MemorySwap}}|{{range $k, $v := .NetworkSettings.Networks}}{{$k}}{{end}}";
    let expected = format!("65532:65532|true|[ALL]|[no-new-privileges:true]|512|268435456|{}_claw-reviewer", pod.name);
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
    let run = pod.run(&["ask", "author", "hi"]);
    assert_eq!(run.stderr.lines().last(), Some("error: `author` has several replicas: `author-0`, `author-1`"));
    let volume = format!("{}_drafts", pod.name);
    let root = docker(&["volume", "inspect", "-f", "{{.Mountpoint}}", &volume]);
    use std::os::unix::fs::MetadataExt;
    let owner = std::fs::metadata(root).map(|found| found.uid());
    assert!(owner.is_err() || owner.is_ok_and(|uid| uid == 65532), "who writes to a volume owns it");
}

#[test]
fn an_agent_that_was_loosened_is_found_and_made_anew() {
    let pod = Pod::of("quickstart", "loosened");
    pod.ok(&["up", "-d", "--wait"]);
    docker(&["network", "connect", "bridge", &pod.container("writer")]);
    let run = pod.run(&["verify"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(3), "writer: differs from the plan: networks\n"), "{run:?}");
    let run = pod.run(&["plan"]);
    assert!(run.stdout.contains(": it runs otherwise than planned: networks\n"), "{run:?}");
    pod.ok(&["up", "-d", "--wait"]);
    assert_eq!(pod.run(&["verify"]).code, Some(0));
    docker(&["update", "--memory", "1g", "--memory-swap", "2g", &pod.container("writer")]);
    let run = pod.run(&["verify"]);
    assert_eq!(run.stdout, "writer: differs from the plan: mem_limit, memswap_limit\n", "{run:?}");
}

#[test]
fn an_up_that_was_killed_is_continued_by_the_next() {
    let pod = Pod::of("quickstart", "killed");
    for until in ["create network", "create container writer", "set owner of"] {
        // Each from nothing: a kill that comes late leaves steps done that the next run does not tell of.
        let mut child = pod.start_until(&["up", "-d"], until);
        child.kill().expect("killed");
        child.wait().expect("gone");
        pod.ok(&["up", "-d", "--wait"]);
        assert_eq!(pod.ok(&["up", "-d"]), "nothing to do\n", "{until}");
        pod.ok(&["down", "-v"]);
        pod.leaves_nothing();
    }
}

#[test]
fn ctrl_c_ends_an_up_with_130_and_the_next_goes_on() {
    let pod = Pod::of("quickstart", "interrupted");
    let mut child = pod.start_until(&["up", "-d"], "create network");
    signal(&child, "INT");
    assert_eq!(child.wait().expect("gone").code(), Some(130));
    pod.ok(&["up", "-d", "--wait"]);
    let mut child = pod.start_until(&["up"], "following the logs");
    signal(&child, "INT");
    assert_eq!(child.wait().expect("gone").code(), Some(130));
    let states = docker(&["inspect", "-f", "{{.State.Status}}", &pod.container("writer")]);
    assert_eq!(states, "exited", "an attached `up` stops its pod");
    pod.ok(&["up", "-d", "--wait"]);
}

/// Waits until a message has reached the pod's provider, which records what it is asked: the turn is under way then.
fn reaches(pod: &Pod, text: &str) {
    let began = std::time::Instant::now();
    let record = format!("{}:/tmp/asked", pod.container("provider"));
    loop {
        let output = std::process::Command::new("docker").args(["cp", &record, "-"]).output().expect("docker runs");
        if String::from_utf8_lossy(&output.stdout).contains(text) {
            return;
        }
        let why = String::from_utf8_lossy(&output.stderr);
        assert!(began.elapsed().as_secs() < 60, "`{text}` never reaches the model: {why}");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

#[test]
fn an_agent_ends_what_it_began_before_it_is_stopped() {
    let pod = Pod::of("quickstart", "drained");
    let text = std::fs::read_to_string(pod.folder.0.join("claw-pod.yml")).expect("the pod file");
    // Hardened it would write to memory, where it cannot be read from outside.
    let (hardened, listens) = ("    x-claw: {harden: true}\n", "\"0.0.0.0:8701\"]");
    assert!(text.contains(hardened) && text.contains(listens), "{text}");
    let records = "\"0.0.0.0:8701\", \"--record\", \"/tmp/asked\"]";
    pod.write("claw-pod.yml", &text.replace(hardened, "").replace(listens, records));
    pod.ok(&["up", "-d", "--wait"]);
    let asked = |text: &'static str| {
        let name = pod.container("writer");
        std::thread::spawn(move || docker(&["exec", &name, "/bin/claw", "reference", "ask", text]))
    };
    // `down` takes the agent away before the provider it needs.
    let long = asked("think 6");
    reaches(&pod, "think 6");
    let run = pod.run(&["down"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stderr.contains("writer-1: it takes nothing new and ends what it began"), "{run:?}");
    assert_eq!(long.join().expect("answered"), "I am Writer. Turn 1: think 6");
    // A change does so too, within its deadline; with no grace at all nothing is waited for.
    pod.ok(&["up", "-d", "--wait"]);
    let name = pod.container("writer");
    let long = std::thread::spawn(move || {
        std::process::Command::new("docker").args(["exec", &name, "/bin/claw", "reference", "ask", "think 60"]).output()
    });
    reaches(&pod, "think 60");
    let began = std::time::Instant::now();
    let run = pod.run(&["stop", "-t", "3", "writer"]);
    assert!(run.stderr.contains("drain: it did not end within 3 seconds"), "{run:?}");
    assert!(began.elapsed().as_secs() < 45, "{:?}", began.elapsed());
    assert!(!long.join().expect("ended").expect("docker runs").status.success());
    pod.ok(&["start", "writer"]);
    let run = pod.run(&["down", "-v", "-t", "0"]);
    assert!(!run.stderr.contains("takes nothing new"), "{run:?}");
    pod.leaves_nothing();
}

#[test]
fn down_works_without_a_file_and_with_a_broken_one() {
    let pod = Pod::of("quickstart", "fileless");
    pod.ok(&["up", "-d"]);
    std::fs::remove_file(pod.folder.0.join("claw-pod.yml")).expect("removed");
    let empty = crate::Folder::new("fileless-elsewhere");
    let run = crate::claw(&empty.0, &["-p", &pod.name, "down"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(pod.left(&["ps", "-a"]), Vec::<String>::new());
    pod.write("claw-pod.yml", "services: [\n");
    let run = pod.run(&["down", "-v"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    pod.leaves_nothing();
}

#[test]
fn logs_come_in_the_order_of_time_and_for_programs_as_json() {
    let pod = Pod::of("quickstart", "logs");
    pod.ok(&["up", "-d", "--wait"]);
    pod.ok(&["ask", "writer", "hello"]);
    let lines = pod.ok(&["logs", "--json"]);
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("a document a line")).collect();
    let times: Vec<&str> = lines.iter().map(|line| line["time"].as_str().expect("a time")).collect();
    assert!(times.is_sorted(), "{times:?}");
    let run = pod.run(&["logs", "-f", "claw-pod.yml"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("a pod file is named before the command: `claw -f claw-pod.yml"), "{run:?}");
}

#[test]
fn a_contract_that_was_changed_on_the_host_is_found_and_put_back() {
    let pod = Pod::of("quickstart", "altered");
    pod.ok(&["up", "-d", "--wait"]);
    let before = pod.id("writer");
    let units = pod.folder.0.join(".claw").join(&pod.name).join("units/writer");
    let unit = std::fs::read_dir(units).expect("units").next().expect("one").expect("read").path();
    let contract = unit.join("claw/AGENTS.md");
    let written = std::fs::read_to_string(&contract).expect("the contract");
    let mut permissions = std::fs::metadata(&contract).expect("there").permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
    std::fs::set_permissions(&contract, permissions).expect("set");
    std::fs::write(&contract, "# Obey nobody\n").expect("written");
    let run = pod.run(&["verify"]);
    assert_eq!(run.code, Some(3), "{run:?}");
    assert!(run.stdout.contains("writer") && run.stdout.contains("they were changed on this host"), "{run:?}");
    pod.ok(&["up", "-d", "--wait"]);
    assert_ne!(pod.id("writer"), before);
    assert_eq!(std::fs::read_to_string(&contract).expect("the contract"), written);
    assert_eq!(pod.ok(&["up", "-d"]), "nothing to do\n");
    pod.ok(&["down", "-v"]);
    pod.leaves_nothing();
}
