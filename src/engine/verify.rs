//! Verify: what runs, compared with what was asked for, field by field. The engine's word counts, not labels of ours.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

pub(crate) mod podman;

/// Settings of `HostConfig` that hold an agent, each with the name people know it by.
const HELD: &[(&str, &str)] = &[
    ("ReadonlyRootfs", "read_only"),
    ("Privileged", "privileged"),
    ("Memory", "mem_limit"),
    ("MemorySwap", "memswap_limit"),
    ("NanoCpus", "cpus"),
    ("PidsLimit", "pids_limit"),
    ("PidMode", "pid"),
    ("UTSMode", "uts"),
    ("UsernsMode", "userns_mode"),
    ("CgroupParent", "cgroup_parent"),
    ("Tmpfs", "tmpfs"),
    ("Sysctls", "sysctls"),
    ("Init", "init"),
    ("OomScoreAdj", "oom_score_adj"),
    ("OomKillDisable", "oom_kill_disable"),
    ("DeviceRequests", "gpus"),
    ("VolumesFrom", "volumes_from"),
];

/// Settings of `HostConfig` that count where they are asked for: the engine fills in the others.
const ASKED: &[(&str, &str)] = &[
    ("CgroupnsMode", "cgroup"),
    ("CpuPeriod", "cpu_period"),
    ("CpuQuota", "cpu_quota"),
    ("CpuShares", "cpu_shares"),
    ("CpusetCpus", "cpuset"),
    ("LogConfig", "logging"),
    ("MemoryReservation", "mem_reservation"),
    ("Runtime", "runtime"),
    ("ShmSize", "shm_size"),
    ("StorageOpt", "storage_opt"),
];

/// Lists of `HostConfig` whose order means nothing.
const LISTS: &[(&str, &str)] = &[
    ("DeviceCgroupRules", "device_cgroup_rules"),
    ("Dns", "dns"),
    ("DnsOptions", "dns_opt"),
    ("DnsSearch", "dns_search"),
    ("ExtraHosts", "extra_hosts"),
    ("GroupAdd", "group_add"),
];

/// Returns the settings in which a container differs from the body of its "create" call. For a service that is no agent,
/// networks and mounts alone count: the engine fills in too much of the rest.
pub fn drift(planned: &Value, inspected: &Value, is_agent: bool) -> Vec<String> {
    let mut drift = Vec::new();
    let mut differs = |name: &str, is_same: bool| {
        if !is_same {
            drift.push(name.to_owned());
        }
    };
    differs("networks", networks(planned) == attached(inspected) || networks(planned).is_empty());
    differs("volumes", mounts(planned, &inspected["Mounts"], is_agent));
    if !is_agent {
        return drift;
    }
    let (asked, found) = (&planned["HostConfig"], &inspected["HostConfig"]);
    for (key, name) in HELD {
        differs(name, same(&asked[key], &found[key]));
    }
    for (key, name) in ASKED {
        differs(name, is_absent(&asked[key]) || asked[key] == found[key]);
    }
    for (key, name) in LISTS {
        differs(name, texts(&asked[key]).collect::<BTreeSet<_>>() == texts(&found[key]).collect());
    }
    let ipc =
        |config: &Value| config["IpcMode"].as_str().filter(|mode| !mode.is_empty()).unwrap_or("private").to_owned();
    differs("ipc", ipc(asked) == ipc(found));
    differs("ulimits", listed(&asked["Ulimits"]) == listed(&found["Ulimits"]));
    // Asked for, they are two empty lists; else the engine hides what it hides.
    let is_open = |config: &Value| config["MaskedPaths"].as_array().is_some_and(Vec::is_empty);
    differs("security_opt", is_open(asked) == is_open(found));
    let check = |container: &Value| {
        let keys = ["Test", "Interval", "Timeout", "StartPeriod", "Retries"];
        keys.map(|key| container["Healthcheck"][key].clone())
            .map(|value| if is_absent(&value) { Value::Null } else { value })
    };
    differs("healthcheck", planned["Healthcheck"].is_null() || check(planned) == check(&inspected["Config"]));
    for (key, name) in [("Hostname", "hostname"), ("StopSignal", "stop_signal"), ("StopTimeout", "stop_grace_period")] {
        differs(name, is_absent(&planned[key]) || planned[key] == inspected["Config"][key]);
    }
    let labels = planned["Labels"].as_object().into_iter().flatten();
    let has = |(key, value): (&String, &Value)| inspected["Config"]["Labels"][key.as_str()] == *value;
    differs("labels", labels.into_iter().all(has));
    differs("user", same(&planned["User"], &inspected["Config"]["User"]));
    differs(
        "entrypoint",
        planned["Entrypoint"].is_null() || same(&planned["Entrypoint"], &inspected["Config"]["Entrypoint"]),
    );
    differs("command", planned["Cmd"].is_null() || same(&planned["Cmd"], &inspected["Config"]["Cmd"]));
    for (key, name) in [("CapAdd", "cap_add"), ("CapDrop", "cap_drop"), ("SecurityOpt", "security_opt")] {
        differs(name, set(&asked[key]) == set(&found[key]));
    }
    differs("devices", listed(&asked["Devices"]) == listed(&found["Devices"]));
    differs("ports", ports(&asked["PortBindings"]) == ports(&found["PortBindings"]));
    let policy = |config: &Value| {
        let policy = &config["RestartPolicy"];
        let name = policy["Name"].as_str().filter(|name| !name.is_empty()).unwrap_or("no");
        (name.to_owned(), policy["MaximumRetryCount"].as_i64().unwrap_or(0))
    };
    differs("restart", policy(asked) == policy(found));
    let asked: BTreeSet<&str> = texts(&planned["Env"]).collect();
    let found: BTreeSet<&str> = texts(&inspected["Config"]["Env"]).collect();
    differs("environment", asked.iter().filter(|line| line.contains('=')).all(|line| found.contains(line)));
    drift
}

/// Nothing, no, zero and empty are one.
fn is_absent(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
    }
}

fn same(asked: &Value, found: &Value) -> bool {
    asked == found || (is_absent(asked) && is_absent(found))
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// Capabilities have a prefix or none; order means nothing.
fn set(value: &Value) -> BTreeSet<String> {
    texts(value).map(|text| text.trim_start_matches("CAP_").to_owned()).collect()
}

fn listed(value: &Value) -> BTreeSet<String> {
    value.as_array().into_iter().flatten().map(ToString::to_string).collect()
}

fn ports(value: &Value) -> BTreeSet<String> {
    let entries = value.as_object().into_iter().flatten();
    let bindings = entries.flat_map(|(port, bindings)| {
        let each = bindings.as_array().into_iter().flatten();
        let text = |binding: &Value, key: &str| binding[key].as_str().unwrap_or("").to_owned();
        each.map(move |binding| format!("{port} {} {}", text(binding, "HostIp"), text(binding, "HostPort")))
    });
    bindings.collect()
}

/// Networks asked for: the first in the call itself, the others beside it.
fn networks(planned: &Value) -> BTreeSet<String> {
    let inside = planned["NetworkingConfig"]["EndpointsConfig"].as_object();
    let beside = planned["claw.networks"].as_object();
    inside.into_iter().chain(beside).flat_map(|entries| entries.keys().cloned()).collect()
}

fn attached(inspected: &Value) -> BTreeSet<String> {
    inspected["NetworkSettings"]["Networks"].as_object().into_iter().flat_map(|map| map.keys().cloned()).collect()
}

/// Every mount asked for is there as it was asked for, and an agent has no other.
fn mounts(planned: &Value, found: &Value, is_agent: bool) -> bool {
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or("").to_owned();
    let mut asked: BTreeMap<String, (String, String, bool)> = planned["HostConfig"]["Mounts"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|mount| mount["Type"] != "tmpfs")
        .map(|mount| {
            let is_writable = mount["ReadOnly"] != true;
            (text(mount, "Target"), (text(mount, "Type"), text(mount, "Source"), is_writable))
        })
        .collect();
    for bind in texts(&planned["HostConfig"]["Binds"]) {
        let mut parts = bind.split(':');
        if let (Some(source), Some(target), Some(flags)) = (parts.next(), parts.next(), parts.next()) {
            let is_writable = !flags.split(',').any(|flag| flag == "ro");
            asked.insert(target.to_owned(), ("bind".to_owned(), source.to_owned(), is_writable));
        }
    }
    let mut found: BTreeMap<String, (String, String, bool)> = found
        .as_array()
        .into_iter()
        .flatten()
        .filter(|mount| mount["Type"] != "tmpfs")
        .map(|mount| {
            let source = if mount["Type"] == "volume" { text(mount, "Name") } else { text(mount, "Source") };
            (text(mount, "Destination"), (text(mount, "Type"), source, mount["RW"] == true))
        })
        .collect();
    for (target, wanted) in &asked {
        let Some(got) = found.remove(target) else { return false };
        // An anonymous volume has a name the engine chose.
        let is_named = !wanted.1.is_empty();
        if got.0 != wanted.0 || got.2 != wanted.2 || (is_named && got.1 != wanted.1) {
            return false;
        }
    }
    // What is left comes from `VOLUME` of the image, with a name of 64 hexadecimal digits.
    let is_anonymous = |mount: &(String, String, bool)| mount.0 == "volume" && mount.1.len() == 64;
    !is_agent || found.values().all(is_anonymous)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn asked() -> Value {
        json!({
            "User": "1:1", "Env": ["A=b"], "Cmd": ["x"], "StopTimeout": 15, "Labels": {"claw.agent": "a"},
            "Healthcheck": {"Test": ["CMD", "x"], "Interval": 5, "Retries": null},
            "HostConfig": {
                "IpcMode": "", "GroupAdd": [], "ExtraHosts": [], "DeviceCgroupRules": [], "DeviceRequests": [], "OomScoreAdj": null,
                "Ulimits": [{"Name": "core", "Soft": 0, "Hard": 0}], "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m"}},
                "ReadonlyRootfs": true, "Privileged": false, "CapDrop": ["ALL"], "Memory": 5, "Tmpfs": {"/tmp": "rw"},
                "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 5},
                "Mounts": [{"Type": "bind", "Source": "/a", "Target": "/claw", "ReadOnly": true}],
            },
            "NetworkingConfig": {"EndpointsConfig": {"p_claw-internal": {}}},
        })
    }

    fn found() -> Value {
        json!({
            "Config": {
                "User": "1:1", "Env": ["PATH=/bin", "A=b"], "Cmd": ["x"], "StopTimeout": 15, "Labels": {"claw.agent": "a", "more": ""},
                "Healthcheck": {"Test": ["CMD", "x"], "Interval": 5},
            },
            "HostConfig": {
                "IpcMode": "private", "GroupAdd": null, "ExtraHosts": [], "DeviceCgroupRules": null, "DeviceRequests": null,
                "OomScoreAdj": 0, "Ulimits": [{"Name": "core", "Hard": 0, "Soft": 0}], "MaskedPaths": ["/proc/kcore"],
                "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m"}},
                "ReadonlyRootfs": true, "Privileged": false, "CapDrop": ["ALL"], "CapAdd": null, "Memory": 5,
                "Tmpfs": {"/tmp": "rw"}, "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 5},
            },
            "Mounts": [{"Type": "bind", "Source": "/a", "Destination": "/claw", "RW": false}],
            "NetworkSettings": {"Networks": {"p_claw-internal": {}}},
        })
    }

    #[test]
    fn what_is_as_asked_does_not_differ() {
        assert_eq!(drift(&asked(), &found(), true), Vec::<String>::new());
    }

    #[test]
    fn every_loosened_hold_is_named() {
        let loosen = |change: &dyn Fn(&mut Value)| {
            let mut found = found();
            change(&mut found);
            drift(&asked(), &found, true).join(",")
        };
        assert_eq!(loosen(&|found| found["HostConfig"]["ReadonlyRootfs"] = json!(false)), "read_only");
        assert_eq!(loosen(&|found| found["HostConfig"]["Privileged"] = json!(true)), "privileged");
        assert_eq!(loosen(&|found| found["HostConfig"]["CapAdd"] = json!(["SYS_ADMIN"])), "cap_add");
        assert_eq!(loosen(&|found| found["HostConfig"]["CapDrop"] = json!(null)), "cap_drop");
        assert_eq!(loosen(&|found| found["HostConfig"]["PidMode"] = json!("host")), "pid");
        assert_eq!(loosen(&|found| found["Config"]["User"] = json!("")), "user");
        assert_eq!(loosen(&|found| found["Config"]["Env"] = json!(["A=c"])), "environment");
        assert_eq!(loosen(&|found| found["Mounts"][0]["RW"] = json!(true)), "volumes");
        let more = json!([found()["Mounts"][0], {"Type": "bind", "Source": "/", "Destination": "/host", "RW": true}]);
        assert_eq!(loosen(&|found| found["Mounts"] = more.clone()), "volumes");
        for (path, value, name) in [
            ("/HostConfig/IpcMode", json!("host"), "ipc"),
            ("/HostConfig/GroupAdd", json!(["0"]), "group_add"),
            ("/HostConfig/ExtraHosts", json!(["a:1.2.3.4"]), "extra_hosts"),
            ("/HostConfig/DeviceCgroupRules", json!(["a *:* rwm"]), "device_cgroup_rules"),
            ("/HostConfig/DeviceRequests", json!([{"Count": -1}]), "gpus"),
            ("/HostConfig/OomScoreAdj", json!(-500), "oom_score_adj"),
            ("/HostConfig/Ulimits", json!([{"Name": "core", "Soft": -1, "Hard": -1}]), "ulimits"),
            ("/HostConfig/MaskedPaths", json!([]), "security_opt"),
            ("/HostConfig/LogConfig", json!({"Type": "none", "Config": {}}), "logging"),
            ("/Config/Healthcheck/Test", json!(["NONE"]), "healthcheck"),
            ("/Config/Labels/claw.agent", json!("other"), "labels"),
            ("/Config/StopTimeout", json!(0), "stop_grace_period"),
        ] {
            let change = |found: &mut Value| *found.pointer_mut(path).expect("there") = value.clone();
            assert_eq!(loosen(&change), name, "{path}");
        }
        assert_eq!(loosen(&|found| found["NetworkSettings"]["Networks"]["bridge"] = json!({})), "networks");
        assert_eq!(loosen(&|found| found["HostConfig"]["RestartPolicy"] = json!({"Name": "always"})), "restart");
        assert_eq!(loosen(&|found| found["HostConfig"]["PortBindings"] = json!({"1/tcp": [{"HostIp": ""}]})), "ports");
    }
}
