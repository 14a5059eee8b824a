//! How steps are chosen: of which services, and what was asked for beside what differs.

use std::collections::{BTreeMap, BTreeSet};

use claw_compose::model::Service;

use super::containers_of;
use crate::plan::Plan;

/// How steps are chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mode {
    /// Compose services that were named; nothing where all are meant.
    pub named: Option<BTreeSet<String>>,
    /// Compose services that are looked at: those named, with what they depend on; all where absent.
    pub selected: Option<BTreeSet<String>>,
    /// Containers of services that are gone are removed even where another tool made them.
    pub removes_orphans: bool,
    /// Whether images are built.
    pub builds: Builds,
    /// When images are pulled, over what services say.
    pub pull: Option<Pull>,
    /// Images were just made: none is made again because it was asked for.
    pub has_images: bool,
    /// Containers of the services that were named are made anew though nothing differs.
    pub recreates: bool,
    /// How many containers services have, over what they say.
    pub scale: BTreeMap<String, u32>,
    /// A container that is replaced is set aside until the new ones are ready, to be put back where they are not.
    pub is_reversible: bool,
}

/// Whether images are built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Builds {
    /// Where one is missing, or what it is built from changed.
    #[default]
    Needed,
    /// In any case.
    Always,
    /// None.
    Never,
}

/// When images are pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pull {
    /// In any case.
    Always,
    /// Where one is missing.
    Missing,
    /// None.
    Never,
}

impl Pull {
    /// Returns what a service's `pull_policy` means.
    pub(super) fn of(service: &Service) -> Self {
        match service.pull_policy.as_deref() {
            Some("never" | "build") => Pull::Never,
            Some("always") => Pull::Always,
            _ => Pull::Missing,
        }
    }
}

impl Mode {
    /// Returns the mode of some services: those named, and all they depend on where `has_needs`; a name may be a compose service,
    /// or the service of the pod file whose replicas are meant.
    ///
    /// # Errors
    /// Where there is no service of a name: that name.
    pub fn of(names: &[String], has_needs: bool, plan: &Plan) -> Result<Self, String> {
        if names.is_empty() {
            return Ok(Self::default());
        }
        let mut open = Vec::new();
        for name in names {
            let found = plan.compose_services(name);
            if found.is_empty() {
                return Err(name.clone());
            }
            open.extend(found);
        }
        let named: BTreeSet<String> = open.iter().cloned().collect();
        let mut selected = BTreeSet::new();
        while let Some(name) = open.pop() {
            let needed = plan.project.services.get(&name).map(|service| service.depends_on.keys().cloned());
            if selected.insert(name) && has_needs {
                open.extend(needed.into_iter().flatten());
            }
        }
        Ok(Self { named: Some(named), selected: Some(selected), ..Self::default() })
    }

    /// Returns the mode in which what was carried out is looked at: what was asked for is done.
    pub fn carried_out(&self) -> Self {
        Self { recreates: false, has_images: true, ..self.clone() }
    }

    /// Returns whether a compose service is looked at.
    pub fn has(&self, service: &str) -> bool {
        self.selected.as_ref().is_none_or(|selected| selected.contains(service))
    }

    /// Returns how many containers a service has.
    pub fn containers_of(&self, name: &str, service: &Service) -> u32 {
        self.scale.get(name).copied().unwrap_or_else(|| containers_of(service))
    }

    /// Returns whether containers of a service are made anew though nothing differs.
    pub(super) fn recreates(&self, service: &str) -> bool {
        self.recreates && self.named.as_ref().is_none_or(|named| named.contains(service))
    }

    /// Returns the services that are looked at.
    pub(super) fn services<'p>(&'p self, plan: &'p Plan) -> impl Iterator<Item = (&'p String, &'p Service)> {
        plan.project.services.iter().filter(|(name, _)| self.has(name))
    }
}
