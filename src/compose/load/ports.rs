//! The short syntax of `ports`: `[ip:][published:]target[/protocol]`, ranges on both sides.

use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::span::Span;

use super::canonical::{entry, plain};
use crate::yaml::{Kind, Node, Resolved};

/// Returns a list of ports in the long syntax.
pub(crate) fn ports(node: Node, diag: &mut Diagnostics) -> Node {
    let Kind::Seq(items) = node.kind else { return node };
    let mut ports = Vec::new();
    for item in items {
        match item.scalar().map(|scalar| scalar.text.clone()) {
            Some(text) => match port(&text, item.span) {
                Some(more) => ports.extend(more),
                None => diag.push(
                    Diagnostic::error(Code::BadValue, item.span, format!("`{text}` is not a port"))
                        .help("write `8080`, `8080:80`, `127.0.0.1:8080:80` or `8080:80/udp`"),
                ),
            },
            None => ports.push(long(item)),
        }
    }
    Node { kind: Kind::Seq(ports), span: node.span, tag: node.tag }
}

fn long(mut item: Node) -> Node {
    let span = item.span;
    if let Kind::Map(entries) = &mut item.kind {
        for each in entries.iter_mut().filter(|each| each.key == "published") {
            // A number in any notation is the port it means; what is none is the schema's to refuse.
            if let Some(Resolved::Int(port)) = each.value.scalar().map(crate::yaml::Scalar::resolve) {
                each.value = Node::text(port.to_string(), each.value.span);
            }
        }
        let lacks = |key: &str, entries: &[crate::yaml::Entry]| !entries.iter().any(|each| each.key == key);
        for (key, value) in [("mode", "ingress"), ("protocol", "tcp")] {
            if lacks(key, entries) {
                entries.push(entry(key, Node::text(value, span)));
            }
        }
    }
    item
}

fn port(text: &str, span: Span) -> Option<Vec<Node>> {
    let (address, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return None;
    }
    let (host, target) = match address.rsplit_once(':') {
        Some((host, target)) => (host, target),
        None => ("", address),
    };
    let (ip, published) = match host.rsplit_once(':') {
        // An IPv6 address has brackets here, or nobody can say where it ends.
        Some((ip, published)) => match ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')) {
            Some(inner) => (inner, published),
            None if ip.contains(':') => return None,
            None => (ip, published),
        },
        None => ("", host),
    };
    if !ip.is_empty() && ip.parse::<std::net::IpAddr>().is_err() {
        return None;
    }
    let targets = range(target)?;
    let hosts = if published.is_empty() { None } else { Some(range(published)?) };
    let make = |target: u16, published: Option<String>| {
        let mut entries = vec![entry("mode", Node::text("ingress", span))];
        if !ip.is_empty() {
            entries.push(entry("host_ip", Node::text(ip, span)));
        }
        entries.push(entry("target", plain(&target.to_string(), span)));
        if let Some(published) = published {
            entries.push(entry("published", Node::text(published, span)));
        }
        entries.push(entry("protocol", Node::text(protocol.as_str(), span)));
        Node::map(entries, span)
    };
    let length = |(first, last): (u16, u16)| usize::from(last - first) + 1;
    match hosts {
        None => Some((targets.0..=targets.1).map(|target| make(target, None)).collect()),
        Some(hosts) if length(hosts) == length(targets) => {
            Some((targets.0..=targets.1).zip(hosts.0..=hosts.1).map(|(t, h)| make(t, Some(h.to_string()))).collect())
        }
        Some(_) if length(targets) == 1 => Some(vec![make(targets.0, Some(published.to_owned()))]),
        Some(_) => None,
    }
}

fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    if first <= last { Some((first, last)) } else { None }
}
