//! Manuals: what a file of an operator or an image says, and what claw writes itself where nobody else did.
//!
//! A manual may begin with front matter. Its `description` is taken, its `name` is the file's whatever it says, and further
//! keys of an operator's own file stay. What an image emits gives itself nothing: of its front matter the description stays alone.

use std::collections::BTreeMap;

use claw_compose::yaml::{self, Kind, Node, Resolved};
use claw_types::agent::{ChannelPolicy, Skill, SkillOrigin, Surface};
use claw_types::diag::{Code, Diagnostic, Diagnostics, Reported};
use claw_types::doc::{Doc, is_invisible, line, plain};
use claw_types::id::{ServiceName, SkillName};
use claw_types::platform::Platform;
use claw_types::roster::Identity;
use claw_types::span::{FileId, Source, Span};

use super::{Shared, described};
use crate::emit::template::{Broken, Template, render};
use crate::emit::view;

/// The most bytes of a manual that an image emits.
pub const MANUAL_LIMIT: usize = 256 * 1024;
/// The most bytes of a file that an operator gives an agent to read.
pub(crate) const FILE_LIMIT: usize = 1024 * 1024;
/// The most characters of a description: what the formats of skills take.
const DESCRIPTION_LIMIT: usize = 1024;
/// The most characters that are taken of a text where it has no description.
const SENTENCE_LIMIT: usize = 200;

/// Why a text is no manual.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadManual {
    /// It is longer than [`MANUAL_LIMIT`].
    TooLong,
    /// It says nothing.
    Empty,
    /// Its front matter cannot be read: why.
    FrontMatter(String),
}

impl std::fmt::Display for BadManual {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            BadManual::TooLong => write!(f, "is longer than {} KiB", MANUAL_LIMIT / 1024),
            BadManual::Empty => f.write_str("is empty"),
            BadManual::FrontMatter(why) => write!(f, "has front matter that cannot be read: {why}"),
        }
    }
}

impl std::error::Error for BadManual {}

/// Returns the manual that the image of a service emits; `name` is the skill it becomes. The message of what is wrong goes on
/// after the manual's name: "the manual `x` is empty".
///
/// # Errors
/// Where the text is too long or empty, or its front matter is none.
pub fn manual(text: &str, name: &SkillName) -> Result<Skill, BadManual> {
    if text.len() > MANUAL_LIMIT {
        return Err(BadManual::TooLong);
    }
    if is_empty(text) {
        return Err(BadManual::Empty);
    }
    let source = Source { id: FileId(0), name: name.to_string(), text: text.to_owned() };
    let mut diag = Diagnostics::new();
    let skill = skill(&source, name, SkillOrigin::Emitted, &mut diag);
    let mut skill = skill.map_err(|_| {
        let first = diag.iter().next().map_or_else(String::new, |first| first.message.clone());
        BadManual::FrontMatter(line(&first))
    })?;
    if is_empty(&skill.body) {
        return Err(BadManual::Empty);
    }
    skill.keys.clear();
    Ok(skill)
}

/// Returns whether a text shows nothing.
pub(crate) fn is_empty(text: &str) -> bool {
    text.chars().all(|each| each.is_whitespace() || is_invisible(each))
}

/// Returns the skill of a text with or without front matter.
///
/// # Errors
/// Where it begins with front matter that is none.
pub(crate) fn skill(
    source: &Source,
    name: &SkillName,
    origin: SkillOrigin,
    diag: &mut Diagnostics,
) -> Result<Skill, Reported> {
    let mut front = front(source, diag)?;
    let body = plain(source.text.get(front.body..).unwrap_or("")).trim_start_matches('\n').to_owned();
    let description = front.description.take().unwrap_or_else(|| described(&body, name));
    Ok(Skill { description, body, keys: front.keys, origin })
}

/// What front matter says.
#[derive(Default)]
struct Front {
    description: Option<String>,
    keys: BTreeMap<String, Doc>,
    /// Where the text after it begins.
    body: usize,
}

fn front(source: &Source, diag: &mut Diagnostics) -> Result<Front, Reported> {
    let text = source.text.as_str();
    let mut at = 0;
    let mut begin = None;
    let mut end = None;
    for line in text.split_inclusive('\n') {
        let word = line.trim_end().trim_start_matches('\u{feff}');
        match begin {
            None if at == 0 && word == "---" => begin = Some(line.len()),
            None => return Ok(Front::default()),
            Some(_) if word == "---" => {
                end = Some((at, at + line.len()));
                break;
            }
            Some(_) => {}
        }
        at += line.len();
    }
    let Some(begin) = begin else { return Ok(Front::default()) };
    let Some((end, body)) = end else {
        let at = Span::new(source.id, 0, text.find('\n').unwrap_or(text.len()));
        let error = Diagnostic::error(Code::YamlSyntax, at, "the front matter that begins here does not end");
        return Err(diag.report(error.help("close it with a line `---`, or begin the file with its text")));
    };
    // Blanks before it keep the places right.
    let yaml = format!("{}\n{}", " ".repeat(begin - 1), &text[begin..end]);
    let tree = yaml::parse(&Source { id: source.id, name: source.name.clone(), text: yaml }, diag)?;
    if !matches!(tree.kind, Kind::Map(_)) && !tree.is_null() {
        let message = format!("front matter is a mapping, and this is {}", tree.type_name());
        let error = Diagnostic::error(Code::WrongType, tree.span, message);
        return Err(diag.report(error.help("write `description: …`, or begin the file with its text")));
    }
    let mut front = Front { body, ..Front::default() };
    for entry in tree.entries() {
        match entry.key.as_str() {
            "name" => {}
            "description" => front.description = description(&entry.value, diag)?,
            _ => {
                front.keys.insert(entry.key.clone(), doc(&entry.value));
            }
        }
    }
    Ok(front)
}

fn description(node: &Node, diag: &mut Diagnostics) -> Result<Option<String>, Reported> {
    let Some(scalar) = node.scalar() else {
        let message = format!("a description is text, and this is {}", node.type_name());
        let error = Diagnostic::error(Code::WrongType, node.span, message);
        return Err(diag.report(error.help("write one sentence that says when the skill is of use")));
    };
    let text = if node.is_null() { String::new() } else { line(&scalar.text) };
    checked(text, node.span, diag)
}

/// Returns a description on one line, where there is one and it is not too long.
///
/// # Errors
/// Where it is.
pub(crate) fn checked(text: String, at: Span, diag: &mut Diagnostics) -> Result<Option<String>, Reported> {
    let length = text.chars().count();
    if length > DESCRIPTION_LIMIT {
        let message = format!("the description has {length} characters, and {DESCRIPTION_LIMIT} is the most");
        return Err(diag.report(Diagnostic::error(Code::BadValue, at, message).help("put the rest into the text")));
    }
    Ok(Some(text).filter(|text| !text.is_empty()))
}

fn doc(node: &Node) -> Doc {
    match &node.kind {
        Kind::Seq(items) => Doc::List(items.iter().map(doc).collect()),
        Kind::Map(entries) => Doc::map(entries.iter().map(|entry| (entry.key.as_str(), doc(&entry.value)))),
        Kind::Scalar(scalar) => match scalar.resolve() {
            Resolved::Null => Doc::Null,
            Resolved::Bool(value) => Doc::Bool(value),
            Resolved::Int(number) => Doc::int(number),
            Resolved::Float(text) if serde_json::from_str::<serde_json::Number>(text).is_ok() => {
                Doc::Number(text.to_owned())
            }
            Resolved::Float(text) | Resolved::Timestamp(text) | Resolved::Str(text) => Doc::Str(text.to_owned()),
        },
    }
}

/// Returns the first heading or sentence of a text.
fn described(body: &str, name: &SkillName) -> String {
    let mut is_code = false;
    for text in body.lines().map(str::trim) {
        if text.starts_with("```") || text.starts_with("~~~") {
            is_code = !is_code;
            continue;
        }
        if is_code || text.starts_with("<!--") || !text.contains(char::is_alphanumeric) {
            continue;
        }
        let shown = line(text.trim_start_matches(['#', '>', '-', '*', ' ']));
        let is_heading = text.starts_with('#');
        let end = ["! ", "? ", ". "].iter().filter_map(|end| shown.find(end)).min();
        let sentence = end.filter(|_| !is_heading).map_or(shown.as_str(), |end| &shown[..=end]);
        let short: String = sentence.chars().take(SENTENCE_LIMIT).collect();
        let is_cut = short.len() < sentence.len();
        return if is_cut { format!("{}…", short.trim_end()) } else { short };
    }
    format!("Skill {name}.")
}

/// Returns the manuals that claw writes itself: one for each service, platform and account.
pub(crate) fn generated(
    service: &ServiceName,
    surfaces: &[Surface],
    channels: &BTreeMap<Platform, ChannelPolicy>,
    identities: &BTreeMap<Platform, Identity>,
    shared: &Shared<'_>,
    at: Span,
    diag: &mut Diagnostics,
) -> BTreeMap<SkillName, Skill> {
    let mut skills = BTreeMap::new();
    let mut add = |name: Option<SkillName>, description: String, body: Result<String, Broken>| {
        let body = match body {
            Ok(body) => body,
            Err(broken) => {
                broken.report(at, diag);
                return;
            }
        };
        let skill = Skill { description, body, keys: BTreeMap::new(), origin: SkillOrigin::Generated };
        let Some(name) = name else { return };
        if let Some(other) = skills.insert(name.clone(), skill) {
            let message = format!("two things of `{service}` want the skill `{name}`");
            let error = Diagnostic::error(Code::NameCollision, at, message);
            diag.push(error.note(format!("the other one: {}", other.description)).help("rename one of the services"));
        }
    };
    for surface in surfaces {
        match surface {
            Surface::Service { service, ports, mcp } => {
                let (operations, tools) = described::names(service, shared);
                let mcp = mcp.as_deref();
                let view = view::ServiceManual { service: service.as_str(), ports, mcp, operations, tools };
                let body = render(Template::SurfaceService, &view);
                add(view::service_skill(service), format!("How to reach the service {service}."), body);
            }
            Surface::Channel { platform } => {
                let rules: Option<&ChannelPolicy> = channels.get(platform);
                let view = view::PlatformManual {
                    platform: platform.name(),
                    account: identities.get(platform).map(|each| view::account(service, *platform, each)),
                    rules: rules.map(|rules| view::rules(*platform, rules, identities)),
                };
                let body = render(Template::SurfacePlatform, &view);
                let name = view::platform_skill(*platform);
                add(name, format!("How messages of {platform} reach you."), body);
            }
            Surface::Volume { .. } | Surface::Host { .. } | Surface::Egress { .. } => {}
        }
    }
    for (platform, identity) in identities {
        let body = render(Template::HandlePlatform, &view::account(service, *platform, identity));
        add(view::account_skill(*platform), format!("Who you are on {platform}."), body);
    }
    skills
}
