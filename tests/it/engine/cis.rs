//! Section 5 of the CIS Docker Benchmark 1.6 on a running pod: a check of its own for each number, on a container of every kind that
//! claw makes. Each check is also seen to fail, on containers that are held by nothing.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Pod, build, docker, shell, socket};

/// A process of a container, seen from the host.
#[derive(Debug)]
pub(super) struct Process {
    name: String,
    status: BTreeMap<String, String>,
    limits: String,
}

impl Process {
    /// Whether it has the rights of root, by any of its four user ids.
    pub(super) fn is_root(&self) -> bool {
        self.words("Uid").contains(&"0")
    }

    /// Whether all its user ids are one's.
    pub(super) fn is_all(&self, uid: u32) -> bool {
        self.words("Uid").iter().all(|id| *id == uid.to_string())
    }

    fn words(&self, key: &str) -> Vec<&str> {
        self.status.get(key).map(|value| value.split_whitespace().collect()).unwrap_or_default()
    }

    fn has_none(&self, key: &str) -> bool {
        self.words(key).iter().all(|mask| mask.chars().all(|digit| digit == '0'))
    }

    fn limit(&self, name: &str) -> &str {
        let line = self.limits.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("");
        line.split_whitespace().next().unwrap_or("")
    }
}

/// Returns the processes of a running container. A command that is just being started, such as a health check, is none of them:
/// until it has become its program it is the engine's `runc:[2:INIT]`, with root's rights.
pub(super) fn processes(container: &str) -> Vec<Process> {
    let table = docker(&["top", container, "-eo", "pid,comm"]);
    let rows = table.lines().skip(1).filter_map(|line| line.trim().split_once(char::is_whitespace));
    let rows = rows.filter(|(_, name)| !name.trim().starts_with("runc"));
    // One that has ended since is none.
    let found = rows.filter_map(|(pid, name)| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
        let status = status.lines().filter_map(|line| line.split_once(':'));
        let status = status.map(|(key, value)| (key.to_owned(), value.trim().to_owned())).collect();
        Some(Process { name: name.trim().to_owned(), status, limits })
    });
    found.collect()
}

/// A container, and what is known of it.
struct Subject {
    /// How it is called in the table.
    name: &'static str,
    inspected: Value,
    processes: Vec<Process>,
    /// Commands that run inside beside its own, as the engine describes them.
    execs: Vec<Value>,
    /// The image that its image's name means now.
    image: String,
    /// The ports that somebody asked for.
    ports: usize,
    /// What the engine secures containers with.
    engine: String,
}

impl Subject {
    fn new(name: &'static str, container: &str, ports: usize) -> Self {
        let text = docker(&["inspect", container]);
        let mut inspected: Value = serde_json::from_str(&text).expect("JSON");
        let inspected = inspected[0].take();
        let is_running = inspected["State"]["Running"] == true;
        let execs = inspected["ExecIDs"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let image =
            docker(&["image", "inspect", "-f", "{{.Id}}", inspected["Config"]["Image"].as_str().expect("a name")]);
        Self {
            name,
            processes: if is_running { processes(container) } else { Vec::new() },
            execs: execs.filter_map(exec).collect(),
            image,
            ports,
            engine: docker(&["info", "-f", "{{.SecurityOptions}}"]),
            inspected,
        }
    }

    fn host(&self, key: &str) -> &Value {
        &self.inspected["HostConfig"][key]
    }

    fn texts(&self, key: &str) -> Vec<&str> {
        self.host(key).as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// Sources of what is mounted, planned or there.
    fn sources(&self) -> Vec<&str> {
        let of = |list: &'static str| self.inspected[list].as_array().into_iter().flatten();
        let mounted = of("Mounts").filter_map(|mount| mount["Source"].as_str());
        mounted.chain(self.texts("Binds").into_iter().filter_map(|bind| bind.split(':').next())).collect()
    }

    /// Ports of the host that lead to it: address and number.
    fn bound(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
        let planned = self.host("PortBindings").as_object().into_iter().flatten();
        let planned = planned.flat_map(|(_, list)| list.as_array().into_iter().flatten());
        let there = self.inspected["NetworkSettings"]["Ports"].as_object().into_iter().flatten();
        let there = there.flat_map(|(_, list)| list.as_array().into_iter().flatten());
        let planned: Vec<_> = planned.map(|row| (text(&row["HostIp"]), text(&row["HostPort"]))).collect();
        let there: Vec<_> = there.map(|row| (text(&row["HostIp"]), text(&row["HostPort"]))).collect();
        if there.is_empty() { planned } else { there }
    }

    /// Says what is wrong where it is: one process that does not hold is enough.
    fn every(&self, holds: impl Fn(&Process) -> bool, what: &str) -> Verdict {
        let loose = self.processes.iter().find(|process| !holds(process));
        loose.map(|process| format!("the process `{}` {what}", process.name))
    }
}

/// What the engine knows of a command inside a container.
fn exec(id: &str) -> Option<Value> {
    call(&format!("GET /exec/{id}/json HTTP/1.0\r\n\r\n"))
}

/// Calls the engine, in the words of HTTP.
fn call(request: &str) -> Option<Value> {
    let mut stream = std::os::unix::net::UnixStream::connect(socket()).expect("the engine");
    stream.write_all(request.as_bytes()).expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
}

/// What is wrong, where something is.
type Verdict = Option<String>;

/// Says what is wrong where it is so.
fn wrong(is_so: bool, what: impl Into<String>) -> Verdict {
    is_so.then(|| what.into())
}

/// Who can tell.
enum Judge {
    Container(fn(&Subject) -> Verdict),
    /// Not to be seen on a container; the text says why.
    Elsewhere(&'static str),
}

struct Check {
    number: u8,
    asks: &'static str,
    judge: Judge,
}

const fn check(number: u8, asks: &'static str, judge: fn(&Subject) -> Verdict) -> Check {
    Check { number, asks, judge: Judge::Container(judge) }
}

/// What a pod deviates in on purpose: the number, who, why. `docs/hardening.md` says so too.
const EXCEPTIONS: &[(u8, &[&str], &str)] =
    &[(15, &["proxy", "gate"], "every agent waits for them, and nobody else brings them back: `unless-stopped`")];

/// The section, in words of our own.
const CHECKS: &[Check] = &[
    Check {
        number: 1,
        asks: "no swarm where none is needed",
        judge: Judge::Elsewhere("the engine's own; claw makes no swarm and uses none"),
    },
    check(2, "AppArmor stays on", apparmor),
    check(3, "SELinux stays on", selinux),
    check(4, "no capability", capabilities),
    check(5, "not privileged", |on| wrong(on.host("Privileged") != false, "it is privileged")),
    check(6, "no directory of the system is mounted", system_mounts),
    check(7, "no SSH server inside", sshd),
    check(8, "no port of the host below 1024", |on| {
        let low = on.bound().into_iter().find(|(_, port)| port.parse::<u16>().is_ok_and(|port| port < 1024));
        low.map(|(_, port)| format!("port {port}"))
    }),
    check(9, "only the ports that were asked for", |on| {
        wrong(on.bound().len() != on.ports, format!("{} instead of {}", on.bound().len(), on.ports))
    }),
    check(10, "not in the host's network", |on| wrong(on.host("NetworkMode") == "host", "it is")),
    check(11, "memory has a limit, and no swap beside it", |on| {
        let memory = on.host("Memory").as_i64().unwrap_or(0);
        wrong(
            memory <= 0 || on.host("MemorySwap").as_i64() != Some(memory),
            format!("memory {memory}, swap {}", on.host("MemorySwap")),
        )
    }),
    check(12, "CPU time has a limit", |on| {
        let has = |key: &str| on.host(key).as_i64().is_some_and(|value| value > 0);
        wrong(!has("NanoCpus") && !has("CpuQuota") && !has("CpuShares"), "none")
    }),
    check(13, "its root cannot be written", |on| wrong(on.host("ReadonlyRootfs") != true, "it can")),
    check(14, "ports of the host are bound to one address", |on| {
        let wild = on.bound().into_iter().find(|(address, _)| matches!(address.as_str(), "" | "0.0.0.0" | "::"));
        wild.map(|(address, port)| format!("{address}:{port}"))
    }),
    check(15, "it is not started again without end", |on| {
        let policy = on.host("RestartPolicy");
        let (name, count) = (policy["Name"].as_str().unwrap_or(""), policy["MaximumRetryCount"].as_i64().unwrap_or(0));
        let ends = matches!(name, "" | "no") || (name == "on-failure" && (1..=5).contains(&count));
        wrong(!ends, format!("{name}:{count}"))
    }),
    check(16, "not among the host's processes", |on| shares(on, "PidMode")),
    check(17, "not in the host's memory segments", |on| {
        shares(on, "IpcMode").or_else(|| wrong(on.host("IpcMode") == "shareable", "others may share them"))
    }),
    check(18, "no device of the host", |on| {
        let lists = ["Devices", "DeviceCgroupRules", "DeviceRequests"];
        let has = |key: &str| on.host(key).as_array().is_some_and(|list| !list.is_empty());
        lists.into_iter().find(|key| has(key)).map(ToOwned::to_owned)
    }),
    check(19, "limits of its own: no core files, a last open file", |on| {
        let own = on.host("Ulimits").as_array().is_some_and(|list| !list.is_empty());
        let is_held = |process: &Process| {
            process.limit("Max core file size") == "0" && process.limit("Max open files") != "unlimited"
        };
        wrong(!own, "it has the engine's").or_else(|| on.every(is_held, "has the engine's"))
    }),
    check(20, "mounts are not passed back to the host", |on| {
        let mounts = on.inspected["Mounts"].as_array().into_iter().flatten();
        let mut modes = mounts.filter_map(|mount| mount["Propagation"].as_str());
        wrong(modes.any(|mode| mode.ends_with("shared")), "one is shared")
    }),
    check(21, "not of the host's name", |on| shares(on, "UTSMode")),
    check(22, "system calls are filtered", |on| {
        let is_open = on
            .texts("SecurityOpt")
            .iter()
            .any(|option| option.starts_with("seccomp") && option.ends_with("unconfined"));
        wrong(is_open, "they are not")
            .or_else(|| on.every(|process| process.words("Seccomp") == ["2"], "is not filtered"))
    }),
    check(23, "no command inside with all rights", |on| {
        wrong(on.execs.iter().any(|exec| exec["ProcessConfig"]["privileged"] == true), "there is one")
    }),
    check(24, "no command inside as root", |on| {
        let is_root = |exec: &Value| matches!(exec["ProcessConfig"]["user"].as_str(), Some("0" | "root" | "0:0"));
        let root = wrong(on.execs.iter().any(is_root), "there is one");
        root.or_else(|| on.every(|process| !process.is_root(), "is root's"))
    }),
    check(25, "in the engine's cgroup", |on| {
        let parent = on.host("CgroupParent").as_str().unwrap_or("");
        wrong(!parent.is_empty(), parent)
    }),
    check(26, "no new rights", |on| {
        let has = on
            .texts("SecurityOpt")
            .iter()
            .any(|option| matches!(*option, "no-new-privileges" | "no-new-privileges:true"));
        wrong(!has, "it may get some")
            .or_else(|| on.every(|process| process.words("NoNewPrivs") == ["1"], "may get some"))
    }),
    check(27, "it is asked whether it is well", |on| {
        let test = on.inspected["Config"]["Healthcheck"]["Test"].as_array();
        let asked = test.and_then(|test| test.first()?.as_str()).is_some_and(|kind| kind != "NONE");
        wrong(!asked || on.inspected["State"]["Health"]["Status"] != "healthy", "nobody asks, or it is not")
    }),
    check(28, "of the image that its name means now", |on| {
        // Another claw on this engine may have loaded a `claw/infra` of its own meanwhile: then it is what the name meant to ours.
        let meant = &on.inspected["Config"]["Labels"][claw_types::image::compose::IMAGE];
        let is_own = on.inspected["Config"]["Image"].as_str().is_some_and(|name| name.starts_with("claw/infra:"));
        let is_it = on.inspected["Image"] == on.image.as_str() || is_own && on.inspected["Image"] == *meant;
        wrong(!is_it, "its name means another one by now")
    }),
    check(29, "processes have a limit", |on| {
        wrong(on.host("PidsLimit").as_i64().is_none_or(|count| count <= 0), "none")
    }),
    check(30, "not on the engine's default bridge", |on| {
        let is_there = on.inspected["NetworkSettings"]["Networks"].get("bridge").is_some();
        wrong(is_there || matches!(on.host("NetworkMode").as_str(), Some("default" | "bridge")), "it is")
    }),
    check(31, "not of the host's users where the engine has others", |on| shares(on, "UsernsMode")),
    check(32, "not the engine's socket", |on| {
        let source = on.sources().into_iter().find(|source| source.ends_with("docker.sock"));
        source.map(ToOwned::to_owned)
    }),
];

fn shares(on: &Subject, key: &str) -> Verdict {
    let mode = on.host(key).as_str().unwrap_or("");
    wrong(mode == "host" || mode.starts_with("container:"), mode)
}

/// Where the engine has none, it must not be switched off all the same.
fn apparmor(on: &Subject) -> Verdict {
    let profile = on.inspected["AppArmorProfile"].as_str().unwrap_or("");
    let is_off =
        on.texts("SecurityOpt").iter().any(|option| option.starts_with("apparmor") && option.ends_with("unconfined"));
    let is_lacking = on.engine.contains("apparmor") && matches!(profile, "" | "unconfined");
    wrong(is_off || is_lacking, "it is off")
}

fn selinux(on: &Subject) -> Verdict {
    let is_off =
        on.texts("SecurityOpt").iter().any(|option| option.starts_with("label") && option.ends_with("disable"));
    let is_lacking = on.engine.contains("selinux") && on.inspected["ProcessLabel"] == "";
    wrong(is_off || is_lacking, "it is off")
}

fn capabilities(on: &Subject) -> Verdict {
    let added = on.host("CapAdd").as_array().is_some_and(|list| !list.is_empty());
    let dropped = on.texts("CapDrop").iter().any(|name| name.eq_ignore_ascii_case("all"));
    let none =
        |process: &Process| ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].iter().all(|key| process.has_none(key));
    wrong(added || !dropped, "it keeps some").or_else(|| on.every(none, "has some"))
}

fn system_mounts(on: &Subject) -> Verdict {
    let system = ["/boot", "/dev", "/etc", "/lib", "/proc", "/sys", "/usr"];
    let is_system = |source: &&str| {
        let below =
            |place: &str| source.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        *source == "/" || system.iter().any(|place| below(place))
    };
    on.sources().into_iter().find(is_system).map(ToOwned::to_owned)
}

fn sshd(on: &Subject) -> Verdict {
    let server = on.processes.iter().find(|process| matches!(process.name.as_str(), "sshd" | "dropbear"));
    server.map(|process| format!("`{}` runs", process.name))
}

/// The pod: an agent of a runtime behind a proxy, one of any image, one whose port is published.
const POD: &str = "\
x-claw:
  providers: {house: {base_url: 'http://provider:8701/v1', key: '${HOUSE_KEY}'}}
services:
  writer:
    image: claw/infra
    x-claw: {type: reference, agent: AGENTS.md, cllama: passthrough, models: {primary: house/echo-1}, surfaces: ['volume://shelf read-write']}
  tool:
    build: box
    command: [sh, -c, 'exec sleep 100000']
    stop_signal: SIGKILL
    healthcheck: {test: [CMD, test, -d, /tmp], interval: 1s}
    x-claw: {type: generic, agent: AGENTS.md, surfaces: ['volume://shelf read-only']}
  door:
    image: claw/infra
    ports: ['8790']
    x-claw: {type: reference, agent: AGENTS.md, cllama: passthrough, models: {primary: house/echo-1}}
  provider:
    image: claw/infra
    command: [reference, provider, --listen, '0.0.0.0:8701']
";

/// Who is looked at: how the table calls it, its service, the ports that were asked for.
const SUBJECTS: &[(&str, &str, usize)] = &[
    ("reference", "writer", 0),
    ("generic", "tool", 0),
    ("published", "door", 0),
    ("proxy", "cllama-passthrough", 1),
    ("gate", "egress", 1),
];

/// Commands inside, ended with their containers.
struct Inside(Vec<Child>);

impl Inside {
    /// Starts one in every container, and waits until the engine has them all.
    fn start(pod: &Pod) -> Self {
        let mut children = Vec::new();
        for (_, service, _) in SUBJECTS {
            let command: &[&str] = match *service {
                "tool" => &["sleep", "1000"],
                _ => &["/bin/claw", "reference", "provider", "--listen", "127.0.0.1:18799"],
            };
            let all = [&["exec", "-T", service][..], command].concat();
            let quiet = || (Stdio::null(), Stdio::null(), Stdio::null());
            let (input, output, errors) = quiet();
            children.push(pod.command(&all).stdin(input).stdout(output).stderr(errors).spawn().expect("claw runs"));
            let began = Instant::now();
            let ids = || docker(&["inspect", "-f", "{{json .ExecIDs}}", &pod.container(service)]);
            let is_there =
                |exec: &Value| exec["ProcessConfig"]["arguments"].to_string().contains(command[command.len() - 1]);
            let runs = || {
                let ids: Vec<String> = serde_json::from_str(&ids()).ok().flatten().unwrap_or_default();
                ids.iter().filter_map(|id| exec(id)).any(|exec| is_there(&exec))
            };
            while !runs() {
                assert!(began.elapsed() < Duration::from_secs(30), "no command runs in {service}");
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Self(children)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Containers of docker's own client, held by nothing; gone at the end.
struct Loose {
    name: String,
}

impl Loose {
    /// One that runs with everything open, and one that is only made, with what would share the host.
    fn new(pod: &Pod) -> Self {
        let loose = Self { name: format!("{}-loose", pod.name) };
        let (open, shared) = (loose.open(), loose.shared());
        let image = format!("{}-image", loose.name);
        build(pod, &image);
        let server = "printf '#!/bin/sh\\nwhile :; do sleep 1; done\\n' > /sshd; chmod +x /sshd; exec /sshd";
        let free = ["--security-opt", "seccomp=unconfined"];
        docker(&[&["run", "-d", "--name", &open][..], &free, &[&image, "sh", "-c", server]].concat());
        // Made and not started: not every machine has all rights to give.
        let order = r#"{"Cmd": ["sleep"], "Privileged": true, "User": "0"}"#;
        let head = format!("Content-Type: application/json\r\nContent-Length: {}", order.len());
        let made = call(&format!("POST /containers/{open}/exec HTTP/1.0\r\n{head}\r\n\r\n{order}"));
        assert!(made.is_some_and(|made| made["Id"].is_string()), "a command with all rights");
        // Its name means another image from here on.
        docker(&["tag", "claw/infra", &image]);
        let spaces = ["--network=host", "--pid=host", "--ipc=host", "--uts=host", "--userns=host"];
        let rights =
            ["--privileged", "--cap-add=ALL", "--device=/dev/null", "--cgroup-parent=/claw-loose", "--restart=always"];
        let off =
            ["--security-opt=apparmor=unconfined", "--security-opt=label=disable", "--security-opt=seccomp=unconfined"];
        let mounts = ["-v/etc:/host:rshared", "-v/var/run/docker.sock:/docker.sock", "-p80:80", "-p22:22"];
        let all = [&["create", "--name", &shared][..], &spaces, &rights, &off, &mounts, &[&image, "serve"]];
        docker(&all.concat());
        loose
    }

    fn open(&self) -> String {
        format!("{}-open", self.name)
    }

    fn shared(&self) -> String {
        format!("{}-shared", self.name)
    }
}

impl Drop for Loose {
    fn drop(&mut self) {
        let image = format!("{}-image", self.name);
        let old = Command::new("docker").args(["inspect", "-f", "{{.Image}}", &self.open()]).output();
        let _ = Command::new("docker").args(["rm", "-f", "-v", &self.open(), &self.shared()]).output();
        let _ = Command::new("docker").args(["rmi", &image]).output();
        if let Ok(old) = old {
            let id = String::from_utf8_lossy(&old.stdout).trim().to_owned();
            let _ = Command::new("docker").args(["rmi", &id]).output();
        }
    }
}

/// Returns a table of the section, and the rows that failed.
fn judged(subjects: &[Subject]) -> (String, Vec<String>) {
    let names: Vec<String> = subjects.iter().map(|subject| format!("{:9}", subject.name)).collect();
    let mut table = format!("{:5} {:52} {}\n", "CIS", "asks for", names.join(" "));
    let mut failed = Vec::new();
    for check in CHECKS {
        let number = format!("5.{}", check.number);
        let judge = match check.judge {
            Judge::Container(judge) => judge,
            Judge::Elsewhere(why) => {
                table.push_str(&format!("{number:5} {:52} not judged: {why}\n", check.asks));
                continue;
            }
        };
        let exception = EXCEPTIONS.iter().find(|(number, ..)| *number == check.number);
        let mut words = Vec::new();
        for subject in subjects {
            let is_excepted = exception.is_some_and(|(_, names, _)| names.contains(&subject.name));
            words.push(match (judge(subject), is_excepted) {
                (None, false) => "pass",
                (Some(_), true) => "exception",
                (Some(what), false) => {
                    failed.push(format!("{number} {}: {}: {what}", subject.name, check.asks));
                    "FAIL"
                }
                (None, true) => {
                    failed.push(format!("{number} {}: it is no exception any more", subject.name));
                    "FAIL"
                }
            });
        }
        let words: Vec<String> = words.iter().map(|word| format!("{word:9}")).collect();
        table.push_str(&format!("{number:5} {:52} {}\n", check.asks, words.join(" ")));
    }
    (table, failed)
}

#[test]
fn every_check_of_section_5_passes_on_every_kind_of_container_and_fails_on_one_that_nothing_holds() {
    let pod = Pod::new("cis");
    shell(&pod);
    pod.write("AGENTS.md", "# A\n").write(".env", "HOUSE_KEY=canary\n").write("claw-pod.yml", POD);
    pod.ok(&["up", "-d", "--wait"]);
    let inside = Inside::start(&pod);
    let subjects: Vec<Subject> =
        SUBJECTS.iter().map(|(name, service, ports)| Subject::new(name, &pod.container(service), *ports)).collect();
    let (table, failed) = judged(&subjects);
    println!("{table}");
    for subject in &subjects {
        assert!(!subject.processes.is_empty() && !subject.execs.is_empty(), "{} was not looked into", subject.name);
    }
    assert!(failed.is_empty(), "{table}\n{}", failed.join("\n"));

    let loose = Loose::new(&pod);
    let open = [Subject::new("open", &loose.open(), 0), Subject::new("shared", &loose.shared(), 0)];
    let blind = CHECKS.iter().filter_map(|check| match check.judge {
        Judge::Container(judge) if open.iter().all(|subject| judge(subject).is_none()) => {
            Some(format!("5.{}", check.number))
        }
        _ => None,
    });
    assert_eq!(blind.collect::<Vec<_>>(), Vec::<String>::new(), "checks that cannot fail");
    drop((loose, inside));
    pod.ok(&["down", "-v", "--rmi", "local"]);
    pod.leaves_nothing();
}

#[test]
fn the_section_is_whole_and_its_exceptions_are_documented() {
    let numbers: Vec<u8> = CHECKS.iter().map(|check| check.number).collect();
    assert_eq!(numbers, (1..=32).collect::<Vec<u8>>());
    let text = std::fs::read_to_string(crate::root().join("docs/hardening.md")).expect("the page");
    let (_, exceptions) = text.split_once("## Exceptions").expect("its exceptions");
    for (number, _, why) in EXCEPTIONS {
        assert!(exceptions.contains(&format!("| 5.{number} |")), "5.{number} ({why}) is not told");
    }
}
