//! Looks through a text that an agent will read for what should not be in it: characters nobody sees, downloads piped into a
//! shell, ways out for data, orders in places people do not look at, orders against the contract.
//!
//! Pure: a text in, findings out. Not a proof that a text is harmless: what it finds and what it does not is in `docs/scan.md`.
#![deny(clippy::disallowed_methods, clippy::disallowed_types, clippy::iter_over_hash_type)]

mod encoded;
mod exfiltration;
mod hidden;
mod installer;
mod overriding;
mod page;
mod shell;
mod unicode;
mod words;

use page::Page;

/// What kind of thing was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Characters that nobody sees, or that show a text in another order than it has.
    HiddenUnicode,
    /// A download that is run unseen.
    PipedInstaller,
    /// A way out for secrets, files or the conversation.
    Exfiltration,
    /// Words to the model in a place people do not look at.
    HiddenInstructions,
    /// Words against the contract, the operator or what was said before.
    Override,
}

impl Rule {
    /// Every rule.
    pub const ALL: &'static [Rule] =
        &[Rule::HiddenUnicode, Rule::PipedInstaller, Rule::Exfiltration, Rule::HiddenInstructions, Rule::Override];

    /// Returns the rule's kebab-case name.
    pub fn name(self) -> &'static str {
        match self {
            Rule::HiddenUnicode => "hidden-unicode",
            Rule::PipedInstaller => "piped-installer",
            Rule::Exfiltration => "exfiltration",
            Rule::HiddenInstructions => "hidden-instructions",
            Rule::Override => "override",
        }
    }
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// First byte in the text.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// What kind it is.
    pub rule: Rule,
    /// What it does, as half a sentence.
    pub why: String,
}

/// Returns what a text holds that it should not, in the order of the text; findings of one rule that meet are one.
pub fn scan(text: &str) -> Vec<Finding> {
    let page = Page::new(text);
    let mut found = unicode::find(text);
    found.extend(commands(&page));
    found.extend(hidden::find(&page));
    found.extend(overriding::find(&page));
    found.sort_by_key(|each| (each.rule, each.start));
    found.dedup_by(|next, kept| {
        let is_same = next.rule == kept.rule && next.start < kept.end;
        if is_same {
            kept.end = kept.end.max(next.end);
        }
        is_same
    });
    // What is said in a hidden place is one finding, the place.
    let hidden: Vec<(usize, usize)> =
        found.iter().filter(|each| each.rule == Rule::HiddenInstructions).map(|each| (each.start, each.end)).collect();
    let is_inside = |each: &Finding| {
        let next = hidden.partition_point(|(_, end)| *end <= each.start);
        hidden.get(next).is_some_and(|(start, end)| *start <= each.start && each.end <= *end)
    };
    found.retain(|each| each.rule != Rule::Override || !is_inside(each));
    found.sort();
    found
}

/// Returns the findings in commands and code.
fn commands(page: &Page<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut saved = installer::Saved::default();
    shell::each_line(&page.folded, |line| {
        installer::find(page, line, &mut saved, &mut found);
        exfiltration::find_commands(page, line, &mut found);
    });
    installer::find_code(page, &mut found);
    exfiltration::find_text(page, &mut found);
    found
}
