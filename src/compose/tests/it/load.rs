//! Loading: what is refused and where, what is taken, and what becomes of it.

use claw_compose::load::Loaded;

fn findings(text: &str) -> Vec<String> {
    crate::load(text, &[], &[]).1
}

fn loaded(text: &str) -> Loaded {
    let (loaded, findings) = crate::load(text, &[], &[]);
    assert!(loaded.is_some(), "{text}: {findings:?}");
    loaded.expect("valid")
}

/// Asserts that a service `a`, written in flow style, has exactly one finding.
fn refused(service: &str, finding: &str) {
    let text = format!("services:\n  a: {{image: x, {service}}}\n");
    assert_eq!(findings(&text), [finding], "{service}");
}

#[test]
fn reset_takes_a_key_out_and_override_lets_a_value_stand_in_one_file_too() {
    let text = "x-a: {b: !reset null}\nservices:\n  a:\n    image: x\n    ports: !override ['80']\n    labels:\n      b: !reset c\n      d: e\n";
    let loaded = loaded(text);
    let service = &loaded.project.services["a"];
    assert_eq!(service.ports.len(), 1);
    assert_eq!(service.labels.keys().collect::<Vec<_>>(), ["d"]);
    assert!(loaded.tree.get("x-a").expect("kept").entries().is_empty());
}

const PROFILES: &str =
    "services:\n  a: {image: x}\n  b: {image: x, profiles: [p]}\n  c: {image: x, profiles: [q], depends_on: [b]}\n";

fn services(profiles: &[&str], named: &[&str]) -> Vec<String> {
    crate::load(PROFILES, profiles, named).0.expect("valid").project.services.into_keys().collect()
}

#[test]
fn services_of_inactive_profiles_are_no_part_of_the_project() {
    assert_eq!(services(&[], &[]), ["a"]);
    assert_eq!(services(&["p"], &[]), ["a", "b"]);
    assert_eq!(services(&["*"], &[]), ["a", "b", "c"]);
    assert_eq!(services(&[], &["b"]), ["a", "b"]);
    let loaded = loaded(PROFILES);
    assert_eq!(loaded.disabled.keys().collect::<Vec<_>>(), ["b", "c"]);
    assert_eq!(loaded.tree.get("services").expect("services").entries().len(), 1);
}

#[test]
fn a_dependency_on_a_disabled_service_says_so() {
    let (none, found) = crate::load(PROFILES, &["q"], &[]);
    assert!(none.is_none());
    assert_eq!(
        found,
        [
            "error[undefined-resource] b: the service `c` names the service `b`, which is disabled: its profile `p` is not active"
        ]
    );
    let optional = PROFILES.replace("[b]", "{b: {condition: service_started, required: false}}");
    let loaded = crate::load(&optional, &["q"], &[]).0.expect("valid");
    assert_eq!(loaded.project.services["c"].depends_on.len(), 1, "printed, as compose does");
}

#[test]
fn one_amount_under_two_keys_must_agree() {
    for (key, value, long, other) in [
        ("mem_limit", "1m", "resources: {limits: {memory: 2m}}", "resources.limits.memory"),
        ("cpus", "1", "resources: {limits: {cpus: 2}}", "resources.limits.cpus"),
        ("pids_limit", "5", "resources: {limits: {pids: 6}}", "resources.limits.pids"),
        ("mem_reservation", "1m", "resources: {reservations: {memory: 2m}}", "resources.reservations.memory"),
        ("scale", "2", "replicas: 3", "replicas"),
    ] {
        let finding = format!("error[conflicting-keys] {value}: `{key}` and `deploy.{other}` of `a` differ");
        refused(&format!("{key}: {value}, deploy: {{{long}}}"), &finding);
    }
    loaded("services: {a: {image: x, mem_limit: 1024k, deploy: {resources: {limits: {memory: 1m}}}}}");
}

#[test]
fn a_container_name_is_for_one_container() {
    let many = "the service `a` has one `container_name` for 2 containers";
    refused("container_name: cn, scale: 2", &format!("error[conflicting-keys] cn: {many}"));
    refused("container_name: cn, deploy: {replicas: 2}", &format!("error[conflicting-keys] cn: {many}"));
    refused("container_name: '-x'", "error[bad-name] '-x': `-x` is not a container name");
    let twice = "services: {a: {image: x, container_name: one}, b: {image: x, container_name: 'one'}}";
    let finding = "error[name-collision] 'one': the services `a` and `b` have one container name, `one`";
    assert_eq!(findings(twice), [finding]);
}

#[test]
fn a_network_mode_excludes_networks() {
    let finding = "error[conflicting-keys] none: the service `a` has both `network_mode: none` and `networks`";
    refused("network_mode: none, networks: [default]", finding);
}

#[test]
fn services_named_by_any_key_must_be_there() {
    for (key, value, place) in [
        ("network_mode", "service:b", "service:b"),
        ("pid", "service:b", "service:b"),
        ("ipc", "service:b", "service:b"),
        ("links", "[b:alias]", "[b:alias"),
        ("volumes_from", "[b:ro]", "[b:ro"),
    ] {
        let text = format!("services: {{a: {{image: x, {key}: {value}}}}}");
        let found = findings(&text);
        let finding =
            format!("error[undefined-resource] {place}: the service `a` names the service `b`, which is not there");
        assert_eq!(found, [finding], "{key}");
    }
    loaded("services: {a: {image: x, volumes_from: ['container:b'], network_mode: 'container:b'}}");
}

#[test]
fn words_that_are_no_choice_are_refused() {
    let found =
        |key: &str, shown: &str, text: &str| format!("error[bad-value] {text}: the `{key}` of `a` cannot be `{shown}`");
    refused("pull_policy: sometimes", &found("pull_policy", "sometimes", "sometimes"));
    refused("pull_policy: every_x", &found("pull_policy", "every_x", "every_x"));
    refused("restart: sometimes", &found("restart", "sometimes", "sometimes"));
    refused("restart: 'on-failure:x'", &found("restart", "on-failure:x", "'on-failure:x'"));
    refused("cgroup: x", &found("cgroup", "x", "x"));
    refused("healthcheck: {test: [curl]}", &found("healthcheck.test", "curl", "[curl"));
    for policy in ["always", "never", "missing", "if_not_present", "build", "daily", "weekly", "every_1d12h"] {
        let project = loaded(&format!("services: {{a: {{image: x, pull_policy: {policy}}}}}")).project;
        let kept = if policy == "if_not_present" { "missing" } else { policy };
        assert_eq!(project.services["a"].pull_policy.as_deref(), Some(kept));
    }
    for restart in ["no", "always", "unless-stopped", "on-failure", "'on-failure:3'"] {
        loaded(&format!("services: {{a: {{image: x, restart: {restart}}}}}"));
    }
}

#[test]
fn mounts_are_binds_volumes_or_tmpfs_and_complete() {
    let mount = |mount: &str, finding: &str| refused(&format!("volumes: [{{{mount}}}]"), finding);
    mount("type: image, source: y, target: /b", "error[unsupported] image: claw has no mounts of the type `image`");
    mount("type: npipe, source: y, target: /b", "error[unsupported] npipe: claw has no mounts of the type `npipe`");
    mount("type: blnd, source: y, target: /b", "error[bad-value] blnd: `blnd` is not a type of mount");
    mount("type: bind, target: /b", "error[missing-key] {type: bind, target: /b: a bind mount of `a` has no `source`");
    mount("type: tmpfs", "error[missing-key] {type: tmpfs: a mount of `a` has no `target`");
    let finding = "error[bad-value] -1: the size of a tmpfs of `a` is below zero";
    mount("type: tmpfs, target: /b, tmpfs: {size: -1}", finding);
}

#[test]
fn an_external_volume_has_a_name_and_nothing_else() {
    let text = "services: {a: {image: x}}\nvolumes: {k: {external: true, name: n, driver: d}}\n";
    assert_eq!(findings(text), ["error[conflicting-keys] d: the volume `k` has both `external: true` and `driver`"]);
}

#[test]
fn a_secret_or_config_has_one_source() {
    let file =
        |section: &str, keys: &str| findings(&format!("services: {{a: {{image: x}}}}\n{section}: {{k: {{{keys}}}}}\n"));
    assert_eq!(file("secrets", ""), ["error[missing-key] k: the secret `k` has no source"]);
    assert_eq!(file("configs", "name: x"), ["error[missing-key] k: the config `k` has no source"]);
    let both = "error[conflicting-keys] E: the secret `k` has more than one source: `file`, `environment`";
    assert_eq!(file("secrets", "file: f, environment: E"), [both]);
    assert_eq!(file("secrets", "content: t"), ["error[unknown-key] t: the secret `k` cannot have `content`"]);
    assert_eq!(file("configs", "content: t"), [""; 0]);
    assert_eq!(file("secrets", "external: true"), [""; 0]);
}

#[test]
fn cycles_through_any_key_are_found() {
    for (first, second) in [
        ("links: [b]", "links: [a]"),
        ("volumes_from: [b]", "depends_on: [a]"),
        ("network_mode: 'service:b'", "ipc: 'service:a'"),
    ] {
        let text = format!("services: {{a: {{image: x, {first}}}, b: {{image: x, {second}}}}}");
        assert_eq!(findings(&text), ["error[dependency-cycle] a: services depend on each other: `a` -> `b` -> `a`"]);
    }
    refused("pid: 'service:a'", "error[dependency-cycle] a: services depend on each other: `a` -> `a`");
}

#[test]
fn nothing_is_no_compose_file() {
    assert_eq!(findings("# only a comment\n"), ["error[missing-key] : the compose file is empty"]);
    assert_eq!(findings("services:\n"), ["error[wrong-type] services: `services` must be a mapping, and is nothing"]);
    let empty = "services: {a: {image: ''}}";
    assert_eq!(findings(empty), ["error[bad-value] '': the `image` of `a` is empty"]);
}

#[test]
fn links_namespaces_and_volumes_from_are_dependencies() {
    let text = "services:\n  a: {image: x, links: [b], network_mode: 'service:c', volumes_from: [b, d], depends_on: {c: {condition: service_healthy}}}\n  b: {image: x}\n  c: {image: x}\n  d: {image: x}\n";
    let project = loaded(text).project;
    let shown: Vec<_> = project.services["a"]
        .depends_on
        .iter()
        .map(|(name, each)| format!("{name} {} {:?} {:?}", each.condition, each.restart, each.required))
        .collect();
    assert_eq!(
        shown,
        [
            "b service_started Some(true) Some(true)",
            "c service_healthy None Some(true)",
            "d service_started None Some(true)"
        ]
    );
}

#[test]
fn faults_of_yaml_have_a_cause_and_a_place() {
    for (text, cause) in [
        ("services:\n\ta: 1\n", "a tab stands where only spaces may"),
        ("services:\n  a:\n  \timage: x\n", "a tab stands where only spaces may"),
        ("a: [b\nc: d\n", "a `[` is not closed"),
        ("a: [\n", "the `[` is not closed"),
        ("a: [b}\n", "a `[` is closed by `}`"),
        ("a: b]\nc: ]\n", "a bracket is closed that was not opened"),
        ("a: {b: c d: e}\n", "a `,` or a `}` is missing before this"),
        ("a: 'b\nc: d\n", "a quote is not closed"),
        ("a: \"é\nc: d\n", "a quote is not closed"),
        ("a: 'it's'\n", "text stands behind the closing quote"),
        ("a: \"\\d\"\n", "this is no escape of double quotes"),
        ("a: b: c\n", "a `key: value` may not stand here"),
        ("a:\n  image:x\n  b: c\n", "a space is missing behind this `:`"),
        ("a: b\nc:d\n", "a space is missing behind the `:`"),
        ("a:\n  b: c\n d: e\n", "this is no key, and a key must follow"),
        ("a:\n  b: c\n   d: e\n", "a `key: value` may not stand here"),
        ("a:\n  b\n  c: d\n", "this line has no `:`"),
        ("a: - b\n", "a `- item` may not stand here"),
        ("a:\n  - b\n  c: d\n", "this is no `- item`, and one must follow"),
        ("a: @b\n", "no value begins with `@`"),
        ("a: `b`\n", "no value begins with a backtick"),
        ("a: *\n", "`&` and `*` need a name"),
        ("a: *b\n", "this alias has no anchor"),
        ("a: | b\n", "text stands behind a `|` or `>`"),
        ("a: !<b c\n", "this tag is none"),
        ("a: b #c\n  d\n", "a comment stands inside a value"),
    ] {
        assert_eq!(findings(text), [format!("error[yaml-syntax] : this is not YAML: {cause}")], "{text}");
    }
    assert_eq!(findings("a: {1: b}\n"), ["error[yaml-syntax] 1: a key must be a string, and this is an integer"]);
}

/// Asserts that a file loads with one warning for each of `keys`, and that all of them are printed again.
fn idle(text: &str, keys: &[&str]) {
    let (loaded, found) = crate::load(text, &[], &[]);
    assert!(loaded.is_some(), "{text}: {found:?}");
    let project = loaded.expect("valid").project;
    let printed = claw_compose::write::json(&claw_compose::shape::Shape::encode(&project).expect("a file"));
    for key in keys {
        let count =
            found.iter().filter(|each| each.starts_with("warning[no-effect]") && each.contains(&format!(".{key}`")));
        assert_eq!(count.count(), 1, "{key}: {found:?}");
        assert!(printed.contains(&format!("\"{key}\": ")), "{key}: {printed}");
    }
    assert_eq!(found.len(), keys.len(), "{found:?}");
}

#[test]
fn what_has_no_effect_is_taken_with_a_warning_and_printed() {
    let deploy = "mode: global, endpoint_mode: vip, labels: [a=b], update_config: {parallelism: 1}, rollback_config: {order: stop-first}, placement: {constraints: [x]}";
    let keys = ["mode", "endpoint_mode", "labels", "update_config", "rollback_config", "placement"];
    idle(&format!("services: {{a: {{image: x, deploy: {{{deploy}}}}}}}"), &keys);
    let reservations = "cpus: 1, generic_resources: [{discrete_resource_spec: {kind: k, value: 1}}]";
    idle(
        &format!(
            "services: {{a: {{image: x, deploy: {{mode: replicated, resources: {{reservations: {{{reservations}}}}}}}}}}}"
        ),
        &["cpus", "generic_resources"],
    );
    idle("services: {a: {image: x, develop: {watch: [{path: ., action: rebuild}]}}}", &["develop"]);
    let build = "ssh: [default], secrets: [s], additional_contexts: {a: .}, ulimits: {nproc: 3}, cache_to: [x], privileged: true, entitlements: [e], provenance: true, sbom: true, isolation: hyperv";
    let keys = [
        "ssh",
        "secrets",
        "additional_contexts",
        "ulimits",
        "cache_to",
        "privileged",
        "entitlements",
        "provenance",
        "sbom",
        "isolation",
    ];
    idle(&format!("services: {{a: {{build: {{context: ., {build}}}}}}}"), &keys);
    idle("services: {a: {image: x}}\nnetworks: {n: {external: true, driver: bridge}}", &["driver"]);
}

#[test]
fn limits_and_reservations_have_keys_of_their_own() {
    let resources = |keys: &str, finding: &str| refused(&format!("deploy: {{resources: {{{keys}}}}}"), finding);
    let limits = "error[unknown-key] [{capabilities: [gpu: `services.a.deploy.resources.limits` has no key `devices`";
    resources("limits: {devices: [{capabilities: [gpu]}]}", limits);
    let reservations = "error[unknown-key] 3: `services.a.deploy.resources.reservations` has no key `pids`";
    resources("reservations: {pids: 3}", reservations);
}

#[test]
fn the_old_form_of_external_is_taken() {
    let (old, found) = crate::load("services: {a: {image: x}}\nnetworks: {n: {external: {name: m}}}\n", &[], &[]);
    assert_eq!(found, ["warning[discouraged] name: `external: {name: …}` is the old form"]);
    let network = &old.expect("valid").project.networks["n"];
    assert_eq!((network.external, network.name.as_deref()), (Some(true), Some("m")));
    let two = findings("services: {a: {image: x}}\nsecrets: {n: {name: l, external: {name: m}}}\n");
    assert_eq!(two, ["error[conflicting-keys] m: `name` and `external.name` differ"]);
    let project =
        loaded("services: {a: {image: x}}\nconfigs: {n: {external: {name: m}}}\nvolumes: {v: {external: {}}}\n")
            .project;
    assert_eq!(project.configs["n"].name.as_deref(), Some("m"));
    assert_eq!(project.volumes["v"].external, Some(true));
}

#[test]
fn hosts_lose_the_brackets_of_their_addresses() {
    let project = loaded("services: {a: {image: x, extra_hosts: ['a=[::1]', 'b:[::2]', 'c:::3', 'd:1.2.3.4,::4']}, b: {image: x, extra_hosts: {f: [1.1.1.1, '::2'], e: '[::1]'}}}").project;
    assert_eq!(project.services["a"].extra_hosts, ["a=::1", "b=::2", "c=::3", "d=1.2.3.4", "d=::4"]);
    assert_eq!(project.services["b"].extra_hosts, ["e=::1", "f=1.1.1.1", "f=::2"]);
    refused("extra_hosts: [a]", "error[bad-value] a: `a` is no host with an address");
}

#[test]
fn home_directories_are_kept_and_known() {
    let project = loaded("services: {a: {image: x, volumes: ['~:/a', '~/b:/b', './~:/c']}}").project;
    let shown: Vec<_> = project.services["a"].volumes.iter().filter_map(|mount| mount.source.as_deref()).collect();
    assert_eq!(shown, ["~", "~/b", "./~"]);
    let is_home: Vec<_> = shown.into_iter().map(claw_compose::load::is_home).collect();
    assert_eq!(is_home, [true, true, false]);
    assert!(!claw_compose::load::is_home("~user/x"));
}

#[test]
fn the_page_lists_the_passes_in_their_order() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/compose.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" |"));
    let listed: Vec<&str> = rows.map(|(name, _)| name).skip(1).collect();
    assert_eq!(listed, claw_compose::load::PASSES);
}
