//! The short syntax of `volumes`: `[source:]target[:options]`.

use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::span::Span;

use super::canonical::{below, boolean, entry, labelled};
use crate::yaml::{Kind, Node};

/// Returns a list of mounts in the long syntax.
pub(crate) fn mounts(node: Node, diag: &mut Diagnostics) -> Node {
    let Kind::Seq(items) = node.kind else { return node };
    let mut mounts = Vec::new();
    for item in items {
        match item.scalar().map(|scalar| scalar.text.clone()) {
            Some(text) => match mount(&text, item.span) {
                Some(mount) => mounts.push(mount),
                None => diag.push(
                    Diagnostic::error(Code::BadValue, item.span, format!("`{text}` is not a mount"))
                        .help("write `volume:/path`, `./host/path:/path` or `volume:/path:ro`"),
                ),
            },
            None => mounts.push(long(item, diag)),
        }
    }
    Node { kind: Kind::Seq(mounts), span: node.span, tag: node.tag }
}

/// Returns the path in the container of a mount in the short syntax.
pub(crate) fn target(text: &str) -> Option<String> {
    let parts = parts(text);
    if parts.len() == 1 { parts.into_iter().next() } else { parts.into_iter().nth(1) }
}

fn long(mut item: Node, diag: &mut Diagnostics) -> Node {
    item = below(item, &[("volume", labelled)], diag);
    if let Kind::Map(entries) = &mut item.kind
        && let Some(target) = entries.iter_mut().find(|entry| entry.key == "target")
        && let Kind::Scalar(scalar) = &mut target.value.kind
    {
        scalar.text = clean(&scalar.text);
    }
    item
}

/// A path in a container without a slash at its end and without `.` and `..`.
fn clean(target: &str) -> String {
    if target.is_empty() { String::new() } else { super::paths::plain(target) }
}

/// The parts of a mount: a letter before a colon is a drive of Windows, as it is in docker compose.
fn parts(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for character in text.chars() {
        let Some(last) = parts.last_mut() else { break };
        let is_drive = last.chars().count() == 1 && last.chars().all(char::is_alphabetic);
        match character {
            ':' if !is_drive => parts.push(String::new()),
            character => last.push(character),
        }
    }
    parts
}

fn is_path(source: &str) -> bool {
    let mut characters = source.chars();
    let is_drive = characters.next().is_some_and(char::is_alphabetic) && characters.next() == Some(':');
    source.starts_with(['.', '/', '~']) || source.starts_with("\\\\") || is_drive
}

fn mount(text: &str, span: Span) -> Option<Node> {
    let text_node = |text: &str| Node::text(text, span);
    if matches!(text.len(), 1 | 2) {
        let target = entry("target", text_node(&clean(text)));
        return Some(Node::map(vec![entry("type", text_node("volume")), target], span));
    }
    let parts = parts(text);
    let (source, target, options) = match parts.as_slice() {
        [target] => (None, target, ""),
        [source, target] => (Some(source.as_str()), target, ""),
        [source, target, options] => (Some(source.as_str()), target, options.as_str()),
        _ => return None,
    };
    if parts.iter().any(String::is_empty) {
        return None;
    }
    let is_bind = source.is_some_and(is_path);
    let kind = if is_bind { "bind" } else { "volume" };
    let mut entries = vec![entry("type", text_node(kind))];
    entries.extend(source.map(|source| entry("source", text_node(source))));
    entries.push(entry("target", text_node(&clean(target))));
    let mut bind = vec![entry("create_host_path", boolean(true, span))];
    let mut volume = Vec::new();
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            // The last of them counts.
            "ro" | "rw" => {
                entries.retain(|entry| entry.key != "read_only");
                if option == "ro" {
                    entries.push(entry("read_only", boolean(true, span)));
                }
            }
            "z" | "Z" => bind.push(entry("selinux", text_node(option))),
            "nocopy" => volume.push(entry("nocopy", boolean(true, span))),
            "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave" => {
                bind.push(entry("propagation", text_node(option)));
            }
            _ => {}
        }
    }
    if is_bind || bind.len() > 1 {
        bind.retain(|option| is_bind || option.key != "create_host_path");
        entries.push(entry("bind", Node::map(bind, span)));
    }
    if !is_bind {
        entries.push(entry("volume", Node::map(volume, span)));
    }
    Some(Node::map(entries, span))
}

/// Returns whether the source of a bind mount is the home directory or a path below it: `~` or `~/x`. The text is kept
/// as written; whoever knows the home directory puts it in.
pub fn is_home(path: &str) -> bool {
    path == "~" || path.starts_with("~/")
}
