//! Words against what an agent was told: to forget it, to hide from people, to write itself new orders, to run what a document
//! wants fetched.

use crate::page::Page;
use crate::words::{self, Word, is_explained};
use crate::{Finding, Rule};

/// Returns the sentences that speak against the contract.
pub(crate) fn find(page: &Page<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    words::each_sentence(&page.folded, |sentence| {
        if let Some((start, end, why)) = judge(&page.folded, sentence) {
            let lead = page.lead(sentence[start].start);
            if !is_reported(&page.folded, sentence, start) && !is_explained(&lead) {
                let range = (sentence[start].start, sentence[end.min(sentence.len() - 1)].end);
                found.push(page.finding(Rule::Override, range, why));
            }
        }
    });
    marks(page, &mut found);
    prerequisites(page, &mut found);
    found
}

/// What is said of others' orders, and not ordered: "if a customer asks you to ignore …".
fn is_reported(text: &str, sentence: &[Word<'_>], start: usize) -> bool {
    let before = &sentence[..start];
    let is_asked = before.iter().rev().take(6).any(|word| {
        matches!(
            word.text.as_ref(),
            "asks" | "tells" | "wants" | "orders" | "asked" | "says" | "tries" | "attempts" | "requests" | "instructs"
        )
    });
    let follows = &sentence[start..];
    let is_answered = follows
        .iter()
        .chain(before)
        .any(|word| matches!(word.text.as_ref(), "refuse" | "decline" | "report" | "attacker" | "injection"));
    let is_quoted = text[..sentence[start].start].ends_with(['"', '`', '\'']);
    is_asked && (is_answered || before.iter().any(|word| matches!(word.text.as_ref(), "if" | "when" | "whoever")))
        || is_quoted && is_answered
}

type Hit = (usize, usize, &'static str);

/// Returns what a sentence says against the contract: its first and last word, and why.
pub(crate) fn judge(text: &str, sentence: &[Word<'_>]) -> Option<Hit> {
    (0..sentence.len()).find_map(|at| {
        let words = Words { all: sentence };
        ignores(&words, at)
            .or_else(|| hides(&words, at))
            .or_else(|| replaces(&words, at))
            .or_else(|| rewrites(text, &words, at))
            .or_else(|| becomes(&words, at))
            .or_else(|| announces(&words, at))
            .or_else(|| voids(&words, at))
            .or_else(|| bypasses(&words, at))
            .or_else(|| reveals(&words, at))
    })
}

/// The words of a sentence; nothing beyond its ends.
struct Words<'s, 't> {
    all: &'s [Word<'t>],
}

impl Words<'_, '_> {
    fn at(&self, at: usize) -> &str {
        self.all.get(at).map_or("", |word| word.text.as_ref())
    }

    /// Returns where one of some words stands in a range.
    fn find(&self, first: usize, count: usize, known: &[&str]) -> Option<usize> {
        (first..self.all.len().min(first + count)).find(|at| known.contains(&self.at(*at)))
    }

    /// Returns whether a verb is taken back: "never ignore", "do not write".
    fn is_denied(&self, at: usize) -> bool {
        (at.saturating_sub(3)..at).any(|before| {
            matches!(
                self.at(before),
                "not" | "never" | "don't" | "cannot" | "can't" | "nobody" | "mustn't" | "nor" | "refuse"
            )
        })
    }
}

const ORDERS: &[&str] = &[
    "instructions",
    "instruction",
    "prompts",
    "prompt",
    "rules",
    "guidelines",
    "guideline",
    "contract",
    "directives",
    "guardrails",
    "constraints",
    "restrictions",
    "policy",
    "policies",
    "commands",
    "orders",
    "training",
    "programming",
    "agents.md",
    "claude.md",
    "context",
    "directions",
    "limitations",
    "safeguards",
    "soul.md",
];
const WHICH: &[&str] = &[
    "previous",
    "prior",
    "earlier",
    "above",
    "preceding",
    "former",
    "all",
    "any",
    "your",
    "existing",
    "original",
    "system",
    "safety",
    "other",
    "operator",
    "operator's",
    "initial",
    "current",
    "every",
    "past",
    "these",
    "those",
    "foregoing",
];

fn ignores(words: &Words<'_, '_>, at: usize) -> Option<Hit> {
    let why = "tells the agent to forget what it was told";
    let (verb, length) = match (words.at(at), words.at(at + 1)) {
        (
            "ignore" | "disregard" | "forget" | "override" | "overrule" | "discard" | "abandon" | "dismiss" | "neglect"
            | "ignoring" | "disregarding" | "unlearn" | "overwrite" | "bypass" | "violate",
            _,
        ) => (at, 1),
        ("longer" | "stop", "follow" | "following" | "obey" | "obeying" | "bound") => (at, 2),
        ("not" | "don't", "follow" | "obey") => (at, 2),
        ("set" | "put", "aside") => (at, 2),
        ("attention", "to") if words.at(at.wrapping_sub(1)) == "no" => (at, 2),
        _ => return None,
    };
    if length == 1 && words.is_denied(verb) {
        return None;
    }
    let first = at + length;
    if let Some(order) = words.find(first, 8, ORDERS) {
        let is_own = words.find(first, order - first, WHICH).is_some()
            || matches!(words.at(order), "contract" | "agents.md" | "claude.md" | "guardrails");
        if is_own {
            return Some((at, order, why));
        }
    }
    let whole = words.find(first, 2, &["everything", "anything", "all", "what", "whatever"])?;
    let said =
        ["told", "said", "wrote", "above", "before", "instructed", "learned", "operator", "previously", "earlier"];
    let end = words.find(whole + 1, 8, &said)?;
    Some((at, end, why))
}

fn hides(words: &Words<'_, '_>, at: usize) -> Option<Hit> {
    let why = "tells the agent to hide something from people";
    const PEOPLE: &[&str] = &[
        "user",
        "users",
        "operator",
        "operators",
        "owner",
        "human",
        "humans",
        "anyone",
        "anybody",
        "administrator",
        "admin",
        "customer",
        "people",
        "someone",
    ];
    let strong = |at: usize| {
        matches!(words.at(at), "operator" | "operators" | "owner" | "human" | "humans" | "administrator" | "admin")
    };
    match words.at(at) {
        "without" => {
            words.find(at + 1, 2, &["telling", "informing", "notifying", "alerting", "asking", "mentioning"])?;
            let end = words.find(at + 2, 3, PEOPLE)?;
            (words.at(at + 1) != "asking" || strong(end)).then_some((at, end, why))
        }
        "tell" | "inform" | "mention" | "notify" | "alert" | "let" | "show" | "warn" if words.is_denied(at) => {
            let secret = ["this", "these", "block", "comment", "instruction", "instructions", "lines"];
            if words.at(at) == "mention" {
                let is_own = words.find(at + 1, 3, &secret)?;
                return Some((at, is_own, why));
            }
            let person = words.find(at + 1, 3, PEOPLE)?;
            if strong(person) {
                return Some((at, person, why));
            }
            let next = words.at(person + 1);
            let is_whole =
                matches!(next, "" | "that" | "this" | "these" | "anything" | "you" | "what" | "and" | "or" | "why")
                    || next == "about"
                        && matches!(words.at(person + 2), "this" | "these" | "it" | "that" | "your" | "the");
            (is_whole && words.at(at) != "show" && words.at(at) != "let").then_some((at, person, why))
        }
        "reveal" | "disclose" | "admit" | "acknowledge" if words.is_denied(at) => {
            let said = words.find(
                at + 1,
                8,
                &["asked", "told", "instructed", "instruction", "comment", "lines", "these", "this", "block"],
            )?;
            Some((at, said, why))
        }
        "hide" | "conceal" | "secret" | "hidden" | "withhold" if !words.is_denied(at) => {
            let from = words.find(at + 1, 8, &["from"])?;
            let person = words.find(from + 1, 3, PEOPLE)?;
            Some((at, person, why))
        }
        "leave" | "keep" | "omit" if !words.is_denied(at) => {
            let out = words.find(at + 1, 5, &["out", "from"])?;
            let log = words.find(out + 1, 4, &["log", "logs", "report", "audit", "transcript"])?;
            Some((at, log, why))
        }
        _ => None,
    }
}

fn replaces(words: &Words<'_, '_>, at: usize) -> Option<Hit> {
    let end = match (words.at(at), words.at(at + 1)) {
        ("takes" | "take" | "has" | "have", "precedence" | "priority") => at + 2,
        (
            "replace" | "replaces" | "supersede" | "supersedes" | "override" | "overrides" | "outrank" | "outranks",
            _,
        ) => at + 1,
        _ => return None,
    };
    if words.is_denied(at) {
        return None;
    }
    let own = [
        "agents.md",
        "claude.md",
        "soul.md",
        "contract",
        "operator",
        "operator's",
        "prompt",
        "instructions",
        "guidelines",
        "rules",
    ];
    let found = words.find(end, 7, &own)?;
    let is_own = !matches!(words.at(found), "instructions" | "guidelines" | "rules" | "prompt")
        || words.find(end, found - end, WHICH).is_some();
    is_own.then_some((at, found, "puts a document above the agent's contract"))
}

/// Files that agents take their orders from.
fn is_orders_file(word: &str) -> bool {
    let name = word.rsplit('/').next().unwrap_or(word);
    matches!(
        name,
        "agents.md"
            | "soul.md"
            | "claude.md"
            | "identity.md"
            | "heartbeat.md"
            | "clawdapus.md"
            | "user.md"
            | "bootstrap.md"
            | "gemini.md"
            | ".cursorrules"
    )
}

fn rewrites(text: &str, words: &Words<'_, '_>, at: usize) -> Option<Hit> {
    let is_verb = matches!(
        words.at(at),
        "write"
            | "append"
            | "add"
            | "save"
            | "store"
            | "insert"
            | "put"
            | "copy"
            | "edit"
            | "modify"
            | "update"
            | "rewrite"
            | "overwrite"
            | "replace"
            | "change"
            | "delete"
            | "persist"
    );
    if !is_verb || words.is_denied(at) {
        return None;
    }
    let why = "tells the agent to change what it takes its orders from";
    let reach = at + 1..words.all.len().min(at + 16);
    if let Some(file) = reach.clone().find(|file| is_orders_file(words.at(*file))) {
        return Some((at, file, why));
    }
    let memory =
        reach.into_iter().find(|file| matches!(words.at(*file).rsplit('/').next(), Some("memory.md" | "memory")))?;
    let last = words.all.last().map_or(0, |word| word.end);
    let rest = text.get(words.all[memory].end..last).unwrap_or("");
    let lasts = ["always", "trust", "every restart", "for good", "permanent", "survive", "each session", "forever"];
    lasts.iter().any(|part| rest.contains(part)).then_some((at, memory, why))
}

fn becomes(words: &Words<'_, '_>, at: usize) -> Option<Hit> {
    let why = "tells the agent to be somebody else";
    let is_start = match (words.at(at), words.at(at + 1), words.at(at + 2)) {
        ("you", "are", "now" | "no") | ("you", "now", "work" | "obey" | "serve" | "answer") => true,
        ("from", "now", "on") => words.find(at + 3, 2, &["you", "obey", "answer", "do", "respond", "act"]).is_some(),
        ("act", "as", _)
        | ("pretend", _, _)
        | ("roleplay", _, _)
        | ("enter" | "enable" | "activate", _, _)
        | ("you", "are", _) => true,
        _ => false,
    };
    if !is_start || words.is_denied(at) {
        return None;
    }
    if words.at(at) == "you"
        && words.at(at + 1) == "are"
        && words.at(at + 2) == "no"
        && words.at(at + 3) == "longer"
        && matches!(words.at(at + 4), "a" | "an" | "the" | "bound" | "restricted" | "under" | "subject" | "limited")
    {
        return Some((at, at + 3, why));
    }
    if words.at(at) == "you" && words.at(at + 1) == "now" || words.at(at) == "from" {
        return Some((at, at + 2, why));
    }
    let free = [
        "dan",
        "unrestricted",
        "unfiltered",
        "jailbroken",
        "restrictions",
        "limitations",
        "uncensored",
        "amoral",
        "maintenance",
        "god",
    ];
    let bound = [
        "rules",
        "filter",
        "filters",
        "limits",
        "policy",
        "policies",
        "guidelines",
        "boundaries",
        "ethics",
        "morals",
        "censorship",
    ];
    let end = words
        .find(at + 2, 12, &free)
        .or_else(|| {
            let no = words.find(at + 2, 10, &["no", "without", "any"])?;
            words.find(no + 1, 4, &bound)
        })
        .or_else(|| {
            let mode = words.find(at + 1, 6, &["mode"])?;
            matches!(words.at(mode - 1), "developer" | "debug" | "admin" | "god" | "maintenance" | "sudo" | "jailbreak")
                .then_some(mode)
        })?;
    Some((at, end, why))
}

fn voids(words: &Words<'_, '_>, at: usize) -> Option<Hit> {
    if !ORDERS.contains(&words.at(at)) && words.at(at) != "rules" {
        return None;
    }
    let which = ["safety", "system", "earlier", "previous", "prior", "your", "all", "operator's", "above", "original"];
    let first = at.saturating_sub(4);
    words.find(first, at - first, &which).or_else(|| words.find(at + 1, 4, &["system", "safety"]))?;
    let end = (at + 1..words.all.len().min(at + 12)).find(|end| match words.at(*end) {
        "void" | "suspended" | "lifted" | "revoked" | "obsolete" => true,
        "apply" | "valid" => words.is_denied(*end) || words.at(end - 1) == "longer",
        "effect" => words.at(end - 1) == "no",
        _ => false,
    })?;
    Some((first, end, "says that the agent's rules do not hold"))
}

fn bypasses(words: &Words<'_, '_>, at: usize) -> Option<Hit> {
    let is_verb = matches!(
        words.at(at),
        "bypass" | "circumvent" | "evade" | "disable" | "skip" | "deactivate" | "delete" | "erase" | "suppress"
    ) || words.at(at) == "turn" && words.at(at + 1) == "off";
    if !is_verb || words.is_denied(at) {
        return None;
    }
    let end = (at + 1..words.all.len().min(at + 6)).find(|end| match words.at(*end) {
        "sandbox" | "guardrails" | "safeguards" | "moderation" => true,
        "approval" | "confirmation" => words.find(*end, 5, &["operator", "step", "user", "human"]).is_some(),
        "safety" => matches!(words.at(end + 1), "checks" | "check" | "filters" | "rules"),
        "audit" => matches!(words.at(end + 1), "log" | "logs" | "trail" | ""),
        _ => false,
    })?;
    Some((at, end, "tells the agent to get round a safeguard"))
}

fn reveals(words: &Words<'_, '_>, at: usize) -> Option<Hit> {
    let is_verb = matches!(
        words.at(at),
        "reveal"
            | "print"
            | "show"
            | "output"
            | "repeat"
            | "disclose"
            | "display"
            | "dump"
            | "leak"
            | "recite"
            | "tell"
            | "printing"
    );
    if !is_verb || words.is_denied(at) {
        return None;
    }
    let given = |at: usize| words.at(at) == "you" && matches!(words.at(at + 1), "were" | "have" | "got");
    let end = (at + 1..words.all.len().min(at + 8)).find(|end| match words.at(*end) {
        "prompt" | "message" if matches!(words.at(end - 1), "system" | "hidden" | "initial") => true,
        "everything" => words.find(*end, 5, &["context"]).is_some(),
        "instructions" if given(end + 1) => true,
        "instructions" | "secrets" | "keys" | "credentials" | "configuration" => {
            matches!(words.at(end - 1), "your" | "hidden") || words.at(end.saturating_sub(2)) == "your"
        }
        _ => false,
    })?;
    Some((at, end, "tells the agent to give its prompt or its keys away"))
}

/// "New instructions:", "your rules have changed": a document that speaks as if it were the operator.
fn announces(words: &Words<'_, '_>, at: usize) -> Option<Hit> {
    let why = "speaks as if it were the operator";
    match (words.at(at), words.at(at + 1)) {
        ("new" | "updated" | "revised", "instructions" | "directive" | "directives" | "orders") if at < 4 => {
            let end = words.find(at + 2, 12, &["must", "follow", "obey", "comply", "you", "ignore"])?;
            Some((at, end, why))
        }
        ("your", "rules" | "instructions" | "guidelines" | "orders") => {
            let end = words.find(at + 2, 4, &["changed", "updated", "replaced"])?;
            Some((at, end, why))
        }
        ("from", "this") if matches!(words.at(at + 2), "point" | "moment") => {
            let end = words.find(0, words.all.len(), &["must", "obey", "comply", "will"])?;
            Some((at.min(end), at.max(end), why))
        }
        _ => None,
    }
}

/// Marks of the text around messages: in a document they make a message of it.
fn marks(page: &Page<'_>, found: &mut Vec<Finding>) {
    let known = [
        "<|im_start|>",
        "<|system|>",
        "<|assistant|>",
        "<<sys>>",
        "[/inst]",
        "[inst]",
        "end of user input",
        "end of system prompt",
        "end of document ###",
        "begin system message",
    ];
    for mark in known {
        for at in page.places(mark) {
            if !is_explained(&page.lead(at)) && !page.folded[..at].ends_with('`') {
                found.push(page.finding(
                    Rule::Override,
                    (at, at + mark.len()),
                    "ends the document, and begins a message of its own",
                ));
            }
        }
    }
}

/// Finds set-up that makes a reader fetch a program and run it.
fn prerequisites(page: &Page<'_>, found: &mut Vec<Finding>) {
    let mut offset = 0;
    let mut heading = "";
    for paragraph in page.folded.split_inclusive("\n\n") {
        let start = offset;
        offset += paragraph.len();
        let title = paragraph.trim_start();
        let is_title = title.starts_with('#');
        let has = |known: &[&str]| known.iter().any(|part| paragraph.contains(part));
        let needs = heading.contains("prerequisite")
            || has(&[
                "prerequisite",
                "before using",
                "before this skill",
                "before the skill",
                "before you use",
                "before you continue",
                "required component",
                "to use this skill",
                "must download",
                "must first",
                "must be installed first",
                "will not work without",
                "cannot work without",
            ]);
        if is_title {
            heading = title.lines().next().unwrap_or("");
        }
        let fetches =
            has(&["download", "copy this command", "copy the command", "copy and paste", "paste it", "fetches"]);
        let runs = paragraph
            .split(|letter: char| !letter.is_alphanumeric())
            .any(|word| matches!(word, "run" | "execute" | "open" | "launch" | "start" | "paste"));
        let file = has(&["http://", "https://", ".exe", ".zip", ".dmg", ".msi", ".pkg"]);
        let is_checked = has(&["sha256", "checksum", "digest", "signature", "verify", "package manager"]);
        if needs && fetches && runs && file && !is_checked {
            let end = start + paragraph.trim_end().len();
            found.push(page.finding(
                Rule::Override,
                (start, end),
                "makes up something to fetch and run before the skill works",
            ));
        }
    }
}
