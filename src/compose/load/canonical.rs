//! The pass that writes every short syntax out long, so that nothing after it knows there are short ones.
//!
//! A table maps the keys of a service to functions from node to node. Wrong types are left alone: decoding reports them.

use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::span::Span;

use crate::load::words;
use crate::units::go_float;
use crate::yaml::{Entry, Kind, Node, Resolved, Scalar};

type Pass = fn(Node, &mut Diagnostics) -> Node;

/// Short syntaxes of a service, by key.
const SERVICE: &[(&str, Pass)] = &[
    ("annotations", texts),
    ("build", build),
    ("command", argv),
    ("configs", file_mounts),
    ("depends_on", dependencies),
    ("deploy", deploy),
    ("develop", develop),
    ("devices", devices),
    ("dns", list),
    ("dns_search", list),
    ("entrypoint", argv),
    ("env_file", env_files),
    ("environment", pairs),
    ("expose", texts_list),
    ("extra_hosts", hosts),
    ("gpus", gpus),
    ("group_add", texts_list),
    ("healthcheck", healthcheck),
    ("label_file", list),
    ("labels", texts),
    ("logging", logging),
    ("models", names),
    ("networks", attachments),
    ("ports", super::ports::ports),
    ("post_start", hooks),
    ("pre_stop", hooks),
    ("provider", provider),
    ("pull_policy", pull_policy),
    ("secrets", file_mounts),
    ("storage_opt", options),
    ("sysctls", texts),
    ("tmpfs", list),
    ("volumes", super::mounts::mounts),
];

/// Returns a whole file with its short syntaxes written out.
pub(crate) fn canonical(mut root: Node, diag: &mut Diagnostics) -> Node {
    let Kind::Map(sections) = &mut root.kind else { return root };
    for section in sections {
        let pass: fn(Node, &mut Diagnostics) -> Node = match section.key.as_str() {
            "services" => service,
            "networks" | "volumes" | "secrets" | "configs" => resource,
            _ => continue,
        };
        if let Kind::Map(entries) = &mut section.value.kind {
            for entry in entries {
                replace(&mut entry.value, pass, diag);
            }
        }
    }
    root
}

pub(crate) fn replace(node: &mut Node, pass: Pass, diag: &mut Diagnostics) {
    let span = node.span;
    let taken = std::mem::replace(node, Node::null(span));
    *node = pass(taken, diag);
}

fn service(mut node: Node, diag: &mut Diagnostics) -> Node {
    if let Kind::Map(entries) = &mut node.kind {
        for entry in entries {
            if let Some((_, pass)) = SERVICE.iter().find(|(key, _)| *key == entry.key) {
                replace(&mut entry.value, *pass, diag);
            }
        }
    }
    node
}

pub(crate) fn below(mut node: Node, keys: &[(&str, Pass)], diag: &mut Diagnostics) -> Node {
    if let Kind::Map(entries) = &mut node.kind {
        for entry in entries {
            if let Some((_, pass)) = keys.iter().find(|(key, _)| *key == entry.key) {
                replace(&mut entry.value, *pass, diag);
            }
        }
    }
    node
}

fn resource(node: Node, diag: &mut Diagnostics) -> Node {
    below(external(node, diag), &[("labels", texts), ("driver_opts", options)], diag)
}

/// The options of a volume mount: labels in both forms.
pub(crate) fn labelled(node: Node, diag: &mut Diagnostics) -> Node {
    below(node, &[("labels", texts)], diag)
}

/// The old form `external: {name: x}` becomes `external: true` and `name: x`.
fn external(mut node: Node, diag: &mut Diagnostics) -> Node {
    let name = node.get("name").and_then(Node::scalar).map(|scalar| scalar.text.clone());
    let Kind::Map(entries) = &mut node.kind else { return node };
    let Some(old) = entries.iter_mut().find(|entry| entry.key == "external") else { return node };
    let Kind::Map(fields) = &old.value.kind else { return node };
    if let Some(other) = fields.iter().find(|field| field.key != "name") {
        let message = format!("`external` has no key `{}`", other.key);
        let help = "write `external: true`, and `name:` beside it";
        diag.push(Diagnostic::error(Code::UnknownKey, other.key_span, message).help(help));
    }
    let (span, inner) = (old.value.span, fields.iter().find(|field| field.key == "name").cloned());
    old.value = boolean(true, span);
    let Some(inner) = inner else { return node };
    let text = inner.value.scalar().map(|scalar| scalar.text.clone());
    if name.is_some() && name != text {
        let message = "`name` and `external.name` differ";
        let help = "write `external: true`, and one `name:` beside it";
        diag.push(Diagnostic::error(Code::ConflictingKeys, inner.value.span, message).help(help));
    } else {
        let message = "`external: {name: …}` is the old form";
        let help = "write `external: true`, and `name:` beside it";
        diag.push(Diagnostic::warning(Code::Discouraged, inner.key_span, message).help(help));
    }
    if name.is_none() {
        entries.push(inner);
    }
    node
}

/// A text is a context.
pub(crate) fn context(node: Node) -> Node {
    let span = node.span;
    if is_text(&node) { Node::map(vec![entry("context", node)], span) } else { node }
}

fn build(node: Node, diag: &mut Diagnostics) -> Node {
    let node = context(node);
    let keys: &[(&str, Pass)] = &[
        ("additional_contexts", texts),
        ("args", pairs),
        ("extra_hosts", hosts),
        ("labels", texts),
        ("secrets", file_mounts),
        ("ssh", ssh),
    ];
    below(node, keys, diag)
}

/// Gives every build of a file its context: the directory the file's paths start from.
pub(crate) fn contexts(root: &mut Node) {
    let Kind::Map(sections) = &mut root.kind else { return };
    for section in sections.iter_mut().filter(|section| section.key == "services") {
        let Kind::Map(services) = &mut section.value.kind else { continue };
        for service in services {
            let Kind::Map(keys) = &mut service.value.kind else { continue };
            let Some(build) = keys.iter_mut().find(|key| key.key == "build") else { continue };
            let span = build.value.span;
            if let Kind::Map(fields) = &mut build.value.kind
                && !fields.iter().any(|field| field.key == "context")
            {
                fields.push(entry("context", Node::text(".", span)));
            }
        }
    }
}

/// `default`, `id` or `id=path`, as a mapping from ids to paths. Nothing is no value.
fn ssh(node: Node, diag: &mut Diagnostics) -> Node {
    if node.is_null() {
        let error = Diagnostic::error(Code::WrongType, node.span, "`ssh` must be a mapping or a list, and is nothing");
        diag.push(error.help("write `[default]`, or `- id=path`"));
        return node;
    }
    texts(node, diag)
}

fn hooks(node: Node, diag: &mut Diagnostics) -> Node {
    each_item(node, |item| below(item, &[("command", argv), ("environment", pairs)], diag))
}

fn develop(node: Node, diag: &mut Diagnostics) -> Node {
    fn rules(node: Node, diag: &mut Diagnostics) -> Node {
        fn hook(node: Node, diag: &mut Diagnostics) -> Node {
            below(node, &[("command", argv), ("environment", pairs)], diag)
        }
        each_item(node, |item| below(item, &[("exec", hook), ("ignore", list), ("include", list)], diag))
    }
    below(node, &[("watch", rules)], diag)
}

/// `all` is one request for all of them.
fn gpus(node: Node, diag: &mut Diagnostics) -> Node {
    let span = node.span;
    if node.scalar().is_some_and(|scalar| scalar.text == "all") {
        let request = Node::map(vec![entry("count", plain("-1", span))], span);
        return Node { kind: Kind::Seq(vec![request]), span, tag: None };
    }
    requests(node, diag)
}

fn requests(node: Node, diag: &mut Diagnostics) -> Node {
    each_item(node, |item| below(item, &[("options", texts)], diag))
}

/// Options of a provider: each a list of texts.
fn provider(node: Node, diag: &mut Diagnostics) -> Node {
    fn options(node: Node, _: &mut Diagnostics) -> Node {
        let Kind::Map(mut entries) = node.kind else { return node };
        for entry in &mut entries {
            let span = entry.value.span;
            let value = std::mem::replace(&mut entry.value, Node::null(span));
            let items = match value.kind {
                Kind::Seq(items) => items,
                _ => vec![value],
            };
            entry.value = Node { kind: Kind::Seq(items.into_iter().map(as_text).collect()), span, tag: None };
        }
        Node { kind: Kind::Map(entries), ..node }
    }
    below(node, &[("options", options)], diag)
}

fn names(node: Node, diag: &mut Diagnostics) -> Node {
    match node.kind {
        Kind::Seq(items) => keyed(items, node.span, Node::null, diag),
        _ => node,
    }
}

fn each_item(node: Node, mut change: impl FnMut(Node) -> Node) -> Node {
    match node.kind {
        Kind::Seq(items) => Node { kind: Kind::Seq(items.into_iter().map(&mut change).collect()), ..node },
        _ => node,
    }
}

fn deploy(node: Node, diag: &mut Diagnostics) -> Node {
    fn resources(node: Node, diag: &mut Diagnostics) -> Node {
        fn reservations(node: Node, diag: &mut Diagnostics) -> Node {
            below(node, &[("devices", requests), ("memory", memory)], diag)
        }
        fn limits(node: Node, diag: &mut Diagnostics) -> Node {
            below(node, &[("memory", memory)], diag)
        }
        /// Swarm's word for a size is a text alone.
        fn memory(node: Node, diag: &mut Diagnostics) -> Node {
            if node.scalar().is_some_and(|scalar| matches!(scalar.resolve(), Resolved::Int(_) | Resolved::Float(_))) {
                let message = "`memory` of `deploy` must be a string, and is a number";
                let error = Diagnostic::error(Code::WrongType, node.span, message);
                diag.push(error.help("write a number and a unit, such as `64m`"));
            }
            node
        }
        below(node, &[("limits", limits), ("reservations", reservations)], diag)
    }
    below(node, &[("labels", texts), ("resources", resources)], diag)
}

fn logging(node: Node, diag: &mut Diagnostics) -> Node {
    below(node, &[("options", options)], diag)
}

fn healthcheck(node: Node, diag: &mut Diagnostics) -> Node {
    fn test(node: Node, _: &mut Diagnostics) -> Node {
        if !is_text(&node) {
            return node;
        }
        let span = node.span;
        Node { kind: Kind::Seq(vec![Node::text("CMD-SHELL", span), node]), span, tag: None }
    }
    below(node, &[("test", test)], diag)
}

fn argv(node: Node, diag: &mut Diagnostics) -> Node {
    let Some(scalar) = node.scalar().filter(|_| is_text(&node)) else { return node };
    let span = node.span;
    match words::split(&scalar.text) {
        Ok(words) => {
            let words = words.into_iter().map(|word| Node::text(word, span)).collect();
            Node { kind: Kind::Seq(words), span, tag: None }
        }
        Err(why) => {
            diag.push(
                Diagnostic::error(Code::BadValue, span, format!("this command {why}"))
                    .help("close it, or write the command as a list: `[\"sh\", \"-c\", \"…\"]`"),
            );
            Node::null(span)
        }
    }
}

/// `if_not_present` is the old word for `missing`.
fn pull_policy(node: Node, _: &mut Diagnostics) -> Node {
    let is_old = node.scalar().is_some_and(|scalar| scalar.text == "if_not_present");
    if is_old { Node::text("missing", node.span) } else { node }
}

/// A single text is a list of one.
fn list(node: Node, _: &mut Diagnostics) -> Node {
    let span = node.span;
    if is_text(&node) { Node { kind: Kind::Seq(vec![node]), span, tag: None } } else { node }
}

fn texts_list(node: Node, diag: &mut Diagnostics) -> Node {
    let is_float = |item: &&Node| item.scalar().is_some_and(|scalar| matches!(scalar.resolve(), Resolved::Float(_)));
    for item in node.items().iter().filter(is_float) {
        let error =
            Diagnostic::error(Code::WrongType, item.span, "an item of this list must be a string or an integer");
        diag.push(error.help("put it in quotes, if it is meant"));
    }
    match node.kind {
        Kind::Seq(items) => Node { kind: Kind::Seq(items.into_iter().map(as_text).collect()), ..node },
        _ => node,
    }
}

/// The same of a mapping alone: its schema knows no list, and no boolean.
fn options(node: Node, diag: &mut Diagnostics) -> Node {
    if matches!(node.kind, Kind::Seq(_)) {
        let error = Diagnostic::error(Code::WrongType, node.span, "options must be a mapping, and are a list");
        diag.push(error.help("write `KEY: value` without dashes"));
    }
    let is_flag = |entry: &&Entry| matches!(entry.value.scalar().map(Scalar::resolve), Some(Resolved::Bool(_)));
    for entry in node.entries().iter().filter(is_flag) {
        let message = format!("the option `{}` must be a string or a number, and is a boolean", entry.key);
        let error = Diagnostic::error(Code::WrongType, entry.value.span, message);
        diag.push(error.help("put it in quotes, if it is meant"));
    }
    texts(node, diag)
}

/// Numbers and booleans become text; nothing becomes empty text.
fn texts(node: Node, diag: &mut Diagnostics) -> Node {
    let node = pairs(node, diag);
    match node.kind {
        Kind::Map(mut entries) => {
            for entry in &mut entries {
                let value = std::mem::replace(&mut entry.value, Node::null(entry.key_span));
                entry.value = if value.is_null() { Node::text("", value.span) } else { as_text(value) };
            }
            Node { kind: Kind::Map(entries), ..node }
        }
        _ => node,
    }
}

/// A list of `KEY=value` becomes a mapping; a key without `=` has no value. Scalars become text.
fn pairs(node: Node, diag: &mut Diagnostics) -> Node {
    match node.kind {
        Kind::Seq(items) => {
            let mut entries: Vec<Entry> = Vec::new();
            for item in items {
                let scalar = item.scalar().filter(|scalar| scalar.is_text());
                let Some(text) = scalar.map(|scalar| scalar.text.clone()) else {
                    diag.push(
                        Diagnostic::error(Code::WrongType, item.span, "an item must be `KEY=value`")
                            .help("write `KEY: value` without dashes, or `- KEY=value`"),
                    );
                    continue;
                };
                let (key, value) = match text.split_once('=') {
                    Some((key, value)) => (key, Node::text(value, value_span(item.span, key.len() + 1))),
                    None => (text.as_str(), Node::null(item.span)),
                };
                if key.trim_end() != key {
                    let message = format!("the name `{}` ends in a space", key.trim_end());
                    let help = "write `KEY=value` without a space before `=`";
                    diag.push(Diagnostic::error(Code::BadValue, item.span, message).help(help));
                }
                entries.retain(|old| old.key != key);
                entries.push(Entry { key: key.to_owned(), key_span: item.span, value });
            }
            Node { kind: Kind::Map(entries), span: node.span, tag: node.tag }
        }
        Kind::Map(mut entries) => {
            for entry in &mut entries {
                if !entry.value.is_null() {
                    let value = std::mem::replace(&mut entry.value, Node::null(entry.key_span));
                    entry.value = as_text(value);
                }
            }
            Node { kind: Kind::Map(entries), ..node }
        }
        Kind::Scalar(_) => node,
    }
}

fn value_span(span: Span, skip: usize) -> Span {
    let start = (span.start as usize + skip).min(span.end as usize);
    Span::new(span.file, start, span.end as usize)
}

/// Lines of `/etc/hosts`: `host:address`, `host=address` or a mapping become `host=address`, one for each address, sorted
/// as docker compose sorts them; the brackets of an IPv6 address go.
fn hosts(node: Node, diag: &mut Diagnostics) -> Node {
    let span = node.span;
    let mut lines = Vec::new();
    match node.kind {
        Kind::Seq(items) => {
            for item in items {
                let Some(text) = item.scalar().map(|scalar| scalar.text.clone()) else {
                    lines.push(item);
                    continue;
                };
                match text.split_once('=').or_else(|| text.split_once(':')) {
                    Some((host, addresses)) => {
                        lines.extend(addresses.split(',').map(|address| host_line(host, address, item.span)));
                    }
                    None => {
                        let message = format!("`{}` is no host with an address", text.escape_debug());
                        let help = "write `host=address`, such as `db=10.0.0.2`";
                        diag.push(Diagnostic::error(Code::BadValue, item.span, message).help(help));
                    }
                }
            }
        }
        Kind::Map(entries) => {
            for entry in entries {
                let addresses = match &entry.value.kind {
                    Kind::Seq(items) => items.clone(),
                    _ => vec![entry.value.clone()],
                };
                for address in addresses {
                    let text = address.scalar().map(|scalar| scalar.text.clone()).unwrap_or_default();
                    lines.push(host_line(&entry.key, &text, address.span));
                }
            }
        }
        Kind::Scalar(_) => return node,
    }
    lines.sort_by(|left, right| left.scalar().map(|each| &each.text).cmp(&right.scalar().map(|each| &each.text)));
    Node { kind: Kind::Seq(lines), span, tag: None }
}

fn host_line(host: &str, address: &str, span: Span) -> Node {
    let inner = address.strip_prefix('[').and_then(|address| address.strip_suffix(']'));
    Node::text(format!("{}={}", host.trim(), inner.unwrap_or(address).trim()), span)
}

fn dependencies(node: Node, diag: &mut Diagnostics) -> Node {
    match node.kind {
        Kind::Seq(items) => keyed(items, node.span, started, diag),
        Kind::Map(mut entries) => {
            for each in &mut entries {
                let span = each.value.span;
                if let Kind::Map(fields) = &mut each.value.kind
                    && !fields.iter().any(|field| field.key == "required")
                {
                    fields.push(entry("required", boolean(true, span)));
                }
            }
            Node { kind: Kind::Map(entries), ..node }
        }
        Kind::Scalar(_) => node,
    }
}

/// A dependency in the short syntax: it has to be there, and started.
pub(crate) fn started(span: Span) -> Node {
    let condition = entry("condition", Node::text("service_started", span));
    Node::map(vec![condition, entry("required", boolean(true, span))], span)
}

fn attachments(node: Node, diag: &mut Diagnostics) -> Node {
    match node.kind {
        Kind::Seq(items) => keyed(items, node.span, Node::null, diag),
        Kind::Map(mut entries) => {
            for each in &mut entries {
                let span = each.value.span;
                let value = std::mem::replace(&mut each.value, Node::null(span));
                each.value = below(value, &[("driver_opts", options)], diag);
            }
            Node { kind: Kind::Map(entries), ..node }
        }
        Kind::Scalar(_) => node,
    }
}

pub(crate) fn keyed(items: Vec<Node>, span: Span, value: impl Fn(Span) -> Node, diag: &mut Diagnostics) -> Node {
    let mut entries: Vec<Entry> = Vec::new();
    for item in items {
        let Some(key) = item.scalar().map(|scalar| scalar.text.clone()) else {
            let error = Diagnostic::error(Code::WrongType, item.span, "an item of this list must be a name");
            diag.push(error.help("write `- name`, or a mapping with `name:` as a key"));
            continue;
        };
        if entries.iter().any(|entry| entry.key == key) {
            let error = Diagnostic::error(Code::DuplicateKey, item.span, format!("`{key}` stands twice in this list"));
            diag.push(error.help("take one of them out"));
            continue;
        }
        entries.push(Entry { key, key_span: item.span, value: value(item.span) });
    }
    Node::map(entries, span)
}

fn devices(node: Node, diag: &mut Diagnostics) -> Node {
    for item in node.items() {
        let is_odd = item.scalar().is_some_and(|scalar| scalar.text.split(':').count() > 3);
        let lacks = !item.entries().is_empty() && item.get("target").is_none();
        if is_odd || lacks {
            let message = if is_odd { "a device is `SOURCE:TARGET:PERMISSIONS`" } else { "a device has no `target`" };
            let error = Diagnostic::error(Code::BadValue, item.span, message);
            diag.push(error.help("write `/dev/a:/dev/b:rwm`, or `source`, `target` and `permissions`"));
        }
    }
    each_text(node, |text, span| {
        let parts: Vec<&str> = text.split(':').collect();
        let (source, target, permissions) = match parts.as_slice() {
            [source] => (*source, *source, "rwm"),
            [source, target] => (*source, *target, "rwm"),
            [source, target, permissions, ..] => (*source, *target, *permissions),
            [] => ("", "", "rwm"),
        };
        let fields = [("source", source), ("target", target), ("permissions", permissions)];
        Node::map(fields.map(|(key, text)| entry(key, Node::text(text, span))).into(), span)
    })
}

fn file_mounts(node: Node, _: &mut Diagnostics) -> Node {
    each_text(node, |text, span| Node::map(vec![entry("source", Node::text(text, span))], span))
}

fn env_files(node: Node, diag: &mut Diagnostics) -> Node {
    each_text(list(node, diag), |text, span| {
        Node::map(vec![entry("path", Node::text(text, span)), entry("required", boolean(true, span))], span)
    })
}

fn each_text(node: Node, long: impl Fn(&str, Span) -> Node) -> Node {
    match node.kind {
        Kind::Seq(items) => {
            let items = items.into_iter().map(|item| match item.scalar() {
                Some(scalar) => long(&scalar.text, item.span),
                None => item,
            });
            Node { kind: Kind::Seq(items.collect()), span: node.span, tag: node.tag }
        }
        _ => node,
    }
}

/// Returns a key and its value, both at the value's place.
pub(crate) fn entry(key: &str, value: Node) -> Entry {
    Entry { key: key.to_owned(), key_span: value.span, value }
}

/// Returns a boolean at a place.
pub(crate) fn boolean(value: bool, span: Span) -> Node {
    plain(if value { "true" } else { "false" }, span)
}

/// Returns a plain scalar at a place.
pub(crate) fn plain(text: &str, span: Span) -> Node {
    Node { kind: Kind::Scalar(Scalar { text: text.to_owned(), is_plain: true }), span, tag: None }
}

pub(crate) fn is_text(node: &Node) -> bool {
    node.scalar().is_some_and(|scalar| matches!(scalar.resolve(), Resolved::Str(_)))
}

/// Returns a number that is no integer of 64 bits as the text that compose makes of it.
fn float_text(text: &str) -> String {
    let plain = text.replace('_', "");
    if plain.parse::<u64>().is_ok() {
        return plain;
    }
    let value = match plain.as_str() {
        ".inf" | ".Inf" => f64::INFINITY,
        "-.inf" => f64::NEG_INFINITY,
        ".nan" | ".NaN" => f64::NAN,
        number => match number.parse() {
            Ok(value) => value,
            Err(_) => return text.to_owned(),
        },
    };
    go_float(value)
}

/// Returns a scalar that is no date and not nothing as text.
pub(crate) fn as_text(mut node: Node) -> Node {
    let Kind::Scalar(scalar) = &mut node.kind else { return node };
    let number = match scalar.resolve() {
        Resolved::Bool(value) => Some(value.to_string()),
        Resolved::Int(value) => Some(value.to_string()),
        Resolved::Float(text) => Some(float_text(text)),
        Resolved::Str(_) => None,
        Resolved::Timestamp(_) | Resolved::Null => return node,
    };
    if let Some(text) = number {
        scalar.text = text;
    }
    scalar.is_plain = false;
    node.tag = None;
    node
}
