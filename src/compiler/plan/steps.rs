//! Steps: what must be done so that what runs is what was planned, and why. A function of plan and observation.

use std::collections::{BTreeMap, BTreeSet};

use claw_compose::model::Service;
use claw_compose::shape::Shape;
use claw_compose::write;
use sha2::{Digest, Sha256};

use super::Plan;

/// What an engine was seen to have of this pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Networks by key.
    pub networks: BTreeSet<String>,
    /// Volumes by key.
    pub volumes: BTreeSet<String>,
    /// Containers by compose service.
    pub containers: BTreeMap<String, Container>,
    /// Ids of the images the plan names, where the engine has them.
    pub images: BTreeMap<String, String>,
}

/// A container that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// The hash of the service it was made from.
    pub hash: String,
    /// The id of the image it was made from.
    pub image: String,
    /// Whether it runs.
    pub is_running: bool,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What.
    pub action: Action,
    /// Why.
    pub cause: String,
}

/// What is done; the plan has the details of what is named.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// A network is made.
    CreateNetwork(String),
    /// A volume is made, and belongs to the agents that write to it.
    CreateVolume(String),
    /// A container is stopped and taken away: service, id.
    RemoveContainer(String, String),
    /// A container is made.
    CreateContainer(String),
    /// A container is started once what it depends on is ready.
    Start(String),
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.action {
            Action::CreateNetwork(key) => write!(f, "create network {key}")?,
            Action::CreateVolume(key) => write!(f, "create volume {key}")?,
            Action::RemoveContainer(service, _) => write!(f, "remove container {service}")?,
            Action::CreateContainer(service) => write!(f, "create container {service}")?,
            Action::Start(service) => write!(f, "start container {service}")?,
        }
        write!(f, ": {}", self.cause)
    }
}

/// Returns the hash of a service: what its container is compared by.
pub fn service_hash(service: &Service) -> String {
    let text = service.encode().map(|value| write::json(&value)).unwrap_or_default();
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the networks a project uses: those its services name, `default` where they name none.
pub fn networks(plan: &Plan) -> BTreeSet<String> {
    let services = plan.project.services.values().filter(|service| service.network_mode.is_none());
    let named = services.flat_map(|service| match service.networks.is_empty() {
        true => vec!["default".to_owned()],
        false => service.networks.keys().cloned().collect(),
    });
    named.collect()
}

/// Returns the steps from what is there to what is planned, in an order that works.
pub fn steps(plan: &Plan, observed: &Observed) -> Vec<Step> {
    let mut steps = Vec::new();
    let step = |action: Action, cause: &str| Step { action, cause: cause.to_owned() };
    for key in networks(plan).into_iter().filter(|key| !observed.networks.contains(key)) {
        steps.push(step(Action::CreateNetwork(key), "it is missing"));
    }
    for key in plan.project.volumes.keys().filter(|key| !observed.volumes.contains(*key)) {
        steps.push(step(Action::CreateVolume(key.clone()), "it is missing"));
    }
    let mut starts = BTreeMap::new();
    for (name, service) in &plan.project.services {
        let image = service.image.as_ref().and_then(|image| observed.images.get(image));
        let cause = match observed.containers.get(name) {
            None => Some("it is missing"),
            Some(container) if container.hash != service_hash(service) => Some("its configuration changed"),
            Some(container) if image.is_some_and(|image| *image != container.image) => Some("its image changed"),
            Some(container) if !container.is_running => {
                starts.insert(name.clone(), "it does not run");
                None
            }
            Some(_) => None,
        };
        let Some(cause) = cause else { continue };
        if let Some(container) = observed.containers.get(name) {
            steps.push(step(Action::RemoveContainer(name.clone(), container.id.clone()), cause));
        }
        steps.push(step(Action::CreateContainer(name.clone()), cause));
        starts.insert(name.clone(), "it is new");
    }
    for (service, container) in
        observed.containers.iter().filter(|(name, _)| !plan.project.services.contains_key(*name))
    {
        let action = Action::RemoveContainer(service.clone(), container.id.clone());
        steps.push(step(action, "the pod has no such service any more"));
    }
    for name in order(plan) {
        if let Some(cause) = starts.get(&name) {
            steps.push(step(Action::Start(name), cause));
        }
    }
    steps
}

/// Returns the services, each after those it depends on.
pub fn order(plan: &Plan) -> Vec<String> {
    let mut ordered: Vec<String> = Vec::new();
    let services = &plan.project.services;
    while ordered.len() < services.len() {
        let before = ordered.len();
        for (name, service) in services {
            let is_ready =
                service.depends_on.keys().all(|target| ordered.contains(target) || !services.contains_key(target));
            if is_ready && !ordered.contains(name) {
                ordered.push(name.clone());
            }
        }
        if ordered.len() == before {
            // A cycle cannot be: loading refuses it. Whatever is left follows by name.
            let left: Vec<String> = services.keys().filter(|name| !ordered.contains(name)).cloned().collect();
            ordered.extend(left);
        }
    }
    ordered
}
