//! Lines that a recipe adds to a Clawfile: where they stand, and as whom they run. Every other byte stays.

use super::lex::Instruction;
use super::{Clawfile, directive};

/// Text that is put into a Clawfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Insertion {
    /// The offset in its text.
    pub at: usize,
    /// Whole lines; with a line break before them where the file ends without one.
    pub text: String,
}

/// What is said above the lines.
const MARK: &str = "# Installed in worker mode; written by `claw bake`.";

/// Instructions that build nothing: lines that install stand before those at the end of a file.
const TRAILING: &[&str] =
    &["CMD", "ENTRYPOINT", "EXPOSE", "HEALTHCHECK", "LABEL", "MAINTAINER", "STOPSIGNAL", "VOLUME"];

impl Clawfile {
    /// Returns where lines go that run as root on what the image has at its end; nothing where all of them stand in its last stage
    /// already. `inherited` is the user of the image that the last stage starts from, where it is known.
    pub fn bake(&self, lines: &[String], inherited: Option<&str>) -> Option<Insertion> {
        let first = self
            .nodes
            .iter()
            .rposition(|node| node.as_ref().is_some_and(|node| node.keyword.eq_ignore_ascii_case("FROM")))?;
        let stage = &self.instructions[first..];
        let lines: Vec<&String> = lines.iter().filter(|line| !stage.iter().any(|own| own.text == **line)).collect();
        if lines.is_empty() {
            return None;
        }
        let is_trailing = |instruction: &Instruction| {
            let keyword = instruction.keyword().to_ascii_uppercase();
            directive::is_directive(&keyword) || TRAILING.contains(&keyword.as_str())
        };
        let last = stage.iter().rposition(|instruction| !is_trailing(instruction)).unwrap_or(0);
        let user = |before: usize| -> Option<&str> {
            let own = stage[..before].iter().rev().find(|each| each.keyword().eq_ignore_ascii_case("USER"));
            own.map(Instruction::rest).or(self.stage_user(first)).or(inherited)
        };
        let is_user = stage[last].keyword().eq_ignore_ascii_case("USER");
        // Before the user that an image ends with, else behind the last thing that is built.
        let ends = if is_user { last } else { last + 1 };
        let before = user(ends);
        let mut text = vec![MARK.to_owned()];
        if !before.is_some_and(is_root) {
            text.push("USER root".to_owned());
        }
        text.extend(lines.into_iter().cloned());
        if let Some(user) = before.filter(|user| !is_user && !is_root(user)) {
            text.push(format!("USER {user}"));
        }
        let line_end = if self.text.contains("\r\n") { "\r\n" } else { "\n" };
        let text: String = text.iter().map(|line| format!("{line}{line_end}")).collect();
        Some(match is_user {
            true => Insertion { at: self.above(stage[last].range.0), text },
            false => self.behind(stage[last].range.1, text, line_end),
        })
    }

    /// Returns the user of the stage of this file that the stage at `first` starts from.
    fn stage_user(&self, first: usize) -> Option<&str> {
        let image = self.nodes[first].as_ref()?.args.first()?;
        let start = (0..first).rev().find(|index| {
            let node = self.nodes[*index].as_ref().filter(|node| node.keyword.eq_ignore_ascii_case("FROM"));
            node.is_some_and(|node| node.args.get(2).is_some_and(|name| name.eq_ignore_ascii_case(image)))
        })?;
        let end = (start + 1..first).find(|index| self.instructions[*index].keyword().eq_ignore_ascii_case("FROM"));
        let mut own = self.instructions[start..end.unwrap_or(first)].iter().rev();
        let user = own.find(|each| each.keyword().eq_ignore_ascii_case("USER")).map(Instruction::rest);
        user.or_else(|| self.stage_user(start))
    }

    /// A comment directly above an instruction is about it.
    fn above(&self, mut at: usize) -> usize {
        while let Some(line) = self.text[..at].strip_suffix('\n') {
            let start = line.rfind('\n').map_or(0, |end| end + 1);
            let is_own = self.instructions.iter().any(|each| each.range.0 <= start && start < each.range.1);
            if is_own || !line[start..].trim_start().starts_with('#') {
                break;
            }
            at = start;
        }
        at
    }

    fn behind(&self, end: usize, text: String, line_end: &str) -> Insertion {
        match self.text[end..].find('\n') {
            Some(rest) => Insertion { at: end + rest + 1, text },
            None => Insertion { at: self.text.len(), text: format!("{line_end}{text}") },
        }
    }
}

/// Returns whether a user is root.
fn is_root(user: &str) -> bool {
    matches!(user.trim_matches(['"', '\'']).split(':').next(), Some("root" | "0"))
}
