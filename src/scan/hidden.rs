//! Places that people do not see when they read a document, and whether somebody speaks to the model there.

use crate::overriding;
use crate::page::Page;
use crate::words::{self, Word};
use crate::{Finding, Rule, encoded};

/// How many blanks push a text out of sight.
const BLANKS: usize = 60;
/// How much of a hidden place is read.
const LONGEST: usize = 4000;

/// Returns the hidden places with words to the model.
pub(crate) fn find(page: &Page<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut judge = |(start, end): (usize, usize), what: &str| {
        let (text, end) = (page.slice(start, end.min(start + LONGEST)), end);
        if let Some(why) = speaks(text) {
            found.push(page.finding(Rule::HiddenInstructions, (start, end), format!("{what} {why}")));
        }
    };
    comments(page, &mut judge);
    references(page, &mut judge);
    elements(page, &mut judge);
    margins(page, &mut judge);
    remarks(page, &mut judge);
    for each in encoded::texts(page.raw) {
        let inner = encoded::texts(&each.text).into_iter().map(|inner| inner.text).next();
        let said = [Some(each.text), inner].into_iter().flatten().any(|text| {
            let text = text.to_lowercase();
            speaks(&text).is_some()
                || ["curl ", "wget ", "| sh", "| bash", "eval(", "exec("].iter().any(|part| text.contains(part))
        });
        if said {
            let why = format!("{} that say something to the model, or hold commands", each.form);
            let (start, end) = each.range;
            found.push(Finding { start, end, rule: Rule::HiddenInstructions, why });
        }
    }
    found
}

type Judge<'j> = dyn FnMut((usize, usize), &str) + 'j;

fn comments(page: &Page<'_>, judge: &mut Judge<'_>) {
    let text = &page.folded;
    let mut at = 0;
    while let Some(open) = text[at..].find("<!--") {
        let start = at + open;
        let end = text[start + 4..].find("-->").map_or(text.len(), |close| start + 4 + close + 3);
        judge((start, end), "a comment");
        at = end;
    }
}

/// `[//]: # (…)` and its like: a link that nothing uses.
fn references(page: &Page<'_>, judge: &mut Judge<'_>) {
    let mut offset = 0;
    for line in page.folded.split_inclusive('\n') {
        let trimmed = line.trim_start();
        if trimmed.starts_with('[')
            && let Some((_, target)) = trimmed.split_once("]:")
        {
            let target = target.trim_start();
            if target.starts_with(['#', '<']) || target.contains([' ']) {
                judge((offset, offset + line.trim_end().len()), "a reference that is not shown");
            }
        }
        offset += line.len();
    }
}

/// Elements that a page does not show.
fn elements(page: &Page<'_>, judge: &mut Judge<'_>) {
    let text = &page.folded;
    let mut at = 0;
    while let Some(open) = text[at..].find('<') {
        let start = at + open;
        at = start + 1;
        let head = page.slice(at, at + 600);
        let name: &str = &head[..head.find(|letter: char| !letter.is_ascii_alphanumeric()).unwrap_or(head.len())];
        let Some(close) = head.find('>') else { continue };
        if name.is_empty() || !hides(name, &head[name.len().min(close)..close]) {
            continue;
        }
        let body = at + close + 1;
        let rest = page.slice(body, body + LONGEST);
        let end = rest.find(&format!("</{name}")).unwrap_or(rest.len());
        judge((start, body + end), "an element that is not shown");
        // What lies inside was read with it.
        at = body + end;
    }
}

fn hides(name: &str, attributes: &str) -> bool {
    if matches!(name, "template" | "noscript" | "script") {
        return true;
    }
    let flat: String = attributes.chars().filter(|letter| !letter.is_whitespace()).collect();
    let style = [
        "display:none",
        "visibility:hidden",
        "font-size:0",
        "font-size:1px",
        "font-size:.1",
        "opacity:0",
        "color:white",
        "color:#fff",
        "color:transparent",
        "color:rgba(0,0,0,0)",
        "color:rgb(255,255,255)",
        "color=\"white\"",
        "color=white",
        "color='white'",
        "color=\"#fff",
        "color=#fff",
        "left:-",
        "top:-",
        "text-indent:-",
        "height:0",
        "width:0",
        "max-height:0",
        "line-height:0",
        "clip:rect(0",
        "scale(0)",
        "size=\"0\"",
        "size=0",
        "aria-hidden=\"true\"",
        "class=\"hidden\"",
        "class=\"sr-only\"",
    ];
    let is_attribute = attributes.split_whitespace().any(|word| word == "hidden" || word.starts_with("hidden="));
    is_attribute || style.iter().any(|part| flat.contains(part))
}

/// Text far to the right, or far below.
fn margins(page: &Page<'_>, judge: &mut Judge<'_>) {
    let bytes = page.folded.as_bytes();
    let (mut at, mut line) = (0, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'\n' => {
                let blank = bytes[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
                let lines = bytes[at..at + blank].iter().filter(|byte| **byte == b'\n').count();
                if lines > 30 && at + blank < bytes.len() {
                    judge((at + blank, bytes.len()), "far below the text, a paragraph");
                }
                at += bytes[at..at + blank].iter().rposition(|byte| *byte == b'\n').unwrap_or(0) + 1;
                line = at;
            }
            b' ' | b'\t' => {
                let blank = bytes[at..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
                let end = at + blank;
                let is_row = page.folded[line..at].trim_start().starts_with('|');
                if blank >= BLANKS && !is_row && bytes.get(end).is_some_and(|byte| !byte.is_ascii_whitespace()) {
                    let stop = page.folded[end..].find('\n').map_or(bytes.len(), |length| end + length);
                    judge((end, stop), "far right of the text, a line");
                }
                at = end;
            }
            _ => at += 1,
        }
    }
}

/// Remarks in code: only orders against other orders count there, code is full of words to whoever reads it.
fn remarks(page: &Page<'_>, judge: &mut Judge<'_>) {
    for (start, end) in page.fences() {
        let mut offset = *start;
        for line in page.slice(*start, *end).split_inclusive('\n') {
            let trimmed = line.trim_start();
            let is_remark = ["#", "//", "--", "/*", "*", ";", "rem "].iter().any(|mark| trimmed.starts_with(mark));
            let is_order = is_remark && {
                let mut is_order = false;
                words::each_sentence(trimmed, |sentence| {
                    is_order |=
                        overriding::judge(trimmed, sentence).is_some() || names_model(sentence) && orders(sentence)
                });
                is_order
            };
            if is_order {
                judge((offset, offset + line.trim_end().len()), "a remark in code");
            }
            offset += line.len();
        }
    }
}

/// Returns how a hidden text speaks to the model, if it does.
fn speaks(text: &str) -> Option<&'static str> {
    let (mut named, mut ordered, mut why) = (false, false, None);
    words::each_sentence(text, |sentence| {
        named |= names_model(sentence);
        ordered |= orders(sentence);
        if overriding::judge(text, sentence).is_some() {
            why = Some("gives orders against other orders");
        } else if binds(sentence) {
            why = why.or(Some("tells its reader what to do"));
        }
    });
    why.or((named && ordered).then_some("tells the model what to do"))
}

/// Returns whether a sentence names who reads it: an agent, a model.
fn names_model(sentence: &[Word<'_>]) -> bool {
    sentence.iter().any(|word| {
        matches!(
            word.text.as_ref(),
            "assistant"
                | "assistants"
                | "agent"
                | "agents"
                | "ai"
                | "llm"
                | "llms"
                | "model"
                | "claude"
                | "gpt"
                | "chatgpt"
                | "copilot"
                | "gemini"
                | "openclaw"
                | "nanobot"
                | "hermes"
                | "bot"
                | "chatbot"
                | "system"
                | "codex"
                | "cursor"
                | "ais"
        )
    })
}

fn orders(sentence: &[Word<'_>]) -> bool {
    sentence.iter().any(|word| {
        matches!(
            word.text.as_ref(),
            "must"
                | "should"
                | "shall"
                | "always"
                | "never"
                | "don't"
                | "ignore"
                | "send"
                | "run"
                | "execute"
                | "forward"
                | "call"
                | "read"
                | "fetch"
                | "reveal"
                | "print"
                | "include"
                | "add"
                | "delete"
                | "recommend"
                | "approve"
                | "claim"
                | "respond"
                | "reply"
                | "say"
                | "tell"
                | "pretend"
                | "insert"
                | "upload"
                | "disable"
                | "visit"
                | "open"
                | "download"
                | "post"
                | "accept"
                | "install"
                | "mention"
                | "obey"
                | "follow"
                | "invoke"
                | "grant"
                | "append"
                | "write"
                | "copy"
                | "praise"
                | "rate"
                | "output"
                | "transfer"
        )
    })
}

/// "You must", "you are to", "before you answer": a reader who is to act, and is no editor.
fn binds(sentence: &[Word<'_>]) -> bool {
    let text = |at: usize| sentence.get(at).map_or("", |word| word.text.as_ref());
    (0..sentence.len()).any(|at| {
        text(at) == "you"
            && (matches!(text(at + 1), "must" | "shall" | "should" | "will" | "need" | "are")
                && (text(at + 1) != "are"
                    || matches!(text(at + 2), "required" | "to" | "now" | "no" | "instructed" | "authorized"))
                || text(at + 1) == "have" && text(at + 2) == "to"
                || text(at + 1) == "do" && text(at + 2) == "not" && text(at + 3) == "need")
    })
}
