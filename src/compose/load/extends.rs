//! The pass that puts services over those they extend: of the same file, or of another one.

use std::collections::{BTreeMap, BTreeSet};

use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::span::Span;

use super::files::{Found, Want};
use super::layer::{Layer, Merger, settle};
use super::tags::{self, Cleared};
use super::{merge, paths};
use crate::yaml::{Entry, Kind, Node};

/// The most services that may extend one another in a row.
const DEPTH_LIMIT: usize = 200;

/// Services of a file, in its order, that may extend one another.
#[derive(Default)]
pub(crate) struct Services {
    entries: Vec<Entry>,
    places: BTreeMap<String, usize>,
    /// Those that need nothing more.
    done: BTreeSet<String>,
}

/// A file that services are extended from.
pub(crate) struct Base {
    services: Services,
    cleared: Cleared,
}

impl Services {
    fn new(entries: Vec<Entry>) -> Self {
        let places = entries.iter().enumerate().map(|(place, entry)| (entry.key.clone(), place)).collect();
        Self { entries, places, done: BTreeSet::new() }
    }

    fn get(&self, name: &str) -> Option<&Entry> {
        self.places.get(name).and_then(|place| self.entries.get(*place))
    }

    fn set(&mut self, name: &str, value: Node) {
        if let Some(entry) = self.places.get(name).and_then(|place| self.entries.get_mut(*place)) {
            entry.value = value;
        }
    }
}

/// What a service says of the one it extends.
struct Extends {
    service: String,
    file: Option<String>,
    at: Span,
}

/// A service on the way to its base, and its file.
type Trail = Vec<(String, String)>;

impl Merger<'_> {
    /// Puts the services of a document over those they extend.
    pub(crate) fn extends(
        &mut self,
        document: &mut Node,
        layer: &Layer<'_>,
        cleared: &Cleared,
        diag: &mut Diagnostics,
    ) {
        let Kind::Map(sections) = &mut document.kind else { return };
        let Some(section) = sections.iter_mut().find(|section| section.key == "services") else { return };
        let Kind::Map(entries) = &mut section.value.kind else { return };
        if !entries.iter().any(|entry| entry.value.get("extends").is_some()) {
            return;
        }
        let mut services = Services::new(std::mem::take(entries));
        let names: Vec<String> = services.entries.iter().map(|entry| entry.key.clone()).collect();
        for name in names {
            self.service(&name, &mut services, layer, cleared, &mut Trail::new(), diag);
        }
        *entries = services.entries;
    }

    fn service(
        &mut self,
        name: &str,
        services: &mut Services,
        layer: &Layer<'_>,
        cleared: &Cleared,
        trail: &mut Trail,
        diag: &mut Diagnostics,
    ) {
        if services.done.contains(name) {
            return;
        }
        let Some(entry) = services.get(name) else { return };
        let mut service = entry.value.clone();
        let Some(extends) = take_extends(&mut service, name, diag) else {
            services.done.insert(name.to_owned());
            return;
        };
        let step = (layer.path.to_owned(), name.to_owned());
        if trail.len() > DEPTH_LIMIT {
            let message = format!("more than {DEPTH_LIMIT} services extend one another");
            let error = Diagnostic::error(Code::YamlBudget, extends.at, message);
            diag.push(error.help("let them extend fewer ones in a row"));
            return;
        }
        if trail.contains(&step) {
            circle(trail, &step, extends.at, diag);
            return;
        }
        trail.push(step);
        let base = match &extends.file {
            None => {
                if services.get(&extends.service).is_none() {
                    let known = services.entries.iter().map(|entry| entry.key.as_str());
                    missing_service(&extends, layer.path, known, diag);
                }
                self.service(&extends.service, services, layer, cleared, trail, diag);
                services.get(&extends.service).map(|entry| entry.value.clone())
            }
            Some(file) => self.other(&extends, file, layer, trail, diag),
        };
        trail.pop();
        if let Some(mut base) = base.filter(|base| !base.is_null())
            && self.copy(&base, extends.at, diag)
        {
            tags::clear_service(&mut base, name, cleared);
            service = merge::services(base, service, diag);
        }
        services.set(name, service);
        services.done.insert(name.to_owned());
    }

    /// Returns the service of another file, with what it extends itself, its paths starting where those of the extending file do.
    fn other(
        &mut self,
        extends: &Extends,
        file: &str,
        layer: &Layer<'_>,
        trail: &mut Trail,
        diag: &mut Diagnostics,
    ) -> Option<Node> {
        if paths::is_remote(file) {
            remote("extends", file, extends.at, diag);
            return None;
        }
        let path = paths::plain(&paths::join(layer.directory, file));
        let key = (path.clone(), layer.includers.join("\n"));
        let files = self.options.files;
        let found = files.file(&path);
        let Some(found) = found else {
            self.wanted.insert(Want::File(path));
            return None;
        };
        let Found::Text(source) = found else {
            missing_file(&path, found, extends.at, diag);
            return None;
        };
        // Its paths start where those of the extending file do.
        let from = paths::parent(&paths::plain(file));
        let inner = Layer { path: &path, source, ..*layer };
        // Taken out while it is in use: a file that leads back to itself is read anew, and the trail ends that.
        let mut base = self.bases.remove(&key).unwrap_or_else(|| self.base(&inner, &from, diag));
        let known: Vec<&str> = base.services.entries.iter().map(|entry| entry.key.as_str()).collect();
        if base.services.get(&extends.service).is_none() {
            missing_service(extends, &path, known.into_iter(), diag);
        }
        self.service(&extends.service, &mut base.services, &inner, &base.cleared, trail, diag);
        let service = base.services.get(&extends.service).map(|entry| entry.value.clone());
        self.bases.insert(key, base);
        service
    }

    fn base(&mut self, layer: &Layer<'_>, from: &str, diag: &mut Diagnostics) -> Base {
        let mut said = Node::map(Vec::new(), Span::start_of(layer.source.id));
        let mut cleared = Cleared::new();
        let documents = crate::yaml::documents(layer.source, diag).unwrap_or_default();
        for mut document in documents {
            cleared.extend(tags::take(&mut document));
            self.interpolate(&mut document, layer, diag);
            said = settle(merge::merge(said, document, diag), diag);
        }
        paths::rebase(&mut said, from);
        let Kind::Map(sections) = said.kind else { return Base { services: Services::default(), cleared } };
        let services = sections.into_iter().find(|section| section.key == "services");
        let entries = match services.map(|section| section.value.kind) {
            Some(Kind::Map(entries)) => entries,
            _ => Vec::new(),
        };
        Base { services: Services::new(entries), cleared }
    }
}

fn take_extends(service: &mut Node, name: &str, diag: &mut Diagnostics) -> Option<Extends> {
    let Kind::Map(entries) = &mut service.kind else { return None };
    let place = entries.iter().position(|entry| entry.key == "extends")?;
    let entry = entries.remove(place);
    let text = |node: &Node| node.scalar().filter(|_| !node.is_null()).map(|scalar| scalar.text.clone());
    let at = entry.value.span;
    match &entry.value.kind {
        Kind::Scalar(_) => text(&entry.value).map(|service| Extends { service, file: None, at }),
        Kind::Map(fields) => {
            for field in fields.iter().filter(|field| !matches!(field.key.as_str(), "service" | "file")) {
                let message = format!("`services.{name}.extends` has no key `{}`", field.key);
                // Docker compose takes it without a word.
                let error = Diagnostic::warning(Code::UnknownKey, field.key_span, message);
                diag.push(error.suggest(&field.key, ["service", "file"]).help("write `service`, and `file`"));
            }
            let service = entry.value.get("service").and_then(text);
            if service.is_none() {
                let message = format!("`services.{name}.extends` names no service");
                let help = "add `service: NAME`, the service of that file";
                diag.push(Diagnostic::error(Code::MissingKey, at, message).help(help));
            }
            Some(Extends { service: service?, file: entry.value.get("file").and_then(text), at })
        }
        Kind::Seq(_) => {
            let message = format!("`services.{name}.extends` must be a service or a mapping, and is a list");
            diag.push(Diagnostic::error(Code::WrongType, at, message).help("a service extends one other"));
            None
        }
    }
}

fn missing_service<'k>(extends: &Extends, path: &str, known: impl Iterator<Item = &'k str>, diag: &mut Diagnostics) {
    let message = format!("`{path}` has no service `{}` to extend", extends.service);
    let error = Diagnostic::error(Code::UndefinedResource, extends.at, message);
    diag.push(error.help("name a service of that file").suggest(&extends.service, known));
}

fn circle(trail: &Trail, step: &(String, String), at: Span, diag: &mut Diagnostics) {
    let from = trail.iter().position(|each| each == step).unwrap_or(0);
    let way: Vec<String> =
        trail[from..].iter().chain([step]).map(|(file, name)| format!("`{name}` of `{file}`")).collect();
    let message = format!("services extend each other: {}", way.join(", "));
    diag.push(Diagnostic::error(Code::DependencyCycle, at, message).help("take one `extends` away"));
}

pub(crate) fn missing_file(path: &str, found: Found<'_>, at: Span, diag: &mut Diagnostics) {
    let why = match found {
        Found::NotRegular => "is no regular file",
        Found::NotText => "is not UTF-8 text, or longer than 16 MiB",
        Found::Missing | Found::Text(_) => "is not there",
    };
    let error = Diagnostic::error(Code::MissingFile, at, format!("`{path}` {why}"));
    diag.push(error.help("paths start at the directory of the file that names them"));
}

pub(crate) fn remote(key: &str, text: &str, at: Span, diag: &mut Diagnostics) {
    let message = format!("`{key}` names `{}`, which is on another machine", text.escape_debug());
    let help = "fetch it, and name the file; what a pod is made of lies beside it";
    diag.push(Diagnostic::error(Code::Unsupported, at, message).help(help));
}
