//! Checked names: once one of these exists, nobody asks again whether it is well formed.
//!
//! Each kind has one grammar, stated in its message. Parsing a name is the only way to make one.

use std::fmt;

/// Why a text is not a name of some kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadName {
    /// What was asked for, e.g. `service name`.
    pub kind: &'static str,
    /// The text that is none.
    pub text: String,
    /// What such a name is made of.
    pub grammar: &'static str,
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a {}", self.text.escape_debug(), self.kind)
    }
}

impl std::error::Error for BadName {}

macro_rules! names {
    ($($(#[doc = $doc:literal])+ $name:ident($kind:literal, $grammar:literal, $check:expr);)+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Returns the name, where `text` follows the grammar of its kind.
            ///
            /// # Errors
            /// Where it does not.
            pub fn parse(text: &str) -> Result<Self, BadName> {
                let check: fn(&str) -> bool = $check;
                if !text.is_empty() && text.len() <= 200 && check(text) {
                    return Ok(Self(text.to_owned()));
                }
                Err(BadName { kind: $kind, text: text.chars().take(80).collect(), grammar: $grammar })
            }

            /// Returns the text of the name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    )+};
}

fn starts_with(text: &str, first: fn(u8) -> bool) -> bool {
    text.bytes().next().is_some_and(first)
}

fn is_lower(text: &str) -> bool {
    starts_with(text, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_'))
}

fn is_word(text: &str) -> bool {
    starts_with(text, |byte| byte.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

fn is_service(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// A unit's name is a directory's too.
fn is_unit(text: &str) -> bool {
    is_service(text) && !text.starts_with(['.', '-'])
}

/// A skill's name is a directory's too, and what the formats of skills take.
fn is_skill(text: &str) -> bool {
    text.len() <= SkillName::LIMIT
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
        && !text.contains("--")
}

fn is_env(text: &str) -> bool {
    starts_with(text, |byte| byte.is_ascii_alphabetic() || byte == b'_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

names! {
    /// The name of a pod: the compose project.
    PodName("pod name", "lower-case letters, digits, `-` and `_`, starting with a letter or digit", is_lower);
    /// The name of a compose service.
    ServiceName("service name", "letters, digits, `-`, `_` and `.`", is_service);
    /// The id of one replica of an agent: its compose service, its principal, its directory.
    UnitId("agent id", "letters, digits, `-`, `_` and `.`, not starting with `.` or `-`", is_unit);
    /// The name of an environment variable.
    EnvName("variable name", "letters, digits and `_`, not starting with a digit", is_env);
    /// The slot a model fills: `primary`, `fallback`, or a name of the runtime's own.
    ModelSlot("model slot", "lower-case letters, digits, `-` and `_`", is_lower);
    /// The name of a secret in `x-claw.secrets`.
    SecretName("secret name", "letters, digits, `-`, `_` and `.`", is_word);
    /// The name of a skill: of its directory or file, and in its front matter.
    SkillName("skill name", "lower-case letters, digits and `-` between them, at most 64", is_skill);
    /// The name of a runtime, as `CLAW_TYPE` gives it.
    RuntimeName("runtime", "lower-case letters, digits, `-` and `_`", is_lower);
    /// The name of an LLM provider.
    ProviderName("provider name", "lower-case letters, digits, `-` and `_`", is_lower);
    /// The type of a governance proxy, as `CLLAMA` gives it.
    ProxyType("proxy type", "lower-case letters, digits, `-` and `_`", is_lower);
    /// The name of a volume key in a pod.
    VolumeName("volume name", "letters, digits, `-`, `_` and `.`", is_word);
}

impl SkillName {
    /// The most characters a skill's name may have.
    pub const LIMIT: usize = 64;

    /// Returns the name a word becomes: in lower case, one `-` for what is neither a letter nor a digit.
    ///
    /// # Errors
    /// Where the text is no word of letters, digits, `-`, `_` and `.`, or the name would be too long.
    pub fn of(text: &str) -> Result<Self, BadName> {
        let bad = || BadName {
            kind: "skill name",
            text: text.chars().take(80).collect(),
            grammar: "letters, digits, `-`, `_` and `.`, at most 64",
        };
        if !is_word(text) {
            return Err(bad());
        }
        let lower = text.to_ascii_lowercase();
        let words = lower.split(['-', '_', '.']).filter(|word| !word.is_empty());
        Self::parse(&words.collect::<Vec<_>>().join("-")).map_err(|_| bad())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_names_a_skill_as_the_formats_of_skills_want_it() {
        for (text, name) in [("My_Skill.v2", "my-skill-v2"), ("a--b_", "a-b"), ("review", "review")] {
            assert_eq!(SkillName::of(text).expect("a name").as_str(), name);
        }
        for bad in ["", "_", "..", "a b", "\u{fc}ber", "a/b", &"a".repeat(65)] {
            assert!(SkillName::of(bad).is_err(), "{bad:?}");
        }
        for bad in ["A", "a_b", "a.b", "-a", "a-", "a--b"] {
            assert!(SkillName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_refuse_what_could_be_a_path_or_an_option() {
        for hostile in ["", ".", "..", "../x", "a/b", "a\0b", "a b", "-rf", &"a".repeat(5000)] {
            assert!(PodName::parse(hostile).is_err(), "{hostile:?}");
            assert!(SkillName::parse(hostile).is_err(), "{hostile:?}");
            assert!(UnitId::parse(hostile).is_err(), "{hostile:?}");
            assert!(VolumeName::parse(hostile).is_err(), "{hostile:?}");
        }
        assert!(ServiceName::parse("Web.app_1-x").is_ok());
        assert!(EnvName::parse("1A").is_err());
    }
}
