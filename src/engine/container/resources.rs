//! How much of the host a container may use, as the engine is told of it.

use claw_compose::model::{Blkio, BlkioLimit, Device, DeviceRequest, Service};
use serde_json::{Map, Value, json};

/// Returns limits and devices as keys of `HostConfig`: a service's own keys over those of `deploy`.
pub(super) fn resources(service: &Service) -> Map<String, Value> {
    let resources = service.deploy.as_ref().and_then(|deploy| deploy.resources.as_ref());
    let limits = resources.and_then(|resources| resources.limits.as_ref());
    let reservations = resources.and_then(|resources| resources.reservations.as_ref());
    let memory = service.mem_limit.or_else(|| limits.and_then(|limits| limits.memory)).map(|bytes| bytes.0);
    let reserved = service.mem_reservation.or_else(|| reservations.and_then(|each| each.memory)).map(|bytes| bytes.0);
    let cpus = service.cpus.or_else(|| limits.and_then(|limits| limits.cpus)).map(|cpus| cpus.0);
    let pids = service.pids_limit.or_else(|| limits.and_then(|limits| limits.pids));
    let ulimits: Vec<Value> = service
        .ulimits
        .iter()
        .map(|(name, limit)| json!({ "Name": name, "Soft": limit.soft, "Hard": limit.hard }))
        .collect();
    let mut rows = vec![
        ("Memory", json!(memory)),
        ("MemoryReservation", json!(reserved)),
        ("MemorySwap", json!(service.memswap_limit.map(|bytes| bytes.0))),
        ("MemorySwappiness", json!(service.mem_swappiness.map(|percent| percent.0))),
        ("NanoCpus", json!(cpus)),
        ("CpuShares", json!(service.cpu_shares)),
        ("CpuPeriod", json!(service.cpu_period)),
        ("CpuQuota", json!(service.cpu_quota)),
        ("CpuRealtimePeriod", json!(service.cpu_rt_period)),
        ("CpuRealtimeRuntime", json!(service.cpu_rt_runtime)),
        ("CpusetCpus", json!(service.cpuset)),
        ("PidsLimit", json!(pids.filter(|pids| *pids != 0))),
        ("Ulimits", json!(ulimits)),
        ("ShmSize", json!(service.shm_size.map(|bytes| bytes.0))),
        ("CgroupParent", json!(service.cgroup_parent.clone().unwrap_or_default())),
        ("OomScoreAdj", json!(service.oom_score_adj)),
        ("OomKillDisable", json!(service.oom_kill_disable.unwrap_or(false))),
        ("Devices", service.devices.iter().map(device).collect()),
        ("DeviceCgroupRules", json!(service.device_cgroup_rules)),
        ("DeviceRequests", device_requests(service)),
    ];
    if let Some(blkio) = &service.blkio_config {
        rows.extend(block_devices(blkio));
    }
    rows.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn device(device: &Device) -> Value {
    json!({
        "PathOnHost": device.source,
        "PathInContainer": device.target,
        "CgroupPermissions": device.permissions,
    })
}

/// Devices asked for by what they can do: those a service reserves, then its GPUs.
fn device_requests(service: &Service) -> Value {
    let request = |request: &DeviceRequest, more: Option<&str>| {
        let mut capabilities: Vec<&str> = request.capabilities.iter().map(String::as_str).collect();
        capabilities.extend(more.filter(|more| !request.capabilities.iter().any(|own| own == more)));
        // As in compose: no number and no ids are all there are.
        let all = if request.device_ids.is_empty() { -1 } else { 0 };
        json!({
            "Driver": request.driver.clone().unwrap_or_default(),
            "Count": request.count.map_or(all, |count| count.0),
            "DeviceIDs": request.device_ids,
            "Capabilities": [capabilities],
            "Options": request.options,
        })
    };
    let resources = service.deploy.as_ref().and_then(|deploy| deploy.resources.as_ref());
    let reserved = resources.and_then(|resources| resources.reservations.as_ref()).map_or(&[][..], |own| &own.devices);
    let gpus = service.gpus.as_ref().map_or(&[][..], |gpus| &gpus.0);
    reserved.iter().map(|each| request(each, None)).chain(gpus.iter().map(|each| request(each, Some("gpu")))).collect()
}

fn block_devices(blkio: &Blkio) -> Vec<(&'static str, Value)> {
    let limits = |limits: &[BlkioLimit]| -> Value {
        limits.iter().map(|limit| json!({ "Path": limit.path, "Rate": limit.rate.map(|rate| rate.0) })).collect()
    };
    let weights = blkio.weight_device.iter();
    vec![
        ("BlkioWeight", json!(blkio.weight)),
        ("BlkioWeightDevice", weights.map(|device| json!({ "Path": device.path, "Weight": device.weight })).collect()),
        ("BlkioDeviceReadBps", limits(&blkio.device_read_bps)),
        ("BlkioDeviceReadIOps", limits(&blkio.device_read_iops)),
        ("BlkioDeviceWriteBps", limits(&blkio.device_write_bps)),
        ("BlkioDeviceWriteIOps", limits(&blkio.device_write_iops)),
    ]
}
