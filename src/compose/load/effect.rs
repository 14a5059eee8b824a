//! Keys that docker compose takes and that change nothing here: each gets a warning, so that nothing is dropped in silence.

use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::span::Span;

use crate::model::{Attachment, Build, Deploy, Project, Service};
use crate::shape::Origin;

const SWARM: &str = "it is for a cluster; claw runs on one engine";
const BUILD: &str = "claw does not hand it to the builder";

/// Records the keys of a project that have no effect.
pub(crate) fn check(project: &Project, file: Span, diag: &mut Diagnostics) {
    for (name, service) in &project.services {
        self::service(name, service, file, diag);
    }
    for (key, network) in &project.networks {
        let path = format!("networks.{key}");
        if network.external == Some(true) {
            let others = network.origin.fields.keys().filter(|other| !matches!(other.as_str(), "name" | "external"));
            others.for_each(|other| idle(&path, other, &network.origin, "the network is external", file, diag));
            continue;
        }
        if network.enable_ipv4 != Some(false) {
            continue;
        }
        idle(&path, "enable_ipv4", &network.origin, "the engine gives every network IPv4 addresses", file, diag);
    }
}

fn idle(path: &str, key: &str, origin: &Origin, why: &str, file: Span, diag: &mut Diagnostics) {
    let message = format!("`{path}.{key}` has no effect: {why}");
    diag.push(
        Diagnostic::warning(Code::NoEffect, origin.of(key, file), message).help("take it out, or leave it for compose"),
    );
}

fn service(name: &str, service: &Service, file: Span, diag: &mut Diagnostics) {
    let path = format!("services.{name}");
    if service.develop.is_some() {
        idle(&path, "develop", &service.origin, "claw does not watch files", file, diag);
    }
    if let Some(build) = &service.build {
        self::build(&path, build, file, diag);
    }
    if let Some(deploy) = &service.deploy {
        self::deploy(&path, deploy, file, diag);
    }
    for (network, attachment) in &service.networks {
        let Some(attachment) = &attachment.0 else { continue };
        self::attachment(&format!("{path}.networks.{network}"), attachment, file, diag);
    }
}

fn build(path: &str, build: &Build, file: Span, diag: &mut Diagnostics) {
    let keys = [
        ("additional_contexts", &build.additional_contexts),
        ("cache_to", &build.cache_to),
        ("entitlements", &build.entitlements),
        ("isolation", &build.isolation),
        ("privileged", &build.privileged),
        ("provenance", &build.provenance),
        ("sbom", &build.sbom),
        ("secrets", &build.secrets),
        ("ssh", &build.ssh),
        ("ulimits", &build.ulimits),
    ];
    for (key, _) in keys.into_iter().filter(|(_, value)| value.is_some()) {
        idle(&format!("{path}.build"), key, &build.origin, BUILD, file, diag);
    }
}

fn deploy(path: &str, deploy: &Deploy, file: Span, diag: &mut Diagnostics) {
    let path = format!("{path}.deploy");
    let keys = [
        ("mode", deploy.mode.as_deref().is_some_and(|mode| mode != "replicated")),
        ("labels", !deploy.labels.is_empty()),
        ("update_config", deploy.update_config.is_some()),
        ("rollback_config", deploy.rollback_config.is_some()),
        ("placement", deploy.placement.is_some()),
        ("endpoint_mode", deploy.endpoint_mode.is_some()),
    ];
    for (key, _) in keys.into_iter().filter(|(_, is_given)| *is_given) {
        idle(&path, key, &deploy.origin, SWARM, file, diag);
    }
    let Some(resources) = &deploy.resources else { return };
    if let Some(reservations) = &resources.reservations {
        let path = format!("{path}.resources.reservations");
        let keys = [
            ("cpus", reservations.cpus.is_some(), "the engine reserves no CPUs"),
            ("devices", reservations.devices.is_some(), "claw gives no devices by it"),
            ("generic_resources", reservations.generic_resources.is_some(), SWARM),
        ];
        for (key, _, why) in keys.into_iter().filter(|(_, is_given, _)| *is_given) {
            idle(&path, key, &reservations.origin, why, file, diag);
        }
        unknown(&path, &[("pids", reservations.pids.is_some())], &reservations.origin, file, diag);
    }
    if let Some(limits) = &resources.limits {
        let keys = [("devices", limits.devices.is_some()), ("generic_resources", limits.generic_resources.is_some())];
        unknown(&format!("{path}.resources.limits"), &keys, &limits.origin, file, diag);
    }
}

/// Limits and reservations are one type, and each has keys that the other has not.
fn unknown(path: &str, keys: &[(&str, bool)], origin: &Origin, file: Span, diag: &mut Diagnostics) {
    for (key, _) in keys.iter().filter(|(_, is_given)| *is_given) {
        let message = format!("`{path}` has no key `{key}`");
        let other = if path.ends_with("limits") { "reservations" } else { "limits" };
        let error = Diagnostic::error(Code::UnknownKey, origin.of(key, file), message);
        diag.push(error.help(format!("take it out, or put it below `{other}`")));
    }
}

fn attachment(path: &str, attachment: &Attachment, file: Span, diag: &mut Diagnostics) {
    let keys =
        [("gw_priority", attachment.gw_priority.is_some()), ("interface_name", attachment.interface_name.is_some())];
    for (key, _) in keys.into_iter().filter(|(_, is_given)| *is_given) {
        idle(path, key, &attachment.origin, "claw does not hand it to the engine", file, diag);
    }
}
