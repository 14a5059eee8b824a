//! What an engine and its host were seen to have of a pod: a value that the engine layer fills in.

use std::collections::{BTreeMap, BTreeSet};

use claw_types::id::UnitId;

/// What an engine and its host were seen to have of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Networks by key.
    pub networks: BTreeMap<String, Network>,
    /// Volumes by key.
    pub volumes: BTreeSet<String>,
    /// Volumes that are not as the file says, by key: they are kept, for what they hold would be lost.
    pub changed_volumes: BTreeSet<String>,
    /// Containers by compose service, in the order of their numbers.
    pub containers: BTreeMap<String, Vec<Container>>,
    /// Images by the name the plan gives them, where the engine has them.
    pub images: BTreeMap<String, Image>,
    /// The digest of what each image is built from, by service.
    pub contexts: BTreeMap<String, String>,
    /// The id of claw's own image as this claw packs it.
    pub infra: Option<String>,
    /// The seal each agent with secrets must carry.
    pub seals: BTreeMap<UnitId, String>,
    /// Agents whose files are not all where they must be.
    pub unwritten: BTreeSet<UnitId>,
    /// Agents whose files are where they must be and say something else: their containers have what they say.
    pub altered: BTreeSet<UnitId>,
    /// Agents whose sealed files do not belong to them.
    pub unowned: BTreeSet<UnitId>,
    /// Volumes that nobody handed to whom they are for, by key.
    pub unowned_volumes: BTreeSet<String>,
    /// Agents whose persona was not copied into its volume yet.
    pub unseeded: BTreeSet<UnitId>,
    /// Agents whose persona is another one than was copied: the digest of that.
    pub reseeded: BTreeMap<UnitId, String>,
    /// The container of each agent that was last told what is told after a start.
    pub told: BTreeMap<UnitId, String>,
    /// What the label `config-hash` says of what is made on this host.
    pub hashes: Hashes,
}

/// Docker compose's `config-hash` of everything in a project, by key. Paths of the host and values of variables are in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hashes {
    /// What the hash of each service is made of, by path: short digests, those of its generated files below `files`, and those of
    /// what its secrets and configs hold below `contents`.
    pub fields: BTreeMap<String, BTreeMap<String, String>>,
    /// Of services, for two releases of docker compose: containers get the first, and either is as good.
    pub services: BTreeMap<String, [String; 2]>,
    /// Of networks.
    pub networks: BTreeMap<String, String>,
    /// Of volumes.
    pub volumes: BTreeMap<String, String>,
}

impl Observed {
    /// Returns the containers of a service but those that were set aside.
    pub(super) fn of(&self, service: &str) -> impl Iterator<Item = &Container> {
        self.containers.get(service).into_iter().flatten().filter(|container| !container.is_aside)
    }

    /// Returns the directory of another checkout that containers of this project's name were started from.
    pub fn elsewhere(&self) -> Option<&str> {
        self.containers.values().flatten().find_map(|container| container.elsewhere.as_deref())
    }
}

/// An image that was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Its id.
    pub id: String,
    /// The digest of what it was built from, where claw built it.
    pub context: Option<String>,
}

/// A network that was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// Its id.
    pub id: String,
    /// The hash it was made from, where it carries one.
    pub hash: Option<String>,
}

/// A container that was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Which container of its service, from 1.
    pub number: u32,
    /// The hash of the service it was made from.
    pub hash: String,
    /// What that hash was made of, by path; nothing where another tool made it.
    pub fields: Option<BTreeMap<String, String>>,
    /// The id of the image it was made from.
    pub image: String,
    /// The seal it carries, where it has secrets.
    pub seal: Option<String>,
    /// Whether claw made it.
    pub is_claws: bool,
    /// The directory of another checkout that it was started from.
    pub elsewhere: Option<String>,
    /// It was set aside by a run that replaced it and did not end.
    pub is_aside: bool,
    /// Whether it runs.
    pub is_running: bool,
    /// It ended by itself and without an error.
    pub is_completed: bool,
    /// Where it differs from what its service says, by the name of the setting.
    pub drift: Vec<String>,
}
