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
    /// Where a token of it holds the id of its account.
    pub account: AccountIn,
    /// How a message mentions an account.
    pub mention: Mention,
    /// Hosts that a client of it talks to, at port 443; none where each operator has one of their own.
    pub hosts: &'static [&'static str],
}

/// Where the id of an account is in its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountIn {
    /// Nowhere that is known.
    Nowhere,
    /// Its first segment is the id in base64url (discord, API v10 of November 2026).
    FirstSegment,
    /// What stands before the colon is the id (telegram, Bot API 9).
    BeforeColon,
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

/// A platform whose tokens tell nothing.
const fn row(
    name: &'static str,
    tokens: &'static [&'static str],
    mention: Mention,
    hosts: &'static [&'static str],
) -> PlatformFacts {
    PlatformFacts { name, tokens, account: AccountIn::Nowhere, mention, hosts }
}

/// Hosts of clients (each platform's public API reference, November 2026).
const DISCORD: &[&str] =
    &["cdn.discordapp.com", "discord.com", "gateway.discord.gg", "*.discord.gg", "media.discordapp.net"];
const SLACK: &[&str] = &["slack.com", "*.slack.com"];
const WECOM: &[&str] = &["openws.work.weixin.qq.com", "qyapi.weixin.qq.com"];

/// Known platforms, in the order of their names.
pub const PLATFORMS: &[PlatformFacts] = &[
    row("dingtalk", &["DINGTALK_BOT_TOKEN"], Mention::Name, &["*.dingtalk.com"]),
    PlatformFacts { account: AccountIn::FirstSegment, ..row("discord", &["DISCORD_BOT_TOKEN"], Mention::Id, DISCORD) },
    row("feishu", &["FEISHU_BOT_TOKEN"], Mention::Name, &["*.feishu.cn", "*.larksuite.com"]),
    row("line", &["LINE_BOT_TOKEN"], Mention::Name, &["api-data.line.me", "api.line.me"]),
    row("maixcam", &["MAIXCAM_BOT_TOKEN"], Mention::Name, &[]),
    row("matrix", &["MATRIX_BOT_TOKEN"], Mention::Plain, &[]),
    row("onebot", &["ONEBOT_BOT_TOKEN"], Mention::Name, &[]),
    row("pico", &["PICO_BOT_TOKEN"], Mention::Name, &[]),
    row("qq", &["QQ_BOT_TOKEN"], Mention::Name, &["api.sgroup.qq.com", "bots.qq.com"]),
    row("slack", &["SLACK_BOT_TOKEN", "SLACK_APP_TOKEN"], Mention::Id, SLACK),
    PlatformFacts {
        account: AccountIn::BeforeColon,
        ..row("telegram", &["TELEGRAM_BOT_TOKEN"], Mention::Name, &["api.telegram.org"])
    },
    row("wecom", &["WECOM_BOT_TOKEN"], Mention::Name, WECOM),
    row("wecom_app", &["WECOM_APP_BOT_TOKEN"], Mention::Name, WECOM),
    row("whatsapp", &["WHATSAPP_BOT_TOKEN"], Mention::Name, &["web.whatsapp.com", "*.whatsapp.net"]),
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

    fn facts(self) -> Option<&'static PlatformFacts> {
        PLATFORMS.iter().find(|facts| facts.name == self.0)
    }

    /// Returns what a message says to mention an account; nothing where what it takes is not known.
    pub fn mention(self, id: Option<&str>, username: Option<&str>) -> Option<String> {
        match self.facts()?.mention {
            Mention::Id => id.map(|id| format!("<@{id}>")),
            Mention::Plain => id.map(ToOwned::to_owned),
            Mention::Name => username.map(|name| format!("@{}", name.trim_start_matches('@'))),
        }
    }

    /// Returns the variables that hold this platform's tokens.
    pub fn tokens(self) -> &'static [&'static str] {
        self.facts().map_or(&[], |facts| facts.tokens)
    }

    /// Returns the hosts that a client of this platform talks to.
    pub fn hosts(self) -> &'static [&'static str] {
        self.facts().map_or(&[], |facts| facts.hosts)
    }

    /// Returns whether a token of this platform tells whose it is.
    pub fn tells_account(self) -> bool {
        self.facts().is_some_and(|facts| facts.account != AccountIn::Nowhere)
    }

    /// Returns the id of the account that a token belongs to; nothing where the token has not the platform's form.
    pub fn account(self, token: &str) -> Option<String> {
        let id = match self.facts()?.account {
            AccountIn::Nowhere => return None,
            AccountIn::FirstSegment => String::from_utf8(base64url(token.split_once('.')?.0)?).ok()?,
            AccountIn::BeforeColon => token.split_once(':')?.0.to_owned(),
        };
        let is_id = (1..=20).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit());
        is_id.then_some(id)
    }
}

/// Returns the bytes of a base64url text, padded or not.
fn base64url(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for each in text.trim_end_matches('=').bytes() {
        let value = match each {
            b'A'..=b'Z' => each - b'A',
            b'a'..=b'z' => each - b'a' + 26,
            b'0'..=b'9' => each - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xff_ffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    Some(bytes)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_tells_its_account_where_its_platform_says_so() {
        let platform = |name| Platform::parse(name).expect("a platform");
        // base64url of 123456789012345678, as the API writes it: without padding.
        let token = "MTIzNDU2Nzg5MDEyMzQ1Njc4.GabcdE.not-a-real-one";
        assert_eq!(platform("discord").account(token).as_deref(), Some("123456789012345678"));
        assert_eq!(platform("telegram").account("110201543:AAH").as_deref(), Some("110201543"));
        for bad in ["", ".", "abc", "MTIz!.x.y", "bm90LWEtbnVtYmVy.x.y", "\u{e9}.x"] {
            assert_eq!(platform("discord").account(bad), None, "{bad}");
        }
        assert_eq!(platform("telegram").account("x:y"), None);
        assert_eq!(platform("slack").account(token), None);
        assert!(!platform("slack").tells_account());
    }
}
