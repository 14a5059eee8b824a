//! What BuildKit's `instructions.Parse` refuses: unknown flags, wrong numbers of arguments, misplaced instructions.

use claw_types::diag::{Code, Diagnostic, Diagnostics, nearest};
use claw_types::span::Source;

use super::ast::{INSTRUCTIONS, Node, is_instruction};
use super::directive;
use super::lex::Instruction;

/// Flags of each instruction; a trailing `!` marks one that takes no value, a trailing `*` one that may repeat.
const FLAGS: &[(&str, &[&str])] = &[
    ("ADD", &["keep-git-dir!", "chmod", "chown", "link!", "checksum", "unpack!", "exclude*"]),
    ("COPY", &["from", "chown", "chmod", "link!", "parents!", "exclude*"]),
    ("FROM", &["platform"]),
    ("HEALTHCHECK", &["interval", "timeout", "start-period", "start-interval", "retries"]),
    ("RUN", &["mount*", "network", "security", "device*"]),
];

/// Says what is wrong with instructions, one after the other.
pub(crate) struct Checker<'c> {
    pub(crate) source: &'c Source,
    pub(crate) diag: &'c mut Diagnostics,
    pub(crate) has_stage: bool,
}

impl Checker<'_> {
    fn error(&mut self, instruction: &Instruction, message: impl Into<String>, help: Option<&str>) {
        let span = instruction.span(self.source, 0, instruction.text.len());
        let mut error = Diagnostic::error(Code::DockerfileSyntax, span, message);
        error.help = help.map(ToOwned::to_owned);
        self.diag.push(error);
    }

    /// Records what is wrong with an instruction of Docker's; unknown ones included.
    pub(crate) fn check(&mut self, instruction: &Instruction, node: &Node) {
        let keyword = node.keyword.to_ascii_uppercase();
        if !is_instruction(&keyword) {
            self.unknown(instruction, &node.keyword);
            return;
        }
        self.flags(instruction, &keyword, node);
        self.arguments(instruction, &keyword, node);
        if keyword == "FROM" {
            self.has_stage = true;
        } else if !self.has_stage && keyword != "ARG" {
            self.error(instruction, "no build stage yet", Some("begin with `FROM image`"));
        }
    }

    fn unknown(&mut self, instruction: &Instruction, keyword: &str) {
        let span = instruction.keyword_span(self.source);
        let known = INSTRUCTIONS.iter().chain(directive::KEYWORDS).copied();
        let error = Diagnostic::error(Code::UnknownInstruction, span, format!("unknown instruction `{keyword}`"));
        let is_claws = keyword.to_ascii_uppercase().starts_with("CLAW");
        let error = error.help(if is_claws {
            format!("claw's directives are `{}`", directive::KEYWORDS.join("`, `"))
        } else {
            "begin the line with an instruction of Docker's or a directive of claw's".to_owned()
        });
        self.diag.push(error.suggest(keyword, known));
    }

    fn flags(&mut self, instruction: &Instruction, keyword: &str, node: &Node) {
        let known = FLAGS.iter().find(|(name, _)| *name == keyword).map_or(&[][..], |(_, flags)| flags);
        let mut seen: Vec<&str> = Vec::new();
        for flag in &node.flags {
            let (name, value) = match flag[2..].split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (&flag[2..], None),
            };
            let Some(rule) = known.iter().find(|rule| rule.trim_end_matches(['!', '*']) == name) else {
                let names: Vec<&str> = known.iter().map(|rule| rule.trim_end_matches(['!', '*'])).collect();
                let hint = nearest(name, names.iter().copied()).map(|near| format!("did you mean `--{near}`?"));
                self.error(instruction, format!("`{keyword}` has no flag `--{name}`"), hint.as_deref());
                continue;
            };
            if seen.contains(&name) && !rule.ends_with('*') {
                self.error(instruction, format!("the flag `--{name}` stands twice"), None);
            }
            seen.push(name);
            let is_switch = rule.ends_with('!');
            if is_switch && !matches!(value, None | Some("true" | "false")) {
                self.error(instruction, format!("the flag `--{name}` is `true` or `false`"), None);
            }
            if !is_switch && value.is_none() {
                self.error(instruction, format!("the flag `--{name}` needs a value"), None);
            }
            if keyword == "RUN" && name == "mount" {
                self.mount(instruction, value.unwrap_or(""));
            }
        }
    }

    /// BuildKit reads the rest of a mount once variables have values; only `from` may have none.
    fn mount(&mut self, instruction: &Instruction, value: &str) {
        for field in value.split(',') {
            let (key, value) = field.split_once('=').map_or((field, ""), |(key, value)| (key, value));
            let key = key.trim().to_ascii_lowercase();
            if key == "from" && value.contains('$') {
                let help = "name a stage instead: `FROM image AS name` above, then `from=name`";
                self.error(instruction, "`from` of a mount takes no variable", Some(help));
            }
        }
    }

    fn arguments(&mut self, instruction: &Instruction, keyword: &str, node: &Node) {
        let count = node.args.len();
        let problem = match keyword {
            "FROM" => return self.from(instruction, node),
            "ADD" | "COPY" if count < 2 => "requires at least two arguments",
            "ARG" | "ENV" | "LABEL" | "EXPOSE" | "VOLUME" if count == 0 => "requires at least one argument",
            "RUN" if count == 0 && !node.is_json => "requires at least one argument",
            "USER" | "WORKDIR" | "STOPSIGNAL" | "MAINTAINER" if count != 1 => "requires exactly one argument",
            "SHELL" if !node.is_json => "requires its arguments as a JSON array",
            "SHELL" if count == 0 => "requires at least one argument",
            "VOLUME" if node.args.iter().any(String::is_empty) => "takes no empty path",
            "ARG" if node.args.iter().any(|arg| arg.is_empty() || arg.starts_with('=')) => "takes no empty name",
            "ENV" if node.args.chunks(3).any(|pair| pair[0].is_empty()) => "takes no empty name",
            "LABEL" if node.args.chunks(3).any(|pair| pair[0].is_empty()) => "takes no empty name",
            "HEALTHCHECK" => return self.healthcheck(instruction, node),
            "ONBUILD" => return self.trigger(instruction, node),
            _ => return,
        };
        self.error(instruction, format!("`{keyword}` {problem}"), None);
    }

    fn from(&mut self, instruction: &Instruction, node: &Node) {
        match node.args.as_slice() {
            [_] => {}
            [_, word, name] if word.eq_ignore_ascii_case("as") => {
                let name = name.to_ascii_lowercase();
                let is_name = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase())
                    && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
                if !is_name {
                    let message = format!("`{name}` is not a name for a stage");
                    self.error(instruction, message, Some("begin with a letter; use letters, digits, `-`, `_`, `.`"));
                }
            }
            _ => self.error(instruction, "`FROM` requires one argument, or `image AS name`", None),
        }
    }

    fn healthcheck(&mut self, instruction: &Instruction, node: &Node) {
        let kind = node.args.first().map(|kind| kind.to_ascii_uppercase());
        match kind.as_deref() {
            None => self.error(instruction, "`HEALTHCHECK` requires at least one argument", None),
            Some("NONE") if node.args.len() > 1 => {
                self.error(instruction, "`HEALTHCHECK NONE` takes no arguments", None)
            }
            Some("CMD") if node.args.len() < 2 => self.error(instruction, "`HEALTHCHECK CMD` needs a command", None),
            Some("NONE" | "CMD") => {}
            Some(_) => self.error(instruction, "a health check is `CMD command` or `NONE`", None),
        }
        for flag in &node.flags {
            let Some((name, value)) = flag[2..].split_once('=') else { continue };
            let is_right = if name == "retries" {
                value.parse::<u32>().is_ok()
            } else {
                claw_compose::units::Duration::parse(value).is_some_and(|duration| duration.0 >= 0)
            };
            if !is_right && !value.contains('$') {
                self.error(instruction, format!("`{value}` is not a value for `--{name}`"), None);
            }
        }
    }

    fn trigger(&mut self, instruction: &Instruction, node: &Node) {
        let Some(child) = &node.child else {
            self.error(instruction, "`ONBUILD` requires an instruction", None);
            return;
        };
        let keyword = child.keyword.to_ascii_uppercase();
        if directive::is_directive(&keyword) {
            let span = instruction.rest_span(self.source);
            let message = format!("the directive `{keyword}` cannot stand under `ONBUILD`");
            let help = "directives describe this image; write it on a line of its own";
            self.diag.push(Diagnostic::error(Code::MisplacedDirective, span, message).help(help));
            return;
        }
        if matches!(keyword.as_str(), "ONBUILD" | "FROM" | "MAINTAINER") {
            self.error(instruction, format!("`{keyword}` cannot stand under `ONBUILD`"), None);
            return;
        }
        if !is_instruction(&keyword) {
            self.unknown(instruction, &child.keyword);
            return;
        }
        self.flags(instruction, &keyword, child);
        self.arguments(instruction, &keyword, child);
    }
}
