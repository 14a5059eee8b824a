//! The LLM providers claw knows without being told: where they are, what they speak, and the variable of their key.
//!
//! Sources: each provider's public API reference, as of November 2026; `x-claw.providers` overrides any row.

/// How a provider's API talks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WireFormat {
    /// OpenAI chat completions, which most local servers speak too.
    OpenAi,
    /// Anthropic messages.
    Anthropic,
    /// OpenAI responses.
    Responses,
}

impl WireFormat {
    /// Returns the word of `x-claw.providers.<name>.format`.
    pub fn name(self) -> &'static str {
        match self {
            WireFormat::OpenAi => "openai",
            WireFormat::Anthropic => "anthropic",
            WireFormat::Responses => "responses",
        }
    }

    /// Returns the format of a word.
    pub fn parse(word: &str) -> Option<Self> {
        [WireFormat::OpenAi, WireFormat::Anthropic, WireFormat::Responses].into_iter().find(|each| each.name() == word)
    }
}

/// What claw knows of a provider.
#[derive(Debug)]
pub struct ProviderFacts {
    /// The name before the `/` of a model.
    pub name: &'static str,
    /// Where its API is, without a trailing slash.
    pub base_url: &'static str,
    /// What it speaks.
    pub format: WireFormat,
    /// The variable its key comes in; none where it wants no key.
    pub key: Option<&'static str>,
}

const fn openai(name: &'static str, base_url: &'static str, key: &'static str) -> ProviderFacts {
    ProviderFacts { name, base_url, format: WireFormat::OpenAi, key: Some(key) }
}

/// Known providers, in the order of their names.
pub const PROVIDERS: &[ProviderFacts] = &[
    ProviderFacts {
        name: "anthropic",
        base_url: "https://api.anthropic.com/v1",
        format: WireFormat::Anthropic,
        key: Some("ANTHROPIC_API_KEY"),
    },
    openai("deepseek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    openai("gemini", "https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY"),
    openai("google", "https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY"),
    openai("groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    openai("mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    ProviderFacts {
        name: "ollama",
        // A service of the pod; elsewhere it is declared.
        base_url: "http://ollama:11434/v1",
        format: WireFormat::OpenAi,
        key: None,
    },
    openai("openai", "https://api.openai.com/v1", "OPENAI_API_KEY"),
    openai("openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    openai("xai", "https://api.x.ai/v1", "XAI_API_KEY"),
];

/// Returns whether a variable holds the key of a known provider: its own, or a further one of a pool, `OPENAI_API_KEY_1`.
pub fn is_key_variable(name: &str) -> bool {
    // `GOOGLE_API_KEY` is what Google's own libraries read beside `GEMINI_API_KEY`.
    PROVIDERS.iter().filter_map(|facts| facts.key).chain(["GOOGLE_API_KEY"]).any(|key| is_of_pool(name, key))
}

/// Returns whether a variable is the one of a key, or that of a further key of its pool: with `_1`, `_2`, … at its end.
pub fn is_of_pool(name: &str, key: &str) -> bool {
    let number = name.strip_prefix(key).map(|rest| rest.strip_prefix('_').unwrap_or(rest));
    name == key || number.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Returns what claw knows of the provider of a name.
pub fn known(name: &str) -> Option<&'static ProviderFacts> {
    PROVIDERS.iter().find(|facts| facts.name == name)
}
