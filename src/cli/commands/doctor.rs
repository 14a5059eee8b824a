//! `claw doctor`: what the engine can do, what is missing, and what that costs; with `--deep` what it holds, tried.
//!
//! `doctor/` has the latter: the throw-away pod, the attempts, and what to make of them.

use claw_engine::docker::EngineFacts;
use claw_engine::gather::Engine;
use claw_engine::{image, pack};
use serde_json::json;

use crate::exit::{CommandError, Exit};
use crate::session::block_on;
use crate::table::{row, table};
use crate::ui::Ui;

mod attempts;
mod deep;
mod throwaway;

/// One thing that was looked at.
struct Look {
    name: &'static str,
    is_well: bool,
    found: String,
    /// What it costs where it is missing.
    cost: Option<&'static str>,
}

pub(crate) fn run(is_deep: bool, ui: &Ui) -> Result<Exit, CommandError> {
    block_on(async {
        let engine = Engine::new();
        let facts = match engine.docker().await {
            Ok(docker) => docker.facts().await,
            Err(error) => Err(error),
        };
        let tried = match &facts {
            Ok(facts) if is_deep => deep::tried(engine.docker().await?, facts, ui).await?,
            Err(error) if is_deep => return Err(error.clone().into()),
            _ => Vec::new(),
        };
        let looks = match &facts {
            Ok(facts) => looks(facts),
            Err(error) => vec![Look {
                name: "engine",
                is_well: false,
                found: error.to_string(),
                cost: Some("nothing runs; `check`, `compile` and `config` work without it"),
            }],
        };
        let mut lines = vec![row(["WHAT", "", "FOUND"])];
        for look in &looks {
            lines.push(row([look.name, if look.is_well { "ok" } else { "!" }, &look.found]));
            if let Some(cost) = look.cost.filter(|_| !look.is_well) {
                lines.push(row(["", "", &format!("  costs: {cost}")]));
            }
        }
        let data: Vec<_> = looks
            .iter()
            .map(|look| {
                json!({
                    "name": look.name,
                    "status": if look.is_well { "ok" } else { "missing" },
                    "found": look.found,
                    "cost": look.cost.filter(|_| !look.is_well),
                })
            })
            .collect();
        let (none, sources) = (claw_types::diag::Diagnostics::new(), claw_types::span::SourceMap::new());
        let text = match tried.is_empty() {
            true => table(&lines),
            false => format!("{}\n\n{}", table(&lines), deep::text(&tried)),
        };
        let attempts: Vec<_> = tried.iter().map(deep::json).collect();
        ui.result("doctor", &text, json!({ "checks": data, "attempts": attempts }), &none, &sources);
        Ok(match (&facts, deep::is_held(&tried)) {
            (Err(_), _) => Exit::Failed,
            (_, false) => Exit::Finding,
            (_, true) => Exit::Done,
        })
    })
}

fn look(name: &'static str, is_well: bool, found: impl Into<String>, cost: &'static str) -> Look {
    Look { name, is_well, found: found.into(), cost: Some(cost).filter(|cost| !cost.is_empty()) }
}

fn looks(facts: &EngineFacts) -> Vec<Look> {
    let mut looks = machine(facts);
    looks.extend(walls(facts));
    looks
}

/// What claw works with.
fn machine(facts: &EngineFacts) -> Vec<Look> {
    let own = pack::architecture();
    let limits = [
        ("memory", facts.has_memory_limit),
        ("swap", facts.has_swap_limit),
        ("processes", facts.has_pids_limit),
        ("CPUs", facts.has_cpu_limit),
    ];
    let missing: Vec<&str> = limits.iter().filter(|(_, is_there)| !is_there).map(|(name, _)| *name).collect();
    let limited = match missing.is_empty() {
        true => "memory, swap, processes, CPUs".to_owned(),
        false => format!("no limit of {}", missing.join(", ")),
    };
    let features: Vec<&str> = image::built_in(facts.major()).into_iter().collect();
    let name = if facts.is_podman { "Podman" } else { "Docker" };
    let engine = format!("{name} {} at {} ({})", facts.version, facts.address, facts.named_by);
    let platform = format!("{}/{}, kernel {}", facts.os, facts.architecture, facts.kernel);
    let is_own = facts.os == "linux" && facts.architecture == own;
    let is_layered = matches!(facts.storage.as_str(), "overlay2" | "overlayfs");
    vec![
        match facts.is_podman {
            true => look("engine", facts.major() >= 4, engine, "claw is tested with Podman 4.3 and later"),
            false => look("engine", facts.major() >= 20, engine, "claw is tested with Engine 20.10 and later"),
        },
        look("API", true, facts.api.as_str(), ""),
        look("platform", is_own, platform, "claw packs its own executable, which must be of the engine's platform"),
        match pack::is_static() {
            true => look("executable", true, "static", ""),
            false => look("executable", false, "dynamic", "claw's image cannot be packed: build it with +crt-static"),
        },
        match facts.is_podman {
            true => look("builder", true, "Buildah, as the classic builder", ""),
            false => look("builder", true, format!("BuildKit with {}", features.join(", ")), ""),
        },
        look("storage", is_layered, facts.storage.as_str(), "builds and starts are slower"),
        look(
            "cgroups",
            !facts.cgroups.is_empty(),
            format!("version {}, {}", facts.cgroups, facts.cgroup_driver),
            "limits do not hold",
        ),
        look("limits", missing.is_empty(), limited, "an agent can use up the host"),
    ]
}

/// Returns whether this host takes from a network only what it would send back there. It answers for its addresses on every network, also
/// where it has none (Linux 6.18, Engine 20.10.24: a datagram bound to the agent's own interface arrived). There any filter holds, also the
/// loose one that 2 is (seen with each of 0, 1 and 2): what is said for all counts, and for a new network what interfaces begin with.
fn has_path_filter() -> bool {
    let of = |place: &str| std::fs::read_to_string(format!("/proc/sys/net/ipv4/conf/{place}/rp_filter"));
    ["all", "default"].into_iter().any(|place| of(place).is_ok_and(|text| matches!(text.trim(), "1" | "2")))
}

/// What stands between an agent and the host.
fn walls(facts: &EngineFacts) -> Vec<Look> {
    let has = |word: &str| facts.security.iter().any(|each| each == word);
    let profile = |word: &str| if has(word) { "default profile" } else { "none" };
    let users = match (has("rootless"), has("userns")) {
        (true, _) => "rootless engine",
        (false, true) => "remapped",
        (false, false) => "none",
    };
    let is_closed = facts.is_podman || facts.major() >= 26;
    let names = if is_closed { "closed" } else { "forwards names to the outside (CVE-2024-29018)" };
    let others: Vec<&str> = facts
        .runtimes
        .iter()
        .map(String::as_str)
        .filter(|name| !name.contains("runc") && !name.ends_with("v1.linux"))
        .collect();
    let sandboxes = if others.is_empty() { "none".to_owned() } else { others.join(", ") };
    // Podman 4.3.1 drops the option in silence: the network's first address is the host's, and its open ports answer there.
    let inside = if facts.is_podman { "has an address: `inhibit_ipv4` is dropped" } else { "has no address" };
    let mut walls = vec![
        look("seccomp", has("seccomp"), profile("seccomp"), "agents can make every system call"),
        look("AppArmor", has("apparmor"), profile("apparmor"), "one wall less between an agent and the host"),
        look("user namespaces", users != "none", users, "user ids inside are the host's; agents are never root inside"),
        look(
            "host on agents' networks",
            !facts.is_podman,
            inside,
            "an agent can reach every port that this host has open on all addresses",
        ),
        look(
            "names in internal networks",
            is_closed,
            names,
            "services on internal networks of yours send names they ask for outside; agents ask the gate. Engine 26 closes it",
        ),
        look(
            "sandboxing runtimes",
            !others.is_empty(),
            sandboxes,
            "agents share the host's kernel; gVisor (`runsc`) or Kata give them another",
        ),
    ];
    // What this machine does is what the engine's does where they are one.
    if facts.address.starts_with("unix:") || facts.address.starts_with('/') {
        let found = match has_path_filter() {
            true => "refused",
            false => "taken from any network: `net.ipv4.conf.all.rp_filter` is 0",
        };
        let cost = "an agent can send to the host's UDP ports, without an answer: `sysctl net.ipv4.conf.all.rp_filter=1` ends it";
        walls.push(look("datagrams to the host", has_path_filter(), found, cost));
    }
    if facts.is_podman {
        walls.push(look(
            "read-only containers",
            false,
            "`/run` and `/var/tmp` are temporary file systems",
            "an agent can write there, in memory, until it is stopped",
        ));
    }
    walls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn podman_leaves_the_host_on_agents_networks_and_docker_does_not() {
        for is_podman in [true, false] {
            let facts = EngineFacts { is_podman, ..EngineFacts::default() };
            let walls = walls(&facts);
            let row = walls.iter().find(|look| look.name == "host on agents' networks");
            assert_eq!(row.map(|look| look.is_well), Some(!is_podman));
        }
    }
}
