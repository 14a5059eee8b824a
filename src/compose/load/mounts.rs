//! The short syntax of `volumes`: `[source:]target[:options]`.

use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::span::Span;

use super::canonical::{boolean, entry};
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
            None => mounts.push(item),
        }
    }
    Node { kind: Kind::Seq(mounts), span: node.span, tag: node.tag }
}

fn mount(text: &str, span: Span) -> Option<Node> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match parts.as_slice() {
        [target] => (None, *target, ""),
        [source, target] => (Some(*source), *target, ""),
        [source, target, options] => (Some(*source), *target, *options),
        _ => return None,
    };
    if target.is_empty() || source.is_some_and(str::is_empty) {
        return None;
    }
    let text_node = |text: &str| Node::text(text, span);
    let is_bind = source.is_some_and(|source| source.starts_with(['.', '/', '~']));
    let kind = if is_bind { "bind" } else { "volume" };
    let mut entries = vec![entry("type", text_node(kind))];
    entries.extend(source.map(|source| entry("source", text_node(source))));
    entries.push(entry("target", text_node(target.trim_end_matches('/')).or_root(target, span)));
    let mut bind = vec![entry("create_host_path", boolean(true, span))];
    let mut volume = Vec::new();
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => entries.push(entry("read_only", boolean(true, span))),
            "z" | "Z" => bind.push(entry("selinux", text_node(option))),
            "nocopy" => volume.push(entry("nocopy", boolean(true, span))),
            "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave" => {
                bind.push(entry("propagation", text_node(option)));
            }
            _ => {}
        }
    }
    let (key, options) = if is_bind { ("bind", bind) } else { ("volume", volume) };
    entries.push(entry(key, Node::map(options, span)));
    Some(Node::map(entries, span))
}

/// Returns whether the source of a bind mount is the home directory or a path below it: `~` or `~/x`. The text is kept
/// as written; whoever knows the home directory puts it in.
pub fn is_home(path: &str) -> bool {
    path == "~" || path.starts_with("~/")
}

impl Node {
    /// Returns the root directory where trimming left nothing.
    fn or_root(self, written: &str, span: Span) -> Node {
        if written.starts_with('/') && written.trim_end_matches('/').is_empty() { Node::text("/", span) } else { self }
    }
}
