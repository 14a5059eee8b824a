//! Ports of the host that lead into a pod. An agent's are its gate's, which passes them on; people see them as the agent's.

use claw_engine::docker::Seen;
use claw_types::gate::GATE;
use claw_types::image::label;

/// A port of the host.
pub(crate) struct Published {
    /// The port inside: `80/tcp`.
    pub(crate) inside: String,
    /// The address of the host: `127.0.0.1:8080`.
    pub(crate) address: String,
}

/// Returns the gate among the containers of a pod.
pub(crate) fn gate(containers: &[Seen]) -> Option<&Seen> {
    containers.iter().find(|seen| seen.label(label::ROLE) == GATE)
}

/// What a gate's label says: where it listens, for which agent, for which port of it.
fn inbound(gate: &Seen) -> impl Iterator<Item = (&str, &str, &str)> {
    gate.label(label::INBOUND).split(',').filter_map(|each| {
        let (listen, place) = each.split_once('=')?;
        let (agent, port) = place.rsplit_once(':')?;
        Some((listen, agent, port))
    })
}

fn own(seen: &Seen) -> Vec<Published> {
    let ports = seen.inspected["NetworkSettings"]["Ports"].as_object().into_iter().flatten();
    let bound = ports.flat_map(|(inside, outside)| {
        outside.as_array().into_iter().flatten().map(move |binding| {
            let text = |key: &str| binding[key].as_str().unwrap_or("");
            let address = format!("{}:{}", text("HostIp"), text("HostPort"));
            Published { inside: inside.clone(), address }
        })
    });
    bound.collect()
}

/// Returns the ports that lead to a container, its own and those that the pod's gate passes on to it.
pub(crate) fn published(seen: &Seen, gate: Option<&Seen>) -> Vec<Published> {
    let Some(gate) = gate else { return own(seen) };
    let passed: Vec<_> = inbound(gate).collect();
    if gate.id == seen.id {
        let is_own = |port: &Published| passed.iter().all(|(listen, ..)| port.inside != format!("{listen}/tcp"));
        return own(seen).into_iter().filter(is_own).collect();
    }
    let led = own(gate).into_iter().filter_map(|port| {
        let to = passed.iter().find(|(listen, ..)| port.inside == format!("{listen}/tcp"));
        let (.., inside) = to.filter(|(_, agent, _)| *agent == seen.service())?;
        Some(Published { inside: format!("{inside}/tcp"), address: port.address })
    });
    own(seen).into_iter().chain(led).collect()
}
