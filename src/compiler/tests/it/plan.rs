//! Plans: how agents are held, what they may not have, and what must be done for it.

use std::collections::{BTreeMap, BTreeSet};

use claw_compiler::emit::compose::compose;
use claw_compiler::facts::{Context, Facts, FileFact, Need, PodSpec, missing};
use claw_compiler::plan::Plan;
use claw_compiler::plan::steps::{Builds, Container, Image, Mode, Network, Observed, Pull, steps};
use claw_types::diag::Diagnostics;
use claw_types::image::ImageFacts;
use claw_types::span::SourceMap;

/// Compiles a pod whose every file is a contract, whose every variable is `v`, and whose images nobody has.
fn compile(text: &str) -> (Option<Plan>, Vec<String>) {
    compile_with(text, "# A\n", &[])
}

/// The same, with a contract and with labels that every image has.
pub(crate) fn compile_with(text: &str, contract: &str, labels: &[(&str, &str)]) -> (Option<Plan>, Vec<String>) {
    compile_files(text, &|_| File::Text(contract), labels)
}

/// What a pod's file is.
pub(crate) enum File<'t> {
    Text(&'t str),
    Fact(FileFact),
}

/// The same, with files by their paths.
pub(crate) fn compile_files<'t>(
    text: &str,
    files: &dyn Fn(&str) -> File<'t>,
    labels: &[(&str, &str)],
) -> (Option<Plan>, Vec<String>) {
    compile_by("0", text, files, labels)
}

/// The same by another version of claw.
fn compile_by<'t>(
    version: &'static str,
    text: &str,
    files: &dyn Fn(&str) -> File<'t>,
    labels: &[(&str, &str)],
) -> (Option<Plan>, Vec<String>) {
    let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let image = ImageFacts { labels, ..ImageFacts::default() };
    let image = Some(image).filter(|image| !image.labels.is_empty());
    let mut sources = SourceMap::new();
    let file = sources.add("claw-pod.yml", text);
    let mut diag = Diagnostics::new();
    let spec = PodSpec::of("claw-pod.yml", file, "pod");
    let mut facts = Facts::default();
    fn context<'s>(sources: &'s SourceMap, version: &'static str) -> Context<'s> {
        Context { sources, drivers: claw_drivers::ALL, version }
    }
    loop {
        let needs = missing(&spec, &facts, &context(&sources, version));
        if needs.is_empty() {
            break;
        }
        for need in needs {
            match need {
                Need::File(path) => {
                    let fact = match files(path.as_str()) {
                        File::Text(text) => FileFact::Text(sources.add(path.as_str(), text)),
                        File::Fact(fact) => fact,
                    };
                    facts.files.insert(path, fact);
                }
                Need::Image(name) => drop(facts.images.insert(name, image.clone())),
                need => facts.suppose(need, file),
            }
        }
    }
    let plan = claw_compiler::compile(&spec, &facts, &context(&sources, version), &mut diag).ok();
    let found = diag.sorted().into_iter().map(|each| {
        let place = sources.get(each.primary.file).map_or("", |source| source.name.as_str());
        let place = if place == "claw-pod.yml" {
            String::new()
        } else {
            let position = sources.position(each.primary);
            format!(" at {place}:{}:{}", position.line, position.column)
        };
        format!("{}: {}{place}", each.code.name(), each.message)
    });
    (plan, found.collect())
}

fn agent(more: &str, allow: &str) -> String {
    format!(
        "services:\n  bot:\n    image: x\n    {more}\n    x-claw: {{type: generic, agent: AGENTS.md{allow}}}\n  other: {{image: y}}\n\
         volumes: {{bound: {{driver_opts: {{type: none, o: bind, device: /etc}}}}, proc: {{driver_opts: {{type: proc, device: proc}}}}}}\n\
         networks: {{own: }}\nsecrets: {{socket: {{file: /var/run/docker.sock}}}}\nconfigs: {{root: {{file: /}}}}\n"
    )
}

/// What `allow` names, and what in a service needs it.
const PRIVILEGED: &[(&str, &[&str])] = &[
    ("privileged", &["privileged: true"]),
    ("cap_add", &["cap_add: [NET_ADMIN]"]),
    ("pid", &["pid: host", "pid: \"service:other\""]),
    ("ipc", &["ipc: host"]),
    ("uts", &["uts: host"]),
    ("userns_mode", &["userns_mode: host"]),
    ("cgroup", &["cgroup: host"]),
    ("cgroup_parent", &["cgroup_parent: /x"]),
    ("network_mode", &["network_mode: host", "network_mode: bridge", "network_mode: \"service:other\""]),
    ("networks", &["networks: [own]"]),
    (
        "devices",
        &[
            "devices: [/dev/kvm]",
            "gpus: all",
            "deploy: {resources: {reservations: {devices: [{capabilities: [gpu]}]}}}",
        ],
    ),
    ("hooks", &["post_start: [{command: 'x', user: root}]", "pre_stop: [{command: 'x', privileged: true}]"]),
    ("device_cgroup_rules", &["device_cgroup_rules: ['c 1:3 mr']"]),
    (
        "security_opt",
        &[
            "security_opt: [seccomp=unconfined]",
            "security_opt: ['no-new-privileges:false']",
            "security_opt: ['no-new-privileges:False']",
            "security_opt: ['no-new-privileges=0']",
            "security_opt: ['label=disable']",
            "security_opt: ['seccomp=./all.json']",
            "security_opt: [systempaths=unconfined]",
        ],
    ),
    ("sysctls", &["sysctls: {kernel.msgmax: 1}"]),
    ("group_add", &["group_add: ['0']", "group_add: ['00']", "group_add: [docker]", "group_add: ['998']"]),
    ("volumes_from", &["volumes_from: [other]"]),
    (
        "docker-socket",
        &[
            "volumes: ['/var/run/docker.sock:/s']",
            "secrets: [socket]",
            "volumes: ['/run/containerd/containerd.sock:/s']",
            "volumes: ['/run/../run/docker.sock:/s']",
        ],
    ),
    (
        "host-paths",
        &[
            "volumes: ['/:/h']",
            "volumes: ['/var:/h']",
            "volumes: ['/home:/h']",
            "volumes: ['/etc/passwd:/h']",
            "volumes: ['/proc/1:/h']",
            "volumes: ['//etc:/h']",
            "volumes: ['/home/u/../../etc:/h']",
            "volumes: ['~/.ssh:/h']",
            "volumes: ['../../..:/h']",
            "volumes: ['bound:/h']",
            "volumes: ['proc:/h']",
            "volumes: ['.:/h']",
            "volumes: ['..:/h']",
            "volumes: ['./.claw:/h']",
            "configs: [root]",
        ],
    ),
    ("propagation", &["volumes: [{type: bind, source: ./a, target: /h, bind: {propagation: rshared}}]"]),
    ("anonymous-volumes", &["volumes: [/data]"]),
    ("read_only", &["read_only: false"]),
    (
        "restart",
        &[
            "restart: always",
            "restart: unless-stopped",
            "restart: on-failure",
            "deploy: {restart_policy: {condition: any}}",
        ],
    ),
    ("links", &["links: [other]"]),
    ("tmpfs", &["tmpfs: ['/tmp:exec']", "tmpfs: ['/x:rw,EXEC']", "tmpfs: ['/x:exec=1']"]),
    ("logging", &["logging: {driver: none}"]),
    (
        "limits",
        &[
            "mem_limit: 0",
            "memswap_limit: -1",
            "pids_limit: -1",
            "cpus: 0",
            "cpu_quota: -1",
            "cpu_period: 100000",
            "ulimits: {core: -1}",
            "oom_kill_disable: true",
        ],
    ),
];

#[test]
fn what_an_agent_may_not_have_is_refused_until_it_is_allowed_by_name() {
    for (word, lines) in PRIVILEGED {
        for line in *lines {
            let (plan, found) = compile(&agent(line, ""));
            let refused = format!("privileged-surface: the agent `bot` has `{word}`: ");
            assert!(found.iter().any(|each| each.starts_with(&refused)), "{line}: {found:?}");
            assert!(plan.is_none(), "{line}");
            let (plan, found) = compile(&agent(line, &format!(", allow: [{word}]")));
            assert!(plan.is_some(), "{line}: {found:?}");
        }
    }
    let (plan, found) = compile(&agent("network_mode: none", ""));
    let text = compose(&plan.expect("an agent may do without any network"));
    assert!(!text.contains("claw-bot"), "{found:?}\n{text}");
}

#[test]
fn host_surfaces_are_judged_like_mounts_and_places_are_taken_once() {
    let pod = |surfaces: &str| {
        format!("services: {{bot: {{image: x, x-claw: {{type: generic, agent: A.md, surfaces: [{surfaces}]}}}}}}")
    };
    let (_, found) = compile(&pod("'host:///etc rw', 'host:///var/run/docker.sock rw'"));
    let refused: Vec<&String> = found.iter().filter(|each| each.starts_with("privileged-surface")).collect();
    assert_eq!(refused.len(), 2, "{found:?}");
    let (_, found) = compile(&agent("volumes: ['./a:/claw']", ""));
    assert!(found.contains(&"name-collision: `bot` has two mounts at `/claw`".to_owned()), "{found:?}");
    let (_, found) = compile(&agent("tmpfs: [/claw]", ""));
    assert!(found.contains(&"name-collision: `bot` has two mounts at `/claw`".to_owned()), "{found:?}");
    let (_, found) = compile(&agent("user: root", ""));
    assert!(found.contains(&"privileged-surface: an agent does not run as root".to_owned()), "{found:?}");
    let (_, found) = compile(&agent("volumes: ['./a:/claw/skills']", ""));
    assert!(found.contains(&"name-collision: `bot` mounts `/claw/skills`, which is claw's".to_owned()), "{found:?}");
}

#[test]
fn what_is_risky_in_other_services_is_a_warning() {
    let (plan, found) = compile("services: {web: {image: x, privileged: true, volumes: ['/var/run/docker.sock:/s']}}");
    assert!(plan.is_some());
    assert_eq!(
        found,
        [
            "risky-service: the service `web` has `docker-socket`: `/var/run/docker.sock` is the engine, and so the host (CIS 5.32)",
            "risky-service: the service `web` has `privileged`: all rights on the host (CIS 5.5)",
        ]
        .map(ToOwned::to_owned)
        .into_iter()
        .rev()
        .collect::<Vec<_>>()
    );
}

#[test]
fn an_agent_is_held_by_the_whole_table() {
    let (plan, found) = compile(&agent("ports: ['80', {target: 81}]", ""));
    assert!(plan.is_some(), "{found:?}");
    let text = compose(&plan.expect("planned"));
    let service = text.split("  other:").next().expect("a service");
    for line in [
        "cap_drop:\n      - \"ALL\"",
        "- \"no-new-privileges:true\"",
        "read_only: true",
        "init: true",
        "mem_limit: \"1073741824\"",
        "memswap_limit: \"1073741824\"",
        "cpus: 2",
        "pids_limit: 512",
        "core: 0",
        "restart: \"on-failure:5\"",
        "stop_grace_period: \"15s\"",
        "user: \"65532:65532\"",
        "- \"/tmp:rw,noexec,nosuid,nodev,size=64m,mode=1777\"",
        "XDG_CACHE_HOME: \"/tmp/.cache\"",
        "max-size: \"10m\"",
        "- \"timeout:1\"",
    ] {
        assert!(service.contains(line), "{line} is not in\n{service}");
    }
    assert!(!service.split("\n  egress:").next().expect("an agent").contains("ports:"), "{service}");
    assert_eq!(service.matches("host_ip: \"127.0.0.1\"").count(), 2, "the gate is heard in its place: {service}");
    let of_bot = |plan: Option<Plan>| {
        let text = compose(&plan.expect("planned"));
        text.split("\n  egress:").next().expect("an agent").to_owned()
    };
    let (plan, _) = compile(&agent("deploy: {resources: {limits: {memory: 64m, cpus: '1', pids: 100}}}", ""));
    let text = of_bot(plan);
    assert!(text.contains("memswap_limit: \"67108864\"") && text.contains("size=16m"), "{text}");
    assert!(!text.contains("mem_limit") && !text.contains("pids_limit") && !text.contains("\n    cpus:"), "{text}");
    let (plan, _) = compile(&agent("cpu_quota: 50000", ""));
    let text = of_bot(plan);
    assert!(text.contains("cpu_quota: 50000") && !text.contains("\n    cpus:"), "{text}");
    let (plan, _) = compile("services: {web: {image: x, x-claw: {harden: true}}, plain: {image: y}}");
    let text = compose(&plan.expect("planned"));
    assert_eq!(text.matches("read_only: true").count(), 1, "{text}");
}

/// What an engine has where a plan was carried out.
fn carried_out(plan: &Plan) -> Observed {
    let mut observed = Observed::default();
    let network = |key: &str| (key.to_owned(), Network { id: format!("id of {key}"), hash: Some("own".to_owned()) });
    let keys = || plan.project.networks.keys().map(String::as_str).chain(["default"]);
    observed.networks.extend(keys().map(network));
    observed.hashes.networks.extend(keys().map(|key| (key.to_owned(), "own".to_owned())));
    observed.volumes.extend(plan.project.volumes.keys().cloned());
    for (name, service) in &plan.project.services {
        let image = service.image.clone().expect("an image");
        let id = format!("id of {image}");
        observed.images.insert(image, Image { id: id.clone(), context: None });
        let hashes = ["first", "second"].map(|level| format!("{level} {name}"));
        observed.hashes.services.insert(name.clone(), hashes.clone());
        let container = Container {
            id: name.clone(),
            name: format!("pod-{name}-1"),
            number: 1,
            hash: hashes[0].clone(),
            image: id,
            is_claws: true,
            is_running: true,
            ..Container::default()
        };
        observed.containers.insert(name.clone(), vec![container]);
    }
    observed
}

fn shown(plan: &Plan, observed: &Observed) -> Vec<String> {
    steps(plan, observed, &Mode::default()).iter().map(ToString::to_string).collect()
}

const PAIR: &str = "services:\n  web: {image: x, depends_on: {db: {condition: service_started, restart: true}}}\n  db: {image: y, volumes: ['data:/d']}\nvolumes: {data: }\n";

#[test]
fn nothing_is_done_where_everything_is_as_planned() {
    let (plan, _) = compile(PAIR);
    let plan = plan.expect("planned");
    assert_eq!(shown(&plan, &carried_out(&plan)), Vec::<String>::new());
}

#[test]
fn everything_is_made_in_an_order_that_works_where_nothing_is() {
    let (plan, _) = compile(PAIR);
    let steps = steps(&plan.expect("planned"), &Observed::default(), &Mode::default());
    let shown: Vec<String> = steps.iter().map(|step| format!("{} {step} {:?}", step.id, step.after)).collect();
    assert_eq!(
        shown,
        [
            "1 pull image y: the engine does not have it []",
            "2 pull image x: the engine does not have it []",
            "3 create network default: it is missing []",
            "4 create volume data: it is missing []",
            "5 create container db: it is missing [1, 3, 4]",
            "6 create container web: it is missing [2, 3, 5]",
            "7 start container db: it is new [5]",
            "8 start container web: it is new [6, 7]",
        ]
    );
}

#[test]
fn a_pull_policy_says_when_an_image_is_pulled() {
    for (policy, where_missing, where_here) in [
        ("missing", "pull image x: the engine does not have it", ""),
        ("if_not_present", "pull image x: the engine does not have it", ""),
        ("always", "pull image x: its pull policy is `always`", "pull image x: its pull policy is `always`"),
        ("never", "", ""),
    ] {
        let (plan, _) = compile(&format!("services: {{web: {{image: x, pull_policy: {policy}}}}}\n"));
        let plan = plan.expect("planned");
        let first = |observed: &Observed| {
            let shown = shown(&plan, observed);
            shown.into_iter().find(|step| step.starts_with("pull")).unwrap_or_default()
        };
        assert_eq!(first(&Observed::default()), where_missing, "{policy}");
        assert_eq!(first(&carried_out(&plan)), where_here, "{policy}");
    }
}

#[test]
fn each_difference_is_told_with_its_cause() {
    let (plan, _) = compile(PAIR);
    let plan = plan.expect("planned");
    let changed = |change: &dyn Fn(&mut Observed)| {
        let mut observed = carried_out(&plan);
        change(&mut observed);
        shown(&plan, &observed)
    };
    let web = |observed: &mut Observed, change: &dyn Fn(&mut Container)| {
        observed.containers.get_mut("web").into_iter().flatten().for_each(change);
    };
    let again = |cause: &str| {
        vec![
            format!("remove container pod-web-1: {cause}"),
            format!("create container web: {cause}"),
            "start container web: it is new".to_owned(),
        ]
    };
    assert_eq!(changed(&|o| web(o, &|c| c.hash.clear())), again("its configuration changed"));
    assert_eq!(changed(&|o| web(o, &|c| c.hash = "second web".into())), Vec::<String>::new(), "of the other release");
    assert_eq!(changed(&|o| web(o, &|c| c.image.clear())), again("image id changed"));
    assert_eq!(
        changed(&|o| web(o, &|c| c.drift = vec!["networks".into()])),
        again("it runs otherwise than planned: networks")
    );
    assert_eq!(changed(&|o| web(o, &|c| c.is_running = false)), ["start container web: it does not run"]);
    let completed = |c: &mut Container| (c.is_running, c.is_completed) = (false, true);
    assert_eq!(changed(&|o| web(o, &completed)), Vec::<String>::new(), "a job that ended well is done");
    let fields = |rows: &[(&str, &str)]| -> BTreeMap<String, String> {
        rows.iter().map(|(path, digest)| ((*path).to_owned(), (*digest).to_owned())).collect()
    };
    let cause = |before: &[(&str, &str)], after: &[(&str, &str)]| {
        let shown = changed(&|o| {
            o.hashes.fields.insert("web".into(), fields(after));
            web(o, &|c| (c.hash, c.fields) = (String::new(), Some(fields(before))));
        });
        shown[0].strip_prefix("remove container pod-web-1: ").map(ToOwned::to_owned).expect("removed")
    };
    assert_eq!(
        cause(
            &[("environment.A", "1"), ("user", "1"), ("image", "1")],
            &[("environment.A", "2"), ("command", "1"), ("image", "1")]
        ),
        "command added, environment.A changed, user removed"
    );
    let files = "contract changed, skill deploy changed, file config.json removed";
    let before = [
        ("files.claw/AGENTS.md", "1"),
        ("files.claw/skills/deploy.md", "1"),
        ("files.config.json", "1"),
        ("volumes", "1"),
    ];
    let after = [("files.claw/AGENTS.md", "2"), ("files.claw/skills/deploy.md", "2"), ("volumes", "2")];
    assert_eq!(cause(&before, &after), files, "where generated files lie is no change of its own");
    let many: Vec<(String, String)> = (0..7).map(|index| (format!("labels.{index}"), "1".to_owned())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(path, digest)| (path.as_str(), digest.as_str())).collect();
    assert_eq!(cause(&[], &many), "labels.0 added, labels.1 added, labels.2 added, labels.3 added, 3 more");
    let orphan = |is_claws: bool| {
        changed(&|o| {
            let gone =
                Container { name: "pod-old-1".into(), number: 1, is_claws, is_running: true, ..Container::default() };
            o.containers.insert("old".into(), vec![gone]);
        })
    };
    assert_eq!(orphan(true), ["remove container pod-old-1: the pod has no such service any more"]);
    assert_eq!(orphan(false), Vec::<String>::new());
}

#[test]
fn a_network_that_changed_is_made_anew_with_the_containers_on_it() {
    let (plan, _) = compile(PAIR);
    let plan = plan.expect("planned");
    let mut observed = carried_out(&plan);
    observed.networks.get_mut("default").expect("there").hash = Some("other".to_owned());
    let todo = steps(&plan, &observed, &Mode::default());
    let shown: Vec<String> = todo.iter().map(|step| format!("{} {step} {:?}", step.id, step.after)).collect();
    assert_eq!(
        shown,
        [
            "1 remove container pod-db-1: its network `default` is made anew []",
            "2 remove container pod-web-1: its network `default` is made anew []",
            "3 remove network default: it is not as the file says [1, 2]",
            "4 create network default: it is made anew [3]",
            "5 create container db: its network `default` is made anew [4, 1]",
            "6 create container web: its network `default` is made anew [4, 5, 2]",
            "7 start container db: it is new [1, 2, 5]",
            "8 start container web: it is new [1, 2, 6, 7]",
        ]
    );
    // One that another release of docker compose made says nothing of itself.
    observed.networks.get_mut("default").expect("there").hash = None;
    assert_eq!(self::shown(&plan, &observed), Vec::<String>::new());
}

#[test]
fn what_has_the_volumes_or_a_namespace_of_another_is_made_anew_with_it() {
    for key in ["volumes_from: ['db:ro']", "network_mode: 'service:db'", "ipc: 'service:db'", "pid: 'service:db'"] {
        let (plan, _) = compile(&format!("services: {{web: {{image: x, {key}}}, db: {{image: y}}}}\n"));
        let plan = plan.expect("planned");
        let mut observed = carried_out(&plan);
        observed.containers.get_mut("db").into_iter().flatten().for_each(|container| container.hash.clear());
        let cause = "its configuration changed";
        let with = "it shares a namespace or volumes with `db`, which is made anew";
        assert_eq!(
            shown(&plan, &observed),
            [
                format!("remove container pod-db-1: {cause}"),
                format!("create container db: {cause}"),
                format!("remove container pod-web-1: {with}"),
                format!("create container web: {with}"),
                "start container db: it is new".to_owned(),
                "start container web: it is new".to_owned(),
            ],
            "{key}"
        );
    }
}

#[test]
fn a_dependent_that_asks_for_it_is_restarted_with_what_it_needs() {
    let (plan, _) = compile(PAIR);
    let plan = plan.expect("planned");
    let mut observed = carried_out(&plan);
    observed.containers.get_mut("db").into_iter().flatten().for_each(|container| container.hash.clear());
    assert_eq!(
        shown(&plan, &observed),
        [
            "stop container pod-web-1: it restarts with `db`",
            "remove container pod-db-1: its configuration changed",
            "create container db: its configuration changed",
            "start container db: it is new",
            "start container web: it restarts with `db`",
        ]
    );
}

#[test]
fn some_services_mean_those_and_what_they_depend_on() {
    let (plan, _) = compile(PAIR);
    let plan = plan.expect("planned");
    let selected = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        Mode::of(&names, true, &plan).map(|mode| mode.selected.unwrap_or_default())
    };
    assert_eq!(selected(&["db"]), Ok(BTreeSet::from(["db".to_owned()])));
    assert_eq!(selected(&["web"]), Ok(BTreeSet::from(["db".to_owned(), "web".to_owned()])));
    assert_eq!(selected(&["nope"]), Err("nope".to_owned()));
}

/// Steps with their numbers and what comes before them.
fn numbered(plan: &Plan, observed: &Observed, mode: &Mode) -> Vec<String> {
    steps(plan, observed, mode).iter().map(|step| format!("{} {step} {:?}", step.id, step.after)).collect()
}

#[test]
fn a_reversible_replacement_waits_before_anything_is_taken_away() {
    let (plan, _) = compile(PAIR);
    let plan = plan.expect("planned");
    let mut observed = carried_out(&plan);
    observed.containers.values_mut().flatten().for_each(|container| container.hash.clear());
    let cause = "its configuration changed";
    let mode = Mode { is_reversible: true, ..Mode::default() };
    assert_eq!(
        numbered(&plan, &observed, &mode),
        [
            format!("1 set aside container pod-db-1: {cause} []"),
            format!("2 create container db: {cause} [1]"),
            format!("3 set aside container pod-web-1: {cause} []"),
            format!("4 create container web: {cause} [2, 3]"),
            "5 start container db: it is new [1, 2, 3]".to_owned(),
            "6 start container web: it is new [1, 3, 4, 5]".to_owned(),
            "7 wait for container db: it replaces another [5]".to_owned(),
            "8 wait for container web: it replaces another [6]".to_owned(),
            "9 remove container pod-db-1: what replaces it is ready [7, 8]".to_owned(),
            "10 remove container pod-web-1: what replaces it is ready [7, 8]".to_owned(),
        ]
    );
    // What a run that was killed had set aside makes room first, and counts for nothing else.
    let mut observed = carried_out(&plan);
    let db = observed.containers.get_mut("db").expect("there");
    let aside = Container {
        id: "old".into(),
        name: "pod-db-1.aside".into(),
        is_aside: true,
        is_running: false,
        ..db[0].clone()
    };
    db.insert(0, aside);
    let remove = "remove container pod-db-1.aside: a run that did not end had set it aside";
    assert_eq!(numbered(&plan, &observed, &Mode::default()), [format!("1 {remove} []")]);
    observed.containers.get_mut("db").expect("there")[1].hash.clear();
    assert_eq!(
        numbered(&plan, &observed, &mode)[2..4],
        [format!("3 set aside container pod-db-1: {cause} [1, 2]"), format!("4 create container db: {cause} [3]"),]
    );
}

#[test]
fn what_is_asked_for_beside_what_differs_is_a_cause_of_its_own() {
    let (plan, _) = compile("services:\n  web: {image: x, depends_on: [db]}\n  db: {image: y}\n");
    let plan = plan.expect("planned");
    let mut observed = carried_out(&plan);
    let lines =
        |mode: Mode| -> Vec<String> { steps(&plan, &observed, &mode).iter().map(ToString::to_string).collect() };
    assert_eq!(lines(Mode::default()), Vec::<String>::new());
    let pulled = lines(Mode { pull: Some(Pull::Always), ..Mode::default() });
    assert_eq!(pulled[..2], ["pull image y: `--pull` asks for it", "pull image x: `--pull` asks for it"]);
    assert!(pulled[2].ends_with("known after build: its image is made anew"), "{pulled:?}");
    assert_eq!(lines(Mode { pull: Some(Pull::Always), has_images: true, ..Mode::default() }), Vec::<String>::new());
    let named = Mode { recreates: true, ..Mode::of(&["web".to_owned()], true, &plan).expect("there") };
    let again = lines(named.clone());
    assert_eq!(again.len(), 3, "{again:?}");
    assert!(again.iter().all(|line| !line.contains("db")), "{again:?}");
    assert_eq!(lines(named.carried_out()), Vec::<String>::new());
    let alone = Mode::of(&["web".to_owned()], false, &plan).expect("there");
    assert!(!alone.has("db") && alone.has("web"));
    let three = Mode { scale: BTreeMap::from([("web".to_owned(), 3)]), ..Mode::default() };
    let made = lines(three);
    assert_eq!(
        made,
        [
            "create container web-2: it is missing",
            "create container web-3: it is missing",
            "start container web-2: it is new",
            "start container web-3: it is new"
        ]
    );
    observed.images.clear();
    let none = Mode { pull: Some(Pull::Never), builds: Builds::Never, ..Mode::default() };
    assert!(steps(&plan, &observed, &none).iter().all(|step| !step.action.is_image()));
}

#[test]
fn what_secrets_and_configs_hold_is_compared_where_it_is_known() {
    let (plan, _) = compile(PAIR);
    let plan = plan.expect("planned");
    let mut observed = carried_out(&plan);
    let fields =
        |rows: &[(&str, &str)]| rows.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    observed
        .hashes
        .fields
        .insert("db".to_owned(), fields(&[("contents.secret key", "2"), ("contents.config c", "1"), ("image", "1")]));
    let seen = |observed: &mut Observed, rows: &[(&str, &str)]| {
        observed.containers.get_mut("db").into_iter().flatten().for_each(|c| c.fields = Some(fields(rows)));
    };
    // Made by an older claw, which took no digest of it.
    seen(&mut observed, &[("image", "0")]);
    assert_eq!(shown(&plan, &observed), Vec::<String>::new());
    seen(&mut observed, &[("contents.secret key", "1"), ("contents.config c", "1")]);
    assert_eq!(shown(&plan, &observed)[1], "remove container pod-db-1: what the secret `key` holds changed");
}

#[test]
fn a_newer_claw_makes_no_agent_anew_that_does_not_run_claw_itself() {
    let text = "services:\n  bot: {image: x, environment: {A_TOKEN: '${A_TOKEN}'}, x-claw: {type: TYPE, agent: A.md, models: {primary: MODEL}}}\n  web: {image: y}\n";
    for facts in claw_drivers::ALL.iter().map(|driver| driver.facts()) {
        let driver = facts.name;
        let speaks_openai = facts.formats.contains(&claw_types::provider::WireFormat::OpenAi);
        let model = if speaks_openai { "openai/gpt-5" } else { "anthropic/claude-sonnet-4" };
        let text = text.replace("TYPE", driver).replace("MODEL", model);
        let emitted = |version: &'static str| {
            let (plan, found) = compile_by(version, &text, &|_| File::Text("# A\n"), &[]);
            let plan = plan.unwrap_or_else(|| unreachable!("{driver}: {found:?}"));
            let directories: Vec<String> = plan.belongings.values().map(|own| own.directory.to_string()).collect();
            let text = compose(&plan);
            // The gate is claw's own: it follows claw's version.
            let of_agent = text.split("\n  egress:").next().expect("an agent").to_owned();
            (of_agent.split_once('\n').expect("a heading").1.to_owned(), directories)
        };
        assert_eq!(emitted("1.0.0"), emitted("2.0.0"), "{driver}");
    }
}
