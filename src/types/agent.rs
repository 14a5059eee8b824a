//! The row of the table: one replica of one agent, with every question answered.
//!
//! Drivers, documents, hardening and audit read [`AgentUnit`]; nobody re-derives what it says.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::doc::Doc;
use crate::id::VolumeName;
use crate::id::{EnvName, ModelSlot, PodName, ProviderName, ProxyType, RuntimeName, ServiceName, SkillName, UnitId};
use crate::image::{ImageFacts, ImageRef};
use crate::path::ContainerPath;
use crate::persona::Persona;
use crate::platform::Platform;
use crate::provider::WireFormat;
use crate::roster::{Channel, Identity, Roster};
use crate::secret::SecretRef;
use crate::span::{Span, Spanned};

/// One replica of an agent, fully resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentUnit {
    /// Its id: compose service, principal, directory.
    pub id: UnitId,
    /// The service as the pod file names it.
    pub service: ServiceName,
    /// Which replica it is.
    pub replica: Replica,
    /// The pod it belongs to.
    pub pod: PodName,
    /// The software inside.
    pub runtime: RuntimeName,
    /// The image it starts from.
    pub image: ImageRef,
    /// What is known of that image.
    pub image_facts: ImageFacts,
    /// What it must do and must not do.
    pub contract: Contract,
    /// The models it may use, by slot; more than one only in `fallback`.
    pub models: BTreeMap<ModelSlot, Vec<ModelRef>>,
    /// What happens to a model that no slot names.
    pub model_policy: ModelPolicy,
    /// Limits of spending.
    pub budgets: Vec<Budget>,
    /// Limits of going round in circles.
    pub brakes: Option<Brakes>,
    /// Which of its tools its models are told of; all where nothing says otherwise.
    pub tools: Option<ToolScope>,
    /// Files that shape how it speaks, and become its own.
    pub persona: Option<Persona>,
    /// How it reaches its models.
    pub inference: Inference,
    /// Its accounts.
    pub identities: BTreeMap<Platform, Identity>,
    /// Whom it hears, for each platform it has an account or a channel on.
    pub channels: BTreeMap<Platform, ChannelPolicy>,
    /// Every identity of the pod.
    pub roster: Arc<Roster>,
    /// What it may use.
    pub surfaces: Vec<Surface>,
    /// Services it may talk to, whether by surface, provider or dependency.
    pub reach: Reach,
    /// Who its processes run as.
    pub user: RuntimeUser,
    /// IANA name of its time zone.
    pub timezone: Option<String>,
    /// Its manuals, by name.
    pub skills: BTreeMap<SkillName, Skill>,
    /// What it is told to do, and when.
    pub schedules: Vec<Schedule>,
    /// Settings of its runtime, in the order written.
    pub settings: Vec<Setting>,
    /// Its environment without what the driver adds.
    pub env: BTreeMap<EnvName, EnvValue>,
    /// The place of its service in the pod file.
    pub origin: Span,
}

/// Which of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replica {
    /// From 0.
    pub index: u32,
    /// How many there are; 1 without `count`.
    pub of: u32,
}

/// What an agent must do: sections in the order they are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contract {
    /// The sections.
    pub sections: Vec<Section>,
    /// Documents that are not in the contract but shipped as skills, for the index.
    pub references: Vec<Reference>,
}

/// A part of a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its id, unique in the contract.
    pub id: String,
    /// How binding it is.
    pub mode: SectionMode,
    /// One sentence for the index.
    pub description: Option<String>,
    /// The file or service it came from, as messages and the index show it.
    pub origin: String,
    /// Its text.
    pub text: String,
}

/// How binding a section is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SectionMode {
    /// The agent's own file.
    Contract,
    /// Must be obeyed.
    Enforce,
    /// Should be followed.
    Guide,
    /// The manual of a service.
    Manual,
}

impl SectionMode {
    /// Returns the word in the section's marks.
    pub fn name(self) -> &'static str {
        match self {
            SectionMode::Contract => "contract",
            SectionMode::Enforce => "enforce",
            SectionMode::Guide => "guide",
            SectionMode::Manual => "manual",
        }
    }
}

/// A `reference` include: in the index, its text a skill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Its id.
    pub id: String,
    /// One sentence for the index.
    pub description: Option<String>,
    /// The skill that holds its text.
    pub skill: SkillName,
}

/// A model of a provider.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ModelRef {
    /// Before the first `/`.
    pub provider: ProviderName,
    /// After it; may hold further `/`.
    pub model: String,
}

impl std::fmt::Display for ModelRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.provider, self.model)
    }
}

/// What the proxy does with a model that no slot names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ModelPolicy {
    /// The primary model is used instead.
    #[default]
    Clamp,
    /// The request is refused.
    Refuse,
}

/// A limit of spending over a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Decimal US dollars.
    pub usd: Option<String>,
    /// Tokens, in and out.
    pub tokens: Option<u64>,
    /// Requests.
    pub requests: Option<u64>,
    /// The window.
    pub window: Window,
    /// What happens at the limit.
    pub action: BudgetAction,
}

/// How long a budget lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A month.
    Month,
}

impl Window {
    /// Returns the word of the language after "per".
    pub fn name(self) -> &'static str {
        match self {
            Window::Hour => "hour",
            Window::Day => "day",
            Window::Month => "month",
        }
    }
}

/// What happens at the limit of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetAction {
    /// Requests are refused.
    HardStop,
    /// Requests are slowed down.
    RateLimit,
    /// A cheaper model is used.
    Downgrade,
    /// The operator is told.
    SoftAlert,
}

impl BudgetAction {
    /// Returns what happens, as an agent is told.
    pub fn effect(self) -> &'static str {
        match self {
            BudgetAction::HardStop => "requests are refused",
            BudgetAction::RateLimit => "requests are slowed down",
            BudgetAction::Downgrade => "a cheaper model is used",
            BudgetAction::SoftAlert => "the operator is told",
        }
    }
}

/// When an agent that goes round in circles is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Brakes {
    /// The same request this many times.
    pub repeat: Option<u32>,
    /// This many turns without an effect.
    pub idle: Option<u32>,
    /// Whether it is stopped, or only reported.
    pub is_stop: bool,
}

/// Which of an agent's tools its models are told of. A name may end in `*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolScope {
    /// These alone, where given.
    pub allow: Option<Vec<String>>,
    /// All but these.
    pub deny: Vec<String>,
}

/// How an agent reaches its models. A proxied agent has nowhere to put a provider key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inference {
    /// It calls the providers itself.
    Direct {
        /// Providers by name.
        upstreams: BTreeMap<ProviderName, Upstream>,
    },
    /// It calls the pod's proxies, outermost first.
    Proxied {
        /// The chain.
        chain: Vec<ProxyType>,
        /// Base URL of the first.
        endpoint: String,
        /// Its token.
        token: SecretRef,
    },
}

/// Where a provider is and what it speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Base URL without trailing slash.
    pub base_url: String,
    /// The API it speaks.
    pub format: WireFormat,
    /// Its key, where it needs one.
    pub key: Option<SecretRef>,
    /// The service of this pod it is, if it is one.
    pub service: Option<ServiceName>,
}

/// Whom an agent hears on a platform, every default applied: nobody who is not named here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelPolicy {
    /// Every guild it is a member of or has rules for, by id.
    pub guilds: BTreeMap<String, GuildPolicy>,
    /// Direct messages.
    pub direct: DirectPolicy,
    /// Ids of the pod's other accounts on the platform: bots whose mentions it answers.
    pub peers: Vec<String>,
}

/// Whom an agent hears in one guild.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GuildPolicy {
    /// Who is heard.
    pub hears: Hears,
    /// Only messages that mention the agent are read.
    pub require_mention: bool,
    /// The channels it may speak in, in the order written; none means none is named.
    pub channels: Vec<Channel>,
}

/// Who is heard in a guild.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Hears {
    /// Nobody.
    #[default]
    Nobody,
    /// The users of these ids, in order; the agent's peers are among them.
    Only(Vec<String>),
    /// Everyone who can write there.
    Everyone,
}

/// Who may write to an agent directly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DirectPolicy {
    /// Nobody.
    #[default]
    Disabled,
    /// Whoever an operator lets in, and these ids from the start.
    Pairing(Vec<String>),
    /// The users of these ids.
    Only(Vec<String>),
    /// Everyone.
    Open,
}

/// What an agent does with a volume or a host path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// It reads.
    ReadOnly,
    /// It reads and writes.
    ReadWrite,
}

impl Access {
    /// Returns the word of the language.
    pub fn name(self) -> &'static str {
        match self {
            Access::ReadOnly => "read-only",
            Access::ReadWrite => "read-write",
        }
    }
}

/// Something an agent may use. Only volumes and host paths have an access mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Surface {
    /// A volume of the pod, mounted at `/mnt/<name>`.
    Volume {
        /// The volume's key.
        name: VolumeName,
        /// What the agent does with it.
        access: Access,
        /// Where it is mounted.
        mount: ContainerPath,
    },
    /// A path of the host, mounted at the same path.
    Host {
        /// The path.
        path: ContainerPath,
        /// What the agent does with it.
        access: Access,
    },
    /// A service of the pod.
    Service {
        /// Its compose services: one, or all replicas.
        service: ServiceName,
        /// Ports it listens on.
        ports: Vec<u16>,
        /// Path of its MCP endpoint.
        mcp: Option<String>,
    },
    /// A chat platform.
    Channel {
        /// Which.
        platform: Platform,
    },
    /// A host outside.
    Egress {
        /// Host name.
        host: String,
        /// Port, where one is named.
        port: Option<u16>,
        /// Whether it may be in a private network.
        is_private: bool,
    },
}

/// What an agent may talk to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Services of the pod, on its own network.
    pub services: Vec<ServiceName>,
    /// Hosts outside, through the gate, in the order of what names them.
    pub egress: Vec<EgressRule>,
    /// Where it is said that it may go to every public host.
    pub open_at: Option<Span>,
}

/// One host outside that an agent may reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EgressRule {
    /// The host in lower case, `*.` before a domain for every name below it, or an address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether the host may be in a private network.
    pub is_private: bool,
    /// What needs it: `egress://api.example.com`, `provider openai`.
    pub why: String,
    /// The key of `x-claw` it stands under.
    pub key: &'static str,
    /// Where that stands.
    pub at: Span,
}

/// The port of a host that names none: that of HTTPS.
pub const EGRESS_PORT: u16 = 443;

/// A user inside a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuntimeUser {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// A manual.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skill {
    /// One sentence.
    pub description: String,
    /// Its text without front matter.
    pub body: String,
    /// Further keys of its front matter, as its operator wrote them: a runtime may read them.
    pub keys: BTreeMap<String, Doc>,
    /// Who wrote it.
    pub origin: SkillOrigin,
}

/// Who wrote a skill; a later one replaces an earlier one of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SkillOrigin {
    /// Claw.
    Generated,
    /// Claw, from an OpenAPI description of the service.
    OpenApi,
    /// Claw, from a listing of the service's MCP tools.
    Mcp,
    /// The image of the service it describes.
    Emitted,
    /// The agent's image.
    Image,
    /// The pod file.
    Pod,
}

impl SkillOrigin {
    /// Returns the word the index shows.
    pub fn name(self) -> &'static str {
        match self {
            SkillOrigin::Generated => "generated",
            SkillOrigin::OpenApi => "openapi",
            SkillOrigin::Mcp => "mcp",
            SkillOrigin::Emitted => "emitted",
            SkillOrigin::Image | SkillOrigin::Pod => "operator",
        }
    }
}

/// A message at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Deterministic, unique in the unit.
    pub id: String,
    /// Five cron fields.
    pub cron: String,
    /// What the agent is told.
    pub message: String,
    /// Where it answers, resolved to an id.
    pub target: Option<Target>,
}

/// A channel a schedule answers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The platform.
    pub platform: Platform,
    /// The channel's id.
    pub channel: String,
}

/// One `CONFIGURE … config set <path> <value>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Dotted path.
    pub path: Spanned<String>,
    /// JSON where the text is JSON, else a string.
    pub value: Doc,
}

/// A value of an environment variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvValue {
    /// Known text.
    Literal(String),
    /// Known text that the pod file writes with variables; emitted as written.
    Template {
        /// As the compose file writes it, `$$` for `$`.
        written: String,
        /// What it is.
        value: String,
    },
    /// A secret.
    Secret(SecretRef),
}
