//! Whom an agent may talk to: services of the pod, and hosts outside by name and port.

use std::collections::BTreeSet;

use claw_types::agent::{EGRESS_PORT, EgressRule, Inference, Reach, Surface};
use claw_types::platform::Platform;
use claw_types::span::Span;

use super::Row;
use crate::clawfile::directive;

/// Returns whom an agent may talk to, and what needs it.
pub(crate) fn reach(
    row: &Row<'_>,
    surfaces: &[Surface],
    platforms: impl Iterator<Item = Platform>,
    inference: &Inference,
) -> Reach {
    let mut services = BTreeSet::new();
    let mut egress = Vec::new();
    let mut add = |host: &str, port: Option<u16>, is_private: bool, why: String, (key, at): (&'static str, Span)| {
        let (host, port) = (host.to_owned(), port.unwrap_or(EGRESS_PORT));
        let is_there = |rule: &&mut EgressRule| rule.host == host && rule.port == port;
        match egress.iter_mut().find(is_there) {
            Some(rule) => rule.is_private |= is_private,
            None => egress.push(EgressRule { host, port, is_private, why, key, at }),
        }
    };
    let place = |key: &'static str| (key, row.block.origin.of(key, row.at));
    let mut spoken: BTreeSet<Platform> = platforms.collect();
    for surface in surfaces {
        match surface {
            Surface::Service { service, .. } => drop(services.insert(service.clone())),
            Surface::Egress { host, port, is_private } => {
                let named = port.map(|port| format!(":{port}")).unwrap_or_default();
                add(host, *port, *is_private, format!("egress://{host}{named}"), place("surfaces"));
            }
            Surface::Channel { platform } => drop(spoken.insert(*platform)),
            Surface::Volume { .. } | Surface::Host { .. } => {}
        }
    }
    for platform in spoken {
        for host in platform.hosts() {
            add(host, None, false, format!("platform {platform}"), place("handles"));
        }
    }
    if let Inference::Direct { upstreams } = inference {
        for (provider, upstream) in upstreams {
            match (&upstream.service, place_of(&upstream.base_url)) {
                (Some(service), _) => drop(services.insert(service.clone())),
                (None, Some((host, port))) => {
                    // A model server without TLS is one of somebody's own network, and meant.
                    let is_private = upstream.base_url.starts_with("http://");
                    add(&host, Some(port), is_private, format!("provider {provider}"), place("models"));
                }
                (None, None) => {}
            }
        }
    }
    for host in row.driver.facts().egress {
        if let Some((host, port)) = directive::egress(host) {
            add(&host, port, false, format!("runtime {}", row.driver.facts().name), ("type", row.at));
        }
    }
    let mut open_at = None;
    for text in row.block.egress.iter().flat_map(|texts| &texts.0) {
        if text.value == "open" {
            open_at = open_at.or(Some(text.span));
        } else if let Some((host, port, is_private)) = directive::way_out(&text.value) {
            add(&host, port, is_private, format!("egress: {}", text.value), ("egress", text.span));
        }
    }
    Reach { services: services.into_iter().collect(), egress, open_at }
}

/// Returns host and port of a base URL.
pub(crate) fn place_of(url: &str) -> Option<(String, u16)> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (host, port) = directive::egress(authority)?;
    Some((host, port.unwrap_or(if scheme == "http" { 80 } else { EGRESS_PORT })))
}
