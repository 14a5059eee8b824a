//! Expand: the only place where replicas exist.

use claw_types::agent::{AgentUnit, Inference, Replica};
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::id::UnitId;
use claw_types::secret::SecretRef;

use crate::resolve::Pod;

/// Returns one unit for each replica of each agent, in the order of services and replicas.
pub fn expand(pod: &Pod, diag: &mut Diagnostics) -> Vec<AgentUnit> {
    let mut units = Vec::new();
    for (service, agent) in &pod.agents {
        for index in 0..agent.count {
            let name = if agent.count == 1 { service.to_string() } else { format!("{service}-{index}") };
            let taken = agent.count > 1 && pod.project.services.contains_key(&name);
            let Ok(id) = UnitId::parse(&name) else { continue };
            if taken {
                let message = format!("the replica `{name}` of `{service}` is called like a service");
                let error = Diagnostic::error(Code::NameCollision, agent.unit.origin, message);
                diag.push(error.help("rename one of the two"));
                continue;
            }
            let mut unit = agent.unit.clone();
            unit.replica = Replica { index, of: agent.count };
            if let Inference::Proxied { token, .. } = &mut unit.inference {
                *token = SecretRef::ProxyToken(id.clone());
            }
            unit.id = id;
            units.push(unit);
        }
    }
    units
}
