//! The pass that takes services out whose profiles nobody asked for. It stands before `check`, which can so say of a
//! dependency that it is there and switched off.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Project, Service};

/// The profile that stands for all of them.
const ALL: &str = "*";

/// Takes the services out that are not asked for, and returns them by name.
///
/// A service stays where it has no profile, where one of its profiles is in `active` (`*` is all of them), or where it
/// is in `named`; naming a service activates its profiles, as docker compose does, so that what it needs is there too.
/// A dependency with `required: false` on a service that is taken out stays, as docker compose prints it.
pub fn profiles(project: &mut Project, active: &[String], named: &[String]) -> BTreeMap<String, Service> {
    let mut wanted: BTreeSet<String> = active.iter().cloned().collect();
    if wanted.contains(ALL) {
        return BTreeMap::new();
    }
    for service in named.iter().filter_map(|name| project.services.get(name)) {
        if !is_enabled(service, &wanted) {
            wanted.extend(service.profiles.iter().cloned());
        }
    }
    let (kept, disabled): (BTreeMap<_, _>, BTreeMap<_, _>) =
        std::mem::take(&mut project.services).into_iter().partition(|(_, service)| is_enabled(service, &wanted));
    project.services = kept;
    disabled
}

/// Keeps services and what they depend on, and takes the others out.
pub fn select(project: &mut Project, named: &[String]) {
    let mut wanted: BTreeSet<String> = BTreeSet::new();
    let mut open: Vec<String> = named.to_vec();
    while let Some(name) = open.pop() {
        let Some(service) = project.services.get(&name) else { continue };
        if wanted.insert(name) {
            open.extend(service.depends_on.keys().cloned());
        }
    }
    project.services.retain(|name, _| wanted.contains(name));
}

fn is_enabled(service: &Service, wanted: &BTreeSet<String>) -> bool {
    service.profiles.iter().all(String::is_empty) || service.profiles.iter().any(|profile| wanted.contains(profile))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(active: &[&str], named: &[&str]) -> String {
        let mut project = Project::default();
        for (name, profiles) in [("plain", &[][..]), ("a", &["p"]), ("b", &["p", "q"]), ("c", &["r"])] {
            let profiles = profiles.iter().map(|profile| String::from(*profile)).collect();
            project.services.insert(name.to_owned(), Service { profiles, ..Service::default() });
        }
        let texts = |texts: &[&str]| texts.iter().map(|text| String::from(*text)).collect::<Vec<_>>();
        let disabled = profiles(&mut project, &texts(active), &texts(named));
        assert_eq!(disabled.len() + project.services.len(), 4);
        project.services.into_keys().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn services_stay_without_profile_or_with_an_active_one() {
        assert_eq!(names(&[], &[]), "plain");
        assert_eq!(names(&["q"], &[]), "b plain");
        assert_eq!(names(&["*"], &[]), "a b c plain");
        assert_eq!(names(&["none"], &[]), "plain");
    }

    #[test]
    fn naming_a_service_activates_its_profiles() {
        assert_eq!(names(&[], &["a"]), "a b plain");
        assert_eq!(names(&["r"], &["c", "plain", "unknown"]), "c plain");
    }
}
