//! The chat platforms claw knows: their names, the variables their tokens come in, the shape of their ids.
//!
//! The one place outside the drivers where a platform's name is written (R6).

use std::fmt;

/// What claw knows of a platform.
#[derive(Debug)]
pub struct PlatformFacts {
    /// Lower-case name, as `HANDLE` gives it.
    pub name: &'static str,
    /// Variables whose values are secret by position.
    pub tokens: &'static [&'static str],
    /// How a message mentions an account.
    pub mention: Mention,
}

/// How a message mentions an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mention {
    /// `<@id>`.
    Id,
    /// The id itself.
    Plain,
    /// `@name`.
    Name,
}

/// Known platforms, in the order of their names.
pub const PLATFORMS: &[PlatformFacts] = &[
    PlatformFacts { name: "dingtalk", tokens: &["DINGTALK_BOT_TOKEN"], mention: Mention::Name },
    PlatformFacts { name: "discord", tokens: &["DISCORD_BOT_TOKEN"], mention: Mention::Id },
    PlatformFacts { name: "feishu", tokens: &["FEISHU_BOT_TOKEN"], mention: Mention::Name },
    PlatformFacts { name: "line", tokens: &["LINE_BOT_TOKEN"], mention: Mention::Name },
    PlatformFacts { name: "maixcam", tokens: &["MAIXCAM_BOT_TOKEN"], mention: Mention::Name },
    PlatformFacts { name: "matrix", tokens: &["MATRIX_BOT_TOKEN"], mention: Mention::Plain },
    PlatformFacts { name: "onebot", tokens: &["ONEBOT_BOT_TOKEN"], mention: Mention::Name },
    PlatformFacts { name: "pico", tokens: &["PICO_BOT_TOKEN"], mention: Mention::Name },
    PlatformFacts { name: "qq", tokens: &["QQ_BOT_TOKEN"], mention: Mention::Name },
    PlatformFacts { name: "slack", tokens: &["SLACK_BOT_TOKEN", "SLACK_APP_TOKEN"], mention: Mention::Id },
    PlatformFacts { name: "telegram", tokens: &["TELEGRAM_BOT_TOKEN"], mention: Mention::Name },
    PlatformFacts { name: "wecom", tokens: &["WECOM_BOT_TOKEN"], mention: Mention::Name },
    PlatformFacts { name: "wecom_app", tokens: &["WECOM_APP_BOT_TOKEN"], mention: Mention::Name },
    PlatformFacts { name: "whatsapp", tokens: &["WHATSAPP_BOT_TOKEN"], mention: Mention::Name },
];

/// A known platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Platform(&'static str);

impl Platform {
    /// Returns the platform of a name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        PLATFORMS.iter().find(|facts| facts.name == name).map(|facts| Self(facts.name))
    }

    /// Returns the lower-case name.
    pub fn name(self) -> &'static str {
        self.0
    }

    /// Returns what a message says to mention an account; nothing where what it takes is not known.
    pub fn mention(self, id: Option<&str>, username: Option<&str>) -> Option<String> {
        match PLATFORMS.iter().find(|facts| facts.name == self.0)?.mention {
            Mention::Id => id.map(|id| format!("<@{id}>")),
            Mention::Plain => id.map(ToOwned::to_owned),
            Mention::Name => username.map(|name| format!("@{}", name.trim_start_matches('@'))),
        }
    }

    /// Returns the variables that hold this platform's tokens.
    pub fn tokens(self) -> &'static [&'static str] {
        PLATFORMS.iter().find(|facts| facts.name == self.0).map_or(&[], |facts| facts.tokens)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Returns the names of all known platforms.
pub fn names() -> impl Iterator<Item = &'static str> {
    PLATFORMS.iter().map(|facts| facts.name)
}

/// Returns the help that lists all known platforms.
pub fn help() -> String {
    format!("there are `{}`", names().collect::<Vec<_>>().join("`, `"))
}
