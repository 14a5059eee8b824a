//! The helper that hands things over: new volumes are root's and new secrets those of whoever runs claw; one container without network
//! gives them to the agents they are for.

use std::collections::BTreeSet;

use claw_compose::model::{Mount, Service, VolumeOptions};
use claw_compose::shape::Argv;
use claw_types::id::UnitId;
use claw_types::image::INFRA_PROGRAM;

use super::Plan;

impl Plan {
    /// Returns the service that hands volumes, and the sealed files of agents, to whom they are for. It may change owners and nothing
    /// else, ends by itself, and does nothing where everything has its owner.
    pub fn owning(&self, volumes: &BTreeSet<String>, units: &BTreeSet<UnitId>) -> Service {
        let mut mounts = Vec::new();
        let mut arguments = vec!["shim".to_owned(), "own".to_owned()];
        for key in volumes {
            let Some(user) = self.owner_of(key) else { continue };
            let target = format!("/own/{}", mounts.len());
            let end = if self.is_alone_with(key) { "/" } else { "" };
            arguments.push(format!("{}:{}={target}{end}", user.uid, user.gid));
            // Without it the engine would give an empty volume the owner of the image's directory again.
            let options = VolumeOptions { nocopy: Some(true), ..VolumeOptions::default() };
            mounts.push(Mount {
                kind: "volume".to_owned(),
                source: Some(key.clone()),
                target,
                volume: Some(Box::new(options)),
                ..Mount::default()
            });
        }
        for own in units.iter().filter_map(|unit| self.belongings.get(unit)) {
            let target = format!("/own/{}", mounts.len());
            let user = own.user;
            arguments.extend(own.sealed().map(|(path, _)| format!("{}:{}={target}/{path}", user.uid, user.gid)));
            mounts.push(Mount {
                kind: "bind".to_owned(),
                source: Some(format!("./{}", own.directory)),
                target,
                ..Mount::default()
            });
        }
        Service {
            image: Some(self.infra()),
            user: Some("0:0".to_owned()),
            entrypoint: Some(Argv(vec![INFRA_PROGRAM.to_owned()])),
            command: Some(Argv(arguments)),
            network_mode: Some("none".to_owned()),
            read_only: Some(true),
            cap_drop: vec!["ALL".to_owned()],
            cap_add: vec!["CHOWN".to_owned()],
            security_opt: vec!["no-new-privileges:true".to_owned()],
            volumes: mounts,
            ..Service::default()
        }
    }

    /// Returns the service that empties the volume of an agent's persona, as the agent's own user; nothing where it has none.
    pub fn emptying(&self, unit: &UnitId) -> Option<Service> {
        let planned = self.units.get(unit)?;
        let target = "/own/0".to_owned();
        let options = VolumeOptions { nocopy: Some(true), ..VolumeOptions::default() };
        let mount = Mount {
            kind: "volume".to_owned(),
            source: Some(planned.home.as_ref()?.volume.clone()),
            target: target.clone(),
            volume: Some(Box::new(options)),
            ..Mount::default()
        };
        let user = planned.unit.user;
        Some(Service {
            user: Some(format!("{}:{}", user.uid, user.gid)),
            command: Some(Argv(vec!["shim".to_owned(), "empty".to_owned(), target])),
            cap_add: Vec::new(),
            volumes: vec![mount],
            ..self.owning(&BTreeSet::new(), &BTreeSet::new())
        })
    }

    /// Whether a volume is the engine's own and only agents and proxies write to it: what is in it, with whatever owner, is from their
    /// images, and is handed over as well.
    fn is_alone_with(&self, key: &str) -> bool {
        let is_own = self.project.volumes.get(key).is_some_and(|volume| {
            let is_local = volume.driver.as_deref().is_none_or(|driver| driver == "local");
            volume.external != Some(true) && is_local && volume.driver_opts.is_empty()
        });
        let writes = |service: &Service| {
            let is_it = |mount: &Mount| mount.source.as_deref() == Some(key) && mount.read_only != Some(true);
            service.volumes.iter().any(|mount| mount.kind == "volume" && is_it(mount))
                || !service.volumes_from.is_empty()
        };
        is_own && self.project.services.iter().all(|(name, service)| self.holds(name) || !writes(service))
    }

    /// Returns the agents and proxies that have sealed files.
    pub fn sealed_units(&self) -> BTreeSet<UnitId> {
        self.belongings.iter().filter(|(_, own)| own.sealed().next().is_some()).map(|(id, _)| id.clone()).collect()
    }
}
