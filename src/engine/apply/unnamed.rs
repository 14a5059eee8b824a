//! Volumes without a name: what they hold outlives their container, as with compose, for the one that takes its place mounts them
//! again. Which they are is written down before the old container goes, so that a run that ends in between loses nothing.

use std::cell::RefCell;
use std::collections::BTreeMap;

use claw_types::image::compose;
use serde_json::Value;

use super::{ApplyError, Run, is_aside};
use crate::docker::Seen;
use crate::{down, state};

/// Volumes without a name of containers that are made anew: service and number, then target and volume.
#[derive(Debug, Default)]
pub(super) struct Kept(BTreeMap<(String, u32), Vec<(String, String)>>);

impl Kept {
    /// Returns the volumes of a container: target and name.
    pub(super) fn of(&self, service: &str, number: u32) -> Vec<(String, String)> {
        self.0.get(&(service.to_owned(), number)).cloned().unwrap_or_default()
    }

    fn has(&self, volume: &str) -> bool {
        self.0.values().flatten().any(|(_, name)| name == volume)
    }

    /// Returns the rows of a file: where it is mounted, and which it is.
    fn rows(&self) -> impl Iterator<Item = (String, String)> {
        self.0.iter().flat_map(|((service, number), volumes)| {
            volumes.iter().map(move |(target, volume)| (format!("{service}:{number}:{target}"), volume.clone()))
        })
    }

    fn read(rows: BTreeMap<String, String>) -> Self {
        let mut kept = Self::default();
        for (place, volume) in rows {
            let mut parts = place.splitn(3, ':');
            if let (Some(service), Some(Ok(number)), Some(target)) =
                (parts.next(), parts.next().map(str::parse), parts.next())
            {
                kept.0.entry((service.to_owned(), number)).or_default().push((target.to_owned(), volume));
            }
        }
        kept
    }
}

impl Run<'_> {
    /// Returns what an earlier run kept and did not hand on.
    pub(super) fn kept(&self) -> Kept {
        Kept::read(state::unnamed(self.site.root, self.scope.project))
    }

    fn write_down(&self, kept: &Kept) -> Result<(), ApplyError> {
        Ok(state::record_unnamed(self.site.root, self.scope.project, kept.rows())?)
    }

    /// Keeps the volumes of a container that is about to go and to be replaced.
    pub(super) async fn keep(&self, service: &str, id: &str, kept: &RefCell<Kept>) -> Result<(), ApplyError> {
        let Some(seen) = self.docker.container(id).await? else { return Ok(()) };
        let number = number(&seen);
        if !self.is_replaced(service, &seen) {
            return Ok(());
        }
        let unnamed = down::unnamed(&seen);
        let mounts = seen.inspected["Mounts"].as_array().into_iter().flatten();
        let text = |mount: &Value, key: &str| mount[key].as_str().unwrap_or("").to_owned();
        let pairs = mounts.map(|mount| (text(mount, "Destination"), text(mount, "Name")));
        let pairs: Vec<_> = pairs.filter(|(_, name)| unnamed.contains(name)).collect();
        if pairs.is_empty() {
            return Ok(());
        }
        let mut kept = kept.borrow_mut();
        kept.0.insert((service.to_owned(), number), pairs);
        self.write_down(&kept)
    }

    /// A container was made that has the volumes that were kept for it.
    pub(super) fn taken_over(&self, service: &str, number: u32, kept: &RefCell<Kept>) -> Result<(), ApplyError> {
        let mut kept = kept.borrow_mut();
        match kept.0.remove(&(service.to_owned(), number)) {
            Some(_) => self.write_down(&kept),
            None => Ok(()),
        }
    }

    /// Takes away a container, and its volumes without a name where nobody takes them over.
    pub(super) async fn remove(&self, service: &str, id: &str, kept: &RefCell<Kept>) -> Result<(), ApplyError> {
        let seen = self.docker.container(id).await?;
        self.docker.remove_container(id, false).await?;
        let Some(seen) = seen.filter(|seen| !self.is_replaced(service, seen)) else { return Ok(()) };
        for volume in down::unnamed(&seen) {
            if kept.borrow().has(&volume) {
                continue;
            }
            match self.docker.remove_volume(&volume).await {
                // Another container has it.
                Err(error) if error.status == Some(409) => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// Returns whether another container takes the place of one.
    fn is_replaced(&self, service: &str, seen: &Seen) -> bool {
        let planned = self.plan.project.services.get(service);
        planned.is_some_and(|planned| number(seen) <= self.mode.containers_of(service, planned)) && !is_aside(seen)
    }
}

fn number(seen: &Seen) -> u32 {
    seen.label(compose::NUMBER).parse().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_down_is_what_is_read() {
        let mut kept = Kept::default();
        let volumes = vec![("/a:b c".to_owned(), "v1".to_owned()), ("/d".to_owned(), "v2".to_owned())];
        kept.0.insert(("web".to_owned(), 2), volumes.clone());
        let read = Kept::read(kept.rows().collect());
        assert_eq!(read.of("web", 2), volumes);
        assert!(read.has("v2") && !read.has("v3"));
        assert_eq!(read.of("web", 1), Vec::new());
    }
}
