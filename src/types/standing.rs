//! How a thing said of a runtime is known, the versions it is known of, and the other names a runtime goes by.

use std::cmp::Ordering;

/// How it is known that a runtime does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It was seen in the running program.
    Ran,
    /// It was read in the program's source or schema, and not run.
    Read,
    /// The runtime does not do it.
    No,
}

impl Standing {
    /// Returns the word that tables and messages show.
    pub fn name(self) -> &'static str {
        match self {
            Standing::Ran => "ran",
            Standing::Read => "read",
            Standing::No => "no",
        }
    }

    /// Returns whether the runtime does it, however that is known.
    pub fn is_there(self) -> bool {
        self != Standing::No
    }
}

/// How each capability of a runtime is known. A new field makes every driver decide.
#[derive(Clone, Copy, Debug)]
pub struct Standings {
    /// Its own code accepts the configuration that the driver writes.
    pub configuration: Standing,
    /// It reads the contract where it is mounted.
    pub contract: Standing,
    /// It goes on to the next model of `fallback`.
    pub fallbacks: Standing,
    /// Behind a proxy of the pod it asks that proxy and nobody else.
    pub proxy: Standing,
    /// It hears on chat platforms whom the pod names, and nobody else.
    pub channels: Standing,
    /// It runs schedules itself.
    pub schedules: Standing,
    /// It reads skills.
    pub skills: Standing,
    /// It calls tools of MCP servers.
    pub mcp: Standing,
    /// It has settings that `CONFIGURE` sets.
    pub settings: Standing,
    /// It tells how it is.
    pub health: Standing,
    /// A message gets in by `claw ask`.
    pub door: Standing,
    /// It ends what it began before it is stopped.
    pub drain: Standing,
    /// It works with a read-only root, no capabilities and a user of its own.
    pub hardened: Standing,
}

impl Standings {
    /// Returns each capability with its name, in the order of the fields.
    pub fn rows(&self) -> [(&'static str, Standing); 13] {
        [
            ("configuration", self.configuration),
            ("contract", self.contract),
            ("fallbacks", self.fallbacks),
            ("proxy", self.proxy),
            ("channels", self.channels),
            ("schedules", self.schedules),
            ("skills", self.skills),
            ("mcp", self.mcp),
            ("settings", self.settings),
            ("health", self.health),
            ("door", self.door),
            ("drain", self.drain),
            ("hardened", self.hardened),
        ]
    }
}

/// The versions of a runtime that a driver was made for, both ends among them. An end with fewer numbers stands for all
/// versions that begin so: up to `0.21` holds 0.21.5.
#[derive(Clone, Copy, Debug)]
pub struct Versions {
    /// The first.
    pub from: &'static str,
    /// The last.
    pub to: &'static str,
}

impl Versions {
    /// Returns whether a version is among them; nothing where a text is no version of dotted numbers.
    pub fn contain(self, version: &str) -> Option<bool> {
        let version = numbers(version)?;
        let against = |end: &str| {
            let end = numbers(end)?;
            let common = end.len().min(version.len());
            Some(version[..common].cmp(&end[..common]))
        };
        Some(against(self.from)? != Ordering::Less && against(self.to)? != Ordering::Greater)
    }
}

impl std::fmt::Display for Versions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.from == self.to { f.write_str(self.from) } else { write!(f, "{} to {}", self.from, self.to) }
    }
}

fn numbers(version: &str) -> Option<Vec<u64>> {
    let version = version.strip_prefix('v').unwrap_or(version);
    version.split('.').map(|part| part.parse().ok()).collect()
}

/// Another name of a runtime.
#[derive(Clone, Copy, Debug)]
pub struct Alias {
    /// The name that `CLAW_TYPE` may give too.
    pub name: &'static str,
    /// What is said to whoever gives it: one sentence, how the two differ.
    pub note: &'static str,
}

/// Returns the two parts of what `CLAW_TYPE` gives, `<runtime>` or `<runtime>@<version>`.
pub fn runtime_and_version(text: &str) -> (&str, Option<&str>) {
    text.split_once('@').map_or((text, None), |(runtime, version)| (runtime, Some(version)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_in_a_range_number_by_number() {
        let range = Versions { from: "0.9.2", to: "0.21" };
        let cases = [
            ("0.9.1", Some(false)),
            ("0.9.2", Some(true)),
            ("0.10", Some(true)),
            ("v0.21.7", Some(true)),
            ("0.22.0", Some(false)),
            ("0", Some(true)),
            ("1", Some(false)),
            ("latest", None),
            ("", None),
        ];
        for (version, expected) in cases {
            assert_eq!(range.contain(version), expected, "{version}");
        }
        assert_eq!(range.to_string(), "0.9.2 to 0.21");
        assert_eq!(runtime_and_version("a@1"), ("a", Some("1")));
        assert_eq!(runtime_and_version("a"), ("a", None));
    }
}
