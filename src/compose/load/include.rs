//! The pass that takes in other compose files whole, each with a directory and env files of its own.

use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::span::Span;

use super::extends::{missing_file, remote};
use super::files::{EnvFile, Found, Scope, Want};
use super::layer::{Layer, Merger, schema};
use super::{canonical, merge, paths};
use crate::yaml::{Entry, Kind, Node, Resolved};

/// What is taken in of a file.
const SECTIONS: &[&str] = &["services", "volumes", "networks", "secrets", "configs", "models"];

/// The most files that may include one another.
const DEPTH_LIMIT: usize = 50;

/// An entry of `include`.
struct Include {
    /// Files, the later over the earlier ones.
    paths: Vec<(String, Span)>,
    directory: Option<String>,
    env_files: Vec<(String, Span)>,
    at: Span,
}

impl Merger<'_> {
    /// Takes in what a document includes.
    pub(crate) fn include(&mut self, document: &mut Node, layer: &Layer<'_>, diag: &mut Diagnostics) {
        let Kind::Map(sections) = &mut document.kind else { return };
        let Some(place) = sections.iter().position(|section| section.key == "include") else { return };
        let section = sections.remove(place);
        for include in entries(&section, diag) {
            if let Some(found) = self.included(&include, layer, diag) {
                import(document, found, include.at, diag);
            }
        }
    }

    fn included(&mut self, include: &Include, layer: &Layer<'_>, diag: &mut Diagnostics) -> Option<Node> {
        if let Some((path, at)) = include.paths.iter().find(|(path, _)| paths::is_remote(path)) {
            remote("include", path, *at, diag);
            return None;
        }
        let files: Vec<(String, Span)> =
            include.paths.iter().map(|(path, at)| (paths::plain(&paths::join(layer.directory, path)), *at)).collect();
        let (first, first_at) = files.first()?;
        let mut includers = layer.includers.to_vec();
        includers.push(layer.path.to_owned());
        if includers.contains(first) || includers.len() > DEPTH_LIMIT {
            let way: Vec<&str> = includers.iter().chain([first]).map(String::as_str).collect();
            let message = format!("files include each other: `{}`", way.join("` -> `"));
            let error = Diagnostic::error(Code::DependencyCycle, *first_at, message);
            diag.push(error.help("take one `include` away"));
            return None;
        }
        let directory = match &include.directory {
            Some(directory) => paths::plain(&paths::join(layer.directory, directory)),
            None => paths::parent(first),
        };
        let own = self.own_variables(include, &directory, layer, diag)?;
        let scope = Scope { own: Some(&own), ..layer.scope };
        let mut said = Node::map(Vec::new(), Span::start_of(layer.source.id));
        let reader = self.options.files;
        for (path, at) in &files {
            match reader.file(path) {
                None => drop(self.wanted.insert(Want::File(path.clone()))),
                Some(Found::Text(source)) => {
                    let inner = Layer { path, source, directory: &directory, includers: &includers, scope };
                    said = self.layer(said, &inner, diag);
                }
                Some(found) => missing_file(path, found, *at, diag),
            }
        }
        schema(&said, self.options, diag);
        canonical::contexts(&mut said);
        let from = match &include.directory {
            Some(directory) => paths::plain(directory),
            None => paths::parent(&paths::plain(&include.paths.first()?.0)),
        };
        paths::rebase(&mut said, &from);
        Some(said)
    }

    /// Returns the variables that only the included files see; nothing where they are not known.
    fn own_variables(
        &mut self,
        include: &Include,
        directory: &str,
        layer: &Layer<'_>,
        diag: &mut Diagnostics,
    ) -> Option<EnvFile> {
        let mut fresh = EnvFile::new();
        let is_default = include.env_files.is_empty();
        let default = [(paths::join(directory, "./.env"), include.at)];
        let written = include.env_files.iter().map(|(path, at)| (paths::join(layer.directory, path), *at));
        let files: Vec<_> = if is_default { default.into_iter().collect() } else { written.collect() };
        let reader = self.options.files;
        for (path, at) in files {
            let path = paths::plain(&path);
            match reader.env_file(&path) {
                None => {
                    self.wanted.insert(Want::EnvFile(path));
                    return None;
                }
                Some(Some(variables)) => {
                    fresh.extend(variables.iter().map(|(name, value)| (name.clone(), value.clone())));
                }
                Some(None) if is_default => {}
                Some(None) => missing_file(&path, Found::Missing, at, diag),
            }
        }
        // What the including file sees wins over what only the included one would.
        fresh.extend(layer.scope.own.cloned().unwrap_or_default());
        Some(fresh)
    }
}

fn entries(section: &Entry, diag: &mut Diagnostics) -> Vec<Include> {
    let Kind::Seq(items) = &section.value.kind else {
        if !section.value.is_null() {
            let message = format!("`include` must be a list, and is {}", section.value.type_name());
            let help = "write `- path/to/compose.yml`, a line for each";
            diag.push(Diagnostic::error(Code::WrongType, section.value.span, message).help(help));
        }
        return Vec::new();
    };
    items.iter().filter_map(|item| entry(item, diag)).collect()
}

fn entry(item: &Node, diag: &mut Diagnostics) -> Option<Include> {
    let mut include = Include { paths: Vec::new(), directory: None, env_files: Vec::new(), at: item.span };
    match &item.kind {
        Kind::Scalar(_) => include.paths = texts(item, "include", diag),
        Kind::Map(fields) => {
            for field in fields {
                match field.key.as_str() {
                    "path" => include.paths = texts(&field.value, "include.path", diag),
                    "env_file" => include.env_files = texts(&field.value, "include.env_file", diag),
                    "project_directory" => {
                        let found = texts(&field.value, "include.project_directory", diag);
                        include.directory =
                            found.into_iter().next().map(|(text, _)| text).filter(|text| !text.is_empty());
                    }
                    key if key.starts_with("x-") => {}
                    key => {
                        let message = format!("`include` has no key `{key}`");
                        // Docker compose takes it without a word.
                        let error = Diagnostic::warning(Code::UnknownKey, field.key_span, message);
                        let known = ["path", "project_directory", "env_file"];
                        diag.push(error.help("write `path`, `project_directory` and `env_file`").suggest(key, known));
                    }
                }
            }
            if include.paths.is_empty() {
                let error = Diagnostic::error(Code::MissingKey, item.span, "an `include` needs `path`");
                diag.push(error.help("add `path: ./compose.yml`"));
            }
        }
        Kind::Seq(_) => {
            let error = Diagnostic::error(Code::WrongType, item.span, "an `include` must be a path or a mapping");
            diag.push(error.help("write `- path`, or `- path: [file, file]`"));
        }
    }
    if include.paths.is_empty() { None } else { Some(include) }
}

/// One text, or a list of them.
fn texts(node: &Node, key: &str, diag: &mut Diagnostics) -> Vec<(String, Span)> {
    let items = match &node.kind {
        Kind::Seq(items) => items.as_slice(),
        _ if node.is_null() => return Vec::new(),
        _ => std::slice::from_ref(node),
    };
    let mut found = Vec::new();
    for item in items {
        match item.scalar().map(crate::yaml::Scalar::resolve) {
            Some(Resolved::Str(text)) => found.push((text.to_owned(), item.span)),
            _ => {
                let message = format!("`{key}` must be a string, and is {}", item.type_name());
                let error = Diagnostic::error(Code::WrongType, item.span, message);
                diag.push(error.help("write a path, in quotes where it looks like something else"));
            }
        }
    }
    found
}

/// Puts what was included beside what a document has; one name for two things is an error.
fn import(document: &mut Node, found: Node, at: Span, diag: &mut Diagnostics) {
    let (Kind::Map(sections), Kind::Map(more)) = (&mut document.kind, found.kind) else { return };
    for section in more {
        if section.key == "x-claw" {
            agents(sections, section, diag);
            continue;
        }
        if !SECTIONS.contains(&section.key.as_str()) {
            continue;
        }
        let Some(own) = sections.iter_mut().find(|own| own.key == section.key) else {
            sections.push(section);
            continue;
        };
        if own.value.is_null() {
            own.value = section.value;
            continue;
        }
        let (Kind::Map(entries), Kind::Map(more)) = (&mut own.value.kind, section.value.kind) else { continue };
        for entry in more {
            match entries.iter().find(|own| own.key == entry.key) {
                None => entries.push(entry),
                Some(own) if own.value.means(&entry.value) => {}
                Some(own) => {
                    let message = format!("`{}.{}` is in an included file too, and differs", section.key, entry.key);
                    let error = Diagnostic::error(Code::NameCollision, own.key_span, message);
                    let error = error.note_at(entry.key_span, "it stands here").note_at(at, "which is included here");
                    let help = "rename one of the two, or change it in a file behind a second `-f`";
                    diag.push(error.help(help));
                }
            }
        }
    }
}

/// What an included pod says of all its agents holds, below what the including file says. Its name does not.
fn agents(sections: &mut Vec<Entry>, mut found: Entry, diag: &mut Diagnostics) {
    if let Kind::Map(keys) = &mut found.value.kind {
        keys.retain(|key| key.key != "pod");
    }
    match sections.iter_mut().find(|own| own.key == "x-claw") {
        Some(own) if matches!(own.value.kind, Kind::Map(_)) => {
            let written = std::mem::replace(&mut own.value, Node::null(own.key_span));
            own.value = merge::merge(found.value, written, diag);
        }
        Some(_) => {}
        None => sections.push(found),
    }
}
