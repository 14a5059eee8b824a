//! What an agent may use, and whom it may therefore talk to.

use std::collections::{BTreeMap, BTreeSet};

use claw_compose::model::Service;
use claw_types::agent::{Access, RuntimeUser, Surface};
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::id::{ServiceName, VolumeName};
use claw_types::image::{ImageFacts, label};
use claw_types::path::ContainerPath;
use claw_types::platform::Platform;
use claw_types::span::Span;

use super::channel::Rules;
use super::trace::Origin;
use super::{Row, Shared};
use crate::clawfile::label::{Declared, noted};
use crate::clawfile::{Directive, directive};
use crate::pod::AgentBlock;

/// The surfaces of an agent, and the rules of its channels.
#[derive(Default)]
pub(crate) struct Surfaces<'r> {
    pub(crate) list: Vec<Surface>,
    /// Where each of them comes from.
    pub(crate) origins: Vec<Origin>,
    pub(crate) rules: BTreeMap<Platform, Rules<'r>>,
}

/// Returns the surfaces: the pod's where it says what they are, be it none, else the image's.
pub(crate) fn surfaces<'r>(row: &'r Row<'_>, shared: &Shared<'_>, diag: &mut Diagnostics) -> Surfaces<'r> {
    let mut surfaces = Surfaces::default();
    if !row.sets("surfaces") {
        for each in row.directives() {
            // Whoever made an image does not decide what of this host its agent gets.
            if let Directive::Surface(surface) = &each.value
                && surface.scheme == "host"
                && let Some(label) = &each.label
            {
                let message = format!("the image asks for `{}` of the host", surface.target);
                let error = Diagnostic::error(Code::PrivilegedSurface, each.span, message);
                let help = "write the surfaces it may have in its `surfaces:`; `surfaces: []` takes the image's away";
                diag.push(error.note(format!("the label `{label}` says so")).help(help));
                continue;
            }
            if let Directive::Surface(surface) = &each.value
                && let Some(surface) = bound(surface, each.span, each.label.as_deref(), row, shared, diag)
                && add(&mut surfaces.list, surface, (each.span, Written::Directive), diag)
            {
                surfaces.origins.push(Origin::declared("SURFACE", each));
            }
        }
        return surfaces;
    }
    for entry in &row.block.surfaces {
        let span = entry.text.span;
        match directive::surface(&entry.text.value, span) {
            Ok(surface) => {
                let Some(found) = bound(&surface, span, None, row, shared, diag) else { continue };
                match (&entry.rules, &found) {
                    (Some(rules), Surface::Channel { platform }) => {
                        surfaces.rules.insert(*platform, Rules { rules, at: span });
                    }
                    (Some(_), _) => {
                        let message = format!("a surface `{}://` takes no rules", surface.scheme);
                        let error = Diagnostic::error(Code::BadSurface, span, message);
                        diag.push(error.help("rules are for channels; write `- scheme://target [mode]`"));
                    }
                    (None, _) => {}
                }
                let written = if entry.rules.is_some() { Written::Rules } else { Written::List };
                if add(&mut surfaces.list, found, (span, written), diag) {
                    surfaces.origins.push(Origin { by: "x-claw.surfaces".to_owned(), at: span, file: None });
                }
            }
            Err(error) => diag.push(error),
        }
    }
    surfaces
}

/// Returns what an agent's surfaces of a scheme name, rightly or not.
pub(crate) fn targets(scheme: &str, block: &AgentBlock, directives: &[Declared]) -> BTreeSet<String> {
    let own = block.surfaces.iter().filter_map(|entry| directive::surface(&entry.text.value, entry.text.span).ok());
    let declared = directives.iter().filter_map(|each| match &each.value {
        Directive::Surface(surface) if !block.origin.fields.has("surfaces") => Some(surface.clone()),
        _ => None,
    });
    own.chain(declared).filter(|surface| surface.scheme == scheme).map(|surface| surface.target).collect()
}

/// What a surface was read from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    /// A line of `surfaces:`.
    List,
    /// The same, with rules below it.
    Rules,
    /// A directive, or a label.
    Directive,
}

/// Returns whether it is a new one.
fn add(list: &mut Vec<Surface>, surface: Surface, (span, written): (Span, Written), diag: &mut Diagnostics) -> bool {
    let is_same = |other: &Surface| match (other, &surface) {
        (Surface::Volume { name, .. }, Surface::Volume { name: new, .. }) => name == new,
        (Surface::Host { path, .. }, Surface::Host { path: new, .. }) => path == new,
        (Surface::Service { service, .. }, Surface::Service { service: new, .. }) => service == new,
        _ => *other == surface,
    };
    if let Some(other) = list.iter().find(|other| is_same(other)) {
        let error = Diagnostic::error(Code::NameCollision, span, "this surface stands twice");
        let error = error.help("keep one of the two");
        // With another mode, nobody can say which of the two is meant.
        let is_superfluous = *other == surface && written == Written::List;
        diag.push(if is_superfluous { error.fix_line(span) } else { error });
        return false;
    }
    list.push(surface);
    true
}

fn bound(
    surface: &directive::Surface,
    span: Span,
    label: Option<&str>,
    row: &Row<'_>,
    shared: &Shared<'_>,
    diag: &mut Diagnostics,
) -> Option<Surface> {
    match surface.scheme.as_str() {
        "volume" => {
            let name = VolumeName::parse(&surface.target).ok()?;
            let mount = ContainerPath::parse(&format!("/mnt/{name}")).ok()?;
            Some(Surface::Volume { name, access: surface.access.unwrap_or(Access::ReadWrite), mount })
        }
        "host" => {
            let path = ContainerPath::parse(&surface.target).ok()?;
            if surface.access.is_none() {
                let warning = Diagnostic::warning(
                    Code::Discouraged,
                    span,
                    format!("`host://{path}` has no mode, and is taken as read-only"),
                );
                let written = format!("host://{}", surface.target);
                let warning = warning.fix(span, written.as_str(), format!("{written} read-only"));
                diag.push(noted(warning, label).help("write `read-only` or `read-write` after it"));
            }
            Some(Surface::Host { path, access: surface.access.unwrap_or(Access::ReadOnly) })
        }
        "service" => service(&surface.target, span, label, row, shared, diag),
        "channel" => Platform::parse(&surface.target).map(|platform| Surface::Channel { platform }),
        _ => directive::egress(&surface.target).map(|(host, port)| Surface::Egress {
            host,
            port,
            is_private: surface.is_private,
        }),
    }
}

fn service(
    name: &str,
    span: Span,
    from: Option<&str>,
    row: &Row<'_>,
    shared: &Shared<'_>,
    diag: &mut Diagnostics,
) -> Option<Surface> {
    let Some(target) = shared.project.services.get(name) else {
        let error =
            Diagnostic::error(Code::UnknownService, span, format!("no service named `{name}`")).label("this surface");
        let error = error.help("name a service of this file");
        diag.push(noted(error.suggest(name, shared.everyone.iter().copied()), from));
        return None;
    };
    if name == row.service.as_str() {
        let error = Diagnostic::error(Code::BadSurface, span, format!("`{name}` is this agent itself"));
        diag.push(noted(error.help("take the surface out"), from));
        return None;
    }
    let unknown = ImageFacts::default();
    let image = shared.images.get(name).map_or(&unknown, |image| &image.facts);
    let ports = ports(target, image);
    let mcp = mcp(name, target, image, &ports, span, diag);
    Some(Surface::Service { service: ServiceName::parse(name).ok()?, ports, mcp })
}

/// Returns the ports that a service says it listens on, in their order.
pub(crate) fn ports(service: &Service, image: &ImageFacts) -> Vec<u16> {
    let number = |text: &String| text.split('/').next().and_then(|port| port.parse::<u16>().ok());
    let published = service.ports.iter().filter_map(|port| u16::try_from(port.target).ok());
    let all: BTreeSet<u16> = service.expose.iter().chain(&image.exposed).filter_map(number).chain(published).collect();
    all.into_iter().collect()
}

/// Returns the address of a service's MCP endpoint: `/path`, with `:port` before it where the service has several.
fn mcp(
    name: &str,
    target: &Service,
    image: &ImageFacts,
    ports: &[u16],
    span: Span,
    diag: &mut Diagnostics,
) -> Option<String> {
    let own = target.extensions.get("x-claw").and_then(|block| block.get("mcp")).filter(|mcp| !mcp.is_null());
    let (text, at, from) = match (own, target.labels.get(label::MCP), image.labels.get(label::MCP)) {
        (Some(node), ..) => (node.scalar()?.text.clone(), node.span, "`x-claw.mcp`"),
        (None, Some(text), _) => (text.clone(), target.origin.of("labels", span), "its label `claw.mcp`"),
        (None, None, Some(text)) => {
            (text.clone(), target.origin.of("image", span), "the label `claw.mcp` of its image")
        }
        (None, None, None) => return None,
    };
    let refused = |why: String, help: &str, diag: &mut Diagnostics| {
        let error = Diagnostic::error(Code::BadSurface, at, format!("the MCP endpoint of `{name}` {why}"));
        diag.push(error.note(format!("{from} says where it is")).help(help));
        None
    };
    let (port, path) = match text.strip_prefix(':').and_then(|rest| Some((rest, rest.find('/')?))) {
        Some((rest, slash)) => (Some(rest[..slash].parse::<u16>()), &rest[slash..]),
        None => (None, text.as_str()),
    };
    let is_path = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%".contains(&byte);
    let is_usable = path.starts_with('/') && !path.split('/').any(|part| part == "..") && path.bytes().all(is_path);
    if !is_usable || path.len() > 256 {
        return refused(format!("is no path: `{}`", text.escape_debug()), "write `/path`, or `:port/path`", diag);
    }
    let port = match (port, ports) {
        (Some(Ok(port)), _) => port,
        (Some(Err(_)), _) => return refused("has no port before its path".to_owned(), "write `:8080/path`", diag),
        (None, [port]) => *port,
        (None, []) => {
            return refused(
                "has no port: the service declares none".to_owned(),
                "write `:port/path`, or `expose:` it",
                diag,
            );
        }
        (None, _) => return refused("could be on several ports".to_owned(), "write which: `:port/path`", diag),
    };
    Some(format!("http://{name}:{port}{path}"))
}

/// Returns the user that `PRIVILEGE runtime` names by number. A name is known to the image alone, whose own user stays.
fn named_user(row: &Row<'_>, image: &ImageFacts, diag: &mut Diagnostics) -> Option<RuntimeUser> {
    let (spec, each) = row.directives().find_map(|each| match &each.value {
        Directive::Privilege { mode, spec } if mode == directive::RUNTIME_MODE => Some((spec.as_str(), each)),
        _ => None,
    })?;
    if image.user.as_deref() == Some(spec) {
        return None;
    }
    let (uid, gid) = spec.split_once(':').unwrap_or((spec, spec));
    match (uid.parse::<u32>(), gid.parse::<u32>()) {
        (Ok(uid), Ok(gid)) if uid > 0 => Some(RuntimeUser { uid, gid }),
        _ => {
            let message = format!("`PRIVILEGE runtime {spec}` decides nothing: the image's own user stays");
            let warning = Diagnostic::warning(Code::Discouraged, each.span, message);
            let help = "name a user other than root by number, such as `1000:1000`";
            diag.push(noted(warning, each.label.as_deref()).help(help));
            None
        }
    }
}

/// Returns the user an agent runs as: the pod's, that of `PRIVILEGE runtime`, the image's unless root, else the driver's.
pub(crate) fn user(row: &Row<'_>, image: &ImageFacts, service: &Service, diag: &mut Diagnostics) -> RuntimeUser {
    let (default, at) = (row.driver.facts().user, row.at);
    let default = RuntimeUser { uid: default.0, gid: default.1 };
    if service.user.is_none()
        && let Some(user) = named_user(row, image, diag)
    {
        return user;
    }
    let (text, at) = match (&service.user, &image.user) {
        (Some(user), _) => (user.as_str(), service.origin.of("user", at)),
        (None, Some(user)) if !user.is_empty() => (user.as_str(), at),
        _ => return default,
    };
    let (uid, gid) = text.split_once(':').unwrap_or((text, text));
    let number = |text: &str| if text == "root" { Ok(0) } else { text.parse() };
    match (number(uid), number(gid)) {
        (Ok(0), _) => {
            if service.user.is_some() {
                let error = Diagnostic::error(Code::PrivilegedSurface, at, "an agent does not run as root");
                diag.push(error.help("name a user of the image by number, such as `1000:1000`"));
            }
            default
        }
        (Ok(uid), Ok(gid)) => RuntimeUser { uid, gid },
        _ => {
            let message =
                format!("the user `{text}` has no number here; the agent runs as {}:{}", default.uid, default.gid);
            diag.push(Diagnostic::warning(Code::Discouraged, at, message).help("write `user: \"<uid>:<gid>\"`"));
            default
        }
    }
}
