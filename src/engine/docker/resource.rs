//! Networks and volumes.

use std::collections::BTreeMap;

use bollard::query_parameters as query;
use claw_types::image::{compose, label};
use serde_json::Value;

use super::{Docker, EngineError, failed, is_missing, labelled, of_project, read};

/// A network or volume that carries a project's label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labelled {
    /// Its key in the file; its name where the label is absent.
    pub key: String,
    /// Its name on the engine.
    pub name: String,
    /// Its id; its name for a volume.
    pub id: String,
    /// Whether it has no way out; false for a volume.
    pub is_internal: bool,
    /// The hash it was made from, where it carries one.
    pub hash: Option<String>,
    /// Which volume of its name it is; empty for a network, and for a volume that another tool or an older claw made.
    pub made: String,
}

impl Docker {
    /// Returns the networks of a project.
    ///
    /// # Errors
    /// Where the engine does not answer.
    pub async fn networks(&self, project: &str) -> Result<Vec<Labelled>, EngineError> {
        let filters = labelled(&[of_project(project)]);
        let options = query::ListNetworksOptionsBuilder::default().filters(&filters).build();
        let found = self.api.list_networks(Some(options)).await.map_err(failed("list the networks of", project))?;
        let network = |each: bollard::models::Network| {
            let name = each.name?;
            let mut labels = each.labels.unwrap_or_default();
            let key = labels.remove(compose::NETWORK);
            Some(Labelled {
                key: key.unwrap_or_else(|| name.clone()),
                id: each.id.unwrap_or_default(),
                is_internal: each.internal.unwrap_or(false),
                hash: labels.remove(compose::HASH),
                made: String::new(),
                name,
            })
        };
        let mut networks: Vec<Labelled> = found.into_iter().filter_map(network).collect();
        networks.sort_by(|left, right| left.key.cmp(&right.key));
        Ok(networks)
    }

    /// Returns the names of networks of any project in which there is no container.
    ///
    /// # Errors
    /// Where the engine does not answer.
    pub async fn idle_networks(&self) -> Result<Vec<String>, EngineError> {
        let filters = labelled(&[compose::PROJECT.to_owned()]);
        let options = query::ListNetworksOptionsBuilder::default().filters(&filters).build();
        let found =
            self.api.list_networks(Some(options)).await.map_err(failed("list the networks of", "all projects"))?;
        let mut idle = Vec::new();
        for name in found.into_iter().filter_map(|network| network.name) {
            let options = query::ListContainersOptionsBuilder::default().all(true);
            let filters = std::collections::HashMap::from([("network".to_owned(), vec![name.clone()])]);
            let used = self.api.list_containers(Some(options.filters(&filters).build())).await;
            if used.map_err(failed("list the containers of the network", &name))?.is_empty() {
                idle.push(name);
            }
        }
        idle.sort();
        Ok(idle)
    }

    /// Returns the volumes of a project.
    ///
    /// # Errors
    /// Where the engine does not answer.
    pub async fn volumes(&self, project: &str) -> Result<Vec<Labelled>, EngineError> {
        let filters = labelled(&[of_project(project)]);
        let options = query::ListVolumesOptionsBuilder::default().filters(&filters).build();
        let found = self.api.list_volumes(Some(options)).await.map_err(failed("list the volumes of", project))?;
        let volume = |each: bollard::models::Volume| Labelled {
            key: each.labels.get(compose::VOLUME).cloned().unwrap_or_else(|| each.name.clone()),
            id: each.name.clone(),
            is_internal: false,
            hash: each.labels.get(compose::HASH).cloned(),
            made: each.labels.get(label::MADE).cloned().unwrap_or_default(),
            name: each.name,
        };
        let mut volumes: Vec<Labelled> = found.volumes.unwrap_or_default().into_iter().map(volume).collect();
        volumes.sort_by(|left, right| left.key.cmp(&right.key));
        Ok(volumes)
    }

    /// Returns whether a network of this name is there, whoever made it.
    ///
    /// # Errors
    /// Where the engine does not answer.
    pub async fn has_network(&self, name: &str) -> Result<bool, EngineError> {
        match self.api.inspect_network(name, None::<query::InspectNetworkOptions>).await {
            Ok(_) => Ok(true),
            Err(error) if is_missing(&error) => Ok(false),
            Err(error) => Err(failed("inspect the network", name)(error)),
        }
    }

    /// Returns the labels of the volume of this name, whoever made it; nothing where there is none.
    ///
    /// # Errors
    /// Where the engine does not answer.
    pub async fn volume_labels(&self, name: &str) -> Result<Option<BTreeMap<String, String>>, EngineError> {
        match self.api.inspect_volume(name).await {
            Ok(found) => Ok(Some(found.labels.into_iter().collect())),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(failed("inspect the volume", name)(error)),
        }
    }

    /// Makes a network from the body of the engine's call and returns its id.
    ///
    /// # Errors
    /// Where the engine refuses.
    pub async fn create_network(&self, name: &str, body: Value) -> Result<String, EngineError> {
        let request: bollard::models::NetworkCreateRequest = read("create the network", name, body)?;
        self.api.create_network(request).await.map(|made| made.id).map_err(failed("create the network", name))
    }

    /// Makes a volume from the body of the engine's call.
    ///
    /// # Errors
    /// Where the engine refuses.
    pub async fn create_volume(&self, name: &str, body: Value) -> Result<(), EngineError> {
        let request: bollard::models::VolumeCreateRequest = read("create the volume", name, body)?;
        self.api.create_volume(request).await.map(|_| ()).map_err(failed("create the volume", name))
    }

    /// Takes a network away; one that is gone is none.
    ///
    /// # Errors
    /// Where the engine refuses.
    pub async fn remove_network(&self, name: &str) -> Result<(), EngineError> {
        match self.api.remove_network(name).await {
            Err(error) if !is_missing(&error) => Err(failed("remove the network", name)(error)),
            _ => Ok(()),
        }
    }

    /// Takes a volume away; one that is gone is none.
    ///
    /// # Errors
    /// Where the engine refuses.
    pub async fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        match self.api.remove_volume(name, None::<query::RemoveVolumeOptions>).await {
            Err(error) if !is_missing(&error) => Err(failed("remove the volume", name)(error)),
            _ => Ok(()),
        }
    }
}
