//! What a service says for itself: keys that exclude each other, and words that only a list of words allows.

use std::collections::BTreeSet;

use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::span::Span;

use super::is_name_part;
use crate::model::{Mount, Service};
use crate::shape::Origin;
use crate::units::Duration;

/// Records what is wrong with a service by itself.
pub(crate) fn service(name: &str, service: &Service, at: Span, diag: &mut Diagnostics) {
    image(name, service, at, diag);

    ranges(name, service, at, diag);
    orders(name, service, at, diag);
    overlaps(name, service, at, diag);
    amounts(name, service, at, diag);
    exclusive(name, service, at, diag);
    words(name, service, at, diag);
    resources(name, service, at, diag);
    repeated(name, service, at, diag);
    requests(name, service, at, diag);
    for mount in &service.volumes {
        self::mount(name, mount, at, diag);
    }
    for port in &service.ports {
        let at = port.origin.of("target", at);
        if !port.origin.fields.has("target") {
            let message = format!("a port of `{name}` has no `target`");
            diag.push(Diagnostic::error(Code::MissingKey, at, message).help("add `target: 80`, the container's port"));
        }
        if let Some(ip) = port.host_ip.as_ref().filter(|ip| ip.parse::<std::net::IpAddr>().is_err()) {
            let message = format!("`{}` is not an IP address", ip.escape_debug());
            let error = Diagnostic::error(Code::BadValue, port.origin.of("host_ip", at), message);
            diag.push(error.help("write an address such as `127.0.0.1`, or take `host_ip` out"));
        }
    }
}

/// Numbers that are none of their kind: key, number, the least, the most.
fn ranges(name: &str, service: &Service, at: Span, diag: &mut Diagnostics) {
    let percent = service.cpu_percent.as_ref().map(|percent| percent.0.parse().unwrap_or(-1));
    let check = service.healthcheck.as_ref();
    let replicas = service.deploy.as_ref().and_then(|deploy| deploy.replicas);
    let weight = service.blkio_config.as_ref().and_then(|blkio| blkio.weight);
    let rows = [
        ("scale", service.scale, 0, i64::MAX),
        ("deploy", replicas, 0, i64::MAX),
        ("healthcheck", check.and_then(|check| check.retries), 0, i64::MAX),
        ("blkio_config", weight, 0, 65535),
        ("cpu_count", service.cpu_count, 0, i64::MAX),
        ("cpu_percent", percent, 0, 100),
        ("oom_score_adj", service.oom_score_adj, -1000, 1000),
    ];
    for (key, value, least, most) in rows {
        let Some(value) = value.filter(|value| !(least..=most).contains(value)) else { continue };
        let most = if most == i64::MAX { "or more".to_owned() } else { format!("to {most}") };
        let message = format!("`{key}` of `{name}` cannot be {value}");
        let error = Diagnostic::error(Code::BadValue, service.origin.of(key, at), message);
        diag.push(error.help(format!("write a whole number from {least} {most}")));
    }
}

/// Words that are none of their kind.
fn orders(name: &str, service: &Service, at: Span, diag: &mut Diagnostics) {
    let mut wrong = |origin: &Origin, key: &str, word: &str, known: &[&str]| {
        let message = format!("`{key}` of `{name}` cannot be `{}`", word.escape_debug());
        let error = Diagnostic::error(Code::BadValue, origin.of(key, at), message);
        diag.push(error.help(format!("write `{}`", known.join("`, `"))).suggest(word, known.iter().copied()));
    };
    let deploy = service.deploy.as_ref();
    let configs = deploy.into_iter().flat_map(|deploy| [&deploy.update_config, &deploy.rollback_config]).flatten();
    for config in configs {
        let known = ["start-first", "stop-first"];
        if let Some(order) = config.order.as_deref().filter(|order| !known.contains(order)) {
            wrong(&config.origin, "order", order, &known);
        }
    }
    for rule in service.develop.iter().flat_map(|develop| &develop.watch) {
        let known = ["rebuild", "restart", "sync", "sync+exec", "sync+restart"];
        match rule.action.as_deref() {
            Some(action) if !known.contains(&action) => wrong(&rule.origin, "action", action, &known),
            Some(action) if action.starts_with("sync") && rule.target.is_none() => {
                wrong(&rule.origin, "action", action, &["rebuild"]);
            }
            _ => {}
        }
    }
}

/// Keys that stand for the same and cannot both be meant.
fn overlaps(name: &str, service: &Service, at: Span, diag: &mut Diagnostics) {
    if let Some(build) = service.build.as_ref()
        && build.dockerfile.is_some()
        && build.dockerfile_inline.is_some()
    {
        let message = format!("`build` of `{name}` has both `dockerfile` and `dockerfile_inline`");
        let error = Diagnostic::error(Code::ConflictingKeys, build.origin.of("dockerfile_inline", at), message);
        diag.push(error.help("keep one of the two"));
    }
    let mut taken: Vec<&str> = Vec::new();
    let tmpfs =
        service.tmpfs.iter().map(|line| (line.split(':').next().unwrap_or(line), service.origin.of("tmpfs", at)));
    let mounts = service.volumes.iter().map(|mount| (mount.target.as_str(), mount.origin.place(at)));
    for (target, at) in tmpfs.chain(mounts) {
        if taken.contains(&target) {
            let message = format!("`{name}` has two mounts at `{target}`");
            diag.push(Diagnostic::error(Code::ConflictingKeys, at, message).help("keep one of the two"));
        }
        taken.push(target);
    }
    let limits = service.deploy.as_ref().and_then(|deploy| deploy.resources.as_ref()?.limits.as_ref());
    let pids = service.pids_limit.filter(|pids| *pids != 0);
    if pids.is_some() && limits.is_some_and(|limits| limits.pids.is_none()) {
        let message = format!("`pids_limit` of `{name}` stands beside `deploy.resources.limits` without `pids`");
        let error = Diagnostic::error(Code::ConflictingKeys, service.origin.of("pids_limit", at), message);
        diag.push(error.help("write it as `pids` there"));
    }
}

fn image(name: &str, service: &Service, at: Span, diag: &mut Diagnostics) {
    match service.image.as_deref() {
        None if !["image", "build", "provider"].iter().any(|key| service.origin.fields.has(key)) => {
            let message = format!("the service `{name}` has neither `image` nor `build`");
            diag.push(Diagnostic::error(Code::MissingKey, at, message).help("add `image: NAME` or `build: .`"));
        }
        Some(image) if image.trim().is_empty() => {
            let message = format!("the `image` of `{name}` is empty");
            diag.push(
                Diagnostic::error(Code::BadValue, service.origin.of("image", at), message)
                    .help("write `image: NAME`, or take it out and write `build: .`"),
            );
        }
        _ => {}
    }
    let build = service.build.as_ref().filter(|build| !build.platforms.is_empty());
    if let (Some(platform), Some(build)) = (&service.platform, build)
        && !build.platforms.contains(platform)
    {
        let message = format!("the service `{name}` runs on `{platform}`, which `build.platforms` does not have");
        diag.push(
            Diagnostic::error(Code::ConflictingKeys, service.origin.of("platform", at), message)
                .note_at(build.origin.of("platforms", at), "it is built for these")
                .help(format!("add `{platform}` to `build.platforms`")),
        );
    }
}

/// One amount under two keys: they must agree. Zero is no amount, except of containers.
fn amounts(name: &str, service: &Service, at: Span, diag: &mut Diagnostics) {
    let deploy = service.deploy.as_ref();
    let resources = deploy.and_then(|deploy| deploy.resources.as_ref());
    let limits = resources.and_then(|resources| resources.limits.as_ref());
    let reservations = resources.and_then(|resources| resources.reservations.as_ref());
    let set = |value: Option<i64>| value.filter(|value| *value != 0);
    let place = |origin: Option<&crate::shape::Origin>, key| origin.map_or(at, |origin| origin.of(key, at));
    let (limits_at, reservations_at) = (limits.map(|each| &each.origin), reservations.map(|each| &each.origin));
    let amounts = [
        (
            ("mem_limit", set(service.mem_limit.map(|bytes| bytes.0))),
            set(limits.and_then(|limits| limits.memory).map(|bytes| bytes.0)),
            ("deploy.resources.limits.memory", place(limits_at, "memory")),
        ),
        (
            ("cpus", set(service.cpus.map(|cpus| cpus.0))),
            set(limits.and_then(|limits| limits.cpus).map(|cpus| cpus.0)),
            ("deploy.resources.limits.cpus", place(limits_at, "cpus")),
        ),
        (
            ("pids_limit", set(service.pids_limit)),
            set(limits.and_then(|limits| limits.pids)),
            ("deploy.resources.limits.pids", place(limits_at, "pids")),
        ),
        (
            ("mem_reservation", set(service.mem_reservation.map(|bytes| bytes.0))),
            set(reservations.and_then(|each| each.memory).map(|bytes| bytes.0)),
            ("deploy.resources.reservations.memory", place(reservations_at, "memory")),
        ),
        (
            ("scale", service.scale),
            deploy.and_then(|deploy| deploy.replicas),
            ("deploy.replicas", place(deploy.map(|deploy| &deploy.origin), "replicas")),
        ),
    ];
    for ((key, short), long, (long_key, long_at)) in amounts {
        if short.is_some() && long.is_some() && short != long {
            let message = format!("`{key}` and `{long_key}` of `{name}` differ");
            diag.push(
                Diagnostic::error(Code::ConflictingKeys, service.origin.of(key, at), message)
                    .note_at(long_at, format!("`{long_key}` stands here"))
                    .help("keep one of the two"),
            );
        }
    }
}

/// Requests for devices, rules of watching, providers: what each must have, and what excludes each other.
fn requests(name: &str, service: &Service, at: Span, diag: &mut Diagnostics) {
    let resources = service.deploy.as_ref().and_then(|deploy| deploy.resources.as_ref());
    let reserved = resources.and_then(|resources| resources.reservations.as_ref()).map_or(&[][..], |all| &all.devices);
    let gpus = service.gpus.as_ref().map_or(&[][..], |gpus| &gpus.0);
    let mut missing = |origin: &Origin, what: &str, key: &str| {
        if !origin.fields.has(key) {
            let error =
                Diagnostic::error(Code::MissingKey, origin.place(at), format!("{what} of `{name}` has no `{key}`"));
            diag.push(error.help(format!("add `{key}`")));
        }
    };
    reserved.iter().for_each(|request| missing(&request.origin, "a request for devices", "capabilities"));
    for rule in service.develop.iter().flat_map(|develop| &develop.watch) {
        missing(&rule.origin, "a rule of `develop.watch`", "path");
        missing(&rule.origin, "a rule of `develop.watch`", "action");
    }
    if let Some(provider) = &service.provider {
        missing(&provider.origin, "the `provider`", "type");
    }
    for hook in service.post_start.iter().chain(&service.pre_stop) {
        missing(&hook.origin, "a hook", "command");
    }
    for request in reserved
        .iter()
        .chain(gpus)
        .filter(|request| request.origin.fields.has("count") && request.origin.fields.has("device_ids"))
    {
        let message = format!("a request for devices of `{name}` has both `count` and `device_ids`");
        let error = Diagnostic::error(Code::ConflictingKeys, request.origin.of("count", at), message);
        diag.push(error.help("keep one of the two"));
    }
}

/// Limits and reservations are one type, and each has keys that the other has not.
fn resources(name: &str, service: &Service, at: Span, diag: &mut Diagnostics) {
    let Some(resources) = service.deploy.as_ref().and_then(|deploy| deploy.resources.as_ref()) else { return };
    let sides = [
        ("limits", &resources.limits, "reservations", &["devices", "generic_resources"][..]),
        ("reservations", &resources.reservations, "limits", &["pids"][..]),
    ];
    for (side, amounts, other, keys) in sides {
        let Some(amounts) = amounts else { continue };
        for key in keys.iter().filter(|key| amounts.origin.fields.has(key)) {
            let message = format!("`services.{name}.deploy.resources.{side}` has no key `{key}`");
            let error = Diagnostic::error(Code::UnknownKey, amounts.origin.of(key, at), message);
            diag.push(error.help(format!("take it out, or put it below `{other}`")));
        }
    }
}

/// Lists in which the schema wants everything once, and that no other pass makes so.
fn repeated(name: &str, service: &Service, at: Span, diag: &mut Diagnostics) {
    let lists = [
        ("device_cgroup_rules", &service.device_cgroup_rules),
        ("external_links", &service.external_links),
        ("group_add", &service.group_add),
        ("security_opt", &service.security_opt),
        ("volumes_from", &service.volumes_from),
    ];
    for (key, list) in lists {
        let mut seen = BTreeSet::new();
        if let Some(item) = list.iter().find(|item| !seen.insert(*item)) {
            let message = format!("`services.{name}.{key}` has `{}` twice", item.escape_debug());
            let error = Diagnostic::error(Code::DuplicateKey, service.origin.of(key, at), message);
            diag.push(error.help("take one of them out; lists of several files are put behind each other"));
        }
    }
}

fn exclusive(name: &str, service: &Service, at: Span, diag: &mut Diagnostics) {
    if let Some(mode) = service.network_mode.as_ref().filter(|_| !service.networks.is_empty()) {
        let message = format!("the service `{name}` has both `network_mode: {mode}` and `networks`");
        diag.push(
            Diagnostic::error(Code::ConflictingKeys, service.origin.of("network_mode", at), message)
                .note_at(service.origin.of("networks", at), "`networks` stands here")
                .help("keep one of the two"),
        );
    }
    let Some(container) = &service.container_name else { return };
    let name_at = service.origin.of("container_name", at);
    // As docker compose has it: two such characters anywhere. Whether the engine takes the name is told before something is run.
    let pairs = container.as_bytes().windows(2);
    if !pairs
        .into_iter()
        .any(|pair| pair.iter().copied().all(is_name_part) && pair.iter().take(1).all(u8::is_ascii_alphanumeric))
    {
        let message = format!("`{}` is not a container name", container.escape_debug());
        let help = "use two or more letters, digits, `-`, `_` and `.`, a letter or digit first";
        diag.push(Diagnostic::error(Code::BadName, name_at, message).help(help));
    }
    let copies = service.scale.or(service.deploy.as_ref().and_then(|deploy| deploy.replicas)).unwrap_or(1);
    if copies > 1 {
        let key = if service.scale.is_some() { "scale" } else { "deploy.replicas" };
        let message = format!("the service `{name}` has one `container_name` for {copies} containers");
        diag.push(
            Diagnostic::error(Code::ConflictingKeys, name_at, message)
                .help(format!("take `container_name` out, or `{key}`")),
        );
    }
}

fn words(name: &str, service: &Service, at: Span, diag: &mut Diagnostics) {
    let mut wrong = |key: &str, text: &str, at: Span, help: &str| {
        let message = format!("the `{key}` of `{name}` cannot be `{}`", text.escape_debug());
        diag.push(Diagnostic::error(Code::BadValue, at, message).help(help));
    };
    if let Some(policy) = service.pull_policy.as_deref().filter(|policy| !is_pull_policy(policy)) {
        let help = "write `always`, `never`, `missing`, `if_not_present`, `build`, `daily`, `weekly` or `every_12h`";
        wrong("pull_policy", policy, service.origin.of("pull_policy", at), help);
    }
    if let Some(cgroup) = service.cgroup.as_deref().filter(|cgroup| !matches!(*cgroup, "host" | "private")) {
        wrong("cgroup", cgroup, service.origin.of("cgroup", at), "write `host` or `private`");
    }
    if let Some(check) = &service.healthcheck
        && let Some(first) = check.test.first()
        && !matches!(first.as_str(), "NONE" | "CMD" | "CMD-SHELL")
    {
        let help = "begin the list with `CMD`, `CMD-SHELL` or `NONE`, or write one text for the shell";
        wrong("healthcheck.test", first, check.origin.of("test", at), help);
    }
}

fn is_pull_policy(text: &str) -> bool {
    match text.strip_prefix("every_") {
        Some(time) => Duration::parse(time).is_some_and(|time| time.0 > 0),
        None => {
            matches!(text, "always" | "never" | "missing" | "if_not_present" | "build" | "refresh" | "daily" | "weekly")
        }
    }
}

fn mount(name: &str, mount: &Mount, at: Span, diag: &mut Diagnostics) {
    let at = mount.origin.span.unwrap_or(at);
    let kind_at = mount.origin.of("type", at);
    // A key with a value of the wrong type is not absent, and was reported.
    let lacks = |key: &str| !mount.origin.fields.has(key);
    match mount.kind.as_str() {
        "bind" if mount.source.as_deref().map_or(lacks("source"), str::is_empty) => {
            let message = format!("a bind mount of `{name}` has no `source`");
            diag.push(Diagnostic::error(Code::MissingKey, at, message).help("add `source: ./path`"));
        }
        "bind" | "volume" | "tmpfs" | "image" | "npipe" | "cluster" => {}
        "" if !lacks("type") => {}
        "" => {
            let message = format!("a mount of `{name}` has no `type`");
            let help = "add `type: bind`, `type: volume` or `type: tmpfs`";
            diag.push(Diagnostic::error(Code::MissingKey, at, message).help(help));
        }
        kind => {
            let message = format!("`{}` is not a type of mount", kind.escape_debug());
            let error = Diagnostic::error(Code::BadValue, kind_at, message).help("write `bind`, `volume` or `tmpfs`");
            diag.push(error.suggest(kind, ["bind", "volume", "tmpfs"]));
        }
    }
    if mount.target.is_empty() && lacks("target") {
        let message = format!("a mount of `{name}` has no `target`");
        diag.push(Diagnostic::error(Code::MissingKey, at, message).help("add `target: /path`, the container's path"));
    }
    if let Some(tmpfs) = mount.tmpfs.as_ref().filter(|tmpfs| tmpfs.size.is_some_and(|size| size.0 < 0)) {
        let message = format!("the size of a tmpfs of `{name}` is below zero");
        let help = "write a size such as `64m`, or take `size` out";
        diag.push(Diagnostic::error(Code::BadValue, tmpfs.origin.of("size", at), message).help(help));
    }
}
