//! What an agent may use, the manuals claw writes of it, and whom it may therefore talk to.

use std::collections::{BTreeMap, BTreeSet};

use claw_compose::model::Service;
use claw_types::agent::{
    Access, ChannelPolicy, DirectPolicy, GuildPolicy, Inference, Reach, RuntimeUser, Skill, SkillOrigin, Surface,
};
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::doc::line;
use claw_types::id::{ServiceName, SkillName, VolumeName};
use claw_types::image::{ImageFacts, label};
use claw_types::path::ContainerPath;
use claw_types::platform::Platform;
use claw_types::roster::Identity;
use claw_types::span::Span;

use super::{Row, Shared};
use crate::clawfile::label::noted;
use crate::clawfile::{Directive, directive};
use crate::pod::{ChannelRules, Texts};

/// The surfaces of an agent, and the rules of its channels.
#[derive(Default)]
pub(crate) struct Surfaces {
    pub(crate) list: Vec<Surface>,
    pub(crate) channels: BTreeMap<Platform, ChannelPolicy>,
}

/// Returns the surfaces: the pod's where it says what they are, be it none, else the image's.
pub(crate) fn surfaces(row: &Row<'_>, shared: &Shared<'_>, diag: &mut Diagnostics) -> Surfaces {
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
            {
                add(&mut surfaces.list, surface, each.span, diag);
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
                        surfaces.channels.insert(*platform, policy(rules, span, shared, diag));
                    }
                    (Some(_), _) => {
                        let message = format!("a surface `{}://` takes no rules", surface.scheme);
                        let error = Diagnostic::error(Code::BadSurface, span, message);
                        diag.push(error.help("rules are for channels; write `- scheme://target [mode]`"));
                    }
                    (None, _) => {}
                }
                add(&mut surfaces.list, found, span, diag);
            }
            Err(error) => diag.push(error),
        }
    }
    surfaces
}

fn add(list: &mut Vec<Surface>, surface: Surface, span: Span, diag: &mut Diagnostics) {
    let is_same = |other: &Surface| match (other, &surface) {
        (Surface::Volume { name, .. }, Surface::Volume { name: new, .. }) => name == new,
        (Surface::Host { path, .. }, Surface::Host { path: new, .. }) => path == new,
        (Surface::Service { service, .. }, Surface::Service { service: new, .. }) => service == new,
        _ => *other == surface,
    };
    if list.iter().any(is_same) {
        let error = Diagnostic::error(Code::NameCollision, span, "this surface stands twice");
        diag.push(error.help("keep one of the two"));
        return;
    }
    list.push(surface);
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
                let warning = Diagnostic::warning(Code::Discouraged, span, format!("`host://{path}` is read-only"));
                diag.push(noted(warning, label).help("write `read-only` or `read-write` after it"));
            }
            Some(Surface::Host { path, access: surface.access.unwrap_or(Access::ReadOnly) })
        }
        "service" => service(&surface.target, span, label, row, shared, diag),
        "channel" => Platform::parse(&surface.target).map(|platform| Surface::Channel { platform }),
        _ => directive::egress(&surface.target).map(|(host, port)| Surface::Egress { host, port }),
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
    let image = shared.images.get(name).copied().unwrap_or(&unknown);
    let number = |text: &String| text.split('/').next().and_then(|port| port.parse::<u16>().ok());
    let published = target.ports.iter().filter_map(|port| u16::try_from(port.target).ok());
    let ports: BTreeSet<u16> = target.expose.iter().chain(&image.exposed).filter_map(number).chain(published).collect();
    let declared = target.extensions.get("x-claw").and_then(|block| block.get("mcp")).and_then(|mcp| mcp.scalar());
    let mcp = declared.map(|scalar| scalar.text.clone()).or_else(|| target.labels.get(label::MCP).cloned());
    let mcp = mcp.or_else(|| image.labels.get(label::MCP).cloned());
    if let Some(path) = mcp.as_deref().filter(|path| !directive::is_endpoint(path)) {
        let message = format!("the label `{}` of `{name}` is no path of an endpoint: `{path}`", label::MCP);
        let error = Diagnostic::error(Code::BadLabel, span, message);
        diag.push(error.help("write `mcp:` into its `x-claw`: a path that begins with `/`, such as `/mcp`"));
        return None;
    }
    Some(Surface::Service { service: ServiceName::parse(name).ok()?, ports: ports.into_iter().collect(), mcp })
}

fn policy(rules: &ChannelRules, span: Span, shared: &Shared<'_>, diag: &mut Diagnostics) -> ChannelPolicy {
    let ids = |texts: &[crate::pod::Text]| texts.iter().map(|text| text.0.clone()).collect::<Vec<_>>();
    let mut services = Vec::new();
    for each in &rules.allow_from_services.0 {
        let name = each.value.as_str();
        if !shared.everyone.contains(name) {
            let error = Diagnostic::error(Code::UnknownService, each.span, format!("no service named `{name}`"));
            let error = error.help("name a service of this file");
            diag.push(error.suggest(name, shared.everyone.iter().copied()));
        }
        services.extend(ServiceName::parse(name));
    }
    let direct = rules.dm.as_ref().map(|dm| {
        let words = ["pairing", "allowlist", "open", "disabled"];
        if let Some(word) = dm.policy.as_deref().filter(|word| !words.contains(word)) {
            let error =
                Diagnostic::error(Code::BadValue, dm.origin.of("policy", span), format!("`{word}` is not a policy"));
            diag.push(error.help(format!("write `{}`", words.join("`, `"))));
        }
        DirectPolicy { enabled: dm.enabled.unwrap_or(true), policy: dm.policy.clone(), allow_from: ids(&dm.allow_from) }
    });
    let guilds = rules.guilds.iter().map(|(id, guild)| {
        let users = ids(&guild.users);
        (id.clone(), GuildPolicy { policy: guild.policy.clone(), users, require_mention: guild.require_mention })
    });
    ChannelPolicy {
        guilds: guilds.collect(),
        direct,
        allow_from_handles: rules.allow_from_handles.unwrap_or(false),
        allow_from_services: services,
    }
}

/// Returns the manuals that claw writes itself: one for each service, platform and account.
pub(crate) fn generated_skills(
    surfaces: &[Surface],
    identities: &BTreeMap<Platform, Identity>,
) -> BTreeMap<SkillName, Skill> {
    let mut skills = BTreeMap::new();
    let mut add = |name: String, description: String, body: String| {
        if let Ok(name) = SkillName::parse(&name) {
            skills.insert(name, Skill { description, body, origin: SkillOrigin::Generated });
        }
    };
    for surface in surfaces {
        match surface {
            Surface::Service { service, ports, mcp } => {
                let ports: Vec<String> = ports.iter().map(|port| format!("- http://{service}:{port}")).collect();
                let listens = if ports.is_empty() { "It declares no ports.".to_owned() } else { ports.join("\n") };
                let mcp =
                    mcp.as_ref().map(|path| format!("\n\nIts MCP endpoint is `{}`.", line(path))).unwrap_or_default();
                let body = format!("# {service}\n\nA service of this pod. Reach it by its name:\n\n{listens}{mcp}\n");
                add(format!("surface-{service}"), format!("How to reach the service {service}."), body);
            }
            Surface::Channel { platform } => {
                let body = format!("# {platform}\n\nMessages of {platform} reach you through your runtime.\n");
                add(format!("surface-{platform}"), format!("How messages of {platform} reach you."), body);
            }
            Surface::Volume { .. } | Surface::Host { .. } | Surface::Egress { .. } => {}
        }
    }
    for (platform, identity) in identities {
        let id = identity.id.as_deref().map_or("no id declared".to_owned(), |id| format!("id `{}`", line(id)));
        let name = identity.username.as_deref().map(|name| format!(", user name @{}", line(name))).unwrap_or_default();
        let guilds: Vec<String> =
            identity.guilds.iter().map(|guild| format!("- guild `{}`", line(&guild.id))).collect();
        let body = format!("# You on {platform}\n\nYour account: {id}{name}.\n\n{}\n", guilds.join("\n"));
        add(format!("handle-{platform}"), format!("Who you are on {platform}."), body);
    }
    skills
}

/// Returns whom an agent may talk to, and why it needs a way out.
pub(crate) fn reach(surfaces: &[Surface], inference: &Inference, service: &Service, egress: Option<&Texts>) -> Reach {
    let mut services = BTreeSet::new();
    let mut outside = Vec::new();
    for surface in surfaces {
        match surface {
            Surface::Service { service, .. } => {
                services.insert(service.clone());
            }
            Surface::Egress { host, .. } => outside.push(format!("egress to {host}")),
            Surface::Channel { platform } => outside.push(format!("channel {platform}")),
            Surface::Volume { .. } | Surface::Host { .. } => {}
        }
    }
    if let Inference::Direct { upstreams } = inference {
        for (provider, upstream) in upstreams {
            match &upstream.service {
                Some(service) => {
                    services.insert(service.clone());
                }
                None => outside.push(format!("provider {provider}")),
            }
        }
    }
    outside.extend(egress.iter().flat_map(|texts| &texts.0).map(|text| format!("egress to {}", text.value)));
    if !service.ports.is_empty() {
        outside.push("published ports".to_owned());
    }
    Reach { services: services.into_iter().collect(), outside }
}

/// Returns the user an agent runs as: the pod's, the image's unless root, else the driver's.
pub(crate) fn user(
    image: &ImageFacts,
    service: &Service,
    default: (u32, u32),
    at: Span,
    diag: &mut Diagnostics,
) -> RuntimeUser {
    let default = RuntimeUser { uid: default.0, gid: default.1 };
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
