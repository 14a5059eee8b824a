//! A container of a service for one command: made as the service's own are, without its name in the network, its addresses, its
//! ports and its restarts.

use claw_compiler::plan::Plan;
use claw_compiler::plan::steps::{Mode, Observed};
use claw_compose::model::{Attachment, Service};
use claw_compose::shape::{Argv, Maybe};
use claw_compose::template::Template;
use claw_types::image::{compose, label};
use serde_json::json;

use super::{ApplyError, Run, Site};
use crate::container::{body, endpoints};
use crate::docker::Docker;

/// What is run, and how it differs from the service.
#[derive(Clone, Debug, Default)]
pub struct OneOff {
    /// The service.
    pub service: String,
    /// The container's name.
    pub container: String,
    /// The command; the service's own where empty.
    pub command: Vec<String>,
    /// What is run instead of the service's entrypoint.
    pub entrypoint: Option<Vec<String>>,
    /// As whom.
    pub user: Option<String>,
    /// Where.
    pub directory: Option<String>,
    /// Variables over the service's own.
    pub environment: Vec<(String, String)>,
    /// Whether the service's ports are published.
    pub has_ports: bool,
    /// The command sees a terminal.
    pub has_terminal: bool,
    /// Something is written to it.
    pub has_input: bool,
}

impl OneOff {
    /// Returns the service as this container has it.
    fn of(&self, service: &Service) -> Service {
        let mut own = service.clone();
        own.container_name = None;
        own.hostname = None;
        own.mac_address = None;
        own.restart = None;
        own.post_start.clear();
        own.pre_stop.clear();
        if let Some(deploy) = &mut own.deploy {
            deploy.restart_policy = None;
        }
        for attachment in own.networks.values_mut().filter_map(|attachment| attachment.0.as_mut()) {
            **attachment = Attachment { priority: attachment.priority, ..Attachment::default() };
        }
        if !self.has_ports {
            own.ports.clear();
        }
        if let Some(entrypoint) = &self.entrypoint {
            own.entrypoint = Some(Argv(entrypoint.clone()));
            // The service's command is that of its own entrypoint.
            own.command = Some(Argv(Vec::new()));
        }
        if !self.command.is_empty() {
            own.command = Some(Argv(self.command.clone()));
        }
        own.user = self.user.clone().or(own.user);
        own.working_dir = self.directory.clone().or(own.working_dir);
        let variables =
            self.environment.iter().map(|(name, value)| (name.clone(), Maybe(Some(Template::literal(value.clone())))));
        own.environment.extend(variables);
        own.tty = Some(self.has_terminal);
        own.stdin_open = Some(self.has_input);
        own
    }
}

/// Waits for what a service needs, and makes a container of it for one command. Returns the container's id.
///
/// # Errors
/// Where something it needs is not ready, or the engine or the host refuses.
pub async fn make_oneoff(
    order: &OneOff,
    plan: &Plan,
    (observed, mode): (&Observed, &Mode),
    docker: &Docker,
    site: &Site<'_>,
) -> Result<String, ApplyError> {
    let run = Run::new(plan, (observed, mode), docker, site);
    let name = order.service.as_str();
    let Some(service) = plan.project.services.get(name) else {
        return Err(ApplyError::Unusable(format!("there is no service `{name}`")));
    };
    run.needs(name, service).await?;
    let own = order.of(service);
    let image = run.image(name, service)?;
    let mut labels = run.container_labels(name, 1, service, (&image.id, &observed.hashes));
    // Nothing is run before it stops, and nothing compares it with its service.
    labels.extend(
        [(label::PRE_STOP, "[]"), (compose::ONEOFF, "True")].map(|(key, value)| (key.to_owned(), json!(value))),
    );
    labels.remove(label::FIELDS);
    let mut body = body(name, &order.container, &own, &labels, &run.scope);
    body["AttachStdin"] = json!(order.has_input);
    body["StdinOnce"] = json!(order.has_input);
    run.known(name, &own).await?;
    // The service's name is that of its own containers.
    let nameless = |mut settings: serde_json::Value| {
        settings["Aliases"] = json!([]);
        settings
    };
    if let Some((network, settings)) = endpoints(name, &order.container, &own, &run.scope).into_iter().next() {
        body["NetworkingConfig"]["EndpointsConfig"] = json!({ network: nameless(settings) });
    }
    let id = docker.create_container(&order.container, service.platform.as_deref(), body).await?;
    for (network, settings) in endpoints(name, &order.container, &own, &run.scope).into_iter().skip(1) {
        docker.attach(&network, &id, nameless(settings)).await?;
    }
    run.inject(&id, name, service).await?;
    Ok(id)
}
