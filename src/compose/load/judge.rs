//! What loading takes and claw cannot carry out, or what changes nothing here. Each is told, so that nothing is dropped in
//! silence: an error where the containers would be other ones than the file says, a warning where they would not.
//!
//! Not part of loading: `claw config` prints what docker compose prints, and judges nothing.

use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::span::Span;

use super::is_name_part;
use crate::model::{Build, Deploy, FileObject, Mount, Project, Service};
use crate::shape::Origin;

const SWARM: &str = "it is for a cluster; claw runs on one engine";
const BUILD: &str = "claw does not hand it to the builder";
const WINDOWS: &str = "it is for Windows";

/// Records the keys of a project that claw does not carry out, and those without effect.
pub(crate) fn judge(project: &Project, file: Span, diag: &mut Diagnostics) {
    if project.origin.fields.has("version") {
        let message = "`version` has no effect: it is obsolete";
        let at = project.origin.of("version", file);
        diag.push(Diagnostic::warning(Code::NoEffect, at, message).help("take it out").fix_line(at));
    }
    for (key, model) in &project.models {
        let at = model.origin.place(file);
        unsupported(&format!("models.{key}"), at, "models are run by a program of Docker Desktop", diag);
    }
    for (kind, objects) in [("secrets", &project.secrets), ("configs", &project.configs)] {
        objects.iter().for_each(|(key, object)| self::object(&format!("{kind}.{key}"), object, file, diag));
    }
    for (name, service) in &project.services {
        self::service(name, service, file, diag);
    }
    for (key, network) in &project.networks {
        let path = format!("networks.{key}");
        if network.external == Some(true) {
            let others = network.origin.fields.iter().filter(|(other, _)| !matches!(*other, "name" | "external"));
            others.for_each(|(other, _)| idle(&path, other, &network.origin, "the network is external", file, diag));
            continue;
        }
    }
}

fn unsupported(path: &str, at: Span, why: &str, diag: &mut Diagnostics) {
    let error = Diagnostic::error(Code::Unsupported, at, format!("claw does not carry out `{path}`: {why}"));
    diag.push(error.help("take it out, or write what it stands for"));
}

fn idle(path: &str, key: &str, origin: &Origin, why: &str, file: Span, diag: &mut Diagnostics) {
    let message = format!("`{path}.{key}` has no effect: {why}");
    diag.push(
        Diagnostic::warning(Code::NoEffect, origin.of(key, file), message).help("take it out, or leave it for compose"),
    );
}

/// The same for each of these keys that is written.
fn idle_keys(path: &str, keys: &[&str], origin: &Origin, why: &str, file: Span, diag: &mut Diagnostics) {
    for key in keys.iter().filter(|key| origin.fields.has(key)) {
        idle(path, key, origin, why, file, diag);
    }
}

fn object(path: &str, object: &FileObject, file: Span, diag: &mut Diagnostics) {
    for key in ["driver", "driver_opts", "template_driver"].iter().filter(|key| object.origin.fields.has(key)) {
        unsupported(&format!("{path}.{key}"), object.origin.of(key, file), SWARM, diag);
    }
}

fn service(name: &str, service: &Service, file: Span, diag: &mut Diagnostics) {
    let path = format!("services.{name}");
    let refused = [
        ("credential_spec", WINDOWS),
        ("isolation", WINDOWS),
        ("models", "models are run by a program of Docker Desktop"),
        ("provider", "another program would make this service"),
        ("use_api_socket", "a container with the engine's socket is root on the host; mount it by name if it must be"),
    ];
    for (key, why) in refused.iter().filter(|(key, _)| service.origin.fields.has(key)) {
        unsupported(&format!("{path}.{key}"), service.origin.of(key, file), why, diag);
    }
    idle_keys(&path, &["cpu_count", "cpu_percent"], &service.origin, WINDOWS, file, diag);
    idle_keys(&path, &["develop"], &service.origin, "claw does not watch files", file, diag);
    if let Some(restart) = service.restart.as_deref().filter(|restart| !is_restart(restart)) {
        let message = format!("the `restart` of `{name}` cannot be `{}`", restart.escape_debug());
        let help = "write `no`, `always`, `unless-stopped`, `on-failure` or `on-failure:5`";
        diag.push(Diagnostic::error(Code::BadValue, service.origin.of("restart", file), message).help(help));
    }
    for port in service.ports.iter().filter(|port| !(1..=65535).contains(&port.target)) {
        let message = format!("`{}` of `{name}` is not a port", port.target);
        let error = Diagnostic::error(Code::BadValue, port.origin.of("target", file), message);
        diag.push(error.help("write a number from 1 to 65535"));
    }
    if let Some(own) = service.container_name.as_deref().filter(|own| !own.bytes().all(is_name_part)) {
        let message = format!("the engine takes no container of the name `{}`", own.escape_debug());
        let error = Diagnostic::error(Code::BadName, service.origin.of("container_name", file), message);
        diag.push(error.help("use letters, digits, `-`, `_` and `.`"));
    }
    service.volumes.iter().for_each(|mount| self::mount(name, mount, file, diag));
    if let Some(build) = &service.build {
        self::build(&path, build, file, diag);
    }
    if let Some(deploy) = &service.deploy {
        self::deploy(&path, deploy, file, diag);
    }
}

fn is_restart(text: &str) -> bool {
    match text.strip_prefix("on-failure:") {
        Some(times) => times.parse::<u32>().is_ok(),
        None => matches!(text, "" | "no" | "always" | "unless-stopped" | "on-failure"),
    }
}

fn mount(name: &str, mount: &Mount, file: Span, diag: &mut Diagnostics) {
    let at = mount.origin.of("target", mount.origin.span.unwrap_or(file));
    if let kind @ ("image" | "npipe" | "cluster") = mount.kind.as_str() {
        let message = format!("claw has no mounts of the type `{kind}`");
        let help = "use `bind`, `volume` or `tmpfs`; `image`, `npipe` and `cluster` are not supported";
        diag.push(Diagnostic::error(Code::Unsupported, mount.origin.of("type", at), message).help(help));
    } else if !mount.target.is_empty() && !mount.target.starts_with('/') {
        let message =
            format!("`{}` is no absolute path: `{name}` cannot have a mount there", mount.target.escape_debug());
        let help = "write `volume:/path`; a name of one letter is read as a drive of Windows, so give it a longer one";
        diag.push(Diagnostic::error(Code::Unsupported, at, message).help(help));
    }
}

fn build(path: &str, build: &Build, file: Span, diag: &mut Diagnostics) {
    let keys = [
        "additional_contexts",
        "cache_to",
        "entitlements",
        "isolation",
        "privileged",
        "provenance",
        "sbom",
        "secrets",
        "ssh",
        "ulimits",
    ];
    idle_keys(&format!("{path}.build"), &keys, &build.origin, BUILD, file, diag);
}

fn deploy(path: &str, deploy: &Deploy, file: Span, diag: &mut Diagnostics) {
    let path = format!("{path}.deploy");
    let keys = ["labels", "update_config", "rollback_config", "placement", "endpoint_mode"];
    idle_keys(&path, &keys, &deploy.origin, SWARM, file, diag);
    if deploy.mode.as_deref().is_some_and(|mode| mode != "replicated") {
        idle(&path, "mode", &deploy.origin, SWARM, file, diag);
    }
    let reservations = deploy.resources.as_ref().and_then(|resources| resources.reservations.as_ref());
    if let Some(reservations) = reservations {
        let path = format!("{path}.resources.reservations");
        idle_keys(&path, &["cpus"], &reservations.origin, "the engine reserves no CPUs", file, diag);
        idle_keys(&path, &["generic_resources"], &reservations.origin, SWARM, file, diag);
    }
}
