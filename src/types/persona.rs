//! What a persona is: files that shape how an agent speaks. They are copied into a volume of the agent's own once, and are the agent's then.

use std::fmt;
use std::sync::Arc;

use crate::path::{BadPath, PodPath};

/// Where a persona is mounted, unless its runtime looks for it elsewhere.
pub const PERSONA_DIRECTORY: &str = "/persona";

/// The variable that says where it is.
pub const PERSONA_VARIABLE: &str = "CLAW_PERSONA_DIR";

/// Part of the name of the volume it is copied into.
pub const PERSONA_VOLUME: &str = "persona";

/// Where a persona comes from, as the pod names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PersonaSource {
    /// A file or a directory of the pod.
    Path(PodPath),
    /// An OCI image layout of the pod: a directory, or a tar of one.
    Layout(PodPath),
    /// An artifact in a registry: `host/name`, with a tag or a digest.
    Registry(String),
}

impl PersonaSource {
    /// Returns where a persona comes from.
    ///
    /// # Errors
    /// Where it is a path that is none of the pod's.
    pub fn parse(text: &str) -> Result<Self, BadPath> {
        if let Some(path) = text.strip_prefix("file://") {
            return PodPath::parse(path).map(Self::Layout);
        }
        if let Some(reference) = text.strip_prefix("oci://") {
            return Ok(Self::Registry(reference.to_owned()));
        }
        let host = text.split('/').next().unwrap_or("");
        let has_host =
            text.contains('/') && !host.starts_with('.') && (host.contains(['.', ':']) || host == "localhost");
        match has_host || text.contains("@sha256:") {
            true => Ok(Self::Registry(text.to_owned())),
            false => PodPath::parse(text).map(Self::Path),
        }
    }
}

/// The files of a persona as one archive, in the one form that claw writes: the same files are the same bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Archive(Arc<[u8]>);

impl Archive {
    /// Returns the archive of these bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }

    /// Returns its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Archive({} bytes)", self.0.len())
    }
}

/// An artifact in a registry, and which of its name it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// `host/name`, with a tag or a digest, as the pod names it.
    pub reference: String,
    /// The digest of its manifest: `sha256:…`.
    pub digest: String,
}

/// A persona that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Persona {
    /// What the pod calls it.
    pub name: String,
    /// The digest of its archive: `sha256:…`. The same files have the same one, wherever they come from.
    pub digest: String,
    /// The artifact it is, where it is one.
    pub artifact: Option<Artifact>,
    /// Its files; nothing where nobody looked and a lock says which they are.
    pub archive: Option<Archive>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_path_a_layout_or_an_artifact() {
        let kind = |text: &str| match PersonaSource::parse(text) {
            Ok(PersonaSource::Path(path)) => format!("path {path}"),
            Ok(PersonaSource::Layout(path)) => format!("layout {path}"),
            Ok(PersonaSource::Registry(reference)) => format!("registry {reference}"),
            Err(bad) => format!("bad: {bad}"),
        };
        let rows = [
            ("analyst", "path analyst"),
            ("personas/analyst", "path personas/analyst"),
            ("./personas.d/a", "path personas.d/a"),
            ("file://dist/a.tar", "layout dist/a.tar"),
            ("ghcr.io/acme/a:1", "registry ghcr.io/acme/a:1"),
            ("localhost/a", "registry localhost/a"),
            ("127.0.0.1:5000/a", "registry 127.0.0.1:5000/a"),
            ("oci://acme/a", "registry acme/a"),
            ("../a", "bad: leaves the directory it is relative to"),
            ("file://../a", "bad: leaves the directory it is relative to"),
        ];
        for (text, expected) in rows {
            assert_eq!(kind(text), expected, "{text}");
        }
    }
}
