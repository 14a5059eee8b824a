//! The name of an artifact: a registry, a repository in it, and a tag or a digest.

use super::PersonaError;

/// The registry of a name that says none, as it is in names and as it is spoken to.
const HUB: &str = "docker.io";
const HUB_HOST: &str = "index.docker.io";

/// A name, read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// The host, with a port where it says one.
    pub(super) registry: String,
    /// The repository.
    pub(super) repository: String,
    /// The tag, where there is no digest.
    pub(super) tag: String,
    /// The digest of its manifest.
    pub(super) digest: Option<String>,
}

impl Named {
    /// Returns a name as docker reads it.
    pub(super) fn parse(text: &str) -> Result<Self, PersonaError> {
        Self::read(text).ok_or_else(|| {
            PersonaError::new("is no name of an artifact: it is written `registry/repository:tag` or `…@sha256:…`")
        })
    }

    fn read(text: &str) -> Option<Self> {
        let (rest, digest) = match text.split_once('@') {
            Some((_, digest)) if !is_digest(digest) => return None,
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        let (name, tag) = match rest.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')) {
            Some((_, tag)) if !is_tag(tag) => return None,
            Some((name, tag)) => (name, tag),
            None => (rest, "latest"),
        };
        let is_host = |first: &str| first.contains(['.', ':']) || first == "localhost";
        let (host, path) = match name.split_once('/').filter(|(first, _)| is_host(first)) {
            Some((host, path)) => (host, path.to_owned()),
            None => (HUB, name.to_owned()),
        };
        let is_hub = matches!(host, HUB | HUB_HOST);
        let path = if is_hub && !path.contains('/') { format!("library/{path}") } else { path };
        let is_whole = path.len() <= 255 && path.split('/').all(is_part) && (is_hub || is_registry(host));
        is_whole.then(|| Self {
            registry: if is_hub { HUB_HOST } else { host }.to_owned(),
            repository: path,
            tag: tag.to_owned(),
            digest: digest.map(ToOwned::to_owned),
        })
    }
}

/// Returns whether a text is a SHA-256 digest.
pub(super) fn is_digest(text: &str) -> bool {
    hex_of(text).is_some()
}

/// Returns the digits of a SHA-256 digest; nothing where a text is none.
pub(super) fn hex_of(text: &str) -> Option<&str> {
    let is_digit = |each: u8| matches!(each, b'0'..=b'9' | b'a'..=b'f');
    text.strip_prefix("sha256:").filter(|hex| hex.len() == 64 && hex.bytes().all(is_digit))
}

fn is_tag(text: &str) -> bool {
    let is_word = |each: u8| each.is_ascii_alphanumeric() || each == b'_';
    text.len() <= 128
        && text.bytes().next().is_some_and(is_word)
        && text.bytes().all(|each| is_word(each) || matches!(each, b'.' | b'-'))
}

fn is_part(text: &str) -> bool {
    let is_end = |each: u8| each.is_ascii_lowercase() || each.is_ascii_digit();
    let [Some(first), Some(last)] = [text.bytes().next(), text.bytes().last()] else { return false };
    is_end(first) && is_end(last) && text.bytes().all(|each| is_end(each) || matches!(each, b'.' | b'_' | b'-'))
}

fn is_registry(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) if host.parse::<std::net::Ipv6Addr>().is_ok() => ("six", rest),
        Some(_) => return false,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|each| each.is_ascii_alphanumeric() || each == b'-')
    };
    is_port && host.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_docker_reads_it() {
        let digest = format!("sha256:{}", "a1".repeat(32));
        let read = |text: &str| {
            let named = Named::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            (named.registry, named.repository, named.tag, named.digest)
        };
        let row = |registry: &str, repository: &str, tag: &str, digest: Option<&str>| {
            (registry.to_owned(), repository.to_owned(), tag.to_owned(), digest.map(ToOwned::to_owned))
        };
        assert_eq!(read("ghcr.io/acme/bot:1.2"), row("ghcr.io", "acme/bot", "1.2", None));
        assert_eq!(read("localhost/bot"), row("localhost", "bot", "latest", None));
        assert_eq!(read("[::1]:5000/a/b/c:x"), row("[::1]:5000", "a/b/c", "x", None));
        assert_eq!(read("bot"), row(HUB_HOST, "library/bot", "latest", None));
        assert_eq!(read("acme/bot:2"), row(HUB_HOST, "acme/bot", "2", None));
        assert_eq!(read("docker.io/bot:2"), row(HUB_HOST, "library/bot", "2", None));
        let pinned = format!("127.0.0.1:5000/acme/bot:1@{digest}");
        assert_eq!(read(&pinned), row("127.0.0.1:5000", "acme/bot", "1", Some(&digest)));
        for wrong in [
            "",
            ":1",
            "Bot",
            "ghcr.io/acme/Bot",
            "ghcr.io/",
            "ghcr.io/../bot",
            "ghcr.io/a//b",
            "ghcr.io/a?x=1",
            "ghcr.io/a:b c",
            "ghcr.io:99999/a",
            "user@ghcr.io/a",
            "ghcr.io/a@sha256:00",
            "ghcr.io/a@sha512:00",
            "https://ghcr.io/a",
            "-x.example/a",
            "[zz]:1/a",
            "ghcr.io/\u{1b}a",
        ] {
            assert!(Named::parse(wrong).is_err(), "{wrong}");
        }
    }
}
