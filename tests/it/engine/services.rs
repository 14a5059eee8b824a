//! Services that are no agents: they run as their compose file says.

use super::{Pod, docker, shell};
use crate::proxy::free_port;

pub(super) fn pod(name: &str, services: &str) -> Pod {
    let pod = Pod::new(name);
    shell(&pod);
    compose(&pod, services);
    pod
}

/// Writes the compose file; every service has an image of the pod's own.
pub(super) fn compose(pod: &Pod, services: &str) {
    pod.write("compose.yaml", &format!("services:\n{services}").replace("claw-test-box", &format!("{}-box", pod.name)));
}

const SLEEP: &str =
    "    image: box-${NAME}\n    build: box\n    stop_signal: SIGKILL\n    command: [sleep, \"1000\"]\n";

pub(super) fn sleeper(name: &str, more: &str) -> String {
    format!("  {name}:\n{}{more}", SLEEP.replace("box-${NAME}", "claw-test-box"))
}

pub(super) fn job(name: &str, script: &str, more: &str) -> String {
    format!("  {name}:\n    image: claw-test-box\n    build: box\n    command: [sh, -c, '{script}']\n{more}")
}

#[test]
fn each_condition_is_waited_for_and_a_finished_job_is_not_run_again() {
    let check = "    healthcheck: {test: [CMD, test, -f, /ready], interval: 200ms, retries: 100}\n";
    let database =
        job("database", "sleep 1; touch /ready; exec sleep 1000", &format!("{check}    stop_signal: SIGKILL\n"));
    let migrate =
        job("migrate", "sleep 1; echo migrated", "    depends_on: {database: {condition: service_healthy}}\n");
    let more = "    depends_on:\n      migrate: {condition: service_completed_successfully}\n      database: {condition: service_started}\n";
    let pod = pod("conditions", &format!("{database}{migrate}{}", sleeper("web", more)));
    pod.ok(&["up", "-d", "--wait"]);
    let time =
        |name: &str, field: &str| docker(&["inspect", "-f", &format!("{{{{.State.{field}}}}}"), &pod.container(name)]);
    assert!(time("migrate", "FinishedAt") < time("web", "StartedAt"), "web starts when the job is done");
    assert_eq!(time("migrate", "ExitCode"), "0");
    let before = time("migrate", "StartedAt");
    assert_eq!(pod.ok(&["up", "-d", "--wait"]), "nothing to do\n");
    assert_eq!(time("migrate", "StartedAt"), before, "a finished job stays finished");
    assert!(pod.ok(&["logs", "migrate"]).contains("migrate  | migrated"));
    pod.ok(&["down", "-v"]);
    pod.leaves_nothing();
}

#[test]
fn a_dependency_that_fails_is_named_and_an_optional_one_is_told() {
    let bad = job("bad", "echo no luck; exit 3", "");
    let needs = |required: bool| {
        format!("    depends_on: {{bad: {{condition: service_completed_successfully, required: {required}}}}}\n")
    };
    let pod = pod("failing", &format!("{bad}{}", sleeper("web", &needs(true))));
    let run = pod.run(&["up", "-d"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("error: `web` waits for `bad`, which exited with 3 (after "), "{run:?}");
    compose(&pod, &format!("{bad}{}", sleeper("web", &needs(false))));
    let run = pod.run(&["up", "-d"]);
    assert!(run.stderr.contains("`bad` exited with 3; `web` does not need it"), "{run:?}");
    assert_eq!(docker(&["inspect", "-f", "{{.State.Running}}", &pod.container("web")]), "true");
}

#[test]
fn a_call_that_fails_names_itself_and_the_next_up_goes_on() {
    let port = free_port();
    let taken = std::net::TcpListener::bind(("127.0.0.1", port)).expect("a port");
    let pod = pod("taken", &sleeper("web", &format!("    ports: [\"127.0.0.1:{port}:80\"]\n")));
    let run = pod.run(&["up", "-d"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    let message = format!("error: the engine could not start the container `{}`: ", pod.container("web"));
    assert!(run.stderr.contains(&message) && run.stderr.contains("(after "), "{run:?}");
    drop(taken);
    pod.ok(&["up", "-d"]);
    assert!(pod.ok(&["ps"]).contains(&format!("127.0.0.1:{port}->80/tcp")));
}

#[test]
fn what_a_compose_file_says_reaches_the_container() {
    let pod = pod(
        "carried",
        concat!(
            "  web:\n",
            "    image: claw-test-box\n",
            "    build: {context: box, args: {A: b}, labels: {made: here}}\n",
            "    stop_signal: SIGKILL\n",
            "    command: [sleep, \"1000\"]\n",
            "    env_file: [a.env, {path: none.env, required: false}]\n",
            "    environment: {B: env, C: }\n",
            "    configs: [{source: inline, target: /etc/inline}, {source: file}]\n",
            "    secrets: [plain]\n",
            "    volumes: [\"./made:/made\", \"data:/data:ro\", {type: tmpfs, target: /t, tmpfs: {size: 1m}}]\n",
            "    cpu_shares: 77\n",
            "    mem_reservation: 8m\n",
            "    annotations: {a: b}\n",
            "    scale: 2\n",
            "configs:\n  inline: {content: \"x=$${Y}\"}\n  file: {file: a.env}\n",
            "secrets:\n  plain: {file: a.env}\n",
            "volumes: {data: }\n",
        ),
    );
    pod.write("a.env", "A=file\nB=file\n");
    pod.ok(&["up", "-d"]);
    let inside = |command: &[&str]| docker(&[&["exec", &pod.container("web")], command].concat());
    assert_eq!(inside(&["sh", "-c", "echo $A $B ${C-unset}"]), "file env unset");
    assert_eq!(inside(&["cat", "/etc/inline"]), "x=${Y}");
    assert_eq!(inside(&["cat", "/file"]), "A=file\nB=file");
    assert_eq!(inside(&["cat", "/run/secrets/plain"]), "A=file\nB=file");
    assert!(pod.folder.0.join("made").is_dir(), "a directory that is absent is made, as compose does");
    let shares = docker(&[
        "inspect",
        "-f",
        "{{.HostConfig.CpuShares}} {{.HostConfig.MemoryReservation}}",
        &pod.container("web"),
    ]);
    assert_eq!(shares, "77 8388608");
    assert_eq!(docker(&["image", "inspect", "-f", "{{.Config.Labels.made}}", &format!("{}-box", pod.name)]), "here");
    assert_eq!(pod.left(&["ps"]).len(), 2, "scale");
    assert_eq!(pod.ok(&["up", "-d"]), "nothing to do\n");
    pod.write("a.env", "A=other\nB=file\n");
    pod.ok(&["up", "-d"]);
    assert_eq!(inside(&["sh", "-c", "echo $A"]), "other", "a changed env file is a change");
}

#[test]
fn a_foreign_network_of_our_name_is_not_taken_and_not_removed() {
    let pod = pod("foreign", &sleeper("web", ""));
    let network = format!("{}_default", pod.name);
    docker(&["network", "create", "--label", &pod.mark(), &network]);
    let run = pod.run(&["up", "-d"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(
        run.stderr.contains(&format!("there is a network `{network}` already, and it is not this pod's")),
        "{run:?}"
    );
    pod.ok(&["down", "-v"]);
    assert_eq!(docker(&["network", "ls", "-q", "--filter", &format!("name={network}")]).lines().count(), 1);
    docker(&["network", "rm", &network]);
}

#[test]
fn some_services_can_be_brought_up_with_what_they_depend_on() {
    let services = [sleeper("a", ""), sleeper("b", "    depends_on: [a]\n"), sleeper("c", "")].concat();
    let pod = pod("some", &services);
    pod.ok(&["up", "-d", "b"]);
    let names = docker(&[
        "ps",
        "--filter",
        &format!("label=com.docker.compose.project={}", pod.name),
        "--format",
        "{{.Names}}",
    ]);
    let mut names: Vec<&str> = names.lines().collect();
    names.sort_unstable();
    assert_eq!(names, [pod.container("a"), pod.container("b")]);
    let run = pod.run(&["up", "-d", "bb"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(2), "error: there is no service `bb`; did you mean `b`?\n"));
}

#[test]
fn what_a_volume_without_a_name_holds_outlives_its_container() {
    let web = |more: &str| sleeper("web", &format!("    volumes: [/data]\n{more}"));
    let pod = pod("unnamed", &web(""));
    pod.ok(&["up", "-d"]);
    docker(&["exec", &pod.container("web"), "sh", "-c", "echo kept > /data/x"]);
    let before = pod.id("web");
    compose(&pod, &web("    labels: {changed: \"yes\"}\n"));
    pod.ok(&["up", "-d"]);
    assert_ne!(pod.id("web"), before);
    assert_eq!(docker(&["exec", &pod.container("web"), "cat", "/data/x"]), "kept");
    assert_eq!(pod.ok(&["up", "-d"]), "nothing to do\n");
    let format = "{{range .Mounts}}{{.Name}}{{end}}";
    let volume = docker(&["inspect", "-f", format, &pod.container("web")]);
    pod.ok(&["down", "-v"]);
    assert!(!docker(&["volume", "ls", "-q"]).lines().any(|name| name == volume), "it goes with the pod's memory");
}

#[test]
fn what_is_not_on_this_host_is_told_before_anything_is_made() {
    let bind = "volumes: [{type: bind, source: ./none, target: /n, bind: {create_host_path: false}}]";
    let pod = pod("unheld", &sleeper("web", &format!("    {bind}\n    secrets: [key]\n")));
    let file = std::fs::read_to_string(pod.folder.0.join("compose.yaml")).expect("read");
    pod.write("compose.yaml", &format!("{file}secrets: {{key: {{file: ./key}}}}\n"));
    let run = pod.run(&["up", "-d"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    let said = "`web` mounts `./none`, `web` needs `./key`: none of them is on this host: make them first";
    assert!(run.stderr.contains(said), "{run:?}");
    assert_eq!(pod.left(&["network", "ls"]), Vec::<String>::new());
    assert!(!pod.folder.0.join("none").exists());
    pod.write("none/x", "").write("key", "k");
    pod.ok(&["up", "-d"]);
    pod.ok(&["down", "-v"]);
}

#[test]
fn what_is_external_must_be_there_and_is_left_alone() {
    let services = sleeper("web", "    networks: [out]\n    volumes: [\"shared:/s\"]\n");
    let pod = pod("external", &services);
    let (network, volume) = (format!("{}-out", pod.name), format!("{}-shared", pod.name));
    let file = std::fs::read_to_string(pod.folder.0.join("compose.yaml")).expect("read");
    let more = format!(
        "networks: {{out: {{external: true, name: {network}}}}}\nvolumes: {{shared: {{external: true, name: {volume}}}}}\n"
    );
    pod.write("compose.yaml", &format!("{file}{more}"));
    let run = pod.run(&["up", "-d"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(
        run.stderr.contains(&format!("the network `{network}` is declared `external` and is not there")),
        "{run:?}"
    );
    docker(&["network", "create", "--label", &pod.mark(), &network]);
    docker(&["volume", "create", "--label", &pod.mark(), &volume]);
    pod.ok(&["up", "-d"]);
    assert_eq!(pod.ok(&["up", "-d"]), "nothing to do\n");
    pod.ok(&["down", "-v"]);
    docker(&["network", "rm", &network]);
    docker(&["volume", "rm", &volume]);
}

#[test]
fn hooks_run_inside_after_the_start_and_before_the_stop() {
    let hooks = "    container_name: OWN\n    volumes: ['./out:/out']\n    environment: {A: own}\n    stop_grace_period: 1s\n\
        \x20   post_start: [{command: [sh, -c, 'echo $$A $$B $$(pwd) > /out/start'], working_dir: /bin, environment: [B=hook]}]\n\
        \x20   pre_stop: [{command: [sh, -c, 'echo $$B >> /out/stop'], environment: {B: \"$${x}\"}}]\n";
    let pod = pod("hooks", &job("web", "exec sleep 1000", hooks));
    let own = format!("{}-own", pod.name);
    let file = std::fs::read_to_string(pod.folder.0.join("compose.yaml")).expect("read").replace("OWN", &own);
    pod.write("compose.yaml", &file).write("out/.keep", "");
    let read = |name: &str| std::fs::read_to_string(pod.folder.0.join("out").join(name)).unwrap_or_default();
    pod.ok(&["up", "-d"]);
    assert_eq!((read("start").as_str(), read("stop").as_str()), ("own hook /bin\n", ""));
    assert_eq!(docker(&["inspect", "-f", "{{.State.Running}}", &own]), "true");
    assert_eq!(pod.ok(&["up", "-d"]), "nothing to do\n");
    pod.write("compose.yaml", &file.replace("A: own", "A: other"));
    pod.ok(&["up", "-d"]);
    assert_eq!((read("start").as_str(), read("stop").as_str()), ("other hook /bin\n", "${x}\n"), "made anew");
    // What its label says is run without the file too, and a hook that fails keeps nothing from going.
    pod.write("compose.yaml", &file.replace(">> /out/stop", "2>&1; echo broken >&2; exit 4"));
    pod.ok(&["up", "-d"]);
    assert_eq!(read("stop"), "${x}\n${x}\n");
    std::fs::remove_file(pod.folder.0.join("compose.yaml")).expect("removed");
    let run = pod.run(&["down", "-v"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stderr.contains(&format!("{own}: hook of `pre_stop` exited with 4: broken")), "{run:?}");
    pod.leaves_nothing();
    pod.write("compose.yaml", &file.replace("echo $$A $$B $$(pwd)", "echo no luck >&2; exit 3; echo"));
    let run = pod.run(&["up", "-d"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("`web` runs, and its hook of `post_start` exited with 3: no luck"), "{run:?}");
    pod.ok(&["down", "-v"]);
}

#[test]
fn up_follows_what_is_attached() {
    let silent = job("silent", "echo unheard", "    attach: false\n");
    let pod = pod("attached", &format!("{}{silent}", job("loud", "echo heard", "")));
    let run = pod.run(&["up"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.contains("loud   | heard") && !run.stdout.contains("unheard"), "{run:?}");
    // Nobody follows it, so nobody waited for it.
    pod.ok(&["wait", "silent"]);
    assert!(pod.ok(&["logs", "silent"]).contains("silent | unheard"));
    pod.ok(&["down", "-v"]);
}

#[test]
fn one_run_at_a_time_and_one_checkout_a_name() {
    let slow = "    healthcheck: {test: [CMD, test, -f, /ready], interval: 200ms, retries: 100}\n";
    let database =
        job("database", "sleep 3; touch /ready; exec sleep 1000", &format!("{slow}    stop_signal: SIGKILL\n"));
    let web = sleeper("web", "    depends_on: {database: {condition: service_healthy}}\n");
    let first = pod("locked", &format!("{database}{web}"));
    let mut child = first.start_until(&["up", "-d"], "start container database");
    let run = first.run(&["down"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    let owner =
        format!("error: another claw works on `{}` here (process {}, `claw up`, since ", first.name, child.id());
    assert!(run.stderr.contains(&owner), "{run:?}");
    // A run that was killed holds nothing.
    child.kill().expect("killed");
    child.wait().expect("ended");
    first.ok(&["up", "-d"]);
    let before = first.id("web");
    let mut other = Pod::new("locked-copy");
    let own = std::mem::replace(&mut other.name, first.name.clone());
    shell(&other);
    compose(&other, &sleeper("web", ""));
    let run = other.run(&["up", "-d"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    let place = first.folder.0.canonicalize().expect("there");
    assert!(run.stderr.contains(&format!("was started from `{}`", place.display())), "{run:?}");
    assert_eq!(other.run(&["down"]).code, Some(2));
    assert_eq!(first.id("web"), before, "nothing was touched");
    other.ok(&["up", "-d", "--adopt"]);
    assert_ne!(first.id("web"), before);
    assert_eq!(other.ok(&["up", "-d"]), "nothing to do\n", "it is this checkout's now");
    other.ok(&["down", "-v", "--rmi", "local"]);
    other.name = own;
}

#[test]
fn a_network_that_changed_is_made_anew_and_its_services_find_each_other() {
    let services = format!("{}{}", sleeper("web", ""), sleeper("db", ""));
    let pod = pod("renewed", &services);
    let file = std::fs::read_to_string(pod.folder.0.join("compose.yaml")).expect("read");
    pod.ok(&["up", "-d"]);
    let network = format!("{}_default", pod.name);
    let before = docker(&["network", "inspect", "-f", "{{.Id}}", &network]);
    let changed =
        format!("{file}networks: {{default: {{driver_opts: {{com.docker.network.bridge.enable_icc: \"true\"}}}}}}\n");
    pod.write("compose.yaml", &changed);
    assert!(pod.ok(&["plan"]).contains("remove network default: it is not as the file says\n"));
    pod.ok(&["up", "-d"]);
    assert_ne!(docker(&["network", "inspect", "-f", "{{.Id}}", &network]), before);
    let found = docker(&["exec", &pod.container("web"), "nslookup", "db"]);
    assert!(found.contains("Address"), "{found}");
    assert_eq!(pod.ok(&["up", "-d"]), "nothing to do\n");
    pod.ok(&["down", "-v"]);
    pod.leaves_nothing();
}

#[test]
fn an_images_label_runs_nothing_when_its_container_is_stopped() {
    let pod = pod(
        "hostile",
        &job("web", "exec sleep 1000", "    user: \"65534\"\n    volumes: ['./out:/out']\n    stop_signal: SIGKILL\n"),
    );
    let dockerfile = std::fs::read_to_string(pod.folder.0.join("box/Dockerfile")).expect("read");
    let hook = r#"[{"command":["/bin/sh","-c","id > /out/owned"],"user":"0","privileged":false,"working_dir":null,"environment":[]}]"#;
    pod.write("box/Dockerfile", &format!("{dockerfile}LABEL claw.pre-stop='{hook}'\n")).write("out/.keep", "");
    pod.ok(&["up", "-d"]);
    let label = "{{index .Config.Labels \"claw.pre-stop\"}}";
    assert_eq!(docker(&["inspect", "-f", label, &pod.container("web")]), "[]");
    pod.ok(&["stop"]);
    assert!(!pod.folder.0.join("out/owned").exists());
    // A container that another tool made has the label of its image.
    docker(&["rm", "-f", &pod.container("web")]);
    let (project, image) = (format!("com.docker.compose.project={}", pod.name), format!("{}-box", pod.name));
    let volume = format!("{}:/out", pod.folder.0.join("out").canonicalize().expect("there").display());
    docker(&[
        "run",
        "-d",
        "--name",
        &pod.container("web"),
        "-l",
        &project,
        "-l",
        "com.docker.compose.service=web",
        "-v",
        &volume,
        &image,
        "sleep",
        "1000",
    ]);
    pod.ok(&["down", "-v"]);
    assert!(!pod.folder.0.join("out/owned").exists());
}

#[test]
fn a_check_that_would_succeed_is_not_waited_for_until_its_interval() {
    let check = |test: &str| {
        format!("    healthcheck: {{test: {test}, interval: 60s, retries: 3}}\n    stop_signal: SIGKILL\n")
    };
    let needs = |name: &str| format!("    depends_on: {{{name}: {{condition: service_healthy}}}}\n");
    let first = job("first", "sleep 1; touch /ready; exec sleep 1000", &check("[CMD, test, -f, /ready]"));
    let second = job("second", "exec sleep 1000", &format!("{}{}", check("\"test $$HOME = /\""), needs("first")));
    let pod = pod("early", &format!("{first}{second}{}", sleeper("web", &needs("second"))));
    let began = std::time::Instant::now();
    pod.ok(&["up", "-d"]);
    assert!(began.elapsed().as_secs() < 50, "{:?}", began.elapsed());
    assert_eq!(docker(&["inspect", "-f", "{{.State.Health.Status}}", &pod.container("first")]), "starting");
    let started = |name: &str| docker(&["inspect", "-f", "{{.State.StartedAt}}", &pod.container(name)]);
    assert!(started("first") < started("second") && started("second") < started("web"));
    // One that fails is the engine's to judge.
    let bad = job(
        "first",
        "exec sleep 1000",
        "    healthcheck: {test: [CMD, 'false'], interval: 300ms, retries: 2}\n    stop_signal: SIGKILL\n",
    );
    compose(&pod, &format!("{bad}{}", sleeper("web", &needs("first"))));
    let run = pod.run(&["up", "-d", "--force-recreate"]);
    assert!(run.code == Some(1) && run.stderr.contains("`web` waits for `first`, which is unhealthy"), "{run:?}");
    pod.ok(&["down", "-v"]);
}

#[test]
fn a_volume_that_changed_is_kept_and_told() {
    let pod =
        pod("changed-volume", &format!("{}volumes: {{data: }}\n", sleeper("web", "    volumes: ['data:/data']\n")));
    pod.ok(&["up", "-d"]);
    docker(&["exec", &pod.container("web"), "sh", "-c", "echo kept > /data/x"]);
    let text = std::fs::read_to_string(pod.folder.0.join("compose.yaml")).expect("read");
    pod.write("compose.yaml", &text.replace("data: }", "data: {labels: {new: 'yes'}}}"));
    let run = pod.run(&["plan"]);
    assert!(
        run.stdout == "nothing to do\n" && run.stderr.contains("kept: the volume `data` is not as the file says"),
        "{run:?}"
    );
    let run = pod.run(&["up", "-d"]);
    assert!(run.code == Some(0) && run.stderr.contains("kept: the volume `data`"), "{run:?}");
    assert_eq!(docker(&["exec", &pod.container("web"), "cat", "/data/x"]), "kept");
    pod.ok(&["down", "-v"]);
}
