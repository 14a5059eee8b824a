//! Steps for containers: taken away, made, started, told; each with the steps that come before it.

use std::collections::{BTreeMap, BTreeSet};

use claw_compose::model::Service;
use claw_types::id::UnitId;

use super::causes::causes;
use super::{Action, Container, List, Mode, Network, Observed, Step, mounts, order, own};
use crate::plan::Plan;

pub(super) fn containers(
    plan: &Plan,
    observed: &Observed,
    mode: &Mode,
    (fresh, sealed): (BTreeSet<String>, BTreeSet<UnitId>),
    list: &mut List,
) {
    let causes = causes(plan, observed, mode, list);
    let prepared = list.ids(|action| !action.is_image());
    let mut starts: BTreeMap<(String, u32), String> = BTreeMap::new();
    restarts(plan, observed, mode, &causes, &mut starts, list);
    orphans(plan, observed, mode, list);
    asides(plan, observed, mode, list);
    let gone = renewed(plan, observed, mode, &causes, &prepared, list);
    let mut replaced: Vec<&Container> = Vec::new();
    for name in order(plan).iter().filter(|name| mode.has(name)) {
        let Some(service) = plan.project.services.get(name) else { continue };
        let count = mode.containers_of(name, service);
        let needed = needed(name, service, plan, list);
        let stopped = list.ids(|action| matches!(action, Action::Stop(of, ..) if asks(plan, of, name)));
        for number in 1..=count {
            let key = (name.clone(), number);
            let container = observed.of(name).find(|container| container.number == number);
            let Some(container) = container else {
                list.add(Action::CreateContainer(name.clone(), number), "it is missing", needed.clone());
                starts.insert(key, "it is new".to_owned());
                continue;
            };
            match causes.get(&key) {
                Some(cause) => {
                    let after = [prepared.clone(), stopped.clone()].concat();
                    let gone = match gone.get(&key) {
                        Some(gone) => *gone,
                        None if mode.is_reversible => {
                            replaced.push(container);
                            set_aside(name, container, cause, after, list)
                        }
                        None => remove(name, container, cause, after, list),
                    };
                    let after = [needed.clone(), vec![gone]].concat();
                    list.add(Action::CreateContainer(name.clone(), number), cause, after);
                    starts.insert(key, "it is new".to_owned());
                }
                None if container.is_running || (container.is_completed && runs_once(name, service, plan)) => {}
                None => {
                    starts.insert(key, "it does not run".to_owned());
                }
            }
        }
        for extra in observed.of(name).filter(|container| container.number > count) {
            remove(name, extra, "the service has fewer containers now", Vec::new(), list);
        }
    }
    own(plan, fresh, sealed, list);
    start(plan, &starts, list);
    tell(plan, observed, mode, &starts, list);
    settle(observed, &replaced, list);
}

/// Containers that a run set aside which did not end: what replaced them is there, or is made now.
fn asides(plan: &Plan, observed: &Observed, mode: &Mode, list: &mut List) {
    for (service, _) in mode.services(plan) {
        let seen = observed.containers.get(service).into_iter().flatten();
        for container in seen.filter(|container| container.is_aside) {
            remove(service, container, "a run that did not end had set it aside", Vec::new(), list);
        }
    }
}

/// Containers that were set aside go once everything that replaces one is ready.
fn settle(observed: &Observed, replaced: &[&Container], list: &mut List) {
    let is_replaced = |of: &str, number: u32| {
        observed.of(of).any(|seen| seen.number == number && replaced.iter().any(|each| each.id == seen.id))
    };
    let started = |step: &Step| match &step.action {
        Action::Start(service, number) if is_replaced(service, *number) => Some((service.clone(), *number, step.id)),
        _ => None,
    };
    let started: Vec<(String, u32, u32)> = list.steps.iter().filter_map(started).collect();
    for (service, number, start) in started {
        let mut after = list.ids(|action| matches!(action, Action::Tell(unit, _) if unit.as_str() == service));
        after.push(start);
        list.add(Action::Settle(service, number), "it replaces another", after);
    }
    let settled = list.ids(|action| matches!(action, Action::Settle(..)));
    for (service, seen) in &observed.containers {
        for container in seen.iter().filter(|seen| replaced.iter().any(|each| each.id == seen.id)) {
            remove(service, container, "what replaces it is ready", settled.clone(), list);
        }
    }
}

fn set_aside(service: &str, container: &Container, cause: &str, mut after: Vec<u32>, list: &mut List) -> u32 {
    // One of that name may be left from a run that did not end.
    after.extend(list.ids(|action| matches!(action, Action::RemoveContainer(of, ..) if of == service)));
    let action = Action::SetAside(service.to_owned(), container.name.clone(), container.id.clone());
    list.add(action, cause, after)
}

/// Containers of services that are gone.
fn orphans(plan: &Plan, observed: &Observed, mode: &Mode, list: &mut List) {
    let is_orphan = |name: &str| {
        let is_known = plan.project.services.contains_key(name) || plan.disabled.contains(name);
        mode.selected.is_none() && !is_known
    };
    for (service, seen) in observed.containers.iter().filter(|(name, _)| is_orphan(name)) {
        // What another tool made is not claw's to remove: the command line tells of it.
        for container in seen.iter().filter(|container| container.is_claws || mode.removes_orphans) {
            remove(service, container, "the pod has no such service any more", Vec::new(), list);
        }
    }
}

/// Returns whether a service asks to be restarted with another.
fn asks(plan: &Plan, service: &str, target: &str) -> bool {
    let dependency = plan.project.services.get(service).and_then(|service| service.depends_on.get(target));
    dependency.is_some_and(|dependency| dependency.restart == Some(true))
}

/// Returns the steps that come before a container of a service is made: its image, its files, its networks and volumes, the
/// containers of what it depends on, and an orphan that may have its name.
fn needed(name: &str, service: &Service, plan: &Plan, list: &List) -> Vec<u32> {
    list.ids(|action| match action {
        Action::Pack | Action::Base(_) | Action::Pull(_) | Action::Build(_) => makes(action, service, plan),
        Action::Write(unit) => unit.as_str() == name,
        Action::CreateNetwork(key) => is_on(service, key),
        Action::CreateVolume(key) => mounts(service, key),
        Action::CreateContainer(made, _) => service.depends_on.contains_key(made),
        Action::RemoveContainer(of, ..) | Action::SetAside(of, ..) => service.container_name.is_some() && of != name,
        Action::RemoveNetwork(..)
        | Action::Own(..)
        | Action::Seed(..)
        | Action::Stop(..)
        | Action::Start(..)
        | Action::Settle(..)
        | Action::Tell(..) => false,
    })
}

/// Returns the networks that are not as the file says: they are made anew, with the containers on them. Only where all
/// services are looked at, for each of them may be on one.
pub(super) fn stale<'o>(plan: &Plan, observed: &'o Observed, mode: &Mode) -> BTreeMap<&'o String, &'o Network> {
    let is_stale = |key: &str, network: &Network| {
        let wanted = observed.hashes.networks.get(key);
        let is_external = plan.project.networks.get(key).is_some_and(|network| network.external == Some(true));
        !is_external && wanted.is_some() && network.hash.is_some() && network.hash.as_ref() != wanted
    };
    let seen = observed.networks.iter().filter(|_| mode.selected.is_none());
    seen.filter(|(key, network)| is_stale(key, network)).collect()
}

/// Networks that are made anew, once no container is on them. Returns the steps that take those containers away.
fn renewed(
    plan: &Plan,
    observed: &Observed,
    mode: &Mode,
    causes: &BTreeMap<(String, u32), String>,
    prepared: &[u32],
    list: &mut List,
) -> BTreeMap<(String, u32), u32> {
    let mut gone = BTreeMap::new();
    let stale = stale(plan, observed, mode);
    for (key, cause) in causes {
        let Some(service) = plan.project.services.get(&key.0) else { continue };
        let container = observed.of(&key.0).find(|seen| seen.number == key.1);
        if let Some(container) = container.filter(|_| stale.keys().any(|network| is_on(service, network))) {
            gone.insert(key.clone(), remove(&key.0, container, cause, prepared.to_vec(), list));
        }
    }
    for (key, network) in stale {
        let after = list.ids(|action| matches!(action, Action::RemoveContainer(..)));
        let removed =
            list.add(Action::RemoveNetwork(key.clone(), network.id.clone()), "it is not as the file says", after);
        list.add(Action::CreateNetwork(key.clone()), "it is made anew", vec![removed]);
    }
    gone
}

/// Returns whether a service is on a network.
pub(super) fn is_on(service: &Service, network: &str) -> bool {
    match service.networks.is_empty() {
        true => network == "default" && service.network_mode.is_none(),
        false => service.networks.contains_key(network),
    }
}

/// Returns whether a step makes the image that a service runs.
pub(super) fn makes(action: &Action, service: &Service, plan: &Plan) -> bool {
    match action {
        Action::Pack => service.image.as_deref() == Some(plan.infra().as_str()),
        Action::Build(of) => plan.builds.get(of).map(|build| build.image.as_str()) == service.image.as_deref(),
        Action::Pull(image) | Action::Base(image) => service.image.as_ref() == Some(image),
        _ => false,
    }
}

/// What a runtime is told after its start, told where its container is new or was never told.
fn tell(plan: &Plan, observed: &Observed, mode: &Mode, starts: &BTreeMap<(String, u32), String>, list: &mut List) {
    for (id, unit) in plan.units.iter().filter(|(id, _)| mode.has(id.as_str())) {
        let name = id.as_str().to_owned();
        let told = observed.told.get(id);
        let is_started = starts.contains_key(&(name.clone(), 1));
        let seen = observed.of(&name).next();
        let is_told = told.is_some() && !is_started && seen.map(|seen| &seen.id) == told;
        for each in unit.lowered.after_start.iter().filter(|each| each.has_content || told.is_some()) {
            if !is_told && (is_started || seen.is_some_and(|seen| seen.is_running)) {
                let after = list.ids(|action| *action == Action::Start(name.clone(), 1));
                let cause = if is_started { "it starts" } else { "it was not told yet" };
                list.add(Action::Tell(id.clone(), each.what), cause, after);
            }
        }
    }
}

/// `depends_on: {x: {restart: true}}`: who asks for it is stopped before what it needs goes, and started after it is back.
fn restarts(
    plan: &Plan,
    observed: &Observed,
    mode: &Mode,
    causes: &BTreeMap<(String, u32), String>,
    starts: &mut BTreeMap<(String, u32), String>,
    list: &mut List,
) {
    let is_made_anew = |target: &str| causes.keys().any(|(service, _)| service == target);
    for (name, service) in mode.services(plan) {
        let mut asks = service.depends_on.iter().filter(|(_, dependency)| dependency.restart == Some(true));
        let Some((target, _)) = asks.find(|(target, _)| is_made_anew(target)) else { continue };
        for container in observed.of(name) {
            let key = (name.clone(), container.number);
            if container.is_running && !causes.contains_key(&key) {
                let cause = format!("it restarts with `{target}`");
                let action = Action::Stop(name.clone(), container.name.clone(), container.id.clone());
                list.add(action, cause.clone(), Vec::new());
                starts.insert(key, cause);
            }
        }
    }
}

fn remove(service: &str, container: &Container, cause: &str, after: Vec<u32>, list: &mut List) -> u32 {
    let action = Action::RemoveContainer(service.to_owned(), container.name.clone(), container.id.clone());
    list.add(action, cause, after)
}

/// A service that is no agent and is not restarted has done its work when it ended without an error.
fn runs_once(name: &str, service: &Service, plan: &Plan) -> bool {
    let is_agent = plan.units.keys().any(|unit| unit.as_str() == name);
    !is_agent && !matches!(service.restart.as_deref(), Some("always" | "unless-stopped"))
}

/// Returns the steps that start containers of services, each after those it depends on, and nothing else.
pub fn starts(plan: &Plan, which: &BTreeMap<(String, u32), String>) -> Vec<Step> {
    let mut list = List::default();
    start(plan, which, &mut list);
    list.steps
}

fn start(plan: &Plan, starts: &BTreeMap<(String, u32), String>, list: &mut List) {
    for name in order(plan) {
        for ((service, number), cause) in starts.iter().filter(|((service, _), _)| *service == name) {
            let needed = plan.project.services.get(service).map(|service| &service.depends_on);
            let after = list.ids(|action| match action {
                Action::CreateContainer(created, of) => created == service && of == number,
                Action::Own(volumes, units) => {
                    let is_new = |planned: &Service| volumes.iter().any(|key| mounts(planned, key));
                    units.iter().any(|unit| unit.as_str() == service)
                        || plan.project.services.get(service).is_some_and(is_new)
                }
                Action::Seed(unit) => unit.as_str() == service,
                Action::Start(started, _) => needed.is_some_and(|needed| needed.contains_key(started)),
                Action::Stop(stopped, ..) => stopped == service,
                // Ports and names are free only then.
                Action::RemoveContainer(..) | Action::SetAside(..) => true,
                _ => false,
            });
            list.add(Action::Start(service.clone(), *number), cause.clone(), after);
        }
    }
}
