//! The keys that lead to a node while a tree is walked. Texts are kept and used again, for a walk comes by each node of a file.

use std::fmt::Write;

/// Keys from the top to the node that is looked at.
#[derive(Clone, Debug, Default)]
pub struct Trail {
    keys: Vec<String>,
    depth: usize,
}

impl Trail {
    /// Goes one step deeper.
    pub fn push(&mut self, key: &str) {
        self.step().push_str(key);
    }

    /// Goes one step deeper, into an item of a list.
    pub fn push_index(&mut self, index: usize) {
        // Writing into a text cannot fail.
        let _ = write!(self.step(), "{index}");
    }

    /// Goes back.
    pub fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// Returns the keys.
    pub fn keys(&self) -> &[String] {
        self.keys.get(..self.depth).unwrap_or(&[])
    }

    fn step(&mut self) -> &mut String {
        if self.keys.len() <= self.depth {
            self.keys.push(String::new());
        }
        let at = self.depth.min(self.keys.len() - 1);
        self.depth += 1;
        self.keys[at].clear();
        &mut self.keys[at]
    }
}
