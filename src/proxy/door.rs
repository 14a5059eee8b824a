//! The routes of the agents' side that go to a provider.

use claw_types::provider::WireFormat;

/// A route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// Chat completions.
    Chat,
    /// Anthropic's messages.
    Messages,
    /// OpenAI's responses.
    Responses,
    /// Embeddings.
    Embeddings,
    /// What a message would take.
    CountTokens,
}

impl Door {
    /// Returns the route of a path.
    pub(crate) fn of(path: &str) -> Option<Self> {
        Some(match path {
            "/v1/chat/completions" => Door::Chat,
            "/v1/messages" => Door::Messages,
            "/v1/responses" => Door::Responses,
            "/v1/embeddings" => Door::Embeddings,
            "/v1/messages/count_tokens" => Door::CountTokens,
            _ => return None,
        })
    }

    /// Returns the path as it is written down.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Door::Chat => "/v1/chat/completions",
            Door::Messages => "/v1/messages",
            Door::Responses => "/v1/responses",
            Door::Embeddings => "/v1/embeddings",
            Door::CountTokens => "/v1/messages/count_tokens",
        }
    }

    /// Returns what a caller of this route speaks.
    pub(crate) fn format(self) -> WireFormat {
        match self {
            Door::Chat | Door::Embeddings => WireFormat::OpenAi,
            Door::Messages | Door::CountTokens => WireFormat::Anthropic,
            Door::Responses => WireFormat::Responses,
        }
    }

    /// Returns whether a call here puts tokens out and may stream.
    pub(crate) fn generates(self) -> bool {
        matches!(self, Door::Chat | Door::Messages | Door::Responses)
    }

    /// Returns the path below a provider's base URL, for the format it is asked in.
    pub(crate) fn upstream_path(self, format: WireFormat) -> &'static str {
        match (self, format) {
            (Door::Embeddings, _) => "/embeddings",
            (Door::CountTokens, _) => "/messages/count_tokens",
            (_, WireFormat::OpenAi) => "/chat/completions",
            (_, WireFormat::Anthropic) => "/messages",
            (_, WireFormat::Responses) => "/responses",
        }
    }
}
