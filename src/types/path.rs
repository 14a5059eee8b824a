//! Paths that cannot surprise: relative ones inside a tree claw owns, and absolute ones inside a container.

use std::fmt;

/// A relative, normal path: no `..`, no `.`, no empty part, no leading `/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PodPath(String);

/// An absolute, normal path inside a container.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContainerPath(String);

/// Why a text is no such path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadPath {
    /// It is empty, or holds NUL or a line break.
    Malformed,
    /// It is absolute where a relative path is wanted.
    Absolute,
    /// It is relative where an absolute path is wanted.
    Relative,
    /// It leaves its root through `..`.
    Outside,
}

impl fmt::Display for BadPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BadPath::Malformed => "is empty or holds a control character",
            BadPath::Absolute => "is absolute",
            BadPath::Relative => "is not absolute",
            BadPath::Outside => "leaves the directory it is relative to",
        })
    }
}

fn normal(text: &str) -> Result<Vec<&str>, BadPath> {
    if text.is_empty() || text.len() > 4096 || text.chars().any(|character| character.is_control()) {
        return Err(BadPath::Malformed);
    }
    let mut parts = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or(BadPath::Outside)?;
            }
            part => parts.push(part),
        }
    }
    Ok(parts)
}

impl std::borrow::Borrow<str> for PodPath {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl PodPath {
    /// Returns whether another path lies below this one.
    pub fn is_above(&self, other: &PodPath) -> bool {
        other.as_str().strip_prefix(self.as_str()).is_some_and(|rest| rest.starts_with('/'))
    }

    /// Returns the normal form of a relative path.
    ///
    /// # Errors
    /// Where the text is malformed, absolute, names the root itself, or leaves it.
    pub fn parse(text: &str) -> Result<Self, BadPath> {
        if text.starts_with('/') {
            return Err(BadPath::Absolute);
        }
        let parts = normal(text)?;
        if parts.is_empty() { Err(BadPath::Malformed) } else { Ok(Self(parts.join("/"))) }
    }

    /// Returns the text of the path, `/` between its parts.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the path with another below it.
    pub fn join(&self, below: &PodPath) -> PodPath {
        PodPath(format!("{}/{}", self.0, below.0))
    }

    /// Returns the last part of the path.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl ContainerPath {
    /// Returns the normal form of an absolute path; `/` itself is one.
    ///
    /// # Errors
    /// Where the text is malformed, relative, or leaves the root.
    pub fn parse(text: &str) -> Result<Self, BadPath> {
        if !text.starts_with('/') {
            return Err(if text.is_empty() { BadPath::Malformed } else { BadPath::Relative });
        }
        Ok(Self(format!("/{}", normal(text)?.join("/"))))
    }

    /// Returns the text of the path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether this path is `other` or lies below it.
    pub fn is_within(&self, other: &ContainerPath) -> bool {
        self == other || other.0 == "/" || self.0.strip_prefix(&other.0).is_some_and(|rest| rest.starts_with('/'))
    }
}

impl fmt::Display for PodPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ContainerPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pod_paths_stay_inside() {
        assert_eq!(PodPath::parse("./a//b/../c").map(|path| path.to_string()), Ok("a/c".to_owned()));
        assert_eq!(PodPath::parse("../a"), Err(BadPath::Outside));
        assert_eq!(PodPath::parse("a/../.."), Err(BadPath::Outside));
        assert_eq!(PodPath::parse("/a"), Err(BadPath::Absolute));
        assert_eq!(PodPath::parse("a\0"), Err(BadPath::Malformed));
        assert_eq!(PodPath::parse("."), Err(BadPath::Malformed));
    }

    #[test]
    fn within_compares_whole_parts() {
        let path = |text| ContainerPath::parse(text).expect("a path");
        assert!(path("/claw/skills").is_within(&path("/claw")));
        assert!(!path("/clawed").is_within(&path("/claw")));
    }
}
