//! `x-claw`: what a pod file says about agents, as types, nothing looked up.
//!
//! Keys, forms and defaults are in `docs/pod.md`. Unknown keys are errors with a suggestion, like those of compose itself.

use std::collections::BTreeMap;

use claw_compose::model::Variables;
use claw_compose::shape;
use claw_compose::shape::{Decoder, Maybe, Shape};
use claw_compose::value::Value;
use claw_compose::yaml::{Kind, Node, Resolved};
use claw_types::diag::{Code, Diagnostic};
use claw_types::span::{Span, Spanned};

shape! {
    /// `x-claw` at the top of a pod file, without the defaults for services.
    pub struct PodBlock {
        /// The pod's name.
        pod: Option<String> = "pod",
        /// The service that may read the operator's side of the proxy.
        master: Option<String> = "master",
        /// Merged under each handle of a platform.
        handles_defaults: BTreeMap<String, Handle> = "handles-defaults",
        /// Model servers of one's own.
        providers: BTreeMap<String, ProviderBlock> = "providers",
        /// Secrets and where their values come from.
        secrets: BTreeMap<String, SecretBlock> = "secrets",
        /// Limits of what the pod as a whole spends.
        pod_budget: Option<Many<BudgetBlock>> = "pod-budget",
        /// A table of prices in place of claw's own: a file.
        prices: Option<String> = "prices",
        /// The service that judges what agents ask and are answered.
        policy: Option<PolicyBlock> = "policy",
        /// Addresses of agents' networks: `10.99.0.0/16`.
        subnets: Option<String> = "subnets",
        /// What the proxy does where its ledger cannot be written: `deny` or `allow`.
        ledger_failure: Option<String> = "ledger-failure",
        /// Reserved.
        hub: Option<Value> = "hub",
    }

    /// `x-claw` of a service.
    pub struct AgentBlock {
        /// The runtime of an image without `claw.type`.
        runtime: Option<String> = "type",
        /// The contract's file.
        agent: Option<String> = "agent",
        /// A persona.
        persona: Option<String> = "persona",
        /// Governance proxies.
        cllama: Option<Proxies> = "cllama",
        /// Provider keys for the proxy.
        cllama_env: Variables = "cllama-env",
        /// Models by slot.
        models: BTreeMap<String, Texts> = "models",
        /// How many there are.
        count: Option<i64> = "count",
        /// Accounts by platform.
        handles: BTreeMap<String, Handle> = "handles",
        /// Further parts of the contract.
        include: Vec<Include> = "include",
        /// What it may use.
        surfaces: Vec<SurfaceEntry> = "surfaces",
        /// Manuals.
        skills: Texts = "skills",
        /// Harden a service that is no agent.
        harden: Option<bool> = "harden",
        /// Path of this service's MCP endpoint.
        mcp: Option<String> = "mcp",
        /// This service's OpenAPI description: a file.
        openapi: Option<String> = "openapi",
        /// A listing of this service's MCP tools: a file.
        mcp_tools: Option<String> = "mcp-tools",
        /// What of the privileged surface it may have.
        allow: Texts = "allow",
        /// `open`, or hosts.
        egress: Option<Texts> = "egress",
        /// Limits of spending.
        budget: Option<Many<BudgetBlock>> = "budget",
        /// Limits of going round in circles.
        brakes: Option<BrakesBlock> = "brakes",
        /// Which of its tools its models are told of.
        tools: Option<ToolsBlock> = "tools",
        /// `clamp` or `refuse`.
        model_policy: Option<String> = "model-policy",
        /// IANA name.
        timezone: Option<String> = "timezone",
        /// Schedules.
        invoke: Vec<InvokeBlock> = "invoke",
    }

    /// A model server.
    pub struct ProviderBlock {
        /// Where it is.
        base_url: Option<String> = "base_url",
        /// What it speaks.
        format: Option<String> = "format",
        /// Its key: a variable.
        key: Option<Text> = "key",
    }

    /// Where a secret's value comes from: one of three.
    pub struct SecretBlock {
        /// A variable.
        env: Option<String> = "env",
        /// A file.
        file: Option<String> = "file",
        /// What a command prints.
        command: Option<Texts> = "command",
    }

    /// A part of the contract.
    pub struct Include {
        /// Unique in the service.
        id: Option<String> = "id",
        /// Its file.
        file: Option<String> = "file",
        /// `enforce`, `guide` or `reference`.
        mode: Option<String> = "mode",
        /// One sentence.
        description: Option<String> = "description",
    }

    /// A limit of spending.
    pub struct BudgetBlock {
        /// US dollars.
        usd: Option<Text> = "usd",
        /// Tokens.
        tokens: Option<i64> = "tokens",
        /// Requests.
        requests: Option<i64> = "requests",
        /// `1h`, `day` or `month`.
        window: Option<String> = "window",
        /// `hard_stop`, `rate_limit`, `downgrade` or `soft_alert`.
        action: Option<String> = "action",
    }

    /// Limits of going round in circles.
    pub struct BrakesBlock {
        /// The same request this often.
        repeat: Option<i64> = "repeat",
        /// Turns without effect.
        idle: Option<i64> = "idle",
        /// `warn` or `stop`.
        action: Option<String> = "action",
    }

    /// Which tools a model is told of.
    pub struct ToolsBlock {
        /// These alone.
        allow: Option<Texts> = "allow",
        /// All but these.
        deny: Texts = "deny",
    }

    /// A service that judges.
    pub struct PolicyBlock {
        /// Where it is.
        url: Option<String> = "url",
        /// Its token: a variable.
        key: Option<Text> = "key",
        /// How long it may take.
        timeout_ms: Option<i64> = "timeout-ms",
        /// What is done where it does not answer: `closed` or `open`.
        failure: Option<String> = "failure",
    }

    /// A schedule.
    pub struct InvokeBlock {
        /// Five cron fields.
        schedule: Option<String> = "schedule",
        /// What the agent is told.
        message: Option<String> = "message",
        /// Its name.
        name: Option<String> = "name",
        /// Where it answers.
        to: Option<Text> = "to",
    }

    /// An account in its long form.
    pub struct HandleBlock {
        /// The platform's id.
        id: Option<Text> = "id",
        /// Its name.
        username: Option<String> = "username",
        /// Memberships.
        guilds: Vec<GuildBlock> = "guilds",
    }

    /// A guild.
    pub struct GuildBlock {
        /// The platform's id.
        id: Option<Text> = "id",
        /// Its name.
        name: Option<String> = "name",
        /// Its channels.
        channels: Vec<ChannelBlock> = "channels",
    }

    /// A channel.
    pub struct ChannelBlock {
        /// The platform's id.
        id: Option<Text> = "id",
        /// Its name.
        name: Option<String> = "name",
    }

    /// Rules of a channel surface.
    pub struct ChannelRules {
        /// By guild id.
        guilds: BTreeMap<String, GuildRules> = "guilds",
        /// Direct messages.
        dm: Option<DirectRules> = "dm",
        /// Every account of the pod.
        allow_from_handles: Option<bool> = "allow_from_handles",
        /// The bots of these services.
        allow_from_services: Texts = "allow_from_services",
    }

    /// Rules of a guild.
    pub struct GuildRules {
        /// Who is heard.
        policy: Option<String> = "policy",
        /// Ids of users.
        users: Vec<Text> = "users",
        /// Only mentions.
        require_mention: Option<bool> = "require_mention",
    }

    /// Rules of direct messages.
    pub struct DirectRules {
        /// Whether there are any.
        enabled: Option<bool> = "enabled",
        /// Who may write.
        policy: Option<String> = "policy",
        /// Ids of users.
        allow_from: Vec<Text> = "allow_from",
    }
}

/// Keys of `x-claw` that do not make a service an agent.
pub const PLAIN_KEYS: &[&str] = &["mcp", "openapi", "mcp-tools", "harden"];

/// A scalar taken as text, whatever YAML makes of it: ids are often numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text(pub String);

impl Shape for Text {
    fn decode(node: &Node, cx: &mut Decoder<'_>) -> Option<Self> {
        match node.scalar().map(|scalar| (scalar.resolve(), &scalar.text)) {
            Some((Resolved::Int(_) | Resolved::Float(_) | Resolved::Str(_), text)) => Some(Self(text.clone())),
            _ => {
                cx.wrong_type(node, "a string or a number");
                None
            }
        }
    }

    fn encode(&self) -> Option<Value> {
        Some(Value::Str(self.0.clone()))
    }
}

/// One text, or a list of them, each with its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts(pub Vec<Spanned<String>>);

impl Shape for Texts {
    fn decode(node: &Node, cx: &mut Decoder<'_>) -> Option<Self> {
        let one = |node: &Node, cx: &mut Decoder<'_>| Some(Spanned::new(Text::decode(node, cx)?.0, node.span));
        match &node.kind {
            Kind::Seq(items) => Some(Self(items.iter().filter_map(|item| one(item, cx)).collect())),
            _ => one(node, cx).map(|text| Self(vec![text])),
        }
    }

    fn encode(&self) -> Option<Value> {
        let texts = self.0.iter().map(|text| Value::Str(text.value.clone()));
        if self.0.is_empty() { None } else { Some(Value::List(texts.collect())) }
    }
}

/// One value, or a list of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Many<T>(pub Vec<T>);

impl<T: Shape> Shape for Many<T> {
    fn decode(node: &Node, cx: &mut Decoder<'_>) -> Option<Self> {
        match &node.kind {
            Kind::Seq(_) => Vec::decode(node, cx).map(Self),
            _ => T::decode(node, cx).map(|value| Self(vec![value])),
        }
    }

    fn encode(&self) -> Option<Value> {
        self.0.encode()
    }
}

/// Governance proxies: a type, a list of types, or `{type, image}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// Types in chain order.
    pub types: Vec<Spanned<String>>,
    /// An image of one's own.
    pub image: Option<Spanned<String>>,
}

impl Shape for Proxies {
    fn decode(node: &Node, cx: &mut Decoder<'_>) -> Option<Self> {
        let Kind::Map(_) = &node.kind else {
            return Texts::decode(node, cx).map(|texts| Self { types: texts.0, image: None });
        };
        for entry in node.entries().iter().filter(|entry| !matches!(entry.key.as_str(), "type" | "image")) {
            shape::unknown(&entry.key, entry.key_span, &["type", "image"], cx);
        }
        let Some(named) = node.get("type").filter(|named| !named.is_null()) else {
            let error = Diagnostic::error(Code::MissingKey, node.span, "a proxy needs `type`");
            cx.push(error.help("write `cllama: {type: passthrough}`, or `cllama: passthrough`"));
            return None;
        };
        let types = cx.at("type", |cx| Texts::decode(named, cx)).unwrap_or_default();
        let image = node.get("image").filter(|image| !image.is_null());
        let image =
            image.and_then(|node| Some(Spanned::new(cx.at("image", |cx| String::decode(node, cx))?, node.span)));
        Some(Self { types: types.0, image })
    }

    fn encode(&self) -> Option<Value> {
        Texts(self.types.clone()).encode()
    }
}

/// An account: an id, or its long form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handle(pub HandleBlock);

impl Shape for Handle {
    fn decode(node: &Node, cx: &mut Decoder<'_>) -> Option<Self> {
        if matches!(node.kind, Kind::Map(_)) || node.is_null() {
            return HandleBlock::decode(node, cx).map(Self);
        }
        let mut block = HandleBlock { id: Some(Text::decode(node, cx)?), ..HandleBlock::default() };
        block.origin.span = Some(node.span);
        Some(Self(block))
    }

    fn encode(&self) -> Option<Value> {
        self.0.encode()
    }

    fn set_key(&mut self, key: Span) {
        self.0.set_key(key);
    }
}

/// A surface: text, `{"uri": "mode"}`, or a channel with its rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurfaceEntry {
    /// `scheme://target [mode]`.
    pub text: Spanned<String>,
    /// Rules of a channel.
    pub rules: Option<ChannelRules>,
}

impl Shape for SurfaceEntry {
    fn decode(node: &Node, cx: &mut Decoder<'_>) -> Option<Self> {
        let Kind::Map(entries) = &node.kind else {
            let text = String::decode(node, cx)?;
            return Some(Self { text: Spanned::new(text, node.span), rules: None });
        };
        let [entry] = entries.as_slice() else {
            cx.bad_value(node, "must have one key", "write `- \"volume://name\": read-write`");
            return None;
        };
        if matches!(entry.value.kind, Kind::Map(_)) {
            let rules = cx.at(&entry.key, |cx| ChannelRules::decode(&entry.value, cx))?;
            return Some(Self { text: Spanned::new(entry.key.clone(), entry.key_span), rules: Some(rules) });
        }
        let mode = Maybe::<String>::decode(&entry.value, cx)?.0.unwrap_or_default();
        let text = format!("{} {mode}", entry.key);
        Some(Self { text: Spanned::new(text.trim().to_owned(), entry.key_span), rules: None })
    }

    fn encode(&self) -> Option<Value> {
        Some(Value::Str(self.text.value.clone()))
    }
}

/// Returns whether a service's `x-claw` makes it an agent.
pub fn makes_agent(block: &Node) -> bool {
    block.entries().iter().any(|entry| !PLAIN_KEYS.contains(&entry.key.as_str()))
}
