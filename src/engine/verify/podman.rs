//! Podman's words for settings of containers, in Docker's: its service of the same API names some of them its own way (4.3.1).

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// Capabilities a container has where nothing is said (containers.conf(5), podman 4.3.1).
const GIVEN: [&str; 14] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// Temporary file systems that a container with a read-only root has beside those asked for.
const ADDED: [&str; 2] = ["/run", "/var/tmp"];

/// Options of a temporary file system that are always there.
const OPTIONS: [&str; 2] = ["rprivate", "tmpcopyup"];

/// Returns what a container is made of as Docker would say it, as far as it was asked for so.
pub(crate) fn translated(planned: &Value, inspected: &Value) -> Value {
    let mut docker = inspected.clone();
    let asked = &planned["HostConfig"];
    let host = &mut docker["HostConfig"];
    for key in ["PidMode", "UTSMode"] {
        if host[key] == "private" {
            host[key] = json!("");
        }
    }
    // It says so of a private one too; who may join is up to whoever asks the engine, and no agent does.
    if host["IpcMode"] == "shareable" && asked["IpcMode"] == "private" {
        host["IpcMode"] = json!("private");
    }
    // It does not tell of kernel parameters.
    if host["Sysctls"].as_object().is_none_or(serde_json::Map::is_empty) {
        host["Sysctls"] = asked["Sysctls"].clone();
    }
    for limit in host["Ulimits"].as_array_mut().into_iter().flatten() {
        let name = limit["Name"].as_str().unwrap_or("").trim_start_matches("RLIMIT_").to_lowercase();
        limit["Name"] = json!(name);
    }
    // It limits processes in its own way where anything is limited.
    let is_asked = |name: &Value| asked["Ulimits"].as_array().into_iter().flatten().any(|limit| limit["Name"] == *name);
    if let Some(limits) = host["Ulimits"].as_array_mut() {
        limits.retain(|limit| limit["Name"] != "nproc" || is_asked(&limit["Name"]));
    }
    capabilities(asked, host);
    for option in host["SecurityOpt"].as_array_mut().into_iter().flatten() {
        if *option == "no-new-privileges" {
            *option = json!("no-new-privileges:true");
        }
    }
    // It tells the driver alone.
    if host["LogConfig"]["Config"].is_null() {
        host["LogConfig"]["Config"] = asked["LogConfig"]["Config"].clone();
    }
    if let Some(mounts) = host["Tmpfs"].as_object_mut() {
        mounts.retain(|target, _| !ADDED.contains(&target.as_str()) || !asked["Tmpfs"][target].is_null());
        for (target, options) in mounts {
            let kept: BTreeSet<&str> =
                options.as_str().unwrap_or("").split(',').filter(|option| !OPTIONS.contains(option)).collect();
            let wanted = asked["Tmpfs"][target].as_str().unwrap_or("");
            if kept == wanted.split(',').collect() {
                *options = json!(wanted);
            }
        }
    }
    docker
}

/// A list of what was taken away says the same as `ALL` where nothing is left but what was given.
fn capabilities(asked: &Value, host: &mut Value) {
    let set = |value: &Value| -> BTreeSet<String> {
        let texts = value.as_array().into_iter().flatten().filter_map(Value::as_str);
        texts.map(|text| text.trim_start_matches("CAP_").to_owned()).collect()
    };
    let effective = |config: &Value| -> BTreeSet<String> {
        let (drop, add) = (set(&config["CapDrop"]), set(&config["CapAdd"]));
        let given = GIVEN.iter().map(|name| (*name).to_owned());
        given.filter(|name| !drop.contains("ALL") && !drop.contains(name)).chain(add).collect()
    };
    if effective(asked) == effective(host) {
        host["CapDrop"] = asked["CapDrop"].clone();
        host["CapAdd"] = asked["CapAdd"].clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_podman_says_is_what_was_asked_for_and_nothing_looser() {
        let planned = json!({ "HostConfig": {
            "CapDrop": ["ALL"], "CapAdd": ["CHOWN"], "SecurityOpt": ["no-new-privileges:true"],
            "Ulimits": [{ "Name": "nofile", "Soft": 1, "Hard": 2 }],
            "Tmpfs": { "/tmp": "rw,noexec,size=64m" },
            "LogConfig": { "Type": "json-file", "Config": { "max-size": "10m" } },
        } });
        let dropped: Vec<&str> = GIVEN.iter().copied().filter(|name| *name != "CHOWN").collect();
        let said = json!({ "HostConfig": {
            "PidMode": "private", "UTSMode": "private",
            "CapDrop": dropped, "CapAdd": [], "SecurityOpt": ["no-new-privileges"],
            "Ulimits": [{ "Name": "RLIMIT_NOFILE", "Soft": 1, "Hard": 2 }, { "Name": "RLIMIT_NPROC", "Soft": 9, "Hard": 9 }],
            "Tmpfs": { "/tmp": "rw,noexec,size=64m,rprivate,tmpcopyup", "/run": "rw,rprivate" },
            "LogConfig": { "Type": "json-file", "Config": null },
        } });
        let found = translated(&planned, &said);
        for key in ["CapDrop", "CapAdd", "SecurityOpt", "Ulimits", "Tmpfs", "LogConfig"] {
            assert_eq!(found["HostConfig"][key], planned["HostConfig"][key], "{key}");
        }
        assert_eq!(found["HostConfig"]["PidMode"], "");
        let mut looser = said.clone();
        looser["HostConfig"]["CapAdd"] = json!(["CAP_SYS_ADMIN"]);
        looser["HostConfig"]["Tmpfs"]["/tmp"] = json!("rw,size=64m,rprivate,tmpcopyup");
        looser["HostConfig"]["PidMode"] = json!("host");
        let found = translated(&planned, &looser);
        for key in ["CapAdd", "Tmpfs"] {
            assert_ne!(found["HostConfig"][key], planned["HostConfig"][key], "{key}");
        }
        assert_eq!(found["HostConfig"]["PidMode"], "host");
    }
}
