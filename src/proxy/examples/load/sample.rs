//! What the host says about processes: CPU time, memory, and the environment of a measurement. Reads `/proc` only.

use std::fs;

use serde_json::{Value, json};

/// Ticks of `/proc/<pid>/stat` per second (`USER_HZ`; 100 on every Linux platform that claw runs on).
const TICKS: f64 = 100.0;

/// Memory in KiB, of all processes of a group together.
#[derive(Clone, Copy, Default)]
pub(crate) struct Memory {
    /// `VmRSS`: what is resident now.
    pub resident: u64,
    /// `VmHWM`: the most that was resident so far.
    pub peak: u64,
}

/// Returns the fields of `/proc/<pid>/stat` after the name: the state is the first.
fn stat(pid: &str) -> Option<Vec<u64>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    Some(fields.split_ascii_whitespace().map(|field| field.parse().unwrap_or_default()).collect())
}

/// Returns the seconds of `utime` and `stime`.
fn cpu_seconds(stat: &[u64]) -> f64 {
    let ticks: u64 = stat.get(11..13).unwrap_or_default().iter().sum();
    ticks as f64 / TICKS
}

/// Returns the CPU time of this process.
pub(crate) fn own_cpu_seconds() -> f64 {
    stat("self").map(|stat| cpu_seconds(&stat)).unwrap_or_default()
}

/// Returns the processes of a process group and their CPU time together.
pub(crate) fn group(id: u32) -> (Vec<u32>, f64) {
    let mut found = (Vec::new(), 0.0);
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Some(stat) = stat(&pid.to_string()) else { continue };
        if stat.get(2) == Some(&u64::from(id)) {
            found.0.push(pid);
            found.1 += cpu_seconds(&stat);
        }
    }
    found
}

/// Returns the memory of processes together.
pub(crate) fn memory(pids: &[u32]) -> Memory {
    let mut total = Memory::default();
    for pid in pids {
        let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            let (name, number) = (words.next(), words.next().and_then(|word| word.parse::<u64>().ok()));
            match (name, number) {
                (Some("VmRSS:"), Some(kib)) => total.resident += kib,
                (Some("VmHWM:"), Some(kib)) => total.peak += kib,
                _ => {}
            }
        }
    }
    total
}

/// Returns what a reader has to know about the host to judge the figures.
pub(crate) fn environment() -> Value {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let processors = read("/proc/cpuinfo");
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    json!({
        "kernel": read("/proc/sys/kernel/osrelease").trim_end(),
        "processor": model.map(|(_, name)| name),
        "processors": processors.lines().filter(|line| line.starts_with("processor")).count(),
        "load": read("/proc/loadavg").trim_end(),
    })
}
