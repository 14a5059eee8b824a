//! Paths as text: joined and made plain without looking at any disk, relative to the project's directory.

use crate::yaml::{Kind, Node};

/// Returns a path seen from the project's directory, where `directory` is; an absolute path and one below the home
/// directory stay as they are. Relative results start with `.`, so that no one is taken for a volume.
pub(crate) fn join(directory: &str, path: &str) -> String {
    if is_absolute(path) {
        return path.to_owned();
    }
    if directory.is_empty() || directory == "." || super::is_home(path) {
        return path.to_owned();
    }
    let joined = plain(&format!("{directory}/{path}"));
    if joined.starts_with(['/', '.']) { joined } else { format!("./{joined}") }
}

/// Returns whether a path starts at a root: `/`, or a drive or share of Windows.
pub(crate) fn is_absolute(path: &str) -> bool {
    let is_drive = path.get(1..3).is_some_and(|drive| matches!(drive, ":\\" | ":/"));
    path.starts_with('/') || path.starts_with("\\\\") || is_drive
}

/// Returns a path without `.`, empty parts, and `..` after a name; `.` where nothing is left.
pub fn plain(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if path.starts_with('/') => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (path.starts_with('/'), joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

/// Returns the directory a path lies in; `.` for a path of one part.
pub fn parent(path: &str) -> String {
    match path.rsplit_once('/') {
        Some(("", _)) => "/".to_owned(),
        Some((parent, _)) => plain(parent),
        None => ".".to_owned(),
    }
}

/// Returns whether a reference is to another machine: a repository, a registry or a web address.
pub fn is_remote(text: &str) -> bool {
    let schemes = ["https://", "http://", "git://", "ssh://", "git@", "github.com/", "oci://"];
    schemes.iter().any(|scheme| text.starts_with(scheme))
}

/// Returns whether a build context is one that the builder fetches.
pub(crate) fn is_remote_context(text: &str) -> bool {
    is_remote(text) || text.contains("://") || text.starts_with("service:")
}

/// Calls `change` for every text of a canonical file that is a path of the host.
fn visit(root: &mut Node, change: &dyn Fn(&str) -> String) {
    each(root, "services", &|service| {
        if let Some(build) = get(service, "build") {
            at(build, "context", &|text| if is_remote_context(text) { text.to_owned() } else { change(text) });
            if let Some(contexts) = get(build, "additional_contexts") {
                values(contexts, &|text| if is_remote_context(text) { text.to_owned() } else { change(text) });
            }
        }
        items(service, "env_file", &|file| at(file, "path", change));
        items(service, "label_file", &|file| scalar(file, change));
        if let Some(extends) = get(service, "extends") {
            at(extends, "file", &|text| if is_remote(text) { text.to_owned() } else { change(text) });
        }
        if let Some(develop) = get(service, "develop") {
            items(develop, "watch", &|rule| at(rule, "path", change));
        }
        items(service, "volumes", &|mount| {
            if text_of(mount, "type") == Some("bind") {
                at(mount, "source", change);
            }
        });
    });
    for section in ["configs", "secrets"] {
        each(root, section, &|object| at(object, "file", change));
    }
    each(root, "volumes", &|volume| {
        let is_local = text_of(volume, "driver") == Some("local");
        if let Some(options) = get(volume, "driver_opts")
            && is_local
            && text_of(options, "o") == Some("bind")
        {
            at(options, "device", change);
        }
    });
}

/// Makes the paths of a canonical file that lies in `directory` start at the project's directory.
pub(crate) fn rebase(root: &mut Node, directory: &str) {
    if directory != "." {
        visit(root, &|path| join(directory, path));
    }
}

fn get<'n>(node: &'n mut Node, key: &str) -> Option<&'n mut Node> {
    match &mut node.kind {
        Kind::Map(entries) => entries.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.value),
        Kind::Seq(_) | Kind::Scalar(_) => None,
    }
}

fn text_of<'n>(node: &'n Node, key: &str) -> Option<&'n str> {
    node.get(key).and_then(Node::scalar).map(|scalar| scalar.text.as_str())
}

fn scalar(node: &mut Node, change: &dyn Fn(&str) -> String) {
    if !node.is_null()
        && let Kind::Scalar(scalar) = &mut node.kind
    {
        scalar.text = change(&scalar.text);
    }
}

fn at(node: &mut Node, key: &str, change: &dyn Fn(&str) -> String) {
    if let Some(value) = get(node, key) {
        scalar(value, change);
    }
}

fn values(node: &mut Node, change: &dyn Fn(&str) -> String) {
    if let Kind::Map(entries) = &mut node.kind {
        entries.iter_mut().for_each(|entry| scalar(&mut entry.value, change));
    }
}

fn items(node: &mut Node, key: &str, visit: &dyn Fn(&mut Node)) {
    if let Some(Node { kind: Kind::Seq(items), .. }) = get(node, key) {
        items.iter_mut().for_each(visit);
    }
}

fn each(root: &mut Node, section: &str, visit: &dyn Fn(&mut Node)) {
    if let Some(Node { kind: Kind::Map(entries), .. }) = get(root, section) {
        entries.iter_mut().for_each(|entry| visit(&mut entry.value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_without_a_disk() {
        for (directory, path, joined) in [
            (".", "./x", "./x"),
            ("sub", "./x", "./sub/x"),
            ("sub", "..", "."),
            ("sub", "../../x", "../x"),
            ("../up", "x", "../up/x"),
            ("sub", "/x/../y", "/x/../y"),
            ("sub", "C:\\\\x", "C:\\\\x"),
            ("sub", "~/x", "~/x"),
            ("/abs", "x", "/abs/x"),
        ] {
            assert_eq!(join(directory, path), joined, "{directory} {path}");
        }
        assert_eq!((parent("a/b/c.yml").as_str(), parent("c.yml").as_str(), parent("/c").as_str()), ("a/b", ".", "/"));
        assert_eq!(plain("/../a"), "/a");
    }
}
