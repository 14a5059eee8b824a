//! The last pass of `config` and of the hash: a project as docker compose 2.40 sees it after loading. Names, implicit
//! networks and defaults are written out, paths are absolute, and what is zero is absent.

use std::collections::BTreeSet;

use super::{is_home, paths};
use crate::model::{
    Build, Dependency, Deploy, DeviceCount, DeviceRequest, FileMount, Healthcheck, Mount, Network, Port, Project,
    Resource, Service, Texts,
};
use crate::shape::Maybe;
use crate::template::Lookup;
use crate::units::{Bytes, Cpus};

/// Where a project is.
#[derive(Clone, Copy)]
pub struct Place<'p> {
    /// Its directory, absolute.
    pub root: &'p str,
    /// The project's name.
    pub name: &'p str,
    /// Values of variables; `HOME` is the user's.
    pub lookup: &'p dyn Lookup,
}

/// Writes a project out. `project.name` becomes the place's.
pub fn normal(project: &mut Project, place: &Place<'_>) {
    project.version = None;
    project.name = Some(place.name.to_owned());
    for service in project.services.values_mut() {
        self::service(service, place);
    }
    if project.services.values().any(|service| service.networks.contains_key("default")) {
        project.networks.entry("default".to_owned()).or_default();
    }
    unused(project);
    for (key, network) in &mut project.networks {
        named(&mut network.name, key, network.external, place.name);
        self::network(network);
    }
    for (key, volume) in &mut project.volumes {
        named(&mut volume.name, key, volume.external, place.name);
        zero(&mut volume.external);
        let is_bind =
            volume.driver.as_deref() == Some("local") && volume.driver_opts.get("o").is_some_and(|o| o == "bind");
        if let Some(device) = volume.driver_opts.get_mut("device").filter(|_| is_bind) {
            *device = absolute(device, place);
        }
    }
    for (key, object) in project.secrets.iter_mut().chain(&mut project.configs) {
        named(&mut object.name, key, object.external, place.name);
        zero(&mut object.external);
        change(object.file.as_mut(), place);
    }
    for (key, model) in &mut project.models {
        model.name.get_or_insert_with(|| key.clone());
    }
}

/// Takes out what no service uses.
fn unused(project: &mut Project) {
    let services = || project.services.values();
    let networks: BTreeSet<String> = services().flat_map(|service| service.networks.keys().cloned()).collect();
    let models: BTreeSet<String> = services().flat_map(|service| service.models.keys().cloned()).collect();
    let mounts = services().flat_map(|service| &service.volumes).filter(|mount| mount.kind == "volume");
    let volumes: BTreeSet<String> = mounts.filter_map(|mount| mount.source.clone()).collect();
    let sources = |mounts: &[FileMount]| mounts.iter().map(|mount| mount.source.clone()).collect::<Vec<_>>();
    let secrets: BTreeSet<String> = services()
        .flat_map(|service| {
            let built = service.build.as_ref().map_or(Vec::new(), |build| sources(&build.secrets));
            sources(&service.secrets).into_iter().chain(built)
        })
        .collect();
    let configs: BTreeSet<String> = services().flat_map(|service| sources(&service.configs)).collect();
    project.networks.retain(|key, _| networks.contains(key));
    project.volumes.retain(|key, _| volumes.contains(key));
    project.secrets.retain(|key, _| secrets.contains(key));
    project.configs.retain(|key, _| configs.contains(key));
    project.models.retain(|key, _| models.contains(key));
}

/// Returns an absolute path; `~` is the user's home.
pub fn absolute(path: &str, place: &Place<'_>) -> String {
    if is_home(path) {
        let home = place.lookup.get("HOME").unwrap_or("");
        return paths::plain(&format!("{home}{}", &path[1..]));
    }
    if paths::is_absolute(path) { path.to_owned() } else { paths::plain(&format!("{}/{path}", place.root)) }
}

fn change(path: Option<&mut String>, place: &Place<'_>) {
    if let Some(path) = path.filter(|path| !path.is_empty()) {
        *path = absolute(path, place);
    }
}

/// A thing without a name is called by its key: behind the project's name, unless it is external.
fn named(name: &mut Option<String>, key: &str, external: Option<bool>, project: &str) {
    if name.as_deref().is_none_or(str::is_empty) {
        *name = Some(if external == Some(true) { key.to_owned() } else { format!("{project}_{key}") });
    }
}

fn zero<T: Default + PartialEq>(value: &mut Option<T>) {
    if value.as_ref() == Some(&T::default()) {
        *value = None;
    }
}

fn zero_bytes(value: &mut Option<Bytes>) {
    if *value == Some(Bytes(0)) {
        *value = None;
    }
}

fn network(network: &mut Network) {
    zero(&mut network.external);
    zero(&mut network.internal);
    zero(&mut network.attachable);
    zero(&mut network.driver);
    // Compose prints the addresses of a network even where there are none.
    let ipam = network.ipam.get_or_insert_default();
    // It knows no options there.
    ipam.options.clear();
}

fn service(service: &mut Service, place: &Place<'_>) {
    absences(service);
    if let Some(build) = &mut service.build {
        self::build(build, place);
    }
    if let Some(deploy) = &mut service.deploy {
        self::deploy(deploy);
    }
    if service.networks.is_empty() && service.network_mode.is_none() && service.provider.is_none() {
        service.networks.insert("default".to_owned(), Maybe(None));
    }
    for attachment in service.networks.values_mut() {
        if let Some(attachment) = &mut attachment.0 {
            zero(&mut attachment.priority);
            zero(&mut attachment.gw_priority);
        }
    }
    service.env_file.iter_mut().for_each(|file| file.path = absolute(&file.path, place));
    service.label_file.iter_mut().for_each(|file| *file = absolute(file, place));
    service.volumes.iter_mut().for_each(|mount| self::mount(mount, place));
    service.secrets.iter_mut().for_each(secret_target);
    service.ports.iter_mut().for_each(port);
    service.depends_on.values_mut().for_each(dependency);
    if let Some(gpus) = &mut service.gpus {
        gpus.0.iter_mut().for_each(devices);
    }
    if let Some(check) = &mut service.healthcheck {
        healthcheck(check);
    }
    for rule in service.develop.iter_mut().flat_map(|develop| &mut develop.watch) {
        change(rule.path.as_mut(), place);
        zero(&mut rule.initial_sync);
    }
    for hook in service.post_start.iter_mut().chain(&mut service.pre_stop) {
        zero(&mut hook.privileged);
    }
}

/// Zeros that compose does not print; those it does (`attach`, `init`, `scale`) are not here.
fn absences(service: &mut Service) {
    for flag in [
        &mut service.oom_kill_disable,
        &mut service.privileged,
        &mut service.read_only,
        &mut service.stdin_open,
        &mut service.tty,
        &mut service.use_api_socket,
    ] {
        zero(flag);
    }
    for number in [
        &mut service.cpu_count,
        &mut service.cpu_period,
        &mut service.cpu_quota,
        &mut service.cpu_rt_period,
        &mut service.cpu_rt_runtime,
        &mut service.cpu_shares,
        &mut service.oom_score_adj,
        &mut service.pids_limit,
    ] {
        zero(number);
    }
    for size in [
        &mut service.mem_limit,
        &mut service.mem_reservation,
        &mut service.memswap_limit,
        &mut service.mem_swappiness,
        &mut service.shm_size,
    ] {
        zero_bytes(size);
    }
    if service.cpus == Some(Cpus(0)) {
        service.cpus = None;
    }
    for text in [
        &mut service.image,
        &mut service.user,
        &mut service.hostname,
        &mut service.domainname,
        &mut service.working_dir,
        &mut service.restart,
        &mut service.stop_signal,
        &mut service.platform,
        &mut service.runtime,
        &mut service.network_mode,
        &mut service.pid,
        &mut service.ipc,
        &mut service.uts,
        &mut service.userns_mode,
        &mut service.cpuset,
        &mut service.container_name,
        &mut service.cgroup_parent,
        &mut service.mac_address,
    ] {
        zero(text);
    }
}

fn build(build: &mut Build, place: &Place<'_>) {
    let context = build.context.get_or_insert_with(|| ".".to_owned());
    if !paths::is_remote_context(context) {
        *context = absolute(context, place);
    }
    let contexts: &mut Texts = &mut build.additional_contexts;
    for path in contexts.values_mut() {
        if !paths::is_remote_context(path) {
            *path = absolute(path, place);
        }
    }
    if build.dockerfile.is_none() && build.dockerfile_inline.is_none() {
        build.dockerfile = Some("Dockerfile".to_owned());
    }
    for value in build.args.iter_mut().filter(|(_, value)| value.0.is_none()) {
        value.1.0 = place.lookup.get(value.0).map(crate::template::Template::literal);
    }
    for path in build.ssh.iter_mut().flat_map(|ssh| ssh.0.values_mut()) {
        change(Some(path), place);
    }
    build.args.retain(|_, value| value.0.is_some());
    zero(&mut build.no_cache);
    zero(&mut build.pull);
    zero(&mut build.privileged);
    zero_bytes(&mut build.shm_size);
}

fn secret_target(secret: &mut FileMount) {
    secret.target.get_or_insert_with(|| format!("/run/secrets/{}", secret.source));
}

fn deploy(deploy: &mut Deploy) {
    let Some(resources) = &mut deploy.resources else { return };
    let amounts = [&mut resources.limits, &mut resources.reservations];
    for Resource { cpus, memory, pids, devices, .. } in amounts.into_iter().flatten() {
        zero_bytes(memory);
        zero(pids);
        if *cpus == Some(Cpus(0)) {
            *cpus = None;
        }
        devices.iter_mut().for_each(self::devices);
    }
}

/// Devices without number and without ids are all there are.
fn devices(request: &mut DeviceRequest) {
    if request.count.is_none() && request.device_ids.is_empty() {
        request.count = Some(DeviceCount(-1));
    }
    if request.count == Some(DeviceCount(0)) {
        request.count = None;
    }
}

fn mount(mount: &mut Mount, place: &Place<'_>) {
    zero(&mut mount.read_only);
    if mount.kind == "bind" {
        change(mount.source.as_mut(), place);
    }
    if let Some(bind) = &mut mount.bind {
        zero(&mut bind.create_host_path);
    }
    if let Some(volume) = &mut mount.volume {
        zero(&mut volume.nocopy);
    }
    if let Some(tmpfs) = &mut mount.tmpfs {
        zero_bytes(&mut tmpfs.size);
        zero(&mut tmpfs.mode);
    }
}

fn port(port: &mut Port) {
    port.mode.get_or_insert_with(|| "ingress".to_owned());
    port.protocol.get_or_insert_with(|| "tcp".to_owned());
    zero(&mut port.host_ip);
    zero(&mut port.published);
}

fn dependency(dependency: &mut Dependency) {
    zero(&mut dependency.restart);
    dependency.required.get_or_insert(true);
}

fn healthcheck(check: &mut Healthcheck) {
    zero(&mut check.disable);
}
