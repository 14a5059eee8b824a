//! Who is in the pod: every identity by platform, once, shared by all units.

use std::collections::BTreeMap;

use crate::id::ServiceName;
use crate::platform::Platform;

/// A channel of a guild.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Channel {
    /// The platform's id of it.
    pub id: String,
    /// Its name, where the pod gives one.
    pub name: Option<String>,
}

/// A guild, workspace, server or group: what a platform puts channels into.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Guild {
    /// The platform's id of it.
    pub id: String,
    /// Its name, where the pod gives one.
    pub name: Option<String>,
    /// Its channels, in the order written.
    pub channels: Vec<Channel>,
}

/// An account on a platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The platform's id of the account; absent where only the image's `HANDLE` declares it.
    pub id: Option<String>,
    /// The account's name.
    pub username: Option<String>,
    /// Where it is a member.
    pub guilds: Vec<Guild>,
}

/// All identities of a pod: service, then platform.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    /// Identities by service and platform.
    pub identities: BTreeMap<ServiceName, BTreeMap<Platform, Identity>>,
}

impl Roster {
    /// Returns the services other than `service` that have an identity.
    pub fn peers<'a>(
        &'a self,
        service: &'a ServiceName,
    ) -> impl Iterator<Item = (&'a ServiceName, &'a BTreeMap<Platform, Identity>)> {
        self.identities.iter().filter(move |(name, identities)| *name != service && !identities.is_empty())
    }
}
