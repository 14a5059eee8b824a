//! The pass that takes `!reset` and `!override` out of a document and remembers where they stood.
//!
//! Both mean that earlier files have nothing to say there; a key with `!reset` goes from its own document too.

use crate::yaml::{Kind, Node};

/// Paths that earlier files say nothing of.
pub(crate) type Cleared = Vec<Vec<String>>;

/// Takes the tags out of a document and returns the paths they stood at.
pub(crate) fn take(document: &mut Node) -> Cleared {
    let mut cleared = Cleared::new();
    visit(document, &mut Vec::new(), &mut cleared);
    cleared
}

fn visit(node: &mut Node, path: &mut Vec<String>, cleared: &mut Cleared) {
    match &mut node.kind {
        Kind::Map(entries) => entries.retain_mut(|entry| {
            path.push(entry.key.clone());
            let stays = keep(&mut entry.value, path, cleared);
            path.pop();
            stays
        }),
        Kind::Seq(items) => {
            let mut index = 0;
            items.retain_mut(|item| {
                // Earlier files' lists are not taken apart: no key stands at this path.
                path.push(format!("[{index}]"));
                index += 1;
                let stays = keep(item, path, cleared);
                path.pop();
                stays
            });
        }
        Kind::Scalar(_) => {}
    }
}

/// Returns whether a value stays in its document.
fn keep(value: &mut Node, path: &mut Vec<String>, cleared: &mut Cleared) -> bool {
    match value.tag.as_deref() {
        Some("reset") => {
            cleared.push(path.clone());
            return false;
        }
        Some("override") => {
            cleared.push(path.clone());
            value.tag = None;
        }
        _ => {}
    }
    visit(value, path, cleared);
    true
}

/// Takes what stands at these paths out of what earlier files said.
pub(crate) fn clear(earlier: &mut Node, cleared: &Cleared) {
    for path in cleared {
        remove(earlier, path);
    }
}

/// Takes out of one service what `cleared` says of the service of this name.
pub(crate) fn clear_service(service: &mut Node, name: &str, cleared: &Cleared) {
    for path in cleared {
        if let [section, of, rest @ ..] = path.as_slice()
            && section == "services"
            && of == name
        {
            remove(service, rest);
        }
    }
}

fn remove(node: &mut Node, path: &[String]) {
    let (Kind::Map(entries), [key, rest @ ..]) = (&mut node.kind, path) else { return };
    if rest.is_empty() {
        entries.retain(|entry| entry.key != *key);
    } else if let Some(entry) = entries.iter_mut().find(|entry| entry.key == *key) {
        remove(&mut entry.value, rest);
    }
}
