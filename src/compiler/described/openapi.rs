//! An OpenAPI description (3.0, 3.1, Swagger 2.0) as text for an agent: where to ask, how to show who asks, and each operation
//! in a few lines.

use std::collections::{BTreeMap, BTreeSet};

use super::schema::Schemas;
use super::text::{self, aside, code, prose, quoted};
use super::tree::Tree;

/// The most operations of a description.
const OPERATIONS: usize = 5000;
/// From this many bytes on operations are shown as lines, from that many on counted, and shapes end at the last.
const WHOLE: usize = 96 * 1024;
const LINES: usize = 128 * 1024;
const SHAPES: usize = 160 * 1024;
/// The most bytes of one operation.
const ONE: usize = 16 * 1024;
/// The most ways to log in that are told, and parts of each.
const WAYS: usize = 8;
/// The most parameters and answers of an operation.
const PARTS: usize = 40;
/// The most characters of a server's URL that are looked at; far fewer are shown.
const BASE: usize = 1200;

const METHODS: &[&str] = &["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// Something that can be asked of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The method in capitals.
    pub method: String,
    /// The path below the base.
    pub path: String,
    /// Its name, where it has one.
    pub id: Option<String>,
    /// One line; empty where nothing is said.
    pub summary: String,
}

/// What a description became.
pub(super) struct Api {
    /// What it calls itself, and its version.
    pub(super) title: String,
    pub(super) operations: Vec<Operation>,
    /// The text below the heading.
    pub(super) text: String,
}

/// An operation in its document.
struct Found<'t> {
    shown: Operation,
    tag: Option<&'t str>,
    /// The path's own object: parameters of all its methods.
    item: &'t Tree,
    own: &'t Tree,
}

/// Returns the text of a description of a service that listens on these ports.
pub(super) fn api(root: &Tree, service: &str, ports: &[u16]) -> Result<Api, String> {
    let version = root.get("openapi").or_else(|| root.get("swagger")).and_then(Tree::scalar);
    let Some(version) = version.filter(|version| version.starts_with("3.") || version.starts_with('2')) else {
        return Err("is no OpenAPI description: it has neither `openapi: 3.…` nor `swagger: \"2.0\"`".to_owned());
    };
    if root.get("paths").is_some_and(|paths| !matches!(paths, Tree::Map(_))) {
        return Err("is no OpenAPI description: its `paths` is no mapping".to_owned());
    }
    let found = operations(root)?;
    let info = root.get("info");
    let name =
        info.and_then(|info| info.text_of("title")).map_or_else(|| service.to_owned(), |title| prose(title, 120));
    let number = info.and_then(|info| info.get("version")).and_then(Tree::scalar).map(|number| prose(&number, 40));
    let title = number.map_or_else(|| name.clone(), |number| format!("{name} {number}"));
    let mut text = quoted(info.and_then(|info| info.text_of("description")), 800);
    for base in bases(root, service, ports) {
        text.push_str(&format!("- Base URL: {}\n", code(&base, 300)));
    }
    text.push_str(&format!("- Described by: OpenAPI {}\n", prose(&version, 20)));
    let all = root.get("security").map(|all| requirements(root, all));
    if let Some(all) = &all {
        text.push_str(&format!("- Authentication: {all}\n"));
    }
    text.push('\n');
    let schemas = Schemas::named(root);
    push_groups(root, &found, &schemas, &mut text);
    push_shapes(root, &schemas, &mut text);
    Ok(Api { title, operations: found.into_iter().map(|each| each.shown).collect(), text })
}

fn operations(root: &Tree) -> Result<Vec<Found<'_>>, String> {
    let mut found = Vec::new();
    for (path, item) in root.get("paths").map_or(&[][..], Tree::entries) {
        let Some(item) = item.resolved(root) else { continue };
        for (method, own) in item.entries().iter().filter(|(key, _)| METHODS.contains(&key.as_str())) {
            if found.len() == OPERATIONS {
                return Err(format!("describes more than {OPERATIONS} operations"));
            }
            let said = own.text_of("summary").or_else(|| own.text_of("description"));
            let shown = Operation {
                method: method.to_ascii_uppercase(),
                path: prose(path, 200),
                id: own.text_of("operationId").map(|id| prose(id, 100)),
                summary: said.map(|said| prose(said, 120)).unwrap_or_default(),
            };
            let tag = own.get("tags").and_then(|tags| tags.items().first()).and_then(Tree::text);
            found.push(Found { shown, tag, item, own });
        }
    }
    Ok(found)
}

/// Returns where the service is asked: its name and port in the pod, and the path of what the description calls its servers.
fn bases(root: &Tree, service: &str, ports: &[u16]) -> Vec<String> {
    let first = root.get("servers").and_then(|servers| servers.items().first());
    let (port, path) = match first {
        Some(server) => {
            let variables = server.get("variables").map_or(&[][..], Tree::entries);
            placed(&filled(server.text_of("url").unwrap_or_default(), variables))
        }
        None => {
            let host = root.text_of("host").unwrap_or_default();
            let port = host.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
            (port, root.text_of("basePath").unwrap_or_default().to_owned())
        }
    };
    let path = path.trim_end_matches('/');
    let path = if path.is_empty() || path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let wanted: Vec<u16> = ports.iter().copied().filter(|own| Some(*own) == port).collect();
    let ports = match (wanted.is_empty(), ports, port) {
        (false, ..) => wanted,
        (true, [], Some(port)) => vec![port],
        (true, ports, _) => ports.to_vec(),
    };
    match ports.as_slice() {
        [] => vec![format!("http://{service}{path}")],
        ports => ports.iter().map(|port| format!("http://{service}:{port}{path}")).collect(),
    }
}

/// Returns a URL with its variables at their defaults, cut at [`BASE`]. A default is not looked through for variables again: a few
/// that name each other would make gigabytes.
fn filled(url: &str, variables: &[(String, Tree)]) -> String {
    let mut out = String::new();
    let mut rest = url;
    while let Some((before, after)) = rest.split_once('{').filter(|_| out.len() < BASE) {
        out.extend(before.chars().take(BASE));
        let named = after.split_once('}').and_then(|(name, end)| {
            let (_, variable) = variables.iter().take(PARTS).find(|(own, _)| own == name)?;
            Some((variable.get("default").and_then(Tree::scalar).unwrap_or_default(), end))
        });
        let (text, end) = named.unwrap_or_else(|| ("{".to_owned(), after));
        out.extend(text.chars().take(BASE));
        rest = end;
    }
    out.extend(rest.chars().take(BASE));
    out.chars().take(BASE).collect()
}

/// Returns port and path of a URL, whose host is somebody's elsewhere.
fn placed(url: &str) -> (Option<u16>, String) {
    let Some((_, rest)) = url.split_once("://") else { return (None, url.to_owned()) };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    (host.rsplit_once(':').and_then(|(_, port)| port.parse().ok()), path.to_owned())
}

/// Returns what a list of security requirements asks for: no secret is in it, and none is said.
fn requirements(root: &Tree, list: &Tree) -> String {
    let schemes = root.get("components").and_then(|all| all.get("securitySchemes"));
    let schemes = schemes.or_else(|| root.get("securityDefinitions"));
    let one = |name: &str| {
        let scheme = schemes.and_then(|all| all.get(name)).and_then(|scheme| scheme.resolved(root));
        let Some(scheme) = scheme else { return format!("{} (not described)", code(name, 60)) };
        let word = |key: &str| scheme.text_of(key).unwrap_or_default();
        match word("type") {
            "apiKey" => format!("a key in the {} {}", text::word(word("in"), 20), code(word("name"), 80)),
            "basic" => "a name and a password, header `Authorization: Basic …`".to_owned(),
            "http" if word("scheme").eq_ignore_ascii_case("basic") => {
                "a name and a password, header `Authorization: Basic …`".to_owned()
            }
            "http" if word("scheme").eq_ignore_ascii_case("bearer") => {
                "a token, header `Authorization: Bearer …`".to_owned()
            }
            "http" => format!("header `Authorization`, scheme {}", code(word("scheme"), 40)),
            "oauth2" => "an access token of OAuth 2, header `Authorization: Bearer …`".to_owned(),
            "openIdConnect" => "a token of OpenID Connect, header `Authorization: Bearer …`".to_owned(),
            "mutualTLS" => "a certificate of the client".to_owned(),
            other => code(other, 40),
        }
    };
    let mut ways: Vec<String> = Vec::new();
    for requirement in list.items().iter().take(WAYS) {
        let parts: Vec<String> = requirement.entries().iter().take(WAYS).map(|(name, _)| one(name)).collect();
        ways.push(if parts.is_empty() { "none".to_owned() } else { parts.join(" and ") });
    }
    if ways.is_empty() { "none".to_owned() } else { ways.join("; or ") }
}

/// Tags in the order of the description's own list, then in that of their operations; what has none comes first.
fn push_groups<'t>(root: &'t Tree, found: &[Found<'t>], schemas: &Schemas<'t>, text: &mut String) {
    let listed = root.get("tags").map_or(&[][..], Tree::items);
    let listed: Vec<(&str, Option<&str>)> =
        listed.iter().filter_map(|tag| Some((tag.text_of("name")?, tag.text_of("description")))).collect();
    let mut groups: Vec<(Option<&str>, Vec<&Found<'t>>)> = Vec::new();
    let mut places: BTreeMap<Option<&str>, usize> = BTreeMap::new();
    for each in found {
        let at = *places.entry(each.tag).or_insert_with(|| {
            groups.push((each.tag, Vec::new()));
            groups.len() - 1
        });
        groups[at].1.push(each);
    }
    let rank: BTreeMap<&str, usize> = listed.iter().enumerate().rev().map(|(at, (name, _))| (*name, at)).collect();
    groups.sort_by_key(|(tag, _)| tag.map_or(0, |tag| 1 + rank.get(tag).copied().unwrap_or(listed.len())));
    let is_one = groups.len() <= 1;
    let mut more = 0;
    for (tag, group) in groups {
        if text.len() < LINES {
            let name = tag.map_or_else(|| "Operations".to_owned(), |tag| prose(tag, 80));
            text.push_str(&format!("## {}\n\n", if is_one && tag.is_none() { "Operations" } else { &name }));
            let said = tag.and_then(|tag| listed.get(*rank.get(tag)?)).and_then(|(_, said)| *said);
            text.push_str(&quoted(said, 300));
        }
        let mut has_line = false;
        for each in group {
            match text.len() {
                0..WHOLE => text.push_str(&begun(operation(root, each, schemas))),
                WHOLE..LINES => {
                    let Operation { method, path, summary, .. } = &each.shown;
                    let end = if summary.is_empty() { String::new() } else { format!(": {summary}") };
                    text.push_str(&format!("- {}{end}\n", code(&format!("{method} {path}"), 220)));
                    has_line = true;
                }
                _ => more += 1,
            }
        }
        text.push_str(if has_line { "\n" } else { "" });
    }
    if found.is_empty() {
        text.push_str("It describes no operations.\n\n");
    }
    if more > 0 {
        text.push_str(&format!("{more} operations more are not shown.\n\n"));
    }
}

/// Returns the lines of an operation that fit into what one may take.
fn begun(text: String) -> String {
    if text.len() <= ONE {
        return text;
    }
    let end = text.match_indices('\n').map(|(at, _)| at + 1).take_while(|end| *end <= ONE).last().unwrap_or(0);
    format!("{}- More of it is in the description\n\n", &text[..end])
}

fn operation<'t>(root: &'t Tree, each: &Found<'t>, schemas: &Schemas<'t>) -> String {
    let mut own = String::new();
    let text = &mut own;
    let Operation { method, path, id, .. } = &each.shown;
    text.push_str(&format!("### {}\n\n", code(&format!("{method} {path}"), 220)));
    text.push_str(&quoted(each.own.text_of("summary"), 300));
    let said = each.own.text_of("description").filter(|said| Some(*said) != each.own.text_of("summary"));
    text.push_str(&quoted(said, 800));
    let start = text.len();
    if let Some(id) = id {
        text.push_str(&format!("- Name: {}\n", code(id, 100)));
    }
    if each.own.is_set("deprecated") {
        text.push_str("- Deprecated\n");
    }
    if let Some(own) = each.own.get("security") {
        text.push_str(&format!("- Authentication: {}\n", requirements(root, own)));
    }
    push_parameters(root, each, schemas, text);
    if let Some(body) = each.own.get("requestBody").and_then(|body| body.resolved(root)) {
        let word = if body.is_set("required") { "Body, required" } else { "Body" };
        push_content(word, body, root, schemas, text);
    }
    for (status, answer) in each.own.get("responses").map_or(&[][..], Tree::entries).iter().take(PARTS) {
        let word = format!("Answer {}", text::word(status, 20));
        match answer.resolved(root) {
            Some(answer) => push_content(&word, answer, root, schemas, text),
            None => text.push_str(&format!("- {word}: not described\n")),
        }
    }
    text.push_str(if text.len() > start { "\n" } else { "" });
    own
}

fn push_parameters<'t>(root: &'t Tree, each: &Found<'t>, schemas: &Schemas<'t>, text: &mut String) {
    let of = |tree: &'t Tree| tree.get("parameters").map_or(&[][..], Tree::items).iter();
    // The operation's own win over those of its path, by name and place.
    let mut seen = BTreeSet::new();
    let mut rows = Vec::new();
    for parameter in of(each.own).chain(of(each.item)).take(PARTS * 2) {
        let Some(found) = parameter.resolved(root) else { continue };
        let (Some(name), place) = (found.text_of("name"), found.text_of("in").unwrap_or("query")) else { continue };
        if seen.insert((name, place)) && rows.len() < PARTS {
            rows.push((name, place, found));
        }
    }
    for (name, place, found) in rows {
        let is_required = found.is_set("required");
        // What Swagger 2 has in the parameter itself, 3 has in its schema or its content.
        let content = found.get("content").and_then(|content| content.entries().first());
        let schema =
            found.get("schema").or_else(|| content.and_then(|(_, media)| media.get("schema"))).unwrap_or(found);
        let mut facts = schemas.facts(schema, is_required, &[text::word(place, 20)]);
        if let Some(said) = found.text_of("description").filter(|_| schema.text_of("description").is_none()) {
            facts.push_str(&format!(": {}", prose(said, 300)));
        }
        let example = found.get("example").map(|example| format!("; such as {}", code(&example.json(120), 140)));
        text.push_str(&format!("- Parameter {}{facts}{}\n", code(name, 80), example.unwrap_or_default()));
    }
}

/// Adds what is sent or answered: its shape for each media type, what is said of it, an example.
fn push_content<'t>(word: &str, body: &'t Tree, root: &'t Tree, schemas: &Schemas<'t>, text: &mut String) {
    let said = body.text_of("description").map(|said| prose(said, 300)).unwrap_or_default();
    text.push_str(&format!("- {word}"));
    text.push_str(&if said.is_empty() { String::new() } else { format!(": {said}") });
    text.push('\n');
    let own = body.get("content").map_or(&[][..], Tree::entries);
    for (media, content) in own.iter().take(4) {
        let shape = content.get("schema").map(|schema| format!(": {}", schemas.shape(schema)));
        text.push_str(&format!("  - {}{}\n", code(media, 80), shape.unwrap_or_default()));
        if let Some(example) = example(content, root) {
            text.push_str(&format!("  - Such as {}\n", code(&example.json(400), 440)));
        }
    }
    if let Some(schema) = body.get("schema").filter(|_| own.is_empty()) {
        text.push_str(&format!("  - {}\n", schemas.shape(schema)));
    }
}

fn example<'t>(content: &'t Tree, root: &'t Tree) -> Option<&'t Tree> {
    let first = || content.get("examples")?.entries().first()?.1.resolved(root)?.get("value");
    content.get("example").or_else(first)
}

/// Explains the names that were used, and those that they use, in the order of their names.
fn push_shapes<'t>(root: &'t Tree, schemas: &Schemas<'t>, text: &mut String) {
    let mut done: BTreeSet<&str> = BTreeSet::new();
    let mut parts: BTreeMap<&str, String> = BTreeMap::new();
    let mut length = text.len();
    loop {
        let next: Vec<&str> = schemas.used().difference(&done).copied().collect();
        if next.is_empty() || length > SHAPES {
            break;
        }
        for reference in next {
            done.insert(reference);
            let Some(schema) = root.at(reference).filter(|_| length <= SHAPES) else { continue };
            let name = code(reference.rsplit('/').next().unwrap_or(reference), 60);
            let said = schema.text_of("description").map(|said| format!(": {}", prose(said, 300))).unwrap_or_default();
            let part = match schemas.properties(schema, "  ") {
                Some(lines) => format!("- {name}{said}\n{lines}"),
                None => format!("- {name}{}{said}\n", aside(&[schemas.shape(schema)])),
            };
            length += part.len();
            parts.insert(reference, part);
        }
    }
    if parts.is_empty() {
        return;
    }
    text.push_str("## Shapes\n\n");
    parts.values().for_each(|part| text.push_str(part));
    let left = schemas.used().len() - parts.len();
    if left > 0 {
        text.push_str(&format!("- … {left} more are not shown\n"));
    }
}
