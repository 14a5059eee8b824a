//! Claw's directives: what they may say, and what they mean as types.

use claw_types::agent::Access;
use claw_types::diag::{Code, Diagnostic, Diagnostics};
use claw_types::id::{ModelSlot, ProviderName, ProxyType};
use claw_types::path::ContainerPath;
use claw_types::platform::{self, Platform};
use claw_types::span::{Span, Spanned};
use claw_types::standing::runtime_and_version;

/// The keyword of every directive.
pub(crate) const KEYWORDS: &[&str] = &[
    "ACT",
    "AGENT",
    "CLAW_TYPE",
    "CLLAMA",
    "CONFIGURE",
    "HANDLE",
    "INVOKE",
    "MODEL",
    "PERSONA",
    "PRIVILEGE",
    "SKILL",
    "SURFACE",
    "TRACK",
];

/// Returns whether a keyword is claw's, in any case.
pub(crate) fn is_directive(keyword: &str) -> bool {
    KEYWORDS.iter().any(|known| known.eq_ignore_ascii_case(keyword))
}

/// A directive with its arguments checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Directive {
    /// The runtime.
    ClawType(String),
    /// The contract's file.
    Agent(String),
    /// A directory or an OCI reference.
    Persona(String),
    /// A model for a slot: `provider/model`.
    Model {
        /// The slot.
        slot: ModelSlot,
        /// The model.
        model: String,
    },
    /// A governance proxy.
    Cllama(ProxyType),
    /// An account on a platform.
    Handle(Platform),
    /// Something the agent may use.
    Surface(Surface),
    /// A manual's file.
    Skill(String),
    /// A message at a time.
    Invoke {
        /// Five cron fields.
        schedule: String,
        /// What the agent is told.
        message: String,
    },
    /// A user for a mode.
    Privilege {
        /// `worker`, `runtime`, `docker-socket`.
        mode: String,
        /// The user, or a switch.
        spec: String,
    },
    /// A setting of the runtime.
    Configure {
        /// The runtime it is for.
        runtime: String,
        /// Dotted path.
        path: String,
        /// JSON, or text.
        value: String,
    },
    /// A package manager whose changes are logged in worker mode.
    Track(String),
    /// A command for worker mode.
    Act(String),
}

/// A surface as written, its parts checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surface {
    /// `volume`, `host`, `service`, `channel` or `egress`.
    pub scheme: String,
    /// After `://`.
    pub target: String,
    /// Of volumes and host paths, where one is written.
    pub access: Option<Access>,
    /// Of hosts outside: it may be in a private network.
    pub is_private: bool,
}

impl Surface {
    /// Returns the surface in the language's own words.
    pub fn text(&self) -> String {
        let access = self.access.map(|access| format!(" {}", access.name())).unwrap_or_default();
        let private = if self.is_private { " private" } else { "" };
        format!("{}://{}{access}{private}", self.scheme, self.target)
    }
}

/// The schemes of surfaces.
pub const SCHEMES: &[&str] = &["channel", "egress", "host", "service", "volume"];

/// Returns the surface of a text such as `volume://cache read-write`.
///
/// # Errors
/// Where scheme, target or access mode are wrong; the diagnostic is the reason.
pub fn surface(text: &str, span: Span) -> Result<Surface, Diagnostic> {
    let error = |message: String| Diagnostic::error(Code::BadSurface, span, message);
    let mut words = text.split_whitespace();
    let uri = words.next().unwrap_or("");
    let access = words.next();
    if let Some(extra) = words.next() {
        return Err(error(format!("`{extra}` is too much for a surface")).help("write `scheme://target [mode]`"));
    }
    let Some((scheme, target)) = uri.split_once("://") else {
        return Err(error(format!("`{uri}` is not a surface")).help("write `volume://name`, `service://name`, …"));
    };
    let scheme = scheme.to_ascii_lowercase();
    if !SCHEMES.contains(&scheme.as_str()) {
        return Err(error(format!("there is no surface `{scheme}://`"))
            .help(format!("there are `{}`", SCHEMES.join("`, `")))
            .suggest(&scheme, SCHEMES.iter().copied()));
    }
    let is_private = scheme == "egress" && access == Some("private");
    let access = match access.filter(|_| !is_private) {
        None => None,
        Some("read-only" | "ro") => Some(Access::ReadOnly),
        Some("read-write" | "rw") => Some(Access::ReadWrite),
        Some(other) => {
            let modes = ["read-only", "read-write"];
            let error = error(format!("`{other}` is not an access mode")).help("write `read-only` or `read-write`");
            return Err(error.suggest(other, modes));
        }
    };
    if access.is_some() && !matches!(scheme.as_str(), "volume" | "host") {
        let help = match scheme.as_str() {
            "egress" => "take the mode away, or write `private` for a host in a private network",
            _ => "take the mode away",
        };
        let error = error(format!("a surface `{scheme}://` has no access mode")).help(help);
        return Err(error.fix(span, text.trim(), uri));
    }
    let is_right = match scheme.as_str() {
        "volume" => claw_types::id::VolumeName::parse(target).is_ok(),
        "host" => ContainerPath::parse(target).is_ok_and(|path| path.as_str() != "/"),
        "service" => claw_types::id::ServiceName::parse(target).is_ok(),
        "egress" => egress(target).is_some(),
        _ => !target.is_empty(),
    };
    if !is_right {
        let help = match scheme.as_str() {
            "volume" => "a volume's name has letters, digits, `-`, `_` or `.`",
            "host" => "write an absolute path below `/`, such as `host:///srv/data`",
            "egress" => "write a host name, with a port where one is meant: `egress://api.example.com:443`",
            _ => "name a service of the pod",
        };
        return Err(error(format!("`{target}` is no target for `{scheme}://`")).help(help));
    }
    if scheme == "channel" && Platform::parse(target).is_none() {
        let unknown = Diagnostic::error(Code::UnknownPlatform, span, format!("there is no platform `{target}`"));
        return Err(unknown.help(platform::help()).suggest(target, platform::names()));
    }
    let target = if scheme == "channel" { target.to_ascii_lowercase() } else { target.to_owned() };
    if let Some(why) = egress(&target).filter(|_| scheme == "egress").and_then(|(host, _)| shut(&host, is_private)) {
        return Err(error(format!("`{target}` {why}")).help(SHUT_HELP));
    }
    Ok(Surface { scheme, target, access, is_private })
}

/// Returns host and port of an egress target.
pub fn egress(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse::<u16>().ok().filter(|port| *port > 0)?)),
        None => (text, None),
    };
    let is_address = host.parse::<std::net::Ipv4Addr>().is_ok();
    // Digits at the end are an address in some reading, and no name.
    let is_number = host.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    let is_host = (is_address || !is_number)
        && host != "*"
        && host.len() <= 253
        && host.split('.').enumerate().all(|(index, part)| {
            (index == 0 && part == "*")
                || (!part.is_empty()
                    && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')))
        });
    if is_host { Some((host.to_ascii_lowercase(), port)) } else { None }
}

/// Returns host and port of a way out, `host[:port] [private]`, and whether it may be in a private network.
pub(crate) fn way_out(text: &str) -> Option<(String, Option<u16>, bool)> {
    let (target, mode) = text.split_once(' ').unwrap_or((text, ""));
    let is_private = mode.trim() == "private";
    let (host, port) = egress(target).filter(|_| is_private || mode.trim().is_empty())?;
    Some((host, port, is_private))
}

/// What can be done about a host that no agent reaches.
pub(crate) const SHUT_HELP: &str = "name a host outside, or write `egress: open`; one in a private network is opened with `private`: `egress://10.0.0.5:11434 private`";

/// Returns why no agent may reach a host, where its name alone tells that.
pub(crate) fn shut(host: &str, is_private: bool) -> Option<&'static str> {
    let Ok(address) = host.parse::<std::net::Ipv4Addr>() else {
        let is_own = host == "localhost" || host.ends_with(".localhost");
        // A name without a dot is one of somebody's own network.
        let is_near = !host.contains('.') && !is_private;
        return match (is_own, is_near) {
            (true, _) => Some("is the gate itself: nothing of the pod is there"),
            (false, true) => Some("is no host outside"),
            (false, false) => None,
        };
    };
    let is_never =
        address.is_loopback() || address.is_link_local() || address.is_unspecified() || address.is_multicast();
    match (is_never, address.is_private()) {
        (true, _) => Some("is shut to every agent: machines and clouds answer themselves there"),
        (false, true) if !is_private => Some("is in a private network"),
        _ => None,
    }
}

/// Returns whether a text is `provider/model`.
pub fn is_model(text: &str) -> bool {
    text.split_once('/').is_some_and(|(provider, model)| {
        ProviderName::parse(provider).is_ok()
            && !model.is_empty()
            && !model.contains(|each: char| each.is_whitespace() || each.is_control())
    })
}

/// Returns whether a text is where an endpoint is: `/path` or `:port/path`.
pub(crate) fn is_endpoint(text: &str) -> bool {
    let port = text.strip_prefix(':').and_then(|rest| rest.split_once('/'));
    let is_placed = port.map_or(text.starts_with('/'), |(port, _)| port.parse::<u16>().is_ok());
    is_placed && !text.contains(|each: char| each.is_whitespace() || each.is_control())
}

/// The arguments of one directive, and where they stand.
pub(crate) struct Arguments<'a> {
    pub(crate) keyword: String,
    pub(crate) text: &'a str,
    pub(crate) span: Span,
    pub(crate) keyword_span: Span,
}

/// Returns the directive of its arguments; none after recording what is wrong with them.
pub(crate) fn parse(args: &Arguments<'_>, runtimes: &[&str], diag: &mut Diagnostics) -> Vec<Spanned<Directive>> {
    let is_free = match args.keyword.as_str() {
        "INVOKE" | "ACT" => true,
        // In a JSON value a `#` is itself.
        "CONFIGURE" => configure(args.text).is_some_and(|found| match found {
            Directive::Configure { value, .. } => serde_json::from_str::<serde_json::Value>(&value).is_ok(),
            _ => false,
        }),
        _ => false,
    };
    if !is_free && let Some(at) = args.text.find(" #").or_else(|| args.text.find("\t#")) {
        let span = Span { start: args.span.start + u32::try_from(at + 1).unwrap_or(0), ..args.span };
        diag.push(
            Diagnostic::error(Code::DirectiveSyntax, span, format!("`{}` takes no comment on its line", args.keyword))
                .help("put the comment on a line of its own"),
        );
        return Vec::new();
    }
    if args.keyword == "TRACK" {
        return track(args, diag);
    }
    match directive(args, runtimes) {
        Ok(directive) => {
            if let Directive::Privilege { mode, spec } = &directive
                && mode == DOCKER_SOCKET
            {
                let message = format!("`PRIVILEGE {mode} {spec}` has no effect: no agent gets the engine's socket");
                diag.push(
                    Diagnostic::warning(Code::NoEffect, args.span, message).help("take it out; it is not needed"),
                );
            }
            vec![Spanned::new(directive, args.span)]
        }
        Err(error) => {
            diag.push(error);
            Vec::new()
        }
    }
}

/// Package managers whose changes are logged.
pub(crate) const MANAGERS: &[&str] = &["apt", "pip", "npm"];

/// What `PRIVILEGE` may be about.
pub(crate) const MODES: &[&str] = &[WORKER_MODE, RUNTIME_MODE, DOCKER_SOCKET];
/// The mode whose user a worker runs as.
pub(crate) const WORKER_MODE: &str = "worker";
/// The mode whose user an agent runs as.
pub(crate) const RUNTIME_MODE: &str = "runtime";
const DOCKER_SOCKET: &str = "docker-socket";

/// `TRACK apt pip` is one directive for each.
fn track(args: &Arguments<'_>, diag: &mut Diagnostics) -> Vec<Spanned<Directive>> {
    let words: Vec<&str> = args.text.split_whitespace().collect();
    if words.is_empty() {
        let error =
            Diagnostic::error(Code::DirectiveSyntax, args.keyword_span, "`TRACK` is written `TRACK <manager> …`");
        diag.push(error.help("write one or more of `apt`, `pip` and `npm`"));
    }
    let mut found = Vec::new();
    for word in words {
        if !MANAGERS.contains(&word) {
            let error = Diagnostic::error(Code::BadValue, args.span, format!("claw does not track `{word}`"));
            diag.push(error.help("there are `apt`, `pip` and `npm`").suggest(word, MANAGERS.iter().copied()));
            continue;
        }
        found.push(Spanned::new(Directive::Track(word.to_owned()), args.span));
    }
    found
}

fn directive(args: &Arguments<'_>, runtimes: &[&str]) -> Result<Directive, Diagnostic> {
    let words: Vec<&str> = args.text.split_whitespace().collect();
    let span = if args.text.is_empty() { args.keyword_span } else { args.span };
    let usage = |form: &str| {
        let error = Diagnostic::error(Code::DirectiveSyntax, span, format!("`{}` is written `{form}`", args.keyword));
        error.help(if args.text.is_empty() {
            "add what is missing"
        } else {
            "write each part once, with spaces between"
        })
    };
    let one = |form: &str| match words.as_slice() {
        [word] => Ok((*word).to_owned()),
        _ => Err(usage(form)),
    };
    match args.keyword.as_str() {
        "CLAW_TYPE" => {
            let wanted = one("CLAW_TYPE <runtime>[@<version>]")?;
            let (runtime, _) = runtime_and_version(&wanted);
            if !runtimes.contains(&runtime) {
                let error = Diagnostic::error(Code::UnknownRuntime, span, format!("there is no runtime `{runtime}`"));
                let help = format!("there are `{}`", runtimes.join("`, `"));
                return Err(error.help(help).suggest(runtime, runtimes.iter().copied()));
            }
            Ok(Directive::ClawType(wanted))
        }
        "AGENT" => one("AGENT <file>").map(Directive::Agent),
        "PERSONA" => one("PERSONA <path or reference>").map(Directive::Persona),
        "SKILL" => one("SKILL <file>").map(Directive::Skill),
        "ACT" if words.is_empty() => Err(usage("ACT <command>")),
        "ACT" => Ok(Directive::Act(args.text.to_owned())),
        "CLLAMA" => {
            let kind = one("CLLAMA <type>")?;
            ProxyType::parse(&kind).map(Directive::Cllama).map_err(|bad| named(bad, span))
        }
        "HANDLE" => {
            let name = one("HANDLE <platform>")?;
            let unknown = || {
                Diagnostic::error(Code::UnknownPlatform, span, format!("there is no platform `{name}`"))
                    .help(platform::help())
                    .suggest(&name.to_ascii_lowercase(), platform::names())
            };
            Platform::parse(&name).map(Directive::Handle).ok_or_else(unknown)
        }
        "SURFACE" if words.is_empty() => Err(usage("SURFACE <scheme>://<target> [read-only|read-write]")),
        "SURFACE" => surface(args.text, span).map(Directive::Surface),
        "MODEL" => {
            model(&words, span).map_err(|error| error.unwrap_or_else(|| usage("MODEL <slot> <provider>/<model>")))
        }
        "PRIVILEGE" => match words.as_slice() {
            [mode, spec] if MODES.contains(mode) => {
                Ok(Directive::Privilege { mode: (*mode).to_owned(), spec: (*spec).to_owned() })
            }
            [mode, _] => {
                let error = Diagnostic::error(Code::BadValue, span, format!("`PRIVILEGE` has no mode `{mode}`"));
                let help = format!("there are `{}`", MODES.join("`, `"));
                Err(error.help(help).suggest(mode, MODES.iter().copied()))
            }
            _ => Err(usage("PRIVILEGE <mode> <user>")),
        },
        "INVOKE" => invoke(args.text, span).map_err(|e| e.unwrap_or_else(|| usage("INVOKE <5 cron fields> <message>"))),
        _ => {
            let found = configure(args.text).ok_or_else(|| usage("CONFIGURE <runtime> config set <path> <value>"))?;
            if let Directive::Configure { runtime, .. } = &found
                && !runtimes.contains(&runtime.as_str())
            {
                let error = Diagnostic::error(Code::UnknownRuntime, span, format!("there is no runtime `{runtime}`"));
                let help = format!("there are `{}`", runtimes.join("`, `"));
                return Err(error.help(help).suggest(runtime, runtimes.iter().copied()));
            }
            Ok(found)
        }
    }
}

fn named(bad: claw_types::id::BadName, span: Span) -> Diagnostic {
    Diagnostic::error(Code::BadName, span, bad.to_string()).help(format!("use {}", bad.grammar))
}

fn model(words: &[&str], span: Span) -> Result<Directive, Option<Diagnostic>> {
    let [slot, model] = words else { return Err(None) };
    let slot = ModelSlot::parse(slot).map_err(|bad| Some(named(bad, span)))?;
    if !is_model(model) {
        let error = Diagnostic::error(Code::BadModel, span, format!("`{model}` is not a model"));
        return Err(Some(error.help("write `provider/model`, such as `anthropic/claude-sonnet-4`")));
    }
    Ok(Directive::Model { slot, model: (*model).to_owned() })
}

fn invoke(text: &str, span: Span) -> Result<Directive, Option<Diagnostic>> {
    let mut rest = text.trim();
    let mut fields = Vec::new();
    for _ in 0..5 {
        let field = rest.split_whitespace().next().ok_or(None)?;
        rest = rest[field.len()..].trim_start();
        fields.push(field);
    }
    if rest.is_empty() {
        return Err(None);
    }
    let schedule = fields.join(" ");
    super::schedule::check(&schedule).map_err(|why| {
        let error = Diagnostic::error(Code::BadSchedule, span, format!("`{schedule}` is not a schedule: {why}"));
        Some(error.help("the fields are minute, hour, day of month, month, day of week"))
    })?;
    Ok(Directive::Invoke { schedule, message: rest.to_owned() })
}

fn configure(text: &str) -> Option<Directive> {
    let mut rest = text.trim();
    let mut take = || {
        let word = rest.split_whitespace().next()?;
        rest = rest[word.len()..].trim_start();
        Some(word.to_owned())
    };
    let runtime = take()?;
    if take()? != "config" || take()? != "set" {
        return None;
    }
    let path = take()?;
    if rest.is_empty() {
        return None;
    }
    Some(Directive::Configure { runtime, path, value: rest.to_owned() })
}
