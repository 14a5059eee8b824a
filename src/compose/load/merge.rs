//! Merging: what a later file says over what earlier ones said. A table has the keys that are not merged as mappings into
//! mappings and lists behind lists.

use std::collections::BTreeMap;

use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::span::Span;

use super::canonical::{as_text, context, entry, keyed, started};
use crate::shape::keeps_null;
use crate::yaml::{Entry, Kind, Node};

/// How two values of a key become one.
#[derive(Clone, Copy)]
enum Rule {
    /// The later one stands alone.
    Replace,
    /// Both become lists of `KEY=value`, one behind the other; `unique` keeps the last of each key.
    Lines,
    /// The same, and a line that is there already is not repeated.
    Hosts,
    /// A list of names becomes a mapping to nothing.
    Named,
    /// A list of names becomes a mapping to `service_started`.
    Dependencies,
    /// A text becomes a context.
    Build,
    /// Options of another driver are not kept.
    Logging,
    /// Pools of one subnet are one.
    Pools,
}

/// Paths with a rule of their own; `*` is any key.
const RULES: &[(&str, Rule)] = &[
    ("networks.*.ipam.config", Rule::Pools),
    ("networks.*.labels", Rule::Lines),
    ("volumes.*.labels", Rule::Lines),
    ("services.*.annotations", Rule::Lines),
    ("services.*.build", Rule::Build),
    ("services.*.build.additional_contexts", Rule::Lines),
    ("services.*.build.args", Rule::Lines),
    ("services.*.build.extra_hosts", Rule::Hosts),
    ("services.*.build.labels", Rule::Lines),
    ("services.*.command", Rule::Replace),
    ("services.*.depends_on", Rule::Dependencies),
    ("services.*.deploy.labels", Rule::Lines),
    ("services.*.dns", Rule::Lines),
    ("services.*.dns_opt", Rule::Lines),
    ("services.*.dns_search", Rule::Lines),
    ("services.*.entrypoint", Rule::Replace),
    ("services.*.env_file", Rule::Lines),
    ("services.*.environment", Rule::Lines),
    ("services.*.extra_hosts", Rule::Hosts),
    ("services.*.healthcheck.test", Rule::Replace),
    ("services.*.label_file", Rule::Lines),
    ("services.*.labels", Rule::Lines),
    ("services.*.logging", Rule::Logging),
    ("services.*.models", Rule::Named),
    ("services.*.networks", Rule::Named),
    ("services.*.provider.options.*", Rule::Replace),
    ("services.*.sysctls", Rule::Lines),
    ("services.*.tmpfs", Rule::Lines),
    ("services.*.ulimits.*", Rule::Replace),
];

/// Returns what two files say together.
pub(crate) fn merge(earlier: Node, later: Node, diag: &mut Diagnostics) -> Node {
    Merge { path: Vec::new(), diag }.mappings(earlier, later)
}

/// Returns a service over the one it extends.
pub(crate) fn services(base: Node, service: Node, diag: &mut Diagnostics) -> Node {
    Merge { path: vec!["services".to_owned(), "*".to_owned()], diag }.mappings(base, service)
}

struct Merge<'m> {
    path: Vec<String>,
    diag: &'m mut Diagnostics,
}

impl Merge<'_> {
    fn mappings(&mut self, mut earlier: Node, later: Node) -> Node {
        let Kind::Map(old) = &mut earlier.kind else { return later };
        let Kind::Map(new) = later.kind else { return earlier };
        let places: BTreeMap<String, usize> =
            old.iter().enumerate().map(|(place, entry)| (entry.key.clone(), place)).collect();
        for entry in new {
            let Some(found) = places.get(&entry.key).and_then(|place| old.get_mut(*place)) else {
                old.push(entry);
                continue;
            };
            let before = std::mem::replace(&mut found.value, Node::null(entry.key_span));
            self.path.push(entry.key);
            found.value = self.values(before, entry.value);
            found.key_span = entry.key_span;
            self.path.pop();
        }
        earlier.span = later.span;
        earlier
    }

    fn rule(&self) -> Option<Rule> {
        let is_here = |pattern: &str| {
            let mut here = self.path.iter();
            pattern.split('.').all(|part| here.next().is_some_and(|key| part == "*" || part == key))
                && here.next().is_none()
        };
        RULES.iter().find(|(pattern, _)| is_here(pattern)).map(|(_, rule)| *rule)
    }

    fn values(&mut self, earlier: Node, later: Node) -> Node {
        // Nothing takes nothing back, but where it is a value of its own.
        if later.is_null() && !self.path.last().is_some_and(|key| keeps_null(key)) {
            return earlier;
        }
        match self.rule() {
            Some(Rule::Replace) => later,
            Some(Rule::Lines) => self.lists(lines(earlier), lines(later)),
            Some(Rule::Hosts) => {
                let (before, mut after) = (lines(earlier), lines(later));
                let host = |item: &Node| {
                    item.scalar().map(|scalar| scalar.text.replacen(':', "=", usize::from(!scalar.text.contains('='))))
                };
                let known: Vec<_> = before.items().iter().map(host).collect();
                if let Kind::Seq(items) = &mut after.kind {
                    items.retain(|item| !known.contains(&host(item)));
                }
                self.lists(before, after)
            }
            Some(Rule::Named) => {
                let earlier = named(earlier, Node::null, self.diag);
                let later = named(later, Node::null, self.diag);
                self.mappings(earlier, later)
            }
            Some(Rule::Dependencies) => {
                let earlier = named(earlier, started, self.diag);
                let later = named(later, started, self.diag);
                self.mappings(earlier, later)
            }
            Some(Rule::Build) => self.mappings(context(earlier), context(later)),
            Some(Rule::Logging) => {
                let driver = |node: &Node| node.get("driver").and_then(Node::scalar).map(|driver| driver.text.clone());
                match (driver(&earlier), driver(&later)) {
                    (Some(before), Some(after)) if before != after => later,
                    _ => self.plain(earlier, later),
                }
            }
            Some(Rule::Pools) => self.pools(earlier, later),
            None => self.plain(earlier, later),
        }
    }

    fn plain(&mut self, earlier: Node, later: Node) -> Node {
        match (&earlier.kind, &later.kind) {
            (Kind::Map(_), Kind::Map(_)) => self.mappings(earlier, later),
            (Kind::Seq(_), Kind::Seq(_)) => self.lists(earlier, later),
            (Kind::Map(_) | Kind::Seq(_), _) => {
                let message = format!(
                    "`{}` is {} here, and {} in an earlier file or service",
                    self.path.join("."),
                    later.type_name(),
                    earlier.type_name()
                );
                let error = Diagnostic::error(Code::WrongType, later.span, message);
                let help = "write it in the same form, or `!override` before it to let it stand alone";
                self.diag.push(error.note_at(earlier.span, "it stands here").help(help));
                later
            }
            (Kind::Scalar(_), _) => later,
        }
    }

    fn lists(&mut self, mut earlier: Node, later: Node) -> Node {
        let Kind::Seq(items) = &mut earlier.kind else { return later };
        match later.kind {
            Kind::Seq(more) => items.extend(more),
            _ => return self.plain(earlier, later),
        }
        earlier.span = later.span;
        earlier
    }

    fn pools(&mut self, earlier: Node, later: Node) -> Node {
        let (Kind::Seq(before), Kind::Seq(after)) = (&earlier.kind, &later.kind) else {
            return self.plain(earlier, later);
        };
        let subnet = |pool: &Node| pool.get("subnet").and_then(Node::scalar).map(|subnet| subnet.text.clone());
        let mut pools: Vec<Node> = Vec::new();
        for old in before {
            for new in after {
                let is_there = pools.iter().any(|pool| subnet(pool) == subnet(new));
                if subnet(old) != subnet(new) && !is_there {
                    pools.push(new.clone());
                    continue;
                }
                let merged = self.mappings(old.clone(), new.clone());
                match pools.iter_mut().find(|pool| subnet(pool) == subnet(&merged)) {
                    Some(pool) => *pool = merged,
                    None => pools.push(merged),
                }
            }
        }
        Node { kind: Kind::Seq(pools), span: later.span, tag: None }
    }
}

/// A mapping as lines `KEY=value`, sorted; a key of nothing is a line without `=`; one text is a list of it.
fn lines(node: Node) -> Node {
    let span = node.span;
    let items = match node.kind {
        Kind::Seq(items) => items,
        Kind::Scalar(_) if node.is_null() => Vec::new(),
        Kind::Scalar(_) => vec![node],
        Kind::Map(mut entries) => {
            entries.sort_by(|left, right| left.key.cmp(&right.key));
            let mut items = Vec::new();
            for Entry { key, key_span, value } in entries {
                match value.kind {
                    Kind::Seq(values) => items.extend(values.into_iter().map(|value| line(&key, value))),
                    _ if value.is_null() => items.push(Node::text(key, key_span)),
                    _ => items.push(line(&key, value)),
                }
            }
            items
        }
    };
    Node { kind: Kind::Seq(items), span, tag: None }
}

fn line(key: &str, value: Node) -> Node {
    let value = as_text(value);
    match value.scalar() {
        Some(scalar) => Node::text(format!("{key}={}", scalar.text), value.span),
        // Not a scalar: the schema says so of the value itself.
        None => Node::map(vec![entry(key, value.clone())], value.span),
    }
}

fn named(node: Node, value: impl Fn(Span) -> Node, diag: &mut Diagnostics) -> Node {
    match node.kind {
        Kind::Seq(items) => keyed(items, node.span, value, diag),
        _ => node,
    }
}
