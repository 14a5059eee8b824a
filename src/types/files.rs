//! Files as values: what will be written, before anything is.

use std::collections::BTreeMap;

use crate::doc::Content;
use crate::path::PodPath;

/// The permission bits of a generated file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// 0444: everyone may read it.
    Public,
    /// 0400: only the agent's user may read it.
    Private,
    /// 0555: everyone may read and run it.
    Program,
}

impl Mode {
    /// Returns the mode's bits.
    pub fn bits(self) -> u32 {
        match self {
            Mode::Public => 0o444,
            Mode::Private => 0o400,
            Mode::Program => 0o555,
        }
    }
}

/// One file to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSpec {
    /// Permission bits; sealed content is always private.
    pub mode: Mode,
    /// What it holds.
    pub content: Content,
}

impl FileSpec {
    /// Returns a file of this content: private where a secret goes into it, public elsewhere.
    pub fn managed(content: Content) -> Self {
        let mode = if content.is_sealed() { Mode::Private } else { Mode::Public };
        Self { mode, content }
    }
}

/// Files by path; two files at one path, or one file above another, cannot be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileTree(BTreeMap<PodPath, FileSpec>);

/// Two files want one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileCollision(pub PodPath);

impl FileTree {
    /// Returns a tree without files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file.
    ///
    /// # Errors
    /// Where a file is there already, or one of the two would have to be a directory.
    pub fn insert(&mut self, path: PodPath, file: FileSpec) -> Result<(), FileCollision> {
        let text = path.as_str();
        let above = text.match_indices('/').map(|(end, _)| &text[..end]);
        let below = format!("{text}/");
        let mut after = self.0.range::<str, _>((std::ops::Bound::Included(below.as_str()), std::ops::Bound::Unbounded));
        let is_above = after.next().is_some_and(|(next, _)| next.as_str().starts_with(&below));
        let is_taken = is_above || self.0.contains_key(text) || above.into_iter().any(|path| self.0.contains_key(path));
        if is_taken {
            return Err(FileCollision(path));
        }
        self.0.insert(path, file);
        Ok(())
    }

    /// Returns the file at a path.
    pub fn get(&self, path: &PodPath) -> Option<&FileSpec> {
        self.0.get(path)
    }

    /// Returns the files in the order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&PodPath, &FileSpec)> {
        self.0.iter()
    }

    /// Returns whether there is no file.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns how many files there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_path_holds_one_file() {
        let path = |text| PodPath::parse(text).expect("a path");
        let file = || FileSpec::managed(Content::text("x"));
        let mut tree = FileTree::new();
        assert!(tree.insert(path("claw/skills/a.md"), file()).is_ok());
        assert!(tree.insert(path("claw/skills"), file()).is_err());
        assert!(tree.insert(path("claw/skills/a.md/b"), file()).is_err());
        assert!(tree.insert(path("claw/skills-b"), file()).is_ok());
    }
}
