//! What the three formats have in common: a request, a reply and the deltas of a stream, in no format's words.

use serde_json::{Number, Value};

/// A value and where it was, for the error of a writer that cannot say it.
#[derive(Clone, Debug)]
pub(super) struct Located<T> {
    pub(super) at: String,
    pub(super) value: T,
}

/// A request.
#[derive(Debug, Default)]
pub(super) struct Request {
    pub(super) model: String,
    /// The conversation, flat: system prompts, turns, tool calls and their outputs in order.
    pub(super) items: Vec<Located<Item>>,
    pub(super) tools: Vec<Tool>,
    pub(super) choice: Option<Choice>,
    pub(super) parallel: Option<bool>,
    pub(super) temperature: Option<Located<Number>>,
    pub(super) top_p: Option<Number>,
    pub(super) stop: Option<Located<Vec<String>>>,
    pub(super) max_tokens: Option<Number>,
    pub(super) stream: bool,
    pub(super) user: Option<String>,
    /// How hard to think, in the words all three formats use for it.
    pub(super) effort: Option<Located<String>>,
    /// The caller asks to see the reasoning.
    pub(super) is_reasoning_shown: bool,
    /// The caller asks for reasoning in a form it can send back.
    pub(super) is_reasoning_sealed: bool,
    pub(super) format: Option<Located<Format>>,
    pub(super) verbosity: Option<Located<String>>,
    /// Fields of the same name and meaning in chat and responses, which messages does not have.
    pub(super) openai: Vec<Located<Value>>,
}

impl Request {
    /// Drops what says nothing: choices about tools where there are none, which OpenAI and Anthropic refuse though they change
    /// nothing, empty stop lists, and reasoning whose text was kept from the caller.
    pub(super) fn without_empty(mut self) -> Self {
        self.stop = self.stop.filter(|stop| !stop.value.is_empty());
        self.items.retain(|item| match &item.value {
            Item::Reasoning(reasoning) => !reasoning.text.is_empty() || reasoning.seal.is_some(),
            Item::Message { role: Role::System, parts } => !parts.is_empty(),
            Item::Message { .. } | Item::Call(_) | Item::Output { .. } => true,
        });
        if self.tools.is_empty() {
            self.parallel = None;
            self.choice = self.choice.filter(|choice| !matches!(choice, Choice::Auto | Choice::None));
        }
        self
    }
}

/// One element of a conversation.
#[derive(Debug)]
pub(super) enum Item {
    Message { role: Role, parts: Vec<Located<Part>> },
    Call(Call),
    Output { id: String, parts: Vec<Located<Part>>, is_failed: bool },
    Reasoning(Reasoning),
}

/// Who says a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    System,
    Developer,
    User,
    Assistant,
}

impl Role {
    /// Returns the word of chat and responses.
    pub(super) fn name(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::Developer => "developer",
            Role::User => "user",
            Role::Assistant => "assistant",
        }
    }

    /// Returns the role of a word of chat and responses.
    pub(super) fn parse(word: &str) -> Option<Self> {
        [Role::System, Role::Developer, Role::User, Role::Assistant].into_iter().find(|role| role.name() == word)
    }
}

/// A piece of a message or of a tool's output.
#[derive(Debug)]
pub(super) enum Part {
    Text(String),
    Refusal(String),
    Image { source: Image, detail: Option<String> },
}

/// Where an image is.
#[derive(Debug)]
pub(super) enum Image {
    Url(String),
    Inline { media_type: String, data: String },
}

impl Image {
    /// Returns the image of a URL, which may hold the image itself; none for a `data:` URL that is not base64.
    pub(super) fn parse(url: String) -> Option<Self> {
        let Some(rest) = url.strip_prefix("data:") else { return Some(Image::Url(url)) };
        let (media_type, data) = rest.split_once(";base64,")?;
        Some(Image::Inline { media_type: media_type.to_owned(), data: data.to_owned() })
    }

    /// Returns the URL of the image.
    pub(super) fn into_url(self) -> String {
        match self {
            Image::Url(url) => url,
            Image::Inline { media_type, data } => format!("data:{media_type};base64,{data}"),
        }
    }
}

/// A call of a tool; its arguments are the model's text, which should be a JSON object.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arguments: String,
}

/// What a model thought.
#[derive(Debug)]
pub(super) struct Reasoning {
    pub(super) text: String,
    pub(super) seal: Option<Seal>,
}

/// What lets an upstream trust reasoning that is sent back.
#[derive(Debug)]
pub(super) enum Seal {
    /// Goes with the text.
    Signature(String),
    /// Replaces the text.
    Redacted(String),
}

/// Marks redacted thinking in the one field responses has for it; no base64 has a colon.
const REDACTED: &str = "redacted_thinking:";

impl Seal {
    /// Returns the seal of an `encrypted_content`.
    pub(super) fn parse(content: String) -> Self {
        match content.strip_prefix(REDACTED) {
            Some(content) => Seal::Redacted(content.to_owned()),
            None => Seal::Signature(content),
        }
    }

    /// Returns the seal as an `encrypted_content`.
    pub(super) fn into_content(self) -> String {
        match self {
            Seal::Signature(signature) => signature,
            Seal::Redacted(content) => format!("{REDACTED}{content}"),
        }
    }
}

/// A function the model may call.
#[derive(Debug)]
pub(super) struct Tool {
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) parameters: Option<Value>,
    pub(super) strict: Option<bool>,
}

/// Which tool to call.
#[derive(Debug)]
pub(super) enum Choice {
    Auto,
    None,
    Required,
    Named(String),
}

/// The form of the answer.
#[derive(Debug)]
pub(super) enum Format {
    JsonObject,
    Schema { name: Option<String>, description: Option<String>, schema: Value, strict: Option<bool> },
}

/// What identifies a reply.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub(super) id: String,
    pub(super) model: String,
    /// 0 where the upstream does not say, as the module has no clock.
    pub(super) created: u64,
}

/// A complete reply.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) head: Head,
    pub(super) outputs: Vec<Output>,
    pub(super) stop: Stop,
    pub(super) usage: Option<Usage>,
}

/// One element of a reply.
#[derive(Debug)]
pub(super) enum Output {
    Text(String),
    Refusal(String),
    Call(Call),
    Reasoning(Reasoning),
}

/// Why a reply ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    End,
    Length,
    Call,
    Filter,
}

/// Tokens of a reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// All of the prompt, whether cached or not.
    pub(super) input: u64,
    pub(super) cache_read: u64,
    pub(super) cache_write: u64,
    /// All of the answer, with reasoning.
    pub(super) output: u64,
    pub(super) reasoning: u64,
}

/// A step of a stream.
#[derive(Debug)]
pub(super) enum Delta {
    Start(Head),
    Text(String),
    Refusal(String),
    Reasoning(String),
    Seal(Seal),
    /// A call begins; `key` tells it from the others of the stream.
    Call {
        key: u64,
        id: String,
        name: String,
    },
    Arguments {
        key: u64,
        text: String,
    },
    /// The upstream's block ends, the next one is not to be joined to it.
    Break,
    Usage(Usage),
    Stop(Stop),
    Ping,
    Error {
        kind: String,
        message: String,
    },
    Done,
}
