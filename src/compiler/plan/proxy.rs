//! The services of the pod's governance proxies: claw's own image or a user's, a manifest, and keys that nobody else may read.

use std::collections::{BTreeMap, BTreeSet};

use claw_compose::model::{Dependency, FileMount, FileObject, Healthcheck, Port, Project, Service, Volume};
use claw_compose::shape::{Argv, Maybe};
use claw_compose::template::Template;
use claw_compose::units::Duration;
use claw_types::agent::{AgentUnit, Budget, BudgetAction, Inference, ModelPolicy, ModelRef, RuntimeUser, SectionMode};
use claw_types::doc::{Content, Doc};
use claw_types::files::{FileSpec, FileTree};
use claw_types::id::{EnvName, ProviderName, ProxyType, UnitId};
use claw_types::image::{INFRA_PROGRAM, SHIM_PROGRAM, SHIM_PROTOCOL, label};
use claw_types::path::PodPath;
use claw_types::provider::WireFormat;
use claw_types::secret::{MASTER_TOKEN, SecretRef, UI_TOKEN};

use super::assemble::{bind, digest, labels, volume};
use super::harden::{Hardening, hold};
use super::network::{Layout, attached};
use super::{Belongings, PlannedUnit};
use crate::facts::Context;
use crate::resolve::proxy::service_name;
use crate::resolve::{Gateway, Pod, ProxySpec};

/// A governance proxy of the plan.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// Its type.
    pub kind: ProxyType,
    /// The agents that call it themselves.
    pub agents: BTreeSet<UnitId>,
    /// Whether it is claw's own, and no image of the user's.
    pub is_own: bool,
    /// Whether a policy service judges what passes it.
    pub is_judged: bool,
}

/// The user of claw's own image.
pub(super) const USER: RuntimeUser = RuntimeUser { uid: 65532, gid: 65532 };

/// Where a proxy keeps its ledger.
const LEDGER: &str = "/var/lib/cllama";

/// The name by which agents find the only proxy of a pod.
pub(super) const ALIAS: &str = "cllama";

/// A proxy, its service, and what belongs to it.
pub(super) struct Made {
    pub(super) id: UnitId,
    pub(super) proxy: Proxy,
    pub(super) belongings: Belongings,
    pub(super) service: Service,
}

/// Returns the proxies of a pod.
pub(super) fn proxies(
    pod: &Pod,
    units: &[PlannedUnit],
    layout: &Layout,
    project: &mut Project,
    cx: &Context<'_>,
) -> Vec<Made> {
    let has_one = pod.proxies.len() == 1;
    let made = pod.proxies.iter().filter_map(|(kind, spec)| {
        let id = UnitId::parse(&service_name(kind)).ok()?;
        let belongings = belongings(pod, kind, spec, &id, units)?;
        let service = service(pod, (&id, spec), &belongings, (layout, has_one), project, cx);
        let is_first = |unit: &&PlannedUnit| match &unit.unit.inference {
            Inference::Proxied { chain, .. } => chain.first() == Some(kind),
            Inference::Direct { .. } => false,
        };
        let is_judged = pod.governance.policy.is_some() && spec.next.is_none();
        let agents = units.iter().filter(is_first).map(|unit| unit.unit.id.clone()).collect();
        Some(Made {
            id,
            proxy: Proxy { kind: kind.clone(), agents, is_own: spec.image.is_none(), is_judged },
            belongings,
            service,
        })
    });
    made.collect()
}

fn minted(id: &UnitId, name: &str) -> Option<SecretRef> {
    Some(SecretRef::Minted(id.clone(), EnvName::parse(name).ok()?))
}

fn belongings(pod: &Pod, kind: &ProxyType, spec: &ProxySpec, id: &UnitId, units: &[PlannedUnit]) -> Option<Belongings> {
    let mut secrets: BTreeMap<String, SecretRef> = BTreeMap::new();
    for gateway in spec.gateways.values() {
        secrets.extend(gateway.keys.iter().map(|(name, key)| (name.clone(), key.clone())));
    }
    secrets.insert(UI_TOKEN.to_owned(), minted(id, UI_TOKEN)?);
    if pod.governance.master.is_some() {
        secrets.insert(MASTER_TOKEN.to_owned(), minted(id, MASTER_TOKEN)?);
    }
    if let Some(key) = pod.governance.policy.as_ref().and_then(|policy| policy.key.clone()) {
        secrets.insert("CLLAMA_POLICY_TOKEN".to_owned(), key);
    }
    let mut files = FileTree::new();
    let mut add = |path: &str, content: Content| {
        PodPath::parse(path).ok().is_some_and(|path| files.insert(path, FileSpec::managed(content)).is_ok())
    };
    add("claw/cllama.json", manifest(pod, kind, spec, units).to_json());
    if let Some(prices) = &pod.governance.prices {
        add("claw/prices.json", Content::text(prices.clone()));
    }
    for (name, secret) in &secrets {
        add(&format!("secrets/{name}"), Content::secret(secret.clone()));
    }
    let directory = PodPath::parse(&format!(".claw/{}/units/{id}/{}", pod.name, digest(&files))).ok()?;
    Some(Belongings {
        user: USER,
        directory,
        files,
        secrets,
        lifted: BTreeSet::new(),
        needs_shim: spec.image.is_some(),
        is_live: false,
    })
}

fn service(
    pod: &Pod,
    (id, spec): (&UnitId, &ProxySpec),
    own: &Belongings,
    (layout, has_one): (&Layout, bool),
    project: &mut Project,
    cx: &Context<'_>,
) -> Service {
    let mut made = Service::default();
    let is_first = pod.proxies.keys().next().is_some_and(|kind| service_name(kind) == id.as_str());
    match &spec.image {
        Some(image) => {
            made.image = Some(image.to_string());
            // It may have no program that could ask: claw's own does.
            made.volumes.push(bind(format!("./.claw/{}/bin/shim-v{SHIM_PROTOCOL}", pod.name), SHIM_PROGRAM, true));
            made.healthcheck = Some(Box::new(check(SHIM_PROGRAM, "http://127.0.0.1:8080/health")));
        }
        None => {
            made.image = Some(format!("{}:{}", claw_types::image::INFRA_REPOSITORY, cx.version));
            made.entrypoint = Some(Argv(vec![INFRA_PROGRAM.to_owned()]));
            made.command = Some(Argv(vec!["cllama".to_owned(), "serve".to_owned()]));
            made.healthcheck = Some(Box::new(check(INFRA_PROGRAM, "http://127.0.0.1:8080/ready")));
        }
    }
    made.volumes.push(bind(format!("./{}/claw", own.directory), "/claw", true));
    let ledger = format!("{id}-ledger");
    project.volumes.insert(ledger.clone(), Volume::default());
    made.volumes.push(volume(&ledger, LEDGER, false));
    for name in own.secrets.keys() {
        let key = format!("{id}-{name}");
        let file = Some(format!("./{}/secrets/{name}", own.directory));
        project.secrets.insert(key.clone(), FileObject { file, ..FileObject::default() });
        made.secrets.push(FileMount { source: key, target: Some(name.clone()), ..FileMount::default() });
    }
    let texts = [("CLAW_MANAGED", "true"), ("CLAW_POD", pod.name.as_str())];
    for (name, value) in texts {
        made.environment.insert(name.to_owned(), Maybe(Some(Template::literal(value))));
    }
    // Its own way out: agents have none but it.
    made.networks.insert("default".to_owned(), Maybe(None));
    let aliases = if has_one { vec![ALIAS.to_owned()] } else { Vec::new() };
    made.networks.extend(layout.on(id.as_str()).map(|key| (key.to_owned(), attached(&aliases, None))));
    made.ports.push(Port {
        host_ip: Some("127.0.0.1".to_owned()),
        target: 8081,
        // One port of the host is one proxy's: the first one's.
        published: pod.governance.ui_port.filter(|_| is_first).map(|port| port.to_string()),
        protocol: Some("tcp".to_owned()),
        mode: Some("ingress".to_owned()),
        ..Port::default()
    });
    if let Some(next) = &spec.next {
        made.depends_on.insert(service_name(next), healthy());
    }
    // Nobody stands in for it: a proxy that fails for the sixth time is still what its agents wait for.
    made.restart = Some("unless-stopped".to_owned());
    hold(&mut made, &hardening());
    labels(&mut made, pod, &[(label::SERVICE, id.as_str()), (label::ROLE, "proxy")]);
    made
}

/// Returns what waits for a service to be started: one that is not ready yet refuses, and nothing is open before.
pub(super) fn started() -> Dependency {
    Dependency { condition: "service_started".to_owned(), required: Some(true), ..Dependency::default() }
}

/// Returns what waits for a service to be healthy.
pub(super) fn healthy() -> Dependency {
    Dependency { condition: "service_healthy".to_owned(), required: Some(true), ..Dependency::default() }
}

/// Returns the health check of a program of claw's own that asks a page of its container.
pub(super) fn check(program: &str, page: &str) -> Healthcheck {
    let test = ["CMD", program, "shim", "probe", page];
    Healthcheck {
        test: test.map(ToOwned::to_owned).to_vec(),
        interval: Some(Duration::seconds(5)),
        timeout: Some(Duration::seconds(4)),
        retries: Some(3),
        start_period: Some(Duration::seconds(10)),
        ..Healthcheck::default()
    }
}

fn hardening() -> Hardening {
    Hardening {
        user: Some(format!("{}:{}", USER.uid, USER.gid)),
        tmpfs: vec!["/tmp:rw,noexec,nosuid,nodev,size=16m,mode=1777".to_owned()],
        env: BTreeMap::new(),
        memory: 256 * 1024 * 1024,
        pids: 64,
        cpus: 1_000_000_000,
        // It lets calls end for 25 seconds, and writes down the rest.
        stop_grace_seconds: 35,
        start_seconds: 10,
        probe_seconds: 5,
        restarts: 5,
    }
}

/// Returns what a proxy is told. It names secrets by their files, and agents' tokens by their digests.
fn manifest(pod: &Pod, kind: &ProxyType, spec: &ProxySpec, units: &[PlannedUnit]) -> Doc {
    let is_here = |unit: &&PlannedUnit| spec.agents.contains(&unit.unit.service);
    let gateways = last_gateways(pod, spec);
    let agents = units.iter().filter(is_here).map(|unit| (unit.unit.id.to_string(), agent(&unit.unit, &gateways, pod)));
    let own = pod.governance.budgets.iter().map(budget).collect();
    let mut rows = vec![
        ("v", Doc::int(1)),
        ("pod", Doc::str(pod.name.as_str())),
        ("type", Doc::str(kind.as_str())),
        ("agents", Doc::map(agents)),
        ("providers", Doc::map(spec.gateways.iter().map(|(name, each)| (name.to_string(), gateway(name, each))))),
        ("pod_budgets", Doc::List(own)),
    ];
    if let Some(next) = &spec.next {
        rows.push(("next", Doc::str(format!("http://{}:8080/v1", service_name(next)))));
    }
    if pod.governance.prices.is_some() {
        rows.push(("prices", Doc::str("/claw/prices.json")));
    }
    if pod.governance.allows_unwritten {
        rows.push(("ledger_failure", Doc::str("allow")));
    }
    // The last of a chain judges: what passes it goes to a provider.
    if let Some(policy) = pod.governance.policy.as_ref().filter(|_| spec.next.is_none()) {
        let mut row = vec![
            ("url", Doc::str(policy.url.as_str())),
            ("timeout_ms", Doc::Number(policy.timeout_ms.to_string())),
            ("failure", Doc::str(if policy.is_open { "open" } else { "closed" })),
        ];
        row.extend(policy.key.as_ref().map(|_| ("token", Doc::str("/run/secrets/CLLAMA_POLICY_TOKEN"))));
        rows.push(("policy", Doc::map(row)));
    }
    Doc::map(rows)
}

/// Returns the providers at the end of a chain.
fn last_gateways<'p>(pod: &'p Pod, spec: &'p ProxySpec) -> BTreeSet<&'p ProviderName> {
    let mut last = spec;
    // A chain is no longer than the proxies there are.
    for _ in 0..pod.proxies.len() {
        match last.next.as_ref().and_then(|next| pod.proxies.get(next)) {
            Some(next) => last = next,
            None => break,
        }
    }
    last.gateways.keys().collect()
}

fn agent(unit: &AgentUnit, gateways: &BTreeSet<&ProviderName>, pod: &Pod) -> Doc {
    // A provider that claw does not know is OpenRouter's, where the pod has a key for that.
    let has_bridge = gateways.iter().any(|name| name.as_str() == "openrouter");
    let name = |model: &ModelRef| match has_bridge && !gateways.contains(&model.provider) {
        true => format!("openrouter/{model}"),
        false => model.to_string(),
    };
    let models = unit.models.iter().map(|(slot, list)| (slot.to_string(), Doc::strs(list.iter().map(name))));
    let policy = match unit.model_policy {
        ModelPolicy::Clamp => "clamp",
        ModelPolicy::Refuse => "refuse",
    };
    let mut rows = vec![
        ("service", Doc::str(unit.service.as_str())),
        ("token", Doc::Secret(SecretRef::TokenDigest(unit.id.clone()))),
        ("models", Doc::map(models)),
        ("policy", Doc::str(policy)),
        ("budgets", Doc::List(unit.budgets.iter().map(budget).collect())),
    ];
    if let Some(brakes) = &unit.brakes {
        let count = |count: Option<u32>| count.map_or(Doc::Null, |count| Doc::int(i64::from(count)));
        let action = Doc::str(if brakes.is_stop { "stop" } else { "warn" });
        rows.push((
            "brakes",
            Doc::map([("repeat", count(brakes.repeat)), ("idle", count(brakes.idle)), ("action", action)]),
        ));
    }
    if let Some(tools) = &unit.tools {
        let allow = tools.allow.as_ref().map_or(Doc::Null, |list| Doc::strs(list.iter().map(String::as_str)));
        rows.push(("tools", Doc::map([("allow", allow), ("deny", Doc::strs(tools.deny.iter().map(String::as_str)))])));
    }
    if pod.governance.policy.is_some() {
        let judged = unit.contract.sections.iter().filter(|section| section.mode != SectionMode::Manual);
        let section = |section: &claw_types::agent::Section| {
            Doc::map([
                ("id", Doc::str(section.id.as_str())),
                ("mode", Doc::str(section.mode.name())),
                ("text", Doc::str(section.text.as_str())),
            ])
        };
        rows.push(("contract", Doc::List(judged.map(section).collect())));
    }
    Doc::map(rows)
}

fn budget(budget: &Budget) -> Doc {
    let number = |value: Option<u64>| value.map_or(Doc::Null, |value| Doc::Number(value.to_string()));
    let action = match budget.action {
        BudgetAction::HardStop => "hard_stop",
        BudgetAction::RateLimit => "rate_limit",
        BudgetAction::Downgrade => "downgrade",
        BudgetAction::SoftAlert => "soft_alert",
    };
    Doc::map([
        ("usd", budget.usd.as_ref().map_or(Doc::Null, |usd| Doc::str(usd.as_str()))),
        ("tokens", number(budget.tokens)),
        ("requests", number(budget.requests)),
        ("window", Doc::str(budget.window.name())),
        ("action", Doc::str(action)),
    ])
}

fn gateway(name: &ProviderName, gateway: &Gateway) -> Doc {
    let is_anthropic = name.as_str() == "anthropic" || gateway.format == WireFormat::Anthropic;
    let auth = match (gateway.keys.is_empty(), is_anthropic) {
        (true, _) => "none",
        (false, true) => "x-api-key",
        (false, false) => "bearer",
    };
    let keys = gateway
        .keys
        .iter()
        .map(|(id, _)| Doc::map([("id", Doc::str(id.as_str())), ("file", Doc::str(format!("/run/secrets/{id}")))]));
    Doc::map([
        ("base_url", Doc::str(gateway.base_url.as_str())),
        ("format", Doc::str(gateway.format.name())),
        ("auth", Doc::str(auth)),
        ("keys", Doc::List(keys.collect())),
    ])
}

/// Returns the mount of a pod's master that is no agent, and what belongs to it: the token with which it looks.
pub(super) fn master(pod: &Pod, made: &mut Service, name: &str, project: &mut Project) -> Option<(UnitId, Belongings)> {
    let is_master = pod.governance.master.as_deref() == Some(name);
    let variables = crate::resolve::proxy::master_variables(&pod.proxies);
    if !is_master || variables.is_empty() {
        return None;
    }
    let id = UnitId::parse(name).ok()?;
    let mut secrets = BTreeMap::new();
    for (variable, value) in variables {
        match value {
            claw_types::agent::EnvValue::Literal(text) => {
                made.environment.entry(variable.to_owned()).or_insert_with(|| Maybe(Some(Template::literal(text))));
            }
            claw_types::agent::EnvValue::Secret(secret) => drop(secrets.insert(variable.to_owned(), secret)),
            claw_types::agent::EnvValue::Template { .. } => {}
        }
    }
    let mut files = FileTree::new();
    for (file, secret) in &secrets {
        let path = PodPath::parse(&format!("secrets/{file}")).ok()?;
        let _ = files.insert(path, FileSpec::managed(Content::secret(secret.clone())));
    }
    let directory = PodPath::parse(&format!(".claw/{}/units/{id}/{}", pod.name, digest(&files))).ok()?;
    for file in secrets.keys() {
        let key = format!("{id}-{file}");
        let path = Some(format!("./{directory}/secrets/{file}"));
        project.secrets.insert(key.clone(), FileObject { file: path, ..FileObject::default() });
        made.secrets.push(FileMount { source: key, target: Some(file.clone()), ..FileMount::default() });
    }
    let user = made.user.as_deref().unwrap_or("0:0");
    let (uid, gid) = user.split_once(':').unwrap_or((user, user));
    let user = RuntimeUser { uid: uid.parse().unwrap_or(0), gid: gid.parse().unwrap_or(0) };
    Some((
        id,
        Belongings { user, directory, files, secrets, lifted: BTreeSet::new(), needs_shim: false, is_live: false },
    ))
}
