//! Which models a call may go to: the agent's slots decide. Pure.

use claw_types::provider::WireFormat;

use crate::manifest::{Agent, ModelPolicy};

/// A model of a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// The provider.
    pub(crate) provider: String,
    /// The model, as the provider calls it.
    pub(crate) model: String,
}

impl Candidate {
    /// Returns the candidate of `<provider>/<model>`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (provider, model) = text.split_once('/')?;
        Some(Self { provider: provider.to_owned(), model: model.to_owned() })
    }

    /// Returns `<provider>/<model>`.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.provider, self.model)
    }
}

/// Where a call may go, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    /// The candidates: the first is asked, the others are its fallbacks.
    pub(crate) candidates: Vec<Candidate>,
    /// Whether the agent asked for something else.
    pub(crate) is_clamped: bool,
}

/// The model asked for is in no slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// What may be asked for.
    pub(crate) allowed: Vec<String>,
}

/// Returns where a call for a model may go. A slot's name, a model's name without its provider, and none at all are understood.
///
/// # Errors
/// Where no slot names the model and the pod has such calls refused.
pub(crate) fn choose(agent: &Agent, wanted: Option<&str>) -> Result<Choice, Refused> {
    let named = |wanted: &str| {
        let all = || slots(agent);
        let whole = all().find(|name| *name == wanted);
        let slot = || agent.models.get(wanted).and_then(|list| list.first());
        let bare = || all().find(|name| name.split_once('/').is_some_and(|(_, model)| model == wanted));
        whole.or_else(slot).or_else(bare)
    };
    let primary =
        || agent.models.get("primary").and_then(|list| list.first()).or_else(|| agent.models.values().flatten().next());
    let found = wanted.and_then(named);
    let (first, is_clamped) = match (found, wanted) {
        (Some(found), _) => (Some(found), false),
        (None, None) => (primary(), false),
        (None, Some(_)) if agent.policy == ModelPolicy::Clamp => (primary(), true),
        (None, Some(_)) => (None, false),
    };
    let Some(first) = first else { return Err(Refused { allowed: allowed(agent) }) };
    let mut candidates: Vec<Candidate> = Candidate::parse(first).into_iter().collect();
    // What stands behind it in its own slot comes first.
    let own =
        agent.models.values().find_map(|list| list.iter().position(|name| name == first).map(|at| &list[at + 1..]));
    let own = own.unwrap_or_default().iter().filter_map(|name| Candidate::parse(name));
    for next in own.chain(fallbacks(agent)) {
        if !candidates.contains(&next) {
            candidates.push(next);
        }
    }
    Ok(Choice { candidates, is_clamped })
}

/// Returns the models an agent may use, each once, in the order of its slots.
pub(crate) fn allowed(agent: &Agent) -> Vec<String> {
    let mut list: Vec<String> = Vec::new();
    for name in slots(agent) {
        if !list.contains(name) {
            list.push(name.clone());
        }
    }
    list
}

/// Returns an agent's models: the primary one first, fallbacks last.
fn slots(agent: &Agent) -> impl Iterator<Item = &String> {
    let is_middle = |slot: &str| !matches!(slot, "primary" | "fallback");
    let middle = agent.models.iter().filter(move |(slot, _)| is_middle(slot)).map(|(_, list)| list);
    let named = |slot: &str| agent.models.get(slot).into_iter();
    named("primary").chain(middle).chain(named("fallback")).flatten()
}

/// Returns an agent's fallback models, in order.
pub(crate) fn fallbacks(agent: &Agent) -> Vec<Candidate> {
    agent.models.get("fallback").into_iter().flatten().filter_map(|name| Candidate::parse(name)).collect()
}

/// Providers whose API has a responses endpoint beside the chat endpoint.
const RESPONSES: &[&str] = &["openai", "openrouter", "xai"];

/// Returns the format a provider is asked in by a caller that speaks `spoken`: the same, where it has it.
pub(crate) fn upstream_format(provider: &str, own: WireFormat, spoken: WireFormat) -> WireFormat {
    let has_both = RESPONSES.contains(&provider) && own == WireFormat::OpenAi;
    if spoken == WireFormat::Responses && has_both { WireFormat::Responses } else { own }
}
